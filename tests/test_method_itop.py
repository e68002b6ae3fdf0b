"""ITOP against examples worked by hand and a dense brute force."""

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from sparse_ref import Linear, Network, ReLU, csr, fit, optim
from sparse_ref.methods import ITOP, Run
from sparse_ref.methods.itop import GROWTHS, prune, rewire_layer
from sparse_ref.recorders import Exploration
from sparse_ref.schedules import Constant, Cosine
from sparse_ref.topology.exploration import positions

DTYPES = [np.float32, np.float64]

# ---------------------------------------------------------------- pruning, by hand
#
#   .5  .2  .2  .1   .   .   .  -.3       the third smallest is .2: all up to it go
#   .5  .2  .2  .2   .   .   .  -.3       the second smallest is .2: three go


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("row", "rate", "kept"),
    [
        ([0.5, 0.2, 0.2, 0.1, 0, 0, 0, -0.3], 0.5, [0, 7]),
        ([0.5, 0.2, 0.2, 0.2, 0, 0, 0, -0.3], 0.3, [0, 7]),
    ],
)
def test_the_code_prunes_up_to_the_threshold(row, rate, kept, dtype):
    weight = csr.from_dense(np.array([row], dtype))
    n = int(np.ceil(rate * weight.nnz))
    drop = prune(weight, n, threshold=True)
    assert np.delete(csr.flat(weight), drop).tolist() == kept


def test_the_exact_rule_prunes_the_number():
    weight = csr.from_dense(np.array([[0.5, 0.2, 0.2, 0.2, 0, 0, 0, -0.3]]))
    assert prune(weight, 2).tolist() == [2, 3]
    assert prune(weight, 0).tolist() == []


def test_the_threshold_takes_stored_zeros_even_where_nothing_is_to_go():
    weight = csr.from_dense(np.array([[0.0, 2.0, 0.0, 1.0]]), np.array([[1, 1, 1, 1]], bool))
    assert prune(weight, 0, threshold=True).tolist() == [0, 2]
    assert prune(weight, 1, threshold=True).tolist() == [0, 2]
    assert prune(weight, 3, threshold=True).tolist() == [0, 2, 3]
    assert prune(weight, 1).tolist() == [2]


# ---------------------------------------------------------------- growth, by hand
#
#             weight                       gradient                   flat positions
#    .5    .    -.1    .          .1  -.7   .9   .2             0   1   2   3
#     .   .3     .   -.9          .6  -.3   .6   .0             4   5   6   7
#   -.2    .    .05    .         -.4   .05 -.8   .3             8   9  10  11
#
# 2, 8 and 10 go; by gradient 2, 10 and 1 grow, so 2 and 10 stay as they were.

WEIGHT = np.array([[0.5, 0, -0.1, 0], [0, 0.3, 0, -0.9], [-0.2, 0, 0.05, 0]])
GRAD = np.array([[0.1, -0.7, 0.9, 0.2], [0.6, -0.3, 0.6, 0.0], [-0.4, 0.05, -0.8, 0.3]])
ACTIVE, FREE = [0, 2, 5, 7, 8, 10], [1, 2, 3, 4, 6, 8, 9, 10, 11]


def grown(seed, **options):
    """What dropped and what grew, of the connections that are not both."""
    weight = csr.from_dense(WEIGHT)
    rewire = rewire_layer(weight, 3, np.random.default_rng(seed), **options)
    return csr.flat(weight)[rewire.drop].tolist(), rewire.grow.tolist(), rewire


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradient_growth_is_that_of_the_table(dtype):
    weight = csr.from_dense(WEIGHT.astype(dtype))
    rng = np.random.default_rng(7)
    rewire = rewire_layer(weight, 3, rng, growth="gradient", grad=GRAD.astype(dtype))
    new, _ = csr.apply(weight, rewire)
    assert csr.flat(new).tolist() == [0, 1, 2, 5, 7, 10]
    np.testing.assert_array_equal(new.data, np.array([0.5, 0, -0.1, 0.3, -0.9, 0.05], dtype))
    assert rewire.values.dtype == dtype


def test_random_growth_may_choose_any_free_position_and_keeps_what_it_chooses_again():
    seen = np.zeros(12, int)
    for seed in range(200, 650):
        dropped, new, rewire = grown(seed)
        again = sorted({2, 8, 10} - set(dropped))
        assert len(new) + len(again) == 3
        assert not set(new) & {*ACTIVE}
        seen[new + again] += 1
        assert not rewire.values.any()
    assert np.flatnonzero(seen).tolist() == FREE
    assert seen[FREE].min() > 95  # 150 expected, a deviation is 10


