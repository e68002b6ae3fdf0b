"""How much two networks' connections have in common, unit by unit as they stand.

Of two layers of one shape, I connections are in both and U in at least one. Networks are compared
by the sums of these counts over their layers, never by a mean of the layers' numbers. Unlike
`nnstd`, these measures take hidden units by their numbers: they are for networks that began from
one start, not for networks drawn anew.

References
----------
Masks2020, section 4 and appendix A: Jaccard and Hamming distance of the masks of networks that were
pruned from one initialisation. No code of the analysis is public.

Departures
----------
* Two patterns without any connection are the same pattern: IoU 1, distance 0. The paper does not
  say.

Cost
----
Linear in the connections; nothing is kept.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from sparse_ref.topology import input_sets
from sparse_ref.topology.patterns import Topology, alike


def iou(first: Topology, second: Topology, *, pattern: str = "structural") -> float:
    """Intersection over union, ``I / U``: 1 for equal patterns, 0 for such that share nothing.

    Parameters
    ----------
    first, second : topologies
        Of the same shapes: see `sparse_ref.topology.patterns`.
    pattern : str
        ``structural``: a stored 0.0 is a connection. ``nonzero``: it is none.

    Examples
    --------
    >>> a, b = np.array([[1, 1, 0, 1, 0, 0]]), np.array([[1, 0, 0, 1, 1, 0]])
    >>> iou(a, b), jaccard_distance(a, b), hamming_distance(a, b)
    (0.5, 0.5, 2)
    """
    counts = _counted(first, second, pattern, "iou")
    return counts.shared / counts.union if counts.union else 1.0


def jaccard_distance(first: Topology, second: Topology, *, pattern: str = "structural") -> float:
    """``1 - I / U``, the share of what only one has; a metric. Parameters as for `iou`.

    Random patterns of one density d that have nothing to do with each other are about
    ``1 - d / (2 - d)`` apart.
    """
    counts = _counted(first, second, pattern, "jaccard_distance")
    return (counts.union - counts.shared) / counts.union if counts.union else 0.0


def hamming_distance(
    first: Topology, second: Topology, *, normalise: bool = False, pattern: str = "structural"
) -> float:
    """Positions connected in only one of the two; a metric.

    Parameters
    ----------
    first, second, pattern
        As for `iou`.
    normalise : bool
        Over the number of all positions; else the count, an int.
    """
    counts = _counted(first, second, pattern, "hamming_distance")
    differing = counts.union - counts.shared
    return differing / max(counts.positions, 1) if normalise else differing


def per_layer(
    measure: Callable[..., float], first: Topology, second: Topology, **options: Any
) -> tuple[float, ...]:
    """`measure` of each layer by itself.

    Parameters
    ----------
    measure : callable
        ``measure(first, second, **options)``, such as `iou`.
    first, second : topologies
        Of the same shapes.

    Examples
    --------
    >>> one, other = np.eye(2), np.array([[1, 1], [0, 0]])
    >>> per_layer(jaccard_distance, [one, one], [one, other])
    (0.0, 0.6666666666666666)
    """
    layers = zip(*alike(first, second, "per_layer"), strict=True)
    return tuple(measure(one, other, **options) for one, other in layers)


class _Counts(NamedTuple):
    shared: int  # I
    union: int  # U
    positions: int


def _counted(first, second, pattern, who):
    layers = list(zip(*alike(first, second, who, pattern), strict=True))
    shared = sum(_shared(one, other) for one, other in layers)
    connections = sum(one.nnz + other.nnz for one, other in layers)
    return _Counts(shared, connections - shared, sum(math.prod(one.shape) for one, _ in layers))


def _shared(one, other):
    arrays = one.indptr, one.indices, other.indptr, other.indices
    return int(input_sets.shared_connections(*map(np.ascontiguousarray, arrays)))
