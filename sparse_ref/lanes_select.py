"""More functions on `Lanes`: choosing between numbers, and integers and doubles beside floats.

As in `sparse_ref.lanes`, the plain bodies here say what the functions mean and run without the
compiler; `sparse_ref.lanes_select_llvm` has the compiled ones.
"""

import numpy as np
from numba import config


def widen(value):
    """The same numbers in float64."""
    return value.astype(np.float64)


def larger(value, best):
    """`value` where it is larger than `best` or not a number, else `best`, lane by lane."""
    return np.where((value > best) | np.isnan(value), value, best)


def where_larger(value, best, new, old):
    """The number `new` where `larger` takes `value`, else the lane of `old`."""
    return np.where((value > best) | np.isnan(value), old.dtype.type(new), old)


def where_equal(value, number, chosen):
    """The lane of `chosen` where that of `value` equals `number`, else 0."""
    return np.where(value == number, chosen, chosen.dtype.type(0))


def store_whole(array, offset, value):
    """`store` into an array of unsigned integers; the lanes hold whole numbers that fit."""
    array.reshape(-1)[offset : offset + value.size] = value.astype(array.dtype)


def load_whole(array, offset, like):
    """`load` from an array of unsigned integers, as lanes of the kind and number of `like`."""
    return array.reshape(-1)[offset : offset + like.size].astype(like.dtype)


if not config.DISABLE_JIT:
    from sparse_ref import lanes_select_llvm

    widen = lanes_select_llvm.widen
    larger = lanes_select_llvm.larger
    where_larger = lanes_select_llvm.where_larger
    where_equal = lanes_select_llvm.where_equal
    store_whole = lanes_select_llvm.store_whole
    load_whole = lanes_select_llvm.load_whole
