"""The pictures of figures 2, 7 and 8: pruning while training, and retraining what is left."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from sparse_ref.experiments.alford_2018 import published
from sparse_ref.experiments.alford_2018.pictures import error_scale
from sparse_ref.experiments.alford_2018.retraining import (
    LINEAR,
    NAMED,
    RELU,
    Schedule,
    ceilings,
)
from sparse_ref.experiments.evidence import Sample
from sparse_ref.plots import COLOURS

BY_SPARSITY = (COLOURS[6], COLOURS[5], COLOURS[3], COLOURS[4])
OF_OUTPUTS = {RELU: COLOURS[5], LINEAR: COLOURS[6]}
SHOWN = 9  # dead classes of which a histogram shows what is left
CURVE = 400  # points of a drawn curve


def prunings(found: Mapping[float, Sequence[Any]], schedule: Schedule) -> Figure:
    """Figure 2: the sparsity over steps, and the accuracy before and after every pruning.

    Parameters
    ----------
    found : density -> prunings
        With ``step``, ``sparsity``, ``before`` and ``after``; the last is the end of the training.
    schedule : Schedule
    """
    figure = Figure(figsize=(11.0, 4.6), layout="constrained")
    grid = figure.add_gridspec(len(found), 2)
    left = figure.add_subplot(grid[:, 0])
    for k, (density, rows) in enumerate(found.items()):
        right = figure.add_subplot(grid[k, 1])
        colour, steps = BY_SPARSITY[k % 4], [row.step for row in rows]
        name = f"to sparsity {1 - density:g}"
        reached = [0, *(row.sparsity for row in rows)]
        left.step([0, *steps], reached, where="post", color=colour, label=name)
        t = np.linspace(0, steps[-1], CURVE)
        part = np.clip((t - schedule.start) / (schedule.stop - schedule.start), 0, 1)
        left.plot(t, (1 - density) * (1 - (1 - part) ** 3), color=colour, lw=0.8, ls="--")
        saw = [100 * value for row in rows for value in (row.before, row.after)]
        right.plot(np.repeat(steps, 2), saw, color=colour, lw=1.0, label=name)
        right.set(xlim=(0, steps[-1]), ylabel="test\naccuracy, %")
        right.legend(frameon=False, fontsize=9, loc="lower left")
        right.grid(alpha=0.25)
        if k == 0:
            right.set_title("before and after every pruning")
    right.set(xlabel="training step")
    left.plot([], [], color="0.4", lw=0.8, ls="--", label="s(t)")
    left.set(
        title=f"pruning is done every {schedule.every} steps",
        ylabel="sparsity",
        xlabel="training step",
        ylim=(0, 1.02),
    )
    left.grid(alpha=0.25)
    left.legend(frameon=False, fontsize=9, loc="lower right")
    return figure


def over_sparsity(samples: Mapping[tuple[str, str, float], Sample], model: str) -> Figure:
    """Figure 7: accuracy over sparsity, with the ReLU on the outputs and without.

    Full marks are means of this run with bars from the least to the most accurate training, hollow
    ones are the paper's, whose program has the ReLU. Sparsity is on a logarithmic scale of density.
    """
    figure = Figure(figsize=(11.5, 4.6), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    kinds = [kind for logits, kind, density in samples if logits == RELU and density != 1]
    kinds = list(dict.fromkeys(kinds))
    for ax, logits in zip(axes, (RELU, LINEAR), strict=True):
        error_scale(ax)
        ax.set_xscale("log")
        for k, (kind, colour) in enumerate(zip(kinds, BY_SPARSITY, strict=False)):
            points = {d: s for (a, b, d), s in samples.items() if (a, b) == (logits, kind)}
            _bars(ax, points, kind, colour, 1 + 0.05 * (k - 1))
            numbers = published.FIGURE_7[model]
            hollow = {"markerfacecolor": "none", "markersize": 11, "linestyle": ""}
            shown = {d: 100 * numbers[d][k] for d in points}
            ax.plot(shown.keys(), shown.values(), "o", color=colour, **hollow)
        dense = [s for (a, _, d), s in samples.items() if (a, d) == (logits, 1.0)]
        for sample in dense:
            if sample.values:
                ax.axhline(100 * sample.mean, color=COLOURS[0], ls="--", label="dense, here")
        ax.axhline(
            100 * published.DENSE_OF_FIGURE_7[model], color="0.6", ls=":", label="dense, published"
        )
        ax.set(title=NAMED[logits], xlabel="sparsity")
        _sparsities(ax, [d for _, _, d in samples if d != 1])
        ax.grid(alpha=0.25)
    axes[0].set_ylabel("test accuracy, %")
    axes[1].plot([], [], "o", color="0.4", markerfacecolor="none", ms=11, label="published")
    handles, labels = axes[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False, title=model)
    return figure


def _bars(ax, points, kind, colour, shift):
    where = [density for density in sorted(points) if points[density].values]
    values = [100 * np.array(points[density].values) for density in where]
    means = np.array([v.mean() for v in values])
    ends = [means - [v.min() for v in values], [v.max() for v in values] - means]
    look = {"marker": "o", "markersize": 5, "capsize": 3, "elinewidth": 1, "color": colour}
    if where:
        ax.errorbar(np.array(where) * shift, means, ends, label=f"{kind}, here", **look)


def _sparsities(ax, densities):
    ticks = sorted(set(densities))
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticklabels([f"{1 - density:g}" for density in ticks])
    ax.set_xlim(1.4 * max(ticks), 0.7 * min(ticks))


def over_time(usual: Mapping[Any, Sequence[Any]]) -> Figure:
    """Figure 8: test accuracy of every retraining over epochs; a colour each, dashed from another
    structure.
    """
    figure, axes = _grid(usual)
    for key, group in usual.items():
        ax = axes[key.logits, key.density]
        structures = list(dict.fromkeys(r.structure for r in group))
        for k, r in enumerate(group):
            style = ("-", "--", ":")[structures.index(r.structure) % 3]
            values = 100 * np.array(r.curve)
            look: dict[str, Any] = {"color": COLOURS[k % 7], "lw": 0.9, "ls": style}
            ax.plot(np.arange(1, len(values) + 1), values, **look)
        ax.set(ylim=(0, 101))
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.grid(alpha=0.25)
    _name(axes, "epoch", "test accuracy, %")
    return figure


def histograms(usual: Mapping[Any, Sequence[Any]], labels: np.ndarray) -> Figure:
    """Final accuracies; grey where they cannot exceed without one, two, ... of the classes."""
    figure, axes = _grid(usual)
    bins = np.arange(0, 102, 2)
    for key, group in usual.items():
        ax = axes[key.logits, key.density]
        for n_dead in range(1, SHOWN + 1):
            low, high = ceilings(labels, n_dead)
            ax.axvspan(100 * low, 100 * high, color="0.88", lw=0)
        ax.hist([100 * r.accuracy for r in group], bins, color=OF_OUTPUTS[key.logits])
        ax.set(xlim=(0, 100))
        ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    _name(axes, "final test accuracy, %", "trainings")
    return figure


def against_dead(usual: Mapping[Any, Sequence[Any]], labels: np.ndarray) -> Figure:
    """Final accuracy over the number of dead classes, of all retrainings with the ReLU."""
    figure = Figure(figsize=(8.6, 4.6), layout="constrained")
    ax = figure.subplots()
    for n_dead in range(SHOWN + 1):
        low, high = ceilings(labels, n_dead)
        ax.fill_between(
            [n_dead - 0.4, n_dead + 0.4], 100 * low - 0.3, 100 * high + 0.3, color="0.85", lw=0
        )
    keys = [key for key in usual if key.logits == RELU]
    densities = sorted({key.density for key in keys})
    markers = dict(zip(dict.fromkeys(key.kind for key in keys), "vo^", strict=True))
    for key in keys:
        k, group = densities.index(key.density), usual[key]
        at = [len(r.seen.dead) + 0.13 * (k - 2) for r in group]
        look: dict[str, Any] = {"color": (*BY_SPARSITY, COLOURS[0])[k], "ls": "", "alpha": 0.75}
        if markers[key.kind] == "^":
            look["markerfacecolor"] = "none"
        values = [100 * r.accuracy for r in group]
        ax.plot(at, values, markers[key.kind], ms=5, label=key.where, **look)
    ax.fill_between([], [], color="0.85", label="best without them")
    ax.set(xlabel="dead classes", ylabel="final test accuracy, %", xlim=(-0.6, 9.6), ylim=(0, 101))
    ax.set_xticks(range(10))
    ax.set_title(NAMED[RELU], fontsize=11)
    ax.grid(alpha=0.25)
    figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    return figure


def _grid(usual):
    """A row for each kind of output, a column for each density."""
    rows = list(dict.fromkeys(key.logits for key in usual))
    columns = list(dict.fromkeys(key.density for key in usual))
    figure = Figure(figsize=(2.7 * len(columns) + 0.6, 5.2), layout="constrained")
    made = figure.subplots(len(rows), len(columns), sharex=True, sharey="row", squeeze=False)
    axes = {(a, b): made[i, j] for i, a in enumerate(rows) for j, b in enumerate(columns)}
    return figure, axes


def _name(axes, below, beside):
    columns = list(dict.fromkeys(density for _, density in axes))
    rows = list(dict.fromkeys(logits for logits, _ in axes))
    for density in columns:
        title = "dense" if density == 1 else f"sparsity {1 - density:g}"
        axes[rows[0], density].set_title(title, fontsize=11)
        axes[rows[-1], density].set_xlabel(below)
    for logits in rows:
        axes[logits, columns[0]].set_ylabel(f"{NAMED[logits]}\n{beside}")
