"""A network: gradients against dense backpropagation, predictions, restructuring, errors."""

import re

import naive
import numpy as np
import pytest

from sparse_ref import csr, tiles
from sparse_ref.csr import Rewire
from sparse_ref.layers import AllReLU, Dense, Dropout, Linear, ReLU, SReLU
from sparse_ref.models import mlp
from sparse_ref.network import PREDICT_BATCH, Network

DTYPES = (np.float32, np.float64)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
SIZES = (7, 6, 5, 3)


def streams(net, seed):
    """One generator a layer, as a training gives them."""
    return np.random.default_rng(seed).spawn(len(net.layers))


def refuses(kind, message):
    """The whole message, word for word."""
    return pytest.raises(kind, match="^" + re.escape(message) + "$")


def make(density=0.5, dtype=np.float64, **options):
    rng = np.random.default_rng(141)
    options = {"initialisation": "torch", **options}
    return mlp(SIZES, density=density, rng=rng, dtype=dtype, **options)


def batch(n=21, dtype=np.float64, seed=142):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, SIZES[0])).astype(dtype), rng.integers(0, SIZES[-1], n)


def masks(net):
    """Where each layer has connections."""
    return [
        csr.pattern(la.weight) if isinstance(la, Linear) else np.ones(la.weight.shape, bool)
        for la in net.weighted
    ]


def dense_weights(net):
    return [csr.to_dense(la.weight) if isinstance(la, Linear) else la.weight for la in net.weighted]


def of_weighted(net, grads):
    pairs = zip(net.layers, grads, strict=True)
    return [grad for layer, grad in pairs if isinstance(layer, Linear | Dense)]


densities = pytest.mark.parametrize(
    "options", [{"density": 0.5}, {"density": None}, {"density": 0.5, "dense": (-1,)}]
)


# Gradients ----------------------------------------------------------------------------------------


def backpropagated(net):
    x, labels = batch()
    biases = [layer.bias for layer in net.weighted]
    ref = naive.backpropagation(dense_weights(net), biases, x, labels)
    loss, grads = net.gradients(tiles.pack(x), labels)
    return ref, loss, of_weighted(net, grads)


# Sums of tens of terms of size 1 in float64, through three layers: some 1e-14.
backpropagation_close = {"rtol": 0, "atol": 1e-12}


@densities
def test_the_loss_is_that_of_the_dense_network(options):
    (ref, _, _), comp, _ = backpropagated(make(**options))
    assert comp == pytest.approx(ref, abs=1e-12)


@densities
def test_weight_gradients_are_those_of_backpropagation_at_the_connections(options):
    net = make(**options)
    (_, ref, _), _, grads = backpropagated(net)
    for dense, mask, grad in zip(ref, masks(net), grads, strict=True):
        np.testing.assert_allclose(np.ravel(grad.weight), dense[mask], **backpropagation_close)


@densities
def test_bias_gradients_are_those_of_backpropagation(options):
    (_, _, ref), _, grads = backpropagated(make(**options))
    for expected, grad in zip(ref, grads, strict=True):
        np.testing.assert_allclose(grad.bias, expected, **backpropagation_close)


@densities
def test_blocks_are_the_dense_gradients_of_backpropagation(options):
    net = make(**options)
    (_, ref, _), _, grads = backpropagated(net)
    for expected, layer, grad in zip(ref, net.weighted, grads, strict=True):
        np.testing.assert_allclose(grad.block(0, layer.n_out), expected, **backpropagation_close)


@pytest.mark.parametrize("activation", ["relu", "srelu", "all_relu"])
@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "squared_error"])
def test_gradients_are_the_derivatives_of_the_loss(activation, loss):
    net = make(activation=activation, loss=loss, dense=(1,))
    (x, labels), rng = batch(), np.random.default_rng(143)
    x = tiles.pack(x)
    _, grads = net.gradients(x, labels)
    for parameter in net.parameters():
        start, direction = parameter.value.copy(), rng.standard_normal(parameter.value.shape)

        def along(values, parameter=parameter):
            parameter.value[:] = values
            return net.gradients(x, labels)[0]

        ref = naive.slope(along, start, direction)
        parameter.value[:] = start
        comp = np.vdot(getattr(grads[parameter.layer], parameter.name), direction)
        # A loss of size 1 rounds to 1e-15, over the step 1e-6; its third derivative times 1e-12.
        assert comp == pytest.approx(ref, abs=1e-8)


