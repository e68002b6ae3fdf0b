"""Losses: values and derivatives against plain loops, padding, and what they refuse."""

import re

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_ref import tiles
from sparse_ref.losses import (
    LOSSES,
    sigmoid_squared_error,
    sigmoid_squared_error_mocanu_code,
    softmax_cross_entropy,
    squared_error,
)

DTYPES = (np.float32, np.float64)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_loss = pytest.mark.parametrize("loss", list(LOSSES.values()))


def refuses(message):
    """The whole message, word for word."""
    return pytest.raises(ValueError, match="^" + re.escape(message) + "$")


def problem(n=21, classes=4, dtype=np.float64, size=1.0):
    """Outputs (n, classes) and labels (n,)."""
    rng = np.random.default_rng([n, classes])
    outputs = (size * rng.standard_normal((n, classes))).astype(dtype)
    return outputs, rng.integers(0, classes, n)


def on_rows(loss, outputs, targets):
    """Value and derivative of a loss that is given rows."""
    value, delta = loss(tiles.pack(outputs), targets)
    return value, tiles.unpack(delta, len(outputs))


# Softmax and cross-entropy ------------------------------------------------------------------------


def test_equal_logits_cost_the_logarithm_of_the_number_of_classes():
    value, _ = on_rows(softmax_cross_entropy, np.zeros((3, 4)), np.array([0, 3, 1]))
    assert value == pytest.approx(np.log(4), abs=1e-15)


def test_softmax_cross_entropy_hand_example():
    # softmax(0, log 3) = (1/4, 3/4); label 0: -log 1/4; derivative (1/4 - 1, 3/4)
    value, delta = on_rows(softmax_cross_entropy, np.array([[0.0, np.log(3)]]), np.array([0]))
    assert value == pytest.approx(np.log(4), abs=1e-15)
    np.testing.assert_allclose(delta, [[-0.75, 0.75]], rtol=0, atol=1e-15)


@every_dtype
@pytest.mark.parametrize("n", [1, 8, 21, 70])
@pytest.mark.parametrize("size", [1, 30])
def test_softmax_cross_entropy_value(dtype, n, size):
    outputs, labels = problem(n, 5, dtype, size)
    ref, _ = naive.cross_entropy(outputs, labels)
    comp, _ = on_rows(softmax_cross_entropy, outputs, labels)
    # In float64 for either dtype: n + 5 terms whose exp and log are within 2 units.
    assert comp == pytest.approx(ref, rel=(n + 20) * np.finfo(float).eps)


@every_dtype
@pytest.mark.parametrize("n", [1, 8, 21, 70])
@pytest.mark.parametrize("size", [1, 30])
def test_softmax_cross_entropy_derivative(dtype, n, size):
    outputs, labels = problem(n, 5, dtype, size)
    _, ref = naive.cross_entropy(outputs, labels)
    _, comp = on_rows(softmax_cross_entropy, outputs, labels)
    # A share of at most 1 within a few float64 units, over n, then rounded once to the dtype.
    bound = (20 * np.finfo(float).eps + np.finfo(dtype).eps) / n
    np.testing.assert_allclose(comp, ref, rtol=0, atol=bound)


@every_dtype
@pytest.mark.parametrize("shift", [1e4, -1e4, 3e38])
def test_huge_logits_are_no_trouble(dtype, shift):
    outputs, labels = np.array([[shift, -shift, 0]], dtype), np.array([0 if shift > 0 else 1])
    value, delta = on_rows(softmax_cross_entropy, outputs, labels)
    assert value == 0
    np.testing.assert_array_equal(delta, np.zeros((1, 3)))


def test_a_hopeless_label_costs_the_distance_of_the_logits():
    value, delta = on_rows(softmax_cross_entropy, np.array([[1e4, -1e4]]), np.array([1]))
    assert value == 2e4
    assert delta.tolist() == [[1, -1]]


@given(shift=st.integers(-1000, 1000))
@settings(deadline=None, max_examples=40)
def test_a_shift_of_all_logits_changes_nothing(shift):
    outputs, labels = problem()
    outputs = np.round(outputs, 1) * 8  # eighths: adding an integer is exact
    outputs = np.round(outputs) / 8
    ref, _ = on_rows(softmax_cross_entropy, outputs, labels)
    comp, _ = on_rows(softmax_cross_entropy, outputs + shift, labels)
    # log(norm) + top rounds to units of the top, of size 1000, for each of 21 examples.
    assert comp == pytest.approx(ref, abs=21 * 1000 * np.finfo(float).eps)


def test_the_derivatives_of_an_example_cancel():
    _, delta = on_rows(softmax_cross_entropy, *problem())
    assert np.abs(delta.sum(axis=1)).max() < 1e-15  # 4 numbers below 1/21, a unit each


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_labels_may_be_any_integers(dtype):
    outputs, labels = problem()
    ref, _ = on_rows(softmax_cross_entropy, outputs, labels)
    comp, _ = on_rows(softmax_cross_entropy, outputs, labels.astype(dtype))
    assert ref == comp


# Squared error ------------------------------------------------------------------------------------


