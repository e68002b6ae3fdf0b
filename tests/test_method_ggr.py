"""GGR against tables worked by hand and a sort of every gradient, ties included."""

import itertools
import math

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from sparse_ref import Linear, Network, ReLU, csr, fit, optim
from sparse_ref.methods import GGR, Run, ggr, rigl, set_
from sparse_ref.methods.ggr import by_gradient, rewire, weakest
from sparse_ref.schedules import Constant
from sparse_ref.selection import largest_absent_of_all

DTYPES = [np.float32, np.float64]
ROWS = [(d, i) for d in ggr.DISTRIBUTIONS for i in ggr.INSERTIONS]  # the paper's table 3

# ---------------------------------------------------------------- the table
#
#            weight                gradient               flat positions
#   A   .5    .   -.1    .    .1  -.7   .9   .2            0   1   2   3
#        .   .3     .  -.9    .6  -.3   .6   .0            4   5   6   7
#      -.2    .   .05    .   -.4   .05 -.8   .3            8   9  10  11
#
#   B   .4    .    .         .1   .95  .85                 0   1   2
#        .  -.6  .01         .15  .2   .5                  3   4   5
#
# Half of every layer drops: A 10 (.05), 2 (.1), 8 (.2); B 5 (.01). Four are to come. Of everything
# that is zero then, the largest gradients are B1 .95, A2 .9, B2 .85, A10 .8: two for each layer.

WEIGHT_A = np.array([[0.5, 0, -0.1, 0], [0, 0.3, 0, -0.9], [-0.2, 0, 0.05, 0]])
GRAD_A = np.array([[0.1, -0.7, 0.9, 0.2], [0.6, -0.3, 0.6, 0.0], [-0.4, 0.05, -0.8, 0.3]])
WEIGHT_B = np.array([[0.4, 0, 0], [0, -0.6, 0.01]])
GRAD_B = np.array([[0.1, 0.95, 0.85], [0.15, 0.2, 0.5]])
GRADS = [GRAD_A, GRAD_B]


def both(dtype=np.float64):
    return [csr.from_dense(w.astype(dtype)) for w in (WEIGHT_A, WEIGHT_B)]


def rng_of(seed=31):
    return np.random.default_rng(seed)


def patterns(weights, rewires):
    pairs = zip(weights, rewires, strict=True)
    return [csr.flat(csr.apply(weight, change)[0]).tolist() for weight, change in pairs]


def events(weights, rewires):
    """Positions dropped and grown of each layer."""
    pairs = zip(weights, rewires, strict=True)
    return [(csr.flat(w)[r.drop].tolist(), r.grow.tolist()) for w, r in pairs]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_four_largest_gradients_of_the_network_are_those_of_the_table(dtype):
    drops = [np.array([1, 4, 5]), np.array([2])]
    grads = [grad.astype(dtype) for grad in GRADS]
    first, second = largest_absent_of_all(both(dtype), grads, 4, drops)
    assert first.positions.tolist() == [2, 10]
    assert second.positions.tolist() == [1, 2]
    np.testing.assert_array_equal(first.scores, np.array([0.9, 0.8], dtype))
    np.testing.assert_array_equal(second.scores, np.array([0.95, 0.85], dtype))


@pytest.mark.parametrize(
    ("regrow", "expected"),
    [
        ("reinit", [([2, 8, 10], [2, 10]), ([5], [1, 2])]),
        ("keep", [([8], []), ([5], [1, 2])]),
        # B1 .95, B2 .85, A1 .7, A4 .6 (tie with A6, by position)
        ("forbid", [([2, 8, 10], [1, 4]), ([5], [1, 2])]),
    ],
)
def test_gradient_insertion_is_that_of_the_table(regrow, expected):
    comp = rewire(both(), GRADS, [3, 1], rng_of(), insertion="gradient", regrow=regrow)
    assert events(both(), comp) == expected


def test_mixed_insertion_is_that_of_the_table():
    seen_a, seen_b = set(), set()
    for seed in range(200, 320):
        (_, in_a), (_, in_b) = events(both(), rewire(both(), GRADS, [3, 1], rng_of(seed)))
        assert 2 in in_a  # the gradient's half: .9
        assert 1 in in_b  # .95
        seen_a |= set(in_a) - {2}
        seen_b |= set(in_b) - {1}
    assert seen_a == {1, 3, 4, 6, 8, 9, 10, 11}  # the random half: any that is free then
    assert seen_b == {2, 3, 5}


