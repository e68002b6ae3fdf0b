"""Pruning of channels: norms worked by hand, what is alive, the layouts of kernels."""

import itertools

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparse_ref import csr
from sparse_ref.pruning import RandomStructured, Structured, channel_norms

INF = np.inf
NONE = np.empty(0, np.int64)

# 3 outputs, 4 inputs. Channels are columns.
#
#          0      1      2      3
#         .9    -.1     .3    .05
#         .2     .6    -.3     .7
#        -.4     .5     .3   -.02
#  L1    1.5    1.2     .9    .77
#  L2  1.005   .787   .520   .702
#  Linf   .9     .6     .3     .7
#  L-inf  .2     .1     .3    .02
W = np.array([[0.9, -0.1, 0.3, 0.05], [0.2, 0.6, -0.3, 0.7], [-0.4, 0.5, 0.3, -0.02]])
NORMS = {
    1: [1.5, 1.2, 0.9, 0.77],
    2: [1.004988, 0.787401, 0.519615, 0.702068],
    "fro": [1.004988, 0.787401, 0.519615, 0.702068],
    INF: [0.9, 0.6, 0.3, 0.7],
    -INF: [0.2, 0.1, 0.3, 0.02],
}


def sparse(dense, present=None):
    return csr.from_dense(dense, np.ones(dense.shape, bool) if present is None else present)


def after(weight, drop):
    return csr.apply(weight, csr.Rewire(drop, NONE, np.empty(0, weight.dtype)))[0]


def gone(weight, pruner, rng=None):
    """Columns that have no connection any more but had one."""
    before, now = csr.pattern(weight), csr.pattern(after(weight, pruner([weight], rng)[0]))
    return np.flatnonzero(before.any(axis=0) & ~now.any(axis=0)).tolist()


