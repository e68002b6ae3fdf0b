"""Pictures of where connections are: per layer, and inside one.

Figures are returned and made without pyplot, as in `plots`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

Looks = Mapping[str, tuple[str, str]]  # name -> colour and marker

BEFORE_LOOK: dict[str, Any] = {"color": "#999999", "linewidth": 2.5}
SPREAD, REACH = 0.15, 0.36  # in layers: between the marks of one layer; of the line behind them


class Profile(NamedTuple):
    """Connections per layer.

    Attributes
    ----------
    positions : (layers,)
        How many each layer could have.
    before : (layers,)
        Connections before training.
    after : name -> (seeds, layers)
        Connections at the end.
    """

    positions: np.ndarray
    before: np.ndarray
    after: Mapping[str, np.ndarray]


def layer_profiles(panels: Mapping[str, Profile], looks: Looks, before: str = "start") -> Figure:
    """Density above, number of connections below, of each layer; a column per panel.

    A mark is the mean over seeds, its bar goes from least to most; the line behind the marks of a
    layer is where it began. Both axes are logarithmic: a layer without connections is drawn as if
    it had half a one.

    Parameters
    ----------
    panels : title -> Profile
    looks : name -> (colour, marker)
        Of every name in the profiles.
    before : str
        What the legend calls the allocation before training.
    """
    figure = Figure(figsize=(4.4 * len(panels) + 1.4, 6.4), layout="constrained")
    axes = figure.subplots(2, len(panels), squeeze=False, sharex="col", sharey="row")
    for (top, bottom), (title, profile) in zip(axes.T, panels.items(), strict=True):
        _draw(top, profile, looks, profile.positions)
        _draw(bottom, profile, looks, np.ones(len(profile.positions)))
        top.set_title(title)
        shapes = [f"{k}\n{n:,}" for k, n in enumerate(profile.positions, start=1)]
        bottom.set_xticks(np.arange(len(shapes)), shapes)
        bottom.set_xlabel("layer, and how many connections it could have")
    axes[0, 0].set(ylabel="density", ylim=(None, 1.4))
    axes[1, 0].set_ylabel("connections")
    names = list(dict.fromkeys(name for profile in panels.values() for name in profile.after))
    handles = [Line2D([], [], label=before, **BEFORE_LOOK)]
    handles += [Line2D([], [], label=name, **_look(looks[name])) for name in names]
    figure.legend(handles=handles, loc="outside right upper", frameon=False)
    return figure


def masks(images: Mapping[str, np.ndarray], columns: int = 2) -> Figure:
    """Patterns as images: a white pixel is a connection, rows are units, columns their inputs.

    Parameters
    ----------
    images : title -> (n_out, n_in) bool
        Of one shape.
    columns : int
        Images side by side.
    """
    rows = -(-len(images) // columns)
    n_out, n_in = next(iter(images.values())).shape
    width = 5.6
    height = width * n_out / n_in + 0.45
    figure = Figure(figsize=(width * columns + 0.4, height * rows + 0.3), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for ax in axes.flat[len(images) :]:
        ax.set_axis_off()
    for ax, (title, image) in zip(axes.flat, images.items(), strict=False):
        ax.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        ax.set_title(title, fontsize=10)
        ax.tick_params(labelsize=8)
    for ax in axes[-1]:
        ax.set_xlabel("input")
    for ax in axes[:, 0]:
        ax.set_ylabel("unit")
    return figure


def _draw(ax, profile, looks, per):
    """Marks of one panel, those of a layer side by side; connections over `per`."""
    layers = np.arange(len(per))
    before = np.maximum(profile.before, 0.5) / per
    ax.hlines(before, layers - REACH, layers + REACH, zorder=1, **BEFORE_LOOK)
    shifts = SPREAD * (np.arange(len(profile.after)) - (len(profile.after) - 1) / 2)
    for shift, (name, counts) in zip(shifts, profile.after.items(), strict=True):
        values = np.maximum(counts, 0.5) / per
        mean = values.mean(axis=0)
        ends = np.abs([values.min(axis=0), values.max(axis=0)] - mean)
        ax.errorbar(layers + shift, mean, ends, elinewidth=1, zorder=2, **_look(looks[name]))
    ax.set_yscale("log")
    ax.grid(alpha=0.25)
    ax.set_axisbelow(True)


def _look(look):
    colour, marker = look
    return {"color": colour, "marker": marker, "markersize": 6, "linestyle": ""}
