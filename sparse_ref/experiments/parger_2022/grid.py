"""What is trained: networks, methods, sparsities, allocations, seeds.

Of the convolutional networks see `convnets`. The perceptrons stand for the paper's networks by what
matters to a method that balances densities. One is LeNet-300-100. The other is badly balanced: its
first layer holds 74 % of all weights, as the largest of the paper's VGG16 does (102 of 138
million), and 784 times as many as its last. At a uniform density of 1 % ten connections are left to
the outputs.
"""

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from sparse_ref import allocation
from sparse_ref.experiments.config import RunConfig, parse
from sparse_ref.experiments.convnet import ConvNet, windows
from sparse_ref.experiments.evidence import Sample
from sparse_ref.experiments.sweep import Job, Outcome

BATCH_SIZE, DROP_FRACTION = 128, 0.1
SPARSITIES, STARTS = (0.9, 0.97, 0.99), ("ERK", "uniform")
COLUMNS = tuple(itertools.product(SPARSITIES, STARTS))  # those of tables 1, 2 and 3
MASKED = 0.97  # sparsity of which table 4 and figures 2 and 3 show the final patterns
DENSE, SET, RIGL, BOTH, DSR, GGR = "dense", "SET", "RigL", "Set+Rigl", "DSR", "GGR"
GGR_SET, GGR_RIGL = "GGR SET", "GGR RigL"
RIVALS = (SET, RIGL, DSR, GGR)  # tables 1, 2 and 4, figures 2 and 3
ROWS = {  # of table 3: distribution and insertion
    SET: ("local", "random"),
    RIGL: ("local", "gradient"),
    BOTH: ("local", "mixed"),
    GGR_SET: ("global", "random"),
    GGR_RIGL: ("global", "gradient"),
    GGR: ("global", "mixed"),
}


@dataclass(frozen=True)
class Settings:
    """What differs between scales.

    Attributes
    ----------
    networks : sequence of sizes
        Units per layer; the last is the badly balanced network.
    images : int, optional
        Training images, the same for every seed; None: all.
    epochs : int
        Even: half of them redistribute.
    seeds : int
    """

    networks: tuple[tuple[int, ...], ...] = ((784, 300, 100, 10), (784, 1000, 250, 100, 10))
    images: int | None = None
    epochs: int = 200
    seeds: int = 3


SETTINGS = {
    "smoke": Settings(((784, 30, 20, 10), (784, 60, 30, 20, 10)), images=384, epochs=4, seeds=2),
    "laptop": Settings(images=10_000, epochs=40, seeds=5),
    "paper": Settings(),
}


Net = tuple[int, ...] | ConvNet  # units per layer of a perceptron, or a convolutional network


class Cell(NamedTuple):
    """A kind of training: what all its seeds share."""

    network: Net
    method: str
    sparsity: float = 0.0
    start: str = ""

    @property
    def density(self) -> float | None:
        """None for the dense network."""
        return None if self.method == DENSE else round(1 - self.sparsity, 6)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """``(n_out, n_in)`` of each weight; of a convolution with height and width behind it."""
        if isinstance(self.network, ConvNet):
            return list(self.network.shapes)
        return [(after, before) for before, after in itertools.pairwise(self.network)]

    @property
    def positions(self) -> list[int]:
        """Of each weight."""
        return [math.prod(shape) for shape in self.shapes]

    @property
    def windows(self) -> list[int]:
        """Positions of the kernel of each weight; 1 of a linear layer."""
        return windows(self.shapes)


def named(network: Net) -> str:
    """What tables call a network."""
    if isinstance(network, ConvNet):
        return network.title
    return "-".join(map(str, network))


def heading(sparsity: float, start: str) -> str:
    """What sentences call a column of tables 1, 2 and 3."""
    return f"sparsity {sparsity:g}, {start}"


def cells(
    networks: Iterable[Net],
    methods: Iterable[str],
    columns: Iterable[tuple[float, str]] = COLUMNS,
) -> list[Cell]:
    """Every method at every sparsity and allocation; a dense network has neither."""
    wanted = itertools.product(networks, methods, columns)
    found = (Cell(net, m) if m == DENSE else Cell(net, m, *column) for net, m, column in wanted)
    return list(dict.fromkeys(found))


def job(cell: Cell, epochs: int, data: str, images: int, seed: int) -> Job:
    """One training of a cell on `images` images of the set `data`."""
    name = ", ".join(filter(None, (cell.method, named(cell.network), cell.start)))
    whole = config(cell, epochs, data, images, seed)
    return Job(name, whole, keep=(epochs,) if cell.sparsity == MASKED else ())


