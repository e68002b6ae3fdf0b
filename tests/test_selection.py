"""Ranking, ties and random choice of positions."""

import itertools
import re
import tracemalloc

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from sparse_ref import csr
from sparse_ref.layers import LayerGrad
from sparse_ref.selection import (
    absent_positions,
    largest,
    largest_absent,
    random_absent,
    random_ranks,
    smallest,
)

DTYPES = (np.float32, np.float64)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_rank = pytest.mark.parametrize("rank", [largest, smallest])
# Three values for up to thirty scores: nearly every threshold is a tie.
tied = st.lists(st.sampled_from([-1.0, 0.0, 2.0]), max_size=30)


def refuses(message):
    """The whole message, word for word."""
    return pytest.raises(ValueError, match="^" + re.escape(message) + "$")


def looks_uniform(counts, share=0.0):
    """Chi-square of equally likely outcomes; the seed is fixed, so this fails always or never.

    Where one trial counts in a `share` of the outcomes, each varies less by the factor 1 - share.
    """
    counts = np.array(counts, float)
    expected = counts.sum() / len(counts)
    # A sound generator is beyond this bound for one seed in 10^4.
    statistic = ((counts - expected) ** 2 / expected).sum() / (1 - share)
    return statistic < chi2.isf(1e-4, len(counts) - 1)


def peak_bytes(call):
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# largest and smallest -----------------------------------------------------------------------------


def test_largest_hand_example():
    #             0  1  2  3  4        7 is in, and of the 3s the lower indices
    scores = np.array([3, 7, 3, 1, 3.0])
    assert largest(scores, 3).tolist() == [0, 1, 2]


def test_smallest_hand_example():
    #             0  1  2  3  4        1 is in, and of the 3s the higher indices
    scores = np.array([3, 7, 3, 1, 3.0])
    assert smallest(scores, 3).tolist() == [2, 3, 4]


@given(scores=tied, data=st.data(), dtype=st.sampled_from(DTYPES))
@settings(deadline=None, max_examples=200)
def test_largest_breaks_ties_by_the_lower_index(scores, data, dtype):
    k = data.draw(st.integers(0, len(scores)))
    ref = naive.largest(scores, k)
    comp = largest(np.array(scores, dtype), k)
    assert ref == comp.tolist()


@given(scores=tied, data=st.data(), dtype=st.sampled_from(DTYPES))
@settings(deadline=None, max_examples=200)
def test_smallest_breaks_ties_by_the_higher_index(scores, data, dtype):
    k = data.draw(st.integers(0, len(scores)))
    ref = naive.smallest(scores, k)
    comp = smallest(np.array(scores, dtype), k)
    assert ref == comp.tolist()


@every_rank
def test_none_of_the_scores(rank):
    assert rank(np.ones(5), 0).tolist() == []


@every_rank
def test_all_of_the_scores(rank):
    assert rank(np.ones(5), 5).tolist() == [0, 1, 2, 3, 4]


@every_rank
def test_none_of_no_scores(rank):
    assert rank(np.empty(0), 0).tolist() == []


@every_rank
@pytest.mark.parametrize("k", [0, 2, 5])
def test_indices_are_int64(rank, k):
    assert rank(np.arange(5.0), k).dtype == np.int64


@every_rank
def test_scores_are_left_alone(rank):
    scores = np.array([3.0, 1.0, 2.0])
    rank(scores, 2)
    assert scores.tolist() == [3, 1, 2]


def test_zeros_of_either_sign_are_a_tie():
    assert largest(np.array([-0.0, 0.0, -0.0]), 1).tolist() == [0]


def test_infinities_have_ranks():
    assert largest(np.array([1.0, -np.inf, np.inf, 2.0]), 3).tolist() == [0, 2, 3]


@every_rank
@pytest.mark.parametrize("k", [0, 2, 3])
def test_nan_has_no_rank(rank, k):
    with refuses("largest: scores must be numbers, got nan at index 1"):
        rank(np.array([1.0, np.nan, np.nan]), k)


