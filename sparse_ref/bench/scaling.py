"""Time and memory against the number of connections, at a constant number of connections per unit.

A network n - n - n - 10 in which every unit has ten connections has 21 n of them, and n² positions
a layer: from one size to the next the connections grow by √10 and the positions by 10. What is
truly sparse grows like the first. Five decades: 336 connections to 34 million. RigL looks at every
position by its definition, so its event grows like the second and is measured as far as it takes
about a second.

Memory is what NumPy allocated, from `tracemalloc`: weights, patterns, momentum, gradients,
activations and all that is temporary.
"""

import contextlib
import itertools
import math
import os
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from sparse_ref import csr, optim, tiles, train
from sparse_ref.bench import clock
from sparse_ref.methods import SET, RigL, Static
from sparse_ref.models import mlp

Record = dict[str, Any]
Say = Callable[[str], None]

PER_UNIT = 10  # connections into every hidden unit
SMALLEST = 16  # units of a layer at the first point
LARGEST = 34_000_000  # connections at the last point, at most; about 3 GB
CLASSES = 10
BATCH = 32
DROP_FRACTION = 0.3
RIGL_SECONDS = 1.0  # RigL's event is measured as long as it can be expected to take no more
SLOW_SECONDS, SLOW_ROUNDS = 1.0, 3  # where a call takes longer than this, so few rounds do
SEED = 31


def measure(settings: Any, say: Say, largest: int | None = None) -> Iterator[Record]:
    """Measure steps, events and memory over the sizes, and the bytes of one connection.

    Parameters
    ----------
    settings : object with ``threads`` (tuple of int), ``rounds`` and ``seconds``
        See `sparse_ref.bench.clock.interleaved`.
    say : callable
        Takes a line of progress, also when a size is left out and why.
    largest : int, optional
        Most connections; `LARGEST` if omitted. It ends earlier where half of the machine's memory
        would not be enough.

    Yields
    ------
    dict
        ``{"part": "scaling", "what": "bytes per connection", "value", "connections"}``, then
        ``{"part": "scaling", "what": "step" | "set event" | "rigl event", "connections", "n",
        "positions", "threads", "seconds": [one per round], "peak_bytes"}``.
    """
    largest = largest or LARGEST
    say("bytes of a connection in training with momentum")
    connections = min(1_000_000, max(100_000, largest))  # of one layer, small activations beside
    value = bytes_per_connection(_layer_step, connections)
    yield {"part": "scaling", "what": "bytes per connection"} | {
        "value": value,
        "connections": connections,
    }
    names = ["step", "set event", "rigl event"]
    _traced(SMALLEST, names)  # compiles: the compiler's memory is not to be taken for a network's
    last: list[Record] = []
    for n in itertools.takewhile(lambda n: connections_of(n) <= largest, _units()):
        if not _fits(last, n, say):
            return
        if "rigl event" in names and not _affordable(last, n, say):
            names.remove("rigl event")
        last = list(_point(n, names, settings, say))
        yield from last


def connections_of(n: int) -> int:
    """Connections of the network with `n` units a layer."""
    return (2 * PER_UNIT + 1) * n


class Work:
    """One size: a network, a batch, and what is done to them.

    Parameters
    ----------
    n : int
        Units of a layer.
    """

    def __init__(self, n: int):
        rng = np.random.default_rng(SEED)
        counts = (PER_UNIT * n, PER_UNIT * n, n)
        self.net = mlp((n, n, n, CLASSES), density=None, distribution=counts, rng=rng, fan="layer")
        self.x = tiles.pack(rng.standard_normal((BATCH, n), np.float32))
        self.y = rng.integers(0, CLASSES, BATCH)
        self.rng = rng
        self.training = _training(self.net, rng)

    def step(self) -> None:
        """Forward, backward, update with momentum."""
        train.step(self.net, self.x, self.y, self.training)

    def set_event(self) -> None:
        """Choose by SET, restructure, let the momentum follow."""
        self._event(SET(DROP_FRACTION), ())

    def rigl_event(self) -> None:
        """The same by RigL, on the gradients of one batch, whose computation is not counted."""
        if not hasattr(self, "grads"):
            grads = self.net.gradients(self.x, self.y)[1]
            self.grads = self.net.sparse_gradients(grads)  # its factors do not depend on structure
        self._event(RigL(DROP_FRACTION), self.grads)

    def actions(self) -> dict[str, Callable[[], None]]:
        """What is measured, by name."""
        return {"step": self.step, "set event": self.set_event, "rigl event": self.rigl_event}

    def _event(self, method, grads):
        rewires, _ = method.rewire(self.net, grads, None, 1, self.rng)
        sources = self.net.restructure(rewires)
        groups = self.training.optimizer_state.buffers
        pairs = zip(self.net.parameters(), groups, strict=True)
        momenta = [momentum for parameter, (momentum,) in pairs if parameter.slots]
        for momentum, source in zip(momenta, sources, strict=True):
            momentum[:] = csr.carry(momentum, source)


