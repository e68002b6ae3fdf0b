"""Which go: the k of lowest score, and what every code makes of scores that are equal."""

import numpy as np

from sparse_ref import selection
from sparse_ref.selection import drop_threshold, smallest

TIES = (*selection.TIES, "drop_all", "keep_all")


def weakest(
    scores: np.ndarray,
    k: int,
    ties: str = "keep_low_index",
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Indices of the `k` lowest of `scores`, ascending; with two of the rules not just as many.

    Parameters
    ----------
    scores : (n,)
    k : int
        0 ... n.
    ties : str
        ``keep_low_index``, ``drop_low_index``, ``random``: exactly k, see `selection.smallest`.
        ``drop_all``: all that equal the last of the k go with it (google-lth and open-lth keep
        ``|w| > threshold``; SynFlow's code). ``keep_all``: all that equal the first that stays
        stay with it (tfmot keeps ``|w| >= threshold``).
    rng : Generator, optional
        For ``random``.

    Examples
    --------
    >>> scores = np.array([0.5, 0.1, 0.1, 0.9])
    >>> [weakest(scores, 1, ties).tolist() for ties in ("keep_low_index", "drop_all", "keep_all")]
    [[2], [1, 2], []]
    """
    check_ties("weakest", ties)
    if ties in selection.TIES:
        return smallest(scores, k, ties, rng)
    lowest = smallest(scores, k)
    if ties == "drop_all":
        return drop_threshold(scores, k) if k else lowest
    stay = np.delete(scores, lowest)
    return np.flatnonzero(scores < stay.min()) if len(stay) else lowest


def check_ties(who: str, ties: str) -> None:
    """Refuse a rule that nobody has."""
    if ties not in TIES:
        raise ValueError(f"{who}: ties must be one of {list(TIES)}, got {ties!r}")
