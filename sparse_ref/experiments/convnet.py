"""A convolutional network as recipes name it, and the images it sees."""

import functools
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from sparse_ref.experiments.recipe import Context, Part, drawn
from sparse_ref.experiments.runner import Data
from sparse_ref.models import MODELS
from sparse_ref.network import Network

SIDE = 32  # pixels
GREY = 1, SIDE, SIDE  # what stands in at scale smoke
FEW = 1e-4  # a density at which any network is made at once

Shapes = tuple[tuple[int, ...], ...]


class ConvNet(NamedTuple):
    """A network by its name among `sparse_ref.models.MODELS`; all its layers are sparse.

    Attributes
    ----------
    title : str
        What tables call it.
    model : str
    options : tuple of (name, value)
        Of the model.
    """

    title: str
    model: str
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def settings(self) -> dict[str, Any]:
        """For `sparse_ref.experiments.model_config.ModelConfig`."""
        return {"name": self.model, "options": dict(self.options), "dense": []}

    @property
    def shapes(self) -> Shapes:
        """Of each weight: (units, inputs) or (filters, channels / groups, height, width)."""
        return _shapes(self)

    @property
    def parameters(self) -> int:
        """Of the dense network, biases and batch norm included."""
        net = self.built(FEW, "uniform", 1)
        others = sum(p.value.size for p in net.parameters() if not p.slots)
        return sum(map(math.prod, self.shapes)) + others

    def built(self, density: float, distribution: str, seed: int) -> Network:
        """The network before training."""
        rng, options = np.random.default_rng(seed), dict(self.options)
        how: dict[str, Any] = {"density": density, "distribution": distribution, "dense": ()}
        return MODELS[self.model](rng=rng, **how, **options)


def convnet(title: str, model: str, **options: Any) -> ConvNet:
    """A `ConvNet`, its options in words."""
    return ConvNet(title, model, tuple(options.items()))


def windows(shapes: Iterable[Sequence[int]]) -> list[int]:
    """Positions of the kernel of each weight; 1 of a linear layer."""
    return [math.prod(shape[2:]) for shape in shapes]


def photographs(
    context: Context, augmentation: str, n: int | None, n_tested: int | None, seed: int
) -> tuple[Data, str]:
    """CIFAR-10 with an augmentation, and the name of the set it really is.

    Channels have mean 0 and standard deviation 1 over all training images. At scale smoke the
    shipped images of clothes stand in, which a margin of black makes as large.

    Parameters
    ----------
    context : Context
    augmentation : str
        See `Context.augmentation`.
    n : int, optional
        Training images; None: all.
    n_tested : int, optional
        Test images, the first; None: all.
    seed : int
        Of which images are trained on, the same for all trainings.
    """
    images = context.images("fashion-mnist" if context.scale == "smoke" else "cifar10")
    train: Part = images.train
    if n is not None:
        train = drawn(train, n, np.random.default_rng(seed))
    mean, std = _moments(images.train[0])
    x, seen = ((_square(part) - mean) / std for part in (train[0], images.test[0][:n_tested]))
    augment = context.augmentation(augmentation, x.shape[1:], -mean / std)
    return Data((x, train[1]), None, (seen, images.test[1][:n_tested]), augment), images.name


@functools.cache
def _shapes(net):
    return tuple(map(_shape, net.built(FEW, "uniform", 1).weighted))


def _shape(layer):
    n_out, n_in = layer.weight.shape
    kernel = getattr(layer, "settings", {}).get("kernel")
    return (n_out, n_in // math.prod(kernel), *kernel) if kernel else (n_out, n_in)


def _moments(x):
    """Mean and standard deviation of every channel, (C, 1, 1), the margin left out."""
    x = x.reshape(len(x), -1, *x.shape[-2:])
    axes = 0, 2, 3
    mean, std = x.mean(axis=axes), x.std(axis=axes)
    return mean[:, None, None].astype(np.float32), std[:, None, None].astype(np.float32)


def _square(x):
    """(n, C, 32, 32) float32."""
    x = x.reshape(len(x), -1, *x.shape[-2:]).astype(np.float32)
    margin = [(SIDE - n) // 2 for n in x.shape[-2:]]
    return np.pad(x, ((0, 0), (0, 0), *((m, m) for m in margin)))
