"""The recipe alford_2018, figures 2, 7 and 8: what it prunes, what it retrains, how it judges."""

import json
import math

import numpy as np
import pytest

from sparse_ref import csr, models, tiles
from sparse_ref.experiments import reproduce as reproduction
from sparse_ref.experiments.alford_2018 import (
    FIGURES,
    figure_2,
    figure_7,
    figure_7_judged,
    figure_8,
    published,
)
from sparse_ref.experiments.alford_2018 import figure_8_judged as judging
from sparse_ref.experiments.alford_2018.figure_2 import Pruning
from sparse_ref.experiments.alford_2018.figure_7_judged import AGAIN, DENSE, ITERATIVE, ONCE, Ended
from sparse_ref.experiments.alford_2018.figure_8_judged import Key, Retrained
from sparse_ref.experiments.alford_2018.retraining import (
    LENET_300_100,
    LINEAR,
    RELU,
    Classes,
    Plan,
    Schedule,
    ceilings,
    classes,
    final,
    network,
    pruned_once,
    seeds_of,
    structure_of,
)
from sparse_ref.experiments.runner import Data
from sparse_ref.experiments.sweep import Outcome, train

PLAN = Plan("mnist", 24)
MNIST = np.repeat(np.arange(10), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])


def verdict(claims):
    return [claim.agrees for claim in claims]


# ---------------------------------------------------------------- what is trained


def test_a_network_is_pruned_as_by_the_program():
    config = PLAN.pruned(0.05, 3, RELU).config
    method = config.method.build(13_200)
    due = [step for step in range(1, 13_201) if method.due(step)]
    assert due == list(range(3000, 10_001, 200))
    assert method.density_at(10_000) == 0.05
    assert config.model.sizes == [784, 300, 100, 10]
    assert config.model.logits_activation == "relu"
    assert (config.model.density, config.model.dense) == (1.0, None)
    assert config.model.initialisation == "truncated_normal"
    optimizer = config.optimizer.build(550, 13_200)
    assert (optimizer.momentum, optimizer.weight_decay) == (0.0, 0.004)
    assert [optimizer.learning_rate(step) for step in (1, 13_200)] == [0.2, 0.2]


def test_the_dense_network_is_dense_and_outputs_are_as_asked():
    config = PLAN.dense(3, LINEAR).config
    assert config.model.density is None
    assert config.model.logits_activation == "none"
    assert config.method.name == "static"


def small(epochs=2):
    """A plan and data of seconds."""
    rng = np.random.default_rng(661)
    y = rng.integers(0, 10, 500)
    x = (rng.random((500, 784)) + np.eye(10)[y].repeat(79, axis=1)[:, :784]).astype(np.float32)
    data = Data((x, y), None, (x[:200], y[:200]))
    return Plan("blobs", epochs, schedule=Schedule(2, 8, 2)), data


@pytest.fixture(scope="module")
def pruned():
    plan, data = small()
    return train(plan.pruned(0.1, 3, RELU), data), train(plan.dense(3, RELU), data), plan, data


def test_a_pruned_network_ends_with_its_density_in_every_layer(pruned):
    outcome, *_ = pruned
    assert not outcome.failure
    counts = [w.nnz for w in structure_of(outcome)]
    assert counts == [23520, 3000, 100]
    assert outcome.connections == ((235200, 30000, 1000), tuple(counts))


def test_a_network_is_built_again_as_it_ended(pruned):
    outcome, dense, _, data = pruned
    for ended in (outcome, dense):
        net = network(ended)
        accuracy = np.mean(net.predict(data.test[0]).argmax(axis=1) == data.test[1])
        assert accuracy == pytest.approx(ended.test.accuracy)
        assert (net.predict(data.test[0]) >= 0).all()  # the ReLU is there


