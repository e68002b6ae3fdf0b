"""Gradual pruning: the curve and the thresholds by hand, the codes' masks, trainings to the end."""

import itertools

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_ref import Dense, Linear, Network, ReLU, csr, fit, models, optim, schedules
from sparse_ref.methods import GradualPruning, Run
from sparse_ref.methods.gradual_codes import histogram_threshold, kept, smoothed

DTYPES = [np.float32, np.float64]
RUN = Run(10, 40)


def net_of(*weights):
    layers = [part for weight in weights for part in (Linear(weight), ReLU())]
    return Network(layers[:-1])


def full(dense):
    return csr.from_dense(dense, np.ones(dense.shape, bool))


def update(method, net, step, state=None):
    """One update, applied; the state after it."""
    method = method.bind(RUN)
    rng = np.random.default_rng(647)
    state = method.init(net, rng) if state is None else state
    rewires, state = method.rewire(net, (), state, step, rng)
    return method.follow(state, net.restructure(rewires))


# ---------------------------------------------------------------- the curve, by hand


@pytest.mark.parametrize(
    ("step", "sparsity"),
    [
        (98, 0.2),
        (100, 0.2),
        (102, 0.4928),
        (104, 0.6704),
        (105, 0.725),
        (106, 0.7616),
        (108, 0.7952),
        (110, 0.8),
        (120, 0.8),
    ],
)
def test_the_curve_of_the_example(step, sparsity):
    method = GradualPruning(0.2, start=100, stop=110, initial_density=0.8)
    assert 1 - method.density_at(step) == pytest.approx(sparsity, abs=1e-12)


ALFORD = GradualPruning(1 - 0.96, start=3000, stop=10000, every=200)


@pytest.mark.parametrize(
    ("step", "sparsity"),
    [(3200, 0.07996), (4000, 0.35545), (5000, 0.61015), (6500, 0.84), (8000, 0.93761)],
)
def test_the_curve_of_alford_2018(step, sparsity):
    assert 1 - ALFORD.density_at(step) == pytest.approx(sparsity, abs=5e-6)


@pytest.mark.parametrize(
    ("level", "step", "sparsity"),
    [(0.5, 4600, 0.51928), (0.75, 5800, 0.75264), (0.9, 7400, 0.91081), (0.95, 8600, 0.95232)],
)
def test_the_first_update_beyond_a_level_of_alford_2018(level, step, sparsity):
    updates = [t for t in range(1, 12_000) if ALFORD.due(t)]
    first = next(t for t in updates if 1 - ALFORD.density_at(t) > level)
    assert first == step
    assert 1 - ALFORD.density_at(first) == pytest.approx(sparsity, abs=5e-6)


def test_the_curve_is_the_schedule_cubic():
    cubic = schedules.cubic(1.0, stop=90, start=10, floor=0.25)
    method = GradualPruning(0.25, start=10, stop=90)
    assert [method.density_at(t) for t in range(120)] == [cubic(t) for t in range(120)]


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 50), st.integers(1, 50), st.integers(1, 5))
def test_the_curve_falls_from_one_end_to_the_other(a, b, start, length, exponent):
    low, high = sorted((a, b))
    method = GradualPruning(
        low, start=start, stop=start + length, initial_density=high, exponent=exponent
    )
    curve = [method.density_at(t) for t in range(start + length + 3)]
    assert curve[start] == high
    assert curve[-1] == curve[start + length] == low
    assert all(later <= earlier for earlier, later in itertools.pairwise(curve))


# ---------------------------------------------------------------- when


def due(**options):
    method = GradualPruning(**options).bind(RUN)
    return [step for step in range(RUN.steps + 1) if method.due(step)]


def test_updates_come_from_start_in_steps_and_at_stop():
    assert due(start=10, stop=30, every=10) == [10, 20, 30]
    assert due(start=10, stop=28, every=10) == [10, 20, 28]
    assert due(start=0, stop=20, every=8) == [8, 16, 20]


def test_pruning_is_over_at_three_quarters_if_nothing_is_said():
    assert due(every=10) == [10, 20, 30]


def test_tfmot_updates_where_the_frequency_fits():
    assert due(start=5, stop=28, every=10, updates="tfmot") == [5, 15, 25]


def test_contrib_waits_a_frequency_from_step_0_on_and_goes_on():
    # last_update starts at 0: the first update is at max(begin, frequency).
    assert due(start=5, stop=20, every=10, updates="contrib") == [10, 20, 30]
    assert due(start=12, stop=20, every=10, updates="contrib") == [12, 22, 32]
    assert due(start=5, stop=20, every=10, updates="contrib", until=20) == [10, 20]


