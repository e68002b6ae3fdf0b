"""Mini-batches, held-out parts and first examples: which examples, in which order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_loaders import Split, batches, hold_out, take


def numbered(n, n_classes=3):
    """Example i is the number i; its class is i modulo `n_classes`."""
    return Split(np.arange(n, dtype=np.float32).reshape(n, 1), np.arange(n) % n_classes)


def numbers(split):
    return split.x[:, 0].astype(int).tolist()


def test_without_a_generator_batches_come_in_order():
    got = [numbers(batch) for batch in batches(numbered(7), 3)]

    assert got == [[0, 1, 2], [3, 4, 5], [6]]


def test_drop_last_leaves_out_what_remains():
    got = [numbers(batch) for batch in batches(numbered(7), 3, drop_last=True)]

    assert got == [[0, 1, 2], [3, 4, 5]]


def test_drop_last_keeps_a_full_last_batch():
    assert len(list(batches(numbered(6), 3, drop_last=True))) == 2


def test_a_large_batch_size_gives_one_batch():
    assert [numbers(batch) for batch in batches(numbered(3), 9)] == [[0, 1, 2]]


def test_a_generator_shuffles_labels_with_their_examples():
    expected = np.random.default_rng(31).permutation(10).tolist()

    got = list(batches(numbered(10), 4, np.random.default_rng(31)))

    assert [i for batch in got for i in numbers(batch)] == expected
    for batch in got:
        assert (batch.x[:, 0].astype(int) % 3).tolist() == batch.y.tolist()


def test_the_permutation_is_drawn_at_the_call():
    rng = np.random.default_rng(31)
    first, second = batches(numbered(10), 10, rng), batches(numbered(10), 10, rng)

    got_second, got_first = numbers(next(second)), numbers(next(first))

    rng = np.random.default_rng(31)
    assert got_first == rng.permutation(10).tolist()
    assert got_second == rng.permutation(10).tolist()


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ((numbered(5), 0), ValueError, "batches: batch_size must be at least 1, got 0"),
        ((numbered(5), 2.0), TypeError, r"batches: batch_size must be an integer, got 2\.0"),
        ((numbered(5), True), TypeError, "batches: batch_size must be an integer, got True"),
        ((numbered(5), 2, 17), TypeError, r"batches: rng must be a numpy\.random\.Gen.*got int"),
        ((np.ones((5, 2)), 2), TypeError, r"split must be a pair \(x, y\) of arrays, got ndarray"),
        (((np.ones((5, 2)), np.ones(4)), 2), ValueError, r"same n, got \(5, 2\) and \(4,\)"),
        (((np.ones((5, 2)), np.ones((5, 2))), 2), ValueError, r"y \(n,\) with the same n, got"),
        (
            ((np.ones((0, 2)), np.ones(0)), 2),
            ValueError,
            "must hold at least one example, got none",
        ),
    ],
)
def test_batches_checks_its_arguments_at_the_call(arguments, kind, message):
    with pytest.raises(kind, match=message):
        batches(*arguments)


def test_drop_last_must_leave_a_batch():
    with pytest.raises(
        ValueError, match=r"at most the number of examples, 5, where drop_last .* 6"
    ):
        batches(numbered(5), 6, drop_last=True)


def test_augmented_batches_draw_after_the_permutation():
    def brighter(x, rng):
        return x + rng.random()

    draws = np.random.default_rng(31)
    order = draws.permutation(10)

    got = list(batches(numbered(10), 4, np.random.default_rng(31), augment=brighter))

    for batch, part in zip(got, np.split(order, [4, 8]), strict=True):
        np.testing.assert_array_equal(batch.x[:, 0], part.astype(np.float32) + draws.random())
        np.testing.assert_array_equal(batch.y, part % 3)


def test_augmenting_needs_a_generator():
    with pytest.raises(ValueError, match="augment draws at random and needs rng, got None"):
        batches(numbered(5), 2, augment=lambda x, rng: x)


@pytest.mark.parametrize(
    ("size", "expected"),
    [(3, 3), (0.25, 2), (0.35, 4), (np.int64(9), 9), (np.float32(0.5), 5)],  # 2.5 to even is 2
)
def test_the_size_is_a_count_or_a_fraction(size, expected):
    training, validation = hold_out(numbered(10), size, np.random.default_rng(13))

    assert len(validation.y) == expected
    assert sorted(numbers(training) + numbers(validation)) == list(range(10))


def test_both_parts_keep_the_original_order():
    training, validation = hold_out(numbered(50), 0.3, np.random.default_rng(13))

    assert numbers(training) == sorted(numbers(training))
    assert numbers(validation) == sorted(numbers(validation))


def test_holding_out_is_decided_by_the_generator():
    split = numbered(50)
    first, same, other = (
        numbers(hold_out(split, 20, np.random.default_rng(seed))[1]) for seed in (13, 13, 14)
    )

    assert first == same
    assert first != other


def test_strata_get_their_shares_by_largest_remainder():
    # Class 0 has 6 of 11, class 1 has 3, class 2 has 2; 4 are held out:
    # shares 24/11 = 2 + 2/11, 12/11 = 1 + 1/11, 8/11 = 0 + 8/11, so class 2 gets the last.
    y = np.array([0, 1, 0, 2, 0, 1, 0, 2, 0, 1, 0])
    split = Split(np.zeros((11, 1)), y)

    training, validation = hold_out(split, 4, np.random.default_rng(13), how="stratified")

    assert np.bincount(validation.y).tolist() == [2, 1, 1]
    assert np.bincount(training.y).tolist() == [4, 2, 1]


def test_equal_remainders_go_to_the_lower_class():
    split = Split(np.zeros((4, 1)), np.array([5, 5, 3, 3]))

    _, validation = hold_out(split, 1, np.random.default_rng(13), how="stratified")

    assert validation.y.tolist() == [3]


@given(
    y=st.lists(st.integers(0, 4), min_size=2, max_size=60),
    share=st.floats(0, 1),
    seed=st.integers(200, 299),
)
def test_strata_are_exact_in_total_and_within_one_in_each_class(y, share, seed):
    split = Split(np.arange(len(y), dtype=float).reshape(-1, 1), np.array(y))
    count = min(max(round(share * len(y)), 1), len(y) - 1)

    training, validation = hold_out(split, count, np.random.default_rng(seed), how="stratified")

    assert sorted(numbers(training) + numbers(validation)) == list(range(len(y)))
    assert len(validation.y) == count
    exact = np.bincount(y, minlength=5) * count / len(y)
    assert np.all(np.abs(np.bincount(validation.y, minlength=5) - exact) < 1)


@pytest.mark.parametrize(
    ("size", "kind", "message"),
    [
        (0, ValueError, "both parts at least one of the 10 examples, got 0, which holds out 0"),
        (10, ValueError, "both parts at least one of the 10 examples, got 10"),
        (-2, ValueError, "both parts at least one of the 10 examples, got -2"),
        (0.01, ValueError, r"both parts .* got 0\.01, which holds out 0"),
        (1.5, ValueError, r"size as a fraction must be in \(0, 1\), got 1\.5"),
        (float("nan"), ValueError, r"size as a fraction must be in \(0, 1\), got nan"),
        ("half", TypeError, "hold_out: size must be a number, got 'half'"),
        (True, TypeError, "hold_out: size must be a number, got True"),
    ],
)
def test_a_wrong_size_is_refused(size, kind, message):
    with pytest.raises(kind, match=message):
        hold_out(numbered(10), size, np.random.default_rng(13))


def test_a_wrong_way_is_refused_with_the_list():
    with pytest.raises(ValueError, match="how must be one of random, stratified, got 'balanced'"):
        hold_out(numbered(10), 2, np.random.default_rng(13), how="balanced")


def test_a_seed_is_not_a_generator():
    with pytest.raises(
        TypeError, match=r"hold_out: rng must be a numpy\.random\.Generator, such as"
    ):
        hold_out(numbered(10), 2, 13)


def test_take_gives_the_first():
    assert numbers(take(numbered(10), 3)) == [0, 1, 2]


def test_take_cannot_give_more_than_there_are():
    with pytest.raises(ValueError, match="n must be at most the number of examples, 10, got 11"):
        take(numbered(10), 11)


def test_take_gives_at_least_one():
    with pytest.raises(ValueError, match="take: n must be at least 1, got 0"):
        take(numbered(10), 0)
