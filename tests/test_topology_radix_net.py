"""RadiX-Nets (Robinett and Kepner 2018, Alford et al. 2018)."""

import math
from collections import Counter

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparse_ref import csr, models
from sparse_ref.topology import lenet_radix_net, radix_net, radix_path_count


def from_inputs(weight):
    """Rows of text, one for each input: a 1 for each unit it feeds, as papers write layers."""
    return ["".join(str(int(there)) for there in row) for row in csr.pattern(weight).T]


def degrees(weight):
    """In-degrees, out-degrees."""
    pattern = csr.pattern(weight)
    return pattern.sum(axis=1), pattern.sum(axis=0)


# ---------------------------------------------------------------- matrices by hand


def test_two_two_two_as_in_figure_5():
    first, second, third = map(from_inputs, radix_net([(2, 2, 2)]))
    assert " ".join(first) == (
        "10000001 11000000 01100000 00110000 00011000 00001100 00000110 00000011"
    )
    assert " ".join(second) == (
        "10000010 01000001 10100000 01010000 00101000 00010100 00001010 00000101"
    )
    assert " ".join(third) == (
        "10001000 01000100 00100010 00010001 10001000 01000100 00100010 00010001"
    )


def test_two_two_two_in_the_other_direction():
    first, second, third = map(from_inputs, radix_net([(2, 2, 2)], direction=1))
    assert " ".join(first) == (
        "11000000 01100000 00110000 00011000 00001100 00000110 00000011 10000001"
    )
    assert " ".join(second) == (
        "10100000 01010000 00101000 00010100 00001010 00000101 10000010 01000001"
    )
    assert third == from_inputs(radix_net([(2, 2, 2)])[2])  # half a turn either way


def test_two_three():
    first, second = map(from_inputs, radix_net([(2, 3)]))
    assert first == ["100001", "110000", "011000", "001100", "000110", "000011"]
    assert second == ["101010", "010101"] * 3


def test_a_hidden_layer_of_twice_the_width():
    first, second = map(from_inputs, radix_net([(2, 2)], (1, 2, 1)))
    assert first == ["10011001", "11001100", "01100110", "00110011"]
    assert second == ["1010", "0101"] * 4
    assert radix_path_count([(2, 2)], (1, 2, 1)) == 2


def test_place_values_start_again_with_each_system():
    first, *_, last = radix_net([(2, 3), (2, 3)])
    assert from_inputs(first) == ["100001", "110000", "011000", "001100", "000110", "000011"]
    assert from_inputs(last) == ["101010", "010101"] * 3
    assert radix_path_count([(2, 3), (2, 3)]) == 6


def test_radix_one_joins_a_unit_to_its_own_copies():
    one, _ = radix_net([(1, 3)])
    assert np.array_equal(one.toarray(), np.eye(3))


# ---------------------------------------------------------------- LeNet-300-100


@pytest.mark.parametrize(("size", "times", "nnz"), [("small", 3, 23_520), ("big", 30, 235_200)])
@pytest.mark.parametrize("cut", ["first", "last"])
@pytest.mark.parametrize("direction", [-1, 1])
def test_lenet_has_the_papers_numbers(size, times, nnz, cut, direction):
    first, second = lenet_radix_net(size, direction=direction, cut=cut)
    assert (first.shape, second.shape) == ((100 * times, 784), (100, 100 * times))
    assert (first.nnz, second.nnz) == (nnz, 1000 * times)
    assert first.nnz / math.prod(first.shape) == second.nnz / math.prod(second.shape) == 0.1
    into, out_of = degrees(first)
    assert set(out_of) == {10 * times}
    histogram = dict.fromkeys(range(71, 80), 2 * times) | {70: 7 * times, 80: 75 * times}
    assert Counter(into.tolist()) == histogram
    into, out_of = degrees(second)
    assert (set(into), set(out_of)) == ({10 * times}, {10})


def test_lenet_counts_and_density_with_a_dense_output_layer():
    small, big = lenet_radix_net("small"), lenet_radix_net("big")
    assert sum(w.nnz for w in small) + 1000 == 27_520
    assert round(27_520 / 266_200, 6) == 0.103381
    assert sum(w.nnz for w in big) + 1000 == 266_200 == 784 * 300 + 300 * 100 + 100 * 10
    positions = 784 * 3000 + 3000 * 100 + 1000
    assert round(266_200 / positions, 6) == 0.100339


def test_lenet_histogram_of_in_degrees_as_published():
    into, _ = degrees(lenet_radix_net("small")[0])
    assert Counter(into.tolist()) == {70: 21, 80: 225} | dict.fromkeys(range(71, 80), 6)


@pytest.mark.parametrize(("size", "blocks"), [("small", 3), ("big", 30)])
def test_lenet_first_input_left_and_first_hidden_unit(size, blocks):
    first, second = lenet_radix_net(size)
    fed = np.flatnonzero(csr.pattern(first)[:, 0])
    assert fed.tolist() == [100 * block + unit for block in range(blocks) for unit in range(7, 17)]
    assert np.flatnonzero(csr.pattern(second)[:, 0]).tolist() == list(range(0, 100, 10))


@pytest.mark.parametrize(("size", "paths"), [("small", 3), ("big", 30)])
def test_lenet_paths_are_uniform_after_the_cut(size, paths):
    first, second = (csr.pattern(w).astype(float) for w in lenet_radix_net(size))
    assert np.all(second @ first == paths)
    assert radix_path_count([(10, 10)], (8, paths, 1)) == paths


