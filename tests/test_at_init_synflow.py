"""SynFlow: worked examples, conservation, and rounds against paths and dense products."""

import re

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_ref import AllReLU, Dense, Dropout, Linear, Network, ReLU, SReLU, csr, models
from sparse_ref.at_init import grasp, magnitude, snip, synflow, synflow_scores

DTYPES = [np.float32, np.float64]

# ---------------------------------------------------------------- worked example
#
#   |W1|     S1           |W2|          S2                R = 5.59
#  .5  1    .65 1.3     1   .2  .5    1.5  .42  .35
#  2  .1    1.8  .09    .3  .7  2      .45 1.47 1.4
#  .3 .4    .75 1.0      through the hidden units 1.95, 1.89, 1.75
#
# Half of 12 stay in one round: all above .75.

W1 = np.array([[0.5, -1], [2, 0.1], [-0.3, 0.4]])
W2 = np.array([[1, -0.2, 0.5], [0.3, 0.7, -2]])
S1 = np.array([[0.65, 1.3], [1.8, 0.09], [0.75, 1.0]])
S2 = np.array([[1.5, 0.42, 0.35], [0.45, 1.47, 1.4]])
kinds = pytest.mark.parametrize("kind", ["dense", "sparse"])


def network(weights, kind="dense", biases=None, dtype=np.float64):
    """Linear layers with ReLUs between."""
    layers = []
    for k, weight in enumerate(weights):
        bias = None if biases is None else biases[k].astype(dtype)
        weight = weight.astype(dtype)
        full = np.ones(weight.shape, bool)
        sparse = kind == "sparse"
        layers += [
            Linear(csr.from_dense(weight, full), bias) if sparse else Dense(weight, bias),
            ReLU(),
        ]
    return Network(layers[:-1])


def refuses(kind, message):
    """The whole message, word for word."""
    return pytest.raises(kind, match="^" + re.escape(message) + "$")


def kept(net, drops):
    """How many connections each layer keeps."""
    return [n - len(drop) for n, drop in zip(net.connections, drops, strict=True)]


def masks(net, drops):
    """Where connections are left, by slot."""
    left = [np.ones(n, bool) for n in net.connections]
    for mask, drop in zip(left, drops, strict=True):
        mask[drop] = False
    return left


@kinds
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_example(kind, dtype):
    comp = synflow_scores(network([W1, W2], kind, dtype=dtype))
    close = {"rtol": 0, "atol": 1e-12 if dtype == np.float64 else 1e-6}
    np.testing.assert_allclose(comp[0].reshape(3, 2), S1, **close)
    np.testing.assert_allclose(comp[1].reshape(2, 3), S2, **close)
    assert [part.sum() for part in comp] == pytest.approx([5.59, 5.59], abs=1e-5)
    assert {part.dtype for part in comp} == {np.dtype(np.float64)}


@kinds
@pytest.mark.parametrize("ties", ["keep_low_index", "drop_all"])
def test_half_of_the_example_in_one_round(kind, ties):
    net = network([W1, W2], kind)
    first, second = masks(net, synflow(net, 0.5, rounds=1, ties=ties))
    assert first.tolist() == [0, 1, 1, 0, 0, 1]
    assert second.tolist() == [1, 0, 0, 0, 1, 1]


# ---------------------------------------------------------------- collapse
#
# 100-100-2-100-10, N(0, 1 / fan_in): 10000, 200, 200 and 1000 weights.

EXAMPLE_SEED = 0  # the draws whose counts are known; no test hangs on luck with it


def narrow():
    rng, sizes = np.random.default_rng(EXAMPLE_SEED), (100, 100, 2, 100, 10)
    shapes = zip(sizes[1:], sizes[:-1], strict=True)
    return network([rng.standard_normal(shape) / np.sqrt(shape[1]) for shape in shapes])


