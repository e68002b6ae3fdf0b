"""The papers' networks: counts, kinds, draws."""

import re

import numpy as np
import pytest

from sparse_ref import csr
from sparse_ref.layers import AllReLU, Dense, Dropout, Linear, ReLU, SReLU
from sparse_ref.layers.unscaled_dropout import EvaluationScale, UnscaledDropout
from sparse_ref.models import DRAWS, MODELS, lenet_300_100, mlp

DTYPES = (np.float32, np.float64)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
SIZES = (12, 9, 7, 4)


def refuses(kind, message):
    """The whole message, word for word."""
    return pytest.raises(kind, match="^" + re.escape(message) + "$")


def make(sizes=SIZES, density=0.4, seed=131, **options):
    return mlp(sizes, density=density, rng=np.random.default_rng(seed), **options)


def kinds(net):
    return [type(layer) for layer in net.layers]


def all_bytes(net):
    """Everything a network holds: parameters and patterns."""
    patterns = [csr.flat(layer.weight).tobytes() for layer in net.sparse_layers]
    return [p.value.tobytes() for p in net.parameters()] + patterns


# Counts -------------------------------------------------------------------------------------------


def lenet(**options):
    return lenet_300_100(rng=np.random.default_rng(132), **options)


def test_lenet_300_100_has_266_200_weights():
    net = lenet(density=None)
    assert net.connections == (235_200, 30_000, 1_000)
    assert sum(net.connections) == 266_200


def test_lenet_300_100_has_266_610_parameters():
    assert sum(p.value.size for p in lenet(density=None).parameters()) == 266_610


def test_lenet_300_100_has_relu_between_and_linear_outputs():
    assert kinds(lenet(density=None)) == [Dense, ReLU, Dense, ReLU, Dense]


def test_lenet_300_100_at_density_a_tenth():
    # erk: the last layer is full, 26620 - 1000 = 25620 shared as 1084 : 400 (inputs + outputs)
    #      25620 * 1084 / 1484 = 18714.2 and 6905.8
    net = lenet(density=0.1)
    assert net.connections == (18714, 6906, 1000)
    assert net.density == 0.1


def test_lenet_300_100_at_density_a_tenth_uniformly():
    assert lenet(density=0.1, distribution="uniform").connections == (23520, 3000, 100)


def test_lenet_300_100_by_given_counts():
    # specs/models.md 1: every layer at sparsity .905
    net = lenet(density=0.5, distribution=[22344, 2850, 95])
    assert net.connections == (22344, 2850, 95)


def test_the_network_of_liu2020_for_fashion_mnist():
    # specs/models.md 1: 1 851 808 weights, 1 854 170 with biases, 9 408 parameters of SReLU
    net = make((784, 784, 784, 784, 10), density=None, activation="srelu")
    assert sum(net.connections) == 1_851_808
    assert sum(p.value.size for p in net.parameters()) == 1_854_170 + 9_408


def test_every_model_is_listed_by_its_name():
    assert MODELS["lenet_300_100"] is lenet_300_100


def test_a_given_density_is_met_to_the_connection():
    for density in (0.0, 0.05, 0.3, 0.77, 1.0):
        total = 12 * 9 + 9 * 7 + 7 * 4
        assert sum(make(density=density).connections) == round(density * total)


def test_density_1_is_sparse_storage_of_every_position():
    net = make(density=1)
    assert kinds(net)[0] is Linear
    assert net.connections == (108, 63, 28)


def test_counts_may_be_given():
    assert make(distribution=[10, 0, 28]).connections == (10, 0, 28)


def test_given_counts_leave_density_unread():
    assert make(density=7.5, distribution=[10, 0, 28]).connections == (10, 0, 28)


# Dense layers -------------------------------------------------------------------------------------


def test_density_none_makes_every_layer_dense():
    assert [type(layer) for layer in make(density=None).weighted] == [Dense] * 3


def test_given_counts_settle_the_density_whatever_it_says():
    assert make(density=None, distribution=[10, 0, 28]).connections == (10, 0, 28)


def test_the_depth_of_a_network_moves_no_later_draw():
    draws = []
    for sizes in ([6, 4], [6, 5, 5, 4]):
        rng = np.random.default_rng(313)
        mlp(sizes, density=0.5, rng=rng)
        draws.append(rng.spawn(1)[0].random())
    assert draws[0] == draws[1]


@pytest.mark.parametrize("dense", [(-1,), (2,), (-1, 2)])
def test_dense_minus_1_is_the_output_layer(dense):
    assert [type(layer) for layer in make(dense=dense).weighted] == [Linear, Linear, Dense]


def test_dense_layers_are_outside_the_budget():
    net = make(dense=(-1,), density=0.5)
    assert sum(net.connections[:2]) == round(0.5 * (108 + 63))


