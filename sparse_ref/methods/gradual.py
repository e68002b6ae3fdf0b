"""Gradual magnitude pruning: the smallest weights go while the network trains, along a cubic.

Every layer by itself is to have the density ``d(t)``, which falls from 1 at `start` to `density` at
`stop` as the cube of the time that is left. Every `every` steps so many of the smallest ``|w|`` go
that it has; in between and afterwards the connections stay.

References
----------
Zhu & Gupta (2017), "To prune, or not to prune: exploring the efficacy of pruning for model
compression", section 3, equation 1. The conventions are those of TensorFlow's contrib code and of
its Model Optimization Toolkit (`methods.conventions`). Alford2018 uses the former, changed, with
``nbins=2560`` and ``threshold_decay=0``.

Departures
----------
* There a pruned weight is a zero behind a mask and may return. Here it is gone, as in Alford2018's
  text; `stale_values` is the code's way.
* How many stay is counted exactly, and at `stop` there is an update even if it falls between two.
* contrib: what a masked weight is behind its mask stands still here; there momentum and weight
  decay move it on. Its updates may begin at another step than the density's fall; here at the same.
* tfmot prunes before the step that it counts, here after it, but for step 0: that update comes
  before the first step, if it leaves less than everything. Where tfmot keeps more than there are
  non-zeros, zeros come back; here they do not.

Memory: O(connections), that is O(positions) while a layer is complete. With `stale_values` a number
and a position for every connection that is gone: O(positions) for good.
"""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np

from sparse_ref import csr
from sparse_ref.csr import Rewire
from sparse_ref.layers import LayerGrad
from sparse_ref.methods.base import (
    Method,
    Run,
    check_given_steps,
    check_name,
    check_number,
    check_steps,
    conventional,
)
from sparse_ref.methods.gradual_codes import histogram_threshold, kept, smoothed
from sparse_ref.network import Network
from sparse_ref.pruning import weakest
from sparse_ref.schedules import Every, InversePower

THRESHOLDS, ROUNDINGS = ("exact", "histogram"), ("half_even", "half_even_f32")
TIES, UPDATES = ("keep_low_index", "keep_all"), ("paper", "contrib", "tfmot")
SHARE = 3, 4  # of the training, at which pruning is over if it is not said


class Stale(NamedTuple):
    """Connections that are gone, and what they were."""

    positions: np.ndarray  # (n,) int64 flat positions, ascending
    values: np.ndarray  # (n,)


class State(NamedTuple):
    """What is remembered; one entry of each tuple a sparse layer."""

    thresholds: tuple[np.ndarray, ...]  # (1,) of the histogram, smoothed
    stale: tuple[Stale, ...]  # empty without `stale_values`


