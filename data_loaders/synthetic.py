"""Makes small data sets from a random generator, for tests and examples; nothing is read."""

import numpy as np
from numpy.typing import DTypeLike

from data_loaders.split import Split, checked_count, checked_dtype, checked_rng


def two_moons(
    n: int, rng: np.random.Generator, noise: float = 0.1, *, dtype: DTypeLike = np.float32
) -> Split:
    """Two interleaved half circles in the plane, one a class, scaled to [0, 1].

    The scale depends on `noise` alone, so splits from several calls fit together.

    Parameters
    ----------
    n : int >= 2, points; n // 2 of them are of class 0
    rng : draws the angles, the noise and the order
    noise : float >= 0, standard deviation added to each coordinate of half circles of radius 1;
        the rare points more than four of it outside are put on the border of [0, 1]
    dtype : float32 or float64

    Returns
    -------
    Split, x (n, 2) in [0, 1], y (n,) int64 in {0, 1}

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or value.
    """
    number = checked_dtype(dtype, "two_moons")
    if checked_count(n, "two_moons: n") < 2:
        raise ValueError(f"two_moons: n must be at least 2, one for each class, got {n}")
    checked_rng(rng, "two_moons")
    if not 0 <= noise < np.inf:
        raise ValueError(f"two_moons: noise must be finite and >= 0, got {noise}")
    y = rng.permutation((np.arange(n) >= n // 2).astype(np.int64))
    angle = rng.uniform(0, np.pi, n)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lower = np.array([1.0, 0.5]) - upper
    points = np.where(y[:, None] == 0, upper, lower) + noise * rng.standard_normal((n, 2))
    low, high = np.array([-1.0, -0.5]) - 4 * noise, np.array([2.0, 1.0]) + 4 * noise
    return Split(np.clip((points - low) / (high - low), 0, 1).astype(number), y)


def teacher(
    n: int,
    n_features: int,
    n_classes: int,
    rng: np.random.Generator,
    *,
    hidden: int = 32,
    dtype: DTypeLike = np.float32,
) -> Split:
    """Uniform points in the unit cube, labelled by a random two-layer ReLU network.

    Every call draws a new teacher: for a training and a test part of the same one, draw them
    together and divide them with `hold_out`. Classes are neither balanced nor all sure to occur.

    Parameters
    ----------
    n, n_features, n_classes, hidden : int >= 1; n_classes >= 2
    rng : draws the teacher's weights, then the points
    dtype : float32 or float64, of the points; the teacher computes in float64

    Returns
    -------
    Split, x (n, n_features) in [0, 1], y (n,) int64 in 0 ... n_classes - 1

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or value.
    """
    number = checked_dtype(dtype, "teacher")
    sizes = {"n": n, "n_features": n_features, "n_classes": n_classes, "hidden": hidden}
    for name, size in sizes.items():
        checked_count(size, f"teacher: {name}")
    if n_classes < 2:
        raise ValueError(f"teacher: n_classes must be at least 2, got {n_classes}")
    checked_rng(rng, "teacher")
    first = rng.standard_normal((n_features, hidden)) / np.sqrt(n_features)
    second = rng.standard_normal((hidden, n_classes)) / np.sqrt(hidden)
    x = rng.random((n, n_features)).astype(number)
    # Labels belong to the points as they are returned, after rounding to `dtype`, and centred:
    # without that most points would be of one class.
    scores = np.maximum((x.astype(np.float64) - 0.5) @ first, 0) @ second
    return Split(x, np.argmax(scores, axis=1).astype(np.int64))
