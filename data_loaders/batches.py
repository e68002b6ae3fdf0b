"""Cuts a split into pieces: mini-batches, a part held out for validation, the first examples."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from data_loaders.split import Split, checked_count, checked_rng, checked_split

HOW = ("random", "stratified")


def batches(
    split: Split,
    batch_size: int,
    rng: np.random.Generator | None = None,
    *,
    drop_last: bool = False,
    augment: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None,
) -> Iterator[Split]:
    """The examples of `split` in mini-batches, each example once.

    Parameters
    ----------
    split : Split of n examples
    batch_size : int, examples in a batch; the last batch has what remains
    rng : shuffles the examples, with one permutation drawn when `batches` is called; None keeps
        their order, and then the batches are views
    drop_last : bool, leave out a last batch that is smaller than `batch_size`
    augment : `(x, rng) -> x`, such as `augmentation("parger_2022")`, applied to the images of each
        batch when it is taken, with the same `rng`, which it needs

    Returns
    -------
    Iterator of Split. Arguments are checked at the call, not at the first batch.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or value, `drop_last` would leave no batch, or `augment`
        comes without `rng`.

    Examples
    --------
    >>> split = Split(np.zeros((5, 3)), np.arange(5))
    >>> [batch.y.tolist() for batch in batches(split, 2)]
    [[0, 1], [2, 3], [4]]
    """
    split = checked_split(split, "batches")
    size = checked_count(batch_size, "batches: batch_size")
    n = len(split.y)
    if drop_last and size > n:
        raise ValueError(
            f"batches: batch_size must be at most the number of examples, {n}, where drop_last is "
            f"true, got {size}"
        )
    if augment is not None and rng is None:
        raise ValueError("batches: augment draws at random and needs rng, got None")
    order = None if rng is None else checked_rng(rng, "batches").permutation(n)
    stop = n - n % size if drop_last else n
    cut = _cut(split, order, range(0, stop, size), size)
    if augment is None or rng is None:
        return cut
    return (Split(augment(batch.x, rng), batch.y) for batch in cut)


def hold_out(
    split: Split, size: float, rng: np.random.Generator, *, how: str = "random"
) -> tuple[Split, Split]:
    """Split into a training and a validation part, each in the original order.

    Parameters
    ----------
    split : Split of n examples
    size : how much to hold out for validation: an int is a number of examples, 1 ... n - 1; a float
        is a fraction of them, 0 < size < 1, rounded to the nearest number (half to even)
    rng : draws the examples
    how : "random", or "stratified": each class gives its share, to the nearest example by largest
        remainder (ties to the lower class), so that the total is exact

    Returns
    -------
    training, validation : Split

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or value, or a part would be empty.

    Examples
    --------
    >>> split = Split(np.zeros((10, 3)), np.repeat([0, 1], 5))
    >>> training, validation = hold_out(split, 0.4, np.random.default_rng(7), how="stratified")
    >>> validation.y.tolist()
    [0, 0, 1, 1]
    """
    split = checked_split(split, "hold_out")
    n = len(split.y)
    count = _held_out_count(size, n)
    rng = checked_rng(rng, "hold_out")
    if how not in HOW:
        raise ValueError(f"hold_out: how must be one of {', '.join(HOW)}, got {how!r}")
    chosen = _stratified(split.y, count, rng) if how == "stratified" else rng.permutation(n)[:count]
    held = np.zeros(n, dtype=bool)
    held[chosen] = True
    return Split(split.x[~held], split.y[~held]), Split(split.x[held], split.y[held])


def take(split: Split, n: int) -> Split:
    """The first `n` examples, as views.

    Raises
    ------
    TypeError, ValueError
        If `n` is not an integer from 1 to the number of examples.
    """
    split = checked_split(split, "take")
    count = checked_count(n, "take: n")
    if count > len(split.y):
        raise ValueError(
            f"take: n must be at most the number of examples, {len(split.y)}, got {count}"
        )
    return Split(split.x[:count], split.y[:count])


def _cut(split: Split, order: np.ndarray | None, starts: range, size: int) -> Iterator[Split]:
    for start in starts:
        stop = start + size
        chosen = slice(start, stop) if order is None else order[start:stop]
        yield Split(split.x[chosen], split.y[chosen])


def _held_out_count(size: Any, n: int) -> int:
    if isinstance(size, bool) or not isinstance(size, int | float | np.integer | np.floating):
        raise TypeError(f"hold_out: size must be a number, got {size!r}")
    is_fraction = isinstance(size, float | np.floating)
    if is_fraction and not 0 < size < 1:
        raise ValueError(
            f"hold_out: size as a fraction must be in (0, 1), got {size}; a number of examples is "
            "an int"
        )
    count = round(float(size) * n) if is_fraction else int(size)
    if not 1 <= count <= n - 1:
        raise ValueError(
            f"hold_out: size must leave both parts at least one of the {n} examples, got {size}, "
            f"which holds out {count}"
        )
    return count


def _stratified(y: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of `count` examples, shared among the classes by largest remainder in integers."""
    classes, sizes = np.unique(y, return_counts=True)
    shares, remainders = np.divmod(sizes.astype(np.int64) * count, len(y))
    most = np.argsort(-remainders, kind="stable")[: count - shares.sum()]
    shares[most] += 1
    return np.concatenate(
        [
            rng.permutation(np.flatnonzero(y == label))[:share]
            for label, share in zip(classes, shares, strict=True)
        ]
    )