@conventional
@dataclass(frozen=True)
class GradualPruning(Method):
    """Gradual magnitude pruning of layers that start complete, or denser than they shall end.

    Parameters
    ----------
    density : float
        Of every sparse layer in the end, in [0, 1]; of its positions.
    start, stop : int, steps
        t_0 and t_0 + n Δt, between which the density falls; by default three quarters of the
        training.
    every : int, steps
        Δt.
    initial_density : float
        d(t_0): what an update at `start` leaves. With ``start=0`` it comes before the first step
        (contrib has none there); in a training that begins later, before that step, with its d(t).
    exponent : int
        3 in the paper; 1 is a line.
    threshold : str
        ``exact``: as many stay as the density says, at least one. ``histogram``: what is above a
        threshold taken from `nbins` bins.
    nbins, threshold_decay
        Of the histogram; the threshold is ``(1 - decay)`` times the new and decay times the last.
    stale_values : bool
        What is gone keeps the value it had and is ranked again at every update, so it may return
        with it (the masks of the public codes).
    ties : str
        Of the exact threshold: ``keep_low_index``; ``keep_all``, all that equal it stay (tfmot).
    rounding : str
        ``half_even``, or ``half_even_f32``: in float32 (tfmot).
    updates : str
        At which steps. ``paper``: `start`, `start` + `every`, ..., and `stop`. ``tfmot``: the same
        without `stop`, unless it is one of them. ``contrib``: from `start` on, but not before
        `every`, in steps of `every`.
    until : int, steps, optional
        Last step that may update; by default `stop`. contrib goes on for ever if it is not told:
        the threshold, which lags, may go on rising.
    convention : str
        A public code's rules (`conventions`); options given beside it overrule them. Neither brings
        its schedule along: contrib's is a density of 0.5 at step 100 in steps of 10, from step 0.
    """

    density: float = 0.1
    start: int = 0
    stop: int | None = None
    every: int = 100
    initial_density: float = 1.0
    exponent: int = 3
    threshold: str = "exact"
    nbins: int = 255
    threshold_decay: float = 0.0
    stale_values: bool = False
    ties: str = "keep_low_index"
    rounding: str = "half_even"
    updates: str = "paper"
    until: int | None = None
    convention: InitVar[str] = "paper"

    conventions: ClassVar = {
        "paper": {},
        "contrib": {
            "threshold": "histogram",
            "threshold_decay": 0.9,
            "stale_values": True,
            "updates": "contrib",
        },
        "tfmot": {"ties": "keep_all", "rounding": "half_even_f32", "updates": "tfmot"},
    }

    conserves = "nothing"
    regrow = "forbid"
    grows = False
    starts_complete = True

    def __post_init__(self, convention: str) -> None:
        for name in ("density", "initial_density", "threshold_decay"):
            check_number(
                "GradualPruning", name, getattr(self, name), "in [0, 1]", lambda x: 0 <= x <= 1
            )
        if self.density > self.initial_density:
            raise ValueError(
                "GradualPruning: density must be at most initial_density, "
                f"{self.initial_density}, got {self.density}"
            )
        check_steps("GradualPruning", every=self.every)
        for name in ("nbins", "exponent"):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or value < 1:
                raise ValueError(
                    f"GradualPruning: {name} must be a positive whole number, got {value}"
                )
        check_given_steps("GradualPruning", stop=self.stop, until=self.until)
        if not isinstance(self.start, int | np.integer) or self.start < 0:
            raise ValueError(f"GradualPruning: start must be a step, from 0 on, got {self.start}")
        if self.stop is not None and self.stop <= self.start:
            raise ValueError(
                f"GradualPruning: stop must come after start, {self.start}, got {self.stop}"
            )
        if self.until is not None and self.until < self.start:
            raise ValueError(
                f"GradualPruning: until must not come before start, {self.start}, got {self.until}"
            )
        for name, known in (
            ("threshold", THRESHOLDS),
            ("ties", TIES),
            ("rounding", ROUNDINGS),
            ("updates", UPDATES),
        ):
            check_name("GradualPruning", name, getattr(self, name), known)
        if not isinstance(self.stale_values, bool):
            raise TypeError(
                f"GradualPruning: stale_values must be True or False, got {self.stale_values!r}"
            )

    @property
    def rewires_at_start(self) -> bool:  # type: ignore[override]
        """With an update at step 0 that leaves less than everything."""
        return self.start == 0 and self.initial_density < 1 and self.updates != "contrib"

    @property
    def starts(self) -> float | None:
        """What returns has the value it had."""
        return None

    @property
    def dense_state(self) -> bool:
        """With `stale_values`: what is gone is remembered."""
        return self.stale_values

    def bind(self, run: Run) -> "GradualPruning":
        """Fill in `stop` and `until`."""
        share, whole = SHARE
        stop = self.stop or max(self.start + 1, share * run.steps // whole)
        return replace(self, stop=stop, until=self.until or self._until(stop, run))

    def _until(self, stop, run):
        return max(stop, run.steps - 1) if self.updates == "contrib" else stop

    def due(self, step: int) -> bool:
        """Whether step `step` updates, see `updates`."""
        stop, until = self._bound()
        first = max(self.start, self.every) if self.updates == "contrib" else self.start
        last = self.updates == "paper" and step == stop
        return 0 < step <= until and (last or Every(self.every, start=first).due(step))

    def density_at(self, step: int) -> float:
        """``d(t) = d_f + (d_i - d_f) (1 - x)**exponent``, x the way from `start` to `stop`.

        Examples
        --------
        >>> method = GradualPruning(0.2, start=100, stop=110, initial_density=0.8)
        >>> [round(1 - method.density_at(step), 4) for step in (98, 102, 105, 120)]
        [0.2, 0.4928, 0.725, 0.8]
        """
        stop, _ = self._bound()
        fall = self.initial_density, stop, self.exponent, self.start, self.density
        return InversePower(*fall)(step)

    def _bound(self):
        if self.stop is None:
            raise ValueError(
                "GradualPruning: stop must be known before the first step, got None; see `bind`"
            )
        return self.stop, self.until or self.stop

    def init(self, net: Network, rng: np.random.Generator) -> State:
        """Thresholds of 0, and nothing gone."""
        layers = net.sparse_layers
        stale = tuple(Stale(np.empty(0, np.int64), np.empty(0, la.weight.dtype)) for la in layers)
        return State(tuple(np.zeros(1, la.weight.dtype) for la in layers), stale)

    def rewire(
        self,
        net: Network,
        grads: Sequence[LayerGrad],
        state: State,
        step: int,
        rng: np.random.Generator,
    ) -> tuple[tuple[Rewire, ...], State]:
        """Each layer by itself; draws nothing."""
        density = self.density_at(step)
        updated = [
            self._update(layer.weight, density, float(threshold[0]), stale)
            for layer, threshold, stale in zip(net.sparse_layers, *state, strict=True)
        ]
        rewires, thresholds, stale = zip(*updated, strict=True) if updated else ((), (), ())
        dtypes = (layer.weight.dtype for layer in net.sparse_layers)
        arrays = (np.array([t], dtype) for t, dtype in zip(thresholds, dtypes, strict=True))
        return rewires, State(tuple(arrays), stale)

    def _update(self, weight, density, threshold, stale):
        """Rewiring, threshold and what is gone of one layer."""
        n = weight.shape[0] * weight.shape[1]
        connected = csr.flat(weight)
        at = np.searchsorted(connected, stale.positions)
        positions = np.insert(connected, at, stale.positions)
        values = np.insert(weight.data, at, stale.values)
        here = np.insert(np.ones(weight.nnz, bool), at, False)
        goes, threshold = self._goes(np.abs(values), n, density, threshold)
        gone = here & goes
        back = ~here & ~goes
        drop = np.flatnonzero(gone[here])
        if self.stale_values:
            stale = Stale(positions[goes], values[goes])
        return Rewire(drop, positions[back], values[back]), threshold, stale

    def _goes(self, magnitudes, n, density, threshold):
        """Which of the magnitudes go, and the layer's threshold from now on."""
        goes = np.zeros(len(magnitudes), bool)
        if self.threshold == "exact":
            stay = min(len(magnitudes), kept(n, density, self.rounding))
            goes[weakest(magnitudes, len(magnitudes) - stay, self.ties)] = True
            return goes, threshold
        now = histogram_threshold(magnitudes, n - len(magnitudes), 1 - density, self.nbins)
        threshold = smoothed(now, threshold, self.threshold_decay)
        if magnitudes.any():
            goes = magnitudes <= magnitudes.dtype.type(threshold)
        return goes, threshold
