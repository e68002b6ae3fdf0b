"""Loops of activation functions: their values, and that shares of large arrays meet."""

import naive
import numba
import numpy as np
import pytest

from sparse_ref.activation_kernels import (
    SERIAL_BELOW,
    add,
    capped_relu,
    capped_relu_pullback,
    leaky,
    relu,
    relu_pullback,
)

DTYPES = (np.float32, np.float64)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
INF, NAN = np.inf, np.nan


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
def test_capped_relu_hand_table(dtype):
    x = np.array([[-3, -0.0, 2, 6], [5.5, 7, NAN, INF]], dtype)
    comp = np.full_like(x, 9)
    capped_relu(x, dtype(6), comp)
    assert comp.tobytes() == np.array([[0, 0, 2, 6], [5.5, 6, NAN, 6]], dtype).tobytes()


@every_dtype
def test_capped_relu_pullback_hand_table(dtype):
    y = np.array([[0, -0.0, 2, 6], [5.5, 6, NAN, 0]], dtype)
    delta = np.array([[1, 2, 3, 4], [5, NAN, 7, NAN]], dtype)
    comp = np.full_like(y, 9)
    capped_relu_pullback(y, dtype(6), delta, comp)
    np.testing.assert_array_equal(comp, np.array([[0, 0, 3, 0], [5, 0, 7, 0]], dtype))


@every_dtype
def test_leaky_hand_table(dtype):
    x, factor = np.array([-2, 0, 3, NAN], dtype), np.array([5, 6, 7, 8], dtype)
    comp = np.full_like(x, 9)
    leaky(x, dtype(-0.5), factor, comp)
    assert comp.tolist() == [-2.5, -3, 7, -4]


@every_dtype
def test_add_hand_table(dtype):
    x, y = np.array([1, -0.0, INF, NAN], dtype), np.array([2, -0.0, -3, 1], dtype)
    comp = np.full_like(x, 9)
    add(x, y, comp)
    assert comp[:3].tobytes() == np.array([3, -0.0, INF], dtype).tobytes()
    assert np.isnan(comp[3])


SIZES = (SERIAL_BELOW - 1, SERIAL_BELOW, SERIAL_BELOW + 61)
CALLS = {
    "relu": lambda x, d, out: relu(x, out),
    "relu pullback": relu_pullback,
    "capped": lambda x, d, out: capped_relu(x, x.dtype.type(0.7), out),
    "capped pullback": lambda x, d, out: capped_relu_pullback(x, x.dtype.type(0.7), d, out),
    "leaky": lambda x, d, out: leaky(x, x.dtype.type(0.3), d, out),
    "add": add,
}
TWINS = {
    "relu": lambda x, d: np.where(x <= 0, 0, x),
    "relu pullback": lambda x, d: np.where(x <= 0, 0, d),
    "capped": lambda x, d: np.clip(x, 0, x.dtype.type(0.7)),
    "capped pullback": lambda x, d: np.where((x <= 0) | (x >= x.dtype.type(0.7)), 0, d),
    "leaky": lambda x, d: np.where(x > 0, d, x.dtype.type(0.3) * d),
    "add": lambda x, d: x + d,
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", CALLS)
@every_dtype
def test_shares_meet(name, size, dtype):
    rng = np.random.default_rng(37)
    x, delta = (rng.standard_normal(size).astype(dtype) for _ in range(2))
    comp = np.full_like(x, NAN)
    CALLS[name](x, delta, comp)
    np.testing.assert_array_equal(comp, TWINS[name](x, delta))


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="no second thread")
def test_one_and_two_threads_give_the_same_bytes(name):
    rng = np.random.default_rng(37)
    x, delta = (rng.standard_normal(SIZES[2]).astype(np.float32) for _ in range(2))
    before, found = numba.get_num_threads(), []
    for threads in (1, 2):
        numba.set_num_threads(threads)
        comp = np.full_like(x, NAN)
        CALLS[name](x, delta, comp)
        found.append(comp.tobytes())
    numba.set_num_threads(before)
    assert found[0] == found[1]


@every_dtype
@pytest.mark.parametrize("shape", [(0, 3, 8), (2, 0, 8)])
def test_nothing_stays_nothing(shape, dtype):
    x = np.empty(shape, dtype)
    for call in CALLS.values():
        call(x, x, x)
