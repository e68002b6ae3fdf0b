"""The dropout of SET's authors' code: what is scaled, what is dropped, what the derivative sees."""

import re

import numpy as np
import pytest

from sparse_ref.layers.unscaled_dropout import EvaluationScale, UnscaledDropout

BOTH = [UnscaledDropout, EvaluationScale]
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def activations(dtype=np.float64, shape=(2, 5, 16)):
    return 1.0 + np.random.default_rng(71).random(shape).astype(dtype)


@every_dtype
def test_training_drops_and_scales_nothing_up(dtype):
    x = activations(dtype)
    y, _ = UnscaledDropout(0.3).forward(x, np.random.default_rng(72))
    kept = y != 0
    np.testing.assert_array_equal(y[kept], x[kept])
    assert (y.dtype, y.shape) == (x.dtype, x.shape)


def test_about_the_rate_is_dropped():
    x = activations(shape=(10, 100, 16))
    y, _ = UnscaledDropout(0.3).forward(x, np.random.default_rng(73))
    # Of 16000 coins the mean is within 4 deviations, sqrt(.21 / 16000).
    assert abs(np.mean(y == 0) - 0.3) < 4 * np.sqrt(0.21 / 16000)


def test_the_derivative_passes_dropped_units_too():
    x, delta = activations(), activations()
    _, pullback = UnscaledDropout(0.9).forward(x, np.random.default_rng(74))
    back, grad = pullback(delta)
    np.testing.assert_array_equal(back, delta)
    assert grad is None


@every_dtype
def test_sums_shrink_in_evaluation_only(dtype):
    x, layer = activations(dtype), EvaluationScale(0.25)
    evaluated, pullback = layer.forward(x)
    trained, through = layer.forward(x, np.random.default_rng(75))
    np.testing.assert_array_equal(evaluated, x * dtype(0.75))
    np.testing.assert_array_equal(trained, x)
    np.testing.assert_array_equal(pullback(x)[0], x * dtype(0.75))
    np.testing.assert_array_equal(through(x)[0], x)
    assert evaluated.dtype == dtype


def test_evaluation_drops_nothing():
    x = activations()
    np.testing.assert_array_equal(UnscaledDropout(0.5).forward(x)[0], x)


def test_the_scale_draws_nothing():
    rng = np.random.default_rng(76)
    EvaluationScale(0.5).forward(activations(), rng)
    assert rng.random() == np.random.default_rng(76).random()


@pytest.mark.parametrize("kind", BOTH)
def test_a_rate_of_zero_is_the_identity(kind):
    x = activations()
    for rng in (None, np.random.default_rng(77)):
        np.testing.assert_array_equal(kind(0.0).forward(x, rng)[0], x)


@pytest.mark.parametrize("kind", BOTH)
def test_there_is_nothing_to_train(kind):
    assert kind(0.5).parameters() == {}


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("rate", [1.0, -0.1, float("nan")])
def test_the_rate_must_be_a_fraction(kind, rate):
    rule = f"{kind.__name__}: rate must be in [0, 1), got {rate}"
    with pytest.raises(ValueError, match=re.escape(rule)):
        kind(rate)
