"""SNFS, sparse momentum: layers and connections whose momentum is large get what others lost.

References
----------
Dettmers & Zettlemoyer (2019), "Sparse Networks from Scratch: Faster Training without Losing
Performance", section 3. Code: TimDettmers/sparse_learning, ``sparselearning/core.py`` and
``funcs.py``. The simplified form: google-research/rigl, ``SparseMomentumOptimizer``.

Departures
----------
* The number of connections is exact: floors are pruned (`rounding`) and dealt out by largest
  remainder within what is free. The code rounds up, fills a layer to 99 % of what is free, spreads
  the rest over all layers, rounds down, and steers the error: `snfs_code_rounding`.
* Layers without momentum get something only where the others are full: what is left over, in
  proportion to what they lost. So without any momentum each layer regrows its own, where the code
  would grow nothing. An empty layer counts as one without; the code fails on the mean of nothing.
* Momentum is accumulated here, from the loss alone. In the code it is the optimizer's buffer, which
  at connections holds weight decay too. `momentum` should be the optimizer's.
* A grown connection starts with an empty buffer, as everywhere in this library; the code's dense
  buffer has been there all along. ``grown_momentum="dense"`` hands it over. It has the scale of
  `optim.sgd` with the same momentum; Adam would take it for a mean gradient.
* In `snfs_code_rounding` the number to be kept is that of the beginning, not density times size. A
  negative number to grow is 0; the code would slice from the end. Ties are settled as everywhere.
* Left out: ranking by Adam's ``m / (sqrt(v) + 1e-8)``, random and neuron-wise growth, other layer
  measures; of the TensorFlow form its noise and drop fraction. Not verified: the paper's own.

Memory: one number for every position of every layer, connected or not, as the definition asks. Its
update takes a block of rows of the gradient, `snfs_code_rounding` a copy of one layer's.
"""

import math
from collections.abc import Sequence
from dataclasses import InitVar, dataclass, replace
from numbers import Real
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.random import Generator
from scipy.sparse import csr_array

from sparse_ref import csr
from sparse_ref.allocation import apportion
from sparse_ref.csr import Rewire
from sparse_ref.layers import LayerGrad
from sparse_ref.methods import base
from sparse_ref.methods.base import Method, Run, conventional
from sparse_ref.network import Network
from sparse_ref.schedules import Cosine, Every, Schedule
from sparse_ref.selection import BLOCK_ELEMENTS, largest, largest_absent, meet, smallest

NEARLY_FULL, CROWDED, SWEEPS = 0.99, 0.2, 1000  # of the code
FLOOR, GROWN = 0.005, ("zero", "dense")  # η_min of the drop fraction's cosine
Weights = Sequence[csr_array]
Momenta = Sequence[np.ndarray]


class State(NamedTuple):
    """What SNFS remembers."""

    momentum: tuple[np.ndarray, ...]  # (n_out, n_in) of each layer; `observe` changes it in place
    baseline: int  # connections of the beginning
    adjustment: float = 0.0  # what the next event grows more, in `snfs_code_rounding`
    missing: tuple[int, ...] = ()  # connections short of the baseline after each event


