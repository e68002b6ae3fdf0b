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


class Sample(NamedTuple):
    """Accuracies, as fractions, of trainings that differ in their seed."""

    name: str
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Nan for an empty sample."""
        return float(np.mean(self.values)) if self.values else math.nan

    @property
    def std(self) -> float:
        """With n - 1; nan below two values."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else math.nan

    def __str__(self) -> str:
        return f"{self.name} {percent(self.values)}"


class Difference(NamedTuple):
    """Of two means, as a fraction, with its standard error (nan if one sample is a single run)."""

    mean: float
    error: float

    @property
    def decided(self) -> bool:
        """Whether it is told apart from zero, and not so small that it would be printed as zero."""
        return abs(self.mean) > DECISIVE * self.error and round(100 * self.mean, 2) != 0

    def __str__(self) -> str:
        return f"{100 * self.mean:+.2f} ± {100 * self.error:.2f} points"


def percent(values: Sequence[float]) -> str:
    """``mean ± standard deviation`` in percent; a dash where nothing was measured."""
    sample = Sample("", tuple(values))
    if not sample.values:
        return "–"
    spread = "" if math.isnan(sample.std) else f" ± {100 * sample.std:.2f}"
    return f"{100 * sample.mean:.2f}{spread}"


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
        return Difference(pairs.mean, pairs.std / math.sqrt(max(1, len(pairs.values))))
    variances = [sample.std**2 / max(1, len(sample.values)) for sample in (a, b)]
    return Difference(a.mean - b.mean, math.sqrt(sum(variances)))


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
    measured = f"{a}, {b}; {a.name} less {b.name} {found}; similar: within {100 * within:g} points"
    if not (a.values and b.values):
        name = b.name if a.values else a.name
        return Claim(paper, measured, None, f"no training of {name} ended")
    if abs(found.mean) + DECISIVE * found.error <= within:
        return Claim(paper, measured, True)
    if abs(found.mean) - DECISIVE * found.error > within:
        return Claim(paper, measured, False)
    return Claim(paper, measured, None, _undecided(f"{a.name} and {b.name}", (a, b)))


def _undecided(names, samples):
    if any(len(sample.values) < 2 for sample in samples):
        return "one training of a kind shows no spread to judge a difference by"
    return f"the difference of {names} is within the spread of the trainings, or rounds to zero"
