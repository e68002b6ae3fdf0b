"""RigL against a table worked by hand and a dense brute force, ties included."""

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from sparse_ref import csr
from sparse_ref.layers import LayerGrad
from sparse_ref.methods import RigL, Run
from sparse_ref.methods.base import count
from sparse_ref.methods.rigl import REGROW, choose, rewire_layer
from sparse_ref.schedules import Constant, Cosine

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
