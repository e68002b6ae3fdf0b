"""DSR against a table worked by hand and a dense brute force, ties and full layers included."""

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from sparse_ref import Linear, Network, ReLU, csr, fit, optim
from sparse_ref.methods import DSR, Run
from sparse_ref.methods.dsr import (
    next_threshold,
    prune,
    reallocate,
    reallocate_at_random,
    rewire,
)
from sparse_ref.methods.dsr_codes import PASSES

DTYPES = [np.float32, np.float64]

# ---------------------------------------------------------------- the table
#
#            layer A                  positions               layer B          positions
#    .5    .    -.1    .             0   1   2   3          .4    .    .       0  1  2
#     .   .3     .   -.9             4   5   6   7           .  -.6   .01      3  4  5
#   -.2    .    .05    .             8   9  10  11
#
# below .25: 2 (.1), 8 (.2), 10 (.05)                        below .25: 5 (.01)
# K = 4 pruned; 3 and 2 are left; 4 * 3/5, 4 * 2/5 = 2.4, 1.6 -> 2 and 2

A = np.array([[0.5, 0, -0.1, 0], [0, 0.3, 0, -0.9], [-0.2, 0, 0.05, 0]])
B = np.array([[0.4, 0, 0], [0, -0.6, 0.01]])
FREE = [{1, 3, 4, 6, 9, 11}, {1, 2, 3}]  # neither connected nor just pruned


def network(*layers, dtype=np.float64):
    return [csr.from_dense(layer.astype(dtype)) for layer in layers]


