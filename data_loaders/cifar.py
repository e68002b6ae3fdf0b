"""Loads CIFAR-10 and CIFAR-100, the binary version or the one for Python, whole or in part.

A record of the binary version is the label (CIFAR-100: coarse label, fine label), one byte each,
and 3,072 bytes of the image: 1,024 red, 1,024 green, 1,024 blue, each row by row (the page of the
data sets, https://www.cs.toronto.edu/~kriz/cifar.html). The version for Python holds the same
images in pickles, see `data_loaders.cifar_pickles`.
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from data_loaders.catalogue import DataFile, data_set
from data_loaders.cifar_pickles import read_batch
from data_loaders.fetch import fetch
from data_loaders.idx import unpacked
from data_loaders.locate import file_in, find, has_file, locate, missing_files
from data_loaders.parts import gap, tell, unseen
from data_loaders.split import Split, checked_dtype

IMAGE_SHAPE = (3, 32, 32)  # channels red, green, blue; pixels
N_PIXELS = 3072
CIFAR10_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
LABELS = ("coarse", "fine")


def cifar10(
    folder: str | os.PathLike[str] | None = None,
    download: bool = False,
    dtype: DTypeLike = np.float32,
    strict: bool = False,
) -> tuple[Split, Split]:
    """CIFAR-10, photographs of ten classes: 50,000 for training and 10,000 for testing.

    Parts of the files load too (fewer records, fewer training files), with a warning that says what
    is missing. `verify("cifar10")` compares the files with the originals.

    Parameters
    ----------
    folder : the folder with data_batch_1.bin ... data_batch_5.bin and test_batch.bin, plain or
        gzipped, or with the files of the version for Python, of which each must be the original.
        None searches as `data_loaders.locate` says, first for the binary version
    download : bool, fetch the binary version if nothing is there, into `folder` or the user's cache
    dtype : float32 or float64
    strict : bool, refuse a part

    Returns
    -------
    train, test : Split, x (n, 3, 32, 32) in [0, 1] (byte / 255), y (n,) int64 in 0 ... 9, in the
        order of `CIFAR10_CLASSES`

    Raises
    ------
    FileNotFoundError
        If the data set is not found, or has no training file or no test file.
    ValueError
        If a file is damaged; if a file of the version for Python is not the original; if a folder
        holds both versions; if images are missing and `strict`.
    TypeError
        If `dtype` is neither float32 nor float64.
    ImportError, DownloadError
        As `fetch`, only with `download`.

    Warns
    -----
    UserWarning
        If images are missing.
    """
    return _load(_CIFAR10, 0, folder, download, dtype, strict)


def cifar100(
    folder: str | os.PathLike[str] | None = None,
    download: bool = False,
    dtype: DTypeLike = np.float32,
    strict: bool = False,
    *,
    labels: str = "fine",
) -> tuple[Split, Split]:
    """CIFAR-100, photographs of 100 classes: 50,000 for training and 10,000 for testing.

    Parameters, returns, errors and warnings as `cifar10`; the files are train.bin and test.bin, or
    train and test of the version for Python.

    Parameters
    ----------
    folder, download, dtype, strict : as of `cifar10`
    labels : "fine", 0 ... 99, or "coarse", the 20 groups of five classes, 0 ... 19; both are in the
        alphabetical order of their names

    Returns
    -------
    train, test : Split

    Raises
    ------
    ValueError
        As `cifar10`, and if `labels` is neither.
    """
    if labels not in LABELS:
        raise ValueError(f"cifar100: labels must be one of {', '.join(LABELS)}, got {labels!r}")
    return _load(_CIFAR100, LABELS.index(labels), folder, download, dtype, strict)


class _Layout(NamedTuple):
    """How the two sets differ."""

    name: str  # in the catalogue; "-python" is added for that version
    n_classes: tuple[int, ...]  # of each label of a record
    keys: tuple[str, ...]  # of those labels in the version for Python


_CIFAR10 = _Layout("cifar10", (10,), ("labels",))
_CIFAR100 = _Layout("cifar100", (20, 100), ("coarse_labels", "fine_labels"))
_N_TRAIN, _N_TEST = 50_000, 10_000


class _Images(NamedTuple):
    """What was read of the training or of the test part."""

    pixels: list[np.ndarray]  # (n, 3072) uint8 of each file
    labels: np.ndarray  # (n,) of all files
    gap: str | None  # what is missing, in words


def _load(
    layout: _Layout,
    column: int,
    folder: str | os.PathLike[str] | None,
    download: bool,
    dtype: DTypeLike,
    strict: bool,
) -> tuple[Split, Split]:
    number = checked_dtype(dtype, layout.name)  # before a download, not after
    version, place = _place(layout, folder, download)
    *train_files, test_file = data_set(version).files
    train = _read(layout, column, place, train_files, ("training", _N_TRAIN))
    test = _read(layout, column, place, [test_file], ("test", _N_TEST))
    tell(layout.name, (train.gap, test.gap), strict, stacklevel=3)
    return _split(train, number), _split(test, number)


def _place(
    layout: _Layout, folder: str | os.PathLike[str] | None, download: bool
) -> tuple[str, Path]:
    """Which version is there, as the catalogue calls it, and its folder."""
    versions = (layout.name, f"{layout.name}-python")
    if folder is None:
        for version in versions:
            found = find(version)
            if found is not None:
                return version, found
        return layout.name, fetch(layout.name) if download else locate(layout.name)
    place = Path(folder)
    held = [v for v in versions if any(has_file(place, file.name) for file in data_set(v).files)]
    if len(held) > 1:
        raise ValueError(
            f"{layout.name}: a folder must hold one version, binary or for Python, got both in "
            f"{place}; name a folder with one of them"
        )
    version = held[0] if held else layout.name
    if download and missing_files(version, place):
        fetch(version, place)
    return version, locate(version, place)


def _read(
    layout: _Layout, column: int, place: Path, files: list[DataFile], part: tuple[str, int]
) -> _Images:
    """Images and labels of those of `files` that are there, and what is missing of `part`."""
    what, full = part
    pixels, labels, reasons = [], [], []
    absent = [file.name for file in files if not has_file(place, file.name)]
    if absent:
        reasons.append(f"{', '.join(absent)} absent")
    for file in files:
        if file.name in absent:
            continue
        path = file_in(place, file.name)
        read = _records if file.name.endswith(".bin") else _pickled
        all_labels, images = read(layout, path, file)
        _check_labels(layout, all_labels, path)
        pixels.append(images)
        labels.append(all_labels[:, column])
        share = full // len(files)
        if len(images) < share:
            reasons.append(f"{file.name} holds {len(images):,} of {share:,}")
    together = np.concatenate(labels).astype(np.int64)
    reasons += unseen(together, layout.n_classes[column])
    return _Images(pixels, together, gap(what, len(together), full, reasons))


def _records(layout: _Layout, path: Path, file: DataFile) -> tuple[np.ndarray, np.ndarray]:
    """Labels (n, k) and pixels (n, 3072) of a file of the binary version."""
    who = f"{layout.name}: {path}"
    content = unpacked(path.read_bytes(), who)
    n_labels = len(layout.n_classes)
    size = n_labels + N_PIXELS
    if not content or len(content) % size:
        raise ValueError(
            f"{who} must hold whole records of {size} bytes, at least one, got {len(content)} "
            "bytes; copy or download it again"
        )
    if file.n_bytes is not None and len(content) > file.n_bytes:
        raise ValueError(
            f"{who} must hold at most {file.n_bytes // size:,} records, got "
            f"{len(content) // size:,}"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, size)
    return records[:, :n_labels], records[:, n_labels:]


def _pickled(layout: _Layout, path: Path, file: DataFile) -> tuple[np.ndarray, np.ndarray]:
    """Labels (n, k) and pixels (n, 3072) of a file of the version for Python."""
    who = f"{layout.name}: {path}"
    batch = read_batch(unpacked(path.read_bytes(), who), str(file.sha256), who)
    pixels, columns = batch.get("data"), [batch.get(key) for key in layout.keys]
    if (
        not isinstance(pixels, np.ndarray)
        or pixels.shape[1:] != (N_PIXELS,)
        or any(not isinstance(column, list) or len(column) != len(pixels) for column in columns)
    ):
        raise ValueError(
            f"{who} must hold data (n, {N_PIXELS}) and n of each of {', '.join(layout.keys)}"
        )
    return np.array(columns, np.int64).T, pixels


def _check_labels(layout: _Layout, labels: np.ndarray, path: Path) -> None:
    for column, n_classes in zip(labels.T, layout.n_classes, strict=True):
        wrong = (column < 0) | (column >= n_classes)
        if wrong.any():
            first = int(np.argmax(wrong))
            raise ValueError(
                f"{layout.name}: labels must be in 0 ... {n_classes - 1}, got {column[first]} in "
                f"record {first} of {path}"
            )


def _split(images: _Images, dtype: np.dtype) -> Split:
    x = np.empty((len(images.labels), *IMAGE_SHAPE), dtype)
    start = 0
    for pixels in images.pixels:  # file by file: no second copy of all of them
        stop = start + len(pixels)
        np.divide(pixels.reshape(-1, *IMAGE_SHAPE), 255, out=x[start:stop], dtype=dtype)
        start = stop
    return Split(x, images.labels)
