"""Building, checking and restructuring CSR weights."""

import re

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array, csc_array, csr_array, csr_matrix

from sparse_ref import csr
from sparse_ref.csr import Rewire

DTYPES = (np.float32, np.float64)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


def refuses(kind, message):
    """The whole message, word for word."""
    return pytest.raises(kind, match=r"^" + re.escape(message) + "$")


def hand_weight(dtype=np.float64):
    """Slots 0 ... 4, two of them 0.

    . 5 .  .
    0 . 7 -0
    . . .  .
    9 . .  .
    """
    dense = np.array([[0, 5, 0, 0], [0, 0, 7, -0.0], [0, 0, 0, 0], [9, 0, 0, 0]], dtype)
    present = np.array([[0, 1, 0, 0], [1, 0, 1, 1], [0, 0, 0, 0], [1, 0, 0, 0]], bool)
    return csr.from_dense(dense, present)


def rewire(drop=(), grow=(), values=None):
    values = np.zeros(len(grow)) if values is None else np.array(values)
    return Rewire(np.array(drop, np.int64), np.array(grow, np.int64), values)


def is_frozen(weight):
    return not (weight.indices.flags.writeable or weight.indptr.flags.writeable)


@st.composite
def layers(draw):
    """A dense array and a pattern of any density, with explicit zeros."""
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    rng = np.random.default_rng(draw(st.integers(2, 10**6)))
    present = rng.random(shape) < draw(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]))
    dense = np.where(present, rng.integers(-2, 3, shape), 0).astype(draw(st.sampled_from(DTYPES)))
    return dense, present


@st.composite
def events(draw):
    """A layer, slots to drop and positions to grow, from nothing to everything."""
    dense, present = draw(layers())
    share = st.sampled_from([0.0, 0.3, 1.0])
    rng = np.random.default_rng(draw(st.integers(2, 10**6)))
    drop = np.flatnonzero(rng.random(present.sum()) < draw(share))
    free = np.array(naive.absent(present, set(drop.tolist())), np.int64)
    grow = free[rng.random(len(free)) < draw(share)]
    return dense, present, Rewire(drop, grow, rng.standard_normal(len(grow)))


# from_dense, to_dense, pattern, flat --------------------------------------------------------------


@given(layer=layers())
@settings(deadline=None, max_examples=60)
def test_to_dense_undoes_from_dense(layer):
    dense, _ = layer
    np.testing.assert_array_equal(dense, csr.to_dense(csr.from_dense(*layer)), strict=True)


@given(layer=layers())
@settings(deadline=None, max_examples=60)
def test_pattern_is_what_from_dense_was_given_zeros_included(layer):
    _, present = layer
    np.testing.assert_array_equal(present, csr.pattern(csr.from_dense(*layer)), strict=True)


@given(layer=layers())
@settings(deadline=None, max_examples=60)
def test_flat_lists_the_positions_row_after_row(layer):
    ref = np.array(naive.positions(layer[1]), np.int64)
    comp = csr.flat(csr.from_dense(*layer))
    np.testing.assert_array_equal(ref, comp, strict=True)


def test_hand_weight_has_its_zeros_stored():
    weight = hand_weight()
    assert weight.data.tolist() == [5, 0, 7, 0, 9]
    assert weight.indices.tolist() == [1, 0, 2, 3, 0]
    assert weight.indptr.tolist() == [0, 1, 4, 4, 5]


def test_from_dense_keeps_the_sign_of_a_stored_zero():
    assert np.signbit(hand_weight().data).tolist() == [False, False, False, True, False]


def test_from_dense_without_a_pattern_connects_the_non_zeros():
    dense = np.array([[0.0, 2.0, -0.0], [1e-300, 0.0, np.nan]])
    assert csr.flat(csr.from_dense(dense)).tolist() == [1, 3, 5]


def test_from_dense_copies():
    dense = np.ones((2, 3))
    weight = csr.from_dense(dense)
    dense[:] = 4
    assert weight.data.tolist() == [1] * 6


def test_from_dense_reads_arrays_in_any_order_of_memory():
    dense = np.asfortranarray([[0.0, 1.0, 2.0], [3.0, 0.0, 4.0]])
    np.testing.assert_array_equal(dense, csr.to_dense(csr.from_dense(dense)))


