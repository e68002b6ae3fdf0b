"""The flow of ones through the magnitudes of a network, and through every connection.

A layer with weights is ``|W| x + |b|``, a convolution likewise; batch normalisation is
``|k| x + |c|`` of the ``k x + c`` that it is in evaluation; of windows of pooling the mean or the
largest flow passes; where two rows of layers meet, flows are added. Activations let positive
numbers pass. All numbers of a flow are kept over a power of two, so that the largest is about 1: it
neither over- nor underflows however deep the network, and nothing is rounded by it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparse_ref import csr
from sparse_ref.layers import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AllReLU,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    DenseConv2d,
    Dropout,
    Flatten,
    MaxPool2d,
    ReLU,
    ReLU6,
)
from sparse_ref.layers.base import is_sparse, is_weighted
from sparse_ref.network import Network
from sparse_ref.pruning.weights import values_of
from sparse_ref.tiles import one_register

PASS_POSITIVE = (ReLU, ReLU6, AllReLU, Dropout, Flatten)  # in evaluation; vectors are flat
POOLING = (MaxPool2d, AvgPool2d, AdaptiveAvgPool2d, AdaptiveMaxPool2d)


def check_passing(who: str, net: Network) -> None:
    """Refuse layers through which the flow would not be conserved."""
    for layer in net.layers:
        if not (is_weighted(layer) or isinstance(layer, (BatchNorm, *PASS_POSITIVE, *POOLING))):
            raise TypeError(
                f"{who}: layers between weights must let positive numbers pass, got {layer!r}"
            )


def magnitudes(layer: Any) -> Any:
    """``|W|`` of a layer in float64, dense or CSR."""
    values = np.abs(values_of(layer.weight)).astype(np.float64)
    if is_sparse(layer):
        return csr.from_positions(layer.weight.shape, csr.flat(layer.weight), values)
    return values.reshape(layer.weight.shape)


def flows(
    net: Network, weights: Sequence[Any], offsets: bool = True
) -> tuple[list[np.ndarray], int]:
    """The flow through every connection over a power of two, and its exponent.

    Parameters
    ----------
    net : Network
        Checked by `check_passing`.
    weights : sequence of (n_out, n_in)
        For each of ``net.weighted`` what is left of `magnitudes`.
    offsets : bool
        Biases, and batch normalisation's ``c``, feed their magnitudes into the flow; else nothing.

    Returns
    -------
    flows : list of (n,)
        In the slots of `weights`.
    power : int
    """
    left = iter(weights)
    own = [next(left) if is_weighted(layer) else None for layer in net.layers]
    steps = [_step(layer, w, offsets) for layer, w in zip(net.layers, own, strict=True)]
    out, power, trail = _forward(net.plan, steps, np.ones(net.n_in), 0)
    found: list[Any] = [None] * len(steps)
    _backward(net.plan, trail, np.ones(len(out)), found)
    return [flow for flow in found if flow is not None], power


def _forward(plan, steps, flow, power):
    """Flow behind the plan and its exponent, and the ways back."""
    trail = []
    for item in plan:
        if isinstance(item, int):
            flow, power, back = steps[item](flow, power)
            trail.append(back)
            continue
        body, over, there = _forward(item.body, steps, flow, power)
        flow, power, aside = _forward(item.shortcut, steps, flow, power)
        top = max([p for part, p in ((body, over), (flow, power)) if part.any()], default=power)
        trail.append((there, over - top, aside, power - top))
        flow, power = np.ldexp(body, over - top) + np.ldexp(flow, power - top), top
    return flow, power, trail


def _backward(plan, trail, behind, found):
    """The derivative by what enters; the flow through connections is put into `found`."""
    for item, back in zip(reversed(plan), reversed(trail), strict=True):
        if isinstance(item, int):
            behind, found[item] = back(behind)
            continue
        there, down, aside, past = back
        through = _backward(item.body, there, np.ldexp(behind, down), found)
        behind = through + _backward(item.shortcut, aside, np.ldexp(behind, past), found)
    return behind


def _step(layer, weight, offsets):
    """``(flow, power) -> (flow, power, back)`` of one layer."""
    if isinstance(layer, PASS_POSITIVE):
        return lambda flow, power: (flow, power, lambda behind: (behind, None))
    linear, offset = _linear(layer, weight)

    def step(flow, power):
        passed, back = linear(flow)
        fed = np.abs(offset if offsets else 0 * offset).astype(float)
        parts = (passed, power), (fed, 0)
        tops = [int(np.frexp(part.max())[1]) + over for part, over in parts if part.any()]
        top = max(tops, default=power)
        fed = np.repeat(np.ldexp(fed, -top), len(passed) // len(fed))
        return (
            np.ldexp(passed, power - top) + fed,
            top,
            lambda behind: back(np.ldexp(behind, power - top)),
        )

    return step


def _linear(layer, weight):
    """``flow -> (what passes, back)`` without offset; and the offset, one number a channel."""
    if isinstance(layer, BatchNorm):
        scale = layer.gamma / np.sqrt(layer.running_var.astype(float) + layer.epsilon)
        return _scaling(np.abs(scale)), layer.beta - scale * layer.running_mean
    if isinstance(layer, POOLING):
        return _of_image(layer, None), np.zeros(1)
    if not hasattr(layer, "image"):
        return _matrix(weight), layer.bias
    kind = DenseConv2d if isinstance(weight, np.ndarray) else Conv2d
    return _of_image(kind(weight, False, **layer.settings), weight), layer.bias


def _scaling(scale):
    def linear(flow):
        each = np.repeat(scale, len(flow) // len(scale))
        return each * flow, lambda behind: (each * behind, None)

    return linear


def _matrix(weight):
    def linear(flow):
        def back(behind):
            if isinstance(weight, np.ndarray):
                through = (weight * behind[:, None] * flow).reshape(-1)
            else:
                rows = np.repeat(behind, np.diff(weight.indptr))
                through = weight.data * rows * flow[weight.indices]
            return weight.T @ behind, through

        return weight @ flow, back

    return linear


def _of_image(layer, weight):
    """A layer of images on one example, the first of a tile."""

    def linear(flow):
        passed, pullback = layer.forward(_tile(flow))

        def back(behind):
            before, grad = pullback(_tile(behind))
            through = None if weight is None else values_of(weight) * grad.weight.reshape(-1)
            return before[0, :, 0].copy(), through

        return passed[0, :, 0].copy(), back

    return linear


def _tile(numbers):
    tile = np.zeros((1, len(numbers), one_register(np.float64)))
    tile[0, :, 0] = numbers
    return tile
