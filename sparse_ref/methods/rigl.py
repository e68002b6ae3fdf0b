"""RigL: drop the weakest connections of every layer, grow where the loss gradient is largest.

References
----------
Evci, Gale, Menick, Castro, Elsen (2020), "Rigging the Lottery: Making All Tickets Winners", ICML,
section 3 and algorithm 1. The conventions are those of the codes in `methods.conventions`.

Departures
----------
* The paper's ``k = f(t) (1 - s) N`` uses the nominal density; like the published codes we take the
  layer's own count, ``floor(f(t) nnz)``.
* Steps count from 1, so no event precedes the first update.
* "¾ of training" for `stop` is the paper's CIFAR setting (75k of 100k steps), not a rule it states.
  (Not verified against the paper's text; the authors' published flags agree.)
* An event counts as a step of every schedule, as in jaxpruner; in RigL's TensorFlow code the step
  counter rests, so its events are one batch further apart.
* A fraction of 0 changes nothing, also where a code would still move zeros.
* ``rigl-tf1`` has the cosine of its MNIST script; by its flags for ImageNet and CIFAR the fraction
  is constant. ``rigl-tf2`` lets the fraction follow the learning rate (here: constant, or a
  schedule as `drop_fraction`), and takes its gradient from a fixed validation batch.
* ``rigl-reproducibility`` keeps the momentum of a connection that is chosen again, and not its
  value; `regrow` has both or neither. ``rigl_codes`` has departures of its own.

Memory: O(connections) and a few blocks of rows of the dense gradient, 1 MB each in float32.
`grad_accumulation_n` keeps factors of so many batches, `tf1_noise_std` draws for every position.
"""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, replace
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr
from sparse_ref.csr import Rewire
from sparse_ref.layers import LayerGrad
from sparse_ref.methods import base
from sparse_ref.methods import rigl_codes as codes
from sparse_ref.methods import rigl_options as rules
from sparse_ref.methods.base import Method, Run, check_name, conventional, count, fraction_at
from sparse_ref.network import Network
from sparse_ref.schedules import Cosine, Every, Schedule
from sparse_ref.selection import drop_threshold, largest_absent, smallest

REGROW = ("keep", "reinit", "forbid")
CANDIDATES = ("allow", "forbid")


