"""Figure 2: sparse networks with and without evolution over density (section 4.2).

Panel (a) is here, three hidden layers on Fashion-MNIST, and what it shares with panel (b).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sparse_ref import plots
from sparse_ref.experiments.evidence import Sample, near, ordered, percent
from sparse_ref.experiments.liu_2020.images import HELD_OUT, Prepared, fashion_mnist
from sparse_ref.experiments.liu_2020.networks import (
    DENSE,
    EVOLVES,
    FIX,
    FIXED,
    SET,
    accuracies,
    config,
)
from sparse_ref.experiments.recipe import Claim, Context, Report, Table
from sparse_ref.experiments.sweep import Job, Outcome

ENOUGH, FEW = 0.2, 0.006  # the two densities that the text of section 4.2 names
SIMILAR = 0.01  # the paper's ten networks of table 1 are within 0.7 points of each other

PAPER_DENSITIES = (0.001, 0.006, 0.01, 0.02, 0.03, 0.05, 0.06, 0.1, 0.2, 0.3, 0.4, 0.5)

Cell = tuple[str, float | None]  # name, density
Values = Mapping[Cell, tuple[float, ...]]  # accuracies


@dataclass(frozen=True)
class Settings:
    """What differs between scales."""

    densities: tuple[float, ...] = PAPER_DENSITIES
    images: int = 60_000  # for training, those held out included
    layers: int = 3  # hidden ones
    hidden: int = 784
    epochs: int = 200
    seeds: int = 8
    dense_seeds: int = 2


SETTINGS = {
    "smoke": Settings((0.05, 0.2), images=500, hidden=60, epochs=2, seeds=2),
    "laptop": Settings((0.001, 0.006, 0.02, 0.05, 0.2), images=12_500, epochs=60, seeds=3),
    "paper": Settings(),
}


@dataclass(frozen=True)
class Panel:
    """What (a) and (b) do not share."""

    name: str
    settings: Mapping[str, Settings]  # by scale
    prepared: Callable[[Context, int], Prepared]
    claims: Callable[[Values, Settings], list[Claim]]


def run(context: Context) -> Report:
    """Train SET-MLP and Fix-MLP at every density, and dense networks beside them."""
    return of_panel(Panel("a", SETTINGS, fashion_mnist, _claims), context)


def of_panel(panel: Panel, context: Context) -> Report:
    """Either panel."""
    settings = panel.settings[context.scale]
    images = panel.prepared(context, settings.images)
    outcomes = context.train(_jobs(settings, images, context), {"data": images.data})
    found: dict[Cell, list[Outcome]] = {}
    for outcome in outcomes:
        key = outcome.job.name, outcome.config.model.density
        found.setdefault(key, []).extend([outcome] if not outcome.failure else [])
    return _report(found, panel, settings, images)


def _jobs(settings: Settings, images: Prepared, context: Context) -> list[Job]:
    seeds = context.seed_numbers(settings.seeds)
    dense_seeds = context.seed_numbers(settings.dense_seeds)
    cells: list[tuple[str, float | None, int]] = [(DENSE, None, seed) for seed in dense_seeds]
    for density in sorted(settings.densities, reverse=True):
        cells += [(name, density, seed) for name in (SET, FIX) for seed in seeds]
    return [_job(name, density, seed, settings, images) for name, density, seed in cells]


def _job(name: str, density: float | None, seed: int, settings: Settings, images: Prepared) -> Job:
    method = EVOLVES if name == SET else FIXED
    hidden = [settings.hidden] * settings.layers
    whole = config(method, hidden, density, settings.epochs, seed, *images.origin)
    return Job(name, whole, curve=True)


def _report(found, panel, settings, images):
    values = {key: accuracies(group) for key, group in found.items()}
    curves = {
        name: {
            density: np.array(values[name, density])
            for density in settings.densities
            if values[name, density]
        }
        for name in (SET, FIX)
    }
    dense = np.array(values[DENSE, None])
    picture = plots.over_density(curves, "test accuracy", dense if dense.size else None)
    return Report(
        tables=[_table(found, values, settings)],
        claims=panel.claims(values, settings),
        pictures={f"figure_2{panel.name}.png": picture},
        notes=_notes(panel, settings, images),
        numbers={
            "accuracy": [
                {"network": name, "density": density, "values": list(group)}
                for (name, density), group in values.items()
            ],
        },
    )


def _table(found, values, settings):
    headings = ("density of\nhidden layers", "connections\nof a network", f"{SET}\n%", f"{FIX}\n%")
    rows = []
    for density in sorted(settings.densities):
        group = found[SET, density]
        connections = f"{sum(group[0].connections[1]):,}" if group else "–"
        rows.append(
            (f"{density:g}", connections, *(percent(values[n, density]) for n in (SET, FIX)))
        )
    group = found[DENSE, None]
    connections = f"{sum(group[0].connections[1]):,}" if group else "–"
    rows.append((DENSE, connections, percent(values[DENSE, None]), ""))
    title = "Test accuracy at the best validation accuracy, mean ± standard deviation over seeds"
    return Table(title, headings, tuple(rows))


def reached(values: Values, name: str, density: float, words: str) -> Claim:
    """That networks of a density are as accurate as the dense one."""
    sample = Sample(f"{name} at {100 * density:g} %", values[name, density])
    dense = Sample(DENSE, values[DENSE, None])
    return near(f"{name} reaches the accuracy of the dense MLP {words}", sample, dense, SIMILAR)


def _claims(values, settings):
    claims = [
        reached(values, name, density, words)
        for density, words in ((ENOUGH, "from 20 % on"), (FEW, "even at 0.6 %"))
        if density in settings.densities
        for name in (SET, FIX)
    ]
    most, least = max(settings.densities), min(settings.densities)
    ends = [Sample(f"{FIX} at {100 * d:g} %", values[FIX, d]) for d in (most, least)]
    return [
        *claims,
        ordered("accuracy decreases with the density", ends),
        better(values, settings.densities, "slightly better"),
    ]


def better(values: Values, densities: Sequence[float], how: str) -> Claim:
    """That evolution pays."""
    overall = [_overall(name, values, densities) for name in (SET, FIX)]
    paper = f"SET-MLP is {how} than Fix-MLP (mean over all densities)"
    return ordered(paper, overall, "paired")


def _overall(name, values, densities):
    """Of each seed the mean over densities; of none, if a training failed."""
    groups = [values[name, density] for density in densities]
    whole = len({len(group) for group in groups}) == 1
    return Sample(name, tuple(map(float, np.mean(groups, axis=0))) if whole else ())


def _notes(panel, settings, images):
    notes = [
        f"{images.network([settings.hidden] * settings.layers)}; {100 * HELD_OUT:g} % of the "
        "training images chose the epoch",
        *images.notes,
        "initialisation, first values of grown weights and the density of the output layer are not "
        "stated in the paper; see the recipe's docstring",
    ]
    paper = panel.settings["paper"]
    if settings != paper:
        notes.append(
            f"reduced: {images.n_train:,} training images ({paper.images:,} in the paper), "
            f"{settings.epochs} epochs ({paper.epochs}), {len(settings.densities)} densities "
            f"({len(paper.densities)}), {settings.hidden} units a layer ({paper.hidden}), "
            f"{settings.seeds} seeds unless asked otherwise ({paper.seeds})"
        )
    return notes
