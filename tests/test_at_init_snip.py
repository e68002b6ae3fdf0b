"""SNIP: the worked example, conservation, and rounds against masked dense networks."""

import re

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_ref import Dense, Linear, Network, csr, models, tiles
from sparse_ref.at_init import mask_gradients, snip, snip_scores

DTYPES = [np.float32, np.float64]

# ---------------------------------------------------------------- worked example
#
#   x       y     W             dL/dW                     |W dL/dW| / sum       L = .46057726
#   1  2    0     .5  -.3      -.27104938 -.1744126      .43462004 .16779941
#   0  1    1    -.2   .4       .27104938  .1744126      .17384801 .22373254
#  -1  1    1
#   2 -1    0    no bias, mean cross-entropy; kept in the order 0, 3, 2, 1

X, Y = np.array([[1.0, 2], [0, 1], [-1, 1], [2, -1]]), np.array([0, 1, 1, 0])
W = np.array([[0.5, -0.3], [-0.2, 0.4]])
SCORES = [0.43462004, 0.16779941, 0.17384801, 0.22373254]


def example(kind, dtype=np.float64):
    weight = W.astype(dtype)
    layer = Dense(weight) if kind == "dense" else Linear(csr.from_dense(weight))
    return Network([layer])


def refuses(kind, message):
    """The whole message, word for word."""
    return pytest.raises(kind, match="^" + re.escape(message) + "$")


@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_example(kind, dtype):
    net, x = example(kind, dtype), X.astype(dtype)
    loss, (grad,) = net.gradients(tiles.pack(x), Y)
    assert loss == pytest.approx(0.46057726, abs=5e-9 if dtype == np.float64 else 1e-6)
    # The table has eight digits; float32 has seven.
    close = {"rtol": 0, "atol": 5e-9 if dtype == np.float64 else 1e-6}
    ref = [-0.27104938, -0.1744126, 0.27104938, 0.1744126]
    np.testing.assert_allclose(grad.weight.reshape(-1), ref, **close)
    (comp,) = snip_scores(net, x, Y)
    np.testing.assert_allclose(comp, SCORES, **close)
    assert comp.dtype == dtype


@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize(
    ("density", "removed"),
    [(1, []), (0.75, [1]), (0.5, [1, 2]), (0.25, [1, 2, 3]), (0, [0, 1, 2, 3])],
)
def test_the_order_of_the_example(kind, density, removed):
    assert snip(example(kind), X, Y, density)[0].tolist() == removed


def test_half_a_connection_is_rounded_to_the_even_number():
    assert len(snip(example("dense"), X, Y, 0.625)[0]) == 2  # 2.5 kept: 2
    assert len(snip(example("dense"), X, Y, 0.875)[0]) == 0  # 3.5 kept: 4


# Scores -------------------------------------------------------------------------------------------


def make(seed, density=None, bias=False, dtype=np.float64, sizes=(6, 7, 5, 3)):
    """A network with ReLUs, and a batch; seven examples leave room in a tile."""
    rng = np.random.default_rng(seed)
    net = models.mlp(sizes, density=density, distribution="uniform", rng=rng, dtype=dtype)
    if bias:
        for layer in net.weighted:
            layer.bias[:] = rng.standard_normal(layer.n_out)
    x = rng.standard_normal((7, sizes[0])).astype(dtype)
    return net, x, rng.integers(0, sizes[-1], 7)


def as_dense(net):
    return [csr.to_dense(la.weight) if isinstance(la, Linear) else la.weight for la in net.weighted]


def slots(net, arrays):
    """Entries of dense arrays at the connections of each layer."""
    return [
        a.reshape(-1)[csr.flat(la.weight)] if isinstance(la, Linear) else a.reshape(-1)
        for la, a in zip(net.weighted, arrays, strict=True)
    ]


seeds, several = st.integers(0, 10_000), st.sampled_from([None, 0.5, 0.2])
few = settings(max_examples=40)


