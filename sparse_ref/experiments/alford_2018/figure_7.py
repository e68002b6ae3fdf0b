"""Figure 7: networks pruned while they train, and new weights on what is left of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sparse_ref.experiments.alford_2018 import figure_7_judged, pruning_pictures
from sparse_ref.experiments.alford_2018.figure_7_judged import (
    AGAIN,
    DENSE,
    DENSITIES,
    ITERATIVE,
    LOGITS,
    ONCE,
    Ended,
    Found,
    Key,
    samples_of,
)
from sparse_ref.experiments.alford_2018.figure_9 import LAST, accuracy
from sparse_ref.experiments.alford_2018.networks import parts
from sparse_ref.experiments.alford_2018.retraining import (
    LENET_5,
    LENET_300_100,
    PROGRAM,
    Model,
    Plan,
    Schedule,
    classes,
    network,
    pruned_once,
    seeds_of,
    structure_of,
)
from sparse_ref.experiments.recipe import Context, Part, Report
from sparse_ref.experiments.sweep import Outcome


@dataclass(frozen=True)
class Settings:
    """What differs between scales, and between the two networks."""

    data: str = "mnist"
    images: int | None = None
    epochs: int = 24  # 13,200 steps, so that 3,200 follow the last pruning
    schedule: Schedule = PROGRAM
    seeds: int = 10
    model: Model = LENET_300_100
    densities: tuple[float, ...] = DENSITIES
    last: int = LAST  # epochs whose accuracies are averaged
    tested: int | None = None  # test images; None: all


SETTINGS = {
    "smoke": Settings("fashion-mnist", 300, epochs=5, schedule=Schedule(3, 9, 3), seeds=2),
    "laptop": Settings(seeds=4),
    "paper": Settings(),
}
ON_LENET_5 = {
    "smoke": Settings(
        "fashion-mnist", 200, 3, Schedule(2, 4, 2), 1, LENET_5, (0.1, 0.01), last=1, tested=100
    ),
    # 600 steps, of which pruning takes those from 140 to 440
    "laptop": Settings("mnist", 20_000, 3, Schedule(140, 440, 20), 2, LENET_5, (0.1, 0.01), last=1),
    "paper": Settings(model=LENET_5),
}


def run(context: Context) -> Report:
    """LeNet-300-100: train, prune, train again."""
    return trained(SETTINGS, context)


def run_lenet_5(context: Context) -> Report:
    """The same of LeNet-5."""
    return trained(ON_LENET_5, context)


def trained(scales: Mapping[str, Settings], context: Context) -> Report:
    """Train, prune, train again."""
    settings = scales[context.scale]
    images = context.images(settings.data)
    data = parts(images, settings.images, settings.tested)
    plan = Plan(images.name, settings.epochs, settings.model, settings.schedule)
    cells = [
        (logits, density, seed)
        for logits in LOGITS
        for density in (1.0, *settings.densities)
        for seed in context.seed_numbers(settings.seeds)
    ]
    jobs = [
        plan.dense(seed, logits) if density == 1 else plan.pruned(density, seed, logits)
        for logits, density, seed in cells
    ]
    first = dict(zip(cells, context.train(jobs, {"data": data}), strict=True))
    again = _again(first, plan)
    outcomes = context.train(list(again.values()), {"data": data})
    found: dict[Key, list[Ended]] = {}
    for (logits, density, _), outcome in first.items():
        key = (logits, DENSE if density == 1 else ITERATIVE, density)
        found.setdefault(key, []).extend(_ended(outcome, data.test, settings.last))
    for (logits, kind, density, _), outcome in zip(again, outcomes, strict=True):
        key = (logits, kind, density)
        found.setdefault(key, []).extend(_ended(outcome, data.test, settings.last))
    return report(found, settings, plan, scales["paper"])


def _again(first, plan):
    """The retrainings, by what stands on the outputs, kind, density and seed of the structure."""
    jobs = {}
    for logits, density, seed in first:
        if density == 1:
            continue
        (new,) = seeds_of([seed], 1)
        pruned, dense = first[logits, density, seed], first[logits, 1.0, seed]
        structures = {
            AGAIN: None if pruned.failure else structure_of(pruned),
            ONCE: None if dense.failure else pruned_once(dense, density),
        }
        for kind, structure in structures.items():
            if structure is not None:
                jobs[logits, kind, density, seed] = plan.retrained(
                    kind, structure, density, new, logits
                )
    return jobs


def _ended(outcome: Outcome, test: Part, last: int = LAST) -> list[Ended]:
    """One of a training that ended, none of one that diverged."""
    if outcome.failure:
        return []
    logits = outcome.config.model.logits_activation
    seen = classes(network(outcome).predict(test[0]), test[1], logits)
    counts = len(seen.dead), len(seen.missed), sum(outcome.connections[1])
    return [Ended(accuracy(outcome, last), *counts)]


def report(
    found: Found, settings: Settings, plan: Plan, paper: Settings = SETTINGS["paper"]
) -> Report:
    """What the trainings came to."""
    name, densities = plan.model.name, settings.densities
    pictures = {"figure_7.png": pruning_pictures.over_sparsity(samples_of(found), name)}
    return Report(
        tables=[figure_7_judged.table(found, densities, name, logits) for logits in LOGITS],
        claims=figure_7_judged.claims(found, densities, name),
        pictures=pictures,
        notes=_notes(settings, plan, paper),
        numbers={
            "trainings": [
                {"logits": logits, "kind": kind, "density": density, **vars(ended)}
                for (logits, kind, density), group in found.items()
                for ended in group
            ]
        },
    )


def _notes(settings, plan, paper):
    averaged = (
        f"means of those after the last {settings.last} epochs"
        if settings.last > 1
        else "those after the last epoch"
    )
    notes = [
        f"{plan.model.name}, trained on {plan.data}; accuracies are {averaged}",
        "the authors' program has a ReLU on the outputs; networks with linear outputs are ours, "
        "from the first training to the retraining",
        "a class is dead if its output, after the ReLU, is zero for every test image of its own",
    ]
    if settings != paper:
        reduced = f"reduced: {settings.seeds} seeds unless asked otherwise ({paper.seeds})"
        same = replace(settings, seeds=paper.seeds) == paper
        notes.append(reduced if same else f"{reduced}, {_shorter(settings, paper)}")
    return notes


def _shorter(settings, paper):
    images = f"{settings.images:,}" if settings.images else "all"
    return (
        f"{images} training images, {settings.epochs} epochs ({paper.epochs}), pruned from step "
        f"{settings.schedule.start:,} to {settings.schedule.stop:,} ({paper.schedule.start:,} to "
        f"{paper.schedule.stop:,}), {len(settings.densities)} densities ({len(paper.densities)}); "
        "in so short a training a network may not have begun to learn, which looks like being stuck"
    )
