"""DeepR against an example worked by hand, its formulas, and a dense twin."""

import itertools
import math
from collections import Counter

import naive
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_ref import Linear, Network, ReLU, csr, fit, models, optim, tiles, train
from sparse_ref.allocation.sharing import shared_by_size, shared_uniformly
from sparse_ref.methods import DeepR
from sparse_ref.methods.deepr import activate, crossed, drift_layer
from sparse_ref.selection.signs import position_signs, random_signs, signs_of

DTYPES = [np.float32, np.float64]
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_convention = pytest.mark.parametrize("convention", DeepR.conventions)
QUIET = {"temperature": 0.0, "l1": 0.0}

# ---------------------------------------------------------------- worked by hand
#
# position     0     1     2     3     4     5
# θ           .02    .    .5     .   .001    .        active 0 2 4
# s            1    -1    -1     1     1    -1
# w           .02    .   -.5     .   .001    .
# dE/dw        1    .3    -2    .1    .4   -.5
#
# rate .1, α .01, no noise:    θ_0 = .02 - .1 * 1 - .001 = -.081             dormant
#                              θ_2 = .5 - .1 * (-2)(-1) - .001 = .299        stays
#                              θ_4 = .001 - .1 * .4 - .001 = -.04            dormant
# two to activate, of 0 1 3 4 5

SHAPE = (1, 6)
THETA, SIGNS = [0.02, 0, 0.5, 0, 0.001, 0], [1, -1, -1, 1, 1, -1]
SLOPE = [1, 0.3, -2, 0.1, 0.4, -0.5]
ACTIVE, DORMANT = [0, 2, 4], [0, 1, 3, 4, 5]
RATE, ALPHA = 0.1, 0.01


def example(dtype=np.float64):
    """The weight of the example, its connections' signs and their gradient."""
    weight = csr.from_positions(SHAPE, ACTIVE, np.array([0.02, -0.5, 0.001], dtype))
    return weight, np.array([1, -1, 1], np.int8), np.array([1, -2, 0.4], dtype)


def test_the_twin_makes_the_example():
    theta = naive.deepr_step(THETA, SIGNS, [p in ACTIVE for p in range(6)], SLOPE, RATE, ALPHA)
    np.testing.assert_allclose(theta, [-0.081, 0, 0.299, 0, -0.04, 0], rtol=0, atol=1e-15)
    assert naive.deepr_dormant(theta, [p in ACTIVE for p in range(6)]) == [0, 4]


@every_dtype
def test_an_update_and_an_event_by_hand(dtype):
    weight, signs, grad = example(dtype)
    weight.data += -dtype(RATE) * grad + drift_layer(signs, RATE * ALPHA, 0, None, dtype)
    close = {"rtol": 0, "atol": 2 * np.finfo(dtype).eps}
    np.testing.assert_allclose(signs * weight.data, [-0.081, 0.299, -0.04], **close)
    drop = crossed(weight.data, signs)
    assert drop.tolist() == [0, 2]
    seen = set()
    for seed in range(2, 200):
        grow = activate(weight, drop, 2, np.random.default_rng(seed))
        seen.add(tuple(grow.tolist()))
    assert seen == set(itertools.combinations(DORMANT, 2))


def training_of_the_example(method, seed=11, dtype=np.float64):
    """One step on one example whose gradient by the weight is that of the table."""
    net = Network([Linear(example(dtype)[0])], loss="squared_error")
    x = np.array([SLOPE], dtype)  # dE/dw = (w x - target) x, and w x = 1.0204
    target = np.array([[1.0204 - 1]], dtype)
    streams = np.random.default_rng(seed).spawn(2)
    training = train.start(net, method, optim.sgd(RATE), *streams)
    train.step(net, tiles.pack(x), target, training)
    return net.sparse_layers[0].weight, training


@every_dtype
@pytest.mark.parametrize("seed", range(11, 21))
def test_a_step_of_training_by_hand(seed, dtype):
    weight, training = training_of_the_example(DeepR(l1=ALPHA, temperature=0), seed, dtype)
    (event,) = training.history.events
    assert event.dropped.tolist() == [0, 4]
    assert len(event.grown) == 2
    assert set(event.grown.tolist()) <= set(DORMANT)
    held = dict(zip(csr.flat(weight).tolist(), weight.data.tolist(), strict=True))
    assert held.pop(2) == pytest.approx(-0.299, abs=4 * float(np.finfo(dtype).eps))
    assert set(held) == set(event.grown.tolist())
    assert {abs(value) for value in held.values()} == {float(dtype(1e-12))}
    (signs,) = training.method_state.signs
    np.testing.assert_array_equal(signs, np.sign(weight.data))


# ---------------------------------------------------------------- which connections go


def test_zero_goes_or_stays_by_the_rule():
    # θ              .2    -.1    .3     0      0     -0
    values = np.array([0.2, 0.1, -0.3, 0.0, 0.0, -0.0])
    signs = np.array([1, -1, -1, 1, -1, 1], np.int8)
    assert crossed(values, signs).tolist() == [1, 3, 4, 5]
    assert crossed(values, signs, "negative").tolist() == [1]


