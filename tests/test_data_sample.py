"""The shipped sample: what is in it, how it was made, and how large it is."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_loaders import CATALOGUE, fashion_mnist, fashion_mnist_sample, read_idx, verify
from data_loaders.make_sample import first_of_each_class, make_sample

FOLDER = CATALOGUE["fashion-mnist-sample"].shipped


@pytest.fixture
def full() -> Path:
    root = os.environ.get("SPARSE_REF_DATA")
    if not root or not (Path(root) / "fashion-mnist").is_dir():
        pytest.skip("SPARSE_REF_DATA is not set or has no subfolder fashion-mnist")
    return Path(root) / "fashion-mnist"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_sample_is_balanced_and_in_the_unit_interval(dtype):
    train, test = fashion_mnist_sample(dtype)

    assert (train.x.shape, test.x.shape) == ((5000, 28, 28), (1000, 28, 28))
    assert np.bincount(train.y).tolist() == [500] * 10
    assert np.bincount(test.y).tolist() == [100] * 10
    assert (train.x.dtype, train.y.dtype) == (dtype, np.int64)
    assert (train.x.min(), train.x.max()) == (0.0, 1.0)


def test_the_sample_needs_no_setting_and_no_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("SPARSE_REF_DATA", str(tmp_path / "gone"))
    monkeypatch.chdir(tmp_path)

    train, _ = fashion_mnist_sample()

    # The first label of Fashion-MNIST is 9, an ankle boot.
    assert train.y[0] == 9


def test_the_shipped_files_have_the_catalogues_check_sums():
    assert [status for _, status in verify("fashion-mnist-sample")] == ["ok"] * 4


def test_the_shipped_files_are_under_three_megabytes_and_come_with_their_licence():
    assert sum(path.stat().st_size for path in FOLDER.glob("*.gz")) < 3_000_000
    assert "2017 Zalando SE" in (FOLDER / "LICENSE").read_text(encoding="utf-8")


def test_a_package_without_its_files_is_to_be_installed_again(monkeypatch, tmp_path):
    sample = CATALOGUE["fashion-mnist-sample"]
    monkeypatch.setitem(CATALOGUE, sample.name, replace(sample, shipped=tmp_path))

    with pytest.raises(FileNotFoundError, match=r"lacks train-images.*install the package again"):
        fashion_mnist_sample()


def test_a_wrong_dtype_is_refused():
    with pytest.raises(TypeError, match="fashion_mnist_sample: dtype must be float32 or float64"):
        fashion_mnist_sample(np.int64)


def test_the_first_of_each_class_keep_their_order():
    labels = np.array([2, 0, 2, 2, 1, 0, 1, 0])
    #                  *  *  *     *  *  *
    expected = [0, 1, 2, 4, 5, 6]

    got = first_of_each_class(labels, 2)

    assert got.tolist() == expected


def test_a_class_that_is_too_small_is_refused():
    with pytest.raises(ValueError, match="must have at least 2 examples, class 7 has 1"):
        first_of_each_class(np.array([3, 3, 7]), 2)


@pytest.mark.data
def test_the_sample_is_made_again_from_the_full_data(full, tmp_path):
    make_sample(full, tmp_path)

    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == sorted(path.name for path in FOLDER.glob("*.gz"))
    for name in made:
        np.testing.assert_array_equal(read_idx(tmp_path / name), read_idx(FOLDER / name))


@pytest.mark.data
def test_the_sample_is_part_of_what_the_full_loader_gives(full):
    full_train, _ = fashion_mnist(full)
    train, _ = fashion_mnist_sample()

    sneakers = full_train.x[full_train.y == 7][:500]

    np.testing.assert_array_equal(train.x[train.y == 7], sneakers)
