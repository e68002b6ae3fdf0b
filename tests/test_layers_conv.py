"""Convolution on CSR: against one loop an axis, against PyTorch, to the bit for any threads."""

import gc
import tracemalloc

import naive_conv
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_ref import csr, tiles
from sparse_ref.conv import plan
from sparse_ref.layers import Conv2d, DenseConv2d

# Sums of at most a few hundred products of numbers near 1, in another order.
CLOSE = {np.float64: {"rtol": 1e-12, "atol": 1e-12}, np.float32: {"rtol": 2e-4, "atol": 2e-4}}


class Case:
    """A random layer, batch and derivative, and what they are in plain arrays."""

    def __init__(self, seed, image, filters, kernel, density=0.5, n=3, dtype=np.float64, **how):
        rng = np.random.default_rng(seed)
        self.groups, self.dtype = how.get("groups", 1), dtype
        self.w_shape = (filters, image[0] // self.groups, *kernel)
        mask = rng.random(self.w_shape) < density
        w = np.where(mask, rng.standard_normal(self.w_shape), 0).astype(dtype)
        self.w, self.mask = w, mask
        self.bias = rng.standard_normal(filters).astype(dtype)
        flat = w.reshape(filters, -1), mask.reshape(filters, -1)
        self.weight = csr.from_dense(*flat)
        self.layer = Conv2d(self.weight, self.bias, image=image, kernel=kernel, **how)
        self.x = rng.standard_normal((n, *image)).astype(dtype)
        self.delta = rng.standard_normal((n, *self.layer.image_out)).astype(dtype)
        self.how = self._how(**how)

    def _how(self, stride=1, padding=0, dilation=1, groups=1):
        both = [v if isinstance(v, tuple) else (v, v) for v in (stride, dilation, padding)]
        both[2] = tuple(p if isinstance(p, tuple) else (p, p) for p in both[2])
        return (*both, groups)

    def run(self, layer=None):
        """Output, and the derivatives by inputs, connections and bias."""
        layer = layer or self.layer
        y, pullback = layer.forward(packed(self.x))
        dx, grad = pullback(packed(self.delta))
        n = len(self.x)
        y, dx = tiles.unpack(y, n), tiles.unpack(dx, n)
        shaped = y.reshape(self.delta.shape), dx.reshape(self.x.shape)
        return *shaped, grad


def packed(images):
    return tiles.pack(images.reshape(len(images), -1), None, tiles.one_register(images.dtype))


def check(case):
    y, dx, grad = case.run()
    close = CLOSE[case.dtype]
    np.testing.assert_allclose(
        y, naive_conv.convolution(case.x, case.w, case.bias, case.how), **close
    )
    by_x, by_w, by_bias = naive_conv.gradients(case.x, case.w, case.delta, case.how)
    np.testing.assert_allclose(dx, by_x, **close)
    np.testing.assert_allclose(grad.weight, by_w[case.mask], **close)
    np.testing.assert_allclose(grad.bias, by_bias, **close)
    block = grad.block(0, len(case.w))
    np.testing.assert_allclose(block, by_w.reshape(len(block), -1), **close)


def test_a_filter_by_hand():
    # 1 2 3      The kernel has 1 in the middle and 10 to the right of it; zeros around the image:
    # 4 5 6      each output is its pixel and ten times its right neighbour.
    weight = csr.from_positions((1, 9), np.array([4, 5]), np.array([1.0, 10.0]))
    layer = Conv2d(weight, image=(1, 2, 3), kernel=3, padding=1)
    x = np.arange(1.0, 7.0).reshape(1, 6)
    y, pullback = layer.forward(packed(x))
    assert tiles.unpack(y, 1).tolist() == [[21, 32, 3, 54, 65, 6]]
    dx, grad = pullback(packed(np.array([[1.0, 0, 0, 0, 0, 2.0]])))
    assert tiles.unpack(dx, 1).tolist() == [[1, 10, 0, 0, 0, 2]]
    assert grad.weight.tolist() == [1 * 1 + 2 * 6, 1 * 2]
    assert grad.bias.tolist() == [3]
    # every position: taps that look beyond the image have seen zeros
    assert grad.block(0, 1).tolist() == [[4, 6, 0, 10, 13, 2, 0, 4, 5]]


axis = st.tuples(st.integers(1, 7), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2))
around = st.tuples(st.integers(0, 3), st.integers(0, 3))


