"""Counts per layer: hand numbers, conservation, and the laws of the draws."""

import itertools
import math
import re
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparse_ref.allocation import (
    DISTRIBUTIONS,
    allocate,
    apportion,
    bernoulli,
    erdos_renyi,
    erdos_renyi_kernel,
    exact,
    set_epsilon,
    uniform,
    with_replacement,
)

LENET_300_100 = [(300, 784), (100, 300), (10, 100)]
LENET_5 = [(20, 1, 5, 5), (50, 20, 5, 5), (500, 800), (10, 500)]

dims = st.integers(1, 40)
linear = st.tuples(dims, dims)
conv = st.tuples(dims, dims, st.integers(1, 5), st.integers(1, 5))
networks = st.lists(linear | conv, min_size=1, max_size=6)
densities = st.floats(0, 1)
every_distribution = pytest.mark.parametrize(
    "distribution", [*DISTRIBUTIONS.values(), partial(erdos_renyi_kernel, power=0.5)]
)


def sizes_of(shapes):
    return [math.prod(shape) for shape in shapes]


def message(text):
    return re.escape(text)


# Hand numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("density", "rigl", "target"),
    [
        # fc1    fc2    fc3     connections to give away
        (0.50, [102101, 30000, 1000], 133100),  # fc2 and fc3 capped
        (0.20, [38160, 14081, 1000], 53240),  # fc3 capped
        (0.10, [18715, 6906, 1000], 26620),  # fc3 capped
        (0.05, [9052, 3341, 919], 13310),
        (0.02, [3621, 1337, 368], 5324),
        (0.01, [1811, 669, 184], 2662),
    ],
)
@pytest.mark.parametrize("distribution", [erdos_renyi, erdos_renyi_kernel])
def test_lenet_300_100(distribution, density, rigl, target):
    assert distribution(LENET_300_100, density, rounding="rigl_floor").tolist() == rigl
    comp = distribution(LENET_300_100, density)
    assert comp.sum() == target
    assert np.all(np.abs(comp - rigl) <= 1)


def test_largest_remainder_worked_by_hand():
    # fc3 is full: 25620 connections are left for fc1 : fc2 = 1084 : 400
    #   fc1  25620 * 1084 / 1484 = 18714.34  -> 18714
    #   fc2  25620 *  400 / 1484 =  6905.66  ->  6906
    assert erdos_renyi(LENET_300_100, 0.1).tolist() == [18714, 6906, 1000]


@pytest.mark.parametrize(
    ("distribution", "density", "ref"),
    [
        (erdos_renyi_kernel, 0.10, [500, 2177, 35374, 5000]),
        (erdos_renyi, 0.10, [500, 21546, 16005, 5000]),
        (erdos_renyi_kernel, 0.02, [139, 359, 5827, 2286]),  # none capped
        (erdos_renyi, 0.02, [500, 3987, 2962, 1162]),  # conv1 capped
    ],
)
def test_lenet_5_caffe(distribution, density, ref):
    assert distribution(LENET_5, density, rounding="rigl_floor").tolist() == ref
    comp = distribution(LENET_5, density)
    assert comp.sum() == round(density * 430500)
    assert np.all(np.abs(comp - ref) <= 1)


def test_power_one_half_softens_erk():
    comp = erdos_renyi_kernel(LENET_300_100, 0.1, power=0.5) / sizes_of(LENET_300_100)
    np.testing.assert_allclose(comp, [0.091443, 0.155533, 0.446734], atol=1e-3)  # 1 in 1000 of fc3
    np.testing.assert_allclose(comp[0], 0.091443, atol=5e-6)  # one connection is 4e-6 of fc1


def test_floor_of_the_target_shows_in_tiny_layers():
    # Two layers of six, sparsity 0.3: the target is floor(1.8) = 1 zero each, so ERK's s is 1/6.
    # Then floor(s * 6) stands at 1 and the last bit decides: 1 - 0.8333333333333334 < 1/6, 0 zeros.
    tiny = [(3, 2, 1, 1)] * 2
    assert uniform(tiny, 0.7, rounding="rigl_floor").tolist() == [5, 5]
    assert erdos_renyi_kernel(tiny, 0.7, rounding="rigl_floor").tolist() == [6, 6]
    assert erdos_renyi_kernel(tiny, 0.7).tolist() == [4, 4]  # 8.4 -> 8 in all


