"""Singular values of layers and Ramanujan bounds (Hoang2023)."""

import math
import tracemalloc

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import block_diag, csr_array

from sparse_ref import csr, selection
from sparse_ref.topology import imsg, spectra, spectrum
from sparse_ref.topology.patterns import of_ones

ROUNDING = 1e-10  # of sums of n ≤ 10^4 terms, and of an iteration to 1e-9, whose error is squared
PRINTED = 5e-7  # six places


def cyclic(n, shifts):
    """Unit i reads the inputs ``i + shift``, modulo n."""
    weight = np.zeros((n, n))
    for shift in shifts:
        weight[np.arange(n), (np.arange(n) + shift) % n] = 1
    return weight


def random_layer(n, m, connections, seed):
    rng = np.random.default_rng(seed)
    return of_ones((n, m), selection.random_ranks(n * m, connections, rng))


def numbers(found):
    return found.sigma_1, found.sigma_2, found.delta_r, found.delta_s


def test_by_hand():
    """A cyclic matrix's singular values are |Σ ω^(jk)| over its shifts j."""
    found = spectrum(cyclic(8, [0, 1, 2]))
    assert numbers(found)[:3] == pytest.approx((3, 2.414214, 0.414214), abs=PRINTED)
    assert found.delta_s == pytest.approx(2.828427 - 2.414214, abs=2 * PRINTED)
    assert (found.gap, found.parts) == (found.sigma_1 - found.sigma_2, 1)


def test_the_fano_plane():
    """Any two lines meet in one point: AᵀA = 2I + 1, so σ² is 9 and six times 2."""
    found = spectrum(cyclic(7, [0, 1, 3]))
    assert numbers(found)[:3] == pytest.approx((3, math.sqrt(2), math.sqrt(2)), abs=ROUNDING)


def test_two_equal_parts_have_no_gap():
    """Two complete graphs of three and three; each alone is at σ₂ = 0."""
    found = spectrum(np.kron(np.eye(2), np.ones((3, 3))))
    assert (found.sigma_1, found.sigma_2, found.gap, found.parts) == (3, 3, 0, 2)
    assert found.delta_r == pytest.approx(-0.171573, abs=PRINTED)


def test_a_complete_graph():
    found = spectrum(np.ones((3, 4)))
    assert (found.sigma_1, found.sigma_2) == (pytest.approx(math.sqrt(12)), 0)
    assert (found.delta_r, found.delta_s) == pytest.approx((3.146264, 3.139491), abs=PRINTED)


def test_layers_of_radix_nets_are_bad_expanders():
    """Radices (10, 10): each layer by itself, though together they connect everything once."""
    first = spectrum(cyclic(100, range(0, -10, -1)))
    assert (first.sigma_1, first.sigma_2) == pytest.approx((10, 9.837935), abs=PRINTED)
    assert (first.parts, first.delta_r + first.sigma_2) == (1, pytest.approx(6))
    second = spectrum(cyclic(100, range(0, -100, -10)))
    assert (second.sigma_1, second.sigma_2, second.parts) == (10, 10, 10)


def test_cyclic_layers_in_tiles():
    """A RadiX-Net of widths 2 and 2; σ is that of the core, times the number of tiles."""
    core = cyclic(30, range(5))
    tiled = spectrum(np.kron(np.ones((2, 2)), core))
    assert tiled[:2] == pytest.approx([2 * sigma for sigma in spectrum(core)[:2]], abs=ROUNDING)
    uneven = spectrum(np.kron(np.ones((2, 8)), core))
    assert uneven[:2] == pytest.approx([4 * sigma for sigma in spectrum(core)[:2]], abs=ROUNDING)


def test_units_without_connections_do_not_count():
    alone = cyclic(8, [0, 1, 2])
    padded = np.zeros((12, 15))
    padded[2:10, 5:13] = alone
    assert spectrum(padded) == spectrum(alone)
    assert imsg(padded) == imsg(alone)


def test_low_degrees_have_no_bounds_but_singular_values():
    found = spectrum(cyclic(6, [0, 1]))
    assert found[:2] == pytest.approx((2, math.sqrt(3)), abs=ROUNDING)
    assert math.isnan(found.delta_r)
    assert math.isnan(found.delta_s)


