"""Which windows a pooling layer reads: a table per axis, and the inverse of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparse_ref.layers.geometry import paddings, pair


def check_image(who: str, image: Any) -> tuple[int, int, int]:
    """Return an image's shape as three whole numbers, or say why it is none."""
    shape = tuple(image) if isinstance(image, Sequence | np.ndarray) else (image,)
    if len(shape) != 3 or not all(_whole(size) and size >= 1 for size in shape):
        raise ValueError(
            f"{who}: image must be (channels, height, width), each at least 1, got {image}"
        )
    channels, height, wide = map(int, shape)
    return channels, height, wide


def sliding_both(
    who: str, image: tuple[int, int, int], kernel: Any, stride: Any, padding: Any, ceil: bool
) -> list[tuple[np.ndarray, np.ndarray]]:
    """`sliding` for the vertical and the horizontal axis, of arguments not checked before."""
    kernels = pair(who, "kernel", kernel)
    strides = kernels if stride is None else pair(who, "stride", stride)
    both = paddings(who, padding)
    for size, length, margin in zip(image[1:], kernels, both, strict=True):
        if max(margin) >= length:
            raise ValueError(f"{who}: padding must be less than kernel {kernel}, got {padding}")
        if length > size + sum(margin):
            raise ValueError(f"{who}: kernel must fit the padded image {image}, got {kernel}")
    axes = zip(image[1:], kernels, strides, both, strict=True)
    return [sliding(*axis, ceil) for axis in axes]


def sliding(
    size: int, kernel: int, stride: int, margin: tuple[int, int], ceil: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Windows of `kernel` every `stride` over an axis with a margin on either side.

    Parameters
    ----------
    size, kernel, stride : int
    margin : (before, after)
        Each less than `kernel`, so that no window is empty.
    ceil : bool
        Whether a window may stick out of the margin after the axis, if it begins before that.

    Returns
    -------
    inside : (n, 2) int64
        First and past last position of each window, without the margins.
    length : (n,) int64
        Positions of each window with the margins, which is what a mean may divide by.
    """
    before, after = margin
    n = (size + before + after - kernel + (stride - 1 if ceil else 0)) // stride + 1
    if ceil and (n - 1) * stride >= size + before:
        n -= 1
    first = np.arange(n, dtype=np.int64) * stride - before
    last = np.minimum(first + kernel, size + after)
    inside = np.stack([np.maximum(first, 0), np.minimum(last, size)], axis=1)
    return inside, last - first


def adaptive(size: int, n: int) -> np.ndarray:
    """`n` windows that cover an axis as evenly as whole positions allow, ``(n, 2)`` int64.

    Window i begins at ``floor(i size / n)`` and ends before ``ceil((i + 1) size / n)``; where n
    does not divide the size, neighbours overlap.
    """
    k = np.arange(n, dtype=np.int64)
    return np.stack([k * size // n, -(-(k + 1) * size // n)], axis=1)


def readers(windows: np.ndarray, size: int) -> np.ndarray:
    """First and past last window that reads each position of an axis, ``(size, 2)`` int64."""
    k = np.arange(size)
    first = np.searchsorted(windows[:, 1], k, side="right")
    last = np.searchsorted(windows[:, 0], k, side="right")
    return np.stack([first, np.maximum(first, last)], axis=1).astype(np.int64)


def _whole(number):
    return isinstance(number, int | np.integer) and not isinstance(number, bool)
