"""The layout of activations: examples innermost, in tiles that fit registers and caches.

A batch of n examples with f features is an array ``(tiles, f, width)``; example ``e`` stands at
``[e // width, :, e % width]`` and the last tile is padded with zeros. Plain rows ``(f, n)`` would
be as correct, but their stride collides in the cache from about 3000 features on.
"""

import math
import sys
import threading

import numpy as np

from sparse_ref.elementwise import gather_tiles

ALIGNMENT = 64  # bytes: one cache line, so that no load of a full register straddles two
SPARE = 1 << 26  # bytes that may lie idle in any case: 64 MB; and beyond them,
SHARE = 1.15  # in all so many times what was in use at most; and nothing that has lain idle for
LONG = 2000  # buffers taken since: a training step of the deepest networks takes a few hundred
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


def one_register(dtype: np.dtype | type) -> int:
    """Examples that fill a register of 64 bytes: 16 in float32, 8 in float64; a tile of images."""
    return ALIGNMENT // np.dtype(dtype).itemsize


def empty(shape: int | tuple[int, ...], dtype: np.dtype | type) -> np.ndarray:
    """Uninitialised C-contiguous array whose first byte starts a cache line."""
    shape = shape if isinstance(shape, tuple) else (shape,)
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    return _pool.take(n_bytes).view(dtype).reshape(shape)


def empty_like(array: np.ndarray) -> np.ndarray:
    """`empty` of the shape and dtype of `array`."""
    return empty(array.shape, array.dtype)


class _Pool:
    """Buffers nobody uses any more, to be handed out again.

    A training step needs the same activations as the one before. Left to the C library, each of
    them goes back to the system and comes anew as pages to be zeroed, which cost half of a step. A
    buffer is free when only the pool refers to it: NumPy's views keep a reference to their base.
    """

    def __init__(self):
        self._lock = threading.Lock()  # two threads must not find the same buffer free
        self._buffers: dict[int, list[np.ndarray]] = {}
        self._stamps: dict[int, list[int]] = {}  # of each, its number when it was taken last
        self._taken = self._bytes = self._most_in_use = 0
        self._alone = self._references([np.empty(1, np.uint8)], 0)

    def take(self, n_bytes: int) -> np.ndarray:
        """An aligned buffer of `n_bytes` that is nobody's."""
        with self._lock:
            self._taken += 1
            buffers = self._buffers.get(n_bytes, ())
            free = next(self._free(buffers), None)
            if free is None:
                free = self._grow(n_bytes)
            self._stamps[n_bytes][free] = self._taken
            return _aligned(self._buffers[n_bytes][free], n_bytes)

    def _grow(self, n_bytes):
        """Number of a new buffer among those of its size."""
        self._bytes += n_bytes
        if self._bytes > SPARE:
            self._forget_idle()
        buffers = self._buffers.setdefault(n_bytes, [])
        buffers.append(np.empty(n_bytes + ALIGNMENT, np.uint8))
        self._stamps.setdefault(n_bytes, []).append(0)
        return len(buffers) - 1

    def _references(self, buffers, k):
        return sys.getrefcount(buffers[k])

    def _free(self, buffers):
        return (k for k in range(len(buffers)) if self._references(buffers, k) == self._alone)

    def _forget_idle(self):
        """Before the pool grows, let go of what has been idle for longest, if too much is idle.

        Not of all of it: a backward pass frees what the next forward pass needs. But not of
        nothing either: what a backward pass needs at its end it could not take from the smaller
        buffers of the deeper layers, and all sizes' largest numbers together would be held.
        """
        idle = sorted(
            (self._stamps[size][k], size, k)
            for size, group in self._buffers.items()
            for k in self._free(group)
        )
        in_use = self._bytes - sum(size for _, size, _ in idle)
        self._most_in_use = max(self._most_in_use, in_use)
        most, gone = max(SPARE + in_use, SHARE * self._most_in_use), set()
        for stamp, size, k in idle:
            if self._bytes <= most and self._taken - stamp <= LONG:
                break
            gone.add((size, k))
            self._bytes -= size
        for size in {size for size, _ in gone}:
            kept = [k for k in range(len(self._buffers[size])) if (size, k) not in gone]
            self._buffers[size] = [self._buffers[size][k] for k in kept]
            self._stamps[size] = [self._stamps[size][k] for k in kept]


def _aligned(raw, n_bytes):
    start = -raw.__array_interface__["data"][0] % ALIGNMENT
    return raw[start : start + n_bytes]


_pool = _Pool()


def pack(x: np.ndarray, order: np.ndarray | None = None, width: int | None = None) -> np.ndarray:
    """The examples `order` of `x` as tiles.

    Parameters
    ----------
    x : (n, features) float32 or float64
        One example a row.
    order : (batch,) int64, optional
        Rows to take; all, in order, if omitted.
    width : int, optional
        Examples per tile; `width_for` the batch if omitted.

    Returns
    -------
    (tiles, features, width)
    """
    order = np.arange(len(x)) if order is None else np.asarray(order)
    if order.size and not (order.min() >= 0 and order.max() < len(x)):
        worst = order.min() if order.min() < 0 else order.max()
        raise ValueError(f"pack: order must be in [0, {len(x)}), got {worst}")
    width = width_for(len(order), x.dtype) if width is None else width
    out = empty((-(-len(order) // width), x.shape[1], width), x.dtype)
    gather_tiles(x, order, out)
    return out


def unpack(tiles: np.ndarray, n: int) -> np.ndarray:
    """The first `n` examples of `tiles` as rows, ``(n, features)``; undoes `pack`."""
    count, features, width = tiles.shape
    return np.ascontiguousarray(tiles.transpose(0, 2, 1).reshape(count * width, features)[:n])
