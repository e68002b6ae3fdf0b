"""Networks learn: small tasks always, the papers' data sets where they are at hand.

Trainings repeat to the bit on every processor, so an accuracy below is a fact about one seed and
never a matter of luck; the bounds leave room for a deliberate change of the numbers.
"""

import os
from pathlib import Path

import numpy as np
import pytest

import data_loaders
from sparse_ref import Linear, Network, csr, evaluate, fit, models, optim, schedules
from sparse_ref.methods import SET, RigL, Static

# ---------------------------------------------------------------- a task that needs gradients


def chequered(n, rng):
    """Points of a square and the colour of their field on a board of 2 x 2: no line parts them."""
    x = rng.random((n, 2)) * 2 - 1
    return x, (x[:, 0] * x[:, 1] > 0).astype(np.int64)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ["relu", "srelu"])
@pytest.mark.parametrize(
    "optimizer", [optim.sgd(0.1, 0.9, True, 1e-4), optim.adam(0.01)], ids=["sgd", "adam"]
)
@pytest.mark.parametrize(
    "method",
    [Static(), SET(0.2, every=20, stop=150, grow_std=0.0), RigL(0.2, every=20)],
    ids=["static", "set", "rigl"],
)
def test_a_sparse_network_learns_what_no_line_parts(method, optimizer, activation, dtype):
    rng = np.random.default_rng(491)
    train, test = chequered(1000, rng), chequered(1000, rng)
    net = models.mlp([2, 32, 32, 2], density=0.3, activation=activation, rng=rng, dtype=dtype)
    before = evaluate(net, test).accuracy
    fit(net, train, method=method, optimizer=optimizer, epochs=15, batch_size=50, rng=rng)
    assert before < 0.7
    assert evaluate(net, test).accuracy > 0.95


# ---------------------------------------------------------------- a task that needs rewiring
#
# Of 200 inputs only three say anything: class k is the largest of inputs 0, 1, 2. One layer, 12
# connections, and none of them at those inputs: what is learned is what rewiring found.

N_IN, TELLING = 200, [0 * 200 + 0, 1 * 200 + 1, 2 * 200 + 2]


def three_that_tell(n, rng):
    x = rng.standard_normal((n, N_IN))
    return x, x[:, :3].argmax(axis=1)


def searched(method, n_connections=12, seed=463):
    """Accuracy before and after, and the positions at the end."""
    rng = np.random.default_rng(seed)
    train, test = three_that_tell(1500, rng), three_that_tell(1500, rng)
    blind = np.array([row * N_IN + column for row in range(3) for column in range(3, N_IN)])
    positions = np.sort(rng.permutation(blind)[:n_connections])
    weight = csr.from_positions((3, N_IN), positions, np.zeros(n_connections))
    net = Network([Linear(weight)])
    before = evaluate(net, test).accuracy
    fit(
        net, train, method=method, optimizer=optim.sgd(0.3, 0.9), epochs=40, batch_size=100, rng=rng
    )
    found = set(csr.flat(net.sparse_layers[0].weight).tolist())
    return before, evaluate(net, test).accuracy, found


def test_without_rewiring_nothing_can_be_found():
    _, after, found = searched(Static())
    assert found.isdisjoint(TELLING)
    assert after < 0.45


@pytest.mark.parametrize("regrow", ["keep", "reinit", "forbid"])
def test_rigl_finds_the_connections_that_tell(regrow):
    before, after, found = searched(RigL(0.5, every=20, regrow=regrow))
    assert before < 0.45
    assert found.issuperset(TELLING)
    assert after > 0.9


def test_rigl_finds_them_in_one_event():
    # One gradient ranks all 597 absent positions; no chance comes in.
    _, _, found = searched(RigL(schedules.Constant(0.5), every=20, stop=21))
    assert found.issuperset(TELLING)


def test_set_finds_them_by_and_by():
    # 60 connections of 600: what was found is strong and survives, the others are drawn anew. One
    # run is a lottery (twenty seeds find 1 to 3 of the three, however positions are drawn), so five
    # are added up. Positions that nothing selects would hold 5 * 3 * 60 / 600 = 1.5 of 15, with a
    # standard deviation of 1.2.
    method = SET(0.3, every=15, stop=550, grow_std=0.0)
    runs = [searched(method, 60, seed) for seed in (463, 467, 479, 487, 491)]
    assert max(before for before, _, _ in runs) < 0.45
    assert sum(len(found.intersection(TELLING)) for _, _, found in runs) >= 6
    assert np.mean([after for _, after, _ in runs]) > 0.7


# ---------------------------------------------------------------- the papers' data


def complete(name):
    """The training and test split of a data set, or a skip that says why."""
    folder = os.environ.get("SPARSE_REF_DATA")
    if not folder:
        pytest.skip("SPARSE_REF_DATA is not set: no complete data sets")
    if not Path(folder).is_dir():
        pytest.skip(f"SPARSE_REF_DATA names no folder: {folder}")
    try:
        return getattr(data_loaders, name)()
    except FileNotFoundError:
        pytest.skip(f"SPARSE_REF_DATA, {folder}, lacks {name}")


EPOCHS, BATCH = 15, 128
STEPS = EPOCHS * -(-60_000 // BATCH)
ON_DATA = {
    "rigl": RigL(drop_fraction=0.3, every=100),
    # With the paper's constant 30 % an epoch under a falling learning rate SET ends below Static:
    # what grows late is never trained. The fraction falls with the rate.
    "set": SET(drop_fraction=schedules.Cosine(0.3, STEPS), grow_std=0.0),
}


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("method", ON_DATA.values(), ids=ON_DATA)
@pytest.mark.parametrize(("name", "accuracy"), [("fashion_mnist", 0.87), ("mnist", 0.975)])
def test_lenet_at_a_tenth_of_its_connections_learns(name, accuracy, method):
    train, test = complete(name)
    rng = np.random.default_rng(443)
    net = models.lenet_300_100(density=0.1, rng=rng)
    history = fit(
        net,
        tuple(train),
        method=method,
        optimizer=optim.sgd(schedules.Cosine(0.1, STEPS), 0.9, nesterov=True, weight_decay=1e-4),
        epochs=EPOCHS,
        batch_size=BATCH,
        rng=rng,
    )
    assert sum(net.connections) == 26_620
    assert history.events
    assert evaluate(net, tuple(test)).accuracy >= accuracy


@pytest.mark.data
@pytest.mark.slow
def test_lenet_5_at_a_tenth_of_its_connections_learns():
    train, test = ((split.x[:, None] - 0.1307, split.y) for split in complete("mnist"))
    epochs, rng = 10, np.random.default_rng(447)
    steps = epochs * -(-60_000 // BATCH)
    net = models.lenet_5(variant="A", density=0.1, rng=rng)
    before = net.connections
    history = fit(
        net,
        train,
        method=RigL(drop_fraction=0.3, every=100),
        optimizer=optim.sgd(schedules.Cosine(0.05, steps), 0.9, nesterov=True, weight_decay=5e-4),
        epochs=epochs,
        batch_size=BATCH,
        rng=rng,
    )
    assert net.connections == before
    assert sum(before) == 5984
    assert history.events
    assert evaluate(net, test).accuracy >= 0.985
