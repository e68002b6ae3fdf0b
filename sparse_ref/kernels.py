"""Numba loops on raw arrays: the product with a sparse weight, and its gradients.

Activations are tiles, ``(tiles, features, width)`` with the examples innermost: a row of a tile is
one contiguous run of `width` examples, kept in registers while a kernel walks the connections of
one weight row. Every element of an output has one owner and one order of summation, so results do
not depend on the number of threads.

Gradients sum over examples. Tiles are taken two at a time, the last one alone if their number is
odd; the products of two tiles are summed by one `lanes.dot`, the sums added in the order of tiles.
"""

import numpy as np
from numba import njit, prange

from sparse_ref.lanes import (
    add,
    at,
    dot,
    fma,
    halve,
    lane,
    load,
    load_rows,
    prefetch,
    products,
    put,
    splat,
    store,
    store_rows,
    total,
)
from sparse_ref.work import SHARES, TOGETHER, WIDTHS, ByWidth, blocks_of, portions, share

FAR_BYTES = 1 << 22  # beyond this the next rows are asked for ahead of their use
AHEAD = 16  # connections


def spmm(
    indptr: np.ndarray,
    indices: np.ndarray,
    data: np.ndarray,
    bias: np.ndarray,
    x: np.ndarray,
    out: np.ndarray,
) -> None:
    """``out[t, i] = bias[i] + sum_k data[k] * x[t, indices[k]]``, slots k of row i in order.

    Parameters
    ----------
    indptr, indices, data : (n_out + 1,), (nnz,), (nnz,)
        The weight, canonical CSR.
    bias : (n_out,)
        Starting value of every sum.
    x : (tiles, n_in, width)
        Inputs, C-contiguous.
    out : (tiles, n_out, width)
        Written.
    """
    _SPMM[x.shape[2]](indptr, indices, data, bias, x, out)


def backward(
    indptr: np.ndarray,
    rows: np.ndarray,
    slots: np.ndarray,
    data: np.ndarray,
    delta: np.ndarray,
    x: np.ndarray,
    out: np.ndarray,
    weight_out: np.ndarray,
) -> None:
    """Input gradient ``W.T @ delta`` and weight gradient in one walk over the connections.

    ``out[t, j] = sum_k data[slots[k]] * delta[t, rows[k]]`` and ``weight_out[slots[k]] =
    sum_t <delta[t, rows[k]], x[t, j]>``, k over the connections of input j: each row of `delta` is
    fetched once for both.

    Parameters
    ----------
    indptr, rows, slots : (n_in + 1,), (nnz,), (nnz,)
        The pattern by input unit, `sparse_ref.csr.TransposedIndex`.
    data : (nnz,)
        The weight's values in slot order.
    delta : (tiles, n_out, width)
        Derivative of the loss by the layer's output, zero in padded examples.
    x : (tiles, n_in, width)
        The layer's inputs.
    out : (tiles, n_in, width)
        Written.
    weight_out : (nnz,)
        Written, in slot order; the bits of `sddmm`.
    """
    weight_out.fill(0)
    for together, first, last in portions(x.shape[0]):
        kernel = _BACKWARD[x.shape[2], together]
        part = slice(first, last)
        kernel(indptr, rows, slots, data, delta[part], x[part], out[part], weight_out)


def sddmm(
    indptr: np.ndarray, indices: np.ndarray, delta: np.ndarray, x: np.ndarray, out: np.ndarray
) -> None:
    """``out[k] = sum_t <delta[t, row of k], x[t, indices[k]]>``: the gradient of the connections.

    Parameters
    ----------
    indptr, indices : (n_out + 1,), (nnz,)
        The pattern, canonical CSR.
    delta, x : (tiles, n_out, width), (tiles, n_in, width)
        As `backward`.
    out : (nnz,)
        Written.
    """
    out.fill(0)
    for together, first, last in portions(x.shape[0]):
        kernel = _SDDMM[x.shape[2], together]
        kernel(indptr, indices, delta[first:last], x[first:last], out)


def bias_gradient(delta: np.ndarray, out: np.ndarray) -> None:
    """``out[i] = sum_t total(delta[t, i])``.

    Parameters
    ----------
    delta : (tiles, n_out, width)
    out : (n_out,)
        Written.
    """
    _BIAS_GRADIENT[delta.shape[2]](delta, out)


@njit(cache=True)
def slot_of(k, slots, last, data, weight_out):
    """``slots[k]``; on the way, what a later connection needs is asked for."""
    later = at(slots, min(k + AHEAD, last))
    prefetch(data, later, 1)
    prefetch(weight_out, later, 1)
    return at(slots, k)


# A factory's kernels close over numbers alone: Numba's cache on disk does not find again what
# closes over another compiled function. `n` is the number of tiles that are taken together.


def _make_spmm(width):
    @njit(parallel=True, cache=True)
    def spmm_tiles(indptr, indices, data, bias, x, out):
        tiles, n_in, n_out = x.shape[0], x.shape[1], out.shape[1]
        far, last = n_in * width * x.itemsize > FAR_BYTES, indices.size - 1
        for unit in prange(tiles * SHARES):
            t, part = unit // SHARES, unit % SHARES
            base = t * n_in * width
            for i in range(share(indptr, part), share(indptr, part + 1)):
                acc = splat(bias[i], width)
                for k in range(at(indptr, i), at(indptr, i + 1)):
                    if far:
                        prefetch(x, base + at(indices, min(k + AHEAD, last)) * width, width)
                    acc = fma(at(data, k), load(x, base + at(indices, k) * width, width), acc)
                store(out, (t * n_out + i) * width, acc)

    return spmm_tiles


