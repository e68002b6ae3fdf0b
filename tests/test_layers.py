"""Layers: what they compute, and that each pullback is the derivative of its forward."""

import re

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from sparse_ref import csr, tiles
from sparse_ref.layers import AllReLU, Dense, Dropout, LayerGrad, Linear, ReLU, SReLU

DTYPES = (np.float32, np.float64)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
N, N_IN, N_OUT = 11, 6, 5  # examples, of two tiles of 8 in float64, inputs, outputs


def refuses(kind, message):
    """The whole message, word for word."""
    return pytest.raises(kind, match="^" + re.escape(message) + "$")


def pattern(seed=71):
    """Connections of a 5 x 6 layer: one empty row, one full row, the others at random."""
    present = np.random.default_rng(seed).random((N_OUT, N_IN)) < 0.5
    present[1], present[3] = False, True
    return present


def dense_weight(dtype=np.float64, seed=72):
    rng = np.random.default_rng(seed)
    return np.where(pattern(), rng.standard_normal((N_OUT, N_IN)), 0).astype(dtype)


def linear(dtype=np.float64):
    bias = np.random.default_rng(73).standard_normal(N_OUT).astype(dtype)
    return Linear(csr.from_dense(dense_weight(dtype), pattern()), bias)


def dense(dtype=np.float64):
    rng = np.random.default_rng(74)
    weight, bias = rng.standard_normal((N_OUT, N_IN)), rng.standard_normal(N_OUT)
    return Dense(weight.astype(dtype), bias.astype(dtype))


def srelu(dtype=np.float64, n=N_IN):
    """Every branch is met, and no slope is special."""
    rng = np.random.default_rng(75)
    draws = rng.uniform(-0.8, 0.2, n), rng.random(n), rng.uniform(-1, 1, n), rng.random(n)
    return SReLU(*(draw.astype(dtype) for draw in draws))


LAYERS = {
    "linear": linear,
    "dense": dense,
    "relu": lambda dtype=np.float64: ReLU(),
    "all_relu even": lambda dtype=np.float64: AllReLU(0.6, 2),
    "all_relu odd": lambda dtype=np.float64: AllReLU(0.6, 3),
    "srelu": srelu,
    "dropout": lambda dtype=np.float64: Dropout(0.3),
}
every_layer = pytest.mark.parametrize("name", list(LAYERS))
parametrised = pytest.mark.parametrize("name", ["linear", "dense", "srelu"])
weighted = pytest.mark.parametrize("name", ["linear", "dense"])


def random_tiles(features=N_IN, seed=76, dtype=np.float64, n=N):
    return tiles.pack(np.random.default_rng(seed).standard_normal((n, features)).astype(dtype))


def noise():
    """The same noise at every call, so that a layer with noise is a function."""
    return np.random.default_rng(77)


# Every layer --------------------------------------------------------------------------------------


@every_layer
def test_the_pullback_is_the_derivative_by_the_inputs(name):
    layer, x = LAYERS[name](), random_tiles()
    y, pullback = layer.forward(x, noise())
    delta, direction = random_tiles(y.shape[1], 78), random_tiles(N_IN, 79)

    def along(inputs):
        return np.vdot(delta, layer.forward(inputs, noise())[0])

    ref = naive.slope(along, x, direction)
    comp = np.vdot(pullback(delta)[0], direction)
    # Piecewise linear: the quotient has no truncation, only rounding of sums of about 100 terms of
    # size 1, some 1e-14, over the step 1e-6; none of these inputs is that close to a kink.
    assert comp == pytest.approx(ref, abs=1e-7)


@pytest.mark.parametrize(
    ("name", "parameter"),
    [(name, key) for name, make in LAYERS.items() for key in make().parameters()],
)
def test_the_pullback_is_the_derivative_by_each_parameter(name, parameter):
    layer, x = LAYERS[name](), random_tiles()
    y, pullback = layer.forward(x)
    delta, value = random_tiles(y.shape[1], 81), layer.parameters()[parameter]
    start, direction = value.copy(), np.random.default_rng(82).standard_normal(value.shape)
    comp = np.vdot(getattr(pullback(delta)[1], parameter), direction)

    def along(values):
        value[:] = values  # the array is the layer's own
        return np.vdot(delta, layer.forward(x)[0])

    ref = naive.slope(along, start, direction)
    # Products of two parameters of one SReLU branch bend, but a central difference is exact for
    # them; so only rounding over the step, as above.
    assert comp == pytest.approx(ref, abs=1e-7)


@every_layer
@every_dtype
def test_forward_keeps_the_dtype(name, dtype):
    y, _ = LAYERS[name](dtype).forward(random_tiles(dtype=dtype), noise())
    assert y.dtype == dtype


