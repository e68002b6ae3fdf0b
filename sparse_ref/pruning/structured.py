"""Pruning of whole channels: inputs or outputs of a layer.

A convolution's kernels are stored ``(C_out, C_in * kh * kw)``: an input channel is a block of
``kh * kw`` columns, an output channel a row.

References
----------
Paganini & Forde (2020), Masks2020, section 3.1: "L1", "L2", "L-inf" (which is *minus* infinity in
their program: the smallest magnitude of a channel) and "random structured", along the inputs; their
pruning.py and schemas/, commit 8dd25c1; torch.nn.utils.prune.ln_structured, commit 0345947.

Departures
----------
* Norms are taken in float64, torch takes them in the weights' dtype.
* Of equal norms the lower channel stays; torch does not say which.
* torch's and the paper's random structured pruning draw one number a channel; so does this in
  effect, every subset being equally likely, but from another stream.
* A masked entry counts 0 in every norm, as where torch hands over the masked tensor. Ranking the
  values behind a mask is not possible where there are none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparse_ref.pruning.counts import COUNTS, Amount, check_amount, removed
from sparse_ref.pruning.ranks import check_ties, weakest
from sparse_ref.pruning.weights import (
    Drops,
    Weight,
    checked,
    is_whole,
    scores_of,
    slots_of,
    streams_of,
)
from sparse_ref.selection import random_ranks

NORMS = (1, 2, "fro", np.inf, -np.inf)
ALIVE_RULES = ("any", "all")


class _Channels:
    """What the two have in common: which channels there are, and how many go."""

    amount: Amount
    axis: int
    block: int
    rule: str
    alive_rule: str
    min_channels: int

    def _check(self):
        who = type(self).__name__
        check_amount(who, self.amount)
        _check_layout(who, self.axis, self.block)
        for name, known in (("rule", COUNTS), ("alive_rule", ALIVE_RULES)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{who}: {name} must be one of {list(known)}, got {getattr(self, name)!r}"
                )
        if not is_whole(self.min_channels) or self.min_channels < 0:
            raise ValueError(
                f"{who}: min_channels must be a whole number of at least 0, got {self.min_channels}"
            )

    def _drops(self, weights, choose, rng):
        """Slots of each weight; ``choose(k, alive channels, count, stream)`` finds channels."""
        streams = streams_of(type(self).__name__, rng, len(weights))
        drops = []
        for k, (weight, stream) in enumerate(zip(weights, streams, strict=True)):
            channels, n, size = _channels(type(self).__name__, weight, self.axis, self.block)
            present = np.bincount(channels, minlength=n)
            alive = np.flatnonzero(present >= (size if self.alive_rule == "all" else 1))
            count = removed(len(alive), self.amount, self.rule)
            count = max(0, min(count, len(alive) - self.min_channels))
            gone = np.zeros(n, bool)
            gone[alive[choose(k, alive, count, stream)]] = True
            drops.append(np.flatnonzero(gone[channels]))
        return tuple(drops)


@dataclass(frozen=True)
class RandomStructured(_Channels):
    """Random channels go, every subset of the count equally likely.

    Parameters
    ----------
    amount, axis, block, rule, alive_rule, min_channels
        See `Structured`.
    """

    amount: Amount = 0.2
    axis: int = 1
    block: int = 1
    rule: str = "round_half_even"
    alive_rule: str = "any"
    min_channels: int = 0

    def __post_init__(self) -> None:
        self._check()

    def __call__(self, weights: Sequence[Weight], rng: np.random.Generator | None = None) -> Drops:
        """Slots that go, an array for each weight; a stream a weight is spawned from `rng`."""
        weights = checked("RandomStructured", weights)
        if rng is None:
            raise ValueError("RandomStructured: random pruning needs a generator, got None")
        return self._drops(weights, lambda k, alive, n, s: random_ranks(len(alive), n, s), rng)


@dataclass(frozen=True)
class Structured(_Channels):
    """Channels of the smallest norm go, of each weight by itself.

    Parameters
    ----------
    amount : float, Fraction or int
        Which part of the channels alive goes, or how many.
    q : 1, 2, "fro", inf or -inf
        Norm of a channel over all its entries, absent ones being 0; ``"fro"`` is 2. ``-inf`` is the
        smallest magnitude, so a channel that lacks an entry scores 0.
    axis : int
        1 or -1: inputs; 0 or -2: outputs.
    block : int
        Columns of an input channel, ``kh * kw`` of a convolution.
    rule : str
        See `removed`.
    alive_rule : str
        A channel counts while it has ``any`` connection, or only while it has ``all`` of them.
    min_channels : int
        So many channels stay in any case.
    ties : str
        See `weakest`.

    Examples
    --------
    >>> weight = np.array([[0.9, -0.1, 0.3], [0.2, 0.6, -0.3]])
    >>> Structured(1, q=-np.inf)([weight])[0].tolist()
    [1, 4]
    """

    amount: Amount = 0.2
    q: float | str = 1
    axis: int = 1
    block: int = 1
    rule: str = "round_half_even"
    alive_rule: str = "any"
    min_channels: int = 0
    ties: str = "keep_low_index"

    def __post_init__(self) -> None:
        self._check()
        _check_norm(self.q)
        check_ties("Structured", self.ties)

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
            Numbers whose norms are ranked in the place of the weights'.
        """
        weights = checked("Structured", weights)
        ranked = scores_of("Structured", weights, scores)

        def choose(k, alive, count, stream):
            norms = _norms(weights[k], ranked[k], self.q, self.axis, self.block)
            return weakest(norms[alive], count, self.ties, stream)

        return self._drops(weights, choose, rng)


