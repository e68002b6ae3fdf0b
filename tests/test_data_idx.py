"""The IDX reader: what it reads, and what it says of every kind of damaged file."""

import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from data_loaders import read_idx, write_idx
from data_loaders.idx import TYPES, read_images, read_labels

CODES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def idx_bytes(code=0x08, shape=(2, 3), items=b"\x01\x02\x03\x04\x05\x06"):
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, code, len(shape), *shape) + items


def saved(tmp_path, content, name="file-idx"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("code", CODES)
def test_every_type_code_is_read_in_the_hosts_byte_order(tmp_path, code):
    items = np.array([3, 1, 4, 1, 5, 9], CODES[code])
    expected = items.astype(items.dtype.newbyteorder("=")).reshape(3, 2)

    got = read_idx(saved(tmp_path, idx_bytes(code, (3, 2), items.tobytes())))

    np.testing.assert_array_equal(got, expected)
    assert got.dtype == expected.dtype
    assert got.dtype.isnative
    assert got.flags.writeable


@given(
    array=st.sampled_from([np.uint8, np.int8, np.int16, np.int32, np.float32, np.float64]).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0))
    ),
    ending=st.sampled_from(["", ".gz"]),
)
def test_what_is_written_is_read_back(tmp_path_factory, array, ending):
    path = tmp_path_factory.mktemp("idx") / f"file-idx{ending}"

    write_idx(path, array)
    got = read_idx(path)

    np.testing.assert_array_equal(got, array)
    assert got.dtype == array.dtype
    assert got.shape == array.shape


@pytest.mark.parametrize("name", ["file-idx", "file-idx.gz"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_gzip_is_told_by_content_and_not_by_name(tmp_path, name, pack):
    expected = np.array([[1, 2, 3], [4, 5, 6]])

    got = read_idx(saved(tmp_path, pack(idx_bytes()), name))

    np.testing.assert_array_equal(got, expected)


def test_equal_arrays_give_equal_gzip_files(tmp_path):
    array = np.arange(300, dtype=np.int32)
    write_idx(tmp_path / "a.gz", array)
    write_idx(tmp_path / "another-name.gz", array)

    got = (tmp_path / "another-name.gz").read_bytes()

    assert got == (tmp_path / "a.gz").read_bytes()
    assert got[4:8] == bytes(4)  # the time


def test_a_missing_file_names_file_folder_and_how_to_get_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file t10k in .*sparse-ref data fetch") as e:
        read_idx(tmp_path / "t10k")
    assert str(tmp_path) in str(e.value)


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder, an IDX file was expected"):
        read_idx(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "file-idx is empty", id="empty"),
        pytest.param(b"\0\0\x08", "header must have 8 bytes, got 3", id="three bytes"),
        pytest.param(idx_bytes()[:9], "header must have 12 bytes, got 9", id="half a header"),
        pytest.param(
            idx_bytes()[:-1], "promises 2 x 3 of uint8, 18 bytes in all, got 17", id="cut"
        ),
        pytest.param(idx_bytes() + b"ab", "has 2 bytes too many: .* got 20", id="trailing bytes"),
        pytest.param(b"PK\x03\x04zip", r"neither gzip nor IDX.*got b'PK\\x03\\x04'", id="zip"),
        pytest.param(idx_bytes(0x0A), "type code must be one of 0x08.*, got 0x0A", id="type"),
        pytest.param(b"\0\0\x08\0\0", "must have 1 to 64 dimensions, got 0", id="no dimension"),
        pytest.param(b"\0\0\x08\xff" * 300, "1 to 64 dimensions, got 255", id="many dimensions"),
        pytest.param(b"<!DOCTYPE html><html>", "looks like an HTML page, not IDX data", id="html"),
        pytest.param(
            b"\xef\xbb\xbf \n<HTML>", "a download was probably redirected", id="html after a mark"
        ),
        pytest.param(gzip.compress(b"<html></html>"), "looks like an HTML page", id="gzipped html"),
        pytest.param(gzip.compress(b""), "file-idx is empty", id="gzip of nothing"),
        pytest.param(gzip.compress(idx_bytes())[:-9], "cut short: its gzip stream", id="cut gzip"),
        pytest.param(gzip.compress(idx_bytes())[:3], "cut short: its gzip stream", id="gzip magic"),
        pytest.param(gzip.compress(idx_bytes()[:-1]), "header promises", id="gzip of a cut file"),
    ],
)
def test_a_damaged_file_is_refused_with_its_reason(tmp_path, content, message):
    with pytest.raises(ValueError, match=message) as e:
        read_idx(saved(tmp_path, content))
    assert str(tmp_path / "file-idx") in str(e.value)


