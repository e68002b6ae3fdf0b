"""The benchmark judged by made-up records, fake contenders, and one run of a few seconds."""

import gc
import itertools
import json
import math
import os
import subprocess
import sys
from dataclasses import replace

import numba
import numpy as np
import pytest
from typer.testing import CliRunner

from sparse_ref import cli
from sparse_ref.bench import clock, command, company, contenders, events, peers, pictures, training
from sparse_ref.bench.contenders import BACKWARD, BOTH, FORWARD, WEIGHT_GRADIENT
from sparse_ref.bench.crossing import crossing
from sparse_ref.bench.crossing import measure as measure_crossing
from sparse_ref.bench.judging import MISSED, NOT_MEASURED, REACHED
from sparse_ref.bench.peers import OURS, ROWS, SPARSEPROP, TORCH_CSR, TORCH_DENSE, TORCH_MASKED
from sparse_ref.bench.records import seconds
from sparse_ref.bench.report import tables, verdict_table
from sparse_ref.bench.settings import DENSITIES, PARTS, SHAPES, SMOKE, checked_parts, settings_for
from sparse_ref.bench.shares import shares
from sparse_ref.bench.verdicts import verdicts

NOBODY = peers.Peers(None, None, None, {"torch": "not installed"})


# ---------------------------------------------------------------- the clock


class Contenders:
    """Fakes that note who was called and, by a clock of their own, take as long as they say."""

    def __init__(self, monkeypatch, lasting):
        self.now, self.called = 0.0, []
        monkeypatch.setattr(clock.time, "perf_counter", lambda: self.now)
        self.calls = {name: self._call(name, lasts) for name, lasts in lasting.items()}

    def _call(self, name, lasts):
        def call():
            self.called.append(name)
            self.now += lasts

        return call


def test_every_contender_is_timed_once_a_round(monkeypatch):
    fakes = Contenders(monkeypatch, {"a": 1.0, "b": 3.0})
    taken = clock.interleaved(fakes.calls, 4, 0.0)
    assert taken == {"a": [1.0] * 4, "b": [3.0] * 4}


def test_who_begins_changes_from_round_to_round(monkeypatch):
    fakes = Contenders(monkeypatch, {"a": 1.0, "b": 1.0, "c": 1.0})
    clock.interleaved(fakes.calls, 3, 0.0)
    warm_up, rounds = fakes.called[:6], fakes.called[6:]
    assert warm_up == list("aabbcc")
    assert rounds == list("aabbccbbccaaccaabb")  # one call untimed, one timed


def test_short_calls_are_repeated_until_the_turn_is_long_enough(monkeypatch):
    fakes = Contenders(monkeypatch, {"a": 2**-7, "b": 2**-3})
    taken = clock.interleaved(fakes.calls, 1, 2**-4)
    assert (fakes.called.count("a"), fakes.called.count("b")) == (2 + 1 + 8, 2 + 1 + 1)
    assert taken == {"a": [2**-7], "b": [2**-3]}


def test_a_turn_begins_with_untimed_calls_until_others_threads_sleep(monkeypatch):
    fakes = Contenders(monkeypatch, {"a": clock.SETTLE_SECONDS / 4})
    clock.interleaved(fakes.calls, 1, 0.0)
    assert len(fakes.called) == 2 + 4 + 1


def test_a_warm_up_stands_for_a_contender_that_is_too_long_to_waste(monkeypatch):
    fakes = Contenders(monkeypatch, {"epoch": 100.0, "batch": 1.0})
    calls = {"epoch": fakes.calls["epoch"]}
    taken = clock.interleaved(calls, 2, 0.0, warm_up={"epoch": fakes.calls["batch"]})
    assert taken == {"epoch": [100.0, 100.0]}
    assert fakes.called.count("epoch") == 2


def test_what_a_call_needs_before_it_is_not_timed(monkeypatch):
    fakes = Contenders(monkeypatch, {"event": 2.0, "restore": 50.0})
    calls = {"event": fakes.calls["event"]}
    taken = clock.interleaved(calls, 2, 6.0, prepare={"event": fakes.calls["restore"]})
    assert taken == {"event": [2.0, 2.0]}
    assert fakes.called == ["restore", "event"] * (2 + 2 * (1 + 3))


