"""RigL against a table worked by hand and a dense brute force, ties included."""

from fractions import Fraction

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.sparse import csr_array

from sparse_ref import Linear, Network, ReLU, csr, fit, optim, tiles
from sparse_ref.layers import LayerGrad
from sparse_ref.methods import RigL, Run
from sparse_ref.methods.base import count, fraction_at
from sparse_ref.methods.rigl import REGROW, choose, margins, rewire_layer
from sparse_ref.methods.rigl_codes import (
    GROW_INITS,
    Averaged,
    gradient_at,
    kept_of_all,
    starting_values,
)
from sparse_ref.schedules import Constant, Cosine
from sparse_ref.selection import drop_threshold

DTYPES = [np.float32, np.float64]

# ---------------------------------------------------------------- the table
#
#             weight                       gradient                   flat positions
#    .5    .    -.1    .          .1  -.7   .9   .2             0   1   2   3
#     .   .3     .   -.9          .6  -.3   .6   .0             4   5   6   7
#   -.2    .    .05    .         -.4   .05 -.8   .3             8   9  10  11
#
# by |weight|: 10 (.05), 2 (.1), 8 (.2), 5 (.3), 0 (.5), 7 (.9)

WEIGHT = np.array([[0.5, 0, -0.1, 0], [0, 0.3, 0, -0.9], [-0.2, 0, 0.05, 0]])
GRAD = np.array([[0.1, -0.7, 0.9, 0.2], [0.6, -0.3, 0.6, 0.0], [-0.4, 0.05, -0.8, 0.3]])
ACTIVE = [0, 2, 5, 7, 8, 10]

TABLE = [  # f, candidates, n_drop, dropped, grown, pattern after
    (0.0, "allow", 0, [], [], ACTIVE),
    (0.0, "forbid", 0, [], [], ACTIVE),
    (0.3, "allow", 1, [10], [10], ACTIVE),
    (0.3, "forbid", 1, [10], [1], [0, 1, 2, 5, 7, 8]),
    (0.5, "allow", 3, [2, 8, 10], [1, 2, 10], [0, 1, 2, 5, 7, 10]),
    (0.5, "forbid", 3, [2, 8, 10], [1, 4, 6], [0, 1, 4, 5, 6, 7]),
    (1.0, "allow", 6, ACTIVE, [1, 2, 4, 6, 8, 10], [1, 2, 4, 6, 8, 10]),
    (1.0, "forbid", 6, ACTIVE, [1, 3, 4, 6, 9, 11], [1, 3, 4, 6, 9, 11]),
]


def after(weight, grad, n_drop, regrow):
    """Positions and values after one event."""
    new, _ = csr.apply(weight, rewire_layer(weight, grad, n_drop, regrow=regrow))
    return csr.flat(new).tolist(), new.data.tolist()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("f", "candidates", "n_drop", "dropped", "grown", "_pattern"), TABLE)
def test_the_sets_are_those_of_the_table(f, candidates, n_drop, dropped, grown, _pattern, dtype):
    weight = csr.from_dense(WEIGHT.astype(dtype))
    assert count(f, weight.nnz) == n_drop
    drop, grow = choose(weight, GRAD.astype(dtype), n_drop, candidates)
    assert csr.flat(weight)[drop].tolist() == dropped
    assert grow.tolist() == grown


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("_f", "candidates", "n_drop", "_dropped", "_grown", "pattern"), TABLE)
def test_the_patterns_are_those_of_the_table(
    _f, candidates, n_drop, _dropped, _grown, pattern, dtype
):
    weight, grad = csr.from_dense(WEIGHT.astype(dtype)), GRAD.astype(dtype)
    for regrow in ("keep", "reinit") if candidates == "allow" else ("forbid",):
        assert after(weight, grad, n_drop, regrow)[0] == pattern


@pytest.mark.parametrize(
    ("regrow", "values"),
    [  #              0    1    2     5    7     10
        ("keep", [0.5, 0.0, -0.1, 0.3, -0.9, 0.05]),
        ("reinit", [0.5, 0.0, 0.0, 0.3, -0.9, 0.0]),
    ],
)
def test_a_connection_chosen_again_keeps_its_value_or_starts_at_zero(regrow, values):
    assert after(csr.from_dense(WEIGHT), GRAD, 3, regrow)[1] == values


def test_a_connection_chosen_again_under_keep_is_in_neither_list():
    weight = csr.from_dense(WEIGHT)
    rewire = rewire_layer(weight, GRAD, 3, regrow="keep")
    assert csr.flat(weight)[rewire.drop].tolist() == [8]
    assert rewire.grow.tolist() == [1]


@pytest.mark.parametrize(
    ("candidates", "dropped", "grown"),
    [("allow", [2, 8, 10], [1, 2, 3]), ("forbid", [2, 8, 10], [1, 3, 4])],
)
def test_without_gradient_the_lowest_positions_grow(candidates, dropped, grown):
    weight = csr.from_dense(WEIGHT)
    drop, grow = choose(weight, np.zeros((3, 4)), 3, candidates)
    assert csr.flat(weight)[drop].tolist() == dropped
    assert grow.tolist() == grown


@pytest.mark.parametrize(
    ("regrow", "pattern"),
    [
        ("keep", [0, 1, 2, 3, 5, 7]),
        ("reinit", [0, 1, 2, 3, 5, 7]),
        ("forbid", [0, 1, 3, 4, 5, 7]),
    ],
)
def test_without_gradient_the_pattern_is_that_of_the_table(regrow, pattern):
    assert after(csr.from_dense(WEIGHT), np.zeros((3, 4)), 3, regrow)[0] == pattern


def test_of_equal_magnitudes_the_higher_positions_drop():
    # |w|  .1  .1  .1  .1   .   .   .   .        keep 0 1, drop 2 3
    # g     0  .1  .2  .3  .4  .5  .6  .7        grow 6 7
    weight = csr.from_dense(np.array([[0.1, -0.1, 0.1, -0.1, 0, 0, 0, 0]]))
    grad = 0.1 * np.arange(8.0)[None]
    drop, grow = choose(weight, grad, 2)
    assert drop.tolist() == [2, 3]
    assert grow.tolist() == [6, 7]
    assert after(weight, grad, 2, "keep")[0] == [0, 1, 6, 7]


#   1  -.1        0  5
#  .2   3         6  7        a full layer: nothing is free but what was dropped
FULL, FULL_GRAD = np.array([[1.0, -0.1], [0.2, 3.0]]), np.array([[0.0, 5.0], [6.0, 7.0]])