@every_dtype
def test_from_dense_keeps_the_dtype(dtype):
    assert hand_weight(dtype).dtype == dtype


def test_to_dense_is_a_copy():
    weight = hand_weight()
    csr.to_dense(weight)[:] = 3
    assert weight.data.tolist() == [5, 0, 7, 0, 9]


def test_from_dense_refuses_a_pattern_of_another_shape():
    with refuses(
        ValueError, "from_dense: pattern must have the shape of dense, (2, 3), got (3, 2)"
    ):
        csr.from_dense(np.ones((2, 3)), np.ones((3, 2), bool))


def test_from_dense_refuses_a_value_outside_the_pattern():
    dense = np.array([[1.0, 0.0], [0.0, 2.5]])
    with refuses(
        ValueError,
        "from_dense: values outside the pattern must be zero, got 2.5 at row 1, column 1",
    ):
        csr.from_dense(dense, np.array([[1, 0], [1, 0]], bool))


def test_from_dense_refuses_a_vector():
    with refuses(ValueError, "from_dense: dense must have two dimensions, got shape (3,)"):
        csr.from_dense(np.ones(3))


@pytest.mark.parametrize("dtype", [np.int64, np.float16, np.complex128])
def test_from_dense_refuses_other_dtypes(dtype):
    message = f"from_dense: dense must be float32 or float64, got {np.dtype(dtype)}"
    with refuses(TypeError, message):
        csr.from_dense(np.ones((2, 2), dtype))


# from_positions -----------------------------------------------------------------------------------


@every_dtype
def test_from_positions_puts_each_value_at_its_position(dtype):
    weight = csr.from_positions((2, 3), np.array([1, 3, 5]), np.array([4, 0, 6], dtype))
    ref = np.array([[0, 4, 0], [0, 0, 6]], dtype)
    np.testing.assert_array_equal(ref, csr.to_dense(weight), strict=True)


def test_from_positions_undoes_flat():
    weight = hand_weight()
    again = csr.from_positions(weight.shape, csr.flat(weight), weight.data)
    np.testing.assert_array_equal(csr.pattern(weight), csr.pattern(again))


def test_from_positions_copies_the_values():
    values = np.array([1.0, 2.0])
    weight = csr.from_positions((2, 2), np.array([0, 3]), values)
    values[:] = 7
    assert weight.data.tolist() == [1, 2]


def test_from_positions_makes_empty_layers():
    weight = csr.from_positions((3, 4), np.empty(0, np.int64), np.empty(0, np.float32))
    assert (weight.shape, weight.nnz, weight.dtype) == ((3, 4), 0, np.float32)


@pytest.mark.parametrize(
    ("positions", "rule"),
    [
        ([0, 3, 2], "ascending and unique, got 3 before 2"),
        ([0, 3, 3], "ascending and unique, got 3 before 3"),
        ([-1, 0, 1], "in [0, 6), got -1"),
        ([0, 1, 6], "in [0, 6), got 6"),
    ],
)
def test_from_positions_refuses_positions_without_order_or_place(positions, rule):
    with refuses(ValueError, f"from_positions: positions must be {rule}"):
        csr.from_positions((2, 3), np.array(positions), np.ones(3))


def test_from_positions_refuses_lengths_that_differ():
    with refuses(
        ValueError,
        "from_positions: positions and values must be one-dimensional and equally long, got "
        "shapes (2,) and (3,)",
    ):
        csr.from_positions((2, 3), np.array([0, 1]), np.ones(3))


def test_from_positions_refuses_integer_values():
    with refuses(TypeError, "from_positions: values must be float32 or float64, got int64"):
        csr.from_positions((2, 3), np.array([0, 1]), np.ones(2, np.int64))


def test_from_positions_refuses_fractions_of_positions():
    # `apply` refuses them; rounding 1.5 to 1 here would be a silent fix.
    with pytest.raises(TypeError, match=r"from_positions: .*positions.* float64"):
        csr.from_positions((2, 3), np.array([0.0, 1.5]), np.ones(2))


# positions_of -------------------------------------------------------------------------------------


