"""Local response normalisation: values, derivatives, powers, other libraries' conventions."""

import math
import re

import naive
import naive_images
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_ref import tiles
from sparse_ref.layers import LocalResponseNorm

WIDTH = {np.float32: 16, np.float64: 8}
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
every_beta = pytest.mark.parametrize("beta", [0.75, 0.4])
IMAGE = (7, 3, 4)


def refuses(kind, message):
    """The whole message, word for word."""
    return pytest.raises(kind, match="^" + re.escape(message) + "$")


def images(shape=IMAGE, n=11, dtype=np.float64, seed=31):
    return np.random.default_rng(seed).standard_normal((n, *shape)).astype(dtype)


def tiled(x, padding=0.0):
    out = tiles.pack(x.reshape(len(x), -1), None, WIDTH[x.dtype.type])
    out[-1, :, (len(x) - 1) % out.shape[2] + 1 :] = padding
    return out


def both_ways(layer, x, delta, padding=0.0):
    """Outputs and derivatives as images."""
    y, pullback = layer.forward(tiled(x, padding))
    out, grad = pullback(tiled(delta))
    assert grad is None
    return (tiles.unpack(a, len(x)).reshape(x.shape) for a in (y, out))


def test_hand_table():
    # One neighbour on either side: 1 + 3 (1 + 4), 1 + 3 (1 + 4 + 0), 1 + 3 (4 + 0).
    x = np.array([1.0, 2, 0]).reshape(1, 3, 1, 1)
    layer = LocalResponseNorm((3, 1, 1), depth_radius=1, bias=1.0, alpha=3.0, beta=0.75)
    y, out = both_ways(layer, x, np.array([0.0, 0, 1]).reshape(1, 3, 1, 1))
    np.testing.assert_allclose(y.ravel(), [1 / 8, 2 / 8, 0], rtol=0, atol=1e-16)
    np.testing.assert_allclose(out.ravel(), [0, 0, 13**-0.75], rtol=0, atol=1e-16)


def test_the_defaults_are_those_of_alford_2018():
    layer = LocalResponseNorm(IMAGE)
    assert (layer.depth_radius, layer.bias, layer.alpha, layer.beta) == (4, 1, 0.001 / 9, 0.75)


@given(
    image=st.tuples(st.integers(1, 12), st.integers(1, 4), st.integers(1, 4)),
    n=st.integers(1, 10),
    radius=st.integers(0, 13),
    numbers=st.tuples(*[st.floats(0.5, 2)] * 2, st.one_of(st.just(0.75), st.floats(0, 2))),
)
@settings(max_examples=40)
def test_it_is_the_naive_one(image, n, radius, numbers):
    x, delta = images(image, n), images(image, n, seed=32)
    y, out = both_ways(LocalResponseNorm(image, radius, *numbers), x, delta)
    # A power of a sum of 12 squares, all of size 1 to 50; a sum of 12 of those in the derivative.
    ref = naive_images.response_norm(x, radius, *numbers)
    np.testing.assert_allclose(y, ref, rtol=1e-13, atol=1e-14)
    ref = naive_images.response_norm_pullback(x, radius, *numbers, delta)
    np.testing.assert_allclose(out, ref, rtol=1e-13, atol=1e-13)


def test_many_positions_are_cut_into_runs():
    image = (3, 9, 9)  # 81 positions of 8 examples are more than two runs
    x, delta = images(image, 3), images(image, 3, seed=32)
    y, out = both_ways(LocalResponseNorm(image, 1, 1.0, 0.5, 0.75), x, delta)
    ref = naive_images.response_norm(x, 1, 1.0, 0.5, 0.75)
    np.testing.assert_allclose(y, ref, rtol=0, atol=1e-14)
    ref = naive_images.response_norm_pullback(x, 1, 1.0, 0.5, 0.75, delta)
    np.testing.assert_allclose(out, ref, rtol=0, atol=1e-14)


@every_beta
def test_single_precision_is_double_precision_rounded(beta):
    layer, x, delta = LocalResponseNorm(IMAGE, 2, 1.0, 0.3, beta), images(), images(seed=32)
    single = both_ways(layer, x.astype(np.float32), delta.astype(np.float32))
    for one, other in zip(single, both_ways(layer, x, delta), strict=True):
        assert one.dtype == np.float32
        # Some ten roundings, and sums of five, of numbers below 4.
        np.testing.assert_allclose(one, other, rtol=0, atol=20 * 2.0**-22)


@every_beta
def test_the_pullback_is_the_derivative(beta):
    layer = LocalResponseNorm(IMAGE, 2, 1.5, 0.3, beta)
    x, delta, direction = (tiled(images(n=5, seed=seed)) for seed in (33, 34, 35))
    ref = naive.slope(lambda inputs: np.vdot(delta, layer.forward(inputs)[0]), x, direction)
    comp = np.vdot(layer.forward(x)[1](delta)[0], direction)
    # Rounding of sums of 420 numbers of size 1, 1e-13, over the step of 1e-6; the truncation, the
    # third derivative times 1e-12, is less.
    assert comp == pytest.approx(ref, abs=1e-6)


