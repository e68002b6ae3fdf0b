"""Figure 1: structures that were found, trained with weights drawn anew (section 3)."""

from sparse_ref.experiments.evidence import Sample, near, ordered
from sparse_ref.experiments.recipe import Report, Table
from sparse_ref.experiments.sweep import Job
from sparse_ref.experiments.van_gelder_2020 import pictures
from sparse_ref.experiments.van_gelder_2020.networks import (
    DNW,
    KINDS,
    LT,
    RANDOM,
    RIGL,
    Net,
    Study,
    config,
    ended,
)
from sparse_ref.experiments.van_gelder_2020.settings import MASKED, Settings

FRESH = 1000  # added to the seed of a structure: that of its new weights and batches
SIMILAR = 0.005  # half a point
FOUND = (DNW, RIGL, LT)


def wanted(settings: Settings) -> list[Net]:
    """Every kind at every sparsity; a random structure is trained with its first weights."""
    return [Net(kind, sparsity) for kind in KINDS for sparsity in settings.sparsities]


def report(study: Study) -> Report:
    """Train the structures again and compare them."""
    anew, rate = _anew(study), study.settings.rate
    return Report(
        tables=[
            _table("Structures found, trained with weights drawn anew", anew, study.settings),
            _table(
                "The networks they were found in, as their own training left them",
                {net: study.sample(net) for net in wanted(study.settings)},
                study.settings,
            ),
        ],
        claims=_claims(anew, study.settings),
        pictures={"figure_1.png": pictures.over_sparsity(anew, study.settings.sparsities)},
        notes=[
            "each structure is trained anew once, with a seed of its own; the spread is over "
            "structures and new weights together, in the paper over weights",
            f"a level of iterative magnitude pruning removes at most {100 * rate:g} % of a layer",
        ],
        numbers={
            "anew": [{**net._asdict(), "accuracy": s.values} for net, s in anew.items()],
            "found": [
                {**net._asdict(), "accuracy": study.sample(net).values}
                for net in wanted(study.settings)
            ],
        },
    )


def _anew(study):
    """Accuracies by kind and sparsity."""
    settings, data = study.settings, study.images
    cells = [
        (Net(kind, sparsity), trained)
        for sparsity in settings.sparsities
        for kind in FOUND
        for trained in study.found[Net(kind, sparsity)]
    ]
    jobs = [
        Job(
            f"{net.kind} structure, trained anew",
            config(net._replace(kind=RANDOM), settings, trained.seed + FRESH, data),
            start=trained.snapshot.structure,
            keep=(settings.epochs,),
        )
        for net, trained in cells
    ]
    values: dict[Net, list[float]] = {net: [] for net in wanted(settings)}
    outcomes = study.context.train(jobs, {"data": study.data})
    for (net, _), outcome in zip(cells, outcomes, strict=True):
        values[net] += [] if outcome.failure else [ended(outcome).accuracy]
    for sparsity in settings.sparsities:
        random = Net(RANDOM, sparsity)
        values[random] = list(study.sample(random).values)
    return {net: Sample(net.kind, tuple(found)) for net, found in values.items()}


def _table(title, samples, settings):
    rows = [
        (f"{100 * sparsity:g} %", *(samples[Net(kind, sparsity)].spread for kind in KINDS))
        for sparsity in settings.sparsities
    ]
    return Table(f"{title}: test accuracy %, mean ± std", ("sparsity", *KINDS), tuple(rows))


def _claims(anew, settings):
    last = settings.sparsities[-1]
    claims = [
        ordered(
            f"at {100 * sparsity:g} % sparsity {kind} structures outperform random ones",
            [anew[Net(kind, sparsity)], anew[Net(RANDOM, sparsity)]],
        )
        for sparsity in dict.fromkeys((MASKED, last))
        for kind in (DNW, RIGL)
    ]
    claims += [
        ordered(
            f"the gap of {kind} and random structures is largest in the sparse regime",
            [_gap(anew, kind, sparsity) for sparsity in (last, settings.sparsities[0])],
        )
        for kind in (DNW, RIGL)
    ]
    claims += [
        near(
            f"at {100 * sparsity:g} % sparsity lottery tickets perform similarly to random graphs",
            anew[Net(LT, sparsity)],
            anew[Net(RANDOM, sparsity)],
            SIMILAR,
        )
        for sparsity in dict.fromkeys((settings.sparsities[0], MASKED, last))
    ]
    return claims


def _gap(anew, kind, sparsity):
    """Of a kind and random structures, seed by seed."""
    pairs = zip(anew[Net(kind, sparsity)].values, anew[Net(RANDOM, sparsity)].values, strict=False)
    return Sample(f"gap at {100 * sparsity:g} %", tuple(a - b for a, b in pairs))
