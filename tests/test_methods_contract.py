"""What every method must keep to, whatever it does: one suite over `methods.ALL`.

P1 ... P12 are the properties of the literature's methods that this suite holds them to. Where
methods differ in what they promise, the promise is an attribute of the method (`scope`,
`conserves`, `starts`, ...), and the suite holds it to that.

==== =============================================================================================
P1   the network's number of connections stays       P7   same seed, same event; the order of the
P2   each layer's stays, where the method says so         layers is of no matter to a local method
P3   what stays was there, what grows was free       P8   nothing to drop, nothing changes
P4   survivors keep their bits, and their momentum   P9   a full layer stays full
P5   what grows starts as the method says            P10  brute force: in each method's own tests
P6   the result is canonical, dtype and zeros kept   P11  permuting the units permutes the choice
                                                     P12  counts are cut to what there is
==== =============================================================================================
"""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_ref import LayerGrad, Linear, Network, ReLU, csr, fit, optim, schedules, tiles
from sparse_ref import train as training_loop
from sparse_ref.layers import BatchNorm, Conv2d, Flatten, MaxPool2d
from sparse_ref.methods import ALL, Method, Run
from sparse_ref.methods.ggr import DISTRIBUTIONS, INSERTIONS
from sparse_ref.methods.rigl import REGROW

RUN = Run(steps_per_epoch=10, steps=40)
LONG = Run(steps_per_epoch=10, steps=400)
STEP = 10  # an ordinary step in the middle of the run

# Without these nothing would happen in networks as small as those of this suite.
EVENTFUL = {
    "dsr": {"initial_threshold": 0.3},
    "gradual": {"density": 0.05, "initial_density": 0.4, "threshold_decay": 0.3},
}
# Settings of a method that change what an event is; the suite runs over every one, and over every
# convention.
VARIANTS = {
    "rigl": [{"regrow": rule} for rule in REGROW],
    "set": [{}, {"grow_std": 0.0}],
    "ggr": [
        *({"distribution": d, "insertion": i} for d in DISTRIBUTIONS for i in INSERTIONS),
        {"regrow": "keep"},
        {"regrow": "forbid"},
        {"drop_scope": "global"},
    ],
    "set_rigl": [{}, {"gradient_share": 0.0}, {"gradient_share": 1.0}],
    "dsr": [
        {},
        *({name: False} for name in ("keep_one", "exclude_just_dropped", "rewire_scaling")),
        {"threshold_prune": False},
        {"threshold_prune": False, "rewire_scaling": False},
    ],
    "snfs": [{}, {"redistribute": False}, {"grown_momentum": "dense"}, {"rounding": "ceil"}],
    "itop": [{"growth": g} for g in ("random", "gradient", "random_unfired")],
    "topkast": [{}, {"forward_share": 0.2, "penalty": "l2_norm"}],
    "gradual": [{}, {"threshold": "histogram"}, {"stale_values": True}, {"ties": "keep_all"}],
}


def settings_of(name, cls):
    """The variants of a method, and its conventions but the paper's."""
    conventions = [{"convention": c} for c in cls.conventions if c != "paper"]
    return [EVENTFUL.get(name, {}) | o for o in VARIANTS.get(name, [{}]) + conventions]


METHODS = [
    pytest.param(cls, options, id=" ".join([name, *(f"{k}={v}" for k, v in options.items())]))
    for name, cls in ALL.items()
    for options in settings_of(name, cls)
]
every_method = pytest.mark.parametrize(("cls", "options"), METHODS)


def fields_of(cls):
    return {field.name for field in dataclasses.fields(cls)}


FRACTIONAL = [
    case
    for case in METHODS
    if "drop_fraction" in fields_of(case.values[0])
    and case.values[0](**case.values[1]).rests_at_zero
]
every_fractional = pytest.mark.parametrize(("cls", "options"), FRACTIONAL)
LOCAL = [case for case in METHODS if case.values[0](**case.values[1]).scope == "layer"]
every_local_method = pytest.mark.parametrize(("cls", "options"), LOCAL)


def does_rewire(cls):
    """Whether the method has a rewiring of its own; a control has not."""
    return cls.rewire is not Method.rewire