def test_gradients_are_one_per_layer_and_none_without_parameters():
    x, labels = batch()
    net = make(dropout=0.5)
    _, grads = net.gradients(tiles.pack(x), labels)
    assert [grad is None for grad in grads] == [False, True, True, False, True, True, False]


@every_dtype
def test_gradients_keep_the_dtype(dtype):
    net, (x, labels) = make(dtype=dtype, activation="srelu", dense=(-1,)), batch(dtype=dtype)
    _, grads = net.gradients(tiles.pack(x), labels)
    found = {getattr(grads[p.layer], p.name).dtype for p in net.parameters()}
    assert found == {np.dtype(dtype)}


def test_gradients_are_in_the_order_of_parameters():
    net, (x, labels) = make(activation="srelu"), batch()
    _, grads = net.gradients(tiles.pack(x), labels)
    for parameter in net.parameters():
        assert getattr(grads[parameter.layer], parameter.name).shape == parameter.value.shape


def test_the_same_noise_gives_the_same_gradients():
    net, (x, labels) = make(dropout=0.5), batch()
    ref, comp = (
        net.gradients(tiles.pack(x), labels, streams(net, 144))[1][0].weight for _ in range(2)
    )
    assert ref.tobytes() == comp.tobytes()


def test_without_a_generator_there_is_no_noise():
    x, labels = batch()
    ref, _ = make().gradients(tiles.pack(x), labels)
    comp, _ = make(dropout=0.5).gradients(tiles.pack(x), labels)
    assert ref == comp


def test_with_a_generator_there_is_noise():
    (x, labels), net = batch(), make(dropout=0.5)
    quiet, _ = net.gradients(tiles.pack(x), labels)
    noisy, _ = net.gradients(tiles.pack(x), labels, streams(net, 145))
    assert quiet != noisy


def test_layers_may_follow_each_other_without_activation():
    rng = np.random.default_rng(151)
    first, second = rng.standard_normal((4, 7)), rng.standard_normal((3, 4))
    net, (x, labels) = Network([Dense(first), Linear(csr.from_dense(second))]), batch()
    _, delta = naive.cross_entropy(x @ first.T @ second.T, labels)
    ref = second.T @ delta.T @ x
    _, grads = net.gradients(tiles.pack(x), labels)
    np.testing.assert_allclose(grads[0].weight, ref, **backpropagation_close)


def test_the_gradient_by_the_examples_is_not_made(monkeypatch):
    net, (x, labels), wishes = make(), batch(), []
    forward = net.layers[0].forward

    def watched(x, rng=None, n=None):
        y, pullback = forward(x, rng)
        return y, lambda delta, wanted=True: wishes.append(wanted) or pullback(delta, wanted)

    monkeypatch.setattr(net.layers[0], "forward", watched)
    net.gradients(tiles.pack(x), labels)
    assert wishes == [False]


def test_the_mean_over_a_batch_is_the_mean_over_its_halves():
    net, (x, labels) = make(), batch(20)
    _, whole = net.gradients(tiles.pack(x), labels)
    _, first = net.gradients(tiles.pack(x[:10]), labels[:10])
    _, second = net.gradients(tiles.pack(x[10:]), labels[10:])
    for all_of_it, one, two in zip(
        *(of_weighted(net, g) for g in (whole, first, second)), strict=True
    ):
        mean = (one.weight + two.weight) / 2
        np.testing.assert_allclose(all_of_it.weight, mean, **backpropagation_close)


def test_sparse_gradients_are_those_of_the_sparse_layers():
    net, (x, labels) = make(dense=(1,)), batch()
    _, grads = net.gradients(tiles.pack(x), labels)
    assert [id(g) for g in net.sparse_gradients(grads)] == [id(grads[0]), id(grads[4])]


# Predictions --------------------------------------------------------------------------------------


def test_predictions_are_those_of_the_dense_network():
    net, (x, _) = make(), batch()
    first, second, third = dense_weights(net)
    hidden = naive.relu(x @ first.T + net.weighted[0].bias)
    hidden = naive.relu(hidden @ second.T + net.weighted[1].bias)
    ref = hidden @ third.T + net.weighted[2].bias
    comp = net.predict(x)
    np.testing.assert_allclose(comp, ref, **backpropagation_close)