@given(layer=layers(), data=st.data())
@settings(deadline=None, max_examples=60)
def test_positions_of_some_slots(layer, data):
    every = naive.positions(layer[1])
    slots = sorted(data.draw(st.sets(st.integers(0, len(every) - 1)))) if every else []
    comp = csr.positions_of(csr.from_dense(*layer), np.array(slots, np.int64))
    assert [every[slot] for slot in slots] == comp.tolist()
    assert comp.dtype == np.int64


def test_positions_of_slots_that_are_not_contiguous():
    assert csr.positions_of(hand_weight(), np.arange(5)[::2]).tolist() == [1, 6, 12]


def test_positions_of_int32_slots_beyond_2_to_31():
    weight = csr.from_positions((60000, 60000), np.array([7, 2**31 + 5]), np.ones(2))
    assert csr.positions_of(weight, np.array([1], np.int32)).tolist() == [2**31 + 5]


# Index arrays -------------------------------------------------------------------------------------


def test_the_pattern_is_read_only():
    weight = hand_weight()
    assert is_frozen(weight)


def test_the_values_are_not_read_only():
    assert hand_weight().data.flags.writeable


def test_indices_are_int32_where_they_fit():
    weight = hand_weight()
    assert (weight.indices.dtype, weight.indptr.dtype) == (np.int32, np.int32)


def test_positions_beyond_2_to_31_stay_where_they_are():
    positions = np.array([0, 2**31 - 1, 2**31, 2**31 + 5, 60000 * 60000 - 1])
    weight = csr.from_positions((60000, 60000), positions, np.ones(5, np.float32))
    np.testing.assert_array_equal(positions, csr.flat(weight))


def test_indices_of_a_layer_beyond_2_to_31_positions_are_int32_still():
    weight = csr.from_positions((60000, 60000), np.array([2**31 + 5]), np.ones(1))
    assert (weight.indices.dtype, weight.indptr.dtype) == (np.int32, np.int32)


def test_apply_works_beyond_2_to_31():
    positions = np.array([7, 2**31 + 5, 60000 * 60000 - 1])
    weight = csr.from_positions((60000, 60000), positions, np.array([1.0, 2.0, 3.0]))
    new, source = csr.apply(weight, rewire([1], [2**31 + 6, 3 * 10**9]))
    assert csr.flat(new).tolist() == [7, 2**31 + 6, 3 * 10**9, 60000 * 60000 - 1]
    assert source.tolist() == [0, -1, -1, 2]


# check and freeze ---------------------------------------------------------------------------------


def loose(indptr=(0, 1, 2), indices=(0, 1), data=(1.0, 2.0), shape=(2, 3)):
    """A weight whose arrays nobody has checked."""
    weight = csr_array(shape)
    weight.indptr, weight.indices = np.array(indptr, np.int32), np.array(indices, np.int32)
    weight.data = np.array(data)
    return weight


@every_dtype
def test_check_returns_a_canonical_weight_itself(dtype):
    weight = hand_weight(dtype)
    assert csr.check(weight) is weight


def test_check_accepts_stored_zeros_and_empty_rows():
    csr.check(loose((0, 0, 2), (0, 2), (0.0, 0.0)))


@pytest.mark.parametrize("make", [csr_matrix, csc_array, coo_array, np.array])
def test_check_refuses_what_is_no_csr_array(make):
    weight = make(np.ones((2, 2)))
    name = type(weight).__name__
    with refuses(
        TypeError, f"check: weight must be a two-dimensional scipy.sparse.csr_array, got {name}"
    ):
        csr.check(weight)


def test_check_refuses_a_sparse_vector():
    with pytest.raises(TypeError, match=r"^check: weight must be a two-dimensional"):
        csr.check(csr_array(np.ones(3)))


def test_check_names_who_asked():
    with pytest.raises(TypeError, match=r"^Linear: weight must be"):
        csr.check(np.ones((2, 2)), "Linear")


