"""What becomes of a layer's weights from one pruning iteration to the next.

References
----------
Paganini and Forde (2020), "On Iterative Neural Network Pruning, Reinitialization, and the
Similarity of Masks", section 5 and figures 6 to 8: values at the end of each iteration's training,
lines that end where a weight is pruned, and their mean absolute change.
"""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sparse_ref import csr
from sparse_ref.selection import meet
from sparse_ref.topology import correlation, weight_stability

Weight = Any  # (n_out, n_in): csr_array, or ndarray of a dense layer


class Evolution(NamedTuple):
    """Values of a layer's weights over iterations."""

    positions: np.ndarray  # (n,) int64 flat positions of weights that exist at any time, ascending
    values: np.ndarray  # (iterations, n) nan where the weight does not exist


def weight_evolution(weights: Sequence[Weight]) -> Evolution:
    """The trajectory of every weight of a layer: what figures 6 and 7 draw.

    Parameters
    ----------
    weights : sequence of (n_out, n_in) csr_array or ndarray
        Of one layer at the end of each iteration. In an ndarray, the weight of a dense layer, all
        positions are connections.

    Returns
    -------
    Evolution
        Of the weights' dtype; O(iterations * weights at the beginning).

    Examples
    --------
    >>> ends = [np.array([[1.0, 2.0]]), csr.from_dense(np.array([[1.5, 0.0]]))]
    >>> weight_evolution(ends).values
    array([[1. , 2. ],
           [1.5, nan]])
    """
    layers = _layers(weights, "weight_evolution")
    places = [csr.flat(layer) for layer in layers]
    positions = np.unique(np.concatenate(places))
    values = np.full((len(layers), len(positions)), np.nan, layers[0].dtype)
    for row, layer, at in zip(values, layers, places, strict=True):
        row[np.searchsorted(positions, at)] = layer.data
    return Evolution(positions, values)


def stability(weights: Sequence[Weight], alive: str = "pooled") -> float:
    """Mean absolute change of a layer's weights from one iteration to the next: figure 8.

    Parameters
    ----------
    weights : as for `weight_evolution`, two or more
    alive : str
        See `sparse_ref.topology.weight_stability`. ``pooled``: over all weights that live on,
        whatever the iteration.
    """
    return weight_stability(_layers(weights, "stability"), alive)


def ordinality(weights: Sequence[Weight]) -> np.ndarray:
    """How well weights keep their order of magnitude from one iteration to the next.

    Parameters
    ----------
    weights : as for `weight_evolution`

    Returns
    -------
    (iterations - 1,) float64
        Spearman's rank correlation of the magnitudes before and after, over the weights that exist
        at both; nan where none do or all are equal.

    Examples
    --------
    >>> ordinality([np.array([[1.0, -2.0, 3.0]]), np.array([[1.0, 5.0, -4.0]])])
    array([0.5])
    """
    pairs = itertools.pairwise(_layers(weights, "ordinality"))
    return np.array([_rank_correlation(before, after) for before, after in pairs], np.float64)


def _rank_correlation(before, after):
    in_after, in_before = meet(csr.flat(before), csr.flat(after))
    if not in_after.any():
        return np.nan
    magnitudes = np.abs(before.data[in_after]), np.abs(after.data[in_before])
    return correlation(*magnitudes, kind="spearman")


def _layers(weights, who):
    """Every weight as CSR, all of one shape."""
    layers = [_complete(w) if isinstance(w, np.ndarray) else csr.check(w, who) for w in weights]
    shapes = {layer.shape for layer in layers}
    if len(shapes) != 1:
        raise ValueError(
            f"{who}: weights must be one or more of one shape, got shapes {sorted(shapes)}"
        )
    return layers


def _complete(weight):
    """A dense layer's weight, its zeros too."""
    return csr.from_dense(weight, np.ones(weight.shape, bool))
