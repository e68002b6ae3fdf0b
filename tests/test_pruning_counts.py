"""How many go and which: counts worked by hand, the traps of floats, all equal magnitudes."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparse_ref.pruning import COUNTS, TIES, Magnitude, removed, weakest
from sparse_ref.pruning.counts import percent, truncated_percent

EXACT = ("keep_low_index", "drop_low_index", "random")


# ---------------------------------------------------------------- counts, by hand


@pytest.mark.parametrize(
    ("rule", "ref"),
    [
        ("round_half_even", [2, 4, 0, 2]),
        ("npround_plus_one", [3, 5, 1, 3]),
        ("ceil_plus_one", [4, 5, 2, 3]),
        ("trunc", [2, 3, 0, 1]),
        ("kept_half_even", [3, 3, 1, 1]),
        ("kept_half_even_f32", [3, 3, 0, 1]),  # of one, one is kept
    ],
)
def test_halves_go_where_each_code_rounds_them(rule, ref):
    # Half of 5, 7, 1 and 3 (2.5, 3.5, .5, 1.5); at n = 1 a rank and all up to it may be too many.
    comp = [_removed(n, 0.5, rule) for n in (5, 7, 1, 3)]
    assert comp == ref


def _removed(n, amount, rule):
    try:
        return removed(n, amount, rule)
    except ValueError:
        return COUNTS[rule](n, amount)


@pytest.mark.parametrize(
    ("n", "amount", "ref"),
    [
        (10, 1 - 0.9, 0),
        (10, 1 - 0.8, 1),
        (100, 0.29, 28),
        (100, 0.57, 56),
        (10, Fraction(1, 10), 1),
        (100, Fraction(29, 100), 29),
        (100, Fraction(57, 100), 57),
    ],
)
def test_truncation_falls_into_the_traps_of_floats_and_fractions_do_not(n, amount, ref):
    assert removed(n, amount, "trunc") == ref


@pytest.mark.parametrize(
    ("n", "amount", "ref"),
    [(235200, 0.2, 47039), (30000, 0.2, 5999), (1000, 0.1, 99), (1000, Fraction(1, 10), 100)],
)
def test_percents_are_truncated_as_zhou_writes_them(n, amount, ref):
    assert removed(n, amount, "trunc_percent") == ref


@pytest.mark.parametrize(("n", "amount", "ref"), [(15, 0.9, 13), (5, 0.3, 1), (5, 0.9, 4)])
def test_tfmot_counts_in_float32(n, amount, ref):
    # float32 keeps 15 * (1 - .9) = 1.5000004, so 2, and 5 * (1 - .3) = 3.5, so 4; in float64 it is
    # 1.4999999999999996.
    assert removed(n, amount, "kept_half_even_f32") == ref


def test_several_rounds_at_once_are_a_power_of_what_is_kept():
    assert percent(0.8) == 19.999999999999996
    assert truncated_percent(235200, percent(0.8, 2)) == int(235200 * ((1 - 0.8**2) * 100) / 100)
    assert percent(Fraction(4, 5), 2) == 36


@pytest.mark.parametrize("rule", COUNTS)
def test_a_count_is_taken_as_it_is(rule):
    assert [removed(10, k, rule) for k in (0, 1, 10)] == [0, 1, 10]
    assert removed(10, np.int64(3), rule) == 3


@pytest.mark.parametrize(
    ("rule", "at_zero", "at_one"),
    [
        ("round_half_even", 0, 10),
        ("npround_plus_one", 1, None),
        ("ceil_plus_one", 1, None),
        ("trunc", 0, 10),
        ("trunc_percent", 0, 10),
        ("kept_half_even", 0, 10),
        ("kept_half_even_f32", 0, 9),
    ],
)
def test_nothing_and_everything(rule, at_zero, at_one):
    assert removed(10, 0.0, rule) == at_zero
    if at_one is not None:
        assert removed(10, 1.0, rule) == at_one
        return
    with pytest.raises(ValueError, match=r"^removed: no more can go than there are, 10, got 11"):
        removed(10, 1.0, rule)


def test_one_is_one_and_a_whole_is_all():
    assert (removed(10, 1), removed(10, 1.0)) == (1, 10)


def test_of_few_nothing_goes():
    assert [removed(n, 0.2) for n in (0, 1, 2, 3)] == [0, 0, 0, 1]


@pytest.mark.parametrize("amount", [1.5, -0.1, float("nan"), Fraction(3, 2)])
def test_a_fraction_outside_the_bounds_is_refused(amount):
    with pytest.raises(ValueError, match=r"^removed: a fraction must be in \[0, 1\], got"):
        removed(10, amount)


def test_a_count_outside_the_bounds_is_refused():
    with pytest.raises(ValueError, match=r"^removed: a count must be at least 0, got -1"):
        removed(10, -1)
    with pytest.raises(ValueError, match=r"^removed: no more can go than there are, 10, got 11"):
        removed(10, 11)


@pytest.mark.parametrize("amount", [True, "0.2", None, 1j])
def test_what_is_no_number_is_refused(amount):
    with pytest.raises(TypeError, match=r"^removed: amount must be a fraction or a count, got"):
        removed(10, amount)


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match=r"^removed: rule must be one of \[.*\], got 'floor'"):
        removed(10, 0.2, "floor")


@given(n=st.integers(1, 10**9), amount=st.floats(0, 0.999), rule=st.sampled_from(list(COUNTS)))
def test_a_count_is_within_one_or_two_of_the_part(n, amount, rule):
    k = COUNTS[rule](n, amount)
    tolerance = 2 + (n * 2.0**-22 if rule.endswith("f32") else 0)
    assert abs(k - amount * n) <= tolerance


@given(n=st.integers(0, 10**15), tenths=st.integers(0, 1000))
def test_a_fraction_is_exact(n, tenths):
    p = Fraction(tenths, 1000)
    assert removed(n, p, "trunc") == n * tenths // 1000
    assert removed(n, p, "trunc_percent") == n * tenths // 1000
    assert removed(n, p) == round(n * p)


# ---------------------------------------------------------------- which ones


def test_of_all_equal_every_rule_takes_what_it_says():
    scores = np.ones(10)
    rng = np.random.default_rng(503)
    comp = {ties: len(weakest(scores, 2, ties, rng)) for ties in TIES}
    assert comp == {
        "keep_low_index": 2,
        "drop_low_index": 2,
        "random": 2,
        "drop_all": 10,
        "keep_all": 0,
    }


@pytest.mark.parametrize(
    ("convention", "amount", "kept"),
    [("torch", 0.2, 8), ("google-lth", 0.2, 0), ("open-lth", 0.2, 0), ("tfmot", 0.9, 10)],
)
def test_of_all_equal_every_code_keeps_what_it_keeps(convention, amount, kept):
    (drop,) = Magnitude(amount, convention=convention)([np.ones((2, 5))])
    assert 10 - len(drop) == kept


def test_synflows_way_keeps_none_of_all_equal():
    assert len(weakest(np.ones(10), removed(10, 0.2, "trunc"), "drop_all")) == 10


def test_where_nothing_goes_ties_are_of_no_matter():
    for ties in TIES:
        rng = np.random.default_rng(509)
        assert weakest(np.zeros(4), 0, ties, rng).tolist() == []
        assert weakest(np.zeros(4), 4, ties, rng).tolist() == [0, 1, 2, 3]


@given(
    scores=st.lists(st.integers(0, 4), max_size=12), part=st.floats(0, 1), seed=st.integers(2, 99)
)
def test_ties_bracket_the_count(scores, part, seed):
    scores, k = np.array(scores, float), int(part * len(scores))
    rng = np.random.default_rng(seed)
    few, many = (set(weakest(scores, k, ties).tolist()) for ties in ("keep_all", "drop_all"))
    if k < len(scores):
        assert len(few) <= k
    for ties in EXACT:
        some = set(weakest(scores, k, ties, rng).tolist())
        assert len(some) == k
        assert some <= many
        assert k == len(scores) or few <= some


def test_an_unknown_tie_rule_is_refused():
    with pytest.raises(ValueError, match=r"^weakest: ties must be one of \[.*\], got 'stable'"):
        weakest(np.ones(3), 1, "stable")