def dropped(weights, rewires):
    return [csr.flat(w)[r.drop].tolist() for w, r in zip(weights, rewires, strict=True)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_event_is_that_of_the_table(dtype):
    weights = network(A, B, dtype=dtype)
    rewires, threshold = rewire(weights, 0.25, 4, np.random.default_rng(7))
    assert dropped(weights, rewires) == [[2, 8, 10], [5]]
    assert [len(r.grow) for r in rewires] == [2, 2]
    assert all(set(r.grow.tolist()) <= free for r, free in zip(rewires, FREE, strict=True))
    assert [r.values.tolist() for r in rewires] == [[0.0, 0.0], [0.0, 0.0]]
    assert all(r.momentum is None for r in rewires)
    assert threshold == 0.25


def test_twice_as_many_as_wanted_halve_the_threshold():
    assert rewire(network(A, B), 0.25, 2, np.random.default_rng(7))[1] == 0.125


@pytest.mark.parametrize(
    ("kept", "total", "counts"),
    [
        ((3, 2), 4, [2, 2]),
        ((5, 5), 1, [1, 0]),
        ((3, 3), 3, [2, 1]),
        ((7, 2, 1), 5, [4, 1, 0]),
        ((1, 1, 1), 2, [1, 1, 0]),
        ((0, 4), 3, [0, 3]),
        ((0, 0), 0, [0, 0]),
        ((), 0, []),
    ],
)
def test_the_traps_of_rounding_by_largest_remainder(kept, total, counts):
    assert reallocate(kept, total, [99] * len(kept)).tolist() == counts


TRAPS = [  # what is left, K, rounded shares, what the random layer can make of them
    ((5, 5), 1, [0, 0], {(1, 0), (0, 1)}),
    ((3, 3), 3, [2, 2], {(1, 2), (2, 1)}),
    ((7, 2, 1), 5, [4, 1, 0], {(4, 1, 0)}),
    ((1, 1, 1), 2, [1, 1, 1], {(0, 1, 1), (1, 0, 1), (1, 1, 0)}),
    ((1,) * 6, 4, [1] * 6, {tuple(1 - (k == j) for k in range(6)) for j in range(6)}),  # 5, not 4
    (  # 7, not 6, unless it is the first that is lucky
        (6, 1, 1, 1, 1),
        6,
        [4, 1, 1, 1, 1],
        {(2, 1, 1, 1, 1), *((4, *(1 - (k == j) for k in range(4))) for j in range(4))},
    ),
]


@pytest.mark.parametrize(("kept", "total", "rounded", "outcomes"), TRAPS)
def test_the_traps_of_rounding_as_the_code_does(kept, total, rounded, outcomes):
    assert naive.dsr_round(kept, total) == rounded
    rng = np.random.default_rng(11)
    comp = {
        tuple(reallocate_at_random(kept, total, [99] * len(kept), rng).tolist()) for _ in range(90)
    }
    assert comp == outcomes


def test_a_layer_that_would_be_emptied_keeps_its_first():
    weights = network(np.array([[0.1, 0.2]]))
    assert [drop.tolist() for drop in prune(weights, 0.3)] == [[1]]
    assert [drop.tolist() for drop in prune(weights, 0.3, keep_one=False)] == [[0, 1]]


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_equals_the_threshold_stays(dtype):
    weights = network(np.array([[0.25, -0.25, 0.125, 1.0]]), dtype=dtype)
    assert [drop.tolist() for drop in prune(weights, 0.25)] == [[2]]


def test_a_stored_zero_is_a_connection_below_any_threshold():
    weights = [csr.from_dense(np.array([[0.0, 2.0, 0.0]]), np.array([[1, 1, 0]], bool))]
    assert [drop.tolist() for drop in prune(weights, 1e-9)] == [[0]]


@pytest.mark.parametrize(
    ("pruned", "factor"), [(0, 2), (8, 2), (9, 1), (10, 1), (11, 1), (12, 0.5), (99, 0.5)]
)
def test_the_threshold_is_doubled_halved_or_kept(pruned, factor):
    assert next_threshold(0.75, pruned, 10) == 0.75 * factor


@pytest.mark.parametrize(("tolerance", "after"), [(0.5, 1.0), (0.25, 0.5)])
def test_the_tolerance_is_a_fraction_of_the_target(tolerance, after):
    assert next_threshold(1.0, 14, 10, tolerance) == after


# ---------------------------------------------------------------- full and dead layers


def test_what_a_full_layer_cannot_take_goes_to_the_others():
    # Left are 8, 1 and 1 of 10; 5 of the 6 are the first layer's due, but it has room for 2.
    assert reallocate((8, 1, 1), 6, [2, 9, 9]).tolist() == [2, 2, 2]


def test_a_full_network_drops_nothing_since_nothing_else_could_grow():
    full = network(np.array([[0.1, 2.0, 0.2]]), np.array([[0.1], [3.0]]))
    rewires, threshold = rewire(full, 1.0, 1, np.random.default_rng(13))
    assert dropped(full, rewires) == [[], []]
    assert [len(r.grow) for r in rewires] == [0, 0]
    assert threshold == 0.5  # 3 below the threshold, 1 wanted


def test_the_smallest_are_dropped_where_there_is_room_for_a_few_only():
    #    .1  .2  2   .          .3  3          room for one: of .1, .2 and .3 the .1 goes
    weights = network(np.array([[0.1, 0.2, 2.0, 0.0]]), np.array([[0.3, 3.0]]))
    rewires, _ = rewire(weights, 1.0, 3, np.random.default_rng(13))
    assert dropped(weights, rewires) == [[0], []]
    assert [r.grow.tolist() for r in rewires] == [[3], []]


def test_a_layer_with_nothing_left_receives_nothing():
    weights = network(np.array([[0.1, 0.2, 0.0]]), np.array([[3.0, 0.0, 0.0, 0.0]]))
    rewires, _ = rewire(weights, 1.0, 3, np.random.default_rng(13), keep_one=False)
    assert dropped(weights, rewires) == [[0, 1], []]
    assert [len(r.grow) for r in rewires] == [0, 2]


def test_a_network_of_which_nothing_would_be_left_is_left_alone():
    weights = network(np.array([[0.1, 0.2, 0.0]]), np.array([[0.3, 0.0]]))
    rewires, threshold = rewire(weights, 1.0, 1, np.random.default_rng(13), keep_one=False)
    assert dropped(weights, rewires) == [[], []]
    assert threshold == 0.5


def test_sparing_goes_on_until_all_that_drop_have_a_place():
    #  .9  .8  .7  .6  2       .1  .2  .  .  .       The first is full, the second would die:
    #  room for 4 of 6. Without .9 and .8 for 2 of 4, without .7 and .6 for none of 2.
    weights = network(np.array([[0.9, 0.8, 0.7, 0.6, 2.0]]), np.array([[0.1, 0.2, 0, 0, 0]]))
    options = {"keep_one": False, "exclude_just_dropped": False}
    rewires, _ = rewire(weights, 1.0, 3, np.random.default_rng(13), **options)
    assert dropped(weights, rewires) == [[], []]


def test_the_codes_rounding_ends_where_nothing_fits():
    rng = np.random.default_rng(17)
    assert reallocate_at_random((3, 2), 9, [1, 2], rng).tolist() == [1, 2]
    assert reallocate_at_random((0, 0), 9, [5, 5], rng).tolist() == [0, 0]
    # The only layer with a share is full, and there is no discrepancy: the code never ends.
    assert PASSES < 10**4
    assert reallocate_at_random((1, 0), 2, [1, 5], rng).tolist() == [1, 0]


def test_the_codes_rounding_loses_what_finds_no_place():
    weights = network(np.array([[0.1, 0.2, 2.0, 0.0]]), np.array([[0.3, 3.0]]))
    for scaling in (True, False):
        rewires, _ = rewire(
            weights,
            1.0,
            3,
            np.random.default_rng(13),
            rounding="intel_random",
            rewire_scaling=scaling,
        )
        assert dropped(weights, rewires) == [[0, 1], [0]]
        assert [r.grow.tolist() for r in rewires] == [[3], []]


# ---------------------------------------------------------------- brute force


@st.composite
def networks(draw):
    """Layers with few different magnitudes, and a threshold among them."""
    rng = np.random.default_rng(draw(st.integers(2, 2**32)))
    dtype = draw(st.sampled_from(DTYPES))
    levels = draw(st.integers(1, 6))
    dense, presents = [], []
    for _ in range(draw(st.integers(1, 4))):
        shape = draw(st.integers(1, 4)), draw(st.integers(1, 5))
        present = rng.random(shape) < draw(st.sampled_from([0.0, 0.3, 0.6, 0.9, 1.0]))
        values = rng.integers(-levels + 1, levels, shape) / 4 * present
        dense.append(values.astype(dtype))
        presents.append(present)
    return dense, presents, draw(st.integers(0, 7)) / 4, draw(st.integers(1, 12)), rng


BOOLEANS = st.booleans()


@settings(deadline=None, max_examples=300)
@given(networks(), BOOLEANS, BOOLEANS, BOOLEANS, st.sampled_from([None, 0.0, 0.25, 0.5, 1.0]))
def test_an_event_is_that_of_the_dense_brute_force(net, keep_one, exclude, scaling, fraction):
    dense, presents, threshold, target, rng = net
    weights = [csr.from_dense(w, p) for w, p in zip(dense, presents, strict=True)]
    gone, numbers, free, after = naive.dsr(
        dense, presents, threshold, target, 0.1, keep_one, exclude, scaling, fraction
    )
    rewires, comp_after = rewire(
        weights,
        threshold,
        target,
        rng,
        keep_one=keep_one,
        exclude_just_dropped=exclude,
        rewire_scaling=scaling,
        fraction=fraction,
    )
    assert dropped(weights, rewires) == gone
    assert [len(r.grow) for r in rewires] == numbers
    assert comp_after == after
    for r, places, weight in zip(rewires, free, weights, strict=True):
        assert set(r.grow.tolist()) <= set(places)
        assert r.values.dtype == weight.dtype
        assert not r.values.any()
        csr.apply(weight, r)


@settings(deadline=None, max_examples=150)
@given(networks(), BOOLEANS, BOOLEANS)
def test_the_network_keeps_its_connections_and_no_layer_dies(net, exclude, scaling):
    dense, presents, threshold, target, rng = net
    weights = [csr.from_dense(w, p) for w, p in zip(dense, presents, strict=True)]
    options = {"exclude_just_dropped": exclude, "rewire_scaling": scaling}
    rewires, _ = rewire(weights, threshold, target, rng, **options)
    new = [csr.apply(w, r)[0] for w, r in zip(weights, rewires, strict=True)]
    assert sum(w.nnz for w in new) == sum(w.nnz for w in weights)
    assert all((a.nnz > 0) == (b.nnz > 0) for a, b in zip(new, weights, strict=True))
    if not scaling:
        assert [w.nnz for w in new] == [w.nnz for w in weights]


@settings(deadline=None, max_examples=80)
@given(networks(), st.sampled_from([0.25, 8.0, 1024.0]))
def test_scaling_weights_and_threshold_changes_no_choice(net, factor):
    dense, presents, threshold, target, _ = net
    ref, comp = (
        rewire(
            [csr.from_dense(w.dtype.type(f) * w, p) for w, p in zip(dense, presents, strict=True)],
            f * threshold,
            target,
            np.random.default_rng(19),
        )
        for f in (1.0, factor)
    )
    assert comp[1] == factor * ref[1]
    for one, two in zip(ref[0], comp[0], strict=True):
        np.testing.assert_array_equal(one.drop, two.drop)
        np.testing.assert_array_equal(one.grow, two.grow)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=5), st.data())
