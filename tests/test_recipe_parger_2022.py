"""The recipe parger_2022: what it trains, what it measures, how it judges."""

import csv
import functools
import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from sparse_ref.experiments import reproduce as reproduction
from sparse_ref.experiments.evidence import Sample
from sparse_ref.experiments.parger_2022 import (
    EXHIBITS,
    grid,
    judged,
    measures,
    pictures,
    published,
    tables,
    verdicts,
)
from sparse_ref.experiments.parger_2022.grid import (
    BOTH,
    COLUMNS,
    DENSE,
    DSR,
    GGR,
    GGR_RIGL,
    GGR_SET,
    MASKED,
    RIGL,
    RIVALS,
    ROWS,
    SET,
    Cell,
    Results,
)
from sparse_ref.experiments.recipe import Context, Images
from sparse_ref.experiments.snapshot import Snapshot
from sparse_ref.experiments.sweep import Job, Outcome
from sparse_ref.methods import Run
from sparse_ref.topology.patterns import of_ones
from sparse_ref.train import Evaluation

NETS = ((16, 8, 6, 4), (16, 12, 8, 6, 4))
SMALL, UNBALANCED = NETS
METHODS = (DENSE, *dict.fromkeys((*ROWS, *RIVALS)))
EVERY = grid.cells(NETS, METHODS)
SEEDS = (3, 5)
WORST = (0.99, "uniform")
GGR_TITLE = "GGR: 12 connections"


# ---------------------------------------------------------------- what is trained


def settings_of(method, epochs=200, steps_per_epoch=3):
    cell = Cell((784, 300, 100, 10), method, 0.97, "ERK")
    return grid.config(cell, epochs, "fashion-mnist", steps_per_epoch * 128 - 5, seed=3)


def test_the_learning_rate_falls_when_the_paper_says():
    rate = settings_of(GGR).optimizer.build(3, 600).learning_rate
    warm_up = [rate(step) for step in (1, 2, 3, 4)]
    assert warm_up == pytest.approx([0.1 / 3, 0.2 / 3, 0.1, 0.1])
    around = [3 * epoch + k for epoch in (60, 120, 160, 200) for k in (0, 1)]
    falls = [0.1, 0.02, 0.02, 0.004, 0.004, 0.0008, 0.0008]
    assert [rate(step) for step in around[:-1]] == pytest.approx(falls)


@pytest.mark.parametrize("method", [DENSE, SET, DSR, GGR])
def test_all_share_one_set_of_hyper_parameters(method):
    settings = settings_of(method)
    assert settings.optimizer == settings_of(RIGL).optimizer
    assert (settings.batch_size, settings.epochs) == (128, 200)
    assert settings.optimizer.momentum == 0.9
    assert settings.optimizer.weight_decay == 0.0005
    assert not settings.optimizer.nesterov
    assert not settings.model.dense
    assert settings.model.initialisation == "kaiming_uniform"


@pytest.mark.parametrize("name", ROWS)
def test_every_epoch_but_the_first_begins_with_an_event_until_half(name):
    method = settings_of(name).method.build(600).bind(Run(3, 600))
    assert (method.distribution, method.insertion) == ROWS[name]
    due = [step for step in range(1, 601) if method.due(step)]
    assert due == [3 * epoch + 1 for epoch in range(1, 100)]
    fractions = [method.drop_fraction(step) for step in (*due, 301)]
    expected = [0.1 * (1 + math.cos(math.pi * (k - 1) / 99)) / 2 for k in range(1, 101)]
    assert fractions == pytest.approx(expected, abs=1e-12)
    assert (fractions[0], fractions[-1]) == (0.1, 0.0)


def test_dsr_rewires_between_the_same_epochs():
    method = settings_of(DSR).method.build(600).bind(Run(3, 600))
    due = [step for step in range(1, 601) if method.due(step)]
    assert due == [3 * epoch for epoch in range(1, 100)]
    assert method.target == 0.1


def test_the_rows_are_those_of_the_paper():
    numbers = {name: how[0] for name, how in ROWS.items()}
    assert numbers == dict.fromkeys((SET, RIGL, BOTH), "local") | dict.fromkeys(
        (GGR_SET, GGR_RIGL, GGR), "global"
    )
    positions = [how[1] for how in ROWS.values()]
    assert positions == ["random", "gradient", "mixed"] * 2


