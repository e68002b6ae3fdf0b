"""Top-KAST against an example worked by hand, a dense twin, and its formulas."""

import itertools

import naive
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_ref import Linear, Network, ReLU, csr, evaluate, fit, models, optim, tiles, train
from sparse_ref.methods import TopKAST
from sparse_ref.methods.topkast import (
    PENALTIES,
    forward_count,
    penalty,
    penalty_gradient,
    refresh,
    sets,
)
from sparse_ref.shadow import spread

DTYPES = [np.float32, np.float64]
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_form = pytest.mark.parametrize("form", PENALTIES)

# ---------------------------------------------------------------- worked by hand
#
# position   0     1     2     3     4     5     6     7      D = M = .25, of 8: |A| = 2, |B| = 4
# θ         .5   -.4    .3   -.2    .1   .05   -.6   .01      A = 0 6, B = 0 1 2 6
# g         .1    .2    .3    .4    .5    .6    .7    .8      rate .5, no penalty
# θ after  .45   -.5   .15   -.2    .1   .05  -.95   .01      only B moves; next A = 1 6
#
# penalty of θ, λ = 1:  A .5 + .6 = 1.1, the rest of B .4 + .3 = .7, over D = .25: 1.1 + 2.8 = 3.9

THETA = np.array([0.5, -0.4, 0.3, -0.2, 0.1, 0.05, -0.6, 0.01])
GRAD = np.arange(1, 9) / 10
A, B, OUTSIDE_A = [0, 6], [0, 1, 2, 6], [1, 2]  # slots of B outside A
AFTER = [0.45, -0.5, 0.15, -0.2, 0.1, 0.05, -0.95, 0.01]
RATE = 0.5


def test_the_twin_makes_the_example():
    assert naive.topkast_sets(THETA, 2, 4) == (A, B)
    assert naive.topkast_penalty(THETA, A, B, 0.25) == pytest.approx(3.9, abs=1e-15)


@every_dtype
@pytest.mark.parametrize("shape", [(8,), (2, 4), (8, 1)])
def test_the_sets_by_hand(shape, dtype):
    forward, backward = sets(THETA.astype(dtype).reshape(shape), D=0.25, M=0.25)
    assert forward.tolist() == A
    assert backward.tolist() == B
    forward, backward = sets(np.array(AFTER, dtype), D=0.25, M=0.25)
    assert forward.tolist() == [1, 6]
    assert backward.tolist() == [0, 1, 3, 6]


@every_dtype
def test_the_penalty_by_hand(dtype):
    value = penalty(THETA[B].astype(dtype), np.array(OUTSIDE_A), 0.25)
    assert value == pytest.approx(3.9, abs=8 * float(np.finfo(dtype).eps))


@every_dtype
def test_a_step_and_a_refresh_by_hand(dtype):
    weight = csr.from_positions((2, 4), B, THETA[B].astype(dtype))
    theta = THETA.astype(dtype)
    weight.data -= dtype(RATE) * GRAD[B].astype(dtype)
    rewire, after, outside = refresh(weight, theta, 2, 4)
    close = {"rtol": 0, "atol": float(np.finfo(dtype).eps)}
    np.testing.assert_allclose(after, AFTER, **close)
    assert rewire.drop.tolist() == [2]  # position 2, whose .15 is less than .2
    assert rewire.grow.tolist() == [3]
    assert rewire.values.tolist() == [float(dtype(-0.2))]
    new, _ = csr.apply(weight, rewire)
    assert csr.flat(new).tolist() == [0, 1, 3, 6]
    assert outside.tolist() == [0, 2]  # slots: B is 0 1 3 6, A is 1 6
    np.testing.assert_array_equal(theta, THETA.astype(dtype))  # what came in is as it was


def training_of_the_example(method, dtype=np.float64):
    """One layer of one output, the example's B; and inputs that make the example's gradient."""
    net = Network([Linear(csr.from_positions((1, 8), B, THETA[B].astype(dtype)))], "squared_error")
    training = train.start(net, method, optim.sgd(RATE), *np.random.default_rng(11).spawn(2))
    theta = (THETA.astype(dtype),)
    training.method_state = training.method_state._replace(theta=theta)
    # dE/dw = (y - target) x, where y = .5 * .1 + -.6 * .7 = -.37, of A alone
    x, target = tiles.pack(GRAD[None].astype(dtype)), np.array([[-0.37 - 1]], dtype)
    return net, training, x, target


