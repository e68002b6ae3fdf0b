"""Compiled: images into planes, results out of planes. See `sparse_ref.conv.plan`."""

from numba import njit

from sparse_ref.conv.plan import Side, Way
from sparse_ref.lanes import at, put


@njit(cache=True)
def way_of(n):
    """The `Way` of an array of its numbers: parallel loops take no tuples."""
    read_rows, read_columns = Side(n[1], n[2], n[3], n[4]), Side(n[5], n[6], n[7], n[8])
    write_rows, write_columns = (
        Side(n[9], n[10], n[11], n[12]),
        Side(n[13], n[14], n[15], n[16]),
    )
    sizes = n[17], n[18], n[19], n[20], n[21], n[22], n[23]
    strips = n[24], n[25], n[26] != 0, n[27], n[28] != 0
    return Way(n[0], read_rows, read_columns, write_rows, write_columns, *sizes, *strips)


@njit(cache=True)
def span_in(side, remainder, indices):
    """Of `indices` in a plane, the first that lies in the image, and the first behind it."""
    start = remainder + side.origin
    first = min(indices, max(0, -(start // side.step)))
    return first, min(indices, max(first, -((start - side.size) // side.step)))


@njit(cache=True)
def copy(source, here, out, there, count):
    """Copy `count` numbers of flat arrays."""
    for k in range(count):
        put(out, there + k, at(source, here + k))


@njit(cache=True)
def clear(out, there, count):
    """Write `count` zeros."""
    for k in range(count):
        put(out, there + k, 0)


@njit(cache=True)
def take_line(image, base, side, remainder, count, out, line, width):
    """A row of an image into a row of a plane, zeros beside it."""
    first, last = span_in(side, remainder, count)
    source = base + (side.step * first + remainder + side.origin) * width
    clear(out, line, first * width)
    if side.step == 1:
        copy(image, source, out, line + first * width, (last - first) * width)
    else:
        for v in range(first, last):
            copy(image, source, out, line + v * width, width)
            source += side.step * width
    clear(out, line + last * width, (count - last) * width)


@njit(cache=True)
def take_plane(image, base, rows, columns, remainders, first, shape, out, plane, width):
    """The rows of a plane from index `first` on; `base` is where the channel begins."""
    count, wide = shape
    for u in range(count):
        line = plane + u * wide * width
        y = rows.step * (first + u) + remainders[0] + rows.origin
        if y < 0 or y >= rows.size:
            clear(out, line, wide * width)
        else:
            row = base + y * columns.size * width
            take_line(image, row, columns, remainders[1], wide, out, line, width)


@njit(cache=True)
def take_planes(image, base, way, block, out, here, width):
    """All that a block of results reads; zeros behind it, which the last strip reads too."""
    rows, columns, wide = way.read_rows, way.read_columns, way.plane_columns
    shape, channel = (
        (way.block_rows + way.shift_rows, wide),
        rows.size * columns.size * width,
    )
    for c in range(way.channels):
        for r in range(rows.planes):
            for s in range(columns.planes):
                from_row = block * way.block_rows
                at_channel = base + c * channel
                take_plane(
                    image,
                    at_channel,
                    rows,
                    columns,
                    (r, s),
                    from_row,
                    shape,
                    out,
                    here,
                    width,
                )
                here += way.plane_rows * wide * width
    here += (shape[0] - way.plane_rows) * wide * width
    clear(out, here, ((way.down - 1) * wide + way.shift_columns + way.across) * width)


@njit(cache=True)
def give_plane(plane, here, way, remainders, block, out, base, width):
    """A plane of results to where they belong in a channel that begins at `base`."""
    rows, columns = way.write_rows, way.write_columns
    left, right = span_in(columns, remainders[1], way.columns)
    for u in range(min(way.block_rows, way.rows - block * way.block_rows)):
        y = rows.step * (block * way.block_rows + u) + remainders[0] + rows.origin
        if 0 <= y < rows.size:
            x = columns.step * left + remainders[1] + columns.origin
            there = base + (y * columns.size + x) * width
            line = here + (u * way.line + left) * width
            if columns.step == 1:
                copy(plane, line, out, there, (right - left) * width)
            else:
                for v in range(right - left):
                    copy(
                        plane,
                        line + v * width,
                        out,
                        there + v * columns.step * width,
                        width,
                    )


@njit(cache=True)
def inputs_plane(x, base, way, remainders, block, out, here, width):
    """A plane of what stands where results are written, zeros between and behind the rows."""
    rows, columns = way.write_rows, way.write_columns
    count = (way.block_rows + way.down - 1) // way.down * way.down
    for u in range(count):
        line = here + u * way.line * width
        y = rows.step * (block * way.block_rows + u) + remainders[0] + rows.origin
        used = 0
        left = min(way.block_rows, way.rows - block * way.block_rows)
        if 0 <= y < rows.size and u < left:
            row, used = base + y * columns.size * width, way.columns
            take_line(x, row, columns, remainders[1], used, out, line, width)
        clear(out, line + used * width, (way.line - used) * width)
    clear(out, here + count * way.line * width, way.across * width)


@njit(cache=True)
def sizes_of(way):
    """Blocks of rows, and positions of a plane of results."""
    blocks = (way.rows + way.block_rows - 1) // way.block_rows
    return blocks, (way.block_rows + way.down - 1) // way.down * way.down * way.line + way.across


@njit(cache=True)
def channel_of(way, width):
    """Numbers of a channel that is written, and its remainders by the stride."""
    rows, columns = way.write_rows, way.write_columns
    return rows.size * columns.size * width, rows.planes * columns.planes


@njit(cache=True)
def place_of(way, i, image, width):
    """Where the channel of a row of connections begins, and which remainders the row is of."""
    channel, remainders = channel_of(way, width)
    columns = way.write_columns.planes
    return image + i // remainders * channel, (i % remainders // columns, i % columns)


@njit(cache=True)
def share_of(units, group, groups):
    """First unit of a group, and the first behind it."""
    return units * group // groups, units * (group + 1) // groups


@njit(cache=True)
def extent(way, block, width):
    """Rows and columns that strips have to cover; numbers from row to row, read and written."""
    rows = min(way.block_rows, way.rows - block * way.block_rows)
    step, line = way.plane_columns * width, way.line * width
    if way.flat:
        return 1, (rows - 1) * way.plane_columns + way.columns, step, line
    return rows, way.columns, step, line