@pytest.mark.parametrize("cell", [c for c in EVERY if c.method == DSR])
def test_dsr_starts_with_a_threshold_below_which_a_tenth_lies(cell):
    cell = cell._replace(network=(784, 100, 10))
    net = grid.config(cell, 4, "fashion-mnist", 300, seed=3).model.build(np.random.default_rng(29))
    weights = np.concatenate([layer.weight.data for layer in net.sparse_layers])
    share = np.mean(np.abs(weights) < grid.threshold(cell))
    assert abs(share - 0.1) < 5 * math.sqrt(0.09 / len(weights))


def test_a_cell_says_what_its_network_is():
    cell = Cell((784, 300, 100, 10), GGR, 0.97, "uniform")
    model = grid.config(cell, 4, "fashion-mnist", 300, seed=3).model
    assert (model.sizes, model.density) == ([784, 300, 100, 10], 0.03)
    assert (model.distribution, model.fan) == ("uniform", "layer")
    dense = grid.config(Cell(cell.network, DENSE), 4, "fashion-mnist", 300, seed=3)
    assert dense.model.density is None
    assert dense.method.name == "static"


def test_the_second_network_is_as_badly_balanced_as_the_papers():
    sizes = [a * b for a, b in itertools.pairwise(grid.SETTINGS["paper"].networks[-1])]
    assert max(sizes) / sum(sizes) == pytest.approx(102 / 138, abs=0.005)


def asked(name, scale="laptop", seeds=2):
    """Jobs that a figure hands over, without training them."""
    jobs = []

    def train(given, data):
        jobs.extend(given)
        raise InterruptedError

    x = np.zeros((9, 4, 4))
    images = Images((x, np.arange(9)), (x, np.arange(9)), "digits")
    context = Context(scale, lambda wanted: images, train, seeds)
    figure = reproduction.RECIPES["parger_2022"][name]
    with pytest.raises(InterruptedError):
        figure.run(context)
    return jobs


def test_one_command_trains_nothing_twice():
    jobs = asked("all")
    assert len(jobs) == 2 * 2 * (1 + 7 * len(COLUMNS))
    assert len({job.config.model_dump_json() for job in jobs}) == len(jobs)
    assert [job.name for job in jobs[:4]] == ["dense, 784-300-100-10"] * 2 + [
        "dense, 784-1000-250-100-10"
    ] * 2
    assert all(job.keep == (job.config.epochs,) for job in jobs if job.config.model.density == 0.03)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [("table1", 50), ("table2", 50), ("table3", 72), ("table4", 16), ("fig2", 16), ("fig3", 4)],
)
def test_a_figure_trains_what_it_shows(name, kinds):
    assert len({job.name + str(job.config.model.density) for job in asked(name)}) == kinds


def test_seeds_of_a_cell_differ_in_the_seed_only():
    first, second, *_ = asked("fig3", seeds=3)
    assert (first.config.seed, second.config.seed) == (1, 2)
    assert first.config.model_copy(update={"seed": 2}) == second.config


# ---------------------------------------------------------------- fabricated outcomes


def block(shape, share):
    """Flat positions of a full block at the upper left, of about `share` of rows and columns."""
    rows, columns = (min(n, max(1, round(share * n))) for n in shape)
    return np.add.outer(np.arange(rows) * shape[1], np.arange(columns)).reshape(-1)


class Ended(Outcome):
    """An outcome whose epochs are not told one by one."""

    @property
    def densities(self):
        return np.array(self.connections) / np.array(self.positions)


@functools.cache
def untrained(cell, seed):
    """What a training of `cell` begins with."""
    settings = grid.config(cell, 4, "fashion-mnist", 300, seed)
    counts = settings.model.build(np.random.default_rng(seed)).connections
    positions = tuple(math.prod(shape) for shape in cell.shapes)
    return Ended(Job(cell.method, settings), connections=(counts, counts), positions=positions)


