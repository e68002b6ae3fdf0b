"""A layer of 100,000 x 100,000 with a million connections goes through every measure but NNSTD.

One bit a position would be 1.25 GB. `tracemalloc` sees every array of NumPy and SciPy, touched or
not (see `test_memory`); what compiled loops allocate themselves, the last test sees in the resident
memory of a process.
"""

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_memory import MIB, peak_of

from sparse_ref import Linear, Network, ReLU, csr, recorders, selection, topology
from sparse_ref.downsize import downsize
from sparse_ref.history import Epoch, History

ROOT = Path(__file__).resolve().parent.parent
N, NNZ = 100_000, 1_000_000
MOST = 256 * MIB  # of arrays at one time, beside the layers: 256 bytes a connection


def layer(seed):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(NNZ).astype(np.float32)
    return csr.from_positions((N, N), selection.random_ranks(N * N, NNZ, rng), values)


def degree_correlation(one, two):
    return topology.correlation(topology.in_degrees(one), topology.in_degrees(two), "spearman")


def archive(one, two, path):
    topology.save_topologies(path, {0: one, 1: two})
    return topology.load_topologies(path)


def recorded(one, two):
    net, other = (Network([Linear(weight)]) for weight in (one, two))
    for make in (recorders.Topologies, recorders.Degrees, recorders.Exploration):
        made = make(net)
        made(other, Epoch(1, 0.0, 0.0, 0.0, (NNZ,), 0.0), History())


# Each of one weight or two; a chain of two is [one, two].
MEASURES = {
    "connectivity": lambda one, two: topology.connectivity([one]),
    "connectivity of two": lambda one, two: topology.connectivity([one, two]),
    "correlation": degree_correlation,
    "downsize": lambda one, two: downsize(Network([Linear(one), ReLU(), Linear(two)])),
    "effective_pattern": lambda one, two: topology.effective_pattern([one, two]),
    "effective_sparsity": lambda one, two: topology.effective_sparsity([one, two]),
    "emptiness": lambda one, two: topology.emptiness([one, two]),
    "explored": lambda one, two: topology.explored([csr.flat(one)], [csr.flat(two)]),
    "hamming_distance": lambda one, two: topology.hamming_distance(one, two),
    "imsg": lambda one, two: topology.imsg(one),
    "jaccard_distance": lambda one, two: topology.jaccard_distance(one, two),
    "out_degrees": lambda one, two: topology.out_degrees(one),
    "path_counts": lambda one, two: topology.path_counts([one]),
    "recorders": recorded,
    "spectrum": lambda one, two: topology.spectrum(one),
    "survivors": lambda one, two: [topology.survivors([one, two], r) for r in ("rigl", "local")],
    "weight_stability": lambda one, two: topology.weight_stability([one, two]),
}
# More pairs are connected than there are connections: what is made is that large, ten million.
LARGER = {"path_counts of two": lambda one, two: topology.path_counts([one, two])}


@pytest.fixture(scope="module")
def pair():
    return layer(653), layer(659)


SLOW = {"spectrum"}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in sorted(MEASURES)]
)
def test_a_measure_takes_memory_in_proportion_to_the_connections(name, pair):
    peak, _ = peak_of(lambda: MEASURES[name](*pair))
    assert peak < MOST


def test_an_archive_takes_memory_in_proportion_to_the_connections(pair, tmp_path):
    peak, loaded = peak_of(lambda: archive(*pair, tmp_path / "t.npz"))
    assert peak < MOST
    assert loaded[1][0].nnz == NNZ
    assert (tmp_path / "t.npz").stat().st_size < 2 * 2 * NNZ  # gaps of 10,000: two bytes each


def run_all(folder):
    """All of them, one after the other; the most memory the process ever held."""
    one, two = layer(653), layer(659)
    for measure in (*MEASURES.values(), *LARGER.values()):
        measure(one, two)
    archive(one, two, Path(folder) / "t.npz")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux only")
def test_all_of_them_stay_under_a_gigabyte(tmp_path):
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import test_topology_large as t; print(t.run_all({str(tmp_path)!r}))",
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(result.stdout) < 1 << 30
