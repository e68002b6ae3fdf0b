"""Toy problems: their shapes, ranges, labels, and that the generator decides everything."""

import numpy as np
import pytest

from data_loaders import teacher, two_moons


def rng(seed=71):
    return np.random.default_rng(seed)


MAKERS = {
    "two_moons": lambda rng, **options: two_moons(301, rng, **options),
    "teacher": lambda rng, **options: teacher(301, 2, 2, rng, **options),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_points_are_in_the_unit_square_and_labels_are_int64(make, dtype):
    got = make(rng(), dtype=dtype)

    assert got.x.shape == (301, 2)
    assert (got.x.dtype, got.y.dtype) == (dtype, np.int64)
    assert 0 <= got.x.min() < got.x.max() <= 1
    assert set(got.y.tolist()) == {0, 1}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_the_generator_decides_everything(make):
    first, same, other = make(rng()), make(rng()), make(rng(72))

    np.testing.assert_array_equal(first.x, same.x)
    np.testing.assert_array_equal(first.y, same.y)
    assert not np.array_equal(first.x, other.x)


def test_the_moons_share_the_points_and_come_shuffled():
    got = two_moons(301, rng())

    assert np.bincount(got.y).tolist() == [150, 151]
    assert 0 < got.y[:150].sum() < 150


def test_the_moons_are_half_circles_where_there_is_no_noise():
    got = two_moons(400, rng(), noise=0.0, dtype=np.float64)

    # Back from the unit square to the plane; class 0 is the upper half of the unit circle, class 1
    # the lower half of the one around (1, 0.5).
    plane = got.x * [3.0, 1.5] + [-1.0, -0.5]
    centre = np.where(got.y[:, None] == 0, [0.0, 0.0], [1.0, 0.5])
    np.testing.assert_allclose(np.linalg.norm(plane - centre, axis=1), 1.0, atol=1e-14)
    assert np.all(np.where(got.y == 0, plane[:, 1] >= -1e-14, plane[:, 1] <= 0.5 + 1e-14))


def test_the_teacher_labels_the_points_by_its_largest_score():
    draws = rng()
    first = draws.standard_normal((4, 8)) / np.sqrt(4)
    second = draws.standard_normal((8, 3)) / np.sqrt(8)
    x = draws.random((200, 4))
    expected = [int(np.argmax(np.maximum((p - 0.5) @ first, 0) @ second)) for p in x]

    got = teacher(200, 4, 3, rng(), hidden=8, dtype=np.float64)

    np.testing.assert_array_equal(got.x, x)
    assert got.y.tolist() == expected


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda: two_moons(1, rng()),
            ValueError,
            "n must be at least 2, one for each class, got 1",
        ),
        (lambda: two_moons(2.5, rng()), TypeError, r"two_moons: n must be an integer, got 2\.5"),
        (
            lambda: two_moons(9, rng(), -0.1),
            ValueError,
            r"noise must be finite and >= 0, got -0\.1",
        ),
        (lambda: two_moons(9, rng(), np.inf), ValueError, "noise must be finite and >= 0, got inf"),
        (lambda: two_moons(9, 71), TypeError, "two_moons: rng must be a numpy.random.Generator"),
        (lambda: two_moons(9, rng(), dtype=int), TypeError, "two_moons: dtype must be float32 or"),
        (lambda: teacher(0, 2, 2, rng()), ValueError, "teacher: n must be at least 1, got 0"),
        (lambda: teacher(9, 0, 2, rng()), ValueError, "teacher: n_features must be at least 1"),
        (lambda: teacher(9, 2, 1, rng()), ValueError, "n_classes must be at least 2, got 1"),
        (lambda: teacher(9, 2, 2, rng(), hidden=0), ValueError, "hidden must be at least 1, got 0"),
        (lambda: teacher(9, 2, 2, None), TypeError, "teacher: rng must be a .*got NoneType"),
        (
            lambda: teacher(9, 2, 2, rng(), dtype="i4"),
            TypeError,
            "teacher: dtype must be float32 or",
        ),
    ],
)
def test_wrong_arguments_are_refused(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
