"""Gradient, and the exact product of the Hessian with a direction, by the weights of a network.

The R-operator (a derivative along a direction in the weights) is applied to both passes, layer by
layer (`sparse_ref.at_init.tangents`), so all of it costs what the connections cost. For the mean
cross-entropy of ``softmax(z / T)``, p, over n examples, ``Rdelta = (diag(p) - p p') Rz / (n T^2)``.

References
----------
Pearlmutter (1994), "Fast Exact Multiplication by the Hessian".
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparse_ref import residual, tiles
from sparse_ref.at_init import tangents
from sparse_ref.at_init.batch_statistics import OfBatch
from sparse_ref.at_init.pool import batches
from sparse_ref.layers import BatchNorm
from sparse_ref.layers.base import is_weighted
from sparse_ref.losses import softmax_cross_entropy
from sparse_ref.network import Network


def weight_gradients(
    net: Network,
    x: np.ndarray,
    y: np.ndarray,
    temperature: float = 1.0,
    batch_statistics: bool = False,
) -> list[np.ndarray]:
    """Gradient of the mean cross-entropy of ``softmax(outputs / temperature)`` by the weights.

    Parameters
    ----------
    net : Network
        Not changed. Works as in evaluation, without dropout; its loss must be the softmax
        cross-entropy.
    x, y : (n, ...), (n,)
        One batch; labels.
    temperature : float
    batch_statistics : bool
        Batch normalisation goes by the batch's numbers, as in training, and not by the running
        ones.

    Returns
    -------
    list of (slots,)
        One for each of ``net.weighted``.
    """
    x, y = _batch("weight_gradients", net, x, y)
    layers, grads = _layers(net, batch_statistics), [None] * len(net.layers)
    nobody = [None] * len(layers)
    outputs, trail = residual.forward(net.plan, layers, net.packed(x), nobody, len(y))
    delta, _ = _top(outputs, y, temperature)
    residual.backward(net.plan, trail, delta, grads)
    return [grad.weight.reshape(-1) for grad in _of_weights(net, grads)]


def hessian_product(
    net: Network,
    x: np.ndarray,
    y: np.ndarray,
    direction: Sequence[np.ndarray],
    temperature: float = 1.0,
    batch_statistics: bool = False,
) -> list[np.ndarray]:
    """``H v``: derivative of `weight_gradients` along `direction`, biases and all else held fixed.

    Parameters
    ----------
    net, x, y, temperature, batch_statistics
        As there.
    direction : sequence of (slots,)
        One for each of ``net.weighted``.

    Returns
    -------
    list of (slots,)

    Notes
    -----
    At a kink, where the gradient jumps, it is that of the side the pullback takes. Memory: twice
    the activations and a few arrays as long as the connections.
    """
    x, y = _batch("hessian_product", net, x, y)
    layers, packed = _layers(net, batch_statistics), net.packed(x)
    along, none = _directions(net, direction), np.zeros_like(packed)
    outputs, moved, trail = tangents.forward(net.plan, layers, packed, none, along, len(y))
    delta, curvature = _top(outputs, y, temperature)
    products: list[Any] = [None] * len(layers)
    tangents.backward(net.plan, trail, delta, curvature(moved), products)
    return _of_weights(net, products)


def _layers(net, batch_statistics):
    """All layers as they work on the batch."""
    return [
        OfBatch(layer) if batch_statistics and isinstance(layer, BatchNorm) else layer
        for layer in net.layers
    ]


def _of_weights(net, things):
    """Those of the layers with a weight, of one thing a layer."""
    pairs = zip(net.layers, things, strict=True)
    return [thing for layer, thing in pairs if is_weighted(layer)]


def _directions(net, direction):
    """The direction of every layer, None for one without weights."""
    direction = [np.ascontiguousarray(v, net.dtype) for v in direction]
    sizes = [(n,) for n in net.connections]
    if [v.shape for v in direction] != sizes:
        raise ValueError(
            f"hessian_product: direction must have shapes {sizes}, "
            f"got {[v.shape for v in direction]}"
        )
    left = iter(direction)
    return [next(left) if is_weighted(layer) else None for layer in net.layers]


def _top(outputs, y, temperature):
    """The loss's derivative by the outputs, and R of it as a function of R of the outputs."""
    scale, n = outputs.dtype.type(1 / temperature), len(y)
    _, delta = softmax_cross_entropy(outputs * scale, y)
    hits = np.eye(outputs.shape[1], dtype=outputs.dtype)[y]
    hits = tiles.pack(hits, width=outputs.shape[2])
    shares = n * delta + hits  # softmax; 0 in padded examples, and so is what follows

    def curvature(tangent):
        part = shares * tangent
        return (part - shares * part.sum(axis=1, keepdims=True)) * (scale * scale / n)

    return delta * scale, curvature


def check_second_order(who: str, net: Network) -> None:
    """Refuse a loss or layers whose second derivatives are not known here."""
    if net.loss != "softmax_cross_entropy":
        raise ValueError(f"{who}: the loss must be softmax_cross_entropy, got {net.loss}")
    for layer in net.layers:
        if not (is_weighted(layer) or isinstance(layer, tangents.PIECEWISE_LINEAR)):
            raise TypeError(f"{who}: layers must be piecewise linear, got {layer!r}")


def _batch(who, net, x, y):
    """The examples and labels, checked, of a network that may be differentiated twice."""
    check_second_order(who, net)
    ((x, y),) = batches(who, net, x, y, None)
    return x, y
