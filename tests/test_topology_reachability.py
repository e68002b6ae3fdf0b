"""Which outputs are reached from which inputs, and by how many paths."""

import math

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_topology_paths import LAYERS, networks

from sparse_ref import csr, selection
from sparse_ref.topology import connectivity, path_counts, reachability
from sparse_ref.topology.patterns import of_ones


def test_by_hand():
    """Inputs 0 and 2 reach output 1, input 0 reaches output 0 too; input 1 reaches none."""
    assert path_counts(LAYERS).toarray().tolist() == [[1, 0, 0], [1, 0, 1]]
    assert connectivity(LAYERS) == (3, 0.5, False, False, None)


def test_paths_that_join_are_counted():
    #  a0 -> b0, b1    b0 -> c0    both paths of a0 to c0, one of a1
    #  a1 -> b1        b1 -> c0
    two = [np.array([[1, 0], [1, 1]]), np.array([[1, 1]])]
    assert path_counts(two).toarray().tolist() == [[2, 1]]
    assert connectivity(two) == (2, 1.0, True, False, None)


def test_equal_counts_are_symmetric():
    # W1 rows 1001 1100 0110 0011, W2 rows 1010 0101: every pair has one path.
    first = np.array([[1, 0, 0, 1], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]])
    second = np.array([[1, 0, 1, 0], [0, 1, 0, 1]] * 2)
    assert path_counts([first, second]).toarray().tolist() == np.ones((4, 4)).tolist()
    assert connectivity([first, second]) == (16, 1.0, True, True, 1)
    assert connectivity([np.ones((5, 3)), np.ones((2, 5))]) == (6, 1.0, True, True, 5)


def test_a_network_without_a_path_is_symmetric_and_not_connected():
    assert connectivity([np.zeros((2, 3))]) == (0, 0.0, False, True, 0)
    assert path_counts([np.ones((2, 3)), np.zeros((4, 2))]).nnz == 0


def test_without_pairs_there_is_no_fraction():
    found = connectivity([np.ones((0, 3))])
    assert (found.pairs, math.isnan(found.fraction)) == (0, True)


def test_a_stored_zero_is_a_connection_unless_non_zeros_are_asked_for():
    weight = csr.from_dense(np.array([[0.0, 1.0]]), np.array([[True, True]]))
    assert (connectivity(weight).pairs, path_counts(weight).nnz) == (2, 2)
    assert connectivity(weight, pattern="nonzero").pairs == 1
    assert path_counts(weight, pattern="nonzero").nnz == 1


def test_counts_are_exact_up_to_the_guard():
    """53 layers of two units, all connected: 2^52 paths a pair; one more layer is too many."""
    layers = [np.ones((2, 2))] * 53
    assert (path_counts(layers).data == 2.0**52).all()
    assert connectivity(layers) == (4, 1.0, True, True, 2**52)
    with pytest.raises(OverflowError, match=r"^path_counts: a pair must have fewer than 2\^53 "):
        path_counts([*layers, np.ones((2, 2))])
    assert connectivity([*layers, np.ones((2, 2))]) == (4, 1.0, True, None, None)


def test_what_leads_nowhere_does_not_overflow():
    """2^60 paths end at a unit that no output reads; a single one goes on."""
    thin = np.zeros((3, 3))
    thin[:2, :2] = thin[2, 2] = 1
    layers = [*[thin] * 60, np.array([[0, 0, 1]])]
    assert path_counts(layers).toarray().tolist() == [[0, 0, 1]]
    assert connectivity(layers).pairs == 1


@given(networks())
def test_as_the_naive_twin_that_walks_every_path(presents):
    ref = naive.counted_walks(presents)
    comp = path_counts(presents)
    np.testing.assert_array_equal(comp.toarray(), ref)
    assert comp.nnz == np.count_nonzero(ref)
    assert csr.check(comp) is comp
    found = connectivity(presents)
    assert found.pairs == np.count_nonzero(ref)
    assert found.fraction == found.pairs / ref.size
    assert found.connected == bool((ref > 0).all())
    assert found.symmetric == bool((ref == ref[0, 0]).all())
    assert found.paths == (ref[0, 0] if found.symmetric else None)


