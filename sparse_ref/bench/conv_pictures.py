"""The picture of convolutions, drawn from the records alone."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from sparse_ref.bench.contenders import BOTH, FORWARD
from sparse_ref.bench.panels import finish, grid, ratios
from sparse_ref.bench.records import Record, select, values


def convolutions(records: Sequence[Record]) -> Figure | None:
    """How many times as long every peer takes as ours: a column per layer, a row per product.

    The line is the ratio of medians, the band its least and largest in one round. With the most
    threads that were measured.
    """
    here = select(records, part="convolutions")
    here = select(here, threads=max(values(here, "threads"), default=0))
    if not here:
        return None
    layers = list(dict.fromkeys((r["channels"], r["size"]) for r in here))
    figure, axes = grid(2, len(layers))
    for row, what in zip(axes, (FORWARD, BOTH), strict=True):
        for ax, (channels, size) in zip(row, layers, strict=True):
            ratios(ax, select(here, what=what, channels=channels, size=size))
            ax.set_title(f"{what}\n{channels} channels, {size}x{size}", fontsize=9)
        row[0].set_ylabel("their time / ours")
    threads, batch = here[0]["threads"], here[0]["batch"]
    finish(figure, axes, f"3x3 convolutions, batch {batch}, float32, threads: {threads}")
    return figure
