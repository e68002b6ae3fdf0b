"""What pruning holds: nothing dense of a sparse network, a few numbers a position of a dense one.

The sparse network is that of `test_memory`: a layer of 20,000 x 20,000 positions and 100,000
connections. The README's table of dense states is made of these.
"""

import numpy as np
import pytest
from test_memory import CONNECTIONS, INDEX, POSITIONS, UNITS, N, arranged, peak_of

from sparse_ref import analysis, at_init, lottery, models, optim, pruning
from sparse_ref.methods import Static

# Scores, orders, slots, products: 30 numbers of 8 bytes a connection, 12 an activation.
EXAMPLES = 20
BOUND = 30 * INDEX * CONNECTIONS + 12 * INDEX * UNITS * EXAMPLES


@pytest.fixture(scope="module")
def large():
    net, *_ = arranged(Static(), optim.sgd(0.1), np.float32)
    rng = np.random.default_rng(461)
    return net, rng.random((EXAMPLES, N)), rng.integers(0, net.n_out, EXAMPLES)


def weights(net):
    return [layer.weight for layer in net.weighted]


def rng():
    return np.random.default_rng(463)


ON_SPARSE = {
    "magnitude": lambda net, x, y: pruning.Magnitude(0.5)(weights(net), rng()),
    "magnitude, global": lambda net, x, y: pruning.Magnitude(0.5, scope="global")(weights(net)),
    "random": lambda net, x, y: pruning.Random(0.5)(weights(net), rng()),
    "structured": lambda net, x, y: pruning.Structured(0.5)(weights(net)),
    "structured, outputs": lambda net, x, y: pruning.Structured(0.5, q=2, axis=0)(weights(net)),
    "random structured": lambda net, x, y: pruning.RandomStructured(0.5)(weights(net), rng()),
    "snip": lambda net, x, y: at_init.snip(net, x, y, 1e-4),
    "grasp": lambda net, x, y: at_init.grasp(net, x, y, 1e-4),
    "synflow": lambda net, x, y: at_init.synflow(net, 1e-4, rounds=5),
    "magnitude at init": lambda net, x, y: at_init.magnitude(net, 1e-4),
    "random at init": lambda net, x, y: at_init.random(net, 1e-4, rng()),
    "sensitivity": lambda net, x, y: analysis.sensitivity(net, (x, y), [0.0, 0.5, 1.0]),
    "reinitialised": lambda net, x, y: analysis.reinitialised(net, rng()),
    "random structure": lambda net, x, y: analysis.random_structure(net, rng()),
}


@pytest.mark.parametrize("name", ON_SPARSE)
def test_of_a_sparse_network_nothing_dense_is_made(name, large):
    ON_SPARSE[name](*large)  # compiles
    peak, _ = peak_of(lambda: ON_SPARSE[name](*large))
    assert peak < BOUND < POSITIONS / 3


WIDTH = 1_000
# Numbers of the layer's dtype a position; a slot to drop is one of 8 bytes.
ON_DENSE = {
    "magnitude": (lambda net, x, y: pruning.Magnitude(0.5)(weights(net)), 12),
    "snip": (lambda net, x, y: at_init.snip(net, x, y, 0.1), 20),
    "grasp": (lambda net, x, y: at_init.grasp(net, x, y, 0.1), 20),
    "synflow": (lambda net, x, y: at_init.synflow(net, 0.1, rounds=5), 30),  # in float64
    "prune": (lambda net, x, y: net.prune([np.arange(0, WIDTH**2, 2), None]), 12),
}


@pytest.mark.parametrize("name", ON_DENSE)
def test_of_a_dense_network_a_few_numbers_a_position_while_it_is_pruned(name):
    action, numbers = ON_DENSE[name]
    made = rng()
    nets = [models.mlp([WIDTH, WIDTH, 3], density=None, rng=made) for _ in range(2)]
    x, y = made.random((EXAMPLES, WIDTH)), made.integers(0, 3, EXAMPLES)
    action(nets[0], x, y)  # compiles
    peak, _ = peak_of(lambda: action(nets[1], x, y))
    assert 4 * WIDTH**2 < peak < numbers * 4 * WIDTH**2


def test_after_the_first_pruning_a_chain_holds_what_its_survivors_take():
    made = rng()
    net = models.mlp([WIDTH, WIDTH, 3], density=None, rng=made)
    data = made.random((EXAMPLES, WIDTH)), made.integers(0, 3, EXAMPLES)
    levels = lottery.iterative_pruning(
        net,
        data,
        levels=3,
        pruner=pruning.Magnitude(0.9),
        optimizer=optim.sgd(0.01, momentum=0.9),
        epochs=1,
        batch_size=EXAMPLES,
        rng=made,
    )
    del net
    peaks = {}
    for number in range(4):
        peaks[number], level = peak_of(lambda: next(levels))
        survivors = sum(level.network.connections)
        del level
    assert survivors == pytest.approx(1e-3 * (WIDTH + 3) * WIDTH, rel=0.01)
    assert peaks[0] > 4 * WIDTH**2  # gradients of a dense layer
    # From 10 % to 1 %: sources, drops, values and first values of 10 % of the positions.
    assert peaks[2] < 0.1 * 30 * INDEX * WIDTH**2
    assert peaks[3] < peaks[2] < peaks[1]
