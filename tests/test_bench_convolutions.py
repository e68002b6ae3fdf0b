"""Benchmarks of convolutions, whole convnets and all models: made-up records, tiny networks."""

import itertools
import time
from dataclasses import replace

import naive_conv
import numpy as np
import pytest

pytest.importorskip("threadpoolctl")
pytest.importorskip("rich")

from sparse_ref import models
from sparse_ref.bench import (
    conv_contenders,
    conv_pictures,
    conv_report,
    conv_verdicts,
    convnets,
    convolutions,
    model_table,
    peers,
    torch_convnets,
)
from sparse_ref.bench.contenders import (
    BACKWARD,
    BOTH,
    FORWARD,
    INPUT_GRADIENT,
    OUTPUT,
    WEIGHT_GRADIENT,
)
from sparse_ref.bench.conv_contenders import Stages
from sparse_ref.bench.judging import MISSED, NOT_MEASURED, REACHED
from sparse_ref.bench.peers import OURS, SPARSEPROP, TORCH_DENSE
from sparse_ref.bench.settings import SMOKE, TABLE
from sparse_ref.bench.verdicts import verdicts

NOBODY = peers.Peers(None, None, None, {})


@pytest.fixture(scope="module")
def installed():
    """The peers of this environment; CI has none of those needed here."""
    return peers.load(("torch", "sparseprop"))


def small(batch=16):
    return conv_contenders.problem(6, 5, 0.2, batch, np.random.default_rng(5))


# ---------------------------------------------------------------- one convolution


def test_a_problem_has_the_density_it_is_asked_for_and_no_zeros():
    given = small()
    assert np.count_nonzero(given.dense) == given.weight.nnz == round(0.2 * 6 * 6 * 9)
    assert given.first(3).x.shape == (3, 6, 5, 5)


def test_the_reference_is_the_convolution_by_its_definition():
    given = small(batch=5)
    how = (1, 1), (1, 1), ((1, 1), (1, 1)), 1
    right, n = conv_contenders.reference(given), conv_contenders.CHECKED
    y = naive_conv.convolution(given.x, given.dense, given.bias, how)
    inputs, weight, _ = naive_conv.gradients(given.x, given.dense, given.delta, how)
    np.testing.assert_allclose(right[OUTPUT], y[:n], atol=1e-5)
    np.testing.assert_allclose(right[INPUT_GRADIENT], inputs[:n], atol=1e-5)
    in_slots = weight.reshape(-1)[given.dense.reshape(-1) != 0]
    np.testing.assert_allclose(right[WEIGHT_GRADIENT], in_slots, atol=1e-4)


def test_every_way_of_every_library_is_right(installed):
    given = small()
    ways = convolutions._ways(installed)
    right = conv_contenders.reference(given)
    for way, make in ways.items():
        conv_contenders.require_right(", ".join(way), make(given), right)
    assert (OURS, "tiles") in ways
    assert len(ways) == 1 + 2 * (installed.torch is not None) + 2 * (
        installed.sparseprop is not None
    )


def test_a_wrong_result_is_not_timed():
    given = small()
    right = conv_contenders.reference(given)
    right[WEIGHT_GRADIENT] = right[WEIGHT_GRADIENT] + 1.0
    with pytest.raises(ValueError, match="ours, convolution: the weight gradient must be right"):
        conv_contenders.require_right("ours", conv_contenders.ours(given), right)


def test_the_clock_is_read_between_the_stages(monkeypatch):
    now = [0.0]

    def lasting(seconds):
        now[0] += seconds
        return "first"

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    stages = Stages(lambda: lasting(1.0), lambda first: lasting(2.0), lambda *results: {})
    settings = replace(SMOKE, rounds_of_convolutions=3, seconds=5.0)  # two calls a round
    way = OURS, "tiles"
    assert convolutions._timed({way: stages}, {}, settings) == {way: [(1.0, 2.0)] * 3}