@pytest.mark.parametrize(
    ("regrow", "values"),
    [
        ("keep", [1.0, -0.1, 0.2, 3.0]),
        ("reinit", [1.0, 0.0, 0.0, 3.0]),
        ("forbid", [1.0, -0.1, 0.2, 3.0]),  # the count is cut to the 0 free positions
    ],
)
def test_a_full_layer_stays_full(regrow, values):
    assert after(csr.from_dense(FULL), FULL_GRAD, 2, regrow) == ([0, 1, 2, 3], values)


def test_a_full_layer_drops_and_grows_the_same_two():
    drop, grow = choose(csr.from_dense(FULL), FULL_GRAD, 2)
    assert drop.tolist() == grow.tolist() == [1, 2]


def test_a_full_layer_has_nothing_to_choose_from_where_regrowing_is_forbidden():
    drop, grow = choose(csr.from_dense(FULL), FULL_GRAD, 2, "forbid")
    assert drop.tolist() == grow.tolist() == []


@pytest.mark.parametrize("regrow", REGROW)
def test_an_empty_layer_stays_empty(regrow):
    empty = csr.from_dense(np.zeros((3, 4)))
    assert after(empty, GRAD, 0, regrow) == ([], [])


# ---------------------------------------------------------------- the codes' rules, by hand
#
#   position   0   1   2   3   4   5
#   weight     .   .  .4   0  .2   0      slots 0 ... 3 at 2, 3, 4, 5; two of them exactly zero
#   gradient  .1  .2  .9  .3  .8  .7
#
# k = 1 keeps three. Canonical: 2, 4 and, of the zeros at 3 and 5, the lower one; 5 drops.
# TensorFlow ranks absent zeros too: 2, 4 and 0, which is not connected; 3 and 5 drop. Then one
# grows: 5.

ZEROS = csr.from_positions((1, 6), np.array([2, 3, 4, 5]), np.array([0.4, 0.0, 0.2, 0.0]))
ZEROS_GRAD = np.array([[0.1, 0.2, 0.9, 0.3, 0.8, 0.7]])


def test_the_canonical_rule_keeps_a_connected_zero():
    drop, grow = choose(ZEROS, ZEROS_GRAD, 1)
    assert csr.flat(ZEROS)[drop].tolist() == [5]
    assert grow.tolist() == [5]
    assert after(ZEROS, ZEROS_GRAD, 1, "keep")[0] == [2, 3, 4, 5]


def test_a_phantom_is_kept_in_place_of_a_connected_zero():
    assert kept_of_all(ZEROS, 3).tolist() == [0, 2, 4]
    drop, grow = choose(ZEROS, ZEROS_GRAD, 1, phantom_keep=True)
    assert csr.flat(ZEROS)[drop].tolist() == [3, 5]
    assert grow.tolist() == [0, 5]
    rewire = rewire_layer(ZEROS, ZEROS_GRAD, 1, phantom_keep=True)
    new, source = csr.apply(ZEROS, rewire)
    assert csr.flat(new).tolist() == [0, 2, 4, 5]
    assert new.data.tolist() == [0, 0.4, 0.2, 0]
    assert source.tolist() == [-1, 0, 2, 3]  # 5 dropped and was chosen again: it never left


def test_without_zeros_there_are_no_phantoms():
    weight = csr.from_dense(WEIGHT)
    for k in range(7):
        ref = choose(weight, GRAD, k)
        comp = choose(weight, GRAD, k, phantom_keep=True)
        assert [a.tolist() for a in comp] == [a.tolist() for a in ref]


@pytest.mark.parametrize(
    ("ties", "dropped", "pattern"),
    [
        ("keep_low_index", [2, 3], [0, 1, 6, 7]),
        ("drop_low_index", [0, 1], [2, 3, 6, 7]),
        ("drop_all", [0, 1, 2, 3], [4, 5, 6, 7]),
    ],
)
def test_of_equal_magnitudes_the_rule_of_the_ties_drops(ties, dropped, pattern):
    weight = csr.from_dense(np.array([[0.1, -0.1, 0.1, -0.1, 0, 0, 0, 0]]))
    grad = 0.1 * np.arange(8.0)[None]
    assert choose(weight, grad, 2, ties=ties)[0].tolist() == dropped
    new, _ = csr.apply(weight, rewire_layer(weight, grad, 2, ties=ties))
    assert csr.flat(new).tolist() == pattern


# ITOP: the k-th smallest magnitude is a threshold, and what equals it goes too.
@pytest.mark.parametrize(
    ("values", "k", "dropped"),
    [
        ([0.5, 0.2, 0.2, 0.1, -0.3], 3, [1, 2, 3]),  # τ = .2
        ([0.5, 0.2, 0.2, 0.2, -0.3], 2, [1, 2, 3]),  # τ = .2 too: three go for two
        ([0.5, 0.0, 0.2, 0.0], 0, [1, 3]),  # with nothing to drop, exact zeros do
        ([0.5, 0.2], 0, []),
        ([0.5, 0.0, 0.2, 0.0], 1, [1, 3]),
        ([0.5, 0.2], 2, [0, 1]),
    ],
)
def test_a_strict_threshold_drops_all_that_equal_it(values, k, dropped):
    assert drop_threshold(np.abs(values), k).tolist() == dropped


def test_a_threshold_that_no_rank_has_is_refused():
    with pytest.raises(ValueError, match=r"^drop_threshold: the count must be in \[0, 2\], got 3$"):
        drop_threshold(np.array([0.5, 0.2]), 3)


# Margins on the table, f = .5: of |w| .1 .2 .05 | .3 .5 .9 the closest are .3 and .2; of the
# candidates' |g| .9 .8 .7 | .6 .6 ... the closest are .7 and .6.
@pytest.mark.parametrize(
    ("candidates", "k", "drop_margin", "grow_margin"),
    [
        ("allow", 3, 0.3 - 0.2, 0.7 - 0.6),
        ("forbid", 3, 0.3 - 0.2, 0.6 - 0.3),
        ("allow", 1, 0.1 - 0.05, 0.8 - 0.7),
        ("allow", 0, np.inf, np.inf),
        ("allow", 6, np.inf, 0.4 - 0.3),
        ("forbid", 6, np.inf, np.inf),
    ],
)
def test_the_margins_are_those_of_the_table(candidates, k, drop_margin, grow_margin):
    result = margins(csr.from_dense(WEIGHT), GRAD, k, candidates)
    assert result.n_drop == k
    assert result.drop_margin == pytest.approx(drop_margin)
    assert result.grow_margin == pytest.approx(grow_margin)


