"""Pictures of one layer's connections: where they are, and how many a unit has."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.sparse import csr_array

from sparse_ref.topology.patterns import pattern_of

RISE = 2.6  # how high the highest ridge rises, in distances between ridges
LEAST_WIDTH = 0.5  # of the bell that stands for one unit, in connections
SEEN = 0.01  # of its height: where a ridge ends for the eye
SHAPES = (0.4, 1.6)  # height over width of an image: others are stretched


def masks(images: Mapping[str, Any], *, columns: int = 2, pixels: int = 400) -> Figure:
    """Patterns as images: white where there is a connection, rows are units, columns their inputs.

    Parameters
    ----------
    images : title -> (n_out, n_in) csr_array or ndarray
    columns : int
        Images side by side.
    pixels : int
        Layers with more rows or columns are shown in blocks, each as bright as it is dense, on a
        scale that all images share. No dense array of such a layer is made.
    """
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    layers = {title: pattern_of(weight, "masks") for title, weight in images.items()}
    sides = [float(np.clip(w.shape[0] / w.shape[1], *SHAPES)) for w in layers.values()]
    tall = [max(sides[first : first + columns]) for first in range(0, len(sides), columns)]
    blocks = {title: _blocks(weight, pixels) for title, weight in layers.items()}
    brightest = Normalize(0, max(float(b.max(initial=0)) for b in blocks.values()) or 1)
    size = 4.0 * columns + 1.0, sum(4.0 * side + 0.8 for side in tall)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, height_ratios=tall)
    for ax in axes.flat[len(images) :]:
        ax.set_axis_off()
    for ax, side, (title, weight) in zip(axes.flat, sides, layers.items(), strict=False):
        n_out, n_in = weight.shape
        ends = (-0.5, n_in - 0.5, n_out - 0.5, -0.5)
        look = {"cmap": "gray", "norm": brightest, "interpolation": "nearest", "aspect": "auto"}
        shown = ax.imshow(blocks[title], extent=ends, **look)
        ax.set_box_aspect(side)
        ax.set_title(title, fontsize=11)
        ax.set(xlabel="input", ylabel="unit")
        ax.tick_params(labelsize=8)
    if any(blocks[title].shape != layers[title].shape for title in layers):
        bar = figure.colorbar(shown, ax=axes.ravel().tolist(), shrink=0.8, aspect=30, pad=0.02)
        bar.set_label("density of a block")
    return figure


def degree_ridges(
    panels: Mapping[str, np.ndarray], labels: Sequence[str], *, what: str = "in-degree"
) -> Figure:
    """How the degrees of a layer's units are spread, record by record, the first one at the top.

    A ridge is a bell a unit, added up. All ridges of a panel have the same area.

    Parameters
    ----------
    panels : title -> (records, units)
        They share the axis of degrees.
    labels : sequence of str, one a record
        Such as ``epoch 10``.
    what : str
        The quantity, for the axis.
    """
    n = len(labels)
    figure = Figure(figsize=(3.8 * len(panels) + 0.8, 0.4 * n + 1.5), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False, sharex=True, sharey=True)[0]
    ends = [(float(np.min(degrees)), float(np.max(degrees))) for degrees in panels.values()]
    least, most = min(low for low, _ in ends), max(high for _, high in ends)
    grid = np.linspace(least - 0.1 * (most - least) - 2, most + 0.1 * (most - least) + 2, 800)
    colours = colormaps["viridis"](np.linspace(0.1, 0.9, n))
    seen = np.zeros(len(grid), bool)
    for ax, (title, records) in zip(axes, panels.items(), strict=True):
        if len(records) != n:
            raise ValueError(f"degree_ridges: labels must be one a record, {len(records)}, got {n}")
        ridges = [_bells(np.asarray(record, float), grid) for record in records]
        scale = RISE / max(map(np.max, ridges))
        for k, ridge in enumerate(ridges):
            foot = n - 1 - k
            look = {"facecolor": colours[k], "edgecolor": "white", "linewidth": 0.9, "zorder": k}
            ax.fill_between(grid, foot, foot + scale * ridge, **look)
            seen |= ridge > SEEN * ridge.max()
        ax.set(title=title, xlabel=what, ylim=(-0.1, n - 1 + 1.1 * RISE))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
        ax.spines[["left", "right", "top"]].set_visible(False)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x", alpha=0.3)
    axes[0].set_xlim(max(0, grid[seen][0]), grid[seen][-1])
    axes[0].set_yticks(np.arange(n)[::-1], labels)
    return figure


def _blocks(weight: csr_array, pixels: int) -> np.ndarray:
    """Densities of blocks of rows and columns, at most `pixels` of each."""
    row = np.repeat(np.arange(weight.shape[0]), np.diff(weight.indptr))
    n_out, n_in = (min(side, pixels) for side in weight.shape)
    rows = np.arange(weight.shape[0]) * n_out // weight.shape[0]
    columns = np.arange(weight.shape[1]) * n_in // weight.shape[1]
    at = rows[row] * n_in + columns[weight.indices]
    counts = np.bincount(at, minlength=n_out * n_in).reshape(n_out, n_in)
    return counts / np.outer(np.bincount(rows), np.bincount(columns))


def _bells(degrees, grid):
    """Mean of normal densities around the degrees, of Silverman's width."""
    width = max(LEAST_WIDTH, 0.9 * degrees.std() * len(degrees) ** -0.2)
    values, counts = np.unique(degrees, return_counts=True)
    bells = np.exp(-0.5 * ((grid[:, None] - values) / width) ** 2) / width
    return bells @ (counts / len(degrees))
