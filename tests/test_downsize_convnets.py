"""Convolutional networks without their dead channels compute the same."""

import numpy as np
import pytest
from arrange_convnets import convnets
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_ref import Dense, Linear, Network, ReLU, SReLU, csr, fit, methods, models, optim
from sparse_ref.downsize import downsize
from sparse_ref.layers import (
    AvgPool2d,
    BatchNorm,
    Conv2d,
    DenseConv2d,
    Flatten,
    GlobalAvgPool2d,
    LocalResponseNorm,
    MaxPool2d,
)
from sparse_ref.pruning import Structured
from sparse_ref.residual import Residual
from sparse_ref.topology import effective_units


def conv(kernels, image, bias=False, **how):
    """Non-zeros of `kernels`, (filters, channels / groups, kh, kw), are connections."""
    kernels = np.array(kernels, float)
    bias = bias if bias is False else np.array(bias, float)
    weight = csr.from_dense(kernels.reshape(len(kernels), -1))
    return Conv2d(weight, bias, image=image, kernel=kernels.shape[2:], **how)


def points(matrix):
    """Kernels of one position."""
    return np.array(matrix, float)[:, :, None, None]


def linear(dense, bias=None):
    dense = np.array(dense, float)
    return Linear(csr.from_dense(dense), np.zeros(len(dense)) if bias is None else np.array(bias))


def same(net, small):
    """Largest difference of outputs; small whole numbers give none."""
    x = np.arange(3.0 * net.n_in).reshape(3, -1) - 4
    return np.abs(small.network.predict(x[:, small.inputs]) - net.predict(x)).max()


def kernels(layer):
    return csr.to_dense(layer.weight).tolist()


def units(small):
    return [kept.tolist() for kept in small.units]


def test_by_hand():
    #  Filter 1 is not read; filter 2 has no input and emits relu(3) everywhere; the second layer
    #  reads it by two of four positions of its kernel.
    first = conv(points([[2], [1], [0]]), (1, 3, 3), [1, 5, 3])
    second = conv([[[[1, 2], [0, 0]], [[0, 0], [0, 0]], [[0, 4], [5, 0]]]], (3, 3, 3), [7])
    net = Network([first, ReLU(), second, Flatten(), linear([[1, 1, 1, 1]])])
    small = downsize(net)
    one, _, two, _, last = small.network.layers
    assert (kernels(one), one.bias.tolist(), one.image_out) == ([[2]], [1], (1, 3, 3))
    assert (kernels(two), two.bias.tolist(), two.image) == ([[1, 2, 0, 0]], [7 + 27], (1, 3, 3))
    assert kernels(last) == [[1, 1, 1, 1]]
    assert units(small) == [[0], [0], [0]]
    assert (small.constant, small.unread, small.held) == ((1, 0), (1, 0), (0, 0))
    assert same(net, small) == 0


