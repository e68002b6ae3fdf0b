"""DeepR: connections of fixed sign; one that reaches zero goes dormant and another is activated.

A weight is ``w = s θ``, s a sign that stays. The optimizer moves w by the gradient, and so θ by
``s dE/dw``, as it should; `drift` adds an L1 term and noise. After each update the connections
whose θ is no longer positive go dormant, and as many random dormant ones are activated.

References
----------
Bellec, Kappel, Maass, Legenstein (2018), "Deep rewiring: training very sparse deep networks", ICLR,
algorithm 1. guillaumeBellec/deep_rewiring (2018-12), ``script_mnist_deep_rewiring*.py``.
IntelAI/dynamic-reparameterization (2019-05), ``parameterized_tensors.py``: DeepR as DSR's rival.

Departures
----------
* The paper's text was not verified. By others' accounts its algorithm shares one budget among all
  layers, lets θ = 0 stay, starts at θ = 0 and assigns signs beforehand: convention ``algorithm-1``.
  The default, ``paper``, takes the first three from the authors' main script, and draws a sign at
  each activation, as their script with sparse matrices does.
* An initial connection has the sign of its initial weight (where that is 0: as `sign` says).
* L1 and noise act beside the optimizer: with plain gradient descent, as in the paper, that is its
  formula; with momentum or Adam they do not enter the buffers, which start empty at activation.
* ``deep-rewiring``, ``-global`` and ``-sparse`` are the authors' scripts. Two draw their first
  connections with repetition and top them up in step 1; here the count is right from the start.
  Where more falls to a layer than is dormant the second fails; here the surplus is drawn anew. What
  the third draws may meet an existing connection and add to it; here only dormant ones are drawn.
* ``intel-dsr``: the temperature stays at the first of its schedule (1e-5 to 1e-15), full layers are
  not skipped, and where too few positions are free some just dropped are taken, while the code
  loses connections. Its L1 coefficient was not verified.
* The temperature 2.5e-11 makes the noise that of the authors' scripts at their first learning rate,
  ``T = η gdnoise² / 2``; the paper's own values were not verified.
* Soft-DeepR is left out: dormant θ move too, so it needs one at every position, and its number of
  connections is not constant.

Memory: O(connections): a byte of sign for each; with ``sign="position"`` eight bytes for about half
of the initial ones, while the signs of other positions are computed when needed.
"""

import math
from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr
from sparse_ref.allocation.sharing import shared_by_size, shared_uniformly
from sparse_ref.csr import Rewire
from sparse_ref.layers import LayerGrad
from sparse_ref.methods import base
from sparse_ref.methods.base import Method, check_name, check_number, check_steps, conventional
from sparse_ref.network import Network
from sparse_ref.selection import random_absent, random_ranks
from sparse_ref.selection.signs import position_signs, random_signs, signs_of

NAMES = {
    "scope": ("layer", "network"),
    "share": ("uniform", "initial"),
    "dormant": ("not_positive", "negative"),
    "sign": ("redrawn", "position", "first_move"),
    "noise": ("langevin", "gradient"),
}
SCRIPTS = {"noise": "gradient", "noise_std": 1e-5, "l1": 1e-5}  # all of the authors'
INTEL_STD = math.sqrt(2 * 1e-3 * 1e-5)  # its eta, its first temperature
INTEL = {"noise": "gradient", "noise_std": INTEL_STD, "exclude_just_dropped": True}
FIXED, ZERO = {"sign": "position"}, {"theta_start": 0.0}
SIZE = "at least 0 and finite"
NONE, NO_SIGNS = np.empty(0, np.int64), np.empty(0, np.int8)


class State(NamedTuple):
    """What DeepR remembers; one entry of each tuple a sparse layer."""

    signs: tuple[np.ndarray, ...]  # (nnz,) int8: 1, -1, or 0 where the first move will tell
    grown: tuple[np.ndarray, ...]  # int8, of the connections that this event activates, ascending
    shares: tuple[int, ...]  # connections at the start
    seeds: tuple[int, ...]  # of the signs by position
    exceptions: tuple[np.ndarray, ...]  # flat positions whose sign is not that, ascending


