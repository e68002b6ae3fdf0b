"""A network without its dead units, that computes the same.

Two kinds of hidden units do nothing for the outputs of a trained network. A unit that no path leads
from is not read by anything: it goes. A unit that no path leads to from an input emits a constant,
what its bias (and constants before it) make of the activation: it goes, and what it added to the
units it feeds is added to their biases. What is left of linear layers one after the other are the
units of ``survivors(net, "fixpoint")``, in arrays that are really smaller.

Units of convolutions are channels. Not all of them can go, see `downsize`.
"""

from typing import NamedTuple

import numpy as np

from sparse_ref.downsize.constants import folded, maps_before
from sparse_ref.downsize.cutting import cut_unweighted, cut_weighted
from sparse_ref.downsize.kept import Dead, kept_units
from sparse_ref.layers.base import is_weighted
from sparse_ref.network import Network
from sparse_ref.network_units import rows_of
from sparse_ref.residual import nested
from sparse_ref.topology.units import leading, reached

INPUTS = ("all", "read")


class Downsized(NamedTuple):
    """A smaller network, and what became of the units.

    Attributes
    ----------
    network : Network
        On arrays of its own.
    inputs : (n,) int64
        The numbers of an example it takes, ascending: ``network.predict(x[:, inputs])`` of flat
        ``x``. Of images whole channels.
    units : tuple of (n,) int64
        Of each layer with a weight, which of its units (filters of a convolution) are left.
    constant, unread : tuple of int
        Of each layer with a weight but the last, dead units: those that no input reaches, and those
        that reach no output; a unit that is both counts as unread.
    held : tuple of int
        How many of these dead units are still there, since the network would not compute the same
        without them, or could not be built.
    """

    network: Network
    inputs: np.ndarray
    units: tuple[np.ndarray, ...]
    constant: tuple[int, ...]
    unread: tuple[int, ...]
    held: tuple[int, ...]


def downsize(net: Network, *, inputs: str = "all") -> Downsized:
    """Remove every hidden unit that makes no difference to what the network computes.

    Parameters
    ----------
    net : Network
        Not changed. A stored 0.0 is a connection; a dense layer has all of them.
    inputs : str
        ``all``: every input stays. ``read``: those that no path leads from go too; of images,
        channels.

    Returns
    -------
    Downsized
        Of a network that has no dead units, a copy. A linear layer can be left without any unit;
        outputs, which all stay, are then constants.

    Notes
    -----
    *Evaluation.* Outputs are the same to rounding: constants are summed in float64 and rounded once
    into a bias, and the other sums have fewer terms in another grouping. A convolution without a
    bias gets one where it needs it.

    *What stays* although it is dead, as `Downsized.held` counts:

    * Constant channels that a convolution reads across its padding. Zeros around an image are not
      the constant, so that near borders a sum would need another bias; a channel of zeros goes, and
      any that is only read through positions of the kernels that never meet padding. Likewise
      constant channels that differ from place to place, which only a linear layer, or a convolution
      with one position, can do without.
    * What is tied to a channel that stays: by a residual sum the same channel of both branches and
      all that they are sums with; by a depthwise convolution its input and output; by one with
      other groups all of its group on both sides; by flattening all positions of a channel.
    * All channels before and behind local response normalisation, which counts neighbours.
    * The first channel of an image that no channel would be left of, and what it reads.

    Where units are held, a second call may find more: of groups one may be left, which ties
    nothing.

    *Training* may go on with the new network, in less time, and takes another course. The
    parameters of removed units are no longer trained. Constants that have become part of a bias are
    no longer dropped by dropout: where `Dropout` follows, the bias holds their mean; where
    `UnscaledDropout` does, training sees them whole and saw ``1 - rate`` of them on average. Batch
    normalisation made its beta of a constant in training, and evaluates it by running statistics.
    Dropout layers stay, and draw for fewer units. State of optimizers and methods is not carried
    along.

    Memory: the new network, O(connections), and an example's activations. Sparse layers are never
    made dense.

    Examples
    --------
    Unit 1 has no output; unit 2 no input, and emits ``relu(3)``.

    >>> from sparse_ref import csr
    >>> from sparse_ref.layers import Linear, ReLU
    >>> first = csr.from_dense(np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]))
    >>> second = csr.from_dense(np.array([[1.0, 0.0, 2.0]]))
    >>> net = Network([Linear(first, np.array([0.0, 0.0, 3.0])), ReLU(), Linear(second)])
    >>> small = downsize(net).network
    >>> small.connections, small.layers[-1].bias
    ((2, 1), array([6.]))
    """
    if inputs not in INPUTS:
        raise ValueError(f"downsize: inputs must be one of {list(INPUTS)}, got {inputs!r}")
    rows = rows_of(net.layers, net.plan, net.shape, "downsize")
    weights = [layer.weight for layer in net.weighted]
    dead = Dead(reached(rows.graph, weights), leading(rows.graph, weights))
    maps = maps_before(net, rows, dead.reached)
    kept = kept_units(net.layers, rows, dead, maps, inputs == "all")
    layers = _smaller(net, rows, dead, maps, kept)
    places = net.n_in // max(net.shape[0], 1)
    shape = (int(kept[0].sum()), *net.shape[1:])
    made = [link.target for link in rows.graph.weights]
    return Downsized(
        Network(nested(net.plan, layers), net.loss, shape),
        np.flatnonzero(np.repeat(kept[0], places)),
        tuple(np.flatnonzero(kept[row]) for row in made),
        *_counts(dead, kept, made[:-1]),
    )


def _counts(dead, kept, rows):
    """Constant, unread, and dead units held in each of `rows`."""
    pairs = [(dead.reached[row], dead.leading[row], kept[row]) for row in rows]
    return (
        tuple(int(np.sum(~fed & read)) for fed, read, _ in pairs),
        tuple(int(np.sum(~read)) for _, read, _ in pairs),
        tuple(int(np.sum(here & ~(fed & read))) for fed, read, here in pairs),
    )


def _smaller(net, rows, dead, maps, kept):
    """Each layer between the units that are kept."""
    links, layers = iter(rows.graph.weights), []
    for layer, row, values in zip(net.layers, rows.before, maps, strict=True):
        if not is_weighted(layer):
            layers.append(cut_unweighted(layer, kept[row]))
            continue
        link = next(links)
        gone = ~kept[row] & ~dead.reached[row]
        bias = folded(layer, np.where(gone[:, None], values, 0))
        layers.append(cut_weighted(layer, link, bias, kept[link.target], kept[row]))
    return layers
