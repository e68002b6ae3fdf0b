"""Batch normalisation: moments, outputs, derivatives, running numbers, a last partial batch."""

import math
import re

import naive
import naive_images
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_ref import Linear, Network, ReLU, models, tiles
from sparse_ref.layers import BatchNorm, BatchNormGrad

WIDTH = {np.float32: 16, np.float64: 8}
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
IMAGE, VECTOR = (3, 4, 5), (6,)
every_shape = pytest.mark.parametrize("shape", [IMAGE, VECTOR], ids=["image", "vector"])
PARTS = ("gamma", "beta")


def refuses(kind, message):
    """The whole message, word for word."""
    return pytest.raises(kind, match="^" + re.escape(message) + "$")


def training():
    """Its presence means training; nothing is drawn from it."""
    return np.random.default_rng(61)


def layer(shape=IMAGE, dtype=np.float64, **options):
    rng = np.random.default_rng(62)
    return BatchNorm(*(rng.standard_normal(shape[0]).astype(dtype) for _ in PARTS), **options)


def examples(shape=IMAGE, n=11, dtype=np.float64, seed=63):
    """Channels that are not centred."""
    return (2 * np.random.default_rng(seed).standard_normal((n, *shape)) + 7).astype(dtype)


def tiled(x, padding=0.0, width=None):
    """Tiles whose padded lanes hold `padding`."""
    out = tiles.pack(x.reshape(len(x), -1), None, width or WIDTH[x.dtype.type])
    out[-1, :, (len(x) - 1) % out.shape[2] + 1 :] = padding
    return out


def untiled(y, like):
    return tiles.unpack(y, len(like)).reshape(like.shape)


def both_ways(bn, x, delta, rng=None, padding=0.0, width=None):
    """Outputs, derivatives by x, derivatives by the parameters."""
    y, pullback = bn.forward(tiled(x, padding, width), rng, len(x))
    out, grad = pullback(tiled(delta, 0.0, width))
    return untiled(y, x), untiled(out, x), grad


# Values -------------------------------------------------------------------------------------------


def test_hand_table():
    # Channel 0: 1, 3, 5, 7 with mean 4 and variance 5; channel 1: zeros.
    x = np.array([[1.0, 0], [3, 0], [5, 0], [7, 0]])
    bn = BatchNorm(np.array([2.0, 1]), np.array([1.0, -3]), epsilon=4.0)
    y, _ = bn.forward(tiled(x), training(), 4)
    # The root is 3, of 5 + 4; unbiased variance is 20 / 3.
    np.testing.assert_allclose(untiled(y, x)[:, 0], [-1, 1 / 3, 5 / 3, 3], rtol=0, atol=1e-15)
    assert untiled(y, x)[:, 1].tolist() == [-3] * 4
    np.testing.assert_allclose(bn.running_mean, [0.4, 0], rtol=0, atol=1e-15)
    np.testing.assert_allclose(bn.running_var, [0.9 + 2 / 3, 0.9], rtol=0, atol=1e-15)


@given(
    shape=st.one_of(st.tuples(st.integers(1, 5)), st.tuples(*[st.integers(1, 4)] * 3)),
    n=st.integers(2, 20),
    seed=st.integers(2, 99),
)
@settings(max_examples=50)
def test_training_is_the_naive_one(shape, n, seed):
    bn, x = layer(shape), examples(shape, n, seed=seed)
    delta = np.random.default_rng(seed).standard_normal(x.shape)
    moments = naive_images.moments(x)
    y, out, grad = both_ways(bn, x, delta, training())
    ref = naive_images.batch_norm(x, bn.gamma, bn.beta, *moments, bn.epsilon)
    # Distances to the mean are known to 1e-15; with few numbers in a channel the variance can be
    # small, and one over its root multiplies that error, the derivative's up to its cube.
    worst = 1 / math.sqrt(min(moments[1]) + bn.epsilon)
    np.testing.assert_allclose(y, ref, rtol=0, atol=1e-13 * (1 + worst))
    ref, by_gamma, by_beta = naive_images.batch_norm_pullback(x, bn.gamma, bn.epsilon, delta)
    np.testing.assert_allclose(out, ref, rtol=0, atol=1e-13 * (1 + worst**2))
    np.testing.assert_allclose(grad.gamma, by_gamma, rtol=0, atol=1e-12 * (1 + worst))
    np.testing.assert_allclose(grad.beta, by_beta, rtol=0, atol=1e-12)


