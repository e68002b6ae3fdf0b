from types import SimpleNamespace

import numpy as np
import pytest

from sparse_ref import plots
from sparse_ref.experiments import pictures


def line_data(ax):
    return {line.get_label(): line.get_ydata() for line in ax.get_lines()}


def test_a_learning_curve_is_the_mean_over_seeds():
    values = np.array([[0.1, 0.5], [0.3, 0.7]])
    figure = plots.learning_curves({"density 0.1": {"set": values}}, "accuracy")
    (ax,) = figure.axes
    np.testing.assert_allclose(line_data(ax)["set"], [0.2, 0.6])
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == (
        "density 0.1",
        "epoch",
        "accuracy",
    )


def test_the_band_goes_from_the_least_to_the_most():
    values = np.array([[0.1, 0.5], [0.3, 0.7]])
    (ax,) = plots.learning_curves({"p": {"set": values}}, "accuracy").axes
    box = ax.collections[0].get_paths()[0].get_extents()
    np.testing.assert_allclose([box.ymin, box.ymax], [0.1, 0.7])


def test_a_method_has_one_look_in_all_panels():
    curves = {name: np.zeros((1, 2)) for name in ("dense", "set")}
    figure = plots.learning_curves({"a": curves, "b": {"set": curves["set"]}}, "accuracy")
    one, two = figure.axes
    assert one.get_lines()[1].get_color() == two.get_lines()[0].get_color()


def test_layer_densities_start_before_training():
    densities = np.array([[0.1, 1.0], [0.2, 0.9], [0.3, 0.8]])
    (ax,) = plots.layer_densities({"p": densities}).axes
    np.testing.assert_array_equal(ax.get_lines()[0].get_xdata(), [0, 1, 2])
    np.testing.assert_array_equal(line_data(ax)["layer 2"], [1.0, 0.9, 0.8])


def test_an_empty_layer_can_be_drawn():
    (ax,) = plots.layer_densities({"p": np.zeros((2, 1))}).axes
    assert ax.get_ylim()[0] == 0 == ax.get_lines()[0].get_ydata()[0]


@pytest.mark.parametrize(("panels", "rows"), [(1, 1), (4, 1), (5, 2), (6, 2), (9, 3)])
def test_panels_fill_few_rows_evenly(panels, rows):
    figure = plots.layer_densities({str(k): np.full((2, 1), 0.5) for k in range(panels)})
    tops = {round(ax.get_subplotspec().rowspan.start) for ax in figure.axes}
    assert len(tops) == rows


def test_the_images_of_a_row_share_one_colour_scale():
    images = {"before": np.full((2, 2), 1.0), "after": np.full((2, 2), 9.0)}
    figure = plots.input_connections({"density 0.1": images}, example=np.eye(2))
    shown = [ax.get_images()[0] for ax in figure.axes if ax.get_images()]
    assert len(shown) == 3
    assert shown[1].get_clim() == shown[2].get_clim() == (0, 9)
    np.testing.assert_array_equal(shown[2].get_array(), images["after"])


def test_colours_differ():
    assert len(set(plots.COLOURS)) == len(plots.COLOURS)


def test_accuracies_over_density_are_means_in_ascending_order():
    points = {0.2: np.array([0.9, 0.7]), 0.01: np.array([0.5])}
    (ax,) = plots.over_density({"SET": points}, "accuracy").axes
    (line,) = ax.get_lines()[:1]
    assert line.get_xdata().tolist() == [0.01, 0.2]
    np.testing.assert_allclose(line.get_ydata(), [0.5, 0.8])
    assert (ax.get_xscale(), ax.get_xlabel(), ax.get_ylabel()) == ("log", "density", "accuracy")


def test_bars_over_density_go_from_the_least_to_the_most():
    points = {0.2: np.array([0.9, 0.7, 0.7])}
    (ax,) = plots.over_density({"SET": points}, "accuracy").axes
    ((_, low), (_, high)) = ax.collections[0].get_segments()[0]
    np.testing.assert_allclose([low, high], [0.7, 0.9])


def test_the_dense_network_is_a_dashed_line_at_its_mean():
    curves = {"SET": {0.2: np.array([0.9])}}
    (ax,) = plots.over_density(curves, "accuracy", np.array([0.8, 0.9])).axes
    (dense,) = [line for line in ax.get_lines() if line.get_label() == "dense"]
    assert dense.get_linestyle() == "--"
    np.testing.assert_allclose(dense.get_ydata(), [0.85, 0.85])


def test_no_dense_network_no_line():
    (ax,) = plots.over_density({"SET": {0.2: np.array([0.9])}}, "accuracy").axes
    assert not [line for line in ax.get_lines() if line.get_label() == "dense"]


def test_a_look_over_density_is_nobody_elses():
    curves = {name: {0.2: np.array([0.9])} for name in "abcd"}
    (ax,) = plots.over_density(curves, "accuracy", np.array([0.8])).axes
    drawn = [line for line in ax.get_lines() if len(line.get_xdata()) == 1]
    looks = {(line.get_color(), line.get_marker()) for line in drawn if line.get_marker() in "os^D"}
    assert len(looks) == 4


def test_points_over_age_stand_over_the_curve_of_the_training():
    points = {"again": {5: np.array([0.5, 0.7]), 0: np.array([0.4])}}
    curves = {"SET": np.array([[0.1, 0.2, 0.3], [0.3, 0.4, 0.5]])}
    (ax,) = plots.over_age(points, curves, "accuracy", "epochs of SET").axes
    curve, line = ax.get_lines()[:2]
    assert curve.get_xdata().tolist() == [1, 2, 3]
    np.testing.assert_allclose(curve.get_ydata(), [0.2, 0.3, 0.4])
    assert line.get_xdata().tolist() == [0, 5]
    np.testing.assert_allclose(line.get_ydata(), [0.4, 0.6])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epochs of SET", "accuracy")
    assert ax.get_ylim() == pytest.approx((0.25, 0.85))  # all points, half their span around


def test_before_training_a_network_that_begins_complete_stands_for_nobody_else(monkeypatch):
    drawn = []
    monkeypatch.setattr(plots, "input_connections", lambda rows, example: drawn.append(rows))

    def result(label, begins):
        return SimpleNamespace(
            label=label,
            config=SimpleNamespace(density=0.1),
            connections=((begins,), (2,)),
            positions=(20,),
            input_degrees=(np.full(4, begins), np.full(4, 2)),
        )

    sparse, complete = result("set", 2), result("gradual", 20)
    for results, ref in (([sparse, complete], 2), ([complete], 20)):
        pictures.input_connections(results, np.zeros((3, 2, 2)))
        (images,) = drawn.pop().values()
        assert images["before training"].tolist() == [[ref, ref], [ref, ref]]
