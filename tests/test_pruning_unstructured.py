"""Magnitude and random pruning of single connections, CSR and dense."""

import itertools
import re
import tracemalloc
from fractions import Fraction

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_ref import csr
from sparse_ref.pruning import ByLayer, Magnitude, Random, RandomStructured, Structured
from sparse_ref.selection import random_ranks

DTYPES = [np.float32, np.float64]
NONE = np.empty(0, np.int64)


def sparse(dense, present=None):
    return csr.from_dense(dense, np.ones(dense.shape, bool) if present is None else present)


def after(weight, drop):
    """The weight without the dropped slots."""
    rewire = csr.Rewire(drop, NONE, np.empty(0, weight.dtype))
    return csr.apply(weight, rewire)[0]


def counts_of(pruner, weights, rounds, rng=None):
    """Connections of each weight after each round."""
    seen = []
    for _ in range(rounds):
        drops = pruner(weights, rng)
        weights = [after(w, drop) for w, drop in zip(weights, drops, strict=True)]
        seen.append(tuple(w.nnz for w in weights))
    return seen


# ---------------------------------------------------------------- by hand


def test_the_smallest_go():
    weight = np.array([[0.5, -0.1, 0.3], [0.05, -0.9, 0.2]])
    for form in (weight, sparse(weight)):
        (drop,) = Magnitude(Fraction(1, 2))([form])
        assert drop.tolist() == [1, 3, 5]
        assert drop.dtype == np.int64


def test_slots_of_csr_are_counted_among_the_connections():
    dense = np.array([[0.0, 0.5, 0.0, -0.1], [0.3, 0.0, 0.0, 0.9]])
    (drop,) = Magnitude(2)([csr.from_dense(dense)])
    assert drop.tolist() == [1, 2]


def test_a_stored_zero_is_a_connection_and_the_first_to_go():
    dense, present = np.array([[0.4, 0.0, -0.3, 0.0]]), np.array([[True, True, True, False]])
    (drop,) = Magnitude(1)([sparse(dense, present)])
    assert drop.tolist() == [1]


@pytest.mark.parametrize(
    ("convention", "kept"),
    [
        ("paper", [8, 6, 5, 4, 3, 2, 2]),
        ("torch", [8, 6, 5, 4, 3, 2, 2]),
        ("google-lth", [7, 5, 3]),
        ("open-lth", [7, 4, 2]),
    ],
)
def test_ten_weights_call_after_call(convention, kept):
    weight = sparse(np.arange(1.0, 11.0).reshape(2, 5))
    comp = counts_of(Magnitude(0.2, convention=convention), [weight], len(kept))
    assert comp == [(n,) for n in kept]


def lenet(seed=521):
    rng = np.random.default_rng(seed)
    return [sparse(rng.standard_normal(shape)) for shape in ((300, 784), (100, 300), (10, 100))]


def test_lenet_with_the_rates_of_google():
    pruner = Magnitude((0.2, 0.2, 0.1), convention="google-lth")
    comp = counts_of(pruner, lenet(), 5)
    assert [n[0] for n in comp] == [188159, 150526, 120420, 96335, 77067]
    assert [n[1] for n in comp] == [23999, 19198, 15357, 12285, 9827]
    assert [n[2] for n in comp] == [899, 808, 726, 652, 586]
    densities = [round(sum(n) / 266200, 5) for n in comp]
    assert densities == [0.80036, 0.64062, 0.51278, 0.41049, 0.32863]


def test_open_lth_counts_the_layer_that_it_ignores():
    drops = Magnitude(0.2, convention="open-lth", exclude=(-1,))(lenet())
    assert len(drops[2]) == 0
    assert 265200 - sum(map(len, drops)) == 211959


def test_without_counting_what_is_excluded_fewer_go():
    pruner = Magnitude(0.2, convention="open-lth", exclude=(-1,), count_excluded=False)
    assert sum(map(len, pruner(lenet()))) == 53040 + 1


def test_zhou_loses_the_one_that_the_percent_rounds_away():
    weight = np.random.default_rng(523).standard_normal((300, 784))
    rng = np.random.default_rng(541)
    (drop,) = Magnitude(0.2, convention="zhou")([weight], rng)
    assert len(drop) == 47039


