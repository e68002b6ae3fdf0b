"""The training loop: what it does to a network, what it records, what it refuses."""

import itertools

import naive
import numpy as np
import pytest

from sparse_ref import (
    Dropout,
    Linear,
    Network,
    ReLU,
    csr,
    evaluate,
    fit,
    models,
    optim,
    schedules,
    tiles,
    train,
)
from sparse_ref.methods import SET, SNFS, DeepR, RigL, Static, base


def problem(seed, n=30, dtype=np.float64, density=0.4, dropout=0.0, sizes=(6, 8, 5, 3)):
    """A network, examples and labels, and the generator that goes on."""
    rng = np.random.default_rng(seed)
    net = models.mlp(sizes, density=density, rng=rng, dtype=dtype, dropout=dropout)
    return net, (rng.random((n, sizes[0])), rng.integers(0, sizes[-1], n)), rng


def fitted(net, data, rng, method=None, optimizer=None, epochs=3, batch_size=10, **options):
    """`fit` with what the test does not care about filled in."""
    return fit(
        net,
        data,
        method=method or Static(),
        optimizer=optimizer or optim.sgd(0.1),
        epochs=epochs,
        batch_size=batch_size,
        rng=rng,
        **options,
    )


def started(net, method, optimizer, seed=83):
    """A training at step 0."""
    noise, rewiring = np.random.default_rng(seed).spawn(2)
    return train.start(net, method, optimizer, noise, rewiring)


def values(net):
    """Copies of all parameters."""
    return [p.value.copy() for p in net.parameters()]


def all_bytes(net):
    """Everything a network holds, as bytes."""
    structure = [(la.weight.indptr.tobytes(), la.weight.indices.tobytes()) for la in net.weighted]
    return structure, [value.tobytes() for value in values(net)]


# ---------------------------------------------------------------- sparse is masked dense


def masked(net, batches, rate, momentum, weight_decay):
    """The masked dense run from where `net` stands."""
    layers = net.sparse_layers
    return naive.masked_training(
        [csr.to_dense(la.weight) for la in layers],
        [csr.pattern(la.weight) for la in layers],
        [la.bias for la in layers],
        batches,
        rate,
        momentum,
        weight_decay,
    )


def assert_equal_runs(net, seed):
    """20 steps of the network and of its masked dense twin agree."""
    rng = np.random.default_rng(seed)
    batches = [(rng.standard_normal((12, 6)), rng.integers(0, 3, 12)) for _ in range(20)]
    weights, biases, losses = masked(net, batches, 0.2, 0.9, 0.01)
    training = started(net, Static(), optim.sgd(0.2, momentum=0.9, weight_decay=0.01))
    for x, y in batches:
        train.step(net, tiles.pack(x), y, training)
    # Sums in another order differ by some 1e-16; 20 steps make that some 1e-14, never 1e-10.
    close = {"rtol": 0, "atol": 1e-10}
    np.testing.assert_allclose([s.loss for s in training.history.steps], losses, **close)
    for layer, weight, bias in zip(net.sparse_layers, weights, biases, strict=True):
        np.testing.assert_allclose(csr.to_dense(layer.weight), weight, **close)
        np.testing.assert_allclose(layer.bias, bias, **close)


@pytest.mark.parametrize("density", [0.15, 0.5, 1.0])
def test_a_sparse_run_is_a_masked_dense_run(density):
    assert_equal_runs(problem(89, density=density)[0], 97)


@pytest.mark.parametrize("method", [RigL(every=1, stop=5), SET(every=1, stop=5)], ids=repr)
def test_a_sparse_run_after_a_rewiring_is_a_masked_dense_run(method):
    net, (x, y), _ = problem(101)
    training = started(net, method, optim.sgd(0.2))
    for _ in range(5):
        train.step(net, tiles.pack(x), y, training)
    assert any(len(event.grown) for event in training.history.events)
    assert_equal_runs(net, 103)


# ---------------------------------------------------------------- an event and an update


def one_step(method, optimizer, seed=107):
    """Network before and after two steps, of which the second is an event for `Every(2)`."""
    net, (x, y), _ = problem(seed)
    training = started(net, method, optimizer)
    train.step(net, tiles.pack(x), y, training)
    before = values(net), [csr.flat(la.weight) for la in net.sparse_layers]
    buffers = [[b.copy() for b in group] for group in training.optimizer_state.buffers]
    train.step(net, tiles.pack(x), y, training)
    return net, training, before, buffers


def survivors(old, new):
    """Slots, in the old and in the new weight, of the positions in both."""
    _, in_old, in_new = np.intersect1d(old, new, return_indices=True)
    return in_old, in_new


OPTIMIZERS = [optim.sgd(0.1, momentum=0.9, weight_decay=0.1), optim.adam(0.1)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=["sgd", "adam"])
def test_rigl_leaves_weights_and_biases_alone_in_the_step_of_an_event(optimizer):
    net, training, (old, old_positions), _ = one_step(RigL(0.5, every=2, stop=9), optimizer)
    assert len(training.history.events) == 3
    for k, layer in enumerate(net.sparse_layers):
        in_old, in_new = survivors(old_positions[k], csr.flat(layer.weight))
        assert 0 < len(in_old) < len(old_positions[k])
        np.testing.assert_array_equal(layer.weight.data[in_new], old[2 * k][in_old])
        np.testing.assert_array_equal(layer.bias, old[2 * k + 1])


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=["sgd", "adam"])
def test_survivors_of_rigl_keep_the_optimizers_buffers_and_grown_start_at_zero(optimizer):
    net, training, (_, old_positions), buffers = one_step(RigL(0.5, every=2, stop=9), optimizer)
    for k, layer in enumerate(net.sparse_layers):
        in_old, in_new = survivors(old_positions[k], csr.flat(layer.weight))
        grown = np.setdiff1d(np.arange(layer.weight.nnz), in_new)
        assert len(grown)
        for old, new in zip(buffers[2 * k], training.optimizer_state.buffers[2 * k], strict=True):
            assert len(new) == layer.weight.nnz
            assert old[in_old].any()
            np.testing.assert_array_equal(new[in_new], old[in_old])
            assert not new[grown].any()


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=["sgd", "adam"])
def test_set_updates_and_then_rewires(optimizer):
    net, training, _, _ = one_step(SET(0.5, every=2, stop=9), optimizer)
    static, ref, _, _ = one_step(Static(), optimizer)
    for k, (layer, twin) in enumerate(zip(net.sparse_layers, static.sparse_layers, strict=True)):
        event = training.history.events[k]
        kept = np.setdiff1d(csr.flat(twin.weight), event.dropped)
        in_ref, in_new = np.isin(csr.flat(twin.weight), kept), np.isin(csr.flat(layer.weight), kept)
        grown = np.isin(csr.flat(layer.weight), event.grown)
        np.testing.assert_array_equal(layer.bias, twin.bias)
        np.testing.assert_array_equal(layer.weight.data[in_new & ~grown], twin.weight.data[in_ref])
        pairs = zip(
            training.optimizer_state.buffers[2 * k], ref.optimizer_state.buffers[2 * k], strict=True
        )
        for new, old in pairs:
            np.testing.assert_array_equal(new[in_new & ~grown], old[in_ref])
            assert not new[grown].any()


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=["sgd", "adam"])
@pytest.mark.parametrize(("method", "made"), [(RigL(every=3, stop=9), 8), (SET(every=3), 10)])
def test_only_updates_are_counted(method, made, optimizer):
    net, (x, y), _ = problem(109)
    training = started(net, method, optimizer)
    for _ in range(10):
        train.step(net, tiles.pack(x), y, training)
    assert training.optimizer_state.made == made


