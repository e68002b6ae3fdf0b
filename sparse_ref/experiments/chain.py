"""A chain of prunings as one job: trainings that need each other's weights run in one process."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from sparse_ref.experiments.config import RunConfig
from sparse_ref.experiments.runner import Data, beginning
from sparse_ref.experiments.snapshot import Snapshot, put, taken
from sparse_ref.history import Epoch
from sparse_ref.layers.base import is_sparse
from sparse_ref.lottery import Level, Treatment, iterative_pruning
from sparse_ref.lottery.iterative import FASTER_ON_BLAS
from sparse_ref.network import Network
from sparse_ref.pruning import Pruner
from sparse_ref.train import Evaluation, evaluate


@dataclass(frozen=True)
class Chain:
    """What `sparse_ref.lottery.iterative_pruning` takes beside the configuration of a training.

    Attributes
    ----------
    levels : int
        Prunings; one training more.
    pruner : callable
        From `sparse_ref.pruning`.
    treatment : Treatment or str
    rewind_step : int
    blas_above : float
    """

    levels: int
    pruner: Pruner
    treatment: Treatment | str = "rewind"
    rewind_step: int = 0
    blas_above: float = FASTER_ON_BLAS


class Link(NamedTuple):
    """What a level of a chain came to; plain enough to travel between processes."""

    number: int  # prunings before it
    test: Evaluation
    connections: tuple[int, ...]  # of each layer with a weight
    dense: tuple[int, ...]  # which of those are dense
    nbytes: int  # weights, patterns, biases, states of optimizer and method
    epochs: tuple[Epoch, ...]
    snapshot: Snapshot | None = None  # of the trained network, if the job keeps it
    positions: tuple[int, ...] = ()  # of each layer with a weight

    @property
    def weights(self) -> tuple[csr_array | np.ndarray, ...]:
        """Of every layer with one, from inputs to outputs: CSR, or an array of a dense layer."""
        if self.snapshot is None or self.snapshot.others is None:
            raise ValueError(f"Link: level {self.number} must be kept to have weights, got none")
        sparse = iter(self.snapshot.weights)
        arrays = (value for value in self.snapshot.others if value.ndim == 2)
        return tuple(
            next(arrays) if k in self.dense else next(sparse) for k in range(len(self.connections))
        )


def run_chain(
    config: RunConfig,
    data: Data,
    chain: Chain,
    keep: tuple[int, ...] = (),
    start: Snapshot | None = None,
) -> Iterator[Link]:
    """Train a chain, level by level.

    Parameters
    ----------
    config : RunConfig
        Of every level's training; its model is level 0's, best a dense one.
    data : Data
    chain : Chain
    keep : tuple of int
        Levels of which to keep the network.
    start : Snapshot, optional
        See `sparse_ref.experiments.runner.beginning`.
    """
    net, rng = beginning(config, start)
    steps_per_epoch = -(-len(data.train[1]) // config.batch_size)
    steps = steps_per_epoch * config.epochs
    levels = iterative_pruning(
        net,
        data.train,
        levels=chain.levels,
        pruner=chain.pruner,
        treatment=chain.treatment,
        rewind_step=chain.rewind_step,
        method=config.method.build(steps),
        optimizer=config.optimizer.build(steps_per_epoch, steps),
        epochs=config.epochs,
        batch_size=config.batch_size,
        rng=rng,
        blas_above=chain.blas_above,
        validation=data.validation,
        augment=data.augment,
    )
    del net  # or the dense network would live as long as the chain
    for level in levels:
        yield _link(level, data.test, level.number in keep)


def network(config: RunConfig, link: Link) -> Network:
    """The trained network of a level that was kept.

    Parameters
    ----------
    config : RunConfig
        Of the chain.
    link : Link
    """
    if link.snapshot is None:
        raise ValueError(f"network: level {link.number} must be kept, got no snapshot of it")
    patterns = link.snapshot.weights or None
    sparse: dict[str, Any] = {"dense": list(link.dense)} if patterns else {"density": None}
    model = config.model.model_copy(update=sparse)
    net = model.build(np.random.default_rng(config.seed), patterns)
    put(net, link.snapshot)
    return net


def _link(level: Level, test: Any, kept: bool) -> Link:
    net, history = level.network, level.history
    return Link(
        number=level.number,
        test=evaluate(net, test),
        connections=net.connections,
        dense=tuple(k for k, layer in enumerate(net.weighted) if not is_sparse(layer)),
        nbytes=net.nbytes + history.optimizer_bytes + history.method_bytes,
        epochs=tuple(history.epochs),
        snapshot=taken(net) if kept else None,
        positions=tuple(math.prod(layer.weight.shape) for layer in net.weighted),
    )
