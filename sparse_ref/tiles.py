"""The layout of activations: examples innermost, in tiles that fit registers and caches.

A batch of n examples with f features is an array ``(tiles, f, width)``; example ``e`` stands at
``[e // width, :, e % width]`` and the last tile is padded with zeros. Plain rows ``(f, n)`` would
be as correct, but their stride collides in the cache from about 3000 features on.
"""

import math

import numpy as np

from sparse_ref.kernels import gather_tiles

ALIGNMENT = 64  # bytes: one cache line, so that no load of a full register straddles two
MAX_WIDTH_BYTES = 256  # a tile row is at most four registers of 64 bytes


def width_for(n: int, dtype: np.dtype | type) -> int:
    """Examples per tile for a batch of `n`: 16, 32 or 64 in float32, 8, 16 or 32 in float64.

    The narrowest that holds the batch, else the widest.

    Examples
    --------
    >>> width_for(128, np.float32), width_for(20, np.float32), width_for(3, np.float64)
    (64, 32, 8)
    """
    widest = MAX_WIDTH_BYTES // np.dtype(dtype).itemsize
    return next((w for w in (widest // 4, widest // 2) if n <= w), widest)


def empty(shape: tuple[int, ...], dtype: np.dtype | type) -> np.ndarray:
    """Uninitialised C-contiguous array whose first byte starts a cache line."""
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.empty(n_bytes + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + n_bytes].view(dtype).reshape(shape)


def pack(x: np.ndarray, order: np.ndarray | None = None) -> np.ndarray:
    """The examples `order` of `x` as tiles.

    Parameters
    ----------
    x : (n, features) float32 or float64
        One example a row.
    order : (batch,) int64, optional
        Rows to take; all, in order, if omitted.

    Returns
    -------
    (tiles, features, width)
    """
    order = np.arange(len(x)) if order is None else order
    width = width_for(len(order), x.dtype)
    out = empty((-(-len(order) // width), x.shape[1], width), x.dtype)
    gather_tiles(x, order, out)
    return out


def unpack(tiles: np.ndarray, n: int) -> np.ndarray:
    """The first `n` examples of `tiles` as rows, ``(n, features)``; undoes `pack`."""
    count, features, width = tiles.shape
    return np.ascontiguousarray(tiles.transpose(0, 2, 1).reshape(count * width, features)[:n])
