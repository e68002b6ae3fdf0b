"""DSR: prune below one threshold for all layers, deal the number out anew, grow at random.

References
----------
Mostafa & Wang (2019), "Parameter Efficient Training of Deep Convolutional Neural Networks by
Dynamic Sparse Reparameterization", ICML, algorithm 1. Code: IntelAI/dynamic-reparameterization,
``main.py`` (``train``) and ``parameterized_tensors.py`` (``SparseTensor``).

Departures
----------
* The paper leaves open how ``K R_l / R`` becomes an integer. Here by largest remainder, exactly,
  what a full layer cannot take going to the others in the same proportion. The code rounds to the
  nearest integer, adds the discrepancy to one random layer and repeats with what was not grown; it
  may overshoot or never end: ``rounding="intel_random"``, where the repetitions are bounded.
* As in the code, a layer that would be emptied keeps one connection, and what was just pruned is
  not grown again. Not verified: what the paper says to it; only the code was read.
* Where fewer positions may grow than would be pruned, fewer are pruned: the largest of those below
  the threshold stay, so the network loses none. The threshold is steered by the number below it, as
  in the code. With ``intel_random`` those that find no place are lost, as there.
* Grown connections have no momentum. The code leaves the buffers of its dense tensors alone, so
  that a position grown again brings what is left of the old one.
* The defaults of `stop`, `target` and `every` are ours. The code stops at epoch 190 of 200.

Memory: O(connections). Growth draws ranks among the absent positions and never lists them.
"""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, replace
from math import prod
from numbers import Integral
from typing import ClassVar

import numpy as np
from numpy.random import Generator
from scipy.sparse import csr_array

from sparse_ref import csr
from sparse_ref.allocation import apportion
from sparse_ref.csr import Rewire
from sparse_ref.layers import LayerGrad
from sparse_ref.methods.base import (
    Method,
    Run,
    check_given_steps,
    check_name,
    check_number,
    check_steps,
    conventional,
    count,
)
from sparse_ref.methods.dsr_codes import reallocate_at_random
from sparse_ref.network import Network
from sparse_ref.schedules import Every
from sparse_ref.selection import largest, random_absent, smallest

ROUNDINGS = ("largest_remainder", "intel_random")
MOST = 1e38  # H doubles up to what float32 can hold
OPTIONS = ("tolerance", "rounding", "keep_one", "exclude_just_dropped", "rewire_scaling")
Weights = Sequence[csr_array]


