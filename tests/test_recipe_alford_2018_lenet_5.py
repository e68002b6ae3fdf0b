"""The recipe alford_2018 on LeNet-5: what it prunes, its structures, how it judges."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

import data_loaders
from sparse_ref import topology
from sparse_ref.experiments import reproduce as reproduction
from sparse_ref.experiments.alford_2018 import (
    figure_7,
    figure_7_judged,
    figure_8,
    figure_9_lenet_5,
    published,
)
from sparse_ref.experiments.alford_2018.figure_7_judged import DENSE, KINDS, LOGITS, Ended
from sparse_ref.experiments.alford_2018.lenet_5 import XNET, Net5, config, has_radix, in_blocks
from sparse_ref.experiments.alford_2018.networks import RADIX, RANDOM
from sparse_ref.experiments.alford_2018.retraining import LENET_5, LINEAR, RELU, Plan, Schedule
from sparse_ref.experiments.runner import beginning
from sparse_ref.experiments.sweep import Job, Outcome
from sparse_ref.layers import ReLU

PLAN = Plan("mnist", 24, LENET_5)
PAPER = figure_9_lenet_5.SETTINGS["paper"]


def verdict(claims):
    return [claim.agrees for claim in claims]


# ---------------------------------------------------------------- what is trained


def test_every_layer_of_lenet_5_is_pruned():
    net, _ = beginning(PLAN.pruned(0.05, 3, RELU).config)
    assert tuple(layer.weight.shape for layer in net.sparse_layers) == LENET_5.shapes
    assert net.density == 1
    assert sum(map(math.prod, LENET_5.shapes)) == 970_140


def test_outputs_have_the_programs_relu_or_none():
    for logits, last in ((RELU, True), (LINEAR, False)):
        net, _ = beginning(PLAN.dense(3, logits).config)
        assert not net.sparse_layers
        assert isinstance(net.layers[-1], ReLU) == last


def test_first_weights_are_those_of_the_program():
    net, _ = beginning(PLAN.dense(3, RELU).config)
    first, second, third, last = (np.asarray(layer.weight) for layer in net.weighted)
    assert 0.09 < max(np.abs(second).max(), np.abs(first).max()) <= 0.1
    assert 0.07 < np.abs(third).max() <= 0.08
    assert {float(layer.bias[0]) for layer in net.weighted[:2]} == {0}
    assert net.weighted[2].bias[0] == net.weighted[3].bias[0] == np.float32(0.1)
    assert last.shape == (10, 384)


# ---------------------------------------------------------------- structures of figure 9


def test_networks_beside_those_published_are_the_structured_ones():
    shown = {tuple(net) for net in PAPER.nets}
    assert shown - set(published.FIGURE_9_LENET_5) == {(XNET, 1, 0.1), (RADIX, 2, 0.5)}
    assert set(published.FIGURE_9_LENET_5) <= shown


def test_a_pattern_of_channels_has_whole_kernels():
    (pattern,) = topology.patterns.layers_of(np.array([[1, 0, 1], [0, 1, 0]]), "test")
    np.testing.assert_array_equal(
        in_blocks(pattern, 2).toarray(), [[1, 1, 0, 0, 1, 1], [0, 0, 1, 1, 0, 0]]
    )


def test_an_x_net_joins_every_input_channel_to_as_many_filters():
    convolution, after = Net5(XNET, 1, 0.1).layers(3)
    assert [convolution.shape, after.shape] == Net5(XNET, 1, 0.1).shapes
    kernels = convolution.toarray().reshape(50, 20, 25)
    assert (kernels.all(axis=2) == kernels.any(axis=2)).all()
    assert (kernels.any(axis=2).sum(axis=0) == 5).all()
    assert convolution.nnz == 0.1 * 50 * 500
    assert after.nnz == 245 * 384


def test_a_radix_net_of_channels_has_half_of_them_and_equal_paths():
    layers = Net5(RADIX, 2, 0.5).layers(3)
    assert [w.nnz / math.prod(w.shape) for w in layers] == [0.5, 0.5]
    kernels = layers[0].toarray().reshape(100, 20, 25)
    reads = layers[1].toarray().reshape(384, 100, 49)
    assert (kernels == kernels[:, :, :1]).all()
    assert (reads == reads[:, :, :1]).all()
    paths = reads[:, :, 0] @ kernels[:, :, 0]
    assert len(np.unique(paths)) == 1
    assert paths[0, 0] > 0


@pytest.mark.parametrize("place", [(1, 0.5), (1, 0.1), (2, 0.1)])
def test_there_is_no_other_radix_net(place):
    assert not has_radix(*place)
    with pytest.raises(ValueError, match=r"Net5: a RadiX-Net must be of width 2 and density 0\.5"):
        Net5(RADIX, *place).layers(3)


@pytest.mark.parametrize("net", [Net5(RANDOM, 1, 0.1), Net5(XNET, 1, 0.1), Net5(RADIX, 2, 0.5)])
def test_a_network_begins_with_its_structure_between_dense_ends(net):
    built, _ = beginning(config(net, 3, 5, "mnist"), net.start(5))
    assert [layer.weight.shape for layer in built.sparse_layers] == net.shapes
    assert len(built.weighted) == 4
    total = sum(math.prod(la.weight.shape) for la in (built.weighted[0], built.weighted[-1]))
    total += sum(la.weight.nnz for la in built.sparse_layers)
    assert total == pytest.approx(net.connections, rel=0.01)


def test_random_nets_are_of_their_seed():
    first, again, other = (Net5(RANDOM, 1, 0.1).layers(seed) for seed in (3, 3, 5))
    assert np.array_equal(first[0].indices, again[0].indices)
    assert first[1].nnz != other[1].nnz


# ---------------------------------------------------------------- judged


def nines(level, seeds=3, settings=PAPER):
    found = {
        net: [
            Outcome(
                Job(net.kind, config(net, 5, 3 + k, "mnist")),
                curve={"test": np.full(5, level(net) + 0.0002 * k)},
                connections=((5, 6, 7, 8), (5, 6, 7, 8)),
            )
            for k in range(seeds)
        ]
        for net in settings.nets
    }
    return figure_9_lenet_5.report(found, settings, "mnist")


def as_published(net):
    return net.published or net._replace(kind=RANDOM).published


def test_published_numbers_bear_figure_9_out():
    report = nines(as_published)
    assert verdict(report.claims) == [True] * 6
    rows = {row[:3]: row for row in report.tables[0].rows}
    assert rows["random", "10", "0.1"][4] == "98.91"
    assert rows[XNET, "1", "0.1"][4] == ""


def test_what_contradicts_figure_9_is_told():
    worse = nines(lambda net: 0.9 + 0.05 * (net.density < 0.2) - 0.02 * (net.kind != RANDOM))
    assert verdict(worse.claims) == [False, False, False, False, False, False]


def sevens(level, missed, seeds=4):
    densities = figure_7_judged.DENSITIES
    places = [(DENSE, 1.0), *((kind, d) for d in densities for kind in KINDS)]
    return {
        (logits, kind, density): [
            Ended(level(kind) + 0.0002 * k, 0, missed(kind, k), 7) for k in range(seeds)
        ]
        for logits in LOGITS
        for kind, density in places
    }


def test_lenet_5_is_judged_by_what_the_paper_says_of_it():
    order = {DENSE: 0.99, KINDS[0]: 0.989, KINDS[1]: 0.9, KINDS[2]: 0.8}
    found = sevens(order.get, lambda kind, k: k % 2 if kind in KINDS[1:] else 0)
    claims = figure_7_judged.claims(found, figure_7_judged.DENSITIES, LENET_5.name)
    assert verdict(claims[:8]) == [True] * 8
    assert len(claims) == 10  # and twice what the ReLU costs: nothing here
    smooth = sevens(order.get, lambda kind, k: 0)
    poor = [
        claim.agrees
        for claim in figure_7_judged.claims(smooth, figure_7_judged.DENSITIES, LENET_5.name)
        if "fare poorly" in claim.paper
    ]
    assert poor == [False, False]


def test_what_was_reduced_is_said():
    settings = figure_7.ON_LENET_5["laptop"]
    notes = figure_7._notes(settings, PLAN, figure_7.ON_LENET_5["paper"])
    assert "pruned from step 140 to 440 (3,000 to 10,000), 2 densities (5)" in notes[-1]
    settings = figure_8.ON_LENET_5["laptop"]
    notes = figure_8._notes(settings, PLAN, figure_8.ON_LENET_5["paper"])
    assert "2 densities (4), 1 learning rates (3)" in notes[-1]


@pytest.mark.parametrize("figure", [figure_7, figure_8])
def test_at_scale_laptop_pruning_ends_before_the_training(figure):
    settings = figure.ON_LENET_5["laptop"]
    epochs = getattr(settings, "pruning_epochs", settings.epochs)
    plan = replace(PLAN, epochs=epochs, schedule=settings.schedule)
    steps = epochs * settings.images // 100
    method = plan.pruned(0.1, 3, RELU).config.method.build(steps)
    due = [step for step in range(1, steps + 1) if method.due(step)]
    assert due[0] == 140
    assert due[-1] == 440 < steps
    assert isinstance(settings.schedule, Schedule)


# ---------------------------------------------------------------- the whole


@pytest.mark.parametrize("name", ["fig7_lenet_5", "fig8_lenet_5", "fig9_lenet_5"])
def test_a_figure_is_reproduced_at_scale_smoke(name, tmp_path):
    loaders = {"fashion-mnist-sample": data_loaders.fashion_mnist_sample}
    order = reproduction.order("alford_2018", name, "smoke", workers=0)
    report = reproduction.reproduce(order, loaders, tmp_path / name)
    assert set(verdict(report.claims)) == {None}
    assert all((tmp_path / name / picture).stat().st_size > 5000 for picture in report.pictures)
    json.loads((tmp_path / name / "report.json").read_text())