def test_counts_move_from_one_layer_to_the_other():
    comp = patterns(both(), rewire(both(), GRADS, [3, 1], rng_of()))
    assert [len(positions) for positions in comp] == [5, 4]  # they were 6 and 3


@pytest.mark.parametrize("insertion", ggr.INSERTIONS)
def test_a_layer_with_all_the_large_gradients_gets_all(insertion):
    #   |g|   A  .9 .8 .7 .6     B  .1 .2 .3        three are to come: (3, 0)
    weights = [csr.from_dense(np.zeros((1, 4))), csr.from_dense(np.ones((1, 3)))]
    grads = [np.array([[0.9, -0.8, 0.7, 0.6]]), np.array([[0.1, 0.2, -0.3]])]
    comp = rewire(weights, grads, [0, 3], rng_of(), insertion=insertion)
    assert [len(change.grow) for change in comp] == [3, 0]


def test_ties_between_layers_go_to_the_earlier_layer():
    #   |g|   A  .5 .5     B  .5 .5        three are to come: (2, 1)
    weights = [csr.from_dense(np.zeros((1, 2))), csr.from_dense(np.zeros((1, 2)))]
    weights.append(csr.from_dense(np.ones((1, 3))))  # gives three away
    grads = [np.array([[0.5, -0.5]]), np.array([[-0.5, 0.5]]), np.zeros((1, 3))]
    comp = rewire(weights, grads, [0, 0, 3], rng_of(), insertion="gradient")
    assert [change.grow.tolist() for change in comp] == [[0, 1], [0], []]


def test_without_gradient_the_first_positions_of_the_first_layers_grow():
    weights = [csr.from_dense(np.array([[1.0, 0, 0, 0]])), csr.from_dense(np.ones((1, 3)))]
    grads = [np.zeros((1, 4)), np.zeros((1, 3))]
    comp = rewire(weights, grads, [0, 3], rng_of(), insertion="gradient")
    assert [change.grow.tolist() for change in comp] == [[1, 2, 3], []]


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_grows_starts_at_1e_10(dtype):
    comp = rewire(both(dtype), [g.astype(dtype) for g in GRADS], [3, 1], rng_of())
    for change in comp:
        assert change.values.dtype == dtype
        assert set(change.values.tolist()) == {float(dtype(1e-10))}


@pytest.mark.parametrize(
    ("number", "insertion", "odd_to", "expected"),
    [
        (5, "mixed", "gradient", 3),
        (5, "mixed", "random", 2),
        (4, "mixed", "random", 2),
        (1, "mixed", "gradient", 1),
        (1, "mixed", "random", 0),
        (5, "gradient", "random", 5),
        (5, "random", "gradient", 0),
    ],
)
def test_how_many_the_gradient_chooses(number, insertion, odd_to, expected):
    assert by_gradient(number, insertion, odd_to) == expected


# ---------------------------------------------------------------- brute force


@st.composite
def networks(draw):
    """Layers, gradients and counts; few different numbers, so ties abound, across layers too."""
    rng = np.random.default_rng(draw(st.integers(2, 2**32)))
    dtype = draw(st.sampled_from(DTYPES))
    levels = draw(st.integers(1, 6))  # 1: every weight and gradient is zero
    weights, presents, grads = [], [], []
    for _ in range(draw(st.integers(1, 4))):
        shape = draw(st.integers(1, 5)), draw(st.integers(1, 6))
        present = rng.random(shape) < draw(st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]))
        presents.append(present)
        weights.append((rng.integers(-levels + 1, levels, shape) * present).astype(dtype))
        grads.append(rng.integers(-levels + 1, levels, shape).astype(dtype))
    n_drops = [draw(st.integers(0, int(present.sum()))) for present in presents]
    return weights, presents, grads, n_drops


def sparse(weights, presents):
    return [csr.from_dense(w, p) for w, p in zip(weights, presents, strict=True)]


@settings(deadline=None, max_examples=200)
@given(networks(), st.data(), st.integers(1, 30))
def test_the_stream_is_a_global_stable_sort(network, data, block):
    weights, presents, grads, n_drops = network
    drops = [naive.weakest(w, p, n) for w, p, n in zip(weights, presents, n_drops, strict=True)]
    slots = [
        np.flatnonzero(np.isin(naive.positions(p), gone))
        for p, gone in zip(presents, drops, strict=True)
    ]
    free = [naive.absent(p, s.tolist()) for p, s in zip(presents, slots, strict=True)]
    k = data.draw(st.integers(0, sum(map(len, free))))
    comp = largest_absent_of_all(sparse(weights, presents), grads, k, slots, block)
    ref = naive.largest_of_all(free, grads, k)
    assert [ranked.positions.tolist() for ranked in comp] == ref
    for ranked, grad in zip(comp, grads, strict=True):
        np.testing.assert_array_equal(ranked.scores, np.abs(grad.reshape(-1)[ranked.positions]))