def test_the_last_update_may_come_earlier_and_adds_none():
    assert due(start=0, stop=30, every=10, until=20) == [10, 20]
    assert due(start=0, stop=30, every=10, until=25) == [10, 20]
    assert due(start=10, stop=30, every=10, until=10) == [10]
    assert due(start=10, stop=28, every=10, until=28) == [10, 20, 28]
    assert due(start=10, stop=20, every=10, until=35) == [10, 20, 30]


def test_an_update_at_step_0_comes_before_the_first_step():
    def begins(**options):
        return GradualPruning(0.1, **options).rewires_at_start

    assert begins(initial_density=0.5)
    assert begins(initial_density=0.5, updates="tfmot")
    assert not begins()  # nothing is to go
    assert not begins(initial_density=0.5, start=1)
    assert not begins(initial_density=0.5, updates="contrib")  # last_update is 0 there


# ---------------------------------------------------------------- thresholds, by hand


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_histogram_of_one_to_a_hundred(dtype):
    magnitudes = np.arange(1, 101).astype(dtype)
    threshold = histogram_threshold(magnitudes, 0, 0.5)
    assert threshold == pytest.approx(49.80392, abs=1e-5)
    assert np.count_nonzero(magnitudes > threshold) == 51


def test_the_decay_makes_the_threshold_lag():
    magnitudes, threshold, left = np.arange(1.0, 101.0), 0.0, []
    for _ in range(5):
        threshold = smoothed(histogram_threshold(magnitudes, 0, 0.5), threshold, 0.9)
        left.append(int(np.count_nonzero(magnitudes > threshold)))
    assert left == [96, 91, 87, 83, 80]


def test_what_equals_the_threshold_goes():
    # Bins of 4 / 4: one magnitude below 2, two below 3, so half of the bins and a threshold of 2.
    magnitudes = np.array([1.0, 2.0, 3.0, 4.0])
    assert histogram_threshold(magnitudes, 0, 0.5, 4) == 2
    net = net_of(full(magnitudes.reshape(2, 2)))
    method = GradualPruning(0.5, stop=1, initial_density=0.5, threshold="histogram", nbins=4)
    update(method, net, 1)
    assert net.sparse_layers[0].weight.data.tolist() == [3, 4]


def test_the_method_lags_the_same_way():
    weight = full(np.arange(1.0, 101.0).reshape(4, 25))
    method = GradualPruning(
        0.5, stop=2, initial_density=0.5, threshold="histogram", threshold_decay=0.9,
        stale_values=True,
    )  # fmt: skip
    net, state, left = net_of(weight), None, []
    for step in range(1, 6):
        state = update(method, net, step, state)
        left.append(net.connections[0])
    assert left == [96, 91, 87, 83, 80]


def test_at_least_one_stays():
    assert [kept(n, 0.0) for n in (0, 1, 10)] == [0, 1, 1]
    net = net_of(full(np.arange(1.0, 7.0).reshape(2, 3)))
    update(GradualPruning(0.0, stop=5), net, 5)
    assert net.connections == (1,)
    assert net.sparse_layers[0].weight.data.tolist() == [6.0]


def test_all_equal_weights_miss_the_target_by_the_codes_and_reach_it_by_rank():
    left = {}
    for convention in GradualPruning.conventions:
        net = net_of(full(np.ones((2, 5))))
        method = GradualPruning(0.1, stop=5, convention=convention, threshold_decay=0.0)
        update(method, net, 5)
        left[convention] = net.connections[0]
    assert left == {"paper": 1, "contrib": 10, "tfmot": 10}


def test_of_equal_magnitudes_the_lower_stay():
    net = net_of(full(np.ones((2, 5))))
    update(GradualPruning(0.3, stop=5), net, 5)
    assert csr.flat(net.sparse_layers[0].weight).tolist() == [0, 1, 2]


def test_a_stored_zero_is_a_connection():
    net = net_of(full(np.array([[0.0, 0.5, 0.0, -0.5]])))
    update(GradualPruning(0.75, stop=5), net, 5)
    assert csr.flat(net.sparse_layers[0].weight).tolist() == [0, 1, 3]


def test_a_histogram_of_zeros_drops_nothing():
    net = net_of(full(np.zeros((2, 3))))
    update(GradualPruning(0.1, stop=5, threshold="histogram"), net, 5)
    assert net.connections == (6,)


def test_a_density_of_one_changes_nothing():
    for threshold in ("exact", "histogram"):
        net = net_of(full(np.arange(1.0, 7.0).reshape(2, 3)))
        update(GradualPruning(1.0, stop=5, threshold=threshold), net, 3)
        assert net.connections == (6,)


def test_a_layer_that_is_sparser_already_is_left_alone():
    net = net_of(csr.from_dense(np.array([[0.0, 0.5, 0.0, -0.5]])))
    update(GradualPruning(0.5, stop=5), net, 5)
    assert net.connections == (2,)