def test_a_part_of_the_original_counts_what_went_before():
    weight = sparse(np.arange(1.0, 11.0).reshape(2, 5))
    pruners = [Magnitude(p, of="original") for p in (0.2, 0.5, 0.5, 0.3, 0.9)]
    left = []
    for pruner in pruners:
        weight = after(weight, pruner([weight])[0])
        left.append(weight.nnz)
    assert left == [8, 5, 5, 5, 1]


def test_tfmot_keeps_one_and_what_equals_it():
    weight = np.array([[0.1, 0.2], [0.2, 0.05]])
    pruner = Magnitude(1.0, convention="tfmot")
    assert pruner([weight])[0].tolist() == [0, 3]


def test_in_one_pool_the_weakest_of_all_go():
    weights = [np.array([[3.0, -1.0]]), np.array([[0.5], [2.0]])]
    assert [d.tolist() for d in Magnitude(2, scope="global")(weights)] == [[1], [0]]
    assert [d.tolist() for d in Magnitude(1)(weights)] == [[1], [0]]
    assert [d.tolist() for d in Magnitude(3, scope="global")(weights)] == [[1], [0, 1]]


def test_of_equals_in_the_pool_the_last_go():
    weights = [np.ones((1, 2)), np.ones((1, 2))]
    assert [d.tolist() for d in Magnitude(3, scope="global")(weights)] == [[1], [0, 1]]


def test_other_numbers_may_be_ranked():
    weight, scores = np.array([[1.0, 2.0, 3.0]]), np.array([3.0, -2.0, 1.0])
    assert Magnitude(1)([weight], scores=[scores])[0].tolist() == [2]


def test_layers_have_pruners_of_their_own():
    weights = [np.arange(1.0, 7.0).reshape(2, 3)] * 4
    pruner = ByLayer([Magnitude(2), None, Structured(1), Magnitude(0)])
    assert [d.tolist() for d in pruner(weights)] == [[0, 1], [], [0, 3], []]
    assert ByLayer([Magnitude(2), None]) == ByLayer((Magnitude(2), None))


# ---------------------------------------------------------------- against the twins


@st.composite
def layers(draw, most=3):
    """Dense weights, some of few magnitudes, and where they have connections."""
    rng = np.random.default_rng(draw(st.integers(2, 2**32)))
    dtype = draw(st.sampled_from(DTYPES))
    few = draw(st.booleans())
    weights, presents = [], []
    for _ in range(draw(st.integers(1, most))):
        shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 7)))
        values = rng.integers(-3, 4, shape) / 4 if few else rng.standard_normal(shape)
        present = rng.random(shape) < draw(st.sampled_from([0.0, 0.5, 1.0]))
        weights.append((values * present).astype(dtype))
        presents.append(present)
    return weights, presents


def masks_after(pruner, weights, presents, rng=None):
    forms = [sparse(w, p) for w, p in zip(weights, presents, strict=True)]
    drops = pruner(forms, rng)
    return [csr.pattern(after(form, drop)) for form, drop in zip(forms, drops, strict=True)]


fractions = st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9, 1.0])


@given(layers(), fractions)
def test_local_pruning_is_the_twins(some, p):
    weights, presents = some
    comp = masks_after(Magnitude(p), weights, presents)
    for weight, present, mask in zip(weights, presents, comp, strict=True):
        k = round(p * int(present.sum()))
        np.testing.assert_array_equal(mask, naive.pruned_exactly(weight, present, k))


@given(layers(), fractions)
def test_global_pruning_is_the_twins_on_the_row_of_all(some, p):
    weights, presents = some
    comp = masks_after(Magnitude(p, scope="global"), weights, presents)
    row = np.concatenate([w.reshape(-1) for w in weights])
    present = np.concatenate([m.reshape(-1) for m in presents])
    ref = naive.pruned_exactly(row, present, round(p * int(present.sum())))
    np.testing.assert_array_equal(np.concatenate([m.reshape(-1) for m in comp]), ref)


