"""Pictures of small networks as graphs: one beside the other, and two matched as NNSTD does it."""

from collections.abc import Mapping

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sparse_ref import csr
from sparse_ref.plots import COLOURS
from sparse_ref.topology import Comparison, normalized_edit_distances
from sparse_ref.topology.patterns import Layers, Topology, chained

EDGE, PAPER, TRACED = "#7A858C", "#FFFFFF", COLOURS[5]
INKS = tuple(COLOURS[k] for k in (1, 2, 3, 4, 7, 5, 6))  # of units that answer to each other
FAINTEST = 0.12  # of many connections


def bipartite(networks: Mapping[str, Topology], *, highlight: int | None = None) -> Figure:
    """Small networks as graphs, side by side: a column of dots a layer, the inputs on the left.

    Parameters
    ----------
    networks : title -> topology
        Layers must chain. Readable to about 100 units a layer.
    highlight : int, optional
        Number of an input, from 0; all paths from it are drawn in colour.
    """
    layers = {title: chained(network, "bipartite") for title, network in networks.items()}
    tallest = max(max(_widths(net)) for net in layers.values())
    height = float(np.clip(0.34 * tallest, 2.2, 8.0))
    sizes = [1.3 * len(net) + 0.5 for net in layers.values()]
    figure = Figure(figsize=(sum(sizes) + 0.3, height + 0.8), layout="constrained")
    axes = figure.subplots(1, len(layers), squeeze=False, width_ratios=sizes)[0]
    dot = min(11.0, 0.6 * 72 * height / tallest)
    for ax, (title, net) in zip(axes, layers.items(), strict=True):
        lit = _reached(net, highlight) if highlight is not None else [[] for _ in _widths(net)]
        _draw(ax, net, lit, dot)
        ax.set_title(title, fontsize=11)
    return figure


def matching(first: Topology, second: Topology, comparison: Comparison) -> Figure:
    """How NNSTD comes about (Liu et al. 2020, figure 1): two small networks and their matrices.

    Units that answer to each other have one colour. Of each layer, the matrix of distances is shown
    with the pairs that were chosen framed; inputs go by the names they have in the first network.

    Parameters
    ----------
    first, second : topologies
        Of at most about seven units a layer.
    comparison : Comparison
        ``nnstd(first, second)``.
    """
    nets = [chained(network, "matching") for network in (first, second)]
    depth, most = len(nets[0]), max(_widths(nets[0]))
    own = [np.arange(width) for width in _widths(nets[0])]
    partners = [own[0], *comparison.assignments]
    figure = Figure(figsize=(2.9 * depth + 5.4, 0.62 * most + 1.7), layout="constrained")
    sizes = [0.75 + 0.3 * depth] * 2 + [1.0] * depth
    axes = figure.subplots(1, depth + 2, squeeze=False, width_ratios=sizes)[0]
    for ax, net, orders, name in zip(axes, nets, (own, partners), ("N1", "N2"), strict=False):
        colours = [[PAPER] * len(own[0])]
        colours += [[INKS[i % len(INKS)] for i in np.argsort(order)] for order in orders[1:]]
        _draw(ax, net, [[] for _ in own], 20.0, colours)
        _name_units(ax, net)
        ax.set_title(name, fontsize=12)
    for k, ax in enumerate(axes[2:]):
        renamed = csr.pattern(nets[1][k])[:, partners[k]]
        costs = normalized_edit_distances(nets[0][k], renamed)
        _draw_matrix(ax, costs, partners[k + 1], _letters(depth)[k + 1])
        chosen = costs[own[k + 1], partners[k + 1]]
        ax.set_title(f"layer {k + 1}\n{_mean(chosen)}", fontsize=9.5)
    figure.suptitle(f"NNSTD = {_mean(comparison.layers)}", fontsize=13)
    return figure


def _widths(net: Layers) -> list[int]:
    return [net[0].shape[1], *(weight.shape[0] for weight in net)]


def _places(net):
    """Heights of the units of each layer, the first at the top; narrow layers stand wider apart."""
    most = max(_widths(net))
    heights = [0.5 - (np.arange(width) + 0.5) / width for width in _widths(net)]
    return [places * (len(places) / most) ** 0.35 for places in heights]


