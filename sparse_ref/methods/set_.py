"""SET: drop the weakest connections of every layer, grow as many at random.

References
----------
Mocanu et al. (2018), "Scalable training of artificial neural networks with adaptive sparse
connectivity inspired by network science", Nature Communications 9:2383, algorithm 1. Liu2020,
section 2.2, for the magnitude rule. The conventions are those of the codes in
`methods.conventions`.

Departures
----------
* Weakest means smallest ``|w|`` of the layer, ``floor(ζ nnz)`` of them, as in Liu2020 and most
  later papers; Mocanu2018 takes the fraction ζ of the positive and of the negative weights apart
  (convention ``mocanu2018``; a stored zero, of which the paper does not speak, counts as positive).
* Every sparse layer evolves, the output layer too, as in the authors' sparse code.
* A fraction of 0 changes nothing; the rank thresholds of the authors' codes would still drop some.
* The authors' codes fail on an empty layer; here it stays empty.
* ``set-keras`` keeps the output layer dense: leave it so when the network is built.
* ``rigl-tf1`` ranks without the noise and the absent positions of that code (see `RigL`), and
  neither it nor ``jaxpruner`` brings its schedule along: give `every`, `stop`, `drop_fraction`.

Memory: O(connections). Growth draws ranks among the absent positions and never lists them.
"""

import math
from collections.abc import Sequence
from dataclasses import InitVar, dataclass, replace
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr
from sparse_ref.csr import Rewire
from sparse_ref.layers import LayerGrad
from sparse_ref.methods.base import (
    Method,
    Run,
    check_fraction,
    check_given_steps,
    check_name,
    conventional,
    fraction_at,
    keep,
    keep_regrown,
)
from sparse_ref.methods.set_codes import check_rules, weakest
from sparse_ref.network import Network
from sparse_ref.schedules import Every, Schedule
from sparse_ref.selection import random_absent, smallest

GROW_INITS = ("normal", "zero", "he_uniform", "xavier_uniform")
REGROW = ("reinit", "keep", "forbid")


@conventional
@dataclass(frozen=True)
class SET(Method):
    """Sparse evolutionary training.

    Parameters
    ----------
    drop_fraction : float or schedule
        ζ, fraction of a layer's connections replaced per event.
    every : int, steps, optional
        Between events; one epoch if omitted, as in the paper.
    stop : int, steps, optional
        No event from this step on; by default the last step, so the last epoch ends without one.
    grow_std : float
        With `grow_init` ``normal``: grown weights are N(0, grow_std²); 0.1 in the authors' sparse
        code, 0 starts them at zero.
    prune, rounding, ties
        Which drop: see `set_codes.weakest`.
    grow_init : str
        Grown weights: ``normal``; ``zero``; ``he_uniform``, U(±sqrt(6 / n_in));
        ``xavier_uniform``, U(±sqrt(6 / (n_in + n_out))).
    same_step_regrow : str
        A position just dropped may be drawn again. ``reinit``: it is then a new connection, fresh
        weight and no momentum; ``keep``: it stays as it was; ``forbid``: it is not drawn, and where
        fewer positions are free than would drop, only the weakest so many do.
    evolve_output_layer : bool
        Rewire the last layer too, if it is sparse.
    rests_at_end : bool
        Without `stop`: no event in the last step. Otherwise the last epoch evolves too.
    resets_optimizer : bool
        After an event the optimizer starts anew.
    replaces_update : bool
        An event takes the place of an update; otherwise it follows it.
    convention : str
        A public code's rules (`conventions`); options given beside it overrule them.

    Notes
    -----
    The defaults are the paper's, whose learning rate is constant. Under a falling rate what grows
    late is never trained, and 0.1 may be large beside the weights around it: let `drop_fraction`
    fall with the rate, or set `stop` to three quarters of the training.
    """

    drop_fraction: float | Schedule = 0.3
    every: int | None = None
    stop: int | None = None
    grow_std: float = 0.1
    prune: str = "magnitude"
    rounding: str = "floor"
    ties: str = "keep_low_index"
    grow_init: str = "normal"
    same_step_regrow: str = "reinit"
    evolve_output_layer: bool = True
    rests_at_end: bool = True
    resets_optimizer: bool = False
    replaces_update: bool = False
    convention: InitVar[str] = "paper"

    conventions: ClassVar = {
        "paper": {},
        "mocanu2018": {"prune": "signwise_paper"},
        "set-dcmocanu": {"prune": "mocanu_code"},
        "set-keras": {
            "prune": "keras",
            "grow_init": "zero",
            "rests_at_end": False,
            "resets_optimizer": True,
        },
        "set-selimac": {
            "prune": "mocanu_code",
            "grow_init": "he_uniform",
            "evolve_output_layer": False,
        },
        "rigl-tf1": {"rounding": "floor_f32", "grow_init": "zero", "same_step_regrow": "keep"},
        "jaxpruner": {
            "rounding": "round_half_even",
            "grow_init": "zero",
            "same_step_regrow": "keep",
            "replaces_update": True,
        },
    }

    def __post_init__(self, convention: str) -> None:
        check_fraction("SET", self.drop_fraction)
        check_given_steps("SET", every=self.every, stop=self.stop)
        if not isinstance(self.grow_std, Real):
            raise TypeError(f"SET: grow_std must be a number, got {type(self.grow_std).__name__}")
        if not 0 <= self.grow_std < np.inf:
            raise ValueError(f"SET: grow_std must be at least 0, got {self.grow_std}")
        check_rules(self.prune, self.rounding, self.ties)
        _check_growth(self.grow_init, self.same_step_regrow)
        for name in ("evolve_output_layer", "rests_at_end", "resets_optimizer", "replaces_update"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"SET: {name} must be True or False, got {getattr(self, name)!r}")

    @property
    def starts(self) -> float | None:
        """0 where grown weights are, else None: they are drawn."""
        zero = self.grow_init == "zero" or (self.grow_init == "normal" and self.grow_std == 0)
        return 0.0 if zero else None

    @property
    def regrow(self) -> str:
        """As the option says."""
        return self.same_step_regrow

    def bind(self, run: Run) -> "SET":
        """Fill in `every` and `stop`."""
        every = self.every or run.steps_per_epoch
        end = run.steps if self.rests_at_end else run.steps + 1
        return replace(self, every=every, stop=self.stop or end)

    def due(self, step: int) -> bool:
        """At multiples of `every` before `stop`."""
        if self.every is None:
            raise ValueError("SET: every must be known before the first step, got None; see `bind`")
        return Every(self.every, stop=self.stop).due(step)

    def rewire(
        self,
        net: Network,
        grads: Sequence[LayerGrad],
        state: Any,
        step: int,
        rng: np.random.Generator,
    ) -> tuple[tuple[Rewire, ...], Any]:
        """Each layer by itself, from its own stream."""
        fraction = fraction_at("SET", self.drop_fraction, step)
        layers = net.sparse_layers
        rests = None if self.evolve_output_layer else net.weighted[-1]
        rewires = (
            keep(layer.weight.dtype)
            if layer is rests or fraction == 0
            else self._rewired(layer.weight, fraction, stream)
            for layer, stream in zip(layers, rng.spawn(len(layers)), strict=True)
        )
        return tuple(rewires), state

    def _rewired(self, weight, fraction, rng):
        drop = weakest(weight, fraction, self.prune, self.rounding, self.ties, rng)
        growth = self.grow_std, self.grow_init, self.same_step_regrow
        return regrow(weight, drop, rng, *growth, self.ties)


