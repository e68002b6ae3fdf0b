"""Topologies in one file: small, exact, and refused where it is not one."""

import contextlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_ref import csr, models, npz, selection
from sparse_ref.topology import load_topologies, save_topologies
from sparse_ref.topology.archive import PackedTopologies, pack, unpack
from sparse_ref.topology.patterns import of_ones

#   row 0   . 1 1 .      flat positions  1  2  4  11
#   row 1   1 . . .      gaps from -1    2  1  2   7
#   row 2   . . . 1
WEIGHT = of_ones((3, 4), np.array([1, 2, 4, 11]))


def test_gaps_by_hand():
    packed = pack(WEIGHT)
    assert (packed.shape, packed.gaps.tolist()) == ((3, 4), [2, 1, 2, 7])
    assert packed.gaps.dtype == np.uint8
    assert csr.flat(unpack(packed)).tolist() == [1, 2, 4, 11]


def test_the_file_is_what_the_documentation_says(tmp_path):
    """Read with NumPy alone."""
    wide = of_ones((1, 70_000), np.array([4, 69_999]))  # gaps 5 and 69995 = 107 + 17 * 256 + 65536
    save_topologies(tmp_path / "t.npz", {3: [WEIGHT], 7: [of_ones((3, 4), np.array([0]))]})
    with np.load(tmp_path / "t.npz", allow_pickle=False) as arrays:
        assert json.loads(arrays["header"].tobytes()) == {
            "format": "sparse_ref topologies",
            "version": 1,
            "shapes": [[3, 4]],
            "epochs": [3, 7],
            "connections": [[4], [1]],
        }
        assert arrays["layer_0"].tolist() == [[2, 1, 2, 7, 1]]
    save_topologies(tmp_path / "t.npz", {0: wide})
    with np.load(tmp_path / "t.npz", allow_pickle=False) as arrays:
        assert arrays["layer_0"].tolist() == [[5, 107], [0, 17], [0, 1]]


def same(one, other):
    assert one.shape == other.shape
    np.testing.assert_array_equal(one.indptr, other.indptr)
    np.testing.assert_array_equal(one.indices, other.indices)
    assert one.indices.dtype == other.indices.dtype
    assert (one.data == 1).all()
    assert one.dtype == np.float32


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(1, 400)), min_size=1, max_size=3),
    st.lists(st.integers(0, 10**6), min_size=1, max_size=4, unique=True),
    st.integers(2, 2**32),
)
def test_a_round_trip_is_exact(tmp_path_factory, shapes, epochs, seed):
    rng = np.random.default_rng(seed)
    density = rng.choice([0, 0.003, 0.1, 1])
    topologies = {
        epoch: [of_ones(s, np.flatnonzero(rng.random(math.prod(s)) < density)) for s in shapes]
        for epoch in epochs
    }
    path = tmp_path_factory.mktemp("archive") / "topologies.npz"
    save_topologies(path, topologies)
    loaded = load_topologies(path)
    assert list(loaded) == epochs  # in the order written
    for epoch, layers in topologies.items():
        for one, other in zip(loaded[epoch], layers, strict=True):
            same(one, other)


@pytest.mark.parametrize("gap", [255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**40])
def test_gaps_of_any_size(tmp_path, gap):
    weight = csr.from_positions((1 << 6, 1 << 40), np.array([5, 5 + gap]), np.ones(2, np.float32))
    assert unpack(pack(weight)).indices.tolist() == weight.indices.tolist()
    save_topologies(tmp_path / "t.npz", {0: weight})
    same(load_topologies(tmp_path / "t.npz")[0][0], weight)


def test_values_and_stored_zeros(tmp_path):
    weight = csr.from_dense(np.array([[0.0, 3.0]]), np.array([[True, True]]))
    save_topologies(tmp_path / "t.npz", {1: weight})
    assert load_topologies(tmp_path / "t.npz")[1][0].data.tolist() == [1, 1]


