"""Which connections SET drops: our rule, the paper's, and those of the authors' codes.

Nothing here is a method; `sparse_ref.methods.set_` is.

References
----------
Mocanu et al. (2018), algorithm 1. dcmocanu/sparse-evolutionary-artificial-neural-networks, commit
62ac974: the codes named in `sparse_ref.methods.conventions`.

Memory: O(connections), also where a code sorts the dense matrix with its masked zeros.
"""

import math

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr
from sparse_ref.methods.base import ROUNDINGS, check_name, count
from sparse_ref.selection import TIES, smallest

PRUNES = ("magnitude", "signwise_paper", "mocanu_code", "keras")


def weakest(
    weight: csr_array,
    fraction: float,
    prune: str = "magnitude",
    rounding: str = "floor",
    ties: str = "keep_low_index",
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Slots that an event drops, ascending.

    Parameters
    ----------
    weight : (n_out, n_in) csr_array
    fraction : float
        ζ, in [0, 1].
    prune : str
        ``magnitude``: the fraction of the smallest ``|w|``. ``signwise_paper``: that fraction of
        the smallest weights >= 0, and of the negative ones closest to 0. ``mocanu_code`` and
        ``keras``: see `between_thresholds`.
    rounding, ties : str
        Of the first two: how many (`methods.base.count`) and which of equals
        (`selection.smallest`). The thresholds know neither: they take all that equal them.
    rng : Generator, optional
        For ties at random.
    """
    csr.check(weight, "SET")
    check_rules(prune, rounding, ties)
    values = weight.data
    if prune == "magnitude":
        return smallest(np.abs(values), count(fraction, weight.nnz, rounding), ties, rng)
    if prune in ("mocanu_code", "keras"):
        absent = math.prod(weight.shape) - weight.nnz if prune == "keras" else 0
        return between_thresholds(values, fraction, absent)
    slots = [np.flatnonzero(side) for side in (values >= 0, values < 0)]
    drops = [
        side[smallest(np.abs(values[side]), count(fraction, len(side), rounding), ties, rng)]
        for side in slots
    ]
    return np.sort(np.concatenate(drops))


def between_thresholds(values: np.ndarray, fraction: float, absent: int = 0) -> np.ndarray:
    """Slots that the SET authors' codes drop: all weights between two of the ranks, both included.

    With ``v`` the sorted weights, p the first of those closest to zero and q one past the last::

        lo = v[int((1 - ζ) p)]      hi = v[int(min(n - 1, q + ζ (n - q)))]

    Keras: `absent` masked zeros are among ``v``. More than ζ n go, the weakest of each sign at
    least, and all that equal a threshold.

    Examples
    --------
    >>> v = np.array([-0.9, -0.7, -0.5, -0.3, -0.1, 0.05, 0.2, 0.4, 0.6, 0.8])
    >>> v[between_thresholds(v, 0.3)]
    array([-0.3 , -0.1 ,  0.05,  0.2 ,  0.4 ])
    """
    if np.isnan(values).any():
        raise ValueError("SET: weights must be numbers, got nan")
    n, ordered = len(values) + absent, np.sort(values)
    if n == 0:
        return np.empty(0, np.int64)
    weakest_magnitude = 0 if absent else np.abs(ordered).min()
    below = int(np.count_nonzero(ordered < 0))  # the absent zeros stand after these

    def rank(k):
        if k < below:
            return ordered[k]
        return 0 if k < below + absent else ordered[k - absent]

    p = int(np.count_nonzero(ordered < -weakest_magnitude))
    q = n - int(np.count_nonzero(ordered > weakest_magnitude))
    lo = rank(int((1 - fraction) * p))
    hi = rank(int(min(n - 1, q + fraction * (n - q))))
    return np.flatnonzero((values >= lo) & (values <= hi))


def check_rules(prune: str, rounding: str, ties: str) -> None:
    """Refuse rules that nobody has."""
    check_name("SET", "prune", prune, PRUNES)
    check_name("SET", "rounding", rounding, list(ROUNDINGS))
    check_name("SET", "ties", ties, TIES)
