"""Random patterns: Erdős-Rényi and its samplers, uniform, coins."""

import math
from fractions import Fraction
from itertools import pairwise

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparse_ref import csr
from sparse_ref.topology import (
    bernoulli,
    epsilon_for,
    erdos_renyi,
    probabilities,
    uniform,
)

LENET_300_100 = [(300, 784), (100, 300), (10, 100)]
LENET_5 = [(6, 1, 3, 3), (16, 6, 3, 3), (120, 400), (84, 120), (10, 84)]


def generator(seed=19):
    return np.random.default_rng(seed)


def sets(layers):
    """Positions of the connections of each layer."""
    return [set(csr.flat(weight).tolist()) for weight in layers]


def same(a, b):
    return sets(a) == sets(b)


# ---------------------------------------------------------------- computed by hand


@pytest.mark.parametrize(
    ("epsilon", "shape", "p"),
    [
        (1, (784, 784), 0.002551),
        (20, (784, 784), 0.05102),
        (20, (4000, 3072), 0.01151),
        (11, (100, 300), 0.146667),
        (10, (10, 100), 1.0),
    ],
)
def test_probability_of_an_epsilon(epsilon, shape, p):
    assert probabilities([shape], epsilon)[0] == pytest.approx(p, rel=3e-4)  # digits printed


@pytest.mark.parametrize(
    ("shape", "density", "epsilon"),
    [
        ((784, 784), 0.006, 2.352),
        ((1000, 1000), 0.007, 3.5),
        ((1000, 3072), 0.007, 5.2809),
    ],
)
def test_epsilon_of_a_density(shape, density, epsilon):
    found = epsilon_for([shape], density)
    assert found.epsilon == pytest.approx(epsilon, abs=5e-5)
    assert found.densities == pytest.approx((density,))


@pytest.mark.parametrize(
    ("shapes", "density", "epsilon", "densities"),
    [
        (LENET_300_100, 0.1, 17.2641509, (0.0795678, 0.2301887, 1)),
        (LENET_300_100, 0.02, 3.3400251, (0.015394, 0.044534, 0.367403)),
        ([(784, 784)] * 3 + [(10, 784)], 0.05, None, (0.045961, 0.045961, 0.045961, 1)),
        (LENET_5, 0.1, None, (1, 0.227151, 0.075933, 0.141853, 0.784365)),
    ],
)
def test_epsilon_of_a_networks_density(shapes, density, epsilon, densities):
    found = epsilon_for(shapes, density)
    assert found.densities == pytest.approx(densities, abs=6e-7)
    if epsilon is not None:
        assert found.epsilon == pytest.approx(epsilon, abs=6e-8)


@pytest.mark.parametrize(
    ("shape", "draws", "distinct"), [((1000, 784), 23_192, 22_852.3), ((10, 1000), 13_130, 7_310.1)]
)
def test_with_replacement_finds_fewer_and_never_all(shape, draws, distinct):
    """The count's standard deviation is below sqrt(draws² / 2 positions) and sqrt(positions)/2."""
    assert 13 * sum(shape) == draws
    size = math.prod(shape)
    assert naive.expected_distinct(size, draws) == pytest.approx(distinct, abs=0.05)
    (weight,) = erdos_renyi([shape], generator(), epsilon=13, sampler="set_python")
    spread = min(math.sqrt(draws**2 / (2 * size)), math.sqrt(size) / 2)
    assert abs(weight.nnz - distinct) < 6 * spread
    assert weight.nnz < size


# ---------------------------------------------------------------- the samplers


def test_exact_from_epsilon_rounds_the_expected_number():
    layers = erdos_renyi([(784, 784), (10, 100)], generator(), epsilon=20)
    assert [w.nnz for w in layers] == [20 * (784 + 784), 10 * 100]


def test_exact_from_a_density_meets_it():
    layers = erdos_renyi(LENET_300_100, generator(), density=0.1)
    assert [w.nnz for w in layers] == [18_714, 6_906, 1_000]  # of 26620
    assert sum(w.nnz for w in layers) == round(0.1 * 266_200)