def test_the_garbage_collector_rests_and_is_woken_again():
    states = []
    clock.interleaved({"a": lambda: states.append(gc.isenabled())}, 1, 0.0)
    assert not any(states)
    assert gc.isenabled()


def test_a_ratio_is_of_medians_and_its_spread_of_rounds():
    assert clock.ratio([3.0, 30.0, 4.0], [1.0, 2.0, 4.0]) == (2.0, 1.0, 15.0)


def test_a_ratio_needs_as_many_rounds_of_both():
    with pytest.raises(ValueError, match="zip"):
        clock.ratio([3.0, 4.0], [1.0])


def test_the_spread_of_a_geometric_mean_is_from_round_to_round():
    #        round:   1     2           1    2
    pairs = [([2.0, 8.0], [1.0, 1.0]), ([8.0, 2.0], [1.0, 1.0])]
    # every point's ratio varies from 2 to 8, their mean is 4 in both rounds
    assert clock.geometric_mean(pairs) == pytest.approx((5.0, 4.0, 4.0))


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one core")
def test_threads_are_held_and_given_back():
    before = numba.get_num_threads()
    with clock.threads(1):
        assert numba.get_num_threads() == 1
        assert _most_threads() == 1
    assert numba.get_num_threads() == before


def _most_threads():
    from threadpoolctl import threadpool_info

    return max(pool["num_threads"] for pool in threadpool_info())


# ---------------------------------------------------------------- where dense becomes faster


def test_the_crossing_lies_between_densities_on_lines_of_logarithms():
    # ours 1 at 0.1 and 16 at 0.4 is 4 at 0.2; dense is 4 throughout
    found = crossing([0.1, 0.4], [1.0, 16.0], [4.0, 4.0])
    assert found.density == pytest.approx(0.2)
    assert found.least == pytest.approx(0.2)
    assert found.text == "0.2"


def test_the_first_crossing_counts():
    found = crossing([0.1, 0.2, 0.4, 0.8], [1.0, 4.0, 1.0, 4.0], [2.0] * 4)
    assert found.density == pytest.approx(math.sqrt(0.1 * 0.2))


def test_nothing_is_said_beyond_what_was_measured():
    above, below = crossing([0.1, 0.9], [1, 2], [3, 3]), crossing([0.1, 0.9], [4, 9], [3, 3])
    assert (above.text, above.least) == ("> 0.9", 0.9)
    assert (below.text, below.least) == ("< 0.1", 0.0)
    assert math.isnan(above.density)
    assert math.isnan(below.density)


def test_measuring_ends_once_dense_is_faster_twice(monkeypatch):
    faster = {0.1: False, 0.2: True, 0.3: False, 0.4: True, 0.5: True, 0.7: True}

    def measured(part, shape, density, batch, settings, peers_, who, whats):
        for name, taken in ((OURS, 2.0), (TORCH_DENSE, 1.0 if faster[density] else 3.0)):
            yield kernel(BOTH, name, shape, density, [taken], part=part)

    monkeypatch.setattr("sparse_ref.bench.crossing.measure_layer", measured)
    settings = replace(SMOKE, crossing_densities=tuple(faster), threads=(1,))
    with_torch = peers.Peers("torch", None, None, {})
    records = list(measure_crossing(settings, with_torch, lambda text: None))
    assert [r["density"] for r in records[::2]] == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert list(measure_crossing(settings, NOBODY, lambda text: None)) == []


# ---------------------------------------------------------------- shares and verdicts

LIMITS = [
    {"part": "machine", "what": "peak", "threads": 1, "flops": 1e11},
    {"part": "machine", "what": "gather", "threads": 1, "bytes": 1 << 14, "bytes_per_second": 1e11},
    {"part": "machine", "what": "gather", "threads": 1, "bytes": 1 << 30, "bytes_per_second": 1e11},
]


def kernel(what, who, shape, density, taken, **more):
    n_in, n_out = shape
    about = {"n_in": n_in, "n_out": n_out, "density": density, "batch": 128, "threads": 1}
    about["connections"] = round(density * n_in * n_out)
    return {"part": "kernels", "what": what, "who": who, **about, "seconds": taken, **more}


