"""The other libraries: loaded only here, and only when a benchmark runs.

One that is not installed is skipped and named, never an error.
"""

import contextlib
import importlib
import importlib.metadata
import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

MODULES = {
    "torch": "torch",
    "sparseprop": "sparseprop.modules",
    "scikit-learn": "sklearn.neural_network",
}
OURS_ONLY = ("GOMP_SPINCOUNT",)  # set by `sparse_ref.threads` for our pool of threads, not theirs

OURS = "sparse_ref"
ROWS = "sparse_ref, rows in and out"
SCIPY = "SciPy CSR"
TORCH_CSR = "PyTorch CSR"
TORCH_DENSE = "PyTorch dense"
TORCH_MASKED = "PyTorch dense + masks"
SPARSEPROP = "sparseprop"
SKLEARN = "scikit-learn"


class Peers(NamedTuple):
    """The modules that could be loaded, None in place of those that could not."""

    torch: Any
    sparseprop: Any  # needs torch
    sklearn: Any
    skipped: dict[str, str]  # name -> why


def load(names: Sequence[str] = tuple(MODULES)) -> Peers:
    """Import the peers among `names`.

    To be called before the first kernel of ours runs: each library then starts its own OpenMP
    threads, with its own defaults. PyTorch's wheel brings its own OpenMP library; loaded after
    Numba's it would be given Numba's, with our short spin.
    """
    modules: dict[str, Any] = {}
    skipped = {}
    with _their_environment(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they deprecate in each other is none of ours
        for name, module in MODULES.items():
            found = _imported(module) if name in names else "not asked for"
            if isinstance(found, str):
                skipped[name] = found
            modules[name] = None if isinstance(found, str) else found
    if modules["torch"] is None and modules["sparseprop"] is not None:
        modules["sparseprop"], skipped["sparseprop"] = None, "needs torch"
    return Peers(modules["torch"], modules["sparseprop"], modules["scikit-learn"], skipped)


def versions() -> dict[str, str | None]:
    """Version of every peer, None where it is not installed."""
    names = ("scipy", *MODULES, "threadpoolctl")
    return {name: _version(name) for name in names}


def _imported(module):
    """The module, or why there is none."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        return f"not installed (no module {error.name})"
    except (ImportError, OSError) as error:  # a library that does not fit this machine
        return f"cannot be loaded: {error}"


@contextlib.contextmanager
def _their_environment() -> Iterator[None]:
    ours = {name: os.environ.pop(name) for name in OURS_ONLY if _is_ours(name)}
    try:
        yield
    finally:
        os.environ.update(ours)


def _is_ours(name):
    from sparse_ref.threads import SPINS  # what a user set himself holds for all

    return os.environ.get(name) == SPINS


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