def test_a_constant_read_across_padding_stays():
    """Near borders a sum would want another bias."""
    first = conv(points([[2], [0]]), (1, 3, 3), [1, 3])
    corner, middle = [[1, 0, 0], [0, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
    for kernel, held in ((corner, 1), (middle, 0)):
        second = conv([[middle, kernel]], (2, 3, 3), padding=1)
        net = Network([first, ReLU(), second, Flatten(), linear(np.ones((1, 9)))])
        small = downsize(net)
        assert (small.constant, small.held) == ((1, 0), (held, 0))
        assert units(small)[0] == [0, 1][: 1 + held]
        second = small.network.layers[2]
        assert second.has_bias == (not held)  # made for the constant
        assert second.bias.tolist() == [0 if held else 3]
        assert same(net, small) == 0


def test_a_constant_of_zeros_goes_through_any_padding():
    first = conv(points([[2], [0]]), (1, 3, 3), [1, -3])
    second = conv(np.ones((1, 2, 3, 3)), (2, 3, 3), padding=1)
    net = Network([first, ReLU(), second, Flatten(), linear(np.ones((1, 9)))])
    small = downsize(net)
    assert (units(small)[0], small.held) == ([0], (0, 0))
    assert not small.network.layers[2].has_bias
    assert same(net, small) == 0


def test_a_position_that_only_meets_padding_adds_nothing():
    """Of a 3x3 kernel over one padded number all but the middle: the only output has one bias."""
    first = conv(points([[2], [0]]), (1, 1, 1), [1, 3])
    net = Network(
        [first, conv(np.ones((1, 2, 3, 3)), (2, 1, 1), padding=1), Flatten(), linear([[1]])]
    )
    small = downsize(net)
    assert (units(small)[0], small.network.layers[1].bias.tolist()) == ([0], [3])
    assert same(net, small) == 0


def test_constants_that_differ_from_place_to_place_go_into_linear_layers():
    """The second convolution makes a map of its constant, which no convolution takes in."""
    first = conv(points([[1], [0]]), (1, 2, 2), [0, 3])
    none, diagonal = np.zeros((3, 3)), np.eye(3)
    second = conv([[diagonal, none], [none, diagonal]], (2, 2, 2), [1, 0], padding=1)
    net = Network([first, second, Flatten(), linear([[1, 2, 3, 4, 5, 6, 7, 8]])])
    small = downsize(net)
    # The diagonal reads 2, 1, 1, 2 positions of the constant 3.
    assert units(small) == [[0], [0], [0]]
    assert small.network.layers[3].bias.tolist() == [3 * (5 * 2 + 6 + 7 + 8 * 2)]
    assert same(net, small) == 0
    third = conv(points([[1, 1]]), (2, 2, 2))
    between = downsize(Network([first, second, third, Flatten(), linear([[1, 2, 3, 4]])]))
    assert (units(between)[:2], between.held) == ([[0, 1], [0, 1]], (1, 1, 0))


def test_a_residual_sum_holds_a_channel_in_both_branches():
    image = (3, 1, 1)
    first = conv(points(np.eye(3)), image)
    # The body reads channel 0 and makes channel 1; the end reads 1. Channel 2 is read by nothing.
    body = conv(points([[0, 0, 0], [1, 0, 0], [1, 0, 0]]), image)
    net = Network([first, Residual([body]), Flatten(), linear([[0, 5, 0]])])
    small = downsize(net)
    assert units(small) == [[0, 1], [0, 1], [0]]
    assert (small.unread, small.held) == (
        (1, 2),
        (0, 1),
    )  # the body's channel 0, tied to the input's
    assert same(net, small) == 0


def test_constants_of_both_branches_are_folded_together():
    image = (1, 1, 1)
    first = conv(points([[1], [0]]), image, [0, 2])
    body = conv(points([[1, 0], [0, 3]]), (2, 1, 1), [0, 1])
    net = Network([first, Residual([body]), Flatten(), linear([[1, 10]])])
    small = downsize(net)
    assert units(small) == [[0], [0], [0]]
    assert small.network.layers[-1].bias.tolist() == [10 * (2 + 3 * 2 + 1)]
    assert same(net, small) == 0


def test_depthwise_channels_go_on_both_sides():
    first = conv(points(np.eye(3)), (3, 2, 2), [1, 2, 3])
    depthwise = conv(
        [[[[1, 2], [0, 0]]], [[[0, 0], [0, 0]]], [[[0, 0], [1, 0]]]], (3, 2, 2), groups=3
    )
    net = Network([first, depthwise, Flatten(), linear([[1, 1, 0]])])
    small = downsize(net)
    assert units(small) == [[0], [0], [0]]
    assert small.network.layers[1].settings["groups"] == 1
    assert same(net, small) == 0


@pytest.mark.parametrize("make", ["sparse", "dense"])
def test_groups_go_whole(make):
    """Four channels in two groups of two, four filters: the last two are not read."""
    first, weight = conv(points(np.eye(4)), (4, 1, 1)), np.arange(1.0, 9).reshape(4, 2)
    how = {"image": (4, 1, 1), "kernel": 1, "groups": 2}
    grouped = (
        DenseConv2d(weight, **how) if make == "dense" else Conv2d(csr.from_dense(weight), **how)
    )
    net = Network([first, grouped, Flatten(), linear([[1, 0, 0, 0]])])
    small = downsize(net)
    assert (units(small), small.held) == ([[0, 1], [0, 1], [0]], (0, 1))
    assert small.network.layers[1].settings["groups"] == 1
    assert same(net, small) == 0


def test_batch_norm_and_srelu_keep_their_own():
    norm = BatchNorm(*np.array([[1.0, 2], [3, 4], [5, 6], [7, 8]]), momentum=0.3, epsilon=0.5)
    srelu = SReLU(*np.array([[1.0, 2], [3, 4], [5, 6], [7, 8]]))
    first = conv(points([[1], [1]]), (1, 2, 2))
    net = Network([first, norm, srelu, MaxPool2d((2, 2, 2), 2), Flatten(), linear([[0, 1]])])
    small = downsize(net).network
    assert [a.tolist() for a in small.layers[1].parameters().values()] == [[2], [4]]
    assert [a.tolist() for a in small.layers[1].state().values()] == [[6], [8]]
    assert (small.layers[1].momentum, small.layers[1].epsilon) == (0.3, 0.5)
    assert [a.tolist() for a in small.layers[2].parameters().values()] == [[2], [4], [6], [8]]
    assert (small.layers[3].image, small.layers[3].image_out) == ((1, 2, 2), (1, 1, 1))
    assert same(net, downsize(net)) == 0


def test_constants_go_through_batch_norm_and_pools():
    """BatchNorm makes 2 (3 - 1) / sqrt(3 + 1) + 5 = 7 of filter 1's bias; the mean of 7 is 7."""
    norm = BatchNorm(*np.array([[1.0, 2], [0, 5], [0, 1], [1, 3]]), epsilon=1.0)
    first = conv(points([[1], [0]]), (1, 2, 2), [0, 3])
    pools = [AvgPool2d((2, 2, 2), 2), GlobalAvgPool2d((2, 1, 1)), Flatten()]
    net = Network([first, norm, ReLU(), *pools, linear([[1, 10]])])
    small = downsize(net)
    assert (units(small), small.network.layers[-1].bias.tolist()) == ([[0], [0]], [70])
    assert same(net, small) < 1e-14  # 1 / sqrt(2) of small numbers


def test_response_norm_keeps_all_its_channels():
    first = conv(points([[1], [0], [1]]), (1, 1, 1), [0, 3, 0])
    norm = LocalResponseNorm((3, 1, 1), depth_radius=1, alpha=0.5)
    net = Network([first, norm, Flatten(), linear([[1, 0, 0]])])
    small = downsize(net)
    assert (units(small)[0], small.constant, small.unread) == ([0, 1, 2], (1,), (1,))
    assert small.held == (2,)
    assert same(net, small) == 0


def test_flattened_channels_go_whole():
    """One position of channel 1 is read: the others stay with it."""
    net = Network(
        [conv(points([[1], [1], [1]]), (1, 1, 2)), Flatten(), linear([[0, 0, 0, 5, 0, 0]])]
    )
    small = downsize(net)
    assert (units(small)[0], kernels(small.network.layers[2])) == ([1], [[0, 5]])
    assert same(net, small) == 0


def test_an_image_keeps_a_channel():
    """Nothing is read, and yet there is no image without channels."""
    first = conv(points([[1], [1]]), (1, 2, 2))
    net = Network(
        [first, BatchNorm.initial(2, np.float64), Flatten(), linear(np.zeros((2, 8)), [1.0, 2])]
    )
    small = downsize(net)
    assert (units(small), small.unread, small.held) == ([[0], [0, 1]], (2,), (1,))
    assert same(net, small) == 0


def test_channels_of_inputs_that_are_not_read_can_go_too():
    net = Network([conv(points([[0, 2, 0]]), (3, 1, 2)), Flatten(), linear([[1, 1]])])
    small = downsize(net, inputs="read")
    assert (small.inputs.tolist(), small.network.shape) == ([2, 3], (1, 1, 2))
    assert same(net, small) == 0
    assert downsize(net).network.shape == (3, 1, 2)


def test_left_out_slots_of_kernels_stay_left_out():
    first = conv(points([[1], [0], [1]]), (1, 1, 1), [0, 3, 0])
    second = conv(points([[2, 4, 8], [0, 5, 0]]), (3, 1, 1))
    second.leave_out([1, 2])  # 4 and 8
    net = Network([first, second, Flatten(), linear([[1, 1]])])
    small = downsize(net)
    assert small.network.layers[1].left_out.tolist() == [1]
    assert small.network.layers[-1].bias.tolist() == [15]
    assert same(net, small) == 0


# ---------------------------------------------------------------- any network


def _close(comp, ref, net):
    """To rounding: a few hundred roundings on a path, of no more than the largest number met."""
    tolerance = 1000 * np.finfo(ref.dtype).eps * _largest(net)
    np.testing.assert_allclose(comp, ref, rtol=0, atol=tolerance)


def _largest(net):
    """Bound of the numbers that inputs in [-1, 1] make.

    A weight multiplies them by its largest sum of sizes; a bias and an SReLU add up to 1 and 4;
    batch normalisation multiplies by up to ``1 / sqrt(1 / 2)`` and adds up to 3; a sum has two
    terms.
    """
    size = 1.0
    for layer in net.weighted:
        dense = layer.weight if isinstance(layer, Dense | DenseConv2d) else layer.weight.toarray()
        most = max(1.0, np.abs(dense).sum(axis=1).max(initial=0))
        size = 2 * (2 * (size * most + 1) + 4)
    return size


@settings(max_examples=80, deadline=None)
@given(convnets(), st.sampled_from(["all", "read"]))
def test_outputs_are_the_same_to_rounding(arranged, inputs):
    net, *_, rng = arranged
    small = downsize(net, inputs=inputs)
    x = rng.uniform(-1, 1, (5, net.n_in))
    _close(small.network.predict(x[:, small.inputs]), net.predict(x), net)
    for layer, left, kept in zip(net.weighted, small.network.weighted, small.units, strict=True):
        assert (len(left.bias), type(left)) == (len(kept), type(layer))
    counts = zip(net.weighted, small.units, small.constant, small.unread, small.held, strict=False)
    for layer, kept, constant, unread, held in list(counts):
        assert len(kept) == len(layer.bias) - constant - unread + held


@settings(max_examples=40, deadline=None)
@given(convnets(), st.sampled_from(["all", "read"]))
def test_a_second_time_nothing_goes(arranged, inputs):
    net, *_ = arranged
    before = [array.copy() for array in _arrays(net)]
    once = downsize(net, inputs=inputs)
    twice = downsize(once.network, inputs=inputs)
    if not any(once.held):  # what was held for the sake of a unit that has gone since may go
        assert not any(twice.constant + twice.unread + twice.held)
        assert twice.inputs.tolist() == list(range(once.network.n_in))
        for mine, theirs in zip(_arrays(once.network), _arrays(twice.network), strict=True):
            assert mine.tobytes() == theirs.tobytes()
            assert not np.shares_memory(mine, theirs)
    for array in _arrays(once.network):
        array[...] = 7
    assert [a.tobytes() for a in _arrays(net)] == [b.tobytes() for b in before]


def _arrays(net):
    state = [
        array for la in net.layers if isinstance(la, BatchNorm) for array in la.state().values()
    ]
    return [parameter.value for parameter in net.parameters()] + state


@settings(max_examples=40, deadline=None)
@given(convnets(norm=False))
def test_units_on_a_path_are_never_lost(arranged):
    """And all others are counted, gone or held."""
    net, *_ = arranged
    small = downsize(net)
    for alive, kept in zip(effective_units(net)[1:], small.units, strict=True):
        assert set(np.flatnonzero(alive)) <= set(kept.tolist())


# ---------------------------------------------------------------- the models


def _stirred(net, rng):
    """Batch normalisation as after a training."""
    for layer in net.layers:
        if isinstance(layer, BatchNorm):
            n = layer.n_channels
            layer.gamma[:], layer.running_var[:] = rng.uniform(0.5, 1.5, (2, n))
            layer.beta[:], layer.running_mean[:] = rng.uniform(-0.3, 0.3, (2, n))
    return net


def _pruned(net, amount, axis):
    """Without channels of the layers between the first and the last."""
    links = net.unit_graph.weights
    drops = [None] * len(links)
    for k in range(1, len(links) - 1):
        block = links[k].block if axis == 1 else 1
        drops[k] = Structured(amount, axis=axis, block=block)([net.topology[k]])[0]
    net.prune(drops)
    return net


MODELS = {
    "lenet_5": lambda rng, dtype: models.lenet_5("A", density=0.6, rng=rng, dtype=dtype),
    "resnet18": lambda rng, dtype: models.resnet18(
        width=0.125, image=(3, 16, 16), density=0.6, rng=rng, dtype=dtype
    ),
    "mobilenet_v2": lambda rng, dtype: models.mobilenet_v2(
        width=0.1, image=(3, 16, 16), density=0.6, rng=rng, dtype=dtype, dense=()
    ),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("model", MODELS)
def test_structured_pruning_makes_smaller_networks(model, axis, dtype):
    rng = np.random.default_rng(751)
    net = _pruned(_stirred(MODELS[model](rng, dtype), rng), 0.5, axis)
    small = downsize(net)
    x = rng.uniform(-1, 1, (4, net.n_in)).astype(dtype)
    ref = net.predict(x)
    # Sums of up to 1,000 terms in 50 layers; errors shrink and grow with the activations.
    tolerance = 50 * np.finfo(dtype).eps * np.abs(ref).max()
    np.testing.assert_allclose(small.network.predict(x), ref, rtol=0, atol=tolerance)
    assert small.network.nbytes < net.nbytes
    gone = sum(small.constant) + sum(small.unread) - sum(small.held)
    assert gone > 0
    assert sum(small.network.connections) < sum(net.connections)
    assert downsize(small.network).network.connections == small.network.connections


def test_a_downsized_convnet_trains_on():
    rng = np.random.default_rng(761)
    data = rng.uniform(-1, 1, (32, 3 * 16 * 16)).astype(np.float32), rng.integers(0, 10, 32)
    net = _pruned(MODELS["resnet18"](rng, np.float32), 0.5, 1)
    training = {"optimizer": optim.sgd(0.01, 0.9), "epochs": 1, "batch_size": 16}
    fit(net, data, method=methods.Static(), rng=np.random.default_rng(769), **training)
    small = downsize(net).network
    before = small.connections
    fit(small, data, method=methods.RigL(), rng=np.random.default_rng(773), **training)
    assert small.connections == before
    assert np.isfinite(small.predict(data[0])).all()


def test_constants_can_go_into_a_layer_without_units():
    """The linear layer of no units reads a constant channel that stays only for want of another."""
    empty = Linear(csr.from_positions((0, 1), np.empty(0, np.int64), np.empty(0)))
    last = Linear(csr.from_positions((1, 0), np.empty(0, np.int64), np.empty(0)), np.array([4.0]))
    first = conv(points([[0], [0]]), (1, 1, 1), [3, 2])
    net = Network([first, conv(points([[1, 1]]), (2, 1, 1)), Flatten(), empty, last])
    small = downsize(net)
    assert (units(small), small.held) == ([[0], [0], [], [0]], (1, 1, 0))
    assert same(net, small) == 0
