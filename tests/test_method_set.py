"""SET: which connections go is worked by hand, where new ones come is a question of chance."""

import itertools

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.sparse import csr_array

from sparse_ref import Linear, Network, ReLU, csr, fit, optim
from sparse_ref.layers import Dense
from sparse_ref.methods import SET, Run
from sparse_ref.methods.set_ import GROW_INITS, REGROW, regrow, rewire_layer
from sparse_ref.methods.set_codes import PRUNES, between_thresholds, weakest
from sparse_ref.schedules import Constant

DTYPES = [np.float32, np.float64]

# The example of Mocanu's own code, one row of a layer; magnitude rule, ζ = .3 of 10 connections.
#
#   slot     0    1    2    3    4    5    6    7    8    9
#   weight  -.9  -.7  -.5  -.3  -.1  .05   .2   .4   .6   .8
#                               drop drop drop
ROW = np.array([[-0.9, -0.7, -0.5, -0.3, -0.1, 0.05, 0.2, 0.4, 0.6, 0.8, 0, 0, 0, 0, 0, 0]])


def event(dense, n_drop, seed, present=None, grow_std=0.1):
    """The weight before, the rewiring, the weight after and the sources."""
    weight = csr.from_dense(dense, present)
    rewire = rewire_layer(weight, n_drop, np.random.default_rng(seed), grow_std)
    return weight, rewire, *csr.apply(weight, rewire)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_three_of_smallest_magnitude_drop(dtype):
    _, rewire, _, _ = event(ROW.astype(dtype), 3, 7)
    assert rewire.drop.tolist() == [4, 5, 6]


def test_of_equal_magnitudes_the_higher_slots_drop():
    #  -.2 -.2 .2 .2 .2 .2
    _, rewire, _, _ = event(np.array([[-0.2, -0.2, 0.2, 0.2, 0.2, 0.2, 0, 0]]), 2, 7)
    assert rewire.drop.tolist() == [4, 5]


def test_a_stored_zero_is_the_first_to_drop():
    dense, present = np.array([[0.4, 0.0, -0.3, 0.0]]), np.array([[True, True, True, False]])
    _, rewire, _, _ = event(dense, 1, 7, present)
    assert rewire.drop.tolist() == [1]


def test_in_a_full_layer_what_dropped_grows_again_with_new_weights():
    weight, rewire, new, _ = event(np.array([[0.5, -0.1], [0.2, 3.0]]), 2, 7)
    assert rewire.grow.tolist() == csr.flat(weight)[rewire.drop].tolist() == [1, 2]
    assert new.data[[0, 3]].tolist() == [0.5, 3.0]
    assert new.data[1:3].tolist() == rewire.values.tolist() != [-0.1, 0.2]


def test_a_position_that_dropped_and_grew_starts_without_momentum():
    _, _, _, source = event(np.array([[0.5, -0.1], [0.2, 3.0]]), 2, 7)
    assert csr.carry(np.array([5.0, 6.0, 7.0, 8.0]), source).tolist() == [5.0, 0.0, 0.0, 8.0]


def test_a_single_connection_moves():
    dense = np.zeros((3, 4))
    dense[1, 2] = 0.5
    places = {int(event(dense, 1, seed)[1].grow[0]) for seed in range(200, 300)}
    # A given place is missed by 100 draws with probability (11/12)^100 = 2e-4.
    assert places == set(range(12))


def test_an_empty_layer_stays_empty():
    _, _, new, _ = event(np.zeros((3, 4)), 0, 7)
    assert new.nnz == 0


@pytest.mark.parametrize("n_drop", [-1, 11])
def test_a_count_beyond_the_connections_is_refused(n_drop):
    with pytest.raises(ValueError, match=rf"must be in \[0, 10\], got {n_drop}"):
        event(ROW, n_drop, 7)


# ---------------------------------------------------------------- the rules of the codes, by hand
#
#   the same ten weights          -.9  -.7  -.5  -.3  -.1  .05   .2   .4   .6   .8
#   magnitude                                        drop drop drop
#   of each sign, floor(.3 * 5)                      drop drop
#   authors' code                                lo                    hi
#     p = 5, q = 6                              drop drop drop drop drop
#   their Keras code, six masked zeros more: p = 5, q = 11 of 16
#     v[3] = -.3, v[int(11 + 1.5)] = .2         drop drop drop drop

