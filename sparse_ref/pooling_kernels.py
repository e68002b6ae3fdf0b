"""Numba loops of pooling: images of which windows are reduced to their maximum or their mean.

An image is a plane ``(height, width of the image, examples)``; the planes of all channels and tiles
follow each other. Windows are a table per axis: output row i reads the rows ``rows[i, 0] ...
rows[i, 1] - 1``, output column j the columns ``columns[j, 0] ... columns[j, 1] - 1``. Both ends
ascend, so the outputs that read one input row are a run too: the pullback gathers from them, and
each derivative has one owner and one order of summation.
"""

from numba import njit, prange

from sparse_ref.lanes import add, fma, load, splat, store
from sparse_ref.lanes_select import (
    larger,
    load_whole,
    store_whole,
    where_equal,
    where_larger,
)
from sparse_ref.work import WIDTHS, ByWidth


def max_pool(x, rows, columns, reach, out, chosen):
    """Maxima of windows, and which place of its window each came from.

    Parameters
    ----------
    x : (planes, height, wide, width)
        C-contiguous, as all arrays here.
    rows, columns : (n, 2), (m, 2) int64
        First and past last row, first and past last column of the windows; none is empty.
    reach : int
        A place is ``(y - first row) * reach + (x - first column)``; the widest window's columns.
    out, chosen : (planes, n, m, width)
        Written; `chosen` unsigned integers. The first of equal numbers is chosen, the last of
        those that are no numbers.
    """
    _MAX_POOL[x.shape[3]](x, rows, columns, reach, out, chosen)


def max_pool_pullback(delta, chosen, rows, columns, reach, over_rows, over_columns, out):
    """Each derivative goes to the place its maximum came from.

    Parameters
    ----------
    delta, chosen : (planes, n, m, width)
    rows, columns, reach
        As `max_pool`.
    over_rows, over_columns : (height, 2), (wide, 2) int64
        First and past last output that reads an input row, an input column.
    out : (planes, height, wide, width)
        Written.
    """
    kernel = _MAX_POOL_PULLBACK[out.shape[3]]
    kernel(delta, chosen, rows, columns, reach, over_rows, over_columns, out)


def mean_pool(x, rows, columns, weight, out):
    """Sums of windows (of rows, these of columns) times `weight` (n, m); else as `max_pool`."""
    _MEAN_POOL[x.shape[3]](x, rows, columns, weight, out)


def mean_pool_pullback(delta, weight, over_rows, over_columns, out):
    """Each derivative, times its window's weight, goes to all of the window."""
    _MEAN_POOL_PULLBACK[out.shape[3]](delta, weight, over_rows, over_columns, out)


def _make_max_pool(width):
    @njit(parallel=True, cache=True)
    def max_pool_planes(x, rows, columns, reach, out, chosen):
        planes, high, wide = x.shape[:3]
        n, m = out.shape[1:3]
        for plane in prange(planes):
            for i in range(n):
                for j in range(m):
                    top, left = rows[i, 0], columns[j, 0]
                    best = load(x, ((plane * high + top) * wide + left) * width, width)
                    place = splat(x.dtype.type(0), width)
                    for y in range(top, rows[i, 1]):
                        here = (plane * high + y) * wide
                        for c in range(left, columns[j, 1]):
                            value = load(x, (here + c) * width, width)
                            number = x.dtype.type((y - top) * reach + (c - left))
                            place = where_larger(value, best, number, place)
                            best = larger(value, best)
                    there = ((plane * n + i) * m + j) * width
                    store(out, there, best)
                    store_whole(chosen, there, place)

    return max_pool_planes


def _make_max_pool_pullback(width):
    @njit(parallel=True, cache=True)
    def max_pool_pullback_planes(delta, chosen, rows, columns, reach, over_rows, over_columns, out):
        planes, high, wide = out.shape[:3]
        n, m = delta.shape[1:3]
        for plane in prange(planes):
            for y in range(high):
                for c in range(wide):
                    acc = splat(out.dtype.type(0), width)
                    for i in range(over_rows[y, 0], over_rows[y, 1]):
                        for j in range(over_columns[c, 0], over_columns[c, 1]):
                            there = ((plane * n + i) * m + j) * width
                            d = load(delta, there, width)
                            place = load_whole(chosen, there, d)
                            number = (y - rows[i, 0]) * reach + (c - columns[j, 0])
                            acc = add(acc, where_equal(place, out.dtype.type(number), d))
                    store(out, ((plane * high + y) * wide + c) * width, acc)

    return max_pool_pullback_planes


def _make_mean_pool(width):
    @njit(parallel=True, cache=True)
    def mean_pool_planes(x, rows, columns, weight, out):
        planes, high, wide = x.shape[:3]
        n, m = out.shape[1:3]
        for plane in prange(planes):
            zero = splat(x.dtype.type(0), width)
            for i in range(n):
                for j in range(m):
                    total = zero
                    for y in range(rows[i, 0], rows[i, 1]):
                        here, line = (plane * high + y) * wide, zero
                        for c in range(columns[j, 0], columns[j, 1]):
                            line = add(line, load(x, (here + c) * width, width))
                        total = add(total, line)
                    there = ((plane * n + i) * m + j) * width
                    store(out, there, fma(weight[i, j], total, zero))

    return mean_pool_planes


def _make_mean_pool_pullback(width):
    @njit(parallel=True, cache=True)
    def mean_pool_pullback_planes(delta, weight, over_rows, over_columns, out):
        planes, high, wide = out.shape[:3]
        n, m = delta.shape[1:3]
        for plane in prange(planes):
            for y in range(high):
                for c in range(wide):
                    acc = splat(out.dtype.type(0), width)
                    for i in range(over_rows[y, 0], over_rows[y, 1]):
                        for j in range(over_columns[c, 0], over_columns[c, 1]):
                            there = ((plane * n + i) * m + j) * width
                            acc = fma(weight[i, j], load(delta, there, width), acc)
                    store(out, ((plane * high + y) * wide + c) * width, acc)

    return mean_pool_pullback_planes


_MAX_POOL = ByWidth((width, _make_max_pool(width)) for width in WIDTHS)
_MAX_POOL_PULLBACK = ByWidth((width, _make_max_pool_pullback(width)) for width in WIDTHS)
_MEAN_POOL = ByWidth((width, _make_mean_pool(width)) for width in WIDTHS)
_MEAN_POOL_PULLBACK = ByWidth((width, _make_mean_pool_pullback(width)) for width in WIDTHS)
