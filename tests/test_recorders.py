"""What the recorders say of a training is what its events say."""

import itertools

import naive
import numpy as np
import pytest

from sparse_ref import Dense, Linear, Network, ReLU, csr, fit, optim
from sparse_ref.methods import DSR, ITOP, SET, RigL, Static
from sparse_ref.recorders import Degrees, Exploration, Topologies
from sparse_ref.topology import load_topologies

METHODS = [
    Static(),
    SET(every=2),
    RigL(every=2),
    DSR(every=2, target=8, initial_threshold=0.1),
    ITOP(every=2, convention="itop"),
]


def beginning():
    rng = np.random.default_rng(37)
    dense = [rng.standard_normal(s) * (rng.random(s) < 0.2) for s in ((9, 12), (3, 9))]
    first, second = (Linear(csr.from_dense(w)) for w in dense)
    return Network([first, ReLU(), second])


def trained(method, callbacks, net, epochs=6):
    rng = np.random.default_rng(43)
    return fit(
        net,
        (rng.standard_normal((60, 12)), rng.integers(0, 3, 60)),
        method=method,
        optimizer=optim.sgd(0.05, 0.9),
        epochs=epochs,
        batch_size=10,
        rng=np.random.default_rng(41),
        callbacks=callbacks,
    )


def patterns(net):
    return [csr.pattern(layer.weight) for layer in net.sparse_layers]


class Watch:
    """Every pattern, from the network itself."""

    def __init__(self, net):
        self.seen = [patterns(net)]

    def __call__(self, net, epoch, history):
        self.seen.append(patterns(net))


def by_name(method):
    return type(method).__name__


def union_by_hand(net, history):
    """Every position that any pattern held, from the records alone."""
    seen = [set(csr.flat(layer.weight).tolist()) for layer in net.sparse_layers]
    for event in history.events:
        seen[event.layer] |= set(event.grown.tolist())
    return seen


# ---------------------------------------------------------------- topologies


@pytest.mark.parametrize("every", [1, 2, 4])
@pytest.mark.parametrize("method", METHODS, ids=by_name)
def test_topologies_are_those_of_the_network(method, every, tmp_path):
    net = beginning()
    topologies, watch = Topologies(net, every=every), Watch(net)
    trained(method, [topologies, watch], net)
    assert list(topologies.topologies) == list(range(0, 7, every))
    topologies.save(tmp_path / "t.npz")
    loaded = load_topologies(tmp_path / "t.npz")
    assert list(loaded) == list(topologies.topologies)
    for epoch, layers in loaded.items():
        for layer, kept, ref in zip(
            layers, topologies.topologies[epoch], watch.seen[epoch], strict=True
        ):
            np.testing.assert_array_equal(csr.pattern(layer), ref)
            np.testing.assert_array_equal(csr.pattern(kept), ref)


def test_a_static_training_is_kept_once():
    net = beginning()
    topologies = Topologies(net)
    ref = sum(layer.weight.nnz for layer in net.sparse_layers)
    assert topologies.nbytes == ref  # gaps below 256: a byte each
    trained(Static(), [topologies], net)
    assert (len(topologies.topologies), topologies.nbytes) == (7, ref)


def test_a_dynamic_training_is_kept_a_byte_a_connection_of_what_changes():
    net = beginning()
    topologies, watch = Topologies(net), Watch(net)
    trained(SET(every=2), [topologies, watch], net)
    ref = sum(
        after.sum()
        for before, now in itertools.pairwise([[None, None], *watch.seen])
        for was, after in zip(before, now, strict=True)
        if not np.array_equal(was, after)
    )
    assert topologies.nbytes == ref > 6 * net.sparse_layers[0].weight.nnz


def test_a_second_training_goes_on_counting():
    net = beginning()
    topologies, degrees = Topologies(net, every=4), Degrees(net, every=4)
    for _ in range(2):
        trained(SET(every=2), [topologies, degrees], net)
    assert list(topologies.topologies) == degrees.epochs == [0, 4, 8, 12]
    last = topologies.topologies[12]
    for layer, ref in zip(last, patterns(net), strict=True):
        np.testing.assert_array_equal(csr.pattern(layer), ref)


def test_what_is_recorded_does_not_change_with_the_network():
    net = beginning()
    topologies, degrees, before = Topologies(net), Degrees(net), patterns(net)
    trained(SET(every=2), [], net)
    for layer, ref in zip(topologies.topologies[0], before, strict=True):
        np.testing.assert_array_equal(csr.pattern(layer), ref)
    assert degrees.in_degrees[0][0].tolist() == before[0].sum(axis=1).tolist()


# ---------------------------------------------------------------- degrees


