"""Rows of the dense gradient, and the scan for what exceeds a threshold."""

import naive
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.errors import TypingError
from test_kernels import TILES, WIDTHS, Problem, assert_same_bits, unwritten

from sparse_ref import dense_gradient
from sparse_ref.dense_gradient import CHUNK, SCAN_SHARES, gradient_rows, scan

DTYPES = (np.float32, np.float64)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_width = pytest.mark.parametrize("width", WIDTHS)
every_tiles = pytest.mark.parametrize("n_tiles", TILES)


def with_threads(n, call):
    before = numba.get_num_threads()
    numba.set_num_threads(n)
    try:
        return call()
    finally:
        numba.set_num_threads(before)


# gradient_rows ------------------------------------------------------------------------------------


@every_width
@every_dtype
def test_gradient_rows_are_the_rows_of_the_dense_gradient(width, dtype):
    problem = Problem("random", dtype, width, n_tiles=3, exact=True)
    ref = naive.weight_gradient(problem.delta, problem.x)[2:9]
    comp = problem.rows(2, 9)
    np.testing.assert_array_equal(ref, comp)


@every_tiles
@pytest.mark.parametrize("n_in", [1, 3, 4, 5, 63, 64, 65, 67, 130])  # in fours, and in 64s
def test_any_number_of_columns(n_tiles, n_in):
    problem = Problem("random", np.float32, 8, n_tiles, (6, n_in), exact=True)
    ref = (problem.delta @ problem.x.swapaxes(1, 2)).sum(axis=0)
    np.testing.assert_array_equal(ref, problem.rows(0, 6))


@every_tiles
@pytest.mark.parametrize("first", [0, 1, 4, 7])
@pytest.mark.parametrize("n_rows", [0, 1, 3, 4, 5, 8, 9])
def test_any_rows(n_tiles, first, n_rows):
    problem = Problem("random", np.float64, 16, n_tiles, (16, 9), exact=True)
    ref = (problem.delta @ problem.x.swapaxes(1, 2)).sum(axis=0)[first : first + n_rows]
    np.testing.assert_array_equal(ref, problem.rows(first, first + n_rows))


@every_tiles
@every_width
@every_dtype
def test_two_tiles_are_summed_at_a_time_in_order(n_tiles, width, dtype):
    problem = Problem("full", dtype, width, n_tiles, shape=(5, 5))  # four rows, and one by itself
    delta, x = problem.delta.swapaxes(0, 1), problem.x.swapaxes(0, 1)
    places = [(0, 0), (1, 3), (3, 2), (2, 4), (4, 1), (4, 4)]
    ref = np.array([naive.paired_dot(delta[i], x[j]) for i, j in places])
    comp = np.array([problem.rows(0, 5)[place] for place in places])
    assert_same_bits(ref, comp)


@every_tiles
@every_width
@every_dtype
def test_connections_have_the_bits_of_sddmm_and_backward(n_tiles, width, dtype):
    problem = Problem("random", dtype, width, n_tiles, shape=(11, 71))
    comp = problem.rows(0, 11)[problem.present]
    assert_same_bits(problem.weight_gradient(), comp)
    assert_same_bits(problem.backward()[1], comp)


@every_tiles
@pytest.mark.parametrize("last", [9, 6])
def test_rows_by_themselves_have_the_bits_of_all_together(n_tiles, last):
    problem = Problem("full", np.float32, 32, n_tiles, shape=(9, 70))
    ref = problem.rows(0, 9)[1:last]
    assert_same_bits(ref, problem.rows(1, last))
    assert_same_bits(ref, np.concatenate([problem.rows(i, i + 1) for i in range(1, last)]))


@every_tiles
def test_a_zero_has_the_sign_it_has_in_sddmm(n_tiles):
    # Behind a ReLU whole rows of delta are 0; 0 times a negative input is -0.0, and 0 + -0.0 is 0.
    problem = Problem("full", np.float32, 16, n_tiles, shape=(5, 6))
    problem.delta[:, ::2], problem.x[:] = 0, -np.abs(problem.x)
    ref = problem.weight_gradient().reshape(5, 6)
    assert_same_bits(ref, problem.rows(0, 5))


@every_dtype
def test_no_examples_give_zero_gradient_rows(dtype):
    problem = Problem("random", dtype, 16, n_tiles=0)
    np.testing.assert_array_equal(np.zeros((4, 7)), problem.rows(2, 6))


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="no second thread")
@every_tiles
def test_gradient_rows_do_not_depend_on_the_number_of_threads(n_tiles):
    problem = Problem("full", np.float32, 32, n_tiles, shape=(10, 333))
    assert_same_bits(*(with_threads(n, lambda: problem.rows(1, 10)) for n in (1, 2)))


