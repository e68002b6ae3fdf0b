"""Residual links: what they are to whoever builds a network, and how a network walks them.

A network keeps its layers in one flat row, in the order they run, and beside it a *plan*: indices
into that row, with a `Branches` where two rows of layers see the same input.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sparse_ref import tiles
from sparse_ref.activation_kernels import add
from sparse_ref.layers.base import Layer


class Residual(NamedTuple):
    """The sum of what two rows of layers make of the same input; not a layer itself.

    Attributes
    ----------
    body : sequence of Layer or Residual
        Not empty.
    shortcut : sequence of Layer or Residual
        Empty: the input as it is. A projection where `body` changes the shape.

    References
    ----------
    He, Zhang, Ren, Sun (2016), "Deep Residual Learning for Image Recognition", equations 1 and 2.

    Examples
    --------
    >>> from sparse_ref.layers import Dense, ReLU
    >>> from sparse_ref.network import Network
    >>> net = Network([Residual([Dense(np.eye(2)), ReLU()]), Dense(np.ones((1, 2)))])
    >>> net.predict(np.array([[1.0, -1.0]]))  # 2 and -1
    array([[1.]])
    """

    body: Sequence[Any]
    shortcut: Sequence[Any] = ()


class Branches(NamedTuple):
    """A `Residual` in a plan."""

    body: "Plan"
    shortcut: "Plan"


Plan = tuple[int | Branches, ...]


def flattened(layers: Sequence[Any]) -> tuple[tuple[Layer, ...], Plan]:
    """All layers in the order they run, each body before its shortcut, and the plan of them."""
    flat: list[Layer] = []
    plan = _planned(layers, flat)
    return tuple(flat), plan


def nested(plan: Plan, layers: Sequence[Any]) -> list[Any]:
    """The layers as `flattened` was given them."""
    return [
        layers[item]
        if isinstance(item, int)
        else Residual(nested(item.body, layers), nested(item.shortcut, layers))
        for item in plan
    ]


def outputs(plan: Plan, layers: Sequence[Layer], x: np.ndarray) -> np.ndarray:
    """What the layers make of `x` in evaluation; nothing is kept that is not needed any more."""
    for item in plan:
        if isinstance(item, int):
            x = layers[item].forward(x)[0]
        else:
            x = _sum(outputs(item.body, layers, x), outputs(item.shortcut, layers, x))
    return x


def forward(
    plan: Plan,
    layers: Sequence[Layer],
    x: np.ndarray,
    rngs: Sequence[np.random.Generator | None],
    n: int | None,
) -> tuple[np.ndarray, list[Any]]:
    """What the layers make of `x`, and the pullbacks, nested as the plan, for `backward`."""
    trail: list[Any] = []
    for item in plan:
        if isinstance(item, int):
            x, pullback = layers[item].forward(x, rngs[item], n)
            trail.append(pullback)
        else:
            body, back = forward(item.body, layers, x, rngs, n)
            x, aside = forward(item.shortcut, layers, x, rngs, n)
            x = _sum(body, x)
            trail.append((back, aside))
    return x, trail


def backward(
    plan: Plan,
    trail: list[Any],
    delta: Any,
    grads: list[Any],
    wanted: bool = False,
    factors: bool = True,
) -> Any:
    """The derivative by the input, if `wanted`; each layer's gradient is put into `grads`.

    Without ``factors`` gradients let go of those of the dense gradient at once.

    Empties `trail`: a pullback and what it holds go as soon as it has been called.
    """
    for place in reversed(range(len(plan))):
        item, needed = plan[place], wanted or place > 0
        if isinstance(item, int):
            delta, grad = trail.pop()(delta, wanted=needed)
            grads[item] = grad if factors or not hasattr(grad, "inputs") else without(grad)
            del grad
            continue
        back, aside = trail.pop()
        through = backward(item.body, back, delta, grads, needed, factors)
        past = backward(item.shortcut, aside, delta, grads, needed, factors)
        delta = _sum(through, past) if needed else None
    return delta if wanted else None


def without(grad: Any) -> Any:
    """A `LayerGrad` or `ConvGrad` of the connections alone."""
    return grad._replace(delta=None, inputs=None)


def described(plan: Plan, layers: Sequence[Any], indent: str) -> list[str]:
    """A line a layer; those of a residual link stand further in."""
    lines = []
    for item in plan:
        if isinstance(item, int):
            lines.append(f"{indent}{layers[item]!r}")
            continue
        lines += [f"{indent}Residual(", *described(item.body, layers, indent + "  ")]
        if item.shortcut:
            lines += [f"{indent}) + (", *described(item.shortcut, layers, indent + "  ")]
        lines.append(f"{indent})")
    return lines


def _planned(layers, flat):
    """The plan of `layers`, which are put into `flat` on the way."""
    plan: list[int | Branches] = []
    for layer in layers:
        if isinstance(layer, Residual):
            if not layer.body:
                raise ValueError("Residual: body must hold at least one layer, got none")
            body = _planned(layer.body, flat)
            plan.append(Branches(body, _planned(layer.shortcut, flat)))
        else:
            plan.append(len(flat))
            flat.append(layer)
    return tuple(plan)


def _sum(some, others):
    """Into an array of its own: others may still need theirs."""
    if some.shape != others.shape:  # the kernel reads what it is told is there
        raise ValueError(
            f"Residual: both rows must make one shape, got {some.shape} and {others.shape}"
        )
    some, others = np.ascontiguousarray(some), np.ascontiguousarray(others)
    out = tiles.empty(some.shape, some.dtype)
    add(some, others, out)
    return out