def ended(layers, shapes):
    """Snapshots of a network with connections at these positions after four epochs."""
    return {4: Snapshot(tuple(map(of_ones, shapes, layers)))}


def results(accuracy=lambda cell: 0.5, share=lambda cell: 0.5, after=lambda cell: None, nets=NETS):
    """Two trainings that never were of every cell, without spread.

    Their patterns are full blocks of `share` of the rows and columns, `after` is how many
    connections the layers end with; that these do not fit together does not matter here.
    """

    def made(cell, seed):
        start = untrained(cell, seed)
        return replace(
            start,
            test=Evaluation(0.5, accuracy(cell)),
            connections=(start.connections[0], after(cell) or start.connections[1]),
            snapshots=ended([block(shape, share(cell)) for shape in cell.shapes], cell.shapes),
        )

    every = grid.cells(nets, METHODS)
    return Results(nets, {cell: [made(cell, seed) for seed in SEEDS] for cell in every})


def as_published(table, failed=0.5):
    """Every network does what the paper's table says; what it leaves out failed."""

    def accuracy(cell):
        if cell.method not in table:
            return 0.0
        column = (cell.sparsity, cell.start) if cell.start else COLUMNS[0]
        value = published.at(table, cell.method, *column)
        return (failed if value is None else value) / 100

    return accuracy


def verdict(claims):
    return [claim.agrees for claim in claims]


# ---------------------------------------------------------------- claims on accuracies

VGG16 = as_published(published.TABLE_1_VGG16)
AVERAGES = as_published(published.TABLE_3)


def test_the_papers_numbers_agree_with_what_it_says_of_single_networks():
    assert verdict(judged.table1(results(VGG16))) == [True, True, True]


def test_other_orders_contradict_what_it_says_of_single_networks():
    near, learns, dense = judged.table1(results(lambda cell: 1 - VGG16(cell)))
    assert (learns.agrees, dense.agrees) == (False, False)
    assert near.agrees  # the distance stays
    far = results(lambda cell: VGG16(cell) - 0.05 * (cell.start == "uniform"))
    assert judged.table1(far)[0].agrees is False


def test_the_papers_numbers_agree_with_who_is_best():
    best = judged.table2(results(as_published(published.TABLE_2)))[:6]
    assert verdict(best) == [True] * 6
    reverse = judged.table2(results(lambda cell: 1 - as_published(published.TABLE_2)(cell)))[:6]
    assert verdict(reverse) == [False] * 6


def test_a_gap_is_judged_by_what_each_network_lost():
    assert verdict(judged.table2(results(VGG16))[6:]) == [True] * 4
    assert verdict(judged.table2(results(lambda cell: 1 - VGG16(cell)))[6:]) == [False] * 4


def test_the_papers_numbers_agree_with_what_it_says_of_the_halves():
    assert verdict(judged.table3(results(AVERAGES))) == [True, True, True]
    assert verdict(judged.table3(results(lambda cell: 1 - AVERAGES(cell)))) == [False] * 3


def test_one_column_is_enough_to_contradict():
    def accuracy(cell):
        worse = cell.method == RIGL and (cell.sparsity, cell.start) == (0.97, "ERK")
        return AVERAGES(cell) - 0.2 * worse

    local, _, _ = judged.table3(results(accuracy))
    assert local.agrees is False
    assert "sparsity 0.97, ERK, no: " in local.measured
    assert local.measured.count(", yes: ") == 4


def test_where_all_are_equal_nothing_is_decided():
    equal = results()
    claims = [*judged.table1(equal)[1:], *judged.table2(equal), *judged.table3(equal)]
    assert verdict(claims) == [None] * 15
    assert all(claim.why for claim in claims)


def test_a_spread_hides_a_small_difference():
    best, rest = Sample(GGR, (0.80, 0.90)), Sample(SET, (0.79, 0.89))
    claim = verdicts.highest("best", best, [rest, rest._replace(values=(0.1, 0.1))])
    assert claim.agrees is None
    assert "GGR and SET" in claim.why
    worse = rest._replace(values=(0.99, 0.99))
    assert verdicts.highest("best", best, [rest, worse]).agrees is False
    assert verdicts.lowest("least", rest, [worse]).agrees is True


