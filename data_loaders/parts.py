"""Says what a folder lacks of the official data set: a warning, or an error where that is asked."""

import warnings
from collections.abc import Iterable

import numpy as np


def gap(what: str, held: int, full: int, reasons: Iterable[str] = ()) -> str | None:
    """What is missing of one part of a data set, in words; None if it is complete.

    Parameters
    ----------
    what : str, which images, such as "training"
    held, full : int, images that are there and images of the official set
    reasons : where they are missing, in words

    Examples
    --------
    >>> gap("test", 9_000, 10_000, ["test_batch.bin holds 9,000 of 10,000"])
    '1,000 of 10,000 test images are missing (test_batch.bin holds 9,000 of 10,000)'
    """
    if held >= full:
        return None
    where = "; ".join(reasons)
    return f"{full - held:,} of {full:,} {what} images are missing{f' ({where})' if where else ''}"


def unseen(labels: np.ndarray, n_classes: int) -> list[str]:
    """In words, how many of `n_classes` classes have no example in `labels`; empty if none."""
    count = n_classes - len(np.unique(labels))
    return [f"no image of {count} of the {n_classes} classes"] if count else []


def tell(who: str, gaps: Iterable[str | None], strict: bool, stacklevel: int) -> None:
    """Warn of what is missing, all in one warning, or refuse it.

    Parameters
    ----------
    who : str, the name the message starts with
    gaps : what `gap` returned
    strict : bool, refuse
    stacklevel : as of `warnings.warn`, 1 being the caller of this function

    Raises
    ------
    ValueError
        If something is missing and `strict`.
    """
    found = [missing for missing in gaps if missing is not None]
    if not found:
        return
    text = f"{who}: {'; '.join(found)}"
    if strict:
        raise ValueError(f"{text}; strict=True accepts the complete set only")
    warnings.warn(text, UserWarning, stacklevel=stacklevel + 1)
