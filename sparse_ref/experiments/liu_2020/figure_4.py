"""Figure 4 and table 1: ten networks that begin alike drift apart under SET (section 4.3)."""

from dataclasses import dataclass

import numpy as np

from sparse_ref import plots_topology
from sparse_ref.experiments.evidence import PLAIN, Sample, between, ordered, percent
from sparse_ref.experiments.liu_2020 import published
from sparse_ref.experiments.liu_2020.images import parts
from sparse_ref.experiments.liu_2020.networks import (
    EVOLVES,
    accuracy,
    begun,
    config,
    distances,
    family,
)
from sparse_ref.experiments.recipe import Claim, Context, Report, Table
from sparse_ref.experiments.sweep import Job

DENSITY = 0.006
FIRST_SEED = 40  # the root's; its descendants train with the numbers that follow
SIMILAR = 0.01  # table 1 spans 0.7 points


@dataclass(frozen=True)
class Settings:
    """What differs between scales."""

    images: int = 60_000  # for training, those held out included
    hidden: int = 784
    networks: int = 10
    epochs: int = 200
    shown: tuple[int, ...] = (10, 30, 100, 190)


SETTINGS = {
    "smoke": Settings(500, hidden=40, networks=3, epochs=3, shown=(1, 3)),
    "laptop": Settings(),  # rewiring needs whole epochs between, and they are cheap enough
    "paper": Settings(),
}


def run(context: Context) -> Report:
    """Train a root and its descendants with SET; compare them as they evolve."""
    settings = SETTINGS[context.scale]
    images = context.images("fashion-mnist")
    jobs = _jobs(settings, images.name)
    outcomes = context.train(jobs, {"data": parts(images, settings.images)})
    ended = [outcome for outcome in outcomes if not outcome.failure]
    at = {0: distances([begun(outcome) for outcome in ended], context)}
    for epoch in settings.shown:
        at[epoch] = distances([outcome.snapshots[epoch] for outcome in ended], context)
    return _report(at, ended, settings, images.name)


def _jobs(settings: Settings, data: str) -> list[Job]:
    """The root first; every network draws its own weights and batches."""
    configs = [
        config(EVOLVES, [settings.hidden] * 3, DENSITY, settings.epochs, FIRST_SEED + k, data)
        for k in range(settings.networks)
    ]
    networks = family(configs[0], settings.networks - 1)
    return [
        Job(f"w{k}", whole, curve=True, start=network, keep=settings.shown)
        for k, (whole, network) in enumerate(zip(configs, networks, strict=True))
    ]


def _of_each(matrix, epoch):
    """Of every network the mean distance to the others."""
    n = len(matrix)
    return Sample(f"epoch {epoch}", tuple(matrix.sum(axis=1) / (n - 1)), PLAIN)


def _report(at, ended, settings, data):
    samples = {epoch: _of_each(matrix, epoch) for epoch, matrix in at.items()}
    tests = tuple(accuracy(outcome) for outcome in ended)
    best = tuple(float(np.max(outcome.curve["validation"])) for outcome in ended)
    names = [outcome.job.name for outcome in ended]
    titles = {f"epoch {epoch}": matrix for epoch, matrix in at.items()}
    return Report(
        tables=[_distances(at), _accuracies(names, tests, best)],
        claims=_claims(samples, tests, best),
        pictures={"figure_4.png": plots_topology.heat_maps(titles, labels=names)},
        notes=[*_notes(settings, data), *_pace(samples)],
        numbers={
            "epochs": {str(epoch): matrix.tolist() for epoch, matrix in at.items()},
            "test": list(tests),
            "validation": list(best),
        },
    )


def _distances(at):
    rows = []
    for epoch, matrix in at.items():
        values = matrix[np.triu_indices(len(matrix), 1)]
        cells = (f"{value:.3f}" for value in (values.min(), values.mean(), values.max()))
        rows.append((str(epoch), *cells))
    title = "NNSTD between the networks' first layers, over all pairs"
    return Table(title, ("epoch", "least", "mean", "largest"), tuple(rows))


def _accuracies(names, tests, best):
    rows = []
    for name, test, validation in zip(names, tests, best, strict=True):
        stated = published.TABLE_1[int(name[1:])]
        rows.append((name, percent([test]), percent([validation]), percent([stated])))
    rows.append(("all", percent(tests), percent(best), percent(published.TABLE_1)))
    return Table(
        "Table 1: accuracy %, at the epoch of the best validation accuracy",
        ("network", "test", "validation", "published"),
        tuple(rows),
    )


def _claims(samples, tests, best):
    last = list(samples.values())[-1]
    return [
        between("at first the networks are nearly the same", samples[0], 0.0, 0.2),
        ordered("the distance between them keeps growing", list(samples.values())[::-1], "paired"),
        between("from 0 to 0.6", last, *published.FIGURE_4_END),
        _similar("they end with very similar test accuracy", tests),
        _similar("as do the numbers of table 1, which are of held-out images: 0.68 points", best),
    ]


def _similar(paper, values):
    """From the least to the largest no more than `SIMILAR`."""
    if not values:
        return Claim(paper, "nothing", None, "no training ended")
    span = max(values) - min(values)
    measured = f"{percent(values)}, from least to largest {100 * span:.2f} points"
    limit = f"similar: within {100 * SIMILAR:g} points"
    return Claim(paper, f"{measured}; {limit}", bool(span <= SIMILAR))


def _pace(samples):
    """How much of the growth comes before the first epoch that is shown."""
    means = [sample.mean for sample in samples.values()]
    growth = means[-1] - means[0]
    if not growth > 0:
        return []
    early = 100 * (means[1] - means[0]) / growth
    first = list(samples)[1]
    return [f"{early:.0f} % of the growth comes in the first {first} epochs; the paper: gradually"]


def _notes(settings, data):
    notes = [
        f"trained on {data}; the published accuracies are of validation images",
        "spread of distances: over networks, of each the mean distance to the others",
    ]
    paper = SETTINGS["paper"]
    if settings != paper:
        notes.append(
            f"reduced: {settings.images:,} training images ({paper.images:,} in the paper), "
            f"{settings.epochs} epochs ({paper.epochs}), {settings.networks} networks "
            f"({paper.networks})"
        )
    return notes
