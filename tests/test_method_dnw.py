"""Discovering Neural Wirings: the spec's example, a dense twin bit for bit, and the freezing."""

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparse_ref import Linear, Network, csr, evaluate, fit, models, optim, tiles, train
from sparse_ref.methods import DNW, Run, Static
from sparse_ref.methods.dnw import DecayedWhereChosen

# spec, section 7: one layer without bias, x = [1, 2], target [1, 0], rate 0.1
W0 = np.array([[0.5, -0.1], [0.2, -0.4]])
X, TARGET = np.array([[1.0, 2.0]]), np.array([[1.0, 0.0]])
STEPS = [  # F, its loss, W after the update
    ([[0.5, 0], [0, -0.4]], 0.445, [[0.55, 0], [0.28, -0.24]]),
    ([[0.55, 0], [0.28, 0]], 0.14045, [[0.595, 0.09], [0.252, -0.296]]),
    ([[0.595, 0], [0, -0.296]], 0.2572445, [[0.6355, 0.171], [0.3112, -0.1776]]),
    ([[0.6355, 0], [0.3112, 0]], 0.114852845, None),
]


class WithoutBias(DNW):
    """The example's layer has none."""

    trains_biases = False


def complete(weights, dtype=np.float64):
    return csr.from_dense(np.array(weights, dtype), np.ones(np.shape(weights), bool))


def begun(net, method, optimizer, seed=41):
    return train.start(net, method, optimizer, *np.random.default_rng(seed).spawn(2))


def test_the_worked_example_of_the_spec():
    # Decimal fractions: a few roundings of 1e-16 a step.
    net = Network([Linear(complete(W0))], loss="squared_error")
    training = begun(net, WithoutBias(density=0.5), optim.sgd(0.1))
    for forward, loss, shadow in STEPS:
        np.testing.assert_allclose(csr.to_dense(net.layers[0].weight), forward, atol=1e-15)
        comp = train.step(net, tiles.pack(X), TARGET, training)
        assert comp == pytest.approx(loss, abs=1e-15)
        if shadow is not None:
            (w,) = training.method_state.shadows
            np.testing.assert_allclose(w.trained, shadow, atol=1e-15)


def test_the_gradient_of_the_input_is_that_of_the_layer_in_use():
    layer = Linear(complete(W0))
    net = Network([layer], loss="squared_error")
    training = begun(net, WithoutBias(density=0.5), optim.sgd(0.1))
    _, pullback = layer.forward(tiles.pack(X))
    out, _ = pullback(tiles.pack(np.array([[-0.5, -0.8]])))
    np.testing.assert_allclose(tiles.unpack(out, 1), [[-0.25, 0.32]], atol=1e-15)
    assert training.step == 0


@pytest.mark.parametrize("density", [0.095, 0.3])
def test_counts_are_those_of_the_authors_float_expression(density):
    net = models.lenet_300_100(density=1.0, rng=np.random.default_rng(5))
    begun(net, DNW(density=density), optim.sgd(0.1))
    shapes = [(300, 784), (100, 300), (10, 100)]
    assert net.connections == tuple(a * b - int((1 - density) * (a * b)) for a, b in shapes)
    if density == 0.095:
        assert net.connections == (22344, 2850, 95)  # spec, section 7: VanGelder2020's 90.5 %


# ---------------------------------------------------------------- equal to a dense implementation