RULES = [
    ("magnitude", [4, 5, 6]),
    ("signwise_paper", [4, 5]),
    ("mocanu_code", [3, 4, 5, 6, 7]),
    ("keras", [3, 4, 5, 6]),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("prune", "dropped"), RULES)
def test_each_rule_drops_what_was_worked_out_by_hand(prune, dropped, dtype):
    assert weakest(csr.from_dense(ROW.astype(dtype)), 0.3, prune).tolist() == dropped


def thresholds(values, fraction=0.3, absent=0):
    """What stays by the rank thresholds."""
    values = np.array(values, float)
    return np.delete(values, between_thresholds(values, fraction, absent)).tolist()


@pytest.mark.parametrize(
    ("values", "stay"),
    [
        ([-0.9, -0.7, -0.5, -0.3, -0.1, 0.05, 0.2, 0.4, 0.6, 0.8], [-0.9, -0.7, -0.5, 0.6, 0.8]),
        ([-0.2, -0.2, 0.2, 0.2, 0.2, 0.2], []),  # lo = -.2, hi = .2: every tie goes
        ([0.1, 0.2, 0.3, 0.4, 0.5], [0.4, 0.5]),  # p = 0, q = 1: lo = .1, hi = v[int(1 + 1.2)] = .3
        ([-0.1, -0.2, -0.3, -0.4, -0.5], [-0.4, -0.5]),  # p = 4, q = 5: lo = v[2] = -.3
        ([0.7], []),  # a single connection goes
        ([-0.7], []),
        ([0.4, 0.4, 0.4], []),
        ([], []),
    ],
)
def test_the_rank_thresholds_of_the_authors_code(values, stay):
    assert thresholds(values) == stay


#   dense row   -.4  -.3   .    .2   .    .3   .5   .       ζ = .5
#   sorted      -.4  -.3   0    0    0    .2   .3   .5      p = 2, q = 5, lo = v[1], hi = v[6]
def test_the_rank_thresholds_among_masked_zeros():
    dense = np.array([[-0.4, -0.3, 0, 0.2, 0, 0.3, 0.5, 0]])
    weight = csr.from_dense(dense)
    assert weight.data[weakest(weight, 0.5, "keras")].tolist() == [-0.3, 0.2, 0.3]


def test_masked_zeros_take_stored_zeros_with_them():
    dense, present = np.array([[-0.4, 0.0, 0.5, 0.7, 0.0]]), np.array([[1, 1, 1, 1, 0]], bool)
    assert weakest(csr.from_dense(dense, present), 0.3, "keras").tolist() == [0, 1, 2]


# Half the weights negative, half positive, magnitudes 1 ... n / 2 on either side but for the
# weakest of all, which is negative or positive: so many the code removes, where ζ n are asked for.
@pytest.mark.parametrize(
    ("n", "sign_of_the_weakest", "removed"),
    [
        (10, 1, 5),
        (20, -1, 8),
        (100, 1, 31),
        (100, -1, 32),
        (1000, -1, 302),
        (1000, 1, 301),
        (20000, -1, 6002),
    ],
)
def test_the_authors_code_removes_more_than_it_is_asked_for(n, sign_of_the_weakest, removed):
    magnitudes = np.arange(1.0, n // 2 + 1)
    values = np.concatenate([-magnitudes, magnitudes])
    values[np.argmin(np.abs(values - sign_of_the_weakest))] = 0.5 * sign_of_the_weakest
    np.random.default_rng(211).shuffle(values)
    assert len(between_thresholds(values, 0.3)) == removed


@pytest.mark.parametrize("seed", [223, 227, 229])
def test_on_random_weights_it_removes_little_more(seed):
    # int() moves either threshold by less than one rank, and both are removed themselves.
    values = np.random.default_rng(seed).standard_normal(500)
    assert 150 <= len(between_thresholds(values, 0.3)) <= 153


def test_a_stored_zero_counts_as_positive_by_sign():
    #  0  .5  .6  .7 | -.1 -.2 -.3 -.4 of which a quarter each
    dense = np.array([[0.0, 0.5, 0.6, 0.7, -0.1, -0.2, -0.3, -0.4, 0.0]])
    weight = csr.from_dense(dense, np.arange(9)[None] < 8)
    assert weakest(weight, 0.25, "signwise_paper").tolist() == [0, 4]


def test_weights_that_are_no_numbers_have_no_rank():
    with pytest.raises(ValueError, match=r"^SET: weights must be numbers, got nan$"):
        between_thresholds(np.array([0.1, np.nan]), 0.3)


@st.composite
def layers(draw):
    n_out, n_in = draw(st.integers(1, 6)), draw(st.integers(1, 7))
    rng = np.random.default_rng(draw(st.integers(2, 2**32)))
    present = rng.random((n_out, n_in)) < draw(st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]))
    levels = draw(st.integers(1, 6))  # few different magnitudes: ties
    dense = (rng.integers(-levels + 1, levels, present.shape) * present).astype(
        draw(st.sampled_from(DTYPES))
    )
    return dense, present, draw(st.integers(0, int(present.sum()))), draw(st.integers(2, 2**32))


