"""Scores at initialisation: how many stay, which, and what rounds leave; magnitude and random."""

import re
from fractions import Fraction

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_ref import Dense, Linear, Network, ReLU, csr
from sparse_ref.at_init import grasp, magnitude, random, shuffled, snip, synflow
from sparse_ref.at_init.conventions import SOURCES
from sparse_ref.at_init.pool import COUNTS, TIES, densities, kept_count, survivors

EVERY = {"snip": snip, "grasp": grasp, "synflow": synflow, "magnitude": magnitude, "random": random}
every_score = pytest.mark.parametrize("name", list(EVERY))
X, Y = np.array([[1.0, 2.0, 0.5], [0.0, 1.0, -1.0], [-1.0, 1.0, 2.0]]), np.array([0, 1, 1])


def refuses(kind, message):
    """The whole message, word for word."""
    return pytest.raises(kind, match="^" + re.escape(message) + "$")


def mixed(seed=911, dtype=np.float64):
    """3-5-4-2: dense, sparse with an empty row and a stored zero, dense."""
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal(shape).astype(dtype) for shape in ((5, 3), (4, 5), (2, 4))]
    pattern = rng.random((4, 5)) < 0.6
    pattern[1], pattern[2] = False, True
    weights[1][2, 3] = 0
    middle = csr.from_dense(np.where(pattern, weights[1], 0), pattern)
    layers = Dense(weights[0]), ReLU(), Linear(middle), ReLU(), Dense(weights[2])
    return Network(layers)


def prune(name, net, density, **options):
    """Drops of any of the five."""
    if name == "random":
        return random(net, density, np.random.default_rng(912), **options)
    data = (X.astype(net.dtype), Y) if name in ("snip", "grasp") else ()
    return EVERY[name](net, *data, density, **options)


def values(layer):
    """A layer's weights in slot order."""
    return layer.weight.data if isinstance(layer, Linear) else layer.weight.reshape(-1)


def copies(net):
    return [values(layer).tobytes() for layer in net.weighted]


# Counts and ties, by hand -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "density", "counts"),
    [
        # round_kept  round_unpruned  trunc_kept  trunc_removed
        (10, 0.25, (2, 2, 2, 3)),  # 2.5, halves to even; 7.5 go
        (10, 0.35, (4, 4, 3, 4)),  # 3.5
        (10, 0.1, (1, 1, 1, 1)),
        (15, 0.1, (2, 1, 1, 2)),  # 1.5; 1 - (1 - .1) is .09999999999999998
        (15, Fraction(1, 10), (2, 2, 1, 2)),
        (100, 0.29, (29, 29, 28, 29)),  # 28.999999999999996 in floats
        (10, 0.9, (9, 9, 9, 10)),  # int((1 - 0.9) * 10) is 0
        (10, Fraction(9, 10), (9, 9, 9, 9)),
        (100, Fraction(29, 100), (29, 29, 29, 29)),
        (7, 0, (0, 0, 0, 0)),
        (7, 1.0, (7, 7, 7, 7)),
    ],
)
def test_how_many_stay(n, density, counts):
    assert tuple(kept_count(n, density, rule) for rule in COUNTS) == counts