@every_dtype
def test_a_step_of_training_by_hand(dtype):
    net, training, x, target = training_of_the_example(TopKAST(penalty_weight=0), dtype)
    (layer,) = net.sparse_layers
    assert layer.left_out.tolist() == OUTSIDE_A
    loss = train.step(net, x, target, training)
    assert loss == pytest.approx(0.5, rel=1e-5)
    (event,) = training.history.events
    assert (event.dropped.tolist(), event.grown.tolist()) == ([2], [3])
    (theta,) = training.method_state.theta
    np.testing.assert_allclose(theta, AFTER, rtol=0, atol=4 * float(np.finfo(dtype).eps))
    np.testing.assert_array_equal(layer.weight.data, theta[[0, 1, 3, 6]])
    assert layer.left_out.tolist() == [0, 2]
    # and now the outputs are those of A = 1 6 alone
    y = net.predict(GRAD[None])
    ref = -0.5 * 0.2 - 0.95 * 0.7 + layer.bias[0]
    assert y[0, 0] == pytest.approx(ref, abs=8 * float(np.finfo(dtype).eps))


# ---------------------------------------------------------------- sets


@st.composite
def layers(draw):
    """θ of every position, few different numbers so that ties abound, and two counts."""
    n_out, n_in = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(2, 2**32)))
    levels = draw(st.integers(1, 6))
    theta = rng.integers(-levels + 1, levels, n_out * n_in)
    n_backward = draw(st.integers(0, theta.size))
    dtype = draw(st.sampled_from(DTYPES))
    before = np.sort(rng.permutation(theta.size)[:n_backward])
    return (n_out, n_in), theta.astype(dtype), before, draw(st.integers(0, n_backward))


@settings(max_examples=150)
@given(layers(), st.integers(2, 2**32))
def test_a_refresh_is_that_of_a_sort_of_everything(layer, seed):
    shape, theta, before, n_forward = layer
    moved = np.random.default_rng(seed).integers(-3, 4, len(before)).astype(theta.dtype)
    ref_theta = theta.copy()
    ref_theta[before] = moved
    forward, backward = naive.topkast_sets(ref_theta.tolist(), n_forward, len(before))
    weight = csr.from_positions(shape, before, moved)
    rewire, after, outside = refresh(weight, theta, n_forward, len(before))
    np.testing.assert_array_equal(after, ref_theta)
    new, _ = csr.apply(weight, rewire)
    assert csr.flat(new).tolist() == backward
    np.testing.assert_array_equal(new.data, ref_theta[backward])
    assert [p for k, p in enumerate(backward) if k not in outside.tolist()] == forward
    assert not set(rewire.grow.tolist()) & set(before.tolist())  # survivors are in neither list
    assert rewire.values.dtype == theta.dtype


@settings(max_examples=100)
@given(layers(), st.floats(0, 1.2), st.floats(0, 1.2))
def test_sets_are_those_of_a_sort_of_everything(layer, D, M):
    theta = layer[1]
    n = theta.size
    n_forward, n_backward = min(n, round(D * n)), min(n, round((D + M) * n))
    ref = naive.topkast_sets(theta.tolist(), n_forward, n_backward)
    forward, backward = sets(theta, D, M)
    assert (forward.tolist(), backward.tolist()) == ref
    assert set(forward.tolist()) <= set(backward.tolist())


@pytest.mark.parametrize(
    ("D", "M", "counts"),
    [
        (0.0625, 0, (0, 0)),
        (0.1875, 0, (2, 2)),
        (0.3, 0.3, (2, 5)),
        (0.5, 9, (4, 8)),
        (0, 0, (0, 0)),
    ],
)
def test_counts_are_rounded_with_halves_to_even_and_end_at_all(D, M, counts):
    # of 8: .5 -> 0, 1.5 -> 2, 2.4 -> 2 and 4.8 -> 5
    assert tuple(map(len, sets(THETA, D, M))) == counts