def test_who_kept_more_grows_no_fewer(kept, data):
    total = data.draw(st.integers(0, 30)) if any(kept) else 0
    counts = reallocate(kept, total, [99] * len(kept)).tolist()
    assert sum(counts) == total
    for a, more in zip(kept, counts, strict=True):
        for b, fewer in zip(kept, counts, strict=True):
            assert more >= fewer or a <= b


@settings(deadline=None, max_examples=100)
@given(networks())
def test_the_codes_rounding_prunes_all_that_is_below(net):
    dense, presents, threshold, target, rng = net
    weights = [csr.from_dense(w, p) for w, p in zip(dense, presents, strict=True)]
    rewires, after = rewire(weights, threshold, target, rng, rounding="intel_random")
    below = [drop.tolist() for drop in prune(weights, threshold)]
    assert [r.drop.tolist() for r in rewires] == below
    assert after == next_threshold(threshold, sum(map(len, below)), target)
    for r, present in zip(rewires, presents, strict=True):
        assert not set(r.grow.tolist()) & set(np.flatnonzero(present).tolist())


def test_with_nothing_pruned_nothing_changes_and_the_threshold_doubles():
    for rounding in ("largest_remainder", "intel_random"):
        rewires, threshold = rewire(
            network(A, B), 0.001, 4, np.random.default_rng(7), rounding=rounding
        )
        assert all(len(r.drop) == len(r.grow) == 0 for r in rewires)
        assert threshold == 0.002