def test_of_nothing():
    found = spectrum(np.zeros((3, 4)))
    assert (found.sigma_1, found.sigma_2, found.gap, found.parts) == (0, 0, 0, 0)
    assert math.isnan(found.delta_r)
    assert imsg(np.zeros((3, 4))).subgraphs == 0


def test_a_zero_is_a_connection_unless_non_zeros_are_asked_for():
    weight = csr.from_dense(np.array([[1.0, 0.0]]), np.array([[1, 1]], bool))
    assert spectrum(weight).sigma_1 == pytest.approx(math.sqrt(2))
    assert spectrum(weight, pattern="nonzero").sigma_1 == 1
    assert imsg(weight, pattern="nonzero").subgraphs == 0


def test_imsg_of_one_degree_is_that_of_the_layer():
    found = spectrum(cyclic(8, [0, 1, 2]))
    assert imsg(cyclic(8, [0, 1, 2])) == (found.delta_r, found.delta_s, 1)


def test_imsg_is_the_mean_over_the_degrees_of_inputs():
    """Four inputs that three units read, four that all read; two that two read do not count."""
    three, four = np.array(cyclic(4, [0, 1, 2])), np.ones((4, 4))
    two = np.array([[1, 1], [1, 1], [0, 0], [0, 0]])
    found = imsg(np.hstack([three, four, two]))
    one, other = spectrum(three), spectrum(four)
    assert found.subgraphs == 2
    assert found.delta_r == pytest.approx((one.delta_r + other.delta_r) / 2)
    assert found.delta_s == pytest.approx((one.delta_s + other.delta_s) / 2)


def test_imsg_leaves_out_subgraphs_of_low_degree():
    """Three inputs of degree 3 that share no unit: the mean degree of the units is 1."""
    assert imsg(np.kron(np.eye(3), np.ones((3, 1)))).subgraphs == 0


# ---------------------------------------------------------------- properties


@st.composite
def presents(draw):
    rows, columns = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    cells = draw(st.lists(st.booleans(), min_size=rows * columns, max_size=rows * columns))
    return np.array(cells).reshape(rows, columns)


@given(presents())
def test_as_the_naive_twin(present):
    expected = naive.two_largest_singular_values(present)
    assert spectrum(present)[:2] == pytest.approx(expected, abs=ROUNDING)


@given(presents(), st.integers(2, 2**32))
def test_the_order_of_units_and_the_direction_do_not_matter(present, seed):
    rng = np.random.default_rng(seed)
    rows, columns = (rng.permutation(n) for n in present.shape)
    expected = pytest.approx(spectrum(present), abs=ROUNDING, nan_ok=True)
    assert spectrum(present[np.ix_(rows, columns)]) == expected
    assert spectrum(present.T) == expected


@given(presents())
def test_bounds_of_the_largest(present):
    """At least the root of the mean squares of the degrees, at most the root of their product."""
    found = spectrum(present)
    inputs, outputs = present.sum(axis=0), present.sum(axis=1)
    assert found.sigma_1 <= math.sqrt(inputs.max() * outputs.max()) + ROUNDING
    assert found.sigma_1 >= math.sqrt(max(inputs.max(), outputs.max())) - ROUNDING
    assert 0 <= found.sigma_2 <= found.sigma_1


@given(st.integers(2, 40), st.sets(st.integers(0, 39), min_size=1, max_size=6))
def test_regular_layers(n, shifts):
    weight = cyclic(n, shifts)
    assert spectrum(weight).sigma_1 == pytest.approx(len({s % n for s in shifts}), abs=ROUNDING)
    expected = naive.two_largest_singular_values(weight)
    assert spectrum(weight)[:2] == pytest.approx(expected, abs=ROUNDING)


# ---------------------------------------------------------------- large layers


