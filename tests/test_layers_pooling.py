"""Pooling: windows, values, derivatives, and what stands in padded lanes."""

import re

import naive
import naive_images
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_ref import tiles
from sparse_ref.layers import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    GlobalAvgPool2d,
    MaxPool2d,
)

WIDTH = {np.float32: 16, np.float64: 8}
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
IMAGE = (3, 7, 6)
LAYERS = {
    "max": lambda image=IMAGE: MaxPool2d(image, 3, 2, 1),
    "mean": lambda image=IMAGE: AvgPool2d(image, 3, 2, 1),
    "mean of the inside": lambda image=IMAGE: AvgPool2d(image, 3, 2, 1, count_include_pad=False),
    "adaptive max": lambda image=IMAGE: AdaptiveMaxPool2d(image, (4, 5)),
    "adaptive mean": lambda image=IMAGE: AdaptiveAvgPool2d(image, (4, 5)),
    "global mean": lambda image=IMAGE: GlobalAvgPool2d(image),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


def refuses(kind, message):
    """The whole message, word for word."""
    return pytest.raises(kind, match="^" + re.escape(message) + "$")


def images(shape=IMAGE, n=11, dtype=np.float64, seed=71):
    """Whole numbers, so that maxima meet their equals."""
    return np.random.default_rng(seed).integers(-3, 4, (n, *shape)).astype(dtype)


def tiled(x, width=None):
    return tiles.pack(x.reshape(len(x), -1), None, width or WIDTH[x.dtype.type])


def untiled(y, n, shape):
    return tiles.unpack(y, n).reshape(n, *shape)


def both_ways(layer, x, delta, width=None):
    """Outputs and derivatives as images."""
    y, pullback = layer.forward(tiled(x, width))
    out, grad = pullback(tiled(delta, width))
    assert grad is None
    return untiled(y, len(x), layer.image_out), untiled(out, len(x), layer.image)


def deltas(layer, n=11, dtype=np.float64, seed=73):
    return np.random.default_rng(seed).standard_normal((n, *layer.image_out)).astype(dtype)


# Values -------------------------------------------------------------------------------------------


def test_max_pool_hand_table():
    x = np.array([[1, 5, 2, 0], [3, 5, -1, -2], [0, 0, 7, 7], [0, 0, 7, 7]], float)
    delta = np.array([[[[10.0, 20.0], [30.0, 40.0]]]])
    y, out = both_ways(MaxPool2d((1, 4, 4), 2), x[None, None], delta)
    assert y[0, 0].tolist() == [[5, 2], [0, 7]]
    # Of equal numbers the first in scan order.
    assert out[0, 0].tolist() == [[0, 10, 20, 0], [0, 0, 0, 0], [30, 0, 40, 0], [0, 0, 0, 0]]


def test_mean_pool_hand_table():
    x = np.arange(9.0).reshape(1, 1, 3, 3)
    delta = np.array([[[[9.0, 18.0], [36.0, 72.0]]]])
    # Windows of 2 every 2 with a margin of 1: {0}, {1, 2}, {3, 6}, {4, 5, 7, 8}, each over 4.
    y, out = both_ways(AvgPool2d((1, 3, 3), 2, 2, 1), x, delta)
    assert y[0, 0].tolist() == [[0, 0.75], [2.25, 6]]
    assert out[0, 0].tolist() == [[2.25, 4.5, 4.5], [9, 18, 18], [9, 18, 18]]


def test_mean_pool_of_the_inside_hand_table():
    x = np.arange(9.0).reshape(1, 1, 3, 3)
    y, _ = both_ways(
        AvgPool2d((1, 3, 3), 2, 2, 1, count_include_pad=False), x, np.zeros((1, 1, 2, 2))
    )
    assert y[0, 0].tolist() == [[0, 1.5], [4.5, 6]]


def test_the_global_mean_is_one_number_a_channel():
    x = np.arange(8.0).reshape(1, 2, 2, 2)
    y, out = both_ways(GlobalAvgPool2d((2, 2, 2)), x, np.array([[[[4.0]], [[8.0]]]]))
    assert y.shape == (1, 2, 1, 1)
    assert y.ravel().tolist() == [1.5, 5.5]
    assert out[0].tolist() == [[[1, 1], [1, 1]], [[2, 2], [2, 2]]]


def test_one_pixel_fills_a_larger_grid_and_collects_its_derivatives():
    x, delta = np.array([3.0, -1.0]).reshape(1, 2, 1, 1), np.ones((1, 2, 7, 7))
    y, out = both_ways(AdaptiveAvgPool2d((2, 1, 1), 7), x, delta)
    assert np.unique(y[0, 0]).tolist() == [3]
    assert np.unique(y[0, 1]).tolist() == [-1]
    assert out.ravel().tolist() == [49, 49]


def test_same_padding_of_tensorflow_pads_only_below_and_on_the_right():
    layer = MaxPool2d((1, 24, 24), 3, 2, ((0, 1), (0, 1)))
    x = images((1, 24, 24), 1)
    y, _ = both_ways(layer, x, np.zeros((1, 1, 12, 12)))
    ref = [[x[0, 0, i : i + 3, j : j + 3].max() for j in range(0, 24, 2)] for i in range(0, 24, 2)]
    np.testing.assert_array_equal(y[0, 0], ref)


@every_dtype
def test_what_is_not_a_number_is_the_maximum(dtype):
    x = images((1, 4, 4), 1, dtype)
    x[0, 0, 1, 0] = np.nan
    y, out = both_ways(MaxPool2d((1, 4, 4), 2), x, np.ones((1, 1, 2, 2), dtype))
    assert np.isnan(y[0, 0]).tolist() == [[True, False], [False, False]]
    assert out[0, 0, 1, 0] == 1


def test_a_window_of_minus_infinities_has_a_maximum():
    x = np.full((1, 1, 2, 2), -np.inf)
    y, out = both_ways(MaxPool2d((1, 2, 2), 2), x, np.ones((1, 1, 1, 1)))
    assert y.ravel().tolist() == [-np.inf]
    assert out.ravel().tolist() == [1, 0, 0, 0]


def test_places_beyond_one_byte_are_found():
    x = np.zeros((1, 1, 20, 20))
    x[0, 0, 17, 3] = 1
    y, out = both_ways(AdaptiveMaxPool2d((1, 20, 20), 1), x, np.full((1, 1, 1, 1), 5.0))
    assert y.ravel().tolist() == [1]
    assert out[0, 0, 17, 3] == 5
    assert np.count_nonzero(out) == 1


# Against the naive twins --------------------------------------------------------------------------

small = st.integers(1, 9)


@st.composite
def slidings(draw):
    """Arguments of a layer of sliding windows that fit."""
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    sides = [st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)) for k in kernel]
    padding = draw(st.tuples(*sides))
    size = [
        draw(st.integers(max(1, k - before - after), 9))
        for k, (before, after) in zip(kernel, padding, strict=True)
    ]
    stride = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    return (draw(st.integers(1, 3)), *size), kernel, stride, padding, draw(st.booleans())


