"""Figure 6: the types of RadiX-Nets that were tested, and what random nets are beside them.

LeNet-300-100 is too large to be drawn unit by unit. The graphs are of its miniature: N = (2, 2) for
N = (10, 10), B = (2, 3, 1) for (8, 3, 1) and (2, 6, 1) for (8, 30, 1), two outputs for ten. Half of
the connections are left for a tenth; twice the hidden units bring them back to the number of the
dense net, as ten times do in LeNet. The images are of LeNet itself.
"""

import numpy as np

from sparse_ref import topology
from sparse_ref.experiments.alford_2018.networks import OUTPUTS, RADIX, RANDOM, SECOND, Net
from sparse_ref.experiments.alford_2018.paths import counted, degrees_in_words
from sparse_ref.experiments.recipe import Claim, Context, Report, Table
from sparse_ref.plots_topology import bipartite, masks
from sparse_ref.topology.patterns import Layers, of_ones

DENSITY = 0.1
OUTPUT_LAYER, LENET = SECOND * OUTPUTS, 784 * 300 + 300 * 100 + 100 * 10  # connections


def run(context: Context) -> Report:
    """Draw the miniatures and LeNet's masks; count connections, degrees and paths of LeNet."""
    (seed,) = context.seed_numbers(1)[:1]
    nets = [Net(kind, times, DENSITY) for times in (1, 10) for kind in (RADIX, RANDOM)]
    layers = {net: net.layers(seed) for net in nets}
    context.say("counting paths")
    paths = {net: counted(found) for net, found in layers.items()}
    return Report(
        tables=[_table(layers, paths)],
        claims=_claims(layers, paths),
        pictures={
            "figure_6.png": bipartite(miniatures()),
            "figure_6_masks.png": masks(_images(layers), columns=2, pixels=800),
        },
        notes=[
            "figure_6 is of miniatures: every connection of them is drawn, of LeNet there are "
            f"{LENET:,}",
            "paths are those to the second hidden layer; from there all is dense",
        ],
        numbers={
            "paths": [{**net._asdict(), **found._asdict()} for net, found in paths.items()],
        },
    )


def miniatures() -> dict[str, Layers]:
    """The dense net, the one of fixed neurons, the one of fixed connections, outputs dense."""
    named = {"fixed neurons": (2, 3, 1), "fixed connections": (2, 6, 1)}
    output = _dense(2, 4)
    nets = {"dense": (_dense(12, 8), _dense(4, 12), output)}
    nets |= {n: (*topology.radix_net([(2, 2)], b), output) for n, b in named.items()}
    return {f"{n}\n{sum(w.nnz for w in net)} connections": net for n, net in nets.items()}


def _dense(n_out, n_in):
    return of_ones((n_out, n_in), np.arange(n_out * n_in))


def _images(layers):
    """The two sparse layers of the nets of fixed neurons."""
    names = "first layer", "second layer"
    return {
        f"{net.kind}, {name}": weight
        for k, name in enumerate(names)
        for net, found in layers.items()
        if net.times == 1
        for weight in [found[k]]
    }


def _table(layers, paths):
    rows = []
    for net, (first, second) in layers.items():
        rows.append(
            (
                f"{net.kind} {'-'.join(map(str, net.sizes))}",
                f"{first.nnz + second.nnz + OUTPUT_LAYER:,}",
                degrees_in_words(topology.out_degrees(first)),
                degrees_in_words(topology.in_degrees(first)),
                degrees_in_words(topology.in_degrees(second)),
                paths[net].joined_in_words,
                paths[net].number_in_words,
            )
        )
    headings = (
        "network",
        "connections",
        "connections\nof an input",
        "of a unit of\nhidden layer 1",
        "of a unit of\nhidden layer 2",
        "pairs\njoined",
        "paths\nof a pair",
    )
    return Table("The four sparse nets of density 0.1", headings, tuple(rows))


def _claims(layers, paths):
    small, big = Net(RADIX, 1, DENSITY), Net(RADIX, 10, DENSITY)
    connections = {n: sum(w.nnz for w in layers[n]) + OUTPUT_LAYER for n in (small, big)}
    guaranteed = all(paths[n].joined == paths[n].pairs for n in (small, big))
    loose = paths[Net(RANDOM, 1, DENSITY)], paths[Net(RANDOM, 10, DENSITY)]
    return [
        Claim(
            "the small one has the shape of LeNet-300-100 with 90 % sparsity",
            f"784-300-100-10, {connections[small]:,} of {LENET:,} connections",
            connections[small] == LENET // 10 + OUTPUT_LAYER * 9 // 10,
        ),
        Claim(
            "the large one has as many connections as LeNet-300-100",
            f"{connections[big]:,} and {LENET:,}",
            connections[big] == LENET,
        ),
        Claim(
            "RadiX-Nets are path-connected",
            f"{paths[small].joined_in_words} and {paths[big].joined_in_words} pairs joined",
            guaranteed,
        ),
        Claim(
            "random layers hold the same guarantees of path-connectedness asymptotically",
            f"{loose[0].joined_in_words} pairs joined by the small random net, "
            f"{loose[1].joined_in_words} by the large one",
            _grows(*loose),
        ),
    ]


def _grows(small, large):
    """The larger net joins more of its pairs, and all but one in a thousand."""
    shares = [found.joined / found.pairs for found in (small, large)]
    return shares[1] >= shares[0] and shares[1] > 0.999