def test_given_counts_are_for_the_sparse_layers_only():
    assert make(dense=(0,), distribution=[10, 20]).connections == (108, 10, 20)


def test_every_layer_may_be_named_dense():
    assert [type(layer) for layer in make(dense=(0, 1, 2)).weighted] == [Dense] * 3


# Draws --------------------------------------------------------------------------------------------


def test_the_same_seed_makes_the_same_bytes():
    options = {"activation": "srelu", "dense": (-1,), "initialisation": "torch"}
    assert all_bytes(make(**options)) == all_bytes(make(**options))


def test_another_seed_makes_another_network():
    assert all_bytes(make(seed=133)) != all_bytes(make(seed=134))


@pytest.mark.parametrize("draw", DRAWS)
def test_another_layer_leaves_the_draws_of_the_others(draw):
    counts = {"draw": draw, "activation": "srelu", "initialisation": "torch"}
    short = make((6, 5, 4), distribution=[13, 9], **counts)
    long = make((6, 5, 4, 3), distribution=[13, 9, 5], **counts)
    assert [p.value.tobytes() for p in short.parameters()] == [
        p.value.tobytes() for p in long.parameters()[: len(short.parameters())]
    ]
    for ref, comp in zip(short.sparse_layers, long.sparse_layers[:2], strict=True):
        np.testing.assert_array_equal(csr.pattern(ref.weight), csr.pattern(comp.weight))


@pytest.mark.parametrize("option", [{"activation": "srelu"}, {"dropout": 0.5}])
def test_activations_leave_the_draws_of_the_weights(option):
    for ref, comp in zip(make().weighted, make(**option).weighted, strict=True):
        assert ref.weight.data.tobytes() == comp.weight.data.tobytes()


@pytest.mark.parametrize("option", [{"density": 0.9}, {"initialisation": "truncated_normal"}])
def test_weights_leave_the_draws_of_the_activations(option):
    ref, comp = make(activation="srelu"), make(**{"activation": "srelu", **option})
    np.testing.assert_array_equal(ref.layers[1].left_slope, comp.layers[1].left_slope)


def test_layers_draw_from_different_streams():
    net = make((6, 6, 6), density=None)
    assert (net.weighted[0].weight != net.weighted[1].weight).any()


def test_the_generator_itself_is_not_drawn_from():
    # Only streams are spawned, so what the caller draws next does not depend on the network.
    rng = np.random.default_rng(135)
    mlp(SIZES, density=0.4, rng=rng)
    assert rng.random() == np.random.default_rng(135).random()


def test_exact_draws_are_uniform_over_the_positions():
    counts = np.zeros((3, 4))
    for seed in range(200, 2200):
        counts += csr.pattern(make((4, 3), seed=seed, distribution=[4]).sparse_layers[0].weight)
    # Each position is in a third of 2000 draws: 666.7, deviation 21.1; 12 positions, 4 deviations.
    assert np.abs(counts - 2000 / 3).max() < 4 * 21.1


def test_bernoulli_draws_have_the_count_on_average_only():
    counts = [
        make((20, 10), seed=seed, distribution=[50], draw="bernoulli").connections[0]
        for seed in range(200, 1200)
    ]
    # Binomial(200, 1/4): mean 50, deviation 6.12; of 1000 the mean within 4 of its deviations, the
    # variance 37.5 within 4 of its own (37.5 sqrt(2 / 1000) = 1.68).
    assert abs(np.mean(counts) - 50) < 4 * 6.12 / np.sqrt(1000)
    assert abs(np.var(counts) - 37.5) < 4 * 1.68


def test_draws_with_replacement_may_be_more_than_there_are_positions():
    net = make((9, 7), distribution=[200], draw="with_replacement")
    # 200 draws of 63: 63 (62/63)^200 = 2.6 positions stay empty on average, none with 7 %.
    assert 50 < net.connections[0] <= 63


def test_draws_with_replacement_make_fewer_connections_than_draws():
    counts = [
        make((20, 10), seed=seed, distribution=[50], draw="with_replacement").connections[0]
        for seed in range(200, 1200)
    ]
    # 200 (1 - (199/200)^50) = 44.3; the deviation of one count is below 2.5.
    assert abs(np.mean(counts) - 44.34) < 4 * 2.5 / np.sqrt(1000)


def test_a_named_distribution_allocates_the_draws():
    net = make(density=0.4, draw="with_replacement")
    exact = make(density=0.4).connections
    assert all(0 < n <= most for n, most in zip(net.connections, exact, strict=True))


