"""The sparse DNN challenge: layers and inference."""

import naive
import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sparse_ref import csr
from sparse_ref.topology import categories, graph_challenge, infer, radix_path_count
from sparse_ref.topology.graph_challenge import BIAS, CEILING, rectify


def layer(rows):
    """A weight whose zeros are absent."""
    return csr.from_dense(np.array(rows, float))


# ---------------------------------------------------------------- by hand


def test_two_layers_by_hand():
    #            z = (3, -1, 0)               + 0.5, not on the 0
    first = layer([[1, 1, 0], [0, 0, -1], [1, -0.5, 0]])
    second = layer([[10, 0, 0], [0, 1, 1], [0.5, 0, 0]])
    y = infer([first], np.array([[1.0, 2.0, 1.0]]), 0.5)
    assert y.tolist() == [[3.5, 0, 0]]
    assert infer([first, second], np.array([[1.0, 2.0, 1.0]]), 0.5).tolist() == [[32, 0, 2.25]]


def test_a_unit_at_exactly_zero_takes_no_bias():
    assert infer([layer([[1, -1], [1, 1]])], np.array([[1.0, 1.0]]), 0.25).tolist() == [[0, 2.25]]


def test_below_zero_and_above_the_ceiling():
    weight = layer([[1, 0], [0, 40]])
    x = np.array([[0.25, 1.0]])
    assert infer([weight], x, -0.3).tolist() == [[0, 32]]
    assert infer([weight], x, -0.5, ceiling=np.inf).tolist() == [[0, 39.5]]
    assert infer([weight], x, -0.5, ceiling=3.0).tolist() == [[0, 3]]


def test_categories_count_from_one():
    assert categories(np.array([[0, 0], [0, 1.5], [32, 0]])).tolist() == [2, 3]
    assert categories(np.zeros((3, 2))).tolist() == []


@pytest.mark.parametrize(
    ("neurons", "radices", "density", "bias"),
    [
        (1024, 6, 0.03125, -0.30),
        (4096, 8, 0.0078125, -0.35),
        (16384, 10, 0.001953125, -0.40),
    ],
)
def test_layers_have_32_connections_a_unit(neurons, radices, density, bias):
    layers = graph_challenge(neurons, radices)
    for weight in layers:
        assert weight.shape == (neurons, neurons)
        assert weight.dtype == np.float32
        assert set(np.diff(weight.indptr)) == {32}
        assert set(np.bincount(weight.indices, minlength=neurons)) == {32}
        assert set(weight.data) == {0.0625}
        assert weight.nnz / neurons**2 == density
    assert BIAS[neurons] == bias
    assert radix_path_count([(2,) * radices], (16,) * (radices + 1)) == 16 ** (radices - 1)


def test_a_deep_network_is_the_same_layers_again():
    layers = graph_challenge(1024, 120)
    assert sum(w.nnz for w in layers) == 3_932_160 == 32 * 1024 * 120
    assert len({id(w) for w in layers}) == 6
    assert all(layers[k] is layers[k % 6] for k in range(120))


def test_the_widest_layers_are_as_the_others():
    """A layer is large, so one of them is enough; 65536 = 16 * 2^12."""
    assert sorted(BIAS) == [1024, 4096, 16384, 65536]
    assert BIAS[65536] == -0.45
    assert [16 * 2**d for d in (6, 8, 10, 12)] == sorted(BIAS)


# ---------------------------------------------------------------- against the twin

small = st.integers(1, 7)


@st.composite
def networks(draw):
    """Layers of multiples of 1/8, so that sums are exact and zeros meet zeros; examples."""
    widths = draw(st.lists(small, min_size=2, max_size=8))
    eighths = st.integers(-12, 12).map(lambda n: n / 8)
    shapes = zip(widths[1:], widths[:-1], strict=True)
    layers = [draw(arrays.arrays(np.float64, shape, elements=eighths)) for shape in shapes]
    x = draw(arrays.arrays(np.float64, (draw(st.integers(1, 5)), widths[0]), elements=eighths))
    return layers, x


@given(networks(), st.sampled_from([-0.25, 0.5, 0.0]), st.sampled_from([32.0, 1.5]))
def test_as_the_naive_twin(network, bias, ceiling):
    layers, x = network
    ref = naive.challenge_inference(layers, x, bias, ceiling)
    comp = infer([layer(rows) for rows in layers], x, bias, ceiling=ceiling)
    # Seven layers of products of eighths fit 53 bits: nothing is rounded.
    assert np.array_equal(comp, ref)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 63, 700])
