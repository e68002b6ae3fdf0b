"""The order in which NumPy's legacy generator shuffles, for data that a paper drew with it.

A published experiment may have taken its examples by ``numpy.random.seed(s)`` and
``numpy.random.shuffle``. NumPy keeps that stream as it is for good, but behind a global state; here
the same order comes from the same numbers, Mersenne twister 19937, without one.
"""

from collections.abc import Sequence

import numpy as np
from numpy.random import MT19937

WORDS = 624  # of the twister's state
SPREAD = 1812433253  # multiplier of its seeding, Matsumoto and Nishimura's 2002 version


def shuffled(seed: int, sizes: Sequence[int]) -> list[np.ndarray]:
    """``arange(n)`` for each `n`, shuffled one after the other from one legacy seed.

    Parameters
    ----------
    seed : int
        In [0, 2^32).
    sizes : sequence of int

    Returns
    -------
    list of (n,) int64

    Examples
    --------
    >>> shuffled(7, [5, 3])
    [array([0, 3, 2, 1, 4]), array([2, 1, 0])]
    """
    bits = _seeded(seed)
    return [_shuffled(n, bits) for n in sizes]


def _seeded(seed):
    if not 0 <= seed < 2**32:
        raise ValueError(f"legacy_shuffle: seed must be in [0, 2^32), got {seed}")
    key, word = np.empty(WORDS, np.uint32), seed
    for k in range(WORDS):
        key[k] = word
        word = (SPREAD * (word ^ (word >> 30)) + k + 1) % 2**32
    bits = MT19937()
    bits.state = {"bit_generator": "MT19937", "state": {"key": key, "pos": WORDS}}
    return bits


def _shuffled(n, bits):
    """Fisher and Yates from the end; a partner is drawn by masking and, above the bound, again."""
    order = list(range(n))
    for last in range(n - 1, 0, -1):
        mask = (1 << last.bit_length()) - 1
        while (partner := int(bits.random_raw()) & mask) > last:
            pass
        order[last], order[partner] = order[partner], order[last]
    return np.array(order, dtype=np.int64)
