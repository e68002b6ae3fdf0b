"""What happened, kept on disk and compared."""

import io
import json
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest

from sparse_ref import History, first_difference, fit, history, models, optim
from sparse_ref.history import Epoch, Event, Step
from sparse_ref.methods import RigL

NAN = float("nan")


def positions(*numbers):
    return np.array(numbers, np.int64)


def example():
    """A history with everything in it: empty events, no validation, big positions."""
    return History(
        steps=[Step(1, 2.5, 0.1), Step(2, 0.1 + 0.2, 1 / 3), Step(3, 5e-324, 0.0)],
        events=[
            Event(2, 0, positions(1, 2), positions(5, 2**40), 7),
            Event(2, 1, positions(), positions(), 0),
            Event(3, 0, positions(), positions(9), 8),
        ],
        epochs=[Epoch(1, 1.4, NAN, NAN, (7, 0), 0.25), Epoch(2, 0.2, 0.3, 0.95, (8, 0), 0.5)],
        optimizer_bytes=1234,
        method_bytes=567,
    )


def changed(**records):
    """The example with some of its records replaced."""
    return History(**{**vars(example()), **records})


def same(a, b):
    """Whether two histories agree in everything, seconds too."""
    return repr(a) == repr(b)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "run.npz"


# ---------------------------------------------------------------- save and load


def test_what_is_loaded_is_what_was_saved(file):
    example().save(file)
    assert same(History.load(file), example())


def test_an_empty_history_is_loaded_empty(file):
    History().save(file)
    assert same(History.load(file), History())


def test_a_real_training_comes_back_to_the_bit(file):
    rng = np.random.default_rng(353)
    net = models.mlp([6, 8, 3], density=0.4, rng=rng)
    data = rng.random((30, 6)), rng.integers(0, 3, 30)
    method, optimizer = RigL(every=2), optim.sgd(0.1, 0.9)
    ref = fit(net, data, method=method, optimizer=optimizer, epochs=3, batch_size=8, rng=rng)
    ref.save(file)
    comp = History.load(file)
    assert ref.events
    assert same(comp, ref)
    assert first_difference(comp, ref) is None


def test_positions_are_loaded_as_integers_of_64_bits(file):
    example().save(file)
    dtypes = {a.dtype for e in History.load(file).events for a in (e.dropped, e.grown)}
    assert dtypes == {np.dtype(np.int64)}


def test_records_are_loaded_as_records(file):
    example().save(file)
    loaded = History.load(file)
    kinds = type(loaded.steps[0]), type(loaded.events[0]), type(loaded.epochs[0])
    assert kinds == (Step, Event, Epoch)
    assert loaded.epochs[0].connections == (7, 0)


def test_a_path_may_be_a_string(file):
    example().save(str(file))
    assert same(History.load(str(file)), example())


def test_the_file_has_the_given_name_and_no_other_file_is_left(tmp_path):
    example().save(tmp_path / "run.history")
    assert [path.name for path in tmp_path.iterdir()] == ["run.history"]


def test_saving_again_replaces_the_file(file):
    History().save(file)
    example().save(file)
    assert same(History.load(file), example())


def test_numbers_of_numpy_are_saved_too(file):
    # What a method or a user's own loop may put into a record.
    numbers = History(
        steps=[Step(np.int64(1), np.float64(2.5), np.float32(0.5))],
        events=[Event(np.int64(1), np.int64(0), positions(1), positions(2), np.int32(7))],
        optimizer_bytes=np.int64(8),
    )
    numbers.save(file)
    assert History.load(file).steps == [Step(1, 2.5, 0.5)]


def test_nothing_is_pickled(file):
    example().save(file)
    with np.load(file, allow_pickle=False) as arrays:
        assert all(array.dtype.kind in "iu" for array in arrays.values())


def test_a_pickle_is_never_read(file):
    np.savez(file, records=np.array([{"steps": []}], dtype=object))
    with pytest.raises(ValueError, match=r"is not a saved history"):
        History.load(file)