def test_of_every_library_the_fastest_way_counts_and_slow_ones_are_left_out(monkeypatch):
    a, b, c = (OURS, "tiles"), (SPARSEPROP, "over rows"), (SPARSEPROP, "over examples")
    taken = {a: [(1.0, 1.0)], b: [(1.0, 5.0)], c: [(4.0, 1.0)]}
    fastest = convolutions._fastest(taken)
    assert fastest == {OURS: ("tiles", taken[a]), SPARSEPROP: ("over examples", taken[c])}
    assert list(fastest) == [OURS, SPARSEPROP]
    monkeypatch.setattr(convolutions, "_called", lambda seconds: seconds)
    assert convolutions._promising({a: 9.0, b: 1.0, c: 1.4}) == [a, b, c]
    assert convolutions._promising({a: 9.0, b: 1.0, c: 1.6}) == [a, b]


def test_pytorchs_layout_is_chosen_at_the_first_density(monkeypatch):
    first, last = (TORCH_DENSE, "channels first"), (TORCH_DENSE, "channels last")
    timed = []

    def timing(whole, trials, settings):
        timed.append(list(whole))
        return {way: [(1.0, 2.0 if way == first else 1.0)] for way in whole}

    ways = {(OURS, "tiles"): lambda g: None, first: lambda g: None, last: lambda g: None}
    monkeypatch.setattr(convolutions, "_ways", lambda peers_: ways)
    monkeypatch.setattr(convolutions, "_require_right", lambda ways_, given: None)
    monkeypatch.setattr(convolutions, "_called", lambda stages: 1.0)
    monkeypatch.setattr(convolutions, "_timed", timing)
    settings = replace(SMOKE, convolutions=((8, 4),), threads=(1,))
    records = list(convolutions.measure(settings, NOBODY, lambda line: None))
    assert timed == [[(OURS, "tiles"), first, last], [(OURS, "tiles"), last]]
    assert {r["way"] for r in records if r["who"] == TORCH_DENSE} == {"channels last"}


def test_records_have_a_figure_per_round_of_both_stages_and_their_sum(installed):
    settings = replace(SMOKE, convolutions=((8, 4),), convolution_densities=(0.3,), threads=(1,))
    records = list(convolutions.measure(settings, installed, lambda line: None))
    for who in {r["who"] for r in records}:
        parts = {r["what"]: r["seconds"] for r in records if r["who"] == who}
        assert all(len(taken) == 2 and min(taken) > 0 for taken in parts.values())
        assert parts[BOTH] == pytest.approx(np.add(parts[FORWARD], parts[BACKWARD]))


# ---------------------------------------------------------------- verdicts, tables, the picture


def grid(who, seconds):
    points = itertools.product(conv_verdicts.LAYERS, conv_verdicts.DENSITIES, (FORWARD, BOTH))
    for (channels, size), density, what in points:
        about = {"part": "convolutions", "what": what, "channels": channels, "size": size}
        about |= {"density": density, "batch": 128, "threads": 1, "connections": 9}
        yield about | {"who": who, "way": "", "seconds": [seconds(density), 2 * seconds(density)]}


def verdict_of(records, start):
    (row,) = (row for row in verdicts(records) if row.what.startswith(start))
    return row


def test_the_grid_of_the_table_is_the_one_that_is_judged():
    assert TABLE.convolutions == conv_verdicts.LAYERS
    assert TABLE.convolution_densities == conv_verdicts.DENSITIES
    assert (TABLE.convolution_batch, TABLE.convnet_batch) == (128, 128)
    assert TABLE.convnets == conv_verdicts.NETWORKS == tuple(convnets.MODELS)


