"""CIFAR-10 and CIFAR-100: both versions, parts, damaged files, pickles that must not be read."""

import hashlib
import importlib
import os
import pickle
import struct
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from data_loaders import CATALOGUE, CIFAR10_CLASSES, cifar, cifar10, cifar100, locate
from data_loaders.cifar_pickles import read_batch

LOADERS = {"cifar10": cifar10, "cifar100": cifar100}
N_CLASSES = {"cifar10": (10,), "cifar100": (20, 100)}
a_part = partial(pytest.warns, UserWarning, match="images are missing")


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """Every place of the search order, empty and inside `tmp_path`."""
    monkeypatch.setenv("SPARSE_REF_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    module = importlib.import_module("data_loaders.locate")
    monkeypatch.setattr(module, "SYSTEM_FOLDER", tmp_path / "system")
    return tmp_path


def examples(who, n, seed):
    """(n, k) labels, the first record with the largest, and (n, 3072) pixels, all random bytes."""
    rng = np.random.default_rng(seed)
    labels = np.stack([rng.integers(0, classes, n) for classes in N_CLASSES[who]], axis=1)
    labels[0] = np.array(N_CLASSES[who]) - 1
    return labels.astype(np.uint8), rng.integers(0, 256, (n, 3072), np.uint8)


def contents(who, python=False):
    """File name -> (labels, pixels) of small stand-ins for all files of a set."""
    files = CATALOGUE[f"{who}-python" if python else who].files
    return {file.name: examples(who, 6, 300 + k) for k, file in enumerate(files)}


def write_binary(folder: Path, who, files=None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, (labels, pixels) in (files or contents(who)).items():
        (folder / name).write_bytes(np.hstack([labels, pixels]).tobytes())
    return folder


def python_2_string(text: bytes) -> bytes:
    return (
        b"U" + bytes([len(text)]) + text
        if len(text) < 256
        else b"T" + struct.pack("<i", len(text)) + text
    )


def python_2_pickle(who, labels, pixels) -> bytes:
    """As Python 2 wrote them: protocol 2, strings of bytes, the array by its three parts."""
    shape = b"".join(b"J" + struct.pack("<i", size) for size in pixels.shape) + b"\x86"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
    array += shape + b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNN"
    array += 2 * b"J\xff\xff\xff\xff" + b"K\x00tb\x89" + python_2_string(pixels.tobytes()) + b"tb"
    out = b"\x80\x02}(" + python_2_string(b"batch_label") + python_2_string(b"a stand-in")
    keys = (b"labels",) if who == "cifar10" else (b"coarse_labels", b"fine_labels")
    for key, column in zip(keys, labels.T, strict=True):
        out += python_2_string(key) + b"](" + b"".join(b"K" + bytes([k]) for k in column) + b"e"
    return out + python_2_string(b"data") + array + b"u."


def write_python(folder: Path, who, files=None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, (labels, pixels) in (files or contents(who, python=True)).items():
        (folder / name).write_bytes(python_2_pickle(who, labels, pixels))
    return folder


def accepted(monkeypatch, who, folder: Path) -> Path:
    """Let the catalogue know the files in `folder` as the originals of the version for Python."""
    entry = CATALOGUE[f"{who}-python"]
    files = tuple(
        file._replace(sha256=hashlib.sha256((folder / file.name).read_bytes()).hexdigest())
        for file in entry.files
        if (folder / file.name).exists()
    )
    monkeypatch.setitem(CATALOGUE, entry.name, replace(entry, files=files))
    return folder


def full_folder(name: str) -> Path:
    root = os.environ.get("SPARSE_REF_DATA")
    if not root or not (Path(root) / name).is_dir():
        pytest.skip(f"SPARSE_REF_DATA is not set or has no subfolder {name}")
    return Path(root) / name


@pytest.mark.parametrize("who", LOADERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_binary_version_is_labels_and_three_planes(tmp_path, who, dtype):
    files = contents(who)
    write_binary(tmp_path, who, files)
    *train_parts, test_part = files.values()

    with a_part():
        train, test = LOADERS[who](tmp_path, dtype=dtype)

    pixels = np.concatenate([p for _, p in train_parts])
    np.testing.assert_array_equal(train.x, pixels.reshape(-1, 3, 32, 32).astype(dtype) / dtype(255))
    # Written out once: the green of row 2, column 5 of the second test image.
    assert test.x[1, 1, 2, 5] == dtype(test_part[1][1, 1024 + 2 * 32 + 5]) / dtype(255)
    assert train.y.tolist() == [int(k) for labels, _ in train_parts for k in labels[:, -1]]
    assert (train.x.dtype, train.y.dtype) == (dtype, np.int64)
    assert test.x.shape == (6, 3, 32, 32)


@pytest.mark.parametrize("who", LOADERS)
def test_both_versions_hold_the_same(monkeypatch, tmp_path, who):
    names = [file.name for file in CATALOGUE[f"{who}-python"].files]
    same = dict(zip(names, contents(who).values(), strict=True))
    write_binary(tmp_path / "binary", who)
    accepted(monkeypatch, who, write_python(tmp_path / "python", who, same))

    with a_part():
        expected = LOADERS[who](tmp_path / "binary")
    with a_part():
        got = LOADERS[who](tmp_path / "python")

    for mine, theirs in zip(got, expected, strict=True):
        np.testing.assert_array_equal(mine.x, theirs.x)
        np.testing.assert_array_equal(mine.y, theirs.y)


@pytest.mark.parametrize("version", ["binary", "python"])
def test_labels_of_cifar100_are_fine_or_coarse(monkeypatch, tmp_path, version):
    write = write_binary if version == "binary" else write_python
    files = contents("cifar100", python=version == "python")
    write(tmp_path, "cifar100", files)
    if version == "python":
        accepted(monkeypatch, "cifar100", tmp_path)
    labels = next(iter(files.values()))[0]

    for column, kind in enumerate(("coarse", "fine")):
        with a_part():
            train, _ = cifar100(tmp_path, labels=kind)
        assert train.y.tolist() == labels[:, column].tolist()


def test_other_labels_are_refused(tmp_path):
    with pytest.raises(ValueError, match="cifar100: labels must be one of coarse, fine, got 'all'"):
        cifar100(tmp_path, labels="all")


def test_the_warning_names_everything_that_is_missing(tmp_path):
    labels = np.arange(6, dtype=np.uint8).reshape(6, 1) % 5
    pixels = np.zeros((6, 3072), np.uint8)
    names = ("data_batch_1.bin", "data_batch_2.bin", "test_batch.bin")
    write_binary(tmp_path, "cifar10", dict.fromkeys(names, (labels, pixels)))

    with pytest.warns(UserWarning, match="^cifar10: ") as caught:
        cifar10(tmp_path)

    assert [str(warning.message) for warning in caught] == [
        "cifar10: 49,988 of 50,000 training images are missing (data_batch_3.bin, "
        "data_batch_4.bin, data_batch_5.bin absent; data_batch_1.bin holds 6 of 10,000; "
        "data_batch_2.bin holds 6 of 10,000; no image of 5 of the 10 classes); 9,994 of 10,000 "
        "test images are missing (test_batch.bin holds 6 of 10,000; no image of 5 of the 10 "
        "classes)"
    ]
    assert caught[0].filename == __file__


@pytest.mark.parametrize("who", LOADERS)
def test_strict_refuses_a_part(tmp_path, who):
    write_binary(tmp_path, who)

    with pytest.raises(
        ValueError, match=rf"{who}: .* missing .*; strict=True accepts the complete"
    ):
        LOADERS[who](tmp_path, strict=True)


def test_a_complete_set_gives_no_warning(monkeypatch, tmp_path):
    monkeypatch.setattr(cifar, "_N_TRAIN", 30)  # the stand-in's five files of six images
    monkeypatch.setattr(cifar, "_N_TEST", 6)
    write_binary(tmp_path, "cifar10")

    train, test = cifar10(tmp_path, strict=True)

    assert (len(train.y), len(test.y)) == (30, 6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            bytes(3073 * 2 + 5),
            "must hold whole records of 3073 bytes, at least one, got 6151 bytes",
        ),
        (b"", "must hold whole records of 3073 bytes, at least one, got 0 bytes"),
        (
            bytes(3073) + b"\x0a" + bytes(3072),
            r"labels must be in 0 \.\.\. 9, got 10 in record 1 of",
        ),
        (bytes(3073 * 10_001), "must hold at most 10,000 records, got 10,001"),
        (b"\x1f\x8b" + bytes(20), "is damaged gzip"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, content, message):
    write_binary(tmp_path, "cifar10")
    (tmp_path / "data_batch_2.bin").write_bytes(content)

    with pytest.raises(ValueError, match=message) as e:
        cifar10(tmp_path)

    assert "data_batch_2.bin" in str(e.value)


def test_both_labels_of_cifar100_are_checked(tmp_path):
    files = contents("cifar100")
    files["test.bin"][0][4, 0] = 20
    write_binary(tmp_path, "cifar100", files)

    with pytest.raises(ValueError, match=r"labels must be in 0 \.\.\. 19, got 20 in record 4 of"):
        cifar100(tmp_path, labels="fine")


def test_a_folder_with_both_versions_is_refused(tmp_path):
    write_binary(tmp_path, "cifar10")
    write_python(tmp_path, "cifar10")

    with pytest.raises(ValueError, match=r"cifar10: a folder must hold one version, .*got both in"):
        cifar10(tmp_path)


def test_a_folder_without_a_test_file_is_refused(tmp_path):
    write_binary(tmp_path, "cifar10", {"data_batch_1.bin": examples("cifar10", 3, 7)})

    with pytest.raises(FileNotFoundError, match=r"cifar10: folder .* lacks test_batch.bin \(each"):
        cifar10(tmp_path)


@pytest.mark.parametrize(
    ("who", "official"), [("cifar10", "cifar-10-batches-bin"), ("cifar100", "cifar-100-binary")]
)
def test_the_folders_of_the_archives_are_found(nowhere, who, official):
    expected = write_binary(nowhere / official, who)

    assert locate(who) == expected
    with a_part():
        LOADERS[who]()


def test_the_version_for_python_is_taken_where_the_binary_is_not(nowhere, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"cifar10: not found. Looked for data_batch_1.bin"):
        cifar10()
    accepted(monkeypatch, "cifar10", write_python(nowhere / "cifar-10-batches-py", "cifar10"))

    with a_part():
        from_pickles, _ = cifar10()
    write_binary(nowhere / "cifar-10-batches-bin", "cifar10", contents("cifar10"))
    (nowhere / "cifar-10-batches-bin" / "data_batch_3.bin").unlink()
    with a_part():
        from_binary, _ = cifar10()

    assert (len(from_pickles.y), len(from_binary.y)) == (30, 24)


def test_a_pickle_that_is_not_the_original_is_not_read(tmp_path):
    write_python(tmp_path, "cifar10")
    (tmp_path / "data_batch_1").write_bytes(b"no pickle at all")

    with pytest.raises(
        ValueError, match=r"data_batch_1 must be the original file, with SHA-256 54"
    ):
        cifar10(tmp_path)


class Touch:
    """A pickle of this makes a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_pickle_runs_nothing(tmp_path):
    content = pickle.dumps({"data": Touch(tmp_path / "made")}, protocol=2)

    with pytest.raises(ValueError, match="must be the original file"):
        read_batch(content, digest(b"another"), "cifar10: x")
    # And if the check sum were right:
    with pytest.raises(
        ValueError, match=r"no pickle of CIFAR: it asks for (posix|nt)\.mkdir, which"
    ):
        read_batch(content, digest(content), "cifar10: x")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"cnumpy\nload\n(U\x01xtR.", r"it asks for numpy\.load, which is not admitted"),
        (b"\x80\x02c__builtin__\neval\n(U\x011tR.", r"it asks for __builtin__\.eval, which is"),
        (b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.", r"it asks for builtins\.eval, which is"),
        (b"\x80\x02cnumpy\nndarray\nK\x05\x85R.", "is no pickle of CIFAR"),
        (b"\x80\x02cnumpy\ndtype\nU\x01O\x85R.", "it asks for numbers of the type 'O', not bytes"),
        (
            b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nU\x03abcK\x00\x85U\x01b\x87R.",
            "it asks for an array of the class 'abc'",
        ),
        (b"\x80\x02U\x01xQ.", "is no pickle of CIFAR"),
        (b"\x80\x02\x82\x01.", "is no pickle of CIFAR"),
        (b"\x80\x02}", "is no pickle of CIFAR"),
        (b"", "is no pickle of CIFAR"),
        (b"\x80\x02K\x07.", "must hold a dictionary, got int"),
    ],
)
def test_only_what_the_originals_need_is_admitted(content, message):
    with pytest.raises(ValueError, match=message):
        read_batch(content, digest(content), "cifar10: x")


@pytest.mark.parametrize(
    "batch", [{}, {"data": [1, 2], "labels": [3, 4]}, {"labels": [3], "data": "abc"}]
)
def test_a_pickle_without_images_is_refused(monkeypatch, tmp_path, batch):
    write_python(tmp_path, "cifar10")
    (tmp_path / "test_batch").write_bytes(pickle.dumps(batch, protocol=2))
    accepted(monkeypatch, "cifar10", tmp_path)

    with pytest.raises(ValueError, match=r"must hold data \(n, 3072\) and n of each of"):
        cifar10(tmp_path)


def test_a_pickle_must_have_as_many_labels_as_images(monkeypatch, tmp_path):
    files = contents("cifar10", python=True)
    labels, pixels = files["data_batch_2"]
    write_python(tmp_path, "cifar10", {**files, "data_batch_2": (labels[:5], pixels)})
    accepted(monkeypatch, "cifar10", tmp_path)

    with pytest.raises(ValueError, match=r"data_batch_2 must hold data \(n, 3072\) and n of each"):
        cifar10(tmp_path)


@pytest.mark.parametrize("who", LOADERS)
def test_a_wrong_dtype_is_refused_before_anything_is_looked_for(who):
    with pytest.raises(TypeError, match=f"{who}: dtype must be float32 or float64, got 'u1'"):
        LOADERS[who](dtype="u1")


@pytest.mark.data
def test_the_part_of_cifar10_has_its_known_means():
    folder = full_folder("cifar-10-batches-bin")

    with a_part():
        train, test = cifar10(folder)

    assert train.x.shape[1:] == test.x.shape[1:] == (3, 32, 32)
    assert train.y[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]  # as in every tutorial
    means = train.x.mean(axis=(0, 2, 3), dtype=np.float64)
    # Of all training images .4914, .4822, .4465; a part is near it.
    np.testing.assert_allclose(means, [0.4914, 0.4822, 0.4465], atol=0.003)
    assert sorted(set(test.y.tolist())) == list(range(10))
    names = (folder / "batches.meta.txt").read_text(encoding="ascii").split()
    assert tuple(names) == CIFAR10_CLASSES


@pytest.mark.data
def test_the_part_of_cifar100_has_its_known_means():
    folder = full_folder("cifar-100-binary")

    with a_part():
        fine, _ = cifar100(folder)
    with a_part():
        coarse, _ = cifar100(folder, labels="coarse")

    assert fine.y[:5].tolist() == [19, 29, 0, 11, 1]
    means = fine.x.mean(axis=(0, 2, 3), dtype=np.float64)
    np.testing.assert_allclose(means, [0.5071, 0.4865, 0.4409], atol=0.003)
    # Every group has five classes, every class one group.
    pairs = set(zip(fine.y.tolist(), coarse.y.tolist(), strict=True))
    assert len(pairs) == 100
    assert np.bincount([group for _, group in pairs]).tolist() == [5] * 20