@st.composite
def cases(draw):
    groups, per_group, share = (draw(st.integers(1, 3)) for _ in range(3))
    axes = draw(axis), draw(axis)
    padding = draw(around), draw(around)
    sizes = []
    for (size, kernel, _, dilation), (before, after) in zip(axes, padding, strict=True):
        sizes.append(max(size, dilation * (kernel - 1) + 1 - before - after))
    return Case(
        draw(st.integers(0, 2**20)),
        (groups * share, *sizes),
        groups * per_group,
        (axes[0][1], axes[1][1]),
        density=draw(st.sampled_from([0.0, 0.3, 1.0])),
        n=draw(st.integers(1, 10)),
        stride=(axes[0][2], axes[1][2]),
        dilation=(axes[0][3], axes[1][3]),
        padding=padding,
        groups=groups,
    )


@settings(max_examples=60, deadline=None)
@given(cases())
def test_it_is_the_definition(case):
    check(case)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "how",
    [
        {"padding": 1},
        {"padding": 1, "stride": 2},
        {"padding": ((0, 1), (0, 1)), "stride": 2},
        {"padding": 2, "dilation": 2},
        {"padding": 1, "groups": 4},
        {"padding": 0, "stride": 3},
    ],
)
def test_it_is_the_definition_in_both_dtypes(how, dtype):
    check(Case(5, (4, 9, 7), 8, (3, 3), n=18, dtype=dtype, **how))


def test_many_blocks_of_rows(monkeypatch):

    whole = Case(6, (5, 13, 11), 6, (3, 3), n=9, padding=1).run()
    monkeypatch.setattr(plan, "SCRATCH_BYTES", 1)
    case = Case(6, (5, 13, 11), 6, (3, 3), n=9, padding=1)
    assert plan.blocks(case.layer.geometry.forward_way) == 13
    check(case)
    check(Case(7, (5, 13, 11), 6, (3, 3), n=9, padding=1, stride=2))
    np.testing.assert_array_equal(case.run()[0], whole[0])  # sums over connections are the same


@pytest.mark.parametrize(
    ("size", "strip"),
    [
        ((4, 4), (2, 4, False)),
        ((8, 8), (1, 8, False)),
        ((6, 8), (1, 8, False)),
        ((2, 2), (2, 2, False)),
        ((13, 11), (1, 8, True)),
        ((5, 4), (1, 8, True)),
    ],
)
@pytest.mark.parametrize("scratch", [1, 1 << 20])
def test_every_kind_of_strip(size, strip, scratch, monkeypatch):
    monkeypatch.setattr(plan, "SCRATCH_BYTES", scratch)
    case = Case(16, (3, *size), 5, (3, 3), n=9, padding=1)
    way = case.layer.geometry.forward_way
    if scratch > 1:
        assert (way.down, way.across, way.flat) == strip
        assert way.direct == (not way.flat)
    check(case)


@pytest.mark.parametrize("how", [{"padding": 1}, {"stride": 2, "padding": 1}, {"groups": 2}])
def test_any_rows_or_positions_of_the_dense_gradient_have_the_same_bits(how):
    case = Case(8, (6, 10, 10), 8, (3, 3), n=40, dtype=np.float32, **how)
    _, _, grad = case.run()
    whole = grad.block(0, 8)
    np.testing.assert_array_equal(whole[case.mask.reshape(8, -1)], grad.weight)
    np.testing.assert_array_equal(np.concatenate([grad.block(0, 3), grad.block(3, 8)]), whole)
    positions = np.array([0, 3, 10, whole.size - 1])
    np.testing.assert_array_equal(grad.at(positions), whole.reshape(-1)[positions])
    assert grad.block(2, 2).shape == (0, whole.shape[1])


