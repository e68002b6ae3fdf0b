"""Random patterns: Erdős-Rényi in the four ways of public codes, uniform, and coins.

In an Erdős-Rényi layer a connection exists with probability ε (n_in + n_out) / (n_in n_out), at
most 1: each unit has about ε connections on either side. Programs that say they do this disagree.

=============  ================  =================================================================
sampler        given             what it draws
=============  ================  =================================================================
``exact``      ε or a density    as many connections as are expected, every set of them equally
                                 likely (Evci et al. 2020 and the default here)
``bernoulli``  ε                 a coin for every position (Liu et al. 2020, equation 1; SET's
                                 program with Keras)
``set_python`` ε, an integer     ε (n_in + n_out) positions with replacement, so fewer connections;
                                 small layers are not complete (SET's sparse program)
``itop``       a density         coins, at the densities of `epsilon_for` (ITOP's program, ERK)
=============  ================  =================================================================

References
----------
Mocanu et al. 2018, "Scalable training of artificial neural networks with adaptive sparse
connectivity", equation 1; Liu et al. 2020, "Topological insights into sparse neural networks",
equation 1; Evci et al. 2020, "Rigging the lottery"; Liu et al. 2021, "Do we
actually need dense over-parameterization? In-time over-parameterization", and its program.

Departures
----------
* Draws are those of NumPy's generators, not of the programs'. A layer's draws come from a stream of
  its own, so a layer more changes nothing in the others.
* `uniform` rounds in each layer; `sparse_ref.allocation.uniform`, and so ``distribution="uniform"``
  of a model, meets the density of all layers together.
"""

import math
import operator
from typing import NamedTuple

import numpy as np

from sparse_ref import allocation
from sparse_ref.allocation import Shape, Shapes
from sparse_ref.topology.patterns import Layers, of_ones

NEEDS = {
    "exact": ("epsilon", "density"),
    "bernoulli": ("epsilon",),
    "set_python": ("epsilon",),
    "itop": ("density",),
}


class ErdosRenyi(NamedTuple):
    """An ε for all layers and what it makes of them."""

    epsilon: float
    densities: tuple[float, ...]


def erdos_renyi(
    shapes: Shapes,
    rng: np.random.Generator,
    *,
    epsilon: float | None = None,
    density: float | None = None,
    sampler: str = "exact",
) -> Layers:
    """Erdős-Rényi layers.

    Parameters
    ----------
    shapes : sequence of (n_out, n_in)
        Or of (C_out, C_in, kh, kw): patterns are then (C_out, C_in * kh * kw).
    rng : Generator
        A stream for each layer is spawned from it.
    epsilon : float >= 0
        ε, applied to each layer by itself: what a layer loses by the bound 1 goes nowhere.
    density : float in [0, 1]
        Of all layers together, instead of ε: what a layer loses goes to the others.
    sampler : str
        See the module's docstring, also for which of the two is to be given.

    Returns
    -------
    A pattern of ones for each shape; time and memory O(connections)

    Examples
    --------
    >>> layers = erdos_renyi([(1000, 784), (10, 1000)], np.random.default_rng(7), epsilon=20)
    >>> [w.nnz for w in layers]
    [35680, 10000]
    """
    given = _given(sampler, epsilon, density)
    _check("erdos_renyi", shapes, rng, epsilon=epsilon, density=density)
    if sampler == "exact":
        return _exactly(shapes, _expected_counts(shapes, epsilon, density), rng)
    if sampler == "itop":
        return _coins(shapes, epsilon_for(shapes, given).densities, rng)
    if sampler == "bernoulli":
        return _coins(shapes, probabilities(shapes, given), rng)
    layers = [(shape, _draws(shape, given)) for shape in map(_matrix, shapes)]
    streams = rng.spawn(len(layers))
    return tuple(
        of_ones(shape, allocation.with_replacement(shape, n, stream))
        for (shape, n), stream in zip(layers, streams, strict=True)
    )


def probabilities(shapes: Shapes, epsilon: float) -> tuple[float, ...]:
    """``min(ε (n_in + n_out) / (n_in n_out), 1)`` of each layer, kernels counted as inputs.

    Examples
    --------
    >>> probabilities([(784, 784), (100, 300), (10, 100)], 11)
    (0.02806122448979592, 0.14666666666666667, 1.0)
    """
    _check("probabilities", shapes, epsilon=epsilon)
    matrices = [_matrix(shape) for shape in shapes]
    return tuple(min(epsilon * (o + i) / (o * i), 1.0) for o, i in matrices)