@few
@given(seeds, several, st.booleans())
def test_scores_against_dense_backpropagation(seed, density, bias):
    net, x, y = make(seed, density, bias)
    dense, biases = as_dense(net), [layer.bias for layer in net.weighted]
    _, grads, by_bias = naive.backpropagation(dense, biases, x, y)
    ref = slots(net, [abs(w * g) for w, g in zip(dense, grads, strict=True)])
    ref += [abs(b * g) for b, g in zip(biases, by_bias, strict=True)]
    total = sum(part.sum() for part in ref)
    comp = snip_scores(net, x, y, include_bias=True)
    for one, two in zip(ref, comp, strict=True):
        np.testing.assert_allclose(two, one / (total or 1), rtol=0, atol=1e-12)


@few
@given(seeds, several, st.sampled_from(DTYPES))
def test_scores_are_shares(seed, density, dtype):
    net, x, y = make(seed, density, dtype=dtype)
    scores = snip_scores(net, x, y)
    assert all((part >= 0).all() for part in scores)
    total = sum(part.sum(dtype=np.float64) for part in scores)
    assert total == pytest.approx(1, abs=1e-5) or total == 0
    assert {part.dtype for part in scores} == {np.dtype(dtype)}


@few
@given(seeds, several)
def test_what_enters_a_unit_leaves_it(seed, density):
    net, x, y = make(seed, density)
    flows = mask_gradients(net, x, y)
    ends = [
        (rows, columns)
        for rows, columns in (
            divmod(
                csr.flat(la.weight) if isinstance(la, Linear) else np.arange(la.weight.size),
                la.n_in,
            )
            for la in net.weighted
        )
    ]
    for k, layer in enumerate(net.weighted[:-1]):
        into = np.bincount(ends[k][0], flows[k], layer.n_out)
        out_of = np.bincount(ends[k + 1][1], flows[k + 1], layer.n_out)
        # Tens of terms of size 1.
        np.testing.assert_allclose(into, out_of, rtol=0, atol=1e-12)
    sums = [part.sum() for part in flows]
    np.testing.assert_allclose(sums, sums[0], rtol=0, atol=1e-12)


@few
@given(seeds)
def test_a_loss_times_a_number_has_the_same_scores(seed):
    net, x, y = make(seed)
    # Every batch holds the same examples, so the sum of their losses is three times one's.
    once, thrice = (
        snip_scores(net, x, y),
        snip_scores(net, np.tile(x, (3, 1)), np.tile(y, 3), batch_size=7),
    )
    for one, three in zip(once, thrice, strict=True):
        np.testing.assert_allclose(one, three, rtol=1e-12)


def test_nothing_flows_through_zeros_and_dead_units():
    net, x, y = make(921, bias=True)
    first, _, _ = net.weighted
    first.weight[2, 3] = 0
    first.bias[4] = -1e6  # never positive
    by_first, by_second, _ = (
        part.reshape(la.weight.shape)
        for part, la in zip(snip_scores(net, x, y), net.weighted, strict=True)
    )
    assert by_first[2, 3] == 0
    assert not by_first[4].any()
    assert not by_second[:, 4].any()


def test_without_any_gradient_all_scores_are_zero():
    net = Network([Dense(np.ones((2, 3)))])
    (scores,) = snip_scores(net, np.zeros((4, 3)), np.array([0, 1, 0, 1]))
    assert scores.tolist() == [0] * 6
    assert snip(net, np.zeros((4, 3)), np.array([0, 1, 0, 1]), 0.5)[0].tolist() == [3, 4, 5]


def test_batches_are_summed_before_or_after_the_magnitude():
    net, x, y = make(922)
    dense, biases = as_dense(net), [layer.bias for layer in net.weighted]
    signed = [
        [
            w * g
            for w, g in zip(
                dense, naive.backpropagation(dense, biases, x[part], y[part])[1], strict=True
            )
        ]
        for part in (slice(0, 3), slice(3, 6), slice(6, 7))
    ]
    for after, ref in (
        (True, [abs(sum(parts)) for parts in zip(*signed, strict=True)]),
        (False, [sum(map(abs, parts)) for parts in zip(*signed, strict=True)]),
    ):
        comp = snip_scores(net, x, y, batch_size=3, abs_after_sum=after)
        total = sum(part.sum() for part in ref)
        for one, two in zip(ref, comp, strict=True):
            np.testing.assert_allclose(two, one.reshape(-1) / total, rtol=1e-10)


