"""Van Gelder et al. 2020: what is trained, what is measured of it, claims, and smoke runs."""

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

import data_loaders
from sparse_ref import csr, evaluate, topology
from sparse_ref.experiments import reproduce
from sparse_ref.experiments.chain import Link
from sparse_ref.experiments.convnet import convnet
from sparse_ref.experiments.recipe import Context, Images
from sparse_ref.experiments.runner import beginning
from sparse_ref.experiments.snapshot import Snapshot
from sparse_ref.experiments.sweep import Outcome
from sparse_ref.experiments.sweep import train as train_one
from sparse_ref.experiments.van_gelder_2020 import (
    EXHIBITS,
    FIGURES,
    figure_1,
    figure_2,
    figure_3,
    figure_4,
    networks,
    reproduced,
)
from sparse_ref.experiments.van_gelder_2020.networks import (
    DNW,
    KINDS,
    LT,
    RANDOM,
    RIGL,
    Down,
    Net,
    begun,
    counts,
    ladder,
)
from sparse_ref.experiments.van_gelder_2020.settings import (
    MASKED,
    RESNET_SETTINGS,
    SETTINGS,
    Settings,
)
from sparse_ref.train import NOT_EVALUATED, Evaluation

SMALL = Settings(sizes=(784, 30, 20, 10), epochs=2, sparsities=(0.8, MASKED, 0.95), freezes=(0, 1))


def pictures_of_noise(n=96):
    """Images of seven by seven blocks, whose class is where the brightest is; easy to learn."""
    rng = np.random.default_rng(971)
    x = 0.3 * rng.random((n, 28, 28))
    y = np.arange(n) % 10
    for image, label in zip(x, y, strict=True):
        row, column = divmod(label, 4)
        image[7 * row : 7 * row + 7, 7 * column : 7 * column + 7] += 0.7
    return x, y


def context(train=lambda jobs, data: [], seeds=None):
    part = pictures_of_noise()
    images = Images(part, (part[0][:40], part[1][:40]), "noise")
    return Context("laptop", lambda name: images, train, seeds)


def here(jobs, data):
    """Trainings that are not made up."""
    return [train_one(job, data[job.data]) for job in jobs]


def study(train, settings=SMALL, seeds=None):
    return begun(context(train, seeds), settings)


def verdicts(report):
    return [claim.agrees for claim in report.claims]


@pytest.fixture
def small(monkeypatch):
    """Scale laptop with small networks."""
    monkeypatch.setitem(SETTINGS, "laptop", SMALL)


# ---------------------------------------------------------------- what is trained


def test_the_network_of_figures_2_and_3():
    assert counts((784, 300, 100, 10), 0.095) == [22344, 2850, 95]
    assert Net(DNW, 0.905).density == 0.095


def test_every_kind_has_the_same_number_of_connections_in_every_layer():
    found = networks.trained([Net(kind, MASKED) for kind in KINDS], study(here, seeds=1))
    for (trained,) in found.values():
        assert [weight.nnz for weight in trained.snapshot.weights] == counts(SMALL.sizes, 0.095)


def test_random_structures_and_first_weights_are_those_of_the_seed():
    one = networks.config(Net(RANDOM, MASKED), SMALL, 3, "noise")
    assert one.method.name == "static"
    assert (one.optimizer.learning_rate, one.optimizer.momentum) == (0.1, 0.9)
    assert not one.optimizer.nesterov
    assert (one.optimizer.schedule, one.batch_size) == ("cosine", 128)
    dnw = networks.config(Net(DNW, MASKED, 3), SMALL, 3, "noise")
    assert dnw.method.options == {"density": 0.095, "freeze_epoch": 3}
    assert dnw.model.density == 1.0
    ticket = networks.config(Net(LT, MASKED), SMALL, 3, "noise")
    assert (ticket.model.density, ticket.method.name) == (None, "static")


def test_pixels_are_standardised_all_alike():
    x = np.array([[[0.0, 1.0]], [[0.5, 0.5]]])
    images = Images((x, np.array([0, 1])), (x[:1], np.array([0])), "two")
    train, validation, test, augment = networks.parts(images, None)
    std = np.sqrt(0.125)
    ref = [[-0.5 / std, 0.5 / std], [0, 0]]
    np.testing.assert_allclose(train[0], ref, rtol=1e-6)
    np.testing.assert_allclose(test[0], ref[:1], rtol=1e-6)
    assert validation is augment is None
    assert train[0].dtype == np.float32