def test_check_refuses_integer_weights():
    with refuses(TypeError, "check: weight must be float32 or float64, got int64"):
        csr.check(csr_array(np.ones((2, 2), np.int64)))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"indptr": (1, 1, 2)}, "indptr must start at 0 and never fall, got [1 1 2]"),
        ({"indptr": (0, 3, 2)}, "indptr must start at 0 and never fall, got [0 3 2]"),
        (
            {"indptr": (0, 1, 1)},
            "indptr[-1], indices and data must agree in length, got 1, 2 and 2",
        ),
        (
            {"data": (1.0, 2.0, 3.0)},
            "indptr[-1], indices and data must agree in length, got 2, 2 and 3",
        ),
        ({"indices": (0, 3)}, "column indices must be in [0, 3), got 3"),
        ({"indices": (-1, 1)}, "column indices must be in [0, 3), got -1"),
        (
            {"indptr": (0, 0, 2), "indices": (2, 1)},
            "connections (row * n_in + column) must be ascending and unique, got 5 before 4",
        ),
        (
            {"indptr": (0, 0, 2), "indices": (1, 1)},
            "connections (row * n_in + column) must be ascending and unique, got 4 before 4",
        ),
    ],
)
def test_check_refuses_arrays_that_are_not_canonical(arrays, message):
    with refuses(ValueError, f"check: {message}"):
        csr.check(loose(**arrays))


def test_check_refuses_too_few_pointers():
    # Rows without pointers would be read from beyond the array by the kernels.
    with pytest.raises(ValueError, match=r"^check: indptr"):
        csr.check(loose((0, 2), (0, 1)))


def test_freeze_shares_the_values():
    weight = loose()
    assert np.shares_memory(csr.freeze(weight).data, weight.data)


def test_freeze_leaves_the_arrays_of_the_caller_writeable():
    # SciPy keeps the arrays it is given; freezing these would freeze what the user still works on.
    indptr, indices = np.array([0, 1, 2], np.int32), np.array([0, 1], np.int32)
    weight = csr_array((np.ones(2), indices, indptr), shape=(2, 3))
    frozen = csr.freeze(weight)
    indptr[:], indices[:] = (0, 0, 0), 2
    assert (frozen.indptr.tolist(), frozen.indices.tolist()) == ([0, 1, 2], [0, 1])


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_from_positions_and_apply_do_not_share_the_callers_positions(dtype):
    positions, grow = np.array([1, 2], dtype), np.array([0], dtype)
    weight = csr.from_positions((1, 4), positions, np.ones(2))
    new, _ = csr.apply(weight, Rewire(np.array([1]), grow, np.ones(1)))
    positions[:], grow[:] = 3, 3
    assert csr.flat(weight).tolist() == [1, 2]
    assert csr.flat(new).tolist() == [0, 1]


def test_freeze_makes_the_pattern_read_only_and_leaves_the_original_alone():
    weight = loose()
    frozen = csr.freeze(weight)
    assert is_frozen(frozen)
    assert weight.indices.flags.writeable
    assert weight.indptr.flags.writeable
    assert not np.shares_memory(frozen.indices, weight.indices)


# apply --------------------------------------------------------------------------------------------


def test_apply_hand_example():
    #  . 5 .  .        . 5 .  1      drop slots 2 and 4, grow (0, 3) and (2, 2)
    #  0 . 7 -0   ->   0 . . -0
    #  . . .  .        . . 2  .
    #  9 . .  .        . . .  .
    new, source = csr.apply(hand_weight(), rewire([2, 4], [3, 10], [1.0, 2.0]))
    assert csr.flat(new).tolist() == [1, 3, 4, 7, 10]
    assert new.data.tolist() == [5, 1, 0, 0, 2]
    assert source.tolist() == [0, -1, 1, 3, -1]


@given(event=events())
@settings(deadline=None, max_examples=150)
def test_apply_drops_and_grows(event):
    dense, present, change = event
    new_dense, new_pattern, source = naive.restructure(dense, present, *change[:3])
    comp, comp_source = csr.apply(csr.from_dense(dense, present), change)
    np.testing.assert_array_equal(new_dense, csr.to_dense(comp), strict=True)
    np.testing.assert_array_equal(new_pattern, csr.pattern(comp))
    np.testing.assert_array_equal(source, comp_source)


@given(event=events())
@settings(deadline=None, max_examples=60)
def test_apply_returns_a_canonical_weight(event):
    dense, present, change = event
    comp, source = csr.apply(csr.from_dense(dense, present), change)
    csr.check(comp)
    assert is_frozen(comp)
    assert source.dtype == np.int64


