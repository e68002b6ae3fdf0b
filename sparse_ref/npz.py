"""Arrays in one ``.npz`` file: written as a whole or not at all, read without pickle."""

import os
import secrets
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

# What reading a damaged or foreign file can raise, NumPy's and zipfile's together: an entry can
# say that it is encrypted, or so long that no memory holds it.
DAMAGE = (
    *(ValueError, LookupError, TypeError, OSError, EOFError, NotImplementedError),
    *(RuntimeError, OverflowError, MemoryError, BadZipFile, zlib.error),
)


def write(path: str | os.PathLike, arrays: Mapping[str, Any]) -> None:
    """Write compressed `arrays`; a file of that name is replaced only when the new one is whole."""
    path = Path(path)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(part, "xb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def read(
    path: str | os.PathLike,
    who: str,
    make: Callable[[dict[str, np.ndarray]], Any] = dict,
    otherwise: str = "is no archive of arrays",
) -> Any:
    """What `make` makes of all arrays of a file.

    Parameters
    ----------
    path : path
    who : str
        Named by errors.
    make : callable
        Arrays by name -> anything; may raise any of `DAMAGE` where they are not what it expects.
    otherwise : str
        What is said of such a file.

    Raises
    ------
    FileNotFoundError
        No such file; the message names file and folder.
    ValueError
        The file is damaged or a foreign one.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{who}: no file {path.name} in {path.parent.resolve()}")
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return make({name: arrays[name] for name in arrays.files})
    except DAMAGE as error:
        raise ValueError(f"{who}: {path} {otherwise} ({error})") from error
