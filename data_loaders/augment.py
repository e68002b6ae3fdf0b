"""Changes training images at random: flips, shifts, rotations, and the papers' rows of them.

Each is a function `(x, rng, ...) -> x` of a batch, images in [0, 1] or normalised, (n, C, H, W) or
(n, H, W). It returns a new array of the same shape and dtype, draws for each example by itself, and
everything from `rng`. What comes in from outside an image is black, 0; after a normalisation black
is another number, `fill`.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from data_loaders.split import checked_rng

Augmentation = Callable[[np.ndarray, np.random.Generator], np.ndarray]
MODES = ("constant", "reflect")


def flip(x: np.ndarray, rng: np.random.Generator, probability: float = 0.5) -> np.ndarray:
    """Each image, or with `probability` its mirror image, left and right exchanged.

    Parameters
    ----------
    x : (n, C, H, W) or (n, H, W) floats
    rng : draws one number an image
    probability : float in [0, 1]

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or value.
    """
    _check(x, rng, "flip")
    if not 0 <= probability <= 1:
        raise ValueError(f"flip: probability must be in [0, 1], got {probability}")
    out = x.copy()
    chosen = rng.random(len(x)) < probability
    out[chosen] = x[chosen][..., ::-1]
    return out


def crop(
    x: np.ndarray,
    rng: np.random.Generator,
    padding: int = 4,
    mode: str = "constant",
    fill: ArrayLike = 0.0,
) -> np.ndarray:
    """Pad each image on all sides and cut the old size out again, at a random place.

    All (2 padding + 1)² places are equally likely.

    Parameters
    ----------
    x : (n, C, H, W) or (n, H, W) floats
    rng : draws two numbers an image, down and right
    padding : int >= 0, pixels; with "reflect" less than H and W
    mode : "constant" pads with `fill`, "reflect" mirrors at the outermost pixels, without repeating
        them
    fill : a number, or one for each channel, (C, 1, 1)

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or value.
    """
    _check(x, rng, "crop")
    _check_padding(x, padding, mode)
    height, width = x.shape[-2:]
    places = rng.integers(0, 2 * padding + 1, (len(x), 2))
    padded = _padded(x, padding, mode, _filling(x, fill, "crop"))
    out = np.empty_like(x)
    # A loop over images, each one copy of a block: faster than one gather of single pixels.
    for image, (top, left), target in zip(padded, places.tolist(), out, strict=True):
        target[...] = image[..., top : top + height, left : left + width]
    return out


def rotate(
    x: np.ndarray, rng: np.random.Generator, degrees: float = 15.0, fill: ArrayLike = 0.0
) -> np.ndarray:
    """Turn each image about its centre, by an angle drawn uniformly from [-degrees, degrees].

    A pixel gets the value of the nearest pixel of the image, which is what torchvision's
    `RandomRotation` does where nothing else is asked for; positive angles are counterclockwise.

    Parameters
    ----------
    x : (n, C, H, W) or (n, H, W) floats
    rng : draws one number an image
    degrees : float >= 0
    fill : a number, or one for each channel, (C, 1, 1); for what comes in from outside

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or value.
    """
    _check(x, rng, "rotate")
    if not 0 <= degrees < np.inf:
        raise ValueError(f"rotate: degrees must be finite and >= 0, got {degrees}")
    angles = np.deg2rad(rng.uniform(-degrees, degrees, len(x)))
    source, outside = _sources(angles, *x.shape[-2:])
    n_channels = x.shape[1] if x.ndim == 4 else 1
    channels = x.reshape(len(x), n_channels, source.shape[1])
    turned = np.take_along_axis(channels, source[:, None], axis=2).reshape(x.shape)
    outside = outside.reshape(len(x), *(1,) * (x.ndim - 3), *x.shape[-2:])
    return np.where(outside, _filling(x, fill, "rotate"), turned)


def compose(*steps: Augmentation, image: tuple[int, ...] | None = None) -> Augmentation:
    """One augmentation that applies `steps` one after the other.

    Parameters
    ----------
    steps : functions `(x, rng) -> x`, such as `flip` or `functools.partial(crop, padding=2)`
    image : (C, H, W) or (H, W), the shape of one image where they come and go flat, (n, C H W)

    Returns
    -------
    A function `(x, rng) -> x`

    Examples
    --------
    >>> augment = compose(flip, partial(rotate, degrees=10), image=(3, 32, 32))
    >>> augment(np.zeros((5, 3072)), np.random.default_rng(7)).shape
    (5, 3072)
    """
    return _Composed(steps, image)


class _Composed:
    """Several steps as one; a class, and not a closure, so that it can be sent to a process."""

    def __init__(self, steps: tuple[Augmentation, ...], image: tuple[int, ...] | None) -> None:
        self.steps, self.image = steps, image

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        result = x if self.image is None else x.reshape(len(x), *self.image)
        for step in self.steps:
            result = step(result, rng)
        return result.reshape(x.shape)


def augmentation(
    name: str, image: tuple[int, ...] | None = None, fill: ArrayLike = 0.0
) -> Augmentation:
    """The augmentation called `name`.

    Parameters
    ----------
    name : str
        "masks_2020" is crop(4), flip: what the code of Masks2020 does to MNIST and its paper does
        not say. "parger_2022" is crop(4), flip, rotate(15): weiaicunzai/pytorch-cifar100, whose
        training recipe Parger2022 uses. "liu_2020" is flip, rotate(10), crop(4, "reflect"): the
        paper's section 4.1 names these three without numbers. The 10 degrees are those of the Keras
        code of SET for CIFAR-10, by the same group, which shifts by up to 3.2 pixels; the 4 is ours
    image : (C, H, W) or (H, W), the shape of one image where they come flat
    fill : black, as of `crop`; for normalised images `normal.apply(np.zeros((1, C, 1, 1)))[0]`

    Returns
    -------
    A function `(x, rng) -> x`

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if name not in AUGMENTATIONS:
        known = ", ".join(AUGMENTATIONS)
        raise ValueError(f"augmentation: name must be one of {known}, got {name!r}")
    return compose(*AUGMENTATIONS[name](fill), image=image)