def test_a_weight_that_fell_may_give_way_to_one_that_is_gone():
    # 4 of 6 stay: 1 and 2 go. Then 6 becomes .5, and with the values of before 2 returns.
    for stale, left in ((True, [2.0, 3.0, 4.0, 5.0]), (False, [0.5, 3.0, 4.0, 5.0])):
        net = net_of(full(np.arange(1.0, 7.0).reshape(2, 3)))
        method = GradualPruning(0.667, start=1, stop=2, initial_density=0.667, stale_values=stale)
        state = update(method, net, 1)
        assert net.connections == (4,)
        net.sparse_layers[0].weight.data[-1] = 0.5
        state = update(method, net, 2, state)
        assert sorted(net.sparse_layers[0].weight.data.tolist()) == left
        assert len(state.stale[0].positions) == (2 if stale else 0)


# ---------------------------------------------------------------- against the twins


@st.composite
def moving_weights(draw):
    """A complete layer's weights at some updates, as training might move them."""
    rng = np.random.default_rng(draw(st.integers(2, 2**32)))
    shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 7)))
    n = draw(st.integers(1, 4))
    return rng.standard_normal(shape), rng.standard_normal((n, *shape)), rng


@settings(max_examples=60)
@given(moving_weights(), st.sampled_from([0.0, 0.5, 0.9]), st.sampled_from([4, 255]))
def test_contribs_masks_are_those_of_the_dense_code(some, decay, nbins):
    """Weights behind the mask stand still; those before it move."""
    dense, moves, _ = some
    n = len(moves)
    method = GradualPruning(
        0.2, stop=n + 1, convention="contrib", threshold_decay=decay, nbins=nbins
    )
    net, state = net_of(full(dense)), None
    seen, ref_mask = [], np.ones(dense.shape, bool)
    for step, move in enumerate(moves, start=1):
        dense = np.where(ref_mask, dense + move, dense)
        layer = net.sparse_layers[0]
        layer.weight.data[:] = dense.reshape(-1)[csr.flat(layer.weight)]
        seen.append(dense)
        state = update(method, net, step, state)
        sparsities = [1 - method.density_at(t) for t in range(1, step + 1)]
        ref_mask = naive.contrib_masks(seen, sparsities, nbins, decay)[-1]
        np.testing.assert_array_equal(csr.pattern(net.sparse_layers[0].weight), ref_mask)
        assert np.array_equal(csr.to_dense(net.sparse_layers[0].weight), dense * ref_mask)


@settings(max_examples=60)
@given(moving_weights(), st.sampled_from([0.0, 0.1, 0.5]))
def test_tfmots_masks_are_those_of_the_dense_code(some, density):
    dense, moves, _ = some
    method = GradualPruning(density, stop=len(moves) + 1, convention="tfmot")
    net, state = net_of(full(dense)), None
    mask = np.ones(dense.shape, bool)
    for step, move in enumerate(moves, start=1):
        dense = (dense + move) * mask
        layer = net.sparse_layers[0]
        layer.weight.data[:] = dense.reshape(-1)[csr.flat(layer.weight)]
        state = update(method, net, step, state)
        mask = naive.pruned_by_tfmot(dense, 1 - method.density_at(step)) & mask
        np.testing.assert_array_equal(csr.pattern(net.sparse_layers[0].weight), mask)


@settings(max_examples=60)
@given(moving_weights(), st.sampled_from([0.0, 0.1, 0.5]))
def test_the_papers_masks_are_nested_and_as_dense_as_they_should_be(some, density):
    dense, moves, _ = some
    method = GradualPruning(density, stop=len(moves) + 1)
    net, state = net_of(full(dense)), None
    mask = np.ones(dense.shape, bool)
    for step, move in enumerate(moves, start=1):
        layer = net.sparse_layers[0]
        layer.weight.data += move.reshape(-1)[csr.flat(layer.weight)]
        before = csr.to_dense(layer.weight)
        state = update(method, net, step, state)
        n = max(round(dense.size * method.density_at(step)), 1)
        ref = naive.pruned_exactly(before, mask, int(mask.sum()) - n)
        mask = csr.pattern(net.sparse_layers[0].weight)
        np.testing.assert_array_equal(mask, ref)
        assert mask.sum() == n


# ---------------------------------------------------------------- whole trainings