@every_layer
@every_dtype
def test_the_pullback_keeps_the_dtype(name, dtype):
    layer, x = LAYERS[name](dtype), random_tiles(dtype=dtype)
    y, pullback = layer.forward(x, noise())
    delta, grad = pullback(np.ones_like(y))
    parts = [delta, *(getattr(grad, key) for key in layer.parameters())]
    assert {part.dtype for part in parts} == {np.dtype(dtype)}


@parametrised
def test_the_gradient_of_a_parameter_has_its_shape(name):
    layer = LAYERS[name]()
    y, pullback = layer.forward(random_tiles())
    _, grad = pullback(np.ones_like(y))
    for key, value in layer.parameters().items():
        assert getattr(grad, key).shape == value.shape


@every_layer
def test_forward_leaves_its_inputs_alone(name):
    x = random_tiles()
    before = x.copy()
    LAYERS[name]().forward(x, noise())
    np.testing.assert_array_equal(before, x)


@every_layer
def test_the_pullback_leaves_the_delta_alone(name):
    y, pullback = LAYERS[name]().forward(random_tiles(), noise())
    delta = random_tiles(y.shape[1], 83)
    before = delta.copy()
    pullback(delta)
    np.testing.assert_array_equal(before, delta)


@every_layer
def test_a_layer_keeps_nothing_of_what_it_saw(name):
    # A pullback belongs to its own forward, also after the layer has seen another batch.
    layer, first, second = LAYERS[name](), random_tiles(), random_tiles(seed=84)
    delta = np.ones_like(layer.forward(first)[0])
    ref = layer.forward(first)[1](delta)[0]
    _, pullback = layer.forward(first)
    layer.forward(second)
    comp = pullback(delta)[0]
    np.testing.assert_array_equal(ref, comp)


@parametrised
def test_parameters_are_the_arrays_themselves(name):
    layer = LAYERS[name]()
    for first, second in zip(layer.parameters().values(), layer.parameters().values(), strict=True):
        assert np.shares_memory(first, second)


@every_layer
def test_examples_do_not_touch_each_other(name):
    # Dropout draws by position, so without noise. BLAS sums in another order for other shapes:
    # a few units of sums of 6 terms of size 1.
    layer, x = LAYERS[name](), tiles.unpack(random_tiles(), N)
    ref = np.concatenate([tiles.unpack(layer.forward(tiles.pack(row[None]))[0], 1) for row in x])
    comp = tiles.unpack(layer.forward(tiles.pack(x))[0], N)
    np.testing.assert_allclose(comp, ref, rtol=0, atol=1e-14 if name == "dense" else 0)


# Linear and Dense ---------------------------------------------------------------------------------


@weighted
def test_forward_is_the_product_with_the_dense_weight(name):
    layer, x = LAYERS[name](), random_tiles()
    weight = csr.to_dense(layer.weight) if name == "linear" else layer.weight
    ref = naive.product(weight, layer.bias, x)
    comp, _ = layer.forward(x)
    np.testing.assert_allclose(comp, ref, rtol=0, atol=1e-12)  # sums of 6 terms of size 1


@weighted
def test_forward_in_float32_is_the_product_within_rounding(name):
    layer, x = LAYERS[name](np.float32), random_tiles(dtype=np.float32)
    weight = csr.to_dense(layer.weight) if name == "linear" else layer.weight
    ref = naive.product(weight, layer.bias, x)
    sizes = naive.product(np.abs(weight), np.abs(layer.bias), np.abs(x))
    comp, _ = layer.forward(x)
    # n roundings in a sum of n = 7 terms, each of at most half a unit of the sum of magnitudes.
    assert (np.abs(comp - ref) <= 7 * np.finfo(np.float32).eps * sizes).all()


def test_a_sparse_layer_is_the_dense_layer_with_the_masked_weight():
    sparse, x = linear(), random_tiles()
    ref, _ = Dense(dense_weight(), sparse.bias).forward(x)
    comp, _ = sparse.forward(x)
    np.testing.assert_allclose(comp, ref, rtol=0, atol=1e-12)  # sums of 6 terms of size 1


@weighted
def test_the_weight_gradient_is_the_dense_one_where_there_are_connections(name):
    layer, x, delta = LAYERS[name](), random_tiles(), random_tiles(N_OUT, 85)
    ref = naive.weight_gradient(delta, x)
    comp = layer.forward(x)[1](delta)[1].weight
    ref = ref[pattern()] if name == "linear" else ref
    np.testing.assert_allclose(comp, ref, rtol=0, atol=1e-12)  # sums of 11 terms of size 1


@weighted
def test_the_bias_gradient_is_the_sum_of_delta(name):
    delta = random_tiles(N_OUT, 86)
    ref = naive.bias_gradient(delta)
    comp = LAYERS[name]().forward(random_tiles())[1](delta)[1].bias
    np.testing.assert_allclose(comp, ref, rtol=0, atol=1e-12)  # sums of 11 terms of size 1


