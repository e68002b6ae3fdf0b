"""Looking at a network before it is rewired, without changing what happens."""

import numpy as np
import pytest

from sparse_ref import csr, evaluate, first_difference, fit, methods, optim
from sparse_ref.experiments.watch import Curve, watched
from sparse_ref.models import mlp


def trained(method, epochs=4, callbacks=()):
    """A small network trained in 3 steps an epoch; its history."""
    rng = np.random.default_rng(81)
    x, y = rng.random((24, 6)), rng.integers(0, 3, 24)
    net = mlp([6, 8, 3], density=0.5, rng=rng, dtype=np.float64)
    options = {"method": method, "optimizer": optim.sgd(0.1, momentum=0.9)}
    rng = np.random.default_rng(82)
    history = fit(net, (x, y), **options, epochs=epochs, batch_size=8, rng=rng, callbacks=callbacks)
    return net, (x, y), history


METHODS = [methods.SET(), methods.SET(every=2), methods.RigL(every=3, stop=9), methods.Static()]


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_a_watched_training_is_the_same(method):
    _, _, ref = trained(method)
    _, _, comp = trained(watched(method, lambda net, step: None))
    assert first_difference(ref, comp) is None


def test_the_look_comes_before_the_change():
    seen = []

    def look(net, step):
        seen.append((step, [csr.flat(layer.weight) for layer in net.sparse_layers]))

    _, _, history = trained(watched(methods.SET(), look))
    assert [step for step, _ in seen] == [3, 6, 9]
    for event in history.events:
        before = dict(seen)[event.step][event.layer]
        assert set(event.dropped) <= set(before)
        after = set(before) - set(event.dropped) | set(event.grown)
        assert len(after) == event.connections


def test_the_original_is_left_alone():
    method = methods.SET(drop_fraction=0.25)
    copy = watched(method, lambda net, step: None)
    assert type(method) is methods.SET
    assert (copy.drop_fraction, copy.replaces_update) == (0.25, False)


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_a_curve_has_one_point_an_epoch(method):
    curve = Curve({"train": trained(methods.Static(), 1)[1]}, steps_per_epoch=3)
    net, data, _ = trained(watched(method, curve.before_event), callbacks=[curve.after_epoch])
    accuracies = curve.accuracies()["train"]
    assert accuracies.shape == (4,)
    assert accuracies[-1] == evaluate(net, data).accuracy  # nothing rewires after the last step


def test_a_curve_shows_the_network_before_the_event():
    # Everything is dropped and starts at 0 again, so after an event outputs are the biases alone.
    method = methods.SET(drop_fraction=1.0, grow_std=0.0)
    data = trained(methods.Static(), 1)[1]
    curve, after = Curve({"train": data}, steps_per_epoch=3), []

    def evaluated(net, epoch, history):
        after.append(evaluate(net, data).accuracy)

    trained(watched(method, curve.before_event), 6, [curve.after_epoch, evaluated])
    before = curve.accuracies()["train"]
    assert before[-1] == after[-1]
    assert (before[:-1] != after[:-1]).any()


def test_a_curve_of_two_parts():
    parts = {"a": trained(methods.Static(), 1)[1]}
    parts["b"] = tuple(array[:5] for array in parts["a"])
    curve = Curve(parts, steps_per_epoch=3)
    net, _, _ = trained(methods.Static(), 2, [curve.after_epoch])
    comp = {name: values[-1] for name, values in curve.accuracies().items()}
    assert comp == {name: evaluate(net, part).accuracy for name, part in parts.items()}


def test_a_curve_without_an_epoch_is_empty():
    curve = Curve({"a": None, "b": None}, steps_per_epoch=3)
    assert {name: values.tolist() for name, values in curve.accuracies().items()} == {
        "a": [],
        "b": [],
    }
