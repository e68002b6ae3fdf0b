"""How the weights of `sparse_ref.Network` change their structure."""

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr
from sparse_ref.csr import Rewire
from sparse_ref.csr_checks import integers, require_ascending
from sparse_ref.layers import Dense, Linear
from sparse_ref.layers.base import is_sparse


def applied(weight: csr_array, rewire: Rewire) -> tuple[csr_array, np.ndarray]:
    """`csr.apply`, at once where there is nothing to apply."""
    if any(len(part) for part in (rewire.drop, rewire.grow, rewire.values)):
        return csr.apply(weight, rewire)
    return weight, np.arange(weight.nnz)


def pruned(weight: Any, drop: np.ndarray) -> tuple[csr_array, np.ndarray]:
    """The weight without some slots, and the old slot of each that is left."""
    if isinstance(weight, csr_array):
        none = np.empty(0, np.int64)
        return csr.apply(weight, Rewire(drop, none, np.empty(0, weight.dtype)))
    drop = integers("Network", "slots to prune", drop)
    require_ascending("Network", "slots to prune", drop, weight.size)
    kept = np.ones(weight.size, bool)
    kept[drop] = False
    source = np.flatnonzero(kept)
    return csr.from_positions(weight.shape, source, weight.reshape(-1)[source]), source


def complete(weight: np.ndarray) -> csr_array:
    """A dense layer's weight as CSR, its zeros too."""
    return csr.from_dense(weight, np.ones(weight.shape, bool))


def with_weight(layer: Any, weight: csr_array, blas_above: float) -> Any:
    """The layer with a smaller weight; a dense one gives way to a sparse one."""
    if is_sparse(layer):
        layer.adopt(weight)
        return layer
    if not isinstance(layer, Dense):
        return layer.with_weight(weight)
    sparse = Linear(weight, layer.bias)
    sparse.blas_above = blas_above
    return sparse
