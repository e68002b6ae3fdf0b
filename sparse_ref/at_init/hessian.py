"""Gradient, and the exact product of the Hessian with a direction, by the weights of a network.

The R-operator (a derivative along a direction v in the weights) is applied to the backward pass:
beside every activation and every delta stands its derivative along v. For a linear layer ::

    y  = W x + b              Ry  = W Rx + V x
    dx = W' delta             Rdx = W' Rdelta + V' delta
    dW = delta x'             RdW = Rdelta x' + delta Rx'

V has the pattern of W, so all of it costs what the connections cost. Activations are piecewise
linear: their slope at x is that of the pullback, and has no derivative. For the mean cross-entropy
of ``softmax(z / T)``, p, over n examples, ``Rdelta = (diag(p) - p p') Rz / (n T^2)``.

References
----------
Pearlmutter (1994), "Fast Exact Multiplication by the Hessian".
"""

from collections.abc import Sequence

import numpy as np

from sparse_ref import csr, tiles
from sparse_ref.at_init.pool import batches
from sparse_ref.kernels import backward, spmm
from sparse_ref.layers import AllReLU, Dense, Dropout, Linear, ReLU, SReLU
from sparse_ref.layers.unscaled_dropout import EvaluationScale, UnscaledDropout
from sparse_ref.losses import softmax_cross_entropy
from sparse_ref.network import Network
from sparse_ref.pruning.weights import values_of

PIECEWISE_LINEAR = (ReLU, AllReLU, SReLU, Dropout, UnscaledDropout, EvaluationScale)


def weight_gradients(
    net: Network, x: np.ndarray, y: np.ndarray, temperature: float = 1.0
) -> list[np.ndarray]:
    """Gradient of the mean cross-entropy of ``softmax(outputs / temperature)`` by the weights.

    Parameters
    ----------
    net : Network
        Works as in evaluation, without dropout; its loss must be the softmax cross-entropy.
    x, y : (n, n_in), (n,)
        One batch; labels.
    temperature : float

    Returns
    -------
    list of (slots,)
        One for each of ``net.weighted``.
    """
    x, y = _batch("weight_gradients", net, x, y)
    trail, outputs = _forward(net, x)
    delta, _ = _top(outputs, y, temperature)
    grads = []
    for k in reversed(range(len(trail))):
        layer, _, pullback = trail[k]
        delta, grad = pullback(delta, wanted=k > 0)
        if isinstance(layer, Linear | Dense):
            grads.append(grad.weight.reshape(-1))
    return grads[::-1]


def hessian_product(
    net: Network,
    x: np.ndarray,
    y: np.ndarray,
    direction: Sequence[np.ndarray],
    temperature: float = 1.0,
) -> list[np.ndarray]:
    """``H v``: derivative of `weight_gradients` along `direction`, biases and all else held fixed.

    Parameters
    ----------
    net, x, y, temperature
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
    direction = [np.ascontiguousarray(v, net.dtype) for v in direction]
    sizes = [(n,) for n in net.connections]
    if [v.shape for v in direction] != sizes:
        raise ValueError(
            f"hessian_product: direction must have shapes {sizes}, "
            f"got {[v.shape for v in direction]}"
        )
    trail, outputs = _forward(net, x)
    tangents, along = _tangents(trail, direction)
    delta, curvature = _top(outputs, y, temperature)
    rdelta, products = curvature(tangents[-1]), []
    for k in reversed(range(len(trail))):
        layer, inputs, pullback = trail[k]
        if isinstance(layer, Linear | Dense):
            back, grad = _pulled(layer, values_of(layer.weight), rdelta, inputs)
            more, cross = _pulled(layer, along[k], delta, tangents[k])
            rdelta, product = back + more, grad + cross
            products.append(product)
        else:
            rdelta = pullback(rdelta)[0]
        delta = pullback(delta)[0]
    return products[::-1]


def _forward(net, x):
    """(layer, its inputs, its pullback) of every layer, and the outputs."""
    x, trail = net.packed(x), []
    for layer in net.layers:
        y, pullback = layer.forward(x)
        trail.append((layer, x, pullback))
        x = y
    return trail, x


def _tangents(trail, direction):
    """Rx of the inputs of every layer and of the outputs, and the direction of every layer."""
    tangents, along = [np.zeros_like(trail[0][1])], []
    left = iter(direction)
    for layer, inputs, pullback in trail:
        if isinstance(layer, Linear | Dense):
            along.append(next(left))
            tangent = _product(layer, values_of(layer.weight), tangents[-1])
            tangent += _product(layer, along[-1], inputs)
        else:
            along.append(None)
            tangent = pullback(tangents[-1])[0]
        tangents.append(tangent)
    return tangents, along


def _top(outputs, y, temperature):
    """The loss's derivative by the outputs, and R of it as a function of R of the outputs."""
    scale, n = outputs.dtype.type(1 / temperature), len(y)
    _, delta = softmax_cross_entropy(outputs * scale, y)
    hits = tiles.pack(np.eye(outputs.shape[1], dtype=outputs.dtype)[y])
    shares = n * delta + hits  # softmax; 0 in padded examples, and so is what follows

    def curvature(tangent):
        part = shares * tangent
        return (part - shares * part.sum(axis=1, keepdims=True)) * (scale * scale / n)

    return delta * scale, curvature


def _product(layer, values, x):
    """``W x`` with other values in the layer's slots."""
    if isinstance(layer, Dense):
        return np.matmul(values.reshape(layer.weight.shape), x)
    y = tiles.empty((x.shape[0], layer.n_out, x.shape[2]), x.dtype)
    weight = layer.weight
    spmm(weight.indptr, weight.indices, values, np.zeros_like(layer.bias), x, y)
    return y


def _pulled(layer, values, delta, x):
    """``W' delta`` with other values in the layer's slots, and ``delta x'`` in the slots."""
    if isinstance(layer, Dense):
        dense = np.tensordot(delta, x, ((0, 2), (0, 2)))
        return np.matmul(values.reshape(layer.weight.shape).T, delta), dense.reshape(-1)
    out, grad = tiles.empty_like(x), tiles.empty_like(values)
    by_input = csr.transpose_index(layer.weight)
    backward(*by_input, values, delta, x, out, grad)
    return out, grad


def check_second_order(who: str, net: Network) -> None:
    """Refuse a network that has second derivatives other than those of the cross-entropy."""
    if net.loss != "softmax_cross_entropy":
        raise ValueError(f"{who}: the loss must be softmax_cross_entropy, got {net.loss}")
    for layer in net.layers:
        if not isinstance(layer, (Linear, Dense, *PIECEWISE_LINEAR)):
            raise TypeError(f"{who}: layers must be piecewise linear, got {layer!r}")


def _batch(who, net, x, y):
    """The examples and labels, checked, of a network that may be differentiated twice."""
    check_second_order(who, net)
    ((x, y),) = batches(who, net, x, y, None)
    return x, y
