"""SNIP: keep the connections whose removal would change the loss most, on a batch at the start.

A mask c of ones on the weights has the derivative ``dL/dc = w dL/dw``; its magnitude is the
connection's sensitivity.

References
----------
Lee, Ajanthan, Torr (2019), "SNIP: Single-shot Network Pruning based on Connection Sensitivity",
algorithm 1; code namhoonlee/snip-public @f028496, ``snip/model.py``, ``snip/prune.py``. Second
reading: ganguli-lab/Synaptic-Flow @9dfa57a, ``Pruners/pruners.py``, ``prune.py``.

Departures
----------
* The algorithm keeps all connections that equal the last to be kept; here, as in the authors' code,
  exactly that many stay (``ties="keep_all"`` is the algorithm).
* The authors' code trains weights drawn anew on the structure found. Whoever calls does that:
  ``net.prune(drops)``, then ``analysis.reinitialised(net, rng)``.
* That code's pool holds biases too, and those that lose stay at zero (`include_bias`). Biases are
  no connections here: those that lose count for the budget but go on being trained.
"""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from sparse_ref import csr
from sparse_ref.at_init.conventions import conventional
from sparse_ref.at_init.pool import (
    SCHEDULES,
    Drops,
    batches,
    check_choice,
    check_finite,
    check_rounds,
    competing,
    densities,
    drops_of,
    in_rounds,
    kept_count,
)
from sparse_ref.layers.base import is_sparse, is_weighted
from sparse_ref.methods.base import check_name
from sparse_ref.network import Network
from sparse_ref.pruning.weights import values_of

SYNAPTIC_FLOW_BATCH = 256
BLOCK = 1 << 20  # positions whose gradient is made at a time
CONVENTIONS: dict[str, dict[str, Any]] = {
    "paper": {},
    "snip-public": {"include_bias": True, "count": "round_unpruned"},
    "synaptic-flow": {
        "batch_size": SYNAPTIC_FLOW_BATCH,
        "count": "trunc_removed",
        "ties": "drop_all",
        "freeze_pruned": False,
    },
}


@conventional(CONVENTIONS)
def snip(
    net: Network,
    x: np.ndarray,
    y: np.ndarray,
    density: float,
    *,
    exclude: Sequence[int] = (),
    batch_size: int | None = None,
    abs_after_sum: bool = True,
    include_bias: bool = False,
    rounds: int = 1,
    schedule: str = "exponential",
    freeze_pruned: bool = True,
    count: str = "round_kept",
    ties: str = "keep_low_index",
    convention: str = "paper",
) -> Drops:
    """What to remove so that a share `density` of the most sensitive connections is left.

    Parameters
    ----------
    net : Network
        Not changed; sparse and dense layers alike.
    x, y : (n, ...), (n,)
        Examples and labels.
    density : float
        Of the layers that compete together, in [0, 1]; a `Fraction` is counted exactly.
    exclude : sequence of int
        Layers of ``net.weighted`` that lose nothing and do not count.
    batch_size, abs_after_sum, include_bias
        See `snip_scores`. With `include_bias` the biases of competing layers count as connections.
    rounds : int
        Scores are taken anew in each, with what was removed before set to zero.
    schedule : str
        ``exponential`` or ``linear``: how the density falls from round to round.
    freeze_pruned : bool
        What was removed stays so. Otherwise a connection has a sensitivity while it is removed,
        that of its mask at zero, and may come back.
    count, ties : str
        See `sparse_ref.at_init.pool`.
    convention : str
        ``paper``; ``snip-public``, the authors' code; ``synaptic-flow``.

    Returns
    -------
    tuple, one for each of ``net.weighted``
        For `Network.prune`: slots to remove, or None for a layer that does not compete.
    """
    check_choice("snip", density, count, ties)
    check_rounds("snip", "rounds", rounds)
    check_name("snip", "schedule", schedule, SCHEDULES)
    layers, parts = competing("snip", net, exclude), batches("snip", net, x, y, batch_size)
    biases = [len(_bias(net.weighted[k])) for k in layers] if include_bias else []
    sizes = [net.connections[k] for k in layers] + biases

    def scores_of(kept):
        masked = net if sum(map(len, kept)) == sum(sizes) else _masked(net, layers, kept)
        scored = masked if freeze_pruned else net
        by_weight, by_bias = _magnitudes(masked, scored, parts, abs_after_sum)
        of_biases = [by_bias[k] for k in layers] if include_bias else []
        if freeze_pruned:
            of_biases = [s[left] for s, left in zip(of_biases, kept[len(layers) :], strict=True)]
        return [by_weight[k] for k in layers] + of_biases

    counts = [kept_count(sum(sizes), d, count) for d in densities(density, rounds, schedule)]
    kept = in_rounds("snip", sizes, counts, scores_of, ties, freeze_pruned)
    return drops_of(net, layers, kept[: len(layers)])