def test_every_free_position_is_as_likely():
    counts = np.zeros(12, int)
    for seed in range(200, 800):
        rewires, _ = rewire(network(A, B), 0.25, 4, np.random.default_rng(seed))
        counts[rewires[0].grow] += 1
    assert set(np.flatnonzero(counts).tolist()) == FREE[0]
    assert counts[counts > 0].min() > 140  # 200 expected, six standard deviations are 69


def test_a_position_just_dropped_may_be_allowed_to_grow():
    seen = set()
    for seed in range(200, 260):
        rewires, _ = rewire(
            network(A, B), 0.25, 4, np.random.default_rng(seed), exclude_just_dropped=False
        )
        seen |= set(rewires[0].grow.tolist())
    assert seen == FREE[0] | {2, 8, 10}


def test_a_layer_more_moves_no_draw_of_the_others():
    weights, more = network(A, B), network(np.array([[0.5, 0.0]]))
    options = {"rewire_scaling": False}
    ref = rewire(weights, 0.25, 4, np.random.default_rng(23), **options)[0]
    comp = rewire(weights + more, 0.25, 4, np.random.default_rng(23), **options)[0]
    for one, two in zip(ref, comp, strict=False):
        np.testing.assert_array_equal(one.grow, two.grow)


# ---------------------------------------------------------------- the method


def asked(method, state=0.25, seed=29):
    net = Network([Linear(csr.from_dense(A)), ReLU(), Linear(csr.from_dense(B))])
    return method.rewire(net, (), state, 10, np.random.default_rng(seed))


def counts(rewires):
    return [(len(r.drop), len(r.grow)) for r in rewires]


