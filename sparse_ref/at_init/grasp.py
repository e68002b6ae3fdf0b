"""GraSP: remove the connections without which the gradient is longest, at the start.

With g the gradient and H the Hessian of the loss by the weights w, removing connection q changes
half the squared length of g by about ``S_q = -w_q (H g)_q``. The largest S go. They may have either
sign, and their magnitude does not count.

References
----------
Wang, Zhang, Grosse (2020), "Picking Winning Tickets Before Training by Preserving Gradient Flow";
code alecwangcq/GraSP @f17d87a, ``pruner/GraSP.py``. Second reading: ganguli-lab/Synaptic-Flow
@9dfa57a, ``Pruners/pruners.py``.

Departures
----------
* The authors' code takes the ``int(N (1 - d))`` largest S and keeps all that are at most the
  smallest of them, one too many (``ties="official_off_by_one"``); with a count of 0 it stops with
  an error, here nothing is removed.
* It splits each batch in two and sums both g and Hg over the halves (`halves`): with an even number
  of examples that is a factor 4 and changes no rank.
* It draws the weights of linear layers, not of convolutions, anew for scoring
  (`fc_reinit_for_scoring`) and trains those it had. To score with weights of your own, score
  another network with the same connections.
* It scores in training mode (an ``.eval()`` is commented out), Synaptic-Flow's code in evaluation:
  `batch_statistics`. The running numbers of batch normalisation do not move here.
* It draws its examples class by class. Whoever calls does that.
"""

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from sparse_ref.at_init.conventions import conventional
from sparse_ref.at_init.hessian import check_second_order, hessian_product, weight_gradients
from sparse_ref.at_init.pool import Drops, batches, check_finite, pruned_at_once
from sparse_ref.initialise import kernel_of
from sparse_ref.methods.base import check_number
from sparse_ref.network import Network
from sparse_ref.pruning.weights import check_generator, values_of

TEMPERATURE = 200.0
SMALL = 1e-10  # added to the sum that scores are divided by, as in the authors' code
SYNAPTIC_FLOW_BATCH = 256
CONVENTIONS: dict[str, dict[str, Any]] = {
    "paper": {},
    "grasp-public": {
        "halves": True,
        "fc_reinit_for_scoring": True,
        "count": "trunc_removed",
        "ties": "official_off_by_one",
    },
    "synaptic-flow": {
        "batch_size": SYNAPTIC_FLOW_BATCH,
        "batch_statistics": False,
        "count": "trunc_removed",
        "ties": "drop_all",
    },
}


@conventional(CONVENTIONS)
def grasp(
    net: Network,
    x: np.ndarray,
    y: np.ndarray,
    density: float,
    *,
    exclude: Sequence[int] = (),
    temperature: float = TEMPERATURE,
    batch_size: int | None = None,
    halves: bool = False,
    fc_reinit_for_scoring: bool = False,
    batch_statistics: bool = True,
    rng: np.random.Generator | None = None,
    count: str = "round_kept",
    ties: str = "keep_low_index",
    convention: str = "paper",
) -> Drops:
    """What to remove so that a share `density` with the smallest S is left.

    Parameters
    ----------
    net : Network
        Not changed; sparse and dense layers alike. Its loss must be the softmax cross-entropy.
    x, y : (n, ...), (n,)
        Examples and labels.
    density : float
        Of the layers that compete together, in [0, 1]; a `Fraction` is counted exactly.
    exclude : sequence of int
        Layers of ``net.weighted`` that lose nothing and do not count.
    temperature, batch_size, halves, fc_reinit_for_scoring, batch_statistics, rng
        See `grasp_scores`.
    count, ties : str
        See `sparse_ref.at_init.pool`.
    convention : str
        ``paper``; ``grasp-public``, the authors' code; ``synaptic-flow``.

    Returns
    -------
    tuple, one for each of ``net.weighted``
        For `Network.prune`: slots to remove, or None for a layer that does not compete.
    """
    scores = grasp_scores(
        net,
        x,
        y,
        temperature=temperature,
        batch_size=batch_size,
        halves=halves,
        fc_reinit_for_scoring=fc_reinit_for_scoring,
        batch_statistics=batch_statistics,
        rng=rng,
    )
    return pruned_at_once("grasp", net, [-s for s in scores], density, exclude, count, ties)


