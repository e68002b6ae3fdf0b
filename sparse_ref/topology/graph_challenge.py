"""The Sparse Deep Neural Network Graph Challenge: its layers and its inference.

A network of up to 1920 layers of 1024 to 65536 units, 32 connections a unit, through which 60000
images go without any training: Y <- min(max(Y W + b, 0), 32) where Y W is not 0. What is asked for
is which images still have a unit that is not 0 at the end, and how fast that was found out.

References
----------
Kepner et al. 2019, "Sparse Deep Neural Network Graph Challenge", and the challenge's reference
program (`inferenceReLUvec.m`, `runSparseDNNchallenge.m`).

Departures
----------
* Not verified: that the published layers come from systems of 6, 8, 10 or 12 radices 2, each unit
  taken 16 times, with weights of 1/16. Number of units, 32 connections and density agree. The
  published ones are moreover said to be permuted; these are not, so they have the same degrees and
  numbers of paths, but other matrices, and their categories are not the challenge's.
* Layers and features are transposed: weights here are (n_out, n_in).
* The first published version of the program had no upper bound; ``ceiling=np.inf`` is that one.
"""

from collections.abc import Sequence

import numpy as np
from numba import njit, prange
from scipy.sparse import csr_array, issparse

from sparse_ref import kernels, tiles
from sparse_ref.topology.patterns import Layers, Topology, chained
from sparse_ref.topology.radix_net import radix_net

BIAS = {1024: -0.30, 4096: -0.35, 16384: -0.40, 65536: -0.45}  # by units of a layer
DEPTHS = (120, 480, 1920)
CEILING = 32.0
COPIES, WEIGHT = 16, 1 / 16

BATCH_BYTES = 1 << 21  # activations of the examples that go through layers before the next