@given(layers(), st.sampled_from([0.0, 0.2, 0.7]))
def test_googles_masks_are_the_twins(some, p):
    weights, presents = some
    pruner = Magnitude(p, convention="google-lth")
    for weight, present in zip(weights, presents, strict=True):
        try:
            ref = naive.pruned_by_google(weight, present, p)
        except IndexError:  # the cutoff's rank is beyond the connections
            with pytest.raises(ValueError, match=r"^removed: no more can go than there are"):
                pruner([sparse(weight, present)])
            continue
        np.testing.assert_array_equal(masks_after(pruner, [weight], [present])[0], ref)


@given(layers(), st.sampled_from([0.0, 0.2, 0.7]), st.booleans())
def test_open_lths_masks_are_the_twins(some, p, ignores):
    weights, presents = some
    ignored = (len(weights) - 1,) if ignores and len(weights) > 1 else ()
    pruner = Magnitude(p, convention="open-lth", exclude=ignored)
    try:
        ref = naive.pruned_by_open_lth(weights, presents, p, ignored)
    except IndexError:
        with pytest.raises(ValueError, match="no more can go than there are"):
            masks_after(pruner, weights, presents)
        return
    for one, two in zip(masks_after(pruner, weights, presents), ref, strict=True):
        np.testing.assert_array_equal(one, two)


@given(layers(), fractions)
def test_tfmots_masks_are_the_twins_where_something_is_stored(some, p):
    weights, presents = some
    comp = masks_after(Magnitude(p, convention="tfmot"), weights, presents)
    for weight, present, mask in zip(weights, presents, comp, strict=True):
        ref = naive.pruned_by_tfmot(weight, p)  # zeros that it lets in are not there
        np.testing.assert_array_equal(mask, ref & present)


# ---------------------------------------------------------------- properties


PRUNERS = [
    Magnitude(0.3),
    Magnitude(0.3, scope="global"),
    Magnitude(0.3, convention="zhou"),
    Magnitude(0.3, convention="tfmot"),
    Random(0.3),
    Random(0.3, scope="global"),
    Structured(0.3),
    Structured(0.3, q=-np.inf, axis=0),
    RandomStructured(0.3),
]


@pytest.mark.parametrize("pruner", PRUNERS, ids=repr)
@settings(max_examples=30)
@given(layers())
def test_drops_are_slots_and_nothing_is_changed(pruner, some):
    weights, presents = some
    forms = [sparse(w, p) for w, p in zip(weights, presents, strict=True)]
    before = [part.tobytes() for w in forms for part in (w.data, w.indices, w.indptr)]
    drops = pruner(forms, np.random.default_rng(547))
    assert [part.tobytes() for w in forms for part in (w.data, w.indices, w.indptr)] == before
    assert len(drops) == len(forms)
    for weight, drop in zip(forms, drops, strict=True):
        assert drop.dtype == np.int64
        assert (np.diff(drop) > 0).all()
        assert after(weight, drop).nnz == weight.nnz - len(drop)  # refuses what is out of range


@pytest.mark.parametrize("pruner", PRUNERS, ids=repr)
@settings(max_examples=30)
@given(layers())
def test_a_dense_array_is_pruned_as_the_complete_csr(pruner, some):
    weights, _ = some
    before = [w.copy() for w in weights]
    comp = pruner(weights, np.random.default_rng(557))
    ref = pruner([sparse(w) for w in weights], np.random.default_rng(557))
    assert [d.tolist() for d in comp] == [d.tolist() for d in ref]
    assert all(np.array_equal(w, b) for w, b in zip(weights, before, strict=True))


@given(layers(most=1), fractions, st.integers(2, 99))
def test_signs_and_scales_are_of_no_matter_and_one_layer_is_a_pool(some, p, seed):
    (weight,), (present,) = some
    rng = np.random.default_rng(seed)
    ref = masks_after(Magnitude(p), [weight], [present])[0]
    signs = rng.choice([-1, 1], weight.shape).astype(weight.dtype)
    turned = weight * signs * weight.dtype.type(2.0 ** rng.integers(-9, 9))
    np.testing.assert_array_equal(masks_after(Magnitude(p), [turned], [present])[0], ref)
    pooled = masks_after(Magnitude(p, scope="global"), [weight], [present])[0]
    np.testing.assert_array_equal(pooled, ref)


