"""What methods refuse of their options, and in which words."""

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import numpy as np


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


def check_given_steps(who: str, **steps: int | None) -> None:
    """`check_steps` of those that are not None."""
    check_steps(who, **{name: n for name, n in steps.items() if n is not None})


def check_number(
    who: str, option: str, value: Any, rule: str, holds: Callable[[Any], bool]
) -> None:
    """Refuse what is no number, or one for which the rule does not hold."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{who}: {option} must be a number, got {value!r}")
    if not holds(value):
        raise ValueError(f"{who}: {option} must be {rule}, got {value}")


def check_name(who: str, option: str, name: str, known: Sequence[str]) -> None:
    """Refuse an option that is not among the known ones."""
    if name not in known:
        raise ValueError(f"{who}: {option} must be one of {list(known)}, got {name!r}")
