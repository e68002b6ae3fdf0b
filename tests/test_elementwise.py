"""Packing into tiles and ReLU, element by element."""

import naive
import numpy as np
import pytest

from sparse_ref.elementwise import gather_tiles, relu, relu_pullback

DTYPES = (np.float32, np.float64)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_width = pytest.mark.parametrize("width", [8, 16, 32, 64])
INF, NAN = np.inf, np.nan


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


@every_dtype
def test_relu_hand_table(dtype):
    x = np.array([[-3, -0.0, 0.0], [2, -INF, INF]], dtype)
    comp = np.full_like(x, 9)
    relu(x, comp)
    assert comp.tobytes() == np.array([[0, 0, 0], [2, 0, INF]], dtype).tobytes()


@every_dtype
def test_relu_is_the_naive_one(dtype):
    x = np.random.default_rng(31).standard_normal((2, 5, 16)).astype(dtype)
    comp = np.full_like(x, 9)
    relu(x, comp)
    np.testing.assert_array_equal(naive.relu(x), comp)


@every_dtype
def test_relu_lets_what_is_no_number_through(dtype):
    comp = np.zeros(3, dtype)
    relu(np.array([1, NAN, -1], dtype), comp)
    assert np.isnan(comp).tolist() == [False, True, False]


@every_dtype
def test_relu_may_write_over_its_input(dtype):
    x = np.array([[-1, 2], [3, -4]], dtype)
    relu(x, x)
    assert x.tolist() == [[0, 2], [3, 0]]


@every_dtype
def test_relu_pullback_hand_table(dtype):
    y = np.array([[0, 2, 0], [-0.0, NAN, 1]], dtype)
    delta = np.array([[5, 6, -7], [8, 9, NAN]], dtype)
    comp = np.full_like(y, 3)
    relu_pullback(y, delta, comp)
    np.testing.assert_array_equal(comp, np.array([[0, 6, 0], [0, 9, NAN]], dtype))


@every_dtype
def test_relu_pullback_may_write_over_the_derivative(dtype):
    y, delta = np.array([0, 1, 2], dtype), np.array([7, 8, 9], dtype)
    relu_pullback(y, delta, delta)
    assert delta.tolist() == [0, 8, 9]


@every_dtype
@pytest.mark.parametrize("shape", [(0, 3, 8), (2, 0, 8)])
def test_nothing_stays_nothing(shape, dtype):
    x = np.empty(shape, dtype)
    relu(x, x)
    relu_pullback(x, x, x)
    gather_tiles(np.empty((0, shape[1]), dtype), np.empty(0, np.int64), x)
