"""A network without its dead units, that computes the same.

Two kinds of hidden units do nothing for the outputs of a trained network. A unit that no path leads
from is not read by anything: it goes. A unit that no path leads to from an input emits a constant,
what its bias (and constants before it) make of the activation: it goes, and what it added to the
units it feeds is added to their biases. What is left are the units of
``survivors(net, "fixpoint")``, in arrays that are really smaller.
"""

from copy import copy
from typing import NamedTuple

import numpy as np

from sparse_ref import tiles
from sparse_ref.layers import AllReLU, Dense, Dropout, Linear, ReLU, SReLU
from sparse_ref.layers.unscaled_dropout import EvaluationScale, UnscaledDropout
from sparse_ref.network import Network
from sparse_ref.topology.downsizing import cut
from sparse_ref.topology.paths import fed, of_rows, read

INPUTS = ("all", "read")
UNIT_BY_UNIT = AllReLU | Dropout | EvaluationScale | ReLU | SReLU | UnscaledDropout


class Downsized(NamedTuple):
    """A smaller network, and what became of the units.

    Attributes
    ----------
    network : Network
        On arrays of its own.
    inputs : (n,) int64
        The inputs it takes, ascending: ``network.predict(x[:, inputs])``.
    units : tuple of (n,) int64
        Of each layer with a weight, which of its units are left.
    constant, unread : tuple of int
        Of each hidden layer, units that no input reached, and those that reached no output; a unit
        that is both counts as unread.
    """

    network: Network
    inputs: np.ndarray
    units: tuple[np.ndarray, ...]
    constant: tuple[int, ...]
    unread: tuple[int, ...]


def downsize(net: Network, *, inputs: str = "all") -> Downsized:
    """Remove every hidden unit that makes no difference to what the network computes.

    Parameters
    ----------
    net : Network
        Not changed. A stored 0.0 is a connection; a dense layer has all of them.
    inputs : str
        ``all``: every input stays. ``read``: those that no path leads from go too.

    Returns
    -------
    Downsized
        Of a network that has no dead units, a copy. A layer can be left without any unit; the
        outputs, which all stay, are then constants.

    Notes
    -----
    *Evaluation.* Outputs are the same to rounding: constants are summed in float64 and rounded once
    into a bias, and the other sums have fewer terms in another grouping.

    *Training* may go on with the new network, in less time, and takes another course. The
    parameters of removed units are no longer trained. Constants that have become part of a bias are
    no longer dropped by dropout: where `Dropout` follows, the bias holds their mean; where
    `UnscaledDropout` does, training sees them whole and saw ``1 - rate`` of them on average.
    Dropout layers stay, and draw for fewer units. State of optimizers and methods is not carried
    along.

    Memory: the new network and O(connections). Sparse layers are never made dense.

    Examples
    --------
    Unit 1 has no output; unit 2 no input, and emits ``relu(3)``.

    >>> from sparse_ref import csr
    >>> first = csr.from_dense(np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]))
    >>> second = csr.from_dense(np.array([[1.0, 0.0, 2.0]]))
    >>> net = Network([Linear(first, np.array([0.0, 0.0, 3.0])), ReLU(), Linear(second)])
    >>> small = downsize(net).network
    >>> small.connections, small.layers[-1].bias
    ((2, 1), array([6.]))
    """
    if inputs not in INPUTS:
        raise ValueError(f"downsize: inputs must be one of {list(INPUTS)}, got {inputs!r}")
    for layer in net.layers:
        if not isinstance(layer, Linear | Dense | UNIT_BY_UNIT):
            raise TypeError(
                "downsize: layers must be known to act on every unit by itself, got "
                f"{type(layer).__name__}"
            )
    reached, leading = _reached(net.weighted), _leading(net.weighted)
    kept = [a & b for a, b in zip(reached, leading, strict=True)]
    kept[0] = leading[0] if inputs == "read" else reached[0]
    kept[-1] = np.ones_like(kept[-1])  # outputs are what the network is for
    hidden = list(zip(reached, leading, strict=True))[1:-1]
    return Downsized(
        Network(_smaller(net, reached, kept), net.loss),
        np.flatnonzero(kept[0]),
        tuple(map(np.flatnonzero, kept[1:])),
        tuple(int(np.sum(~fed & read)) for fed, read in hidden),
        tuple(int(np.sum(~read)) for _, read in hidden),
    )


def _reached(weighted):
    """Of each layer of units, inputs first: those with a path from an input."""
    units = [np.ones(weighted[0].n_in, bool)]
    for layer in weighted:
        dense = isinstance(layer, Dense)
        here = np.full(layer.n_out, units[-1].any()) if dense else fed(layer.weight, units[-1])
        units.append(here)
    return units


def _leading(weighted):
    """Of each layer of units, inputs first: those with a path to an output."""
    units = [np.ones(weighted[-1].n_out, bool)]
    for layer in reversed(weighted):
        dense = isinstance(layer, Dense)
        here = np.full(layer.n_in, units[-1].any()) if dense else read(layer.weight, units[-1])
        units.append(here)
    return units[::-1]


def _smaller(net, reached, kept):
    """The layers between the units that are kept; constants go from layer to layer."""
    layers, k = [], 0
    emitted = np.zeros(net.n_in, net.dtype)  # by constant units; 0 for all others
    for layer in net.layers:
        if not isinstance(layer, Linear | Dense):
            emitted = _through(layer, emitted)
            layers.append(_cut_units(layer, kept[k]))
            continue
        bias = _folded(layer, np.where(reached[k], 0, emitted))
        layers.append(_cut_weight(layer, bias, kept[k + 1], kept[k]))
        emitted, k = bias, k + 1
    return layers


def _folded(layer, constants):
    """The bias with what `constants` (n_in,) add to each sum."""
    sources = np.flatnonzero(constants)
    if not sources.size:
        return layer.bias
    constants = constants.astype(np.float64)
    if isinstance(layer, Dense):
        sums = layer.weight[:, sources] @ constants[sources]
    else:
        terms = layer.weight.data * constants[layer.weight.indices]
        terms[layer.left_out] = 0
        rows = of_rows(layer.weight, np.arange(layer.n_out))
        sums = np.bincount(rows, weights=terms, minlength=layer.n_out)
    return (layer.bias + sums).astype(layer.bias.dtype)


def _through(layer, values):
    """What one example `values` (n,) becomes in evaluation."""
    return tiles.unpack(layer.forward(tiles.pack(values[None]))[0], 1)[0]


def _cut_weight(layer, bias, rows, columns):
    if isinstance(layer, Dense):
        return Dense(layer.weight[np.ix_(rows, columns)], bias[rows])
    weight, slots = cut(layer.weight, rows, columns)
    smaller = Linear(weight, bias[rows])
    smaller.leave_out(np.flatnonzero(np.isin(slots, layer.left_out)))
    return smaller


def _cut_units(layer, kept):
    """A layer without weights, for the units that are kept."""
    if isinstance(layer, SReLU):
        return SReLU(*(values[kept] for values in layer.parameters().values()))
    return copy(layer)
