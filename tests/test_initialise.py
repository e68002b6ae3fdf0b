"""Starting weights: the hand example, each law within its deviations, and memory."""

import re
import tracemalloc

import numpy as np
import pytest

from sparse_ref import csr
from sparse_ref.initialise import FANS, SCHEMES, Kernel, initial_bias, initial_weights, kernel_of
from sparse_ref.layers import Conv2d, Linear, ReLU

DTYPES = (np.float32, np.float64)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_scheme = pytest.mark.parametrize("scheme", list(SCHEMES))
every_fan = pytest.mark.parametrize("fan", FANS)


def refuses(message):
    """The whole message, word for word."""
    return pytest.raises(ValueError, match="^" + re.escape(message) + "$")


def weight_on(present, dtype=np.float64):
    return csr.from_dense(np.zeros(np.shape(present), dtype), np.array(present, bool))


def half_full(n_out, n_in, dtype=np.float64):
    """Every second position: n_in / 2 connections into, n_out / 2 out of each unit."""
    return weight_on(np.indices((n_out, n_in)).sum(axis=0) % 2, dtype)


def draws(weight, scheme, fan, n=20000, seed=111):
    """Many starting values of each connection, (draws, nnz)."""
    rng = np.random.default_rng(seed)
    return np.array([initial_weights(weight, rng, scheme, fan) for _ in range(n)])


def deviates(values, std, kurtosis):
    """Deviations by which the standard deviation of each column misses `std`; the mean is 0.

    The variance of n values of variance v has variance (kurtosis - 1) v^2 / n.
    """
    variance = np.mean(values**2, axis=0)
    return (variance / std**2 - 1) / np.sqrt((kurtosis - 1) / len(values))


# The hand example of specs/models.md 7: 8 inputs, units of 2 and of 4 connections ---------------

EXAMPLE = [[1, 0, 0, 1, 0, 0, 0, 0], [1, 0, 1, 0, 1, 0, 1, 0]]
UNITS = np.array([0, 0, 1, 1, 1, 1])  # the unit that each connection enters


@pytest.mark.parametrize(
    ("fan", "std"),
    [("shape", [0.5, 0.5]), ("nnz", [1.0, 0.707107]), ("layer", [0.816497, 0.816497])],
)
def test_kaiming_normal_has_the_deviations_of_the_hand_example(fan, std):
    values = draws(weight_on(EXAMPLE), "kaiming_normal", fan)
    # Six columns, each within 3.5 deviations: beyond for one seed in 400; a normal's kurtosis is 3.
    assert np.abs(deviates(values, np.array(std)[UNITS], kurtosis=3)).max() < 3.5


@pytest.mark.parametrize(
    ("fan", "bound"),
    [
        ("shape", [0.866025, 0.866025]),  # sqrt(6 / 8)
        ("nnz", [1.732051, 1.224745]),
        ("layer", [1.414214, 1.414214]),  # sqrt(6 / 3)
    ],
)
def test_kaiming_uniform_has_the_bounds_of_the_hand_example(fan, bound):
    values = draws(weight_on(EXAMPLE), "kaiming_uniform", fan)
    bound = np.array(bound)[UNITS]
    # Of 20000 draws the largest is below .999 of its bound with probability 2e-9; six digits given.
    assert (np.abs(values) <= bound + 1e-6).all()
    assert (np.abs(values).max(axis=0) > 0.999 * bound).all()


def test_kaiming_uniform_is_uniform():
    values = draws(weight_on(EXAMPLE), "kaiming_uniform", "shape").ravel()
    counts, _ = np.histogram(values, bins=50, range=(-np.sqrt(0.75), np.sqrt(0.75)))
    expected = len(values) / 50
    # Chi-square of 49 degrees: mean 49, deviation 9.9; 4.5 deviations.
    assert ((counts - expected) ** 2 / expected).sum() < 94