def epsilon_for(shapes: Shapes, density: float) -> ErdosRenyi:
    """The ε with which all layers together have a density: ITOP's and RigL's solution for ERK.

    A layer's density is ``ε sum(shape) / prod(shape)``, a kernel's sides being summed too. While
    the largest of them exceeds 1, the layers that have it are made complete and ε is solved again
    for what is left.

    Parameters
    ----------
    shapes : sequence of (n_out, n_in) or (C_out, C_in, kh, kw)
    density : float in [0, 1]
        Fraction of all positions of all layers that are connected, in expectation.

    Returns
    -------
    ErdosRenyi
        ε and the densities of the layers. Where all are complete there is no ε to be told apart:
        it is the least that makes the last of them so, or 0 if rounding left none to solve for.

    Examples
    --------
    >>> epsilon, densities = epsilon_for([(300, 784), (100, 300), (10, 100)], 0.1)
    >>> round(epsilon, 7), [round(d, 7) for d in densities]
    (17.2641509, [0.0795678, 0.2301887, 1.0])
    """
    _check("epsilon_for", shapes, density=density)
    sizes = [math.prod(_matrix(shape)) for shape in shapes]
    ratios = [sum(shape) / size for shape, size in zip(shapes, sizes, strict=True)]
    full: set[int] = set()
    while rest := [k for k in range(len(sizes)) if k not in full]:
        left = density * sum(sizes) - sum(sizes[k] for k in full)
        epsilon = left / sum(sum(shapes[k]) for k in rest)
        largest = max(ratios[k] for k in rest)
        if epsilon * largest <= 1:
            found = tuple(1.0 if k in full else epsilon * ratios[k] for k in range(len(sizes)))
            return ErdosRenyi(epsilon, found)
        full |= {k for k in rest if ratios[k] == largest}
    return ErdosRenyi(0.0, (1.0,) * len(sizes))


def uniform(shapes: Shapes, density: float, rng: np.random.Generator) -> Layers:
    """Layers of the same density, their numbers of connections fixed, the positions random.

    Parameters
    ----------
    shapes : sequence of (n_out, n_in), or (C_out, C_in, kh, kw) as in `erdos_renyi`
    density : float in [0, 1]
    rng : Generator
        A stream for each layer is spawned from it.

    Returns
    -------
    Patterns of ones with ``round(density * size)`` connections each, halves to even

    Examples
    --------
    >>> [w.nnz for w in uniform([(300, 784), (100, 300)], 0.1, np.random.default_rng(7))]
    [23520, 3000]
    """
    _check("uniform", shapes, rng, density=density)
    each = dict.fromkeys(range(len(shapes)), density)
    return _exactly(shapes, allocation.uniform(shapes, density, custom=each), rng)


def bernoulli(shapes: Shapes, density: float, rng: np.random.Generator) -> Layers:
    """Layers in which every connection is there with probability `density`, each by itself.

    The random nets of Alford et al. 2018, section II.B. Arguments and result as for `uniform`; the
    number of connections varies, and no coin is thrown for the positions that stay empty.
    """
    _check("bernoulli", shapes, rng, density=density)
    return _coins(shapes, [density] * len(shapes), rng)


def _exactly(shapes, counts, rng):
    """Layers with the given numbers of connections."""
    layers = zip(map(_matrix, shapes), counts, rng.spawn(len(shapes)), strict=True)
    return tuple(of_ones(shape, allocation.exact(shape, n, stream)) for shape, n, stream in layers)


def _coins(shapes, chances, rng):
    """Layers of connections that exist by chance."""
    layers = zip(map(_matrix, shapes), chances, rng.spawn(len(shapes)), strict=True)
    return tuple(
        of_ones(shape, allocation.bernoulli(shape, p, stream)) for shape, p, stream in layers
    )


def _expected_counts(shapes, epsilon, density):
    if epsilon is not None:
        return allocation.set_epsilon(shapes, epsilon)
    return allocation.erdos_renyi_kernel(shapes, density)


def _draws(shape, epsilon):
    """How often SET's sparse program draws."""
    try:
        return operator.index(epsilon) * sum(shape)
    except TypeError:
        raise TypeError(
            f"erdos_renyi: set_python takes an integer epsilon, got {epsilon!r}"
        ) from None


def _matrix(shape: Shape) -> tuple[int, int]:
    """The shape a weight is stored in."""
    return shape[0], math.prod(shape[1:])


def _check(who, shapes, rng=None, *, epsilon=None, density=None):
    """Refuse what is no list of shapes, no generator, or out of range; None is not looked at."""
    if not len(shapes):
        raise ValueError(f"{who}: shapes must name at least one layer, got none")
    for shape in shapes:
        if len(shape) < 2 or min(shape) < 1:
            raise ValueError(
                f"{who}: a shape must have two or more dimensions, all positive, got {shape}"
            )
    if rng is not None and not isinstance(rng, np.random.Generator):
        raise TypeError(f"{who}: rng must be a numpy.random.Generator, got {type(rng).__name__}")
    if epsilon is not None and not (math.isfinite(epsilon) and epsilon >= 0):
        raise ValueError(f"{who}: epsilon must be finite and >= 0, got {epsilon}")
    if density is not None and not 0 <= density <= 1:
        raise ValueError(f"{who}: density must be in [0, 1], got {density}")


def _given(sampler, epsilon, density):
    """The one of the two that is given, if the sampler takes it."""
    if sampler not in NEEDS:
        raise ValueError(f"erdos_renyi: sampler must be one of {list(NEEDS)}, got {sampler!r}")
    both = {"epsilon": epsilon, "density": density}
    given = [name for name, value in both.items() if value is not None]
    if len(given) != 1 or given[0] not in NEEDS[sampler]:
        raise ValueError(
            f"erdos_renyi: sampler {sampler!r} takes {' or '.join(NEEDS[sampler])} and nothing "
            f"else, got {' and '.join(given) or 'neither'}"
        )
    return both[given[0]]