def three(whole, half, other):
    names = (GGR, GGR_SET, GGR_RIGL)
    return tuple(Sample(n, (v, v)) for n, v in zip(names, (whole, half, other), strict=True))


@pytest.mark.parametrize(
    ("places", "agrees"),
    [
        ([(0.59, 0.60, 0.50)], True),
        ([(0.59, 0.50, 0.60), (0.60, 0.60, 0.60)], True),
        ([(0.57, 0.60, 0.50), (0.60, 0.60, 0.60)], False),
        ([(0.60, 0.60, 0.595), (0.59, 0.60, 0.60)], None),
    ],
)
def test_being_close_is_tested_only_where_the_halves_differ(places, agrees):
    samples = {str(k): three(*place) for k, place in enumerate(places)}
    claim = verdicts.always_close("close", samples, 0.02)
    assert claim.agrees is agrees
    assert bool(claim.why) == (agrees is None)


def test_being_close_is_open_where_seeds_differ_too_much():
    whole, half, other = three(0.59, 0.60, 0.50)
    samples = {"here": (whole._replace(values=(0.49, 0.69)), half, other)}
    assert verdicts.always_close("close", samples, 0.02).agrees is None


# ---------------------------------------------------------------- claims on patterns


def test_how_far_a_network_shrinks():
    blocks = {SET: 0.9, RIGL: 0.6, DSR: 0.5, GGR: 0.3}

    def share(cell):
        return blocks.get(cell.method, 1.0) + 0.2 * (cell.start == "uniform")

    assert verdict(judged.table4(results(share=share))) == [True] * 5
    assert verdict(judged.table4(results(share=lambda cell: 1.2 - share(cell)))) == [False] * 5
    assert verdict(judged.table4(results())) == [None] * 5


def ends(table):
    """Connections at the end by method, for the badly balanced network; else as at the start."""

    def after(cell):
        if cell.network == UNBALANCED and (cell.sparsity, cell.start) == (MASKED, "ERK"):
            return table.get(cell.method)
        return (9, 9, 9, 9)[: len(cell.shapes)] if cell.method in (GGR, DSR) else None

    return after


def test_where_the_connections_went():
    # 12 x 16, 8 x 12, 6 x 8 and 4 x 6 positions
    even, extreme = (3, 3, 3, 4), (1, 1, 2, 9)
    claims = judged.figure2(results(after=ends({GGR: even, DSR: extreme})))
    assert verdict(claims) == [True] * 4
    swapped = judged.figure2(results(after=ends({GGR: extreme, DSR: even})))
    assert verdict(swapped) == [False, False, False, True]


def test_a_layer_that_gets_nothing_contradicts_that_density_goes_where_it_is_needed():
    def after(cell):
        drained = cell.method == DSR and (cell.sparsity, cell.start) == WORST
        return (9,) * (len(cell.shapes) - 1) + (0 if drained else 9,)

    nets = ((16, 60, 10), (16, 8, 60, 10))  # the output layer starts with 6 connections
    last = judged.figure2(results(after=after, nets=nets))[-1]
    assert last.agrees is False
    assert "16-60-10, GGR, yes: " in last.measured
    assert "16-60-10, DSR, no: " in last.measured


def test_how_structured_masks_are():
    blocks = {SET: 0.9, RIGL: 0.2, DSR: 0.8, GGR: 0.5}
    share = results(share=lambda cell: blocks.get(cell.method, 1.0))
    assert verdict(judged.figure3(share)) == [True] * 3
    reverse = results(share=lambda cell: 1.1 - blocks.get(cell.method, 0.1))
    assert verdict(judged.figure3(reverse)) == [False] * 3
    assert verdict(judged.figure3(results())) == [None] * 3


def test_unevenness_by_hand():
    mask = np.array([[1, 1, 1, 1], [1, 0, 0, 1]])
    cell = Cell((4, 2), GGR, 0.5, "ERK")
    made = replace(untrained(cell, 3), snapshots=ended([np.flatnonzero(mask)], [mask.shape]))
    (weight,) = measures.patterns(made)
    np.testing.assert_array_equal(weight.toarray(), mask)
    # rows hold 4 and 2, columns 2, 1, 1, 2
    assert measures.unevenness(weight) == pytest.approx((1 / 3, 1 / 3))


