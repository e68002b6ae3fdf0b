"""Widths without dead units, by three rules."""

import math

import naive
import numpy as np
import pytest
from hypothesis import given
from test_topology_paths import LAYERS, networks

from sparse_ref import csr
from sparse_ref.topology import downsized_parameters, effective_pattern, effective_units, survivors
from sparse_ref.topology.downsizing import RULES, cut


def test_by_hand():
    """Unit c1 has an input, b2, and b2 an output, c2: both go only if one goes on from there."""
    rigl = survivors(LAYERS, "rigl")
    assert rigl.widths == (3, 2, 2, 2)
    assert rigl.shapes == ((2, 3), (2, 2), (2, 2))
    assert (rigl.connections, rigl.sparsities) == ((3, 2, 2), (0.5, 0.5, 0.5))
    assert rigl.parameters == 6 + 4 + 4
    fixpoint = survivors(LAYERS)
    assert fixpoint.widths == (2, 2, 2, 2)
    assert (fixpoint.connections, fixpoint.sparsities) == ((3, 2, 2), (0.25, 0.5, 0.5))
    local = survivors(LAYERS, "local")
    assert local.shapes == ((3, 3), (3, 3), (2, 2))  # Params*: they do not chain
    assert local.widths == (3, 2, 2, 2)
    assert (local.parameters, local.connections) == (22, (4, 4, 2))


def test_the_sweep_of_rigl_is_no_fixpoint():
    """The only output of the first hidden unit is a unit that goes later."""
    chain = [np.array([[1]]), np.array([[1]]), np.array([[0]])]
    assert survivors(chain, "rigl").widths == (1, 1, 0, 0)
    assert survivors(chain).widths == (0, 0, 0, 0)


def test_what_is_left_of_nothing_has_no_sparsity():
    found = survivors([np.zeros((2, 3))])
    assert found == ((0, 0), ((0, 0),), (0,))
    assert (found.parameters, math.isnan(found.sparsities[0])) == (0, True)


@given(networks())
def test_as_the_naive_twins(presents):
    widths, sparsities = naive.compressed(presents)
    rigl = survivors(presents, "rigl")
    assert list(rigl.widths) == widths
    np.testing.assert_array_equal(rigl.sparsities, sparsities)
    assert survivors(presents, "local").parameters == naive.downsized(presents)
    masks = naive.effective(presents, "both")
    ref = [masks[0].any(axis=0).sum(), *(mask.any(axis=1).sum() for mask in masks)]
    fixpoint = survivors(presents)
    assert list(fixpoint.widths) == ref
    assert list(fixpoint.connections) == [mask.sum() for mask in masks]


@given(networks())
def test_each_rule_leaves_no_more_than_the_next(presents):
    fixpoint, rigl, local = (survivors(presents, rule) for rule in RULES)
    for a, b, c, n in zip(
        fixpoint.widths, rigl.widths, local.widths, _widths(presents), strict=True
    ):
        assert a <= b <= c <= n
    assert fixpoint.parameters <= rigl.parameters <= local.parameters
    assert sum(fixpoint.connections) <= sum(rigl.connections) <= sum(local.connections)
    weights = [csr.from_dense(p.astype(float)) for p in presents]
    assert local.parameters == downsized_parameters(weights)
    assert local.connections == tuple(w.nnz for w in weights)


@given(networks())
def test_the_fixpoint_is_one(presents):
    units = effective_units(presents)
    smaller = [
        cut(layer, units[k + 1], units[k])[0] for k, layer in enumerate(effective_pattern(presents))
    ]
    found = survivors(presents)
    assert tuple(layer.shape for layer in smaller) == found.shapes
    for rule in RULES:
        assert survivors(smaller, rule) == found


def test_a_stored_zero_is_a_connection_unless_non_zeros_are_asked_for():
    weight = csr.from_dense(np.array([[0.0, 2.0]]), np.array([[True, True]]))
    for rule in RULES:
        assert survivors(weight, rule).widths == (2, 1)
        assert survivors(weight, rule, pattern="nonzero").widths == (1, 1)


def test_a_cut_keeps_values_between_the_units_kept():
    dense = np.array([[1.0, 0.0, 2.0], [3.0, 4.0, 0.0], [0.0, 5.0, -0.0]])
    weight = csr.from_dense(dense, np.array([[1, 0, 1], [1, 1, 0], [0, 1, 1]], bool))
    rows, columns = np.array([True, False, True]), np.array([False, True, True])
    small, slots = cut(weight, rows, columns)
    np.testing.assert_array_equal(csr.to_dense(small), dense[np.ix_(rows, columns)])
    assert (slots.tolist(), small.nnz) == ([1, 4, 5], 3)
    assert small.data.tobytes() == weight.data[slots].tobytes()
    assert not np.shares_memory(small.data, weight.data)


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match=r"^survivors: rule must be one of .*, got 'global'$"):
        survivors(LAYERS, "global")


def _widths(presents):
    return [presents[0].shape[1], *(len(present) for present in presents)]
