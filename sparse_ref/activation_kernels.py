"""Numba loops of activation functions and of their pullbacks, and the sum of two activations.

The simple ones are limited by memory: each reads and writes its arrays once, and large arrays are
dealt to threads in shares. The loops over a share are functions of their own, which the compiler
turns into vector instructions; inside of a parallel loop it does not.
"""

import numpy as np
from numba import njit, prange

from sparse_ref.lanes import dot, load, total
from sparse_ref.work import SHARES, WIDTHS, ByWidth

SERIAL_BELOW = 1 << 16  # numbers; a smaller array is done before a second thread has woken


@njit(cache=True)
def shares_of(size):
    """Into how many shares an array of `size` numbers is cut."""
    return 1 if size < SERIAL_BELOW else SHARES


@njit(parallel=True, cache=True)
def relu(x, out):
    """``out = max(x, 0)``, elementwise; what is not a number stays so, and shows in the loss."""
    x, out = x.reshape(-1), out.reshape(-1)
    shares = shares_of(x.size)
    for share in prange(shares):
        first, last = x.size * share // shares, x.size * (share + 1) // shares
        _relu(x[first:last], out[first:last])


@njit(parallel=True, cache=True)
def relu_pullback(y, delta, out):
    """``out = 0 where y <= 0, else delta``."""
    y, delta, out = y.reshape(-1), delta.reshape(-1), out.reshape(-1)
    shares = shares_of(y.size)
    for share in prange(shares):
        first, last = y.size * share // shares, y.size * (share + 1) // shares
        _relu_pullback(y[first:last], delta[first:last], out[first:last])


@njit(parallel=True, cache=True)
def capped_relu(x, cap, out):
    """``out = min(max(x, 0), cap)``; what is not a number stays so."""
    x, out = x.reshape(-1), out.reshape(-1)
    shares = shares_of(x.size)
    for share in prange(shares):
        first, last = x.size * share // shares, x.size * (share + 1) // shares
        _capped_relu(x[first:last], cap, out[first:last])


@njit(parallel=True, cache=True)
def capped_relu_pullback(y, cap, delta, out):
    """``out = 0 where y <= 0 or y >= cap, else delta``."""
    y, delta, out = y.reshape(-1), delta.reshape(-1), out.reshape(-1)
    shares = shares_of(y.size)
    for share in prange(shares):
        first, last = y.size * share // shares, y.size * (share + 1) // shares
        _capped_relu_pullback(y[first:last], cap, delta[first:last], out[first:last])


@njit(parallel=True, cache=True)
def leaky(x, slope, factor, out):
    """``out = factor`` where ``x > 0``, else ``slope factor``; `factor` is x, or a derivative."""
    x, factor, out = x.reshape(-1), factor.reshape(-1), out.reshape(-1)
    shares = shares_of(x.size)
    for share in prange(shares):
        first, last = x.size * share // shares, x.size * (share + 1) // shares
        _leaky(x[first:last], slope, factor[first:last], out[first:last])


@njit(parallel=True, cache=True)
def add(x, y, out):
    """``out = x + y``, elementwise: where the two rows of layers of a residual link meet."""
    x, y, out = x.reshape(-1), y.reshape(-1), out.reshape(-1)
    shares = shares_of(x.size)
    for share in prange(shares):
        first, last = x.size * share // shares, x.size * (share + 1) // shares
        _add(x[first:last], y[first:last], out[first:last])


@njit(cache=True)
def _add(x, y, out):
    for k in range(x.size):
        out[k] = x[k] + y[k]


@njit(cache=True)
def _relu(x, out):
    for k in range(x.size):
        out[k] = 0 if x[k] <= 0 else x[k]


@njit(cache=True)
def _relu_pullback(y, delta, out):
    for k in range(y.size):
        out[k] = 0 if y[k] <= 0 else delta[k]


@njit(cache=True)
def _capped_relu(x, cap, out):
    for k in range(x.size):
        above = 0 if x[k] <= 0 else x[k]
        out[k] = cap if above >= cap else above


@njit(cache=True)
def _capped_relu_pullback(y, cap, delta, out):
    for k in range(y.size):
        out[k] = 0 if (y[k] <= 0) | (y[k] >= cap) else delta[k]


@njit(cache=True)
def _leaky(x, slope, factor, out):
    for k in range(x.size):
        out[k] = factor[k] if x[k] > 0 else slope * factor[k]


@njit(parallel=True, cache=True)
def srelu(x, t_l, a_l, t_r, a_r, out):
    """``out = t + a (x - t)`` beyond a unit's left or right threshold, else x.

    Parameters
    ----------
    x, out : (tiles, units, positions, width)
    t_l, a_l, t_r, a_r : (units,)
    """
    tiles, units, positions, width = x.shape
    size = positions * width
    for unit in prange(SHARES):
        for i in range(units * unit // SHARES, units * (unit + 1) // SHARES):
            for t in range(tiles):
                row, to = x[t, i].reshape(size), out[t, i].reshape(size)
                _srelu(row, t_l[i], a_l[i], t_r[i], a_r[i], to)


@njit(cache=True)
def _srelu(x, left, left_slope, right, right_slope, out):
    for k in range(x.size):
        value = x[k]
        below = left + left_slope * (value - left)
        above = right + right_slope * (value - right)
        inner = below if value <= left else value
        out[k] = above if value >= right else inner


def _make_srelu_pullback(width):
    @njit(parallel=True, cache=True)
    def srelu_pullback(x, delta, t_l, a_l, t_r, a_r, out, sums):
        tiles, units, positions = x.shape[:3]
        for unit in prange(SHARES):
            # What lies left, what lies right, and how far beyond the threshold.
            row, part = np.empty((4, width), x.dtype), np.empty(4, x.dtype)
            for i in range(units * unit // SHARES, units * (unit + 1) // SHARES):
                left, right, left_slope, right_slope = t_l[i], t_r[i], a_l[i], a_r[i]
                sums[:, i] = 0
                for t in range(tiles):
                    part[:] = 0
                    for p in range(positions):
                        for k in range(width):
                            value, d = x[t, i, p, k], delta[t, i, p, k]
                            on_right = value >= right
                            on_left = (value <= left) & (not on_right)
                            row[0, k] = d if on_left else 0
                            row[1, k] = d if on_right else 0
                            row[2, k] = value - left
                            row[3, k] = value - right
                            bent = d * (right_slope if on_right else left_slope)
                            out[t, i, p, k] = bent if on_left | on_right else d
                        lefts, rights = load(row, 0, width), load(row, width, width)
                        part[0] += total(lefts)
                        part[1] += total(rights)
                        part[2] += dot(lefts, load(row, 2 * width, width))
                        part[3] += dot(rights, load(row, 3 * width, width))
                    for k in range(4):
                        sums[k, i] += part[k]

    return srelu_pullback


_SRELU_PULLBACK = ByWidth((width, _make_srelu_pullback(width)) for width in WIDTHS)


def srelu_pullback(x, delta, t_l, a_l, t_r, a_r, out, sums):
    """``out = delta f'(x)``, and ``sums`` (4, units) over all examples and positions.

    Of delta left of the left threshold and right of the right one, and of both times the distance
    beyond the threshold: what the derivatives by a unit's four parameters are made of. A tile's
    positions are summed first, then the tiles.
    """
    _SRELU_PULLBACK[x.shape[3]](x, delta, t_l, a_l, t_r, a_r, out, sums)
