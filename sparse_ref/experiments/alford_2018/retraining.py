"""What figures 2, 7 and 8 train: networks pruned while they train, and their structures anew.

A pruned network loses connections by Zhu and Gupta's curve, in every layer, between two steps; or
at one time, a dense network's weights of smallest magnitude. A retraining has the connections that
were left, and new weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sparse_ref import csr
from sparse_ref.experiments.alford_2018.networks import DECAY, RATE
from sparse_ref.experiments.config import parse
from sparse_ref.experiments.snapshot import Snapshot, put
from sparse_ref.experiments.sweep import Job, Outcome
from sparse_ref.network import Network
from sparse_ref.pruning import Magnitude
from sparse_ref.topology.patterns import Layers

RELU, LINEAR = "relu", "none"  # what stands on the outputs
NAMED = {RELU: "ReLU on the outputs", LINEAR: "linear outputs"}
BATCH = 100


class Model(NamedTuple):
    """A network of the paper.

    Attributes
    ----------
    name : str
    settings : mapping
        What its configuration says beside density, first weights and outputs.
    shapes : tuple of (n_out, n_in)
        Of its weights, a convolution's as ``(C_out, C_in kh kw)``.
    """

    name: str
    settings: Mapping[str, Any]
    shapes: tuple[tuple[int, int], ...]


LENET_300_100 = Model(
    "LeNet-300-100", {"sizes": [784, 300, 100, 10]}, ((300, 784), (100, 300), (10, 100))
)
LENET_5 = Model(
    "LeNet-5",
    {"name": "lenet_5", "options": {"variant": "D"}, "dense": []},
    ((20, 25), (50, 500), (384, 2450), (10, 384)),
)


@dataclass(frozen=True)
class Schedule:
    """When a network is pruned, in steps."""

    start: int
    stop: int
    every: int

    def options(self, density: float) -> dict[str, Any]:
        """Of `methods.GradualPruning`."""
        return {"density": density, "start": self.start, "stop": self.stop, "every": self.every}


PROGRAM = Schedule(3000, 10_000, 200)


@dataclass(frozen=True)
class Plan:
    """What all trainings of a figure share."""

    data: str
    epochs: int
    model: Model = LENET_300_100
    schedule: Schedule = PROGRAM
    rate: float = RATE

    def dense(self, seed: int, logits: str) -> Job:
        """A dense network, kept at its end."""
        return self._job("dense", None, "static", {}, seed, logits, keep=True)

    def pruned(self, density: float, seed: int, logits: str) -> Job:
        """A network that begins dense and is pruned while it trains, kept at its end."""
        options = self.schedule.options(density)
        return self._job("iterative pruning", 1.0, "gradual", options, seed, logits, keep=True)

    def retrained(
        self, name: str, structure: Layers, density: float, seed: int, logits: str
    ) -> Job:
        """New weights on a structure, kept at its end."""
        start = Snapshot(tuple(structure))
        return self._job(name, density, "static", {}, seed, logits, start, keep=True)

    def _job(self, name, density, method, options, seed, logits, start=None, keep=False):
        config = _config(self, density, method, options, seed, logits)
        kept = (self.epochs,) if keep else ()
        return Job(f"{name}, {NAMED[logits]}", config, curve=True, start=start, keep=kept)


def _config(plan, density, method, options, seed, logits):
    """The program's settings, see the recipe."""
    return parse(
        {
            "data": {"name": plan.data, "validation": 0.0},
            "model": {
                **plan.model.settings,
                "density": density,
                "initialisation": "truncated_normal",
                "logits_activation": logits,
            },
            "method": {"name": method, "options": options},
            "optimizer": {
                "learning_rate": plan.rate,
                "schedule": "constant",
                "momentum": 0.0,
                "nesterov": False,
                "weight_decay": DECAY,
            },
            "epochs": plan.epochs,
            "batch_size": BATCH,
            "seed": seed,
        },
        "alford_2018",
    )


def final(outcome: Outcome) -> Snapshot:
    """The network that a training ended with."""
    return outcome.snapshots[outcome.config.epochs]


def network(outcome: Outcome) -> Network:
    """The same, built again."""
    snapshot, config = final(outcome), outcome.config
    net = config.model.build(np.random.default_rng(config.seed), snapshot.weights or None)
    put(net, snapshot)
    return net


def structure_of(outcome: Outcome) -> Layers:
    """The connections that a pruned network ended with."""
    return final(outcome).weights


def pruned_once(outcome: Outcome, density: float) -> Layers:
    """Of each layer of a trained dense network, the weights of largest magnitude."""
    weights = [value for value in final(outcome).others or () if value.ndim == 2]
    drops = Magnitude(1 - density)(weights)
    return tuple(_without(w, drop) for w, drop in zip(weights, drops, strict=True))


def _without(weight, drop):
    stay = np.delete(np.arange(weight.size), drop)
    return csr.from_positions(weight.shape, stay, weight.reshape(-1)[stay])


class Classes(NamedTuple):
    """What a network does with each class of some images.

    Attributes
    ----------
    dead : tuple of int
        Classes whose output, after a ReLU on it, is zero for every image of theirs: none of their
        images has a gradient that could raise it. Of a linear output there are none.
    silent : tuple of int
        Of those, the classes whose output is zero for every image at all.
    missed : tuple of int
        Classes that no image is taken for; of equal outputs the first is taken.
    living : float
        Accuracy on the images of classes that are not dead; nan if there are none.
    ceiling : float
        Their share of all images: no network of these classes does better.
    """

    dead: tuple[int, ...]
    silent: tuple[int, ...]
    missed: tuple[int, ...]
    living: float
    ceiling: float


def classes(outputs: np.ndarray, labels: np.ndarray, logits: str) -> Classes:
    """What outputs ``(n, classes)`` say of labels ``(n,)``; `logits` is what stands on them."""
    every = range(outputs.shape[1])
    dead = [c for c in every if logits == RELU and not outputs[labels == c, c].any()]
    silent = [c for c in dead if not outputs[:, c].any()]
    guesses = outputs.argmax(axis=1)
    missed = np.setdiff1d(every, guesses)
    alive = ~np.isin(labels, dead)
    living = float(np.mean(guesses[alive] == labels[alive])) if alive.any() else float("nan")
    return Classes(tuple(dead), tuple(silent), tuple(missed.tolist()), living, float(alive.mean()))


def ceilings(labels: np.ndarray, n_dead: int) -> tuple[float, float]:
    """Least and largest share of images that is left where `n_dead` classes are never right."""
    shares = np.sort(np.bincount(labels)) / len(labels)
    return 1 - float(shares[len(shares) - n_dead :].sum()), 1 - float(shares[:n_dead].sum())


def seeds_of(first: Sequence[int], n: int) -> list[int]:
    """Seeds for `n` retrainings of each of some structures: new ones, none twice."""
    return [1000 * (1 + seed) + k for seed in first for k in range(n)]
