"""Numba loops element by element: packing into tiles, activations, the optimizers' updates."""

import numpy as np
from numba import njit, prange

from sparse_ref.elementary import exp
from sparse_ref.lanes import dot, load, total
from sparse_ref.work import SHARES, WIDTHS, ByWidth


@njit(parallel=True, cache=True)
def gather_tiles(x, order, out):
    """``out[t, f, l] = x[order[t * width + l], f]``; zero where `order` has ended."""
    tiles, features, width = out.shape
    for t in prange(tiles):
        here = min(width, max(0, order.size - t * width))
        for f in range(features):
            for lane in range(here):
                out[t, f, lane] = x[order[t * width + lane], f]
            for lane in range(here, width):
                out[t, f, lane] = 0


@njit(cache=True)
def relu(x, out):
    """``out = max(x, 0)``, elementwise; what is not a number stays so, and shows in the loss."""
    x, out = x.reshape(-1), out.reshape(-1)
    for k in range(x.size):
        out[k] = 0 if x[k] <= 0 else x[k]


@njit(cache=True)
def relu_pullback(y, delta, out):
    """``out = 0 where y <= 0, else delta``."""
    y, delta, out = y.reshape(-1), delta.reshape(-1), out.reshape(-1)
    for k in range(y.size):
        out[k] = 0 if y[k] <= 0 else delta[k]


@njit(parallel=True, cache=True)
def srelu(x, t_l, a_l, t_r, a_r, out):
    """``out = t + a (x - t)`` beyond a unit's left or right threshold, else x."""
    tiles, units, width = x.shape
    for unit in prange(SHARES):
        for i in range(units * unit // SHARES, units * (unit + 1) // SHARES):
            left, right, left_slope, right_slope = t_l[i], t_r[i], a_l[i], a_r[i]
            for t in range(tiles):
                for k in range(width):
                    value = x[t, i, k]
                    below = left + left_slope * (value - left)
                    above = right + right_slope * (value - right)
                    inner = below if value <= left else value
                    out[t, i, k] = above if value >= right else inner


def _make_srelu_pullback(width):
    @njit(parallel=True, cache=True)
    def srelu_pullback(x, delta, t_l, a_l, t_r, a_r, out, sums):
        tiles, units = x.shape[0], x.shape[1]
        for unit in prange(SHARES):
            # What lies left, what lies right, and how far beyond the threshold.
            row = np.empty((4, width), x.dtype)
            for i in range(units * unit // SHARES, units * (unit + 1) // SHARES):
                left, right, left_slope, right_slope = t_l[i], t_r[i], a_l[i], a_r[i]
                sums[:, i] = 0
                for t in range(tiles):
                    for k in range(width):
                        value, d = x[t, i, k], delta[t, i, k]
                        on_right = value >= right
                        on_left = (value <= left) & (not on_right)
                        row[0, k] = d if on_left else 0
                        row[1, k] = d if on_right else 0
                        row[2, k] = value - left
                        row[3, k] = value - right
                        bent = d * (right_slope if on_right else left_slope)
                        out[t, i, k] = bent if on_left | on_right else d
                    lefts, rights = load(row, 0, width), load(row, width, width)
                    sums[0, i] += total(lefts)
                    sums[1, i] += total(rights)
                    sums[2, i] += dot(lefts, load(row, 2 * width, width))
                    sums[3, i] += dot(rights, load(row, 3 * width, width))

    return srelu_pullback


_SRELU_PULLBACK = ByWidth((width, _make_srelu_pullback(width)) for width in WIDTHS)


def srelu_pullback(x, delta, t_l, a_l, t_r, a_r, out, sums):
    """``out = delta f'(x)``, and ``sums`` (4, units) over all examples.

    Of delta left of the left threshold and right of the right one, and of both times the distance
    beyond the threshold: what the derivatives by a unit's four parameters are made of.
    """
    _SRELU_PULLBACK[x.shape[2]](x, delta, t_l, a_l, t_r, a_r, out, sums)


@njit(cache=True)
def sigmoid(x, out):
    """``out = 1 / (1 + exp(-x))``, in float64 and rounded to out's dtype."""
    for k in range(x.size):
        out[k] = 1.0 / (1.0 + exp(-float(x[k])))


@njit(cache=True)
def sigmoid_slope(x, out):
    """Derivative of `sigmoid`, without the difference that loses digits far from 0."""
    for k in range(x.size):
        far = exp(-abs(float(x[k])))
        out[k] = far / ((1.0 + far) * (1.0 + far))


@njit(cache=True)
def add_scaled(out, factor, x):
    """``out += factor * x``."""
    for k in range(out.size):
        out[k] += factor * x[k]


@njit(cache=True)
def momentum_update(grad, velocity, rate, mu, nesterov):
    """``v = mu v + g``; g becomes the update ``-rate v``, or Nesterov's ``-rate (g + mu v)``."""
    for k in range(grad.size):
        v = mu * velocity[k] + grad[k]
        velocity[k] = v
        grad[k] = (grad[k] + mu * v if nesterov else v) * -rate


@njit(cache=True)
def adam_update(grad, mean, square, betas, unbias2, epsilon, rate):
    """Both means move towards g and its square by ``betas``; in place of g comes the update."""
    by1, by2 = betas
    for k in range(grad.size):
        m = mean[k] + (grad[k] - mean[k]) * by1
        s = square[k] + (grad[k] * grad[k] - square[k]) * by2
        mean[k], square[k] = m, s
        grad[k] = m / (np.sqrt(s * unbias2) + epsilon) * -rate


@njit(cache=True)
def not_finite(value, update):
    """How many of ``value + update`` are not finite."""
    n, zero = 0, value.dtype.type(0)
    for k in range(value.size):
        n += (value[k] + update[k]) * zero != zero
    return n
