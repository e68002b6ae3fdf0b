"""Which connections: every ranking, every tie and every random choice of positions is made here.

One rule everywhere: order by (score descending, layer index ascending, flat index ascending). The
first k are the k largest; the complement of the first ``n - k`` are the k smallest. So on equal
magnitude it is the *higher* flat index that is dropped, and on equal gradient the *lower* one that
grows. A score that is not a number is refused: it has no rank.
"""

import math
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr, structure, tiles
from sparse_ref.dense_gradient import scan

BLOCK_ELEMENTS = 1 << 18  # numbers of dense gradient that exist at a time (1 MB in float32), or
BLOCK_ROWS = 16  # so many rows if they are more: inputs are read anew for each block
BRACKET = 1 << 12  # scores sampled to find about where the k-th largest is
SAMPLE = 1 << 15  # gradients looked at before the first block, to guess where the k-th largest is;
SAMPLED_ABOVE, MOST_SAMPLED = 64, 1 << 21  # more where so many would not lie above it, to a limit
SCATTER = 40503  # coprime to powers of two: spreads the sample over the columns
NOTHING = -1.0  # a threshold that every score exceeds
NONE = np.empty(0, np.int64)


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
    return _chosen(scores, k, others=False)


def smallest(scores: np.ndarray, k: int) -> np.ndarray:
    """Indices of the `k` smallest of `scores`, ascending; on ties the higher index is in.

    The complement of ``largest(scores, n - k)``.

    Examples
    --------
    >>> smallest(np.array([0.5, 0.1, 0.1, 0.9]), 1)
    array([2])
    """
    _require_count("smallest", k, len(scores))
    _require_numbers("smallest", scores)
    return _chosen(scores, len(scores) - k, others=True)


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


