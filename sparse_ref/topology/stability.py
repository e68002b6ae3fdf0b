"""How much weights differ between the ends of trainings that follow each other.

References
----------
Paganini and Forde (2020), "On Iterative Neural Network Pruning, Reinitialization, and the
Similarity of Masks", section 5, figure 8: ``|w_i - w_{i-1}|`` of a layer at the ends of consecutive
pruning iterations, averaged over its weights and the iterations.

Departures
----------
* The paper does not say whether weights count that have been pruned: `ALIVE` names three readings.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr
from sparse_ref.selection import meet
from sparse_ref.topology.patterns import alike

ALIVE = ("both", "pooled", "masked")


def weight_stability(weights: Sequence[csr_array], alive: str = "both") -> float:
    """Mean absolute change of a layer's weights from one end of training to the next.

    Parameters
    ----------
    weights : sequence of (n_out, n_in) csr_array
        Of one layer at the end of each iteration, two or more; patterns may differ.
    alive : str
        Which weights count. ``both``: those connected at the end of both iterations, averaged for
        each pair of iterations and then over pairs; a pair without such weights is skipped.
        ``pooled``: the same weights, all averaged at once, so that early pairs count for more.
        ``masked``: all positions of the layer, a weight that does not exist being 0.

    Returns
    -------
    float
        In units of weights; nan if there is no weight to count. O(connections).

    Examples
    --------
    >>> layer = [csr.from_dense(np.array([[1.0, 2.0]])), csr.from_dense(np.array([[1.5, 0.0]]))]
    >>> weight_stability(layer), weight_stability(layer, "masked")
    (0.5, 1.25)
    """
    if alive not in ALIVE:
        raise ValueError(f"weight_stability: alive must be one of {list(ALIVE)}, got {alive!r}")
    weights = [csr.check(weight, "weight_stability") for weight in weights]
    if len(weights) < 2:
        raise ValueError(f"weight_stability: weights must be two or more, got {len(weights)}")
    pairs = itertools.pairwise(weights)
    changes = [_change(before, after, alive == "masked") for before, after in pairs]
    totals, counts = np.array(changes, np.float64).T
    if not counts.any():
        return float("nan")
    if alive == "pooled":
        return float(totals.sum() / counts.sum())
    return float(np.mean(totals[counts > 0] / counts[counts > 0]))


def _change(before, after, masked):
    """Sum of absolute changes, and how many weights it is of."""
    alike(before, after, "weight_stability")
    in_after, in_before = meet(csr.flat(before), csr.flat(after))
    old, new = (weight.data.astype(np.float64) for weight in (before, after))
    total = np.abs(new[in_before] - old[in_after]).sum()
    if not masked:
        return total, in_after.sum()
    ended, begun = np.abs(old[~in_after]).sum(), np.abs(new[~in_before]).sum()
    return total + ended + begun, np.prod(before.shape, dtype=np.int64)
