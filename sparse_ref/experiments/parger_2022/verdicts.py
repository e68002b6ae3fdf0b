"""Verdicts on claims that compare one with several, or hold in several places at once.

A claim of several parts is contradicted where one part is, and agrees where all do.
"""

from collections.abc import Mapping, Sequence

from sparse_ref.experiments.evidence import DECISIVE, Sample, difference, ordered
from sparse_ref.experiments.recipe import Claim


def highest(paper: str, first: Sample, others: Sequence[Sample]) -> Claim:
    """The claim that `first` is above each of `others`."""
    return _against(paper, first, others, [ordered("", [first, other]) for other in others])


def lowest(paper: str, first: Sample, others: Sequence[Sample]) -> Claim:
    """The claim that `first` is below each of `others`."""
    return _against(paper, first, others, [ordered("", [other, first]) for other in others])


def together(paper: str, parts: Mapping[str, Claim]) -> Claim:
    """The claim that all `parts`, by the place they speak of, hold."""
    measured = "; ".join(
        f"{place}, {_word(part.agrees)}: {part.measured}" for place, part in parts.items()
    )
    return _joined(paper, measured, list(parts.values()))


def always_close(
    paper: str, places: Mapping[str, tuple[Sample, Sample, Sample]], within: float
) -> Claim:
    """The claim that of three the first is nowhere more than `within` below the best of the others.

    It says nothing if the others are nowhere further apart than that.

    Parameters
    ----------
    paper : str
    places : name -> whole, half, half
    within : float
        A fraction.
    """
    parts = {place: _close(*samples, within) for place, samples in places.items()}
    claim = together(paper, parts)
    tested = any(abs(a.mean - b.mean) > within for _, a, b in places.values())
    if claim.agrees and not tested:
        halves = " and ".join(half.name for half in next(iter(places.values()))[1:])
        why = f"{halves} nowhere differ by more than {100 * within:g} points"
        return claim._replace(agrees=None, why=why)
    return claim


def _close(whole, half, other, within):
    worst, best = sorted((half, other), key=lambda sample: sample.mean)
    behind = difference(best, whole)
    measured = f"{best} less {worst}: {difference(best, worst)}, less {whole}: {behind}"
    if not all(sample.values for sample in (whole, half, other)):
        return Claim("", measured, None, "not every training ended")
    if behind.mean - DECISIVE * behind.error > within:
        return Claim("", measured, False)
    if behind.mean + DECISIVE * behind.error <= within:
        return Claim("", measured, True)
    return Claim("", measured, None, f"{best.name} and {whole.name} are too close to call")


def _against(paper, first, others, parts):
    differences = ", ".join(f"less {other}: {difference(first, other)}" for other in others)
    return _joined(paper, f"{first}; {differences}", parts)


def _joined(paper, measured, parts):
    if any(part.agrees is False for part in parts):
        return Claim(paper, measured, False)
    reasons = dict.fromkeys(part.why for part in parts if part.agrees is None)
    return Claim(paper, measured, None if reasons else True, "; ".join(reasons))


def _word(agrees):
    return "open" if agrees is None else "yes" if agrees else "no"
