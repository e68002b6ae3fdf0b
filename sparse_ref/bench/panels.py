"""What the pictures of a benchmark are made of. Colours as in `sparse_ref.plots`."""

from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from sparse_ref.bench.peers import (
    OURS,
    ROWS,
    SCIPY,
    SPARSEPROP,
    TORCH_CSR,
    TORCH_DENSE,
)
from sparse_ref.bench.records import Record, select
from sparse_ref.plots import COLOURS

LOOKS = {  # black is ours; a marker of its own besides a colour of its own
    OURS: (COLOURS[0], "o", "-"),
    ROWS: (COLOURS[0], "o", ":"),
    SCIPY: (COLOURS[4], "v", "-."),
    TORCH_CSR: (COLOURS[6], "s", "--"),
    TORCH_DENSE: (COLOURS[1], "^", "-."),
    SPARSEPROP: (COLOURS[3], "D", "-"),
}


def ratios(ax: Any, records: Sequence[Record]) -> None:
    """Their time over ours, over density: a line of medians, a band of what single rounds show."""
    mine = {r["density"]: r["seconds"] for r in select(records, who=OURS)}
    for who in (SCIPY, TORCH_CSR, SPARSEPROP, TORCH_DENSE):
        part = select(records, who=who)
        if part:
            colour, marker, style = LOOKS[who]
            x = [r["density"] for r in part]
            rounds = [np.divide(r["seconds"], mine[r["density"]]) for r in part]
            middle = [median(r["seconds"]) / median(mine[r["density"]]) for r in part]
            ax.plot(x, middle, label=who, color=colour, marker=marker, linestyle=style)
            low, high = [r.min() for r in rounds], [r.max() for r in rounds]
            ax.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    ax.axhline(1, color=COLOURS[0], linewidth=0.8)
    ax.set_yscale("log")
    plain_ticks(ax.yaxis)


def grid(rows: int, columns: int, share: bool = True) -> tuple[Figure, Any]:
    """A figure and its axes, (rows, columns); `share`: one scale of y for a row."""
    size = (3.1 * columns + 2.0, 2.9 * rows + 0.3)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey="row" if share else False)
    return figure, axes


def finish(
    figure: Figure, axes: Any, title: str, x: str = "density", densities: bool = True
) -> None:
    """What all pictures share: a title, the axis below, a grid, one legend beside the panels."""
    figure.suptitle(title, fontsize=9)
    handles: dict[str, Any] = {}
    for ax in np.ravel(axes):
        ax.grid(alpha=0.25)
        if densities:
            ax.set_xscale("log")
            plain_ticks(ax.xaxis)
        handles |= {label: h for h, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    for ax in axes[-1]:
        ax.set_xlabel(x)
    figure.legend(handles.values(), handles.keys(), loc="outside right upper", frameon=False)


def plain_ticks(axis: Any) -> None:
    """1, 2, 5, 10, ... instead of powers of ten alone."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