def test_starting_weights_follow_scheme_and_fan():
    net = make((40, 30, 20), initialisation="kaiming_uniform", fan="nnz", density=0.2)
    for layer in net.sparse_layers:
        fan_in = np.diff(layer.weight.indptr)
        bound = np.repeat(np.sqrt(6 / np.maximum(fan_in, 1)), fan_in)
        assert (np.abs(layer.weight.data) <= bound * (1 + 1e-6)).all()  # rounded to float32
        assert np.abs(layer.weight.data / bound).max() > 0.9


def test_dense_layers_start_by_the_same_law():
    weight = make((300, 200), density=None, initialisation="torch").weighted[0].weight
    bound = 1 / np.sqrt(300)
    # Of 60000 draws the largest is below .999 of the bound with probability 9e-27.
    assert 0.999 * bound < np.abs(weight).max() <= bound * (1 + 1e-6)


def test_biases_follow_the_scheme():
    net = make(initialisation="truncated_normal")
    assert {float(b) for layer in net.weighted for b in layer.bias} == {float(np.float32(0.1))}


# Kinds --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("activation", "kind"), [("relu", ReLU), ("srelu", SReLU), ("all_relu", AllReLU)]
)
def test_hidden_layers_have_the_activation_and_outputs_none(activation, kind):
    assert kinds(make(activation=activation)) == [Linear, kind, Linear, kind, Linear]


def test_all_relu_counts_layers_from_2():
    layers = [layer for layer in make(activation="all_relu").layers if isinstance(layer, AllReLU)]
    assert [(layer.layer_number, layer.alpha) for layer in layers] == [(2, 0.6), (3, 0.6)]


def test_srelu_has_as_many_units_as_its_layer():
    layers = [layer for layer in make(activation="srelu").layers if isinstance(layer, SReLU)]
    assert [len(layer.left_slope) for layer in layers] == [9, 7]


def test_dropout_follows_every_hidden_activation():
    net = make(dropout=0.3)
    assert kinds(net) == [Linear, ReLU, Dropout, Linear, ReLU, Dropout, Linear]
    assert net.layers[2].rate == 0.3


def test_the_authors_dropout_scales_every_sum_behind_it():
    net = make(dropout=0.3, dropout_rule="mocanu_code")
    first, second = [Linear, ReLU, UnscaledDropout], [Linear, EvaluationScale, ReLU]
    assert kinds(net) == [*first, *second, UnscaledDropout, Linear, EvaluationScale]
    assert {net.layers[k].rate for k in (2, 4, 6, 8)} == {0.3}


def test_no_dropout_is_no_layer_by_either_rule():
    assert kinds(make(dropout_rule="mocanu_code")) == kinds(make())


def test_one_layer_has_no_activation():
    assert kinds(make((5, 3))) == [Linear]


def test_the_loss_is_passed_on():
    assert make(loss="squared_error").loss == "squared_error"


@every_dtype
@pytest.mark.parametrize("density", [0.3, None])
def test_every_parameter_has_the_dtype(dtype, density):
    net = make(dtype=dtype, density=density, activation="srelu", initialisation="torch")
    assert {p.value.dtype for p in net.parameters()} == {np.dtype(dtype)}


def test_the_default_dtype_is_float32():
    assert make().dtype == np.float32


def test_a_layer_of_billions_of_positions_can_be_made():
    net = make((50000, 50000), distribution=[1000])
    assert net.connections == (1000,)


# Errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(5,), (), (5, 0, 3), (5, -1), (5, 2.5, 3)])
def test_sizes_must_be_two_or_more_positive_integers(sizes):
    with refuses(ValueError, f"mlp: sizes must be two or more positive integers, got {sizes}"):
        make(sizes)


@pytest.mark.parametrize("rng", [7, None, np.random.RandomState(7)])
def test_rng_must_be_a_generator(rng):
    message = f"mlp: rng must be a numpy.random.Generator, got {type(rng).__name__}"
    with refuses(TypeError, message):
        mlp(SIZES, density=0.4, rng=rng)


@pytest.mark.parametrize("layer", [3, -4])
def test_dense_must_name_layers(layer):
    with refuses(ValueError, f"mlp: dense must name layers in [-3, 3), got {layer}"):
        make(dense=(0, layer))


@pytest.mark.parametrize("density", [0.4, None])
def test_an_unknown_draw_is_refused(density):
    with refuses(
        ValueError,
        "mlp: draw must be one of ['exact', 'bernoulli', 'with_replacement'], got 'coin'",
    ):
        make(draw="coin", density=density)


def test_an_unknown_dropout_rule_is_refused():
    rule = "mlp: dropout_rule must be one of ['inverted', 'mocanu_code'], got 'none'"
    with refuses(ValueError, rule):
        make(dropout_rule="none")