def test_a_save_that_fails_leaves_the_old_file_and_no_other(file, monkeypatch):
    History().save(file)
    before = file.read_bytes()

    def half(stream, **_):
        stream.write(b"half a file")
        raise OSError("no space left on device")

    monkeypatch.setattr(history.np, "savez_compressed", half)
    with pytest.raises(OSError, match="no space left"):
        example().save(file)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_save_that_is_interrupted_leaves_no_file(file, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(history.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        example().save(file)
    assert list(file.parent.iterdir()) == []


def test_a_history_that_cannot_be_written_leaves_no_file(file):
    with pytest.raises(TypeError):
        History(steps=[Step(1, object(), 0.1)]).save(file)
    assert list(file.parent.iterdir()) == []


def test_a_saved_file_is_as_readable_as_any_new_file(file):
    # mkstemp makes files only their owner may read; a new file follows the umask.
    beside = file.with_name("beside")
    beside.touch()
    example().save(file)
    assert file.stat().st_mode == beside.stat().st_mode


def test_saving_into_a_missing_folder_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        example().save(tmp_path / "nowhere" / "run.npz")


def test_a_missing_file_is_named_with_its_folder(tmp_path):
    message = f"^History.load: no file run.npz in {tmp_path}$"
    with pytest.raises(FileNotFoundError, match=message):
        History.load(tmp_path / "run.npz")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^History\.load: no file "):
        History.load(tmp_path)


def zipped(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def arrays(**members):
    stream = io.BytesIO()
    np.savez(stream, **members)
    return stream.getvalue()


def records(**entries):
    """A file as `save` writes it, but with other records."""
    none = positions()
    content = json.dumps({"steps": [], "epochs": [], "events": [], **entries}).encode()
    return arrays(records=np.frombuffer(content, np.uint8), dropped=none, grown=none)


NOT_HISTORIES = {
    "empty": b"",
    "text": b"step,loss\n1,2.5\n",
    "zip of something else": zipped(readme="hello"),
    "zip without members": zipped(),
    "arrays of something else": arrays(weight=np.ones(3)),
    "one array": (lambda s: (np.save(s, np.ones(3)), s.getvalue())[1])(io.BytesIO()),
    "records that are no json": arrays(records=np.frombuffer(b"{", np.uint8)),
    "records that are a list": arrays(records=np.frombuffer(b"[1, 2]", np.uint8)),
    "records without bytes": records(),
    "steps too short": records(bytes=[0, 0], steps=[[1, 2.5]]),
    "steps that are numbers": records(bytes=[0, 0], steps=[1, 2]),
    "events too short": records(bytes=[0, 0], events=[[1, 0]]),
    "positions that are missing": records(bytes=[0, 0], events=[[1, 0, 5, 5, 9]]),
}


@pytest.mark.parametrize("content", NOT_HISTORIES.values(), ids=NOT_HISTORIES)
def test_what_is_not_a_history_is_refused_by_name(content, file):
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"^History\.load: .*run\.npz is not a saved history"):
        History.load(file)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_refused_by_name(kept, file):
    example().save(file)
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ValueError, match="is not a saved history"):
        History.load(file)


def test_a_file_with_one_byte_changed_is_refused_or_read_as_it_was(file):
    example().save(file)
    content = file.read_bytes()
    for k in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[k] ^= 0x40
        file.write_bytes(damaged)
        try:
            assert same(History.load(file), example())
        except ValueError as error:
            assert "is not a saved history" in str(error)  # noqa: PT017  (either is right)


# ---------------------------------------------------------------- first_difference


def test_equal_histories_have_no_difference():
    assert first_difference(example(), example()) is None
    assert first_difference(History(), History()) is None


def test_seconds_are_no_difference():
    epochs = [record._replace(seconds=99.0) for record in example().epochs]
    assert first_difference(example(), changed(epochs=epochs)) is None


STEPS, EVENTS, EPOCHS = example().steps, example().events, example().epochs
DIFFERENCES = {
    "loss": (
        {"steps": [STEPS[0], STEPS[1]._replace(loss=0.3), STEPS[2]]},
        "step 2: loss 0.30000000000000004 against 0.3",
    ),
    "learning rate": (
        {"steps": [STEPS[0]._replace(learning_rate=0.2), *STEPS[1:]]},
        "step 1: learning rate 0.1 against 0.2",
    ),
    "missing step": ({"steps": STEPS[:2]}, "step 3: only the first history has it"),
    "step more": (
        {"steps": [*STEPS, Step(4, 1.0, 0.1)]},
        "step 4: only the second history has it",
    ),
    "dropped": (
        {"events": [EVENTS[0]._replace(dropped=positions(1, 3)), *EVENTS[1:]]},
        "step 2, layer 0: dropped only in the first [2], only in the second [3]",
    ),
    "grown": (
        {"events": [EVENTS[0]._replace(grown=positions(5)), *EVENTS[1:]]},
        f"step 2, layer 0: grown only in the first [{2**40}], only in the second []",
    ),
    "layer only in the first": (
        {"events": [EVENTS[0], EVENTS[2]]},
        "step 2, layer 1: only the first history rewires",
    ),
    "layer only in the second": (
        {"events": [*EVENTS, Event(3, 1, positions(), positions(), 0)]},
        "step 3, layer 1: only the second history rewires",
    ),
    "event of a step that is in neither": (
        {"events": [*EVENTS, Event(9, 0, positions(1), positions(), 0)]},
        "step 9, layer 0: only the second history rewires",
    ),
    "connections after an event": (
        {"events": [EVENTS[0]._replace(connections=6), *EVENTS[1:]]},
        "step 2, layer 0: connections 7 against 6",
    ),
    "epoch loss": (
        {"epochs": [EPOCHS[0], EPOCHS[1]._replace(loss=0.25)]},
        "epoch 2: loss 0.2 against 0.25",
    ),
    "validation": (
        {"epochs": [EPOCHS[0], EPOCHS[1]._replace(validation_accuracy=0.94)]},
        "epoch 2: validation accuracy 0.95 against 0.94",
    ),
    "validation in one": (
        {"epochs": [EPOCHS[0]._replace(validation_loss=0.5), EPOCHS[1]]},
        "epoch 1: validation loss nan against 0.5",
    ),
    "connections": (
        {"epochs": [EPOCHS[0]._replace(connections=(7, 1)), EPOCHS[1]]},
        "epoch 1: connections (7, 0) against (7, 1)",
    ),
    "missing epoch": ({"epochs": EPOCHS[:1]}, "epoch 2: only the longer history has it"),
}


@pytest.mark.parametrize(("other", "words"), DIFFERENCES.values(), ids=DIFFERENCES)
def test_the_first_difference_is_said_in_words(other, words):
    assert first_difference(example(), changed(**other)) == words


SWAPPED = [name for name in DIFFERENCES if name.startswith(("layer only", "missing step"))]


@pytest.mark.parametrize("name", SWAPPED)
def test_exchanging_the_histories_exchanges_first_and_second(name):
    other, words = DIFFERENCES[name]
    exchanged = (
        words.replace("first", "FIRST").replace("second", "first").replace("FIRST", "second")
    )
    assert first_difference(changed(**other), example()) == exchanged


def test_the_earliest_step_is_named():
    steps = [record._replace(loss=record.loss + 1) for record in STEPS]
    assert first_difference(example(), changed(steps=steps)).startswith("step 1: ")


def test_at_one_step_the_loss_comes_before_the_rewiring():
    other = changed(
        steps=[STEPS[0], STEPS[1]._replace(loss=9.0), STEPS[2]],
        events=[EVENTS[0]._replace(grown=positions(3)), *EVENTS[1:]],
    )
    assert first_difference(example(), other) == "step 2: loss 0.30000000000000004 against 9.0"


def test_a_rewiring_comes_before_the_loss_of_the_next_step():
    other = changed(
        steps=[*STEPS[:2], STEPS[2]._replace(loss=9.0)],
        events=[EVENTS[0]._replace(grown=positions(5)), *EVENTS[1:]],
    )
    assert first_difference(example(), other).startswith("step 2, layer 0: grown ")


def test_one_unit_in_the_last_place_is_a_difference():
    nearly = changed(steps=[STEPS[0]._replace(loss=math.nextafter(2.5, 3)), *STEPS[1:]])
    assert first_difference(example(), nearly) == "step 1: loss 2.5 against 2.5000000000000004"


def test_a_history_is_a_file_of_its_own(tmp_path):
    example().save(tmp_path / "a.npz")
    assert zipfile.is_zipfile(tmp_path / "a.npz")
    assert Path(tmp_path / "a.npz").stat().st_size < 4000