def made(cls, options, fraction=None, run=None):
    """The method bound to the run, at a fixed fraction if it has one and one is asked for."""
    fields = {field.name for field in dataclasses.fields(cls)}
    if fraction is not None and "drop_fraction" in fields:
        options = {**options, "drop_fraction": schedules.Constant(fraction)}
    return cls(**options).bind(run or RUN)


def layer_of(kind, shape, rng, dtype):
    """A weight with the structure that `kind` names."""
    size = shape[0] * shape[1]
    n = {"empty": 0, "full": size, "one": 1, "ties": size // 2}.get(kind, size // 3)
    positions = np.sort(rng.permutation(size)[:n])
    values = np.ones(n) if kind == "ties" else rng.standard_normal(n)
    values[: n // 2 if kind == "zeros" else 0] = 0.0  # connections all the same
    return csr.from_positions(shape, positions, values.astype(dtype))


def perceptron(first, second):
    """Two linear layers."""
    return Network([Linear(first), ReLU(), Linear(second)])


def convnet(first, second):
    """A convolution of two channels, one that strides, and what a convnet has between them."""
    n = len(first.indptr) - 1
    norm = BatchNorm.initial(n, first.dtype)
    conv = Conv2d(first, image=(2, 5, 4), kernel=3, padding=1)
    pool = MaxPool2d((n, 5, 4), 2)
    last = Conv2d(second, image=(n, 2, 2), kernel=2, stride=2)
    return Network([conv, norm, ReLU(), pool, last, Flatten()])


# Networks of two sparse layers, and the shapes of their weights.
ARCHITECTURES = {
    "mlp": (perceptron, ((7, 6), (4, 7))),
    "convnet": (convnet, ((3, 18), (4, 12))),
}


def arranged(
    kinds=("ordinary", "ordinary"), seed=359, dtype=np.float64, dead=False, architecture="mlp"
):
    """A network of two sparse layers and the gradients of one batch."""
    rng = np.random.default_rng(seed)
    make, shapes = ARCHITECTURES[architecture]
    net = make(
        *(layer_of(kind, shape, rng, dtype) for kind, shape in zip(kinds, shapes, strict=True))
    )
    x, y = rng.standard_normal((11, net.n_in)).astype(dtype), rng.integers(0, 4, 11)
    _, grads = net.gradients(net.packed(x), y)
    sparse = net.sparse_gradients(grads)
    if dead:
        sparse = tuple(
            grad._replace(
                **{k: v * 0 for k, v in grad._asdict().items() if isinstance(v, np.ndarray)}
            )
            for grad in sparse
        )
    return net, sparse


def begun(method, net, seed=367):
    """The state of a training whose first updates have turned the sign of every third weight."""
    now = [layer.weight.data.copy() for layer in net.sparse_layers]
    for layer in net.sparse_layers:
        layer.weight.data[::3] *= -1
    state = method.init(net, np.random.default_rng(seed))
    for layer, data in zip(net.sparse_layers, now, strict=True):
        layer.weight.data[:] = data
    return state


def asked(method, net, grads, seed=367, step=STEP):
    """Rewirings and state of one event of a training that began a little earlier."""
    beginning, event = np.random.default_rng(seed).spawn(2)
    state = method.observe(grads, begun(method, net, beginning))
    return method.rewire(net, grads, state, step, event)


def same(a, b):
    """Whether two lists of rewirings agree to the bit."""
    pairs = zip(a, b, strict=True)
    return all(bits(x) == bits(y) for one, two in pairs for x, y in zip(one, two, strict=True))


def bits(array):
    return None if array is None else array.tobytes()


def snapshot(net, grads):
    """All bytes that a method is shown."""
    shown = [
        array
        for layer in net.sparse_layers
        for array in (layer.weight.data, layer.weight.indices, layer.weight.indptr, layer.bias)
    ]
    shown += [array for grad in grads for array in grad if isinstance(array, np.ndarray)]
    return [array.tobytes() for array in shown]


def held(net):
    """Position: value, of each layer."""
    return [
        dict(zip(csr.flat(la.weight).tolist(), la.weight.data.tolist(), strict=True))
        for la in net.sparse_layers
    ]


SITUATIONS = {
    "ordinary": {},
    "float32": {"dtype": np.float32},
    "ties": {"kinds": ("ties", "ties")},
    "stored zeros": {"kinds": ("zeros", "zeros")},
    "empty layer": {"kinds": ("ordinary", "empty")},
    "all empty": {"kinds": ("empty", "empty")},
    "full layer": {"kinds": ("full", "ordinary")},
    "all full": {"kinds": ("full", "full")},
    "one connection": {"kinds": ("one", "one")},
    "no gradient": {"dead": True},
    "no gradient, one and full": {"kinds": ("one", "full"), "dead": True},
    "convnet": {"architecture": "convnet"},
    "convnet in float32": {"architecture": "convnet", "dtype": np.float32},
    "convnet, one and full": {"architecture": "convnet", "kinds": ("one", "full")},
}
every_situation = pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
every_fraction = pytest.mark.parametrize("fraction", [0.0, 0.3, 1.0])


@every_method
def test_a_method_is_a_frozen_dataclass(cls, options):
    assert issubclass(cls, Method)
    assert dataclasses.is_dataclass(cls)
    with pytest.raises(dataclasses.FrozenInstanceError):
        cls(**options).anything = 1


@every_method
def test_methods_with_equal_settings_are_equal(cls, options):
    assert cls(**options) == cls(**options)
    assert made(cls, options) == made(cls, options)
    assert hash(cls(**options)) == hash(cls(**options))


@every_method
def test_binding_twice_is_binding_once(cls, options):
    assert made(cls, options).bind(RUN) == made(cls, options)


@every_method
def test_no_event_is_due_in_the_last_step(cls, options):
    # Nothing would train what has grown.
    often = {"every": 10} if "every" in fields_of(cls) else {}
    method = made(cls, options | often)
    assert method.due(RUN.steps) == (not method.rests_at_end)
    if does_rewire(cls):
        assert any(method.due(step) for step in range(1, RUN.steps))


@every_method
def test_some_event_is_due_in_a_training(cls, options):
    due = [step for step in range(1, 10 * RUN.steps) if made(cls, options, run=LONG).due(step)]
    assert bool(due) == does_rewire(cls)


@every_method
def test_promises_are_of_their_kinds(cls, options):
    method = made(cls, options)
    for name in ("replaces_update", "dense_state", "rests_at_end", "drifts", "resets_optimizer"):
        assert type(getattr(method, name)) is bool
    assert type(method.rests_at_zero) is bool
    assert method.regrow in ("keep", "reinit", "forbid")
    assert method.scope in ("layer", "network")
    assert method.conserves in ("layer", "network", "nothing")
    assert method.starts is None or type(method.starts) is float


@every_method
def test_a_convention_that_is_not_known_is_refused(cls, options):
    if list(cls.conventions) == ["paper"] and "convention" not in cls.__annotations__:
        with pytest.raises(TypeError):
            cls(convention="somebody's")
    else:
        with pytest.raises(ValueError, match=f"^{cls.__name__}: convention must be one of"):
            cls(convention="somebody's")


@every_method
@every_situation
@every_fraction
def test_there_is_one_rewiring_for_each_sparse_layer(cls, options, situation, fraction):
    net, grads = arranged(**situation)
    rewires, _ = asked(made(cls, options, fraction), net, grads)
    assert len(rewires) == 2
    assert all(type(rewire) is csr.Rewire for rewire in rewires)


@every_method
@every_situation
@every_fraction
def test_a_method_changes_nothing_it_is_shown(cls, options, situation, fraction):
    net, grads = arranged(**situation)
    before = snapshot(net, grads)
    asked(made(cls, options, fraction), net, grads)
    assert snapshot(net, grads) == before


@every_method
@every_situation
@every_fraction
def test_the_result_is_canonical(cls, options, situation, fraction):
    net, grads = arranged(**situation)
    dtype = net.dtype
    net.restructure(asked(made(cls, options, fraction), net, grads)[0])
    for layer in net.sparse_layers:
        weight = csr.check(layer.weight)
        assert weight.has_canonical_format
        assert weight.dtype == dtype
        assert not (weight.indices.flags.writeable)
        assert not (weight.indptr.flags.writeable)
        assert weight.data.flags.writeable


def kept(method, before, after):
    """Whether the counts are what the method promises."""
    if method.conserves == "layer":
        return after == before
    return method.conserves == "nothing" or sum(after) == sum(before)


@every_method
@every_situation
@every_fraction
def test_the_counts_stay_as_promised(cls, options, situation, fraction):
    net, grads = arranged(**situation)
    before, method = net.connections, made(cls, options, fraction)
    rewires, _ = asked(method, net, grads)
    net.restructure(rewires)
    assert kept(method, before, net.connections)
    sizes = [math.prod(la.weight.shape) for la in net.sparse_layers]
    assert all(n <= size for n, size in zip(net.connections, sizes, strict=True))


@every_method
@every_situation
@every_fraction
def test_what_grows_was_free_and_starts_as_promised(cls, options, situation, fraction):
    net, grads = arranged(**situation)
    method = made(cls, options, fraction)
    for layer, rewire in zip(net.sparse_layers, asked(method, net, grads)[0], strict=True):
        stay = np.delete(csr.flat(layer.weight), rewire.drop)
        assert not np.isin(rewire.grow, stay).any()
        assert np.isfinite(rewire.values).all()
        if method.starts is not None:
            assert (rewire.values == net.dtype.type(method.starts)).all()


@every_method
@pytest.mark.parametrize("which", [0, 1])
def test_a_full_layer_stays_full_where_counts_do(cls, options, which):
    kinds = ["ordinary", "ordinary"]
    kinds[which] = "full"
    net, grads = arranged(kinds)
    method = made(cls, options, 0.5)
    net.restructure(asked(method, net, grads)[0])
    layer = net.sparse_layers[which]
    if method.conserves == "layer":
        assert layer.weight.nnz == math.prod(layer.weight.shape)


@every_local_method
@every_fraction
def test_a_full_layer_is_left_alone_by_those_who_keep_what_they_choose_again(
    cls, options, fraction
):
    net, grads = arranged(("full", "full"))
    method = made(cls, options, fraction)
    if method.regrow != "keep" or method.conserves != "layer":
        return
    for rewire in asked(method, net, grads)[0]:
        assert len(rewire.drop) == len(rewire.grow) == 0


@every_method
@every_situation
@every_fraction
def test_a_connection_chosen_again_fares_as_promised(cls, options, situation, fraction):
    net, grads = arranged(**situation)
    method = made(cls, options, fraction)
    for layer, rewire in zip(net.sparse_layers, asked(method, net, grads)[0], strict=True):
        again = np.isin(rewire.grow, csr.positions_of(layer.weight, rewire.drop))
        if method.regrow in ("keep", "forbid"):
            assert not again.any()


@every_method
@every_situation
@every_fraction
def test_survivors_keep_their_bits(cls, options, situation, fraction):
    net, grads = arranged(**situation)
    before = held(net)
    positions = [csr.flat(layer.weight) for layer in net.sparse_layers]
    rewires, _ = asked(made(cls, options, fraction), net, grads)
    net.restructure(rewires)
    for old, new, at, rewire in zip(before, held(net), positions, rewires, strict=True):
        dropped = set(at[rewire.drop].tolist())
        survivors = set(old) - dropped
        assert {p: new[p] for p in survivors} == {p: old[p] for p in survivors}
        assert set(new) - survivors == set(rewire.grow.tolist())


@every_method
@every_situation
def test_grown_weights_have_the_dtype_of_the_layer(cls, options, situation):
    net, grads = arranged(**situation)
    rewires, _ = asked(made(cls, options, 0.5), net, grads)
    assert {rewire.values.dtype for rewire in rewires} == {net.dtype}


@every_fractional
@every_situation
def test_a_fraction_of_zero_changes_nothing(cls, options, situation):
    net, grads = arranged(**situation)
    before = snapshot(net, grads)
    net.restructure(asked(made(cls, options, 0.0), net, grads)[0])
    assert snapshot(net, grads) == before


@every_method
@every_situation
@every_fraction
def test_the_same_seed_gives_the_same_event(cls, options, situation, fraction):
    results = [asked(made(cls, options, fraction), *arranged(**situation))[0] for _ in range(2)]
    assert same(*results)


@every_method
def test_no_global_random_state_is_read_or_moved(cls, options):
    before = np.random.get_state()  # noqa: NPY002  (the state that nobody may touch)
    results = [asked(made(cls, options, 0.5), *arranged())[0]]
    after = np.random.get_state()  # noqa: NPY002
    assert before[2:] == after[2:]
    np.testing.assert_array_equal(before[1], after[1])
    np.random.random(3)  # noqa: NPY002
    results.append(asked(made(cls, options, 0.5), *arranged())[0])
    assert same(*results)


@every_local_method
@pytest.mark.parametrize("other", ["empty", "full", "one", "ties"])
@pytest.mark.parametrize("which", [0, 1])
def test_a_layer_is_rewired_the_same_whatever_the_other_holds(cls, options, which, other):
    # Hence also whatever the order in which a method goes through the layers.
    kinds = ["ordinary", "ordinary"]
    net, grads = arranged(kinds)
    kinds[1 - which] = other
    twin, twin_grads = arranged(kinds)
    layers = list(twin.layers)
    layers[2 * which] = net.layers[2 * which]
    mixed = list(twin_grads)
    mixed[which] = grads[which]
    method = made(cls, options, 0.5)
    ref = asked(method, net, grads)[0][which]
    comp = asked(method, Network(layers), mixed)[0][which]
    assert same([ref], [comp])


@every_local_method
def test_a_layer_more_moves_no_draw_of_the_layers_before(cls, options):
    net, grads = arranged()
    first, relu, second = net.layers
    shorter = Network([first, relu, second])
    rng = np.random.default_rng(373)
    third = Linear(layer_of("ordinary", (3, 4), rng, np.float64))
    longer = Network([first, relu, second, third])
    _, more = longer.gradients(tiles.pack(rng.random((11, 6))), rng.integers(0, 3, 11))
    method = made(cls, options, 0.5)
    ref = asked(method, shorter, grads)[0]
    comp = asked(method, longer, (*grads, longer.sparse_gradients(more)[-1]))[0]
    # A method that spares the output layer spares another one now.
    n = 2 if getattr(method, "evolve_output_layer", True) else 1
    assert same(ref[:n], comp[:n])


# Methods and options that draw nothing: only their choices can be compared unit by unit.
DRAWS_NOTHING = [
    ("rigl", {"regrow": "keep"}),
    ("rigl", {"regrow": "forbid"}),
    ("ggr", {"insertion": "gradient"}),
    ("ggr", {"insertion": "gradient", "drop_scope": "global"}),
    ("set_rigl", {"gradient_share": 1.0}),
    ("itop", {"growth": "gradient"}),
    ("snfs", {}),
    ("snfs", {"convention": "sparse-learning"}),
]


@pytest.mark.parametrize(("name", "options"), DRAWS_NOTHING, ids=str)
def test_permuting_the_units_permutes_the_choice(name, options):
    # P11. Without ties; with ties the flat order decides, which a permutation changes.
    net, grads = arranged()
    rng = np.random.default_rng(397)
    shuffled, shuffled_grads, orders = [], [], []
    for layer, grad in zip(net.sparse_layers, grads, strict=True):
        rows, columns = rng.permutation(layer.n_out), rng.permutation(layer.n_in)
        dense, pattern = csr.to_dense(layer.weight), csr.pattern(layer.weight)
        at = np.ix_(rows, columns)
        shuffled.append(Linear(csr.from_dense(dense[at], pattern[at])))
        whole = grad.block(0, layer.n_out)[at]
        factors = grad.delta[:, rows].copy(), grad.inputs[:, columns].copy()
        shuffled_grads.append(LayerGrad(whole[pattern[at]], grad.bias[rows], *factors))
        orders.append(at)
    twin = _Unchained(shuffled)
    method = made(ALL[name], options, 0.5)
    net.restructure(asked(method, net, grads)[0])
    twin_rewires, _ = asked(method, twin, tuple(shuffled_grads))
    for layer, other, rewire, at in zip(
        net.sparse_layers, shuffled, twin_rewires, orders, strict=True
    ):
        new, _ = csr.apply(other.weight, rewire)
        np.testing.assert_array_equal(csr.pattern(new), csr.pattern(layer.weight)[at])


class _Unchained:
    """What a method sees of a network, for layers whose units do not chain any more."""

    def __init__(self, layers):
        self.sparse_layers, self.dtype = tuple(layers), layers[0].weight.dtype


@every_method
def test_a_layer_more_moves_no_stream_of_later_events(cls, options):
    rng = np.random.default_rng(401)
    drawn = []
    for sizes in ((6, 7, 4), (6, 7, 5, 4)):
        layers = [
            part
            for n_in, n_out in itertools.pairwise(sizes)
            for part in (Linear(layer_of("ordinary", (n_out, n_in), rng, np.float64)), ReLU())
        ]
        streams = np.random.default_rng(409).spawn(2)
        training = training_loop.start(
            Network(layers[:-1]), made(cls, options), optim.sgd(0.1), *streams
        )
        drawn.append(training.method_rng.spawn(1)[0].integers(1 << 60))
    assert drawn[0] == drawn[1]


@every_method
@every_situation
def test_event_may_follow_event(cls, options, situation):
    net, grads = arranged(**situation)
    before, method = net.connections, made(cls, options, 0.5)
    beginning, *streams = np.random.default_rng(379).spawn(6)
    state = begun(method, net, beginning)
    for step, rng in enumerate(streams, start=1):
        rng_x = np.random.default_rng(step + 400)
        x = rng_x.standard_normal((9, net.n_in)).astype(net.dtype)
        grads = net.sparse_gradients(net.gradients(net.packed(x), rng_x.integers(0, 4, 9))[1])
        state = method.observe(grads, state)
        rewires, state = method.rewire(net, grads, state, step, rng)
        state = method.follow(state, net.restructure(rewires))
        assert kept(method, before, net.connections)
        for layer in net.sparse_layers:
            assert csr.check(layer.weight).has_canonical_format


@every_method
def test_the_ordinary_event_of_this_suite_drops_and_grows(cls, options):
    # Else the tests above would compare nothing with nothing.
    net, grads = arranged()
    rewires, _ = asked(made(cls, options, 0.5), net, grads)
    moves = does_rewire(cls)
    assert bool(sum(len(rewire.drop) for rewire in rewires)) == moves
    grows = moves and cls.grows
    assert bool(sum(len(rewire.grow) for rewire in rewires)) == grows


class Seen:
    """An optimizer, of whose state a copy is kept as it was before an event."""

    def __init__(self, optimizer):
        self.optimizer, self.learning_rate = optimizer, optimizer.learning_rate

    def init(self, parameters):
        state = self.optimizer.init(parameters)
        self.buffers = [[buffer.copy() for buffer in group] for group in state.buffers]
        return state

    def updates(self, parameters, grads, state, step):
        made, state = self.optimizer.updates(parameters, grads, state, step)
        self.buffers = [[buffer.copy() for buffer in group] for group in state.buffers]
        return made, state


class Told(Method):
    """A method under test, of which the last rewirings and their sources are kept."""

    def __init__(self, method):
        self.method, self.rewires, self.sources = method, (), ()
        for name in ("replaces_update", "drifts", "resets_optimizer"):
            setattr(self, name, getattr(method, name))
        for name in ("init", "observe", "due", "drift", "backward_only"):
            setattr(self, name, getattr(method, name))

    def rewire(self, *about):
        self.rewires, state = self.method.rewire(*about)
        return self.rewires, state

    def follow(self, state, sources):
        self.sources = sources
        return self.method.follow(state, sources)


@every_method
@pytest.mark.parametrize("optimizer", [optim.sgd(0.05, 0.9), optim.adam(0.01)], ids=["sgd", "adam"])
def test_what_grows_has_the_momentum_promised(cls, options, optimizer):
    told = Told(made(cls, options, 0.5, run=LONG))
    net, _ = arranged()
    rng = np.random.default_rng(383)
    seen = Seen(optimizer)
    training = training_loop.start(net, told, seen, *rng.spawn(2))
    x, y = tiles.pack(rng.standard_normal((11, 6))), rng.integers(0, 4, 11)
    while not any(len(rewire.grow) for rewire in told.rewires) and training.step < 300:
        training_loop.step(net, x, y, training)
    if training.step == 300 and not (does_rewire(cls) and cls.grows):
        return
    of_weights = [
        (old, new)
        for parameter, old, new in zip(
            net.parameters(), seen.buffers, training.optimizer_state.buffers, strict=True
        )
        if parameter.slots
    ]
    for (old, new), rewire, source in zip(of_weights, told.rewires, told.sources, strict=True):
        promised = np.zeros(len(rewire.grow)) if rewire.momentum is None else rewire.momentum
        np.testing.assert_array_equal(new[0][source < 0], promised)
        for before, after in zip(old, new, strict=True):
            assert len(after) == len(source)
            if not told.resets_optimizer:
                np.testing.assert_array_equal(after[source >= 0], before[source[source >= 0]])
            if told.resets_optimizer:
                assert not after.any()


FRACTIONS = [c for c in ALL.values() if "drop_fraction" in {f.name for f in dataclasses.fields(c)}]


@pytest.mark.parametrize("cls", FRACTIONS)
@pytest.mark.parametrize("value", [-0.5, 1.5, float("nan")])
def test_a_schedule_that_leaves_the_bounds_is_refused_when_it_does(cls, value):
    net, grads = arranged()
    method = cls(drop_fraction=lambda step: value).bind(RUN)
    message = rf"^{cls.__name__}: drop_fraction must be in \[0, 1\], got {value}"
    with pytest.raises(ValueError, match=message):
        asked(method, net, grads)


@pytest.mark.parametrize("cls", FRACTIONS)
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64])
def test_a_number_of_numpy_is_a_drop_fraction(cls, kind):
    net, grads = arranged()
    ref = asked(cls(drop_fraction=1.0).bind(RUN), net, grads)[0]
    comp = asked(cls(drop_fraction=kind(1)).bind(RUN), net, grads)[0]
    assert same(ref, comp)