def test_unfired_positions_come_first():
    # Ever connected: all but 3, 4, 9 and 11. Three grow, all of them there.
    visited = np.array([0, 1, 2, 5, 6, 7, 8, 10])
    seen = set()
    for seed in range(200, 260):
        dropped, new, _ = grown(seed, growth="random_unfired", visited=visited)
        assert dropped == [2, 8, 10]
        assert len(new) == 3
        seen |= set(new)
    assert seen == {3, 4, 9, 11}


def test_where_unfired_positions_are_too_few_others_follow():
    # Never connected: 3. Two more of 1, 4, 6, 9, 11 and the dropped 2, 8, 10.
    visited = np.array([0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11])
    seen = set()
    for seed in range(200, 300):
        dropped, new, _ = grown(seed, growth="random_unfired", visited=visited)
        again = {2, 8, 10} - set(dropped)
        assert 3 in new
        assert len(new) + len(again) == 3
        seen |= set(new) | again
    assert seen == set(FREE)


def test_bernoulli_growth_is_right_in_expectation():
    numbers, seen = [], np.zeros(12, int)
    for seed in range(200, 800):
        dropped, new, _ = grown(seed, bernoulli_growth=True)
        chosen = new + sorted({2, 8, 10} - set(dropped))
        numbers.append(len(chosen))
        seen[chosen] += 1
    # Binomial(9, 1/3): mean 3, variance 2.
    assert abs(np.mean(numbers) - 3) < 0.25
    assert abs(np.var(numbers) - 2) < 0.5
    assert np.flatnonzero(seen).tolist() == FREE
    assert np.ptp(seen[FREE]) < 110  # 200 expected, a deviation is 12


def test_bernoulli_growth_applies_to_what_is_left_when_unfired_positions_are_used_up():
    visited = np.array([0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11])
    numbers = set()
    for seed in range(200, 300):
        dropped, new, _ = grown(
            seed, growth="random_unfired", visited=visited, bernoulli_growth=True
        )
        assert 3 in new
        numbers.add(len(new) + len({2, 8, 10} - set(dropped)))
    assert {2, 3, 4} < numbers
    exact = {
        len(grown(s, growth="random_unfired", visited=np.array(ACTIVE), bernoulli_growth=True)[1])
        for s in range(200, 230)
    }
    assert exact == {3}  # six were never connected


def test_bernoulli_growth_counts_only_what_is_still_free():
    #  w  1  2  3  .      All three go; 3 was never connected and grows. Of the other three each
    #  grows with probability 2/3, so 2 on average.
    weight, numbers = csr.from_dense(np.array([[1.0, 2, 3, 0]])), []
    options = {"growth": "random_unfired", "visited": np.arange(3), "bernoulli_growth": True}
    for seed in range(200, 400):
        rewire = rewire_layer(weight, 3, np.random.default_rng(seed), **options)
        assert rewire.grow.tolist() == [3]
        numbers.append(3 - len(rewire.drop))
    assert abs(np.mean(numbers) - 2) < 0.25  # a deviation is 0.06
    assert set(numbers) == {0, 1, 2, 3}


# ---------------------------------------------------------------- brute force


@st.composite
def layers(draw):
    """A layer, its gradient, what was visited and a count; few different numbers."""
    n_out, n_in = draw(st.integers(1, 6)), draw(st.integers(1, 7))
    rng = np.random.default_rng(draw(st.integers(2, 2**32)))
    present = rng.random((n_out, n_in)) < draw(st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]))
    dtype, levels = draw(st.sampled_from(DTYPES)), draw(st.integers(1, 8))
    weight = (rng.integers(-levels + 1, levels, present.shape) * present).astype(dtype)
    grad = rng.integers(-levels + 1, levels, present.shape).astype(dtype)
    visited = present | (rng.random(present.shape) < draw(st.sampled_from([0.0, 0.3, 0.9, 1.0])))
    n_drop = draw(st.integers(0, int(present.sum())))
    return weight, present, grad, np.flatnonzero(visited), n_drop, rng


@settings(deadline=None, max_examples=250)
@given(layers(), st.sampled_from(GROWTHS), st.booleans(), st.booleans())
def test_an_event_is_one_that_the_dense_brute_force_allows(layer, growth, threshold, bernoulli):
    dense, present, grad, visited, n_drop, rng = layer
    gone = naive.itop_pruned(dense, present, n_drop, threshold)
    free, unfired = naive.itop_free(dense, present, gone, visited.tolist())
    weight, before = csr.from_dense(dense, present), visited.copy()
    rewire = rewire_layer(
        weight,
        n_drop,
        rng,
        growth=growth,
        grad=grad,
        visited=visited,
        threshold_prune=threshold,
        bernoulli_growth=bernoulli,
    )
    np.testing.assert_array_equal(visited, before)
    dropped = csr.flat(weight)[rewire.drop].tolist()
    assert set(dropped) <= set(gone)
    chosen = sorted({*rewire.grow.tolist(), *gone} - set(dropped))
    assert set(chosen) <= set(free)
    new = csr.apply(weight, rewire)[0]
    np.testing.assert_array_equal(
        csr.to_dense(new)[present & ~np.isin(np.arange(dense.size).reshape(dense.shape), dropped)],
        dense[present & ~np.isin(np.arange(dense.size).reshape(dense.shape), dropped)],
    )
    if growth == "gradient" or not bernoulli:
        assert len(chosen) == len(gone)
    if growth == "gradient":
        order = sorted(free, key=lambda p: (-abs(grad.flat[p]), p))
        assert chosen == sorted(order[: len(gone)])
    if growth == "random_unfired":
        first = [p for p in chosen if p in unfired]
        assert len(first) == min(len(gone), len(unfired))


