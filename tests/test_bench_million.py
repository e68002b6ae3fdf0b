"""The million-neuron benchmark, at a thousandth of its size."""

import multiprocessing

import numpy as np
import pytest

pytest.importorskip("threadpoolctl")

from sparse_ref import selection
from sparse_ref.bench import alone, million
from sparse_ref.dense_gradient import gradient_rows
from sparse_ref.selection import bounded, streaming

SIZES = (65, 250, 250, 250, 250, 10)
SMALL = {"sizes": SIZES, "connections": 20_000, "batch_size": 8, "threads": 1}
PER_METHOD = {
    "build_seconds",
    "step_seconds",
    "rewiring_seconds",
    "peak_bytes",
    "connections_before",
    "connections_after",
    "moved",
    "losses",
}


@pytest.fixture(scope="module")
def result():
    return million.run(lambda line: None, steps=8, own_process=False, **SMALL)


def test_the_real_one_has_over_a_million_neurons():
    assert sum(million.SIZES) > 1_000_000
    assert million.CONNECTIONS == 20_000_000


def test_connections_are_what_was_asked_for_and_stay(result):
    for of in result["methods"].values():
        assert sum(of["connections_before"]) == sum(of["connections_after"]) == 20_000
        assert of["moved"] > 0
    for name in ("set", "rigl"):
        of = result["methods"][name]
        assert of["connections_after"] == of["connections_before"]


def test_ggr_moves_connections_between_layers(result):
    of = result["methods"]["ggr"]
    assert of["connections_after"] != of["connections_before"]


def test_set_rewires_three_times_and_the_others_once(result):
    assert {name: len(m["rewiring_seconds"]) for name, m in result["methods"].items()} == {
        "set": 3,
        "rigl": 1,
        "ggr": 1,
    }


def test_every_field_is_there(result):
    assert result["neurons"] == sum(SIZES)
    assert result["positions"] == 65 * 250 + 3 * 250 * 250 + 2500
    assert result["dense_bytes"] == 4 * result["positions"]
    assert result["gradient_block_bytes"] == 4 * 250 * 250  # all of a layer is less than a block
    assert {"sizes", "connections", "batch_size", "steps", "threads", "seed"} <= set(result)
    for of in result["methods"].values():
        assert set(of) == PER_METHOD
        assert len(of["losses"]) == 8
        assert np.isfinite(of["losses"]).all()
        assert of["step_seconds"] > 0
        assert min(of["rewiring_seconds"]) > 0
        assert of["peak_bytes"] > 1 << 20


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("n_in", [250, 2 * selection.BLOCK_ELEMENTS // selection.BLOCK_ROWS])
def test_no_block_of_the_dense_gradient_is_larger_than_it_says(monkeypatch, n_in, whole):
    # The whole gradient, as if every part of it could be large, and the part that can.
    blocks = []

    def noted(first, delta, x, out):
        blocks.append(out.nbytes)
        gradient_rows(first, delta, x, out)

    monkeypatch.setattr("sparse_ref.layers.base.gradient_rows", noted)
    monkeypatch.setattr(bounded, "gradient_rows", noted)
    if whole:
        monkeypatch.setattr(streaming, "corner", lambda *factors: None)
    monkeypatch.setattr(million, "REHEARSAL", {})
    small = {**SMALL, "sizes": (n_in, 40, 3), "connections": 9000, "own_process": False}
    result = million.run(lambda line: None, steps=4, methods=["rigl"], **small)
    assert max(blocks) <= result["gradient_block_bytes"]
    assert max(blocks) == result["gradient_block_bytes"] or not whole
    dense = 4 * n_in * 40
    assert result["gradient_block_bytes"] == dense if n_in == 250 else dense > max(blocks)


def test_it_learns():
    of = million.run(lambda line: None, steps=30, methods=["set"], own_process=False, **SMALL)
    losses = of["methods"]["set"]["losses"]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_the_same_seed_gives_the_same_losses(result):
    again = million.run(lambda line: None, steps=8, methods=["rigl"], own_process=False, **SMALL)
    assert again["methods"]["rigl"]["losses"] == result["methods"]["rigl"]["losses"]


def test_a_process_of_its_own_reports_and_finds_the_same(result):
    lines = []
    alone = million.run(lines.append, steps=8, methods=["set"], **SMALL)["methods"]["set"]
    assert alone["losses"] == result["methods"]["set"]["losses"]
    assert any(line.startswith("set: built in") for line in lines)
    assert any(line.startswith("set: step 8 of 8") for line in lines)
    assert not multiprocessing.active_children()


def test_its_peak_is_not_ours(result):
    ours = np.ones(1 << 29, np.uint8)  # 512 MB that the new process must not be charged with
    alone = million.run(lambda line: None, steps=2, methods=["set"], **SMALL)["methods"]["set"]
    assert alone["peak_bytes"] < ours.nbytes


def test_a_process_that_dies_is_an_error(capfd):
    with pytest.raises(RuntimeError, match="process that trained set ended with code 1"):
        million.run(lambda line: None, steps=2, methods=["set"], **{**SMALL, "batch_size": -1})
    assert "ValueError" in capfd.readouterr().err


def test_silence_is_broken(monkeypatch):
    monkeypatch.setattr(alone, "HEARTBEAT", 0.01)
    lines = []
    million.run(lines.append, steps=1, methods=["set"], **SMALL)
    assert any(line.startswith("set: still at it") for line in lines)


def test_a_method_it_does_not_know_is_refused():
    with pytest.raises(
        ValueError, match=r"methods must be of \['ggr', 'rigl', 'set'\], got 'snip'"
    ):
        million.run(lambda line: None, methods=["set", "snip"])


def test_the_table_holds_what_was_found(result):
    text = million.table(result)
    assert "1,075 neurons (65-250-250-250-250-10)" in text
    rows = {line[:28].strip(): line[28:].split() for line in text.splitlines()[3:]}
    assert rows[""] == ["set", "rigl", "ggr"]
    assert rows["connections before"] == rows["connections after"] == 3 * ["20,000"]
    assert rows["connections moved in all"] == [
        f"{m['moved']:,}" for m in result["methods"].values()
    ]
    assert "s (3)" in text
    assert "s (1)" in text


@pytest.mark.parametrize(
    ("n", "words"), [(816_400_000_000, "816 GB"), (1_048_576, "1.05 MB"), (12, "12 B")]
)
def test_bytes_in_words(n, words):
    assert million._bytes(n) == words
