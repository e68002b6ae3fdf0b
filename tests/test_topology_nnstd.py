"""NNSTD (Liu2020, section 3, algorithm 1)."""

from fractions import Fraction

import naive
import numba
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sparse_ref import csr, models
from sparse_ref.topology import (
    effective_sparsity,
    iou,
    layer_distance,
    nnstd,
    normalized_edit_distances,
)
from sparse_ref.topology.patterns import of_ones

# Sums of n numbers below 1, added in two orders, differ by some n units in their last place.
ROUNDING = 1e-13


def network(*layers):
    """Layers written input by input, (n_in, n_out), as in the paper."""
    return [csr.from_dense(np.array(layer, float).T) for layer in layers]


def random_layer(shape, n, rng):
    return of_ones(shape, np.sort(rng.choice(shape[0] * shape[1], n, replace=False)))


def test_by_hand():
    """Hidden unit 0 of the first network answers to 1 of the second, and 1 to 0."""
    a = network([[1, 0], [1, 1], [0, 1]], [[1, 0], [0, 1]])
    b = network([[0, 1], [1, 1], [0, 0]], [[0, 1], [1, 1]])
    expected = np.array([[0.5, 0], [0.5, 2 / 3]])
    assert np.array_equal(normalized_edit_distances(a[0], b[0]), expected)
    for found in (nnstd(a, b), nnstd(b, a), nnstd(a, b, output="labeled")):
        assert (found.distance, float(found), found.layers.tolist()) == (0.25, 0.25, [0.25, 0.25])
    found = nnstd(a, b)
    assert [order.tolist() for order in found.assignments] == [[1, 0], [0, 1]]
    assert found.duplicates == ((0, 0), (0, 0))
    # the second layer of b, its rows exchanged, is [[1, 1], [0, 1]]
    aligned = normalized_edit_distances(a[1], network([[1, 1], [0, 1]])[0])
    assert np.array_equal(aligned, [[0, 0.5], [1, 0.5]])


def test_one_input_shared_and_one_of_their_own():
    """The units of figure 1: "one input neuron is shared out of two different inputs"."""
    assert normalized_edit_distances(np.array([[1, 1]]), np.array([[0, 1]])).tolist() == [[0.5]]


def test_a_tie_of_two_full_units_and_labelled_outputs():
    """Isomorphic, but the hidden units cannot be told apart by what they read."""
    full = [[1, 1], [1, 1]]
    a, b = network(full, [[1, 0], [0, 1]]), network(full, [[0, 1], [1, 0]])
    assert nnstd(a, b).distance == 0
    found = nnstd(a, b, output="labeled")
    assert (found.distance, found.layers.tolist()) == (0.5, [0, 1])
    assert found.duplicates == ((1, 1), (0, 0))


def test_a_tie_that_misaligns_the_next_layer():
    a = network(np.ones((2, 3)), [[1, 0], [0, 1], [0, 1]])
    b = network(np.ones((2, 3)), [[0, 1], [1, 0], [0, 1]])
    found = nnstd(a, b)
    assert (found.distance, found.layers.tolist()) == (0.25, [0, 0.5])


def test_both_empty_is_no_distance_and_one_empty_is_all_of_it():
    expected = [[0, 1], [1, 0]]
    layer = np.array([[0, 0], [1, 0]])
    assert normalized_edit_distances(layer, layer).tolist() == expected
    assert layer_distance(np.zeros((2, 3)), np.zeros((2, 3))) == 0
    assert layer_distance(np.zeros((2, 3)), np.ones((2, 3))) == 1


@pytest.mark.parametrize("density", [0.0, 0.001, 0.3, 0.97, 1.0])
def test_from_a_dense_network_it_is_one_minus_the_density(density):
    rng = np.random.default_rng(11)
    shapes = [(40, 70), (30, 40)]
    nets = [random_layer((o, i), round(density * o * i), rng) for o, i in shapes]
    found = nnstd(nets, [np.ones(shape) for shape in shapes])
    densities = [net.nnz / np.prod(net.shape) for net in nets]
    assert found.layers == pytest.approx(1 - np.array(densities), abs=ROUNDING)