@pytest.mark.parametrize(("sparsity", "zeros"), [(0.29, 28), (0.57, 56), (0.1, 10)])
def test_rigl_floor_has_rigls_float_traps(sparsity, zeros):
    assert uniform([(10, 10)], 1 - sparsity, rounding="rigl_floor").tolist() == [100 - zeros]


def test_rigl_mnist_custom_sparsities():
    # rigl/mnist: sparsity 0.98, second layer 0.9 * 0.98, third layer dense
    comp = uniform(LENET_300_100, 0.02, custom={1: 1 - 0.882, 2: 1.0}, rounding="rigl_floor")
    assert comp.tolist() == [235200 - 230496, 30000 - 26460, 1000]


def test_set_epsilon_by_hand():
    # 20 * (784 + 1000); 20 * 1010 of 10000 is clipped; conv as 20 x 25: 2 * (20 + 25)
    assert set_epsilon([(1000, 784), (10, 1000)], 20).tolist() == [35680, 10000]
    assert set_epsilon([(20, 1, 5, 5)], 2).tolist() == [90]


def test_set_epsilon_rounds_half_to_even():
    assert set_epsilon([(2, 3), (3, 4)], 0.5).tolist() == [2, 4]  # 2.5 and 3.5


def test_single_layer_gets_the_density():
    for distribution in DISTRIBUTIONS.values():
        assert distribution([(2, 4)], 0.5).tolist() == [4]
        assert distribution([(2, 4)], 0.5, rounding="rigl_floor").tolist() == [4]


def naive_rigl(shapes, sparsity, dims, power):
    """The RigL rule with a table of named layers, as a NumPy user would write it down."""
    raw = {
        i: np.float64(sum(s[:dims]) / math.prod(s[:dims])) ** power for i, s in enumerate(shapes)
    }
    sizes = dict(enumerate(sizes_of(shapes)))
    zeros = {i: int(np.floor(sparsity * sizes[i])) for i in raw}
    thin = dict(raw)
    while thin:
        budget = sum(sizes[i] - zeros[i] if i in thin else -zeros[i] for i in raw)
        scale = budget / np.cumsum([thin[i] * sizes[i] for i in thin])[-1]
        top = max(thin.values())
        if top * scale <= 1 + 1e-12:
            break
        thin = {i: ratio for i, ratio in thin.items() if ratio != top}
    rest = {i: max(1 - scale * thin[i], 0.0) if i in thin else 0.0 for i in raw}
    return [sizes[i] - int(np.floor(rest[i] * sizes[i])) for i in raw]


@given(shapes=networks, thousandths=st.integers(0, 1000))
def test_rigl_floor_equals_its_naive_twin(shapes, thousandths):
    sparsity, density = thousandths / 1000, 1 - thousandths / 1000
    er = erdos_renyi(shapes, density, rounding="rigl_floor")
    erk = erdos_renyi_kernel(shapes, density, rounding="rigl_floor")
    soft = erdos_renyi_kernel(shapes, density, power=0.5, rounding="rigl_floor")
    assert er.tolist() == naive_rigl(shapes, sparsity, 2, 1.0)
    assert erk.tolist() == naive_rigl(shapes, sparsity, None, 1.0)
    assert soft.tolist() == naive_rigl(shapes, sparsity, None, 0.5)


# The distributions -------------------------------------------------------------------------------


@every_distribution
@given(shapes=networks, density=densities)
def test_the_target_is_met_to_the_last_connection(distribution, shapes, density):
    comp = distribution(shapes, density)
    sizes = sizes_of(shapes)
    assert comp.dtype == np.int64
    assert comp.sum() == round(density * sum(sizes))
    assert np.all((comp >= 0) & (comp <= sizes))


@every_distribution
@given(shapes=networks, density=densities)
def test_rigl_floor_exceeds_its_target_by_at_most_one_per_layer(distribution, shapes, density):
    comp = distribution(shapes, density, rounding="rigl_floor")
    sizes = sizes_of(shapes)
    target = sum(size - math.floor(round(1 - density, 15) * size) for size in sizes)
    assert abs(comp.sum() - target) <= len(shapes)
    assert np.all((comp >= 0) & (comp <= sizes))


@pytest.mark.parametrize("rounding", ["largest_remainder", "rigl_floor"])
@every_distribution
@given(shapes=networks)
def test_density_zero_is_empty_and_one_is_full(distribution, rounding, shapes):
    assert distribution(shapes, 0.0, rounding=rounding).tolist() == [0] * len(shapes)
    assert distribution(shapes, 1.0, rounding=rounding).tolist() == sizes_of(shapes)