@pytest.mark.parametrize("wanted", [[0.2, 0.095, 0.05, 0.02, 0.01], [0.8], [0.095], [0.9, 0.1]])
def test_the_ladder_meets_every_density_by_steps_of_a_fifth_at_most(wanted):
    densities = ladder(wanted)
    assert set(wanted) <= set(densities)
    factors = np.array(densities) / [1.0, *densities[:-1]]
    assert (factors < 1).all()
    assert (factors >= 0.8 - 1e-9).all()


def test_a_step_down_leaves_the_largest_of_every_layer():
    rng = np.random.default_rng(972)
    weights = [rng.standard_normal((5, 6)), rng.standard_normal((4, 5))]
    down = Down(((20, 15), (11, 6)))
    first = down(weights)
    assert [30 - len(first[0]), 20 - len(first[1])] == [20, 15]
    left = [
        csr.from_positions(w.shape, np.delete(np.arange(w.size), d), np.delete(w, d))
        for w, d in zip(weights, first, strict=True)
    ]
    second = down(left)
    assert [w.nnz - len(d) for w, d in zip(left, second, strict=True)] == [11, 6]
    for weight, now, drop in zip(weights, left, second, strict=True):
        kept = np.delete(csr.flat(now), drop)
        largest = np.sort(np.argsort(-abs(weight), axis=None)[: len(kept)])
        np.testing.assert_array_equal(kept, largest)


def test_one_chain_a_seed_passes_every_sparsity():
    wanted = [Net(LT, sparsity) for sparsity in SMALL.sparsities]
    whole = study(here, seeds=1)
    found = networks.trained(wanted, whole)
    for net in wanted:
        (trained,) = found[net]
        assert [w.nnz for w in trained.snapshot.weights] == counts(SMALL.sizes, net.density)
        # The network is put together again as it was.
        again = evaluate(whole.network(net, trained), whole.data.test)
        assert again.accuracy == trained.accuracy
    masks = [set(csr.flat(found[net][0].snapshot.weights[0])) for net in wanted]
    assert masks[0] > masks[1] > masks[2]


@pytest.mark.parametrize("kind", [DNW, RIGL, RANDOM])
def test_a_network_is_put_together_as_its_training_left_it(kind):
    whole, net = study(here, seeds=1), Net(kind, MASKED)
    (trained,) = networks.trained([net], whole)[net]
    again = evaluate(whole.network(net, trained), whole.data.test)
    assert again.accuracy == trained.accuracy


def test_a_training_that_diverged_is_left_out():
    def train(jobs, data):
        outcomes = made_up(lambda name, *_: 0.9)(jobs, data)
        return [replace(outcomes[0], failure="diverged"), *outcomes[1:]]

    found = networks.trained([Net(RANDOM, MASKED)], study(train))
    assert [trained.seed for trained in found[Net(RANDOM, MASKED)]] == [2, 3]


def test_all_figures_together_train_each_kind_once(small):
    settings, planned = SMALL, []

    def train(jobs, data):
        planned.append([(job.name, job.config.density, job.config.seed) for job in jobs])
        return made_up(lambda name, *_: 0.9)(jobs, data)

    reproduced([EXHIBITS[name] for name in ("fig1", "fig3", "fig4")], context(train))
    first, second = planned
    assert len(first) == len(set(first))
    sparsities, frozen = len(settings.sparsities), len(settings.frozen)
    dnw = sparsities + frozen * (len(settings.freezes) + 1) - 1  # one sparsity is in both
    assert len(first) == 3 * (1 + 2 * sparsities + dnw)
    assert len(second) == 3 * 3 * sparsities
    assert {name for name, *_ in second} == {
        f"{kind} structure, trained anew" for kind in (DNW, RIGL, LT)
    }


# ---------------------------------------------------------------- ResNet-18


def photographs_of_noise(n=64):
    """As `pictures_of_noise`, in three channels of 32 x 32."""
    x, y = pictures_of_noise(n)
    x = np.pad(x, ((0, 0), (2, 2), (2, 2)))
    return np.stack([x, 0.5 * x, 1 - x], axis=1), y


TINY = replace(
    RESNET_SETTINGS["smoke"],
    sizes=convnet("tiny", "resnet18", width=0.05, stem="imagenet"),
    images=None,
)


