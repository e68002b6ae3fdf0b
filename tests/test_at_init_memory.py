"""Scores of sparse layers take memory in proportion to the connections, not to the positions."""

import tracemalloc

import numpy as np
import pytest

from sparse_ref import Linear, Network, ReLU, csr, selection
from sparse_ref.at_init import grasp, magnitude, random, snip, synflow
from sparse_ref.layers import BatchNorm, Conv2d, Flatten, MaxPool2d

N, NNZ, CLASSES, BATCH = 4000, 20_000, 10, 16
CHANNELS = 1000
MIB = 1 << 20


def network():
    """4000-4000-10 with 24,000 connections among 16 million positions."""
    rng, layers = np.random.default_rng(961), []
    for n_out, n_in, nnz in ((N, N, NNZ), (CLASSES, N, NNZ // 5)):
        positions = selection.random_ranks(n_out * n_in, nnz, rng)
        layers.append(
            Linear(csr.from_positions((n_out, n_in), positions, rng.standard_normal(nnz)))
        )
    return Network([layers[0], ReLU(), layers[1]])


def convolutional():
    """1000 channels of 2x2 by 3x3 kernels into 1000: 9 million positions, 20,000 connections."""
    rng, image = np.random.default_rng(963), (CHANNELS, 2, 2)
    positions = selection.random_ranks(9 * CHANNELS**2, NNZ, rng)
    weight = csr.from_positions((CHANNELS, 9 * CHANNELS), positions, rng.standard_normal(NNZ))
    positions = selection.random_ranks(CLASSES * CHANNELS, NNZ // 5, rng)
    last = csr.from_positions((CLASSES, CHANNELS), positions, rng.standard_normal(NNZ // 5))
    norm, pool = BatchNorm.initial(CHANNELS, np.float64), MaxPool2d(image, 2)
    first = Conv2d(weight, image=image, kernel=3, padding=1)
    return Network([first, norm, ReLU(), pool, Flatten(), Linear(last)])


@pytest.mark.parametrize("kind", [network, convolutional])
@pytest.mark.parametrize(
    "name", ["snip", "snip in rounds", "snip unfrozen", "grasp", "synflow", "magnitude", "random"]
)
def test_nothing_has_an_entry_a_position(name, kind):
    net, rng = kind(), np.random.default_rng(962)
    x, y = rng.standard_normal((BATCH, net.n_in)), rng.integers(0, CLASSES, BATCH)
    action = {
        "snip": lambda: snip(net, x, y, 0.1),
        "snip in rounds": lambda: snip(net, x, y, 0.1, rounds=3),
        "snip unfrozen": lambda: snip(net, x, y, 0.1, rounds=3, freeze_pruned=False),
        "grasp": lambda: grasp(net, x, y, 0.1),
        "synflow": lambda: synflow(net, 0.1),
        "magnitude": lambda: magnitude(net, 0.1),
        "random": lambda: random(net, 0.1, rng),
    }[name]
    action()  # compiled, and buffers of tiles there
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        drops = action()
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert sum(map(len, drops)) > 0
    # A dense weight has 122 MiB, one bool a position 15; a connection gets 13 numbers of 8 bytes
    # here, a unit and example 4. Of the convolution it is 69 and 9; its gradients are summed in
    # up to sixteen groups, a number a connection each, in buffers that are there already.
    assert peak < 6 * MIB