@given(layers(), fractions)
def test_what_goes_is_not_larger_than_what_stays(some, p):
    weights, presents = some
    forms = [sparse(w, m) for w, m in zip(weights, presents, strict=True)]
    for form, drop in zip(forms, Magnitude(p)(forms), strict=True):
        sizes = np.abs(form.data)
        assert sizes[drop].max(initial=0) <= np.delete(sizes, drop).min(initial=np.inf)
        assert len(drop) == round(p * form.nnz)


def test_a_permutation_permutes_the_masks():
    rng = np.random.default_rng(563)
    weight = rng.standard_normal((8, 9))
    at = np.ix_(rng.permutation(8), rng.permutation(9))
    (ref,), (comp,) = (
        masks_after(Magnitude(0.4), [w], [np.ones((8, 9), bool)]) for w in (weight, weight[at])
    )
    np.testing.assert_array_equal(comp, ref[at])


def test_p_of_zero_and_of_one():
    weight = sparse(np.arange(1.0, 11.0).reshape(2, 5))
    assert len(Magnitude(0.0)([weight])[0]) == 0
    assert len(Magnitude(1.0)([weight])[0]) == 10
    for convention in ("google-lth", "open-lth"):
        assert len(Magnitude(0.0, convention=convention)([weight])[0]) == 1
        with pytest.raises(ValueError, match="no more can go than there are, 10, got 11"):
            Magnitude(1.0, convention=convention)([weight])


# ---------------------------------------------------------------- at random


@pytest.mark.parametrize("scope", ["local", "global"])
def test_every_subset_is_equally_likely(scope):
    weight, n = np.ones((1, 4)), 3000
    streams = np.random.default_rng(569).spawn(n)
    found = [tuple(Random(2, scope=scope)([weight], rng)[0].tolist()) for rng in streams]
    every = list(itertools.combinations(range(4), 2))
    shares = np.array([found.count(subset) for subset in every])
    assert shares.sum() == n
    # Chi-squared with 5 degrees of freedom: above 30 by chance in 1 of 70,000.
    assert ((shares - n / 6) ** 2 / (n / 6)).sum() < 30


def test_a_layer_more_moves_no_draw_of_the_others():
    weights = [np.ones((5, 6)), np.ones((4, 5))]
    for pruner in (Random(0.5), RandomStructured(0.5), Magnitude(0.5, ties="random")):
        ref = pruner(weights, np.random.default_rng(571))
        comp = pruner([*weights, np.ones((3, 4))], np.random.default_rng(571))
        assert [d.tolist() for d in comp[:2]] == [d.tolist() for d in ref]


def test_a_layer_left_out_moves_no_draw_of_the_others():
    weights = [np.ones((5, 6)), np.ones((4, 5))]
    ref, comp = (
        Random(0.5, exclude=exclude)(weights, np.random.default_rng(577)) for exclude in ((), (0,))
    )
    assert len(comp[0]) == 0
    assert comp[1].tolist() == ref[1].tolist()


# ---------------------------------------------------------------- refusals


