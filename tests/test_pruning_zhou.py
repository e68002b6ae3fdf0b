"""Zhou et al.'s criteria and mask-0 actions: by hand, and against the dense search."""

import re
from fractions import Fraction

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparse_ref import Linear, Network, ReLU, csr, fit, optim
from sparse_ref.methods import Static
from sparse_ref.pruning import ACTIONS, CRITERIA, ZhouCriterion, mask_zero

HALF = Fraction(1, 2)

# slot          0     1     2     3
FINAL = np.array([[0.9, -0.2, 0.3, -0.6]])
INITIAL = np.array([0.7, 0.1, 0.4, -0.1])
GRADIENT = np.array([0.1, 2.0, 0.2, 1.0])

# |f| .9 .2 .3 .6, |i| .7 .1 .4 .1, |f| - |i| .2 .1 -.1 .5, |f - i| .2 .3 .1 .5, |g i| .07 .2 .08 .1
# Signs: only slot 1 turned. Of four, two go.
BY_HAND = {
    "large_final": [1, 2],
    "small_final": [0, 3],
    "large_init": [1, 3],
    "small_init": [0, 2],
    "magnitude_increase": [1, 2],
    "movement": [0, 2],
    "large_final_same_sign": [1, 2],  # .9 0 .3 .6
    "large_final_diff_sign": [2, 3],  # 0 .2 0 0, of equals the last go
    "magnitude_increase_same_sign": [1, 2],  # .2 0 -.1 .5
    "magnitude_increase_diff_sign": [2, 3],  # 0 .1 0 0
    "snip": [0, 2],
    "grad": [0, 2],
    "large_final_same_sign_single": [1],
    "large_final_diff_sign_single": [0, 2, 3],
}


def asked(criterion, weight=FINAL, keep=HALF, rng=None, **more):
    given = {"initial": [INITIAL], "gradients": [GRADIENT]} | more
    return ZhouCriterion(criterion, keep)([weight], rng, **given)[0].tolist()


@pytest.mark.parametrize("criterion", BY_HAND)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_criterion_drops_what_was_worked_out_by_hand(criterion, dtype):
    dense = FINAL.astype(dtype)
    sparse = csr.from_dense(dense, np.ones((1, 4), bool))
    assert asked(criterion, dense) == asked(criterion, sparse) == BY_HAND[criterion]


def test_every_criterion_is_tested():
    corners = {"large_init_large_final", "small_init_small_final"}
    assert set(BY_HAND) | corners | {"random"} == set(CRITERIA)


def test_equals_go_at_random():
    streams = np.random.default_rng(607).spawn(60)
    found = {tuple(asked("large_final_diff_sign", rng=rng)) for rng in streams}
    assert found == {(0, 2), (0, 3), (2, 3)}


def test_random_takes_any():
    streams = np.random.default_rng(613).spawn(200)
    assert len({tuple(asked("random", rng=rng)) for rng in streams}) == 6


def test_the_percent_is_the_codes():
    weight = np.random.default_rng(617).standard_normal((300, 784))
    assert len(ZhouCriterion(keep=0.8)([weight])[0]) == 47039
    assert len(ZhouCriterion(keep=Fraction(4, 5))([weight])[0]) == 47040
    assert len(ZhouCriterion(keep=0.8, power=2)([weight])[0]) == int(
        235200 * (1 - 0.8**2) * 100 / 100
    )


def test_layers_keep_parts_of_their_own():
    weights = [np.arange(1.0, 11.0).reshape(1, 10)] * 2
    drops = ZhouCriterion(keep=(Fraction(4, 5), Fraction(1, 2)))(weights)
    assert [drop.tolist() for drop in drops] == [[0, 1], [0, 1, 2, 3, 4]]


def test_what_is_held_is_no_candidate():
    # Slots 1, 2 and 3 are left; int(3 * .5) = 1 of them goes.
    assert asked("large_final", held=[np.array([1])]) == [2]