@weighted
def test_the_input_gradient_is_the_product_with_the_transpose(name):
    layer, delta = LAYERS[name](), random_tiles(N_OUT, 87)
    weight = csr.to_dense(layer.weight) if name == "linear" else layer.weight
    ref = naive.product(weight.T, np.zeros(N_IN), delta)
    comp, _ = layer.forward(random_tiles())[1](delta)
    np.testing.assert_allclose(comp, ref, rtol=0, atol=1e-12)  # sums of 5 terms of size 1


@weighted
def test_an_input_gradient_that_is_not_wanted_is_not_made(name):
    y, pullback = LAYERS[name]().forward(random_tiles())
    assert pullback(np.ones_like(y), wanted=False)[0] is None


@weighted
@every_dtype
def test_a_bias_left_out_is_zero(name, dtype):
    layer = {
        "linear": lambda: Linear(csr.from_dense(dense_weight(dtype))),
        "dense": lambda: Dense(dense_weight(dtype)),
    }[name]()
    np.testing.assert_array_equal(layer.bias, np.zeros(N_OUT, dtype), strict=True)


@weighted
def test_widths_are_columns_and_rows(name):
    layer = LAYERS[name]()
    assert (layer.n_in, layer.n_out) == (N_IN, N_OUT)


@pytest.mark.parametrize("make", [lambda w, b: Linear(csr.from_dense(w), b), Dense])
@pytest.mark.parametrize(
    ("bias", "error", "rule"),
    [
        (np.zeros(4), ValueError, "have shape (5,), got (4,)"),
        (np.zeros((5, 1)), ValueError, "have shape (5,), got (5, 1)"),
        (np.zeros(5, np.float32), TypeError, "have the weight's dtype, float64, got float32"),
        (np.zeros(5, int), TypeError, "have the weight's dtype, float64, got int64"),
    ],
)
def test_a_bias_must_fit_its_layer(make, bias, error, rule):
    who = "Dense" if make is Dense else "Linear"
    with refuses(error, f"{who}: bias must {rule}"):
        make(dense_weight(), bias)


def test_linear_takes_over_the_values():
    weight = csr.from_dense(dense_weight(), pattern())
    assert np.shares_memory(Linear(weight).weight.data, weight.data)


def test_linear_freezes_a_pattern_that_scipy_made():
    layer = Linear(csr_array(dense_weight()))
    assert not layer.weight.indices.flags.writeable


def test_linear_does_not_see_later_changes_of_a_pattern_that_scipy_made():
    weight = csr_array(dense_weight())
    layer = Linear(weight)
    before = csr.pattern(layer.weight)
    weight.indices[:] = 0
    np.testing.assert_array_equal(before, csr.pattern(layer.weight))


def test_linear_refuses_a_dense_weight():
    message = "Linear: weight must be a two-dimensional scipy.sparse.csr_array, got ndarray"
    with refuses(TypeError, message):
        Linear(dense_weight())


def test_linear_refuses_a_pattern_out_of_order():
    weight = csr_array((np.ones(2), [1, 0], [0, 2]), shape=(1, 2))
    with refuses(
        ValueError,
        "Linear: connections (row * n_in + column) must be ascending and unique, got 1 before 0",
    ):
        Linear(weight)


@pytest.mark.parametrize(
    ("weight", "error", "rule"),
    [
        (np.zeros(3), ValueError, "have two dimensions, got shape (3,)"),
        (np.zeros((3, 2), int), TypeError, "be float32 or float64, got int64"),
        (np.zeros((3, 2), np.float16), TypeError, "be float32 or float64, got float16"),
    ],
)
def test_dense_refuses_other_weights(weight, error, rule):
    with refuses(error, f"Dense: weight must {rule}"):
        Dense(weight)


def test_no_examples_give_a_dense_layer_no_gradient():
    layer = Dense(dense_weight())
    y, pullback = layer.forward(np.zeros((0, layer.n_in, 8)))
    _, grad = pullback(y)
    np.testing.assert_array_equal(grad.weight, np.zeros_like(layer.weight), strict=True)


@pytest.mark.parametrize("rows", [(-1, 2), (3, 2), (0, 6)])
def test_rows_beyond_the_layer_have_no_gradient(rows):
    layer = linear()
    y, pullback = layer.forward(np.zeros((1, layer.n_in, 8)))
    with refuses(
        ValueError,
        f"LayerGrad: rows must be in order and in [0, 5], got {rows[0]} to {rows[1]}",
    ):
        pullback(y)[1].block(*rows)


