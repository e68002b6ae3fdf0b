"""Masks2020: ways to prune, what is measured of chains, claims on made-up chains, smoke runs."""

import json
from dataclasses import replace

import numpy as np
import pytest

import data_loaders
from sparse_ref import csr
from sparse_ref.experiments import reproduce
from sparse_ref.experiments.chain import Chain, Link, run_chain
from sparse_ref.experiments.masks_2020 import (
    FIGURES,
    figure_1,
    figure_2,
    figure_10,
    figure_13,
    judged,
    measures,
    networks,
    published,
)
from sparse_ref.experiments.masks_2020.networks import (
    FC_ONLY,
    HYBRID,
    L1_S,
    L1_US,
    L2_S,
    LINF_S,
    METHODS,
    RANDOM_S,
    RANDOM_US,
    REWIND,
    Settings,
)
from sparse_ref.experiments.recipe import Context, Images
from sparse_ref.experiments.runner import Data
from sparse_ref.experiments.snapshot import Snapshot
from sparse_ref.experiments.sweep import Job, Outcome
from sparse_ref.train import Evaluation

LEVELS = 20


def context(scale="laptop", train=lambda jobs, data: [], seeds=None):
    """Images that are numbers; trainings that `train` makes up."""
    rng = np.random.default_rng(801)
    x, y = rng.random((40, 784)), np.arange(40) % 10
    images = Images((x, y), (x, y), "numbers")
    return Context(scale, lambda name: images, train, seeds, augmentation=data_loaders.augmentation)


def verdicts(report):
    return [claim.agrees for claim in report.claims]


def about(claims, words):
    """Verdicts on the claims that hold some words."""
    found = [claim.agrees for claim in claims if words in claim.paper]
    assert found
    return found


# ---------------------------------------------------------------- networks and jobs


def planned(settings, methods=METHODS, augmented=False):
    """Jobs and data that are handed to be trained."""
    seen = []

    def train(jobs, data):
        seen.append((jobs, data))
        return [None] * len(jobs)

    networks.trained(context(train=train), settings, methods, (REWIND,), augmented)
    return seen[0]


def test_the_papers_settings():
    jobs, _ = planned(networks.PAPER)
    assert len(jobs) == 8 * 5
    assert [job.config.seed for job in jobs[:5]] == [0, 1, 2, 3, 4]
    config = jobs[0].config
    assert (config.epochs, config.batch_size, config.model.name) == (30, 32, "lenet_5")
    assert config.model.options == {"variant": "A", "width": 1.0}
    assert (config.model.density, config.model.initialisation) == (None, "torch")
    optimizer = config.optimizer
    assert (optimizer.learning_rate, optimizer.momentum, optimizer.weight_decay) == (0.01, 0, 0)
    assert {job.chain.levels for job in jobs} == {20}
    assert jobs[0].keep == tuple(range(21))


def test_pixels_are_normalised_as_mnist_is():
    x, y = np.array([[[0.0, 1.0]]] * 3), np.arange(3)
    data = networks.parts(Images((x, y), (x, y), "two pixels"), 2)
    assert data.train[0].shape == (2, 2)
    np.testing.assert_allclose(data.test[0][0], [-0.1307 / 0.3081, 0.8693 / 0.3081])
    assert data.validation is None


def test_images_are_cropped_and_flipped_over_black_where_that_is_asked_for():
    settings = Settings(40, 1, 2, 1)
    (plain,), without = planned(settings, (L1_US,))
    assert (plain.data, without["data"].augment) == ("data", None)
    (job,), with_ = planned(settings, (L1_US,), augmented=True)
    x = np.full((7, 1, 28, 28), 5.0)
    out = with_[job.data].augment(x, np.random.default_rng(805))
    assert job.data == "augmented"
    np.testing.assert_allclose(np.unique(out), [-0.1307 / 0.3081, 5.0])
    assert "without the random crops" in networks.notes(settings, "numbers", False)[0]
    assert "with the random crops" in networks.notes(settings, "numbers", True)[0]


