"""One step of a training: the only place that writes weights."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sparse_ref import csr
from sparse_ref.elementwise import not_finite
from sparse_ref.history import Event, History, Step
from sparse_ref.methods.base import Method
from sparse_ref.network import Network
from sparse_ref.optim import Optimizer, OptimizerState
from sparse_ref.train_checks import check_drifts, check_momentum, checked_held


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


def start(
    net: Network,
    method: Method,
    optimizer: Optimizer,
    noise_rng: np.random.Generator,
    method_rng: np.random.Generator,
    *,
    first: int = 0,
) -> Training:
    """A training after `first` steps that are taken to have happened."""
    # Its own stream, so that a layer more moves no event's draw; without a state there is none.
    stateful = type(method).init is not Method.init
    state = method.init(net, method_rng.spawn(1)[0] if stateful else method_rng)
    _leave_out(net, method, state)
    for shadow in method.shadows(state) or ():
        shadow.begin(optimizer)
    training = Training(
        method=method,
        optimizer=optimizer,
        optimizer_state=optimizer.init(_trained(net, method, state)),
        method_state=state,
        noise_rngs=noise_rng.spawn(len(net.layers)),
        method_rng=method_rng,
        history=History(),
        step=first,
    )
    if method.rewires_at_start:
        _rewire(net, (), training)
    return training


def step(net: Network, x: np.ndarray, y: np.ndarray, training: Training) -> float:
    """One batch: gradients, then an update or a rewiring or both.

    Parameters
    ----------
    net : Network
        Changed in place.
    x : (tiles, n_in, width)
        From `Network.packed`.
    y : (n,)
    training : Training
        Changed in place.

    Returns
    -------
    float
        Mean loss over the batch, before the update.
    """
    training.step += 1
    reads = training.method.reads_gradient(training.step)
    loss, grads = net.gradients(x, y, training.noise_rngs, factors=reads)
    rate = training.optimizer.learning_rate(training.step)
    _require_finite("loss", loss, training)
    training.history.steps.append(Step(training.step, loss, rate))
    sparse_grads = net.sparse_gradients(grads)
    training.method_state = training.method.observe(sparse_grads, training.method_state)
    due = training.method.due(training.step)
    if not (due and training.method.replaces_update):
        # An event after the update reads the gradients too.
        _update(net, grads, sparse_grads, training, kept=due)
    if due:
        _rewire(net, sparse_grads, training)
    return loss


def _trained(net, method, state):
    """What the optimizer trains: a method may keep biases still, or train shadows of weights."""
    shadowed = method.shadows(state) is not None
    return tuple(
        parameter
        for parameter in net.parameters()
        if not (shadowed and parameter.slots) and (method.trains_biases or parameter.name != "bias")
    )


def _update(net, grads, sparse_grads, training, kept):
    """Let the optimizer turn the gradients into updates and add them; `kept` spares the former."""
    method, state = training.method, training.method_state
    parameters = _trained(net, method, state)
    arrays = [getattr(grads[p.layer], p.name) for p in parameters]
    arrays = [array.copy() for array in arrays] if kept else arrays
    before = training.optimizer_state
    with np.errstate(over="ignore", invalid="ignore"):  # found below, and told in words
        updates, training.optimizer_state = training.optimizer.updates(
            parameters, arrays, before, training.step
        )
        if method.drifts:
            _add_drift(net, parameters, updates, training)
        _hold(parameters, updates, method.held(state))
        for parameter, update in zip(parameters, updates, strict=True):
            _require_finite_sum(parameter.value, update, training)
        shadows = method.shadows(state) or ()
        for shadow, grad in zip(shadows, sparse_grads if shadows else (), strict=True):
            at_fault = shadow.step(grad, training.optimizer, before.made, training.step)
            _require_finite("weights", at_fault, training)
    for parameter, update in zip(parameters, updates, strict=True):
        np.add(parameter.value, update, out=parameter.value)
    if not kept:  # else the event does
        _refresh(net, shadows)


def _hold(parameters, updates, held):
    """Spare the connections that the method holds still."""
    if held is None:
        return
    slots = [u for p, u in zip(parameters, updates, strict=True) if p.slots]
    for update, still in zip(slots, checked_held(held, slots), strict=True):
        update[still] = 0


def _refresh(net, shadows):
    """Weights as their shadows are now."""
    for layer, shadow in zip(net.sparse_layers, shadows or (), strict=bool(shadows)):
        layer.weight.data[:] = shadow.values(csr.flat(layer.weight))


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
    method, before = training.method, training.method_state
    rewires, state = method.rewire(net, sparse_grads, before, training.step, rng)
    check_momentum(rewires)
    weights = [layer.weight for layer in net.sparse_layers]
    sources = net.restructure(rewires)
    training.method_state = method.follow(state, sources)
    _leave_out(net, method, training.method_state)
    _refresh(net, method.shadows(before))
    training.optimizer_state = _carried(net, training, before, sources, rewires)
    if method.resets_optimizer:
        training.optimizer_state = training.optimizer.init(
            _trained(net, method, training.method_state)
        )
    _record(training, weights, rewires, net)


def _record(training, weights, rewires, net):
    for number, (old, rewire, layer) in enumerate(
        zip(weights, rewires, net.sparse_layers, strict=True)
    ):
        # Copies: what lives on must not hold on to buffers that the next event could use again.
        dropped, grown = np.array(csr.positions_of(old, rewire.drop)), np.array(rewire.grow)
        event = Event(training.step, number, dropped, grown, layer.weight.nnz)
        training.history.events.append(event)


def _carried(net, training, before, sources, rewires):
    """The optimizer's state on the new structure: survivors keep theirs, grown start at zero.

    Where the method has let go of its shadows, connections bring what the shadow had.
    """
    method, state, old = training.method, training.method_state, training.optimizer_state
    groups = dict(zip(map(_name, _trained(net, method, before)), old.buffers, strict=True))
    shadows = method.shadows(before) or [None] * len(sources)
    layers = zip(net.sparse_layers, shadows, sources, rewires, strict=True)
    carried = []
    for parameter in _trained(net, method, state):
        group = groups.get(_name(parameter), ())
        if parameter.slots:
            layer, shadow, source, rewire = next(layers)
            released = shadow and shadow.buffers_at(csr.flat(layer.weight))
            group = released if shadow else _carried_group(group, source, rewire)
        carried.append(group)
    return OptimizerState(old.made, tuple(carried))


def _name(parameter):
    return parameter.layer, parameter.name


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