def study_of_photographs(seeds=1):
    part = photographs_of_noise()
    images = Images(part, (part[0][:20], part[1][:20]), "noise")
    augmentation = data_loaders.augmentation
    whole = Context("laptop", lambda name: images, here, seeds, augmentation=augmentation)
    return begun(whole, TINY)


def test_every_kind_of_a_convolutional_network_has_as_many_connections():
    whole = study_of_photographs()
    assert whole.data.train[0].shape == (64, 3, 32, 32)
    assert whole.data.augment is not None
    found = networks.trained([Net(kind, MASKED) for kind in KINDS], whole)
    wanted = counts(TINY.sizes, 0.095)
    positions = np.array([np.prod(shape) for shape in TINY.sizes.shapes])
    np.testing.assert_array_equal(wanted, positions - ((1 - 0.095) * positions).astype(int))
    for kind in KINDS:
        (trained,) = found[Net(kind, MASKED)]
        assert [weight.nnz for weight in trained.snapshot.weights] == wanted
        # The network is put together again as it was, running statistics and all.
        again = evaluate(whole.network(Net(kind, MASKED), trained), whole.data.test)
        assert again.accuracy == trained.accuracy


def test_convolutional_tickets_are_nested():
    whole = study_of_photographs()
    wanted = [Net(LT, sparsity) for sparsity in TINY.sparsities]
    found = networks.trained(wanted, whole)
    first, second = (found[net][0].snapshot.weights for net in wanted)
    for larger, smaller in zip(first, second, strict=True):
        assert set(csr.flat(larger)) > set(csr.flat(smaller))


def test_figures_of_resnet_ask_for_resnet():
    settings = RESNET_SETTINGS["laptop"]
    made = networks.config(Net(RIGL, 0.98), settings, 3, "photographs")
    assert (made.model.name, made.model.dense) == ("resnet18", [])
    assert made.model.options == {"width": 0.25, "stem": "imagenet"}
    assert sum(made.model.distribution) == sum(counts(settings.sizes, 0.02))
    ticket = networks.config(Net(LT, 0.98), settings, 3, "photographs")
    assert ticket.model.density is None
    assert len(ladder([0.095, 0.02], settings.rate)) == 7


@pytest.mark.parametrize("name", ["fig1_resnet", "fig4_resnet"])
def test_smoke_of_resnet(tmp_path, name):
    loaders = {"fashion-mnist-sample": data_loaders.fashion_mnist_sample}
    asked, out = reproduce.order("van_gelder_2020", name, "smoke", workers=0), tmp_path / "out"
    report = reproduce.reproduce(asked, loaders, out, augmentation=data_loaders.augmentation)
    assert {claim.agrees for claim in report.claims} == {None}
    (picture,) = report.pictures
    assert (out / picture).read_bytes().startswith(b"\x89PNG")
    assert any("ResNet-18 x 0.05 on fashion-mnist-sample" in note for note in report.notes)
    assert any("the stem of ImageNet" in note for note in report.notes)


# ---------------------------------------------------------------- trainings made up


def made_up(accuracy):
    """A `train` with random structures and ``accuracy(name, sparsity, seed)``."""

    def train(jobs, data):
        return [_outcome(job, accuracy) for job in jobs]

    return train


def _outcome(job, accuracy):
    config, seed = job.config, job.config.seed
    if job.chain:
        links = []
        for number, row in enumerate(job.chain.pruner.rows, start=1):
            sparsity = round(1 - row[0] / (784 * 30), 3)
            test = Evaluation(0.1, accuracy(LT, sparsity, seed))
            snapshot = _structure(config.model.sizes, row, seed) if number in job.keep else None
            links.append(Link(number, test, tuple(row), (), 0, (), snapshot))
        return Outcome(job, test=links[-1].test, levels=tuple(links))
    if job.start is not None:
        row = [weight.nnz for weight in job.start.weights]
    else:
        density = config.method.options.get("density", config.model.density)
        row = counts(config.model.sizes, density)
    sparsity = round(1 - row[0] / (784 * 30), 3)
    snapshots = {k: _structure(config.model.sizes, row, seed) for k in job.keep}
    test = Evaluation(0.1, accuracy(job.name, sparsity, seed))
    return Outcome(job, test=test, snapshots=snapshots)


