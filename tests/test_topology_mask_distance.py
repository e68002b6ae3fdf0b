"""IoU, Jaccard and Hamming distance (Masks2020, section 4)."""

import tracemalloc

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparse_ref import csr, models, selection
from sparse_ref.topology import hamming_distance, iou, jaccard_distance, per_layer
from sparse_ref.topology.patterns import of_ones

MEASURES = [iou, jaccard_distance, hamming_distance]


def test_by_hand():
    a, b = np.array([[1, 1, 0, 1, 0, 0]]), np.array([[1, 0, 0, 1, 1, 0]])
    assert (iou(a, b), jaccard_distance(a, b), hamming_distance(a, b)) == (0.5, 0.5, 2)
    assert hamming_distance(a, b, normalise=True) == pytest.approx(0.3333, abs=5e-5)
    assert isinstance(hamming_distance(a, b), int)


def test_networks_are_pooled_and_not_averaged():
    """I = 1 + 2, U = 4 + 2: the mean of the layers' IoUs would be 5/8."""
    a = [np.array([[1, 1, 1, 0]]), np.array([[1], [1]])]
    b = [np.array([[1, 0, 0, 1]]), np.array([[1], [1]])]
    assert (iou(a, b), jaccard_distance(a, b)) == (0.5, 0.5)
    assert (hamming_distance(a, b), hamming_distance(a, b, normalise=True)) == (3, 0.5)
    assert per_layer(iou, a, b) == (0.25, 1)
    assert per_layer(hamming_distance, a, b, normalise=True) == (0.75, 0)


def test_nothing_and_nothing_is_the_same():
    none, some = np.zeros((2, 3)), np.ones((2, 3))
    assert (iou(none, none), jaccard_distance(none, none), hamming_distance(none, none)) == (
        1,
        0,
        0,
    )
    assert (iou(none, some), jaccard_distance(none, some), hamming_distance(none, some)) == (
        0,
        1,
        6,
    )
    nowhere = np.zeros((0, 3))
    assert hamming_distance(nowhere, nowhere, normalise=True) == 0


def test_nested_masks():
    """Pruned further, a mask of n connections is ``1 - n/m`` from one of m."""
    rng = np.random.default_rng(5)
    positions = rng.permutation(20 * 30)
    masks = [of_ones((20, 30), np.sort(positions[:n])) for n in (300, 120, 60)]
    assert jaccard_distance(masks[0], masks[1]) == 180 / 300
    assert jaccard_distance(masks[0], masks[2]) == 240 / 300
    assert jaccard_distance(masks[1], masks[2]) == 60 / 120


@pytest.mark.parametrize("density", [0.01, 0.2, 0.7])
def test_masks_that_have_nothing_to_do_with_each_other(density):
    """Three standard deviations, from I's: hypergeometric, of mean nd² and variance nd²(1-d)²."""
    rng, n = np.random.default_rng(8), 400 * 500
    m = round(density * n)
    a, b = (of_ones((400, 500), np.sort(rng.choice(n, m, replace=False))) for _ in range(2))
    shared, deviation = n * density**2, np.sqrt(n) * density * (1 - density)
    low, high = (1 - i / (2 * m - i) for i in (shared + 3 * deviation, shared - 3 * deviation))
    assert low <= jaccard_distance(a, b) <= high
    assert low <= 1 - density / (2 - density) <= high


def test_a_zero_is_a_connection_unless_non_zeros_are_asked_for():
    stored = csr.from_dense(np.array([[1.0, 0.0]]), np.array([[1, 1]], bool))
    other = np.array([[1.0, 0.0]])
    assert [m(stored, other) for m in MEASURES] == [0.5, 0.5, 1]
    assert [m(stored, other, pattern="nonzero") for m in MEASURES] == [1, 0, 0]


def test_networks_of_the_library():
    rng = np.random.default_rng(9)
    one, other = (models.mlp([20, 15, 4], density=0.2, dense=[-1], rng=rng) for _ in range(2))
    assert iou(one, one) == 1
    assert iou(one, other) == iou(one.topology, other.topology)


@st.composite
def networks(draw, count):
    """Arrays of bool of the same shapes, layer by layer."""
    sides = st.tuples(st.integers(1, 4), st.integers(1, 5))
    shapes = draw(st.lists(sides, min_size=1, max_size=3))

    def layer(shape):
        size = shape[0] * shape[1]
        cells = draw(st.lists(st.booleans(), min_size=size, max_size=size))
        return np.array(cells).reshape(shape)

    return [[layer(shape) for shape in shapes] for _ in range(count)]


@given(networks(2))
def test_as_the_naive_twin(pair):
    shared, union, differing = naive.mask_counts(*pair)
    assert iou(*pair) == (shared / union if union else 1)
    assert jaccard_distance(*pair) == (differing / union if union else 0)
    assert hamming_distance(*pair) == differing
    size = sum(layer.size for layer in pair[0])
    assert hamming_distance(*pair, normalise=True) == differing / size
    assert per_layer(hamming_distance, *pair) == tuple(
        naive.mask_counts([a], [b])[2] for a, b in zip(*pair, strict=True)
    )


@given(networks(3))
def test_metrics(three):
    a, b, c = three
    for distance in (jaccard_distance, hamming_distance):
        assert distance(a, a) == 0
        assert distance(a, b) == distance(b, a)
        assert distance(a, c) <= distance(a, b) + distance(b, c) + 1e-15  # a unit in the last place
        same = all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
        assert (distance(a, b) == 0) == same
    assert iou(a, b) + jaccard_distance(a, b) == pytest.approx(1)


def test_a_large_layer_takes_no_memory():
    """100,000 x 100,000 positions, 10^6 connections: nothing of that length is made."""
    rng, n = np.random.default_rng(13), 100_000
    a, b = (of_ones((n, n), selection.random_ranks(n * n, 10**6, rng)) for _ in range(2))
    hamming_distance(a, b)
    tracemalloc.start()
    try:
        assert hamming_distance(a, b) == pytest.approx(2 * 10**6, abs=400)
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("measure", MEASURES)
def test_what_is_refused(measure):
    name = measure.__name__
    with pytest.raises(ValueError, match=f"^{name}: layers must have the same shape, but layer 0"):
        measure(np.ones((2, 3)), np.ones((3, 2)))
    with pytest.raises(ValueError, match=f"^{name}: pattern must be one of"):
        measure(np.ones((2, 3)), np.ones((2, 3)), pattern="values")
    with pytest.raises(ValueError, match=r"^per_layer: topologies must have equally many layers"):
        per_layer(measure, np.ones((2, 3)), [np.ones((2, 3))] * 2)