@every_rank
@pytest.mark.parametrize("k", [-1, 4])
def test_the_count_must_fit(rank, k):
    with refuses(f"{rank.__name__}: the count must be in [0, 3], got {k}"):
        rank(np.ones(3), k)


# random_ranks -------------------------------------------------------------------------------------


@given(population=st.integers(0, 60), data=st.data(), seed=st.integers(2, 10**6))
@settings(deadline=None, max_examples=150)
def test_random_ranks_are_n_different_ranks_in_order(population, data, seed):
    n = data.draw(st.integers(0, population))
    ranks = random_ranks(population, n, np.random.default_rng(seed)).tolist()
    assert ranks == sorted(set(ranks))
    assert len(ranks) == n
    assert set(ranks) <= set(range(population))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])  # 4 and 5 are drawn as what is left out
def test_every_subset_is_equally_likely(n):
    rng = np.random.default_rng(51)
    subsets = dict.fromkeys(itertools.combinations(range(6), n), 0)
    for _ in range(200 * len(subsets)):
        subsets[tuple(random_ranks(6, n, rng).tolist())] += 1
    assert looks_uniform(list(subsets.values()))


def test_a_first_round_that_is_too_short_is_filled_up_fairly():
    # n of 2n: the first draw of 9 n / 8 + 8 holds about 0.86 n different ones, so rounds follow.
    rng, counts = np.random.default_rng(52), np.zeros(200)
    for _ in range(2000):
        counts[random_ranks(200, 100, rng)] += 1
    assert looks_uniform(counts, share=0.5)


def test_the_same_seed_gives_the_same_ranks():
    ref, comp = (random_ranks(1000, 50, np.random.default_rng(53)) for _ in range(2))
    np.testing.assert_array_equal(ref, comp)


def test_a_huge_population_takes_memory_for_n_only():
    rng = np.random.default_rng(54)
    # A dozen temporaries of 10^4 numbers of 8 bytes are 10^6 bytes; the population 8 * 10^15.
    assert peak_bytes(lambda: random_ranks(10**15, 10**4, rng)) < 2 * 10**6


def test_a_huge_population_is_used_to_its_end():
    ranks = random_ranks(10**15, 10**4, np.random.default_rng(55))
    # The largest of 10^4: below 0.999 of the population with probability 4.5e-5.
    assert ranks[-1] > 0.999 * 10**15


@pytest.mark.parametrize("n", [-1, 6])
def test_random_ranks_refuses_counts_that_do_not_fit(n):
    with refuses(f"random_ranks: the count must be in [0, 5], got {n}"):
        random_ranks(5, n, np.random.default_rng(56))


# absent_positions and random_absent ---------------------------------------------------------------


@given(taken=st.sets(st.integers(0, 29)), data=st.data())
@settings(deadline=None, max_examples=100)
def test_absent_positions_counts_what_is_not_occupied(taken, data):
    free = [position for position in range(30) if position not in taken]
    chosen = data.draw(st.lists(st.integers(0, len(free) - 1), max_size=9)) if free else []
    ref = [free[rank] for rank in chosen]
    comp = absent_positions(np.array(sorted(taken), np.int64), np.array(chosen, np.int64))
    assert ref == comp.tolist()


PRESENT = np.array([[1, 0, 0, 1], [0, 0, 1, 0], [1, 1, 1, 1]], bool)  # slots 0 ... 6


def weight_on(present, dtype=np.float64):
    return csr.from_dense(np.zeros(present.shape, dtype), present)


@pytest.mark.parametrize("freed", [None, [], [0, 2, 6]])
@pytest.mark.parametrize("n", [1, 2, 4])
def test_random_absent_is_uniform_over_the_subsets_of_absent_positions(n, freed):
    rng, weight = np.random.default_rng(57), weight_on(PRESENT)
    slots = None if freed is None else np.array(freed, np.int64)
    free = naive.absent(PRESENT, freed or ())
    subsets = dict.fromkeys(itertools.combinations(free, n), 0)
    for _ in range(100 * len(subsets)):
        subsets[tuple(random_absent(weight, n, rng, slots).tolist())] += 1  # KeyError: not absent
    assert looks_uniform(list(subsets.values()))