@every_dtype
@every_beta
def test_padded_lanes_touch_nothing(dtype, beta):
    layer, x, delta = LocalResponseNorm(IMAGE, 2, 1.0, 0.3, beta), images(n=5, dtype=dtype), None
    delta = images(n=5, dtype=dtype, seed=32)
    for one, other in zip(
        both_ways(layer, x, delta), both_ways(layer, x, delta, padding=1e9), strict=True
    ):
        assert one.tobytes() == other.tobytes()
    _, pullback = layer.forward(tiled(x, 1e9))
    assert not pullback(tiled(delta))[0][:, :, 5:].any()


@every_dtype
@every_beta
@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="no second thread")
def test_one_and_two_threads_give_the_same_bytes(dtype, beta):
    layer, x = LocalResponseNorm(IMAGE, beta=beta), images(n=40, dtype=dtype)
    before, found = numba.get_num_threads(), []
    for threads in (1, 2):
        numba.set_num_threads(threads)
        found.append([a.tobytes() for a in both_ways(layer, x, images(n=40, dtype=dtype, seed=32))])
    numba.set_num_threads(before)
    assert found[0] == found[1]


def test_nothing_given_is_written_to():
    x, delta = tiled(images()), tiled(images(seed=32))
    before = x.copy(), delta.copy()
    LocalResponseNorm(IMAGE).forward(x)[1](delta)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(delta, before[1])


def test_activations_need_not_be_contiguous():
    layer, x, delta = LocalResponseNorm(IMAGE), tiled(images()), tiled(images(seed=32))
    y, pullback = layer.forward(x)
    other, other_pullback = layer.forward(np.repeat(x, 2, axis=1)[:, ::2])
    np.testing.assert_array_equal(y, other)
    out = other_pullback(np.repeat(delta, 2, axis=1)[:, ::2])[0]
    np.testing.assert_array_equal(pullback(delta)[0], out)


@pytest.mark.parametrize("radius", [1, 4])
@every_beta
def test_it_is_that_of_pytorch_with_alpha_over_the_size(radius, beta):
    torch = pytest.importorskip("torch")
    size, alpha, bias = 2 * radius + 1, 0.7, 1.5
    x, delta = images(), images(seed=32)
    inputs = torch.tensor(x, requires_grad=True)
    ref = torch.nn.functional.local_response_norm(inputs, size, alpha, beta, bias)
    ref.backward(torch.tensor(delta))
    y, out = both_ways(LocalResponseNorm(IMAGE, radius, bias, alpha / size, beta), x, delta)
    # PyTorch takes a mean of squares and multiplies; some ten roundings of numbers of size 3.
    np.testing.assert_allclose(y, ref.detach().numpy(), rtol=0, atol=1e-14)
    np.testing.assert_allclose(out, inputs.grad.numpy(), rtol=0, atol=1e-14)


# Shapes and refusals ------------------------------------------------------------------------------


def test_the_shape_after_is_the_same():
    assert LocalResponseNorm(IMAGE).shape_after(IMAGE) == IMAGE
    assert LocalResponseNorm(IMAGE).parameters() == {}


def test_other_shapes_are_refused():
    layer = LocalResponseNorm(IMAGE)
    with refuses(
        ValueError, "LocalResponseNorm: examples must have shape (7, 3, 4), got (7, 4, 3)"
    ):
        layer.shape_after((7, 4, 3))
    message = "LocalResponseNorm: activations must have shape (tiles, 84, width), got (1, 83, 8)"
    with refuses(ValueError, message):
        layer.forward(np.zeros((1, 83, 8)))
    with refuses(TypeError, "LocalResponseNorm: activations must be float32 or float64, got int64"):
        layer.forward(np.zeros((1, 84, 8), int))
    with refuses(ValueError, "LocalResponseNorm: delta must have shape (1, 84, 8), got (2, 84, 8)"):
        layer.forward(np.zeros((1, 84, 8)))[1](np.zeros((2, 84, 8)))


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"depth_radius": -1}, "depth_radius must be a whole number at least 0, got -1"),
        ({"depth_radius": 1.5}, "depth_radius must be a whole number at least 0, got 1.5"),
        ({"alpha": -1.0}, "alpha must be finite and at least 0, got -1.0"),
        ({"beta": math.nan}, "beta must be finite and at least 0, got nan"),
        ({"bias": 0.0}, "bias must be finite and above 0, got 0.0"),
        ({"bias": math.inf}, "bias must be finite and above 0, got inf"),
    ],
)
def test_numbers_out_of_range_are_refused(options, rule):
    with refuses(ValueError, f"LocalResponseNorm: {rule}"):
        LocalResponseNorm(IMAGE, **options)
