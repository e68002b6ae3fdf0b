"""Figure 8: what many retrainings say about who gets stuck, and why."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from sparse_ref.experiments.alford_2018.networks import RATE
from sparse_ref.experiments.alford_2018.retraining import LINEAR, NAMED, RELU, Classes
from sparse_ref.experiments.evidence import Sample, between, near, ordered
from sparse_ref.experiments.recipe import Claim, Table

DENSE, PRUNED, RANDOM = "dense", "pruned structure", "random structure"
DENSITIES = (0.25, 0.1, 0.05, 0.01)
LOGITS = (RELU, LINEAR)
RATES = (0.05, 0.1, RATE)
SPARSEST = 0.01  # "extremely sparse topologies"
SELDOM = 0.05  # "in general the models fare poorly": more of them than this are stuck
LIKE = 0.02  # so far below linear outputs the classes that live count as no worse
UNRELATED = 0.02  # accuracies at different sparsities count as the same within this


class Key(NamedTuple):
    """What retrainings have in common."""

    logits: str  # what stands on the outputs
    kind: str
    density: float
    rate: float

    @property
    def where(self) -> str:
        """Kind and sparsity in words."""
        return DENSE if self.kind == DENSE else f"{self.kind}, sparsity {1 - self.density:g}"


class Retrained(NamedTuple):
    """One retraining that ended."""

    structure: int  # seed
    seed: int
    accuracy: float
    curve: tuple[float, ...]  # accuracy on the test images after every epoch
    seen: Classes


Found = Mapping[Key, Sequence[Retrained]]


def places(densities: Sequence[float] = DENSITIES) -> list[tuple[str, float]]:
    """Kind and density of all that is compared."""
    sparse = [(kind, density) for kind in (PRUNED, RANDOM) for density in densities]
    return [(DENSE, 1.0), *sparse]


def accuracies(group: Sequence[Retrained], name: str) -> Sample:
    """Final accuracies of some retrainings."""
    return Sample(name, tuple(r.accuracy for r in group))


def stuck(group: Sequence[Retrained], name: str) -> Sample:
    """1 for a network that predicts some class for no image, 0 for one that predicts all."""
    return Sample(name, tuple(float(bool(r.seen.missed)) for r in group))


def table(usual: Found) -> Table:
    """Accuracies and dead classes of all retrainings at the usual learning rate."""
    rows = []
    for key, group in usual.items():
        values = 100 * np.array([r.accuracy for r in group])
        rows.append(
            (
                NAMED[key.logits],
                key.where,
                f"{len(group)}",
                accuracies(group, "").spread,
                f"{values.min():.1f} ... {values.max():.1f}" if len(values) else "–",
                _counted([len(r.seen.dead) for r in group]) if key.logits == RELU else "cannot be",
                _counted([len(r.seen.missed) for r in group]),
            )
        )
    headings = (
        "outputs",
        "structure",
        "trainings",
        "accuracy\n%",
        "least ... most",
        "dead classes:\ntrainings",
        "classes never\npredicted: trainings",
    )
    title = "Retrainings with new weights; final accuracy on the test images"
    return Table(title, headings, tuple(rows))


def rates(found: Found) -> list[Table]:
    """What learning rates do at the highest sparsity, if that was trained."""
    rows = [
        (
            NAMED[logits],
            f"{rate:g}",
            accuracies(group, "").spread,
            _counted([len(r.seen.missed) for r in group]),
        )
        for logits in LOGITS
        for rate in RATES
        if (group := found.get(Key(logits, PRUNED, SPARSEST, rate), ()))
    ]
    headings = ("outputs", "learning\nrate", "accuracy\n%", "classes never\npredicted: trainings")
    title = f"Learning rates on pruned structures at sparsity {1 - SPARSEST:g}"
    return [Table(title, headings, tuple(rows))] if rows else []


def _counted(numbers):
    """How many trainings have none, one, two, ..."""
    return ", ".join(f"{k}: {numbers.count(k)}" for k in sorted(set(numbers)))


def claims(usual: Found, found: Found) -> list[Claim]:
    """What the paper says, and what the hypothesis says, held against the retrainings."""
    by_place = {(key.logits, key.kind, key.density): group for key, group in usual.items()}
    densities = [key.density for key in usual if (key.logits, key.kind) == (RELU, PRUNED)]
    return [
        *_paper(by_place, densities),
        *(claim for kind, d in places(densities) for claim in _ours(by_place, kind, d)),
        _unrelated(by_place, densities),
        *_faster(found),
    ]


def _paper(by_place, densities):
    """That they get stuck, and that they do because they are sparse."""
    pooled = {
        logits: [r for density in densities for r in by_place[logits, PRUNED, density]]
        for logits in LOGITS
    }
    with_relu, without = (
        stuck(pooled[RELU], "stuck with the ReLU"),
        stuck(pooled[LINEAR], "stuck without the ReLU"),
    )
    hindered = "sparse training hinders them: they get stuck without the ReLU, too"
    return [
        between("in general, networks on pruned structures get stuck", with_relu, SELDOM, 1.0),
        between(hindered, without, SELDOM, 1.0),
    ]


def _ours(by_place, kind, density):
    """The hypothesis: the ReLU is the cause, and no more is lost than the dead classes."""
    where = Key(RELU, kind, density, RATE).where
    with_relu, without = by_place[RELU, kind, density], by_place[LINEAR, kind, density]
    said = [
        ordered(
            f"ours: with the ReLU more networks get stuck than without it [{where}]",
            [stuck(with_relu, "stuck with it"), stuck(without, "stuck without")],
        )
    ]
    hit = [r.seen.living for r in with_relu if r.seen.dead and r.seen.ceiling > 0]
    if hit and not any(r.seen.missed for r in without):
        paper = f"ours: no more is lost than the dead classes [{where}]"
        said.append(_no_less(paper, hit, accuracies(without, "linear outputs")))
    return said


def _no_less(paper, living, whole):
    """That stuck networks do as well on their living classes as linear outputs do on all."""
    name = "the living classes of stuck networks"
    lifted = ordered(paper, [Sample(name, tuple(value + LIKE for value in living)), whole])
    measured = f"{Sample(name, tuple(living))}, {whole}; as well: no more than {100 * LIKE:g} below"
    return lifted._replace(measured=measured)


def _unrelated(by_place, densities):
    least, most = (
        accuracies(by_place[RELU, PRUNED, d], Key(RELU, PRUNED, d, RATE).where)
        for d in (densities[0], densities[-1])
    )
    return near("the accuracy seems uncorrelated with sparsity", least, most, UNRELATED)


def _faster(found):
    said = []
    for logits in LOGITS:
        groups = [
            accuracies(found[key], f"rate {key.rate:g}")
            for key in (Key(logits, PRUNED, SPARSEST, rate) for rate in (RATES[-1], RATES[0]))
            if key in found
        ]
        if len(groups) < 2:  # one rate was trained
            continue
        paper = f"a higher learning rate is better at sparsity {1 - SPARSEST:g} [{NAMED[logits]}]"
        said.append(ordered(paper, groups, "paired"))
    return said