def dense_twin(net, density, batches, rate, momentum, decay):
    """DNW on complete layers behind masks, through the same products: W, and F of every step.

    A hidden weight is a stored zero; adding its product changes no bit of a sum. So what this
    shares with the library are products and loss, and nothing of shadows, blocks, ranks, rewirings.
    """
    layers = net.sparse_layers
    weights = [csr.to_dense(layer.weight) for layer in layers]
    slow = [np.zeros_like(w) for w in weights]
    slow_bias = [np.zeros_like(layer.bias) for layer in layers]
    used = []
    for x, y in batches:
        masks = [naive.dnw_mask(w, density) for w in weights]
        used.append([np.where(m, w, 0) for m, w in zip(masks, weights, strict=True)])
        for layer, forward in zip(layers, used[-1], strict=True):
            layer.weight.data[:] = forward.reshape(-1)
        _, grads = net.gradients(tiles.pack(x), y)
        for k, grad in enumerate(net.sparse_gradients(grads)):
            by_weight = grad.weight.reshape(weights[k].shape) + decay * weights[k]
            slow[k] = momentum * slow[k] + by_weight
            weights[k] = weights[k] + slow[k] * -rate
            slow_bias[k] = momentum * slow_bias[k] + (grad.bias + decay * layers[k].bias)
            layers[k].bias += slow_bias[k] * -rate
    return weights, used


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_bit_for_bit_a_dense_implementation_with_momentum_and_decay(dtype):
    rng = np.random.default_rng(43)
    batches = [
        (rng.standard_normal((20, 9)).astype(dtype), rng.integers(0, 4, 20)) for _ in range(40)
    ]
    nets = [
        models.mlp([9, 12, 7, 4], density=1.0, rng=np.random.default_rng(47), dtype=dtype)
        for _ in range(2)
    ]
    ref, used = dense_twin(nets[0], 0.3, batches, dtype(0.1), dtype(0.9), dtype(0.01))
    training = begun(nets[1], DNW(density=0.3), optim.sgd(0.1, momentum=0.9, weight_decay=0.01))
    moves = 0
    for (x, y), forward in zip(batches, used, strict=True):
        for layer, f in zip(nets[1].sparse_layers, forward, strict=True):
            assert csr.to_dense(layer.weight).tobytes() == (f + dtype(0)).tobytes()
        train.step(nets[1], tiles.pack(x), y, training)
    for shadow, w in zip(training.method_state.shadows, ref, strict=True):
        assert shadow.trained.tobytes() == w.tobytes()
    moves = sum(len(event.grown) for event in training.history.events if event.step)
    assert moves > 20  # else this would be no test of the choice
    for one, other in zip(nets[0].sparse_layers, nets[1].sparse_layers, strict=True):
        assert one.bias.tobytes() == other.bias.tobytes()


def test_bit_for_bit_plain_loops_where_sums_are_exact():
    # Sixteenths and whole numbers: six steps fit into 53 bits, so every order of summation agrees.
    rng = np.random.default_rng(53)
    w0 = rng.integers(-16, 17, (5, 6)) / 16
    batches = [
        (rng.integers(-2, 3, (4, 6)) * 1.0, rng.integers(-2, 3, (4, 5)) * 1.0) for _ in range(6)
    ]
    net = Network([Linear(complete(w0))], loss="squared_error")
    training = begun(net, WithoutBias(density=0.4), optim.sgd(2**-4, momentum=0.5))
    for x, y in batches:
        train.step(net, tiles.pack(x), y, training)
    ref = naive.dnw_training(w0, 0.4, batches, 2**-4, 0.5)
    (shadow,) = training.method_state.shadows
    assert shadow.trained.tolist() == ref
    assert sum(len(event.grown) for event in training.history.events if event.step) > 3


def test_files_in_place_of_memory_change_no_bit(tmp_path):
    def trained(**options):
        net = models.mlp([9, 12, 4], density=1.0, rng=np.random.default_rng(59), dtype=np.float64)
        data = np.random.default_rng(61).standard_normal((50, 9)), np.arange(50) % 4
        fit(
            net,
            data,
            method=DNW(density=0.3, **options),
            optimizer=optim.adam(0.01),
            epochs=3,
            batch_size=16,
            rng=np.random.default_rng(67),
        )
        return [p.value.tobytes() for p in net.parameters()]

    in_memory = trained()
    assert trained(shadow_folder=str(tmp_path / "shadow")) == in_memory
    files = sorted(path.name for path in (tmp_path / "shadow").iterdir())
    assert files == [
        f"layer-{k}{what}.npy" for k in (0, 1) for what in ("-buffer-0", "-buffer-1", "")
    ]


# ---------------------------------------------------------------- identities


def small(density=1.0, seed=71, dtype=np.float64):
    rng = np.random.default_rng(seed)
    net = models.mlp([8, 10, 3], density=density, rng=rng, dtype=dtype)
    return net, (rng.standard_normal((40, 8)), rng.integers(0, 3, 40))


def fitted(net, data, method, epochs=4, **options):
    rng = np.random.default_rng(73)
    optimizer = optim.sgd(0.1, momentum=0.9, weight_decay=0.01)
    return fit(
        net,
        data,
        method=method,
        optimizer=optimizer,
        epochs=epochs,
        batch_size=10,
        rng=rng,
        **options,
    )


def everything(net):
    structure = [(la.weight.indptr.tobytes(), la.weight.indices.tobytes()) for la in net.weighted]
    return structure, [p.value.tobytes() for p in net.parameters()]


def test_at_density_1_it_is_the_training_of_the_complete_network():
    (one, data), (other, _) = small(), small()
    fitted(one, data, DNW(density=1.0))
    fitted(other, data, Static())
    assert everything(one) == everything(other)


