"""Optimizers: gradients to steps, on plain arrays, with their state outside.

``optimizer.init(parameters) -> state`` and ``optimizer.updates(parameters, grads, state, step) ->
(updates, state)``; the training step adds the updates. A buffer is as long as its parameter, so the
state of a sparse layer has one entry per connection and is carried through a rewiring like any
other per-connection array. Buffers are changed in place; the state that went in is used up.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import NamedTuple

import numpy as np

from sparse_ref.elementary import power
from sparse_ref.layers import Parameter
from sparse_ref.schedules import Schedule, as_schedule

DECAYS = ("l2", "decoupled")
DECAYED = ("weight", "bias")  # activation parameters never decay


class OptimizerState(NamedTuple):
    """What an optimizer remembers."""

    made: int  # updates so far; a rewiring that replaces an update does not count
    buffers: tuple[tuple[np.ndarray, ...], ...]  # per parameter: (momentum,) or (m, v) or ()

    @property
    def nbytes(self) -> int:
        """Bytes of all buffers."""
        return sum(buffer.nbytes for group in self.buffers for buffer in group)


class Optimizer(ABC):
    """What the two optimizers share: the learning rate and weight decay."""

    learning_rate: Schedule
    weight_decay: float
    decay: str

    def _with_l2(self, parameter: Parameter, grad: np.ndarray) -> np.ndarray:
        if self.decay == "l2" and self.weight_decay and parameter.name in DECAYED:
            return grad + _like(grad, self.weight_decay) * parameter.value
        return grad

    def _decoupled(self, parameter: Parameter, update: np.ndarray, rate: float) -> np.ndarray:
        if self.decay == "decoupled" and self.weight_decay and parameter.name in DECAYED:
            update -= _like(update, rate * self.weight_decay) * parameter.value
        return update

    @abstractmethod
    def init(self, parameters: Sequence[Parameter]) -> OptimizerState:
        """State before the first update: zeros."""

    @abstractmethod
    def updates(
        self,
        parameters: Sequence[Parameter],
        grads: Sequence[np.ndarray],
        state: OptimizerState,
        step: int,
    ) -> tuple[list[np.ndarray], OptimizerState]:
        """What to add to each parameter.

        Parameters
        ----------
        parameters, grads : equally long sequences
        state : OptimizerState
            Its buffers are overwritten.
        step : int
            Number of the training step, from 1: the argument of the learning-rate schedule.
        """


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent; see `sgd`."""

    learning_rate: Schedule
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    decay: str = "l2"

    def init(self, parameters: Sequence[Parameter]) -> OptimizerState:
        """One momentum buffer per parameter, or none without momentum."""
        if not self.momentum:
            return OptimizerState(0, tuple(() for _ in parameters))
        return OptimizerState(0, tuple((np.zeros_like(p.value),) for p in parameters))

    def updates(
        self,
        parameters: Sequence[Parameter],
        grads: Sequence[np.ndarray],
        state: OptimizerState,
        step: int,
    ) -> tuple[list[np.ndarray], OptimizerState]:
        """See `Optimizer.updates`."""
        rate = self.learning_rate(step)
        updates = []
        for parameter, grad, group in zip(parameters, grads, state.buffers, strict=True):
            direction = self._direction(self._with_l2(parameter, grad), group)
            update = direction * _like(grad, -rate)
            updates.append(self._decoupled(parameter, update, rate))
        return updates, OptimizerState(state.made + 1, state.buffers)

    def _direction(self, grad, group):
        if not group:
            return grad
        (velocity,) = group
        mu = _like(grad, self.momentum)
        velocity *= mu
        velocity += grad
        return grad + mu * velocity if self.nesterov else velocity


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam; see `adam`."""

    learning_rate: Schedule
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    decay: str = "l2"

    def init(self, parameters: Sequence[Parameter]) -> OptimizerState:
        """Two buffers per parameter: the means of the gradient and of its square."""
        pairs = ((np.zeros_like(p.value), np.zeros_like(p.value)) for p in parameters)
        return OptimizerState(0, tuple(pairs))

    def updates(
        self,
        parameters: Sequence[Parameter],
        grads: Sequence[np.ndarray],
        state: OptimizerState,
        step: int,
    ) -> tuple[list[np.ndarray], OptimizerState]:
        """See `Optimizer.updates`."""
        rate, count = self.learning_rate(step), state.made + 1
        unbias1 = 1.0 / (1.0 - power(self.beta1, count))
        unbias2 = 1.0 / (1.0 - power(self.beta2, count))
        updates = []
        for parameter, grad, (mean, square) in zip(parameters, grads, state.buffers, strict=True):
            grad = self._with_l2(parameter, grad)
            mean += (grad - mean) * _like(grad, 1.0 - self.beta1)
            square += (grad * grad - square) * _like(grad, 1.0 - self.beta2)
            spread = np.sqrt(square * _like(grad, unbias2)) + _like(grad, self.epsilon)
            update = mean / spread * _like(grad, -rate * unbias1)
            updates.append(self._decoupled(parameter, update, rate))
        return updates, OptimizerState(count, state.buffers)


def sgd(
    learning_rate: float | Schedule,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    decay: str = "l2",
) -> SGD:
    """Stochastic gradient descent with momentum: ``v = mu v + g``, ``w -= rate * v``.

    Parameters
    ----------
    learning_rate : float or schedule
    momentum : float
        mu, in [0, 1).
    nesterov : bool
        Step along ``g + mu v`` instead of ``v``.
    weight_decay : float
        On weights and biases, never on activation parameters.
    decay : str
        ``l2``: ``weight_decay * w`` is added to the gradient, before momentum. ``decoupled``:
        ``rate * weight_decay * w`` is taken off the weight (Loshchilov and Hutter 2019).

    Notes
    -----
    The rate multiplies the velocity when it is applied (PyTorch, TensorFlow), not when it is
    accumulated (Sutskever et al. 2013); with a constant rate the two agree.
    """
    rate = _checked("sgd", learning_rate, weight_decay, decay)
    _require_fraction("sgd", "momentum", momentum)
    if nesterov and not momentum:
        raise ValueError(f"sgd: nesterov needs momentum above 0, got {momentum}")
    return SGD(rate, momentum, nesterov, weight_decay, decay)


def adam(
    learning_rate: float | Schedule = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    weight_decay: float = 0.0,
    decay: str = "l2",
) -> Adam:
    """Adam (Kingma and Ba 2015, algorithm 1); with ``decay="decoupled"`` AdamW.

    Parameters
    ----------
    learning_rate : float or schedule
    beta1, beta2 : float
        Decay of the running means, in [0, 1).
    epsilon : float
        > 0.
    weight_decay, decay
        As `sgd`.

    Notes
    -----
    A grown connection starts with both means at zero and shares the count of updates, so its first
    steps are smaller than a new network's.
    """
    rate = _checked("adam", learning_rate, weight_decay, decay)
    _require_fraction("adam", "beta1", beta1)
    _require_fraction("adam", "beta2", beta2)
    if not epsilon > 0:
        raise ValueError(f"adam: epsilon must be above 0, got {epsilon}")
    return Adam(rate, beta1, beta2, epsilon, weight_decay, decay)


def _checked(who, learning_rate, weight_decay, decay):
    if isinstance(learning_rate, Real) and not 0 <= float(learning_rate) < np.inf:
        raise ValueError(f"{who}: learning_rate must be at least 0, got {learning_rate}")
    if not 0 <= weight_decay < np.inf:
        raise ValueError(f"{who}: weight_decay must be at least 0, got {weight_decay}")
    if decay not in DECAYS:
        raise ValueError(f"{who}: decay must be one of {list(DECAYS)}, got {decay!r}")
    return as_schedule(learning_rate)


def _require_fraction(who, name, value):
    if not 0 <= value < 1:
        raise ValueError(f"{who}: {name} must be in [0, 1), got {value}")


def _like(array, number):
    """The number in the array's dtype, so that float32 stays float32."""
    return array.dtype.type(number)
