"""The recipe alford_2018: what it draws, what it trains, how it judges."""

import csv
import json
import math

import numpy as np
import pytest

from sparse_ref import topology
from sparse_ref.experiments import reproduce as reproduction
from sparse_ref.experiments.alford_2018 import FIGURES, figure_5, figure_6, figure_9, published
from sparse_ref.experiments.alford_2018.networks import (
    DENSE,
    RADIX,
    RANDOM,
    Net,
    config,
    has_radix,
    parts,
    radix,
)
from sparse_ref.experiments.alford_2018.paths import counted, degrees_in_words
from sparse_ref.experiments.recipe import Context, Images
from sparse_ref.experiments.sweep import Job, Outcome

PLACES = (*figure_9.FEWER, *figure_9.WIDER)


def nothing(*arguments):
    raise AssertionError("nothing is to be loaded or trained")


def verdict(claims):
    return [claim.agrees for claim in claims]


# ---------------------------------------------------------------- networks


def test_the_networks_are_those_published_and_two_more():
    assert [tuple(net) for net in figure_9.nets()] == [
        (DENSE, 1, 1.0),
        (RANDOM, 1, 0.5),
        (RADIX, 1, 0.5),
        (RANDOM, 1, 0.1),
        (RADIX, 1, 0.1),
        (RANDOM, 1, 0.05),
        (RANDOM, 1, 0.01),
        (RANDOM, 2, 0.5),
        (RADIX, 2, 0.5),
        (RANDOM, 10, 0.1),
        (RADIX, 10, 0.1),
        (RANDOM, 100, 0.01),
    ]
    shown = {tuple(net) for net in figure_9.nets()}
    assert shown - set(published.FIGURE_9) == {(RADIX, 1, 0.5), (RADIX, 2, 0.5)}
    assert set(published.FIGURE_9) <= shown


@pytest.mark.parametrize("net", [net for net in figure_9.nets() if net.kind == RADIX])
def test_a_radix_net_has_its_density_and_equal_paths(net):
    layers = net.layers(3)
    assert [w.shape for w in layers] == net.shapes
    assert [w.nnz / math.prod(w.shape) for w in layers] == [net.density] * 2
    assert topology.connectivity(layers).symmetric


def test_fixed_connections_are_those_of_the_dense_network():
    for times, density in figure_9.WIDER:
        shapes = Net(RANDOM, times, density).shapes
        assert density * sum(math.prod(s) for s in shapes) + 1000 == pytest.approx(266_200)
    assert sum(w.nnz for w in radix(2, 0.5)) + 1000 == 266_200


@pytest.mark.parametrize("place", PLACES)
def test_there_is_a_radix_net_where_units_are_multiples_of_its_own(place):
    times, density = place
    units = round(1 / density) ** 2
    assert has_radix(*place) == (100 % units == 0 and 300 * times % units == 0)


def test_a_random_net_is_a_coin_for_each_connection_and_one_of_its_seed():
    net = Net(RANDOM, 10, 0.1)
    first, again, other = (net.layers(seed) for seed in (3, 3, 5))
    assert [w.shape for w in first] == net.shapes
    for one, same, different in zip(first, again, other, strict=True):
        size = math.prod(one.shape)
        assert np.array_equal(one.indices, same.indices)
        assert one.nnz != different.nnz
        assert abs(one.nnz - 0.1 * size) < 6 * math.sqrt(0.09 * size)


def test_a_dense_network_starts_with_nothing_in_particular():
    assert Net(DENSE).start(3) is None
    assert Net(RADIX, 1, 0.1).start(3).others is None


def test_settings_are_those_of_the_program():
    settings = config(Net(RADIX, 10, 0.1), 18, 3, "mnist")
    assert settings.model.sizes == [784, 3000, 100, 10]
    assert settings.model.dense == [-1]
    assert settings.model.initialisation == "truncated_normal"
    assert (settings.batch_size, settings.method.name) == (100, "static")
    optimizer = settings.optimizer.build(550, 9900)
    assert (optimizer.momentum, optimizer.weight_decay) == (0.0, 0.004)
    assert [optimizer.learning_rate(step) for step in (1, 9900)] == [0.2, 0.2]
    assert config(Net(DENSE), 18, 3, "mnist").model.density is None