@pytest.mark.parametrize("rule", ["not_positive", "negative"])
def test_what_has_no_sign_has_nothing_to_cross(rule):
    values, signs = np.array([0.2, -0.2, 0.0]), np.zeros(3, np.int8)
    assert crossed(values, signs, rule).tolist() == []


@settings(max_examples=60)
@given(st.integers(2, 2**32), st.sampled_from(["not_positive", "negative"]))
def test_what_goes_is_what_the_twin_says(seed, rule):
    rng = np.random.default_rng(seed)
    values, signs = rng.integers(-2, 3, 30).astype(float), random_signs(30, rng)
    ref = naive.deepr_dormant((signs * values).tolist(), [True] * 30, rule)
    assert crossed(values, signs, rule).tolist() == ref


# ---------------------------------------------------------------- which take their place


def test_every_choice_of_dormant_connections_is_as_likely():
    weight, _, _ = example()
    rng = np.random.default_rng(23)
    seen = Counter(tuple(activate(weight, np.array([0, 2]), 2, rng)) for _ in range(4000))
    assert len(seen) == 10
    # 400 of each expected, deviation 19
    assert all(abs(n - 400) < 5 * 19 for n in seen.values())


def test_what_just_went_may_be_excluded():
    weight, _, _ = example()
    rng = np.random.default_rng(29)
    seen = Counter(tuple(activate(weight, np.array([0, 2]), 2, rng, True)) for _ in range(600))
    assert set(seen) == set(itertools.combinations([1, 3, 5], 2))


def test_what_just_went_comes_back_where_nothing_else_is_left():
    # .  x  x      slot 1 and 2 go; only position 0 is free, and one of the two must come back
    # x  x  x
    weight = csr.from_positions((2, 3), [1, 2, 3, 4, 5], np.ones(5))
    rng = np.random.default_rng(31)
    drop = np.array([1, 2])
    seen = {tuple(activate(weight, drop, 2, rng, True).tolist()) for _ in range(100)}
    assert seen == {(0, 2), (0, 3)}
    assert activate(weight, drop, 3, rng, True).tolist() == [0, 2, 3]


@pytest.mark.parametrize("exclude", [False, True])
def test_in_a_full_layer_only_what_went_can_come(exclude):
    weight = csr.from_positions((2, 2), [0, 1, 2, 3], np.ones(4))
    rng = np.random.default_rng(37)
    assert activate(weight, np.array([1, 2]), 2, rng, exclude).tolist() == [1, 2]
    assert activate(weight, np.arange(4), 4, rng, exclude).tolist() == [0, 1, 2, 3]


def test_nothing_is_drawn_for_nothing():
    rng = np.random.default_rng(41)
    assert activate(example()[0], np.array([0]), 0, rng).tolist() == []
    assert rng.random() == np.random.default_rng(41).random()


# ---------------------------------------------------------------- how many in which layer


@settings(max_examples=60)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=5), st.integers(2, 2**32), st.floats(0, 1))
def test_all_that_is_to_be_activated_is_shared(free, seed, part):
    n = round(part * sum(free))
    for counts in (
        shared_uniformly(free, n, np.random.default_rng(seed)),
        shared_by_size([3, 0, 1, 2, 9][: len(free)], free, n, np.random.default_rng(seed)),
    ):
        assert sum(counts) == n
        assert all(0 <= c <= f for c, f in zip(counts, free, strict=True))
        assert {type(c) for c in counts} == {int}


def test_shared_uniformly_every_dormant_connection_is_as_likely():
    # 3 of 2 + 0 + 6: the first layer's count is hypergeometric, C(2,k) C(6,3-k) / C(8,3) of 56
    rng = np.random.default_rng(43)
    seen = Counter(shared_uniformly([2, 0, 6], 3, rng)[0] for _ in range(5600))
    for k, ways in enumerate([20, 30, 6]):
        expected = 100 * ways
        assert abs(seen[k] - expected) < 5 * math.sqrt(expected)


def test_shared_by_size_layers_are_drawn_by_their_shares():
    # 2 draws of shares 1 : 3, room for all: binomial, 1/16, 6/16, 9/16
    rng = np.random.default_rng(47)
    seen = Counter(shared_by_size([1, 3], [9, 9], 2, rng)[0] for _ in range(4800))
    for k, ways in enumerate([9, 6, 1]):
        expected = 300 * ways
        assert abs(seen[k] - expected) < 5 * math.sqrt(expected)


def test_what_a_layer_cannot_take_falls_to_the_others():
    rng = np.random.default_rng(53)
    for _ in range(20):
        assert shared_by_size([1, 99, 0], [9, 2, 9], 8, rng) == [6, 2, 0]
        assert shared_by_size([0, 5, 0], [9, 2, 0], 8, rng) == [6, 2, 0]  # no share, but room


# ---------------------------------------------------------------- what is added to an update


@every_dtype
def test_the_penalty_takes_the_same_off_every_theta(dtype):
    signs = np.array([1, -1, 0, 1], np.int8)
    drift = drift_layer(signs, 0.25, 0, None, dtype)
    assert drift.dtype == dtype
    assert drift.tolist() == [-0.25, 0.25, 0, -0.25]


