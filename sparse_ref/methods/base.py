"""What a sparse-training method is.

A method is a frozen dataclass of hyper-parameters named as in its paper. The training loop calls
`bind` once, `init` once, then `observe` at every step and, where `due`, `rewire`. It never touches
a weight: `rewire` returns what should change, and the loop applies it.

Steps count from 1. An event at step t uses the gradient of batch t; with `replaces_update` it takes
the place of the optimizer's step, otherwise it follows it.

What a method promises are its attributes (`scope`, `conserves`, `starts`, ...), and one suite of
tests holds every method to them. Where public codes differ from the paper and from each other, the
difference is an option, and a *convention* is a named bundle of options: ``RigL(convention=
"rigl-tf1")``. Options given beside it overrule the bundle.
"""

from collections.abc import Mapping, Sequence
from numbers import Rational
from typing import Any, ClassVar, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr
from sparse_ref.bundles import conventional
from sparse_ref.csr import Rewire
from sparse_ref.layers import LayerGrad
from sparse_ref.methods.base_checks import (
    check_fraction,
    check_given_steps,
    check_name,
    check_number,
    check_steps,
)
from sparse_ref.methods.base_counts import ROUNDINGS, count
from sparse_ref.network import Network
from sparse_ref.schedules import Schedule, as_schedule
from sparse_ref.selection import meet
from sparse_ref.shadow import Shadow

__all__ = [
    "ROUNDINGS",
    "Method",
    "Run",
    "check_fraction",
    "check_given_steps",
    "check_name",
    "check_number",
    "check_steps",
    "conventional",
    "count",
    "fraction_at",
    "keep",
    "keep_regrown",
]


class Run(NamedTuple):
    """How long a training is: what options left open are filled in from."""

    steps_per_epoch: int
    steps: int  # in all
    first: int = 0  # that are taken to have happened