def test_grown_zeros_are_connections_that_live_on():
    net, (x, y), _ = problem(113)
    training = started(net, RigL(0.6, every=1, stop=7), optim.sgd(0.1))
    connections = net.connections
    for _step in range(1, 7):  # events only: no weight is ever updated
        train.step(net, tiles.pack(x), y, training)
        assert net.connections == connections
    zeros = [int(np.sum(layer.weight.data == 0)) for layer in net.sparse_layers]
    assert all(zeros)
    before = [csr.flat(layer.weight) for layer in net.sparse_layers]
    for _ in range(3):  # updates only
        train.step(net, tiles.pack(x), y, training)
    for layer, positions in zip(net.sparse_layers, before, strict=True):
        np.testing.assert_array_equal(csr.flat(layer.weight), positions)


def test_a_dead_unit_keeps_its_zeros():
    # No gradient reaches the first layer: grown weights stay exactly 0 and stay connections.
    first = csr.from_dense(np.diag([1.0, 1.0, 1.0]))
    second = csr.from_dense(np.ones((2, 3)))
    net = Network([Linear(first, np.full(3, -10.0)), ReLU(), Linear(second)])
    x, y = np.random.default_rng(127).random((8, 3)), np.array([0, 1] * 4)
    training = started(net, RigL(1.0, every=2, stop=4), optim.sgd(0.1, 0.9))
    for _ in range(6):
        train.step(net, tiles.pack(x), y, training)
    weight = net.sparse_layers[0].weight
    assert csr.flat(weight).tolist() == [0, 1, 2]
    assert weight.data.tolist() == [1.0, 0.0, 0.0]


# ---------------------------------------------------------------- records


def test_steps_are_numbered_from_one():
    net, data, rng = problem(131, n=10)
    history = fitted(net, data, rng, epochs=2, batch_size=4)
    assert [record.step for record in history.steps] == [1, 2, 3, 4, 5, 6]


def test_the_first_loss_is_that_of_the_network_before_training():
    net, data, rng = problem(137)
    ref = evaluate(net, data).loss
    history = fitted(net, data, rng, epochs=1, batch_size=30)
    assert history.steps[0].loss == pytest.approx(ref, rel=1e-13)  # another order of examples


def test_learning_rates_are_recorded_by_step():
    net, data, rng = problem(139)
    history = fitted(net, data, rng, optimizer=optim.sgd(schedules.Cosine(0.2, 9)))
    ref = [naive.cosine(0.2, 9, step) for step in range(1, 10)]
    comp = [record.learning_rate for record in history.steps]
    np.testing.assert_allclose(comp, ref, rtol=1e-13, atol=1e-16)  # the C library's cosine


def test_a_rewiring_does_not_stop_the_schedule():
    net, data, rng = problem(139)
    method = RigL(every=2, stop=9)
    history = fitted(net, data, rng, method, optim.sgd(lambda step: 1 / step))
    assert [record.learning_rate for record in history.steps] == [1 / s for s in range(1, 10)]


