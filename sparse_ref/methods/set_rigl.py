"""SET and RigL, half and half: drop as RigL, grow half by the gradient and half at random.

References
----------
Parger et al. (2022), "Gradient-based Weight Density Balancing for Robust Dynamic Sparse Training",
ICML, section 5.1 and table 3, row "Set+Rigl": the insertion of GGR without its redistribution. No
public code was found.

Departures
----------
* The number a layer drops is ``floor(f nnz)``; an odd number gives the one more to the gradient.
* The half of the gradient is chosen first, the other half among what is free then; what was just
  dropped is free for both, and is a new connection if it is chosen.
* When and how much is as in GGR, for which the paper says it. Grown weights are its 1e-10.

Memory: as RigL, O(connections) and a few blocks of rows of the dense gradient.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from sparse_ref.csr import Rewire, check
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
)
from sparse_ref.network import Network
from sparse_ref.schedules import Cosine, Every, Schedule
from sparse_ref.selection import largest_absent, random_absent, smallest

GROWN = 1e-10


@dataclass(frozen=True)
class SetRigL(Method):
    """The local hybrid of SET and RigL.

    Parameters
    ----------
    drop_fraction : float or schedule
        At the first event; it falls to 0 at `stop` along a cosine. Or any schedule.
    every : int, steps, optional
        Between events; one epoch if omitted. The first event is at step ``every + 1``.
    stop : int, steps, optional
        No event from this step on; by default half of the training.
    gradient_share : float
        ρ, share of the insertions that the gradient chooses. The connections are then those of
        RigL with ``regrow="reinit"`` (1) and of SET (0), but for the weight they start with.
    grown, rounding : float, str
        Weight of grown connections; of the number dropped, see `methods.base.count`.
    """

    drop_fraction: float | Schedule = 0.1
    every: int | None = None
    stop: int | None = None
    gradient_share: float = 0.5
    grown: float = GROWN
    rounding: str = "floor"

    replaces_update = True

    def __post_init__(self):
        check_fraction("SetRigL", self.drop_fraction)
        check_given_steps("SetRigL", every=self.every, stop=self.stop)
        check_name("SetRigL", "rounding", self.rounding, list(ROUNDINGS))
        share = self.gradient_share
        if not isinstance(share, Real) or not 0 <= share <= 1:
            raise ValueError(f"SetRigL: gradient_share must be in [0, 1], got {share}")
        if not math.isfinite(self.grown):
            raise ValueError(f"SetRigL: grown must be finite, got {self.grown}")

    @property
    def starts(self) -> float:
        """Weight of grown connections."""
        return float(self.grown)

    def bind(self, run: Run) -> "SetRigL":
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
            raise ValueError(
                "SetRigL: every and stop must be known before the first step; see `bind`"
            )
        return step < self.stop and Every(self.every, start=self.every + 1).due(step)

    def rewire(
        self,
        net: Network,
        grads: Sequence[LayerGrad],
        state: Any,
        step: int,
        rng: np.random.Generator,
    ) -> tuple[tuple[Rewire, ...], Any]:
        """Each layer by itself, from its own stream."""
        fraction = fraction_at("SetRigL", self.drop_fraction, step)
        weights = [layer.weight for layer in net.sparse_layers]
        layers = zip(weights, grads, rng.spawn(len(weights)), strict=True)
        rewires = (
            rewire_layer(w, g, self._count(fraction, w), stream, self.gradient_share, self.grown)
            for w, g, stream in layers
        )
        return tuple(rewires), state

    def _count(self, fraction, weight):
        return count(fraction, weight.nnz, self.rounding)


def rewire_layer(
    weight: csr_array,
    grad: LayerGrad | np.ndarray,
    n_drop: int,
    rng: np.random.Generator,
    gradient_share: float = 0.5,
    grown: float = GROWN,
) -> Rewire:
    """One event on one layer (Parger et al. 2022, section 3.3, step 2, with the layer's own count).

    Parameters
    ----------
    weight : (n_out, n_in) csr_array
    grad : (n_out, n_in) array, or LayerGrad
        Dense gradient of the loss by the weight.
    n_drop : int
        0 ... nnz.
    rng : Generator
    gradient_share : float
        ρ; ``ceil(ρ n_drop)`` positions are chosen by the gradient.
    grown : float
        Weight of grown connections.
    """
    check(weight, "SetRigL")
    drop = smallest(np.abs(weight.data), n_drop)  # as SET and RigL
    n_best = math.ceil(round(gradient_share * n_drop, 9))  # 0.07 * 100 is 7, and a rounding error
    best = largest_absent(weight, grad, n_best, drop)  # as RigL
    others = random_absent(weight, n_drop - len(best), rng, drop, taken=best)  # as SET
    grow = np.sort(np.concatenate([best, others]))
    return Rewire(drop, grow, np.full(n_drop, grown, weight.dtype))
