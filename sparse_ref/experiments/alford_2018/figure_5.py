"""Figure 5: a RadiX-Net small enough to be drawn whole, and its random equivalent. No training."""

import numpy as np

from sparse_ref import topology
from sparse_ref.experiments.alford_2018.paths import Paths, counted, degrees_in_words
from sparse_ref.experiments.recipe import Claim, Context, Report, Table
from sparse_ref.plots_topology import bipartite
from sparse_ref.topology.patterns import Layers

RADICES, UNITS, DENSITY = (2, 2, 2), 8, 0.25
RADIX, RANDOM = "RadiX-Net (2, 2, 2)", "random equivalent"
TWINS = 1000  # random nets of which paths are counted


def run(context: Context) -> Report:
    """Draw both, and count degrees and paths; the random one is one of many."""
    radix = topology.radix_net([RADICES])
    twins = [twin(seed) for seed in context.seed_numbers(TWINS)]
    nets = {RADIX: radix, RANDOM: twins[0]}
    paths = {name: counted(net) for name, net in nets.items()}
    others = [counted(net) for net in twins]
    return Report(
        tables=[_layers(nets), _paths(paths, others)],
        claims=_claims(radix, paths[RADIX], others),
        pictures={
            "figure_5.png": bipartite(nets),
            "figure_5_paths.png": bipartite(nets, highlight=UNITS // 2),
        },
        notes=[
            "the paper calls it a two-layer net; three radices make three layers of connections",
            "every random connection is there with probability 0.25; the one drawn is the first of "
            f"{len(twins):,}",
            "in figure_5_paths all paths from one input are coloured",
        ],
        numbers={"joined": [found.joined for found in others]},
    )


def twin(seed: int) -> Layers:
    """A random net of the same shapes and expected density."""
    shapes = [(UNITS, UNITS)] * len(RADICES)
    return topology.bernoulli(shapes, DENSITY, np.random.default_rng(seed))


def _layers(nets):
    rows = [
        (
            name,
            f"{k}",
            f"{layer.nnz}",
            degrees_in_words(topology.in_degrees(layer)),
            degrees_in_words(topology.out_degrees(layer)),
        )
        for name, net in nets.items()
        for k, layer in enumerate(net, start=1)
    ]
    headings = ("network", "layer", "connections", "in-degrees", "out-degrees")
    return Table("Layers of eight by eight units", headings, tuple(rows))


def _paths(paths, others):
    rows = [(n, found.joined_in_words, found.number_in_words) for n, found in paths.items()]
    joined = np.array([found.joined for found in others])
    mean = np.mean([found.mean for found in others])
    of_many = f"{joined.mean():.1f} of {UNITS**2} (from {joined.min()} to {joined.max()})"
    return Table(
        "Paths from the inputs to the outputs",
        ("network", "pairs joined", "paths of a pair"),
        (*rows, (f"{len(others):,} random nets, mean", of_many, f"{mean:.2f}")),
    )


def _claims(radix: Layers, paths: Paths, others: list[Paths]) -> list[Claim]:
    density = sum(layer.nnz for layer in radix) / (len(radix) * UNITS**2)
    whole = sum(found.joined == found.pairs for found in others)
    return [
        Claim("the net has 75 % sparsity", f"{100 * (1 - density):g} %", density == DENSITY),
        Claim(
            "a RadiX-Net is path-connected, each input and output by equally many paths",
            f"{paths.joined_in_words} pairs joined, by {paths.number_in_words} path each",
            paths.joined == paths.pairs and paths.least == paths.most,
        ),
        Claim(
            "random layers hold the same guarantees asymptotically",
            f"{whole:,} of {len(others):,} random nets join all pairs",
            None,
            "eight units are far from any limit; figure 6 counts larger nets",
        ),
    ]