@pytest.mark.parametrize("batch_size", [1, 4, 10, 30, 31, 1000])
def test_every_example_counts_once_an_epoch(batch_size):
    net, data, rng = problem(149)
    ref = evaluate(net, data).loss
    history = fitted(net, data, rng, optimizer=optim.sgd(0.0), epochs=2, batch_size=batch_size)
    # The mean of batch means, weighted by size; other orders of summation.
    assert [e.loss for e in history.epochs] == pytest.approx([ref, ref], rel=1e-12)
    assert len(history.steps) == 2 * -(-30 // batch_size)


def test_every_epoch_has_an_order_of_its_own():
    net, data, rng = problem(163)
    history = fitted(net, data, rng, optimizer=optim.sgd(0.0), epochs=2, batch_size=1)
    losses = [record.loss for record in history.steps]
    assert losses[:30] != losses[30:]
    assert sorted(losses[:30]) == sorted(losses[30:])


def test_epochs_are_recorded():
    net, data, rng = problem(157)
    history = fitted(net, data, rng)
    assert [record.epoch for record in history.epochs] == [1, 2, 3]
    assert {record.connections for record in history.epochs} == {net.connections}
    assert all(record.seconds > 0 for record in history.epochs)


def test_without_validation_its_records_are_no_numbers():
    net, data, rng = problem(163)
    record = fitted(net, data, rng).epochs[0]
    assert np.isnan([record.validation_loss, record.validation_accuracy]).all()


def test_validation_is_evaluated_after_each_epoch():
    net, data, rng = problem(167)
    held_out = problem(173)[1]
    seen = []
    history = fitted(
        net,
        data,
        rng,
        validation=held_out,
        callbacks=[lambda net, epoch, history: seen.append(evaluate(net, held_out))],
    )
    comp = [(e.validation_loss, e.validation_accuracy) for e in history.epochs]
    assert comp == [tuple(result) for result in seen]
    assert len(set(comp)) == 3


def test_callbacks_are_called_after_each_epoch_in_order():
    net, data, rng = problem(179)
    calls = []

    def first(*arguments):
        calls.append(("first", *arguments))

    def second(*arguments):
        calls.append(("second", *arguments))

    history = fitted(net, data, rng, callbacks=[first, second])
    assert [call[0] for call in calls] == ["first", "second"] * 3
    assert all(call[1] is net and call[3] is history for call in calls)
    assert [call[2] for call in calls[::2]] == history.epochs


def test_a_callback_sees_its_epoch_in_the_history():
    net, data, rng = problem(181)
    lengths = []
    fitted(net, data, rng, callbacks=[lambda *a: lengths.append((len(a[2].epochs), a[1].epoch))])
    assert lengths == [(1, 1), (2, 2), (3, 3)]


def test_the_optimizers_bytes_are_recorded():
    net, data, rng = problem(191)
    history = fitted(net, data, rng, optimizer=optim.adam())
    n_parameters = sum(net.connections) + 8 + 5 + 3
    assert history.optimizer_bytes == 2 * 8 * n_parameters


@pytest.mark.parametrize(
    ("method", "each"), [(Static(), 0), (SET(every=2), 0), (SNFS(), None), (DeepR(), 1)], ids=repr
)
def test_the_methods_bytes_are_recorded(method, each):
    net, data, rng = problem(191)
    history = fitted(net, data, rng, method=method)
    connections = sum(layer.weight.nnz for layer in net.sparse_layers)
    positions = sum(layer.n_in * layer.n_out for layer in net.sparse_layers)
    ref = 8 * positions if each is None else each * connections
    # DeepR also holds the signs of the last event's connections.
    assert ref <= history.method_bytes <= 2 * ref


@pytest.mark.parametrize(
    "method", [SET(every=2), *(RigL(0.5, 2, regrow=r) for r in ("keep", "reinit", "forbid"))]
)
def test_the_records_of_events_replay_the_structure(method):
    net, data, rng = problem(193)
    structures = [set(csr.flat(layer.weight).tolist()) for layer in net.sparse_layers]
    history = fitted(net, data, rng, method)
    assert history.events
    for event in history.events:
        structure = structures[event.layer]
        assert structure.issuperset(event.dropped.tolist())
        structure -= set(event.dropped.tolist())
        assert structure.isdisjoint(event.grown.tolist())
        structure |= set(event.grown.tolist())
        assert event.connections == len(structure)
    assert structures == [set(csr.flat(layer.weight).tolist()) for layer in net.sparse_layers]


@pytest.mark.parametrize(
    ("method", "steps"),
    [  # 12 steps, 3 an epoch
        (SET(), [3, 6, 9]),
        (SET(every=4), [4, 8]),
        (SET(every=4, stop=8), [4]),
        (RigL(every=2), [2, 4, 6, 8]),
        (RigL(every=2, stop=5), [2, 4]),
        (RigL(), []),
        (Static(), []),
    ],
    ids=repr,
)
def test_events_come_when_the_bound_method_says(method, steps):
    net, data, rng = problem(197)
    history = fitted(net, data, rng, method, epochs=4)
    ref = [(step, layer) for step in steps for layer in range(3)]
    assert [(event.step, event.layer) for event in history.events] == ref


def test_an_unbound_method_is_left_as_it_was():
    net, data, rng = problem(199)
    method = SET()
    fitted(net, data, rng, method)
    assert method == SET()


# ---------------------------------------------------------------- what looks on changes nothing


@pytest.mark.parametrize("method", [SET(every=2), RigL(every=2)], ids=repr)
def test_a_callback_and_validation_move_no_draw(method):
    runs = []
    for options in (
        {},
        {"callbacks": [lambda net, *_: net.predict(np.zeros((5, 6)))]},
        {"validation": problem(211)[1]},
    ):
        net, data, rng = problem(223, dropout=0.3)
        history = fitted(net, data, rng, method, **options)
        runs.append((all_bytes(net), [s.loss for s in history.steps]))
    assert runs[0] == runs[1] == runs[2]


def test_examples_and_labels_are_left_alone():
    net, (x, y), rng = problem(227)
    x.flags.writeable = y.flags.writeable = False
    before = x.tobytes(), y.tobytes()
    fitted(net, (x, y), rng, SET(every=2), validation=(x, y))
    assert (x.tobytes(), y.tobytes()) == before


def test_two_trainings_from_one_generator_differ():
    losses = []
    _, data, rng = problem(229)
    for _ in range(2):
        net = problem(229)[0]
        losses.append([s.loss for s in fitted(net, data, rng).steps])
    assert losses[0] != losses[1]


def test_the_method_draws_from_a_stream_of_its_own():
    # Dropout draws or not: SET grows at the same places while weights decide nothing (f = 1).
    runs = []
    for dropout in (0.0, 0.5):
        net, data, rng = problem(233, dropout=dropout)
        history = fitted(net, data, rng, SET(drop_fraction=1.0, every=2))
        runs.append([event.grown.tolist() for event in history.events])
    assert runs[0] == runs[1]


def test_images_are_flattened():
    runs = []
    for shape in ((30, 6), (30, 2, 3), (30, 3, 2, 1)):
        net, (x, y), rng = problem(239)
        fitted(net, (x.reshape(shape), y), rng)
        runs.append(all_bytes(net))
    assert runs[0] == runs[1] == runs[2]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_network_keeps_its_dtype(dtype):
    net, (x, y), rng = problem(241, dtype=dtype)
    other = np.float64 if dtype == np.float32 else np.float32
    fitted(net, (x.astype(other), y), rng, SET(every=2), optim.adam(0.01, weight_decay=0.1))
    assert {p.value.dtype for p in net.parameters()} == {np.dtype(dtype)}
    assert net.predict(x).dtype == dtype


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int64, list])
def test_labels_may_be_integers_of_any_size(kind):
    net, (x, y), rng = problem(251)
    ref = evaluate(net, (x, y))
    labels = y.tolist() if kind is list else y.astype(kind)
    assert evaluate(net, (x, labels)) == ref
    fitted(net, (x, labels), rng)


def test_dense_layers_train_beside_sparse_ones():
    rng = np.random.default_rng(257)
    net = models.mlp([6, 8, 5, 3], density=0.4, dense=[-1], rng=rng, dtype=np.float64)
    x, y = rng.random((30, 6)), rng.integers(0, 3, 30)
    last = net.weighted[-1].weight.copy()
    history = fitted(net, (x, y), rng, RigL(every=2))
    assert {event.layer for event in history.events} == {0, 1}
    assert (net.weighted[-1].weight != last).any()


# ---------------------------------------------------------------- evaluate


@pytest.mark.parametrize("n", [1, 7, 1024, 1025])
def test_evaluate_is_the_naive_loss_and_accuracy(n):
    net, _, rng = problem(263)
    x, y = rng.standard_normal((n, 6)), rng.integers(0, 3, n)
    logits = x
    for k, layer in enumerate(net.sparse_layers):
        logits = logits @ csr.to_dense(layer.weight).T + layer.bias
        logits = naive.relu(logits) if k < 2 else logits
    loss, _ = naive.cross_entropy(logits, y)
    correct = sum(int(np.argmax(logits[e]) == y[e]) for e in range(n))
    comp = evaluate(net, (x, y))
    assert comp.loss == pytest.approx(loss, rel=1e-12)  # sums of up to 1025 in another order
    assert comp.accuracy == correct / n


def test_evaluate_without_labels_has_no_accuracy():
    rng = np.random.default_rng(269)
    net = models.mlp([6, 3], density=0.5, rng=rng, dtype=np.float64, loss="squared_error")
    x, targets = rng.random((20, 6)), rng.random((20, 3))
    ref, _ = naive.squared_error(net.predict(x), targets)
    comp = evaluate(net, (x, targets))
    assert comp.loss == pytest.approx(ref, rel=1e-12)
    assert np.isnan(comp.accuracy)


