"""What convolutions and whole convnets must reach."""

from collections.abc import Iterator, Sequence
from typing import Any

from sparse_ref.bench.clock import Ratio, geometric_mean, ratio
from sparse_ref.bench.contenders import BOTH
from sparse_ref.bench.judging import Verdict, judged
from sparse_ref.bench.peers import OURS, SPARSEPROP, TORCH_DENSE
from sparse_ref.bench.records import Record, seconds, select

LAYERS = ((64, 32), (128, 16), (256, 8), (512, 4))  # channels, size
DENSITIES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
BATCH = 128
LEAST = {  # density -> how many times faster, by the geometric mean over the layers
    TORCH_DENSE: {0.02: 8.0, 0.05: 5.0, 0.1: 2.5, 0.3: 1.0},
    SPARSEPROP: {0.02: 3.0, 0.05: 3.0, 0.1: 3.0},
}
NETWORKS = ("resnet18", "vgg16")
LEAST_STEP = 3.0

Pair = tuple[list[float], list[float]]


def convolutions(records: Sequence[Record], threads: int | None) -> Iterator[Verdict]:
    """Forward and backward: geometric means at each density, and the worst point of all."""
    for who, by_density in LEAST.items():
        for density, least in by_density.items():
            name = f"convolutions, {BOTH}, density {density:g}, against {who}: geometric mean"
            yield judged(name, threads, mean(records, threads, density, who), at_least=least)
    worst, where = None, ""
    points = {
        (*layer, density): pair
        for density in DENSITIES
        for layer, pair in _pairs(records, threads, density, SPARSEPROP).items()
    }
    if len(points) == len(LAYERS) * len(DENSITIES):
        channels, size, density = min(points, key=lambda point: ratio(*points[point]).value)
        worst = ratio(*points[channels, size, density])
        where = f"{channels}x{size}x{size}, density {density:g}"
    name = f"convolutions, {BOTH}, against {SPARSEPROP}: least of all points"
    yield judged(name, threads, worst, at_least=1.0, where=where)


def steps(records: Sequence[Record], threads: int | None) -> Iterator[Verdict]:
    """A training step of each network at full width."""
    for name in NETWORKS:
        here = _full_width(name, what="step", threads=threads)
        theirs, ours = (seconds(records, who=who, **here) for who in (TORCH_DENSE, OURS))
        found = ratio(theirs, ours) if theirs and ours else None
        what = f"training step of {name}, density 0.05, against {TORCH_DENSE}"
        yield judged(what, threads, found, at_least=LEAST_STEP)


def memories(records: Sequence[Record]) -> Iterator[Verdict]:
    """What training each network at full width needs."""
    for name in NETWORKS:
        here = _full_width(name, what="memory")
        theirs, ours = (select(records, who=who, **here) for who in (TORCH_DENSE, OURS))
        found, measured = None, ""
        if theirs and ours and ours[0]["network_bytes"]:
            a, b = theirs[0]["network_bytes"], ours[0]["network_bytes"]
            found = Ratio(a / b, a / b, a / b)
            measured = f"{a / b:.2f} ({a / 1e6:,.0f} MB against {b / 1e6:,.0f} MB)"
        what = f"memory to train {name}, density 0.05: {TORCH_DENSE}'s over ours"
        yield judged(what, None, found, at_least=1.0, measured=measured)


def mean(records: Sequence[Record], threads: int | None, density: float, who: str) -> Ratio | None:
    """Geometric mean over the layers of theirs over ours; None where one was not measured."""
    pairs = _pairs(records, threads, density, who)
    return geometric_mean(list(pairs.values())) if len(pairs) == len(LAYERS) else None


def _pairs(
    records: Sequence[Record], threads: int | None, density: float, who: str
) -> dict[tuple[int, int], Pair]:
    """(Their seconds, our seconds) of every layer that has both."""
    pairs = {}
    for channels, size in LAYERS:
        here: dict[str, Any] = {"part": "convolutions", "what": BOTH, "batch": BATCH}
        here |= {"threads": threads, "channels": channels, "size": size, "density": density}
        theirs, ours = seconds(records, who=who, **here), seconds(records, who=OURS, **here)
        if theirs and ours:
            pairs[channels, size] = theirs, ours
    return pairs


def _full_width(name: str, **more: Any) -> dict[str, Any]:
    return {"part": "convnets", "network": name, "width": 1.0, "batch": BATCH} | more
