"""Pictures of what the convolutional networks came to."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sparse_ref import allocation
from sparse_ref.experiments.parger_2022 import measures
from sparse_ref.experiments.parger_2022.grid import (
    BOTH,
    DENSE,
    DSR,
    GGR,
    GGR_RIGL,
    GGR_SET,
    MASKED,
    RIGL,
    RIVALS,
    SET,
    STARTS,
    Cell,
    Results,
    heading,
    named,
)
from sparse_ref.experiments.parger_2022.pictures import LOOKS

HALVES = {  # local ones hollow, global ones full
    SET: ("#E69F00", "none"),
    RIGL: ("#0072B2", "none"),
    BOTH: ("#009E73", "none"),
    DSR: ("#CC79A7", "none"),
    GGR_SET: ("#E69F00", "full"),
    GGR_RIGL: ("#0072B2", "full"),
    GGR: ("#009E73", "full"),
}


def accuracies(results: Results) -> Figure:
    """Every training as a point: a panel a network, a group a column of tables 1 to 3."""
    n = len(results.networks)
    figure = Figure(figsize=(1.6 + 3.9 * n, 4.4), layout="constrained")
    axes = figure.subplots(1, n, squeeze=False, sharey=True)[0]
    for ax, net in zip(axes, results.networks, strict=True):
        dense = results.of(Cell(net, DENSE)).values
        for value in dense:
            ax.axhline(100 * value, color="0.6", linestyle="--", linewidth=1)
        for number, (name, (colour, fill)) in enumerate(HALVES.items()):
            shift = 0.11 * (number - (len(HALVES) - 1) / 2)
            for place, column in enumerate(results.columns):
                values = results.of(Cell(net, name, *column)).values
                label = name if place == 0 and ax is axes[0] else None
                points = [place + shift] * len(values), [100 * value for value in values]
                look = {"color": colour, "fillstyle": fill, "marker": "o", "linestyle": ""}
                ax.plot(*points, label=label, markersize=6, **look)
        ax.set_xticks(
            range(len(results.columns)), [f"{100 * s:g} %\n{start}" for s, start in results.columns]
        )
        ax.set(title=named(net), xlabel="sparsity and start")
        ax.grid(alpha=0.25, axis="y")
    axes[0].set_ylabel("test accuracy, %; dashed: dense")
    figure.legend(loc="outside right upper", frameon=False)
    return figure


def layers(results: Results) -> Figure:
    """Density of every layer at the end: a row a start, a panel a network; means over seeds."""
    n = len(results.networks)
    figure = Figure(figsize=(1.6 + 4.4 * n, 6.2), layout="constrained")
    grid = figure.subplots(len(STARTS), n, squeeze=False, sharey=True, sharex="col")
    for row, start in zip(grid, STARTS, strict=True):
        for ax, net in zip(row, results.networks, strict=True):
            _profile(ax, results, net, start)
            ax.set_title(f"{named(net)}\n{heading(MASKED, start)}", fontsize=10)
        row[0].set_ylabel("density")
    for ax in grid[-1]:
        ax.set_xlabel("layer")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False)
    return figure


def _profile(ax, results, net, start):
    first = Cell(net, RIVALS[0], MASKED, start)
    positions = np.array(first.positions)
    counts = np.asarray(allocation.allocate(start.lower(), first.shapes, first.density))
    where = np.arange(1, len(positions) + 1)
    ax.step(where, _shown(counts) / positions, where="mid", color="0.6", lw=2.5, label="start")
    for name, (colour, marker) in LOOKS.items():
        found = measures.connections(results, Cell(net, name, MASKED, start))
        if len(found):
            values = _shown(found.mean(axis=0)) / positions
            look = {"color": colour, "marker": marker, "markersize": 4, "linewidth": 0.8}
            ax.plot(where, values, label=name, **look)
    ax.set_yscale("log")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(alpha=0.25)


def _shown(counts):
    """A layer without connections as if it had half a one: the axis is logarithmic."""
    return np.maximum(counts, 0.5)