@pytest.mark.parametrize("method", METHODS, ids=by_name)
def test_degrees_are_those_of_the_network(method):
    net = beginning()
    degrees, watch = Degrees(net, every=2), Watch(net)
    trained(method, [degrees, watch], net)
    assert degrees.epochs == [0, 2, 4, 6]
    for k, shape in enumerate([(9, 12), (3, 9)]):
        entering, leaving = degrees.in_degrees[k], degrees.out_degrees[k]
        assert (entering.shape, leaving.shape) == ((4, shape[0]), (4, shape[1]))
        for row, epoch in enumerate(degrees.epochs):
            ref = naive.degrees(watch.seen[epoch][k])
            assert (entering[row].tolist(), leaving[row].tolist()) == ref
        np.testing.assert_array_equal(entering.sum(axis=1), leaving.sum(axis=1))


def test_correlation_of_two_epochs():
    net = beginning()
    degrees = Degrees(net, every=3)
    trained(SET(every=2), [degrees], net)
    for of, records in (("in", degrees.in_degrees), ("out", degrees.out_degrees)):
        for kind in ("pearson", "spearman"):
            found = degrees.correlation(3, 6, kind=kind, of=of)
            for k in range(2):
                pair = [row.tolist() for row in records[k][1:]]
                pair = pair if kind == "pearson" else map(naive.mean_ranks, pair)
                ref = naive.pearson(*pair)
                assert found[k] == pytest.approx(ref, abs=1e-14, nan_ok=True)
    assert degrees.correlation(6, 6) == pytest.approx((1, 1))


def test_what_was_not_recorded_has_no_correlation():
    degrees = Degrees(beginning(), every=3)
    with pytest.raises(ValueError, match=r"^Degrees: epochs must be recorded ones, \[0\], got 3$"):
        degrees.correlation(0, 3)
    with pytest.raises(ValueError, match=r"^Degrees: of must be 'in' or 'out', got 'both'$"):
        degrees.correlation(0, 0, of="both")


# ---------------------------------------------------------------- exploration


@pytest.mark.parametrize("method", METHODS, ids=by_name)
def test_the_rate_of_any_method_is_followed_epoch_by_epoch(method):
    net = beginning()
    before, exploration = net.density, Exploration(net)
    history = trained(method, [exploration], net)
    seen = union_by_hand(beginning(), history)
    assert [set(v.tolist()) for v in exploration.visited] == seen
    assert [record.epoch for record in exploration.epochs] == [1, 2, 3, 4, 5, 6]
    rates = [record.rate for record in exploration.epochs]
    assert all(a <= b for a, b in itertools.pairwise([before, *rates, 1]))
    assert rates[-1] == sum(map(len, seen)) / (9 * 12 + 3 * 9)
    assert exploration.epochs[-1].layers == (len(seen[0]) / 108, len(seen[1]) / 27)
    if isinstance(method, Static):
        assert set(rates) == {before}
    else:
        assert rates[0] < rates[-1]


def test_a_second_training_goes_on_exploring():
    net = beginning()
    exploration, both = Exploration(net), []
    for number in (6, 12):
        history = trained(SET(every=2), [exploration], net)
        both += history.events
        assert len(exploration.epochs) == number
        history.events = both
        seen = union_by_hand(beginning(), history)
        assert [set(v.tolist()) for v in exploration.visited] == seen
    assert [record.epoch for record in exploration.epochs] == [1, 2, 3, 4, 5, 6] * 2


# ---------------------------------------------------------------- all


def test_dense_layers_are_not_followed():
    net = beginning()
    first, relu, second = net.layers
    mixed = Network([first, relu, Dense(csr.to_dense(second.weight))])
    recorders = Topologies(mixed), Degrees(mixed), Exploration(mixed)
    trained(SET(every=2), recorders, mixed)
    topologies, degrees, exploration = recorders
    assert [len(layers) for layers in topologies.topologies.values()] == [1] * 7
    assert len(degrees.in_degrees) == len(degrees.out_degrees) == 1
    assert len(exploration.epochs[-1].layers) == 1
    assert exploration.epochs[-1].rate == exploration.epochs[-1].layers[0]


def test_recorders_do_not_disturb_a_training():
    plain, watched = beginning(), beginning()
    trained(SET(every=2), [], plain)
    trained(SET(every=2), [Topologies(watched), Degrees(watched), Exploration(watched)], watched)
    for one, other in zip(plain.sparse_layers, watched.sparse_layers, strict=True):
        assert one.weight.data.tobytes() == other.weight.data.tobytes()


@pytest.mark.parametrize("recorder", [Topologies, Degrees])
@pytest.mark.parametrize("every", [0, -2, 1.5])
def test_a_wrong_number_of_epochs_is_refused(recorder, every):
    words = rf"^{recorder.__name__}: every must be a positive whole number, got {every}$"
    with pytest.raises(ValueError, match=words):
        recorder(beginning(), every=every)