@pytest.mark.parametrize(
    ("prune", "counts"),
    [
        (lambda net: synflow(net, 0.01), [40, 14, 25, 35]),
        (lambda net: synflow(net, 0.01, convention="synaptic-flow", rounds=100), [40, 14, 25, 35]),
        (lambda net: synflow(net, 0.01, rounds=1), [0, 55, 59, 0]),
        (lambda net: magnitude(net, 0.01), [0, 0, 114, 0]),
        (lambda net: synflow(net, 0.001), [4, 3, 1, 3]),
    ],
    ids=["100 rounds", "the code", "one round", "magnitude", "a thousandth"],
)
def test_rounds_keep_layers_from_collapse(prune, counts):
    net = narrow()
    assert kept(net, prune(net)) == counts


@pytest.mark.parametrize("prune", [snip, grasp])
def test_one_round_of_snip_or_grasp_empties_a_layer_that_synflow_does_not(prune):
    net, rng = narrow(), np.random.default_rng(954)
    x, y = rng.standard_normal((100, 100)), rng.integers(0, 10, 100)
    assert kept(net, prune(net, x, y, 0.001))[0] == 0


def test_equal_scores_all_go_with_the_threshold():
    net = network([np.ones((3, 3)), np.ones((3, 3))])
    for rounds in (1, 100):
        assert kept(net, synflow(net, 0.5, rounds=rounds, ties="drop_all")) == [0, 0]
        assert sum(kept(net, synflow(net, 0.5, rounds=rounds))) == 9


# Scores -------------------------------------------------------------------------------------------

seeds, flags = st.integers(0, 10_000), st.booleans()
several = st.sampled_from([None, 0.6, 0.3])
few = settings(max_examples=40)


def make(seed, density=None, bias=False, sizes=(3, 4, 3, 2)):
    rng = np.random.default_rng(seed)
    net = models.mlp(sizes, density=density, distribution="uniform", rng=rng, dtype=np.float64)
    if bias:
        for layer in net.weighted:
            layer.bias[:] = rng.standard_normal(layer.n_out)
    return net


def as_dense(net):
    return [csr.to_dense(la.weight) if isinstance(la, Linear) else la.weight for la in net.weighted]


def ends(layer):
    """Rows and columns of a layer's slots."""
    flat = csr.flat(layer.weight) if isinstance(layer, Linear) else np.arange(layer.weight.size)
    return divmod(flat, layer.n_in)


@few
@given(seeds, several, flags)
def test_scores_are_sums_over_paths(seed, density, bias):
    net = make(seed, density, bias)
    _, ref = naive.path_flows(as_dense(net), [layer.bias for layer in net.weighted])
    for layer, one, two in zip(net.weighted, ref, synflow_scores(net), strict=True):
        rows, columns = ends(layer)
        np.testing.assert_allclose(two, one[rows, columns], rtol=1e-12, atol=1e-13)


@few
@given(seeds, several)
def test_flow_is_conserved(seed, density):
    net = make(seed, density, sizes=(6, 7, 5, 4))
    scores = synflow_scores(net)
    sums = [part.sum() for part in scores]
    np.testing.assert_allclose(sums, sums[0], rtol=1e-12)
    for k, layer in enumerate(net.weighted[:-1]):
        into = np.bincount(ends(layer)[0], scores[k], layer.n_out)
        out_of = np.bincount(ends(net.weighted[k + 1])[1], scores[k + 1], layer.n_out)
        alive = np.bincount(ends(net.weighted[k + 1])[1], minlength=layer.n_out) > 0
        np.testing.assert_allclose(into[alive], out_of[alive], rtol=1e-12, atol=1e-13)


@few
@given(seeds)
def test_with_biases_every_layer_passes_what_does_not_start_behind_it(seed):
    net = make(seed, None, True)
    weights, biases = as_dense(net), [layer.bias for layer in net.weighted]
    everything, _ = naive.path_flows(weights, biases)
    behind, from_biases = np.ones(2), []
    for weight, bias in zip(reversed(weights), reversed(biases), strict=True):
        from_biases.insert(0, abs(bias) @ behind)
        behind = abs(weight).T @ behind
    for k, part in enumerate(synflow_scores(net)):
        assert part.sum() + sum(from_biases[k:]) == pytest.approx(everything, rel=1e-12)


