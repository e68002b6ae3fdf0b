"""Schedules: the papers' values, ends that are exact, and event steps."""

import dataclasses
import math
import re
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparse_ref.elementary import cos_pi, power
from sparse_ref.schedules import (
    Constant,
    Cosine,
    Every,
    Exponential,
    InversePower,
    Linear,
    Steps,
    Warmup,
    as_schedule,
    cubic,
)

decays = pytest.mark.parametrize(
    "make",
    [Cosine, Linear, cubic, lambda initial, stop, *rest: InversePower(initial, stop, 5, *rest)],
    ids=["cosine", "linear", "cubic", "power 5"],
)
amounts = st.floats(0, 1)
spans = st.tuples(st.integers(0, 10**5), st.integers(1, 10**5))  # start, stop - start


# Values ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "steps", "ref"),
    [
        (
            Cosine(0.3, 100),
            (0, 25, 50, 75, 99, 100),
            (0.3, 0.256066017, 0.15, 0.043933983, 0.000074016, 0),
        ),
        (
            Cosine(0.5, 100, floor=0.005),
            (0, 25, 50, 75, 99, 100),
            (0.5, 0.427508928, 0.2525, 0.077491072, 0.005122126, 0.005),
        ),
        (InversePower(0.3, 100, 1), (25, 50, 75), (0.225, 0.15, 0.075)),
        (cubic(0.3, 100), (25, 50, 75), (0.1265625, 0.0375, 0.0046875)),
        (Linear(0.3, 100), (0, 25, 50, 75, 100), (0.3, 0.225, 0.15, 0.075, 0)),
        (Constant(0.3), (0, 1, 99), (0.3, 0.3, 0.3)),
        (Cosine(0.1, 100, start=1), (1, 50.5, 100, 150), (0.1, 0.05, 0, 0)),  # GGR, in epochs
        (cubic(1.0, 100, floor=0.1), (0, 50, 100), (1.0, 0.2125, 0.1)),
        (Steps(0.1, (80, 120)), (0, 1, 80, 81, 120, 121), (0.1, 0.1, 0.1, 0.01, 0.01, 0.001)),
        (Steps(0.1, ()), (0, 1000), (0.1, 0.1)),
        (Exponential(0.8, 0.9), (0, 1, 2, 3), (0.8, 0.8, 0.72, 0.648)),
        (Exponential(0.8, 0.5, every=10), (10, 11, 20, 21), (0.8, 0.4, 0.4, 0.2)),
        (Warmup(Constant(0.4), 4), (0, 1, 3, 4, 5), (0, 0.1, 0.3, 0.4, 0.4)),
        (Warmup(Linear(1.0, 10), 5), (2, 5, 6), (0.8 * 2 / 5, 0.5, 0.4)),
    ],
)
def test_values(schedule, steps, ref):
    comp = [schedule(step) for step in steps]
    assert comp == pytest.approx(ref, abs=5e-10)  # the digits given
    assert all(type(value) is float for value in comp)


def test_the_cosine_begins_at_start():
    # The TensorFlow code of RigL has 0 everywhere on [100, 200].
    comp = [Cosine(0.3, 200, start=100)(step) for step in (0, 100, 150, 200)]
    assert comp == [0.3, 0.3, 0.15, 0.0]


def test_exponential_is_steps_at_multiples_of_every():
    ref = Steps(0.7, tuple(range(13, 500, 13)), 0.9)
    comp = Exponential(0.7, 0.9, every=13)
    assert [comp(step) for step in range(500)] == [ref(step) for step in range(500)]


def test_power_one_is_linear():
    ref, comp = Linear(0.3, 70, 7, 0.1), InversePower(0.3, 70, 1, 7, 0.1)
    assert [comp(step) for step in range(90)] == [ref(step) for step in range(90)]


def test_float32_parameters_give_float64_arithmetic():
    initial = np.float32(0.3)
    assert Cosine(initial, 100)(30) == Cosine(float(initial), 100)(30)
    assert Exponential(initial, np.float32(0.9))(9) == Exponential(
        float(initial), float(np.float32(0.9))
    )(9)


# Invariants --------------------------------------------------------------------------------------