def grid(what, who, of_ours, rounds=(1.0, 1.0, 1.25)):
    """Records at every point of the table: ours takes a second per connection and example."""
    for shape, density in itertools.product(SHAPES, DENSITIES):
        work = round(density * shape[0] * shape[1]) * 128.0
        yield kernel(what, who, shape, density, [of_ours * work * r for r in rounds])


def verdict_of(records, start):
    """The one row that starts like this; there is one per number of threads."""
    (row,) = (row for row in verdicts(records) if row.what.startswith(start))
    return row


def test_a_bar_is_reached_or_missed_by_the_geometric_mean():
    ours = [*grid(BOTH, OURS, 1.0), *grid(BOTH, ROWS, 2.0)]
    for factor, verdict in ((4.0, REACHED), (3.96, MISSED)):
        row = verdict_of([*ours, *grid(BOTH, SPARSEPROP, factor)], f"{BOTH}, against sparseprop: ")
        assert row.verdict == verdict
        assert (row.value, row.low, row.high) == pytest.approx((factor, factor, factor))
        assert row.measured.startswith(f"{factor:.2f} (")


def test_the_ratio_with_rows_in_and_out_stands_beside_and_is_not_judged():
    records = [*grid(BOTH, ROWS, 2.0), *grid(BOTH, SPARSEPROP, 4.0)]
    row = verdict_of(records, f"{BOTH}, against sparseprop, ours in rows too")
    assert (row.value, row.asked, row.verdict) == (pytest.approx(2.0), "for comparison", "")


def test_one_slow_point_misses_what_holds_at_every_point():
    records = [*grid(FORWARD, OURS, 1.0), *grid(FORWARD, TORCH_CSR, 3.0)]
    slow = next(r for r in records if r["who"] == TORCH_CSR and r["n_in"] == 3072)
    slow["seconds"] = [s / 3 for s in slow["seconds"]]
    mean = verdict_of(records, "forward, against PyTorch CSR: geometric mean")
    least = verdict_of(records, "forward, against PyTorch CSR: least")
    assert (mean.verdict, least.verdict) == (REACHED, MISSED)
    assert least.value == pytest.approx(1.0)
    assert least.where == "3072x1000, density 0.01"


def test_a_missing_point_is_no_verdict():
    records = [*grid(FORWARD, OURS, 1.0), *grid(FORWARD, TORCH_CSR, 3.0)][:-1]
    row = verdict_of(records, "forward, against PyTorch CSR: geometric mean")
    assert (row.verdict, row.measured, row.value) == (NOT_MEASURED, "", None)


def test_without_records_nothing_is_judged():
    rows = verdicts([])
    assert len(rows) == 24
    assert {row.verdict for row in rows} == {NOT_MEASURED}


def epochs(who, taken, **more):
    about = {"sizes": [784, 1000, 1000, 1000, 10], "examples": 60_000, "data": "noise"}
    about |= {"part": "training", "what": "epoch", "threads": 1, "connections": 9, "batch": 128}
    return about | {"who": who, "seconds": taken} | more


def test_an_epoch_counts_only_at_its_full_size_and_names_its_data():
    records = [epochs(OURS, [1.0, 2.0]), epochs(TORCH_MASKED, [6.0, 10.0])]
    row = verdict_of(records, "epoch of noise, against PyTorch dense + masks")
    assert (row.value, row.low, row.high, row.verdict) == (16 / 3, 5.0, 6.0, REACHED)
    short = [r | {"examples": 384} for r in records]
    assert verdict_of(short, "epoch of Fashion-MNIST, against PyTorch").verdict == NOT_MEASURED


def crossing_records(ours, densities=(0.1, 0.4, 0.9)):
    return [
        kernel(BOTH, who, (1000, 1000), density, taken, part="crossing")
        for density, mine in zip(densities, ours, strict=True)
        for who, taken in ((OURS, mine), (TORCH_DENSE, [4.0] * len(mine)))
    ]


def test_a_crossing_is_of_the_medians_with_its_spread_over_rounds():
    #      density:     0.1              0.4                  0.9
    ours = [[1.0, 1.0, 1.0], [16.0, 8.0, 16.0], [32.0, 32.0, 32.0]]
    row = verdict_of(crossing_records(ours), f"crossing density, {BOTH}, 1000x1000")
    assert (row.value, row.low) == pytest.approx((0.2, 0.2))
    assert row.high == pytest.approx(0.1 * 4 ** (2 / 3))
    assert (row.measured, row.verdict) == ("0.2 (0.2 to 0.252)", MISSED)


