"""When something happens and how much of it: numbers as functions of the training step.

A *schedule* is any function `schedule(step) -> float`; the classes here are frozen dataclasses that
can be called. They serve drop fractions, learning rates, densities and temperatures alike. `Every`
says at which steps an event is due.

`fit` numbers the batches 1 ... n_steps; the formulas hold for every step >= 0 and start at step 0,
so `Cosine(0.3, 100)(0)` is 0.3. A schedule counts in whatever its caller passes: feed it epochs
and `stop` means epochs.

The values do not depend on the host: only additions, multiplications and divisions in float64 are
used, in a fixed order, and neither the cosine nor the power of the C library.

Departures
----------
Codebases number the first batch 0 (RigL's TensorFlow code, optax) or 1 (rigl-torch, `fit`). The
formulas here depend on the number alone: to redo a run of the first kind, subtract 1 from the step.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral, Real

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
        _check_finite(self, "value")

    def __call__(self, step: int) -> float:
        """Value at `step`."""
        return float(self.value)


@dataclass(frozen=True)
class Cosine:
    """Half a cosine wave from `initial` at step `start` down to `floor` at step `stop`.

    `f(t) = floor + (initial - floor) * (1 + cos(π x)) / 2`, `x = (t - start) / (stop - start)`
    clipped to [0, 1].

    Reference
    ---------
    Evci et al. 2020 (RigL), section 3, f_decay, with floor 0, α = `initial` and T_end = `stop`;
    Dettmers & Zettlemoyer 2019 (SNFS) and Liu et al. 2021 (ITOP), code, with floor 0.005.
    Parger et al. 2022 (GGR), section 4: from epoch 1 to 100, `Cosine(0.1, 100, start=1)` of epochs.

    Departures
    ----------
    RigL's TensorFlow code puts the absolute step into a wave of length `stop - start`, so with
    start 100 and stop 200 every value from step 100 on is 0. Here the wave begins at `start`.

    Examples
    --------
    >>> [round(Cosine(0.3, 100)(step), 6) for step in (0, 25, 50, 75, 100)]
    [0.3, 0.256066, 0.15, 0.043934, 0.0]
    """

    initial: float  # α, the value up to `start`
    stop: float  # step from which on the value is `floor`
    start: float = 0  # step, >= 0
    floor: float = 0.0  # η_min

    def __post_init__(self) -> None:
        _check_decay(self)

    def __call__(self, step: int) -> float:
        """Value at `step`."""
        return _decayed(self, (1 + _cos_pi(_progress(self, step))) / 2)


@dataclass(frozen=True)
class Linear:
    """A straight line from `initial` at step `start` down to `floor` at step `stop`.

    `f(t) = floor + (initial - floor) * (1 - x)`, `x` as in `Cosine`.

    Reference
    ---------
    Dettmers & Zettlemoyer 2019 (SNFS), code, the linear decay of the prune rate, with floor 0.

    Examples
    --------
    >>> Linear(0.5, 100)(75)
    0.125
    """

    initial: float
    stop: float
    start: float = 0
    floor: float = 0.0

    def __post_init__(self) -> None:
        _check_decay(self)

    def __call__(self, step: int) -> float:
        """Value at `step`."""
        return _decayed(self, 1 - _progress(self, step))


@dataclass(frozen=True)
class InversePower:
    """A power of the time that is left: `f(t) = floor + (initial - floor) * (1 - x) ** power`.

    `x` as in `Cosine`. Power 1 is `Linear`, power 3 is `cubic`.

    Reference
    ---------
    Evci et al. 2020 (RigL), code, there called `exponential_k`.

    Departures
    ----------
    The RigL code takes any real power; here it is an integer, multiplied out.

    Examples
    --------
    >>> InversePower(0.3, 100, 3)(50)
    0.0375
    """

    initial: float
    stop: float
    power: int  # k, >= 1
    start: float = 0
    floor: float = 0.0

    def __post_init__(self) -> None:
        _check_decay(self)
        _check_positive_integer(self, "power")

    def __call__(self, step: int) -> float:
        """Value at `step`."""
        return _decayed(self, _power(1 - _progress(self, step), self.power))


def cubic(initial: float, stop: float, start: float = 0, floor: float = 0.0) -> InversePower:
    """Gradual pruning's curve, fast at first: the *density* falls as the cube of the time left.

    Reference
    ---------
    Zhu & Gupta 2017, "To prune, or not to prune", equation 1. They write sparsity,
    `s(t) = s_f + (s_i - s_f) (1 - x)³`; with density = 1 - sparsity the form is the same.

    Departures
    ----------
    The paper changes the value only at pruning steps; here that is the caller's `Every`.

    Examples
    --------
    >>> cubic(1.0, stop=100, floor=0.5)(50)
    0.5625
    """
    return InversePower(initial, stop, 3, start, floor)


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
        _check_finite(self, "initial")
        _check_factor(self, "decay")
        _check_positive_integer(self, "every")

    def __call__(self, step: int) -> float:
        """Value at `step`."""
        return float(self.initial) * _power(self.decay, int(max(step - 1, 0) // self.every))


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
        _check_finite(self, "initial")
        _check_factor(self, "factor")
        # A copy: the caller may go on changing the list it gave.
        object.__setattr__(self, "boundaries", tuple(self.boundaries))
        if any(low >= high for low, high in pairwise((-1, *self.boundaries))):
            raise ValueError(
                f"Steps: boundaries must be >= 0 and strictly ascending, got {self.boundaries}"
            )

    def __call__(self, step: int) -> float:
        """Value at `step`."""
        passed = sum(step > boundary for boundary in self.boundaries)
        return float(self.initial) * _power(self.factor, passed)


@dataclass(frozen=True)
class Warmup:
    """A linear ramp from 0 on another schedule: `schedule(t) * t / steps` up to step `steps`.

    Step 1 of n has 1/n of the value, step n and all later ones the value itself.

    Reference
    ---------
    Goyal et al. 2017, "Accurate, large minibatch SGD", section 2.2 (gradual warmup), from 0.

    Examples
    --------
    >>> [Warmup(Constant(0.4), 4)(step) for step in (0, 1, 2, 4, 9)]
    [0.0, 0.1, 0.2, 0.4, 0.4]
    """

    schedule: Schedule
    steps: int  # >= 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "schedule", as_schedule(self.schedule))
        _check_positive_integer(self, "steps")

    def __call__(self, step: int) -> float:
        """Value at `step`."""
        value = self.schedule(step)
        return value * max(step, 0) / self.steps if step < self.steps else value


@dataclass(frozen=True)
class Every:
    """An event at steps `start, start + n, start + 2n, ...`, all of them before `stop`.

    Without a `start` the first event is at step n; a training that stops by then has none.

    Reference
    ---------
    Evci et al. 2020 (RigL), Algorithm 1: `t mod ΔT == 0 and t < T_end` is `Every(ΔT, stop=T_end)`.

    Departures
    ----------
    RigL's TensorFlow code includes `stop` itself: give `stop + 1`. ITOP never stops, jaxpruner also
    counts step 0: `start=0`.

    Examples
    --------
    >>> [step for step in range(500) if Every(100, stop=400).due(step)]
    [100, 200, 300]
    """

    n: int  # ΔT, steps from one event to the next, >= 1
    start: int | None = None  # step of the first event, >= 0; None: n
    stop: int | None = None  # no event from this step on; None: events never end

    def __post_init__(self) -> None:
        _check_positive_integer(self, "n")
        if self.start is not None and not self.start >= 0:
            raise ValueError(f"Every: start must be >= 0, got {self.start}")
        if self.start is not None and self.stop is not None and self.stop <= self.start:
            raise ValueError(
                f"Every: stop must be greater than start, got stop={self.stop}, start={self.start}"
            )

    def due(self, step: int) -> bool:
        """Whether the event happens at `step`."""
        before_stop = self.stop is None or step < self.stop
        return before_stop and step >= self._first and (step - self._first) % self.n == 0

    @property
    def _first(self) -> int:
        return self.n if self.start is None else self.start


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


def _progress(decay: Cosine | Linear | InversePower, step: int) -> float:
    """Fraction of the way from start to stop, clipped to [0, 1]."""
    return min(max((step - decay.start) / (decay.stop - decay.start), 0.0), 1.0)


def _decayed(decay: Cosine | Linear | InversePower, remaining: float) -> float:
    """Value with the fraction `remaining` of the decay still to come; exact at both ends."""
    initial, floor = float(decay.initial), float(decay.floor)
    if remaining == 1:  # floor + (initial - floor) may differ from initial by a rounding
        return initial
    return min(max(floor + (initial - floor) * remaining, floor), initial)


def _cos_pi(x: float) -> float:
    """cos(π x) for 0 <= x <= 1, the same bits on every host; absolute error below 2.3e-16.

    Taylor polynomials of cos and sin on [0, π/4] (first terms left out: 3e-21 and 8e-20), to which
    cos(π x) = sin(π (1/2 - x)) = -cos(π (1 - x)) lead back; both subtractions from x are exact.
    """
    if x <= 0.25:
        return _cos(math.pi * x)
    if x < 0.75:
        return _sin(math.pi * (0.5 - x))
    return -_cos(math.pi * (1 - x))


def _cos(y: float) -> float:
    """Return 1 - y²/2! + y⁴/4! - ... - y¹⁸/18! by Horner's rule, |y| <= π/4."""
    square, value = y * y, 1.0
    for k in range(18, 0, -2):
        value = 1 - square / (k * (k - 1)) * value
    return value