def test_without_the_inputs_gradient_the_rest_has_the_same_bits():
    case = Case(9, (6, 10, 10), 8, (3, 3), n=40, dtype=np.float32, padding=1)
    _, pullback = case.layer.forward(packed(case.x))
    _, grad = pullback(packed(case.delta))
    nothing, same = pullback(packed(case.delta), wanted=False)
    assert nothing is None
    np.testing.assert_array_equal(same.weight, grad.weight)


@pytest.mark.parametrize("how", [{"padding": 1}, {"stride": 2}])
def test_the_same_bytes_for_one_and_two_threads(how):
    def everything():
        y, dx, grad = Case(10, (16, 20, 20), 16, (3, 3), n=64, dtype=np.float32, **how).run()
        return [a.tobytes() for a in (y, dx, grad.weight, grad.bias, grad.block(3, 9))]

    two = everything()
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        assert everything() == two
    finally:
        numba.set_num_threads(before)


@pytest.mark.parametrize("how", [{"padding": 1}, {"padding": 1, "stride": 2, "groups": 2}])
def test_a_dense_layer_has_the_bits_of_a_complete_sparse_one(how):
    case = Case(11, (4, 8, 8), 6, (3, 3), density=1.0, n=20, dtype=np.float32, **how)
    dense = DenseConv2d(case.w.reshape(6, -1), case.bias, image=(4, 8, 8), kernel=3, **how)
    for ours, theirs in zip(case.run()[:2], case.run(dense)[:2], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    (*_, sparse_grad), (*_, grad) = case.run(), case.run(dense)
    np.testing.assert_array_equal(sparse_grad.weight, grad.weight.reshape(-1))
    assert grad.weight.shape == dense.weight.shape
    assert dense.with_weight(case.weight).settings == case.layer.settings


def test_padded_examples_change_nothing():
    case = Case(12, (3, 6, 6), 4, (3, 3), n=5, padding=1)
    x = packed(case.x)
    x[0, :, 5:] = 1e30
    (y, pullback), (clean, clean_pullback) = (
        case.layer.forward(x),
        case.layer.forward(packed(case.x)),
    )
    np.testing.assert_array_equal(tiles.unpack(y, 5), tiles.unpack(clean, 5))
    delta = packed(case.delta)  # zero in padded examples
    np.testing.assert_array_equal(pullback(delta)[1].weight, clean_pullback(delta)[1].weight)


def test_rewired_and_left_out_connections():
    case = Case(13, (3, 6, 6), 4, (3, 3), padding=1)
    drop, absent = np.array([0, 5]), np.flatnonzero(~case.mask.reshape(-1))[:2]
    case.layer.restructure(csr.Rewire(drop, absent, np.array([2.0, 3.0])))
    dense = csr.to_dense(case.layer.weight).reshape(case.w.shape)
    y, _, _ = case.run()
    np.testing.assert_allclose(
        y, naive_conv.convolution(case.x, dense, case.bias, case.how), rtol=1e-12, atol=1e-12
    )
    case.layer.leave_out([1])
    dense.reshape(-1)[csr.flat(case.layer.weight)[1]] = 0
    y, _, grad = case.run()
    np.testing.assert_allclose(
        y, naive_conv.convolution(case.x, dense, case.bias, case.how), rtol=1e-12, atol=1e-12
    )
    assert grad.weight[1] != 0


def test_without_a_bias():
    weight = csr.from_positions((1, 1), np.array([0]), np.array([2.0]))
    layer = Conv2d(weight, False, image=(1, 1, 1), kernel=1)
    assert list(layer.parameters()) == ["weight"]
    assert tiles.unpack(layer.forward(packed(np.array([[3.0]])))[0], 1) == 6


def test_against_pytorch():
    torch = pytest.importorskip("torch")
    case = Case(14, (8, 15, 12), 12, (3, 5), n=20, stride=(2, 1), padding=(1, 2), groups=4)
    x, w = (torch.from_numpy(a).requires_grad_() for a in (case.x, case.w))
    theirs = torch.nn.functional.conv2d(
        x, w, torch.from_numpy(case.bias), stride=(2, 1), padding=(1, 2), groups=4
    )
    theirs.backward(torch.from_numpy(case.delta))
    y, dx, grad = case.run()
    close = CLOSE[np.float64]
    np.testing.assert_allclose(y, theirs.detach().numpy(), **close)
    np.testing.assert_allclose(dx, x.grad.numpy(), **close)
    np.testing.assert_allclose(grad.weight, w.grad.numpy()[case.mask], **close)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"stride": 0}, "Conv2d: stride must be whole and at least 1, got 0"),
        ({"kernel": 4}, r"Conv2d: kernel must fit into the padded image, got kernel \(4, 4\)"),
        ({"padding": -1}, "Conv2d: padding must be whole and at least 0, got -1"),
        ({"groups": 2}, "Conv2d: groups must divide the channels .* 3 and 4, got 2"),
        ({"image": (3, 3)}, r"Conv2d: image must be \(channels, height, width\), got \(3, 3\)"),
        ({"dilation": 1.5}, "Conv2d: dilation must be"),
        ({"kernel": 2}, r"Conv2d: weight must have shape \(4, 12\)"),
        ({"image": 4}, r"Conv2d: image must be \(channels, height, width\), got 4"),
        ({"kernel": np.array([3, 0])}, "Conv2d: kernel must be whole and at least 1, got 0"),
        ({"padding": np.array([1, -1])}, "Conv2d: padding must be whole and at least 0, got"),
    ],
)
def test_what_is_refused(how, words):
    weight = csr.from_dense(np.ones((4, 27)))
    with pytest.raises((ValueError, TypeError), match=words):
        Conv2d(weight, **({"image": (3, 3, 3), "kernel": 3} | how))