@given(shapes=networks, density=densities)
def test_layers_below_full_share_one_scale(shapes, density):
    comp = erdos_renyi_kernel(shapes, density)
    sizes, sums = sizes_of(shapes), [sum(shape) for shape in shapes]
    free = [layer for layer in range(len(shapes)) if comp[layer] < sizes[layer]]
    # count_l = scale * sum(shape_l), up to the one connection of rounding
    low = max((Fraction(int(comp[layer]) - 1, sums[layer]) for layer in free), default=0)
    high = min((Fraction(int(comp[layer]) + 1, sums[layer]) for layer in free), default=1)
    assert low < high


@given(shapes=networks, density=densities)
def test_power_zero_is_uniform(shapes, density):
    ref = uniform(shapes, density)
    comp = erdos_renyi_kernel(shapes, density, power=0)
    assert comp.tolist() == ref.tolist()


@given(shapes=st.lists(linear, min_size=1, max_size=6), density=densities)
def test_er_and_erk_agree_on_linear_layers(shapes, density):
    assert erdos_renyi(shapes, density).tolist() == erdos_renyi_kernel(shapes, density).tolist()


@every_distribution
@given(shapes=networks, density=densities, data=st.data())
def test_permuting_layers_permutes_counts_up_to_ties(distribution, shapes, density, data):
    order = data.draw(st.permutations(range(len(shapes))))
    ref = distribution(shapes, density)
    comp = distribution([shapes[layer] for layer in order], density)
    assert comp.sum() == ref.sum()
    assert np.all(np.abs(comp - ref[order]) <= 1)


def test_permuting_layers_without_ties_permutes_counts():
    ref = erdos_renyi_kernel(LENET_5, 0.1)
    for order in itertools.permutations(range(4)):
        comp = erdos_renyi_kernel([LENET_5[layer] for layer in order], 0.1)
        assert comp.tolist() == ref[list(order)].tolist()


@given(shapes=networks, density=densities, more=densities)
def test_full_layers_stay_full_at_higher_density(shapes, density, more):
    density, more = sorted((density, more))
    full = erdos_renyi_kernel(shapes, density) == sizes_of(shapes)
    still = erdos_renyi_kernel(shapes, more) >= np.array(sizes_of(shapes)) - 1  # 1: rounding
    assert np.all(still[full])


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_custom_layers_take_no_part(name):
    distribution = DISTRIBUTIONS[name]
    comp = distribution(LENET_300_100, 0.1, custom={0: 1.0, 2: 0.25})
    assert comp.tolist() == [235200, 3000, 250]
    assert distribution([(2, 4)], 0.5, custom={0: 0.25}).tolist() == [2]


@pytest.mark.parametrize("rounding", ["largest_remainder", "rigl_floor"])
def test_equal_layers_are_capped_together(rounding):
    shapes = [(1, 4), (1, 4), (40, 40)]
    assert erdos_renyi(shapes, 0.1, rounding=rounding)[:2].tolist() == [4, 4]


def test_numpy_dimensions_do_not_overflow():
    shapes = [tuple(np.array(shape, dtype=np.int32)) for shape in [(60000, 60000), (7, 60000)]]
    assert erdos_renyi(shapes, 0.5).sum() == round(0.5 * (60000 * 60000 + 7 * 60000))
    assert set_epsilon(shapes, 1).tolist() == [120000, 60007]


@pytest.mark.parametrize(
    ("arguments", "options", "error", "text"),
    [
        (([(2, 3)], 1.3), {}, ValueError, "density must be in [0, 1], got 1.3"),
        (([(2, 3)], math.nan), {}, ValueError, "density must be in [0, 1], got nan"),
        (([(2, 3)], None), {}, TypeError, "density must be a number, got None"),
        (([], 0.5), {}, ValueError, "shapes must name at least one layer, got []"),
        (
            ([(2, 0)], 0.5),
            {},
            ValueError,
            "a shape must have two or more dimensions, all positive, got (2, 0)",
        ),
        (
            ([(2,)], 0.5),
            {},
            ValueError,
            "a shape must have two or more dimensions, all positive, got (2,)",
        ),
        (([(2, 1.5)], 0.5), {}, TypeError, "every dimension must be an integer, got 1.5"),
        (
            ([(2, 3)], 0.5),
            {"custom": {1: 1.0}},
            ValueError,
            "custom layer index must be in [0, 0], got 1",
        ),
        (
            ([(2, 3)], 0.5),
            {"custom": {"fc": 1.0}},
            TypeError,
            "custom layer index must be an integer, got 'fc'",
        ),
        (
            ([(2, 3)], 0.5),
            {"custom": {0: -0.5}},
            ValueError,
            "custom density of layer 0 must be in [0, 1], got -0.5",
        ),
        (
            ([(2, 3)], 0.5),
            {"rounding": "ceil"},
            ValueError,
            "rounding must be 'largest_remainder' or 'rigl_floor', got 'ceil'",
        ),
    ],
)
@pytest.mark.parametrize("distribution", DISTRIBUTIONS.values())
def test_bad_arguments_are_named(distribution, arguments, options, error, text):
    with pytest.raises(error, match=message(f"allocation.{distribution.__name__}: {text}")):
        distribution(*arguments, **options)


