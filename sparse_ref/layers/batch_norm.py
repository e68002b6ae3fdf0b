"""Batch normalisation, of images per channel and of vectors per feature."""

from typing import Any, NamedTuple

import numpy as np

from sparse_ref import tiles
from sparse_ref.batch_norm_kernels import normalise, normalise_pullback
from sparse_ref.layers.base import Pullback, Shape


class BatchNormGrad(NamedTuple):
    """Derivatives of the loss by the parameters of a `BatchNorm`, each ``(n_channels,)``."""

    gamma: np.ndarray
    beta: np.ndarray


class BatchNorm:
    """``y = gamma (x - mean) / sqrt(variance + epsilon) + beta`` for every channel.

    In training (with `rng`) mean and variance are those of the batch's real examples, over all
    positions of a channel; the running ones move towards them by `momentum`, in place. In
    evaluation the running ones take their place.

    Parameters
    ----------
    gamma, beta : (n_channels,) float32 or float64
        Trained. A channel is a run of ``features / n_channels`` features: those of one channel of
        an image, or one feature of a vector.
    running_mean, running_var : (n_channels,), optional
        Where evaluation begins: zeros and ones if omitted. Not copied.
    momentum : float
        How far the running numbers move at a step, in [0, 1]. The running variance moves towards
        the unbiased one, divided by ``m - 1`` for m numbers in a channel.
    epsilon : float
        Added to variances, > 0.

    References
    ----------
    Ioffe and Szegedy (2015), "Batch Normalization", algorithms 1 and 2. The running numbers, and
    the values of `momentum` and `epsilon`, are PyTorch's.
    """

    def __init__(
        self,
        gamma: np.ndarray,
        beta: np.ndarray,
        running_mean: np.ndarray | None = None,
        running_var: np.ndarray | None = None,
        momentum: float = 0.1,
        epsilon: float = 1e-5,
    ):
        self.gamma = _check_gamma(gamma)
        like = self.gamma
        running_mean = np.zeros_like(like) if running_mean is None else running_mean
        running_var = np.ones_like(like) if running_var is None else running_var
        self.beta = _check("beta", beta, like)
        self.running_mean = _check("running_mean", running_mean, like)
        self.running_var = _check("running_var", running_var, like)
        if not 0 <= momentum <= 1:
            raise ValueError(f"BatchNorm: momentum must be in [0, 1], got {momentum}")
        if not epsilon > 0:
            raise ValueError(f"BatchNorm: epsilon must be above 0, got {epsilon}")
        self.momentum, self.epsilon = float(momentum), float(epsilon)

    @classmethod
    def initial(
        cls, n_channels: int, dtype: Any = np.float32, momentum: float = 0.1, epsilon: float = 1e-5
    ) -> "BatchNorm":
        """`n_channels` channels with gamma 1 and beta 0."""
        gamma, beta = np.ones(n_channels, dtype), np.zeros(n_channels, dtype)
        return cls(gamma, beta, momentum=momentum, epsilon=epsilon)

    def __repr__(self) -> str:
        return f"BatchNorm({self.n_channels})"

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return len(self.gamma)

    @property
    def nbytes(self) -> int:
        """Bytes of the parameters and of the running numbers."""
        return sum(a.nbytes for a in (*self.parameters().values(), *self.state().values()))

    def parameters(self) -> dict[str, np.ndarray]:
        """``gamma`` and ``beta``."""
        return {"gamma": self.gamma, "beta": self.beta}

    def state(self) -> dict[str, np.ndarray]:
        """``running_mean`` and ``running_var``: what evaluation needs beside the parameters.

        The arrays themselves; a forward pass in training changes them in place.
        """
        return {"running_mean": self.running_mean, "running_var": self.running_var}

    def shape_after(self, shape: Shape) -> Shape:
        """The same, if it has as many channels."""
        if shape[0] != self.n_channels:
            raise ValueError(
                f"BatchNorm: examples must have {self.n_channels} channels, got shape {shape}"
            )
        return shape

    def forward(
        self, x: np.ndarray, rng: np.random.Generator | None = None, n: int | None = None
    ) -> tuple[np.ndarray, Pullback]:
        """See `Layer.forward`; the pullback's `grad` is a `BatchNormGrad`.

        Draws nothing, `rng` only tells training from evaluation.
        """
        channels, training = self._channels(x), rng is not None
        n = _check_n(n, x)
        mean, variance = self.running_mean.astype(float), self.running_var.astype(float)
        if training:
            self._check_count(n * channels.shape[2])
        y, gamma = tiles.empty(channels.shape, x.dtype), self.gamma.copy()
        normalise(channels, n, gamma, self.beta, self.epsilon, training, mean, variance, y)
        if training:
            self._follow(mean, variance, n * channels.shape[2])

        def pullback(delta, wanted=True):
            if delta.shape != x.shape or delta.dtype != x.dtype:
                raise ValueError(
                    f"BatchNorm: delta must be {x.dtype} of shape {x.shape}, got {delta.dtype} of "
                    f"shape {delta.shape}"
                )
            delta = np.ascontiguousarray(delta).reshape(channels.shape)
            out, sums = tiles.empty(delta.shape, delta.dtype), np.empty((2, len(gamma)))
            by = n, gamma, self.epsilon, training, mean, variance
            normalise_pullback(channels, delta, *by, out, sums)
            return out.reshape(x.shape), BatchNormGrad(*sums.astype(x.dtype))

        return y.reshape(x.shape), pullback

    def _channels(self, x):
        """Activations by channel, ``(tiles, channels, positions, width)``."""
        if x.ndim != 3 or x.shape[1] == 0 or x.shape[1] % self.n_channels:
            raise ValueError(
                f"BatchNorm: activations must have shape (tiles, {self.n_channels} * positions, "
                f"width), got {x.shape}"
            )
        if x.dtype != self.gamma.dtype:
            dtype = self.gamma.dtype
            raise TypeError(f"BatchNorm: activations must be {dtype} as the layer, got {x.dtype}")
        positions = x.shape[1] // self.n_channels
        return np.ascontiguousarray(x).reshape(len(x), self.n_channels, positions, x.shape[2])

    def _check_count(self, count):
        if count < 2:
            raise ValueError(
                f"BatchNorm: training needs at least 2 numbers in a channel, got {count} (examples "
                "times positions)"
            )

    def _follow(self, mean, variance, count):
        """Move the running numbers towards the batch's."""
        for running, seen in (
            (self.running_mean, mean),
            (self.running_var, variance * (count / (count - 1))),
        ):
            running[:] = (1 - self.momentum) * running.astype(float) + self.momentum * seen


def _check_gamma(gamma):
    gamma = np.asarray(gamma)
    if gamma.ndim != 1 or not len(gamma):
        raise ValueError(f"BatchNorm: gamma must have shape (n_channels,), got {gamma.shape}")
    if gamma.dtype not in (np.float32, np.float64):
        raise TypeError(f"BatchNorm: gamma must be float32 or float64, got {gamma.dtype}")
    return gamma


def _check(name, array, gamma):
    array = np.asarray(array)
    if array.shape != gamma.shape:
        raise ValueError(f"BatchNorm: {name} must have shape {gamma.shape}, got {array.shape}")
    if array.dtype != gamma.dtype:
        raise TypeError(f"BatchNorm: {name} must be {gamma.dtype} as gamma, got {array.dtype}")
    return array


def _check_n(n, x):
    most = x.shape[0] * x.shape[2]
    n = most if n is None else n
    if not 0 <= n <= most:
        raise ValueError(f"BatchNorm: n must be in [0, {most}] for these activations, got {n}")
    return n
