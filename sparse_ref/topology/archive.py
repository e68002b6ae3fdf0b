"""Topologies along a training, in one small file.

A pattern is kept as the *gaps* between the flat positions of its connections, ``row * n_in +
column``; before the first stands -1. ``np.cumsum(gaps) - 1`` gives the positions back, whatever the
gaps are they ascend, and the numbers are small: about one over the density.

The file is an ``.npz`` that NumPy reads without this library. ``header`` is JSON in UTF-8:
``format``, ``version``, ``shapes`` (of each layer), ``epochs`` and ``connections`` (of each epoch,
of each layer). ``layer_0``, ``layer_1``, ... hold a layer's gaps, all epochs end to end, as ``(b,
n)`` bytes: row 0 the lowest byte of each number, row 1 the next one. Bytes of a kind side by side
are what makes it compress to little more than a random pattern's entropy: 1.07 bytes a connection
for 784 x 784 at one per cent (entropy 0.99), 0.73 at five (0.70).
"""

import json
import math
import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr, npz
from sparse_ref.topology.patterns import Layers, Topology, layers_of, of_ones

FORMAT, VERSION = "sparse_ref topologies", 1


class Packed(NamedTuple):
    """A pattern in memory: 1 or 2 bytes a connection, mostly."""

    shape: tuple[int, int]
    gaps: np.ndarray  # (nnz,) the smallest unsigned integers that hold them


class PackedTopologies(Mapping[int, Layers]):
    """Topologies by epoch that are kept packed and unpacked when one is asked for.

    Consecutive epochs share what has not changed: a layer that is never rewired is held once.
    """

    def __init__(self) -> None:
        self._packed: dict[int, tuple[Packed, ...]] = {}

    def add(self, epoch: int, topology: Topology) -> None:
        """Keep a topology, without its values."""
        layers = [pack(layer) for layer in layers_of(topology, "PackedTopologies")]
        before = next(reversed(self._packed.values()), ())
        if len(before) == len(layers):
            pairs = zip(before, layers, strict=True)
            layers = [old if _same(old, new) else new for old, new in pairs]
        self._packed[epoch] = tuple(layers)

    def __getitem__(self, epoch: int) -> Layers:
        return tuple(unpack(layer) for layer in self._packed[epoch])

    def __iter__(self) -> Iterator[int]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        arrays = {id(la.gaps): la.gaps for layers in self._packed.values() for la in layers}
        return sum(gaps.nbytes for gaps in arrays.values())


def save_topologies(path: str | os.PathLike, topologies: Mapping[int, Topology]) -> None:
    """Write topologies of one network to a file, atomically, without pickle; not their values.

    Parameters
    ----------
    path : path
        Conventionally ``.npz``.
    topologies : mapping from int to topology
        By epoch, in the order to be kept; at least one, all of the same shapes. See `patterns` for
        what is a topology: dense layers of a `Network` count as complete.

    See Also
    --------
    load_topologies
    sparse_ref.recorders.Topologies : collects them in a training.
    """
    packed = {epoch: _packed(epoch, topologies) for epoch in topologies}
    if not packed:
        raise ValueError("save_topologies: topologies must hold at least one epoch, got none")
    wrong = [epoch for epoch in packed if not isinstance(epoch, int | np.integer)]
    if wrong:
        raise TypeError(f"save_topologies: epochs must be integers, got {wrong[0]!r}")
    shapes = _common_shapes(packed)
    header = {
        "format": FORMAT,
        "version": VERSION,
        "shapes": shapes,
        "epochs": [int(epoch) for epoch in packed],
        "connections": [[len(layer.gaps) for layer in layers] for layers in packed.values()],
    }
    arrays = {
        f"layer_{k}": _planes(np.concatenate([layers[k].gaps for layers in packed.values()]))
        for k in range(len(shapes))
    }
    npz.write(path, {"header": np.frombuffer(json.dumps(header).encode(), np.uint8), **arrays})


