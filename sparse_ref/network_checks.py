"""What `sparse_ref.Network` refuses, and the shapes of an example on its way."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparse_ref.layers.base import Shape, is_weighted
from sparse_ref.residual import Plan


def checked_shapes(layers: Sequence[Any], plan: Plan, image: Shape | None) -> list[Shape]:
    """The shape of an example before the first layer, then after each, in the order they run.

    Raises
    ------
    ValueError
        Layers that make no network, and why.
    """
    if not any(map(is_weighted, layers)):
        raise ValueError(
            f"Network: layers must hold at least one with a weight, got {list(layers)}"
        )
    if len({id(layer) for layer in layers}) < len(layers):
        raise ValueError(
            "Network: a layer must not stand twice in a network, its state would clash"
        )
    _check_dtypes(layers)
    shapes = [first_shape(layers[0], image)]
    _walk(plan, layers, shapes[0], "the examples", shapes)
    return shapes


def first_shape(layer: Any, image: Shape | None) -> Shape:
    """The shape of an example: `image`, or what the first layer knows about it."""
    known = getattr(layer, "image", (layer.n_in,) if is_weighted(layer) else None)
    shape = known if image is None else tuple(image)
    if shape is None:
        raise ValueError(
            "Network: image, the shape of an example, must be given where the first layer does "
            f"not know it, got {layer!r}"
        )
    if len(shape) not in (1, 3) or any(int(side) != side or side < 0 for side in shape):
        raise ValueError(
            "Network: image must be (channels, height, width) or (features,), in whole numbers, "
            f"got {shape}"
        )
    return tuple(map(int, shape))


def check_examples(who: str, x: np.ndarray, shape: Shape) -> None:
    """Refuse examples that are not of `shape`, flat or with or without axes of length 1."""
    features = int(np.prod(x.shape[1:]))
    fits = x.ndim > 1 and features == int(np.prod(shape))
    if not fits:
        raise ValueError(
            f"{who}: x must have shape (n, {int(np.prod(shape))}) or alike, got {x.shape}"
        )
    if len(shape) > 1 and x.ndim > 2 and _sides(x.shape[1:]) != _sides(shape):
        raise ValueError(
            f"{who}: x must have shape (n, {', '.join(map(str, shape))}), or (n, {features}) in "
            f"that order, got {x.shape}"
        )


def _sides(shape):
    """A grey image needs no axis of channels."""
    return [side for side in shape if side != 1]


def _walk(plan, layers, shape, before, shapes):
    """The shape after a part of the plan, and what gave it; those of its layers join `shapes`."""
    for item in plan:
        if isinstance(item, int):
            layer = layers[item]
            try:
                shape = layer.shape_after(shape)
            except ValueError as error:
                raise ValueError(
                    f"Network: layer {item}, {layer!r}, must fit what stands before it, "
                    f"{before}, got shape {shape}: {error}"
                ) from error
            before = repr(layer)
            shapes.append(shape)
            continue
        body, last = _walk(item.body, layers, shape, before, shapes)
        aside, last_aside = _walk(item.shortcut, layers, shape, before, shapes)
        if body != aside:
            raise ValueError(
                "Network: body and shortcut of a Residual must end in one shape, "
                f"got {body} after {last} and {aside} after {last_aside}"
            )
        shape, before = body, f"a Residual that ends in {last}"
    return shape, before


def _check_dtypes(layers):
    weighted = [layer.weight.dtype for layer in layers if is_weighted(layer)]
    for layer in layers:
        for name, value in layer.parameters().items():
            if value.dtype != weighted[0]:
                raise ValueError(
                    f"Network: layers must share a dtype, got {weighted[0]} and, as {name} of "
                    f"{layer!r}, {value.dtype}"
                )


def require_one_each(what: str, of: str, given: Sequence[Any], wanted: Sequence[Any]) -> None:
    """Refuse what is not as many as the layers it is for."""
    if len(given) != len(wanted):
        raise ValueError(f"Network: {what} must be one per {of}, {len(wanted)}, got {len(given)}")