@every_dtype
def test_the_noise_is_normal(dtype):
    signs = random_signs(20000, np.random.default_rng(59))
    noise = drift_layer(signs, 0.0, 0.5, np.random.default_rng(61), dtype)
    assert noise.dtype == dtype
    # mean and variance of 20000 draws within 4 deviations
    assert abs(noise.mean()) < 4 * 0.5 / math.sqrt(20000)
    assert abs(noise.var() - 0.25) < 4 * 0.25 * math.sqrt(2 / 20000)


def drift_of(method, rate, seed=67, dtype=np.float64):
    """What the method adds to a network with 3000 and 1000 connections, at once."""
    rng = np.random.default_rng(71)
    net = models.mlp([60, 100, 20], density=0.5, rng=rng, dtype=dtype)
    state = method.init(net, np.random.default_rng(73))
    return net, state, method.drift(net, state, rate, np.random.default_rng(seed))


def deviation(drifts):
    return np.concatenate(drifts).std()


@pytest.mark.parametrize("rate", [0.5, 0.02])
def test_the_langevin_noise_grows_with_the_root_of_rate_and_temperature(rate):
    _, _, drifts = drift_of(DeepR(l1=0, temperature=0.08), rate)
    assert deviation(drifts) == pytest.approx(math.sqrt(2 * rate * 0.08), rel=0.05)


@pytest.mark.parametrize("rate", [0.5, 0.02])
def test_the_noise_of_the_codes_grows_with_the_rate(rate):
    _, _, drifts = drift_of(DeepR(l1=0, noise="gradient", noise_std=0.3, temperature=7), rate)
    assert deviation(drifts) == pytest.approx(rate * 0.3, rel=0.05)


def test_the_default_temperature_is_the_noise_of_the_scripts_at_their_rate():
    paper, script = DeepR(), DeepR(convention="deep-rewiring")
    assert math.sqrt(2 * 0.5 * paper.temperature) == pytest.approx(0.5 * script.noise_std)


def test_layers_have_noise_of_their_own_and_every_step_another():
    _, _, (first, second) = drift_of(DeepR(l1=0), 0.5)
    _, _, (again, _) = drift_of(DeepR(l1=0), 0.5)
    _, _, (later, _) = drift_of(DeepR(l1=0), 0.5, seed=79)
    assert (first[:1000] != second[:1000]).all()
    np.testing.assert_array_equal(first, again)
    assert (first != later).all()


def test_without_noise_nothing_is_drawn():
    net, state, _ = drift_of(DeepR(**QUIET), 0.5)
    assert all(not d.any() for d in DeepR(**QUIET).drift(net, state, 0.5, Forbidden()))


class Forbidden:
    """A generator that nobody may ask."""

    def __getattr__(self, name):
        raise AssertionError(f"{name} was asked for")


# ---------------------------------------------------------------- signs


@every_dtype
def test_initial_connections_have_the_sign_of_their_weight(dtype):
    values = np.array([0.5, -0.25, 1e-30, -3], dtype)
    net = Network([Linear(csr.from_positions((2, 3), [0, 2, 3, 5], values))])
    for sign in ("redrawn", "position", "first_move"):
        state = DeepR(sign=sign, theta_start=0.0).init(net, np.random.default_rng(83))
        assert state.signs[0].tolist() == [1, -1, 1, -1]
        assert state.signs[0].dtype == np.int8


def test_an_initial_weight_of_zero_is_given_a_sign():
    net = Network([Linear(csr.from_positions((1, 400), np.arange(400), np.zeros(400)))])
    drawn = DeepR().init(net, np.random.default_rng(89)).signs[0]
    assert set(drawn.tolist()) == {-1, 1}
    assert abs(drawn.sum()) < 5 * 20
    hashed = DeepR(sign="position").init(net, np.random.default_rng(89))
    assert hashed.exceptions[0].tolist() == []
    ref = position_signs(np.arange(400), hashed.seeds[0])
    np.testing.assert_array_equal(hashed.signs[0], ref)
    unknown = DeepR(sign="first_move", theta_start=0.0).init(net, np.random.default_rng(89))
    assert not unknown.signs[0].any()


def test_signs_by_position_are_the_same_at_every_call_and_for_every_selection():
    every = position_signs(np.arange(1000), 97)
    chosen = np.sort(np.random.default_rng(101).permutation(1000)[:100])
    np.testing.assert_array_equal(position_signs(chosen, 97), every[chosen])


def test_signs_by_position_are_fair_and_unlike_each_other():
    seeds = [103, 107, 2**63 - 1, 0]
    signs = np.array([position_signs(np.arange(10000), seed) for seed in seeds], float)
    # sums, and products of neighbours, of rows and of seeds: 10000 fair signs deviate by 100
    assert np.abs(signs.sum(axis=1)).max() < 500
    for step in (1, 2, 64, 100, 784):
        assert np.abs((signs[:, step:] * signs[:, :-step]).sum(axis=1)).max() < 500
    assert np.abs(np.corrcoef(signs) - np.eye(4)).max() < 0.05


def test_the_twin_is_splitmix64():
    outputs = [naive.splitmix64(0, number) for number in (1, 2, 3)]
    assert outputs == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]  # published


@pytest.mark.parametrize("seed", [0, 269, 2**63 - 1, 2**64 - 1])
def test_signs_by_position_are_a_bit_of_the_twin(seed):
    at = np.array([0, 1, 2, 7, 1000, 2**40, 2**62])
    ref = [1 - 2 * (naive.splitmix64(seed, int(p)) >> 63) for p in at]
    assert position_signs(at, seed).tolist() == ref