def test_of_equal_magnitudes_the_lower_positions_are_in():
    forward, backward = sets(np.array([0.1, -0.2, 0.2, 0.2, -0.1, 0.1]), D=2 / 6, M=2 / 6)
    assert forward.tolist() == [1, 2]
    assert backward.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("share", "n", "forward"),
    [(0.5, 0, 0), (0.5, 1, 1), (0.01, 7, 1), (0.5, 3, 2), (0.5, 5, 2), (0.3, 10, 3), (1, 9, 9)],
)
def test_the_forward_count_is_a_share_and_at_least_one(share, n, forward):
    assert forward_count(share, n) == forward


# ---------------------------------------------------------------- penalty


@st.composite
def penalised(draw):
    """Values of B, the slots outside A, and D."""
    rng = np.random.default_rng(draw(st.integers(2, 2**32)))
    n = draw(st.integers(0, 12))
    values = rng.integers(-3, 4, n) / 4
    outside = np.sort(rng.permutation(n)[: draw(st.integers(0, n))])
    return values, outside, draw(st.sampled_from([0.1, 0.25, 1.0]))


@every_form
@settings(max_examples=80)
@given(case=penalised())
def test_the_penalty_is_that_of_the_twin(form, case):
    values, outside, density = case
    inside = [k for k in range(len(values)) if k not in outside.tolist()]
    ref = naive.topkast_penalty(values.tolist(), inside, range(len(values)), density, form)
    assert penalty(values, outside, density, form) == pytest.approx(ref, rel=1e-13, abs=1e-15)


@every_form
def test_the_gradient_is_the_slope_of_the_penalty(form):
    rng = np.random.default_rng(13)
    values, outside = rng.standard_normal(9), np.array([0, 3, 4, 8])
    gradient = penalty_gradient(values, outside, 0.25, form)
    for k in range(9):
        along = np.eye(9)[k]
        ref = naive.slope(lambda v: penalty(v, outside, 0.25, form), values, along)
        # truncation 1e-12 and rounding 1e-16 * 20 over the step 1e-6
        assert gradient[k] == pytest.approx(ref, abs=1e-7)


@every_dtype
@every_form
def test_the_gradient_keeps_the_dtype_and_the_values(form, dtype):
    values = np.array([0.5, -0.25, 0.0, 2.0], dtype)
    gradient = penalty_gradient(values, np.array([1, 2]), 0.3, form)
    assert gradient.dtype == dtype
    assert values.tolist() == [0.5, -0.25, 0.0, 2.0]


def test_outside_a_the_l1_gradient_is_larger_by_1_over_d():
    values = np.array([0.5, -0.25, 0.0, 2.0, -1.0])
    gradient = penalty_gradient(values, np.array([1, 2, 3]), 0.25)
    assert gradient.tolist() == [1, -4, 0, 4, -1]


@every_form
def test_where_everything_is_zero_the_gradient_is(form):
    gradient = penalty_gradient(np.zeros(5), np.array([1, 3]), 0.25, form)
    assert gradient.tolist() == [0] * 5


@every_form
def test_nothing_has_no_penalty(form):
    none = np.empty(0, int)
    assert penalty(np.empty(0), none, 0.0, form) == 0
    assert penalty_gradient(np.empty(0), none, 0.0, form).tolist() == []


@every_dtype
@every_form
def test_the_drift_is_minus_rate_lambda_gradient(form, dtype):
    net, training, _, _ = training_of_the_example(TopKAST(penalty=form, penalty_weight=0.5), dtype)
    (drift,) = training.method.drift(net, training.method_state, 0.25, None)
    values = THETA[B].astype(dtype)
    ref = dtype(-0.125) * penalty_gradient(values, np.array(OUTSIDE_A), 0.25, form)
    assert drift.dtype == dtype
    np.testing.assert_array_equal(drift, ref)


def test_without_gradient_only_the_penalty_moves():
    net, training, x, target = training_of_the_example(TopKAST(penalty_weight=0.25))
    train.step(net, 0 * x, 0 * target, training)  # the first step has a bias of 0, hence no error
    (theta,) = training.method_state.theta
    # .5 * .25 = .125 off each of A, .5 off each of the rest, past zero as it comes
    ref = [0.375, 0.1, -0.2, *THETA[3:6], -0.475, 0.01]
    np.testing.assert_allclose(theta, ref, rtol=0, atol=1e-15)


