"""What a loader returns: pictures and labels that belong together, and the checks they share."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike


class Split(NamedTuple):
    """One part of a data set, for example its training images.

    `len(split)` is 2, as of every pair; the number of examples is `len(split.y)`.
    """

    x: np.ndarray  # (n, ...) float32 or float64 in [0, 1]
    y: np.ndarray  # (n,) int64, class labels 0, 1, ...


def checked_split(split: Any, who: str) -> Split:
    """`split` as a `Split`, after checking that `x` and `y` have equally many examples.

    Parameters
    ----------
    split : Split, or any pair (x, y) of arrays
    who : str, the name the error message starts with

    Raises
    ------
    TypeError
        If `split` is not a pair of arrays.
    ValueError
        If the lengths differ, the labels are not one-dimensional, or there are no examples.
    """
    is_pair = isinstance(split, tuple) and len(split) == 2
    if not is_pair or not all(isinstance(part, np.ndarray) for part in split):
        raise TypeError(f"{who}: split must be a pair (x, y) of arrays, got {type(split).__name__}")
    x, y = split
    if y.ndim != 1 or x.ndim < 1 or len(x) != len(y):
        raise ValueError(
            f"{who}: x must be (n, ...) and y (n,) with the same n, got {x.shape} and {y.shape}"
        )
    if len(y) == 0:
        raise ValueError(f"{who}: the split must hold at least one example, got none")
    return Split(x, y)


def checked_dtype(dtype: DTypeLike, who: str) -> np.dtype:
    """`dtype` as a NumPy dtype, which must be float32 or float64.

    Raises
    ------
    TypeError
        For every other kind of number.
    """
    message = f"{who}: dtype must be float32 or float64, got {dtype!r}"
    if dtype is None:  # which NumPy takes for float64
        raise TypeError(message)
    try:
        found = np.dtype(dtype)
    except TypeError as error:
        raise TypeError(message) from error
    if found.name not in ("float32", "float64"):
        raise TypeError(message)
    return found.newbyteorder("=")


def checked_rng(rng: Any, who: str) -> np.random.Generator:
    """`rng` itself, which must be a `numpy.random.Generator`.

    Raises
    ------
    TypeError
        For a seed, `None`, or NumPy's old `RandomState`.
    """
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"{who}: rng must be a numpy.random.Generator, such as np.random.default_rng(seed), "
            f"got {type(rng).__name__}"
        )
    return rng


def checked_count(value: Any, what: str) -> int:
    """`value` as an int of at least 1; `what` is "who: name" for the message.

    Raises
    ------
    TypeError
        If `value` is not an integer (a bool is not).
    ValueError
        If it is less than 1.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{what} must be an integer, got {value!r}")
    if value < 1:
        raise ValueError(f"{what} must be at least 1, got {value}")
    return int(value)
