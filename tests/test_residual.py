"""Residual links: sums, gradients by differences, plans, and what is refused."""

import re
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_ref import csr, evaluate, fit, methods, optim, residual, tiles
from sparse_ref.layers import Dense, Dropout, Linear, ReLU, SReLU
from sparse_ref.network import Network
from sparse_ref.residual import Branches, Residual


def refuses(message):
    return pytest.raises(ValueError, match="^" + re.escape(message) + "$")


def linear(n_out, n_in, rng, density=0.6, dtype=np.float64):
    pattern = rng.random((n_out, n_in)) < density
    values = rng.standard_normal((n_out, n_in)).astype(dtype) * pattern
    return Linear(csr.from_dense(values, pattern), rng.standard_normal(n_out).astype(dtype))


def example(seed=2201):
    """Nested links, projections, and links that stand first and last."""
    rng = np.random.default_rng(seed)
    inner, bent = Residual([linear(5, 5, rng), ReLU()]), SReLU.initial(6, rng, np.float64)
    bent.left_threshold[:] = 0.1  # 0 would be a kink where a ReLU's zeros come in
    return Network(
        [
            Residual([linear(5, 4, rng), ReLU(), inner, linear(6, 5, rng)], [linear(6, 4, rng)]),
            ReLU(),
            Residual([bent, linear(6, 6, rng)]),
            linear(3, 6, rng),
        ]
    )


def batch(n, n_in=4, seed=2202):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, n_in)), rng.integers(0, 3, n)


def by_hand(net, x):
    """The example's outputs in plain NumPy."""
    layers = net.layers

    def through(k, x):
        if isinstance(layers[k], ReLU):
            return np.maximum(x, 0)
        if isinstance(layers[k], SReLU):
            return tiles.unpack(layers[k].forward(tiles.pack(x))[0], len(x))
        return x @ csr.to_dense(layers[k].weight).T + layers[k].bias

    first = through(1, through(0, x))
    first = first + through(3, through(2, first))
    x = through(4, first) + through(5, x)
    x = through(6, x)
    x = through(8, through(7, x)) + x
    return through(9, x)


def test_the_example_of_one_unit():
    # body: relu(-2 x) = 2 at x = -1, and with the input 1; weight 3 makes 3.
    net = Network(
        [Residual([Dense(np.array([[-2.0]])), ReLU()]), Dense(np.array([[3.0]]))], "squared_error"
    )
    assert net.predict(np.array([[-1.0]])) == 3.0
    _, grads = net.gradients(tiles.pack(np.array([[-1.0]])), np.array([[0.0]]))
    # delta is 3 at the output, 9 at the sum; by the first weight 9 * x = -9, by its bias 9
    assert grads[2].weight == 3 * 1.0
    assert grads[0].weight == -9.0
    assert grads[0].bias == 9.0


def test_layers_are_flat_bodies_before_shortcuts():
    net = example()
    kinds = [type(layer).__name__ for layer in net.layers]
    assert (
        kinds
        == ["Linear", "ReLU", "Linear", "ReLU", "Linear", "Linear", "ReLU", "SReLU"]
        + ["Linear"] * 2
    )
    assert net.plan == (
        Branches((0, 1, Branches((2, 3), ()), 4), (5,)),
        6,
        Branches((7, 8), ()),
        9,
    )


@given(n=st.integers(1, 70))
@settings(max_examples=15, deadline=None)
def test_outputs_are_those_of_numpy(n):
    net, (x, _) = example(), batch(n)
    np.testing.assert_allclose(net.predict(x), by_hand(net, x), rtol=1e-12, atol=1e-12)


def test_gradients_are_those_of_differences():
    net, (x, y) = example(), batch(19)
    packed = net.packed(x)
    _, grads = net.gradients(packed, y)
    for parameter in net.parameters():
        gradient = getattr(grads[parameter.layer], parameter.name)
        for k in range(parameter.value.size):
            before, ends = parameter.value[k], []
            for step in (1e-6, -1e-6):
                parameter.value[k] = before + step
                ends.append(net.gradients(packed, y)[0])
            parameter.value[k] = before
            assert gradient[k] == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-8)


