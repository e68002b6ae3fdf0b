"""Pictures of distances: between every two of many networks, and over a training."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sparse_ref.plots import COLOURS, STYLES

SCALE, DISTANCES = "viridis", Normalize(0, 1)
LIGHT = 0.6  # from here on the scale is light, and what is written on it dark
NAMED = 40  # networks of a heat map; of more, only some are named
LEVEL = "#6B7780"


def heat_maps(
    panels: Mapping[str, np.ndarray],
    *,
    labels: Sequence[str] | None = None,
    groups: Mapping[str, int] | None = None,
    what: str = "NNSTD",
    values: bool = False,
) -> Figure:
    """Distances of every two of many networks, one panel per key, all on one scale from 0 to 1.

    Parameters
    ----------
    panels : title -> (n, n)
    labels : sequence of n str, optional
        Names of the networks.
    groups : name -> int, optional
        How many networks, one after the other, belong together. These are named then, and lines
        drawn between them.
    what : str
        The quantity, for the colour bar.
    values : bool
        Write the numbers into the cells.

    Raises
    ------
    ValueError
        Labels or groups are not as many as there are networks.
    """
    rows = -(-len(panels) // 4)
    columns = -(-len(panels) // rows)  # filled evenly
    side = 4.6 if values or len(panels) == 1 else 3.4
    figure = Figure(figsize=(side * columns + 0.9, (side + 0.3) * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    for ax, (title, matrix) in zip(axes.flat, panels.items(), strict=False):
        shown = ax.imshow(matrix, cmap=SCALE, norm=DISTANCES, interpolation="nearest")
        ax.set_title(title, fontsize=11)
        if groups is None:
            _name_networks(ax, len(matrix), labels)
        else:
            _name_groups(ax, len(matrix), groups)
        if values:
            _write(ax, matrix)
    bar = figure.colorbar(shown, ax=axes.ravel().tolist(), aspect=30, pad=0.02)
    bar.set_label(what)
    return figure


def over_epochs(
    panels: Mapping[str, Mapping[str, np.ndarray]],
    epochs: Sequence[int],
    what: str = "NNSTD",
    *,
    levels: Mapping[str, float] | None = None,
) -> Figure:
    """A quantity at recorded epochs: means over runs, and bands from least to most.

    Parameters
    ----------
    panels : title -> name -> (runs, records)
    epochs : sequence of int, one a record
        0 is before training.
    what : str
        The quantity, for the axis.
    levels : name -> float, optional
        Dotted lines across, for comparison, such as the distance of networks drawn anew.
    """
    figure = Figure(figsize=(4.6 * len(panels) + 1.4, 3.6), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    looks = {name: _look(k) for k, name in enumerate(names)}
    for ax, (title, curves) in zip(axes, panels.items(), strict=True):
        for name, runs in curves.items():
            ax.plot(epochs, runs.mean(axis=0), marker="o", markersize=3.5, **looks[name])
            ends, colour = (runs.min(axis=0), runs.max(axis=0)), looks[name]["color"]
            ax.fill_between(epochs, *ends, color=colour, alpha=0.15, linewidth=0)
        for level, value in (levels or {}).items():
            ax.axhline(value, color=LEVEL, linestyle=":")
            place = {"xy": (0.02, value), "xycoords": ax.get_yaxis_transform()}
            offset = {"xytext": (0, 3), "textcoords": "offset points"}
            ax.annotate(level, **place, **offset, fontsize=8, color=LEVEL)
        ax.set(title=title, xlabel="epoch")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(alpha=0.25)
    tops = [runs.max() for curves in panels.values() for runs in curves.values()]
    axes[0].set(ylabel=what, ylim=(0, 1.12 * max([*tops, *(levels or {}).values()])))
    handles = [axes[0].plot([], [], label=name, **looks[name])[0] for name in names]
    if len(names) > 1:
        figure.legend(handles=handles, loc="outside right upper", frameon=False)
    return figure


def _name_networks(ax, n, labels):
    if labels is None:
        ax.set(xticks=[], yticks=[], xlabel=f"{n} networks")
        return
    if len(labels) != n:
        raise ValueError(f"heat_maps: labels must be {n}, one a network, got {len(labels)}")
    shown = np.arange(0, n, -(-n // NAMED))
    names = [labels[k] for k in shown]
    size = 9 if n <= 12 else 7 if n <= 24 else 5
    turn = 90 if n > 12 or max(map(len, names)) > 3 else 0
    ax.set_xticks(shown, names, fontsize=size, rotation=turn)
    ax.set_yticks(shown, names, fontsize=size)
    ax.tick_params(length=0)


def _name_groups(ax, n, groups):
    ends = np.cumsum(list(groups.values()))
    if ends[-1] != n:
        raise ValueError(f"heat_maps: groups must hold {n} networks together, got {ends[-1]}")
    middles = ends - np.array(list(groups.values())) / 2 - 0.5
    ax.set_xticks(middles, list(groups), fontsize=7, rotation=90)
    ax.set_yticks(middles, list(groups), fontsize=7)
    ax.tick_params(length=0)
    for end in ends[:-1] - 0.5:
        ax.axhline(end, color="white", linewidth=0.6)
        ax.axvline(end, color="white", linewidth=0.6)


def _write(ax, matrix):
    size = min(9, 90 / len(matrix))
    for (i, j), value in np.ndenumerate(matrix):
        ink = "black" if value > LIGHT else "white"
        ax.text(j, i, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=size)


def _look(k):
    """Colour and line of the k-th thing; black is for what others are compared with."""
    return {"color": COLOURS[1:][k % 7], "linestyle": STYLES[k % 4]}