@st.composite
def layers(draw):
    rng = np.random.default_rng(draw(st.integers(2, 2**32)))
    shape = draw(st.integers(1, 6)), draw(st.integers(2, 8))
    present = rng.random(shape) < draw(st.sampled_from([0.3, 0.7, 1.0]))
    return rng.standard_normal(shape) * present, rng.standard_normal(shape), present


def test_a_percentile_that_falls_on_a_score_is_that_score():
    final = np.array([[1.17511383, 0.08606099, -0.36137614, 1.48796556, 0.32273495, -0.10078094]])
    initial = np.array([0.28239927, -0.36117802, 1.6863884, 1.26701636, 1.14400208, 1.18648595])
    (drop,) = ZhouCriterion("large_init_large_final", 0.2)([final], initial=[initial])
    assert drop.tolist() == [0, 1, 4, 5]


@given(layers(), st.sampled_from([0.9, 0.8, 0.5, 0.2]))
def test_the_corner_of_both_magnitudes_is_that_of_the_dense_search(some, keep):
    final, initial, present = some
    weight = csr.from_dense(final, present)
    if not weight.nnz:
        return
    pruner = ZhouCriterion("large_init_large_final", keep)
    (drop,) = pruner([weight], initial=[initial[present]])
    comp = np.ones(weight.nnz, bool)
    comp[drop] = False
    ref = naive.quadrant(initial, final, present, (1 - keep) * 100)
    np.testing.assert_array_equal(comp, ref[present])


def test_the_search_of_the_corner_goes_on_to_a_ten_thousandth_of_a_percent():
    # A tenth of a percent of these positions are 16; the searches end further apart than that.
    rng = np.random.default_rng(647)
    final, initial = rng.standard_normal((2, 100, 160))
    (drop,) = ZhouCriterion("large_init_large_final", 0.8)([final], initial=[initial.reshape(-1)])
    comp = np.ones(final.shape, bool)
    comp.reshape(-1)[drop] = False
    ref = naive.quadrant(initial, final, np.ones(final.shape, bool), (1 - 0.8) * 100)
    np.testing.assert_array_equal(comp, ref)