def test_random_absent_can_take_every_absent_position():
    comp = random_absent(weight_on(PRESENT), 5, np.random.default_rng(58))
    assert naive.absent(PRESENT) == comp.tolist()


@pytest.mark.parametrize("n", [-1, 6])
def test_random_absent_refuses_more_than_there_are(n):
    with refuses(f"random_absent: the count must be in [0, 5], got {n}"):
        random_absent(weight_on(PRESENT), n, np.random.default_rng(59))


def test_random_absent_does_not_list_the_absent_positions():
    weight = csr.from_positions((60000, 60000), np.arange(0, 10**9, 10**6), np.ones(1000))
    rng = np.random.default_rng(60)
    # 10^3 connections and 10^3 to choose, some temporaries of each, against 3.6 * 10^9 positions;
    # the pointers of 60000 rows are 0.5 MB.
    assert peak_bytes(lambda: random_absent(weight, 1000, rng)) < 2 * 10**6


# largest_absent -----------------------------------------------------------------------------------


@st.composite
def growth(draw):
    """A pattern, a gradient with many ties, slots to free, a count and a block size."""
    shape = draw(st.tuples(st.integers(1, 7), st.integers(1, 7)))
    rng = np.random.default_rng(draw(st.integers(2, 10**6)))
    present = rng.random(shape) < draw(st.sampled_from([0.0, 0.3, 0.8, 1.0]))
    grad = rng.integers(-2, 3, shape).astype(draw(st.sampled_from(DTYPES)))
    freed = np.flatnonzero(rng.random(present.sum()) < 0.3)
    k = draw(st.integers(0, len(naive.absent(present, freed))))
    return present, grad, freed, k, draw(st.sampled_from([1, 2, 7, 14, 21, 1 << 18]))


@given(case=growth())
@settings(deadline=None, max_examples=300)
def test_largest_absent_is_brute_force_for_any_block_size(case):
    present, grad, freed, k, block = case
    ref = naive.largest_absent(present, grad, k, freed)
    comp = largest_absent(weight_on(present, grad.dtype), grad, k, freed, block)
    assert ref == comp.tolist()


def test_largest_absent_hand_example():
    #  present  x . . x      |grad|  9 1 4 9      4 of row 0 and the first two 3s;
    #           . . x .              3 0 9 3      what is connected does not count
    #           x x x x              9 9 9 9
    grad = np.array([[9, -1, 4, 9], [-3, 0, 9, 3], [9, 9, 9, -9.0]])
    assert largest_absent(weight_on(PRESENT), grad, 2).tolist() == [2, 4]


@pytest.mark.parametrize("block", [1, 4, 8, 1000])
def test_ties_across_blocks_go_to_the_lower_position(block):
    grad = np.full(PRESENT.shape, -7.0)
    assert largest_absent(weight_on(PRESENT), grad, 3, block_elements=block).tolist() == [1, 2, 4]


@pytest.mark.parametrize("block", [1, 4, 8, 1000])
def test_a_gradient_of_zeros_grows_the_first_absent_positions(block):
    grad = np.zeros(PRESENT.shape)
    assert largest_absent(weight_on(PRESENT), grad, 4, block_elements=block).tolist() == [
        1,
        2,
        4,
        5,
    ]


def test_freed_slots_count_as_absent():
    grad = np.arange(12.0).reshape(3, 4)
    comp = largest_absent(weight_on(PRESENT), grad, 2, freed=np.array([1, 6]))
    assert comp.tolist() == [7, 11]  # slot 6 is at position 11; slot 1 at 3 loses to 7


def test_no_positions_are_int64():
    comp = largest_absent(weight_on(PRESENT), np.zeros((3, 4)), 0)
    assert (comp.dtype, comp.size) == (np.int64, 0)


def test_infinite_gradients_come_first():
    grad = np.zeros(PRESENT.shape)
    grad[1, 3] = -np.inf
    assert largest_absent(weight_on(PRESENT), grad, 1).tolist() == [7]


