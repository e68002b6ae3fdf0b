"""How a number of connections falls to layers by chance: DeepR's activations over a network."""

from collections.abc import Sequence

import numpy as np

from sparse_ref.selection import random_ranks


def shared_uniformly(free: Sequence[int], n: int, rng: np.random.Generator) -> list[int]:
    """How many of `n` fall to each layer if all dormant connections are equally likely.

    Parameters
    ----------
    free : sequence of int
        Dormant connections of each layer.
    n : int
        0 ... their sum.
    rng : Generator
    """
    ranks = random_ranks(sum(free), n, rng)
    ends = np.searchsorted(ranks, np.cumsum([0, *free]))
    return np.diff(ends).tolist()


def shared_by_size(
    shares: Sequence[int], free: Sequence[int], n: int, rng: np.random.Generator
) -> list[int]:
    """How many of `n` fall to each layer if layers are drawn in proportion to `shares`.

    Parameters
    ----------
    shares : sequence of int
    free : sequence of int
        Most that a layer can take; what it cannot is drawn anew among the others.
    n : int
        0 ... the sum of `free`.
    rng : Generator
    """
    counts, room = np.zeros(len(free), np.int64), np.array(free, np.int64)
    while (missing := n - int(counts.sum())) > 0:
        chances = np.array(shares, float) * (room > counts)
        chances = chances if chances.any() else (room - counts).astype(float)
        drawn = rng.multinomial(missing, chances / chances.sum())
        counts = np.minimum(counts + drawn, room)
    return counts.tolist()