def test_an_empty_shortcut_is_the_identity_with_a_weight():
    rng = np.random.default_rng(2203)
    first, second, (x, y) = linear(4, 4, rng), linear(3, 4, rng), batch(9)
    short = Network([Residual([first, ReLU()]), second])
    eye = Network([Residual([first, ReLU()], [Dense(np.eye(4))]), second])
    loss, grads = short.gradients(short.packed(x), y)
    ref_loss, refs = eye.gradients(eye.packed(x), y)
    assert loss == ref_loss
    np.testing.assert_allclose(grads[0].weight, refs[0].weight, rtol=1e-14)


def test_dropout_within_a_link_draws_from_its_own_stream():
    rng = np.random.default_rng(2204)
    net = Network([Residual([linear(4, 4, rng), Dropout(0.5)]), linear(3, 4, rng)])
    x, y = batch(9)

    def streams():
        return np.random.default_rng(2205).spawn(3)

    noisy = [net.gradients(net.packed(x), y, streams())[0] for _ in range(2)]
    assert noisy[0] == noisy[1] != net.gradients(net.packed(x), y)[0]
    with refuses("Network: rngs must be one a layer, 3, got 2"):
        net.gradients(net.packed(x), y, streams()[:2])


def test_pullbacks_go_as_they_are_called():
    net, (x, _) = example(), batch(5)
    x, trail = residual.forward(net.plan, net.layers, net.packed(x), [None] * 10, 5)
    pullback = weakref.ref(trail[1])
    residual.backward(net.plan, trail, np.ones_like(x), [None] * 10)
    assert trail == []
    assert pullback() is None


def test_nothing_is_made_by_the_input_unless_it_is_wanted():
    net, (x, _) = example(), batch(5)
    for wanted in (False, True):
        y, trail = residual.forward(net.plan, net.layers, net.packed(x), [None] * 10, 5)
        delta = residual.backward(net.plan, trail, np.ones_like(y), [None] * 10, wanted)
        assert (delta is not None) == wanted


def test_it_trains_and_is_rewired():
    rng = np.random.default_rng(2206)
    net, (x, y) = example(), batch(120)
    y = (x[:, 0] > 0).astype(int)
    before = net.connections
    fit(
        net,
        (x, y),
        method=methods.RigL(every=4),
        optimizer=optim.sgd(0.05, momentum=0.9),
        epochs=30,
        batch_size=16,
        rng=rng,
    )
    assert net.connections == before
    assert evaluate(net, (x, y)).accuracy > 0.9


def test_other_layers_in_the_same_places():
    net, (x, _) = example(), batch(7)
    same = net.with_layers(net.layers)
    np.testing.assert_array_equal(same.predict(x), net.predict(x))
    assert repr(same) == repr(net)
    with refuses("Network: layers must be one for each, 10, got 9"):
        net.with_layers(net.layers[:-1])


def test_a_network_with_a_link_says_what_it_is():
    net = Network(
        [Residual([Dense(np.eye(2)), ReLU()], [Dense(np.eye(2))]), Dense(np.ones((1, 2)))],
        "squared_error",
    )
    assert repr(net) == (
        "Network(\n  Residual(\n    Dense(2 -> 2)\n    ReLU()\n  ) + (\n    Dense(2 -> 2)\n  )\n"
        "  Dense(2 -> 1)\n  squared_error\n)"
    )


def test_pruning_a_dense_layer_of_a_link():
    rng = np.random.default_rng(2207)
    net = Network([Residual([Dense(rng.standard_normal((4, 4)))]), linear(3, 4, rng)])
    x, _ = batch(6)
    net.layers[0].weight[1, 2] = 0
    before = net.predict(x)
    net.prune([np.array([6]), None])
    assert net.connections[0] == 15
    np.testing.assert_allclose(net.predict(x), before, rtol=1e-13)


def test_branches_must_end_in_one_shape():
    with refuses(
        "Network: body and shortcut of a Residual must end in one shape, got (3,) after "
        "Dense(4 -> 3) and (4,) after Dense(2 -> 4)"
    ):
        Network([Dense(np.ones((4, 2))), Residual([Dense(np.ones((3, 4)))])])


def test_a_body_must_hold_something():
    with refuses("Residual: body must hold at least one layer, got none"):
        Network([Dense(np.ones((4, 2))), Residual([])])
