"""Structure without values: new weights on a structure, and random structures like another."""

import re

import numpy as np
import pytest

from sparse_ref import csr
from sparse_ref.analysis import random_structure, reinitialised
from sparse_ref.layers import Dense, SReLU
from sparse_ref.models import mlp

SIZES = (9, 8, 7, 4)


def make(seed=61, **options):
    options = {"density": 0.4, "dtype": np.float64, **options}
    return mlp(SIZES, rng=np.random.default_rng(seed), **options)


def values(net):
    return [p.value for p in net.parameters()]


@pytest.mark.parametrize("activation", ["relu", "srelu"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("fan", ["shape", "nnz"])
@pytest.mark.parametrize("initialisation", ["kaiming_uniform", "torch", "truncated_normal"])
def test_it_is_the_network_that_the_model_makes_of_the_structure(
    initialisation, fan, dtype, activation
):
    net = make(dtype=dtype, activation=activation)
    drawn = {"initialisation": initialisation, "fan": fan}
    comp = reinitialised(net, np.random.default_rng(62), **drawn)
    ref = mlp(
        SIZES,
        structure=net.topology,
        rng=np.random.default_rng(62),
        dtype=dtype,
        activation=activation,
        **drawn,
    )
    for one, other in zip(values(comp), values(ref), strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == dtype


def test_the_structure_stays_to_the_bit_and_the_network_too():
    net = make()
    before = [value.copy() for value in values(net)]
    new = reinitialised(net, np.random.default_rng(63))
    for old, now in zip(net.sparse_layers, new.sparse_layers, strict=True):
        np.testing.assert_array_equal(old.weight.indptr, now.weight.indptr)
        np.testing.assert_array_equal(old.weight.indices, now.weight.indices)
        assert not np.any(old.weight.data == now.weight.data)
    for value, copy in zip(values(net), before, strict=True):
        np.testing.assert_array_equal(value, copy)


def test_old_values_say_nothing():
    net, other = make(initialisation="torch"), make(initialisation="torch")
    for value in values(other):
        value += 3.0
    one, two = (reinitialised(n, np.random.default_rng(64), "torch") for n in (net, other))
    for a, b in zip(values(one), values(two), strict=True):
        np.testing.assert_array_equal(a, b)


def test_seeds_differ_and_repeat():
    first, again, other = (
        reinitialised(make(), np.random.default_rng(seed)).layers[0].weight.data
        for seed in (65, 65, 66)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.any(first == other)


def test_dense_layers_stay_dense():
    net = make(dense=[-1], activation="srelu")
    new = reinitialised(net, np.random.default_rng(67))
    assert isinstance(new.layers[-1], Dense)
    assert not np.any(new.layers[-1].weight == net.layers[-1].weight)
    assert isinstance(new.layers[1], SReLU)
    assert new.layers[1] is not net.layers[1]
    assert new.loss == net.loss


def test_a_random_structure_has_the_counts_of_each_layer():
    net = make()
    found = random_structure(net, np.random.default_rng(68))
    assert [w.nnz for w in found] == [*net.connections]
    assert [w.shape for w in found] == [w.shape for w in net.topology]
    flats = [csr.flat(w).tolist() for w in found]
    assert flats != [csr.flat(w).tolist() for w in net.topology]
    again = random_structure(net, np.random.default_rng(68))
    assert flats == [csr.flat(w).tolist() for w in again]


def test_a_uniform_one_has_the_same_number_in_all():
    layers = [np.ones((3, 4)), np.eye(6)]  # 12 + 6 of 12 + 36 positions
    found = random_structure(layers, np.random.default_rng(69), "uniform")
    assert [w.nnz for w in found] == [5, 13]  # of 4.5 and 13.5 the lower layer is raised
    whole = random_structure([np.ones((2, 2))], np.random.default_rng(70), "uniform")
    assert whole[0].nnz == 4


def test_positions_are_uniform():
    layers, hits = [np.eye(3)], np.zeros((3, 3))
    for rng in np.random.default_rng(71).spawn(1800):
        hits += csr.pattern(random_structure(layers, rng)[0])
    # Each of 9 with probability 1/3: 600 ± 20.
    np.testing.assert_allclose(hits, 600, atol=100)


def test_what_is_refused():
    rule = "random_structure: counts must be one of ['same_per_layer', 'uniform'], got 'erk'"
    with pytest.raises(ValueError, match="^" + re.escape(rule)):
        random_structure(make(), np.random.default_rng(72), "erk")
    for who, call in (("random_structure", random_structure), ("reinitialised", reinitialised)):
        with pytest.raises(TypeError, match=f"^{who}: rng must be a numpy.random.Generator, got "):
            call(make(), 7)
    with pytest.raises(ValueError, match=r"^initialise: scheme must be one of "):
        reinitialised(make(), np.random.default_rng(73), "ones")
