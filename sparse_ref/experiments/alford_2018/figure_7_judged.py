"""Figure 7: what trainings and retrainings say, beside what the paper says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sparse_ref.experiments.alford_2018 import published
from sparse_ref.experiments.alford_2018.retraining import LENET_300_100, LINEAR, NAMED, RELU
from sparse_ref.experiments.evidence import Sample, between, near, ordered, percent
from sparse_ref.experiments.recipe import Claim, Table

DENSE, ITERATIVE = "dense", "pruned while it trains"
AGAIN, ONCE = "retrained on its structure", "retrained on a one-time structure"
KINDS = (ITERATIVE, AGAIN, ONCE)
DENSITIES = (0.5, 0.25, 0.1, 0.05, 0.01)
LOGITS = (RELU, LINEAR)
WITHOUT_LOSS = 0.05  # "approximately 95% sparsity without any loss in accuracy whatsoever"
REGAINED = 0.1  # "up to 90% it achieves the original accuracy"
SPARSEST = 0.01  # "99% sparsity with less than 1% reduction"
SAME = 0.003  # of accuracies that count as the same; published: 0.01 points apart at 90 %
SELDOM = 0.05  # "in general the models fare poorly": more of them than this are stuck

Key = tuple[str, str, float]  # what stands on the outputs; kind; density


@dataclass(frozen=True)
class Ended:
    """A training that ended: its accuracy, and how many classes are dead and never predicted."""

    accuracy: float
    dead: int
    missed: int
    connections: int


Found = Mapping[Key, Sequence[Ended]]
Samples = Mapping[Key, Sample]


def samples_of(found: Found) -> dict[Key, Sample]:
    """The accuracies."""
    return {
        key: Sample(_named(*key), tuple(e.accuracy for e in group)) for key, group in found.items()
    }


def claims(found: Found, densities: Sequence[float], model: str) -> list[Claim]:
    """What the paper says of a network, and what we say, held against the trainings."""
    samples = samples_of(found)
    said = [
        claim
        for logits in LOGITS
        for claim in (*_claims(samples, densities, model, logits), *_stuck(found, model, logits))
    ]
    return [*said, *_cause(samples, min(densities))]


def _named(logits, kind, density):
    where = "" if kind == DENSE else f" at sparsity {1 - density:g}"
    return f"{kind}{where}"


def table(found: Found, densities: Sequence[float], model: str, logits: str) -> Table:
    """Accuracies and dead classes with these outputs."""
    rows = [_row(found, model, (logits, DENSE, 1.0))]
    rows += [_row(found, model, (logits, kind, density)) for density in densities for kind in KINDS]
    headings = ("network", "sparsity", "connections", "published\n%", "here\n%", "dead\nclasses")
    return Table(
        f"Test accuracy with {NAMED[logits]}, mean ± standard deviation over seeds; dead classes "
        "of every training",
        headings,
        tuple(rows),
    )


def _row(found, model, key):
    _, kind, density = key
    group = found.get(key, ())
    number = printed(model, kind, density)
    return (
        kind,
        f"{1 - density:g}",
        f"{group[0].connections:,}" if group else "–",
        f"{100 * number:.2f}",
        percent([ended.accuracy for ended in group]),
        " ".join(str(ended.dead) for ended in group),
    )


def printed(model: str, kind: str, density: float) -> float:
    """The accuracy that the paper's figure has."""
    if kind == DENSE:
        return published.DENSE_OF_FIGURE_7[model]
    return published.FIGURE_7[model][density][KINDS.index(kind)]


def _claims(samples, densities, model, logits):
    """What the paper says, held against the networks with these outputs."""

    def at(kind, density=1.0):
        key = (logits, kind, density)
        return samples.get(key, Sample(_named(*key), ()))

    dense, where = at(DENSE), f" [{NAMED[logits]}]"
    said = [
        _not_below(
            "through 95 % sparsity iterative pruning loses nothing" + where,
            dense,
            [at(ITERATIVE, d) for d in densities if d >= WITHOUT_LOSS],
        )
    ]
    if SPARSEST in densities:
        paper = "99 % sparsity with less than 1 % reduction" + where
        said.append(near(paper, at(ITERATIVE, SPARSEST), dense, 0.01))
    if model == LENET_300_100.name:  # of LeNet-5 the paper says that it fares poorly
        said.append(
            _not_below(
                "up to 90 % training on the pruned structure achieves the original accuracy"
                + where,
                dense,
                [at(AGAIN, d) for d in densities if d >= REGAINED],
            )
        )
        said += [
            ordered(
                f"at sparsity {1 - density:g} one-time pruned structures train worse" + where,
                [at(AGAIN, density), at(ONCE, density)],
                "paired",
            )
            for density in densities
        ]
    return [*said, _higher(samples, densities, logits, where)]


def _stuck(found, model, logits):
    """Of LeNet-5 only: that retrainings get stuck, which is seen in classes never predicted."""
    if model == LENET_300_100.name:
        return []
    groups = (g for (a, kind, _), g in found.items() if a == logits and kind in (AGAIN, ONCE))
    values = tuple(float(ended.missed > 0) for group in groups for ended in group)
    paper = f"in general the models fare poorly upon retraining [{NAMED[logits]}]"
    return [between(paper, Sample("retrainings that never predict some class", values), SELDOM, 1)]


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


def _higher(samples, densities, logits, where):
    """That pruned networks are better than what is trained on their structures: over all densities.

    A value is of one seed; those of which some training did not end are left out.
    """
    kinds = []
    for kind, name in ((ITERATIVE, "pruned networks"), (AGAIN, "retrained ones")):
        groups = [samples.get((logits, kind, d), Sample("", ())).values for d in densities]
        whole = len(set(map(len, groups))) == 1
        means = [sum(values) / len(values) for values in zip(*groups, strict=True)] if whole else ()
        kinds.append(Sample(name, tuple(means)))
    paper = "training on the pruned structure does not reach the accuracy of the pruned network"
    return ordered(paper + where, kinds, "paired")


def _cause(samples, density):
    """Ours: what the outputs' ReLU costs at the highest sparsity."""
    claims = []
    for kind in (AGAIN, ONCE):
        with_it, without = (
            samples.get((logits, kind, density), Sample(kind, ()))._replace(name=NAMED[logits])
            for logits in (RELU, LINEAR)
        )
        paper = f"ours: at sparsity {1 - density:g} the outputs' ReLU costs accuracy [{kind}]"
        claims.append(ordered(paper, [without, with_it], "paired"))
    return claims
