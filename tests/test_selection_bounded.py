"""Gradients that cannot be large are not read, and that changes no choice."""

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_ref import csr
from sparse_ref.layers import LayerGrad
from sparse_ref.selection import bounded, largest_absent, largest_absent_of_all, streaming

KINDS = [np.float32, np.float64]
WIDTH = {np.float32: 16, np.float64: 8}


class Guessing(LayerGrad):
    """A gradient whose sample says what the test wants the first threshold to be."""

    said = 0.0
    told = None

    def at(self, positions):
        return np.full(len(positions), self.said, self.inputs.dtype)


def guessing(threshold):
    """A class, since a `LayerGrad` is a tuple and carries nothing else."""
    return type("Told", (Guessing,), {"said": threshold})


def factors(shape, rng, dtype, n_tiles=1, whole=False, spread=1.0):
    """Two factors whose rows and columns differ in length; whole numbers make ties."""
    made = []
    for n in shape:
        size = (n_tiles, n, WIDTH[dtype])
        numbers = rng.integers(-2, 3, size) if whole else rng.standard_normal(size)
        if whole and rng.random() < 0.7:
            numbers[:, :, 1:] = 0  # one example a tile: products of few values, ties everywhere
        scale = rng.integers(0, 4, n) if whole else np.exp(spread * rng.standard_normal(n))
        made.append((numbers * scale[:, None]).astype(dtype))
    return made


def grad_of(delta, inputs, kind=LayerGrad):
    return kind(np.empty(0, delta.dtype), delta[0, :, 0].copy(), delta, inputs)


def layer(shape, nnz, rng, dtype):
    at = np.sort(rng.permutation(shape[0] * shape[1])[:nnz])
    return csr.from_positions(shape, at, np.ones(nnz, dtype))


def sorted_choice(weight, grad, k):
    """The first k of a stable sort of every absent gradient."""
    scores = np.abs(grad.block(0, weight.shape[0])).reshape(-1)
    scores[csr.flat(weight)] = -1
    return np.sort(np.argsort(-scores, kind="stable")[:k])


def read(monkeypatch):
    """How many gradients are computed, noted in a list."""
    sizes, rows = [], bounded.gradient_rows

    def noted(first, delta, x, out):
        sizes.append(out.size)
        rows(first, delta, x, out)

    monkeypatch.setattr(bounded, "gradient_rows", noted)
    return sizes


@pytest.mark.parametrize("dtype", KINDS)
def test_the_bounds_by_hand(dtype):
    #   |delta|  5  0  10      |x|  1  2  0        products   5 10  0
    #                                                         0  0  0
    #   more than 9 may be:  10, 10 and 20                   10 20  0
    delta = np.zeros((1, 3, WIDTH[dtype]), dtype)
    inputs = np.zeros((1, 3, WIDTH[dtype]), dtype)
    delta[0, :, 0], delta[0, :, 1] = [3, 0, 6], [4, 0, 8]
    inputs[0, :, 0] = [1, 2, 0]
    corner = bounded.corner(delta, inputs, 9.0)
    assert corner.rows.tolist() == [2, 0, 1]
    assert corner.columns.tolist() == [1, 0, 2]
    np.testing.assert_allclose(corner.of_rows, [10, 5, 0], rtol=1e-4)  # the margin for rounding
    assert (corner.of_rows[:2] > [10, 5]).all()
    assert [corner.reach(row, 9.0) for row in range(3)] == [2, 1, 0]


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("k", [1, 300, 20_000])
@pytest.mark.parametrize("n_tiles", [1, 3])
def test_the_choice_is_that_of_a_stable_sort(monkeypatch, dtype, k, n_tiles):
    sizes, rng = read(monkeypatch), np.random.default_rng(331)
    shape = (700, 900)
    weight = layer(shape, 30_000, rng, dtype)
    grad = grad_of(*factors(shape, rng, dtype, n_tiles))
    np.testing.assert_array_equal(largest_absent(weight, grad, k), sorted_choice(weight, grad, k))
    assert 0 < sum(sizes) < 0.7 * weight.shape[0] * weight.shape[1]  # else nothing was spared


def test_fewer_gradients_are_read_the_fewer_are_looked_for(monkeypatch):
    rng, shape, read_for = np.random.default_rng(337), (800, 800), {}
    weight = layer(shape, 1000, rng, np.float32)
    grad = grad_of(*factors(shape, rng, np.float32))
    for k in (20, 2_000, 60_000):
        sizes = read(monkeypatch)
        largest_absent(weight, grad, k)
        read_for[k] = sum(sizes)
        monkeypatch.undo()
    assert 2 * read_for[20] < read_for[2_000] < 0.8 * read_for[60_000]


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(2, 2**32),
    dtype=st.sampled_from(KINDS),
    n_tiles=st.integers(1, 2),
    guess=st.sampled_from([0.5, 1.0, 3.0, 8.0, 1e9]),
    block=st.sampled_from([1, 40, 500, 1 << 18]),
    data=st.data(),
)
def test_any_threshold_any_block_and_ties_change_nothing(seed, dtype, n_tiles, guess, block, data):
    # A sample that lies: too low a threshold makes the candidates pile up and be cut while blocks
    # arrive out of order, too high a one makes a second pass. Whole numbers: nearly all are ties.
    rng, shapes = np.random.default_rng(seed), [(30, 50), (41, 17)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "SAMPLE", 8)
        patch.setattr(streaming, "MOST_SAMPLED", 200)
        patch.setattr(bounded, "WORTH", 1.0)
        weights = [layer(s, int(rng.integers(0, s[0] * s[1])), rng, dtype) for s in shapes]
        grads = [grad_of(*factors(s, rng, dtype, n_tiles, True), guessing(guess)) for s in shapes]
        free = [naive.absent(csr.pattern(weight)) for weight in weights]
        k = data.draw(st.integers(0, sum(map(len, free))))
        comp = largest_absent_of_all(weights, grads, k, block_elements=block)
        dense = [grad.block(0, grad.delta.shape[1]) for grad in grads]
        ref = naive.largest_of_all(free, dense, k)
    assert [ranked.positions.tolist() for ranked in comp] == ref