def test_a_tile_of_another_width_is_refused():
    with refuses(ValueError, "kernels: the width of a tile must be one of (8, 16, 32, 64), got 5"):
        linear().forward(np.zeros((1, linear().n_in, 5)))


def test_restructure_is_apply():
    layer, change = linear(), csr.Rewire(np.array([1, 3]), np.array([7, 9]), np.array([0.5, 0.0]))
    ref, ref_source = csr.apply(layer.weight, change)
    source = layer.restructure(change)
    np.testing.assert_array_equal(csr.to_dense(ref), csr.to_dense(layer.weight))
    np.testing.assert_array_equal(csr.pattern(ref), csr.pattern(layer.weight))
    np.testing.assert_array_equal(ref_source, source)


def test_a_restructured_layer_has_the_input_gradient_of_its_new_pattern():
    layer, delta = linear(), random_tiles(N_OUT, 88)
    layer.restructure(csr.Rewire(np.array([1, 3]), np.array([7, 9]), np.array([0.5, -2.0])))
    ref = naive.product(csr.to_dense(layer.weight).T, np.zeros(N_IN), delta)
    comp, _ = layer.forward(random_tiles())[1](delta)
    np.testing.assert_allclose(comp, ref, rtol=0, atol=1e-12)  # sums of 5 terms of size 1


def test_a_linear_layer_holds_its_weight_its_pattern_twice_and_its_bias():
    layer = linear(np.float32)
    # value, column, row and slot of 4 bytes a connection; pointers both ways; 5 biases
    assert layer.nbytes == 16 * layer.weight.nnz + 4 * (N_OUT + 1) + 4 * (N_IN + 1) + 4 * N_OUT


def test_a_dense_layer_holds_its_weight_and_its_bias():
    assert dense(np.float32).nbytes == 4 * (N_OUT * N_IN + N_OUT)


# Connections left out of the forward pass ---------------------------------------------------------

LEFT_OUT = [0, 4, 5, 9]  # slots, in rows 0, 2 and 3


def leaving_out(dtype=np.float64, slots=LEFT_OUT):
    layer = linear(dtype)
    layer.leave_out(np.array(slots))
    return layer


def zeroed(dtype=np.float64, slots=LEFT_OUT):
    """The layer whose left-out weights are stored zeros."""
    layer = linear(dtype)
    layer.weight.data[slots] = 0
    return layer


def test_a_layer_leaves_nothing_out_unless_told():
    assert linear().left_out.tolist() == []
    assert linear().left_out.dtype == np.int64


@every_dtype
def test_what_is_left_out_is_zero_forward_and_back(dtype):
    x, delta = random_tiles(dtype=dtype), random_tiles(N_OUT, 157, dtype)
    (ref, ref_pullback), (comp, pullback) = (
        layer.forward(x) for layer in (zeroed(dtype), leaving_out(dtype))
    )
    assert ref.tobytes() == comp.tobytes()
    (ref_out, ref_grad), (out, grad) = ref_pullback(delta), pullback(delta)
    assert ref_out.tobytes() == out.tobytes()
    assert ref_grad.weight.tobytes() == grad.weight.tobytes()
    assert ref_grad.bias.tobytes() == grad.bias.tobytes()


def test_what_is_left_out_matters_to_the_outputs_and_to_the_input_gradient():
    # Else the tests here would compare nothing with nothing.
    x, delta = random_tiles(), random_tiles(N_OUT, 163)
    (all_in, all_pullback), (comp, pullback) = (la.forward(x) for la in (linear(), leaving_out()))
    assert (all_in != comp)[0, [0, 2, 3]].any(axis=1).all()
    assert (all_pullback(delta)[0] != pullback(delta)[0]).any()


def test_what_is_left_out_keeps_its_value_and_its_connection():
    layer = leaving_out()
    y, pullback = layer.forward(random_tiles())
    pullback(np.ones_like(y))
    np.testing.assert_array_equal(csr.to_dense(layer.weight), dense_weight())
    np.testing.assert_array_equal(csr.pattern(layer.weight), pattern())


@pytest.mark.parametrize("wanted", [True, False])
def test_every_connection_has_a_weight_gradient_left_out_or_not(wanted):
    x, delta = random_tiles(), random_tiles(N_OUT, 167)
    ref = naive.weight_gradient(delta, x)[pattern()]
    comp = leaving_out().forward(x)[1](delta, wanted=wanted)[1].weight
    np.testing.assert_allclose(comp, ref, rtol=0, atol=1e-12)  # sums of 11 terms of size 1
    assert comp[LEFT_OUT].all()


