"""R_s, the exploration rate of ITOP, of any method: which positions were ever connected.

Nothing here is a method; `sparse_ref.methods.itop` is, with the reference.

Memory: O(positions ever connected).
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sparse_ref import csr
from sparse_ref.network import Network

Visited = tuple[np.ndarray, ...]  # of each layer, flat positions ever connected; int64, ascending


def positions(net: Network) -> Visited:
    """The connections of each sparse layer, as flat positions."""
    return tuple(np.array(csr.flat(layer.weight)) for layer in net.sparse_layers)


def explored(visited: Sequence[np.ndarray], more: Sequence[np.ndarray]) -> Visited:
    """What has been visited after `more` positions, layer by layer; ascending, each once."""
    return tuple(np.union1d(old, new) for old, new in zip(visited, more, strict=True))


def exploration_rate(visited: Sequence[np.ndarray], sizes: Sequence[int]) -> float:
    """R_s: positions ever connected, over all positions, of the layers together.

    Examples
    --------
    >>> seen = explored([np.array([0, 2, 5, 7, 8, 10])], [np.array([0, 1, 2, 5, 7, 10])])
    >>> round(exploration_rate(seen, [12]), 6)
    0.583333
    """
    if len(visited) != len(sizes) or not sum(sizes):
        raise ValueError(
            "exploration_rate: visited and sizes must be one a layer and not empty, "
            f"got {len(visited)} and {list(sizes)}"
        )
    return sum(map(len, visited)) / sum(sizes)


class Explored(NamedTuple):
    """R_s after an epoch."""

    epoch: int
    rate: float  # of all sparse layers together
    layers: tuple[float, ...]  # of each


class Exploration:
    """A callback of `fit` that follows R_s, whatever the method.

    Parameters
    ----------
    net : Network
        As it is before the training: its connections are the first to be visited.

    Attributes
    ----------
    visited : tuple of (n,) int64
        Flat positions ever connected, of each sparse layer, ascending.
    epochs : list of Explored
        One an epoch.

    A second training of the same network may go on with it. Dense layers and biases do not count.
    """

    def __init__(self, net: Network):
        self.visited, self.epochs = positions(net), list[Explored]()
        self.sizes = [math.prod(layer.weight.shape) for layer in net.sparse_layers]
        self._history, self._read = None, 0

    def __call__(self, net: Network, epoch: Any, history: Any) -> None:
        """Take in the events since the last epoch, and write down R_s."""
        if history is not self._history:
            self._history, self._read = history, 0
        grown: list[list[np.ndarray]] = [[] for _ in self.sizes]
        for event in history.events[self._read :]:
            grown[event.layer].append(event.grown)
        self._read = len(history.events)
        none = np.empty(0, np.int64)
        self.visited = explored(self.visited, [np.concatenate([none, *some]) for some in grown])
        layers = zip(self.visited, self.sizes, strict=True)
        rates = tuple(exploration_rate([seen], [size]) for seen, size in layers)
        self.epochs.append(Explored(epoch.epoch, exploration_rate(self.visited, self.sizes), rates))
