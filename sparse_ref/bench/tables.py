"""What the tables of a benchmark are made of."""

from collections.abc import Sequence
from statistics import median

from rich.box import SIMPLE_HEAD
from rich.table import Table

from sparse_ref.bench.clock import ratio


def new_table(title: str, names: Sequence[str], numbers: Sequence[str]) -> Table:
    """A table without rows: columns of names, then columns of numbers."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="",
        box=SIMPLE_HEAD,
        pad_edge=False,
        min_width=len(title) + 1,
    )
    for name in names:
        table.add_column(name, no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def against(theirs: Sequence[float] | None, ours: Sequence[float] | None) -> str:
    """Their milliseconds, and the ratio with its spread; a dash if one was not measured."""
    if theirs is None or ours is None:
        return "-"
    value, low, high = ratio(theirs, ours)
    return f"{in_ms(theirs)}  {number(value)} ({number(low)} to {number(high)})"


def number(value: float) -> str:
    """Three digits or so."""
    return f"{value:.2f}" if 0.1 <= value < 100 else f"{value:.3g}"


def in_ms(taken: Sequence[float] | None) -> str:
    """The median of seconds, in milliseconds; a dash if they were not measured."""
    return "-" if taken is None else f"{1e3 * median(taken):,.3f}"


def bytes_of(n: int) -> str:
    """``64 KiB``, ``2 MiB``."""
    return f"{n >> 20} MiB" if n >= 1 << 20 else f"{n >> 10} KiB"


def count_of(threads: int) -> str:
    """``1 thread``, ``2 threads``."""
    return f"{threads} thread{'s' * (threads > 1)}"
