"""Downloads data sets, checks them, and says which are there.

A download is held in memory until its unpacked bytes have the catalogue's SHA-256, and only then
written, beside its place and moved there in one step. So no folder ever holds half a file, an error
page or somebody else's data under the name of a data set. Of an archive, only the files of the
catalogue are read, each with its own SHA-256; nothing is written where the archive says.
"""

import hashlib
import io
import os
import secrets
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
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
    status: str  # "ok", "part: ...", "differs", "missing", "not checked: ..." or "unreadable: ..."


class Listing(NamedTuple):
    """One line of `sparse-ref data list`."""

    name: str
    title: str
    licence: str
    folder: Path | None  # where it is, or None
    part: bool = False  # whether files are missing there, or are smaller than the originals


def fetch(name: str, folder: str | os.PathLike[str] | None = None) -> Path:
    """Download what is missing of a data set, and return the folder that then holds all of it.

    Files that are there and have the right check sum are kept; nothing is ever overwritten.

    Parameters
    ----------
    name : str, a name in the catalogue that has mirrors, such as "mnist" or "cifar10"
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
    if wanted.shipped is not None:
        raise ValueError(f"fetch: {name} is shipped with the package, there is nothing to download")
    if wanted.page is not None:
        raise ValueError(f"fetch: {name} must be downloaded by hand, from {wanted.page}")
    target = cache_folder(name) if folder is None else Path(folder)
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(f"fetch: folder must be a folder, got the file {target}")
    missing = []
    for file in wanted.files:
        status = _status(target, file, wanted.record)
        if status == "missing":
            missing.append(file)
        elif status != "ok":
            raise ValueError(
                f"fetch: {file_in(target, file.name)} must be the original file, got: {status}; "
                "move it away or delete it, and fetch again"
            )
    get = _single_files if wanted.archive is None else _members
    for filename, content in get(wanted, missing):
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
    One `FileStatus` a file, in the order of the catalogue. A cut or changed original "differs"; one
    that was cut between two examples, where the format allows that, is a "part".

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
    return [FileStatus(file.name, _status(place, file, wanted.record)) for file in wanted.files]


def available() -> list[Listing]:
    """Every data set of the catalogue, and the folder that holds it or None.

    A folder that cannot be used (incomplete, or with another set's files) counts as None; `locate`
    says what is wrong with it. Whether it holds a part only is judged by the sizes of its files;
    their content is for `verify`.

    Raises
    ------
    FileNotFoundError
        If `SPARSE_REF_DATA` names no existing folder.
    """
    data_root()
    return [_listing(wanted) for wanted in CATALOGUE.values()]


def _listing(wanted: DataSet) -> Listing:
    folder = _find_quietly(wanted.name)
    part = folder is not None and any(_is_part(folder, file) for file in wanted.files)
    return Listing(wanted.name, wanted.title, wanted.licence, folder, part)


def _is_part(folder: Path, file: DataFile) -> bool:
    """Whether `file` is absent, or plain and too small; of a gzipped one nothing is known."""
    if not has_file(folder, file.name):
        return True
    plain = folder / file.name
    return plain.is_file() and file.n_bytes is not None and plain.stat().st_size < file.n_bytes


def _find_quietly(name: str) -> Path | None:
    try:
        return find(name)
    except (FileNotFoundError, ValueError):
        return None


def _status(folder: Path, file: DataFile, record: int | None) -> str:
    if not has_file(folder, file.name):
        return "missing"
    path = file_in(folder, file.name)
    try:
        content = unpacked(path.read_bytes(), file.name)
    except (OSError, ValueError) as error:
        return f"unreadable: {error}"
    if file.sha256 is None:
        return "not checked: no check sum is published"
    if _is_original(content, file):
        return "ok"
    if record and file.n_bytes and len(content) < file.n_bytes and not len(content) % record:
        return f"part: {len(content) // record:,} of {file.n_bytes // record:,} examples"
    return "differs"


def _is_original(content: bytes, file: DataFile) -> bool:
    return hashlib.sha256(content).hexdigest() == file.sha256


def _single_files(wanted: DataSet, missing: list[DataFile]) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each missing file, each downloaded by itself."""
    for file in missing:
        content = _download(
            wanted, file.name, f"{file.name}.gz", partial(_check_original, file=file)
        )
        # A mirror that declares the gzip as transport encoding hands over the plain file.
        yield file.name + (".gz" if content.startswith(b"\x1f\x8b") else ""), content


def _members(wanted: DataSet, missing: list[DataFile]) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each missing file, out of an archive that is downloaded once.

    Raises
    ------
    DownloadError
        If the archive, whose check sum was right, lacks a file or holds another one.
    """
    if not missing or wanted.archive is None:
        return
    name, sha256, folder = wanted.archive
    content = _download(wanted, name, name, partial(_check_archive, sha256=sha256))
    found = {f"{folder}/{file.name}": file for file in missing}
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        for member in archive:  # in their order: going back means unpacking from the start again
            file = found.pop(member.name, None)
            if file is None:
                continue
            stream = archive.extractfile(member)
            inside = b"" if stream is None else stream.read()
            if not _is_original(inside, file):
                raise DownloadError(f"fetch: {member.name} in {name} must be the original file")
            yield file.name, inside
    if found:
        raise DownloadError(f"fetch: {name} must hold {', '.join(found)}, got an archive without")


def _download(wanted: DataSet, what: str, filename: str, check: Callable[[bytes], None]) -> bytes:
    """The bytes of `filename` from the first mirror whose bytes pass `check`."""
    pooch = _pooch()
    failures = []
    for mirror in wanted.mirrors:
        url = f"{mirror}/{filename}"
        try:
            content = _get(pooch, url)
            check(content)
        except (OSError, ValueError) as error:
            failures.append(f"  {url}: {error}")
            continue
        return content
    raise DownloadError(
        "\n".join(
            [
                f"fetch: no mirror of {wanted.name} gave {what}:",
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


def _check_archive(content: bytes, sha256: str) -> None:
    if looks_like_html(content):
        raise ValueError("looks like an HTML page: the download was probably redirected")
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise ValueError(
            f"the download must have SHA-256 {sha256}, got {len(content)} bytes with {digest}"
        )


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
