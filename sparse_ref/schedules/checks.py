"""Checks of the schedules' fields: their errors name the class, the rule, and what was given."""

import math
from numbers import Integral, Real


def check_finite(schedule: object, *names: str) -> None:
    """Refuse fields that are no numbers, or infinite or nan."""
    for name in names:
        value = getattr(schedule, name)
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError(f"{name_of(schedule)}: {name} must be a number, got {value!r}")
        if not math.isfinite(value):
            raise ValueError(f"{name_of(schedule)}: {name} must be finite, got {value}")


def check_factor(schedule: object, name: str) -> None:
    """Refuse a field outside (0, 1]."""
    check_finite(schedule, name)
    if not 0 < getattr(schedule, name) <= 1:
        got = getattr(schedule, name)
        raise ValueError(f"{name_of(schedule)}: {name} must be in (0, 1], got {got}")


def check_positive_integer(schedule: object, name: str) -> None:
    """Refuse a field that is no integer or is below 1."""
    value = getattr(schedule, name)
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < 1:
        error = ValueError if whole else TypeError
        raise error(f"{name_of(schedule)}: {name} must be an integer >= 1, got {value!r}")


def name_of(schedule: object) -> str:
    """Name of the schedule's class, with which its errors begin."""
    return type(schedule).__name__