def test_tiles_that_do_not_fit_are_refused():
    layer = Conv2d(csr.from_dense(np.ones((4, 27))), image=(3, 3, 3), kernel=3)
    with pytest.raises(
        ValueError, match=r"must have shape \(tiles, 27, 8\), images of \(3, 3, 3\)"
    ):
        layer.forward(np.zeros((1, 27, 16)))
    with pytest.raises(TypeError, match="Conv2d: activations must be float64"):
        layer.forward(np.zeros((1, 27, 8), np.float32))
    with pytest.raises(ValueError, match=r"images must be of shape \(3, 3, 3\), got \(3, 4, 3\)"):
        layer.shape_after((3, 4, 3))


def peak_bytes(call):
    """Most memory that a call takes beyond what there was; buffers it finds free are not seen."""
    tiles._pool.__init__()
    gc.collect()
    tracemalloc.start()
    try:
        result = call()
        return tracemalloc.get_traced_memory()[1], result
    finally:
        tracemalloc.stop()


def test_memory_is_the_activations_and_the_scratch_that_is_stated():
    # 288 numbers are read for each of 40 x 40 outputs: unfolded, the batch would take 118 MB.
    rng, image = np.random.default_rng(15), (32, 40, 40)
    weight = csr.from_positions((32, 288), np.arange(0, 32 * 288, 100), np.ones(93, np.float32))
    layer = Conv2d(weight, image=image, kernel=3, padding=1)
    x = packed(rng.random((64, 32 * 40 * 40), np.float32))
    layer.forward(x)[1](x)  # compiled
    for way in (layer.geometry.forward_way, layer.geometry.backward_way):
        assert plan.scratch_size(way) * plan.REGISTER_BYTES < 1.6 * plan.SCRATCH_BYTES
    scratch = numba.get_num_threads() * 1.6 * plan.SCRATCH_BYTES + 100_000
    forward, (_, pullback) = peak_bytes(lambda: layer.forward(x))
    assert x.nbytes < forward < x.nbytes + scratch
    backward, _ = peak_bytes(lambda: pullback(x))
    assert x.nbytes < backward < x.nbytes + scratch
