"""Memory is in proportion to the connections, never to the positions.

The layer has 20,000 x 20,000 positions and 100,000 connections. One *byte* a position would be
400 MB, the dense weight 1.6 GB. NumPy reports every array to `tracemalloc`, whether it is touched
or not. A peak is the sum of all that lives at one time, so a peak of a few megabytes shows that no
single allocation was larger than that either. What compiled kernels allocate themselves is not
reported; a process of its own, whose resident memory is measured, covers it.
"""

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from sparse_ref import Linear, Network, ReLU, csr, optim, selection, tiles, train
from sparse_ref.layers import LayerGrad
from sparse_ref.methods import ALL, SET, RigL, Run, Static, rigl, set_

ROOT = Path(__file__).resolve().parent.parent
N, NNZ, BATCH = 20_000, 100_000, 16
POSITIONS = N * N
CLASSES, NNZ_OUT = 10, 2_000
CONNECTIONS = NNZ + NNZ_OUT
KINDS = [np.float32, np.float64]
MIB = 1 << 20

# Bounds, each a multiple of what the design allows.
UNITS = 2 * N + CLASSES  # inputs, hidden units, outputs
ACTIVATIONS = UNITS * BATCH  # numbers of one batch at all layers
INDEX = 8  # bytes of an index at its widest
SAMPLED = 6 * INDEX * selection.SAMPLE  # places, rows, columns, and gradients of the sample


def sparse_layer(n_out, n_in, nnz, rng, dtype):
    """A random layer, made without anything dense."""
    positions = selection.random_ranks(n_out * n_in, nnz, rng)
    return Linear(csr.from_positions((n_out, n_in), positions, rng.random(nnz).astype(dtype)))


def arranged(method, optimizer, dtype, n=N, nnz=NNZ):
    """A large network, a batch and a training at step 0."""
    rng = np.random.default_rng(409)
    first = sparse_layer(n, n, nnz, rng, dtype)
    net = Network([first, ReLU(), sparse_layer(CLASSES, n, NNZ_OUT, rng, dtype)])
    x = tiles.pack(rng.random((BATCH, n)).astype(dtype))
    y = rng.integers(0, CLASSES, BATCH)
    noise, rewiring = rng.spawn(2)
    return net, x, y, train.start(net, method, optimizer, noise, rewiring)


