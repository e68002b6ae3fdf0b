"""Part (c): a rewiring event of one layer, against the work it stands beside in a training.

RigL's is compared with one dense gradient of the layer by BLAS, the least that an implementation on
dense weights has to compute for it; SET's with one sparse training step of the layer. An event is
all that a training does to the layer: the method's choice, the new structure with everything that
is derived from it, the momentum that follows, and the record of what was dropped.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from sparse_ref import csr, tiles
from sparse_ref.bench import clock
from sparse_ref.bench.contenders import problem
from sparse_ref.bench.peers import OURS
from sparse_ref.bench.settings import Settings
from sparse_ref.layers import Linear
from sparse_ref.methods import SET, RigL
from sparse_ref.methods.base import Method
from sparse_ref.network import Network
from sparse_ref.optim import sgd

Record = dict[str, Any]

BLAS = "NumPy (BLAS)"
RIGL_EVENT, SET_EVENT = "RigL event", "SET event"
DENSE_GRADIENT, STEP = "dense gradient", "training step"
BATCH, DROP_FRACTION, RATE, MOMENTUM = 128, 0.3, 1e-3, 0.9
LOSS_NAME = "squared_error"
SEED = 2023


def measure(settings: Settings, say: Callable[[str], None]) -> Iterator[Record]:
    """Time both events and what each is compared with, all interleaved.

    Yields
    ------
    dict
        ``{"part": "events", "what", "who", "n_in", "n_out", "density", "connections", "batch",
        "threads", "seconds": [one per round]}``; `what` is one of the four above. A training step
        is what a step does to a layer inside a network: forward, both gradients and the update with
        momentum.
    """
    (n_in, n_out), density = settings.event_shape, settings.event_density
    layer = Layer((n_in, n_out), density)
    about = {"part": "events", "n_in": n_in, "n_out": n_out, "density": density}
    about |= {"connections": layer.net.connections[0], "batch": BATCH}
    for count in settings.threads:
        say(f"rewiring {n_in}x{n_out} at density {density:g}, {count} thread{'s' * (count > 1)}")
        with clock.threads(count):
            taken = clock.interleaved(
                layer.contenders(),
                settings.rounds,
                settings.seconds,
                prepare={RIGL_EVENT: layer.restore, SET_EVENT: layer.restore, STEP: layer.restore},
                rest=clock.BLAS_REST,
            )
        for what, seconds in taken.items():
            who = BLAS if what == DENSE_GRADIENT else OURS
            yield about | {"what": what, "who": who, "threads": count, "seconds": seconds}


class Layer:
    """A network of one linear layer, its gradient on one batch, and what can be done to it.

    Parameters
    ----------
    shape : (n_in, n_out)
    density : float
    """

    def __init__(self, shape: tuple[int, int], density: float):
        rng = np.random.default_rng(SEED)
        given = problem(shape, density, BATCH, rng)
        self.layer = Linear(given.weight, given.bias)
        self.net = Network([self.layer], LOSS_NAME)
        self.targets, self.rng = given.delta, rng
        self.x, self.outputs = tiles.pack(given.x), tiles.pack(given.delta)
        self.optimizer = sgd(RATE, MOMENTUM)
        self.state = self.optimizer.init(self.net.parameters())
        grads = self.net.gradients(self.x, self.targets)[1]
        self.grads = self.net.sparse_gradients(grads)
        self.momentum = np.zeros_like(self.layer.weight.data)
        self.weight = self.layer.weight
        # The same two factors as BLAS likes them: (n_out, batch) @ (batch, n_in).
        self.delta, self.inputs = np.ascontiguousarray(given.delta.T), given.x
        self.dense = np.empty((shape[1], shape[0]), np.float32)

    def contenders(self) -> dict[str, Callable[[], Any]]:
        """What is timed, by name."""
        return {
            RIGL_EVENT: lambda: self.event(RigL(DROP_FRACTION)),
            DENSE_GRADIENT: lambda: np.matmul(self.delta, self.inputs, out=self.dense),
            SET_EVENT: lambda: self.event(SET(DROP_FRACTION)),
            STEP: self.step,
        }

    def step(self) -> None:
        """Forward, both gradients, update."""
        _, pullback = self.layer.forward(self.x)
        _, grad = pullback(self.outputs)
        parameters = self.net.parameters()
        updates, self.state = self.optimizer.updates(parameters, grad[:2], self.state, 1)
        for parameter, update in zip(parameters, updates, strict=True):
            np.add(parameter.value, update, out=parameter.value)

    def event(self, method: Method) -> np.ndarray:
        """Rewire the layer as `train.step` does; return what was dropped."""
        old = self.layer.weight
        (rewire,), _ = method.rewire(self.net, self.grads, None, 1, self.rng)
        (source,) = self.net.restructure([rewire])
        csr.carry(self.momentum, source)
        return csr.positions_of(old, rewire.drop)

    def restore(self) -> None:
        """Take the first structure again; not timed."""
        if self.layer.weight is not self.weight:
            self.layer.adopt(self.weight)
