"""Learned supermasks: coins with the odds of the logits, and logits that learn from all weights."""

import naive
import numpy as np
import pytest

from sparse_ref import Linear, Network, csr, evaluate, fit, models, optim, tiles, train
from sparse_ref.methods import Supermask
from sparse_ref.methods.supermask import Logits


def begun(net, method, optimizer, seed=139):
    return train.start(net, method, optimizer, *np.random.default_rng(seed).spawn(2))


def small(dtype=np.float64, seed=149):
    rng = np.random.default_rng(seed)
    net = models.mlp([8, 10, 3], density=1.0, rng=rng, dtype=dtype)
    x = rng.standard_normal((40, 8))
    return net, (x, (x[:, 0] > 0).astype(int) + (x[:, 1] > 0))


def test_at_a_logit_of_0_the_derivative_is_a_quarter_of_the_mask_s():
    # spec, section 13: da = (dL/dmask) sigmoid(a) (1 - sigmoid(a))
    logits = Logits(np.array([[2.0, -3.0]]))
    comp = logits.gradient(np.array([[1.0, 1.0]]), slice(0, 1))
    assert comp.tolist() == [[0.5, -0.75]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_derivative_is_the_definition_s(dtype):
    rng = np.random.default_rng(151)
    logits = Logits(rng.standard_normal((3, 4)).astype(dtype))
    logits.trained[:] = rng.standard_normal((3, 4)) * 5
    block = rng.standard_normal((2, 4)).astype(dtype)
    comp = logits.gradient(block.copy(), slice(1, 3))
    for i, j in np.ndindex(2, 4):
        odds = naive.sigmoid(float(logits.trained[i + 1, j]))
        ref = block[i, j] * logits.weights[i + 1, j] * odds * (1 - odds)
        assert comp[i, j] == pytest.approx(ref, rel=float(10 * np.finfo(dtype).eps))


@pytest.mark.parametrize("scaled", [False, True])
def test_a_step_goes_through_the_scale_too(scaled):
    # By finite differences of the loss in a mask of real numbers, at the one that was thrown.
    rng = np.random.default_rng(173)
    net = Network([Linear(csr.from_dense(rng.standard_normal((3, 4))))], loss="squared_error")
    w = csr.to_dense(net.layers[0].weight)
    training = begun(net, Supermask(dynamic_scaling=scaled), optim.sgd(0.5))
    (logits,) = training.method_state.logits
    logits.trained[:] = rng.standard_normal((3, 4))
    a, mask = logits.trained.copy(), np.zeros((3, 4))
    mask.reshape(-1)[logits.used] = 1
    x, y = rng.standard_normal((8, 4)), rng.standard_normal((8, 3))

    def loss(mask):
        scale = mask.size / mask.sum() if scaled else 1.0
        return naive.squared_error(x @ (scale * mask * w).T, y)[0]

    assert train.step(net, tiles.pack(x), y, training) == pytest.approx(loss(mask))
    for i, j in np.ndindex(3, 4):
        one = np.zeros((3, 4))
        one[i, j] = 1e-5
        by_mask = (loss(mask + one) - loss(mask - one)) / 2e-5
        odds = naive.sigmoid(a[i, j])
        ref = a[i, j] - 0.5 * by_mask * odds * (1 - odds)
        assert logits.trained[i, j] == pytest.approx(ref, abs=1e-8)  # differences err by 1e-10


def test_coins_have_the_odds_of_the_logits():
    logits = Logits(np.ones((100, 400)))
    logits.trained[:] = np.repeat([-2.0, 0.0, 1.0, 30.0], 100)
    used = logits.coins(np.random.default_rng(157)) % 400 // 100
    counts = np.bincount(used, minlength=4)
    for count, a in zip(counts, (-2.0, 0.0, 1.0, 30.0), strict=True):
        p = naive.sigmoid(a)
        assert abs(count - 10_000 * p) <= 5 * (10_000 * p * (1 - p)) ** 0.5 + 1e-6


def test_weights_stay_and_what_is_used_has_them():
    net, (x, y) = small()
    weights = [csr.to_dense(layer.weight) for layer in net.sparse_layers]
    training = begun(net, Supermask(), optim.sgd(20.0, 0.9))
    for _ in range(5):
        train.step(net, tiles.pack(x), y, training)
        for layer, w, logits in zip(
            net.sparse_layers, weights, training.method_state.logits, strict=True
        ):
            assert csr.flat(layer.weight).tolist() == logits.used.tolist()
            np.testing.assert_array_equal(layer.weight.data, w.reshape(-1)[logits.used])
            assert not layer.bias.any()
    counts = {event.connections for event in training.history.events if event.layer == 0}
    assert len(counts) > 2  # coins


def test_dynamic_scaling_multiplies_by_positions_over_connections():
    net, _ = small()
    weights = [csr.to_dense(layer.weight).reshape(-1) for layer in net.sparse_layers]
    begun(net, Supermask(dynamic_scaling=True), optim.sgd(1.0))
    for layer, w in zip(net.sparse_layers, weights, strict=True):
        ref = w[csr.flat(layer.weight)] * (w.size / layer.weight.nnz)
        np.testing.assert_allclose(layer.weight.data, ref, rtol=1e-15)


def test_sigma_sign_has_one_magnitude_a_layer():
    net, _ = small()
    weights = [csr.to_dense(layer.weight) for layer in net.sparse_layers]
    training = begun(net, Supermask(sigma_sign=True), optim.sgd(1.0))
    for logits, w in zip(training.method_state.logits, weights, strict=True):
        ref = np.sign(w) * np.sqrt(np.mean((w - np.mean(w)) ** 2))  # ddof 0
        np.testing.assert_allclose(logits.weights, ref, rtol=1e-14)


def test_it_learns_without_a_trained_weight():
    net, data = small(seed=163)
    before = evaluate(net, data).loss
    rng = np.random.default_rng(167)
    method, optimizer = Supermask(), optim.sgd(20.0, momentum=0.9)
    fit(net, data, method=method, optimizer=optimizer, epochs=40, batch_size=10, rng=rng)
    assert evaluate(net, data).loss < 0.9 * before