def test_the_first_five_thousand_images_are_set_aside():
    y = np.arange(12_000)
    images = Images((y[:, None] * np.ones(3), y), (np.ones((2, 3)), np.ones(2)), "mnist")
    data = parts(images, None)
    assert data.train[1].tolist() == list(range(5000, 12_000))
    assert np.array_equal(data.train[0][:, 0], data.train[1])
    assert data.validation is None
    assert parts(images, 7).train[1].tolist() == list(range(5000, 5007))


def test_a_sample_is_kept_whole():
    y = np.arange(300)
    images = Images((y[:, None] * np.ones(3), y), (np.ones((2, 3)), np.ones(2)), "sample")
    assert len(parts(images, None).train[1]) == 300


# ---------------------------------------------------------------- figures 5 and 6


def test_paths_by_hand():
    diamond = np.array([[1, 0], [1, 1]]), np.array([[1, 1], [0, 0]])
    found = counted(diamond)
    assert found == (4, 2, 0, 2, 0.75)
    assert found.joined_in_words == "2 of 4"
    assert found.number_in_words == "0 to 2, mean 0.75"
    assert counted(topology.radix_net([(2, 2, 2)])).number_in_words == "1"
    assert counted([np.zeros((2, 3))]) == (6, 0, 0, 0, 0.0)


def test_degrees_in_words():
    assert degrees_in_words(np.array([2, 2])) == "2"
    assert degrees_in_words(np.array([3, 0, 2])) == "0 to 3"


def test_figure_5_is_what_the_paper_says_it_is():
    report = figure_5.run(Context("smoke", nothing, nothing, seeds=40))
    assert verdict(report.claims) == [True, True, None]
    assert report.tables[1].rows[0] == (figure_5.RADIX, "64 of 64", "1")
    for row in report.tables[0].rows[:3]:
        assert row[2:] == ("16", "2", "2")
    assert len(report.numbers["joined"]) == 40
    assert set(report.pictures) == {"figure_5.png", "figure_5_paths.png"}


def test_random_equivalents_have_three_layers_of_a_quarter():
    counts = [w.nnz for seed in range(3, 203) for w in figure_5.twin(seed)]
    assert abs(np.mean(counts) - 16) < 6 * math.sqrt(12 / 600)
    assert {w.shape for w in figure_5.twin(3)} == {(8, 8)}


def test_figure_6_counts_lenets():
    report = figure_6.run(Context("smoke", nothing, nothing))
    assert verdict(report.claims) == [True] * 4
    rows = {row[0]: row[1:] for row in report.tables[0].rows}
    assert rows["RadiX-Net 784-300-100-10"] == (
        "27,520",
        "30",
        "70 to 80",
        "30",
        "78,400 of 78,400",
        "3",
    )
    assert rows["RadiX-Net 784-3000-100-10"][-2:] == ("78,400 of 78,400", "30")
    loose = {row[0]: row[-1].split()[0] for row in report.tables[0].rows if RANDOM in row[0]}
    assert loose["random 784-300-100-10"] == "0"  # paths of the pair with fewest
    assert int(loose["random 784-3000-100-10"]) > 0


def test_miniatures_have_the_connections_of_the_dense_one_or_half():
    nets = list(figure_6.miniatures().values())
    assert [[w.shape for w in net] for net in nets] == [
        [(12, 8), (4, 12), (2, 4)],
        [(12, 8), (4, 12), (2, 4)],
        [(24, 8), (4, 24), (2, 4)],
    ]
    assert [sum(w.nnz for w in net) for net in nets] == [152, 80, 152]


# ---------------------------------------------------------------- figure 9


def found(accuracy, seeds=3):
    """Outcomes as if every network had reached `accuracy` of it, a little apart."""
    settings = figure_9.SETTINGS["laptop"]
    outcomes = {}
    for net in figure_9.nets():
        outcomes[net] = [
            Outcome(
                Job(net.kind, config(net, settings.epochs, 3 + k, "mnist")),
                curve={"test": np.r_[np.zeros(13), np.full(5, accuracy(net) + 0.0004 * k)]},
                connections=((5, 6, 7), (5, 6, 7)),
            )
            for k in range(seeds)
        ]
    return outcomes


def judged(accuracy, seeds=3):
    return figure_9.report(found(accuracy, seeds), figure_9.SETTINGS["laptop"], "mnist")


def as_published(net):
    return published.accuracy(*net) or published.accuracy(RANDOM, net.times, net.density)


def test_the_published_numbers_bear_the_paper_out():
    """RadiX-Net and random net of ten times the width are 0.47 points apart: close to the limit."""
    assert verdict(judged(as_published).claims) == [True] * 3 + [None] + [True] * 5