def test_the_margins_come_with_the_decisions_as_positions():
    result = margins(csr.from_dense(WEIGHT), GRAD, 3)
    assert result.keep.tolist() == [0, 5, 7]
    assert result.drop.tolist() == [2, 8, 10]
    assert result.grow.tolist() == [1, 2, 10]


def test_a_tie_has_a_margin_of_zero():
    weight = csr.from_dense(np.array([[0.1, -0.1, 0.1, 0.0]]))
    result = margins(weight, np.full((1, 4), 0.5), 1)
    assert (result.drop_margin, result.grow_margin) == (0, 0)
    assert result.drop.tolist() == [2]
    assert margins(weight, np.full((1, 4), 0.5), 1, ties="drop_low_index").drop.tolist() == [0]


# ---------------------------------------------------------------- brute force


@st.composite
def layers(draw):
    """A layer, its gradient and a count; few different numbers, so ties abound."""
    n_out, n_in = draw(st.integers(1, 6)), draw(st.integers(1, 7))
    rng = np.random.default_rng(draw(st.integers(2, 2**32)))
    present = rng.random((n_out, n_in)) < draw(st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]))
    dtype = draw(st.sampled_from(DTYPES))
    levels = draw(st.integers(1, 8))  # 1: every weight and gradient is zero
    weight = (rng.integers(-levels + 1, levels, present.shape) * present).astype(dtype)
    grad = rng.integers(-levels + 1, levels, present.shape).astype(dtype)
    n_drop = draw(st.integers(0, int(present.sum())))
    return weight, present, grad, n_drop


@settings(deadline=None, max_examples=150)
@given(layers(), st.booleans())
def test_the_sets_are_those_of_a_sort_of_everything(layer, allow):
    dense, present, grad, n_drop = layer
    ref = naive.rigl_sets(dense, present, grad, n_drop, allow)
    weight = csr.from_dense(dense, present)
    drop, grow = choose(weight, grad, n_drop, "allow" if allow else "forbid")
    assert (csr.flat(weight)[drop].tolist(), grow.tolist()) == ref


@settings(deadline=None, max_examples=150)
@given(layers(), st.sampled_from(REGROW))
def test_an_event_is_that_of_the_dense_brute_force(layer, regrow):
    dense, present, grad, n_drop = layer
    momentum = np.where(present, np.arange(1.0, 1.0 + dense.size).reshape(dense.shape), 0.0)
    ref = naive.rigl(dense, present, grad, momentum, n_drop, regrow)
    weight = csr.from_dense(dense, present)
    new, source = csr.apply(weight, rewire_layer(weight, grad, n_drop, regrow=regrow))
    carried = np.zeros(dense.shape)
    carried[csr.pattern(new)] = csr.carry(momentum[present], source)
    for comp, expected in zip((csr.to_dense(new), csr.pattern(new), carried), ref, strict=True):
        np.testing.assert_array_equal(comp, expected)


@settings(deadline=None, max_examples=60)
@given(layers(), st.sampled_from(REGROW), st.integers(2, 2**32))
def test_the_gradient_may_come_as_its_two_factors(layer, regrow, seed):
    dense, present, _, n_drop = layer
    rng, width = np.random.default_rng(seed), 64 // dense.itemsize
    # Small whole numbers: their products and sums are exact in any order and either dtype.
    delta = rng.integers(-3, 4, (2, dense.shape[0], width)).astype(dense.dtype)
    inputs = rng.integers(-3, 4, (2, dense.shape[1], width)).astype(dense.dtype)
    whole = naive.weight_gradient(delta, inputs)
    weight = csr.from_dense(dense, present)
    factors = LayerGrad(whole[present].astype(dense.dtype), delta[0, :, 0], delta, inputs)
    ref = rewire_layer(weight, whole.astype(dense.dtype), n_drop, regrow=regrow)
    comp = rewire_layer(weight, factors, n_drop, regrow=regrow)
    for expected, got in zip(ref, comp, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_a_gradient_of_many_blocks_is_read_to_the_end(monkeypatch):
    monkeypatch.setattr("sparse_ref.selection.largest_absent.__defaults__", (None, 5))
    rng = np.random.default_rng(53)
    present = rng.random((23, 3)) < 0.4
    dense, grad = present * rng.integers(1, 4, (23, 3)), rng.integers(-3, 4, (23, 3))
    ref = naive.rigl_sets(dense, present, grad, 12)
    weight = csr.from_dense(dense.astype(float), present)
    drop, grow = choose(weight, grad.astype(float), 12)
    assert (csr.flat(weight)[drop].tolist(), grow.tolist()) == ref


@settings(deadline=None, max_examples=40)
@given(layers(), st.sampled_from(REGROW), st.sampled_from([0.25, 8.0, 1024.0]))
def test_scaling_weights_or_gradients_changes_no_choice(layer, regrow, factor):
    dense, present, grad, n_drop = layer
    ref = rewire_layer(csr.from_dense(dense, present), grad, n_drop, regrow=regrow)
    scaled = csr.from_dense(dense.dtype.type(factor) * dense, present)
    comp = rewire_layer(scaled, dense.dtype.type(factor) * grad, n_drop, regrow=regrow)
    np.testing.assert_array_equal(comp.drop, ref.drop)
    np.testing.assert_array_equal(comp.grow, ref.grow)


@settings(deadline=None, max_examples=40)
@given(layers())
def test_a_gradient_that_ranks_what_was_dropped_first_changes_no_pattern(layer):
    dense, present, _, n_drop = layer
    weight = csr.from_dense(dense, present)
    grad = np.zeros(dense.shape, dense.dtype)
    for p in naive.weakest(dense, present, n_drop):
        grad[divmod(p, dense.shape[1])] = -1
    np.testing.assert_array_equal(
        after(weight, grad, n_drop, "reinit")[0], csr.flat(weight).tolist()
    )


def test_permuting_the_units_permutes_the_choice():
    # Without ties; with ties the flat order decides, which a permutation changes.
    rng = np.random.default_rng(59)
    present = rng.random((5, 6)) < 0.5
    dense, grad = present * rng.standard_normal((5, 6)), rng.standard_normal((5, 6))
    rows, columns = rng.permutation(5), rng.permutation(6)
    ref = csr.apply(
        csr.from_dense(dense, present), rewire_layer(csr.from_dense(dense, present), grad, 6)
    )[0]
    shuffled = csr.from_dense(dense[rows][:, columns], present[rows][:, columns])
    comp = csr.apply(shuffled, rewire_layer(shuffled, grad[rows][:, columns], 6))[0]
    np.testing.assert_array_equal(csr.pattern(comp), csr.pattern(ref)[rows][:, columns])


# ---------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("fraction", "nnz", "n_drop"),
    [(0.3, 6, 1), (0.5, 7, 3), (0.29, 100, 28), (0.57, 100, 56), (0.3, 3, 0), (1.0, 9, 9)],
)
def test_the_count_is_the_floor_in_float64(fraction, nnz, n_drop):
    assert count(fraction, nnz) == n_drop


