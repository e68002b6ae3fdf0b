"""The pictures of figures 1 to 4."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from sparse_ref.experiments.evidence import Sample
from sparse_ref.experiments.van_gelder_2020.networks import (
    DNW,
    KINDS,
    LT,
    RANDOM,
    RIGL,
    Net,
)
from sparse_ref.experiments.van_gelder_2020.settings import Settings
from sparse_ref.plots import COLOURS

LOOKS: dict[str, dict[str, Any]] = {
    DNW: {"color": COLOURS[6], "marker": "o", "linestyle": "-"},
    RIGL: {"color": COLOURS[5], "marker": "D", "linestyle": "--"},
    LT: {"color": COLOURS[3], "marker": "s", "linestyle": "-."},
    RANDOM: {"color": COLOURS[0], "marker": "^", "linestyle": ":"},
}
COLOUR_MAP = "cividis"  # blue is low and yellow high, as in the paper
SHOWN = 60  # units of a layer whose line is drawn


def over_sparsity(samples: Mapping[Net, Sample], sparsities: Sequence[float]) -> Figure:
    """Figure 1: means with standard deviations; beside them what is gained over random structures.

    The axis of sparsities is logarithmic in the density, so that the sparse end can be seen.
    """
    figure = Figure(figsize=(11.0, 4.4), layout="constrained")
    axes = figure.subplots(1, 2)
    for number, kind in enumerate(KINDS):
        known = [s for s in sparsities if samples[Net(kind, s)].values]
        mean = np.array([100 * samples[Net(kind, s)].mean for s in known])
        std = np.nan_to_num([100 * samples[Net(kind, s)].std for s in known])
        where = [(1 - s) * (1 + 0.02 * (number - 1.5)) for s in known]  # side by side
        axes[0].errorbar(where, mean, std, capsize=3, label=kind, **LOOKS[kind])
        base = np.array([100 * samples[Net(RANDOM, s)].mean for s in known])
        axes[1].errorbar(where, mean - base, std, capsize=3, **LOOKS[kind])
    for ax in axes:
        ax.set_xscale("log")
        ax.invert_xaxis()
        ax.xaxis.set_major_locator(FixedLocator([1 - s for s in sparsities]))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xticklabels([f"{100 * s:g}" for s in sparsities])
        ax.set_xlabel("sparsity, %")
        ax.grid(alpha=0.25)
    axes[0].set(ylabel="test accuracy, %", title="structures found, weights drawn anew")
    axes[1].set(ylabel="points above random structures", title="what the structure is worth")
    figure.legend(loc="outside right upper", frameon=False)
    return figure


def sensitivity(curves: Mapping[tuple[str, str], np.ndarray], fractions: Sequence[Any]) -> Figure:
    """Figure 2: accuracy over the fraction removed, by magnitude (left) and at random (right)."""
    figure = Figure(figsize=(11.0, 4.4), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    where = np.array([100 * float(f) for f in fractions])
    titles = {"magnitude": "by ascending magnitude", "random": "at random"}
    for ax, (by, title) in zip(axes, titles.items(), strict=True):
        for number, kind in enumerate(KINDS):
            found = 100 * curves[kind, by]
            if len(found):
                spread = found.std(axis=0, ddof=1) if len(found) > 1 else None
                look = LOOKS[kind] | {"label": kind if by == "magnitude" else None}
                beside = where + 0.4 * (number - 1.5)
                ax.errorbar(beside, found.mean(axis=0), spread, capsize=2, markersize=4, **look)
        ax.set(title=title, xlabel="removed, % of the remaining connections")
        ax.grid(alpha=0.25)
    axes[0].set_ylabel("test accuracy, %")
    figure.legend(loc="outside right upper", frameon=False)
    return figure


def degrees(layers: Sequence[np.ndarray], names: Sequence[str]) -> Figure:
    """Figure 3: lines of units over epochs, coloured by their in-degree after epoch 1.

    Parameters
    ----------
    layers : sequence of (epochs + 1, units)
    names : sequence of str
        A row of panels for each layer; beside the lines, every unit as a point.
    """
    figure = Figure(figsize=(10.0, 3.8 * len(layers)), layout="constrained")
    axes = figure.subplots(len(layers), 2, squeeze=False)
    for (left, right), found, name in zip(axes, layers, names, strict=True):
        first, last = found[1], found[-1]
        shade = ScalarMappable(Normalize(first.min(), first.max()), COLOUR_MAP)
        order = np.argsort(first, kind="stable")  # of all degrees some; the largest on top
        chosen = order[np.linspace(0, len(order) - 1, min(SHOWN, len(order))).astype(int)]
        for unit in chosen:
            left.plot(found[:, unit], color=shade.to_rgba(first[unit]), linewidth=1)
        left.axvline(1, color="0.6", linestyle=":", linewidth=1)
        left.set(title=name, xlabel="epoch", ylabel="in-degree")
        left.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.colorbar(shade, ax=left, label="in-degree after epoch 1")
        right.scatter(first, last, c=shade.to_rgba(first), edgecolors="0.4", linewidths=0.4)
        ends = [min(first.min(), last.min()), max(first.max(), last.max())]
        right.plot(ends, ends, color="0.6", linestyle="--", label="no change")
        right.set(title=name, xlabel="in-degree after epoch 1", ylabel="in-degree at the end")
        right.legend(frameon=False)
        right.grid(alpha=0.25)
    return figure


def over_freezing(samples: Mapping[Net, Sample], settings: Settings) -> Figure:
    """Figure 4: accuracy over the freezing epoch, a panel a sparsity; the last epoch is "never"."""
    figure = Figure(figsize=(5.4 * len(settings.frozen), 4.2), layout="constrained")
    axes = figure.subplots(1, len(settings.frozen), squeeze=False)[0]
    where = [*settings.freezes, settings.epochs]
    for ax, sparsity in zip(axes, settings.frozen, strict=True):
        group = [samples[Net(DNW, sparsity, k)] for k in (*settings.freezes, None)]
        mean = [100 * sample.mean for sample in group]
        std = np.nan_to_num([100 * sample.std for sample in group])
        ax.errorbar(where, mean, std, capsize=3, **LOOKS[DNW])
        for x, sample in zip(where, group, strict=True):
            ax.plot([x] * len(sample.values), 100 * np.array(sample.values), ".", color="0.6")
        ax.set(title=f"{100 * sparsity:g} % sparsity", xlabel="freezing epoch k")
        ax.set_xticks(where, [*map(str, settings.freezes), "never"])
        ax.grid(alpha=0.25)
    axes[0].set_ylabel("test accuracy, %")
    return figure
