"""Sweeps: outcomes that no number of workers changes, failures that stay in their cell."""

import multiprocessing
import re
import time

import numpy as np
import pytest

from sparse_ref import csr
from sparse_ref.experiments.config import parse
from sparse_ref.experiments.runner import Data, beginning, run
from sparse_ref.experiments.snapshot import put, taken
from sparse_ref.experiments.sweep import Job, Outcome, cores, sweep, train

SETTINGS = {
    "model": {"sizes": [12, 9, 4], "density": 0.4},
    "optimizer": {"learning_rate": 0.1},
    "method": {"name": "set", "until": 1.0},
    "epochs": 3,
    "batch_size": 16,
}


def data(seed=91, validation=True):
    rng = np.random.default_rng(seed)
    x, y = rng.random((80, 12)).astype(np.float32), rng.integers(0, 4, 80)
    parts = [(x[k : k + n], y[k : k + n]) for k, n in ((0, 40), (40, 20), (60, 20))]
    return Data(parts[0], parts[1] if validation else None, parts[2])


def job(seed=5, name="SET", **options):
    settings = options.pop("settings", {})
    return Job(name, parse(SETTINGS | {"seed": seed} | settings), **options)


DIVERGING = {"optimizer": {"learning_rate": 1e30, "schedule": "constant"}}


def outcomes(jobs, parts, workers):
    """By number, all numbers once."""
    found = dict(sweep(jobs, parts, workers))
    assert sorted(found) == list(range(len(jobs)))
    return [found[k] for k in range(len(jobs))]


def comparable(outcome):
    """An outcome without its seconds."""
    epochs = [epoch._replace(seconds=0.0) for epoch in outcome.epochs]
    curve = {name: values.tolist() for name, values in outcome.curve.items()}
    patterns = [
        csr.flat(weight).tolist() for kept in outcome.snapshots.values() for weight in kept.weights
    ]
    rest = outcome.job, outcome.connections, outcome.positions, outcome.nbytes
    return repr((epochs, curve, patterns, outcome.test, outcome.failure, rest))


def test_outcomes_do_not_depend_on_the_number_of_workers():
    jobs = [job(seed, curve=True, keep=(3,)) for seed in (5, 6)]
    jobs += [
        job(7, "dense", settings={"model": SETTINGS["model"] | {"density": None}}),
        job(8, "diverging", settings=DIVERGING),
        job(9, data="other"),
    ]
    parts = {"data": data(), "other": data(92, validation=False)}
    here, one, two = (outcomes(jobs, parts, workers) for workers in (0, 1, 2))
    assert [comparable(o) for o in here] == [comparable(o) for o in one]
    assert [comparable(o) for o in here] == [comparable(o) for o in two]


def test_an_outcome_is_what_a_run_gives():
    ref = run(job().config, data())
    comp = train(job(), data())
    assert (comp.test, comp.connections, comp.nbytes) == (ref.test, ref.connections, ref.nbytes)
    assert [e.loss for e in comp.epochs] == [e.loss for e in ref.history.epochs]
    assert (comp.curve, comp.snapshots, comp.failure) == ({}, {}, "")


def test_watching_a_curve_changes_no_training():
    ref, comp = train(job(), data()), train(job(curve=True), data())
    assert [e.loss for e in comp.epochs] == [e.loss for e in ref.epochs]
    assert set(comp.curve) == {"validation", "test"}
    assert comp.curve["test"][-1] == comp.test.accuracy


def test_a_curve_without_validation_examples_has_tests_only():
    assert set(train(job(curve=True), data(validation=False)).curve) == {"test"}


def test_a_snapshot_is_the_network_as_an_epoch_leaves_it():
    outcome = train(job(keep=(1, 3)), data())
    assert set(outcome.snapshots) == {1, 3}
    for epoch, snapshot in outcome.snapshots.items():
        counts = [weight.nnz for weight in snapshot.weights]
        assert counts == list(outcome.epochs[epoch - 1].connections)
    first, last = (outcome.snapshots[k].weights[0] for k in (1, 3))
    assert not np.array_equal(csr.flat(first), csr.flat(last))  # SET rewired, the copy stayed


