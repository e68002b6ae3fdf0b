"""SynFlow: keep the connections that most of the flow through the network passes, round by round.

All weights are replaced by their magnitudes and the inputs by ones; R is the sum of the outputs.
The score of a connection is ``|w| dR/d|w|``, the flow through it: what enters a hidden unit leaves
it, so a layer with few connections has large scores, and removed in many small rounds no layer
loses its last one before it must. With ``a`` the flow up to a layer's inputs and ``b`` that from
its outputs on, ``S = |W| * (b a')``. No examples are needed and no weight changes.

References
----------
Tanaka, Kunin, Yamins, Ganguli (2020), "Pruning neural networks without any data by iteratively
conserving synaptic flow", algorithm 1; code ganguli-lab/Synaptic-Flow @9dfa57a,
``Pruners/pruners.py``, ``prune.py``.

Departures
----------
* All is done in float64, and the flow is scaled from layer to layer; the code's float32 under- and
  overflows in deep networks, and what is left is then decided by place.
* Activations must let positive numbers pass as they are; through SReLU and local response
  normalisation the flow would not be conserved. ReLU6 counts as ReLU: a flow is no activation.
* Of batch normalisation, in evaluation, the code takes magnitudes one by one,
  ``|gamma| (x - |mean|) / sqrt(|var| + epsilon) + |beta|``, so a running mean takes from the flow
  and may turn it negative. Here the two numbers of the layer's ``k x + c`` give theirs, as those of
  a linear layer do. At initialisation, where the mean is 0, this is the same.
* The paper takes a percentile, the code ``N - int((1 - d) N)``; here ``int(d N)`` are left.
* The code removes all that equal the last to go (``ties="drop_all"``), and so everything
  where all scores are equal. It stops where the result is 5 or more off; here nothing is.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparse_ref import csr
from sparse_ref.at_init.conventions import conventional
from sparse_ref.at_init.flow import check_passing, flows, magnitudes
from sparse_ref.at_init.pool import (
    SCHEDULES,
    Drops,
    check_choice,
    check_finite,
    check_rounds,
    competing,
    densities,
    drops_of,
    in_rounds,
    kept_count,
)
from sparse_ref.methods.base import check_name
from sparse_ref.network import Network
from sparse_ref.pruning.weights import values_of

ROUNDS = 100
CONVENTIONS: dict[str, dict[str, Any]] = {
    "paper": {},
    "synaptic-flow": {
        "rounds": 1,
        "count": "trunc_removed",
        "ties": "drop_all",  # so what was removed, whose score is 0, does not come back
    },
}


@conventional(CONVENTIONS)
def synflow(
    net: Network,
    density: float,
    *,
    rounds: int = ROUNDS,
    schedule: str = "exponential",
    exclude: Sequence[int] = (),
    abs_bias: bool = True,
    freeze_pruned: bool = True,
    count: str = "trunc_kept",
    ties: str = "keep_low_index",
    convention: str = "paper",
) -> Drops:
    """What to remove so that a share `density` with the largest flow is left.

    Parameters
    ----------
    net : Network
        Not changed; sparse and dense layers alike.
    density : float
        Of the layers that compete together, in [0, 1]; a `Fraction` is counted exactly.
    rounds : int
        Scores are taken anew in each, of what is left.
    schedule : str
        ``exponential``: ``density^(e / rounds)`` is left after round e; ``linear``: equal steps.
    exclude : sequence of int
        Layers of ``net.weighted`` that lose nothing and do not count; they carry flow.
    abs_bias : bool
        See `synflow_scores`.
    freeze_pruned : bool
        What was removed stays so. Otherwise it has the score 0, and may change places with a
        connection that carries nothing.
    count, ties : str
        See `sparse_ref.at_init.pool`.
    convention : str
        ``paper``, or ``synaptic-flow``: the authors' code, of which the paper's rounds are an
        option.

    Returns
    -------
    tuple, one for each of ``net.weighted``
        For `Network.prune`: slots to remove, or None for a layer that does not compete.
    """
    check_choice("synflow", density, count, ties)
    check_rounds("synflow", "rounds", rounds)
    check_name("synflow", "schedule", schedule, SCHEDULES)
    layers = competing("synflow", net, exclude)
    weights = _magnitudes(net, abs_bias)
    sizes = [net.connections[k] for k in layers]

    def scores_of(kept):
        left = list(weights)
        for k, slots in zip(layers, kept, strict=True):
            left[k] = _left(weights[k], slots)
        scored, _ = flows(net, left, abs_bias)
        scores = [scored[k] for k in layers]
        if freeze_pruned:
            return scores
        sources = map(_sources, kept, sizes)
        return [csr.carry(s, source) for s, source in zip(scores, sources, strict=True)]

    counts = [kept_count(sum(sizes), d, count) for d in densities(density, rounds, schedule)]
    kept = in_rounds("synflow", sizes, counts, scores_of, ties, freeze_pruned)
    return drops_of(net, layers, kept)


def synflow_scores(net: Network, *, abs_bias: bool = True) -> tuple[np.ndarray, ...]:
    """Flow through every connection, ``|w| dR/d|w|``.

    Parameters
    ----------
    net : Network
        Not changed; its signs do not count.
    abs_bias : bool
        Biases feed ``|b|`` into the flow, and so do offsets of batch normalisation; False: nothing.

    Returns
    -------
    tuple of (slots,) float64
        One for each of ``net.weighted``. Without biases each adds up to R, and what enters a hidden
        unit adds up to what leaves it.

    Examples
    --------
    >>> from sparse_ref.layers import Dense, ReLU
    >>> net = Network([Dense(np.array([[1.0, -2], [3, 0]])), ReLU(), Dense(np.array([[-1.0, 2]]))])
    >>> synflow_scores(net)
    (array([1., 2., 6., 0.]), array([3., 6.]))
    """
    scored, power = flows(net, _magnitudes(net, abs_bias), abs_bias)
    with np.errstate(over="ignore"):  # told in words
        scores = tuple(np.ldexp(flow, power) for flow in scored)
    check_finite("synflow_scores", "scores", scores)
    if any(flow.any() and not score.any() for flow, score in zip(scored, scores, strict=True)):
        raise ValueError("synflow_scores: a flow must be no less than float64 holds, got 0")
    return scores


def _magnitudes(net, abs_bias):
    """``|W|`` of every layer, once all is known to be finite and passable."""
    check_passing("synflow", net)
    weights = [magnitudes(layer) for layer in net.weighted]
    fed = [layer.bias for layer in net.weighted] if abs_bias else []
    check_finite("synflow", "weights", [*map(values_of, weights), *fed])
    return weights


def _left(weight, slots):
    """The weight with the connections in `slots` only, as CSR; as it is where these are all."""
    dense = isinstance(weight, np.ndarray)
    values = weight.reshape(-1) if dense else weight.data
    if len(slots) == len(values):
        return weight
    positions = slots if dense else csr.positions_of(weight, slots)
    return csr.from_positions(weight.shape, positions, values[slots])


def _sources(slots, n):
    """For `csr.carry`: where each of n slots is among `slots`, -1 if it is not."""
    sources = np.full(n, -1)
    sources[slots] = np.arange(len(slots))
    return sources