def _draw(ax, net, lit, dot, fills=None):
    """Dots and lines, and under each column how many units it has; `lit` units are traced."""
    places = _places(net)
    for k, weight in enumerate(net):
        rows = np.repeat(np.arange(weight.shape[0]), np.diff(weight.indptr))
        traced = np.isin(weight.indices, lit[k])
        plain = {"colors": EDGE, "alpha": max(FAINTEST, min(0.9, 60 / max(weight.nnz, 1)))}
        for chosen, look in ((~traced, plain), (traced, {"colors": TRACED})):
            starts, ends = places[k][weight.indices[chosen]], places[k + 1][rows[chosen]]
            lines = [((k, y), (k + 1, z)) for y, z in zip(starts, ends, strict=True)]
            ax.add_collection(LineCollection(lines, linewidths=1.1, zorder=1, **look))
    for k, heights in enumerate(places):
        colours = [TRACED if unit in lit[k] else PAPER for unit in range(len(heights))]
        look = {"c": fills[k] if fills else colours, "edgecolors": "black", "linewidths": 0.9}
        ax.scatter(np.full(len(heights), k), heights, s=dot**2, zorder=3, **look)
    names = ["inputs", *_hidden("hidden {}", len(net), "hidden"), "outputs"]
    labels = [f"{name}\n{width}" for name, width in zip(names, _widths(net), strict=True)]
    ax.set_xticks(range(len(labels)), labels, fontsize=9)
    ax.set(yticks=[], xlim=(-0.3, len(net) + 0.3), ylim=(-0.52, 0.52))
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)


def _reached(net, start):
    """Of each layer, the units that stand on a path from input `start`."""
    n_in = net[0].shape[1]
    if not 0 <= start < n_in:
        raise ValueError(f"bipartite: highlight must be an input, 0 ... {n_in - 1}, got {start}")
    found = [np.array([start])]
    for weight in net:
        rows = np.repeat(np.arange(weight.shape[0]), np.diff(weight.indptr))
        found.append(np.unique(rows[np.isin(weight.indices, found[-1])]))
    return found


def _hidden(name, depth, only):
    return [only] if depth == 2 else [name.format(k) for k in range(1, depth)]


def _letters(depth):
    return ["I", *_hidden("H{}.", depth, "H"), "O"]


def _name_units(ax, net):
    for k, (letter, heights) in enumerate(zip(_letters(len(net)), _places(net), strict=True)):
        for unit, height in enumerate(heights):
            look = {"ha": "center", "va": "center", "fontsize": 8 if len(net) == 2 else 6.5}
            ax.text(k, height, f"{letter}{unit + 1}", zorder=4, **look)


def _draw_matrix(ax, costs, order, letter):
    """Costs as numbers; what was chosen has a frame in the colour of the pair."""
    ax.imshow(costs, cmap="Greys", vmin=0, vmax=2.4)
    for (i, j), cost in np.ndenumerate(costs):
        ax.text(j, i, f"{cost:.2g}", ha="center", va="center", fontsize=11 if len(costs) < 4 else 9)
    for i, j in enumerate(order):
        frame = Rectangle((j - 0.44, i - 0.44), 0.88, 0.88, fill=False, linewidth=3.5)
        frame.set_edgecolor(INKS[i % len(INKS)])
        ax.add_patch(frame)
    names = [f"{letter}{k + 1}" for k in range(len(costs))]
    ax.set_xticks(range(len(costs)), names, fontsize=9)
    ax.set_yticks(range(len(costs)), names, fontsize=9)
    ax.set(xlabel="N2", ylabel="N1")
    ax.tick_params(length=0)


def _mean(terms):
    """A mean as one would write it down; of many terms, only what it comes to."""
    if len(terms) > 3:
        return f"mean of {len(terms)}: {np.mean(terms):.3g}"
    return f"({' + '.join(f'{term:.2g}' for term in terms)}) / {len(terms)} = {np.mean(terms):.3g}"
