"""Eight ways to prune, with rewinding: figures 1, 3, 4, 6, 7, 8, 12 and 14, tables 1 and 2."""

from typing import Any

import numpy as np

from sparse_ref.analysis import weight_evolution
from sparse_ref.experiments.evidence import Sample, percent
from sparse_ref.experiments.masks_2020 import judged, measures, pictures, published
from sparse_ref.experiments.masks_2020.networks import (
    FC_ONLY,
    HYBRID,
    L1_S,
    L1_US,
    L2_S,
    LAPTOP,
    LAYERS,
    LOOKED_AT,
    METHODS,
    PAPER,
    REWIND,
    SMOKE,
    Settings,
    asked,
    config,
    notes,
    trained,
)
from sparse_ref.experiments.recipe import Context, Report, Table

SETTINGS = {"smoke": SMOKE, "laptop": LAPTOP, "paper": PAPER}
COUNTED = (18, 20)  # iterations of figure 14
ALL, THREE = published.COLUMNS[-2:]
ENSEMBLES = {ALL: METHODS, THREE: (HYBRID, FC_ONLY, L1_US)}
EVOLVING = (L1_S, HYBRID, L1_US)  # methods of figures 6 and 7


def run(context: Context, augmented: bool = False) -> Report:
    """Train the chains, then look at them in every way the paper does."""
    settings = asked(SETTINGS, context)
    chains = trained(context, settings, METHODS, (REWIND,), augmented)
    context.say("masks, ensembles and stability of the trained networks")
    found = measured(chains.runs, chains.data, settings)
    return Report(
        tables=[_table_1(), _table_2(found), _stability(found)],
        claims=judged.of_rewinding(found),
        pictures=_pictures(chains.runs, found),
        notes=[*notes(settings, chains.name, augmented), *_own_notes()],
        numbers=_numbers(found),
    )


def measured(runs: Any, data: Any, settings: Settings) -> dict[str, Any]:
    """Everything the claims and pictures are of, by name and method."""
    chains = {method: runs[method, REWIND] for method in METHODS}
    counted = sorted({min(k, settings.levels) for k in COUNTED})
    ensembles, agreements = measures.together(runs, ENSEMBLES, data.test, settings.levels, counted)
    return {
        "accuracy": {
            m: measures.accuracies(outcomes, settings.levels) for m, outcomes in chains.items()
        },
        "pruned": {m: measures.pruned_fractions(measures.longest(c)) for m, c in chains.items()},
        "effective": {
            m: [measures.effectively_pruned(one) for one in c] for m, c in chains.items()
        },
        "from L2 S": {
            m: measures.distances(chains[L2_S], c, settings.levels)
            for m, c in chains.items()
            if m != L2_S
        },
        "from L1 US": {
            m: measures.distances(chains[L1_US], c, settings.levels)
            for m, c in chains.items()
            if m != L1_US
        },
        "stability": {m: measures.stabilities(c) for m, c in chains.items()},
        "magnitudes": _magnitudes(chains[L1_US]),
        "ensembles": ensembles,
        "agreements": agreements,
    }


def _magnitudes(outcomes):
    """(seeds, layers, 2) mean |w| of weights that outlive half the iterations: first, and then."""
    found = []
    for outcome in outcomes:
        middle = len(outcome.levels) // 2
        ends = outcome.levels[0].weights, outcome.levels[middle].weights
        evolved = [np.abs(weight_evolution(pair).values) for pair in zip(*ends, strict=True)]
        found.append([values[:, ~np.isnan(values[1])].mean(axis=1) for values in evolved])
    return np.array(found)


def _table_1():
    one = config(PAPER, 0, PAPER.data)  # only counted, so any seed will do
    net = one.model.build(np.random.default_rng(one.seed))
    n = sum(layer.weight.size + layer.bias.size for layer in net.weighted)
    rows = []
    for fraction, stated in zip(published.FRACTIONS, published.TABLE_1, strict=True):
        left = (1 - fraction) * n / 1000
        rows.append((f"{fraction:g}", stated, f"{left:.1f}" if left < 1 else f"{left:.0f}"))
    headings = "fraction pruned", "published", "counted"
    return Table("Table 1: thousands of parameters left of LeNet", headings, tuple(rows))


