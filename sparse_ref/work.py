"""How a kernel's work is cut: shares for threads, blocks for caches, tiles taken together."""

from numba import njit

WIDTHS = (8, 16, 32, 64)  # examples per tile row that have a compiled kernel
TOGETHER = (2, 1)  # tiles that a gradient kernel takes at a time

SHARES = 64  # of the rows, with as many connections each; threads are dealt some of them
# Rows that are gathered stay in a core's second-level cache while they are used: where they are
# more than this, a kernel takes them block by block, if a block has enough connections a row.
BLOCK_BYTES = 1 << 19
BLOCK_CONNECTIONS = 8


def portions(tiles):
    """``(together, first, last)``: tiles taken two at a time, then the last if it is alone."""
    paired = tiles // 2 * 2
    portions = ((2, 0, paired), (1, paired, tiles))
    return [portion for portion in portions if portion[1] < portion[2]]


@njit(cache=True)
def share(indptr, k):
    """First row of share `k` of `SHARES` when rows are dealt out by their connections."""
    if k == SHARES:
        return indptr.size - 1
    return first_at_least(indptr, indptr[-1] * k // SHARES)


@njit(cache=True)
def first_at_least(ascending, value):
    """Index of the first number of `ascending` that is not below `value`.

    Compiles in a fraction of the time of NumPy's ``searchsorted``, which sits in every kernel.
    """
    low, high = 0, ascending.size
    while low < high:
        middle = (low + high) // 2
        if ascending[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True)
def blocks_of(gathered, row_bytes, nnz, rows):
    """How many blocks to cut `gathered` rows into so that one fits the cache, and is worth it."""
    wanted = (gathered * row_bytes + BLOCK_BYTES - 1) // BLOCK_BYTES
    return max(1, min(wanted, nnz // max(1, BLOCK_CONNECTIONS * rows)))


class ByWidth(dict):
    """Kernels by width, or by width and number of tiles taken together."""

    def __missing__(self, key):
        width = key[0] if isinstance(key, tuple) else key
        raise ValueError(f"kernels: the width of a tile must be one of {WIDTHS}, got {width}")
