"""Pictures of topologies: what is drawn where, and at sizes that are met."""

import tracemalloc

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex

from sparse_ref import selection
from sparse_ref.plots_topology import (
    bipartite,
    degree_ridges,
    heat_maps,
    masks,
    matching,
    over_epochs,
)
from sparse_ref.plots_topology.graphs import EDGE, INKS, PAPER, TRACED
from sparse_ref.topology import nnstd
from sparse_ref.topology.patterns import of_ones

FIRST = [np.array([[1, 1, 0], [0, 1, 1]]), np.array([[1, 0], [0, 1]])]
SECOND = [np.array([[0, 1, 0], [1, 1, 0]]), np.array([[0, 1], [1, 1]])]


def matrix(n, seed=3):
    return np.random.default_rng(seed).random((n, n))


def texts(ax):
    return [text.get_text() for text in ax.texts]


def ticks(ax):
    return [label.get_text() for label in ax.get_xticklabels()]


def drawn(figure):
    figure.canvas.draw()  # lays out; a warning, which would be an error, says what does not fit
    return figure


# ---------------------------------------------------------------- heat maps


def test_panels_of_a_heat_map_share_the_scale_from_0_to_1():
    figure = drawn(heat_maps({"a": 0.1 * matrix(10), "b": matrix(10)}, labels=list("abcdefghij")))
    first, second, bar = figure.axes
    assert [ax.images[0].get_clim() for ax in (first, second)] == [(0, 1), (0, 1)]
    assert (first.get_title(), second.get_title(), bar.get_ylabel()) == ("a", "b", "NNSTD")
    assert ticks(first) == list("abcdefghij")
    assert np.array_equal(second.images[0].get_array(), matrix(10))


def test_numbers_are_written_dark_on_light_and_light_on_dark():
    values = np.array([[0.0, 0.25], [0.9, 1.0]])
    figure = drawn(heat_maps({"": values}, values=True, what="Jaccard distance"))
    ax, bar = figure.axes
    assert texts(ax) == ["0.00", "0.25", "0.90", "1.00"]
    assert [text.get_color() for text in ax.texts] == ["white", "white", "black", "black"]
    assert (ax.get_xlabel(), bar.get_ylabel()) == ("2 networks", "Jaccard distance")


def test_groups_are_named_in_their_middle_and_set_apart():
    figure = drawn(heat_maps({"": matrix(98)}, groups={"1 %": 8, "5 %": 88, "dense": 2}))
    ax = figure.axes[0]
    assert ticks(ax) == ["1 %", "5 %", "dense"]
    assert ax.get_xticks().tolist() == [3.5, 51.5, 96.5]
    lines = [line.get_xdata()[0] for line in ax.lines if line.get_ydata() == [0, 1]]
    assert lines == [7.5, 95.5]


def test_of_many_networks_only_some_are_named():
    figure = drawn(heat_maps({"": matrix(96)}, labels=[f"w{k}" for k in range(96)]))
    assert ticks(figure.axes[0])[:2] == ["w0", "w3"]


def test_five_panels_stand_in_two_rows():
    figure = drawn(heat_maps({str(k): matrix(3) for k in range(5)}))
    visible = [ax.axison for ax in figure.axes[:6]]  # three and two, not four and one
    assert visible == [True] * 5 + [False]


def test_names_that_are_not_as_many_as_networks_are_refused():
    with pytest.raises(ValueError, match=r"^heat_maps: labels must be 3, one a network, got 2$"):
        heat_maps({"": matrix(3)}, labels=["a", "b"])
    with pytest.raises(
        ValueError, match=r"^heat_maps: groups must hold 3 networks together, got 4"
    ):
        heat_maps({"": matrix(3)}, groups={"a": 2, "b": 2})