@every_dtype
@pytest.mark.parametrize("n", [1, 8, 9, 33, 100])
def test_a_prediction_does_not_depend_on_the_other_examples(dtype, n):
    net, (x, _) = make(dtype=dtype, activation="srelu"), batch(100, dtype)
    ref = net.predict(x)[:n]
    comp = net.predict(x[:n])
    assert ref.tobytes() == comp.tobytes()  # CSR throughout: to the bit, at every tile width


def test_predictions_run_on_over_the_end_of_a_batch():
    net, (x, _) = make(), batch(PREDICT_BATCH + 5)
    ref = np.concatenate([net.predict(x[:900]), net.predict(x[900:])])
    comp = net.predict(x)
    assert ref.tobytes() == comp.tobytes()


def test_predictions_of_dense_layers_depend_on_the_batch_within_rounding_only():
    net, (x, _) = make(density=None), batch(PREDICT_BATCH + 5)
    ref = np.concatenate([net.predict(row[None]) for row in x[-10:]])
    np.testing.assert_allclose(net.predict(x)[-10:], ref, **backpropagation_close)


@pytest.mark.parametrize("n", [0, 1, 20])
@every_dtype
def test_predictions_are_a_row_an_example_of_the_dtype(n, dtype):
    outputs = make(dtype=dtype).predict(batch(n)[0])
    assert (outputs.shape, outputs.dtype) == ((n, 3), dtype)


def test_examples_of_any_shape_are_flattened():
    net = mlp((12, 3), density=0.5, rng=np.random.default_rng(146))
    x = np.random.default_rng(147).random((5, 3, 2, 2))
    np.testing.assert_array_equal(net.predict(x.reshape(5, 12)), net.predict(x))


def test_examples_in_any_order_of_memory_are_read():
    net, (x, _) = make(), batch()
    np.testing.assert_array_equal(net.predict(x), net.predict(np.asfortranarray(x)))


def test_predictions_have_no_noise():
    x, _ = batch()
    np.testing.assert_array_equal(make().predict(x), make(dropout=0.5).predict(x))


# examples -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 6), (7,), (4, 7, 2), (), (0, 8)])
def test_examples_must_have_the_features_of_the_network(shape):
    with refuses(ValueError, f"fit: x must have shape (n, 7) or alike, got {shape}"):
        make().examples(np.zeros(shape), "fit")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_examples_must_be_finite(value):
    x = np.zeros((4, 7))
    x[2, 5] = value
    with pytest.raises(ValueError, match=r"^predict: x must be finite, got .* in example 2$"):
        make().predict(x)


def test_examples_must_be_finite_in_the_dtype_of_the_network():
    with pytest.raises(ValueError, match=r"^predict: x must be finite, got .* in example 1$"):
        make(dtype=np.float32).predict(np.array([[1.0] * 7, [1e300] * 7]))


def test_examples_are_converted_to_the_dtype_of_the_network():
    x = make(dtype=np.float32).examples(np.arange(14).reshape(2, 7), "fit")
    ref = np.arange(14, dtype=np.float32).reshape(2, 7)
    np.testing.assert_array_equal(ref, x, strict=True)


def test_examples_that_fit_are_not_copied():
    x, _ = batch()
    assert np.shares_memory(x, make().examples(x, "fit"))


# Structure ----------------------------------------------------------------------------------------


def test_sparse_layers_leave_the_dense_ones_out():
    net = make(dense=(1,))
    assert net.sparse_layers == (net.layers[0], net.layers[4])


def test_widths_are_those_of_the_first_and_last_layer():
    net = make()
    assert (net.n_in, net.n_out) == (7, 3)


def test_parameters_know_their_layer_and_whether_they_follow_connections():
    net = make(activation="srelu", dense=(-1,))
    assert [(p.layer, p.name, p.slots) for p in net.parameters()] == [
        (0, "weight", True),
        (0, "bias", False),
        (1, "left_threshold", False),
        (1, "left_slope", False),
        (1, "right_offset", False),
        (1, "right_slope", False),
        (2, "weight", True),
        (2, "bias", False),
        (3, "left_threshold", False),
        (3, "left_slope", False),
        (3, "right_offset", False),
        (3, "right_slope", False),
        (4, "weight", False),
        (4, "bias", False),
    ]


