"""ITOP: dynamic training that goes on long enough to have tried most positions; how many it tried.

References
----------
Liu, Yin, Mocanu, Pechenizkiy (2021), "Do We Actually Need Dense Over-Parameterization? In-Time
Over-Parameterization in Sparse Training", ICML. Code, ``sparselearning/core.py`` and ``main.py``:
Shiweiliuiiiiiii/In-Time-Over-Parameterization.

Departures
----------
* ITOP is no rule of its own but SET or RigL with events far apart and a long training, so the
  smallest ``|w|`` go, ``floor(f nnz)`` of them, and as many grow. The code prunes everything up to
  the threshold that ``ceil(f nnz)`` define, ties and stored zeros too (`threshold_prune`,
  ``rounding="ceil"``), and lets every free position grow with a probability (`bernoulli_growth`),
  which keeps the number of connections in expectation only. All three are the convention ``itop``.
* Under gradient growth the code may choose connections where too few gradients are not zero; here
  the lowest free positions grow instead, and the number is exact.
* The code also rewires at the last step, if it falls on one; here that rests. `every` is 100 as the
  code's default; its README has 1500 (random) and 4000 (gradient) for CIFAR.
* Left out: growth by momentum, which in the code can only choose what was just dropped, since
  buffers are masked at every step; its other ways to prune.
* Only the code was read, not the paper.

Memory: O(positions ever connected) for ``random_unfired`` and for R_s, O(connections) otherwise,
and for gradient growth a few blocks of rows. No absent position is ever listed.
"""

import math
from collections.abc import Sequence
from dataclasses import InitVar, dataclass, replace
from typing import ClassVar

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr
from sparse_ref.csr import Rewire
from sparse_ref.layers import LayerGrad
from sparse_ref.methods import base
from sparse_ref.methods.base import Method, Run, conventional
from sparse_ref.network import Network
from sparse_ref.schedules import Cosine, Every, Schedule
from sparse_ref.selection import drop_threshold, largest_absent, meet, random_absent, smallest
from sparse_ref.topology.exploration import Visited, explored, positions

GROWTHS = ("random", "gradient", "random_unfired")
FLOOR = 0.005  # η_min of the drop fraction's cosine


@conventional
@dataclass(frozen=True)
class ITOP(Method):
    """In-time over-parameterization; its state is the positions ever connected, layer by layer.

    Parameters
    ----------
    drop_fraction : float or schedule
        At the first step, falling to 0.005 at the last along a cosine; or any schedule.
    every : int, steps
        ΔT.
    stop : int, steps, optional
        No event from this step on; by default the last step, so that events never end.
    growth : str
        ``random``; ``gradient``, the largest, of the batch just trained on; or ``random_unfired``,
        positions never connected first.
    rounding : str
        Of the number dropped, see `methods.base.count`.
    threshold_prune, bernoulli_growth : bool
        See the module and `rewire_layer`.
    convention : str
        ``paper``; or ``itop``, the authors' code.
    """

    drop_fraction: float | Schedule = 0.5
    every: int = 100
    stop: int | None = None
    growth: str = "random"
    rounding: str = "floor"
    threshold_prune: bool = False
    bernoulli_growth: bool = False
    convention: InitVar[str] = "paper"

    regrow = "keep"
    conventions: ClassVar = {
        "paper": {},
        "itop": {"rounding": "ceil", "threshold_prune": True, "bernoulli_growth": True},
    }

    def __post_init__(self, convention: str) -> None:
        base.check_fraction("ITOP", self.drop_fraction)
        base.check_steps("ITOP", every=self.every)
        base.check_given_steps("ITOP", stop=self.stop)
        base.check_name("ITOP", "growth", self.growth, GROWTHS)
        base.check_name("ITOP", "rounding", self.rounding, list(base.ROUNDINGS))

    @property
    def conserves(self) -> str:
        """Random growth with a probability has no fixed number."""
        return "nothing" if self.bernoulli_growth and self.growth != "gradient" else "layer"

    @property
    def rests_at_zero(self) -> bool:
        """The threshold takes stored zeros along at any fraction."""
        return not self.threshold_prune

    def bind(self, run: Run) -> "ITOP":
        """Fill in `stop` and the cosine over the whole training."""
        bound = replace(self, stop=self.stop or run.steps)
        if callable(self.drop_fraction):
            return bound
        cosine = Cosine(self.drop_fraction, run.steps, floor=min(FLOOR, self.drop_fraction))
        return replace(bound, drop_fraction=cosine)

    def init(self, net: Network, rng: np.random.Generator) -> Visited:
        """The connections of the beginning."""
        return positions([layer.weight for layer in net.sparse_layers])

    def due(self, step: int) -> bool:
        """At multiples of `every` before `stop`."""
        return Every(self.every, stop=self.stop).due(step)

    def rewire(
        self,
        net: Network,
        grads: Sequence[LayerGrad],
        state: Visited,
        step: int,
        rng: np.random.Generator,
    ) -> tuple[tuple[Rewire, ...], Visited]:
        """Each layer by itself, from its own stream."""
        fraction = base.fraction_at("ITOP", self.drop_fraction, step)
        weights = [layer.weight for layer in net.sparse_layers]
        layers = zip(weights, grads, state, rng.spawn(len(weights)), strict=True)
        rewires = tuple(
            rewire_layer(
                weight,
                base.count(fraction, weight.nnz, self.rounding),
                stream,
                growth=self.growth,
                grad=grad,
                visited=visited,
                threshold_prune=self.threshold_prune,
                bernoulli_growth=self.bernoulli_growth,
            )
            for weight, grad, visited, stream in layers
        )
        return rewires, explored(state, [rewire.grow for rewire in rewires])