def test_every_density_has_a_bar_of_its_own():
    ours = list(grid(OURS, lambda density: density))
    dense = list(grid(TORCH_DENSE, lambda density: 0.2))  # 10, 4, 2, 0.67 times ours
    start = f"convolutions, {BOTH}, density "
    found = {d: verdict_of([*ours, *dense], f"{start}{d}, against PyTorch") for d in (0.02, 0.05)}
    assert (found[0.02].value, found[0.02].verdict) == (pytest.approx(10.0), REACHED)
    assert (found[0.05].value, found[0.05].verdict) == (pytest.approx(4.0), MISSED)
    row = verdict_of([*ours, *dense], f"{start}0.3, against PyTorch")
    assert (row.asked, row.verdict) == ("at least 1", MISSED)
    row = verdict_of([*ours, *dense[:-1]], f"{start}0.3, against PyTorch")
    assert row.verdict == NOT_MEASURED


def test_sparseprop_must_be_slower_at_every_point():
    ours, theirs = list(grid(OURS, lambda d: d)), list(grid(SPARSEPROP, lambda d: 3.5 * d))
    start = f"convolutions, {BOTH}, against sparseprop: least"
    assert verdict_of([*ours, *theirs], start).verdict == REACHED
    slow = next(r for r in theirs if r["what"] == BOTH and r["channels"] == 256)
    slow["seconds"] = [s / 4 for s in slow["seconds"]]
    row = verdict_of([*ours, *theirs], start)
    assert (row.value, row.verdict) == (pytest.approx(0.875), MISSED)
    assert row.where == "256x8x8, density 0.01"
    mean = verdict_of([*ours, *theirs], f"convolutions, {BOTH}, density 0.02, against sparseprop")
    assert (mean.value, mean.verdict) == (pytest.approx(3.5), REACHED)


def convnet(who, what, width=1.0, **more):
    about = {"part": "convnets", "network": "resnet18", "width": width, "batch": 128}
    return about | {"density": 0.05, "who": who, "way": "", "what": what, "threads": 1} | more


def test_a_network_counts_at_full_width_only():
    step = "training step of resnet18"
    for width, verdict in ((1.0, REACHED), (0.25, NOT_MEASURED)):
        records = [
            convnet(OURS, "step", width, seconds=[1.0, 1.0]),
            convnet(TORCH_DENSE, "step", width, seconds=[3.0, 4.0]),
        ]
        assert verdict_of(records, step).verdict == verdict


def test_memory_is_judged_by_what_the_network_needs():
    records = [
        convnet(OURS, "memory", network_bytes=200_000_000, peak_bytes=10),
        convnet(TORCH_DENSE, "memory", network_bytes=500_000_000, peak_bytes=20),
    ]
    row = verdict_of(records, "memory to train resnet18")
    assert (row.value, row.verdict, row.threads) == (2.5, REACHED, None)
    assert row.measured == "2.50 (500 MB against 200 MB)"
    assert verdict_of(records, "memory to train vgg16").verdict == NOT_MEASURED


def cells(table):
    return [list(column.cells) for column in table.columns]


def test_tables_have_a_geometric_mean_at_each_density():
    records = [*grid(OURS, lambda d: d), *grid(TORCH_DENSE, lambda d: 0.2)]
    tables = list(conv_report.convolution_tables(records))
    assert len(tables) == 2
    layer, density, ours, dense = cells(tables[0])
    assert len(layer) == 4 * 6 + 6
    assert (layer[-1], density[-1]) == (conv_report.MEAN, "0.3")
    assert (ours[1], dense[1]) == ("30.000", "300.000  10.00 (10.00 to 10.00)")
    assert dense[-6] == "20.00 (20.00 to 20.00)"


def test_what_was_not_measured_is_a_dash():
    records = [convnet(OURS, "step", seconds=[1.0]), convnet(OURS, "memory", network_bytes=10**6)]
    records[1]["peak_bytes"] = 2 * 10**6
    records.append(convnet(TORCH_DENSE, "step", seconds=[2.0]))
    (table,) = conv_report.convnet_table(records)
    _, who, step, memory, process = cells(table)
    assert who == [OURS, TORCH_DENSE]
    assert step == ["1,000.000", "2,000.000  2.00 (2.00 to 2.00)"]
    assert (memory, process) == (["1.0", "-"], ["2.0", "-"])


