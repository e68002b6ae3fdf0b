"""A linear layer whose weight is CSR: work and memory in proportion to its connections."""

import math

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr, structure, tiles
from sparse_ref.kernels import backward, bias_gradient, sddmm, spmm
from sparse_ref.layers.base import (
    LayerGrad,
    Pullback,
    Shape,
    check_bias,
    check_features,
    check_tiles,
)
from sparse_ref.layers.dense import Dense
from sparse_ref.layers.on_csr import OnCSR

NEVER = math.inf


class Linear(OnCSR):
    """``y = W x + b`` on the stored connections only.

    Parameters
    ----------
    weight : (n_out, n_in) csr_array
        Canonical, float32 or float64. The layer takes over its ``data``; the pattern becomes
        read-only and changes only through `restructure`.
    bias : (n_out,), optional
        Zero if omitted. Dense, as in every published code, and not counted as connections.

    Attributes
    ----------
    blas_above : float
        Density above which the layer computes through BLAS, with a dense copy of the weight that
        lives for a step; results then agree up to rounding, and their bits are the BLAS's. Never,
        unless `sparse_ref.Network.on_blas_above` says so.

    Notes
    -----
    Beside the weight the layer holds the pattern by input unit (8 bytes a connection): the pullback
    walks the connections of each input and makes both gradients in one pass, a gather without two
    threads that write to one place. It is derived from the weight and renewed with it.
    """

    def __init__(self, weight: csr_array, bias: np.ndarray | None = None):
        self.adopt(csr.freeze(csr.check(weight, "Linear")))
        n_out = self.weight.shape[0]
        bias = np.zeros(n_out, self.weight.dtype) if bias is None else bias
        self.bias = check_bias("Linear", bias, n_out, self.weight.dtype)
        self.blas_above = NEVER

    def __repr__(self) -> str:
        n_out, n_in = self.weight.shape
        return f"Linear({n_in} -> {n_out}, {self.weight.nnz} connections)"

    @property
    def n_in(self) -> int:
        """Number of input units."""
        return self.weight.shape[1]

    @property
    def n_out(self) -> int:
        """Number of output units."""
        return self.weight.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes of the weight, its pattern both ways, the bias, and which slots are left out."""
        arrays = (self.weight.data, self.weight.indices, self.weight.indptr, self.bias)
        return sum(a.nbytes for a in (*arrays, *self._by_input, self._left_out))

    def parameters(self) -> dict[str, np.ndarray]:
        """``weight`` (nnz,) in slot order and ``bias`` (n_out,)."""
        return {"weight": self.weight.data, "bias": self.bias}

    def shape_after(self, shape: Shape) -> Shape:
        """``(n_out,)``, of ``(n_in,)``."""
        return check_features("Linear", shape, self.n_in, self.n_out)

    def forward(
        self, x: np.ndarray, rng: np.random.Generator | None = None, n: int | None = None
    ) -> tuple[np.ndarray, Pullback]:
        """See `Layer.forward`; the pullback's `grad` is a `LayerGrad`."""
        weight, bias, by_input = self.weight, self.bias, self._by_input
        data = self._forward_data()
        x = check_tiles("Linear", x, self.n_in, weight.dtype)
        if weight.nnz > self.blas_above * self.n_in * self.n_out:
            return self._forward_on_blas(data, x)
        y = tiles.empty((x.shape[0], self.n_out, x.shape[2]), x.dtype)
        spmm(weight.indptr, weight.indices, data, bias, x, y)
        shape = y.shape  # and not y itself: the pullback does not keep the output alive

        def pullback(delta, wanted=True):
            delta = check_tiles("Linear", delta, weight.shape[0], weight.dtype)
            if delta.shape != shape:
                raise ValueError(f"Linear: delta must have shape {shape}, got {delta.shape}")
            grad = LayerGrad(tiles.empty_like(weight.data), np.empty_like(bias), delta, x)
            bias_gradient(delta, grad.bias)
            if not wanted:
                sddmm(weight.indptr, weight.indices, delta, x, grad.weight)
                return None, grad
            out = tiles.empty_like(x)
            backward(*by_input, data, delta, x, out, grad.weight)
            return out, grad

        return y, pullback

    def _derive(self):
        self._by_input = csr.transpose_index(self.weight)

    def _forward_on_blas(self, data, x):
        """The same by a dense layer that lives until its pullback has been called."""
        weight = self.weight
        y, pullback_of_all = Dense(_spread(weight, data), self.bias).forward(x)

        def pullback(delta, wanted=True):
            delta = check_tiles("Linear", delta, weight.shape[0], weight.dtype)
            out, grad = pullback_of_all(delta, wanted)
            return out, grad._replace(weight=_collected(weight, grad.weight))

        return y, pullback


def _spread(weight, data):
    """A dense array of the connections' values; of a complete layer those themselves."""
    if weight.nnz == math.prod(weight.shape):
        return data.reshape(weight.shape)
    dense = np.zeros(weight.shape, weight.dtype)
    structure.scatter(weight.indptr, weight.indices, data, dense)
    return dense


def _collected(weight, dense):
    """What a dense array has at the connections."""
    if weight.nnz == dense.size:
        return dense.reshape(-1)
    out = tiles.empty_like(weight.data)
    structure.gather(weight.indptr, weight.indices, dense, out)
    return out
