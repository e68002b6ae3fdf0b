"""What Liu2020's networks see: Fashion-MNIST, or CIFAR-10 that is augmented."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sparse_ref.experiments.recipe import Context, Images, drawn, parted
from sparse_ref.experiments.runner import Data

DATA_SEED = 2020  # of the choice of images and of those held out; the same for every training
HELD_OUT = 0.2
LEAST_STD = 1e-4  # keeps a pixel that never changes at 0, as in SET's programs
FASHION, CIFAR = "fashion-mnist", "cifar10"
WHOLE = {FASHION: (60_000, 10_000), CIFAR: (50_000, 10_000)}  # training and test images
AUGMENTATION = "liu_2020"


class Prepared(NamedTuple):
    """Images as networks get them.

    Attributes
    ----------
    name : str
        Of the set they really are.
    data : Data
    n_in : int
        Numbers of one image.
    notes : tuple of str
        What a reader must know of them.
    """

    name: str
    data: Data
    n_in: int
    notes: tuple[str, ...] = ()

    @property
    def origin(self) -> tuple[str, int]:
        """What `sparse_ref.experiments.liu_2020.networks.config` asks of images."""
        return self.name, self.n_in

    @property
    def n_train(self) -> int:
        """Training images, those held out included."""
        return len(self.data.train[1]) + len(self.data.validation[1])

    def network(self, hidden: Sequence[int]) -> str:
        """Units of a network for them, and on what, in words."""
        return f"{'-'.join(map(str, (self.n_in, *hidden, 10)))} on {self.name}"


def fashion_mnist(context: Context, n: int) -> Prepared:
    """`n` training images of Fashion-MNIST, see `parts`."""
    images = context.images(FASHION)
    data = parts(images, n)
    return Prepared(images.name, data, data.train[0].shape[1])


def cifar10(context: Context, n: int) -> Prepared:
    """`n` training images of CIFAR-10 (fewer if there are no more), a fifth of them held out.

    Every channel has mean 0 and standard deviation about 1 over the images that are trained on;
    training batches are augmented. At scale smoke, and where there is no CIFAR-10, Fashion-MNIST
    stands in, as images of one channel.
    """
    images, why = _found(context)
    notes = [why] if why else []
    held = len(images.train[1]), len(images.test[1])
    if not why and held != WHOLE[CIFAR]:
        notes.append(
            "of CIFAR-10 {:,} of 50,000 training and {:,} of 10,000 test images".format(*held)
        )
    train, validation, test = (_channels_first(part) for part in _split(images, n))
    mean = train[0].mean(axis=(0, 2, 3), keepdims=True)
    scale = train[0].std(axis=(0, 2, 3), keepdims=True) + LEAST_STD
    black = (-mean / scale)[0].astype(train[0].dtype)
    augment = context.augmentation(AUGMENTATION, train[0].shape[1:], black)

    def standardised(part):
        x, y = part
        return ((x - mean) / scale).reshape(len(x), -1), y

    data = Data(standardised(train), standardised(validation), standardised(test), augment)
    return Prepared(images.name, data, data.train[0].shape[1], tuple(notes))


def parts(images: Images, n: int) -> Data:
    """`n` training images, a fifth of them held out, and all test images, standardised.

    Every pixel has mean 0 and standard deviation about 1 over the images that are trained on.
    """
    train, validation, test = _split(images, n)
    flat = train[0].reshape(len(train[0]), -1)
    mean, scale = flat.mean(axis=0), flat.std(axis=0) + LEAST_STD

    def standardised(part):
        x, y = part
        return (x.reshape(len(x), -1) - mean) / scale, y

    return Data(*map(standardised, (train, validation, test)))


def _split(images, n):
    """Training images, those held out, and test images."""
    choice, split = np.random.default_rng(DATA_SEED).spawn(2)
    return *parted(drawn(images.train, n, choice), HELD_OUT, split), images.test


def _found(context):
    """CIFAR-10, or what stands in for it and why."""
    if context.scale == "smoke":
        return context.images(FASHION), "Fashion-MNIST stands in for CIFAR-10, as at scale smoke"
    try:
        return context.images(CIFAR), ""
    except FileNotFoundError as error:
        first = str(error).splitlines()[0]
        return context.images(FASHION), f"Fashion-MNIST stands in for CIFAR-10, since {first}"


def _channels_first(part):
    """Images ``(n, channels, height, width)``; grey ones have one channel."""
    x, y = part
    return (x[:, None] if x.ndim == 3 else x), y
