"""Claims from samples: what counts as decided."""

import math
import re

import pytest

from sparse_ref.experiments.evidence import (
    PLAIN,
    Sample,
    between,
    difference,
    near,
    ordered,
    percent,
)

HIGH, LOW = Sample("high", (0.90, 0.91, 0.92)), Sample("low", (0.80, 0.81, 0.82))
WIDE = Sample("wide", (0.70, 0.85, 1.00))


def test_mean_and_spread_of_a_sample():
    assert HIGH.mean == pytest.approx(0.91)
    assert HIGH.std == pytest.approx(0.01)  # with n - 1


@pytest.mark.parametrize(
    ("values", "text"), [((0.9, 0.91, 0.92), "91.00 ± 1.00"), ((0.5,), "50.00"), ((), "–")]
)
def test_percent(values, text):
    assert percent(values) == text


def test_the_error_of_a_difference_is_welchs():
    found = difference(HIGH, WIDE)
    assert found.mean == pytest.approx(0.06)
    assert found.error == pytest.approx(math.sqrt(0.01**2 / 3 + 0.15**2 / 3))


def test_the_error_of_pairs_is_that_of_their_differences():
    a, b = Sample("a", (0.9, 0.7, 0.5)), Sample("b", (0.88, 0.69, 0.47))  # 2, 1, 3 points
    found = difference(a, b, "paired")
    assert found.mean == pytest.approx(0.02)
    assert found.error == pytest.approx(0.01 / math.sqrt(3))
    assert ordered("a over b", [a, b], "paired").agrees is True
    assert ordered("a over b", [a, b]).agrees is None


def test_samples_of_unlike_size_are_no_pairs():
    a, b = Sample("a", (0.9, 0.7, 0.5)), Sample("b", (0.88, 0.69))
    assert difference(a, b, "paired") == difference(a, b)


def test_an_unknown_error_is_refused():
    rule = "difference: error must be one of ['apart', 'paired'], got 'none'"
    with pytest.raises(ValueError, match=re.escape(rule)):
        difference(HIGH, LOW, "none")


def test_samples_far_apart_are_ordered():
    claim = ordered("high over low", [HIGH, LOW])
    assert claim.agrees is True
    assert claim.measured == (
        "high 91.00 ± 1.00, low 81.00 ± 1.00; high less low +10.00 ± 0.82 points"
    )


def test_a_reversed_order_does_not_agree():
    assert ordered("low over high", [LOW, HIGH]).agrees is False


def test_one_reversed_pair_refutes_the_whole_order():
    assert ordered("all", [WIDE, LOW, HIGH]).agrees is False


def test_a_difference_within_the_spread_is_not_decided():
    claim = ordered("high over wide", [HIGH, WIDE])
    assert claim.agrees is None
    names = "the difference of high and wide"
    assert claim.why == f"{names} is within the spread of the trainings, or rounds to zero"


def test_one_training_has_no_spread():
    claim = ordered("a over b", [Sample("a", (0.9,)), Sample("b", (0.1,))])
    assert claim.agrees is None
    assert claim.why == "one training of a kind shows no spread to judge a difference by"


def test_a_sample_that_is_not_there_decides_nothing():
    for claim in (
        ordered("a over b", [HIGH, Sample("b", ())]),
        near("a is b", Sample("b", ()), HIGH, 0.01),
    ):
        assert (claim.agrees, claim.why) == (None, "no training of b ended")


# high less low is 10 ± 0.82 points, two errors 1.63
@pytest.mark.parametrize(
    ("within", "agrees"), [(0.12, True), (0.11, None), (0.09, None), (0.08, False)]
)
def test_near_needs_two_errors_to_either_side(within, agrees):
    assert near("high is low", HIGH, LOW, within).agrees is agrees


def test_what_would_be_printed_as_zero_decides_nothing():
    # 0.002 points, without any spread.
    claim = ordered("more", [Sample("a", (0.50002,) * 3), Sample("b", (0.5,) * 3)])
    assert claim.agrees is None
    assert "rounds to zero" in claim.why
    claim = ordered("more", [Sample("a", (0.5002,) * 3), Sample("b", (0.5,) * 3)])
    assert claim.agrees is True


DISTANCES = Sample("late", (0.61, 0.62, 0.60), PLAIN), Sample("early", (0.02, 0.03, 0.01), PLAIN)


def test_what_is_no_accuracy_is_written_as_it_is():
    claim = ordered("grows", DISTANCES)
    assert claim.agrees is True
    assert claim.measured == (
        "late 0.610 ± 0.010, early 0.020 ± 0.010; late less early +0.590 ± 0.008"
    )


def test_a_mean_between_two_limits():
    late, early = DISTANCES
    assert between("about 0.6", late, 0.5, 0.7) == (
        "about 0.6",
        "late 0.610 ± 0.010; claimed: 0.500 to 0.700",
        True,
        "",
    )
    assert between("about 0.6", early, 0.5, 0.7).agrees is False
    assert between("about 0.6", late, 0.615, 0.7).agrees is None
    assert between("about 0.6", late, 0.615, 0.7).why == "the limit is within the spread of late"


def test_a_single_value_is_between_no_limits():
    assert between("about 0.6", Sample("one", (0.6,), PLAIN), 0.5, 0.7).agrees is None
    assert between("about 0.6", Sample("none", (), PLAIN), 0.5, 0.7).why == (
        "no training of none ended"
    )