def test_biases_may_be_left_out():
    net = make(951, None, True)
    without = make(951)
    for one, two in zip(synflow_scores(net, abs_bias=False), synflow_scores(without), strict=True):
        np.testing.assert_array_equal(one, two)
    assert any(
        (a != b).any() for a, b in zip(synflow_scores(net), synflow_scores(without), strict=True)
    )


@few
@given(seeds, several, flags, st.floats(0, 1), st.integers(1, 6))
def test_signs_do_not_count(seed, density, bias, left, rounds):
    net = make(seed, density, bias)
    ref, rng = synflow(net, left, rounds=rounds), np.random.default_rng(seed + 1)
    for layer in net.weighted:
        values = layer.weight.data if isinstance(layer, Linear) else layer.weight
        values *= 2.0 * rng.integers(0, 2, values.shape) - 1
        layer.bias *= -1
    for one, two in zip(ref, synflow(net, left, rounds=rounds), strict=True):
        np.testing.assert_array_equal(one, two)


@few
@given(seeds, several, st.floats(0, 1), st.integers(1, 6), st.integers(-30, 30), st.integers(0, 2))
def test_the_scale_of_a_layer_does_not_count(seed, density, left, rounds, power, k):
    net = make(seed, density)
    ref = synflow(net, left, rounds=rounds)
    layer = net.weighted[k]
    values = layer.weight.data if isinstance(layer, Linear) else layer.weight
    values *= 2.0**power  # a power of two changes no digit
    for one, two in zip(ref, synflow(net, left, rounds=rounds), strict=True):
        np.testing.assert_array_equal(one, two)


# Rounds -------------------------------------------------------------------------------------------


@few
@given(seeds, st.floats(0.2, 1), st.integers(1, 6), st.sampled_from(["exponential", "linear"]))
def test_rounds_against_dense_products(seed, density, rounds, schedule):
    net = make(seed, sizes=(6, 7, 5, 4))
    n, shares = sum(net.connections), [e / rounds for e in range(1, rounds + 1)]
    if schedule == "linear":
        counts = [int(n * (1 - (1 - density) * e)) for e in shares]
    else:
        counts = [int(n * density**e) for e in shares]
    ref = naive.synflow_masks(as_dense(net), counts)
    comp = masks(net, synflow(net, density, rounds=rounds, schedule=schedule))
    for one, two in zip(ref, comp, strict=True):
        np.testing.assert_array_equal(one.reshape(-1), two)


@few
@given(seeds, several, st.floats(0, 1))
def test_more_rounds_of_one_schedule_are_nested(seed, density, left):
    net, before = make(seed, density, sizes=(6, 7, 5, 4)), None
    for rounds in (1, 2, 3, 4):
        now = masks(net, synflow(net, left ** (rounds / 4), rounds=rounds))
        assert before is None or all((a <= b).all() for a, b in zip(now, before, strict=True))
        before = now


@few
@given(seeds, several, st.floats(0.3, 1), st.integers(1, 6))
def test_what_was_removed_may_only_come_back_for_what_carries_nothing(seed, density, left, rounds):
    net = make(seed, density, sizes=(6, 7, 5, 4))
    frozen = masks(net, synflow(net, left, rounds=rounds))
    free = masks(net, synflow(net, left, rounds=rounds, freeze_pruned=False))
    assert sum(m.sum() for m in frozen) == sum(m.sum() for m in free)
    pruned = make(seed, density, sizes=(6, 7, 5, 4))
    pruned.prune([np.flatnonzero(~m) for m in free])
    carrying = sum((part > 0).sum() for part in synflow_scores(pruned))
    if carrying == sum(m.sum() for m in free):
        for one, two in zip(frozen, free, strict=True):
            np.testing.assert_array_equal(one, two)


@few
@given(seeds, several, st.integers(1, 8))
def test_no_layer_is_emptied_while_a_path_is_affordable(seed, density, paths):
    net = make(seed, density, sizes=(6, 7, 5, 4))
    if min(part.sum() for part in synflow_scores(net)) == 0:
        return  # nothing flows from the first
    n = sum(net.connections)
    drops = synflow(net, (3 * paths + 0.5) / n)
    assert sum(kept(net, drops)) == 3 * paths or 3 * paths >= n
    assert min(kept(net, drops)) > 0