# ---------------------------------------------------------------- the beginning


@every_dtype
def test_theta_begins_as_the_weights_and_elsewhere_as_draws_from_them(dtype):
    rng = np.random.default_rng(17)
    values = rng.standard_normal(40).astype(dtype)
    weight = csr.from_positions((20, 30), np.sort(rng.permutation(600)[:40]), values)
    theta = spread(weight, np.random.default_rng(19)).reshape(-1)
    assert theta.dtype == dtype
    np.testing.assert_array_equal(theta[csr.flat(weight)], values)
    elsewhere = np.delete(theta, csr.flat(weight))
    assert set(elsewhere.tolist()) == set(values.tolist())  # 560 draws of 40: all come up
    assert len(set(elsewhere[:20].tolist())) > 10


def test_a_layer_without_connections_begins_at_zero():
    none = csr.from_positions((2, 3), [], np.zeros(0, np.float32))
    theta = spread(none, np.random.default_rng(19)).reshape(-1)
    assert theta.tolist() == [0] * 6
    assert theta.dtype == np.float32


def network(seed=23, dtype=np.float64, density=0.5, sizes=(6, 8, 3)):
    rng = np.random.default_rng(seed)
    net = models.mlp(sizes, density=density, rng=rng, dtype=dtype)
    return net, (rng.standard_normal((30, sizes[0])), rng.integers(0, sizes[-1], 30)), rng


def test_the_forward_set_begins_as_the_largest_connections():
    net, _, _ = network()
    state = TopKAST(forward_share=0.25).init(net, np.random.default_rng(29))
    for layer, outside, counts in zip(net.sparse_layers, state.backward, state.counts, strict=True):
        n = layer.weight.nnz
        assert counts == (round(0.25 * n), n)
        forward, _ = naive.topkast_sets(layer.weight.data, counts[0], n)
        assert [k for k in range(n) if k not in outside] == forward


def test_layers_begin_with_draws_of_their_own():
    weight = csr.from_positions((4, 4), [0, 3, 5, 9], np.arange(1.0, 5.0))
    net = Network([Linear(weight), Linear(weight)])
    first, second = TopKAST().init(net, np.random.default_rng(31)).theta
    assert first.tolist() != second.tolist()


# ---------------------------------------------------------------- invariants, whole trainings


def short(method, seed=37, dtype=np.float64, density=0.4, epochs=6, optimizer=None):
    """A short training of 30 steps, its network, its history and its counts before."""
    net, (x, y), rng = network(seed, dtype, density, (6, 8, 5, 3))
    before = net.connections
    history = fit(
        net,
        (x, y),
        method=method,
        optimizer=optimizer or optim.sgd(0.2),
        epochs=epochs,
        batch_size=7,
        rng=rng,
    )
    return net, history, before


VARIANTS = [
    {},
    {"forward_share": 0.2, "refresh_every": 4},
    {"penalty": "l2_squared", "penalty_weight": 0.05},
    {"penalty": "l2_norm", "penalty_weight": 0.05},
    {"forward_share": 1.0},
    {"explore_until": 12, "refresh_every": 3},
]
every_variant = pytest.mark.parametrize("options", VARIANTS, ids=str)


