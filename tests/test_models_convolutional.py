"""The papers' convolutional networks: counts, shapes, what stays dense, memory, gradients."""

import math
import re
import time
import tracemalloc

import numba
import numpy as np
import pytest

from sparse_ref import allocation, csr, fit, methods, optim
from sparse_ref.layers import (
    BatchNorm,
    Conv2d,
    Dense,
    DenseConv2d,
    Dropout,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
    ReLU6,
)
from sparse_ref.models import MODELS, lenet_5, mobilenet_v2, resnet18, vgg16, vgg_cifar
from sparse_ref.models.rows import divisible, scaled

MEGABYTE = 1 << 20


def refuses(message, kind=ValueError):
    return pytest.raises(kind, match="^" + re.escape(message) + "$")


def make(name, density=1e-4, seed=2301, **options):
    return MODELS[name](density=density, rng=np.random.default_rng(seed), **options)


def weights(net):
    """Positions, connected or not."""
    return sum(math.prod(layer.weight.shape) for layer in net.weighted)


def parameters(net):
    """As if every position were connected."""
    others = (p.value.size for p in net.parameters() if p.name != "weight")
    return weights(net) + sum(others)


IMAGENET = {"image": (3, 224, 224), "classes": 1000}


# Counts (specs/models.md, sections 2 to 5) --------------------------------------------------------


@pytest.mark.parametrize(
    ("variant", "layers", "total"),
    [
        ("A", [54, 864, 48_000, 10_080, 840], 60_074),
        ("B", [150, 2400, 48_000, 10_080, 840], 61_706),
        ("C", [500, 25_000, 400_000, 5_000], 431_080),
        ("D", [500, 25_000, 940_800, 3_840], 970_604),
        ("D'", [1_500, 25_000, 691_200, 3_840], 722_004),
    ],
)
def test_lenet_5_has_the_parameters_of_its_variant(variant, layers, total):
    net = make("lenet_5", density=None, variant=variant)
    assert list(net.connections) == layers
    assert parameters(net) == total
    assert sum(p.value.size for p in net.parameters()) == total


@pytest.mark.parametrize(
    ("name", "options", "total"),
    [
        ("alexnet", {}, 61_100_840),
        ("alexnet", {"classes": 10}, 57_044_810),
        ("vgg11", {}, 132_863_336),
        ("vgg11", {"classes": 10}, 128_807_306),
        ("vgg16", {}, 138_357_544),
        ("vgg16", {"batch_norm": True}, 138_365_992),
        ("vgg16_tiny_imagenet", {}, 58_794_504),
        ("vgg16_tiny_imagenet", {"batch_norm": True}, 58_799_880),
        ("vgg_cifar", {"depth": 11, "batch_norm": False}, 9_225_610),
        ("vgg_cifar", {"depth": 11}, 9_231_114),
        ("vgg_cifar", {"batch_norm": False}, 14_719_818),
        ("vgg_cifar", {}, 14_728_266),
        # 14 728 266 and 512 * 512 + 512 of one more linear layer, 1024 of its norm
        ("vgg_like", {}, 14_728_266 + 263_680),
        ("vgg_like", {"variant": "D"}, 14_728_266 + 2 * 263_680),
        ("resnet18", {}, 11_173_962),
        ("resnet18", {"classes": 100}, 11_220_132),
        ("resnet18", {"classes": 200}, 11_271_432),
        ("resnet18", {"stem": "imagenet"} | IMAGENET, 11_689_512),
        ("snip_alexnet", {}, 5_077_066),
        ("snip_alexnet", {"variant": "b"}, 8_501_322),
        ("mobilenet_v2", {}, 2_236_682),
        ("mobilenet_v2", {"classes": 100}, 2_351_972),
        ("mobilenet_v2", {"classes": 200}, 2_480_072),
        ("mobilenet_v2", {"strides": "imagenet"} | IMAGENET, 3_504_872),
    ],
)
def test_parameters(name, options, total):
    assert parameters(make(name, **options)) == total


@pytest.mark.parametrize(
    ("name", "options", "total"),
    [
        ("lenet_5", {}, 60_074),
        ("mobilenet_v2", {}, 2_236_682),
        ("vgg_cifar", {"depth": 11}, 9_231_114),
        ("resnet18", {}, 11_173_962),
        ("liu_2020_fashion_mnist", {}, 1_854_170 + 9_408),
        ("liu_2020_cifar10", {}, 4_084_010 + 8_000),
    ],
)
def test_parameters_of_the_dense_network(name, options, total):
    net = make(name, density=None, **options)
    assert sum(p.value.size for p in net.parameters()) == total
    assert {type(layer) for layer in net.weighted} <= {Dense, DenseConv2d}