def test_conventions_are_bundles_of_options():
    assert Magnitude(convention="torch") == Magnitude()
    assert Magnitude(convention="zhou") == Magnitude(rule="trunc_percent", ties="random")
    assert Magnitude(0.1, "local", convention="open-lth", count_excluded=False).scope == "local"
    with pytest.raises(ValueError, match=r"^Magnitude: convention must be one of \[.*\], got 'lt'"):
        Magnitude(convention="lt")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"amount": 1.5}, ValueError, r"Magnitude: a fraction must be in \[0, 1\], got 1.5"),
        ({"amount": -1}, ValueError, "Magnitude: a count must be at least 0, got -1"),
        ({"amount": "2"}, TypeError, "Magnitude: amount must be a fraction or a count, got '2'"),
        ({"amount": (0.2, True)}, TypeError, "Magnitude: amount must be a fraction or a count.*"),
        ({"scope": "all"}, ValueError, r"Magnitude: scope must be one of \[.*\], got 'all'"),
        ({"rule": "floor"}, ValueError, r"Magnitude: rule must be one of \[.*\], got 'floor'"),
        ({"of": "all"}, ValueError, r"Magnitude: of must be one of \[.*\], got 'all'"),
        ({"ties": "some"}, ValueError, r"Magnitude: ties must be one of \[.*\], got 'some'"),
        (
            {"amount": (0.1, 0.2), "scope": "global"},
            ValueError,
            "Magnitude: amounts of each layer need scope='local', got 'global'",
        ),
        (
            {"count_excluded": True},
            ValueError,
            "Magnitude: count_excluded needs scope='global', got 'local'",
        ),
    ],
)
def test_wrong_options_are_refused(options, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        Magnitude(**options)


def test_wrong_weights_are_refused():
    good = np.ones((2, 2))
    with pytest.raises(TypeError, match=r"^Magnitude: weights must be a sequence of them, got nda"):
        Magnitude()(good)
    with pytest.raises(ValueError, match=r"^Random: a weight must have two dimensions, got shape"):
        Random()([np.ones(3)], np.random.default_rng(587))
    with pytest.raises(
        TypeError, match=r"^Magnitude: a weight must be float32 or float64, got int"
    ):
        Magnitude()([np.ones((2, 2), int)])
    with pytest.raises(TypeError, match=r"^Magnitude: weight must be a two-dimensional"):
        Magnitude()([[[1.0, 2.0]]])
    with pytest.raises(ValueError, match=r"^Magnitude: amount must be one a weight, 1, got 2"):
        Magnitude((0.1, 0.2))([good])
    with pytest.raises(ValueError, match=r"^ByLayer: pruners must be one a weight, 1, got 0"):
        ByLayer([])([good])
    with pytest.raises(ValueError, match=r"^Magnitude: exclude must name weights, of which there"):
        Magnitude(exclude=(1,))([good])
    wrong = np.array([[1.0, 2.0], [np.nan, 3.0]])
    rule = "^Magnitude: weights must be numbers, got nan in slot 2 of weight 1$"
    with pytest.raises(ValueError, match=rule):
        Magnitude()([good, wrong])
    with pytest.raises(ValueError, match=r"^Magnitude: scores must be numbers, got nan in slot 2 "):
        Magnitude()([good], scores=[wrong.reshape(-1)])
    with pytest.raises(ValueError, match=r"^Magnitude: scores must be one a slot, \(4,\), got"):
        Magnitude()([good], scores=[np.ones(3)])
    with pytest.raises(ValueError, match=r"^Magnitude: scores must be one a weight, 1, got 2"):
        Magnitude()([good], scores=[np.ones(4)] * 2)
    with pytest.raises(ValueError, match=r"^Magnitude: no more can go than there are, 2, got 3"):
        Magnitude(3, scope="global", exclude=(0,), count_excluded=True)([good, np.ones((1, 2))])


def test_a_draw_needs_a_generator():
    weights = [np.ones((2, 2))]
    for pruner in (Random(0.5), RandomStructured(0.5)):
        with pytest.raises(ValueError, match="random pruning needs a generator, got None"):
            pruner(weights)
    with pytest.raises(ValueError, match="random ties need a generator, got None"):
        Magnitude(0.5, ties="random")(weights)
    for pruner in (Random(0.5), Random(0.5, scope="global")):
        with pytest.raises(TypeError, match=r"^Random: rng must be a Generator, got int"):
            pruner(weights, 3)
    pruner = Magnitude(0.5, scope="global", ties="random")
    with pytest.raises(TypeError, match=r"^Magnitude: rng must be a Generator, got int"):
        pruner(weights, 3)


@pytest.mark.parametrize("exclude", [0, (0.0,), (True,), None])
def test_what_is_excluded_are_whole_numbers(exclude):
    message = f"Magnitude: exclude must be a sequence of whole numbers, got {exclude!r}"
    with pytest.raises(TypeError, match="^" + re.escape(message) + "$"):
        Magnitude(exclude=exclude)


# ---------------------------------------------------------------- memory


@pytest.mark.parametrize("pruner", PRUNERS, ids=repr)
def test_pruning_takes_memory_for_the_connections_and_none_for_the_positions(pruner):
    # 400 million positions, 100,000 connections.
    n, nnz = 20_000, 100_000
    rng = np.random.default_rng(683)
    positions = random_ranks(n * n, nnz, rng)
    weight = csr.from_positions((n, n), positions, rng.standard_normal(nnz))
    pruner([weight], rng)  # compiled now
    tracemalloc.start()
    try:
        pruner([weight], rng)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 * 8 * (nnz + 2 * n)