def random_ranks(population: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` different integers of ``0 ... population - 1``, ascending, every subset equally likely.

    Draws somewhat more with replacement, drops those that came twice and a random few that are too
    many, so time and memory are O(n) however large the population (NumPy's ``choice`` lists the
    population when n is a large part of it); above one half it draws those left out.
    """
    _require_count("random_ranks", n, population)
    if n > population // 2:
        return _all_but(random_ranks(population, population - n, rng), population)
    drawn = NONE
    while len(drawn) < n:
        missing = n - len(drawn)
        more = rng.integers(0, population, size=missing + 2 * n * missing // (3 * population) + 8)
        drawn = _distinct(np.concatenate([drawn, more]), population)
    surplus = rng.choice(len(drawn), len(drawn) - n, replace=False, shuffle=False)
    return drawn[_all_but(surplus, len(drawn))]


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
    freed = NONE if freed is None else np.asarray(freed, np.int64)
    free = math.prod(weight.shape) - weight.nnz + len(freed)
    _require_count("random_absent", n, free)
    out, past = np.empty(n, np.int64), np.array([math.prod(weight.shape)])
    kept = csr.positions_without(weight, freed)
    ranks = random_ranks(free, n, rng)
    structure.absent(np.concatenate([kept, past]), np.concatenate([ranks, past]), out)
    return out


def largest_absent(
    weight: csr_array,
    grad: Any,
    k: int,
    freed: np.ndarray | None = None,
    block_elements: int = BLOCK_ELEMENTS,
) -> np.ndarray:
    """Flat positions of the `k` absent connections with the largest ``|grad|``, ascending.

    Reads the gradient in blocks of rows. Beside one block it holds k candidates, and of the block
    those that may be among them; when they come to k and a quarter of a block, the k largest stay.

    Parameters
    ----------
    weight : (n_out, n_in) csr_array
    grad : (n_out, n_in) array, or object with ``block(first, last) -> (last - first, n_in)``
        Dense gradient, or its two factors (`LayerGrad`). What ``block`` returns is used up.
    k : int
        0 ... number of absent connections.
    freed : (n_drop,) int64, optional
        Slots to be dropped in the same event; their positions count as absent.
    block_elements : int
        Most numbers of gradient to hold at a time, but at least `BLOCK_ROWS` rows.
    """
    freed = NONE if freed is None else np.asarray(freed, np.int64)
    _require_count("largest_absent", k, math.prod(weight.shape) - weight.nnz + len(freed))
    if k == 0:
        return NONE
    kept = csr.positions_without(weight, freed)
    for threshold in (_guess(weight.shape, grad, k), NOTHING):
        candidates = _Largest(k, threshold)
        for first, block in _blocks(weight.shape, grad, block_elements):
            candidates.add(first * weight.shape[1], block.reshape(-1), kept)
            candidates.bound(k + block.size // 4)
        if candidates.n >= k:  # else the guess was too high
            break
    candidates.bound(0)
    return candidates.at[0]


class _Largest:
    """The k largest of a stream of blocks that arrive in ascending order of position.

    A score equal to the k-th largest so far comes too late: its position is higher.
    """

    def __init__(self, k, threshold):
        self.k, self.threshold, self.n = k, threshold, 0
        self.at, self.scores = [], []

    def add(self, start, block, kept):
        if self.threshold == NOTHING:
            _require_numbers("largest_absent", block, start)
        at, scores = scan(block, start, kept, self.threshold)
        if self.threshold != NOTHING:
            _require_numbers("largest_absent", scores, at=at)
        self.n += len(at)
        self.at.append(at)
        self.scores.append(scores)

    def bound(self, most):
        """If there are more than `most`, keep the k largest of them, in one piece."""
        if self.n <= most:
            return
        at, scores = np.concatenate(self.at), np.concatenate(self.scores)
        best = largest(scores, self.k)
        self.at, self.scores, self.n = [at[best]], [scores[best]], self.k
        self.threshold = self.scores[0].min()


def _guess(shape, grad, k):
    """A number that somewhat more than k gradients are likely to exceed in magnitude.

    Spares the stream most candidates that would not stay; the result does not depend on it. Taken
    from a sample that is spread over the layer and is the same in every run.
    """
    positions = math.prod(shape)
    n = max(SAMPLE, min(SAMPLED_ABOVE * positions // k, 4 * k, MOST_SAMPLED))
    expected = n * k / positions
    rank = int(expected + 4 * math.sqrt(expected)) + 8  # four standard deviations on the safe side
    if positions < 8 * n or rank >= n or not hasattr(grad, "at"):
        return NOTHING
    stride, number = positions // n, np.arange(n)
    scores = np.abs(grad.at(number * stride + number * SCATTER % stride))
    if np.isnan(scores).any():
        return NOTHING  # the stream will say where
    return np.partition(scores, n - rank)[n - rank]


def _blocks(shape, grad, block_elements):
    n_out, n_in = shape
    read = _block_reader(shape, grad)
    rows = max(BLOCK_ROWS, block_elements // max(1, n_in) // 4 * 4)  # its kernel takes rows by four
    for first in range(0, n_out, rows):
        block = read(first, min(first + rows, n_out))
        if block.dtype not in (np.float32, np.float64):
            raise TypeError(f"largest_absent: grad must be float32 or float64, got {block.dtype}")
        yield first, block


def _block_reader(shape, grad):
    if hasattr(grad, "block"):
        return grad.block
    grad = np.asarray(grad)
    if grad.shape != shape:
        raise ValueError(f"largest_absent: grad must have the shape {shape}, got {grad.shape}")
    return lambda first, last: np.array(grad[first:last], order="C")


def _require_count(who, k, n):
    if not isinstance(k, int | np.integer):
        raise TypeError(f"{who}: the count must be a whole number, got {k!r}")
    if not 0 <= k <= n:
        raise ValueError(f"{who}: the count must be in [0, {n}], got {k}")


def _require_numbers(who, scores, start=0, at=None):
    """Refuse scores that are not numbers; they stand at `start` and after it, or at `at`."""
    if np.isnan(scores).any():
        k = int(np.flatnonzero(np.isnan(scores))[0])
        k = start + k if at is None else at[k]
        raise ValueError(f"{who}: scores must be numbers, got nan at index {k}")


def _all_but(chosen, n):
    """The integers of ``0 ... n - 1`` that are not among `chosen`."""
    left = np.ones(n, bool)
    left[chosen] = False
    return np.flatnonzero(left)


def meet(some: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of `some` are among `others`, and which of `others` are among `some`; both ascend."""
    met = np.empty(len(some), bool), np.empty(len(others), bool)
    structure.meet(np.ascontiguousarray(some), np.ascontiguousarray(others), *met)
    return met


def _distinct(values, population):
    """Sorted, each once."""
    ordered, ends = np.empty_like(values), np.empty(len(values) + 1, np.int64)
    structure.sort_spread(values, population, ends, ordered)
    return ordered[np.diff(ordered, prepend=-1) > 0]
