"""The machine's limits and the scaling part: arithmetic by hand, probes that do what they say.

How fast anything is, is not asserted anywhere.
"""

import math
from types import SimpleNamespace

import numba
import numpy as np
import pytest

pytest.importorskip("threadpoolctl")

from sparse_ref.bench import machine, scaling

THREADS = (1, numba.config.NUMBA_NUM_THREADS)
KIB = 1024


def peak_record(threads, flops):
    return {"part": "machine", "what": "peak", "threads": threads, "flops": flops}


def gather_record(threads, size, rate):
    what = {"part": "machine", "what": "gather", "threads": threads, "bytes": size}
    return what | {"bytes_per_second": rate}


LIMITS = [
    gather_record(1, 1 << 20, 1e9),  # in no order
    gather_record(1, 1 << 10, 1e11),
    peak_record(1, 5e10),
    peak_record(2, 9e10),
    gather_record(2, 1 << 10, 2e11),
    {"part": "kernels", "what": "peak", "threads": 1, "seconds": [1.0]},
]


# ---------------------------------------------------------------- the roofline


def test_what_computes_much_is_bound_by_the_peak():
    assert machine.roofline_seconds(LIMITS, 1, 1e11, 1e10, 1 << 10) == pytest.approx(2.0)


def test_what_gathers_much_is_bound_by_the_memory_it_gathers_from():
    assert machine.roofline_seconds(LIMITS, 1, 1e9, 1e10, 1 << 20) == pytest.approx(10.0)
    assert machine.roofline_seconds(LIMITS, 1, 1e9, 1e10, 1 << 10) == pytest.approx(0.1)


def test_between_two_sizes_the_bandwidth_is_interpolated_in_logarithms():
    # Half way between 2^10 and 2^20 stands the geometric mean of 1e11 and 1e9.
    assert machine.roofline_seconds(LIMITS, 1, 0, 1e10, 1 << 15) == pytest.approx(1.0)


@pytest.mark.parametrize(("size", "seconds"), [(16, 0.1), (1 << 30, 10.0)])
def test_beyond_what_was_measured_the_nearest_size_counts(size, seconds):
    assert machine.roofline_seconds(LIMITS, 1, 0, 1e10, size) == pytest.approx(seconds)


def test_another_number_of_threads_has_limits_of_its_own():
    assert machine.roofline_seconds(LIMITS, 2, 9e10, 0, 1 << 10) == pytest.approx(1.0)
    assert machine.roofline_seconds(LIMITS, 2, 0, 1e11, 1 << 20) == pytest.approx(0.5)


def test_limits_that_were_not_measured_are_missed_by_name():
    with pytest.raises(ValueError, match="records must hold limits of 3 threads"):
        machine.roofline_seconds(LIMITS, 3, 1, 1, 1)


# ---------------------------------------------------------------- the probes


@pytest.mark.parametrize("threads", THREADS)
def test_limits_are_positive_numbers(threads):
    sizes = (16 * KIB, 64 * KIB)
    records = list(machine.measure((threads,), lambda line: None, sizes))
    assert [r["what"] for r in records] == ["peak", "gather", "gather"]
    assert [r["bytes"] for r in records[1:]] == list(sizes)
    assert {(r["part"], r["threads"]) for r in records} == {("machine", threads)}
    rates = [records[0]["flops"], *(r["bytes_per_second"] for r in records[1:])]
    assert all(math.isfinite(rate) and rate > 0 for rate in rates)
    seconds = machine.roofline_seconds(records, threads, 1e9, 1e9, 32 * KIB)
    assert 0 < seconds < math.inf


def test_what_is_measured_is_said():
    lines = []
    list(machine.measure((1,), lines.append, (16 * KIB,)))
    assert lines == ["machine limits, 1 thread"]


@pytest.mark.parametrize("width", [8, 16])
def test_the_peak_probe_makes_the_multiply_adds_it_is_credited_with(width):
    numbers = np.arange(1, 1 + 16 * (machine.CHAINS + 1), dtype=np.float32)
    out = np.zeros((2, machine.CHAINS * width), np.float32)
    machine._PEAK[width](numbers, 3, out)
    start = numbers[width : (machine.CHAINS + 1) * width].reshape(machine.CHAINS, width)
    expected = start + 3 * numbers[0] * numbers[:width]  # small integers: exact
    for row in out:
        np.testing.assert_array_equal(row.reshape(machine.CHAINS, width), expected)


@pytest.mark.parametrize("kernel", machine.GATHERS)
def test_the_gather_probes_add_up_every_row_they_are_credited_with(kernel):
    rng = np.random.default_rng(607)
    x = rng.integers(-9, 9, (2, 12, machine.ROW)).astype(np.float32)
    columns = machine._columns(12, 100)
    weights = rng.integers(-9, 9, columns.size).astype(np.float32)
    out = np.zeros((2, 2 * machine.ROW), np.float32)  # some write one sum of a thread, some two
    kernel(columns, weights, x, 2, out)
    expected = 2 * np.einsum("k,tkl->tl", weights, x[:, columns])
    np.testing.assert_array_equal(out.reshape(2, 2, -1).sum(axis=1), expected)


