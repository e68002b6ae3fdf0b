"""What counts as a topology, and what is refused."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from sparse_ref import csr, models
from sparse_ref.topology.patterns import alike, chained, layers_of, of_ones, pattern_of

WEIGHT = csr.from_dense(np.array([[0.0, 2.0], [0.0, 0.0]]), np.array([[1, 1], [0, 1]], bool))


def test_a_stored_zero_is_a_connection():
    assert csr.pattern(pattern_of(WEIGHT, "t")).tolist() == [[True, True], [False, True]]
    assert pattern_of(WEIGHT, "t") is WEIGHT


def test_a_stored_zero_is_none_where_non_zeros_are_asked_for():
    found = pattern_of(WEIGHT, "t", "nonzero")
    assert csr.pattern(found).tolist() == [[False, True], [False, False]]


def test_of_an_array_the_non_zeros_are_connections():
    mask = np.array([[True, False, True]])
    assert csr.pattern(pattern_of(mask, "t")).tolist() == mask.tolist()
    assert csr.pattern(pattern_of(csr_array(mask), "t")).tolist() == mask.tolist()


def test_a_weight_is_a_network_of_one_layer():
    assert layers_of(WEIGHT, "t") == (WEIGHT,)


def test_a_network_is_its_topology():
    net = models.mlp([4, 3, 2], density=0.5, dense=[-1], rng=np.random.default_rng(5))
    first, last = layers_of(net, "t")
    assert first is net.layers[0].weight
    assert (last.shape, last.nnz) == ((2, 3), 6)


def test_positions_become_ones():
    assert of_ones((2, 3), np.array([1, 5])).toarray().tolist() == [[0, 1, 0], [0, 0, 1]]


def test_what_is_refused():
    two = [np.ones((3, 4)), np.ones((2, 2))]
    with pytest.raises(ValueError, match=r"^t: shapes must chain, but layer 0 has 3 outputs and"):
        chained(two, "t")
    with pytest.raises(ValueError, match=r"^t: layers must have the same shape, but layer 1 has"):
        alike(two, [np.ones((3, 4)), np.ones((2, 3))], "t")
    with pytest.raises(ValueError, match=r"^t: topologies must have equally many layers, got 2"):
        alike(two, two[:1], "t")
    with pytest.raises(ValueError, match=r"^t: a topology must have at least one layer, got"):
        layers_of([], "t")
    with pytest.raises(ValueError, match=r"^t: pattern must be one of .*, got 'values'$"):
        pattern_of(WEIGHT, "t", "values")
    with pytest.raises(ValueError, match=r"^t: a weight must have two dimensions, got shape"):
        pattern_of(np.ones(3), "t")
    with pytest.raises(TypeError, match=r"^t: weight must be a two-dimensional scipy.sparse.csr_"):
        pattern_of(csr_array(np.eye(2)).tocsc(), "t")
