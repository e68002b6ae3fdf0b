"""Tables 1 to 4: what was measured, and what the paper gives for its convnets."""

import math
from collections.abc import Sequence

from sparse_ref.experiments.evidence import Sample, percent
from sparse_ref.experiments.parger_2022 import judged, measures, published
from sparse_ref.experiments.parger_2022.grid import (
    COLUMNS,
    DENSE,
    MASKED,
    RIVALS,
    ROWS,
    STARTS,
    Cell,
    Net,
    Results,
    named,
)
from sparse_ref.experiments.recipe import Report, Table

SPREAD = "mean ± standard deviation over seeds"
CONVNETS = "published (convnets)"

Columns = Sequence[tuple[float, str]]


def table1(results: Results) -> Report:
    """Accuracy of every method on every network."""
    theirs = as_published("VGG16 on Tiny-ImageNet, top-1 %", published.TABLE_1_VGG16)
    return Report([*by_network(results, (DENSE, *RIVALS)), theirs], judged.table1(results))


def table2(results: Results) -> Report:
    """Accuracy averaged over networks."""
    tables = [averages(results, (DENSE, *RIVALS)), as_published("averages, %", published.TABLE_2)]
    return Report(tables, judged.table2(results))


def table3(results: Results) -> Report:
    """All options of distribution and insertion."""
    tables = by_network(results, tuple(ROWS))
    theirs = as_published("averages, %", published.TABLE_3)
    return Report([*tables, averages(results, tuple(ROWS)), theirs], judged.table3(results))


def table4(results: Results) -> Report:
    """Empty neurons and inputs, and how large the rest is."""
    tables = [emptiness_of(results, net) for net in results.networks]
    theirs = emptiness_published("VGG16", published.TABLE_4_VGG16)
    note = "percentages of table 4 are of all units of all layers; how the paper pools is not said"
    return Report([*tables, theirs], judged.table4(results), notes=[note])


def emptiness_published(name: str, table: dict[str, published.Line]) -> Table:
    """Table 4 of the paper."""
    return Table(
        f"{CONVNETS}: {name} on Tiny-ImageNet, sparsity {MASKED:g}",
        _paired("method", "top-1 %", "empty neurons %", "empty inputs %", "Params*\nmillions"),
        tuple((name, *map(number, line)) for name, line in table.items()),
    )


def by_network(results: Results, methods: Sequence[str]) -> list[Table]:
    """Accuracies, a table for each network."""
    tables = []
    for net in results.networks:
        title = f"Test accuracy %, {named(net)}, by sparsity and start; {SPREAD}"
        rows = {
            name: [results.of(_cell(net, name, *column)) for column in results.columns]
            for name in methods
        }
        tables.append(_accuracies(title, rows, results.columns))
    return tables


def _cell(net, name, sparsity, start):
    return Cell(net, name) if name == DENSE else Cell(net, name, sparsity, start)


def averages(results: Results, methods: Sequence[str]) -> Table:
    """Means over networks."""
    title = f"Test accuracy %, average over {len(results.networks)} networks; {SPREAD}"
    rows = {
        name: [results.average(name, *column) for column in results.columns] for name in methods
    }
    return _accuracies(title, rows, results.columns)


def _accuracies(title: str, rows: dict[str, list[Sample]], columns: Columns) -> Table:
    """A dense network stands in the first column only: it has no sparsity."""
    lines = []
    for name, samples in rows.items():
        cells = [percent(sample.values) for sample in samples]
        blank = [""] * (len(cells) - 1)
        lines.append((name, *([cells[0], *blank] if name == DENSE else cells)))
    return Table(title, _headings(columns), tuple(lines))


def _headings(columns):
    return ("method", *(f"{sparsity:g}\n{start}" for sparsity, start in columns))


def as_published(what: str, table: dict[str, published.Line]) -> Table:
    """A table of accuracies of the paper."""
    lines = []
    for name, line in table.items():
        cells = [number(value) for value in line]
        lines.append((name, *([cells[0], *[""] * 5] if name == DENSE else cells)))
    return Table(f"{CONVNETS}: {what}", _headings(COLUMNS), tuple(lines))


def emptiness_of(results: Results, net: Net) -> Table:
    """Table 4 of a network."""
    rows = []
    for name in RIVALS:
        pair = [Cell(net, name, MASKED, start) for start in STARTS]
        found = [[measures.empty(one, cell) for one in results.outcomes[cell]] for cell in pair]
        line = [percent(results.of(cell).values) for cell in pair]
        line += [percent([one.neurons for one in several]) for several in found]
        line += [percent([one.inputs for one in several]) for several in found]
        line += [_thousands([one.parameters for one in several]) for several in found]
        rows.append((name, *line))
    positions = sum(Cell(net, DENSE).positions)
    return Table(
        f"{named(net)}, sparsity {MASKED:g}, {positions / 1000:.1f} thousand parameters when "
        f"dense; {SPREAD}",
        _paired("method", "accuracy %", "empty neurons %", "empty inputs %", "Params*\nthousands"),
        tuple(rows),
    )


def _thousands(values):
    sample = Sample("", tuple(value / 1000 for value in values))
    if not sample.values:
        return "–"
    spread = "" if math.isnan(sample.std) else f" ± {sample.std:.1f}"
    return f"{sample.mean:.1f}{spread}"


def _paired(first, *headings):
    return (first, *(f"{heading}\n{start}" for heading in headings for start in STARTS))


def number(value: float | None) -> str:
    """As published; a dash where nothing is."""
    return "–" if value is None else f"{value:g}"