def test_a_network_is_saved_with_its_dense_layers_and_is_a_structure_again(tmp_path):
    net = models.mlp([6, 5, 2], density=0.4, dense=[-1], rng=np.random.default_rng(5))
    save_topologies(tmp_path / "t.npz", {0: net})
    first, last = load_topologies(tmp_path / "t.npz")[0]
    assert last.nnz == 10
    again = models.mlp([6, 5, 2], structure=first, dense=[-1], rng=np.random.default_rng(7))
    np.testing.assert_array_equal(csr.flat(again.layers[0].weight), csr.flat(net.layers[0].weight))


def test_the_same_topologies_make_the_same_file(tmp_path):
    for name in ("a", "b"):
        save_topologies(tmp_path / name, {0: WEIGHT})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(("density", "most"), [(0.01, 1.09), (0.05, 0.75), (0.2, 0.55)])
def test_a_connection_takes_little_more_than_its_entropy(tmp_path, density, most):
    """784 x 784, random: 0.99, 0.70 and 0.45 bytes of entropy a connection."""
    rng, epochs = np.random.default_rng(617), range(5)
    n = int(density * 784**2)
    topologies = {e: of_ones((784, 784), selection.random_ranks(784**2, n, rng)) for e in epochs}
    save_topologies(tmp_path / "t.npz", topologies)
    assert (tmp_path / "t.npz").stat().st_size - 700 < most * n * len(epochs)  # names and header


# ---------------------------------------------------------------- packed in memory


def test_packed_topologies_are_a_mapping_that_unpacks():
    packed = PackedTopologies()
    packed.add(0, [WEIGHT, WEIGHT])
    packed.add(5, [WEIGHT, of_ones((3, 4), np.array([0]))])
    assert (list(packed), len(packed), 5 in packed, 1 in packed) == ([0, 5], 2, True, False)
    assert [layer.nnz for layer in packed[5]] == [4, 1]
    same(packed[0][1], WEIGHT)
    with pytest.raises(KeyError):
        packed[1]


def test_what_does_not_change_is_held_once():
    packed = PackedTopologies()
    packed.add(0, [WEIGHT, WEIGHT])
    assert packed.nbytes == 4 + 4
    packed.add(1, [WEIGHT, of_ones((3, 4), np.array([0, 1]))])
    assert packed.nbytes == 4 + 4 + 2
    packed.add(2, [WEIGHT, WEIGHT])
    assert packed.nbytes == 4 + 4 + 2 + 4  # compared with the record before only


def test_layers_of_another_shape_are_others_even_with_the_same_gaps():
    packed = PackedTopologies()
    packed.add(0, [WEIGHT])
    packed.add(1, [of_ones((2, 6), csr.flat(WEIGHT))])
    packed.add(2, [WEIGHT, WEIGHT])
    assert [[layer.shape for layer in packed[k]] for k in range(3)] == [
        [(3, 4)],
        [(2, 6)],
        [(3, 4), (3, 4)],
    ]


def test_packed_topologies_are_saved_as_they_are(tmp_path, monkeypatch):
    packed = PackedTopologies()
    packed.add(2, [WEIGHT])
    monkeypatch.setattr("sparse_ref.topology.archive.unpack", None)
    save_topologies(tmp_path / "t.npz", packed)
    monkeypatch.undo()
    same(load_topologies(tmp_path / "t.npz")[2][0], WEIGHT)


# ---------------------------------------------------------------- what is refused