def test_one_time_pruning_keeps_the_largest_of_every_layer(pruned):
    _, dense, *_ = pruned
    weights = [value for value in final(dense).others if value.ndim == 2]
    for weight, layer in zip(weights, pruned_once(dense, 0.1), strict=True):
        assert layer.nnz == round(0.1 * weight.size)
        kept = np.abs(weight.reshape(-1)[csr.flat(layer)])
        gone = np.abs(np.delete(weight.reshape(-1), csr.flat(layer)))
        assert kept.min() >= gone.max()
        assert np.array_equal(layer.data, weight.reshape(-1)[csr.flat(layer)])


def test_a_retraining_has_the_connections_and_new_weights(pruned):
    outcome, _, plan, data = pruned
    jobs = [plan.retrained("again", structure_of(outcome), 0.1, seed, LINEAR) for seed in (5, 7)]
    one, two = (train(job, data) for job in jobs)
    for again in (one, two):
        for new, old in zip(structure_of(again), structure_of(outcome), strict=True):
            assert np.array_equal(csr.flat(new), csr.flat(old))
    assert not np.array_equal(structure_of(one)[0].data, structure_of(two)[0].data)
    from_same = plan.retrained("again", structure_of(outcome), 0.1, 5, LINEAR)
    assert np.array_equal(structure_of(train(from_same, data))[0].data, structure_of(one)[0].data)


def test_no_two_retrainings_share_a_seed_nor_one_with_the_pruned():
    seeds = seeds_of([1, 2, 500], 50)
    assert len(set(seeds)) == 150
    assert min(seeds) > 1000


# ---------------------------------------------------------------- dead classes, by hand


def test_a_class_is_dead_if_none_of_its_own_images_raises_it():
    labels = np.array([0, 0, 1, 1, 2, 2])
    outputs = np.array(
        # class 0, 1 (zero for all), 2 (zero for its own images only)
        [[1.0, 0.0, 0.5], [2.0, 0.0, 0.0], [0.0, 0.0, 0.3], [0.1, 0, 0], [0.2, 0, 0], [0, 0, 0]]
    )
    seen = classes(outputs, labels, RELU)
    assert seen.dead == (1, 2)
    assert seen.silent == (1,)
    assert seen.missed == (1,)
    assert (seen.living, seen.ceiling) == (1.0, pytest.approx(1 / 3))


def test_of_linear_outputs_no_class_is_dead():
    outputs = np.array([[1.0, -1.0], [2.0, 0.0]])
    seen = classes(outputs, np.array([0, 1]), LINEAR)
    assert seen == Classes((), (), (1,), 0.5, 1.0)


def test_where_all_are_dead_there_is_no_accuracy_of_the_living():
    seen = classes(np.zeros((4, 2)), np.array([0, 1, 0, 1]), RELU)
    assert seen.dead == seen.silent == (0, 1)
    assert math.isnan(seen.living)
    assert seen.ceiling == 0


def test_a_dead_class_has_no_gradient_from_its_own_images():
    rng = np.random.default_rng(673)
    net = models.mlp([6, 8, 3], density=0.5, rng=rng, logits_activation="relu", dtype=np.float64)
    net.sparse_layers[-1].bias[1] = -100
    x = rng.random((20, 6))
    _, grads = net.gradients(tiles.pack(x), np.full(20, 1))
    assert 1 in classes(net.predict(x), np.full(20, 1), RELU).dead
    assert grads[2].bias[1] == 0
    assert grads[2].bias.any()


def test_the_ceilings_of_mnist():
    assert ceilings(MNIST, 0) == (1, 1)
    low, high = ceilings(MNIST, 1)
    assert (round(low, 4), round(high, 4)) == (0.8865, 0.9108)
    assert ceilings(MNIST, 9) == (pytest.approx(0.0892), pytest.approx(0.1135))


# ---------------------------------------------------------------- figure 2


def prunings(last=0.9, came=0):
    steps = (10, 20, 30)
    values = (0.3, 0.6, last)
    rows = [Pruning(step, s, s, 0.9, 0.8, came) for step, s in zip(steps, values, strict=True)]
    return {0.1: [*rows, Pruning(40, 0.9, last, 0.95, 0.95, 0)]}


