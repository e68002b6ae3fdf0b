"""Where data sets are looked for, in which order, and what is said when they are not there."""

import hashlib
import importlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_loaders import CATALOGUE, available, fashion_mnist, locate, mnist, write_idx
from data_loaders.locate import cache_folder, data_root, find

FILES = tuple(file.name for file in CATALOGUE["mnist"].files)


@pytest.fixture(autouse=True)
def places(monkeypatch, tmp_path):
    """Every place of the search order, empty and inside `tmp_path`."""
    monkeypatch.delenv("SPARSE_REF_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    # The package's attribute `locate` is the function, so the module is asked for by its name.
    module = importlib.import_module("data_loaders.locate")
    monkeypatch.setattr(module, "SYSTEM_FOLDER", tmp_path / "system")
    return tmp_path


def filled(folder: Path, files=FILES, ending=".gz") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shape = (2, 28, 28) if "images" in file else (2,)
        write_idx(folder / f"{file}{ending}", np.zeros(shape, np.uint8))
    return folder


def claimed(monkeypatch, name: str, folder: Path) -> None:
    """Let the catalogue know the test labels in `folder` as those of the full set `name`."""
    write_idx(folder / FILES[3], np.array([7, 7, 1], np.uint8))
    (folder / f"{FILES[3]}.gz").unlink()
    digest = hashlib.sha256((folder / FILES[3]).read_bytes()).hexdigest()
    files = (*CATALOGUE[name].files[:3], CATALOGUE[name].files[3]._replace(sha256=digest))
    monkeypatch.setitem(CATALOGUE, name, replace(CATALOGUE[name], files=files))


def test_the_order_is_variable_then_cache_then_system(places, monkeypatch):
    monkeypatch.setenv("SPARSE_REF_DATA", str(places))
    in_variable = filled(places / "mnist")
    in_cache = filled(cache_folder("mnist"))
    in_system = filled(places / "system" / "mnist")

    for expected in (in_variable, in_cache, in_system):
        got = locate("mnist")
        assert got == expected
        for file in expected.iterdir():
            file.unlink()

    assert find("mnist") is None


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_the_variable_may_be_the_folder_of_the_files_itself(places, monkeypatch, ending):
    expected = filled(places / "here", ending=ending)
    monkeypatch.setenv("SPARSE_REF_DATA", str(expected))

    assert locate("mnist") == expected


def test_the_variable_may_be_the_folder_of_another_set_and_is_then_passed_over(places, monkeypatch):
    folder = filled(places / "digits")
    claimed(monkeypatch, "mnist", folder)
    monkeypatch.setenv("SPARSE_REF_DATA", str(folder))
    expected = filled(places / "system" / "fashion-mnist")

    assert locate("fashion-mnist") == expected
    assert locate("mnist") == folder


def test_the_message_in_vain_says_that_the_variable_holds_another_set(places, monkeypatch):
    folder = filled(places / "digits")
    claimed(monkeypatch, "mnist", folder)
    monkeypatch.setenv("SPARSE_REF_DATA", str(folder))

    with pytest.raises(FileNotFoundError, match=r"digits \(holds mnist\)"):
        locate("fashion-mnist")


def test_a_folder_with_the_files_of_another_set_is_refused(places, monkeypatch):
    folder = filled(places / "digits")
    claimed(monkeypatch, "mnist", folder)

    with pytest.raises(
        ValueError, match=r"fashion-mnist: folder .*digits holds the files of mnist"
    ):
        fashion_mnist(folder)


def test_a_variable_without_this_set_goes_on_to_the_next_place(places, monkeypatch):
    filled(places / "fashion-mnist")
    monkeypatch.setenv("SPARSE_REF_DATA", str(places))
    expected = filled(cache_folder("mnist"))

    assert locate("mnist") == expected


def test_a_variable_with_an_incomplete_set_is_an_error(places, monkeypatch):
    filled(places / "mnist", FILES[:3])
    filled(cache_folder("mnist"))
    monkeypatch.setenv("SPARSE_REF_DATA", str(places))

    with pytest.raises(FileNotFoundError, match=r"mnist lacks t10k-labels-idx1-ubyte \(each"):
        mnist()


def test_a_variable_that_names_no_folder_is_an_error(places, monkeypatch):
    filled(cache_folder("mnist"))
    monkeypatch.setenv("SPARSE_REF_DATA", str(places / "gone"))

    for call in (mnist, lambda: mnist(download=True), available):
        with pytest.raises(
            FileNotFoundError, match=r"SPARSE_REF_DATA must name an existing folder, got '.*gone'"
        ):
            call()


def test_an_empty_variable_counts_as_not_set(monkeypatch):
    monkeypatch.setenv("SPARSE_REF_DATA", "")

    assert data_root() is None


def test_an_explicit_folder_is_the_only_place(places):
    filled(cache_folder("mnist"))
    (places / "empty").mkdir()

    with pytest.raises(
        FileNotFoundError, match=r"mnist: folder .*empty lacks train-images-idx3-ubyte, .*fetch"
    ):
        mnist(places / "empty")


def test_an_explicit_folder_must_exist(places):
    with pytest.raises(FileNotFoundError, match=r"mnist: there is no folder .*gone; get the files"):
        mnist(places / "gone")


def test_an_incomplete_cache_is_passed_over_and_named(places):
    filled(cache_folder("mnist"), FILES[:2])

    with pytest.raises(FileNotFoundError, match=r"mnist \(lacks t10k-images-idx3-ubyte, t10k-lab"):
        mnist()


def test_a_search_in_vain_lists_every_place_and_the_three_ways(places, monkeypatch):
    monkeypatch.setenv("SPARSE_REF_DATA", str(places))
    (places / "system" / "fashion-mnist").mkdir(parents=True)

    with pytest.raises(FileNotFoundError) as e:
        fashion_mnist()

    got = str(e.value)
    expected = [
        "fashion-mnist: not found. Looked for train-images-idx3-ubyte, train-labels-idx1-ubyte",
        f"{places / 'fashion-mnist'} (no such folder)",
        f"{places} (none of the files)",
        f"{cache_folder('fashion-mnist')} (no such folder)",
        f"{places / 'system' / 'fashion-mnist'} (none of the files)",
        "fashion_mnist(download=True), or the command `sparse-ref data fetch fashion-mnist`",
        "set SPARSE_REF_DATA to a folder whose subfolder fashion-mnist holds the files",
        "apt install dataset-fashion-mnist",
    ]
    assert [part for part in expected if part not in got] == []


def test_a_search_in_vain_says_that_the_variable_is_not_set_and_that_debian_has_no_mnist(places):
    with pytest.raises(
        FileNotFoundError, match=r"\$SPARSE_REF_DATA \(not set\)(.|\n)*Debian has no"
    ):
        mnist()


def test_an_unknown_name_is_refused_with_the_list():
    with pytest.raises(ValueError, match=r"one of mnist, fashion-mnist, fashion-.*, got 'emnist'"):
        locate("emnist")


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("linux", Path("cache/sparse_ref/mnist")),
        ("darwin", Path("home/Library/Caches/sparse_ref/mnist")),
        ("win32", Path("cache/sparse_ref/mnist")),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="HOME is not where Windows looks for the home folder")
