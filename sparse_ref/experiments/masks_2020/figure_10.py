"""Four treatments of what is left after pruning: figures 2, 5, 9, 10 and 11."""

from dataclasses import replace
from typing import Any

import numpy as np

from sparse_ref import csr
from sparse_ref.experiments.chain import Link
from sparse_ref.experiments.evidence import PLAIN, between, near, ordered, percent
from sparse_ref.experiments.masks_2020 import figure_2, measures, pictures
from sparse_ref.experiments.masks_2020.networks import (
    FINETUNE,
    L1_S,
    L1_US,
    LAPTOP,
    LAYERS,
    LOOKED_AT,
    PAPER,
    REWIND,
    SIGMA_SIGN,
    SIGN,
    SMOKE,
    TREATED,
    asked,
    notes,
    patterns,
    trained,
)
from sparse_ref.experiments.recipe import Context, Report, Table, joined

SETTINGS = {
    "smoke": SMOKE,
    "laptop": replace(LAPTOP, images=20_000),  # twice as many ways as figure 1
    "paper": PAPER,
}
TREATMENTS = (REWIND, FINETUNE, SIGMA_SIGN, SIGN)
OTHERS = TREATMENTS[1:]
ALIKE, FAILED = 0.02, 0.5
EARLY, PICTURED = range(1, 11), 10
ROWS = ((2, 5), (5, 10))  # of figure 5: the iteration of L1 S, and that of the others


def run(context: Context, augmented: bool = False) -> Report:
    """Train four ways to prune with four treatments, compare accuracies and masks."""
    settings = asked(SETTINGS, context)
    chains = trained(context, settings, TREATED, TREATMENTS, augmented)
    reports = [figure_2.report(chains.runs, settings), _report(chains.runs, settings)]
    return joined([Report(notes=notes(settings, chains.name, augmented)), *reports])


def _report(runs, settings):
    accuracy = {cell: measures.accuracies(c, settings.levels) for cell, c in runs.items()}
    apart = {
        (m, t): measures.distances(runs[m, REWIND], runs[m, t], settings.levels)
        for m in TREATED
        for t in OTHERS
    }
    empty = {
        (t, outputs): measures.empty(runs[L1_US, t], LOOKED_AT, settings.levels, outputs)
        for t in TREATMENTS
        for outputs in (False, True)
    }
    longest = {m: measures.longest(runs[m, REWIND]) for m in TREATED}
    curves = {
        (m, t): (measures.pruned_fractions(longest[m]), values)
        for (m, t), values in accuracy.items()
        if t != FINETUNE  # that is figure 2
    }
    chance = [measures.expected_empty(longest[L1_US], LOOKED_AT, way) for way in (False, True)]
    return Report(
        tables=[_accuracies(accuracy, settings), _apart(apart, settings), _empty(empty, chance)],
        claims=_claims(accuracy, apart, empty),
        pictures={
            "figure_5.png": _figure_5(runs, settings),
            "figure_10.png": pictures.accuracies(curves),
            "figure_11.png": _figure_11(apart),
        },
        notes=[f"a chain that diverged{_sooner(settings)} counts as an accuracy of 0"],
        numbers={
            "accuracy": {", ".join(cell): v.tolist() for cell, v in accuracy.items()},
            "distance": {", ".join(cell): v.tolist() for cell, v in apart.items()},
            "empty inputs": {t: empty[t, False].tolist() for t in TREATMENTS},
            "empty outputs": {t: empty[t, True].tolist() for t in TREATMENTS},
        },
    )


def _sooner(settings):
    return "" if settings.rate == PAPER.rate else ", which a higher rate makes likelier,"


def _claims(accuracy, apart, empty):
    def mean(method, treatment):
        values = np.nan_to_num(accuracy[method, treatment])
        return measures.mean_over(pictures.SAID[treatment], values, EARLY)

    claims = [
        near(
            f"rewinding to σ · sign performs as rewinding does: {method}, within 2 points (means "
            "over iterations 1 to 10)",
            mean(method, SIGMA_SIGN),
            mean(method, REWIND),
            ALIKE,
        )
        for method in TREATED
    ]
    claims += [
        between(
            f"without σ the network does not converge: {method}, below 50 % (means over "
            "iterations 1 to 10)",
            mean(method, SIGN),
            0.0,
            FAILED,
        )
        for method in TREATED
    ]
    claims += [
        ordered(
            f"masks of σ · sign differ more from those of rewinding than those of finetuning do: "
            f"{method}, means over layers and iterations 1 to 10",
            [_distance(apart, method, t) for t in (SIGMA_SIGN, FINETUNE)],
            "paired",
        )
        for method in TREATED
    ]
    return [*claims, *_emptying(empty)]


