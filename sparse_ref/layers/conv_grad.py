"""The gradient of a convolution, on its connections and at any other position."""

import math
from typing import Any, NamedTuple

import numpy as np

from sparse_ref import csr, tiles
from sparse_ref.conv import kernels
from sparse_ref.conv.index import Convolution, by_input, complete_by_input
from sparse_ref.layers.base import require_factors


class ConvGrad(NamedTuple):
    """Gradient of a convolution: on its connections, and everywhere as two factors.

    Stands for `sparse_ref.layers.LayerGrad` wherever that is asked for rows or positions.
    """

    weight: np.ndarray  # (nnz,) dL/dW in slot order; (filters, positions) for a dense layer
    bias: np.ndarray  # (filters,)
    delta: Any  # (tiles, filters * rows * columns, width) dL/dy, or None as of `LayerGrad`
    inputs: Any  # (tiles, channels * rows * columns, width), or None
    shape: Convolution

    def block(self, first: int, last: int) -> np.ndarray:
        """Rows ``first ... last - 1`` of the dense gradient, one a filter.

        Returns
        -------
        (last - first, channels / groups * kernel rows * kernel columns)
            dL/dW at every position, connected or not. At a connection it has the bits of `weight`.
        """
        require_factors(self)
        n_out, n_in = self.shape.weight_shape
        if not 0 <= first <= last <= n_out:
            raise ValueError(
                f"ConvGrad: rows must be in order and in [0, {n_out}], got {first} to {last}"
            )
        n, width = last - first, self.inputs.shape[2]
        out = tiles.empty(n * n_in, self.inputs.dtype)
        if n:
            self._sum(complete_by_input(self.shape, first, n, width), first, n, out)
        return out.reshape(n, n_in)

    def at(self, positions: np.ndarray) -> np.ndarray:
        """The dense gradient at flat `positions`, ascending and unique; the bits of `block`."""
        require_factors(self)
        where = csr.from_positions(
            self.shape.weight_shape, positions, np.zeros(len(positions), self.inputs.dtype)
        )
        index = by_input(self.shape, where.indptr, where.indices, self.inputs.shape[2])
        self._sum(index, 0, self.shape.filters, where.data)
        return where.data

    def _sum(self, index, first, n, out):
        """The gradient of connections of `n` filters, the first of which is `first`."""
        _, rows, columns = self.shape.image_out
        way = self.shape.backward_way._replace(channels=n)
        here = first * rows * columns * self.inputs.shape[2]
        factors = self.delta, self.inputs
        groups = groups_of(self.shape, self.inputs)
        kernels.weight_gradient(index, here, *factors, way, out, groups)


def groups_of(shape: Convolution, x: np.ndarray) -> int:
    """In how many groups the gradients of connections are summed; the same for any of them."""
    positions = math.prod(shape.weight_shape)
    return kernels.groups_of(len(x), shape.backward_way, positions, x.itemsize)
