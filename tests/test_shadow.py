"""Shadows: trained in blocks of rows, ranked without reading twice, in memory or in files."""

import tracemalloc

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparse_ref import LayerGrad, csr, optim, shadow, tiles
from sparse_ref.layers import Parameter
from sparse_ref.shadow import Shadow


def gradient(shape, rng, n=9, dtype=np.float64):
    """The two factors of a dense gradient."""
    delta, x = (tiles.pack(rng.standard_normal((n, width)).astype(dtype)) for width in shape)
    return LayerGrad(np.empty(0, dtype), np.zeros(shape[0], dtype), delta, x)


@pytest.mark.parametrize("optimizer", [optim.sgd(0.1, 0.9, True, 0.01), optim.adam(0.1)], ids=str)
@pytest.mark.parametrize("block_elements", [1, 13, 1000])
def test_a_step_has_the_bits_of_the_optimizer_on_the_whole_array(optimizer, block_elements):
    rng = np.random.default_rng(83)
    start = rng.standard_normal((7, 6))
    ours, whole = Shadow(start, block_elements=block_elements), Parameter(0, "weight", start, False)
    ours.begin(optimizer)
    state = optimizer.init([whole])
    for step in range(1, 5):
        grad = gradient((7, 6), rng)
        (update,), state = optimizer.updates([whole], [grad.block(0, 7)], state, step)
        np.add(start, update, out=start)
        assert ours.step(grad, optimizer, step - 1, step) == 0
        assert ours.trained.tobytes() == start.tobytes()
    for buffer, ref in zip(ours.buffers, state.buffers[0], strict=True):
        assert buffer.tobytes() == ref.tobytes()


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.booleans())
def test_the_largest_are_those_of_a_sort_whatever_was_chosen_before(seed, block_elements, ties):
    rng = np.random.default_rng(seed)
    ours = Shadow(np.zeros((5, 8)), block_elements=block_elements)
    for k in rng.integers(0, 41, 6):
        values = rng.standard_normal((5, 8)) * 10 ** rng.uniform(-2, 2)
        ours.trained[:] = np.round(values) if ties else values
        comp = np.zeros(40, bool)
        comp[ours.largest(int(k))] = True
        order = sorted(range(40), key=lambda at: (-abs(ours.trained.flat[at]), at))
        assert sorted(order[:k]) == np.flatnonzero(comp).tolist()


def test_what_was_chosen_before_spares_most_of_the_ranking(monkeypatch):
    ranked = []

    def counting(sizes, k):
        ranked.append(len(sizes))
        return shadow.selection_largest(sizes, k)

    monkeypatch.setattr(shadow, "selection_largest", shadow.largest, raising=False)
    monkeypatch.setattr(shadow, "largest", counting)
    rng = np.random.default_rng(89)
    ours = Shadow(rng.standard_normal((50, 100)))
    ours.largest(500)
    ours.trained[:] *= 0.999
    ours.largest(500)
    assert ranked[0] == 500  # what the stream found among all
    assert 500 < ranked[1] < 700


def test_a_step_needs_one_block_beside_the_shadow():
    rng = np.random.default_rng(97)
    shape = 500, 2000
    ours, optimizer = Shadow(np.zeros(shape), block_elements=10_000), optim.sgd(0.1, 0.9)
    ours.begin(optimizer)
    grad = gradient(shape, rng)
    ours.step(grad, optimizer, 0, 1)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    ours.step(grad, optimizer, 1, 2)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    # The gradient's block, and a sum that the check may make; the shadow has a million numbers.
    assert peak < 4 * 10_000 * 8


def test_in_files_nothing_dense_is_in_memory_even_for_a_moment(tmp_path):
    rng = np.random.default_rng(211)
    shape, optimizer, block = (1500, 2000), optim.sgd(0.1, 0.9), shadow.BLOCK_ELEMENTS
    weight = csr.from_positions(shape, np.arange(0, 3_000_000, 100), rng.standard_normal(30_000))
    grad = gradient(shape, rng)

    def used():
        ours = Shadow.of(weight, rng, tmp_path)
        ours.begin(optimizer)
        for step in range(1, 4):
            ours.largest(30_000)
            ours.trained[:] *= 0.5  # what was chosen before is no help then
            ours.step(grad, optimizer, step - 1, step)

    used()  # compiles
    tracemalloc.start()
    used()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A quarter of a million numbers at a time, with positions and in two copies. The shadow: 24 MB.
    assert peak < 6 * 8 * block < 24e6


def test_files_hold_shadow_and_buffers(tmp_path):
    start = np.random.default_rng(101).standard_normal((3, 4)).astype(np.float32)
    ours = Shadow(start, tmp_path / "new", "one")
    ours.begin(optim.adam(0.1))
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "one-buffer-0.npy",
        "one-buffer-1.npy",
        "one.npy",
    ]
    ours.trained[1, 2] = 7
    ours.trained.base.flush()
    np.testing.assert_array_equal(np.load(tmp_path / "new" / "one.npy"), ours.trained)
    assert ours.nbytes == 3 * 12 * 4


@pytest.mark.parametrize("shape", [(0, 4), (3, 0)])
def test_a_layer_without_positions_is_no_special_case(shape, tmp_path):
    ours = Shadow(np.zeros(shape), tmp_path)
    ours.begin(optim.sgd(0.1, 0.9))
    assert ours.largest(0).tolist() == []


def test_a_number_that_would_not_be_finite_is_named_and_not_written():
    ours = Shadow(np.full((2, 3), 1e308))
    ours.begin(optim.sgd(1.0))
    grad = gradient((2, 3), np.random.default_rng(103))
    huge = grad._replace(delta=np.abs(grad.delta) * 1e200, inputs=-np.abs(grad.inputs) * 1e200)
    with np.errstate(over="ignore"):
        assert ours.step(huge, optim.sgd(1.0), 0, 1) == np.inf
    np.testing.assert_array_equal(ours.trained, 1e308)


def test_elsewhere_a_shadow_starts_at_draws_from_the_layers_own_weights():
    weight = csr.from_positions((2, 4), [0, 5], np.array([3.0, -4.0]))
    comp = shadow.spread(weight, np.random.default_rng(107))
    assert comp[0, 0] == 3
    assert comp[1, 1] == -4
    assert set(comp.reshape(-1)) == {3.0, -4.0}
    blocks = Shadow.of(weight, np.random.default_rng(107))
    np.testing.assert_array_equal(blocks.trained, comp)
    complete = csr.from_dense(comp)
    np.testing.assert_array_equal(shadow.spread(complete, None), comp)


def test_the_change_to_other_connections():
    weight = csr.from_positions((2, 3), [1, 2, 5], np.array([1.0, 2.0, 3.0]))
    ours = Shadow(np.array([[9.0, 1, 2], [8, 7, 3]]))
    rewire = shadow.to_largest(weight, ours, 3)
    assert rewire.drop.tolist() == [0, 1, 2]
    assert rewire.grow.tolist() == [0, 3, 4]
    assert rewire.values.tolist() == [9, 8, 7]
    assert naive.dnw_mask(ours.trained, 0.5).reshape(-1).nonzero()[0].tolist() == [0, 3, 4]