def test_the_fraction_falls_along_a_cosine_to_zero_at_stop():
    bound = RigL(drop_fraction=0.3, every=5, stop=100).bind(Run(10, 400))
    assert bound.drop_fraction == Cosine(0.3, 100)


def test_a_fraction_of_whole_numbers_is_exact():
    # 0.29 * 100 is 28.999... in float64.
    assert count(fraction_at("RigL", Fraction(29, 100), 7), 100) == 29
    assert count(fraction_at("RigL", 0.29, 7), 100) == 28


def test_a_schedule_is_taken_as_it_is():
    assert RigL(drop_fraction=Constant(0.2)).bind(Run(10, 400)).drop_fraction == Constant(0.2)


@pytest.mark.parametrize(("steps", "stop"), [(400, 300), (401, 300), (2, 1), (1, 1)])
def test_events_end_after_three_quarters_of_the_training(steps, stop):
    assert RigL().bind(Run(1, steps)).stop == stop


def test_a_given_stop_is_kept():
    assert RigL(stop=37).bind(Run(10, 400)).stop == 37


def test_events_are_due_at_multiples_of_every_before_stop():
    method = RigL(every=10, stop=40)
    assert [step for step in range(1, 100) if method.due(step)] == [10, 20, 30]


def test_an_event_takes_the_place_of_an_update():
    assert RigL().replaces_update


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drop_fraction": 1.3}, r"RigL: drop_fraction must be in \[0, 1\], got 1.3"),
        ({"drop_fraction": -0.1}, r"RigL: drop_fraction must be in \[0, 1\], got -0.1"),
        ({"drop_fraction": float("nan")}, r"RigL: drop_fraction must be in \[0, 1\], got nan"),
        ({"every": 0}, "RigL: every must be a positive whole number of steps, got 0"),
        ({"every": 2.5}, "RigL: every must be a positive whole number of steps, got 2.5"),
        ({"every": None}, "RigL: every must be a positive whole number of steps, got None"),
        ({"stop": 0}, "RigL: stop must be a positive whole number of steps, got 0"),
        (
            {"regrow": "always"},
            r"RigL: regrow must be one of \['keep', 'reinit', 'forbid'\], got 'always'",
        ),
    ],
)
def test_a_wrong_option_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        RigL(**options)


def test_a_drop_fraction_of_another_kind_is_refused():
    message = "^RigL: drop_fraction must be a number or a schedule, got str$"
    with pytest.raises(TypeError, match=message):
        RigL(drop_fraction="a third")


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64])
def test_a_number_of_numpy_is_a_drop_fraction(kind):
    assert RigL(drop_fraction=kind(1)).bind(Run(10, 400)).drop_fraction(0) == 1.0


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64])
def test_a_number_of_numpy_outside_the_bounds_is_refused_too(kind):
    with pytest.raises(ValueError, match=r"^RigL: drop_fraction must be in \[0, 1\], got 2"):
        RigL(drop_fraction=kind(2))


@pytest.mark.parametrize("n_drop", [-1, 7])
def test_a_count_beyond_the_connections_is_refused(n_drop):
    with pytest.raises(ValueError, match=rf"must be in \[0, 6\], got {n_drop}"):
        rewire_layer(csr.from_dense(WEIGHT), GRAD, n_drop)


def test_an_unknown_rule_for_what_was_dropped_is_refused():
    with pytest.raises(ValueError, match=r"regrow must be one of .* got 'allow'"):
        rewire_layer(csr.from_dense(WEIGHT), GRAD, 1, regrow="allow")


def test_an_unknown_set_of_candidates_is_refused():
    with pytest.raises(ValueError, match=r"candidates must be one of .* got 'keep'"):
        choose(csr.from_dense(WEIGHT), GRAD, 1, "keep")


def test_a_gradient_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"grad must have the shape \(3, 4\), got \(4, 3\)"):
        rewire_layer(csr.from_dense(WEIGHT), GRAD.T, 1)


def test_a_gradient_that_is_no_number_is_refused():
    grad = GRAD.copy()
    grad[1, 2] = np.nan
    with pytest.raises(ValueError, match="got nan at index 6"):
        rewire_layer(csr.from_dense(WEIGHT), grad, 1)


def test_a_weight_out_of_order_is_refused():
    weight = csr_array((np.ones(2), [1, 0], [0, 2]), shape=(1, 3))
    with pytest.raises(ValueError, match=r"^RigL: connections .* must be ascending"):
        rewire_layer(weight, np.ones((1, 3)), 1)


# ---------------------------------------------------------------- the codes against their twins


@settings(deadline=None, max_examples=150)
@given(layers())
def test_ranking_all_positions_is_sorting_all_of_them(layer):
    dense, present, grad, n_drop = layer
    weight = csr.from_dense(dense, present)
    kept, grown = naive.rigl_of_all(dense, present, grad, n_drop)
    assert kept_of_all(weight, weight.nnz - n_drop).tolist() == kept
    drop, grow = choose(weight, grad, n_drop, phantom_keep=True)
    active = csr.flat(weight).tolist()
    assert csr.flat(weight)[drop].tolist() == [p for p in active if p not in kept]
    assert grow.tolist() == sorted({*grown, *kept} - {p for p in active if p in kept})
    new, _ = csr.apply(weight, rewire_layer(weight, grad, n_drop, phantom_keep=True))
    assert csr.flat(new).tolist() == sorted([*kept, *grown])


