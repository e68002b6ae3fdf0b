"""What units that no input reaches emit, and what that adds to the units they feed."""

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import tiles
from sparse_ref.layers import Dense
from sparse_ref.layers.base import is_sparse, is_weighted
from sparse_ref.network import Network
from sparse_ref.network_units import Rows


def maps_before(
    net: Network, rows: Rows, reached: tuple[np.ndarray, ...]
) -> list[np.ndarray | None]:
    """What each weight reads of constants.

    Parameters
    ----------
    net : Network
    rows : Rows
    reached : tuple of bool arrays
        Of each row.

    Returns
    -------
    list, one a layer
        ``(units, positions)`` of the network's dtype before a weight, 0 in units that an input
        reaches; None before other layers.
    """
    maps: list[Any] = [None] * len(net.layers)
    _follow(net.plan, net.layers, np.zeros(net.n_in, net.dtype), rows.before, reached, maps)
    return maps


def folded(layer: Any, constants: np.ndarray) -> np.ndarray:
    """The bias with what `constants` add to each sum.

    Parameters
    ----------
    layer : layer with a weight
    constants : (units, positions)
        Such that every filter that counts gets the same at all its positions.
    """
    if not constants.any():
        return layer.bias
    return _sums(layer, constants)[:, 0].astype(layer.bias.dtype)


def _follow(plan, layers, values, before, reached, maps):
    """What one example without inputs becomes; only constants have a meaning."""
    for item in plan:
        if not isinstance(item, int):
            body = _follow(item.body, layers, values, before, reached, maps)
            values = body + _follow(item.shortcut, layers, values, before, reached, maps)
            continue
        layer, fed = layers[item], reached[before[item]]
        if is_weighted(layer):
            maps[item] = np.where(fed[:, None], 0, values.reshape(len(fed), -1 if len(fed) else 1))
            values = _sums(layer, maps[item]).astype(values.dtype).reshape(-1)
        else:
            values = _through(layer, values)
    return values


def _sums(layer, constants):
    """``(units, positions)`` float64: bias and what `constants` add."""
    bias = layer.bias.astype(np.float64)
    positions = layer.n_out // len(bias) if len(bias) else 1
    if not constants.any():
        return np.repeat(bias[:, None], positions, axis=1)
    if isinstance(layer, Dense):  # not all of its weight in double
        used = np.flatnonzero(constants[:, 0])
        return (bias + layer.weight[:, used] @ constants[used, 0].astype(np.float64))[:, None]
    sums = _through(_in_double(layer), constants.astype(np.float64).reshape(-1))
    return sums.reshape(len(bias), positions)


def _in_double(layer):
    """The layer as its forward pass computes, on numbers of float64."""
    weight, bias = layer.weight, layer.bias.astype(np.float64)
    settings = getattr(layer, "settings", {})
    if not is_sparse(layer):
        return type(layer)(weight.astype(np.float64), bias, **settings)
    values = weight.data.astype(np.float64)
    values[layer.left_out] = 0
    pattern = csr_array((values, weight.indices, weight.indptr), shape=weight.shape)
    return type(layer)(pattern, bias, **settings)


def _through(layer, values):
    """What one example `values` (n,) becomes in evaluation."""
    example = tiles.pack(values[None], None, tiles.one_register(values.dtype))
    return tiles.unpack(layer.forward(example)[0], 1)[0]
