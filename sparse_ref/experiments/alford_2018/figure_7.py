"""Figure 7: networks pruned while they train, and new weights on what is left of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sparse_ref.experiments.alford_2018 import pruning_pictures, published
from sparse_ref.experiments.alford_2018.figure_9 import LAST, accuracy
from sparse_ref.experiments.alford_2018.networks import parts
from sparse_ref.experiments.alford_2018.retraining import (
    LINEAR,
    NAMED,
    PROGRAM,
    RELU,
    Plan,
    Schedule,
    classes,
    network,
    pruned_once,
    seeds_of,
    structure_of,
)
from sparse_ref.experiments.evidence import Sample, near, ordered, percent
from sparse_ref.experiments.recipe import Claim, Context, Part, Report, Table
from sparse_ref.experiments.sweep import Outcome

DENSE, ITERATIVE = "dense", "pruned while it trains"
AGAIN, ONCE = "retrained on its structure", "retrained on a one-time structure"
KINDS = (ITERATIVE, AGAIN, ONCE)
DENSITIES = (0.5, 0.25, 0.1, 0.05, 0.01)
LOGITS = (RELU, LINEAR)
WITHOUT_LOSS = 0.05  # "approximately 95% sparsity without any loss in accuracy whatsoever"
REGAINED = 0.1  # "up to 90% it achieves the original accuracy"
SAME = 0.003  # of accuracies that count as the same; published: 0.01 points apart at 90 %

Key = tuple[str, str, float]  # what stands on the outputs; kind; density


@dataclass(frozen=True)
class Settings:
    """What differs between scales."""

    data: str = "mnist"
    images: int | None = None
    epochs: int = 24  # 13,200 steps, so that 3,200 follow the last pruning
    schedule: Schedule = PROGRAM
    seeds: int = 10


SETTINGS = {
    "smoke": Settings("fashion-mnist", 300, epochs=5, schedule=Schedule(3, 9, 3), seeds=2),
    "laptop": Settings(seeds=4),
    "paper": Settings(),
}


@dataclass(frozen=True)
class Ended:
    """A training that ended: its accuracy, and how many classes are dead and never predicted."""

    accuracy: float
    dead: int
    missed: int
    connections: int


Found = Mapping[Key, Sequence[Ended]]


def run(context: Context) -> Report:
    """Train, prune, train again."""
    settings = SETTINGS[context.scale]
    images = context.images(settings.data)
    data = parts(images, settings.images)
    plan = Plan(images.name, settings.epochs, schedule=settings.schedule)
    seeds = list(context.seed_numbers(settings.seeds))
    cells = [
        (logits, density, seed)
        for logits in LOGITS
        for density in (1.0, *DENSITIES)
        for seed in seeds
    ]
    jobs = [
        plan.dense(seed, logits) if density == 1 else plan.pruned(density, seed, logits)
        for logits, density, seed in cells
    ]
    first = dict(zip(cells, context.train(jobs, {"data": data}), strict=True))
    again = _again(first, plan, seeds)
    outcomes = context.train(list(again.values()), {"data": data})
    found: dict[Key, list[Ended]] = {}
    for (logits, density, _), outcome in first.items():
        key = (logits, DENSE if density == 1 else ITERATIVE, density)
        found.setdefault(key, []).extend(_ended(outcome, data.test))
    for (logits, kind, density, _), outcome in zip(again, outcomes, strict=True):
        found.setdefault((logits, kind, density), []).extend(_ended(outcome, data.test))
    return report(found, settings, plan)


def _again(first, plan, seeds):
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


def _ended(outcome: Outcome, test: Part) -> list[Ended]:
    """One of a training that ended, none of one that diverged."""
    if outcome.failure:
        return []
    seen = classes(network(outcome).predict(test[0]), test[1], _logits(outcome))
    counts = len(seen.dead), len(seen.missed), sum(outcome.connections[1])
    return [Ended(accuracy(outcome), *counts)]


def _logits(outcome):
    return outcome.config.model.logits_activation


def report(found: Found, settings: Settings, plan: Plan) -> Report:
    """What the trainings came to."""
    samples = {
        key: Sample(_named(*key), tuple(e.accuracy for e in group)) for key, group in found.items()
    }
    claims = [claim for logits in LOGITS for claim in _claims(samples, logits)]
    return Report(
        tables=[_table(found, samples, plan, logits) for logits in LOGITS],
        claims=[*claims, *_cause(samples)],
        pictures={"figure_7.png": pruning_pictures.over_sparsity(samples, plan.model.name)},
        notes=_notes(settings, plan),
        numbers={
            "trainings": [
                {"logits": logits, "kind": kind, "density": density, **vars(ended)}
                for (logits, kind, density), group in found.items()
                for ended in group
            ]
        },
    )


def _named(logits, kind, density):
    where = "" if kind == DENSE else f" at sparsity {1 - density:g}"
    return f"{kind}{where}"


def _table(found, samples, plan, logits):
    rows = [_row(found, samples, plan, (logits, DENSE, 1.0))]
    rows += [
        _row(found, samples, plan, (logits, kind, density))
        for density in DENSITIES
        for kind in KINDS
    ]
    headings = ("network", "sparsity", "connections", "published\n%", "here\n%", "dead\nclasses")
    return Table(
        f"Test accuracy with {NAMED[logits]}, mean ± standard deviation over seeds; dead classes "
        "of every training",
        headings,
        tuple(rows),
    )


def _row(found, samples, plan, key):
    _, kind, density = key
    group = found.get(key, ())
    number = printed(plan.model.name, kind, density)
    return (
        kind,
        f"{1 - density:g}",
        f"{group[0].connections:,}" if group else "–",
        f"{100 * number:.2f}",
        percent(samples[key].values) if group else "–",
        " ".join(str(ended.dead) for ended in group),
    )


def printed(model: str, kind: str, density: float) -> float:
    """The accuracy that the paper's figure has."""
    if kind == DENSE:
        return published.DENSE_OF_FIGURE_7[model]
    return published.FIGURE_7[model][density][KINDS.index(kind)]


