"""SNFS against tables worked by hand and dense brute force, of the exact rule and of the code's."""

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from sparse_ref import Linear, Network, ReLU, csr, fit, optim, tiles, train
from sparse_ref.layers import LayerGrad
from sparse_ref.methods import SNFS, Run
from sparse_ref.methods.snfs import (
    State,
    accumulate,
    prune_counts,
    redistribute,
    redistribute_as_code,
    rewire,
    rewire_as_code,
    shares,
    steer,
)
from sparse_ref.schedules import Constant, Cosine

DTYPES = [np.float32, np.float64]

# ---------------------------------------------------------------- the code's rounding, by hand
#
#   mean |u|    nnz     positions   p     pruned      q            nnz after
#   .3  .1      10 20    40 100    .5     5 10      12    4        17 14      31, was 30
#   .9  .1      10 20    12 100    .5     2 10       3.96 9.04     11 19      after 56 sweeps
#   .5  .3 .2   11  7 5 100 50 20  .3     4  3 2     5  3  2       12  7 5
#
# In the second network the first layer has a sparsity of 1/6, below .2, and would grow: its p is
# 1/6. It has room for 4; 99 % of that are 3.96.

CODE = [
    ((0.3, 0.1), (10, 20), (40, 100), 0.5, [5, 10], (12, 4), 1, [17, 14]),
    ((0.9, 0.1), (10, 20), (12, 100), 0.5, [2, 10], (3.96, 9.04), 56, [11, 19]),
    ((0.5, 0.3, 0.2), (11, 7, 5), (100, 50, 20), 0.3, [4, 3, 2], (5, 3, 2), 1, [12, 7, 5]),
]
code_table = pytest.mark.parametrize(
    ("means", "nnz", "sizes", "p", "removed", "q", "sweeps", "after"), CODE
)


def layers_with(means, nnz, sizes):
    """Rows whose first are connected, with that mean |u| there; u is 2, 3, ... elsewhere."""
    weights, momenta = [], []
    for mean, n, size in zip(means, nnz, sizes, strict=True):
        dense, u = np.zeros((1, size)), np.arange(2.0, 2.0 + size)[None]
        dense[0, :n], u[0, :n] = np.arange(1.0, n + 1), mean * np.where(np.arange(n) % 2, -1, 1)
        weights.append(csr.from_dense(dense))
        momenta.append(u)
    return weights, momenta


@code_table
def test_what_the_code_prunes(means, nnz, sizes, p, removed, q, sweeps, after):
    v = [mean / sum(means) for mean in means]
    assert prune_counts(v, nnz, sizes, p) == removed


@code_table
def test_what_the_code_redistributes(means, nnz, sizes, p, removed, q, sweeps, after):
    v = [mean / sum(means) for mean in means]
    room = [size - n + r for size, n, r in zip(sizes, nnz, removed, strict=True)]
    comp, comp_sweeps = redistribute_as_code(v, sum(removed), room)
    np.testing.assert_allclose(comp, q, rtol=1e-12)
    assert comp_sweeps == sweeps


@code_table
def test_what_the_code_leaves(means, nnz, sizes, p, removed, q, sweeps, after):
    weights, momenta = layers_with(means, nnz, sizes)
    rewires = rewire_as_code(weights, momenta, p)
    new = [csr.apply(w, r)[0] for w, r in zip(weights, rewires, strict=True)]
    assert [w.nnz for w in new] == after


def test_what_the_code_grew_too_many_it_grows_fewer_next_time():
    # 31 where 30 are wanted: 0 / 4 + .75 * -1 + mean(-1) = -1.75; then 30 again, none missing:
    assert steer(0.0, (-1,)) == -1.75
    assert steer(-1.75, (-1, 0)) == -1.75 / 4 - 0.5
    weights, momenta = layers_with(*CODE[0][:3])
    net = Network([Linear(weights[0])])
    method = SNFS(convention="sparse-learning", drop_fraction=Constant(0.5))
    _, state = method.rewire(net, (), State((momenta[0],), 9), 10, np.random.default_rng(7))
    # Alone it prunes 5 and grows 5, and so has 10 where 9 are wanted.
    assert (state.missing, state.adjustment) == ((-1,), -1.75)
    rewires, state = method.rewire(net, (), state, 20, np.random.default_rng(7))
    assert len(rewires[0].drop) - len(rewires[0].grow) == 1  # ceil(5 - 1.75) = 4 grow
    assert state.missing == (-1, 0)


