"""Tables 1 to 4 of narrow convolutional networks on CIFAR-10."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from sparse_ref.experiments.convnet import photographs
from sparse_ref.experiments.evidence import Sample, between, ordered
from sparse_ref.experiments.parger_2022 import (
    convnet_pictures,
    judged,
    measures,
    published,
    tables,
)
from sparse_ref.experiments.parger_2022.convnets import (
    AUGMENTATION,
    CONV_SETTINGS,
    SUBSET_SEED,
    ConvSettings,
)
from sparse_ref.experiments.parger_2022.grid import (
    DENSE,
    DSR,
    MASKED,
    RIVALS,
    ROWS,
    SET,
    SPARSITIES,
    STARTS,
    Cell,
    Results,
    cells,
    heading,
    job,
    named,
    numbers_of,
)
from sparse_ref.experiments.parger_2022.untrained import USED, untrained
from sparse_ref.experiments.parger_2022.verdicts import together
from sparse_ref.experiments.recipe import Claim, Context, Figure, Report, joined

CHANCE = 0.15  # of ten classes: below is what we call not to learn
ALL = (DENSE, *dict.fromkeys((*ROWS, *RIVALS)))
PAPER = "Parger et al. 2022"


def grid(sparsities: Sequence[float], context: Context) -> Report:
    """Tables 1 to 3, and 4 where its sparsity is among `sparsities`."""
    columns = tuple((sparsity, start) for sparsity in sparsities for start in STARTS)
    results = _trained(ALL, columns, context)
    reports = [_accuracies(results)]
    if MASKED in sparsities:
        reports += [_emptiness(results), untrained(CONV_SETTINGS[context.scale].draws)]
    return _noted(reports, results, context)


def table4(context: Context) -> Report:
    """Empty neurons and inputs, trained and untrained."""
    results = _trained(RIVALS, tuple((MASKED, start) for start in STARTS), context)
    reports = [_emptiness(results), untrained(CONV_SETTINGS[context.scale].draws)]
    return _noted(reports, results, context)


def _trained(methods, columns, context):
    """Every cell once; the networks that take longest first."""
    settings = CONV_SETTINGS[context.scale]
    how = AUGMENTATION, settings.images, settings.tested, SUBSET_SEED
    data, name = photographs(context, *how)
    seeds = context.seed_numbers(settings.seeds)
    wanted = sorted(cells(settings.networks, methods, columns), key=lambda cell: cell.sparsity)
    n = len(data.train[1])
    jobs = [job(cell, settings.epochs, name, n, seed) for cell in wanted for seed in seeds]
    outcomes = iter(context.train(jobs, {"data": data}))
    by_cell = {cell: [next(outcomes) for _ in seeds] for cell in wanted}
    ended = {cell: [o for o in found if not o.failure] for cell, found in by_cell.items()}
    return Results(settings.networks, ended, columns)


def _noted(reports, results, context):
    whole = joined(reports)
    return replace(
        whole,
        notes=[*_notes(CONV_SETTINGS[context.scale], context), *whole.notes],
        numbers={**whole.numbers, "cells": [numbers_of(c, results) for c in results.outcomes]},
    )


# Reports ------------------------------------------------------------------------------------------


def _accuracies(results):
    theirs = {
        "MobileNetV2 on CIFAR-100": published.TABLE_1_MOBILENETV2,
        "ResNet-18 on CIFAR-100": published.TABLE_1_RESNET18,
        "VGG16 on Tiny-ImageNet": published.TABLE_1_VGG16,
        "averages": published.TABLE_3 | {n: published.TABLE_2[n] for n in (DENSE, DSR)},
    }
    return Report(
        tables=[
            *tables.by_network(results, ALL),
            tables.averages(results, ALL),
            *(tables.as_published(f"{what}, top-1 %", table) for what, table in theirs.items()),
        ],
        claims=[
            *judged.table1(results),
            *_failing(results),
            *judged.table2(results),
            *judged.table3(results),
        ],
        pictures={"convnets-accuracy.png": convnet_pictures.accuracies(results)},
    )


def _emptiness(results):
    theirs = {
        "MobileNetV2": published.TABLE_4_MOBILENETV2,
        "VGG16": published.TABLE_4_VGG16,
    }
    return Report(
        tables=[
            *(tables.emptiness_of(results, net) for net in results.networks),
            *(tables.emptiness_published(name, table) for name, table in theirs.items()),
        ],
        claims=[*judged.table4(results), *_mobilenet(results), *_used(results)],
        pictures={"convnets-layers.png": convnet_pictures.layers(results)},
        notes=[
            "empty neurons are filters without any connection, empty inputs channels of a weight "
            "without any, whichever position of the kernel; percentages are of all units of all "
            "layers; how the paper pools is not said",
        ],
    )


# Claims -------------------------------------------------------------------------------------------


def _failing(results: Results) -> list[Claim]:
    """MobileNetV2 from uniform (section 5)."""
    return [
        _fails(results, sparsity)
        for sparsity in SPARSITIES[1:]
        if (sparsity, "uniform") in results.columns
    ]


def _fails(results: Results, sparsity: float) -> Claim:
    """Of one sparsity; says nothing where it does not learn from ERK either."""
    net = results.networks[0]
    claim = together(
        f"MobileNetV2, {heading(sparsity, 'uniform')}: no method learns; here accuracies of at "
        f"most {100 * CHANCE:g} %",
        {
            name: between("", results.of(Cell(net, name, sparsity, "uniform")), 0.0, CHANCE)
            for name in RIVALS
        },
    )
    erk = [results.of(Cell(net, name, sparsity, "ERK")) for name in RIVALS]
    if claim.agrees and all(sample.mean <= CHANCE for sample in erk):
        return claim._replace(agrees=None, why="from ERK none learns in so short a time, either")
    return claim


def _mobilenet(results: Results) -> list[Claim]:
    """What table 4 says of MobileNetV2 (section 5.1)."""
    net = results.networks[0]
    claims = []
    for what in ("neurons", "inputs"):
        parts = {
            name: ordered(
                "",
                [
                    _empty(results, Cell(net, name, MASKED, start), what)._replace(name=start)
                    for start in STARTS
                ],
            )
            for name in RIVALS
        }
        paper = f"MobileNetV2: from ERK more {what} end up empty than from uniform"
        claims.append(together(paper, parts))
    least = _empty(results, Cell(net, SET, MASKED, "ERK"), "neurons")
    others = [_empty(results, Cell(net, n, MASKED, "ERK"), "neurons") for n in RIVALS if n != SET]
    parts = {other.name: ordered("", [other, least]) for other in others}
    return [*claims, together("MobileNetV2, ERK: SET leaves fewest neurons empty", parts)]


def _used(results: Results) -> list[Claim]:
    """Of ResNet-18 (section 6)."""
    net = results.networks[1]
    return [
        together(
            f"ResNet-18, {start}: over 99 % of {what} are used",
            {
                name: between("", _empty(results, Cell(net, name, MASKED, start), what), 0.0, USED)
                for name in RIVALS
            },
        )
        for start in STARTS
        for what in ("neurons", "inputs")
    ]


def _empty(results: Results, cell: Cell, what: str) -> Sample:
    return judged.each(results, cell, lambda outcome: getattr(measures.empty(outcome, cell), what))


def _notes(settings: ConvSettings, context: Context) -> list[str]:
    whole, seeds = CONV_SETTINGS["paper"], len(context.seed_numbers(settings.seeds))
    notes = [
        "convolutional networks for CIFAR-10, all layers sparse; the paper's are of CIFAR-100 and "
        "Tiny-ImageNet. VGG-16 is that with one linear layer: its largest layer holds 16 % of the "
        "weights, not 74 %",
        "channels normalised; crop, flip and rotation by up to 15 degrees; the paper does not say "
        "how it augments",
    ]
    if settings.networks != whole.networks:
        strides = [named(net) for net in settings.networks[:2]]
        times = settings.epochs // 2 - 1
        notes.append(
            f"reduced: width as in the networks' names, {' and '.join(strides)} with the strides "
            f"of ImageNet; {settings.images:,} training images, {settings.epochs} epochs (100 at "
            f"scale paper), so connections are redistributed {times} time{'s' * (times > 1)}; "
            f"{seeds} training{'s' * (seeds > 1)} a cell, tested on at most {settings.tested:,} "
            "images. Of narrow networks the same sparsity leaves fewer connections a unit"
        )
    return notes


def _figure(title, source, run):
    return Figure(f"{title}, of narrow convolutional networks", f"{PAPER}, {source}", run)


CONV_FIGURES = {
    f"convnets_{round(100 * sparsity)}": _figure(
        f"Accuracy of all methods at sparsity {sparsity:g}"
        + (", empty neurons and inputs" if sparsity == MASKED else ""),
        "tables 1 to 3" + (" and 4" if sparsity == MASKED else ""),
        partial(grid, (sparsity,)),
    )
    for sparsity in SPARSITIES
} | {
    "convnets": _figure("All tables", "tables 1 to 4", partial(grid, SPARSITIES)),
    "table4_convnets": _figure("Empty neurons and inputs, trained and not", "table 4", table4),
}