@settings(deadline=None, max_examples=80)
@given(networks(), st.data(), st.randoms(use_true_random=False))
def test_the_order_of_the_layers_matters_for_ties_only(network, data, shuffle):
    weights, presents, grads, _ = network
    rng = np.random.default_rng(17)
    size = sum(grad.size for grad in grads)
    distinct = iter(rng.permutation(size) + 1.0)  # no ties
    grads = [np.array([next(distinct) for _ in grad.flat]).reshape(grad.shape) for grad in grads]
    layers = sparse(weights, presents)
    k = data.draw(st.integers(0, size - sum(w.nnz for w in layers)))
    order = list(range(len(layers)))
    shuffle.shuffle(order)
    ref = largest_absent_of_all(layers, grads, k)
    comp = largest_absent_of_all([layers[i] for i in order], [grads[i] for i in order], k)
    for here, layer in enumerate(order):
        np.testing.assert_array_equal(comp[here].positions, ref[layer].positions)


def test_layers_large_enough_for_a_guess_are_a_global_stable_sort():
    # The stream starts from a threshold guessed from a sample of all layers; here they differ in
    # scale, so that a sample of one of them would mislead.
    rng, width = np.random.default_rng(37), 16
    shapes, scales = [(700, 800), (900, 300), (3, 5)], [1.0, 30.0, 5.0]
    weights, grads, dense = [], [], []
    for shape, scale in zip(shapes, scales, strict=True):
        n = shape[0] * shape[1] // 50
        at = np.sort(rng.permutation(shape[0] * shape[1])[:n])
        weights.append(csr.from_positions(shape, at, rng.random(n).astype(np.float32)))
        delta = scale * rng.integers(-3, 4, (1, shape[0], width)).astype(np.float32)
        inputs = rng.integers(-3, 4, (1, shape[1], width)).astype(np.float32)
        dense.append(delta[0] @ inputs[0].T)  # whole numbers: exact in any order
        grads.append(_Factors(delta, inputs))
    for k in (10, 5_000, 60_000):
        comp = largest_absent_of_all(weights, grads, k)
        ref = _sorted_globally(weights, dense, k)
        for ranked, positions in zip(comp, ref, strict=True):
            np.testing.assert_array_equal(ranked.positions, positions)


class _Factors:
    """The part of a `LayerGrad` that rankings read."""

    def __init__(self, delta, inputs):
        self.delta, self.inputs = delta, inputs

    def block(self, first, last):
        return np.ascontiguousarray(self.delta[0, first:last] @ self.inputs[0].T)

    def at(self, positions):
        rows, columns = np.divmod(positions, self.inputs.shape[1])
        return (self.delta[0, rows] * self.inputs[0, columns]).sum(axis=1)


def _sorted_globally(weights, dense, k):
    scores = [np.abs(grad) for grad in dense]
    for score, weight in zip(scores, weights, strict=True):
        score[csr.pattern(weight)] = -1
    flat = np.concatenate([score.reshape(-1) for score in scores])
    chosen = np.sort(np.argsort(-flat, kind="stable")[:k])
    ends = np.cumsum([0, *(score.size for score in scores)])
    return [
        chosen[(chosen >= first) & (chosen < last)] - first
        for first, last in itertools.pairwise(ends)
    ]