# ---------------------------------------------------------------- the exact rule, by hand
#
#            layer A                  momentum                    layer B         momentum
#    .5    .    -.1    .          .1  -.7   .9   .2          .4    .    .      .1  .95  .85
#     .   .3     .   -.9          .6  -.3   .6   .0           .  -.6   .01     .15 .2   .5
#   -.2    .    .05    .         -.4   .05 -.8   .3
#
# mean |u| over connections: 2.5 / 6 and .8 / 3, so v = .61, .39. Half of each go: 2, 8, 10 and 5.
# 4 * v = 2.44, 1.56 -> 2 and 2. A grows 2 and 10 again, B 1 and 2.

A = np.array([[0.5, 0, -0.1, 0], [0, 0.3, 0, -0.9], [-0.2, 0, 0.05, 0]])
B = np.array([[0.4, 0, 0], [0, -0.6, 0.01]])
U_A = np.array([[0.1, -0.7, 0.9, 0.2], [0.6, -0.3, 0.6, 0.0], [-0.4, 0.05, -0.8, 0.3]])
U_B = np.array([[0.1, 0.95, 0.85], [0.15, 0.2, 0.5]])


def network(*layers, dtype=np.float64):
    return [csr.from_dense(layer.astype(dtype)) for layer in layers]


def lists(weights, rewires):
    """(dropped, grown) positions of each layer."""
    pairs = zip(weights, rewires, strict=True)
    return [(csr.flat(w)[r.drop].tolist(), r.grow.tolist()) for w, r in pairs]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_event_is_that_of_the_table(dtype):
    weights, momenta = network(A, B, dtype=dtype), (U_A.astype(dtype), U_B.astype(dtype))
    np.testing.assert_allclose(shares(weights, momenta), [0.609756, 0.390244], rtol=1e-5)
    rewires = rewire(weights, momenta, [3, 1])
    assert lists(weights, rewires) == [([8], []), ([5], [1, 2])]
    new = [csr.apply(w, r)[0] for w, r in zip(weights, rewires, strict=True)]
    assert new[0].data.tolist() == np.array([0.5, -0.1, 0.3, -0.9, 0.05], dtype).tolist()
    assert new[1].data.tolist() == np.array([0.4, 0, 0, -0.6], dtype).tolist()
    assert {r.values.dtype for r in rewires} == {np.dtype(dtype)}


def test_without_redistribution_each_layer_regrows_its_own():
    weights = network(A, B)  # A grows 2, 10 again and 1; B the 1
    rewires = rewire(weights, (U_A, U_B), [3, 1], share=False)
    assert lists(weights, rewires) == [([8], [1]), ([5], [1])]


def test_without_momentum_each_layer_regrows_its_own():
    weights = network(A, B)  # the lowest free positions: of A 1, 2, 3, of which 2 comes again
    rewires = rewire(weights, (0 * U_A, 0 * U_B), [3, 1])
    assert shares(weights, (0 * U_A, 0 * U_B)) == [0.0, 0.0]
    assert lists(weights, rewires) == [([8, 10], [1, 3]), ([5], [1])]


@pytest.mark.parametrize(
    ("v", "removed", "room", "counts"),
    [
        ([0.75, 0.25], [5, 10], [35, 90], [11, 4]),
        ([0.9, 0.1], [2, 10], [4, 90], [4, 8]),
        (
            [1.0, 0.0],
            [2, 10],
            [4, 90],
            [4, 8],
        ),  # nothing is the second's due, but the first is full
        ([1.0, 0.0, 0.0], [1, 3, 6], [4, 9, 9], [4, 2, 4]),  # 6 left over, 3 : 6
        ([0.0, 0.0], [2, 10], [4, 90], [2, 10]),
        ([0.5, 0.5], [0, 3], [9, 9], [2, 1]),
        ([0.5, 0.5], [0, 0], [0, 0], [0, 0]),
        ([], [], [], []),
    ],
)
def test_how_many_each_layer_grows(v, removed, room, counts):
    assert redistribute(v, removed, room).tolist() == counts


def test_equal_momentum_gives_equal_shares_whatever_the_size():
    weights, momenta = layers_with((0.5, 0.5, 0.5), (1, 7, 30), (9, 90, 40))
    assert shares(weights, momenta) == [1 / 3] * 3


def test_an_empty_layer_has_no_share():
    weights, momenta = layers_with((0.5, 0.5), (0, 7), (9, 90))
    assert shares(weights, momenta) == [0.0, 1.0]
    assert [len(r.grow) for r in rewire(weights, momenta, [0, 3])] == [0, 3]


