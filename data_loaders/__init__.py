"""Data sets as NumPy arrays: loaders, downloads, mini-batches, normalisations, augmentations, toys.

Every loader returns `(train, test)`, two `Split(x, y)` with x (n, ...) floats in [0, 1] and y (n,)
int64 labels.
"""

from data_loaders.augment import AUGMENTATIONS, augmentation, compose, crop, flip, rotate
from data_loaders.batches import batches, hold_out, take
from data_loaders.catalogue import CATALOGUE, DataFile, DataSet
from data_loaders.cifar import CIFAR10_CLASSES, cifar10, cifar100
from data_loaders.fetch import (
    DownloadError,
    FileStatus,
    Listing,
    available,
    fetch,
    verify,
)
from data_loaders.idx import read_idx, write_idx
from data_loaders.locate import locate
from data_loaders.mnist import CLOTHES, fashion_mnist, mnist
from data_loaders.normalise import NORMALISATIONS, Normalisation, normalisation
from data_loaders.sample import fashion_mnist_sample
from data_loaders.split import Split
from data_loaders.synthetic import teacher, two_moons
from data_loaders.tiny_imagenet import tiny_imagenet, tiny_imagenet_classes

__all__ = [
    "AUGMENTATIONS",
    "CATALOGUE",
    "CIFAR10_CLASSES",
    "CLOTHES",
    "NORMALISATIONS",
    "DataFile",
    "DataSet",
    "DownloadError",
    "FileStatus",
    "Listing",
    "Normalisation",
    "Split",
    "augmentation",
    "available",
    "batches",
    "cifar10",
    "cifar100",
    "compose",
    "crop",
    "fashion_mnist",
    "fashion_mnist_sample",
    "fetch",
    "flip",
    "hold_out",
    "locate",
    "mnist",
    "normalisation",
    "read_idx",
    "rotate",
    "take",
    "teacher",
    "tiny_imagenet",
    "tiny_imagenet_classes",
    "two_moons",
    "verify",
    "write_idx",
]
