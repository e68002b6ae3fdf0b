"""Numba loops of batch normalisation: one thread owns a channel, from its sums to its outputs.

A channel of a batch is read twice, for its sums and for its output, by the same thread, so that
the second time it is still in a cache. Sums are in float64, one for each lane over the positions
and the full tiles; the lanes of padding are never added. Their order is fixed. What the mean loses
by rounding to float32 is made up for in the offset.
"""

import math

import numpy as np
from numba import njit, prange

from sparse_ref.lanes import add, fma, load, splat, store
from sparse_ref.lanes_select import widen
from sparse_ref.work import WIDTHS, ByWidth


def normalise(x, n, gamma, beta, epsilon, own, mean, variance, out):
    """``out = gamma (x - mean) / sqrt(variance + epsilon) + beta``, channel by channel.

    Parameters
    ----------
    x : (tiles, channels, positions, width)
        C-contiguous.
    n : int
        Examples that are real; with `own`, at least one.
    gamma, beta : (channels,)
    epsilon : float
    own : bool
        Whether mean and variance are those of the batch, and written, or given.
    mean, variance : (channels,) float64
        The variance divides by the number of numbers. Sums are of distances to the channel's first
        number: its square distance to the mean is at most n positions times the variance, so
        cancellation cannot cost more than that many units of float64.
    out : as x
        Written, also in padding.
    """
    kernel = _NORMALISE[x.shape[3]]
    kernel(x, n, gamma, beta, epsilon, own, mean, variance, out)


def normalise_pullback(x, delta, n, gamma, epsilon, own, mean, variance, out, sums):
    """The derivatives by x, and ``sums`` (2, channels) float64: those by gamma and by beta.

    Parameters are as in `normalise`; with `own`, mean and variance depend on x. `out` is 0 in
    padding, whatever `delta` is there.
    """
    kernel = _NORMALISE_PULLBACK[x.shape[3]]
    kernel(x, delta, n, gamma, epsilon, own, mean, variance, out, sums)


@njit(cache=True)
def clear_padding(out, c, n):
    """Zeros in channel `c` behind the `n` examples.

    Padding has no part in the statistics: from norm to norm it could grow until it is not finite,
    and no number times a derivative of zero would be zero any more.
    """
    tiles, _, positions, width = out.shape
    for t in range(n // width, tiles):
        for p in range(positions):
            for k in range(n % width if t == n // width else 0, width):
                out[t, c, p, k] = 0


def _make_normalise(width):
    @njit(parallel=True, cache=True)
    def normalise_channels(x, n, gamma, beta, epsilon, own, mean, variance, out):
        tiles, channels, positions = x.shape[:3]
        full, rest = n // width, n % width
        for c in prange(channels):
            kind, row = x.dtype.type, np.empty((2, width))
            if own:
                shift, first, second = np.float64(x[0, c, 0, 0]), 0.0, 0.0
                back = splat(-shift, width)
                for stage in range(2):  # the full tiles, then the one that is padded
                    begin, end = (0, full) if stage == 0 else (full, full + (rest > 0))
                    sums = splat(0.0, width)
                    squares = sums
                    for t in range(begin, end):
                        base = (t * channels + c) * positions * width
                        for p in range(positions):
                            d = add(widen(load(x, base + p * width, width)), back)
                            sums = add(sums, d)
                            squares = fma(d, d, squares)
                    store(row, 0, sums)
                    store(row, width, squares)
                    for k in range(width if stage == 0 else rest):
                        first += row[0, k]
                        second += row[1, k]
                count = n * positions
                mean[c] = shift + first / count
                variance[c] = max((second - first * (first / count)) / count, 0.0)
            near, steep = kind(mean[c]), gamma[c] / math.sqrt(variance[c] + epsilon)
            scale, back_by = kind(steep), splat(-near, width)
            offset = splat(kind(beta[c] - steep * (mean[c] - near)), width)
            for t in range(tiles):
                base = (t * channels + c) * positions * width
                for p in range(positions):
                    d = add(load(x, base + p * width, width), back_by)
                    store(out, base + p * width, fma(scale, d, offset))
            clear_padding(out, c, n)

    return normalise_channels


def _make_normalise_pullback(width):
    @njit(parallel=True, cache=True)
    def normalise_pullback_channels(x, delta, n, gamma, epsilon, own, mean, variance, out, sums):
        tiles, channels, positions = x.shape[:3]
        full, rest = n // width, n % width
        for c in prange(channels):
            kind, row = x.dtype.type, np.empty((2, width))
            by_beta, by_distance, back = 0.0, 0.0, splat(-mean[c], width)
            for stage in range(2):
                begin, end = (0, full) if stage == 0 else (full, full + (rest > 0))
                deltas = splat(0.0, width)
                along = deltas
                for t in range(begin, end):
                    base = (t * channels + c) * positions * width
                    for p in range(positions):
                        d = widen(load(delta, base + p * width, width))
                        deltas = add(deltas, d)
                        distance = add(widen(load(x, base + p * width, width)), back)
                        along = fma(d, distance, along)
                store(row, 0, deltas)
                store(row, width, along)
                for k in range(width if stage == 0 else rest):
                    by_beta += row[0, k]
                    by_distance += row[1, k]
            inverse = 1.0 / math.sqrt(variance[c] + epsilon)
            sums[0, c], sums[1, c] = by_distance * inverse, by_beta
            scale, count = gamma[c] * inverse, max(1, n * positions)
            near, steep = kind(mean[c]), kind(scale)
            slope = -scale * inverse * inverse * by_distance / count if own else 0.0
            level = -scale * by_beta / count - slope * (mean[c] - near) if own else 0.0
            offset, back_by, bend = splat(kind(level), width), splat(-near, width), kind(slope)
            for t in range(tiles):
                base = (t * channels + c) * positions * width
                for p in range(positions):
                    bent = fma(steep, load(delta, base + p * width, width), offset)
                    d = add(load(x, base + p * width, width), back_by)
                    store(out, base + p * width, fma(bend, d, bent))
            clear_padding(out, c, n)

    return normalise_pullback_channels


_NORMALISE = ByWidth((width, _make_normalise(width)) for width in WIDTHS)
_NORMALISE_PULLBACK = ByWidth((width, _make_normalise_pullback(width)) for width in WIDTHS)
