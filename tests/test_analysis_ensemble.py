"""Ensembles and agreement: Masks2020, table 2 and figure 14."""

import re

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparse_ref.analysis import agreement, ensemble, ensemble_accuracy
from sparse_ref.analysis.ensemble import AVERAGES

PROBABILITIES = np.array([[[0.6, 0.4, 0.0]], [[0.1, 0.45, 0.45]], [[0.1, 0.45, 0.45]]])
every_average = pytest.mark.parametrize("average", sorted(AVERAGES))


def outputs(members=4, n=30, classes=5, seed=51):
    return np.random.default_rng(seed).standard_normal((members, n, classes))


def test_by_hand():
    with np.errstate(divide="ignore"):
        logits = np.log(PROBABILITIES)
    ref = [[0.8 / 3, 1.3 / 3, 0.9 / 3]]
    np.testing.assert_allclose(ensemble(logits), ref, rtol=1e-15)
    np.testing.assert_allclose(ensemble(PROBABILITIES, "logits"), ref, rtol=1e-15)
    assert ensemble_accuracy(logits, [1]) == 1.0
    # Two members say 1, the first of their equals.
    np.testing.assert_allclose(ensemble(logits, "vote"), [[1 / 3, 2 / 3, 0]], rtol=1e-15)
    with np.errstate(divide="ignore"):
        geometric = [[np.log(0.6 * 0.01) / 3, np.log(0.4 * 0.45**2) / 3, -np.inf]]
    np.testing.assert_allclose(ensemble(logits, "log_probabilities"), geometric, rtol=1e-14)


@every_average
def test_an_ensemble_of_copies_is_the_member(average):
    member = outputs(1)[0]
    scores = ensemble([member] * 4, average)
    np.testing.assert_array_equal(scores.argmax(axis=1), member.argmax(axis=1))
    y = np.random.default_rng(52).integers(0, 5, 30)
    alone = np.mean(member.argmax(axis=1) == y)
    assert ensemble_accuracy([member] * 3, y, average) == alone


@every_average
def test_the_order_of_members_does_not_matter(average):
    members = outputs()
    # Sums of four numbers below 5 in another order.
    np.testing.assert_allclose(
        ensemble(members, average), ensemble(members[::-1], average), rtol=0, atol=1e-14
    )


@every_average
def test_permuted_examples_and_classes_permute_the_scores(average):
    members, order = outputs(), np.random.default_rng(53)
    rows, columns = order.permutation(30), order.permutation(5)
    ref = ensemble(members, average)[rows][:, columns]
    comp = ensemble(members[:, rows][:, :, columns], average)
    np.testing.assert_allclose(comp, ref, rtol=0, atol=1e-14)


@pytest.mark.parametrize("average", ["softmax", "log_probabilities", "vote"])
def test_a_number_added_to_all_logits_of_an_example_says_nothing(average):
    members = outputs()
    shifted = members + np.random.default_rng(54).integers(-9, 9, (4, 30, 1))
    np.testing.assert_allclose(
        ensemble(shifted, average), ensemble(members, average), rtol=0, atol=1e-13
    )


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 4), st.integers(2, 2**32))
def test_as_the_naive_twin(members, n, classes, seed):
    found = outputs(members, n, classes, seed)
    found = np.round(2 * found) / 2  # with ties
    for average in AVERAGES:
        ref = naive.ensemble(found, average)
        np.testing.assert_allclose(ensemble(found, average), ref, rtol=1e-13, atol=1e-13)
    np.testing.assert_array_equal(agreement(found), naive.agreements(found))


def test_probabilities_of_float32_logits_are_float64():
    scores = ensemble(outputs().astype(np.float32))
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-14)


def test_large_logits_do_not_overflow():
    np.testing.assert_array_equal(ensemble([[[1e4, 0.0]], [[1e4, 0.0]]]), [[1, 0]])


def test_agreement_by_hand():
    one, two, three = np.eye(3), np.eye(3)[[0, 1, 1]], np.eye(3)[[2, 1, 0]]
    ref = [[3, 2, 1], [2, 3, 1], [1, 1, 3]]
    found = agreement([one, two, three])
    np.testing.assert_array_equal(found, ref)
    assert found.dtype == np.int64


def test_agreement_is_symmetric_and_full_on_the_diagonal():
    found = agreement(outputs())
    np.testing.assert_array_equal(found, found.T)
    assert np.diag(found).tolist() == [30] * 4


@pytest.mark.parametrize(
    ("members", "options", "words"),
    [
        ([], {}, "ensemble: outputs must be one or more arrays of one shape (n, classes), got"),
        ([np.zeros((2, 3)), np.zeros((2, 4))], {}, "ensemble: outputs must be one or more arrays"),
        ([np.zeros(3)], {}, "ensemble: outputs must be one or more arrays of one shape"),
        ([np.zeros((0, 3))], {}, "ensemble: outputs must be one or more arrays of one shape"),
        ([np.full((1, 2), np.nan)], {}, "ensemble: outputs must be numbers, got nan or inf of"),
        ([np.full((1, 2), -np.inf)], {}, "ensemble: outputs must be numbers, got nan or inf of"),
        ([np.zeros((1, 2))], {"average": "mean"}, "ensemble: average must be one of ["),
    ],
)
def test_what_is_refused(members, options, words):
    with pytest.raises(ValueError, match="^" + re.escape(words)):
        ensemble(members, **options)


def test_labels_must_be_as_many_as_examples():
    words = r"^ensemble_accuracy: y must hold a label for each of 30 examples, got shape \(3,\)$"
    with pytest.raises(ValueError, match=words):
        ensemble_accuracy(outputs(), [1, 2, 3])