def test_squared_error_hand_example():
    # errors (1, 2) and (0, -2): halves of 5 and 4, their mean 2.25; derivative error / 2
    outputs, targets = np.array([[2.0, 2.0], [5.0, 1.0]]), np.array([[1.0, 0.0], [5.0, 3.0]])
    value, delta = on_rows(squared_error, outputs, targets)
    assert value == 2.25
    assert delta.tolist() == [[0.5, 1], [0, -1]]


@every_dtype
@pytest.mark.parametrize("n", [1, 8, 21, 70])
def test_squared_error_value(dtype, n):
    outputs, _ = problem(n, 5, dtype)
    targets = np.random.default_rng(101).standard_normal((n, 5)).astype(dtype)
    ref, _ = naive.squared_error(outputs, targets)
    comp, _ = on_rows(squared_error, outputs, targets)
    # Two roundings an error in the dtype, then 5 n terms of one sign in float64.
    bound = 2 * np.finfo(dtype).eps + 5 * n * np.finfo(float).eps
    assert comp == pytest.approx(ref, rel=bound)


@every_dtype
@pytest.mark.parametrize("n", [1, 8, 21, 70])
def test_squared_error_derivative(dtype, n):
    outputs, _ = problem(n, 5, dtype)
    targets = np.random.default_rng(102).standard_normal((n, 5)).astype(dtype)
    _, ref = naive.squared_error(outputs, targets)
    _, comp = on_rows(squared_error, outputs, targets)
    np.testing.assert_allclose(comp, ref, rtol=2 * np.finfo(dtype).eps)  # a difference, a division


@every_dtype
def test_integer_targets_stand_for_one_hot_rows(dtype):
    outputs, labels = problem(dtype=dtype)
    one_hot = np.zeros_like(outputs)
    for e, label in enumerate(labels):
        one_hot[e, label] = 1
    ref_value, ref_delta = on_rows(squared_error, outputs, one_hot)
    value, delta = on_rows(squared_error, outputs, labels)
    assert ref_value == value
    np.testing.assert_array_equal(ref_delta, delta)


def test_targets_may_be_lists():
    outputs = np.array([[2.0, 2.0], [5.0, 1.0]])
    value, _ = on_rows(squared_error, outputs, [[1.0, 0.0], [5.0, 3.0]])
    assert value == 2.25


# Squared error behind a sigmoid -------------------------------------------------------------------


def test_sigmoid_squared_error_hand_example():
    # sigmoid(log 3) = 3/4, label: error -1/4, slope 3/16; sigmoid(0) = 1/2: error 1/2, slope 1/4
    # value (1/16 + 1/4) / 2 = 5/32; derivative (-1/4 * 3/16, 1/2 * 1/4)
    value, delta = on_rows(sigmoid_squared_error, np.array([[np.log(3), 0.0]]), np.array([0]))
    assert value == pytest.approx(5 / 32, abs=1e-15)
    np.testing.assert_allclose(delta, [[-3 / 64, 1 / 8]], rtol=0, atol=1e-15)


def test_the_authors_take_the_slope_of_the_sigmoid_at_its_own_output():
    # sigmoid(0) = 1/2, and the slope at 1/2 instead of 0: s (1 - s), s = 1 / (1 + exp(-1/2))
    s = 1 / (1 + np.exp(-0.5))
    value, delta = on_rows(sigmoid_squared_error_mocanu_code, np.zeros((1, 2)), np.array([1]))
    assert value == 1 / 4
    np.testing.assert_allclose(delta, [[s * (1 - s) / 2, -s * (1 - s) / 2]], rtol=1e-15)


SIGMOIDS = [(sigmoid_squared_error, False), (sigmoid_squared_error_mocanu_code, True)]


@every_dtype
@pytest.mark.parametrize(("loss", "slope_at_output"), SIGMOIDS)
@pytest.mark.parametrize("n", [1, 8, 21, 70])
@pytest.mark.parametrize("size", [1, 30])
def test_sigmoid_squared_error_is_the_formula(loss, slope_at_output, dtype, n, size):
    outputs, _ = problem(n, 5, dtype, size)
    targets = np.random.default_rng(104).random((n, 5)).astype(dtype)
    ref_value, ref = naive.sigmoid_squared_error(outputs, targets, slope_at_output)
    comp_value, comp = on_rows(loss, outputs, targets)
    # In float64 for either dtype: 5 n terms of one sign, exp within 2 units.
    assert comp_value == pytest.approx(ref_value, rel=(5 * n + 20) * np.finfo(float).eps)
    bound = (20 * np.finfo(float).eps + np.finfo(dtype).eps) / n
    np.testing.assert_allclose(comp, ref, rtol=0, atol=bound)


@every_dtype
@pytest.mark.parametrize("loss", [loss for loss, _ in SIGMOIDS])
def test_huge_outputs_of_a_sigmoid_are_no_trouble(loss, dtype):
    value, delta = on_rows(loss, np.array([[3e38, -3e38, -3e38]], dtype), np.array([0]))
    assert value == 0
    np.testing.assert_array_equal(delta, np.zeros((1, 3)))


# All ----------------------------------------------------------------------------------------------

