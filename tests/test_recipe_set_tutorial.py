"""The recipe of SET's tutorial: its settings, one step against the formulas, a smoke run."""

import json

import naive
import numpy as np
import pytest

import data_loaders
from sparse_ref import csr, tiles
from sparse_ref.experiments import reproduce, set_tutorial
from sparse_ref.experiments.recipe import Context, Images
from sparse_ref.experiments.sweep import Outcome
from sparse_ref.layers import Linear
from sparse_ref.layers.unscaled_dropout import UnscaledDropout
from sparse_ref.methods import SET
from sparse_ref.train import Evaluation

SETTINGS = set_tutorial.SETTINGS["paper"]


def job(name, settings=SETTINGS):
    return set_tutorial._job(name, settings, "fashion-mnist", seed=3)


def small(name):
    """The network of a job at a size that loops can follow, in float64."""
    model = job(name).config.model
    sizes, draws = [7, 9, 8, 6, 4], [40, 45, 30, 20]
    change = {"sizes": sizes, "dtype": "float64"}
    change |= {"distribution": draws} if model.density is not None else {}
    return model.model_copy(update=change).build(np.random.default_rng(121))


def dense_parameters(net):
    weights = [
        csr.to_dense(la.weight) if isinstance(la, Linear) else la.weight for la in net.weighted
    ]
    return weights, [layer.bias for layer in net.weighted]


def dropouts(net):
    return [k for k, layer in enumerate(net.layers) if isinstance(layer, UnscaledDropout)]


def units_kept(net, k, packed, rate):
    """(n, units) what the dropout at place `k` keeps of the activations before it."""
    units = [layer.n_out for layer in net.layers[:k] if layer in net.weighted][-1]
    shape = packed.shape[0], units, packed.shape[2]
    draws = np.random.default_rng([123, k]).random(shape, np.float32)
    return tiles.unpack((draws >= np.float32(rate)).astype(np.float64), 21)