def trained(method, dtype=np.float64, dense=()):
    rng = np.random.default_rng(653)
    x, y = rng.random((120, 12)), rng.integers(0, 4, 120)
    net = models.mlp([12, 20, 10, 4], density=1.0, rng=rng, dtype=dtype, dense=dense)
    optimizer = optim.sgd(0.1, momentum=0.9, weight_decay=1e-4)
    history = fit(
        net, (x, y), method=method, optimizer=optimizer, epochs=10, batch_size=20, rng=rng
    )
    return net, history


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_training_ends_at_the_density_exactly(dtype):
    net, history = trained(GradualPruning(0.1, start=6, every=4), dtype)
    assert net.connections == (24, 20, 4)
    assert [event.step for event in history.events if event.layer == 0] == [*range(6, 45, 4), 45]
    assert sum(len(event.grown) for event in history.events) == 0
    losses = [epoch.loss for epoch in history.epochs]
    assert min(losses) < losses[0]


def test_between_updates_nothing_changes_and_each_leaves_what_the_curve_says():
    method = GradualPruning(0.2, start=6, stop=36, every=6)
    _, history = trained(method)
    for event in history.events:
        size = (240, 200, 40)[event.layer]
        assert event.connections == round(size * method.density_at(event.step))


@pytest.mark.parametrize("updates", ["paper", "tfmot", "contrib"])
def test_a_training_begins_at_the_initial_density(updates):
    method = GradualPruning(0.2, stop=36, every=6, initial_density=0.5, updates=updates)
    _, history = trained(method)
    first = [event for event in history.events if event.step == history.events[0].step]
    if updates == "contrib":
        assert {event.step for event in first} == {6}
        return
    assert {event.step for event in first} == {0}
    assert [event.connections for event in first] == [120, 100, 20]


def test_the_codes_train_too():
    for convention in ("contrib", "tfmot"):
        net, history = trained(GradualPruning(0.3, every=5, convention=convention))
        assert sum(net.connections) < 480
        assert history.method_bytes > 0


def test_what_the_method_remembers_is_counted():
    _, plain = trained(GradualPruning(0.1, every=5))
    _, stale = trained(GradualPruning(0.1, every=5, stale_values=True))
    assert plain.method_bytes == 3 * 8  # a threshold a layer
    assert stale.method_bytes == 3 * 8 + (480 - 48) * 16  # and position and value of what is gone
    assert GradualPruning(stale_values=True).dense_state
    assert not GradualPruning().dense_state


def test_dense_layers_stay_dense():
    net, _ = trained(GradualPruning(0.1, every=5), dense=(-1,))
    assert net.connections == (24, 20, 40)
    assert isinstance(net.weighted[-1], Dense)


# ---------------------------------------------------------------- refusals


def test_conventions_are_their_options():
    assert GradualPruning(convention="contrib") == GradualPruning(
        threshold="histogram", threshold_decay=0.9, stale_values=True, updates="contrib"
    )
    assert GradualPruning(convention="tfmot") == GradualPruning(
        ties="keep_all", rounding="half_even_f32", updates="tfmot"
    )


WHO = "GradualPruning: "


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"density": 1.5}, ValueError, r"density must be in \[0, 1\], got 1.5"),
        ({"density": "low"}, TypeError, "density must be a number, got 'low'"),
        (
            {"density": 0.5, "initial_density": 0.4},
            ValueError,
            "density must be at most initial_density, 0.4, got 0.5",
        ),
        ({"threshold_decay": -0.1}, ValueError, r"threshold_decay must be in \[0, 1\], got -0.1"),
        ({"every": 0}, ValueError, "every must be a positive whole number of steps, got 0"),
        ({"nbins": 0}, ValueError, "nbins must be a positive whole number, got 0"),
        ({"start": -1}, ValueError, "start must be a step, from 0 on, got -1"),
        ({"start": 9, "stop": 9}, ValueError, "stop must come after start, 9, got 9"),
        ({"start": 9, "until": 8}, ValueError, "until must not come before start, 9, got 8"),
        ({"threshold": "mean"}, ValueError, r"threshold must be one of \[.*\], got 'mean'"),
        ({"ties": "random"}, ValueError, r"ties must be one of \[.*\], got 'random'"),
        ({"rounding": "trunc"}, ValueError, r"rounding must be one of \[.*\], got 'trunc'"),
        ({"updates": "never"}, ValueError, r"updates must be one of \[.*\], got 'never'"),
        ({"stale_values": 1}, TypeError, "stale_values must be True or False, got 1"),
    ],
)
def test_wrong_options_are_refused(options, error, message):
    with pytest.raises(error, match=f"^{WHO}{message}$"):
        GradualPruning(**options)


def test_without_a_stop_nothing_is_due():
    with pytest.raises(ValueError, match=r"^GradualPruning: stop must be known before the first"):
        GradualPruning().due(3)
    with pytest.raises(ValueError, match=r"^GradualPruning: stop must be known before the first"):
        GradualPruning().density_at(3)
