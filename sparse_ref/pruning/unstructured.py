"""Magnitude and random pruning of single connections.

References
----------
Paganini & Forde (2020), "On iterative neural network pruning, reinitialization, and the similarity
of masks" (Masks2020), section 3.1: "L1 unstructured", "random unstructured"; torch.nn.utils.prune,
whose amounts and errors are taken over. Han et al. (2015). The other codes: `sparse_ref.pruning`.

Departures
----------
* torch does not say which of equal magnitudes stay; here the lower flat index does.
* torch and Masks2020 rank, from the second call on, the weights of the last forward pass, which are
  those before the last update. Here the weights handed over are ranked; hand over `scores` for
  others (torch's ``importance_scores``).
* open-lth's LeNet leaves the output layer out (``exclude=(-1,)``), google-lth's halves its rate
  (``amount=(0.2, 0.2, 0.1)``): that is the model's, not the convention's.
* tfmot ranks masked zeros with the rest; where it keeps more than there are non-zeros it lets some
  of them in. Here an absent connection stays absent.
"""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from typing import Any, ClassVar

import numpy as np

from sparse_ref.bundles import conventional
from sparse_ref.pruning.counts import COUNTS, Amount, check_amount, removed
from sparse_ref.pruning.ranks import check_ties, weakest
from sparse_ref.pruning.weights import (
    Drops,
    Weight,
    check_as_many,
    check_excluded,
    check_generator,
    checked,
    positions_of,
    scores_of,
    slots_of,
    streams_of,
)
from sparse_ref.selection import random_ranks

SCOPES, BASES = ("local", "global"), ("remaining", "original")
NONE = np.empty(0, np.int64)
Amounts = Amount | tuple[Amount, ...]


class _Unstructured:
    """What the two have in common: how many of which weights."""

    amount: Amounts
    scope: str
    rule: str
    of: str
    exclude: tuple[int, ...]
    count_excluded: bool

    def _check(self):
        who = type(self).__name__
        for amount in self.amount if isinstance(self.amount, tuple) else (self.amount,):
            check_amount(who, amount)
        check_excluded(who, self.exclude)
        for name, known in (("scope", SCOPES), ("rule", COUNTS), ("of", BASES)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{who}: {name} must be one of {list(known)}, got {getattr(self, name)!r}"
                )
        if self.scope == "global" and isinstance(self.amount, tuple):
            raise ValueError(f"{who}: amounts of each layer need scope='local', got 'global'")
        if self.count_excluded and self.scope == "local":
            raise ValueError(f"{who}: count_excluded needs scope='global', got 'local'")

    def _drops(self, weights, choose, rng):
        """Slots of each weight; ``choose(weights, count, stream)`` finds them in a pool."""
        who, n = type(self).__name__, len(weights)
        if rng is not None:
            check_generator(who, rng)
        amounts = self.amount if isinstance(self.amount, tuple) else (self.amount,) * n
        check_as_many(who, "amount", amounts, weights)
        pruned = _included(who, self.exclude, n)
        drops = [NONE] * n
        if self.scope == "global":
            counted = range(n) if self.count_excluded else pruned
            alive, positions = (
                sum(map(size, (weights[k] for k in counted))) for size in (slots_of, positions_of)
            )
            chosen = choose(pruned, self._count(alive, positions, self.amount), rng)
            for k, part in zip(pruned, _split(chosen, [weights[k] for k in pruned]), strict=True):
                drops[k] = part
            return tuple(drops)
        streams = streams_of(who, rng, n)
        for k in pruned:
            count = self._count(slots_of(weights[k]), positions_of(weights[k]), amounts[k])
            drops[k] = choose([k], count, streams[k])
        return tuple(drops)

    def _count(self, alive, positions, amount):
        """How many go now; a part of the original has those to its credit that went before."""
        n = alive if self.of == "remaining" else positions
        return max(0, removed(n, amount, self.rule) - (n - alive))


@dataclass(frozen=True)
class Random(_Unstructured):
    """Random pruning: connections that are there go, every subset of the count equally likely.

    Parameters
    ----------
    amount, scope, rule, of, exclude, count_excluded
        See `Magnitude`.
    """

    amount: Amounts = 0.2
    scope: str = "local"
    rule: str = "round_half_even"
    of: str = "remaining"
    exclude: tuple[int, ...] = ()
    count_excluded: bool = False

    def __post_init__(self) -> None:
        self._check()

    def __call__(self, weights: Sequence[Weight], rng: np.random.Generator | None = None) -> Drops:
        """Slots that go, an array for each weight; a stream a weight is spawned from `rng`."""
        weights = checked("Random", weights)
        if rng is None:
            raise ValueError("Random: random pruning needs a generator, got None")

        def choose(ks, count, stream):
            n = sum(slots_of(weights[k]) for k in ks)
            return random_ranks(n, _within("Random", count, n), stream)

        return self._drops(weights, choose, rng)