def test_density_is_connections_over_positions_not_a_mean_of_densities():
    weights = np.eye(4, 10), np.ones((2, 4))  # 4 of 40 and 8 of 8
    net = Network([Linear(csr.from_dense(w)) for w in weights])
    assert net.connections == (4, 8)
    assert net.density == 12 / 48


def test_a_dense_layer_counts_all_its_positions():
    net = Network([Linear(csr.from_dense(np.eye(4, 10))), Dense(np.zeros((2, 4)))])
    assert net.connections == (4, 8)


def test_a_stored_zero_is_a_connection():
    weight = csr.from_dense(np.zeros((4, 10)), np.eye(4, 10, dtype=bool))
    assert Network([Linear(weight)]).connections == (4,)


def test_nbytes_is_the_sum_of_layers_and_activations():
    net = make(dtype=np.float32, activation="srelu")
    ref = sum(layer.nbytes for layer in net.weighted) + 4 * 4 * (6 + 5)
    assert ref == net.nbytes


def test_restructure_changes_each_sparse_layer_by_its_rewire():
    net = make()
    frees = [np.flatnonzero(~csr.pattern(la.weight))[:1] for la in net.sparse_layers]
    rewires = [Rewire(np.array([k]), free, np.array([0.5])) for k, free in enumerate(frees)]
    refs = [csr.apply(la.weight, r) for la, r in zip(net.sparse_layers, rewires, strict=True)]
    sources = net.restructure(rewires)
    for (weight, source), layer, comp in zip(refs, net.sparse_layers, sources, strict=True):
        np.testing.assert_array_equal(source, comp)
        np.testing.assert_array_equal(csr.to_dense(weight), csr.to_dense(layer.weight))
        np.testing.assert_array_equal(csr.pattern(weight), csr.pattern(layer.weight))


def test_gradients_after_restructuring_are_those_of_backpropagation():
    net = make()
    frees = [np.flatnonzero(~csr.pattern(la.weight))[:2] for la in net.sparse_layers]
    net.restructure([Rewire(np.array([0, 2]), free, np.array([0.5, -0.5])) for free in frees])
    (_, ref, _), _, grads = backpropagated(net)
    for dense, mask, grad in zip(ref, masks(net), grads, strict=True):
        np.testing.assert_allclose(grad.weight, dense[mask], **backpropagation_close)


@pytest.mark.parametrize("n", [0, 2, 4])
def test_restructure_wants_one_rewire_per_sparse_layer(n):
    nothing = Rewire(*(np.empty(0, int) for _ in range(3)))
    with refuses(ValueError, f"Network: rewires must be one per sparse layer, 3, got {n}"):
        make().restructure([nothing] * n)


def test_a_network_says_what_it_is():
    net = Network([Linear(csr.from_dense(np.eye(4, 10))), ReLU(), Dense(np.zeros((2, 4)))])
    assert repr(net) == (
        "Network(\n  Linear(10 -> 4, 4 connections)\n  ReLU()\n  Dense(4 -> 2)\n"
        "  softmax_cross_entropy\n)"
    )


# What does not make a network ---------------------------------------------------------------------


def test_an_unknown_loss_is_refused():
    with refuses(
        ValueError,
        "Network: loss must be one of ['sigmoid_squared_error', "
        "'sigmoid_squared_error_mocanu_code', 'softmax_cross_entropy', 'squared_error'], "
        "got 'hinge'",
    ):
        Network([Dense(np.zeros((2, 4)))], "hinge")


@pytest.mark.parametrize(("layers", "got"), [([], "[]"), ([ReLU()], "[ReLU()]")])
def test_a_network_must_have_a_weight(layers, got):
    with refuses(ValueError, f"Network: layers must hold at least one with a weight, got {got}"):
        Network(layers)


def test_a_first_layer_without_a_shape_needs_image():
    layers = [Dropout(0.5), Dense(np.zeros((2, 4)))]
    with refuses(
        ValueError,
        "Network: image, the shape of an example, must be given where the first layer does not "
        "know it, got Dropout(0.5)",
    ):
        Network(layers)
    assert Network(layers, image=(4,)).shape == (4,)


def test_shapes_must_chain():
    with refuses(
        ValueError,
        "Network: layer 2, Dense(3 -> 5), must fit what stands before it, "
        "AllReLU(alpha=0.6, layer_number=2), got shape (2,): "
        "Dense: an example must have shape (3,), got (2,)",
    ):
        Network([Dense(np.zeros((2, 4))), AllReLU(0.6, 2), Dense(np.zeros((5, 3)))])


