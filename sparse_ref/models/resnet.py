"""ResNet-18, for small images and for ImageNet's."""

from typing import Unpack

from sparse_ref.layers.base import Shape
from sparse_ref.models.build import build
from sparse_ref.models.options import Options, require_counts, require_name, require_positive
from sparse_ref.models.rows import (
    FLAT,
    GLOBAL_MEAN,
    NORM,
    RELU,
    Conv,
    Full,
    Link,
    Row,
    group,
    max_pool,
    scaled,
)
from sparse_ref.network import Network

STAGES = (64, 128, 256, 512)
BLOCKS = 2  # in each stage


def resnet18(
    *,
    classes: int = 10,
    image: Shape = (3, 32, 32),
    width: float = 1.0,
    stem: str = "cifar",
    **options: Unpack[Options],
) -> Network:
    """ResNet-18 with projections where the shape changes.

    Of the ``cifar`` stem, 3x3 without a pool, 11,173,962 parameters with 10 classes, 11,220,132
    with 100 and 11,271,432 with 200; of the ``imagenet`` stem, 7x7 of stride 2 and a pool,
    11,689,512 with 1000. Convolutions have no biases.

    Parameters
    ----------
    classes : int
    image : (channels, height, width)
    width : float
        Multiplies channels; the nearest whole number. 0.25 is 16-32-64-128.
    stem : str
        ``cifar`` or ``imagenet``.
    **options
        As `sparse_ref.models.mlp`. `dense` names no layer by default; RigL's networks keep the
        first convolution dense at uniform density, ``dense=(0,)``. Layers are numbered in the order
        they run: the projection of a block comes behind its two convolutions.

    References
    ----------
    He, Zhang, Ren, Sun (2016), "Deep Residual Learning for Image Recognition". Parger2022 counts
    22.4M for it, which is twice the network with 100 classes.
    """
    require_counts("resnet18", classes=classes)
    require_positive("resnet18", width=width)
    require_name("resnet18", "stem", stem, ("cifar", "imagenet"))
    first = scaled(STAGES[0], width)
    if stem == "cifar":
        table: list[Row] = [Conv(first, 3, padding=1, bias=False), NORM, RELU]
    else:
        table = [Conv(first, 7, 2, 3, bias=False), NORM, RELU, max_pool(3, 2, 1)]
    before = first
    for stage, channels in enumerate(STAGES):
        after = scaled(channels, width)
        for block in range(BLOCKS):
            table += _block(before, after, 2 if stage > 0 and block == 0 else 1)
            before = after
    return build("resnet18", [*table, GLOBAL_MEAN, FLAT, Full(classes)], image, **options)


def _block(before: int, after: int, stride: int) -> list[Row]:
    body = [
        *group(Conv(after, 3, stride, 1, bias=False), NORM, RELU),
        *group(Conv(after, 3, padding=1, bias=False), NORM),
    ]
    same = stride == 1 and before == after
    projection = [] if same else [Conv(after, 1, stride, bias=False), NORM]
    return [Link(body, projection), RELU]
