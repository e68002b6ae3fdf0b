"""Pictures of a benchmark, drawn from its records alone. Colours as in `sparse_ref.plots`."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
from matplotlib.figure import Figure

from sparse_ref.bench.contenders import BACKWARD, BOTH, FORWARD, WEIGHT_GRADIENT
from sparse_ref.bench.conv_pictures import convolutions
from sparse_ref.bench.panels import LOOKS, finish, grid, plain_ticks, ratios
from sparse_ref.bench.peers import ROWS
from sparse_ref.bench.records import Record, select, shape, values
from sparse_ref.bench.shares import shares
from sparse_ref.bench.verdicts import LEAST_SHARE, crossing_of
from sparse_ref.plots import COLOURS

DPI = 130
BATCH = 128
KERNELS = {FORWARD: 0, WEIGHT_GRADIENT: 3, BACKWARD: 6}  # colour of each


def write_all(folder: Path, records: Sequence[Record]) -> list[Path]:
    """Write every picture that `records` allow; return the paths."""
    figures = {
        "speed_up.png": speed_up(records),
        "crossing.png": crossing(records),
        "roofline.png": roofline(records),
        "scaling.png": scaling(records),
        "convolutions.png": convolutions(records),
    }
    drawn = {name: figure for name, figure in figures.items() if figure is not None}
    for name, figure in drawn.items():
        figure.savefig(folder / name, dpi=DPI)
    return [folder / name for name in drawn]


def speed_up(records: Sequence[Record]) -> Figure | None:
    """How many times as long every peer takes as ours: a column per layer, a row per product.

    The line is the ratio of medians, the band its least and largest in one round. With the most
    threads that were measured.
    """
    here = _kernels(records)
    whats = [what for what in (FORWARD, BOTH) if select(here, what=what)]
    layers = list(dict.fromkeys(shape(r) for r in here))
    if not here:
        return None
    figure, axes = grid(len(whats), len(layers))
    for row, what in zip(axes, whats, strict=True):
        for ax, name in zip(row, layers, strict=True):
            part = [r for r in here if r["what"] == what and shape(r) == name]
            ratios(ax, part)
            ax.set_title(f"{what}, {name}", fontsize=9)
        row[0].set_ylabel("their time / ours")
    finish(figure, axes, f"batch {BATCH}, float32, threads: {here[0]['threads']}")
    return figure


def crossing(records: Sequence[Record]) -> Figure | None:
    """Time over density of ours and dense, and where they cross: a panel per layer and threads."""
    here = select(records, part="crossing")
    if not here:
        return None
    layers = list(dict.fromkeys((r["n_in"], r["n_out"]) for r in here))
    threads = values(here, "threads")
    figure, axes = grid(len(threads), len(layers), share=False)
    for row, count in zip(axes, threads, strict=True):
        for ax, layer in zip(row, layers, strict=True):
            part = select(here, n_in=layer[0], n_out=layer[1], threads=count)
            _times(ax, part)
            found = crossing_of(here, layer, count)
            text = found[0].text if found else "not measured"
            if found and np.isfinite(found[0].density):
                ax.axvline(found[0].density, color=COLOURS[5], linewidth=1)
            name = f"{layer[0]}x{layer[1]}, threads: {count}"
            ax.set_title(f"{name}\ndense faster from density {text}", fontsize=9)
        row[0].set_ylabel("ms, forward + backward")
    finish(figure, axes, f"batch {BATCH}, float32")
    return figure


def roofline(records: Sequence[Record]) -> Figure | None:
    """Share of the roofline over density, a panel per layer, with the most threads measured."""
    found = [s for s in shares(records) if s.record["batch"] == BATCH]
    most = max((s.record["threads"] for s in found), default=0)
    found = [s for s in found if s.record["threads"] == most]
    if not found:
        return None
    layers = list(dict.fromkeys(shape(s.record) for s in found))
    figure, axes = grid(1, len(layers))
    for ax, name in zip(axes[0], layers, strict=True):
        for what, k in KERNELS.items():
            part = [s for s in found if s.record["what"] == what and shape(s.record) == name]
            x = [s.record["density"] for s in part]
            y = [100 * s.roofline / median(s.record["seconds"]) for s in part]
            ax.plot(x, y, label=what, color=COLOURS[k], marker="os^"[k // 3])
        ax.axhline(100 * LEAST_SHARE, color="0.6", linewidth=0.8, zorder=0)
        ax.set_title(name, fontsize=9)
    tops = [100 * s.roofline / median(s.record["seconds"]) for s in found]
    axes[0][0].set_ylim(0, 1.05 * max(100, *tops))
    axes[0][0].set_ylabel("% of the roofline")
    finish(figure, axes, f"batch {BATCH}, float32, threads: {most}")
    return figure


def scaling(records: Sequence[Record]) -> Figure | None:
    """Time and memory over connections, with lines that grow as connections do."""
    here = [r for r in select(records, part="scaling") if "seconds" in r]
    if not here:
        return None
    here = select(here, threads=max(values(here, "threads")))
    figure, (axes,) = grid(1, 2, share=False)
    quantities = {
        "ms": lambda r: 1e3 * median(r["seconds"]),
        "peak of memory, MB": lambda r: r["peak_bytes"] / 1e6,
    }
    for ax, (label, of) in zip(axes, quantities.items(), strict=True):
        for k, what in enumerate(dict.fromkeys(r["what"] for r in here)):
            part = select(here, what=what)
            x, y = [r["connections"] for r in part], [of(r) for r in part]
            ax.plot(x, y, label=what, color=COLOURS[3 * k], marker="os^"[k])
        steps = select(here, what="step")
        last = steps[-1]
        x = [r["connections"] for r in steps]
        line = [of(last) * c / last["connections"] for c in x]
        ax.plot(x, line, color="0.6", linestyle=":", label="as connections", zorder=0)
        ax.set(xscale="log", yscale="log", ylabel=label)
    finish(figure, [axes], f"threads: {here[0]['threads']}", x="connections", densities=False)
    return figure


def _kernels(records):
    here = select(records, part="kernels", batch=BATCH)
    return select(here, threads=max(values(here, "threads"))) if here else []


def _times(ax, records):
    for who in dict.fromkeys(r["who"] for r in records):
        part = select(records, who=who)
        colour, marker, style = LOOKS[who]
        x, taken = [r["density"] for r in part], [1e3 * np.array(r["seconds"]) for r in part]
        face = "white" if who == ROWS else colour
        look = {"color": colour, "marker": marker, "linestyle": style, "markerfacecolor": face}
        ax.plot(x, [median(t) for t in taken], label=who, **look)
        low, high = [t.min() for t in taken], [t.max() for t in taken]
        ax.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    ax.set_yscale("log")
    plain_ticks(ax.yaxis)