# ---------------------------------------------------------------- brute force


@st.composite
def networks(draw):
    """Layers, momenta and what is to be pruned; few different numbers, so ties abound."""
    rng = np.random.default_rng(draw(st.integers(2, 2**32)))
    dtype, levels = draw(st.sampled_from(DTYPES)), draw(st.integers(1, 6))
    dense, presents, momenta, removed = [], [], [], []
    for _ in range(draw(st.integers(1, 4))):
        shape = draw(st.integers(1, 4)), draw(st.integers(1, 6))
        present = rng.random(shape) < draw(st.sampled_from([0.0, 0.3, 0.6, 0.9, 1.0]))
        dense.append((rng.integers(-levels + 1, levels, shape) / 4 * present).astype(dtype))
        silent = draw(st.sampled_from([0, 1, 1]))
        momenta.append((silent * rng.integers(-levels + 1, levels, shape) / 4).astype(dtype))
        presents.append(present)
        removed.append(draw(st.integers(0, int(present.sum()))))
    return dense, presents, momenta, removed


def sparse(dense, presents):
    return [csr.from_dense(w, p) for w, p in zip(dense, presents, strict=True)]


@settings(deadline=None, max_examples=250)
@given(networks(), st.booleans())
def test_an_event_is_that_of_the_dense_brute_force(net, share):
    dense, presents, momenta, removed = net
    weights = sparse(dense, presents)
    before = [u.tobytes() for u in momenta]
    rewires = rewire(weights, momenta, removed, share)
    assert lists(weights, rewires) == naive.snfs(dense, presents, momenta, removed, share)
    assert [u.tobytes() for u in momenta] == before
    new = [csr.apply(w, r)[0] for w, r in zip(weights, rewires, strict=True)]
    assert sum(w.nnz for w in new) == sum(w.nnz for w in weights)
    if not share:
        assert [w.nnz for w in new] == [w.nnz for w in weights]


FRACTIONS = st.sampled_from([0.0, 0.05, 0.3, 0.5, 1.0])


@settings(deadline=None, max_examples=250)
@given(networks(), FRACTIONS, st.sampled_from([0.0, -1.75, 2.5, -40.0, 40.0]))
def test_the_codes_event_is_that_of_its_masks(net, fraction, adjustment):
    dense, presents, momenta, _ = net
    weights = sparse(dense, presents)
    comp = lists(weights, rewire_as_code(weights, momenta, fraction, adjustment))
    assert comp == naive.snfs_code(dense, presents, momenta, fraction, adjustment)


@settings(deadline=None, max_examples=100)
@given(networks())
def test_the_shares_sum_to_one_and_follow_the_momentum(net):
    dense, presents, momenta, _ = net
    v = shares(sparse(dense, presents), momenta)
    assert v == naive.snfs_shares(presents, momenta)
    assert sum(v) == pytest.approx(1) or not any(v)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=5))
def test_a_larger_share_grows_no_fewer_where_there_is_room(layers):
    v, removed = [a / 16 for a, _ in layers], [b for _, b in layers]
    counts = redistribute(v, removed, [99 + b for b in removed]).tolist()
    assert sum(counts) == sum(removed)
    if any(v):
        for a, more in zip(v, counts, strict=True):
            assert all(more >= fewer or a <= b for b, fewer in zip(v, counts, strict=True))


@settings(deadline=None, max_examples=100)
@given(networks(), FRACTIONS)
def test_the_code_never_fills_a_layer_that_was_not_full(net, fraction):
    dense, presents, momenta, _ = net
    weights = sparse(dense, presents)
    for w, r in zip(weights, rewire_as_code(weights, momenta, fraction), strict=True):
        if w.nnz < np.prod(w.shape):
            assert csr.apply(w, r)[0].nnz < np.prod(w.shape)


def test_where_nothing_is_pruned_the_code_drops_stored_zeros():
    weights = [csr.from_dense(np.array([[0.0, 2.0, 0.0, 0.0]]), np.array([[1, 1, 1, 0]], bool))]
    u = np.array([[0.0, 1.0, 0.0, 0.0]])
    assert lists(weights, rewire_as_code(weights, [u], 0.0)) == [([0, 2], [])]
    assert lists(weights, rewire_as_code(weights, [u], 0.0, None)) == [([2], [])]  # 0 comes again