def snip_scores(
    net: Network,
    x: np.ndarray,
    y: np.ndarray,
    *,
    batch_size: int | None = None,
    abs_after_sum: bool = True,
    include_bias: bool = False,
) -> tuple[np.ndarray, ...]:
    """Sensitivity of every connection, ``|w dL/dw|``, divided by the sum of all.

    Parameters
    ----------
    net : Network
        Not changed. It works as in evaluation, as the authors' code does: without dropout, batch
        normalisation by its running numbers.
    x, y : (n, ...), (n,)
    batch_size : int, optional
        L is the sum over batches of the mean loss of each; by default one batch.
    abs_after_sum : bool
        False: the magnitudes of the batches are added.
    include_bias : bool
        Biases have sensitivities too; zero biases have 0. Batch normalisation's are no biases.

    Returns
    -------
    tuple of (slots,)
        One for each of ``net.weighted``, of the network's dtype; then with `include_bias` one
        (n_out,) for each, (0,) for a convolution without. They are at least 0 and add up to 1, or
        are all 0.

    Examples
    --------
    >>> from sparse_ref import Dense
    >>> net = Network([Dense(np.array([[0.5, -0.3], [-0.2, 0.4]]))])
    >>> x, y = np.array([[1.0, 2], [0, 1], [-1, 1], [2, -1]]), np.array([0, 1, 1, 0])
    >>> snip_scores(net, x, y)[0].round(3)
    array([0.435, 0.168, 0.174, 0.224])
    """
    parts = batches("snip_scores", net, x, y, batch_size)
    by_weight, by_bias = _magnitudes(net, net, parts, abs_after_sum)
    scores = by_weight + by_bias if include_bias else by_weight
    check_finite("snip_scores", "scores", scores)
    total = sum(float(part.sum(dtype=np.float64)) for part in scores)
    return tuple(part / total if total else part for part in scores)


def mask_gradients(net: Network, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
    """``dL/dc = w dL/dw`` on one batch, with its sign; parameters and result as `snip_scores`.

    In a network of ReLUs without biases, what enters a hidden unit adds up to what leaves it.
    """
    ((x, y),) = batches("mask_gradients", net, x, y, None)
    return tuple(_products(net, net, x, y)[: len(net.weighted)])


def _magnitudes(net, scored, parts, abs_after_sum):
    """``|w dL/dw|`` of the connections of `scored`, then of its biases; L is that of `net`."""
    by_batch = [_products(net, scored, x, y) for x, y in parts]
    if not abs_after_sum:
        by_batch = [[abs(part) for part in products] for products in by_batch]
    sums = [abs(sum(products)) for products in zip(*by_batch, strict=True)]
    return sums[: len(net.weighted)], sums[len(net.weighted) :]


def _products(net, scored, x, y):
    """``w dL/dw``, layer by layer, then ``b dL/db``."""
    _, grads = net.gradients(net.packed(x), y)
    grads = [grad for layer, grad in zip(net.layers, grads, strict=True) if is_weighted(layer)]
    pairs = list(zip(scored.weighted, grads, strict=True))
    of_weights = [values_of(la.weight) * _gradient(la, grad, scored is net) for la, grad in pairs]
    biases = [(_bias(layer), grad.bias) for layer, grad in pairs]
    return of_weights + [bias * by_bias[: len(bias)] for bias, by_bias in biases]


def _bias(layer):
    """A layer's bias; none of a convolution without one."""
    return layer.parameters().get("bias", layer.bias[:0])


def _gradient(layer, grad, same):
    """dL/dw in the layer's slots; `grad` is that of the `same` connections or of some of them."""
    if same:
        return grad.weight.reshape(-1)
    if is_sparse(layer):
        return grad.at(csr.flat(layer.weight))
    rows, columns = layer.weight.shape
    step, out = max(1, BLOCK // max(1, columns)), np.empty_like(layer.weight)
    for first in range(0, rows, step):
        out[first : first + step] = grad.block(first, min(first + step, rows))
    return out.reshape(-1)


def _masked(net, layers, kept):
    """A copy of the network with what is left of its connections and, if they compete, biases."""
    masked = copy.deepcopy(net)
    masked.prune(drops_of(net, layers, kept[: len(layers)]))
    for k, left in zip(layers, kept[len(layers) :], strict=False):
        bias = _bias(masked.weighted[k])
        bias[np.setdiff1d(np.arange(len(bias)), left)] = 0
    return masked
