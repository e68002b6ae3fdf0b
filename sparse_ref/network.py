"""A network: layers in a row, and the loss that trains them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr, tiles
from sparse_ref.csr import Rewire
from sparse_ref.csr_checks import integers, require_ascending
from sparse_ref.layers import Dense, Layer, LayerGrad, Linear, Parameter
from sparse_ref.layers.linear import NEVER
from sparse_ref.losses import LOSSES

# Examples at a time in `predict`: bounds memory. Sparse layers give the same bits for any number.
PREDICT_BATCH = 1024


class Network:
    """Layers applied one after the other to flattened examples.

    Parameters
    ----------
    layers : sequence of Layer
        The first must have a weight (`Linear` or `Dense`); widths must chain.
    loss : str
        Name in `sparse_ref.losses.LOSSES`.
    """

    def __init__(self, layers: Sequence[Layer], loss: str = "softmax_cross_entropy"):
        if loss not in LOSSES:
            raise ValueError(f"Network: loss must be one of {sorted(LOSSES)}, got {loss!r}")
        _check_chain(layers)
        self.layers, self.loss, self._blas_above = tuple(layers), loss, NEVER

    def __repr__(self) -> str:
        inside = "\n".join(f"  {layer!r}" for layer in self.layers)
        return f"Network(\n{inside}\n  {self.loss}\n)"

    @property
    def weighted(self) -> tuple[Any, ...]:
        """The layers with a weight, sparse or dense, from input to output."""
        return tuple(layer for layer in self.layers if isinstance(layer, Linear | Dense))

    @property
    def sparse_layers(self) -> tuple[Linear, ...]:
        """The layers on CSR, from input to output: what methods rewire."""
        return tuple(layer for layer in self.layers if isinstance(layer, Linear))

    @property
    def n_in(self) -> int:
        """Features of an example."""
        return self.weighted[0].n_in

    @property
    def n_out(self) -> int:
        """Outputs per example."""
        return self.weighted[-1].n_out

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the parameters and of the computation."""
        return self.weighted[0].weight.dtype

    @property
    def connections(self) -> tuple[int, ...]:
        """Stored connections of each layer with a weight; all positions of a dense one."""
        return tuple(
            layer.weight.nnz if isinstance(layer, Linear) else layer.weight.size
            for layer in self.weighted
        )

    @property
    def topology(self) -> tuple[csr_array, ...]:
        """CSR weight ``(n_out, n_in)`` of each layer with one, for `sparse_ref.topology`.

        Those of sparse layers are the weights themselves; a dense layer has every connection.
        """
        return tuple(
            layer.weight if isinstance(layer, Linear) else _complete(layer.weight)
            for layer in self.weighted
        )

    @property
    def density(self) -> float:
        """Connections over positions, of all layers with a weight together; nan of no positions."""
        positions = sum(layer.n_in * layer.n_out for layer in self.weighted)
        return sum(self.connections) / positions if positions else float("nan")

    @property
    def nbytes(self) -> int:
        """Bytes held for weights, patterns, biases and activation parameters."""
        others = (la for la in self.layers if not isinstance(la, Linear | Dense))
        loose = sum(value.nbytes for layer in others for value in layer.parameters().values())
        return loose + sum(layer.nbytes for layer in self.weighted)

    def parameters(self) -> tuple[Parameter, ...]:
        """Every array that training changes, in the order of `gradients`."""
        return tuple(
            Parameter(k, name, value, isinstance(layer, Linear) and name == "weight")
            for k, layer in enumerate(self.layers)
            for name, value in layer.parameters().items()
        )

    def gradients(
        self, x: np.ndarray, y: np.ndarray, rngs: Sequence[np.random.Generator] | None = None
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

        Returns
        -------
        loss : float
        grads : tuple, one per layer
            `LayerGrad` where there is a weight; None for a layer without parameters.
        """
        pullbacks = []
        streams: Sequence[Any] = rngs or [None] * len(self.layers)
        for layer, rng in zip(self.layers, streams, strict=True):
            x, pullback = layer.forward(x, rng)
            pullbacks.append(pullback)
        loss, delta = LOSSES[self.loss](x, y)
        grads: list[Any] = []
        for k in reversed(range(len(self.layers))):
            delta, grad = pullbacks[k](delta, wanted=k > 0)
            grads.append(grad)
        return loss, tuple(reversed(grads))

    def sparse_gradients(self, grads: tuple[Any, ...]) -> tuple[LayerGrad, ...]:
        """Those of `grads` that belong to `sparse_layers`."""
        pairs = zip(self.layers, grads, strict=True)
        return tuple(grad for layer, grad in pairs if isinstance(layer, Linear))

    def restructure(self, rewires: Sequence[Rewire]) -> tuple[np.ndarray, ...]:
        """Apply one `Rewire` to each sparse layer; return the `source` of each.

        A layer whose rewiring is empty keeps its weight and what it has derived from it.
        """
        if len(rewires) != len(self.sparse_layers):
            raise ValueError(
                f"Network: rewires must be one per sparse layer, {len(self.sparse_layers)}, "
                f"got {len(rewires)}"
            )
        pairs = zip(self.sparse_layers, rewires, strict=True)
        applied = [_applied(layer.weight, rewire) for layer, rewire in pairs]
        for layer, (weight, _) in zip(self.sparse_layers, applied, strict=True):
            if weight is not layer.weight:
                layer.adopt(weight)  # only now: a refused change leaves every layer as it was
        return tuple(source for _, source in applied)

    def prune(self, drops: Sequence[np.ndarray | None]) -> tuple[np.ndarray | None, ...]:
        """Remove connections, in place; a dense layer that loses some becomes a sparse one.

        Parameters
        ----------
        drops : sequence, one for each of `weighted`
            Slots to remove, (n,) int64, ascending; of a dense layer flat positions
            ``row * n_in + column``. None leaves a layer as it is; an empty array makes a dense
            layer sparse with every connection.

        Returns
        -------
        sources : tuple, one for each of `weighted`
            Old slot of each remaining connection, ascending, or None where nothing was asked for.
            Weights and biases keep their bits.
        """
        if len(drops) != len(self.weighted):
            raise ValueError(
                f"Network: drops must be one per layer with a weight, {len(self.weighted)}, "
                f"got {len(drops)}"
            )
        pairs = list(zip(self.weighted, drops, strict=True))
        made = {id(la): _pruned(la.weight, drop) for la, drop in pairs if drop is not None}
        self.layers = tuple(
            self._with_weight(la, made[id(la)][0]) if id(la) in made else la for la in self.layers
        )
        return tuple(None if drop is None else made[id(la)][1] for la, drop in pairs)

    def on_blas_above(self, density: float) -> None:
        """Let sparse layers denser than `density` compute through BLAS.

        See `sparse_ref.Linear`: the weights stay CSR and results are the same up to rounding. On
        one thread of one machine complete layers took half to three quarters of the time through
        BLAS, and from a density of 0.8 down CSR was as fast or faster. Holds for layers that
        `prune` will make, too.
        """
        if not density >= 0:
            raise ValueError(f"Network: density must be at least 0, got {density}")
        self._blas_above = density
        for layer in self.sparse_layers:
            layer.blas_above = density

    def _with_weight(self, layer, weight):
        """The layer with a smaller weight; a dense one gives way to a sparse one."""
        if isinstance(layer, Linear):
            layer.adopt(weight)
            return layer
        sparse = Linear(weight, layer.bias)
        sparse.blas_above = self._blas_above
        return sparse

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """Outputs for one batch of tiles, without noise: (tiles, n_out, width)."""
        for layer in self.layers:
            x, _ = layer.forward(x)
        return x

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
            tiles.unpack(self.outputs(tiles.pack(part)), len(part))
            for part in _parts(self.examples(x, "predict"))
        ]
        return np.concatenate(parts) if parts else np.empty((0, self.n_out), self.dtype)

    def examples(self, x: np.ndarray, who: str) -> np.ndarray:
        """`x` as ``(n, n_in)`` of the network's dtype, finite; not copied where it is so."""
        x = np.asarray(x)
        features = int(np.prod(x.shape[1:]))
        if x.ndim < 2 or features != self.n_in:
            raise ValueError(f"{who}: x must have shape (n, {self.n_in}) or alike, got {x.shape}")
        with np.errstate(over="ignore"):  # what the dtype cannot hold is refused as infinite
            x = np.ascontiguousarray(x.reshape(len(x), features), self.dtype)
        if not np.isfinite(x).all():
            example = int(np.flatnonzero(~np.isfinite(x).all(axis=1))[0])
            raise ValueError(f"{who}: x must be finite, got {x[example]} in example {example}")
        return x


def _applied(weight, rewire):
    """`csr.apply`, at once where there is nothing to apply."""
    if any(len(part) for part in (rewire.drop, rewire.grow, rewire.values)):
        return csr.apply(weight, rewire)
    return weight, np.arange(weight.nnz)


def _pruned(weight, drop):
    """The weight without some slots, and the old slot of each that is left."""
    if isinstance(weight, csr_array):
        none = np.empty(0, np.int64)
        return csr.apply(weight, Rewire(drop, none, np.empty(0, weight.dtype)))
    drop = integers("Network", "slots to prune", drop)
    require_ascending("Network", "slots to prune", drop, weight.size)
    kept = np.ones(weight.size, bool)
    kept[drop] = False
    source = np.flatnonzero(kept)
    return csr.from_positions(weight.shape, source, weight.reshape(-1)[source]), source


def _complete(weight):
    """A dense layer's weight as CSR, its zeros too."""
    return csr.from_dense(weight, np.ones(weight.shape, bool))


def _parts(x):
    for first in range(0, len(x), PREDICT_BATCH):
        yield x[first : first + PREDICT_BATCH]


def _check_chain(layers):
    if not layers or not isinstance(layers[0], Linear | Dense):
        raise ValueError(
            "Network: the first layer must be Linear or Dense, got " + repr(layers[:1])
        )
    if len({id(layer) for layer in layers}) < len(layers):
        raise ValueError(
            "Network: a layer must not stand twice in a network, its state would clash"
        )
    before = layers[0]
    for layer in layers[1:]:
        weighted = isinstance(layer, Linear | Dense)
        widths = [layer.n_in] if weighted else [len(p) for p in layer.parameters().values()]
        if set(widths) - {before.n_out}:
            raise ValueError(f"Network: widths must chain, got {before!r} before {layer!r}")
        dtypes = {p.dtype for p in layer.parameters().values()} - {before.weight.dtype}
        if dtypes:
            raise ValueError(
                f"Network: layers must share a dtype, got {before.weight.dtype} "
                f"before {dtypes.pop()}"
            )
        before = layer if weighted else before