def test_evaluate_changes_nothing():
    net, data, _ = problem(271, dropout=0.4)
    before = all_bytes(net)
    evaluate(net, data)
    assert all_bytes(net) == before


def test_dropout_acts_in_training():
    losses = []
    for dropout in (0.0, 0.5):
        net, data, rng = problem(277, dropout=dropout)
        losses.append(fitted(net, data, rng, epochs=1, batch_size=30).steps[0].loss)
    assert losses[0] != losses[1]


def test_dropout_does_not_act_in_evaluation():
    with_it, data, _ = problem(281, dropout=0.5)
    without, _, _ = problem(281)
    assert any(isinstance(layer, Dropout) for layer in with_it.layers)
    assert evaluate(with_it, data) == evaluate(without, data)


# ---------------------------------------------------------------- divergence


def diverging(dtype, sizes, rate, momentum=0.0):
    """A training of linear layers by squared error, whose steps are far too long."""
    rng = np.random.default_rng(283)
    net = models.mlp(sizes, density=1.0, rng=rng, dtype=dtype, loss="squared_error")
    data = rng.random((30, sizes[0])), rng.random((30, sizes[-1]))
    optimizer = optim.sgd(rate, momentum)

    def training():
        with np.errstate(all="ignore"):  # numbers overflow on the way: that is the point
            fitted(net, data, rng, optimizer=optimizer, epochs=1000)

    return net, training


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_loss_that_is_no_longer_finite_stops_the_training(dtype):
    _, training = diverging(dtype, (6, 3), 10.0)
    message = r"^fit: the (loss|weights) must stay finite, got (nan|-?inf) at step \d+; "
    with pytest.raises(FloatingPointError, match=message + "the learning rate there is 10.0$"):
        training()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes", [(6, 3), (6, 8, 3)])
@pytest.mark.parametrize("rate", [10.0, 1e10, 1e37])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_training_that_diverged_leaves_finite_weights(momentum, rate, sizes, dtype):
    net, training = diverging(dtype, sizes, rate, momentum)
    with pytest.raises(FloatingPointError, match="must stay finite"):
        training()
    assert all(np.isfinite(value).all() for value in values(net))


# ---------------------------------------------------------------- errors


def not_finite(value):
    x = problem(307)[1][0]
    x[4, 2] = value
    return x


X, Y = problem(307)[1]
ERRORS = {
    "label too large": ({"data": (X, Y + 1)}, r"fit: data labels must be in \[0, 3\), got 3"),
    "label negative": ({"data": (X, Y - 1)}, r"fit: data labels must be in \[0, 3\), got -1"),
    "validation label": (
        {"validation": (X, Y + 4)},
        r"fit: validation labels must be in \[0, 3\), got 6",
    ),
    "fewer labels": (
        {"data": (X, Y[:-1])},
        "fit: data must hold as many labels as examples .* got 30 examples and 29 labels",
    ),
    "fewer validation labels": (
        {"validation": (X, Y[:-2])},
        "fit: validation must hold as many labels as examples .* got 30 examples and 28 labels",
    ),
    "no example": ({"data": (X[:0], Y[:0])}, "fit: data must hold .* got 0 examples and 0 labels"),
    "no validation example": ({"validation": (X[:0], Y[:0])}, "fit: validation must hold .* got 0"),
    "nan": ({"data": (not_finite(np.nan), Y)}, "fit: data: x must be finite, got .* in example 4"),
    "inf": ({"data": (not_finite(np.inf), Y)}, "fit: data: x must be finite, got .* in example 4"),
    "validation nan": (
        {"validation": (not_finite(np.nan), Y)},
        "fit: validation: x must be finite, got .* in example 4",
    ),
    "features": (
        {"data": (X[:, :5], Y)},
        r"fit: data: x must have shape \(n, 6\) or alike, got \(30, 5\)",
    ),
    "one axis": ({"data": (X[:, 0], Y)}, r"fit: data: x must have shape .* got \(30,\)"),
    "label columns": ({"data": (X, np.eye(3, dtype=int)[Y])}, "must be one-dimensional integers"),
    "label floats": ({"data": (X, Y + 0.5)}, "must be one-dimensional integers"),
    "no epoch": ({"epochs": 0}, "fit: epochs must be a positive whole number, got 0"),
    "negative epochs": ({"epochs": -2}, "fit: epochs must be a positive whole number, got -2"),
    "half an epoch": ({"epochs": 0.5}, "fit: epochs must be a positive whole number, got 0.5"),
    "no batch": ({"batch_size": 0}, "fit: batch_size must be a positive whole number, got 0"),
    "float batch": ({"batch_size": 8.0}, "fit: batch_size must be a positive whole number, got 8"),
}


@pytest.mark.parametrize(("wrong", "message"), ERRORS.values(), ids=ERRORS)
def test_wrong_input_is_refused_and_changes_nothing(wrong, message):
    net, data, rng = problem(311)
    before = all_bytes(net)
    with pytest.raises(ValueError, match=message):
        fitted(net, **{"data": data, "rng": rng, **wrong})
    assert all_bytes(net) == before


@pytest.mark.parametrize("rng", [None, 7, np.random.RandomState(7), np.random])
def test_anything_but_a_generator_is_refused(rng):
    net, data, _ = problem(313)
    before = all_bytes(net)
    with pytest.raises(TypeError, match=r"^fit: rng must be a numpy\.random\.Generator, got "):
        fitted(net, data, rng)
    assert all_bytes(net) == before


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_targets_that_are_not_finite_are_refused(value):
    rng = np.random.default_rng(317)
    net = models.mlp([6, 3], density=0.5, rng=rng, loss="squared_error")
    targets = rng.random((30, 3))
    targets[7, 1] = value
    with pytest.raises(ValueError, match=r"^fit: data .*must be finite.* in example 7"):
        fitted(net, (X, targets), rng)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((X, Y + 1), r"labels must be in \[0, 3\), got 3"),
        ((X[:, :5], Y), r"x must have shape \(n, 6\)"),
        ((X, Y[:-1]), "as many labels as examples"),
        ((X[:0], Y[:0]), "got 0 examples"),
        ((not_finite(np.nan), Y), "x must be finite"),
    ],
)
def test_evaluate_refuses_the_same_in_its_own_name(data, message):
    with pytest.raises(ValueError, match=f"^evaluate: .*{message}"):
        evaluate(problem(331)[0], data)


def test_a_refused_rewiring_changes_nothing():
    class Wrong(Static):
        def due(self, step):
            return True

        def rewire(self, net, grads, state, step, rng):
            good = csr.Rewire(np.array([0]), np.empty(0, np.int64), np.empty(0))
            bad = csr.Rewire(np.array([10**6]), np.empty(0, np.int64), np.empty(0))
            return (good, bad, good), state

    net, (x, y), _ = problem(337)
    training = started(net, Wrong(), optim.sgd(0.0))
    before = all_bytes(net)
    with pytest.raises(ValueError, match=r"drop slots must be in \[0, "):
        train.step(net, tiles.pack(x), y, training)
    assert all_bytes(net) == before