def test_a_deep_network_of_small_weights_does_not_underflow():
    rng = np.random.default_rng(952)
    weights = [1e-3 * rng.standard_normal((8, 8)) for _ in range(30)]  # R is about 1e-64
    net = network(weights, dtype=np.float32)
    assert min(part.min() for part in synflow_scores(net)) > 0
    assert min(kept(net, synflow(net, 0.05))) > 0


@kinds
@pytest.mark.parametrize("bias", [0.0, 0.5])
@pytest.mark.parametrize("power", [-1000, -300, 300, 1000])
def test_no_scale_over_or_underflows(power, bias, kind):
    # Five layers times 2^1000: beyond float64 by far. A power of two changes no digit, and biases
    # that grow along with what comes before them change none either.
    rng = np.random.default_rng(955)
    weights = [rng.standard_normal((6, 6)) for _ in range(5)]
    biases = [np.full(6, bias), *[np.zeros(6)] * 4]
    ref = synflow(network(weights, kind, biases), 0.3)
    biases[0] *= 2.0**power
    comp = synflow(network([w * 2.0**power for w in weights], kind, biases), 0.3)
    for one, two in zip(ref, comp, strict=True):
        np.testing.assert_array_equal(one, two)


def test_small_flows_do_not_hide_large_biases():
    weights = [2.0**-900 * np.ones((2, 2))] * 2 + [np.array([[3.0, 1.0], [2.0, 1.0]])]
    biases = [np.zeros(2), np.array([1.0, 0.0]), np.zeros(2)]
    net = network(weights, biases=biases)
    assert synflow(net, 0.2, rounds=1)[2].tolist() == [1, 3]


def test_activations_that_let_positive_numbers_pass_make_no_difference():
    ref = synflow_scores(network([W1, W2]))
    for layer in (AllReLU(0.6, 2), Dropout(0.5)):
        for one, two in zip(
            ref, synflow_scores(Network([Dense(W1), layer, Dense(W2)])), strict=True
        ):
            np.testing.assert_array_equal(one, two)


# Errors -------------------------------------------------------------------------------------------


def test_an_activation_that_bends_positive_numbers_is_refused():
    bent = SReLU.initial(3, np.random.default_rng(953), np.float64)
    message = "synflow: layers between weights must let positive numbers pass, got SReLU(3)"
    with refuses(TypeError, message):
        synflow(Network([Dense(W1), bent, Dense(W2)]), 0.5)


def test_scores_beyond_float64_are_refused():
    with refuses(ValueError, "synflow_scores: scores must be finite, got inf"):
        synflow_scores(network([2.0**600 * W1, 2.0**600 * W2]))
    with refuses(ValueError, "synflow_scores: a flow must be no less than float64 holds, got 0"):
        synflow_scores(network([2.0**-600 * W1, 2.0**-600 * W2]))
    nothing = network([0 * W1, W2])
    assert [part.any() for part in synflow_scores(nothing)] == [False, False]


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_weights_must_be_finite(wrong):
    net = network([W1, W2], "sparse")
    net.weighted[1].weight.data[2] = wrong
    for scores in (synflow_scores, lambda net: synflow(net, 0.5)):
        with refuses(ValueError, f"synflow: weights must be finite, got {wrong}"):
            scores(net)


@pytest.mark.parametrize("rounds", [0, -1, 2.0, True])
def test_rounds_must_be_a_positive_whole_number(rounds):
    with refuses(ValueError, f"synflow: rounds must be a positive whole number, got {rounds}"):
        synflow(network([W1, W2]), 0.5, rounds=rounds)


def test_there_are_two_schedules():
    message = "synflow: schedule must be one of ['exponential', 'linear'], got 'cubic'"
    with refuses(ValueError, message):
        synflow(network([W1, W2]), 0.5, schedule="cubic")