@settings(deadline=None, max_examples=150)
@given(layers())
def test_the_weakest_drop_as_in_a_sort_of_everything(layer):
    dense, present, n_drop, seed = layer
    ref = naive.weakest(dense, present, n_drop)
    weight, rewire, _, _ = event(dense, n_drop, seed, present)
    assert csr.flat(weight)[rewire.drop].tolist() == ref


@settings(deadline=None, max_examples=150)
@given(layers())
def test_as_many_grow_as_drop_and_none_on_a_survivor(layer):
    dense, present, n_drop, seed = layer
    weight, rewire, new, _ = event(dense, n_drop, seed, present)
    survivors = set(naive.positions(present)) - set(csr.flat(weight)[rewire.drop].tolist())
    assert len(set(rewire.grow.tolist())) == n_drop
    assert survivors.isdisjoint(rewire.grow.tolist())
    assert new.nnz == weight.nnz


# A layer of 4 x 5 with 6 connections of which 2 drop has 16 free positions.
CHANCE = np.array([[9.0, 0, 8, 0, 0], [0, 0.1, 0, 0, 7], [0, 0, 0, 0.2, 0], [6, 0, 0, 0, 0]])
FREE = [p for p in range(20) if p not in (0, 2, 9, 15)]


def grown(n_events, seed):
    """The pairs of positions grown by many events on the same layer, each from its own stream."""
    weight = csr.from_dense(CHANCE)
    streams = np.random.default_rng(seed).spawn(n_events)
    return [tuple(rewire_layer(weight, 2, rng).grow.tolist()) for rng in streams]


def test_every_free_position_is_equally_likely_to_grow():
    n_events = 4000
    counts = np.array([sum(p in pair for pair in grown(n_events, 61)) for p in FREE])
    expected = n_events * 2 / 16
    # Two of 16 without replacement: the usual sum is chi-square with 15 degrees of freedom after
    # the factor 15/14 (the covariance of draws without replacement).
    statistic = np.sum((counts - expected) ** 2) / expected * 15 / 14
    assert counts.sum() == 2 * n_events
    assert statistic < stats.chi2.ppf(0.9999, 15)
    assert statistic > stats.chi2.ppf(0.0001, 15)  # nor more even than chance


def test_every_pair_of_free_positions_is_equally_likely_to_grow():
    n_events = 6000
    pairs = list(itertools.combinations(FREE, 2))
    found = grown(n_events, 67)
    counts = np.array([found.count(pair) for pair in pairs])
    expected = n_events / len(pairs)  # 50
    assert counts.sum() == n_events
    assert np.sum((counts - expected) ** 2) / expected < stats.chi2.ppf(0.9999, len(pairs) - 1)


def test_grown_weights_are_normal_with_the_given_deviation():
    rng = np.random.default_rng(71)
    weight = csr.from_dense(rng.standard_normal((50, 60)))
    values = rewire_layer(weight, 3000, rng, 0.1).values
    # The bound at which chance alone fails once in 10^4.
    assert stats.kstest(values, stats.norm(0, 0.1).cdf).pvalue > 1e-4