# Weights of LeNet after every pruning: conv 1, conv 2, fc 1, fc 2, fc 3 of L1 US, and all of
# others, from the rule by which a fifth of what remains goes, round(0.2 n).
UNSTRUCTURED = (
    (54, 43, 34, 27, 22, 18, 14, 11, 9, 7, 6, 5, 4, 3, 2, 2, 2, 2, 2, 2, 2),
    (864, 691, 553, 442, 354, 283, 226, 181, 145, 116, 93, 74, 59, 47, 38, 30, 24, 19, 15, 12, 10),
    (
        *(48000, 38400, 30720, 24576, 19661, 15729, 12583, 10066, 8053, 6442, 5154, 4123, 3298),
        *(2638, 2110, 1688, 1350, 1080, 864, 691, 553),
    ),
    (
        *(10080, 8064, 6451, 5161, 4129, 3303, 2642, 2114, 1691, 1353, 1082, 866, 693, 554, 443),
        *(354, 283, 226, 181, 145, 116),
    ),
    (840, 672, 538, 430, 344, 275, 220, 176, 141, 113, 90, 72, 58, 46, 37, 30, 24, 19, 15, 12, 10),
)
INPUTS = {  # after prunings: channels of conv 2, inputs of fc 1, fc 2, fc 3
    0: (6, 400, 120, 84),
    1: (5, 320, 96, 67),
    5: (2, 131, 40, 27),
    10: (2, 43, 14, 9),
    20: (2, 5, 2, 2),
}
WHOLE = {1: 47_910, 2: 38_339, 5: 19_649, 10: 6_668, 15: 2_414, 20: 1_021}  # of hybrid
ONLY_FC = {1: 48_054, 2: 38_627, 5: 20_225, 10: 7_244, 15: 2_990, 20: 1_597}


def pruned(method):
    """Connections of every layer of LeNet, level by level, of hardly trained networks."""
    rng = np.random.default_rng(802)
    part = rng.random((2, 784)), np.array([3, 4])
    chain = Chain(LEVELS, networks.pruner(method))
    links = run_chain(networks.config(Settings(epochs=1), 7, "two"), Data(part, None, part), chain)
    return np.array([link.connections for link in links])


@pytest.mark.parametrize("method", [L1_US, RANDOM_US])
def test_single_connections_of_lenet_go_as_in_the_papers_program(method):
    np.testing.assert_array_equal(pruned(method).T, UNSTRUCTURED)


@pytest.mark.parametrize("method", [L1_S, L2_S, LINF_S, RANDOM_S])
def test_channels_of_lenet_go_as_in_the_papers_program(method):
    found = pruned(method)
    for level, inputs in INPUTS.items():
        each = [n * size for n, size in zip(inputs, (16 * 9, 120, 84, 10), strict=True)]
        assert found[level].tolist() == [54, *each]


@pytest.mark.parametrize(("method", "totals"), [(HYBRID, WHOLE), (FC_ONLY, ONLY_FC)])
def test_layers_of_lenet_go_in_ways_of_their_own(method, totals):
    found = pruned(method)
    assert {level: found[level].sum() for level in totals} == totals
    np.testing.assert_array_equal(found[:, 2:].T, UNSTRUCTURED[2:])