def test_power_outside_its_range_is_refused():
    text = "allocation.erdos_renyi_kernel: power must be in [0, 1], got 2.0"
    with pytest.raises(ValueError, match=message(text)):
        erdos_renyi_kernel([(2, 3)], 0.5, power=2)


@pytest.mark.parametrize("epsilon", [-1.0, math.inf, math.nan])
def test_epsilon_outside_its_range_is_refused(epsilon):
    text = f"allocation.set_epsilon: epsilon must be finite and >= 0, got {epsilon}"
    with pytest.raises(ValueError, match=message(text)):
        set_epsilon([(2, 3)], epsilon)


# Apportioning ------------------------------------------------------------------------------------


def naive_apportion(shares, total, capacities):
    """One layer filled at a time, the most overfull first; then remainders by selection."""
    quotas = {}
    while len(quotas) < len(shares):
        rest = [layer for layer in range(len(shares)) if layer not in quotas]
        left = total - sum(quotas.values())
        whole = sum(Fraction(shares[layer]) for layer in rest)
        parts = {layer: left * Fraction(shares[layer]) / whole if whole else 0 for layer in rest}
        over = [layer for layer in rest if parts[layer] > capacities[layer]]
        if not over:
            quotas |= parts
            break
        worst = max(over, key=lambda layer: parts[layer] / max(capacities[layer], Fraction(1, 99)))
        quotas[worst] = capacities[worst]
    counts = [math.floor(quotas[layer]) for layer in range(len(shares))]
    while sum(counts) < total:
        fractions = [quotas[layer] - counts[layer] for layer in range(len(shares))]
        counts[fractions.index(max(fractions))] += 1
    return counts


@st.composite
def apportionments(draw):
    number = st.integers(0, 50) | st.floats(0, 50)
    pairs = draw(st.lists(st.tuples(number, st.integers(0, 60)), min_size=1, max_size=7))
    shares, capacities = map(list, zip(*pairs, strict=True))
    room = sum(capacity for share, capacity in pairs if share > 0)
    return shares, draw(st.integers(0, room)), capacities


@given(apportionments())
def test_apportion_conserves_the_total_and_keeps_to_capacities(case):
    shares, total, capacities = case
    comp = apportion(shares, total, capacities)
    assert comp.dtype == np.int64
    assert comp.sum() == total
    assert np.all((comp >= 0) & (comp <= capacities))
    assert np.all(comp[np.array(shares) == 0] == 0)


@given(apportionments())
def test_apportion_equals_its_naive_twin(case):
    assert apportion(*case).tolist() == naive_apportion(*case)


@given(apportionments(), st.sampled_from([0.25, 8.0]))
def test_the_unit_of_the_shares_does_not_matter(case, unit):
    shares, total, capacities = case
    shares = [math.floor(share) for share in shares]  # so that share * unit is exact
    total = min(total, sum(c for s, c in zip(shares, capacities, strict=True) if s > 0))
    ref = apportion(shares, total, capacities)
    comp = apportion([share * unit for share in shares], total, capacities)
    assert comp.tolist() == ref.tolist()


def test_equal_remainders_go_to_the_lower_layer():
    assert apportion([1, 1, 1, 1], 6, [9, 9, 9, 9]).tolist() == [2, 2, 1, 1]


def test_filling_one_layer_may_fill_the_next():
    #            quotas of 12     first layer full    second layer full
    # shares 4   6 (cap 1)        1                   1
    # shares 2   3 (cap 4)        5.5 (cap 4)         4
    # shares 2   3                5.5                 7
    assert apportion([4, 2, 2], 12, [1, 4, 9]).tolist() == [1, 4, 7]


