"""LeNet-5, which is five different networks."""

from collections.abc import Callable
from typing import Unpack

from sparse_ref.layers.base import Shape
from sparse_ref.models.build import build
from sparse_ref.models.mlp import LOGITS_ACTIVATIONS
from sparse_ref.models.options import Options, require_counts, require_name, require_positive
from sparse_ref.models.rows import (
    FLAT,
    RELU,
    RESPONSE_NORM,
    Conv,
    Full,
    Row,
    group,
    max_pool,
    scaled,
)
from sparse_ref.network import Network


def lenet_5(
    variant: str = "A",
    *,
    classes: int = 10,
    image: Shape | None = None,
    width: float = 1.0,
    response_norm: bool | None = None,
    logits_activation: str = "none",
    **options: Unpack[Options],
) -> Network:
    """LeNet-5 in one of the variants that papers mean by the name.

    =======  ============  ===========================================  ==========================
    variant  image         layers                                       weights, with biases
    =======  ============  ===========================================  ==========================
    ``A``    1 x 28 x 28   6@3x3, pool, 16@3x3, pool, 120, 84           59,838, 60,074: Masks2020
    ``B``    1 x 32 x 32   6@5x5, pool, 16@5x5, pool, 120, 84           61,470, 61,706: rigl_tf2
    ``C``    1 x 28 x 28   20@5x5, pool, 50@5x5, pool, 500              430,500, 431,080: Caffe
    ``D``    1 x 28 x 28   20@5x5, pool, norm, 50@5x5, norm, pool, 384  970,140, 970,604: Alford2018
    ``D'``   3 x 24 x 24   the same, pools of 3x3                       721,540, 722,004: Alford2018
    =======  ============  ===========================================  ==========================

    ReLU follows every layer but the last. Pools are maxima of 2x2; in ``D`` and ``D'`` convolutions
    keep the size, pools of 3x3 have stride 2, and local response normalisation (TensorFlow's with
    depth_radius 4, bias 1, alpha 0.001 / 9, beta 0.75) stands at ``norm``, in ``D'`` only at the
    first. Not verified: that ``B`` has maxima and not means.

    Parameters
    ----------
    variant : str
    classes : int
    image : (channels, height, width), optional
        In place of the variant's.
    width : float
        Multiplies channels and units of hidden layers (`sparse_ref.models.rows.scaled`: the nearest
        whole number); of ``D`` and ``D'`` the second convolution's only, as Alford2018 does.
    response_norm : bool, optional
        Of ``D`` and ``D'``, which have it unless this is False.
    logits_activation : str
        As of `sparse_ref.models.mlp`: ``relu`` in the program of Alford2018.
    **options
        As `sparse_ref.models.mlp`. By default `dense` names no layer; of ``D`` and ``D'`` the first
        and the last, since Alford2018 makes the two between sparse.

    References
    ----------
    A: iclr-8dafb2ab/iterative-pruning-reinit, ``models.py`` (PyTorch's tutorial). B:
    google-research/rigl, ``rigl_tf2/networks.py``. C: ``LeNet_5_Caffe`` of the code that goes with
    Liu et al. (2021), "Do We Actually Need Dense Over-Parameterization?". D: Kepner-sparse-nn,
    ``inference.py``.
    """
    require_name("lenet_5", "variant", variant, tuple(TABLES))
    require_counts("lenet_5", classes=classes)
    require_positive("lenet_5", width=width)
    require_name("lenet_5", "logits_activation", logits_activation, tuple(LOGITS_ACTIVATIONS))
    alford = variant in ("D", "D'")
    if response_norm is not None and not alford:
        raise ValueError(
            f"lenet_5: response_norm is of variants D and D' only, got {response_norm} with "
            f"{variant}"
        )
    table = TABLES[variant](width)
    if response_norm is False:
        table = [row for row in table if row is not RESPONSE_NORM]
    if alford:
        options.setdefault("dense", (0, -1))
    shape = IMAGES[variant] if image is None else image
    outputs = Full(classes), *LOGITS_ACTIVATIONS[logits_activation]
    return build("lenet_5", [*table, *outputs], shape, **options)


def _tutorial(kernel: int) -> Callable[[float], list[Row]]:
    def table(width: float) -> list[Row]:
        return [
            *group(Conv(scaled(6, width), kernel), RELU, max_pool(2)),
            *group(Conv(scaled(16, width), kernel), RELU, max_pool(2), FLAT),
            *group(Full(scaled(120, width)), RELU, Full(scaled(84, width)), RELU),
        ]

    return table


def _caffe(width: float) -> list[Row]:
    return [
        *group(Conv(scaled(20, width), 5), RELU, max_pool(2)),
        *group(Conv(scaled(50, width), 5), RELU, max_pool(2), FLAT),
        *group(Full(scaled(500, width)), RELU),
    ]


def _alford_mnist(width: float) -> list[Row]:
    return [
        *group(Conv(20, 5, padding="same"), RELU, max_pool(2), RESPONSE_NORM),
        *group(Conv(scaled(50, width), 5, padding="same"), RELU, RESPONSE_NORM, max_pool(2), FLAT),
        *group(Full(384), RELU),
    ]


def _alford_cifar(width: float) -> list[Row]:
    pool = max_pool(3, 2, "same")
    return [
        *group(Conv(20, 5, padding="same"), RELU, pool, RESPONSE_NORM),
        *group(Conv(scaled(50, width), 5, padding="same"), RELU, pool, FLAT),
        *group(Full(384), RELU),
    ]


TABLES: dict[str, Callable[[float], list[Row]]] = {
    "A": _tutorial(3),
    "B": _tutorial(5),
    "C": _caffe,
    "D": _alford_mnist,
    "D'": _alford_cifar,
}
IMAGES = {
    "A": (1, 28, 28),
    "B": (1, 32, 32),
    "C": (1, 28, 28),
    "D": (1, 28, 28),
    "D'": (3, 24, 24),
}
