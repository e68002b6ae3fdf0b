"""Edge-popup: the spec's example, and that weights never move while scores do."""

import naive
import numpy as np
import pytest

from sparse_ref import Linear, Network, csr, evaluate, fit, models, optim, tiles, train
from sparse_ref.methods import EdgePopup
from sparse_ref.methods.edge_popup import Scores

# spec, section 12
S = np.array([[0.3, -0.7, 0.1], [-0.2, 0.05, 0.6]])
W = np.array([[1.0, -1, 1], [-1, 1, -1]])


def begun(net, method, optimizer, seed=109):
    return train.start(net, method, optimizer, *np.random.default_rng(seed).spawn(2))


def small(dtype=np.float64, seed=113, density=1.0):
    rng = np.random.default_rng(seed)
    net = models.mlp([8, 10, 3], density=density, rng=rng, dtype=dtype)
    x = rng.standard_normal((40, 8))
    return net, (x, (x[:, 0] > 0).astype(int) + (x[:, 1] > 0))


def test_the_worked_example_of_the_spec():
    net = Network([Linear(csr.from_dense(W))], loss="squared_error")
    training = begun(net, EdgePopup(density=0.5), optim.sgd(1.0))
    (scores,) = training.method_state.scores
    scores.trained[:] = S
    rewires, _ = EdgePopup(density=0.5).rewire(net, (), training.method_state, 1, None)
    net.restructure(rewires)
    mask = csr.pattern(net.layers[0].weight)
    assert mask.tolist() == [[True, True, False], [False, False, True]]
    y, pullback = net.layers[0].forward(tiles.pack(np.array([[1.0, 2, -1]])))
    assert tiles.unpack(y, 1).tolist() == [[-1, 1]]
    _, grad = pullback(tiles.pack(np.array([[1.0, -2]])))
    ds = scores.gradient(grad.block(0, 2), slice(0, 2))
    assert ds.tolist() == [[1, 2, -1], [-2, -4, -2]]


def test_the_float_trap_of_the_count():
    # int((1 - 0.9) * 10) is 0: nothing is removed.
    net = Network([Linear(csr.from_dense(np.ones((2, 5))))])
    begun(net, EdgePopup(density=0.9), optim.sgd(0.1))
    assert net.connections == (10,)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_and_biases_never_move_and_the_mask_follows_the_scores(dtype):
    net, (x, y) = small(dtype)
    weights = [csr.to_dense(layer.weight) for layer in net.sparse_layers]
    training = begun(net, EdgePopup(density=0.4), optim.sgd(0.5, 0.9, weight_decay=5e-4))
    start = [scores.trained.copy() for scores in training.method_state.scores]
    for _ in range(10):
        train.step(net, tiles.pack(x.astype(dtype)), y, training)
        for layer, w, scores in zip(
            net.sparse_layers, weights, training.method_state.scores, strict=True
        ):
            mask = naive.dnw_mask(scores.trained, 0.4)
            np.testing.assert_array_equal(csr.to_dense(layer.weight), np.where(mask, w, 0))
            assert not layer.bias.any()
    for scores, old in zip(training.method_state.scores, start, strict=True):
        assert scores.trained.dtype == dtype
        assert (scores.trained != old).all()  # hidden ones, too
    assert sum(len(event.grown) for event in training.history.events if event.step) > 5


def test_a_step_of_the_scores_is_that_of_the_dense_definition():
    net, (x, y) = small()
    training = begun(net, EdgePopup(density=0.4), optim.sgd(0.5, momentum=0.9))
    scores = training.method_state.scores
    before = [s.trained.copy() for s in scores]
    _, grads = net.gradients(tiles.pack(x), y)
    dense = [grad.block(0, grad.delta.shape[1]) for grad in net.sparse_gradients(grads)]
    train.step(net, tiles.pack(x), y, training)
    for s, old, grad in zip(scores, before, dense, strict=True):
        ref = np.zeros_like(old)
        for i, j in np.ndindex(*old.shape):
            ref[i, j] = old[i, j] - 0.5 * grad[i, j] * s.weights[i, j] * np.sign(old[i, j])
        np.testing.assert_allclose(s.trained, ref, atol=1e-15)


def test_scores_begin_within_the_bound_of_their_fan():
    net, _ = small()
    training = begun(net, EdgePopup(density=0.5), optim.sgd(0.1))
    for layer, scores in zip(net.sparse_layers, training.method_state.scores, strict=True):
        bound = layer.n_in**-0.5
        assert np.abs(scores.trained).max() <= bound
        assert np.abs(scores.trained).max() > 0.8 * bound
        assert scores.trained.min() < 0 < scores.trained.max()


@pytest.mark.parametrize("scale_fan", [False, True])
def test_signed_constants(scale_fan):
    net, _ = small()
    signs = [np.sign(csr.to_dense(layer.weight)) for layer in net.sparse_layers]
    method = EdgePopup(density=0.5, weights="signed_constant", scale_fan=scale_fan)
    training = begun(net, method, optim.sgd(0.1))
    for layer, sign, scores in zip(
        net.sparse_layers, signs, training.method_state.scores, strict=True
    ):
        std = (2 / (layer.n_in * (0.5 if scale_fan else 1))) ** 0.5
        np.testing.assert_allclose(scores.weights, sign * std, rtol=1e-15)


@pytest.mark.parametrize(("density", "count"), [(1.0, 80), (0.0, 0)])
def test_the_ends_keep_all_and_none(density, count):
    net, _ = small()
    begun(net, EdgePopup(density=density), optim.sgd(0.1))
    assert net.connections[0] == count


def test_it_learns_without_a_trained_weight():
    net, data = small(seed=127)
    before = evaluate(net, data).loss
    rng = np.random.default_rng(131)
    method, optimizer = EdgePopup(density=0.5), optim.sgd(0.3, momentum=0.9)
    fit(net, data, method=method, optimizer=optimizer, epochs=40, batch_size=10, rng=rng)
    assert evaluate(net, data).loss < 0.8 * before


def test_scores_and_weights_count_as_its_memory():
    net, data = small()
    optimizer, rng = optim.sgd(0.1, momentum=0.9), np.random.default_rng(137)
    history = fit(
        net,
        data,
        method=EdgePopup(density=0.5),
        optimizer=optimizer,
        epochs=1,
        batch_size=40,
        rng=rng,
    )
    assert history.method_bytes == (80 + 30) * 8 * 3  # weights, scores, momentum
    assert Scores(S, W).nbytes == 2 * S.nbytes


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"density": -0.1}, r"EdgePopup: density must be in \[0, 1\], got -0.1"),
        ({"weights": "none"}, "EdgePopup: weights must be one of"),
        ({"scale_fan": True}, "EdgePopup: scale_fan needs signed_constant weights"),
    ],
)
def test_impossible_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        EdgePopup(**options)
