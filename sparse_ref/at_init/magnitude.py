"""Magnitude at initialisation: keep the largest weights that were drawn.

Taken over all layers together it depends on the scale each was drawn with: a layer with a large
fan-in is emptied first. By layers it does not.

References
----------
The baseline of Tanaka et al. (2020); code ganguli-lab/Synaptic-Flow @9dfa57a,
``Pruners/pruners.py`` (``Mag``).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparse_ref.at_init.conventions import conventional
from sparse_ref.at_init.pool import Drops, competing, pruned_at_once
from sparse_ref.methods.base import check_name
from sparse_ref.network import Network
from sparse_ref.pruning.weights import values_of

SCOPES = ("global", "local")
CONVENTIONS: dict[str, dict[str, Any]] = {
    "paper": {},
    "synaptic-flow": {"count": "trunc_removed", "ties": "drop_all"},
}


@conventional(CONVENTIONS)
def magnitude(
    net: Network,
    density: float,
    *,
    scope: str = "global",
    exclude: Sequence[int] = (),
    count: str = "round_kept",
    ties: str = "keep_low_index",
    convention: str = "paper",
) -> Drops:
    """What to remove so that a share `density` of the largest ``|w|`` is left.

    Parameters
    ----------
    net : Network
        Not changed; sparse and dense layers alike.
    density : float
        In [0, 1]; a `Fraction` is counted exactly.
    scope : str
        ``global``: of all layers that compete, together; ``local``: of each.
    exclude : sequence of int
        Layers of ``net.weighted`` that lose nothing and do not count.
    count, ties : str
        See `sparse_ref.at_init.pool`.
    convention : str
        ``paper`` or ``synaptic-flow``.

    Returns
    -------
    tuple, one for each of ``net.weighted``
        For `Network.prune`.

    Examples
    --------
    >>> from sparse_ref import Dense
    >>> net = Network([Dense(np.array([[0.5, -0.1]])), Dense(np.array([[0.6], [0.7]]))])
    >>> magnitude(net, 0.5), magnitude(net, 0.5, scope="local")
    ((array([0, 1]), array([], dtype=int64)), (array([1]), array([0])))
    """
    check_name("magnitude", "scope", scope, SCOPES)
    scores = [np.abs(values_of(layer.weight)) for layer in net.weighted]
    if scope == "global":
        return pruned_at_once("magnitude", net, scores, density, exclude, count, ties)
    drops: list[np.ndarray | None] = [None] * len(scores)
    for k in competing("magnitude", net, exclude):
        others = [i for i in range(len(scores)) if i != k]
        drops[k] = pruned_at_once("magnitude", net, scores, density, others, count, ties)[k]
    return tuple(drops)