def test_rows_are_gathered_in_ascending_runs():
    columns = machine._columns(1000, 10_001)
    assert columns.size % 2 == 0
    assert columns.size >= 10_001
    assert columns.min() >= 0
    assert columns.max() < 1000
    assert (np.diff(columns.reshape(-1, machine.RUN), axis=1) >= 0).all()
    assert len(np.unique(columns)) > 900


# ---------------------------------------------------------------- scaling

SETTINGS = SimpleNamespace(threads=(1,), rounds=2, seconds=1e-3)


@pytest.fixture
def scaled(monkeypatch):
    monkeypatch.setattr(scaling, "bytes_per_connection", lambda make, connections: 30.5)

    def measured(largest, lines=None):
        say = (lambda line: None) if lines is None else lines.append
        return list(scaling.measure(SETTINGS, say, largest))

    return measured


def test_every_size_gives_a_record_of_each_action(scaled):
    first, *records = scaled(1100)
    assert first["what"] == "bytes per connection"
    assert (first["value"], first["connections"]) == (30.5, 100_000)
    names = ["step", "set event", "rigl event"]
    assert [(r["what"], r["n"]) for r in records] == [(k, n) for n in (16, 51) for k in names]
    for r in records:
        assert r["connections"] == 21 * r["n"]
        assert r["positions"] == 2 * r["n"] ** 2 + 10 * r["n"]
        assert len(r["seconds"]) == 2
        assert min(r["seconds"]) > 0
        # at least the weights, both patterns' indices and the momentum are there
        assert r["peak_bytes"] > 20 * r["connections"]


def test_rigl_is_left_out_where_it_would_take_too_long(scaled, monkeypatch):
    monkeypatch.setattr(scaling, "RIGL_SECONDS", 0.0)
    lines = []
    records = scaled(1100, lines)
    assert [r["n"] for r in records if r["what"] == "rigl event"] == [16]
    assert [r["n"] for r in records if r["what"] == "set event"] == [16, 51]
    assert any("left out from 1,071 connections on: it looks at all 5,202" in k for k in lines)


def test_it_stops_where_memory_would_not_be_enough(scaled, monkeypatch):
    monkeypatch.setattr(scaling, "_memory", lambda: 1000)
    lines = []
    assert {r.get("n") for r in scaled(1100, lines)} == {None, 16}
    assert any("stopped before 1,071 connections" in line for line in lines)


def test_long_calls_are_made_less_often(scaled, monkeypatch):
    monkeypatch.setattr(scaling, "SLOW_SECONDS", 0.0)
    monkeypatch.setattr(scaling, "SLOW_ROUNDS", 1)
    assert {len(r["seconds"]) for r in scaled(400)[1:]} == {1}


def test_an_event_keeps_the_number_of_connections_and_moves_some():
    work = scaling.Work(51)
    before = [layer.weight.indices.copy() for layer in work.net.sparse_layers]
    counts = work.net.connections
    for event in (work.set_event, work.rigl_event):
        event()
        assert work.net.connections == counts
    after = [layer.weight.indices for layer in work.net.sparse_layers]
    assert not all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_momentum_follows_its_connection():
    work = scaling.Work(51)
    work.step()
    weights = [layer.weight for layer in work.net.sparse_layers]
    positions = [scaling.csr.flat(weight) for weight in weights]
    old = [group[0].copy() for group in work.training.optimizer_state.buffers[::2]]
    work.set_event()
    new = [group[0] for group in work.training.optimizer_state.buffers[::2]]
    for layer, where, before, after in zip(
        work.net.sparse_layers, positions, old, new, strict=True
    ):
        kept = np.isin(scaling.csr.flat(layer.weight), where) & (after != 0)
        found = np.searchsorted(where, scaling.csr.flat(layer.weight)[kept])
        assert kept.sum() > 0
        np.testing.assert_array_equal(after[kept], before[found])


# ---------------------------------------------------------------- bytes of a connection


def made_up(held, temporary, fixed):
    """Builds what keeps `held` bytes a connection and `fixed`, and needs `temporary` in a step."""

    def make(connections):
        kept = np.empty(held * connections + fixed, np.uint8)
        return lambda: (np.empty(temporary * connections, np.uint8), kept)[1].size

    return make


def test_bytes_of_a_connection_agree_with_a_count_by_hand():
    value = scaling.bytes_per_connection(made_up(20, 12, 5_000_000), 100_000)
    assert value == pytest.approx(32, rel=1e-3)


def test_buffers_from_the_pool_count_however_often_it_is_measured():
    def make(connections):
        kept = scaling.tiles.empty((7 * connections,), np.uint8)
        return lambda: kept.size

    values = [scaling.bytes_per_connection(make, 100_000) for _ in range(2)]
    assert values == pytest.approx([7, 7], rel=1e-3)


def test_bytes_of_a_connection_include_what_a_layer_is_known_to_hold():
    # weight, momentum, columns, and rows and slots by input unit: five numbers of four bytes
    assert scaling.bytes_per_connection(scaling._layer_step, 30_000) >= 19.9
