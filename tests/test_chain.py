"""Chains of prunings as jobs of a sweep."""

import re

import numpy as np
import pytest

from sparse_ref.experiments.chain import Chain, network, run_chain
from sparse_ref.experiments.config import parse
from sparse_ref.experiments.runner import Data, beginning
from sparse_ref.experiments.sweep import Job, sweep, train
from sparse_ref.lottery import Treatment, iterative_pruning
from sparse_ref.methods import Static
from sparse_ref.pruning import ByLayer, Magnitude, Random
from sparse_ref.train import evaluate

SETTINGS = {
    "model": {"sizes": [12, 9, 4], "density": None},
    "optimizer": {"learning_rate": 0.1},
    "method": {"name": "static"},
    "epochs": 2,
    "batch_size": 16,
}


def data(seed=671, validation=True):
    rng = np.random.default_rng(seed)
    x, y = rng.random((80, 12)).astype(np.float32), rng.integers(0, 4, 80)
    parts = [(x[k : k + n], y[k : k + n]) for k, n in ((0, 40), (40, 20), (60, 20))]
    return Data(parts[0], parts[1] if validation else None, parts[2])


def job(seed=5, levels=3, pruner=None, settings=None, keep=(0, 1, 2, 3), **options):
    chain = Chain(levels, pruner or Magnitude(0.2), **options)
    return Job("chain", parse(SETTINGS | {"seed": seed} | (settings or {})), keep=keep, chain=chain)


def same_weights(one, other):
    for a, b in zip(one, other, strict=True):
        assert type(a) is type(b)
        pairs = (
            [(a, b)] if isinstance(a, np.ndarray) else [(a.data, b.data), (a.indices, b.indices)]
        )
        for x, y in pairs:
            np.testing.assert_array_equal(x, y)


def test_levels_are_those_of_the_driver():
    net, rng = beginning(job().config)
    levels = iterative_pruning(
        net,
        data().train,
        levels=3,
        pruner=Magnitude(0.2),
        optimizer=job().config.optimizer.build(3, 6),
        method=Static(),
        epochs=2,
        batch_size=16,
        rng=rng,
    )
    for level, link in zip(levels, train(job(), data()).levels, strict=True):
        assert link.number == level.number
        assert link.connections == level.network.connections
        assert link.test == evaluate(level.network, data().test)
        same_weights(link.weights, [layer.weight for layer in level.network.weighted])
        assert [e.loss for e in link.epochs] == [e.loss for e in level.history.epochs]


def test_an_outcome_holds_every_level():
    outcome = train(job(), data())
    assert [link.connections for link in outcome.levels] == [
        (108, 36),
        (86, 29),
        (69, 23),
        (55, 18),
    ]
    assert outcome.test == outcome.levels[-1].test
    assert outcome.connections == ((108, 36), (55, 18))
    assert outcome.positions == (108, 36)
    assert [epoch.epoch for epoch in outcome.epochs] == [*range(1, 9)]
    assert outcome.densities.shape == (9, 2)
    assert outcome.nbytes == outcome.levels[-1].nbytes
    assert outcome.job.epochs == 8
    assert outcome.label == "dense"


def test_only_levels_that_are_named_are_kept():
    outcome = train(job(keep=(2,)), data())
    assert [link.snapshot is None for link in outcome.levels] == [True, True, False, True]
    for act in (
        lambda: outcome.levels[0].weights,
        lambda: network(job().config, outcome.levels[0]),
    ):
        with pytest.raises(ValueError, match=r": level 0 must be kept"):
            act()


@pytest.mark.parametrize("pruner", [Magnitude(0.3), ByLayer([None, Magnitude(0.3)])])
def test_a_level_can_be_made_a_network_again(pruner):
    outcome = train(job(pruner=pruner), data())
    for link in outcome.levels:
        again = network(outcome.config, link)
        assert evaluate(again, data().test).accuracy == link.test.accuracy
        same_weights(link.weights, [layer.weight for layer in again.weighted])
    assert outcome.levels[0].dense == (0, 1)
    assert outcome.levels[1].dense == ((0,) if isinstance(pruner, ByLayer) else ())


def test_outcomes_do_not_depend_on_the_number_of_workers():
    jobs = [
        job(),
        job(6, pruner=Random(0.3), treatment=Treatment("sigma_sign")),
        job(7, rewind_step=2, treatment="finetune"),
    ]
    here, elsewhere = (dict(sweep(jobs, {"data": data()}, workers)) for workers in (0, 2))
    for k in range(3):
        for one, other in zip(here[k].levels, elsewhere[k].levels, strict=True):
            assert one.test == other.test
            same_weights(one.weights, other.weights)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of NumPy's products of dense layers
def test_a_chain_that_diverges_is_a_failed_cell():
    settings = {"optimizer": {"learning_rate": 1e30, "schedule": "constant"}}
    outcome = train(job(settings=settings), data())
    assert outcome.failure.startswith("diverged: fit: the ")
    assert np.isnan(outcome.test.accuracy)
    assert outcome.levels == ()


def test_levels_before_a_failure_are_kept():
    calls = []

    def pruner(weights, rng):
        calls.append(rng)
        if len(calls) > 2:
            raise FloatingPointError("enough")
        return Magnitude(0.2)(weights)

    outcome = train(job(pruner=pruner), data())
    assert outcome.failure == "diverged: enough"
    assert [link.number for link in outcome.levels] == [0, 1, 2]
    assert np.isnan(outcome.test.accuracy)


def test_validation_is_looked_at_after_every_epoch():
    (first, *_) = run_chain(job().config, data(), job().chain)
    assert 0 <= first.epochs[0].validation_accuracy <= 1
    (first, *_) = run_chain(job().config, data(validation=False), job().chain)
    assert np.isnan(first.epochs[0].validation_accuracy)


def test_a_chain_has_no_curve():
    with pytest.raises(ValueError, match="^" + re.escape("sweep: a chain has no curve, got curve")):
        train(Job("x", job().config, curve=True, chain=job().chain), data())