def test_the_cache_is_where_the_platform_keeps_caches(places, monkeypatch, platform, expected):
    monkeypatch.setattr("sys.platform", platform)

    assert cache_folder("mnist") == places / expected


def test_without_xdg_the_cache_is_in_the_home_folder(places, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("sys.platform", "linux")

    assert cache_folder("mnist") == places / "home" / ".cache" / "sparse_ref" / "mnist"


def test_the_listing_says_where_each_set_is(places):
    expected = filled(cache_folder("mnist"))

    got = {line.name: line.folder for line in available()}

    assert got["mnist"] == expected
    assert got["fashion-mnist"] is None
    assert got["fashion-mnist-sample"] == CATALOGUE["fashion-mnist-sample"].shipped


def test_the_listing_says_what_is_a_part(places, monkeypatch):
    whole = {"train.bin": 50_000 * 3074, "test.bin": 10_000 * 3074}
    for name, size in whole.items():
        (places / "cifar-100-binary").mkdir(exist_ok=True)
        with (places / "cifar-100-binary" / name).open("wb") as file:
            file.truncate(size)  # a hole: nothing is written
    monkeypatch.setenv("SPARSE_REF_DATA", str(places))

    def listed():
        return {line.name: (line.folder, line.part) for line in available()}

    assert listed()["cifar100"] == (places / "cifar-100-binary", False)
    assert listed()["cifar10"] == (None, False)
    os.truncate(places / "cifar-100-binary" / "test.bin", 3074)
    assert listed()["cifar100"] == (places / "cifar-100-binary", True)
    (places / "cifar-100-binary" / "test.bin").unlink()
    assert listed()["cifar100"] == (None, False)


def test_one_file_of_each_group_will_do(places, monkeypatch):
    folder = places / "cifar-10-batches-bin"
    folder.mkdir()
    monkeypatch.setenv("SPARSE_REF_DATA", str(places))
    (folder / "data_batch_4.bin").write_bytes(bytes(3073))

    with pytest.raises(FileNotFoundError, match=r"cifar10: folder .* lacks test_batch.bin \(each"):
        locate("cifar10")
    (folder / "test_batch.bin").write_bytes(bytes(3073))
    assert locate("cifar10") == folder


def test_a_set_that_is_unpacked_by_hand_says_from_where(places):
    with pytest.raises(
        FileNotFoundError, match=r"download and unpack http.*tiny-imagenet-200\.zip \(SHA"
    ):
        locate("tiny-imagenet")
    with pytest.raises(FileNotFoundError, match=r"no folder .*gone; unpack http.*, or leave folde"):
        locate("tiny-imagenet", places / "gone")


def test_the_listing_does_not_stumble_over_an_incomplete_set(places, monkeypatch):
    filled(places / "mnist", FILES[:1])
    monkeypatch.setenv("SPARSE_REF_DATA", str(places))

    got = {line.name: line.folder for line in available()}

    assert got["mnist"] is None