def test_more_inputs_than_bits_of_a_word():
    one, other = np.zeros((2, 193)), np.zeros((2, 193))
    one[0, [0, 63, 64, 192]] = other[1, [63, 64, 127, 192]] = 1
    assert normalized_edit_distances(one, other).tolist() == [[1, 2 / 5], [0, 1]]


def test_a_network_of_the_library():
    rng = np.random.default_rng(9)
    nets = [models.mlp([20, 15, 4], density=0.2, dense=[-1], rng=rng) for _ in range(2)]
    found = nnstd(*nets)
    assert found.distance == nnstd(nets[0].topology, nets[1].topology).distance > 0
    assert found.layers[1] == 0  # dense
    assert layer_distance(nets[0].topology[0], nets[1].topology[0]) == found.layers[0]


def test_a_zero_is_a_connection_unless_non_zeros_are_asked_for():
    stored = csr.from_dense(np.array([[1.0, 0.0]]), np.array([[1, 1]], bool))
    other = np.array([[1.0, 0.0]])
    assert (layer_distance(stored, other), nnstd(stored, other).distance) == (0.5, 0.5)
    assert layer_distance(stored, other, pattern="nonzero") == 0
    assert normalized_edit_distances(stored, other, pattern="nonzero").tolist() == [[0]]


def test_identity_keeps_the_numbers_of_units_that_are_tied():
    """Any two of the five full units may answer to each other, as any two of the empty ones."""
    a = network([[1, 1, 0, 1, 0, 1, 0, 1]] * 2)
    b = network([[0, 1, 0, 1, 0, 1, 1, 1]] * 2)
    found = nnstd(a, b, tie_break="identity")
    assert found.distance == nnstd(a, b).distance == 0
    assert found.assignments[0].tolist() == [6, 1, 2, 3, 4, 5, 0, 7]


@given(st.integers(2, 2**32), st.floats(0, 1))
def test_identity_finds_the_same_distances(seed, density):
    rng = np.random.default_rng(seed)
    a, b = rng.random((2, 12, 9)) < density
    free, kept = nnstd(a, b), nnstd(a, b, tie_break="identity")
    assert kept.distance == pytest.approx(free.distance, abs=1e-9)
    own = np.arange(12)
    assert np.sum(kept.assignments[0] == own) >= np.sum(free.assignments[0] == own)


def test_duplicates_are_counted_in_both():
    a = network([[1, 1, 0, 0, 0], [1, 1, 1, 0, 0]])
    b = network([[1, 0, 0, 0, 0], [1, 0, 0, 0, 0]])
    assert nnstd(a, b).duplicates == ((2, 3),)


# ---------------------------------------------------------------- properties


@st.composite
def pairs_of_networks(draw):
    """Two small networks of the same shapes, as arrays (n_out, n_in)."""
    widths = draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    shapes = list(zip(widths[1:], widths[:-1], strict=True))

    def layer(shape):
        size = shape[0] * shape[1]
        cells = draw(st.lists(st.booleans(), min_size=size, max_size=size))
        return np.array(cells).reshape(shape)

    return tuple([layer(shape) for shape in shapes] for _ in range(2))


def permuted(layers, rng):
    """The same network, its hidden units in another order."""
    order, out = np.arange(layers[0].shape[1]), []
    for k, layer in enumerate(layers):
        last = k == len(layers) - 1
        rows = np.arange(len(layer)) if last else rng.permutation(len(layer))
        out.append(layer[np.ix_(rows, order)])
        order = rows
    return out


@given(pairs_of_networks(), st.sampled_from(["solver", "identity"]))
def test_every_layer_is_paired_as_well_as_can_be(pair, tie_break):
    a, b = pair
    found = nnstd(a, b, tie_break=tie_break)
    order = range(a[0].shape[1])
    for k, (one, other) in enumerate(zip(a, b, strict=True)):
        costs = naive.layer_costs(one, other, order)
        assert found.layers[k] == pytest.approx(float(naive.least_mean_cost(costs)), abs=1e-15)
        order = found.assignments[k].tolist()
        chosen = sum((costs[i][j] for i, j in enumerate(order)), Fraction(0)) / len(one)
        assert chosen == naive.least_mean_cost(costs)
        sets = [naive.input_sets(layer, range(layer.shape[1])) for layer in (one, other)]
        assert found.duplicates[k] == tuple(len(s) - len(set(s)) for s in sets)
    assert found.distance == pytest.approx(np.mean(found.layers))
    assert 0 <= found.distance <= 1


