"""The products with a sparse weight, against dense loops."""

import functools
import itertools
import os
import subprocess
import sys

import naive
import numba
import numpy as np
import pytest

from sparse_ref import csr, kernels
from sparse_ref.kernels import WIDTHS, gather_tiles, gradient_rows, sddmm, spmm

DTYPES = (np.float32, np.float64)
PATTERNS = ("random", "empty rows", "empty", "full", "one")
every_width = pytest.mark.parametrize("width", WIDTHS)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_pattern = pytest.mark.parametrize("kind", PATTERNS)


def make_pattern(kind, shape, rng):
    if kind == "random":
        return rng.random(shape) < 0.4
    if kind == "empty rows":
        return (rng.random(shape) < 0.6) & (np.arange(shape[0]) % 2 == 1)[:, None]
    present = np.full(shape, kind == "full")
    present[shape[0] // 2, shape[1] // 3] |= kind == "one"
    return present


class Problem:
    """One layer and one batch, with integers for values if `exact`."""

    def __init__(self, kind, dtype, width, n_tiles=2, shape=(9, 7), exact=False):
        rng = np.random.default_rng([width, n_tiles, PATTERNS.index(kind)])
        n_out, n_in = shape
        self.present = make_pattern(kind, shape, rng)
        dense, self.bias, self.x, self.delta = (
            (rng.integers(-9, 10, s) if exact else rng.standard_normal(s)).astype(dtype)
            for s in (shape, n_out, (n_tiles, n_in, width), (n_tiles, n_out, width))
        )
        self.dense = np.where(self.present, dense, 0)
        self.weight = csr.from_dense(self.dense, self.present)
        self.connected = self.weight.indptr, self.weight.indices

    def product(self):
        out = np.full(self.delta.shape, np.nan, self.x.dtype)  # what is not written shows
        spmm(*self.connected, self.weight.data, self.bias, self.x, out)
        return out

    def gradients(self):
        weight = np.full(self.weight.nnz, np.nan, self.x.dtype)
        bias = np.full(len(self.bias), np.nan, self.x.dtype)
        sddmm(*self.connected, self.delta, self.x, weight, bias)
        return weight, bias

    def rows(self, first, last):
        out = np.full((last - first, self.x.shape[1]), np.nan, self.x.dtype)
        gradient_rows(first, self.delta, self.x, out)
        return out


# Integers: every sum is exact in any order, so nothing needs a tolerance --------------------------


@every_pattern
@every_width
@every_dtype
def test_spmm_is_the_product_with_the_dense_weight(kind, width, dtype):
    problem = Problem(kind, dtype, width, exact=True)
    ref = naive.product(problem.dense, problem.bias, problem.x)
    comp = problem.product()
    np.testing.assert_array_equal(ref, comp)


@every_pattern
@every_width
@every_dtype
def test_sddmm_is_the_dense_gradient_at_the_connections(kind, width, dtype):
    problem = Problem(kind, dtype, width, exact=True)
    ref = naive.weight_gradient(problem.delta, problem.x)[problem.present]
    comp, _ = problem.gradients()
    np.testing.assert_array_equal(ref, comp)


@every_pattern
@every_width
@every_dtype
def test_sddmm_sums_delta_for_the_bias(kind, width, dtype):
    problem = Problem(kind, dtype, width, exact=True)
    ref = naive.bias_gradient(problem.delta)
    _, comp = problem.gradients()
    np.testing.assert_array_equal(ref, comp)


@every_width
@every_dtype
def test_gradient_rows_are_the_rows_of_the_dense_gradient(width, dtype):
    problem = Problem("random", dtype, width, exact=True)
    ref = naive.weight_gradient(problem.delta, problem.x)[2:6]
    comp = problem.rows(2, 6)
    np.testing.assert_array_equal(ref, comp)


@pytest.mark.parametrize("n_tiles", [1, 2, 5])
@pytest.mark.parametrize("n_out", [1, 32, 33, 70])  # a unit of parallel work is 32 rows
def test_spmm_covers_every_tile_and_unit_of_rows(n_tiles, n_out):
    problem = Problem("random", np.float64, 8, n_tiles, (n_out, 5), exact=True)
    ref = naive.product(problem.dense, problem.bias, problem.x)
    comp = problem.product()
    np.testing.assert_array_equal(ref, comp)


@pytest.mark.parametrize("n_tiles", [1, 2, 5])
@pytest.mark.parametrize("n_out", [1, 32, 33, 70])
def test_sddmm_covers_every_tile_and_unit_of_rows(n_tiles, n_out):
    problem = Problem("random", np.float64, 8, n_tiles, (n_out, 5), exact=True)
    ref = naive.weight_gradient(problem.delta, problem.x)[problem.present]
    comp, _ = problem.gradients()
    np.testing.assert_array_equal(ref, comp)


@every_dtype
def test_no_examples_give_zero_gradients(dtype):
    # "Written", say the docstrings: a sum over no tiles is 0, not what the memory held before.
    problem = Problem("random", dtype, 16, n_tiles=0)
    ref = np.zeros(problem.weight.nnz, dtype), np.zeros(len(problem.bias), dtype)
    comp = problem.gradients()
    np.testing.assert_array_equal(np.concatenate(ref), np.concatenate(comp))


@every_dtype
def test_no_examples_give_zero_gradient_rows(dtype):
    problem = Problem("random", dtype, 16, n_tiles=0)
    ref = np.zeros((4, 7), dtype)
    comp = problem.rows(2, 6)
    np.testing.assert_array_equal(ref, comp)


# Real numbers: the order of summation is part of the contract -------------------------------------


@every_width
@every_dtype
def test_spmm_adds_the_connections_of_a_row_in_order_each_fused(width, dtype):
    problem = Problem("random", dtype, width, n_tiles=1, shape=(3, 6))
    ref = np.zeros((1, 3, width), dtype)
    for i, lane in np.ndindex(3, width):
        ref[0, i, lane] = problem.bias[i]
        for j in np.flatnonzero(problem.present[i]):
            product = problem.dense[i, j], problem.x[0, j, lane]
            ref[0, i, lane] = naive.multiply_add(*product, ref[0, i, lane])
    comp = problem.product()
    np.testing.assert_array_equal(ref, comp)


@every_width
@every_dtype
def test_sddmm_adds_the_lane_sums_of_the_tiles_in_order(width, dtype):
    problem = Problem("random", dtype, width, n_tiles=2, shape=(3, 4))
    ref = [
        naive.lane_dot(problem.delta[0, i], problem.x[0, j])
        + naive.lane_dot(problem.delta[1, i], problem.x[1, j])
        for i, j in np.argwhere(problem.present)
    ]
    comp, _ = problem.gradients()
    np.testing.assert_array_equal(ref, comp)


@every_width
@every_dtype
def test_sddmm_adds_the_bias_sums_of_the_tiles_in_order(width, dtype):
    problem = Problem("random", dtype, width, n_tiles=2)
    ref = [naive.lane_total(d[0]) + naive.lane_total(d[1]) for d in problem.delta.swapaxes(0, 1)]
    _, comp = problem.gradients()
    np.testing.assert_array_equal(ref, comp)


@every_pattern
@every_width
@every_dtype
def test_sddmm_and_gradient_rows_agree_to_the_bit(kind, width, dtype):
    problem = Problem(kind, dtype, width, n_tiles=3)
    ref = problem.rows(0, 9)[problem.present]
    comp, _ = problem.gradients()
    np.testing.assert_array_equal(ref, comp)


@every_width
@every_dtype
def test_spmm_on_the_transposed_index_is_the_product_with_the_transpose(width, dtype):
    problem = Problem("random", dtype, width, exact=True)
    index, n_in = csr.transpose_index(problem.weight), problem.x.shape[1]
    ref = naive.product(problem.dense.T, np.zeros(n_in), problem.delta)
    comp, zero = np.full(problem.x.shape, np.nan, dtype), np.zeros(n_in, dtype)
    values = problem.weight.data[index.slots]
    spmm(index.indptr, index.rows, values, zero, problem.delta, comp)
    np.testing.assert_array_equal(ref, comp)


def bytes_with_threads(n, problem):
    before = numba.get_num_threads()
    numba.set_num_threads(n)
    try:
        results = problem.product(), *problem.gradients(), problem.rows(1, len(problem.bias))
    finally:
        numba.set_num_threads(before)
    return [result.tobytes() for result in results]


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one core: no second thread")
@every_width
@every_dtype
def test_results_do_not_depend_on_the_number_of_threads(width, dtype):
    problem = Problem("random", dtype, width, n_tiles=5, shape=(90, 40))
    assert bytes_with_threads(1, problem) == bytes_with_threads(2, problem)


# gather_tiles -------------------------------------------------------------------------------------


@every_width
@every_dtype
def test_gather_tiles_takes_the_examples_in_order(width, dtype):
    rng = np.random.default_rng(23)
    x, order = rng.standard_normal((12, 5)).astype(dtype), rng.integers(0, 12, 2 * width - 3)
    ref = naive.pack(x[order], width)
    comp = np.full(ref.shape, np.nan, dtype)
    gather_tiles(x, order, comp)
    np.testing.assert_array_equal(ref, comp)


def test_gather_tiles_fills_whole_tiles_after_the_end_with_zeros():
    comp = np.full((3, 2, 8), np.nan)
    gather_tiles(np.ones((4, 2)), np.arange(4), comp)
    np.testing.assert_array_equal(comp[1:], np.zeros((2, 2, 8)))


def test_gather_tiles_reads_arrays_that_are_not_contiguous():
    x, order = np.arange(60.0).reshape(6, 10)[:, ::2], np.array([5, 2])
    ref = naive.pack(x[order], 8)
    comp = np.full((1, 5, 8), np.nan)
    gather_tiles(x, order, comp)
    np.testing.assert_array_equal(ref, comp)


# Without the compiler ----------------------------------------------------------------------------

WITHOUT_COMPILER = """
import sys
import numpy as np
from sparse_ref import kernels
import test_kernels
assert not hasattr(kernels.gather_tiles, "py_func")
dtype = np.dtype(sys.argv[1]).type
for width in kernels.WIDTHS:
    problem = test_kernels.Problem("random", dtype, width)
    for call in (problem.product, problem.gradients, lambda: problem.rows(2, 6)):
        try:
            result = np.concatenate([np.ravel(part) for part in call()])
            assert result.dtype == dtype
            print(result.tobytes().hex())
        except Exception as error:
            print(type(error).__name__)  # fails the one test that looks at it
"""
KERNELS = ("spmm", "sddmm", "gradient_rows")


@functools.cache
def uncompiled(dtype):
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_COMPILER, dtype.__name__],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(zip(itertools.product(WIDTHS, KERNELS), run.stdout.split(), strict=True))