@settings(deadline=None, max_examples=250)
@given(
    network=networks(),
    row=st.sampled_from(ROWS),
    odd_to=st.sampled_from(ggr.ODD),
    regrow=st.sampled_from(ggr.REGROW),
    seed=st.integers(2, 2**32),
)
def test_an_event_is_that_of_the_brute_force(network, row, odd_to, regrow, seed):
    weights, presents, grads, n_drops = network
    distribution, insertion = row
    room = [int((~p).sum()) for p in presents]
    if regrow == "forbid":  # only where all that is dropped fits elsewhere; else see below
        n_drops = [min(n, r) for n, r in zip(n_drops, room, strict=True)]
    layers = sparse(weights, presents)
    options = {"distribution": distribution, "insertion": insertion}
    comp = rewire(layers, grads, n_drops, rng_of(seed), odd_to=odd_to, regrow=regrow, **options)
    dropped, numbers, best, free = naive.ggr_sets(
        weights, presents, grads, n_drops, **options, odd_to=odd_to, forbid=regrow == "forbid"
    )
    for layer, (weight, change) in enumerate(zip(layers, comp, strict=True)):
        gone, grow = csr.flat(weight)[change.drop].tolist(), change.grow.tolist()
        if regrow == "keep":  # what was chosen again is in neither list
            again = sorted(set(dropped[layer]) - set(gone))
            grow = sorted(grow + again)
            gone = dropped[layer]
        assert gone == dropped[layer]
        assert len(grow) == numbers[layer]
        assert set(best[layer]) <= set(grow) <= set(free[layer])


@settings(deadline=None, max_examples=80)
@given(networks(), st.sampled_from(ROWS), st.integers(2, 2**32))
def test_the_number_of_connections_stays(network, row, seed):
    weights, presents, grads, n_drops = network
    layers = sparse(weights, presents)
    for regrow in ggr.REGROW:
        comp = rewire(
            layers,
            grads,
            n_drops,
            rng_of(seed),
            distribution=row[0],
            insertion=row[1],
            regrow=regrow,
        )
        new = [csr.apply(w, change)[0].nnz for w, change in zip(layers, comp, strict=True)]
        assert sum(new) == sum(w.nnz for w in layers)
        if row[0] == "local":
            assert new == [w.nnz for w in layers]


@settings(deadline=None, max_examples=60)
@given(networks(), st.integers(2, 2**32))
def test_alone_with_gradient_insertion_it_is_rigl(network, seed):
    weights, presents, grads, n_drops = network
    (weight,) = sparse(weights[:1], presents[:1])
    ref = rigl.rewire_layer(weight, grads[0], n_drops[0], regrow="reinit")
    for distribution in ggr.DISTRIBUTIONS:
        (comp,) = rewire(
            [weight], grads[:1], n_drops[:1], rng_of(seed), distribution=distribution,
            insertion="gradient", grown=0.0,
        )  # fmt: skip
        for one, two in zip(ref[:3], comp[:3], strict=True):
            np.testing.assert_array_equal(one, two)


@settings(deadline=None, max_examples=60)
@given(networks(), st.integers(2, 2**32))
def test_alone_with_random_insertion_it_is_set(network, seed):
    weights, presents, grads, n_drops = network
    (weight,) = sparse(weights[:1], presents[:1])
    (stream,) = rng_of(seed).spawn(1)
    ref = set_.rewire_layer(weight, n_drops[0], stream, grow_std=0.0)
    for distribution in ggr.DISTRIBUTIONS:
        (comp,) = rewire(
            [weight], grads[:1], n_drops[:1], rng_of(seed), distribution=distribution,
            insertion="random", grown=0.0,
        )  # fmt: skip
        for one, two in zip(ref[:3], comp[:3], strict=True):
            np.testing.assert_array_equal(one, two)


@settings(deadline=None, max_examples=60)
@given(networks(), st.data())
def test_larger_gradients_never_bring_a_layer_less(network, data):
    weights, presents, grads, n_drops = network
    layers, which = sparse(weights, presents), data.draw(st.integers(0, len(weights) - 1))
    ref = rewire(layers, grads, n_drops, rng_of())
    grads = [3 * grad if layer == which else grad for layer, grad in enumerate(grads)]
    comp = rewire(layers, grads, n_drops, rng_of())
    assert len(comp[which].grow) >= len(ref[which].grow)


def test_the_random_half_is_uniform_over_what_is_free():
    counts = np.zeros(12)
    for stream in np.random.default_rng(41).spawn(4000):
        (_, grown), _ = events(both(), rewire(both(), GRADS, [3, 1], stream))
        counts[grown] += 1
    seen = counts[[1, 3, 4, 6, 8, 9, 10, 11]]
    assert seen.sum() == 4000
    statistic = ((seen - 500) ** 2 / 500).sum()
    assert statistic < chi2.isf(1e-4, 7)  # a sound generator is beyond it for one seed in 10^4


# ---------------------------------------------------------------- forbidding


def test_without_room_elsewhere_nothing_drops():
    full = [csr.from_dense(np.ones((2, 2))), csr.from_dense(np.ones((1, 3)))]
    comp = rewire(full, [np.ones((2, 2)), np.ones((1, 3))], [4, 2], rng_of(), regrow="forbid")
    assert events(full, comp) == [([], []), ([], [])]