def test_exceptions_have_the_other_sign():
    plain = position_signs(np.arange(50), 109)
    turned = position_signs(np.arange(50), 109, np.array([3, 20, 49]))
    assert np.flatnonzero(plain != turned).tolist() == [3, 20, 49]


def test_signs_of_numbers():
    signs = signs_of(np.array([3.0, -2.0, 0.0, -0.0]))
    assert signs.tolist() == [1, -1, 0, 0]
    assert signs.dtype == np.int8


def rewired(method, values, signs=None, shape=(3, 4), positions=(0, 1, 4, 5, 8), seed=113):
    """An event on one layer whose weights came to `values` from initial ones of other signs."""
    start = -np.asarray(values, float) if signs is None else np.asarray(signs, float)
    net = Network([Linear(csr.from_positions(shape, np.array(positions), start))])
    state = method.init(net, np.random.default_rng(seed))
    net.sparse_layers[0].weight.data[:] = values
    rewires, state = method.rewire(net, (), state, 7, np.random.default_rng(seed + 1))
    state = method.follow(state, net.restructure(rewires))
    return net.sparse_layers[0].weight, rewires[0], state


def test_signs_are_redrawn_at_activation():
    values = [1.0, -1, 1, -1, 1]
    signs = [
        sign
        for seed in range(120, 160)
        for sign in rewired(DeepR(), values, seed=seed)[2].signs[0].tolist()
    ]
    assert abs(sum(signs)) < 5 * math.sqrt(len(signs))


@pytest.mark.parametrize("seed", range(127, 137))
def test_signs_by_position_come_back(seed):
    # All positions of a full layer go and come back: as they were at first, whatever the hash.
    method = DeepR(sign="position", theta_start=0.5)
    start = [1, -1, -1, 1, 1, 1]
    at = list(range(6))
    weight, rewire, state = rewired(method, [-s for s in start], start, (2, 3), at, seed)
    assert rewire.grow.tolist() == at
    assert weight.data.tolist() == [0.5 * s for s in start]
    assert state.signs[0].tolist() == start


def test_a_sign_by_position_that_never_was_connected_is_that_of_the_hash():
    method = DeepR(sign="position", theta_start=0.5)
    _, rewire, state = rewired(method, [-1.0] * 5, seed=139)
    new = ~np.isin(rewire.grow, [0, 1, 4, 5, 8])
    assert new.any()
    ref = position_signs(rewire.grow[new], state.seeds[0])
    np.testing.assert_array_equal(np.sign(rewire.values[new]), ref)


def test_the_first_move_gives_the_sign():
    method = DeepR(sign="first_move", theta_start=0.0, dormant="negative")
    net = Network([Linear(csr.from_positions((1, 9), [0, 4, 8], np.array([0.0, 2.0, -3.0])))])
    state = method.init(net, np.random.default_rng(149))
    assert state.signs[0].tolist() == [0, 1, -1]
    data = net.sparse_layers[0].weight.data
    for values, signs in (
        ([-0.1, 1.0, -2.0], [-1, 1, -1]),  # the first takes its sign
        ([-0.2, 0.0, -1.0], [-1, 0, -1]),  # the second comes to 0 and loses its own
        ([-0.2, -0.5, -1.0], [-1, -1, -1]),  # so it may go on to the other side
    ):
        data[:] = values
        rewires, state = method.rewire(net, (), state, 3, None)
        state = method.follow(state, net.restructure(rewires))
        assert not len(rewires[0].drop)
        assert state.signs[0].tolist() == signs
    data[:] = [0.2, -0.5, -1.0]
    rewires, state = method.rewire(net, (), state, 4, np.random.default_rng(151))
    assert rewires[0].drop.tolist() == [0]
    assert rewires[0].values.tolist() == [0.0]
    state = method.follow(state, net.restructure(rewires))
    assert sorted(state.signs[0].tolist()) == [-1, -1, 0]


@every_dtype
@pytest.mark.parametrize("start", [0.0, 1e-12, 0.25])
def test_what_is_activated_starts_at_theta_start_along_its_sign(start, dtype):
    method = DeepR(theta_start=start)
    net = Network([Linear(csr.from_positions((5, 9), np.arange(20), -np.ones(20, dtype)))])
    state = method.init(net, np.random.default_rng(157))
    net.sparse_layers[0].weight.data[:] = 1
    rewires, state = method.rewire(net, (), state, 7, np.random.default_rng(163))
    values = rewires[0].values
    assert values.dtype == dtype
    assert not np.signbit(values[values == 0]).any()
    np.testing.assert_array_equal(values, state.grown[0] * dtype(start))
    assert set(state.grown[0].tolist()) == {-1, 1}


# ---------------------------------------------------------------- invariants


def short(method, seed=167, dtype=np.float64, density=0.4, epochs=6, optimizer=None, rate=0.1):
    """A short training with some crossings, its network and its history."""
    rng = np.random.default_rng(seed)
    net = models.mlp([6, 8, 5, 3], density=density, rng=rng, dtype=dtype)
    data = rng.random((30, 6)), rng.integers(0, 3, 30)
    before = net.connections
    history = fit(
        net,
        data,
        method=method,
        optimizer=optimizer or optim.sgd(rate),
        epochs=epochs,
        batch_size=7,
        rng=rng,
    )
    return net, history, before