def _table_2(found):
    values = found["accuracy"] | found["ensembles"]
    rows = []
    for k, stated in enumerate(published.TABLE_2, start=1):
        if k >= len(found["pruned"][L1_US]):
            break
        means = [100 * float(np.nanmean(values[name][:, k])) for name in published.COLUMNS]
        cells = (f"{mean:.1f} ({paper})" for mean, paper in zip(means, stated, strict=True))
        rows.append((str(k), *cells))
    headings = ("iteration", *published.COLUMNS)
    return Table("Table 2: test accuracy %, beside it the paper's", headings, tuple(rows))


def _stability(found):
    rows = []
    for method, values in found["stability"].items():
        columns = (Sample("", tuple(column), judged.THOUSANDTHS) for column in values.T.tolist())
        cells = (column.spread for column in columns)
        rows.append((method, *cells, percent(judged.means(found["accuracy"][method]))))
    title = (
        "Figure 8: mean |change| of weights that live on, in thousandths; accuracy %, mean over "
        "iterations"
    )
    return Table(title, ("method", *LAYERS, "accuracy"), tuple(rows))


def _pictures(runs, found):
    labels = {method: (method, REWIND) for method in METHODS}
    curves = {
        (method, REWIND): (found["pruned"][method], found["accuracy"][method]) for method in METHODS
    }
    from_l1 = found["from L1 US"]
    return {
        "figure_1.png": pictures.accuracies(curves),
        "figure_3.png": pictures.distances(
            _by_layer(found["from L2 S"]), labels, "Jaccard distance from L2 S"
        ),
        "figure_4.png": pictures.distances(
            _by_layer(from_l1), labels, "Jaccard distance from L1 US"
        ),
        "figure_6.png": _evolutions(runs, LOOKED_AT),
        "figure_7.png": _evolutions(runs, len(LAYERS) - 1),
        "figure_8.png": pictures.stabilities(found["stability"], LAYERS),
        "figure_12.png": _dots(found),
        "figure_14.png": pictures.agreements(
            {f"pruning iteration {k}": matrix for k, matrix in found["agreements"].items()},
            METHODS,
        ),
    }


def _by_layer(distances):
    return {
        layer: {method: values[:, :, k] for method, values in distances.items()}
        for k, layer in enumerate(LAYERS)
    }


def _evolutions(runs, layer):
    panels = {}
    for method in EVOLVING:
        outcome = runs[method, REWIND][0]
        panels[method] = weight_evolution([link.weights[layer] for link in outcome.levels])
    return pictures.evolutions(panels)


def _dots(found):
    explicit, effective = {}, {}
    for method, values in found["accuracy"].items():
        each = [row[np.isfinite(row)] for row in values]
        explicit[method] = [(found["pruned"][method][: len(row)], row) for row in each]
        effective[method] = list(zip(found["effective"][method], each, strict=True))
    return pictures.dots({"(a) explicitly pruned": explicit, "(b) effectively pruned": effective})


def _own_notes():
    return [
        "weights from which no output can be reached, and those of networks that have collapsed, "
        "stay at their first values (the level lines of figure 6): figure 8 counts them as stable",
        "ensembles average softmax probabilities; the paper does not say what it averages",
        f"figures 6 and 7 draw {pictures.LINES} weights of a layer, of the first seed",
    ]


def _numbers(found):
    return {
        "accuracy": {m: v.tolist() for m, v in found["accuracy"].items()},
        "ensembles": {m: v.tolist() for m, v in found["ensembles"].items()},
        "pruned": {m: v.tolist() for m, v in found["pruned"].items()},
        "effective": {m: [v.tolist() for v in each] for m, each in found["effective"].items()},
        "from L2 S": {m: v.tolist() for m, v in found["from L2 S"].items()},
        "from L1 US": {m: v.tolist() for m, v in found["from L1 US"].items()},
        "stability": {m: v.tolist() for m, v in found["stability"].items()},
        "agreements": {str(k): v.tolist() for k, v in found["agreements"].items()},
    }
