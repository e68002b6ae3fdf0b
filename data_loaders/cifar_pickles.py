"""Reads the pickles of CIFAR's version for Python, and no other pickle.

Unpickling can call whatever a file names. So a file is looked at only after its SHA-256 is that of
the original; and even then what it may name are the three things that the originals name, none of
which is handed out as it is: they stand for an array of bytes and can make nothing else.
"""

import hashlib
import io
import pickle
from typing import Any

import numpy as np


def read_batch(content: bytes, sha256: str, who: str) -> dict[str, Any]:
    """What is in one of CIFAR's pickles, after checking that it is the original.

    Parameters
    ----------
    content : bytes of the file
    sha256 : str, the check sum it must have, in hexadecimal digits
    who : str, what the error messages start with

    Returns
    -------
    The dictionary in the file. Strings of Python 2 come as str, one character a byte (Latin-1).

    Raises
    ------
    ValueError
        If the check sum differs: nothing is unpickled then. If the pickle names something that the
        originals do not need, or holds no dictionary.
    """
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise ValueError(
            f"{who} must be the original file, with SHA-256 {sha256}, got {digest}; other pickles "
            "are not read, because reading one can run any program; of the binary version parts "
            "are read too"
        )
    try:
        batch = _Unpickler(io.BytesIO(content), encoding="latin1", fix_imports=False).load()
    except Exception as error:  # what a pickle is made of decides which it raises
        raise ValueError(f"{who} is no pickle of CIFAR: {error}") from error
    if not isinstance(batch, dict):
        raise ValueError(f"{who} must hold a dictionary, got {type(batch).__name__}")
    return batch


class _Unpickler(pickle.Unpickler):
    """Admits the names in `_ADMITTED`; every other is an error that says what was asked for."""

    def find_class(self, module: str, name: str) -> Any:
        """What stands for `module.name`; UnpicklingError for what no original needs."""
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not admitted")
        return _ADMITTED[module, name]


_ARRAY = "numpy.ndarray"  # only handed back to _array: nobody can call it


def _array(kind: Any, _shape: Any, _code: Any) -> np.ndarray:
    """The empty array that pickle fills afterwards."""
    if kind != _ARRAY:
        raise pickle.UnpicklingError(f"it asks for an array of the class {kind!r}")
    return np.empty(0, np.uint8)


def _bytes(code: Any, *_options: Any) -> np.dtype:
    """The only type of number in CIFAR's arrays."""
    if code != "u1":
        raise pickle.UnpicklingError(f"it asks for numbers of the type {code!r}, not bytes")
    return np.dtype(np.uint8)


_ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"): _array,
    ("numpy", "ndarray"): _ARRAY,
    ("numpy", "dtype"): _bytes,
}
