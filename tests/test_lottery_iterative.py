"""Iterative pruning: where levels start, what they keep, and that no result depends on BLAS."""

import copy
import re
import tracemalloc
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from sparse_ref import csr, methods, schedules, tiles
from sparse_ref.layers import Dense, Linear
from sparse_ref.lottery import Treatment, iterative_pruning
from sparse_ref.methods import Static
from sparse_ref.models import mlp
from sparse_ref.optim import sgd
from sparse_ref.pruning import ByLayer, Magnitude, Random, ZhouCriterion
from sparse_ref.selection import smallest
from sparse_ref.train import fit

SIZES = (12, 10, 8, 4)
SEED = 611


def make(seed=612, dtype=np.float64, **options):
    options = {"density": None, "initialisation": "torch", **options}
    return mlp(SIZES, rng=np.random.default_rng(seed), dtype=dtype, **options)


def examples(n=90, seed=613):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, SIZES[0])), rng.integers(0, SIZES[-1], n)
    return x + 2 * np.eye(SIZES[-1], SIZES[0])[y], y


def half(weights, rng=None):
    """A pruner of three lines: the smaller half of each layer, rounded down."""
    values = [w.data if not isinstance(w, np.ndarray) else w.ravel() for w in weights]
    return tuple(smallest(np.abs(v), len(v) // 2) for v in values)


def chain(net=None, levels=3, treatment="rewind", pruner=half, seed=SEED, **options):
    options = {
        "optimizer": sgd(0.1),
        "epochs": 2,
        "batch_size": 16,
        **options,
    }
    rng = np.random.default_rng(seed)
    return iterative_pruning(
        make() if net is None else net,
        examples(),
        levels=levels,
        pruner=pruner,
        treatment=treatment,
        rng=rng,
        **options,
    )


class Watching(Static):
    """A method that does nothing and keeps what every training began with."""

    def init(self, net, rng):
        vars(self).setdefault("begun", []).append(
            ([whole(layer) for layer in net.weighted], [la.bias.copy() for la in net.weighted])
        )


def whole(layer):
    return layer.weight.copy() if isinstance(layer, Dense) else csr.to_dense(layer.weight)


def mask(layer):
    if isinstance(layer, Dense):
        return np.ones(layer.weight.shape, bool)
    return csr.pattern(layer.weight)


def masks(level):
    return [mask(layer) for layer in level.network.weighted]


def values(net):
    return [p.value for p in net.parameters()]


def assert_same_bits(one, two):
    for a, b in zip(values(one), values(two), strict=True):
        np.testing.assert_array_equal(a, b)


# ---------------------------------------------------------------- where levels start


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_level_starts_from_the_first_weights_under_its_mask(dtype):
    watching, first = Watching(), make(dtype=dtype)
    found = list(chain(make(dtype=dtype), method=watching))
    assert len(watching.begun) == len(found) == 4
    for level, (weights, biases) in zip(found, watching.begun, strict=True):
        pairs = zip(weights, masks(level), first.weighted, strict=True)
        for weight, present, layer in pairs:
            np.testing.assert_array_equal(weight, layer.weight * present)
        for bias, layer in zip(biases, first.weighted, strict=True):
            np.testing.assert_array_equal(bias, layer.bias)
        assert level.network.dtype == dtype


def test_late_rewinding_starts_from_the_weights_after_k_steps():
    watching, early = Watching(), make()
    (same, _) = np.random.default_rng(SEED).spawn(2)
    settings = {"optimizer": sgd(0.1), "epochs": 2, "batch_size": 16, "method": Static()}
    fit(early, examples(), rng=same, span=(0, 5), **settings)
    found = list(chain(method=watching, rewind_step=5))
    begun = watching.begun[1:]  # after the first steps
    for level, (weights, biases) in zip(found, begun, strict=True):
        for k, layer in enumerate(early.weighted):
            np.testing.assert_array_equal(weights[k], layer.weight * masks(level)[k])
            np.testing.assert_array_equal(biases[k], layer.bias)
        assert [step.step for step in level.history.steps] == [*range(6, 13)]


def test_without_momentum_level_0_is_the_training_in_one_go_wherever_it_is_cut():
    ref = make()
    (same, _) = np.random.default_rng(SEED).spawn(2)
    rate = schedules.Cosine(0.2, stop=12)
    fit(
        ref,
        examples(),
        method=Static(),
        optimizer=sgd(rate),
        epochs=2,
        batch_size=16,
        rng=same,
    )
    for step in (0, 1, 6, 11):
        level = next(chain(optimizer=sgd(rate), rewind_step=step))
        assert_same_bits(level.network, ref)


def test_level_0_is_the_network_that_was_given():
    net = make()
    level = next(chain(net))
    assert level.network is net
    assert (level.number, level.density) == (0, 1.0)


def test_finetuning_starts_where_the_last_training_ended():
    watching = Watching()
    found = list(chain(method=watching, treatment="finetune"))
    for (before, after), (weights, biases) in zip(pairwise(found), watching.begun[1:], strict=True):
        for k, layer in enumerate(before.network.weighted):
            np.testing.assert_array_equal(weights[k], whole(layer) * masks(after)[k])
            np.testing.assert_array_equal(biases[k], layer.bias)


def test_finetuning_without_learning_is_the_identity_on_survivors():
    found = list(chain(treatment="finetune", optimizer=sgd(0.0)))
    first = make()
    for level in found:
        for k, layer in enumerate(level.network.weighted):
            np.testing.assert_array_equal(whole(layer), first.weighted[k].weight * masks(level)[k])


def test_sigma_sign_starts_with_one_magnitude_a_layer():
    watching = Watching()
    list(chain(method=watching, treatment="sigma_sign"))
    for weights, _ in watching.begun[1:]:
        for weight, layer in zip(weights, make().weighted, strict=True):
            (_, magnitude) = np.unique(np.abs(weight))
            assert magnitude == pytest.approx(np.std(layer.weight, ddof=1), rel=1e-14)


@pytest.mark.parametrize("from_step_zero", [False, True])
def test_new_weights_train_from_the_rewinding_step_unless_told(from_step_zero):
    treatment = Treatment("reinitialise", from_step_zero=from_step_zero)
    found = list(chain(treatment=treatment, rewind_step=5, levels=1))
    first = [level.history.steps[0].step for level in found]
    assert first == [6, 1 if from_step_zero else 6]


@pytest.mark.parametrize("kind", ["rewind", "finetune", "sign"])
def test_only_new_weights_may_train_from_step_zero(kind):
    treatment = Treatment(kind, from_step_zero=True)
    found = list(chain(treatment=treatment, rewind_step=5, levels=1))
    assert [level.history.steps[0].step for level in found] == [6, 6]


# ---------------------------------------------------------------- masks


@pytest.mark.parametrize("treatment", ["rewind", "finetune", "sign", "reinitialise"])
def test_masks_nest_and_nothing_grows_again(treatment):
    found = list(chain(treatment=treatment))
    for before, after in pairwise(found):
        for many, few in zip(masks(before), masks(after), strict=True):
            assert np.all(few <= many)
            assert few.sum() == many.sum() - many.sum() // 2


def test_densities_are_those_of_a_rate_per_level():
    found = list(chain(pruner=Magnitude(0.2), levels=5, epochs=1))
    n = [120, 80, 32]
    for level in found:
        assert list(level.network.connections) == n
        n = [k - round(Fraction(k, 5)) for k in n]
        assert level.density == sum(level.network.connections) / 232


def test_layers_may_have_rates_of_their_own():
    found = list(chain(pruner=Magnitude((0.5, 0.25, 0.0)), levels=2, epochs=1))
    assert [level.network.connections for level in found] == [
        (120, 80, 32),
        (60, 60, 32),
        (30, 45, 32),
    ]


def test_a_dense_layer_that_loses_nothing_stays_dense_and_is_nobody_elses():
    pruner = ByLayer([None, Magnitude(0.5), Magnitude(0.5)])
    found = list(chain(pruner=pruner, levels=2))
    first = [level.network.weighted[0] for level in found]
    assert all(isinstance(layer, Dense) for layer in first)
    assert not np.shares_memory(first[0].weight, first[1].weight)
    np.testing.assert_array_equal(first[1].weight != first[2].weight, True)
    assert isinstance(found[1].network.weighted[1], Linear)


def test_what_is_ranked_are_the_weights_after_the_last_step():
    found = list(chain(levels=1))
    before, after = (level.network for level in found)
    for old, new in zip(before.weighted, after.weighted, strict=True):
        order = np.sort(np.abs(old.weight.ravel()))
        threshold = order[len(order) // 2]
        np.testing.assert_array_equal(mask(new), np.abs(old.weight) >= threshold)


def test_zhous_criteria_see_the_first_weights():
    found = list(chain(pruner=ZhouCriterion("movement", keep=0.5), levels=2))
    first, before, after = make(), found[1].network, found[2].network
    for start, old, new in zip(first.weighted, before.weighted, after.weighted, strict=True):
        moved = np.abs(old.weight.data - start.weight.ravel()[csr.flat(old.weight)])
        kept = np.isin(csr.flat(old.weight), csr.flat(new.weight))
        assert moved[~kept].max() <= moved[kept].min()
    finetuned = list(chain(pruner=ZhouCriterion("movement"), levels=1, treatment="finetune"))
    assert finetuned[1].network.connections < (120, 80, 32)


# ---------------------------------------------------------------- seeds and batches


def test_all_levels_see_the_same_batches():
    # Nothing learns and nothing goes, so equal batches make equal losses.
    found = list(chain(pruner=Magnitude(0.0), optimizer=sgd(0.0)))
    losses = [[step.loss for step in level.history.steps] for level in found]
    assert len(set(losses[0])) == 12
    assert losses == [losses[0]] * 4


def test_the_same_seed_makes_the_same_chain():
    for one, two in zip(chain(pruner=Random(0.3)), chain(pruner=Random(0.3)), strict=True):
        assert_same_bits(one.network, two.network)
    other = list(chain(pruner=Random(0.3), seed=614))
    same = list(chain(pruner=Random(0.3)))
    assert not np.array_equal(masks(same[1])[0], masks(other[1])[0])


def test_level_0_does_not_depend_on_what_comes_after():
    ref = next(chain()).network
    for treatment in ("finetune", "sigma_sign", Treatment("reinitialise", source="resample")):
        assert_same_bits(next(chain(treatment=treatment, levels=0)).network, ref)


def test_a_treatments_draws_move_no_pruners_draws():
    for one, two in zip(
        chain(pruner=Random(0.3), treatment="rewind"),
        chain(pruner=Random(0.3), treatment="reinitialise"),
        strict=True,
    ):
        for a, b in zip(masks(one), masks(two), strict=True):
            np.testing.assert_array_equal(a, b)


# ---------------------------------------------------------------- BLAS


@pytest.mark.parametrize("treatment", ["rewind", "finetune"])
def test_masks_do_not_depend_on_where_blas_ends(treatment):
    chains = [
        list(chain(blas_above=density, pruner=Magnitude(0.2), levels=6, treatment=treatment))
        for density in (0.0, 0.3, 0.5, np.inf)
    ]
    for levels in zip(*chains, strict=True):
        ref = levels[0]
        for level in levels[1:]:
            for one, other in zip(masks(ref), masks(level), strict=True):
                np.testing.assert_array_equal(one, other)
            for a, b in zip(values(ref.network), values(level.network), strict=True):
                # 12 steps a level, each with rounding errors of some 1e-16 times sums of 16.
                np.testing.assert_allclose(a.ravel(), b.ravel(), rtol=0, atol=1e-12)


def test_layers_made_by_pruning_compute_on_blas_where_they_should():
    found = list(chain(blas_above=0.3, levels=1))
    assert [layer.blas_above for layer in found[1].network.sparse_layers] == [0.3] * 3


def test_without_a_word_blas_is_used_as_the_network_is_set():
    net = make()
    found = list(chain(net, levels=1))
    assert [layer.blas_above for layer in found[1].network.sparse_layers] == [np.inf] * 3
    net = make()
    net.on_blas_above(0.4)
    found = list(chain(net, levels=2))
    for level in found[1:]:
        assert [layer.blas_above for layer in level.network.sparse_layers] == [0.4] * 3


def test_the_network_is_not_touched_before_the_first_level_is_asked_for():
    net = make(density=0.5)
    running = chain(net, blas_above=0.3)
    assert [layer.blas_above for layer in net.sparse_layers] == [np.inf] * 3
    next(running)
    assert [layer.blas_above for layer in net.sparse_layers] == [0.3] * 3


# ---------------------------------------------------------------- memory


@pytest.mark.parametrize("activation", ["relu", "srelu"])
def test_the_networks_belong_to_the_caller(activation):
    found, kept = [], []
    for level in chain(make(activation=activation)):
        found.append(level)
        kept.append([value.copy() for value in values(level.network)])
    for level, copies in zip(found, kept, strict=True):
        for value, before in zip(values(level.network), copies, strict=True):
            np.testing.assert_array_equal(value, before)
    for before, after in pairwise(found):
        for a in values(before.network):
            assert not any(np.shares_memory(a, b) for b in values(after.network))


WIDE = 3000
POSITIONS, SURVIVORS = WIDE * WIDE, WIDE * WIDE // 100


def held_after(levels, treatment):
    """Bytes that live when that many prunings have been made, and the most that ever did."""
    rng = np.random.default_rng(615)
    data = rng.standard_normal((8, WIDE)).astype(np.float32), rng.integers(0, 4, 8)
    tracemalloc.start()
    try:
        running = iterative_pruning(
            mlp([WIDE, WIDE, 4], density=None, rng=np.random.default_rng(616)),
            data,
            levels=levels,
            pruner=Magnitude(0.99),
            treatment=treatment,
            optimizer=sgd(0.01),
            epochs=1,
            batch_size=8,
            rng=rng,
        )
        tracemalloc.reset_peak()  # the model's draws are not ours
        for level in running:
            if level.number == levels:
                break
        del level
        tiles.empty(7, np.uint8)  # makes the pool of scratch buffers let go of those nobody uses
        return tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()


@pytest.fixture
def without_idle_buffers(monkeypatch):
    """No scratch memory is kept for later; kernels are compiled."""
    for treatment in ("sigma_sign", Treatment("reinitialise", source="permute_all")):
        list(chain(make(dtype=np.float32), levels=1, treatment=treatment))
    monkeypatch.setattr(tiles, "SPARE", 0)
    monkeypatch.setattr(tiles, "LONG", 0)


@pytest.mark.usefixtures("without_idle_buffers")
@pytest.mark.parametrize("treatment", ["rewind", "finetune", "sigma_sign"])
def test_no_dense_copy_is_kept_after_the_first_pruning(treatment):
    held, most = held_after(1, treatment)
    # A survivor: 4 bytes of weight, 12 of its pattern both ways, 4 of first value; units; data.
    assert held < 20 * SURVIVORS + 300_000 < POSITIONS / 4
    # Before: weight, first value, gradient, magnitude, 4 bytes each; which go, and which stay, 8.
    assert most < 40 * POSITIONS


@pytest.mark.usefixtures("without_idle_buffers")
def test_two_treatments_keep_the_first_tensors_and_say_so():
    held, _ = held_after(1, Treatment("reinitialise", source="permute_all"))
    assert 4 * POSITIONS < held < 4 * POSITIONS + 28 * SURVIVORS + 300_000


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("name", ["levels", "rewind_step"])
def test_counts_must_be_whole_and_not_negative(name):
    rule = f"iterative_pruning: {name} must be a whole number of at least 0, got "
    for wrong in (-1, 1.5, True):
        with pytest.raises(ValueError, match="^" + re.escape(rule)):
            chain(**{name: wrong})  # at once, before anything is trained


@pytest.mark.parametrize(
    ("options", "error", "rule"),
    [
        ({"pruner": None}, TypeError, "pruner must be callable, got None"),
        ({"blas_above": "a"}, TypeError, "blas_above must be a number, got 'a'"),
        ({"blas_above": -0.1}, ValueError, "blas_above must be at least 0, got -0.1"),
    ],
)
def test_wrong_arguments_are_refused_at_once(options, error, rule):
    with pytest.raises(error, match=f"^iterative_pruning: {rule}$"):
        chain(**options)


def test_a_generator_is_asked_for_at_once():
    rule = r"^iterative_pruning: rng must be a Generator, got int$"
    with pytest.raises(TypeError, match=rule):
        iterative_pruning(
            make(), examples(), levels=1, pruner=half, optimizer=sgd(0.1), epochs=1,
            batch_size=16, rng=3,
        )  # fmt: skip


def test_a_sigma_of_one_value_is_refused_before_anything_is_trained():
    net = mlp((12, 10, 1), density=None, rng=np.random.default_rng(618))
    data = examples()[0], np.zeros(90, int)
    rule = r"^sigma_sign, biases of layer 1: with ddof 1 there must be more values, got 1$"
    watching = Watching()
    running = iterative_pruning(
        net, data, levels=1, pruner=half, treatment="sigma_sign", optimizer=sgd(0.1), epochs=1,
        batch_size=16, rng=np.random.default_rng(619), method=watching,
    )  # fmt: skip
    with pytest.raises(ValueError, match=rule):
        next(running)
    assert not hasattr(watching, "begun")


def test_a_method_that_rewires_is_refused():
    method = methods.RigL(every=3, stop=12)
    rule = r"^iterative_pruning: method must not rewire, got \d+ events at level 1$"
    with pytest.raises(ValueError, match=rule):
        list(chain(method=method))


def test_a_pruner_that_forgets_a_layer_is_refused():
    rule = r"^iterative_pruning: pruner must return slots for each of 3 layers, got 2$"
    with pytest.raises(ValueError, match=rule):
        list(chain(pruner=lambda weights, rng: half(weights)[:2]))


def test_a_copy_of_a_generator_spawns_what_it_would():
    # What makes all levels see the same batches.
    rng = np.random.default_rng(617)
    (one,), (two,) = copy.deepcopy(rng).spawn(1), copy.deepcopy(rng).spawn(1)
    assert one.random() == two.random()