def _structure(sizes, row, seed):
    rng, weights = np.random.default_rng(seed), []
    for n_in, n_out, n in zip(sizes, sizes[1:], row, strict=False):
        positions = np.sort(rng.choice(n_out * n_in, n, replace=False))
        weights.append(csr.from_positions((n_out, n_in), positions, np.zeros(n, np.float32)))
    return Snapshot(tuple(weights), tuple(np.zeros(n, np.float32) for n in sizes[1:]))


def near(x, seed):
    """About x, with a spread of a thousandth."""
    return x + 0.001 * (seed % 1000 - 2)


# ---------------------------------------------------------------- figure 1


def anew(level):
    """Accuracies of structures by ``level(kind, sparsity)``; of random ones by ``level``, too."""

    def accuracy(name, sparsity, seed):
        return near(level(name.split()[0], sparsity), seed)

    return made_up(accuracy)


def figure(exhibit, train):
    return reproduced([EXHIBITS[exhibit]], context(train))


def test_figure_1_holds_where_the_gap_grows(small):
    def level(kind, sparsity):
        worse = {DNW: 0.0, RIGL: 0.2, LT: 1.0, RANDOM: 1.0}[kind]
        return 0.98 - worse * (sparsity - 0.7) * 0.5

    report = figure("fig1", anew(level))
    agrees = verdicts(report)
    assert agrees[:6] == [True] * 6
    assert agrees[6:] == [True] * 3
    assert [row[0] for row in report.tables[0].rows] == ["80 %", "90.5 %", "95 %"]


def test_figure_1_fails_where_structure_does_not_matter(small):
    report = figure("fig1", anew(lambda kind, sparsity: 0.9 + 0.05 * (kind == LT)))
    agrees = verdicts(report)
    assert not any(agrees[:6])
    assert agrees[6:] == [False] * 3


def test_structures_are_trained_anew_from_other_weights(small):
    jobs = []

    def train(some, data):
        jobs.append(some)
        return anew(lambda kind, sparsity: 0.9)(some, data)

    figure("fig1", train)
    found, again = jobs
    assert all(job.start is None for job in found)
    assert {job.config.seed for job in found} == {1, 2, 3}
    assert {job.config.seed for job in again} == {1001, 1002, 1003}
    assert {job.config.method.name for job in again} == {"static"}
    for job in again[:3]:
        assert job.start.others is None
        net, _ = beginning(job.config, job.start)
        for layer, weight in zip(net.sparse_layers, job.start.weights, strict=True):
            np.testing.assert_array_equal(csr.flat(layer.weight), csr.flat(weight))
            assert layer.weight.data.any()


# ---------------------------------------------------------------- figure 2


def falling(powers):
    """A `sensitivity` whose curves are ``1 - f^power``; and how often each was asked for."""

    def curve(net, data, fractions, *, by, scope, rng):
        power = powers[next(made_of)]
        return np.array([0.98 * (1 - float(f) ** power) for f in fractions]) + (
            0.001 * rng.random()
        )

    made_of = iter([(kind, by) for by in figure_2.ORDERS for kind in KINDS for _ in range(3)])
    return curve


@pytest.mark.parametrize("agrees", [True, False])
def test_figure_2_tells_whose_accuracy_falls_faster(small, monkeypatch, agrees):
    robust = {(kind, by): 4.0 for kind in KINDS for by in figure_2.ORDERS}
    robust |= {(RANDOM, "magnitude"): 2.0, (RIGL, "random"): 3.0, (RANDOM, "random"): 3.0}
    if not agrees:
        robust = {key: 6 - power for key, power in robust.items()}
    monkeypatch.setattr(figure_2, "sensitivity", falling(robust))
    report = figure("fig2", made_up(lambda name, sparsity, seed: 0.98))
    assert verdicts(report) == [agrees] * 4


def test_the_area_under_a_curve_is_a_mean():
    n = len(figure_2.FRACTIONS)
    assert figure_2.area(np.full(n, 0.7)) == pytest.approx(0.7)
    assert figure_2.area(np.linspace(1, 0, n)) == pytest.approx(0.5)
    assert figure_2.FRACTIONS[:2] == [0, Fraction(1, 20)]