def test_the_picture_has_a_column_per_layer():
    records = [*grid(OURS, lambda d: d), *grid(SPARSEPROP, lambda d: 3 * d)]
    figure = conv_pictures.convolutions(records)
    assert len(figure.axes) == 2 * 4
    line = figure.axes[0].lines[0]
    np.testing.assert_allclose(line.get_xdata(), conv_verdicts.DENSITIES)
    np.testing.assert_allclose(line.get_ydata(), 3.0)
    assert conv_pictures.convolutions([]) is None


# ---------------------------------------------------------------- whole networks


@pytest.mark.parametrize("name", ["resnet18", "vgg16"])
def test_pytorchs_network_is_ours_and_learns_the_same(name, installed):
    torch = installed.torch
    if torch is None:
        pytest.skip("PyTorch is not installed")
    net, images = convnets.network(name, 1 / 16), convnets.batch_of(8)
    model = torch_convnets.NETWORKS[name](torch, 1 / 16)
    torch_convnets.give(net, model, torch)
    convnets._require_same(net, model, images, torch)
    ours = convnets.trained(net)(images)
    theirs = convnets.torch_trained(model, torch, convnets.CHANNELS_LAST)(images)
    assert theirs() == pytest.approx(ours(), rel=1e-4)
    with torch.no_grad():
        model[-1].bias += 1.0
    with pytest.raises(ValueError, match="outputs must be ours"):
        convnets._require_same(net, model, images, torch)


@pytest.mark.parametrize("name", ["resnet18", "vgg16"])
def test_pytorchs_network_has_the_parameters_of_the_papers(name, installed):
    if installed.torch is None:
        pytest.skip("PyTorch is not installed")
    model = torch_convnets.NETWORKS[name](installed.torch, 1.0)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == {"resnet18": 11_173_962, "vgg16": 14_728_266}[name]


def test_steps_of_a_convnet_are_timed_against_pytorchs(installed):
    settings = replace(SMOKE, threads=(1,))
    records = list(convnets._steps("resnet18", settings, installed, lambda line: None))
    names = [OURS] + [TORCH_DENSE] * (installed.torch is not None)
    assert [r["who"] for r in records] == names
    assert all(len(r["seconds"]) == SMOKE.rounds_of_convnets for r in records)


def test_memory_is_that_of_the_network_alone(installed):
    who = OURS if installed.torch is None else TORCH_DENSE
    for name in {OURS, who}:
        way = convnets.CHANNELS_FIRST
        found = convnets.memory("resnet18", name, way, 1 / 16, 64, 1, lambda line: None)
        assert 0 <= found["network_bytes"] < found["peak_bytes"]


# ---------------------------------------------------------------- the table of models


def test_the_table_has_every_model():
    assert {row.model for row in model_table.ROWS.values()} == set(models.MODELS)
    assert set(model_table.MULTILAYER) <= set(models.MODELS)


def test_a_row_of_the_table():
    found = model_table.found("LeNet-5 A", 2, 1, lambda line: None)
    assert found["parameters"] == 60_074  # 59,838 weights: Masks2020's LeNet
    assert found["positions"] == 59_838
    assert found["connections"] == pytest.approx(0.05 * 59_838, rel=0.02)
    assert (found["image"], found["batch"]) == ([1, 28, 28], 128)
    assert len(found["seconds"]) == 2
    about = {"part": "models", "model": "LeNet-5 A", "density": 0.05, "threads": 1}
    (table,) = conv_report.model_table([about | found])
    row = [column[0] for column in cells(table)]
    assert row[:3] == ["LeNet-5 A", "1x28x28", "60,074"]


@pytest.mark.parametrize(
    ("shape", "batch"), [((784,), 128), ((3, 32, 32), 128), ((3, 64, 64), 32), ((3, 224, 224), 8)]
)
def test_large_images_come_in_small_batches(shape, batch):
    assert model_table._batch(shape) == batch
