"""The training loop."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from sparse_ref import tiles
from sparse_ref.history import Epoch, History, bytes_of
from sparse_ref.losses import LOSSES
from sparse_ref.methods.base import Method, Run
from sparse_ref.network import Network
from sparse_ref.optim import Optimizer
from sparse_ref.train_checks import check_kinds, check_positive, checked_data, checked_span
from sparse_ref.train_step import Training, start, step

__all__ = ["Augment", "Callback", "Evaluation", "Training", "evaluate", "fit", "start", "step"]

Callback = Callable[[Network, Epoch, History], None]
Augment = Callable[[np.ndarray, np.random.Generator], np.ndarray]


class Evaluation(NamedTuple):
    """How well a network does on a data set."""

    loss: float  # mean over the examples
    accuracy: float  # fraction whose largest output is the label; nan if targets are no labels


NOT_EVALUATED = Evaluation(float("nan"), float("nan"))


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
    span: tuple[int, int | None] = (0, None),
    augment: Augment | None = None,
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
        Three streams are spawned from it: order of examples, dropout, method; and a fourth if there
        is something to augment.
    validation : (x, y), optional
        Evaluated after each epoch; never trained on.
    callbacks : sequence of callables
        Each is called as ``callback(net, epoch, history)`` after each epoch.
    span : (first, last), steps
        Only steps ``first + 1 ... last`` of the training that the other arguments describe, None
        being its end. They see the batches and the schedules that they would see in the whole
        training; optimizer, method, dropout and the method's draws begin at `first`. With
        ``(0, k)`` and then ``(k, None)`` a training is cut in two: late rewinding.
    augment : callable, optional
        ``augment(x, rng) -> x`` changes the examples of a batch, ``(n, ...)`` of the network's own
        shape (`Network.shape`), before a step sees them; every step has a stream of its own.
        `data_loaders.augment` has the papers'.

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
    first, last = checked_span(span, steps_per_epoch * epochs)
    if augment is not None:
        x = _Augmented(x, augment, rng.spawn(1)[0], first)
    run = Run(steps_per_epoch, steps_per_epoch * epochs, first)
    training = start(net, method.bind(run), optimizer, noise_rng, method_rng, first=first)
    for number in range(1, epochs + 1):
        order = order_rng.permutation(len(x))  # of epochs that are left out, too
        batches = _batches(order, batch_size, (number - 1) * steps_per_epoch, first, last)
        if not batches:
            continue
        loss, seconds = _epoch(net, x, y, batches, training)
        result = NOT_EVALUATED if held_out is None else _evaluate(net, *held_out)
        record = Epoch(number, loss, result.loss, result.accuracy, net.connections, seconds)
        training.history.epochs.append(record)
        for callback in callbacks:
            callback(net, record, training.history)
    training.history.optimizer_bytes = training.optimizer_state.nbytes
    training.history.method_bytes = bytes_of(training.method_state)
    return training.history


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


def _batches(order, batch_size, before, first, last):
    """The examples of each step of an epoch that lies in the span; `before` steps went before."""
    starts = range(0, len(order), batch_size)
    steps = enumerate(starts, start=before + 1)
    return [order[at : at + batch_size] for number, at in steps if first < number <= last]


def _epoch(net, x, y, batches, training):
    """Train on batches: the mean loss over their examples, and the seconds it took."""
    began, total = time.perf_counter(), 0.0
    for batch in batches:
        total += len(batch) * step(net, _packed(net, x, batch), y[batch], training)
    return total / sum(map(len, batches)), time.perf_counter() - began


class _Augmented:
    """Examples that change each time a batch of them is taken."""

    def __init__(self, x, augment, rng, steps):
        self.x, self.augment = x, augment
        self.streams = rng.bit_generator.seed_seq
        self.streams.spawn(steps)  # of steps that are taken to have happened

    def __len__(self):
        return len(self.x)

    def batch(self, net, order):
        """The examples `order`, changed."""
        (seed,) = self.streams.spawn(1)
        x = self.x[order].reshape(-1, *net.shape)
        changed = self.augment(x, np.random.default_rng(seed))
        if np.shape(changed) != x.shape:
            raise ValueError(
                f"fit: augment must keep the shape of a batch, {x.shape}, got {np.shape(changed)}"
            )
        return net.examples(changed, "fit: augment's examples")


def _packed(net, x, batch):
    """A batch as tiles."""
    return net.packed(x.batch(net, batch)) if isinstance(x, _Augmented) else net.packed(x, batch)


def _evaluate(net, x, y):
    loss, correct, batch = 0.0, 0, net.predict_batch
    for first in range(0, len(x), batch):
        part, targets = x[first : first + batch], y[first : first + batch]
        outputs = net.outputs(net.packed(part))
        loss += LOSSES[net.loss](outputs, targets)[0] * len(part)
        if y.ndim == 1:
            correct += int(np.sum(tiles.unpack(outputs, len(part)).argmax(axis=1) == targets))
    return Evaluation(loss / len(x), correct / len(x) if y.ndim == 1 else float("nan"))