def bytes_per_connection(
    make: Callable[[int], Callable[[], None]], connections: int = 1_000_000
) -> float:
    """Bytes that one more connection costs while a training runs.

    Parameters
    ----------
    make : callable
        ``make(connections)`` builds what is trained and returns its step.
    connections : int

    Returns
    -------
    float
        What the peak of memory, over building's remains and three steps, is higher than with half
        of the connections, over the difference in connections. What does not depend on connections
        (activations, biases) falls out.
    """
    half = connections // 2
    make(half)()  # compiles
    few, many = _peak(make, half), _peak(make, connections)
    return (many - few) / (connections - half)


@contextlib.contextmanager
def _tracing() -> Iterator[None]:
    """Every array is counted, those from the pool of buffers too.

    Buffers that lie idle in the pool were allocated before and would not be, so it begins anew.
    """
    pool, tiles._pool = tiles._pool, tiles._Pool()
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()
        tiles._pool = pool


def _peak(make, connections):
    with _tracing():
        step = make(connections)
        tracemalloc.reset_peak()
        for _ in range(3):
            step()
        return tracemalloc.get_traced_memory()[1]


def _layer_step(connections, n=2000):
    """A step in which one layer has almost all connections and needs all three products."""
    rng = np.random.default_rng(SEED)
    counts = (n, connections - 2 * n, n)
    net = mlp((64, n, n, CLASSES), density=None, distribution=counts, rng=rng, fan="layer")
    x = tiles.pack(rng.standard_normal((16, 64), np.float32))
    y, training = rng.integers(0, CLASSES, 16), _training(net, rng)
    return lambda: train.step(net, x, y, training)


def _training(net, rng):
    """With a learning rate at which thousands of steps on one batch change nothing that matters."""
    return train.start(net, Static(), optim.sgd(1e-6, momentum=0.9), *rng.spawn(2))


def _units():
    """16 and every √10-fold of it, rounded, without end."""
    return (round(SMALLEST * 10 ** (k / 2)) for k in itertools.count())


def _point(n, names, settings, say):
    """All records of one size; memory first, in a pass of its own, since tracing takes time."""
    say(f"{connections_of(n):,} connections, {n:,} units a layer")
    work, peaks, took = _traced(n, names)
    slow = [name for name in names if took[name] > SLOW_SECONDS]
    rounds = min(settings.rounds, SLOW_ROUNDS) if slow else settings.rounds
    rest = dict.fromkeys(slow, lambda: time.sleep(settings.seconds))  # too long to waste a call
    contenders = {name: work.actions()[name] for name in names}
    for threads in settings.threads:
        with clock.threads(threads):
            times = clock.interleaved(contenders, rounds, settings.seconds, warm_up=rest)
        for name in names:
            yield {"part": "scaling", "what": name, "connections": sum(work.net.connections)} | {
                "n": n,
                "positions": sum(math.prod(la.weight.shape) for la in work.net.weighted),
                "threads": threads,
                "seconds": times[name],
                "peak_bytes": peaks[name],
            }


def _traced(n, names):
    """The work, the most bytes that lived during each action, and the seconds each took."""
    with _tracing():
        work, peaks, took = Work(n), {}, {}
        for name in names:
            tracemalloc.reset_peak()
            began = time.perf_counter()
            work.actions()[name]()
            took[name] = time.perf_counter() - began
            peaks[name] = tracemalloc.get_traced_memory()[1]
        return work, peaks, took


def _fits(last, n, say):
    """Whether the next size, by the peak of the last one, takes at most half of the memory."""
    needed = max((r["peak_bytes"] for r in last), default=0) * n / (last[0]["n"] if last else 1)
    fits = needed <= _memory() / 2
    if not fits:
        say(f"stopped before {connections_of(n):,} connections: about {needed / 1e9:.1f} GB needed")
    return fits


def _affordable(last, n, say):
    """Whether RigL's event, quadratic in n by what it is, can be expected to be short enough."""
    events = [r for r in last if r["what"] == "rigl event"]
    expected = max((min(r["seconds"]) * (n / r["n"]) ** 2 for r in events), default=0.0)
    if expected > RIGL_SECONDS:
        say(
            f"RigL's event is left out from {connections_of(n):,} connections on: it looks at all "
            f"{2 * n * n:,} positions, about {expected:.1f} s"
        )
    return expected <= RIGL_SECONDS


def _memory():
    """Bytes of memory of this machine; without end where the system does not tell."""
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return float("inf")
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