@settings(deadline=None, max_examples=100)
@given(layers(), st.sampled_from([1e-5, 0.7]), st.integers(2, 2**32))
def test_with_noise_all_positions_are_ranked_by_what_it_makes_of_them(layer, std, seed):
    dense, present, grad, n_drop = layer
    weight = csr.from_dense(dense, present)
    noise = (std * np.random.default_rng(seed).standard_normal(dense.size)).astype(dense.dtype)
    kept, grown = naive.rigl_of_all(dense, present, grad, n_drop, noise)
    rng = np.random.default_rng(seed)
    new, _ = csr.apply(
        weight, rewire_layer(weight, grad, n_drop, tf1_noise_std=std, phantom_keep=True, rng=rng)
    )
    assert csr.flat(new).tolist() == sorted([*kept, *grown])
    both = {*csr.flat(weight).tolist()} & {*csr.flat(new).tolist()}
    before, later = csr.to_dense(weight).reshape(-1), csr.to_dense(new).reshape(-1)
    assert [before[p] for p in both] == [later[p] for p in both]


@settings(deadline=None, max_examples=150)
@given(layers())
def test_a_strict_threshold_is_that_of_the_code(layer):
    dense, present, grad, n_drop = layer
    weight = csr.from_dense(dense, present)
    drop, grow = choose(weight, grad, n_drop, ties="drop_all")
    ref = naive.rigl_itop(dense, present, grad, n_drop)
    assert (csr.flat(weight)[drop].tolist(), grow.tolist()) == ref


@settings(deadline=None, max_examples=100)
@given(layers())
def test_a_stable_ascending_sort_drops_the_lower_of_equals(layer):
    dense, present, grad, n_drop = layer
    weight = csr.from_dense(dense, present)
    drop, _ = choose(weight, grad, n_drop, ties="drop_low_index")
    assert csr.flat(weight)[drop].tolist() == naive.weakest_low(dense, present, n_drop)


@settings(deadline=None, max_examples=150)
@given(layers(), st.booleans())
def test_the_margins_are_those_of_a_sort_of_everything(layer, allow):
    dense, present, grad, n_drop = layer
    weight, candidates = csr.from_dense(dense, present), "allow" if allow else "forbid"
    result = margins(weight, grad, n_drop, candidates)
    assert (result.drop_margin, result.grow_margin) == naive.rigl_margins(
        dense, present, grad, n_drop, allow
    )
    drop, grow = choose(weight, grad, n_drop, candidates)
    assert result.n_drop == len(drop)
    assert result.drop.tolist() == csr.flat(weight)[drop].tolist()
    assert result.keep.tolist() == np.delete(csr.flat(weight), drop).tolist()
    assert result.grow.tolist() == grow.tolist()


# ---------------------------------------------------------------- starting values


def factors(shape=(5, 6), seed=307, dtype=np.float64):
    """A gradient as its two factors, and whole."""
    rng, width = np.random.default_rng(seed), 64 // np.dtype(dtype).itemsize
    delta = rng.integers(-3, 4, (1, shape[0], width)).astype(dtype)
    inputs = rng.integers(-3, 4, (1, shape[1], width)).astype(dtype)
    whole = naive.weight_gradient(delta, inputs).astype(dtype)
    return LayerGrad(np.empty(0), delta[0, :, 0], delta, inputs), whole


def a_layer(seed=311, dtype=np.float64):
    rng = np.random.default_rng(seed)
    present = rng.random((5, 6)) < 0.4
    return csr.from_dense(present * rng.standard_normal((5, 6)).astype(dtype), present)


def test_the_gradient_at_positions_is_that_of_the_whole():
    grad, whole = factors()
    at = np.array([0, 7, 8, 29])
    assert gradient_at(grad, at).tolist() == gradient_at(whole, at).tolist()
    assert gradient_at(whole, at).tolist() == whole.reshape(-1)[at].tolist()


@pytest.mark.parametrize("dtype", DTYPES)
def test_grown_weights_may_be_the_gradient(dtype):
    grad, whole = factors(dtype=dtype)
    weight = a_layer(dtype=dtype)
    rewire = rewire_layer(weight, grad, 4, grow_init="grad_scale", grow_scale=8.0)
    assert len(rewire.grow) > 0
    assert rewire.values.tolist() == (whole.reshape(-1)[rewire.grow] / 8).tolist()
    assert rewire.values.dtype == dtype


def test_grown_weights_may_be_the_sign_of_the_gradient():
    grad, whole = factors()
    rewire = rewire_layer(a_layer(), grad, 4, grow_init="grad_sign", grow_scale=4.0)
    assert rewire.values.tolist() == (np.sign(whole.reshape(-1)[rewire.grow]) / 4).tolist()


def many(weight, init, scale, n=20000, seed=313, initial=None):
    rng = np.random.default_rng(seed)
    return starting_values(weight, None, np.arange(n), init, scale, rng, initial)


def test_grown_weights_may_be_normal_as_the_whole_layer_is_spread():
    weight = a_layer()
    deviation = np.std(csr.to_dense(weight)) / 2
    values = many(weight, "random_normal", 2.0)
    assert stats.kstest(values, stats.norm(0, deviation).cdf).pvalue > 1e-4


def test_grown_weights_may_be_uniform_within_the_mean_magnitude():
    weight = a_layer()
    bound = np.mean(np.abs(csr.to_dense(weight))) / 4
    values = many(weight, "random_uniform", 4.0)
    assert stats.kstest(values, stats.uniform(-bound, 2 * bound).cdf).pvalue > 1e-4


def test_grown_weights_may_come_from_those_at_the_beginning():
    initial = np.arange(1.0, 9.0)
    values = many(a_layer(), "initial_dist", 2.0, n=8, initial=initial)
    assert sorted(values.tolist()) == (initial / 2).tolist()  # each at most once
    assert values.tolist() != (initial / 2).tolist()


def test_what_is_drawn_needs_a_generator_and_what_is_remembered_a_memory():
    weight, rng = a_layer(), np.random.default_rng(317)
    with pytest.raises(ValueError, match=r"^RigL: grow_init 'random_normal' needs a generator"):
        starting_values(weight, None, np.arange(2), "random_normal")
    with pytest.raises(ValueError, match=r"^RigL: tf1_noise_std needs a generator, got None"):
        kept_of_all(weight, 2, 1e-5)
    message = r"^RigL: grow_init 'initial_dist' needs at least 2 initial values"
    for initial in (None, np.zeros(1)):
        with pytest.raises(ValueError, match=message):
            starting_values(weight, None, np.arange(2), "initial_dist", 1.0, rng, initial)