def test_numpy_shares_do_not_overflow():
    shares = np.array([2**62, 2**62, 2**62])
    assert apportion(shares, 2**40, np.full(3, 2**40)).sum() == 2**40


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (
            ([1, 1], 21, [10, 10]),
            ValueError,
            "total must be in [0, 20], the capacity of the layers with a share > 0, got 21",
        ),
        (
            ([1, 0], 11, [10, 10]),
            ValueError,
            "total must be in [0, 10], the capacity of the layers with a share > 0, got 11",
        ),
        (
            ([1, 1], -1, [10, 10]),
            ValueError,
            "total must be in [0, 20], the capacity of the layers with a share > 0, got -1",
        ),
        (([1, 1], 2.5, [10, 10]), TypeError, "total must be an integer, got 2.5"),
        (([1, -1], 2, [10, 10]), ValueError, "every share must be finite and >= 0, got -1"),
        (([1, math.inf], 2, [9, 9]), ValueError, "every share must be finite and >= 0, got inf"),
        (([1, 1], 2, [10, -3]), ValueError, "every capacity must be >= 0, got -3"),
        (([1, 1], 2, [10, 0.5]), TypeError, "every capacity must be an integer, got 0.5"),
        (
            ([1, 1], 2, [10]),
            ValueError,
            "shares and capacities must be equally many and at least one, got (2, 1)",
        ),
        (
            ([], 0, []),
            ValueError,
            "shares and capacities must be equally many and at least one, got (0, 0)",
        ),
    ],
)
def test_apportion_names_what_is_wrong(arguments, error, text):
    with pytest.raises(error, match=message(f"allocation.apportion: {text}")):
        apportion(*arguments)


# By name -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_allocate_by_name(name):
    ref = DISTRIBUTIONS[name](LENET_300_100, 0.1)
    assert allocate(name, LENET_300_100, 0.1).tolist() == ref.tolist()


def test_allocate_by_function():
    first_dense = partial(erdos_renyi, custom={0: 1.0})
    ref = erdos_renyi(LENET_300_100, 0.1, custom={0: 1.0})
    assert allocate(first_dense, LENET_300_100, 0.1).tolist() == ref.tolist()


@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_allocate_by_counts(kind):
    comp = allocate(kind([5, 0, 1000]), LENET_300_100)
    assert comp.tolist() == [5, 0, 1000]
    assert comp.dtype == np.int64


@pytest.mark.parametrize(
    ("distribution", "error", "text"),
    [
        (
            "ERK",
            ValueError,
            "distribution must be one of 'uniform', 'er', 'erk', got 'ERK'",
        ),
        (
            0.5,
            TypeError,
            "distribution must be a name, a function or a sequence of counts, got 0.5",
        ),
        ([5, 5], ValueError, "counts must be one per layer (3), got 2"),
        ([5, 5, 1001], ValueError, "count of layer 2 must be in [0, 1000], got 1001"),
        ([5, -1, 5], ValueError, "count of layer 1 must be in [0, 30000], got -1"),
        ([5, 5.0, 5], TypeError, "count of layer 1 must be an integer, got 5.0"),
    ],
)
def test_allocate_names_what_is_wrong(distribution, error, text):
    with pytest.raises(error, match=message(f"allocation.allocate: {text}")):
        allocate(distribution, LENET_300_100)


# Draws -------------------------------------------------------------------------------------------


@given(shape=linear | conv, fraction=densities, seed=st.integers(2, 10**6))
def test_exact_draws_distinct_positions_in_order(shape, fraction, seed):
    size = math.prod(shape)
    count = round(fraction * size)
    comp = exact(shape, count, np.random.default_rng(seed))
    assert comp.dtype == np.int64
    assert comp.shape == (count,)
    assert np.all(np.diff(comp) > 0)
    assert count == 0 or (comp[0] >= 0 and comp[-1] < size)


@pytest.mark.parametrize("count", [2, 4])  # below and above one half of the six positions
def test_exact_is_uniform_over_subsets(count):
    rng = np.random.default_rng(2024)
    subsets = list(itertools.combinations(range(6), count))  # 15 either way
    seen = dict.fromkeys(subsets, 0)
    for _ in range(6000):
        seen[tuple(exact((2, 3), count, rng).tolist())] += 1
    expected = 6000 / len(subsets)
    chi_square = sum((n - expected) ** 2 / expected for n in seen.values())
    assert chi_square < 36.1  # quantile 0.999 at 14 degrees of freedom


