"""Activation functions: ReLU, ReLU6, All-ReLU and SReLU."""

from typing import Any, NamedTuple

import numpy as np

from sparse_ref import tiles
from sparse_ref.activation_kernels import (
    capped_relu,
    capped_relu_pullback,
    leaky,
    relu,
    relu_pullback,
    srelu,
    srelu_pullback,
)
from sparse_ref.layers.base import Pullback, Shape


class ReLU:
    """``max(x, 0)``; the derivative at 0 is 0."""

    def __repr__(self) -> str:
        return "ReLU()"

    def parameters(self) -> dict[str, np.ndarray]:
        """None."""
        return {}

    def shape_after(self, shape: Shape) -> Shape:
        """The same."""
        return shape

    def forward(
        self, x: np.ndarray, rng: np.random.Generator | None = None, n: int | None = None
    ) -> tuple[np.ndarray, Pullback]:
        """See `Layer.forward`."""
        x, y = np.ascontiguousarray(x), tiles.empty(x.shape, x.dtype)
        relu(x, y)

        def pullback(delta, wanted=True):
            delta, out = _like("ReLU", delta, y), tiles.empty(y.shape, y.dtype)
            relu_pullback(y, delta, out)
            return out, None

        return y, pullback


class ReLU6:
    """``min(max(x, 0), 6)``; the derivative at 0 and at 6 is 0.

    References
    ----------
    Krizhevsky (2010), "Convolutional Deep Belief Networks on CIFAR-10"; MobileNetV2 uses it.
    """

    CAP = 6.0

    def __repr__(self) -> str:
        return "ReLU6()"

    def parameters(self) -> dict[str, np.ndarray]:
        """None."""
        return {}

    def shape_after(self, shape: Shape) -> Shape:
        """The same."""
        return shape

    def forward(
        self, x: np.ndarray, rng: np.random.Generator | None = None, n: int | None = None
    ) -> tuple[np.ndarray, Pullback]:
        """See `Layer.forward`."""
        x, y = np.ascontiguousarray(x), tiles.empty(x.shape, x.dtype)
        cap = x.dtype.type(self.CAP)
        capped_relu(x, cap, y)

        def pullback(delta, wanted=True):
            delta, out = _like("ReLU6", delta, y), tiles.empty(y.shape, y.dtype)
            capped_relu_pullback(y, cap, delta, out)
            return out, None

        return y, pullback


class AllReLU:
    """Alternated left ReLU: the slope left of 0 changes sign from layer to layer.

    ``f(x) = x`` for ``x > 0``, else ``-alpha x`` in layers of even number and ``alpha x`` in layers
    of odd number.

    Parameters
    ----------
    alpha : float
        Slope, >= 0.
    layer_number : int
        Number of the layer of units it follows; inputs are layer 1, so the first hidden layer is 2.

    References
    ----------
    Curci, Mocanu, Pechenizkiy (2021), "Truly Sparse Neural Networks at Scale", section on
    All-ReLU. The formula and the numbering were checked against a third party's code only.
    """

    def __init__(self, alpha: float, layer_number: int):
        if not alpha >= 0:
            raise ValueError(f"AllReLU: alpha must be at least 0, got {alpha}")
        self.alpha, self.layer_number = alpha, layer_number

    def __repr__(self) -> str:
        return f"AllReLU(alpha={self.alpha}, layer_number={self.layer_number})"

    def parameters(self) -> dict[str, np.ndarray]:
        """None."""
        return {}

    def shape_after(self, shape: Shape) -> Shape:
        """The same."""
        return shape

    def forward(
        self, x: np.ndarray, rng: np.random.Generator | None = None, n: int | None = None
    ) -> tuple[np.ndarray, Pullback]:
        """See `Layer.forward`."""
        left = x.dtype.type(self.alpha if self.layer_number % 2 else -self.alpha)
        x, y = np.ascontiguousarray(x), tiles.empty(x.shape, x.dtype)
        leaky(x, left, x, y)

        def pullback(delta, wanted=True):
            delta, out = _like("AllReLU", delta, x), tiles.empty(x.shape, x.dtype)
            leaky(x, left, delta, out)
            return out, None

        return y, pullback


class SReLUGrad(NamedTuple):
    """Derivatives of the loss by SReLU's parameters, each ``(n,)``."""

    left_threshold: np.ndarray
    left_slope: np.ndarray
    right_offset: np.ndarray
    right_slope: np.ndarray


