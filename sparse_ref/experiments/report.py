"""Tables for the screen."""

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from sparse_ref.experiments.compare import Row

HEADINGS = (
    "density",
    "connections\nbefore → after",
    "test accuracy\n%, mean ± std",
    "training\nseconds",
    "bytes held",
)


def comparison_table(rows: Sequence[Row], title: str) -> Table:
    """The table of a comparison: a line per method and density."""
    table = Table(
        title=title, title_justify="left", title_style="", box=SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("method", no_wrap=True)
    for heading in HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    previous = rows[0].density if rows else None
    for row in rows:
        if row.density != previous:
            table.add_section()
        previous = row.density
        table.add_row(*_cells(row))
    return table


def data_table(entries: Sequence[Any]) -> Table:
    """The data sets: name, title, and where each was found."""
    table = Table()
    for heading in ("name", "title", "found"):
        table.add_column(heading)
    for entry in entries:
        table.add_row(entry.name, entry.title, str(entry.folder or "not found"))
    return table


def _cells(row):
    spread = "" if row.accuracy_std != row.accuracy_std else f" ± {100 * row.accuracy_std:.2f}"
    return (
        row.method,
        "dense" if row.density is None else f"{row.density:g}",
        f"{row.connections_before:,} → {row.connections_after:,}",
        f"{100 * row.accuracy_mean:.2f}{spread}",
        f"{row.seconds:.2f}",
        f"{row.nbytes:,}",
    )