@every_dtype
@every_convention
@pytest.mark.parametrize("density", [0.1, 0.5, 1.0])
def test_counts_stay(density, convention, dtype):
    method = DeepR(convention=convention, l1=0.3)
    net, history, before = short(method, density=density, dtype=dtype)
    assert sum(len(event.grown) for event in history.events) > 20
    if method.scope == "layer":
        assert {record.connections for record in history.epochs} == {before}
        assert all(len(event.dropped) == len(event.grown) for event in history.events)
    assert {sum(record.connections) for record in history.epochs} == {sum(before)}
    for _, events in itertools.groupby(history.events, lambda event: event.step):
        assert sum(event.connections for event in events) == sum(before)
    assert len({e.step for e in history.events}) == len(history.steps)  # the last rewires too
    assert {parameter.value.dtype for parameter in net.parameters()} == {np.dtype(dtype)}


@every_convention
@pytest.mark.parametrize("optimizer", [optim.sgd(0.1, 0.9), optim.adam(0.05)], ids=["sgd", "adam"])
def test_a_stored_weight_never_has_the_wrong_sign(convention, optimizer):
    rng = np.random.default_rng(173)
    net = models.mlp([6, 8, 3], density=0.4, rng=rng, dtype=np.float64)
    x, y = tiles.pack(rng.random((30, 6))), rng.integers(0, 3, 30)
    training = train.start(net, DeepR(convention=convention, l1=0.1), optimizer, *rng.spawn(2))
    for _ in range(40):
        train.step(net, x, y, training)
        for layer, signs in zip(net.sparse_layers, training.method_state.signs, strict=True):
            assert len(signs) == layer.weight.nnz
            assert (layer.weight.data * signs >= 0).all()
    assert sum(len(event.grown) for event in training.history.events) > 5


def test_without_noise_and_penalty_what_is_kept_follows_gradient_descent_exactly():
    rng = np.random.default_rng(179)
    net = models.mlp([6, 8, 3], density=0.5, rng=rng, dtype=np.float64)
    x, y = tiles.pack(rng.random((30, 6))), rng.integers(0, 3, 30)
    training = train.start(net, DeepR(**QUIET), optim.sgd(0.5), *rng.spawn(2))
    for _ in range(30):
        held = [(csr.flat(la.weight), la.weight.data.copy()) for la in net.sparse_layers]
        grads = net.sparse_gradients(net.gradients(x, y)[1])
        train.step(net, x, y, training)
        for layer, (at, values), grad in zip(net.sparse_layers, held, grads, strict=True):
            weight = layer.weight
            event = training.history.events[-2 if layer is net.sparse_layers[0] else -1]
            stays = ~np.isin(at, event.dropped)
            kept = ~np.isin(csr.flat(weight), event.grown)
            np.testing.assert_array_equal(weight.data[kept], (values + -0.5 * grad.weight)[stays])
    assert sum(len(event.grown) for event in training.history.events)


