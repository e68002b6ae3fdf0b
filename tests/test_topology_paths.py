"""Effective sparsity: what lies on a path from an input to an output."""

import itertools
import math

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparse_ref import Dense, Linear, Network, ReLU, csr
from sparse_ref.topology import effective_pattern, effective_sparsity, effective_units
from sparse_ref.topology.paths import MODES
from sparse_ref.topology.patterns import of_ones

# Three layers written input by input, (n_in, n_out), as in the papers on topology: 10 of 30.
#
#   a0 -> b0, b3      b0 -> c0             c0 -> d0
#   a1 -> b1          b1 -> none           c1 -> none
#   a2 -> b3          b2 -> c1, c2         c2 -> d1      nothing feeds b2
#                     b3 -> c2
M1 = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 1]])
M2 = np.array([[1, 0, 0], [0, 0, 0], [0, 1, 1], [0, 0, 1]])
M3 = np.array([[1, 0], [0, 0], [0, 1]])
LAYERS = [m.T for m in (M1, M2, M3)]


@pytest.mark.parametrize(
    ("mode", "counts", "sparsity"),
    [("both", [3, 2, 2], 23 / 30), ("output", [3, 3, 2], 22 / 30), ("input", [4, 2, 2], 22 / 30)],
)
def test_by_hand(mode, counts, sparsity):
    assert [layer.nnz for layer in effective_pattern(LAYERS, mode)] == counts
    assert effective_sparsity(LAYERS, mode) == pytest.approx(sparsity)


def test_both_is_the_default_and_its_connections_are_those_drawn():
    found = [csr.pattern(layer).T.astype(int).tolist() for layer in effective_pattern(LAYERS)]
    assert found[0] == [[1, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 1]]
    assert found[1] == [[1, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 1]]
    assert found[2] == [[1, 0], [0, 0], [0, 1]]
    assert effective_sparsity(LAYERS) == effective_sparsity(LAYERS, "both")


def test_units_by_hand():
    units = [u.astype(int).tolist() for u in effective_units(LAYERS)]
    assert units == [[1, 0, 1], [1, 0, 0, 1], [1, 0, 1], [1, 1]]
    units = [u.astype(int).tolist() for u in effective_units(LAYERS, "output")]
    assert units == [[1, 0, 1], [1, 0, 1, 1], [1, 0, 1], [1, 1]]
    units = [u.astype(int).tolist() for u in effective_units(LAYERS, "input")]
    assert units == [[1, 1, 1], [1, 1, 0, 1], [1, 0, 1], [1, 1]]


def test_values_are_kept_to_the_bit_and_stored_zeros_are_connections():
    dense = np.array([[0.0, -0.0], [5.0, 7.0]], np.float32)
    first = csr.from_dense(dense, np.ones((2, 2), bool))
    second = csr.from_dense(np.array([[0.0, 0.0]], np.float32), np.array([[True, False]]))
    one, two = effective_pattern([first, second])
    assert one.data.tobytes() == dense[0].tobytes()
    assert (one.indices.tolist(), one.dtype) == ([0, 1], np.float32)
    assert two is second  # nothing goes
    assert [la.nnz for la in effective_pattern([first, second], pattern="nonzero")] == [0, 0]
    assert effective_sparsity([first, second], pattern="nonzero") == 1
    assert not any(u.any() for u in effective_units([first, second], pattern="nonzero"))


def test_biases_do_not_count():
    """The unit emits its bias; by definition its connection is still of no effect."""
    empty = csr.from_positions((1, 2), np.empty(0, np.int64), np.empty(0))
    last = csr.from_dense(np.ones((1, 1)))
    net = Network([Linear(empty, np.ones(1)), ReLU(), Linear(last)])
    assert [layer.nnz for layer in effective_pattern(net)] == [0, 0]
    assert net.predict(np.zeros((1, 2))) == 1


def test_dense_layers_of_a_network_are_complete():
    first = csr.from_dense(np.array([[1.0, 0.0], [0.0, 0.0]]))
    net = Network([Linear(first), ReLU(), Dense(np.zeros((3, 2)))])
    assert [layer.nnz for layer in effective_pattern(net)] == [1, 3]
    assert effective_sparsity(net) == 1 - 4 / 10


def test_all_of_a_dense_network_is_effective():
    layers = [np.ones((3, 4)), np.ones((2, 3))]
    assert effective_sparsity(layers) == 0


def test_all_of_a_ring_is_effective():
    """As in RadiX-Nets, every unit has connections on both sides."""
    ring = of_ones((6, 6), np.flatnonzero(np.eye(6) + np.roll(np.eye(6), 2, axis=0)))
    for mode in MODES:
        assert all(one is ring for one in effective_pattern([ring] * 3, mode))
    assert effective_sparsity([ring] * 3) == pytest.approx(1 - 2 / 6)


def test_without_positions_there_is_no_sparsity():
    assert math.isnan(effective_sparsity([np.ones((0, 4)), np.ones((2, 0))]))


@st.composite
def networks(draw, most=5):
    """Masks (n_out, n_in) that chain, with dead units at most densities."""
    widths = draw(st.lists(st.integers(1, most), min_size=2, max_size=5))
    rng = np.random.default_rng(draw(st.integers(2, 2**32)))
    density = draw(st.sampled_from([0.1, 0.3, 0.5, 0.9]))
    return [rng.random((b, a)) < density for a, b in itertools.pairwise(widths)]


@given(networks(), st.sampled_from(MODES))
def test_as_the_naive_twin_that_walks_every_path(presents, mode):
    ref = naive.effective(presents, mode)
    comp = effective_pattern(presents, mode)
    for one, other in zip(ref, comp, strict=True):
        np.testing.assert_array_equal(csr.pattern(other), one)
    positions = sum(present.size for present in presents)
    assert effective_sparsity(presents, mode) == 1 - sum(r.sum() for r in ref) / positions


@given(networks())
def test_contained_idempotent_and_ordered(presents):
    both, output, of_input = (effective_pattern(presents, mode) for mode in MODES)
    for mode in MODES:
        found = effective_pattern(presents, mode)
        for one, present in zip(found, presents, strict=True):
            assert not (csr.pattern(one) & ~present).any()
        again = effective_pattern(found, mode)
        assert all(a is b for a, b in zip(again, found, strict=True))
        sparsity = 1 - sum(p.sum() for p in presents) / sum(p.size for p in presents)
        assert effective_sparsity(presents, mode) >= sparsity
    for one, two, three in zip(both, output, of_input, strict=True):
        np.testing.assert_array_equal(csr.pattern(one), csr.pattern(two) & csr.pattern(three))
    if any(not present.any() for present in presents):
        assert sum(layer.nnz for layer in both) == 0


@given(networks())
def test_units_are_the_ends_of_effective_connections(presents):
    units, layers = effective_units(presents), effective_pattern(presents)
    for k, layer in enumerate(layers):
        mask = csr.pattern(layer)
        np.testing.assert_array_equal(units[k + 1], mask.any(axis=1))
        np.testing.assert_array_equal(units[k], mask.any(axis=0))


@pytest.mark.parametrize("function", [effective_pattern, effective_sparsity, effective_units])
def test_what_is_refused(function):
    who = function.__name__
    with pytest.raises(ValueError, match=rf"^{who}: shapes must chain, but layer 0 has 2 outputs"):
        function([np.ones((2, 2)), np.ones((2, 3))])
    with pytest.raises(ValueError, match=r"mode must be one of .*, got 'forward'$"):
        function(LAYERS, "forward")
