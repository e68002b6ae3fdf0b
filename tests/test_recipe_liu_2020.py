"""Liu2020's figures of distances and of topologies trained again: networks, claims, smoke runs."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

import data_loaders
from sparse_ref import csr
from sparse_ref.experiments import reproduce
from sparse_ref.experiments.liu_2020 import (
    FIGURES,
    figure_3,
    figure_4,
    figure_5,
    figure_6,
    figure_7,
    images,
    networks,
)
from sparse_ref.experiments.recipe import Context, Images
from sparse_ref.experiments.runner import beginning
from sparse_ref.experiments.snapshot import Snapshot, taken
from sparse_ref.experiments.sweep import Outcome
from sparse_ref.topology import nnstd

DATA = "fashion-mnist"
CIFAR = images.Prepared("cifar10", None, 3072)


def context(scale, train=lambda jobs, data: [], seeds=None):
    """Images that are numbers; trainings that `train` makes up."""
    x, y = np.arange(31_360.0).reshape(40, 28, 28), np.arange(40) % 10
    found = Images((x, y), (x[:10], y[:10]), "numbers")
    return Context(scale, lambda name: found, train, seeds, augmentation=lambda *how: None)


def overlap(a, b):
    """Connections that two weights share."""
    return len(np.intersect1d(csr.flat(a), csr.flat(b)))


def verdicts(report):
    return [claim.agrees for claim in report.claims]


# ---------------------------------------------------------------- networks


def test_descendants_differ_from_their_parent_in_a_hundredth():
    root, child, grandchild = networks.family(
        networks.config(networks.FIXED, [784] * 3, 0.006, 1, 7, DATA), 2
    )
    assert [weight.nnz for weight in root.weights] == [3688] * 3
    for parent, young in ((root, child), (child, grandchild)):
        for a, b in zip(parent.weights, young.weights, strict=True):
            assert (b.nnz, overlap(a, b)) == (3688, 3688 - 37)
    assert root.others is None


def test_a_family_begins_with_the_network_of_its_configuration():
    settings = networks.config(networks.FIXED, [30, 30], 0.1, 1, 7, DATA)
    (root,) = networks.family(settings, 0)
    net, _ = beginning(settings)
    for layer, weight in zip(net.sparse_layers, root.weights, strict=True):
        np.testing.assert_array_equal(csr.flat(layer.weight), csr.flat(weight))


def test_pairs_are_counted_once():
    matrix = np.array([[0, 1, 2], [1, 0, 3], [2, 3, 0]]) / 10
    assert networks.pairs(matrix, [0, 1, 2], [0, 1, 2]) == (0.1, 0.2, 0.3)
    assert networks.pairs(matrix, [0, 1], [2]) == (0.2, 0.3)


@pytest.mark.parametrize("joblib", [True, False])
def test_distances_do_not_need_joblib(joblib, monkeypatch):
    if not joblib:
        monkeypatch.setattr(networks, "find_spec", lambda name: None)
        monkeypatch.setitem(sys.modules, "joblib", None)  # an import of it fails
    chain = networks.family(networks.config(networks.FIXED, [30] * 3, 0.05, 1, 7, DATA), 2)
    said = []
    two = replace(context("smoke"), workers=2, say=said.append)
    found = networks.distances(chain, two)
    ref = [[float(nnstd(a.weights[0], b.weights[0])) for b in chain] for a in chain]
    np.testing.assert_allclose(found, ref, rtol=0, atol=1e-15)
    assert said[-1] == "distances of topologies: 6 of 6"


# ---------------------------------------------------------------- figure 4


def test_ten_networks_begin_alike_and_draw_their_own_weights():
    jobs = figure_4._jobs(figure_4.SETTINGS["paper"], DATA)
    assert [job.name for job in jobs] == [f"w{k}" for k in range(10)]
    assert len({job.config.seed for job in jobs}) == 10
    assert {job.config.method.name for job in jobs} == {"set"}
    assert {(job.config.epochs, job.keep) for job in jobs} == {(200, (10, 30, 100, 190))}
    shared = [overlap(jobs[0].start.weights[0], job.start.weights[0]) / 3688 for job in jobs]
    np.testing.assert_allclose(shared, 0.99 ** np.arange(10), atol=0.01)
    nets = [beginning(job.config, job.start)[0] for job in jobs[:2]]
    layers = [net.layers[0].weight for net in nets]
    values = [dict(zip(csr.flat(la), la.data, strict=True)) for la in layers]
    common = [p for p in values[0] if p in values[1]]
    assert not any(values[0][p] == values[1][p] for p in common)


def evolved(shares, spans=0.0):
    """A `train` whose networks keep `shares[epoch]` of the first layer and draw the rest anew."""

    def train(jobs, data):
        return [_made(k, job, shares, spans) for k, job in enumerate(jobs)]

    return train


def _made(k, job, shares, span):
    rng, weight = np.random.default_rng(200 + k), job.start.weights[0]
    snapshots = {}
    for epoch in job.keep:
        positions = csr.flat(weight)
        kept = positions[: int(shares(epoch) * len(positions))]
        rest = np.setdiff1d(np.arange(np.prod(weight.shape)), kept)
        grown = rng.choice(rest, len(positions) - len(kept), replace=False)
        whole = np.sort(np.concatenate([kept, grown]))
        new = csr.from_positions(weight.shape, whole, np.zeros(len(whole)))
        snapshots[epoch] = Snapshot((new,), ())
    curve = {"validation": np.array([0.1, 0.87]), "test": np.array([0.1, 0.86 + span * k])}
    return Outcome(job, curve=curve, snapshots=snapshots)


@pytest.fixture
def small(monkeypatch):
    """Scale laptop with small networks: the trainings are made up, the distances are not."""
    for figure in (figure_4, figure_5, figure_6, figure_7):
        reduced = replace(figure.SETTINGS["laptop"], hidden=50)
        monkeypatch.setitem(figure.SETTINGS, "laptop", reduced)


@pytest.mark.usefixtures("small")
def test_networks_that_drift_apart_and_stay_equally_good_are_as_published():
    kept = {10: 0.85, 30: 0.8, 100: 0.7, 190: 0.6}
    report = figure_4.run(context("laptop", evolved(kept.get)))
    assert verdicts(report) == [True] * 5
    distances = [float(row[2]) for row in report.tables[0].rows]
    assert distances == sorted(distances)
    assert [row[0] for row in report.tables[1].rows][-1] == "all"
    assert any(
        note.endswith("in the first 10 epochs; the paper: gradually") for note in report.notes
    )


@pytest.mark.usefixtures("small")
def test_networks_that_stay_alike_or_end_unlike_are_told():
    report = figure_4.run(context("laptop", evolved(lambda epoch: 1.0, spans=0.01)))
    assert verdicts(report)[2:] == [False, False, True]


# ---------------------------------------------------------------- figures 5 and 6


def test_figure_5_has_the_papers_96_networks():
    jobs = figure_5._jobs(replace(figure_5.SETTINGS["paper"], hidden=20), DATA)
    assert len(jobs) == 96
    first = [job.start.weights[0] for job in jobs[:8]]
    assert overlap(first[0], first[3]) > 0.9 * first[0].nnz  # kin
    assert overlap(first[0], first[4]) < 0.7 * first[0].nnz  # another root
    assert len({job.config.seed for job in jobs[:8]}) == 8


@pytest.mark.usefixtures("small")
def test_figure_5_tells_whether_kin_drift_apart():
    one = replace(figure_5.SETTINGS["laptop"], densities=(0.05, 0.2), children=2)
    figure_5.SETTINGS["laptop"] = one
    far = figure_5.run(context("laptop", evolved(lambda epoch: 0.5)))
    assert verdicts(far) == [True, True]
    near = figure_5.run(context("laptop", evolved(lambda epoch: 1.0)))
    assert set(verdicts(near)) == {None}  # nothing changed, and nothing is claimed of it


def test_figure_6_draws_every_network_anew():
    settings = replace(figure_6.SETTINGS["paper"], hidden=100)
    jobs = figure_6._jobs(settings, CIFAR, context("paper"))
    assert len(jobs) == 10
    assert jobs[0].keep == tuple(range(100, 901, 100))
    assert overlap(jobs[0].start.weights[0], jobs[1].start.weights[0]) < 0.05 * 549
    assert {tuple(job.config.model.sizes) for job in jobs} == {(3072, 100, 100, 10)}


@pytest.mark.usefixtures("small")
def test_a_network_that_moves_to_a_distance_of_08_is_as_published():
    report = figure_6.run(context("laptop", evolved(lambda epoch: 0.7 - 0.0043 * epoch)))
    assert verdicts(report) == [True] * 4
    still = figure_6.run(context("laptop", evolved(lambda epoch: 0.99)))
    assert verdicts(still)[3] is False


# ---------------------------------------------------------------- figure 7


def test_topologies_are_trained_again_from_both_starts():
    settings = replace(figure_7.SETTINGS["laptop"], hidden=30, epochs=4, every=2, again=5)
    (job,) = figure_7._evolving(settings, CIFAR, context("laptop", seeds=1))
    net, _ = beginning(job.config, job.start)
    ended = Outcome(job, snapshots={2: taken(net), 4: taken(net)})
    again = figure_7._again([ended], settings, CIFAR)
    assert [key for key, _ in again] == [
        (figure_7.ANEW, 0),
        (figure_7.ANEW, 2),
        (figure_7.ON, 2),
        (figure_7.ANEW, 4),
        (figure_7.ON, 4),
    ]
    assert [whole.start.others is None for _, whole in again] == [True, True, False, True, False]
    assert {whole.config.method.name for _, whole in again} == {"static"}
    assert {whole.config.epochs for _, whole in again} == {5}


def trained_again(level):
    """A `train` whose accuracies are ``level(name, age)`` plus 0.001 times the seed."""

    def train(jobs, data):
        made = []
        for job in jobs:
            name, _, age = job.name.partition(", epoch ")
            top = level(name, int(age or 0)) + 0.001 * job.config.seed
            curve = {part: np.full(job.config.epochs, top) for part in ("validation", "test")}
            snapshots = {epoch: Snapshot(job.start.weights, ()) for epoch in job.keep}
            made.append(Outcome(job, curve=curve, snapshots=snapshots))
        return made

    return train


def as_published(name, age):
    return {
        networks.SET: 0.82,
        figure_7.ANEW: 0.78 + 0.00005 * age,
        figure_7.ON: 0.83,
    }[name]


@pytest.mark.usefixtures("small")
def test_figure_7_holds_where_accuracies_are_as_published():
    report = figure_7.run(context("laptop", trained_again(as_published)))
    assert verdicts(report) == [True] * 3
    ages = [row[0] for row in report.tables[0].rows]
    assert ages == [str(age) for age in figure_7.SETTINGS["laptop"].ages]


@pytest.mark.usefixtures("small")
def test_figure_7_fails_where_the_topology_does_not_matter():
    report = figure_7.run(context("laptop", trained_again(lambda name, age: 0.8 - 0.0001 * age)))
    assert verdicts(report)[0] is False


# ---------------------------------------------------------------- smoke


@pytest.mark.parametrize("figure", ["fig1", "fig3", "fig4", "fig5", "fig6", "fig7"])
def test_smoke(figure, tmp_path):
    loaders = {"fashion-mnist-sample": data_loaders.fashion_mnist_sample}
    asked = reproduce.order("liu_2020", figure, "smoke", workers=0)
    report = reproduce.reproduce(
        asked, loaders, tmp_path / "out", augmentation=data_loaders.augmentation
    )
    assert report.claims
    assert report.tables[0].rows
    assert report.pictures
    for name in report.pictures:
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")
    whole = json.loads((tmp_path / "out" / "report.json").read_text())
    assert whole["source"] == FIGURES[figure].source


def test_figure_3_claims_hold_on_small_networks():
    figure_3.SETTINGS["laptop"], kept = (
        replace(figure_3.SETTINGS["laptop"], hidden=100, densities=(0.006, 0.1, 0.5)),
        figure_3.SETTINGS["laptop"],
    )
    try:
        report = figure_3.run(context("laptop"))
    finally:
        figure_3.SETTINGS["laptop"] = kept
    assert verdicts(report) == [True] * 7