def test_a_rewiring_of_too_few_layers_is_refused():
    class Wrong(Static):
        def due(self, step):
            return True

        def rewire(self, net, grads, state, step, rng):
            return super().rewire(net, grads, state, step, rng)[0][1:], state

    net, (x, y), _ = problem(347)
    training = started(net, Wrong(), optim.sgd(0.0))
    with pytest.raises(ValueError, match="must be one per sparse layer, 3, got 2"):
        train.step(net, tiles.pack(x), y, training)


def test_what_a_method_remembers_follows_every_event():
    class Ages(Static):
        """Steps each connection has lived, the plainest state per connection."""

        def due(self, step):
            return step % 2 == 0

        def init(self, net, rng):
            return [np.zeros(layer.weight.nnz) for layer in net.sparse_layers]

        def observe(self, grads, state):
            return [age + 1 for age in state]

        def rewire(self, net, grads, state, step, rng):
            return SET(0.5).rewire(net, grads, state, step, rng)

        def follow(self, state, sources):
            return [csr.carry(age, source) for age, source in zip(state, sources, strict=True)]

    net, data, _rng = problem(349)
    training = started(net, Ages(), optim.sgd(0.1))
    born = [dict.fromkeys(csr.flat(layer.weight).tolist(), 0) for layer in net.sparse_layers]
    for step, k in zip(range(1, 9), itertools.cycle(range(3)), strict=False):
        train.step(net, tiles.pack(data[0][k::3]), data[1][k::3], training)
        for event in training.history.events:
            if event.step == step:
                for position in event.dropped.tolist():
                    del born[event.layer][position]
                born[event.layer].update(dict.fromkeys(event.grown.tolist(), step))
    for layer, ages, birth in zip(net.sparse_layers, training.method_state, born, strict=True):
        ref = [8 - birth[position] for position in csr.flat(layer.weight).tolist()]
        assert ages.tolist() == ref


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": Static}, r"fit: method must be a .*Method, got the class Static"),
        ({"optimizer": "sgd"}, r"fit: optimizer must be a .*Optimizer, got str"),
    ],
)
def test_what_is_no_method_and_no_optimizer_is_refused(options, message):
    net, data, rng = problem(167)
    with pytest.raises(TypeError, match=f"^{message}$"):
        fitted(net, data, rng, **options)


def test_data_that_is_no_pair_is_refused():
    net, (x, y), rng = problem(173)
    with pytest.raises(ValueError, match=r"^fit: data must be a pair \(x, y\), got 3 parts$"):
        fitted(net, (x, y, y), rng)


# ---------------------------------------------------------------- what a method may ask for


class Tried(Static):
    """A method that does what it is told at the steps it is told; the rest is `Static`."""

    def __init__(self, **told):
        self.told = told

    @property
    def drifts(self):
        return "drift" in self.told

    @property
    def replaces_update(self):
        return self.told.get("replaces_update", False)

    @property
    def resets_optimizer(self):
        return self.told.get("resets_optimizer", False)

    def due(self, step):
        return step in self.told.get("events", ())

    def init(self, net, rng):
        return self.told.get("state")

    def backward_only(self, state):
        return self.told["backward_only"](state) if "backward_only" in self.told else None

    def drift(self, net, state, rate, rng):
        return self.told["drift"](net, state, rate, rng)

    def rewire(self, net, grads, state, step, rng):
        if "rewire" not in self.told:
            return super().rewire(net, grads, state, step, rng)
        return self.told["rewire"](net), state

    def follow(self, state, sources):
        return self.told["follow"](state) if "follow" in self.told else state


def trained_side_by_side(method, optimizer, n_steps=3, seed=353, dtype=np.float64):
    """The same steps with `method` and with `Static`: both networks and trainings."""
    runs = []
    for one in (method, Static()):
        net, (x, y), _ = problem(seed, dtype=dtype)
        training = started(net, one, optimizer)
        for _ in range(n_steps):
            train.step(net, tiles.pack(x.astype(dtype)), y, training)
        runs.append((net, training))
    return runs


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=["sgd", "adam"])
def test_a_drift_is_added_to_the_update_of_the_weights(optimizer, dtype):
    def drift(net, state, rate, rng):
        return [np.full(layer.weight.nnz, 0.5 * (k + 1)) for k, layer in enumerate(layers(net))]

    (net, _), (ref, _) = trained_side_by_side(Tried(drift=drift), optimizer, 1, dtype=dtype)
    for k, (layer, twin) in enumerate(zip(layers(net), layers(ref), strict=True)):
        expected = twin.weight.data + dtype(0.5 * (k + 1))
        # The update and the drift are added first: a rounding or two of numbers of size 1.
        np.testing.assert_allclose(
            layer.weight.data, expected, rtol=0, atol=3 * np.finfo(dtype).eps
        )
        np.testing.assert_array_equal(layer.bias, twin.bias)
        assert layer.weight.dtype == dtype


def layers(net):
    return net.sparse_layers


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=["sgd", "adam"])
def test_a_drift_does_not_enter_the_buffers(optimizer):
    def drift(net, state, rate, rng):
        return [np.full(layer.weight.nnz, 9.0) for layer in layers(net)]

    (_, training), (_, ref) = trained_side_by_side(Tried(drift=drift), optimizer, 1)
    pairs = zip(training.optimizer_state.buffers, ref.optimizer_state.buffers, strict=True)
    for group, expected in pairs:
        for comp, buffer in zip(group, expected, strict=True):
            np.testing.assert_array_equal(comp, buffer)


def test_a_drift_sees_the_weights_before_the_update_the_state_and_the_rate():
    seen = []

    def drift(net, state, rate, rng):
        seen.append(([layer.weight.data.copy() for layer in layers(net)], state, rate))
        return [np.zeros(layer.weight.nnz) for layer in layers(net)]

    net, (x, y), _ = problem(353)
    training = started(net, Tried(drift=drift, state="mine"), optim.sgd(lambda step: 0.5 / step))
    for _ in range(3):
        before = [layer.weight.data.copy() for layer in layers(net)]
        train.step(net, tiles.pack(x), y, training)
        for comp, ref in zip(seen[-1][0], before, strict=True):
            np.testing.assert_array_equal(comp, ref)
    assert [(state, rate) for _, state, rate in seen] == [("mine", 0.5 / s) for s in (1, 2, 3)]


def test_a_drift_of_zero_changes_no_bit():
    def drift(net, state, rate, rng):
        return [np.zeros(layer.weight.nnz) for layer in layers(net)]

    (net, _), (ref, _) = trained_side_by_side(Tried(drift=drift), optim.sgd(0.1, 0.9), 5)
    assert all_bytes(net) == all_bytes(ref)


