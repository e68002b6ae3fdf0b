"""Numba loops that compare units by the sets of inputs they read.

A set is a row of bits, 64 to a word: how many inputs two units share is then counted 64 at a time,
at the same rate for any density. Arguments are checked by the callers; the loops trust them.
"""

import numpy as np
from numba import njit, prange

from sparse_ref.lanes import at, ones
from sparse_ref.work import SHARES

WORD = 64  # inputs in a word


@njit(cache=True)
def pack(indptr, indices, names, out):
    """Set bit ``names[j]`` of row i for every connection of unit i to input j; `out` is zero."""
    one = np.uint64(1)
    for i in range(indptr.size - 1):
        for k in range(at(indptr, i), at(indptr, i + 1)):
            name = at(names, at(indices, k))
            out[i, name // WORD] |= one << np.uint64(name % WORD)


@njit(parallel=True, cache=True)
def edit_distances(some, others, some_sizes, other_sizes, out):
    """``out[i, j] = |A Δ B| / |A ∪ B|`` of set i of `some` and set j of `others`; 0/0 is 0.

    The counts are integers, so every entry is the nearest float to the exact fraction.
    """
    for i in prange(some.shape[0]):
        for j in range(others.shape[0]):
            shared = 0
            for k in range(some.shape[1]):
                shared += ones(some[i, k] & others[j, k])
            union = some_sizes[i] + other_sizes[j] - shared
            out[i, j] = (union - shared) / max(union, 1)


@njit(parallel=True, cache=True)
def shared_connections(some_indptr, some_indices, other_indptr, other_indices):
    """How many connections two layers of one shape have in common."""
    shared, n_out = 0, some_indptr.size - 1
    for share in prange(SHARES):
        for i in range(n_out * share // SHARES, n_out * (share + 1) // SHARES):
            m, n = at(some_indptr, i), at(other_indptr, i)
            some_end, other_end = at(some_indptr, i + 1), at(other_indptr, i + 1)
            while m < some_end and n < other_end:
                a, b = at(some_indices, m), at(other_indices, n)
                shared += a == b
                m, n = m + (a <= b), n + (b <= a)
    return shared
