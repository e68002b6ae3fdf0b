"""Figure 2: how accuracy falls as trained networks lose more connections (section 4)."""

from fractions import Fraction

import numpy as np

from sparse_ref.analysis import sensitivity
from sparse_ref.experiments.evidence import Sample, ordered
from sparse_ref.experiments.recipe import Report, Table
from sparse_ref.experiments.van_gelder_2020 import pictures
from sparse_ref.experiments.van_gelder_2020.networks import (
    DNW,
    KINDS,
    LT,
    RANDOM,
    RIGL,
    Net,
    Study,
)
from sparse_ref.experiments.van_gelder_2020.settings import MASKED, Settings

FRACTIONS = [Fraction(k, 20) for k in range(21)]  # of the connections a network has
BY_LAYER = "magnitude, layer by layer"
ORDERS = {  # what is ranked, and over what
    "magnitude": ("magnitude", "global"),
    "random": ("random", "global"),
    BY_LAYER: ("magnitude", "local"),
}
REMOVAL_SEED = 14  # with a network's own: the order of random removal


def wanted(settings: Settings) -> list[Net]:
    """Every kind at one sparsity."""
    return [Net(kind, MASKED) for kind in KINDS]


def report(study: Study) -> Report:
    """Prune, evaluate, compare areas under the curves."""
    curves = {(kind, by): _curves(study, kind, by) for by in ORDERS for kind in KINDS}
    areas = {key: Sample(key[0], tuple(map(area, found))) for key, found in curves.items()}
    rows = [(kind, *(areas[kind, by].spread for by in ORDERS)) for kind in KINDS]
    drawn = any(map(len, curves.values()))
    return Report(
        tables=[
            Table(
                "Mean test accuracy over all fractions removed (area under the curve), %",
                ("network", "ascending\nmagnitude", "at random", "magnitude,\nlayer by layer"),
                tuple(rows),
            )
        ],
        claims=_claims(areas),
        pictures={"figure_2.png": pictures.sensitivity(curves, FRACTIONS)} if drawn else {},
        notes=[
            "fractions are of the connections left at 90.5 % sparsity, ranked over all layers "
            "together unless it says layer by layer; biases stay, nothing is trained again"
        ],
        numbers={
            "fractions": [float(f) for f in FRACTIONS],
            "curves": [
                {"kind": kind, "by": by, "accuracy": found.tolist()}
                for (kind, by), found in curves.items()
            ],
        },
    )


def area(curve: np.ndarray) -> float:
    """Under a curve over `FRACTIONS`, by trapezoids: the mean accuracy."""
    return float(np.trapezoid(curve, [float(f) for f in FRACTIONS]))


def _curves(study, kind, order):
    """(seeds, fractions) accuracies."""
    net, (by, scope) = Net(kind, MASKED), ORDERS[order]
    study.context.say(f"sensitivity of {kind}, by {order}")
    rows = [
        sensitivity(
            study.network(net, trained),
            study.data.test,
            FRACTIONS,
            by=by,
            scope=scope,
            rng=np.random.default_rng((REMOVAL_SEED, trained.seed)),
        )
        for trained in study.found[net]
    ]
    return np.array(rows).reshape(len(rows), len(FRACTIONS))


def _claims(areas):
    falls = "removed by magnitude, random graphs lose accuracy faster than"
    claims = [
        ordered(f"{falls} {kind} graphs", [areas[kind, "magnitude"], areas[RANDOM, "magnitude"]])
        for kind in (DNW, LT, RIGL)
    ]
    better, worse = (_together(areas, kinds, "random") for kinds in ((DNW, LT), (RIGL, RANDOM)))
    claims.append(
        ordered(
            "removed at random, DNW and LT slightly outperform RigL and random", [better, worse]
        )
    )
    return claims


def _together(areas, kinds, by):
    """Means over two kinds, seed by seed."""
    pairs = zip(*(areas[kind, by].values for kind in kinds), strict=False)
    return Sample(" and ".join(kinds), tuple(sum(pair) / len(pair) for pair in pairs))
