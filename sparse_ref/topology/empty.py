"""Units that a weight leaves without connections, and the dense weight that would do instead.

References
----------
Parger et al. (2022), "Gradient-based Weight Density Balancing for Robust Dynamic Sparse Training",
ICML, section 5.1 and table 4: empty neurons, empty inputs, Params*.

Departures
----------
* The paper does not say how it makes one percentage of many layers. Here all units of all layers
  count the same: empty ones over units, not a mean of the layers' percentages. Not verified.
* Each weight is looked at by itself: a unit that nothing enters still counts as an input of the
  next layer if that one reads it. The paper's Params* is read so; it removes what is "completely
  empty" and does not say that it goes on from there.
* A stored 0.0 is a connection; the paper counts "not a single weight".
* Of a convolution an input is a channel, as in PyTorch's weights, in which the paper counts: of a
  depthwise one, or any with groups, a channel's place in its group, so that a depthwise weight has
  one input. Behind an image that was flattened each position is an input. Not verified.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sparse_ref.topology.patterns import Topology, inputs_in_blocks, layers_of, pattern_of


class Emptiness(NamedTuple):
    """Of a network's weights together.

    Attributes
    ----------
    neurons, inputs : float
        Fractions of all rows and of all columns that hold no connection.
    parameters : int
        `downsized_parameters`.
    share : float
        Those over all positions: 1 for dense weights.
    """

    neurons: float
    inputs: float
    parameters: int
    share: float


def empty_neurons(weight: Any) -> np.ndarray:
    """``(n_out,)`` bool: units that no connection enters, the empty rows.

    Parameters
    ----------
    weight : (n_out, n_in) csr_array or ndarray
        Of a convolution, ``(C_out, C_in / groups * kh * kw)``, rows are filters.

    Examples
    --------
    >>> weight = np.array([[1, 0, 1], [0, 0, 0]])
    >>> empty_neurons(weight), empty_inputs(weight)
    (array([False,  True]), array([False,  True, False]))
    """
    return np.diff(pattern_of(weight, "empty_neurons").indptr) == 0


def empty_inputs(weight: Any, block: int = 1) -> np.ndarray:
    """``(n_in / block,)`` bool: units that no connection leaves, the empty columns.

    Parameters
    ----------
    weight : (n_out, n_in) csr_array or ndarray
    block : int
        Columns of a unit, empty if all are: ``kh * kw`` of a convolution; 1 there tells which
        positions of its kernels are empty.
    """
    weight = inputs_in_blocks(pattern_of(weight, "empty_inputs"), "empty_inputs", block)
    return np.bincount(weight.indices, minlength=weight.shape[1]) == 0


def downsized_parameters(weights: Topology, blocks: Sequence[int] | None = None) -> int:
    """Params*: positions that are left when empty rows and inputs are taken out of every weight.

    Parameters
    ----------
    weights, blocks
        See `emptiness`.

    Examples
    --------
    Half of the neurons and half of the inputs empty leave a quarter (section 5.1).

    >>> weight = np.zeros((4, 6))
    >>> weight[:2, ::2] = 1
    >>> downsized_parameters([weight]), 4 * 6
    (6, 24)
    """
    layers, blocks = _with_blocks(weights, blocks, "downsized_parameters")
    pairs = zip(layers, blocks, strict=True)
    sizes = (np.sum(~empty_neurons(w)) * np.sum(~empty_inputs(w, b)) * b for w, b in pairs)
    return sum(map(int, sizes))


def emptiness(weights: Topology, blocks: Sequence[int] | None = None) -> Emptiness:
    """A network's line of table 4.

    Parameters
    ----------
    weights : topology
        See `sparse_ref.topology.patterns`; such as the weights of ``net.sparse_layers``. (Those of
        a `Network` include its dense layers.)
    blocks : sequence of int, optional
        Columns of an input, of each weight: ``kh * kw`` of convolutions, 1 of others. If omitted,
        what a `Network` knows of its layers, and otherwise 1.

    Returns
    -------
    Emptiness
        nan where there are no units to take a fraction of.
    """
    layers, blocks = _with_blocks(weights, blocks, "emptiness")
    parameters = downsized_parameters(layers, blocks)
    positions = sum(w.shape[0] * w.shape[1] for w in layers)
    return Emptiness(
        _fraction([empty_neurons(w) for w in layers]),
        _fraction([empty_inputs(w, block) for w, block in zip(layers, blocks, strict=True)]),
        parameters,
        parameters / positions if positions else math.nan,
    )


def _with_blocks(weights, blocks, who):
    """The patterns, and the columns of an input of each."""
    graph = getattr(weights, "unit_graph", None)
    layers = layers_of(weights, who)
    if blocks is None:
        blocks = [link.block for link in graph.weights] if graph else [1] * len(layers)
    if len(blocks) != len(layers):
        raise ValueError(
            f"{who}: blocks must be one for each weight, {len(layers)}, got {len(blocks)}"
        )
    return layers, blocks


def _fraction(empty):
    """Of all units."""
    units = sum(map(len, empty))
    return sum(int(each.sum()) for each in empty) / units if units else math.nan