@conventional
@dataclass(frozen=True)
class RigL(Method):
    """Rigging the lottery.

    Parameters
    ----------
    drop_fraction : float or schedule
        α, the fraction replaced at first, falling to 0 at `stop` (`anneal`); or any schedule.
    every, stop : int, steps
        ΔT and T_end; `stop` is by default `until` of the training, three quarters.
    regrow, ties, phantom_keep, tf1_noise_std, grow_init, grow_scale, acc_scale
        See `rewire_layer`.
    start : int, steps, optional
        First event, where `anneal` begins; if omitted `every`, and 0.
    until, include_stop : float in (0, 1], bool
        See `stop`; an event may come at `stop` itself.
    first_step : int
        The number of the first batch, 1 or 0, for `every`, `start`, `stop` and `anneal`.
    anneal : str
        ``cosine``; ``tf1_cosine``: as long, but begun at 0 whatever `start`; or ``constant``.
    least_fraction : float
        Where the cosine ends, or `drop_fraction` if that is less.
    rounding : str
        How many: see `methods.base.count`.
    min_keep_one : bool
        Never drop a layer's last connection.
    grad_accumulation_n : int, at most `every`
        Rank by the mean gradient of so many batches.
    replaces_update : bool
        An event takes the place of an update; otherwise it follows it, with the gradient before it.
    convention : str
        A public code's rules (`conventions`); options given beside it overrule them.
    """

    drop_fraction: float | Schedule = 0.3
    every: int = 100
    stop: int | None = None
    regrow: str = "keep"
    start: int | None = None
    until: float = 0.75
    include_stop: bool = False
    first_step: int = 1
    anneal: str = "cosine"
    least_fraction: float = 0.0
    rounding: str = "floor"
    min_keep_one: bool = False
    ties: str = "keep_low_index"
    phantom_keep: bool = False
    tf1_noise_std: float = 0.0
    grow_init: str = "zeros"
    grow_scale: float = 1.0
    acc_scale: float = 0.0
    grad_accumulation_n: int = 1
    replaces_update: bool = True
    convention: InitVar[str] = "paper"

    conventions: ClassVar = rules.CONVENTIONS

    def __post_init__(self, convention: str) -> None:
        check_name("RigL", "regrow", self.regrow, REGROW)
        check_name("RigL", "grow_init", self.grow_init, codes.GROW_INITS)
        rules.check(self)

    @property
    def starts(self) -> float | None:
        """Weight of a grown connection, unless `grow_init` draws or computes it."""
        return 0.0 if self.grow_init == "zeros" else None

    @property
    def dense_state(self) -> bool:
        """The noise of TF1 is a number at every position."""
        return self.tf1_noise_std > 0

    @property
    def rests_at_end(self) -> bool:
        """Unless events go on to the last step and include it."""
        return not (self.include_stop and self.until == 1)

    def bind(self, run: Run) -> "RigL":
        """Fill in `stop` and the cosine that ends there."""
        stop, start = self.stop or max(1, int(self.until * run.steps)), self.start or 0
        bound = replace(self, stop=stop)
        if callable(self.drop_fraction) or self.anneal == "constant":
            return bound
        end, begin = (stop, start) if self.anneal == "cosine" else (stop - start, 0)
        floor = min(self.least_fraction, self.drop_fraction)
        cosine = Cosine(self.drop_fraction, end, begin, floor)
        return replace(bound, drop_fraction=cosine)

    def due(self, step: int) -> bool:
        """At multiples of `every`, counted from `start`, before `stop`."""
        end = None if self.stop is None else self.stop + self.include_stop
        return Every(self.every, self.start, end).due(step - 1 + self.first_step)

    def init(self, net: Network, rng: np.random.Generator) -> codes.Memory | None:
        """Nothing, but for the options that look back."""
        if self.grow_init == "initial_dist":
            return codes.Memory(tuple(la.weight.data.copy() for la in net.sparse_layers))
        return codes.Memory() if self.grad_accumulation_n > 1 else None

    def observe(self, grads: Sequence[LayerGrad], state: codes.Memory | None) -> Any:
        """Keep the factors of the last `grad_accumulation_n` batches."""
        if state is None or (n := self.grad_accumulation_n) == 1:
            return state
        return state._replace(batches=(*state.batches, grads)[-n:])

    def reads_gradient(self, step: int) -> bool:
        """In events; in all steps where several batches count."""
        watches = type(self).observe is not RigL.observe or self.grad_accumulation_n > 1
        return watches or self.due(step)

    def rewire(
        self,
        net: Network,
        grads: Sequence[LayerGrad],
        state: codes.Memory | None,
        step: int,
        rng: np.random.Generator,
    ) -> tuple[tuple[Rewire, ...], Any]:
        """Each layer by itself, from its own stream if it draws."""
        weights = [layer.weight for layer in net.sparse_layers]
        fraction = fraction_at("RigL", self.drop_fraction, step - 1 + self.first_step)
        if fraction == 0:
            return tuple(base.keep(weight.dtype) for weight in weights), state
        read = state.mean(grads) if state is not None else grads
        initial = state.initial if state is not None and state.initial else [None] * len(weights)
        layers = zip(weights, read, rng.spawn(len(weights)), initial, strict=True)
        options = {name: getattr(self, name) for name in rules.OPTIONS} | {"regrow": self.regrow}
        rewires = (
            rewire_layer(w, g, self._count(fraction, w.nnz), rng=stream, initial=first, **options)
            for w, g, stream, first in layers
        )
        return tuple(rewires), state

    def _count(self, fraction, nnz):
        n_drop = count(fraction, nnz, self.rounding)
        return min(n_drop, max(0, nnz - 1)) if self.min_keep_one else n_drop


