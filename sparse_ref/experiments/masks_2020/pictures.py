"""The figures of Masks2020, with the paper's axes.

Bars and bands are one standard deviation over seeds, half of it up and half down, as in the paper.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sparse_ref.analysis import Evolution
from sparse_ref.experiments.masks_2020.networks import METHODS
from sparse_ref.plots import COLOURS

ORDER = ("L1 US", "L2 S", "L1 S", "random S", "random US", "L-inf S", "hybrid", "fc-only L1 US")
COLOUR = dict(zip(ORDER, (*COLOURS[:7], "#8C6D31"), strict=True))
MARKER = dict(zip(METHODS, "os^DvPX*", strict=True))
TREATMENTS = {"rewind": "-", "finetune": "--", "sigma_sign": "-.", "sign": ":"}
SAID = {
    "rewind": "rewinding",
    "finetune": "finetuning",
    "sigma_sign": "σ · sign",
    "sign": "sign",
}
STRONG = 80  # percentile of the magnitudes of a picture from which on colours are full
LINES = 400  # weights of which figures 6 and 7 draw the evolution
SIDE = 3  # of a filter
PRUNED, ACCURACY = "fraction of pruned weights", "test accuracy"

Spread = tuple[np.ndarray, np.ndarray]  # x (points,), values (seeds, points)


def accuracies(curves: Mapping[tuple[str, str], Spread]) -> Figure:
    """Figures 1, 2 and 10: colours are ways to prune, line styles treatments."""
    figure = Figure(figsize=(8.4, 4.6), layout="constrained")
    ax = figure.subplots()
    several = len({treatment for _, treatment in curves}) > 1
    for (method, treatment), (x, values) in curves.items():
        label = f"{method}, {SAID[treatment]}" if several else method
        _line(ax, x, values, method, TREATMENTS[treatment], label)
    ax.set(xlabel=PRUNED, ylabel=f"{ACCURACY} (MNIST)")
    ax.grid(alpha=0.25)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8)
    return figure


def distances(
    panels: Mapping[str, Mapping[str, np.ndarray]],
    labels: Mapping[str, tuple[str, str]],
    what: str,
    logarithmic: bool = False,
    columns: int = 3,
) -> Figure:
    """Figures 3, 4, 9 and 11: Jaccard distance over iterations, a panel per key.

    Parameters
    ----------
    panels : title -> line -> (seeds, levels + 1)
    labels : line -> (method, treatment)
        Which colour and style a line has.
    what : str
        For the vertical axis: from what the distance is.
    logarithmic : bool
        The axis of iterations, as in the appendix.
    columns : int
    """
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    size = (3.1 * columns + 1.8, 2.6 * rows + 0.3)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True, sharex=True)
    for ax, (title, lines) in zip(axes.flat, panels.items(), strict=False):
        for name, values in lines.items():
            method, treatment = labels[name]
            iterations = np.arange(1, values.shape[1])
            _line(ax, iterations, values[:, 1:], method, TREATMENTS[treatment], name)
        ax.set_title(title, fontsize=9)
        ax.set_ylim(-0.02, 1.02)
        ax.grid(alpha=0.25)
        if logarithmic:
            _logarithmic(ax, values.shape[1] - 1)
        else:
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    for ax in axes.flat[len(panels) :]:
        ax.remove()
    for ax in axes.flat[max(0, len(panels) - columns) : len(panels)]:  # nothing is below them
        ax.set_xlabel("pruning iteration")
        ax.tick_params(labelbottom=True)
    for ax in axes[:, 0]:
        ax.set_ylabel(what)
    handles = {
        n: h for ax in axes.flat for h, n in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        [*handles.values()], [*handles], loc="outside right center", frameon=False, fontsize=8
    )
    return figure


def dots(panels: Mapping[str, Mapping[str, Sequence[Spread]]]) -> Figure:
    """Figure 12: a dot a network, a line a seed; panels say how pruned weights are counted.

    Parameters
    ----------
    panels : title -> method -> for each seed (x, accuracies)
    """
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True)
    for ax, (title, methods) in zip(axes, panels.items(), strict=True):
        for method, chains in methods.items():
            for k, (x, y) in enumerate(chains):
                look: Any = {"color": COLOUR[method], "marker": MARKER[method]}
                name = method if k == 0 else None
                ax.plot(x, y, ms=3.5, lw=0.8, alpha=0.8, label=name, **look)
        ax.set(title=title, xlabel=PRUNED)
        ax.grid(alpha=0.25)
    axes[0].set_ylabel(ACCURACY)
    axes[-1].legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8)
    return figure


def agreements(matrices: Mapping[str, np.ndarray], names: Sequence[str]) -> Figure:
    """Figure 14: test examples on which every two networks agree, a panel per iteration."""
    figure = Figure(figsize=(5.6 * len(matrices), 5.2), layout="constrained")
    axes = figure.subplots(1, len(matrices), squeeze=False)[0]
    top = max(float(matrix.max()) for matrix in matrices.values())
    for ax, (title, matrix) in zip(axes, matrices.items(), strict=True):
        shown = ax.imshow(matrix, cmap="viridis", vmin=0, vmax=top)
        ax.set_title(title)
        ax.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=8)
        ax.set_yticks(range(len(names)), names, fontsize=8)
        for (i, j), value in np.ndenumerate(matrix):
            light = value > 0.6 * top
            ax.text(
                j,
                i,
                f"{value:.0f}",
                ha="center",
                va="center",
                fontsize=7,
                color="black" if light else "white",
            )
    figure.colorbar(shown, ax=list(axes), shrink=0.8).set_label("test examples with agreement")
    return figure


def evolutions(panels: Mapping[str, Evolution]) -> Figure:
    """Figures 6 and 7: weights after training over iterations; a line ends where it is pruned.

    Of many weights some are drawn, spread evenly over the ranking by their first magnitude, which
    is their colour.
    """
    figure = Figure(figsize=(3.9 * len(panels), 3.8), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    magma = matplotlib.colormaps["magma"]
    for ax, (title, found) in zip(axes, panels.items(), strict=True):
        order = np.argsort(np.abs(found.values[0]))
        chosen = order[np.linspace(0, len(order) - 1, min(LINES, len(order))).astype(int)]
        for k, line in enumerate(found.values.T[chosen]):
            ax.plot(line, color=magma(0.9 * k / len(chosen)), lw=0.7, alpha=0.7)
        ax.axhline(0, color="black", lw=0.8)
        ax.set(title=title, xlabel="pruning iteration")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0].set_ylabel("weight after training")
    return figure


def stabilities(values: Mapping[str, np.ndarray], layers: Sequence[str]) -> Figure:
    """Figure 8: mean absolute change of weights, by layer; values are (seeds, layers)."""
    figure = Figure(figsize=(7.6, 4.2), layout="constrained")
    ax = figure.subplots()
    places = np.linspace(-0.3, 0.3, len(values))
    for place, (method, found) in zip(places, values.items(), strict=True):
        ax.errorbar(
            np.arange(len(layers)) + place,
            found.mean(axis=0),
            yerr=found.std(axis=0) / 2,
            fmt=MARKER[method],
            color=COLOUR[method],
            label=method,
            capsize=2,
        )
    ax.set_xticks(range(len(layers)), layers)
    ax.set_ylabel("mean |wᵢ − wᵢ₋₁|, over iterations and weights")
    ax.set_ylim(bottom=0)
    ax.grid(axis="y", alpha=0.25)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8)
    return figure


def masked_weights(rows: Sequence[Mapping[str, np.ma.MaskedArray]]) -> Figure:
    """Figures 5 and 13: filters of a convolution, a row for each input channel.

    Weights are red above 0 and blue below; what is pruned is grey.

    Parameters
    ----------
    rows : of the picture: title -> (SIDE * inputs, SIDE * outputs)
    """
    columns = max(map(len, rows))
    figure = Figure(figsize=(4.6 * columns, 2.3 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    colours = matplotlib.colormaps["RdBu_r"].with_extremes(bad="#B8B8B8")
    for line, images in zip(axes, rows, strict=True):
        for ax, (title, image) in zip(line, images.items(), strict=False):
            top = float(np.percentile(np.abs(image.compressed()), STRONG)) if image.count() else 0
            top = top or 1.0  # of nothing but zeros
            ax.imshow(image, cmap=colours, norm=TwoSlopeNorm(0, -top, top), interpolation="nearest")
            ax.set_title(title, fontsize=9)
            ax.set_xticks([])
            ax.set_yticks([])
            ax.set_xlabel("output channels", fontsize=8)
            height, width = image.shape
            ax.hlines(np.arange(SIDE, height, SIDE) - 0.5, -0.5, width - 0.5, "white", lw=1)
            ax.vlines(np.arange(SIDE, width, SIDE) - 0.5, -0.5, height - 0.5, "white", lw=1)
        line[0].set_ylabel("input channels", fontsize=8)
    return figure


def _line(ax, x, values, method, style, label):
    """A mean with half a standard deviation either way."""
    values = values[:, : len(x)]  # of chains that diverged there is nothing beyond
    shown = np.isfinite(values).any(axis=0)
    if not shown.any():
        return
    mean, half = np.nanmean(values[:, shown], axis=0), np.nanstd(values[:, shown], axis=0) / 2
    look: Any = {"color": COLOUR[method], "linestyle": style, "marker": MARKER[method]}
    ax.plot(x[shown], mean, label=label, ms=3.5, lw=1.3, **look)
    ax.fill_between(x[shown], mean - half, mean + half, color=COLOUR[method], alpha=0.15, lw=0)


def _logarithmic(ax, last):
    ax.set_xscale("log")
    ticks = [k for k in (1, 2, 5, 10, 20, 30) if k <= last]
    ax.set_xticks(ticks, [str(k) for k in ticks])
    ax.minorticks_off()