def test_vgg16_has_a_layer_of_over_102_million():
    shapes = [layer.weight.shape for layer in make("vgg16").weighted]
    assert shapes[13] == (4096, 25_088)
    assert math.prod(shapes[13]) == 102_760_448


def test_the_adapted_vgg16_numbers_its_large_layers_10_and_11():
    net = make("vgg16_tiny_imagenet")
    assert weights(net) == 58_783_424
    assert [net.weighted[k].weight.shape for k in (10, 11)] == [(4096, 8192), (4096, 4096)]


def test_vgg_c_of_snip_has_2048_flat_inputs():
    net = make("vgg_like", variant="C")
    assert [layer.weight.shape for layer in net.weighted[13:]] == [
        (512, 2048),
        (512, 512),
        (10, 512),
    ]


def test_mobilenet_of_width_1_8_as_the_spec_counts_it():
    found = [parameters(make("mobilenet_v2", classes=n, width=1.8)) for n in (100, 200)]
    assert [round(n / 1e6, 2) for n in found] == [7.29, 7.52]


def multiplications(net):
    """Multiply-adds for one example, every position connected."""
    return sum(
        math.prod(layer.weight.shape) * math.prod(getattr(layer, "image_out", (1,))[1:])
        for layer in net.weighted
    )


def test_mobilenet_for_small_images_multiplies_as_often_as_the_spec_says():
    assert round(multiplications(make("mobilenet_v2", classes=100)) / 1e6, 1) == 88.1


def test_liu2020_keeps_the_output_layer_dense():
    for name in ("liu_2020_fashion_mnist", "liu_2020_cifar10"):
        net = make(name, density=0.01)
        assert [type(layer) for layer in net.weighted[:-1]] == [Linear] * (len(net.weighted) - 1)
        assert type(net.weighted[-1]) is Dense
        assert len(make(name, dense=()).sparse_layers) == len(net.weighted)


def test_every_model_is_listed_by_its_name():
    assert {model.__name__ for model in MODELS.values()} == set(MODELS)


# Width --------------------------------------------------------------------------------------------


def test_widths_round_to_the_nearest():
    assert [scaled(n, 0.25) for n in (64, 6, 2, 1)] == [16, 2, 1, 1]
    assert [divisible(n) for n in (32, 24 * 1.8, 11, 12, 3)] == [32, 40, 16, 16, 8]


def test_a_narrow_resnet_has_a_quarter_of_the_channels():
    shapes = [layer.weight.shape for layer in make("resnet18", width=0.25).weighted]
    assert shapes[0] == (16, 27)
    assert {rows for rows, _ in shapes} == {16, 32, 64, 128, 10}


def test_a_wide_lenet_of_alford2018_has_more_filters_in_its_second_convolution():
    net = make("lenet_5", variant="D", width=3)
    assert [layer.weight.shape for layer in net.weighted] == [
        (20, 25),
        (150, 500),
        (384, 3 * 2450),
        (10, 384),
    ]


# What they are made of ----------------------------------------------------------------------------


def test_lenet_of_masks2020_layer_by_layer():
    net = make("lenet_5")
    assert [layer.shape_after for layer in net.layers]
    shapes, shape = [], net.shape
    for layer in net.layers:
        shape = layer.shape_after(shape)
        shapes.append(shape)
    assert shapes == [
        *[(6, 26, 26), (6, 26, 26), (6, 13, 13)],
        *[(16, 11, 11), (16, 11, 11), (16, 5, 5), (400,)],
        *[(120,), (120,), (84,), (84,), (10,)],
    ]


def test_response_norms_of_alford2018():
    for variant, n, places in (("D", 2, [3, 6]), ("D'", 1, [3])):
        net = make("lenet_5", variant=variant)
        at = [k for k, la in enumerate(net.layers) if isinstance(la, LocalResponseNorm)]
        assert (len(at), at) == (n, places)
        plain = make("lenet_5", variant=variant, response_norm=False)
        assert not any(isinstance(layer, LocalResponseNorm) for layer in plain.layers)
    pools = [la for la in make("lenet_5", variant="D'").layers if isinstance(la, MaxPool2d)]
    assert [pool.image_out for pool in pools] == [(20, 12, 12), (50, 6, 6)]


def test_a_block_of_resnet_is_a_sum():
    text = repr(make("resnet18", width=1 / 16))
    assert text.count("Residual(") == 8
    assert text.count(") + (") == 3
    assert not any("bias" in la.parameters() for la in make("resnet18").weighted[:-1])


