"""What the figures of Liu2020 share: networks, their descendants, how they are trained."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from sparse_ref import topology
from sparse_ref.experiments.config import RunConfig, parse
from sparse_ref.experiments.liu_2020.images import HELD_OUT
from sparse_ref.experiments.recipe import Context
from sparse_ref.experiments.runner import beginning
from sparse_ref.experiments.snapshot import Snapshot
from sparse_ref.experiments.sweep import Outcome

SET, FIX, DENSE = "SET-MLP", "Fix-MLP", "dense"
CHANGED = 0.01  # of the connections, from one generation to the next
EVOLVES = {
    "name": "set",
    "convention": "set-keras",
    "options": {"drop_fraction": 0.2},
    "until": 1.0,
}
FIXED = {"name": "static", "until": 1.0}


def config(
    method: dict[str, Any],
    hidden: Sequence[int],
    density: float | None,
    epochs: int,
    seed: int,
    data: str,
    n_in: int = 784,
) -> RunConfig:
    """A training as section 4.1 has it; `density` is of the hidden layers, outputs are dense."""
    return parse(
        {
            "data": {"name": data, "validation": HELD_OUT},
            "model": {
                "sizes": [n_in, *hidden, 10],
                "density": density,
                "distribution": "er",
                "dense": [-1],
                "activation": "srelu",
                "initialisation": "glorot_uniform",
                "fan": "shape",
            },
            "method": method,
            "optimizer": {
                "learning_rate": 0.01,
                "schedule": "constant",
                "momentum": 0.9,
                "nesterov": True,
                "weight_decay": 1e-6,
            },
            "epochs": epochs,
            "batch_size": 128,
            "seed": seed,
        },
        "liu_2020",
    )


def accuracy(outcome: Outcome) -> float:
    """Test accuracy at the epoch of the best validation accuracy, the first of equals."""
    return float(outcome.curve["test"][np.argmax(outcome.curve["validation"])])


def accuracies(outcomes: Sequence[Outcome]) -> tuple[float, ...]:
    """Of the trainings that ended."""
    return tuple(accuracy(outcome) for outcome in outcomes if not outcome.failure)


def family(settings: RunConfig, generations: int) -> list[Snapshot]:
    """The network that `settings` begin with, and its descendants.

    Each differs from its parent in a hundredth of the connections of every sparse layer; values
    are not handed down, so a training draws its own.
    """
    net, rng = beginning(settings)
    root = [layer.weight for layer in net.sparse_layers]
    (draws,) = rng.spawn(1)
    chain = topology.generations(root, generations, CHANGED, draws)
    return [Snapshot(tuple(layers)) for layers in chain]


def begun(outcome: Outcome) -> Snapshot:
    """What a training of these figures started from."""
    if outcome.job.start is None:
        raise ValueError(f"liu_2020: {outcome.job.name} must have a start, got none")
    return outcome.job.start


def distances(networks: Sequence[Snapshot], context: Context) -> np.ndarray:
    """(n, n) NNSTD of the first layers, every pair once.

    In as many processes as the context allows, if joblib is there (extra ``sweep``), else in this
    one: the numbers are the same.
    """

    def told(done, total):
        context.say(f"distances of topologies: {done:,} of {total:,}")

    layers = [network.weights[0] for network in networks]
    workers = max(1, context.workers) if find_spec("joblib") else 1
    return topology.pairwise(layers, workers=workers, progress=told)


def pairs(matrix: np.ndarray, rows: Sequence[int], columns: Sequence[int]) -> tuple[float, ...]:
    """Entries of a matrix of distances for every pair of two different networks, each pair once."""
    wanted = {(min(i, j), max(i, j)) for i in rows for j in columns if i != j}
    return tuple(float(matrix[i, j]) for i, j in sorted(wanted))
