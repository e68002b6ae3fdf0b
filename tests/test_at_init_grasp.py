"""GraSP: the worked example; the Hessian-gradient product against a complex step and slopes."""

import re

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_ref import AllReLU, Dense, Dropout, Linear, Network, ReLU, SReLU, csr, models
from sparse_ref.at_init import grasp, grasp_scores, hessian_product, weight_gradients
from sparse_ref.layers.unscaled_dropout import EvaluationScale, UnscaledDropout

DTYPES = [np.float32, np.float64]

# ---------------------------------------------------------------- worked example
#
#   x       y     W            T = 1: H g                  S = -W H g
#   1  2    0     .5  -.3     -.11212163 -.13123296       .05606082 -.03936989
#   0  1    1    -.2   .4      .11212163  .13123296       .02242433 -.05249318
#  -1  1    1
#   2 -1    0    largest S first: 0, 2, 1, 3; with T = 200: 0, 2, 3, 1, and S over its sum + 1e-10
#                .4960132 .13008972 .19840528 .17345295

X, Y = np.array([[1.0, 2], [0, 1], [-1, 1], [2, -1]]), np.array([0, 1, 1, 0])
W = np.array([[0.5, -0.3], [-0.2, 0.4]])
kinds = pytest.mark.parametrize("kind", ["dense", "sparse"])


def example(kind="dense", dtype=np.float64, weight=W):
    weight = weight.astype(dtype)
    layer = Dense(weight) if kind == "dense" else Linear(csr.from_dense(weight))
    return Network([layer])


def refuses(kind, message):
    """The whole message, word for word."""
    return pytest.raises(kind, match="^" + re.escape(message) + "$")


@kinds
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_example(kind, dtype):
    net, x = example(kind, dtype), X.astype(dtype)
    (product,) = hessian_product(net, x, Y, weight_gradients(net, x, Y))
    # The table has eight digits; float32 has seven.
    close = {"rtol": 0, "atol": 5e-9 if dtype == np.float64 else 1e-7}
    ref = [-0.11212163, -0.13123296, 0.11212163, 0.13123296]
    np.testing.assert_allclose(product, ref, **close)
    s = -W.reshape(-1) * product
    np.testing.assert_allclose(s, [0.05606082, -0.03936989, 0.02242433, -0.05249318], **close)
    assert product.dtype == dtype


@kinds
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_example_at_the_default_temperature(kind, dtype):
    (comp,) = grasp_scores(example(kind, dtype), X.astype(dtype), Y)
    ref = [0.4960132, 0.13008972, 0.19840528, 0.17345295]
    # p - onehot loses digits where nearly all logits are 0: float32 keeps five.
    np.testing.assert_allclose(comp, ref, rtol=0, atol=5e-9 if dtype == np.float64 else 1e-5)
    assert comp.dtype == dtype


@kinds
@pytest.mark.parametrize(("temperature", "order"), [(1.0, [0, 2, 1, 3]), (200.0, [0, 2, 3, 1])])
def test_the_largest_go_and_temperature_changes_which(kind, temperature, order):
    for n in range(5):
        (drop,) = grasp(example(kind), X, Y, 1 - n / 4, temperature=temperature)
        assert drop.tolist() == sorted(order[:n])


@pytest.mark.parametrize(("density", "kept"), [(0.75, 4), (0.5, 3), (0.25, 2), (1, 4), (0, 1)])
def test_the_code_keeps_one_too_many(density, kept):
    options = {"ties": "official_off_by_one", "count": "trunc_removed", "temperature": 1.0}
    (drop,) = grasp(example(), X, Y, density, halves=True, **options)
    assert 4 - len(drop) == kept
    assert drop.tolist() == sorted([0, 2, 1, 3][: len(drop)])


def test_what_removing_a_connection_does_to_the_gradient():
    net = example()
    (scores,) = raw_scores(net, X, Y, 200.0)
    (g,) = weight_gradients(net, X, Y, 200.0)
    without = W.copy()
    without[0, 0] = 0
    (shorter,) = weight_gradients(example(weight=without), X, Y, 200.0)
    change = shorter @ shorter - g @ g
    assert change == pytest.approx(4.87017e-8, rel=1e-5)  # six digits in the table
    assert 2 * scores[0] == pytest.approx(4.86561e-8, rel=1e-5)


def raw_scores(net, x, y, temperature):
    """-w H g, not divided by anything."""
    product = hessian_product(net, x, y, weight_gradients(net, x, y, temperature), temperature)
    return [-values(la) * hg for la, hg in zip(net.weighted, product, strict=True)]


def values(layer):
    return layer.weight.data if isinstance(layer, Linear) else layer.weight.reshape(-1)


# The product --------------------------------------------------------------------------------------