def test_the_gradient_there_is_the_derivative_at_zero():
    # By finite differences through a loss that is not linear in the weights, E = sum y^2 / 2.
    x = random_tiles()
    layer = leaving_out()
    y, pullback = layer.forward(x)
    comp_x, grad = pullback(y)

    def energy(values, inputs):
        twin = Linear(csr.from_positions((N_OUT, N_IN), csr.flat(layer.weight), values), layer.bias)
        out = twin.forward(inputs)[0]
        return np.vdot(out, out) / 2

    at = layer.weight.data.copy()
    at[LEFT_OUT] = 0
    for slot in range(layer.weight.nnz):
        ref = naive.slope(lambda values: energy(values, x), at, np.eye(len(at))[slot])
        # Quadratic, so only rounding of sums of about 100 terms of size 1, over the step 1e-6.
        assert grad.weight[slot] == pytest.approx(ref, abs=1e-7)
    direction = random_tiles(N_IN, 173)
    ref = naive.slope(lambda inputs: energy(at, inputs), x, direction)
    assert np.vdot(comp_x, direction) == pytest.approx(ref, abs=1e-7)


def test_a_pullback_belongs_to_the_forward_it_came_from():
    layer, x, delta = leaving_out(), random_tiles(), random_tiles(N_OUT, 179)
    ref = layer.forward(x)[1](delta)[0]
    _, pullback = layer.forward(x)
    layer.leave_out(np.array([1]))
    np.testing.assert_array_equal(ref, pullback(delta)[0])


def test_the_next_call_is_all_that_counts():
    layer, x = leaving_out(), random_tiles()
    layer.leave_out(np.array([2, 3]))
    assert layer.left_out.tolist() == [2, 3]
    np.testing.assert_array_equal(layer.forward(x)[0], zeroed(slots=[2, 3]).forward(x)[0])
    layer.leave_out(np.array([], int))
    np.testing.assert_array_equal(layer.forward(x)[0], linear().forward(x)[0])
    layer.leave_out(LEFT_OUT)
    layer.leave_out(())
    np.testing.assert_array_equal(layer.forward(x)[0], linear().forward(x)[0])


def test_everything_may_be_left_out():
    layer, x = linear(), random_tiles()
    layer.leave_out(np.arange(layer.weight.nnz))
    y, pullback = layer.forward(x)
    np.testing.assert_array_equal(y, np.broadcast_to(layer.bias[:, None], y.shape))
    assert not pullback(np.ones_like(y))[0].any()


def test_a_new_weight_is_whole():
    layer, x = leaving_out(), random_tiles()
    layer.restructure(csr.Rewire(np.array([1, 3]), np.array([7, 9]), np.array([0.5, 0.25])))
    assert layer.left_out.tolist() == []
    ref = Linear(layer.weight, layer.bias).forward(x)[0]
    np.testing.assert_array_equal(ref, layer.forward(x)[0])


def test_the_slots_left_out_are_copied():
    layer, slots = linear(), np.array(LEFT_OUT)
    layer.leave_out(slots)
    slots[:] = 1
    assert layer.left_out.tolist() == LEFT_OUT


def test_the_slots_left_out_are_counted_in_bytes():
    assert leaving_out().nbytes == linear().nbytes + 8 * len(LEFT_OUT)


def test_the_weights_are_seen_as_they_are_now():
    # Training changes data in place; what is left out follows the present weights.
    layer, x = leaving_out(), random_tiles()
    layer.weight.data *= 2
    ref = zeroed()
    ref.weight.data *= 2
    np.testing.assert_array_equal(ref.forward(x)[0], layer.forward(x)[0])


@pytest.mark.parametrize(
    ("slots", "error", "rule"),
    [
        ([-1, 3], ValueError, "be in [0, 12), got -1"),
        ([3, 12], ValueError, "be in [0, 12), got 12"),
        ([3, 3], ValueError, "be ascending and unique, got 3 before 3"),
        ([4, 3], ValueError, "be ascending and unique, got 4 before 3"),
        ([[1, 2]], ValueError, "be one-dimensional, got shape (1, 2)"),
        ([True, False], TypeError, "hold integers, got dtype bool"),
        ([1.0], TypeError, "hold integers, got dtype float64"),
    ],
)
def test_slots_that_are_none_cannot_be_left_out(slots, error, rule):
    layer = linear()
    assert layer.weight.nnz == 12
    verb = "Linear: slots to leave out must "
    with refuses(error, verb + rule):
        layer.leave_out(np.array(slots))


# LayerGrad ----------------------------------------------------------------------------------------


@every_dtype
@pytest.mark.parametrize(("first", "last"), [(0, 5), (0, 1), (2, 4), (3, 3)])
def test_block_is_delta_times_inputs(dtype, first, last):
    rng = np.random.default_rng(89)
    delta, x = (tiles.pack(rng.integers(-9, 10, (N, n)).astype(dtype)) for n in (N_OUT, N_IN))
    ref = naive.weight_gradient(delta, x)[first:last]  # integers: exact in either dtype
    comp = LayerGrad(None, None, delta, x).block(first, last)
    np.testing.assert_array_equal(ref.astype(dtype), comp, strict=True)


