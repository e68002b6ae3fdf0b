"""Figure 6, on CIFAR-10: networks of different seeds, and a network's own past (section 4.3)."""

from dataclasses import dataclass

import numpy as np

from sparse_ref import plots_topology
from sparse_ref.experiments.evidence import PLAIN, Sample, between, ordered, percent
from sparse_ref.experiments.liu_2020 import published
from sparse_ref.experiments.liu_2020.images import Prepared, cifar10
from sparse_ref.experiments.liu_2020.networks import (
    EVOLVES,
    begun,
    config,
    distances,
    family,
)
from sparse_ref.experiments.recipe import Context, Report, Table
from sparse_ref.experiments.sweep import Job

DENSITY = 0.007
FAR = (0.5, 1.0)  # what "very big" is taken for


@dataclass(frozen=True)
class Settings:
    """What differs between scales."""

    images: int  # for training, those held out included
    hidden: int = 1000
    networks: int = 10
    epochs: int = 900
    every: int = 100  # epochs between the topologies of figure 6 (c)


SETTINGS = {
    "smoke": Settings(500, hidden=40, networks=3, epochs=4, every=2),
    "laptop": Settings(50_000, networks=4, epochs=125, every=25),
    "paper": Settings(50_000),
}


def run(context: Context) -> Report:
    """Train networks of different seeds with SET; compare them, and each with its own past."""
    settings = SETTINGS[context.scale]
    images = cifar10(context, settings.images)
    jobs = _jobs(settings, images, context)
    outcomes = context.train(jobs, {"data": images.data})
    ended = [outcome for outcome in outcomes if not outcome.failure]
    before = distances([begun(outcome) for outcome in ended], context)
    after = distances([outcome.snapshots[settings.epochs] for outcome in ended], context)
    own = [distances([begun(o), *o.snapshots.values()], context) for o in ended]
    return _report(before, after, own, ended, settings, images)


def _jobs(settings: Settings, images: Prepared, context: Context) -> list[Job]:
    keep = tuple(range(settings.every, settings.epochs + 1, settings.every))
    configs = [
        config(EVOLVES, [settings.hidden] * 2, DENSITY, settings.epochs, seed, *images.origin)
        for seed in context.seed_numbers(settings.networks)
    ]
    return [
        Job(f"s{k}", whole, start=family(whole, 0)[0], keep=keep) for k, whole in enumerate(configs)
    ]


def _report(before, after, own, ended, settings, images):
    epochs = list(range(0, settings.epochs + 1, settings.every))
    upper = np.triu_indices(len(before), 1)
    apart = [
        Sample(when, tuple(map(float, matrix[upper])), PLAIN)
        for when, matrix in (("before", before), ("after", after))
    ]
    to_start = [
        Sample(f"epoch {epoch}", tuple(float(matrix[0, k]) for matrix in own), PLAIN)
        for k, epoch in enumerate(epochs)
    ]
    names = [outcome.job.name for outcome in ended]
    panels = {"(a) before training": before, "(b) after training": after}
    pictures = {"figure_6ab.png": plots_topology.heat_maps(panels, labels=names)}
    if own:
        panel = {f"(c) {names[0]} at epochs": own[0]}
        pictures["figure_6c.png"] = plots_topology.heat_maps(panel, labels=list(map(str, epochs)))
    accuracy = tuple(outcome.test.accuracy for outcome in ended)
    return Report(
        tables=_tables(apart, to_start, accuracy),
        claims=_claims(apart, to_start),
        pictures=pictures,
        notes=_notes(settings, images),
        numbers={
            "before": before.tolist(),
            "after": after.tolist(),
            "own": [matrix.tolist() for matrix in own],
            "accuracy": list(accuracy),
        },
    )


def _tables(apart, to_start, accuracy):
    seeds = (*((sample.name, sample.spread) for sample in apart),)
    past = (*((sample.name.split()[1], sample.spread) for sample in to_start),)
    return [
        Table("NNSTD of networks of different seeds, over all pairs", ("training", "NNSTD"), seeds),
        Table("NNSTD of a network to its own start, over networks", ("epoch", "NNSTD"), past),
        Table("Test accuracy %", ("networks", "accuracy"), (("all", percent(accuracy)),)),
    ]


def _claims(apart, to_start):
    before, after = apart
    return [
        between("before training the distance of two seeds is very big", before, *FAR),
        between("after training they have very different topologies, too", after, *FAR),
        ordered("a network moves away from its start", to_start[:0:-1], "paired"),
        between("to around 0.8", to_start[-1], *published.FIGURE_6_END),
    ]


def _notes(settings, images):
    notes = [
        f"{images.network([settings.hidden] * 2)}; the paper's is 3072-1000-1000-10 on CIFAR-10",
        *images.notes,
        f"very big: from {FAR[0]:g}; spread of (a) and (b) over pairs, of (c) over networks",
    ]
    paper = SETTINGS["paper"]
    if settings != paper:
        notes.append(
            f"reduced: {images.n_train:,} training images ({paper.images:,} at scale paper), "
            f"{settings.epochs} epochs ({paper.epochs}), {settings.networks} networks unless asked "
            f"otherwise ({paper.networks})"
        )
    return notes