def rewire_layer(
    weight: csr_array,
    grad: LayerGrad | np.ndarray,
    n_drop: int,
    *,
    regrow: str = "keep",
    ties: str = "keep_low_index",
    phantom_keep: bool = False,
    tf1_noise_std: float = 0.0,
    grow_init: str = "zeros",
    grow_scale: float = 1.0,
    acc_scale: float = 0.0,
    initial: np.ndarray | None = None,
    rng: np.random.Generator | None = None,
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
        list of the result. ``reinit`` makes it a new connection. ``forbid`` does not let it be
        chosen; where fewer than k positions are free, k is cut to them.
    ties, phantom_keep, tf1_noise_std
        See `choose`.
    grow_init, grow_scale, initial
        Weights of grown connections: see `rigl_codes.starting_values`.
    acc_scale : float
        Their momentum is so many times the gradient.
    rng : Generator, optional
        For what is drawn; the defaults draw nothing.
    """
    check_name("RigL", "regrow", regrow, REGROW)
    candidates = "forbid" if regrow == "forbid" else "allow"
    ranking: dict[str, Any] = {"phantom_keep": phantom_keep, "tf1_noise_std": tf1_noise_std}
    drop, grow = choose(weight, grad, n_drop, candidates, ties=ties, rng=rng, **ranking)
    if regrow == "keep":
        drop, grow = base.keep_regrown(weight, drop, grow)
    values = codes.starting_values(weight, grad, grow, grow_init, grow_scale, rng, initial)
    momentum = acc_scale * codes.gradient_at(grad, grow) if acc_scale else None
    return Rewire(drop, grow, values, momentum)


def choose(
    weight: csr_array,
    grad: LayerGrad | np.ndarray,
    n_drop: int,
    candidates: str = "allow",
    *,
    ties: str = "keep_low_index",
    phantom_keep: bool = False,
    tf1_noise_std: float = 0.0,
    rng: np.random.Generator | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The paper's two sets, before any rule on what they have in common.

    Parameters
    ----------
    weight, grad, n_drop
        As `rewire_layer`.
    candidates : str
        ``allow`` or ``forbid`` growing at a position dropped in this event.
    ties : str
        Which of equal magnitudes stay: see `selection.smallest`. ``drop_all``: none, so that more
        than k may drop and grow (`selection.drop_threshold`).
    phantom_keep, tf1_noise_std
        Rank absent positions too, as 0, or with normal noise: see `rigl_codes.choose_of_all`.
    rng : Generator, optional
        For ties at random and for noise.

    Returns
    -------
    drop : (k,) int64 slots, ascending
    grow : (k,) int64 flat positions, ascending
    """
    check_name("RigL", "candidates", candidates, CANDIDATES)
    csr.check(weight, "RigL")
    rules.check_ranking(candidates, ties, phantom_keep, tf1_noise_std)
    if candidates == "forbid":
        n_drop = min(n_drop, weight.shape[0] * weight.shape[1] - weight.nnz)
    if phantom_keep or tf1_noise_std:
        return codes.choose_of_all(weight, grad, n_drop, tf1_noise_std, rng)
    scores = np.abs(weight.data)
    if ties == "drop_all":
        drop = drop_threshold(scores, n_drop)
    else:
        drop = smallest(scores, n_drop, ties, rng)  # I_drop = ArgTopK(-|θ|, k)
    freed = drop if candidates == "allow" else None
    grow = largest_absent(weight, grad, len(drop), freed)  # I_grow = ArgTopK(|∇L|, k), ∉ θ \ I_drop
    return drop, grow


def margins(
    weight: csr_array,
    grad: LayerGrad | np.ndarray,
    n_drop: int,
    candidates: str = "allow",
    ties: str = "keep_low_index",
) -> codes.Margins:
    """The sets of `choose` as positions, and how far the closest decisions were from a tie.

    Another decision of another implementation is a fault where its rounding does not explain it.
    """
    drop, grow = choose(weight, grad, n_drop, candidates, ties=ties)
    return codes.margins_of(weight, grad, drop, grow, candidates)