@every_shape
def test_evaluation_is_the_naive_one_with_the_running_numbers(shape):
    rng = np.random.default_rng(64)
    running = rng.standard_normal(shape[0]), rng.uniform(0.5, 2, shape[0])
    bn, x = layer(shape), examples(shape)
    bn = BatchNorm(bn.gamma, bn.beta, *running)
    delta = rng.standard_normal(x.shape)
    y, out, grad = both_ways(bn, x, delta)
    ref = naive_images.batch_norm(x, bn.gamma, bn.beta, *running, bn.epsilon)
    np.testing.assert_allclose(y, ref, rtol=0, atol=1e-13)  # a few operations on numbers of size 20
    levels = naive_images.batch_norm(x, np.ones(shape[0]), np.zeros(shape[0]), *running, bn.epsilon)
    slopes = naive_images.batch_norm(
        np.ones(x.shape), bn.gamma, np.zeros(shape[0]), np.zeros(shape[0]), running[1], bn.epsilon
    )
    np.testing.assert_allclose(out, delta * slopes, rtol=0, atol=1e-13)
    axes = tuple(k for k in range(x.ndim) if k != 1)
    # Sums of 220 numbers of size 20.
    np.testing.assert_allclose(grad.gamma, (delta * levels).sum(axes), rtol=0, atol=1e-11)
    np.testing.assert_allclose(grad.beta, delta.sum(axes), rtol=0, atol=1e-11)


@pytest.mark.parametrize("width", [16, 32, 64])
def test_wide_tiles_agree_with_narrow_ones(width):
    bn, x = layer(VECTOR), examples(VECTOR, 70)
    delta = np.random.default_rng(65).standard_normal(x.shape)
    ref = both_ways(bn, x, delta, training(), width=8)
    comp = both_ways(bn, x, delta, training(), width=width)
    for one, other in zip(ref[:2], comp[:2], strict=True):
        # Sums of 70 numbers in another order.
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("mean", "outlier"), [(0, 0), (1e4, 0), (0, 1e6)])
def test_sums_are_accurate_in_single_precision(mean, outlier):
    # A mean 5000 times the deviation, and a first number far off: what sums of squares fear.
    rng = np.random.default_rng(66)
    x = (2 * rng.standard_normal((300, 1, 8, 8)) + mean).astype(np.float32)
    x[0, 0, 0, 0] += np.float32(outlier)
    bn = BatchNorm.initial(1, momentum=1.0)
    bn.forward(tiled(x), training(), 300)
    numbers = x.astype(float)
    # Float64 in between; only the end is rounded to float32.
    np.testing.assert_allclose(bn.running_mean, [numbers.mean()], rtol=1e-7)
    np.testing.assert_allclose(bn.running_var, [numbers.var(ddof=1)], rtol=1e-7)


def test_a_far_mean_costs_single_precision_nothing():
    x = (2 * np.random.default_rng(66).standard_normal((40, 1, 8, 8)) + 1e4).astype(np.float32)
    delta = np.random.default_rng(67).standard_normal(x.shape).astype(np.float32)
    y, out, _ = both_ways(BatchNorm.initial(1), x, delta, training())
    ref = naive_images.batch_norm(x, [1], [0], *naive_images.moments(x), 1e-5)
    # A few roundings of numbers below 4; the mean alone, rounded, would cost 100 times as much.
    np.testing.assert_allclose(y, ref, rtol=0, atol=4 * 2.0**-22)
    ref, _, _ = naive_images.batch_norm_pullback(x, [1], 1e-5, delta)
    np.testing.assert_allclose(out, ref, rtol=0, atol=4 * 2.0**-22)


