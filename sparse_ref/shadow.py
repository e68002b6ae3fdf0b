"""Shadows: numbers at every position of a layer, connected or not, that training moves.

Straight-through methods (Discovering Neural Wirings, edge-popup) choose at every step which
positions are connected, by numbers that are trained everywhere. Those stand beside the layer, which
stays CSR: its products cost what its connections cost. The gradient at every position is made in
blocks of rows, turned into an update at once, and let go, so that only the shadow and what the
optimizer keeps for it are dense. Both may lie in files.
"""

import itertools
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
from numpy.lib.format import open_memmap
from scipy.sparse import csr_array

from sparse_ref.csr import Rewire, flat, from_positions, positions_of
from sparse_ref.dense_gradient import scan
from sparse_ref.elementwise import not_finite
from sparse_ref.layers import LayerGrad, Parameter
from sparse_ref.optim import Optimizer, OptimizerState
from sparse_ref.selection import BLOCK_ELEMENTS, largest, largest_absent, meet

NONE = np.empty(0, np.int64)
NOTHING = NONE, NONE
CLOSE = 0.97  # of the least chosen: what may be chosen next time


class Shadow:
    """A trained number at every position of a layer, which is also the connection's weight.

    Parameters
    ----------
    trained : (n_out, n_in) float32 or float64
        Starting values; copied.
    folder : path, optional
        Where shadow and buffers lie in files, ``NAME.npy``, in place of memory.
    name : str
        Of the files.
    block_elements : int
        Most numbers of gradient at a time, but at least one row.

    Notes
    -----
    A step reads and writes the whole shadow and takes ``2 n_out n_in`` operations an example for
    the gradient, whatever the density: the price of the definition. Beside shadow and buffers it
    needs one block.
    """

    def __init__(
        self,
        trained: np.ndarray,
        folder: str | os.PathLike | None = None,
        name: str = "shadow",
        block_elements: int = BLOCK_ELEMENTS,
    ):
        self._folder, self._name = folder, name
        self.trained = self._allocated(name, trained.shape, trained.dtype)
        self.buffers: tuple[np.ndarray, ...] = ()
        self._least = 0.0
        self._rows = max(1, block_elements // max(1, trained.shape[1]))
        for rows in self.blocks():
            self.trained[rows] = trained[rows]

    @classmethod
    def of(
        cls,
        weight: csr_array,
        rng: np.random.Generator,
        folder: str | os.PathLike | None = None,
        name: str = "shadow",
    ) -> Self:
        """The shadow that starts as the layer's weights, and elsewhere as draws from among them.

        A complete layer draws nothing: its weights are what a dense layer would start from. Made
        in blocks of rows.
        """
        shadow = cls(np.broadcast_to(weight.dtype.type(0), weight.shape), folder, name)
        for rows in shadow.blocks():
            shadow.trained[rows] = _spread_rows(weight, rows, rng)
        return shadow

    @property
    def nbytes(self) -> int:
        """Bytes of shadow and buffers, in memory or in files."""
        return sum(array.nbytes for array in (self.trained, *self.buffers))

    def begin(self, optimizer: Optimizer) -> None:
        """Make the buffers that `optimizer` keeps for a parameter, empty."""
        shape, dtype = self.trained.shape, self.trained.dtype
        (group,) = optimizer.init([Parameter(0, "weight", np.zeros(1, dtype), False)]).buffers
        names = (f"{self._name}-buffer-{k}" for k in range(len(group)))
        self.buffers = tuple(self._allocated(name, shape, dtype) for name in names)

    def step(self, grad: LayerGrad, optimizer: Optimizer, made: int, step: int) -> float:
        """Train every position with its gradient, in blocks of rows.

        Parameters
        ----------
        grad : LayerGrad
            Of the layer; read as its two factors.
        optimizer : Optimizer
        made : int
            Updates before this one.
        step : int
            Of the training, from 1.

        Returns
        -------
        float
            0, or a number that is not finite: what a position would have become. Its block and
            those after it are then as they were.
        """
        for rows in self.blocks():
            update = self.gradient(grad.block(rows.start, rows.stop), rows)
            update = self._update(update, rows, optimizer, made, step)
            if not_finite(self.trained[rows].reshape(-1), update):
                total = self.trained[rows].reshape(-1) + update
                return float(total[~np.isfinite(total)][0])
            self.trained[rows] += update.reshape(self.trained[rows].shape)
        return 0.0

    def gradient(self, block: np.ndarray, rows: slice) -> np.ndarray:
        """Derivative by the trained numbers of some rows, from that by the weights there."""
        return block

    def decayed(self, rows: slice) -> np.ndarray:
        """What weight decay sees of some rows."""
        return self.trained[rows]

    def values(self, positions: np.ndarray) -> np.ndarray:
        """``(n,)`` weights of connections at flat `positions`."""
        return self.trained.reshape(-1)[positions]

    def largest(self, k: int) -> np.ndarray:
        """Flat positions of the `k` largest ``|trained|``, ascending; on ties the lower one is in.

        Reads blocks of rows and holds what may be among them: what is not much smaller than the
        least that was chosen before. Should that be too few, all are read again.
        """
        positions, sizes = self._candidates(CLOSE * self._least) if self._least else NOTHING
        if len(positions) < k:
            nothing = from_positions(self.trained.shape, NONE, np.empty(0, self.trained.dtype))
            positions = largest_absent(nothing, self.trained, k)
            sizes = np.abs(self.trained.reshape(-1)[positions])
        chosen = largest(sizes, k)
        self._least = float(sizes[chosen].min()) if k else 0.0
        return positions[chosen]

    def buffers_at(self, positions: np.ndarray) -> tuple[np.ndarray, ...]:
        """What the optimizer keeps for flat `positions`."""
        return tuple(np.array(buffer.reshape(-1)[positions]) for buffer in self.buffers)

    def _update(self, grad, rows, optimizer, made, step):
        parameter = Parameter(0, "weight", self.decayed(rows).reshape(-1), False)
        group = tuple(buffer[rows].reshape(-1) for buffer in self.buffers)
        state = OptimizerState(made, (group,))
        (update,), _ = optimizer.updates([parameter], [grad.reshape(-1)], state, step)
        return update

    def _candidates(self, threshold):
        """Flat positions and sizes of what is larger than a threshold."""
        n_in, found = self.trained.shape[1], []
        for rows in self.blocks():
            block = self.trained[rows].reshape(-1)
            found.append(scan(block, rows.start * n_in, NONE, threshold))
        return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))

    def blocks(self) -> Iterator[slice]:
        """The rows that are looked at together."""
        bounds = itertools.pairwise([*range(0, len(self.trained), self._rows), len(self.trained)])
        return (slice(*bound) for bound in bounds)

    def _allocated(self, name, shape, dtype):
        if self._folder is None or not math.prod(shape):
            return np.zeros(shape, dtype)
        folder = Path(self._folder)
        folder.mkdir(parents=True, exist_ok=True)
        in_file = open_memmap(folder / f"{name}.npy", mode="w+", dtype=dtype, shape=shape)
        return np.asarray(in_file)  # compiled loops know arrays only