@settings(deadline=None, max_examples=60)
@given(layers())
def test_with_every_free_position_needed_all_of_them_grow(layer):
    dense, present, _, _, _, rng = layer
    weight = csr.from_dense(dense, np.ones_like(present))
    for bernoulli in (False, True):
        rewire = rewire_layer(weight, weight.nnz, rng, bernoulli_growth=bernoulli)
        assert len(rewire.drop) == len(rewire.grow) == 0  # all of them come again


# ---------------------------------------------------------------- the method


def connected(net):
    return positions([layer.weight for layer in net.sparse_layers])


def asked(method, fraction=0.5, state=None, seed=29, step=10):
    net = Network([Linear(csr.from_dense(WEIGHT)), ReLU(), Linear(csr.from_dense(WEIGHT[:, :3]))])
    bound = type(method)(**{**vars(method), "drop_fraction": Constant(fraction)})
    state = connected(net) if state is None else state
    rewires, after = bound.rewire(
        net, (GRAD, GRAD[:, :3]), state, step, np.random.default_rng(seed)
    )
    return net, rewires, state, after


def test_the_state_is_what_was_ever_connected():
    net, rewires, before, after = asked(ITOP())
    assert before[0].tolist() == ACTIVE
    for old, new, rewire in zip(before, after, rewires, strict=True):
        assert new.tolist() == sorted({*old.tolist(), *rewire.grow.tolist()})
    assert before[0].tolist() == ACTIVE
    state = ITOP().init(net, np.random.default_rng(7))
    for mine, theirs in zip(state, before, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_the_method_prunes_floors_or_what_the_rounding_says():
    # .4 * 6 = 2.4: 2 and 10 go and come again, or 2, 8 and 10 go, and 1 comes for 8; .4 * 5 = 2
    def grows(**options):
        return [r.grow.tolist() for r in asked(ITOP(growth="gradient", **options), 0.4)[1]]

    assert grows() == [[], []]
    assert grows(rounding="ceil") == [[1], []]


def test_every_growth_is_used():
    every = np.arange(12)
    grows = {g: asked(ITOP(growth=g))[1][0].grow.tolist() for g in GROWTHS}
    assert grows["gradient"] == [1]
    assert len(grows["random_unfired"]) == 3  # nothing was visited that is not connected
    after = asked(ITOP(growth="random_unfired"), state=(every, every[:9]))[3]
    assert after[0].tolist() == every.tolist()
    assert {len(asked(ITOP(), seed=s)[1][0].grow) for s in range(200, 230)} > {2, 3}


def test_the_authors_code_is_a_convention():
    options = {"rounding": "ceil", "threshold_prune": True, "bernoulli_growth": True}
    assert ITOP(convention="itop") == ITOP(**options)
    assert ITOP(convention="itop").conserves == "nothing"
    assert ITOP(convention="itop", growth="gradient").conserves == "layer"
    assert ITOP().conserves == ITOP(growth="random_unfired").conserves == "layer"
    ties = Network([Linear(csr.from_dense(np.array([[1.0, 1, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0]])))])
    rewires = [
        ITOP(convention="itop", drop_fraction=Constant(0.25)).rewire(
            ties, (None,), connected(ties), 10, np.random.default_rng(seed)
        )[0][0]
        for seed in range(200, 240)
    ]
    assert max(len(r.drop) for r in rewires) == 3
    assert len({len(r.drop) - len(r.grow) for r in rewires}) > 2


def test_a_layer_draws_from_its_own_stream():
    net, rewires, _, _ = asked(ITOP())
    other = Network([Linear(csr.from_dense(np.full((3, 4), 0.5))), *net.layers[1:]])
    comp = ITOP(drop_fraction=Constant(0.5)).rewire(
        other, (GRAD, GRAD[:, :3]), connected(other), 10, np.random.default_rng(29)
    )[0]
    assert len(rewires[1].grow)
    assert not len(comp[0].grow)
    np.testing.assert_array_equal(comp[1].grow, rewires[1].grow)


def test_events_never_end_but_the_last_step_rests():
    bound = ITOP(every=4).bind(Run(8, 32))
    assert [step for step in range(1, 33) if bound.due(step)] == [4, 8, 12, 16, 20, 24, 28]
    assert ITOP(every=4, stop=10).bind(Run(8, 32)).stop == 10
    assert not bound.replaces_update


def test_the_fraction_falls_along_a_cosine_to_its_floor():
    bound = ITOP().bind(Run(10, 100))
    assert bound.drop_fraction == Cosine(0.5, 100, floor=0.005)
    assert bound.drop_fraction(75) == pytest.approx(0.077491072)
    assert ITOP(drop_fraction=0.0).bind(Run(10, 100)).drop_fraction(50) == 0.0
    assert ITOP(drop_fraction=Constant(0.2)).bind(Run(10, 100)).drop_fraction == Constant(0.2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drop_fraction": 1.3}, r"drop_fraction must be in \[0, 1\], got 1.3"),
        ({"every": 0}, "every must be a positive whole number of steps, got 0"),
        ({"every": None}, "every must be a positive whole number of steps, got None"),
        ({"stop": 0}, "stop must be a positive whole number of steps, got 0"),
        (
            {"growth": "momentum"},
            r"growth must be one of \['random', 'gradient', 'random_unfired'\], got 'momentum'",
        ),
        ({"rounding": "up"}, r"rounding must be one of \[.*\], got 'up'"),
        ({"convention": "x"}, r"convention must be one of \['paper', 'itop'\], got 'x'"),
    ],
)
def test_a_wrong_option_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=f"^ITOP: {message}$"):
        ITOP(**options)