def test_unevenness_of_random_masks_is_that_expected():
    rng, shape, n = np.random.default_rng(31), (20, 30), 90
    squares = []
    for _ in range(400):
        mask = np.zeros(shape).reshape(-1)
        mask[rng.permutation(mask.size)[:n]] = 1
        mask = mask.reshape(shape)
        squares.append([np.mean((mask.sum(axis=a) / (n / shape[1 - a]) - 1) ** 2) for a in (1, 0)])
    expected = np.square(measures.by_chance(shape, n))
    spread = np.std(squares, axis=0) / 20
    assert np.all(np.abs(np.mean(squares, axis=0) - expected) < 4 * spread)


# ---------------------------------------------------------------- tables and pictures


def table_of(report, words):
    (found,) = [table for table in report.tables if words in table.title]
    return {row[0]: row[1:] for row in found.rows}


def test_averages_are_over_networks_seed_by_seed():
    found = results(lambda cell: 0.2 if cell.network == SMALL else 0.5)
    cell = Cell(SMALL, GGR, 0.97, "ERK")
    one, other = found.outcomes[cell]
    found.outcomes[cell] = [one, replace(other, test=Evaluation(0.1, 0.4))]
    assert found.average(GGR, 0.97, "ERK").values == pytest.approx((0.35, 0.45))
    assert found.lost(GGR, 0.97).values == pytest.approx((0.0, 0.1))
    rows = table_of(tables.table2(found), "average over 2 networks")
    assert rows[GGR][2] == "40.00 ± 7.07"
    assert rows[SET][2] == "35.00 ± 0.00"
    assert rows[DENSE] == ("35.00 ± 0.00", "", "", "", "", "")
    assert list(rows) == [DENSE, SET, RIGL, DSR, GGR]


def test_a_seed_that_diverged_somewhere_is_in_no_average():
    found = results(lambda cell: 0.2 if cell.network == SMALL else 0.5)
    found.outcomes[Cell(SMALL, GGR, 0.97, "ERK")].pop(0)
    found.outcomes[Cell(UNBALANCED, GGR, 0.97, "uniform")].pop(1)
    assert found.average(GGR, 0.97, "ERK").values == pytest.approx((0.35,))
    assert found.lost(GGR, 0.97).values == ()


def test_table_3_has_a_grid_a_network_and_one_of_averages():
    report = tables.table3(results(AVERAGES))
    assert [table.title.split(";")[0] for table in report.tables] == [
        "Test accuracy %, 16-8-6-4, by sparsity and start",
        "Test accuracy %, 16-12-8-6-4, by sparsity and start",
        "Test accuracy %, average over 2 networks",
        "published (convnets): averages, %",
    ]
    for table in report.tables[:3]:
        assert table.rows[-1] == (GGR, *(f"{v:.2f} ± 0.00" for v in published.TABLE_3[GGR]))
        assert [row[0] for row in table.rows] == list(ROWS)
    assert report.tables[3].rows[1][-1] == "–"


def test_table_4_counts_what_is_empty():
    found = results(share=lambda cell: 0.5 if cell.method == GGR else 1.0)
    rows = table_of(tables.table4(found), "16-8-6-4, ")
    # 8 x 16, 6 x 8 and 4 x 6 positions, a quarter of them in the block
    assert rows[SET][2:6] == ("0.00 ± 0.00",) * 4
    assert rows[SET][6:] == ("0.2 ± 0.0",) * 2
    assert rows[GGR][2:6] == ("50.00 ± 0.00",) * 4
    pooled = results(share=lambda cell: 0.25)
    rows = table_of(tables.table4(pooled), "16-8-6-4, ")
    assert rows[GGR][2] == f"{100 * (6 + 4 + 3) / 18:.2f} ± 0.00"
    assert rows[GGR][4] == f"{100 * (12 + 6 + 4) / 30:.2f} ± 0.00"


def test_the_published_shortfall_is_that_of_the_paper():
    assert published.shortfall() == pytest.approx(63.63 - 62.11)