@pytest.mark.parametrize("numbers", [[5, 5], [5, 5, -1]])
def test_numbers_of_draws_must_fit_the_layers(numbers):
    rule = f"mlp: numbers of draws must be 3, none negative, got {numbers}"
    with refuses(ValueError, rule):
        make(distribution=numbers, draw="with_replacement")


@pytest.mark.parametrize("sizes", [SIZES, (12, 4)])
def test_an_unknown_activation_is_refused(sizes):
    with refuses(
        ValueError, "mlp: activation must be one of ['relu', 'srelu', 'all_relu'], got 'tanh'"
    ):
        make(sizes, activation="tanh")


def test_an_unknown_loss_is_refused():
    with pytest.raises(ValueError, match=r"loss must be one of .*, got 'hinge'"):
        make(loss="hinge")


@pytest.mark.parametrize("density", [0.4, None])
def test_an_unknown_initialisation_is_refused(density):
    with pytest.raises(ValueError, match=r"scheme must be one of .*, got 'he'"):
        make(initialisation="he", density=density)


def test_an_unknown_distribution_is_refused():
    with pytest.raises(ValueError, match=r"distribution must be one of .*, got 'flat'"):
        make(distribution="flat")


@pytest.mark.parametrize("density", [-0.1, 1.1, np.nan])
def test_density_must_be_a_fraction(density):
    with pytest.raises(ValueError, match=rf"density must be in \[0, 1\], got {density}"):
        make(density=density)


@pytest.mark.parametrize("rate", [1.0, -0.1])
def test_dropout_must_be_a_rate(rate):
    with refuses(ValueError, f"Dropout: rate must be in [0, 1), got {rate}"):
        make(dropout=rate)


@pytest.mark.parametrize("dtype", [np.float16, np.int64])
@pytest.mark.parametrize("density", [0.4, None])
def test_other_dtypes_are_refused(dtype, density):
    with pytest.raises(TypeError, match=rf"must be float32 or float64, got {np.dtype(dtype)}"):
        make(dtype=dtype, density=density)


def test_density_must_be_said():
    with pytest.raises(TypeError, match="density"):
        mlp(SIZES, rng=np.random.default_rng(136))


STRUCTURE = [np.array([[1, 0, 1], [0, 1, 0]]), np.array([[1, 0], [0, 1]])]


def test_a_structure_takes_the_place_of_the_density():
    net = mlp([3, 2, 2], structure=STRUCTURE, rng=np.random.default_rng(7))
    assert [csr.pattern(layer.weight).tolist() for layer in net.sparse_layers] == [
        part.astype(bool).tolist() for part in STRUCTURE
    ]
    assert np.all(net.sparse_layers[0].weight.data != 0)  # drawn, not the structure's ones
    drawn = mlp([3, 2, 2], density=0.5, rng=np.random.default_rng(7), initialisation="set")
    given = mlp(
        [3, 2, 2], structure=drawn, rng=np.random.default_rng(7), initialisation="truncated_normal"
    )
    assert given.connections == drawn.connections
    assert given.layers[0].weight.data is not drawn.layers[0].weight.data


def test_a_structure_has_a_pattern_for_each_sparse_layer_only():
    net = mlp([3, 2, 2], structure=STRUCTURE[:1], dense=[-1], rng=np.random.default_rng(7))
    assert net.connections == (3, 4)
    assert len(net.sparse_layers) == 1


def test_a_structure_that_does_not_fit_is_refused():
    rng = np.random.default_rng(7)
    with pytest.raises(ValueError, match=r"^mlp: structure must have a pattern for each of 2 sp"):
        mlp([3, 2, 2], structure=STRUCTURE[:1], rng=rng)
    with pytest.raises(ValueError, match=r"structure of layer 1 must have shape \(4, 2\), got \("):
        mlp([3, 2, 4], structure=STRUCTURE, rng=rng)
    for beside in ({"density": 0.1}, {"distribution": "uniform"}, {"draw": "bernoulli"}):
        (option,) = beside
        with pytest.raises(ValueError, match=f"^mlp: {option} must be left out beside structure, "):
            mlp([3, 2, 2], structure=STRUCTURE, rng=rng, **beside)
    with pytest.raises(TypeError, match=r"^mlp: density must be given \(None for a dense netw"):
        mlp([3, 2, 2], rng=rng)


def test_a_relu_on_the_outputs_if_asked_for():
    net, plain = make(logits_activation="relu"), make()
    assert kinds(net) == [*kinds(plain), ReLU]
    x = np.random.default_rng(163).standard_normal((9, net.n_in))
    np.testing.assert_array_equal(net.predict(x), np.maximum(plain.predict(x), 0))
    with pytest.raises(ValueError, match=r"^mlp: logits_activation must be one of"):
        make(logits_activation="tanh")