def test_figure_2_says_whether_the_sparsity_rises_and_nothing_returns():
    assert verdict(figure_2.report(prunings(), PLAN).claims) == [True, True]
    assert verdict(figure_2.report(prunings(last=0.5), PLAN).claims) == [False, True]
    assert verdict(figure_2.report(prunings(came=1), PLAN).claims) == [True, False]


def test_figure_2_tells_the_worst_pruning():
    (table,) = figure_2.report(prunings(), PLAN).tables
    assert table.rows == (("0.9", "3", "90.00", "-10.00 at step 10", "80.00", "95.00"),)


def test_a_training_is_looked_at_before_and_after_every_pruning():
    plan, data = small(epochs=3)
    rows = figure_2.trained(plan, 0.1, 3, data)
    assert [row.step for row in rows] == [2, 4, 6, 8, 15]
    sizes = np.array([235200, 30000, 1000])
    for row in rows:
        left = np.maximum(np.round(sizes * (1 - row.wanted)), 1).sum()
        assert row.sparsity == pytest.approx(1 - left / sizes.sum(), abs=1e-12)
        assert row.came == 0
    assert rows[0].wanted == 0  # at its start the curve is at zero
    assert rows[0].before == rows[0].after


# ---------------------------------------------------------------- figure 7


def sevens(accuracy, seeds=3, dead=lambda logits, kind, density: 0):
    """Trainings as if every kind had reached `accuracy` of it, a little apart."""
    keys = [
        (logits, kind, density)
        for logits in figure_7_judged.LOGITS
        for kind, density in [(DENSE, 1.0)]
        + [(kind, d) for d in figure_7_judged.DENSITIES for kind in figure_7_judged.KINDS]
    ]
    return {
        key: [Ended(accuracy(*key) + 0.0002 * k, dead(*key), dead(*key), 7) for k in range(seeds)]
        for key in keys
    }


def as_published(logits, kind, density):
    if logits == LINEAR and kind == ONCE and density == 0.01:
        return 0.95
    more = 0.001 * (logits == LINEAR and kind == AGAIN and density == 0.01)
    return figure_7_judged.printed("LeNet-300-100", kind, density) + more


def sevenths(found):
    return figure_7.report(found, figure_7.SETTINGS["laptop"], PLAN)


def test_the_published_numbers_bear_the_paper_out():
    report = sevenths(sevens(as_published))
    assert verdict(report.claims) == [True] * 20
    first = report.tables[0].rows
    assert first[0][3] == "97.03"
    assert [row[3] for row in first[-3:]] == ["96.83", "96.08", "56.08"]


def test_what_contradicts_figure_7_is_told():
    worse = sevens(lambda logits, kind, d: 0.9 if kind == DENSE else 0.9 - (1 - d) / 10)
    claims = verdict(sevenths(worse).claims)
    assert claims[:3] == [False, False, False]
    flipped = sevens(
        lambda logits, kind, d: {DENSE: 0.9, ITERATIVE: 0.8, AGAIN: 0.85, ONCE: 0.9}[kind]
    )
    assert verdict(sevenths(flipped).claims)[3:9] == [False] * 6


def test_one_seed_decides_nothing():
    assert set(verdict(sevenths(sevens(as_published, seeds=1)).claims)) == {None}


def test_what_diverged_leaves_dashes():
    found = sevens(as_published)
    for key in [(RELU, AGAIN, 0.01), (RELU, ONCE, 0.01)]:
        del found[key]
    report = sevenths(found)
    cells = [cell for table in report.tables for row in table.rows for cell in row]
    assert "–" in cells
    assert "nan" not in " ".join(cells)
    assert verdict(report.claims)[7] is None


def test_the_published_numbers_are_of_every_density():
    for numbers in published.FIGURE_7.values():
        assert tuple(numbers) == figure_7_judged.DENSITIES
        assert all(len(row) == len(figure_7_judged.KINDS) for row in numbers.values())