def _emptying(empty):
    """Contribution 3 of the paper: is it rewinding that makes unstructured masks structured."""
    layer = LAYERS[LOOKED_AT]
    of_inputs = {
        t: measures.mean_over(pictures.SAID[t], empty[t, False], [PICTURED], PLAIN)
        for t in TREATMENTS
    }
    return [
        ordered(
            f"with rewinding, L1 US empties whole input channels ({layer}, iteration 10), which "
            f"{pictures.SAID[t]} does not",
            [of_inputs[REWIND], of_inputs[t]],
            "paired",
        )
        for t in (FINETUNE, SIGMA_SIGN)
    ]


def _distance(apart, method, treatment):
    values = apart[method, treatment].mean(axis=2)
    return measures.mean_over(pictures.SAID[treatment], values, EARLY, PLAIN)


def _accuracies(accuracy, settings):
    rows = [
        (str(k), *(percent(v[np.isfinite(v[:, k]), k]) for v in accuracy.values()))
        for k in settings.iterations
    ]
    headings = ("iteration", *(f"{method},\n{pictures.SAID[t]}" for method, t in accuracy))
    return Table("Figure 10: test accuracy %, mean ± standard deviation", headings, tuple(rows))


def _apart(apart, settings):
    rows = []
    for (method, treatment), values in apart.items():
        early = values[:, 1 : min(EARLY[-1], settings.levels) + 1]
        means = np.nanmean(early, axis=(0, 1)) if np.isfinite(early).any() else []
        rows.append((f"{method}, {pictures.SAID[treatment]}", *(f"{m:.3f}" for m in means)))
    title = (
        "Figure 11: Jaccard distance from the masks of rewinding, means over iterations 1 to 10 "
        "and seeds"
    )
    return Table(title, ("method", *LAYERS), tuple(rows))


def _empty(empty, chance):
    rows = []
    for k in dict.fromkeys(min(k, len(chance[0]) - 1) for k in (5, PICTURED, 15, 20)):
        pairs = [[_mean(empty[t, outputs][:, k]) for outputs in (False, True)] for t in TREATMENTS]
        pairs.append([shares[k] for shares in chance])
        rows.append((str(k), *(f"{inputs:.3f} / {outputs:.3f}" for inputs, outputs in pairs)))
    headings = ("iteration", *(pictures.SAID[t] for t in TREATMENTS), "by chance")
    title = f"Share of input / of output channels without a connection, L1 US, {LAYERS[LOOKED_AT]}"
    return Table(title, headings, tuple(rows))


def _mean(values):
    """Of what is there; nan of nothing."""
    there = values[np.isfinite(values)]
    return float(there.mean()) if there.size else float("nan")


def _figure_5(runs, settings):
    columns = [(L1_S, REWIND), (L1_US, REWIND), (L1_US, SIGMA_SIGN), (L1_US, FINETUNE)]
    rows: list[dict[str, Any]] = []
    for structured, other in ROWS:
        images = {}
        for method, treatment in columns:
            levels = runs[method, treatment][0].levels
            k = min(structured if method == L1_S else other, len(levels) - 1)
            title = f"{method}, {pictures.SAID[treatment]}, iteration {k}"
            if k >= 0:
                images[title] = filters(levels[k])
        rows.append(images)
    return pictures.masked_weights(rows)


def filters(link: Link) -> np.ma.MaskedArray:
    """The second convolution as a picture: a row of filters for each input channel.

    Parameters
    ----------
    link : Link
        Of a level that was kept.

    Returns
    -------
    (SIDE * inputs, SIDE * outputs) masked array
        The filter of input i and output j begins at (SIDE * i, SIDE * j); what is not there is
        masked.
    """
    present = csr.pattern(patterns(link)[LOOKED_AT])
    weight = link.weights[LOOKED_AT]
    whole = weight if isinstance(weight, np.ndarray) else csr.to_dense(weight)
    return np.ma.masked_array(_tiled(whole), ~_tiled(present))


def _tiled(weight):
    n_out = len(weight)
    by_channel = weight.reshape(n_out, -1, pictures.SIDE, pictures.SIDE).transpose(1, 2, 0, 3)
    return by_channel.reshape(-1, n_out * pictures.SIDE)


def _figure_11(apart):
    panels, labels = {}, {}
    for k, layer in enumerate(LAYERS):
        for method in TREATED:
            lines = {}
            for t in OTHERS:
                name = f"{method}, {pictures.SAID[t]}"
                labels[name] = (method, t)
                lines[name] = apart[method, t][:, :, k]
            panels[f"{method}, {layer}"] = lines
    what = "Jaccard distance\nfrom rewinding"
    return pictures.distances(panels, labels, what, logarithmic=True, columns=len(TREATED))
