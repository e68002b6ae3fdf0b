"""Multilayer perceptrons: LeNet-300-100, those of Liu2020, and any other."""

from collections.abc import Callable, Sequence
from typing import Any, Unpack

import numpy as np

from sparse_ref.layers import AllReLU, Dropout
from sparse_ref.layers.unscaled_dropout import EvaluationScale, UnscaledDropout
from sparse_ref.models.build import build
from sparse_ref.models.options import NOT_GIVEN, Options, require_name
from sparse_ref.models.rows import RELU, SRELU, Full, Plain, Row
from sparse_ref.network import Network
from sparse_ref.topology.patterns import Topology

ALL_RELU_ALPHA = 0.6  # Curci et al. 2021 tune it per data set; see `mlp`
DROPOUTS = ("inverted", "mocanu_code")
# Rows after the layer of a number, from 0.
ACTIVATIONS: dict[str, Callable[[int], Plain]] = {
    "relu": lambda number: RELU,
    "srelu": lambda number: SRELU,
    "all_relu": lambda number: Plain(lambda place: AllReLU(ALL_RELU_ALPHA, number + 2)),
}
LOGITS_ACTIVATIONS: dict[str, tuple[Row, ...]] = {"none": (), "relu": (RELU,)}


def mlp(
    sizes: Sequence[int],
    *,
    density: float | None = NOT_GIVEN,
    distribution: str | Sequence[int] = "erk",
    structure: Topology | None = None,
    rng: np.random.Generator,
    dtype: Any = np.float32,
    dense: Sequence[int] = (),
    draw: str = "exact",
    activation: str = "relu",
    logits_activation: str = "none",
    dropout: float = 0.0,
    dropout_rule: str = "inverted",
    initialisation: str = "kaiming_uniform",
    fan: str = "shape",
    loss: str = "softmax_cross_entropy",
) -> Network:
    """Multilayer perceptron; its outputs are linear unless `logits_activation` says otherwise.

    Parameters
    ----------
    sizes : sequence of int
        Units per layer from inputs to outputs, at least two.
    density : float or None
        Connections over positions of the sparse layers, in [0, 1]; None for a dense network. To be
        given unless `structure` is.
    distribution : str or sequence of int
        ``uniform``, ``er``, ``erk``, or the number of connections of each sparse layer, which
        settles the density: `density` is then not looked at.
    structure : sequence of (n_out, n_in) csr_array, optional
        The connections of each sparse layer, in place of `density`, `distribution` and `draw`, such
        as `sparse_ref.topology.radix_net` makes them. Patterns count, values do not.
    rng : Generator
    dtype : float32 or float64
    dense : sequence of int
        Weight layers to keep dense, on BLAS, outside the budget; -1 is the output layer.
    draw : str
        ``exact``: the allocated count, every subset equally likely; ``bernoulli``: an independent
        coin per position whose mean is the allocated count; ``with_replacement``: as many draws as
        the allocated count, which make fewer connections (a `distribution` of counts then holds
        numbers of draws, which may exceed a layer's positions).
    activation : str
        ``relu``, ``srelu``, or ``all_relu`` (with alpha 0.6).
    dropout : float
        Rate after every hidden activation.
    dropout_rule : str
        ``inverted``: `sparse_ref.layers.Dropout`; ``mocanu_code``: as SET's authors' code, see
        `sparse_ref.layers.unscaled_dropout`.
    initialisation, fan : str
        See `sparse_ref.initialise`.
    loss : str
        See `sparse_ref.losses.LOSSES`.

    Examples
    --------
    >>> net = mlp([784, 300, 100, 10], density=0.1, rng=np.random.default_rng(7))
    >>> net.connections, round(net.density, 4)
    ((18714, 6906, 1000), 0.1)
    """
    sizes = _checked_sizes(sizes)
    require_name("mlp", "activation", activation, tuple(ACTIVATIONS))
    require_name("mlp", "logits_activation", logits_activation, tuple(LOGITS_ACTIVATIONS))
    require_name("mlp", "dropout_rule", dropout_rule, DROPOUTS)
    before, after = _dropout_rows(dropout, dropout_rule)
    table: list[Row] = []
    for k, units in enumerate(sizes[1:]):
        table += [Full(units), *(before if k > 0 else ())]
        if k < len(sizes) - 2:
            table += [ACTIVATIONS[activation](k), *after]
    return build(
        "mlp",
        [*table, *LOGITS_ACTIVATIONS[logits_activation]],
        (sizes[0],),
        density=density,
        distribution=distribution,
        structure=structure,
        rng=rng,
        dtype=dtype,
        dense=dense,
        draw=draw,
        initialisation=initialisation,
        fan=fan,
        loss=loss,
    )


def lenet_300_100(
    *,
    density: float | None = NOT_GIVEN,
    distribution: str | Sequence[int] = "erk",
    structure: Topology | None = None,
    rng: np.random.Generator,
    dtype: Any = np.float32,
    **options: Any,
) -> Network:
    """LeNet-300-100: 784-300-100-10, ReLU; 266,200 weights and 410 biases when dense.

    Parameters as `mlp`.

    References
    ----------
    LeCun et al. (1998); the network of Evci2020, Alford2018 and most papers on pruning.
    """
    options |= {"density": density, "distribution": distribution, "structure": structure}
    return mlp((784, 300, 100, 10), rng=rng, dtype=dtype, **options)


def liu_2020_fashion_mnist(**options: Unpack[Options]) -> Network:
    """Liu2020's network for Fashion-MNIST: 784-784-784-784-10 with SReLU.

    1,851,808 weights and 2,362 biases when dense, and 9,408 parameters of SReLU. The output layer
    is dense unless `dense` says otherwise. Parameters as `mlp`.

    References
    ----------
    Liu et al. (2020), "Topological Insights into Sparse Neural Networks", section 4.1; that the
    output layer is dense was read from the networks they released.
    """
    return _liu_2020((784, 784, 784, 784, 10), options)


def liu_2020_cifar10(**options: Unpack[Options]) -> Network:
    """Liu2020's network for CIFAR-10: 3072-1000-1000-10 with SReLU.

    4,082,000 weights and 2,010 biases when dense, and 8,000 parameters of SReLU. Parameters and
    source as `liu_2020_fashion_mnist`.
    """
    return _liu_2020((3072, 1000, 1000, 10), options)


def _liu_2020(sizes, options):
    return mlp(sizes, **({"activation": "srelu", "dense": (-1,)} | options))


def _checked_sizes(sizes):
    if len(sizes) < 2 or any(int(n) != n or n < 1 for n in sizes):
        raise ValueError(f"mlp: sizes must be two or more positive integers, got {tuple(sizes)}")
    return [int(n) for n in sizes]


def _dropout_rows(rate, rule):
    """What stands before and after the hidden activations; inputs are never dropped."""
    if not rate:
        return (), ()
    if rule == "inverted":
        return (), (Plain(lambda place: Dropout(rate)),)
    before, after = (
        Plain(lambda place: EvaluationScale(rate)),
        Plain(lambda place: UnscaledDropout(rate)),
    )
    return (before,), (after,)