class SReLU:
    """S-shaped ReLU: three linear pieces with four trained parameters per unit.

    A unit is a number of a vector, or a channel of an image: all its positions share them.

    With ``t_r = left_threshold + |right_offset|``::

        f(x) = t_r + right_slope (x - t_r)                          x >= t_r
               x                                        t_l <  x <  t_r
               left_threshold + left_slope (x - left_threshold)     x <= left_threshold

    Parameters
    ----------
    left_threshold, left_slope, right_offset, right_slope : (n,)
        t_l, a_l, tau_r, a_r. Of activations ``(tiles, n * positions, width)`` each run of
        `positions` is a unit.

    References
    ----------
    Jin et al. (2016), "Deep Learning with S-shaped Rectified Linear Activation Units", in the
    parametrisation of keras-contrib, which SET and Liu2020 use.

    Departures
    ----------
    At a kink the piece that includes it by the formula counts (keras-contrib takes the middle one
    at ``x = t_l``). The paper's frozen first epochs and its setting of t_r from data are left out.
    """

    def __init__(self, left_threshold, left_slope, right_offset, right_slope):
        arrays = [np.asarray(a) for a in (left_threshold, left_slope, right_offset, right_slope)]
        if arrays[0].ndim != 1 or len({a.shape for a in arrays}) != 1:
            raise ValueError(
                "SReLU: the four parameters must have one shape (n,), got "
                f"{[a.shape for a in arrays]}"
            )
        if len({a.dtype for a in arrays}) != 1:
            raise TypeError(
                "SReLU: the four parameters must have one dtype, got "
                f"{[str(a.dtype) for a in arrays]}"
            )
        self.left_threshold, self.left_slope, self.right_offset, self.right_slope = arrays

    @classmethod
    def initial(cls, n: int, rng: np.random.Generator, dtype: Any = np.float32) -> "SReLU":
        """`n` units as in SET's code: t_l = 0, a_l ~ U(0, 1), tau_r ~ U(0, 5), a_r = 1."""
        left_slope = rng.random(n).astype(dtype)
        right_offset = (5.0 * rng.random(n)).astype(dtype)
        return cls(np.zeros(n, dtype), left_slope, right_offset, np.ones(n, dtype))

    def __repr__(self) -> str:
        return f"SReLU({len(self.left_threshold)})"

    def parameters(self) -> dict[str, np.ndarray]:
        """The four arrays."""
        return {name: getattr(self, name) for name in SReLUGrad._fields}

    def shape_after(self, shape: Shape) -> Shape:
        """The same, if it has as many units: numbers of a vector, channels of an image."""
        units = len(self.left_threshold)
        if shape[0] != units:
            raise ValueError(f"SReLU: examples must have {units} units, got shape {shape}")
        return shape

    def forward(
        self, x: np.ndarray, rng: np.random.Generator | None = None, n: int | None = None
    ) -> tuple[np.ndarray, Pullback]:
        """See `Layer.forward`; the pullback's `grad` is a `SReLUGrad`."""
        t_l, a_l, tau, a_r = map(np.ascontiguousarray, self.parameters().values())
        t_r = t_l + np.abs(tau)
        shape, x = x.shape, self._units(x)
        y = tiles.empty(x.shape, x.dtype)
        srelu(x, t_l, a_l, t_r, a_r, y)

        def pullback(delta, wanted=True):
            if delta.shape != shape:
                raise ValueError(f"SReLU: delta must have shape {shape}, got {delta.shape}")
            delta, out = self._units(delta), tiles.empty(x.shape, x.dtype)
            sums = np.empty((4, len(t_l)), x.dtype)
            srelu_pullback(x, delta, t_l, a_l, t_r, a_r, out, sums)
            on_left, on_right, beyond_left, beyond_right = sums
            bend = on_right * (1 - a_r)
            grad = SReLUGrad(
                left_threshold=on_left * (1 - a_l) + bend,
                left_slope=beyond_left,
                right_offset=bend * np.sign(tau),
                right_slope=beyond_right,
            )
            return out.reshape(shape), grad

        return y.reshape(shape), pullback

    def _units(self, x):
        """Activations by unit, ``(tiles, n, positions, width)``."""
        n = len(self.left_threshold)
        if x.ndim != 3 or x.shape[1] % max(n, 1) or n == 0 < x.shape[1]:
            raise ValueError(
                f"SReLU: activations must have shape (tiles, {n} * positions, width), got {x.shape}"
            )
        return np.ascontiguousarray(x).reshape(len(x), n, x.shape[1] // max(n, 1), x.shape[2])


def _like(who, delta, x):
    """A derivative, contiguous; kernels read what they are told is there."""
    if delta.shape != x.shape:
        raise ValueError(f"{who}: delta must have shape {x.shape}, got {delta.shape}")
    return np.ascontiguousarray(delta)
