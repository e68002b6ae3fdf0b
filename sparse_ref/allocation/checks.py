"""Argument checks of the allocations: their errors name who refuses, the rule, and what was given.

A check returns its argument in Python's own numbers, which do not overflow.
"""

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from numbers import Real

import numpy as np

Shape = Sequence[int]  # (n_out, n_in) or (C_out, C_in, kh, kw)
Shapes = Sequence[Shape]


def refusal(who: str, rule: str, got: object) -> ValueError:
    """Return the `ValueError` that says who refuses, by which rule, and what was given."""
    return ValueError(f"allocation.{who}: {rule}, got {got!r}")


def check_integer(who: str, name: str, value: object, largest: int | None = None) -> int:
    """Return `value` as a Python integer, where `largest` is given one of 0 ... `largest`."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # this is the check
    except TypeError:
        raise TypeError(f"allocation.{who}: {name} must be an integer, got {value!r}") from None
    if largest is not None and not 0 <= number <= largest:
        raise refusal(who, f"{name} must be in [0, {largest}]", number)
    return number


def check_fraction(who: str, name: str, value: object) -> float:
    """Return `value` as a float in [0, 1]."""
    if not isinstance(value, Real):  # numbers.Real: NumPy's scalars too
        raise TypeError(f"allocation.{who}: {name} must be a number, got {value!r}")
    fraction = float(value)
    if not 0 <= fraction <= 1:
        raise refusal(who, f"{name} must be in [0, 1]", fraction)
    return fraction


def check_not_negative(who: str, name: str, value: float | Fraction) -> None:
    """Refuse what is negative, infinite or nan."""
    if not (math.isfinite(value) and value >= 0):
        raise refusal(who, f"{name} must be finite and >= 0", value)


def check_shapes(who: str, shapes: Shapes) -> list[tuple[int, ...]]:
    """Return the shapes as tuples of Python integers, each of two or more dimensions."""
    # Python integers throughout: products of NumPy's would overflow silently.
    checked = [tuple(check_integer(who, "every dimension", n) for n in shape) for shape in shapes]
    if not checked:
        raise refusal(who, "shapes must name at least one layer", shapes)
    for shape in checked:
        if len(shape) < 2 or min(shape) < 1:
            raise refusal(who, "a shape must have two or more dimensions, all positive", shape)
    return checked


def check_custom(who: str, custom: Mapping[int, float], n_layers: int) -> dict[int, float]:
    """Return layer index -> density with every layer and every density in its range."""
    return {
        check_integer(who, "custom layer index", layer, n_layers - 1): check_fraction(
            who, f"custom density of layer {layer}", density
        )
        for layer, density in custom.items()
    }


def check_counts(counts: object, shapes: Shapes) -> np.ndarray:
    """Return counts that fit the shapes, as (n_layers,) int64."""
    sizes = [math.prod(shape) for shape in check_shapes("allocate", shapes)]
    if not isinstance(counts, Sequence | np.ndarray):
        rule = "distribution must be a name, a function or a sequence of counts"
        raise TypeError(f"allocation.allocate: {rule}, got {counts!r}")
    if len(counts) != len(sizes):
        raise refusal("allocate", f"counts must be one per layer ({len(sizes)})", len(counts))
    checked = [
        check_integer("allocate", f"count of layer {layer}", count, size)
        for layer, (count, size) in enumerate(zip(counts, sizes, strict=True))
    ]
    return np.array(checked, dtype=np.int64)


def check_apportion(
    shares: Iterable[float | Fraction], total: int, capacities: Iterable[int]
) -> tuple[list[Fraction], int, list[int]]:
    """Return the arguments of `apportion` in Python's numbers, the shares exact."""
    # Python numbers: a Fraction over NumPy integers would overflow silently.
    parts = [share.item() if isinstance(share, np.generic) else share for share in shares]
    limits = [check_integer("apportion", "every capacity", limit) for limit in capacities]
    if len(parts) != len(limits) or not limits:
        rule = "shares and capacities must be equally many and at least one"
        raise refusal("apportion", rule, (len(parts), len(limits)))
    for part in parts:
        check_not_negative("apportion", "every share", part)
    if min(limits) < 0:
        raise refusal("apportion", "every capacity must be >= 0", min(limits))
    room = sum(limit for part, limit in zip(parts, limits, strict=True) if part > 0)
    total = check_integer("apportion", "total", total)
    if not 0 <= total <= room:
        rule = f"total must be in [0, {room}], the capacity of the layers with a share > 0"
        raise refusal("apportion", rule, total)
    return [Fraction(part) for part in parts], total, limits
