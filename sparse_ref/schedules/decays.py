"""Decays: from an initial value at step `start` smoothly down to a floor at step `stop`."""

from dataclasses import dataclass

from sparse_ref.elementary import cos_pi, power
from sparse_ref.schedules.checks import check_finite, check_positive_integer, name_of


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
        return _decayed(self, (1 + cos_pi(_progress(self, step))) / 2)


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
        check_positive_integer(self, "power")

    def __call__(self, step: int) -> float:
        """Value at `step`."""
        return _decayed(self, power(1 - _progress(self, step), self.power))


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


def _progress(decay: Cosine | Linear | InversePower, step: int) -> float:
    """Fraction of the way from start to stop, clipped to [0, 1]."""
    return min(max((step - decay.start) / (decay.stop - decay.start), 0.0), 1.0)


def _decayed(decay: Cosine | Linear | InversePower, remaining: float) -> float:
    """Value with the fraction `remaining` of the decay still to come; exact at both ends."""
    initial, floor = float(decay.initial), float(decay.floor)
    if remaining == 1:  # floor + (initial - floor) may differ from initial by a rounding
        return initial
    return min(max(floor + (initial - floor) * remaining, floor), initial)


def _check_decay(decay: Cosine | Linear | InversePower) -> None:
    check_finite(decay, "initial", "stop", "start", "floor")
    if decay.start < 0:
        raise ValueError(f"{name_of(decay)}: start must be >= 0, got {decay.start}")
    if decay.stop <= decay.start:
        raise ValueError(
            f"{name_of(decay)}: stop must be greater than start, "
            f"got stop={decay.stop}, start={decay.start}"
        )
    if decay.floor > decay.initial:
        raise ValueError(
            f"{name_of(decay)}: floor must be at most initial, "
            f"got floor={decay.floor}, initial={decay.initial}"
        )
