"""Warmup: the first steps of another schedule, raised gradually from 0."""

from dataclasses import dataclass

from sparse_ref.schedules.base import Schedule, as_schedule
from sparse_ref.schedules.checks import check_positive_integer


@dataclass(frozen=True)
class Warmup:
    """A linear ramp from 0 on another schedule: `schedule(t) * t / steps` up to step `steps`.

    Step 1 of n has 1/n of the value, step n and all later ones the value itself.

    Reference
    ---------
    Goyal et al. 2017, "Accurate, large minibatch SGD", section 2.2 (gradual warmup), from 0.

    Examples
    --------
    >>> from sparse_ref.schedules import Constant
    >>> [Warmup(Constant(0.4), 4)(step) for step in (0, 1, 2, 4, 9)]
    [0.0, 0.1, 0.2, 0.4, 0.4]
    """

    schedule: Schedule
    steps: int  # >= 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "schedule", as_schedule(self.schedule))
        check_positive_integer(self, "steps")

    def __call__(self, step: int) -> float:
        """Value at `step`."""
        value = self.schedule(step)
        return value * max(step, 0) / self.steps if step < self.steps else value
