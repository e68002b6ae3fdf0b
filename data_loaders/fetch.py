"""Downloads data sets, checks them, and says which are there.

A download is held in memory until its unpacked bytes have the catalogue's SHA-256, and only then
written, beside its place and moved there in one step. So no folder ever holds half a file, an error
page or somebody else's data under the name of a data set.
"""

import hashlib
import io
import os
import secrets
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from data_loaders.catalogue import CATALOGUE, DataFile, DataSet, data_set
from data_loaders.idx import looks_like_html, unpacked
from data_loaders.locate import cache_folder, data_root, file_in, find, has_file, locate

TIMEOUT = 30.0  # seconds without an answer before the next mirror is tried


class DownloadError(OSError):
    """No mirror gave the file; the message names each and what went wrong with it."""


class FileStatus(NamedTuple):
    """What `verify` found."""

    file: str
    status: str  # "ok", "differs", "missing" or "unreadable: ..."


class Listing(NamedTuple):
    """One line of `sparse-ref data list`."""

    name: str
    title: str
    licence: str
    folder: Path | None  # where it is, or None


def fetch(name: str, folder: str | os.PathLike[str] | None = None) -> Path:
    """Download what is missing of a data set, and return the folder that then holds all of it.

    Files that are there and have the right check sum are kept; nothing is ever overwritten.

    Parameters
    ----------
    name : str, "mnist" or "fashion-mnist"
    folder : where to put the files, made if need be; None is the user's cache

    Raises
    ------
    ImportError
        If something must be downloaded and pooch is not installed.
    DownloadError
        If no mirror gives a file with the right check sum.
    NotADirectoryError
        If `folder` is a file.
    ValueError
        If `name` cannot be downloaded, or a file in the folder differs from the original.
    """
    wanted = data_set(name)
    if not wanted.mirrors:
        raise ValueError(f"fetch: {name} is shipped with the package, there is nothing to download")
    target = cache_folder(name) if folder is None else Path(folder)
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(f"fetch: folder must be a folder, got the file {target}")
    missing = []
    for file in wanted.files:
        status = _status(target, file)
        if status == "missing":
            missing.append(file)
        elif status != "ok":
            raise ValueError(
                f"fetch: {file_in(target, file.name)} must be the original file, got: {status}; "
                "move it away or delete it, and fetch again"
            )
    for file in missing:
        filename, content = _download(wanted, file)
        _write(target / filename, content)
    return target


def verify(name: str, folder: str | os.PathLike[str] | None = None) -> list[FileStatus]:
    """Compare each file of a data set with the catalogue's check sums.

    Parameters
    ----------
    name : str, a name in the catalogue
    folder : the folder to look in; None is the one the loaders would use

    Returns
    -------
    One `FileStatus` a file, in the order of the catalogue. A cut or changed original "differs".

    Raises
    ------
    FileNotFoundError
        If the folder does not exist, or without `folder`, if the data set is in no known place.
    ValueError
        If `name` is unknown.
    """
    wanted = data_set(name)
    place = locate(name) if folder is None else Path(folder)
    if not place.is_dir():
        raise FileNotFoundError(f"verify: there is no folder {place} to look for {name} in")
    return [FileStatus(file.name, _status(place, file)) for file in wanted.files]


def available() -> list[Listing]:
    """Every data set of the catalogue, and the folder that holds it or None.

    A folder that cannot be used (incomplete, or with another set's files) counts as None; `locate`
    says what is wrong with it.

    Raises
    ------
    FileNotFoundError
        If `SPARSE_REF_DATA` names no existing folder.
    """
    data_root()
    return [Listing(s.name, s.title, s.licence, _find_quietly(s.name)) for s in CATALOGUE.values()]


def _find_quietly(name: str) -> Path | None:
    try:
        return find(name)
    except (FileNotFoundError, ValueError):
        return None


def _status(folder: Path, file: DataFile) -> str:
    if not has_file(folder, file.name):
        return "missing"
    path = file_in(folder, file.name)
    try:
        content = unpacked(path.read_bytes(), file.name)
    except (OSError, ValueError) as error:
        return f"unreadable: {error}"
    return "ok" if _is_original(content, file) else "differs"


def _is_original(content: bytes, file: DataFile) -> bool:
    return len(content) == file.n_bytes and hashlib.sha256(content).hexdigest() == file.sha256


def _download(wanted: DataSet, file: DataFile) -> tuple[str, bytes]:
    """File name and bytes from the first mirror whose bytes are right."""
    pooch = _pooch()
    failures = []
    for mirror in wanted.mirrors:
        url = f"{mirror}/{file.name}.gz"
        try:
            content = _get(pooch, url)
            _check_original(content, file)
        except (OSError, ValueError) as error:
            failures.append(f"  {url}: {error}")
            continue
        # A mirror that declares the gzip as transport encoding hands over the plain file.
        return file.name + (".gz" if content.startswith(b"\x1f\x8b") else ""), content
    raise DownloadError(
        "\n".join(
            [
                f"fetch: no mirror of {wanted.name} gave {file.name}:",
                *failures,
                "Nothing was kept of it. Try again later, or get the file by hand and set "
                "SPARSE_REF_DATA to its folder.",
            ]
        )
    )


def _get(pooch: ModuleType, url: str) -> bytes:
    buffer = io.BytesIO()
    pooch.HTTPDownloader(timeout=TIMEOUT, chunk_size=1 << 16)(url, buffer, None)
    return buffer.getvalue()


def _check_original(content: bytes, file: DataFile) -> None:
    if looks_like_html(content):
        raise ValueError("looks like an HTML page: the download was probably redirected")
    plain = unpacked(content, "the download")
    if not _is_original(plain, file):
        digest = hashlib.sha256(plain).hexdigest()
        raise ValueError(
            f"the unpacked download must be {file.n_bytes} bytes with SHA-256 {file.sha256}, "
            f"got {len(plain)} bytes with {digest}"
        )


def _write(path: Path, content: bytes) -> None:
    """Write beside `path` and move: whoever looks sees the whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _pooch() -> ModuleType:
    try:
        import pooch
    except ImportError as error:
        raise ImportError(
            "fetch: downloading needs the package pooch, which is not installed: "
            'pip install "sparse-ref[data]" (".[data]" in a clone)'
        ) from error
    return pooch