def test_a_deviation_of_zero_grows_stored_zeros():
    _, rewire, new, source = event(ROW, 3, 7, grow_std=0.0)
    assert rewire.values.tolist() == [0.0, 0.0, 0.0]
    assert new.nnz == 10
    assert new.data[source < 0].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_grown_weights_have_the_dtype_of_the_layer(dtype):
    _, rewire, new, _ = event(ROW.astype(dtype), 3, 7)
    assert rewire.values.dtype == new.dtype == dtype


def test_both_dtypes_grow_at_the_same_positions():
    np.testing.assert_array_equal(
        event(ROW.astype(np.float32), 3, 73)[1].grow, event(ROW, 3, 73)[1].grow
    )


# ---------------------------------------------------------------- options


def test_an_event_comes_every_epoch_but_the_last():
    method = SET().bind(Run(steps_per_epoch=8, steps=32))
    assert [step for step in range(1, 33) if method.due(step)] == [8, 16, 24]


def test_no_event_comes_in_the_last_step_whatever_the_interval():
    method = SET(every=4).bind(Run(steps_per_epoch=8, steps=16))
    assert [step for step in range(1, 17) if method.due(step)] == [4, 8, 12]


def test_a_training_of_one_step_has_no_event():
    assert not SET().bind(Run(1, 1)).due(1)


def test_given_options_are_kept():
    bound = SET(every=3, stop=8, drop_fraction=Constant(0.2), grow_std=0.5).bind(Run(10, 400))
    assert bound == SET(every=3, stop=8, drop_fraction=Constant(0.2), grow_std=0.5)


def test_an_event_follows_an_update():
    assert not SET().replaces_update


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drop_fraction": 1.3}, r"SET: drop_fraction must be in \[0, 1\], got 1.3"),
        ({"drop_fraction": -0.1}, r"SET: drop_fraction must be in \[0, 1\], got -0.1"),
        ({"every": 0}, "SET: every must be a positive whole number of steps, got 0"),
        ({"every": 1.0}, "SET: every must be a positive whole number of steps, got 1.0"),
        ({"stop": -4}, "SET: stop must be a positive whole number of steps, got -4"),
        ({"grow_std": -0.1}, "SET: grow_std must be at least 0, got -0.1"),
        ({"grow_std": float("inf")}, "SET: grow_std must be at least 0, got inf"),
        ({"grow_std": float("nan")}, "SET: grow_std must be at least 0, got nan"),
    ],
)
def test_a_wrong_option_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        SET(**options)


def test_a_drop_fraction_of_another_kind_is_refused():
    with pytest.raises(
        TypeError, match=r"^SET: drop_fraction must be a number or a schedule, got list$"
    ):
        SET(drop_fraction=[0.3])


def test_an_unbound_set_does_not_know_when_it_is_due():
    with pytest.raises(ValueError, match=r"^SET: every must be known before the first step"):
        SET().due(3)


def test_a_weight_out_of_order_is_refused():
    weight = csr_array((np.ones(2), [1, 0], [0, 2]), shape=(1, 3))
    with pytest.raises(ValueError, match=r"^SET: connections .* must be ascending"):
        rewire_layer(weight, 1, np.random.default_rng(331))


# ---------------------------------------------------------------- the rules against their twins

FRACTIONS = st.sampled_from([0.0, 0.1, 0.29, 0.3, 0.5, 0.57, 0.9, 1.0])


@settings(deadline=None, max_examples=150)
@given(layers(), FRACTIONS)
def test_the_rank_thresholds_are_those_of_the_code(layer, fraction):
    dense, present, _, _ = layer
    ref = naive.between_ranks(dense[present].tolist(), fraction)
    assert weakest(csr.from_dense(dense, present), fraction, "mocanu_code").tolist() == ref


@settings(deadline=None, max_examples=150)
@given(layers(), FRACTIONS)
def test_the_masked_rank_thresholds_are_those_of_the_code(layer, fraction):
    dense, present, _, _ = layer
    ref = naive.between_ranks_masked(dense, present, fraction)
    weight = csr.from_dense(dense, present)
    assert csr.flat(weight)[weakest(weight, fraction, "keras")].tolist() == ref