@decays
@given(amounts, amounts, spans)
def test_the_ends_are_exact(make, a, b, span):
    (floor, initial), (start, length) = sorted((a, b)), span
    schedule = make(initial, start + length, start, floor)
    assert schedule(0) == schedule(start) == initial
    assert schedule(start + length) == schedule(start + length + 17) == floor


@decays
@given(amounts, amounts, spans, st.data())
def test_decays_never_rise_and_stay_within_their_bounds(make, a, b, span, data):
    (floor, initial), (start, length) = sorted((a, b)), span
    schedule = make(initial, start + length, start, floor)
    step = data.draw(st.integers(0, start + length))
    assert initial >= schedule(step) >= schedule(step + 1) >= floor


@pytest.mark.parametrize("stop", [7, 1000, 10**7])
def test_the_cosine_falls_where_its_pieces_meet(stop):
    schedule = Cosine(0.3, stop)
    for joint in (stop // 4, stop // 2, 3 * stop // 4):
        near = [schedule(step) for step in range(max(joint - 50, 0), joint + 50)]
        assert near == sorted(near, reverse=True)


@given(amounts, st.floats(0.1, 0.999), st.integers(1, 20), st.integers(0, 2000))
def test_exponential_never_rises(initial, decay, every, step):
    schedule = Exponential(initial, decay, every)
    assert schedule(0) == initial
    assert 0 <= schedule(step + 1) <= schedule(step) <= initial


@given(amounts, st.integers(1, 200), st.integers(0, 400))
def test_warmup_never_exceeds_its_schedule(value, steps, step):
    comp = Warmup(Constant(value), steps)(step)
    assert 0 <= comp <= value
    assert comp == value or step < steps


def exact_cos_pi(x):
    """cos(π x) to 40 digits, by Taylor's series in decimal arithmetic."""
    with localcontext() as context:
        context.prec = 50
        y = Decimal("3.14159265358979323846264338327950288419716939937511") * Decimal(x)
        total = term = Decimal(1)
        for k in range(2, 60, 2):
            term *= -y * y / (k * (k - 1))
            total += term
        return total


@given(st.floats(0, 1))
def test_cosine_polynomial_is_accurate(x):
    comp = cos_pi(x)
    assert abs(Decimal(comp) - exact_cos_pi(x)) < Decimal("2.3e-16")  # two halves of an ulp of 1
    # math.cos sees π x rounded: half an ulp of 3, 2.2e-16, for that, as much for π itself
    assert abs(comp - math.cos(math.pi * x)) < 7e-16


@pytest.mark.parametrize(("x", "ref"), [(0.0, 1.0), (0.5, 0.0), (1.0, -1.0)])
def test_cosine_polynomial_is_exact_where_the_cosine_is(x, ref):
    assert cos_pi(x) == ref


@given(st.floats(0, 1))
def test_cosine_polynomial_is_odd_about_one_half(x):
    if 1 - (1 - x) == x:  # where 1 - x has no rounding
        assert cos_pi(1 - x) == -cos_pi(x)


def test_the_bits_of_the_cosine_are_known():
    comp = [Cosine(0.3, 7)(step).hex() for step in (1, 2, 3, 4, 5, 6)]
    assert comp == [
        "0x1.23fd232f03555p-2",
        "0x1.f2bc6ee53f516p-3",
        "0x1.778ef5540573bp-3",
        "0x1.ddaee224c1e59p-4",
        "0x1.cea7de049c53dp-5",
        "0x1.e6c20085fbbccp-7",
    ]


@given(st.floats(0, 1), st.integers(0, 300))
def test_power_is_accurate(base, exponent):
    # One rounding per multiplication, each doubled by the squarings after it: at most 2 * exponent.
    comp, ref = power(base, exponent), base**exponent
    assert comp == pytest.approx(ref, rel=2 * max(exponent, 1) * 2**-53, abs=1e-300)


# Events ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("every", "ref"),
    [
        (Every(100), range(100, 1000, 100)),
        (Every(100, stop=750), range(100, 750, 100)),  # RigL: t mod ΔT = 0 and t < T_end
        (Every(100, stop=400), (100, 200, 300)),
        (Every(100, stop=401), (100, 200, 300, 400)),  # the inclusive end of RigL's TensorFlow code
        (Every(100, start=0), range(0, 1000, 100)),  # jaxpruner
        (Every(100, start=130, stop=430), (130, 230, 330)),
        (Every(1), range(1, 1000)),  # DeepR
        (Every(100, stop=50), ()),
    ],
)
def test_event_steps(every, ref):
    assert [step for step in range(1000) if every.due(step)] == list(ref)