def test_the_state_is_the_threshold_of_the_next_event():
    method = DSR(target=2, initial_threshold=0.25)
    assert method.init(None, np.random.default_rng(7)) == 0.25
    rewires, state = asked(method)
    assert counts(rewires) == [(3, 2), (1, 2)]
    assert state == 0.125


@pytest.mark.parametrize(
    ("target", "after"), [(4, 0.25), (2, 0.125), (8, 0.5), (0.45, 0.25), (0.2, 0.125), (0.9, 0.5)]
)
def test_the_target_is_a_number_or_a_share_of_the_network(target, after):
    assert asked(DSR(target=target))[1] == after  # of 9 connections 4 are below


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_a_number_of_numpy_is_a_target(kind):
    assert asked(DSR(target=kind(2)))[1] == 0.125


def test_the_tolerance_is_used():
    assert asked(DSR(target=3, tolerance=0.5))[1] == 0.25
    assert asked(DSR(target=3, tolerance=0.25))[1] == 0.125


def test_without_scaling_each_layer_grows_as_many_as_it_lost():
    method = DSR(target=4, rewire_scaling=False)
    assert counts(asked(method)[0]) == [(3, 3), (1, 1)]
    assert method.conserves == "layer"


def test_without_the_threshold_a_fraction_of_each_layer_goes_and_the_state_rests():
    #  int(.4 * 6) + 1 = 3 and int(.4 * 3) + 1 = 2; left are 3 and 1: 5 * 3/4 = 3.75, 1.25
    method = DSR(target=2, threshold_prune=False, rewire_fraction=0.4)
    rewires, state = asked(method)
    assert counts(rewires) == [(3, 4), (2, 1)]
    assert state == 0.25


def test_without_both_layers_are_on_their_own():
    assert DSR(threshold_prune=False, rewire_scaling=False).scope == "layer"
    assert {DSR(threshold_prune=False).scope, DSR(rewire_scaling=False).scope} == {"network"}


def test_the_authors_code_is_a_convention():
    method = DSR(convention="intel-dsr")
    assert method == DSR(rounding="intel_random")
    assert (method.scope, method.conserves) == ("network", "nothing")
    assert DSR(convention="intel-dsr", rounding="largest_remainder") == DSR()
    # 4 * 3/5, 4 * 2/5 = 2.4, 1.6 -> 2 and 2 as well; from one pruned of (5, 5) either may grow.
    layers = [csr.from_dense(np.array([[1.0, 1, 1, 1, 1, low, 0, 0]])) for low in (0.1, 0.0)]
    grown = {
        tuple(counts(rewire(layers, 0.5, 1, np.random.default_rng(s), rounding="intel_random")[0]))
        for s in range(200, 230)
    }
    assert grown == {((1, 1), (0, 0)), ((1, 0), (0, 1))}
    assert counts(rewire(layers, 0.5, 1, np.random.default_rng(2))[0]) == [(1, 1), (0, 0)]


def test_keep_one_is_used():
    net = Network([Linear(csr.from_dense(np.array([[0.1, 0.2, 0.0]])))])
    rng = np.random.default_rng(31)
    assert counts(DSR().rewire(net, (), 1.0, 10, rng)[0]) == [(1, 1)]
    assert counts(DSR(keep_one=False).rewire(net, (), 1.0, 10, rng)[0]) == [(0, 0)]


@pytest.mark.parametrize(("steps", "stop"), [(400, 300), (401, 300), (2, 1), (1, 1)])
def test_events_end_after_three_quarters_of_the_training(steps, stop):
    assert DSR().bind(Run(1, steps)).stop == stop
    assert DSR(stop=37).bind(Run(1, steps)).stop == 37


def test_events_are_due_at_multiples_of_every_before_stop():
    method = DSR(every=10, stop=40)
    assert [step for step in range(1, 100) if method.due(step)] == [10, 20, 30]


