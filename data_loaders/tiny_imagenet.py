"""Loads Tiny-ImageNet from its folders, whole or in part.

The layout, as the official zip unpacks: wnids.txt, one class a line; words.txt, their names; the
training images in train/CLASS/images/CLASS_NUMBER.JPEG; the validation images in val/images, with
their classes in val/val_annotations.txt. The labels of the images in test/ were never published, so
the validation images are what everybody tests on. Boxes around the objects are not read.
"""

import os
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from data_loaders.locate import locate
from data_loaders.parts import gap, tell
from data_loaders.split import Split, checked_dtype

SIDE = 64  # pixels
N_CLASSES, PER_CLASS, N_TEST = 200, 500, 10_000


def tiny_imagenet(
    folder: str | os.PathLike[str] | None = None,
    dtype: DTypeLike = np.float32,
    strict: bool = False,
) -> tuple[Split, Split]:
    """Tiny-ImageNet, photographs of 200 classes: 100,000 for training, 10,000 for testing.

    `test` is the official validation set: the labels of the official test set are not public. Parts
    load too (fewer classes in wnids.txt, fewer images), with a warning that says what is missing.
    Of float32, the complete set takes 5.4 GB.

    Parameters
    ----------
    folder : the folder with wnids.txt, train and val; None searches as `data_loaders.locate` says
    dtype : float32 or float64
    strict : bool, refuse a part

    Returns
    -------
    train, test : Split, x (n, 3, 64, 64) in [0, 1] (byte / 255; a grey image has three equal
        channels), y (n,) int64, the class's line in wnids.txt, from 0. Training images come class
        by class and by number, test images in the order of val_annotations.txt. Decoders of JPEG
        may differ by one in a byte

    Raises
    ------
    FileNotFoundError
        If the data set is not found.
    ValueError
        If a file is damaged, an image is not 64 x 64, or images are missing and `strict`.
    TypeError
        If `dtype` is neither float32 nor float64.
    ImportError
        If Pillow is not installed.

    Warns
    -----
    UserWarning
        If images are missing.
    """
    number = checked_dtype(dtype, "tiny_imagenet")
    place = locate("tiny-imagenet", folder)
    classes = _classes(place)
    train, test = _training(place, classes), _validation(place, classes)
    tell("tiny_imagenet", (train.gap, test.gap), strict, stacklevel=2)
    return _decoded(train, number), _decoded(test, number)


def tiny_imagenet_classes(folder: str | os.PathLike[str] | None = None) -> tuple[str, ...]:
    """The names of Tiny-ImageNet's classes in words.txt, in the order of the labels.

    Parameters
    ----------
    folder : as of `tiny_imagenet`

    Raises
    ------
    FileNotFoundError
        If the data set is not found, or words.txt is not there.
    ValueError
        If words.txt lacks a class.
    """
    place = locate("tiny-imagenet", folder)
    lines = (line.split("\t", 1) for line in _lines(place / "words.txt"))
    words = {fields[0]: fields[-1] for fields in lines}
    lacking = [name for name in _classes(place) if name not in words]
    if lacking:
        raise ValueError(f"tiny_imagenet_classes: words.txt must name every class, lacks {lacking}")
    return tuple(words[name] for name in _classes(place))


class _Files(NamedTuple):
    """Images that are there, not yet read."""

    paths: list[Path]
    labels: list[int]
    gap: str | None  # what is missing, in words


def _classes(place: Path) -> dict[str, int]:
    """Label of each class of wnids.txt, in its order."""
    names = _lines(place / "wnids.txt")
    if not names or len(set(names)) != len(names) or len(names) > N_CLASSES:
        raise ValueError(
            f"tiny_imagenet: {place / 'wnids.txt'} must name 1 to {N_CLASSES} classes, each once, "
            f"got {len(names)} lines with {len(set(names))} names"
        )
    return {name: label for label, name in enumerate(names)}


def _training(place: Path, classes: dict[str, int]) -> _Files:
    paths, labels, reasons = [], [], []
    if len(classes) < N_CLASSES:
        reasons.append(f"wnids.txt names {len(classes)} of {N_CLASSES} classes")
    fewer = 0
    for name, label in classes.items():
        found = _numbered(place / "train" / name / "images", name)
        paths += found
        labels += [label] * len(found)
        fewer += len(found) < PER_CLASS
    if fewer:
        reasons.append(f"{fewer} of them have fewer than {PER_CLASS} images")
    if not paths:
        raise ValueError(f"tiny_imagenet: {place / 'train'} must hold images, got none")
    return _Files(paths, labels, gap("training", len(paths), N_CLASSES * PER_CLASS, reasons))


def _numbered(folder: Path, name: str) -> list[Path]:
    """The images NAME_NUMBER.JPEG of a folder by their numbers; none if there is no folder."""
    numbers = {}
    for path in folder.glob(f"{name}_*.JPEG"):
        number = path.stem.removeprefix(f"{name}_")
        if not number.isdecimal():
            raise ValueError(f"tiny_imagenet: an image must be called {name}_NUMBER, got {path}")
        numbers[int(number)] = path
    return [numbers[number] for number in sorted(numbers)]


def _validation(place: Path, classes: dict[str, int]) -> _Files:
    paths, labels, absent = [], [], 0
    annotations = place / "val" / "val_annotations.txt"
    for number, line in enumerate(_lines(annotations), start=1):
        fields = line.split("\t")
        if len(fields) != 6:
            raise ValueError(
                f"tiny_imagenet: line {number} of {annotations} must have 6 fields, file, class "
                f"and box, got {line!r}"
            )
        path = place / "val" / "images" / Path(fields[0]).name
        if fields[1] not in classes:
            continue  # of a class that wnids.txt leaves out
        if not path.is_file():
            absent += 1
            continue
        paths.append(path)
        labels.append(classes[fields[1]])
    if not paths:
        raise ValueError(f"tiny_imagenet: {annotations} must name images in val/images, got none")
    reasons = [f"{absent:,} that val_annotations.txt names absent"] if absent else []
    return _Files(paths, labels, gap("test", len(paths), N_TEST, reasons))


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"tiny_imagenet: {path} must be text, got {error}") from error
    return [line for line in lines if line.strip()]


def _decoded(files: _Files, dtype: np.dtype) -> Split:
    image = _pillow()
    x = np.empty((len(files.paths), 3, SIDE, SIDE), dtype)
    for k, path in enumerate(files.paths):
        np.divide(_pixels(image, path).transpose(2, 0, 1), 255, out=x[k], dtype=dtype)
    return Split(x, np.array(files.labels, np.int64))


def _pixels(image: ModuleType, path: Path) -> np.ndarray:
    """(64, 64, 3) bytes of one image."""
    try:
        with image.open(path, formats=("JPEG",)) as picture:
            pixels = np.asarray(picture.convert("RGB"))
    except (OSError, SyntaxError) as error:
        raise ValueError(f"tiny_imagenet: {path} is damaged or no JPEG: {error}") from error
    if pixels.shape != (SIDE, SIDE, 3):
        raise ValueError(
            f"tiny_imagenet: images must be {SIDE} x {SIDE} pixels, got {pixels.shape[0]} x "
            f"{pixels.shape[1]} in {path}"
        )
    return pixels


def _pillow() -> ModuleType:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "tiny_imagenet: reading images needs the package Pillow, which is not installed: "
            'pip install "sparse-ref[data]" (".[data]" in a clone)'
        ) from error
    return Image
