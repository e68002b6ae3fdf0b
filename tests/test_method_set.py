"""SET: which connections go is worked by hand, where new ones come is a question of chance."""

import itertools

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.sparse import csr_array

from sparse_ref import csr
from sparse_ref.methods import SET, Run
from sparse_ref.methods.set_ import rewire_layer
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
