"""GGR: drop the weakest of every layer, let the largest gradients of the network say where to grow.

References
----------
Parger et al. (2022), "Gradient-based Weight Density Balancing for Robust Dynamic Sparse Training"
(Global Gradient-based Redistribution), ICML, sections 3.2, 3.3 and 4, figure 1. No public code was
found.

Rows of the paper's table 3, by options:

===========  ============  ============
row          distribution  insertion
===========  ============  ============
SET          ``local``     ``random``
RigL         ``local``     ``gradient``
Set+Rigl     ``local``     ``mixed``
GGR SET      ``global``    ``random``
GGR RigL     ``global``    ``gradient``
GGR          ``global``    ``mixed``
===========  ============  ============

Departures
----------
What the paper leaves open is settled thus; nobody could verify it.

* The number a layer drops is ``floor(f nnz)`` (`rounding`); an odd number of insertions gives the
  one more to the gradient (`odd_to`).
* The candidates of the global top-k are all positions that are zero after the drop (caption of
  figure 1), those just dropped among them (`regrow`). One that is chosen again is a new connection.
* "1^-10", the weight of a grown connection, is read as 1e-10, positive.
* "10% at epoch 1", at the start of every epoch but the first: epochs count from 0 here. The
  gradient is that of the epoch's first batch, the event takes the place of its update, and what has
  grown has no momentum.

Memory: O(connections), and of the gradients of *all* layers together k candidates and one block of
rows, as RigL for one layer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr
from sparse_ref.allocation import apportion
from sparse_ref.csr import Rewire
from sparse_ref.layers import LayerGrad
from sparse_ref.methods.base import (
    ROUNDINGS,
    Method,
    Run,
    check_fraction,
    check_given_steps,
    check_name,
    count,
    fraction_at,
    keep_regrown,
)
from sparse_ref.network import Network
from sparse_ref.schedules import Cosine, Every, Schedule
from sparse_ref.selection import (
    largest,
    largest_absent,
    largest_absent_of_all,
    random_absent,
    smallest,
)

DISTRIBUTIONS = ("global", "local")
INSERTIONS = ("mixed", "gradient", "random")
REGROW = ("reinit", "keep", "forbid")
ODD = ("gradient", "random")
SCOPES = ("local", "global")
GROWN = 1e-10  # section 3.3: a framework without explicit zeros would prune a zero away


@dataclass(frozen=True)
class GGR(Method):
    """Global Gradient-based Redistribution.

    Parameters
    ----------
    drop_fraction : float or schedule
        At the first event; it falls to 0 at `stop` along a cosine. Or any schedule.
    every : int, steps, optional
        Between events; one epoch if omitted. The first event is at step ``every + 1``, the first
        batch of the second epoch.
    stop : int, steps, optional
        No event from this step on; by default half of the training.
    distribution : str
        How many each layer gets: ``global``, as many as it has of the network's largest gradients;
        ``local``, as many as it lost.
    insertion : str
        Which positions: half of them the largest gradients and half at random (``mixed``), all of
        them the largest (``gradient``), or all at random (``random``).
    drop_scope : str
        ``local``: the same fraction of every layer; ``global``: the weakest of the network, which
        the paper tried and found slightly worse.
    regrow : str
        What happens to a connection that is dropped and chosen again in the same event:
        ``reinit``, a new connection; ``keep``, as it was, weight and momentum; ``forbid``, it
        cannot be chosen.
    odd_to : str
        Who gets the one more of an odd number under ``mixed``: ``gradient`` or ``random``.
    grown, rounding : float, str
        Weight of grown connections; of the number dropped, see `methods.base.count`.
    """

    drop_fraction: float | Schedule = 0.1
    every: int | None = None
    stop: int | None = None
    distribution: str = "global"
    insertion: str = "mixed"
    drop_scope: str = "local"
    regrow: str = "reinit"
    odd_to: str = "gradient"
    grown: float = GROWN
    rounding: str = "floor"

    replaces_update = True

    def __post_init__(self):
        check_fraction("GGR", self.drop_fraction)
        check_given_steps("GGR", every=self.every, stop=self.stop)
        check_name("GGR", "distribution", self.distribution, DISTRIBUTIONS)
        check_name("GGR", "insertion", self.insertion, INSERTIONS)
        check_name("GGR", "drop_scope", self.drop_scope, SCOPES)
        check_name("GGR", "regrow", self.regrow, REGROW)
        check_name("GGR", "odd_to", self.odd_to, ODD)
        check_name("GGR", "rounding", self.rounding, list(ROUNDINGS))
        if not math.isfinite(self.grown):
            raise ValueError(f"GGR: grown must be finite, got {self.grown}")

    @property
    def scope(self) -> str:
        """Layers share a budget unless all is local."""
        local = self.distribution == self.drop_scope == "local"
        return "layer" if local else "network"

    @property
    def conserves(self) -> str:
        """The network's count; each layer's where it gets back what it lost."""
        return "layer" if self.distribution == "local" else "network"

    @property
    def starts(self) -> float:
        """Weight of grown connections."""
        return float(self.grown)

    def bind(self, run: Run) -> "GGR":
        """Fill in `every`, `stop`, and the cosine from the first event to `stop`."""
        every = self.every or run.steps_per_epoch
        stop = self.stop or run.steps // 2 + 1
        fraction = self.drop_fraction
        if not callable(fraction):
            fraction = Cosine(fraction, max(stop, every + 2), start=every + 1)
        return replace(self, every=every, stop=stop, drop_fraction=fraction)

    def due(self, step: int) -> bool:
        """At the first batch of every epoch but the first, before `stop`."""
        if self.every is None or self.stop is None:
            raise ValueError("GGR: every and stop must be known before the first step; see `bind`")
        return step < self.stop and Every(self.every, start=self.every + 1).due(step)

    def rewire(
        self,
        net: Network,
        grads: Sequence[LayerGrad],
        state: Any,
        step: int,
        rng: np.random.Generator,
    ) -> tuple[tuple[Rewire, ...], Any]:
        """All layers together."""
        fraction = fraction_at("GGR", self.drop_fraction, step)
        weights = [layer.weight for layer in net.sparse_layers]
        n_drops = [count(fraction, weight.nnz, self.rounding) for weight in weights]
        if self.drop_scope == "global":
            n_drops = weakest(weights, sum(n_drops))
        options = {"distribution": self.distribution, "insertion": self.insertion}
        options |= {"regrow": self.regrow, "odd_to": self.odd_to}
        return rewire(weights, grads, n_drops, rng, grown=self.grown, **options), state


def rewire(
    weights: Sequence[csr_array],
    grads: Sequence[LayerGrad | np.ndarray],
    n_drops: Sequence[int],
    rng: np.random.Generator,
    *,
    distribution: str = "global",
    insertion: str = "mixed",
    regrow: str = "reinit",
    odd_to: str = "gradient",
    grown: float = GROWN,
) -> tuple[Rewire, ...]:
    """One GGR event on a network (Parger et al. 2022, section 3, figure 1).

    Parameters
    ----------
    weights : sequence of (n_out, n_in) csr_array
    grads : sequence of (n_out, n_in) array, or of LayerGrad
        Dense gradient of the loss by each weight.
    n_drops : sequence of int
        How many each layer drops, 0 ... nnz.
    rng : Generator
        One stream a layer is spawned from it.
    distribution, insertion, regrow, odd_to, grown
        As `GGR`. Where ``forbid`` leaves fewer free positions than are dropped, fewer are dropped.

    Returns
    -------
    tuple of Rewire
        One a layer.
    """
    for weight in weights:
        csr.check(weight, "GGR")
    if regrow == "forbid":
        n_drops = _within_free(weights, n_drops, distribution)
    # 3.2 weight removal: the smallest magnitudes of every layer
    drops = [smallest(np.abs(w.data), n) for w, n in zip(weights, n_drops, strict=True)]
    freed = [drop[:0] if regrow == "forbid" else drop for drop in drops]
    # 3.3, step 1: how many each layer gets; 3.3, step 2: those that the gradient chooses
    choose = _globally if distribution == "global" else _locally
    numbers, best = choose(weights, grads, freed, n_drops, insertion, odd_to)
    # 3.3, step 2: the others at random
    streams = rng.spawn(len(weights))
    layers = zip(weights, numbers, best, freed, streams, strict=True)
    grows = [_filled(*layer) for layer in layers]
    return tuple(
        _as_rewire(weight, drop, grow, regrow, grown)
        for weight, drop, grow in zip(weights, drops, grows, strict=True)
    )


def by_gradient(number: int, insertion: str = "mixed", odd_to: str = "gradient") -> int:
    """How many of a layer's insertions the gradient chooses.

    Examples
    --------
    >>> [by_gradient(n) for n in (4, 5)], by_gradient(5, odd_to="random")
    ([2, 3], 2)
    """
    if insertion != "mixed":
        return number if insertion == "gradient" else 0
    return (number + (odd_to == "gradient")) // 2


def weakest(weights: Sequence[csr_array], n_drop: int) -> list[int]:
    """How many of the network's `n_drop` smallest magnitudes each layer holds.

    On ties the higher layer loses, and in it the higher position.
    """
    magnitudes = np.concatenate([weight.data for weight in weights] or [np.empty(0)])
    ends = np.cumsum([0, *(weight.nnz for weight in weights)])
    return np.diff(np.searchsorted(smallest(np.abs(magnitudes), n_drop), ends)).tolist()


def _globally(weights, grads, freed, n_drops, insertion, odd_to):
    """As many as the layer has of the network's k largest gradients; the best of those."""
    ranked = largest_absent_of_all(weights, grads, sum(n_drops), freed)
    numbers = [len(layer.positions) for layer in ranked]
    wanted = [by_gradient(number, insertion, odd_to) for number in numbers]
    best = [r.positions[largest(r.scores, h)] for r, h in zip(ranked, wanted, strict=True)]
    return numbers, best


def _locally(weights, grads, freed, n_drops, insertion, odd_to):
    """As many as the layer lost; the largest gradients of the layer."""
    wanted = [by_gradient(number, insertion, odd_to) for number in n_drops]
    layers = zip(weights, grads, wanted, freed, strict=True)
    return list(n_drops), [largest_absent(*layer) for layer in layers]


def _filled(weight, number, best, freed, rng):
    """The positions the gradient chose, and random ones beside them."""
    others = random_absent(weight, number - len(best), rng, freed, taken=best)
    return np.sort(np.concatenate([best, others]))


def _as_rewire(weight, drop, grow, regrow, grown):
    if regrow == "keep":
        drop, grow = keep_regrown(weight, drop, grow)
    return Rewire(drop, grow, np.full(len(grow), grown, weight.dtype))


def _within_free(weights, n_drops, distribution):
    """Not more than there is room for elsewhere: in the layer, or in the network."""
    free = [math.prod(weight.shape) - weight.nnz for weight in weights]
    if distribution == "local":
        return [min(n, room) for n, room in zip(n_drops, free, strict=True)]
    if sum(n_drops) <= sum(free):
        return list(n_drops)
    return apportion(n_drops, sum(free), n_drops).tolist()
