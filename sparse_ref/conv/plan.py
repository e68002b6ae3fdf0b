"""How a convolution becomes a product with a sparse weight: each connection is one offset.

A kernel reads a copy of some rows of an image with zeros around it, cut into *planes*: one a
channel and, where the stride is s, one for each remainder of row and column by s. In a plane, what
a connection reads for neighbouring outputs lies side by side: output position q, counted along the
rows of a plane, reads number ``q + offset``, and the offset is the connection's own. A strip of
outputs is one contiguous run of numbers, or one in each of two rows, and the loop over the
connections is that of `sparse_ref.kernels.spmm`; padding, stride, dilation and groups are all in
the copy and the offsets.
Zeros behind a row of a plane serve as those before the next one, too.

The input's gradient is read the same way, from planes of the output's derivative; inputs of each
remainder are a row of connections of their own.
"""

from typing import NamedTuple

import numpy as np

SCRATCH_BYTES = 3 << 19  # of planes at a time; half of it was slower, whole images as fast
REGISTER_BYTES = 64  # the examples of one position
# What is computed at a time: rows and columns of neighbouring positions, each one register of
# examples. More at once would not leave registers for both gradients.
STRIPS = ((1, 8), (2, 4), (1, 4), (2, 2))
MOST = 8  # positions of a strip
SHORT, EXTRA = 4, 1.2  # a strip of so few positions takes more time for each of them


class Axis(NamedTuple):
    """One axis of a convolution, in positions."""

    size: int  # of the input
    kernel: int
    stride: int
    before: int  # padding
    after: int
    dilation: int

    @property
    def outputs(self) -> int:
        """Output positions."""
        reach = self.dilation * (self.kernel - 1) + 1
        return (self.size + self.before + self.after - reach) // self.stride + 1

    @property
    def remainders(self) -> np.ndarray:
        """``(kernel,)`` in which plane each kernel position reads."""
        return np.arange(self.kernel) * self.dilation % self.stride

    @property
    def shifts(self) -> np.ndarray:
        """``(kernel,)`` how far from the output's own index it reads there; ascending."""
        return np.arange(self.kernel) * self.dilation // self.stride


class Side(NamedTuple):
    """An axis of images beside that of planes: ``position = step * index + remainder + origin``."""

    size: int  # of the images
    step: int
    planes: int  # remainders
    origin: int


class Way(NamedTuple):
    """From planes of one kind of image to images of another: all that a kernel is told."""

    channels: int  # of the images that are read
    read_rows: Side
    read_columns: Side
    write_rows: Side
    write_columns: Side
    rows: int  # indices that are written in a plane, all blocks together
    columns: int
    block_rows: int  # of them at a time
    shift_rows: int  # furthest that a connection reads beyond the index it writes
    shift_columns: int
    plane_rows: int  # from one plane to the next
    plane_columns: int  # from one row to the next
    down: int  # rows of a strip
    across: int  # its columns
    flat: bool  # strips run on from one row of planes to the next, and over what lies between
    line: int  # from one row of results to the next
    direct: bool  # strips are just what an image is made of: results need no plane of their own


def blocks(way: Way) -> int:
    """How many blocks of rows a tile of images is cut into."""
    return -(-way.rows // way.block_rows)


def result_size(way: Way) -> int:
    """Positions of one plane of results, with what the last strip may write too much."""
    return -(-way.block_rows // way.down) * way.down * way.line + way.across


def tail_size(way: Way) -> int:
    """Positions behind the planes that strips may read, beyond what counts."""
    return (way.down - 1) * way.plane_columns + way.shift_columns + way.across


def scratch_size(way: Way) -> int:
    """Positions that one thread needs: all planes, zeros behind them, two planes of results."""
    planes = way.channels * way.read_rows.planes * way.read_columns.planes
    rows = (planes - 1) * way.plane_rows + way.block_rows + way.shift_rows
    return rows * way.plane_columns + tail_size(way) + 2 * result_size(way)


def forward_way(channels: int, rows: Axis, columns: Axis) -> Way:
    """From inputs of so many channels to outputs."""
    axes = rows, columns
    read = [Side(a.size, a.stride, int(a.remainders.max()) + 1, -a.before) for a in axes]
    write = [Side(a.outputs, 1, 1, 0) for a in axes]
    return _way(channels, axes, read, write, [a.outputs for a in axes])


def backward_way(channels: int, rows: Axis, columns: Axis) -> Way:
    """From derivatives of outputs of so many channels to those of inputs."""
    axes = rows, columns
    firsts = [a.before // a.stride for a in axes]
    counts = [(a.before + a.size - 1) // a.stride - a.before // a.stride + 1 for a in axes]
    pairs = list(zip(axes, firsts, strict=True))
    read = [Side(a.outputs, 1, 1, first - int(a.shifts[-1])) for a, first in pairs]
    write = [Side(a.size, a.stride, a.stride, a.stride * first - a.before) for a, first in pairs]
    return _way(channels, axes, read, write, counts)


def _way(channels, axes, read, write, counts):
    shifts = [int(a.shifts[-1]) for a in axes]
    spans = [count + shift for count, shift in zip(counts, shifts, strict=True)]
    shared = [min(_shared(*pair), shift) for *pair, shift in zip(read, spans, shifts, strict=True)]
    plane_columns = spans[1] - shared[1]
    block_rows, plane_rows = counts[0], spans[0] - shared[0]
    row_bytes = channels * read[0].planes * read[1].planes * plane_columns * REGISTER_BYTES
    if plane_rows * row_bytes > SCRATCH_BYTES:
        least = -(-MOST // counts[1])  # rows for one strip
        fitting = max(least, SCRATCH_BYTES // row_bytes - shifts[0])
        n_blocks = max(1, counts[0] // fitting if fitting == least else -(-counts[0] // fitting))
        block_rows = -(-counts[0] // n_blocks)
        plane_rows = block_rows + shifts[0] if n_blocks > 1 else plane_rows
    strips = _strips(block_rows, counts[1], plane_columns)
    down, across, flat, _ = strips
    fits = not (counts[0] % down or block_rows % down or counts[1] % across)
    images = all(side[1:] == (1, 1, 0) for side in write)  # in one plane, from its first index on
    sides, sizes = (*read, *write), (block_rows, *shifts, plane_rows, plane_columns)
    direct = images and fits and not flat
    return Way._make((channels, *sides, *counts, *sizes, *strips, direct))


def _strips(rows, columns, plane_columns):
    """The strips that compute fewest positions in vain: rows, columns, whether flat, line."""
    span = (rows - 1) * plane_columns + columns
    kinds = []
    for down, across in STRIPS:
        line = -(-columns // across) * across
        aligned = -(-rows // down) * down * line
        kinds.append((aligned, (down, across, False, line)))
        if down == 1:
            kinds.append((-(-span // across) * across, (1, across, True, plane_columns)))
    return min(kinds, key=lambda kind: kind[0] * _price(*kind[1][:2]))[1]


def _price(down, across):
    return EXTRA if down * across <= SHORT else 1.0


def _shared(side, indices):
    """How many zeros at the end of a plane's indices can be those at the next one's beginning."""
    starts = [remainder + side.origin for remainder in range(side.planes)]
    before = [min(indices, max(0, -(start // side.step))) for start in starts]
    behind = [min(indices, max(0, -((start - side.size) // side.step))) for start in starts]
    return min(min(b, indices - e) for b, e in zip(before, behind, strict=True))
