"""The layout of activations: what goes in comes out, padded with zeros, on cache lines."""

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_ref import tiles

DTYPES = (np.float32, np.float64)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
batches = given(n=st.integers(1, 150), features=st.integers(1, 5), dtype=st.sampled_from(DTYPES))


def examples(n, features, dtype=np.float64):
    """Numbers that are all different and none of them 0."""
    return np.arange(1, n * features + 1, dtype=dtype).reshape(n, features)


@pytest.mark.parametrize(
    ("dtype", "n", "width"),
    [
        # the narrowest that holds n, else the widest
        (np.float32, 1, 16),
        (np.float32, 16, 16),
        (np.float32, 17, 32),
        (np.float32, 32, 32),
        (np.float32, 33, 64),
        (np.float32, 1000, 64),
        (np.float64, 1, 8),
        (np.float64, 8, 8),
        (np.float64, 9, 16),
        (np.float64, 16, 16),
        (np.float64, 17, 32),
        (np.float64, 1000, 32),
    ],
)
def test_width_for(dtype, n, width):
    assert tiles.width_for(n, dtype) == width


@batches
@settings(deadline=None, max_examples=60)
def test_pack_puts_example_e_at_tile_e_over_width(n, features, dtype):
    x = examples(n, features, dtype)
    ref = naive.pack(x, tiles.width_for(n, dtype))
    comp = tiles.pack(x)
    np.testing.assert_array_equal(ref, comp, strict=True)


@batches
@settings(deadline=None, max_examples=60)
def test_unpack_undoes_pack(n, features, dtype):
    x = examples(n, features, dtype)
    np.testing.assert_array_equal(x, tiles.unpack(tiles.pack(x), n), strict=True)


@given(order=st.lists(st.integers(0, 9), max_size=70))
@settings(deadline=None, max_examples=60)
def test_pack_takes_the_examples_of_an_order(order):
    x, order = examples(10, 3), np.array(order, np.int64)
    np.testing.assert_array_equal(x[order], tiles.unpack(tiles.pack(x, order), len(order)))


@batches
@settings(deadline=None, max_examples=40)
def test_padding_is_zero(n, features, dtype):
    packed = tiles.pack(examples(n, features, dtype))
    everything = tiles.unpack(packed, packed.shape[0] * packed.shape[2])
    np.testing.assert_array_equal(everything[n:], 0)


def test_unpack_gives_memory_of_its_own_order():
    assert tiles.unpack(tiles.pack(examples(20, 3)), 20).flags.c_contiguous


@every_dtype
@pytest.mark.parametrize("shape", [(1,), (3, 5, 16), (2, 784, 64), (7, 1, 8)])
def test_empty_starts_on_a_cache_line(shape, dtype):
    kept = [tiles.empty(shape, dtype) for _ in range(8)]  # several: one may be aligned by luck
    assert {array.ctypes.data % 64 for array in kept} == {0}


@every_dtype
@pytest.mark.parametrize("shape", [(1,), (3, 5, 16), (0, 4, 8)])
def test_empty_has_the_shape_and_dtype_asked_for(shape, dtype):
    array = tiles.empty(shape, dtype)
    assert (array.shape, array.dtype, array.flags.c_contiguous) == (shape, dtype, True)


@every_dtype
@pytest.mark.parametrize("n", [0, 1, 17, np.int64(5)])
def test_empty_takes_a_number_for_a_shape(n, dtype):
    array = tiles.empty(n, dtype)
    assert (array.shape, array.dtype) == ((n,), dtype)
    assert n == 0 or array.ctypes.data % 64 == 0


@pytest.mark.parametrize("dtype", [np.bool_, np.int8, np.int32, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3, 5, 16), (7,), (0, 4)])
def test_empty_like_has_the_shape_and_dtype_of_another(shape, dtype):
    other = np.zeros(shape, dtype)
    array = tiles.empty_like(other)
    assert (array.shape, array.dtype) == (shape, dtype)
    assert array.size == 0 or array.ctypes.data % 64 == 0
    assert not np.shares_memory(array, other)


def test_empty_like_follows_rows_whatever_the_other_does():
    # The kernels read row after row; NumPy's own empty_like would keep the columns together.
    assert tiles.empty_like(np.asfortranarray(np.ones((3, 5)))).flags.c_contiguous


def test_empty_arrays_do_not_share_memory():
    assert not np.shares_memory(tiles.empty((5, 3), np.float32), tiles.empty((5, 3), np.float32))


def test_pack_starts_on_a_cache_line():
    assert {tiles.pack(examples(n, 3)).ctypes.data % 64 for n in range(1, 20)} == {0}


def test_no_examples_make_no_tiles():
    assert tiles.pack(np.empty((0, 3))).shape == (0, 3, 8)


@pytest.mark.parametrize("row", [3, -1])
def test_packing_refuses_rows_that_are_not_there(row):
    with pytest.raises(ValueError, match=rf"^pack: order must be in \[0, 3\), got {row}$"):
        tiles.pack(np.ones((3, 2)), np.array([0, row]))


def test_a_buffer_in_use_is_never_handed_out_again():
    one = tiles.empty((3, 5), np.float64)
    kept = one[1:]  # a view alone keeps it in use
    kept[:] = 7
    del one
    two = tiles.empty((3, 5), np.float64)
    two[:] = 9
    assert not np.shares_memory(kept, two)
    assert set(kept.ravel()) == {7}


def test_a_buffer_nobody_uses_is_handed_out_again():
    one = tiles.empty((3, 1117), np.float32)
    where = one.ctypes.data
    del one
    assert tiles.empty((1117, 3), np.float32).ctypes.data == where


def held(pool):
    return {size: len(group) for size, group in pool._buffers.items() if group}


def test_what_has_been_idle_for_long_is_let_go_when_the_pool_grows(monkeypatch):
    monkeypatch.setattr(tiles, "SPARE", 10_000)
    monkeypatch.setattr(tiles, "LONG", 3)
    pool = tiles._Pool()
    kept = [pool.take(20_000)]
    for n_bytes in (1000, 1001, 1002, 1003, 1004):
        pool.take(n_bytes)
    assert held(pool) == {20_000: 1, 1001: 1, 1002: 1, 1003: 1, 1004: 1}
    del kept


def test_idle_buffers_beyond_a_share_of_what_was_in_use_are_let_go_the_oldest_first(monkeypatch):
    monkeypatch.setattr(tiles, "SPARE", 1000)
    pool = tiles._Pool()
    forward = [pool.take(n) for n in (8000, 4000, 2000)]
    forward.pop()
    forward.pop()
    backward = [pool.take(8000)]  # 22,000 would be held
    assert held(pool) == {8000: 2, 2000: 1}  # 16,000 in use: 18,400 may be held
    del forward, backward


def test_what_a_step_takes_again_and_again_is_not_let_go():
    pool = tiles._Pool()
    sizes = [20 << 20, 21 << 20, 22 << 20, 23 << 20]
    alive = [pool.take(n_bytes) for n_bytes in sizes]
    before = [id(pool._buffers[n][0]) for n in sizes]
    del alive
    pool.take(5 << 20)  # all of the others are idle now, and more than may be in any case
    assert [id(pool._buffers[n][0]) for n in sizes] == before