def naive_windows(image, kernel, stride, padding, ceil):
    axes = zip(image[1:], kernel, stride, padding, strict=True)
    (rows, high), (columns, wide) = (naive_images.sliding(n, k, s, *p, ceil) for n, k, s, p in axes)
    return rows, columns, np.outer(high, wide)


@given(arguments=slidings(), n=st.integers(1, 10), seed=st.integers(2, 99))
@settings(max_examples=60)
def test_max_pool_is_the_naive_one(arguments, n, seed):
    layer, x = MaxPool2d(*arguments), images(arguments[0], n, seed=seed)
    rows, columns, _ = naive_windows(*arguments)
    ref, _ = naive_images.max_pool(x, rows, columns)
    assert layer.image_out == ref.shape[1:]
    delta = deltas(layer, n, seed=seed)
    y, out = both_ways(layer, x, delta)
    np.testing.assert_array_equal(ref, y)
    # Sums of at most 16 numbers of size 1, in whatever order.
    ref = naive_images.max_pool_pullback(x, rows, columns, delta)
    np.testing.assert_allclose(out, ref, rtol=0, atol=1e-14)


@given(arguments=slidings(), inside=st.booleans(), n=st.integers(1, 10), seed=st.integers(2, 99))
@settings(max_examples=60)
def test_mean_pool_is_the_naive_one(arguments, inside, n, seed):
    layer, x = AvgPool2d(*arguments, not inside), images(arguments[0], n, seed=seed)
    rows, columns, divisor = naive_windows(*arguments)
    if inside:
        divisor = np.outer([len(r) for r in rows], [len(c) for c in columns])
    delta = deltas(layer, n, seed=seed)
    y, out = both_ways(layer, x, delta)
    # Sums of at most 16 numbers of size 3, in whatever order.
    ref = naive_images.mean_pool(x, rows, columns, divisor)
    np.testing.assert_allclose(y, ref, rtol=0, atol=1e-14)
    ref = naive_images.mean_pool_pullback(x, rows, columns, divisor, delta)
    np.testing.assert_allclose(out, ref, rtol=0, atol=1e-14)


