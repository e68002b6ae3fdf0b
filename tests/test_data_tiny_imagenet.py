"""Tiny-ImageNet: its folders, grey images, parts, and what is damaged."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from data_loaders import tiny_imagenet, tiny_imagenet_classes

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

NAMES = ("n03000001", "n01000002", "n02000003")


def picture(colour, size=(64, 64), mode="RGB"):
    return Image.new(mode, size, colour)


def save(path: Path, image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, "JPEG", quality=100, subsampling=0)


def written(folder: Path) -> Path:
    """Three classes with two to four training images and four test images, each of one colour."""
    folder.mkdir(exist_ok=True)
    (folder / "wnids.txt").write_text("".join(f"{name}\n" for name in NAMES))
    words = "n00000000\tentity\nn01000002\ta cat, tom\nn02000003\tb\nn03000001\tc\n"
    (folder / "words.txt").write_text(words)
    for label, name in enumerate(NAMES):
        for number in (0, 2, 10, 9)[: 2 + label]:
            path = folder / "train" / name / "images" / f"{name}_{number}.JPEG"
            save(path, picture((50 * label, 10 * number, 200)))
        (folder / "train" / name / f"{name}_boxes.txt").write_text("not read\n")
    lines = []
    for number, name in enumerate((NAMES[2], NAMES[0], NAMES[0], NAMES[1])):
        save(folder / "val" / "images" / f"val_{number}.JPEG", picture((20 * number, 0, 0)))
        lines.append(f"val_{number}.JPEG\t{name}\t0\t1\t2\t3\n")
    (folder / "val" / "val_annotations.txt").write_text("".join(lines))
    return folder


def a_part():
    return pytest.warns(UserWarning, match="tiny_imagenet: .*images are missing")


def bytes_of(x):
    return np.rint(x * 255).astype(int)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_images_come_by_class_and_number_with_channels_first(tmp_path, dtype):
    with a_part():
        train, test = tiny_imagenet(written(tmp_path), dtype)

    assert train.y.tolist() == [0, 0, 1, 1, 1, 2, 2, 2, 2]
    assert test.y.tolist() == [2, 0, 0, 1]
    assert (train.x.shape, test.x.shape) == ((9, 3, 64, 64), (4, 3, 64, 64))
    assert (train.x.dtype, train.y.dtype) == (dtype, np.int64)
    colours = bytes_of(train.x[:, :, 30, 30])  # JPEG changes a colour by a few units
    numbers = np.array([0, 2, 0, 2, 10, 0, 2, 9, 10])
    expected = np.stack([50 * train.y, 10 * numbers, np.full(9, 200)], axis=1)
    np.testing.assert_allclose(colours, expected, atol=3)
    np.testing.assert_allclose(bytes_of(test.x[:, 0, 5, 5]), [0, 20, 40, 60], atol=3)


def test_rows_and_columns_are_not_exchanged(tmp_path):
    folder = written(tmp_path)
    image = picture((0, 0, 0))
    image.paste((255, 255, 255), (0, 0, 64, 16))  # left, top, right, bottom: a bar at the top
    save(folder / "val" / "images" / "val_0.JPEG", image)

    with a_part():
        _, test = tiny_imagenet(folder)

    assert test.x[0, :, :8].min() > 0.95
    assert test.x[0, :, 24:].max() < 0.05


def test_grey_images_get_three_equal_channels(tmp_path):
    folder = written(tmp_path)
    save(folder / "val" / "images" / "val_1.JPEG", picture(77, mode="L"))

    with a_part():
        _, test = tiny_imagenet(folder)

    np.testing.assert_array_equal(test.x[1], np.full((3, 64, 64), np.float32(77) / np.float32(255)))


def test_the_warning_names_what_is_missing(tmp_path):
    folder = written(tmp_path)
    (folder / "val" / "images" / "val_2.JPEG").unlink()

    with a_part() as caught:
        tiny_imagenet(folder)

    assert [str(warning.message) for warning in caught] == [
        "tiny_imagenet: 99,991 of 100,000 training images are missing (wnids.txt names 3 of 200 "
        "classes; 3 of them have fewer than 500 images); 9,997 of 10,000 test images are missing "
        "(1 that val_annotations.txt names absent)"
    ]
    assert caught[0].filename == __file__


def test_strict_refuses_a_part(tmp_path):
    with pytest.raises(ValueError, match=r"100,000 training images are missing .*; strict=True"):
        tiny_imagenet(written(tmp_path), strict=True)


def test_classes_that_wnids_leaves_out_are_left_out(tmp_path):
    folder = written(tmp_path)
    (folder / "wnids.txt").write_text(f"{NAMES[2]}\n{NAMES[0]}\n")

    with a_part():
        train, test = tiny_imagenet(folder)

    assert train.y.tolist() == [0, 0, 0, 0, 1, 1]
    assert test.y.tolist() == [0, 1, 1]


def test_a_class_without_a_folder_is_a_part(tmp_path):
    folder = written(tmp_path)
    (folder / "train" / NAMES[1] / "images").rename(folder / "elsewhere")

    with a_part():
        train, _ = tiny_imagenet(folder)

    assert train.y.tolist() == [0, 0, 2, 2, 2, 2]


def test_names_of_classes_are_in_the_order_of_the_labels(tmp_path):
    folder = written(tmp_path)

    assert tiny_imagenet_classes(folder) == ("c", "a cat, tom", "b")
    (folder / "words.txt").write_text("n01000002\ta cat, tom\n")
    with pytest.raises(
        ValueError, match=r"must name every class, lacks \['n03000001', 'n02000003'"
    ):
        tiny_imagenet_classes(folder)


# A damaged set is a part besides: the warning may come before the error.
anyhow = pytest.mark.filterwarnings("ignore:tiny_imagenet.*images are missing:UserWarning")


@anyhow
@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("wnids.txt", b"", "must name 1 to 200 classes, each once, got 0 lines"),
        ("wnids.txt", b"n01\nn02\nn01\n", "each once, got 3 lines with 2 names"),
        ("wnids.txt", b"n99999999\n", "train must hold images, got none"),
        ("wnids.txt", b"\xff\xfe\x00", "wnids.txt must be text, got"),
        (
            "val/val_annotations.txt",
            b"val_0.JPEG n01\n",
            "line 1 of .* must have 6 fields, file, c",
        ),
        ("val/val_annotations.txt", b"\n", "must name images in val/images, got none"),
        ("val/images/val_0.JPEG", b"", "val_0.JPEG is damaged or no JPEG"),
        (
            "val/images/val_0.JPEG",
            b"\x89PNG\r\n\x1a\n" + bytes(50),
            "val_0.JPEG is damaged or no J",
        ),
        (
            f"train/{NAMES[0]}/images/{NAMES[0]}_x.JPEG",
            b"",
            "an image must be called .*_NUMBER, got",
        ),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, file, content, message):
    folder = written(tmp_path)
    (folder / file).write_bytes(content)

    with pytest.raises(ValueError, match=message):
        tiny_imagenet(folder)


@anyhow
def test_a_cut_image_is_refused(tmp_path):
    path = written(tmp_path) / "val" / "images" / "val_3.JPEG"
    rng = np.random.default_rng(83)
    save(path, Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)))
    path.write_bytes(path.read_bytes()[:2000])

    with pytest.raises(ValueError, match=r"val_3.JPEG is damaged or no JPEG: .*truncated"):
        tiny_imagenet(tmp_path)


@anyhow
def test_images_must_be_64_by_64(tmp_path):
    save(written(tmp_path) / "val" / "images" / "val_3.JPEG", picture((0, 0, 0), (64, 32)))

    with pytest.raises(ValueError, match=r"images must be 64 x 64 pixels, got 32 x 64 in .*val_3"):
        tiny_imagenet(tmp_path)


def test_an_annotation_names_no_file_elsewhere(tmp_path):
    folder = written(tmp_path)
    lines = f"../../secret.JPEG\t{NAMES[0]}\t0\t0\t1\t1\nval_0.JPEG\t{NAMES[0]}\t0\t0\t1\t1\n"
    (folder / "val" / "val_annotations.txt").write_text(lines)
    save(tmp_path / "secret.JPEG", picture((9, 9, 9)))

    with a_part():
        _, test = tiny_imagenet(folder)

    assert len(test.y) == 1


def test_a_folder_without_its_lists_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"lacks wnids.txt, val/val_annotations.txt \(each"):
        tiny_imagenet(tmp_path)


@anyhow
def test_without_pillow_the_message_names_the_extra(monkeypatch, tmp_path):
    written(tmp_path)
    monkeypatch.setitem(sys.modules, "PIL", None)

    with pytest.raises(ImportError, match=r'needs the package Pillow.*pip install "sparse-ref\[da'):
        tiny_imagenet(tmp_path)


def test_a_wrong_dtype_is_refused(tmp_path):
    with pytest.raises(TypeError, match="tiny_imagenet: dtype must be float32 or float64, got"):
        tiny_imagenet(tmp_path, dtype=np.uint8)


@pytest.mark.data
def test_the_part_of_tiny_imagenet_is_read():
    root = os.environ.get("SPARSE_REF_DATA")
    if not root or not (Path(root) / "tiny-imagenet-200").is_dir():
        pytest.skip("SPARSE_REF_DATA is not set or has no subfolder tiny-imagenet-200")

    with a_part():
        train, test = tiny_imagenet()

    n_classes = len(tiny_imagenet_classes())
    assert sorted(set(train.y.tolist())) == sorted(set(test.y.tolist())) == list(range(n_classes))
    # Of all training images .4802, .4481, .3975; ten classes have other colours than two hundred.
    means = train.x.mean(axis=(0, 2, 3), dtype=np.float64)
    np.testing.assert_allclose(means, [0.4802, 0.4481, 0.3975], atol=0.05)