@every_dtype
@every_shape
def test_bits_do_not_depend_on_what_is_in_the_padding(dtype, shape):
    x = examples(shape, 21, dtype)
    delta = np.random.default_rng(67).standard_normal(x.shape).astype(dtype)
    ref_layer, comp_layer = layer(shape, dtype), layer(shape, dtype)
    ref = both_ways(ref_layer, x, delta, training())
    comp = both_ways(comp_layer, x, delta, training(), padding=3e30)
    for one, other in zip((*ref[:2], *ref[2]), (*comp[:2], *comp[2]), strict=True):
        assert one.tobytes() == other.tobytes()
    for one, other in zip(ref_layer.state().values(), comp_layer.state().values(), strict=True):
        assert one.tobytes() == other.tobytes()


@every_shape
@pytest.mark.parametrize("rng", [training(), None], ids=["training", "evaluation"])
def test_the_derivative_is_zero_in_padding(shape, rng):
    x = tiled(examples(shape, 21), 3e30)
    _, pullback = layer(shape).forward(x, rng, 21)
    out, _ = pullback(np.ones_like(x))  # not even a derivative that comes from there
    assert not out[-1, :, 5:].any()
    assert out[:-1].any() or rng is not None


def test_all_examples_are_real_unless_told():
    x = tiled(examples(n=16))
    ref, _ = layer().forward(x, training(), 16)
    comp, _ = layer().forward(x, training())
    np.testing.assert_array_equal(ref, comp)


# Derivatives --------------------------------------------------------------------------------------


@every_shape
@pytest.mark.parametrize("rng", [training(), None], ids=["training", "evaluation"])
def test_the_pullback_is_the_derivative(shape, rng):
    bn, x = layer(shape), examples(shape, 9)
    draws = np.random.default_rng(68)
    delta, direction = (draws.standard_normal(x.shape) for _ in range(2))
    _, out, grad = both_ways(bn, x, delta, rng)

    def along(inputs):
        return np.vdot(delta, untiled(bn.forward(tiled(inputs), rng, 9)[0], x))

    if rng is None:  # training must not move what evaluation reads
        bn.running_var[:] = draws.uniform(0.5, 2, shape[0])
        _, out, grad = both_ways(bn, x, delta, rng)
    # Rounding of sums of 540 numbers of size 10, 1e-12, over the step of 1e-6.
    assert np.vdot(out, direction) == pytest.approx(naive.slope(along, x, direction), abs=1e-5)
    for name in PARTS:
        value, turn = bn.parameters()[name], draws.standard_normal(shape[0])
        start = value.copy()

        def beside(numbers, value=value):
            value[:] = numbers
            return along(x)

        ref = naive.slope(beside, start, turn)
        value[:] = start
        assert np.vdot(getattr(grad, name), turn) == pytest.approx(ref, abs=1e-5)


@every_dtype
def test_derivatives_keep_the_dtype(dtype):
    x = examples(dtype=dtype)
    y, out, grad = both_ways(layer(dtype=dtype), x, x, training())
    assert isinstance(grad, BatchNormGrad)
    assert {a.dtype for a in (y, out, *grad)} == {np.dtype(dtype)}
    assert {a.shape for a in grad} == {(3,)}


def test_a_pullback_belongs_to_its_own_forward():
    bn, x, delta = layer(), examples(), examples(seed=69)
    ref = both_ways(bn, x, delta, training())[1]
    _, pullback = bn.forward(tiled(x), training(), 11)
    bn.forward(tiled(examples(seed=70)), training(), 11)
    bn.gamma[:] = 9
    np.testing.assert_array_equal(ref, untiled(pullback(tiled(delta))[0], x))


@every_dtype
@every_shape
@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="no second thread")
def test_one_and_two_threads_give_the_same_bytes(dtype, shape):
    x = examples(shape, 45, dtype)
    before, found = numba.get_num_threads(), []
    for threads in (1, 2):
        numba.set_num_threads(threads)
        y, out, grad = both_ways(layer(shape, dtype), x, x[::-1].copy(), training())
        found.append([a.tobytes() for a in (y, out, *grad)])
    numba.set_num_threads(before)
    assert found[0] == found[1]


def test_nothing_given_is_written_to():
    x, delta = tiled(examples()), tiled(examples(seed=71))
    before = x.copy(), delta.copy()
    layer().forward(x, training(), 11)[1](delta)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(delta, before[1])


