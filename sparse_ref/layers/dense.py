"""A linear layer with every connection, on BLAS: what papers keep dense, and the dense baseline.

The bits of its products are those of the BLAS that NumPy was built with; unlike the sparse
kernels' they may differ between hosts.
"""

import numpy as np

from sparse_ref.layers.base import LayerGrad, Pullback, Shape, check_bias, check_features


class Dense:
    """``y = W x + b`` with a dense weight.

    Parameters
    ----------
    weight : (n_out, n_in) float32 or float64
    bias : (n_out,), optional
        Zero if omitted.
    """

    def __init__(self, weight: np.ndarray, bias: np.ndarray | None = None):
        weight = np.ascontiguousarray(weight)
        if weight.ndim != 2:
            raise ValueError(f"Dense: weight must have two dimensions, got shape {weight.shape}")
        if weight.dtype not in (np.float32, np.float64):
            raise TypeError(f"Dense: weight must be float32 or float64, got {weight.dtype}")
        self.weight = weight
        bias = np.zeros(len(weight), weight.dtype) if bias is None else bias
        self.bias = check_bias("Dense", bias, len(weight), weight.dtype)

    def __repr__(self) -> str:
        return f"Dense({self.n_in} -> {self.n_out})"

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
        """Bytes of weight and bias."""
        return self.weight.nbytes + self.bias.nbytes

    def parameters(self) -> dict[str, np.ndarray]:
        """``weight`` (n_out, n_in) and ``bias`` (n_out,)."""
        return {"weight": self.weight, "bias": self.bias}

    def shape_after(self, shape: Shape) -> Shape:
        """``(n_out,)``, of ``(n_in,)``."""
        return check_features("Dense", shape, self.n_in, self.n_out)

    def forward(
        self, x: np.ndarray, rng: np.random.Generator | None = None, n: int | None = None
    ) -> tuple[np.ndarray, Pullback]:
        """See `Layer.forward`; the pullback's `grad` is a `LayerGrad` with a dense weight part."""
        weight = self.weight
        y = np.matmul(weight, x)
        y += self.bias[:, None]

        def pullback(delta, wanted=True):
            dense = np.tensordot(delta, x, ((0, 2), (0, 2)))
            grad = LayerGrad(dense, delta.sum(axis=(0, 2)), delta, x)
            return (np.matmul(weight.T, delta) if wanted else None), grad

        return y, pullback
