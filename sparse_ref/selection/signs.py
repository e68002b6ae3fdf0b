"""Signs of weights: read off, drawn, or computed from where a connection is."""

import numpy as np

from sparse_ref.selection.ranking import meet

NONE = np.empty(0, np.int64)


def signs_of(values: np.ndarray) -> np.ndarray:
    """1, -1, or 0 where a value is 0; int8."""
    return np.sign(values).astype(np.int8)


def random_signs(n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` times 1 or -1, int8."""
    return (2 * rng.integers(0, 2, n, dtype=np.int8) - 1).astype(np.int8)


def position_signs(positions: np.ndarray, seed: int, exceptions: np.ndarray = NONE) -> np.ndarray:
    """Signs that belong to positions: the same at every call, and nothing is stored.

    Parameters
    ----------
    positions : (n,) int64
        Flat positions, ascending.
    seed : int
        Of a layer; 0 ... 2**64 - 1.
    exceptions : (m,) int64
        Flat positions, ascending, that have the other sign.

    Returns
    -------
    (n,) int8
        1 or -1: the first bit of that output of SplitMix64 (Steele, Lea, Flood 2014).
    """
    z = positions.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    other = (z >> np.uint64(63)).astype(bool) ^ meet(positions, exceptions)[0]
    return np.where(other, np.int8(-1), np.int8(1))
