"""Learned supermasks: train, for every weight that stays as it is, the odds that it is used.

Every position of a layer has a fixed weight w and a trained logit a. A forward pass uses a weight
with probability ``sigmoid(a)``, each by a coin of its own; the gradient goes to all logits,
straight through the coin.

    mask ~ Bernoulli(sigmoid(a)),    y = (w mask) x
    da   = (delta x^T) w sigmoid(a) (1 - sigmoid(a))  everywhere

The layer is ``w mask``, in CSR; logits are a *shadow* beside it (`sparse_ref.shadow`).

References
----------
Zhou, Lan, Liu, Yosinski (2019), "Deconstructing Lottery Tickets: Zeros, Signs, and the Supermask",
NeurIPS, section 5; `uber-research/deconstructing-lottery-tickets` (commit dbad201). There logits
begin at 0 and are trained by SGD of rate 100 and momentum 0.9 for 2000 epochs of batches of 250.

Departures
----------
* Coins are thrown after each update. Evaluation uses the last ones; the authors throw anew for
  every batch of it.
* The number of connections of an event is random, so no count is kept.

Memory: O(positions), for weights, logits and what the optimizer keeps for these.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sparse_ref.csr import Rewire
from sparse_ref.elementwise import sigmoid, sigmoid_slope
from sparse_ref.layers import LayerGrad
from sparse_ref.methods.base import Method
from sparse_ref.network import Network
from sparse_ref.optim import Optimizer
from sparse_ref.shadow import Shadow, change_to, spread


class State(NamedTuple):
    """What the method remembers."""

    logits: tuple["Logits", ...]  # of each sparse layer


@dataclass(frozen=True)
class Supermask(Method):
    """Supermasks learned by straight-through coins.

    Parameters
    ----------
    sigma_sign : bool
        Weights are their signs times the standard deviation (ddof 0) of the layer's, the authors'
        best choice; otherwise the network's own.
    dynamic_scaling : bool
        Weights used are multiplied by positions over connections of the layer; the gradient goes
        through that factor, too, as in the authors' code.
    """

    sigma_sign: bool = False
    dynamic_scaling: bool = False

    starts = None
    dense_state = True
    rewires_at_start = True
    rests_at_end = False
    trains_weights = False
    trains_biases = False
    conserves = "nothing"

    def due(self, step: int) -> bool:
        """Every step."""
        return True

    def init(self, net: Network, rng: np.random.Generator) -> State:
        """Logits of 0: every weight is used with probability one half."""
        streams = rng.spawn(len(net.sparse_layers))
        pairs = zip(net.sparse_layers, streams, strict=True)
        return State(tuple(self._logits(layer.weight, stream) for layer, stream in pairs))

    def shadows(self, state: State) -> tuple["Logits", ...]:
        """The logits."""
        return state.logits

    def rewire(
        self,
        net: Network,
        grads: Sequence[LayerGrad],
        state: State,
        step: int,
        rng: np.random.Generator,
    ) -> tuple[tuple[Rewire, ...], State]:
        """Throw the coins of the next forward pass; looks at no gradient."""
        layers = zip(net.sparse_layers, state.logits, rng.spawn(len(state.logits)), strict=True)
        return tuple(_thrown(la.weight, logits, own) for la, logits, own in layers), state

    def _logits(self, weight, rng):
        fixed = spread(weight, rng)
        if self.sigma_sign and fixed.size:
            fixed = np.sign(fixed) * np.std(fixed)
        return Logits(fixed, self.dynamic_scaling)


def _thrown(weight, logits, rng):
    logits.used = logits.coins(rng)
    return change_to(weight, logits, logits.used)


class Logits(Shadow):
    """Logits of a layer whose weights stay as they are.

    Parameters
    ----------
    weights : (n_out, n_in)
    scaled : bool
        See `Supermask`.

    Attributes
    ----------
    used : (n,) int64
        Flat positions of the weights that the last coins chose, ascending.
    mean_share : float
        Of the weights used, the mean of weight times gradient; 0 without a scale.
    """

    def __init__(self, weights: np.ndarray, scaled: bool = False):
        super().__init__(np.zeros_like(weights))
        self.weights, self.scaled = weights, scaled
        self.used = np.arange(weights.size)
        self.mean_share = weights.dtype.type(0)

    @property
    def nbytes(self) -> int:
        """Bytes of logits, buffers and weights."""
        return super().nbytes + self.weights.nbytes

    def step(self, grad: LayerGrad, optimizer: Optimizer, made: int, step: int) -> float:
        """See `Shadow.step`."""
        if self.scaled:
            shares = grad.weight * self.weights.reshape(-1)[self.used]
            self.mean_share = np.sum(shares) / max(1, len(self.used))
        return super().step(grad, optimizer, made, step)

    def gradient(self, block: np.ndarray, rows: slice) -> np.ndarray:
        """``da = scale (dW w - mean of dW w over the weights used) sigmoid'(a)``.

        The mean is there with the scale only: one weight more makes all the others smaller.
        """
        block *= self.weights[rows]
        block -= self.mean_share
        slope = np.empty_like(block)
        sigmoid_slope(self.trained[rows].reshape(-1), slope.reshape(-1))
        block *= slope * self.scale
        return block

    def values(self, positions: np.ndarray) -> np.ndarray:
        """The fixed weights, scaled if that was asked for."""
        return self.weights.reshape(-1)[positions] * self.scale

    def odds(self, rows: slice) -> np.ndarray:
        """``sigmoid(a)`` of some rows."""
        out = np.empty_like(self.trained[rows])
        sigmoid(self.trained[rows].reshape(-1), out.reshape(-1))
        return out

    def coins(self, rng: np.random.Generator) -> np.ndarray:
        """Flat positions, ascending, each chosen with probability ``sigmoid(a)``."""
        n_in = self.trained.shape[1]
        found = [
            np.flatnonzero(rng.random((rows.stop - rows.start, n_in)) < self.odds(rows))
            + rows.start * n_in
            for rows in self.blocks()
        ]
        return np.concatenate(found) if found else np.empty(0, np.int64)

    @property
    def scale(self) -> np.floating:
        """Positions over connections, or 1."""
        ratio = self.weights.size / max(1, len(self.used)) if self.scaled else 1.0
        return self.weights.dtype.type(ratio)
