"""What networks are worth, of convolutions, links and batch normalisation."""

import copy

import numpy as np
import pytest

from sparse_ref import csr, models
from sparse_ref.analysis import (
    agreement,
    ensemble,
    ensemble_accuracy,
    ordinality,
    random_structure,
    reinitialised,
    sensitivity,
    stability,
    thinned,
    weight_evolution,
)
from sparse_ref.layers import BatchNorm, Conv2d, DenseConv2d, Linear
from sparse_ref.layers.base import state_of
from sparse_ref.methods import Static
from sparse_ref.optim import sgd
from sparse_ref.pruning.weights import values_of
from sparse_ref.train import evaluate, fit

CLASSES = 4
IMAGES = {"lenet": (1, 10, 10), "resnet": (3, 8, 8)}
both = pytest.mark.parametrize("kind", list(IMAGES))
TRAINING = {"optimizer": sgd(0.05), "epochs": 1, "batch_size": 16, "method": Static()}


def make(kind, seed=971, density=0.5, **options):
    options = {"image": IMAGES[kind], "classes": CLASSES, "density": density, **options}
    options |= {"dtype": np.float64, "rng": np.random.default_rng(seed)}
    if kind == "lenet":
        return models.lenet_5("A", **options)
    return models.resnet18(width=1 / 16, **options)


def examples(kind, n=40, seed=972):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, *IMAGES[kind])), rng.integers(0, CLASSES, n)


def trained(kind, **options):
    net = make(kind, **options)
    fit(net, examples(kind), rng=np.random.default_rng(973), **TRAINING)
    return net


def state(net):
    return [array.copy() for layer in net.layers for array in state_of(layer).values()]


def values(net):
    return [p.value for p in net.parameters()]


@both
@pytest.mark.parametrize("scope", ["global", "local"])
@pytest.mark.parametrize("by", ["magnitude", "random"])
def test_sensitivity_is_the_accuracy_of_what_is_left(kind, scope, by):
    net, data = trained(kind, dense=(0,)), examples(kind)
    before, kept = [v.copy() for v in values(net)], state(net)
    how = {"by": by, "scope": scope}
    comp = sensitivity(net, data, [0, 0.5, 1], rng=np.random.default_rng(974), **how)
    half = thinned(net, 0.5, rng=np.random.default_rng(974), **how)
    assert comp[0] == evaluate(net, data).accuracy
    assert comp[1] == evaluate(half, data).accuracy
    lost = [a - b for a, b in zip(net.connections, half.connections, strict=True)]
    assert lost[0] == 0  # the dense one
    assert sum(lost) == pytest.approx(sum(net.connections[1:]) / 2, abs=len(lost))
    # The running numbers of training are the network's, before and after.
    assert all(map(np.array_equal, kept, state(half)))
    assert all(map(np.array_equal, kept, state(net)))
    assert all(map(np.array_equal, before, values(net)))


@both
@pytest.mark.parametrize("dense", [(), (0,)])
def test_reinitialised_is_the_network_as_the_model_draws_it(kind, dense):
    net = trained(kind, dense=dense)
    kept = state(net)
    comp = reinitialised(net, np.random.default_rng(975), "torch")
    for old, new in zip(net.weighted, comp.weighted, strict=True):
        assert type(old) is type(new)
        bound = 1 / np.sqrt(old.weight.shape[1])  # a kernel's fan, not the image's
        assert 0.5 * bound < np.abs(values_of(new.weight)).max() <= bound
        if isinstance(new, Conv2d | Linear):
            assert np.array_equal(csr.flat(old.weight), csr.flat(new.weight))
            assert not np.any(old.weight.data == new.weight.data)
        else:
            assert isinstance(new, DenseConv2d)
        if not getattr(new, "has_bias", True):
            assert not new.bias.any()  # none, so none is drawn
    for layer in comp.layers:
        if isinstance(layer, BatchNorm):
            assert set(layer.running_mean) == {0}
            assert set(layer.running_var) == {1}
            assert set(layer.gamma) == {1}
    assert all(map(np.array_equal, kept, state(net)))
    fit(comp, examples(kind), rng=np.random.default_rng(976), **TRAINING)
    assert all(map(np.array_equal, kept, state(net)))  # nothing is shared


@both
@pytest.mark.parametrize("counts", ["same_per_layer", "uniform"])
def test_a_random_structure_has_the_kernels_connections(kind, counts):
    net = make(kind)
    found = random_structure(net.topology, np.random.default_rng(977), counts)
    assert sum(w.nnz for w in found) == sum(net.connections)
    for layer, pattern in zip(net.weighted, found, strict=True):
        assert pattern.shape == layer.weight.shape
        assert counts == "uniform" or pattern.nnz == layer.weight.nnz
    other = copy.deepcopy(net)
    for layer, pattern in zip(other.weighted, found, strict=True):
        layer.adopt(csr.freeze(pattern.astype(np.float64)))
    fresh = reinitialised(other, np.random.default_rng(978))
    assert fresh.predict(examples(kind)[0]).shape == (40, CLASSES)


@both
def test_members_of_an_ensemble_may_be_convolutional(kind):
    (x, y), nets = examples(kind), [trained(kind, seed=k) for k in (979, 980)]
    outputs = [net.predict(x) for net in nets]
    alike = agreement(outputs)
    assert alike[0, 0] == len(y)
    assert alike[0, 1] == np.sum(outputs[0].argmax(1) == outputs[1].argmax(1))
    right = np.mean(ensemble(outputs).argmax(1) == y)
    assert ensemble_accuracy(outputs, y) == right


def test_kernels_have_trajectories():
    net = trained("lenet", density=None, dense=())
    before = net.weighted[0].weight.copy()
    drops = [np.arange(0, n, 3) for n in net.connections]
    net.prune(drops)
    fit(net, examples("lenet"), rng=np.random.default_rng(981), **TRAINING)
    ends = [before, net.weighted[0].weight]
    evolution = weight_evolution(ends)
    assert evolution.values.shape == (2, before.size)
    assert np.array_equal(np.flatnonzero(np.isnan(evolution.values[1])), drops[0])
    kept = np.delete(np.arange(before.size), drops[0])
    change = np.abs(net.weighted[0].weight.data - before.reshape(-1)[kept]).mean()
    assert stability(ends) == pytest.approx(change)
    assert 0 < ordinality(ends)[0] <= 1