def test_bernoulli_counts_have_the_binomial_mean_and_variance():
    rng = np.random.default_rng(2025)
    n, p, size = 4000, 0.2, 150
    counts = [len(bernoulli((10, 15), p, rng)) for _ in range(n)]
    mean, variance = size * p, size * p * (1 - p)
    # Four standard errors: sqrt(variance / n), for the sample variance about variance sqrt(2 / n).
    assert abs(np.mean(counts) - mean) < 4 * math.sqrt(variance / n)
    assert abs(np.var(counts) - variance) < 4 * variance * math.sqrt(2 / n)


def test_bernoulli_occupies_every_position_equally_often():
    rng = np.random.default_rng(2026)
    n, p = 6000, 0.3
    hits = np.zeros(12)
    for _ in range(n):
        hits[bernoulli((3, 4), p, rng)] += 1
    # Independent coins: each term is a squared standardised binomial, so 12 degrees of freedom.
    assert np.sum((hits - n * p) ** 2) / (n * p * (1 - p)) < 32.9  # quantile 0.999


def test_with_replacement_keeps_what_came_up():
    draws = np.random.default_rng(2027).integers(0, 12, 15)
    comp = with_replacement((3, 4), 15, np.random.default_rng(2027))
    assert comp.tolist() == sorted(set(draws.tolist()))
    assert comp.dtype == np.int64


def test_with_replacement_leaves_as_many_positions_empty_as_chance_does():
    rng = np.random.default_rng(2028)
    n, size, draws = 4000, 150, 130
    counts = [len(with_replacement((10, 15), draws, rng)) for _ in range(n)]
    # A position stays empty with probability q, a pair of them with p; occupancies are correlated.
    q, p = (1 - 1 / size) ** draws, (1 - 2 / size) ** draws
    variance = size * q * (1 - q) + size * (size - 1) * (p - q * q)
    assert abs(np.mean(counts) - size * (1 - q)) < 4 * math.sqrt(variance / n)
    assert abs(np.var(counts) - variance) < 4 * variance * math.sqrt(2 / n)


def test_the_output_layer_of_the_tutorial_of_set():
    # 13 (1000 + 10) = 13130 draws of 10000 positions: 10000 (1 - 0.9999^13130) = 7310.1 expected
    rng = np.random.default_rng(2029)
    counts = [len(with_replacement((10, 1000), 13130, rng)) for _ in range(40)]
    assert abs(np.mean(counts) - 7310.1) < 4 * 31 / math.sqrt(40)  # deviation below 31


def test_draws_do_not_list_the_positions():
    shape = (2**30, 2**30)  # 2^60 positions: any list of them would fail
    rng = np.random.default_rng(7)
    assert len(exact(shape, 1000, rng)) == 1000
    assert 500 < len(bernoulli(shape, 1000 / 2**60, rng)) < 1500  # 16 standard deviations
    assert len(with_replacement(shape, 1000, rng)) == 1000  # two alike: chance 4e-13


def test_the_generator_alone_decides():
    ref = exact((30, 40), 100, np.random.default_rng(11))
    comp = exact((30, 40), 100, np.random.default_rng(11))
    assert comp.tolist() == ref.tolist()
    assert exact((30, 40), 100, np.random.default_rng(12)).tolist() != ref.tolist()


@pytest.mark.parametrize(
    ("draw", "number", "error", "text"),
    [
        (exact, 7, ValueError, "exact: count must be in [0, 6], got 7"),
        (exact, -1, ValueError, "exact: count must be in [0, 6], got -1"),
        (exact, 2.0, TypeError, "exact: count must be an integer, got 2.0"),
        (bernoulli, 1.5, ValueError, "bernoulli: probability must be in [0, 1], got 1.5"),
        (bernoulli, "p", TypeError, "bernoulli: probability must be a number, got 'p'"),
        (
            with_replacement,
            -1,
            ValueError,
            "with_replacement: n_draws must be finite and >= 0, got -1",
        ),
        (
            with_replacement,
            2.0,
            TypeError,
            "with_replacement: n_draws must be an integer, got 2.0",
        ),
    ],
)
def test_draws_name_what_is_wrong(draw, number, error, text):
    with pytest.raises(error, match=message(f"allocation.{text}")):
        draw((2, 3), number, np.random.default_rng(7))
