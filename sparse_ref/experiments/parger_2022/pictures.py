"""Figures 2 and 3."""

import math

import numpy as np

from sparse_ref import allocation, csr, plots, plots_density
from sparse_ref.experiments.evidence import percent
from sparse_ref.experiments.parger_2022 import judged, measures
from sparse_ref.experiments.parger_2022.grid import (
    DSR,
    GGR,
    MASKED,
    RIGL,
    RIVALS,
    SET,
    Cell,
    Results,
    heading,
    named,
)
from sparse_ref.experiments.parger_2022.measures import SHOWN
from sparse_ref.experiments.recipe import Report, Table

PROFILED = ((MASKED, "ERK"), (0.99, "uniform"))  # the paper's figure has the first
LOOKS = {  # Okabe and Ito's colours: told apart by people with any colour vision
    SET: ("#E69F00", "o"),
    RIGL: ("#0072B2", "s"),
    DSR: ("#CC79A7", "^"),
    GGR: ("#009E73", "D"),
}
BEFORE = "start"


def fig2(results: Results) -> Report:
    """Density and connections of every layer, one picture a network."""
    pictures = {
        f"fig2-{named(net)}.png": plots_density.layer_profiles(_profiles(results, net), LOOKS)
        for net in results.networks
    }
    tables = [_densities(results, net, column) for net in results.networks for column in PROFILED]
    note = "figure 2: marks are means over seeds, their bars go from least to most"
    return Report(tables, judged.figure2(results), pictures, [note])


def fig3(results: Results) -> Report:
    """The masks of one layer, and how often each input pixel is connected."""
    net = results.networks[0]
    ended = {
        name: [measures.patterns(outcome) for outcome in outcomes]
        for name in RIVALS
        if (outcomes := results.outcomes[Cell(net, name, MASKED, "ERK")])
    }
    masks = {
        f"{name}: {layers[SHOWN].nnz:,} connections": csr.pattern(layers[SHOWN])
        for name, (layers, *_) in ended.items()
    }
    pixels = {name: _pixels([layers[0] for layers in seeds]) for name, seeds in ended.items()}
    pictures = {}
    if ended:
        pictures["fig3-masks.png"] = plots_density.masks(masks)
        pictures["fig3-inputs.png"] = plots.input_connections({"layer 1": pixels})
    where = f"{named(net)}, {heading(MASKED, 'ERK')}"
    note = (
        f"figure 3: {where}; the masks are those of layer {SHOWN + 1}, whole, of the first seed; "
        "the connections per input pixel are means over seeds"
    )
    return Report([_unevenness(results, net, where)], judged.figure3(results), pictures, [note])


def _profiles(results, net):
    profiles = {}
    for column in PROFILED:
        cells = [Cell(net, name, *column) for name in RIVALS]
        ended = [cell for cell in cells if results.outcomes[cell]]
        profiles[f"{named(net)}\n{heading(*column)}"] = plots_density.Profile(
            np.array([n_out * n_in for n_out, n_in in cells[0].shapes]),
            allocation.allocate(column[1].lower(), cells[0].shapes, cells[0].density),
            {cell.method: measures.connections(results, cell) for cell in ended},
        )
    return profiles


def _densities(results, net, column):
    cells = [Cell(net, name, *column) for name in RIVALS]
    counts = allocation.allocate(column[1].lower(), cells[0].shapes, cells[0].density)
    start = [
        percent([count / (n_out * n_in)])
        for count, (n_out, n_in) in zip(counts, cells[0].shapes, strict=True)
    ]
    ends = [
        (cell.method, *(percent(values) for values in measures.densities(results, cell).T))
        for cell in cells
    ]
    return Table(
        f"Density % of each layer, {named(net)}, {heading(*column)}; at the end, mean ± standard "
        "deviation over seeds",
        ("method", *_layers(cells[0])),
        ((BEFORE, *start), *ends),
    )


def _layers(cell):
    return [f"layer {k}\n{n_out} x {n_in}" for k, (n_out, n_in) in enumerate(cell.shapes, start=1)]


def _unevenness(results, net, where):
    rows = []
    for name in RIVALS:
        outcomes = results.outcomes[Cell(net, name, MASKED, "ERK")]
        layers = [measures.patterns(outcome)[SHOWN] for outcome in outcomes]
        found = [measures.unevenness(layer) for layer in layers]
        chance = [measures.by_chance(layer.shape, layer.nnz) for layer in layers]
        columns = [[f.rows for f in found], [c.rows for c in chance]]
        columns += [[f.columns for f in found], [c.columns for c in chance]]
        rows.append((name, *map(percent, columns)))
    return Table(
        f"Connections per row and per column of layer {SHOWN + 1}, {where}: standard deviation "
        "over mean, in %",
        ("method", "rows", "rows of a\nrandom mask", "columns", "columns of a\nrandom mask"),
        tuple(rows),
    )


def _pixels(weights):
    side = math.isqrt(weights[0].shape[1])
    counts = [np.bincount(weight.indices, minlength=side * side) for weight in weights]
    return np.mean(counts, axis=0).reshape(side, side)