def test_where_momentum_is_zero_the_code_chooses_connections_in_vain():
    #  w   2   .   3   1   .       prune 3, grow 2: 4, and of the zeros the lowest,
    #  u   0   0   5   0   7       which is connected already
    weights, u = network(np.array([[2.0, 0, 3, 1, 0]])), np.array([[0.0, 0, 5, 0, 7]])
    assert lists(weights, rewire_as_code(weights, [u], 0.3, 1.0)) == [([3], [4])]


# ---------------------------------------------------------------- the momentum


@pytest.mark.parametrize("dtype", DTYPES)
def test_momentum_accumulates_everywhere(dtype):
    u = np.array([[1.0, -2.0], [0.0, 4.0]], dtype)
    accumulate(u, np.array([[1.0, 1.0], [0.5, -3.0]], dtype), 0.5)
    np.testing.assert_array_equal(u, np.array([[1.5, 0.0], [0.5, -1.0]], dtype))
    accumulate(u, np.array([[1.0, 1.0], [0.5, -3.0]], dtype), 0.75, 0.25)
    np.testing.assert_array_equal(u, np.array([[1.375, 0.25], [0.5, -1.5]], dtype))
    assert u.dtype == dtype


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 2**32), st.sampled_from(DTYPES), st.integers(1, 40))
def test_the_gradient_may_come_as_its_two_factors_in_blocks(seed, dtype, block):
    rng, width = np.random.default_rng(seed), 64 // np.dtype(dtype).itemsize
    delta = rng.integers(-3, 4, (2, 7, width)).astype(dtype)
    inputs = rng.integers(-3, 4, (2, 5, width)).astype(dtype)
    whole = naive.weight_gradient(delta, inputs).astype(dtype)
    u = rng.integers(-8, 9, (7, 5)).astype(dtype)
    ref = 0.5 * u + whole
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sparse_ref.methods.snfs.BLOCK_ELEMENTS", block)
        accumulate(u, LayerGrad(whole, delta[0, :, 0], delta, inputs), 0.5)
    np.testing.assert_array_equal(u, ref)


def begun(method, optimizer, seed=37, dtype=np.float64):
    """A training at step 0 with a batch for it."""
    rng = np.random.default_rng(seed)
    dense = [rng.standard_normal(s) * (rng.random(s) < 0.4) for s in ((9, 12), (3, 9))]
    first, second = (Linear(w) for w in network(*dense, dtype=dtype))
    net = Network([first, ReLU(), second])
    training = train.start(net, method.bind(Run(4, 16)), optimizer, *rng.spawn(2))
    x, y = rng.standard_normal((20, 12)).astype(dtype), rng.integers(0, 3, 20)
    return net, training, tiles.pack(x), y


def test_at_connections_the_momentum_is_the_optimizers():
    net, training, x, y = begun(SNFS(every=99), optim.sgd(0.05, 0.9))
    for _ in range(5):
        train.step(net, x, y, training)
    buffers = [
        g[0]
        for g, p in zip(training.optimizer_state.buffers, net.parameters(), strict=True)
        if p.slots
    ]
    for u, buffer, layer in zip(
        training.method_state.momentum, buffers, net.sparse_layers, strict=True
    ):
        np.testing.assert_allclose(u[csr.pattern(layer.weight)], buffer, rtol=1e-12)
        assert np.any(u[~csr.pattern(layer.weight)])


def grown_buffers(method):
    """The optimizer's buffers, and u, where connections have just grown."""
    net, training, x, y = begun(method, optim.sgd(0.05, 0.9))
    for _ in range(4):
        train.step(net, x, y, training)
    found = []
    groups = zip(training.optimizer_state.buffers, net.parameters(), strict=True)
    buffers = [group[0] for group, p in groups if p.slots]
    for event, u, buffer, layer in zip(
        training.history.events,
        training.method_state.momentum,
        buffers,
        net.sparse_layers,
        strict=True,
    ):
        assert len(event.grown)
        at = np.isin(csr.flat(layer.weight), event.grown)
        found.append((buffer[at], u.reshape(-1)[event.grown]))
    return found


def test_a_grown_connection_starts_with_an_empty_buffer():
    for buffer, u in grown_buffers(SNFS()):
        assert np.all(u != 0)
        assert not buffer.any()


def test_dense_momentum_is_handed_to_the_optimizer_if_asked_for():
    for buffer, u in grown_buffers(SNFS(grown_momentum="dense")):
        np.testing.assert_array_equal(buffer, u)