def test_no_crossing_up_to_the_last_density_is_beyond_it():
    row = verdict_of(crossing_records([[1.0], [2.0], [3.0]]), f"crossing density, {BOTH}, 1000")
    assert (row.measured, row.value, row.verdict) == ("> 0.9 (> 0.9 to > 0.9)", 0.9, REACHED)


def event_records(**taken):
    about = {"part": "events", "n_in": 4000, "n_out": 4000, "density": 0.05, "threads": 1}
    about |= {"connections": 800_000, "batch": 128, "who": OURS}
    names = {
        "rigl": events.RIGL_EVENT,
        "gradient": events.DENSE_GRADIENT,
        "set_": events.SET_EVENT,
        "step": events.STEP,
    }
    return [about | {"what": names[key], "seconds": list(s)} for key, s in taken.items()]


def test_an_event_must_not_take_longer_than_asked():
    records = event_records(rigl=(1.3, 1.2), gradient=(1.0, 1.0))
    row = verdict_of(records, "RigL event")
    assert (row.value, row.asked, row.verdict) == (pytest.approx(1.25), "at most 1.3", REACHED)
    assert verdict_of(event_records(rigl=[1.4], gradient=[1.0]), "RigL").verdict == MISSED


def test_an_event_of_set_is_counted_in_steps():
    row = verdict_of(event_records(set_=[6.0], step=[3.0]), "SET event")
    assert (row.value, row.verdict) == (2.0, REACHED)
    row = verdict_of(event_records(set_=[6.0], step=[2.5]), "SET event")
    assert (row.value, row.verdict) == (2.4, MISSED)


def test_bytes_count_only_at_a_million_connections():
    record = {"part": "scaling", "what": "bytes per connection", "value": 31.5}
    for connections, verdict in ((1_000_000, REACHED), (100_000, NOT_MEASURED)):
        rows = verdicts([record | {"connections": connections}])
        assert rows[-1].verdict == verdict
    assert verdicts([record | {"connections": 2_000_000, "value": 33.0}])[-1].verdict == MISSED


def test_the_roofline_is_the_slower_of_computing_and_gathering():
    # 2 · 1000 connections · 128 examples at 1e11/s are 2.56 µs, 4 bytes each at 1e11/s 5.12 µs
    about = {"shape": (100, 100), "density": 0.1, "taken": [10.24e-6]}
    for what, expected in ((FORWARD, 5.12e-6), (WEIGHT_GRADIENT, 5.12e-6), (BACKWARD, 5.12e-6)):
        (share,) = shares([*LIMITS, kernel(what, OURS, **about)])
        assert share.roofline == pytest.approx(expected)
    fast_memory = [r | {"bytes_per_second": 1e12} for r in LIMITS[1:]]
    (share,) = shares([LIMITS[0], *fast_memory, kernel(BACKWARD, OURS, **about)])
    assert share.roofline == pytest.approx(5.12e-6)  # four operations a connection, not two


def test_a_kernel_that_passes_the_roofline_counts_as_one():
    (share,) = shares([*LIMITS, kernel(FORWARD, OURS, (100, 100), 0.1, [2e-6, 10.24e-6])])
    assert share.bounded == pytest.approx([2e-6, 5.12e-6])


def test_shares_are_judged_by_their_mean_and_the_least_is_named():
    # a roofline of 0.04 ns per connection and example in every memory
    kernels = [r for what in (FORWARD, BACKWARD) for r in grid(what, OURS, 0.05e-9, [1.0])]
    kernels += grid(WEIGHT_GRADIENT, OURS, 0.4e-9, [1.0])
    row = verdict_of([*LIMITS, *kernels], "share of the roofline")
    assert row.value == pytest.approx((0.8 * 0.8 * 0.1) ** (1 / 3))
    assert row.verdict == MISSED
    assert row.where.startswith("least 0.10: weight gradient, ")


def test_without_the_machines_limits_there_is_no_share():
    assert shares([kernel(FORWARD, OURS, (100, 100), 0.1, [1.0])]) == []


def test_two_records_where_one_is_meant_are_refused():
    records = [kernel(FORWARD, OURS, (100, 100), 0.1, [1.0])] * 2
    with pytest.raises(ValueError, match="one record must be meant, got 2"):
        seconds(records, what=FORWARD)