def test_a_width_without_kernel_is_refused():
    message = r"^kernels: the width of a tile must be one of \(8, 16, 32, 64\), got 24$"
    with pytest.raises(ValueError, match=message):
        Problem("full", np.float32, 24).rows(0, 3)


def test_factors_that_are_not_contiguous_are_refused():
    problem = Problem("full", np.float32, 8)
    with pytest.raises(TypingError, match="lanes: arrays must be C-contiguous"):
        gradient_rows(0, problem.delta, np.asfortranarray(problem.x), np.empty((2, 7), np.float32))


def test_every_width_has_a_kernel_for_two_tiles_and_for_one():
    widths = (8, 16, 32, 64)
    assert set(dense_gradient._GRADIENT_ROWS) == {(w, n) for w in widths for n in (1, 2)}


# scan ---------------------------------------------------------------------------------------------

NAMED = (0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 3.0, np.inf, -np.inf)


def check_scan(block, start, kept, threshold):
    ref, ref_scores = naive.exceeding(block.tolist(), start, set(kept.tolist()), threshold)
    comp, scores = scan(block.copy(), start, kept, threshold)
    assert ref == comp.tolist()
    np.testing.assert_array_equal(np.array(ref_scores, block.dtype), scores, strict=True)
    assert comp.dtype == np.int64


@given(
    values=st.lists(st.sampled_from(NAMED), max_size=70),
    start=st.sampled_from([0, 1, 17, 2**40]),
    threshold=st.sampled_from([-1.0, 0.0, 1.0, 2.0, 3.5, np.inf]),
    dtype=st.sampled_from(DTYPES),
    data=st.data(),
)
@settings(max_examples=300)
def test_scan_finds_what_exceeds_the_threshold_and_is_absent(values, start, threshold, dtype, data):
    # `kept` holds the whole layer: what is before and behind the block is none of its business.
    kept = data.draw(st.sets(st.integers(max(0, start - 5), start + len(values) + 5)))
    check_scan(np.array(values, dtype), start, np.array(sorted(kept), np.int64), threshold)


sizes = [0, 1, 15, 16, 17, 127, 128, 129, 16 * SCAN_SHARES * 3 - 1, 16 * SCAN_SHARES * 3 + 5, 2011]


@pytest.mark.parametrize("n", sizes)
@pytest.mark.parametrize("threshold", [-1.0, 0.0, 0.7, 9.0])
@pytest.mark.parametrize("density", [0.0, 0.3, 1.0])
def test_scan_covers_every_chunk_and_share(n, threshold, density):
    rng = np.random.default_rng([n, int(10 * density)])
    kept = np.flatnonzero(rng.random(n + 40) < density)
    check_scan(rng.standard_normal(n).astype(np.float32), 20, kept, threshold)


@pytest.mark.parametrize("n", [1, 16, 40])
def test_scan_shows_what_is_not_a_number_unless_it_is_kept(n):
    block = np.zeros(n, np.float32)
    block[[0, n - 1]] = np.nan
    positions, scores = scan(block.copy(), 5, np.array([5 + n - 1]), 100.0)
    assert positions.tolist() == ([5] if n > 1 else [])
    assert np.isnan(scores).all()


def test_scan_compares_in_the_dtype_of_the_block():
    # 0.1 in float32 is a little more than in float64; as float32 they are equal.
    positions, _ = scan(np.full(20, 0.1, np.float32), 0, np.empty(0, np.int64), 0.1)
    assert positions.tolist() == []


def test_scan_does_not_hand_out_memory_that_is_used_again():
    first, _ = scan(np.ones(64), 0, np.empty(0, np.int64), 0.5)
    before = first.copy()
    scan(np.ones(64), 1000, np.empty(0, np.int64), 0.5)
    np.testing.assert_array_equal(before, first)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="no second thread")
def test_scan_does_not_depend_on_the_number_of_threads():
    rng = np.random.default_rng(29)
    block, kept = rng.standard_normal(5000), np.flatnonzero(rng.random(5000) < 0.2)
    ref, comp = (with_threads(n, lambda: scan(block.copy(), 0, kept, 0.5)) for n in (1, 2))
    assert_same_bits(np.concatenate(ref), np.concatenate(comp))


def test_the_chunk_is_what_these_tests_are_made_for():
    assert (CHUNK, SCAN_SHARES, dense_gradient.COLUMN_BLOCK) == (16, 8, 64)


def test_rows_beside_those_asked_for_are_left_alone():
    problem = Problem("full", np.float32, 16, 1, (8, 7))
    out = unwritten((6, 7), np.float32)
    gradient_rows(3, problem.delta, problem.x, out[1:4])
    assert np.isnan(out).all(axis=1).tolist() == [True, False, False, False, True, True]
