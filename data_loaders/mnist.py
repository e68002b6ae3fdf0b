"""Loads MNIST and Fashion-MNIST, which share one layout, as arrays in [0, 1]."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from data_loaders.fetch import fetch
from data_loaders.idx import read_images, read_labels
from data_loaders.locate import file_in, find, locate, missing_files
from data_loaders.split import Split, checked_dtype

N_CLASSES = 10
IMAGE_SHAPE = (28, 28)  # pixels


def mnist(
    folder: str | os.PathLike[str] | None = None,
    download: bool = False,
    dtype: DTypeLike = np.float32,
) -> tuple[Split, Split]:
    """MNIST, handwritten digits: 60,000 for training and 10,000 for testing.

    The files may be a cut of the originals; only their consistency is checked. `verify("mnist")`
    compares them with the originals.

    Parameters
    ----------
    folder : the folder with the four files, plain or gzipped. None searches `SPARSE_REF_DATA`, the
        user's cache and `/usr/share/datasets`, see `data_loaders.locate`
    download : bool, fetch what is not there, into `folder` or the user's cache
    dtype : float32 or float64

    Returns
    -------
    train, test : Split, x (n, 28, 28) in [0, 1] (pixel / 255), y (n,) int64 in 0 ... 9

    Raises
    ------
    FileNotFoundError
        If the data set is not found; the message lists where it was looked for.
    ValueError
        If a file is damaged, or the files do not belong together.
    TypeError
        If `dtype` is neither float32 nor float64.
    ImportError, DownloadError
        As `fetch`, only with `download`.
    """
    return _load("mnist", folder, download, dtype)


def fashion_mnist(
    folder: str | os.PathLike[str] | None = None,
    download: bool = False,
    dtype: DTypeLike = np.float32,
) -> tuple[Split, Split]:
    """Fashion-MNIST, articles of clothing: 60,000 for training and 10,000 for testing.

    Parameters, returns and errors as `mnist`; the ten classes are `CLOTHES`.
    """
    return _load("fashion-mnist", folder, download, dtype)


CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def load_folder(folder: Path, who: str, dtype: DTypeLike) -> tuple[Split, Split]:
    """Training and test split of the four files in `folder`; errors start with `who`.

    Raises
    ------
    FileNotFoundError, ValueError, TypeError
        As `mnist`.
    """
    number = checked_dtype(dtype, who)
    return _split(folder, "train", who, number), _split(folder, "t10k", who, number)


def _load(
    name: str, folder: str | os.PathLike[str] | None, download: bool, dtype: DTypeLike
) -> tuple[Split, Split]:
    who = name.replace("-", "_")
    checked_dtype(dtype, who)  # before a download, not after
    return load_folder(_folder(name, folder, download), who, dtype)


def _folder(name: str, folder: str | os.PathLike[str] | None, download: bool) -> Path:
    if not download:
        return locate(name, folder)
    if folder is None:
        return find(name) or fetch(name)
    if missing_files(name, Path(folder)):
        fetch(name, folder)
    return locate(name, folder)


def _split(folder: Path, part: str, who: str, dtype: np.dtype) -> Split:
    image_file = file_in(folder, f"{part}-images-idx3-ubyte")
    label_file = file_in(folder, f"{part}-labels-idx1-ubyte")
    images, labels = read_images(image_file), read_labels(label_file)
    if len(images) != len(labels):
        raise ValueError(
            f"{who}: images and labels must be equally many, got {len(images)} in {image_file} "
            f"and {len(labels)} in {label_file}"
        )
    if len(images) == 0:
        raise ValueError(f"{who}: {image_file} must hold at least one image, got none")
    if images.shape[1:] != IMAGE_SHAPE:
        raise ValueError(
            f"{who}: images must be 28 x 28 pixels, got {images.shape[1]} x {images.shape[2]} "
            f"in {image_file}"
        )
    if labels.max() >= N_CLASSES:
        first = int(np.argmax(labels >= N_CLASSES))
        raise ValueError(
            f"{who}: labels must be in 0 ... {N_CLASSES - 1}, got {labels[first]} at index {first} "
            f"in {label_file}"
        )
    return Split(np.divide(images, 255, dtype=dtype), labels.astype(np.int64))
