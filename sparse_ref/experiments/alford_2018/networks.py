"""The networks of figures 6 and 9: LeNet-300-100 dense, or its first two layers sparse."""

from typing import Any, NamedTuple

import numpy as np

from sparse_ref import topology
from sparse_ref.experiments.alford_2018 import published
from sparse_ref.experiments.config import RunConfig, parse
from sparse_ref.experiments.recipe import Images
from sparse_ref.experiments.runner import Data
from sparse_ref.experiments.snapshot import Snapshot
from sparse_ref.topology.patterns import Layers

RANDOM, RADIX, DENSE = "random", "RadiX-Net", "dense"
INPUTS, HIDDEN, SECOND, OUTPUTS = 784, 300, 100, 10
SET_ASIDE = 5_000  # the first training images, which TensorFlow's reader keeps for validation
RATE, DECAY = 0.2, 0.004

# Of the first hidden layer's width and the density: what has N = (r, r) with r = 1 / density.
LENET_SIZES = {(1, 0.1): "small", (10, 0.1): "big"}  # the paper's two
HALVES = {(1, 0.5): (196, 75, 25), (2, 0.5): (196, 150, 25)}  # N = (2, 2): 784 inputs, none cut


class Net(NamedTuple):
    """One of the networks.

    Attributes
    ----------
    kind : str
        `RANDOM`, `RADIX` or `DENSE`.
    times : int
        How many times as wide as LeNet's the first hidden layer is.
    density : float
        Of the two layers before the output layer, which is dense.
    """

    kind: str
    times: int = 1
    density: float = 1.0

    @property
    def sizes(self) -> list[int]:
        """Units from inputs to outputs."""
        return [INPUTS, HIDDEN * self.times, SECOND, OUTPUTS]

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Of the two sparse layers."""
        return [(HIDDEN * self.times, INPUTS), (SECOND, HIDDEN * self.times)]

    @property
    def connections(self) -> float:
        """Of the whole network, on average."""
        return self.density * sum(n_out * n_in for n_out, n_in in self.shapes) + SECOND * OUTPUTS

    @property
    def published(self) -> float | None:
        """Accuracy in the paper's figure."""
        return published.accuracy(*self)

    def layers(self, seed: int) -> Layers:
        """The two sparse layers; a RadiX-Net's are the same for every seed."""
        if self.kind == RADIX:
            return radix(self.times, self.density)
        rng = np.random.default_rng([seed, self.times])
        return topology.bernoulli(self.shapes, self.density, rng)

    def start(self, seed: int) -> Snapshot | None:
        """What a training begins with; a dense one with nothing in particular."""
        return None if self.kind == DENSE else Snapshot(self.layers(seed))


def has_radix(times: int, density: float) -> bool:
    """Whether there is a RadiX-Net of this width and density.

    Two layers of density 1/r each need N = (r, r), so both hidden layers have a multiple of r²
    units. There is none with 100 of them at densities 0.05 (400) and 0.01 (10000).
    """
    return (times, density) in LENET_SIZES or (times, density) in HALVES


def radix(times: int, density: float) -> Layers:
    """The RadiX-Net of this width and density, if `has_radix`."""
    if (times, density) in LENET_SIZES:
        return topology.lenet_radix_net(LENET_SIZES[times, density])
    return topology.radix_net([(2, 2)], HALVES[times, density])


def parts(images: Images, n: int | None, n_test: int | None = None) -> Data:
    """Training images but those set aside, `n` of them where not all are wanted; test images."""
    x, y = images.train
    x, y = (x[SET_ASIDE:], y[SET_ASIDE:]) if len(y) > 2 * SET_ASIDE else (x, y)
    test_x, test_y = images.test
    return Data((x[:n], y[:n]), None, (test_x[:n_test], test_y[:n_test]))


def config(net: Net, epochs: int, seed: int, data: str) -> RunConfig:
    """A training with the settings of the authors' program."""
    density = None if net.kind == DENSE else net.density
    model = {"sizes": net.sizes, "density": density, "dense": [-1]}
    return of_program(model, epochs, seed, data)


def of_program(model: dict[str, Any], epochs: int, seed: int, data: str) -> RunConfig:
    """A training of any network whose connections stay, with the program's other settings."""
    return parse(
        {
            "data": {"name": data, "validation": 0.0},
            "model": {**model, "initialisation": "truncated_normal"},
            "method": {"name": "static", "until": 1.0},
            "optimizer": {
                "learning_rate": RATE,
                "schedule": "constant",
                "momentum": 0.0,
                "nesterov": False,
                "weight_decay": DECAY,
            },
            "epochs": epochs,
            "batch_size": 100,
            "seed": seed,
        },
        "alford_2018",
    )
