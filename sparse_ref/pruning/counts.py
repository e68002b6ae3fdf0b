"""How many of n candidates a pruning call removes: the rule of every code.

The float expressions are evaluated in the order in which each code writes them, so that their
roundings come out too: ``int((1 - 0.9) * 10)`` is 0. A `fractions.Fraction` is exact.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from numbers import Integral, Rational, Real
from typing import Any

import numpy as np

Amount = float | int | Fraction


def removed(n: int, amount: Amount, rule: str = "round_half_even") -> int:
    """How many of `n` candidates go.

    Parameters
    ----------
    n : int
    amount : float, Fraction or int
        A fraction p in [0, 1], or a count: 1 is one connection, 1.0 is all of them.
    rule : str
        What is made of p; a count is taken as it is.

        ========================  ================================================================
        ``round_half_even``       ``round(p * n)`` (torch, Masks2020; our default)
        ``npround_plus_one``      ``np.round(p * n) + 1`` (google-lth: a rank, and all up to it)
        ``ceil_plus_one``         ``ceil(p * n) + 1`` (open-lth, the same)
        ``trunc``                 ``int(p * n)`` (DNW, SynFlow's, GraSP's and edge-popup's codes)
        ``trunc_percent``         ``int(n * P / 100)``, ``P = (1 - keep) * 100`` with
                                  ``keep = 1 - p`` (zhou)
        ``kept_half_even``        all but ``round((1 - p) * n)`` (SNIP's code)
        ``kept_half_even_f32``    all but ``max(round((1 - p) * n), 1)`` in float32 (tfmot)
        ========================  ================================================================

    Raises
    ------
    TypeError
        `amount` is no number, or a bool.
    ValueError
        A fraction outside [0, 1], a count below 0 or above n, or a rule whose result is above n:
        with ``_plus_one`` and p = 1 the codes fail with an IndexError.

    Examples
    --------
    >>> [removed(10, 0.2, rule) for rule in ("round_half_even", "npround_plus_one", "trunc")]
    [2, 3, 2]
    >>> removed(10, 1 - 0.9, "trunc"), removed(10, Fraction(1, 10), "trunc")
    (0, 1)
    >>> removed(235200, 0.2, "trunc_percent")
    47039
    """
    if rule not in COUNTS:
        raise ValueError(f"removed: rule must be one of {list(COUNTS)}, got {rule!r}")
    check_amount("removed", amount)
    k = int(amount) if isinstance(amount, Integral) else COUNTS[rule](n, _plain(amount))
    if k > n:
        raise ValueError(
            f"removed: no more can go than there are, {n}, got {k} (amount {amount}, {rule})"
        )
    return k


def check_amount(who: str, amount: Any) -> None:
    """Refuse what is neither a fraction in [0, 1] nor a count from 0 on."""
    if isinstance(amount, bool) or not isinstance(amount, Real):
        raise TypeError(f"{who}: amount must be a fraction or a count, got {amount!r}")
    if isinstance(amount, Integral) and amount < 0:
        raise ValueError(f"{who}: a count must be at least 0, got {amount}")
    if not isinstance(amount, Integral) and not 0 <= float(amount) <= 1:
        raise ValueError(f"{who}: a fraction must be in [0, 1], got {amount}")


def percent(keep: Amount, power: int = 1) -> Any:
    """``(1 - keep**power) * 100``, as zhou writes what goes; a Fraction stays one."""
    return (1 - keep**power) * 100


def truncated_percent(n: int, P: Any) -> int:
    """``int(n * P / 100)``, as zhou counts what goes; a Fraction is exact."""
    return int(n * P / 100)


def _plain(amount):
    """A Fraction, or a float of 64 bits, whatever the kind."""
    return amount if isinstance(amount, Rational) else float(amount)


def _kept_half_even_f32(n, p):
    kept = np.round(np.float32(n) * (np.float32(1) - np.float32(float(p))))
    return n - min(n, max(1, int(kept)))


COUNTS: dict[str, Callable[[int, Any], int]] = {
    "round_half_even": lambda n, p: round(p * n),
    "npround_plus_one": lambda n, p: int(np.round(float(p * n))) + 1,
    "ceil_plus_one": lambda n, p: math.ceil(p * n) + 1,
    "trunc": lambda n, p: int(p * n),
    "trunc_percent": lambda n, p: truncated_percent(n, percent(1 - p)),
    "kept_half_even": lambda n, p: n - round((1 - p) * n),
    "kept_half_even_f32": _kept_half_even_f32,
}
