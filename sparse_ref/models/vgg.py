"""VGG: torchvision's, the papers' adaptations, and those for images of 32 x 32."""

from collections.abc import Sequence
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
    max_pool,
    mean_to,
    scaled,
)
from sparse_ref.network import Network

# Convolutions of each block: 64, 128, 256, 512 and 512 filters.
BLOCKS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
FILTERS = (64, 128, 256, 512, 512)
LARGE = (4096, 4096)


def vgg11(
    *,
    classes: int = 1000,
    image: Shape = (3, 224, 224),
    width: float = 1.0,
    batch_norm: bool = False,
    dropout_rate: float = 0.5,
    **options: Unpack[Options],
) -> Network:
    """VGG-11, torchvision's: 132,863,336 parameters with 1000 classes (128,807,306 with 10).

    Parameters
    ----------
    classes : int
    image : (channels, height, width)
        At least 32 x 32; the mean over windows that makes 7 x 7 of whatever is left stands before
        the linear layers.
    width : float
        Multiplies channels and hidden units; the nearest whole number.
    batch_norm : bool
        After every convolution, which keeps its bias.
    dropout_rate : float
        After each hidden linear layer.
    **options
        As `sparse_ref.models.mlp`; `dense` names no layer by default.

    References
    ----------
    Simonyan and Zisserman (2015), "Very Deep Convolutional Networks for Large-Scale Image
    Recognition", table 1.
    """
    rows = _features("vgg11", BLOCKS[11], width, batch_norm), mean_to(7)
    return _large("vgg11", rows, image, width, classes, dropout_rate, options)


def vgg16(
    *,
    classes: int = 1000,
    image: Shape = (3, 224, 224),
    width: float = 1.0,
    batch_norm: bool = False,
    dropout_rate: float = 0.5,
    **options: Unpack[Options],
) -> Network:
    """VGG-16, torchvision's: 138,357,544 parameters with 1000 classes, 138,365,992 with batch norm.

    Parameters and source as `vgg11`.
    """
    rows = _features("vgg16", BLOCKS[16], width, batch_norm), mean_to(7)
    return _large("vgg16", rows, image, width, classes, dropout_rate, options)


def vgg16_tiny_imagenet(
    *,
    classes: int = 200,
    image: Shape = (3, 64, 64),
    width: float = 1.0,
    batch_norm: bool = False,
    dropout_rate: float = 0.5,
    **options: Unpack[Options],
) -> Network:
    """VGG-16 for 64 x 64 without its last block and pool: 58,794,504 parameters.

    8192-4096-4096-200 behind ten convolutions; 58,799,880 parameters with batch norm. Parameters as
    `vgg11`.

    References
    ----------
    Parger2022, "58.8M": which layers go was found by counting. Layers 10 and 11 of its Fig. 2 are
    the two of 4096 units. Not verified: batch norm and dropout.
    """
    rows = (_features("vgg16_tiny_imagenet", BLOCKS[16][:4], width, batch_norm),)
    return _large("vgg16_tiny_imagenet", rows, image, width, classes, dropout_rate, options)


def vgg_cifar(
    depth: int = 16,
    *,
    classes: int = 10,
    image: Shape = (3, 32, 32),
    width: float = 1.0,
    batch_norm: bool = True,
    **options: Unpack[Options],
) -> Network:
    """VGG of `depth` for images of 32 x 32, with one linear layer, 512-10.

    With batch norm 9,231,114 parameters (`depth` 11) or 14,728,266 (16), without 9,225,610 or
    14,719,818.

    Parameters
    ----------
    depth : int
        11, 13, 16 or 19.
    classes, image, width, batch_norm
        As `vgg11`.
    **options
        As `sparse_ref.models.mlp`; `dense` names no layer by default.
    """
    require_name("vgg_cifar", "depth", depth, tuple(BLOCKS))
    require_counts("vgg_cifar", classes=classes)
    rows = _features("vgg_cifar", BLOCKS[depth], width, batch_norm)
    return build("vgg_cifar", [*rows, FLAT, Full(classes)], image, **options)


def vgg_like(
    variant: str = "like",
    *,
    classes: int = 10,
    image: Shape = (3, 32, 32),
    width: float = 1.0,
    **options: Unpack[Options],
) -> Network:
    """SNIP's VGG networks for images of 32 x 32, with batch norm after every hidden layer.

    ========  ==================================================================================
    variant   what it is
    ========  ==================================================================================
    ``like``  the convolutions of VGG-16 and two linear layers, 512-512-10
    ``D``     the same and three linear layers, 512-512-512-10
    ``C``     as ``D`` with 1x1 windows, padded by 1, in the third convolution of a block, so that
              2 x 2 positions are left: 2048-512-512-10
    ========  ==================================================================================

    Parameters
    ----------
    variant : str
    classes, image, width
        As `vgg11`.
    **options
        As `sparse_ref.models.mlp`; `dense` names no layer by default.

    References
    ----------
    Lee, Ajanthan, Torr (2019), "SNIP"; numbers as ITOP's ``models.py`` has them. Not verified: that
    in linear layers ReLU stands before batch norm.
    """
    require_name("vgg_like", "variant", variant, ("like", "C", "D"))
    require_counts("vgg_like", classes=classes)
    rows = _features("vgg_like", BLOCKS[16], width, True, third=1 if variant == "C" else 3)
    hidden: list[Row] = [Full(scaled(512, width)), RELU, NORM]
    hidden *= 1 if variant == "like" else 2
    return build("vgg_like", [*rows, FLAT, *hidden, Full(classes)], image, **options)


def _features(
    who: str, blocks: Sequence[int], width: float, batch_norm: bool, third: int = 3
) -> list[Row]:
    """Blocks of convolutions, each with a pool behind it; `third`: kernel of a third one."""
    require_positive(who, width=width)
    rows: list[Row] = []
    for filters, count in zip(FILTERS, blocks, strict=False):
        for number in range(count):
            kernel = third if number == 2 else 3
            conv = Conv(scaled(filters, width), kernel, padding=1)
            rows += [conv, NORM, RELU] if batch_norm else [conv, RELU]
        rows.append(max_pool(2))
    return rows


def _large(who, parts, image, width, classes, rate, options):
    """With the linear layers of the first VGG."""
    require_counts(who, classes=classes)
    features, *pool = parts
    hidden: list[Row] = []
    for units in LARGE:
        hidden += [Full(scaled(units, width)), RELU, *dropout(rate)]
    return build(who, [*features, *pool, FLAT, *hidden, Full(classes)], image, **options)