TRUE_DERIVATIVES = [loss for loss in LOSSES.values() if loss is not SIGMOIDS[1][0]]


@pytest.mark.parametrize("loss", TRUE_DERIVATIVES)
def test_delta_is_the_derivative_of_the_value(loss):
    outputs, labels = problem()
    direction = np.random.default_rng(103).standard_normal(outputs.shape)
    ref = naive.slope(lambda at: on_rows(loss, at, labels)[0], outputs, direction, step=1e-5)
    _, delta = on_rows(loss, outputs, labels)
    # Third derivatives of size 1 times step^2 = 1e-10, rounding 1e-15 / step = 1e-10.
    assert np.vdot(delta, direction) == pytest.approx(ref, abs=1e-9)


@every_loss
@every_dtype
@pytest.mark.parametrize("n", [1, 17, 33])
def test_padding_has_no_derivative(loss, dtype, n):
    outputs, labels = problem(n, 3, dtype)
    packed = tiles.pack(outputs)
    packed[-1, :, (n - 1) % packed.shape[2] + 1 :] = 5  # whatever the layers left there
    _, delta = loss(packed, labels)
    np.testing.assert_array_equal(tiles.unpack(delta, delta.shape[0] * delta.shape[2])[n:], 0)


@every_loss
def test_padding_does_not_count_in_the_value(loss):
    outputs, labels = problem(9)
    packed = tiles.pack(outputs)
    ref, _ = loss(packed, labels)
    packed[0, :, 9:] = 5
    comp, _ = loss(packed, labels)
    assert ref == comp


@every_loss
def test_tiles_without_examples_have_no_derivative(loss):
    outputs, labels = problem(9)
    three = np.concatenate([tiles.pack(outputs)] * 3)
    _, delta = loss(three, labels)
    np.testing.assert_array_equal(delta[1:], 0)


@every_loss
@every_dtype
def test_delta_keeps_shape_and_dtype(loss, dtype):
    outputs, labels = problem(dtype=dtype)
    packed = tiles.pack(outputs)
    _, delta = loss(packed, labels)
    assert (delta.shape, delta.dtype) == (packed.shape, dtype)


@every_loss
def test_outputs_and_labels_are_left_alone(loss):
    outputs, labels = problem()
    packed = tiles.pack(outputs)
    before = packed.copy(), labels.copy()
    loss(packed, labels)
    np.testing.assert_array_equal(before[0], packed)
    np.testing.assert_array_equal(before[1], labels)


# Errors -------------------------------------------------------------------------------------------

SMALL = np.zeros((2, 3, 8))  # room for 16 examples of 3 classes


@every_loss
@pytest.mark.parametrize(
    ("labels", "worst"), [([0, 3], 3), ([0, -1], -1), ([2, 7, 5], 7), ([5, -2], -2)]
)
def test_labels_must_be_classes(loss, labels, worst):
    with refuses(f"{loss.__name__}: labels must be in [0, 3), got {worst}"):
        loss(SMALL, np.array(labels))


@every_loss
@pytest.mark.parametrize("n", [0, 17])
def test_labels_must_fit_the_outputs(loss, n):
    with refuses(f"{loss.__name__}: there must be 1 to 16 labels, got {n}"):
        loss(SMALL, np.zeros(n, int))


@every_loss
def test_labels_must_have_one_dimension(loss):
    with refuses(
        f"{loss.__name__}: labels must be one-dimensional integers, got shape (2, 1) "
        "and dtype int64"
    ):
        loss(SMALL, np.zeros((2, 1), int))


@pytest.mark.parametrize("dtype", [np.float64, np.bool_])
def test_softmax_cross_entropy_refuses_labels_that_are_no_integers(dtype):
    with refuses(
        "softmax_cross_entropy: labels must be one-dimensional integers, got shape (2,) "
        f"and dtype {np.dtype(dtype)}"
    ):
        softmax_cross_entropy(SMALL, np.zeros(2, dtype))


@pytest.mark.parametrize("shape", [(2, 4), (2, 3, 1), (6,)])
def test_squared_error_refuses_targets_of_another_shape(shape):
    with refuses(f"squared_error: targets must have shape (n, 3) with n from 1 to 16, got {shape}"):
        squared_error(SMALL, np.zeros(shape))


@pytest.mark.parametrize("loss", [loss for loss, _ in SIGMOIDS])
def test_sigmoid_squared_error_refuses_targets_of_another_shape(loss):
    rule = "targets must have shape (n, 3) with n from 1 to 16, got (2, 4)"
    with refuses(f"{loss.__name__}: {rule}"):
        loss(SMALL, np.zeros((2, 4)))


def test_squared_error_says_how_many_targets_fit():
    # "must have shape (n, 3), got (17, 3)" would name a rule that is not broken.
    with pytest.raises(ValueError, match=r"^squared_error: .*\b16\b.*17"):
        squared_error(SMALL, np.zeros((17, 3)))


def test_squared_error_refuses_no_targets():
    with pytest.raises(ValueError, match=r"^squared_error: "):
        squared_error(SMALL, np.zeros((0, 3)))
