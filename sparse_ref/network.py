"""A network: layers in a row, with or without residual links, and the loss that trains them."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import residual, tiles
from sparse_ref.csr import Rewire
from sparse_ref.layers import Layer, LayerGrad, Linear, Parameter
from sparse_ref.layers.base import Shape, is_sparse, is_weighted, state_of
from sparse_ref.layers.linear import NEVER
from sparse_ref.losses import LOSSES
from sparse_ref.network_changes import applied, complete, pruned, with_weight
from sparse_ref.network_checks import check_examples, checked_shapes, require_one_each
from sparse_ref.network_units import rows_of
from sparse_ref.residual import Residual
from sparse_ref.topology.units import UnitGraph

# Examples at a time in `predict`: bounds memory. Sparse layers give the same bits for any number.
PREDICT_BATCH = 1024
PREDICT_IMAGES = 128  # the same where layers work on images, whose activations are many


class Network:
    """Layers applied one after the other to flattened examples.

    Parameters
    ----------
    layers : sequence of Layer or Residual
        Their shapes must chain, and one at least must have a weight.
    loss : str
        Name in `sparse_ref.losses.LOSSES`.
    image : tuple of int, optional
        The shape of an example, ``(channels, height, width)`` or ``(features,)``, where the first
        layer does not know it.

    Attributes
    ----------
    layers : tuple of Layer
        All layers in the order they run; of a `Residual` those of its body, then of its shortcut.
    loss : str
    plan : tuple
        How they hang together, see `sparse_ref.residual`.
    shape : tuple of int
        Of an example.
    """

    def __init__(
        self,
        layers: Sequence[Layer | Residual],
        loss: str = "softmax_cross_entropy",
        image: Shape | None = None,
    ):
        if loss not in LOSSES:
            raise ValueError(f"Network: loss must be one of {sorted(LOSSES)}, got {loss!r}")
        self.layers, self.plan = residual.flattened(layers)
        shapes = checked_shapes(self.layers, self.plan, image)
        self.loss, self._blas_above, self.shape = loss, NEVER, shapes[0]
        self._n_out, self._images = math.prod(shapes[-1]), any(len(shape) > 1 for shape in shapes)

    def __repr__(self) -> str:
        inside = "\n".join(residual.described(self.plan, self.layers, "  "))
        return f"Network(\n{inside}\n  {self.loss}\n)"

    def with_layers(self, layers: Sequence[Layer]) -> "Network":
        """A network of the same make and loss with other layers, one for each of `layers`."""
        if len(layers) != len(self.layers):
            raise ValueError(
                f"Network: layers must be one for each, {len(self.layers)}, got {len(layers)}"
            )
        return Network(residual.nested(self.plan, layers), self.loss, self.shape)

    @property
    def weighted(self) -> tuple[Any, ...]:
        """The layers with a weight, sparse or dense, from input to output."""
        return tuple(layer for layer in self.layers if is_weighted(layer))

    @property
    def sparse_layers(self) -> tuple[Any, ...]:
        """The layers on CSR, from input to output: what methods rewire."""
        return tuple(layer for layer in self.layers if is_sparse(layer))

    @property
    def n_in(self) -> int:
        """Features of an example."""
        return math.prod(self.shape)

    @property
    def n_out(self) -> int:
        """Outputs per example."""
        return self._n_out

    def tile_width(self, n: int) -> int:
        """Examples per tile that the network wants of a batch of `n`; for `sparse_ref.tiles.pack`.

        One register where layers work on images, else what `sparse_ref.tiles.width_for` says.
        """
        return tiles.one_register(self.dtype) if self._images else tiles.width_for(n, self.dtype)

    @property
    def predict_batch(self) -> int:
        """Examples at a time in `predict` and `sparse_ref.evaluate`."""
        return PREDICT_IMAGES if self._images else PREDICT_BATCH

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the parameters and of the computation."""
        return self.weighted[0].weight.dtype

    @property
    def connections(self) -> tuple[int, ...]:
        """Stored connections of each layer with a weight; all positions of a dense one."""
        return tuple(
            layer.weight.nnz if is_sparse(layer) else layer.weight.size for layer in self.weighted
        )

    @property
    def topology(self) -> tuple[csr_array, ...]:
        """CSR weight of each layer with one, for `sparse_ref.topology`.

        ``(n_out, n_in)``; of a convolution ``(C_out, C_in / groups * kh * kw)``. Those of sparse
        layers are the weights themselves; a dense layer has every connection.
        """
        return tuple(
            layer.weight if is_sparse(layer) else complete(layer.weight) for layer in self.weighted
        )

    @property
    def unit_graph(self) -> UnitGraph:
        """How units hang together: channels, flattened images, residual links."""
        return rows_of(self.layers, self.plan, self.shape, "Network").graph

    @property
    def density(self) -> float:
        """Connections over positions, of all layers with a weight together; nan of no positions."""
        positions = sum(math.prod(layer.weight.shape) for layer in self.weighted)
        return sum(self.connections) / positions if positions else float("nan")

    @property
    def nbytes(self) -> int:
        """Bytes held for weights, patterns, biases, other parameters and running statistics."""
        others = [layer for layer in self.layers if not is_weighted(layer)]
        loose = sum(array.nbytes for la in others for array in la.parameters().values())
        loose += sum(array.nbytes for layer in self.layers for array in state_of(layer).values())
        return loose + sum(layer.nbytes for layer in self.weighted)

    def parameters(self) -> tuple[Parameter, ...]:
        """Every array that training changes, in the order of `gradients`."""
        return tuple(
            Parameter(k, name, value, is_sparse(layer) and name == "weight")
            for k, layer in enumerate(self.layers)
            for name, value in layer.parameters().items()
        )

    def gradients(
        self,
        x: np.ndarray,
        y: np.ndarray,
        rngs: Sequence[np.random.Generator] | None = None,
        factors: bool = True,
    ) -> tuple[float, tuple[Any, ...]]:
        """Loss on one batch and the gradient of every layer.

        Parameters
        ----------
        x : (tiles, n_in, width)
            From `sparse_ref.tiles.pack`.
        y : (n,)
            Labels, or what the loss takes.
        rngs : sequence of Generator, optional
            One a layer, for dropout; without them, as in evaluation.
        factors : bool
            Whether the gradient of absent connections is to be had, too: holds all activations.

        Returns
        -------
        loss : float
        grads : tuple, one per layer
            `LayerGrad` or alike where there is a weight; None for a layer without parameters.
        """
        grads: list[Any] = [None] * len(self.layers)
        if rngs and len(rngs) != len(grads):
            raise ValueError(f"Network: rngs must be one a layer, {len(grads)}, got {len(rngs)}")
        streams: Sequence[Any] = rngs or [None] * len(grads)
        x, trail = residual.forward(self.plan, self.layers, x, streams, len(y))
        loss, delta = LOSSES[self.loss](x, y)
        residual.backward(self.plan, trail, delta, grads, factors=factors)
        return loss, tuple(grads)

    def sparse_gradients(self, grads: tuple[Any, ...]) -> tuple[LayerGrad, ...]:
        """Those of `grads` that belong to `sparse_layers`."""
        pairs = zip(self.layers, grads, strict=True)
        return tuple(grad for layer, grad in pairs if is_sparse(layer))

    def restructure(self, rewires: Sequence[Rewire]) -> tuple[np.ndarray, ...]:
        """Apply one `Rewire` to each sparse layer; return the `source` of each.

        A layer whose rewiring is empty keeps its weight and what it has derived from it.
        """
        require_one_each("rewires", "sparse layer", rewires, self.sparse_layers)
        pairs = zip(self.sparse_layers, rewires, strict=True)
        changed = [applied(layer.weight, rewire) for layer, rewire in pairs]
        for layer, (weight, _) in zip(self.sparse_layers, changed, strict=True):
            if weight is not layer.weight:
                layer.adopt(weight)  # only now: a refused change leaves every layer as it was
        return tuple(source for _, source in changed)

    def prune(self, drops: Sequence[np.ndarray | None]) -> tuple[np.ndarray | None, ...]:
        """Remove connections, in place; a dense layer that loses some becomes a sparse one.

        Parameters
        ----------
        drops : sequence, one for each of `weighted`
            Slots to remove, (n,) int64, ascending; of a dense layer flat positions
            ``row * columns + column``. None leaves a layer as it is; an empty array makes a dense
            layer sparse with every connection.

        Returns
        -------
        sources : tuple, one for each of `weighted`
            Old slot of each remaining connection, ascending, or None where nothing was asked for.
            Weights and biases keep their bits.
        """
        require_one_each("drops", "layer with a weight", drops, self.weighted)
        pairs = list(zip(self.weighted, drops, strict=True))
        made = {id(la): pruned(la.weight, drop) for la, drop in pairs if drop is not None}
        self.layers = tuple(
            with_weight(la, made[id(la)][0], self._blas_above) if id(la) in made else la
            for la in self.layers
        )
        return tuple(None if drop is None else made[id(la)][1] for la, drop in pairs)

    def on_blas_above(self, density: float) -> None:
        """Let linear sparse layers denser than `density` compute through BLAS.

        See `sparse_ref.Linear`: the weights stay CSR and results are the same up to rounding. On
        one thread of one machine complete layers took half to three quarters of the time through
        BLAS, and from a density of 0.8 down CSR was as fast or faster. Holds for layers that
        `prune` will make, too.
        """
        if not density >= 0:
            raise ValueError(f"Network: density must be at least 0, got {density}")
        self._blas_above = density
        for layer in self.sparse_layers:
            if isinstance(layer, Linear):
                layer.blas_above = density

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """Outputs for one batch of tiles, without noise: (tiles, n_out, width)."""
        return residual.outputs(self.plan, self.layers, x)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Outputs of the last layer (logits of a classifier; the class is their argmax).

        Parameters
        ----------
        x : (n, ...)
            Examples; trailing axes are flattened and must make `n_in` features.

        Returns
        -------
        (n, n_out)
        """
        parts = [
            tiles.unpack(self.outputs(self.packed(part)), len(part))
            for part in self._parts(self.examples(x, "predict"))
        ]
        return np.concatenate(parts) if parts else np.empty((0, self.n_out), self.dtype)

    def packed(self, x: np.ndarray, order: np.ndarray | None = None) -> np.ndarray:
        """The examples `order` of `x` (all if omitted) as tiles of the network's width.

        Parameters
        ----------
        x : (n, n_in)
            From `examples`.
        order : (batch,) int64, optional
        """
        return tiles.pack(x, order, self.tile_width(len(x) if order is None else len(order)))

    def examples(self, x: np.ndarray, who: str) -> np.ndarray:
        """`x` as ``(n, n_in)`` of the network's dtype, finite; not copied where it is so."""
        x = np.asarray(x)
        check_examples(who, x, self.shape)
        with np.errstate(over="ignore"):  # what the dtype cannot hold is refused as infinite
            x = np.ascontiguousarray(x.reshape(len(x), self.n_in), self.dtype)
        if not np.isfinite(x).all():
            example = int(np.flatnonzero(~np.isfinite(x).all(axis=1))[0])
            raise ValueError(f"{who}: x must be finite, got {x[example]} in example {example}")
        return x

    def _parts(self, x: np.ndarray) -> Iterator[np.ndarray]:
        for first in range(0, len(x), self.predict_batch):
            yield x[first : first + self.predict_batch]
