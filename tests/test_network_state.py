"""Running statistics of batch norm are no parameters, and go with the network all the same."""

import copy

import numpy as np
import pytest

from sparse_ref import analysis, evaluate, fit, lottery, methods, optim
from sparse_ref.experiments.snapshot import put, taken
from sparse_ref.layers import BatchNorm, Conv2d, DenseConv2d
from sparse_ref.layers.base import state_of
from sparse_ref.models import resnet18


def make(density=0.3, seed=2501, **options):
    rng = np.random.default_rng(seed)
    return resnet18(density=density, width=1 / 16, image=(3, 8, 8), rng=rng, **options)


def examples(n=40, seed=2502):
    rng = np.random.default_rng(seed)
    return rng.random((n, 3, 8, 8)), rng.integers(0, 10, n)


def states(net):
    return [array.copy() for layer in net.layers for array in state_of(layer).values()]


def train(net, epochs=2, **options):
    method, optimizer = options.pop("method", methods.Static()), optim.sgd(0.05)
    rng, data = np.random.default_rng(2503), examples()
    options = {"epochs": epochs, "batch_size": 12, "rng": rng} | options
    return fit(net, data, method=method, optimizer=optimizer, **options)


def same(some, others):
    return all(np.array_equal(a, b) for a, b in zip(some, others, strict=True))


def test_they_move_in_training_and_stay_in_evaluation():
    net = make()
    first = states(net)
    evaluate(net, examples())
    net.predict(examples()[0])
    net.gradients(net.packed(net.examples(examples()[0], "test")), examples()[1])
    assert same(states(net), first)
    train(net)
    assert not any(np.array_equal(a, b) for a, b in zip(states(net), first, strict=True))


def test_they_are_not_trained_parameters():
    names = {parameter.name for parameter in make().parameters()}
    assert names == {"weight", "bias", "gamma", "beta"}


def test_their_bytes_are_the_networks():
    net = make()
    weights = sum(layer.nbytes for layer in net.weighted)
    norms = sum(layer.nbytes for layer in net.layers if isinstance(layer, BatchNorm))
    assert net.nbytes == weights + norms


def test_padding_does_not_count():
    # 17 examples leave 15 of the second tile empty.
    net, (x, y) = make(), examples(17)
    twin = copy.deepcopy(net)
    packed = net.packed(net.examples(x, "test"))
    twin_packed = packed.copy()
    twin_packed[1, :, 1:] = 100.0
    loss, _ = net.gradients(packed, y, np.random.default_rng(7).spawn(len(net.layers)))
    loss_twin, _ = twin.gradients(twin_packed, y, np.random.default_rng(7).spawn(len(net.layers)))
    assert loss == loss_twin
    assert same(states(net), states(twin))


def test_a_snapshot_holds_them():
    net = make()
    train(net)
    snapshot, found = taken(net), net.predict(examples()[0])
    other = make(seed=2504, density=0.3)
    other = resnet18(structure=net, width=1 / 16, image=(3, 8, 8), rng=np.random.default_rng(2505))
    put(other, snapshot)
    assert same(states(other), states(net))
    np.testing.assert_array_equal(other.predict(examples()[0]), found)
    train(net)
    assert not same(states(net), snapshot.others[-len(states(net)) :])  # copies


@pytest.mark.parametrize(("treatment", "rewound"), [("rewind", True), ("finetune", False)])
def test_iterative_pruning_rewinds_them(treatment, rewound):
    net = make(density=None)
    seen = []

    class Watch(methods.Static):
        def init(self, net, rng):
            seen.append(states(net))
            return super().init(net, rng)

    chain = lottery.iterative_pruning(
        net,
        examples(),
        levels=2,
        pruner=pruner,
        treatment=treatment,
        optimizer=optim.sgd(0.05),
        epochs=1,
        batch_size=12,
        rng=np.random.default_rng(2506),
        method=Watch(),
    )
    levels = list(chain)
    assert [level.number for level in levels] == [0, 1, 2]
    assert same(seen[1], seen[0]) == rewound
    assert same(seen[2], seen[0]) == rewound
    assert any(isinstance(layer, Conv2d) for layer in levels[1].network.layers)
    assert all(isinstance(layer, DenseConv2d) for layer in net.weighted[:-1])
    ends = [states(level.network) for level in levels]
    assert not same(ends[0], ends[1])  # levels share none


def pruner(weights, rng):
    """The smaller half of every layer."""
    drops = []
    for weight in weights:
        values = np.abs(weight.data if hasattr(weight, "indptr") else weight.reshape(-1))
        drops.append(np.sort(np.argsort(values, kind="stable")[: len(values) // 2]))
    return drops


def test_new_parameters_come_with_new_statistics():
    net = make()
    train(net)
    new = analysis.reinitialised(net, np.random.default_rng(2507))
    assert repr(new) == repr(net)
    assert new.connections == net.connections
    assert same(states(new), states(make()))
    before = states(net)
    train(new)
    assert same(states(net), before)
