"""One row of what must be reached, and how it is judged."""

from typing import NamedTuple

from sparse_ref.bench.clock import Ratio

REACHED, MISSED, NOT_MEASURED = "reached", "missed", "not measured"
FOR_COMPARISON = "for comparison"


class Verdict(NamedTuple):
    """One row of the table."""

    what: str
    threads: int | None  # None where they do not matter
    asked: str
    measured: str  # in words, with its spread; empty if not measured
    verdict: str
    value: float | None  # what is judged
    low: float | None
    high: float | None
    where: str = ""  # at which point a least was found


def judged(
    what: str,
    threads: int | None,
    found: Ratio | None,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    measured: str = "",
    where: str = "",
) -> Verdict:
    """The row of a figure; None in place of one that is not complete.

    Parameters
    ----------
    what : str
    threads : int or None
    found : Ratio or None
    at_least, at_most : float, optional
        What is asked; with neither it stands for comparison only.
    measured : str, optional
        In place of the figure and its spread.
    where : str
    """
    asked = FOR_COMPARISON
    if at_least is not None or at_most is not None:
        asked = f"at most {at_most:g}" if at_least is None else f"at least {at_least:g}"
    if found is None:
        return Verdict(what, threads, asked, "", NOT_MEASURED, None, None, None)
    value, low, high = found
    kept = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
    verdict = "" if asked == FOR_COMPARISON else REACHED if kept else MISSED
    text = measured or f"{value:.2f} ({low:.2f} to {high:.2f})"
    return Verdict(what, threads, asked, text, verdict, value, low, high, where)