# ---------------------------------------------------------------- contenders and peers


@pytest.fixture(scope="module")
def installed():
    """The peers of this environment: CI has scikit-learn alone."""
    return peers.load()


def test_every_contender_is_right(installed):
    given = contenders.problem((40, 30), 0.2, 20, np.random.default_rng(5))
    table = contenders.contenders(given, installed)
    contenders.require_right(table, contenders.reference(given))
    assert set(table[BOTH]) >= {OURS, ROWS}
    assert (TORCH_DENSE in table[BOTH]) == (installed.torch is not None)


def test_a_wrong_result_is_not_timed():
    given = contenders.problem((40, 30), 0.2, 20, np.random.default_rng(5))
    right = contenders.reference(given)
    right[WEIGHT_GRADIENT] = right[WEIGHT_GRADIENT] + 0.01
    table = contenders.contenders(given, NOBODY, [OURS])
    with pytest.raises(ValueError, match=f"{OURS}, weight gradient: the weight gradient must be"):
        contenders.require_right({WEIGHT_GRADIENT: table[WEIGHT_GRADIENT]}, right)


def test_a_problem_has_no_weight_of_zero_and_the_density_it_is_asked_for():
    given = contenders.problem((40, 30), 0.2, 20, np.random.default_rng(5))
    assert np.count_nonzero(given.dense) == given.weight.nnz == 240


