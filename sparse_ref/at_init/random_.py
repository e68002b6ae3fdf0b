"""Random pruning at initialisation: the baseline of every criterion.

==================  ================================================================================
mode                what is left of a density d
==================  ================================================================================
exact_per_layer     ``round(n d)`` of each layer, every subset equally likely
bernoulli           each connection by a coin of its own: counts are random (Alford2018)
global_exact        ``round(N d)`` of all layers together, every subset equally likely: the counts
                    of layers are hypergeometric (Synaptic-Flow's ``Rand``, which ranks numbers
                    drawn at random)
==================  ================================================================================

Synaptic-Flow's code draws anew in every round of a pruning, for what was removed before, too: the
last draw alone decides, so its rounds are one of ``global_exact`` here. Of a network that has been
pruned already only connections that are left are drawn: such prunings are nested.

`shuffled` keeps the counts of a pruning that is given and forgets which (open_lth).

References
----------
simonalford42/Kepner-sparse-nn @c0726a4, ``tensor_init.py``; ganguli-lab/Synaptic-Flow @9dfa57a,
``Pruners/pruners.py``; facebookresearch/open_lth @2ce732f, ``randomly_prune``, whose third way,
``even``, does not run as it is written and is left out.
"""

from collections.abc import Sequence

import numpy as np

from sparse_ref import allocation
from sparse_ref.at_init.pool import Drops, check_choice, competing, kept_count
from sparse_ref.methods.base import check_name
from sparse_ref.network import Network
from sparse_ref.pruning.weights import check_generator
from sparse_ref.selection import random_ranks

MODES = ("exact_per_layer", "bernoulli", "global_exact")
SCOPES = ("local", "global")


def random(
    net: Network,
    density: float,
    rng: np.random.Generator,
    mode: str = "exact_per_layer",
    *,
    exclude: Sequence[int] = (),
    count: str = "round_kept",
) -> Drops:
    """What to remove at random so that about a share `density` is left.

    Parameters
    ----------
    net : Network
        Not changed; values do not count.
    density : float
        In [0, 1]; a `Fraction` is counted exactly.
    rng : Generator
        A stream for each layer of ``net.weighted`` and one for draws that concern all are spawned.
    mode : str
        See the module.
    exclude : sequence of int
        Layers of ``net.weighted`` that lose nothing and do not count.
    count : str
        See `sparse_ref.at_init.pool`; ``bernoulli`` has no count.

    Returns
    -------
    tuple, one for each of ``net.weighted``
        For `Network.prune`.
    """
    check_generator("random", rng)
    check_choice("random", density, count, "keep_low_index")
    check_name("random", "mode", mode, MODES)
    layers = competing("random", net, exclude)
    sizes = [net.connections[k] for k in layers]
    *streams, shared = rng.spawn(len(net.weighted) + 1)
    if mode == "global_exact":
        n_removed = sum(sizes) - kept_count(sum(sizes), density, count)
        return _placed(net, layers, _of_pool(sizes, n_removed, shared))
    if mode == "bernoulli":
        lost = [
            allocation.bernoulli((1, n), float(1 - density), streams[k])
            for k, n in zip(layers, sizes, strict=True)
        ]
    else:
        lost = [
            random_ranks(n, n - kept_count(n, density, count), streams[k])
            for k, n in zip(layers, sizes, strict=True)
        ]
    return _placed(net, layers, lost)


def shuffled(net: Network, drops: Drops, rng: np.random.Generator, scope: str = "local") -> Drops:
    """As many to remove as `drops` has, but at random.

    Parameters
    ----------
    net : Network
        Not changed.
    drops : tuple, one for each of ``net.weighted``
        A pruning; layers with None stay out.
    rng : Generator
        A stream for each layer and one for all are spawned.
    scope : str
        ``local``: each layer loses as many as before; ``global``: all together do.
    """
    check_generator("shuffled", rng)
    check_name("shuffled", "scope", scope, SCOPES)
    if len(drops) != len(net.weighted):
        raise ValueError(
            f"shuffled: drops must be one per layer with a weight, {len(net.weighted)}, "
            f"got {len(drops)}"
        )
    *streams, shared = rng.spawn(len(net.weighted) + 1)
    counts = {k: len(drop) for k, drop in enumerate(drops) if drop is not None}
    sizes = {k: net.connections[k] for k in counts}
    if scope == "global":
        lost = _of_pool(list(sizes.values()), sum(counts.values()), shared)
    else:
        lost = [random_ranks(sizes[k], n, streams[k]) for k, n in counts.items()]
    return _placed(net, list(counts), lost)


def _of_pool(sizes, n, rng):
    """`n` random slots of the pool, as slots of each layer."""
    ranks, starts = random_ranks(sum(sizes), n, rng), np.cumsum([0, *sizes])
    parts = np.split(ranks, np.searchsorted(ranks, starts[1:-1]))
    return [part - start for part, start in zip(parts, starts[:-1], strict=True)]


def _placed(net, layers, lost):
    drops: list[np.ndarray | None] = [None] * len(net.weighted)
    for k, slots in zip(layers, lost, strict=True):
        drops[k] = slots
    return tuple(drops)