def test_a_training_may_start_where_another_ended():
    whole = train(job(keep=(3,)), data()).snapshots[3]
    net, _ = beginning(job(8).config, whole)
    for layer, weight in zip(net.sparse_layers, whole.weights, strict=True):
        np.testing.assert_array_equal(csr.flat(layer.weight), csr.flat(weight))
        np.testing.assert_array_equal(layer.weight.data, weight.data)
        assert layer.weight.data is not weight.data
    np.testing.assert_array_equal(net.layers[0].bias, whole.others[0])
    static = {"method": {"name": "static"}}
    outcome = train(job(8, settings=static, start=whole, keep=(3,)), data())
    for before, after in zip(whole.weights, outcome.snapshots[3].weights, strict=True):
        np.testing.assert_array_equal(csr.flat(before), csr.flat(after))


def test_a_structure_alone_draws_its_values_anew():
    whole = train(job(keep=(3,)), data()).snapshots[3]
    net, _ = beginning(job(8).config, whole.structure)
    again, _ = beginning(job(8).config, whole.structure)
    other, _ = beginning(job(9).config, whole.structure)
    for k, weight in enumerate(whole.weights):
        np.testing.assert_array_equal(csr.flat(net.sparse_layers[k].weight), csr.flat(weight))
        values = [n.sparse_layers[k].weight.data for n in (net, again, other)]
        np.testing.assert_array_equal(values[0], values[1])
        assert not np.any(values[0] == values[2])
        assert not np.any(values[0] == weight.data)


def test_a_snapshot_of_another_network_is_refused_and_nothing_written():
    net, _ = beginning(job().config)
    before = net.sparse_layers[0].weight.data.copy()
    other, _ = beginning(job(6).config)
    with pytest.raises(ValueError, match=r"^put: the network must have the snapshot's connection"):
        put(net, taken(other))
    whole = taken(net)
    with pytest.raises(ValueError, match=r"^put: parameters must have the shapes \[\(9,\)\], got"):
        put(net, whole._replace(others=whole.others[:1]))
    np.testing.assert_array_equal(net.sparse_layers[0].weight.data, before)


def test_densities_of_every_layer_over_time():
    densities = train(job(), data()).densities
    assert densities.shape == (4, 2)
    np.testing.assert_array_equal(densities[0], densities[-1])  # SET keeps every layer's count


def test_a_training_that_diverges_is_a_failed_cell():
    outcome = train(job(settings=DIVERGING), data())
    assert outcome.failure.startswith("diverged: fit: the ")
    assert np.isnan(outcome.test.accuracy)
    assert len(outcome.epochs) < 3


def test_any_other_error_ends_the_sweep():
    wrong = data()._replace(test=(np.zeros((2, 3)), np.zeros(2, int)))
    with pytest.raises(ValueError, match="evaluate: data: x must have shape"):
        list(sweep([job()], {"data": wrong}, 0))


def gone(before):
    """Whether no process is left but those of `before`, soon."""
    deadline = time.monotonic() + 20
    while set(multiprocessing.active_children()) - before and time.monotonic() < deadline:
        time.sleep(0.01)
    return set(multiprocessing.active_children()) <= before


def test_workers_are_ended_with_the_sweep():
    before = set(multiprocessing.active_children())
    wrong = data()._replace(test=(np.zeros((2, 3)), np.zeros(2, int)))
    with pytest.raises(ValueError, match="evaluate: data: x must have shape"):
        list(sweep([job(), job(6)], {"data": wrong}, 1))
    assert gone(before)


def test_a_sweep_that_is_left_ends_its_workers():
    before = set(multiprocessing.active_children())
    running = sweep([job(seed) for seed in (5, 6, 7)], {"data": data()}, 1)
    next(running)
    running.close()
    assert gone(before)


def test_a_worker_that_is_killed_is_missed():
    before = set(multiprocessing.active_children())
    running = sweep([job(), job(6, settings={"epochs": 10**6})], {"data": data()}, 1)
    assert next(running)[0] == 0
    for process in set(multiprocessing.active_children()) - before:
        process.kill()
    with pytest.raises(OSError, match="sweep: a worker process was ended, perhaps for lack of"):
        next(running)


def test_no_jobs_no_outcomes():
    assert list(sweep([], {}, 2)) == []


def test_data_that_are_not_there_are_named():
    rule = "sweep: data must be among ['other'], got 'data'"
    with pytest.raises(ValueError, match=re.escape(rule)):
        sweep([job()], {"other": data()}, 0)


def test_workers_must_not_be_negative():
    with pytest.raises(ValueError, match="sweep: workers must be at least 0, got -1"):
        sweep([], {}, -1)


def test_there_is_a_core():
    assert cores() >= 1


def test_an_outcome_knows_its_method():
    assert Outcome(job()).label == "set"
    assert Outcome(job(settings={"model": {"density": "dense"}})).label == "dense"
