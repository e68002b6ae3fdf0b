"""Figure 3: what NNSTD makes of networks whose difference is known (section 4.3). No training."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from sparse_ref import plots_topology
from sparse_ref.experiments.evidence import PLAIN, Sample, between, ordered
from sparse_ref.experiments.liu_2020.networks import (
    CHANGED,
    DENSE,
    FIXED,
    config,
    distances,
    family,
    pairs,
)
from sparse_ref.experiments.recipe import Context, Report, Table, joined
from sparse_ref.experiments.snapshot import Snapshot
from sparse_ref.topology.patterns import of_ones

FEW = 0.006  # the density of figure 3 (a)
GENERATIONS = 9
CHILDREN = 3  # of every root in figure 3 (b)
ROOTS = 2  # of a density in figure 3 (b)
FIRST_SEED = 300  # every root has its own: one seed's draws at two densities overlap


@dataclass(frozen=True)
class Settings:
    """What differs between scales."""

    densities: tuple[float, ...]
    hidden: int = 784
    roots: int = 5  # of figure 3 (a); the paper has one


SETTINGS = {
    "smoke": Settings((0.01, 0.3), hidden=40, roots=2),
    "laptop": Settings((0.001, 0.006, 0.02, 0.05, 0.1, 0.2, 0.5)),
    "paper": Settings((0.001, 0.006, 0.01, 0.02, 0.03, 0.05, 0.06, 0.1, 0.2, 0.3, 0.4, 0.5)),
}


def run(context: Context) -> Report:
    """Distances of descendants from their root, and of networks of many densities."""
    settings = SETTINGS[context.scale]
    return joined([_same_density(settings, context), _densities(settings, context)])


def _untrained(density, seed, settings, generations):
    hidden = [settings.hidden] * 3
    return family(config(FIXED, hidden, density, 1, seed, "none"), generations)


def _same_density(settings, context):
    seeds = context.seed_numbers(settings.roots)
    found = [distances(_untrained(FEW, s, settings, GENERATIONS), context) for s in seeds]
    samples = [
        Sample(f"generation {k}", tuple(float(matrix[0, k]) for matrix in found), PLAIN)
        for k in range(1, GENERATIONS + 1)
    ]
    table = Table(
        f"Distance from the root, {100 * CHANGED:g} % of the connections changed per generation, "
        f"density {100 * FEW:g} %, mean ± standard deviation over {len(found)} roots",
        ("generation", "NNSTD of the first layer"),
        tuple((str(k), sample.spread) for k, sample in enumerate(samples, start=1)),
    )
    names = ["root", *(f"w{k}" for k in range(1, GENERATIONS + 1))]
    title = f"the same density, {100 * FEW:g} %"
    picture = plots_topology.heat_maps({title: found[0]}, labels=names, values=True)
    return Report(
        tables=[table],
        claims=[
            ordered(
                "the distance from the root grows with every generation", samples[::-1], "paired"
            ),
            between("it begins close to zero", samples[0], 0.0, 0.05),
            between("the largest is still very small, around 0.2", samples[-1], 0.1, 0.2),
        ],
        pictures={"figure_3a.png": picture},
        numbers={"generations": [list(sample.values) for sample in samples]},
    )


def _densities(settings, context):
    groups: dict[float, list[list[int]]] = {d: [] for d in settings.densities}
    networks: list[Snapshot] = []
    for seed, (density, _) in enumerate(product(settings.densities, range(ROOTS)), FIRST_SEED):
        groups[density].append(list(range(len(networks), len(networks) + CHILDREN + 1)))
        networks += _untrained(density, seed, settings, CHILDREN)
    networks += [_dense(settings.hidden)] * 2
    matrix = distances(networks, context)
    sizes = {f"{100 * d:g} %": sum(map(len, parts)) for d, parts in groups.items()} | {DENSE: 2}
    picture = plots_topology.heat_maps({"many densities": matrix}, groups=sizes)
    return Report(
        tables=[_table(groups, matrix)],
        claims=_claims(groups, matrix),
        pictures={"figure_3b.png": picture},
        notes=[f"{len(networks)} networks in figure 3 (b), those of the paper are 98"],
        numbers={"densities": list(settings.densities), "distances": matrix.tolist()},
    )


def _dense(hidden):
    return Snapshot((of_ones((hidden, 784), np.arange(hidden * 784)),))


def _kin(groups, matrix, density):
    """Distances of networks of one root, and of those of the other seed."""
    one, other = groups[density]
    same = pairs(matrix, one, one) + pairs(matrix, other, other)
    name = f"{100 * density:g} %"
    return (
        Sample(f"one root, {name}", same, PLAIN),
        Sample(f"two seeds, {name}", pairs(matrix, one, other), PLAIN),
    )


def _to_dense(groups, matrix, density):
    values = tuple(float(matrix[i, -1]) for part in groups[density] for i in part)
    return Sample(f"{100 * density:g} %", values, PLAIN)


def _table(groups, matrix):
    rows = []
    for density in groups:
        same, other = _kin(groups, matrix, density)
        to_dense = _to_dense(groups, matrix, density)
        rows.append((f"{density:g}", same.spread, other.spread, to_dense.spread))
    return Table(
        "Distance between untrained networks, first layer, mean ± standard deviation over pairs",
        ("density", "same root,\n1 to 3 generations", "other seed", "to the dense\nnetwork"),
        tuple(rows),
    )


def _claims(groups, matrix):
    few = FEW if FEW in groups else min(groups)
    same, other = _kin(groups, matrix, few)
    least, *more = sorted(groups)
    (first, second) = groups[least]
    apart = [
        Sample(
            f"{100 * least:g} % and {100 * d:g} %",
            pairs(matrix, first + second, [i for part in groups[d] for i in part]),
            PLAIN,
        )
        for d in more
    ]
    to_dense = _to_dense(groups, matrix, least)
    return [
        ordered("networks of two seeds are much further apart than those of one", [other, same]),
        between("the distance of two seeds at 0.6 % is very big", other, 0.5, 1.0),
        ordered("the distance grows with the difference in density", apart[::-1])
        if len(apart) > 1
        else ordered("the distance grows with the difference in density", [*apart, same]),
        between("between different densities it goes up to 1", to_dense, 0.95, 1.0),
    ]