@every_dtype
def test_block_has_the_bits_of_the_weight_gradient_at_the_connections(dtype):
    x, delta = random_tiles(dtype=dtype), random_tiles(N_OUT, 91, dtype)
    _, grad = linear(dtype).forward(x)[1](delta)
    assert grad.weight.tobytes() == grad.block(0, N_OUT)[pattern()].tobytes()


@weighted
def test_the_gradient_holds_the_two_factors_themselves(name):
    x, delta = random_tiles(), random_tiles(N_OUT, 92)
    _, grad = LAYERS[name]().forward(x)[1](delta)
    assert grad.inputs is x
    assert grad.delta is delta


# ReLU and All-ReLU --------------------------------------------------------------------------------

KINKED = np.array([[-2.0], [-0.5], [-0.0], [0.0], [0.5], [3.0]])


def both_ways(layer, x):
    """Output and derivative of an elementwise layer at the examples x (n, features)."""
    y, pullback = layer.forward(tiles.pack(x))
    return tiles.unpack(y, len(x)), tiles.unpack(pullback(np.ones_like(y))[0], len(x))


def test_relu_is_the_maximum_with_0():
    y, _ = both_ways(ReLU(), KINKED)
    np.testing.assert_array_equal(naive.relu(KINKED), y)


def test_the_derivative_of_relu_at_0_is_0():
    _, slope = both_ways(ReLU(), KINKED)
    assert slope.ravel().tolist() == [0, 0, 0, 0, 1, 1]


def test_relu_does_not_hide_what_is_not_a_number():
    y, _ = both_ways(ReLU(), np.array([[np.nan], [-1.0]]))
    np.testing.assert_array_equal(y, [[np.nan], [0]])


@pytest.mark.parametrize(("number", "left"), [(1, 0.5), (2, -0.5), (3, 0.5), (4, -0.5), (5, 0.5)])
def test_the_left_slope_of_all_relu_alternates(number, left):
    y, slope = both_ways(AllReLU(0.5, number), KINKED)
    assert y.ravel().tolist() == [-2 * left, -0.5 * left, 0, 0, 0.5, 3]
    assert slope.ravel().tolist() == [left, left, left, left, 1, 1]


@pytest.mark.parametrize("alpha", [-0.1, np.nan])
def test_all_relu_refuses_a_negative_alpha(alpha):
    with refuses(ValueError, f"AllReLU: alpha must be at least 0, got {alpha}"):
        AllReLU(alpha, 2)


# SReLU --------------------------------------------------------------------------------------------

CHECK_X = np.array([[-3], [-1], [0], [0.5], [4]])  # specs/models.md section 6, t_r = 2


def check_line(right_offset=2.5, dtype=np.float64):
    return SReLU(*(np.array([p], dtype) for p in (-0.5, 0.2, right_offset, 0.3)))


def srelu_gradient(x, dtype=np.float64):
    """The parameters' derivatives at one example."""
    y, pullback = check_line(dtype=dtype).forward(tiles.pack(np.array([[x]], dtype)))
    delta = np.zeros_like(y)
    delta[0, :, 0] = 1
    return pullback(delta)[1]


# A sum or two of numbers of size 4: a few units in the last place.
srelu_close = {"rtol": 0, "atol": 1e-14}


@pytest.mark.parametrize("sign", [1, -1])
def test_srelu_check_line_value(sign):
    y, _ = both_ways(check_line(sign * 2.5), CHECK_X)
    np.testing.assert_allclose(y.ravel(), [-1, -0.6, 0, 0.5, 2.6], **srelu_close)


def test_srelu_check_line_derivative_by_x():
    _, slope = both_ways(check_line(), CHECK_X)
    assert slope.ravel().tolist() == [0.2, 0.2, 1, 1, 0.3]


@pytest.mark.parametrize(
    ("parameter", "by_x"),
    [
        # x =               -3    -1   0  .5   4
        ("left_threshold", [0.8, 0.8, 0, 0, 0.7]),
        ("left_slope", [-2.5, -0.5, 0, 0, 0]),
        ("right_offset", [0, 0, 0, 0, 0.7]),
        ("right_slope", [0, 0, 0, 0, 2]),
    ],
)
def test_srelu_check_line_derivative_by_the_parameters(parameter, by_x):
    comp = [getattr(srelu_gradient(x), parameter)[0] for x in CHECK_X[:, 0]]
    np.testing.assert_allclose(comp, by_x, **srelu_close)