@given(pairs_of_networks())
def test_labelled_outputs_answer_to_themselves(pair):
    a, b = pair
    free, labeled = nnstd(a, b), nnstd(a, b, output="labeled")
    assert labeled.assignments[-1].tolist() == list(range(len(a[-1])))
    assert np.array_equal(labeled.layers[:-1], free.layers[:-1])
    assert labeled.layers[-1] >= free.layers[-1] - ROUNDING


@given(pairs_of_networks(), st.sampled_from(["assign", "labeled"]))
def test_a_network_is_at_no_distance_from_itself(pair, output):
    found = nnstd(pair[0], pair[0], output=output)
    assert found.distance == 0
    assert all(np.array_equal(a, np.arange(len(a))) for a in found.assignments)


@given(pairs_of_networks(), st.integers(2, 2**32))
def test_the_first_layer_is_symmetric_and_knows_no_order(pair, seed):
    a, b = pair[0][0], pair[1][0]
    rng = np.random.default_rng(seed)
    shuffled = a[rng.permutation(len(a))], b[rng.permutation(len(b))]
    distance = layer_distance(a, b)
    assert layer_distance(b, a) == pytest.approx(distance, abs=1e-15)
    assert layer_distance(*shuffled) == pytest.approx(distance, abs=1e-15)


def all_distinct(layers):
    return all(len({row.tobytes() for row in layer}) == len(layer) for layer in layers[:-1])


@given(pairs_of_networks(), st.integers(2, 2**32))
def test_the_order_of_hidden_units_is_seen_through_where_they_differ(pair, seed):
    layers = pair[0]
    assume(all_distinct(layers))
    assert nnstd(layers, permuted(layers, np.random.default_rng(seed))).distance == 0


def test_the_order_of_hidden_units_is_not_seen_through_where_they_do_not():
    """As the documentation says, and why: the first layer cannot tell which is which."""
    a = network(np.zeros((2, 2)), [[1, 0], [1, 1]])
    b = network(np.zeros((2, 2)), [[1, 1], [1, 0]])
    found = nnstd(a, b, output="labeled")
    assert found.distance > 0
    assert found.duplicates[0] == (1, 1)


def test_of_several_layers_it_need_not_be_symmetric():
    """Searched, not constructed: the solver's choice among ties is not."""
    rng = np.random.default_rng(3)
    nets = [[rng.random((3, 3)) < 0.4 for _ in range(2)] for _ in range(40)]
    both = [(nnstd(a, b).distance, nnstd(b, a).distance) for a in nets for b in nets]
    assert any(abs(one - other) > 0.01 for one, other in both)


@given(pairs_of_networks())
def test_bounds(pair):
    one, other = pair[0][0], pair[1][0]
    matrix = normalized_edit_distances(one, other)
    sizes, other_sizes = one.sum(axis=1)[:, None], other.sum(axis=1)[None, :]
    more, less = np.maximum(sizes, other_sizes), np.minimum(sizes, other_sizes)
    assert np.all(matrix >= 1 - less / np.maximum(more, 1) - (more == 0) - 1e-15)
    assert np.all(matrix <= 1)
    assert layer_distance(one, other) <= matrix.diagonal().mean() + 1e-15


# ---------------------------------------------------------------- computed values


@pytest.mark.parametrize(
    ("units", "density", "expected", "deviation"),
    [
        (784, 0.006, 0.821, 0.003),
        (200, 0.05, 0.836, 0.003),
        (200, 0.2, 0.786, 0.002),
        (200, 0.5, 0.582, 0.001),
    ],
)
def test_networks_drawn_anew_are_not_at_distance_one(units, density, expected, deviation):
    """`deviation` is that between draws; the expected number is one draw itself."""
    rng = np.random.default_rng(2020)
    n = round(density * units * units)
    a, b = (random_layer((units, units), n, rng) for _ in range(2))
    distance = layer_distance(a, b)
    assert distance == pytest.approx(expected, abs=5 * deviation)
    assert distance < 1 - density / (2 - density)  # what unpaired units would have


