"""Dropout: noise in training, nothing in evaluation."""

import numpy as np

from sparse_ref.layers.base import Pullback, Shape


class Dropout:
    """Set each activation to 0 with probability `rate`, scale the others by ``1 / (1 - rate)``.

    Parameters
    ----------
    rate : float
        In [0, 1).

    References
    ----------
    Srivastava et al. (2014), in the "inverted" form that leaves evaluation untouched.
    """

    def __init__(self, rate: float):
        if not 0 <= rate < 1:
            raise ValueError(f"Dropout: rate must be in [0, 1), got {rate}")
        self.rate = rate

    def __repr__(self) -> str:
        return f"Dropout({self.rate})"

    def parameters(self) -> dict[str, np.ndarray]:
        """None."""
        return {}

    def shape_after(self, shape: Shape) -> Shape:
        """The same."""
        return shape

    def forward(
        self, x: np.ndarray, rng: np.random.Generator | None = None, n: int | None = None
    ) -> tuple[np.ndarray, Pullback]:
        """See `Layer.forward`; without `rng` it is the identity."""
        if rng is None or self.rate == 0:
            return x, lambda delta, wanted=True: (delta, None)
        kept = rng.random(x.shape, np.float32) >= np.float32(self.rate)
        scale = kept * x.dtype.type(1 / (1 - self.rate))
        return x * scale, lambda delta, wanted=True: (delta * scale, None)
