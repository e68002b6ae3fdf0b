"""What a recipe is: a paper's figure as a function from a context to a report.

A recipe file exposes ``FIGURES``, figures by name. A figure's function plans its trainings, hands
them to the context, and returns tables, pictures and claims made of what was measured.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import matplotlib.figure
import numpy as np

from sparse_ref.experiments.config import ConfigError
from sparse_ref.experiments.runner import Data
from sparse_ref.experiments.sweep import Job, Outcome
from sparse_ref.train import Augment

SCALES = ("smoke", "laptop", "paper")  # seconds; under half an hour on two cores; as published

Part = tuple[np.ndarray, np.ndarray]  # (x, y): examples (n, ...) and labels (n,)


Augmentation = Callable[..., Augment]  # (name, image, fill) -> what changes a batch


def no_augmentation(name: str, image: Any = None, fill: Any = 0.0) -> Augment:
    """Stands where nobody has given the loaders' augmentations."""
    raise ConfigError(f"recipe: augmentation {name!r} needs the data loaders")


class Claim(NamedTuple):
    """What a paper says, beside what this run says about it."""

    paper: str  # the claim, in words
    measured: str  # in words made of measured numbers only
    agrees: bool | None  # None: this run cannot decide
    why: str = ""  # why it cannot


class Table(NamedTuple):
    """Numbers for a reader: one line a row."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Report:
    """What reproducing a figure came to.

    Attributes
    ----------
    tables : sequence of Table
    claims : sequence of Claim
    pictures : file name -> matplotlib figure
    notes : sequence of str
        What was reduced, what departs from the paper, what a reader must know.
    numbers : dict
        Everything measured, for JSON: plain numbers, strings, lists, dicts.
    """

    tables: Sequence[Table] = ()
    claims: Sequence[Claim] = ()
    pictures: Mapping[str, matplotlib.figure.Figure] = field(default_factory=dict)
    notes: Sequence[str] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)


def joined(reports: Sequence[Report]) -> Report:
    """One report of all that several hold, one after the other."""
    return Report(
        tables=[table for report in reports for table in report.tables],
        claims=[claim for report in reports for claim in report.claims],
        pictures={name: p for report in reports for name, p in report.pictures.items()},
        notes=[note for report in reports for note in report.notes],
        numbers={name: n for report in reports for name, n in report.numbers.items()},
    )


class Images(NamedTuple):
    """A data set as it was found."""

    train: Part
    test: Part
    name: str  # of the set it really is: the shipped sample may stand in


@dataclass(frozen=True)
class Context:
    """What a recipe may use.

    Attributes
    ----------
    scale : str
        One of `SCALES`.
    images : callable
        Name of a data set -> `Images`. At scale smoke, and where the set is absent, the shipped
        sample stands in and the report says so.
    train : callable
        ``(jobs, data) -> outcomes`` in the order of the jobs, trained in worker processes;
        each is written to ``results.csv`` as it ends.
    seeds : int, optional
        How many the user asked for.
    say : callable
        Told what is under way.
    workers : int
        Processes that may be used; 0: only this one.
    augmentation : callable
        ``(name, image, fill) -> augment`` as of `data_loaders.augmentation`, for `Data.augment`.
    """

    scale: str
    images: Callable[[str], Images]
    train: Callable[[Sequence[Job], Mapping[str, Data]], list[Outcome]]
    seeds: int | None = None
    say: Callable[[str], None] = lambda text: None
    workers: int = 0
    augmentation: Augmentation = no_augmentation

    def seed_numbers(self, usual: int, first: int = 1) -> range:
        """The seeds of a cell: as many as the user asked for, else `usual`."""
        return range(first, first + (self.seeds or usual))


@dataclass(frozen=True)
class Figure:
    """A figure or table of a paper that can be reproduced.

    Attributes
    ----------
    title : str
        What it shows.
    source : str
        Paper and figure.
    run : callable
        Context -> Report.
    """

    title: str
    source: str
    run: Callable[[Context], Report]


def check_scale(scale: str) -> str:
    """Return `scale`, or refuse it."""
    if scale not in SCALES:
        raise ConfigError(f"reproduce: scale must be one of {list(SCALES)}, got {scale!r}")
    return scale


def drawn(part: Part, n: int, rng: np.random.Generator) -> Part:
    """`n` examples of `part` at random, all of them where it has no more, in the order drawn."""
    x, y = part
    chosen = rng.permutation(len(y))[:n]
    return x[chosen], y[chosen]


def parted(part: Part, fraction: float, rng: np.random.Generator) -> tuple[Part, Part]:
    """`part` in two at random: what is left, and `fraction` of it (rounded) to hold out."""
    if not 0 < fraction < 1:
        raise ValueError(f"parted: fraction must be in (0, 1), got {fraction}")
    x, y = part
    order, n = rng.permutation(len(y)), round(fraction * len(y))
    kept, held_out = order[n:], order[:n]
    return (x[kept], y[kept]), (x[held_out], y[held_out])