# Four connections at a time share the steps in which their dot products are halved. What is
# asked for ahead stands between them for another reason too: the compiler does not load across
# it, and so does not run out of registers by loading all four rows at once.
def _make_backward(width, n):
    wide = width * n

    @njit(parallel=True, cache=True)
    def backward_tiles(indptr, rows, slots, data, delta, x, out, weight_out):
        tiles, n_in, n_out, last = x.shape[0], x.shape[1], delta.shape[1], slots.size - 1
        step_x, step_d, reached = n_in * width, n_out * width, np.empty(n_in, np.int64)
        blocks = blocks_of(n_out, wide * x.itemsize, slots.size, n_in)
        for visit in range((tiles + n - 1) // n * blocks):
            t, block = visit // blocks * n, visit % blocks
            base, stop = t * n_out * width, (block + 1) * n_out // blocks
            for unit in prange(SHARES):
                for j in range(share(indptr, unit), share(indptr, unit + 1)):
                    here, k, end = (t * n_in + j) * width, at(indptr, j), at(indptr, j + 1)
                    inputs = load_rows(x, here, step_x, width, n)
                    acc = splat(x.dtype.type(0), wide)
                    if block > 0:
                        k, acc = reached[j], load_rows(out, here, step_x, width, n)
                    while k + 3 < end and at(rows, k + 3) < stop:
                        a = slot_of(k, slots, last, data, weight_out)
                        d = load_rows(delta, base + at(rows, k) * width, step_d, width, n)
                        acc, p = fma(at(data, a), d, acc), products(d, inputs)
                        b = slot_of(k + 1, slots, last, data, weight_out)
                        d = load_rows(delta, base + at(rows, k + 1) * width, step_d, width, n)
                        acc, q = fma(at(data, b), d, acc), products(d, inputs)
                        c = slot_of(k + 2, slots, last, data, weight_out)
                        d = load_rows(delta, base + at(rows, k + 2) * width, step_d, width, n)
                        acc, r = fma(at(data, c), d, acc), products(d, inputs)
                        e = slot_of(k + 3, slots, last, data, weight_out)
                        d = load_rows(delta, base + at(rows, k + 3) * width, step_d, width, n)
                        acc, s = fma(at(data, e), d, acc), products(d, inputs)
                        add_four(weight_out, a, b, c, e, halve(p, q, r, s))
                        k += 4
                    while k < end and at(rows, k) < stop:
                        a = slot_of(k, slots, last, data, weight_out)
                        d = load_rows(delta, base + at(rows, k) * width, step_d, width, n)
                        acc = fma(at(data, a), d, acc)
                        put(weight_out, a, at(weight_out, a) + dot(d, inputs))
                        k += 1
                    reached[j] = k
                    store_rows(out, here, step_x, width, acc)

    return backward_tiles


@njit(cache=True)
def add_four(out, a, b, c, d, sums):
    """Add four sums to ``out[a], out[b], out[c], out[d]``."""
    put(out, a, at(out, a) + lane(sums, 0))
    put(out, b, at(out, b) + lane(sums, 1))
    put(out, c, at(out, c) + lane(sums, 2))
    put(out, d, at(out, d) + lane(sums, 3))


def _make_sddmm(width, n):
    @njit(parallel=True, cache=True)
    def sddmm_tiles(indptr, indices, delta, x, out):
        tiles, n_in, n_out = x.shape[0], x.shape[1], delta.shape[1]
        step_x, step_d, reached = n_in * width, n_out * width, np.empty(n_out, np.int64)
        blocks = blocks_of(n_in, width * n * x.itemsize, indices.size, n_out)
        for visit in range((tiles + n - 1) // n * blocks):
            t, block = visit // blocks * n, visit % blocks
            base, stop = t * n_in * width, (block + 1) * n_in // blocks
            for unit in prange(SHARES):
                for i in range(share(indptr, unit), share(indptr, unit + 1)):
                    d = load_rows(delta, (t * n_out + i) * width, step_d, width, n)
                    k, end = at(indptr, i) if block == 0 else reached[i], at(indptr, i + 1)
                    while k + 3 < end and at(indices, k + 3) < stop:
                        a, b = base + at(indices, k) * width, base + at(indices, k + 1) * width
                        p = products(d, load_rows(x, a, step_x, width, n))
                        q = products(d, load_rows(x, b, step_x, width, n))
                        a, b = base + at(indices, k + 2) * width, base + at(indices, k + 3) * width
                        r = products(d, load_rows(x, a, step_x, width, n))
                        s = products(d, load_rows(x, b, step_x, width, n))
                        store(out, k, add(load(out, k, 4), halve(p, q, r, s)))
                        k += 4
                    while k < end and at(indices, k) < stop:
                        a = base + at(indices, k) * width
                        put(out, k, at(out, k) + dot(d, load_rows(x, a, step_x, width, n)))
                        k += 1
                    reached[i] = k

    return sddmm_tiles


def _make_bias_gradient(width):
    @njit(parallel=True, cache=True)
    def bias_gradient_tiles(delta, out):
        tiles, n_out = delta.shape[0], delta.shape[1]
        for i in prange(n_out):
            out[i] = 0
            for t in range(tiles):
                out[i] += total(load(delta, (t * n_out + i) * width, width))

    return bias_gradient_tiles


def _both(make):
    return ByWidth(((w, together), make(w, together)) for w in WIDTHS for together in TOGETHER)


_SPMM = ByWidth((width, _make_spmm(width)) for width in WIDTHS)
_BACKWARD = _both(_make_backward)
_SDDMM = _both(_make_sddmm)
_BIAS_GRADIENT = ByWidth((width, _make_bias_gradient(width)) for width in WIDTHS)