def test_ten_generations_of_one_percent_each():
    """Figure 3a: 3,696 connections of 784 x 784, 37 of them exchanged nine times.

    The deviation between draws is 0.001 after one generation and 0.004 after nine.
    """
    rng = np.random.default_rng(7)
    expected = [0.019, 0.038, 0.056, 0.075, 0.092, 0.109, 0.123, 0.137, 0.152]
    size, n = 784 * 784, 3696
    root = now = rng.permutation(size)[:n]
    distances = []
    for _ in expected:
        free = np.setdiff1d(np.arange(size), now)
        now = np.concatenate([rng.permutation(now)[37:], rng.permutation(free)[:37]])
        layers = (of_ones((784, 784), np.sort(positions)) for positions in (root, now))
        distances.append(layer_distance(*layers))
    assert np.all(np.diff(distances) > 0)
    assert distances == pytest.approx(expected, abs=0.012)


# ---------------------------------------------------------------- refused


def test_what_is_refused():
    one, wide, deep = np.ones((2, 3)), np.ones((4, 3)), [np.ones((2, 3)), np.ones((1, 2))]
    with pytest.raises(ValueError, match=r"^nnstd: layers must have the same shape, but layer 0 h"):
        nnstd(one, wide)
    with pytest.raises(ValueError, match=r"^nnstd: topologies must have equally many layers, got"):
        nnstd(one, deep)
    with pytest.raises(ValueError, match=r"^nnstd: shapes must chain, but layer 0 has 2 outputs "):
        nnstd([one, one], [one, one])
    with pytest.raises(ValueError, match=r"^nnstd: output must be one of .*, got 'free'$"):
        nnstd(one, one, output="free")
    with pytest.raises(ValueError, match=r"^nnstd: tie_break must be one of .*, got 'first'$"):
        nnstd(one, one, tie_break="first")
    with pytest.raises(ValueError, match=r"^normalized_edit_distances: layers must read equally "):
        normalized_edit_distances(one, np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"^layer_distance: pattern must be one of .*, got 'x'$"):
        layer_distance(one, one, pattern="x")
    with pytest.raises(ValueError, match=r"^layer_distance: a weight must have two dimensions"):
        layer_distance(np.ones(3), np.ones(3))


def test_a_preference_for_ones_own_number_decides_ties_only():
    n = 20_000  # the second best assignment is worse by 1e-4
    long, short = np.ones(n, bool), np.arange(n) < n - 1
    first, second = np.stack([long, short]), np.stack([short, long])
    found = nnstd(first, second, tie_break="identity")
    assert (found.assignments[0].tolist(), found.distance) == ([1, 0], 0.0)


@pytest.mark.parametrize("threads", [1, 2])
def test_bits_do_not_depend_on_the_number_of_threads(threads):
    rng, before = np.random.default_rng(37), numba.get_num_threads()
    first, second = (rng.random((40, 90)) < 0.2 for _ in range(2))
    expected = naive_matrix(first, second)
    try:
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        assert normalized_edit_distances(first, second).tolist() == expected
        assert iou(first, second) == np.sum(first & second) / np.sum(first | second)
    finally:
        numba.set_num_threads(before)


def naive_matrix(first, second):
    """Of every two units: one minus intersection over union, as one division."""
    return [
        [(np.sum(a | b) - np.sum(a & b)) / max(1, np.sum(a | b)) for b in second] for a in first
    ]


def test_errors_name_the_function_that_was_called():
    with pytest.raises(ValueError, match=r"^layer_distance: tie_break must be one of .*, got 'x'$"):
        layer_distance(np.eye(2), np.eye(2), tie_break="x")
    with pytest.raises(ValueError, match=r"^layer_distance: layers must have the same shape, but"):
        layer_distance(np.eye(2), np.eye(3))
    with pytest.raises(ValueError, match=r"^effective_sparsity: mode must be one of .*, got 'x'$"):
        effective_sparsity(np.eye(2), "x")
