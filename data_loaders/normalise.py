"""Named, invertible normalisations `(x - mean) / std` of images that come in [0, 1]."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from data_loaders.split import Split, checked_split

_BLOCK = 4096  # examples at a time, so that float64 sums need no float64 copy of the data


@dataclass(frozen=True, eq=False)  # eq=False: == of arrays has no single truth value
class Normalisation:
    """`apply` maps x to (x - mean) / std, `invert` maps back; both keep the dtype of x.

    Raises
    ------
    ValueError
        If a `std` is not positive, a number is not finite, or the shapes of the two differ.

    Examples
    --------
    >>> normalisation("mnist").apply(np.array([0.1307, 0.4388])).round(6).tolist()
    [0.0, 1.0]
    """

    name: str
    mean: float | np.ndarray  # a number; one for each feature, x.shape[1:]; or channel, (C, 1, 1)
    std: float | np.ndarray  # as `mean`, > 0

    def __post_init__(self) -> None:
        if not (np.all(np.isfinite(self.mean)) and np.all(np.isfinite(self.std))):
            raise ValueError(
                f"Normalisation: mean and std must be finite, got {self.mean} and {self.std}"
            )
        if np.shape(self.mean) != np.shape(self.std):
            raise ValueError(
                f"Normalisation: mean and std must have the same shape, got {np.shape(self.mean)} "
                f"and {np.shape(self.std)}"
            )
        if not np.all(np.asarray(self.std) > 0):
            raise ValueError(f"Normalisation: std must be greater than 0, got {np.min(self.std)}")

    def apply(self, x: np.ndarray) -> np.ndarray:
        """(x - mean) / std, a new array of the shape and dtype of `x`, which is (n, ...) floats."""
        mean, std = self._like(x)
        return (x - mean) / std

    def invert(self, x: np.ndarray) -> np.ndarray:
        """Back to what `apply` was given, up to rounding: x * std + mean."""
        mean, std = self._like(x)
        return x * std + mean

    def _like(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not isinstance(x, np.ndarray) or not np.issubdtype(x.dtype, np.floating):
            kind = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
            raise TypeError(f"Normalisation: x must be an array of floats, got {kind}")
        shape = np.shape(self.mean)
        if shape and not _fits(shape, x.shape[1:]):
            raise ValueError(
                f"Normalisation: x must be (n, ...) with features of shape {shape}, as in "
                f"{self.name!r}, got {x.shape}"
            )
        return np.asarray(self.mean, x.dtype), np.asarray(self.std, x.dtype)


def normalisation(name: str, train: Split | None = None) -> Normalisation:
    """The normalisation called `name`, fitted on `train` if it is one that is fitted.

    Parameters
    ----------
    name : str
        "unit" leaves [0, 1] as it is; "mnist" is mean 0.1307 and std 0.3081, the numbers usual for
        MNIST; "cifar10", "cifar100" and "tiny-imagenet" are the means and standard deviations of
        each channel over the training images of those sets; "standard" fits one mean and one std
        for all pixels; "per_channel" one of each for every channel of images (n, C, H, W);
        "per_pixel" one of each for every pixel. What never changes gets std 1 there
    train : Split of floats, the training part only; needed by those that are fitted

    Raises
    ------
    ValueError
        If the name is unknown, a fitted normalisation lacks `train`, `train` is constant, or has no
        channels for "per_channel".
    TypeError
        If `train` does not hold floats.
    """
    if name not in NORMALISATIONS:
        known = ", ".join(NORMALISATIONS)
        raise ValueError(f"normalisation: name must be one of {known}, got {name!r}")
    return NORMALISATIONS[name](train)


def _unit(_train: Split | None) -> Normalisation:
    return Normalisation("unit", 0.0, 1.0)


def _mnist(_train: Split | None) -> Normalisation:
    return Normalisation("mnist", 0.1307, 0.3081)


# The numbers of weiaicunzai/pytorch-cifar100 (conf/global_settings.py) for CIFAR-100, and those in
# common use for the others, to four digits: the deviations of all pixels of a channel. Others in
# use, such as (.2023, .1994, .2010), are means of the deviations within single images.
_CHANNELS = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": (
        (0.5070751592371323, 0.48654887331495095, 0.4409178433670343),
        (0.2673342858792401, 0.2564384629170883, 0.27615047132568404),
    ),
    "tiny-imagenet": ((0.4802, 0.4481, 0.3975), (0.2770, 0.2691, 0.2821)),
}


def _published(name: str) -> Callable[[Split | None], Normalisation]:
    mean, std = (np.array(numbers).reshape(-1, 1, 1) for numbers in _CHANNELS[name])
    return lambda _train: Normalisation(name, mean, std)


def _standard(train: Split | None) -> Normalisation:
    x = _training_images(train, "standard")
    if x.min() == x.max():
        raise ValueError(
            f"normalisation: 'standard' needs pixels that vary, got {x.flat[0]} everywhere"
        )
    means, variances = _moments(x)
    # The law of total variance: within the pixels plus between them.
    return Normalisation(
        "standard", float(means.mean()), float((variances.mean() + means.var()) ** 0.5)
    )


def _per_channel(train: Split | None) -> Normalisation:
    x = _training_images(train, "per_channel")
    if x.ndim != 4:
        raise ValueError(f"normalisation: 'per_channel' needs images (n, C, H, W), got {x.shape}")
    means, variances = _moments(x)
    mean = means.mean(axis=(1, 2), keepdims=True)
    # The law of total variance, within each channel.
    variance = (variances + (means - mean) ** 2).mean(axis=(1, 2), keepdims=True)
    constant = x.min(axis=(0, 2, 3)) == x.max(axis=(0, 2, 3))
    return Normalisation(
        "per_channel", mean, np.where(constant[:, None, None], 1.0, np.sqrt(variance))
    )


def _per_pixel(train: Split | None) -> Normalisation:
    x = _training_images(train, "per_pixel")
    means, variances = _moments(x)
    # Compared exactly: rounding leaves the variance of a constant pixel a little above 0.
    constant = x.min(axis=0) == x.max(axis=0)
    return Normalisation("per_pixel", means, np.where(constant, 1.0, np.sqrt(variances)))


NORMALISATIONS: dict[str, Callable[[Split | None], Normalisation]] = {
    "unit": _unit,
    "standard": _standard,
    "mnist": _mnist,
    "per_pixel": _per_pixel,
    "per_channel": _per_channel,
    **{name: _published(name) for name in _CHANNELS},
}


def _fits(shape: tuple[int, ...], features: tuple[int, ...]) -> bool:
    """Whether numbers of `shape` stand for features, or for whole channels of them."""
    pairs = zip(shape, features, strict=False)
    return len(shape) == len(features) and all(mine in (1, there) for mine, there in pairs)


def _training_images(train: Split | None, name: str) -> np.ndarray:
    if train is None:
        raise ValueError(
            f"normalisation: {name!r} is fitted and needs the training split, got None"
        )
    x = checked_split(train, "normalisation").x
    if not np.issubdtype(x.dtype, np.floating):
        raise TypeError(f"normalisation: x of the training split must be floats, got {x.dtype}")
    return x


def _moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of every feature over the examples, in float64."""
    blocks = [x[start : start + _BLOCK] for start in range(0, len(x), _BLOCK)]
    means = sum(block.sum(axis=0, dtype=np.float64) for block in blocks) / len(x)
    squares = sum(((block - means) ** 2).sum(axis=0) for block in blocks)
    return means, squares / len(x)
