"""The loaders of MNIST and Fashion-MNIST: values, shapes, kinds, and files that do not agree."""

import os
from pathlib import Path

import numpy as np
import pytest

from data_loaders import fashion_mnist, mnist, verify, write_idx

LOADERS = {"mnist": mnist, "fashion_mnist": fashion_mnist}


def write_set(folder: Path, n_train=6, n_test=4, side=28, **changed) -> Path:
    """Write a small data set; `changed` maps a file name, "-" as "_", to another array."""
    rng = np.random.default_rng(20)
    for part, n in (("train", n_train), ("t10k", n_test)):
        images = rng.integers(0, 256, (n, side, side), np.uint8)
        labels = rng.integers(0, 10, n, np.uint8)
        for kind, array in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)):
            name = f"{part}-{kind}"
            write_idx(folder / f"{name}.gz", changed.get(name.replace("-", "_"), array))
    return folder


def full_folder(name: str) -> Path:
    root = os.environ.get("SPARSE_REF_DATA")
    if not root or not (Path(root) / name).is_dir():
        pytest.skip(f"SPARSE_REF_DATA is not set or has no subfolder {name}")
    return Path(root) / name


@pytest.mark.parametrize("who", LOADERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pixels_are_divided_by_255_and_labels_are_int64(tmp_path, who, dtype):
    images = np.arange(6 * 784).reshape(6, 28, 28).astype(np.uint8)
    labels = np.array([9, 0, 3, 3, 1, 7], np.uint8)
    write_set(tmp_path, train_images_idx3_ubyte=images, train_labels_idx1_ubyte=labels)

    train, test = LOADERS[who](tmp_path, dtype=dtype)

    np.testing.assert_array_equal(train.x, images.astype(dtype) / dtype(255))
    assert (train.x.min(), train.x.max()) == (0.0, 1.0)
    assert train.y.tolist() == [9, 0, 3, 3, 1, 7]
    assert (train.x.dtype, train.y.dtype) == (dtype, np.int64)
    assert (test.x.shape, test.y.shape) == ((4, 28, 28), (4,))


def test_a_plain_file_is_preferred_to_its_gzip(tmp_path):
    write_set(tmp_path)
    write_idx(tmp_path / "t10k-labels-idx1-ubyte", np.array([5, 5, 5, 5], np.uint8))

    _, test = mnist(tmp_path)

    assert test.y.tolist() == [5, 5, 5, 5]


def test_images_and_labels_must_be_equally_many(tmp_path):
    write_set(tmp_path, train_labels_idx1_ubyte=np.zeros(5, np.uint8))

    with pytest.raises(
        ValueError,
        match=r"mnist: images and labels must be equally many, got 6 in .*images.* and 5 in .*lab",
    ):
        mnist(tmp_path)


def test_labels_must_be_digits(tmp_path):
    write_set(tmp_path, t10k_labels_idx1_ubyte=np.array([1, 9, 10, 200], np.uint8))

    with pytest.raises(ValueError, match=r"mnist: labels must be in 0 ... 9, got 10 at index 2 in"):
        mnist(tmp_path)


def test_a_file_without_images_is_refused(tmp_path):
    write_set(tmp_path, n_test=0)

    with pytest.raises(ValueError, match="must hold at least one image, got none"):
        mnist(tmp_path)


def test_images_must_be_28_by_28(tmp_path):
    write_set(tmp_path, side=14)

    with pytest.raises(ValueError, match="mnist: images must be 28 x 28 pixels, got 14 x 14 in"):
        fashion_mnist(tmp_path)


def test_swapped_files_are_refused(tmp_path):
    write_set(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte.gz").rename(tmp_path / "train-images-idx3-ubyte")
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros((6, 28, 28), np.uint8))

    with pytest.raises(
        ValueError, match="images-idx3-ubyte: the number of dimensions must be 3, got 1"
    ):
        mnist(tmp_path)


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, "half a float", None])
def test_only_float32_and_float64_are_offered(tmp_path, dtype):
    with pytest.raises(TypeError, match="mnist: dtype must be float32 or float64, got "):
        mnist(tmp_path, dtype=dtype)


@pytest.mark.data
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_full_data_sets_have_their_known_sizes_and_means(name):
    # Means of the training pixels in [0, 1], as in every tutorial.
    mean = {"mnist": 0.1307, "fashion-mnist": 0.2860}[name]

    train, test = LOADERS[name.replace("-", "_")](full_folder(name))

    assert train.x.shape == (60_000, 28, 28)
    assert test.x.shape == (10_000, 28, 28)
    assert train.x.mean(dtype=np.float64) == pytest.approx(mean, abs=5e-5)
    assert sorted(set(train.y.tolist())) == list(range(10))


@pytest.mark.data
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_full_data_sets_are_found_through_the_variable(name):
    full_folder(name)

    _, test = LOADERS[name.replace("-", "_")]()

    assert len(test.y) == 10_000


@pytest.mark.data
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_full_data_sets_have_the_catalogues_check_sums(name):
    got = verify(name, full_folder(name))

    assert [status for _, status in got] == ["ok"] * 4


@pytest.mark.data
def test_the_full_digits_are_not_taken_for_clothes():
    with pytest.raises(ValueError, match=r"fashion-mnist: folder .* holds the files of mnist"):
        fashion_mnist(full_folder("mnist"))
