"""Recipe: Global Gradient-based Redistribution (GGR) against SET, RigL and DSR.

References
----------
Parger et al. (2022), "Gradient-based Weight Density Balancing for Robust Dynamic Sparse Training",
ICML, sections 4 and 5: tables 1 to 4, figures 2 and 3. No public code was found.

As in the paper
---------------
* One schedule for all: SGD at rate 0.1, a fifth of it after 30, 60 and 80 % of the epochs, warm-up
  from 0 in the first epoch; batches of 128; 200 epochs at scale paper.
* At the start of every epoch but the first, connections are redistributed: 10 % at epoch 1 (from
  0), falling along a cosine to none at half of the training. The rest trains what remains.
* Sparsity 0.9, 0.97 and 0.99, allocated by ERK or uniformly, first and last layer included; random
  patterns, Kaiming-uniform weights.
* Rows SET and RigL are GGR's own options: local distribution, random or gradient insertion. They
  share the drop rule, the epochs and what grown connections weigh, as the rows of table 3 do; the
  paper shares "one set of hyper-parameters" over all. They are not `methods.SET`, `methods.RigL`.

Departures
----------
* Multilayer perceptrons on Fashion-MNIST in the place of VGG16, ResNet-18 and MobileNetv2 on
  CIFAR-100 and Tiny-ImageNet; see `grid`. What the paper says of VGG16, its badly balanced network,
  is asked of the badly balanced one here. The figures called ``convnets`` are of those three
  networks, narrow and on CIFAR-10; see `convnets`.
* The perceptrons do not normalise between layers. With weights drawn for as many inputs as a
  unit could have, a signal would die out at 1 % density; the fan of Kaiming's law is a layer's mean
  number of connections per unit.
* Momentum 0.9, not Nesterov's; weight decay 0.0005. The paper gives neither.
* Several trainings a cell. The paper tells neither how many it did nor their spread.
* DSR keeps its own rule, which has no falling fraction: at every event it aims at 10 % of the
  connections. The first threshold is that below which 10 % of the starting weights are expected.
  It rewires after an epoch's last update; GGR takes the place of the next epoch's first.
* The paper leaves out what stays below 5 % accuracy, of 100 and 200 classes. Here only a training
  that diverged is left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import numpy as np

from sparse_ref.experiments.parger_2022 import pictures, tables
from sparse_ref.experiments.parger_2022.convnet_figures import CONV_FIGURES
from sparse_ref.experiments.parger_2022.grid import (
    COLUMNS,
    DENSE,
    MASKED,
    RIVALS,
    ROWS,
    SETTINGS,
    STARTS,
    Cell,
    Results,
    Settings,
    cells,
    job,
    numbers_of,
)
from sparse_ref.experiments.recipe import Context, Figure, Report, drawn, joined
from sparse_ref.experiments.runner import Data

SUBSET_SEED = 2022  # the images of a reduced scale are the same for all trainings


@dataclass(frozen=True)
class Exhibit:
    """A table or figure: what it needs trained, and what it makes of that."""

    title: str
    source: str
    cells: Callable[[Settings], Sequence[Cell]]
    report: Callable[[Results], Report]


def _everywhere(methods, columns=COLUMNS):
    return lambda settings: cells(settings.networks, methods, columns)


EXHIBITS = {
    "table1": Exhibit(
        "Accuracy of SET, RigL, DSR and GGR by network, sparsity and start",
        "Parger et al. 2022, table 1",
        _everywhere((DENSE, *RIVALS)),
        tables.table1,
    ),
    "table2": Exhibit(
        "Accuracy averaged over networks",
        "Parger et al. 2022, table 2",
        _everywhere((DENSE, *RIVALS)),
        tables.table2,
    ),
    "table3": Exhibit(
        "GGR taken apart: local or global numbers, random or gradient insertion or both",
        "Parger et al. 2022, table 3",
        _everywhere(ROWS),
        tables.table3,
    ),
    "table4": Exhibit(
        "Empty neurons and inputs, and the parameters of a network without them",
        "Parger et al. 2022, table 4",
        _everywhere(RIVALS, [(MASKED, start) for start in STARTS]),
        tables.table4,
    ),
    "fig2": Exhibit(
        "Density and number of connections of every layer",
        "Parger et al. 2022, figure 2",
        _everywhere(RIVALS, pictures.PROFILED),
        pictures.fig2,
    ),
    "fig3": Exhibit(
        "Masks of one layer",
        "Parger et al. 2022, figure 3",
        lambda settings: cells(settings.networks[:1], RIVALS, [(MASKED, "ERK")]),
        pictures.fig3,
    ),
}


def reproduced(exhibits: Sequence[Exhibit], context: Context) -> Report:
    """Train what `exhibits` need, each cell once, and put their reports together."""
    settings = SETTINGS[context.scale]
    wanted = dict.fromkeys(chain.from_iterable(exhibit.cells(settings) for exhibit in exhibits))
    results = _trained(sorted(wanted, key=lambda cell: cell.sparsity), settings, context)
    whole = joined([exhibit.report(results) for exhibit in exhibits])
    return replace(
        whole,
        notes=[*_notes(settings, context), *whole.notes],
        numbers={"cells": [numbers_of(cell, results) for cell in results.outcomes]},
    )


def _trained(wanted, settings, context):
    """Long trainings first, so that no worker is left with one at the end."""
    images = context.images("fashion-mnist")
    n = settings.images or len(images.train[1])
    train = drawn(images.train, n, np.random.default_rng(SUBSET_SEED))
    seeds = context.seed_numbers(settings.seeds)
    jobs = [
        job(cell, settings.epochs, images.name, len(train[1]), s) for cell in wanted for s in seeds
    ]
    outcomes = iter(context.train(jobs, {"data": Data(train, None, images.test)}))
    by_cell = {cell: [next(outcomes) for _ in seeds] for cell in wanted}
    ended = {cell: [o for o in found if not o.failure] for cell, found in by_cell.items()}
    return Results(settings.networks, ended)


def _notes(settings, context):
    paper = SETTINGS["paper"]
    notes = [
        "multilayer perceptrons on Fashion-MNIST; the paper's networks are convnets on CIFAR-100 "
        "and Tiny-ImageNet",
        "SET and RigL are GGR with local distribution and random or gradient insertion, on the "
        "schedule of GGR",
        "momentum 0.9 and weight decay 0.0005 are ours; the paper gives neither",
    ]
    if settings != paper:
        seeds = len(context.seed_numbers(settings.seeds))
        notes.append(
            f"reduced: {settings.epochs} epochs instead of {paper.epochs}, so connections are "
            f"redistributed {settings.epochs // 2 - 1} times instead of {paper.epochs // 2 - 1}; "
            f"at most {settings.images:,} training images; {seeds} trainings a cell"
        )
    return notes


FIGURES = {
    name: Figure(exhibit.title, exhibit.source, partial(reproduced, [exhibit]))
    for name, exhibit in EXHIBITS.items()
} | {
    "all": Figure(
        "All tables and figures of this recipe, from one set of trainings",
        "Parger et al. 2022, tables 1 to 4, figures 2 and 3",
        partial(reproduced, list(EXHIBITS.values())),
    ),
    **CONV_FIGURES,
}
