"""Figure 2: what pruning every 200 steps does, to the connections and to the accuracy."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from sparse_ref import csr
from sparse_ref.experiments.alford_2018 import pruning_pictures
from sparse_ref.experiments.alford_2018.networks import parts
from sparse_ref.experiments.alford_2018.retraining import LINEAR, NAMED, PROGRAM, Plan, Schedule
from sparse_ref.experiments.recipe import Claim, Context, Report, Table
from sparse_ref.experiments.runner import Data, beginning
from sparse_ref.experiments.watch import watched
from sparse_ref.train import evaluate, fit


@dataclass(frozen=True)
class Settings:
    """What differs between scales."""

    data: str = "mnist"
    images: int | None = None
    epochs: int = 24  # 13,200 steps, of which pruning takes those from 3,000 to 10,000
    schedule: Schedule = PROGRAM
    densities: tuple[float, ...] = (0.1, 0.05, 0.01)


SETTINGS = {
    "smoke": Settings(
        "fashion-mnist", 300, epochs=6, schedule=Schedule(3, 12, 3), densities=(0.1,)
    ),
    "laptop": Settings(),
    "paper": Settings(),
}


class Pruning(NamedTuple):
    """One pruning of a training."""

    step: int
    wanted: float  # s(t)
    sparsity: float  # of the whole network, after it
    before: float  # accuracy on the test images
    after: float
    came: int  # connections that were not there before


def run(context: Context) -> Report:
    """Train one network for each density, and look at it before and after every pruning."""
    settings = SETTINGS[context.scale]
    images = context.images(settings.data)
    data = parts(images, settings.images)
    (seed,) = context.seed_numbers(1)[:1]
    plan = Plan(images.name, settings.epochs, schedule=settings.schedule)
    found = {}
    for density in settings.densities:
        context.say(f"pruning to density {density:g}")
        found[density] = trained(plan, density, seed, data)
    return report(found, plan)


def trained(plan: Plan, density: float, seed: int, data: Data) -> list[Pruning]:
    """What every pruning of one training does."""
    config = plan.pruned(density, seed, LINEAR).config
    net, rng = beginning(config)
    steps_per_epoch = -(-len(data.train[1]) // config.batch_size)
    steps = steps_per_epoch * config.epochs
    method: Any = config.method.build(steps)
    prunings: list[Pruning] = []
    held: list[Any] = []

    def before(net, step):
        held[:] = [evaluate(net, data.test).accuracy, *(csr.flat(w) for w in _weights(net))]

    def after(net, step):
        accuracy, *old = held
        came = sum(
            len(np.setdiff1d(csr.flat(w), was)) for w, was in zip(_weights(net), old, strict=True)
        )
        wanted = 1 - method.density_at(step)
        now = evaluate(net, data.test).accuracy
        prunings.append(Pruning(step, wanted, 1 - net.density, accuracy, now, came))

    fit(
        net,
        data.train,
        method=watched(method, before, after),
        optimizer=config.optimizer.build(steps_per_epoch, steps),
        epochs=config.epochs,
        batch_size=config.batch_size,
        rng=rng,
    )
    last = evaluate(net, data.test).accuracy
    return [*prunings, Pruning(steps, 1 - density, 1 - net.density, last, last, 0)]


def _weights(net):
    return [layer.weight for layer in net.sparse_layers]


def report(found: Mapping[float, list[Pruning]], plan: Plan) -> Report:
    """What the trainings came to."""
    return Report(
        tables=[_table(found)],
        claims=[_monotone(found), _gone(found)],
        pictures={"figure_2.png": pruning_pictures.prunings(found, plan.schedule)},
        notes=[
            f"{plan.model.name}, {NAMED[LINEAR]}, trained on {plan.data}; one training a density",
            f"between steps {plan.schedule.start:,} and {plan.schedule.stop:,}, as in the authors' "
            "program; the paper does not say; exact counts in place of the program's histogram",
        ],
        numbers={"prunings": {f"{d:g}": [p._asdict() for p in rows] for d, rows in found.items()}},
    )


def _table(found):
    rows = []
    for density, prunings in found.items():
        *events, end = prunings
        worst = min(events, key=lambda p: p.after - p.before)
        rows.append(
            (
                f"{1 - density:g}",
                f"{len(events)}",
                f"{100 * events[0].before:.2f}",
                f"{100 * (worst.after - worst.before):+.2f} at step {worst.step:,}",
                f"{100 * events[-1].after:.2f}",
                f"{100 * end.after:.2f}",
            )
        )
    return Table(
        "Accuracy on the test images, %",
        (
            "final\nsparsity",
            "prunings",
            "before\nthe first",
            "worst pruning,\npoints",
            "after\nthe last",
            "after the period\nwithout pruning",
        ),
        tuple(rows),
    )


def _monotone(found):
    rises = all(a.sparsity <= b.sparsity for rows in found.values() for a, b in pairwise(rows))
    ends = {f"{1 - d:g}": f"{rows[-1].sparsity:.4f}" for d, rows in found.items()}
    off = max(abs(p.sparsity - p.wanted) for rows in found.values() for p in rows)
    measured = f"{'rises' if rises else 'falls somewhere'}; ends " + ", ".join(
        f"at {end} for {wanted}" for wanted, end in ends.items()
    )
    measured += f"; at most {off:.1e} from s(t)"
    paper = "the sparsity follows a monotonic function from zero to the desired sparsity"
    return Claim(paper, measured, rises and off < 1e-3)


def _gone(found):
    came = sum(p.came for rows in found.values() for p in rows)
    n = sum(len(rows) - 1 for rows in found.values())
    paper = "whenever connections are pruned, they remain so"
    return Claim(paper, f"{came} connections came back in {n} prunings", came == 0)
