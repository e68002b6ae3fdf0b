"""Augmentations against loops over pixels, by hand, and what the generator decides."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_loaders import AUGMENTATIONS, augmentation, compose, crop, flip, rotate

STEPS = {
    "flip": flip,
    "crop": crop,
    "reflect": partial(crop, padding=2, mode="reflect"),
    "rotate": partial(rotate, degrees=40.0),
}
shapes = st.one_of(
    st.tuples(st.integers(1, 6), st.integers(1, 3), st.integers(1, 7), st.integers(1, 7)),
    st.tuples(st.integers(1, 6), st.integers(1, 7), st.integers(1, 7)),
)
seeds = st.integers(200, 299)


def images(shape, seed=97, dtype=np.float64):
    return np.random.default_rng(seed).random(shape).astype(dtype)


# ---------------------------------------------------------------- the naive twins


def slow_flip(x, rng, probability):
    draws, out = rng.random(len(x)), x.copy()
    width = x.shape[-1]
    for i in range(len(x)):
        for column in range(width):
            if draws[i] < probability:
                out[i, ..., column] = x[i, ..., width - 1 - column]
    return out


def mirrored(k, size):
    """The pixel that pixel k is the mirror image of; the outermost ones are not repeated."""
    if k < 0:
        return -k
    return 2 * (size - 1) - k if k >= size else k


def slow_crop(x, rng, padding, mode, fill):
    places = rng.integers(0, 2 * padding + 1, (len(x), 2))
    height, width = x.shape[-2:]
    out = np.empty_like(x)
    for i in range(len(x)):
        for r in range(height):
            for c in range(width):
                row, column = r + places[i, 0] - padding, c + places[i, 1] - padding
                if mode == "reflect":
                    row, column = mirrored(row, height), mirrored(column, width)
                inside = 0 <= row < height and 0 <= column < width
                out[i, ..., r, c] = x[i, ..., row, column] if inside else fill
    return out


def slow_rotate(x, rng, degrees, fill):
    angles = rng.uniform(-degrees, degrees, len(x))
    height, width = x.shape[-2:]
    middle = (height - 1) / 2, (width - 1) / 2
    out = np.full_like(x, fill)
    for i, angle in enumerate(angles):
        cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        for r in range(height):
            for c in range(width):
                # The axis of rows points downwards: up is minus.
                right, up = c - middle[1], middle[0] - r
                column = np.floor(middle[1] + cos * right + sin * up + 0.5)
                row = np.floor(middle[0] - (-sin * right + cos * up) + 0.5)
                if 0 <= row < height and 0 <= column < width:
                    out[i, ..., r, c] = x[i, ..., int(row), int(column)]
    return out


@given(shape=shapes, seed=seeds, probability=st.floats(0, 1))
def test_flip_is_its_naive_twin(shape, seed, probability):
    x = images(shape)

    got = flip(x, np.random.default_rng(seed), probability)

    expected = slow_flip(x, np.random.default_rng(seed), probability)
    np.testing.assert_array_equal(got, expected)


@given(shape=shapes, seed=seeds, padding=st.integers(0, 5), fill=st.floats(-3, 3))
def test_crop_is_its_naive_twin(shape, seed, padding, fill):
    x = images(shape)

    got = crop(x, np.random.default_rng(seed), padding, fill=fill)

    expected = slow_crop(x, np.random.default_rng(seed), padding, "constant", fill)
    np.testing.assert_array_equal(got, expected)


@given(shape=shapes, seed=seeds, data=st.data())
def test_reflecting_crop_is_its_naive_twin(shape, seed, data):
    x = images(shape)
    padding = data.draw(st.integers(0, min(shape[-2:]) - 1))

    got = crop(x, np.random.default_rng(seed), padding, "reflect")

    expected = slow_crop(x, np.random.default_rng(seed), padding, "reflect", None)
    np.testing.assert_array_equal(got, expected)


@given(shape=shapes, seed=seeds, degrees=st.floats(0, 360), fill=st.floats(-3, 3))
def test_rotate_is_its_naive_twin(shape, seed, degrees, fill):
    # Random angles: no pixel lies so exactly between two that rounding decides, but for no turn at
    # all, where both are exact.
    x = images(shape)

    got = rotate(x, np.random.default_rng(seed), degrees, fill)

    np.testing.assert_array_equal(got, slow_rotate(x, np.random.default_rng(seed), degrees, fill))


# ---------------------------------------------------------------- by hand


class Fixed(np.random.Generator):
    """A generator that draws the numbers it was given."""

    def __new__(cls, draws):
        return super().__new__(cls, np.random.PCG64(3))

    def __init__(self, draws):
        super().__init__(np.random.PCG64(3))
        self.draws = np.asarray(draws)

    def integers(self, *arguments):
        return self.draws

    def uniform(self, *arguments):
        return self.draws

    def random(self, n):
        return self.draws


GRID = np.array([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]])


def test_a_flip_exchanges_left_and_right():
    x = np.concatenate([GRID, GRID])

    got = flip(x, Fixed([0.5, 0.4999]))

    assert got.tolist() == [GRID[0].tolist(), [[3, 2, 1], [6, 5, 4], [9, 8, 7]]]


def test_a_crop_by_hand():
    # Padded by one and cut out one down and none to the right: a column comes in from the left.
    got = crop(GRID, Fixed([[1, 0]]), 1)
    mirrored_in = crop(GRID, Fixed([[1, 0]]), 1, "reflect")

    assert got.tolist() == [[[0, 1, 2], [0, 4, 5], [0, 7, 8]]]
    assert mirrored_in.tolist() == [[[2, 1, 2], [5, 4, 5], [8, 7, 8]]]


def test_a_positive_angle_turns_counterclockwise():
    got = rotate(GRID, Fixed([90.0]), 90)

    assert got.tolist() == [[[3, 6, 9], [2, 5, 8], [1, 4, 7]]]


def test_what_comes_in_while_turning_is_filled():
    got = rotate(np.ones((1, 2, 9, 9)), Fixed([45.0]), 45, np.array([-1.0, -2.0]).reshape(2, 1, 1))

    np.testing.assert_array_equal(got[0, :, 0, 0], [-1, -2])
    np.testing.assert_array_equal(got[0, :, 4], np.ones((2, 9)))
    # Four corners are cut off, each a triangle of about (9 - 9 / sqrt 2)² / 2... all the same.
    corners = got[0, 0] < 0
    np.testing.assert_array_equal(corners, corners[::-1])
    np.testing.assert_array_equal(corners, corners.T)


def test_a_fill_of_each_channel_is_black_after_a_normalisation():
    black = np.array([-2.0, -1.0, -3.0]).reshape(3, 1, 1)

    got = crop(np.ones((2, 3, 4, 4)), Fixed([[0, 0], [2, 2]]), 1, fill=black)

    np.testing.assert_array_equal(got[0, :, 0, 0], black.ravel())
    np.testing.assert_array_equal(got[1, :, 3, 3], black.ravel())


# ---------------------------------------------------------------- all of them


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shape_and_dtype_stay_and_the_data_are_not_changed(step, dtype):
    x = images((5, 3, 8, 9), dtype=dtype)
    x.flags.writeable = False

    got = step(x, np.random.default_rng(101))

    assert (got.shape, got.dtype) == (x.shape, dtype)
    assert not np.shares_memory(got, x)


@pytest.mark.parametrize("step", [*STEPS.values(), *map(augmentation, AUGMENTATIONS)])
def test_the_generator_decides_everything(step):
    x = images((20, 3, 8, 8))
    first, same, other = (step(x, np.random.default_rng(seed)) for seed in (103, 103, 104))

    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_every_image_draws_for_itself(step):
    x = np.repeat(images((1, 3, 8, 8)), 40, axis=0)

    got = step(x, np.random.default_rng(107))

    assert len({image.tobytes() for image in got}) > 1


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_grey_images_are_images_of_one_channel(step):
    x = images((6, 1, 8, 8))

    got = step(x[:, 0], np.random.default_rng(109))

    np.testing.assert_array_equal(got, step(x, np.random.default_rng(109))[:, 0])


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_an_empty_batch_stays_empty(step):
    assert step(np.ones((0, 3, 8, 8)), np.random.default_rng(113)).shape == (0, 3, 8, 8)


def test_half_of_the_images_are_flipped_and_crops_are_spread_evenly():
    x = np.zeros((9000, 3, 3))
    x[:, 1, 1] = 1  # a point in the middle, which a crop moves by its draw
    tilted = np.broadcast_to(np.array([[0.0, 1.0]]), (9000, 1, 2))

    flipped = flip(tilted, np.random.default_rng(127))[:, 0, 0].mean()
    places = crop(x, np.random.default_rng(127), 1).mean(axis=0)

    # Five standard deviations of a share of 9,000 draws.
    assert flipped == pytest.approx(0.5, abs=5 * (0.25 / 9000) ** 0.5)
    np.testing.assert_allclose(places, 1 / 9, atol=5 * (1 / 9 * 8 / 9 / 9000) ** 0.5)


# ---------------------------------------------------------------- rows of them


def test_a_composition_applies_its_steps_in_order():
    x = images((7, 3, 8, 8))
    rng = np.random.default_rng(131)
    expected = rotate(flip(crop(x, rng, 2), rng), rng, 10)

    got = compose(partial(crop, padding=2), flip, partial(rotate, degrees=10))(
        x, np.random.default_rng(131)
    )

    np.testing.assert_array_equal(got, expected)


def test_flat_images_are_augmented_as_images():
    x = images((7, 3, 8, 8))
    expected = compose(crop, flip)(x, np.random.default_rng(137))

    got = compose(crop, flip, image=(3, 8, 8))(x.reshape(7, -1), np.random.default_rng(137))

    np.testing.assert_array_equal(got, expected.reshape(7, -1))


BY_HAND = {
    "masks_2020": lambda x, rng, fill: flip(crop(x, rng, 4, fill=fill), rng),
    "parger_2022": lambda x, rng, fill: rotate(
        flip(crop(x, rng, 4, fill=fill), rng), rng, 15, fill
    ),
    "liu_2020": lambda x, rng, fill: crop(rotate(flip(x, rng), rng, 10, fill), rng, 4, "reflect"),
}


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_papers_augmentations(name):
    x = images((5, 1, 8, 8), dtype=np.float32)
    expected = BY_HAND[name](x, np.random.default_rng(139), -0.5)

    got = augmentation(name, fill=-0.5)(x, np.random.default_rng(139))

    np.testing.assert_array_equal(got, expected)


def test_an_unknown_name_is_refused_with_the_list():
    with pytest.raises(ValueError, match="one of masks_2020, parger_2022, liu_2020, got 'cutout'"):
        augmentation("cutout")


@pytest.mark.parametrize("step", [flip, crop, rotate])
@pytest.mark.parametrize(
    ("x", "rng", "kind", "message"),
    [
        (np.ones((2, 3, 3), np.uint8), None, TypeError, "x must be an array of floats, got uint8"),
        ([[1.0]], None, TypeError, "x must be an array of floats, got list"),
        (
            np.ones((2, 9)),
            None,
            ValueError,
            r"x must be \(n, C, H, W\) or \(n, H, W\), got \(2, 9\)",
        ),
        (GRID, 7, TypeError, r"rng must be a numpy\.random\.Generator, such as .* got int"),
    ],
)
def test_wrong_images_and_generators_are_refused(step, x, rng, kind, message):
    rng = np.random.default_rng(149) if rng is None else rng

    with pytest.raises(kind, match=f"{step.__name__}: {message}"):
        step(x, rng)


@pytest.mark.parametrize(
    ("step", "options", "kind", "message"),
    [
        (
            flip,
            {"probability": 1.5},
            ValueError,
            r"flip: probability must be in \[0, 1\], got 1\.5",
        ),
        (crop, {"padding": -1}, ValueError, "crop: padding must be at least 0, .*, got -1"),
        (crop, {"padding": 1.0}, TypeError, r"crop: padding must be an integer, got 1\.0"),
        (crop, {"padding": True}, TypeError, "crop: padding must be an integer, got True"),
        (crop, {"mode": "edge"}, ValueError, "crop: mode must be one of constant, reflect, got 'e"),
        (
            crop,
            {"padding": 3, "mode": "reflect"},
            ValueError,
            "with 'reflect' less than the sides 3 and 3, got 3",
        ),
        (
            crop,
            {"fill": [1.0, 2.0]},
            ValueError,
            r"fill must be a number or of shape .* got \(2,\)",
        ),
        (rotate, {"fill": np.ones((2, 1, 1))}, ValueError, r"rotate: fill must be .*\(2, 1, 1\)"),
        (rotate, {"degrees": -1}, ValueError, "rotate: degrees must be finite and >= 0, got -1"),
        (rotate, {"degrees": np.inf}, ValueError, "rotate: degrees must be finite and >= 0, got i"),
    ],
)
def test_wrong_options_are_refused(step, options, kind, message):
    with pytest.raises(kind, match=message):
        step(GRID, np.random.default_rng(149), **options)
