"""Layers differentiated twice: both passes with a derivative along a direction in the weights.

R is that derivative. Beside activations x and deltas stand Rx and Rdelta ::

    y  = W x + b              Ry  = W Rx + V x
    dx = W' delta             Rdx = W' Rdelta + V' delta
    dW = delta x'             RdW = Rdelta x' + delta Rx'

for a linear layer whose weights move along V; a convolution is as bilinear in weight and input, so
the same holds of its product and its two gradients. All of it comes from `forward` and pullbacks of
three layers with the pattern of W: W on x, W on Rx and V on x. Nothing is dense that was not.

Between weights a layer is piecewise linear: its slope is that of the pullback and has no
derivative. Or it is batch normalisation by the batch's own numbers
(`sparse_ref.at_init.batch_statistics`), which is not.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sparse_ref.at_init.batch_statistics import OfBatch
from sparse_ref.layers import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AllReLU,
    AvgPool2d,
    BatchNorm,
    Dropout,
    Flatten,
    MaxPool2d,
    ReLU,
    ReLU6,
    SReLU,
)
from sparse_ref.layers.base import is_sparse, is_weighted
from sparse_ref.layers.unscaled_dropout import EvaluationScale, UnscaledDropout
from sparse_ref.pruning.weights import values_of
from sparse_ref.residual import Plan

# Number by number in evaluation: the pullback of a tangent is the tangent of the output.
BY_NUMBER = (ReLU, ReLU6, AllReLU, SReLU, Dropout, UnscaledDropout, EvaluationScale, BatchNorm)
MEANS = (AvgPool2d, AdaptiveAvgPool2d, Flatten)  # linear without weights
MAXIMA = (MaxPool2d, AdaptiveMaxPool2d)
PIECEWISE_LINEAR = (*BY_NUMBER, *MEANS, *MAXIMA)

# pull(delta, rdelta, wanted) -> (dx, Rdx, RdW or None); without `wanted` no dx and no Rdx
Pull = Callable[..., tuple[Any, Any, Any]]


def forward(
    plan: Plan,
    layers: Sequence[Any],
    x: np.ndarray,
    rx: np.ndarray,
    directions: Sequence[np.ndarray | None],
    n: int,
) -> tuple[np.ndarray, np.ndarray, list[Any]]:
    """What the layers make of `x`, the derivative of it, and for `backward` the pulls.

    Parameters
    ----------
    plan, layers
        Of a network; `layers` may hold `OfBatch` in place of `BatchNorm`.
    x, rx : (tiles, features, width)
        Inputs, and their derivative along the direction.
    directions : sequence, one a layer
        V in slot order for a layer with a weight.
    n : int
        Examples that are no padding.
    """
    trail: list[Any] = []
    for item in plan:
        if isinstance(item, int):
            x, rx, pull = along(layers[item], x, rx, directions[item], n)
            trail.append(pull)
        else:
            body, rbody, there = forward(item.body, layers, x, rx, directions, n)
            x, rx, aside = forward(item.shortcut, layers, x, rx, directions, n)
            x, rx = body + x, rbody + rx
            trail.append((there, aside))
    return x, rx, trail


def backward(
    plan: Plan,
    trail: list[Any],
    delta: Any,
    rdelta: Any,
    products: list[Any],
    wanted: bool = False,
) -> tuple[Any, Any]:
    """The pair dx, Rdx of the input, if `wanted`; RdW of each layer is put into `products`.

    Empties `trail`: what a pull holds goes as soon as it has been called.
    """
    for place in reversed(range(len(plan))):
        item, needed = plan[place], wanted or place > 0
        if isinstance(item, int):
            delta, rdelta, products[item] = trail.pop()(delta, rdelta, needed)
            continue
        there, aside = trail.pop()
        through = backward(item.body, there, delta, rdelta, products, needed)
        past = backward(item.shortcut, aside, delta, rdelta, products, needed)
        both = zip(through, past, strict=True)
        delta, rdelta = (a + b for a, b in both) if needed else (None, None)
    return delta, rdelta


def along(
    layer: Any, x: np.ndarray, rx: np.ndarray, v: np.ndarray | None, n: int
) -> tuple[np.ndarray, np.ndarray, Pull]:
    """y, Ry and the pull of one layer."""
    if is_weighted(layer):
        return _weighted(layer, x, rx, v)
    if isinstance(layer, OfBatch):
        return layer.along(x, rx, n)
    y, pullback = layer.forward(x)
    if isinstance(layer, MEANS):
        ry = layer.forward(rx)[0]
    else:
        ry = layer.at_maxima(x, rx) if isinstance(layer, MAXIMA) else pullback(rx)[0]

    def pull(delta, rdelta, wanted=True):
        before = (pullback(delta)[0], pullback(rdelta)[0]) if wanted else (None, None)
        return *before, None

    return y, ry, pull


def _weighted(layer, x, rx, v):
    y, at_x = layer.forward(x)
    ry, at_rx = _with(layer, values_of(layer.weight)).forward(rx)
    moved, of_direction = _with(layer, v).forward(x)
    ry += moved

    def pull(delta, rdelta, wanted=True):
        rbefore, product = at_x(rdelta, wanted=wanted)
        before, cross = at_rx(delta, wanted=wanted)
        if wanted:
            rbefore += of_direction(delta)[0]
        return before, rbefore, product.weight.reshape(-1) + cross.weight.reshape(-1)

    return y, ry, pull


def _with(layer, values):
    """A layer with other weights on the same connections, and no bias."""
    other = copy.copy(layer)  # what is derived from the pattern is shared
    if is_sparse(layer):
        other.weight = copy.copy(layer.weight)
        other.weight.data = values
    else:
        other.weight = values.reshape(layer.weight.shape)
    other.bias = np.zeros_like(layer.bias)
    return other
