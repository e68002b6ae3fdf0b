"""Zhou et al.: which connections a mask keeps.

References
----------
Zhou, Lan, Liu, Yosinski (2019), "Deconstructing lottery tickets: zeros, signs, and the supermask".
Their code, uber-research/deconstructing-lottery-tickets, commit dbad201, get_weight_init.py.

Departures
----------
* Their code marks what is masked with a score of 9999 (-9999 for the two criteria of both ends), so
  a magnitude above that would be kept before it; here what is masked has no score.
* Their `random` orders all positions and takes from the front; here every subset is equally likely.
* `snip` and `grad` take the gradients at the start as given.
* Biases are never masked, as there.

Memory: O(connections). Their quadrant search takes percentiles of whole tensors; here the masked
positions, which all have the same score, are only counted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparse_ref.pruning.counts import Amount, check_amount, percent, truncated_percent
from sparse_ref.pruning.ranks import weakest
from sparse_ref.pruning.weights import (
    Drops,
    Weight,
    check_as_many,
    checked,
    checked_slots,
    is_whole,
    positions_of,
    scores_of,
    slots_of,
    streams_of,
)
from sparse_ref.selection import random_ranks

# Score of each connection; the highest stay. f: final weights, i: initial ones, g: their gradient.
SCORES: dict[str, Callable[[Any, Any, Any], np.ndarray]] = {
    "large_final": lambda f, i, g: np.abs(f),
    "small_final": lambda f, i, g: -np.abs(f),
    "large_init": lambda f, i, g: np.abs(i),
    "small_init": lambda f, i, g: -np.abs(i),
    "magnitude_increase": lambda f, i, g: np.abs(f) - np.abs(i),
    "movement": lambda f, i, g: np.abs(f - i),
    "large_final_same_sign": lambda f, i, g: np.where(_turned(f, i), 0, np.abs(f)),
    "large_final_diff_sign": lambda f, i, g: np.where(_turned(f, i), np.abs(f), 0),
    "magnitude_increase_same_sign": lambda f, i, g: np.where(
        _turned(f, i), 0, np.abs(f) - np.abs(i)
    ),
    "magnitude_increase_diff_sign": lambda f, i, g: np.where(
        _turned(f, i), np.abs(f) - np.abs(i), 0
    ),
    "snip": lambda f, i, g: np.abs(g * i),
    "grad": lambda f, i, g: np.abs(g),
}
CORNERS = {"large_init_large_final": 1, "small_init_small_final": -1}  # sign of both magnitudes
SINGLE = {"large_final_same_sign_single": True, "large_final_diff_sign_single": False}
CRITERIA = (*SCORES, "random", *CORNERS, *SINGLE)
BY_GRADIENT, BY_FINAL = ("snip", "grad"), ("large_final", "small_final", "random")
NEEDS_INITIAL = tuple(name for name in CRITERIA if name not in (*BY_FINAL, "grad"))
SMALLEST_STEP = 1e-4  # of the quadrant search, in percent


@dataclass(frozen=True)
class ZhouCriterion:
    """A mask criterion: of each weight the connections of the lowest score go.

    Parameters
    ----------
    criterion : str
        =================================  =====================================================
        ``large_final``, ``small_final``   ``|w_f|``, ``-|w_f|``
        ``large_init``, ``small_init``     ``|w_i|``, ``-|w_i|``
        ``magnitude_increase``             ``|w_f| - |w_i|``
        ``movement``                       ``|w_f - w_i|``
        ``random``                         any
        ``..._same_sign``                  0 where the sign turned, else as without it
        ``..._diff_sign``                  0 where it did not
        ``..._single``                     no ranking: only the sign decides, the count does not
        ``large_init_large_final``         both magnitudes above the same percentile, which a
                                           search finds; ``small_init_small_final`` below
        ``snip``, ``grad``                 ``|g w_i|``, ``|g|``, g the gradient at the start
        =================================  =====================================================
    keep : float, Fraction, or a tuple of one for each weight
        Part that stays; theirs is 0.8, and 0.9 in the output layer.
    power : int
        ``keep**power`` stays: several rounds at once.

    Examples
    --------
    >>> final, initial = np.array([[0.5, -0.2, 0.3]]), np.array([[0.6, 0.1, 0.1]])
    >>> ZhouCriterion("magnitude_increase", keep=0.6)([final], initial=[initial[0]])[0]
    array([0])
    """

    criterion: str = "large_final"
    keep: Amount | tuple[Amount, ...] = 0.8
    power: int = 1

    def __post_init__(self) -> None:
        if self.criterion not in CRITERIA:
            raise ValueError(
                f"ZhouCriterion: criterion must be one of {list(CRITERIA)}, got {self.criterion!r}"
            )
        for keep in self.keep if isinstance(self.keep, tuple) else (self.keep,):
            check_amount("ZhouCriterion: keep", keep)
            if not 0 <= keep <= 1:
                raise ValueError(f"ZhouCriterion: keep must be in [0, 1], got {keep}")
        if not is_whole(self.power) or self.power < 0:
            raise ValueError(f"ZhouCriterion: power must be a count of rounds, got {self.power!r}")

    def __call__(
        self,
        weights: Sequence[Weight],
        rng: np.random.Generator | None = None,
        initial: Sequence[np.ndarray] | None = None,
        gradients: Sequence[np.ndarray] | None = None,
        held: Sequence[np.ndarray] | None = None,
    ) -> Drops:
        """Slots that the masks leave out from now on, an array for each weight.

        Parameters
        ----------
        weights : sequence of (n_out, n_in) csr_array or ndarray
            Final weights.
        rng : Generator, optional
            A stream a weight is spawned from it: equal scores go at random. Without it, of equal
            scores the higher slots go.
        initial, gradients : sequence of (slots,), optional
            Initial weights and their gradient; needed where the criterion asks for them.
        held : sequence of (n,) int64, optional
            Slots masked before and held still, see `mask_zero`; they are no candidates.
        """
        weights = checked("ZhouCriterion", weights)
        keeps = self.keep if isinstance(self.keep, tuple) else (self.keep,) * len(weights)
        check_as_many("ZhouCriterion", "keep", keeps, weights)
        for what, given, needing in (
            ("initial", initial, NEEDS_INITIAL),
            ("gradients", gradients, BY_GRADIENT),
        ):
            if given is None and self.criterion in needing:
                raise ValueError(f"ZhouCriterion: {self.criterion} needs {what}, got None")
        if rng is None and self.criterion == "random":
            raise ValueError("ZhouCriterion: random needs a generator, got None")
        arrays = [
            scores_of("ZhouCriterion", weights, some, what)
            for some, what in ((None, ""), (initial, "initial"), (gradients, "gradients"))
        ]
        held = [np.empty(0, np.int64)] * len(weights) if held is None else held
        check_as_many("ZhouCriterion", "held", held, weights)
        parts = zip(
            weights,
            *arrays,
            keeps,
            [
                checked_slots("ZhouCriterion", "held", *pair)
                for pair in zip(held, weights, strict=True)
            ],
            streams_of("ZhouCriterion", rng, len(weights)),
            strict=True,
        )
        return tuple(self._drop(*part) for part in parts)

    def _drop(self, weight, final, initial, gradient, keep, held, rng):
        """Slots of one weight."""
        candidates = np.delete(np.arange(slots_of(weight)), held)
        P, ties = percent(keep, self.power), "random" if rng is not None else "keep_low_index"
        n = len(candidates)
        some = [array[candidates] for array in (final, initial, gradient)]
        if self.criterion in CORNERS:
            masked = positions_of(weight) - n
            first, last = (CORNERS[self.criterion] * np.abs(array) for array in some[1::-1])
            stays = _corner(first, last, masked, P, ties, rng)
            return candidates[~stays]
        if self.criterion in SINGLE:
            return candidates[_turned(*some[:2]) == SINGLE[self.criterion]]
        k = truncated_percent(n, P)
        if self.criterion == "random":
            return candidates[random_ranks(n, k, rng)]
        return candidates[weakest(SCORES[self.criterion](*some), k, ties, rng)]


def _turned(final, initial):
    """Where the sign is another one than at the start; 0 has a sign of its own."""
    return np.sign(final) != np.sign(initial)


def _corner(initial, final, masked, P, ties, rng):
    """Which stay: what is not among the lowest of either, at a percentile that leaves `1 - P`.

    As their `bsearch_quadrant_threshold`: percentiles are of all positions, of which `masked` come
    before all others.
    """
    n = len(final)
    if n + masked == 0:
        return np.ones(0, bool)
    target = (masked + n * (P / 100)) / (n + masked) * 100
    both = [(scores, np.sort(scores)) for scores in (initial, final)]

    def pruned(percentile):
        above = [scores >= _percentile(ordered, masked, percentile) for scores, ordered in both]
        bound = masked if _rank(n + masked, percentile) > masked - 1 else 0
        return bound + n - int(np.count_nonzero(above[0] & above[1]))

    found = _searched(pruned, target, int((n + masked) * target / 100))
    stays = np.ones(n, bool)
    for scores, _ in both:
        k = int((n + masked) * found / 100) - masked
        stays[weakest(scores, min(n, max(0, k)), ties, rng)] = False
    return stays


def _searched(pruned, target, count):
    """The percentile at which `count` are pruned, or the upper end of a short interval."""
    low, high = 0.0, target
    middle = (low + high) / 2
    while (now := pruned(middle)) != count:
        if high - low < SMALLEST_STEP:
            return high
        low, high = (low, middle) if now > count else (middle, high)
        middle = (low + high) / 2
    return middle


def _rank(n, percentile):
    return percentile / 100 * (n - 1)


def _percentile(ordered, masked, percentile):
    """NumPy's percentile of `masked` times minus infinity followed by `ordered`."""
    if not masked and len(ordered):
        return np.percentile(ordered, percentile)  # a rank and back would round, and tip the scales
    rank = _rank(len(ordered) + masked, percentile)
    if rank < masked or not len(ordered):
        return -np.inf if rank <= masked - 1 or not len(ordered) else ordered[0]
    return np.percentile(ordered, 100 * (rank - masked) / max(1, len(ordered) - 1))