def refused(tmp_path, words, **changes):
    """A file with another header, or other gaps."""
    save_topologies(tmp_path / "t.npz", {3: WEIGHT})
    arrays = npz.read(tmp_path / "t.npz", "test")
    header = json.loads(arrays["header"].tobytes())
    planes = changes.pop("planes", arrays["layer_0"])
    header |= changes
    text = np.frombuffer(json.dumps(header).encode(), np.uint8)
    npz.write(tmp_path / "t.npz", {"header": text, "layer_0": planes})
    with pytest.raises(ValueError, match=rf"^load_topologies: .*t\.npz holds no .*\({words}"):
        load_topologies(tmp_path / "t.npz")


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("its format is 'something'", {"format": "something"}),
        ("its shapes are not all integers", {"shapes": [[3.0, 4]]}),
        ("its shapes are not all integers", {"shapes": [["3", 4]]}),
        ("its connections are not all integers", {"connections": [[4.9]]}),
        ("", {"connections": [[10**30]]}),
        ("", {"shapes": [[10**13, 10]]}),
        ("it is of version 2, known is 1", {"version": 2}),
        (r"it says .5. connections and holds 4", {"connections": [[5]]}),
        (r"it says .3. connections and holds 4", {"connections": [[3]]}),
        (
            r"it says .5, -1. connections and holds 4",
            {"epochs": [3, 4], "connections": [[5], [-1]]},
        ),
        ("cannot reshape", {"connections": [[4], [4]]}),
        ("'layer_1'", {"shapes": [[3, 4], [3, 4]], "connections": [[4, 4]]}),
        ("from_positions: positions must be in", {"shapes": [[3, 3]]}),
        ("its gaps reach from 1 to 7 in a layer", {"shapes": [[2, 3]]}),
        ("its gaps reach from 0 to 7 in a layer", {"planes": np.array([[2, 0, 2, 7]], np.uint8)}),
        (r"its gaps are uint16 of shape \(1, 4\)", {"planes": np.ones((1, 4), np.uint16)}),
        (r"its gaps are uint8 of shape \(4,\)", {"planes": np.ones(4, np.uint8)}),
        (r"its gaps are uint8 of shape \(9, 4\)", {"planes": np.ones((9, 4), np.uint8)}),
        ("its epochs are not integers, each once: .'a'", {"epochs": ["a"]}),
        ("its epochs are not integers", {"epochs": [3, 3], "connections": [[2], [2]]}),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(tmp_path, words, changes):
    refused(tmp_path, words, **changes)


def test_a_damaged_file_is_refused_wherever_it_is_damaged(tmp_path):
    path = tmp_path / "t.npz"
    save_topologies(path, {0: WEIGHT, 1: WEIGHT})
    whole = path.read_bytes()
    for k in range(0, len(whole), 7):
        for damaged in (whole[:k], whole[:k] + bytes([whole[k] ^ 255]) + whole[k + 1 :]):
            path.write_bytes(damaged)
            with contextlib.suppress(ValueError):  # an OSError, say, is none of ours
                for layers in load_topologies(path).values():  # a date is of no consequence
                    same(layers[0], WEIGHT)


def test_a_foreign_file_is_refused(tmp_path):
    for name, write in {
        "text.npz": lambda path: path.write_text("no archive"),
        "array.npy": lambda path: np.save(path, np.arange(3)),
        "other.npz": lambda path: np.savez(path, a=np.arange(3)),
    }.items():
        write(tmp_path / name)
        with pytest.raises(ValueError, match=rf"^load_topologies: .*{name} holds no saved topo"):
            load_topologies(tmp_path / name)


def test_a_pickle_is_not_opened(tmp_path):
    with open(tmp_path / "t.npz", "wb") as file:
        np.savez(file, header=np.array([{}], object), layer_0=np.ones(3))
    with pytest.raises(ValueError, match="holds no saved topologies"):
        load_topologies(tmp_path / "t.npz")


def test_a_missing_file_is_named_with_its_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^load_topologies: no file t\.npz in /.*"):
        load_topologies(tmp_path / "t.npz")


def test_what_cannot_be_saved(tmp_path):
    path = tmp_path / "t.npz"
    with pytest.raises(ValueError, match=r"^save_topologies: topologies must hold at least one ep"):
        save_topologies(path, {})
    with pytest.raises(ValueError, match=r"but epoch 0 has \[\(3, 4\)\] and epoch 4 \[\(4, 3\)\]"):
        save_topologies(path, {0: WEIGHT, 4: WEIGHT.toarray().T})
    with pytest.raises(TypeError, match=r"^save_topologies: epochs must be integers, got 'last'$"):
        save_topologies(path, {"last": WEIGHT})
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_finished_leaves_the_one_before(tmp_path, monkeypatch):
    path = tmp_path / "t.npz"
    save_topologies(path, {0: WEIGHT})

    def broken(file, **arrays):
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez_compressed", broken)
    with pytest.raises(OSError, match="no space"):
        save_topologies(path, {1: WEIGHT})
    assert list(load_topologies(path)) == [0]
    assert [p.name for p in Path(tmp_path).iterdir()] == ["t.npz"]
