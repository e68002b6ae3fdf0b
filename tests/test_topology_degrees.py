"""In- and out-degrees and how they go together (VanGelder2020, figure 3)."""

import math

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparse_ref import csr, selection
from sparse_ref.topology import correlation, in_degrees, out_degrees
from sparse_ref.topology.degrees import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_by_hand(kind):
    assert correlation(np.array([3, 2, 1, 0]), np.array([3, 2, 0, 1]), kind) == pytest.approx(0.8)


def test_degrees_by_hand():
    #           inputs   0 1 2 3
    weight = np.array([[1, 0, 1, 1], [0, 0, 0, 0], [0, 0, 1, 0]])
    assert in_degrees(weight).tolist() == [3, 0, 1]
    assert out_degrees(weight).tolist() == [1, 0, 2, 1]
    assert in_degrees(weight).dtype == out_degrees(weight).dtype == np.int64


def test_ranks_and_numbers_differ():
    #  ranks  1  2  3  4         1  2  3  4
    before, after = np.array([0, 1, 2, 3]), np.array([0, 1, 10, 100])
    assert correlation(before, after, "spearman") == pytest.approx(1, abs=1e-15)
    assert correlation(before, after) < 0.9


def test_equal_degrees_share_their_mean_rank():
    #  ranks  1.5  1.5  3  4     and 1  2.5  2.5  4: both deviate from 2.5
    #        -1   -1   .5  1.5      -1.5  0  0  1.5     3.75 / sqrt(4.5 * 4.5)
    found = correlation(np.array([2, 2, 5, 9]), np.array([1, 3, 3, 8]), "spearman")
    assert found == pytest.approx(3.75 / 4.5)


@pytest.mark.parametrize("kind", KINDS)
def test_constant_degrees_have_no_correlation(kind):
    same, other = np.array([4, 4, 4]), np.array([1, 2, 3])
    assert math.isnan(correlation(same, other, kind))
    assert math.isnan(correlation(other, same, kind))
    assert math.isnan(correlation(same[:1], other[:1], kind))


def test_a_stored_zero_is_a_connection_unless_non_zeros_are_asked_for():
    weight = csr.from_dense(np.array([[0.0, 2.0]]), np.array([[True, True]]))
    assert in_degrees(weight).tolist() == [2]
    assert in_degrees(weight, pattern="nonzero").tolist() == [1]
    assert out_degrees(weight, pattern="nonzero").tolist() == [0, 1]


numbers = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12)


@given(numbers)
def test_as_the_naive_twin(pairs):
    before, after = (list(part) for part in zip(*pairs, strict=True))
    ranks = [naive.mean_ranks(part) for part in (before, after)]
    # Sums of at most 12 small numbers: a handful of roundings.
    ref = naive.pearson(before, after)
    assert correlation(np.array(before), np.array(after)) == pytest.approx(
        ref, abs=1e-14, nan_ok=True
    )
    ref = naive.pearson(*ranks)
    comp = correlation(np.array(before), np.array(after), "spearman")
    assert comp == pytest.approx(ref, abs=1e-14, nan_ok=True)


@given(numbers, st.randoms(use_true_random=False))
def test_properties_of_a_correlation(pairs, random):
    before, after = (np.array(part) for part in zip(*pairs, strict=True))
    order = list(range(len(pairs)))
    random.shuffle(order)
    for kind in KINDS:
        found = correlation(before, after, kind)
        if math.isnan(found):
            continue
        assert -1 <= found <= 1
        assert correlation(after, before, kind) == pytest.approx(found, abs=1e-14)
        assert correlation(before[order], after[order], kind) == pytest.approx(found, abs=1e-14)
        assert correlation(before, 3 * before + 2, kind) == pytest.approx(1, abs=1e-14)
        assert correlation(before, -before, kind) == pytest.approx(-1, abs=1e-14)


@given(st.integers(1, 8), st.integers(1, 8), st.integers(2, 2**32))
def test_degrees_as_the_naive_twin_and_they_add_up(n_out, n_in, seed):
    present = np.random.default_rng(seed).random((n_out, n_in)) < 0.4
    weight = csr.from_dense(np.zeros(present.shape), present)
    rows, columns = naive.degrees(present)
    assert in_degrees(weight).tolist() == out_degrees(present.T).tolist() == rows
    assert out_degrees(weight).tolist() == in_degrees(present.T).tolist() == columns
    assert in_degrees(weight).sum() == out_degrees(weight).sum() == weight.nnz


def test_degrees_of_many_connections():
    rng = np.random.default_rng(601)
    positions = selection.random_ranks(300 * 70_000, 50_000, rng)
    weight = csr.from_positions((300, 70_000), positions, np.ones(50_000))
    ref = np.bincount(positions % 70_000, minlength=70_000)
    np.testing.assert_array_equal(out_degrees(weight), ref)
    np.testing.assert_array_equal(
        in_degrees(weight), np.bincount(positions // 70_000, minlength=300)
    )


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ([1, 2], [1], r"before and after must be of the same units, got 2 and 1"),
        ([], [], r"before must hold one finite number a unit, got shape \(0,\)"),
        ([1.0], [np.nan], r"after must hold one finite number a unit, got .*nan"),
        ([[1]], [[1]], r"before must hold one finite number a unit, got shape \(1, 1\)"),
    ],
)
def test_what_is_refused(before, after, words):
    with pytest.raises(ValueError, match=f"^correlation: {words}"):
        correlation(np.array(before), np.array(after))


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match=r"^correlation: kind must be one of .*, got 'kendall'$"):
        correlation(np.arange(3), np.arange(3), "kendall")


@pytest.mark.parametrize("function", [in_degrees, out_degrees])
def test_what_is_no_weight_is_refused(function):
    with pytest.raises(TypeError, match=f"^{function.__name__}: weight must be a two-dimensional"):
        function([[1, 2]])