@settings(deadline=None, max_examples=100)
@given(layers(), FRACTIONS)
def test_each_sign_loses_its_weakest(layer, fraction):
    dense, present, _, _ = layer
    ref = naive.weakest_of_each_sign(dense, present, fraction)
    weight = csr.from_dense(dense, present)
    assert csr.flat(weight)[weakest(weight, fraction, "signwise_paper")].tolist() == ref


@settings(deadline=None, max_examples=100)
@given(layers())
def test_a_stable_ascending_sort_drops_the_lower_of_equals(layer):
    dense, present, n_drop, seed = layer
    weight = csr.from_dense(dense, present)
    rng = np.random.default_rng(seed)
    drop = rewire_layer(weight, n_drop, rng, ties="drop_low_index").drop
    assert csr.flat(weight)[drop].tolist() == naive.weakest_low(dense, present, n_drop)


@settings(deadline=None, max_examples=100)
@given(layers(), FRACTIONS, st.sampled_from(PRUNES), st.sampled_from(REGROW))
def test_whatever_the_rules_as_many_grow_as_drop(layer, fraction, prune, rule):
    dense, present, _, seed = layer
    weight = csr.from_dense(dense, present)
    drop = weakest(weight, fraction, prune)
    rewire = regrow(weight, drop, np.random.default_rng(seed), same_step_regrow=rule)
    new, _ = csr.apply(weight, rewire)
    assert new.nnz == weight.nnz
    assert set(rewire.drop.tolist()) <= set(drop.tolist())
    gone = set(csr.flat(weight)[rewire.drop].tolist())
    assert rule == "reinit" or gone.isdisjoint(rewire.grow.tolist())


# ---------------------------------------------------------------- the options, one at a time


def asked(method, net, seed=233):
    """The rewirings of one event."""
    return method.bind(Run(10, 40)).rewire(net, (), None, 10, np.random.default_rng(seed))[0]


def net_of(*weights):
    layers = [part for weight in weights for part in (Linear(weight), ReLU())]
    return Network(layers[:-1])


def test_the_rounding_counts():
    # floor(.29 * 100) is 28 in float64 and 29 in float32
    weight = csr.from_dense(np.random.default_rng(239).standard_normal((10, 20)) + 3)
    weight = csr.from_positions((10, 20), csr.flat(weight)[:100], weight.data[:100])
    counts = [
        len(asked(SET(0.29, rounding=rule), net_of(weight))[0].drop)
        for rule in ("floor", "floor_f32", "ceil", "round_half_even")
    ]
    assert counts == [28, 29, 29, 29]


@pytest.mark.parametrize(
    ("ties", "dropped"), [("keep_low_index", [2, 3]), ("drop_low_index", [0, 1])]
)
def test_the_ties_decide_between_equals(ties, dropped):
    weight = csr.from_dense(np.array([[0.1, -0.1, 0.1, -0.1, 0, 0]]))
    assert asked(SET(0.5, ties=ties), net_of(weight))[0].drop.tolist() == dropped


def test_ties_at_random_are_those_of_the_stream():
    weight = csr.from_dense(np.array([[0.1, -0.1, 0.1, -0.1, 0, 0]]))
    streams = np.random.default_rng(241).spawn(40)
    found = {tuple(weakest(weight, 0.5, ties="random", rng=rng).tolist()) for rng in streams}
    assert found == set(itertools.combinations(range(4), 2))


@pytest.mark.parametrize("prune", PRUNES)
def test_the_method_prunes_by_its_rule(prune):
    net = net_of(csr.from_dense(ROW))
    (rewire,) = asked(SET(0.3, prune=prune), net)
    assert rewire.drop.tolist() == dict(RULES)[prune]


BOUNDS = {"he_uniform": np.sqrt(6 / 60), "xavier_uniform": np.sqrt(6 / (60 + 50))}


