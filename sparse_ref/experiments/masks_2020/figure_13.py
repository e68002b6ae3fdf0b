"""Masks found after a single epoch of training: figure 13 (appendix C)."""

from dataclasses import replace

import numpy as np

from sparse_ref.experiments.evidence import PLAIN, Sample, between, ordered, percent
from sparse_ref.experiments.masks_2020 import measures, pictures
from sparse_ref.experiments.masks_2020.figure_10 import filters
from sparse_ref.experiments.masks_2020.networks import (
    L1_US,
    LAPTOP,
    LAYERS,
    LOOKED_AT,
    PAPER,
    REWIND,
    SMOKE,
    asked,
    notes,
    trained,
)
from sparse_ref.experiments.recipe import Context, Report, Table

SETTINGS = {
    "smoke": replace(SMOKE, epochs=2),
    "laptop": replace(LAPTOP, images=10_000, epochs=10, seeds=4),  # few ways, so more of each
    "paper": PAPER,
}
PICTURED = 10  # iteration
DIFFERENT = 0.1  # Jaccard distance


def run(context: Context, augmented: bool = False) -> Report:
    """Prune by L1 US after one epoch, and after many; compare the masks."""
    settings = asked(SETTINGS, context)
    lengths = replace(settings, epochs=1), settings
    short, long = (trained(context, s, (L1_US,), (REWIND,), augmented) for s in lengths)
    pair = short.runs[L1_US, REWIND], long.runs[L1_US, REWIND]
    apart = measures.distances(*pair, settings.levels)
    k = min(PICTURED, settings.levels)
    images = {
        f"{epochs} epoch{'s' if epochs > 1 else ''} a training, iteration {k}": filters(
            outcomes[0].levels[k]
        )
        for epochs, outcomes in zip((1, settings.epochs), pair, strict=True)
    }
    return Report(
        tables=[_table(apart, pair, settings)],
        claims=_claims(apart, pair, settings),
        pictures={"figure_13.png": pictures.masked_weights([images])},
        notes=[
            *notes(settings, long.name, augmented),
            "the paper's program trains on to 30 epochs before it evaluates what it pruned after "
            "one; here accuracies are those after one",
        ],
        numbers={"distance": apart.tolist()},
    )


def _unrelated(outcomes, layer):
    """(levels,) distance to expect of two random masks of such a density."""
    densities = np.array(
        [link.connections[layer] / outcomes[0].positions[layer] for link in outcomes[0].levels]
    )
    return 1 - densities / (2 - densities)


def _claims(apart, pair, settings):
    claims = []
    for k, layer in enumerate(LAYERS):
        found = measures.mean_over(layer, apart[:, :, k], [PICTURED], PLAIN)
        claims.append(
            between(
                f"masks found after one epoch are others than those found after {settings.epochs}: "
                f"{layer}, Jaccard distance at iteration 10 above {DIFFERENT:g}",
                found,
                DIFFERENT,
                1.0,
            )
        )
    at = min(PICTURED, settings.levels)
    chance = float(_unrelated(pair[0], LOOKED_AT)[at])
    found = measures.mean_over("one and many epochs", apart[:, :, LOOKED_AT], [at], PLAIN)
    unrelated = Sample("unrelated masks", (chance,) * len(found.values), PLAIN)
    claims.append(
        ordered(
            "though most of the order of magnitudes is settled in the first few epochs: they have "
            f"more in common than unrelated masks ({LAYERS[LOOKED_AT]})",
            [unrelated, found],
            "paired",
        )
    )
    return claims


def _table(apart, pair, settings):
    accuracy = [measures.accuracies(outcomes, settings.levels) for outcomes in pair]
    rows = []
    for k in settings.iterations:
        cells = []
        for layer in range(len(LAYERS)):
            chance = _unrelated(pair[0], layer)[k]
            cells.append(f"{np.nanmean(apart[:, k, layer]):.3f} ({chance:.3f})")
        rows.append((str(k), *cells, *(percent(values[:, k].tolist()) for values in accuracy)))
    title = (
        f"Jaccard distance of masks found after 1 epoch and after {settings.epochs} (in brackets: "
        "of unrelated masks); accuracy % after those epochs"
    )
    headings = "iteration", *LAYERS, "1 epoch", f"{settings.epochs} epochs"
    return Table(title, headings, tuple(rows))
