"""Numba loops over the dense gradient ``sum_t delta[t] @ x[t].T``, some rows at a time.

RigL and its relatives look at the gradient of connections that do not exist. Nothing here holds
more than a block of rows. Every element is summed in the order of `sparse_ref.kernels.sddmm`, so
the gradient of a connection has the same bits in both, and no choice depends on a BLAS.
"""

import numpy as np
from numba import njit, prange

from sparse_ref import tiles
from sparse_ref.lanes import (
    add,
    at,
    beyond,
    dot,
    dots,
    load,
    load_rows,
    lowest_bit,
    part,
    put,
    splat,
    store,
)
from sparse_ref.work import TOGETHER, WIDTHS, ByWidth, first_at_least, portions

CHUNK = 16  # gradients compared at a time
SCAN_SHARES = 8  # of a block, for the threads
COLUMN_BLOCK = 64  # rows of x that stay near while all rows of a block of delta pass


def gradient_rows(first: int, delta: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """Rows ``first ... first + rows`` and the first columns of the dense gradient.

    Parameters
    ----------
    first : int
        The first row.
    delta, x : (tiles, n_out, width), (tiles, n_in, width)
        The two factors, C-contiguous.
    out : (rows, columns)
        Written; at most n_in columns.
    """
    if x.shape[0] == 0:
        out.fill(0)
    for together, begin, end in portions(x.shape[0]):
        kernel = _GRADIENT_ROWS[x.shape[2], together]
        kernel(first, delta[begin:end], x[begin:end], begin == 0, out)


def scan(
    block: np.ndarray, start: int, kept: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Absent connections in a part of the dense gradient with ``|gradient|`` above `threshold`.

    Parameters
    ----------
    block : (n,)
        Gradients of flat positions ``start ...``; used up.
    kept : (m,) int64
        Flat positions in the layer that are not absent, ascending.
    threshold : float
        -1 admits every absent connection.

    Returns
    -------
    positions : (k,) int64, ascending
        Flat positions in the layer.
    scores : (k,)
        ``|gradient|`` there; what is not a number is among them if `threshold` is not -1.
    """
    mark = block.dtype.type(0 if threshold >= 0 else np.nan)
    found = tiles.empty(block.shape, np.int32)
    n = beyond_threshold(block, start, kept, block.dtype.type(threshold), mark, found)
    scores = np.abs(block[found[:n]])
    if threshold >= 0:
        return found[:n] + np.int64(start), scores
    absent = scores == scores  # the others are marks
    return found[:n][absent] + np.int64(start), scores[absent]


@njit(parallel=True, cache=True)
def beyond_threshold(block, start, kept, threshold, mark, out):
    """Write `mark` where `kept` is, then the indices of what exceeds the threshold; count them."""
    found = np.empty(SCAN_SHARES, np.int64)
    for unit in prange(SCAN_SHARES):
        first = block.size * unit // SCAN_SHARES // CHUNK * CHUNK
        last = block.size * (unit + 1) // SCAN_SHARES // CHUNK * CHUNK
        if unit == SCAN_SHARES - 1:
            last = block.size
        left, right = first_at_least(kept, start + first), first_at_least(kept, start + last)
        for k in range(left, right):
            put(block, at(kept, k) - start, mark)
        n = first
        for j in range(first, last, CHUNK):
            bits = 0
            if j + CHUNK <= last:
                bits = beyond(load(block, j, CHUNK), threshold)
            else:
                for lane in range(last - j):
                    bits |= (not abs(at(block, j + lane)) <= threshold) << lane
            while bits:
                put(out, n, j + lowest_bit(bits))
                n, bits = n + 1, bits & (bits - 1)
        found[unit] = n - first
    total = 0
    for unit in range(SCAN_SHARES):
        first = block.size * unit // SCAN_SHARES // CHUNK * CHUNK
        for m in range(found[unit]):
            put(out, total + m, at(out, first + m))
        total += found[unit]
    return total


def _make_gradient_rows(width, together):
    @njit(parallel=True, cache=True)
    def gradient_rows_tiles(first, delta, x, fresh, out):
        tiles, n_out, rows, n_in = x.shape[0], delta.shape[1], out.shape[0], out.shape[1]
        step_x, step_d, four_rows = x.shape[1] * width, n_out * width, rows // 4 * 4
        for block in prange((n_in + COLUMN_BLOCK - 1) // COLUMN_BLOCK):
            left, right = block * COLUMN_BLOCK, min((block + 1) * COLUMN_BLOCK, n_in)
            fours = left + (right - left) // 4 * 4
            for t in range(0, tiles, together):
                new = fresh and t == 0
                for i in range(0, four_rows, 4):
                    at_d = (t * n_out + first + i) * width
                    for j in range(left, fours, 4):
                        at_x = t * step_x + j * width
                        sums = dots(delta, at_d, step_d, x, at_x, step_x, width, together)
                        add_four_rows(out, i * n_in + j, n_in, sums, new)
                for i in range(rows):  # what does not come in fours
                    d = load_rows(delta, (t * n_out + first + i) * width, step_d, width, together)
                    for j in range(fours if i < four_rows else left, right):
                        at_x = t * step_x + j * width
                        one = dot(d, load_rows(x, at_x, step_x, width, together))
                        out[i, j] = (0 if new else out[i, j]) + one

    return gradient_rows_tiles


@njit(cache=True)
def add_four_rows(out, here, n_in, sums, new):
    """Add four sums to each of four rows of `out`, or to zeros if they are `new`."""
    add_row(out, here, part(sums, 0, 4), new)
    add_row(out, here + n_in, part(sums, 4, 4), new)
    add_row(out, here + 2 * n_in, part(sums, 8, 4), new)
    add_row(out, here + 3 * n_in, part(sums, 12, 4), new)


@njit(cache=True)
def add_row(out, here, sums, new):
    """Add sums to what is `here`, or to zeros: a sum of -0.0 becomes 0.0, as in `sddmm`."""
    before = splat(out.dtype.type(0), 4)
    if not new:
        before = load(out, here, 4)
    store(out, here, add(before, sums))


_GRADIENT_ROWS = ByWidth(
    ((w, together), _make_gradient_rows(w, together)) for w in WIDTHS for together in TOGETHER
)
