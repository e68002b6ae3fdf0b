"""DNW: Discovering Neural Wirings, and the hybrid that freezes its structure early.

Every position of a layer has a weight. The forward pass uses the largest ``|w|`` of each layer and
treats the others as zeros; the gradient goes to all of them as if they were used (straight
through), so that what is hidden moves, too, and comes back when it has become large enough.

    F   = W where |W| is among the n - int((1 - density) n) largest of the layer, else 0
    y   = F x,    dx = F^T delta,    dW = delta x^T  everywhere

The layer is F, in CSR; W is a *shadow* beside it (`sparse_ref.shadow`). Forward pass and input
gradient cost what the connections cost; dW is made in blocks of rows and turned into an update at
once. After the freezing epoch the structure stays as it is, the shadow is dropped, and the training
goes on as that of any sparse network.

References
----------
Wortsman, Farhadi, Rastegari (2019), "Discovering Neural Wirings", NeurIPS; in the form for layers
of `allenai/dnw` (commit aa9c4f8), ``imagenet_sparsity_experiments/image_classification/
sparse_util.py``. Van Gelder, Wortsman, Ehsani (2020), "Deconstructing the Structure of Sparse
Neural Networks", section 5: the freezing epoch.

Departures
----------
* F is chosen after each update, not before each forward pass: the same F, also in evaluation.
* Equal ``|w|``: the lower position is in. The authors sort, and say nothing of equals.
* Connections keep what the optimizer had for them when the structure is frozen, and learning rate
  and order of examples go on; VanGelder2020 does not say.
* Layers kept dense (``ignorefirst`` in the authors' configurations) are the model's ``dense=``.
* A network whose layers are not complete can be trained, too: each layer keeps its number of
  connections, and the other positions start at draws from the layer's own weights.

Memory: O(positions) until the structure is frozen: a shadow and what the optimizer keeps for it, in
memory or in files (`shadow_folder`). The gradient of a step costs as much as a dense layer's.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sparse_ref.csr import Rewire
from sparse_ref.layers import LayerGrad
from sparse_ref.methods.base import Method, Run, check_name, check_number, check_steps, keep
from sparse_ref.network import Network
from sparse_ref.shadow import Shadow, kept, to_largest

FREEZE = ("after_update", "after_forward")


class State(NamedTuple):
    """What DNW remembers."""

    shadows: tuple[Shadow, ...] | None  # W of each sparse layer; None once the structure is frozen
    counts: tuple[int, ...]  # connections of each


@dataclass(frozen=True)
class DNW(Method):
    """Discovering neural wirings.

    Parameters
    ----------
    density : float, optional
        Of every sparse layer: ``n - int((1 - density) n)`` of its n positions, in [0, 1]. Without
        it each layer keeps as many connections as it has. Build the network with ``density=1.0``:
        its weights are then W.
    freeze_epoch : int, optional
        k, at least 0: the structure after epoch k stays. 0 is magnitude pruning at initialisation.
    freeze_when : str
        ``after_update``: what the last update of epoch k chose. ``after_forward``: what the last
        forward pass of epoch k used.
    every : int, steps
        Between two choices of F. 1 is the definition; between choices hidden weights move unseen.
    decay_hidden : bool
        Weight decay acts on all of W, as in the authors' code; otherwise on F only.
    shadow_folder : str, optional
        A folder for W and the optimizer's buffers, in place of memory; its files are overwritten.
        A complete network is in memory until the first choice: where it does not fit, build a
        sparse one and leave out `density`.
    freeze_step : int, optional
        In place of `freeze_epoch`, which is turned into it.
    """

    density: float | None = None
    freeze_epoch: int | None = None
    freeze_when: str = "after_update"
    every: int = 1
    decay_hidden: bool = True
    shadow_folder: str | None = None
    freeze_step: int | None = None

    starts = None
    dense_state = True
    rewires_at_start = True
    rests_at_end = False  # the last choice is the network that is evaluated

    def __post_init__(self) -> None:
        if self.density is not None:
            check_number("DNW", "density", self.density, "in [0, 1]", lambda d: 0 <= d <= 1)
        for name in ("freeze_epoch", "freeze_step"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int | np.integer) or value < 0):
                raise ValueError(f"DNW: {name} must be a whole number, 0 or more, got {value}")
        if self.freeze_epoch is not None and self.freeze_step is not None:
            raise ValueError("DNW: freeze_step must be left out beside freeze_epoch, got both")
        check_name("DNW", "freeze_when", self.freeze_when, FREEZE)
        check_steps("DNW", every=self.every)

    @property
    def conserves(self) -> str:
        """Layers keep their counts, unless the first choice makes them as dense as asked for."""
        return "layer" if self.density is None else "nothing"

    def bind(self, run: Run) -> Method:
        """The freezing epoch as a step; past it there is nothing left to choose."""
        step = self.freeze_step
        if self.freeze_epoch is not None:
            step = self.freeze_epoch * run.steps_per_epoch
        if step is not None and run.first and run.first >= step:
            return Method()
        return dataclasses.replace(self, freeze_epoch=None, freeze_step=step)

    def due(self, step: int) -> bool:
        """Every step until the structure is frozen, or every n-th."""
        if self.freeze_step is not None and step >= self.freeze_step:
            return step == self.freeze_step
        return step % self.every == 0

    def init(self, net: Network, rng: np.random.Generator) -> State:
        """W of every layer; draws only where a layer is not complete."""
        kind = Shadow if self.decay_hidden else DecayedWhereChosen
        shadows = tuple(
            kind.of(layer.weight, stream, self.shadow_folder, f"layer-{k}")
            for k, (layer, stream) in enumerate(
                zip(net.sparse_layers, rng.spawn(len(net.sparse_layers)), strict=True)
            )
        )
        counts = tuple(kept(self.density, layer.weight) for layer in net.sparse_layers)
        return State(shadows, counts)

    def shadows(self, state: State) -> tuple[Shadow, ...] | None:
        """W of every layer, until the structure is frozen."""
        return state.shadows

    def rewire(
        self,
        net: Network,
        grads: Sequence[LayerGrad],
        state: State,
        step: int,
        rng: np.random.Generator,
    ) -> tuple[tuple[Rewire, ...], State]:
        """From the F that was to the one that is; looks at no gradient, draws nothing."""
        if state.shadows is None:
            raise ValueError(f"DNW: the structure is frozen, got an event at step {step}")
        freezes = step == self.freeze_step
        if freezes and step and self.freeze_when == "after_forward":
            rewires = tuple(keep(layer.weight.dtype) for layer in net.sparse_layers)
        else:
            layers = zip(net.sparse_layers, state.shadows, state.counts, strict=True)
            rewires = tuple(to_largest(la.weight, shadow, n) for la, shadow, n in layers)
        return rewires, state._replace(shadows=None) if freezes else state


class DecayedWhereChosen(Shadow):
    """A shadow whose hidden numbers do not decay."""

    def decayed(self, rows: slice) -> np.ndarray:
        """The numbers chosen last, zeros elsewhere."""
        seen = np.zeros(self.trained[rows].shape, self.trained.dtype)
        n_in = self.trained.shape[1]
        first, last = np.searchsorted(self.chosen, [rows.start * n_in, rows.stop * n_in])
        here = self.chosen[first:last]
        seen.reshape(-1)[here - rows.start * n_in] = self.values(here)
        return seen

    def largest(self, k: int) -> np.ndarray:
        """As `Shadow.largest`, and remembered."""
        self.chosen = super().largest(k)
        return self.chosen
