"""What a sparse-training method is.

A method is a frozen dataclass of hyper-parameters named as in its paper. The training loop calls
`bind` once, `init` once, then `observe` at every step and, where `due`, `rewire`. It never touches
a weight: `rewire` returns what should change, and the loop applies it.

Steps count from 1. An event at step t uses the gradient of batch t; with `replaces_update` it takes
the place of the optimizer's step, otherwise it follows it.
"""

from collections.abc import Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from sparse_ref.csr import Rewire
from sparse_ref.layers import LayerGrad
from sparse_ref.network import Network
from sparse_ref.schedules import Schedule, as_schedule


class Run(NamedTuple):
    """How long a training is: what options left open are filled in from."""

    steps_per_epoch: int
    steps: int  # in all


class Method:
    """Defaults of a method that keeps no state and never rewires."""

    replaces_update: bool = False  # True: an event takes the place of the optimizer's step

    def bind(self, run: Run) -> "Method":
        """The method with options that depend on the length of the training filled in."""
        return self

    def init(self, net: Network, rng: np.random.Generator) -> Any:
        """The method's state before the first step."""
        return None

    def observe(self, grads: Sequence[LayerGrad], state: Any) -> Any:
        """The state after seeing the gradients of one batch (of the sparse layers)."""
        return state

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


def keep(dtype: np.dtype) -> Rewire:
    """The change that changes nothing."""
    none = np.empty(0, np.int64)
    return Rewire(none, none, np.empty(0, dtype))


def count(fraction: float, nnz: int) -> int:
    """``floor(fraction * nnz)`` in float64, within 0 ... nnz: how many a drop-and-grow event drops.

    Examples
    --------
    >>> count(0.3, 7), count(0.29, 100)
    (2, 28)
    """
    return min(nnz, int(fraction * nnz))


def fraction_at(who: str, drop_fraction: float | Schedule, step: int) -> float:
    """The drop fraction at a step; refused if a schedule leaves [0, 1]."""
    fraction = as_schedule(drop_fraction)(step)
    if not 0 <= fraction <= 1:
        raise ValueError(f"{who}: drop_fraction must be in [0, 1], got {fraction} at step {step}")
    return fraction


def check_fraction(who: str, fraction: Any) -> None:
    """Refuse a constant drop fraction outside [0, 1]; `fraction_at` checks a schedule's values."""
    if isinstance(fraction, Real) and not 0 <= float(fraction) <= 1:
        raise ValueError(f"{who}: drop_fraction must be in [0, 1], got {fraction}")
    if not isinstance(fraction, Real) and not callable(fraction):
        raise TypeError(
            f"{who}: drop_fraction must be a number or a schedule, got {type(fraction).__name__}"
        )


def check_steps(who: str, **steps: int | None) -> None:
    """Refuse intervals that are not whole positive numbers of steps."""
    for name, value in steps.items():
        if not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"{who}: {name} must be a positive whole number of steps, got {value}")