@pytest.mark.parametrize(
    ("fan", "bound"),
    [
        # inputs 0 ... 7 have 2 0 1 1 1 0 1 0 connections; connections at (0,0) (0,3) (1,0) (1,2) ..
        ("shape", [np.sqrt(6 / 10)] * 6),
        ("nnz", [np.sqrt(6 / n) for n in (2 + 2, 2 + 1, 4 + 2, 4 + 1, 4 + 1, 4 + 1)]),
        ("layer", [np.sqrt(6 / (3 + 0.75))] * 6),
    ],
)
def test_glorot_counts_the_connections_of_both_ends(fan, bound):
    values = np.abs(draws(weight_on(EXAMPLE), "glorot_uniform", fan))
    assert (values <= np.array(bound) * (1 + 1e-15)).all()
    assert (values.max(axis=0) > 0.999 * np.array(bound)).all()


# The other laws -----------------------------------------------------------------------------------


@every_fan
def test_torch_draws_within_one_over_the_root_of_fan_in(fan):
    fan_in = {"shape": [8, 8], "nnz": [2, 4], "layer": [3, 3]}[fan]
    bound = 1 / np.sqrt(np.array(fan_in))[UNITS]
    values = np.abs(draws(weight_on(EXAMPLE), "torch", fan))
    assert (values <= bound * (1 + 1e-15)).all()
    assert (values.max(axis=0) > 0.999 * bound).all()


@every_fan
def test_set_draws_with_deviation_a_tenth_whatever_the_fan(fan):
    values = draws(weight_on(EXAMPLE), "set", fan)
    assert np.abs(deviates(values, 0.1, kurtosis=3)).max() < 3.5  # as above


def test_truncated_normal_ends_at_2_deviations():
    values = np.abs(draws(weight_on(EXAMPLE), "truncated_normal", "shape"))
    # Near 2 deviations the density is .0566 a deviation a side: 1600 of 120000 beyond 1.9.
    assert 0.0799 < values.max() <= 0.08


def test_truncated_normal_is_redrawn_not_clipped():
    values = np.abs(draws(weight_on(EXAMPLE), "truncated_normal", "shape")).ravel()
    # P(|z| > 1.9 | |z| < 2) = (.05743 - .04550) / .95450 = .01250, deviation .00032; clipped: .0574
    assert abs((values > 1.9 * 0.04).mean() - 0.0125) < 4 * 0.00032


def test_truncated_normal_has_the_deviation_of_the_truncated_law():
    values = draws(weight_on(EXAMPLE), "truncated_normal", "shape").ravel()
    # 1 - 4 phi(2) / (2 Phi(2) - 1) = 1 - 4 * .053991 / .954500 = .773741; kurtosis below 3
    assert abs(deviates(values, 0.04 * np.sqrt(0.773741), kurtosis=3)) < 3.5


@every_scheme
@every_fan
def test_starting_weights_have_mean_0(scheme, fan):
    values = draws(half_full(20, 30), scheme, fan, n=200)
    # 60000 values of one law; 4 deviations of their mean.
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(values.size)


@pytest.mark.parametrize("scheme", ["kaiming_uniform", "kaiming_normal"])
def test_with_fan_nnz_the_variance_of_a_sum_does_not_depend_on_its_degree(scheme):
    # specs/models.md 7: E[Var(sum)] = gain^2 E[x^2] = 2 for inputs of size 1, at any degree.
    degrees = [1, 3, 10, 40]
    weight = weight_on([[j < degree for j in range(40)] for degree in degrees])
    values = draws(weight, scheme, "nnz", n=5000)
    sums = np.add.reduceat(values, weight.indptr[:-1], axis=1)
    assert np.abs(deviates(sums, np.sqrt(2), kurtosis=3)).max() < 3.5  # uniform sums: below 3


def test_an_empty_unit_is_no_trouble():
    weight = weight_on([[0, 0], [1, 0]])
    assert initial_weights(weight, np.random.default_rng(112), fan="nnz").shape == (1,)