@pytest.mark.parametrize("dtype", DTYPES)
def test_grown_momentum_may_be_a_multiple_of_the_gradient(dtype):
    grad, whole = factors(dtype=dtype)
    weight = a_layer(dtype=dtype)
    for form in (grad, whole):
        rewire = rewire_layer(weight, form, 4, acc_scale=3.0)
        assert rewire.momentum.tolist() == (3 * whole.reshape(-1)[rewire.grow]).tolist()
    assert rewire_layer(weight, grad, 4).momentum is None


# ---------------------------------------------------------------- the options of the method


def arranged(seed=331, dtype=np.float64):
    """A network of two sparse layers, its gradients on one batch, and others on another."""
    rng = np.random.default_rng(seed)
    weights = [
        csr.from_dense(present * rng.standard_normal(present.shape).astype(dtype), present)
        for present in (rng.random((7, 6)) < 0.4, rng.random((4, 7)) < 0.4)
    ]
    net = Network([Linear(weights[0]), ReLU(), Linear(weights[1])])
    batches = [(rng.standard_normal((11, 6)).astype(dtype), rng.integers(0, 4, 11)) for _ in "123"]
    return net, [net.sparse_gradients(net.gradients(tiles.pack(x), y)[1]) for x, y in batches]


def asked(net, grads, seed=337, step=10, before=(), **options):
    """The rewirings of one event of a training at a constant fraction of .5."""
    method = RigL(**{"drop_fraction": Constant(0.5), **options}).bind(Run(10, 40))
    state = method.init(net, np.random.default_rng(347))
    for earlier in (*before, grads):
        state = method.observe(earlier, state)
    return method.rewire(net, grads, state, step, np.random.default_rng(seed))[0]


def same(ref, comp):
    pairs = zip(ref, comp, strict=True)
    return all(np.array_equal(a, b) for x, y in pairs for a, b in zip(x, y, strict=True))


PURE = [
    {"regrow": "reinit"},
    {"regrow": "forbid"},
    {"acc_scale": 2.0},
    {"grow_init": "grad_sign", "grow_scale": 4.0},
]


@pytest.mark.parametrize("options", PURE, ids=repr)
def test_the_method_hands_its_options_on(options):
    net, (grads, *_) = arranged()
    comp = asked(net, grads, **options)
    ref = [
        rewire_layer(layer.weight, grad, count(0.5, layer.weight.nnz), **options)
        for layer, grad in zip(net.sparse_layers, grads, strict=True)
    ]
    assert same(ref, comp)
    assert not same(asked(net, grads), comp)


DRAWN = [
    {"tf1_noise_std": 1.0},
    {"grow_init": "random_normal"},
    {"grow_init": "random_uniform", "grow_scale": 2.0},
    {"grow_init": "initial_dist"},
]


@pytest.mark.parametrize("options", DRAWN, ids=repr)
def test_what_is_drawn_is_drawn_from_the_layers_own_streams(options):
    net, (grads, *_) = arranged()
    comp = asked(net, grads, **options)
    streams = np.random.default_rng(337).spawn(2)
    ref = [
        rewire_layer(
            layer.weight,
            grad,
            count(0.5, layer.weight.nnz),
            rng=rng,
            initial=layer.weight.data,
            **options,
        )
        for layer, grad, rng in zip(net.sparse_layers, grads, streams, strict=True)
    ]
    assert same(ref, comp)
    assert not same(comp, asked(net, grads, seed=349, **options))


def test_ties_at_random_are_drawn():
    weight = csr.from_dense(np.array([[0.1, -0.1, 0.1, -0.1, 0, 0, 0, 0]]))
    streams = np.random.default_rng(353).spawn(100)
    grad = np.arange(8.0)[None]
    found = {tuple(choose(weight, grad, 2, ties="random", rng=rng)[0].tolist()) for rng in streams}
    assert len(found) == 6


def test_grown_weights_come_from_the_beginning_of_the_training():
    net, (grads, *_) = arranged()
    method = RigL(0.5, grow_init="initial_dist", regrow="reinit").bind(Run(10, 40))
    state = method.init(net, np.random.default_rng(359))
    beginning = [set(layer.weight.data.tolist()) for layer in net.sparse_layers]
    for layer in net.sparse_layers:
        layer.weight.data[:] += 100  # as a training would, in place
    rewires, _ = method.rewire(net, grads, state, 10, np.random.default_rng(367))
    for rewire, first in zip(rewires, beginning, strict=True):
        assert len(rewire.values) > 0
        assert set(rewire.values.tolist()) <= first


def test_the_gradient_may_be_the_mean_of_several_batches():
    net, (first, second, third) = arranged()
    comp = asked(net, third, before=[first, second], every=3, grad_accumulation_n=2)
    ref = [
        rewire_layer(layer.weight, sum(whole) / 2, count(0.5, layer.weight.nnz))
        for layer, *whole in zip(
            net.sparse_layers,
            *([g.block(0, g.delta.shape[1]) for g in grads] for grads in (second, third)),
            strict=True,
        )
    ]
    assert same(ref, comp)
    assert not same(comp, asked(net, third))


def test_a_mean_of_gradients_is_read_like_one():
    (one, whole), (two, other) = factors(seed=373), factors(seed=379)
    mean = Averaged((one, two))
    np.testing.assert_array_equal(mean.block(1, 4), ((whole + other) / 2)[1:4])
    at = np.array([2, 3, 17])
    np.testing.assert_array_equal(mean.at(at), ((whole + other) / 2).reshape(-1)[at])


def test_only_so_many_batches_are_remembered():
    net, batches = arranged()
    method = RigL(every=5, grad_accumulation_n=2)
    state = method.init(net, np.random.default_rng(383))
    for grads in batches:
        state = method.observe(grads, state)
    assert len(state.batches) == 2
    assert state.batches[-1] is batches[-1]


def test_the_defaults_remember_nothing():
    net, (grads, *_) = arranged()
    state = RigL().init(net, np.random.default_rng(389))
    assert state is None
    assert RigL().observe(grads, state) is None


