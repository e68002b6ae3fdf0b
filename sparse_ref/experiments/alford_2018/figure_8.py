"""Figure 8: many retrainings of one structure, and why some of them get stuck.

The hypothesis: a ReLU stands on the outputs. Where the output of a class is zero for all of its
images, none of them has a gradient that could raise it, and the class is never learned. So networks
get stuck at the accuracies that are left without one, two, three classes, and not because they are
sparse. It is tested by the same retrainings without that ReLU, and by dense networks with it; and,
beside structures that pruning left, on random ones with as many connections in every layer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from sparse_ref import topology
from sparse_ref.experiments.alford_2018 import figure_8_judged, pruning_pictures
from sparse_ref.experiments.alford_2018.figure_8_judged import (
    DENSE,
    DENSITIES,
    LOGITS,
    PRUNED,
    RANDOM,
    RATES,
    SPARSEST,
    Found,
    Key,
    Retrained,
    places,
)
from sparse_ref.experiments.alford_2018.networks import RATE, parts
from sparse_ref.experiments.alford_2018.retraining import (
    LENET_5,
    LENET_300_100,
    LINEAR,
    PROGRAM,
    Model,
    Plan,
    Schedule,
    classes,
    network,
    seeds_of,
    structure_of,
)
from sparse_ref.experiments.recipe import Context, Part, Report
from sparse_ref.experiments.sweep import Outcome

FIRST = 500  # seed of the first structure: none of figure 7's


@dataclass(frozen=True)
class Settings:
    """What differs between scales."""

    data: str = "mnist"
    images: int | None = None
    pruning_epochs: int = 24
    epochs: int = 18
    schedule: Schedule = PROGRAM
    structures: int = 2
    retrainings: int = 25  # of each structure
    dense: int = 25
    model: Model = LENET_300_100
    densities: tuple[float, ...] = DENSITIES
    rates: tuple[float, ...] = RATES  # at the highest sparsity
    tested: int | None = None  # test images; None: all


SETTINGS = {
    "smoke": Settings("fashion-mnist", 300, 5, 4, Schedule(3, 9, 3), 1, retrainings=2, dense=2),
    "laptop": Settings(retrainings=4, dense=6),
    "paper": Settings(),
}
FEW = (LENET_5, (0.25, 0.1), (RATE,))
ON_LENET_5 = {
    "smoke": Settings("fashion-mnist", 200, 3, 2, Schedule(2, 4, 2), 1, 1, 1, *FEW, tested=100),
    # 600 steps, of which pruning takes those from 140 to 440, and 400 to retrain
    "laptop": Settings("mnist", 20_000, 3, 2, Schedule(140, 440, 20), 1, 4, 3, *FEW),
    "paper": Settings(model=LENET_5),
}


def run(context: Context) -> Report:
    """LeNet-300-100: retrain pruned structures many times."""
    return retrained(SETTINGS, context)


def run_lenet_5(context: Context) -> Report:
    """The same of LeNet-5, which the paper shows."""
    return retrained(ON_LENET_5, context)


def retrained(scales: Mapping[str, Settings], context: Context) -> Report:
    """Prune a few networks, retrain their structures many times, with the ReLU and without."""
    settings = scales[context.scale]
    images = context.images(settings.data)
    data = parts(images, settings.images, settings.tested)
    pruning = Plan(images.name, settings.pruning_epochs, settings.model, settings.schedule)
    first = list(context.seed_numbers(settings.structures, FIRST))
    cells = [(density, seed) for density in settings.densities for seed in first]
    jobs = [pruning.pruned(density, seed, LINEAR) for density, seed in cells]
    pruned = dict(zip(cells, context.train(jobs, {"data": data}), strict=True))
    plan = replace(pruning, epochs=settings.epochs)
    again = _again(pruned, plan, settings)
    outcomes = context.train([job for *_, job in again], {"data": data})
    found: dict[Key, list[Retrained]] = {}
    for (key, structure, _), outcome in zip(again, outcomes, strict=True):
        found.setdefault(key, []).extend(_retrained(structure, outcome, data.test))
    return report(found, settings, plan, data.test[1], scales["paper"])


def _again(pruned, plan, settings):
    """(key, seed of the structure, job) of every retraining; dense networks first."""
    every = [
        (Key(logits, DENSE, 1.0, plan.rate), 0, plan.dense(seed, logits))
        for logits in LOGITS
        for seed in seeds_of([0], settings.dense)
    ]
    for (density, structure), outcome in pruned.items():
        rng = np.random.default_rng([structure, round(1 / density)])
        random = topology.uniform(plan.model.shapes, density, rng)
        every += _of_structure(RANDOM, density, structure, random, plan, settings)
        if not outcome.failure:
            left = structure_of(outcome)
            every += _of_structure(PRUNED, density, structure, left, plan, settings)
    return every


def _of_structure(kind, density, seed, structure, plan, settings):
    rates = settings.rates if (kind, density) == (PRUNED, SPARSEST) else (plan.rate,)
    return [
        (
            Key(logits, kind, density, rate),
            seed,
            replace(plan, rate=rate).retrained(kind, structure, density, new, logits),
        )
        for logits in LOGITS
        for rate in rates
        for new in seeds_of([seed], settings.retrainings)
    ]


def _retrained(structure: int, outcome: Outcome, test: Part) -> list[Retrained]:
    """One of a training that ended, none of one that diverged."""
    if outcome.failure:
        return []
    logits = outcome.config.model.logits_activation
    seen = classes(network(outcome).predict(test[0]), test[1], logits)
    curve = tuple(outcome.curve["test"].tolist())
    return [Retrained(structure, outcome.config.seed, outcome.test.accuracy, curve, seen)]


def report(
    found: Found,
    settings: Settings,
    plan: Plan,
    labels: np.ndarray,
    paper: Settings = SETTINGS["paper"],
) -> Report:
    """What the retrainings came to; `labels` are the test images'."""
    usual = {
        key: found.get(key, ())
        for key in (
            Key(logits, kind, density, plan.rate)
            for logits in LOGITS
            for kind, density in places(settings.densities)
        )
    }
    pictures = {}
    for kind, name in ((PRUNED, "figure_8"), (RANDOM, "figure_8_random")):
        part = {key: group for key, group in usual.items() if key.kind in (DENSE, kind)}
        pictures[f"{name}.png"] = pruning_pictures.over_time(part)
        pictures[f"{name}_histograms.png"] = pruning_pictures.histograms(part, labels)
    pictures["figure_8_dead_classes.png"] = pruning_pictures.against_dead(usual, labels)
    return Report(
        tables=[figure_8_judged.table(usual), *figure_8_judged.rates(found)],
        claims=figure_8_judged.claims(usual, found),
        pictures=pictures,
        notes=_notes(settings, plan, paper),
        numbers={
            "retrainings": [
                {**key._asdict(), **r._asdict(), "seen": r.seen._asdict()}
                for key, group in found.items()
                for r in group
            ]
        },
    )