@pytest.mark.parametrize("name", EXHIBITS)
def test_what_diverged_leaves_dashes(name):
    found = results()
    for cell in found.outcomes:
        if cell.method == GGR:
            found.outcomes[cell] = []
    report = EXHIBITS[name].report(found)
    words = [cell for table in report.tables for row in table.rows for cell in row]
    assert "–" in words
    assert "nan" not in " ".join(words)
    assert None in verdict(report.claims)
    assert True not in [c.agrees for c in report.claims if "GGR" in c.paper and "drain" in c.paper]


def test_no_mask_at_all_is_no_picture():
    empty = Results(NETS, {cell: [] for cell in EVERY})
    assert pictures.fig3(empty).pictures == {}


def test_figure_2_begins_with_the_allocation():
    report = pictures.fig2(results(after=ends({})))
    rows = table_of(report, "16-8-6-4, sparsity 0.99, uniform")
    assert list(rows) == ["start", SET, RIGL, DSR, GGR]
    assert rows[SET] == tuple(f"{start} ± 0.00" for start in rows["start"])
    assert rows[GGR] == tuple(f"{100 * 9 / n:.2f} ± 0.00" for n in (128, 48, 24))
    assert set(report.pictures) == {"fig2-16-8-6-4.png", "fig2-16-12-8-6-4.png"}


def test_figure_2_shows_what_each_layer_ends_with():
    figure = pictures.fig2(results(after=ends({}))).pictures["fig2-16-8-6-4.png"]
    connections = figure.axes[3]  # below, sparsity 0.99, uniform
    marks = {line.get_marker(): line.get_ydata() for line in connections.get_lines()}
    np.testing.assert_array_equal(marks[pictures.LOOKS[GGR][1]], [9, 9, 9])
    np.testing.assert_array_equal(marks[pictures.LOOKS[SET][1]], [1, 1, 0.5])


def test_figure_3_shows_the_second_layer_of_the_first_network():
    shown = results(share=lambda cell: 0.5 if cell.method == GGR else 1.0)
    report = pictures.fig3(shown)
    axes = {ax.get_title(): ax for ax in report.pictures["fig3-masks.png"].axes}
    assert list(axes) == [*(f"{name}: 48 connections" for name in (SET, RIGL, DSR)), GGR_TITLE]
    expected = np.zeros((6, 8))
    expected[:3, :4] = 1
    np.testing.assert_array_equal(axes[GGR_TITLE].get_images()[0].get_array(), expected)
    pixels = report.pictures["fig3-inputs.png"].axes[3].get_images()[0].get_array()
    np.testing.assert_array_equal(pixels, np.repeat([4, 0], 8).reshape(4, 4))


def test_every_method_keeps_its_look():
    assert set(pictures.LOOKS) == set(RIVALS)
    colours, markers = zip(*pictures.LOOKS.values(), strict=True)
    assert len(set(colours)) == len(set(markers)) == len(RIVALS)


# ---------------------------------------------------------------- end to end


def test_smoke_runs_from_end_to_end(tmp_path):
    rng = np.random.default_rng(37)
    train = rng.random((400, 28, 28)), rng.integers(0, 10, 400)
    test = rng.random((60, 28, 28)), rng.integers(0, 10, 60)
    loaders = {"fashion-mnist-sample": lambda: (train, test)}
    order = reproduction.order("parger_2022", "all", "smoke", seeds=1, workers=0)
    folder = tmp_path / "out"
    report = reproduction.reproduce(order, loaders, folder)
    with open(folder / "results.csv", newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 2 * (1 + 7 * len(COLUMNS))
    assert not any(line["failure"] for line in lines)
    assert len(list(folder.glob("*.png"))) == len(report.pictures) == 4
    assert verdict(report.claims) == [None] * 28
    numbers = json.loads((folder / "report.json").read_text(encoding="utf-8"))["numbers"]
    kinds = {(c["network"], c["method"], c["sparsity"], c["start"]) for c in numbers["cells"]}
    assert len(kinds) == len(lines)
    assert ("784-60-30-20-10", GGR, 0.99, "uniform") in kinds