def test_mobilenet_has_ten_links_and_relu6():
    net = make("mobilenet_v2")
    assert repr(net).count("Residual(") == 10
    assert sum(isinstance(layer, ReLU6) for layer in net.layers) == 35
    assert not any(isinstance(layer, ReLU) for layer in net.layers)
    assert sum(isinstance(layer, Dropout) for layer in net.layers) == 1
    assert not any(isinstance(la, Dropout) for la in make("mobilenet_v2", dropout_rate=0).layers)


@pytest.mark.parametrize(("depth", "convolutions"), [(11, 8), (13, 10), (16, 13), (19, 16)])
def test_vgg_of_a_depth(depth, convolutions):
    net = make("vgg_cifar", depth=depth)
    assert sum(isinstance(layer, Conv2d) for layer in net.layers) == convolutions
    assert sum(isinstance(layer, BatchNorm) for layer in net.layers) == convolutions


# Connections --------------------------------------------------------------------------------------


def test_erk_counts_all_dimensions_of_kernels():
    net = make("lenet_5", density=0.1)
    shapes = [(6, 1, 3, 3), (16, 6, 3, 3), (120, 400), (84, 120), (10, 84)]
    assert net.connections == tuple(allocation.erdos_renyi_kernel(shapes, 0.1))
    uniform = make("lenet_5", density=0.1, distribution="uniform")
    assert uniform.connections == tuple(allocation.uniform(shapes, 0.1))
    er = make("lenet_5", density=0.1, distribution="er")
    assert er.connections == tuple(allocation.erdos_renyi(shapes, 0.1))


@pytest.mark.parametrize("density", [0.03, 0.2])
@pytest.mark.parametrize("name", ["resnet18", "vgg_cifar", "snip_alexnet"])
def test_a_density_is_met_to_the_connection(name, density):
    net = make(name, density=density, width=0.25)
    assert sum(net.connections) == round(density * weights(net))


def test_mobilenet_keeps_the_first_and_the_depthwise_convolutions_dense():
    net = make("mobilenet_v2", density=0.1)
    dense = [k for k, layer in enumerate(net.weighted) if isinstance(layer, DenseConv2d)]
    assert len(dense) == 18
    assert dense[0] == 0
    assert all(net.weighted[k].geometry.groups == net.weighted[k].image[0] for k in dense[1:])
    budget = [la.weight for la in net.sparse_layers]
    assert sum(w.nnz for w in budget) == round(0.1 * sum(math.prod(w.shape) for w in budget))
    assert len(make("mobilenet_v2", dense=()).sparse_layers) == len(net.weighted) == 53


def test_alford2018_makes_the_two_layers_between_sparse():
    for variant in ("D", "D'"):
        kinds = [type(la) for la in make("lenet_5", variant=variant, density=0.1).weighted]
        assert kinds == [DenseConv2d, Conv2d, Linear, Dense]
    every = make("lenet_5", variant="D", density=0.1, dense=())
    assert [type(layer) for layer in every.weighted] == [Conv2d, Conv2d, Linear, Linear]


def test_a_structure_of_another_network_is_taken_over():
    first = make("resnet18", density=0.05, width=1 / 8)
    second = MODELS["resnet18"](
        structure=first, width=1 / 8, rng=np.random.default_rng(2302), initialisation="torch"
    )
    for one, other in zip(first.sparse_layers, second.sparse_layers, strict=True):
        np.testing.assert_array_equal(csr.flat(one.weight), csr.flat(other.weight))
    assert (first.weighted[3].weight.data != second.weighted[3].weight.data).all()


def test_other_classes_leave_the_draws_of_the_other_layers():
    counts = [16, 90, 100, 90, 80]
    first = make("lenet_5", density=None, distribution=counts, classes=10)
    other = make("lenet_5", density=None, distribution=counts, classes=3)
    for one, two in zip(first.weighted[:-1], other.weighted[:-1], strict=True):
        np.testing.assert_array_equal(one.weight.data, two.weight.data)
        np.testing.assert_array_equal(csr.flat(one.weight), csr.flat(two.weight))


@pytest.mark.parametrize("draw", ["bernoulli", "with_replacement"])
def test_other_draws(draw):
    net = make("lenet_5", density=0.3, draw=draw)
    assert 0 < net.density < 0.4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("density", [None, 0.2])
def test_every_parameter_has_the_dtype(dtype, density):
    net = make("mobilenet_v2", density=density, dtype=dtype, width=0.25, initialisation="torch")
    assert {p.value.dtype for p in net.parameters()} == {np.dtype(dtype)}


