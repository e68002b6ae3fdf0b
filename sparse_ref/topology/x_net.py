"""X-Nets: layers in which every unit of one side has the same number of random connections.

A random bipartite graph of constant degree is an expander with high probability: few layers join
every input to every output (Prabhu et al. 2018, section 3).

References
----------
Prabhu, Varma and Namboodiri 2018, "Deep expander networks: efficient deep networks from graph
theory"; the authors' program, `expandergraphlayer.py`.

Departures
----------
* The paper gives every *output* D inputs. So does one version of the program; another gives D
  connections to the units of the *smaller* side, and to the inputs where both are as large. That
  is the default here, ``regular="outputs"`` is the paper. The larger side is irregular and may
  have units without any connection; see `expected_isolated`.
* Random layers only: the paper's explicit expanders (Cayley graphs) are in no public program.
* The program draws a permutation of all candidates for every unit and keeps its first D. Here
  each unit draws until it has D different ones: the same distribution, in O(connections).
"""

import operator
from collections.abc import Sequence

import numpy as np

from sparse_ref.topology.patterns import Layers, of_ones

SIDES = ("smaller", "outputs")


def x_net(
    shapes: Sequence[tuple[int, int]],
    degree: int | Sequence[int],
    rng: np.random.Generator,
    *,
    regular: str = "smaller",
) -> Layers:
    """Random layers with a constant degree on one side.

    Parameters
    ----------
    shapes : sequence of (n_out, n_in)
    degree : int, or one for each layer
        D >= 1, at most the number of units of the side that is chosen from.
    rng : Generator
        A stream for each layer is spawned from it.
    regular : str
        Whose units have D connections: ``smaller``, those of the smaller side (the inputs if both
        are as large), or ``outputs``.

    Returns
    -------
    A pattern of ones for each shape, with D connections for each unit of the regular side

    Examples
    --------
    >>> (weight,) = x_net([(300, 784)], 8, np.random.default_rng(7))
    >>> weight.nnz, set(np.diff(weight.indptr))
    (2400, {np.int32(8)})
    """
    degrees = list(degree) if isinstance(degree, Sequence) else [degree] * len(shapes)
    if len(degrees) != len(shapes):
        raise ValueError(
            f"x_net: there must be a degree for each of {len(shapes)} layers, got {len(degrees)}"
        )
    layers = zip(shapes, degrees, rng.spawn(len(shapes)), strict=True)
    return tuple(_layer(shape, d, stream, regular) for shape, d, stream in layers)


def expected_isolated(shape: tuple[int, int], degree: int, *, regular: str = "smaller") -> float:
    """How many units of the side that is not regular have no connection, on average.

    Each unit of the regular side misses a given unit of the other with probability 1 - D / n, all
    m of them with its m-th power: n (1 - D / n) ** m.

    Examples
    --------
    >>> round(expected_isolated((300, 784), 8), 1)
    36.1
    """
    choosing, choices, degree = _sides("expected_isolated", shape, degree, regular)
    return choices * (1 - degree / choices) ** choosing


def _layer(shape, degree, rng, regular):
    choosing, choices, degree = _sides("x_net", shape, degree, regular)
    picks = _picks(choosing, choices, degree, rng)
    if _outputs_choose(shape, regular):
        return of_ones(shape, picks)
    inputs, outputs = np.divmod(picks, choices)
    return of_ones(shape, np.sort(outputs * shape[1] + inputs))


def _picks(units: int, choices: int, degree: int, rng: np.random.Generator) -> np.ndarray:
    """``unit * choices + choice``, ascending: `degree` different choices for each of the units.

    All draw what they miss at once, again and again. Above one half they draw what they leave out.
    """
    if degree > choices // 2:
        left = np.ones(units * choices, bool)
        left[_picks(units, choices, choices - degree, rng)] = False
        return np.flatnonzero(left)
    picks, missing = np.empty(0, np.int64), np.full(units, degree)
    while missing.any():
        starts = choices * np.repeat(np.arange(units), missing)
        drawn = np.sort(starts + rng.integers(0, choices, len(starts)))
        at = np.searchsorted(picks, drawn)
        new = (np.append(picks, -1)[at] != drawn) & (np.diff(drawn, prepend=-1) > 0)
        picks = np.insert(picks, at[new], drawn[new])
        missing -= np.bincount(drawn[new] // choices, minlength=units)
    return picks


def _outputs_choose(shape, regular):
    return regular == "outputs" or shape[0] < shape[1]


def _sides(who, shape, degree, regular):
    """Units on the side that is regular, units they choose among, and D, all valid."""
    if regular not in SIDES:
        raise ValueError(f"{who}: regular must be one of {list(SIDES)}, got {regular!r}")
    n_out, n_in = map(operator.index, shape)
    if min(n_out, n_in) < 1:
        raise ValueError(f"{who}: a layer must have units on both sides, got shape {shape}")
    choosing, choices = (n_out, n_in) if _outputs_choose(shape, regular) else (n_in, n_out)
    try:
        degree = operator.index(degree)
    except TypeError:
        raise TypeError(f"{who}: degree must be an integer, got {degree!r}") from None
    if not 1 <= degree <= choices:
        raise ValueError(
            f"{who}: degree must be in [1, {choices}], the units to choose from in a layer of "
            f"shape {(n_out, n_in)}, got {degree}"
        )
    return choosing, choices, degree
