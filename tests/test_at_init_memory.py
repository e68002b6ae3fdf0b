"""Scores of sparse layers take memory in proportion to the connections, not to the positions."""

import tracemalloc

import numpy as np
import pytest

from sparse_ref import Linear, Network, ReLU, csr, selection
from sparse_ref.at_init import grasp, magnitude, random, snip, synflow

N, NNZ, CLASSES, BATCH = 4000, 20_000, 10, 16
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


@pytest.mark.parametrize(
    "name", ["snip", "snip in rounds", "snip unfrozen", "grasp", "synflow", "magnitude", "random"]
)
def test_nothing_has_an_entry_a_position(name):
    net, rng = network(), np.random.default_rng(962)
    x, y = rng.standard_normal((BATCH, N)), rng.integers(0, CLASSES, BATCH)
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
    # here, a unit and example 4.
    assert peak < 6 * MIB
