"""Numba loops on raw arrays: the product with a sparse weight, and its connections' gradients.

Activations are tiles, ``(tiles, features, width)`` with the examples innermost: a row of a tile is
one contiguous run of `width` examples, kept in registers while a kernel walks the connections of
one weight row. Every element of an output has one owner and one order of summation, so results do
not depend on the number of threads.

The product with the transposed weight is `spmm` too, on the transposed pattern
(`sparse_ref.csr.transpose_index`): a gather again, never a scatter that two threads could race for.
"""

import numpy as np
from numba import njit, prange

from sparse_ref.lanes import dot, fma, load, splat, store, total

# Rows a thread takes at a time: enough to hide the hand-out, few enough to share evenly.
ROWS_PER_UNIT = 32
WIDTHS = (8, 16, 32, 64)  # examples per tile row that have a compiled kernel


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


def sddmm(
    indptr: np.ndarray,
    indices: np.ndarray,
    delta: np.ndarray,
    x: np.ndarray,
    out: np.ndarray,
    bias_out: np.ndarray,
) -> None:
    """``out[k] = sum_t <delta[t, row of k], x[t, indices[k]]>``; ``bias_out[i] = sum delta[:, i]``.

    Parameters
    ----------
    indptr, indices : (n_out + 1,), (nnz,)
        The pattern, canonical CSR.
    delta : (tiles, n_out, width)
        Derivative of the loss by the layer's output, zero in padded examples.
    x : (tiles, n_in, width)
        The layer's inputs.
    out, bias_out : (nnz,), (n_out,)
        Written.
    """
    _SDDMM[x.shape[2]](indptr, indices, delta, x, out, bias_out)


def gradient_rows(first: int, delta: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """Rows ``first ... first + len(out)`` of the dense gradient ``sum_t delta[t] @ x[t].T``.

    Every element is summed in the order of `sddmm`, so the gradient of a connection has the same
    bits in both.

    Parameters
    ----------
    first : int
        The first row.
    delta, x : (tiles, n_out, width), (tiles, n_in, width)
        The two factors.
    out : (rows, n_in)
        Written.
    """
    _GRADIENT_ROWS[x.shape[2]](first, delta, x, out)


# A factory's kernels close over the width alone: Numba's cache on disk does not find again what
# closes over another compiled function.


def _make_spmm(width):
    @njit(parallel=True, cache=True)
    def spmm_tiles(indptr, indices, data, bias, x, out):
        tiles, n_in, n_out = x.shape[0], x.shape[1], out.shape[1]
        units = (n_out + ROWS_PER_UNIT - 1) // ROWS_PER_UNIT
        for unit in prange(tiles * units):
            t, first = unit // units, (unit % units) * ROWS_PER_UNIT
            for i in range(first, min(first + ROWS_PER_UNIT, n_out)):
                acc = splat(bias[i], width)
                for k in range(indptr[i], indptr[i + 1]):
                    acc = fma(data[k], load(x, (t * n_in + indices[k]) * width, width), acc)
                store(out, (t * n_out + i) * width, acc)

    return spmm_tiles


def _make_sddmm(width):
    @njit(parallel=True, cache=True)
    def sddmm_tiles(indptr, indices, delta, x, out, bias_out):
        tiles, n_in, n_out = x.shape[0], x.shape[1], delta.shape[1]
        for unit in prange((n_out + ROWS_PER_UNIT - 1) // ROWS_PER_UNIT):
            first = unit * ROWS_PER_UNIT
            for i in range(first, min(first + ROWS_PER_UNIT, n_out)):
                bias_out[i] = 0
                out[indptr[i] : indptr[i + 1]] = 0
                for t in range(tiles):
                    d = load(delta, (t * n_out + i) * width, width)
                    bias_out[i] += total(d)
                    for k in range(indptr[i], indptr[i + 1]):
                        out[k] += dot(d, load(x, (t * n_in + indices[k]) * width, width))

    return sddmm_tiles


def _make_gradient_rows(width):
    @njit(parallel=True, cache=True)
    def gradient_rows_tiles(first, delta, x, out):
        tiles, n_in, n_out = x.shape[0], x.shape[1], delta.shape[1]
        for i in prange(out.shape[0]):
            out[i] = 0
            for t in range(tiles):
                d = load(delta, (t * n_out + first + i) * width, width)
                for j in range(n_in):
                    out[i, j] += dot(d, load(x, (t * n_in + j) * width, width))

    return gradient_rows_tiles


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


class _ByWidth(dict):
    def __missing__(self, width):
        raise ValueError(f"kernels: the width of a tile must be one of {WIDTHS}, got {width}")


_SPMM = _ByWidth((width, _make_spmm(width)) for width in WIDTHS)
_SDDMM = _ByWidth((width, _make_sddmm(width)) for width in WIDTHS)
_GRADIENT_ROWS = _ByWidth((width, _make_gradient_rows(width)) for width in WIDTHS)
