"""One configured training, from seed to test accuracy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from sparse_ref.experiments.config import RunConfig
from sparse_ref.experiments.snapshot import Snapshot, put
from sparse_ref.experiments.watch import Look, watched
from sparse_ref.history import History
from sparse_ref.layers import Linear
from sparse_ref.methods import RigL
from sparse_ref.models import mlp
from sparse_ref.network import Network
from sparse_ref.optim import sgd
from sparse_ref.topology import out_degrees
from sparse_ref.train import Callback, Evaluation, evaluate, fit

DENSE = "dense"  # what a network without sparse layers is called in tables and files


class Data(NamedTuple):
    """Three parts, each ``(x, y)``; `validation` may be None."""

    train: Any
    validation: Any
    test: Any


@dataclass(frozen=True)
class Result:
    """What one training came to."""

    config: RunConfig
    history: History
    test: Evaluation
    connections: tuple[tuple[int, ...], tuple[int, ...]]  # per layer, before and after
    positions: tuple[int, ...]  # per layer: what a dense layer would have
    input_degrees: tuple[np.ndarray, np.ndarray]  # (n_in,) connections per input, before and after
    nbytes: int  # weights with patterns, biases, optimizer, method

    @property
    def label(self) -> str:
        """Name of the method; ``dense`` for a dense network."""
        return label(self.config)

    @property
    def seconds(self) -> float:
        """Training time, evaluation left out."""
        return sum(epoch.seconds for epoch in self.history.epochs)


def label(config: RunConfig) -> str:
    """Name of a run's method; ``dense`` for a dense network."""
    return DENSE if config.model.density is None else config.method.name


def run(
    config: RunConfig,
    data: Data,
    callbacks: Sequence[Callback] = (),
    before_event: Look | None = None,
    start: Snapshot | None = None,
) -> Result:
    """Train and test what `config` describes.

    The network and the training draw from two streams of the seed, so runs that differ in their
    method only start from the same network and see the same batches.

    Parameters
    ----------
    config : RunConfig
    data : Data
    callbacks : sequence of callables
        As for `sparse_ref.fit`.
    before_event : callable, optional
        See `sparse_ref.experiments.watch.watched`.
    start : Snapshot, optional
        See `beginning`.
    """
    net, fit_rng = beginning(config, start)
    before, degrees = net.connections, input_degrees(net)
    steps_per_epoch = -(-len(data.train[1]) // config.batch_size)
    steps = steps_per_epoch * config.epochs
    method = config.method.build(steps)
    history = fit(
        net,
        data.train,
        method=watched(method, before_event) if before_event else method,
        optimizer=config.optimizer.build(steps_per_epoch, steps),
        epochs=config.epochs,
        batch_size=config.batch_size,
        rng=fit_rng,
        validation=data.validation,
        callbacks=callbacks,
    )
    return Result(
        config=config,
        history=history,
        test=evaluate(net, data.test),
        connections=(before, net.connections),
        positions=tuple(layer.n_in * layer.n_out for layer in net.weighted),
        input_degrees=(degrees, input_degrees(net)),
        nbytes=net.nbytes + history.optimizer_bytes + history.method_bytes,
    )


def beginning(
    config: RunConfig, start: Snapshot | None = None
) -> tuple[Network, np.random.Generator]:
    """The network before training, and the generator that trains it.

    Parameters
    ----------
    config : RunConfig
    start : Snapshot, optional
        In place of the patterns that the configuration would draw, and of the values, if it has
        them. The batches are those of `config` all the same.
    """
    net_rng, fit_rng = np.random.default_rng(config.seed).spawn(2)
    net = config.model.build(net_rng, start.weights if start else None)
    if start:
        put(net, start)
    return net, fit_rng


def input_degrees(net: Network) -> np.ndarray:
    """``(n_in,)`` connections that leave each input unit."""
    first = net.weighted[0]
    if isinstance(first, Linear):
        return out_degrees(first.weight)
    return np.full(first.n_in, first.n_out)


def warm_up(
    batch_size: int,
    dtype: str = "float32",
    examples: int | None = None,
    say: Callable[[str], None] = lambda text: None,
    activation: str = "relu",
) -> None:
    """Compile, or load from the cache, every kernel a run will call.

    So that the seconds a run reports are seconds of training. A tiny network sees what the run
    will: whole batches, the last one of an epoch, and evaluations of any size.

    Parameters
    ----------
    batch_size, dtype
        Of the run.
    examples : int, optional
        Of an epoch; its last batch may be smaller than the others.
    say : callable, optional
        Told which part is under way.
    activation : str
        Of the run.
    """
    rng, rest = np.random.default_rng(17), (examples or batch_size) % batch_size
    make = partial(mlp, rng=rng, dtype=dtype, activation=activation)
    method, optimizer = RigL(every=1, stop=2), sgd(0.1, momentum=0.9, weight_decay=0.1)
    jobs = [(0.5, batch_size), (0.5, rest or batch_size), (None, batch_size)]
    for number, (density, n) in enumerate(jobs, start=1):
        say(f"compiling kernels, part {number} of {len(jobs) + 1} (first run only)")
        net = make([6, 5, 3], density=density)
        data = rng.random((n, 6)), rng.integers(0, 3, n)
        fit(net, data, method=method, optimizer=optimizer, epochs=1, batch_size=n, rng=rng)
    say(f"compiling kernels, part {len(jobs) + 1} of {len(jobs) + 1} (first run only)")
    for n in (1, 20, 40):  # one for each width of a tile
        make([6, 5, 3], density=0.5).predict(rng.random((n, 6)))
