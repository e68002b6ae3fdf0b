"""The geometry of a convolution, and where its connections read: CSR columns as offsets."""

from typing import NamedTuple

import numpy as np
from numba import njit

from sparse_ref import structure, tiles
from sparse_ref.conv.plan import Axis, Way, backward_way, forward_way


class ByInput(NamedTuple):
    """Connections in the order in which the gradients' kernels walk them."""

    indptr: np.ndarray  # (rows + 1,) a row for each input channel and remainder by the stride
    offsets: np.ndarray  # (nnz,) where each reads in the planes of derivatives, in numbers
    slots: np.ndarray  # (nnz,) slot of each in the weight


class Convolution(NamedTuple):
    """All of a convolution but its weight."""

    channels: int  # of inputs
    filters: int  # channels of outputs
    rows: Axis
    columns: Axis
    groups: int

    @property
    def weight_shape(self) -> tuple[int, int]:
        """``(filters, channels / groups * kernel rows * kernel columns)``."""
        taps = self.rows.kernel * self.columns.kernel
        return self.filters, self.channels // self.groups * taps

    @property
    def image(self) -> tuple[int, int, int]:
        """Shape of an input."""
        return self.channels, self.rows.size, self.columns.size

    @property
    def image_out(self) -> tuple[int, int, int]:
        """Shape of an output."""
        return self.filters, self.rows.outputs, self.columns.outputs

    @property
    def forward_way(self) -> Way:
        """From inputs to outputs."""
        return forward_way(self.channels, self.rows, self.columns)

    @property
    def backward_way(self) -> Way:
        """From derivatives of outputs to those of inputs."""
        return backward_way(self.filters, self.rows, self.columns)

    @property
    def input_rows(self) -> int:
        """Rows of connections in `by_input`: one a channel and remainder by the stride."""
        return self.channels * self.rows.stride * self.columns.stride


def forward_offsets(
    shape: Convolution, indptr: np.ndarray, indices: np.ndarray, width: int
) -> np.ndarray:
    """``(nnz,)`` where each connection reads in the planes of inputs, from its output's index on.

    Parameters
    ----------
    shape : Convolution
    indptr, indices : (filters + 1,), (nnz,)
        CSR pattern of the weight.
    width : int
        Examples per position; the result counts numbers.
    """
    way, index = shape.forward_way, indices.dtype
    channel, row, column = _places(shape, _filters(indptr), indices)
    plane = channel * way.read_rows.planes + shape.rows.remainders[row]
    plane = plane * way.read_columns.planes + shape.columns.remainders[column]
    line = plane * way.plane_rows + shape.rows.shifts[row]
    offsets = (line * way.plane_columns + shape.columns.shifts[column]) * width
    return offsets.astype(index)


def by_input(
    shape: Convolution, indptr: np.ndarray, indices: np.ndarray, width: int, first: int = 0
) -> ByInput:
    """The connections of each input channel and remainder, for the gradients.

    Parameters
    ----------
    shape, width
        As `forward_offsets`.
    indptr, indices : (n + 1,), (nnz,)
        CSR pattern of `n` filters.
    first : int
        Number of the first of them. Offsets count from its derivatives on.
    """
    way, index, local = shape.backward_way, indices.dtype, _filters(indptr)
    channel, row, column = _places(shape, local + first, indices)
    key = channel * shape.rows.stride + shape.rows.remainders[row]
    key = key * shape.columns.stride + shape.columns.remainders[column]
    sizes = shape.input_rows + 1, len(indices), len(indices)
    by_key, filters, slots = (tiles.empty(size, index) for size in sizes)
    structure.transpose(indptr, key.astype(index), by_key, filters, slots)
    line = (
        filters.astype(np.int64) * way.plane_rows + way.shift_rows - shape.rows.shifts[row[slots]]
    )
    offsets = line * way.plane_columns + way.shift_columns - shape.columns.shifts[column[slots]]
    return ByInput(by_key, (offsets * width).astype(index), slots)


def complete_by_input(shape: Convolution, first: int, n: int, width: int) -> ByInput:
    """`by_input` of every position of `n` filters, without a pattern to sort.

    Of one group the filters' connections differ by a constant, filter by filter.
    """
    _, columns = shape.weight_shape
    every = np.arange(columns, dtype=np.int32)
    if shape.groups > 1:
        indptr = np.arange(n + 1, dtype=np.int32) * np.int32(columns)
        return by_input(shape, indptr, np.tile(every, n), width, first)
    one = by_input(shape, np.array([0, columns], np.int32), every, width)
    way, (offsets, slots) = shape.backward_way, tiles.empty((2, n * columns), np.int32)
    repeat(*one, way.plane_rows * way.plane_columns * width, columns, n, offsets, slots)
    return ByInput(one.indptr * np.int32(n), offsets, slots)


@njit(cache=True)
def repeat(indptr, offsets, slots, step, columns, n, out_offsets, out_slots):
    """Each row of connections `n` times, its offsets and slots further on by a constant."""
    to = 0
    for row in range(indptr.size - 1):
        for k in range(n):
            for one in range(indptr[row], indptr[row + 1]):
                out_offsets[to] = offsets[one] + k * step
                out_slots[to] = slots[one] + k * columns
                to += 1


def _filters(indptr):
    return np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))


def _places(shape, filters, indices):
    """Input channel, kernel row and kernel column of each connection."""
    channel, tap = np.divmod(indices.astype(np.int64), shape.rows.kernel * shape.columns.kernel)
    group = filters // (shape.filters // shape.groups)
    return channel + group * (shape.channels // shape.groups), *np.divmod(tap, shape.columns.kernel)
