"""How well a layer mixes: the two largest singular values of its pattern, and Ramanujan bounds.

A layer is a bipartite graph, its pattern the biadjacency matrix. σ₁ is what a layer does to the
mean; the further σ₂ is below it, the better a few steps along connections reach everything. No
graph of large size and degrees d, d' can have a σ₂ much below √(d-1) + √(d'-1); one that is not
above is called Ramanujan.

References
----------
Hoang et al. (2023), "Revisiting Pruning at Initialization Through the Lens of Ramanujan Graph",
ICLR; authors' code: VITA-Group/ramanujan-on-pai, lib/graphs/scores.py. The left side are the
inputs, the right side the outputs.

Departures
----------
* Where the mean degrees are below 3, the code computes nothing and returns None. Here the
  differences to the bounds are nan, and the singular values are still given.
* The code takes the third largest magnitude of the eigenvalues of the bipartite graph, from three
  that a Lanczos method finds in float32. They are ±σ₁, ±σ₂, so that is σ₂; but such a method, begun
  with one vector, cannot see that a value is there twice, which is so in a graph of several equal
  parts. Here connected parts are taken one by one.
* The code weighs connections where it is given weights; here a connection is a 1. Then σ₁ ≥ 1, and
  its ``delta_s``, which returns -1 instead of two numbers for σ₁ < 1, has no counterpart.

Cost
----
Linear in the connections, times the products of an iterative method for parts that are large and
irregular: some hundred where the layer mixes well, 1,300 at most. One that has not settled then is
decomposed as a dense matrix if it has at most four million positions, and refused otherwise: a long
narrow band, for example. 64 float64 a unit.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import svdvals
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from sparse_ref.topology.patterns import pattern_of

LEAST_DEGREE = 3  # mean degree, and units of a subgraph of `imsg`, below which nothing is said
DENSE_POSITIONS = 1 << 18  # a connected part of at most as many is decomposed as a dense matrix
VECTORS, RESTARTS = 64, 20  # of the iterative method
SETTLED = 1e-9  # its relative residual; the error of a singular value is of the order of its square
STILL_DENSE = 1 << 22  # positions of a part that is decomposed as a dense matrix if it fails
ROUNDING = 1e-12  # relative: what singular values that should be equal may differ by

Edges = tuple[np.ndarray, np.ndarray]  # rows and columns of the connections, by row


class Spectrum(NamedTuple):
    """Of one layer; units without connections do not count.

    Attributes
    ----------
    sigma_1, sigma_2 : float
        The largest singular values of the pattern, 0 where there are fewer. They are equal where
        the graph falls into parts with the same σ₁.
    gap : float
        ``σ₁ - σ₂``.
    delta_r : float
        ``√(d̄ᵢₙ - 1) + √(d̄ₒᵤₜ - 1) - σ₂`` with the mean degrees of the inputs and of the outputs. If
        all inputs have one degree and all outputs one, the graph is Ramanujan where this is ≥ 0.
        nan if a mean degree is below 3.
    delta_s : float
        ``2√(σ₁ - 1) - σ₂``; nan likewise.
    parts : int
        Connected parts.
    """

    sigma_1: float
    sigma_2: float
    gap: float
    delta_r: float
    delta_s: float
    parts: int


class MeanGap(NamedTuple):
    """The iterative mean spectral gap, imsg.

    Attributes
    ----------
    delta_r, delta_s : float
        Means over the subgraphs of what stands in `Spectrum`; nan if there are none.
    subgraphs : int
    """

    delta_r: float
    delta_s: float
    subgraphs: int


def spectrum(weight: Any, *, pattern: str = "structural") -> Spectrum:
    """The two largest singular values of a layer's pattern, and how they stand to the bounds.

    Parameters
    ----------
    weight : (n_out, n_in) csr_array or ndarray
    pattern : str
        ``structural``: a stored 0.0 is a connection. ``nonzero``: it is none.

    Raises
    ------
    ArithmeticError
        The iterative method did not settle: the layer is large, irregular and mixes extremely
        slowly.

    Examples
    --------
    Each of seven units reads three of seven inputs, and any two share exactly one.

    >>> fano = np.eye(7) + np.roll(np.eye(7), 1, axis=1) + np.roll(np.eye(7), 3, axis=1)
    >>> found = spectrum(fano)
    >>> round(found.sigma_1, 6), round(found.sigma_2, 6), round(found.delta_r, 6)
    (3.0, 1.414214, 1.414214)
    """
    return _spectrum(_edges(pattern_of(weight, "spectrum", pattern)))


def imsg(weight: Any, *, pattern: str = "structural") -> MeanGap:
    """The mean of the differences to the bounds over subgraphs whose inputs have one degree each.

    There is a subgraph for every degree that three inputs or more have: these inputs and all that
    they feed. Those with a mean degree below 3 do not count. Parameters and errors as for
    `spectrum`.
    """
    rows, columns = _edges(pattern_of(weight, "imsg", pattern))
    degrees = np.bincount(columns)
    found = []
    for degree in np.unique(degrees[degrees > 0]):
        chosen = degrees == degree
        edges = rows[chosen[columns]], columns[chosen[columns]]
        if np.sum(chosen) >= LEAST_DEGREE and min(_mean_degrees(edges)) >= LEAST_DEGREE:
            found.append(_spectrum(edges))
    if not found:
        return MeanGap(math.nan, math.nan, 0)
    means = np.mean([(one.delta_r, one.delta_s) for one in found], axis=0)
    return MeanGap(float(means[0]), float(means[1]), len(found))


def _edges(weight: csr_array) -> Edges:
    return np.repeat(np.arange(weight.shape[0]), np.diff(weight.indptr)), weight.indices


def _mean_degrees(edges: Edges) -> tuple[float, float]:
    """Of the outputs and of the inputs that are connected."""
    rows, columns = (int(np.count_nonzero(np.bincount(ends))) for ends in edges)
    n = len(edges[0])
    return n / max(rows, 1), n / max(columns, 1)


def _spectrum(edges):
    largest = second = 0.0
    bounds, parts = _parts(edges)
    for bound, part in zip(bounds, parts, strict=True):
        if bound <= second * (1 + ROUNDING):
            break  # neither this part nor those that follow can hold a larger one
        largest, second = sorted((largest, second, *_two_largest(part)), reverse=True)[:2]
    delta_r = delta_s = math.nan
    degrees = _mean_degrees(edges)
    if min(degrees) >= LEAST_DEGREE:
        delta_r = sum(math.sqrt(degree - 1) for degree in degrees) - second
        delta_s = 2 * math.sqrt(largest - 1) - second
    return Spectrum(largest, second, largest - second, delta_r, delta_s, len(bounds))


def _parts(edges: Edges) -> tuple[list[float], Iterator[Edges]]:
    """Bounds on the σ₁ of each connected part, highest first, and the parts.

    σ₁² is at most the largest degree of an output times that of an input.
    """
    if not len(edges[0]):
        return [], iter(())
    (_, rows), (_, columns) = (np.unique(ends, return_inverse=True) for ends in edges)
    n_out, n_in = rows[-1] + 1, columns.max() + 1
    indptr = np.searchsorted(rows, np.arange(n_out + n_in + 1))
    both = csr_array((np.ones(len(rows), np.int8), columns + n_out, indptr), (n_out + n_in,) * 2)
    parts, part_of = connected_components(both, directed=False)
    most = np.zeros((2, parts), np.int64)
    np.maximum.at(most[0], part_of[:n_out], np.bincount(rows))
    np.maximum.at(most[1], part_of[n_out:], np.bincount(columns))
    bounds = np.sqrt(most[0] * most[1])
    slots = np.argsort(part_of[rows], kind="stable")
    slots_of = np.split(slots, np.cumsum(np.bincount(part_of[rows]))[:-1])
    order = np.argsort(-bounds, kind="stable")
    return bounds[order].tolist(), ((rows[slots_of[k]], columns[slots_of[k]]) for k in order)


def _two_largest(part: Edges) -> tuple[float, ...]:
    """Singular values of one connected part. The largest is there only once (Perron, Frobenius)."""
    (_, rows), (_, columns) = (np.unique(ends, return_inverse=True) for ends in part)
    n_out, n_in, n = rows[-1] + 1, columns.max() + 1, len(rows)
    if n == n_out * n_in:  # complete: a matrix of ones
        return math.sqrt(n), 0.0
    if n_out == n_in:
        first = np.sort((columns[rows == 0]) % n_in)
        if _is_cyclic(rows, columns, first, n_in):
            return _of_cyclic(first, n_in)
    weight = csr_array((np.ones(n), (rows, columns)), shape=(n_out, n_in))
    if n_out * n_in <= DENSE_POSITIONS:
        return tuple(svdvals(weight.toarray())[:2].tolist())
    return _of_large(weight if n_out <= n_in else weight.T.tocsr())


def _is_cyclic(rows, columns, first, n):
    """Whether each row is the one before it, moved on by one: layers of RadiX-Nets are."""
    if len(rows) != n * len(first):
        return False
    shifts = np.sort(((columns - rows) % n).reshape(n, len(first)), axis=1)
    return np.array_equal(rows.reshape(n, -1)[:, 0], np.arange(n)) and bool(np.all(shifts == first))


def _of_cyclic(first, n):
    """Of a cyclic matrix they are the magnitudes of the Fourier transform of a row."""
    row = np.zeros(n)
    row[first] = 1
    return tuple(np.sort(np.abs(np.fft.fft(row)))[:-3:-1].tolist())


def _of_large(weight):
    """From the eigenvectors of the Gram matrix of its rows, which are not more than its columns."""
    transposed = weight.T.tocsr()
    try:
        vectors = _eigenvectors(weight, transposed)
    except ArpackNoConvergence as error:
        if math.prod(weight.shape) > STILL_DENSE:
            raise ArithmeticError(
                f"spectrum: the second singular value must settle within {RESTARTS} restarts, but "
                f"a part of {weight.shape[0]} x {weight.shape[1]} units mixes too slowly for that"
            ) from error
        return tuple(svdvals(weight.toarray())[:2].tolist())
    return tuple(svdvals(transposed @ vectors).tolist())  # more exact than roots of eigenvalues


def _eigenvectors(weight, transposed):
    """The two of the largest eigenvalues of the Gram matrix."""
    n = weight.shape[0]
    if n < VECTORS:
        return np.linalg.eigh((weight @ transposed).toarray())[1][:, -2:]
    gram = LinearOperator((n, n), matvec=lambda x: weight @ (transposed @ x.ravel()), dtype=float)
    # The same in every run, and of all frequencies alike, so that it misses no eigenvector.
    start = np.cos(math.sqrt(2) * np.arange(n) ** 2.0)
    limits = {"ncv": VECTORS, "maxiter": RESTARTS, "tol": SETTLED}
    return eigsh(gram, 2, which="LA", v0=start, **limits)[1]
