"""Loops over patterns, against lists and sorting."""

import os
import subprocess
import sys
from pathlib import Path

import naive
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_ref import csr, structure
from sparse_ref.selection import meet

HERE = Path(__file__).resolve().parent
DTYPES = (np.float32, np.float64)
INDICES = (np.int32, np.int64)
NAMED = (-np.inf, -2.0, -1.0, -0.0, 0.0, 1e-40, 1.0, 1.5, np.inf)  # 1e-40: subnormal in float32
SIZES = (0, 1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130)
tied_scores = st.sampled_from(SIZES).flatmap(
    lambda n: st.lists(st.sampled_from(NAMED), min_size=n, max_size=n)
)
ascending = st.sets(st.integers(0, 40)).map(sorted)
compiled_only = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="takes minutes uncompiled")


def pointers(present, dtype=np.int32):
    """Pointers and columns of a pattern."""
    counts = [row.sum() for row in present]
    indptr = np.concatenate([[0], np.cumsum(counts, dtype=int)]).astype(dtype)
    return indptr, np.nonzero(present)[1].astype(dtype)


@st.composite
def patterns(draw):
    """Any density row by row, so that some rows are empty, some full, some in between."""
    shape = draw(st.tuples(st.integers(0, 70), st.integers(1, 9)))
    rng = np.random.default_rng(draw(st.integers(2, 10**6)))
    densities = draw(st.sampled_from([[0.0], [1.0], [0.0, 0.5, 1.0], [0.0] * 9 + [1.0]]))
    return rng.random(shape) < rng.choice(densities, shape[0])[:, None]


# first_disorder -----------------------------------------------------------------------------------


@given(
    counts=st.lists(st.integers(0, 4), max_size=5),
    data=st.data(),
    dtype=st.sampled_from(INDICES),
)
@settings(max_examples=300)
def test_first_disorder_is_the_first_slot_out_of_order_or_range(counts, data, dtype):
    rows = [data.draw(st.lists(st.integers(-1, 6), min_size=n, max_size=n)) for n in counts]
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(dtype)
    wrong = [
        indptr[i] + k
        for i, row in enumerate(rows)
        for k, column in enumerate(row)
        if not 0 <= column < 6 or (k > 0 and row[k - 1] >= column)
    ]
    indices = np.array([column for row in rows for column in row], dtype)
    ref = int(wrong[0]) if wrong else -1
    assert ref == structure.first_disorder(indptr, indices, 6)


def test_rows_may_begin_again_at_the_first_column():
    indptr, indices = np.array([0, 2, 2, 4]), np.array([1, 5, 0, 5])
    assert structure.first_disorder(indptr, indices, 6) == -1


# positions_of -------------------------------------------------------------------------------------


@given(present=patterns(), data=st.data(), dtype=st.sampled_from(INDICES))
@settings(max_examples=100)
def test_positions_of_some_slots(present, data, dtype):
    all_of_them = naive.positions(present)
    share, seed = data.draw(st.sampled_from([0.0, 0.1, 0.9, 1.0])), data.draw(st.integers(2, 10**6))
    slots = np.flatnonzero(np.random.default_rng(seed).random(len(all_of_them)) < share)
    comp = np.full(len(slots), -7, np.int64)
    indptr, indices = pointers(present, dtype)
    structure.positions_of(indptr, slots, indices, present.shape[1], comp)
    assert [all_of_them[slot] for slot in slots] == comp.tolist()


# merge --------------------------------------------------------------------------------------------


@given(
    present=patterns(),
    shares=st.tuples(*[st.sampled_from([0.0, 0.2, 1.0])] * 2),
    clash=st.booleans(),
    dtype=st.sampled_from(INDICES),
)
@settings(max_examples=200)
def test_merge_is_the_naive_restructuring_and_counts_clashes(present, shares, clash, dtype):
    rng = np.random.default_rng([present.sum(), present.size])
    dense = np.where(present, rng.standard_normal(present.shape), 0)
    drop = np.flatnonzero(rng.random(present.sum()) < shares[0])
    free = np.array(naive.absent(present, drop.tolist()), int)
    grow = free[rng.random(len(free)) < shares[1]]
    if clash:  # some positions that are connected and stay so
        kept = np.setdiff1d(naive.positions(present), free)
        grow = np.union1d(grow, kept[rng.random(len(kept)) < 0.3]).astype(int)
    values = rng.standard_normal(len(grow))
    comp, source, clashes = merged(present, dense, drop, grow, values, dtype)
    assert np.isin(grow, free, invert=True).sum() == clashes
    if clashes == 0:
        new, pattern, ref = naive.restructure(dense, present, drop, grow, values)
        assert ref == source.tolist()
        assert new[pattern].tolist() == comp[1].tolist()
        assert np.nonzero(pattern)[1].tolist() == comp[0].tolist()