def _claims(samples, logits):
    """What the paper says, held against the networks with these outputs."""

    def at(kind, density=1.0):
        key = (logits, kind, density)
        return samples.get(key, Sample(_named(*key), ()))

    dense, where = at(DENSE), f" [{NAMED[logits]}]"
    said = [
        _not_below(
            "through 95 % sparsity iterative pruning loses nothing" + where,
            dense,
            [at(ITERATIVE, d) for d in DENSITIES if d >= WITHOUT_LOSS],
        ),
        near(
            "99 % sparsity with less than 1 % reduction" + where, at(ITERATIVE, 0.01), dense, 0.01
        ),
        _not_below(
            "up to 90 % training on the pruned structure achieves the original accuracy" + where,
            dense,
            [at(AGAIN, d) for d in DENSITIES if d >= REGAINED],
        ),
    ]
    said += [
        ordered(
            f"at sparsity {1 - density:g} one-time pruned structures train worse" + where,
            [at(AGAIN, density), at(ONCE, density)],
            "paired",
        )
        for density in DENSITIES
    ]
    said.append(_higher(samples, logits, where))
    return said


def _not_below(paper, dense, samples):
    """The claim that none of `samples` is decidedly more than `SAME` below the dense network."""
    lifted = [_raised(s, SAME) for s in samples]
    claims = [ordered(paper, [sample, dense]) for sample in lifted]
    measured = f"{dense}; {', '.join(map(str, samples))}; the same: within {100 * SAME:g} points"
    verdicts = [claim.agrees for claim in claims]
    if False in verdicts:
        return Claim(paper, measured, False)
    if None in verdicts:
        return Claim(paper, measured, None, next(c.why for c in claims if c.agrees is None))
    return Claim(paper, measured, True)


def _raised(sample: Sample, more: float) -> Sample:
    """The same with every value raised by `more`."""
    return sample._replace(values=tuple(value + more for value in sample.values))


def _higher(samples, logits, where):
    """That pruned networks are better than what is trained on their structures: over all densities.

    A value is of one seed; those of which some training did not end are left out.
    """
    kinds = []
    for kind, name in ((ITERATIVE, "pruned networks"), (AGAIN, "retrained ones")):
        groups = [samples.get((logits, kind, d), Sample("", ())).values for d in DENSITIES]
        whole = len(set(map(len, groups))) == 1
        means = [sum(values) / len(values) for values in zip(*groups, strict=True)] if whole else ()
        kinds.append(Sample(name, tuple(means)))
    paper = "training on the pruned structure does not reach the accuracy of the pruned network"
    return ordered(paper + where, kinds, "paired")


def _cause(samples):
    """Ours: what the outputs' ReLU costs at the highest sparsity."""
    claims = []
    for kind in (AGAIN, ONCE):
        with_it, without = (
            samples.get((logits, kind, DENSITIES[-1]), Sample(kind, ()))._replace(
                name=NAMED[logits]
            )
            for logits in (RELU, LINEAR)
        )
        paper = f"ours: at sparsity 0.99 the outputs' ReLU costs accuracy [{kind}]"
        claims.append(ordered(paper, [without, with_it], "paired"))
    return claims


def _notes(settings, plan):
    notes = [
        f"{plan.model.name}, trained on {plan.data}; accuracies are means of those after the last "
        f"{LAST} epochs",
        "the authors' program has a ReLU on the outputs; networks with linear outputs are ours, "
        "from the first training to the retraining",
        "a class is dead if its output, after the ReLU, is zero for every test image of its own",
        "LeNet-5 needs convolutions",
    ]
    if settings != SETTINGS["paper"]:
        paper = SETTINGS["paper"]
        reduced = f"reduced: {settings.seeds} seeds unless asked otherwise ({paper.seeds})"
        same = replace(settings, seeds=paper.seeds) == paper
        notes.append(reduced if same else f"{reduced}, {settings.epochs} epochs, fewer images")
    return notes