class Method:
    """Defaults of a method that keeps no state and never rewires.

    Attributes
    ----------
    replaces_update : bool
        An event takes the place of the optimizer's step; otherwise it follows it.
    drifts : bool
        `drift` adds something to the weights at every update.
    resets_optimizer : bool
        After an event the optimizer starts anew, with empty buffers.
    rewires_at_start : bool
        An event, numbered 0, comes before the first step; it is handed no gradients.
    trains_weights, trains_biases : bool
        They are trained; otherwise they stay as they are.
    grows : bool
        An event adds connections; otherwise it only removes some.
    starts_complete : bool
        It is for layers that are built with every connection, and thins them out to a density that
        it has as an option.
    conventions : mapping
        Name -> options, by which a public code differs from the paper.
    """

    replaces_update: bool = False
    drifts: bool = False
    resets_optimizer: bool = False
    rewires_at_start: bool = False
    trains_weights: bool = True
    trains_biases: bool = True
    grows: bool = True
    starts_complete: bool = False
    conventions: ClassVar[Mapping[str, Mapping[str, Any]]] = {"paper": {}}

    @property
    def scope(self) -> str:
        """``layer``: each is rewired by itself, whatever the others hold; ``network``: together."""
        return "layer"

    @property
    def conserves(self) -> str:
        """Whose number of connections an event keeps to the last one.

        ``layer``: each layer's. ``network``: that of all together. ``nothing``: a code that keeps
        it in expectation, or about constant.
        """
        return "layer"

    @property
    def starts(self) -> float | None:
        """Weight of a grown connection; None where it is drawn or brought along."""
        return 0.0

    @property
    def regrow(self) -> str:
        """What becomes of a connection that is dropped and chosen again in the same event.

        ``keep``: it stays as it was. ``reinit``: it is a new one. ``forbid``: it is not chosen.
        """
        return "reinit"

    @property
    def dense_state(self) -> bool:
        """The definition itself asks for a number at every position, connected or not."""
        return False

    @property
    def rests_at_end(self) -> bool:
        """The last step does not rewire, since nothing would train what has grown."""
        return True

    @property
    def rests_at_zero(self) -> bool:
        """With a drop fraction of 0 an event changes nothing."""
        return True

    def bind(self, run: Run) -> "Method":
        """The method with options that depend on the length of the training filled in."""
        return self

    def init(self, net: Network, rng: np.random.Generator) -> Any:
        """The method's state before the first step."""
        return None

    def observe(self, grads: Sequence[LayerGrad], state: Any) -> Any:
        """The state after seeing the gradients of one batch (of the sparse layers)."""
        return state

    def reads_gradient(self, step: int) -> bool:
        """Whether step `step` looks at the gradient of absent connections.

        Where it does not, all activations of a step need not be held until its end. By default
        in events, and always where the method observes gradients or trains shadows.
        """
        own = ((self.observe, Method.observe), (self.shadows, Method.shadows))
        watches = any(getattr(hook, "__func__", None) is not plain for hook, plain in own)
        return watches or self.due(step)

    def due(self, step: int) -> bool:
        """Whether step `step` rewires."""
        return False

    def rewire(
        self,
        net: Network,
        grads: Sequence[LayerGrad],
        state: Any,
        step: int,
        rng: np.random.Generator,
    ) -> tuple[tuple[Rewire, ...], Any]:
        """One `Rewire` for each of ``net.sparse_layers``, and the state.

        Changes nothing; the generator is the event's own.
        """
        return tuple(keep(layer.weight.dtype) for layer in net.sparse_layers), state

    def follow(self, state: Any, sources: Sequence[np.ndarray]) -> Any:
        """The state after the event was applied: carry what is kept per connection."""
        return state

    def drift(
        self, net: Network, state: Any, rate: float, rng: np.random.Generator
    ) -> Sequence[np.ndarray]:
        """What the method itself adds to the weights at an update, beside the optimizer.

        Called where `drifts`, once for each update.

        Parameters
        ----------
        net : Network
            Before the update; not to be changed.
        state : Any
        rate : float
            Learning rate of the step.
        rng : Generator
            The step's own.

        Returns
        -------
        sequence of (nnz,)
            One for each of ``net.sparse_layers``.
        """
        raise NotImplementedError(f"{type(self).__name__}: drifts, but has no drift")

    def backward_only(self, state: Any) -> Sequence[np.ndarray] | None:
        """Slots, (n,) of each sparse layer, that are trained but left out of the forward pass."""
        return None

    def held(self, state: Any) -> Sequence[np.ndarray] | None:
        """Slots, (n,) of each sparse layer, ascending, that are used but never trained."""
        return None

    def shadows(self, state: Any) -> Sequence[Shadow] | None:
        """What the optimizer trains in the place of the sparse layers' weights, one a layer.

        After every update and every event a connection has the weight that its layer's shadow
        gives. When an event's new state has shadows no longer, connections bring what the shadow
        had for the optimizer and are trained themselves from then on.
        """
        return None


def keep(dtype: np.dtype) -> Rewire:
    """The change that changes nothing."""
    none = np.empty(0, np.int64)
    return Rewire(none, none, np.empty(0, dtype))


def keep_regrown(
    weight: csr_array, drop: np.ndarray, grow: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Slots and positions without what is in both: a connection chosen again stays as it was."""
    again, chosen_again = meet(csr.positions_of(weight, drop), grow)
    return drop[~again], grow[~chosen_again]


def fraction_at(who: str, drop_fraction: float | Schedule, step: int) -> float:
    """The drop fraction at a step, a `Fraction` as it is; refused if a schedule leaves [0, 1]."""
    exact = isinstance(drop_fraction, Rational)
    fraction: Any = drop_fraction if exact else as_schedule(drop_fraction)(step)
    if not 0 <= fraction <= 1:
        raise ValueError(f"{who}: drop_fraction must be in [0, 1], got {fraction} at step {step}")
    return fraction
