"""How the authors' code of DSR rounds; `sparse_ref.methods.dsr` is the method.

References
----------
IntelAI/dynamic-reparameterization, commit 7fe9f43: ``main.py``.
"""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

PASSES = 1000  # of `intel_random`, whose original has no bound


def reallocate_at_random(
    kept: Sequence[int], total: int, room: Sequence[int], rng: Generator
) -> np.ndarray:
    """G_l as in the authors' code: until `total` are grown, deal out what is missing.

    Each time the shares are rounded to the nearest integer, halves to even, and the discrepancy is
    added to one random layer, which is left at 0 or more; then each grows what it has room for. May
    end above `total`; ends below it if nothing more fits, or after `PASSES` rounds.
    """
    grown, limits = np.zeros(len(kept), np.int64), np.asarray(room, np.int64)
    shares = np.asarray(kept, float) / max(1, sum(kept))
    for _ in range(PASSES if any(kept) else 0):
        missing = total - int(grown.sum())
        if missing <= 0 or not np.any(grown < limits):
            break
        counts = np.round(shares * missing).astype(np.int64)
        discrepancy = missing - int(counts.sum())
        if discrepancy:
            lucky = rng.integers(len(kept))
            counts[lucky] = max(0, counts[lucky] + discrepancy)
        grown = np.minimum(grown + counts, limits)
    return grown
