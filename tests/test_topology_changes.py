"""Small changes of topologies, and chains of them (Liu et al. 2020, figure 3a)."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparse_ref import csr
from sparse_ref.topology import changed, generations, uniform


def generator(seed=19):
    return np.random.default_rng(seed)


def sets(layers):
    """Positions of the connections of each layer."""
    return [set(csr.flat(weight).tolist()) for weight in layers]


def same(a, b):
    return sets(a) == sets(b)


def test_one_in_four_elsewhere():
    layers = uniform([(4, 5), (6, 4)], 0.4, generator())
    for before, after in zip(sets(layers), sets(changed(layers, 0.25, generator(29))), strict=True):
        assert (len(before), len(after)) in [(8, 8), (10, 10)]
        assert len(before - after) == len(after - before) == round(0.25 * len(before))


@given(st.floats(0, 0.6), st.floats(0, 0.6), st.integers(2, 1000))
def test_neighbours_differ_by_twice_what_moved(density, fraction, seed):
    family = generations(
        uniform([(9, 13), (5, 9)], density, generator()), 4, fraction, generator(seed)
    )
    assert len(family) == 5
    for before, after in pairwise(family):
        for one, other in zip(before, after, strict=True):
            n = round(fraction * one.nnz)
            assert other.nnz == one.nnz
            distance = np.count_nonzero(csr.pattern(one) != csr.pattern(other))
            assert distance == 2 * n


def test_generations_of_figure_3a():
    (root,) = uniform([(784, 784)], 0.006, generator())
    assert root.nnz == 3_688
    family = generations([root], 9, 0.01, generator(31))
    away = [len(sets([root])[0] - sets(layers)[0]) for layers in family]
    assert away[:2] == [0, 37]
    assert all(a < b for a, b in pairwise(away))  # a return is rare: 37 in 6e5


def test_the_first_generations_do_not_depend_on_how_many_follow():
    root = uniform([(9, 13), (5, 9)], 0.3, generator())
    short, long = (generations(root, n, 0.2, generator(37)) for n in (2, 5))
    assert all(same(a, b) for a, b in zip(short, long[:3], strict=True))
    assert len(generations(root, 0, 0.2, generator(37))) == 1


def test_a_complete_layer_has_nowhere_to_go():
    layers = [*uniform([(6, 8)], 0.5, generator()), *uniform([(3, 6)], 1.0, generator())]
    sparse, dense = changed(layers, 0.5, generator(41))
    assert same([dense], layers[1:])
    assert len(sets([sparse])[0] - sets(layers[:1])[0]) == 12


def test_all_connections_may_move_if_there_is_room():
    (before,) = uniform([(4, 6)], 0.5, generator())
    assert sets(changed([before], 1.0, generator(43))) == [set(range(24)) - sets([before])[0]]


def test_what_is_changed_is_not_touched():
    layers = uniform([(6, 8)], 0.5, generator())
    copies = [w.copy() for w in layers]
    changed(layers, 0.5, generator(47))
    assert same(layers, copies)


def test_changes_that_cannot_be_made():
    layers = uniform([(6, 8), (4, 5)], 0.7, generator())
    with pytest.raises(ValueError, match=r"changed: fraction must be in \[0, 1\], got 1\.5"):
        changed(layers, 1.5, generator())
    with pytest.raises(ValueError, match="layer 0 has 14 empty places, too few for 17 conn"):
        changed(layers, 0.5, generator())
    for n in (-1, 1.5):
        with pytest.raises(ValueError, match=f"n must be a whole number >= 0, got {n}$"):
            generations(layers, n, 0.1, generator())