def test_the_corners_are_opposite():
    rng = np.random.default_rng(619)
    final = rng.standard_normal((30, 40))
    initial = 0.7 * final.reshape(-1) + 0.3 * rng.standard_normal(1200)
    for criterion, sign in (("large_init_large_final", 1), ("small_init_small_final", -1)):
        (drop,) = ZhouCriterion(criterion, 0.5)([final], initial=[initial])
        stays = np.ones(1200, bool)
        stays[drop] = False
        assert stays.sum() == pytest.approx(600, abs=5)
        for sizes in (np.abs(final.reshape(-1)), np.abs(initial)):
            # What stays lies beyond a bound.
            bound = (sign * sizes[stays]).min()
            assert (sign * sizes >= bound).mean() < 0.75


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"criterion": "best"}, ValueError, r"ZhouCriterion: criterion must be one of .*'best'"),
        ({"keep": 1.2}, ValueError, r"ZhouCriterion: keep: a fraction must be in \[0, 1\], .* 1.2"),
        ({"keep": 2}, ValueError, r"ZhouCriterion: keep must be in \[0, 1\], got 2"),
        ({"keep": "all"}, TypeError, "ZhouCriterion: keep: amount must be a fraction .*'all'"),
        ({"power": -1}, ValueError, "ZhouCriterion: power must be a count of rounds, got -1"),
        ({"power": True}, ValueError, "ZhouCriterion: power must be a count of rounds, got True"),
    ],
)
def test_wrong_options_are_refused(options, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        ZhouCriterion(**options)


def test_what_a_criterion_needs_must_be_given():
    with pytest.raises(ValueError, match=r"^ZhouCriterion: movement needs initial, got None"):
        ZhouCriterion("movement")([FINAL])
    with pytest.raises(ValueError, match=r"^ZhouCriterion: grad needs gradients, got None"):
        ZhouCriterion("grad")([FINAL])
    with pytest.raises(ValueError, match=r"^ZhouCriterion: random needs a generator, got None"):
        ZhouCriterion("random")([FINAL])
    with pytest.raises(ValueError, match=r"^ZhouCriterion: keep must be one a weight, 1, got 2"):
        ZhouCriterion(keep=(0.8, 0.9))([FINAL])


WRONG_SLOTS = {
    "must be ascending and unique, got 2 before 1": [2, 1],
    "must be ascending and unique, got 1 before 1": [1, 1],
    "must be in [0, 4), got -1": [-1],
    "must be in [0, 4), got 99": [99],
}


@pytest.mark.parametrize("rule", WRONG_SLOTS)
def test_slots_must_ascend_and_be_there(rule):
    slots = np.array(WRONG_SLOTS[rule])
    with pytest.raises(ValueError, match="^" + re.escape(f"ZhouCriterion: held {rule}") + "$"):
        asked("large_final", held=[slots])
    for action in ("zero", "freeze_init_zero_mask"):
        with pytest.raises(ValueError, match="^" + re.escape(f"mask_zero: masked {rule}") + "$"):
            mask_zero(FINAL, slots, INITIAL, action)


def test_what_is_given_beside_the_weights_must_fit_them():
    with pytest.raises(ValueError, match=r"^ZhouCriterion: held must be one a weight, 1, got 0$"):
        asked("large_final", held=[])
    with pytest.raises(TypeError, match=r"^ZhouCriterion: held must hold integers, got dtype f"):
        asked("large_final", held=[np.array([0.5])])
    with pytest.raises(
        ValueError, match=r"^ZhouCriterion: initial must be one a slot, \(4,\), got"
    ):
        asked("movement", initial=[INITIAL[:3]])
    with pytest.raises(ValueError, match=r"^ZhouCriterion: gradients must be one a weight, 1, got"):
        asked("grad", gradients=[])
    lost = np.where(FINAL > 0.5, np.nan, FINAL)
    with pytest.raises(ValueError, match=r"^ZhouCriterion: weights must be numbers, got nan in sl"):
        asked("large_final", lost)
    with pytest.raises(ValueError, match=r"^ZhouCriterion: initial must be numbers, got nan in sl"):
        asked("movement", initial=[lost[0]])


# ---------------------------------------------------------------- mask-0 actions
#
# Slots 1 and 2 are masked. Slot 1 had grown from .1 to .2, slot 2 fallen from .4 to .3; of those
# that the mask keeps, both had grown.

MASKED = np.array([1, 2])
TREATED = {
    "zero": ([1, 2], [], [0.7, -0.1]),
    "freeze_init": ([], [1, 2], [0.7, 0.1, 0.4, -0.1]),
    "freeze_init_zero_mask": ([2], [1], [0.7, 0.1, -0.1]),
    "freeze_init_zero_rev": ([1], [1], [0.7, 0.4, -0.1]),
    "freeze_init_zero_all": ([2], [1], [0.7, 0.1, -0.1]),
}


@pytest.mark.parametrize("action", TREATED)
def test_what_becomes_of_the_masked(action):
    for form in (FINAL, csr.from_dense(FINAL)):
        drop, held, start = mask_zero(form, MASKED, INITIAL, action)
        assert (drop.tolist(), held.tolist(), start.tolist()) == TREATED[action]


def test_all_that_fell_may_start_at_zero():
    # Slot 0 is kept and fell from 1.1 to .9: it is trained, from 0.
    initial = np.array([1.1, 0.1, 0.4, -0.1])
    drop, held, start = mask_zero(FINAL, MASKED, initial, "freeze_init_zero_all")
    assert (drop.tolist(), held.tolist(), start.tolist()) == ([2], [1], [0.0, 0.1, -0.1])
    assert mask_zero(FINAL, MASKED, initial, "freeze_init_zero_mask").start[0] == 1.1


def test_what_neither_grew_nor_fell_stays_frozen():
    # Slot 1 keeps its magnitude, slot 2 had fallen.
    initial = np.array([0.7, 0.2, 0.4, -0.1])
    for action, gone in (("freeze_init_zero_rev", []), ("freeze_init_zero_mask", [2])):
        assert mask_zero(FINAL, MASKED, initial, action).drop.tolist() == gone


def test_any_of_the_masked_may_be_zero_instead_of_those_that_fell():
    streams = np.random.default_rng(631).spawn(40)
    action = "freeze_init_zero_reshuffle"
    found = [mask_zero(FINAL, MASKED, INITIAL, action, rng) for rng in streams]
    assert {tuple(masked.drop) for masked in found} == {(1,), (2,)}
    assert all(masked.held.tolist() == [1] for masked in found)


@pytest.mark.parametrize("action", ACTIONS)
@given(layers())
def test_an_action_leaves_a_whole_weight(action, some):
    final, initial, present = some
    weight = csr.from_dense(final, present)
    rng = np.random.default_rng(641)
    masked = np.sort(rng.permutation(weight.nnz)[: weight.nnz // 2])
    drop, held, start = mask_zero(weight, masked, initial[present], action, rng)
    assert set(drop.tolist()) <= set(masked.tolist())
    assert len(drop) + len(held) == len(masked)
    assert len(start) == weight.nnz - len(drop)
    stays = np.delete(np.arange(weight.nnz), drop)
    assert set(stays[held].tolist()) == set(masked.tolist()) - set(drop.tolist())
    np.testing.assert_array_equal(start[held], initial[present][stays[held]])


def test_what_is_frozen_is_stored_and_never_trained():
    rng = np.random.default_rng(643)
    initial = [rng.standard_normal((6, 5)), rng.standard_normal((3, 6))]
    final = [w + 0.3 * rng.standard_normal(w.shape) for w in initial]
    layers, helds = [], []
    drops = ZhouCriterion(keep=0.5)(final)
    for w0, w, drop in zip(initial, final, drops, strict=True):
        gone, held, start = mask_zero(w, drop, w0.reshape(-1), "freeze_init_zero_mask")
        positions = np.delete(np.arange(w.size), gone)
        layers += [Linear(csr.from_positions(w.shape, positions, start)), ReLU()]
        helds.append(held)
    net = Network(layers[:-1])
    before = [layer.weight.data.copy() for layer in net.sparse_layers]
    data = rng.random((40, 5)), rng.integers(0, 3, 40)
    optimizer = optim.sgd(0.1, momentum=0.9, weight_decay=0.01)
    fit(
        net,
        data,
        method=Static(still=helds),
        optimizer=optimizer,
        epochs=3,
        batch_size=10,
        rng=rng,
    )
    for layer, old, held in zip(net.sparse_layers, before, helds, strict=True):
        assert 0 < len(held) < len(old)
        assert layer.weight.nnz == len(old)
        moved = layer.weight.data != old
        assert not moved[held].any()
        assert np.delete(moved, held).mean() > 0.5


def test_wrong_actions_are_refused():
    with pytest.raises(ValueError, match=r"^mask_zero: action must be one of \[.*\], got 'drop'"):
        mask_zero(FINAL, MASKED, INITIAL, "drop")
    with pytest.raises(ValueError, match=r"^mask_zero: freeze_init_zero_reshuffle needs a genera"):
        mask_zero(FINAL, MASKED, INITIAL, "freeze_init_zero_reshuffle")
    with pytest.raises(TypeError, match=r"^mask_zero: rng must be a Generator, got int$"):
        mask_zero(FINAL, MASKED, INITIAL, "freeze_init_zero_reshuffle", 3)
    with pytest.raises(ValueError, match=r"^mask_zero: initial must be one a slot, \(4,\), got"):
        mask_zero(FINAL, MASKED, INITIAL[:3])