def test_there_is_no_drift_where_an_event_replaces_the_update():
    steps = []

    def drift(net, state, rate, rng):
        steps.append(training.step)
        return [np.zeros(layer.weight.nnz) for layer in layers(net)]

    method = Tried(drift=drift, events=(2, 4), replaces_update=True)
    net, (x, y), _ = problem(353)
    training = started(net, method, optim.sgd(0.1))
    for _ in range(5):
        train.step(net, tiles.pack(x), y, training)
    assert steps == [1, 3, 5]


def test_every_drift_has_draws_of_its_own():
    drawn = []

    def drift(net, state, rate, rng):
        drawn.append(rng.random())
        return [np.zeros(layer.weight.nnz) for layer in layers(net)]

    for _ in range(2):
        trained_side_by_side(Tried(drift=drift), optim.sgd(0.1), 4)
    assert len(set(drawn)) == 4
    assert drawn[:4] == drawn[4:]


@pytest.mark.parametrize("wrong", [1, 4])
def test_a_drift_of_too_few_or_too_many_layers_is_refused(wrong):
    net, (x, y), _ = problem(353)
    training = started(net, Tried(drift=lambda *_: [np.zeros(1)] * wrong), optim.sgd(0.1))
    with pytest.raises(ValueError, match="must be one for each sparse layer, 3, got"):
        train.step(net, tiles.pack(x), y, training)


def test_a_drift_of_another_length_is_refused_even_if_it_would_spread():
    net, (x, y), _ = problem(353)
    before = all_bytes(net)
    training = started(net, Tried(drift=lambda *_: [np.zeros(1)] * 3), optim.sgd(0.1))
    message = r"fit: drift of layer 0 must have one entry a connection, \d+, got shape \(1,\)"
    with pytest.raises(ValueError, match=message):
        train.step(net, tiles.pack(x), y, training)
    assert all_bytes(net) == before


def test_a_drift_beyond_all_bounds_stops_the_training():
    def drift(net, state, rate, rng):
        return [np.full(layer.weight.nnz, np.inf) for layer in layers(net)]

    net, (x, y), _ = problem(353)
    before = all_bytes(net)
    training = started(net, Tried(drift=drift), optim.sgd(0.1))
    with pytest.raises(FloatingPointError, match="the weights must stay finite, got inf"):
        train.step(net, tiles.pack(x), y, training)
    assert all_bytes(net) == before


def halves(state):
    """Every other slot of each layer."""
    return [slots[::2] for slots in state]


def left_out_at(net, **told):
    """A training of which the first layers leave out every other connection."""
    state = [np.arange(layer.weight.nnz) for layer in layers(net)]
    return started(net, Tried(state=state, backward_only=halves, **told), optim.sgd(0.1))


def test_a_training_starts_with_the_forward_set_of_its_method():
    net, data, _ = problem(359)
    ref, _, _ = problem(359)
    for layer in layers(ref):
        layer.weight.data[::2] = 0
    left_out_at(net)
    assert evaluate(net, data) == evaluate(ref, data)
    np.testing.assert_array_equal(net.predict(data[0]), ref.predict(data[0]))


def test_what_is_left_out_is_trained_by_the_gradient_at_zero():
    net, (x, y), _ = problem(359)
    twin, _, _ = problem(359)
    for layer in layers(twin):
        layer.weight.data[::2] = 0
    loss, grads = twin.gradients(tiles.pack(x), y)
    before = [layer.weight.data.copy() for layer in layers(net)]
    assert train.step(net, tiles.pack(x), y, left_out_at(net)) == loss
    grads = twin.sparse_gradients(grads)
    for layer, old, grad in zip(layers(net), before, grads, strict=True):
        np.testing.assert_array_equal(layer.weight.data, old + -0.1 * grad.weight)
        assert grad.weight[::2].any()


def test_the_forward_set_is_told_anew_after_every_event():
    def shifted(net):
        return [csr.Rewire(np.array([0]), grown_at(la.weight), np.ones(1)) for la in layers(net)]

    def grown_at(weight):
        return np.setdiff1d(np.arange(weight.shape[0] * weight.shape[1]), csr.flat(weight))[:1]

    net, (x, y), _ = problem(359)
    training = left_out_at(
        net, events=(2,), rewire=shifted, follow=lambda state: [slots[1:] for slots in state]
    )
    n = [layer.weight.nnz for layer in layers(net)]
    for step in (1, 2, 3):
        train.step(net, tiles.pack(x), y, training)
        first = 0 if step < 2 else 1
        comp = [layer.left_out.tolist() for layer in layers(net)]
        assert comp == [list(range(first, nnz, 2)) for nnz in n]


def test_an_event_that_changes_nothing_may_change_the_forward_set():
    net, (x, y), _ = problem(359)
    training = left_out_at(net, events=(1,), follow=lambda state: [s[:2] for s in state])
    train.step(net, tiles.pack(x), y, training)
    assert [layer.left_out.tolist() for layer in layers(net)] == [[0]] * 3


def test_a_later_training_by_a_method_without_forward_set_uses_every_connection():
    net, data, _ = problem(359)
    left_out_at(net)
    assert all(len(layer.left_out) for layer in layers(net))
    started(net, Static(), optim.sgd(0.1))
    assert evaluate(net, data) == evaluate(problem(359)[0], data)


def test_a_forward_set_of_too_few_layers_is_refused():
    net, _, _ = problem(359)
    with pytest.raises(ValueError, match="shorter"):
        started(net, Tried(backward_only=lambda _: [np.array([0])]), optim.sgd(0.1))


def one_grown(momentum):
    """Each layer drops its first connection and grows its first two absent positions."""

    def rewire(net):
        return [
            csr.Rewire(
                np.array([0]),
                np.setdiff1d(np.arange(np.prod(la.weight.shape)), csr.flat(la.weight))[:2],
                np.ones(2),
                momentum,
            )
            for la in layers(net)
        ]

    return rewire


def grown_slots(net, training):
    """Of the last event, in the present weights."""
    events = training.history.events[-len(layers(net)) :]
    pairs = zip(layers(net), events, strict=True)
    return [np.flatnonzero(np.isin(csr.flat(la.weight), e.grown)) for la, e in pairs]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=["sgd", "adam"])
@pytest.mark.parametrize("momentum", [None, np.array([0.25, -3.0])])
def test_a_grown_connection_starts_with_the_momentum_it_is_given(momentum, optimizer):
    method = Tried(events=(2,), rewire=one_grown(momentum))
    (net, training), (_, ref) = trained_side_by_side(method, optimizer, 2)
    for k, slots in enumerate(grown_slots(net, training)):
        assert len(slots) == 2
        first, *others = training.optimizer_state.buffers[2 * k]
        assert first[slots].tolist() == ([0, 0] if momentum is None else momentum.tolist())
        assert all(not other[slots].any() for other in others)
        expected, *_ = ref.optimizer_state.buffers[2 * k]
        np.testing.assert_array_equal(np.delete(first, slots), expected[1:])