# ---------------------------------------------------------------- whole trainings


@st.composite
def schedules_of_fractions(draw):
    initial = draw(st.sampled_from([0.0, 0.05, 0.3, 0.9, 1.0]))
    kind = draw(st.sampled_from(["number", "cosine", "linear", "cubic", "own"]))
    return {
        "number": initial,
        "cosine": schedules.Cosine(initial, 9),
        "linear": schedules.Linear(initial, 5),
        "cubic": schedules.cubic(initial, 12),
        "own": lambda step: initial if step % 3 else 1.0,
    }[kind]


@st.composite
def trainings(draw):
    """Structure, data, optimizer and settings of a short training."""
    rng = np.random.default_rng(draw(st.integers(2, 2**32)))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    sizes = draw(st.lists(st.integers(1, 9), min_size=2, max_size=4))
    shapes = [(n_out, n_in) for n_in, n_out in itertools.pairwise(sizes)]
    architecture = draw(st.sampled_from(["mlp", "convnet"]))
    if architecture == "convnet":
        shapes = ARCHITECTURES["convnet"][1]
    weights = []
    for shape in shapes:
        size = math.prod(shape)
        n = round(size * draw(st.sampled_from([0.0, 0.1, 0.4, 0.9, 1.0])))
        positions = np.sort(rng.permutation(size)[:n])
        values = rng.standard_normal(n) * draw(st.sampled_from([0.0, 1.0]))
        weights.append(csr.from_positions(shape, positions, values.astype(dtype)))
    layers = [part for weight in weights for part in (Linear(weight), ReLU())][:-1]
    net = convnet(*weights) if architecture == "convnet" else Network(layers)
    n = draw(st.integers(1, 20))
    scale = draw(st.sampled_from([0.0, 1.0, 30.0]))
    data = scale * rng.standard_normal((n, net.n_in)), rng.integers(0, net.n_out, n)
    optimizer = draw(
        st.sampled_from([optim.sgd(0.01), optim.sgd(0.01, 0.9, True, 0.1), optim.adam(0.01)])
    )
    return net, data, optimizer, draw(schedules_of_fractions()), rng


@every_method
@settings(deadline=None, max_examples=20)
@given(training=trainings(), every=st.integers(1, 4), batch_size=st.integers(1, 9))
def test_a_training_never_breaks_a_promise(cls, options, training, every, batch_size):
    net, data, optimizer, fraction, rng = training
    before = net.connections
    offered = {"drop_fraction": fraction, "every": every, "stop": 50}
    fields = {field.name for field in dataclasses.fields(cls)}
    method = cls(**{k: v for k, v in offered.items() if k in fields}, **options)
    try:
        history = fit(
            net, data, method=method, optimizer=optimizer, epochs=3, batch_size=batch_size, rng=rng
        )
    except FloatingPointError:  # numbers this wild may diverge; the network must be whole then too
        history = None
    assert kept(method, before, net.connections)
    for layer in net.sparse_layers:
        assert csr.check(layer.weight).has_canonical_format
    if history is not None:
        assert all(kept(method, before, record.connections) for record in history.epochs)
