"""Dropout as SET's authors' code does it: nothing is scaled in training, and nothing is undone.

It differs from `Dropout` in three ways that change a training. Kept activations are not scaled up
in training; instead the sums of the next layer, bias included, are scaled down in evaluation. And
the backward pass goes through dropped units as if they had been kept.

References
----------
The code that goes with Mocanu et al. (2018), `set_mlp.py` of the ECML-PKDD 2019 tutorial.
"""

import numpy as np

from sparse_ref.layers.base import Pullback, Shape


class UnscaledDropout:
    """Set each activation to 0 with probability `rate`; let the derivative pass everywhere.

    Parameters
    ----------
    rate : float
        In [0, 1).
    """

    def __init__(self, rate: float):
        self.rate = _checked("UnscaledDropout", rate)

    def __repr__(self) -> str:
        return f"UnscaledDropout({self.rate})"

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
            return x, _through
        kept = rng.random(x.shape, np.float32) >= np.float32(self.rate)
        return x * kept, _through


class EvaluationScale:
    """Multiply by ``1 - rate`` in evaluation; nothing in training. Stands after the next weights.

    Parameters
    ----------
    rate : float
        Of the `UnscaledDropout` before those weights, in [0, 1).
    """

    def __init__(self, rate: float):
        self.rate = _checked("EvaluationScale", rate)

    def __repr__(self) -> str:
        return f"EvaluationScale({self.rate})"

    def parameters(self) -> dict[str, np.ndarray]:
        """None."""
        return {}

    def shape_after(self, shape: Shape) -> Shape:
        """The same."""
        return shape

    def forward(
        self, x: np.ndarray, rng: np.random.Generator | None = None, n: int | None = None
    ) -> tuple[np.ndarray, Pullback]:
        """See `Layer.forward`; draws nothing, `rng` only tells training from evaluation."""
        if rng is not None or self.rate == 0:
            return x, _through
        scale = x.dtype.type(1 - self.rate)
        return x * scale, lambda delta, wanted=True: (delta * scale, None)


def _through(delta, wanted=True):
    return delta, None


def _checked(who, rate):
    if not 0 <= rate < 1:
        raise ValueError(f"{who}: rate must be in [0, 1), got {rate}")
    return rate
