"""Who competes, how many stay, and which: what all scores at initialisation have in common.

The layers that compete stand in one pool, input to output, slots in order. The largest scores stay.

==================  ================================================================
count               how many of n stay at a density d
==================  ================================================================
``round_kept``      ``round(n d)``, halves to even; exact of a `Fraction`
``round_unpruned``  ``round(n (1 - s))`` with ``s = 1 - d``: SNIP's code
``trunc_kept``      ``int(n d)``
``trunc_removed``   ``n - int((1 - d) n)``: GraSP's code and Synaptic-Flow
==================  ================================================================

=======================  ===========================================================
ties                     which go, if k of them are to
=======================  ===========================================================
``keep_low_index``       the k smallest; of equal scores the lower index stays
``drop_low_index``       the same, but the lower index goes
``drop_all``             all that equal the k-th smallest go with it: Synaptic-Flow
``keep_all``             all that equal the first to stay stay with it: SNIP's paper
``official_off_by_one``  all below the k-th smallest, so k - 1 or fewer: GraSP's code
=======================  ===========================================================
"""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from numbers import Rational
from typing import Any

import numpy as np

from sparse_ref.methods.base import check_name, check_number
from sparse_ref.network import Network
from sparse_ref.pruning.ranks import weakest
from sparse_ref.pruning.weights import check_excluded, is_whole

Slots = list[np.ndarray]  # of each array in the pool, ascending
Drops = tuple[np.ndarray | None, ...]  # slots to remove of each weight; None: it does not compete

COUNTS = ("round_kept", "round_unpruned", "trunc_kept", "trunc_removed")
TIES = ("keep_low_index", "drop_low_index", "drop_all", "keep_all", "official_off_by_one")
SCHEDULES = ("exponential", "linear")


def competing(who: str, net: Network, exclude: Sequence[int]) -> list[int]:
    """Numbers of the layers of ``net.weighted`` that are not in `exclude` (-1 is the last)."""
    check_excluded(who, exclude)
    n = len(net.weighted)
    wrong = [k for k in exclude if not -n <= k < n]
    if wrong:
        raise ValueError(f"{who}: exclude must name layers in [{-n}, {n}), got {wrong[0]}")
    left = sorted(set(range(n)) - {k % n for k in exclude})
    if not left:
        raise ValueError(f"{who}: exclude must leave a layer, got {list(exclude)}")
    return left


