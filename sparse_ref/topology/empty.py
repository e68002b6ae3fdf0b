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

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr


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


def empty_neurons(weight: csr_array) -> np.ndarray:
    """``(n_out,)`` bool: units that no connection enters, the empty rows.

    Examples
    --------
    >>> weight = csr.from_positions((2, 3), np.array([0, 2]), np.zeros(2))
    >>> empty_neurons(weight), empty_inputs(weight)
    (array([False,  True]), array([False,  True, False]))
    """
    return np.diff(csr.check(weight, "empty_neurons").indptr) == 0


def empty_inputs(weight: csr_array) -> np.ndarray:
    """``(n_in,)`` bool: units that no connection leaves, the empty columns."""
    indices = csr.check(weight, "empty_inputs").indices
    return np.bincount(indices, minlength=weight.shape[1]) == 0


def downsized_parameters(weights: Sequence[csr_array]) -> int:
    """Params*: positions that are left when empty rows and columns are taken out of every weight.

    Examples
    --------
    Half of the neurons and half of the inputs empty leave a quarter (section 5.1).

    >>> weight = csr.from_positions((4, 6), np.array([0, 2, 4, 6, 8, 10]), np.zeros(6))
    >>> downsized_parameters([weight]), 4 * 6
    (6, 24)
    """
    sizes = (np.sum(~empty_neurons(w)) * np.sum(~empty_inputs(w)) for w in weights)
    return sum(map(int, sizes))


def emptiness(weights: Sequence[csr_array]) -> Emptiness:
    """A network's line of table 4.

    Parameters
    ----------
    weights : sequence of (n_out, n_in) csr_array
        At least one, such as the weights of ``net.sparse_layers``.
    """
    if not weights:
        raise ValueError("emptiness: weights must hold at least one weight, got none")
    parameters = downsized_parameters(weights)
    return Emptiness(
        float(np.mean(np.concatenate([empty_neurons(w) for w in weights]))),
        float(np.mean(np.concatenate([empty_inputs(w) for w in weights]))),
        parameters,
        parameters / sum(w.shape[0] * w.shape[1] for w in weights),
    )