def _masks_2020(fill: ArrayLike) -> tuple[Augmentation, ...]:
    return partial(crop, padding=4, fill=fill), flip


def _parger_2022(fill: ArrayLike) -> tuple[Augmentation, ...]:
    return partial(crop, padding=4, fill=fill), flip, partial(rotate, degrees=15, fill=fill)


def _liu_2020(fill: ArrayLike) -> tuple[Augmentation, ...]:
    return flip, partial(rotate, degrees=10, fill=fill), partial(crop, padding=4, mode="reflect")


AUGMENTATIONS: dict[str, Callable[[ArrayLike], tuple[Augmentation, ...]]] = {
    "masks_2020": _masks_2020,
    "parger_2022": _parger_2022,
    "liu_2020": _liu_2020,
}


def _check(x: np.ndarray, rng: np.random.Generator, who: str) -> None:
    if not isinstance(x, np.ndarray) or not np.issubdtype(x.dtype, np.floating):
        kind = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
        raise TypeError(f"{who}: x must be an array of floats, got {kind}")
    if x.ndim not in (3, 4):
        raise ValueError(f"{who}: x must be (n, C, H, W) or (n, H, W), got {x.shape}")
    checked_rng(rng, who)


def _check_padding(x: np.ndarray, padding: int, mode: str) -> None:
    if mode not in MODES:
        raise ValueError(f"crop: mode must be one of {', '.join(MODES)}, got {mode!r}")
    if isinstance(padding, bool) or not isinstance(padding, int | np.integer):
        raise TypeError(f"crop: padding must be an integer, got {padding!r}")
    if padding < 0 or (mode == "reflect" and padding >= min(x.shape[-2:])):
        raise ValueError(
            f"crop: padding must be at least 0, and with 'reflect' less than the sides "
            f"{x.shape[-2]} and {x.shape[-1]}, got {padding}"
        )


def _filling(x: np.ndarray, fill: ArrayLike, who: str) -> np.ndarray:
    """`fill` in the dtype of `x`: a number, or (C, 1, 1)."""
    filling = np.asarray(fill, x.dtype)
    if filling.ndim and (x.ndim != 4 or filling.shape != (x.shape[1], 1, 1)):
        raise ValueError(
            f"{who}: fill must be a number or of shape (C, 1, 1), got {filling.shape} for images "
            f"{x.shape[1:]}"
        )
    return filling


def _padded(x: np.ndarray, padding: int, mode: str, filling: np.ndarray) -> np.ndarray:
    if mode == "reflect":
        sides = [(0, 0)] * (x.ndim - 2) + [(padding, padding)] * 2
        return np.pad(x, sides, mode="reflect")
    height, width = x.shape[-2:]
    out = np.empty((*x.shape[:-2], height + 2 * padding, width + 2 * padding), x.dtype)
    out[...] = filling
    out[..., padding : padding + height, padding : padding + width] = x
    return out


def _sources(angles: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """For each pixel of a turned image where it comes from, and whether that is outside.

    Returns
    -------
    source : (n, H W) int, a pixel of the image; any where it is outside
    outside : (n, H W) bool
    """
    down, right = np.indices((height, width)).reshape(2, -1) - np.array(
        [[(height - 1) / 2], [(width - 1) / 2]]
    )
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    # Backwards, and rows count downwards: a point of the result was turned counterclockwise.
    column = np.floor(cos * right - sin * down + width / 2).astype(np.intp)
    row = np.floor(sin * right + cos * down + height / 2).astype(np.intp)
    outside = (row < 0) | (row >= height) | (column < 0) | (column >= width)
    return np.where(outside, 0, row * width + column), outside