@pytest.mark.parametrize("q", NORMS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_norms_of_the_example(q, dtype):
    for form in (W.astype(dtype), sparse(W.astype(dtype))):
        np.testing.assert_allclose(channel_norms(form, q), NORMS[q], atol=1e-6)


@pytest.mark.parametrize(
    ("q", "first", "second"), [(1, 3, 2), (2, 2, 3), ("fro", 2, 3), (INF, 2, 1), (-INF, 3, 1)]
)
def test_the_order_in_which_the_channels_of_the_example_go(q, first, second):
    pruner, weight = Structured(1, q=q), sparse(W)
    assert gone(weight, pruner) == [first]
    weight = after(weight, pruner([weight])[0])
    assert gone(weight, pruner) == [second]


def test_outputs_are_rows():
    weight = sparse(W)
    (drop,) = Structured(1, axis=0)([weight])
    assert csr.flat(weight)[drop].tolist() == [8, 9, 10, 11]
    assert Structured(1, axis=-2)([weight])[0].tolist() == drop.tolist()


def test_the_last_axis_of_a_matrix_is_its_inputs():
    assert Structured(2, axis=-1)([W])[0].tolist() == Structured(2, axis=1)([W])[0].tolist()


def test_a_channel_of_a_kernel_is_a_block_of_columns():
    # 2 outputs, 3 inputs of 4 columns: channel 1 holds the smallest entries.
    kernel = np.array([[5.0] * 4 + [1.0] * 4 + [2.0] * 4, [5.0] * 4 + [-1.0] * 4 + [2.0] * 4])
    (drop,) = Structured(1, block=4)([kernel])
    assert drop.tolist() == [4, 5, 6, 7, 16, 17, 18, 19]
    assert channel_norms(kernel, q=1, block=4).tolist() == [40, 8, 16]


def test_a_channel_in_part_is_alive_with_its_whole_weight_in_the_count():
    present = np.ones((3, 4), bool)
    present[1:, 3] = False
    weight = sparse(W * present, present)
    # Four channels are alive, of which round(.4 * 4) = 2 go; of three complete ones round(1.2).
    assert gone(weight, Structured(0.4)) == [2, 3]
    assert gone(weight, Structured(0.4, alive_rule="all")) == [2]


def test_a_missing_entry_is_a_zero_for_the_smallest_magnitude():
    present = np.ones((3, 4), bool)
    present[0, 2] = False
    assert channel_norms(sparse(W * present, present), -INF).tolist() == [0.2, 0.1, 0.0, 0.02]
    assert gone(sparse(W * present, present), Structured(1, q=-INF)) == [2]


def test_a_dead_channel_counts_no_more():
    present = np.ones((3, 4), bool)
    present[:, 0] = False
    assert gone(sparse(W * present, present), Structured(0.5)) == [2, 3]  # round(1.5) of three


def test_so_many_channels_stay_in_any_case():
    assert gone(sparse(W), Structured(1.0)) == [0, 1, 2, 3]
    assert gone(sparse(W), Structured(1.0, min_channels=2)) == [2, 3]
    assert gone(sparse(W), Structured(0.5, min_channels=5)) == []


def test_of_equal_channels_exactly_the_count_goes_from_the_end():
    assert gone(sparse(np.ones((2, 5))), Structured(0.4)) == [3, 4]


def test_a_single_channel_never_goes():
    assert Structured(0.2, block=9)([np.ones((6, 9))])[0].tolist() == []


def test_squares_neither_overflow_nor_vanish():
    for scale in (2.0**-600, 2.0**600):
        weight = W * scale
        assert gone(sparse(weight), Structured(1, q=2)) == [2]
        ref = np.array(NORMS[2]) * scale
        np.testing.assert_allclose(channel_norms(weight, 2), ref, rtol=1e-5)


def test_channels_of_other_sizes_do_not_drown_each_other():
    weight = np.array([[1e200, 1e-100, 2e-100]])
    for form in (weight, sparse(weight)):
        assert gone(sparse(weight), Structured(1, q=2)) == [1]
        np.testing.assert_allclose(channel_norms(form, 2), weight[0], rtol=1e-15)
    kernel = np.array([[3e-200, 4e-200, 3e180, 4e180]])
    np.testing.assert_allclose(channel_norms(kernel, 2, block=2), [5e-200, 5e180], rtol=1e-15)


def test_other_numbers_may_be_ranked():
    scores = np.abs(W).reshape(-1)[::-1].copy()  # the channels in reverse
    (drop,) = Structured(1)([W], scores=[scores])
    assert drop.tolist() == [0, 4, 8]


def test_an_empty_layer_has_nothing_to_lose():
    weight = csr.from_dense(np.zeros((3, 4)))
    for pruner in (Structured(0.5), Structured(0.5, q=2), Structured(1.0, q=-INF)):
        assert pruner([weight])[0].tolist() == []


def test_every_set_of_channels_is_equally_likely():
    weight, n = np.ones((2, 8)), 3000
    streams = np.random.default_rng(593).spawn(n)
    pruner = RandomStructured(2, block=2)
    found = [tuple(gone(sparse(weight), pruner, rng)[::2]) for rng in streams]
    every = [tuple(2 * c for c in pair) for pair in itertools.combinations(range(4), 2)]
    shares = np.array([found.count(pair) for pair in every])
    assert shares.sum() == n
    # Chi-squared with 5 degrees of freedom: above 30 by chance in 1 of 70,000.
    assert ((shares - n / 6) ** 2 / (n / 6)).sum() < 30


@st.composite
def layouts(draw):
    """A dense weight, its pattern, an axis and a block."""
    rng = np.random.default_rng(draw(st.integers(2, 2**32)))
    axis = draw(st.sampled_from([0, 1]))
    block = draw(st.sampled_from([1, 3])) if axis else 1
    shape = draw(st.integers(1, 5)), block * draw(st.integers(1, 6))
    values = rng.standard_normal(shape).astype(draw(st.sampled_from([np.float32, np.float64])))
    present = rng.random(shape) < draw(st.sampled_from([0.4, 0.9, 1.0]))
    return values * present, present, axis, block


@given(layouts(), st.sampled_from([1, 2, INF, -INF]))
def test_norms_are_the_twins(layout, q):
    dense, present, axis, block = layout
    comp = channel_norms(sparse(dense, present), q, axis, block)
    np.testing.assert_allclose(comp, naive.channel_norms(dense, q, axis, block), rtol=1e-12)


@given(layouts(), st.sampled_from([1, 2, INF, -INF]), st.sampled_from([0.0, 0.2, 0.5, 1.0]))
def test_a_channel_goes_whole_or_stays_as_it_was(layout, q, p):
    dense, present, axis, block = layout
    weight = sparse(dense, present)
    pruner = Structured(p, q=q, axis=axis, block=block)
    now = csr.pattern(after(weight, pruner([weight])[0]))
    along = (lambda m: m) if axis == 0 else (lambda m: m.reshape(len(m), -1, block).swapaxes(0, 1))
    norms = channel_norms(weight, q, axis, block)
    lost, left = [], []
    for norm, channel, was in zip(norms, along(now), along(present), strict=True):
        assert not channel.any() or np.array_equal(channel, was)
        if was.any():
            (left if channel.any() else lost).append(norm)
    assert len(lost) == round(p * (len(lost) + len(left)))
    assert max(lost, default=0) <= min(left, default=INF)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"q": 3}, ValueError, r"Structured: q must be one of \[.*\], got 3"),
        ({"axis": 2}, IndexError, "Structured: axis must be one of a matrix, -2 ... 1, got 2"),
        ({"block": 0}, ValueError, "Structured: block must be a positive number of columns, got 0"),
        (
            {"axis": 0, "block": 9},
            ValueError,
            "Structured: block is of input channels, axis 1, got axis 0",
        ),
        ({"alive_rule": "half"}, ValueError, r"Structured: alive_rule must be one of .*'half'"),
        ({"rule": "half"}, ValueError, r"Structured: rule must be one of .*'half'"),
        ({"ties": "half"}, ValueError, r"Structured: ties must be one of .*'half'"),
        ({"min_channels": -1}, ValueError, "Structured: min_channels must be a whole .*, got -1"),
        ({"min_channels": 1.5}, ValueError, "Structured: min_channels must be a whole .*, got 1.5"),
        ({"block": True}, ValueError, "Structured: block must be a positive number .*, got True"),
        ({"q": True}, ValueError, r"Structured: q must be one of \[.*\], got True"),
        ({"amount": 2.0}, ValueError, r"Structured: a fraction must be in \[0, 1\], got 2.0"),
    ],
)
def test_wrong_options_are_refused(options, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        Structured(**options)


def test_wrong_weights_are_refused():
    with pytest.raises(ValueError, match=r"^Structured: a weight must have two dimensions, got"):
        Structured()([np.ones(4)])
    with pytest.raises(ValueError, match=r"^Structured: block must divide the columns, 10, got 9"):
        Structured(block=9)([np.ones((2, 10))])
    with pytest.raises(
        ValueError, match=r"^Structured: weights must be numbers, got nan in slot 1"
    ):
        Structured()([np.array([[1.0, np.nan]])])
    with pytest.raises(ValueError, match=r"^Structured: q must be one of"):
        channel_norms(np.ones((2, 2)), q=0)
