"""Local response normalisation across the channels of an image."""

import math

import numpy as np

from sparse_ref import tiles
from sparse_ref.layers.base import Pullback, Shape, check_tiles
from sparse_ref.layers.windows import check_image
from sparse_ref.response_norm_kernels import normalise, normalise_pullback


class LocalResponseNorm:
    """``y_c = x_c (bias + alpha sum x_k^2)^-beta``, k within `depth_radius` of channel c.

    Parameters
    ----------
    image : (channels, height, width)
        Shape of one example.
    depth_radius : int
        Channels on either side, >= 0.
    bias, alpha, beta : float
        `bias` > 0, the others >= 0. The defaults are those of Alford2018's LeNet-5.

    References
    ----------
    Krizhevsky, Sutskever, Hinton (2012), "ImageNet Classification with Deep Convolutional Neural
    Networks", section 3.3.

    Notes
    -----
    The arguments are TensorFlow's: `alpha` is not divided by the number of channels in the sum.
    PyTorch's ``size, alpha, beta, k`` are here ``depth_radius = (size - 1) / 2`` of an odd size,
    ``alpha / size``, ``beta`` and ``bias = k``. For an even size PyTorch's sum has no middle, and
    no counterpart here.
    """

    def __init__(
        self,
        image: Shape,
        depth_radius: int = 4,
        bias: float = 1.0,
        alpha: float = 0.001 / 9,
        beta: float = 0.75,
    ):
        self.image = check_image("LocalResponseNorm", image)
        for name, value, fits in (
            ("depth_radius", depth_radius, depth_radius >= 0 and depth_radius == int(depth_radius)),
            ("alpha", alpha, 0 <= alpha < math.inf),
            ("beta", beta, 0 <= beta < math.inf),
        ):
            if not fits:
                kind = "a whole number" if name == "depth_radius" else "finite and"
                raise ValueError(
                    f"LocalResponseNorm: {name} must be {kind} at least 0, got {value}"
                )
        if not 0 < bias < math.inf:
            raise ValueError(f"LocalResponseNorm: bias must be finite and above 0, got {bias}")
        self.depth_radius, self.bias, self.alpha, self.beta = int(depth_radius), bias, alpha, beta

    def __repr__(self) -> str:
        return (
            f"LocalResponseNorm({self.image}, depth_radius={self.depth_radius}, bias={self.bias}, "
            f"alpha={self.alpha}, beta={self.beta})"
        )

    def parameters(self) -> dict[str, np.ndarray]:
        """None."""
        return {}

    def shape_after(self, shape: Shape) -> Shape:
        """The same, if it is the layer's image."""
        if tuple(shape) != self.image:
            raise ValueError(
                f"LocalResponseNorm: examples must have shape {self.image}, got {shape}"
            )
        return shape

    def forward(
        self, x: np.ndarray, rng: np.random.Generator | None = None, n: int | None = None
    ) -> tuple[np.ndarray, Pullback]:
        """See `Layer.forward`. The pullback keeps x and one array as large."""
        shape, channels = x.shape, self._channels(x, x.dtype)
        bias, alpha, beta = (x.dtype.type(v) for v in (self.bias, self.alpha, self.beta))
        y, scale = tiles.empty_like(channels), tiles.empty_like(channels)
        normalise(channels, self.depth_radius, bias, alpha, beta, scale, y)

        def pullback(delta, wanted=True):
            if delta.shape != shape:
                raise ValueError(
                    f"LocalResponseNorm: delta must have shape {shape}, got {delta.shape}"
                )
            out, delta = tiles.empty_like(channels), self._channels(delta, channels.dtype)
            normalise_pullback(channels, scale, delta, self.depth_radius, alpha, beta, out)
            return out.reshape(shape), None

        return y.reshape(shape), pullback

    def _channels(self, x, dtype):
        """Activations by channel, ``(tiles, channels, positions * width)``."""
        if dtype not in (np.float32, np.float64):
            raise TypeError(
                f"LocalResponseNorm: activations must be float32 or float64, got {dtype}"
            )
        x = check_tiles("LocalResponseNorm", x, math.prod(self.image), dtype)
        high, wide = self.image[1:]
        return x.reshape(len(x), self.image[0], high * wide * x.shape[2])