def test_conv_weights_start_by_the_law_of_their_kernel():
    net = make("vgg_cifar", density=None, width=0.5)
    for layer in net.weighted[:-1]:
        bound = math.sqrt(6 / layer.weight.shape[1])
        assert 0.95 * bound < np.abs(layer.weight).max() <= bound * (1 + 1e-6)


def test_vgg16_of_138_million_is_built_in_seconds_and_little_memory():
    make("vgg16", density=0.001)  # compiled
    tracemalloc.start()
    began = time.perf_counter()
    try:
        net = vgg16(density=0.01, rng=np.random.default_rng(2303))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # 1 383 441 connections: 24 MB of network; a dense weight of the largest layer alone is 411 MB.
    assert sum(net.connections) == round(0.01 * 138_344_128)
    assert peak < 150 * MEGABYTE
    assert time.perf_counter() - began < 30  # 0.2 s measured; tracing and other work take more


# They compute -------------------------------------------------------------------------------------


def convolved(x, weight, bias, kernel, stride=1, padding=0):
    """(n, C, H, W) by windows, in NumPy's words."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), (2, 3))
    windows = windows[:, :, ::stride, ::stride]
    weight = weight.reshape(len(weight), -1, kernel, kernel)
    return np.einsum("nchwyx,fcyx->nfhw", windows, weight) + bias[:, None, None]


def pooled(x):
    x = x[:, :, : x.shape[2] // 2 * 2, : x.shape[3] // 2 * 2]
    return x.reshape(*x.shape[:2], x.shape[2] // 2, 2, x.shape[3] // 2, 2).max(axis=(3, 5))


def test_lenet_is_what_numpy_computes():
    net = make("lenet_5", density=0.3, dtype=np.float64, initialisation="torch")
    x = np.random.default_rng(2304).standard_normal((21, 1, 28, 28))
    first, second, *full = net.weighted
    ref = pooled(np.maximum(convolved(x, csr.to_dense(first.weight), first.bias, 3), 0))
    ref = pooled(np.maximum(convolved(ref, csr.to_dense(second.weight), second.bias, 3), 0))
    ref = ref.reshape(21, 400)
    for layer in full:
        ref = ref @ csr.to_dense(layer.weight).T + layer.bias
        ref = ref if layer is full[-1] else np.maximum(ref, 0)
    np.testing.assert_allclose(net.predict(x), ref, rtol=1e-11, atol=1e-12)


def normed(x, layer):
    scale = layer.gamma / np.sqrt(layer.running_var + layer.epsilon)
    return (x - layer.running_mean[:, None, None]) * scale[:, None, None] + layer.beta[
        :, None, None
    ]


def test_resnet_is_what_numpy_computes():
    net = make("resnet18", density=0.5, dtype=np.float64, width=1 / 16, image=(3, 9, 7))
    rng = np.random.default_rng(2305)
    for layer in net.layers:
        for name, array in layer.state().items() if isinstance(layer, BatchNorm) else ():
            array[:] = rng.random(len(array)) + (name == "running_var")
    x = rng.standard_normal((5, 3, 9, 7))
    left = iter([la for la in net.layers if isinstance(la, Conv2d | BatchNorm | Linear)])

    def block(x, stride=1, kernel=3):
        conv, norm = next(left), next(left)
        w, b = csr.to_dense(conv.weight), np.zeros(len(conv.bias))
        return normed(convolved(x, w, b, kernel, stride, kernel // 2), norm)

    ref = np.maximum(block(x), 0)
    for stage in range(4):
        for number in range(2):
            stride = 2 if stage > 0 and number == 0 else 1
            body = block(np.maximum(block(ref, stride), 0))
            ref = np.maximum(body + (block(ref, stride, 1) if stride == 2 else ref), 0)
    last = next(left)
    ref = ref.mean(axis=(2, 3)) @ csr.to_dense(last.weight).T + last.bias
    np.testing.assert_allclose(net.predict(x), ref, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet18", {"width": 1 / 32, "image": (2, 8, 8)}),
        ("mobilenet_v2", {"width": 0.01, "image": (2, 8, 8), "dropout_rate": 0, "dense": ()}),
        ("lenet_5", {"variant": "D", "width": 0.1, "image": (1, 8, 8)}),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_gradients_are_those_of_differences(name, options, training):
    net = make(name, density=0.4, dtype=np.float64, classes=3, **options)
    rng = np.random.default_rng(2306)
    for parameter in net.parameters():
        if parameter.name in ("beta", "bias"):  # at 0 a channel without inputs stands at a kink
            parameter.value[:] = rng.uniform(0.1, 0.5, len(parameter.value))
    x, y = rng.standard_normal((11, net.n_in)), rng.integers(0, 3, 11)
    x = net.packed(x)

    def loss():
        streams = rng.spawn(len(net.layers)) if training else None
        return net.gradients(x, y, streams)

    _, grads = loss()
    for parameter in net.parameters()[:: 1 if name == "lenet_5" else 17]:
        gradient = getattr(grads[parameter.layer], parameter.name).reshape(-1)
        value, ends = parameter.value.reshape(-1), []
        if not len(value):
            continue
        direction, start = rng.standard_normal(len(value)), value.copy()
        for step in (1e-6, -1e-6):
            value[:] = start + step * direction
            ends.append(loss()[0])
        value[:] = start
        slope = (ends[0] - ends[1]) / 2e-6
        assert gradient @ direction == pytest.approx(slope, rel=1e-5, abs=1e-7), parameter[:2]


def trained(threads, dtype=np.float32):
    before = numba.get_num_threads()
    numba.set_num_threads(threads)
    try:
        rng = np.random.default_rng(2307)
        net = resnet18(density=0.2, width=1 / 8, image=(3, 8, 8), rng=rng, dtype=dtype)
        data = rng.standard_normal((37, 3, 8, 8)), rng.integers(0, 10, 37)
        optimizer = optim.sgd(0.05, momentum=0.9)
        method = methods.RigL(every=2)
        fit(net, data, method=method, optimizer=optimizer, epochs=2, batch_size=16, rng=rng)
    finally:
        numba.set_num_threads(before)
    states = [a.tobytes() for la in net.layers for a in getattr(la, "state", dict)().values()]
    return [p.value.tobytes() for p in net.parameters()] + states, net


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_training_has_the_same_bytes_for_any_number_of_threads(dtype):
    one, net = trained(1, dtype)
    assert one == trained(min(2, numba.config.NUMBA_NUM_THREADS), dtype)[0]
    assert net.connections == trained(1, dtype)[1].connections


# Errors -------------------------------------------------------------------------------------------


def test_what_a_model_refuses():
    rng = np.random.default_rng(2308)
    known = ["A", "B", "C", "D", "D'"]
    with refuses(f"lenet_5: variant must be one of {known}, got 'E'"):
        lenet_5("E", density=0.1, rng=rng)
    with refuses("lenet_5: response_norm is of variants D and D' only, got True with A"):
        lenet_5(response_norm=True, density=0.1, rng=rng)
    with refuses("vgg_cifar: depth must be one of [11, 13, 16, 19], got 12"):
        vgg_cifar(12, density=0.1, rng=rng)
    with refuses("resnet18: width must be positive and finite, got 0"):
        resnet18(width=0, density=0.1, rng=rng)
    with refuses("resnet18: classes must be a positive whole number, got 0"):
        resnet18(classes=0, density=0.1, rng=rng)
    with refuses("resnet18: stem must be one of ['cifar', 'imagenet'], got 'tiny'"):
        resnet18(stem="tiny", density=0.1, rng=rng)
    with refuses("mobilenet_v2: strides must be one of ['cifar', 'imagenet'], got 'tiny'"):
        mobilenet_v2(strides="tiny", density=0.1, rng=rng)
    with refuses("resnet18: rng must be a numpy.random.Generator, got int", TypeError):
        resnet18(density=0.1, rng=7)
    with refuses("resnet18: dense must name layers in [-21, 21), got 21"):
        resnet18(density=0.1, rng=rng, dense=(21,))
    with refuses(
        "resnet18: density must be given (None for a dense network), or structure", TypeError
    ):
        resnet18(rng=rng)
    with pytest.raises(TypeError, match="activation"):
        resnet18(density=0.1, rng=rng, activation="relu")


@pytest.mark.parametrize("image", [(3, 32), (3, 0, 32), (3, 32.5, 32), 5])
def test_an_image_has_three_sides(image):
    with refuses(
        f"resnet18: image must be (channels, height, width), three positive whole numbers, "
        f"got {image}"
    ):
        resnet18(density=0.1, rng=np.random.default_rng(2309), image=image)


def test_examples_of_another_order_of_axes_are_refused():
    net = make("resnet18", width=1 / 32)
    with refuses(
        "predict: x must have shape (n, 3, 32, 32), or (n, 3072) in that order, got (2, 32, 32, 3)"
    ):
        net.predict(np.zeros((2, 32, 32, 3)))
    assert net.predict(np.zeros((2, 3072))).shape == (2, 10)
    grey = make("lenet_5")
    assert grey.predict(np.zeros((2, 28, 28))).shape == (2, 10)