def test_a_momentum_is_not_looked_at_without_buffers():
    method = Tried(events=(1,), rewire=one_grown(np.array([0.25, -3.0])))
    (_, training), _ = trained_side_by_side(method, optim.sgd(0.1), 2)
    assert set(training.optimizer_state.buffers) == {()}


@pytest.mark.parametrize(
    ("momentum", "message"),
    [
        (np.zeros(1), r"fit: momentum must be as many as grow positions, 2, got shape \(1,\)"),
        (0.5, r"fit: momentum must be as many as grow positions, 2, got shape \(\)"),
        (np.array([0.5, np.nan]), "fit: momentum of grown connections must be finite, got .*nan"),
    ],
)
def test_a_momentum_that_does_not_fit_is_refused_and_changes_nothing(momentum, message):
    net, (x, y), _ = problem(359)
    training = started(net, Tried(events=(1,), rewire=one_grown(momentum)), optim.sgd(0.0, 0.9))
    before = all_bytes(net)
    with pytest.raises(ValueError, match=message):
        train.step(net, tiles.pack(x), y, training)
    assert all_bytes(net) == before


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=["sgd", "adam"])
def test_an_optimizer_may_start_anew_after_an_event(optimizer):
    made = []
    for resets in (False, True):
        method = Tried(events=(2,), rewire=one_grown(None), resets_optimizer=resets)
        (net, training), _ = trained_side_by_side(method, optimizer, 2)
        made.append(training.optimizer_state.made)
        filled = [buffer.any() for group in training.optimizer_state.buffers for buffer in group]
        assert any(filled) != resets
        for parameter, group in zip(
            net.parameters(), training.optimizer_state.buffers, strict=True
        ):
            assert {buffer.shape for buffer in group} == {parameter.value.shape}
        train.step(net, tiles.pack(problem(353)[1][0]), problem(353)[1][1], training)
        assert training.optimizer_state.made == made[-1] + 1
    assert made == [2, 0]


def test_an_empty_rewiring_is_recorded_and_leaves_the_layer_as_it_is():
    net, (x, y), _ = problem(359)
    training = started(net, Tried(events=(1, 2)), optim.sgd(0.1, 0.9))
    weights = [layer.weight for layer in layers(net)]
    for _ in range(2):
        train.step(net, tiles.pack(x), y, training)
    assert all(layer.weight is weight for layer, weight in zip(layers(net), weights, strict=True))
    comp = [(e.step, e.layer, len(e.dropped), len(e.grown)) for e in training.history.events]
    assert comp == [(step, layer, 0, 0) for step in (1, 2) for layer in range(3)]
    assert [e.connections for e in training.history.events] == [w.nnz for w in weights] * 2
    assert {e.grown.dtype for e in training.history.events} == {np.dtype(np.int64)}


def test_empty_events_change_no_bit_of_a_training():
    method = Tried(events=range(1, 9))
    (net, training), (ref, twin) = trained_side_by_side(method, optim.adam(0.1), 8)
    assert all_bytes(net) == all_bytes(ref)
    pairs = zip(training.optimizer_state.buffers, twin.optimizer_state.buffers, strict=True)
    for group, expected in pairs:
        for comp, buffer in zip(group, expected, strict=True):
            np.testing.assert_array_equal(comp, buffer)


def test_an_empty_rewiring_with_values_is_still_refused():
    wrong = csr.Rewire(np.empty(0, np.int64), np.empty(0, np.int64), np.ones(3))
    net, (x, y), _ = problem(359)
    training = started(net, Tried(events=(1,), rewire=lambda net: [wrong] * 3), optim.sgd(0.1))
    with pytest.raises(ValueError, match="values must be as many as grow positions, 0"):
        train.step(net, tiles.pack(x), y, training)


def test_records_hold_on_to_no_buffer_that_an_event_could_use_again():
    # Else every event would need memory of its own, and finding a free buffer would take ever
    # longer.
    net, (x, y), _ = problem(359)
    training = started(net, SET(0.5, every=1), optim.sgd(0.1))
    for _ in range(4):
        train.step(net, tiles.pack(x), y, training)
    for event in training.history.events:
        assert event.dropped.base is None
        assert event.grown.base is None


def test_a_record_is_not_the_array_of_the_method():
    net, (x, y), _ = problem(359)
    rewires = one_grown(None)(net)
    training = started(net, Tried(events=(1,), rewire=lambda net: rewires), optim.sgd(0.1))
    train.step(net, tiles.pack(x), y, training)
    ref = rewires[0].grow.tolist()
    rewires[0].grow[:] = 0
    assert training.history.events[0].grown.tolist() == ref


def test_a_layer_that_is_not_restructured_keeps_what_it_leaves_out():
    net, _, _ = problem(359)
    first, second, third = layers(net)
    for layer in layers(net):
        layer.leave_out(np.array([1]))
    nothing = Static().rewire(net, (), None, 1, None)[0][0]
    dropped = csr.Rewire(np.array([0]), np.empty(0, np.int64), np.empty(0))
    sources = net.restructure([nothing, dropped, nothing])
    assert [len(layer.left_out) for layer in (first, second, third)] == [1, 0, 1]
    assert sources[0].tolist() == list(range(first.weight.nnz))
    assert sources[1].tolist() == list(range(1, second.weight.nnz + 1))


# ---------------------------------------------------------------- a part of a training


@pytest.mark.parametrize("cut", [1, 3, 4, 7])
def test_a_training_cut_in_two_is_the_whole_one_where_nothing_is_remembered(cut):
    # Without momentum, dropout and draws nothing but the weights passes the cut.
    (whole, data, _), (parts, _, _) = problem(401), problem(401)
    optimizer = optim.sgd(schedules.Cosine(0.5, stop=9), weight_decay=0.1)
    ref = fitted(whole, data, np.random.default_rng(403), optimizer=optimizer)
    histories = [
        fitted(parts, data, np.random.default_rng(403), optimizer=optimizer, span=span)
        for span in ((0, cut), (cut, None))
    ]
    assert all_bytes(parts) == all_bytes(whole)
    assert [step for history in histories for step in history.steps] == ref.steps
    assert {e.epoch for h in histories for e in h.epochs} == {1, 2, 3}


def test_a_part_of_a_training_rewires_at_its_own_steps():
    net, data, rng = problem(409)
    history = fitted(net, data, rng, method=RigL(every=2, stop=9), span=(4, 8))
    assert [step.step for step in history.steps] == [5, 6, 7, 8]
    assert {event.step for event in history.events} == {6, 8}