def load_topologies(path: str | os.PathLike) -> dict[int, Layers]:
    """Read what `save_topologies` wrote.

    Returns
    -------
    dict from epoch to tuple of (n_out, n_in) csr_array
        In the order written; every weight is 1, float32, ready to be the ``structure=`` of a model.

    Raises
    ------
    FileNotFoundError
        No such file.
    ValueError
        The file is damaged, no archive of topologies, or of a version this library does not know.
    """
    return npz.read(path, "load_topologies", _unpacked, "holds no saved topologies")


def pack(weight: csr_array) -> Packed:
    """The pattern of a weight as gaps; O(connections)."""
    gaps = np.diff(csr.flat(weight), prepend=-1)
    n_out, n_in = weight.shape
    return Packed((int(n_out), int(n_in)), gaps.astype(np.min_scalar_type(gaps.max(initial=1))))


def unpack(packed: Packed) -> csr_array:
    """The pattern, with a 1.0 at every connection."""
    return of_ones(packed.shape, np.cumsum(packed.gaps, dtype=np.int64) - 1)


def _same(old, new):
    return old.shape == new.shape and np.array_equal(old.gaps, new.gaps)


def _packed(epoch, topologies):
    if isinstance(topologies, PackedTopologies):
        return topologies._packed[epoch]
    return tuple(pack(layer) for layer in layers_of(topologies[epoch], "save_topologies"))


def _common_shapes(packed):
    """The shapes of the first topology, which all must have."""
    (first, layers), *others = packed.items()
    shapes = [layer.shape for layer in layers]
    for epoch, more in others:
        if [layer.shape for layer in more] != shapes:
            raise ValueError(
                f"save_topologies: topologies must have the same shapes, but epoch {first} has "
                f"{shapes} and epoch {epoch} {[layer.shape for layer in more]}"
            )
    return shapes


def _planes(gaps):
    """``(b, n)``: the bytes of each number, lowest first, as many as the largest one needs."""
    size = max(1, math.ceil(int(gaps.max(initial=1)).bit_length() / 8))
    return np.ascontiguousarray(gaps.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :size].T)


def _numbers(planes):
    """Undo `_planes`."""
    if planes.dtype != np.uint8 or planes.ndim != 2 or not 1 <= len(planes) <= 8:
        raise ValueError(f"its gaps are {planes.dtype} of shape {planes.shape}")
    padded = np.zeros((planes.shape[1], 8), np.uint8)
    padded[:, : len(planes)] = planes.T
    return padded.view("<u8").reshape(-1)


def _unpacked(arrays):
    header = _header(arrays)
    _require_integers("shapes", header["shapes"])
    _require_integers("connections", header["connections"])
    shapes = [(n_out, n_in) for n_out, n_in in header["shapes"]]
    counts = np.array(header["connections"], np.int64).reshape(len(header["epochs"]), len(shapes))
    layers = [_layers(arrays[f"layer_{k}"], shape, counts[:, k]) for k, shape in enumerate(shapes)]
    return dict(zip(header["epochs"], zip(*layers, strict=True), strict=True))


def _header(arrays):
    header: dict[str, Any] = json.loads(arrays["header"].tobytes().decode())
    if header["format"] != FORMAT:
        raise ValueError(f"its format is {header['format']!r}")
    if header["version"] != VERSION:
        raise ValueError(f"it is of version {header['version']}, known is {VERSION}")
    epochs = header["epochs"]
    if not all(type(epoch) is int for epoch in epochs) or len(set(epochs)) < len(epochs):
        raise ValueError(f"its epochs are not integers, each once: {epochs}")
    return header


def _require_integers(name, rows):
    if not all(type(number) is int for row in rows for number in row):
        raise ValueError(f"its {name} are not all integers: {rows}")


def _layers(planes, shape, counts):
    """One layer at all epochs."""
    gaps = _numbers(planes)
    if counts.min(initial=0) < 0 or counts.sum() != len(gaps):
        raise ValueError(f"it says {counts.tolist()} connections and holds {len(gaps)}")
    if len(gaps) and not 1 <= gaps.min() <= gaps.max() <= math.prod(shape):
        raise ValueError(f"its gaps reach from {gaps.min()} to {gaps.max()} in a layer of {shape}")
    parts = np.split(gaps, np.cumsum(counts)[:-1])
    return [unpack(Packed(shape, part)) for part in parts]
