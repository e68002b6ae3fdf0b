"""Finds the folder a data set lies in; never downloads and never reads the images.

Order of the search, the first place that holds all files wins:

1. the folder that the caller names; then no other place is looked at;
2. the environment variable `SPARSE_REF_DATA`: its subfolder named as the data set or as the folder
   in the official archive, then itself;
3. the user's cache, where `fetch` puts what it downloads;
4. `/usr/share/datasets/NAME`, where Debian's package `dataset-fashion-mnist` puts its files.

What the user said is never passed over in silence: a named folder that lacks files, a
`SPARSE_REF_DATA` that does not exist and a subfolder there that is incomplete are errors. The data
sets use the same file names, so a folder that holds *another* known data set is refused too.

A set whose files come in groups (the catalogue says so) may be there in part: one file of each
group is enough, and its loader says what is missing.
"""

import hashlib
import os
import sys
from pathlib import Path

from data_loaders.catalogue import CATALOGUE, DataSet, data_set
from data_loaders.idx import unpacked

VARIABLE = "SPARSE_REF_DATA"
SYSTEM_FOLDER = Path("/usr/share/datasets")


def locate(name: str, folder: str | os.PathLike[str] | None = None) -> Path:
    """The folder that holds all files of the data set `name`.

    Parameters
    ----------
    name : str, a name in the catalogue
    folder : the only place to look at; None searches the places in the module's docstring

    Raises
    ------
    FileNotFoundError
        If no place has it; lists the places and the ways to get it. If `folder` lacks files.
    ValueError
        If `name` is unknown, or the folder holds another data set.
    """
    if folder is not None:
        return checked_folder(name, Path(folder))
    found = find(name)
    if found is None:
        raise FileNotFoundError(_nowhere(name))
    return found


def find(name: str) -> Path | None:
    """The first place that holds all files of `name`, or None; errors only on the user's settings.

    Raises
    ------
    FileNotFoundError
        If `SPARSE_REF_DATA` does not exist, or its subfolder `name` lacks some of the files.
    ValueError
        If `name` is unknown, or a folder of that name holds another data set.
    """
    shipped = data_set(name).shipped
    if shipped is not None:  # works whatever the user's settings are
        return checked_folder(name, shipped)
    root = data_root()
    for place in places(name):
        if _holds_nothing(name, place):
            continue
        lacking = missing_files(name, place)
        if root is not None and place.parent == root and place != root:
            return checked_folder(name, place)
        # SPARSE_REF_DATA may itself be the folder of one data set while another is asked for.
        if lacking or (place == root and other_set(name, place)):
            continue
        return checked_folder(name, place)
    return None


def places(name: str) -> list[Path]:
    """The folders to look at for a downloadable data set, in order."""
    root = data_root()
    names = (name, *data_set(name).folder_names)
    user = [] if root is None else [*(root / each for each in names), root]
    return [*user, cache_folder(name), SYSTEM_FOLDER / name]


def data_root() -> Path | None:
    """The folder in `SPARSE_REF_DATA`; None if the variable is unset or empty.

    Raises
    ------
    FileNotFoundError
        If it names no existing folder.
    """
    value = os.environ.get(VARIABLE)
    if not value:
        return None
    root = Path(value).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"{VARIABLE} must name an existing folder, got {value!r}")
    return root


def cache_folder(name: str) -> Path:
    """Where `fetch` puts the files of `name`: the platform's folder for caches."""
    home = Path.home()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or home / ".cache"
    return Path(base) / "sparse_ref" / name


def file_in(folder: Path, file: str) -> Path:
    """The path of `file` in `folder`, plain if it is there and else gzipped.

    Raises
    ------
    FileNotFoundError
        If neither is there.
    """
    for path in (folder / file, folder / f"{file}.gz"):
        if path.is_file():
            return path
    raise FileNotFoundError(f"{folder} holds neither {file} nor {file}.gz")


def has_file(folder: Path, file: str) -> bool:
    """Whether `file` is in `folder`, plain or gzipped."""
    return any((folder / named).is_file() for named in (file, f"{file}.gz"))


