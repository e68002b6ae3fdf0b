"""Activation functions on images: ReLU6, and SReLU with one set of parameters a channel."""

import re

import naive
import naive_images
import numba
import numpy as np
import pytest

from sparse_ref import tiles
from sparse_ref.layers import AllReLU, ReLU, ReLU6, SReLU

IMAGE = (3, 2, 4)
KINKED = np.array([[-2.0], [-0.0], [0.0], [0.5], [5.9], [6.0], [8.0], [np.nan]])
LAYERS = {
    "relu": ReLU,
    "relu6": ReLU6,
    "all_relu": lambda: AllReLU(0.6, 2),
    "srelu": lambda: channelled(),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


def refuses(kind, message):
    """The whole message, word for word."""
    return pytest.raises(kind, match="^" + re.escape(message) + "$")


def channelled(dtype=np.float64):
    """Every branch is met, and no slope is special."""
    rng = np.random.default_rng(75)
    draws = rng.uniform(-0.8, 0.2, 3), rng.random(3), rng.uniform(-1, 1, 3), rng.random(3)
    return SReLU(*(draw.astype(dtype) for draw in draws))


def images(n=11, dtype=np.float64, seed=76):
    return np.random.default_rng(seed).standard_normal((n, *IMAGE)).astype(dtype)


def tiled(x, width=8):
    return tiles.pack(x.reshape(len(x), -1), None, width)


def untiled(y, like):
    return tiles.unpack(y, len(like)).reshape(like.shape)


def test_relu6_is_between_0_and_6_and_flat_outside():
    y, pullback = ReLU6().forward(tiles.pack(KINKED))
    values = tiles.unpack(y, len(KINKED)).ravel()
    np.testing.assert_array_equal(values, [0, 0, 0, 0.5, 5.9, 6, 6, np.nan])
    slopes = tiles.unpack(pullback(np.ones_like(y))[0], len(KINKED)).ravel()
    assert slopes.tolist() == [0, 0, 0, 1, 1, 0, 0, 1]


def test_relu6_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    x, delta = 6 * images(), images(seed=77)
    inputs = torch.tensor(x, requires_grad=True)
    ref = torch.nn.functional.relu6(inputs)
    ref.backward(torch.tensor(delta))
    y, pullback = ReLU6().forward(tiled(x))
    np.testing.assert_array_equal(untiled(y, x), ref.detach().numpy())
    np.testing.assert_array_equal(untiled(pullback(tiled(delta))[0], x), inputs.grad.numpy())


@pytest.mark.parametrize("width", [8, 16])
def test_srelu_of_images_has_one_set_of_parameters_a_channel(width):
    layer, x, delta = channelled(), images(), images(seed=77)
    parameters = list(layer.parameters().values())

    def pieces(value, slope, channel):
        return naive.srelu_pullback(value, slope, *(p[channel] for p in parameters))

    ref, sums = naive_images.srelu_sums(x, delta, pieces)
    y, pullback = layer.forward(tiled(x, width))
    out, grad = pullback(tiled(delta, width))
    values = np.empty_like(x)
    for index in np.ndindex(*x.shape):
        values[index] = naive.srelu(x[index], *(p[index[1]] for p in parameters))
    # A sum or two of numbers of size 4; then sums of 88 of those.
    np.testing.assert_allclose(untiled(y, x), values, rtol=0, atol=1e-14)
    np.testing.assert_allclose(untiled(out, x), ref, rtol=0, atol=1e-14)
    np.testing.assert_allclose(np.array(grad), sums, rtol=0, atol=1e-12)


def test_srelu_of_images_in_single_precision_sums_many_positions_accurately():
    layer = channelled(np.float32)
    x, delta = (np.random.default_rng(s).standard_normal((4, 3 * 1024, 16)) for s in (78, 79))
    _, grad = layer.forward(x.astype(np.float32))[1](delta.astype(np.float32))
    wide = SReLU(*(p.astype(float) for p in layer.parameters().values()))
    _, ref = wide.forward(x.astype(np.float32).astype(float))[1](delta.astype(np.float32))
    # Four sums of 1024 numbers of size 10: a walk of roundings, of 4e-5 at most each.
    for one, other in zip(grad, ref, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=2e-3)


def test_srelu_of_images_is_differentiated_by_its_parameters():
    layer, x, delta = channelled(), tiled(images()), tiled(images(seed=77))
    grad = layer.forward(x)[1](delta)[1]
    for name, value in layer.parameters().items():
        start, direction = value.copy(), np.random.default_rng(80).standard_normal(3)

        def along(numbers, value=value):
            value[:] = numbers
            return np.vdot(delta, layer.forward(x)[0])

        ref = naive.slope(along, start, direction)
        value[:] = start
        # Piecewise linear: rounding of sums of 264 numbers of size 3, 1e-13, over 1e-6.
        assert np.vdot(getattr(grad, name), direction) == pytest.approx(ref, abs=1e-6)


def test_srelu_takes_as_many_numbers_or_channels_as_it_has_units():
    layer = channelled()
    assert layer.shape_after((3,)) == (3,)
    assert layer.shape_after(IMAGE) == IMAGE
    for shape in ((24,), (24, 1, 1)):
        with refuses(ValueError, f"SReLU: examples must have 3 units, got shape {shape}"):
            layer.shape_after(shape)
    message = "SReLU: activations must have shape (tiles, 3 * positions, width), got (1, 7, 8)"
    with refuses(ValueError, message):
        layer.forward(np.zeros((1, 7, 8)))


@every_layer
def test_the_shape_after_is_the_same(name):
    assert LAYERS[name]().shape_after(IMAGE) == IMAGE


@every_layer
def test_padded_lanes_touch_nothing(name):
    layer, x, delta = LAYERS[name](), images(), tiled(images(seed=77))
    clean, dirty = tiled(x), tiled(x)
    dirty[-1, :, 3:] = 1e30
    (y, pullback), (other, other_pullback) = layer.forward(clean), layer.forward(dirty)
    np.testing.assert_array_equal(untiled(y, x), untiled(other, x))
    (out, grad), (other_out, other_grad) = pullback(delta), other_pullback(delta)
    np.testing.assert_array_equal(out, other_out)
    if grad is not None:
        np.testing.assert_array_equal(np.array(grad), np.array(other_grad))


@every_layer
def test_activations_need_not_be_contiguous(name):
    layer, x, delta = LAYERS[name](), tiled(images()), tiled(images(seed=77))
    y, pullback = layer.forward(x)
    other, other_pullback = layer.forward(np.repeat(x, 2, axis=1)[:, ::2])
    np.testing.assert_array_equal(y, other)
    out = other_pullback(np.repeat(delta, 2, axis=1)[:, ::2])[0]
    np.testing.assert_array_equal(pullback(delta)[0], out)


@every_layer
def test_another_delta_is_refused(name):
    y, pullback = LAYERS[name]().forward(tiled(images()))
    message = f"delta must have shape {y.shape}, got {y[:1].shape}"
    with pytest.raises(ValueError, match=re.escape(message) + "$"):
        pullback(y[:1])


@every_layer
@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="no second thread")
def test_one_and_two_threads_give_the_same_bytes(name):
    layer, rng = LAYERS[name](), np.random.default_rng(81)
    x, delta = (rng.standard_normal((40, 240, 8)) for _ in range(2))  # enough for shares
    before, found = numba.get_num_threads(), []
    for threads in (1, 2):
        numba.set_num_threads(threads)
        y, pullback = layer.forward(x)
        out, grad = pullback(delta)
        found.append([y.tobytes(), out.tobytes(), np.array(grad or 0).tobytes()])
    numba.set_num_threads(before)
    assert found[0] == found[1]
