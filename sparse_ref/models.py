"""The papers' networks.

A model takes ``density`` (None: every layer dense, on BLAS), ``distribution`` (how connections are
shared among layers), or in their place ``structure`` (the patterns themselves), ``rng`` and
``dtype``. Each layer draws from a stream of its own, so adding a layer moves no other layer's draw.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import allocation, csr
from sparse_ref.initialise import initial_bias, initial_weights
from sparse_ref.layers import AllReLU, Dense, Dropout, Layer, Linear, ReLU, SReLU
from sparse_ref.layers.unscaled_dropout import EvaluationScale, UnscaledDropout
from sparse_ref.network import Network
from sparse_ref.topology.patterns import Topology, layers_of

NOT_GIVEN: Any = object()  # None says "dense"
ALL_RELU_ALPHA = 0.6  # Curci et al. 2021 tune it per data set; see `mlp`
DRAWS = ("exact", "bernoulli", "with_replacement")
DROPOUTS = ("inverted", "mocanu_code")
ACTIVATIONS = ("relu", "srelu", "all_relu")
LOGITS_ACTIVATIONS: dict[str, Callable[[], tuple[Layer, ...]]] = {
    "none": lambda: (),
    "relu": lambda: (ReLU(),),
}


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
    shapes = _shapes(sizes)
    _require_name("draw", draw, DRAWS)
    _require_name("activation", activation, ACTIVATIONS)
    _require_name("logits_activation", logits_activation, tuple(LOGITS_ACTIVATIONS))
    _require_name("dropout_rule", dropout_rule, DROPOUTS)
    before, after = _dropout_layers(dropout, dropout_rule)
    kept_dense = _layer_numbers(dense, len(shapes))
    if structure is None:
        plans = _counts(shapes, _given(density), distribution, kept_dense, draw)
    else:
        _refuse_beside_structure(density=density, distribution=distribution, draw=draw)
        plans = _patterns(shapes, structure, kept_dense)
    layers: list[Layer] = []
    for k, (shape, plan, stream) in enumerate(
        zip(shapes, plans, _streams(rng, len(shapes)), strict=True)
    ):
        draws, unit_draws = stream.spawn(2)
        layers.append(_weighted(shape, plan, draw, draws, dtype, initialisation, fan))
        layers += [make(dropout) for make in before if k > 0]
        if k < len(shapes) - 1:
            layers.append(_activation(activation, shape[0], k, unit_draws, dtype))
            layers += [make(dropout) for make in after]
    return Network([*layers, *LOGITS_ACTIVATIONS[logits_activation]()], loss)


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


MODELS = {"lenet_300_100": lenet_300_100}


def _shapes(sizes):
    if len(sizes) < 2 or any(int(n) != n or n < 1 for n in sizes):
        raise ValueError(f"mlp: sizes must be two or more positive integers, got {tuple(sizes)}")
    return [(int(after), int(before)) for before, after in itertools.pairwise(sizes)]


def _streams(rng, n):
    """One stream a layer, by way of one child, so that the depth moves no later draw from `rng`."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"mlp: rng must be a numpy.random.Generator, got {type(rng).__name__}")
    (own,) = rng.spawn(1)
    return own.spawn(n)


def _layer_numbers(dense, n):
    wrong = [k for k in dense if not -n <= k < n]
    if wrong:
        raise ValueError(f"mlp: dense must name layers in [{-n}, {n}), got {wrong[0]}")
    return {k % n for k in dense}


def _dropout_layers(rate, rule):
    """What stands before and after the hidden activations; inputs are never dropped."""
    if not rate:
        return (), ()
    return ((), (Dropout,)) if rule == "inverted" else ((EvaluationScale,), (UnscaledDropout,))


def _counts(shapes, density, distribution, dense, draw):
    """Connections (or draws) per layer; None where the layer is dense."""
    if density is None and isinstance(distribution, str):
        return [None] * len(shapes)
    sparse = [k for k in range(len(shapes)) if k not in dense]
    counts: list[int | None] = [None] * len(shapes)
    if sparse:
        if draw == "with_replacement" and not isinstance(distribution, str):
            allotted = _numbers_of_draws(distribution, len(sparse))
        else:
            allotted = allocation.allocate(distribution, [shapes[k] for k in sparse], density)
        for k, count in zip(sparse, allotted, strict=True):
            counts[k] = int(count)
    return counts


def _given(density):
    if density is NOT_GIVEN:
        raise TypeError("mlp: density must be given (None for a dense network), or structure")
    return density


def _refuse_beside_structure(**given):
    """What says which connections there are must be left out where they are given."""
    for option, left_out in (("density", NOT_GIVEN), ("distribution", "erk"), ("draw", "exact")):
        value = given[option]
        if value is not left_out and not (isinstance(value, str) and value == left_out):
            raise ValueError(f"mlp: {option} must be left out beside structure, got {value!r}")


def _patterns(shapes, structure, dense):
    """Connections per layer as they were given; None where the layer is dense."""
    sparse = [k for k in range(len(shapes)) if k not in dense]
    layers = layers_of(structure, "mlp: structure")
    if len(layers) != len(sparse):
        raise ValueError(
            f"mlp: structure must have a pattern for each of {len(sparse)} sparse layers, "
            f"got {len(layers)}"
        )
    for k, layer in zip(sparse, layers, strict=True):
        if layer.shape != shapes[k]:
            raise ValueError(
                f"mlp: structure of layer {k} must have shape {shapes[k]}, got {layer.shape}"
            )
    given = dict(zip(sparse, layers, strict=True))
    return [given.get(k) for k in range(len(shapes))]


def _numbers_of_draws(given, n):
    numbers = [int(number) for number in given]
    if len(numbers) != n or any(number < 0 for number in numbers):
        raise ValueError(f"mlp: numbers of draws must be {n}, none negative, got {list(given)}")
    return numbers


def _positions(shape, count, draw, rng):
    if draw == "bernoulli":
        return allocation.bernoulli(shape, count / (shape[0] * shape[1]), rng)
    return (allocation.exact if draw == "exact" else allocation.with_replacement)(shape, count, rng)


def _weighted(shape, plan, draw, rng, dtype, initialisation, fan):
    """A layer of the connections that are given, or of as many as are to be drawn."""
    if plan is None:
        every = csr.from_positions(
            shape, np.arange(shape[0] * shape[1]), np.zeros(shape[0] * shape[1], dtype)
        )
        values = initial_weights(every, rng, initialisation, fan).reshape(shape)
        return Dense(values, initial_bias(shape, rng, initialisation, dtype))
    given = isinstance(plan, csr_array)
    positions = csr.flat(plan) if given else _positions(shape, plan, draw, rng)
    weight = csr.from_positions(shape, positions, np.zeros(len(positions), dtype))
    weight.data[:] = initial_weights(weight, rng, initialisation, fan)
    return Linear(weight, initial_bias(shape, rng, initialisation, dtype))


def _activation(name, n, k, rng, dtype):
    if name == "relu":
        return ReLU()
    if name == "srelu":
        return SReLU.initial(n, rng, dtype)
    return AllReLU(ALL_RELU_ALPHA, layer_number=k + 2)


def _require_name(option, name, known):
    if name not in known:
        raise ValueError(f"mlp: {option} must be one of {list(known)}, got {name!r}")