@pytest.mark.parametrize(
    ("sampler", "given_as", "chances"),
    [
        ("bernoulli", {"epsilon": 11}, probabilities(LENET_300_100, 11)),
        ("itop", {"density": 0.1}, epsilon_for(LENET_300_100, 0.1).densities),
    ],
)
def test_coins_vary_around_what_is_expected(sampler, given_as, chances):
    layers = erdos_renyi(LENET_300_100, generator(), sampler=sampler, **given_as)
    for weight, p in zip(layers, chances, strict=True):
        size = math.prod(weight.shape)
        assert abs(weight.nnz - p * size) <= 6 * math.sqrt(size * p * (1 - p))
    assert layers[2].nnz == 1_000  # certain


@pytest.mark.parametrize(
    ("sampler", "given_as"),
    [
        ("exact", {"epsilon": 2.5}),
        ("exact", {"density": 0.1}),
        ("bernoulli", {"epsilon": 2.5}),
        ("set_python", {"epsilon": 2}),
        ("itop", {"density": 0.1}),
    ],
)
def test_bits_depend_on_the_generator_and_a_layer_on_its_place_alone(sampler, given_as):
    def draw(shapes, seed):
        return erdos_renyi(shapes, generator(seed), sampler=sampler, **given_as)

    shapes = [(40, 60), (30, 40), (60, 30)]
    assert same(draw(shapes, 23), draw(shapes, 23))
    assert not same(draw(shapes, 23), draw(shapes, 24))
    if "epsilon" in given_as:
        assert same(draw(shapes, 23)[:2], draw(shapes[:2], 23))


def test_a_convolution_is_stored_as_a_matrix():
    for layers in (
        erdos_renyi(LENET_5, generator(), density=0.1),
        erdos_renyi(LENET_5, generator(), density=0.1, sampler="itop"),
        erdos_renyi(LENET_5, generator(), epsilon=3, sampler="set_python"),
        uniform(LENET_5, 0.3, generator()),
        bernoulli(LENET_5, 0.3, generator()),
    ):
        assert [w.shape for w in layers] == [(6, 9), (16, 54), (120, 400), (84, 120), (10, 84)]
        for weight in layers:
            csr.check(weight)
            assert np.all(weight.data == 1)


def test_every_position_is_equally_likely():
    """Counts of 4000 draws of 6 of 24 positions: chi-squared with 23 degrees, 60 is p < 1e-4."""
    streams = generator().spawn(4000)
    drawn = [csr.flat(erdos_renyi([(4, 6)], s, density=0.25)[0]) for s in streams]
    counts = np.bincount(np.concatenate(drawn), minlength=24)
    assert np.sum((counts - 1000) ** 2 / 1000) < 60


# ---------------------------------------------------------------- densities


shapes_of_networks = st.lists(
    st.lists(st.integers(1, 40), min_size=2, max_size=4).map(tuple), min_size=1, max_size=5
)


@given(shapes_of_networks, st.fractions(0, 1, max_denominator=50))
def test_densities_add_up_stay_below_one_and_are_the_twins(shapes, density):
    epsilon, densities = epsilon_for(shapes, float(density))
    exact_epsilon, exact = naive.erdos_renyi_densities(shapes, Fraction(float(density)))
    # Sums of a few hundred thousand in floats, 1e-16 each, and a tie at 1 decided either way.
    assert densities == pytest.approx([float(d) for d in exact], abs=1e-10)
    assert epsilon == pytest.approx(float(exact_epsilon), abs=1e-8) or all(
        d == pytest.approx(1) for d in densities
    )
    sizes = [math.prod(shape) for shape in shapes]
    total = sum(d * n for d, n in zip(densities, sizes, strict=True))
    assert total == pytest.approx(float(density) * sum(sizes), abs=1e-8)
    assert all(0 <= d <= 1 for d in densities)


@given(st.lists(st.integers(2, 60), min_size=2, max_size=5), st.floats(0.01, 0.99))
def test_a_smaller_square_layer_is_never_less_dense(sides, density):
    _, densities = epsilon_for([(n, n) for n in sides], density)
    ordered = [d for _, d in sorted(zip(sides, densities, strict=True))]
    assert all(a >= b for a, b in pairwise(ordered))


# ---------------------------------------------------------------- uniform, coins


def test_uniform_counts():
    layers = uniform([(300, 784), (100, 300)], 0.1, generator())
    assert [w.nnz for w in layers] == [23_520, 3_000]
    assert [w.nnz for w in uniform([(3, 5), (3, 5)], 0.5, generator())] == [8, 8]  # 7.5, to even