def test_the_offset_of_srelu_counts_by_its_magnitude():
    y, pullback = check_line(-2.5).forward(tiles.pack(np.array([[4.0]])))
    delta = np.zeros_like(y)
    delta[0, :, 0] = 1
    np.testing.assert_allclose(pullback(delta)[1].right_offset, [-0.7], **srelu_close)


parameter = st.floats(-3, 3)


@given(x=st.floats(-10, 10), t_l=parameter, a_l=parameter, tau=parameter, a_r=parameter)
@settings(deadline=None, max_examples=200)
def test_srelu_is_its_three_pieces(x, t_l, a_l, tau, a_r):
    ref = naive.srelu(x, t_l, a_l, tau, a_r)
    layer = SReLU(*(np.array([p]) for p in (t_l, a_l, tau, a_r)))
    comp, _ = both_ways(layer, np.array([[x]]))
    assert ref == comp[0, 0]  # the same few operations in the same order


@given(t_l=parameter, a_l=parameter, tau=parameter, a_r=parameter)
@settings(deadline=None, max_examples=100)
def test_srelu_is_continuous(t_l, a_l, tau, a_r):
    layer, step = SReLU(*(np.array([p]) for p in (t_l, a_l, tau, a_r))), 1e-9
    kinks = np.array([t_l, t_l + abs(tau)])
    x = np.concatenate([kinks - step, kinks, kinks + step])[:, None]
    before, at, after = both_ways(layer, x)[0].reshape(3, 2)
    # The steepest piece has slope 3, and values of size 13 round to a few 1e-15.
    assert np.abs([before - at, after - at]).max() <= 3.1 * step + 1e-14


def test_srelu_at_its_kinks_takes_the_outer_piece():
    _, slope = both_ways(check_line(), np.array([[-0.5], [2.0]]))
    assert slope.ravel().tolist() == [0.2, 0.3]


def test_srelu_without_a_middle_counts_its_one_kink_once():
    layer = SReLU(*(np.array([p]) for p in (-0.5, 0.2, 0.0, 0.3)))
    x = np.full((1, 1, 8), -0.5)
    delta, grad = layer.forward(x)[1](np.ones_like(x))
    assert delta.ravel().tolist() == [0.3] * 8  # the right piece
    # Moving the only threshold: 8 (1 - 0.3) from the right piece, nothing from the left one.
    np.testing.assert_allclose(grad.left_threshold, [5.6], **srelu_close)
    assert (grad.left_slope.tolist(), grad.right_slope.tolist()) == ([0], [0])


def test_srelu_has_parameters_of_its_own_for_each_unit():
    layer, x = srelu(), tiles.unpack(random_tiles(), N)
    parameters = list(layer.parameters().values())
    ref = [
        [naive.srelu(x[e, u], *(p[u] for p in parameters)) for u in range(N_IN)] for e in range(N)
    ]
    comp, _ = both_ways(layer, x)
    np.testing.assert_allclose(comp, ref, **srelu_close)


@pytest.mark.parametrize("width", [8, 16, 32, 64])
@pytest.mark.parametrize("n_tiles", [1, 3])
def test_the_pullback_of_srelu_is_its_three_slopes(width, n_tiles):
    layer, rng = srelu(), np.random.default_rng(51)
    x, delta = (2 * rng.standard_normal((n_tiles, N_IN, width)) for _ in range(2))
    x[0, :, 0], x[0, :, 1] = layer.left_threshold, layer.left_threshold + abs(layer.right_offset)
    parameters = list(layer.parameters().values())
    ref, sums = np.empty_like(x), np.zeros((4, N_IN))
    for t, u, k in np.ndindex(*x.shape):
        here = naive.srelu_pullback(x[t, u, k], delta[t, u, k], *(p[u] for p in parameters))
        ref[t, u, k], sums[:, u] = here[0], sums[:, u] + here[1]
    comp, grad = layer.forward(x)[1](delta)
    np.testing.assert_array_equal(comp, ref)  # one product each
    # Up to 192 terms of about 10 in another order: 192 * 192 * 10 * 1.1e-16 at the very most.
    np.testing.assert_allclose(np.array(grad), sums, rtol=0, atol=1e-11)


@every_dtype
def test_srelu_starts_as_in_the_code_of_set(dtype):
    layer = SReLU.initial(4000, np.random.default_rng(93), dtype)
    assert {p.dtype for p in layer.parameters().values()} == {np.dtype(dtype)}
    assert set(layer.left_threshold) == {0}
    assert set(layer.right_slope) == {1}
    for drawn, top in ((layer.left_slope, 1), (layer.right_offset, 5)):
        # U(0, top): the mean of 4000 is within 3 of its deviations, the ends are approached.
        assert abs(drawn.mean() - top / 2) < 3 * top / np.sqrt(12 * 4000)
        assert 0 <= drawn.min() < 0.01 * top
        assert 0.99 * top < drawn.max() <= top


