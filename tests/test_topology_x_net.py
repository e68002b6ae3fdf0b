"""X-Nets: random layers of constant degree (Prabhu et al. 2018)."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparse_ref import csr
from sparse_ref.topology import expected_isolated, x_net


def generator(seed=53):
    return np.random.default_rng(seed)


def degrees(weight):
    """In-degrees, out-degrees."""
    pattern = csr.pattern(weight)
    return pattern.sum(axis=1), pattern.sum(axis=0)


# ---------------------------------------------------------------- by hand


@pytest.mark.parametrize(("degree", "isolated"), [(8, 36.1), (78, 1.7e-11)])
def test_isolated_inputs_of_lenets_first_layer(degree, isolated):
    assert expected_isolated((300, 784), degree) == pytest.approx(isolated, rel=0.02)
    assert expected_isolated((784, 300), degree) == expected_isolated((300, 784), degree)


def test_fewer_outputs_choose_inputs():
    (weight,) = x_net([(300, 784)], 8, generator())
    into, out_of = degrees(weight)
    assert set(into) == {8}
    assert weight.nnz == 8 * 300
    # 36.1 expected; fewer than Poisson's, so a standard deviation below 6.01
    assert abs(np.sum(out_of == 0) - 36.1) < 6 * 6.01


def test_fewer_inputs_choose_outputs():
    (weight,) = x_net([(784, 300)], 8, generator())
    into, out_of = degrees(weight)
    assert set(out_of) == {8}
    assert weight.nnz == 8 * 300
    assert len(set(into)) > 1


def test_inputs_choose_where_both_sides_are_as_large():
    (weight,) = x_net([(50, 50)], 3, generator())
    into, out_of = degrees(weight)
    assert set(out_of) == {3}
    assert len(set(into)) > 1


@pytest.mark.parametrize("shape", [(300, 784), (784, 300), (50, 50)])
def test_outputs_choose_in_the_paper(shape):
    (weight,) = x_net([shape], 8, generator(), regular="outputs")
    assert set(degrees(weight)[0]) == {8}
    assert weight.nnz == 8 * shape[0]


def test_isolated_inputs_where_outputs_choose():
    n = expected_isolated((784, 300), 8, regular="outputs")
    assert n == pytest.approx(300 * (1 - 8 / 300) ** 784)


# ---------------------------------------------------------------- invariants


@given(
    st.integers(1, 12),
    st.integers(1, 12),
    st.sampled_from(["smaller", "outputs"]),
    st.integers(2, 1000),
    st.data(),
)
def test_one_side_is_regular(n_out, n_in, regular, seed, data):
    outputs = regular == "outputs" or n_out < n_in
    choosing, choices = (n_out, n_in) if outputs else (n_in, n_out)
    degree = data.draw(st.integers(1, choices))
    (weight,) = x_net([(n_out, n_in)], degree, generator(seed), regular=regular)
    csr.check(weight)  # canonical: no connection twice
    assert set(degrees(weight)[0 if outputs else 1]) == {degree}
    assert weight.nnz == choosing * degree
    assert weight.dtype == np.float32
    assert np.all(weight.data == 1)


def test_a_degree_for_each_layer():
    layers = x_net([(5, 9), (7, 5)], [4, 2], generator())
    assert [w.nnz for w in layers] == [4 * 5, 2 * 5]


@pytest.mark.parametrize("degree", [2, 4])  # drawn, and drawn as what is left out
def test_every_choice_is_equally_likely(degree):
    """6000 units choose among 6: a pair of columns is chosen by each in as many as any other."""
    (weight,) = x_net([(6000, 6)], degree, generator(), regular="outputs")
    codes = csr.pattern(weight) @ (1 << np.arange(6))
    counts = np.unique(codes, return_counts=True)[1]
    n = math.comb(6, degree)
    assert len(counts) == n == 15
    expected = 6000 / n
    assert np.sum((counts - expected) ** 2 / expected) < 45  # chi-squared, 14 degrees: p < 1e-4


def test_bits_depend_on_the_generator_and_a_layer_on_its_place_alone():
    def draw(shapes, seed):
        return [csr.flat(w).tolist() for w in x_net(shapes, 3, generator(seed))]

    shapes = [(30, 20), (20, 30), (25, 25)]
    assert draw(shapes, 59) == draw(shapes, 59)
    assert draw(shapes, 59) != draw(shapes, 61)
    assert draw(shapes[:2], 59) == draw(shapes, 59)[:2]


def test_a_huge_layer_is_drawn_from_its_connections_alone():
    (weight,) = x_net([(100_000, 100_000)], 10, generator())
    assert weight.nnz == 1_000_000


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("degree", "words"),
    [
        (0, r"degree must be in \[1, 9\], .* shape \(5, 9\), got 0"),
        (10, r"degree must be in \[1, 9\], .* got 10"),
    ],
)
def test_a_degree_there_are_no_units_for(degree, words):
    with pytest.raises(ValueError, match=f"x_net: {words}"):
        x_net([(5, 9)], degree, generator())
    with pytest.raises(ValueError, match=f"expected_isolated: {words}"):
        expected_isolated((5, 9), degree)


def test_the_limit_is_the_side_that_is_chosen_from():
    with pytest.raises(ValueError, match=r"degree must be in \[1, 5\]"):
        x_net([(9, 5)], 6, generator(), regular="outputs")
    assert x_net([(9, 5)], 6, generator())[0].nnz == 30


def test_arguments_of_the_wrong_kind():
    with pytest.raises(TypeError, match=r"x_net: degree must be an integer, got 2\.5"):
        x_net([(5, 9)], 2.5, generator())
    with pytest.raises(ValueError, match="a degree for each of 2 layers, got 3"):
        x_net([(5, 9), (4, 5)], [1, 2, 3], generator())
    with pytest.raises(ValueError, match=r"must have units on both sides, got shape \(0, 9\)"):
        x_net([(0, 9)], 1, generator())
    with pytest.raises(ValueError, match=r"regular must be one of \['smaller', 'outputs'\], got"):
        x_net([(5, 9)], 1, generator(), regular="inputs")