@given(event=events())
@settings(deadline=None, max_examples=60)
def test_apply_leaves_the_old_weight_alone(event):
    dense, present, change = event
    old = csr.from_dense(dense, present)
    before = old.data.tobytes(), old.indices.tobytes(), old.indptr.tobytes()
    comp, _ = csr.apply(old, change)
    comp.data[:] = 77
    assert before == (old.data.tobytes(), old.indices.tobytes(), old.indptr.tobytes())


@every_dtype
def test_survivors_keep_their_bits(dtype):
    values = np.array([-0.0, 0.0, 1 / 3, np.finfo(dtype).smallest_subnormal, -np.inf], dtype)
    weight = csr.from_positions((2, 4), np.array([0, 1, 4, 6, 7]), values)
    new, source = csr.apply(weight, rewire([1], [2, 5]))
    ref = values[[0, 2, 3, 4]]
    comp = new.data[source >= 0]
    assert ref.tobytes() == comp.tobytes()


@every_dtype
def test_apply_keeps_the_dtype(dtype):
    new, _ = csr.apply(hand_weight(dtype), rewire([0], [0], [0.1]))
    assert new.dtype == dtype


def test_a_dropped_position_may_grow_again_as_a_new_connection():
    new, source = csr.apply(hand_weight(), rewire([2], [6], [0.5]))
    assert csr.to_dense(new)[1, 2] == 0.5
    assert source.tolist() == [0, 1, -1, 3, 4]


def test_an_empty_rewire_changes_nothing():
    old = hand_weight()
    new, source = csr.apply(old, Rewire([], [], []))
    assert new.data.tobytes() == old.data.tobytes()
    assert source.tolist() == [0, 1, 2, 3, 4]


APPLY_ERRORS = [
    (rewire([5]), "apply: drop slots must be in [0, 5), got 5"),
    (rewire([-1]), "apply: drop slots must be in [0, 5), got -1"),
    (rewire([2, 2]), "apply: drop slots must be ascending and unique, got 2 before 2"),
    (rewire([3, 1]), "apply: drop slots must be ascending and unique, got 3 before 1"),
    (rewire((), [16]), "apply: grow positions must be in [0, 16), got 16"),
    (rewire((), [-2]), "apply: grow positions must be in [0, 16), got -2"),
    (rewire((), [8, 8]), "apply: grow positions must be ascending and unique, got 8 before 8"),
    (rewire((), [9, 8]), "apply: grow positions must be ascending and unique, got 9 before 8"),
    (rewire((), [6]), "apply: grow position 6 is already connected (row 1, column 2)"),
    (rewire([1], [0, 6]), "apply: grow position 6 is already connected (row 1, column 2)"),
    (
        rewire((), [0, 2], [1.0]),
        "apply: values must be as many as grow positions, 2, got shape (1,)",
    ),
    (
        rewire((), [0], [[1.0]]),
        "apply: values must be as many as grow positions, 1, got shape (1, 1)",
    ),
    (rewire((), [0, 2], [1.0, np.inf]), "apply: values must be finite, got inf"),
    (rewire((), [0], [np.nan]), "apply: values must be finite, got nan"),
]


@pytest.mark.parametrize(("change", "message"), APPLY_ERRORS)
def test_apply_refuses(change, message):
    with refuses(ValueError, message):
        csr.apply(hand_weight(), change)


def test_apply_refuses_to_regrow_a_position_that_is_not_freed():
    # The last position of a full layer: the search for it runs off the end.
    full = csr.from_dense(np.ones((2, 2)))
    with refuses(ValueError, "apply: grow position 3 is already connected (row 1, column 1)"):
        csr.apply(full, rewire([0], [3]))


@pytest.mark.parametrize("name", ["drop", "grow"])
def test_apply_refuses_floats_for_integers(name):
    change = rewire([1], [0])._replace(**{name: np.array([1.0])})
    with refuses(TypeError, f"apply: {name} must hold integers, got dtype float64"):
        csr.apply(hand_weight(), change)


@pytest.mark.parametrize("name", ["drop", "grow"])
def test_apply_refuses_a_mask_for_integers(name):
    change = rewire([1], [0])._replace(**{name: np.array([True])})
    with refuses(TypeError, f"apply: {name} must hold integers, got dtype bool"):
        csr.apply(hand_weight(), change)


