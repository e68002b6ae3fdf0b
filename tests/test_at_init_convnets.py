"""Pruning at initialisation of convolutional networks: every layer of the models, both formats."""

import re
import sys

import numba
import numpy as np
import pytest

from sparse_ref import Dense, Network, at_init, csr, models
from sparse_ref.at_init import (
    grasp,
    grasp_scores,
    hessian_product,
    snip,
    snip_scores,
    synflow,
    synflow_scores,
    weight_gradients,
)
from sparse_ref.layers import (
    AdaptiveMaxPool2d,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    DenseConv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
    ReLU6,
    SReLU,
)
from sparse_ref.layers.base import state_of
from sparse_ref.pruning.weights import values_of
from sparse_ref.residual import Residual

MODULE = sys.modules["sparse_ref.at_init.snip"]  # the package gives the function of this name
IMAGE, CLASSES, BATCH = (2, 7, 6), 3, 11  # eleven examples leave room in the second tile of eight
statistics = pytest.mark.parametrize("batch_statistics", [False, True])


def refuses(kind, message):
    """The whole message, word for word."""
    return pytest.raises(kind, match="^" + re.escape(message) + "$")


def conv(rng, filters, image, kernel, *, sparse=True, bias=True, groups=1, dtype=float, **how):
    columns = image[0] // groups * np.prod(kernel)
    weight = rng.standard_normal((filters, columns)).astype(dtype) / np.sqrt(columns)
    own = 0.3 * rng.standard_normal(filters).astype(dtype) if bias else False
    how |= {"image": image, "kernel": kernel, "groups": groups}
    if not sparse:
        return DenseConv2d(weight, own, **how)
    pattern = rng.random(weight.shape) < 0.7
    return Conv2d(csr.from_dense(np.where(pattern, weight, 0), pattern), own, **how)


def norm(rng, channels):
    """Nothing is 0 or 1, as after a training."""
    gamma, beta = rng.standard_normal((2, channels))
    mean, variance = 0.3 * rng.standard_normal(channels), rng.uniform(0.5, 2, channels)
    return BatchNorm(gamma, beta, mean, variance)


def network(seed=941, between=None):
    """Strides, paddings, groups, a link with a projection and one without, means and maxima."""
    rng = np.random.default_rng(seed)
    first = conv(rng, 4, IMAGE, (3, 2), padding=1)  # 4 x 7 x 7
    body = [
        *(conv(rng, 6, (4, 7, 7), (3, 3), stride=2, padding=1, groups=2, bias=False), norm(rng, 6)),
        *(ReLU6(), conv(rng, 6, (6, 4, 4), (3, 3), padding=1, sparse=False)),
    ]
    projection = [conv(rng, 6, (4, 7, 7), (1, 1), stride=2), norm(rng, 6)]
    middle = [ReLU()] if between is None else between(rng)
    return Network(
        [
            *(first, norm(rng, 4), ReLU()),
            *(Residual(body, projection), *middle),
            *(Residual([MaxPool2d((6, 4, 4), 3, 1, 1), Dropout(0.5)]), AvgPool2d((6, 4, 4), 2, 2)),
            *(Flatten(), Dense(rng.standard_normal((CLASSES, 24)), rng.standard_normal(CLASSES))),
        ]
    )


def batch(seed=942, n=BATCH, image=IMAGE):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, *image)), rng.integers(0, CLASSES, n)


def directions(net, seed):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(n).astype(net.dtype) for n in net.connections]


def slope(net, v, f, step):
    """Of the arrays that `f` returns, along a direction in the weights."""
    start = [values_of(la.weight).copy() for la in net.weighted]

    def at(h):
        for la, w, d in zip(net.weighted, start, v, strict=True):
            values_of(la.weight)[:] = w + h * d
        return f()

    ref = [(a - b) / (2 * step) for a, b in zip(at(step), at(-step), strict=True)]
    at(0)
    return ref


# SNIP ---------------------------------------------------------------------------------------------


