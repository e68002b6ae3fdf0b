"""Packing into tiles, element by element."""

import naive
import numpy as np
import pytest

from sparse_ref.elementwise import gather_tiles

DTYPES = (np.float32, np.float64)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_width = pytest.mark.parametrize("width", [8, 16, 32, 64])


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
@pytest.mark.parametrize("shape", [(0, 3, 8), (2, 0, 8)])
def test_nothing_stays_nothing(shape, dtype):
    gather_tiles(np.empty((0, shape[1]), dtype), np.empty(0, np.int64), np.empty(shape, dtype))