def _notes(settings, plan, paper):
    notes = [
        f"{plan.model.name} on {plan.data}"
        + ("" if plan.model == LENET_5 else "; the paper shows LeNet-5"),
        "structures come from networks with linear outputs, so that no class is dead in them; with "
        "the ReLU and without, retrainings have the same structures, new weights and batches",
        "random structures, ours, have as many connections in every layer as those that are pruned",
        "a class is dead if its output, after the ReLU, is zero for every test image of its own; "
        "a network is stuck if it predicts some class for no image; where all outputs are zero the "
        "first class is taken, so the first of the dead may be right all the same",
        "accuracies are those of the final networks",
    ]
    if settings != paper:
        reduced = (
            f"reduced: {settings.structures} structures, {settings.retrainings} retrainings of "
            f"each ({paper.structures} and {paper.retrainings} at scale paper)"
        )
        same = (settings.images, settings.epochs) == (paper.images, paper.epochs)
        notes.append(reduced if same else f"{reduced}, {_shorter(settings, paper)}")
    return notes


def _shorter(settings, paper):
    return (
        f"{settings.images:,} training images, {settings.pruning_epochs} epochs of pruning "
        f"({paper.pruning_epochs}), {settings.epochs} of retraining ({paper.epochs}), "
        f"{len(settings.densities)} densities ({len(paper.densities)}), {len(settings.rates)} "
        f"learning rates ({len(paper.rates)}); in so short a training a network may not have begun "
        "to learn, which looks like being stuck"
    )