@pytest.mark.parametrize(
    ("ties", "stay"),
    [  # of .5 .2 .2 .7 .2 .5 two go
        ("keep_low_index", [0, 1, 3, 5]),
        ("drop_low_index", [0, 3, 4, 5]),
        ("drop_all", [0, 3, 5]),
        ("keep_all", [0, 1, 2, 3, 4, 5]),
        ("official_off_by_one", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_which_of_equal_scores_stay(ties, stay):
    pool = np.array([0.5, 0.2, 0.2, 0.7, 0.2, 0.5])
    first, second = survivors("who", [pool[:4], pool[4:]], 2, ties)
    assert [*first, *(second + 4)] == stay


@pytest.mark.parametrize(("n", "left"), [(0, [3, 3, 3, 3, 3]), (3, [0, 0, 0, 0, 1])])
def test_no_score_and_every_score(n, left):
    pool = [np.array([0.3, 0.1]), np.array([0.2])]
    assert [sum(map(len, survivors("who", pool, n, ties))) for ties in TIES] == left


def test_all_that_are_equal_go_with_the_threshold_even_of_an_earlier_round():
    scores = [np.array([0.0, 0.4, 0.0, 0.3])]
    assert survivors("who", scores, 2, "drop_all", gone=3)[0].tolist() == [1, 3]
    assert survivors("who", scores, 4, "drop_all", gone=3)[0].tolist() == [1, 3]
    assert survivors("who", scores, 6, "drop_all", gone=3)[0].tolist() == [1]


def test_scores_must_be_finite():
    for ties in TIES:
        for wrong in (np.nan, np.inf):
            with refuses(ValueError, f"who: scores must be finite, got {wrong}"):
                survivors("who", [np.array([1.0]), np.array([wrong, 2.0])], 1, ties)


def test_densities_of_rounds():
    np.testing.assert_allclose(list(densities(0.001, 3, "exponential")), [0.1, 0.01, 0.001])
    np.testing.assert_allclose(list(densities(0.4, 3, "linear")), [0.8, 0.6, 0.4])
    assert list(densities(Fraction(1, 3), 1, "exponential")) == [Fraction(1, 3)]
    assert list(densities(Fraction(1, 3), 2, "linear")) == [Fraction(2, 3), Fraction(1, 3)]


# What all of them promise -------------------------------------------------------------------------


@every_score
@settings(max_examples=25)
@given(st.floats(0, 1))
def test_as_many_go_as_asked_for(name, density):
    net = mixed()
    drops = prune(name, net, density)
    kept = sum(net.connections) - sum(map(len, drops))
    n = sum(net.connections)
    if name == "random":
        assert [c - len(d) for c, d in zip(net.connections, drops, strict=True)] == [
            round(c * density) for c in net.connections
        ]
    else:
        assert kept == (int(n * density) if name == "synflow" else round(n * density))


@every_score
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_network_is_not_changed_and_can_be_pruned(name, dtype):
    net = mixed(dtype=dtype)
    before, patterns = copies(net), net.connections
    drops = prune(name, net, 0.4)
    assert copies(net) == before
    assert net.connections == patterns
    assert all(drop.dtype == np.int64 for drop in drops)
    net.prune(drops)
    assert sum(net.connections) == sum(patterns) - sum(map(len, drops))
    assert net.dtype == dtype


@every_score
def test_density_one_keeps_all_and_zero_none(name):
    net = mixed()
    assert [len(drop) for drop in prune(name, net, 1.0)] == [0, 0, 0]
    assert tuple(map(len, prune(name, net, 0))) == net.connections


@every_score
@pytest.mark.parametrize("exclude", [(1,), (-1,), (0, 2), (-3, 0)])
def test_excluded_layers_lose_nothing_and_do_not_count(name, exclude):
    net = mixed()
    drops = prune(name, net, Fraction(1, 2), exclude=exclude)
    out = {k % 3 for k in exclude}
    assert {k for k, drop in enumerate(drops) if drop is None} == out
    left = [(n, len(d)) for n, d in zip(net.connections, drops, strict=True) if d is not None]
    if name == "random":
        assert all(n - lost == round(Fraction(n, 2)) for n, lost in left)
    else:
        n, lost = map(sum, zip(*left, strict=True))
        assert n - lost == (n // 2 if name == "synflow" else round(Fraction(n, 2)))


@every_score
def test_sparse_layers_with_every_connection_are_pruned_as_dense_ones(name):
    rng = np.random.default_rng(913)
    weights = [rng.standard_normal(shape) for shape in ((5, 3), (2, 5))]
    dense = Network([Dense(weights[0]), ReLU(), Dense(weights[1])])
    full = [Linear(csr.from_dense(w, np.ones(w.shape, bool))) for w in weights]
    sparse = Network([full[0], ReLU(), full[1]])
    for one, other in zip(prune(name, dense, 0.3), prune(name, sparse, 0.3), strict=True):
        np.testing.assert_array_equal(one, other)


@every_score
def test_a_network_of_one_connection(name):
    net = Network([Dense(np.array([[2.0]])), ReLU(), Dense(np.array([[1.0], [3.0]]))])
    drops = (
        prune(name, net, 0.5)
        if name not in ("snip", "grasp")
        else EVERY[name](net, np.ones((2, 1)), np.array([0, 1]), 0.5)
    )
    assert len(drops) == 2


# Errors -------------------------------------------------------------------------------------------


@every_score
@pytest.mark.parametrize("density", [-0.1, 1.5, float("nan")])
def test_a_density_that_is_no_share_is_refused(name, density):
    with refuses(ValueError, f"{name}: density must be in [0, 1], got {density}"):
        prune(name, mixed(), density)


@every_score
@pytest.mark.parametrize("density", ["0.1", True, None])
def test_a_density_that_is_no_number_is_refused(name, density):
    with refuses(TypeError, f"{name}: density must be a number, got {density!r}"):
        prune(name, mixed(), density)


@every_score
@pytest.mark.parametrize("k", [3, -4])
def test_excluding_a_layer_that_is_not_there_is_refused(name, k):
    with refuses(ValueError, f"{name}: exclude must name layers in [-3, 3), got {k}"):
        prune(name, mixed(), 0.5, exclude=(0, k))


@every_score
@pytest.mark.parametrize("exclude", [0, (0.0,), (True,), None])
def test_what_is_excluded_are_whole_numbers(name, exclude):
    message = f"{name}: exclude must be a sequence of whole numbers, got {exclude!r}"
    with refuses(TypeError, message):
        prune(name, mixed(), 0.5, exclude=exclude)


@every_score
def test_weights_that_are_no_numbers_are_refused(name):
    net = mixed()
    values(net.weighted[1])[2] = np.nan
    if name == "random":
        assert len(prune(name, net, 0.5)) == 3  # it does not look at them
        return
    what = "weights" if name == "synflow" else "scores"
    with refuses(ValueError, f"{name}: {what} must be finite, got nan"):
        prune(name, net, 0.5)


def test_draws_need_a_generator():
    for wrong, kind in ((None, "NoneType"), (3, "int")):
        with refuses(TypeError, f"random: rng must be a Generator, got {kind}"):
            random(mixed(), 0.5, wrong)
        with refuses(TypeError, f"shuffled: rng must be a Generator, got {kind}"):
            shuffled(mixed(), (None, None, None), wrong)


@every_score
def test_excluding_everything_is_refused(name):
    with refuses(ValueError, f"{name}: exclude must leave a layer, got [0, 1, -1]"):
        prune(name, mixed(), 0.5, exclude=(0, 1, -1))


@every_score
def test_unknown_rules_are_refused(name):
    with refuses(ValueError, f"{name}: count must be one of {list(COUNTS)}, got 'floor'"):
        prune(name, mixed(), 0.5, count="floor")
    if name != "random":
        with refuses(ValueError, f"{name}: ties must be one of {list(TIES)}, got 'any'"):
            prune(name, mixed(), 0.5, ties="any")
        known = list(EVERY[name].conventions)
        with refuses(ValueError, f"{name}: convention must be one of {known}, got 'mine'"):
            prune(name, mixed(), 0.5, convention="mine")


# Conventions --------------------------------------------------------------------------------------


def test_every_convention_was_read_somewhere():
    used = {c for f in (snip, grasp, synflow, magnitude) for c in f.conventions}
    assert used == set(SOURCES)


def test_options_beside_a_convention_overrule_it():
    net = Network([Dense(np.ones((2, 2)))])
    code = magnitude(net, 0.5, convention="synaptic-flow")
    assert [len(d) for d in code] == [4]  # all are equal, so all go
    mine = magnitude(net, 0.5, convention="synaptic-flow", ties="keep_low_index")
    assert [d.tolist() for d in mine] == [[2, 3]]


# Magnitude ----------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.sampled_from(["global", "local"]), st.floats(0, 1))
def test_magnitude_against_sorting(seed, scope, density):
    net = mixed(seed)
    sizes = [abs(values(layer)) for layer in net.weighted]
    comp = magnitude(net, density, scope=scope)
    if scope == "global":
        masks = naive.pooled_masks(sizes, round(density * sum(map(len, sizes))))
    else:
        masks = [naive.pooled_masks([s], round(density * len(s)))[0] for s in sizes]
    for drop, mask in zip(comp, masks, strict=True):
        np.testing.assert_array_equal(np.flatnonzero(~mask), drop)


def test_magnitude_of_all_layers_empties_the_one_with_the_largest_fan_in():
    rng = np.random.default_rng(914)
    shapes = (40, 400), (40, 40), (2, 40)
    weights = [rng.standard_normal(shape) / np.sqrt(shape[1]) for shape in shapes]
    net = Network([Dense(weights[0]), ReLU(), Dense(weights[1]), ReLU(), Dense(weights[2])])
    kept = [n - len(d) for n, d in zip(net.connections, magnitude(net, 0.01), strict=True)]
    assert kept[0] == 0
    local = magnitude(net, 0.01, scope="local")
    assert [n - len(d) for n, d in zip(net.connections, local, strict=True)] == [160, 16, 1]


def test_magnitude_knows_two_scopes():
    with refuses(
        ValueError, "magnitude: scope must be one of ['global', 'local'], got 'everywhere'"
    ):
        magnitude(mixed(), 0.5, scope="everywhere")


# Random -------------------------------------------------------------------------------------------


def grid(n_out=6, n_in=5):
    return Network([Dense(np.arange(1.0, n_out * n_in + 1).reshape(n_out, n_in))])


@pytest.mark.parametrize("mode", ["exact_per_layer", "global_exact", "bernoulli"])
def test_every_connection_is_removed_equally_often(mode):
    times, draws, rng = np.zeros(30), 4000, np.random.default_rng(915)
    for _ in range(draws):
        times[random(grid(), 0.3, rng, mode)[0]] += 1
    # 29 or 30 degrees of freedom; a coin each has variance p q a draw. Beyond 70: 1 in 25,000.
    chi_square = ((times - 0.7 * draws) ** 2 / (0.7 * 0.3 * draws)).sum()
    assert chi_square < 70


def test_coins_make_random_counts_of_the_right_mean():
    rng = np.random.default_rng(916)
    counts = [len(random(grid(), 0.3, rng, "bernoulli")[0]) for _ in range(2000)]
    assert len(set(counts)) > 5
    # Binomial(30, .7): standard deviation 2.51, of the mean .056; five of them.
    assert abs(np.mean(counts) - 21) < 0.28
    assert abs(np.var(counts) - 6.3) < 1.0


def test_one_pool_shares_by_the_hypergeometric_law():
    rng, net = np.random.default_rng(917), mixed()
    n = np.array(net.connections)
    counts = np.array(
        [[len(d) for d in random(net, 0.5, rng, "global_exact")] for _ in range(2000)]
    )
    removed = n.sum() - round(n.sum() * 0.5)
    assert set(counts.sum(axis=1)) == {removed}
    share = n / n.sum()
    variance = removed * share * (1 - share) * (n.sum() - removed) / (n.sum() - 1)
    assert (abs(counts.mean(axis=0) - removed * share) < 5 * np.sqrt(variance / 2000)).all()


@pytest.mark.parametrize("mode", ["exact_per_layer", "global_exact", "bernoulli"])
def test_random_does_not_look_at_the_weights(mode):
    net, other = mixed(), mixed()
    other.weighted[0].weight[:] = 7
    some, others = (random(m, 0.4, np.random.default_rng(918), mode) for m in (net, other))
    for one, two in zip(some, others, strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_layer_draws_from_its_own_stream():
    some = random(mixed(), 0.4, np.random.default_rng(919))
    others = random(mixed(), 0.4, np.random.default_rng(919), exclude=(0,))
    np.testing.assert_array_equal(some[2], others[2])


@given(st.integers(0, 10_000), st.sampled_from(["local", "global"]))
def test_shuffling_keeps_counts_only(seed, scope):
    net = mixed()
    given = magnitude(net, 0.3, exclude=(1,))
    comp = shuffled(net, given, np.random.default_rng(seed), scope)
    assert comp[1] is None
    lengths = [[len(drops[k]) for k in (0, 2)] for drops in (given, comp)]
    assert sum(lengths[0]) == sum(lengths[1])
    assert scope == "global" or lengths[0] == lengths[1]
    for k in (0, 2):
        assert (np.diff(comp[k]) > 0).all()
        assert len(comp[k]) == 0 or 0 <= comp[k][0] <= comp[k][-1] < net.connections[k]


def test_shuffling_forgets_which():
    net, drops = grid(), (np.arange(9),)
    found = {tuple(shuffled(net, drops, np.random.default_rng(s))[0]) for s in range(50)}
    assert len(found) == 50


def test_random_knows_three_modes_and_two_scopes():
    modes = "['exact_per_layer', 'bernoulli', 'global_exact']"
    with refuses(ValueError, f"random: mode must be one of {modes}, got 'even'"):
        random(mixed(), 0.5, np.random.default_rng(920), "even")
    drops = (None, None, None)
    with refuses(ValueError, "shuffled: scope must be one of ['local', 'global'], got 'even'"):
        shuffled(mixed(), drops, np.random.default_rng(920), "even")
    with refuses(ValueError, "shuffled: drops must be one per layer with a weight, 3, got 2"):
        shuffled(mixed(), drops[:2], np.random.default_rng(920))