def rewire_layer(
    weight: csr_array,
    n_drop: int,
    rng: np.random.Generator,
    grow_std: float = 0.1,
    *,
    ties: str = "keep_low_index",
    grow_init: str = "normal",
    same_step_regrow: str = "reinit",
) -> Rewire:
    """One SET event on one layer (Mocanu2018, algorithm 1, lines 6-10), by magnitude.

    Parameters
    ----------
    weight : (n_out, n_in) csr_array
    n_drop : int
        0 ... nnz.
    rng : Generator
    grow_std : float
        Standard deviation of grown weights.
    ties, grow_init, same_step_regrow : str
        See `SET`.

    Notes
    -----
    A position just dropped may be drawn again; it is then a new connection: fresh weight, no
    momentum.
    """
    csr.check(weight, "SET")
    drop = smallest(np.abs(weight.data), n_drop, ties, rng)  # remove a fraction ζ of the weakest
    return regrow(weight, drop, rng, grow_std, grow_init, same_step_regrow, ties)  # add as many


def regrow(
    weight: csr_array,
    drop: np.ndarray,
    rng: np.random.Generator,
    grow_std: float = 0.1,
    grow_init: str = "normal",
    same_step_regrow: str = "reinit",
    ties: str = "keep_low_index",
) -> Rewire:
    """Grow as many connections at random as `drop` names, see `SET`; every subset equally likely.

    Parameters
    ----------
    weight : (n_out, n_in) csr_array
    drop : (n_drop,) int64 slots, ascending
    rng : Generator
    grow_std, grow_init, same_step_regrow
        See `SET`.
    ties : str
        Which of equals stay where ``forbid`` lets fewer drop.
    """
    _check_growth(grow_init, same_step_regrow)
    free = math.prod(weight.shape) - weight.nnz
    if same_step_regrow == "forbid" and len(drop) > free:
        drop = drop[smallest(np.abs(weight.data[drop]), free, ties, rng)]
    freed = None if same_step_regrow == "forbid" else drop
    grow = random_absent(weight, len(drop), rng, freed=freed)
    if same_step_regrow == "keep":
        drop, grow = keep_regrown(weight, drop, grow)
    return Rewire(drop, grow, _values(weight, len(grow), rng, grow_std, grow_init))


def _values(weight, n, rng, grow_std, grow_init):
    n_out, n_in = weight.shape
    if grow_init == "zero":
        return np.zeros(n, weight.dtype)
    if grow_init == "normal":
        return (grow_std * rng.standard_normal(n)).astype(weight.dtype)
    bound = math.sqrt(6 / (n_in if grow_init == "he_uniform" else n_in + n_out))
    return rng.uniform(-bound, bound, n).astype(weight.dtype)


def _check_growth(grow_init, same_step_regrow):
    check_name("SET", "grow_init", grow_init, GROW_INITS)
    check_name("SET", "same_step_regrow", same_step_regrow, REGROW)