def test_a_moving_average_is_a_tenth_of_the_buffer():
    states = []
    for ema in (False, True):
        net, training, x, y = begun(SNFS(ema=ema, every=99), optim.sgd(0.05, 0.9))
        for _ in range(3):
            train.step(net, x, y, training)
        states.append(training.method_state.momentum)
    for plain, average in zip(*states, strict=True):
        np.testing.assert_allclose(average, 0.1 * plain, rtol=1e-12)


def test_the_momentum_is_that_of_the_option():
    net, training, x, y = begun(SNFS(momentum=0.0, every=99), optim.sgd(0.05))
    for _ in range(2):
        before = [layer.weight.data.copy() for layer in net.sparse_layers]
        train.step(net, x, y, training)
    for u, old, layer in zip(
        training.method_state.momentum, before, net.sparse_layers, strict=True
    ):
        step = (old - layer.weight.data) / 0.05
        np.testing.assert_allclose(u[csr.pattern(layer.weight)], step, rtol=1e-9, atol=1e-12)


# ---------------------------------------------------------------- the method


def asked(method, fraction=0.5, momenta=(U_A, U_B)):
    net = Network([Linear(csr.from_dense(A)), ReLU(), Linear(csr.from_dense(B))])
    bound = type(method)(**{**vars(method), "drop_fraction": Constant(fraction)})
    return bound.rewire(net, (), State(tuple(momenta), 9), 10, np.random.default_rng(7))


def numbers(rewires):
    return [(len(r.drop), len(r.grow)) for r in rewires]


def test_the_method_prunes_floors_and_deals_them_out():
    rewires, state = asked(SNFS())
    assert numbers(rewires) == [(1, 0), (1, 2)]
    assert all(r.momentum is None for r in rewires)
    assert state.missing == (0,)


def test_the_rounding_is_an_option():
    rewires, _ = asked(SNFS(rounding="ceil"))  # 3 and 2: 5 * v = 3.05, 1.95 -> 3, 2; B drops 0, 5
    assert numbers(rewires) == [(1, 1), (2, 2)]


def test_the_state_that_went_in_is_not_changed():
    state = State((U_A.copy(), U_B.copy()), 9)
    asked(SNFS(), momenta=state.momentum)
    np.testing.assert_array_equal(state.momentum[0], U_A)


def test_the_conventions_are_bundles():
    assert SNFS(convention="sparse-learning") == SNFS(
        snfs_code_rounding=True, grown_momentum="dense"
    )
    assert SNFS(convention="rigl-tf1") == SNFS(ema=True, redistribute=False, rounding="floor_f32")
    rewires, _ = asked(SNFS(convention="sparse-learning"))
    #  3 and 2 of A and B; 5 * v = 3.05, 1.95 -> 4 and 2: 2, 10, 1 and 4; 1, 2
    assert numbers(rewires) == [(1, 2), (2, 2)]
    assert rewires[0].momentum.tolist() == [-0.7, 0.6]
    assert numbers(asked(SNFS(convention="rigl-tf1"))[0]) == [(1, 1), (1, 1)]


def test_the_code_without_redistribution_regrows_what_each_layer_lost():
    rewires, _ = asked(SNFS(snfs_code_rounding=True, redistribute=False))
    assert numbers(rewires) == [(1, 1), (2, 2)]


def test_without_redistribution_the_code_spares_no_crowded_layer():
    #  10 of 12, w = 1 ... 10: half go, 0 to 4, and 10, 11, 0, 1, 2 come; with shares it would be a
    #  sixth, 0 and 1, for which 10, 11 and 0 come
    weights, momenta = layers_with(*CODE[1][:3])
    assert lists(weights, rewire_as_code(weights, momenta, 0.5, None))[0] == ([3, 4], [10, 11])
    assert lists(weights, rewire_as_code(weights, momenta, 0.5, 0.0))[0] == ([1], [10, 11])


def test_what_is_promised_depends_on_the_options():
    assert (SNFS().scope, SNFS().conserves) == ("network", "network")
    local = SNFS(redistribute=False)
    assert (local.scope, local.conserves) == ("layer", "layer")
    assert SNFS(snfs_code_rounding=True).conserves == "nothing"
    assert SNFS().dense_state
    assert not SNFS().replaces_update


def test_an_event_comes_every_epoch_but_the_last():
    method = SNFS().bind(Run(steps_per_epoch=8, steps=32))
    assert [step for step in range(1, 33) if method.due(step)] == [8, 16, 24]
    assert SNFS(every=5, stop=12).bind(Run(8, 32)) == SNFS(
        every=5, stop=12, drop_fraction=Cosine(0.5, 32, floor=0.005)
    )