def batches(
    who: str, net: Network, x: np.ndarray, y: np.ndarray, size: int | None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Examples and labels in batches of `size`, the last maybe smaller; None: all in one."""
    x, y = net.examples(x, who), np.asarray(y)
    if not 0 < len(x) == len(y):
        raise ValueError(
            f"{who}: x and y must be equally many and not none, got {len(x)} and {len(y)}"
        )
    check_rounds(who, "batch_size", len(x) if size is None else size)
    step = size or len(x)
    return [(x[k : k + step], y[k : k + step]) for k in range(0, len(x), step)]


def check_rounds(who: str, option: str, value: Any) -> None:
    """Refuse what is no positive whole number."""
    if not is_whole(value) or value < 1:
        raise ValueError(f"{who}: {option} must be a positive whole number, got {value}")


def check_choice(who: str, density: Any, count: str, ties: str) -> None:
    """Refuse a density outside [0, 1], and rules that are not in the module's tables."""
    check_number(who, "density", density, "in [0, 1]", lambda d: 0 <= d <= 1)
    check_name(who, "count", count, COUNTS)
    check_name(who, "ties", ties, TIES)


def kept_count(n: int, density: Any, count: str) -> int:
    """How many of `n` stay, see the module's table.

    Examples
    --------
    >>> [kept_count(10, 0.1, rule) for rule in COUNTS], kept_count(100, 0.29, "trunc_kept")
    ([1, 1, 1, 1], 28)
    >>> [kept_count(10, 0.25, rule) for rule in COUNTS]
    [2, 2, 2, 3]
    """
    density = density if isinstance(density, Rational) else float(density)
    if count == "round_unpruned":
        return round(n * (1 - (1 - density)))
    if count == "trunc_removed":
        return n - int((1 - density) * n)
    return round(n * density) if count == "round_kept" else int(n * density)


def densities(density: Any, rounds: int, schedule: str) -> Iterator[Any]:
    """The density after each round: ``density^(e / rounds)``, or by equal steps.

    Examples
    --------
    >>> [round(d, 4) for d in densities(0.25, 2, "exponential")]
    [0.5, 0.25]
    >>> list(densities(Fraction(1, 4), 3, "linear"))
    [Fraction(3, 4), Fraction(1, 2), Fraction(1, 4)]
    """
    exact = isinstance(density, Rational)
    for e in range(1, rounds + 1):
        if schedule == "linear":
            yield 1 - (1 - density) * (Fraction(e, rounds) if exact else e / rounds)
        else:
            yield density if e == rounds else float(density) ** (e / rounds)


def in_rounds(
    who: str,
    sizes: Sequence[int],
    kept_counts: Sequence[int],
    scores_of: Callable[[Slots], Sequence[np.ndarray]],
    ties: str,
    frozen: bool,
) -> Slots:
    """What is left after scoring and removing by turns.

    Parameters
    ----------
    who : str
        Named in errors.
    sizes : sequence of int
        Slots of each array in the pool.
    kept_counts : sequence of int
        How many are to be left after each round.
    scores_of : callable
        What is left -> scores of just these where `frozen`, else of all slots.
    ties : str
        See the module's table.
    frozen : bool
        What has been removed does not come back.
    """
    kept = [np.arange(size) for size in sizes]
    total = sum(sizes)
    for n_kept in kept_counts:
        scores = scores_of(kept)
        gone = total - sum(map(len, kept)) if frozen else 0
        stay = survivors(who, scores, total - n_kept, ties, gone)
        kept = [old[k] for old, k in zip(kept, stay, strict=True)] if frozen else stay
    return kept


def survivors(
    who: str, scores: Sequence[np.ndarray], n_removed: int, ties: str, gone: int = 0
) -> Slots:
    """Slots of each array that stay, ascending.

    Parameters
    ----------
    who : str
        Named in errors.
    scores : sequence of (n,)
        What is larger stays.
    n_removed : int
        How many of the whole pool are to be removed by now.
    ties : str
        See the module's table.
    gone : int
        How many were removed before and are not among `scores`. Their score is 0, so with
        ``drop_all`` other zeros go with them.
    """
    check_finite(who, "scores", scores)
    pool = np.concatenate(list(scores))
    stay = np.ones(len(pool), bool)
    stay[_lost(pool, min(max(n_removed - gone, 0), len(pool)), ties)] = False
    if ties == "drop_all" and gone:
        stay &= pool != 0
    ends = np.cumsum([len(part) for part in scores])[:-1]
    return [np.flatnonzero(part) for part in np.split(stay, ends)]


def check_finite(who: str, what: str, arrays: Sequence[np.ndarray]) -> None:
    """Refuse numbers that are not finite: they have no rank, or that of where they stand."""
    for array in arrays:
        if not np.isfinite(array).all():
            raise ValueError(f"{who}: {what} must be finite, got {array[~np.isfinite(array)][0]}")


def _lost(pool, n, ties):
    if ties != "official_off_by_one":
        return weakest(pool, n, ties)
    return np.flatnonzero(pool < np.partition(pool, n - 1)[n - 1] if n else pool[:0])


def drops_of(net: Network, layers: Sequence[int], kept: Sequence[np.ndarray]) -> Drops:
    """What `Network.prune` takes, from what is left of each competing layer."""
    drops: list[np.ndarray | None] = [None] * len(net.weighted)
    for k, slots in zip(layers, kept, strict=True):
        lost = np.ones(net.connections[k], bool)
        lost[slots] = False
        drops[k] = np.flatnonzero(lost)
    return tuple(drops)


def pruned_at_once(
    who: str,
    net: Network,
    scores: Sequence[np.ndarray],
    density: Any,
    exclude: Sequence[int],
    count: str,
    ties: str,
) -> Drops:
    """Drops by scores of all of ``net.weighted`` in one round; those excluded do not compete."""
    check_choice(who, density, count, ties)
    layers = competing(who, net, exclude)
    n = sum(net.connections[k] for k in layers)
    kept = survivors(who, [scores[k] for k in layers], n - kept_count(n, density, count), ties)
    return drops_of(net, layers, kept)
