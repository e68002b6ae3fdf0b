"""Convolution on CSR weights: the product, and its gradients.

Images are tiles, ``(tiles, channels * rows * columns, width)``, where a row of `width` examples is
one register of 64 bytes. The unit of work is a block of rows of one tile: what it reads is copied
once, with zeros around it, and stays near while all channels of the result are made of it. Each
element of a result has one owner and one order of summation. The gradient of a connection sums over
examples and positions: units are dealt to a number of groups that depends on shapes alone, each
adds up its own in order, and the groups' sums are added in order.
"""

import numba
import numpy as np

from sparse_ref import tiles
from sparse_ref.conv.index import ByInput
from sparse_ref.conv.loops import CHANNEL_SUMS, GRADIENTS, PRODUCT, WEIGHT_GRADIENT, add_groups
from sparse_ref.conv.plan import Side, Way, blocks, scratch_size

MOST_GROUPS = 16
GROUPS_BYTES = 1 << 26  # of the groups' sums together, were the weight complete: 64 MB


def product(
    indptr: np.ndarray,
    offsets: np.ndarray,
    data: np.ndarray,
    bias: np.ndarray,
    x: np.ndarray,
    way: Way,
    out: np.ndarray,
) -> None:
    """The convolution of images with a sparse weight.

    Parameters
    ----------
    indptr, offsets, data : (filters + 1,), (nnz,), (nnz,)
        The weight, slots in order: CSR with `sparse_ref.conv.index.forward_offsets` for indices.
    bias : (filters,)
        Starting value of every sum.
    x : (tiles, channels * rows * columns, width)
        C-contiguous.
    way : Way
        `Convolution.forward_way`.
    out : (tiles, filters * output rows * output columns, width)
        Written.
    """
    kernel = PRODUCT[x.shape[2], way.down, way.across]
    kernel(indptr, offsets, data, bias, x, out, _numbers(way), _scratch(way, x))


def gradients(
    index: ByInput,
    data: np.ndarray,
    delta: np.ndarray,
    x: np.ndarray,
    way: Way,
    out: np.ndarray,
    weight_out: np.ndarray,
    n_groups: int,
) -> None:
    """Gradients of inputs and of connections, in one walk over the connections.

    Parameters
    ----------
    index : ByInput
        `sparse_ref.conv.index.by_input`.
    data : (nnz,)
        The weight, in slot order.
    delta : (tiles, filters * output rows * output columns, width)
        Derivative of the loss by the output, zero in padded examples.
    x, way, n_groups
        Inputs; `Convolution.backward_way`; from `groups_of`.
    out : (tiles, channels * rows * columns, width)
        Written.
    weight_out : (nnz,)
        Written, in slot order.
    """
    kernel, by_input = GRADIENTS[x.shape[2], way.down, way.across], data[index.slots]
    sums = tiles.empty((n_groups, len(data)), x.dtype)
    pattern = index.indptr, index.offsets, by_input
    kernel(*pattern, delta, x, out, sums.reshape(-1), n_groups, _numbers(way), _scratch(way, x))
    add_groups(sums, index.slots, weight_out)


def weight_gradient(
    index: ByInput,
    first: int,
    delta: np.ndarray,
    x: np.ndarray,
    way: Way,
    weight_out: np.ndarray,
    n_groups: int,
) -> None:
    """The gradient of connections, or of any positions, with the bits of `gradients`.

    Parameters
    ----------
    index : ByInput
        `sparse_ref.conv.index.by_input` of some filters.
    first : int
        Number in `delta` of the first number (tile 0, example 0) of the first of them.
    delta, x, weight_out, n_groups
        As `gradients`.
    way : Way
        As there, with `channels` the number of these filters.
    """
    kernel = WEIGHT_GRADIENT[x.shape[2], way.down, way.across]
    sums = tiles.empty((n_groups, len(weight_out)), x.dtype)
    pattern = index.indptr, index.offsets
    numbers, scratch = _numbers(way), _scratch(way, x)
    kernel(*pattern, first, delta, x, sums.reshape(-1), n_groups, numbers, scratch)
    add_groups(sums, index.slots, weight_out)


def channel_sums(delta: np.ndarray, out: np.ndarray) -> None:
    """``out[c]``: sum of a channel's numbers, examples and positions together.

    Parameters
    ----------
    delta : (tiles, channels * positions, width)
    out : (channels,)
        Written.
    """
    CHANNEL_SUMS[delta.shape[2]](delta, delta.shape[1] // len(out), out)


def groups_of(n_tiles: int, way: Way, positions: int, itemsize: int) -> int:
    """How many groups sum up gradients of a weight with so many positions."""
    fitting = GROUPS_BYTES // max(1, positions * itemsize)
    most = min(MOST_GROUPS, n_tiles * blocks(way), max(2, fitting))
    return max(1, 1 << most.bit_length() - 1)  # a power of two: threads share them evenly


def _numbers(way):
    """A `Way` as an array: parallel loops take no tuples."""
    parts = (part if isinstance(part, Side) else (part,) for part in way)
    return np.array([number for part in parts for number in part], np.int64)


def _scratch(way, x):
    return tiles.empty((numba.get_num_threads(), scratch_size(way) * x.shape[2]), x.dtype)
