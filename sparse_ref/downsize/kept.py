"""Which units a network cannot do without."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sparse_ref.layers import BatchNorm, Conv2d, DenseConv2d, LocalResponseNorm
from sparse_ref.network_units import POOLS, Rows
from sparse_ref.topology.units import Link, UnitGraph, by_group, of_rows, sources

# Layers that want at least one channel.
NOT_EMPTY = POOLS | BatchNorm | Conv2d | DenseConv2d | LocalResponseNorm
ROUNDINGS = 4  # of a mean of equal numbers


class Dead(NamedTuple):
    """Of each row of units, bool: those that an input reaches, and those that reach an output."""

    reached: tuple[np.ndarray, ...]
    leading: tuple[np.ndarray, ...]


def kept_units(
    layers: Sequence[Any], rows: Rows, dead: Dead, maps: Sequence[Any], inputs: bool
) -> list[np.ndarray]:
    """Of each row, bool: units that stay.

    Parameters
    ----------
    layers : sequence of Layer
    rows : Rows
    dead : Dead
    maps : sequence
        From `constants.maps_before`.
    inputs : bool
        Whether all inputs stay.

    Notes
    -----
    The smallest set with the outputs, the inputs if asked for, what local response normalisation
    sees, every unit that is read by one that stays and cannot become part of its bias, and what is
    tied to any of these. It grows from the first until nothing is missing, mostly in two sweeps.
    """
    graph = rows.graph
    atoms, first = _atoms(graph), np.concatenate([[0], np.cumsum(graph.sizes)])
    kept = np.zeros(first[-1], bool)
    parts = np.split(kept, first[1:-1])  # views
    for row in _forced(graph, inputs):
        parts[row][:] = True
    weighted = (k for k, values in enumerate(maps) if values is not None)
    readers = list(zip(weighted, graph.weights, strict=True))
    needed = {k: _needed(layers[k], at, dead.reached[at.source], maps[k]) for k, at in readers}
    while True:
        before = int(kept.sum())
        for k, link in reversed(readers):
            _tie(kept, atoms)
            wanted = parts[link.target] & dead.leading[link.target]
            parts[link.source] |= _read(graph, link, layers[k].weight, needed[k], wanted)
        _tie(kept, atoms)
        if kept.sum() == before and not _filled(layers, rows, parts):
            return parts


def _forced(graph, inputs):
    """Rows that stay whole."""
    seen = [row for link in graph.links if link.reach for row in (link.source, link.target)]
    return [*seen, len(graph.sizes) - 1, *([0] if inputs else [])]


def _filled(layers, rows, parts):
    """Whether a row that must not be empty was, and got its first unit."""
    empty = [
        row
        for layer, row in zip(layers, rows.before, strict=True)
        if isinstance(layer, NOT_EMPTY) and not parts[row].any()
    ]
    empty += [
        link.target
        for link, layer in zip(rows.graph.weights, _weighted(layers), strict=True)
        if isinstance(layer, NOT_EMPTY) and not parts[link.target].any()
    ]
    for row in empty:
        parts[row][:1] = True
    return bool(empty)


def _weighted(layers):
    return [layer for layer in layers if hasattr(layer, "weight")]


def _tie(kept, atoms):
    """Let all stay that is tied to what stays."""
    kept |= (np.bincount(atoms, weights=kept) > 0)[atoms]


def _atoms(graph: UnitGraph) -> np.ndarray:
    """Of each unit of all rows, the number of the set with which it stays or goes."""
    first = np.concatenate([[0], np.cumsum(graph.sizes)])
    pairs = [np.empty((2, 0), np.int64)]
    for link in graph.links:
        if link.weight is None or link.groups > 1:
            one, other = _tied(graph, link)
            pairs.append(np.stack([first[link.source] + one, first[link.target] + other]))
    both, n = np.concatenate(pairs, axis=1), int(first[-1])
    tied = coo_array((np.ones(both.shape[1], np.int8), (both[0], both[1])), shape=(n, n))
    return connected_components(tied, directed=False)[1]


def _tied(graph, link):
    """Units of source and target that stay or go together, enough pairs to tie all that are tied.

    Of a group of a convolution each filter with the first channel, each channel with one filter.
    """
    units, channels = np.arange(graph.sizes[link.target]), np.arange(graph.sizes[link.source])
    if link.weight is None:
        return units // link.block, units
    filters, share = len(units) // link.groups, len(channels) // link.groups
    one = np.concatenate([units // filters * share, channels])
    return one, np.concatenate([units, channels // share * filters])


def _needed(layer: Any, link: Link, reached: np.ndarray, values: np.ndarray) -> np.ndarray:
    """``(units, block)`` bool: what would be missing if a connection there were left out.

    A constant is missing if it adds other numbers at one position than at another.
    """
    needed = np.repeat(reached[:, None], link.block, axis=1)
    if not isinstance(layer, Conv2d | DenseConv2d) or layer.image_out[1:] == (1, 1):
        return needed
    top = np.abs(values).max(axis=1, initial=0)
    spread = np.ptp(values, axis=1) if values.size else top
    even = spread <= ROUNDINGS * np.finfo(values.dtype).eps * top
    same = even[:, None] & _evenly_read(layer)
    return needed | ((top > 0)[:, None] & ~same)


def _evenly_read(layer):
    """``(block,)`` bool: positions of a kernel that never meet padding, or never anything else."""
    inside, outside = zip(*map(_met, (layer.geometry.rows, layer.geometry.columns)), strict=True)
    never = np.logical_or.outer(*outside)
    return (np.logical_and.outer(*inside) | never).reshape(-1)


def _met(axis):
    """Of each position of a kernel along an axis: whether all it reads is image, and none is."""
    places = np.arange(axis.outputs) * axis.stride - axis.before
    read = places[:, None] + np.arange(axis.kernel) * axis.dilation
    image = (read >= 0) & (read < axis.size)
    return image.all(axis=0), ~image.any(axis=0)


def _read(graph, link, weight, needed, wanted):
    """Units of the source that one of those `wanted` cannot do without."""
    if isinstance(weight, np.ndarray):
        return needed.any(axis=1) & by_group(graph, link, wanted, link.source)
    units = sources(graph, link, weight)
    out = np.zeros(graph.sizes[link.source], bool)
    out[units[needed[units, weight.indices % link.block] & of_rows(weight, wanted)]] = True
    return out
