"""How much weights move from one end of training to the next (Masks2020, figure 8)."""

import math

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparse_ref import csr
from sparse_ref.topology import weight_stability
from sparse_ref.topology.stability import ALIVE

#   1    2   -1   .5       |.1  .2   .   .2|  over 3 both, over 4 masked with 1 for the third
#   1.1  1.8  .   .7       |.2   .   .   .1|  over 2 both, over 4 masked with 1.8 for the second
#   1.3   .   .   .6
VALUES = [[1, 2, -1, 0.5], [1.1, 1.8, 0, 0.7], [1.3, 0, 0, 0.6]]
LAYER = [csr.from_dense(np.array([row])) for row in VALUES]


@pytest.mark.parametrize(
    ("alive", "pairs", "mean"),
    [
        ("both", [0.5 / 3, 0.15], 0.475 / 3),
        ("pooled", [0.5 / 3, 0.15], 0.16),
        ("masked", [0.375, 0.525], 0.45),
    ],
)
def test_by_hand(alive, pairs, mean):
    assert weight_stability(LAYER, alive) == pytest.approx(mean)
    found = [weight_stability(LAYER[k : k + 2], alive) for k in range(2)]
    assert found == pytest.approx(pairs)


def test_both_is_the_default():
    assert weight_stability(LAYER) == weight_stability(LAYER, "both")


def test_a_stored_zero_is_a_weight():
    before = csr.from_dense(np.array([[3.0, 1.0]]))
    after = csr.from_dense(np.array([[0.0, 1.0]]), np.array([[True, True]]))
    assert weight_stability([before, after]) == 1.5


def test_an_iteration_without_common_weights_is_skipped():
    other = csr.from_dense(np.array([[0.0, 0.0, 4.0, 0.0]]))
    assert weight_stability([LAYER[2], other, *LAYER[:2]]) == pytest.approx((0.5 / 3 + 5) / 2)
    assert math.isnan(weight_stability([LAYER[2], other]))
    assert math.isnan(weight_stability([LAYER[2], other], "pooled"))
    assert weight_stability([LAYER[2], other], "masked") == pytest.approx((1.3 + 4 + 0.6) / 4)


def test_float32_is_averaged_in_float64():
    before, after = (csr.from_dense(np.array([[v]], np.float32)) for v in (0.1, 0.3))
    ref = float(np.float32(0.3)) - float(np.float32(0.1))
    assert weight_stability([before, after]) == ref


@given(
    st.integers(2, 4), st.integers(1, 4), st.integers(1, 5), st.integers(2, 2**32), st.floats(0, 1)
)
def test_as_the_naive_twin(n, rows, columns, seed, density):
    rng = np.random.default_rng(seed)
    presents = [rng.random((rows, columns)) < density for _ in range(n)]
    denses = [rng.standard_normal(present.shape) * present for present in presents]
    layer = [csr.from_dense(d, p) for d, p in zip(denses, presents, strict=True)]
    for alive in ALIVE:
        ref = naive.stability(denses, presents, alive)
        # At most 20 numbers are summed, in another order.
        assert weight_stability(layer, alive) == pytest.approx(ref, rel=1e-13, nan_ok=True)


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"^weight_stability: weights must be two or more, got 1$"):
        weight_stability(LAYER[:1])
    with pytest.raises(ValueError, match=r"^weight_stability: alive must be one of .*, got 'x'$"):
        weight_stability(LAYER, "x")
    with pytest.raises(ValueError, match=r"^weight_stability: layers must have the same shape, "):
        weight_stability([*LAYER, csr.from_dense(np.eye(2))])
    with pytest.raises(TypeError, match=r"^weight_stability: weight must be a two-dimensional"):
        weight_stability([np.eye(2), np.eye(2)])
