"""SET: drop the weakest connections of every layer, grow as many at random.

References
----------
Mocanu et al. (2018), "Scalable training of artificial neural networks with adaptive sparse
connectivity inspired by network science", Nature Communications 9:2383, algorithm 1. Liu2020,
section 2.2, for the magnitude rule.

Departures
----------
* Weakest means smallest ``|w|`` of the layer, ``floor(ζ nnz)`` of them, as in Liu2020 and most
  later papers; Mocanu2018 takes the fraction ζ of the positive and of the negative weights apart.
* Every sparse layer evolves, the output layer too, as in the authors' sparse code.

Memory: O(connections). Growth draws ranks among the absent positions and never lists them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from sparse_ref.csr import Rewire, check
from sparse_ref.layers import LayerGrad
from sparse_ref.methods.base import Method, Run, check_fraction, check_steps, count, fraction_at
from sparse_ref.network import Network
from sparse_ref.schedules import Every, Schedule
from sparse_ref.selection import random_absent, smallest


@dataclass(frozen=True)
class SET(Method):
    """Sparse evolutionary training.

    Parameters
    ----------
    drop_fraction : float or schedule
        ζ, fraction of a layer's connections replaced per event.
    every : int, steps, optional
        Between events; one epoch if omitted, as in the paper.
    stop : int, steps, optional
        No event from this step on; by default the last step, so the last epoch ends without one.
    grow_std : float
        Grown weights are N(0, grow_std²); 0.1 in the authors' sparse code, 0 starts them at zero.

    Notes
    -----
    The defaults are the paper's, whose learning rate is constant. Under a falling rate what grows
    late is never trained, and 0.1 may be large beside the weights around it: let `drop_fraction`
    fall with the rate, or set `stop` to three quarters of the training.
    """

    drop_fraction: float | Schedule = 0.3
    every: int | None = None
    stop: int | None = None
    grow_std: float = 0.1

    def __post_init__(self):
        check_fraction("SET", self.drop_fraction)
        given = {"every": self.every, "stop": self.stop}
        check_steps("SET", **{name: n for name, n in given.items() if n is not None})
        if not isinstance(self.grow_std, Real):
            raise TypeError(f"SET: grow_std must be a number, got {type(self.grow_std).__name__}")
        if not 0 <= self.grow_std < np.inf:
            raise ValueError(f"SET: grow_std must be at least 0, got {self.grow_std}")

    def bind(self, run: Run) -> "SET":
        """Fill in `every` and `stop`."""
        every = self.every or run.steps_per_epoch
        return replace(self, every=every, stop=self.stop or run.steps)

    def due(self, step: int) -> bool:
        """At multiples of `every` before `stop`."""
        if self.every is None:
            raise ValueError("SET: every must be known before the first step, got None; see `bind`")
        return Every(self.every, stop=self.stop).due(step)

    def rewire(
        self,
        net: Network,
        grads: Sequence[LayerGrad],
        state: Any,
        step: int,
        rng: np.random.Generator,
    ) -> tuple[tuple[Rewire, ...], Any]:
        """Each layer by itself, from its own stream."""
        fraction = fraction_at("SET", self.drop_fraction, step)
        weights = [layer.weight for layer in net.sparse_layers]
        rewires = (
            rewire_layer(weight, count(fraction, weight.nnz), stream, self.grow_std)
            for weight, stream in zip(weights, rng.spawn(len(weights)), strict=True)
        )
        return tuple(rewires), state


def rewire_layer(
    weight: csr_array, n_drop: int, rng: np.random.Generator, grow_std: float = 0.1
) -> Rewire:
    """One SET event on one layer (Mocanu2018, algorithm 1, lines 6-10).

    Parameters
    ----------
    weight : (n_out, n_in) csr_array
    n_drop : int
        0 ... nnz.
    rng : Generator
    grow_std : float
        Standard deviation of grown weights.

    Notes
    -----
    A position just dropped may be drawn again; it is then a new connection: fresh weight, no
    momentum.
    """
    check(weight, "SET")
    drop = smallest(np.abs(weight.data), n_drop)  # remove a fraction ζ of the weakest
    grow = random_absent(weight, n_drop, rng, freed=drop)  # add as many at random
    values = grow_std * rng.standard_normal(n_drop)
    return Rewire(drop, grow, values.astype(weight.dtype))
