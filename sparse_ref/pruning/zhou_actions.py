"""Zhou et al.: what becomes of the connections that a mask leaves out, "mask-0 actions".

References
----------
Zhou, Lan, Liu, Yosinski (2019), "Deconstructing lottery tickets: zeros, signs, and the supermask",
section 3. Their code, uber-research/deconstructing-lottery-tickets, commit dbad201,
train_lottery.py.

Departures
----------
* What their code freezes at 0 it computes with; here it is not stored.
* ``freeze_reinit`` is ``freeze_init`` with other initial values: hand those over.
"""

from typing import NamedTuple

import numpy as np

from sparse_ref.pruning.weights import (
    Weight,
    check_generator,
    checked,
    checked_slots,
    scores_of,
)
from sparse_ref.selection import random_ranks

ACTIONS = (
    "zero",
    "freeze_init",
    "freeze_init_zero_mask",
    "freeze_init_zero_rev",
    "freeze_init_zero_reshuffle",
    "freeze_init_zero_all",
)


class Masked(NamedTuple):
    """What becomes of a weight whose mask has changed."""

    drop: np.ndarray  # slots of the weight that go: they are 0 from now on
    held: np.ndarray  # slots of what is left that are held still
    start: np.ndarray  # (slots left,) weights that the next training starts from


def mask_zero(
    weight: Weight,
    masked: np.ndarray,
    initial: np.ndarray,
    action: str = "zero",
    rng: np.random.Generator | None = None,
) -> Masked:
    """What becomes of the connections that a mask leaves out (their "mask-0 actions").

    What is frozen at a value other than 0 takes part and is never trained: it stays stored, and
    `methods.Static` holds it (``still=``). What is frozen at 0 need not be stored. All that the
    mask keeps starts from its initial value ("rewinding").

    Parameters
    ----------
    weight : (n_out, n_in) csr_array or ndarray
        Final weights.
    masked : (n,) int64
        Slots that the mask leaves out, what was held before too; ascending.
    initial : (slots,)
        Initial weights.
    action : str
        ==============================  ========================================================
        ``zero``                        0 (lottery tickets, and the paper's default)
        ``freeze_init``                 frozen at the initial value
        ``freeze_init_zero_mask``       0 if the magnitude had fallen in training, else frozen
        ``freeze_init_zero_rev``        0 if it had grown, else frozen
        ``freeze_init_zero_reshuffle``  0 for as many as with ``zero_mask``, any of them
        ``freeze_init_zero_all``        as ``zero_mask``; and what the mask keeps starts at 0 if
                                        its magnitude had fallen
        ==============================  ========================================================
    rng : Generator, optional
        For ``freeze_init_zero_reshuffle``.
    """
    if action not in ACTIONS:
        raise ValueError(f"mask_zero: action must be one of {list(ACTIONS)}, got {action!r}")
    if rng is None and action == "freeze_init_zero_reshuffle":
        raise ValueError("mask_zero: freeze_init_zero_reshuffle needs a generator, got None")
    if rng is not None:
        check_generator("mask_zero", rng)
    (weight,) = checked("mask_zero", [weight])
    masked = checked_slots("mask_zero", "masked", masked, weight)
    (final,) = scores_of("mask_zero", [weight], None)
    (initial,) = scores_of("mask_zero", [weight], [initial], "initial")
    fell = np.abs(initial) > np.abs(final)
    drop = masked[_zeroed(action, fell[masked], np.abs(initial) < np.abs(final), masked, rng)]
    stays = np.ones(len(final), bool)
    stays[drop] = False
    start = np.where(fell & (action == "freeze_init_zero_all"), 0, initial)
    still = np.zeros(len(final), bool)
    still[masked] = True
    return Masked(drop, np.flatnonzero(still[stays]), start[stays].astype(final.dtype))


def _zeroed(action, fell, grew, masked, rng):
    """Which of the masked connections are 0."""
    if action == "zero":
        return np.ones(len(masked), bool)
    if action == "freeze_init":
        return np.zeros(len(masked), bool)
    if action == "freeze_init_zero_rev":
        return grew[masked]
    if action == "freeze_init_zero_reshuffle":
        return random_ranks(len(masked), int(np.count_nonzero(fell)), rng)
    return fell
