"""Sensitivity to further pruning: what goes, that it nests, and that nothing is changed."""

import itertools
import re
from fractions import Fraction

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparse_ref import csr
from sparse_ref.analysis import sensitivity, thinned
from sparse_ref.layers import Dense, Linear, ReLU
from sparse_ref.models import mlp
from sparse_ref.network import Network
from sparse_ref.train import evaluate

SIZES = (8, 7, 6, 4)
FRACTIONS = (0, 0.1, 0.35, Fraction(1, 2), 0.8, 1)
every_order = pytest.mark.parametrize("by", ["magnitude", "random"])
every_scope = pytest.mark.parametrize("scope", ["global", "local"])


def make(seed=31, density=0.6, dtype=np.float64, **options):
    rng = np.random.default_rng(seed)
    return mlp(SIZES, density=density, rng=rng, dtype=dtype, initialisation="torch", **options)


def examples(n=50, seed=32):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, SIZES[0])), rng.integers(0, SIZES[-1], n)


def flats(net):
    return [set(csr.flat(layer.weight).tolist()) for layer in net.sparse_layers]


def small_net():
    """Two layers whose magnitudes are 1 ... 4 and 5, 6."""
    first = csr.from_dense(np.array([[1.0, -3.0], [4.0, 2.0]]))
    return Network([Linear(first), ReLU(), Linear(csr.from_dense(np.array([[-6.0, 5.0]])))])


def test_by_hand():
    net = small_net()
    pooled, each = thinned(net, 0.5), thinned(net, 0.5, scope="local")
    assert [w.data.tolist() for w in pooled.topology] == [[4.0], [-6.0, 5.0]]  # 1, 2, 3 have gone
    assert [w.data.tolist() for w in each.topology] == [[-3.0, 4.0], [-6.0]]


def test_a_constant_network_is_right_as_often_as_its_class_comes_up():
    net, (x, y) = make(), examples()
    net.weighted[-1].bias[:] = [0.0, 0.0, 3.0, 0.0]
    for by in ("magnitude", "random"):
        (found,) = sensitivity(net, (x, y), [1], by=by, rng=np.random.default_rng(33))
        assert found == np.mean(y == 2)


@every_order
@every_scope
def test_without_removal_the_accuracy_is_that_of_the_network(by, scope):
    net, data = make(), examples()
    (found,) = sensitivity(net, data, [0], by=by, scope=scope, rng=np.random.default_rng(34))
    assert found == evaluate(net, data).accuracy


@every_order
@every_scope
def test_the_network_is_not_changed(by, scope):
    net, data = make(), examples()
    before = [(p.value, p.value.copy()) for p in net.parameters()]
    sensitivity(net, data, FRACTIONS, by=by, scope=scope, rng=np.random.default_rng(35))
    for now, (value, copy) in zip(net.parameters(), before, strict=True):
        assert now.value is value
        np.testing.assert_array_equal(value, copy)


@every_order
@every_scope
def test_sets_nest_and_have_the_size_that_is_asked_for(by, scope):
    net = make()
    sets = [
        flats(thinned(net, f, by=by, scope=scope, rng=np.random.default_rng(36))) for f in FRACTIONS
    ]
    for more, fewer in itertools.pairwise(sets):
        assert all(few <= many for few, many in zip(fewer, more, strict=True))
    for fraction, left in zip(FRACTIONS, sets, strict=True):
        if scope == "global":
            n = sum(net.connections)
            assert sum(map(len, left)) == n - round(fraction * n)
        else:
            assert [*map(len, left)] == [n - round(fraction * n) for n in net.connections]


def test_one_order_serves_all_fractions():
    net, data = make(), examples()
    whole = sensitivity(net, data, FRACTIONS, by="random", rng=np.random.default_rng(37))
    for fraction, accuracy in zip(FRACTIONS, whole, strict=True):
        again = thinned(net, fraction, by="random", rng=np.random.default_rng(37))
        assert evaluate(again, data).accuracy == accuracy


def test_magnitudes_draw_nothing_and_are_the_same_every_time():
    rng = np.random.default_rng(38)
    before = rng.bit_generator.state
    one = sensitivity(make(), examples(), FRACTIONS, rng=rng)
    assert rng.bit_generator.state == before
    np.testing.assert_array_equal(one, sensitivity(make(), examples(), FRACTIONS))


@given(st.integers(2, 2**32), st.fractions(0, 1), st.sampled_from([np.float32, np.float64]))
def test_as_the_naive_twin(seed, fraction, dtype):
    net = make(seed, dtype=dtype)
    for layer in net.sparse_layers:
        layer.weight.data[:] = np.round(4 * layer.weight.data) / 4  # ties, and stored zeros
    presents = [csr.pattern(layer.weight) for layer in net.sparse_layers]
    denses = [csr.to_dense(layer.weight) for layer in net.sparse_layers]
    counts = {"global": round(fraction * sum(net.connections))}
    counts["local"] = [round(fraction * n) for n in net.connections]
    for scope, count in counts.items():
        ref = naive.thinned(denses, presents, count)
        comp = thinned(net, fraction, scope=scope)
        assert comp.dtype == dtype
        for one, other in zip(comp.sparse_layers, ref, strict=True):
            np.testing.assert_array_equal(csr.to_dense(one.weight), other)


def test_signs_and_scale_do_not_matter():
    net, flipped = make(), make()
    for layer in flipped.sparse_layers:
        layer.weight.data *= -8.0
    assert flats(thinned(net, 0.4)) == flats(thinned(flipped, 0.4))


def test_random_sets_are_uniform():
    net, taken = small_net(), np.zeros(6)
    for rng in np.random.default_rng(39).spawn(2000):
        left = thinned(net, 0.5, by="random", rng=rng)
        kept = [csr.pattern(layer).ravel() for layer in left.topology]
        taken += ~np.concatenate(kept)
    # Each of 6 goes with probability 1/2: 1000 ± 22.
    np.testing.assert_allclose(taken, 1000, atol=110)


def test_connections_left_out_of_the_forward_pass_have_gone_already():
    net, data = make(), examples()
    net.sparse_layers[0].leave_out([0, 3, 4])
    assert sensitivity(net, data, [0])[0] == evaluate(net, data).accuracy
    left = thinned(net, 0.5, scope="local")
    n = net.connections[0] - 3
    assert left.connections[0] == n - round(n / 2)


def test_dense_layers_lose_nothing():
    net = make(dense=[-1])
    last = thinned(net, 1).layers[-1]
    assert isinstance(last, Dense)
    assert last is net.layers[-1]


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"by": "size"}, ValueError, "by must be one of ['magnitude', 'random'], got 'size'"),
        ({"scope": "all"}, ValueError, "scope must be one of ['global', 'local'], got 'all'"),
        ({"fractions": [1.2]}, ValueError, "fractions must be in [0, 1], got 1.2"),
        ({"by": "random"}, TypeError, "random removal needs a numpy.random.Generator, got None"),
    ],
)
def test_what_is_refused(options, kind, words):
    options = {"fractions": [0.5], **options}
    with pytest.raises(kind, match="^" + re.escape(f"sensitivity: {words}")):
        sensitivity(make(), examples(), **options)


def test_a_dense_network_has_nothing_to_remove():
    with pytest.raises(ValueError, match=r"^sensitivity: the network must have a sparse layer"):
        thinned(make(density=None), 0.5)