def test_where_nothing_crosses_nothing_changes_and_nothing_is_drawn():
    net = models.mlp([6, 8, 3], density=0.5, rng=np.random.default_rng(181))
    method = DeepR()
    state = method.init(net, np.random.default_rng(191))
    rewires, after = method.rewire(net, (), state, 5, Forbidden())
    assert all(not len(part) for rewire in rewires for part in rewire[:3])
    patterns = [layer.weight for layer in net.sparse_layers]
    followed = method.follow(after, net.restructure(rewires))
    assert all(a is b.weight for a, b in zip(patterns, net.sparse_layers, strict=True))
    for one, two in zip(followed.signs, state.signs, strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_penalty_alone_takes_rate_times_alpha_off_theta():
    # No example has an input, so no weight has a gradient; .5 is met exactly after two steps.
    net = Network([Linear(csr.from_positions((2, 3), [0, 2, 4], np.array([2.0, -1.0, 0.5])))])
    streams = np.random.default_rng(193).spawn(2)
    method = DeepR(l1=0.5, temperature=0)
    training = train.start(net, method, optim.sgd(0.5), *streams)
    for thetas in ([1.75, 0.75, 0.25], [1.5, 0.5]):
        train.step(net, tiles.pack(np.zeros((4, 3))), np.array([0, 1, 0, 1]), training)
        weight = net.sparse_layers[0].weight
        held = dict(zip(csr.flat(weight).tolist(), np.abs(weight.data).tolist(), strict=True))
        assert [held[p] for p in (0, 2, 4)[: len(thetas)]] == thetas
    assert training.history.events[-1].dropped.tolist() == [4]


def test_all_may_go_at_once():
    _, rewire, state = rewired(DeepR(), [1.0, -1, 1, -1, 1])
    assert rewire.drop.tolist() == [0, 1, 2, 3, 4]
    assert len(rewire.grow) == 5
    np.testing.assert_array_equal(np.sign(rewire.values), state.signs[0])


@pytest.mark.parametrize("exclude", [False, True])
@pytest.mark.parametrize("share", ["uniform", "initial"])
def test_a_full_network_drops_and_takes_back_the_same(share, exclude):
    method = DeepR(scope="network", share=share, exclude_just_dropped=exclude, theta_start=0.5)
    weight, rewire, _ = rewired(method, [1.0, -1, 1, -1], None, (2, 2), [0, 1, 2, 3])
    assert rewire.drop.tolist() == rewire.grow.tolist() == [0, 1, 2, 3]
    assert set(np.abs(weight.data)) == {0.5}


def two_layers():
    """5 of 20 positions and 2 of 20."""
    first = csr.from_positions((5, 4), [0, 5, 6, 12, 19], np.ones(5))
    second = csr.from_positions((4, 5), [1, 18], np.ones(2))
    return Network([Linear(first), Linear(second)])


@pytest.mark.parametrize("exclude", [False, True])
@pytest.mark.parametrize("share", ["uniform", "initial"])
def test_a_network_shares_its_activations(share, exclude):
    seen = Counter()
    for seed in range(197, 397):
        net = two_layers()
        method = DeepR(scope="network", share=share, exclude_just_dropped=exclude)
        state = method.init(net, np.random.default_rng(seed))
        net.sparse_layers[0].weight.data[:] *= -1
        rewires, _ = method.rewire(net, (), state, 7, np.random.default_rng(seed))
        assert rewires[0].drop.tolist() == [0, 1, 2, 3, 4]
        assert rewires[1].drop.tolist() == []
        assert len(rewires[0].grow) + len(rewires[1].grow) == 5
        if exclude:
            assert not set(rewires[0].grow.tolist()) & {0, 5, 6, 12, 19}
        seen[len(rewires[1].grow)] += 1
    mean = sum(n * times for n, times in seen.items()) / 200
    free = {False: 20, True: 15}[exclude]
    expected = 5 * (18 / (18 + free) if share == "uniform" else 2 / 7)
    assert mean == pytest.approx(expected, abs=5 * math.sqrt(5 / 4 / 200))


@pytest.mark.parametrize("share", ["uniform", "initial"])
@pytest.mark.parametrize(("exclude", "counts"), [(False, {0, 1}), (True, {1})])
def test_where_a_connection_went_is_a_place_for_one_to_come(exclude, counts, share):
    # The first layer is full and drops one; the second has one free position.
    seen = set()
    for seed in range(251, 291):
        first = csr.from_positions((2, 3), np.arange(6), np.ones(6))
        net = Network([Linear(first), Linear(csr.from_positions((3, 2), np.arange(5), np.ones(5)))])
        method = DeepR(scope="network", share=share, exclude_just_dropped=exclude)
        state = method.init(net, np.random.default_rng(seed))
        first.data[4] = -1
        rewires, _ = method.rewire(net, (), state, 7, np.random.default_rng(seed))
        seen.add(len(rewires[1].grow))
        assert rewires[0].grow.tolist() in ([4], [])
    assert seen == counts


def test_a_layer_keeps_its_count_where_the_network_would_not():
    net = two_layers()
    state = DeepR().init(net, np.random.default_rng(199))
    net.sparse_layers[0].weight.data[:] *= -1
    rewires, _ = DeepR().rewire(net, (), state, 7, np.random.default_rng(211))
    assert [len(rewire.grow) for rewire in rewires] == [5, 0]


def test_what_just_went_may_come_back_unless_it_is_excluded():
    again = []
    for exclude in (False, True):
        method = DeepR(exclude_just_dropped=exclude)
        sets = [
            set(rewired(method, [1.0, -1, 1, -1, 1], seed=seed)[1].grow.tolist())
            for seed in range(223, 263)
        ]
        again.append(any(grown & {0, 1, 4, 5, 8} for grown in sets))
    assert again == [True, False]


# ---------------------------------------------------------------- a dense twin, whole trainings


@every_convention
def test_a_training_is_that_of_the_dense_twin(convention):
    # The twin computes every weight and every crossing; where the library activates, and with
    # which sign, is luck, and is taken from its records.
    rng = np.random.default_rng(227)
    net = models.mlp([6, 8, 3], density=0.5, rng=rng, dtype=np.float64)
    batches = [(rng.standard_normal((12, 6)), rng.integers(0, 3, 12)) for _ in range(25)]
    method = DeepR(convention=convention, l1=0.05, temperature=0.0, noise_std=0.0)
    training = train.start(net, method, optim.sgd(0.2), *rng.spawn(2))
    thetas = [np.abs(csr.to_dense(la.weight)) for la in net.sparse_layers]
    signs = [np.sign(csr.to_dense(la.weight)) for la in net.sparse_layers]
    active = [csr.pattern(la.weight) for la in net.sparse_layers]
    biases = [la.bias.copy() for la in net.sparse_layers]
    for x, y in batches:
        weights = [s * t * on for s, t, on in zip(signs, thetas, active, strict=True)]
        _, by_weight, by_bias = naive.backpropagation(weights, biases, x, y)
        train.step(net, tiles.pack(x), y, training)
        for k, layer in enumerate(net.sparse_layers):
            biases[k] = biases[k] - 0.2 * by_bias[k]
            unsigned = active[k] & (signs[k] == 0)  # a first move: the weight itself moves
            free = -0.2 * by_weight[k][unsigned]
            flat = (thetas[k].ravel(), signs[k].ravel(), active[k].ravel(), by_weight[k].ravel())
            moved = naive.deepr_step(*(a.tolist() for a in flat), 0.2, 0.05)
            thetas[k] = np.array(moved).reshape(thetas[k].shape)
            signs[k][unsigned], thetas[k][unsigned] = np.sign(free), np.abs(free)
            gone = naive.deepr_dormant(thetas[k].ravel(), active[k].ravel(), method.dormant)
            event = training.history.events[k - 2]
            assert event.dropped.tolist() == gone
            active[k].flat[gone] = False
            active[k].flat[event.grown] = True
            thetas[k].flat[event.grown] = method.theta_start
            drawn = training.method_state.signs[k][np.isin(csr.flat(layer.weight), event.grown)]
            signs[k].flat[event.grown] = drawn
            np.testing.assert_array_equal(csr.pattern(layer.weight), active[k])
            ref = signs[k] * thetas[k] * active[k]
            np.testing.assert_allclose(csr.to_dense(layer.weight), ref, rtol=0, atol=1e-12)
    assert sum(len(event.grown) for event in training.history.events) > 20


def everything(net):
    """Structure and parameters, as bytes."""
    parts = [array for la in net.sparse_layers for array in (la.weight.indptr, la.weight.indices)]
    return [part.tobytes() for part in (*parts, *(p.value for p in net.parameters()))]


@pytest.fixture
def threads():
    """Set the number of threads; put back afterwards."""
    before = numba.get_num_threads()
    yield numba.set_num_threads
    numba.set_num_threads(before)


@every_dtype
@every_convention
def test_the_same_bytes_for_one_thread_and_two(convention, dtype, threads):
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("one thread only")
    runs = []
    for n in (1, 2, 2):
        threads(n)
        net, history, _ = short(DeepR(convention=convention, l1=0.1), dtype=dtype, epochs=3)
        runs.append((everything(net), [event.grown.tolist() for event in history.events]))
    assert runs[0] == runs[1] == runs[2]


@every_convention
def test_a_training_learns(convention):
    rng = np.random.default_rng(229)
    x = rng.random((200, 8))
    y = (x[:, 0] + x[:, 1] > 1).astype(int)
    net = models.mlp([8, 20, 2], density=0.4, rng=rng)
    history = fit(
        net,
        (x, y),
        method=DeepR(convention=convention, l1=1e-3),
        optimizer=optim.sgd(0.3),
        epochs=40,
        batch_size=20,
        rng=rng,
    )
    assert history.epochs[-1].loss < 0.4 * history.epochs[0].loss


def test_an_activated_connection_starts_with_empty_buffers():
    rng = np.random.default_rng(233)
    net = models.mlp([6, 8, 3], density=0.4, rng=rng, dtype=np.float64)
    x, y = tiles.pack(rng.random((30, 6))), rng.integers(0, 3, 30)
    training = train.start(net, DeepR(l1=0.2), optim.sgd(0.2, 0.9), *rng.spawn(2))
    activated = 0
    for _ in range(20):
        train.step(net, x, y, training)
        for k, layer in enumerate(net.sparse_layers):
            event = training.history.events[k - 2]
            grown = np.isin(csr.flat(layer.weight), event.grown)
            (momentum,) = training.optimizer_state.buffers[2 * k]
            assert not momentum[grown].any()
            assert momentum[~grown].any()
            activated += int(grown.sum())
    assert activated > 5


def test_momentum_does_not_carry_the_penalty():
    # As above, no gradient: with momentum too each step takes rate * alpha off, and no more.
    net = Network([Linear(csr.from_positions((2, 3), [0, 2], np.array([2.0, -1.0])))])
    streams = np.random.default_rng(239).spawn(2)
    method = DeepR(l1=0.25, temperature=0)
    training = train.start(net, method, optim.sgd(0.5, 0.9), *streams)
    for _ in range(3):
        train.step(net, tiles.pack(np.zeros((4, 3))), np.array([0, 1, 0, 1]), training)
    assert net.sparse_layers[0].weight.data.tolist() == [1.625, -0.625]


# ---------------------------------------------------------------- options


@pytest.mark.parametrize(("every", "steps"), [(1, [1, 2, 3, 4, 5, 6]), (3, [3, 6]), (7, [])])
def test_events_are_due_at_multiples_of_every(every, steps):
    assert [step for step in range(1, 7) if DeepR(every=every).due(step)] == steps


def test_between_events_what_crossed_stays_and_trains():
    net, history, _ = short(DeepR(l1=0.3, every=5), epochs=2)
    assert {event.step for event in history.events} == {5, 10}
    assert any(len(event.grown) for event in history.events)
    assert len(history.steps) == 10
    net, _, _ = short(DeepR(l1=0.3, every=11), epochs=2)
    crossings = 0
    start = models.mlp([6, 8, 5, 3], density=0.4, rng=np.random.default_rng(167), dtype=np.float64)
    for layer, before in zip(net.sparse_layers, start.sparse_layers, strict=True):
        np.testing.assert_array_equal(layer.weight.indices, before.weight.indices)
        crossings += int((layer.weight.data * before.weight.data < 0).sum())
    assert crossings


BUNDLES = {  # what each convention changes
    "paper": {},
    "algorithm-1": {
        "scope": "network",
        "dormant": "negative",
        "theta_start": 0.0,
        "sign": "position",
    },
    "deep-rewiring": {"noise": "gradient", "sign": "position"},
    "deep-rewiring-global": {
        "noise": "gradient",
        "sign": "position",
        "scope": "network",
        "share": "initial",
    },
    "deep-rewiring-sparse": {"noise": "gradient", "theta_start": 0.0},
    "intel-dsr": {
        "dormant": "negative",
        "theta_start": 0.0,
        "sign": "first_move",
        "noise": "gradient",
        "noise_std": math.sqrt(2e-8),
        "exclude_just_dropped": True,
    },
}


@pytest.mark.parametrize("convention", BUNDLES)
def test_a_convention_is_its_options(convention):
    assert set(BUNDLES) == set(DeepR.conventions)
    assert DeepR(convention=convention) == DeepR(**BUNDLES[convention])


def test_an_option_overrules_its_convention():
    method = DeepR(convention="deep-rewiring-global", share="uniform")
    assert (method.scope, method.share) == ("network", "uniform")


@pytest.mark.parametrize(
    ("options", "conserves", "starts"),
    [
        ({}, "layer", None),
        ({"scope": "network"}, "network", None),
        ({"theta_start": 0.0}, "layer", 0.0),
        ({"convention": "intel-dsr"}, "layer", 0.0),
    ],
)
def test_what_it_promises_follows_from_the_options(options, conserves, starts):
    method = DeepR(**options)
    assert (method.scope, method.conserves, method.starts) == (conserves, conserves, starts)


def test_it_has_no_dense_state_and_rewires_to_the_end():
    assert (DeepR().dense_state, DeepR.rests_at_end, DeepR.drifts) == (False, False, True)
    assert DeepR().replaces_update is False


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"l1": -1e-9}, "l1 must be at least 0 and finite, got -1e-09"),
        ({"temperature": float("nan")}, "temperature must be at least 0 and finite, got nan"),
        ({"theta_start": float("inf")}, "theta_start must be at least 0 and finite, got inf"),
        ({"noise_std": -1}, "noise_std must be at least 0 and finite, got -1"),
        ({"every": 0}, "every must be a positive whole number of steps, got 0"),
        ({"every": 1.5}, "every must be a positive whole number of steps, got 1.5"),
        ({"scope": "unit"}, r"scope must be one of \['layer', 'network'\], got 'unit'"),
        ({"share": "erk"}, r"share must be one of \['uniform', 'initial'\], got 'erk'"),
        (
            {"dormant": "small"},
            r"dormant must be one of \['not_positive', 'negative'\], got 'small'",
        ),
        (
            {"sign": "fixed"},
            r"sign must be one of \['redrawn', 'position', 'first_move'\], got 'fixed'",
        ),
        ({"noise": "normal"}, r"noise must be one of \['langevin', 'gradient'\], got 'normal'"),
        (
            {"sign": "first_move"},
            "theta_start must be 0 where sign is 'first_move', got 1e-12",
        ),
        (
            {"convention": "soft"},
            r"convention must be one of \['paper', 'algorithm-1', 'deep-rewiring', "
            r"'deep-rewiring-global', 'deep-rewiring-sparse', 'intel-dsr'\], got 'soft'",
        ),
    ],
)
def test_a_wrong_option_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=f"^DeepR: {message}$"):
        DeepR(**options)


