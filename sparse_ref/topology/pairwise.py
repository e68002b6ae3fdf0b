"""A distance of every two of many networks, in several processes if wanted.

Figures 3 to 6 of Liu et al. (2020), "Topological Insights into Sparse Neural Networks", are such
matrices: up to 98 networks, 4,753 pairs.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numba
import numpy as np
from scipy.sparse import csr_array

from sparse_ref.topology.nnstd import nnstd
from sparse_ref.topology.patterns import Layers, Topology, layers_of

Distance = Callable[[Any, Any], Any]  # of two topologies: a number, or what float() makes one of
Progress = Callable[[int, int], object]  # told how many pairs are done, and how many there are
CHUNKS = 32  # of pairs for a worker: long enough to be worth sending, short enough to report


def pairwise(
    networks: Sequence[Topology],
    distance: Distance = nnstd,
    *,
    symmetric: bool = True,
    workers: int = 1,
    progress: bool | Progress | None = None,
) -> np.ndarray:
    """The matrix of distances.

    Parameters
    ----------
    networks : sequence of topologies
        n of them: see `sparse_ref.topology.patterns`. To compare first layers only, give these.
    distance : callable
        ``distance(first, second)``: such as `nnstd`, `jaccard_distance`, or one of these with
        options, from `functools.partial`. With several workers it has to be something that can be
        sent to another process: a function of a module, or a partial of one.
    symmetric : bool
        Measure each pair in one direction, the network of the lower number first, and take the
        number for both. False: both directions, which `nnstd` of several layers can tell apart.
    workers : int
        Processes, each with one thread; 1 measures here, with the threads of this process. More
        need joblib (extra ``sweep``). An active ``joblib.parallel_config`` decides what kind of
        workers they are, a cluster for example. Numbers do not depend on any of this.
    progress : bool or callable, optional
        True: a bar in the terminal, which needs rich (extra ``cli``). A callable is told
        ``(done, total)`` in pairs.

    Returns
    -------
    (n, n) float64
        Of row i and column j, the distance of network i from network j. The diagonal is measured.

    Examples
    --------
    >>> from sparse_ref.topology import jaccard_distance
    >>> masks = [np.array([[1, 1, 0]]), np.array([[1, 0, 0]]), np.array([[0, 0, 1]])]
    >>> pairwise(masks, jaccard_distance)
    array([[0. , 0.5, 1. ],
           [0.5, 0. , 1. ],
           [1. , 1. , 0. ]])
    """
    if workers < 1:
        raise ValueError(f"pairwise: workers must be at least 1, got {workers}")
    n = len(networks)
    topologies = [layers_of(network, "pairwise") for network in networks]
    pairs = [(i, j) for i in range(n) for j in range(i if symmetric else 0, n)]
    results = _here if workers == 1 or len(pairs) < 2 else _elsewhere
    matrix = np.zeros((n, n))
    with _reported(progress, len(pairs)) as report:
        for done, ((i, j), value) in enumerate(results(topologies, distance, pairs, workers), 1):
            matrix[i, j] = value
            if symmetric:
                matrix[j, i] = value
            report(done, len(pairs))
    return matrix


def _here(topologies, distance, pairs, _):
    for i, j in pairs:
        yield (i, j), float(distance(topologies[i], topologies[j]))


def _elsewhere(topologies, distance, pairs, workers):
    try:
        from joblib import Parallel, delayed
    except ImportError as error:
        raise ImportError(
            "pairwise: more than one worker needs joblib: "
            'pip install "sparse-ref[sweep]" (or ".[sweep]" in a clone)'
        ) from error
    shelf = _shelved(topologies)
    step = -(-len(pairs) // (CHUNKS * workers))
    chunks = [pairs[first : first + step] for first in range(0, len(pairs), step)]
    parallel = Parallel(n_jobs=workers, return_as="generator_unordered")
    for results in parallel(delayed(_chunk)(shelf, distance, chunk) for chunk in chunks):
        yield from results


def _chunk(shelf, distance, pairs):
    """In a worker."""
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        topologies = {n: _taken(shelf, n) for n in sorted({n for pair in pairs for n in pair})}
        return list(_here(topologies, distance, pairs, 1))
    finally:
        numba.set_num_threads(threads)


class _Shelf(NamedTuple):
    """All networks in three arrays.

    What is sent with every chunk is then as good as nothing: joblib puts arrays of a megabyte and
    more into files once, which all workers map into their memory.
    """

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    places: tuple[tuple[tuple[tuple[int, int], int, int], ...], ...]  # shape, first slot, pointer


def _shelved(topologies: Sequence[Layers]) -> _Shelf:
    places, slot, pointer = [], 0, 0
    for layers in topologies:
        rows = []
        for weight in layers:
            rows.append((weight.shape, slot, pointer))
            slot, pointer = slot + weight.nnz, pointer + len(weight.indptr)
        places.append(tuple(rows))
    weights = [weight for layers in topologies for weight in layers]
    return _Shelf(
        np.concatenate([weight.data for weight in weights]),
        np.concatenate([weight.indices for weight in weights]),
        np.concatenate([weight.indptr for weight in weights]),
        tuple(places),
    )


def _taken(shelf: _Shelf, n: int) -> Layers:
    layers = []
    for shape, slot, pointer in shelf.places[n]:
        indptr = shelf.indptr[pointer : pointer + shape[0] + 1]
        slots = slice(slot, slot + int(indptr[-1]))
        layers.append(csr_array((shelf.data[slots], shelf.indices[slots], indptr), shape=shape))
    return tuple(layers)


@contextmanager
def _reported(progress: bool | Progress | None, total: int) -> Iterator[Progress]:
    """What is to be told about every pair that is done."""
    if callable(progress):
        yield progress
    elif progress:
        with _bar(total) as report:
            yield report
    else:
        yield lambda done, total: None


@contextmanager
def _bar(total):
    try:
        from rich.progress import Progress as Bar
    except ImportError as error:
        raise ImportError(
            "pairwise: a progress bar needs rich: "
            'pip install "sparse-ref[cli]" (or ".[cli]" in a clone)'
        ) from error
    with Bar() as bar:
        task = bar.add_task("pairs", total=total)
        yield lambda done, total: bar.update(task, completed=done)