@settings(max_examples=30)
@given(st.integers(2, 2**32), st.sampled_from([0.001, 0.003, 0.01, 0.05, 0.3]))
def test_many_inputs_are_taken_in_blocks(seed, density):
    """Over 512 inputs and outputs, in no multiple of a word; against a boolean product."""
    rng = np.random.default_rng(seed)
    widths = rng.integers(500, 1_300, rng.integers(2, 5))
    shapes = list(zip(widths[1:], widths[:-1], strict=True))
    presents = [rng.random(shape) < density for shape in shapes]
    reach = np.eye(widths[0], dtype=np.float32)
    for present in presents:
        reach = (present.astype(np.float32) @ reach > 0).astype(np.float32)
    found = connectivity(presents)
    assert found.pairs == int(reach.sum(dtype=np.float64))
    turned = connectivity([present.T for present in reversed(presents)])
    assert turned == found


def test_one_pair_less_is_found_behind_saturated_layers():
    """All units of the middle layers are reached by all; the last output reads one that is not."""
    rng = np.random.default_rng(607)
    first, middle = rng.random((700, 600)) < 0.2, np.ones((700, 700), bool)
    last = np.ones((600, 700), bool)
    assert connectivity([first, middle, last]).pairs == 600 * 600
    last[599] = False
    assert connectivity([first, middle, last]).pairs == 599 * 600
    first[:, 17] = False
    assert connectivity([first, middle, last]).pairs == 599 * 599


def test_one_bit_less_is_not_saturated():
    """Unit 2 is not reached by input 5; 234 of the outputs read unit 2 only."""
    first, last = np.ones((3, 600), bool), np.eye(3, dtype=bool)[np.arange(700) % 3]
    first[2, 5] = False
    assert connectivity([first, last]).pairs == 600 * 700 - np.sum(np.arange(700) % 3 == 2)


def test_work_is_spared_where_it_can_be(monkeypatch):
    """Inputs or outputs are followed, whichever are fewer, and only until all have reached all."""
    calls = []

    def counted(name):
        kernel = getattr(reachability, name)
        return lambda *arguments: calls.append(name) or kernel(*arguments)

    for name in ("_mark", "_unite"):
        monkeypatch.setattr(reachability, name, counted(name))
    layers = [np.ones((40, 2_000)), *[np.ones((40, 40))] * 5, np.ones((30, 40))]
    layers[-1][3] = 0  # an output that nothing reaches
    for ways in (layers, [layer.T for layer in reversed(layers)]):
        assert connectivity(ways).pairs == 2_000 * 29
        assert calls == ["_mark"]
        calls.clear()
    thin = [np.eye(600), np.ones((600, 600)), np.eye(600)]
    assert connectivity(thin).connected
    assert calls == ["_mark", "_unite"] * 2  # two blocks; the last layer is not looked at


def test_a_difference_in_the_last_block_of_counts_is_found():
    layers = [np.ones((3, 130)), np.ones((140, 3))]
    assert connectivity(layers)[3:] == (True, 3)
    layers[0][2, 129] = 0
    assert connectivity(layers)[2:] == (True, False, None)


def test_the_patterns_given_are_not_changed():
    weight = of_ones((3, 3), np.arange(9))
    before = weight.indptr.copy(), weight.indices.copy(), weight.data.copy()
    weight.data[:] = 7
    connectivity([weight, weight])
    assert path_counts([weight, weight]).data.tolist() == [3.0] * 9
    assert weight.data.tolist() == [7] * 9
    np.testing.assert_array_equal(weight.indptr, before[0])


def test_shapes_that_do_not_chain_are_refused():
    for function in (connectivity, path_counts):
        with pytest.raises(ValueError, match=rf"^{function.__name__}: shapes must chain"):
            function([np.ones((2, 2)), np.ones((2, 3))])


def test_any_number_of_threads_gives_the_same():
    import numba

    rng = np.random.default_rng(613)
    layers = [of_ones((3_000, 3_000), selection.random_ranks(9_000_000, 9_000, rng))] * 3
    found = connectivity(layers)
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        assert connectivity(layers) == found
    finally:
        numba.set_num_threads(before)


@pytest.mark.parametrize("order", [1, -1])
def test_pairs_that_differ_are_no_secret_beside_pairs_that_overflow(order):
    """70 inputs: one path from most, two from input 1, 2^60 and more from input 69."""
    first, middle = np.zeros((66, 70)), np.zeros((66, 66))
    first[0] = first[1, 1] = 1
    first[2:, 69] = 1
    middle[0, 0] = middle[1, 1] = 1
    middle[2:, 2:] = 1
    layers = [first[:, ::order], *[middle] * 10, np.ones((80, 66))]
    assert connectivity(layers) == (5600, 1.0, True, False, None)
