"""Callbacks of `fit` that follow the structure of a network: topologies, degrees, exploration.

Each is made from the network as it is before the training, which is its epoch 0, and counts epochs
from there; a second training of the same network goes on counting. Sparse layers are followed.
Dense ones, which never change, and biases are not.
"""

import math
import os
from typing import Any, NamedTuple

import numpy as np

from sparse_ref.history import Epoch, History
from sparse_ref.network import Network
from sparse_ref.topology.archive import PackedTopologies, save_topologies
from sparse_ref.topology.degrees import correlation, in_degrees, out_degrees
from sparse_ref.topology.exploration import Visited, exploration_rate, explored, positions


class _Recorder:
    """Counts epochs and records every n-th, and the beginning."""

    def __init__(self, net: Network, every: int):
        if not isinstance(every, int | np.integer) or every < 1:
            name = type(self).__name__
            raise ValueError(f"{name}: every must be a positive whole number, got {every}")
        self.every, self._epochs = int(every), 0
        self._record(net, 0)

    def __call__(self, net: Network, epoch: Epoch, history: History) -> None:
        """Record the network after an epoch, if it is the turn of that."""
        self._epochs += 1
        if self._epochs % self.every == 0:
            self._record(net, self._epochs)

    def _record(self, net, epoch):
        raise NotImplementedError


class Topologies(_Recorder):
    """Keep the patterns of the sparse layers along a training.

    Parameters
    ----------
    net : Network
        Before the training; recorded as epoch 0.
    every : int, epochs
        What is kept: epochs 0, n, 2 n, ...

    Attributes
    ----------
    topologies : mapping from int to tuple of (n_out, n_in) csr_array
        By epoch; a weight is 1, float32, at every connection. Unpacked anew whenever it is asked
        for.

    Notes
    -----
    Memory: 1 or 2 bytes a connection and record, mostly (`sparse_ref.topology.archive`), and
    nothing for a layer that is as it was in the record before.

    Examples
    --------
    ``Topologies(net, every=10)`` goes into ``fit(..., callbacks=[it])``; afterwards
    ``it.save(path)``, and `sparse_ref.topology.load_topologies` reads that.
    """

    def __init__(self, net: Network, every: int = 1):
        self.topologies = PackedTopologies()
        super().__init__(net, every)

    def save(self, path: str | os.PathLike) -> None:
        """Write all records to one file; see `sparse_ref.topology.save_topologies`."""
        save_topologies(path, self.topologies)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.topologies.nbytes

    def _record(self, net, epoch):
        self.topologies.add(epoch, [layer.weight for layer in net.sparse_layers])


class Degrees(_Recorder):
    """Keep how many connections enter and leave each unit of the sparse layers along a training.

    Parameters
    ----------
    net : Network
        Before the training; recorded as epoch 0.
    every : int, epochs
        What is kept: epochs 0, n, 2 n, ...

    Attributes
    ----------
    epochs : list of int
        Of the records.

    Notes
    -----
    Memory: 4 bytes a unit and record, twice for a unit between two sparse layers (8 bytes in layers
    that need 64-bit indices).
    """

    def __init__(self, net: Network, every: int = 1):
        self.epochs, self._in, self._out = list[int](), list[Any](), list[Any]()
        super().__init__(net, every)

    @property
    def in_degrees(self) -> tuple[np.ndarray, ...]:
        """Of each sparse layer, ``(records, n_out)`` integers."""
        return tuple(map(np.stack, zip(*self._in, strict=True)))

    @property
    def out_degrees(self) -> tuple[np.ndarray, ...]:
        """Of each sparse layer, ``(records, n_in)`` integers."""
        return tuple(map(np.stack, zip(*self._out, strict=True)))

    def correlation(
        self, before: int, after: int, *, kind: str = "pearson", of: str = "in"
    ) -> tuple[float, ...]:
        """How degrees after two epochs go together, in each sparse layer.

        Parameters
        ----------
        before, after : int
            Epochs that are recorded.
        kind : str
            See `sparse_ref.topology.correlation`.
        of : str
            ``in``, the degrees of the units a layer feeds, or ``out``, of those it reads.
        """
        if of not in ("in", "out"):
            raise ValueError(f"Degrees: of must be 'in' or 'out', got {of!r}")
        missing = [epoch for epoch in (before, after) if epoch not in self.epochs]
        if missing:
            raise ValueError(
                f"Degrees: epochs must be recorded ones, {self.epochs}, got {missing[0]}"
            )
        records = self._in if of == "in" else self._out
        first, second = (records[self.epochs.index(epoch)] for epoch in (before, after))
        return tuple(correlation(a, b, kind) for a, b in zip(first, second, strict=True))

    def _record(self, net, epoch):
        weights = [layer.weight for layer in net.sparse_layers]
        self.epochs.append(epoch)
        self._in.append([in_degrees(w).astype(w.indptr.dtype) for w in weights])
        self._out.append([out_degrees(w).astype(w.indptr.dtype) for w in weights])


class Explored(NamedTuple):
    """R_s after an epoch."""

    epoch: int
    rate: float  # of all sparse layers together
    layers: tuple[float, ...]  # of each


class Exploration:
    """Follow R_s, how much of its positions a training has tried, whatever the method.

    Parameters
    ----------
    net : Network
        As it is before the training: its connections are the first to be visited.

    Attributes
    ----------
    visited : tuple of (n,) int64
        Flat positions ever connected, of each sparse layer, ascending.
    epochs : list of Explored
        One an epoch; `Explored.epoch` is the number `fit` gives it, from 1 in each training.

    Notes
    -----
    Read from the events of the history, so that no rewiring between two epochs is missed. Memory: 8
    bytes a position ever connected.

    References
    ----------
    See `sparse_ref.topology.exploration`.
    """

    def __init__(self, net: Network):
        self.visited: Visited = positions([layer.weight for layer in net.sparse_layers])
        self.epochs = list[Explored]()
        self.sizes = [math.prod(layer.weight.shape) for layer in net.sparse_layers]
        self._history: Any = None
        self._read = 0

    def __call__(self, net: Network, epoch: Epoch, history: History) -> None:
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
