"""Which connections lie on a path from an input to an output: effective sparsity.

A connection out of a unit that nothing feeds, or into one that nothing reads, does nothing for the
function a network computes of its inputs. Biases are ignored by definition: a unit without inputs
still emits a constant if it has a bias, and its connections do not count all the same
(`sparse_ref.downsize` folds that constant). So do weights that happen to be 0, unless
``pattern="nonzero"``.

References
----------
Vysogorets and Kempe (2023), "Connectivity Matters: Neural Network Pruning Through the Lens of
Effective Sparsity"; code avysogorets/effective-sparsity, ``effective_masks.py``: paths from inputs
to outputs, ``mode="both"``.
Paganini and Forde (2020), "On Iterative Neural Network Pruning, Reinitialization, and the
Similarity of Masks", appendix B: weights that lead to no output, ``mode="output"``.

Departures
----------
* Channels are looked at whole, as in the first paper's code: a connection of a kernel counts where
  its two channels do, even if it meets nothing but padding, or positions that nothing reads.
* Local response normalisation joins a channel to those that it scales: what changes an output is
  on a path. Neither paper has that layer.
* The second paper measures implicit pruning by weights that training left at their first value;
  those that read only constant zeros count there too. Here the pattern alone decides.
"""

import numpy as np

from sparse_ref import csr
from sparse_ref.topology.patterns import Layers, Topology
from sparse_ref.topology.units import UnitGraph, leading, of_rows, reached, sources, wired

MODES = ("both", "output", "input")


def effective_pattern(
    network: Topology,
    mode: str = "both",
    *,
    pattern: str = "structural",
    graph: UnitGraph | None = None,
) -> Layers:
    """The connections that are effective, layer by layer, with the values they have.

    Parameters
    ----------
    network : topology
        See `patterns`. Dense layers of a `Network` count as complete.
    mode : str
        ``both``: those on a path from an input to an output. ``output``: those from which an output
        can be reached. ``input``: those that can be reached from an input.
    pattern : str
        See `patterns.pattern_of`.
    graph : UnitGraph, optional
        How the weights hang together. A `Network` knows that itself, as its ``unit_graph``; other
        weights must chain if it is omitted.

    Returns
    -------
    tuple of (n_out, n_in) csr_array
        A layer of which nothing goes is the one given. O(connections + units).

    Examples
    --------
    The second hidden unit has no output, the third no input.

    >>> layers = np.array([[1, 1], [0, 1], [0, 0]]), np.array([[1, 0, 1]])
    >>> [[layer.nnz for layer in effective_pattern(layers, mode)] for mode in MODES]
    [[2, 1], [2, 2], [3, 1]]

    The same weights as two convolutions: kernels of 1x2 from one channel to three, and of 1x1 from
    these to one. Nothing reads the second filter, and the third reads nothing.

    >>> from sparse_ref.topology.units import Link, UnitGraph
    >>> graph = UnitGraph((1, 3, 1), (Link(0, 1, weight=0, block=2), Link(1, 2, weight=1)))
    >>> [layer.nnz for layer in effective_pattern(layers, graph=graph)]
    [2, 1]
    """
    layers, graph = wired(network, "effective_pattern", pattern, graph)
    units = _units(layers, graph, mode, "effective_pattern")
    return tuple(_only(la, _between(la, graph, k, units)) for k, la in enumerate(layers))


def effective_sparsity(
    network: Topology,
    mode: str = "both",
    *,
    pattern: str = "structural",
    graph: UnitGraph | None = None,
) -> float:
    """Fraction of all positions, of all layers together, without an effective connection.

    At least the sparsity, and equal to it where every connection is effective; nan without
    positions. Parameters as `effective_pattern`.
    """
    layers, graph = wired(network, "effective_sparsity", pattern, graph)
    units = _units(layers, graph, mode, "effective_sparsity")
    effective = sum(int(_between(la, graph, k, units).sum()) for k, la in enumerate(layers))
    positions = sum(layer.shape[0] * layer.shape[1] for layer in layers)
    return 1 - effective / positions if positions else float("nan")


def effective_units(
    network: Topology,
    mode: str = "both",
    *,
    pattern: str = "structural",
    graph: UnitGraph | None = None,
) -> tuple[np.ndarray, ...]:
    """Units on a path, as in `effective_pattern`: bool arrays, one longer than it.

    The inputs (channels of images) first, then of each weight the units it makes: filters of a
    convolution. ``both``: an input and an output can be reached; ``output``, ``input``: the one
    that is named.
    """
    layers, graph = wired(network, "effective_units", pattern, graph)
    units = _units(layers, graph, mode, "effective_units")
    return (units[0], *(units[link.target] for link in graph.weights))


def _units(layers, graph, mode, who):
    """Of each row of units, those on a path."""
    if mode not in MODES:
        raise ValueError(f"{who}: mode must be one of {list(MODES)}, got {mode!r}")
    if mode == "both":
        pairs = zip(reached(graph, layers), leading(graph, layers), strict=True)
        return tuple(a & b for a, b in pairs)
    return (leading if mode == "output" else reached)(graph, layers)


def _between(layer, graph, k, units):
    """``(nnz,)`` bool: the connections of a layer from one of `units` to one of them."""
    link = graph.weights[k]
    inputs, outputs = units[link.source], units[link.target]
    return inputs[sources(graph, link, layer)] & of_rows(layer, outputs)


def _only(layer, kept):
    drop = np.flatnonzero(~kept)
    if not drop.size:
        return layer
    none = np.empty(0, np.int64)
    return csr.apply(layer, csr.Rewire(drop, none, np.empty(0, layer.dtype)))[0]
