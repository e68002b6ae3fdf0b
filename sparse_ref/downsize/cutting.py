"""Layers between the units that are kept, on arrays of their own."""

from copy import copy
from typing import Any

import numpy as np

from sparse_ref.layers import BatchNorm, Conv2d, DenseConv2d, SReLU
from sparse_ref.layers.base import is_sparse
from sparse_ref.topology.downsizing import cut
from sparse_ref.topology.units import Link


def cut_weighted(
    layer: Any, link: Link, bias: np.ndarray, rows: np.ndarray, sources: np.ndarray
) -> Any:
    """A layer with a weight, from the units `sources` to the units `rows`.

    Parameters
    ----------
    layer : layer with a weight
    link : Link
        What it joins. Groups must stay or go whole.
    bias : (n_out,)
        In place of the layer's own.
    rows, sources : bool arrays
        Of its units, and of those it reads.
    """
    settings, given = {}, bias[rows]
    read = sources if link.groups == 1 else np.ones(_share(link, sources), bool)
    columns = np.repeat(read, link.block)
    if isinstance(layer, Conv2d | DenseConv2d):
        settings = _settings(layer, link, sources)
        given = given if layer.has_bias or given.any() else False
    if not is_sparse(layer):
        return type(layer)(layer.weight[np.ix_(rows, columns)], given, **settings)
    weight, slots = cut(layer.weight, rows, columns)
    smaller = type(layer)(weight, given, **settings)
    smaller.leave_out(np.flatnonzero(np.isin(slots, layer.left_out)))
    return smaller


def cut_unweighted(layer: Any, kept: np.ndarray) -> Any:
    """A layer without weights, for the units that are kept.

    Parameters
    ----------
    layer : layer without a weight
    kept : (units,) bool
        Of the row it takes.
    """
    if isinstance(layer, SReLU):
        return SReLU(*(values[kept] for values in layer.parameters().values()))
    if isinstance(layer, BatchNorm):
        own = {name: array[kept] for name, array in (layer.parameters() | layer.state()).items()}
        return BatchNorm(**own, momentum=layer.momentum, epsilon=layer.epsilon)
    smaller = copy(layer)
    for name in ("image", "image_out"):  # all else they keep is the same for any number of channels
        if hasattr(layer, name):
            setattr(smaller, name, (int(kept.sum()), *getattr(layer, name)[1:]))
    return smaller


def _share(link, sources):
    """Units that each group reads."""
    return len(sources) // link.groups


def _settings(layer, link, sources):
    """Those of a convolution, of fewer channels and groups."""
    n = int(sources.sum())
    groups = 1 if link.groups == 1 else n // _share(link, sources)
    return layer.settings | {"image": (n, *layer.image[1:]), "groups": groups}