# Pruning ------------------------------------------------------------------------------------------


def masks_of(net, drops):
    """Where each layer still has connections."""
    masks = []
    for layer, drop in zip(net.weighted, drops, strict=True):
        mask = np.ones(layer.weight.size if isinstance(layer, Dense) else layer.weight.nnz, bool)
        mask[drop] = False
        masks.append(mask.reshape(layer.weight.shape) if isinstance(layer, Dense) else mask)
    return masks


@few
@given(seeds, st.floats(0, 1), st.integers(1, 5), st.booleans())
def test_rounds_against_masked_dense_networks(seed, density, rounds, frozen):
    # With biases: without them what enters a unit leaves it, and lonely connections would tie.
    net, x, y = make(seed, bias=True)
    n = sum(net.connections)
    counts = [round(n * density ** (e / rounds)) for e in range(1, rounds)] + [round(n * density)]
    biases = [layer.bias for layer in net.weighted]
    ref = naive.snip_masks(as_dense(net), biases, x, y, counts, frozen)
    comp = masks_of(net, snip(net, x, y, density, rounds=rounds, freeze_pruned=frozen))
    for one, two in zip(ref, comp, strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_rounds_of_a_sparse_network_are_those_of_its_dense_twin_with_zeros_removed():
    sparse, x, y = make(923, 0.5)
    dense = Network([Dense(w) if isinstance(la, Linear) else la for la, w in _layers(sparse)])
    for frozen in (True, False):
        kept = 12
        options = {"rounds": 3, "freeze_pruned": frozen}
        one = snip(sparse, x, y, kept / sum(sparse.connections), **options)
        # Counts differ in the rounds between, so only one round can be compared exactly.
        assert sum(sparse.connections) - sum(map(len, one)) == kept
    one = snip(sparse, x, y, kept / sum(sparse.connections))
    two = snip(dense, x, y, kept / sum(dense.connections))
    for la, a, b in zip(sparse.weighted, one, two, strict=True):
        left = csr.positions_without(la.weight, a)
        np.testing.assert_array_equal(np.setdiff1d(np.arange(la.n_in * la.n_out), b), left)


def _layers(net):
    weights = iter(as_dense(net))
    return [(la, next(weights) if isinstance(la, Linear) else None) for la in net.layers]


def test_frozen_rounds_are_nested():
    net, x, y = make(924)
    before = None
    for rounds in (1, 2, 3, 4):
        # The density after e of 4 rounds is that after all of e rounds to 0.1^(e / 4).
        drops = snip(net, x, y, 0.1 ** (rounds / 4), rounds=rounds)
        kept = [set(np.flatnonzero(m.reshape(-1))) for m in masks_of(net, drops)]
        assert before is None or all(a <= b for a, b in zip(kept, before, strict=True))
        before = kept


def test_a_removed_connection_may_come_back_where_it_is_let():
    found = []
    for seed in range(925, 945):
        net, x, y = make(seed)
        first = masks_of(net, snip(net, x, y, 0.1**0.5))
        second = masks_of(net, snip(net, x, y, 0.1, rounds=2, freeze_pruned=False))
        found.append(any((~a & b).any() for a, b in zip(first, second, strict=True)))
    assert any(found)


def test_zero_biases_are_the_first_to_go():
    net, x, y = make(926)
    n, biases = sum(net.connections), sum(layer.n_out for layer in net.weighted)
    drops = snip(net, x, y, 0.5, convention="snip-public")
    assert n - sum(map(len, drops)) == round((n + biases) * 0.5)
    alone = snip(net, x, y, round((n + biases) * 0.5) / n)
    for one, two in zip(alone, drops, strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_authors_code_counts_from_the_sparsity():
    # 12 weights and 3 biases at a sparsity of .9: int(round(15 * (1. - .9))) is 1, not 2.
    rng = np.random.default_rng(929)
    net = Network([Dense(rng.standard_normal((3, 4)))])
    x, y = rng.standard_normal((6, 4)), np.array([0, 1, 2, 0, 1, 2])
    assert len(snip(net, x, y, 0.1, convention="snip-public")[0]) == 11
    assert len(snip(net, x, y, 0.1, include_bias=True)[0]) == 10


@pytest.mark.parametrize("frozen", [True, False])
def test_biases_compete_round_by_round(frozen):
    net, x, y = make(927, bias=True)
    n, biases = sum(net.connections), [layer.bias.copy() for layer in net.weighted]
    options = {"include_bias": True, "rounds": 2, "freeze_pruned": frozen}
    comp = masks_of(net, snip(net, x, y, 0.25, **options))
    weights, masks = as_dense(net), None
    for share in (0.5, 0.25):  # weights and biases in one pool, by hand
        if masks is None:
            masks = [np.ones(a.shape, bool) for a in (*weights, *biases)]
        masked = [a * m for a, m in zip((*weights, *biases), masks, strict=True)]
        _, by_weight, by_bias = naive.backpropagation(masked[:3], masked[3:], x, y)
        scores = [
            abs(a * g) for a, g in zip((*weights, *biases), (*by_weight, *by_bias), strict=True)
        ]
        if frozen:
            scores = [np.where(m, s, -1) for m, s in zip(masks, scores, strict=True)]
        masks = naive.pooled_masks(scores, round((n + sum(map(len, biases))) * share))
    for one, two in zip(masks[:3], comp, strict=True):
        np.testing.assert_array_equal(one, two)
    assert all((b == la.bias).all() for b, la in zip(biases, net.weighted, strict=True))


def test_the_convention_of_synaptic_flow_is_its_options():
    net, x, y = make(928, bias=True)
    options = {"batch_size": 256, "count": "trunc_removed", "ties": "drop_all"}
    ref = snip(net, x, y, 0.3, rounds=3, freeze_pruned=False, **options)
    comp = snip(net, x, y, 0.3, rounds=3, convention="synaptic-flow")
    for one, two in zip(ref, comp, strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_batches_of_synaptic_flow_are_of_256():
    # The last batch's 44 examples count as much as the 256 before them.
    rng = np.random.default_rng(930)
    net, x, y = make(928, bias=True)
    x, y = rng.standard_normal((300, 6)), rng.integers(0, 3, 300)
    comp = snip(net, x, y, 0.5, convention="synaptic-flow", rounds=1)
    refs = [
        snip(net, x, y, 0.5, batch_size=n, count="trunc_removed", ties="drop_all")
        for n in (256, 128)
    ]
    same = [all(map(np.array_equal, comp, ref)) for ref in refs]
    assert same == [True, False]


# Errors -------------------------------------------------------------------------------------------


def test_examples_and_labels_must_be_as_many():
    with refuses(ValueError, "snip: x and y must be equally many and not none, got 4 and 3"):
        snip(example("dense"), X, Y[:3], 0.5)
    with refuses(ValueError, "snip_scores: x and y must be equally many and not none, got 0 and 0"):
        snip_scores(example("dense"), X[:0], Y[:0])
    with refuses(ValueError, "mask_gradients: x must have shape (n, 2) or alike, got (4, 1)"):
        mask_gradients(example("dense"), X[:, :1], Y)


@pytest.mark.parametrize("option", ["rounds", "batch_size"])
@pytest.mark.parametrize("value", [0, -2, 1.5, True])
def test_rounds_and_batches_must_be_positive_whole_numbers(option, value):
    with refuses(ValueError, f"snip: {option} must be a positive whole number, got {value}"):
        snip(example("dense"), X, Y, 0.5, **{option: value})


def test_scores_that_are_no_numbers_are_refused():
    net = example("sparse")
    net.weighted[0].weight.data[1] = np.nan
    with refuses(ValueError, "snip_scores: scores must be finite, got nan"):
        snip_scores(net, X, Y)


def test_there_are_two_schedules():
    known = "['exponential', 'linear']"
    with refuses(ValueError, f"snip: schedule must be one of {known}, got 'cosine'"):
        snip(example("dense"), X, Y, 0.5, schedule="cosine")