def test_the_gradient_is_left_alone():
    grad = np.arange(12.0).reshape(3, 4) - 6
    before = grad.copy()
    largest_absent(weight_on(PRESENT), grad, 3)
    np.testing.assert_array_equal(before, grad)


class Rows:
    """A gradient that can only be read in blocks, and notes what was read."""

    def __init__(self, grad):
        self.grad, self.read = grad, []

    def block(self, first, last):
        self.read.append((first, last))
        return self.grad[first:last].copy()


def test_an_object_with_blocks_is_read_in_blocks():
    rows = Rows(np.arange(12.0).reshape(3, 4))
    comp = largest_absent(weight_on(PRESENT), rows, 2, block_elements=8)
    assert comp.tolist() == [5, 7]
    assert rows.read == [(0, 2), (2, 3)]


def test_a_block_is_at_least_one_row():
    rows = Rows(np.arange(12.0).reshape(3, 4))
    largest_absent(weight_on(PRESENT), rows, 2, block_elements=1)
    assert rows.read == [(0, 1), (1, 2), (2, 3)]


@every_dtype
def test_the_two_factors_choose_what_their_product_chooses(dtype):
    rng = np.random.default_rng(61)
    delta, inputs = rng.integers(-3, 4, (2, 9, 16)), rng.integers(-3, 4, (2, 11, 16))
    delta, inputs = delta.astype(dtype), inputs.astype(dtype)  # integers: the product is exact
    present = rng.random((9, 11)) < 0.4
    ref = naive.largest_absent(present, naive.weight_gradient(delta, inputs), 20)
    grad = LayerGrad(None, None, delta, inputs)
    comp = largest_absent(weight_on(present, dtype), grad, 20, block_elements=22)
    assert ref == comp.tolist()


def test_the_dense_gradient_never_exists_at_once():
    rng = np.random.default_rng(62)
    delta, inputs = rng.standard_normal((1, 1500, 8)), rng.standard_normal((1, 1500, 8))
    weight = csr.from_positions((1500, 1500), np.arange(0, 10**6, 1000), np.zeros(1000))
    grad = LayerGrad(None, None, delta, inputs)
    largest_absent(weight, grad, 1, block_elements=15000)  # compile before measuring
    # A block of 15000 numbers, its magnitudes and candidates: 8 bytes each, a handful of copies;
    # the dense gradient would be 18 MB.
    assert peak_bytes(lambda: largest_absent(weight, grad, 50, block_elements=15000)) < 2 * 10**6


@pytest.mark.parametrize("k", [-1, 6])
def test_largest_absent_refuses_more_than_there_are(k):
    with refuses(f"largest_absent: the count must be in [0, 5], got {k}"):
        largest_absent(weight_on(PRESENT), np.zeros((3, 4)), k)


def test_largest_absent_refuses_a_gradient_of_another_shape():
    with refuses("largest_absent: grad must have the shape (3, 4), got (4, 3)"):
        largest_absent(weight_on(PRESENT), np.zeros((4, 3)), 1)


def test_largest_absent_refuses_nan():
    grad = np.zeros((3, 4))
    grad[0, 2] = np.nan
    with refuses("largest_absent: scores must be numbers, got nan at index 2"):
        largest_absent(weight_on(PRESENT), grad, 1)


@pytest.mark.parametrize("block", [1, 4, 8])
def test_the_index_of_nan_is_its_flat_position_in_any_block(block):
    grad = np.zeros((3, 4))
    grad[1, 3] = np.nan
    with pytest.raises(ValueError, match=r"got nan at (index|position) 7\b"):
        largest_absent(weight_on(PRESENT), grad, 1, block_elements=block)


def test_a_count_that_is_not_whole_is_refused():
    with pytest.raises(TypeError, match=r"^largest: the count must be a whole number, got 2\.0$"):
        largest(np.ones(3), 2.0)


def test_a_gradient_of_integers_is_refused():
    weight = csr.from_dense(np.eye(3))
    with pytest.raises(TypeError, match=r"^largest_absent: grad must hold floats, got uint8$"):
        largest_absent(weight, np.ones((3, 3), np.uint8), 1)