def _sin(y: float) -> float:
    """Return y - y³/3! + y⁵/5! - ... + y¹⁷/17! by Horner's rule, |y| <= π/4."""
    square, value = y * y, 1.0
    for k in range(17, 1, -2):
        value = 1 - square / (k * (k - 1)) * value
    return y * value


def _power(base: float, exponent: int) -> float:
    """`base ** exponent` by squaring: a fixed order of multiplications instead of libm's pow."""
    result, base = 1.0, float(base)
    while exponent:
        if exponent % 2:
            result *= base
        base *= base
        exponent //= 2
    return result


def _check_finite(schedule: object, *names: str) -> None:
    for name in names:
        value = getattr(schedule, name)
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError(f"{_name(schedule)}: {name} must be a number, got {value!r}")
        if not math.isfinite(value):
            raise ValueError(f"{_name(schedule)}: {name} must be finite, got {value}")


def _check_decay(decay: Cosine | Linear | InversePower) -> None:
    _check_finite(decay, "initial", "stop", "start", "floor")
    if decay.start < 0:
        raise ValueError(f"{_name(decay)}: start must be >= 0, got {decay.start}")
    if decay.stop <= decay.start:
        raise ValueError(
            f"{_name(decay)}: stop must be greater than start, "
            f"got stop={decay.stop}, start={decay.start}"
        )
    if decay.floor > decay.initial:
        raise ValueError(
            f"{_name(decay)}: floor must be at most initial, "
            f"got floor={decay.floor}, initial={decay.initial}"
        )


def _check_factor(schedule: object, name: str) -> None:
    _check_finite(schedule, name)
    if not 0 < getattr(schedule, name) <= 1:
        got = getattr(schedule, name)
        raise ValueError(f"{_name(schedule)}: {name} must be in (0, 1], got {got}")


def _check_positive_integer(schedule: object, name: str) -> None:
    value = getattr(schedule, name)
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < 1:
        error = ValueError if whole else TypeError
        raise error(f"{_name(schedule)}: {name} must be an integer >= 1, got {value!r}")


def _name(schedule: object) -> str:
    return type(schedule).__name__