def test_activations_need_not_be_contiguous():
    x, delta = tiled(examples()), tiled(examples(seed=71))
    ref, pullback = layer().forward(x, training(), 11)
    ref_out, ref_grad = pullback(delta)
    comp, pullback = layer().forward(np.repeat(x, 2, axis=1)[:, ::2], training(), 11)
    out, grad = pullback(np.repeat(delta, 2, axis=1)[:, ::2])
    for one, other in zip((ref, ref_out, *ref_grad), (comp, out, *grad), strict=True):
        np.testing.assert_array_equal(one, other)


# Running numbers ----------------------------------------------------------------------------------


def test_running_numbers_move_in_place_by_the_momentum():
    bn, x = layer(momentum=0.25), examples()
    mean, variance = bn.state().values()
    bn.forward(tiled(x), training(), 11)
    m, (means, variances) = 11 * 20, naive_images.moments(x)
    np.testing.assert_allclose(mean, 0.25 * np.array(means), rtol=1e-14)
    np.testing.assert_allclose(
        variance, 0.75 + 0.25 * m / (m - 1) * np.array(variances), rtol=1e-14
    )
    assert np.shares_memory(bn.state()["running_mean"], mean)
    assert np.shares_memory(bn.running_var, variance)


def test_evaluation_and_pullbacks_leave_the_running_numbers_alone():
    bn, x = layer(), examples()
    both_ways(bn, x, x)
    _, pullback = bn.forward(tiled(x), training(), 11)
    before = [a.copy() for a in bn.state().values()]
    pullback(tiled(x))
    for one, other in zip(before, bn.state().values(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_not_a_number_shows():
    x = examples()
    x[4, 1, 2, 2] = np.nan
    bn = layer()
    y, _ = bn.forward(tiled(x), training(), 11)
    assert np.isnan(untiled(y, x)[:, 1]).all()
    assert np.isnan(bn.running_var).tolist() == [False, True, False]


# Against PyTorch ----------------------------------------------------------------------------------


@every_shape
@pytest.mark.parametrize("train", [True, False])
def test_it_is_that_of_pytorch(shape, train):
    torch = pytest.importorskip("torch")
    make = torch.nn.BatchNorm1d if shape == VECTOR else torch.nn.BatchNorm2d
    ours, theirs = layer(shape), make(shape[0], dtype=torch.float64)
    theirs.weight.data, theirs.bias.data = torch.tensor(ours.gamma), torch.tensor(ours.beta)
    for seed in (72, 73):  # the second time with running numbers that have moved
        theirs.train(train or seed == 72)
        theirs.zero_grad()
        x = examples(shape, seed=seed)
        delta = np.random.default_rng(seed).standard_normal(x.shape)
        inputs = torch.tensor(x, requires_grad=True)
        ref = theirs(inputs)
        ref.backward(torch.tensor(delta))
        y, out, grad = both_ways(ours, x, delta, training() if theirs.training else None)
        pairs = [
            (y, ref.detach()),
            (out, inputs.grad),
            (grad.gamma, theirs.weight.grad),
            (grad.beta, theirs.bias.grad),
            (ours.running_mean, theirs.running_mean),
            (ours.running_var, theirs.running_var),
        ]
        for comp, same in pairs:  # sums of 220 numbers of size 10 in another order
            np.testing.assert_allclose(comp, same.numpy(), rtol=0, atol=1e-11)


# Shapes and refusals ------------------------------------------------------------------------------


def test_a_layer_begins_with_ones_and_zeros():
    bn = BatchNorm.initial(5, np.float64)
    assert bn.parameters()["gamma"].tolist() == [1] * 5
    assert bn.parameters()["beta"].tolist() == [0] * 5
    assert bn.state()["running_mean"].tolist() == [0] * 5
    assert bn.state()["running_var"].tolist() == [1] * 5
    assert (bn.momentum, bn.epsilon, bn.n_channels, repr(bn)) == (0.1, 1e-5, 5, "BatchNorm(5)")
    assert bn.nbytes == 4 * 5 * 8


@pytest.mark.parametrize("shape", [(5,), (5, 3, 2)])
def test_the_shape_after_is_the_same(shape):
    assert BatchNorm.initial(5).shape_after(shape) == shape


def test_other_shapes_are_refused():
    bn = BatchNorm.initial(5)
    with refuses(ValueError, "BatchNorm: examples must have 5 channels, got shape (4, 5, 5)"):
        bn.shape_after((4, 5, 5))
    message = (
        "BatchNorm: activations must have shape (tiles, 5 * positions, width), got (1, 12, 16)"
    )
    with refuses(ValueError, message):
        bn.forward(np.zeros((1, 12, 16), np.float32))
    with refuses(TypeError, "BatchNorm: activations must be float32 as the layer, got float64"):
        bn.forward(np.zeros((1, 10, 8)))
    _, pullback = bn.forward(np.zeros((1, 10, 16), np.float32))
    with refuses(
        ValueError,
        "BatchNorm: delta must be float32 of shape (1, 10, 16), got float32 of shape (2, 10, 16)",
    ):
        pullback(np.zeros((2, 10, 16), np.float32))


@pytest.mark.parametrize("n", [-1, 17])
def test_more_examples_than_there_are_are_refused(n):
    with refuses(ValueError, f"BatchNorm: n must be in [0, 16] for these activations, got {n}"):
        layer().forward(np.zeros((2, 60, 8)), None, n)


@pytest.mark.parametrize("n", [0, 1])
def test_training_on_one_number_is_refused(n):
    message = (
        f"BatchNorm: training needs at least 2 numbers in a channel, got {n} (examples times "
        "positions)"
    )
    with refuses(ValueError, message):
        layer(VECTOR).forward(np.zeros((1, 6, 8)), training(), n)


def test_evaluation_of_no_examples_is_empty():
    y, pullback = layer(VECTOR).forward(np.zeros((0, 6, 8)))
    out, grad = pullback(y)
    assert (y.shape, out.shape) == ((0, 6, 8), (0, 6, 8))
    assert not np.any(grad.gamma)


@pytest.mark.parametrize(
    ("arguments", "options", "kind", "rule"),
    [
        (
            (np.ones((2, 1)), np.ones(2)),
            {},
            ValueError,
            "gamma must have shape (n_channels,), got (2, 1)",
        ),
        ((np.ones(0), np.ones(0)), {}, ValueError, "gamma must have shape (n_channels,), got (0,)"),
        (
            (np.ones(2, int), np.ones(2)),
            {},
            TypeError,
            "gamma must be float32 or float64, got int64",
        ),
        ((np.ones(2), np.ones(3)), {}, ValueError, "beta must have shape (2,), got (3,)"),
        (
            (np.ones(2), np.ones(2, np.float32)),
            {},
            TypeError,
            "beta must be float64 as gamma, got float32",
        ),
        (
            (np.ones(2), np.ones(2), np.ones(1)),
            {},
            ValueError,
            "running_mean must have shape (2,), got (1,)",
        ),
        (
            (np.ones(2), np.ones(2)),
            {"momentum": 1.5},
            ValueError,
            "momentum must be in [0, 1], got 1.5",
        ),
        ((np.ones(2), np.ones(2)), {"epsilon": 0}, ValueError, "epsilon must be above 0, got 0"),
    ],
)
def test_parameters_must_fit(arguments, options, kind, rule):
    with refuses(kind, f"BatchNorm: {rule}"):
        BatchNorm(*arguments, **options)


def test_padding_does_not_grow_from_norm_to_norm():
    # Channels that are constant over the examples and not in the padding: each norm would multiply
    # the padding by up to 1 / sqrt(epsilon), and after some 16 layers it would not be finite.
    rng = np.random.default_rng(463)
    layers = []
    for _ in range(24):
        weight = models.mlp([32, 32], density=0.2, rng=rng).layers[0].weight
        layers += [Linear(weight), BatchNorm.initial(32), ReLU()]
    net = Network(layers)
    x, y = np.repeat(rng.random((1, 32), np.float32), 3, axis=0), np.array([0, 1, 2])
    tiles_of = net.packed(x)
    tiles_of[:, :, 3:] = rng.random(tiles_of[:, :, 3:].shape)
    _, grads = net.gradients(tiles_of, y, [rng] * len(layers))
    assert all(np.isfinite(grad.weight).all() for grad in grads if hasattr(grad, "weight"))
