"""Tables for the screen."""

import io
import textwrap
from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from sparse_ref import methods
from sparse_ref.experiments.compare import Row
from sparse_ref.experiments.recipe import Claim, Figure, Report
from sparse_ref.experiments.recipe import Table as Numbers
from sparse_ref.experiments.runner import DENSE, Result

WIDEST = 400  # columns of a table

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
        if config.method.until is not None:
            lines.append(f"{config.method.name}: until = {config.method.until}")
    lines += [
        f"{name} starts with every connection and ends equally dense in every layer"
        for name in dict.fromkeys(r.label for r in results)
        if name != DENSE and methods.ALL[name].starts_complete
    ]
    still = {r.label for r in results if not r.history.events} - {DENSE, "static"}
    return lines + [f"{name} never rewired: the training was too short" for name in sorted(still)]


def data_table(entries: Sequence[Any]) -> Table:
    """The data sets: name, title, and where each was found."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("title", overflow="fold")
    table.add_column("found", overflow="fold")
    for entry in entries:
        found = f"{entry.folder or 'not found'}{' (a part of it)' if entry.part else ''}"
        table.add_row(entry.name, entry.title, found)
    return table


def report_text(figure: Figure, report: Report, width: int = 96) -> str:
    """A reproduced figure as text: tables, claims, notes.

    Parameters
    ----------
    figure : Figure
    report : Report
    width : int
        At which words wrap; tables are as wide as their numbers.
    """
    parts = [f"{figure.title}\n{figure.source}"]
    parts += [_rendered(table) for table in report.tables]
    parts += [_judged(n, claim, width) for n, claim in enumerate(report.claims, start=1)]
    parts += [_wrapped(f"note: {note}", "", "      ", width) for note in report.notes]
    return "\n\n".join(parts)


def verdict(claim: Claim) -> str:
    """Whether what was measured agrees with the paper, in words."""
    if claim.agrees is None:
        return f"cannot be decided: {claim.why}"
    return "agrees" if claim.agrees else "does NOT agree"


def _judged(number, claim, width):
    lines = {"paper": claim.paper, "measured": claim.measured, "verdict": verdict(claim)}
    indent = " " * 12
    said = (_wrapped(text, f"  {name + ':':<9} ", indent, width) for name, text in lines.items())
    return "\n".join([f"claim {number}", *said])


def _wrapped(text, first, rest, width):
    return textwrap.fill(text, width, initial_indent=first, subsequent_indent=rest)


def _rendered(numbers: Numbers) -> str:
    """Never cut: a number that is cut is none."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(numbers.headings[0], no_wrap=True)
    for heading in numbers.headings[1:]:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in numbers.rows:
        table.add_row(*row)
    wide = Console(width=WIDEST, file=io.StringIO())
    page = io.StringIO()
    Console(width=max(1, wide.measure(table).maximum), file=page).print(table)
    lines = (line.rstrip() for line in page.getvalue().splitlines())
    return numbers.title + "\n\n" + "\n".join(lines).strip("\n")


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