def test_what_contradicts_the_paper_is_told():
    assert verdict(judged(lambda net: 1 - as_published(net)).claims[4:6]) == [False, False]
    apart = judged(lambda net: as_published(net) - 0.01 * (net.kind == RADIX))
    assert verdict(apart.claims[:4]) == [False] * 4
    even = judged(lambda net: 0.95)
    assert verdict(even.claims) == [True] * 4 + [None, None, True, None, None]


def test_accuracy_is_the_mean_of_the_last_five():
    outcome = Outcome(Job("x", config(Net(DENSE), 7, 3, "mnist")), curve={"test": np.arange(7.0)})
    assert figure_9.accuracy(outcome) == 4.0
    assert figure_9.accuracy(Outcome(outcome.job, curve={"test": np.array([1.0, 2.0])})) == 1.5


def test_one_seed_decides_nothing():
    assert set(verdict(judged(as_published, seeds=1).claims)) == {None}


def test_what_diverged_leaves_dashes():
    outcomes = found(as_published)
    outcomes[Net(RADIX, 10, 0.1)] = []
    report = figure_9.report(outcomes, figure_9.SETTINGS["laptop"], "mnist")
    cells = [cell for table in report.tables for row in table.rows for cell in row]
    assert "–" in cells
    assert "nan" not in " ".join(cells)
    assert verdict(report.claims)[3] is None


def test_the_table_shows_the_published_beside_ours():
    first, second = judged(as_published).tables
    rows = {row[0] + row[1]: row for row in first.rows}
    assert rows["random 784-30000-100-100.01"][2:5] == ("18", "94.30", "94.34 ± 0.04")
    assert rows["RadiX-Net 784-600-100-100.5"][3] == ""
    lines = {row[0] + row[1]: row[-1] for row in second.rows}
    assert lines == {
        "784-300-100-100.5": "",
        "784-300-100-100.1": "+0.15",
        "784-600-100-100.5": "",
        "784-3000-100-100.1": "-0.47",
    }


def test_the_picture_has_all_points():
    figure = judged(as_published).pictures["figure_9.png"]
    fewer, wider = figure.axes
    hollow = {
        round(float(y), 2)
        for ax in (fewer, wider)
        for line in ax.get_lines()
        if line.get_markerfacecolor() == "none"
        for y in line.get_ydata()
    }
    assert hollow == {round(100 * value, 2) for value in published.FIGURE_9.values()}
    assert [label.get_text() for label in wider.get_xticklabels()] == [
        "1\nk = 1",
        "0.5\nk = 2",
        "0.1\nk = 10",
        "0.01\nk = 100",
    ]
    assert "0.1\n27.5k" in [label.get_text() for label in fewer.get_xticklabels()]


def test_trainings_are_planned_widest_first_and_paired_by_seed():
    planned = []

    def train(jobs, data):
        planned.extend(jobs)
        return [Outcome(job, failure="not trained") for job in jobs]

    y = np.arange(20)
    images = Images((np.ones((20, 784)), y), (np.ones((2, 784)), np.ones(2)), "mnist")
    report = figure_9.run(Context("laptop", lambda name: images, train, seeds=2))
    assert len(planned) == 24
    widths = [job.config.model.sizes[1] for job in planned]
    assert widths == sorted(widths, reverse=True)
    assert [job.config.seed for job in planned] == [1, 2] * 12
    assert sum(job.start is None for job in planned) == 2
    assert set(verdict(report.claims)) == {None}


# ---------------------------------------------------------------- end to end


@pytest.mark.parametrize("name", [name for name in FIGURES if "lenet_5" not in name])
def test_smoke_runs_from_end_to_end(name, tmp_path):
    rng = np.random.default_rng(37)
    train = rng.random((200, 28, 28)), rng.integers(0, 10, 200)
    test = rng.random((60, 28, 28)), rng.integers(0, 10, 60)
    loaders = {"fashion-mnist-sample": lambda: (train, test)}
    order = reproduction.order("alford_2018", name, "smoke", seeds=1, workers=0)
    folder = tmp_path / "out"
    report = reproduction.reproduce(order, loaders, folder)
    assert {path.name for path in folder.glob("*.png")} == set(report.pictures)
    assert set(verdict(report.claims)) == {None}
    json.loads((folder / "report.json").read_text(encoding="utf-8"))
    if name == "fig9":
        with open(folder / "results.csv", newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
        assert len(lines) == 12
        assert not any(line["failure"] for line in lines)
