"""Optimizers against the formulas written out number by number."""

import naive
import numpy as np
import pytest

from sparse_ref import optim, schedules
from sparse_ref.layers import Parameter

# Every update rounds a handful of times, errors add up over the steps: some ulps times steps.
TOLERANCE = {np.float32: 2e-5, np.float64: 1e-13}
DTYPES = [np.float32, np.float64]
N_STEPS = 7


def arranged(dtype, seed, n=9):
    """A parameter and its gradients at N_STEPS steps."""
    rng = np.random.default_rng(seed)
    value = rng.standard_normal(n).astype(dtype)
    return value, rng.standard_normal((N_STEPS, n)).astype(dtype)


def run(optimizer, value, grads, name="weight", first_step=1):
    """The values after all updates, as the training step adds them, and the state."""
    parameters = (Parameter(0, name, value.copy(), name == "weight"),)
    state = optimizer.init(parameters)
    for step, grad in enumerate(grads, start=first_step):
        updates, state = optimizer.updates(parameters, [_locked(grad)], state, step)
        np.add(parameters[0].value, updates[0], out=parameters[0].value)
    return parameters[0].value, state


SGD_OPTIONS = [
    {},
    {"momentum": 0.9},
    {"momentum": 0.7, "nesterov": True},
    {"weight_decay": 0.05},
    {"weight_decay": 0.05, "decay": "decoupled"},
    {"weight_decay": 0.05, "decay": "unscaled"},
    {"momentum": 0.9, "weight_decay": 0.05, "decay": "unscaled"},
    {"momentum": 0.9, "weight_decay": 0.05},
    {"momentum": 0.9, "nesterov": True, "weight_decay": 0.05},
    {"momentum": 0.9, "nesterov": True, "weight_decay": 0.05, "decay": "decoupled"},
]
ADAM_OPTIONS = [
    {},
    {"beta1": 0.5, "beta2": 0.9},
    {"beta1": 0.0},
    {"epsilon": 0.1},
    {"weight_decay": 0.05},
    {"weight_decay": 0.05, "decay": "decoupled"},
    {"weight_decay": 0.05, "decay": "unscaled"},
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", SGD_OPTIONS, ids=str)
def test_sgd_is_the_formula(options, dtype):
    value, grads = arranged(dtype, 11)
    ref = naive.sgd(value, grads, [0.3] * N_STEPS, **options)
    comp, _ = run(optim.sgd(0.3, **options), value, grads)
    np.testing.assert_allclose(comp, ref, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", ADAM_OPTIONS, ids=str)
def test_adam_is_the_formula(options, dtype):
    value, grads = arranged(dtype, 13)
    ref = naive.adam(value, grads, [0.02] * N_STEPS, **options)
    comp, _ = run(optim.adam(0.02, **options), value, grads)
    np.testing.assert_allclose(comp, ref, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def test_momentum_of_two_steps_by_hand():
    #         v = .5 v + g      w -= .1 v
    # g = 2   v = 2             w = 1 - .2 = .8
    # g = 1   v = 1 + 1 = 2     w = .8 - .2 = .6
    comp, _ = run(optim.sgd(0.1, momentum=0.5), np.array([1.0]), np.array([[2.0], [1.0]]))
    assert comp[0] == pytest.approx(0.6, abs=1e-15)  # one rounding a step


def test_unscaled_decay_of_two_steps_by_hand():
    #         v = .5 v - .1 g            w = w + v - .25 w        (SET's authors' code)
    # g = 2   v = -.2                    w = 1 - .2 - .25 = .55
    # g = 1   v = -.1 - .1 = -.2         w = .55 - .2 - .1375 = .2125
    optimizer = optim.sgd(0.1, momentum=0.5, weight_decay=0.25, decay="unscaled")
    comp, _ = run(optimizer, np.array([1.0]), np.array([[2.0], [1.0]]))
    assert comp[0] == pytest.approx(0.2125, abs=1e-15)  # a few roundings a step


def test_a_rate_of_zero_does_not_stop_unscaled_decay():
    comp, _ = run(optim.sgd(0.0, weight_decay=0.5, decay="unscaled"), np.ones(2), np.ones((3, 2)))
    np.testing.assert_array_equal(comp, [0.125, 0.125])


@pytest.mark.parametrize("decay", ["l2", "decoupled"])
def test_biases_may_learn_at_a_multiple_of_the_rate(decay):
    value, grads = arranged(np.float64, 53)
    options = {"momentum": 0.9, "weight_decay": 0.05, "decay": decay}
    ref, _ = run(optim.sgd(0.05, **options), value, grads, "bias")
    comp, _ = run(optim.sgd(0.2, **options, bias_factor=0.25), value, grads, "bias")
    np.testing.assert_array_equal(comp, ref)  # a quarter is exact


@pytest.mark.parametrize("name", ["weight", "left_slope"])
def test_the_factor_of_biases_is_theirs_alone(name):
    value, grads = arranged(np.float64, 59)
    ref, _ = run(optim.sgd(0.2), value, grads, name)
    comp, _ = run(optim.sgd(0.2, bias_factor=0.25), value, grads, name)
    np.testing.assert_array_equal(comp, ref)


def test_nesterov_of_two_steps_by_hand():
    #         v = .5 v + g      w -= .1 (g + .5 v)
    # g = 2   v = 2             w = 1 - .1 * 3 = .7
    # g = 1   v = 2             w = .7 - .1 * 2 = .5
    optimizer = optim.sgd(0.1, momentum=0.5, nesterov=True)
    comp, _ = run(optimizer, np.array([1.0]), np.array([[2.0], [1.0]]))
    assert comp[0] == pytest.approx(0.5, abs=1e-15)  # one rounding a step


def test_the_first_step_of_adam_is_the_learning_rate_whatever_the_gradient():
    value, grads = np.zeros(3), np.array([[1e-3, -5.0, 400.0]])
    comp, _ = run(optim.adam(0.25), value, grads)
    # epsilon 1e-8 beside |g| >= 1e-3: relative error up to 1e-5
    np.testing.assert_allclose(comp, [-0.25, 0.25, -0.25], rtol=2e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "optimizer",
    [optim.sgd(0.1, 0.9, True, 0.1), optim.adam(0.1, weight_decay=0.1, decay="decoupled")],
    ids=["sgd", "adam"],
)
def test_updates_and_buffers_keep_the_dtype(optimizer, dtype):
    value, grads = arranged(dtype, 17)
    parameters = (Parameter(0, "weight", value, True),)
    updates, state = optimizer.updates(parameters, [grads[0]], optimizer.init(parameters), 1)
    assert [a.dtype for a in (*updates, *state.buffers[0])] == [np.dtype(dtype)] * (
        1 + len(state.buffers[0])
    )


@pytest.mark.parametrize("make", [optim.sgd, optim.adam])
def test_the_learning_rate_follows_its_schedule_by_step_number(make):
    value, grads = arranged(np.float64, 19)
    first = 5  # a training that had rewired in place of updates: numbers are steps, not updates
    rates = [naive.cosine(0.2, 20, first + k) for k in range(N_STEPS)]
    ref = getattr(naive, make.__name__)(value, grads, rates)
    comp, _ = run(make(schedules.Cosine(0.2, 20)), value, grads, first_step=first)
    np.testing.assert_allclose(comp, ref, rtol=TOLERANCE[np.float64], atol=TOLERANCE[np.float64])


def test_a_function_of_the_step_is_a_learning_rate():
    comp, _ = run(optim.sgd(lambda step: 1.0 / step), np.zeros(1), np.ones((2, 1)))
    assert comp[0] == -1.5


@pytest.mark.parametrize("make", [optim.sgd, optim.adam])
def test_a_learning_rate_of_zero_changes_nothing(make):
    value, grads = arranged(np.float32, 23)
    comp, _ = run(make(0.0, weight_decay=0.1), value, grads)
    np.testing.assert_array_equal(comp, value)


@pytest.mark.parametrize("decay", optim.DECAYS)
@pytest.mark.parametrize("make", [optim.sgd, optim.adam])
def test_biases_decay_like_weights(make, decay):
    value, grads = arranged(np.float64, 29)
    optimizer = make(0.1, weight_decay=0.2, decay=decay)
    np.testing.assert_array_equal(
        run(optimizer, value, grads, "bias")[0], run(optimizer, value, grads, "weight")[0]
    )


@pytest.mark.parametrize("decay", optim.DECAYS)
@pytest.mark.parametrize("make", [optim.sgd, optim.adam])
@pytest.mark.parametrize("name", ["left_slope", "right_offset"])
def test_activation_parameters_never_decay(make, decay, name):
    value, grads = arranged(np.float64, 31)
    np.testing.assert_array_equal(
        run(make(0.1, weight_decay=0.2, decay=decay), value, grads, name)[0],
        run(make(0.1), value, grads, name)[0],
    )


@pytest.mark.parametrize(
    ("optimizer", "copies"),
    [(optim.sgd(0.1), 0), (optim.sgd(0.1, momentum=0.9), 1), (optim.adam(0.1), 2)],
    ids=["sgd", "momentum", "adam"],
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_state_is_as_large_as_its_buffers(optimizer, copies, dtype):
    parameters = (
        Parameter(0, "weight", np.zeros(21, dtype), True),
        Parameter(0, "bias", np.zeros(4, dtype), False),
    )
    assert optimizer.init(parameters).nbytes == copies * 25 * np.dtype(dtype).itemsize


@pytest.mark.parametrize("optimizer", [optim.sgd(0.1, 0.9), optim.adam(0.1)], ids=["sgd", "adam"])
def test_the_state_starts_at_zero(optimizer):
    state = optimizer.init((Parameter(0, "weight", np.ones(5), True),))
    assert state.made == 0
    assert all((buffer == 0).all() for buffer in state.buffers[0])


@pytest.mark.parametrize("make", [optim.sgd, optim.adam])
def test_every_update_is_counted(make):
    value, grads = arranged(np.float32, 37)
    assert run(make(0.1), value, grads)[1].made == N_STEPS


@pytest.mark.parametrize("options", [*SGD_OPTIONS, "adam"], ids=str)
def test_a_read_only_gradient_and_the_parameters_are_left_as_they_were(options):
    optimizer = (
        optim.adam(0.1, weight_decay=0.1) if options == "adam" else optim.sgd(0.1, **options)
    )
    value, grads = arranged(np.float64, 41)
    value.flags.writeable = grads.flags.writeable = False
    parameters = (Parameter(0, "weight", value, True),)
    state = optimizer.init(parameters)
    for step in (1, 2):
        updates, state = optimizer.updates(parameters, [grads[step]], state, step)
        assert not np.shares_memory(updates[0], grads)


@pytest.mark.parametrize("make", [optim.sgd, optim.adam])
def test_a_gradient_comes_out_as_its_update(make):
    # No memory of its own: in place where the array may be written.
    value, grads = arranged(np.float64, 47)
    parameters = (Parameter(0, "weight", value, True),)
    optimizer = make(0.1)
    ref, _ = optimizer.updates(parameters, [_locked(grads[0])], optimizer.init(parameters), 1)
    comp, _ = optimizer.updates(parameters, [grads[0]], optimizer.init(parameters), 1)
    assert np.shares_memory(comp[0], grads[0])
    np.testing.assert_array_equal(grads[0], ref[0])


def _locked(array):
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}])
def test_adding_an_update_leaves_the_momentum_alone(options):
    value, grads = arranged(np.float64, 43)
    parameters = (Parameter(0, "weight", value, True),)
    optimizer = optim.sgd(1.0, **options)
    updates, state = optimizer.updates(parameters, [grads[0]], optimizer.init(parameters), 1)
    assert not any(np.shares_memory(updates[0], buffer) for buffer in state.buffers[0])


@pytest.mark.parametrize("optimizer", [optim.sgd(0.1, 0.9), optim.adam(0.1)], ids=["sgd", "adam"])
def test_a_layer_without_connections_has_an_empty_update(optimizer):
    parameters = (Parameter(0, "weight", np.empty(0, np.float32), True),)
    none = np.empty(0, np.float32)
    updates, _ = optimizer.updates(parameters, [none], optimizer.init(parameters), 1)
    assert updates[0].shape == (0,)
    assert updates[0].dtype == np.float32


ERRORS = [
    (optim.sgd, {"learning_rate": -0.5}, "sgd: learning_rate must be at least 0, got -0.5"),
    (optim.adam, {"learning_rate": -0.5}, "adam: learning_rate must be at least 0, got -0.5"),
    (optim.sgd, {"learning_rate": float("nan")}, "sgd: learning_rate must be at least 0, got nan"),
    (optim.sgd, {"learning_rate": float("inf")}, "sgd: learning_rate must be at least 0, got inf"),
    (
        optim.sgd,
        {"learning_rate": np.float32(-1)},
        "sgd: learning_rate must be at least 0, got -1.0",
    ),
    (
        optim.sgd,
        {"learning_rate": 0.1, "momentum": 1.0},
        r"sgd: momentum must be in \[0, 1\), got 1.0",
    ),
    (
        optim.sgd,
        {"learning_rate": 0.1, "momentum": -0.1},
        r"sgd: momentum must be in \[0, 1\), got -0.1",
    ),
    (
        optim.sgd,
        {"learning_rate": 0.1, "nesterov": True},
        "sgd: nesterov needs momentum above 0, got 0.0",
    ),
    (
        optim.sgd,
        {"learning_rate": 0.1, "weight_decay": -1e-4},
        "sgd: weight_decay must be at least 0, got -0.0001",
    ),
    (
        optim.adam,
        {"weight_decay": float("inf")},
        "adam: weight_decay must be at least 0, got inf",
    ),
    (
        optim.sgd,
        {"learning_rate": 0.1, "decay": "l1"},
        r"sgd: decay must be one of \['l2', 'decoupled', 'unscaled'\], got 'l1'",
    ),
    (
        optim.adam,
        {"decay": None},
        r"adam: decay must be one of \['l2', 'decoupled', 'unscaled'\], got None",
    ),
    (
        optim.sgd,
        {"learning_rate": 0.1, "bias_factor": 0.0},
        "sgd: bias_factor must be above 0, got 0.0",
    ),
    (optim.adam, {"beta1": 1.0}, r"adam: beta1 must be in \[0, 1\), got 1.0"),
    (optim.adam, {"beta2": -0.2}, r"adam: beta2 must be in \[0, 1\), got -0.2"),
    (optim.adam, {"epsilon": 0.0}, "adam: epsilon must be above 0, got 0.0"),
]


@pytest.mark.parametrize(("make", "arguments", "message"), ERRORS)
def test_a_wrong_hyper_parameter_is_refused_by_name(make, arguments, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        make(**arguments)


@pytest.mark.parametrize("make", [optim.sgd, optim.adam])
def test_a_learning_rate_of_another_kind_is_refused(make):
    with pytest.raises(TypeError, match=r"must be a number or a function of the step, got 'fast'"):
        make("fast")
