"""Tables for the screen."""

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from sparse_ref.experiments.compare import Row
from sparse_ref.experiments.runner import DENSE, Result

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


def notes(results: Sequence[Result]) -> list[str]:
    """What a reader of the table must know: options a method was given, events that never came."""
    lines = ["dense on one thread of BLAS"] if any(r.label == DENSE for r in results) else []
    for config in {r.label: r.config for r in results}.values():
        lines += [f"{config.method.name}: {k} = {v}" for k, v in config.method.options.items()]
    still = {r.label for r in results if not r.history.events} - {DENSE, "static"}
    return lines + [f"{name} never rewired: the training was too short" for name in sorted(still)]


def data_table(entries: Sequence[Any]) -> Table:
    """The data sets: name, title, and where each was found."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("title", overflow="fold")
    table.add_column("found", overflow="fold")
    for entry in entries:
        table.add_row(entry.name, entry.title, str(entry.folder or "not found"))
    return table


def _cells(row):
    spread = "" if row.accuracy_std != row.accuracy_std else f" ± {100 * row.accuracy_std:.2f}"
    return (
        row.method,
        DENSE if row.density is None else f"{row.density:g}",
        f"{row.connections_before:,} → {row.connections_after:,}",
        f"{100 * row.accuracy_mean:.2f}{spread}",
        f"{row.seconds:.2f}",
        f"{row.nbytes:,}",
    )
