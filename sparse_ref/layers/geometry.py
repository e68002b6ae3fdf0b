"""What a user says of a convolution, turned into `sparse_ref.conv.index.Convolution`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparse_ref.conv.index import Convolution
from sparse_ref.conv.plan import Axis

Pair = int | tuple[int, int]  # one number for both axes, or (vertical, horizontal)
Padding = Pair | tuple[tuple[int, int], tuple[int, int]]  # or ((above, below), (left, right))


def convolution(
    who: str,
    filters: int,
    image: Sequence[int],
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> Convolution:
    """A convolution, if it is one.

    Raises
    ------
    ValueError
        Sizes that are not whole and positive, paddings that are negative, groups that do not
        divide the channels of inputs and outputs, a kernel that is larger than the padded image.
    """
    if np.ndim(image) != 1 or len(image) != 3:
        raise ValueError(f"{who}: image must be (channels, height, width), got {image}")
    channels, *size = _positive(who, "image", image)
    kernels, strides = pair(who, "kernel", kernel), pair(who, "stride", stride)
    dilations = pair(who, "dilation", dilation)
    (groups,) = _positive(who, "groups", (groups,))
    if channels % groups or filters % groups:
        raise ValueError(
            f"{who}: groups must divide the channels of inputs and outputs, {channels} and "
            f"{filters}, got {groups}"
        )
    around = paddings(who, padding)
    each = zip(size, kernels, strides, around, dilations, strict=True)
    rows, columns = (Axis(n, k, s, *p, d) for n, k, s, p, d in each)
    for axis in (rows, columns):
        if axis.outputs < 1:
            raise ValueError(
                f"{who}: kernel must fit into the padded image, got kernel {kernels} with "
                f"dilation {dilations} and padding {around} on an image of {tuple(size)}"
            )
    return Convolution(channels, filters, rows, columns, groups)


def pair(who: str, name: str, value: Any) -> tuple[int, int]:
    """One positive number for both axes, or one for each."""
    both = tuple(value) if hasattr(value, "__len__") else (value, value)
    if len(both) != 2:
        raise ValueError(f"{who}: {name} must be a number or two, got {value}")
    vertical, horizontal = _positive(who, name, both)
    return vertical, horizontal


def paddings(who: str, padding: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """Zeros ``((above, below), (left, right))``."""
    both = tuple(padding) if hasattr(padding, "__len__") else (padding, padding)
    sides = [tuple(side) if hasattr(side, "__len__") else (side, side) for side in both]
    if len(sides) != 2 or any(len(side) != 2 for side in sides):
        raise ValueError(f"{who}: padding must be a number, two, or two pairs, got {padding}")
    for number in (*sides[0], *sides[1]):
        if not _whole(number) or number < 0:
            raise ValueError(f"{who}: padding must be whole and at least 0, got {padding}")
    (above, below), (left, right) = sides
    return (int(above), int(below)), (int(left), int(right))


def _whole(value):
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _positive(who, name, values):
    for value in values:
        if not _whole(value) or value < 1:
            raise ValueError(f"{who}: {name} must be whole and at least 1, got {value}")
    return [int(value) for value in values]