def test_with_little_room_elsewhere_the_drops_are_cut_in_proportion():
    # Three positions are free; 4 + 2 were to drop, so 2 + 1 do.
    weights = [
        csr.from_dense(np.arange(1.0, 5)[None]),
        csr.from_dense(np.array([[1.0, 2, 0, 0, 0]])),
    ]
    grads = [np.ones((1, 4)), np.ones((1, 5))]
    comp = rewire(weights, grads, [4, 2], rng_of(), regrow="forbid")
    assert events(weights, comp) == [([0, 1], []), ([0], [2, 3, 4])]


def test_forbidding_locally_cuts_each_layer_by_its_own_room():
    weights = [
        csr.from_dense(np.arange(1.0, 5)[None]),
        csr.from_dense(np.array([[1.0, 2, 0, 0, 0]])),
    ]
    grads = [np.ones((1, 4)), np.ones((1, 5))]
    comp = rewire(weights, grads, [4, 2], rng_of(), regrow="forbid", distribution="local")
    assert [len(change.drop) for change in comp] == [0, 2]


# ---------------------------------------------------------------- the weakest of the network


def test_the_weakest_of_the_network_by_hand():
    #   A .5 -.1 .3 -.9 -.2 .05      B .4 -.6 .01       the four smallest: B .01, A .05 .1 .2
    assert weakest(both(), 4) == [3, 1]
    assert weakest(both(), 5) == [4, 1]  # A .3


@settings(deadline=None, max_examples=80)
@given(networks(), st.data())
def test_the_weakest_of_the_network_are_those_of_a_sort(network, data):
    weights, presents, _, _ = network
    layers = sparse(weights, presents)
    k = data.draw(st.integers(0, sum(w.nnz for w in layers)))
    assert weakest(layers, k) == naive.weakest_of_all(weights, presents, k)


# ---------------------------------------------------------------- the method


def network_of(weights):
    first = Linear(weights[0])
    second = Linear(csr.from_dense(np.full((2, weights[0].shape[0]), 0.01)))
    return Network([first, ReLU(), second])


def test_dropping_globally_takes_the_weakest_of_the_network():
    net = network_of(both()[:1])
    grads = [np.ones(layer.weight.shape) for layer in net.sparse_layers]
    method = GGR(Constant(0.5), drop_scope="global").bind(Run(10, 40))
    rewires, _ = method.rewire(net, grads, None, 11, rng_of())
    # 12 connections, 3 + 3 to drop; the six of the second layer are all smaller.
    assert [len(change.drop) for change in rewires] == [0, 6]


@pytest.mark.parametrize(("rounding", "dropped"), [("floor", [1, 1]), ("ceil", [2, 2])])
def test_the_number_dropped_is_rounded_as_asked(rounding, dropped):
    net = network_of(both()[:1])  # six connections in each layer, of which 0.3 are 1.8
    grads = [np.ones(layer.weight.shape) for layer in net.sparse_layers]
    method = GGR(Constant(0.3), rounding=rounding).bind(Run(10, 40))
    rewires, _ = method.rewire(net, grads, None, 11, rng_of())
    assert [len(change.drop) for change in rewires] == dropped


def test_the_events_are_the_papers():
    # 200 epochs: at the start of every epoch but the first, 10 % at epoch 1, none from 100 on.
    bound = GGR().bind(Run(steps_per_epoch=7, steps=1400))
    due = [step for step in range(1, 1401) if bound.due(step)]
    assert due == [7 * epoch + 1 for epoch in range(1, 100)]
    fractions = [bound.drop_fraction(step) for step in due]
    ref = [0.05 * (1 + math.cos(math.pi * (epoch - 1) / 99)) for epoch in range(1, 100)]
    np.testing.assert_allclose(fractions, ref, rtol=0, atol=1e-12)  # two ways to make a cosine
    assert bound.drop_fraction(7 * 100 + 1) == 0


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_a_training_may_be_too_short_for_an_event(epochs):
    bound = GGR().bind(Run(steps_per_epoch=5, steps=5 * epochs))
    due = [step for step in range(1, 5 * epochs + 1) if bound.due(step)]
    assert due == ([6] if epochs == 3 else [])
    assert bound.drop_fraction(6) >= 0