@pytest.mark.parametrize("name", ["l1", "temperature", "theta_start", "noise_std"])
def test_a_number_of_another_kind_is_refused(name):
    with pytest.raises(TypeError, match=f"^DeepR: {name} must be a number, got "):
        DeepR(**{name: "a little"})


def test_a_layer_without_connections_stays_so():
    empty = csr.from_positions((4, 3), [], np.zeros(0))
    net = Network([Linear(empty), ReLU(), Linear(csr.from_positions((3, 4), [5], np.ones(1)))])
    rng = np.random.default_rng(241)
    data = rng.random((9, 3)), rng.integers(0, 3, 9)
    fit(net, data, method=DeepR(l1=0.5), optimizer=optim.sgd(0.5), epochs=5, batch_size=3, rng=rng)
    assert net.connections == (0, 1)


def test_what_just_went_comes_back_only_where_nothing_else_is_left_in_the_network():
    # A has 10 free of 14, B is full; 11 cross in B: all 10 of A are activated, and one of B again.
    first = csr.from_positions((1, 14), np.arange(4), np.ones(4))
    second = csr.from_positions((1, 20), np.arange(20), np.ones(20))
    method = DeepR(scope="network", exclude_just_dropped=True)
    net = Unchained([Linear(first), Linear(second)])
    state = method.init(net, np.random.default_rng(83))
    net.sparse_layers[1].weight.data[:11] = -1
    (one, two), _ = method.rewire(net, (), state, 1, np.random.default_rng(89))
    assert one.grow.tolist() == list(range(4, 14))
    assert len(two.drop) == 11
    assert len(two.grow) == 1
    assert two.grow[0] < 11


class Unchained:
    """What a method sees of a network, for layers whose units do not chain."""

    def __init__(self, layers):
        self.sparse_layers, self.dtype = tuple(layers), layers[0].weight.dtype