@pytest.mark.parametrize(
    ("rounding", "n_drop"),
    [("floor", 28), ("floor_f32", 29), ("ceil", 29), ("round_half_even", 29)],
)
def test_the_rounding_counts(rounding, n_drop):
    weight = csr.from_positions((10, 20), np.arange(100), np.arange(1.0, 101.0))
    rewires = asked(
        Network([Linear(weight)]),
        [np.arange(200.0).reshape(10, 20)],
        drop_fraction=Constant(0.29),
        rounding=rounding,
    )
    assert len(rewires[0].drop) == n_drop


def test_the_last_connection_of_a_layer_may_be_spared():
    weight = csr.from_dense(np.array([[0.5, 0.0, 0.0]]))
    net, grad = Network([Linear(weight)]), np.array([[0.1, 0.2, 0.3]])
    every = {"drop_fraction": Constant(1.0)}
    assert asked(net, [grad], **every)[0].drop.tolist() == [0]
    assert asked(net, [grad], **every, min_keep_one=True)[0].drop.tolist() == []
    empty = Network([Linear(csr.from_dense(np.zeros((1, 3))))])
    assert asked(empty, [grad], **every, min_keep_one=True)[0].drop.tolist() == []


def test_an_event_may_follow_the_update():
    assert not RigL(replaces_update=False).replaces_update


@pytest.mark.parametrize(
    ("grow_init", "starts"), [(g, None) for g in GROW_INITS[1:]] + [("zeros", 0)]
)
def test_what_grown_weights_start_at_is_said(grow_init, starts):
    assert RigL(grow_init=grow_init).starts == starts


def test_noise_is_a_number_at_every_position():
    assert RigL(tf1_noise_std=1e-5).dense_state
    assert not RigL(phantom_keep=True).dense_state


# ---------------------------------------------------------------- when, and how much


def events(steps, **options):
    """Steps of the events of a training, and their fractions."""
    method = RigL(**options).bind(Run(10, steps))
    due = [step for step in range(1, steps + 1) if method.due(step)]
    fraction = method.drop_fraction
    at = [step - 1 + method.first_step for step in due]
    return due, [fraction(t) if callable(fraction) else fraction for t in at]


@pytest.mark.parametrize(
    ("options", "due"),
    [
        ({}, [10, 20, 30, 40, 50, 60, 70]),  # before 75 of 100
        ({"stop": 40}, [10, 20, 30]),
        ({"stop": 40, "include_stop": True}, [10, 20, 30, 40]),
        ({"stop": 40, "start": 0}, [10, 20, 30]),
        ({"stop": 40, "start": 0, "first_step": 0}, [1, 11, 21, 31]),
        ({"stop": 40, "start": 15}, [15, 25, 35]),
        ({"until": 0.5}, [10, 20, 30, 40]),
        ({"until": 1.0}, [10, 20, 30, 40, 50, 60, 70, 80, 90]),
        # t = 0, 10, ..., 70 of batches counted from 0; the end is included
        ({"convention": "rigl-tf1", "stop": 70}, [1, 11, 21, 31, 41, 51, 61, 71]),
        ({"convention": "jaxpruner", "stop": 70}, [1, 11, 21, 31, 41, 51, 61, 71]),
        ({"convention": "rigl-tf2", "stop": 70}, [10, 20, 30, 40, 50, 60, 70]),
        ({"convention": "rigl-torch", "stop": 70}, [10, 20, 30, 40, 50, 60]),
        ({"convention": "itop"}, [10, 20, 30, 40, 50, 60, 70, 80, 90]),
    ],
    ids=repr,
)
def test_events_are_due(options, due):
    assert events(100, every=10, **options)[0] == due


@pytest.mark.parametrize(
    ("options", "fractions"),
    [  # at t = 25, 50, 75 of a cosine from 0 to 100
        ({}, [0.256066017, 0.15, 0.043933983]),
        ({"anneal": "constant"}, [0.3, 0.3, 0.3]),
        ({"anneal": "tf1_cosine"}, [0.256066017, 0.15, 0.043933983]),  # the same without a start
        ({"least_fraction": 0.005, "drop_fraction": 0.5}, [0.427508928, 0.2525, 0.077491072]),
    ],
    ids=repr,
)
def test_the_fraction_falls_as_the_spec_says(options, fractions):
    _, comp = events(200, every=25, stop=100, **options)
    np.testing.assert_allclose(comp, fractions, atol=5e-10)


def test_a_cosine_never_rises():
    assert events(40, every=10, drop_fraction=0.001, least_fraction=0.005)[1] == [0.001] * 2


def test_the_cosine_of_tf1_is_over_when_it_should_begin():
    # From 100 to 200 every event of its code gets fraction 0; ours begins with the whole of it.
    options = {"every": 25, "start": 100, "stop": 200}
    due, ours = events(400, **options)
    assert due == [100, 125, 150, 175]
    np.testing.assert_allclose(ours, [0.3, 0.256066017, 0.15, 0.043933983], atol=5e-10)
    assert events(400, **options, anneal="tf1_cosine") == (due, [0, 0, 0, 0])


def test_batches_counted_from_zero_move_the_fraction_too():
    assert events(400, every=100, start=0, first_step=0, stop=200) == ([1, 101], [0.3, 0.15])


@pytest.mark.parametrize("first_step", [0, 1])
def test_an_event_asks_the_schedule_in_its_own_count(first_step):
    net, (grads, *_) = arranged()
    seen = []

    def schedule(t):
        seen.append(t)
        return 0.5

    asked(net, grads, step=10, drop_fraction=schedule, first_step=first_step)
    assert seen == [9 + first_step]


@pytest.mark.parametrize("convention", RigL.conventions)
def test_a_fraction_of_zero_changes_nothing_by_any_convention(convention):
    # Exact zeros and absent positions would change places by more than one of them.
    net = Network([Linear(ZEROS)])
    options = {"drop_fraction": Constant(0.0), "convention": convention}
    (rewire,) = asked(net, [ZEROS_GRAD], **options)
    assert rewire.drop.tolist() == rewire.grow.tolist() == []


def test_a_convention_is_its_options():
    assert RigL(convention="rigl-torch") == RigL(phantom_keep=True)
    assert RigL(convention="rigl-reproducibility") == RigL(
        rounding="ceil", ties="drop_low_index", regrow="reinit"
    )
    assert RigL(convention="rigl-tf1") == RigL(
        start=0,
        first_step=0,
        include_stop=True,
        anneal="tf1_cosine",
        rounding="floor_f32",
        phantom_keep=True,
        tf1_noise_std=1e-5,
    )
    assert RigL(convention="rigl-tf2") == RigL(
        until=1.0,
        include_stop=True,
        anneal="constant",
        rounding="floor_f32",
        phantom_keep=True,
        replaces_update=False,
    )
    assert RigL(convention="jaxpruner") == RigL(
        0.1,
        start=0,
        first_step=0,
        include_stop=True,
        rounding="round_half_even",
        min_keep_one=True,
    )
    assert RigL(convention="itop") == RigL(
        0.5,
        until=1.0,
        least_fraction=0.005,
        rounding="ceil",
        ties="drop_all",
        replaces_update=False,
    )


