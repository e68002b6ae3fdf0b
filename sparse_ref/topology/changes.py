"""Topologies that differ by little from a given one, and chains of them.

References
----------
Liu et al. 2020, "Topological insights into sparse neural networks", section 4.1 and figure 3a: of
a random network 1 % of the connections are changed, of the result again 1 %, and so on.

Departures
----------
How new places are chosen is not said. Here they are among those that were empty before anything
was removed. Not verified; the published networks cannot decide it.
"""

import math

import numpy as np

from sparse_ref import csr
from sparse_ref.selection import random_absent, random_ranks
from sparse_ref.topology.patterns import Layers, Topology, layers_of, of_ones


def changed(network: Topology, fraction: float, rng: np.random.Generator) -> Layers:
    """The topology with a fraction of each layer's connections elsewhere (Liu et al. 2020, 4.1).

    ``round(fraction * nnz)`` random connections are removed and as many placed at random where
    there was none before the removal, so no connection comes back where it was: the Hamming
    distance is twice that number. A complete layer has no empty place and stays as it is.

    Parameters
    ----------
    network : sequence of (n_out, n_in) csr_array, or anything with a `topology`
    fraction : float in [0, 1]
    rng : Generator
        A stream for each layer is spawned from it.

    Returns
    -------
    Patterns of ones, as dense as those given
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"changed: fraction must be in [0, 1], got {fraction}")
    layers = layers_of(network, "changed")
    streams = rng.spawn(len(layers))
    pairs = enumerate(zip(layers, streams, strict=True))
    return tuple(_changed(k, weight, fraction, stream) for k, (weight, stream) in pairs)


def generations(
    network: Topology, n: int, fraction: float, rng: np.random.Generator
) -> list[Layers]:
    """A root and `n` generations, each `changed` from the one before (Liu et al. 2020, figure 3a).

    Parameters
    ----------
    network, fraction
        As for `changed`; 0.01 in the paper.
    n : int >= 0
        Generations after the root.
    rng : Generator
        A stream for each generation is spawned from it: the first few do not depend on `n`.

    Returns
    -------
    List of n + 1 topologies, the root first: the arrays that were given, not a copy
    """
    if not isinstance(n, int | np.integer) or n < 0:
        raise ValueError(f"generations: n must be a whole number >= 0, got {n}")
    family = [layers_of(network, "generations")]
    for stream in rng.spawn(n):
        family.append(changed(family[-1], fraction, stream))
    return family


def _changed(k, weight, fraction, rng):
    """One layer, number `k`, of `changed`."""
    n, empty = round(fraction * weight.nnz), math.prod(weight.shape) - weight.nnz
    if not empty:
        n = 0
    if n > empty:
        raise ValueError(
            f"changed: layer {k} has {empty} empty places, too few for {n} connections to go to"
        )
    kept = csr.positions_without(weight, random_ranks(weight.nnz, n, rng))
    new = random_absent(weight, n, rng)
    return of_ones(weight.shape, np.insert(kept, np.searchsorted(kept, new), new))
