"""exp and log: close to the C library's, the same bits with and without the compiler."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from sparse_ref import elementary

SMALLEST, LARGEST = 5e-324, math.nextafter(math.inf, 0)  # of float64, the first subnormal
EXP_SPECIAL = [
    0.0,
    -0.0,
    SMALLEST,
    -SMALLEST,
    1e-300,
    math.log(2) / 2,  # where the reduction changes its k
    -math.log(2) / 2,
    1.0,
    -1.0,
    700.0,
    709.782712893384,  # the largest argument whose exp is finite
    math.nextafter(709.782712893384, 0),
    math.nextafter(709.782712893384, 1000),
    -708.3964185322641,  # from here on the result is subnormal
    -708.4,
    -720.0,
    -745.13,
    -745.1332191019411,  # the last whose exp is not 0
    -745.1332191019412,
    -745.2,
    -746.0,
    1000.0,
    -1000.0,
    LARGEST,
    -LARGEST,
    math.inf,
    -math.inf,
]
LOG_SPECIAL = [
    SMALLEST,
    3 * SMALLEST,
    2.2250738585072014e-308,  # smallest normal
    math.nextafter(2.2250738585072014e-308, 0),
    0.5,
    math.sqrt(0.5),  # where the reduction changes its k
    math.nextafter(math.sqrt(0.5), 0),
    math.nextafter(1.0, 0),
    1.0,
    math.nextafter(1.0, 2),
    2.0,
    math.e,
    10.0,
    LARGEST,
    math.inf,
]


def c_exp(x):
    """The C library's, with inf where Python raises."""
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def units_apart(a, b):
    """How many float64 lie between a and b; both of one sign."""
    return abs(int(np.float64(a).view(np.int64)) - int(np.float64(b).view(np.int64)))


def bits(value):
    return np.float64(value).tobytes()


def wide(n, seed):
    """Positive numbers over the whole range of exponents, subnormal ones too."""
    rng = np.random.default_rng(seed)
    return np.ldexp(rng.random(n) + 0.5, rng.integers(-1073, 1024, n))


@pytest.mark.parametrize("x", EXP_SPECIAL)
def test_exp_is_within_2_units_of_the_c_library(x):
    ref = c_exp(x)
    comp = elementary.exp(x)
    assert units_apart(ref, comp) <= 2


@given(x=st.floats(-750, 709.78))
@settings(deadline=None, max_examples=1000)
def test_exp_is_within_2_units_everywhere(x):
    assert units_apart(c_exp(x), elementary.exp(x)) <= 2


@given(x=st.floats(-40, 0))
@settings(deadline=None, max_examples=500)
def test_exp_is_within_2_units_where_softmax_uses_it(x):
    assert units_apart(c_exp(x), elementary.exp(x)) <= 2


@pytest.mark.parametrize("x", LOG_SPECIAL)
def test_log_is_within_2_units_of_the_c_library(x):
    ref = math.log(x)
    comp = elementary.log(x)
    assert units_apart(ref, comp) <= 2


def test_log_is_within_2_units_everywhere():
    assert max(units_apart(math.log(x), elementary.log(x)) for x in wide(5000, 31)) <= 2


@given(x=st.floats(0.5, 2))
@settings(deadline=None, max_examples=500)
def test_log_is_within_2_units_around_1(x):
    assert units_apart(math.log(x), elementary.log(x)) <= 2


@given(x=st.floats(1, 1000))
@settings(deadline=None, max_examples=500)
def test_log_is_within_2_units_where_softmax_uses_it(x):
    assert units_apart(math.log(x), elementary.log(x)) <= 2


@pytest.mark.parametrize(
    ("x", "value"), [(0.0, 1.0), (-0.0, 1.0), (math.inf, math.inf), (-math.inf, 0.0)]
)
def test_exp_at_special_values_is_exact(x, value):
    assert bits(elementary.exp(x)) == bits(value)


@pytest.mark.parametrize(
    ("x", "value"), [(1.0, 0.0), (0.0, -math.inf), (-0.0, -math.inf), (math.inf, math.inf)]
)
def test_log_at_special_values_is_exact(x, value):
    assert bits(elementary.log(x)) == bits(value)


@pytest.mark.parametrize("function", [elementary.exp, elementary.log])
def test_nan_stays_nan(function):
    assert math.isnan(function(math.nan))


@pytest.mark.parametrize("x", [-SMALLEST, -1.0, -math.inf])
def test_log_of_a_negative_number_is_nan(x):
    assert math.isnan(elementary.log(x))


def test_exp_does_not_fall():
    # Steps of 0.01 raise exp by many units in the last place, far more than its error.
    values = [elementary.exp(x) for x in np.arange(-740, 709, 0.01)]
    assert all(a <= b for a, b in itertools.pairwise(values))


def test_log_does_not_fall():
    values = [elementary.log(x) for x in np.sort(wide(5000, 32))]
    assert all(a <= b for a, b in itertools.pairwise(values))


@given(x=st.floats(-750, 709.7))
@settings(deadline=None, max_examples=500)
def test_exp_has_the_same_bits_uncompiled(x):
    assert bits(elementary.exp(x)) == bits(elementary.exp.py_func(x))


@pytest.mark.parametrize("x", EXP_SPECIAL)
def test_exp_has_the_same_bits_uncompiled_at_special_values(x):
    assert bits(elementary.exp(x)) == bits(elementary.exp.py_func(x))


def test_log_has_the_same_bits_uncompiled():
    xs = [*wide(2000, 33), *LOG_SPECIAL, 0.0, -0.0]
    ref = [bits(elementary.log.py_func(float(x))) for x in xs]
    comp = [bits(elementary.log(float(x))) for x in xs]
    assert ref == comp


def test_bits_do_not_change_when_compiled_into_another_function():
    # Inlined into a loop the compiler may want to fuse or vectorise; it must not.
    @njit
    def over(x, out):
        for i in range(len(x)):
            out[i] = elementary.exp(x[i]) + 0 * elementary.log(x[i] + 800)

    x = np.random.default_rng(34).uniform(-700, 700, 512)
    comp = np.empty_like(x)
    over(x, comp)
    ref = np.array([elementary.exp.py_func(float(v)) for v in x])
    np.testing.assert_array_equal(ref, comp)