def test_layers_must_share_a_dtype():
    with refuses(
        ValueError,
        "Network: layers must share a dtype, got float64 and, as weight of Dense(2 -> 5), float32",
    ):
        Network([Dense(np.zeros((2, 4))), Dense(np.zeros((5, 2), np.float32))])


@pytest.mark.parametrize("n", [1, 3])
def test_an_srelu_must_have_the_width_of_its_layer(n):
    # One of width 1 would be broadcast over the units without a word.
    units = SReLU.initial(n, np.random.default_rng(148), np.float64)
    with pytest.raises(ValueError, match=r"^Network: "):
        Network([Dense(np.zeros((2, 4))), units])


def test_an_srelu_must_have_the_dtype_of_its_layer():
    # float64 activations of a float32 network would go into kernels for float32.
    units = SReLU.initial(2, np.random.default_rng(149), np.float64)
    with pytest.raises(ValueError, match=r"^Network: "):
        Network([Dense(np.zeros((2, 4), np.float32)), units])


def test_a_refused_change_leaves_every_layer_as_it_was():
    net = mlp([4, 5, 3], density=0.5, rng=np.random.default_rng(211))
    before = [layer.weight for layer in net.sparse_layers]
    none, no_values = np.empty(0, np.int64), np.empty(0)
    good = csr.Rewire(np.array([0]), none, no_values)
    bad = csr.Rewire(np.array([99]), none, no_values)
    with pytest.raises(ValueError, match=r"^apply: drop slots"):
        net.restructure([good, bad])
    assert [layer.weight for layer in net.sparse_layers] == before


def test_a_layer_cannot_stand_twice():
    layer = Linear(csr.from_dense(np.eye(3)))
    with pytest.raises(ValueError, match=r"^Network: a layer must not stand twice in a network"):
        Network([layer, ReLU(), layer])


def test_a_network_without_positions_has_no_density():
    nothing = csr.from_positions((0, 3), np.empty(0, np.int64), np.empty(0))
    assert np.isnan(Network([Linear(nothing)]).density)


# ---------------------------------------------------------------- pruning


def at_random(net, seed, fraction=0.3):
    """Slots to drop of every layer with a weight."""
    rng = np.random.default_rng(seed)
    sizes = [layer.weight.size for layer in net.weighted]  # of CSR the stored ones
    return [np.flatnonzero(rng.random(size) < fraction) for size in sizes]


@every_dtype
@pytest.mark.parametrize("density", [None, 0.6])
def test_pruning_removes_the_slots_and_keeps_the_bits_of_the_others(density, dtype):
    net = make(density, dtype, activation="srelu")
    net.layers[0].bias[:] = 3
    drops = at_random(net, 151)
    old = [(csr.flat(w), w.data.copy()) for w in net.topology]
    others = [p.value.tobytes() for p in net.parameters() if p.name != "weight"]
    sources = net.prune(drops)
    assert len(net.sparse_layers) == 3
    for layer, (positions, values), drop, source in zip(
        net.weighted, old, drops, sources, strict=True
    ):
        ref = np.setdiff1d(np.arange(len(positions)), drop)
        assert source.tolist() == ref.tolist()
        assert csr.flat(layer.weight).tolist() == positions[ref].tolist()
        assert layer.weight.data.tobytes() == values[ref].tobytes()
        assert layer.weight.dtype == dtype
    assert [p.value.tobytes() for p in net.parameters() if p.name != "weight"] == others


def test_a_pruned_network_computes_what_a_mask_would():
    net, twin = make(None), make(None)
    drops = at_random(net, 157)
    net.prune(drops)
    for layer, drop in zip(twin.weighted, drops, strict=True):
        layer.weight.reshape(-1)[drop] = 0
    x, y = batch()
    # Sums of seven products in another order: a few units in the last place of float64.
    np.testing.assert_allclose(net.predict(x), twin.predict(x), atol=1e-14)
    _, grads = net.gradients(tiles.pack(x), y)
    _, refs = twin.gradients(tiles.pack(x), y)
    for layer, grad, ref in zip(net.layers, grads, refs, strict=True):
        if grad is not None:
            at = csr.flat(layer.weight)
            np.testing.assert_allclose(grad.weight, ref.weight.reshape(-1)[at], atol=1e-14)