def test_apply_refuses_values_that_the_weight_cannot_hold():
    # 1e300 is finite, but not in the float32 of the weight it would go into.
    with pytest.raises(ValueError, match=r"^apply: values must be finite"):
        csr.apply(hand_weight(np.float32), rewire((), [0], [1e300]))


@pytest.mark.parametrize("name", ["drop", "grow"])
def test_apply_refuses_a_table_of_integers(name):
    # (n,) by contract; flattening another shape would be a silent fix.
    change = rewire([1, 2], [0, 2])
    change = change._replace(**{name: getattr(change, name).reshape(2, 1)})
    with pytest.raises(ValueError, match=f"^apply: .*{name}"):
        csr.apply(hand_weight(), change)


@pytest.mark.parametrize("change", [change for change, _ in APPLY_ERRORS])
def test_a_refused_rewire_changes_nothing(change):
    weight = hand_weight()
    before = weight.data.tobytes(), weight.indices.tobytes(), weight.indptr.tobytes()
    with pytest.raises(ValueError, match="apply"):
        csr.apply(weight, change)
    assert before == (weight.data.tobytes(), weight.indices.tobytes(), weight.indptr.tobytes())


@st.composite
def wide_events(draw):
    """As `events`, with more rows than threads take at a time, and rows of any density."""
    shape = draw(st.tuples(st.integers(1, 200), st.integers(1, 12)))
    rng = np.random.default_rng(draw(st.integers(2, 10**6)))
    present = rng.random(shape) < rng.choice([0.0, 0.0, 0.5, 1.0], shape[0])[:, None]
    dense = np.where(present, rng.standard_normal(shape), 0)
    drop = np.flatnonzero(rng.random(present.sum()) < draw(st.sampled_from([0.0, 0.3, 1.0])))
    free = np.array(naive.absent(present, drop.tolist()), np.int64)
    grow = free[rng.random(len(free)) < draw(st.sampled_from([0.0, 0.3, 1.0]))]
    return dense, present, Rewire(drop, grow, rng.standard_normal(len(grow)))


@given(event=wide_events())
@settings(deadline=None, max_examples=60)
def test_apply_drops_and_grows_in_many_rows(event):
    dense, present, change = event
    new = dense.reshape(-1).copy()
    new[np.flatnonzero(present)[change.drop]] = np.nan
    new[change.grow] = change.values
    pattern = present.copy().reshape(-1)
    pattern[np.flatnonzero(present)[change.drop]] = False
    pattern[change.grow] = True
    origin = np.full(dense.size, -1)
    origin[np.flatnonzero(present)] = np.arange(present.sum())
    origin[change.grow] = -1
    comp, source = csr.apply(csr.from_dense(dense, present), change)
    csr.check(comp)
    assert csr.flat(comp).tolist() == np.flatnonzero(pattern).tolist()
    assert comp.data.tobytes() == new[pattern].tobytes()
    assert source.tolist() == origin[pattern].tolist()


@given(event=wide_events(), data=st.data())
@settings(deadline=None, max_examples=40)
def test_apply_names_the_first_position_that_is_taken(event, data):
    dense, present, change = event
    kept = np.delete(np.flatnonzero(present), change.drop)
    if len(kept) == 0:
        return
    taken = sorted(data.draw(st.sets(st.sampled_from(kept.tolist()), min_size=1, max_size=3)))
    grow = np.union1d(change.grow, taken).astype(np.int64)
    row, column = divmod(taken[0], dense.shape[1])
    place = f"(row {row}, column {column})"
    with refuses(ValueError, f"apply: grow position {taken[0]} is already connected {place}"):
        csr.apply(csr.from_dense(dense, present), Rewire(change.drop, grow, np.zeros(len(grow))))


def strided(array):
    """The same numbers, each second in memory."""
    return np.repeat(array, 2)[::2]