def test_cut_takes_the_named_sixteen():
    whole, second = radix_net([(10, 10)], (8, 3, 1))
    for cut, kept in (("first", slice(16, None)), ("last", slice(None, -16))):
        first, same = lenet_radix_net("small", cut=cut)
        assert np.array_equal(first.toarray(), whole.toarray()[:, kept])
        assert np.array_equal(same.toarray(), second.toarray())


def test_a_model_takes_it_as_its_structure():
    rng = np.random.default_rng(11)
    net = models.mlp([784, 300, 100, 10], structure=lenet_radix_net(), dense=[-1], rng=rng)
    assert sum(w.nnz for w in net.topology) == 27_520


# ---------------------------------------------------------------- invariants


@st.composite
def parameters(draw):
    """Systems and widths: reorderings of one system, then a last one that divides it."""
    radices = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    systems = [radices, *draw(st.lists(st.permutations(radices), max_size=1))]
    if draw(st.booleans()):
        systems.append(draw(st.lists(st.sampled_from(radices), min_size=1, unique=True)))
        if math.prod(radices) % math.prod(systems[-1]):
            systems.pop()
    layers = sum(map(len, systems))
    widths = draw(st.lists(st.integers(1, 3), min_size=layers + 1, max_size=layers + 1))
    return systems, widths


@given(parameters(), st.sampled_from([-1, 1]))
def test_as_the_naive_twin_with_all_invariants(given_parameters, direction):
    systems, widths = given_parameters
    units, layers = math.prod(systems[0]), radix_net(systems, widths, direction=direction)
    dense = naive.radix_net(systems, widths, direction)
    radices = [radix for system in systems for radix in system]
    assert len(layers) == len(radices)
    for i, (weight, twin, radix) in enumerate(zip(layers, dense, radices, strict=True)):
        csr.check(weight)
        assert np.array_equal(weight.toarray(), twin)
        assert weight.dtype == np.float32
        into, out_of = degrees(weight)
        assert set(into) == {radix * widths[i]}
        assert set(out_of) == {radix * widths[i + 1]}
        assert weight.nnz == units * radix * widths[i] * widths[i + 1]
        assert weight.nnz * units == radix * math.prod(weight.shape)
    paths = np.linalg.multi_dot([*reversed(dense), np.eye(dense[0].shape[1])])
    assert np.all(paths == radix_path_count(systems, widths))  # small integers: exact


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_the_order_of_radices_changes_matrices_only(radices, data):
    shuffled = data.draw(st.permutations(radices))
    before, after = radix_net([radices]), radix_net([shuffled])
    assert sorted(w.nnz for w in before) == sorted(w.nnz for w in after)
    assert radix_path_count([radices]) == radix_path_count([shuffled]) == 1


@given(st.lists(st.integers(2, 4), min_size=1, max_size=3))
def test_directions_are_renamings_of_each_other(radices):
    units = math.prod(radices)
    renamed = -np.arange(units) % units
    back, forth = radix_net([radices]), radix_net([radices], direction=1)
    for one, other in zip(back, forth, strict=True):
        assert np.array_equal(one.toarray()[np.ix_(renamed, renamed)], other.toarray())


def test_a_wide_net_is_built_from_its_connections_alone():
    layers = radix_net([(10,) * 5])  # each has 10^10 positions
    assert [(w.shape, w.nnz) for w in layers] == [((100_000, 100_000), 1_000_000)] * 5


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("systems", "widths", "words"),
    [
        ((10, 10), None, r"write \[\(10, 10\)\] for N = \(10, 10\); got \[10, 10\]"),
        ([], None, "systems must hold at least one system, got none"),
        ([(2, 2), ()], None, "system 1 has none"),
        ([(2, 0)], None, r"radices of system 0 must be >= 1, got \(2, 0\)"),
        (
            [(2, 3), (4, 2), (2, 3)],
            None,
            r"must have the product of the first, 6, got 8 of system 1, \(4, 2\)",
        ),
        ([(2, 3), (4,)], None, r"must divide the first one's, 6, got 4 of \(4,\)"),
        ([(2, 3)], (1, 2), r"one more than there are radices, 3, got 2: \(1, 2\)"),
        ([(2, 3)], (1, 0, 1), r"widths must be >= 1, got \(1, 0, 1\)"),
    ],
)
@pytest.mark.parametrize("function", [radix_net, radix_path_count])
def test_parameters_that_make_no_radix_net(function, systems, widths, words):
    with pytest.raises(ValueError, match=f"{function.__name__}: .*{words}"):
        function(systems, widths)


@pytest.mark.parametrize(
    ("systems", "widths", "words"),
    [
        ([(2, 2.5)], None, r"radices of system 0 must be integers, got \(2, 2.5\)"),
        ([(2, 2)], (1, "2", 1), r"widths must be integers, got \(1, '2', 1\)"),
    ],
)
def test_what_is_no_integer(systems, widths, words):
    with pytest.raises(TypeError, match=f"radix_net: {words}"):
        radix_net(systems, widths)


def test_options_have_names():
    with pytest.raises(ValueError, match="radix_net: direction must be -1 or 1, got 2"):
        radix_net([(2, 2)], direction=2)
    with pytest.raises(ValueError, match=r"size must be one of \['small', 'big'\], got 'medium'"):
        lenet_radix_net("medium")
    with pytest.raises(ValueError, match="cut must be 'first' or 'last', got 'middle'"):
        lenet_radix_net(cut="middle")
