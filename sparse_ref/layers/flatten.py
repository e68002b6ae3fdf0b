"""From images to vectors: the same numbers in tiles that suit linear layers."""

import math

import numpy as np

from sparse_ref import tiles
from sparse_ref.elementwise import join_tiles, separate_tiles
from sparse_ref.layers.base import Pullback, Shape


class Flatten:
    """An image (C, H, W) becomes a vector (C * H * W,), in C order.

    Tiles of images hold one register of examples; linear layers are faster on wider ones. So
    ``(tiles, features, width)`` becomes ``(fewer, features, wider)`` where there is more than one
    tile, with the examples in the same order and zeros behind them in the last tile.
    """

    def __repr__(self) -> str:
        return "Flatten()"

    def parameters(self) -> dict[str, np.ndarray]:
        """None."""
        return {}

    def shape_after(self, shape: Shape) -> Shape:
        """One axis of all numbers."""
        return (math.prod(shape),)

    def forward(
        self, x: np.ndarray, rng: np.random.Generator | None = None, n: int | None = None
    ) -> tuple[np.ndarray, Pullback]:
        """See `Layer.forward`."""
        count, _, width = x.shape
        wider = max(width, tiles.width_for(count * width, x.dtype))
        if count < 2 or wider == width:
            return x, lambda delta, wanted=True: (delta, None)

        x = np.ascontiguousarray(x)
        shape, y = x.shape, tiles.empty((-(-count * width // wider), x.shape[1], wider), x.dtype)
        join_tiles(x, y)
        y_shape = y.shape

        def pullback(delta, wanted=True):
            if delta.shape != y_shape:
                raise ValueError(f"Flatten: delta must have shape {y_shape}, got {delta.shape}")
            out = tiles.empty(shape, delta.dtype)
            separate_tiles(np.ascontiguousarray(delta), out)
            return out, None

        return y, pullback
