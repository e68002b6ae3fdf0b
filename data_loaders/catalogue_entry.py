"""What an entry of the catalogue says of a data set: its files, check sums, licence, sources."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class DataFile(NamedTuple):
    """One file, as it is when unpacked: gzip's own bytes differ from one compressor to the next."""

    name: str
    n_bytes: int | None  # unpacked; None where only the check sum was published
    sha256: str | None  # of the unpacked bytes, 64 hexadecimal digits; None where none is published


class Archive(NamedTuple):
    """A tar.gz that holds all files of a data set in one folder."""

    name: str
    sha256: str  # of the archive as it is
    folder: str  # inside the archive; also what the unpacked folder is called


@dataclass(frozen=True)
class DataSet:
    """What is known of a data set before any of its files is there."""

    name: str  # as in commands and folder names
    title: str
    licence: str
    files: tuple[DataFile, ...]
    mirrors: tuple[str, ...] = ()  # addresses in front of "/FILE.gz" or the archive, in this order
    archive: Archive | None = None  # for what is not downloaded file by file
    page: str | None = None  # for what is downloaded by hand
    debian_package: str | None = None
    shipped: Path | None = None  # the folder inside this package, for what needs no download
    folder_names: tuple[str, ...] = ()  # what its folder may be called besides `name`
    # A part of the set will do that holds one file of each of these groups; () means all files.
    groups: tuple[tuple[str, ...], ...] = ()
    record: int | None = None  # bytes of one example, in files that may be cut after any of them

    def file(self, name: str) -> DataFile:
        """The file called `name`; KeyError if there is none."""
        return {file.name: file for file in self.files}[name]
