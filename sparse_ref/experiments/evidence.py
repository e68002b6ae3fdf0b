"""Claims judged by samples: what several trainings of two networks say about their order.

A difference of means counts as decided where it is more than two of its standard errors, taken from
the spread over trainings. The spread is that of seeds only: all trainings are tested on the same
examples, and another test set would move them together.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from sparse_ref.experiments.recipe import Claim

DECISIVE = 2.0  # standard errors
ERRORS = ("apart", "paired")


class Unit(NamedTuple):
    """How values are written."""

    factor: float
    digits: int
    word: str  # after a difference

    def written(self, value: float, sign: str = "") -> str:
        """`value` without the word."""
        return f"{self.factor * value:{sign}.{self.digits}f}"


PERCENT = Unit(100.0, 2, " points")
PLAIN = Unit(1.0, 3, "")


class Sample(NamedTuple):
    """Accuracies, as fractions, or other measures of trainings that differ in their seed."""

    name: str
    values: tuple[float, ...]
    unit: Unit = PERCENT

    @property
    def mean(self) -> float:
        """Nan for an empty sample."""
        return float(np.mean(self.values)) if self.values else math.nan

    @property
    def std(self) -> float:
        """With n - 1; nan below two values."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else math.nan

    @property
    def error(self) -> float:
        """Standard error of the mean; nan below two values."""
        return self.std / math.sqrt(max(1, len(self.values)))

    @property
    def spread(self) -> str:
        """``mean ± standard deviation``; a dash where nothing was measured."""
        if not self.values:
            return "–"
        deviation = "" if math.isnan(self.std) else f" ± {self.unit.written(self.std)}"
        return f"{self.unit.written(self.mean)}{deviation}"

    def __str__(self) -> str:
        return f"{self.name} {self.spread}"


class Difference(NamedTuple):
    """Of two means, with its standard error (nan if one sample is a single run)."""

    mean: float
    error: float
    unit: Unit = PERCENT

    @property
    def decided(self) -> bool:
        """Whether it is told apart from zero, and not so small that it would be printed as zero."""
        shown = round(self.unit.factor * self.mean, self.unit.digits)
        return abs(self.mean) > DECISIVE * self.error and shown != 0

    def __str__(self) -> str:
        written = self.unit.written
        return f"{written(self.mean, '+')} ± {written(self.error)}{self.unit.word}"


def percent(values: Sequence[float]) -> str:
    """``mean ± standard deviation`` in percent; a dash where nothing was measured."""
    return Sample("", tuple(values)).spread


def difference(a: Sample, b: Sample, error: str = "apart") -> Difference:
    """Of the means, a less b.

    Parameters
    ----------
    a, b : Sample
    error : str
        ``apart``: from the spread of either (Welch's). ``paired``: from the spread of differences
        between trainings that share a seed, and so a starting network and batches; values must
        stand in the same order of seeds.
    """
    if error not in ERRORS:
        raise ValueError(f"difference: error must be one of {list(ERRORS)}, got {error!r}")
    if error == "paired" and len(a.values) == len(b.values):
        pairs = Sample("", tuple(x - y for x, y in zip(a.values, b.values, strict=True)))
        return Difference(pairs.mean, pairs.error, a.unit)
    return Difference(a.mean - b.mean, math.hypot(a.error, b.error), a.unit)


def ordered(paper: str, samples: Sequence[Sample], error: str = "apart") -> Claim:
    """The claim that `samples` stand in descending order.

    Parameters
    ----------
    paper : str
        The claim in words.
    samples : sequence of Sample, at least two
    error : str
        See `difference`.

    Returns
    -------
    Claim
        Agrees if every neighbour is decidedly below the one before, does not if one is decidedly
        above it; otherwise it cannot be decided, and says which.
    """
    steps = [(a, b, difference(a, b, error)) for a, b in pairwise(samples)]
    differences = ", ".join(f"{a.name} less {b.name} {found}" for a, b, found in steps)
    measured = f"{', '.join(map(str, samples))}; {differences}"
    missing = [sample.name for sample in samples if not sample.values]
    if missing:
        return Claim(paper, measured, None, f"no training of {missing[0]} ended")
    if any(found.decided and found.mean < 0 for *_, found in steps):
        return Claim(paper, measured, False)
    open_ = [f"{a.name} and {b.name}" for a, b, found in steps if not found.decided]
    if not open_:
        return Claim(paper, measured, True)
    return Claim(paper, measured, None, _undecided(" and of ".join(open_), samples))


def near(paper: str, a: Sample, b: Sample, within: float) -> Claim:
    """The claim that the means of `a` and `b` are no further apart than `within` (a fraction).

    Agrees or not where two standard errors either way do not change the answer.
    """
    found = difference(a, b)
    limit = f"{a.unit.factor * within:g}{a.unit.word}"
    measured = f"{a}, {b}; {a.name} less {b.name} {found}; similar: within {limit}"
    if not (a.values and b.values):
        name = b.name if a.values else a.name
        return Claim(paper, measured, None, f"no training of {name} ended")
    if abs(found.mean) + DECISIVE * found.error <= within:
        return Claim(paper, measured, True)
    if abs(found.mean) - DECISIVE * found.error > within:
        return Claim(paper, measured, False)
    return Claim(paper, measured, None, _undecided(f"{a.name} and {b.name}", (a, b)))


def between(paper: str, sample: Sample, low: float, high: float) -> Claim:
    """The claim that the mean of `sample` lies in [low, high].

    Agrees or not where two standard errors either way do not change the answer.
    """
    written = sample.unit.written
    measured = f"{sample}; claimed: {written(low)} to {written(high)}"
    if not sample.values:
        return Claim(paper, measured, None, f"no training of {sample.name} ended")
    margin = DECISIVE * sample.error
    if low <= sample.mean - margin and sample.mean + margin <= high:
        return Claim(paper, measured, True)
    if sample.mean + margin < low or high < sample.mean - margin:
        return Claim(paper, measured, False)
    return Claim(paper, measured, None, _undecided(sample.name, [sample]))


def _undecided(names, samples):
    if any(len(sample.values) < 2 for sample in samples):
        return "one training of a kind shows no spread to judge a difference by"
    if len(samples) == 1:
        return f"the limit is within the spread of {names}"
    return f"the difference of {names} is within the spread of the trainings, or rounds to zero"
