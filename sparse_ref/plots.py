"""Pictures of training: figures are returned, nothing is shown or written.

Colours are Okabe and Ito's, which people with any colour vision tell apart; lines differ in style
too. Figures are made without pyplot, so no window and no global state is involved.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

COLOURS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#D55E00", "#0072B2", "#F0E442")
LEGEND = 1.6  # inches beside the panels
LEAST_DENSITY = 1e-3  # below it the axis of densities is linear
STYLES = ("-", "--", "-.", ":")

Curves = Mapping[str, np.ndarray]  # name -> (seeds, epochs)


def learning_curves(panels: Mapping[str, Curves], what: str, order: Sequence[str] = ()) -> Figure:
    """Curves over epochs, one panel per key: the mean over seeds, and a band from least to most.

    Parameters
    ----------
    panels : title -> name -> (seeds, epochs)
    what : str
        The quantity, for the axis.
    order : sequence of str, optional
        Names whose looks are fixed by their place here, whether they are shown or not.
    """
    figure, axes = _panels(len(panels), width=5.0, height=3.8)
    shown = (name for curves in panels.values() for name in curves)
    names = list(dict.fromkeys([*order, *shown]))
    for ax, (title, curves) in zip(axes, panels.items(), strict=True):
        for name, values in curves.items():
            k = names.index(name)
            epochs = np.arange(1, values.shape[1] + 1)
            marker = "o" if len(epochs) < 4 else None  # a line of one point cannot be seen
            ax.plot(epochs, values.mean(axis=0), label=name, marker=marker, **_look(k))
            ax.fill_between(
                epochs,
                values.min(axis=0),
                values.max(axis=0),
                color=COLOURS[k % 8],
                alpha=0.15,
                linewidth=0,
            )
        ax.set(title=title, xlabel="epoch")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(alpha=0.25)
    axes[0].set_ylabel(what)
    _legend(figure, axes)
    return figure


def layer_densities(panels: Mapping[str, np.ndarray]) -> Figure:
    """Density of each layer over epochs, one panel per key.

    Parameters
    ----------
    panels : title -> (epochs + 1, layers)
        Row 0 is the network before training.
    """
    figure, axes = _panels(len(panels), width=3.2, height=3.0)
    for ax, (title, densities) in zip(axes, panels.items(), strict=True):
        for layer, values in enumerate(densities.T):
            ax.plot(np.arange(len(values)), values, label=f"layer {layer + 1}", **_look(layer + 1))
        ax.set(title=title, xlabel="epoch", ylim=(0, 1.5))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_yscale("symlog", linthresh=LEAST_DENSITY)  # a layer may run empty: 0 has a place
        ax.grid(alpha=0.25)
    axes[0].set_ylabel("density")
    _legend(figure, axes)
    return figure


def input_connections(
    rows: Mapping[str, Mapping[str, np.ndarray]], example: np.ndarray | None = None
) -> Figure:
    """How often each input pixel is connected, as images.

    Parameters
    ----------
    rows : row title -> column title -> (height, width)
        Mean number of connections of each pixel. A row shares one colour scale.
    example : (height, width), optional
        Shown beside the first row, for example the mean training image.
    """
    columns = max(len(images) for images in rows.values())
    extra = 0 if example is None else 1
    figure = Figure(figsize=(2.1 * (columns + extra) + 0.9, 2.3 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), columns + extra, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    if example is not None:
        axes[0, 0].imshow(example, cmap="gray")
        axes[0, 0].set_title("mean image", fontsize=9)
    for r, (row_title, images) in enumerate(rows.items()):
        top = max(1.0, *(float(image.max()) for image in images.values()))
        for ax, (title, image) in zip(axes[r, extra:], images.items(), strict=False):
            shown = ax.imshow(image, cmap="viridis", norm=PowerNorm(0.6, 0, top))
            ax.set_title(f"{title}\n{row_title}", fontsize=9)
        bar = figure.colorbar(shown, ax=axes[r, extra:].tolist(), shrink=0.8)
        bar.set_label("connections per pixel\n(power scale)", fontsize=8)
        bar.ax.tick_params(labelsize=7)
    return figure


def over_density(
    curves: Mapping[str, Mapping[float, np.ndarray]],
    what: str,
    dense: np.ndarray | None = None,
) -> Figure:
    """A quantity over density, which has a logarithmic axis: means, and bars from least to most.

    Parameters
    ----------
    curves : name -> density -> (seeds,)
    what : str
        The quantity, for the axis.
    dense : (seeds,), optional
        Of the dense network: a dashed line at its mean.
    """
    figure, (ax,) = _panels(1, width=6.0, height=4.0)
    for k, (name, points) in enumerate(curves.items()):
        _bars(ax, name, points, k)
    if dense is not None:
        ax.axhline(np.mean(dense), color=COLOURS[0], linestyle="--", label="dense")
    ax.set(xlabel="density", ylabel=what)
    ax.set_xscale("log")
    ax.grid(alpha=0.25)
    _legend(figure, [ax])
    return figure


def over_age(
    points: Mapping[str, Mapping[float, np.ndarray]], curves: Curves, what: str, age: str
) -> Figure:
    """A quantity of what was made of a training's stages, over the curve of the training itself.

    The axis shows where the points lie; the curve may come from below it.

    Parameters
    ----------
    points : name -> epoch of the stage -> (seeds,)
        Means, and bars from least to most.
    curves : name -> (seeds, epochs)
        Means; black.
    what, age : str
        The quantity and what the stages are counted in, for the axes.
    """
    figure, (ax,) = _panels(1, width=6.0, height=4.0)
    for name, values in curves.items():
        epochs = np.arange(1, values.shape[1] + 1)
        ax.plot(epochs, values.mean(axis=0), color=COLOURS[0], linewidth=1.2, label=name)
    for k, (name, stages) in enumerate(points.items()):
        _bars(ax, name, stages, k)
    shown = np.concatenate([values for stages in points.values() for values in stages.values()])
    tops = [float(values.mean(axis=0).max()) for values in curves.values()]
    low, high = float(shown.min()), max(float(shown.max()), *tops)
    margin = 0.5 * (high - low) or 0.01
    ax.set(xlabel=age, ylabel=what, ylim=(low - margin, high + margin))
    ax.grid(alpha=0.25)
    _legend(figure, [ax])
    return figure


def _bars(ax, name, points, k):
    """The k-th line of means, with bars from least to most."""
    where = sorted(points)
    values = [np.asarray(points[x]) for x in where]
    means = np.array([value.mean() for value in values])
    below = means - [value.min() for value in values]
    above = [value.max() for value in values] - means
    look = {"color": COLOURS[1 + k % 7], "marker": "os^D"[k % 4], "capsize": 3}
    ax.errorbar(where, means, [below, above], label=name, **look)


def _panels(n, width, height):
    """As few rows as hold four panels each, filled evenly."""
    rows = math.ceil(n / 4)
    columns = math.ceil(n / rows)
    figure = Figure(figsize=(width * columns + LEGEND, height * rows), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False, sharey=True).flat)
    for ax in axes[n:]:
        ax.set_axis_off()
    return figure, axes[:n]


def _legend(figure, axes):
    """One legend for all panels, beside them, so that it covers no line."""
    handles: dict[str, Artist] = {}
    for ax in axes:
        handles |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside right upper", frameon=False)


def _look(k):
    """Colour and line style of the k-th thing; no two of the first 32 are alike."""
    return {
        "color": COLOURS[k % len(COLOURS)],
        "linestyle": STYLES[(k + k // len(COLOURS)) % len(STYLES)],
    }
