"""Which units a network of layers has, and what joins them: for `sparse_ref.topology`."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sparse_ref.layers import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AllReLU,
    AvgPool2d,
    BatchNorm,
    Dropout,
    Flatten,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
    ReLU6,
    SReLU,
)
from sparse_ref.layers.base import Shape, is_weighted
from sparse_ref.layers.unscaled_dropout import EvaluationScale, UnscaledDropout
from sparse_ref.residual import Plan
from sparse_ref.topology.units import Link, UnitGraph

POOLS = AdaptiveAvgPool2d | AdaptiveMaxPool2d | AvgPool2d | MaxPool2d
BY_UNIT = POOLS | AllReLU | BatchNorm | Dropout | EvaluationScale | ReLU | ReLU6 | SReLU
BY_UNIT |= UnscaledDropout


class Rows(NamedTuple):
    """The rows of units of a network.

    Attributes
    ----------
    graph : UnitGraph
    before : tuple of int
        Of each layer, the row that it takes. A layer that acts on each unit by itself also makes
        it; the layers between two weights share a row.
    """

    graph: UnitGraph
    before: tuple[int, ...]


def rows_of(layers: Sequence[Any], plan: Plan, shape: Shape, who: str) -> Rows:
    """Rows of units and what joins them.

    Parameters
    ----------
    layers, plan
        Of a `sparse_ref.Network`.
    shape : tuple of int
        Of an example: units are the channels of an image, or the numbers of a vector.
    who : str
        Named by errors.

    Raises
    ------
    TypeError
        A layer that is not known to act on each unit by itself.
    """
    walk = _Walk(layers, who)
    walk.add(plan, 0, walk.row(shape[0]), shape)
    return Rows(UnitGraph(tuple(walk.sizes), tuple(walk.links)), tuple(walk.before))


class _Walk:
    """Rows and links that have been met on the way through a plan."""

    def __init__(self, layers, who):
        self.layers, self.who = layers, who
        self.sizes, self.links, self.before = [], [], []

    def row(self, size):
        self.sizes.append(size)
        return len(self.sizes) - 1

    def add(self, plan, weight, row, shape):
        """Put in what a plan makes of `row`; the next weight's number, and the row and shape after.

        A body is walked before its shortcut, so that weights are met in order.
        """
        for item in plan:
            if isinstance(item, int):
                weight, row, shape = self._layer(self.layers[item], weight, row, shape)
                continue
            weight, body, after = self.add(item.body, weight, row, shape)
            weight, aside, _ = self.add(item.shortcut, weight, row, shape)
            row, shape = self.row(after[0]), after
            self.links += [Link(body, row), Link(aside, row)]
        return weight, row, shape

    def _layer(self, layer, weight, row, shape):
        self.before.append(row)
        after = layer.shape_after(shape)
        if is_weighted(layer):
            kernel = getattr(layer, "settings", {"kernel": (1, 1), "groups": 1})
            taps, groups = kernel["kernel"][0] * kernel["kernel"][1], kernel["groups"]
            made = self.row(after[0])
            self.links.append(Link(row, made, weight, taps, groups))
            return weight + 1, made, after
        if isinstance(layer, Flatten) and len(shape) > 1:
            return weight, self._joined(row, after[0], block=after[0] // shape[0]), after
        if isinstance(layer, LocalResponseNorm):
            return weight, self._joined(row, shape[0], reach=layer.depth_radius), after
        if not isinstance(layer, BY_UNIT | Flatten):
            raise TypeError(
                f"{self.who}: layers must be known to act on every unit by itself, got "
                f"{type(layer).__name__}"
            )
        return weight, row, after

    def _joined(self, row, size, **how):
        made = self.row(size)
        self.links.append(Link(row, made, **how))
        return made
