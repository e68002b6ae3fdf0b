"""Rewinding against finetuning: figures 2 and 9, from the trainings of figure 10."""

from typing import Any

import numpy as np

from sparse_ref.experiments.evidence import PLAIN, Sample, near, ordered, percent
from sparse_ref.experiments.masks_2020 import measures, pictures
from sparse_ref.experiments.masks_2020.networks import (
    FINETUNE,
    L1_US,
    LAYERS,
    PAPER,
    REWIND,
    TREATED,
    Runs,
    Settings,
)
from sparse_ref.experiments.recipe import Report, Table

ALIKE = 0.02
EARLY = range(1, 11)


def report(runs: Runs, settings: Settings) -> Report:
    """Compare accuracies and masks of both treatments, for four ways to prune."""
    cells = [(method, treatment) for method in TREATED for treatment in (REWIND, FINETUNE)]
    accuracy = {cell: measures.accuracies(runs[cell], settings.levels) for cell in cells}
    pruned = {cell: measures.pruned_fractions(measures.longest(runs[cell])) for cell in cells}
    apart = {
        method: measures.distances(runs[method, REWIND], runs[method, FINETUNE], settings.levels)
        for method in TREATED
    }
    magnitudes = {cell: _last_magnitude(runs[cell]) for cell in cells}
    curves = {cell: (pruned[cell], accuracy[cell]) for cell in cells}
    return Report(
        tables=[_accuracies(accuracy, settings), _apart(apart, settings)],
        claims=_claims(accuracy, apart, magnitudes, settings),
        pictures={
            "figure_2.png": pictures.accuracies(curves),
            "figure_9.png": _figure_9(apart),
        },
        notes=head_start(settings),
        numbers={"figure 9": {method: v.tolist() for method, v in apart.items()}},
    )


def head_start(settings: Settings) -> list[str]:
    """What finetuning has over rewinding where trainings are short."""
    if settings.epochs == PAPER.epochs:
        return []
    return [
        "finetuned networks go on from all trainings before: where one training is much shorter "
        f"than {PAPER.epochs} epochs, that is much of what they learn"
    ]


def _last_magnitude(outcomes):
    """(seeds,) mean |w| of all weights of the last network."""
    found = []
    for outcome in outcomes:
        weights = outcome.levels[-1].weights
        values = [np.abs(w if isinstance(w, np.ndarray) else w.data).ravel() for w in weights]
        found.append(np.concatenate(values).mean())
    return np.array(found)


def _claims(accuracy, apart, magnitudes, settings):
    claims = [
        near(
            f"finetuning performs as rewinding does: {method}, within 2 points (means over "
            "iterations 1 to 10)",
            measures.mean_over(pictures.SAID[FINETUNE], accuracy[method, FINETUNE], EARLY),
            measures.mean_over(pictures.SAID[REWIND], accuracy[method, REWIND], EARLY),
            ALIKE,
        )
        for method in TREATED
    ]
    claims.append(
        ordered(
            "with L1 US, finetuned weights end larger than rewound ones (mean of the last network)",
            [
                Sample(pictures.SAID[t], tuple(magnitudes[L1_US, t].tolist()), PLAIN)
                for t in (FINETUNE, REWIND)
            ],
            "paired",
        )
    )
    for method in TREATED:
        claims += _growth(method, apart[method].mean(axis=2), settings)
    return claims


def _growth(method, values, settings):
    """Does the distance grow, and is its growth closer to a logarithm or to a line."""
    iterations = settings.iterations
    last, first = (
        measures.mean_over(f"iteration {k}", values, [k], PLAIN) for k in (iterations[-1], 1)
    )
    fits = {"logarithm": np.log(iterations), "line": np.array(iterations, float)}
    explained = {
        name: Sample(name, tuple(_explained(x, row[1:]) for row in values), PLAIN)
        for name, x in fits.items()
    }
    return [
        ordered(
            f"the distance between rewound and finetuned masks grows: {method}, mean over layers",
            [last, first],
            "paired",
        ),
        ordered(
            f"and as a logarithm: {method}, part of the variance over iterations that a "
            "logarithm explains, and a line",
            [explained["logarithm"], explained["line"]],
            "paired",
        ),
    ]


def _explained(x, y):
    """R² of a straight line through (x, y)."""
    rest = y - np.polyval(np.polyfit(x, y, 1), x)
    return float(1 - rest.var() / y.var()) if y.var() else float("nan")


def _figure_9(apart):
    labels = {method: (method, REWIND) for method in apart}
    panels: dict[str, Any] = {
        layer: {method: values[:, :, k] for method, values in apart.items()}
        for k, layer in enumerate(LAYERS)
    }
    what = "Jaccard distance,\nrewound and finetuned"
    return pictures.distances(panels, labels, what, logarithmic=True)


def _accuracies(accuracy, settings):
    rows = [
        (str(k), *(percent(values[:, k]) for values in accuracy.values()))
        for k in settings.iterations
    ]
    headings = ("iteration", *(f"{method},\n{pictures.SAID[t]}" for method, t in accuracy))
    return Table("Figure 2: test accuracy %, mean ± standard deviation", headings, tuple(rows))


def _apart(apart, settings):
    rows = []
    for k in settings.iterations:
        means = (float(np.nanmean(values[:, k])) for values in apart.values())
        rows.append((str(k), *(f"{mean:.3f}" for mean in means)))
    title = "Figure 9: Jaccard distance of rewound and finetuned masks, mean over layers and seeds"
    return Table(title, ("iteration", *apart), tuple(rows))
