"""Pooling: maxima and means of windows of images, fixed, adaptive and global.

Activations are images ``(tiles, C * H * W, width)``, flat feature ``(c * H + y) * W + x``. Every
layer here is a table of windows for one of two pairs of kernels (`sparse_ref.pooling_kernels`).
"""

import math
from typing import Any

import numpy as np

from sparse_ref import tiles
from sparse_ref.layers.base import Pullback, Shape, check_tiles
from sparse_ref.layers.geometry import pair
from sparse_ref.layers.windows import adaptive, check_image, readers, sliding_both
from sparse_ref.pooling_kernels import max_pool, max_pool_pullback, mean_pool, mean_pool_pullback


class _Pooling:
    """What all pooling layers share: an image, and a table of windows for each axis.

    Attributes
    ----------
    image, image_out : (channels, height, width)
        Shape of one example before and after.
    """

    def __init__(self, image, rows, columns):
        self.image = image
        self.image_out = (image[0], len(rows), len(columns))
        self._rows, self._columns = rows, columns
        self._readers = readers(rows, image[1]), readers(columns, image[2])

    @property
    def _who(self):
        return type(self).__name__

    def __repr__(self) -> str:
        return f"{self._who}({self.image} -> {self.image_out})"

    def parameters(self) -> dict[str, np.ndarray]:
        """None."""
        return {}

    def shape_after(self, shape: Shape) -> Shape:
        """`image_out`, if `shape` is the layer's image."""
        if tuple(shape) != self.image:
            raise ValueError(f"{self._who}: examples must have shape {self.image}, got {shape}")
        return self.image_out

    def _planes(self, x, image):
        """Activations of `image` as planes, ``(tiles * C, H, W, width)``."""
        if x.dtype not in (np.float32, np.float64):
            raise TypeError(f"{self._who}: activations must be float32 or float64, got {x.dtype}")
        x = check_tiles(self._who, x, math.prod(image), x.dtype)
        return x.reshape(x.shape[0] * image[0], image[1], image[2], x.shape[2])

    def _delta_planes(self, delta, y_shape, dtype):
        """The derivative by the output, which must be like the output."""
        if delta.shape != y_shape or delta.dtype != dtype:
            raise ValueError(
                f"{self._who}: delta must be {dtype} of shape {y_shape}, got {delta.dtype} of "
                f"shape {delta.shape}"
            )
        return self._planes(delta, self.image_out)


class _Max(_Pooling):
    def forward(
        self, x: np.ndarray, rng: np.random.Generator | None = None, n: int | None = None
    ) -> tuple[np.ndarray, Pullback]:
        """See `Layer.forward`.

        What is not a number is larger than any number. The pullback keeps the place of each maximum
        in its window, one byte for each output if no window has more than 256 places; of equal
        maxima the first in scan order gets the derivative.
        """
        planes, reach = self._planes(x, self.image), _longest(self._columns)
        y = _empty_planes(self.image_out, x)
        chosen = tiles.empty(y.shape, np.min_scalar_type(_longest(self._rows) * reach - 1))
        max_pool(planes, self._rows, self._columns, reach, y, chosen)
        y, shape = _tiles(y, self.image_out), planes.shape
        like = y.shape, y.dtype  # and not y itself: the pullback does not keep it alive

        def pullback(delta, wanted=True):
            delta = self._delta_planes(delta, *like)
            out = tiles.empty(shape, delta.dtype)
            where = self._rows, self._columns, reach, *self._readers
            max_pool_pullback(delta, chosen, *where, out)
            return _tiles(out, self.image), None

        return y, pullback

    def at_maxima(self, x: np.ndarray, other: np.ndarray) -> np.ndarray:
        """What `other`, activations like `x`, has where `x` has its maxima.

        The derivative of the output along a direction in the inputs. Of equal maxima the first in
        scan order counts, as in the pullback.
        """
        x, other = self._planes(x, self.image), self._planes(other, self.image)
        best = np.full((len(x), *self.image_out[1:], x.shape[3]), -np.inf, x.dtype)
        out = np.zeros_like(best)
        for dy in range(_longest(self._rows)):
            for dx in range(_longest(self._columns)):
                # Past the end of a short window its last place is seen again.
                rows = np.minimum(self._rows[:, 0] + dy, self._rows[:, 1] - 1)[:, None]
                columns = np.minimum(self._columns[:, 0] + dx, self._columns[:, 1] - 1)
                seen = x[:, rows, columns]
                larger = seen > best
                best[larger] = seen[larger]
                out[larger] = other[:, rows, columns][larger]
        return _tiles(out, self.image_out)


