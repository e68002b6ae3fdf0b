"""RigL's options: which go together, and the bundles by which public codes differ from the paper.

Nothing here is a method. What a bundle leaves out is as in the paper; where each code is, and which
of its commits was read, is in `sparse_ref.methods.conventions`.
"""

import math
from numbers import Real
from typing import Any

import numpy as np

from sparse_ref.methods.base import (
    ROUNDINGS,
    check_fraction,
    check_given_steps,
    check_name,
    check_steps,
)
from sparse_ref.selection import TIES

CONVENTIONS: dict[str, dict[str, Any]] = {
    "paper": {},
    "rigl-tf1": {
        "start": 0,
        "first_step": 0,
        "include_stop": True,
        "anneal": "tf1_cosine",
        "rounding": "floor_f32",
        "phantom_keep": True,
        "tf1_noise_std": 1e-5,
    },
    "rigl-tf2": {
        "until": 1.0,
        "include_stop": True,
        "anneal": "constant",
        "rounding": "floor_f32",
        "phantom_keep": True,
        "replaces_update": False,
    },
    "jaxpruner": {
        "drop_fraction": 0.1,
        "start": 0,
        "first_step": 0,
        "include_stop": True,
        "rounding": "round_half_even",
        "min_keep_one": True,
    },
    "rigl-torch": {"phantom_keep": True},
    "rigl-reproducibility": {
        "rounding": "ceil",
        "ties": "drop_low_index",
        "regrow": "reinit",
    },
    "itop": {
        "drop_fraction": 0.5,
        "until": 1.0,
        "least_fraction": 0.005,
        "rounding": "ceil",
        "ties": "drop_all",
        "replaces_update": False,
    },
}
OPTIONS = ("ties", "phantom_keep", "tf1_noise_std", "grow_init", "grow_scale", "acc_scale")
DROP_TIES = (*TIES, "drop_all")
ANNEALS = ("cosine", "tf1_cosine", "constant")


def check_ranking(candidates: str, ties: str, phantom_keep: bool, noise_std: float) -> None:
    """Refuse rules that do not go together."""
    check_name("RigL", "ties", ties, DROP_TIES)
    if (phantom_keep or noise_std) and ties != "keep_low_index":
        raise ValueError(
            "RigL: ties must be 'keep_low_index' where all positions are ranked "
            f"(phantom_keep, tf1_noise_std), got {ties!r}"
        )
    if candidates == "forbid" and (phantom_keep or noise_std or ties == "drop_all"):
        raise ValueError(
            "RigL: regrow must not be 'forbid' with phantom_keep, tf1_noise_std or ties='drop_all'"
        )


def check(method: Any) -> None:
    """Refuse options of `RigL` that are out of bounds or do not go together."""
    check_fraction("RigL", method.drop_fraction)
    check_steps("RigL", every=method.every, grad_accumulation_n=method.grad_accumulation_n)
    check_given_steps("RigL", stop=method.stop)
    check_name("RigL", "anneal", method.anneal, ANNEALS)
    check_name("RigL", "rounding", method.rounding, list(ROUNDINGS))
    candidates = "forbid" if method.regrow == "forbid" else "allow"
    check_ranking(candidates, method.ties, method.phantom_keep, method.tf1_noise_std)
    for name in ("include_stop", "min_keep_one", "phantom_keep", "replaces_update"):
        if not isinstance(getattr(method, name), bool):
            raise TypeError(f"RigL: {name} must be True or False, got {getattr(method, name)!r}")
    _check_number(method, "until", lambda x: 0 < x <= 1, "in (0, 1]")
    _check_number(method, "least_fraction", lambda x: 0 <= x <= 1, "in [0, 1]")
    _check_number(method, "tf1_noise_std", lambda x: 0 <= x < math.inf, "at least 0")
    _check_number(method, "grow_scale", lambda x: 0 < x < math.inf, "above 0")
    _check_number(method, "acc_scale", math.isfinite, "finite")
    _check_clock(method)


def _check_clock(method):
    first, start, stop = method.first_step, method.start, method.stop
    if first not in (0, 1) or isinstance(first, bool):
        raise ValueError(f"RigL: first_step must be 0 or 1, got {first!r}")
    if start is not None and (not isinstance(start, int | np.integer) or start < 0):
        raise ValueError(f"RigL: start must be a whole number of steps, at least 0, got {start!r}")
    if start is not None and stop is not None and stop <= start:
        raise ValueError(f"RigL: stop must be greater than start, {start}, got {stop}")
    n, every = method.grad_accumulation_n, method.every
    if n > every:
        raise ValueError(f"RigL: grad_accumulation_n must be at most every, {every}, got {n}")


def _check_number(method, name, allowed, rule):
    value = getattr(method, name)
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"RigL: {name} must be a number, got {type(value).__name__}")
    if not allowed(value):
        raise ValueError(f"RigL: {name} must be {rule}, got {value}")
