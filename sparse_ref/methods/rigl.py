"""RigL: drop the weakest connections of every layer, grow where the loss gradient is largest.

References
----------
Evci, Gale, Menick, Castro, Elsen (2020), "Rigging the Lottery: Making All Tickets Winners", ICML,
section 3 and algorithm 1.

Departures
----------
* The paper's ``k = f(t) (1 - s) N`` uses the nominal density; like the published codes we take the
  layer's own count, ``floor(f(t) nnz)``.
* Steps count from 1, so no event precedes the first update.
* "¾ of training" for `stop` is the paper's CIFAR setting (75k of 100k steps), not a rule it states.
  (Not verified against the paper's text; the authors' published flags agree.)

* An event counts as a step of the learning-rate schedule, as in jaxpruner; in RigL's TensorFlow
  code the step counter rests.

Memory: O(connections) and a few blocks of rows of the dense gradient
(`sparse_ref.selection.BLOCK_ELEMENTS`: 1 MB in float32), which is read as two factors and never
exists whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr
from sparse_ref.csr import Rewire
from sparse_ref.layers import LayerGrad
from sparse_ref.methods.base import Method, Run, check_fraction, check_steps, count, fraction_at
from sparse_ref.network import Network
from sparse_ref.schedules import Cosine, Every, Schedule
from sparse_ref.selection import largest_absent, meet, smallest

REGROW = ("keep", "reinit", "forbid")
CANDIDATES = ("allow", "forbid")


@dataclass(frozen=True)
class RigL(Method):
    """Rigging the lottery.

    Parameters
    ----------
    drop_fraction : float or schedule
        α, the fraction replaced at step 0, falling to 0 at `stop` along a cosine; or any schedule.
    every : int, steps
        ΔT.
    stop : int, steps, optional
        T_end; by default three quarters of the training.
    regrow : str
        What happens to a connection that is dropped and chosen again in the same event, see
        `rewire_layer`.
    """

    drop_fraction: float | Schedule = 0.3
    every: int = 100
    stop: int | None = None
    regrow: str = "keep"

    replaces_update = True

    def __post_init__(self):
        check_fraction("RigL", self.drop_fraction)
        check_steps("RigL", every=self.every)
        if self.stop is not None:
            check_steps("RigL", stop=self.stop)
        _check_name("regrow", self.regrow, REGROW)

    def bind(self, run: Run) -> "RigL":
        """Fill in `stop` and the cosine that ends there."""
        stop = self.stop or max(1, 3 * run.steps // 4)
        if callable(self.drop_fraction):
            return replace(self, stop=stop)
        return replace(self, stop=stop, drop_fraction=Cosine(self.drop_fraction, stop))

    def due(self, step: int) -> bool:
        """At multiples of `every` before `stop`."""
        return Every(self.every, stop=self.stop).due(step)

    def rewire(
        self,
        net: Network,
        grads: Sequence[LayerGrad],
        state: Any,
        step: int,
        rng: np.random.Generator,
    ) -> tuple[tuple[Rewire, ...], Any]:
        """Each layer by itself; draws nothing."""
        fraction = fraction_at("RigL", self.drop_fraction, step)
        weights = [layer.weight for layer in net.sparse_layers]
        rewires = (
            rewire_layer(weight, grad, count(fraction, weight.nnz), regrow=self.regrow)
            for weight, grad in zip(weights, grads, strict=True)
        )
        return tuple(rewires), state


def rewire_layer(
    weight: csr_array, grad: LayerGrad | np.ndarray, n_drop: int, *, regrow: str = "keep"
) -> Rewire:
    """One RigL event on one layer (Evci et al. 2020, algorithm 1, inner block).

    Parameters
    ----------
    weight : (n_out, n_in) csr_array
    grad : (n_out, n_in) array, or LayerGrad
        Dense gradient of the loss by the weight.
    n_drop : int
        k, 0 ... nnz.
    regrow : str
        A connection just dropped is a candidate to grow. If it is chosen, ``keep`` leaves it as it
        was, weight and momentum (the authors' code: it never left the mask); it is then in neither
        list of the result. ``reinit`` makes it a new connection at 0. ``forbid`` does not let it be
        chosen; where fewer than k positions are free, k is cut to them.
    """
    _check_name("regrow", regrow, REGROW)
    drop, grow = choose(weight, grad, n_drop, "forbid" if regrow == "forbid" else "allow")
    if regrow == "keep":
        dropped = csr.positions_of(weight, drop)
        regrown, chosen_again = meet(dropped, grow)
        drop, grow = drop[~regrown], grow[~chosen_again]
    return Rewire(drop, grow, np.zeros(len(grow), weight.dtype))  # grown weights start at 0


def choose(
    weight: csr_array, grad: LayerGrad | np.ndarray, n_drop: int, candidates: str = "allow"
) -> tuple[np.ndarray, np.ndarray]:
    """The paper's two sets, before any rule on what they have in common.

    Parameters
    ----------
    weight, grad, n_drop
        As `rewire_layer`.
    candidates : str
        ``allow`` or ``forbid`` growing at a position dropped in this event.

    Returns
    -------
    drop : (k,) int64 slots, ascending
    grow : (k,) int64 flat positions, ascending
    """
    _check_name("candidates", candidates, CANDIDATES)
    csr.check(weight, "RigL")
    if candidates == "forbid":
        n_drop = min(n_drop, weight.shape[0] * weight.shape[1] - weight.nnz)
    drop = smallest(np.abs(weight.data), n_drop)  # I_drop = ArgTopK(-|θ|, k)
    freed = drop if candidates == "allow" else None
    grow = largest_absent(weight, grad, n_drop, freed)  # I_grow = ArgTopK(|∇L|, k), ∉ θ \ I_drop
    return drop, grow


def _check_name(option, name, known):
    if name not in known:
        raise ValueError(f"RigL: {option} must be one of {list(known)}, got {name!r}")
