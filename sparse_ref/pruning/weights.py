"""What a pruner is shown: CSR weights and dense arrays, by slots."""

import math
from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr
from sparse_ref.csr_checks import integers, require_ascending

Weight: TypeAlias = csr_array | np.ndarray  # (n_out, n_in); slot k of an array is flat position k
Drops: TypeAlias = tuple[
    np.ndarray, ...
]  # slots to remove of each weight, int64, ascending, unique


class Pruner(Protocol):
    """Anything that says which slots of the weights go."""

    def __call__(self, weights: Sequence[Weight], rng: np.random.Generator | None = None) -> Drops:
        """Slots to remove, an array for each weight; the weights are not changed."""


def checked(who: str, weights: Sequence[Weight]) -> list[Weight]:
    """The weights as a list, each a CSR array or a matrix of floats."""
    if isinstance(weights, np.ndarray | csr_array):
        raise TypeError(f"{who}: weights must be a sequence of them, got {type(weights).__name__}")
    for weight in weights:
        if not isinstance(weight, np.ndarray):
            csr.check(weight, who)
        elif weight.ndim != 2:
            raise ValueError(f"{who}: a weight must have two dimensions, got shape {weight.shape}")
        elif weight.dtype not in (np.float32, np.float64):
            raise TypeError(f"{who}: a weight must be float32 or float64, got {weight.dtype}")
    return list(weights)


def values_of(weight: Weight) -> np.ndarray:
    """``(slots,)`` the values, in slot order; not copied where they need not be."""
    return weight.reshape(-1) if isinstance(weight, np.ndarray) else weight.data


def slots_of(weight: Weight) -> int:
    """How many slots a weight has."""
    return weight.size if isinstance(weight, np.ndarray) else weight.nnz


def positions_of(weight: Weight) -> int:
    """How many positions a weight has, connected or not."""
    return math.prod(weight.shape)


def scores_of(
    who: str,
    weights: Sequence[Weight],
    scores: Sequence[np.ndarray] | None,
    what: str = "scores",
) -> list[np.ndarray]:
    """What is ranked in the place of the weights: `scores` if given, else their values.

    `what` is their name in errors. Not a number is refused: it has no rank.
    """
    if scores is None:
        what, scores = "weights", [values_of(weight) for weight in weights]
    check_as_many(who, what, scores, weights)
    for k, (score, weight) in enumerate(zip(scores, weights, strict=True)):
        if np.shape(score) != (slots_of(weight),):
            raise ValueError(
                f"{who}: {what} must be one a slot, ({slots_of(weight)},), got {np.shape(score)}"
            )
        if np.isnan(score).any():
            slot = int(np.flatnonzero(np.isnan(score))[0])
            raise ValueError(f"{who}: {what} must be numbers, got nan in slot {slot} of weight {k}")
    return list(scores)


def checked_slots(who: str, what: str, slots: np.ndarray, weight: Weight) -> np.ndarray:
    """Slots of a weight, int64; refused if they do not ascend or are not there."""
    slots = integers(who, what, slots)
    require_ascending(who, what, slots, slots_of(weight))
    return slots


def check_as_many(who: str, what: str, things: Sequence[Any], weights: Sequence[Weight]) -> None:
    """Refuse a sequence that is not as long as the weights are many."""
    if len(things) != len(weights):
        raise ValueError(f"{who}: {what} must be one a weight, {len(weights)}, got {len(things)}")


def streams_of(
    who: str, rng: np.random.Generator | None, n: int
) -> list[np.random.Generator] | list[None]:
    """A stream for each of n weights, so that a layer more moves no other's draws."""
    if rng is None:
        return [None] * n
    check_generator(who, rng)
    return rng.spawn(n)


def check_generator(who: str, rng: Any) -> None:
    """Refuse what is no generator."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"{who}: rng must be a Generator, got {type(rng).__name__}")


def check_excluded(who: str, exclude: Any) -> None:
    """Refuse what is no sequence of whole numbers."""
    if not isinstance(exclude, Sequence) or not all(map(is_whole, exclude)):
        raise TypeError(f"{who}: exclude must be a sequence of whole numbers, got {exclude!r}")


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number; True and False are none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
