"""R_s, how many positions were ever connected (ITOP)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_ref import csr
from sparse_ref.topology import exploration_rate, explored
from sparse_ref.topology.exploration import positions


def test_the_rate_of_two_patterns():
    seen = explored([np.array([0, 2, 5, 7, 8, 10])], [np.array([0, 1, 2, 5, 7, 10])])
    assert [v.tolist() for v in seen] == [[0, 1, 2, 5, 7, 8, 10]]
    assert exploration_rate(seen, [12]) == 7 / 12


def test_the_rate_of_three_patterns():
    #                       1 1 . . .    1 . 1 . .    . 1 1 . .
    masks, rates = [[0, 1], [0, 2], [1, 2]], []
    seen = (np.empty(0, np.int64),)
    for mask in masks:
        seen = explored(seen, [np.array(mask)])
        rates.append(exploration_rate(seen, [5]))
    assert rates == [0.4, 0.6, 0.6]


def test_the_rate_of_layers_is_pooled():
    seen = [np.array([0, 1, 2]), np.array([], np.int64), np.array([3])]
    assert exploration_rate(seen, [4, 10, 6]) == 4 / 20


@pytest.mark.parametrize(("n", "sizes"), [(2, [5]), (1, [0]), (0, [])])
def test_a_rate_of_nothing_is_refused(n, sizes):
    with pytest.raises(ValueError, match=r"^exploration_rate: visited and sizes must be one a"):
        exploration_rate([np.arange(1)] * n, sizes)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.integers(0, 30), max_size=9), min_size=1, max_size=5))
def test_what_is_explored_is_the_union(patterns):
    seen, rates = (np.empty(0, np.int64),), []
    for pattern in patterns:
        seen = explored(seen, [np.unique(np.array(pattern, np.int64))])
        rates.append(exploration_rate(seen, [31]))
    assert seen[0].tolist() == sorted(set().union(*patterns))
    assert seen[0].dtype == np.int64
    assert rates == sorted(rates)


def test_a_training_begins_with_its_connections():
    weight = csr.from_dense(np.array([[0.0, 2.0], [3.0, 0.0]]))
    (found,) = positions([weight])
    assert (found.tolist(), found.dtype) == ([1, 2], np.int64)