@pytest.mark.parametrize("grow_init", BOUNDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_grown_weights_are_uniform_within_the_bound(grow_init, dtype):
    rng = np.random.default_rng(251)
    weight = csr.from_dense(rng.standard_normal((50, 60)).astype(dtype))
    values = rewire_layer(weight, 3000, rng, grow_init=grow_init).values
    assert values.dtype == dtype
    bound = BOUNDS[grow_init]
    assert stats.kstest(values, stats.uniform(-bound, 2 * bound).cdf).pvalue > 1e-4
    assert 0.99 * bound < np.abs(values).max() <= bound  # below that by chance in 1 of 10^13


def test_grown_weights_may_be_zero():
    weight = csr.from_dense(ROW)
    rewire = rewire_layer(weight, 3, np.random.default_rng(257), grow_init="zero")
    assert rewire.values.tolist() == [0, 0, 0]


@pytest.mark.parametrize("grow_init", GROW_INITS)
def test_the_method_starts_grown_weights_by_its_rule(grow_init):
    weight = csr.from_dense(ROW)
    (rewire,) = asked(SET(0.3, grow_init=grow_init), net_of(weight))
    stream = np.random.default_rng(233).spawn(1)[0]
    ref = rewire_layer(weight, 3, stream, grow_init=grow_init)
    np.testing.assert_array_equal(rewire.values, ref.values)


@pytest.mark.parametrize(
    ("options", "starts"),
    [
        ({}, None),
        ({"grow_std": 0.0}, 0.0),
        ({"grow_init": "zero"}, 0.0),
        ({"grow_init": "he_uniform", "grow_std": 0.0}, None),
        ({"convention": "set-keras"}, 0.0),
    ],
)
def test_what_grown_weights_start_at_is_said(options, starts):
    assert SET(**options).starts == starts


FULL = np.array([[0.5, -0.1], [0.2, 3.0]])


def test_what_dropped_and_was_drawn_again_may_stay_as_it_was():
    weight = csr.from_dense(FULL)
    rewire = rewire_layer(weight, 2, np.random.default_rng(263), same_step_regrow="keep")
    assert rewire.drop.tolist() == rewire.grow.tolist() == rewire.values.tolist() == []


def test_drawn_again_or_not_the_positions_are_the_same():
    # 16 positions, 10 connected, of which 3 drop; the seed draws slot 5 or 6 again
    weight = csr.from_dense(ROW)
    fresh, kept = (
        rewire_layer(weight, 3, np.random.default_rng(271), same_step_regrow=rule)
        for rule in ("reinit", "keep")
    )
    again = set(fresh.drop.tolist()) & set(fresh.grow.tolist())
    assert again
    assert set(kept.drop.tolist()) == set(fresh.drop.tolist()) - again
    assert set(kept.grow.tolist()) == set(fresh.grow.tolist()) - again


def test_what_dropped_may_be_barred_from_growing():
    weight = csr.from_dense(ROW)
    for seed in range(300, 330):
        rng = np.random.default_rng(seed)
        rewire = rewire_layer(weight, 6, rng, same_step_regrow="forbid")
        assert rewire.grow.tolist() == [10, 11, 12, 13, 14, 15]


@pytest.mark.parametrize(("ties", "dropped"), [("keep_low_index", [3]), ("drop_low_index", [0])])
def test_where_little_is_free_only_the_weakest_drop(ties, dropped):
    weight = csr.from_dense(np.array([[0.1, 0.1, 0.1, 0.1, 0.0]]))
    rng = np.random.default_rng(277)
    rewire = rewire_layer(weight, 3, rng, ties=ties, same_step_regrow="forbid")
    assert rewire.drop.tolist() == dropped
    assert rewire.grow.tolist() == [4]
    (comp,) = asked(SET(0.75, ties=ties, same_step_regrow="forbid"), net_of(weight))
    assert comp.drop.tolist() == dropped


@pytest.mark.parametrize("rule", REGROW)
def test_the_method_regrows_by_its_rule(rule):
    weight = csr.from_dense(FULL)
    (rewire,) = asked(SET(0.5, same_step_regrow=rule), net_of(weight))
    assert len(rewire.drop) == (2 if rule == "reinit" else 0)


def two_layers(last=Linear):
    rng = np.random.default_rng(281)
    first = csr.from_dense(rng.standard_normal((5, 4)) * (rng.random((5, 4)) < 0.6))
    second = rng.standard_normal((3, 5))
    out = Linear(csr.from_dense(second)) if last is Linear else Dense(second)
    return Network([Linear(first), ReLU(), out])


def test_the_output_layer_may_be_left_alone():
    evolved = asked(SET(0.5), two_layers())
    first, last = asked(SET(0.5, evolve_output_layer=False), two_layers())
    assert len(first.drop) == len(evolved[0].drop) > 0
    assert len(evolved[1].drop) > 0
    assert last.drop.tolist() == last.grow.tolist() == []


def test_before_a_dense_output_layer_every_sparse_layer_evolves():
    (only,) = asked(SET(0.5, evolve_output_layer=False), two_layers(last=Dense))
    assert len(only.drop) > 0


def test_the_last_epoch_may_evolve_too():
    method = SET(rests_at_end=False).bind(Run(steps_per_epoch=8, steps=32))
    assert [step for step in range(1, 33) if method.due(step)] == [8, 16, 24, 32]


@pytest.mark.parametrize("convention", SET.conventions)
def test_a_fraction_of_zero_changes_nothing_by_any_convention(convention):
    for rewire in asked(SET(0.0, convention=convention), two_layers()):
        assert rewire.drop.tolist() == rewire.grow.tolist() == []


def test_a_convention_is_its_options():
    assert SET(convention="set-dcmocanu") == SET(prune="mocanu_code")
    assert SET(convention="mocanu2018") == SET(prune="signwise_paper")
    assert SET(convention="set-keras") == SET(
        prune="keras", grow_init="zero", rests_at_end=False, resets_optimizer=True
    )
    assert SET(convention="set-selimac") == SET(
        prune="mocanu_code", grow_init="he_uniform", evolve_output_layer=False
    )
    assert SET(convention="rigl-tf1") == SET(
        rounding="floor_f32", grow_init="zero", same_step_regrow="keep"
    )
    assert SET(convention="jaxpruner") == SET(
        rounding="round_half_even",
        grow_init="zero",
        same_step_regrow="keep",
        replaces_update=True,
    )


def test_an_option_overrules_the_convention():
    method = SET(0.2, convention="set-keras", grow_init="normal")
    assert (method.drop_fraction, method.prune, method.grow_init) == (0.2, "keras", "normal")


@pytest.mark.parametrize("convention", SET.conventions)
def test_a_training_by_any_convention_keeps_every_count(convention):
    rng = np.random.default_rng(283)
    net = two_layers()
    before = net.connections
    data = rng.random((30, 4)), rng.integers(0, 3, 30)
    method = SET(0.4, every=2, convention=convention)
    optimizer = optim.sgd(0.05, momentum=0.9)
    history = fit(net, data, method=method, optimizer=optimizer, epochs=3, batch_size=10, rng=rng)
    assert net.connections == before
    assert sum(len(event.grown) for event in history.events) > 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"prune": "sign"}, ValueError, r"SET: prune must be one of \[.*\], got 'sign'"),
        ({"rounding": "up"}, ValueError, r"SET: rounding must be one of \[.*\], got 'up'"),
        ({"ties": "high"}, ValueError, r"SET: ties must be one of \[.*\], got 'high'"),
        ({"grow_init": 0}, ValueError, r"SET: grow_init must be one of \[.*\], got 0"),
        (
            {"same_step_regrow": "allow"},
            ValueError,
            r"SET: same_step_regrow must be one of \['reinit', 'keep', 'forbid'\], got 'allow'",
        ),
        (
            {"evolve_output_layer": 1},
            TypeError,
            "SET: evolve_output_layer must be True or False, got 1",
        ),
        ({"convention": "set"}, ValueError, r"SET: convention must be one of \[.*\], got 'set'"),
    ],
)
def test_a_wrong_rule_is_refused_by_name(options, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        SET(**options)


def test_the_pure_functions_refuse_unknown_rules_too():
    weight, rng = csr.from_dense(ROW), np.random.default_rng(293)
    with pytest.raises(ValueError, match=r"^SET: prune must be one of"):
        weakest(weight, 0.3, "sign")
    with pytest.raises(ValueError, match=r"^SET: grow_init must be one of"):
        rewire_layer(weight, 3, rng, grow_init="ones")
    with pytest.raises(ValueError, match=r"^SET: same_step_regrow must be one of"):
        rewire_layer(weight, 3, rng, same_step_regrow="never")
