"""Optimizers: gradients to steps, on plain arrays, with their state outside.

``optimizer.init(parameters) -> state`` and ``optimizer.updates(parameters, grads, state, step) ->
(updates, state)``; the training step adds the updates. A buffer is as long as its parameter, so the
state of a sparse layer has one entry per connection and is carried through a rewiring like any
other per-connection array. Buffers and gradients are changed in place, so that a step needs no
memory of its own: a gradient comes out as the update, the state that went in is used up.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import NamedTuple

import numpy as np

from sparse_ref.elementary import power
from sparse_ref.elementwise import adam_update, add_scaled, momentum_update
from sparse_ref.layers import Parameter
from sparse_ref.schedules import Schedule, as_schedule

DECAYS = ("l2", "decoupled", "unscaled")
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

    def _add_l2(self, parameter: Parameter, grad: np.ndarray) -> None:
        if self.decay == "l2" and self.weight_decay and parameter.name in DECAYED:
            add_scaled(grad, _like(grad, self.weight_decay), parameter.value.reshape(-1))

    def _add_decay(self, parameter: Parameter, update: np.ndarray, rate: float) -> None:
        """What decays beside the gradient's step, not by way of it."""
        if self.decay != "l2" and self.weight_decay and parameter.name in DECAYED:
            scale = rate if self.decay == "decoupled" else 1.0
            factor = _like(update, -scale * self.weight_decay)
            add_scaled(update, factor, parameter.value.reshape(-1))

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
            A gradient is overwritten by its update, unless the array is read-only.
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
    bias_factor: float = 1.0

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
        updates = [_flat(grad) for grad in grads]
        for parameter, grad, group in zip(parameters, updates, state.buffers, strict=True):
            own = rate * self.bias_factor if parameter.name == "bias" else rate
            self._add_l2(parameter, grad)
            self._step(grad, group, own)
            self._add_decay(parameter, grad, own)
        return _shaped(updates, parameters), OptimizerState(state.made + 1, state.buffers)

    def _step(self, grad, group, rate):
        rate, mu = _like(grad, rate), _like(grad, self.momentum)
        if group:
            momentum_update(grad, group[0].reshape(-1), rate, mu, self.nesterov)
        else:
            grad *= -rate


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
        updates = [_flat(grad) for grad in grads]
        for parameter, grad, group in zip(parameters, updates, state.buffers, strict=True):
            self._add_l2(parameter, grad)
            mean, square = (buffer.reshape(-1) for buffer in group)
            betas = _like(grad, 1.0 - self.beta1), _like(grad, 1.0 - self.beta2)
            factors = (_like(grad, number) for number in (unbias2, self.epsilon, rate * unbias1))
            adam_update(grad, mean, square, betas, *factors)
            self._add_decay(parameter, grad, rate)
        return _shaped(updates, parameters), OptimizerState(count, state.buffers)


def sgd(
    learning_rate: float | Schedule,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    decay: str = "l2",
    bias_factor: float = 1.0,
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
        ``unscaled``: ``weight_decay * w`` is, whatever the rate, as in SET's authors' code.
    bias_factor : float
        > 0; biases learn at this multiple of the rate.

    Notes
    -----
    The rate multiplies the velocity when it is applied (PyTorch, TensorFlow), not when it is
    accumulated (Sutskever et al. 2013); with a constant rate the two agree.
    """
    rate = _checked("sgd", learning_rate, weight_decay, decay)
    _require_fraction("sgd", "momentum", momentum)
    if nesterov and not momentum:
        raise ValueError(f"sgd: nesterov needs momentum above 0, got {momentum}")
    if not 0 < bias_factor < np.inf:
        raise ValueError(f"sgd: bias_factor must be above 0, got {bias_factor}")
    return SGD(rate, momentum, nesterov, weight_decay, decay, bias_factor)


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


def _flat(array):
    usable = array.flags.writeable and array.flags.c_contiguous
    return (array if usable else np.array(array, order="C")).reshape(-1)


def _shaped(updates, parameters):
    pairs = zip(updates, parameters, strict=True)
    return [update.reshape(parameter.value.shape) for update, parameter in pairs]
