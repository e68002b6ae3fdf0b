"""How a layer's positions are drawn: a given number, by coins, or again and again."""

import math

import numpy as np

from sparse_ref.allocation.checks import (
    Shape,
    check_fraction,
    check_integer,
    check_not_negative,
    check_shapes,
)
from sparse_ref.selection import random_ranks


def exact(shape: Shape, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `count` distinct positions of a layer; every subset of that size is equally likely.

    Parameters
    ----------
    shape : the layer's shape
    count : number of positions, 0 <= count <= size
    rng : the only source of randomness

    Returns
    -------
    (count,) int64 flat positions in C order, ascending and unique; time and memory are O(count)

    Examples
    --------
    >>> exact((2, 3), 6, np.random.default_rng(7))
    array([0, 1, 2, 3, 4, 5])
    """
    size = math.prod(check_shapes("exact", [shape])[0])
    return random_ranks(size, check_integer("exact", "count", count, size), rng)


def bernoulli(shape: Shape, probability: float, rng: np.random.Generator) -> np.ndarray:
    """Draw the positions of a layer as if a coin were thrown at each, in O(count) time and memory.

    The number of heads is Binomial(size, probability) and, given the number, all subsets are
    equally likely; so the count is drawn first and the positions by `exact`. Parameters and result
    as there; `probability` in [0, 1].

    Examples
    --------
    >>> bernoulli((2, 3), 1.0, np.random.default_rng(7))
    array([0, 1, 2, 3, 4, 5])
    """
    size = math.prod(check_shapes("bernoulli", [shape])[0])
    probability = check_fraction("bernoulli", "probability", probability)
    return exact(shape, int(rng.binomial(size, probability)), rng)


def with_replacement(shape: Shape, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    """Draw positions of a layer `n_draws` times, each draw among all of them; keep what came up.

    About ``size * (1 - exp(-n_draws / size))`` positions, the fewer the more often one comes up
    again. How SET's authors' sparse code makes its Erdős-Rényi layers, with ``ε (n_in + n_out)``
    draws, which in a small output layer may be more than there are positions.

    Parameters
    ----------
    shape : the layer's shape
    n_draws : number of draws, >= 0
    rng : the only source of randomness

    Returns
    -------
    (count,) int64 flat positions in C order, ascending and unique

    Examples
    --------
    >>> with_replacement((2, 3), 4, np.random.default_rng(7))
    array([3, 4, 5])
    """
    size = math.prod(check_shapes("with_replacement", [shape])[0])
    n_draws = check_integer("with_replacement", "n_draws", n_draws)
    check_not_negative("with_replacement", "n_draws", n_draws)
    return np.unique(rng.integers(0, size, n_draws))
