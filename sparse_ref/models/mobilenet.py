"""MobileNetV2."""

from typing import Unpack

from sparse_ref.layers.base import Shape
from sparse_ref.models.build import build, weight_rows
from sparse_ref.models.options import Options, require_counts, require_name, require_positive
from sparse_ref.models.rows import (
    FLAT,
    GLOBAL_MEAN,
    NORM,
    RELU6,
    Conv,
    Full,
    Link,
    Row,
    divisible,
    dropout,
    group,
)
from sparse_ref.network import Network

# Expansion, channels, blocks, stride of the first: table 2 of the paper.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
STEM, LAST = 32, 1280
AT_FULL_SIZE = 2  # stages, the stem apart, that do not halve small images


def mobilenet_v2(
    *,
    classes: int = 10,
    image: Shape = (3, 32, 32),
    width: float = 1.0,
    strides: str = "cifar",
    dropout_rate: float = 0.2,
    **options: Unpack[Options],
) -> Network:
    """MobileNetV2, torchvision's: inverted residuals with depthwise convolutions and ReLU6.

    2,236,682 parameters with 10 classes, 2,351,972 with 100, 2,480,072 with 200, 3,504,872 with
    1000. Convolutions have no biases.

    Parameters
    ----------
    classes : int
    image : (channels, height, width)
    width : float
        Multiplies channels, which become multiples of 8 (`sparse_ref.models.rows.divisible`); the
        last, 1280, is never less.
    strides : str
        ``imagenet``: the paper's. ``cifar``: stem and second stage have stride 1, so that 4 x 4
        positions of 32 x 32 are left; 88.1 million multiplications for an image. Not verified which
        of several such adaptations Parger2022 trains.
    dropout_rate : float
        Before the linear layer.
    **options
        As `sparse_ref.models.mlp`. By default `dense` names the first convolution and all depthwise
        ones, as RigL's experiments do; ``dense=()`` makes every layer sparse, which Parger2022's
        count of empty neurons suggests for its networks.

    References
    ----------
    Sandler, Howard, Zhu, Zhmoginov, Chen (2018), "MobileNetV2". Evci et al. (2020), "Rigging the
    Lottery", section 4.1, for the layers kept dense (not verified against its text). Parger2022
    counts 7.4M, three times the network with 200 classes.
    """
    require_counts("mobilenet_v2", classes=classes)
    require_positive("mobilenet_v2", width=width)
    require_name("mobilenet_v2", "strides", strides, ("cifar", "imagenet"))
    small = strides == "cifar"
    before = divisible(STEM * width)
    table: list[Row] = [Conv(before, 3, 1 if small else 2, 1, bias=False), NORM, RELU6]
    for stage, (expansion, channels, blocks, stride) in enumerate(STAGES):
        after = divisible(channels * width)
        stride = 1 if small and stage < AT_FULL_SIZE else stride
        for block in range(blocks):
            table += _block(before, after, expansion, stride if block == 0 else 1)
            before = after
    last = divisible(LAST * max(1.0, width))
    table += [Conv(last, 1, bias=False), NORM, RELU6, GLOBAL_MEAN, FLAT]
    table += [*dropout(dropout_rate), Full(classes)]
    options.setdefault("dense", _first_and_depthwise(table))
    return build("mobilenet_v2", table, image, **options)


def _block(before: int, after: int, expansion: int, stride: int) -> list[Row]:
    expand: list[Row] = [Conv(before * expansion, 1, bias=False), NORM, RELU6]
    body = [
        *(expand if expansion > 1 else ()),
        *group(Conv(None, 3, stride, 1, bias=False), NORM, RELU6),
        *group(Conv(after, 1, bias=False), NORM),
    ]
    return [Link(body)] if stride == 1 and before == after else body


def _first_and_depthwise(table):
    rows = enumerate(weight_rows(table))
    return [k for k, row in rows if k == 0 or (isinstance(row, Conv) and row.filters is None)]
