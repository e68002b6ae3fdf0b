"""How a layer's positions are drawn: a given number of them, or each by a coin of its own."""

import math

import numpy as np

from sparse_ref.allocation.checks import Shape, check_fraction, check_integer, check_shapes
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
