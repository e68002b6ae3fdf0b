"""The recipe of Liu2020's figure 2 (a): settings, the epoch that counts, claims, a smoke run."""

import json
from collections import Counter

import numpy as np
import pytest

import data_loaders
from sparse_ref.experiments import reproduce
from sparse_ref.experiments.liu_2020 import figure_2, networks
from sparse_ref.experiments.recipe import Context, Images
from sparse_ref.experiments.sweep import Outcome
from sparse_ref.layers import Dense, Linear, SReLU
from sparse_ref.methods import SET

PAPER = figure_2.SETTINGS["paper"]


def job(name, density, settings=PAPER):
    return figure_2._job(name, density, 3, settings, "fashion-mnist")


def numbers(scale="paper"):
    """A context that trains nothing; images that are numbers, 100 and 20."""
    x, y = np.arange(100.0)[:, None], np.arange(100) % 10
    images = Images((x, y), (x[:20], y[:20]), "numbers")
    return Context(scale, lambda name: images, lambda jobs, data: [])


def test_the_paper_trains_eight_networks_of_every_kind():
    jobs = figure_2._jobs(PAPER, "fashion-mnist", numbers())
    counted = Counter((job.name, job.config.model.density) for job in jobs)
    assert len(PAPER.densities) == 12
    cells = {(name, d): 8 for name in ("SET-MLP", "Fix-MLP") for d in PAPER.densities}
    assert counted == cells | {("dense", None): 2}


def test_the_network_is_the_papers():
    net = job("SET-MLP", 0.006).config.model.build(np.random.default_rng(131))
    hidden = [layer for layer in net.layers if isinstance(layer, Linear)]
    assert [(la.n_in, la.n_out, la.weight.nnz) for la in hidden] == [(784, 784, 3688)] * 3
    assert isinstance(net.layers[-1], Dense)
    assert sum(isinstance(layer, SReLU) for layer in net.layers) == 3


def test_the_training_is_the_papers():
    config = job("SET-MLP", 0.05).config
    assert (config.epochs, config.batch_size) == (200, 128)
    optimizer = config.optimizer
    assert (optimizer.learning_rate, optimizer.momentum, optimizer.nesterov) == (0.01, 0.9, True)
    assert (optimizer.weight_decay, optimizer.decay, optimizer.schedule) == (1e-6, "l2", "constant")


def test_set_evolves_until_the_last_epoch_and_fix_never():
    evolving = job("SET-MLP", 0.05).config.method.build(steps=375 * 200)
    assert isinstance(evolving, SET)
    assert (evolving.drop_fraction, evolving.stop, evolving.starts) == (0.2, 375 * 200, 0.0)
    assert job("Fix-MLP", 0.05).config.method.name == "static"


def test_a_fifth_is_held_out_and_nothing_is_seen_twice():
    parts = networks.parts(numbers().images("numbers"), 60)
    train, validation = (part[0][:, 0].tolist() for part in parts[:2])
    assert (len(train), len(validation), len(parts.test[1])) == (48, 12, 20)
    assert len({*train, *validation}) == 60


def outcome(job, validation, test, failure=""):
    curve = {"validation": np.array(validation), "test": np.array(test)}
    return Outcome(job, failure, curve=curve, connections=((7, 3), (7, 3)))


def test_the_epoch_of_the_best_validation_counts():
    made = outcome(job("SET-MLP", 0.05), [0.5, 0.8, 0.7], [0.6, 0.7, 0.9])
    assert networks.accuracy(made) == 0.7


def test_of_equally_good_epochs_the_first_counts():
    made = outcome(job("SET-MLP", 0.05), [0.5, 0.8, 0.8], [0.6, 0.7, 0.9])
    assert networks.accuracy(made) == 0.7


def judged(level, failing=()):
    """The report of trainings that end at ``level(name, density)`` plus 0.001 times the seed."""

    def train(jobs, data):
        return [
            outcome(
                job,
                [0.1, 0.5],
                [0.1, level(job.name, job.config.model.density) + 0.001 * job.config.seed],
                "diverged" if (job.name, job.config.model.density) in failing else "",
            )
            for job in jobs
        ]

    context = numbers("laptop")
    return figure_2.run(Context("laptop", context.images, train))


def as_published(name, density):
    if name == "dense":
        return 0.880
    return {0.001: 0.80, 0.006: 0.876, 0.02: 0.877, 0.05: 0.878, 0.2: 0.880}[density] + (
        0.002 if name == "SET-MLP" else 0
    )


def verdicts(report):
    return {claim.paper: claim.agrees for claim in report.claims}


def test_claims_hold_where_accuracies_are_as_published():
    report = judged(as_published)
    assert len(report.claims) == 6
    assert set(verdicts(report).values()) == {True}


def test_claims_fail_where_sparse_networks_fall_behind():
    def worse(name, density):
        return as_published(name, density) - (0.03 if name != "dense" and density < 0.01 else 0)

    found = verdicts(judged(worse))
    assert found["SET-MLP reaches the accuracy of the dense MLP even at 0.6 %"] is False
    assert found["SET-MLP reaches the accuracy of the dense MLP from 20 % on"] is True


def test_a_set_that_is_worse_is_told_plainly():
    def swapped(name, density):
        other = {"SET-MLP": "Fix-MLP", "Fix-MLP": "SET-MLP"}.get(name, name)
        return as_published(other, density)

    found = verdicts(judged(swapped))
    assert found["SET-MLP is slightly better than Fix-MLP (mean over all densities)"] is False


def test_a_density_that_diverged_is_left_out():
    report = judged(as_published, failing=[("SET-MLP", 0.02)])
    row = next(row for row in report.tables[0].rows if row[0] == "0.02")
    assert row[1:3] == ("–", "–")
    claim = report.claims[-1]
    assert (claim.agrees, claim.why) == (None, "no training of SET-MLP ended")


def test_the_table_has_a_row_a_density_and_the_dense_network():
    report = judged(as_published)
    assert [row[0] for row in report.tables[0].rows] == [
        "0.001",
        "0.006",
        "0.02",
        "0.05",
        "0.2",
        "dense",
    ]
    assert report.tables[0].rows[1][1:] == ("10", "88.00 ± 0.10", "87.80 ± 0.10")


def test_what_was_reduced_is_said():
    (reduced,) = [note for note in judged(as_published).notes if note.startswith("reduced")]
    settings = figure_2.SETTINGS["laptop"]
    assert f"{settings.epochs} epochs (200)" in reduced


@pytest.mark.parametrize("scale", list(figure_2.SETTINGS))
def test_every_scale_has_the_densities_it_needs(scale):
    assert figure_2.ENOUGH in figure_2.SETTINGS[scale].densities


def test_smoke(tmp_path):
    loaders = {"fashion-mnist-sample": data_loaders.fashion_mnist_sample}
    asked = reproduce.order("liu_2020", "fig2", "smoke", workers=0)
    report = reproduce.reproduce(asked, loaders, tmp_path / "out")
    assert [row[0] for row in report.tables[0].rows] == ["0.05", "0.2", "dense"]
    assert all(claim.agrees is None for claim in report.claims)
    cells = json.loads((tmp_path / "out" / "report.json").read_text())["numbers"]["accuracy"]
    assert sorted(len(cell["values"]) for cell in cells) == [2] * 5
    assert (tmp_path / "out" / "figure_2a.png").read_bytes().startswith(b"\x89PNG")