def config(cell: Cell, epochs: int, data: str, images: int, seed: int) -> RunConfig:
    """The paper's schedule (section 4), stretched to `epochs`."""
    steps_per_epoch = math.ceil(images / BATCH_SIZE)
    net = cell.network
    model: dict[str, Any] = {"sizes": list(net)}
    if isinstance(net, ConvNet):
        model = net.settings
    model |= {"density": cell.density, "initialisation": "kaiming_uniform", "fan": "layer"}
    if cell.start:
        model["distribution"] = cell.start.lower()
    optimizer = {
        "learning_rate": 0.1,
        "momentum": 0.9,
        "nesterov": False,
        "weight_decay": 0.0005,
        "schedule": "step",
        "warmup_epochs": 1,
        "step_epochs": [round(epochs * share) for share in (0.3, 0.6, 0.8)],
        "step_factor": 0.2,
    }
    settings = {
        "data": {"name": data, "validation": 0.0},
        "model": model,
        "method": method(cell, steps_per_epoch, epochs),
        "optimizer": optimizer,
        "epochs": epochs,
        "batch_size": BATCH_SIZE,
        "seed": seed,
    }
    return parse(settings, "parger_2022")


def method(cell: Cell, steps_per_epoch: int, epochs: int) -> dict[str, Any]:
    """Name and options: events between epochs, from the first to half of the training."""
    half = steps_per_epoch * (epochs // 2)
    if cell.method == DENSE:
        return {"name": "static"}
    if cell.method == DSR:  # follows an epoch's last update
        options = {"target": DROP_FRACTION, "every": steps_per_epoch, "stop": half}
        return {"name": "dsr", "options": options | {"initial_threshold": threshold(cell)}}
    distribution, insertion = ROWS[cell.method]
    options = {  # takes the place of an epoch's first update; from step `half + 1` the cosine is 0
        "drop_fraction": DROP_FRACTION,
        "every": steps_per_epoch,
        "stop": half + 1,
    }
    names = {"distribution": distribution, "insertion": insertion}
    return {"name": "ggr", "options": names | options}


def threshold(cell: Cell) -> float:
    """Magnitude below which 10 % of the starting weights of a cell are expected.

    They are uniform on ±sqrt(6 / fan), with the layer's mean number of connections per unit as fan.
    """
    counts = np.asarray(allocation.allocate(cell.start.lower(), cell.shapes, cell.density))
    fans = counts / [shape[0] for shape in cell.shapes]
    bounds = np.sqrt(6 / np.where(counts, fans, 1))  # any where there is no weight
    return float(DROP_FRACTION * counts.sum() / np.sum(counts / bounds))


@dataclass(frozen=True)
class Results:
    """Everything trained, by cell.

    Attributes
    ----------
    networks : sequence
        As in `Settings`; the last is the badly balanced one.
    outcomes : Cell -> outcomes
        Those that did not diverge.
    columns : sequence of (sparsity, start)
        Which were trained.
    """

    networks: tuple[Net, ...]
    outcomes: dict[Cell, list[Outcome]] = field(default_factory=dict)
    columns: tuple[tuple[float, str], ...] = COLUMNS

    @property
    def unbalanced(self) -> Net:
        """The badly balanced network."""
        return self.networks[-1]

    @property
    def worst(self) -> float:
        """The highest sparsity."""
        return max(sparsity for sparsity, _ in self.columns)

    def of(self, cell: Cell) -> Sample:
        """Test accuracies of a cell over seeds."""
        return Sample(cell.method, tuple(o.test.accuracy for o in self.outcomes[cell]))

    def average(self, method: str, sparsity: float, start: str) -> Sample:
        """Mean accuracy over networks, for each seed with which all of them ended."""
        return Sample(method, tuple(self._averages(method, sparsity, start).values()))

    def lost(self, method: str, sparsity: float) -> Sample:
        """Average accuracy from ERK less that from uniform, seed by seed."""
        erk, uniform = (self._averages(method, sparsity, start) for start in STARTS)
        both = [seed for seed in erk if seed in uniform]
        return Sample(method, tuple(erk[seed] - uniform[seed] for seed in both))

    def _averages(self, method, sparsity, start):
        by_seed: dict[int, list[float]] = {}
        for cell in cells(self.networks, [method], [(sparsity, start)]):
            for outcome in self.outcomes[cell]:
                by_seed.setdefault(outcome.config.seed, []).append(outcome.test.accuracy)
        ended = {s: values for s, values in by_seed.items() if len(values) == len(self.networks)}
        return {seed: float(np.mean(values)) for seed, values in ended.items()}


def numbers_of(cell: Cell, results: Results) -> dict[str, Any]:
    """What there is to say of a cell, for JSON."""
    outcomes = results.outcomes[cell]
    return {
        "network": named(cell.network),
        "method": cell.method,
        "sparsity": cell.sparsity,
        "start": cell.start,
        "seeds": [outcome.config.seed for outcome in outcomes],
        "accuracies": [outcome.test.accuracy for outcome in outcomes],
        "connections": [outcome.connections[1] for outcome in outcomes],
        "seconds": [outcome.seconds for outcome in outcomes],
    }