def test_an_option_overrules_the_convention():
    method = RigL(0.2, 7, convention="jaxpruner", rounding="ceil")
    assert (method.drop_fraction, method.every, method.rounding) == (0.2, 7, "ceil")
    assert method.min_keep_one


@pytest.mark.parametrize("convention", RigL.conventions)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_training_by_any_convention_keeps_every_count(convention, dtype):
    net, _ = arranged(dtype=dtype)
    before, rng = net.connections, np.random.default_rng(397)
    data = rng.standard_normal((40, 6)), rng.integers(0, 4, 40)
    history = fit(
        net,
        data,
        method=RigL(0.5, every=2, convention=convention),
        optimizer=optim.sgd(0.05, momentum=0.9),
        epochs=4,
        batch_size=10,
        rng=rng,
    )
    assert net.connections == before
    assert net.dtype == dtype
    assert sum(len(event.grown) for event in history.events) > 0


@pytest.mark.parametrize(
    "options",
    [
        {"acc_scale": 5.0},
        {"grow_init": "grad_scale", "grow_scale": 100.0},
        {"grad_accumulation_n": 2},
        {"grow_init": "initial_dist"},
        {"replaces_update": False},
        {"ties": "random"},
    ],
    ids=repr,
)
def test_an_option_is_felt_by_a_training(options):
    results = []
    for extra in ({}, options):
        net, _ = arranged()
        if "ties" in options:
            for layer in net.sparse_layers:
                layer.weight.data[:] = 0.1  # the first event is between equals
        rng = np.random.default_rng(401)
        data = rng.standard_normal((40, 6)), rng.integers(0, 4, 40)
        method = RigL(0.5, every=2, start=1, regrow="reinit", stop=9, **extra)
        fit(
            net,
            data,
            method=method,
            optimizer=optim.sgd(0.05, 0.9),
            epochs=3,
            batch_size=10,
            rng=rng,
        )
        results.append([csr.to_dense(layer.weight) for layer in net.sparse_layers])
    assert not all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"rounding": "up"}, ValueError, r"RigL: rounding must be one of \[.*\], got 'up'"),
        ({"ties": "low"}, ValueError, r"RigL: ties must be one of \[.*\], got 'low'"),
        ({"anneal": "step"}, ValueError, r"RigL: anneal must be one of \[.*\], got 'step'"),
        ({"grow_init": "ones"}, ValueError, r"RigL: grow_init must be one of \[.*\], got 'ones'"),
        ({"until": 0}, ValueError, r"RigL: until must be in \(0, 1\], got 0"),
        ({"until": "all"}, TypeError, "RigL: until must be a number, got str"),
        (
            {"least_fraction": 1.4},
            ValueError,
            r"RigL: least_fraction must be in \[0, 1\], got 1.4",
        ),
        ({"tf1_noise_std": -1.0}, ValueError, r"RigL: tf1_noise_std must be at least 0, got -1.0"),
        ({"grow_scale": 0}, ValueError, "RigL: grow_scale must be above 0, got 0"),
        ({"acc_scale": float("nan")}, ValueError, "RigL: acc_scale must be finite, got nan"),
        ({"acc_scale": True}, TypeError, "RigL: acc_scale must be a number, got bool"),
        ({"first_step": 2}, ValueError, "RigL: first_step must be 0 or 1, got 2"),
        ({"first_step": True}, ValueError, "RigL: first_step must be 0 or 1, got True"),
        (
            {"start": -1},
            ValueError,
            "RigL: start must be a whole number of steps, at least 0, got -1",
        ),
        (
            {"start": 1.5},
            ValueError,
            "RigL: start must be a whole number of steps, at least 0, got 1.5",
        ),
        (
            {"start": 9, "stop": 9},
            ValueError,
            "RigL: stop must be greater than start, 9, got 9",
        ),
        (
            {"grad_accumulation_n": 0},
            ValueError,
            "RigL: grad_accumulation_n must be a positive whole number of steps, got 0",
        ),
        (
            {"grad_accumulation_n": 9, "every": 8},
            ValueError,
            "RigL: grad_accumulation_n must be at most every, 8, got 9",
        ),
        (
            {"phantom_keep": True, "ties": "drop_low_index"},
            ValueError,
            r"RigL: ties must be 'keep_low_index' where all .*, got 'drop_low_index'",
        ),
        (
            {"tf1_noise_std": 0.1, "regrow": "forbid"},
            ValueError,
            r"RigL: regrow must not be 'forbid' with phantom_keep, tf1_noise_std or .*",
        ),
        (
            {"ties": "drop_all", "regrow": "forbid"},
            ValueError,
            r"RigL: regrow must not be 'forbid' with .*",
        ),
        *(
            ({name: 1}, TypeError, f"RigL: {name} must be True or False, got 1")
            for name in ("include_stop", "min_keep_one", "phantom_keep", "replaces_update")
        ),
        ({"convention": "tf"}, ValueError, r"RigL: convention must be one of \[.*\], got 'tf'"),
    ],
)
def test_an_option_out_of_bounds_is_refused_by_name(options, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        RigL(**options)


def test_a_training_that_ends_before_the_first_event_is_refused():
    with pytest.raises(ValueError, match=r"^RigL: stop must be greater than start, 90, got 75$"):
        RigL(start=90).bind(Run(10, 100))


def test_the_pure_functions_refuse_rules_that_do_not_go_together():
    weight = csr.from_dense(WEIGHT)
    with pytest.raises(ValueError, match=r"^RigL: regrow must not be 'forbid'"):
        choose(weight, GRAD, 1, "forbid", phantom_keep=True)
    with pytest.raises(ValueError, match=r"^RigL: ties must be one of"):
        rewire_layer(weight, GRAD, 1, ties="high")
    with pytest.raises(ValueError, match=r"^RigL: grow_init must be one of"):
        rewire_layer(weight, GRAD, 1, grow_init="ones")