@every_scheme
@every_fan
def test_an_empty_layer_has_no_starting_weights(scheme, fan):
    values = initial_weights(weight_on(np.zeros((3, 4))), np.random.default_rng(113), scheme, fan)
    assert values.shape == (0,)


# What is drawn ------------------------------------------------------------------------------------


@every_scheme
@every_fan
@every_dtype
def test_starting_weights_keep_the_dtype(scheme, fan, dtype):
    values = initial_weights(half_full(6, 5, dtype), np.random.default_rng(114), scheme, fan)
    assert (values.dtype, values.shape) == (dtype, (15,))


@every_scheme
def test_the_dtype_does_not_change_the_draw(scheme):
    single, double = (
        initial_weights(half_full(6, 5, dtype), np.random.default_rng(115), scheme)
        for dtype in DTYPES
    )
    np.testing.assert_array_equal(double.astype(np.float32), single)


@every_scheme
def test_the_same_seed_gives_the_same_weights(scheme):
    ref, comp = (
        initial_weights(half_full(6, 5), np.random.default_rng(116), scheme) for _ in range(2)
    )
    np.testing.assert_array_equal(ref, comp)


@every_scheme
def test_the_weight_itself_is_left_alone(scheme):
    weight = half_full(6, 5)
    initial_weights(weight, np.random.default_rng(117), scheme)
    np.testing.assert_array_equal(weight.data, np.zeros(15))


def test_the_default_is_kaiming_uniform_by_shape():
    rngs = [np.random.default_rng(118) for _ in range(2)]
    ref = initial_weights(half_full(6, 5), rngs[0], "kaiming_uniform", "shape")
    comp = initial_weights(half_full(6, 5), rngs[1])
    np.testing.assert_array_equal(ref, comp)


def test_one_number_is_drawn_for_each_connection():
    rng, other = np.random.default_rng(119), np.random.default_rng(119)
    initial_weights(half_full(6, 5), rng)
    other.random(15)
    assert rng.random() == other.random()


@every_scheme
@every_fan
def test_a_layer_of_billions_of_positions_takes_memory_for_its_connections(scheme, fan):
    positions = np.arange(1000) * 2_500_000
    weight = csr.from_positions((50000, 50000), positions, np.zeros(1000))
    tracemalloc.start()
    initial_weights(weight, np.random.default_rng(121), scheme, fan)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A number for each of 50000 + 50000 units, some for each connection; dense would be 2 * 10^10.
    assert peak < 4 * 10**6


# Biases -------------------------------------------------------------------------------------------


@every_dtype
@pytest.mark.parametrize(
    ("scheme", "value"),
    [
        ("kaiming_uniform", 0),
        ("kaiming_normal", 0),
        ("glorot_uniform", 0),
        ("set", 0),
        ("truncated_normal", 0.1),
    ],
)
def test_biases_start_at(scheme, value, dtype):
    ref = np.full(7, value, dtype)
    comp = initial_bias((7, 5), np.random.default_rng(122), scheme, dtype)
    np.testing.assert_array_equal(ref, comp, strict=True)


@every_dtype
def test_torch_biases_are_drawn_within_the_bound_of_the_weights(dtype):
    bias = initial_bias((5000, 16), np.random.default_rng(123), "torch", dtype)
    assert (bias.dtype, bias.shape) == (dtype, (5000,))
    # U(-1/4, 1/4): 5000 draws come within a hundredth of the bound but for one seed in 10^21.
    assert 0.2475 < np.abs(bias).max() <= 0.25
    assert abs(bias.mean()) < 4 * 0.25 / np.sqrt(3 * 5000)


# Errors -------------------------------------------------------------------------------------------

SCHEME_RULE = (
    "initialise: scheme must be one of ['glorot_uniform', 'kaiming_normal', 'kaiming_uniform', "
    "'set', 'torch', 'truncated_normal'], got 'he'"
)