def test_layers_that_are_not_named_stay_as_they_are():
    net = make(None)
    before = net.layers
    sources = net.prune([None, np.array([0, 4]), None])
    assert sources[0] is sources[2] is None
    assert [isinstance(layer, Dense) for layer in net.weighted] == [True, False, True]
    assert net.layers[0] is before[0]
    assert net.layers[-1] is before[-1]


def test_an_empty_list_of_slots_makes_a_dense_layer_sparse_and_complete():
    net, x = make(None), batch()[0]
    before = net.predict(x)
    net.prune([np.empty(0, np.int64)] * 3)
    assert net.density == 1
    np.testing.assert_allclose(net.predict(x), before, atol=1e-14)


def test_pruned_zeros_are_pruned_and_others_stay():
    net = Network([Dense(np.array([[0.0, 1.0], [0.0, 2.0]]))])
    net.prune([np.array([1])])
    assert csr.flat(net.layers[0].weight).tolist() == [0, 2, 3]
    assert net.layers[0].weight.data.tolist() == [0, 0, 2]


@pytest.mark.parametrize(
    ("drops", "words"),
    [
        ([None], "Network: drops must be one per layer with a weight, 3, got 1"),
        (
            [np.array([42]), None, None],
            "Network: slots to prune must be in [0, 42), got 42",
        ),
        (
            [np.array([3, 3]), None, None],
            "Network: slots to prune must be ascending and unique, got 3 before 3",
        ),
    ],
)
def test_slots_that_do_not_fit_are_refused_and_nothing_changes(drops, words):
    net = make(None)
    before = net.layers
    with refuses(ValueError, words):
        net.prune(drops)
    assert net.layers is before


def test_slots_must_be_integers():
    with refuses(TypeError, "Network: slots to prune must hold integers, got dtype float64"):
        make(None).prune([np.array([1.0]), None, None])


# ---------------------------------------------------------------- through BLAS


@every_dtype
@pytest.mark.parametrize("density", [0.3, 1.0])
def test_through_blas_everything_is_the_same_up_to_rounding(density, dtype):
    net, twin = make(density, dtype), make(density, dtype)
    net.on_blas_above(0.0)
    x, y = batch(dtype=dtype)
    # Sums of at most 21 products of numbers about 1, in another order.
    close = {"rtol": 0, "atol": float(100 * np.finfo(dtype).eps)}
    np.testing.assert_allclose(net.predict(x), twin.predict(x), **close)
    loss, grads = net.gradients(tiles.pack(x), y)
    ref_loss, refs = twin.gradients(tiles.pack(x), y)
    assert loss == pytest.approx(ref_loss, abs=close["atol"])
    for grad, ref in zip(grads, refs, strict=True):
        if grad is not None:
            assert grad.weight.dtype == dtype
            np.testing.assert_allclose(grad.weight, ref.weight, **close)
            np.testing.assert_allclose(grad.bias, ref.bias, **close)
            np.testing.assert_allclose(grad.block(0, 2), ref.block(0, 2), **close)


def test_blas_is_for_layers_above_the_density_only(monkeypatch):
    dense = []
    forward = Dense.forward
    monkeypatch.setattr(Dense, "forward", lambda la, x: dense.append(la.n_in) or forward(la, x))
    net = make(None)
    net.on_blas_above(0.5)
    net.prune([np.arange(21), np.arange(14), np.empty(0, np.int64)])  # 0.5, 16/30, 1
    net.predict(batch()[0])
    assert dense == [6, 5]
    net.on_blas_above(1.0)
    dense.clear()
    net.predict(batch()[0])
    assert dense == []


def test_what_is_left_out_is_left_out_of_blas_too():
    net, twin = make(1.0), make(1.0)
    net.on_blas_above(0.5)
    for one in (net, twin):
        one.sparse_layers[0].leave_out(np.array([0, 5, 9]))
    x = batch()[0]
    np.testing.assert_allclose(net.predict(x), twin.predict(x), atol=1e-14)


@pytest.mark.parametrize("density", [-0.1, float("nan")])
def test_a_density_below_zero_is_refused(density):
    with refuses(ValueError, f"Network: density must be at least 0, got {density}"):
        make().on_blas_above(density)
