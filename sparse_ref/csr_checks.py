"""What `sparse_ref.csr` refuses, and in which words."""

import math

import numpy as np


def integers(who, name, array):
    """A one-dimensional int64 array, or an error."""
    array = np.asarray(array)
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"{who}: {name} must hold integers, got dtype {array.dtype}")
    if array.ndim != 1:
        raise ValueError(f"{who}: {name} must be one-dimensional, got shape {array.shape}")
    return array.astype(np.int64)


def require_ascending(who, what, array, stop):
    """Refuse an array that is not strictly ascending within ``0 ... stop - 1``."""
    wrong = np.flatnonzero(np.diff(array) <= 0)
    if wrong.size:
        k = int(wrong[0])
        raise ValueError(
            f"{who}: {what} must be ascending and unique, got {array[k]} before {array[k + 1]}"
        )
    require_within(who, what, array, 0, stop)


def require_within(who, what, array, low, stop):
    """Refuse the array and name an offender, the least or the largest."""
    for worst in (array.min(), array.max()) if array.size else ():
        if not low <= worst < stop:
            raise ValueError(f"{who}: {what} must be in [{low}, {stop}), got {worst}")


def require_matrix(who, dense):
    """Refuse what is not a matrix of floats."""
    if dense.ndim != 2:
        raise ValueError(f"{who}: dense must have two dimensions, got shape {dense.shape}")
    require_float(who, "dense", dense.dtype)


def require_float(who, name, dtype):
    """Refuse another dtype than float32 and float64."""
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"{who}: {name} must be float32 or float64, got {dtype}")


def refuse_disorder(weight, who):
    """Name the first connection that is out of range or out of order."""
    require_within(who, "column indices", weight.indices, 0, weight.shape[1])
    rows = np.repeat(np.arange(weight.shape[0], dtype=np.int64), np.diff(weight.indptr))
    positions = rows * weight.shape[1] + weight.indices
    require_ascending(who, "connections (row * n_in + column)", positions, math.prod(weight.shape))
