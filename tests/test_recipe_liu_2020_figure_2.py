"""The recipe of Liu2020's figure 2 (a): settings, the epoch that counts, claims, a smoke run."""

import json
from collections import Counter

import numpy as np
import pytest

import data_loaders
from sparse_ref.experiments import reproduce
from sparse_ref.experiments.liu_2020 import figure_2, figure_2b, images, networks
from sparse_ref.experiments.recipe import Context, Images
from sparse_ref.experiments.sweep import Outcome
from sparse_ref.layers import Dense, Linear, SReLU
from sparse_ref.methods import SET

PAPER = figure_2.SETTINGS["paper"]


def job(name, density, settings=PAPER):
    return figure_2._job(name, density, 3, settings, FASHION)


FASHION = images.Prepared("fashion-mnist", None, 784)
CIFAR = images.Prepared("cifar10", None, 3072)


def numbers(scale="paper"):
    """A context that trains nothing; images that are numbers, 100 and 20."""
    x, y = np.arange(100.0)[:, None], np.arange(100) % 10
    found = Images((x, y), (x[:20], y[:20]), "numbers")
    return Context(scale, lambda name: found, lambda jobs, data: [])


def test_the_paper_trains_eight_networks_of_every_kind():
    jobs = figure_2._jobs(PAPER, FASHION, numbers())
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
    parts = images.parts(numbers().images("numbers"), 60)
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
    assert {figure_2.ENOUGH, figure_2b.LITTLE} <= set(figure_2b.SETTINGS[scale].densities)


# ---------------------------------------------------------------- CIFAR-10


def coloured(n=60):
    """Images of three channels, each of its own brightness."""
    rng = np.random.default_rng(907)
    x = rng.random((n, 3, 16, 16)) * [[[0.2]], [[0.5]], [[1.0]]]
    return Images((x, np.arange(n) % 10), (x[:20], np.arange(20) % 10), "cifar10")


def of_cifar(scale, found=None, train=lambda jobs, data: []):
    return Context(
        scale,
        found or (lambda name: coloured()),
        train,
        augmentation=data_loaders.augmentation,
    )


def test_channels_are_standardised_over_the_images_that_are_trained_on():
    prepared = images.cifar10(of_cifar("paper"), 50)
    x = prepared.data.train[0].reshape(-1, 3, 256)
    np.testing.assert_allclose(x.mean(axis=(0, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(x.std(axis=(0, 2)), 1, atol=1e-2)
    assert (len(x), len(prepared.data.validation[1]), len(prepared.data.test[1])) == (40, 10, 20)
    assert prepared.origin == ("cifar10", 768)
    assert prepared.notes == ("of CIFAR-10 60 of 50,000 training and 20 of 10,000 test images",)


def test_what_a_rotation_brings_in_is_black():
    prepared = images.cifar10(of_cifar("paper"), 50)
    bright = np.full((50, 768), 5.0)
    changed = prepared.data.augment(bright, np.random.default_rng(11)).reshape(-1, 3, 256)
    darkest = prepared.data.train[0].reshape(-1, 3, 256).min(axis=(0, 2))
    black = changed.min(axis=(0, 2))
    assert (black <= darkest).all()
    np.testing.assert_allclose(black, darkest, rtol=0.02)  # of 10,240 numbers the least is near 0


def test_where_there_is_no_cifar_fashion_mnist_stands_in():
    x, y = np.random.default_rng(911).random((40, 8, 8)), np.arange(40) % 10

    def found(name):
        if name == "cifar10":
            raise FileNotFoundError("cifar10: no files\nmore")
        return Images((x, y), (x[:10], y[:10]), name)

    prepared = images.cifar10(of_cifar("laptop", found), 30)
    assert prepared.origin == ("fashion-mnist", 64)
    assert prepared.notes == ("Fashion-MNIST stands in for CIFAR-10, since cifar10: no files",)
    assert prepared.data.augment(x[:5].reshape(5, 64), np.random.default_rng(17)).shape == (5, 64)


def test_the_network_on_cifar_is_the_papers():
    settings = figure_2b.SETTINGS["paper"]
    jobs = figure_2._jobs(settings, CIFAR, numbers())
    assert Counter(job.config.model.density for job in jobs) == {
        None: 2,
        **dict.fromkeys(figure_2b.PAPER_DENSITIES, 16),
    }
    assert {tuple(job.config.model.sizes) for job in jobs} == {(3072, 1000, 1000, 10)}
    assert {job.config.epochs for job in jobs} == {900}
    net = jobs[-1].config.model.build(np.random.default_rng(137))
    assert [layer.weight.nnz for layer in net.sparse_layers] == [2731, 1341]


def judged_b(level):
    def train(jobs, data):
        return [
            outcome(
                job,
                [0.1, 0.5],
                [0.1, level(job.name, job.config.model.density) + 0.001 * job.config.seed],
            )
            for job in jobs
        ]

    return figure_2b.run(of_cifar("laptop", train=train))


def published_b(name, density):
    """Read off the picture, roughly."""
    if name == "dense":
        return 0.655
    return {0.007: 0.60, 0.05: 0.655, 0.2: 0.655}[density] + (0.02 if name == "SET-MLP" else 0)


def test_claims_on_cifar_hold_where_accuracies_are_as_published():
    report = judged_b(published_b)
    assert [claim.agrees for claim in report.claims[1:3]] == [True, True]
    assert set(report.pictures) == {"figure_2b.png"}
    assert any("60 of 50,000 training" in note for note in report.notes)


def test_a_set_that_does_not_help_on_cifar_is_told():
    swap = {"SET-MLP": "Fix-MLP", "Fix-MLP": "SET-MLP"}
    report = judged_b(lambda name, density: published_b(swap.get(name, name), density))
    assert [claim.agrees for claim in report.claims[1:3]] == [False, False]


@pytest.mark.parametrize(("figure", "picture"), [("fig2", "figure_2a"), ("fig2b", "figure_2b")])
def test_smoke(figure, picture, tmp_path):
    loaders = {"fashion-mnist-sample": data_loaders.fashion_mnist_sample}
    asked = reproduce.order("liu_2020", figure, "smoke", workers=0)
    report = reproduce.reproduce(
        asked, loaders, tmp_path / "out", augmentation=data_loaders.augmentation
    )
    assert [row[0] for row in report.tables[0].rows] == ["0.05", "0.2", "dense"]
    assert all(claim.agrees is None for claim in report.claims)
    cells = json.loads((tmp_path / "out" / "report.json").read_text())["numbers"]["accuracy"]
    assert sorted(len(cell["values"]) for cell in cells) == [2] * 5
    assert (tmp_path / "out" / f"{picture}.png").read_bytes().startswith(b"\x89PNG")