def test_curves_have_bands_and_levels():
    runs = np.array([[0.0, 0.2, 0.5], [0.0, 0.4, 0.6]])
    panels = {"SET": {"from one start": runs, "anew": runs + 0.3}}
    figure = drawn(over_epochs(panels, [0, 10, 100], levels={"drawn anew": 0.82}))
    (ax,) = figure.axes
    line = ax.lines[0]
    assert line.get_xdata().tolist() == [0, 10, 100]
    assert line.get_ydata() == pytest.approx([0, 0.3, 0.55])
    assert len(ax.collections) == 2
    assert texts(ax) == ["drawn anew"]
    assert ax.get_ylim()[0] == 0
    assert ax.get_ylim()[1] > 0.9
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == ["from one start", "anew"]


# ---------------------------------------------------------------- graphs


def segments(ax, colour):
    """From and to, as pairs of places, of all lines of a colour."""
    collections = [c for c in ax.collections if isinstance(c, LineCollection)]
    ours = [c for c in collections if to_hex(c.get_edgecolor()[0]) == colour.lower()]
    return [segment.tolist() for c in ours for segment in c.get_segments()]


def dots(ax):
    """Colours of the units of each layer, from the top."""
    layers = [c for c in ax.collections if not isinstance(c, LineCollection)]
    return [[to_hex(colour) for colour in np.atleast_2d(c.get_facecolor())] for c in layers]


def test_every_connection_is_a_line():
    figure = drawn(bipartite({"one": FIRST, "two": SECOND}))
    one, two = figure.axes
    assert (one.get_title(), two.get_title()) == ("one", "two")
    assert ticks(one) == ["inputs\n3", "hidden\n2", "outputs\n2"]
    top, middle, bottom = np.array([1, 0, -1]) / 3
    upper, lower = np.array([0.25, -0.25]) * (2 / 3) ** 0.35
    first_layer = [[[0, top], [1, upper]], [[0, middle], [1, upper]]]
    first_layer += [[[0, middle], [1, lower]], [[0, bottom], [1, lower]]]
    expected = [*first_layer, [[1, upper], [2, upper]], [[1, lower], [2, lower]]]
    assert np.array(segments(one, EDGE)) == pytest.approx(np.array(expected))


def test_paths_from_an_input_are_traced():
    figure = drawn(bipartite({"": FIRST}, highlight=0))
    (ax,) = figure.axes
    white, traced = PAPER.lower(), TRACED.lower()
    assert dots(ax) == [[traced, white, white], [traced, white], [traced, white]]
    assert len(segments(ax, TRACED)) == 2
    assert len(segments(ax, EDGE)) == 4


def test_networks_of_different_depth_stand_side_by_side():
    rng = np.random.default_rng(4)
    deep = [rng.random((100, 100)) < 0.1 for _ in range(4)]
    figure = drawn(bipartite({"deep": deep, "flat": [np.ones((3, 4))]}))
    assert ticks(figure.axes[0])[1:3] == ["hidden 1\n100", "hidden 2\n100"]
    assert ticks(figure.axes[1]) == ["inputs\n4", "outputs\n3"]


def test_layers_that_do_not_chain_are_refused():
    with pytest.raises(ValueError, match=r"^bipartite: shapes must chain, but layer 0 has 2 outp"):
        bipartite({"": [FIRST[0], FIRST[0]]})


def test_an_input_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"^bipartite: highlight must be an input, 0 ... 2, got 3"):
        bipartite({"": FIRST}, highlight=3)


def test_units_that_answer_to_each_other_have_one_colour():
    figure = drawn(matching(FIRST, SECOND, nnstd(FIRST, SECOND)))
    n1, n2, first, second = figure.axes
    a, b, white = INKS[0].lower(), INKS[1].lower(), PAPER.lower()
    assert dots(n1) == [[white] * 3, [a, b], [a, b]]
    assert dots(n2) == [[white] * 3, [b, a], [a, b]]
    assert texts(n1) == ["I1", "I2", "I3", "H1", "H2", "O1", "O2"]
    assert texts(first) == ["0.5", "0", "0.5", "0.67"]
    assert texts(second) == ["0", "0.5", "1", "0.5"]  # after the inputs have been renamed
    frames = [[(p.get_x() + 0.44, p.get_y() + 0.44) for p in ax.patches] for ax in (first, second)]
    assert np.array(frames) == pytest.approx(np.array([[(1, 0), (0, 1)], [(0, 0), (1, 1)]]))
    assert first.get_title() == "layer 1\n(0 + 0.5) / 2 = 0.25"
    assert figure.get_suptitle() == "NNSTD = (0.25 + 0.25) / 2 = 0.25"


