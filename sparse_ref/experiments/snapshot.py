"""A network at a moment of its training, plain enough to travel between processes."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr
from sparse_ref.layers.base import state_of
from sparse_ref.network import Network


class Snapshot(NamedTuple):
    """What a training may start from, and what may be kept of one.

    Attributes
    ----------
    weights : tuple of (n_out, n_in) csr_array
        Of the sparse layers.
    others : tuple of arrays, optional
        Every other parameter, in the order of ``net.parameters()``, then the layers' running
        statistics. Without them only the patterns
        count: a training that starts from here draws all values anew.
    """

    weights: tuple[csr_array, ...]
    others: tuple[np.ndarray, ...] | None = None

    @property
    def topology(self) -> tuple[csr_array, ...]:
        """For `sparse_ref.topology`: the sparse layers."""
        return self.weights

    @property
    def structure(self) -> "Snapshot":
        """The patterns without any value to start from."""
        return Snapshot(self.weights)


def taken(net: Network) -> Snapshot:
    """A copy of what `net` is now."""
    others = [value.copy() for value in _loose(net)]
    return Snapshot(tuple(csr.freeze(_copied(la.weight)) for la in net.sparse_layers), (*others,))


def put(net: Network, snapshot: Snapshot) -> None:
    """Give `net`, whose sparse layers have the snapshot's patterns, its values too.

    Raises
    ------
    ValueError
        The network has other connections or other parameters. Nothing has changed then.
    """
    if snapshot.others is None:
        return
    _check_fit(net, snapshot)
    for layer, weight in zip(net.sparse_layers, snapshot.weights, strict=True):
        layer.weight.data[:] = weight.data
    for value, kept in zip(_loose(net), snapshot.others, strict=True):
        value[:] = kept


def _check_fit(net, snapshot):
    weights = [layer.weight for layer in net.sparse_layers]
    if len(weights) != len(snapshot.weights) or not all(map(_alike, weights, snapshot.weights)):
        raise ValueError("put: the network must have the snapshot's connections, got others")
    shapes = [value.shape for value in _loose(net)]
    kept = [value.shape for value in snapshot.others]
    if shapes != kept:
        raise ValueError(f"put: parameters must have the shapes {kept}, got {shapes}")


def _loose(net):
    """What there is beside the connections: the arrays themselves."""
    states = [array for layer in net.layers for array in state_of(layer).values()]
    return [p.value for p in net.parameters() if not p.slots] + states


def _alike(one, other):
    """Whether two weights have the same connections."""
    return np.array_equal(csr.flat(one), csr.flat(other))


def _copied(weight):
    return csr_array((weight.data.copy(), weight.indices, weight.indptr), shape=weight.shape)