@given(image=st.tuples(small, small, small), size=st.tuples(small, small), n=st.integers(1, 10))
@settings(max_examples=60)
def test_adaptive_pools_are_the_naive_ones(image, size, n):
    rows, columns = (naive_images.adaptive(*pair) for pair in zip(image[1:], size, strict=True))
    divisor = np.outer([len(r) for r in rows], [len(c) for c in columns])
    largest, mean = AdaptiveMaxPool2d(image, size), AdaptiveAvgPool2d(image, size)
    x, delta = images(image, n), deltas(mean, n)
    # Sums of at most 81 numbers of size 3, in whatever order.
    close = {"rtol": 0, "atol": 1e-13}
    y, out = both_ways(largest, x, delta)
    np.testing.assert_array_equal(y, naive_images.max_pool(x, rows, columns)[0])
    ref = naive_images.max_pool_pullback(x, rows, columns, delta)
    np.testing.assert_allclose(out, ref, **close)
    y, out = both_ways(mean, x, delta)
    np.testing.assert_allclose(y, naive_images.mean_pool(x, rows, columns, divisor), **close)
    ref = naive_images.mean_pool_pullback(x, rows, columns, divisor, delta)
    np.testing.assert_allclose(out, ref, **close)


@pytest.mark.parametrize("name", ["max", "mean"])
@pytest.mark.parametrize("width", [32, 64])
def test_wide_tiles_give_what_narrow_ones_give(name, width):
    layer, x = LAYERS[name](), images(n=70)
    delta = deltas(layer, 70)
    ref, comp = both_ways(layer, x, delta, 8), both_ways(layer, x, delta, width)
    for one, other in zip(ref, comp, strict=True):
        assert one.tobytes() == other.tobytes()


@every_layer
def test_single_precision_is_double_precision_rounded(name):
    layer, x = LAYERS[name](), images()
    delta = deltas(layer)
    single = both_ways(layer, x.astype(np.float32), delta.astype(np.float32))
    double = both_ways(layer, x, delta)
    for one, other in zip(single, double, strict=True):
        assert one.dtype == np.float32
        # Sums of at most 42 numbers of size 3: half a unit of size 128 each.
        np.testing.assert_allclose(one, other, rtol=0, atol=42 * 2.0**-17)


# Derivatives, padding, threads --------------------------------------------------------------------


