"""From fractions of a connection to integers: by largest remainder or by the floors of RigL.

`half_even` and `rigl_floor` round a layer by itself. `largest_remainder` and `rigl_erdos_renyi`
round layers that share a budget, given for each layer a ratio to which its density is proportional.
"""

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Literal

import numpy as np

from sparse_ref.allocation.checks import check_apportion

Rounding = Literal["largest_remainder", "rigl_floor"]


def apportion(
    shares: Iterable[float | Fraction], total: int, capacities: Iterable[int]
) -> np.ndarray:
    """Divide `total` connections in proportion to `shares`, no layer above its capacity.

    Layers whose proportional part exceeds their capacity are filled, and what is left is divided
    among the others. Fractions are settled by largest remainder: everybody gets the integer part,
    and the connections still missing go to the largest fractional parts, at equal parts to the
    lower layer index. The arithmetic is exact (`fractions`), hence also sum, bounds and ties.

    Parameters
    ----------
    shares : (n_layers,) finite numbers >= 0 in any unit; a layer with share 0 receives nothing
    total : connections to give away, >= 0
    capacities : (n_layers,) integers >= 0

    Returns
    -------
    (n_layers,) int64, sums to `total`

    Raises
    ------
    ValueError
        If `total` exceeds the summed capacity of the layers with a positive share, for negative or
        infinite numbers, for lists that are empty or differ in length.
    TypeError
        If `total` or a capacity is not an integer.

    Examples
    --------
    >>> apportion([1, 1, 1], 8, [10, 10, 10])
    array([3, 3, 2])
    >>> apportion([1, 1, 1], 8, [10, 1, 10])
    array([4, 1, 3])
    """
    exact_shares, total, limits = check_apportion(shares, total, capacities)
    quotas = _quotas(exact_shares, total, limits)
    counts = [math.floor(quota) for quota in quotas]
    # Python's sort is stable: equal remainders stay in layer order. The remainders sum to `missing`
    # and each is below 1, so only layers with a remainder > 0 are raised: none passes its capacity.
    by_remainder = sorted(range(len(quotas)), key=lambda layer: counts[layer] - quotas[layer])
    missing = total - sum(counts)
    for layer in by_remainder[:missing]:
        counts[layer] += 1
    return np.array(counts, dtype=np.int64)


def half_even(size: int, density: float) -> int:
    """Size times density to the nearest integer, halves to the even one."""
    return round(density * size)


def rigl_floor(size: int, density: float) -> int:
    """Size less the floor of sparsity times size, the sparsity as it would be written."""
    return size - math.floor(round(1 - density, 15) * size)


def largest_remainder(
    ratios: Sequence[Fraction | float], sizes: Sequence[int], density: float
) -> list[int]:
    """Counts in proportion to `ratios * sizes` that add up to the target exactly."""
    shares = [Fraction(ratio) * size for ratio, size in zip(ratios, sizes, strict=True)]
    return apportion(shares, half_even(sum(sizes), density), sizes).tolist()


def rigl_erdos_renyi(
    ratios: Sequence[Fraction | float], sizes: Sequence[int], density: float
) -> list[int]:
    """RigL's `get_sparsities_erdos_renyi` in floats and with its order of summation.

    The floors react to the last bit: where layers are alike, the values stand at an integer.
    """
    ratios = [float(ratio) for ratio in ratios]
    target = sum(rigl_floor(size, density) for size in sizes)
    full: set[int] = set()
    scale = 0.0
    while len(full) < len(sizes):
        rest = [layer for layer in range(len(sizes)) if layer not in full]
        divisor = 0.0
        for layer in rest:
            divisor += ratios[layer] * sizes[layer]
        scale = (target - sum(sizes[layer] for layer in full)) / divisor
        largest = max(ratios[layer] for layer in rest)
        if largest * scale <= 1 + 1e-12:  # RigL: <= 1, which one unit in the last place can break
            break
        full |= {layer for layer in rest if ratios[layer] == largest}
    densities = [1.0 if i in full else min(scale * ratio, 1.0) for i, ratio in enumerate(ratios)]
    return [n - math.floor((1 - d) * n) for n, d in zip(sizes, densities, strict=True)]


def _quotas(shares: list[Fraction], total: int, capacities: list[int]) -> list[Fraction]:
    """Exact proportional parts, capped; the scale only grows, so a full layer stays full."""
    quotas = [Fraction(0)] * len(shares)
    rest, left = [layer for layer, share in enumerate(shares) if share > 0], total
    while rest:
        scale = Fraction(left) / sum(shares[layer] for layer in rest)
        over = [layer for layer in rest if scale * shares[layer] > capacities[layer]]
        for layer in over or rest:
            quotas[layer] = min(scale * shares[layer], Fraction(capacities[layer]))
        if not over:
            break
        left -= sum(capacities[layer] for layer in over)
        rest = [layer for layer in rest if layer not in over]
    return quotas
