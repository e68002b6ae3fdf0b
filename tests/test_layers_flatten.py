"""Flatten: the same examples in tiles that suit linear layers."""

import re

import naive
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_ref import tiles
from sparse_ref.elementwise import join_tiles, separate_tiles
from sparse_ref.layers import Flatten

DTYPES = (np.float32, np.float64)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


def rows(n, features=5, dtype=np.float64):
    return np.random.default_rng(41).standard_normal((n, features)).astype(dtype)


@given(n=st.integers(1, 150), features=st.integers(1, 7), dtype=st.sampled_from(DTYPES))
@settings(max_examples=60)
def test_examples_keep_their_order_and_padding_is_zero(n, features, dtype):
    x = rows(n, features, dtype)
    narrow = naive.pack(x, tiles.one_register(dtype))
    y, pullback = Flatten().forward(narrow)
    np.testing.assert_array_equal(y, naive.pack(x, y.shape[2]))
    out, grad = pullback(y)
    assert grad is None
    assert out.dtype == dtype
    np.testing.assert_array_equal(out, narrow, strict=True)


@pytest.mark.parametrize(
    ("dtype", "n_tiles", "shape"),
    [
        (np.float32, 1, (1, 3, 16)),
        (np.float32, 2, (1, 3, 32)),
        (np.float32, 3, (1, 3, 64)),
        (np.float32, 8, (2, 3, 64)),
        (np.float32, 9, (3, 3, 64)),
        (np.float64, 1, (1, 3, 8)),
        (np.float64, 2, (1, 3, 16)),
        (np.float64, 3, (1, 3, 32)),
        (np.float64, 8, (2, 3, 32)),
    ],
)
def test_tiles_become_as_wide_as_the_examples_need(dtype, n_tiles, shape):
    y, _ = Flatten().forward(np.zeros((n_tiles, 3, tiles.one_register(dtype)), dtype))
    assert y.shape == shape


@pytest.mark.parametrize(("dtype", "width"), [(np.float32, 64), (np.float64, 32), (np.float64, 64)])
def test_wide_tiles_stay_as_they_are(dtype, width):
    x = np.random.default_rng(43).standard_normal((3, 4, width)).astype(dtype)
    y, pullback = Flatten().forward(x)
    np.testing.assert_array_equal(x, y, strict=True)
    np.testing.assert_array_equal(pullback(x)[0], x, strict=True)


def test_no_examples_stay_none():
    y, pullback = Flatten().forward(np.zeros((0, 4, 16), np.float32))
    assert pullback(y)[0].shape == (0, 4, 16)


def test_activations_need_not_be_contiguous():
    x = naive.pack(rows(20), 8)
    ref, pullback = Flatten().forward(x)
    comp, other = Flatten().forward(np.repeat(x, 2, axis=1)[:, ::2])
    np.testing.assert_array_equal(ref, comp)
    np.testing.assert_array_equal(pullback(ref)[0], other(np.repeat(ref, 2, axis=1)[:, ::2])[0])


def test_derivatives_of_padded_examples_that_have_no_place_are_left_out():
    x = naive.pack(rows(20), 8)  # three tiles, of which four fit one of 32
    y, pullback = Flatten().forward(x)
    assert pullback(np.ones_like(y))[0].shape == (3, 5, 8)


@every_dtype
@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="no second thread")
def test_one_and_two_threads_give_the_same_bytes(dtype):
    x, found, before = naive.pack(rows(70, 90, dtype), 8), [], numba.get_num_threads()
    for threads in (1, 2):
        numba.set_num_threads(threads)
        y, pullback = Flatten().forward(x)
        found.append((y.tobytes(), pullback(y)[0].tobytes()))
    numba.set_num_threads(before)
    assert found[0] == found[1]


@pytest.mark.parametrize(("width", "wider"), [(8, 16), (16, 64), (32, 64)])
def test_joined_tiles_come_apart_again(width, wider):
    x = rows(37)
    narrow, joined = naive.pack(x, width), np.full_like(naive.pack(x, wider), np.nan)
    join_tiles(narrow, joined)
    np.testing.assert_array_equal(joined, naive.pack(x, wider))
    apart = np.full_like(narrow, np.nan)
    separate_tiles(joined, apart)
    np.testing.assert_array_equal(apart, narrow)


def test_an_image_becomes_one_axis():
    assert Flatten().shape_after((3, 4, 5)) == (60,)
    assert Flatten().shape_after((7,)) == (7,)
    assert Flatten().parameters() == {}
    assert repr(Flatten()) == "Flatten()"


def test_another_delta_is_refused():
    _, pullback = Flatten().forward(np.zeros((3, 4, 8)))
    message = "Flatten: delta must have shape (1, 4, 32), got (3, 4, 8)"
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        pullback(np.zeros((3, 4, 8)))