@every_layer
def test_the_pullback_is_the_derivative(name):
    layer, rng = LAYERS[name](), np.random.default_rng(79)
    x, direction = (tiled(rng.standard_normal((5, *IMAGE))) for _ in range(2))
    delta = tiled(deltas(layer, 5))
    ref = naive.slope(lambda inputs: np.vdot(delta, layer.forward(inputs)[0]), x, direction)
    comp = np.vdot(layer.forward(x)[1](delta)[0], direction)
    # Piecewise linear: only rounding of sums of some 500 terms of size 1, 1e-13, over 1e-6.
    assert comp == pytest.approx(ref, abs=1e-6)


@every_layer
def test_padded_lanes_touch_nothing(name):
    layer, x = LAYERS[name](), images(n=5)
    clean, dirty = tiled(x), tiled(x)
    dirty[:, :, 5:] = 1e30
    delta = tiled(deltas(layer, 5))
    (y, pullback), (other, other_pullback) = layer.forward(clean), layer.forward(dirty)
    np.testing.assert_array_equal(y[:, :, :5], other[:, :, :5])
    np.testing.assert_array_equal(pullback(delta)[0], other_pullback(delta)[0])
    assert not other_pullback(delta)[0][:, :, 5:].any()


@every_layer
@every_dtype
@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="no second thread")
def test_one_and_two_threads_give_the_same_bytes(name, dtype):
    layer, x = LAYERS[name](), images(n=40, dtype=dtype)
    before, found = numba.get_num_threads(), []
    for threads in (1, 2):
        numba.set_num_threads(threads)
        found.append([a.tobytes() for a in both_ways(layer, x, deltas(layer, 40, dtype))])
    numba.set_num_threads(before)
    assert found[0] == found[1]


@every_layer
def test_nothing_given_is_written_to(name):
    layer, x = LAYERS[name](), tiled(images())
    delta = tiled(deltas(layer))
    before = x.copy(), delta.copy()
    layer.forward(x)[1](delta)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(delta, before[1])


@every_layer
def test_activations_need_not_be_contiguous(name):
    layer, x = LAYERS[name](), tiled(images())
    delta = tiled(deltas(layer))
    spread, spread_delta = np.repeat(x, 2, axis=1)[:, ::2], np.repeat(delta, 2, axis=1)[:, ::2]
    (y, pullback), (other, other_pullback) = layer.forward(x), layer.forward(spread)
    np.testing.assert_array_equal(y, other)
    np.testing.assert_array_equal(pullback(delta)[0], other_pullback(spread_delta)[0])


@every_layer
def test_no_examples_give_no_outputs(name):
    layer = LAYERS[name]()
    y, pullback = layer.forward(np.zeros((0, 126, 8)))
    assert y.shape == (0, np.prod(layer.image_out), 8)
    assert pullback(y)[0].shape == (0, 126, 8)


# Against PyTorch ----------------------------------------------------------------------------------

SIZES = [
    ((2, 7, 9), 2, None, 0, False),
    ((3, 8, 8), 3, 2, 1, True),
    ((1, 6, 5), (2, 3), (1, 2), 1, False),
    ((2, 7, 7), 3, 2, 0, True),
    ((2, 5, 5), 2, 3, 1, True),
]


@pytest.mark.parametrize("arguments", SIZES)
def test_pools_are_those_of_pytorch(arguments):
    functional = pytest.importorskip("torch.nn.functional")
    image, kernel, stride, padding, ceil = arguments
    same = {"stride": stride, "padding": padding, "ceil_mode": ceil}
    agree(MaxPool2d(*arguments), lambda t: functional.max_pool2d(t, kernel, **same))
    for counted in (True, False):
        agree(
            AvgPool2d(*arguments, counted),
            lambda t, c=counted: functional.avg_pool2d(t, kernel, count_include_pad=c, **same),
        )
    size = (4, 8)
    agree(AdaptiveAvgPool2d(image, size), lambda t: functional.adaptive_avg_pool2d(t, size))
    agree(AdaptiveMaxPool2d(image, size), lambda t: functional.adaptive_max_pool2d(t, size))


