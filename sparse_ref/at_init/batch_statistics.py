"""Batch normalisation by the numbers of a batch, differentiated twice; layers stay as they are.

With ``h = (x - mean) / s``, s the standard deviation, m numbers in a channel and sums over them, it
is ``y = gamma h + beta``, and for a derivative along a direction, R ::

    Rh  = (Rx - sum(Rx) / m - h sum(h Rx) / m) / s            Rs = sum(h Rx) / m
    dx  = gamma / s (delta - sum(delta) / m - h sum(h delta) / m)
    Rdx = what dx is of Rdelta - Rs / s dx - gamma / (s m) (Rh sum(h delta) + h sum(Rh delta))

The map from delta to dx is symmetric, so Ry is that of Rx.
"""

from typing import Any

import numpy as np

from sparse_ref import tiles
from sparse_ref.batch_norm_kernels import normalise, normalise_pullback
from sparse_ref.layers import BatchNorm
from sparse_ref.layers.base import Pullback


class OfBatch:
    """A `BatchNorm` as it works in training, whose running numbers stay as they are."""

    def __init__(self, norm: BatchNorm):
        self.norm = norm

    def __repr__(self) -> str:
        return repr(self.norm)

    def forward(
        self, x: np.ndarray, rng: np.random.Generator | None = None, n: int | None = None
    ) -> tuple[np.ndarray, Pullback]:
        """See `Layer.forward`; always as in training, and without a gradient of its own."""
        y, of, _ = self._normalised(x, n)
        return y, lambda delta, wanted=True: (of(delta) if wanted else None, None)

    def along(self, x: np.ndarray, rx: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray, Any]:
        """As `sparse_ref.at_init.tangents.along`: output, its derivative, and what pulls back."""
        y, of, (mean, inverse) = self._normalised(x, n)
        channels, rows = self._channels(x), self._channels(rx)
        real = (np.arange(len(x) * x.shape[2]) < n).reshape(len(x), 1, 1, x.shape[2])
        count = n * channels.shape[2]

        def means(array):
            return array.sum(axis=(0, 2, 3), dtype=float, keepdims=True).astype(x.dtype) / count

        hat = (channels - mean) * inverse * real
        widening = means(hat * rows)  # Rs
        rhat = (rows - means(rows * real) - hat * widening) * inverse * real

        def pull(delta, rdelta, wanted=True):
            if not wanted:
                return None, None, None
            before, d = of(delta), self._channels(delta)
            bent = self._per_channel(self.norm.gamma) * (
                rhat * means(hat * d) + hat * means(rhat * d)
            )
            bent = (widening * self._channels(before) + bent) * inverse
            return before, of(rdelta) - bent.reshape(x.shape), None

        return y, of(rx), pull

    def _normalised(self, x, n):
        """Output, the map from delta to dx, and mean and ``1 / s`` of every channel."""
        norm, channels = self.norm, self._channels(x)
        n = channels.shape[0] * channels.shape[3] if n is None else n
        if n * channels.shape[2] < 2:
            raise ValueError(
                "BatchNorm: statistics of a batch need at least 2 numbers in a channel, got "
                f"{n * channels.shape[2]} (examples times positions)"
            )
        mean, variance = np.empty((2, norm.n_channels))
        y, by = tiles.empty_like(channels), (norm.epsilon, True, mean, variance)
        normalise(channels, n, norm.gamma, norm.beta, *by, y)

        def of(delta):
            out, sums = tiles.empty_like(channels), np.empty((2, norm.n_channels))
            normalise_pullback(channels, self._channels(delta), n, norm.gamma, *by, out, sums)
            return out.reshape(x.shape)

        inverse = 1 / np.sqrt(variance + norm.epsilon)
        return y.reshape(x.shape), of, (self._per_channel(mean), self._per_channel(inverse))

    def _per_channel(self, numbers):
        return numbers.astype(self.norm.gamma.dtype)[:, None, None]

    def _channels(self, x):
        """Activations by channel, ``(tiles, channels, positions, width)``."""
        shape = len(x), self.norm.n_channels, x.shape[1] // self.norm.n_channels, x.shape[2]
        return np.ascontiguousarray(x).reshape(shape)
