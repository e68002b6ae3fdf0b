"""The local hybrid of SET and RigL: a table worked by hand, its two ends, a brute force."""

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_ref import csr
from sparse_ref.methods import Run, SetRigL, ggr, rigl, set_
from sparse_ref.methods.set_rigl import rewire_layer
from sparse_ref.schedules import Constant

# ---------------------------------------------------------------- the table
#
#             weight                       gradient                   flat positions
#    .5    .    -.1    .          .1  -.7   .9   .2             0   1   2   3
#     .   .3     .   -.9          .6  -.3   .6   .0             4   5   6   7
#   -.2    .    .05    .         -.4   .05 -.8   .3             8   9  10  11
#
# Half drops: 10 (.05), 2 (.1), 8 (.2). Two of the three that come are the largest gradients of what
# is free then, 2 (.9) and 10 (.8); the third is any of 1 3 4 6 8 9 11.

WEIGHT = np.array([[0.5, 0, -0.1, 0], [0, 0.3, 0, -0.9], [-0.2, 0, 0.05, 0]])
GRAD = np.array([[0.1, -0.7, 0.9, 0.2], [0.6, -0.3, 0.6, 0.0], [-0.4, 0.05, -0.8, 0.3]])


def rng_of(seed=61):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_event_is_that_of_the_table(dtype):
    weight, third = csr.from_dense(WEIGHT.astype(dtype)), set()
    for seed in range(200, 300):
        rewire = rewire_layer(weight, GRAD.astype(dtype), 3, rng_of(seed))
        assert csr.flat(weight)[rewire.drop].tolist() == [2, 8, 10]
        assert {2, 10} < set(rewire.grow.tolist())
        assert rewire.values.dtype == dtype
        assert (rewire.values == dtype(1e-10)).all()
        third |= set(rewire.grow.tolist()) - {2, 10}
    assert third == {1, 3, 4, 6, 8, 9, 11}


@pytest.mark.parametrize(
    ("share", "n_drop", "by_gradient"),
    [(0.5, 3, 2), (0.5, 4, 2), (0.0, 5, 0), (1.0, 5, 5), (0.25, 5, 2), (0.07, 100, 7)],
)
def test_the_gradient_chooses_its_share_rounded_up(share, n_drop, by_gradient):
    # Gradients rise with the position and all connections come first: what the gradient chooses
    # are the last positions, where a random choice among ten thousand hardly ever falls.
    dense = np.zeros((100, 110))
    dense.reshape(-1)[:200] = np.arange(200.0, 0.0, -1)
    grad = np.arange(11_000.0).reshape(dense.shape)
    rewire = rewire_layer(csr.from_dense(dense), grad, n_drop, rng_of(), share)
    largest = set(range(11_000 - by_gradient, 11_000))
    assert largest <= set(rewire.grow.tolist())
    assert 11_000 - by_gradient - 1 not in rewire.grow
    assert len(rewire.grow) == n_drop


@st.composite
def layers(draw):
    """A layer, its gradient and a count; few different numbers, so ties abound."""
    shape = draw(st.integers(1, 6)), draw(st.integers(1, 7))
    rng = np.random.default_rng(draw(st.integers(2, 2**32)))
    present = rng.random(shape) < draw(st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]))
    levels = draw(st.integers(1, 6))
    weight = (rng.integers(-levels + 1, levels, shape) * present).astype(float)
    grad = rng.integers(-levels + 1, levels, shape).astype(float)
    return weight, present, grad, draw(st.integers(0, int(present.sum())))


@settings(deadline=None, max_examples=150)
@given(layers(), st.integers(2, 2**32))
def test_an_event_is_that_of_the_brute_force(layer, seed):
    dense, present, grad, n_drop = layer
    weight = csr.from_dense(dense, present)
    rewire = rewire_layer(weight, grad, n_drop, rng_of(seed))
    (dropped,), _, (best,), (free,) = naive.ggr_sets(
        [dense], [present], [grad], [n_drop], "local", "mixed", "gradient", forbid=False
    )
    assert csr.flat(weight)[rewire.drop].tolist() == dropped
    assert set(best) <= set(rewire.grow.tolist()) <= set(free)
    assert len(rewire.grow) == n_drop


@settings(deadline=None, max_examples=60)
@given(layers(), st.integers(2, 2**32))
def test_at_one_it_is_rigl_and_at_zero_it_is_set(layer, seed):
    dense, present, grad, n_drop = layer
    weight = csr.from_dense(dense, present)
    ends = {
        1.0: rigl.rewire_layer(weight, grad, n_drop, regrow="reinit"),
        0.0: set_.rewire_layer(weight, n_drop, rng_of(seed), grow_std=0.0),
    }
    for share, ref in ends.items():
        comp = rewire_layer(weight, grad, n_drop, rng_of(seed), share, grown=0.0)
        for one, two in zip(ref[:3], comp[:3], strict=True):
            np.testing.assert_array_equal(one, two)


@settings(deadline=None, max_examples=60)
@given(layers(), st.integers(2, 2**32))
def test_it_is_ggr_without_redistribution(layer, seed):
    dense, present, grad, n_drop = layer
    weight = csr.from_dense(dense, present)
    (stream,) = rng_of(seed).spawn(1)
    comp = rewire_layer(weight, grad, n_drop, stream)
    (ref,) = ggr.rewire([weight], [grad], [n_drop], rng_of(seed), distribution="local")
    for one, two in zip(ref[:3], comp[:3], strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_events_are_those_of_ggr():
    run = Run(steps_per_epoch=7, steps=1400)
    ours, theirs = SetRigL().bind(run), ggr.GGR().bind(run)
    due = [step for step in range(1, 1401) if ours.due(step)]
    assert due == [step for step in range(1, 1401) if theirs.due(step)]
    assert [ours.drop_fraction(step) for step in due] == [theirs.drop_fraction(s) for s in due]


def test_a_given_stop_and_schedule_are_kept():
    bound = SetRigL(Constant(0.2), every=3, stop=17).bind(Run(5, 500))
    assert (bound.drop_fraction, bound.every, bound.stop) == (Constant(0.2), 3, 17)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drop_fraction": 1.3}, r"SetRigL: drop_fraction must be in \[0, 1\], got 1.3"),
        ({"every": 0}, "SetRigL: every must be a positive whole number of steps, got 0"),
        ({"gradient_share": 1.5}, r"SetRigL: gradient_share must be in \[0, 1\], got 1.5"),
        ({"gradient_share": "half"}, r"SetRigL: gradient_share must be in \[0, 1\], got half"),
        ({"rounding": "up"}, r"SetRigL: rounding must be one of \['floor', .*\], got 'up'"),
        ({"grown": float("nan")}, "SetRigL: grown must be finite, got nan"),
    ],
)
def test_a_wrong_option_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        SetRigL(**options)


def test_an_unbound_method_says_so():
    with pytest.raises(ValueError, match=r"^SetRigL: every and stop must be known"):
        SetRigL().due(3)
