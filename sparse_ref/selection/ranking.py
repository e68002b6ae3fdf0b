"""Rankings: the k largest, the k smallest, and what two selections have in common."""

import math

import numpy as np

from sparse_ref import structure, tiles
from sparse_ref.selection.checks import require_count, require_numbers

TIES = ("keep_low_index", "drop_low_index", "random")
BRACKET = 1 << 12  # scores sampled to find about where the k-th largest is


def largest(scores: np.ndarray, k: int) -> np.ndarray:
    """Indices of the `k` largest of `scores`, ascending; on ties the lower index is in.

    Parameters
    ----------
    scores : (n,)
    k : int
        0 ... n.

    Examples
    --------
    >>> largest(np.array([3.0, 7.0, 3.0, 3.0]), 2)
    array([0, 1])
    """
    require_count("largest", k, len(scores))
    require_numbers("largest", scores)
    return _chosen(scores, k, others=False)


def smallest(
    scores: np.ndarray,
    k: int,
    ties: str = "keep_low_index",
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Indices of the `k` smallest of `scores`, ascending; on ties the higher index is in.

    The complement of ``largest(scores, n - k)``.

    Parameters
    ----------
    scores : (n,)
    k : int
        0 ... n.
    ties : str
        Which of equal scores *stay*. ``keep_low_index``: the rule of this library, and of a stable
        descending sort (TensorFlow, JAX). ``drop_low_index``: a stable ascending sort of which the
        first k go (the PyTorch codes, as far as their sort is stable). ``random``: any of them.
    rng : Generator, optional
        For ``random``; no other rule draws.

    Examples
    --------
    >>> smallest(np.array([0.5, 0.1, 0.1, 0.9]), 1)
    array([2])
    >>> smallest(np.array([0.5, 0.1, 0.1, 0.9]), 1, ties="drop_low_index")
    array([1])
    """
    require_count("smallest", k, len(scores))
    require_numbers("smallest", scores)
    if ties not in TIES:
        raise ValueError(f"smallest: ties must be one of {list(TIES)}, got {ties!r}")
    if ties == "random":
        return _smallest_at_random(scores, k, rng)
    if ties == "drop_low_index":
        return len(scores) - 1 - _chosen(scores[::-1], len(scores) - k, others=True)[::-1]
    return _chosen(scores, len(scores) - k, others=True)


def drop_threshold(scores: np.ndarray, k: int) -> np.ndarray:
    """Indices of all scores that are at most the k-th smallest: with k, all that equal it (ITOP).

    With ``k = 0`` the exact zeros of magnitudes.

    Examples
    --------
    >>> drop_threshold(np.array([0.5, 0.2, 0.2, 0.2, 0.3]), 2)
    array([1, 2, 3])
    """
    require_count("drop_threshold", k, len(scores))
    threshold = np.partition(scores, k - 1)[k - 1] if k else 0
    return np.flatnonzero(scores <= threshold)


def _smallest_at_random(scores, k, rng):
    """Rank in a random order, so that no index comes before another."""
    if rng is None:
        raise ValueError("smallest: random ties need a generator, got None")
    order = rng.permutation(len(scores))
    return np.sort(order[_chosen(scores[order], len(scores) - k, others=True)])


def _chosen(scores, k, others):
    """Indices of the `k` largest, or of all the others."""
    n = len(scores) - k if others else k
    if k == 0 or n == 0:
        return np.arange(n)
    if scores.dtype not in (np.float32, np.float64):
        scores = np.unique(scores, return_inverse=True)[1].astype(np.float64)  # ranks, exactly
    scores = np.ascontiguousarray(scores)
    threshold, ties = _threshold(scores, k)
    out = tiles.empty(n, np.int64)
    structure.choose(scores, threshold, ties, not others, out)
    return out


def _threshold(scores, k):
    """The k-th largest score, and how many of those equal to it are among the k largest.

    A sample tells about where it is; only what lies there is partitioned. If it is not there, or
    the scores are few, all of them are.
    """
    low, high = _bracket(scores, k)
    rest = scores[len(scores) // structure.CHUNK * structure.CHUNK :]
    inside = np.empty(len(scores), scores.dtype)
    n, reached = structure.between(scores, low, high, inside)
    inside = np.concatenate([inside[:n], rest[(rest >= low) & (rest < high)]])
    reached += int(np.count_nonzero(rest >= high))
    if not 0 < k - reached <= len(inside):
        inside, reached = scores, 0
    wanted = k - reached
    threshold = np.partition(inside, len(inside) - wanted)[len(inside) - wanted]
    return threshold, wanted - int(np.count_nonzero(inside > threshold))


def _bracket(scores, k):
    """Two scores between which the k-th largest is likely to lie, from a sample at equal steps."""
    sample = np.sort(scores[:: max(1, len(scores) // BRACKET)])
    rank = len(sample) * (len(scores) - k) / len(scores)
    margin = 4 * math.sqrt(rank * (1 - rank / len(sample))) + 2  # four standard deviations
    low, high = int(rank - margin), int(rank + margin) + 1
    below = sample[low] if low > 0 else -np.inf
    return scores.dtype.type(below), scores.dtype.type(
        sample[high] if high < len(sample) else np.inf
    )


def meet(some: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of `some` are among `others`, and which of `others` are among `some`; both ascend."""
    met = np.empty(len(some), bool), np.empty(len(others), bool)
    structure.meet(np.ascontiguousarray(some), np.ascontiguousarray(others), *met)
    return met