def spread(weight: csr_array, rng: np.random.Generator) -> np.ndarray:
    """``(n_out, n_in)`` the weights where there are any, elsewhere draws from among them.

    A complete layer draws nothing: its weights are what a dense layer would start from.
    """
    return _spread_rows(weight, slice(0, weight.shape[0]), rng)


def _spread_rows(weight, rows, rng):
    shape, n_in = (rows.stop - rows.start, weight.shape[1]), weight.shape[1]
    block = np.zeros(shape, weight.dtype)
    if 0 < weight.nnz < math.prod(weight.shape):
        block[:] = rng.choice(weight.data, shape)
    first, last = weight.indptr[rows.start], weight.indptr[rows.stop]
    here = positions_of(weight, np.arange(first, last)) - rows.start * n_in
    block.reshape(-1)[here] = weight.data[first:last]
    return block


def kept(density: float | None, weight: csr_array) -> int:
    """Connections of a layer: ``n - int((1 - density) n)`` of its n positions, in floating point.

    As many as it has if `density` is None.
    """
    n = math.prod(weight.shape)
    return weight.nnz if density is None else n - int((1 - density) * n)


def to_largest(weight: csr_array, shadow: Shadow, n: int) -> Rewire:
    """The change from the present connections to the `n` largest of the shadow."""
    return change_to(weight, shadow, shadow.largest(n))


def change_to(weight: csr_array, shadow: Shadow, positions: np.ndarray) -> Rewire:
    """The change from the present connections to those at flat `positions`, ascending.

    What enters brings its weight from the shadow.
    """
    stays, stayed = meet(flat(weight), positions)
    grow = positions[~stayed]
    return Rewire(np.flatnonzero(~stays), grow, shadow.values(grow))
