"""The picture of figure 9: accuracy over density, neurons fixed and connections fixed."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from sparse_ref.experiments.alford_2018.lenet_5 import XNET, Net5
from sparse_ref.experiments.alford_2018.networks import DENSE, RADIX, RANDOM, Net
from sparse_ref.experiments.evidence import Sample
from sparse_ref.plots import COLOURS

# Colour, marker, and a factor of density that sets what stands at one density side by side.
LOOKS = {
    DENSE: (COLOURS[0], "s", 1.0),
    RANDOM: (COLOURS[6], "o", 0.955),
    RADIX: (COLOURS[5], "D", 1.045),
    XNET: (COLOURS[3], "^", 1.045),
}
TICKS = (10, 30, 50, 60, 70, 75, 80, 85, 90, 92, 94, 95, 96, 97, 98, 99)
FLOOR = 0.5  # points: what is added to the error before its logarithm is taken


TITLES = "neurons fixed: 784-300-100-10", "connections fixed: 784-300k-100-10"


def accuracies(
    samples: Mapping[Net, Sample] | Mapping[Net5, Sample], titles: tuple[str, str] = TITLES
) -> Figure:
    """Two panels; full marks are means of this run, hollow ones the paper's.

    Bars go from the least to the most accurate training. Errors are on a logarithmic scale, so that
    a tenth of a point at the top and ten at the bottom can both be seen.
    """
    figure = Figure(figsize=(11.0, 4.6), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    fewer = {net: sample for net, sample in samples.items() if net.times == 1}
    wider = {net: sample for net, sample in samples.items() if net.kind == DENSE or net.times > 1}
    _panel(axes[0], fewer)
    _panel(axes[1], wider)
    _name(axes[0], fewer, lambda net: f"{net.connections / 1000:.3g}k")
    _name(axes[1], wider, lambda net: f"k = {net.times}")
    below = "density of the sparse layers"
    axes[0].set(title=titles[0], xlabel=f"{below},\nand connections in all")
    axes[1].set(title=titles[1], xlabel=f"{below},\nand the widening k")
    axes[0].set_ylabel("test accuracy, %")
    kinds = {net.kind: bool(net.published) for net in samples}
    kinds |= {net.kind: True for net in samples if net.published}
    handles = [Line2D([], [], label=f"{kind}, here", **_full(kind)) for kind in kinds]
    handles += [
        Line2D([], [], label=f"{kind}, published", **_hollow(kind)) for kind in kinds if kinds[kind]
    ]
    figure.legend(handles=handles, loc="outside right upper", frameon=False)
    return figure


def error_scale(ax: Axes) -> None:
    """Percent of accuracy on a scale logarithmic in the error, so that both ends can be seen."""
    ax.set_yscale("function", functions=(_height, _accuracy))
    ax.yaxis.set_major_locator(FixedLocator(TICKS))


def _panel(ax, samples):
    error_scale(ax)
    ax.set_xscale("log")
    for kind, (*_, shift) in LOOKS.items():
        points = {n.density: 100 * np.array(s.values) for n, s in samples.items() if n.kind == kind}
        _bars(ax, {d * shift: v for d, v in points.items() if v.size}, kind)
        numbers = {n.density: n.published for n in samples if n.kind == kind}
        known = {d * shift: 100 * v for d, v in numbers.items() if v}
        ax.plot(list(known), list(known.values()), **_hollow(kind))
    ax.grid(alpha=0.25)
    ax.set_axisbelow(True)


def _bars(ax, points, kind):
    where = sorted(points)
    means = np.array([points[x].mean() for x in where])
    ends = [means - [points[x].min() for x in where], [points[x].max() for x in where] - means]
    ax.errorbar(where, means, ends, capsize=3, elinewidth=1, **_full(kind))


def _name(ax, samples, word):
    """Densities, and below them what they make of the network."""
    ticks = {
        net.density: f"{net.density:g}\n{word(net)}"
        for net in samples
        if net.kind in (DENSE, RANDOM)
    }
    ax.xaxis.set_major_locator(FixedLocator(list(ticks)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticklabels(list(ticks.values()), fontsize=9)
    ax.set_xlim(0.0075, 1.5)


def _full(kind):
    colour, marker, _ = LOOKS[kind]
    line = "" if kind == DENSE else "-"
    return {"color": colour, "marker": marker, "markersize": 6, "zorder": 3, "linestyle": line}


def _hollow(kind):
    look = _full(kind) | {"markersize": 11, "zorder": 2, "linestyle": ""}
    return look | {"markerfacecolor": "none", "markeredgewidth": 1.3}


def _height(accuracy):
    return -np.log(np.maximum(100 - np.asarray(accuracy, float), 0) + FLOOR)


def _accuracy(height):
    return 100 + FLOOR - np.exp(-np.asarray(height, float))
