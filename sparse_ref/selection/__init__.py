"""Which connections: every ranking, every tie and every random choice of positions is made here.

One rule everywhere: order by (score descending, layer index ascending, flat index ascending). The
first k are the k largest; the complement of the first ``n - k`` are the k smallest. So on equal
magnitude it is the *higher* flat index that is dropped, and on equal gradient the *lower* one that
grows. A score that is not a number is refused: it has no rank. The tie rules of other codes are
named options of `smallest`.
"""

from sparse_ref.selection.draws import random_absent, random_ranks
from sparse_ref.selection.ranking import TIES, drop_threshold, largest, meet, smallest
from sparse_ref.selection.streaming import (
    BLOCK_ELEMENTS,
    BLOCK_ROWS,
    SAMPLE,
    Ranked,
    largest_absent,
    largest_absent_of_all,
)

__all__ = [
    "BLOCK_ELEMENTS",
    "BLOCK_ROWS",
    "SAMPLE",
    "TIES",
    "Ranked",
    "drop_threshold",
    "largest",
    "largest_absent",
    "largest_absent_of_all",
    "meet",
    "random_absent",
    "random_ranks",
    "smallest",
]