@pytest.mark.parametrize("part", ["data", "indices", "indptr"])
def test_arrays_of_a_weight_need_not_be_contiguous(part):
    # SciPy keeps the arrays it is given, and nothing says that they must be.
    weight = loose()
    setattr(weight, part, strided(getattr(weight, part)))
    assert csr.flat(csr.check(weight)).tolist() == [0, 4]
    new, source = csr.apply(weight, rewire([0], [1, 2], [5.0, 6.0]))
    assert csr.flat(new).tolist() == [1, 2, 4]
    assert (new.data.tolist(), source.tolist()) == ([5, 6, 2], [-1, -1, 1])
    assert csr.transpose_index(csr.freeze(weight)).rows.tolist() == [0, 1]


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_apply_takes_indices_of_either_width(index):
    weight = loose()
    weight.indices, weight.indptr = weight.indices.astype(index), weight.indptr.astype(index)
    new, _ = csr.apply(weight, rewire([0], [1, 2], [5.0, 6.0]))
    assert csr.flat(new).tolist() == [1, 2, 4]
    assert csr.transpose_index(weight).slots.tolist() == [0, 1]


def test_lists_make_a_change():
    new, source = csr.apply(hand_weight(), Rewire([2, 4], [3, 10], [1.0, 2.0]))
    assert csr.flat(new).tolist() == [1, 3, 4, 7, 10]
    assert source.tolist() == [0, -1, 1, 3, -1]


def test_slots_and_positions_need_not_be_contiguous():
    change = rewire([2, 4], [3, 10], [1.0, 2.0])
    new, _ = csr.apply(hand_weight(), Rewire(*map(strided, change)))
    assert csr.flat(new).tolist() == [1, 3, 4, 7, 10]
    assert new.data.tolist() == [5, 1, 0, 0, 2]


# carry --------------------------------------------------------------------------------------------


@given(event=events())
@settings(deadline=None, max_examples=60)
def test_carry_moves_each_entry_with_its_connection(event):
    dense, present, change = event
    _, source = csr.apply(csr.from_dense(dense, present), change)
    old = np.arange(10.0, 10 + present.sum())
    ref = [-3.0 if slot == -1 else old[slot] for slot in source]
    comp = csr.carry(old, source, grown=-3.0)
    np.testing.assert_array_equal(ref, comp)


def test_carry_starts_grown_connections_at_0():
    assert csr.carry(np.array([5.0, 6.0]), np.array([-1, 1])).tolist() == [0, 6]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.bool_])
def test_carry_keeps_the_dtype(dtype):
    assert csr.carry(np.ones(2, dtype), np.array([1, -1])).dtype == dtype


def test_carry_leaves_the_old_array_alone():
    old = np.array([5.0, 6.0])
    csr.carry(old, np.array([0, 1]))[:] = 8
    assert old.tolist() == [5, 6]


@pytest.mark.parametrize("slot", [2, -2])
def test_carry_refuses_a_source_of_another_weight(slot):
    rule = "source (-1: grown, else a slot of 2) must be in [-1, 2)"
    with refuses(ValueError, f"carry: {rule}, got {slot}"):
        csr.carry(np.ones(2), np.array([0, slot]))


def test_carry_from_nothing_has_grown_connections_only():
    assert csr.carry(np.empty(0), np.full(3, -1), grown=4.0).tolist() == [4, 4, 4]


def test_carry_reads_arrays_that_are_not_contiguous():
    old, source = strided(np.array([5.0, 6.0, 7.0])), strided(np.array([2, -1, 0]))
    assert csr.carry(old, source).tolist() == [7, 0, 5]


# transpose_index ----------------------------------------------------------------------------------


@given(layer=layers())
@settings(deadline=None, max_examples=60)
def test_transpose_index_lists_the_connections_by_input(layer):
    ref = naive.by_input(layer[1])
    comp = csr.transpose_index(csr.from_dense(*layer))
    for expected, got in zip(ref, comp, strict=True):
        np.testing.assert_array_equal(np.array(expected, int), got)


def test_transpose_index_holds_8_bytes_a_connection():
    index = csr.transpose_index(hand_weight())
    assert (index.rows.itemsize, index.slots.itemsize) == (4, 4)


def test_transpose_index_does_not_need_the_dense_array():
    weight = csr.from_positions((60000, 60000), np.array([7, 2**31 + 5]), np.ones(2))
    index = csr.transpose_index(weight)
    assert index.rows.tolist() == [0, (2**31 + 5) // 60000]
