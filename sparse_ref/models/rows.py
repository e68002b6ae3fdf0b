"""What a table of layers is made of: a model is such a table, and `build` makes a network of it.

A row says what a layer is, not what it is given: sizes of inputs follow from the rows before it.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from sparse_ref import layers
from sparse_ref.layers.base import Layer, Shape

DIVISOR = 8  # of MobileNetV2's numbers of channels


class Full(NamedTuple):
    """Linear layer of that many units; its input must be flat."""

    units: int


class Conv(NamedTuple):
    """Convolution; `filters` None: depthwise, as many as there are channels."""

    filters: int | None
    kernel: int
    stride: int = 1
    padding: int | str = 0  # "same": TensorFlow's, outputs are ceil(size / stride)
    bias: bool = True


class Place(NamedTuple):
    """Where a layer without a weight stands."""

    shape: Shape  # of an example before it
    rng: np.random.Generator  # stream of the last layer with a weight, apart from its weights
    dtype: Any


class Plain(NamedTuple):
    """A layer without a weight, made for its place."""

    make: Callable[[Place], Layer]


class Link(NamedTuple):
    """A `sparse_ref.residual.Residual` of rows."""

    body: Sequence[Any]
    shortcut: Sequence[Any] = ()


Row = Full | Conv | Plain | Link


def group(*rows: Row) -> list[Row]:
    """Rows that belong together in a table."""
    return list(rows)


RELU = Plain(lambda place: layers.ReLU())
RELU6 = Plain(lambda place: layers.ReLU6())
NORM = Plain(lambda place: layers.BatchNorm.initial(place.shape[0], place.dtype))
FLAT = Plain(lambda place: layers.Flatten())
GLOBAL_MEAN = Plain(lambda place: layers.GlobalAvgPool2d(place.shape))
RESPONSE_NORM = Plain(lambda place: layers.LocalResponseNorm(place.shape))
SRELU = Plain(lambda place: layers.SReLU.initial(place.shape[0], place.rng, place.dtype))


def max_pool(kernel: int, stride: int | None = None, padding: int | str = 0) -> Plain:
    """Maxima of windows; `stride` is `kernel` if omitted, `padding` as for `Conv`."""

    def make(place):
        steps = stride or kernel
        around = margins(padding, place.shape, kernel, steps)
        return layers.MaxPool2d(place.shape, kernel, steps, around)

    return Plain(make)


def mean_to(size: int) -> Plain:
    """Means of windows that make an image of `size` times `size`."""
    return Plain(lambda place: layers.AdaptiveAvgPool2d(place.shape, size))


def dropout(rate: float) -> list[Plain]:
    """Rows of dropout: none at rate 0."""
    return [Plain(lambda place: layers.Dropout(rate))] if rate else []


def margins(padding: Any, shape: Shape, kernel: int, stride: int) -> Any:
    """`padding` in the form that layers take."""
    if padding != "same":
        return padding
    return tuple(_same(size, kernel, stride) for size in shape[1:])


def scaled(n: int, width: float) -> int:
    """`width` times `n` channels or units: the nearest whole number, halves up, at least 1."""
    return max(1, math.floor(width * n + 0.5))


def divisible(n: float, divisor: int = DIVISOR) -> int:
    """The multiple of `divisor` that MobileNetV2 takes in place of `n`.

    The nearest, halves up, and at least one `divisor`; the next if that were less than 0.9 `n`.
    """
    nearest = max(divisor, int(n + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * n else nearest


def _same(size, kernel, stride):
    """Rows of zeros before and after, the odd one after."""
    missing = max(0, (-(-size // stride) - 1) * stride + kernel - size)
    return missing // 2, missing - missing // 2