def test_an_unknown_scheme_of_weights_is_refused():
    with refuses(SCHEME_RULE):
        initial_weights(half_full(2, 2), np.random.default_rng(124), "he")


def test_an_unknown_scheme_of_biases_is_refused():
    with refuses(SCHEME_RULE):
        initial_bias((2, 2), np.random.default_rng(125), "he")


def test_an_unknown_fan_is_refused():
    with refuses("initialise: fan must be one of ['shape', 'nnz', 'layer'], got 'fan_in'"):
        initial_weights(half_full(2, 2), np.random.default_rng(126), fan="fan_in")


# Convolutions -------------------------------------------------------------------------------------


def test_the_fans_of_a_convolution():
    # 4 filters on 2 channels, 2x1 windows; bounds of glorot are sqrt(6 / (fan_in + fan_out)).
    present = [[1, 0, 0, 0], [1, 1, 1, 0], [0, 0, 0, 1], [1, 1, 1, 1]]
    weight, kernel = weight_on(present), Kernel(2)
    shape = np.full(9, 4 + 4 * 2)
    # Rows have 1, 3, 1, 4 connections; channels 0 and 1 are read by 5 and 4.
    into = np.array([1, 3, 3, 3, 1, 4, 4, 4, 4])
    channel = np.array([0, 0, 0, 1, 1, 0, 0, 1, 1])
    nnz = into + np.array([5, 4])[channel]
    layer = shape * 9 / 16
    for fan, total in (("shape", shape), ("nnz", nnz), ("layer", layer)):
        rng, same = np.random.default_rng(121), np.random.default_rng(121)
        comp = initial_weights(weight, rng, "glorot_uniform", fan, kernel)
        np.testing.assert_allclose(comp, (2 * same.random(9) - 1) * np.sqrt(6 / total), rtol=1e-14)


def test_the_fans_of_a_convolution_in_groups():
    # The same with the filters in two groups: 4 channels; each group of filters reads its own two.
    present = [[1, 0, 0, 0], [1, 1, 1, 0], [0, 0, 0, 1], [1, 1, 1, 1]]
    weight, kernel = weight_on(present), Kernel(2, groups=2)
    into = np.array([1, 3, 3, 3, 1, 4, 4, 4, 4])
    leaving = np.array([3, 3, 3, 1, 3, 2, 2, 3, 3])  # channels are read by 3, 1, 2 and 3
    for fan, total in (("shape", np.full(9, 4 + 4 * 2 / 2)), ("nnz", into + leaving)):
        rng, same = np.random.default_rng(122), np.random.default_rng(122)
        comp = initial_weights(weight, rng, "glorot_uniform", fan, kernel)
        np.testing.assert_allclose(comp, (2 * same.random(9) - 1) * np.sqrt(6 / total), rtol=1e-14)


def test_alford2018_draws_convolutions_of_deviation_a_twentieth_without_bias():
    weight = half_full(40, 50)
    linear = initial_weights(weight, np.random.default_rng(123), "truncated_normal")
    conv = initial_weights(
        weight, np.random.default_rng(123), "truncated_normal", kernel=Kernel(25)
    )
    np.testing.assert_allclose(conv, linear * (0.05 / 0.04), rtol=1e-14)
    assert np.abs(conv).max() <= 0.1
    rng = np.random.default_rng(124)
    assert set(initial_bias((4, 50), rng, "truncated_normal", kernel=Kernel(25))) == {0}
    assert set(initial_bias((4, 50), rng, "truncated_normal")) == {np.float32(0.1)}


def test_the_kernel_of_a_layer():
    weight = half_full(4, 6)
    conv = Conv2d(weight, image=(2, 5, 5), kernel=(2, 3), groups=2)
    assert kernel_of(conv) == Kernel(6, 2)
    assert kernel_of(Linear(weight)) is None
    assert kernel_of(ReLU()) is None
