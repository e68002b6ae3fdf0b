"""Edge-popup: find a good subnetwork of random weights that are never trained.

Every position of a layer has a fixed weight w and a trained score s. The forward pass uses the
weights with the largest ``|s|`` of each layer; the gradient goes to all scores, straight through
the choice.

    mask = 1 on the n - int((1 - density) n) largest |s| of the layer
    y    = (w mask) x,    ds = (delta x^T) w sign(s)  everywhere

The layer is ``w mask``, in CSR; scores are a *shadow* beside it (`sparse_ref.shadow`).

References
----------
Ramanujan, Wortsman, Kembhavi, Farhadi, Rastegari (2020), "What's Hidden in a Randomly Weighted
Neural Network?", CVPR; `allenai/hidden-networks` (commit dddf2d0), ``simple_mnist_example.py`` and
``utils/conv_type.py``. Not verified: whether the paper, too, takes the scores' absolute values.

Departures
----------
* `density` is what stays. The authors call the same number ``sparsity`` and ``prune_rate``, and use
  it as the fraction kept in one class and as the fraction removed in another.
* Weights are those that the network was built with: their example's is ``kaiming_normal``.
  ``weights="signed_constant"`` keeps the signs only, as their configurations for CIFAR.
* The mask is chosen after each update, not before each forward pass: the same one.
* Equal ``|s|``: the lower position is in.

Memory: O(positions), for weights, scores and what the optimizer keeps for these.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sparse_ref.csr import Rewire
from sparse_ref.layers import LayerGrad
from sparse_ref.methods.base import Method, check_name, check_number
from sparse_ref.network import Network
from sparse_ref.shadow import Shadow, kept, spread, to_largest

WEIGHTS = ("as_built", "signed_constant")


class State(NamedTuple):
    """What edge-popup remembers."""

    scores: tuple["Scores", ...]  # of each sparse layer
    counts: tuple[int, ...]  # connections of each


@dataclass(frozen=True)
class EdgePopup(Method):
    """Supermasks by edge-popup.

    Parameters
    ----------
    density : float, optional
        Of every sparse layer, in [0, 1]: the paper's k. Without it each layer keeps as many
        connections as it has. Build the network with ``density=1.0`` for all weights to be its own.
    weights : str
        ``as_built``: the network's. ``signed_constant``: their signs, times the standard deviation
        ``sqrt(2 / fan_in)`` of He et al. (2015).
    scale_fan : bool
        Count only the fraction `density` of the fan in that standard deviation.
    shadow_folder : str, optional
        A folder for scores and the optimizer's buffers, in place of memory; its files are
        overwritten.
    """

    density: float | None = None
    weights: str = "as_built"
    scale_fan: bool = False
    shadow_folder: str | None = None

    starts = None
    dense_state = True
    rewires_at_start = True
    rests_at_end = False
    trains_weights = False
    trains_biases = False

    def __post_init__(self) -> None:
        if self.density is not None:
            check_number("EdgePopup", "density", self.density, "in [0, 1]", lambda d: 0 <= d <= 1)
        check_name("EdgePopup", "weights", self.weights, WEIGHTS)
        if self.scale_fan and (self.weights != "signed_constant" or not self.density):
            raise ValueError(
                "EdgePopup: scale_fan needs signed_constant weights and a density above 0, got "
                f"{self.weights!r} and {self.density}"
            )

    @property
    def conserves(self) -> str:
        """Layers keep their counts, unless the first choice makes them as dense as asked for."""
        return "layer" if self.density is None else "nothing"

    def due(self, step: int) -> bool:
        """Every step."""
        return True

    def init(self, net: Network, rng: np.random.Generator) -> State:
        """Scores uniform within ``±1 / sqrt(fan_in)``, PyTorch's ``kaiming_uniform_(a=√5)``."""
        streams = rng.spawn(len(net.sparse_layers))
        scores = tuple(
            self._scores(layer.weight, stream, f"scores-{k}")
            for k, (layer, stream) in enumerate(zip(net.sparse_layers, streams, strict=True))
        )
        counts = tuple(kept(self.density, layer.weight) for layer in net.sparse_layers)
        return State(scores, counts)

    def shadows(self, state: State) -> tuple["Scores", ...]:
        """The scores."""
        return state.scores

    def rewire(
        self,
        net: Network,
        grads: Sequence[LayerGrad],
        state: State,
        step: int,
        rng: np.random.Generator,
    ) -> tuple[tuple[Rewire, ...], State]:
        """From the mask that was to the one that is; looks at no gradient, draws nothing."""
        layers = zip(net.sparse_layers, state.scores, state.counts, strict=True)
        return tuple(to_largest(la.weight, scores, n) for la, scores, n in layers), state

    def _scores(self, weight, rng, name):
        n_in = weight.shape[1]
        own, draws = rng.spawn(2)
        fixed = spread(weight, own)
        if self.weights == "signed_constant":
            fan = n_in * (self.density if self.scale_fan else 1.0)
            fixed = np.sign(fixed) * fixed.dtype.type(math.sqrt(2.0 / fan))
        bound = 1.0 / math.sqrt(n_in)
        scores = (2.0 * draws.random(fixed.shape) - 1.0) * bound
        return Scores(scores.astype(fixed.dtype), fixed, self.shadow_folder, name)


class Scores(Shadow):
    """Scores of a layer whose weights stay as they are.

    Parameters
    ----------
    scores, weights : (n_out, n_in)
    folder, name
        See `sparse_ref.shadow.Shadow`.
    """

    def __init__(
        self,
        scores: np.ndarray,
        weights: np.ndarray,
        folder: str | None = None,
        name: str = "scores",
    ):
        super().__init__(scores, folder, name)
        self.weights = weights

    @property
    def nbytes(self) -> int:
        """Bytes of scores, buffers and weights."""
        return super().nbytes + self.weights.nbytes

    def gradient(self, block: np.ndarray, rows: slice) -> np.ndarray:
        """``ds = dW w sign(s)``; 0 where s is 0."""
        block *= self.weights[rows]
        block *= np.sign(self.trained[rows])
        return block

    def values(self, positions: np.ndarray) -> np.ndarray:
        """The fixed weights."""
        return self.weights.reshape(-1)[positions]
