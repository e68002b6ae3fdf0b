"""The networks of figure 9 on LeNet-5: its second convolution and the layer after it sparse.

The paper's are random. What a RadiX-Net of a convolution is neither the paper nor what we know of
its program says, and the paper has none on LeNet-5 ("we also test RadiX-Nets on Lenet-300-100").
Ours is one of channels: where it joins two channels, the whole kernel is there, and a unit that
reads a channel reads all its pixels. Channels must be multiples of r² for N = (r, r); of these
widths only r = 2 at twice the width has any. At the other densities an X-Net of whole kernels
stands beside the random net: every input channel picks as many output channels.
"""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr, topology
from sparse_ref.experiments.alford_2018 import published
from sparse_ref.experiments.alford_2018.networks import DENSE, RADIX, RANDOM, of_program
from sparse_ref.experiments.config import RunConfig
from sparse_ref.experiments.snapshot import Snapshot
from sparse_ref.topology.patterns import Layers, of_ones

XNET = "X-Net"
FIRST, SECOND, UNITS, OUTPUTS = 20, 50, 384, 10  # channels, channels, units, classes
KERNEL, PIXELS = 25, 49  # of a 5x5 convolution; of a channel that the layer after it reads
RADICES = (2, 2)


class Net5(NamedTuple):
    """One of the networks.

    Attributes
    ----------
    kind : str
        `RANDOM`, `RADIX`, `XNET` or `DENSE`.
    times : int
        How many times as many channels as LeNet's the second convolution has.
    density : float
        Of the two layers between the first and the last, which are dense.
    """

    kind: str
    times: int = 1
    density: float = 1.0

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Of the weights of the two sparse layers."""
        channels = SECOND * self.times
        return [(channels, FIRST * KERNEL), (UNITS, channels * PIXELS)]

    @property
    def connections(self) -> float:
        """Of the whole network, on average."""
        ends = FIRST * KERNEL + UNITS * OUTPUTS
        return self.density * sum(n_out * n_in for n_out, n_in in self.shapes) + ends

    @property
    def published(self) -> float | None:
        """Accuracy in the paper's figure."""
        return published.FIGURE_9_LENET_5.get((self.kind, self.times, self.density))

    def layers(self, seed: int) -> Layers:
        """The two sparse layers; a RadiX-Net's are the same for every seed."""
        if self.kind == RADIX:
            return self._radix()
        rng = np.random.default_rng([seed, self.times])
        if self.kind == RANDOM:
            return topology.bernoulli(self.shapes, self.density, rng)
        channels = [(SECOND * self.times, FIRST), self.shapes[1]]
        degrees = [round(self.density * max(shape)) for shape in channels]
        convolution, after = topology.x_net(channels, degrees, rng)
        return in_blocks(convolution, KERNEL), after

    def _radix(self):
        if not has_radix(self.times, self.density):
            raise ValueError(f"Net5: a RadiX-Net must be of width 2 and density 0.5, got {self}")
        sides, copies = FIRST, SECOND * self.times
        widths = [n // (RADICES[0] * RADICES[1]) for n in (sides, copies, UNITS)]
        convolution, after = topology.radix_net([RADICES], widths)
        return in_blocks(convolution, KERNEL), in_blocks(after, PIXELS)

    def start(self, seed: int) -> Snapshot | None:
        """What a training begins with; a dense one with nothing in particular."""
        return None if self.kind == DENSE else Snapshot(self.layers(seed))


def has_radix(times: int, density: float) -> bool:
    """Whether channels and units are multiples of 4 = r², with r = 2 = 1 / density."""
    return density == 0.5 and SECOND * times % 4 == 0


def in_blocks(pattern: csr_array, block: int) -> csr_array:
    """A pattern of channels as one of weights: each connection becomes `block` columns."""
    n_out, n_in = pattern.shape
    positions = csr.flat(pattern)[:, None] * block + np.arange(block)
    return of_ones((n_out, n_in * block), positions.reshape(-1))


def config(net: Net5, epochs: int, seed: int, data: str) -> RunConfig:
    """A training with the settings of the authors' program, as those of LeNet-300-100."""
    density = None if net.kind == DENSE else net.density
    options = {"variant": "D", "width": net.times}
    return of_program(
        {"name": "lenet_5", "options": options, "density": density}, epochs, seed, data
    )