def agree(layer, function):
    """Outputs and derivatives; sums of at most 81 numbers of size 3 may differ in their order."""
    torch = pytest.importorskip("torch")
    x, delta = images(layer.image), deltas(layer)
    y, out = both_ways(layer, x, delta)
    inputs = torch.tensor(x, requires_grad=True)
    ref = function(inputs)
    ref.backward(torch.tensor(delta))
    np.testing.assert_allclose(y, ref.detach().numpy(), rtol=0, atol=1e-13)
    np.testing.assert_allclose(out, inputs.grad.numpy(), rtol=0, atol=1e-13)


# Shapes and refusals ------------------------------------------------------------------------------


@every_layer
def test_the_shape_after_is_that_of_the_outputs(name):
    layer = LAYERS[name]()
    y, _ = layer.forward(tiled(images()))
    assert layer.shape_after(IMAGE) == layer.image_out
    assert y.shape == (2, np.prod(layer.image_out), 8)


@every_layer
def test_other_shapes_are_refused(name):
    layer = LAYERS[name]()
    who = type(layer).__name__
    with refuses(ValueError, f"{who}: examples must have shape (3, 7, 6), got (3, 6, 7)"):
        layer.shape_after((3, 6, 7))
    with refuses(
        ValueError, f"{who}: activations must have shape (tiles, 126, width), got (1, 125, 8)"
    ):
        layer.forward(np.zeros((1, 125, 8)))
    with refuses(TypeError, f"{who}: activations must be float32 or float64, got int64"):
        layer.forward(np.zeros((1, 126, 8), int))


@every_layer
@pytest.mark.parametrize(("tiles_", "dtype"), [(2, "float64"), (1, "float32")])
def test_another_delta_is_refused(name, tiles_, dtype):
    layer = LAYERS[name]()
    y, pullback = layer.forward(np.zeros((1, 126, 8)))
    with refuses(
        ValueError,
        f"{type(layer).__name__}: delta must be float64 of shape {y.shape}, got {dtype} of shape "
        f"{(tiles_, *y.shape[1:])}",
    ):
        pullback(np.zeros((tiles_, *y.shape[1:]), dtype))


@pytest.mark.parametrize("kind", [MaxPool2d, AvgPool2d])
@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (((3, 4), 2), "image must be (channels, height, width), each at least 1, got (3, 4)"),
        (((3, 0, 4), 2), "image must be (channels, height, width), each at least 1, got (3, 0, 4)"),
        (((3, 4, 4), 0), "kernel must be whole and at least 1, got 0"),
        (((3, 4, 4), 2, 0), "stride must be whole and at least 1, got 0"),
        (((3, 4, 4), 2, 1, 2), "padding must be less than kernel 2, got 2"),
        (((3, 4, 4), (3, 2), 1, (2, 2)), "padding must be less than kernel (3, 2), got (2, 2)"),
        (((3, 4, 4), 7, 1, 1), "kernel must fit the padded image (3, 4, 4), got 7"),
    ],
)
def test_windows_that_do_not_fit_are_refused(kind, arguments, rule):
    with refuses(ValueError, f"{kind.__name__}: {rule}"):
        kind(*arguments)


@pytest.mark.parametrize("size", [0, 1.5])
def test_a_grid_of_no_size_is_refused(size):
    message = f"AdaptiveAvgPool2d: size must be whole and at least 1, got {size}"
    with refuses(ValueError, message):
        AdaptiveAvgPool2d((1, 4, 4), size)


@every_layer
def test_a_pool_has_no_parameters_and_says_what_it_does(name):
    layer = LAYERS[name]()
    assert layer.parameters() == {}
    assert repr(layer) == f"{type(layer).__name__}((3, 7, 6) -> {layer.image_out})"
