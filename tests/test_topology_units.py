"""Channels, flattened images and residual links: which connections lie on a path."""

import math

import naive_units
import numpy as np
import pytest
from arrange_convnets import convnets
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_ref import Dense, Linear, Network, ReLU, csr, models
from sparse_ref.layers import BatchNorm, Conv2d, DenseConv2d, Flatten, LocalResponseNorm, MaxPool2d
from sparse_ref.residual import Residual
from sparse_ref.topology import (
    Link,
    UnitGraph,
    downsized_parameters,
    effective_pattern,
    effective_sparsity,
    effective_units,
    emptiness,
    empty_inputs,
    in_degrees,
    out_degrees,
)
from sparse_ref.topology.paths import MODES
from sparse_ref.topology.units import chain


def conv(present, image, **how):
    """A convolution of ones where `present`, (filters, channels / groups, kh, kw)."""
    present = np.array(present, bool)
    flat = present.reshape(len(present), -1)
    kernel = present.shape[2:]
    return Conv2d(csr.from_dense(flat * 1.0, flat), False, image=image, kernel=kernel, **how)


def linear(present):
    return Linear(csr.from_dense(np.array(present, float)))


def alive(net, mode="both"):
    return [units.astype(int).tolist() for units in effective_units(net, mode)]


#   Two 1x2 kernels a filter: filter 0 reads channel 0 by one position, filter 1 channel 1 by both,
#   filter 2 nothing. Flattened, 2 positions each; the output reads 1 of filter 0 and 0 of filter 2.
FIRST = [[[[0, 1]], [[0, 0]]], [[[0, 0]], [[1, 1]]], [[[0, 0]], [[0, 0]]]]
LAST = [[0, 1, 0, 0, 1, 0]]


def small():
    return Network([conv(FIRST, (2, 1, 3)), ReLU(), Flatten(), linear(LAST)])


def test_by_hand():
    net = small()
    assert alive(net) == [[1, 0], [1, 0, 0], [1]]
    assert alive(net, "output") == [[1, 0], [1, 0, 1], [1]]
    assert alive(net, "input") == [[1, 1], [1, 1, 0], [1]]
    found = {mode: [w.nnz for w in effective_pattern(net, mode)] for mode in MODES}
    assert found == {"both": [1, 1], "output": [1, 2], "input": [3, 1]}
    assert effective_sparsity(net) == 1 - 2 / (3 * 4 + 6)
    assert net.unit_graph == UnitGraph(
        (2, 3, 6, 1), (Link(0, 1, weight=0, block=2), Link(1, 2, block=2), Link(2, 3, weight=1))
    )


def test_weights_alone_need_the_graph():
    """Those of a snapshot, say, with the graph of the model."""
    net = small()
    for mode in MODES:
        assert effective_sparsity(net.topology, mode, graph=net.unit_graph) == effective_sparsity(
            net, mode
        )
    with pytest.raises(ValueError, match=r"^effective_sparsity: shapes must chain, but layer 0"):
        effective_sparsity(net.topology)
    with pytest.raises(ValueError, match=r"^effective_units: weights must have the shapes of gra"):
        effective_units([np.ones((3, 2))], graph=net.unit_graph)


def test_a_chain_of_linear_layers_is_its_own_graph():
    net = models.mlp([4, 3, 2], density=0.5, rng=np.random.default_rng(7))
    assert net.unit_graph == chain([4, 3, 2])


def test_a_sum_is_fed_by_either_branch_and_read_by_both():
    """Channel 0 has the body, channel 1 the identity; 0 of the body's input is read only there."""
    image = (2, 1, 1)
    first = conv([[[[1]]], [[[1]]]], (1, 1, 1))
    body = conv([[[[0]], [[1]]], [[[0]], [[0]]]], image)
    net = Network([first, Residual([body]), Flatten(), linear([[1, 0]])])
    # Output <- sum 0 <- first's filter 0 (identity) and the body's filter 0 <- first's filter 1.
    assert alive(net) == [[1], [1, 1], [1, 0], [1]]
    cut = Network(
        [conv([[[[0]]], [[[1]]]], (1, 1, 1)), Residual([body]), Flatten(), linear([[1, 0]])]
    )
    assert alive(cut) == [[1], [0, 1], [1, 0], [1]]
    unread = Network([first, Residual([body]), Flatten(), linear([[0, 1]])])
    assert alive(unread) == [[1], [0, 1], [0, 0], [1]]


def test_projections_are_weights_behind_those_of_the_body():
    body, aside = conv([[[[1]]], [[[0]]]], (1, 2, 2)), conv([[[[0]]], [[[1]]]], (1, 2, 2))
    net = Network([Residual([body], [aside]), Flatten(), linear([[0] * 4 + [1] * 4])])
    assert [link.weight for link in net.unit_graph.weights] == [0, 1, 2]
    assert alive(net) == [[1], [0, 0], [0, 1], [1]]


def test_groups_read_their_own_channels():
    depthwise = conv([[[[1]]], [[[0]]], [[[1]]]], (3, 1, 1), groups=3)
    net = Network([depthwise, Flatten(), linear([[1, 1, 0]])])
    assert alive(net) == [[1, 0, 0], [1, 0, 0], [1]]
    # Groups of two channels and one filter.
    pairs = conv([[[[0]], [[1]]], [[[1]], [[0]]]], (4, 1, 1), groups=2)
    net = Network([pairs, Flatten(), linear([[1, 1]])])
    assert alive(net) == [[0, 1, 1, 0], [1, 1], [1]]