def test_at_density_0_nothing_passes_but_the_top_layer_still_learns():
    net, (x, y) = small()
    training = begun(net, DNW(density=0.0), optim.sgd(0.1))
    assert net.connections == (0, 0)
    before = [shadow.trained.copy() for shadow in training.method_state.shadows]
    hidden, _ = net.layers[0].forward(tiles.pack(x))
    assert not np.any(hidden)  # biases are 0
    train.step(net, tiles.pack(x), y, training)
    after = training.method_state.shadows
    np.testing.assert_array_equal(after[0].trained, before[0])
    # The hidden units are 0, so the top layer's gradient is: its bias is what learns.
    assert np.any(net.layers[-1].bias)


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_every_forward_pass_has_exactly_the_count(seed, density):
    rng = np.random.default_rng(seed)
    net = models.mlp([5, 6, 3], density=1.0, rng=rng, dtype=np.float64)
    training = begun(net, DNW(density=density), optim.sgd(0.5, momentum=0.5))
    ref = tuple(n - int((1 - density) * n) for n in (30, 18))
    for _ in range(4):
        assert net.connections == ref
        train.step(net, tiles.pack(rng.random((7, 5))), rng.integers(0, 3, 7), training)
        for layer, shadow in zip(net.sparse_layers, training.method_state.shadows, strict=True):
            np.testing.assert_array_equal(
                csr.pattern(layer.weight), naive.dnw_mask(shadow.trained, density)
            )


def test_a_rate_of_zero_changes_nothing():
    net, data = small()
    training = begun(net, DNW(density=0.3), optim.sgd(0.0))
    before = everything(net)
    train.step(net, tiles.pack(data[0]), data[1], training)
    assert everything(net) == before


def test_hidden_weights_move():
    net, (x, y) = small()
    training = begun(net, DNW(density=0.3), optim.sgd(0.1))
    shadow, before = (
        training.method_state.shadows[1],
        training.method_state.shadows[1].trained.copy(),
    )
    hidden = ~csr.pattern(net.sparse_layers[1].weight)
    train.step(net, tiles.pack(x), y, training)
    assert np.all((shadow.trained != before)[hidden].mean() > 0.5)


def test_without_a_density_layers_keep_the_counts_they_have():
    net, data = small(density=0.4)
    before = net.connections
    fitted(net, data, DNW())
    assert net.connections == before


def test_decay_on_the_used_weights_only():
    # With a gradient of zero (x = 0) decay is all that moves a weight.
    for decay_hidden in (True, False):
        net = Network([Linear(complete(W0))], loss="squared_error")
        method = WithoutBias(density=0.5, decay_hidden=decay_hidden)
        training = begun(net, method, optim.sgd(0.1, weight_decay=0.5))
        train.step(net, tiles.pack(0 * X), 0 * TARGET, training)
        (shadow,) = training.method_state.shadows
        ref = W0 * (1 - 0.05 * (naive.dnw_mask(W0, 0.5) | decay_hidden))
        np.testing.assert_allclose(shadow.trained, ref, atol=1e-16)  # one rounding


def test_blocks_of_rows_decay_what_they_should():
    shadow = DecayedWhereChosen(np.arange(1.0, 13.0).reshape(4, 3), block_elements=3)
    shadow.largest(5)
    seen = np.concatenate([shadow.decayed(rows) for rows in shadow.blocks()])
    assert seen.tolist() == [[0, 0, 0], [0, 0, 0], [0, 8, 9], [10, 11, 12]]


def test_rare_choices_let_hidden_weights_pass_those_in_use():
    net, (x, y) = small()
    training = begun(net, DNW(density=0.3, every=3), optim.sgd(0.5))
    for _ in range(6):
        train.step(net, tiles.pack(x), y, training)
    assert sorted({event.step for event in training.history.events}) == [0, 3, 6]


# ---------------------------------------------------------------- freezing


def test_frozen_at_0_is_magnitude_pruning_at_the_start():
    (one, data), (other, _) = small(), small()
    fitted(one, data, DNW(density=0.3, freeze_epoch=0))
    other.prune(
        [np.flatnonzero(~naive.dnw_mask(csr.to_dense(w), 0.3).reshape(-1)) for w in other.topology]
    )
    fitted(other, data, Static())
    assert everything(one) == everything(other)


def test_frozen_at_the_end_is_never_frozen():
    (one, data), (other, _) = small(), small()
    fitted(one, data, DNW(density=0.3, freeze_epoch=4))
    fitted(other, data, DNW(density=0.3))
    assert everything(one) == everything(other)