def test_a_peer_that_is_not_installed_is_named():
    code = """
import sys
sys.modules["sklearn.neural_network"] = sys.modules["torch"] = None  # as if not installed
from sparse_ref.bench import peers
found = peers.load()
assert found.sklearn is None and found.torch is None and found.sparseprop is None
assert set(found.skipped) == {"torch", "sparseprop", "scikit-learn"}, found.skipped
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_peers_are_given_their_own_default_of_spinning(monkeypatch):
    from sparse_ref.threads import SPINS

    seen = {}
    monkeypatch.setattr(peers, "_imported", lambda module: seen.update(os.environ) or "absent")
    monkeypatch.setenv("GOMP_SPINCOUNT", SPINS)
    peers.load()
    assert "GOMP_SPINCOUNT" not in seen
    assert os.environ["GOMP_SPINCOUNT"] == SPINS
    monkeypatch.setenv("GOMP_SPINCOUNT", "77")  # what a user sets holds for all
    peers.load()
    assert seen["GOMP_SPINCOUNT"] == "77"


def test_the_command_starts_without_the_peers():
    code = (
        "import sys, sparse_ref.cli; print({'torch', 'sklearn', 'sparseprop'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


def test_an_event_leaves_the_first_structure_after_restoring():
    layer = events.Layer((20, 30), 0.2)
    before = layer.layer.weight
    dropped = layer.contenders()[events.SET_EVENT]()
    assert len(dropped) == int(0.3 * before.nnz)
    assert layer.layer.weight is not before
    layer.restore()
    assert layer.layer.weight is before


def test_the_network_of_the_table_has_epsilon_20():
    net = training.network((784, 1000, 1000, 1000, 10))
    assert net.connections == (35_680, 40_000, 40_000, 10_000)


def test_the_time_others_took_is_what_is_neither_idle_nor_ours():
    #                  user nice system idle iowait irq softirq steal guest
    text = "cpu  " + " ".join(str(n) for n in (200, 0, 50, 500, 100, 0, 50, 100, 30)) + "\ncpu0"
    found = company.moment(text)
    tick = os.sysconf("SC_CLK_TCK")
    assert (found.total, found.busy) == (1000 / tick, 400 / tick)
    assert company.others(None, found) is None


# ---------------------------------------------------------------- the command


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--scale", "huge"], "scale must be one of"),
        (["--parts", "kernels,lunch"], "parts must be some of"),
        (["--threads", "one"], "threads must be numbers"),
        (["--threads", "0"], "threads must be in"),
        (["--rounds", "1"], "rounds must be at least 2"),
    ],
)
def test_what_a_user_mistypes_is_told_in_a_line(arguments, words):
    done = CliRunner().invoke(cli.app, ["bench", *arguments])
    assert done.exit_code == 2
    assert words in done.output
    assert "Traceback" not in done.output


def test_rounds_are_of_epochs_too():
    chosen = settings_for("smoke", (1,), 4)
    assert (chosen.rounds, chosen.rounds_of_epochs, chosen.threads) == (4, 4, (1,))


def test_parts_are_given_back_as_they_were_asked_for():
    assert checked_parts(("events", "kernels")) == ("events", "kernels")
    with pytest.raises(ValueError, match="parts must be some of"):
        checked_parts(())


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """One run of the whole command at its smallest."""
    folder = tmp_path_factory.mktemp("bench") / "run"
    arguments = ["bench", "--scale", "smoke", "--threads", "1", "--out", str(folder)]
    return CliRunner().invoke(cli.app, arguments), folder


def test_the_smoke_run_writes_its_files(smoke):
    done, folder = smoke
    assert done.exit_code == 0, done.output
    files = {path.name for path in folder.iterdir()}
    assert {"config.json", "environment.json", "results.json"} <= files
    for name in ("speed_up.png", "roofline.png", "scaling.png", "convolutions.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def strict(text):
    """JSON without the NaN and Infinity that Python adds to it."""

    def refuse(name):
        raise ValueError(name)

    return json.loads(text, parse_constant=refuse)


def test_results_are_strict_json_and_hold_all_that_is_shown(smoke, tmp_path):
    _, folder = smoke
    whole = strict((folder / "results.json").read_text())
    assert whole["finished"] is True
    assert {r["part"] for r in whole["records"]} >= {"machine", *PARTS} - {"crossing"}
    again = verdicts(whole["records"])
    assert [row._asdict() for row in again] == whole["verdicts"]
    drawn = {path.name for path in pictures.write_all(tmp_path, whole["records"])}
    assert drawn == {path.name for path in folder.iterdir() if path.suffix == ".png"}
    assert len(list(tables(whole["records"]))) >= 6
    assert verdict_table(again).row_count == len(again)


def test_the_smoke_run_has_a_figure_per_round_of_every_contender(smoke, installed):
    _, folder = smoke
    records = strict((folder / "results.json").read_text())["records"]
    here = [r for r in records if r["part"] == "kernels"]
    assert {(r["n_in"], r["n_out"]) for r in here} == set(SMOKE.shapes)
    assert all(len(r["seconds"]) == SMOKE.rounds and min(r["seconds"]) > 0 for r in here)
    names = {r["who"] for r in records if r["part"] == "training"}
    assert (peers.SKLEARN in names) == (installed.sklearn is not None)


def test_the_smoke_run_judges_nothing_and_names_who_is_missing(smoke, installed):
    done, folder = smoke
    whole = strict((folder / "results.json").read_text())
    assert {row["verdict"] for row in whole["verdicts"]} <= {NOT_MEASURED, ""}
    assert set(whole["skipped"]) == set(installed.skipped)
    for name in installed.skipped:
        assert f"{name} is skipped" in done.output
    assert "what must be reached" in done.output


def test_an_interrupted_run_keeps_what_it_has(monkeypatch, tmp_path):
    def interrupted(settings, parts, peers_, images, say):
        yield kernel(FORWARD, OURS, (64, 48), 0.1, [1.0, 2.0])
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "measure", interrupted)
    folder = tmp_path / "run"
    done = CliRunner().invoke(cli.app, ["bench", "--parts", "kernels", "--out", str(folder)])
    assert done.exit_code == 130
    whole = strict((folder / "results.json").read_text())
    assert (whole["finished"], len(whole["records"])) == (False, 1)


def test_million_is_a_command_of_its_own(monkeypatch, tmp_path):
    asked = {}

    def run(say, **how):
        asked.update(how)
        say("building")
        return {"neurons": 7}

    monkeypatch.setattr(command.million, "run", run)
    monkeypatch.setattr(command.million, "table", lambda result: f"{result['neurons']} neurons")
    folder = tmp_path / "run"
    arguments = ["bench", "million", "--methods", "set", "--steps", "3", "--threads", "1"]
    done = CliRunner().invoke(cli.app, [*arguments, "--out", str(folder)])
    assert done.exit_code == 0, done.output
    assert "7 neurons" in done.output
    assert (asked["methods"], asked["steps"], asked["threads"]) == (("set",), 3, 1)
    assert strict((folder / "results.json").read_text())["neurons"] == 7
