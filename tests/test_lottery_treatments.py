"""What survivors start from: hand examples, laws, and that nothing else is touched."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparse_ref import csr
from sparse_ref.initialise import initial_weights
from sparse_ref.lottery import KINDS, SOURCES, Origin, Treatment, as_treatment, treatments
from sparse_ref.models import mlp

SIZES = (7, 6, 4)
W0 = np.array([0.3, -0.1, 0.2, -0.4])
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def make(seed=41, dtype=np.float64, **options):
    options = {"density": None, "initialisation": "torch", **options}
    return mlp(SIZES, rng=np.random.default_rng(seed), dtype=dtype, **options)


def trained(net, seed=42):
    """The network with other values, as a training would leave it."""
    rng = np.random.default_rng(seed)
    for parameter in net.parameters():
        parameter.value[...] = rng.standard_normal(parameter.value.shape)
    return net


def odd_slots(net):
    return [np.arange(1, n, 2) for n in net.connections]


def treated(treatment, seed=43, net=None, wanted=False):
    """First values, trained ones and starting ones of the survivors of a pruning, by layer."""
    net = make() if net is None else net
    origin = Origin(net, treatment, wanted)
    trained(net)
    origin.follow(net.prune(odd_slots(net)))
    left = [layer.weight.data.copy() for layer in net.weighted]
    biases = [layer.bias.copy() for layer in net.weighted]
    origin.treat(net, np.random.default_rng(seed))
    return net, origin, left, biases


# ---------------------------------------------------------------- by hand


def test_sigma_by_hand():
    assert treatments.sigma(W0, ddof=0) == pytest.approx(0.2738612788, abs=5e-11)
    assert treatments.sigma(W0) == pytest.approx(0.3162277660, abs=5e-11)
    ref = 0.31622777 * np.array([1, -1, 1, -1])
    np.testing.assert_allclose(treatments.sigma_sign(W0, treatments.sigma(W0)), ref, atol=5e-9)


def test_sigma_of_pytorchs_uniform_start():
    values = np.random.default_rng(44).uniform(-1, 1, 200_000) / np.sqrt(300)
    assert treatments.sigma(values) == pytest.approx(1 / np.sqrt(3 * 300), rel=5e-3)


def test_a_sign_of_zero_is_zero():
    first = np.array([0.0, -2.0])
    np.testing.assert_array_equal(treatments.sigma_sign(first, 0.5), [0, -0.5])
    np.testing.assert_array_equal(treatments.with_signs(np.array([-3.0, 4.0]), first), [0, -4])


def test_signed_samples_come_from_values_of_that_sign():
    every, first = np.array([1.0, 2.0, -3.0, 0.0]), np.array([0.5, -0.5, 0.0, 0.1])
    found = treatments.resample_signed(every, first, np.random.default_rng(45))
    assert found[1] == found[2] == -3  # in their code what is not positive is negative
    assert set(found[[0, 3]]) <= {1.0, 2.0}


def test_sigma_of_too_few():
    assert treatments.sigma(W0[:0]) == 0.0
    assert treatments.sigma(W0[:1], ddof=0) == 0.0
    with pytest.raises(ValueError, match=r"^sigma: with ddof 1 there must be more values, got 1$"):
        treatments.sigma(W0[:1])


def test_sigma_of_one_survivor_names_the_layer():
    net = make()
    origin = Origin(net, Treatment("sigma_sign", sigma_over="alive_initial"))
    origin.follow(net.prune([None, np.arange(1, net.connections[1])]))
    rule = r"^sigma_sign, weights of layer 1: with ddof 1 there must be more values, got 1$"
    with pytest.raises(ValueError, match=rule):
        origin.treat(net, np.random.default_rng(51))


def test_sigma_of_one_bias_is_of_no_matter_where_biases_stay():
    net = mlp((7, 6, 1), density=None, rng=np.random.default_rng(52))
    net.prune([None, np.arange(3)])
    Origin(net, Treatment("sigma_sign", biases=False)).treat(net, np.random.default_rng(53))
    assert len(np.unique(np.abs(net.weighted[1].weight.data))) == 1


def test_nothing_to_draw_from():
    with pytest.raises(ValueError, match=r"^resample: there must be values to draw 2 from, got no"):
        treatments.resample_signed(-W0[:0], W0[:3], np.random.default_rng(46))


# ---------------------------------------------------------------- of networks


def test_rewinding_gives_the_first_values_to_the_bit():
    net, ref = make(), make()
    net, *_ = treated(Treatment("rewind"), net=net)
    for now, first in zip(net.weighted, ref.weighted, strict=True):
        np.testing.assert_array_equal(now.weight.data, first.weight.ravel()[csr.flat(now.weight)])
        np.testing.assert_array_equal(now.bias, first.bias)


def test_finetuning_changes_nothing_and_keeps_nothing():
    net, origin, left, biases = treated(Treatment("finetune"))
    for layer, weight, bias in zip(net.weighted, left, biases, strict=True):
        np.testing.assert_array_equal(layer.weight.data, weight)
        np.testing.assert_array_equal(layer.bias, bias)
    assert origin.nbytes == 0


def test_first_weights_are_kept_for_finetuning_where_they_are_wanted():
    *_, origin, _, _ = treated(Treatment("finetune"), wanted=True)
    ref = [layer.weight.ravel()[::2] for layer in make().weighted]
    for one, other in zip(origin.weights, ref, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("ddof", [0, 1])
def test_sigma_sign_is_of_the_whole_layer_and_of_one_magnitude(ddof):
    net, *_ = treated(Treatment("sigma_sign", ddof=ddof))
    for now, first in zip(net.weighted, make().weighted, strict=True):
        (magnitude,) = np.unique(np.abs(now.weight.data))
        assert magnitude == pytest.approx(np.std(first.weight, ddof=ddof), rel=1e-14)
        signs = np.sign(first.weight.ravel()[csr.flat(now.weight)])
        np.testing.assert_array_equal(np.sign(now.weight.data), signs)
        ref = np.std(first.bias, ddof=ddof) * np.sign(first.bias)
        np.testing.assert_allclose(now.bias, ref, rtol=1e-14)


def test_sigma_may_be_of_the_survivors():
    net, origin, *_ = treated(Treatment("sigma_sign", sigma_over="alive_initial"))
    for now, first in zip(net.weighted, origin.weights, strict=True):
        assert np.abs(now.weight.data[0]) == pytest.approx(np.std(first, ddof=1), rel=1e-14)


def test_sigma_sign_is_idempotent_in_sign():
    net, origin, *_ = treated(Treatment("sigma_sign"))
    again = treatments.sigma_sign(net.weighted[0].weight.data, 1.0)
    np.testing.assert_array_equal(again, np.sign(origin.weights[0]))


def test_sign_only():
    net, *_ = treated(Treatment("sign"))
    for now, first in zip(net.weighted, make().weighted, strict=True):
        signs = np.sign(first.weight.ravel()[csr.flat(now.weight)])
        np.testing.assert_array_equal(now.weight.data, signs)
        np.testing.assert_array_equal(now.bias, np.sign(first.bias))


def reinitialised(source, signed=False, **options):
    return Treatment("reinitialise", source=source, signed=signed, **options)


def test_zero_biases_stay_zero_under_sigma_sign():
    net, *_ = treated(Treatment("sigma_sign"), net=make(initialisation="kaiming_uniform"))
    assert not any(layer.bias.any() for layer in net.weighted)


def test_a_fresh_draw_is_that_of_the_initialisation():
    net, origin, *_ = treated(reinitialised("fresh", initialisation="torch"), seed=47)
    streams = np.random.default_rng(47).spawn(2)
    for layer, stream, first in zip(net.weighted, streams, origin.weights, strict=True):
        draws, bias_draws = stream.spawn(2)
        ref = initial_weights(layer.weight, draws, "torch")
        np.testing.assert_array_equal(layer.weight.data, ref)
        assert not np.any(ref == first)
        assert layer.bias[0] == (2 * bias_draws.random() - 1) / np.sqrt(layer.n_in)


@every_dtype
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("source", SOURCES)
def test_the_structure_and_the_dtype_are_kept(source, signed, dtype):
    net, *_, biases = treated(reinitialised(source, signed), net=make(dtype=dtype))
    assert [csr.flat(la.weight).tolist() for la in net.weighted] == [
        [*range(0, n, 2)] for n in (42, 24)
    ]
    assert all(la.weight.dtype == la.bias.dtype == dtype for la in net.weighted)
    assert all(bias.dtype == dtype for bias in biases)


@pytest.mark.parametrize("source", SOURCES)
def test_signs_are_those_of_the_first_values(source):
    net, origin, *_ = treated(reinitialised(source, signed=True))
    for layer, first in zip(net.weighted, origin.weights, strict=True):
        np.testing.assert_array_equal(np.sign(layer.weight.data), np.sign(first))


@pytest.mark.parametrize("source", SOURCES[1:])
def test_values_come_from_the_layers_first_ones(source):
    net, origin, *_ = treated(reinitialised(source))
    for layer, alive, first in zip(net.weighted, origin.weights, make().weighted, strict=True):
        values = layer.weight.data
        assert set(values) <= set(first.weight.ravel())
        assert (set(values) <= set(alive)) == (source == "permute_alive")
        assert (len(set(values)) == len(values)) == (source != "resample")
        np.testing.assert_array_equal(layer.bias, first.bias)


def test_a_permutation_of_survivors_holds_each_once():
    net, origin, *_ = treated(reinitialised("permute_alive"))
    for layer, first in zip(net.weighted, origin.weights, strict=True):
        np.testing.assert_array_equal(np.sort(layer.weight.data), np.sort(first))


def test_one_permutation_of_all_serves_whatever_survives():
    # A second pruning keeps half of the survivors: they get what they got before.
    once, twice = (Origin(make(), reinitialised("permute_all")) for _ in range(2))
    net, smaller = trained(make()), trained(make())
    once.follow(net.prune(odd_slots(net)))
    twice.follow(smaller.prune(odd_slots(smaller)))
    twice.follow(smaller.prune(odd_slots(smaller)))
    once.treat(net, np.random.default_rng(48))
    twice.treat(smaller, np.random.default_rng(48))
    for many, few in zip(net.weighted, smaller.weighted, strict=True):
        np.testing.assert_array_equal(many.weight.data[::2], few.weight.data)


def test_what_is_kept_shrinks_with_the_survivors_unless_all_is_needed():
    sizes = {}
    for source in ("permute_alive", "permute_all"):
        *_, origin, _, _ = treated(reinitialised(source))
        sizes[source] = origin.nbytes
    biases, alive, every = 8 * 10, 8 * (21 + 12), 8 * (42 + 24)
    assert sizes == {"permute_alive": biases + alive, "permute_all": biases + 2 * alive + every}


@pytest.mark.parametrize("kind", KINDS)
def test_biases_may_stay_as_they_are(kind):
    net, *_, biases = treated(Treatment(kind, biases=False))
    for layer, bias in zip(net.weighted, biases, strict=True):
        np.testing.assert_array_equal(layer.bias, bias)


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_of_activations_are_rewound(kind):
    net = make(activation="srelu")
    first = [value.copy() for value in net.layers[1].parameters().values()]
    treated(Treatment(kind), net=net)
    pairs = zip(net.layers[1].parameters().values(), first, strict=True)
    same = [np.array_equal(now, before) for now, before in pairs]
    assert same == [kind != "finetune"] * 4


def test_a_layer_that_stays_dense_is_treated_too():
    net, ref = make(), make()
    origin = Origin(net, Treatment("rewind"))
    trained(net)
    origin.follow(net.prune([None, np.arange(3)]))
    origin.treat(net, np.random.default_rng(49))
    np.testing.assert_array_equal(net.weighted[0].weight, ref.weighted[0].weight)
    np.testing.assert_array_equal(net.weighted[1].weight.data, ref.weighted[1].weight.ravel()[3:])


@given(st.integers(2, 2**32), st.sampled_from(SOURCES), st.booleans())
def test_seeds_repeat(seed, source, signed):
    one, two = (treated(reinitialised(source, signed), seed=seed)[0] for _ in range(2))
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        np.testing.assert_array_equal(a.value, b.value)


def test_resampling_is_with_replacement_and_uniform():
    drawn = treatments.resample(W0, 40_000, np.random.default_rng(50))
    _, counts = np.unique(drawn, return_counts=True)
    np.testing.assert_allclose(counts, 10_000, atol=450)  # 87 is one standard deviation


@pytest.mark.parametrize(
    ("option", "value", "known"),
    [
        ("kind", "rewound", KINDS),
        ("source", "new", SOURCES),
        ("ddof", 2, (0, 1)),
        ("sigma_over", "all", treatments.SIGMAS),
        ("fan", "sparse", ("shape", "nnz", "layer")),
    ],
)
def test_what_is_refused(option, value, known):
    rule = f"Treatment: {option} must be one of {list(known)}, got {value!r}"
    with pytest.raises(ValueError, match="^" + re.escape(rule) + "$"):
        Treatment(**{option: value})


@pytest.mark.parametrize("option", ["signed", "biases", "from_step_zero"])
@pytest.mark.parametrize("value", ["no", 1, None])
def test_yes_or_no(option, value):
    rule = f"Treatment: {option} must be True or False, got {value!r}"
    with pytest.raises(TypeError, match="^" + re.escape(rule) + "$"):
        Treatment(**{option: value})


def test_a_treatment_goes_by_name():
    assert as_treatment("sign") == Treatment("sign")
    assert as_treatment(Treatment("finetune")) == Treatment("finetune")
    with pytest.raises(TypeError, match=r"^Treatment: must be a Treatment or the name of a kind, "):
        as_treatment(7)
