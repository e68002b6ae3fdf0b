"""Lottery tickets: train, prune, treat what is left, and again.

On CSR a mask cannot be forgotten: what was pruned is not there.
"""

from sparse_ref.lottery.iterative import Level, iterative_pruning
from sparse_ref.lottery.origin import Origin
from sparse_ref.lottery.treatments import KINDS, SOURCES, Treatment, as_treatment

__all__ = [
    "KINDS",
    "SOURCES",
    "Level",
    "Origin",
    "Treatment",
    "as_treatment",
    "iterative_pruning",
]