@conventional
@dataclass(frozen=True)
class SNFS(Method):
    """Sparse momentum.

    Parameters
    ----------
    drop_fraction : float or schedule
        p at the first step, falling to 0.005 at the last along a cosine; or any schedule.
    every, stop : int, steps, optional
        Between events, by default an epoch, and no event from there on, by default the last step.
    momentum, ema : float, bool
        u becomes ``momentum * u + gradient`` at every step and position; with `ema` the gradient
        counts ``1 - momentum``: the same choices, up to rounding, and another scale of u.
    rounding : str
        Of the number to be pruned, see `methods.base.count`.
    redistribute, snfs_code_rounding : bool
        False: each layer regrows its own. True: see the module; `rounding` is then up.
    grown_momentum : str
        ``zero`` or ``dense``, what the optimizer's buffer of a grown connection starts with.
    convention : str
        ``paper``; ``sparse-learning``, the authors' code; ``rigl-tf1``, the simplified form.
    """

    drop_fraction: float | Schedule = 0.5
    every: int | None = None
    stop: int | None = None
    momentum: float = 0.9
    ema: bool = False
    rounding: str = "floor"
    redistribute: bool = True
    snfs_code_rounding: bool = False
    grown_momentum: str = "zero"
    convention: InitVar[str] = "paper"

    dense_state, regrow = True, "keep"
    conventions: ClassVar = {
        "paper": {},
        "sparse-learning": {"snfs_code_rounding": True, "grown_momentum": "dense"},
        "rigl-tf1": {"ema": True, "redistribute": False, "rounding": "floor_f32"},
    }

    def __post_init__(self, convention: str) -> None:
        base.check_fraction("SNFS", self.drop_fraction)
        base.check_given_steps("SNFS", every=self.every, stop=self.stop)
        base.check_name("SNFS", "rounding", self.rounding, list(base.ROUNDINGS))
        base.check_name("SNFS", "grown_momentum", self.grown_momentum, GROWN)
        if isinstance(self.momentum, bool) or not isinstance(self.momentum, Real):
            raise TypeError(f"SNFS: momentum must be a number, got {self.momentum!r}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"SNFS: momentum must be in [0, 1), got {self.momentum}")

    @property
    def scope(self) -> str:
        """Layers share what all of them lost, if that is redistributed."""
        return "network" if self.redistribute else "layer"

    @property
    def conserves(self) -> str:
        """The code keeps the number of connections about constant."""
        return "nothing" if self.snfs_code_rounding else self.scope

    @property
    def rests_at_zero(self) -> bool:
        """The code drops stored zeros where nothing else is to go."""
        return not self.snfs_code_rounding

    def bind(self, run: Run) -> "SNFS":
        """Fill in `every`, `stop` and the cosine over the whole training."""
        bound = replace(self, every=self.every or run.steps_per_epoch, stop=self.stop or run.steps)
        if callable(self.drop_fraction):
            return bound
        cosine = Cosine(self.drop_fraction, run.steps, floor=min(FLOOR, self.drop_fraction))
        return replace(bound, drop_fraction=cosine)

    def init(self, net: Network, rng: Generator) -> State:
        """No momentum yet."""
        weights = [layer.weight for layer in net.sparse_layers]
        zeros = tuple(np.zeros(weight.shape, weight.dtype) for weight in weights)
        return State(zeros, sum(weight.nnz for weight in weights))

    def observe(self, grads: Sequence[LayerGrad], state: State) -> State:
        """Accumulate the gradients, in place."""
        for momentum, grad in zip(state.momentum, grads, strict=True):
            accumulate(momentum, grad, self.momentum, 1 - self.momentum if self.ema else 1.0)
        return state

    def due(self, step: int) -> bool:
        """At multiples of `every` before `stop`."""
        if self.every is None:
            raise ValueError("SNFS: every must be known before the first step, got None: `bind` it")
        return Every(self.every, stop=self.stop).due(step)

    def rewire(
        self, net: Network, grads: Sequence[LayerGrad], state: State, step: int, rng: Generator
    ) -> tuple[tuple[Rewire, ...], State]:
        """All layers together; draws nothing."""
        fraction = base.fraction_at("SNFS", self.drop_fraction, step)
        weights = [layer.weight for layer in net.sparse_layers]
        if self.snfs_code_rounding:
            adjustment = state.adjustment if self.redistribute else None
            rewires = rewire_as_code(weights, state.momentum, fraction, adjustment)
        else:
            counts = [base.count(fraction, weight.nnz, self.rounding) for weight in weights]
            rewires = rewire(weights, state.momentum, counts, self.redistribute)
        if self.grown_momentum == "dense":
            pairs = zip(rewires, state.momentum, strict=True)
            rewires = tuple(r._replace(momentum=u.reshape(-1)[r.grow]) for r, u in pairs)
        after = sum(
            w.nnz + len(r.grow) - len(r.drop) for w, r in zip(weights, rewires, strict=True)
        )
        missing = (*state.missing, state.baseline - after)
        return rewires, State(*state[:2], steer(state.adjustment, missing), missing)


def accumulate(
    momentum: np.ndarray, grad: LayerGrad | np.ndarray, mu: float, new: float = 1.0
) -> None:
    """``u <- mu u + new * gradient`` at every position of a layer; a block of rows at a time."""
    rows = max(1, BLOCK_ELEMENTS // max(1, momentum.shape[1]))
    for first in range(0, len(momentum), rows):
        part = momentum[first : first + rows]
        here = first, first + len(part)
        block = grad.block(*here) if hasattr(grad, "block") else grad[slice(*here)]
        part *= mu
        part += block if new == 1 else new * block


def shares(weights: Weights, momenta: Momenta) -> list[float]:
    """v: each layer's mean ``|u|`` over its connections, of the sum of these means (or all 0)."""
    pairs = zip(weights, momenta, strict=True)
    active = [u.reshape(-1)[csr.flat(csr.check(w, "SNFS"))] for w, u in pairs]
    means = [float(np.mean(np.abs(u), dtype=np.float64)) if len(u) else 0.0 for u in active]
    return [mean / (sum(means) or 1.0) for mean in means]


def redistribute(v: Sequence[float], removed: Sequence[int], room: Sequence[int]) -> np.ndarray:
    """How many each layer grows, by its share v; as many as were removed, within what is free.

    Examples
    --------
    >>> redistribute([0.75, 0.25], [5, 10], [35, 90]), redistribute([0.9, 0.1], [2, 10], [4, 90])
    (array([11,  4]), array([4, 8]))
    """
    if not len(v):
        return np.zeros(0, np.int64)
    total, willing = sum(removed), sum(n for n, share in zip(room, v, strict=True) if share > 0)
    counts = apportion(v, min(total, willing), room)
    others = [n if share == 0 else 0 for n, share in zip(removed, v, strict=True)]
    return counts + apportion(others, max(0, total - willing), room)


def rewire(
    weights: Weights, momenta: Momenta, removed: Sequence[int], share: bool = True
) -> tuple[Rewire, ...]:
    """One event on a network: prune `removed` connections of each layer, grow as many in all.

    With `share` False each layer grows as many as it lost. A connection just pruned may be chosen;
    it is then left as it was and in neither list.
    """
    drops = [smallest(np.abs(w.data), n) for w, n in zip(weights, removed, strict=True)]
    room = [math.prod(w.shape) - w.nnz + n for w, n in zip(weights, removed, strict=True)]
    grown = redistribute(shares(weights, momenta), removed, room) if share else removed
    layers = zip(weights, momenta, drops, grown, strict=True)
    return tuple(_kept(w, drop, largest_absent(w, u, int(n), drop)) for w, u, drop, n in layers)


def rewire_as_code(
    weights: Weights, momenta: Momenta, fraction: float, adjustment: float | None = 0.0
) -> tuple[Rewire, ...]:
    """One event as in the authors' code; with `adjustment` None each layer regrows its own."""
    sizes, nnz = [math.prod(w.shape) for w in weights], [w.nnz for w in weights]
    v = shares(weights, momenta)
    removed = prune_counts([0.0] * len(v) if adjustment is None else v, nnz, sizes, fraction)
    pairs = zip(weights, removed, strict=True)  # where nothing is to go, mask := (w != 0)
    drops = [smallest(np.abs(w.data), n) if n else np.flatnonzero(w.data == 0) for w, n in pairs]
    grown = [float(len(drop)) for drop in drops]
    if adjustment is not None:
        room = [size - n + r for size, n, r in zip(sizes, nnz, removed, strict=True)]
        grown, _ = redistribute_as_code(v, sum(removed) + adjustment, room)
    layers = zip(weights, momenta, drops, grown, strict=True)
    return tuple(_kept(w, drop, _top(w, u, math.floor(q), drop)) for w, u, drop, q in layers)


def prune_counts(
    v: Sequence[float], nnz: Sequence[int], sizes: Sequence[int], fraction: float
) -> list[int]:
    """The code's r, ``ceil(p nnz)``; p is at most the sparsity where that is < 0.2 and v > 1/L."""
    counts = []
    for share, n, size in zip(v, nnz, sizes, strict=True):
        sparsity = (size - n) / size
        crowded = sparsity < CROWDED and share > 0 and 1 / len(v) / share < 1
        counts.append(math.ceil((min(sparsity, fraction) if crowded else fraction) * n))
    return counts


def redistribute_as_code(
    v: Sequence[float], total: float, room: Sequence[int]
) -> tuple[list[float], int]:
    """The code's q, to be rounded down, and the number of sweeps over the layers it took.

    What exceeds 99 % of a layer's room is spread evenly over all layers, the full ones too, and the
    next sweep begins.
    """
    q, residual, sweeps = [float(math.ceil(share * total)) for share in v], 1.0, 0
    caps, spread = [NEARLY_FULL * n for n in room], 0.0
    while residual > 0 and sweeps < SWEEPS and q:
        residual, sweeps = 0.0, sweeps + 1
        for k, cap in enumerate(caps):
            q[k] += spread
            if q[k] > cap:
                residual, q[k] = residual + (q[k] - cap), cap
        spread = residual / len(q)
    return q, sweeps


def steer(adjustment: float, missing: Sequence[int]) -> float:
    """The code's adj: what the next event grows more, after events that left so many missing."""
    return 0.25 * adjustment + 0.75 * missing[-1] + sum(missing) / len(missing)


def _top(weight, momentum, n, drop):
    """As the code: rank all positions, connections as 0; those among the first are no growth."""
    scores, kept = np.abs(momentum).reshape(-1), csr.positions_without(weight, drop)
    scores[kept] = 0
    chosen = largest(scores, min(max(0, n), len(scores)))
    return chosen[~meet(chosen, kept)[0]]


def _kept(weight, drop, grow):
    """Without what was both dropped and chosen."""
    drop, grow = base.keep_regrown(weight, drop, grow)
    return Rewire(drop, grow, np.zeros(len(grow), weight.dtype))
