"""What a schedule is: a function of the step; a number stands for a constant one."""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

from sparse_ref.schedules.checks import check_finite

Schedule = Callable[[int], float]


@dataclass(frozen=True)
class Constant:
    """The same `value` at every step.

    Examples
    --------
    >>> Constant(0.3)(17)
    0.3
    """

    value: float  # finite

    def __post_init__(self) -> None:
        check_finite(self, "value")

    def __call__(self, step: int) -> float:
        """Value at `step`."""
        return float(self.value)


def as_schedule(value: float | Schedule) -> Schedule:
    """Make a schedule of a number (`Constant`); a function of the step is returned as it is.

    Raises
    ------
    TypeError
        For anything else, also for a class such as `Cosine` without its parameters.

    Examples
    --------
    >>> as_schedule(0.3)
    Constant(value=0.3)
    """
    if isinstance(value, Real) and not isinstance(value, bool):
        return Constant(float(value))
    if callable(value) and not isinstance(value, type):
        return value
    raise TypeError(f"as_schedule: value must be a number or a function of the step, got {value!r}")
