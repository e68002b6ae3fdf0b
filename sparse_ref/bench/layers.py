"""Part (a): the products of a linear layer in every library."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from sparse_ref.bench import clock
from sparse_ref.bench.contenders import WHATS, contenders, problem, reference, require_right
from sparse_ref.bench.peers import Peers
from sparse_ref.bench.settings import Settings

Record = dict[str, Any]
Say = Callable[[str], None]

SEED = 2021


def measure(settings: Settings, peers: Peers, say: Say) -> Iterator[Record]:
    """Time every product of every layer.

    Parameters
    ----------
    settings : Settings
    peers : Peers
        From `peers.load`.
    say : callable
        Takes a line of progress.

    Yields
    ------
    dict
        ``{"part": "kernels", "what", "who", "n_in", "n_out", "density", "connections", "batch",
        "threads", "seconds": [one per round]}``.

    Raises
    ------
    ValueError
        A library's result is wrong: its time would be worth nothing.
    """
    grid = itertools.product(settings.batches, settings.shapes, settings.densities)
    for batch, shape, density in grid:
        say(f"kernels: {shape[0]}x{shape[1]}, density {density:g}, batch {batch}")
        yield from measure_layer("kernels", shape, density, batch, settings, peers)


def measure_layer(
    part: str,
    shape: tuple[int, int],
    density: float,
    batch: int,
    settings: Settings,
    peers: Peers,
    who: Sequence[str] | None = None,
    whats: Sequence[str] = WHATS,
) -> Iterator[Record]:
    """Check and time one layer, with every number of threads.

    Parameters
    ----------
    part : str
        For the records.
    shape : (n_in, n_out)
    density : float
    batch : int
    settings : Settings
    peers : Peers
    who : sequence of str, optional
        Contenders to time; all if omitted.
    whats : sequence of str
        Products to time.
    """
    given = problem(shape, density, batch, np.random.default_rng(SEED))
    all_products = contenders(given, peers, who)
    table = {what: all_products[what] for what in whats}
    require_right(table, reference(given))
    about = {"part": part, "n_in": shape[0], "n_out": shape[1], "density": density}
    about |= {"connections": given.weight.nnz, "batch": batch}
    for count in settings.threads:
        with clock.threads(count):
            for what, by_name in table.items():
                calls = {who: contender.call for who, contender in by_name.items()}
                taken = clock.interleaved(calls, settings.rounds, settings.seconds)
                for who, seconds in taken.items():
                    yield about | {"what": what, "who": who, "threads": count, "seconds": seconds}