@every_dtype
@every_variant
@pytest.mark.parametrize("density", [0.1, 0.5, 1.0])
def test_counts_stay(density, options, dtype):
    net, history, before = short(TopKAST(**options), density=density, dtype=dtype)
    share = options.get("forward_share", 0.5)
    forward = tuple(forward_count(share, n) for n in before)
    last = forward if "explore_until" in options else before
    assert net.connections == last
    left = tuple(len(layer.left_out) for layer in net.sparse_layers)
    assert left == tuple(n - f for n, f in zip(last, forward, strict=True))
    if "explore_until" not in options:
        assert {event.connections for event in history.events if event.layer == 0} == {before[0]}
    if density < 1:
        assert sum(len(event.grown) for event in history.events)
    assert {parameter.value.dtype for parameter in net.parameters()} == {np.dtype(dtype)}
    assert all(csr.check(layer.weight).has_canonical_format for layer in net.sparse_layers)


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_a_training_is_that_of_the_dense_twin(options):
    # The twin holds every θ, sorts it, and trains a dense network whose weights are masked.
    net, _, rng = network()
    batches = [(rng.standard_normal((12, 6)), rng.integers(0, 3, 12)) for _ in range(20)]
    method = TopKAST(**{"penalty_weight": 0.02, **options})
    training = train.start(net, method, optim.sgd(0.3), *rng.spawn(2))
    state = training.method_state
    thetas = [theta.copy() for theta in state.theta]
    shapes = [layer.weight.shape for layer in net.sparse_layers]
    biases = [layer.bias.copy() for layer in net.sparse_layers]
    counts = [
        (forward_count(method.forward_share, la.weight.nnz), la.weight.nnz)
        for la in net.sparse_layers
    ]
    backward = [csr.flat(layer.weight).tolist() for layer in net.sparse_layers]
    forward = [
        [at[k] for k in naive.topkast_sets(theta[at].tolist(), n_forward, 0)[0]]
        for theta, at, (n_forward, _) in zip(thetas, backward, counts, strict=True)
    ]
    for step, (x, y) in enumerate(batches, start=1):
        masked = []
        for theta, at, shape in zip(thetas, forward, shapes, strict=True):
            weight = np.zeros(theta.size)
            weight[at] = theta[at]
            masked.append(weight.reshape(shape))
        loss, by_weight, by_bias = naive.backpropagation(masked, biases, x, y)
        comp = train.step(net, tiles.pack(x), y, training)
        assert comp == pytest.approx(loss, rel=1e-9)
        for k, layer in enumerate(net.sparse_layers):
            biases[k] = biases[k] - 0.3 * by_bias[k]
            moved = thetas[k].copy()
            density = len(forward[k]) / thetas[k].size
            for p in backward[k]:
                slope = by_weight[k].flat[p] + 0.02 * options_slope(
                    options, method, thetas[k], p, forward[k], backward[k], density
                )
                moved[p] = thetas[k][p] - 0.3 * slope
            thetas[k] = moved
            if (step - 1) % method.refresh_every == 0:
                n_forward, n_backward = counts[k]
                if method.explore_until is not None and step >= method.explore_until:
                    n_backward = n_forward
                forward[k], backward[k] = naive.topkast_sets(moved.tolist(), n_forward, n_backward)
            assert csr.flat(layer.weight).tolist() == backward[k]
            kept = np.delete(csr.flat(layer.weight), layer.left_out).tolist()
            assert kept == forward[k]
            np.testing.assert_allclose(layer.weight.data, moved[backward[k]], rtol=0, atol=1e-11)
    assert sum(len(event.grown) for event in training.history.events) > 3


def options_slope(options, method, theta, p, forward, backward, density):
    """The penalty's derivative by one θ, λ = 1 or as the options have it over .02."""
    scale = method.penalty_weight / 0.02
    part = [q for q in backward if (q in forward) == (p in forward)]
    over = 1 if p in forward else density
    value = {
        "l1": np.sign(theta[p]),
        "l2_squared": 2 * theta[p],
        "l2_norm": theta[p] / np.sqrt(sum(theta[q] ** 2 for q in part)),
    }[method.penalty]
    return scale * value / over


def test_weights_outside_b_rest_and_come_back_as_they_were():
    net, (x, y), rng = network()
    method = TopKAST(refresh_every=3, penalty_weight=0.05)
    training = train.start(net, method, optim.sgd(0.3, 0.9), *rng.spawn(2))
    came_back = 0
    gone = [{} for _ in net.sparse_layers]
    for step in range(1, 41):
        before = [
            (set(csr.flat(la.weight).tolist()), th)
            for la, th in zip(net.sparse_layers, training.method_state.theta, strict=True)
        ]
        train.step(net, tiles.pack(x), y, training)
        for k, (layer, theta) in enumerate(
            zip(net.sparse_layers, training.method_state.theta, strict=True)
        ):
            b, old = before[k]
            outside = np.setdiff1d(np.arange(theta.size), sorted(b))
            np.testing.assert_array_equal(theta[outside], old[outside])
            event = training.history.events[k - 2] if (step - 1) % 3 == 0 else None
            if event is None:
                assert theta is old
                continue
            held = dict(zip(csr.flat(layer.weight).tolist(), layer.weight.data, strict=True))
            for p in event.grown.tolist():
                assert held[p] == old[p]
                if p in gone[k]:
                    assert held[p] == gone[k].pop(p)
                    came_back += 1
            gone[k].update({p: theta[p] for p in event.dropped.tolist()})
    assert came_back


