"""Weights over pruning iterations: Masks2020, figures 6 to 8."""

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparse_ref import csr
from sparse_ref.analysis import ordinality, stability, weight_evolution
from sparse_ref.topology import weight_stability

ROWS = [[1, -2, 0.5, 0.1], [1.2, -2.5, 0.4, 0], [1.5, -2.4, 0, 0]]
LAYER = [np.array([ROWS[0]]), *(csr.from_dense(np.array([row])) for row in ROWS[1:])]
NAN = np.nan


def test_stability_by_hand():
    assert stability(LAYER) == pytest.approx(0.24, rel=1e-14)
    assert stability(LAYER, "both") == pytest.approx(0.7 / 3, rel=1e-14)
    assert stability(LAYER, "masked") == pytest.approx(0.2125, rel=1e-14)


def test_trajectories_end_where_weights_are_pruned():
    found = weight_evolution(LAYER)
    assert found.positions.tolist() == [0, 1, 2, 3]
    ref = [[1, -2, 0.5, 0.1], [1.2, -2.5, 0.4, NAN], [1.5, -2.4, NAN, NAN]]
    np.testing.assert_array_equal(found.values, ref)


def test_of_a_dense_layer_zeros_are_weights_too():
    found = weight_evolution([np.array([[0.0, 2.0]]), csr.from_dense(np.array([[0.0, 3.0]]))])
    np.testing.assert_array_equal(found.values, [[0, 2], [NAN, 3]])


def test_a_stored_zero_is_no_end():
    kept = csr.from_dense(np.array([[0.0, 3.0]]), np.array([[True, True]]))
    np.testing.assert_array_equal(weight_evolution([kept]).values, [[0, 3]])


def layers(n, rows, columns, seed, density, dtype=np.float64):
    rng = np.random.default_rng(seed)
    presents = [rng.random((rows, columns)) < density for _ in range(n)]
    denses = [(rng.standard_normal(p.shape) * p).astype(dtype) for p in presents]
    return denses, presents, [csr.from_dense(d, p) for d, p in zip(denses, presents, strict=True)]


@given(
    st.integers(1, 4), st.integers(1, 4), st.integers(1, 5), st.integers(2, 2**32), st.floats(0, 1)
)
def test_as_the_naive_twin(n, rows, columns, seed, density):
    denses, presents, weights = layers(n, rows, columns, seed, density)
    found = weight_evolution(weights)
    ref = naive.trajectories(denses, presents)
    assert found.positions.tolist() == sorted(ref)
    assert found.values.shape == (n, len(ref))
    for line, position in zip(found.values.T, found.positions, strict=True):
        assert [None if np.isnan(v) else v for v in line] == ref[position]
    if n > 1:
        same = weight_stability(weights, "pooled")
        np.testing.assert_equal(stability(weights), same)


def test_dtype_is_kept():
    *_, weights = layers(3, 3, 4, 81, 0.7, np.float32)
    assert weight_evolution(weights).values.dtype == np.float32


def test_weights_that_keep_their_order_have_an_ordinality_of_one():
    before = np.array([[1.0, -2.0, 3.0, -4.0]])
    grown, reversed_ = -2 * before, np.array([[4.0, 3.0, -2.0, 1.0]])
    np.testing.assert_array_equal(ordinality([before, grown, reversed_]), [1, -1])


def test_ordinality_is_of_those_that_live_on():
    # 1 < 2 < 3 become .5 < 4 > 2; the fourth has gone.
    before = np.array([[1.0, 2.0, 3.0, 9.0]])
    after = csr.from_dense(np.array([[0.5, 4.0, -2.0, 0.0]]))
    np.testing.assert_allclose(ordinality([before, after]), [0.5], rtol=1e-14)


def test_ordinality_of_nothing_is_nan():
    some, others = (csr.from_dense(np.array([row])) for row in ([1.0, 0, 0], [0, 2.0, 1.0]))
    assert np.isnan(ordinality([some, others])).all()
    assert np.isnan(ordinality([others, csr.from_dense(np.array([[0.0, 3.0, 3.0]]))])).all()
    assert ordinality([some]).shape == (0,)


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"^weight_evolution: weights must be one or more of one"):
        weight_evolution([])
    with pytest.raises(ValueError, match=r"^ordinality: weights must be one or more of one shape"):
        ordinality([np.ones((1, 2)), np.ones((2, 1))])
    with pytest.raises(TypeError, match=r"^stability: weight must be a two-dimensional"):
        stability([[1.0], [2.0]])
    with pytest.raises(ValueError, match=r"^weight_stability: weights must be two or more, got 1$"):
        stability(LAYER[:1])
