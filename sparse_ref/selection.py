"""Which connections: every ranking, every tie and every random choice of positions is made here.

One rule everywhere: order by (score descending, layer index ascending, flat index ascending). The
first k are the k largest; the complement of the first ``n - k`` are the k smallest. So on equal
magnitude it is the *higher* flat index that is dropped, and on equal gradient the *lower* one that
grows. A score that is not a number is refused: it has no rank.
"""

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr

BLOCK_ELEMENTS = 1 << 18  # numbers of dense gradient that exist at a time (1 MB in float32)


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
    _require_count("largest", k, len(scores))
    _require_numbers("largest", scores)
    if k == 0:
        return np.empty(0, np.int64)
    threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
    above = np.flatnonzero(scores > threshold)
    ties = np.flatnonzero(scores == threshold)[: k - len(above)]
    return np.sort(np.concatenate([above, ties]))


def smallest(scores: np.ndarray, k: int) -> np.ndarray:
    """Indices of the `k` smallest of `scores`, ascending; on ties the higher index is in.

    The complement of ``largest(scores, n - k)``.

    Examples
    --------
    >>> smallest(np.array([0.5, 0.1, 0.1, 0.9]), 1)
    array([2])
    """
    _require_count("smallest", k, len(scores))
    keep = largest(scores, len(scores) - k)
    return np.delete(np.arange(len(scores), dtype=np.int64), keep)


def random_ranks(population: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` different integers of ``0 ... population - 1``, ascending, every subset equally likely.

    Draws with replacement and keeps the first n that are new, so time and memory are O(n) however
    large the population (NumPy's ``choice`` lists the population when n is a large part of it);
    above one half it draws those left out.
    """
    _require_count("random_ranks", n, population)
    if n > population // 2:
        left_out = random_ranks(population, population - n, rng)
        return np.delete(np.arange(population, dtype=np.int64), left_out)
    drawn = np.empty(0, np.int64)
    while len(drawn) < n:
        more = rng.integers(0, population, size=n + n // 8 + 8)
        values, first = np.unique(np.concatenate([drawn, more]), return_index=True)
        drawn = values[np.argsort(first, kind="stable")][:n]
    return np.sort(drawn)


def absent_positions(occupied: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Flat positions of the absent connections number `ranks`, counted from 0 in flat order.

    Parameters
    ----------
    occupied : (m,) int64
        Flat positions that are taken, ascending.
    ranks : (n,) int64

    Examples
    --------
    >>> absent_positions(np.array([1, 2, 5]), np.array([0, 1, 2]))
    array([0, 3, 4])
    """
    absent_before = occupied - np.arange(len(occupied))
    return ranks + np.searchsorted(absent_before, ranks, side="right")


def random_absent(
    weight: csr_array, n: int, rng: np.random.Generator, freed: np.ndarray | None = None
) -> np.ndarray:
    """Flat positions of `n` random absent connections, ascending, every subset equally likely.

    Parameters
    ----------
    weight : (n_out, n_in) csr_array
    n : int
        0 ... number of absent connections.
    freed : (n_drop,) int64, optional
        Slots to be dropped in the same event; their positions count as absent.
    """
    occupied = _occupied(weight, freed)
    free = weight.shape[0] * weight.shape[1] - len(occupied)
    _require_count("random_absent", n, free)
    return absent_positions(occupied, random_ranks(free, n, rng))


def largest_absent(
    weight: csr_array,
    grad: Any,
    k: int,
    freed: np.ndarray | None = None,
    block_elements: int = BLOCK_ELEMENTS,
) -> np.ndarray:
    """Flat positions of the `k` absent connections with the largest ``|grad|``, ascending.

    Reads the gradient in blocks of rows; holds at most one block and k candidates beside it.

    Parameters
    ----------
    weight : (n_out, n_in) csr_array
    grad : (n_out, n_in) array, or object with ``block(first, last) -> (last - first, n_in)``
        Dense gradient, or its two factors (`LayerGrad`).
    k : int
        0 ... number of absent connections.
    freed : (n_drop,) int64, optional
        Slots to be dropped in the same event; their positions count as absent.
    block_elements : int
        Most numbers of gradient to hold at a time (but at least one row).
    """
    occupied = _occupied(weight, freed)
    _require_count("largest_absent", k, weight.shape[0] * weight.shape[1] - len(occupied))
    if k == 0:
        return np.empty(0, np.int64)
    candidates = _Largest(k, weight.dtype)
    for start, scores in _score_blocks(weight.shape, grad, block_elements):
        first, last = np.searchsorted(occupied, (start, start + scores.size))
        scores[occupied[first:last] - start] = -1.0
        candidates.add(start, scores)
    return candidates.positions()


class _Largest:
    """The k largest of a stream of scores that arrives in ascending order of position.

    A score equal to the k-th largest so far comes too late: its position is higher.
    """

    def __init__(self, k, dtype):
        self.k, self.threshold = k, -1.0  # -1 marks what is connected; a score is |.| >= 0
        self.scores, self.at = np.empty(0, dtype), np.empty(0, np.int64)

    def add(self, start, scores):
        new = np.flatnonzero(scores > self.threshold)
        self.at = np.concatenate([self.at, start + new])
        self.scores = np.concatenate([self.scores, scores[new]])
        if len(self.at) > self.k:
            best = largest(self.scores, self.k)
            self.at, self.scores = self.at[best], self.scores[best]
            self.threshold = self.scores.min()

    def positions(self):
        return self.at


def _score_blocks(shape, grad, block_elements):
    n_out, n_in = shape
    rows = max(1, block_elements // max(1, n_in))
    read = _block_reader(shape, grad)
    for first in range(0, n_out, rows):
        scores = np.abs(read(first, min(first + rows, n_out))).reshape(-1)
        _require_numbers("largest_absent", scores, first * n_in)
        yield first * n_in, scores


def _block_reader(shape, grad):
    if hasattr(grad, "block"):
        return grad.block
    grad = np.asarray(grad)
    if not np.issubdtype(grad.dtype, np.floating):
        raise TypeError(f"largest_absent: grad must hold floats, got {grad.dtype}")
    if grad.shape != shape:
        raise ValueError(f"largest_absent: grad must have the shape {shape}, got {grad.shape}")
    return lambda first, last: grad[first:last]


def _occupied(weight, freed):
    positions = csr.flat(weight)
    return positions if freed is None else np.delete(positions, freed)


def _require_count(who, k, n):
    if not isinstance(k, int | np.integer):
        raise TypeError(f"{who}: the count must be a whole number, got {k!r}")
    if not 0 <= k <= n:
        raise ValueError(f"{who}: the count must be in [0, {n}], got {k}")


def _require_numbers(who, scores, start=0):
    if np.isnan(scores).any():
        k = start + int(np.flatnonzero(np.isnan(scores))[0])
        raise ValueError(f"{who}: scores must be numbers, got nan at index {k}")