@given(st.integers(1, 50), st.integers(0, 100), st.integers(1, 300))
def test_events_are_an_arithmetic_progression(n, start, length):
    every = Every(n, start, start + length)
    comp = [step for step in range(500) if every.due(step)]
    assert comp == list(range(start, start + length, n))


# Kinds and errors --------------------------------------------------------------------------------


def test_as_schedule_makes_constants_of_numbers():
    for number in (0.3, 3, np.float32(0.5), np.int64(2)):
        assert as_schedule(number) == Constant(float(number))


def test_as_schedule_passes_functions_through():
    for function in (Cosine(0.3, 100), lambda step: 1 / (1 + step)):
        assert as_schedule(function) is function


@pytest.mark.parametrize("value", ["fast", None, True, [0.1], Every(3), Cosine])
def test_as_schedule_refuses_everything_else(value):
    text = f"as_schedule: value must be a number or a function of the step, got {value!r}"
    with pytest.raises(TypeError, match=re.escape(text)):
        as_schedule(value)


def test_schedules_are_values():
    assert Cosine(0.3, 100) == Cosine(0.3, 100)
    assert hash(Steps(0.1, [80, 120])) == hash(Steps(0.1, (80, 120)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        Cosine(0.3, 100).initial = 0.5


BAD = [
    (Constant, (math.nan,), ValueError, "Constant: value must be finite, got nan"),
    (Constant, ("a",), TypeError, "Constant: value must be a number, got 'a'"),
    (Cosine, (True, 9), TypeError, "Cosine: initial must be a number, got True"),
    (Cosine, (0.3, math.inf), ValueError, "Cosine: stop must be finite, got inf"),
    (
        Cosine,
        (0.3, 3, 5),
        ValueError,
        "Cosine: stop must be greater than start, got stop=3, start=5",
    ),
    (
        Linear,
        (0.3, 0),
        ValueError,
        "Linear: stop must be greater than start, got stop=0, start=0",
    ),
    (Linear, (0.3, 9, -1), ValueError, "Linear: start must be >= 0, got -1"),
    (
        cubic,
        (0.3, 9, 0, 0.5),
        ValueError,
        "InversePower: floor must be at most initial, got floor=0.5, initial=0.3",
    ),
    (InversePower, (0.3, 9, 0), ValueError, "InversePower: power must be an integer >= 1, got 0"),
    (
        InversePower,
        (0.3, 9, 2.5),
        TypeError,
        "InversePower: power must be an integer >= 1, got 2.5",
    ),
    (Exponential, (0.3, 1.1), ValueError, "Exponential: decay must be in (0, 1], got 1.1"),
    (
        Exponential,
        (0.3, 0.9, 0),
        ValueError,
        "Exponential: every must be an integer >= 1, got 0",
    ),
    (Steps, (0.3, (5,), 0.0), ValueError, "Steps: factor must be in (0, 1], got 0.0"),
    (
        Steps,
        (0.3, (5, 5)),
        ValueError,
        "Steps: boundaries must be >= 0 and strictly ascending, got (5, 5)",
    ),
    (
        Steps,
        (0.3, (-1, 5)),
        ValueError,
        "Steps: boundaries must be >= 0 and strictly ascending, got (-1, 5)",
    ),
    (
        Warmup,
        ("a", 5),
        TypeError,
        "as_schedule: value must be a number or a function of the step, got 'a'",
    ),
    (Warmup, (Constant(1), 0), ValueError, "Warmup: steps must be an integer >= 1, got 0"),
    (Every, (0,), ValueError, "Every: n must be an integer >= 1, got 0"),
    (Every, (True,), TypeError, "Every: n must be an integer >= 1, got True"),
    (Every, (5, -1), ValueError, "Every: start must be >= 0, got -1"),
    (
        Every,
        (5, 10, 10),
        ValueError,
        "Every: stop must be greater than start, got stop=10, start=10",
    ),
]


@pytest.mark.parametrize(("make", "arguments", "error", "text"), BAD)
def test_bad_parameters_are_named(make, arguments, error, text):
    with pytest.raises(error, match=re.escape(text)):
        make(*arguments)
