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
``truncated_normal``   N(0, 0.04²) redrawn beyond 2 σ, biases 0.1; of convolutions
                       N(0, 0.05²), biases 0: Alford2018
=====================  ==============================================================

=========  ==========================================================================
fan        what fan_in and fan_out count
=========  ==========================================================================
``shape``  the positions, as if the layer were dense: what most published codes do
``nnz``    the connections of the unit (with ``glorot_uniform``: rigl_tf2's default)
``layer``  the layer's mean number of connections per unit
=========  ==========================================================================

A unit of a convolution is a filter, and on the side of the inputs a channel: fan_in is
``C_in / groups * kh * kw``, fan_out is ``C_out / groups * kh * kw``, and with ``nnz`` the
connections of the filter, and those that read the channel.

``set`` and ``truncated_normal`` are the same whatever the fan.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

Draw = Callable[[np.random.Generator, np.ndarray, np.ndarray], np.ndarray]


class Kernel(NamedTuple):
    """What the shape of a convolution's weight does not tell."""

    size: int  # kh * kw
    groups: int = 1


FANS = ("shape", "nnz", "layer")
SET_STD = 0.1
ALFORD_STD, ALFORD_BIAS = 0.04, 0.1
ALFORD_CONVOLUTION_STD = 0.05


def kernel_of(layer: Any) -> Kernel | None:
    """The `Kernel` of a convolution; None of any other layer."""
    settings = getattr(layer, "settings", {})
    return Kernel(math.prod(settings["kernel"]), settings["groups"]) if settings else None


def initial_weights(
    weight: csr_array,
    rng: np.random.Generator,
    scheme: str = "kaiming_uniform",
    fan: str = "shape",
    kernel: Kernel | None = None,
) -> np.ndarray:
    """Starting values of the connections of `weight`.

    Parameters
    ----------
    weight : (n_out, n_in) csr_array
        Its pattern counts, its values do not.
    rng : Generator
    scheme, fan : str
        See the module's tables.
    kernel : Kernel, optional
        Of a convolution, whose weight is ``(C_out, C_in / groups * kh * kw)``.

    Returns
    -------
    (nnz,) of weight's dtype, in slot order
    """
    _check_names(scheme, fan)
    draw = SCHEMES[scheme]
    if scheme == "truncated_normal" and kernel is not None:
        draw = _truncated_normal(ALFORD_CONVOLUTION_STD)
    return draw(rng, *_fans(weight, fan, kernel or Kernel(1))).astype(weight.dtype)


def initial_bias(
    shape: tuple[int, int],
    rng: np.random.Generator,
    scheme: str,
    dtype: Any = np.float32,
    kernel: Kernel | None = None,
) -> np.ndarray:
    """Starting bias ``(n_out,)`` of a layer whose weight has `shape` ``(n_out, n_in)``; mostly 0.

    `kernel` as for `initial_weights`.
    """
    _check_names(scheme, "shape")
    n_out, n_in = shape
    if scheme == "torch":
        return _uniform(rng, np.full(n_out, 1.0 / math.sqrt(n_in))).astype(dtype)
    alford = scheme == "truncated_normal" and kernel is None
    return np.full(n_out, ALFORD_BIAS if alford else 0.0, dtype)


def _check_names(scheme, fan):
    if scheme not in SCHEMES:
        raise ValueError(f"initialise: scheme must be one of {sorted(SCHEMES)}, got {scheme!r}")
    if fan not in FANS:
        raise ValueError(f"initialise: fan must be one of {list(FANS)}, got {fan!r}")


def _fans(weight, fan, kernel):
    """fan_in of the unit each connection enters and fan_out of the unit it leaves, (nnz,) each."""
    n_out, n_in = weight.shape
    if fan == "nnz":
        into, sources = np.diff(weight.indptr), _sources(weight, kernel)
        return np.repeat(into, into).astype(float), np.bincount(sources)[sources].astype(float)
    share = weight.nnz / (n_out * n_in) if fan == "layer" else 1.0
    leaving = n_out * kernel.size // kernel.groups
    return np.full(weight.nnz, n_in * share), np.full(weight.nnz, leaving * share)


def _sources(weight, kernel):
    """The unit, or channel of an image, that each connection reads: (nnz,)."""
    channels = weight.indices // kernel.size
    if kernel.groups == 1:
        return channels
    rows = np.repeat(np.arange(weight.shape[0]), np.diff(weight.indptr))
    group = rows // (weight.shape[0] // kernel.groups)
    return channels + group * (weight.shape[1] // kernel.size)


def _uniform(rng, bound):
    return (2.0 * rng.random(len(bound)) - 1.0) * bound


def _truncated_normal(std):
    def draw(rng, fan_in, fan_out):
        values = rng.standard_normal(len(fan_in))
        while (far := np.flatnonzero(np.abs(values) > 2.0)).size:
            values[far] = rng.standard_normal(far.size)
        return std * values

    return draw


SCHEMES: dict[str, Draw] = {
    "kaiming_uniform": lambda rng, fan_in, fan_out: _uniform(rng, np.sqrt(6.0 / fan_in)),
    "kaiming_normal": lambda rng, fan_in, fan_out: (
        rng.standard_normal(len(fan_in)) * np.sqrt(2.0 / fan_in)
    ),
    "glorot_uniform": lambda rng, fan_in, fan_out: _uniform(rng, np.sqrt(6.0 / (fan_in + fan_out))),
    "torch": lambda rng, fan_in, fan_out: _uniform(rng, np.sqrt(1.0 / fan_in)),
    "set": lambda rng, fan_in, fan_out: rng.standard_normal(len(fan_in)) * SET_STD,
    "truncated_normal": _truncated_normal(ALFORD_STD),
}