def peak_of(action):
    """The most bytes that lived during `action` beyond those before, and its result."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    try:
        result = action()
        return tracemalloc.get_traced_memory()[1] - before, result
    finally:
        tracemalloc.stop()


def step_peak(method, dtype, optimizer=None, n_before=1):
    """Peak of one training step after `n_before` others that compile and settle everything."""
    optimizer = optimizer or optim.sgd(0.01, momentum=0.9, weight_decay=1e-4)
    net, x, y, training = arranged(method, optimizer, dtype)
    for _ in range(n_before):
        train.step(net, x, y, training)
    peak, _ = peak_of(lambda: train.step(net, x, y, training))
    assert net.connections == (NNZ, NNZ_OUT)
    return peak, training


def update_bound(dtype):
    """Four numbers a connection (gradient, update, in between), three an activation."""
    itemsize = np.dtype(dtype).itemsize
    return (4 * (CONNECTIONS + UNITS) + 3 * ACTIVATIONS) * itemsize


def event_bound():
    """Old and new structure, sort keys, sources, buffers: 16 numbers of 8 bytes a connection."""
    return 16 * INDEX * (CONNECTIONS + UNITS)


def block_bound(dtype):
    """A block of gradient, its magnitudes, and a flag and an index for each number, twice."""
    return 2 * selection.BLOCK_ELEMENTS * (2 * np.dtype(dtype).itemsize + 1 + INDEX)


@pytest.mark.parametrize("dtype", KINDS)
def test_the_bounds_are_far_below_one_byte_a_position(dtype):
    assert update_bound(dtype) + event_bound() + block_bound(dtype) < POSITIONS / 4


@pytest.mark.parametrize("dtype", KINDS)
def test_the_measurement_sees_a_dense_array(dtype):
    # Untouched zeros count: the peak is what was asked for, not what was written.
    peak, _ = peak_of(lambda: np.zeros(POSITIONS, dtype).shape)
    assert peak >= POSITIONS * np.dtype(dtype).itemsize


@pytest.mark.parametrize("dtype", KINDS)
def test_a_layer_holds_bytes_in_proportion_to_its_connections(dtype):
    layer = arranged(Static(), optim.sgd(0.1), dtype)[0].sparse_layers[0]
    itemsize = np.dtype(dtype).itemsize
    # Per connection: weight, column, and row and slot of the transposed pattern; per unit: bias and
    # two pointers.
    assert layer.nbytes <= NNZ * (itemsize + 3 * INDEX) + 2 * (N + 1) * INDEX + N * itemsize
    assert layer.weight.data.nbytes == NNZ * itemsize


@pytest.mark.parametrize("dtype", KINDS)
def test_what_a_layer_says_it_holds_is_what_was_allocated(dtype, monkeypatch):
    rng = np.random.default_rng(419)
    positions = selection.random_ranks(POSITIONS, NNZ, rng)
    values = rng.random(NNZ).astype(dtype)

    monkeypatch.setattr(tiles, "_pool", tiles._Pool())  # else buffers of before are taken again

    def made():
        layer = Linear(csr.from_positions((N, N), positions, values))
        return layer, tracemalloc.get_traced_memory()[0]

    _, (layer, held) = peak_of(made)
    assert layer.nbytes == pytest.approx(held, rel=0.02)  # beside arrays some Python objects


@pytest.mark.parametrize("dtype", KINDS)
def test_making_a_layer_takes_memory_in_proportion_to_its_connections(dtype):
    rng = np.random.default_rng(421)
    peak, _ = peak_of(lambda: sparse_layer(N, N, NNZ, rng, dtype))
    assert peak < event_bound()


@pytest.mark.parametrize("dtype", KINDS)
def test_gradients_hold_one_number_a_connection(dtype):
    net, x, y, _ = arranged(Static(), optim.sgd(0.1), dtype)
    _, grads = net.gradients(x, y)
    first, second = net.sparse_gradients(grads)
    assert (first.weight.shape, second.weight.shape) == ((NNZ,), (NNZ_OUT,))
    assert first.weight.dtype == second.weight.dtype == dtype


@pytest.mark.parametrize(
    ("optimizer", "copies"), [(optim.sgd(0.1), 0), (optim.sgd(0.1, 0.9), 1), (optim.adam(), 2)]
)
@pytest.mark.parametrize("method", [Static(), SET(every=1), RigL(every=1, stop=9)], ids=repr)
def test_the_optimizer_holds_its_numbers_a_connection_before_and_after_events(
    method, optimizer, copies
):
    net, x, y, training = arranged(method, optimizer, np.float32, n=500, nnz=3_000)
    ref = copies * 4 * (3_000 + NNZ_OUT + 500 + CLASSES)
    assert training.optimizer_state.nbytes == ref
    for _ in range(3):
        train.step(net, x, y, training)
    assert training.optimizer_state.nbytes == ref


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize(
    "optimizer",
    [optim.sgd(0.01), optim.sgd(0.01, 0.9, True, 1e-4), optim.adam(weight_decay=1e-4)],
    ids=["sgd", "nesterov", "adam"],
)
def test_a_training_step_takes_memory_in_proportion_to_the_connections(dtype, optimizer):
    peak, training = step_peak(Static(), dtype, optimizer)
    assert training.history.events == []
    assert peak < update_bound(dtype)


@pytest.mark.parametrize("dtype", KINDS)
def test_a_set_event_takes_memory_in_proportion_to_the_connections(dtype):
    peak, training = step_peak(SET(drop_fraction=0.3, every=2), dtype)
    assert [len(event.grown) for event in training.history.events] == [NNZ * 3 // 10, 600]
    assert peak < update_bound(dtype) + event_bound()


# Settings with which the second step rewires about a third of the network, or as much as it can.
EAGER = {
    "static": {},
    "set": {"every": 2},
    "deepr": {"every": 2, "l1": 10.0},
    "rigl": {"every": 2, "stop": 9},
    "set_rigl": {"every": 1, "stop": 9, "drop_fraction": 0.3},
    "ggr": {"every": 1, "stop": 9, "drop_fraction": 0.3},
    "dsr": {"every": 2, "stop": 9, "initial_threshold": 0.3},
    "snfs": {"every": 2, "stop": 9},
    "itop": {"every": 2},
    "topkast": {"refresh_every": 2},
    "dnw": {},
    "edge_popup": {},
    "supermask": {},
    "gradual": {"every": 2, "stop": 9, "density": 1e-4, "initial_density": 2.5e-4},
}
READS_GRADIENT = {"rigl", "set_rigl", "ggr", "snfs"}
# What itop's growth by gradient and at unvisited positions need beside the others.
VARIANTS = [(name, {}) for name in ALL] + [
    ("itop", {"growth": "gradient"}),
    ("itop", {"growth": "random_unfired"}),
    ("ggr", {"insertion": "gradient"}),
    ("ggr", {"distribution": "local"}),
    ("set", {"convention": "set-dcmocanu"}),
]
SPARSE = [(name, more) for name, more in VARIANTS if not ALL[name]().dense_state]


def eager(name, more):
    return ALL[name](**(EAGER[name] | more)).bind(Run(1, 9))


def moved(training):
    return sum(len(event.grown) for event in training.history.events)


def dropped(training):
    return sum(len(event.dropped) for event in training.history.events)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize(("name", "more"), SPARSE, ids=str)
def test_an_event_takes_memory_for_the_connections_and_one_block(name, more, dtype):
    method = eager(name, more)
    net, x, y, training = arranged(method, optim.sgd(0.01, momentum=0.9), dtype)
    train.step(net, x, y, training)  # compiles, settles
    peak, _ = peak_of(lambda: train.step(net, x, y, training))
    assert (dropped(training) > CONNECTIONS / 100) == (name != "static")
    assert sum(net.connections) == CONNECTIONS + moved(training) - dropped(training)
    bound = update_bound(dtype) + event_bound()
    if name in READS_GRADIENT or more.get("growth") == "gradient":
        bound += block_bound(dtype) + SAMPLED + 2 * ACTIVATIONS * np.dtype(dtype).itemsize
    assert peak < bound < POSITIONS / 4


@pytest.mark.parametrize("name", [name for name in ALL if ALL[name]().dense_state])
def test_a_method_that_is_dense_by_definition_holds_a_number_a_position(name):
    n, nnz, item = 1_500, 20_000, 4
    method = eager(name, {})
    before, (net, x, y, training) = peak_of(
        lambda: arranged(method, optim.sgd(0.01, 0.9), np.float32, n, nnz)
    )
    assert before > n * n * item  # it is there ...
    train.step(net, x, y, training)
    peak, _ = peak_of(lambda: train.step(net, x, y, training))
    assert moved(training) > 0
    # ... and an event takes a few copies of one layer's, and what the connections take.
    assert peak < 8 * n * n * item + 16 * INDEX * sum(net.connections)


def test_every_method_is_measured():
    assert set(EAGER) == set(ALL)


def test_only_these_methods_say_they_are_dense():
    dense = {"snfs", "topkast", "dnw", "edge_popup", "supermask"}
    assert {name for name, cls in ALL.items() if cls().dense_state} == dense


def test_set_in_a_layer_with_few_free_positions_lists_only_those():
    # Above one half it is cheaper to draw what is left out; still O(connections).
    rng = np.random.default_rng(431)
    dense = rng.random((300, 400))
    dense.reshape(-1)[rng.permutation(dense.size)[:1000]] = 0
    weight = csr.from_dense(dense)
    peak, rewire = peak_of(lambda: set_.rewire_layer(weight, weight.nnz // 2, rng))
    assert len(rewire.grow) == weight.nnz // 2
    assert peak < 16 * INDEX * weight.nnz


@pytest.mark.parametrize("regrow", rigl.REGROW)
@pytest.mark.parametrize("dtype", KINDS)
def test_a_rigl_event_takes_one_block_more(dtype, regrow):
    peak, training = step_peak(RigL(drop_fraction=0.3, every=2, stop=9, regrow=regrow), dtype)
    assert len(training.history.events) == 2
    assert peak < update_bound(dtype) + event_bound() + block_bound(dtype)


class Watched:
    """A gradient in two factors that notes the size of every block it is asked for."""

    def __init__(self, grad):
        self.grad, self.sizes = grad, []

    def block(self, first, last):
        block = self.grad.block(first, last)
        self.sizes.append(block.size)
        return block


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("shape", [(40, 30_000), (30_000, 40), (3, 300_000)])
def test_rigl_reads_the_gradient_in_blocks_of_the_stated_size(shape, dtype):
    rng = np.random.default_rng(433)
    weight = sparse_layer(*shape, 5_000, rng, dtype).weight
    delta, inputs = (rng.random((1, n, 64 // dtype().itemsize)).astype(dtype) for n in shape)
    watched = Watched(LayerGrad(weight.data, delta[0, :, 0], delta, inputs))
    peak, rewire = peak_of(lambda: rigl.rewire_layer(weight, watched, 1_500))
    assert 0 < len(rewire.grow) <= 1_500
    assert sum(watched.sizes) == shape[0] * shape[1]
    most = max(selection.BLOCK_ELEMENTS, min(16, shape[0]) * shape[1])  # at least 16 rows
    assert max(watched.sizes) <= most
    # As `block_bound`, with candidates of 2 k on top; the dense gradient and its magnitudes alone
    # would be 2 * 1.2 million numbers, and one index for each.
    blocks = 2 * most * (2 * np.dtype(dtype).itemsize + 1 + INDEX)
    assert peak < blocks + SAMPLED + 30 * INDEX * (weight.nnz + 1_500 + sum(shape))


@pytest.mark.parametrize("block", [1 << 12, 1 << 14, 1 << 16])
def test_the_memory_of_a_rigl_event_follows_the_block(block):
    rng = np.random.default_rng(439)
    weight = sparse_layer(2_000, 1_000, 500, rng, np.float32).weight
    delta, inputs = rng.random((1, 2_000, 16), np.float32), rng.random((1, 1_000, 16), np.float32)
    grad = LayerGrad(weight.data, delta[0, :, 0], delta, inputs)
    selection.largest_absent(weight, grad, 100, block_elements=block)  # compiled now
    peak, _ = peak_of(lambda: selection.largest_absent(weight, grad, 100, block_elements=block))
    # The positions are 2 million: 8 MB in float32.
    assert peak < 2 * block * (2 * 4 + 1 + INDEX) + SAMPLED + 30 * INDEX * (500 + 3_000)


def test_the_memory_of_a_step_grows_with_the_connections_and_not_with_the_positions():
    peaks = {}
    for n, nnz in ((2_000, 50_000), (4_000, 50_000), (4_000, 100_000)):
        method = SET(drop_fraction=0.3, every=2)
        net, x, y, training = arranged(method, optim.sgd(0.01, 0.9), np.float32, n, nnz)
        train.step(net, x, y, training)
        peaks[n, nnz], _ = peak_of(lambda: train.step(net, x, y, training))  # noqa: B023
        assert training.history.events
    # Four times the positions: only the activations grow. Twice the connections: at most twice.
    units = 2 * 2_000 * (BATCH * 4 * 6 + 4 * INDEX)
    assert peaks[4_000, 50_000] < peaks[2_000, 50_000] + units
    assert peaks[4_000, 100_000] < 2.1 * peaks[4_000, 50_000]


SCRIPT = """
import resource, sys
sys.path.insert(0, "tests")
import numpy as np
import test_memory as t
from sparse_ref import optim, train

def resident():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

method = t.eager(sys.argv[1], {})
for n, nnz in ((300, 2_000), (t.N, t.NNZ)):
    before = resident()
    net, x, y, training = t.arranged(method, optim.sgd(0.01, 0.9), np.float32, n, nnz)
    for _ in range(2):
        train.step(net, x, y, training)
assert training.history.events
print(resident() - before)
"""


@pytest.mark.parametrize("name", ["set", "rigl", "ggr", "dsr"])
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux only")
def test_what_kernels_allocate_themselves_is_small_too(name):
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, name],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    # Everything the process touched for the large network, the network itself included. The same
    # bounds, plus 32 MiB for what the allocators and threads keep; one byte a position is 381 MiB.
    bound = update_bound(np.float32) + event_bound() + block_bound(np.float32)
    assert int(result.stdout) < bound + 32 * MIB
