"""Ranking, ties and random choice of positions."""

import itertools
import os
import re
import subprocess
import sys
import tracemalloc

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from sparse_ref import csr, selection
from sparse_ref.layers import LayerGrad
from sparse_ref.selection import (
    largest,
    largest_absent,
    meet,
    random_absent,
    random_ranks,
    smallest,
)
from sparse_ref.selection.ranking import BRACKET

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
    with refuses(f"{rank.__name__}: scores must be numbers, got nan at index 1"):
        rank(np.array([1.0, np.nan, np.nan]), k)


@every_rank
@pytest.mark.parametrize("k", [-1, 4])
def test_the_count_must_fit(rank, k):
    with refuses(f"{rank.__name__}: the count must be in [0, 3], got {k}"):
        rank(np.ones(3), k)


# More scores than the sample: the bracket ---------------------------------------------------------

MANY = 3 * BRACKET + 5  # the sample takes every third; not whole chunks of 16


def tabled(n, rng):
    """Scores of every kind that could lead the sample astray."""
    rising, noise = np.arange(n, dtype=float), rng.standard_normal(n)
    comb = np.where(np.arange(n) % max(1, n // BRACKET) == 0, 1.0, -1.0)
    return {
        "noise": noise,
        "constant": np.full(n, 3.0),
        "two values": (noise > 1).astype(float),
        "few values": np.round(noise),
        "rising": rising,
        "falling": -rising,
        "all that is sampled is large": comb * np.abs(noise),
        "all that is sampled is small": -comb * np.abs(noise),
        "all that is sampled is equal": np.where(comb > 0, 0.0, noise),
        "one is large": np.where(rising == n // 2, 9.0, 0.0),
        "the last is small": np.where(rising == n - 1, -9.0, 0.0),
        "infinite": np.where(noise > 0.5, np.inf, np.where(noise < -0.5, -np.inf, noise)),
        "mostly -inf": np.where(noise > 2, noise, -np.inf),
        "zeros of either sign": np.where(noise > 0, 0.0, -0.0),
        "outliers": np.where(np.abs(noise) > 2, noise * 1e30, noise),
        "sorted but for the ends": np.roll(rising, 100),
    }


KINDS = tuple(tabled(5, np.random.default_rng(5)))
every_kind = pytest.mark.parametrize("kind", KINDS)


def stable(scores, k):
    """The first k in the order (score descending, index ascending), and the others."""
    order = np.argsort(-scores, kind="stable")
    return np.sort(order[:k]), np.sort(order[k:])


@every_kind
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int16])
def test_many_scores_are_ranked_as_a_stable_sort_ranks_them(kind, dtype):
    rng = np.random.default_rng(92)
    with np.errstate(invalid="ignore", over="ignore"):
        scores = tabled(MANY, rng)[kind].astype(dtype)
    wide = scores.astype(np.float64)  # -(-32768) does not fit an int16
    for k in (0, 1, 2, 15, MANY // 3, MANY // 2, MANY - MANY // 8, MANY - 2, MANY - 1, MANY):
        np.testing.assert_array_equal(stable(wide, k)[0], largest(scores, k), strict=True)
        np.testing.assert_array_equal(stable(wide, MANY - k)[1], smallest(scores, k), strict=True)


@given(
    n=st.integers(1, 40) | st.integers(2 * BRACKET - 20, 5 * BRACKET),
    kind=st.sampled_from(KINDS),
    dtype=st.sampled_from(DTYPES),
    where=st.floats(0, 1),
    seed=st.integers(2, 10**6),
)
@settings(deadline=None, max_examples=150)
def test_any_number_of_scores_is_ranked_as_a_stable_sort_ranks_it(n, kind, dtype, where, seed):
    with np.errstate(over="ignore"):
        scores = tabled(n, np.random.default_rng(seed))[kind].astype(dtype)
    k = round(where * n)
    np.testing.assert_array_equal(stable(scores, k)[0], largest(scores, k))
    np.testing.assert_array_equal(stable(scores, n - k)[1], smallest(scores, k))


def test_the_bracket_may_miss():
    # Guards the tests above: of these scores the sample sees only large ones, so it is far off.
    scores = tabled(MANY, np.random.default_rng(92))["all that is sampled is large"]
    low, _ = selection.ranking._bracket(scores, MANY // 2)
    assert np.sort(scores)[MANY - MANY // 2] < low


@every_rank
@pytest.mark.parametrize("where", [0, 7, MANY - 1])
def test_nan_among_many_is_refused(rank, where):
    scores = np.zeros(MANY, np.float32)
    scores[where] = np.nan
    with refuses(f"{rank.__name__}: scores must be numbers, got nan at index {where}"):
        rank(scores, 5)


@every_rank
def test_many_scores_are_left_alone(rank):
    scores = np.random.default_rng(93).standard_normal(MANY)
    before = scores.copy()
    rank(scores, MANY // 3)
    np.testing.assert_array_equal(before, scores)


@every_rank
def test_scores_may_be_a_part_of_another_array(rank):
    scores = np.random.default_rng(94).integers(0, 9, 2 * MANY).astype(float)
    np.testing.assert_array_equal(rank(scores[::2].copy(), 999), rank(scores[::2], 999))


def test_integers_that_differ_by_one_are_not_a_tie():
    # 2^53 + 1 has no float64 of its own.
    scores = np.array([2**53, 2**53 + 1])
    assert largest(scores, 1).tolist() == [1]


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


# meet and random_absent ---------------------------------------------------------------------------


@given(some=st.sets(st.integers(0, 20)), others=st.sets(st.integers(0, 20)))
@settings(deadline=None, max_examples=60)
def test_meet_marks_what_is_in_both(some, others):
    some, others = sorted(some), sorted(others)
    comp = meet(np.array(some, np.int64), np.array(others, np.int64))
    assert [value in others for value in some] == comp[0].tolist()
    assert [value in some for value in others] == comp[1].tolist()


@pytest.mark.parametrize("density", [0.0, 0.02, 0.5, 0.98, 1.0])
@pytest.mark.parametrize("freed", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_random_absent_is_ascending_and_absent_in_a_larger_layer(density, freed, share):
    rng = np.random.default_rng(91)
    present = rng.random((60, 90)) < density
    slots = np.flatnonzero(rng.random(present.sum()) < freed)
    free = naive.absent(present, slots.tolist())
    comp = random_absent(weight_on(present), int(share * len(free)), rng, slots)
    assert len(comp) == int(share * len(free))
    assert set(comp.tolist()) <= set(free)
    assert (np.diff(comp) > 0).all()


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
    shape = draw(st.tuples(st.integers(1, 7) | st.integers(30, 70), st.integers(1, 7)))
    rng = np.random.default_rng(draw(st.integers(2, 10**6)))
    present = rng.random(shape) < draw(st.sampled_from([0.0, 0.3, 0.8, 1.0]))
    grad = rng.integers(-2, 3, shape).astype(draw(st.sampled_from(DTYPES)))
    freed = np.flatnonzero(rng.random(present.sum()) < 0.3)
    k = draw(st.integers(0, len(naive.absent(present, freed))))
    return present, grad, freed, k, draw(st.sampled_from([1, 20, 100, 141, 1 << 18]))


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


@pytest.fixture
def row_by_row(monkeypatch):
    """Blocks of a single row, so that a layer of three rows has three."""
    monkeypatch.setattr(selection.streaming, "BLOCK_ROWS", 1)


@pytest.mark.usefixtures("row_by_row")
@pytest.mark.parametrize("block", [1, 4, 8, 1000])
def test_ties_across_blocks_go_to_the_lower_position(block):
    grad = np.full(PRESENT.shape, -7.0)
    assert largest_absent(weight_on(PRESENT), grad, 3, block_elements=block).tolist() == [1, 2, 4]


@pytest.mark.usefixtures("row_by_row")
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


@pytest.mark.parametrize(
    ("elements", "starts"),
    [
        (1, [0, 16, 32]),  # at least 16 rows
        (67, [0, 16, 32]),
        (80, [0, 20, 40]),
        (95, [0, 20, 40]),  # rows by fours
        (1 << 18, [0]),
    ],
)
def test_an_object_with_blocks_is_read_in_blocks(elements, starts):
    present = np.tile(PRESENT, (15, 1))[:41]
    rows, weight = Rows(np.arange(164.0).reshape(41, 4)), weight_on(present)
    comp = largest_absent(weight, rows, 20, block_elements=elements)
    assert naive.largest_absent(present, rows.grad, 20) == comp.tolist()
    assert rows.read == list(zip(starts, [*starts[1:], 41], strict=True))


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


@pytest.mark.usefixtures("row_by_row")
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
    with pytest.raises(
        TypeError, match=r"^largest_absent: grad must be float32 or float64, got uint8$"
    ):
        largest_absent(weight, np.ones((3, 3), np.uint8), 1)


# Layers that are large enough for a guess ---------------------------------------------------------

SIDE = 600  # 600 x 600 positions are more than 8 samples


def large_layer(density=0.1, seed=95):
    rng = np.random.default_rng(seed)
    return weight_on(rng.random((SIDE, SIDE)) < density, np.float32)


def factors(kind="real", dtype=np.float32, seed=96):
    """A gradient as two factors; `tied` takes 25 values, `sparse` is mostly 0."""
    rng = np.random.default_rng(seed)
    delta, inputs = rng.standard_normal((2, 3, SIDE, 16))
    if kind == "tied":
        delta, inputs = (rng.integers(-1, 2, (2, 3, SIDE, 16)) * (np.arange(16) < 4)).astype(float)
    if kind == "sparse":
        delta[:, np.arange(SIDE) % 97 != 5] = 0
    if kind == "rising":
        delta = np.ones((3, SIDE, 16)) * np.arange(SIDE)[:, None]
    return LayerGrad(None, None, delta.astype(dtype), inputs.astype(dtype))


def stable_absent(weight, grad, k, freed=()):
    """The k largest absent by one stable sort of the whole gradient."""
    scores = np.abs(grad.reshape(-1)).astype(np.float64)
    scores[np.delete(csr.flat(weight), freed)] = -1
    return stable(scores, k)[0]


FREE = int(SIDE * SIDE - large_layer().nnz)
SOME_FREED = np.arange(0, 30000, 7)
every_count = pytest.mark.parametrize("k", [1, 2, 50, 3000, FREE // 3, FREE - 1, FREE])


@every_count
@pytest.mark.parametrize("kind", ["real", "tied", "sparse", "rising"])
def test_a_guess_changes_nothing(kind, k):
    weight, grad = large_layer(), factors(kind)
    ref = stable_absent(weight, grad.block(0, SIDE), k)
    np.testing.assert_array_equal(ref, largest_absent(weight, grad, k))


@pytest.mark.parametrize("block", [1, 601, 5000, 77777, 1 << 18, 1 << 20])
@pytest.mark.parametrize("kind", ["tied", "rising"])
def test_a_guess_changes_nothing_for_any_block(kind, block):
    weight, grad = large_layer(), factors(kind)
    ref = stable_absent(weight, grad.block(0, SIDE), 4000)
    np.testing.assert_array_equal(ref, largest_absent(weight, grad, 4000, block_elements=block))


@pytest.mark.parametrize("kind", ["real", "tied"])
@pytest.mark.parametrize("freed", [SOME_FREED, np.arange(0), np.arange(large_layer().nnz)])
@every_dtype
def test_freed_slots_are_candidates_under_a_guess(kind, freed, dtype):
    weight, grad = large_layer(), factors(kind, dtype)
    ref = stable_absent(weight, grad.block(0, SIDE), 5000, freed)
    np.testing.assert_array_equal(ref, largest_absent(weight, grad, 5000, freed))


@pytest.mark.parametrize("density", [0.0, 0.5, 0.999])
def test_layers_of_any_density_under_a_guess(density):
    weight, grad = large_layer(density), factors("tied")
    k = (SIDE * SIDE - weight.nnz) // 2
    ref = stable_absent(weight, grad.block(0, SIDE), k)
    np.testing.assert_array_equal(ref, largest_absent(weight, grad, k))


def test_a_guess_is_made_and_spares_most_of_the_candidates():
    # Guards the tests above: without a guess they would show nothing.
    grad = factors()
    guess = selection.streaming._guess([(SIDE, SIDE)], [grad], 3000)
    above = np.count_nonzero(np.abs(grad.block(0, SIDE)) > guess)
    assert 3000 < above < 3 * 3000


@pytest.mark.parametrize("shape", [(512, 512), (1, 1 << 18), (1 << 18, 1), (3, 100003)])
def test_the_sample_of_a_guess_lies_in_the_layer_and_is_ascending(shape):
    seen = []

    class Sampled(Lying):
        def at(self, positions):
            seen.append(positions)
            return super().at(positions)

    grad = np.random.default_rng(97).standard_normal(shape)
    weight = csr.from_positions(shape, np.array([5]), np.zeros(1))
    comp = largest_absent(weight, Sampled(grad, lambda x: x), 40)
    np.testing.assert_array_equal(stable_absent(weight, grad, 40), comp)
    assert (np.diff(seen[0]) > 0).all()
    assert 0 <= seen[0][0] < seen[0][-1] < grad.size


class Lying(Rows):
    """A gradient whose sample is not what its blocks hold."""

    def __init__(self, grad, lie):
        super().__init__(grad)
        self.lie = lie

    def at(self, positions):
        return self.lie(self.grad.reshape(-1)[positions])


LIES = {
    "huge": lambda x: np.full_like(x, 1e30),
    "infinite": lambda x: np.full_like(x, -np.inf),
    "zero": np.zeros_like,
    "negative": lambda x: -np.abs(x),
    "a little too large": lambda x: 1.3 * x,
    "much too small": lambda x: x / 100,
    "constant": lambda x: np.full_like(x, 1),
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("k", [1, 700, FREE // 2])
@every_dtype
def test_a_wrong_guess_changes_nothing(lie, k, dtype):
    weight, rng = large_layer(), np.random.default_rng(98)
    grad = np.round(rng.standard_normal((SIDE, SIDE)), 1).astype(dtype)  # many ties
    ref = stable_absent(weight, grad, k)
    np.testing.assert_array_equal(ref, largest_absent(weight, Lying(grad, LIES[lie]), k))


def test_a_guess_that_is_too_high_makes_a_second_pass():
    grad = Lying(np.ones((SIDE, SIDE)), LIES["huge"])
    largest_absent(large_layer(), grad, 5)
    assert [rows for rows in grad.read if rows[0] == 0] == 2 * [(0, grad.read[0][1])]


def test_a_gradient_of_equal_numbers_under_a_guess():
    weight, grad = large_layer(), Lying(np.full((SIDE, SIDE), -7.0), lambda x: x)
    ref = [position for position in range(300) if position not in set(csr.flat(weight))]
    assert ref[:100] == largest_absent(weight, grad, 100).tolist()


def test_infinite_gradients_come_first_under_a_guess():
    grad = np.random.default_rng(99).standard_normal((SIDE, SIDE))
    grad[[3, 599, 300], [7, 599, 2]] = -np.inf, np.inf, np.inf
    weight = csr.from_positions((SIDE, SIDE), np.array([0]), np.zeros(1))
    comp = largest_absent(weight, Lying(grad, lambda x: x), 3)
    assert comp.tolist() == [3 * SIDE + 7, 300 * SIDE + 2, 599 * SIDE + 599]


ABSENT = 357 * SIDE + 11  # a position that is absent and in no sample


@pytest.mark.parametrize("guess", [True, False])
@pytest.mark.parametrize("block", [1, 5000, 1 << 20])
def test_nan_is_refused_with_and_without_a_guess(guess, block):
    grad = np.random.default_rng(109).standard_normal((SIDE, SIDE))
    grad.reshape(-1)[ABSENT] = np.nan
    weight = csr.from_positions((SIDE, SIDE), np.array([0]), np.zeros(1))
    grad = Lying(grad, lambda x: np.nan_to_num(x)) if guess else grad
    with refuses(f"largest_absent: scores must be numbers, got nan at index {ABSENT}"):
        largest_absent(weight, grad, 9, block_elements=block)


@pytest.mark.parametrize("units", [1, 3, 300, SIDE])
def test_rows_that_are_not_numbers_are_refused_under_a_guess(units):
    # One unit of 600 that is no number is 50 of the sample: the guess must not be one of these.
    weight, grad = large_layer(), factors()
    grad.delta[:, 100 : 100 + units] = np.nan
    first = next(p for p in range(100 * SIDE, SIDE * SIDE) if p not in set(csr.flat(weight)))
    position = r"(\d+)"
    with pytest.raises(ValueError, match=f"got nan at index {position}") as refusal:
        largest_absent(weight, grad, 50)
    named = int(re.search(r"index (\d+)", str(refusal.value))[1])
    assert 100 * SIDE <= named <= first


def test_the_users_own_gradient_is_left_alone_whatever_the_block():
    rng = np.random.default_rng(101)
    weight = large_layer()
    for order in "CF":
        grad = np.array(rng.standard_normal((SIDE, SIDE)), order=order)
        before = grad.copy()
        for block in (1000, 1 << 20):
            largest_absent(weight, grad, 50, block_elements=block)
        np.testing.assert_array_equal(before, grad)


def test_factors_are_left_alone():
    weight, grad = large_layer(), factors()
    before = grad.delta.copy(), grad.inputs.copy()
    largest_absent(weight, grad, 50)
    np.testing.assert_array_equal(before, (grad.delta, grad.inputs))


def test_factors_that_are_not_contiguous_choose_the_same():
    weight, grad = large_layer(), factors("tied")
    ref = largest_absent(weight, grad, 500)
    strided = LayerGrad(None, None, np.asfortranarray(grad.delta), np.asfortranarray(grad.inputs))
    np.testing.assert_array_equal(ref, largest_absent(weight, strided, 500))


def test_factors_of_different_tiles_are_refused_before_anything_is_read():
    grad = factors()
    broken = LayerGrad(None, None, grad.delta[:1], grad.inputs)
    with pytest.raises(ValueError, match=r"^LayerGrad: delta must have the tiles and width of"):
        broken.at(np.arange(0, 1000, 7))


def test_the_candidates_of_a_rising_gradient_do_not_pile_up():
    # Each block is larger than the one before, so all of it would be kept: 2.9 MB of scores alone.
    weight = csr.from_positions((SIDE, SIDE), np.array([0]), np.zeros(1))
    grad = Lying(np.arange(float(SIDE * SIDE)).reshape(SIDE, SIDE), LIES["zero"])
    call = lambda: largest_absent(weight, grad, 100, block_elements=9600)  # noqa: E731
    ref = list(range(SIDE * SIDE - 100, SIDE * SIDE))
    assert ref == call().tolist()
    # A dozen arrays of a block of 9600 numbers of 8 bytes, and the sample of 32768, a few times.
    assert peak_bytes(call) < 12 * 9600 * 8 + 5 * 32768 * 8


# Without the compiler -----------------------------------------------------------------------------

TRAIN = """
import sys
import numpy as np
from sparse_ref import Linear, Network, ReLU, csr, optim, tiles, train
from sparse_ref.methods import SET, RigL
rng = np.random.default_rng(103)
dtype = np.dtype(sys.argv[1]).type
def made(n_out, n_in):
    dense = np.where(rng.random((n_out, n_in)) < 0.3, rng.standard_normal((n_out, n_in)), 0)
    return Linear(csr.from_dense(dense.astype(dtype)))
for method in (SET(every=2), RigL(every=2, stop=9)):
    net = Network([made(13, 18), ReLU(), made(4, 13)])
    x, y = tiles.pack(rng.standard_normal((20, 18)).astype(dtype)), rng.integers(0, 4, 20)
    optimizer = optim.sgd(0.1, momentum=0.9)
    training = train.start(net, method, optimizer, *rng.spawn(2))
    before = [csr.flat(layer.weight) for layer in net.sparse_layers]
    for _ in range(7):
        train.step(net, x, y, training)
    for layer, old in zip(net.sparse_layers, before):
        assert csr.flat(layer.weight).tolist() != old.tolist()
        print(csr.flat(layer.weight).tobytes().hex())
    print(np.concatenate([layer.weight.data for layer in net.sparse_layers]).tobytes().hex())
"""


def trained(dtype, **environment):
    """Patterns and weights after a small training with SET and one with RigL."""
    run = subprocess.run(
        [sys.executable, "-c", TRAIN, np.dtype(dtype).name],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout.split()


@every_dtype
def test_set_and_rigl_train_alike_uncompiled(dtype):
    ref, comp = trained(dtype), trained(dtype, NUMBA_DISABLE_JIT="1")
    patterns, weights = [0, 1, 3, 4], [2, 5]
    assert [ref[k] for k in patterns] == [comp[k] for k in patterns]
    for k in weights:
        one, other = (np.frombuffer(bytes.fromhex(text[k]), dtype) for text in (ref, comp))
        # Plain float64 rounds each product once more; 7 steps with a rate of 0.1 add little to it.
        tolerance = {np.float32: 0, np.float64: 1e-13}[dtype]
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance)


PLAIN_RANKS = """
import numpy as np
import test_selection
from sparse_ref.selection import largest, smallest
for n in (0, 1, 5, 15, 16, 17, 40, 8300):
    for kind, scores in test_selection.tabled(n, np.random.default_rng(104)).items():
        for dtype in (np.float32, np.float64, np.int64):
            with np.errstate(all="ignore"):
                cast = scores.astype(dtype)
            wide = cast.astype(np.float64)
            for k in {0, min(1, n), n // 2, n}:
                np.testing.assert_array_equal(test_selection.stable(wide, k)[0], largest(cast, k))
                ref = test_selection.stable(wide, n - k)[1]
                np.testing.assert_array_equal(ref, smallest(cast, k))
"""


def test_scores_are_ranked_alike_uncompiled():
    run = subprocess.run(
        [sys.executable, "-c", PLAIN_RANKS],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-2000:]