def test_matching_of_three_layers():
    rng = np.random.default_rng(6)
    nets = [[rng.random(shape) < 0.4 for shape in ((5, 6), (5, 5), (3, 5))] for _ in range(2)]
    figure = drawn(matching(*nets, nnstd(*nets)))
    assert "H2.5" in texts(figure.axes[0])
    assert figure.axes[2].get_title().startswith("layer 1\nmean of 5: ")


# ---------------------------------------------------------------- connections


def test_a_mask_is_white_where_there_is_a_connection():
    figure = drawn(masks({"one": FIRST[0], "two": SECOND[0], "three": FIRST[1]}))
    assert np.array_equal(figure.axes[0].images[0].get_array(), FIRST[0])
    assert [ax.axison for ax in figure.axes] == [True, True, True, False]
    assert figure.axes[0].images[0].get_extent() == [-0.5, 2.5, 1.5, -0.5]


def test_a_large_layer_is_shown_in_blocks():
    layer = np.zeros((4, 6))
    layer[0, 0] = layer[1, 1] = layer[3] = 1
    figure = drawn(masks({"": layer}, pixels=2))
    expected = [[2 / 6, 0], [0.5, 0.5]]
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), expected)
    assert figure.axes[0].images[0].get_extent() == [-0.5, 5.5, 3.5, -0.5]
    assert figure.axes[1].get_ylabel() == "density of a block"


def test_blocks_of_uneven_size_are_densities_too():
    figure = masks({"": np.ones((5, 7))}, pixels=3)
    assert np.array_equal(figure.axes[0].images[0].get_array(), np.ones((3, 3)))


def test_a_layer_of_ten_thousand_million_positions_makes_no_large_array():
    rng, n = np.random.default_rng(8), 100_000
    weight = of_ones((n, n), selection.random_ranks(n * n, 10**5, rng))
    tracemalloc.start()
    try:
        masks({"": weight})
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_ridges_have_one_area_and_stand_at_their_records():
    rng = np.random.default_rng(10)
    degrees = np.array([rng.binomial(100, 0.3, 200), rng.integers(0, 90, 200)])
    figure = drawn(degree_ridges({"SET": degrees, "RigL": degrees}, ["epoch 0", "epoch 9"]))
    ax = figure.axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["epoch 0", "epoch 9"]
    assert ax.get_yticks().tolist() == [1, 0]
    areas = []
    for ridge, foot in zip(ax.collections, (1, 0), strict=True):
        (path,) = ridge.get_paths()
        x, y = path.vertices.T
        assert y.min() == pytest.approx(foot)
        areas.append(abs(np.sum(x * np.roll(y, 1) - np.roll(x, 1) * y)) / 2)  # Gauss's formula
    assert areas[0] == pytest.approx(areas[1], rel=0.02)  # what lies beyond the ends of the axis
    assert figure.axes[0].get_xlabel() == "in-degree"


def test_units_of_one_degree_make_one_bell():
    figure = drawn(degree_ridges({"": np.full((3, 50), 10)}, ["a", "b", "c"]))
    low, high = figure.axes[0].get_xlim()
    assert 7 < low < 10 < high < 13


def test_as_many_names_as_records():
    with pytest.raises(ValueError, match=r"^degree_ridges: labels must be one a record, 3, got 2$"):
        degree_ridges({"": np.ones((3, 5))}, ["a", "b"])
