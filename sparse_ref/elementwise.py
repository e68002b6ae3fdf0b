"""Numba loops element by element: packing into tiles, sigmoids, the optimizers' updates."""

import numpy as np
from numba import njit, prange

from sparse_ref.elementary import exp
from sparse_ref.lanes import load, splat, store
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


def join_tiles(x, out):
    """The same examples in the same order in wider tiles, zeros behind them.

    Parameters
    ----------
    x : (tiles, features, width)
    out : (fewer, features, wider)
        Written; `width` divides `wider`.
    """
    _RETILE[x.shape[2]](x, out, True)


def separate_tiles(x, out):
    """Undo `join_tiles`: write the narrower tiles `out` from x."""
    _RETILE[out.shape[2]](out, x, False)


def _make_retile(width):
    @njit(parallel=True, cache=True)
    def retile(narrow, wide, join):
        features, together = wide.shape[1], wide.shape[2] // width
        for unit in prange(len(wide) * SHARES):
            t, part = unit // SHARES, unit % SHARES
            for f in range(features * part // SHARES, features * (part + 1) // SHARES):
                for k in range(together):
                    at_wide = ((t * features + f) * together + k) * width
                    at_narrow = ((t * together + k) * features + f) * width
                    if t * together + k >= len(narrow):
                        if join:
                            store(wide, at_wide, splat(wide.dtype.type(0), width))
                    elif join:
                        store(wide, at_wide, load(narrow, at_narrow, width))
                    else:
                        store(narrow, at_narrow, load(wide, at_wide, width))

    return retile


_RETILE = ByWidth((width, _make_retile(width)) for width in WIDTHS)


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
