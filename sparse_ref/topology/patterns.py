"""What the measures look at: patterns of connections, checked, whatever a caller brings.

A *topology* is a network's patterns from inputs to outputs. Wherever one is asked for, these do: a
sequence of weights, one weight (a network of one layer), or anything with an attribute `topology`,
such as `sparse_ref.network.Network`.
"""

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr

PATTERNS = ("structural", "nonzero")

Topology = Any  # a sequence of weights, a weight, or a network: see the module's docstring
Layers = tuple[csr_array, ...]


def pattern_of(weight: Any, who: str, pattern: str = "structural") -> csr_array:
    """A canonical CSR array whose stored positions are the connections of `weight`.

    Parameters
    ----------
    weight : (n_out, n_in) csr_array or ndarray
        Of an ndarray the non-zeros are the connections.
    who : str
        Named by errors.
    pattern : str
        ``structural``: a stored 0.0 is a connection. ``nonzero``: it is none, as in codes that
        keep masks as ``weight != 0``.

    Returns
    -------
    (n_out, n_in) csr_array of floats; `weight` itself where nothing has to change
    """
    if pattern not in PATTERNS:
        raise ValueError(f"{who}: pattern must be one of {list(PATTERNS)}, got {pattern!r}")
    if isinstance(weight, np.ndarray):
        if weight.ndim != 2:
            raise ValueError(f"{who}: a weight must have two dimensions, got shape {weight.shape}")
        return of_ones(weight.shape, np.flatnonzero(weight))
    if isinstance(weight, csr_array) and weight.dtype.kind in "bui":
        weight = weight.astype(np.float32)
    weight = csr.check(weight, who)
    zeros = np.flatnonzero(weight.data == 0)
    if pattern == "structural" or not zeros.size:
        return weight
    none = np.empty(0, np.int64)
    return csr.apply(weight, csr.Rewire(zeros, none, np.empty(0, weight.dtype)))[0]


def inputs_in_blocks(weight: csr_array, who: str, block: int) -> csr_array:
    """The pattern in which each `block` columns are one: connected if any of them is.

    Parameters
    ----------
    weight : (n_out, n_in) csr_array
        From `pattern_of`.
    who : str
        Named by errors.
    block : int
        ``kh * kw`` makes of a convolution's kernels the channels that each filter reads.

    Returns
    -------
    (n_out, n_in / block) csr_array; `weight` itself for blocks of one column
    """
    n_out, n_in = weight.shape
    if block < 1 or n_in % block:
        raise ValueError(f"{who}: block must divide the columns, {n_in}, got {block}")
    if block == 1:
        return weight
    return of_ones((n_out, n_in // block), np.unique(csr.flat(weight) // block))


def layers_of(network: Topology, who: str, pattern: str = "structural") -> Layers:
    """The patterns of a topology, at least one; see `pattern_of`."""
    network = getattr(network, "topology", network)
    if isinstance(network, csr_array | np.ndarray):
        network = (network,)
    layers = tuple(pattern_of(weight, who, pattern) for weight in network)
    if not layers:
        raise ValueError(f"{who}: a topology must have at least one layer, got none")
    return layers


def chained(network: Topology, who: str, pattern: str = "structural") -> Layers:
    """`layers_of`, where each layer reads as many units as the one before it has."""
    layers = layers_of(network, who, pattern)
    for k in range(1, len(layers)):
        given, read = layers[k - 1].shape[0], layers[k].shape[1]
        if given != read:
            raise ValueError(
                f"{who}: shapes must chain, but layer {k - 1} has {given} outputs "
                f"and layer {k} reads {read}"
            )
    return layers


def alike(
    first: Topology, second: Topology, who: str, pattern: str = "structural"
) -> tuple[Layers, Layers]:
    """The patterns of two topologies of the same shapes."""
    a, b = layers_of(first, who, pattern), layers_of(second, who, pattern)
    if len(a) != len(b):
        raise ValueError(
            f"{who}: topologies must have equally many layers, got {len(a)} and {len(b)}"
        )
    for k, (one, other) in enumerate(zip(a, b, strict=True)):
        if one.shape != other.shape:
            raise ValueError(
                f"{who}: layers must have the same shape, but layer {k} "
                f"has {one.shape} and {other.shape}"
            )
    return a, b


def of_ones(shape: tuple[int, int], positions: np.ndarray) -> csr_array:
    """A pattern with a 1.0 at each of the flat `positions`, which ascend."""
    return csr.from_positions(shape, positions, np.ones(len(positions), np.float32))
