"""R_s, the exploration rate of ITOP, of any method: which positions were ever connected.

`sparse_ref.recorders.Exploration` follows it in a training.

References
----------
Liu, Yin, Mocanu, Pechenizkiy (2021), "Do We Actually Need Dense Over-Parameterization? In-Time
Over-Parameterization in Sparse Training", ICML, section 3. Code, ``sparselearning/core.py``:
Shiweiliuiiiiiii/In-Time-Over-Parameterization.

Memory: O(positions ever connected).
"""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr

Visited = tuple[np.ndarray, ...]  # of each layer, flat positions ever connected; int64, ascending


def positions(weights: Sequence[csr_array]) -> Visited:
    """The connections of each weight, as flat positions: what a training begins with."""
    return tuple(np.array(csr.flat(weight)) for weight in weights)


def explored(visited: Sequence[np.ndarray], more: Sequence[np.ndarray]) -> Visited:
    """What has been visited after `more` positions, layer by layer; ascending, each once."""
    return tuple(_union(old, new) for old, new in zip(visited, more, strict=True))


def exploration_rate(visited: Sequence[np.ndarray], sizes: Sequence[int]) -> float:
    """R_s: positions ever connected, over all positions, of the layers together.

    Parameters
    ----------
    visited : sequence of (n,) int64
        Of each layer, from `explored`.
    sizes : sequence of int
        Positions of each layer, ``n_out * n_in``.

    Examples
    --------
    >>> seen = explored([np.array([0, 2, 5, 7, 8, 10])], [np.array([0, 1, 2, 5, 7, 10])])
    >>> round(exploration_rate(seen, [12]), 6)
    0.583333
    """
    if len(visited) != len(sizes) or not sum(sizes):
        raise ValueError(
            "exploration_rate: visited and sizes must be one a layer and not empty, "
            f"got {len(visited)} and {list(sizes)}"
        )
    return sum(map(len, visited)) / sum(sizes)


def _union(old, new):
    """Ascending, each once. A stable sort finds the runs that are in order and only merges them."""
    both = np.sort(np.concatenate([old, new]), kind="stable")
    return both[np.diff(both, prepend=-1) != 0]
