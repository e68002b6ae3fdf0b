"""What happened in a training: steps, rewirings and epochs, kept, saved and compared."""

import json
import os
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from sparse_ref import npz
from sparse_ref.shadow import Shadow


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
    optimizer_bytes, method_bytes : int
        Held by the optimizer's and by the method's state at the end.
    """

    steps: list[Step] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    optimizer_bytes: int = 0
    method_bytes: int = 0

    def save(self, path: str | os.PathLike) -> None:
        """Write all records to one ``.npz`` file, atomically, without pickle."""
        npz.write(path, _to_arrays(self))

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
        return npz.read(path, "History.load", _from_arrays, "is not a saved history")


def bytes_of(state: Any) -> int:
    """Bytes of all arrays in a method's state, however its tuples are nested."""
    if isinstance(state, np.ndarray | Shadow):
        return state.nbytes
    return sum(map(bytes_of, state)) if isinstance(state, tuple) else 0


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
    steps_a, steps_b = _by_step(a.steps), _by_step(b.steps)
    events_a, events_b = _by_step(a.events), _by_step(b.events)
    for step in sorted({*steps_a, *steps_b, *events_a, *events_b}):
        found = _compare_step(step, steps_a[step], steps_b[step])
        found = found or _compare_events(step, events_a[step], events_b[step])
        if found:
            return found
    return _compare_epochs(a.epochs, b.epochs)


def _by_step(records):
    """The records of each step; an empty list for a step without."""
    groups = defaultdict(list)
    for record in records:
        groups[record.step].append(record)
    return groups


def _compare_step(step, a, b):
    if len(a) != len(b):
        return f"step {step}: only the {'second' if len(a) < len(b) else 'first'} history has it"
    for one, two in zip(a, b, strict=True):
        for name in ("loss", "learning_rate"):
            x, y = getattr(one, name), getattr(two, name)
            if x != y:
                return f"step {step}: {name.replace('_', ' ')} {x!r} against {y!r}"
    return None


def _compare_events(step, a, b):
    a, b = ({event.layer: event for event in events} for events in (a, b))
    for layer in sorted(set(a) | set(b)):
        where = f"step {step}, layer {layer}:"
        if layer not in a or layer not in b:
            return f"{where} only the {'second' if layer not in a else 'first'} history rewires"
        for name in ("dropped", "grown"):
            one, two = getattr(a[layer], name), getattr(b[layer], name)
            if not np.array_equal(one, two):
                return f"{where} {name} {_set_difference(one, two)}"
        if a[layer].connections != b[layer].connections:
            return f"{where} connections {a[layer].connections} against {b[layer].connections}"
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
        "bytes": [history.optimizer_bytes, history.method_bytes],
    }
    return {
        "records": np.frombuffer(json.dumps(scalars, default=_plain).encode(), np.uint8),
        "dropped": np.concatenate([np.empty(0, np.int64), *(e.dropped for e in events)]),
        "grown": np.concatenate([np.empty(0, np.int64), *(e.grown for e in events)]),
    }


def _plain(number):
    if isinstance(number, np.generic):
        return number.item()
    raise TypeError(f"History.save: records must hold numbers, got {number!r}")


def _from_arrays(arrays):
    scalars = json.loads(arrays["records"].tobytes().decode())
    all_dropped, all_grown = arrays["dropped"], arrays["grown"]
    events, at_drop, at_grow = [], 0, 0
    for step, layer, n_drop, n_grow, connections in scalars["events"]:
        dropped = all_dropped[at_drop : at_drop + n_drop]
        grown = all_grown[at_grow : at_grow + n_grow]
        events.append(Event(step, layer, dropped, grown, connections))
        at_drop, at_grow = at_drop + n_drop, at_grow + n_grow
    if (at_drop, at_grow) != (len(all_dropped), len(all_grown)):
        raise ValueError("its positions are not as many as its events say")
    epochs = [Epoch(e, a, b, c, tuple(nnz), s) for e, a, b, c, nnz, s in scalars["epochs"]]
    steps = [Step(*record) for record in scalars["steps"]]
    return History(steps, events, epochs, *scalars["bytes"])