def test_every_network_loses_its_connections_in_an_order_of_its_own(small):
    whole = study(here, replace(SMALL, epochs=6), seeds=2)
    whole.found.update(networks.trained(figure_2.wanted(SMALL), whole))
    report = figure_2.report(whole)
    curves = {(c["kind"], c["by"]): np.array(c["accuracy"]) for c in report.numbers["curves"]}
    for (kind, _), found in curves.items():
        assert found.shape == (2, 21)
        accuracies = [trained.accuracy for trained in whole.found[Net(kind, MASKED)]]
        np.testing.assert_allclose(found[:, 0], accuracies)
    for kind in KINDS:  # biases alone say the same of every example
        assert curves[kind, "random"][:, -1].tolist() == curves[kind, "magnitude"][:, -1].tolist()


# ---------------------------------------------------------------- figure 3


def test_correlation_and_amplification_by_hand():
    # Before training, after epoch 1, at the end; mean 4 after epoch 1, then +2, 0, -2: slope 1.
    degrees = np.array([[4, 4, 4], [6, 4, 2], [8, 4, 0]])
    assert figure_3.correlation(degrees) == pytest.approx(1.0)
    assert figure_3.amplification(degrees) == pytest.approx(1.0)
    assert figure_3.amplification(degrees[[0, 1, 1]]) == 0.0
    assert figure_3.amplification(degrees[[0, 2, 1]]) == pytest.approx(-0.5)
    assert np.isnan(figure_3.amplification(degrees[[0, 0, 1]]))


def test_epoch_0_is_what_dnw_starts_with():
    whole = study(here, seeds=1)
    wanted = [figure_3.NET, Net(DNW, MASKED, 0)]
    found = networks.trained(wanted, whole)
    along = figure_3._along(whole, found[wanted[0]][0])
    assert len(along) == 1 + SMALL.epochs
    frozen = found[wanted[1]][0].snapshot.weights
    for one, other in zip(along[0], frozen, strict=True):
        np.testing.assert_array_equal(csr.flat(one), csr.flat(other))
    last = found[wanted[0]][0].snapshot.weights
    assert topology.jaccard_distance(along[-1], last) == 0


def test_figure_3_follows_one_network_a_seed(small):
    report = figure("fig3", here)
    assert len(report.claims) == 5
    degrees = report.numbers["degrees"]
    assert np.array(degrees[0][0]).shape == (3, 30)
    assert np.array(degrees[0][1]).shape == (3, 20)
    assert {sum(row) for row in degrees[0][0]} == {counts(SMALL.sizes, 0.095)[0]}


# ---------------------------------------------------------------- figure 4


def frozen(levels):
    """Accuracies by freezing epoch; None: never."""

    def accuracy(name, sparsity, seed):
        k = name.rpartition(" ")[2]
        return near(levels[int(k) if k.isdigit() else None], seed)

    return made_up(accuracy)


def test_figure_4_holds_where_the_first_epochs_gain_most(small):
    report = figure("fig4", frozen({0: 0.9, 1: 0.95, None: 0.96}))
    assert verdicts(report) == [True] * 6
    assert [row[0] for row in report.tables[0].rows] == ["0", "1", "never"]


def test_figure_4_fails_where_the_first_epochs_are_no_gain(small):
    report = figure("fig4", frozen({0: 0.95, 1: 0.9, None: 0.96}))
    assert verdicts(report) == [False, False, True] * 2
    report = figure("fig4", frozen({0: 0.9, 1: 0.95, None: 0.92}))
    assert verdicts(report) == [True, True, False] * 2


# ---------------------------------------------------------------- whole


def test_nothing_that_ended_is_nothing_claimed(small):
    def train(jobs, data):
        return [Outcome(job, failure="diverged", test=NOT_EVALUATED) for job in jobs]

    for name in EXHIBITS:
        assert not any(verdicts(figure(name, train)))


def test_smoke(tmp_path):
    loaders = {"fashion-mnist-sample": data_loaders.fashion_mnist_sample}
    asked = reproduce.order("van_gelder_2020", "all", "smoke", workers=0)
    report = reproduce.reproduce(asked, loaders, tmp_path / "out")
    assert {claim.agrees for claim in report.claims} == {None}
    assert set(report.pictures) == {f"figure_{k}.png" for k in range(1, 5)}
    for name in report.pictures:
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")
    whole = json.loads((tmp_path / "out" / "report.json").read_text())
    assert whole["source"] == FIGURES["all"].source
    assert figure_1.FRESH > 100
    assert figure_4.FEW == 3