@conventional
@dataclass(frozen=True)
class DeepR(Method):
    """Deep rewiring.

    Parameters
    ----------
    l1, temperature : float
        α and T: an update takes ``η α`` off each θ, η being the learning rate, and adds the noise.
    every : int, steps
        Between events; 1 in the paper. What crosses zero in between stays and trains till then.
    scope, share : str
        ``layer``: each layer keeps its number of connections; ``network``: all together do. Then
        with ``uniform`` every dormant connection is equally likely to be activated, with
        ``initial`` layers are drawn in proportion to their connections at the start.
    dormant, theta_start : str, float
        What goes: ``not_positive``, θ <= 0, or ``negative``, θ < 0. And θ of what is activated: at
        0 it goes again under ``not_positive``, unless its next update moves it along its sign.
    sign : str
        Of an activated connection. ``redrawn``: drawn each time. ``position``: in one training the
        same whenever the position is activated. ``first_move``: that of its first weight not 0.
    noise, noise_std : str, float
        ``langevin``: ``sqrt(2 η T) ν`` is added to each weight, ν standard normal. ``gradient``:
        ``noise_std ν`` to its gradient, so ``η noise_std ν`` to the weight (the public codes).
    exclude_just_dropped : bool
        What goes in an event is not activated in it, unless nothing else is left.
    """

    l1: float = 1e-5
    temperature: float = 2.5e-11
    every: int = 1
    scope: str = "layer"
    share: str = "uniform"
    dormant: str = "not_positive"
    theta_start: float = 1e-12
    sign: str = "redrawn"
    noise: str = "langevin"
    noise_std: float = 1e-5
    exclude_just_dropped: bool = False
    convention: InitVar[str] = "paper"

    rests_at_end = False
    drifts = True
    conventions: ClassVar = {
        "paper": {},
        "algorithm-1": {**ZERO, **FIXED, "scope": "network", "dormant": "negative"},
        "deep-rewiring": {**SCRIPTS, **FIXED},
        "deep-rewiring-global": {**SCRIPTS, **FIXED, "scope": "network", "share": "initial"},
        "deep-rewiring-sparse": {**SCRIPTS, **ZERO},
        "intel-dsr": {**INTEL, **ZERO, "dormant": "negative", "sign": "first_move"},
    }

    def __post_init__(self, convention: str) -> None:
        check_steps("DeepR", every=self.every)
        for name, known in NAMES.items():
            check_name("DeepR", name, getattr(self, name), known)
        for name in ("l1", "temperature", "theta_start", "noise_std"):
            check_number("DeepR", name, getattr(self, name), SIZE, lambda x: 0 <= x < math.inf)
        if self.sign == "first_move" and self.theta_start:
            rule = "theta_start must be 0 where sign is 'first_move'"
            raise ValueError(f"DeepR: {rule}, got {self.theta_start}")

    @property
    def conserves(self) -> str:
        """What `scope` says."""
        return self.scope

    @property
    def starts(self) -> float | None:
        """0, or None for a θ above 0: its sign is not known beforehand."""
        return None if self.theta_start else 0.0

    def due(self, step: int) -> bool:
        """At multiples of `every`, the last step among them."""
        return step % self.every == 0

    def init(self, net: Network, rng: np.random.Generator) -> State:
        """The signs of the initial connections."""
        weights = [layer.weight for layer in net.sparse_layers]
        streams, signs, exceptions = rng.spawn(len(weights)), [], []
        seeds = tuple(int(stream.integers(2**63)) for stream in streams)
        for weight, seed, stream in zip(weights, seeds, streams, strict=True):
            positions = csr.flat(weight)
            given = self._signs(positions, seed, NONE, stream)
            signs.append(np.where(weight.data == 0, given, signs_of(weight.data)))
            differ = signs[-1] != given if self.sign == "position" else NONE
            exceptions.append(positions[differ])
        none, shares = (NO_SIGNS,) * len(weights), tuple(weight.nnz for weight in weights)
        return State(tuple(signs), none, shares, seeds, tuple(exceptions))

    def drift(
        self, net: Network, state: State, rate: float, rng: np.random.Generator
    ) -> list[np.ndarray]:
        """``-η α s`` and the noise; each layer from its own stream."""
        langevin = self.noise == "langevin"
        std = math.sqrt(2 * rate * self.temperature) if langevin else rate * self.noise_std
        streams = rng.spawn(len(state.signs)) if std else [rng] * len(state.signs)
        pairs = zip(state.signs, streams, strict=True)
        return [drift_layer(s, rate * self.l1, std, stream, net.dtype) for s, stream in pairs]

    def rewire(
        self,
        net: Network,
        grads: Sequence[LayerGrad],
        state: State,
        step: int,
        rng: np.random.Generator,
    ) -> tuple[tuple[Rewire, ...], State]:
        """Where nothing crossed zero, nothing changes and nothing is drawn."""
        weights = [layer.weight for layer in net.sparse_layers]
        drops = [crossed(weights[k].data, s, self.dormant) for k, s in enumerate(state.signs)]
        if self.sign == "first_move":
            state = state._replace(signs=tuple(signs_of(weight.data) for weight in weights))
        if not any(map(len, drops)):
            nothing = tuple(base.keep(weight.dtype) for weight in weights)
            return nothing, state._replace(grown=(NO_SIGNS,) * len(weights))
        streams = rng.spawn(len(weights))
        counts = self._counts(weights, drops, state.shares, rng)
        rewires, grown = [], []
        for k, weight in enumerate(weights):
            grow = activate(weight, drops[k], counts[k], streams[k], self.exclude_just_dropped)
            signs = self._signs(grow, state.seeds[k], state.exceptions[k], streams[k])
            values = signs * weight.dtype.type(self.theta_start) + 0  # no -0.0
            rewires.append(Rewire(drops[k], grow, values))
            grown.append(signs)
        return tuple(rewires), state._replace(grown=tuple(grown))

    def follow(self, state: State, sources: Sequence[np.ndarray]) -> State:
        """Survivors keep their signs, the activated take those that `rewire` gave them."""
        signs = list(state.signs)
        for number, (source, grown) in enumerate(zip(sources, state.grown, strict=True)):
            if len(grown) or len(source) != len(signs[number]):
                signs[number] = csr.carry(signs[number], source)
                signs[number][source < 0] = grown  # both ascend by position
        return state._replace(signs=tuple(signs))

    def _signs(self, positions, seed, exceptions, stream):
        """Signs of connections that do not have one from a weight."""
        if self.sign == "redrawn":
            return random_signs(len(positions), stream)
        if self.sign == "position":
            return position_signs(positions, seed, exceptions)
        return np.zeros(len(positions), np.int8)

    def _counts(self, weights, drops, shares, rng):
        """How many connections each layer activates."""
        gone = [len(drop) for drop in drops]
        if self.scope == "layer":
            return gone
        (own,) = rng.spawn(1)
        free = [math.prod(w.shape) - w.nnz for w in weights]
        if not self.exclude_just_dropped:
            free = [a + b for a, b in zip(free, gone, strict=True)]
        if sum(free) < sum(gone):  # all that is free, and the rest of what just went
            again = self._shared(shares, gone, sum(gone) - sum(free), own)
            return [a + b for a, b in zip(free, again, strict=True)]
        return self._shared(shares, free, sum(gone), own)

    def _shared(self, shares, free, n, rng):
        if self.share == "uniform":
            return shared_uniformly(free, n, rng)
        return shared_by_size(shares, free, n, rng)