@every_width
@every_dtype
@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_run_uncompiled_within_rounding(kernel, width, dtype):
    problem = Problem("random", dtype, width)
    comp = np.frombuffer(bytes.fromhex(uncompiled(dtype)[width, kernel]), dtype)
    parts = {"spmm": problem.product, "sddmm": problem.gradients}
    parts = parts.get(kernel, lambda: problem.rows(2, 6))()
    ref = np.concatenate([np.ravel(part) for part in parts])
    # Sums of at most n terms of at most size^2; each of n roundings may differ by a unit of them.
    eps, n = np.finfo(dtype).eps, 2 * width
    size = max(np.abs(a).max() for a in (problem.dense, problem.delta, problem.x))
    np.testing.assert_allclose(comp, ref, rtol=0, atol=n * eps * n * size**2)


@pytest.mark.parametrize("table", ["_SPMM", "_SDDMM", "_GRADIENT_ROWS"])
def test_every_width_of_a_tile_has_a_kernel(table):
    assert set(getattr(kernels, table)) == {8, 16, 32, 64}


USE_EVERY_KERNEL = """
import numpy as np
from sparse_ref import kernels
import test_kernels
problem = test_kernels.Problem("random", np.float64, 8)
problem.product(), problem.gradients(), problem.rows(2, 6)
for table in (kernels._SPMM, kernels._SDDMM, kernels._GRADIENT_ROWS):
    print(sum(table[8].stats.cache_hits.values()))
"""


def test_a_second_process_finds_the_compiled_kernels(tmp_path):
    # cache=True: else every start pays for the compiler, and the cache grows by a file each time.
    paths = {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", USE_EVERY_KERNEL]
    first, second = (
        subprocess.run(command, env=os.environ | paths, capture_output=True, text=True, check=True)
        for _ in range(2)
    )
    assert first.stdout.split() == ["0", "0", "0"]
    assert second.stdout.split() == ["1", "1", "1"]
