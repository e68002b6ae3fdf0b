"""Which connections lie on a path from an input to an output: effective sparsity.

A connection out of a unit that nothing feeds, or into one that nothing reads, does nothing for the
function a network computes of its inputs. Biases are ignored by definition: a unit without inputs
still emits a constant if it has a bias, and its connections do not count all the same
(`sparse_ref.downsize` folds that constant). So do weights that happen to be 0, unless
``pattern="nonzero"``.

References
----------
Vysogorets and Kempe (2023), "Connectivity Matters: Neural Network Pruning Through the Lens of
Effective Sparsity"; code avysogorets/effective-sparsity, ``effective_masks.py``: paths from inputs
to outputs, ``mode="both"``.
Paganini and Forde (2020), "On Iterative Neural Network Pruning, Reinitialization, and the
Similarity of Masks", appendix B: weights that lead to no output, ``mode="output"``.

Departures
----------
* The second paper measures implicit pruning by weights that training left at their first value;
  those that read only constant zeros count there too. Here the pattern alone decides.
"""

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr
from sparse_ref.topology.patterns import Layers, Topology, chained

MODES = ("both", "output", "input")


def effective_pattern(
    network: Topology, mode: str = "both", *, pattern: str = "structural"
) -> Layers:
    """The connections that are effective, layer by layer, with the values they have.

    Parameters
    ----------
    network : topology
        See `patterns`; shapes must chain. Dense layers of a `Network` count as complete.
    mode : str
        ``both``: those on a path from an input to an output. ``output``: those from which an output
        can be reached. ``input``: those that can be reached from an input.
    pattern : str
        See `patterns.pattern_of`.

    Returns
    -------
    tuple of (n_out, n_in) csr_array
        A layer of which nothing goes is the one given. O(connections + units).

    Examples
    --------
    The second hidden unit has no output, the third no input.

    >>> layers = np.array([[1, 1], [0, 1], [0, 0]]), np.array([[1, 0, 1]])
    >>> [[layer.nnz for layer in effective_pattern(layers, mode)] for mode in MODES]
    [[2, 1], [2, 2], [3, 1]]
    """
    layers = chained(network, "effective_pattern", pattern)
    units = _units(layers, mode, "effective_pattern")
    return tuple(_between(layer, units[k], units[k + 1]) for k, layer in enumerate(layers))


def effective_sparsity(
    network: Topology, mode: str = "both", *, pattern: str = "structural"
) -> float:
    """Fraction of all positions, of all layers together, without an effective connection.

    At least the sparsity, and equal to it where every connection is effective; nan without
    positions. Parameters as `effective_pattern`.
    """
    layers = chained(network, "effective_sparsity", pattern)
    units = _units(layers, mode, "effective_sparsity")
    effective = sum(_between(w, units[k], units[k + 1]).nnz for k, w in enumerate(layers))
    positions = sum(layer.shape[0] * layer.shape[1] for layer in layers)
    return 1 - effective / positions if positions else float("nan")


def effective_units(
    network: Topology, mode: str = "both", *, pattern: str = "structural"
) -> tuple[np.ndarray, ...]:
    """Units on a path, as in `effective_pattern`: bool arrays, inputs first, one longer than it.

    ``both``: an input and an output can be reached; ``output``, ``input``: the one that is named.
    """
    return _units(chained(network, "effective_units", pattern), mode, "effective_units")


def fed(weight: csr_array, alive: np.ndarray) -> np.ndarray:
    """``(n_out,)`` bool: units that a connection enters from one of the ``(n_in,)`` `alive`."""
    met = np.concatenate([[0], np.cumsum(alive[weight.indices])])
    return met[weight.indptr[1:]] > met[weight.indptr[:-1]]


def read(weight: csr_array, alive: np.ndarray) -> np.ndarray:
    """``(n_in,)`` bool: units that a connection leaves to one of the ``(n_out,)`` `alive`."""
    out = np.zeros(weight.shape[1], bool)
    out[weight.indices[of_rows(weight, alive)]] = True
    return out


def of_rows(weight: csr_array, values: np.ndarray) -> np.ndarray:
    """``(nnz,)``: of each connection, the value of the unit it enters."""
    return np.repeat(values, np.diff(weight.indptr))


def _units(layers, mode, who):
    if mode not in MODES:
        raise ValueError(f"{who}: mode must be one of {list(MODES)}, got {mode!r}")
    reached = [np.ones(layers[0].shape[1], bool)]
    for layer in layers:
        reached.append(fed(layer, reached[-1]))
    leading = [np.ones(layers[-1].shape[0], bool)]
    for layer in reversed(layers):
        leading.append(read(layer, leading[-1]))
    leading.reverse()
    if mode == "both":
        return tuple(a & b for a, b in zip(reached, leading, strict=True))
    return tuple(leading if mode == "output" else reached)


def _between(layer, inputs, outputs):
    """A layer's connections from one of `inputs` to one of `outputs`."""
    drop = np.flatnonzero(~(inputs[layer.indices] & of_rows(layer, outputs)))
    if not drop.size:
        return layer
    none = np.empty(0, np.int64)
    return csr.apply(layer, csr.Rewire(drop, none, np.empty(0, layer.dtype)))[0]