def make(seed, density=None, dtype=np.float64, sizes=(6, 7, 5, 3)):
    """A network with ReLUs and biases, and a batch; seven examples leave room in a tile."""
    rng = np.random.default_rng(seed)
    net = models.mlp(sizes, density=density, distribution="uniform", rng=rng, dtype=dtype)
    for layer in net.weighted:
        layer.bias[:] = 0.3 * rng.standard_normal(layer.n_out)
    x = rng.standard_normal((7, sizes[0])).astype(dtype)
    return net, x, rng.integers(0, sizes[-1], 7)


def as_dense(net):
    return [csr.to_dense(la.weight) if isinstance(la, Linear) else la.weight for la in net.weighted]


def spread(net, slots):
    """Arrays in slot order as dense ones with zeros elsewhere."""
    return [
        csr.to_dense(csr.from_positions(la.weight.shape, csr.flat(la.weight), v))
        if isinstance(la, Linear)
        else v.reshape(la.weight.shape)
        for la, v in zip(net.weighted, slots, strict=True)
    ]


def gathered(net, dense):
    return [
        d.reshape(-1)[csr.flat(la.weight)] if isinstance(la, Linear) else d.reshape(-1)
        for la, d in zip(net.weighted, dense, strict=True)
    ]


def directions(net, seed):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(n).astype(net.dtype) for n in net.connections]


def dot(some, others):
    return sum(float(a @ b) for a, b in zip(some, others, strict=True))


seeds, several = st.integers(0, 10_000), st.sampled_from([None, 0.5, 0.2])
temperatures = st.sampled_from([1.0, 3.0, 200.0])
few = settings(max_examples=40)


@few
@given(seeds, several, temperatures)
def test_the_product_against_a_complex_step(seed, density, temperature):
    net, x, y = make(seed, density)
    v = directions(net, seed + 1)
    biases = [layer.bias for layer in net.weighted]
    ref = naive.hessian_product(as_dense(net), biases, x, y, spread(net, v), temperature)
    comp = hessian_product(net, x, y, v, temperature)
    for one, two in zip(gathered(net, ref), comp, strict=True):
        # Sums of tens of terms of size 1 through three layers, over T.
        np.testing.assert_allclose(two, one, rtol=0, atol=1e-12 / temperature)


@few
@given(seeds, several)
def test_the_gradient_is_that_of_training(seed, density):
    net, x, y = make(seed, density)
    dense, biases = as_dense(net), [layer.bias for layer in net.weighted]
    _, ref, _ = naive.backpropagation(dense, biases, x, y)
    for one, two in zip(gathered(net, ref), weight_gradients(net, x, y), strict=True):
        np.testing.assert_allclose(two, one, rtol=0, atol=1e-12)


BETWEEN = {
    "relu": lambda rng: ReLU(),
    "all_relu": lambda rng: AllReLU(0.6, 2),
    "srelu": lambda rng: SReLU(
        *(rng.uniform(a, b, 7) for a, b in ((-1, 0), (0, 1), (0, 1), (0, 1)))
    ),
    "dropout": lambda rng: Dropout(0.5),
    "unscaled": lambda rng: UnscaledDropout(0.5),
    "scale": lambda rng: EvaluationScale(0.5),
}


@pytest.mark.parametrize("name", list(BETWEEN))
@kinds
def test_the_product_is_the_slope_of_the_gradient(name, kind):
    rng = np.random.default_rng(931)
    first, second = rng.standard_normal((7, 6)), rng.standard_normal((3, 7))
    pattern = rng.random((7, 6)) < 0.6
    layer = (
        Linear(csr.from_dense(np.where(pattern, first, 0), pattern))
        if kind == "sparse"
        else Dense(first)
    )
    net = Network([layer, BETWEEN[name](rng), Dense(second)])
    x, y, v = rng.standard_normal((9, 6)), rng.integers(0, 3, 9), directions(net, 932)
    start, step = [values(la).copy() for la in net.weighted], 1e-6

    def gradient(h):
        for la, w, d in zip(net.weighted, start, v, strict=True):
            values(la)[:] = w + h * d
        return weight_gradients(net, x, y, 2.0)

    ref = [(a - b) / (2 * step) for a, b in zip(gradient(step), gradient(-step), strict=True)]
    gradient(0)
    comp = hessian_product(net, x, y, v, 2.0)
    for one, two in zip(ref, comp, strict=True):
        # Rounding of 1e-15 over the step, and the square of the step; no input is near a kink.
        np.testing.assert_allclose(two, one, rtol=0, atol=1e-8)