class _Mean(_Pooling):
    def __init__(self, image, rows, columns, divisor):
        super().__init__(image, rows, columns)
        self._weight = 1 / divisor  # (rows, columns) float64

    def forward(
        self, x: np.ndarray, rng: np.random.Generator | None = None, n: int | None = None
    ) -> tuple[np.ndarray, Pullback]:
        """See `Layer.forward`. Rows of a window are summed, then these sums."""
        planes, weight = self._planes(x, self.image), self._weight.astype(x.dtype)
        y = _empty_planes(self.image_out, x)
        mean_pool(planes, self._rows, self._columns, weight, y)
        y, shape = _tiles(y, self.image_out), planes.shape
        like = y.shape, y.dtype

        def pullback(delta, wanted=True):
            delta = self._delta_planes(delta, *like)
            out = tiles.empty(shape, delta.dtype)
            mean_pool_pullback(delta, weight, *self._readers, out)
            return _tiles(out, self.image), None

        return y, pullback


class MaxPool2d(_Max):
    """Maxima of sliding windows.

    Parameters
    ----------
    image : (channels, height, width)
        Shape of one example.
    kernel, stride : int or (vertical, horizontal)
        Size of a window, and the distance between two; `stride` is `kernel` if omitted.
    padding : int, (vertical, horizontal) or ((top, bottom), (left, right))
        Margins that no maximum is taken from; each less than `kernel`. TensorFlow's SAME for a
        3x3 window of stride 2 over an even height and width is ``((0, 1), (0, 1))``.
    ceil : bool
        Whether a window may stick out of the margin at the bottom and at the right, if it begins
        before that.
    """

    def __init__(
        self, image: Shape, kernel: Any, stride: Any = None, padding: Any = 0, ceil: bool = False
    ):
        image = check_image(self._who, image)
        (rows, _), (columns, _) = sliding_both(self._who, image, kernel, stride, padding, ceil)
        super().__init__(image, rows, columns)


class AvgPool2d(_Mean):
    """Means of sliding windows.

    Parameters
    ----------
    image, kernel, stride, padding, ceil
        As `MaxPool2d`; the margins hold zeros.
    count_include_pad : bool
        Whether a mean divides by all of its window that is not beyond the margins, or only by
        what is inside the image.
    """

    def __init__(
        self,
        image: Shape,
        kernel: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil: bool = False,
        count_include_pad: bool = True,
    ):
        image = check_image(self._who, image)
        axes = sliding_both(self._who, image, kernel, stride, padding, ceil)
        (rows, _), (columns, _) = axes
        high, wide = (length if count_include_pad else _lengths(w) for w, length in axes)
        super().__init__(image, rows, columns, np.outer(high, wide))


class AdaptiveMaxPool2d(_Max):
    """Maxima of windows that divide an image into a grid of given size.

    Parameters
    ----------
    image : (channels, height, width)
    size : int or (vertical, horizontal)
        Outputs. Output i of n reads rows ``floor(i H / n)`` to ``ceil((i + 1) H / n) - 1``: windows
        overlap where n does not divide H, and repeat where n is larger.
    """

    def __init__(self, image: Shape, size: Any):
        image = check_image(self._who, image)
        high, wide = pair(self._who, "size", size)
        super().__init__(image, adaptive(image[1], high), adaptive(image[2], wide))


class AdaptiveAvgPool2d(_Mean):
    """Means of windows that divide an image into a grid of given size.

    Parameters
    ----------
    image, size
        As `AdaptiveMaxPool2d`.
    """

    def __init__(self, image: Shape, size: Any):
        image = check_image(self._who, image)
        high, wide = pair(self._who, "size", size)
        rows, columns = adaptive(image[1], high), adaptive(image[2], wide)
        super().__init__(image, rows, columns, np.outer(_lengths(rows), _lengths(columns)))


class GlobalAvgPool2d(AdaptiveAvgPool2d):
    """The mean of each channel: an image (C, H, W) becomes (C, 1, 1)."""

    def __init__(self, image: Shape):
        super().__init__(image, 1)


def _lengths(windows):
    return windows[:, 1] - windows[:, 0]


def _longest(windows):
    return int(_lengths(windows).max())


def _empty_planes(image, like):
    """Planes of as many examples and of the dtype of the activations `like`."""
    return tiles.empty((like.shape[0] * image[0], *image[1:], like.shape[2]), like.dtype)


def _tiles(planes, image):
    """Planes as activations, ``(tiles, C * H * W, width)``."""
    return planes.reshape(len(planes) // image[0], math.prod(image), planes.shape[3])