def test_unfired_growth_needs_to_know_what_was_visited():
    with pytest.raises(ValueError, match=r"^ITOP: random_unfired growth needs the positions vis"):
        grown(7, growth="random_unfired")


def test_an_unknown_growth_is_refused_by_the_function_too():
    with pytest.raises(ValueError, match=r"^ITOP: growth must be one of"):
        grown(7, growth="x")


def test_a_weight_out_of_order_is_refused():
    weight = csr_array((np.ones(2), [1, 0], [0, 2]), shape=(1, 3))
    with pytest.raises(ValueError, match=r"^ITOP: connections .* must be ascending"):
        rewire_layer(weight, 1, np.random.default_rng(7))


# ---------------------------------------------------------------- whole trainings


def beginning(dtype=np.float64):
    rng = np.random.default_rng(37)
    dense = [rng.standard_normal(s) * (rng.random(s) < 0.2) for s in ((9, 12), (3, 9))]
    first, second = (Linear(csr.from_dense(w.astype(dtype))) for w in dense)
    return Network([first, ReLU(), second])


def trained(method, callbacks=(), net=None, dtype=np.float64, epochs=6):
    net = beginning(dtype) if net is None else net
    rng = np.random.default_rng(43)
    data = rng.standard_normal((60, 12)), rng.integers(0, 3, 60)
    history = fit(
        net,
        data,
        method=method,
        optimizer=optim.sgd(0.05, 0.9),
        epochs=epochs,
        batch_size=10,
        rng=np.random.default_rng(41),
        callbacks=callbacks,
    )
    return net, history


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("growth", GROWTHS)
def test_a_training_keeps_the_connections_of_every_layer(growth, dtype):
    net, history = trained(ITOP(every=3, growth=growth), dtype=dtype)
    assert net.connections == beginning().connections
    assert sorted({event.step for event in history.events}) == list(range(3, 36, 3))
    assert sum(len(event.grown) for event in history.events) > 10
    assert net.dtype == dtype


def test_the_rate_is_that_of_the_methods_own_state():
    net = beginning()
    exploration, states = Exploration(net), []

    class Watched(ITOP):
        def follow(self, state, sources):
            states.append(state)
            return state

    trained(Watched(every=2, growth="random_unfired"), [exploration], net)
    for mine, theirs in zip(states[-1], exploration.visited, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_unfired_growth_explores_more():
    rates = []
    for growth in ("random", "random_unfired"):
        net = beginning()
        exploration = Exploration(net)
        trained(ITOP(every=1, growth=growth), [exploration], net)
        rates.append(exploration.epochs[-1].rate)
    assert rates[0] < rates[1]


def test_a_training_can_be_repeated():
    one, two = (trained(ITOP(every=3, convention="itop"))[0] for _ in range(2))
    for a, b in zip(one.sparse_layers, two.sparse_layers, strict=True):
        assert a.weight.data.tobytes() == b.weight.data.tobytes()
        np.testing.assert_array_equal(a.weight.indices, b.weight.indices)
