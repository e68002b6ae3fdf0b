"""Structure without values: a structure that was found, with weights and biases drawn anew.

Trained with nothing else changed, it shows what the structure alone is worth; the control is a
random structure with as many connections in every layer.

References
----------
Van Gelder et al. (2020), section 3 and figure 1, after Zhou et al. (2019). The paper does not say
how many connections the layers of its random structures have: `random_structure` knows both
readings. Nor does it say what the new weights' variance counts: ``fan`` does.
"""

import copy
import math

import numpy as np

from sparse_ref import allocation, csr
from sparse_ref.initialise import initial_bias, initial_weights, kernel_of
from sparse_ref.layers import BatchNorm, Layer, SReLU
from sparse_ref.layers.base import is_sparse, is_weighted
from sparse_ref.network import Network
from sparse_ref.topology.patterns import Layers, Topology, layers_of, of_ones

COUNTS = ("same_per_layer", "uniform")


def reinitialised(
    net: Network,
    rng: np.random.Generator,
    initialisation: str = "kaiming_uniform",
    fan: str = "shape",
) -> Network:
    """A network of the same connections whose parameters are drawn anew; `net` is not changed.

    Parameters
    ----------
    net : Network
        Of any layers; dense ones stay dense.
    rng : Generator
        Layers draw as those of `sparse_ref.models.mlp` do: ``mlp(sizes, structure=..., rng=rng)``
        makes the same network.
    initialisation, fan : str
        See `sparse_ref.initialise`; ``shape`` draws as if layers were dense, ``nnz`` for the
        connections that a unit has.

    Examples
    --------
    >>> from sparse_ref.models import mlp
    >>> net = mlp([4, 3], density=0.5, rng=np.random.default_rng(7))
    >>> new = reinitialised(net, np.random.default_rng(8))
    >>> new.connections == net.connections
    True
    """
    (own,) = _generator("reinitialised", rng).spawn(1)
    streams = [stream.spawn(2) for stream in own.spawn(len(net.weighted))]
    layers: list[Layer] = []
    at = -1
    for layer in net.layers:
        at += is_weighted(layer)
        layers.append(_anew(layer, streams[at], initialisation, fan))
    return net.with_layers(layers)


def random_structure(
    structure: Topology, rng: np.random.Generator, counts: str = "same_per_layer"
) -> Layers:
    """A random structure to compare another with.

    Parameters
    ----------
    structure : topology
        See `sparse_ref.topology.patterns`.
    rng : Generator
        A stream for each layer is spawned from it.
    counts : str
        Connections of each layer. ``same_per_layer``: as in `structure`. ``uniform``: as many in
        all, every layer of about the same density (largest remainders).

    Returns
    -------
    Patterns of ones, for ``mlp(structure=...)``

    Examples
    --------
    >>> found = random_structure([np.eye(4), np.ones((2, 4))], np.random.default_rng(7))
    >>> [layer.nnz for layer in found]
    [4, 8]
    """
    if counts not in COUNTS:
        raise ValueError(f"random_structure: counts must be one of {list(COUNTS)}, got {counts!r}")
    layers = layers_of(structure, "random_structure")
    shapes, numbers = [w.shape for w in layers], [w.nnz for w in layers]
    if counts == "uniform":
        sizes = [math.prod(shape) for shape in shapes]
        numbers = allocation.apportion(sizes, sum(numbers), sizes).tolist()
    streams = _generator("random_structure", rng).spawn(len(layers))
    drawn = zip(shapes, numbers, streams, strict=True)
    return tuple(of_ones(shape, allocation.exact(shape, n, s)) for shape, n, s in drawn)


def _generator(who, rng):
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"{who}: rng must be a numpy.random.Generator, got {type(rng).__name__}")
    return rng


def _anew(layer, streams, initialisation, fan):
    """A layer like this one with new parameters; one without parameters is used again."""
    draws, unit_draws = streams
    if isinstance(layer, SReLU):
        (n, dtype), *_ = {(len(p), p.dtype) for p in layer.parameters().values()}
        return SReLU.initial(n, unit_draws, dtype)
    if isinstance(layer, BatchNorm):
        dtype, numbers = layer.gamma.dtype, (layer.momentum, layer.epsilon)
        return BatchNorm.initial(layer.n_channels, dtype, *numbers)
    if not is_weighted(layer):
        return layer
    new, kernel, shape = copy.copy(layer), kernel_of(layer), layer.weight.shape
    every = np.arange(layer.weight.size)
    positions = csr.flat(layer.weight) if is_sparse(layer) else every
    weight = csr.from_positions(shape, positions, np.zeros(len(positions), layer.weight.dtype))
    weight.data[:] = initial_weights(weight, draws, initialisation, fan, kernel)
    if is_sparse(layer):
        new.adopt(weight)
    else:
        new.weight = weight.data.reshape(shape)
    if "bias" in layer.parameters():
        new.bias = initial_bias(shape, draws, initialisation, layer.bias.dtype, kernel)
    return new
