"""Random choices of positions: every subset equally likely, nothing enumerated."""

import math

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr, structure
from sparse_ref.selection.checks import require_count

NONE = np.empty(0, np.int64)


def random_ranks(population: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` different integers of ``0 ... population - 1``, ascending, every subset equally likely.

    Draws somewhat more with replacement, drops those that came twice and a random few that are too
    many, so time and memory are O(n) however large the population (NumPy's ``choice`` lists the
    population when n is a large part of it); above one half it draws those left out.
    """
    require_count("random_ranks", n, population)
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
    weight: csr_array,
    n: int,
    rng: np.random.Generator,
    freed: np.ndarray | None = None,
    taken: np.ndarray | None = None,
) -> np.ndarray:
    """Flat positions of `n` random absent connections, ascending, every subset equally likely.

    Parameters
    ----------
    weight : (n_out, n_in) csr_array
    n : int
        0 ... number of absent connections.
    freed : (n_drop,) int64, optional
        Slots to be dropped in the same event; their positions count as absent.
    taken : (n_taken,) int64, optional
        Absent flat positions, ascending, that are not to be drawn.
    """
    freed = NONE if freed is None else np.asarray(freed, np.int64)
    taken = NONE if taken is None else np.asarray(taken, np.int64)
    free = math.prod(weight.shape) - weight.nnz + len(freed) - len(taken)
    require_count("random_absent", n, free)
    out, past = np.empty(n, np.int64), np.array([math.prod(weight.shape)])
    kept = csr.positions_without(weight, freed)
    kept = np.insert(kept, np.searchsorted(kept, taken), taken) if len(taken) else kept
    ranks = random_ranks(free, n, rng)
    structure.absent(np.concatenate([kept, past]), np.concatenate([ranks, past]), out)
    return out


def _all_but(chosen, n):
    """The integers of ``0 ... n - 1`` that are not among `chosen`."""
    left = np.ones(n, bool)
    left[chosen] = False
    return np.flatnonzero(left)


def _distinct(values, population):
    """Sorted, each once."""
    ordered, ends = np.empty_like(values), np.empty(len(values) + 1, np.int64)
    structure.sort_spread(values, population, ends, ordered)
    return ordered[np.diff(ordered, prepend=-1) > 0]
