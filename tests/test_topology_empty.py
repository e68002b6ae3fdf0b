"""Empty neurons, empty inputs and downsized parameters (Parger2022, table 4)."""

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparse_ref import csr
from sparse_ref.topology import downsized_parameters, emptiness, empty_inputs, empty_neurons

# Three layers written input by input, (n_in, n_out), as in the papers on topology.
M1 = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 1]])
M2 = np.array([[1, 0, 0], [0, 0, 0], [0, 1, 1], [0, 0, 1]])
M3 = np.array([[1, 0], [0, 0], [0, 1]])


def pattern(present):
    """A weight that stores 0.0 at every connection."""
    present = np.asarray(present, bool)
    return csr.from_dense(np.zeros(present.shape), present)


LAYERS = [pattern(m.T) for m in (M1, M2, M3)]


def test_by_hand():
    assert [int(empty_neurons(w).sum()) for w in LAYERS] == [1, 0, 0]
    assert [int(empty_inputs(w).sum()) for w in LAYERS] == [0, 1, 1]
    assert empty_neurons(LAYERS[0]).tolist() == [False, False, True, False]
    assert empty_inputs(LAYERS[1]).tolist() == [False, True, False, False]
    assert [downsized_parameters([w]) for w in LAYERS] == [9, 9, 4]
    found = emptiness(LAYERS)
    assert (found.neurons, found.inputs) == (pytest.approx(1 / 9), pytest.approx(2 / 10))
    assert (found.parameters, found.share) == (22, pytest.approx(22 / 30))


def test_percentages_are_of_all_units_and_no_mean_over_layers():
    found = emptiness([pattern([[1, 1, 1]]), pattern([[1], [0], [0], [0]])])
    assert found.neurons == pytest.approx(3 / 5)  # the mean over layers would be 3/8
    assert found.inputs == 0
    assert (found.parameters, found.share) == (4, pytest.approx(4 / 7))


def test_layers_are_looked_at_one_by_one():
    """Unit 0 is fed by nothing and still an input of the next layer."""
    assert downsized_parameters([pattern([[0, 0], [1, 0]]), pattern([[1, 1]])]) == 1 + 2


def test_an_empty_weight_needs_no_parameters():
    weight = pattern(np.zeros((3, 2)))
    assert emptiness([weight]) == (1.0, 1.0, 0, 0.0)


def test_a_stored_zero_is_a_connection():
    weight = csr.from_dense(np.array([[0.0, 1.0], [0.0, 0.0]]), np.array([[1, 1], [0, 0]], bool))
    assert downsized_parameters([weight]) == 2


@st.composite
def presents(draw):
    rows, columns = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    cells = draw(st.lists(st.booleans(), min_size=rows * columns, max_size=rows * columns))
    return np.array(cells).reshape(rows, columns)


@given(st.lists(presents(), min_size=1, max_size=3))
def test_as_the_naive_twin_and_within_bounds(layers):
    weights = [pattern(present) for present in layers]
    for weight, present in zip(weights, layers, strict=True):
        rows, columns = naive.empty_units(present)
        assert empty_neurons(weight).tolist() == rows
        assert empty_inputs(weight).tolist() == columns
    found = emptiness(weights)
    assert found.parameters == downsized_parameters(weights) == naive.downsized(layers)
    connections, positions = sum(w.nnz for w in weights), sum(p.size for p in layers)
    assert connections <= found.parameters <= positions
    assert found.share == pytest.approx(found.parameters / positions)


@given(presents(), st.randoms(use_true_random=False))
def test_the_order_of_units_does_not_matter(present, random):
    rows, columns = list(range(present.shape[0])), list(range(present.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    shuffled = emptiness([pattern(present[np.ix_(rows, columns)])])
    assert shuffled == emptiness([pattern(present)])


@given(presents(), st.data())
def test_one_connection_more_never_shrinks_what_is_needed(present, data):
    cell = data.draw(st.integers(0, present.size - 1))
    more = present.copy()
    more.flat[cell] = True
    before, after = emptiness([pattern(present)]), emptiness([pattern(more)])
    assert after.parameters >= before.parameters
    assert after.neurons <= before.neurons
    assert after.inputs <= before.inputs


def test_transposing_swaps_neurons_and_inputs():
    weight, transposed = pattern(M2), pattern(M2.T)
    assert empty_neurons(weight).tolist() == empty_inputs(transposed).tolist()
    assert downsized_parameters([weight]) == downsized_parameters([transposed])


@pytest.mark.parametrize("function", [empty_neurons, empty_inputs])
def test_a_mask_is_taken_and_another_format_refused(function):
    assert function(M2).tolist() == function(pattern(M2)).tolist()
    with pytest.raises(TypeError, match=f"{function.__name__}: weight must be a two-dimensional"):
        function(pattern(M2).tocsc())


def test_no_weight_at_all_is_refused():
    with pytest.raises(
        ValueError, match=r"^emptiness: a topology must have at least one layer, got none$"
    ):
        emptiness([])


def test_a_single_weight_is_a_network_of_one_layer():
    assert emptiness(LAYERS[0]) == emptiness(LAYERS[:1])
    assert downsized_parameters(LAYERS[0]) == 9


def test_of_no_units_there_are_no_fractions():
    found = emptiness(pattern(np.ones((0, 0))))
    assert np.isnan(found[:2]).all()
    assert (found.parameters, np.isnan(found.share)) == (0, True)
