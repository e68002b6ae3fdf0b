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
"""

import math
from typing import Any, NamedTuple

import numpy as np

from sparse_ref.topology.patterns import Topology, layers_of, pattern_of


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
        Of a convolution, ``(C_out, C_in / groups * kh * kw)``, rows are filters, but columns are
        taps and not channels.

    Examples
    --------
    >>> weight = np.array([[1, 0, 1], [0, 0, 0]])
    >>> empty_neurons(weight), empty_inputs(weight)
    (array([False,  True]), array([False,  True, False]))
    """
    return np.diff(pattern_of(weight, "empty_neurons").indptr) == 0


def empty_inputs(weight: Any) -> np.ndarray:
    """``(n_in,)`` bool: units that no connection leaves, the empty columns."""
    weight = pattern_of(weight, "empty_inputs")
    return np.bincount(weight.indices, minlength=weight.shape[1]) == 0


def downsized_parameters(weights: Topology) -> int:
    """Params*: positions that are left when empty rows and columns are taken out of every weight.

    Examples
    --------
    Half of the neurons and half of the inputs empty leave a quarter (section 5.1).

    >>> weight = np.zeros((4, 6))
    >>> weight[:2, ::2] = 1
    >>> downsized_parameters([weight]), 4 * 6
    (6, 24)
    """
    layers = layers_of(weights, "downsized_parameters")
    sizes = (np.sum(~empty_neurons(w)) * np.sum(~empty_inputs(w)) for w in layers)
    return sum(map(int, sizes))


def emptiness(weights: Topology) -> Emptiness:
    """A network's line of table 4.

    Parameters
    ----------
    weights : topology
        See `sparse_ref.topology.patterns`; such as the weights of ``net.sparse_layers``. (Those of
        a `Network` include its dense layers.)

    Returns
    -------
    Emptiness
        nan where there are no units to take a fraction of.
    """
    weights = layers_of(weights, "emptiness")
    parameters = downsized_parameters(weights)
    positions = sum(w.shape[0] * w.shape[1] for w in weights)
    return Emptiness(
        _fraction(sum(int(empty_neurons(w).sum()) for w in weights), weights, 0),
        _fraction(sum(int(empty_inputs(w).sum()) for w in weights), weights, 1),
        parameters,
        parameters / positions if positions else math.nan,
    )


def _fraction(empty, weights, axis):
    """Of all rows (axis 0) or columns."""
    units = sum(w.shape[axis] for w in weights)
    return empty / units if units else math.nan
