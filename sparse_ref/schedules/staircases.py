"""Staircases: constant between the steps at which the value is multiplied by a factor."""

from dataclasses import dataclass
from itertools import pairwise

from sparse_ref.elementary import power
from sparse_ref.schedules.checks import check_factor, check_finite, check_positive_integer


@dataclass(frozen=True)
class Exponential:
    """A staircase: `initial * decay ** m` where m counts the completed periods of `every` steps.

    Steps 1 ... every have m = 0, the next `every` steps have m = 1: `m = max(t - 1, 0) // every`.
    With `every` the batches of an epoch, the value changes with the first batch of an epoch, as
    when other libraries step such a schedule once an epoch.

    Examples
    --------
    >>> [Exponential(0.8, 0.5, every=10)(step) for step in (0, 1, 10, 11, 21)]
    [0.8, 0.8, 0.8, 0.4, 0.2]
    """

    initial: float
    decay: float  # factor per period, 0 < decay <= 1
    every: int = 1  # steps, >= 1

    def __post_init__(self) -> None:
        check_finite(self, "initial")
        check_factor(self, "decay")
        check_positive_integer(self, "every")

    def __call__(self, step: int) -> float:
        """Value at `step`."""
        return float(self.initial) * power(self.decay, int(max(step - 1, 0) // self.every))


@dataclass(frozen=True)
class Steps:
    """Piecewise constant: times `factor` after each of `boundaries`.

    A boundary is the last step with the old value: as steps count from 1, `boundaries=(80, 120)`
    gives 80 steps at `initial`, 40 at `initial * factor`, and the rest at `initial * factor ** 2`.

    Examples
    --------
    >>> [Steps(0.8, (80, 120), 0.5)(step) for step in (80, 81, 120, 121)]
    [0.8, 0.4, 0.4, 0.2]
    """

    initial: float
    boundaries: tuple[int, ...]  # steps, strictly ascending, >= 0
    factor: float = 0.1  # 0 < factor <= 1

    def __post_init__(self) -> None:
        check_finite(self, "initial")
        check_factor(self, "factor")
        # A copy: the caller may go on changing the list it gave.
        object.__setattr__(self, "boundaries", tuple(self.boundaries))
        if any(low >= high for low, high in pairwise((-1, *self.boundaries))):
            raise ValueError(
                f"Steps: boundaries must be >= 0 and strictly ascending, got {self.boundaries}"
            )

    def __call__(self, step: int) -> float:
        """Value at `step`."""
        passed = sum(step > boundary for boundary in self.boundaries)
        return float(self.initial) * power(self.factor, passed)
