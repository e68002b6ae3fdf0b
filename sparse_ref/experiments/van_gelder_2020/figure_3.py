"""Figure 3: in-degrees along DNW's training (section 5)."""

import numpy as np

from sparse_ref import at_init, topology
from sparse_ref.experiments.evidence import PLAIN, Sample, between, ordered
from sparse_ref.experiments.recipe import Report, Table
from sparse_ref.experiments.runner import beginning
from sparse_ref.experiments.van_gelder_2020 import pictures
from sparse_ref.experiments.van_gelder_2020.networks import (
    DNW,
    Net,
    Study,
    config,
)
from sparse_ref.experiments.van_gelder_2020.settings import MASKED, Settings

NET = Net(DNW, MASKED)
STRONG = 0.5  # what we call a strong correlation
LAYERS = ("first hidden layer", "second hidden layer")


def wanted(settings: Settings) -> list[Net]:
    """One network, kept after every epoch."""
    return [NET]


def report(study: Study) -> Report:
    """Follow the degrees, and the structure itself."""
    along = [_along(study, trained) for trained in study.found[NET]]
    degrees = [_degrees(patterns) for patterns in along]
    measures = {
        name: [_sample(name, rule, degrees, k) for k in range(len(LAYERS))]
        for name, rule in (("correlation", correlation), ("amplification", amplification))
    }
    moved = _moved(along)
    rows = [
        (f"{name} of in-degrees after epoch 1 and at the end", *(s.spread for s in samples))
        for name, samples in measures.items()
    ]
    rows += [(f"Jaccard distance, {sample.name}", sample.spread, "") for sample in moved]
    return Report(
        tables=[
            Table("DNW at 90.5 % sparsity, mean ± std over seeds", ("", *LAYERS), tuple(rows)),
        ],
        claims=_claims(measures, moved),
        pictures={"figure_3.png": pictures.degrees(degrees[0], LAYERS)} if degrees else {},
        notes=[
            "the picture is of the first seed; epoch 0 is the structure of the largest weights "
            "drawn; Jaccard distances are of all layers together",
            "amplification: slope of the change from epoch 1 to the end over the in-degree after "
            f"epoch 1; strong correlation: at least {STRONG:g}, our limit",
        ],
        numbers={
            "degrees": [[layer.tolist() for layer in network] for network in degrees],
            "distances": {sample.name: list(sample.values) for sample in moved},
        },
    )


def correlation(degrees: np.ndarray) -> float:
    """Pearson's, of in-degrees after epoch 1 and at the end; (epochs + 1, units)."""
    return topology.correlation(degrees[1], degrees[-1])


def amplification(degrees: np.ndarray) -> float:
    """Slope of what a unit gains after epoch 1 over its in-degree then."""
    first, gain = degrees[1].astype(float), (degrees[-1] - degrees[1]).astype(float)
    spread = first - first.mean()
    return float(spread @ gain / (spread @ spread)) if spread.any() else float("nan")


def _along(study, trained):
    """The sparse layers before training and after every epoch."""
    whole = config(NET, study.settings, trained.seed, study.images)
    net, _ = beginning(whole)
    net.prune(at_init.magnitude(net, NET.density, scope="local", count="trunc_removed"))
    return [net.topology, *(trained.epochs[k].weights for k in sorted(trained.epochs))]


def _degrees(along):
    """(epochs + 1, units) in-degrees of every hidden layer."""
    return [
        np.array([topology.in_degrees(patterns[k]) for patterns in along])
        for k in range(len(LAYERS))
    ]


def _moved(along):
    """How far the structure moves in the first epoch, and after it."""
    ways = {"start to epoch 1": (0, 1), "epoch 1 to the end": (1, -1)}
    return [
        Sample(
            name,
            tuple(topology.jaccard_distance(net[first], net[last]) for net in along),
            PLAIN,
        )
        for name, (first, last) in ways.items()
    ]


def _sample(name, rule, degrees, layer):
    return Sample(name, tuple(rule(network[layer]) for network in degrees), PLAIN)


def _claims(measures, moved):
    claims = []
    for k, layer in enumerate(LAYERS):
        claims.append(
            between(
                f"in-degrees after epoch 1 and final in-degrees are strongly correlated ({layer})",
                measures["correlation"][k],
                STRONG,
                1.0,
            )
        )
        slope = measures["amplification"][k]
        none = Sample("none", (0.0,) * len(slope.values), PLAIN)
        claims.append(
            ordered(f"what the first epoch made is amplified afterwards ({layer})", [slope, none])
        )
    claims.append(ordered("most structural change happens in the first epoch", moved))
    return claims