@few
@given(seeds, several)
def test_the_hessian_is_symmetric_and_linear(seed, density):
    net, x, y = make(seed, density)
    u, v = directions(net, seed + 1), directions(net, seed + 2)
    hu, hv = hessian_product(net, x, y, u), hessian_product(net, x, y, v)
    assert dot(u, hv) == pytest.approx(dot(v, hu), abs=1e-11)
    both = hessian_product(net, x, y, [2 * a - b for a, b in zip(u, v, strict=True)])
    for a, b, c in zip(hu, hv, both, strict=True):
        np.testing.assert_allclose(c, 2 * a - b, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n", [1, 8, 9, 33, 70])
def test_padding_of_tiles_adds_nothing(n):
    # The last tile's empty places hold what biases make of zeros.
    net, _, _ = make(933)
    rng = np.random.default_rng(934)
    x, y, v = rng.standard_normal((n, 6)), rng.integers(0, 3, n), directions(net, 935)
    biases = [layer.bias for layer in net.weighted]
    ref = naive.hessian_product(as_dense(net), biases, x, y, spread(net, v))
    for one, two in zip(ref, hessian_product(net, x, y, v), strict=True):
        np.testing.assert_allclose(two, one.reshape(-1), rtol=0, atol=1e-12)


# Scores -------------------------------------------------------------------------------------------


def reference_scores(net, parts, temperature):
    """Dense, over batches, divided as the code divides."""
    dense, biases = as_dense(net), [layer.bias for layer in net.weighted]
    g = [
        sum(ws)
        for ws in zip(*(tempered(dense, biases, x, y, temperature) for x, y in parts), strict=True)
    ]
    hg = [
        sum(ws)
        for ws in zip(
            *(naive.hessian_product(dense, biases, x, y, g, temperature) for x, y in parts),
            strict=True,
        )
    ]
    scores = [-w * h for w, h in zip(dense, hg, strict=True)]
    return [s / (abs(sum(part.sum() for part in scores)) + 1e-10) for s in scores]


def tempered(dense, biases, x, y, temperature):
    """Gradient by the weights with the last layer divided by T: the chain rule by hand."""
    scaled = [*dense[:-1], dense[-1] / temperature]
    _, grads, _ = naive.backpropagation(scaled, [*biases[:-1], biases[-1] / temperature], x, y)
    return [*grads[:-1], grads[-1] / temperature]


@few
@given(seeds, st.sampled_from([1.0, 200.0]), st.sampled_from([None, 3]), st.booleans())
def test_scores_of_batches_and_halves(seed, temperature, size, halves):
    net, x, y = make(seed)
    parts = [(x, y)] if size is None else [(x[k : k + 3], y[k : k + 3]) for k in (0, 3, 6)]
    if halves:
        cut = [(part, len(part[0]) // 2) for part in parts]
        parts = [
            half for (a, b), n in cut for half in ((a[:n], b[:n]), (a[n:], b[n:])) if len(half[0])
        ]
    comp = grasp_scores(net, x, y, temperature=temperature, batch_size=size, halves=halves)
    for one, two in zip(reference_scores(net, parts, temperature), comp, strict=True):
        # Shares of a sum that may be small: relative to the largest of them.
        np.testing.assert_allclose(two, one.reshape(-1), rtol=1e-7, atol=1e-9 * abs(two).max())


@few
@given(seeds, several)
def test_scores_add_up_to_a_share_of_one(seed, density):
    net, x, y = make(seed, density)
    g = weight_gradients(net, x, y, 200.0)
    total = -dot([values(la) for la in net.weighted], hessian_product(net, x, y, g, 200.0))
    comp = sum(part.sum() for part in grasp_scores(net, x, y))
    assert comp == pytest.approx(total / (abs(total) + 1e-10), rel=1e-6, abs=1e-9)


@few
@given(seeds)
def test_the_sign_says_what_removal_does_to_the_gradient(seed):
    net, x, y = make(seed)
    layer = net.weighted[seed % 3]
    q = seed % layer.weight.size
    whole = layer.weight.reshape(-1)
    whole[q] = small = 1e-5  # and its own first-order effect with it
    scores = raw_scores(net, x, y, 1.0)
    with_it = weight_gradients(net, x, y)
    whole[q] = 0
    without = weight_gradients(net, x, y)
    change = dot(without, without) - dot(with_it, with_it)
    # The second order in w_q, and a kink now and then within 1e-5.
    assert change == pytest.approx(2 * scores[seed % 3][q], abs=200 * small**2)


def test_even_halves_change_nothing_but_the_scale():
    net, x, y = make(936)
    one = grasp_scores(net, x[:6], y[:6], temperature=1.0)
    two = grasp_scores(net, x[:6], y[:6], temperature=1.0, halves=True)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-6)


def test_zeros_score_zero_and_scores_have_both_signs():
    net, x, y = make(937)
    net.weighted[1].weight[2, 3] = 0
    scores = grasp_scores(net, x, y)
    assert scores[1].reshape(5, 7)[2, 3] == 0
    assert min(part.min() for part in scores) < 0 < max(part.max() for part in scores)


def test_without_a_gradient_the_code_keeps_everything():
    net, x, y = example(), np.zeros((4, 2)), Y
    assert not grasp_scores(net, x, y)[0].any()
    assert grasp(net, x, y, 0.5)[0].tolist() == [2, 3]
    rng = np.random.default_rng(938)
    assert grasp(net, x, y, 0.5, convention="grasp-public", rng=rng)[0].tolist() == []


def test_of_equal_scores_synaptic_flow_removes_all():
    # Three rows of zeros score 0; as many are to go that the cut lies among them.
    net, x, y = make(937)
    zeros = net.weighted[1].weight
    zeros[1:4] = 0
    n, k = sum(net.connections), sum(int((s >= 0).sum()) for s in grasp_scores(net, x, y)) - 5
    comp = grasp(net, x, y, 1 - (k + 0.5) / n, convention="synaptic-flow")
    exact = grasp(net, x, y, 1 - (k + 0.5) / n, count="trunc_removed")
    assert sum(map(len, exact)) == k
    assert sum(map(len, comp)) == k + 5
    assert set(range(7, 28)) <= set(comp[1].tolist())


def test_weights_drawn_anew_score_and_the_network_keeps_its_own():
    net, x, y = make(939, 0.5)
    before = [values(la).copy() for la in net.weighted]
    comp = grasp_scores(net, x, y, fc_reinit_for_scoring=True, rng=np.random.default_rng(940))
    for old, la in zip(before, net.weighted, strict=True):
        np.testing.assert_array_equal(old, values(la))
    for la, stream in zip(net.weighted, np.random.default_rng(940).spawn(3), strict=True):
        drawn = stream.standard_normal(la.weight.nnz)
        values(la)[:] = np.sqrt(2 / (la.n_in + la.n_out)) * drawn
    for one, two in zip(grasp_scores(net, x, y), comp, strict=True):
        np.testing.assert_array_equal(one, two)


# Errors -------------------------------------------------------------------------------------------


class Square:
    """A layer that bends."""

    def __repr__(self):
        return "Square()"

    def parameters(self):
        return {}

    def shape_after(self, shape):
        return shape

    def forward(self, x, rng=None, n=None):
        return x * x, lambda delta, wanted=True: (2 * x * delta, None)


def test_layers_that_bend_are_refused():
    net = Network([Dense(W), Square(), Dense(W)])
    with refuses(TypeError, "grasp: layers must be piecewise linear, got Square()"):
        grasp(net, X, Y, 0.5)
    with refuses(TypeError, "weight_gradients: layers must be piecewise linear, got Square()"):
        weight_gradients(net, X, Y)
    with refuses(TypeError, "hessian_product: layers must be piecewise linear, got Square()"):
        hessian_product(net, X, Y, [W.reshape(-1)] * 2)


def test_other_losses_are_refused():
    net = Network([Dense(W)], "squared_error")
    message = ": the loss must be softmax_cross_entropy, got squared_error"
    with refuses(ValueError, "grasp" + message):
        grasp(net, X, Y, 0.5)
    with refuses(ValueError, "weight_gradients" + message):
        weight_gradients(net, X, Y)


@pytest.mark.parametrize("temperature", [0, -1.0, float("inf"), float("nan")])
def test_a_temperature_must_be_positive(temperature):
    with refuses(ValueError, f"grasp: temperature must be positive, got {temperature}"):
        grasp_scores(example(), X, Y, temperature=temperature)


def test_drawing_anew_needs_a_generator():
    message = "grasp: weights drawn anew for scoring need a generator, got None"
    with refuses(ValueError, message):
        grasp(example(), X, Y, 0.5, convention="grasp-public")
    with refuses(TypeError, "grasp: rng must be a Generator, got int"):
        grasp(example(), X, Y, 0.5, convention="grasp-public", rng=3)


def test_scores_that_are_no_numbers_are_refused():
    net = example("sparse")
    net.weighted[0].weight.data[1] = np.nan
    with refuses(ValueError, "grasp: scores must be finite, got nan"):
        grasp_scores(net, X, Y)


def test_labels_must_be_classes():
    with refuses(ValueError, "softmax_cross_entropy: labels must be in [0, 2), got 2"):
        grasp(example(), X, np.array([0, 1, 2, 1]), 0.5)
    with refuses(ValueError, "grasp: x and y must be equally many and not none, got 4 and 2"):
        grasp(example(), X, Y[:2], 0.5)


def test_a_direction_must_fit_the_connections():
    message = "hessian_product: direction must have shapes [(4,)], got [(3,)]"
    with refuses(ValueError, message):
        hessian_product(example(), X, Y, [np.ones(3)])
    with refuses(ValueError, "weight_gradients: x must have shape (n, 2) or alike, got (4, 1)"):
        weight_gradients(example(), X[:, :1], Y)