def grasp_scores(
    net: Network,
    x: np.ndarray,
    y: np.ndarray,
    *,
    temperature: float = TEMPERATURE,
    batch_size: int | None = None,
    halves: bool = False,
    fc_reinit_for_scoring: bool = False,
    batch_statistics: bool = True,
    rng: np.random.Generator | None = None,
) -> tuple[np.ndarray, ...]:
    """``S = -w (H g)`` of every connection, divided by ``|sum S| + 1e-10``.

    Parameters
    ----------
    net : Network
        Not changed. It works without dropout; biases, and what batch normalisation trains, are held
        fixed.
    x, y : (n, ...), (n,)
    temperature : float
        The loss is that of ``outputs / temperature``.
    batch_size : int, optional
        g and Hg are sums over batches, of the mean loss of each; by default one batch.
    halves : bool
        Each batch counts as two, the first with ``n // 2`` examples.
    fc_reinit_for_scoring : bool
        Score with weights of linear layers drawn from N(0, 2 / (n_in + n_out)); the network keeps
        its own, and convolutions keep theirs.
    batch_statistics : bool
        Batch normalisation goes by the numbers of each batch, as in training; else by the running
        ones, which at initialisation know nothing of the network.
    rng : Generator, optional
        For that draw: a stream for each layer is spawned. Nothing else draws.

    Returns
    -------
    tuple of (slots,)
        One for each of ``net.weighted``, of the network's dtype.

    Examples
    --------
    >>> from sparse_ref import Dense
    >>> net = Network([Dense(np.array([[0.5, -0.3], [-0.2, 0.4]]))])
    >>> x, y = np.array([[1.0, 2], [0, 1], [-1, 1], [2, -1]]), np.array([0, 1, 1, 0])
    >>> grasp_scores(net, x, y)[0].round(3)
    array([0.496, 0.13 , 0.198, 0.173])
    """
    check_number("grasp", "temperature", temperature, "positive", lambda t: 0 < t < np.inf)
    check_second_order("grasp", net)
    parts = batches("grasp", net, x, y, batch_size)
    parts = [half for part in parts for half in _halves(*part)] if halves else parts
    net = _drawn_anew(net, rng) if fc_reinit_for_scoring else net
    how = temperature, batch_statistics
    g = _sums(weight_gradients(net, *part, *how) for part in parts)
    hg = _sums(hessian_product(net, *part, g, *how) for part in parts)
    scores = [-values_of(la.weight) * product for la, product in zip(net.weighted, hg, strict=True)]
    check_finite("grasp", "scores", scores)
    total = abs(math.fsum(float(s.sum(dtype=np.float64)) for s in scores)) + SMALL
    return tuple(s / total for s in scores)


def _halves(x, y):
    """Two batches of one, of a single example one."""
    n = len(x) // 2
    return [(x[:n], y[:n]), (x[n:], y[n:])] if n else [(x, y)]


def _sums(by_batch):
    """Layer by layer, over batches."""
    return [sum(parts) for parts in zip(*by_batch, strict=True)]


def _drawn_anew(net, rng):
    """A copy in which the weights of linear layers come from Glorot's normal law."""
    if rng is None:
        raise ValueError("grasp: weights drawn anew for scoring need a generator, got None")
    check_generator("grasp", rng)
    anew = copy.deepcopy(net)
    for layer, stream in zip(anew.weighted, rng.spawn(len(anew.weighted)), strict=True):
        if kernel_of(layer) is not None:
            continue
        values = values_of(layer.weight)
        values[:] = math.sqrt(2 / (layer.n_in + layer.n_out)) * stream.standard_normal(len(values))
    return anew