def merged(present, dense, drop, grow, values, dtype):
    """Columns and values after `merge`, the sources, the count of clashes."""
    (n_out, n_in), (indptr, indices) = present.shape, pointers(present, dtype)
    kept = np.ones(len(indices), bool)
    kept[drop] = False
    left = np.bincount(np.nonzero(present)[0][kept], minlength=n_out)
    come = np.bincount(grow // n_in, minlength=n_out)
    new_indptr = np.concatenate([[0], np.cumsum(left + come)]).astype(dtype)
    n = int(new_indptr[-1])
    new = np.full(n, -7, dtype), np.full(n, np.nan)
    source, old = np.full(n, -7), (indptr, indices, dense[present])
    clashes = structure.merge(old, kept, grow, values, n_in, (new_indptr, *new), source)
    return new, source, clashes


# carry --------------------------------------------------------------------------------------------


@given(source=st.lists(st.integers(-1, 6), max_size=150), dtype=st.sampled_from(DTYPES))
@settings(max_examples=60)
def test_carry_takes_from_the_source(source, dtype):
    old, comp = np.arange(10, 17).astype(dtype), np.full(len(source), np.nan, dtype)
    structure.carry(old, np.array(source, np.int64), dtype(-3), comp)
    assert [-3 if k < 0 else old[k] for k in source] == comp.tolist()


# transpose ----------------------------------------------------------------------------------------


@given(present=patterns(), dtype=st.sampled_from(INDICES))
@settings(max_examples=100)
def test_transpose_lists_the_connections_by_input(present, dtype):
    ref = naive.by_input(present)
    comp = tuple(np.full(len(part), -7, dtype) for part in ref)
    structure.transpose(*pointers(present, dtype), *comp)
    assert [list(map(int, part)) for part in ref] == [part.tolist() for part in comp]


@compiled_only
def test_transpose_of_a_layer_with_many_rows():
    rng = np.random.default_rng(37)
    present = rng.random((700, 90)) < 0.1
    index = csr.transpose_index(csr.from_dense(np.zeros(present.shape), present))
    columns, rows = np.nonzero(present.T)
    slot_at = np.cumsum(present.ravel()).reshape(present.shape) - 1
    np.testing.assert_array_equal(rows, index.rows)
    np.testing.assert_array_equal(slot_at[rows, columns], index.slots)


# absent and meet ----------------------------------------------------------------------------------


@given(kept=ascending, data=st.data())
@settings(max_examples=200)
def test_absent_numbers_what_is_not_kept(kept, data):
    population = 41
    free = [position for position in range(population) if position not in kept]
    ranks = data.draw(st.sets(st.integers(0, len(free) - 1)).map(sorted)) if free else []
    comp = np.full(len(ranks), -7)
    structure.absent(np.array([*kept, population]), np.array([*ranks, population]), comp)
    assert [free[rank] for rank in ranks] == comp.tolist()


@given(some=ascending, others=ascending)
@settings(max_examples=200)
def test_meet_marks_what_both_have(some, others):
    comp = meet(np.array(some, np.int64), np.array(others, np.int64))
    assert [value in others for value in some] == comp[0].tolist()
    assert [value in some for value in others] == comp[1].tolist()
    assert [mask.dtype for mask in comp] == [bool, bool]


def test_meet_reads_arrays_that_are_not_contiguous():
    some, others = np.arange(10)[::2], np.array([0, 9, 3, 9, 4, 9])[::2]
    assert [mask.tolist() for mask in meet(some, others)] == [
        [True, False, True, False, False],
        [True, False, True],
    ]


# between and choose -------------------------------------------------------------------------------


@given(
    scores=tied_scores,
    limits=st.tuples(*[st.sampled_from(NAMED)] * 2),
    dtype=st.sampled_from(DTYPES),
)
@settings(max_examples=300)
def test_between_collects_the_whole_chunks(scores, limits, dtype):
    low, high = map(dtype, sorted(limits))
    scores = np.array(scores, dtype)
    whole = scores[: len(scores) // 16 * 16]
    ref = [score for score in whole if low <= score < high]
    comp = np.full(len(scores), np.nan, dtype)
    n, reached = structure.between(scores, low, high, comp)
    assert ref == comp[:n].tolist()
    assert sum(score >= high for score in whole) == reached


@given(
    scores=tied_scores,
    threshold=st.sampled_from(NAMED),
    ties=st.integers(0, 30),
    largest=st.booleans(),
    dtype=st.sampled_from(DTYPES),
)
@settings(max_examples=300)
def test_choose_takes_the_larger_and_the_first_ties(scores, threshold, ties, largest, dtype):
    scores, threshold = np.array(scores, dtype), dtype(threshold)
    chosen = {k for k, score in enumerate(scores) if score > threshold}
    chosen |= set([k for k, score in enumerate(scores) if score == threshold][:ties])
    ref = sorted(chosen if largest else set(range(len(scores))) - chosen)
    comp = np.full(len(ref), -7)
    structure.choose(scores, threshold, ties, largest, comp)
    assert ref == comp.tolist()


# sort_spread --------------------------------------------------------------------------------------


@given(
    population=st.sampled_from([1, 2, 7, 100, 2**31, 2**53 + 1, 2**62, 2**63 - 1]),
    buckets=st.integers(1, 30),
    n=st.integers(0, 60),
    data=st.data(),
)
@settings(max_examples=200)
def test_sort_spread_sorts(population, buckets, n, data):
    drawn = st.integers(0, population - 1) | st.sampled_from([0, population - 1])
    values = data.draw(st.lists(drawn, min_size=n, max_size=n))
    comp = np.full(n, -7)
    structure.sort_spread(np.array(values, np.int64), population, np.empty(buckets, np.int64), comp)
    assert sorted(values) == comp.tolist()


@pytest.mark.parametrize("order", ["ascending", "descending", "equal", "all low"])
def test_sort_spread_sorts_what_is_not_spread(order):
    values = {
        "ascending": np.arange(300),
        "descending": np.arange(300)[::-1].copy(),
        "equal": np.full(300, 17),
        "all low": np.arange(300) % 7,
    }[order]
    comp = np.full(300, -7)
    structure.sort_spread(values, 10**6, np.empty(100, np.int64), comp)
    np.testing.assert_array_equal(np.sort(values), comp)


# Without the compiler, and in threads -------------------------------------------------------------


@compiled_only
def test_everything_here_holds_uncompiled():
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=HERE.parent,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-3000:]


def restructured(threads):
    """What the parallel loops make of a large layer."""
    rng, before = np.random.default_rng(43), numba.get_num_threads()
    numba.set_num_threads(threads)
    weight = csr.from_dense(np.where(rng.random((900, 50)) < 0.2, rng.random((900, 50)), 0))
    drop = np.flatnonzero(rng.random(weight.nnz) < 0.3)
    grow = np.setdiff1d(np.flatnonzero(rng.random(45000) < 0.1), csr.flat(weight))
    new, source = csr.apply(weight, csr.Rewire(drop, grow, rng.random(len(grow))))
    carried, index = csr.carry(weight.data, source), csr.transpose_index(new)
    parts = (new.indptr, new.indices, new.data, source, csr.flat(new), carried, *index)
    numba.set_num_threads(before)
    return [part.tobytes() for part in parts]


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="no second thread")
@compiled_only
def test_structures_do_not_depend_on_the_number_of_threads():
    assert restructured(1) == restructured(2)


def test_scatter_and_gather_are_the_dense_array_and_back():
    present = np.random.default_rng(449).random((6, 9)) < 0.4
    weight = csr.from_positions((6, 9), np.flatnonzero(present), np.arange(1.0, present.sum() + 1))
    dense = np.zeros((6, 9))
    structure.scatter(weight.indptr, weight.indices, weight.data, dense)
    assert dense[present].tolist() == weight.data.tolist()
    assert not dense[~present].any()
    back = np.empty(weight.nnz)
    structure.gather(weight.indptr, weight.indices, dense + 1, back)
    assert back.tolist() == (weight.data + 1).tolist()