def rewire_layer(
    weight: csr_array,
    n_drop: int,
    rng: np.random.Generator,
    *,
    growth: str = "random",
    grad: LayerGrad | np.ndarray | None = None,
    visited: np.ndarray | None = None,
    threshold_prune: bool = False,
    bernoulli_growth: bool = False,
) -> Rewire:
    """One event on one layer: prune, grow as many, and keep what was pruned and chosen again.

    Parameters
    ----------
    weight : (n_out, n_in) csr_array
    n_drop : int
        0 ... nnz; see `prune`.
    rng : Generator
    growth : str
        See `ITOP`.
    grad : (n_out, n_in) array or LayerGrad, optional
        For ``gradient``.
    visited : (n,) int64, optional
        For ``random_unfired``: flat positions ever connected, with those that are, ascending.
    threshold_prune : bool
        See `prune`.
    bernoulli_growth : bool
        Each free position grows with the probability that makes the number right in expectation.
        Under ``random_unfired`` this holds for what the positions never connected are too few for.
    """
    base.check_name("ITOP", "growth", growth, GROWTHS)
    drop = prune(csr.check(weight, "ITOP"), n_drop, threshold_prune)
    if growth == "gradient":
        grow = largest_absent(weight, grad, len(drop), drop)
    elif growth == "random":
        grow = _drawn(weight, len(drop), rng, bernoulli_growth, drop)
    else:
        grow = _unfired_first(weight, len(drop), rng, bernoulli_growth, drop, visited)
    drop, grow = base.keep_regrown(weight, drop, grow)
    return Rewire(drop, grow, np.zeros(len(grow), weight.dtype))


def prune(weight: csr_array, n: int, threshold: bool = False) -> np.ndarray:
    """Slots of the `n` smallest ``|w|``, ascending.

    With `threshold` all slots up to the n-th smallest ``|w|``, however many that are; for n = 0 all
    stored zeros.

    Examples
    --------
    >>> w = csr.from_dense(np.array([[0.5, 0.2, 0.2, 0.2, 0.0, 0.0, 0.0, -0.3]]))
    >>> prune(w, 2), prune(w, 2, threshold=True)
    (array([2, 3]), array([1, 2, 3]))
    """
    sizes = np.abs(weight.data)
    return drop_threshold(sizes, n) if threshold else smallest(sizes, n)


def _drawn(weight, n, rng, bernoulli, freed=None, taken=None):
    """`n` positions that are free, or about as many, each drawn with the same probability."""
    if bernoulli:
        others = [len(slots) if slots is not None else 0 for slots in (freed, taken)]
        free = math.prod(weight.shape) - weight.nnz + others[0] - others[1]
        n = int(rng.binomial(free, n / free)) if free else 0
    return random_absent(weight, n, rng, freed, taken)


def _unfired_first(weight, n, rng, bernoulli, drop, visited):
    """Positions never connected; if they are too few, all of them and others that are free."""
    if visited is None:
        raise ValueError("ITOP: random_unfired growth needs the positions visited, got None")
    left = visited[~meet(visited, csr.flat(weight))[0]]  # visited, no longer connected
    unfired = math.prod(weight.shape) - weight.nnz - len(left)
    first = random_absent(weight, min(n, unfired), rng, taken=left)
    if n <= unfired:
        return first
    return np.union1d(first, _drawn(weight, n - unfired, rng, bernoulli, drop, first))