def test_what_enters_has_no_momentum_and_survivors_keep_theirs():
    net, (x, y), rng = network()
    training = train.start(net, TopKAST(penalty_weight=0.05), optim.sgd(0.3, 0.9), *rng.spawn(2))
    entered = 0
    for _ in range(12):
        train.step(net, tiles.pack(x), y, training)
        for k, layer in enumerate(net.sparse_layers):
            grown = np.isin(csr.flat(layer.weight), training.history.events[k - 2].grown)
            (momentum,) = training.optimizer_state.buffers[2 * k]
            assert not momentum[grown].any()
            assert momentum[~grown].any()
            entered += int(grown.sum())
    assert entered


@every_variant
def test_outputs_depend_on_the_forward_set_only(options):
    net, _, _ = short(TopKAST(**options))
    _, (x, y), _ = network(seed=41, sizes=(6, 8, 5, 3))
    ref = net.predict(x), evaluate(net, (x, y))
    for layer in net.sparse_layers:
        layer.weight.data[layer.left_out] = 1e6
    np.testing.assert_array_equal(net.predict(x), ref[0])
    assert evaluate(net, (x, y)) == ref[1]


def test_with_one_set_and_no_penalty_what_is_chosen_stays_while_it_is_largest():
    # M = 0 and a tiny rate: after the first refresh no weight of A falls below one outside.
    net, (x, y), rng = network()
    method = TopKAST(forward_share=1.0, penalty_weight=0.0)
    training = train.start(net, method, optim.sgd(1e-9), *rng.spawn(2))
    theta = tuple(rng.standard_normal(len(t)) / 3 for t in training.method_state.theta)  # no ties
    training.method_state = training.method_state._replace(theta=theta)
    for _ in range(10):
        train.step(net, tiles.pack(x), y, training)
    changed = [event.step for event in training.history.events if len(event.grown)]
    assert set(changed) == {1}


def test_a_full_layer_is_all_of_b():
    net, history, before = short(TopKAST(), density=1.0)
    assert net.connections == before == (48, 40, 15)
    assert not any(len(event.grown) for event in history.events)
    assert [len(layer.left_out) for layer in net.sparse_layers] == [24, 20, 7]


def test_the_end_of_exploration_leaves_only_a():
    method = TopKAST(explore_until=7, refresh_every=4)
    net, history, before = short(method, epochs=3)
    forward = tuple(forward_count(0.5, n) for n in before)
    by_step = {
        step: tuple(event.connections for event in events)
        for step, events in itertools.groupby(history.events, lambda event: event.step)
    }
    assert by_step == {1: before, 5: before, 9: forward, 13: forward}
    assert net.connections == forward
    assert all(not len(layer.left_out) for layer in net.sparse_layers)


@every_dtype
def test_the_number_of_threads_changes_no_bit(dtype):
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("one thread only")
    before, runs = numba.get_num_threads(), []
    try:
        for n in (1, 2, 2):
            numba.set_num_threads(n)
            method = TopKAST(penalty="l2_norm", penalty_weight=0.01, refresh_every=2)
            net, history, _ = short(method, dtype=dtype, epochs=3)
            parts = [a for la in net.sparse_layers for a in (la.weight.indices, la.weight.indptr)]
            parts += [parameter.value for parameter in net.parameters()]
            runs.append(([part.tobytes() for part in parts], [s.loss for s in history.steps]))
    finally:
        numba.set_num_threads(before)
    assert runs[0] == runs[1] == runs[2]


