"""Reads and writes IDX files, the format of MNIST and its relatives, plain or gzipped.

An IDX file is: two zero bytes, one byte for the type, one for the number of dimensions, each
dimension as a big-endian uint32, then the items, big-endian, in C order.

Whether a file is gzipped is decided by its first bytes and not by its name, because browsers and
mirrors unpack files and keep the name. A header is believed only after its dimensions agree with
the number of bytes that are there, so a damaged file cannot make the reader allocate memory.
"""

import gzip
import io
import math
import os
import struct
import sys
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

TYPES: dict[int, np.dtype] = {
    0x08: np.dtype("u1"),
    0x09: np.dtype("i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
MAX_NDIM = 64  # what a NumPy array can have; IDX itself allows 255


def read_idx(path: str | os.PathLike[str], *, ndim: int | None = None) -> np.ndarray:
    """The array in an IDX file.

    Parameters
    ----------
    path : file name; the file may be plain or gzipped, whatever it is called
    ndim : int, the number of dimensions the array must have; None accepts any

    Returns
    -------
    Writable array with the file's shape and type, in the host's byte order.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is empty, cut short, damaged, too long, not IDX, or not of `ndim` dimensions.
    """
    path = Path(path)
    content = unpacked(read_bytes(path), f"read_idx: {path}")
    header = _header(content, f"read_idx: {path}")
    if ndim is not None and len(header.shape) != ndim:
        raise ValueError(
            f"read_idx: {path}: the number of dimensions must be {ndim}, got {len(header.shape)}, "
            f"of sizes {header.shape}"
        )
    items = np.frombuffer(content, header.dtype, offset=header.n_bytes)
    return items.reshape(header.shape).astype(header.dtype.newbyteorder("="))


def read_images(path: str | os.PathLike[str]) -> np.ndarray:
    """(n, height, width) uint8 images of an IDX file; errors as `read_idx`, or another type."""
    return _of_bytes(read_idx(path, ndim=3), path, "images")


def read_labels(path: str | os.PathLike[str]) -> np.ndarray:
    """(n,) uint8 labels of an IDX file; errors as `read_idx`, or another type."""
    return _of_bytes(read_idx(path, ndim=1), path, "labels")


def write_idx(path: str | os.PathLike[str], array: np.ndarray) -> None:
    """Write `array` as IDX, gzipped if the name ends in `.gz`.

    The gzip header holds neither time nor name, so equal arrays give equal files.

    Raises
    ------
    TypeError
        If IDX has no code for the array's type.
    ValueError
        If the array has no dimension or more than `MAX_NDIM`.
    """
    codes = {dtype.newbyteorder("="): code for code, dtype in TYPES.items()}
    code = codes.get(array.dtype.newbyteorder("="))
    if code is None:
        known = ", ".join(str(dtype) for dtype in codes)
        raise TypeError(f"write_idx: dtype must be one of {known}, got {array.dtype}")
    if not 1 <= array.ndim <= MAX_NDIM:
        raise ValueError(f"write_idx: array must have 1 to {MAX_NDIM} dimensions, got {array.ndim}")
    content = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    content += array.astype(TYPES[code]).tobytes()
    Path(path).write_bytes(_gzipped(content) if str(path).endswith(".gz") else content)


def read_bytes(path: Path) -> bytes:
    """The bytes of a file as they are on disk, or a FileNotFoundError that says how to get it."""
    if path.is_dir():
        raise IsADirectoryError(f"read_idx: {path} is a folder, an IDX file was expected")
    if not path.exists():
        raise FileNotFoundError(
            f"read_idx: there is no file {path.name} in {path.absolute().parent}; "
            "the command `sparse-ref data list` shows which data sets are where, and "
            "`sparse-ref data fetch NAME` downloads one"
        )
    return path.read_bytes()


def unpacked(content: bytes, who: str) -> bytes:
    """`content` itself, or what it holds if it is gzip.

    Raises
    ------
    ValueError
        If the gzip stream is cut short or damaged; starts with `who`.
    """
    if not content.startswith(b"\x1f\x8b"):
        return content
    # Not gzip.decompress: it passes over zeros behind the stream.
    stream = zlib.decompressobj(wbits=31)
    try:
        inside = stream.decompress(content)
    except zlib.error as error:
        raise ValueError(f"{who} is damaged gzip ({error}); copy or download it again") from error
    if not stream.eof:
        raise ValueError(
            f"{who} is cut short: its gzip stream ends after {len(content)} bytes, before its end "
            "mark; copy or download it again"
        )
    if stream.unused_data:
        raise ValueError(
            f"{who} must end with its gzip stream, got {len(stream.unused_data)} bytes after it; "
            "copy or download it again"
        )
    return inside


def looks_like_html(content: bytes) -> bool:
    """Whether `content` is a page or an XML answer, which IDX (two zero bytes) never looks like."""
    return content.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")


class _Header(NamedTuple):
    dtype: np.dtype
    shape: tuple[int, ...]
    n_bytes: int  # of the header itself


def _header(content: bytes, who: str) -> _Header:
    """Type and shape, checked against each other and against the length of `content`."""
    _check_magic(content, who)
    code, ndim = content[2], content[3]
    if code not in TYPES:
        known = ", ".join(f"0x{known:02X}" for known in TYPES)
        raise ValueError(f"{who}: the type code must be one of {known}, got 0x{code:02X}")
    if not 1 <= ndim <= MAX_NDIM:
        raise ValueError(f"{who} must have 1 to {MAX_NDIM} dimensions, got {ndim}")
    n_bytes = 4 + 4 * ndim
    if len(content) < n_bytes:
        raise ValueError(
            f"{who} is cut short: its header must have {n_bytes} bytes, got {len(content)}"
        )
    header = _Header(TYPES[code], struct.unpack_from(f">{ndim}I", content, 4), n_bytes)
    _check_length(len(content), header, who)
    return header


def _check_magic(content: bytes, who: str) -> None:
    if not content:
        raise ValueError(f"{who} is empty; copy or download it again")
    if looks_like_html(content):
        raise ValueError(
            f"{who} looks like an HTML page, not IDX data: a download was probably redirected"
        )
    if len(content) < 4:
        raise ValueError(f"{who} is cut short: its header must have 8 bytes, got {len(content)}")
    if content[:2] != b"\0\0":
        raise ValueError(
            f"{who} is neither gzip nor IDX: IDX starts with two zero bytes, got {content[:4]!r}"
        )


def _check_length(length: int, header: _Header, who: str) -> None:
    sizes = " x ".join(map(str, header.shape))
    expected = header.n_bytes + math.prod(header.shape) * header.dtype.itemsize
    promise = f"its header promises {sizes} of {header.dtype.name}, {expected} bytes in all"
    if length < expected:
        raise ValueError(f"{who} is cut short: {promise}, got {length}")
    if length > expected:
        raise ValueError(f"{who} has {length - expected} bytes too many: {promise}, got {length}")
    # Where one size is 0 no byte count restrains the others, and NumPy cannot represent them all.
    if math.prod(size or 1 for size in header.shape) * header.dtype.itemsize > sys.maxsize:
        raise ValueError(f"{who}: the sizes {sizes} are beyond what an array can have")


def _of_bytes(array: np.ndarray, path: str | os.PathLike[str], what: str) -> np.ndarray:
    if array.dtype != np.uint8:
        raise ValueError(f"read_idx: {path}: {what} must be uint8 (0x08), got {array.dtype}")
    return array


def _gzipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    # GzipFile and not gzip.compress: only it writes the same header in every Python version.
    with gzip.GzipFile("", "wb", 9, buffer, mtime=0) as stream:
        stream.write(content)
    return buffer.getvalue()
