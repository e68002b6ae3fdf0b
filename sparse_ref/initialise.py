"""Starting weights of the connections a layer has.

Only the stored connections are drawn, in slot order, never a dense array: the published codes that
draw a dense array and mask it have the same law, not the same numbers.

=====================  ==============================================================
scheme                 law
=====================  ==============================================================
``kaiming_uniform``    U(±sqrt(6 / fan_in)), He et al. 2015 for ReLU
``kaiming_normal``     N(0, 2 / fan_in)
``glorot_uniform``     U(±sqrt(6 / (fan_in + fan_out))), Glorot and Bengio 2010
``torch``              U(±sqrt(1 / fan_in)), biases too: PyTorch's default
``set``                N(0, 0.1²), the SET authors' sparse code
``truncated_normal``   N(0, 0.04²) redrawn beyond 2 σ, biases 0.1: Alford2018
=====================  ==============================================================

=========  ==========================================================================
fan        what fan_in and fan_out count
=========  ==========================================================================
``shape``  the positions, as if the layer were dense: what most published codes do
``nnz``    the connections of the unit (with ``glorot_uniform``: rigl_tf2's default)
``layer``  the layer's mean number of connections per unit
=========  ==========================================================================

``set`` and ``truncated_normal`` are the same whatever the fan.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import csr_array

Draw = Callable[[np.random.Generator, np.ndarray, np.ndarray], np.ndarray]

FANS = ("shape", "nnz", "layer")
SET_STD = 0.1
ALFORD_STD, ALFORD_BIAS = 0.04, 0.1


def initial_weights(
    weight: csr_array,
    rng: np.random.Generator,
    scheme: str = "kaiming_uniform",
    fan: str = "shape",
) -> np.ndarray:
    """Starting values of the connections of `weight`.

    Parameters
    ----------
    weight : (n_out, n_in) csr_array
        Its pattern counts, its values do not.
    rng : Generator
    scheme, fan : str
        See the module's tables.

    Returns
    -------
    (nnz,) of weight's dtype, in slot order
    """
    _check_names(scheme, fan)
    fan_in, fan_out = _fans(weight, fan)
    return SCHEMES[scheme](rng, fan_in, fan_out).astype(weight.dtype)


def initial_bias(
    shape: tuple[int, int], rng: np.random.Generator, scheme: str, dtype: Any = np.float32
) -> np.ndarray:
    """Starting bias ``(n_out,)`` of a layer of `shape` ``(n_out, n_in)``; mostly zero."""
    _check_names(scheme, "shape")
    n_out, n_in = shape
    if scheme == "torch":
        return _uniform(rng, np.full(n_out, 1.0 / math.sqrt(n_in))).astype(dtype)
    return np.full(n_out, ALFORD_BIAS if scheme == "truncated_normal" else 0.0, dtype)


def _check_names(scheme, fan):
    if scheme not in SCHEMES:
        raise ValueError(f"initialise: scheme must be one of {sorted(SCHEMES)}, got {scheme!r}")
    if fan not in FANS:
        raise ValueError(f"initialise: fan must be one of {list(FANS)}, got {fan!r}")


def _fans(weight, fan):
    """fan_in of the unit each connection enters and fan_out of the unit it leaves, (nnz,) each."""
    n_out, n_in = weight.shape
    if fan == "nnz":
        into, out_of = np.diff(weight.indptr), np.bincount(weight.indices, minlength=n_in)
        return np.repeat(into, into).astype(float), out_of[weight.indices].astype(float)
    share = weight.nnz / (n_out * n_in) if fan == "layer" else 1.0
    return np.full(weight.nnz, n_in * share), np.full(weight.nnz, n_out * share)


def _uniform(rng, bound):
    return (2.0 * rng.random(len(bound)) - 1.0) * bound


def _truncated_normal(rng, fan_in, fan_out):
    values = rng.standard_normal(len(fan_in))
    while (far := np.flatnonzero(np.abs(values) > 2.0)).size:
        values[far] = rng.standard_normal(far.size)
    return ALFORD_STD * values


SCHEMES: dict[str, Draw] = {
    "kaiming_uniform": lambda rng, fan_in, fan_out: _uniform(rng, np.sqrt(6.0 / fan_in)),
    "kaiming_normal": lambda rng, fan_in, fan_out: (
        rng.standard_normal(len(fan_in)) * np.sqrt(2.0 / fan_in)
    ),
    "glorot_uniform": lambda rng, fan_in, fan_out: _uniform(rng, np.sqrt(6.0 / (fan_in + fan_out))),
    "torch": lambda rng, fan_in, fan_out: _uniform(rng, np.sqrt(1.0 / fan_in)),
    "set": lambda rng, fan_in, fan_out: rng.standard_normal(len(fan_in)) * SET_STD,
    "truncated_normal": _truncated_normal,
}
