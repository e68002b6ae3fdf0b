"""Numba loops of local response normalisation: every number is divided by what its neighbours have.

Neighbours are channels at the same position. Threads are dealt runs of positions of a tile, with
all channels, so every sum has one owner; squares are added in ascending order of channels.
"""

import math

import numpy as np
from numba import njit, prange

from sparse_ref.elementary import exp, log

RUN = 256  # numbers of a channel that a thread takes at a time: what it needs of all stays near


@njit(parallel=True, cache=True)
def normalise(x, radius, bias, alpha, beta, scale, out):
    """``scale = bias + alpha sum x^2``, ``out = x scale^-beta``.

    Parameters
    ----------
    x : (tiles, channels, numbers)
        `numbers` are positions times examples; C-contiguous, as all arrays here.
    radius : int
        The sum is over channels ``c - radius ... c + radius``, as far as they exist.
    bias, alpha, beta : float
        Of the dtype of x.
    scale, out : as x
        Written.
    """
    tiles, channels, numbers = x.shape
    runs = (numbers + RUN - 1) // RUN
    for unit in prange(tiles * runs):
        t, first = unit // runs, unit % runs * RUN
        last = min(first + RUN, numbers)
        for c in range(channels):
            here = scale[t, c, first:last]
            here[:] = 0
            for k in range(max(0, c - radius), min(channels, c + radius + 1)):
                _add_product(x[t, k, first:last], x[t, k, first:last], here)
            _scale_up(bias, alpha, here)
            to = out[t, c, first:last]
            _power(here, beta, to)
            _times(x[t, c, first:last], to)


@njit(parallel=True, cache=True)
def normalise_pullback(x, scale, delta, radius, alpha, beta, out):
    """``out = delta scale^-beta - 2 alpha beta x sum delta x scale^(-beta - 1)``.

    Arrays and the sum are as in `normalise`.
    """
    tiles, channels, numbers = x.shape
    runs = (numbers + RUN - 1) // RUN
    for unit in prange(tiles * runs):
        t, first = unit // runs, unit % runs * RUN
        last = min(first + RUN, numbers)
        terms, sums = np.empty((channels, RUN), x.dtype), np.empty(RUN, x.dtype)
        for c in range(channels):
            to = out[t, c, first:last]
            _power(scale[t, c, first:last], beta, to)
            _times(delta[t, c, first:last], to)
            _terms(x[t, c, first:last], to, scale[t, c, first:last], terms[c])
        for c in range(channels):
            sums[:] = 0
            for k in range(max(0, c - radius), min(channels, c + radius + 1)):
                _add(terms[k], sums)
            _subtract_product(2 * alpha * beta, x[t, c, first:last], sums, out[t, c, first:last])


@njit(cache=True, error_model="numpy")  # a division that may raise is not made in vectors
def _power(scale, beta, out):
    """``out = scale^-beta``, the same bits on every host.

    3/4 is two square roots, which IEEE 754 fixes; others go through exp and log in float64.
    """
    if beta == 0.75:
        one = scale.dtype.type(1)
        for k in range(scale.size):
            root = math.sqrt(scale[k])
            out[k] = one / (root * math.sqrt(root))
    else:
        for k in range(scale.size):
            out[k] = exp(-float(beta) * log(float(scale[k])))


@njit(cache=True)
def _add_product(a, b, out):
    for k in range(out.size):
        out[k] += a[k] * b[k]


@njit(cache=True)
def _add(a, out):
    for k in range(out.size):
        out[k] += a[k]


@njit(cache=True)
def _times(a, out):
    for k in range(out.size):
        out[k] *= a[k]


@njit(cache=True)
def _scale_up(bias, alpha, out):
    for k in range(out.size):
        out[k] = bias + alpha * out[k]


@njit(cache=True, error_model="numpy")  # a division that may raise is not made in vectors
def _terms(x, scaled, scale, out):
    for k in range(x.size):
        out[k] = x[k] * scaled[k] / scale[k]
    for k in range(x.size, out.size):
        out[k] = 0


@njit(cache=True)
def _subtract_product(factor, x, sums, out):
    for k in range(out.size):
        out[k] -= factor * x[k] * sums[k]