def graph_challenge(neurons: int, depth: int) -> Layers:
    """Layers of the challenge's kind.

    Parameters
    ----------
    neurons : int
        1024, 4096, 16384 or 65536 units of every layer.
    depth : int >= 1
        Number of layers; 120, 480 or 1920 in the challenge. They repeat after 6 (8, 10, 12) and
        are then the same arrays again: a deep network takes no more memory than a shallow one.

    Returns
    -------
    `depth` layers (neurons, neurons) float32, in- and out-degree 32, all weights 1/16

    Examples
    --------
    >>> layers = graph_challenge(1024, 120)
    >>> sum(w.nnz for w in layers), float(layers[0].data[0])
    (3932160, 0.0625)
    """
    if neurons not in BIAS:
        raise ValueError(f"graph_challenge: neurons must be one of {list(BIAS)}, got {neurons}")
    if depth < 1:
        raise ValueError(f"graph_challenge: depth must be >= 1, got {depth}")
    system = (2,) * ((neurons // COPIES).bit_length() - 1)
    layers = radix_net([system], (COPIES,) * (len(system) + 1))
    for layer in layers:
        layer.data.fill(WEIGHT)
    return tuple(layers[k % len(layers)] for k in range(depth))


def infer(
    layers: Topology,
    x: np.ndarray | csr_array,
    bias: float | Sequence[float],
    *,
    ceiling: float = CEILING,
) -> np.ndarray:
    """What the last layer says of each example.

    In every layer: z = W y; z + b where z is not 0; what is below 0 becomes 0, what is above the
    ceiling the ceiling. A unit whose z is exactly 0 stays 0, whatever the bias.

    Parameters
    ----------
    layers : sequence of (n_out, n_in) csr_array
    x : (n, n_in) float32 or float64, or a csr_array of them
        One example a row.
    bias : float, or one for each layer
        `BIAS` in the challenge.
    ceiling : float >= 0

    Returns
    -------
    (n, n_out) of x's dtype; the bits do not depend on the number of threads. Examples go through
    the layers a few tiles at a time, between two buffers. After 4, 8, 16, ... layers those of
    which all units are 0 are taken out: by the rule above they stay so.
    """
    weights = chained(layers, "infer")
    biases = _biases(bias, len(weights))
    if not ceiling >= 0:
        raise ValueError(f"infer: ceiling must be at least 0, got {ceiling}")
    if x.ndim != 2 or x.shape[1] != weights[0].shape[1]:
        raise ValueError(
            f"infer: x must be (n, {weights[0].shape[1]}), the inputs of the first layer, "
            f"got shape {x.shape}"
        )
    if x.dtype not in (np.float32, np.float64):
        raise TypeError(f"infer: x must be float32 or float64, got {x.dtype}")
    typed, left = _typed(weights, x.dtype), np.arange(x.shape[0])
    out = np.zeros((x.shape[0], weights[-1].shape[0]), x.dtype)
    for part in _stages(len(weights)):
        x = _through(typed[part], biases[part], x, ceiling)
        alive = x.any(axis=1)
        x, left = x[alive], left[alive]
    out[left] = x
    return out


def categories(y: np.ndarray) -> np.ndarray:
    """The challenge's answer: numbers of the rows whose sum is not 0, counted from 1.

    Examples
    --------
    >>> categories(np.array([[0.0, 0.0], [0.0, 32.0], [1.5, 0.0]]))
    array([2, 3])
    """
    if np.ndim(y) != 2:
        raise ValueError(f"categories: y must be (n, n_out), got shape {np.shape(y)}")
    return np.flatnonzero(y.sum(axis=1)) + 1


def _stages(depth):
    """Slices of the layers: the first 4, then up to the 8th, the 16th, ..."""
    ends = [end for end in (4 << k for k in range(depth.bit_length())) if end < depth]
    return [slice(first, last) for first, last in zip([0, *ends], [*ends, depth], strict=True)]


def _through(weights, biases, x, ceiling):
    """The examples after some layers, batch by batch."""
    units = [len(indptr) - 1 for indptr, _, _ in weights]
    out, width = np.empty((x.shape[0], units[-1]), x.dtype), tiles.width_for(x.shape[0], x.dtype)
    batch = width * max(1, BATCH_BYTES // (width * max(units) * x.dtype.itemsize))
    for first in range(0, x.shape[0], batch):
        rows = x[first : first + batch]
        y = tiles.pack(rows.toarray() if issparse(rows) else rows)
        for (indptr, indices, data), bias in zip(weights, biases, strict=True):
            z = tiles.empty((y.shape[0], len(indptr) - 1, y.shape[2]), y.dtype)
            kernels.spmm(indptr, indices, data, np.zeros(z.shape[1], z.dtype), y, z)
            rectify(z, z.dtype.type(bias), z.dtype.type(ceiling))
            y = z
        out[first : first + batch] = tiles.unpack(y, rows.shape[0])
    return out


@njit(parallel=True, cache=True)
def rectify(z, bias, ceiling):
    """``z = min(max(z + bias, 0), ceiling)`` where z is not 0, in place; nan stays."""
    z, zero = z.reshape(-1), z.dtype.type(0)
    for k in prange(z.size):
        value = z[k]
        moved = value + bias
        value = value if value == zero else moved
        value = zero if value < zero else value
        z[k] = ceiling if value > ceiling else value


def _typed(weights, dtype):
    """``(indptr, indices, data)`` of each layer in one dtype; a layer that repeats is made once."""
    made = {
        id(w): tuple(map(np.ascontiguousarray, (w.indptr, w.indices, w.data.astype(dtype))))
        for w in {id(w): w for w in weights}.values()
    }
    return [made[id(w)] for w in weights]


def _biases(bias, depth):
    """One bias for each layer."""
    biases = np.asarray(bias, np.float64)
    if biases.ndim > 1 or (biases.ndim == 1 and len(biases) != depth):
        raise ValueError(
            f"infer: bias must be a number or one for each of {depth} layers, "
            f"got shape {biases.shape}"
        )
    return np.broadcast_to(biases, depth)