@pytest.mark.parametrize("name", set_tutorial.NETWORKS)
def test_gradients_are_those_of_the_authors_code(name):
    net, rng = small(name), np.random.default_rng(122)
    x, y = rng.random((21, 7)), rng.integers(0, 4, 21)
    for layer in net.weighted:
        layer.bias[:] = rng.standard_normal(layer.n_out)
    packed = tiles.pack(x)
    streams = [np.random.default_rng([123, k]) for k in range(len(net.layers))]
    loss, grads = net.gradients(packed, y, streams)
    kept = [units_kept(net, k, packed, 0.2) for k in dropouts(net)]
    assert 0 < np.mean(kept[0]) < 1
    one_hot = np.eye(4)[y]
    weights, biases = dense_parameters(net)
    ref_loss, by_weight, by_bias = naive.tutorial_gradients(weights, biases, x, one_hot, kept)
    assert loss == pytest.approx(ref_loss, rel=1e-13)
    comp = [grad for grad in grads if grad is not None]
    for grad, layer, ref, ref_bias in zip(comp, net.weighted, by_weight, by_bias, strict=True):
        ref = ref[csr.pattern(layer.weight)] if isinstance(layer, Linear) else ref
        np.testing.assert_allclose(grad.weight, ref, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(grad.bias, ref_bias, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", set_tutorial.NETWORKS)
def test_evaluation_is_that_of_the_authors_code(name):
    net, rng = small(name), np.random.default_rng(124)
    for layer in net.weighted:
        layer.bias[:] = rng.standard_normal(layer.n_out)
    x = rng.random((21, 7))
    ref = naive.tutorial_outputs(*dense_parameters(net), x, 0.2)
    np.testing.assert_allclose(net.predict(x), ref, rtol=1e-12, atol=1e-13)


def test_the_dense_network_adds_its_weight_gradients_up():
    # One step from rest: w - .001 * sum of gradients - .0002 w, biases by the mean of gradients.
    optimizer, net = job(set_tutorial.DENSE).config.optimizer.build(50, 20_000), small("dense")
    rng = np.random.default_rng(125)
    _, grads = net.gradients(tiles.pack(rng.random((40, 7))), rng.integers(0, 4, 40))
    grads = [grad for grad in grads if grad is not None]
    parameters = net.parameters()
    arrays = [array.copy() for grad in grads for array in (grad.weight, grad.bias)]
    updates, _ = optimizer.updates(parameters, arrays, optimizer.init(parameters), 1)
    for k, grad in enumerate(grads):
        weight, bias = parameters[2 * k].value, parameters[2 * k + 1].value
        ref = -0.001 * 40 * grad.weight - 0.0002 * weight
        np.testing.assert_allclose(updates[2 * k], ref, rtol=1e-12, atol=1e-18)
        ref = -0.001 * grad.bias - 0.0002 * bias
        np.testing.assert_allclose(updates[2 * k + 1], ref, rtol=1e-12, atol=1e-18)


def test_sparse_layers_are_drawn_as_often_as_published():
    model = job(set_tutorial.SET).config.model
    assert model.sizes == [784, 1000, 1000, 1000, 10]
    assert model.distribution == [23192, 26000, 26000, 13130]
    assert model.draw == "with_replacement"


def test_set_rewires_after_every_epoch_but_the_last():
    method = job(set_tutorial.SET).config.method.build(steps=50 * 400)
    assert isinstance(method, SET)
    assert (method.drop_fraction, method.grow_std, method.prune) == (0.3, 0.1, "mocanu_code")
    assert method.stop == 50 * 400  # no event from this step on


@pytest.mark.parametrize("name", [set_tutorial.SET, set_tutorial.FIXED])
def test_the_sparse_networks_learn_as_published(name):
    optimizer = job(name).config.optimizer
    assert (optimizer.learning_rate, optimizer.bias_factor) == (0.05, 1.0)
    assert (optimizer.momentum, optimizer.nesterov) == (0.9, False)
    assert (optimizer.weight_decay, optimizer.decay) == (0.0002, "unscaled")
    assert optimizer.schedule == "constant"


def test_scale_paper_is_the_published_setting():
    assert set_tutorial.Settings(2000, 1000, 1000, 400, 5) == SETTINGS
    assert job(set_tutorial.SET).config.batch_size == 40


def test_published_means():
    means = {name: round(sample.mean, 4) for name, sample in set_tutorial.PUBLISHED.items()}
    assert means == {"SET": 0.8256, "fixed": 0.8060, "dense": 0.8198}


def test_the_subset_is_the_legacy_generators():
    x, y = np.arange(50.0)[:, None], np.arange(50) % 10
    images = Images((x, y), (x[:20], y[:20]), "numbers")
    data = set_tutorial._subset(images, set_tutorial.Settings(train=30, test=8))
    legacy = np.random.RandomState(0)
    ref_train, ref_test = np.arange(50), np.arange(20)
    legacy.shuffle(ref_train)
    legacy.shuffle(ref_test)
    assert data.train[0][:, 0].tolist() == ref_train[:30].tolist()
    assert data.test[0][:, 0].tolist() == ref_test[:8].tolist()
    assert data.train[1].tolist() == y[ref_train[:30]].tolist()


def fabricated(accuracies, failing=()):
    """A context whose trainings are over at once, with these last accuracies."""

    def train(jobs, data):
        outcomes = []
        for job in jobs:
            last = accuracies[job.name] + 0.002 * job.config.seed
            curve = {"test": np.array([0.1, last + 0.05, last])}
            failure = "diverged" if (job.name, job.config.seed) in failing else ""
            shapes = ((5, 5), (5, 5))
            outcomes.append(Outcome(job, failure, Evaluation(0.1, last), (), curve, shapes, (9, 9)))
        return outcomes

    train_part, test_part = data_loaders.fashion_mnist_sample()
    images = Images(train_part, test_part, "fashion-mnist-sample")
    return Context("paper", lambda name: images, train)


def test_claims_follow_what_was_measured():
    report = set_tutorial.learning_curves(fabricated({"SET": 0.82, "fixed": 0.80, "dense": 0.85}))
    assert [claim.agrees for claim in report.claims[:3]] == [True, False, True]
    assert "SET 82.40 ± 0.32" in report.claims[0].measured
    # 82.40 is near the published 82.56, 85.40 is not near 81.98
    assert [claim.agrees for claim in report.claims[3:]] == [True, True, False]


def test_the_best_epoch_is_reported_beside_the_last():
    report = set_tutorial.learning_curves(fabricated({"SET": 0.82, "fixed": 0.80, "dense": 0.85}))
    row = report.tables[0].rows[0]
    assert row[3] == "82.40 ± 0.32"
    assert row[5] == "87.40 ± 0.32"
    np.testing.assert_allclose(report.numbers["final"]["SET"], [0.82, 0.822, 0.824, 0.826, 0.828])


def test_a_network_that_never_ended_has_a_dash_and_no_claim():
    failing = [("fixed", seed) for seed in range(5)]
    accuracies = {"SET": 0.82, "fixed": 0.80, "dense": 0.85}
    report = set_tutorial.learning_curves(fabricated(accuracies, failing))
    assert report.tables[0].rows[1][3] == "–"
    assert report.claims[0].why == "no training of fixed ended"


def test_smoke(tmp_path):
    loaders = {"fashion-mnist-sample": data_loaders.fashion_mnist_sample}
    asked = reproduce.order("set_tutorial", None, "smoke", workers=0)
    report = reproduce.reproduce(asked, loaders, tmp_path / "out")
    assert [row[0] for row in report.tables[0].rows] == ["SET", "fixed", "dense"]
    assert all(claim.agrees is None for claim in report.claims)
    numbers = json.loads((tmp_path / "out" / "report.json").read_text())["numbers"]
    assert all(np.shape(numbers["curves"][name]) == (2, 3) for name in set_tutorial.NETWORKS)
    lines = (tmp_path / "out" / "results.csv").read_text().splitlines()
    assert [line.split(",")[5] for line in lines] == ["distribution"] + 4 * ["counts"] + 2 * [""]
    assert (tmp_path / "out" / "learning_curves.png").read_bytes().startswith(b"\x89PNG")
