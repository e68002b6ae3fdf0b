"""Normalisations: their numbers, their inverses, and pixels that never change."""

import numpy as np
import pytest

from data_loaders import NORMALISATIONS, Normalisation, Split, normalisation


def training(dtype=np.float64, n=9000):
    """Random images of 3 x 2 pixels whose pixel (2, 1) is always 0.1; more than one block."""
    x = np.random.default_rng(61).random((n, 3, 2)).astype(dtype) ** 2
    x[:, 2, 1] = 0.1
    return Split(x, np.zeros(n, np.int64))


def images(dtype=np.float64, n=5000):
    """Random images of 3 channels of 2 x 2 pixels, each of its own brightness; blue is black."""
    brightness = np.array([0.9, 0.4, 0.0]).reshape(3, 1, 1)
    x = np.random.default_rng(67).random((n, 3, 2, 2)) * brightness
    return Split(x.astype(dtype), np.zeros(n, np.int64))


OF_CHANNELS = ("per_channel", "cifar10", "cifar100", "tiny-imagenet")


@pytest.mark.parametrize("name", NORMALISATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inverting_gives_back_what_was_there_and_keeps_the_dtype(name, dtype):
    train = (images if name in OF_CHANNELS else training)(dtype)
    normal = normalisation(name, train)

    there = normal.apply(train.x)
    back = normal.invert(there)

    assert there.dtype == back.dtype == dtype
    # Two roundings each way, of numbers of about 1 and of at most 10 after normalisation.
    np.testing.assert_allclose(back, train.x, atol=20 * np.finfo(dtype).eps)


def test_standard_gives_mean_0_and_std_1_over_all_pixels():
    train = training()

    got = normalisation("standard", train)

    # The sums are taken in another order than NumPy's: a few units in the last place.
    assert got.mean == pytest.approx(train.x.mean(), rel=1e-13)
    assert got.std == pytest.approx(train.x.std(), rel=1e-13)


def test_per_pixel_gives_each_pixel_mean_0_and_std_1():
    train = training()

    got = normalisation("per_pixel", train)

    np.testing.assert_allclose(got.mean, train.x.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(np.delete(got.std, 5), np.delete(train.x.std(axis=0), 5), rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_pixel_that_never_changes_gets_std_1(dtype):
    got = normalisation("per_pixel", training(dtype))

    assert got.std[2, 1] == 1.0
    assert got.mean[2, 1] == pytest.approx(0.1)


def test_unit_is_the_identity():
    x = training().x

    np.testing.assert_array_equal(normalisation("unit").apply(x), x)


def test_mnist_has_its_usual_numbers():
    got = normalisation("mnist")

    assert (got.name, got.mean, got.std) == ("mnist", 0.1307, 0.3081)


def test_per_channel_gives_each_channel_mean_0_and_std_1():
    train = images()

    got = normalisation("per_channel", train)

    mean, std = train.x.mean(axis=(0, 2, 3)), train.x.std(axis=(0, 2, 3))
    assert got.mean.shape == got.std.shape == (3, 1, 1)
    np.testing.assert_allclose(got.mean.ravel(), mean, rtol=1e-13)
    np.testing.assert_allclose(got.std.ravel()[:2], std[:2], rtol=1e-13)
    assert got.std.ravel()[2] == 1.0  # a channel that never changes


def test_per_channel_needs_channels():
    with pytest.raises(ValueError, match=r"'per_channel' needs images \(n, C, H, W\), got \(9000"):
        normalisation("per_channel", training())


def test_published_numbers_are_of_channels():
    x = np.broadcast_to(np.array([0.4914, 0.4822, 0.4465]).reshape(3, 1, 1), (5, 3, 4, 4))

    np.testing.assert_array_equal(normalisation("cifar10").apply(x), np.zeros(x.shape))


def test_numbers_of_channels_fit_no_other_number_of_channels():
    with pytest.raises(
        ValueError, match=r"of shape \(3, 1, 1\), as in 'cifar10', got \(5, 1, 4, 4\)"
    ):
        normalisation("cifar10").apply(np.ones((5, 1, 4, 4)))


def test_the_data_are_not_changed_in_place():
    train = training()
    before = train.x.copy()

    normal = normalisation("standard", train)
    normal.invert(normal.apply(train.x))

    np.testing.assert_array_equal(train.x, before)


def test_an_unknown_name_is_refused_with_the_list():
    with pytest.raises(ValueError, match=r"one of unit, standard, .*, cifar100, .*, got 'zscore'"):
        normalisation("zscore")


@pytest.mark.parametrize("name", ["standard", "per_pixel", "per_channel"])
def test_a_fitted_one_needs_a_training_split(name):
    with pytest.raises(ValueError, match=f"'{name}' is fitted and needs the training split"):
        normalisation(name)


def test_constant_images_cannot_be_standardised():
    with pytest.raises(ValueError, match=r"'standard' needs pixels that vary, got 0\.5 everywhere"):
        normalisation("standard", Split(np.full((4, 2), 0.5), np.zeros(4)))


def test_fitting_needs_floats():
    with pytest.raises(TypeError, match="x of the training split must be floats, got uint8"):
        normalisation("standard", Split(np.ones((4, 2), np.uint8), np.zeros(4)))


@pytest.mark.parametrize(
    ("x", "message"),
    [(np.ones((4, 2), np.uint8), "floats, got uint8"), ([0.5, 0.25], "floats, got list")],
)
def test_only_floats_are_normalised(x, message):
    with pytest.raises(TypeError, match=message):
        normalisation("unit").apply(x)


def test_images_must_have_the_fitted_shape():
    with pytest.raises(ValueError, match=r"shape \(3, 2\), as in 'per_pixel', got \(5, 6\)"):
        normalisation("per_pixel", training()).apply(np.ones((5, 6)))


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        (0.5, 0.0, r"std must be greater than 0, got 0\.0"),
        (np.zeros(2), np.array([1.0, -2.0]), r"std must be greater than 0, got -2\.0"),
        (float("nan"), 1.0, "mean and std must be finite, got nan and 1"),
        (0.5, np.ones(3), r"same shape, got \(\) and \(3,\)"),
    ],
)
def test_numbers_that_cannot_be_inverted_are_refused(mean, std, message):
    with pytest.raises(ValueError, match=message):
        Normalisation("mine", mean, std)
