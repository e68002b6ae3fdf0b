"""What the selections refuse, and in which words."""

import numpy as np


def require_count(who, k, n):
    """Refuse a count that is not whole or not in 0 ... n."""
    if not isinstance(k, int | np.integer):
        raise TypeError(f"{who}: the count must be a whole number, got {k!r}")
    if not 0 <= k <= n:
        raise ValueError(f"{who}: the count must be in [0, {n}], got {k}")


def require_numbers(who, scores, start=0, at=None):
    """Refuse scores that are not numbers; they stand at `start` and after it, or at `at`."""
    if np.isnan(scores).any():
        k = int(np.flatnonzero(np.isnan(scores))[0])
        k = start + k if at is None else at[k]
        raise ValueError(f"{who}: scores must be numbers, got nan at index {k}")