def test_candidates_out_of_order_are_cut_to_k_and_a_block(monkeypatch):
    rng, shape, k = np.random.default_rng(347), (600, 700), 50
    weight = layer(shape, 100, rng, np.float32)
    grad = grad_of(*factors(shape, rng, np.float32, whole=True), guessing(1.0))
    held, take = [], streaming._Largest.take

    def noted(candidates, at, scores):
        take(candidates, at, scores)
        held.append(candidates.n)

    monkeypatch.setattr(streaming._Largest, "take", noted)
    monkeypatch.setattr(bounded, "WORTH", 1.0)
    comp = largest_absent(weight, grad, k, block_elements=4 * 700)
    np.testing.assert_array_equal(comp, sorted_choice(weight, grad, k))
    assert len(held) > 1
    most = 16 * 700  # a block has at least 16 rows
    assert max(held) <= k + most + most // 4
    assert max(held) > k  # else nothing was cut


@pytest.mark.parametrize("dtype", KINDS)
def test_lengths_that_overflow_are_not_trusted(dtype):
    delta, inputs = factors((4, 5), np.random.default_rng(349), dtype)
    delta[0, 1, 0] = np.sqrt(np.finfo(dtype).max)
    inputs[0, 2, 0] = np.sqrt(np.finfo(dtype).max)
    assert bounded.corner(delta, inputs, 1e30) is None


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_not_finite_is_left_to_the_whole_gradient(wrong):
    delta, inputs = factors((4, 5), np.random.default_rng(353), np.float64)
    delta[0, 1, 0] = wrong
    with np.errstate(invalid="ignore"):
        assert bounded.corner(delta, inputs, 1.0) is None


def test_thresholds_near_underflow_are_not_trusted():
    delta, inputs = factors((4, 5), np.random.default_rng(359), np.float32)
    assert bounded.corner(1e-20 * delta, 1e-20 * inputs, 1e-38) is None


def test_where_little_can_be_spared_nothing_is_sorted():
    delta, inputs = factors((40, 50), np.random.default_rng(367), np.float32, spread=0.01)
    assert bounded.corner(delta, inputs, 1e-3) is None


def test_the_margin_covers_the_rounding_of_the_sums():
    # Parallel rows: the gradient reaches the bound of exact arithmetic, and rounding may pass it.
    rng = np.random.default_rng(373)
    delta = np.repeat(rng.random((1, 1, 16)), 300, axis=1).astype(np.float32)
    delta *= (1 + 1e-3 * rng.random((1, 300, 1))).astype(np.float32)
    grad = grad_of(delta, delta.copy())
    dense = np.abs(grad.block(0, 300)).astype(np.float64)
    corner = bounded.corner(delta, delta, 1.0)
    if corner is None:  # nothing to spare: ask for the bounds all the same
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bounded, "WORTH", 1.0)
            corner = bounded.corner(delta, delta, 1.0)
    bound = np.multiply.outer(corner.of_rows, corner.of_columns)
    assert (dense[corner.rows][:, corner.columns] <= bound).all()
    assert (bound < 1.001 * dense[corner.rows][:, corner.columns].max()).all()


def test_lengths_whose_squares_are_lost_to_underflow_are_not_trusted():
    # Rows of 1e-165 have a length of 0 in float64, and meet columns of 1e150 all the same.
    rng = np.random.default_rng(379)
    delta = 1e-10 * rng.standard_normal((1, 600, 8))
    inputs = 1e-10 * rng.standard_normal((1, 700, 8))
    delta[0, :10], inputs[0, :10] = 0, 0
    delta[0, :, 0], inputs[0, :, 0] = 0, 0
    delta[0, :10, 0], inputs[0, :10, 0] = 1e-165, 1e150
    grad = grad_of(delta, inputs)
    weight = layer((600, 700), 100, rng, np.float64)
    assert bounded.corner(delta, inputs, 1e-20) is None
    comp = largest_absent(weight, grad, 5000)
    np.testing.assert_array_equal(comp, sorted_choice(weight, grad, 5000))


def test_gradients_of_two_dtypes_are_refused():
    weights = [csr.from_dense(np.zeros((1, 3), dtype)) for dtype in (np.float64, np.float32)]
    grads = [np.ones((1, 3)), np.ones((1, 3), np.float32)]
    with pytest.raises(TypeError, match="gradients must be of one dtype, got float64 and float32"):
        largest_absent_of_all(weights, grads, 2)