# ---------------------------------------------------------------- figure 8


def eights(n_dead, linear=0.97, n=8):
    """Retrainings with the ReLU of which the k-th has ``n_dead(key, k)`` dead classes."""
    found = {}
    for logits in (RELU, LINEAR):
        for kind, density in judging.places():
            several = (kind, density) == (judging.PRUNED, judging.SPARSEST)
            for rate in judging.RATES if several else (PLAN.rate,):
                key, group = Key(logits, kind, density, rate), []
                for k in range(n):
                    dead = tuple(range(n_dead(key, k))) if logits == RELU else ()
                    ceiling = float(np.mean(~np.isin(MNIST, dead)))
                    living = linear + 0.0003 * k
                    seen = Classes(dead, dead, dead, living, ceiling)
                    accuracy = living * ceiling - (0.2 - rate) / 10
                    group.append(Retrained(501, k, accuracy, (0.1, accuracy), seen))
                found[key] = group
    return found


def eighths(found):
    return figure_8.report(found, figure_8.SETTINGS["laptop"], PLAN, MNIST)


def test_dead_classes_bear_the_hypothesis_out():
    report = eighths(eights(lambda key, k: 0 if key.density == 1 else 1 + k % 4))
    claims = verdict(report.claims)
    assert claims[:2] == [True, False]  # stuck with the ReLU, not without
    assert claims[2] is None  # dense ones are not with either
    assert claims[3:19] == [True] * 16  # the ReLU does it, and nothing else is lost
    assert claims[19] is None  # sparsities differ less than trainings
    assert claims[20:] == [True, True]
    assert set(report.pictures) == {
        "figure_8.png",
        "figure_8_histograms.png",
        "figure_8_random.png",
        "figure_8_random_histograms.png",
        "figure_8_dead_classes.png",
    }


def judged_claims(found):
    """The claims alone: pictures take seconds."""
    usual = {key: found.get(key, ()) for key in eights(lambda key, k: 0, n=1)}
    return judging.claims({k: g for k, g in usual.items() if k.rate == PLAN.rate}, found)


def test_nothing_stuck_contradicts_the_paper():
    claims = verdict(judged_claims(eights(lambda key, k: 0)))
    assert claims[:2] == [False] * 2
    assert claims[2:11] == [None] * 9
    assert claims[11] is True  # accuracies are the same at every sparsity


def test_accuracies_that_fall_with_the_density_are_not_uncorrelated_with_it():
    claims = judged_claims(eights(lambda key, k: 5 if key.density < 0.05 else 0))
    (claim,) = [claim for claim in claims if "uncorrelated" in claim.paper]
    assert claim.agrees is False


def test_what_is_lost_beside_the_dead_classes_is_told():
    found = eights(lambda key, k: 2)
    key = Key(RELU, judging.PRUNED, 0.1, PLAN.rate)
    found[key] = [r._replace(seen=r.seen._replace(living=0.8)) for r in found[key]]
    (claim,) = [
        c
        for c in judged_claims(found)
        if "no more is lost than the dead classes [pruned" in c.paper and "0.9]" in c.paper
    ]
    assert claim.agrees is False


def test_nothing_is_said_of_what_is_lost_where_linear_outputs_are_stuck_too():
    found = eights(lambda key, k: 2)
    key = Key(LINEAR, judging.RANDOM, 0.01, PLAN.rate)
    seen = Classes((), (), (3,), 0.1, 1.0)
    found[key] = [r._replace(seen=seen) for r in found[key]]
    said = [c.paper for c in judged_claims(found) if "lost" in c.paper]
    assert len(said) == 8
    assert not any("random structure, sparsity 0.99" in paper for paper in said)