@pytest.mark.parametrize("when", ["after_update", "after_forward"])
def test_after_freezing_the_structure_stays_and_the_shadow_is_gone(when):
    (net, data), (twin, _) = small(), small()
    seen = []
    history = fitted(
        net,
        data,
        DNW(density=0.3, freeze_epoch=2, freeze_when=when),
        callbacks=[lambda net, epoch, history: seen.append(everything(net)[0])],
    )
    assert seen[1] == seen[2] == seen[3]
    assert max(event.step for event in history.events) == 8
    assert history.method_bytes == 0
    # What was chosen after the last update of epoch 2, or what its forward pass had used.
    at_freezing = fitted(twin, data, DNW(density=0.3), span=(0, 8 if when == "after_update" else 7))
    assert seen[1] == everything(twin)[0]
    assert at_freezing.method_bytes > 0


def test_after_freezing_it_is_a_static_training_that_brings_its_momentum():
    net, (x, y) = small()
    x = tiles.pack(x)
    training = begun(net, DNW(density=0.3, freeze_step=2), optim.sgd(0.1, momentum=0.9))
    train.step(net, x, y, training)
    shadows = training.method_state.shadows
    train.step(net, x, y, training)
    layers = list(zip(net.sparse_layers, shadows, strict=True))
    for k, (layer, shadow) in enumerate(layers):
        at = csr.flat(layer.weight)
        np.testing.assert_array_equal(layer.weight.data, shadow.trained.reshape(-1)[at])
        (momentum,) = training.optimizer_state.buffers[2 * k]
        np.testing.assert_array_equal(momentum, shadow.buffers[0].reshape(-1)[at])
    before = [layer.weight.data.copy() for layer in net.sparse_layers]
    slow = [group[0].copy() for group in training.optimizer_state.buffers]
    _, grads = net.gradients(x, y)
    train.step(net, x, y, training)
    for k, grad in enumerate(net.sparse_gradients(grads)):
        ref = before[k] - 0.1 * (0.9 * slow[2 * k] + grad.weight)
        np.testing.assert_allclose(net.sparse_layers[k].weight.data, ref, atol=1e-15)


@pytest.mark.parametrize("when", ["after_update", "after_forward"])
def test_a_training_that_goes_on_past_the_freezing_stays_frozen(when):
    net, data = small()
    method = DNW(density=0.3, freeze_step=6, freeze_when=when)
    fitted(net, data, method, span=(0, 6))
    frozen = everything(net)[0]
    history = fitted(net, data, method, span=(6, None))
    assert everything(net)[0] == frozen
    assert history.events == []
    assert history.method_bytes == 0


def test_frozen_at_0_after_the_forward_pass_is_frozen_at_0():
    (one, data), (other, _) = small(), small()
    fitted(one, data, DNW(density=0.3, freeze_epoch=0, freeze_when="after_forward"))
    fitted(other, data, DNW(density=0.3, freeze_epoch=0))
    assert everything(one) == everything(other)


def test_a_bound_method_knows_its_freezing_step():
    assert DNW(freeze_epoch=3).bind(Run(7, 70)).freeze_step == 21
    assert [step for step in range(9) if DNW(freeze_step=4).due(step)] == [0, 1, 2, 3, 4]


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"density": 1.2}, ValueError, r"DNW: density must be in \[0, 1\], got 1.2"),
        ({"density": "half"}, TypeError, "DNW: density must be a number, got 'half'"),
        ({"freeze_epoch": -1}, ValueError, "DNW: freeze_epoch must be a whole number, 0 or more"),
        ({"freeze_epoch": 1, "freeze_step": 2}, ValueError, "DNW: freeze_step must be left out"),
        ({"freeze_when": "soon"}, ValueError, "DNW: freeze_when must be one of"),
        ({"every": 0}, ValueError, "DNW: every must be a positive whole number"),
    ],
)
def test_impossible_options_are_refused(options, error, words):
    with pytest.raises(error, match=words):
        DNW(**options)


def test_an_event_after_the_freezing_is_refused():
    net, _ = small()
    method = DNW(density=0.3, freeze_step=0)
    state = begun(net, method, optim.sgd(0.1)).method_state
    with pytest.raises(ValueError, match="DNW: the structure is frozen, got an event at step 5"):
        method.rewire(net, (), state, 5, np.random.default_rng(79))


def test_a_shadow_that_would_not_stay_finite_is_told():
    net, (x, y) = small()
    before = everything(net)
    training = begun(net, DNW(density=1.0), optim.sgd(1e308))
    with pytest.raises(FloatingPointError, match="fit: the weights must stay finite, got"):
        train.step(net, tiles.pack(100 * x), y, training)
    assert everything(net) == before


def test_it_learns():
    net, (x, y) = small()
    y = (x[:, 0] > 0).astype(int) + (x[:, 1] > 0)
    before = evaluate(net, (x, y)).loss
    fitted(net, (x, y), DNW(density=0.4), epochs=20)
    assert evaluate(net, (x, y)).loss < 0.5 * before