def test_dense_layers_have_every_connection_of_their_group():
    how = {"image": (4, 1, 1), "kernel": 1, "groups": 2}
    net = Network([DenseConv2d(np.zeros((2, 2)), **how), Flatten(), linear([[1, 0]])])
    assert alive(net) == [[1, 1, 0, 0], [1, 0], [1]]


def test_response_norm_joins_neighbours():
    net = Network(
        [
            conv([[[[1]]], [[[0]]], [[[0]]], [[[1]]]], (1, 1, 1)),
            LocalResponseNorm((4, 1, 1), depth_radius=1),
            Flatten(),
            linear([[0, 1, 0, 0]]),
        ]
    )
    assert alive(net, "output") == [[1], [1, 1, 1, 0], [1]]
    assert alive(net) == [[1], [1, 0, 0, 0], [1]]  # channel 0 scales channel 1


def test_what_acts_on_channels_by_themselves_joins_nothing():
    layers = [BatchNorm.initial(3, np.float64), ReLU(), MaxPool2d((3, 1, 2), (1, 2)), Flatten()]
    net = Network([conv(FIRST, (2, 1, 3)), *layers, linear([[1, 0, 1]])])
    assert alive(net) == [[1, 0], [1, 0, 0], [1]]


def test_an_unknown_layer_is_refused():
    class Sorted:
        def parameters(self):
            return {}

        def shape_after(self, shape):
            return shape

    net = Network([linear([[1.0]]), Sorted()])
    with pytest.raises(TypeError, match=r"^Network: layers must be known to act .* got Sorted$"):
        effective_units(net)


@settings(max_examples=60, deadline=None)
@given(convnets(), st.sampled_from(MODES))
def test_as_the_naive_twin_that_walks_from_number_to_number(arranged, mode):
    net, shape, steps, _ = arranged
    masks, units = naive_units.effective(shape, steps, mode)
    found = effective_pattern(net, mode)
    for one, other in zip(masks, found, strict=True):
        np.testing.assert_array_equal(csr.pattern(other), one.reshape(len(one), -1))
    for one, other in zip(units, effective_units(net, mode), strict=True):
        assert other.tolist() == one
    positions = sum(mask.size for mask in masks)
    assert effective_sparsity(net, mode) == 1 - sum(m.sum() for m in masks) / positions
    again = effective_pattern(found, mode, graph=net.unit_graph)
    assert all(a is b for a, b in zip(again, found, strict=True))


# ---------------------------------------------------------------- by itself: Parger2022, table 4


def test_empty_inputs_are_channels():
    """2 of 3 filters read, one position of channel 0 and none of channel 1."""
    weight = np.array([[0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
    assert empty_inputs(weight, 2).tolist() == [False, True]
    assert empty_inputs(weight).tolist() == [True, False, True, True]
    found = emptiness([weight], [2])
    assert found == (1 / 3, 1 / 2, 2 * 1 * 2, 4 / 12)
    assert downsized_parameters([weight]) == 2 * 1
    assert in_degrees(FIRST_FLAT).tolist() == [1, 2, 0]
    assert in_degrees(FIRST_FLAT, block=2).tolist() == [1, 1, 0]
    assert out_degrees(FIRST_FLAT, block=2).tolist() == [1, 1]


FIRST_FLAT = np.array(FIRST).reshape(3, 4)


def test_a_network_knows_its_blocks():
    net = small()
    assert emptiness(net) == emptiness(net.topology, [2, 1])
    # Filters 2 of 3 and the output; inputs 2 channels and 2 of 6 positions.
    assert emptiness(net) == (1 / 4, 4 / 8, 2 * 2 * 2 + 2, 10 / 18)
    assert downsized_parameters(net) == 10


def test_a_depthwise_weight_has_one_input():
    depthwise = conv([[[[1, 0]]], [[[0, 0]]], [[[0, 0]]]], (3, 1, 2), groups=3)
    net = Network([depthwise, Flatten(), Dense(np.ones((1, 3)))])
    assert emptiness(net) == (2 / 4, 0, 1 * 1 * 2 + 3, 5 / 9)


def test_blocks_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"^empty_inputs: block must divide the columns, 3, got 2"):
        empty_inputs(np.ones((1, 3)), 2)
    with pytest.raises(ValueError, match=r"^in_degrees: block must divide the columns, 3, got 0"):
        in_degrees(np.ones((1, 3)), block=0)
    with pytest.raises(ValueError, match=r"^emptiness: blocks must be one for each weight, 1, got"):
        emptiness([np.ones((1, 2))], [1, 2])


def test_models_have_a_unit_a_channel():
    net = models.resnet18(width=1 / 16, image=(3, 8, 8), density=0.5, rng=np.random.default_rng(3))
    graph = net.unit_graph
    assert [graph.shape(link) for link in graph.weights] == [w.shape for w in net.topology]
    assert sum(link.weight is None for link in graph.links) == 2 * 8 + 1  # sums, and flattening
    assert not math.isnan(effective_sparsity(net))
