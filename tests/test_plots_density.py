"""Pictures of where connections are."""

import numpy as np
import pytest

from sparse_ref import plots_density
from sparse_ref.plots_density import Profile

LOOKS = {"SET": ("#E69F00", "o"), "GGR": ("#009E73", "D")}


def profiles(after):
    panel = Profile(np.array([100, 20]), np.array([10, 2]), after)
    return plots_density.layer_profiles({"one": panel, "two": panel}, LOOKS)


def marks(ax, marker):
    """The marks of one method."""
    (found,) = [line for line in ax.get_lines() if line.get_marker() == marker]
    return found


def segments(ax, number):
    """(layers, 2, 2) ends of the lines of the panel's first, second ... collection."""
    return np.array(ax.collections[number].get_segments())


def test_marks_are_means_and_bars_go_from_least_to_most():
    counts = np.array([[10, 4], [30, 8]])
    density, _, connections, _ = profiles({"GGR": counts}).axes
    np.testing.assert_allclose(marks(density, "D").get_ydata(), [0.2, 0.3])
    np.testing.assert_allclose(marks(connections, "D").get_ydata(), [20, 6])
    np.testing.assert_allclose(segments(connections, 1)[:, :, 1], [[10, 30], [4, 8]])


def test_the_start_is_drawn_beside_the_end():
    density, _, connections, _ = profiles({"SET": np.array([[50, 7]])}).axes
    np.testing.assert_allclose(segments(density, 0)[:, :, 1], [[0.1, 0.1], [0.1, 0.1]])
    np.testing.assert_allclose(segments(connections, 0)[:, :, 1], [[10, 10], [2, 2]])


def test_an_empty_layer_is_drawn_as_half_a_connection():
    density, _, connections, _ = profiles({"GGR": np.array([[0, 2]])}).axes
    assert marks(connections, "D").get_ydata()[0] == 0.5
    assert marks(density, "D").get_ydata()[0] == pytest.approx(0.5 / 100)
    assert {density.get_yscale(), connections.get_yscale()} == {"log"}


def test_a_method_has_its_look_and_its_place():
    after = {"GGR": np.array([[3, 3]]), "SET": np.array([[3, 3]])}
    figure = profiles(after)
    ax = figure.axes[0]
    assert marks(ax, "o").get_color() == "#E69F00"
    assert np.all(marks(ax, "D").get_xdata() < marks(ax, "o").get_xdata())
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["start", "GGR", "SET"]


def test_a_white_pixel_is_a_connection():
    images = {"a": np.eye(3, 4) > 0, "b": np.zeros((3, 4), bool), "c": np.ones((3, 4), bool)}
    axes = plots_density.masks(images).axes
    for ax, (title, image) in zip(axes, images.items(), strict=False):
        (shown,) = ax.get_images()
        assert ax.get_title() == title
        np.testing.assert_array_equal(shown.get_array(), image)
        assert shown.to_rgba(np.array([0.0, 1.0]))[:, 0].tolist() == [0.0, 1.0]
    assert [ax.axison for ax in axes] == [True, True, True, False]