def test_an_event_follows_an_update():
    assert not DSR().replaces_update


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": 0}, r"target must be in \(0, 1\) or a whole number >= 1, got 0"),
        ({"target": 1.0}, r"target must be in \(0, 1\) or a whole number >= 1, got 1.0"),
        ({"target": 600.5}, r"target must be in \(0, 1\) or a whole number >= 1, got 600.5"),
        ({"target": float("nan")}, r"target must be in .* got nan"),
        ({"initial_threshold": 0.0}, "initial_threshold must be positive, got 0.0"),
        ({"initial_threshold": float("inf")}, "initial_threshold must be positive, got inf"),
        ({"tolerance": -0.1}, r"tolerance must be in \[0, 1\], got -0.1"),
        ({"tolerance": float("nan")}, r"tolerance must be in \[0, 1\], got nan"),
        ({"rewire_fraction": 1.5}, r"rewire_fraction must be in \[0, 1\], got 1.5"),
        ({"every": 0}, "every must be a positive whole number of steps, got 0"),
        ({"stop": 0}, "stop must be a positive whole number of steps, got 0"),
        (
            {"rounding": "up"},
            r"rounding must be one of \['largest_remainder', 'intel_random'\], got 'up'",
        ),
        ({"convention": "x"}, r"convention must be one of \['paper', 'intel-dsr'\], got 'x'"),
    ],
)
def test_a_wrong_option_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=f"^DSR: {message}$"):
        DSR(**options)


@pytest.mark.parametrize("option", ["target", "initial_threshold", "tolerance", "rewire_fraction"])
@pytest.mark.parametrize("value", ["a tenth", True, None])
def test_an_option_of_another_kind_is_refused(option, value):
    with pytest.raises(TypeError, match=f"^DSR: {option} must be a number, got {value!r}$"):
        DSR(**{option: value})


def test_a_wrong_rounding_is_refused_by_the_function_too():
    with pytest.raises(ValueError, match=r"^DSR: rounding must be one of"):
        rewire(network(A), 0.25, 1, np.random.default_rng(7), rounding="up")


def test_a_weight_out_of_order_is_refused():
    weight = csr_array((np.ones(2), [1, 0], [0, 2]), shape=(1, 3))
    with pytest.raises(ValueError, match=r"^DSR: connections .* must be ascending"):
        rewire([weight], 0.5, 1, np.random.default_rng(7))


# ---------------------------------------------------------------- whole trainings


def trained(method, dtype=np.float64, seed=37):
    rng = np.random.default_rng(seed)
    shapes = (9, 12), (3, 9)
    weights = [rng.standard_normal(s) * (rng.random(s) < 0.4) for s in shapes]
    net = Network(
        [
            *map(Linear, network(weights[0], dtype=dtype)),
            ReLU(),
            *map(Linear, network(weights[1], dtype=dtype)),
        ]
    )
    data = rng.standard_normal((60, 12)), rng.integers(0, 3, 60)
    before = net.connections
    history = fit(
        net,
        data,
        method=method,
        optimizer=optim.sgd(0.05, 0.9),
        epochs=6,
        batch_size=10,
        rng=np.random.default_rng(41),
    )
    return before, net, history


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_training_keeps_the_connections_of_the_network(dtype):
    before, net, history = trained(DSR(every=3, target=5, initial_threshold=0.1), dtype)
    steps = sorted({event.step for event in history.events})
    assert steps == list(range(3, 27, 3))
    assert sum(net.connections) == sum(before)
    assert net.connections != before  # they move between layers
    assert sum(len(event.dropped) for event in history.events) > 20
    assert net.dtype == dtype


def test_the_threshold_finds_the_target():
    _, _, history = trained(DSR(every=2, target=5, initial_threshold=1e-6, stop=36))
    pruned = {}
    for event in history.events:
        pruned[event.step] = pruned.get(event.step, 0) + len(event.dropped)
    assert list(pruned.values())[:5] == [0] * 5
    assert max(pruned.values()) >= 4


def test_a_training_can_be_repeated():
    one, two = (trained(DSR(every=3, convention="intel-dsr"))[1] for _ in range(2))
    for a, b in zip(one.sparse_layers, two.sparse_layers, strict=True):
        assert a.weight.data.tobytes() == b.weight.data.tobytes()
        np.testing.assert_array_equal(a.weight.indices, b.weight.indices)


def test_the_threshold_ends_its_doubling_before_float32_cannot_hold_it():
    threshold = 1.0
    for _ in range(2_000):
        threshold = next_threshold(threshold, 0, target=10)
    assert 1e37 < threshold < np.finfo(np.float32).max
