"""The training loop: the only place that writes weights."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sparse_ref import csr, tiles
from sparse_ref.elementwise import not_finite
from sparse_ref.history import Epoch, Event, History, Step, bytes_of
from sparse_ref.losses import LOSSES
from sparse_ref.methods.base import Method, Run
from sparse_ref.network import PREDICT_BATCH, Network
from sparse_ref.optim import Optimizer, OptimizerState
from sparse_ref.train_checks import (
    check_drifts,
    check_kinds,
    check_momentum,
    check_positive,
    checked_data,
)

Callback = Callable[[Network, Epoch, History], None]


class Evaluation(NamedTuple):
    """How well a network does on a data set."""

    loss: float  # mean over the examples
    accuracy: float  # fraction whose largest output is the label; nan if targets are no labels


NOT_EVALUATED = Evaluation(float("nan"), float("nan"))


@dataclass
class Training:
    """A training under way: everything a step changes beside the network."""

    method: Method
    optimizer: Optimizer
    optimizer_state: OptimizerState
    method_state: Any
    noise_rngs: list[np.random.Generator]  # one a layer, for dropout
    method_rng: np.random.Generator  # one child per event and per drift
    history: History
    step: int = 0  # batches seen


def fit(
    net: Network,
    data: tuple[np.ndarray, np.ndarray],
    *,
    method: Method,
    optimizer: Optimizer,
    epochs: int,
    batch_size: int,
    rng: np.random.Generator,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    callbacks: Sequence[Callback] = (),
) -> History:
    """Train `net` in place.

    Parameters
    ----------
    net : Network
    data : (x, y)
        Examples ``(n, ...)`` and labels ``(n,)``.
    method : Method
        Says when and how the sparse layers are rewired; `methods.Static` never.
    optimizer : Optimizer
        From `sparse_ref.optim`.
    epochs, batch_size : int
        Examples are shuffled anew for each epoch; the last batch of an epoch may be smaller.
    rng : Generator
        Three streams are spawned from it: order of examples, dropout, method.
    validation : (x, y), optional
        Evaluated after each epoch; never trained on.
    callbacks : sequence of callables
        Each is called as ``callback(net, epoch, history)`` after each epoch.

    Returns
    -------
    History

    Raises
    ------
    FloatingPointError
        The loss or the weights would no longer be finite. The network keeps its last weights.
    """
    x, y = checked_data(net, data, "fit: data")
    held_out = None if validation is None else checked_data(net, validation, "fit: validation")
    check_positive(epochs=epochs, batch_size=batch_size)
    check_kinds(rng=(rng, np.random.Generator), method=(method, Method))
    check_kinds(optimizer=(optimizer, Optimizer))
    order_rng, noise_rng, method_rng = rng.spawn(3)
    steps_per_epoch = -(-len(x) // batch_size)
    bound = method.bind(Run(steps_per_epoch, steps_per_epoch * epochs))
    training = start(net, bound, optimizer, noise_rng, method_rng)
    for number in range(1, epochs + 1):
        loss, seconds = _epoch(net, x, y, order_rng.permutation(len(x)), batch_size, training)
        result = NOT_EVALUATED if held_out is None else _evaluate(net, *held_out)
        record = Epoch(number, loss, result.loss, result.accuracy, net.connections, seconds)
        training.history.epochs.append(record)
        for callback in callbacks:
            callback(net, record, training.history)
    training.history.optimizer_bytes = training.optimizer_state.nbytes
    training.history.method_bytes = bytes_of(training.method_state)
    return training.history


def start(
    net: Network,
    method: Method,
    optimizer: Optimizer,
    noise_rng: np.random.Generator,
    method_rng: np.random.Generator,
) -> Training:
    """A training at step 0."""
    # Its own stream, so that a layer more moves no event's draw; without a state there is none.
    stateful = type(method).init is not Method.init
    state = method.init(net, method_rng.spawn(1)[0] if stateful else method_rng)
    _leave_out(net, method, state)
    return Training(
        method=method,
        optimizer=optimizer,
        optimizer_state=optimizer.init(net.parameters()),
        method_state=state,
        noise_rngs=noise_rng.spawn(len(net.layers)),
        method_rng=method_rng,
        history=History(),
    )


def step(net: Network, x: np.ndarray, y: np.ndarray, training: Training) -> float:
    """One batch: gradients, then an update or a rewiring or both.

    Parameters
    ----------
    net : Network
        Changed in place.
    x : (tiles, n_in, width)
        From `tiles.pack`.
    y : (n,)
    training : Training
        Changed in place.

    Returns
    -------
    float
        Mean loss over the batch, before the update.
    """
    training.step += 1
    loss, grads = net.gradients(x, y, training.noise_rngs)
    rate = training.optimizer.learning_rate(training.step)
    _require_finite("loss", loss, training)
    training.history.steps.append(Step(training.step, loss, rate))
    sparse_grads = net.sparse_gradients(grads)
    training.method_state = training.method.observe(sparse_grads, training.method_state)
    due = training.method.due(training.step)
    if not (due and training.method.replaces_update):
        _update(net, grads, training, kept=due)  # an event after the update reads them too
    if due:
        _rewire(net, sparse_grads, training)
    return loss


def evaluate(net: Network, data: tuple[np.ndarray, np.ndarray]) -> Evaluation:
    """Loss and accuracy of `net` on ``(x, y)``, without noise.

    Examples
    --------
    >>> from sparse_ref.models import mlp
    >>> net = mlp([2, 3], density=1.0, rng=np.random.default_rng(7), initialisation="set")
    >>> evaluate(net, (np.eye(2), np.array([0, 2]))).accuracy in (0.0, 0.5, 1.0)
    True
    """
    x, y = checked_data(net, data, "evaluate: data")
    return _evaluate(net, x, y)


def _epoch(net, x, y, order, batch_size, training):
    """Train on every example once, in `order`: the mean loss and the seconds it took."""
    began, total = time.perf_counter(), 0.0
    for first in range(0, len(order), batch_size):
        batch = order[first : first + batch_size]
        total += len(batch) * step(net, tiles.pack(x, batch), y[batch], training)
    return total / len(order), time.perf_counter() - began


def _evaluate(net, x, y):
    loss, correct = 0.0, 0
    for first in range(0, len(x), PREDICT_BATCH):
        part, targets = x[first : first + PREDICT_BATCH], y[first : first + PREDICT_BATCH]
        outputs = net.outputs(tiles.pack(part))
        loss += LOSSES[net.loss](outputs, targets)[0] * len(part)
        if y.ndim == 1:
            correct += int(np.sum(tiles.unpack(outputs, len(part)).argmax(axis=1) == targets))
    return Evaluation(loss / len(x), correct / len(x) if y.ndim == 1 else float("nan"))


def _update(net, grads, training, kept):
    """Let the optimizer turn the gradients into updates and add them; `kept` spares the former."""
    parameters = net.parameters()
    arrays = [getattr(grads[p.layer], p.name) for p in parameters]
    arrays = [array.copy() for array in arrays] if kept else arrays
    with np.errstate(over="ignore", invalid="ignore"):  # found below, and told in words
        updates, training.optimizer_state = training.optimizer.updates(
            parameters, arrays, training.optimizer_state, training.step
        )
        if training.method.drifts:
            _add_drift(net, parameters, updates, training)
        for parameter, update in zip(parameters, updates, strict=True):
            _require_finite_sum(parameter.value, update, training)
    for parameter, update in zip(parameters, updates, strict=True):
        np.add(parameter.value, update, out=parameter.value)


def _add_drift(net, parameters, updates, training):
    """Add what the method does to the weights beside the optimizer."""
    (rng,) = training.method_rng.spawn(1)
    rate = training.optimizer.learning_rate(training.step)
    drifts = training.method.drift(net, training.method_state, rate, rng)
    slots = [
        update for parameter, update in zip(parameters, updates, strict=True) if parameter.slots
    ]
    check_drifts(drifts, slots)
    for update, drift in zip(slots, drifts, strict=True):
        np.add(update, drift, out=update)


def _require_finite_sum(value, update, training):
    if not_finite(value.reshape(-1), update.reshape(-1)):
        total = value + update
        _require_finite("weights", total[~np.isfinite(total)][0], training)


def _rewire(net, sparse_grads, training):
    """Ask, record, apply, and let everything kept per connection follow."""
    (rng,) = training.method_rng.spawn(1)
    rewires, state = training.method.rewire(
        net, sparse_grads, training.method_state, training.step, rng
    )
    check_momentum(rewires)
    weights = [layer.weight for layer in net.sparse_layers]
    sources = net.restructure(rewires)
    training.method_state = training.method.follow(state, sources)
    _leave_out(net, training.method, training.method_state)
    training.optimizer_state = _carried(net, training.optimizer_state, sources, rewires)
    if training.method.resets_optimizer:
        training.optimizer_state = training.optimizer.init(net.parameters())
    for number, (old, rewire, layer) in enumerate(
        zip(weights, rewires, net.sparse_layers, strict=True)
    ):
        # Copies: what lives on must not hold on to buffers that the next event could use again.
        dropped, grown = np.array(csr.positions_of(old, rewire.drop)), np.array(rewire.grow)
        record = Event(training.step, number, dropped, grown, layer.weight.nnz)
        training.history.events.append(record)


def _carried(net, state, sources, rewires):
    """The optimizer's state on the new structure: survivors keep theirs, grown start at zero."""
    remaining = zip(sources, rewires, strict=True)
    groups = [
        _carried_group(group, *next(remaining)) if parameter.slots else group
        for parameter, group in zip(net.parameters(), state.buffers, strict=True)
    ]
    return OptimizerState(state.made, tuple(groups))


def _carried_group(group, source, rewire):
    carried = tuple(csr.carry(buffer, source) for buffer in group)
    if carried and rewire.momentum is not None:
        carried[0][source < 0] = rewire.momentum  # both ascend by position
    return carried


def _leave_out(net, method, state):
    """Tell the layers which connections the forward pass leaves out: what the method names."""
    named = method.backward_only(state)
    every = [()] * len(net.sparse_layers) if named is None else named
    for layer, slots in zip(net.sparse_layers, every, strict=True):
        if len(slots) or len(layer.left_out):
            layer.leave_out(slots)


def _require_finite(what, value, training):
    if not np.isfinite(value):
        rate = training.optimizer.learning_rate(training.step)
        raise FloatingPointError(
            f"fit: the {what} must stay finite, got {value} at step {training.step}; "
            f"the learning rate there is {rate}"
        )