@conventional
@dataclass(frozen=True)
class DSR(Method):
    """Dynamic sparse reparameterization; its state is H, the threshold.

    Parameters
    ----------
    target : int or float
        N_p, how many connections an event should prune; as a float in (0, 1), which share of the
        network's. The code has 600 for its MLP 784-300-100-10 and 20000 for WRN-28-2.
    initial_threshold : float
        H at the first event.
    tolerance : float
        δ: H is halved where more than ``(1 + δ) N_p`` were pruned, doubled below ``(1 - δ) N_p``.
    every : int, steps
        Between events. The code's WRN-28-2 has 100, 200, 400 and 800, from epochs 0, 25, 80, 140.
    stop : int, steps, optional
        No event from this step on; by default three quarters of the training.
    rounding : str
        ``largest_remainder`` or ``intel_random``, see the module.
    keep_one, exclude_just_dropped : bool
        A layer of which nothing would be left keeps the connection with the lowest position. A
        position is not grown again in the event that prunes it.
    rewire_scaling : bool
        False: each layer grows as many as it lost.
    threshold_prune, rewire_fraction : bool, float
        False: each layer prunes its ``int(rewire_fraction n) + 1`` smallest, and H rests. With
        `rewire_scaling` False too, this is a baseline of the code, close to SET.
    convention : str
        ``paper``; or ``intel-dsr``, the authors' code.
    """

    target: int | float = 0.05
    initial_threshold: float = 1e-3
    tolerance: float = 0.1
    every: int = 100
    stop: int | None = None
    rounding: str = "largest_remainder"
    keep_one: bool = True
    exclude_just_dropped: bool = True
    rewire_scaling: bool = True
    threshold_prune: bool = True
    rewire_fraction: float = 0.1
    convention: InitVar[str] = "paper"

    conventions: ClassVar = {"paper": {}, "intel-dsr": {"rounding": "intel_random"}}

    def __post_init__(self, convention: str) -> None:
        check_steps("DSR", every=self.every)
        check_given_steps("DSR", stop=self.stop)
        check_name("DSR", "rounding", self.rounding, ROUNDINGS)
        rule = "in (0, 1) or a whole number >= 1"
        check_number(
            "DSR",
            "target",
            self.target,
            rule,
            lambda n: n > 0 and (n < 1 or isinstance(n, Integral)),
        )
        check_number(
            "DSR", "initial_threshold", self.initial_threshold, "positive", lambda h: 0 < h < np.inf
        )
        check_number("DSR", "tolerance", self.tolerance, "in [0, 1]", lambda d: 0 <= d <= 1)
        check_number(
            "DSR", "rewire_fraction", self.rewire_fraction, "in [0, 1]", lambda f: 0 <= f <= 1
        )

    @property
    def scope(self) -> str:
        """Layers share the threshold and the budget, unless both are switched off."""
        return "network" if self.threshold_prune or self.rewire_scaling else "layer"

    @property
    def conserves(self) -> str:
        """The code's rounding may overshoot, and lose what finds no place."""
        if self.rounding == "intel_random":
            return "nothing"
        return "network" if self.rewire_scaling else "layer"

    @property
    def regrow(self) -> str:
        """As `exclude_just_dropped` says."""
        return "forbid" if self.exclude_just_dropped else "reinit"

    def bind(self, run: Run) -> "DSR":
        """Fill in `stop`."""
        return replace(self, stop=self.stop or max(1, 3 * run.steps // 4))

    def init(self, net: Network, rng: Generator) -> float:
        """H before the first event."""
        return float(self.initial_threshold)

    def due(self, step: int) -> bool:
        """At multiples of `every` before `stop`."""
        return Every(self.every, stop=self.stop).due(step)

    def rewire(
        self, net: Network, grads: Sequence[LayerGrad], state: float, step: int, rng: Generator
    ) -> tuple[tuple[Rewire, ...], float]:
        """All layers together; the state is the next threshold."""
        weights = [layer.weight for layer in net.sparse_layers]
        share = 1 if isinstance(self.target, Integral) else sum(weight.nnz for weight in weights)
        options = {name: getattr(self, name) for name in OPTIONS}
        if not self.threshold_prune:
            options["fraction"] = self.rewire_fraction
        rewires, threshold = rewire(weights, state, self.target * share, rng, **options)
        return rewires, threshold if self.threshold_prune else state


def rewire(
    weights: Weights,
    threshold: float,
    target: float,
    rng: Generator,
    *,
    tolerance: float = 0.1,
    rounding: str = "largest_remainder",
    keep_one: bool = True,
    exclude_just_dropped: bool = True,
    rewire_scaling: bool = True,
    fraction: float | None = None,
) -> tuple[tuple[Rewire, ...], float]:
    """One DSR event on a network (Mostafa & Wang 2019, algorithm 1).

    Parameters
    ----------
    weights : sequence of (n_out, n_in) csr_array
    threshold, target : float
        H, and N_p as a number of connections.
    rng : Generator
        A stream for each layer is spawned from it, and one for draws that concern them all.
    tolerance, rounding, keep_one, exclude_just_dropped, rewire_scaling, fraction
        See `DSR`; `prune` for the last.

    Returns
    -------
    tuple of Rewire, and H of the next event
    """
    check_name("DSR", "rounding", rounding, ROUNDINGS)
    *streams, shared = rng.spawn(len(weights) + 1)
    drops = prune(weights, threshold, keep_one, fraction)  # step 1
    pruned = sum(map(len, drops))  # K, step 2
    if rounding == "largest_remainder":
        drops = _those_with_a_place(weights, drops, exclude_just_dropped, rewire_scaling)
    numbers, room = [len(drop) for drop in drops], _room(weights, drops, exclude_just_dropped)
    kept = [weight.nnz - n for weight, n in zip(weights, numbers, strict=True)]  # R_l
    if not rewire_scaling:
        counts = np.minimum(numbers, room)
    elif rounding == "intel_random":
        counts = reallocate_at_random(kept, pruned, room, shared)
    else:
        counts = reallocate(kept, sum(numbers), room)  # step 4, G_l
    rewires = []
    for weight, drop, n, stream in zip(weights, drops, counts.tolist(), streams, strict=True):
        grow = random_absent(weight, n, stream, None if exclude_just_dropped else drop)
        rewires.append(Rewire(drop, grow, np.zeros(n, weight.dtype)))
    return tuple(rewires), next_threshold(threshold, pruned, target, tolerance)  # step 3


def prune(
    weights: Weights, threshold: float, keep_one: bool = True, fraction: float | None = None
) -> list[np.ndarray]:
    """Slots with ``|w| < threshold``, ascending, of each layer.

    With `fraction` the ``int(fraction * n) + 1`` smallest instead. With `keep_one` the lowest slot
    stays where nothing else would.
    """
    drops = []
    for weight in weights:
        sizes = np.abs(csr.check(weight, "DSR").data)
        if fraction is None:
            drop = np.flatnonzero(sizes < threshold)
        else:
            drop = smallest(sizes, count(fraction, weight.nnz, "floor_plus_one"))
        drops.append(drop[1:] if keep_one and len(drop) == weight.nnz else drop)
    return drops


def next_threshold(threshold: float, n_pruned: int, target: float, tolerance: float = 0.1) -> float:
    """H of the next event: halved if too many were pruned, doubled if too few, else the same.

    Examples
    --------
    >>> [next_threshold(0.25, n, target=100) for n in (111, 110, 90, 89)]
    [0.125, 0.25, 0.25, 0.5]
    """
    if n_pruned > (1 + tolerance) * target:
        return threshold / 2
    return min(2 * threshold, MOST) if n_pruned < (1 - tolerance) * target else threshold


def reallocate(kept: Sequence[int], total: int, room: Sequence[int]) -> np.ndarray:
    """G_l: `total` connections dealt out in proportion to `kept`, R_l, within `room`.

    By largest remainder, at equal remainders to the lower layer; `total` is at most the room of the
    layers that kept something.

    Examples
    --------
    >>> reallocate([3, 2], 4, [9, 5]), reallocate([3, 2], 4, [1, 5])
    (array([2, 2]), array([1, 3]))
    """
    return apportion(kept, total, room) if len(kept) else np.zeros(0, np.int64)


def _room(weights, drops, exclude):
    """Positions of each layer at which something may grow."""
    absent = [prod(weight.shape) - weight.nnz for weight in weights]
    return [n + (0 if exclude else len(drop)) for n, drop in zip(absent, drops, strict=True)]


def _those_with_a_place(weights, drops, exclude, rewire_scaling):
    """Spare the largest of what is to be dropped, as many as could be grown nowhere."""
    if not rewire_scaling:
        layers = zip(weights, drops, _room(weights, drops, exclude), strict=True)
        return [_without_the_largest([w], [d], max(0, len(d) - n))[0] for w, d, n in layers]
    everything, spared = drops, 0
    while True:
        layers = zip(weights, drops, _room(weights, drops, exclude), strict=True)
        missing = sum(len(d) - (n if w.nnz > len(d) else 0) for w, d, n in layers)
        if missing <= 0:
            return drops
        spared += missing  # at most all of them, and then nothing is missing
        drops = _without_the_largest(weights, everything, spared)


def _without_the_largest(weights, drops, n):
    """All but the `n` of largest magnitude, in all layers together."""
    sizes = [np.abs(weight.data[drop]) for weight, drop in zip(weights, drops, strict=True)]
    stays = np.zeros(sum(map(len, drops)), bool)
    stays[largest(np.concatenate(sizes), n)] = True
    parts = np.split(stays, np.cumsum([len(drop) for drop in drops])[:-1])
    return [drop[~part] for drop, part in zip(drops, parts, strict=True)]