def crossed(values: np.ndarray, signs: np.ndarray, dormant: str = "not_positive") -> np.ndarray:
    """Slots whose ``θ = s w`` is no longer positive.

    Parameters
    ----------
    values, signs : (nnz,), (nnz,) int8
        Weights; 1 or -1, while a connection of sign 0 has nothing to cross.
    dormant : str
        ``not_positive`` or ``negative``.
    """
    theta = signs * values
    return np.flatnonzero(theta < 0 if dormant == "negative" else (theta <= 0) & (signs != 0))


def drift_layer(
    signs: np.ndarray, shrink: float, std: float, rng: np.random.Generator, dtype: Any = float
) -> np.ndarray:
    """What DeepR adds to weights beside ``-η dE/dw``: ``-η α s`` and the noise.

    Parameters
    ----------
    signs : (nnz,) int8
    shrink, std : float
        ``η α``, and that of the noise. As ν is symmetric, it may be added to θ or to w.
    rng : Generator
    dtype : float32 or float64
    """
    kind = np.dtype(dtype).type
    drift = signs * kind(-shrink)
    if std:
        drift += kind(std) * rng.standard_normal(len(signs), dtype=kind)
    return drift


def activate(
    weight: csr_array, drop: np.ndarray, n: int, rng: np.random.Generator, exclude: bool = False
) -> np.ndarray:
    """Flat positions of `n` random dormant connections, ascending.

    Parameters
    ----------
    weight : (n_out, n_in) csr_array
    drop : (n_drop,) int64
        Slots that go in this event, ascending; their positions are among the dormant.
    n : int
    rng : Generator
    exclude : bool
        Take those of `drop` only where the others do not suffice.
    """
    if n == 0:
        return NONE
    if not exclude:
        return random_absent(weight, n, rng, freed=drop)
    others = min(n, math.prod(weight.shape) - weight.nnz)
    again = csr.positions_of(weight, drop[random_ranks(len(drop), n - others, rng)])
    return np.sort(np.concatenate([random_absent(weight, others, rng), again]))
