"""One configured training, from seed to test accuracy."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from sparse_ref.experiments.config import RunConfig
from sparse_ref.experiments.model_config import MLP, ModelConfig
from sparse_ref.experiments.snapshot import Snapshot, put
from sparse_ref.experiments.watch import Look, watched
from sparse_ref.history import History
from sparse_ref.methods import RigL, Static
from sparse_ref.models import mlp
from sparse_ref.network import Network
from sparse_ref.optim import sgd
from sparse_ref.topology import out_degrees
from sparse_ref.train import Augment, Callback, Evaluation, evaluate, fit

DENSE = "dense"  # what a network without sparse layers is called in tables and files


class Data(NamedTuple):
    """Three parts, each ``(x, y)``; `validation` may be None."""

    train: Any
    validation: Any
    test: Any
    augment: Augment | None = None  # what `sparse_ref.fit` does to training batches


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
        augment=data.augment,
    )
    return Result(
        config=config,
        history=history,
        test=evaluate(net, data.test),
        connections=(before, net.connections),
        positions=tuple(math.prod(layer.weight.shape) for layer in net.weighted),
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
    """``(n_in,)`` connections that leave each input unit of the first layer with a weight.

    Of a convolution ``(C_in / groups * kh * kw,)``: those of each place of its window.
    """
    weight = net.weighted[0].weight
    if isinstance(weight, csr_array):
        return out_degrees(weight)
    return np.full(weight.shape[1], weight.shape[0])


def warm_up(
    batch_size: int,
    dtype: str = "float32",
    examples: int | None = None,
    say: Callable[[str], None] = lambda text: None,
    activation: str = "relu",
    model: ModelConfig | None = None,
) -> None:
    """Compile, or load from the cache, every kernel a run will call.

    So that the seconds a run reports are seconds of training. A tiny network sees what the run
    will: whole batches, the last one of an epoch, and evaluations of any size; a model that is
    known by its name is trained itself for a step or two.

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
    model : ModelConfig, optional
        Of the run.
    """
    if model is not None and model.name != MLP:
        say(f"compiling kernels of {model.name} (first run only)")
        _warm_up_named(model, batch_size, examples)
        return
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


def _warm_up_named(model, batch_size, examples):
    """A step with a whole batch, one with the last of an epoch, and an evaluation."""
    rng, rest = np.random.default_rng(17), (examples or batch_size) % batch_size
    net = model.build(rng)
    n, method = batch_size + rest, RigL(every=1, stop=2) if net.sparse_layers else Static()
    data = rng.random((n, net.n_in)), rng.integers(0, net.n_out, n)
    optimizer = sgd(0.001, momentum=0.9, weight_decay=0.1)
    fit(net, data, method=method, optimizer=optimizer, epochs=1, batch_size=batch_size, rng=rng)
    net.predict(data[0])
