"""Sensitivity to further pruning: how accuracy falls as a trained network loses connections.

Nothing is trained again. Biases, activations and dense layers stay as they are.

References
----------
Van Gelder et al. (2020), section 4 and figure 2: connections are removed from trained networks by
ascending magnitude, or at random.

Not stated there, so chosen here
--------------------------------
Fractions are of the connections the network has, not of all positions; they are ranked over all
layers together (``scope="global"``), or within each (``local``); ``round(fraction * n)`` go, halves
to even; what goes at one fraction has gone at every larger one, at random too.
"""

import copy
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from sparse_ref import csr
from sparse_ref.layers.base import is_sparse
from sparse_ref.network import Network
from sparse_ref.selection import smallest
from sparse_ref.train import evaluate

ORDERS = ("magnitude", "random")
SCOPES = ("global", "local")


def sensitivity(
    net: Network,
    data: tuple[np.ndarray, np.ndarray],
    fractions: Sequence[float | Fraction],
    *,
    by: str = "magnitude",
    scope: str = "global",
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Accuracies after removal of growing fractions of the connections.

    Parameters
    ----------
    net : Network
        Not changed. Connections of its sparse layers are removed, of dense ones none.
    data : (x, y)
        To evaluate on.
    fractions : sequence of numbers in [0, 1]
        Of the connections. 0 gives the accuracy as it is; with 1, of a network without dense
        layers, biases alone are left, which say the same of every example.
    by : str
        ``magnitude``, the smallest first; or ``random``.
    scope : str
        ``global``: the fraction is of all layers together; ``local``: of each layer.
    rng : Generator, optional
        For ``random``; draws one order, which all fractions share.

    Returns
    -------
    (fractions,) float64
    """
    scores = _scores(net, by, rng)
    return np.array(
        [evaluate(_without(net, _lowest(scores, f, scope)), data).accuracy for f in fractions]
    )


def thinned(
    net: Network,
    fraction: float | Fraction,
    *,
    by: str = "magnitude",
    scope: str = "global",
    rng: np.random.Generator | None = None,
) -> Network:
    """The network that `sensitivity` evaluates at `fraction`; arguments as there.

    A new one, whose weights are its own; biases and all other layers are those of `net`.
    """
    return _without(net, _lowest(_scores(net, by, rng), fraction, scope))


def _scores(net, by, rng):
    """(slots, scores) of each sparse layer's connections; those left out of the pass have gone."""
    if by not in ORDERS:
        raise ValueError(f"sensitivity: by must be one of {list(ORDERS)}, got {by!r}")
    if not net.sparse_layers:
        raise ValueError("sensitivity: the network must have a sparse layer, got none")
    layers = net.sparse_layers
    slots = [np.delete(np.arange(la.weight.nnz), la.left_out) for la in layers]
    if by == "magnitude":
        return [(at, np.abs(la.weight.data[at])) for at, la in zip(slots, layers, strict=True)]
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"sensitivity: random removal needs a numpy.random.Generator, got {type(rng).__name__}"
        )
    ends = np.cumsum([len(at) for at in slots])
    drawn = np.split(rng.permutation(ends[-1]), ends[:-1])
    return list(zip(slots, drawn, strict=True))


def _lowest(scores, fraction, scope):
    """Slots of each layer with the lowest scores, and those that were not used anyway."""
    if scope not in SCOPES:
        raise ValueError(f"sensitivity: scope must be one of {list(SCOPES)}, got {scope!r}")
    if not 0 <= fraction <= 1:
        raise ValueError(f"sensitivity: fractions must be in [0, 1], got {fraction}")
    if scope == "local":
        return [slots[smallest(s, round(fraction * len(s)))] for slots, s in scores]
    pool = np.concatenate([s for _, s in scores])
    chosen = smallest(pool, round(fraction * len(pool)))
    ends = np.cumsum([len(s) for _, s in scores])
    parts = np.split(chosen, np.searchsorted(chosen, ends[:-1]))
    begins = [0, *ends[:-1]]
    return [
        slots[part - begin] for (slots, _), part, begin in zip(scores, parts, begins, strict=True)
    ]


def _without(net, removed):
    """The network without these slots of its sparse layers."""
    remaining = iter(removed)
    layers = [
        _layer_without(layer, next(remaining)) if is_sparse(layer) else layer
        for layer in net.layers
    ]
    return net.with_layers(layers)


def _layer_without(layer, slots):
    none = np.empty(0, np.int64)
    drop = np.union1d(slots, layer.left_out)
    weight, _ = csr.apply(layer.weight, csr.Rewire(drop, none, np.empty(0, layer.weight.dtype)))
    new = copy.copy(layer)
    new.adopt(weight)
    return new