def test_a_kernels_connection_adds_up_its_positions():
    # One filter (1, -2) on a row of three: outputs 1 - 4 = -3 and 2 - 6 = -4, and their sum is
    # the logit of class 0; class 1 has 0. p_0 = e^-7 / (1 + e^-7) = 0.000911; label 0:
    # dL/dz_0 = p_0 - 1. dL/dw = (1 + 2, 2 + 3) times it; w dL/dw is (3, -10) times it.
    layer = DenseConv2d(np.array([[1.0, -2]]), image=(1, 1, 3), kernel=(1, 2))
    net = Network([layer, Flatten(), Dense(np.array([[1.0, 1], [0, 0]]))])
    x, y = np.array([[[[1.0, 2, 3]]]]), np.array([0])
    products = at_init.mask_gradients(net, x, y)
    p = np.exp(-7) / (1 + np.exp(-7))
    np.testing.assert_allclose(products[0], np.array([3, -10]) * (p - 1), rtol=1e-14)
    # Outputs -3 and -4 into the last layer's first unit; the other's weights are 0.
    np.testing.assert_allclose(products[1], np.array([-3, -4, 0, 0]) * (p - 1), rtol=1e-14)


def test_sensitivities_are_slopes_of_the_loss_and_both_formats_agree():
    net, (x, y) = network(), batch()
    loss = lambda: [np.array(net.gradients(net.packed(x.reshape(BATCH, -1)), y)[0])]  # noqa: E731
    scores, products = snip_scores(net, x, y), at_init.mask_gradients(net, x, y)
    total = sum(np.abs(part).sum() for part in products)
    for k, layer in enumerate(net.weighted):
        np.testing.assert_allclose(scores[k], np.abs(products[k]) / total, rtol=1e-12)
        for slot in (0, len(products[k]) // 2):
            v = [np.zeros(n) for n in net.connections]
            v[k][slot] = values_of(layer.weight)[slot]
            (ref,) = slope(net, v, loss, 1e-6)
            assert products[k][slot] == pytest.approx(float(ref), abs=1e-8)


@pytest.mark.parametrize("convention", list(snip.conventions))
@pytest.mark.parametrize("rounds", [1, 3])
def test_snip_prunes_to_the_count_whatever_the_convention(convention, rounds):
    net, (x, y) = network(), batch()
    before = [values_of(la.weight).copy() for la in net.weighted]
    state = [a.copy() for la in net.layers for a in state_of(la).values()]
    drops = snip(net, x, y, 0.4, convention=convention, rounds=rounds)
    lost, n = sum(map(len, drops)), sum(net.connections)
    # Biases compete in the authors' code: 4 + 6 + 6 of convolutions that have them, 3 at the end.
    assert n - lost == round(0.4 * n) if convention == "paper" else abs(n - lost - 0.4 * n) < 21
    for old, layer in zip(before, net.weighted, strict=True):
        assert np.array_equal(old, values_of(layer.weight))
    after = [a for la in net.layers for a in state_of(la).values()]
    assert all(map(np.array_equal, state, after))
    net.prune(drops)
    assert sum(net.connections) == n - lost
    assert all(not isinstance(layer, DenseConv2d) for layer in net.weighted)


def test_what_was_removed_has_the_gradient_of_its_mask_row_block_by_row_block(monkeypatch):
    monkeypatch.setattr(MODULE, "BLOCK", 100)  # a few filters at a time
    net, (x, y) = network(), batch()
    drops = snip(net, x, y, 0.4, rounds=2, freeze_pruned=False)
    monkeypatch.setattr(MODULE, "BLOCK", 1 << 20)
    for one, two in zip(drops, snip(net, x, y, 0.4, rounds=2, freeze_pruned=False), strict=True):
        assert np.array_equal(one, two)


def test_a_convolution_without_bias_has_no_bias_that_competes():
    net, (x, y) = network(), batch()
    scores = snip_scores(net, x, y, include_bias=True)
    assert [len(s) for s in scores[len(net.weighted) :]] == [4, 0, 6, 6, 3]


# SynFlow ------------------------------------------------------------------------------------------


def test_a_flow_by_hand():
    # |W| = (1, 2) makes 3 of the ones at each of two positions; R = 3 + 3 by weights 1, -1.
    layer = DenseConv2d(np.array([[1.0, -2]]), image=(1, 1, 3), kernel=(1, 2))
    net = Network([layer, ReLU(), Flatten(), Dense(np.array([[1.0, -1]]))])
    one, two = synflow_scores(net)
    assert one.tolist() == [2, 4]
    assert two.tolist() == [3, 3]


def linearised(net):
    """The network of magnitudes: what its outputs' sum is of ones."""
    layers = []
    for layer in net.layers:
        if isinstance(layer, BatchNorm):
            scale = layer.gamma / np.sqrt(layer.running_var + layer.epsilon)
            beta = np.abs(layer.beta - scale * layer.running_mean)
            rest = np.zeros_like(beta), np.ones_like(beta) - layer.epsilon
            layer = BatchNorm(np.abs(scale), beta, *rest, epsilon=layer.epsilon)
        elif isinstance(layer, ReLU6):
            layer = ReLU()
        layers.append(layer)
    linear = network(between=lambda rng: [ReLU()]).with_layers(layers)
    for layer in linear.weighted:
        values_of(layer.weight)[:] = np.abs(values_of(layer.weight))
        layer.bias[:] = np.abs(layer.bias)
    return linear


def test_scores_are_slopes_of_the_sum_of_outputs():
    net = network()
    scores = synflow_scores(net)
    linear, ones = linearised(network()), np.ones((1, net.n_in))
    outputs = lambda: [linear.predict(ones).sum()]  # noqa: E731
    for k, layer in enumerate(linear.weighted):
        weights = values_of(layer.weight).copy()
        for slot in range(0, len(weights), 7):
            v = [np.zeros(n) for n in net.connections]
            v[k][slot] = weights[slot]
            (ref,) = slope(linear, v, outputs, 1e-5)
            # R is some hundreds, its rounding over the step 1e-8.
            assert scores[k][slot] == pytest.approx(float(ref), rel=1e-7, abs=1e-6)


def chain(seed=951, scales=(1.0, 1.0, 1.0), **how):
    """No biases, no links, no normalisation: all that enters leaves."""
    rng = np.random.default_rng(seed)
    layers = [
        *(
            conv(rng, 4, IMAGE, (3, 3), padding=1, bias=False, **how),
            ReLU(),
            MaxPool2d((4, 7, 6), 2),
        ),
        *(conv(rng, 5, (4, 3, 3), (2, 2), bias=False, **how), ReLU6(), AvgPool2d((5, 2, 2), 2)),
        *(Flatten(), Dense(rng.standard_normal((CLASSES, 5)).astype(how.get("dtype", float)))),
    ]
    net = Network(layers)
    for layer, scale in zip(net.weighted, scales, strict=True):
        values_of(layer.weight)[:] *= scale
    return net


@pytest.mark.parametrize("sparse", [True, False])
def test_each_layer_passes_the_whole_flow(sparse):
    net = chain(sparse=sparse)
    totals = [scores.sum() for scores in synflow_scores(net)]
    assert totals == pytest.approx([totals[0]] * 3, rel=1e-12)


@pytest.mark.parametrize("power", [600, -600])
def test_a_flow_that_float64_cannot_hold_prunes_as_any_other(power):
    ref = synflow(chain(), 0.2, rounds=5)
    # A layer's scale does not count; three of these multiply to 2^1800.
    comp = synflow(chain(scales=(2.0**power,) * 3), 0.2, rounds=5)
    assert all(map(np.array_equal, ref, comp))


@pytest.mark.parametrize("shift", [700, -700])
def test_scales_of_two_branches_meet(shift):
    # A branch whose flow is 2^1400 times the other's: the smaller one is nothing beside it.
    rng = np.random.default_rng(952)
    image, scale = (2, 4, 4), 2.0**shift
    body = [conv(rng, 2, image, (3, 3), padding=1, bias=False, sparse=False) for _ in range(2)]
    for layer in body:
        layer.weight[:] *= scale
    last = Dense(rng.standard_normal((CLASSES, 32)))
    net = Network([Residual(body), Flatten(), last])
    drops = synflow(net, 0.5, rounds=1)
    lost = [len(drop) for drop in drops]
    if shift > 0:
        assert sum(lost) == sum(net.connections) // 2
    else:
        assert lost == [36, 36, sum(net.connections) // 2 - 72]


@pytest.mark.parametrize("convention", list(synflow.conventions))
def test_synflow_prunes_sparse_dense_and_linked_layers(convention):
    net = network()
    n = sum(net.connections)
    for freeze in (True, False):
        drops = synflow(net, 0.1, rounds=4, convention=convention, freeze_pruned=freeze)
        assert n - sum(map(len, drops)) == int(0.1 * n) + (convention != "paper")
    net.prune(drops)
    assert min(net.connections) > 0


def test_deep_networks_keep_what_all_flow_passes():
    rng = np.random.default_rng(953)
    net = models.resnet18(width=1 / 16, image=(3, 8, 8), density=0.5, rng=rng)
    n = sum(net.connections)
    net.prune(synflow(net, 0.02, rounds=10))
    # A block may be left to its link alone.
    assert sum(net.connections) == int(0.02 * n)
    assert min(net.connections[0::20]) > 0
    net = models.vgg11(width=1 / 16, classes=3, density=0.5, rng=rng)
    net.prune(synflow(net, 0.01, rounds=10))
    assert min(net.connections) > 0


# GraSP --------------------------------------------------------------------------------------------

BETWEEN = {
    "relu": None,
    "srelu": lambda rng: [SReLU(*(rng.uniform(a, a + 1, 6) for a in (-1, 0, 0, 0)))],
    "adaptive": lambda rng: [AdaptiveMaxPool2d((6, 4, 4), 4)],
}


@statistics
@pytest.mark.parametrize("between", list(BETWEEN))
@pytest.mark.parametrize("n", [BATCH, 21])  # two tiles of eight; three, made wider for the last
def test_the_product_is_the_slope_of_the_gradient(between, n, batch_statistics):
    net, (x, y) = network(between=BETWEEN[between]), batch(n=n)
    v = directions(net, 943)
    ref = slope(net, v, lambda: weight_gradients(net, x, y, 2.0, batch_statistics), 1e-6)
    comp = hessian_product(net, x, y, v, 2.0, batch_statistics)
    for one, two in zip(ref, comp, strict=True):
        # Rounding of 1e-15 over the step, and the square of the step; no input is near a kink.
        np.testing.assert_allclose(two, one, rtol=0, atol=3e-8)


@statistics
def test_the_hessian_is_symmetric_and_linear(batch_statistics):
    net, (x, y) = network(), batch()
    u, v = directions(net, 944), directions(net, 945)
    hu, hv = (hessian_product(net, x, y, d, 1.0, batch_statistics) for d in (u, v))
    dots = [sum(a @ b for a, b in zip(*pair, strict=True)) for pair in ((u, hv), (v, hu))]
    assert dots[0] == pytest.approx(dots[1], rel=1e-11)
    both = [2 * a - b for a, b in zip(u, v, strict=True)]
    comp = hessian_product(net, x, y, both, 1.0, batch_statistics)
    for a, b, c in zip(hu, hv, comp, strict=True):
        np.testing.assert_allclose(c, 2 * a - b, rtol=0, atol=1e-11)


def test_gradients_are_those_of_training_and_nothing_in_the_network_moves():
    net, (x, y) = network(between=lambda rng: []), batch()
    state = [a.copy() for la in net.layers for a in state_of(la).values()]
    comp = weight_gradients(net, x, y, batch_statistics=True)
    hessian_product(net, x, y, comp, batch_statistics=True)
    assert all(map(np.array_equal, state, [a for la in net.layers for a in state_of(la).values()]))
    layers = [Dropout(0.0) if isinstance(la, Dropout) else la for la in net.layers]
    same = net.with_layers(layers)
    rngs = np.random.default_rng(946).spawn(len(layers))
    _, grads = same.gradients(same.packed(x.reshape(BATCH, -1)), y, rngs)
    ref = [grad.weight.reshape(-1) for grad in grads if hasattr(grad, "weight")]
    for one, two in zip(ref, comp, strict=True):
        assert np.array_equal(one, two)


@statistics
def test_the_product_is_pytorchs_double_backward(batch_statistics):
    torch = pytest.importorskip("torch")
    net, (x, y) = network(), batch()
    g = weight_gradients(net, x, y, 3.0, batch_statistics)
    products = hessian_product(net, x, y, g, 3.0, batch_statistics)
    weights = [torch.tensor(full(la), requires_grad=True) for la in net.weighted]
    outputs = in_pytorch(torch, net, weights, torch.tensor(x), batch_statistics)
    loss = torch.nn.functional.cross_entropy(outputs / 3.0, torch.tensor(y))
    of_g = torch.autograd.grad(loss, weights, create_graph=True)
    along = sum(
        (a * torch.tensor(full(la, v))).sum()
        for a, la, v in zip(of_g, net.weighted, g, strict=True)
    )
    ref = torch.autograd.grad(along, weights)
    for layer, one, two, three, four in zip(net.weighted, of_g, g, ref, products, strict=True):
        slots = csr.flat(layer.weight) if hasattr(layer.weight, "indices") else slice(None)
        np.testing.assert_allclose(two, one.detach().numpy().reshape(-1)[slots], atol=1e-13)
        np.testing.assert_allclose(four, three.numpy().reshape(-1)[slots], atol=1e-13)


def full(layer, values=None):
    """As a framework shapes it, with zeros where nothing is connected."""
    weight, values = layer.weight, values_of(layer.weight) if values is None else values
    if hasattr(weight, "indices"):
        weight = csr.to_dense(csr.from_positions(weight.shape, csr.flat(weight), values))
    else:
        weight = values.reshape(weight.shape)
    if isinstance(layer, Dense):
        return weight
    return weight.reshape(len(weight), -1, *layer.settings["kernel"])


def in_pytorch(torch, net, weights, x, training):
    """`network`, written once more."""
    f, bare = torch.nn.functional, [la.bias for la in net.weighted]
    norms = [layer for layer in net.layers if isinstance(layer, BatchNorm)]

    def convolved(k, x, **how):
        return f.conv2d(x, weights[k], torch.tensor(bare[k]), **how)

    def normalised(k, x):
        of = (torch.tensor(a.copy()) for a in state_of(norms[k]).values())
        scales = torch.tensor(norms[k].gamma), torch.tensor(norms[k].beta)
        return f.batch_norm(x, *of, *scales, training, 0.1, norms[k].epsilon)

    x = f.relu(normalised(0, convolved(0, x, padding=1)))
    body = f.relu6(normalised(1, convolved(1, x, stride=2, padding=1, groups=2)))
    x = convolved(2, body, padding=1) + normalised(2, convolved(3, x, stride=2))
    x = f.relu(x)
    x = f.avg_pool2d(f.max_pool2d(x, 3, 1, 1) + x, 2, 2)
    return f.linear(x.flatten(1), weights[4], torch.tensor(bare[4]))


def test_scores_by_hand_of_the_product():
    net, (x, y) = network(), batch()
    g = weight_gradients(net, x, y, 200.0, batch_statistics=True)
    hg = hessian_product(net, x, y, g, 200.0, batch_statistics=True)
    ref = [-values_of(la.weight) * h for la, h in zip(net.weighted, hg, strict=True)]
    total = abs(sum(s.sum() for s in ref)) + 1e-10
    for one, two in zip(ref, grasp_scores(net, x, y), strict=True):
        np.testing.assert_allclose(two, one / total, rtol=1e-9)


@pytest.mark.parametrize("convention", list(grasp.conventions))
def test_grasp_prunes_to_the_count_whatever_the_convention(convention):
    net, (x, y) = network(), batch()
    rng = np.random.default_rng(947)
    drops = grasp(net, x, y, 0.3, convention=convention, rng=rng)
    n = sum(net.connections)
    assert abs(n - sum(map(len, drops)) - 0.3 * n) <= 2  # one too many, and rounding
    net.prune(drops)


def test_only_linear_layers_are_drawn_anew_for_scoring():
    net, (x, y) = network(), batch()
    rng = np.random.default_rng(948)
    before = [values_of(la.weight).copy() for la in net.weighted]
    comp = grasp_scores(net, x, y, fc_reinit_for_scoring=True, rng=rng)
    *_, stream = np.random.default_rng(948).spawn(5)
    last = net.weighted[-1]
    last.weight[:] = (np.sqrt(2 / 27) * stream.standard_normal(72)).reshape(3, 24)
    assert all(map(np.array_equal, grasp_scores(net, x, y), comp))
    for old, layer in zip(before[:-1], net.weighted, strict=False):
        assert np.array_equal(old, values_of(layer.weight))


def test_float32_is_near():
    rng = np.random.default_rng(949)
    options = {"image": (1, 12, 12), "classes": CLASSES, "density": 0.5}
    double = models.lenet_5("A", rng=rng, dtype=np.float64, **options)
    single = models.lenet_5("A", rng=np.random.default_rng(949), dtype=np.float32, **options)
    x, y = batch(image=(1, 12, 12), n=40)
    for name, score in (("snip", snip_scores), ("grasp", grasp_scores)):
        ref, comp = score(double, x, y), score(single, x.astype(np.float32), y)
        size = max(np.abs(part).max() for part in ref)
        for one, two in zip(ref, comp, strict=True):
            assert two.dtype == np.float32
            np.testing.assert_allclose(two, one, atol=(1e-5 if name == "snip" else 1e-3) * size)


POOLS = [
    MaxPool2d((2, 7, 6), 3, 2, 1),
    MaxPool2d((2, 7, 6), (2, 3), ceil=True),
    MaxPool2d((2, 7, 6), 2, 3),
    AdaptiveMaxPool2d((2, 7, 6), (3, 5)),
]


@pytest.mark.parametrize("pool", POOLS, ids=repr)
def test_what_stands_at_maxima_is_what_their_pullback_reaches(pool):
    rng = np.random.default_rng(957)
    x, v = np.round(2 * rng.standard_normal((2, 84, 8))), rng.standard_normal((2, 84, 8))  # ties
    y, pullback = pool.forward(x)
    delta = rng.standard_normal(y.shape)
    comp = pool.at_maxima(x, v)
    assert np.sum(comp * delta) == pytest.approx(np.sum(v * pullback(delta)[0]), rel=1e-12)
    assert np.array_equal(pool.at_maxima(x, x), y)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="no second thread")
def test_one_and_two_threads_give_the_same_bytes():
    rng = np.random.default_rng(958)
    net = models.resnet18(width=1 / 8, image=(3, 12, 12), density=0.3, rng=rng)
    x, y = rng.standard_normal((40, 3, 12, 12)).astype(np.float32), rng.integers(0, 10, 40)
    before, found = numba.get_num_threads(), []
    for threads in (1, 2):
        numba.set_num_threads(threads)
        scores = *snip_scores(net, x, y), *grasp_scores(net, x, y), *synflow_scores(net)
        found.append([score.tobytes() for score in scores])
    numba.set_num_threads(before)
    assert found[0] == found[1]


# Refusals -----------------------------------------------------------------------------------------


def with_response_norm():
    rng = np.random.default_rng(954)
    layers = [conv(rng, 3, (1, 4, 4), (3, 3)), LocalResponseNorm((3, 2, 2)), Flatten()]
    return Network([*layers, Dense(rng.standard_normal((CLASSES, 12)))])


def test_local_response_normalisation_is_refused_by_what_cannot_deal_with_it():
    net, (x, y) = with_response_norm(), batch(image=(1, 4, 4))
    it = repr(net.layers[1])
    rule = f"layers between weights must let positive numbers pass, got {it}"
    with refuses(TypeError, f"synflow: {rule}"):
        synflow(net, 0.5)
    with refuses(TypeError, f"grasp: layers must be piecewise linear, got {it}"):
        grasp(net, x, y, 0.5)
    assert sum(map(len, snip(net, x, y, 0.5))) == sum(net.connections) // 2


def test_a_batch_of_one_number_has_no_statistics():
    rng = np.random.default_rng(955)
    body = [conv(rng, 3, (1, 3, 3), (3, 3)), norm(rng, 3), GlobalAvgPool2d((3, 1, 1)), Flatten()]
    net, (x, y) = Network([*body, Dense(np.eye(3))]), batch(n=1, image=(1, 3, 3))
    rule = "BatchNorm: statistics of a batch need at least 2 numbers in a channel, got 1 "
    with refuses(ValueError, rule + "(examples times positions)"):
        grasp(net, x, y, 0.5)
    assert len(grasp(net, x, y, 0.5, batch_statistics=False)) == 2


# Magnitude, random, shuffled ----------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["local", "global"])
def test_kernels_are_slots_for_magnitude_and_chance(scope):
    net, rng = network(), np.random.default_rng(956)
    n, drops = sum(net.connections), at_init.magnitude(net, 0.5, scope=scope)
    assert abs(n - 2 * sum(map(len, drops))) <= 5
    if scope == "local":
        for layer, drop in zip(net.weighted, drops, strict=True):
            sizes = np.abs(values_of(layer.weight))
            assert sizes[drop].max() < np.delete(sizes, drop).min()
    mixed = at_init.shuffled(net, drops, rng, scope)
    assert sum(map(len, mixed)) == sum(map(len, drops))
    for mode in ("exact_per_layer", "bernoulli", "global_exact"):
        assert len(at_init.random(net, 0.5, rng, mode)) == 5
    net.prune(mixed)
    assert net.predict(batch()[0]).shape == (BATCH, CLASSES)