def test_coins_for_a_huge_layer_are_not_thrown_one_by_one():
    (weight,) = bernoulli([(100_000, 100_000)], 1e-4, generator())
    assert abs(weight.nnz - 1_000_000) < 6 * 1000  # standard deviation sqrt(10^6)


def test_coins_at_the_ends():
    assert [w.nnz for w in bernoulli([(4, 5), (2, 3)], 0.0, generator())] == [0, 0]
    assert [w.nnz for w in bernoulli([(4, 5), (2, 3)], 1.0, generator())] == [20, 6]


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("given_as", "words"),
    [
        ({"sampler": "coins", "epsilon": 3}, r"sampler must be one of \['exact', 'bernoulli',"),
        ({}, "sampler 'exact' takes epsilon or density and nothing else, got neither"),
        ({"epsilon": 3, "density": 0.1}, "nothing else, got epsilon and density"),
        ({"sampler": "itop", "epsilon": 3}, "'itop' takes density and nothing else, got epsilon"),
        ({"sampler": "bernoulli", "density": 0.1}, "'bernoulli' takes epsilon .* got density"),
        ({"sampler": "set_python"}, "'set_python' takes epsilon .* got neither"),
    ],
)
def test_a_sampler_takes_what_it_takes(given_as, words):
    with pytest.raises(ValueError, match=f"erdos_renyi: .*{words}"):
        erdos_renyi([(4, 5)], generator(), **given_as)


def test_set_python_takes_whole_epsilons():
    with pytest.raises(TypeError, match=r"erdos_renyi: set_python takes an integer .* got 2\.5"):
        erdos_renyi([(4, 5)], generator(), epsilon=2.5, sampler="set_python")


@pytest.mark.parametrize("epsilon", [-1, math.nan, math.inf])
@pytest.mark.parametrize("sampler", ["exact", "bernoulli", "set_python"])
def test_epsilon_is_finite_and_not_negative(epsilon, sampler):
    with pytest.raises(ValueError, match=r"^erdos_renyi: epsilon must be finite and >= 0, got "):
        erdos_renyi([(4, 5)], generator(), epsilon=epsilon, sampler=sampler)
    with pytest.raises(ValueError, match=r"^probabilities: epsilon must be finite and >= 0, got "):
        probabilities([(4, 5)], epsilon)


EVERY = {
    "erdos_renyi": lambda shapes, density, rng: erdos_renyi(shapes, rng, density=density),
    "epsilon_for": lambda shapes, density, rng: epsilon_for(shapes, density),
    "uniform": uniform,
    "bernoulli": bernoulli,
}
every = pytest.mark.parametrize("name", EVERY)


@every
@pytest.mark.parametrize("density", [-0.1, 1.1, math.nan])
def test_density_is_a_fraction(name, density):
    with pytest.raises(ValueError, match=rf"^{name}: density must be in \[0, 1\], got {density}$"):
        EVERY[name]([(4, 5)], density, generator())


@every
@pytest.mark.parametrize("shape", [(5,), (5, 0), (0, 3)])
def test_shapes_that_are_none(name, shape):
    with pytest.raises(ValueError, match=rf"^{name}: a shape must have two or more dimensions, a"):
        EVERY[name]([(4, 5), shape], 0.1, generator())


@every
def test_no_layer_at_all_is_refused(name):
    with pytest.raises(ValueError, match=rf"^{name}: shapes must name at least one layer, got no"):
        EVERY[name]([], 0.1, generator())


@pytest.mark.parametrize("name", ["erdos_renyi", "uniform", "bernoulli"])
def test_a_seed_is_no_generator(name):
    with pytest.raises(TypeError, match=rf"^{name}: rng must be a numpy.random.Generator, got in"):
        EVERY[name]([(4, 5)], 0.1, 5)


@pytest.mark.parametrize("shapes", [[(2, 2)], [(300, 784)], [(784, 784)] * 3 + [(10, 784)]])
def test_everything_is_complete_at_density_1(shapes):
    assert epsilon_for(shapes, 1.0).densities == pytest.approx([1.0] * len(shapes), abs=1e-15)