def test_the_challenges_network_as_the_twin(dtype, n):
    layers = graph_challenge(1024, 13)
    rng = np.random.default_rng(67)
    x = (rng.random((n, 1024)) < rng.uniform(0, 0.5, (n, 1))).astype(dtype)
    comp = infer(layers, x, BIAS[1024])
    some = np.unique([0, n // 2, n - 1])
    ref = naive_by_matrix(layers, x[some].astype(float), BIAS[1024])
    assert comp.dtype == dtype
    # A sum of 32 terms up to 2 with float32's 6e-8, through 13 layers of gain at most 2.
    assert np.allclose(comp[some], ref, rtol=0, atol=13 * 2**13 * 64 * np.finfo(dtype).eps)
    assert categories(comp).tolist() == [k + 1 for k in range(n) if comp[k].any()]


def naive_by_matrix(layers, x, bias):
    y = x
    for weight in layers:
        z = y @ csr.to_dense(weight).T
        y = np.where(z == 0, 0, np.clip(z + bias, 0, CEILING))
    return y


def test_examples_that_die_out_leave_the_others_alone():
    layers = graph_challenge(1024, 30)
    rng = np.random.default_rng(71)
    x = (rng.random((90, 1024)) < np.where(np.arange(90) % 3, 0.45, 0.05)[:, None]).astype(float)
    y = infer(layers, x, BIAS[1024])
    assert categories(y).tolist() == [k + 1 for k in range(90) if k % 3]
    assert np.array_equal(y[1::3], infer(layers, x[1::3], BIAS[1024]))


def test_sparse_examples_are_taken_too():
    layers = graph_challenge(1024, 9)
    x = (np.random.default_rng(73).random((70, 1024)) < 0.4).astype(np.float32)
    assert np.array_equal(infer(layers, csr.from_dense(x), -0.3), infer(layers, x, -0.3))


def test_no_examples_no_answer():
    y = infer(graph_challenge(1024, 2), np.zeros((0, 1024)), -0.3)
    assert y.shape == (0, 1024)
    assert categories(y).tolist() == []


def test_a_bias_for_each_layer():
    weight = layer([[1.0]])
    assert infer([weight, weight], np.array([[1.0]]), [0.5, 0.25]).tolist() == [[1.75]]


def test_the_same_bits_for_any_number_of_threads():
    layers, x = graph_challenge(1024, 12), np.random.default_rng(79).random((300, 1024))
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        alone = infer(layers, x, -0.3)
    finally:
        numba.set_num_threads(before)
    assert np.array_equal(alone, infer(layers, x, -0.3))


def test_what_is_no_number_shows():
    z = np.array([np.nan, 0.0, -0.0, 0.2, 40.0, -3.0], np.float32)
    rectify(z, np.float32(-0.5), np.float32(32))
    assert np.isnan(z[0])
    assert z[1:].tolist() == [0, 0, 0, 32, 0]


def test_a_thousand_images_through_120_layers():
    x = (np.random.default_rng(83).random((1024, 1024)) < 0.4).astype(np.float32)
    y = infer(graph_challenge(1024, 120), x, BIAS[1024])
    assert len(categories(y)) == 1024  # each has enough of ones to go on for ever
    assert y.max() == 32


# ---------------------------------------------------------------- errors


def test_networks_the_challenge_does_not_have():
    with pytest.raises(ValueError, match=r"neurons must be one of \[1024, .*\], got 1000"):
        graph_challenge(1000, 120)
    with pytest.raises(ValueError, match="graph_challenge: depth must be >= 1, got 0"):
        graph_challenge(1024, 0)


def test_examples_that_do_not_fit():
    layers = graph_challenge(1024, 2)
    with pytest.raises(ValueError, match=r"infer: x must be \(n, 1024\), .* got shape \(3, 784\)"):
        infer(layers, np.zeros((3, 784)), -0.3)
    with pytest.raises(TypeError, match="infer: x must be float32 or float64, got int64"):
        infer(layers, np.zeros((3, 1024), int), -0.3)
    with pytest.raises(ValueError, match=r"one for each of 2 layers, got shape \(3,\)"):
        infer(layers, np.zeros((3, 1024)), [1, 2, 3])
    with pytest.raises(ValueError, match="infer: shapes must chain"):
        infer([layer([[1.0]]), layer([[1.0, 2.0]])], np.zeros((1, 1)), 0)
    with pytest.raises(ValueError, match=r"categories: y must be \(n, n_out\), got shape \(3,\)"):
        categories(np.zeros(3))


@pytest.mark.parametrize("ceiling", [-1.0, np.nan])
def test_a_ceiling_below_zero_is_refused(ceiling):
    with pytest.raises(ValueError, match=r"^infer: ceiling must be at least 0, got "):
        infer([np.ones((2, 2))], np.ones((1, 2)), 0.0, ceiling=ceiling)
