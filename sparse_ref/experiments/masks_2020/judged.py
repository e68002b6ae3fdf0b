"""The claims of Masks2020 about pruning with rewinding, judged by what was measured.

"Similar", "close" and "marginally" have no numbers in the paper; those used here are in the text of
each claim. Means over iterations are taken of each seed, and seeds are compared in pairs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sparse_ref.experiments.evidence import PLAIN, Sample, Unit, between, near, ordered
from sparse_ref.experiments.masks_2020.measures import collapse, mean_over
from sparse_ref.experiments.masks_2020.networks import (
    CONVOLUTIONS,
    FC_ONLY,
    HYBRID,
    L1_S,
    L1_US,
    L2_S,
    LAYERS,
    LINF_S,
    LOOKED_AT,
    METHODS,
    RANDOM_S,
    RANDOM_US,
)
from sparse_ref.experiments.recipe import Claim
from sparse_ref.topology import correlation

EARLY, LATE = range(1, 11), range(7, 21)
SAME, FEW_POINTS, LITTLE = 0.01, 0.03, 0.01
ALMOST_ALL = 0.9  # pruned, where figure 12 is compared
THOUSANDTHS = Unit(1000.0, 2, " thousandths")


def means(values: np.ndarray) -> tuple[float, ...]:
    """Of each seed over all iterations."""
    return tuple(float(mean) for mean in np.nanmean(values[:, 1:], axis=1))


def of_rewinding(found: Mapping[str, Any]) -> list[Claim]:
    """Claims about figures 1, 3, 4, 6 to 8, 12 and 14 and about table 2."""
    accuracy = found["accuracy"]
    return [
        *_tickets(accuracy),
        *_structured(accuracy),
        *_at_random(accuracy),
        *_masks(found),
        *_stability(found),
        _effective(found),
        *_ensembles(found),
    ]


def _tickets(accuracy):
    claims = [
        near(
            f"{method} stays within about a point of its first iteration up to the ninth",
            mean_over(f"{method}, iteration 9", accuracy[method], [9]),
            mean_over("iteration 1", accuracy[method], [1]),
            SAME,
        )
        for method in (L1_US, HYBRID, FC_ONLY)
    ]
    late = [mean_over(method, accuracy[method], LATE) for method in (FC_ONLY, HYBRID, L1_US)]
    order = "from iteration 7 on fc-only is best, then hybrid, then L1 US (means over 7 to 20)"
    return [*claims, ordered(order, late, "paired")]


def _structured(accuracy):
    one, two, least, random = (
        mean_over(method, accuracy[method], EARLY) for method in (L1_S, L2_S, LINF_S, RANDOM_S)
    )
    similar = "structured norms perform alike, within 3 points (means over iterations 1 to 10)"
    return [
        near(similar, one, two, FEW_POINTS),
        near(similar, one, least, FEW_POINTS),
        ordered("pruning channels by a norm is better than at random", [one, random], "paired"),
        near("but only marginally: within 3 points", one, random, FEW_POINTS),
    ]


def _at_random(accuracy):
    structured, single = (
        mean_over(method, accuracy[method], range(3, 21)) for method in (RANDOM_S, RANDOM_US)
    )
    first = {method: collapse(method, values) for method, values in accuracy.items()}
    others = [sample for method, sample in first.items() if method != RANDOM_US]
    next_ = min(others, key=lambda sample: sample.mean)
    return [
        ordered(
            "networks resist the removal of random units better than that of random connections "
            "(means over iterations 3 to 20)",
            [structured, single],
            "paired",
        ),
        ordered(
            "random US collapses first (iteration at which accuracy falls below 50 %)",
            [next_, first[RANDOM_US]],
            "paired",
        ),
    ]


def _masks(found):
    middle = range(1, 11)
    from_l2, from_l1 = found["from L2 S"], found["from L1 US"]
    of_all = {m: mean_over(m, v.mean(axis=2), middle, PLAIN) for m, v in from_l2.items()}
    others = [sample for method, sample in of_all.items() if method != L1_S]
    nearest = min(others, key=lambda sample: sample.mean)
    claims = [
        ordered(
            "of all masks those of L1 S are the closest to those of L2 S (Jaccard distance, means "
            "over layers and iterations 1 to 10)",
            [nearest, of_all[L1_S]],
            "paired",
        )
    ]
    every = np.mean([v.mean(axis=2) for v in from_l2.values()], axis=0)
    growing = [mean_over(f"iteration {k}", every, [k], PLAIN) for k in (10, 5, 1)]
    claims.append(
        ordered("distances from the masks of L2 S grow with iterations", growing, "paired")
    )
    pair = [mean_over(m, from_l1[m][:, :, LOOKED_AT], EARLY, PLAIN) for m in (RANDOM_US, L1_S)]
    similar = (
        "masks of L1 US are closer to those of L1 S than to those of random US "
        f"({LAYERS[LOOKED_AT]}, means over iterations 1 to 10)"
    )
    return [*claims, ordered(similar, pair, "paired")]


def _stability(found):
    values = {m: v.mean(axis=1) for m, v in found["stability"].items()}
    sample = {m: Sample(m, tuple(map(float, v)), THOUSANDTHS) for m, v in values.items()}
    stable = (
        "methods with an unstructured part have more stable weights (mean change over layers, in "
        "thousandths)"
    )
    claims = [ordered(stable, [sample[L1_S], sample[m]], "paired") for m in (HYBRID, L1_US)]
    claims.append(_correlated(found, values))
    for k in range(CONVOLUTIONS, len(LAYERS)):  # what the paper says it of
        first, later = found["magnitudes"][:, k].T
        claims.append(
            ordered(
                f"magnitudes grow as sparsity does (L1 US, {LAYERS[k]}, weights that outlive half "
                "of the iterations)",
                [_plain("then", later), _plain("before pruning", first)],
                "paired",
            )
        )
    return claims


def _correlated(found, stability):
    """Over methods, for each seed."""
    accuracy = np.array([means(found["accuracy"][m]) for m in METHODS])
    unstable = np.array([stability[m] for m in METHODS])
    pairs = zip(accuracy.T, unstable.T, strict=True)
    values = [correlation(a, u, kind="spearman") for a, u in pairs]
    return ordered(
        "weight stability goes with performance: over the eight methods, the change of weights and "
        "accuracy have a negative rank correlation",
        [_plain("none", [0.0] * len(values)), _plain("correlation", values)],
        "paired",
    )


def _effective(found):
    """Is the lead of L1 US over L1 S at the same sparsity smaller where that is effective."""
    gaps = {}
    for kind in ("pruned", "effective"):
        at = {m: _at_sparsity(found, m, kind) for m in (L1_US, L1_S)}
        gaps[kind] = tuple(float(v) for v in at[L1_US] - at[L1_S] if np.isfinite(v))
    return ordered(
        "by effective sparsity structured pruning is competitive: L1 US leads L1 S by less than by "
        f"explicit sparsity (interpolated where {100 * ALMOST_ALL:g} % are pruned)",
        [Sample("lead, explicit", gaps["pruned"]), Sample("lead, effective", gaps["effective"])],
        "paired",
    )


def _at_sparsity(found, method, kind):
    """(seeds,) accuracy where `ALMOST_ALL` is pruned, between two iterations."""
    values, x = found["accuracy"][method], found[kind][method]
    rows = x if kind == "effective" else [x] * len(values)
    return np.array(
        [np.interp(ALMOST_ALL, at, row[: len(at)]) for at, row in zip(rows, values, strict=True)]
    )


def _ensembles(found):
    accuracy, (all_, three) = found["accuracy"], found["ensembles"].values()
    best = np.max([accuracy[m] for m in METHODS], axis=0)
    of_three = np.max([accuracy[m] for m in (HYBRID, FC_ONLY, L1_US)], axis=0)
    early, late, whole = range(1, 5), range(16, 21), range(1, 21)
    told = "averaging all eight networks is at least as good as the best of them, iterations"
    return [
        between(f"{told} 1 to 4", mean_over("lead", all_ - best, early), 0.0, 1.0),
        between(f"{told} 16 to 20", mean_over("lead", all_ - best, late), 0.0, 1.0),
        between(
            "averaging hybrid, fc-only and L1 US is at least as good as the best of the three "
            "(mean over iterations 1 to 20)",
            mean_over("lead", three - of_three, whole),
            0.0,
            1.0,
        ),
    ]


def _plain(name: str, values: Sequence[float]) -> Sample:
    return Sample(name, tuple(float(v) for v in values if np.isfinite(v)), PLAIN)