def channel_norms(weight: Weight, q: float | str = 1, axis: int = 1, block: int = 1) -> np.ndarray:
    """``(channels,)`` float64: the norm of every channel, absent entries being 0.

    Parameters
    ----------
    weight : (n_out, n_in) csr_array or ndarray
    q, axis, block
        See `Structured`.

    Examples
    --------
    >>> channel_norms(np.array([[3.0, 0.0], [4.0, 1.0]]), q=2)
    array([5., 1.])
    """
    (weight,) = checked("channel_norms", [weight])
    _check_layout("channel_norms", axis, block)
    _check_norm(q)
    return _norms(weight, scores_of("channel_norms", [weight], None)[0], q, axis, block)


def _norms(weight, values, q, axis, block):
    channels, n, size = _channels("Structured", weight, axis, block)
    sizes = np.abs(values).astype(np.float64)
    if q == 1:
        return np.bincount(channels, sizes, n)
    if q in (2, "fro"):
        # Each channel by a power of two, which rounds nothing: no square overflows, and one that
        # underflows is too small beside its channel's largest to count.
        tops = np.zeros(n)
        np.maximum.at(tops, channels, sizes)
        shifts = np.frexp(tops)[1]
        squares = np.ldexp(sizes, -shifts[channels]) ** 2
        return np.ldexp(np.sqrt(np.bincount(channels, squares, n)), shifts)
    norms = np.full(n, np.inf if q < 0 else 0.0)
    (np.minimum if q < 0 else np.maximum).at(norms, channels, sizes)
    if q < 0:
        norms[np.bincount(channels, minlength=n) < size] = 0
    return norms


def _channels(who, weight, axis, block):
    """Channel of each slot, how many channels there are, and entries of a complete one."""
    n_out, n_in = weight.shape
    if n_in % block:
        raise ValueError(f"{who}: block must divide the columns, {n_in}, got {block}")
    if isinstance(weight, np.ndarray):
        rows, columns = np.divmod(np.arange(slots_of(weight)), max(n_in, 1))
    else:
        rows, columns = np.repeat(np.arange(n_out), np.diff(weight.indptr)), weight.indices
    if axis % 2 == 0:
        return rows, n_out, n_in
    return columns // block, n_in // block, n_out * block


def _check_layout(who, axis, block):
    if axis not in (-2, -1, 0, 1):
        raise IndexError(f"{who}: axis must be one of a matrix, -2 ... 1, got {axis}")
    if not is_whole(block) or block < 1:
        raise ValueError(f"{who}: block must be a positive number of columns, got {block!r}")
    if axis % 2 == 0 and block != 1:
        raise ValueError(f"{who}: block is of input channels, axis 1, got axis {axis}")


def _check_norm(q):
    if isinstance(q, bool) or q not in NORMS:
        raise ValueError(f"Structured: q must be one of {list(NORMS)}, got {q!r}")