def test_srelu_refuses_parameters_of_different_shapes():
    with refuses(
        ValueError,
        "SReLU: the four parameters must have one shape (n,), got [(2,), (2,), (3,), (2,)]",
    ):
        SReLU(np.ones(2), np.ones(2), np.ones(3), np.ones(2))


def test_srelu_refuses_parameters_of_different_dtypes():
    with refuses(
        TypeError,
        "SReLU: the four parameters must have one dtype, got "
        "['float64', 'float32', 'float64', 'float64']",
    ):
        SReLU(np.ones(2), np.ones(2, np.float32), np.ones(2), np.ones(2))


# Dropout ------------------------------------------------------------------------------------------


@every_dtype
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_preserves_the_mean(dtype, rate):
    x = np.ones((10, 100, 64), dtype)
    y, _ = Dropout(rate).forward(x, np.random.default_rng(94))
    # 64000 independent values of variance rate / (1 - rate), 4 deviations of their mean; the
    # threshold is a float32, which moves the rate by up to 3e-8 more.
    assert abs(y.mean(dtype=float) - 1) < 4 * np.sqrt(rate / (1 - rate) / x.size) + 1e-6


@every_dtype
def test_dropout_scales_what_it_keeps(dtype):
    y, _ = Dropout(0.75).forward(np.full((2, 30, 16), 3, dtype), np.random.default_rng(95))
    assert set(np.unique(y)) == {0, 12}


def test_dropout_is_the_identity_without_noise():
    x = random_tiles()
    y, pullback = Dropout(0.5).forward(x)
    np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(x, pullback(x)[0])


def test_dropout_of_rate_0_is_the_identity_and_draws_nothing():
    x, rng = random_tiles(), np.random.default_rng(96)
    y, _ = Dropout(0).forward(x, rng)
    np.testing.assert_array_equal(x, y)
    assert rng.random() == np.random.default_rng(96).random()


def test_dropout_goes_back_through_what_it_kept():
    y, pullback = Dropout(0.5).forward(np.ones((2, 30, 16)), np.random.default_rng(97))
    np.testing.assert_array_equal(y, pullback(np.ones_like(y))[0])


def test_dropout_draws_anew_at_every_call():
    layer, x, rng = Dropout(0.5), np.ones((2, 30, 16)), np.random.default_rng(98)
    assert (layer.forward(x, rng)[0] != layer.forward(x, rng)[0]).any()


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, np.nan])
def test_dropout_refuses_a_rate_outside_0_and_1(rate):
    with refuses(ValueError, f"Dropout: rate must be in [0, 1), got {rate}"):
        Dropout(rate)


# What they are called -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (linear(), f"Linear(6 -> 5, {pattern().sum()} connections)"),
        (dense(), "Dense(6 -> 5)"),
        (ReLU(), "ReLU()"),
        (AllReLU(0.6, 2), "AllReLU(alpha=0.6, layer_number=2)"),
        (srelu(), "SReLU(6)"),
        (Dropout(0.3), "Dropout(0.3)"),
    ],
)
def test_a_layer_says_what_it_is(layer, text):
    assert repr(layer) == text


# Activations that do not fit ----------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 16), (1, 4, 16)])
def test_linear_refuses_activations_of_another_shape(shape):
    layer = linear()
    rule = f"activations must have shape (tiles, {layer.n_in}, width)"
    with refuses(ValueError, f"Linear: {rule}, got {shape}"):
        layer.forward(np.zeros(shape))


def test_linear_refuses_activations_of_another_dtype():
    layer = linear()
    with refuses(TypeError, "Linear: activations must be float64 as the layer, got float32"):
        layer.forward(np.zeros((1, layer.n_in, 16), np.float32))


def test_linear_refuses_a_delta_of_another_batch():
    layer = linear()
    _, pullback = layer.forward(np.zeros((1, layer.n_in, 16)))
    with refuses(ValueError, "Linear: delta must have shape (1, 5, 16), got (2, 5, 16)"):
        pullback(np.zeros((2, 5, 16)))


def test_linear_takes_activations_in_any_order_of_memory():
    layer, x = linear(), np.random.default_rng(149).standard_normal((2, linear().n_in, 8))
    ref, _ = layer.forward(x)
    comp, _ = layer.forward(np.asfortranarray(x))
    np.testing.assert_array_equal(ref, comp)


def test_factors_of_different_batches_have_no_gradient():
    grad = LayerGrad(None, None, np.zeros((2, 5, 8)), np.zeros((1, 4, 8)))
    with refuses(
        ValueError,
        "LayerGrad: delta must have the tiles and width of inputs, got shapes "
        "(2, 5, 8) and (1, 4, 8)",
    ):
        grad.block(0, 5)
