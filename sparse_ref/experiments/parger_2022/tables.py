"""Tables 1 to 4: what was measured, and what the paper gives for its convnets."""

import math

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
    Results,
    named,
)
from sparse_ref.experiments.recipe import Report, Table

NETWORK_HEADINGS = ("method", *(f"{sparsity:g}\n{start}" for sparsity, start in COLUMNS))
SPREAD = "mean ± standard deviation over seeds"
CONVNETS = "published (convnets)"


def table1(results: Results) -> Report:
    """Accuracy of every method on every network."""
    tables = [
        _accuracies(f"Test accuracy %, {named(net)}, by sparsity and start; {SPREAD}", rows)
        for net, rows in _by_network(results, (DENSE, *RIVALS)).items()
    ]
    theirs = _published("VGG16 on Tiny-ImageNet, top-1 %", published.TABLE_1_VGG16)
    return Report([*tables, theirs], judged.table1(results))


def table2(results: Results) -> Report:
    """Accuracy averaged over networks."""
    tables = [_averages(results, (DENSE, *RIVALS)), _published("averages, %", published.TABLE_2)]
    return Report(tables, judged.table2(results))


def table3(results: Results) -> Report:
    """All options of distribution and insertion."""
    tables = [
        _accuracies(f"Test accuracy %, {named(net)}, by sparsity and start; {SPREAD}", rows)
        for net, rows in _by_network(results, tuple(ROWS)).items()
    ]
    theirs = _published("averages, %", published.TABLE_3)
    return Report([*tables, _averages(results, tuple(ROWS)), theirs], judged.table3(results))


def table4(results: Results) -> Report:
    """Empty neurons and inputs, and how large the rest is."""
    tables = [_emptiness(results, net) for net in results.networks]
    theirs = Table(
        f"{CONVNETS}: VGG16 on Tiny-ImageNet, sparsity {MASKED:g}",
        _paired("method", "top-1 %", "empty neurons %", "empty inputs %", "Params*\nmillions"),
        tuple((name, *map(_number, line)) for name, line in published.TABLE_4_VGG16.items()),
    )
    note = "percentages of table 4 are of all units of all layers; how the paper pools is not said"
    return Report([*tables, theirs], judged.table4(results), notes=[note])


def _by_network(results, methods):
    return {
        net: {
            name: [results.of(_cell(net, name, *column)) for column in COLUMNS] for name in methods
        }
        for net in results.networks
    }


def _cell(net, name, sparsity, start):
    return Cell(net, name) if name == DENSE else Cell(net, name, sparsity, start)


def _averages(results, methods):
    title = f"Test accuracy %, average over {len(results.networks)} networks; {SPREAD}"
    rows = {name: [results.average(name, *column) for column in COLUMNS] for name in methods}
    return _accuracies(title, rows)


def _accuracies(title: str, rows: dict[str, list[Sample]]) -> Table:
    """A dense network stands in the first column only: it has no sparsity."""
    lines = []
    for name, samples in rows.items():
        cells = [percent(sample.values) for sample in samples]
        blank = [""] * (len(cells) - 1)
        lines.append((name, *([cells[0], *blank] if name == DENSE else cells)))
    return Table(title, NETWORK_HEADINGS, tuple(lines))


def _published(what, table):
    lines = []
    for name, line in table.items():
        cells = [_number(value) for value in line]
        lines.append((name, *([cells[0], *[""] * 5] if name == DENSE else cells)))
    return Table(f"{CONVNETS}: {what}", NETWORK_HEADINGS, tuple(lines))


def _emptiness(results, net):
    rows = []
    for name in RIVALS:
        pair = [Cell(net, name, MASKED, start) for start in STARTS]
        found = [[measures.empty(outcome) for outcome in results.outcomes[cell]] for cell in pair]
        line = [percent(results.of(cell).values) for cell in pair]
        line += [percent([one.neurons for one in several]) for several in found]
        line += [percent([one.inputs for one in several]) for several in found]
        line += [_thousands([one.parameters for one in several]) for several in found]
        rows.append((name, *line))
    positions = sum(n_out * n_in for n_out, n_in in Cell(net, DENSE).shapes)
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


def _number(value):
    return "–" if value is None else f"{value:g}"
