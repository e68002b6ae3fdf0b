"""Builds, checks and restructures CSR weights: the only module that changes a structure.

A weight is a canonical `scipy.sparse.csr_array` of shape ``(n_out, n_in)``. A connection is a
*slot*: position k of ``weight.data``; what is kept per connection is an array as long as ``data``.
A stored 0.0 is a connection, so SciPy's ``+``, ``-``, ``.multiply`` and ``@`` between sparse
arrays, which drop exact zeros, are not used. The pattern (``indptr``, ``indices``) is read-only.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array, issparse

from sparse_ref import structure, tiles
from sparse_ref.csr_checks import (
    integers,
    refuse_disorder,
    require_ascending,
    require_float,
    require_matrix,
    require_within,
)


class Rewire(NamedTuple):
    """A structural change of one layer, as a value."""

    drop: np.ndarray  # (n_drop,) int64, slots of the old weight, ascending, unique
    grow: np.ndarray  # (n_grow,) int64, flat positions, ascending, unique, absent after the drop
    values: np.ndarray  # (n_grow,) starting weights
    momentum: np.ndarray | None = None  # (n_grow,) the optimizer's first buffer there; None: 0


class TransposedIndex(NamedTuple):
    """Where to find the connections of each input unit: the pattern of the transposed weight."""

    indptr: np.ndarray  # (n_in + 1,)
    rows: np.ndarray  # (nnz,) output unit of each connection, ascending within an input unit
    slots: np.ndarray  # (nnz,) slot of each connection in the weight


def from_dense(dense: np.ndarray, pattern: np.ndarray | None = None) -> csr_array:
    """CSR weight of a dense array.

    Parameters
    ----------
    dense : (n_out, n_in) float32 or float64
    pattern : (n_out, n_in) bool, optional
        Which positions are connections. Without it, the non-zeros are; with it, zeros inside the
        pattern are stored too, and a value outside it is an error.

    Examples
    --------
    >>> w = from_dense(np.array([[0.0, 2.0], [0.0, 3.0]]), np.array([[1, 1], [0, 1]], bool))
    >>> w.data, w.indices
    (array([0., 2., 3.]), array([0, 1, 1], dtype=int32))
    """
    dense = np.asarray(dense)
    require_matrix("from_dense", dense)
    pattern = dense != 0 if pattern is None else np.asarray(pattern, bool)
    if pattern.shape != dense.shape:
        raise ValueError(
            f"from_dense: pattern must have the shape of dense, {dense.shape}, got {pattern.shape}"
        )
    stray = np.flatnonzero((dense != 0) & ~pattern)
    if stray.size:
        row, column = divmod(int(stray[0]), dense.shape[1])
        raise ValueError(
            "from_dense: values outside the pattern must be zero, got "
            f"{dense[row, column]} at row {row}, column {column}"
        )
    positions = np.flatnonzero(pattern)
    return from_positions(dense.shape, positions, dense.reshape(-1)[positions])


def from_positions(shape: tuple[int, int], positions: np.ndarray, values: np.ndarray) -> csr_array:
    """CSR weight with connections at flat `positions`.

    Parameters
    ----------
    shape : (n_out, n_in)
    positions : (nnz,) int64
        ``row * n_in + column``, ascending, unique.
    values : (nnz,) float32 or float64
        Weights in the order of `positions`; copied.
    """
    n_out, n_in = shape
    positions = integers("from_positions", "positions", positions)
    values = np.array(values)
    require_float("from_positions", "values", values.dtype)
    if positions.shape != values.shape:
        raise ValueError(
            "from_positions: positions and values must be one-dimensional and equally long, got "
            "shapes "
            f"{positions.shape} and {values.shape}"
        )
    require_ascending("from_positions", "positions", positions, n_out * n_in)
    rows, columns = np.divmod(positions, n_in)
    return _frozen(values, columns, _pointers(rows, n_out), (n_out, n_in))


def to_dense(weight: csr_array) -> np.ndarray:
    """Dense copy ``(n_out, n_in)``; absent connections are 0. For tests and small layers."""
    return weight.toarray()


def pattern(weight: csr_array) -> np.ndarray:
    """Boolean ``(n_out, n_in)``: True where a connection is stored, whatever its value."""
    mask = np.zeros(weight.shape, bool)
    mask.reshape(-1)[flat(weight)] = True
    return mask


def flat(weight: csr_array) -> np.ndarray:
    """``(nnz,)`` int64 flat positions ``row * n_in + column`` of the slots; ascending."""
    return positions_of(weight, np.arange(weight.nnz))


def positions_of(weight: csr_array, slots: np.ndarray) -> np.ndarray:
    """``(n,)`` int64 flat positions of the connections in `slots`, which ascend."""
    slots = np.ascontiguousarray(slots)
    require_within("positions_of", "slots", slots, 0, weight.nnz)
    out, (indptr, indices, _) = tiles.empty(len(slots), np.int64), _contiguous(weight)
    structure.positions_of(indptr, slots, indices, weight.shape[1], out)
    return out


def positions_without(weight: csr_array, slots: np.ndarray) -> np.ndarray:
    """``(nnz - n,)`` int64 flat positions of all connections but those in `slots`; ascending."""
    kept = np.ones(weight.nnz, bool)
    kept[slots] = False
    out, (indptr, indices, _) = tiles.empty(weight.nnz + 1, np.int64), _contiguous(weight)
    structure.positions_kept(indptr, indices, kept, weight.shape[1], out)
    return out[: weight.nnz - len(slots)]


def check(weight: csr_array, who: str = "check") -> csr_array:
    """Return `weight` if it is a canonical CSR array of float32 or float64, else raise.

    Raises
    ------
    TypeError
        Not a `csr_array`, or not of a floating dtype.
    ValueError
        Indices out of order, repeated or out of range, or lengths that do not fit.
    """
    if not (issparse(weight) and isinstance(weight, csr_array) and weight.ndim == 2):
        raise TypeError(
            f"{who}: weight must be a two-dimensional scipy.sparse.csr_array, "
            f"got {type(weight).__name__}"
        )
    require_float(who, "weight", weight.dtype)
    n_out = weight.shape[0]
    if len(weight.indptr) != n_out + 1:
        raise ValueError(
            f"{who}: indptr must have n_out + 1 = {n_out + 1} entries, got {len(weight.indptr)}"
        )
    if weight.indptr[0] != 0 or np.any(np.diff(weight.indptr) < 0):
        raise ValueError(f"{who}: indptr must start at 0 and never fall, got {weight.indptr}")
    if not weight.indptr[-1] == len(weight.indices) == len(weight.data):
        raise ValueError(
            f"{who}: indptr[-1], indices and data must agree in length, got "
            f"{weight.indptr[-1]}, {len(weight.indices)} and {len(weight.data)}"
        )
    indptr, indices, _ = _contiguous(weight)
    if structure.first_disorder(indptr, indices, weight.shape[1]) >= 0:
        refuse_disorder(weight, who)
    return weight


def freeze(weight: csr_array) -> csr_array:
    """A weight on the same ``data`` whose pattern is read-only."""
    data = np.ascontiguousarray(weight.data)
    return _frozen(data, weight.indices.copy(), weight.indptr.copy(), weight.shape)


def apply(weight: csr_array, rewire: Rewire) -> tuple[csr_array, np.ndarray]:
    """The weight after a structural change; the old one is not touched.

    Parameters
    ----------
    weight : (n_out, n_in) csr_array
    rewire : Rewire

    Returns
    -------
    weight : (n_out, n_in) csr_array
        Survivors keep their bits, grown connections start at ``rewire.values``.
    source : (nnz,) int64
        Slot in the old weight of each slot of the new one, -1 for a grown connection.

    Raises
    ------
    ValueError
        Slots or positions out of range, repeated, unordered; a position that is connected
        already; values that do not fit. Nothing has changed then.
    """
    drop, grow, values = _checked(check(weight, "apply"), rewire)
    kept = np.ones(weight.nnz, bool)
    kept[drop] = False
    n, index = weight.nnz - len(drop) + len(grow), weight.indices.dtype
    new = _moved(weight, drop, grow), tiles.empty(n, index), tiles.empty(n, weight.dtype)
    old, source = _contiguous(weight), tiles.empty(n, np.int64)
    if structure.merge(old, kept, grow, values, weight.shape[1], new, source):
        _refuse_connected(weight, drop, grow)
    indptr, indices, data = new
    return _frozen(data, indices, indptr, weight.shape), source


def carry(old: np.ndarray, source: np.ndarray, grown: float = 0.0) -> np.ndarray:
    """A per-connection array after a structural change.

    Parameters
    ----------
    old : (old nnz,)
        Any array in slot order, for example momentum.
    source : (new nnz,) int64
        From `apply`.
    grown : float
        Value of the entries of grown connections.

    Returns
    -------
    (new nnz,) of old's dtype

    Examples
    --------
    >>> carry(np.array([5.0, 6.0, 7.0]), np.array([0, -1, 2]))
    array([5., 0., 7.])
    """
    require_within("carry", f"source (-1: grown, else a slot of {len(old)})", source, -1, len(old))
    if len(old) == 0:
        return np.full(len(source), grown, old.dtype)
    new = tiles.empty(len(source), old.dtype)
    old, source = np.ascontiguousarray(old), np.ascontiguousarray(source)
    structure.carry(old, source, old.dtype.type(grown), new)
    return new


def transpose_index(weight: csr_array) -> TransposedIndex:
    """The pattern by input unit, for products with the transposed weight; O(nnz)."""
    index = weight.indices.dtype
    sizes = weight.shape[1] + 1, weight.nnz, weight.nnz
    transposed = TransposedIndex(*(tiles.empty(size, index) for size in sizes))
    indptr, indices, _ = _contiguous(weight)
    structure.transpose(indptr, indices, *transposed)
    return transposed


def _contiguous(weight):
    """``(indptr, indices, data)`` as compiled loops need them; copies only of strided arrays."""
    return tuple(map(np.ascontiguousarray, (weight.indptr, weight.indices, weight.data)))


def _moved(weight, drop, grow):
    """The row pointers after `drop` slots have gone and connections at `grow` have come."""
    starts = np.arange(len(weight.indptr)) * weight.shape[1]
    gone, come = np.searchsorted(drop, weight.indptr), np.searchsorted(grow, starts)
    return (weight.indptr - gone + come).astype(weight.indptr.dtype)


def _pointers(rows, n_out):
    pointers = np.zeros(n_out + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=n_out), out=pointers[1:])
    return pointers


def _frozen(data, indices, indptr, shape):
    """Index arrays are int32 wherever that can count: half the memory and bandwidth."""
    index = np.int32 if max(len(data), *shape) <= np.iinfo(np.int32).max else np.int64
    indices, indptr = indices.astype(index, copy=False), indptr.astype(index, copy=False)
    weight = csr_array((data, indices, indptr), shape=shape)
    weight.indices.flags.writeable = weight.indptr.flags.writeable = False
    return weight


def _refuse_connected(weight, drop, grow):
    taken = np.intersect1d(np.delete(flat(weight), drop), grow, assume_unique=True)
    row, column = divmod(int(taken[0]), weight.shape[1])
    raise ValueError(
        f"apply: grow position {taken[0]} is already connected (row {row}, column {column})"
    )


def _checked(weight, rewire):
    drop = integers("apply", "drop", rewire.drop)
    grow = integers("apply", "grow", rewire.grow)
    with np.errstate(over="ignore"):  # what the dtype cannot hold becomes inf and is refused below
        values = np.asarray(rewire.values).astype(weight.dtype)
    require_ascending("apply", "drop slots", drop, weight.nnz)
    require_ascending("apply", "grow positions", grow, math.prod(weight.shape))
    if values.shape != grow.shape:
        raise ValueError(
            f"apply: values must be as many as grow positions, {len(grow)}, "
            f"got shape {values.shape}"
        )
    if not np.isfinite(values).all():
        raise ValueError(f"apply: values must be finite, got {values[~np.isfinite(values)][0]}")
    return drop, grow, values
