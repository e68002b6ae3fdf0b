"""What a layer is, and what the gradient of a layer with weights is.

A layer keeps its parameters and nothing of what it saw: `forward` returns the output and a
pullback, a closure over the inputs, that turns the output's derivative into the input's and the
parameters'. Activations are tiles ``(tiles, features, width)`` (`sparse_ref.tiles`).
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr, tiles
from sparse_ref.dense_gradient import gradient_rows
from sparse_ref.kernels import sddmm

Pullback = Callable[..., tuple[Any, Any]]  # see `Layer.forward`
Shape = tuple[int, ...]  # of one example: (features,), or (channels, height, width) of an image


class Layer(Protocol):
    """A differentiable map of activations."""

    def forward(
        self, x: np.ndarray, rng: np.random.Generator | None = None, n: int | None = None
    ) -> tuple[np.ndarray, Pullback]:
        """Output and pullback.

        Parameters
        ----------
        x : (tiles, n_in, width)
        rng : Generator, optional
            Present in training, absent in evaluation; only layers with noise draw from it.
        n : int, optional
            Examples of the batch; what follows them in the last tile is padding. All are real if
            omitted. Only layers that look across examples ask.

        Returns
        -------
        y : (tiles, n_out, width)
        pullback : callable
            ``pullback(delta, wanted=True) -> (dL/dx, grad)`` for ``delta = dL/dy``. `grad` has one
            attribute for each of `parameters`, or is None for a layer without. With
            ``wanted=False`` a layer may return None in place of dL/dx.
        """
        ...

    def shape_after(self, shape: Shape) -> Shape:
        """Shape of an example after the layer: ``(features,)`` or ``(channels, height, width)``.

        Raises
        ------
        ValueError
            Examples of `shape` do not fit the layer.
        """
        ...

    def parameters(self) -> dict[str, np.ndarray]:
        """The arrays that training changes, by name, always in the same order; not copies."""
        ...


def is_weighted(layer: Any) -> bool:
    """Whether a layer has connections: a ``weight``, sparse or dense. No other layer has one."""
    return hasattr(layer, "weight")


def is_sparse(layer: Any) -> bool:
    """Whether a layer's weight is CSR: what methods rewire."""
    return isinstance(getattr(layer, "weight", None), csr_array)


def state_of(layer: Any) -> dict[str, np.ndarray]:
    """What a layer keeps beside its parameters, by name: running statistics; mostly nothing.

    The arrays themselves. A training forward writes into them, nothing else does.
    """
    return layer.state() if hasattr(layer, "state") else {}


class Parameter(NamedTuple):
    """One array that training changes."""

    layer: int  # index of its layer in the network
    name: str  # its name there
    value: np.ndarray  # the array itself, not a copy
    slots: bool  # one entry a connection, so it changes length when the layer is rewired


class LayerGrad(NamedTuple):
    """Gradient of a layer with a weight: on its connections, and everywhere as two factors."""

    weight: np.ndarray  # (nnz,) dL/dW in slot order; (n_out, n_in) for a dense layer
    bias: np.ndarray  # (n_out,)
    delta: Any  # (tiles, n_out, width) dL/dy; None where nobody was to look at absent connections
    inputs: Any  # (tiles, n_in, width), or None

    def block(self, first: int, last: int) -> np.ndarray:
        """Rows ``first ... last - 1`` of the dense gradient ``delta @ inputs.T``.

        Returns
        -------
        (last - first, n_in)
            dL/dW at every position, connected or not. At a connection it has the bits of `weight`.
        """
        delta, inputs = self.factors()
        n_out = delta.shape[1]
        if not 0 <= first <= last <= n_out:
            raise ValueError(
                f"LayerGrad: rows must be in order and in [0, {n_out}], got {first} to {last}"
            )
        out = tiles.empty((last - first, inputs.shape[1]), inputs.dtype)
        gradient_rows(first, delta, inputs, out)
        return out

    def at(self, positions: np.ndarray) -> np.ndarray:
        """The dense gradient at flat `positions`, ascending and unique; the bits of `block`."""
        delta, inputs = self.factors()
        shape = delta.shape[1], inputs.shape[1]
        where = csr.from_positions(shape, positions, np.zeros(len(positions), inputs.dtype))
        sddmm(where.indptr, where.indices, delta, inputs, where.data)
        return where.data

    def factors(self) -> tuple[np.ndarray, np.ndarray]:
        """`delta` and `inputs`, contiguous; kernels read what they are told is there."""
        require_factors(self)
        n_tiles, _, width = self.inputs.shape
        n_out = self.delta.shape[1]
        if self.delta.shape != (n_tiles, n_out, width):
            raise ValueError(
                "LayerGrad: delta must have the tiles and width of inputs, got shapes "
                f"{self.delta.shape} and {self.inputs.shape}"
            )
        delta = check_tiles("LayerGrad", self.delta, n_out, self.inputs.dtype)
        return delta, np.ascontiguousarray(self.inputs)


def require_factors(grad: Any) -> None:
    """Refuse to make the dense gradient of a gradient that has let go of what it is made of."""
    if grad.inputs is None:
        raise ValueError(
            f"{type(grad).__name__}: the gradient of absent connections must be announced by the "
            "method's reads_gradient, or asked for with factors=True; got a step without it"
        )


def check_tiles(who: str, x: np.ndarray, features: int, dtype: np.dtype) -> np.ndarray:
    """Return contiguous activations that fit a layer; kernels read what they are told is there."""
    if x.ndim != 3 or x.shape[1] != features:
        raise ValueError(
            f"{who}: activations must have shape (tiles, {features}, width), got {x.shape}"
        )
    if x.dtype != dtype:
        raise TypeError(f"{who}: activations must be {dtype} as the layer, got {x.dtype}")
    return np.ascontiguousarray(x)


def check_features(who: str, shape: Shape, n_in: int, n_out: int) -> Shape:
    """The shape after a layer that takes `n_in` numbers an example, if `shape` is ``(n_in,)``."""
    if shape != (n_in,):
        raise ValueError(f"{who}: an example must have shape ({n_in},), got {shape}")
    return (n_out,)


def check_bias(who: str, bias: np.ndarray, n_out: int, dtype: np.dtype) -> np.ndarray:
    """Return a bias that fits its layer, or say why it does not."""
    bias = np.asarray(bias)
    if bias.shape != (n_out,):
        raise ValueError(f"{who}: bias must have shape ({n_out},), got {bias.shape}")
    if bias.dtype != dtype:
        raise TypeError(f"{who}: bias must have the weight's dtype, {dtype}, got {bias.dtype}")
    return bias
