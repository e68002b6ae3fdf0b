"""Figure 5: distances of networks of many densities, before and after SET (section 4.3)."""

from dataclasses import dataclass
from itertools import count, product

from sparse_ref import plots_topology
from sparse_ref.experiments.evidence import PLAIN, Sample, ordered
from sparse_ref.experiments.liu_2020.images import parts
from sparse_ref.experiments.liu_2020.networks import (
    EVOLVES,
    begun,
    config,
    distances,
    family,
    pairs,
)
from sparse_ref.experiments.recipe import Context, Report, Table
from sparse_ref.experiments.sweep import Job, Outcome

ROOTS = 2  # of every density
FIRST_SEED = 500


@dataclass(frozen=True)
class Settings:
    """What differs between scales."""

    densities: tuple[float, ...]
    images: int = 60_000  # for training, those held out included
    hidden: int = 784
    children: int = 3  # of every root
    epochs: int = 200


SETTINGS = {
    "smoke": Settings((0.02, 0.2), images=500, hidden=40, children=1, epochs=2),
    "laptop": Settings((0.001, 0.006, 0.02, 0.05, 0.2), images=12_500, children=1, epochs=60),
    "paper": Settings((0.001, 0.006, 0.01, 0.02, 0.03, 0.05, 0.06, 0.1, 0.2, 0.3, 0.4, 0.5)),
}


def run(context: Context) -> Report:
    """Train roots and descendants of every density with SET; compare all before and after."""
    settings = SETTINGS[context.scale]
    images = context.images("fashion-mnist")
    outcomes = context.train(_jobs(settings, images.name), {"data": parts(images, settings.images)})
    ended = sorted((o for o in outcomes if not o.failure), key=_density)
    before = distances([begun(outcome) for outcome in ended], context)
    after = distances([outcome.snapshots[settings.epochs] for outcome in ended], context)
    return _report(ended, before, after, settings, images.name)


def _jobs(settings: Settings, data: str) -> list[Job]:
    """The densest first: they take longest. Every network has its own seed."""
    jobs = []
    seeds = count(FIRST_SEED)
    for density, root in product(sorted(settings.densities, reverse=True), range(ROOTS)):
        configs = [
            config(EVOLVES, [settings.hidden] * 3, density, settings.epochs, next(seeds), data)
            for _ in range(settings.children + 1)
        ]
        networks = family(configs[0], settings.children)
        jobs += [
            Job(f"root {root + 1}", whole, start=network, keep=(settings.epochs,))
            for whole, network in zip(configs, networks, strict=True)
        ]
    return jobs


def _density(outcome: Outcome) -> float:
    return outcome.config.model.density or 1.0


def _kinds(ended, matrix, density):
    """Distances of networks of one root, and of networks of different roots."""
    roots = [
        [
            k
            for k, outcome in enumerate(ended)
            if (outcome.job.name, outcome.config.model.density) == (f"root {r + 1}", density)
        ]
        for r in range(ROOTS)
    ]
    same = sum((pairs(matrix, root, root) for root in roots), ())
    return same, pairs(matrix, roots[0], roots[1])


def _report(ended, before, after, settings, data):
    densities = sorted({outcome.config.model.density for outcome in ended})
    rows, claims = [], []
    for density in densities:
        name = f"{100 * density:g} %"
        found = [
            Sample(when, values, PLAIN)
            for kind in zip(
                _kinds(ended, before, density), _kinds(ended, after, density), strict=True
            )
            for when, values in zip(("before", "after"), kind, strict=True)
        ]
        rows.append((f"{density:g}", *(sample.spread for sample in found)))
        claim = f"networks of one root at {name} are further apart after training than before"
        claims.append(ordered(claim, [found[1], found[0]], "paired"))
    headings = ("density", "one root,\nbefore", "one root,\nafter", "two roots,\nbefore", "after")
    title = "NNSTD of the first layers, mean ± standard deviation over pairs"
    groups = {f"{100 * d:g} %": sum(o.config.model.density == d for o in ended) for d in densities}
    panels = {"before training": before, "after training": after}
    return Report(
        tables=[Table(title, headings, tuple(rows))],
        claims=claims,
        pictures={"figure_5.png": plots_topology.heat_maps(panels, groups=groups)},
        notes=_notes(ended, settings, data),
        numbers={
            "density": [outcome.config.model.density for outcome in ended],
            "root": [outcome.job.name for outcome in ended],
            "before": before.tolist(),
            "after": after.tolist(),
            "accuracy": [outcome.test.accuracy for outcome in ended],
        },
    )


def _notes(ended, settings, data):
    notes = [f"{len(ended)} networks trained on {data}; in the paper 96"]
    paper = SETTINGS["paper"]
    if settings != paper:
        notes.append(
            f"reduced: {settings.images:,} training images ({paper.images:,} in the paper), "
            f"{settings.epochs} epochs ({paper.epochs}), {len(settings.densities)} densities "
            f"({len(paper.densities)}), {settings.children} descendants of a root "
            f"({paper.children})"
        )
    return notes
