"""Makes the sample of Fashion-MNIST that is shipped with the package, from the full data set."""

import os
from pathlib import Path

import numpy as np

from data_loaders.idx import read_images, read_labels, write_idx
from data_loaders.locate import file_in

N_TRAIN_PER_CLASS = 500
N_TEST_PER_CLASS = 100


def make_sample(
    source_folder: str | os.PathLike[str], target_folder: str | os.PathLike[str]
) -> None:
    """Write the first 500 training and 100 test images of each class as four gzipped IDX files.

    The images keep the order of the original files. Run it again and the bytes are the same, up to
    the version of zlib; the unpacked bytes are always the same.

    Parameters
    ----------
    source_folder : holds the four files of the full Fashion-MNIST
    target_folder : existing folder that receives the four files of the sample

    Raises
    ------
    FileNotFoundError
        If a source file is missing.
    ValueError
        If a source file is damaged, or a class has too few examples.
    """
    source, target = Path(source_folder), Path(target_folder)
    for part, n_per_class in (("train", N_TRAIN_PER_CLASS), ("t10k", N_TEST_PER_CLASS)):
        images = read_images(file_in(source, f"{part}-images-idx3-ubyte"))
        labels = read_labels(file_in(source, f"{part}-labels-idx1-ubyte"))
        chosen = first_of_each_class(labels, n_per_class)
        write_idx(target / f"{part}-images-idx3-ubyte.gz", images[chosen])
        write_idx(target / f"{part}-labels-idx1-ubyte.gz", labels[chosen])


def first_of_each_class(labels: np.ndarray, n_per_class: int) -> np.ndarray:
    """Ascending indices of the first `n_per_class` examples of each class.

    Parameters
    ----------
    labels : (n,) integers
    n_per_class : int, examples

    Raises
    ------
    ValueError
        If a class has fewer than `n_per_class` examples.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min(initial=n_per_class) < n_per_class:
        scarce = int(np.argmin(counts))
        raise ValueError(
            f"first_of_each_class: every class must have at least {n_per_class} examples, "
            f"class {classes[scarce]} has {counts[scarce]}"
        )
    return np.sort(np.concatenate([np.flatnonzero(labels == c)[:n_per_class] for c in classes]))