def test_a_gzip_with_a_wrong_check_sum_is_refused(tmp_path):
    content = bytearray(gzip.compress(idx_bytes()))
    content[-6] ^= 0xFF  # the last eight bytes are CRC and length

    with pytest.raises(ValueError, match=r"damaged gzip .*incorrect data check"):
        read_idx(saved(tmp_path, bytes(content)))


def test_a_gzip_with_a_broken_block_is_refused(tmp_path):
    content = bytearray(gzip.compress(idx_bytes()))
    content[10] = 0xFF  # the first byte after the gzip header: a block of no known type

    with pytest.raises(ValueError, match=r"damaged gzip .*invalid block type"):
        read_idx(saved(tmp_path, bytes(content)))


@pytest.mark.parametrize("shape", [(2**32 - 1,) * 3, (2**32 - 1,)])
def test_an_absurd_header_is_refused_before_anything_is_allocated(tmp_path, shape):
    path = saved(tmp_path, idx_bytes(0x0E, shape))

    tracemalloc.start()
    with pytest.raises(ValueError, match=r"4294967295.* of float64, .* bytes in all, got "):
        read_idx(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 1_000_000  # bytes


def test_sizes_no_array_can_have_are_refused_even_if_one_is_zero(tmp_path):
    path = saved(tmp_path, idx_bytes(0x08, (0, 2**32 - 1, 2**32 - 1), b""))

    with pytest.raises(ValueError, match="sizes 0 x 4294967295 x 4294967295 are beyond"):
        read_idx(path)


def test_images_must_have_three_dimensions(tmp_path):
    path = saved(tmp_path, idx_bytes())

    with pytest.raises(ValueError, match=r"dimensions must be 3, got 2, of sizes \(2, 3\)"):
        read_images(path)


def test_labels_must_have_one_dimension(tmp_path):
    path = saved(tmp_path, idx_bytes())

    with pytest.raises(ValueError, match="number of dimensions must be 1, got 2"):
        read_labels(path)


def test_labels_must_be_bytes(tmp_path):
    path = saved(tmp_path, idx_bytes(0x0C, (1,), b"\0\0\0\x07"))

    with pytest.raises(ValueError, match=r"labels must be uint8 \(0x08\), got int32"):
        read_labels(path)


def test_images_must_be_bytes(tmp_path):
    path = saved(tmp_path, idx_bytes(0x09, (1, 1, 1), b"\x07"))

    with pytest.raises(ValueError, match=r"images must be uint8 \(0x08\), got int8"):
        read_images(path)


def test_an_array_without_a_type_code_is_not_written(tmp_path):
    with pytest.raises(TypeError, match=r"dtype must be one of uint8, int8.*, got int64"):
        write_idx(tmp_path / "file-idx", np.arange(3, dtype=np.int64))
    assert list(tmp_path.iterdir()) == []


def test_a_single_number_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="array must have 1 to 64 dimensions, got 0"):
        write_idx(tmp_path / "file-idx", np.array(3.0))


def test_the_type_table_is_that_of_the_format():
    assert {code: np.dtype(dtype) for code, dtype in CODES.items()} == TYPES


@pytest.mark.parametrize("tail", [b"\0\0", b"more"])
def test_bytes_behind_a_gzip_stream_are_refused(tail, tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(idx_bytes()) + tail)
    with pytest.raises(ValueError, match=f"must end with its gzip stream, got {len(tail)} bytes"):
        read_idx(path)
