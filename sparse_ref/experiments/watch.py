"""Accuracy after every epoch, of the network as it was before the rewiring that may end the epoch.

A rewiring puts untrained connections in the place of trained ones. SET's published codes evaluate
before it; `sparse_ref.fit` evaluates what an epoch leaves, after it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sparse_ref.history import Epoch, History
from sparse_ref.methods import Method
from sparse_ref.network import Network
from sparse_ref.train import evaluate

Look = Callable[[Network, int], None]


def watched(method: Method, look: Look, after: Look = lambda net, step: None) -> Method:
    """A copy of `method` that lets somebody look at the network before each of its rewirings.

    Parameters
    ----------
    method : Method
    look : callable
        Told ``(net, step)``; must not change the network.
    after : callable, optional
        Told the same once the rewiring has been applied.
    """
    rewired: list[tuple[Network, int]] = []

    class Watched(type(method)):  # type: ignore[misc]  # so that every hook stays the method's own
        def rewire(self, net, grads, state, step, rng):
            look(net, step)
            rewired[:] = [(net, step)]
            return super().rewire(net, grads, state, step, rng)

        def follow(self, state, sources):
            after(*rewired[0])
            return super().follow(state, sources)

    copy = object.__new__(Watched)
    copy.__dict__.update(method.__dict__)
    return copy


class Curve:
    """Accuracies on some data after every epoch, before its last step's rewiring.

    Parameters
    ----------
    parts : name -> (x, y)
    steps_per_epoch : int
    """

    def __init__(self, parts: Mapping[str, Any], steps_per_epoch: int):
        self.parts, self.steps_per_epoch = dict(parts), steps_per_epoch
        self._rows: list[list[float]] = []

    def before_event(self, net: Network, step: int) -> None:
        """For `watched`: an event in the middle of an epoch is none of ours."""
        if step % self.steps_per_epoch == 0:
            self._look(net)

    def after_epoch(self, net: Network, epoch: Epoch, history: History) -> None:
        """For `sparse_ref.fit`: epochs that no event ended."""
        if len(self._rows) < epoch.epoch:
            self._look(net)

    def accuracies(self) -> dict[str, np.ndarray]:
        """(epochs,) a part."""
        columns = np.array(self._rows).reshape(len(self._rows), len(self.parts)).T
        return dict(zip(self.parts, columns, strict=True))

    def _look(self, net):
        self._rows.append([evaluate(net, part).accuracy for part in self.parts.values()])
