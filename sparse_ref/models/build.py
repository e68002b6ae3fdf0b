"""From a table of rows to a network: shapes, connections per layer, their positions, their values.

Nothing as large as a sparse layer's dense weight is made on the way.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import allocation, csr
from sparse_ref.initialise import Kernel, initial_bias, initial_weights
from sparse_ref.layers import Conv2d, Dense, DenseConv2d, Linear
from sparse_ref.layers.base import Shape
from sparse_ref.models import options
from sparse_ref.models.options import DRAWS, NOT_GIVEN
from sparse_ref.models.rows import Conv, Full, Link, Place, Row, margins
from sparse_ref.network import Network
from sparse_ref.residual import Residual
from sparse_ref.topology.patterns import Topology


class Site(NamedTuple):
    """A layer with a weight, of which all is known but its connections."""

    number: int  # among the layers with a weight
    weight: tuple[int, ...]  # (n_out, n_in), or (filters, channels / groups, height, width)
    settings: dict[str, Any]  # of a convolution
    bias: bool = True

    @property
    def matrix(self) -> tuple[int, int]:
        """Shape of the weight as it is stored."""
        return self.weight[0], math.prod(self.weight[1:])

    @property
    def kernel(self) -> Kernel | None:
        """For `sparse_ref.initialise`."""
        if not self.settings:
            return None
        return Kernel(math.prod(self.weight[2:]), self.settings["groups"])


def build(
    who: str,
    table: Sequence[Row],
    shape: Shape,
    *,
    density: float | None = NOT_GIVEN,
    distribution: str | Sequence[int] = "erk",
    structure: Topology | None = None,
    rng: np.random.Generator,
    dtype: Any = np.float32,
    dense: Sequence[int] = (),
    draw: str = "exact",
    initialisation: str = "kaiming_uniform",
    fan: str = "shape",
    loss: str = "softmax_cross_entropy",
) -> Network:
    """The network of a table.

    Parameters
    ----------
    who : str
        The model, for errors.
    table : sequence of rows
        See `sparse_ref.models.rows`.
    shape : tuple of int
        Of an example.
    density, distribution, structure, rng, dtype, dense, draw, initialisation, fan, loss
        See `sparse_ref.models.mlp`.
    """
    options.require_name(who, "draw", draw, DRAWS)
    n = count_weights(table)
    streams = [stream.spawn(2) for stream in options.streams(who, rng, n)]
    shape = options.checked_shape(who, shape)
    nodes, _ = _placed(table, shape, streams, dtype, 0)
    sites = list(_sites(nodes))
    kept_dense = options.layer_numbers(who, dense, n)
    if structure is None:
        density = options.given_density(who, density)
        plans = _counts(who, sites, density, distribution, kept_dense, draw)
    else:
        given = {"density": density, "distribution": distribution, "draw": draw}
        options.refuse_beside_structure(who, given)
        plans = options.patterns(who, [site.matrix for site in sites], structure, kept_dense)
    layers = [
        _weighted(site, plan, draw, draws, dtype, initialisation, fan)
        for site, plan, (draws, _) in zip(sites, plans, streams, strict=True)
    ]
    return Network(_filled(nodes, layers), loss, shape)


def count_weights(table: Sequence[Row]) -> int:
    """How many rows of a table have a weight."""
    return sum(1 for _ in weight_rows(table))


def weight_rows(table: Sequence[Row]) -> Iterator[Full | Conv]:
    """The rows with a weight, in the order in which the network numbers them."""
    for row in table:
        if isinstance(row, Link):
            yield from weight_rows([*row.body, *row.shortcut])
        elif isinstance(row, Full | Conv):
            yield row


def _placed(table, shape, streams, dtype, number):
    """Each row as a layer, as a `Site` or as a `Residual` of these; and the shape after them."""
    nodes: list[Any] = []
    for row in table:
        if isinstance(row, Link):
            body, after = _placed(row.body, shape, streams, dtype, number)
            number += count_weights(row.body)
            shortcut, _ = _placed(row.shortcut, shape, streams, dtype, number)
            number += count_weights(row.shortcut)
            nodes.append(Residual(body, shortcut))
            shape = after
        elif isinstance(row, Full | Conv):
            site, shape = _site(row, shape, number)
            nodes.append(site)
            number += 1
        else:
            nodes.append(row.make(Place(shape, streams[max(number - 1, 0)][1], dtype)))
            shape = nodes[-1].shape_after(shape)
    return nodes, shape


def _site(row, shape, number):
    """What is known of a layer from its row and the shape before it; and the shape after it."""
    if isinstance(row, Full):
        return Site(number, (row.units, math.prod(shape)), {}), (row.units,)
    channels, *size = shape
    groups = channels if row.filters is None else 1
    filters = channels if row.filters is None else row.filters
    settings = {
        "image": shape,
        "kernel": row.kernel,
        "stride": row.stride,
        "padding": margins(row.padding, shape, row.kernel, row.stride),
        "groups": groups,
    }
    weight = filters, channels // groups, row.kernel, row.kernel
    after = (filters, *_sizes_after(size, settings["padding"], row))
    return Site(number, weight, settings, row.bias), after


def _sizes_after(size, padding, row):
    """Height and width after a convolution."""
    around = padding if isinstance(padding, tuple) else ((padding, padding),) * 2
    return [
        (n + sum(zeros) - row.kernel) // row.stride + 1
        for n, zeros in zip(size, around, strict=True)
    ]


def _sites(nodes):
    for node in nodes:
        if isinstance(node, Residual):
            yield from _sites([*node.body, *node.shortcut])
        elif isinstance(node, Site):
            yield node


def _filled(nodes, layers):
    """The nodes with a layer for each site."""
    return [
        Residual(_filled(node.body, layers), _filled(node.shortcut, layers))
        if isinstance(node, Residual)
        else layers[node.number]
        if isinstance(node, Site)
        else node
        for node in nodes
    ]


def _counts(who, sites, density, distribution, dense, draw):
    """Connections (or draws) per layer; None where the layer is dense."""
    if density is None and isinstance(distribution, str):
        return [None] * len(sites)
    sparse = [site for site in sites if site.number not in dense]
    counts: list[int | None] = [None] * len(sites)
    if sparse:
        if draw == "with_replacement" and not isinstance(distribution, str):
            allotted: Sequence[int] | np.ndarray = options.numbers_of_draws(
                who, distribution, len(sparse)
            )
        else:
            allotted = allocation.allocate(distribution, [site.weight for site in sparse], density)
        for site, count in zip(sparse, allotted, strict=True):
            counts[site.number] = int(count)
    return counts


def _positions(shape, count, draw, rng):
    if draw == "bernoulli":
        return allocation.bernoulli(shape, count / (shape[0] * shape[1]), rng)
    return (allocation.exact if draw == "exact" else allocation.with_replacement)(shape, count, rng)


def _weighted(site, plan, draw, rng, dtype, initialisation, fan):
    """A layer of the connections that are given, or of as many as are to be drawn."""
    shape = site.matrix
    if plan is None:
        positions = np.arange(math.prod(shape))
    else:
        given = isinstance(plan, csr_array)
        positions = csr.flat(plan) if given else _positions(shape, plan, draw, rng)
    weight = csr.from_positions(shape, positions, np.zeros(len(positions), dtype))
    weight.data[:] = initial_weights(weight, rng, initialisation, fan, site.kernel)
    bias: Any = False
    if site.bias:
        bias = initial_bias(shape, rng, initialisation, dtype, site.kernel)
    if plan is None:
        made = DenseConv2d if site.settings else Dense
        return made(weight.data.reshape(shape), bias, **site.settings)
    return (Conv2d if site.settings else Linear)(weight, bias, **site.settings)
