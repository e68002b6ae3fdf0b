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
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.errors import TypingError

from sparse_ref import csr, kernels
from sparse_ref.dense_gradient import gradient_rows
from sparse_ref.kernels import backward, bias_gradient, sddmm, spmm
from sparse_ref.work import SHARES, WIDTHS, blocks_of, first_at_least, share

DTYPES = (np.float32, np.float64)
PATTERNS = (
    *("random", "empty rows", "empty", "full", "one"),
    *("one row", "one column", "first rows", "last rows", "falling"),
)
TILES = (1, 2, 3, 5)  # a pair, a pair and one alone, two pairs and one alone
every_width = pytest.mark.parametrize("width", WIDTHS)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_pattern = pytest.mark.parametrize("kind", PATTERNS)
every_tiles = pytest.mark.parametrize("n_tiles", TILES)


def make_pattern(kind, shape, rng):
    row, column = np.arange(shape[0])[:, None], np.arange(shape[1])
    anywhere = rng.random(shape)
    return {
        "random": anywhere < 0.4,
        "empty rows": (anywhere < 0.6) & (row % 2 == 1),
        "empty": np.zeros(shape, bool),
        "full": np.ones(shape, bool),
        "one": (row == shape[0] // 2) & (column == shape[1] // 3),
        "one row": np.repeat(row == shape[0] // 2, shape[1], axis=1),
        "one column": np.repeat(column == shape[1] // 3, shape[0]).reshape(shape[::-1]).T,
        "first rows": (anywhere < 0.8) & (row <= shape[0] // 4),
        "last rows": (anywhere < 0.8) & (row >= shape[0] - 1 - shape[0] // 4),
        "falling": anywhere < 1 / (1 + row),
    }[kind]


def guarded(values):
    """A copy whose neighbours in memory are not numbers, and which starts at no cache line."""
    around = np.full(values.size + 200, np.nan, values.dtype)
    around[101 : 101 + values.size] = values.ravel()
    return around[101 : 101 + values.size].reshape(values.shape)


def unwritten(shape, dtype):
    """An array to be written: what is not written shows, and what is written beside it too."""
    return guarded(np.full(shape, np.nan, dtype))


def is_unhurt(array):
    """Whether nothing was written beside a guarded array."""
    around = array.base
    return bool(np.isnan(around[:101]).all() and np.isnan(around[101 + array.size :]).all())


class Problem:
    """One layer and one batch, with integers for values if `exact`."""

    def __init__(self, kind, dtype, width, n_tiles=2, shape=(9, 7), exact=False):
        rng = np.random.default_rng([width, n_tiles, PATTERNS.index(kind)])
        n_out, n_in = shape
        self.present = make_pattern(kind, shape, rng)
        dense, self.bias, self.x, self.delta = (
            guarded((rng.integers(-9, 10, s) if exact else rng.standard_normal(s)).astype(dtype))
            for s in (shape, n_out, (n_tiles, n_in, width), (n_tiles, n_out, width))
        )
        self.dense = np.where(self.present, dense, 0)
        self.weight = csr.from_dense(self.dense, self.present)
        self.data = guarded(self.weight.data)
        self.connected = self.weight.indptr, self.weight.indices

    def product(self):
        out = unwritten(self.delta.shape, self.x.dtype)
        spmm(*self.connected, self.data, self.bias, self.x, out)
        return self.read_only(out)

    def backward(self):
        """Input gradient and weight gradient."""
        out, weight = unwritten(self.x.shape, self.x.dtype), self.slots()
        index = csr.transpose_index(self.weight)
        backward(*index, self.data, self.delta, self.x, out, weight)
        return self.read_only(out), self.read_only(weight)

    def transposed_product(self):
        index, out = csr.transpose_index(self.weight), unwritten(self.x.shape, self.x.dtype)
        zero, values = np.zeros(self.x.shape[1], self.x.dtype), self.data[index.slots]
        spmm(index.indptr, index.rows, values, zero, self.delta, out)
        return self.read_only(out)

    def weight_gradient(self):
        weight = self.slots()
        sddmm(*self.connected, self.delta, self.x, weight)
        return self.read_only(weight)

    def bias_gradient(self):
        bias = unwritten(self.bias.shape, self.x.dtype)
        bias_gradient(self.delta, bias)
        return self.read_only(bias)

    def rows(self, first, last):
        out = unwritten((last - first, self.x.shape[1]), self.x.dtype)
        gradient_rows(first, self.delta, self.x, out)
        return self.read_only(out)

    def slots(self):
        return unwritten(self.weight.nnz, self.x.dtype)

    def read_only(self, out):
        assert all(map(is_unhurt, (out, self.data, self.bias, self.x, self.delta)))
        return out


def assert_same_bits(ref, comp):
    assert (ref.shape, ref.dtype) == (comp.shape, comp.dtype)
    different = np.flatnonzero(ref.view(np.uint8) != comp.view(np.uint8)) // ref.itemsize
    assert different.size == 0, f"at {different[0]}: {ref.flat[different[0]]!r}"


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
    comp = problem.weight_gradient()
    np.testing.assert_array_equal(ref, comp)


@every_pattern
@every_width
@every_dtype
def test_backward_gives_the_gradients_of_inputs_and_weights(kind, width, dtype):
    problem = Problem(kind, dtype, width, n_tiles=3, exact=True)
    ref = naive.product(problem.dense.T, np.zeros(7), problem.delta)
    ref_weight = naive.weight_gradient(problem.delta, problem.x)[problem.present]
    comp, comp_weight = problem.backward()
    np.testing.assert_array_equal(ref, comp)
    np.testing.assert_array_equal(ref_weight, comp_weight)


@every_width
@every_dtype
def test_bias_gradient_sums_delta(width, dtype):
    problem = Problem("random", dtype, width, exact=True)
    ref = naive.bias_gradient(problem.delta)
    comp = problem.bias_gradient()
    np.testing.assert_array_equal(ref, comp)


every_height = pytest.mark.parametrize("n_out", [1, 3, 63, 64, 65, 130])  # rows come in 64 shares


@every_tiles
@every_height
def test_spmm_covers_every_tile_and_share_of_rows(n_tiles, n_out):
    problem = Problem("random", np.float64, 8, n_tiles, (n_out, 5), exact=True)
    ref = naive.product(problem.dense, problem.bias, problem.x)
    comp = problem.product()
    np.testing.assert_array_equal(ref, comp)


@every_tiles
@every_height
def test_sddmm_covers_every_tile_and_share_of_rows(n_tiles, n_out):
    problem = Problem("random", np.float64, 8, n_tiles, (n_out, 5), exact=True)
    ref = naive.weight_gradient(problem.delta, problem.x)[problem.present]
    comp = problem.weight_gradient()
    np.testing.assert_array_equal(ref, comp)


@every_tiles
@pytest.mark.parametrize("n_in", [1, 3, 64, 130])
def test_backward_covers_every_tile_and_share_of_inputs(n_tiles, n_in):
    problem = Problem("random", np.float64, 8, n_tiles, (6, n_in), exact=True)
    ref = naive.product(problem.dense.T, np.zeros(n_in), problem.delta)
    ref_weight = naive.weight_gradient(problem.delta, problem.x)[problem.present]
    comp, comp_weight = problem.backward()
    np.testing.assert_array_equal(ref, comp)
    np.testing.assert_array_equal(ref_weight, comp_weight)


@every_dtype
def test_no_examples_give_zero_gradients(dtype):
    # "Written", say the docstrings: a sum over no tiles is 0, not what the memory held before.
    problem = Problem("random", dtype, 16, n_tiles=0)
    _, weight = problem.backward()
    for comp in (weight, problem.weight_gradient(), problem.bias_gradient()):
        np.testing.assert_array_equal(np.zeros(comp.shape), comp)


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
    assert_same_bits(ref, comp)


@every_tiles
@every_width
@every_dtype
def test_sddmm_sums_two_tiles_at_a_time_in_order(n_tiles, width, dtype):
    problem = Problem("full", dtype, width, n_tiles, shape=(2, 5))
    delta, x = problem.delta.swapaxes(0, 1), problem.x.swapaxes(0, 1)
    ref = np.array([naive.paired_dot(d, v) for d in delta for v in x])
    comp = problem.weight_gradient()
    assert_same_bits(ref, comp)


@every_tiles
@every_width
@every_dtype
def test_bias_gradient_adds_the_sums_of_the_tiles_in_order(n_tiles, width, dtype):
    problem = Problem("random", dtype, width, n_tiles)
    ref = np.array([naive.tile_total(d) for d in problem.delta.swapaxes(0, 1)])
    comp = problem.bias_gradient()
    assert_same_bits(ref, comp)


@every_pattern
@every_tiles
@every_dtype
@pytest.mark.parametrize("width", [8, 64])
def test_backward_has_the_bits_of_spmm_and_sddmm(kind, n_tiles, width, dtype):
    problem = Problem(kind, dtype, width, n_tiles, shape=(21, 13))
    ref, ref_weight = problem.transposed_product(), problem.weight_gradient()
    comp, comp_weight = problem.backward()
    assert_same_bits(ref, comp)
    assert_same_bits(ref_weight, comp_weight)


def test_derivatives_that_are_zero_keep_the_bits_together():
    # Behind a ReLU whole rows are 0; their products with negative inputs are -0.0.
    problem = Problem("full", np.float32, 16, n_tiles=3)
    problem.delta[:, ::2], problem.x[:] = 0, -np.abs(problem.x)
    _, comp = problem.backward()
    assert_same_bits(problem.weight_gradient(), comp)


@pytest.mark.parametrize("special", [np.inf, np.nan])
def test_what_is_no_number_stays_with_its_connections(special):
    problem = Problem("random", np.float32, 16, n_tiles=3, shape=(9, 12))
    row = np.argwhere(problem.present)[20][0]
    problem.delta[1, row, 3] = special
    out, comp = problem.backward()
    _, columns = np.nonzero(~np.isfinite(out).all(axis=(0, 2)).reshape(1, -1))
    assert columns.tolist() == np.flatnonzero(problem.present[row]).tolist()
    rows = np.nonzero(problem.present)[0]
    assert np.isfinite(comp).tolist() == (rows != row).tolist()


# Blocks: rows that are gathered are taken a cacheful at a time -----------------------------------

LONG = 2500
COMBINATIONS = [(1, 64, np.float32), (2, 64, np.float32), (3, 32, np.float64), (5, 64, np.float32)]
every_combination = pytest.mark.parametrize(("n_tiles", "width", "dtype"), COMBINATIONS)


@functools.cache
def long_problem(n_tiles, width, dtype, tall, exact=False):
    """Many rows to gather: outputs for `backward` if `tall`, else inputs for `sddmm`."""
    problem = Problem.__new__(Problem)
    shape = (LONG, 12) if tall else (12, LONG)
    Problem.__init__(problem, "random", dtype, width, n_tiles, shape, exact)
    # Besides what is random: nothing at all, in one block only, everywhere, in the last block only.
    present = problem.present.copy() if tall else problem.present.T.copy()
    present[:, 2], present[:, 3], present[:, 5] = False, False, True
    present[700:703, 3], present[:, 11] = True, np.arange(LONG) > LONG - 6
    problem.present = np.ascontiguousarray(present if tall else present.T)
    rng = np.random.default_rng(77)
    dense = rng.integers(-9, 10, shape) if exact else rng.standard_normal(shape)
    problem.dense = np.where(problem.present, dense, 0).astype(dtype)
    problem.weight = csr.from_dense(problem.dense, problem.present)
    problem.data = guarded(problem.weight.data)
    problem.connected = problem.weight.indptr, problem.weight.indices
    together = min(n_tiles, 2)
    row_bytes = together * width * np.dtype(dtype).itemsize
    assert blocks_of(LONG, row_bytes, problem.weight.nnz, 12) > 1
    return problem


@every_combination
def test_backward_block_by_block_is_exact(n_tiles, width, dtype):
    problem = long_problem(n_tiles, width, dtype, tall=True, exact=True)
    comp, comp_weight = problem.backward()
    np.testing.assert_array_equal(problem.dense.T @ problem.delta, comp)
    grad = (problem.delta @ problem.x.swapaxes(1, 2)).sum(axis=0)
    np.testing.assert_array_equal(grad[problem.present], comp_weight)


@every_combination
def test_backward_block_by_block_has_the_bits_of_spmm_and_sddmm(n_tiles, width, dtype):
    problem = long_problem(n_tiles, width, dtype, tall=True)
    ref, ref_weight = problem.transposed_product(), problem.weight_gradient()
    comp, comp_weight = problem.backward()
    assert_same_bits(ref, comp)
    assert_same_bits(ref_weight, comp_weight)


@every_combination
def test_sddmm_block_by_block_is_exact(n_tiles, width, dtype):
    problem = long_problem(n_tiles, width, dtype, tall=False, exact=True)
    grad = (problem.delta @ problem.x.swapaxes(1, 2)).sum(axis=0)
    np.testing.assert_array_equal(grad[problem.present], problem.weight_gradient())


@every_combination
def test_sddmm_block_by_block_sums_in_the_same_order(n_tiles, width, dtype):
    problem = long_problem(n_tiles, width, dtype, tall=False)
    comp, places = problem.weight_gradient(), np.argwhere(problem.present)
    chosen = np.linspace(0, len(comp) - 1, 25).astype(int)
    ref = [naive.paired_dot(problem.delta[:, i], problem.x[:, j]) for i, j in places[chosen]]
    assert_same_bits(np.array(ref), comp[chosen])


@every_combination
def test_sddmm_block_by_block_has_the_bits_of_the_dense_gradient(n_tiles, width, dtype):
    problem = long_problem(n_tiles, width, dtype, tall=False)
    comp = problem.weight_gradient()
    assert_same_bits(problem.rows(0, 12)[problem.present], comp)


def test_spmm_asks_ahead_without_going_astray():
    # Inputs of more than 4 MB: the next rows are asked for ahead, up to the last connection.
    problem = Problem("one", np.float32, 64, 1, (3, 17000), exact=True)
    problem.dense = np.zeros((3, 17000), np.float32)
    problem.dense[:, [0, 5, 8500, 16998, 16999]] = [[1, 2, 3, 4, 5]]
    problem.weight = csr.from_dense(problem.dense)
    problem.data = guarded(problem.weight.data)
    problem.connected = problem.weight.indptr, problem.weight.indices
    ref = problem.dense @ problem.x + problem.bias[:, None]
    assert problem.x.nbytes > kernels.FAR_BYTES
    np.testing.assert_array_equal(ref, problem.product())


# Threads and shares -------------------------------------------------------------------------------


def bytes_with_threads(n, problem):
    before = numba.get_num_threads()
    numba.set_num_threads(n)
    try:
        results = (
            *(problem.product(), *problem.backward(), problem.weight_gradient()),
            *(problem.bias_gradient(), problem.rows(1, len(problem.bias))),
        )
    finally:
        numba.set_num_threads(before)
    return [result.tobytes() for result in results]


one_core = pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="no second thread")


@one_core
@every_width
@every_dtype
def test_results_do_not_depend_on_the_number_of_threads(width, dtype):
    problem = Problem("random", dtype, width, n_tiles=5, shape=(90, 40))
    assert bytes_with_threads(1, problem) == bytes_with_threads(2, problem)


@one_core
@pytest.mark.parametrize("kind", ["one row", "one column", "last rows", "falling"])
def test_uneven_patterns_do_not_depend_on_the_number_of_threads(kind):
    problem = Problem(kind, np.float32, 16, n_tiles=3, shape=(200, 90))
    assert bytes_with_threads(1, problem) == bytes_with_threads(2, problem)


@one_core
@pytest.mark.parametrize("tall", [True, False])
def test_blocks_do_not_depend_on_the_number_of_threads(tall):
    problem = long_problem(3, 64, np.float32, tall)
    assert bytes_with_threads(1, problem) == bytes_with_threads(2, problem)


some_counts = st.lists(st.sampled_from([0, 0, 1, 2, 30, 1000]), max_size=150)


@given(counts=some_counts, dtype=st.sampled_from([np.int32, np.int64]))
@settings(max_examples=150)
def test_shares_cover_the_rows_once_with_as_many_connections_each(counts, dtype):
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(dtype)
    firsts = [share(indptr, k) for k in range(SHARES + 1)]
    assert (firsts[0], firsts[-1]) == (0, len(counts))
    assert firsts == sorted(firsts)
    most = max(np.diff(indptr[firsts]))
    assert most <= indptr[-1] / SHARES + 1 + max(counts, default=0)


@given(
    values=st.lists(st.integers(-5, 5), max_size=40).map(sorted),
    value=st.integers(-6, 6),
    dtype=st.sampled_from([np.int32, np.int64]),
)
@settings(max_examples=150)
def test_first_at_least_is_the_left_end_of_a_search(values, value, dtype):
    ref = sum(other < value for other in values)
    assert ref == first_at_least(np.array(values, dtype), value)


def test_shares_of_more_than_2_to_31_over_64_connections():
    # 64 times the connections no longer fits the int32 of the pointers.
    indptr = np.array([0, 10**9, 2 * 10**9], np.int32)
    assert [share(indptr, k) for k in (0, 1, 32, 33, 63, 64)] == [0, 1, 1, 2, 2, 2]


@pytest.mark.parametrize(
    ("gathered", "nnz", "rows", "blocks"),
    [
        (1 << 10, 10**9, 10, 1),  # 512 KB fit
        ((1 << 10) + 1, 10**9, 10, 2),
        (1 << 13, 10**9, 10, 8),
        (1 << 13, 8 * 10 * 5, 10, 5),  # no more than leave 8 connections a row
        (1 << 13, 8 * 10 - 1, 10, 1),
        (1 << 13, 0, 10, 1),
        (1 << 13, 0, 0, 1),
        (0, 0, 10, 1),
    ],
)
def test_blocks_fit_the_cache_and_are_worth_it(gathered, nnz, rows, blocks):
    assert blocks_of(gathered, 512, nnz, rows) == blocks


# What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [4, 24, 128])
@pytest.mark.parametrize("call", ["product", "backward", "weight_gradient", "bias_gradient"])
def test_a_width_without_kernel_is_refused(width, call):
    problem = Problem("random", np.float32, width)
    message = rf"^kernels: the width of a tile must be one of \(8, 16, 32, 64\), got {width}$"
    with pytest.raises(ValueError, match=message):
        getattr(problem, call)()


@pytest.mark.parametrize("name", ["x", "delta"])
def test_backward_refuses_activations_that_are_not_contiguous(name):
    problem = Problem("random", np.float32, 8)
    setattr(problem, name, np.asfortranarray(getattr(problem, name)))
    index, out = csr.transpose_index(problem.weight), np.empty((2, 7, 8), np.float32)
    with pytest.raises(TypingError, match="lanes: arrays must be C-contiguous"):
        backward(*index, problem.data, problem.delta, problem.x, out, problem.slots())


def test_spmm_refuses_inputs_that_are_not_contiguous():
    problem = Problem("random", np.float32, 8)
    x, out = np.asfortranarray(problem.x), np.empty((2, 9, 8), np.float32)
    with pytest.raises(TypingError, match="lanes: arrays must be C-contiguous"):
        spmm(*problem.connected, problem.data, problem.bias, x, out)


# Without the compiler ----------------------------------------------------------------------------

WITHOUT_COMPILER = """
import sys
import numpy as np
from sparse_ref import work
import test_kernels
assert not hasattr(work.share, "py_func")
dtype = np.dtype(sys.argv[1]).type
for width in work.WIDTHS:
    for call in test_kernels.KERNELS:
        try:
            result = test_kernels.uneven(call, width, dtype)
            assert result.dtype == dtype
            print(result.tobytes().hex())
        except Exception as error:
            print(type(error).__name__)  # fails the one test that looks at it
"""
KERNELS = ("product", "backward", "weight_gradient", "bias_gradient", "rows")


def uneven(kernel, width, dtype):
    """The result of one kernel on 3 tiles, in one piece."""
    problem = Problem("random", dtype, width, n_tiles=3)
    results = problem.rows(1, 7) if kernel == "rows" else getattr(problem, kernel)()
    return np.concatenate([np.ravel(part) for part in results])


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
@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_have_the_same_bits_uncompiled_in_float32(kernel, width):
    comp = np.frombuffer(bytes.fromhex(uncompiled(np.float32)[width, kernel]), np.float32)
    assert_same_bits(uneven(kernel, width, np.float32), comp)


@every_width
@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_run_uncompiled_within_rounding_in_float64(kernel, width):
    problem = Problem("random", np.float64, width, n_tiles=3)
    comp = np.frombuffer(bytes.fromhex(uncompiled(np.float64)[width, kernel]), np.float64)
    ref = uneven(kernel, width, np.float64)
    # Sums of at most n terms of at most size^2; each of n roundings may differ by a unit of them.
    eps, n = np.finfo(np.float64).eps, 3 * width
    size = max(np.abs(a).max() for a in (problem.dense, problem.delta, problem.x))
    np.testing.assert_allclose(comp, ref, rtol=0, atol=n * eps * n * size**2)


@pytest.mark.parametrize("table", ["_SPMM", "_BIAS_GRADIENT"])
def test_every_width_of_a_tile_has_a_kernel(table):
    assert set(getattr(kernels, table)) == {8, 16, 32, 64}


@pytest.mark.parametrize("table", ["_BACKWARD", "_SDDMM"])
def test_every_width_has_a_kernel_for_two_tiles_and_for_one(table):
    assert set(getattr(kernels, table)) == set(itertools.product((8, 16, 32, 64), (1, 2)))


USE_EVERY_KERNEL = """
import numpy as np
from sparse_ref import dense_gradient, kernels
import test_kernels
problem = test_kernels.Problem("random", np.float64, 8, n_tiles=3)
problem.product(), problem.backward(), problem.weight_gradient(), problem.bias_gradient()
problem.rows(2, 6)
tables = kernels._SPMM, kernels._BIAS_GRADIENT
used = [table[8] for table in tables]
tables = kernels._BACKWARD, kernels._SDDMM, dense_gradient._GRADIENT_ROWS
used += [table[8, together] for table in tables for together in (1, 2)]
for kernel in used:
    print(sum(kernel.stats.cache_hits.values()))
"""


def test_a_second_process_finds_the_compiled_kernels(tmp_path):
    # cache=True: else every start pays for the compiler, and the cache grows by a file each time.
    paths = {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", USE_EVERY_KERNEL]
    first, second = (
        subprocess.run(command, env=os.environ | paths, capture_output=True, text=True, check=True)
        for _ in range(2)
    )
    assert first.stdout.split() == ["0"] * 8
    assert second.stdout.split() == ["1"] * 8
