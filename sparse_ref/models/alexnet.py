"""AlexNet as torchvision has it, and the small ones of SNIP."""

from typing import Unpack

from sparse_ref.layers.base import Shape
from sparse_ref.models.build import build
from sparse_ref.models.options import Options, require_counts, require_name, require_positive
from sparse_ref.models.rows import (
    FLAT,
    NORM,
    RELU,
    Conv,
    Full,
    Row,
    dropout,
    group,
    max_pool,
    mean_to,
    scaled,
)
from sparse_ref.network import Network

HIDDEN = {"s": 1024, "b": 2048}


def alexnet(
    *,
    classes: int = 1000,
    image: Shape = (3, 224, 224),
    width: float = 1.0,
    dropout_rate: float = 0.5,
    **options: Unpack[Options],
) -> Network:
    """AlexNet, torchvision's: 61,100,840 parameters with 1000 classes.

    Masks2020 counts 1000 outputs and trains 10 (57,044,810).

    Parameters
    ----------
    classes : int
    image : (channels, height, width)
        At least 63 x 63. Masks2020 enlarges MNIST to 224 x 224 and repeats it three times.
    width : float
        Multiplies channels and hidden units; the nearest whole number.
    dropout_rate : float
        Before each of the two hidden linear layers.
    **options
        As `sparse_ref.models.mlp`; `dense` names no layer by default.

    References
    ----------
    Krizhevsky (2014), "One weird trick for parallelizing convolutional neural networks", whose
    numbers of channels torchvision has.
    """
    require_counts("alexnet", classes=classes)
    require_positive("alexnet", width=width)
    first, second, third, fourth, units = (scaled(n, width) for n in (64, 192, 384, 256, 4096))
    table: list[Row] = [
        *group(Conv(first, 11, 4, 2), RELU, max_pool(3, 2)),
        *group(Conv(second, 5, padding=2), RELU, max_pool(3, 2)),
        *group(Conv(third, 3, padding=1), RELU),
        *group(Conv(fourth, 3, padding=1), RELU),
        *group(Conv(fourth, 3, padding=1), RELU, max_pool(3, 2), mean_to(6), FLAT),
        *group(*dropout(dropout_rate), Full(units), RELU),
        *group(*dropout(dropout_rate), Full(units), RELU, Full(classes)),
    ]
    return build("alexnet", table, image, **options)


def snip_alexnet(
    variant: str = "s",
    *,
    classes: int = 10,
    image: Shape = (3, 32, 32),
    width: float = 1.0,
    **options: Unpack[Options],
) -> Network:
    """AlexNet-s and -b of SNIP: five convolutions of stride 2, no pools, batch norm everywhere.

    5,077,066 parameters (``s``, 1024 hidden units) or 8,501,322 (``b``, 2048) with 10 classes and
    images of 32 x 32.

    Parameters
    ----------
    variant : str
        ``s`` or ``b``.
    classes, image, width
        As `alexnet`.
    **options
        As `sparse_ref.models.mlp`; `dense` names no layer by default.

    References
    ----------
    Lee, Ajanthan, Torr (2019), "SNIP"; numbers as ITOP's ``models.py`` has them. Not verified: that
    ReLU stands before batch norm in linear layers and behind it in convolutions.
    """
    require_name("snip_alexnet", "variant", variant, tuple(HIDDEN))
    require_counts("snip_alexnet", classes=classes)
    require_positive("snip_alexnet", width=width)
    sizes = (96, 11, 2), (256, 5, 2), (384, 3, 1), (384, 3, 1), (256, 3, 1)
    table: list[Row] = []
    for filters, kernel, padding in sizes:
        table += [Conv(scaled(filters, width), kernel, 2, padding), NORM, RELU]
    units = scaled(HIDDEN[variant], width)
    table += [FLAT, Full(units), RELU, NORM, Full(units), RELU, NORM, Full(classes)]
    return build("snip_alexnet", table, image, **options)