def missing_files(name: str, folder: Path) -> list[str]:
    """The files of the data set `name` that `folder` lacks, plain and gzipped.

    Of a set that may be there in part: the files of the groups of which it has none.
    """
    wanted = data_set(name)
    absent = [file.name for file in wanted.files if not has_file(folder, file.name)]
    if not wanted.groups:
        return absent
    return [file for group in wanted.groups if set(group) <= set(absent) for file in group]


def checked_folder(name: str, folder: Path) -> Path:
    """`folder` itself, after checking that it holds all files of `name` and not another data set.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist or lacks files.
    ValueError
        If its test labels are those of another data set in the catalogue.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{name}: there is no folder {folder}; {_short_help(name)}")
    lacking = missing_files(name, folder)
    if lacking:
        raise FileNotFoundError(
            f"{name}: folder {folder} lacks {', '.join(lacking)} (each plain or .gz); "
            f"{_short_help(name)}"
        )
    other = other_set(name, folder)
    if other is not None:
        raise ValueError(f"{name}: folder {folder} holds the files of {other}")
    return folder


def other_set(name: str, folder: Path) -> str | None:
    """The name of the *other* full data set that `folder` holds, or None.

    Judged by the test labels, the smallest file. A folder with cut, changed or damaged files
    belongs to nobody: None.
    """
    labels = "t10k-labels-idx1-ubyte"
    if not has_file(folder, labels):
        return None
    try:
        content = unpacked(file_in(folder, labels).read_bytes(), labels)
    except ValueError:
        return None
    digest = hashlib.sha256(content).hexdigest()
    for other in CATALOGUE.values():
        sums = [file.sha256 for file in other.files if file.name == labels]
        if other.name != name and other.mirrors and digest in sums:
            return other.name
    return None


def _holds_nothing(name: str, folder: Path) -> bool:
    return not any(has_file(folder, file.name) for file in data_set(name).files)


def _nowhere(name: str) -> str:
    """The message of a search in vain: what, where it was looked for, how to get it."""
    wanted = data_set(name)
    looked = [f"  {place} ({_state(name, place)})" for place in places(name)]
    if data_root() is None:
        looked.insert(0, f"  ${VARIABLE} (not set)")
    files = ", ".join(file.name for file in wanted.files)
    ways = [
        f"  1. {_download(wanted)}",
        f"  2. set {VARIABLE} to a folder whose subfolder "
        f"{' or '.join((name, *wanted.folder_names))} holds the files",
        f"  3. {_by_hand(wanted)}",
    ]
    first = f"{name}: not found. Looked for {files} (each plain or .gz) in"
    return "\n".join([first, *looked, "To get it:", *ways])


def _state(name: str, place: Path) -> str:
    if not place.is_dir():
        return "no such folder"
    if _holds_nothing(name, place):
        return "none of the files"
    lacking = missing_files(name, place)
    if lacking:
        return f"lacks {', '.join(lacking)}"
    return f"holds {other_set(name, place)}"


def _short_help(name: str) -> str:
    if data_set(name).shipped is not None:
        return "install the package again"
    if data_set(name).page is not None:
        return f"unpack {data_set(name).page}, or leave folder unset to search"
    return f"get the files with `sparse-ref data fetch {name}` or leave folder unset to search"


def _download(wanted: DataSet) -> str:
    if wanted.page is not None:
        return f"download and unpack {wanted.page}"
    command = f"sparse-ref data fetch {wanted.name}"
    return (
        f"{_function(wanted)}(download=True), or the command `{command}`; "
        'both need pip install "sparse-ref[data]" (".[data]" in a clone)'
    )


def _by_hand(wanted: DataSet) -> str:
    if wanted.debian_package is not None:
        return f"on Debian and Ubuntu: apt install {wanted.debian_package}"
    return f"copy the files into {SYSTEM_FOLDER / wanted.name} (Debian has no package of it)"


def _function(wanted: DataSet) -> str:
    return wanted.name.removesuffix("-python").replace("-", "_")
