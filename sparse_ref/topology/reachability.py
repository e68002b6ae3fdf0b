"""Whether every output is reached from every input, and by equally many paths.

References
----------
Robinett and Kepner (2019), "RadiX-Net: Structured Sparse Matrices for Deep Neural Networks": a
topology is *path-connected* if every output can be reached from every input, and *symmetric* if all
pairs have the same number of paths. (The definitions are quoted from works that use them.)

Departures
----------
* Paths are counted in float64, which is exact below 2^53; where all pairs have more, nothing is
  said of `symmetric`.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, prange
from scipy.sparse import csr_array

from sparse_ref import csr
from sparse_ref.lanes import ones
from sparse_ref.topology.paths import effective_pattern, effective_units
from sparse_ref.topology.patterns import Topology, chained, of_ones
from sparse_ref.work import SHARES, share

WORD = 64  # inputs that a word has a bit for
WORDS = 8  # words a unit in one go: the cache line that a connection brings
EXACT = 1 << 53  # from here on float64 does not hold every whole number
COLUMNS = 64  # inputs whose paths are counted in one go


class Connectivity(NamedTuple):
    """Of the pairs of an input and an output.

    Attributes
    ----------
    pairs : int
        Those with a path.
    fraction : float
        Those over all; nan if there are none.
    connected : bool
        All have one.
    symmetric : bool or None
        All have equally many. None: all have 2^53 paths or more, so nobody has counted.
    paths : int or None
        That number, where `symmetric`.
    """

    pairs: int
    fraction: float
    connected: bool
    symmetric: bool | None
    paths: int | None


def connectivity(network: Topology, *, pattern: str = "structural") -> Connectivity:
    """Which outputs are reached from which inputs, without making that matrix.

    Parameters
    ----------
    network : topology
        See `patterns`; shapes must chain.
    pattern : str
        See `patterns.pattern_of`.

    Notes
    -----
    A bit for each unit and input says whether there is a path, 512 inputs at a time. With m the
    smaller number of inputs and outputs this takes O(connections * m / 64) steps in general,
    O(connections) for one layer, and ends early where all inputs have reached all units of a layer.
    Memory: 130 bytes a unit of the widest layer beside the pattern. Only where all are connected
    are paths counted, O(connections * m), up to the first pair that has another number.

    Examples
    --------
    >>> ring = np.eye(4) + np.roll(np.eye(4), 1, axis=0)
    >>> connectivity([ring]).fraction, connectivity([ring, ring @ ring > 0])
    (0.5, Connectivity(pairs=16, fraction=1.0, connected=True, symmetric=False, paths=None))
    """
    layers = chained(network, "connectivity", pattern)
    positions = layers[0].shape[1] * layers[-1].shape[0]
    layers = _from_the_narrow_end(effective_pattern(layers))
    pairs = _pairs(layers)
    fraction = pairs / positions if positions else float("nan")
    if 0 < pairs < positions:
        return Connectivity(pairs, fraction, False, False, None)
    symmetric, paths = _common_count(layers) if pairs else (True, 0)
    return Connectivity(pairs, fraction, pairs == positions, symmetric, paths)


def path_counts(network: Topology, *, pattern: str = "structural") -> csr_array:
    """How many paths lead from each input to each output.

    Parameters
    ----------
    network, pattern
        As `connectivity`.

    Returns
    -------
    (n_out, n_in) csr_array of float64
        Whole numbers, exact; only of the pairs that have a path. Deep networks connect most pairs:
        this matrix, and those of the layers on the way to it, can have an entry a position.

    Raises
    ------
    OverflowError
        A pair has 2^53 paths or more.

    Examples
    --------
    >>> path_counts([np.ones((3, 2)), np.array([[1, 1, 0], [0, 0, 0]])]).toarray()
    array([[2., 2.],
           [0., 0.]])
    """
    first, *others = map(_ones, effective_pattern(chained(network, "path_counts", pattern)))
    counts = first
    for layer in others:
        counts = layer @ counts  # no zeros to be dropped: every term is 1 or more
        if counts.nnz and counts.data.max() >= EXACT:
            raise OverflowError(
                f"path_counts: a pair must have fewer than 2^53 paths, got {counts.data.max():.6g}"
            )
    counts.sort_indices()
    return csr_array(counts)


def _ones(layer):
    return csr_array((np.ones(layer.nnz), layer.indices, layer.indptr), shape=layer.shape)


def _from_the_narrow_end(layers):
    """The layers, or backwards and transposed: paths are the same, with fewer inputs."""
    if layers[0].shape[1] <= layers[-1].shape[0]:
        return layers
    return tuple(_transposed(layer) for layer in reversed(layers))


def _transposed(layer):
    by_input = csr.transpose_index(layer)
    starts = np.arange(layer.shape[1], dtype=np.int64) * layer.shape[0]
    return of_ones(layer.shape[::-1], np.repeat(starts, np.diff(by_input.indptr)) + by_input.rows)


def _pairs(layers):
    """How many pairs have a path; all connections are on one."""
    units = [int(alive.sum()) for alive in effective_units(layers)]
    inputs = np.bincount(layers[0].indices, minlength=layers[0].shape[1]) > 0
    widest = max(layer.shape[0] for layer in layers)
    here, there = (_reach(widest) for _ in range(2))
    cursor, pairs = layers[0].indptr[:-1].copy(), 0
    for start in range(0, len(inputs), WORD * WORDS):
        stop = min(start + WORD * WORDS, len(inputs))
        alive = int(inputs[start:stop].sum())
        first = layers[0].indptr, layers[0].indices
        reached = _mark(*first, cursor, start, stop, *here)  # OUT cursor, here
        for k, layer in enumerate(layers[1:], start=1):
            if reached == alive * units[k]:  # all of them: so it stays
                reached = alive * units[-1]
                break
            reached = _unite(layer.indptr, layer.indices, *here, *there)  # OUT there
            here, there = there, here
        pairs += reached
    return pairs


def _reach(units):
    """For each unit the bits of the inputs that reach it, and whether there is any."""
    return np.empty((units, WORDS), np.uint64), np.empty(units, bool)


@njit(parallel=True, cache=True)
def _mark(indptr, indices, cursor, start, stop, out, some):
    # out[i]: a bit for each input in start ... stop - 1 that unit i reads; how many are set.
    # cursor[i] is where unit i's connections from `start` on begin, and moves to those from `stop`.
    bits = 0
    for unit in prange(SHARES):
        for i in range(share(indptr, unit), share(indptr, unit + 1)):
            out[i, :] = 0
            k = cursor[i]
            while k < indptr[i + 1] and indices[k] < stop:
                place = np.uint64(indices[k] - start)
                out[i, place // np.uint64(WORD)] |= np.uint64(1) << place % np.uint64(WORD)
                k += 1
            some[i] = k > cursor[i]
            bits += k - cursor[i]
            cursor[i] = k
    return bits


@njit(parallel=True, cache=True)
def _unite(indptr, indices, reach, some, out, some_out):
    # out[i] = union of reach[j] over the connections from j to i; how many bits are set.
    # Most units are reached by none of few inputs: `some` tells without fetching their bits.
    bits = 0
    for unit in prange(SHARES):
        for i in range(share(indptr, unit), share(indptr, unit + 1)):
            union, found = out[i], 0
            union[:] = 0
            for k in range(indptr[i], indptr[i + 1]):
                if some[indices[k]]:
                    source = reach[indices[k]]
                    for word in range(WORDS):
                        union[word] |= source[word]
            for word in range(WORDS):
                found += ones(union[word])
            some_out[i] = found > 0
            bits += found
    return bits


def _common_count(layers):
    """Whether all pairs have equally many paths, and how many; all have one.

    A sum that has reached 2^53 stays there, and one that has not is exact.
    """
    layers, common, many = [_ones(layer) for layer in layers], None, False
    n_in = layers[0].shape[1]
    for start in range(0, n_in, COLUMNS):
        stop = min(start + COLUMNS, n_in)
        counts = np.zeros((n_in, stop - start))
        counts[np.arange(start, stop), np.arange(stop - start)] = 1
        for layer in layers:
            counts = layer @ counts
        few = counts[counts < EXACT]
        many = many or few.size < counts.size
        if few.size and common is None:
            common = int(few[0])
        if (few != common).any() or (many and common is not None):
            return False, None
    return (None, None) if many else (True, common)
