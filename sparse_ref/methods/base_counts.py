"""How many connections an event drops: the roundings of papers and codes."""

import math
from collections.abc import Callable

import numpy as np


def count(fraction: float, nnz: int, rounding: str = "floor") -> int:
    """How many of `nnz` connections an event drops: about ``fraction * nnz``, within 0 ... nnz.

    Parameters
    ----------
    fraction : float
        In [0, 1].
    nnz : int
    rounding : str
        ======================  ==================================================================
        ``floor``               ``floor(fraction * nnz)`` in float64 (rigl-torch, and our default)
        ``floor_f32``           the same in float32 (RigL's TensorFlow codes)
        ``ceil``                in float64 (SNFS, ITOP, rigl-reproducibility)
        ``round_half_even``     ``nnz`` less ``round((1 - fraction) * nnz)`` in float32, of which at
                                least one stays (jaxpruner rounds what is kept)
        ``floor_plus_one``      ``floor(fraction * nnz) + 1`` (DSR's code without its threshold)
        ======================  ==================================================================

    Examples
    --------
    >>> [count(0.29, 100, rule) for rule in ("floor", "floor_f32", "ceil")]
    [28, 29, 29]
    >>> count(0.5, 7, "round_half_even"), count(1.0, 7, "round_half_even")
    (3, 6)
    """
    if rounding not in ROUNDINGS:
        raise ValueError(f"count: rounding must be one of {list(ROUNDINGS)}, got {rounding!r}")
    return min(nnz, ROUNDINGS[rounding](fraction, nnz))


def _kept_half_even(fraction, nnz):
    kept = np.round(np.float32(nnz) * (np.float32(1) - np.float32(fraction)))
    return nnz - min(nnz, max(1, int(kept)))


ROUNDINGS: dict[str, Callable[[float, int], int]] = {
    "floor": lambda fraction, nnz: int(fraction * nnz),
    "floor_f32": lambda fraction, nnz: int(np.float32(nnz) * np.float32(fraction)),
    "ceil": lambda fraction, nnz: math.ceil(fraction * nnz),
    "round_half_even": _kept_half_even,
    "floor_plus_one": lambda fraction, nnz: int(fraction * nnz) + 1,
}