def test_l_inf_is_minus_infinity():
    rng = np.random.default_rng(803)
    weights = [rng.uniform(1, 2, shape) for shape in ((2, 9), (2, 45), (2, 5), (2, 5), (2, 5))]
    weights[1][1, 30] = 0.01  # the smallest of all stands in channel 3
    weights[2][0] = [0.9, 0.1, 0.3, 0.05, 0.4]  # and here in column 3
    drops = networks.pruner(LINF_S)(weights, rng)
    assert np.unique(drops[1] % 45 // 9).tolist() == [3]
    assert np.unique(drops[2] % 5).tolist() == [3]


def test_every_figure_and_table_has_a_name():
    plain = {*(f"fig{k}" for k in range(1, 15)), "table1", "table2"}
    assert set(FIGURES) == plain | {f"{name}_augmented" for name in plain - {"table1"}}
    drawn = "figure 2, figure 5, figure 9, figure 10, figure 11"
    for name in ("fig9", "fig9_augmented"):
        assert FIGURES[name].source == f"Paganini and Forde 2020, {drawn}"


def test_table_1_is_that_of_the_paper():
    rows = figure_1._table_1().rows
    assert [row[2] for row in rows] == [*published.TABLE_1]


def test_table_2_of_the_paper_has_a_number_for_every_method():
    assert published.COLUMNS[:8] == METHODS
    assert {len(row) for row in published.TABLE_2} == {10}
    assert len(published.TABLE_2) == 20


# ---------------------------------------------------------------- measures


def sparse(values, present=None):
    values = np.array(values, float)
    return csr.from_dense(values, None if present is None else np.array(present, bool))


def link(number, weights, accuracy=0.5):
    """A level of a chain with these weights and no biases worth a word."""
    kept = tuple(w for w in weights if not isinstance(w, np.ndarray))
    others = []
    for weight in weights:
        others += [weight] if isinstance(weight, np.ndarray) else []
        others.append(np.zeros(weight.shape[0]))
    return Link(
        number,
        Evaluation(1.0, accuracy),
        tuple(w.size if isinstance(w, np.ndarray) else w.nnz for w in weights),
        tuple(k for k, w in enumerate(weights) if isinstance(w, np.ndarray)),
        0,
        (),
        Snapshot(kept, tuple(others)),
    )


def outcome(links, positions):
    return Outcome(None, levels=tuple(links), positions=positions)


def test_distances_by_hand():
    dense = np.ones((2, 2))
    one = outcome([link(0, [dense]), link(1, [sparse([[1, 0], [1, 1]])])], (4,))
    other = outcome([link(0, [dense]), link(1, [sparse([[0, 0], [1, 1]])])], (4,))
    found = measures.distances([one], [other], 2)
    np.testing.assert_array_equal(found[0, :, 0], [0, 1 / 3, np.nan])


def test_emptiness_of_channels_by_hand():
    kernels = np.zeros((2, 27))  # three input channels, of which the second has a connection
    kernels[1, 10] = 1
    chain = outcome([link(0, [np.ones((1, 9)), sparse(kernels)])], (9, 54))
    np.testing.assert_array_equal(measures.empty([chain], 1, 1), [[2 / 3, np.nan]])
    np.testing.assert_array_equal(measures.empty([chain], 1, 1, outputs=True), [[0.5, np.nan]])
    by_chance = measures.expected_empty(chain, 1), measures.expected_empty(chain, 1, outputs=True)
    np.testing.assert_allclose(by_chance, [[(53 / 54) ** 18], [(53 / 54) ** 27]])


def test_accuracies_of_a_chain_that_diverged_are_missing():
    found = measures.accuracies([outcome([link(0, [np.ones((1, 1))], 0.9)], (1,))], 2)
    np.testing.assert_array_equal(found, [[0.9, np.nan, np.nan]])
    assert measures.mean_over("x", found, [1, 2]).values == ()


def test_effective_sparsity_counts_channels_that_lead_nowhere():
    weights = [np.ones(s) for s in ((6, 9), (16, 54), (120, 400), (84, 120), (10, 84))]
    weights[1][:, 9:18] = 0  # nobody reads the second channel
    weights[2][:, 25:50] = 0  # nor, of those after it, the second, wherever it is flattened to
    weights[2][:, 50:74] = 0  # of the third one place is read
    job = Job("some", networks.config(Settings(), 7, "numbers"))
    layers = [weights[0], *map(sparse, weights[1:])]
    chain = Outcome(job, levels=(link(0, layers),), positions=tuple(w.size for w in weights))
    there = [54, 15 * 45 + 45, 120 * (400 - 25 - 24), 120 * 84, 840]
    assert measures.pruned_fractions(chain).tolist() == [pytest.approx(1 - sum(there) / 59_838)]
    leading = [45, 15 * 45, *there[2:]]
    expected = pytest.approx(1 - sum(leading) / 59_838)
    assert measures.effectively_pruned(chain).tolist() == [expected]


def test_a_collapse_is_the_first_iteration_below_half():
    values = np.array([[0.9, 0.6, 0.4, 0.6], [0.9, 0.9, 0.9, 0.9]])
    assert measures.collapse("x", values).values == (2.0, 4.0)


def test_iterations_beyond_the_last_are_left_out():
    values = np.array([[0.0, 0.2, 0.4]])
    assert measures.mean_over("x", values, range(1, 9)).values == (pytest.approx(0.3),)
    assert measures.mean_over("x", values, [9]).values == (0.4,)


def test_stability_by_hand():
    rows = [[1, -2, 0.5, 0.1], [1.2, -2.5, 0.4, 0], [1.5, -2.4, 0, 0]]
    weights = [np.array([rows[0]]), *(sparse([row]) for row in rows[1:])]
    chain = outcome([link(k, [w]) for k, w in enumerate(weights)], (4,))
    np.testing.assert_allclose(measures.stabilities([chain]), [[0.24]])


# ---------------------------------------------------------------- claims


def made_chains(accuracy, rng_of=lambda job: 804, unstable=0.1):
    """A `train` whose chains prune made-up weights, and have the accuracies that are asked for."""

    def train(jobs, data):
        return [_made(job, accuracy, rng_of, unstable) for job in jobs]

    return train


def _made(job, accuracy, rng_of, unstable):
    """Weights of a seed that move a little between levels; pruned as the job says."""
    first = np.random.default_rng(job.config.seed)
    shapes = [layer.weight.shape for layer in job.config.model.build(first).weighted]
    weights = [first.standard_normal(shape) for shape in shapes]
    moves, levels = np.random.default_rng(rng_of(job)), []
    for number in range(job.chain.levels + 1):
        if number:
            drops = job.chain.pruner(weights, moves.spawn(1)[0])
            weights = [_without(w, drop) for w, drop in zip(weights, drops, strict=True)]
            for w in weights:
                values = w if isinstance(w, np.ndarray) else w.data
                values *= 1.01 + unstable * moves.random(values.shape)
        value = accuracy(job.name.split(", ")[0], job.name.split(", ")[1], number)
        noise = 0.001 * job.config.seed
        levels.append(link(number, [w.copy() for w in weights], value - noise))
    positions = tuple(a * b for a, b in shapes)
    return Outcome(job, levels=tuple(levels), positions=positions)


def _without(weight, drop):
    if not len(drop):
        return weight
    if isinstance(weight, np.ndarray):
        weight = csr.from_dense(weight, np.ones(weight.shape, bool))
    none = np.empty(0, np.int64)
    return csr.apply(weight, csr.Rewire(drop, none, np.empty(0)))[0]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Scale laptop with a small network: the trainings are made up, the rest is not."""
    settings = Settings(40, epochs=2, levels=LEVELS, seeds=3, width=0.25)
    for figure in (figure_1, figure_10, figure_13):
        monkeypatch.setitem(figure.SETTINGS, "laptop", settings)


def as_published(method, treatment, number):
    row = published.TABLE_2[max(number, 1) - 1]
    return row[published.COLUMNS.index(method)] / 100


def found_with(accuracy, **others):
    """What figure 1 measures, with accuracies as they are asked for."""
    values = {
        m: np.array(
            [[accuracy(m, REWIND, k) - 0.0003 * s for k in range(LEVELS + 1)] for s in range(3)]
        )
        for m in METHODS
    }
    best = np.max([values[m] for m in METHODS], axis=0)
    of_three = np.max([values[m] for m in (HYBRID, FC_ONLY, L1_US)], axis=0)
    noise = np.array([[0.0], [0.0001], [0.0002]])
    found = {
        "accuracy": values,
        "pruned": dict.fromkeys(METHODS, 1 - 0.8 ** np.arange(LEVELS + 1)),
        "ensembles": {"all": best + 0.01 + noise, "three": of_three + 0.005 + noise},
    }
    return found | others


def test_published_accuracies_confirm_what_they_say():
    found = found_with(as_published)
    assert verdict(judged._tickets(found["accuracy"])) == [True] * 4
    assert verdict(judged._structured(found["accuracy"])) == [True] * 4
    assert verdict(judged._at_random(found["accuracy"])) == [True] * 2
    assert verdict(judged._ensembles(found)) == [True] * 3


def verdict(claims):
    return [claim.agrees for claim in claims]


def test_accuracies_the_other_way_round_refute_it():
    found = found_with(lambda m, t, k: 1 - as_published(m, t, k))
    assert verdict(judged._tickets(found["accuracy"]))[-1] is False
    assert verdict(judged._at_random(found["accuracy"]))[0] is False
    found["ensembles"] = {name: values - 0.5 for name, values in found["ensembles"].items()}
    assert verdict(judged._ensembles(found)) == [False] * 3


@pytest.mark.parametrize(("shift", "agrees"), [(0.5, True), (-0.5, False)])
def test_effective_sparsity_helps_where_the_curve_moves(shift, agrees):
    found = found_with(as_published)
    density = 0.8 ** np.arange(LEVELS + 1)
    further = {m: [1 - density] * 3 for m in METHODS}
    further[L1_S] = [1 - density ** (1 + shift)] * 3
    claim = judged._effective(found | {"effective": further})
    assert claim.agrees is agrees


def test_figure_1_of_made_up_chains():
    report = figure_1.run(context(train=made_chains(as_published)))
    assert about(report.claims, "of all masks those of L1 S are the closest") == [True]
    assert about(report.claims, "grow with iterations") == [True]
    assert about(report.claims, "stays within about a point") == [True] * 3
    assert about(report.claims, "magnitudes grow as sparsity does") == [True] * 3
    names = {f"figure_{k}.png" for k in (1, 3, 4, 6, 7, 8, 12, 14)}
    assert set(report.pictures) == names
    table = report.tables[1]
    assert table.headings == ("iteration", *published.COLUMNS)
    assert table.rows[0][1] == "97.3 (97.4)"
    assert len(table.rows) == 20
    assert report.numbers["agreements"].keys() == {"18", "20"}


@pytest.mark.parametrize(("structured", "agrees"), [(0.3, True), (0.05, False)])
def test_unstable_structured_pruning_is_told(structured, agrees):
    seeds = np.array([[0.0], [0.001], [0.002]]) * np.ones(5)
    stable = {m: (structured if m.endswith(" S") else 0.1) + seeds for m in METHODS}
    grown = np.stack([0.1 + seeds, 0.2 + seeds], axis=2)
    found = found_with(as_published, stability=stable, magnitudes=grown)
    claims = judged._stability(found)
    assert about(claims, "have more stable weights") == [agrees] * 2
    assert about(claims, "negative rank correlation") == [agrees]
    assert about(claims, "magnitudes grow as sparsity does") == [True] * 3
    found["magnitudes"] = grown[:, :, ::-1]
    claims = judged._stability(found)
    assert about(claims, "magnitudes grow as sparsity does") == [False] * 3


def test_figure_2_of_chains_that_drift_apart():
    other = made_chains(as_published, lambda job: 804 + ("finetune" in job.name))
    report = figure_10.run(context(train=other))
    assert about(report.claims, "finetuning performs as rewinding does") == [True] * 4
    assert about(report.claims, "masks grows: L1 US") == [True]
    assert {"figure_2.png", "figure_9.png"} < set(report.pictures)


def test_figure_2_of_chains_that_are_the_same():
    report = figure_10.run(context(train=made_chains(as_published)))
    assert about(report.claims, "masks grows") == [None] * 4
    assert about(report.claims, "end larger than rewound") == [None]


def test_a_logarithm_is_told_from_a_line():
    x = np.arange(1, 21)
    assert figure_2._explained(np.log(x), 0.1 + 0.3 * np.log(x)) == pytest.approx(1)
    assert figure_2._explained(x, 0.1 + 0.3 * np.log(x)) < 0.9
    assert np.isnan(figure_2._explained(x, np.ones(20)))


def treated(method, treatment, number):
    return 0.11 if treatment == "sign" and number else as_published(method, treatment, number)


def test_figure_10_of_made_up_chains():
    away = {"rewind": 0, "finetune": 1, "sigma_sign": 2, "sign": 3}
    train = made_chains(treated, lambda job: 804 + away[job.name.split(", ")[1]])
    report = figure_10.run(context(train=train))
    assert about(report.claims, "σ · sign performs as rewinding does") == [True] * 4
    assert about(report.claims, "does not converge") == [True] * 4
    assert {"figure_5.png", "figure_10.png", "figure_11.png"} < set(report.pictures)
    assert [len(table.rows) for table in report.tables] == [20, 20, 20, 12, 4]


def test_a_sign_that_diverges_does_not_converge():
    whole = made_chains(treated)

    def train(jobs, data):
        made = whole(jobs, data)
        return [
            replace(o, levels=o.levels[:1], failure="diverged") if "sign" in o.job.name else o
            for o in made
        ]

    report = figure_10.run(context(train=train))
    assert about(report.claims, "does not converge") == [True] * 4
    assert about(report.claims, "σ · sign performs as rewinding does") == [False] * 4
    assert about(report.claims, "differ more from those of rewinding") == [None] * 4


def test_figure_13_of_masks_that_differ_and_of_the_same():
    away = made_chains(as_published, lambda job: 804 + job.config.epochs, 5.0)
    report = figure_13.run(context(train=away))
    assert about(report.claims, "are others than those found after 2") == [True] * 5
    same = figure_13.run(context(train=made_chains(as_published)))
    assert about(same.claims, "are others than those found after 2") == [False] * 5
    assert about(same.claims, "more in common than unrelated masks") == [True]


# ---------------------------------------------------------------- smoke


@pytest.mark.parametrize("figure", ["fig1", "fig10", "fig13", "table2_augmented"])
def test_smoke(figure, tmp_path):
    loaders = {"fashion-mnist-sample": data_loaders.fashion_mnist_sample}
    asked = reproduce.order("masks_2020", figure, "smoke", workers=0)
    augmentation = data_loaders.augmentation
    report = reproduce.reproduce(asked, loaders, tmp_path / "out", augmentation=augmentation)
    assert report.claims
    assert report.tables[0].rows
    for name in report.pictures:
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")
    whole = json.loads((tmp_path / "out" / "report.json").read_text())
    assert whole["source"] == FIGURES[figure].source
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert "Chain(levels=3" in config["runs"][0]["chain"]


def test_seeds_that_were_asked_for_are_those_that_are_told():
    fewer = networks.asked({"laptop": networks.LAPTOP}, context(seeds=2))
    assert fewer == replace(networks.LAPTOP, seeds=2)
    assert networks.asked({"laptop": networks.LAPTOP}, context()) == networks.LAPTOP
    assert "2 seeds" in networks.notes(fewer, "numbers", False)[1]