@every_variant
def test_a_training_learns(options):
    rng = np.random.default_rng(43)
    x = rng.random((200, 8))
    y = (x[:, 0] + x[:, 1] > 1).astype(int)
    net = models.mlp([8, 20, 2], density=0.4, rng=rng)
    options = {"epochs": 40, "batch_size": 20, "rng": rng, "optimizer": optim.sgd(0.3)} | {
        "method": TopKAST(**{**options, "penalty_weight": 1e-4})
    }
    history = fit(net, (x, y), **options)
    assert history.epochs[-1].loss < 0.8 * history.epochs[0].loss


def test_layers_kept_dense_are_left_alone():
    rng = np.random.default_rng(47)
    net = models.mlp([6, 8, 5, 3], density=0.4, dense=[0, -1], rng=rng)
    data = rng.random((30, 6)), rng.integers(0, 3, 30)
    history = fit(
        net,
        data,
        method=TopKAST(),
        optimizer=optim.sgd(0.1),
        epochs=2,
        batch_size=10,
        rng=rng,
    )
    assert {event.layer for event in history.events} == {0}
    assert net.connections[0] == 48


def test_layers_without_connections_or_with_one():
    empty, one = csr.from_positions((4, 3), [], np.zeros(0)), csr.from_positions((3, 4), [5], [0.5])
    net = Network([Linear(empty), ReLU(), Linear(one)])
    rng = np.random.default_rng(53)
    data = rng.random((9, 3)), rng.integers(0, 3, 9)
    fit(net, data, method=TopKAST(), optimizer=optim.sgd(0.5), epochs=3, batch_size=3, rng=rng)
    assert net.connections == (0, 1)
    assert [len(layer.left_out) for layer in net.sparse_layers] == [0, 0]


# ---------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("every", "steps"), [(1, [1, 2, 3, 4, 5, 6, 7]), (3, [1, 4, 7]), (100, [1])]
)
def test_refreshes_are_due_from_the_first_step_on(every, steps):
    assert [step for step in range(1, 8) if TopKAST(refresh_every=every).due(step)] == steps


def test_what_it_promises():
    assert (TopKAST.dense_state, TopKAST.starts, TopKAST.drifts) == (True, None, True)
    assert (TopKAST().scope, TopKAST.rests_at_end) == ("layer", False)
    assert TopKAST().conserves == "layer"
    assert TopKAST(explore_until=5).conserves == "nothing"
    assert TopKAST().replaces_update is False


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"forward_share": 0}, r"forward_share must be in \(0, 1\], got 0"),
        ({"forward_share": 1.5}, r"forward_share must be in \(0, 1\], got 1.5"),
        ({"forward_share": float("nan")}, r"forward_share must be in \(0, 1\], got nan"),
        ({"penalty_weight": -1}, "penalty_weight must be at least 0 and finite, got -1"),
        ({"penalty_weight": float("inf")}, "penalty_weight must be at least 0 and finite, got inf"),
        (
            {"penalty": "l2"},
            r"penalty must be one of \['l1', 'l2_squared', 'l2_norm'\], got 'l2'",
        ),
        ({"refresh_every": 0}, "refresh_every must be a positive whole number of steps, got 0"),
        ({"explore_until": 1.5}, "explore_until must be a positive whole number of steps, got 1.5"),
    ],
)
def test_a_wrong_option_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=f"^TopKAST: {message}$"):
        TopKAST(**options)


@pytest.mark.parametrize("name", ["forward_share", "penalty_weight"])
def test_a_number_of_another_kind_is_refused(name):
    with pytest.raises(TypeError, match=f"^TopKAST: {name} must be a number, got str$"):
        TopKAST(**{name: "half"})


@pytest.mark.parametrize("wrong", [{"D": -0.1, "M": 0}, {"D": 0.1, "M": float("nan")}])
def test_shares_that_are_none_are_refused(wrong):
    with pytest.raises(ValueError, match=r"^TopKAST: [DM] must be at least 0 and finite, got"):
        sets(THETA, **wrong)


@pytest.mark.parametrize("function", [penalty, penalty_gradient])
def test_an_unknown_penalty_is_refused(function):
    with pytest.raises(ValueError, match=r"^TopKAST: penalty must be one of .* got 'l0'$"):
        function(THETA, np.array([1]), 0.5, "l0")


def test_theta_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="scores must be numbers, got nan at index 3"):
        sets(np.where(np.arange(8) == 3, np.nan, THETA), 0.5, 0.25)