def test_a_given_stop_and_schedule_are_kept():
    bound = GGR(Constant(0.2), every=3, stop=17).bind(Run(5, 500))
    assert (bound.drop_fraction, bound.every, bound.stop) == (Constant(0.2), 3, 17)
    assert [step for step in range(1, 50) if bound.due(step)] == [4, 7, 10, 13, 16]


def test_an_event_takes_the_place_of_an_update():
    assert GGR().replaces_update


@pytest.mark.parametrize(
    ("options", "scope", "conserves"),
    [
        ({}, "network", "network"),
        ({"distribution": "local"}, "layer", "layer"),
        ({"distribution": "local", "drop_scope": "global"}, "network", "layer"),
    ],
)
def test_what_is_shared_and_kept_follows_the_options(options, scope, conserves):
    assert (GGR(**options).scope, GGR(**options).conserves) == (scope, conserves)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drop_fraction": 1.3}, r"GGR: drop_fraction must be in \[0, 1\], got 1.3"),
        ({"every": 0}, "GGR: every must be a positive whole number of steps, got 0"),
        ({"stop": 2.5}, "GGR: stop must be a positive whole number of steps, got 2.5"),
        (
            {"distribution": "fair"},
            r"GGR: distribution must be one of \['global', 'local'\], got 'fair'",
        ),
        (
            {"insertion": "half"},
            r"GGR: insertion must be one of \['mixed', 'gradient', 'random'\], got 'half'",
        ),
        ({"drop_scope": "all"}, r"GGR: drop_scope must be one of \['local', 'global'\], got 'all'"),
        ({"regrow": "no"}, r"GGR: regrow must be one of \['reinit', 'keep', 'forbid'\], got 'no'"),
        ({"rounding": "up"}, r"GGR: rounding must be one of \['floor', .*\], got 'up'"),
        ({"odd_to": "me"}, r"GGR: odd_to must be one of \['gradient', 'random'\], got 'me'"),
        ({"grown": float("inf")}, "GGR: grown must be finite, got inf"),
    ],
)
def test_a_wrong_option_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        GGR(**options)


def test_an_unbound_method_says_so():
    with pytest.raises(ValueError, match=r"^GGR: every and stop must be known"):
        GGR().due(3)


def test_lists_of_different_lengths_are_refused():
    message = "weights, grads and freed must be one a layer, got 2, 1 and 2"
    with pytest.raises(ValueError, match=message):
        largest_absent_of_all(both(), GRADS[:1], 1)


@pytest.mark.parametrize("k", [-1, 13])
def test_more_than_there_are_is_refused(k):
    with pytest.raises(ValueError, match=r"largest_absent_of_all: the count must be in \[0, 9\]"):
        largest_absent_of_all(both(), GRADS, k)


@pytest.mark.parametrize("row", ROWS)
def test_a_whole_training_keeps_the_count_and_moves_it(row):
    rng = np.random.default_rng(43)
    sizes = [12, 20, 5]
    layers = []
    for n_in, n_out in itertools.pairwise(sizes):
        at = np.sort(rng.permutation(n_in * n_out)[: n_in * n_out // 4])
        layers.append(Linear(csr.from_positions((n_out, n_in), at, rng.standard_normal(len(at)))))
    net = Network([layers[0], ReLU(), layers[1]])
    before = net.connections
    history = fit(
        net,
        (rng.random((40, 12)), rng.integers(0, 5, 40)),
        method=GGR(0.4, distribution=row[0], insertion=row[1]),
        optimizer=optim.sgd(0.1, 0.9),
        epochs=12,
        batch_size=8,
        rng=rng,
    )
    assert len(history.events) == 2 * 5
    assert sum(net.connections) == sum(before)
    assert (net.connections == before) == (row[0] == "local")


def test_the_rows_of_table_3_differ():
    # The options do something: no two rows of the table make the same network.
    rng, shapes = np.random.default_rng(47), [(20, 30), (9, 20)]
    dense = [rng.standard_normal(shape) * (rng.random(shape) < 0.3) for shape in shapes]
    weights, grads = (
        sparse(dense, [d != 0 for d in dense]),
        [rng.standard_normal(s) for s in shapes],
    )
    n_drops = [weight.nnz // 2 for weight in weights]
    comp = {
        row: patterns(
            weights,
            rewire(weights, grads, n_drops, rng_of(), distribution=row[0], insertion=row[1]),
        )
        for row in ROWS
    }
    assert len({str(pattern) for pattern in comp.values()}) == len(ROWS)
