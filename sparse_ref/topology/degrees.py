"""How many connections enter and leave each unit, and how that changes in training.

References
----------
VanGelder et al. (2020), section 5, figure 3: in-degrees of hidden units along a training, and how
those after the first epoch go together with those at the end.

Departures
----------
* The paper does not say which correlation it means, and no code of it is public: Pearson's by
  default, Spearman's as an option.
* Of units that all have the same degree there is no correlation: nan, where some programs say 0.

A layer costs O(connections + units), a correlation by ranks O(units log units).
"""

from typing import Any

import numpy as np

from sparse_ref.topology.patterns import inputs_in_blocks, pattern_of

KINDS = ("pearson", "spearman")


def in_degrees(weight: Any, *, pattern: str = "structural", block: int = 1) -> np.ndarray:
    """``(n_out,)`` int64: connections that enter each unit, its row's.

    Parameters
    ----------
    weight : (n_out, n_in) csr_array or ndarray
        Of a convolution, whose columns are ``(channel, dy, dx)``, the weights of each filter are
        counted and not the channels it reads.
    pattern : str
        See `patterns.pattern_of`.
    block : int
        So many columns count as one input, connected if any is: with ``kh * kw`` of a convolution
        the channels that each filter reads are counted.

    Examples
    --------
    >>> mask = np.array([[1, 1, 1], [0, 0, 0], [0, 1, 0]])
    >>> in_degrees(mask), out_degrees(mask)
    (array([3, 0, 1]), array([1, 2, 1]))
    """
    weight = inputs_in_blocks(pattern_of(weight, "in_degrees", pattern), "in_degrees", block)
    return np.diff(weight.indptr).astype(np.int64)


def out_degrees(weight: Any, *, pattern: str = "structural", block: int = 1) -> np.ndarray:
    """``(n_in / block,)`` int64: connections that leave each unit, its column's.

    Parameters
    ----------
    weight, pattern, block
        See `in_degrees`; of a convolution's channel, with ``block = kh * kw``, the filters that
        read it are counted.
    """
    weight = inputs_in_blocks(pattern_of(weight, "out_degrees", pattern), "out_degrees", block)
    return np.bincount(weight.indices, minlength=weight.shape[1]).astype(np.int64)


def correlation(before: np.ndarray, after: np.ndarray, kind: str = "pearson") -> float:
    """How the same units' degrees at two times go together.

    Parameters
    ----------
    before, after : (n,)
        One number a unit, at least one unit.
    kind : str
        ``pearson``; or ``spearman``, the same of the ranks, equal numbers sharing their mean rank.

    Returns
    -------
    float
        In [-1, 1]; nan if either is constant.

    Examples
    --------
    >>> correlation(np.array([3, 2, 1, 0]), np.array([3, 2, 0, 1]))
    0.8
    """
    if kind not in KINDS:
        raise ValueError(f"correlation: kind must be one of {list(KINDS)}, got {kind!r}")
    pair = [_numbers(name, array) for name, array in (("before", before), ("after", after))]
    if pair[0].shape != pair[1].shape:
        raise ValueError(
            "correlation: before and after must be of the same units, got "
            f"{len(pair[0])} and {len(pair[1])} numbers"
        )
    if any(np.ptp(numbers) == 0 for numbers in pair):
        return float("nan")
    x, y = (_unit_vector(_ranks(n) if kind == "spearman" else n) for n in pair)
    return float(np.clip(x @ y, -1, 1))


def _numbers(name, array):
    array = np.asarray(array, np.float64)
    if array.ndim != 1 or not array.size or not np.isfinite(array).all():
        raise ValueError(
            f"correlation: {name} must hold one finite number a unit, got shape {array.shape}: "
            f"{array}"
        )
    return array


def _unit_vector(numbers):
    """Deviations from the mean, scaled to length 1."""
    deviations = numbers - numbers.mean()
    return deviations / np.linalg.norm(deviations)


def _ranks(numbers):
    """From 1; equal numbers share the mean of the ranks they take together."""
    _, which, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[which]