@pytest.mark.parametrize("shape", [(700, 900), (900, 700), (9, 90_000), (90_000, 2)])
def test_a_large_irregular_part_as_the_dense_decomposition(shape):
    """By Lanczos steps, or where few units stand on one side, from their Gram matrix."""
    weight = random_layer(*shape, max(6000, max(shape) * 6 // 5), seed=19)
    found = spectrum(weight)
    expected = naive.two_largest_singular_values(weight.toarray())
    assert found[:2] == pytest.approx(expected, abs=ROUNDING)
    assert spectrum(weight)[:2] == found[:2]  # to the bit


def test_two_large_equal_parts():
    """A Lanczos method that is begun with one vector would take them for one."""
    half = random_layer(600, 600, 6000, seed=23).toarray()
    whole = spectrum(np.kron(np.eye(2), half))
    assert whole.sigma_1 == whole.sigma_2 == pytest.approx(spectrum(half).sigma_1)


def test_parts_that_cannot_hold_a_larger_value_are_not_decomposed(monkeypatch):
    """5,000 paths of three connections, of σ₁ = 1.618, behind two stars of nine, of σ₁ = 3."""
    paths, stars = np.array([[1, 1], [0, 1]]), np.ones((1, 9))
    weight = csr_array(block_diag([*[paths] * 5000, stars, stars]))
    seen, decompose = [], spectra._two_largest
    monkeypatch.setattr(spectra, "_two_largest", lambda part: seen.append(part) or decompose(part))
    found = spectrum(weight)
    assert (found.sigma_1, found.sigma_2, found.parts, len(seen)) == (3, 3, 5002, 2)


def test_a_hundred_thousand_units_and_a_million_connections():
    """Some hundred megabytes; one *byte* a position would be ten gigabytes.

    As d = 10 is small, hubs put σ₁ a little above d; σ₂ is a little above 2√(d - 1) = 6.
    """
    weight = random_layer(100_000, 100_000, 10**6, seed=29)
    tracemalloc.start()
    try:
        found, mean = spectrum(weight), imsg(weight)
        assert tracemalloc.get_traced_memory()[1] < 300_000_000
    finally:
        tracemalloc.stop()
    assert 10.5 < found.sigma_1 < 11.5
    assert 6 < found.sigma_2 < 7.5
    assert mean.subgraphs == 0  # of the inputs of any one degree, too few feed the same unit


@pytest.mark.parametrize("place", [1, 100, 10_000])
def test_large_layers_of_radix_nets(place):
    """100,000 units, ten inputs each, a `place` value apart; 1, 100 and 10,000 parts.

    By an iterative method the first would take minutes: σ₁ and σ₂ differ in the eighth digit.
    """
    n = 100_000
    units = np.arange(n)[:, None]
    reads = np.sort((units - place * np.arange(10)) % n, axis=1)
    found = spectrum(of_ones((n, n), (units * n + reads).ravel()))
    assert (found.sigma_1, found.parts) == (10, place)
    angle = math.pi / n
    expected = math.sin(10 * angle) / math.sin(angle) if place == 1 else 10
    assert found.sigma_2 == pytest.approx(expected, abs=1e-12)


def permuted(n, times, seed):
    """A sum of permutation matrices: regular, and no row follows from the one before."""
    rng = np.random.default_rng(seed)
    return sum(np.eye(n)[rng.permutation(n)] for _ in range(times)) > 0


def test_of_a_large_regular_part_that_is_not_cyclic():
    present = permuted(700, 4, 29)
    expected = np.linalg.svd(present.astype(float), compute_uv=False)[:2]
    assert spectrum(present)[:2] == pytest.approx(expected, abs=ROUNDING)


def test_a_part_that_mixes_too_slowly_is_decomposed_where_it_is_small(monkeypatch):
    monkeypatch.setattr(spectra, "RESTARTS", 1)
    chain = cyclic(600, [0, 1])
    chain[0, 1] = 0  # a path of 1,200 units
    expected = np.linalg.svd(chain.astype(float), compute_uv=False)[:2]
    assert spectrum(chain)[:2] == pytest.approx(expected, abs=ROUNDING)


def test_what_is_refused(monkeypatch):
    with pytest.raises(ValueError, match=r"^spectrum: a weight must have two dimensions"):
        spectrum(np.ones(3))
    with pytest.raises(ValueError, match=r"^imsg: pattern must be one of .*, got 'x'$"):
        imsg(np.ones((2, 2)), pattern="x")
    monkeypatch.setattr(spectra, "RESTARTS", 1)
    chain = cyclic(3000, [0, 1])
    chain[0, 1] = 0  # a path of 6,000 units
    with pytest.raises(ArithmeticError, match=r"^spectrum: the second singular value must settle"):
        spectrum(chain)