@pytest.mark.parametrize(
    ("step", "fraction"),
    [(0, 0.5), (25, 0.427508928), (50, 0.2525), (75, 0.077491072), (99, 0.005122126), (100, 0.005)],
)
def test_the_fraction_falls_along_a_cosine_to_its_floor(step, fraction):
    bound = SNFS().bind(Run(10, 100))
    assert bound.drop_fraction(step) == pytest.approx(fraction, abs=1e-9)
    assert SNFS(drop_fraction=0.0).bind(Run(10, 100)).drop_fraction(step) == 0.0
    assert SNFS(drop_fraction=Constant(0.2)).bind(Run(10, 100)).drop_fraction == Constant(0.2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drop_fraction": 1.3}, r"drop_fraction must be in \[0, 1\], got 1.3"),
        ({"every": 0}, "every must be a positive whole number of steps, got 0"),
        ({"stop": 0}, "stop must be a positive whole number of steps, got 0"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\), got 1.0"),
        ({"momentum": float("nan")}, r"momentum must be in \[0, 1\), got nan"),
        ({"rounding": "up"}, r"rounding must be one of \[.*\], got 'up'"),
        ({"grown_momentum": "x"}, r"grown_momentum must be one of \['zero', 'dense'\], got 'x'"),
        ({"convention": "x"}, r"convention must be one of \['paper', .*\], got 'x'"),
    ],
)
def test_a_wrong_option_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=f"^SNFS: {message}$"):
        SNFS(**options)


@pytest.mark.parametrize("value", ["much", True, None])
def test_a_momentum_of_another_kind_is_refused(value):
    with pytest.raises(TypeError, match=f"^SNFS: momentum must be a number, got {value!r}$"):
        SNFS(momentum=value)


def test_an_unbound_snfs_does_not_know_when_it_is_due():
    with pytest.raises(ValueError, match=r"^SNFS: every must be known before the first step"):
        SNFS().due(3)


def test_a_momentum_that_is_no_number_is_refused():
    u = U_A.copy()
    u[1, 2] = np.nan
    with pytest.raises(ValueError, match="got nan at index 6"):
        rewire(network(A), [u], [3])


def test_a_weight_out_of_order_is_refused():
    weight = csr_array((np.ones(2), [1, 0], [0, 2]), shape=(1, 3))
    with pytest.raises(ValueError, match=r"^SNFS: connections .* must be ascending"):
        rewire([weight], [np.ones((1, 3))], [1])


# ---------------------------------------------------------------- whole trainings


def trained(method, dtype=np.float64):
    rng = np.random.default_rng(37)
    dense = [rng.standard_normal(s) * (rng.random(s) < 0.4) for s in ((9, 12), (3, 9))]
    first, second = (Linear(w) for w in network(*dense, dtype=dtype))
    net = Network([first, ReLU(), second])
    data, before = (rng.standard_normal((60, 12)), rng.integers(0, 3, 60)), net.connections
    history = fit(
        net,
        data,
        method=method,
        optimizer=optim.sgd(0.05, 0.9),
        epochs=8,
        batch_size=10,
        rng=np.random.default_rng(41),
    )
    return before, net, history


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_training_keeps_the_connections_of_the_network(dtype):
    before, net, history = trained(SNFS(), dtype)
    assert sorted({event.step for event in history.events}) == list(range(6, 48, 6))
    assert sum(net.connections) == sum(before)
    assert net.connections != before
    assert net.dtype == dtype


def test_the_simplified_form_keeps_those_of_every_layer():
    before, net, history = trained(SNFS(convention="rigl-tf1"))
    assert net.connections == before
    assert sum(len(event.grown) for event in history.events) > 10


def test_the_codes_rounding_stays_near_the_number_of_the_beginning():
    before, _, history = trained(SNFS(convention="sparse-learning", every=3))
    totals = {}
    for event in history.events:
        totals[event.step] = totals.get(event.step, 0) + event.connections
    assert any(total != sum(before) for total in totals.values())
    assert all(abs(total - sum(before)) <= 4 for total in totals.values())


def test_a_training_can_be_repeated():
    one, two = (trained(SNFS(convention="sparse-learning"))[1] for _ in range(2))
    for a, b in zip(one.sparse_layers, two.sparse_layers, strict=True):
        assert a.weight.data.tobytes() == b.weight.data.tobytes()
        np.testing.assert_array_equal(a.weight.indices, b.weight.indices)
