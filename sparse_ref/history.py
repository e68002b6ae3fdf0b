"""What happened in a training: steps, rewirings and epochs, kept, saved and compared."""

import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Step(NamedTuple):
    """One batch."""

    step: int  # from 1
    loss: float  # mean over the batch, before the update
    learning_rate: float


class Event(NamedTuple):
    """One layer in one rewiring."""

    step: int
    layer: int  # number among the sparse layers, from 0
    dropped: np.ndarray  # (n_drop,) int64 flat positions, ascending
    grown: np.ndarray  # (n_grow,) int64 flat positions, ascending
    connections: int  # of the layer, after the event


class Epoch(NamedTuple):
    """One pass over the training examples."""

    epoch: int  # from 1
    loss: float  # mean over the epoch's examples
    validation_loss: float  # nan without validation data
    validation_accuracy: float  # fraction correct; nan without validation data
    connections: tuple[int, ...]  # of every layer with a weight
    seconds: float  # of training, validation not included


@dataclass
class History:
    """Records in the order they were made.

    Attributes
    ----------
    steps, events, epochs : lists of Step, Event, Epoch
    optimizer_bytes : int
        Held by the optimizer's state at the end.
    """

    steps: list[Step] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    optimizer_bytes: int = 0

    def save(self, path: str | os.PathLike) -> None:
        """Write all records to one ``.npz`` file, atomically, without pickle."""
        path = Path(path)
        arrays = _to_arrays(self)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
        try:
            with os.fdopen(descriptor, "wb") as file:
                np.savez_compressed(file, allow_pickle=False, **arrays)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise

    @classmethod
    def load(cls, path: str | os.PathLike) -> "History":
        """Read what `save` wrote.

        Raises
        ------
        FileNotFoundError
            No such file.
        ValueError
            The file is not a saved history.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"History.load: no file {path.name} in {path.parent.resolve()}")
        try:
            with np.load(path, allow_pickle=False) as file:
                return _from_arrays(dict(file))
        except (ValueError, KeyError, OSError, EOFError) as error:
            raise ValueError(f"History.load: {path} is not a saved history ({error})") from error


def first_difference(a: History, b: History) -> str | None:
    """Where two trainings part, in words; None if they never do.

    Compares losses, learning rates and rewirings step by step, exactly, to the bit; seconds are
    left out. At one step the loss is older than the rewiring.

    Examples
    --------
    >>> one, two = History([Step(1, 2.5, 0.1)]), History([Step(1, 2.5, 0.1), Step(2, 2.0, 0.1)])
    >>> first_difference(one, two)
    'step 2: only the second history has it'
    """
    for step in sorted(set(_by_step(a)) | set(_by_step(b))):
        found = _compare_step(step, _by_step(a).get(step), _by_step(b).get(step))
        if found:
            return found
        found = _compare_events(step, _events_at(a, step), _events_at(b, step))
        if found:
            return found
    return _compare_epochs(a.epochs, b.epochs)


def _by_step(history):
    return {record.step: record for record in history.steps}


def _events_at(history, step):
    return {event.layer: event for event in history.events if event.step == step}


def _compare_step(step, a, b):
    if a is None or b is None:
        return f"step {step}: only the {'second' if a is None else 'first'} history has it"
    for name in ("loss", "learning_rate"):
        if getattr(a, name) != getattr(b, name):
            words = name.replace("_", " ")
            return f"step {step}: {words} {getattr(a, name)!r} against {getattr(b, name)!r}"
    return None


def _compare_events(step, a, b):
    for layer in sorted(set(a) | set(b)):
        if layer not in a or layer not in b:
            which = "second" if layer not in a else "first"
            return f"step {step}, layer {layer}: only the {which} history rewires"
        for name in ("dropped", "grown"):
            one, two = getattr(a[layer], name), getattr(b[layer], name)
            if not np.array_equal(one, two):
                return f"step {step}, layer {layer}: {name} {_set_difference(one, two)}"
    return None


def _set_difference(one, two):
    only_one, only_two = np.setdiff1d(one, two), np.setdiff1d(two, one)
    return f"only in the first {only_one[:5].tolist()}, only in the second {only_two[:5].tolist()}"


def _compare_epochs(a, b):
    for one, two in zip(a, b, strict=False):
        for name in ("loss", "validation_loss", "validation_accuracy", "connections"):
            x, y = getattr(one, name), getattr(two, name)
            if x != y and not (x != x and y != y):  # nan marks "no validation data" in both
                return f"epoch {one.epoch}: {name.replace('_', ' ')} {x!r} against {y!r}"
    if len(a) != len(b):
        return f"epoch {min(len(a), len(b)) + 1}: only the longer history has it"
    return None


def _to_arrays(history):
    """Events are ragged: their positions are laid end to end, with the lengths beside them."""
    events = history.events
    scalars = {
        "steps": [list(record) for record in history.steps],
        "epochs": [list(record) for record in history.epochs],
        "events": [[e.step, e.layer, len(e.dropped), len(e.grown), e.connections] for e in events],
        "optimizer_bytes": history.optimizer_bytes,
    }
    return {
        "records": np.frombuffer(json.dumps(scalars).encode(), np.uint8),
        "dropped": np.concatenate([np.empty(0, np.int64), *(e.dropped for e in events)]),
        "grown": np.concatenate([np.empty(0, np.int64), *(e.grown for e in events)]),
    }


def _from_arrays(arrays):
    scalars = json.loads(arrays["records"].tobytes().decode())
    events, at_drop, at_grow = [], 0, 0
    for step, layer, n_drop, n_grow, connections in scalars["events"]:
        dropped = arrays["dropped"][at_drop : at_drop + n_drop]
        grown = arrays["grown"][at_grow : at_grow + n_grow]
        events.append(Event(step, layer, dropped, grown, connections))
        at_drop, at_grow = at_drop + n_drop, at_grow + n_grow
    epochs = [Epoch(e, a, b, c, tuple(nnz), s) for e, a, b, c, nnz, s in scalars["epochs"]]
    steps = [Step(*record) for record in scalars["steps"]]
    return History(steps, events, epochs, scalars["optimizer_bytes"])
