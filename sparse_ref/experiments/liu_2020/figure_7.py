"""Figure 7, on CIFAR-10: topologies of different age, trained anew and on (section 4.4)."""

from dataclasses import dataclass, field

import numpy as np

from sparse_ref import plots
from sparse_ref.experiments.evidence import Sample, ordered, percent
from sparse_ref.experiments.liu_2020 import published
from sparse_ref.experiments.liu_2020.images import Prepared, cifar10
from sparse_ref.experiments.liu_2020.networks import (
    EVOLVES,
    FIXED,
    SET,
    accuracies,
    begun,
    config,
    family,
)
from sparse_ref.experiments.recipe import Context, Report, Table
from sparse_ref.experiments.sweep import Job, Outcome

DENSITY = 0.005
ANEW, ON = "from random weights", "from SET's weights"


@dataclass(frozen=True)
class Settings:
    """What differs between scales."""

    images: int  # for training, those held out included
    hidden: int = 1000
    trials: int = 10
    epochs: int = 900
    every: int = 100  # epochs between the networks that are trained again
    again: int = 1000  # epochs of that training

    @property
    def ages(self) -> tuple[int, ...]:
        """Epochs of SET after which a network is trained again; 0 is the random topology."""
        return tuple(range(0, self.epochs + 1, self.every))


SETTINGS = {
    "smoke": Settings(500, hidden=40, trials=2, epochs=2, every=1, again=1),
    "laptop": Settings(50_000, trials=3, epochs=48, every=16, again=16),
    "paper": Settings(50_000),
}


@dataclass
class Found:
    """What the trainings came to."""

    settings: Settings
    evolved: list[Outcome]  # those of SET that ended
    again: dict[tuple[str, int], list[Outcome]] = field(default_factory=dict)  # start, age

    def accuracy(self, start: str, age: int) -> tuple[float, ...]:
        """Of the networks trained again."""
        return accuracies(self.again[start, age])

    def along(self, age: int) -> tuple[float, ...]:
        """Of SET itself after `age` epochs, before the rewiring that ends the epoch."""
        return tuple(float(outcome.curve["test"][age - 1]) for outcome in self.evolved)


def run(context: Context) -> Report:
    """Train with SET, then train the topologies of every age again without evolution."""
    settings = SETTINGS[context.scale]
    images = cifar10(context, settings.images)
    data = {"data": images.data}
    jobs = _evolving(settings, images, context)
    ended = [outcome for outcome in context.train(jobs, data) if not outcome.failure]
    found = Found(settings, ended)
    again = _again(ended, settings, images)
    for (key, _), outcome in zip(
        again, context.train([job for _, job in again], data), strict=True
    ):
        found.again.setdefault(key, []).append(outcome)
    return _report(found, images)


def _evolving(settings: Settings, images: Prepared, context: Context) -> list[Job]:
    configs = [
        config(EVOLVES, [settings.hidden] * 2, DENSITY, settings.epochs, seed, *images.origin)
        for seed in context.seed_numbers(settings.trials)
    ]
    keep = settings.ages[1:]
    return [Job(SET, c, curve=True, start=family(c, 0)[0], keep=keep) for c in configs]


def _again(
    ended: list[Outcome], settings: Settings, images: Prepared
) -> list[tuple[tuple[str, int], Job]]:
    """A random topology has no weights of SET's to start from."""
    jobs = []
    for outcome in ended:
        seed, hidden = outcome.config.seed, [settings.hidden] * 2
        whole = config(FIXED, hidden, DENSITY, settings.again, seed, *images.origin)
        networks = {0: begun(outcome)} | dict(outcome.snapshots)
        for age, network in networks.items():
            starts = {ANEW: network.structure} | ({ON: network} if age else {})
            jobs += [
                ((name, age), Job(f"{name}, epoch {age}", whole, curve=True, start=start))
                for name, start in starts.items()
            ]
    return jobs


def _report(found, images):
    ages = found.settings.ages
    rows = [
        (
            str(age),
            percent(found.along(age)) if age else "",
            percent(found.accuracy(ANEW, age)),
            percent(found.accuracy(ON, age)) if age else "",
        )
        for age in ages
        if found.again
    ]
    title = "Test accuracy %, mean ± standard deviation over trials"
    headings = ("epochs\nof SET", "SET itself", *(f"trained again\n{name}" for name in (ANEW, ON)))
    return Report(
        tables=[Table(title, headings, tuple(rows))],
        claims=_claims(found) if found.again else [],
        pictures={"figure_7.png": _picture(found)} if found.again else {},
        notes=_notes(found.settings, images),
        numbers={
            "again": [
                {"start": name, "age": age, "accuracy": list(accuracies(group))}
                for (name, age), group in found.again.items()
            ],
            "set": [outcome.curve["test"].tolist() for outcome in found.evolved],
        },
    )


def _picture(found):
    ages = found.settings.ages
    points = {
        f"trained again {ANEW}": {age: np.array(found.accuracy(ANEW, age)) for age in ages},
        f"trained again {ON}": {age: np.array(found.accuracy(ON, age)) for age in ages[1:]},
    }
    curve = np.array([outcome.curve["test"] for outcome in found.evolved])
    return plots.over_age(points, {SET: curve}, "test accuracy", "epochs of SET")


def _claims(found):
    ages = found.settings.ages
    first, last = ages[0], ages[-1]
    anew = {age: Sample(f"epoch {age}", found.accuracy(ANEW, age)) for age in ages}
    along = Sample(f"{SET} at epoch {last}", found.along(last))
    on = Sample(f"{ON} at epoch {last}", found.accuracy(ON, last))
    end = Sample(f"{ANEW} at epoch {last}", found.accuracy(ANEW, last))
    return [
        ordered(
            "trained from random weights, an evolved topology is better than a random one",
            [anew[last], anew[first]],
            "paired",
        ),
        ordered(
            f"after about {published.FIGURE_7_OVERTAKEN} epochs such networks no longer match SET",
            [along, end],
            "paired",
        ),
        ordered("training on with SET's own weights is better still", [on, along], "paired"),
    ]


def _notes(settings, images):
    notes = [
        f"{images.network([settings.hidden] * 2)}; the paper's is 3072-1000-1000-10 on CIFAR-10",
        *images.notes,
        "networks trained again: test accuracy at the best validation accuracy; SET itself: at "
        "the epoch",
    ]
    paper = SETTINGS["paper"]
    if settings != paper:
        notes.append(
            f"reduced: {images.n_train:,} training images ({paper.images:,} at scale paper), "
            f"{settings.epochs} epochs of SET ({paper.epochs}), {settings.again} of training "
            f"again ({paper.again}), {settings.trials} trials unless asked otherwise "
            f"({paper.trials})"
        )
    return notes
