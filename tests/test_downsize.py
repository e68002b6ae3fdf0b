"""A network without its dead units computes the same, with fewer parameters."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_ref import (
    AllReLU,
    Dense,
    Dropout,
    Linear,
    Network,
    ReLU,
    SReLU,
    csr,
    fit,
    methods,
    models,
    optim,
)
from sparse_ref.downsize import downsize
from sparse_ref.layers.unscaled_dropout import EvaluationScale, UnscaledDropout
from sparse_ref.topology import survivors


def linear(dense, bias, present=None, dtype=np.float64):
    dense = np.array(dense, dtype)
    present = dense != 0 if present is None else present
    return Linear(csr.from_dense(dense, present), np.array(bias, dtype))


def test_by_hand():
    #  x0 -> a0 -> b0 -> y0           a1 has no output
    #  x1 -> a1                       a2 has no input and emits relu(3) = 3
    #        a2 -> b0, b1             b1 reads only a2: relu(2 * 3 - 1) = 5
    #              b1 -> y0, y1       so y0 has 4 * 5 more, y1 is 0.5 + 6 * 5
    first = linear([[7, 0], [0, 1], [0, 0]], [0, 9, 3])
    second = linear([[1, 0, 5], [0, 0, 2]], [1, -1])
    third = linear([[8, 4], [0, 6]], [0.25, 0.5])
    net = Network([first, ReLU(), second, ReLU(), third])
    small = downsize(net)
    one, _, two, _, three = small.network.layers
    assert (csr.to_dense(one.weight).tolist(), one.bias.tolist()) == ([[7, 0]], [0])
    assert (csr.to_dense(two.weight).tolist(), two.bias.tolist()) == ([[1]], [1 + 5 * 3])
    assert csr.to_dense(three.weight).tolist() == [[8], [0]]
    assert three.bias.tolist() == [0.25 + 4 * 5, 0.5 + 6 * 5]
    assert (small.constant, small.unread) == ((1, 1), (1, 0))
    assert small.inputs.tolist() == [0, 1]
    assert [units.tolist() for units in small.units] == [[0], [0], [0, 1]]
    x = np.array([[1.0, 2.0], [-3.0, 5.0]])
    assert small.network.predict(x).tolist() == net.predict(x).tolist()  # small whole numbers


def test_inputs_that_are_not_read_can_go_too():
    net = Network([linear([[0, 2, 0], [0, 0, 3]], [0, 0]), ReLU(), linear([[5, 0]], [1])])
    small = downsize(net, inputs="read")
    assert (small.inputs.tolist(), small.network.n_in) == ([1], 1)
    x = np.array([[9.0, 4.0, 7.0]])
    assert small.network.predict(x[:, small.inputs]) == net.predict(x) == 41
    assert downsize(net).network.n_in == 3


def test_s_shaped_units_keep_their_own_parameters():
    activation = SReLU(*np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]]))
    net = Network([linear([[1], [0], [2]], [5, 6, 7]), activation, linear([[1, 1, 1]], [0])])
    cut = downsize(net).network.layers[1]
    assert {name: values.tolist() for name, values in cut.parameters().items()} == {
        "left_threshold": [1, 3],
        "left_slope": [4, 6],
        "right_offset": [7, 9],
        "right_slope": [10, 12],
    }


def test_a_stored_zero_is_a_connection():
    net = Network([linear([[0.0]], [3], np.array([[True]])), ReLU(), linear([[2]], [0])])
    small = downsize(net)
    assert small.network.connections == (1, 1)
    assert small.constant == (0,)


def test_units_that_a_dense_layer_reads_stay():
    net = Network([linear([[1, 0], [0, 0]], [0, 2]), ReLU(), Dense(np.zeros((2, 2)))])
    small = downsize(net).network
    assert (small.connections, small.layers[2].weight.shape) == ((1, 2), (2, 1))
    assert isinstance(small.layers[2], Dense)


def test_a_network_without_any_path_becomes_constant():
    net = Network([linear(np.zeros((4, 3)), np.arange(4)), ReLU(), linear(np.ones((2, 4)), [1, 2])])
    small = downsize(net)
    assert small.network.connections == (0, 0)
    assert small.network.layers[0].n_out == 0
    x = np.ones((5, 3))
    assert small.network.predict(x).tolist() == net.predict(x).tolist() == [[7, 8]] * 5
    read = downsize(net, inputs="read")
    assert read.network.predict(x[:, read.inputs]).tolist() == [[7, 8]] * 5


def test_an_empty_dense_layer_between_is_constant_too():
    layers = [linear(np.zeros((2, 3)), [1, -1]), ReLU(), Dense(np.ones((2, 2))), ReLU()]
    net = Network([*layers, linear([[1, 2]], [0])])
    small = downsize(net)
    assert (small.network.connections, small.constant) == ((0, 0, 0), (2, 2))
    assert small.network.predict(np.ones((1, 3))).tolist() == [[3]]


def test_slots_left_out_of_the_forward_pass_stay_left_out():
    """Top-KAST trains them all the same; a constant does not pass through them."""
    first, second = linear([[1], [0], [2]], [0, 3, 0]), linear([[4, 5, 6], [7, 8, 9]], [0, 0])
    second.leave_out([1, 2, 3])  # 5, 6 and 7
    net = Network([first, ReLU(), second])
    small = downsize(net).network
    last = small.layers[2]
    assert csr.to_dense(last.weight).tolist() == [[4, 6], [7, 9]]
    assert last.left_out.tolist() == [1, 2]
    assert last.bias.tolist() == [0, 24]
    x = np.array([[2.0]])
    assert small.predict(x).tolist() == net.predict(x).tolist() == [[8, 24 + 36]]


# ---------------------------------------------------------------- any network

ACTIVATIONS = {
    "relu": lambda n, rng, dtype: [ReLU()],
    "all_relu": lambda n, rng, dtype: [AllReLU(0.6, 3)],
    "all_relu_even": lambda n, rng, dtype: [AllReLU(0.6, 2)],
    "srelu": lambda n, rng, dtype: [SReLU(*rng.uniform(-1, 1, (4, n)).astype(dtype))],
    "dropout": lambda n, rng, dtype: [ReLU(), Dropout(0.5)],
    "mocanu_code": lambda n, rng, dtype: [EvaluationScale(0.3), ReLU(), UnscaledDropout(0.3)],
    "linear": lambda n, rng, dtype: [],
}


@st.composite
def networks(draw, dtypes=(np.float64,)):
    """Networks with dead units, of all activations, sparse and dense layers."""
    widths = draw(st.lists(st.integers(1, 8), min_size=2, max_size=5))
    rng = np.random.default_rng(draw(st.integers(2, 2**32)))
    density, dtype = draw(st.sampled_from([0.1, 0.25, 0.5])), draw(st.sampled_from(dtypes))
    layers = []
    for k, (n_in, n_out) in enumerate(itertools.pairwise(widths)):
        values = rng.uniform(-1, 1, (n_out, n_in)).astype(dtype)
        bias = rng.uniform(-1, 1, n_out).astype(dtype)
        if draw(st.sampled_from([False, False, False, True])):
            layers.append(Dense(values, bias))
        else:
            present = rng.random(values.shape) < density
            layers.append(Linear(csr.from_dense(values * present, present), bias))
        if k < len(widths) - 2:
            layers += ACTIVATIONS[draw(st.sampled_from(sorted(ACTIVATIONS)))](n_out, rng, dtype)
    return Network(layers), rng


def rounding(net):
    """How far two ways of rounding one network may be apart.

    All numbers are at most 1 and every activation at most ``|x| + 4`` (SReLU: its threshold, 2, and
    the slope times the distance from it). A sum of m terms is off by m roundings of its size, and
    slopes are at most 1, so that errors add up as the sizes do. Both ways: twice.
    """
    size, roundings = 1.0, 0
    for layer in net.weighted:
        size, roundings = layer.n_in * size + 1 + 4, roundings + layer.n_in + 8
    return 2 * roundings * size * np.finfo(net.dtype).eps


def weight_positions(net):
    return sum(layer.n_out * layer.n_in for layer in net.weighted)


@settings(max_examples=150)
@given(networks((np.float32, np.float64)))
def test_outputs_are_the_same_to_rounding(arranged):
    net, rng = arranged
    x = rng.uniform(-1, 1, (9, net.n_in)).astype(net.dtype)
    ref = net.predict(x)
    for inputs in ("all", "read"):
        small = downsize(net, inputs=inputs)
        comp = small.network.predict(x[:, small.inputs])
        assert comp.dtype == net.dtype
        np.testing.assert_allclose(comp, ref, rtol=0, atol=rounding(net))


@settings(max_examples=100)
@given(networks())
def test_what_is_left_are_the_units_of_the_fixpoint(arranged):
    net, _ = arranged
    left = survivors(net)
    small = downsize(net, inputs="read")
    widths = [small.network.n_in, *(layer.n_out for layer in small.network.weighted)]
    assert widths[:-1] == list(left.widths[:-1])
    assert widths[-1] == net.n_out  # outputs stay, read or not
    assert sum(small.network.connections) == sum(left.connections)
    missing = net.n_out - left.widths[-1]
    assert weight_positions(small.network) == left.parameters + missing * left.widths[-2]
    hidden = list(zip(net.weighted, left.widths[1:-1], small.constant, small.unread, strict=False))
    assert all(layer.n_out == n + c + u for layer, n, c, u in hidden)


@settings(max_examples=100)
@given(networks((np.float32, np.float64)), st.sampled_from(["all", "read"]))
def test_a_second_time_nothing_goes(arranged, inputs):
    once = downsize(arranged[0], inputs=inputs).network
    twice = downsize(once, inputs=inputs)
    assert twice.inputs.tolist() == list(range(once.n_in))
    assert not any(twice.constant + twice.unread)
    for one, other in zip(once.layers, twice.network.layers, strict=True):
        assert type(one) is type(other)
        assert one is not other
        for mine, theirs in zip(
            one.parameters().values(), other.parameters().values(), strict=True
        ):
            assert mine.tobytes() == theirs.tobytes()
            assert not np.shares_memory(mine, theirs)


@settings(max_examples=50)
@given(networks())
def test_the_network_given_is_left_alone(arranged):
    net, _ = arranged
    before = [p.value.copy() for p in net.parameters()]
    small = downsize(net).network
    for parameter in small.parameters():
        parameter.value[...] = 7
    for parameter, old in zip(net.parameters(), before, strict=True):
        assert parameter.value.tobytes() == old.tobytes()
    for layer in small.sparse_layers:
        assert csr.check(layer.weight) is layer.weight
        assert not layer.weight.indices.flags.writeable


@pytest.mark.parametrize("activation", models.ACTIVATIONS)
@pytest.mark.parametrize("rule", models.DROPOUTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_trained_network_of_the_library(activation, rule, dtype):
    """Every option of `mlp` that adds a layer, trained, downsized, and trained on."""
    rng = np.random.default_rng(641)
    data = rng.uniform(-1, 1, (80, 30)).astype(dtype), rng.integers(0, 4, 80)
    options = {"activation": activation, "dropout": 0.2, "dropout_rule": rule, "dtype": dtype}
    net = models.mlp([30, 40, 20, 4], density=0.04, distribution="uniform", rng=rng, **options)
    training = {"optimizer": optim.sgd(0.05, 0.9), "epochs": 2, "batch_size": 20}
    fit(net, data, method=methods.SET(every=2), rng=np.random.default_rng(643), **training)
    small = downsize(net)
    assert small.network.nbytes < net.nbytes
    assert sum(small.constant) > 0
    # Ten roundings of numbers about 1.
    tolerance = 10 * np.finfo(dtype).eps
    np.testing.assert_allclose(
        small.network.predict(data[0]), net.predict(data[0]), rtol=tolerance, atol=tolerance
    )
    before = small.network.connections
    fit(small.network, data, method=methods.RigL(), rng=np.random.default_rng(647), **training)
    assert small.network.connections == before


def test_constants_are_summed_in_double():
    """1,000 times float32(0.1) and 1,000 times its negative, after 1: in float32 they would not
    cancel.
    """
    n = 2_000
    values = np.where(np.arange(n) % 2, -0.1, 0.1)[None].astype(np.float32)
    values[0, 0] += np.float32(1e5)
    first = linear(np.zeros((n, 1)), np.ones(n), dtype=np.float32)
    net = Network([first, ReLU(), Linear(csr.from_dense(values), np.zeros(1, np.float32))])
    ref = np.float32(values.astype(np.float64).sum())
    assert downsize(net).network.layers[2].bias == ref


@pytest.mark.parametrize("kind", ["sparse", "dense"])
def test_products_with_constants_are_made_in_double(kind):
    """Products rounded to float32 before they are summed would make another bias."""
    weights = np.array([[1 / 3, 1 / 7, -0.7]], np.float32)
    bias = np.array([0.1, 0.3, 0.9], np.float32)
    first = Linear(csr.from_dense(np.zeros((3, 1), np.float32)), bias)
    last = np.zeros(1, np.float32)
    second = Dense(weights, last) if kind == "dense" else Linear(csr.from_dense(weights), last)
    ref = weights[0].astype(np.float64) @ bias.astype(np.float64)
    in_single = np.sum(weights[0] * bias, dtype=np.float64)
    assert np.float32(ref) != np.float32(in_single)
    assert downsize(Network([first, ReLU(), second])).network.layers[2].bias == np.float32(ref)


def test_the_loss_stays():
    net = Network([linear([[1.0]], [0])], loss="sigmoid_squared_error")
    assert downsize(net).network.loss == "sigmoid_squared_error"


def test_what_is_refused():
    class Sorted:
        def parameters(self):
            return {}

        def shape_after(self, shape):
            return shape

    first = linear([[1.0]], [0])
    with pytest.raises(ValueError, match=r"^downsize: inputs must be one of .*, got 'none'$"):
        downsize(Network([first]), inputs="none")
    with pytest.raises(TypeError, match=r"^downsize: layers must be known to act .* got Sorted$"):
        downsize(Network([first, Sorted(), linear([[1.0]], [0])]))