@conventional
@dataclass(frozen=True)
class Magnitude(_Unstructured):
    """Magnitude pruning: connections of the smallest ``|w|`` go.

    Parameters
    ----------
    amount : float, Fraction or int, or a tuple of them
        Which part of the connections goes, or how many; a tuple has one for each weight.
    scope : str
        ``local``: of each weight. ``global``: of all in one pool, in the order given.
    rule : str
        How many that makes, see `removed`.
    of : str
        The amount is a part of what is ``remaining``, so calls compound; or of what there was
        originally, all positions: a call removes what is missing to that.
    exclude : tuple of int
        Weights that are left alone, counted from the end where negative.
    count_excluded : bool
        With scope ``global``: the amount is a part of all, what is excluded too (open-lth).
    ties : str
        See `weakest`.
    convention : str
        A public code's rules; options given beside it overrule them.

        ==============  ========================================================================
        ``paper``       Masks2020 and ours: the defaults
        ``torch``       the same
        ``google-lth``  ``npround_plus_one``, ``drop_all``
        ``open-lth``    ``ceil_plus_one``, ``drop_all``, ``global``, ``count_excluded``
        ``zhou``        ``trunc_percent``, ``random``
        ``tfmot``       ``kept_half_even_f32``, ``keep_all``, of the ``original``
        ==============  ========================================================================

    Examples
    --------
    >>> weight = np.arange(1.0, 11.0).reshape(2, 5)
    >>> [Magnitude(0.2, convention=c)([weight])[0].tolist() for c in ("torch", "open-lth")]
    [[0, 1], [0, 1, 2]]
    """

    amount: Amounts = 0.2
    scope: str = "local"
    rule: str = "round_half_even"
    of: str = "remaining"
    exclude: tuple[int, ...] = ()
    count_excluded: bool = False
    ties: str = "keep_low_index"
    convention: InitVar[str] = "paper"

    conventions: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {},
        "torch": {},
        "google-lth": {"rule": "npround_plus_one", "ties": "drop_all"},
        "open-lth": {
            "scope": "global",
            "rule": "ceil_plus_one",
            "count_excluded": True,
            "ties": "drop_all",
        },
        "zhou": {"rule": "trunc_percent", "ties": "random"},
        "tfmot": {"rule": "kept_half_even_f32", "of": "original", "ties": "keep_all"},
    }

    def __post_init__(self, convention: str) -> None:
        self._check()
        check_ties("Magnitude", self.ties)

    def __call__(
        self,
        weights: Sequence[Weight],
        rng: np.random.Generator | None = None,
        scores: Sequence[np.ndarray] | None = None,
    ) -> Drops:
        """Slots that go, an array for each weight.

        Parameters
        ----------
        weights : sequence of (n_out, n_in) csr_array or ndarray
        rng : Generator, optional
            For ties at random.
        scores : sequence of (slots,), optional
            Numbers whose magnitude is ranked in the place of the weights.
        """
        weights = checked("Magnitude", weights)
        ranked = scores_of("Magnitude", weights, scores)

        def choose(ks, count, stream):
            pool = np.abs(np.concatenate([ranked[k] for k in ks])) if ks else np.empty(0)
            return weakest(pool, _within("Magnitude", count, len(pool)), self.ties, stream)

        return self._drops(weights, choose, rng)


def _included(who, exclude, n):
    """Numbers of the weights that are pruned."""
    for k in exclude:
        if not -n <= k < n:
            raise ValueError(f"{who}: exclude must name weights, of which there are {n}, got {k}")
    out = {k % n for k in exclude}
    return [k for k in range(n) if k not in out]


def _within(who, count, n):
    if count > n:
        raise ValueError(f"{who}: no more can go than there are, {n}, got {count}")
    return count


def _split(chosen, weights):
    """Slots in a pool of all weights as slots of each."""
    ends = np.cumsum([slots_of(weight) for weight in weights], dtype=np.int64)
    starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
    parts = np.split(chosen, np.searchsorted(chosen, ends[:-1])) if len(ends) else []
    return [part - start for part, start in zip(parts, starts, strict=True)]