def test_the_loss_of_a_partial_epoch_is_the_mean_over_what_it_saw():
    net, (x, y), rng = problem(419, n=25)
    history = fitted(net, (x, y), rng, span=(2, 4))
    (first, second), losses = history.epochs, [step.loss for step in history.steps]
    assert first.loss == pytest.approx(losses[0], abs=1e-15)  # the five examples that are left
    assert (first.epoch, second.epoch) == (1, 2)
    assert second.loss == pytest.approx(losses[1], abs=1e-15)


@pytest.mark.parametrize(
    "span", [(3, 3), (-1, 4), (0, 10), (9, None), (None, 3), (0.5, 3), (0, 1, 2)]
)
def test_a_span_that_is_none_is_refused(span):
    net, data, rng = problem(421)
    with pytest.raises(ValueError, match=r"^fit: span must"):
        fitted(net, data, rng, span=span)


# ---------------------------------------------------------------- connections held still


@pytest.mark.parametrize("optimizer", [optim.sgd(0.3, 0.9, weight_decay=0.1), optim.adam(0.1)])
def test_held_connections_are_used_and_never_trained(optimizer):
    net, data, rng = problem(431, density=0.6)
    held = [np.arange(0, layer.weight.nnz, 3) for layer in net.sparse_layers]
    before = [layer.weight.data.copy() for layer in net.sparse_layers]
    fitted(net, data, rng, method=Static(still=held), optimizer=optimizer)
    for layer, still, old in zip(net.sparse_layers, held, before, strict=True):
        moved = layer.weight.data != old
        assert not moved[still].any()
        assert np.delete(moved, still).any()  # not all: dead units have no gradient


@pytest.mark.parametrize("still", [[0, 0], [5, 2], [-1], [10**6]])
def test_held_connections_that_are_none_are_refused(still):
    net, data, rng = problem(433)
    held = [np.array(still), np.empty(0, np.int64), np.empty(0, np.int64)]
    with pytest.raises(ValueError, match=r"^fit: slots held still must"):
        fitted(net, data, rng, method=Static(still=held))


def test_held_connections_must_be_told_of_every_sparse_layer():
    net, data, rng = problem(433)
    with pytest.raises(ValueError, match=r"^fit: slots held still must be one array for each"):
        fitted(net, data, rng, method=Static(still=[np.array([0])]))


def test_biases_that_a_method_keeps_still_stay():
    class WithoutBiases(Static):
        trains_biases = False

    net, data, rng = problem(439)
    for layer in net.sparse_layers:
        layer.bias[:] = 0.5
    before = values(net)
    optimizer = optim.sgd(0.3, momentum=0.9, weight_decay=0.1)
    fitted(net, data, rng, method=WithoutBiases(), optimizer=optimizer)
    for parameter, old in zip(net.parameters(), before, strict=True):
        assert (parameter.value.tolist() == old.tolist()) == (parameter.name == "bias")


def test_an_event_before_the_first_step_is_numbered_0():
    class AtOnce(Static):
        rewires_at_start = True

        def rewire(self, net, grads, state, step, rng):
            assert grads == ()
            none = np.empty(0, np.int64)
            first = csr.Rewire(np.array([2]), none, np.empty(0))
            return (first, *(csr.Rewire(none, none, np.empty(0)) for _ in (1, 2))), state

    net, data, rng = problem(443)
    before = net.connections
    history = fitted(net, data, rng, method=AtOnce(), optimizer=optim.sgd(0.1, 0.9))
    assert net.connections == (before[0] - 1, *before[1:])
    assert [(event.step, event.layer, len(event.dropped)) for event in history.events] == [
        (0, 0, 1),
        (0, 1, 0),
        (0, 2, 0),
    ]


class Noted:
    """An augmentation that remembers what it drew."""

    def __init__(self):
        self.draws, self.shapes = [], []

    def __call__(self, x, rng):
        self.draws.append(int(rng.integers(1 << 30)))
        self.shapes.append(x.shape)
        return x + 1


def augmented(span=(0, None), augment=None):
    rng = np.random.default_rng(11)
    net = models.mlp([4, 5, 3], density=0.5, rng=rng)
    x, y = rng.random((10, 4)), rng.integers(0, 3, 10)
    fit(
        net,
        (x, y),
        method=Static(),
        optimizer=optim.sgd(0.1),
        epochs=2,
        batch_size=4,
        rng=np.random.default_rng(12),
        span=span,
        augment=augment,
    )
    return net


def test_batches_are_augmented_with_a_stream_for_every_step():
    whole, first, second = Noted(), Noted(), Noted()
    net = augmented(augment=whole)
    assert whole.shapes == [(4, 4), (4, 4), (2, 4)] * 2
    assert len(set(whole.draws)) == 6
    augmented((0, 2), first)
    augmented((2, None), second)
    assert first.draws + second.draws == whole.draws
    plain, unchanged = augmented(), augmented(augment=lambda x, rng: x)
    np.testing.assert_array_equal(plain.weighted[0].weight.data, unchanged.weighted[0].weight.data)
    assert not np.array_equal(plain.weighted[0].weight.data, net.weighted[0].weight.data)


def test_an_augmentation_that_changes_the_shape_is_refused():
    with pytest.raises(ValueError, match=r"augment must keep the shape of a batch, \(4, 4\), got"):
        augmented(augment=lambda x, rng: x[:, :2])


class Looking(Static):
    """Says that it looks at absent connections in even steps; notes where they can be looked at."""

    def reads_gradient(self, step):
        return step % 2 == 0

    def due(self, step):
        return True

    def rewire(self, net, grads, state, step, rng):
        SEEN.append([grad.inputs is not None for grad in grads])
        if step % 2:
            with pytest.raises(
                ValueError, match="LayerGrad: the gradient of absent connections must"
            ):
                grads[0].block(0, 1)
            with pytest.raises(
                ValueError, match="must be announced by the method's reads_gradient"
            ):
                grads[0].at(np.array([0]))
        return tuple(base.keep(net.dtype) for _ in grads), state


SEEN = []


def test_activations_are_held_only_where_absent_connections_are_looked_at():
    SEEN.clear()
    rng = np.random.default_rng(449)
    net = models.mlp([4, 5, 3], density=0.5, rng=rng)
    data = rng.random((8, 4)), rng.integers(0, 3, 8)
    options = {"optimizer": optim.sgd(0.1), "epochs": 2, "batch_size": 4, "rng": rng}
    fit(net, data, method=Looking(), **options)
    assert SEEN == [[False, False], [True, True]] * 2


@pytest.mark.parametrize(
    ("method", "steps"),
    [
        (Static(), []),
        (RigL(every=3, stop=9), [3, 6]),
        (RigL(every=3, stop=9, grad_accumulation_n=2), [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (SET(every=4), [4, 8]),
        (SNFS(every=3, stop=9), [1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ],
)
def test_who_looks_at_absent_connections_and_when(method, steps):
    assert [step for step in range(1, 10) if method.reads_gradient(step)] == steps