def test_living_classes_that_do_better_lose_nothing():
    # Eight classes are easier to tell apart than ten.
    found = eights(lambda key, k: 2)
    key = Key(RELU, judging.PRUNED, 0.1, PLAN.rate)
    found[key] = [r._replace(seen=r.seen._replace(living=0.999)) for r in found[key]]
    verdicts = [c.agrees for c in judged_claims(found) if "lost" in c.paper]
    assert verdicts == [True] * 9


def test_the_table_counts_dead_classes():
    table = judging.table(eights(lambda key, k: k % 3))
    rows = {(row[0], row[1]): row for row in table.rows}
    row = rows["ReLU on the outputs", "pruned structure, sparsity 0.95"]
    assert row[5:] == ("0: 3, 1: 3, 2: 2", "0: 3, 1: 3, 2: 2")
    assert rows["linear outputs", "dense"][5:] == ("cannot be", "0: 8")


def test_what_did_not_end_leaves_dashes():
    found = eights(lambda key, k: 1)
    del found[Key(RELU, judging.PRUNED, 0.1, PLAN.rate)]
    report = eighths(found)
    text = " ".join(cell for table in report.tables for row in table.rows for cell in row)
    assert "–" in text
    assert "nan" not in text


def test_retrainings_have_the_structures_and_seeds_of_their_plan(pruned):
    outcome, _, plan, _ = pruned
    settings = figure_8.SETTINGS["smoke"]
    cells = {(density, 500): outcome for density in judging.DENSITIES}
    by_key = {}
    for key, _, job in figure_8._again(cells, plan, settings):
        by_key.setdefault(key, []).append(job)
    assert len(by_key) == 2 * (1 + 4 + 3 + 3)  # dense, random, pruned: the sparsest at three rates
    for key, jobs in by_key.items():
        seeds = [job.config.seed for job in jobs]
        assert len(set(seeds)) == len(seeds) == 2
        other = by_key[key._replace(logits=RELU if key.logits == LINEAR else LINEAR)]
        assert [job.config.seed for job in other] == seeds
        assert {job.config.optimizer.learning_rate for job in jobs} == {key.rate}
    random = by_key[Key(RELU, judging.RANDOM, 0.1, 0.2)][0].start.weights
    assert [w.nnz for w in random] == [w.nnz for w in structure_of(outcome)]
    assert not np.array_equal(random[0].indices, structure_of(outcome)[0].indices)
    twin = by_key[Key(LINEAR, judging.RANDOM, 0.1, 0.2)][1].start.weights
    assert all(np.array_equal(a.indices, b.indices) for a, b in zip(random, twin, strict=True))


def test_a_training_that_diverged_is_left_out():
    job = PLAN.dense(3, RELU)
    assert figure_8._retrained(500, Outcome(job, failure="diverged"), None) == []
    assert figure_7._ended(Outcome(job, failure="diverged"), None) == []


# ---------------------------------------------------------------- the whole


def blobs():
    rng = np.random.default_rng(677)
    y = rng.integers(0, 10, 300)
    x = (rng.random((300, 28, 28)) + y[:, None, None] / 10).astype(np.float32)
    return (x[:200], y[:200]), (x[200:], y[200:])


@pytest.mark.parametrize("name", ["fig2", "fig7", "fig8"])
def test_a_figure_is_reproduced_at_scale_smoke(name, tmp_path):
    order = reproduction.order("alford_2018", name, "smoke", workers=0)
    report = reproduction.reproduce(order, {"fashion-mnist-sample": blobs}, tmp_path / name)
    assert set(verdict(report.claims)) == {None}
    assert all((tmp_path / name / picture).stat().st_size > 5000 for picture in report.pictures)
    json.loads((tmp_path / name / "report.json").read_text())


def test_every_figure_has_a_name_of_its_own():
    assert list(FIGURES) == [
        "fig2",
        "fig5",
        "fig6",
        "fig7",
        "fig7_lenet_5",
        "fig8",
        "fig8_lenet_5",
        "fig9",
        "fig9_lenet_5",
    ]
    assert LENET_300_100.settings == {"sizes": [784, 300, 100, 10]}
