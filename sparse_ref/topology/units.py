"""Rows of units and what joins them: a network as its patterns see it.

A unit is an input, a number that a linear layer makes, or a whole channel: all positions of a
channel share the weights of its filter. A row of units is what one layer makes, or one sum of
residual branches. Rows are joined by weights, and unit to unit where no weight is: a sum joins each
of its units to that unit of either branch, flattening joins a channel to each of its positions,
local response normalisation joins a channel to all that scale it.

What acts on each unit by itself (activations, pooling, batch normalisation) joins nothing.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from sparse_ref.topology.patterns import Layers, Topology, chained, layers_of


class Link(NamedTuple):
    """What joins a row of units to a later one.

    Attributes
    ----------
    source, target : int
        Numbers of the two rows.
    weight : int or None
        Which weight of the network; None where units are joined one to one, or as `block` and
        `reach` say.
    block : int
        Of a weight: columns for each unit that it reads, the positions of a kernel. Without one:
        units of `target` for each of `source`, the positions of a channel that is flattened.
    groups : int
        Of a convolution.
    reach : int
        Without a weight: so many neighbours on either side are joined, too.
    """

    source: int
    target: int
    weight: int | None = None
    block: int = 1
    groups: int = 1
    reach: int = 0


class UnitGraph(NamedTuple):
    """Rows of units, and the links between them.

    Attributes
    ----------
    sizes : tuple of int
        Units in each row; the first are the inputs, the last the outputs.
    links : tuple of Link
        All that enter a row stand before those that leave it; weights in order.
    """

    sizes: tuple[int, ...]
    links: tuple[Link, ...]

    @property
    def weights(self) -> tuple[Link, ...]:
        """The links that are weights."""
        return tuple(link for link in self.links if link.weight is not None)

    def shape(self, link: Link) -> tuple[int, int]:
        """Of a link's weight, as it is stored."""
        n_in, n_out = self.sizes[link.source], self.sizes[link.target]
        return n_out, n_in // link.groups * link.block


def chain(sizes: Sequence[int]) -> UnitGraph:
    """Linear layers one after the other: `sizes` of inputs, hidden layers and outputs."""
    return UnitGraph(tuple(sizes), tuple(Link(k, k + 1, k) for k in range(len(sizes) - 1)))


def wired(
    network: Topology, who: str, pattern: str = "structural", graph: UnitGraph | None = None
) -> tuple[Layers, UnitGraph]:
    """The patterns of a topology and how they hang together.

    Parameters
    ----------
    network : topology
        See `sparse_ref.topology.patterns`.
    who : str
        Named by errors.
    pattern : str
        See `patterns.pattern_of`.
    graph : UnitGraph, optional
        Of a `sparse_ref.Network` its own ``unit_graph`` if omitted; else the weights are those of
        linear layers one after the other, whose shapes must chain.
    """
    graph = getattr(network, "unit_graph", None) if graph is None else graph
    if graph is None:
        layers = chained(network, who, pattern)
        return layers, chain([layers[0].shape[1], *(layer.shape[0] for layer in layers)])
    layers = layers_of(network, who, pattern)
    shapes, given = [graph.shape(link) for link in graph.weights], [la.shape for la in layers]
    if shapes != given:
        raise ValueError(f"{who}: weights must have the shapes of graph, {shapes}, got {given}")
    return layers, graph


def reached(graph: UnitGraph, weights: Sequence[Any]) -> tuple[np.ndarray, ...]:
    """Of each row, bool: units that a path leads to from an input.

    Parameters
    ----------
    graph : UnitGraph
    weights : sequence of (n_out, n_in) csr_array or ndarray
        An ndarray has a connection at every position, whatever its values.
    """
    rows = [np.zeros(size, bool) for size in graph.sizes]
    rows[0][:] = True
    for link in graph.links:
        rows[link.target] |= _entered(graph, link, weights, rows[link.source])
    return tuple(rows)


def leading(graph: UnitGraph, weights: Sequence[Any]) -> tuple[np.ndarray, ...]:
    """Of each row, bool: units that a path leads from to an output; see `reached`."""
    rows = [np.zeros(size, bool) for size in graph.sizes]
    rows[-1][:] = True
    for link in reversed(graph.links):
        rows[link.source] |= _left(graph, link, weights, rows[link.target])
    return tuple(rows)


def sources(graph: UnitGraph, link: Link, weight: csr_array) -> np.ndarray:
    """``(nnz,)``: the unit that each connection of a link's weight reads."""
    if link.groups == 1:
        return weight.indices if link.block == 1 else weight.indices // link.block
    n_in, n_out = graph.sizes[link.source], graph.sizes[link.target]
    group = np.arange(n_out) // (n_out // link.groups)
    return weight.indices // link.block + of_rows(weight, group * (n_in // link.groups))


def of_rows(weight: csr_array, values: np.ndarray) -> np.ndarray:
    """``(nnz,)``: of each connection, the value of the unit it enters."""
    return np.repeat(values, np.diff(weight.indptr))


def fed(weight: csr_array, alive: np.ndarray) -> np.ndarray:
    """``(n_out,)`` bool: units that one of the connections `alive`, ``(nnz,)`` bool, enters."""
    met = np.concatenate([[0], np.cumsum(alive)])
    return met[weight.indptr[1:]] > met[weight.indptr[:-1]]


def by_group(graph: UnitGraph, link: Link, alive: np.ndarray, to: int) -> np.ndarray:
    """Of each unit of row `to`, bool: whether any of the units `alive` is of its group."""
    some = alive.reshape(link.groups, -1).any(axis=1)
    return np.repeat(some, graph.sizes[to] // link.groups)


def _entered(graph, link, weights, alive):
    """Units of the target that are joined to one of those `alive` in the source."""
    if link.weight is None:
        return np.repeat(_near(alive, link.reach), link.block)
    weight = weights[link.weight]
    if isinstance(weight, np.ndarray):
        return by_group(graph, link, alive, link.target)
    return fed(weight, alive[sources(graph, link, weight)])


def _left(graph, link, weights, alive):
    """Units of the source that are joined to one of those `alive` in the target."""
    if link.weight is None:
        return _near(alive.reshape(-1, link.block).any(axis=1), link.reach)
    weight = weights[link.weight]
    if isinstance(weight, np.ndarray):
        return by_group(graph, link, alive, link.source)
    out = np.zeros(graph.sizes[link.source], bool)
    out[sources(graph, link, weight)[of_rows(weight, alive)]] = True
    return out


def _near(alive, reach):
    """Units that have one of those `alive` within `reach`."""
    if not reach:
        return alive
    met = np.concatenate([[0], np.cumsum(alive)])
    places = np.arange(len(alive))
    first, last = np.maximum(places - reach, 0), np.minimum(places + reach + 1, len(alive))
    return met[last] > met[first]
