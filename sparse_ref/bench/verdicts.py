"""What must be reached, what was measured, and whether it was: worked out from the records alone.

A row is judged only by everything it is about. Where a shape, a density or a peer is missing, the
verdict is "not measured".
"""

import itertools
from collections.abc import Sequence
from statistics import median

from sparse_ref.bench import conv_verdicts
from sparse_ref.bench.clock import Ratio, geometric_mean, ratio
from sparse_ref.bench.contenders import BACKWARD, BOTH, FORWARD, WEIGHT_GRADIENT
from sparse_ref.bench.crossing import Crossing, crossing
from sparse_ref.bench.events import DENSE_GRADIENT, RIGL_EVENT, SET_EVENT, STEP
from sparse_ref.bench.judging import Verdict, judged
from sparse_ref.bench.peers import (
    OURS,
    ROWS,
    SKLEARN,
    SPARSEPROP,
    TORCH_CSR,
    TORCH_DENSE,
    TORCH_MASKED,
)
from sparse_ref.bench.records import Record, seconds, select, shape, values
from sparse_ref.bench.settings import DENSITIES, SHAPES
from sparse_ref.bench.shares import shares

BATCH = 128
SIZES, EXAMPLES = [784, 1000, 1000, 1000, 10], 60_000
CROSSING_SHAPES = ((1000, 1000), (4000, 4000))
EVENT_SHAPE, EVENT_DENSITY = (4000, 4000), 0.05
CONNECTIONS = 1_000_000  # with fewer, what does not grow with them would be seen
ROOFLINE_DENSITIES = (0.05, 0.1, 0.2)
LEAST_SHARE = 0.6
ROOFLINE_KERNELS = (FORWARD, BACKWARD, WEIGHT_GRADIENT)


def verdicts(records: Sequence[Record]) -> list[Verdict]:
    """The whole table, every row with each number of threads that was measured."""
    threads = values([r for r in records if r["part"] != "scaling"], "threads") or [None]
    rows = (
        *(_kernels, _every_point, _epochs, _crossings, _events, _roofline),
        *(conv_verdicts.convolutions, conv_verdicts.steps),
    )
    found = [row for count in threads for make in rows for row in make(records, count)]
    first = {row.what: k for k, row in reversed(list(enumerate(found)))}
    by_row = sorted(found, key=lambda row: first[row.what])  # one row's threads side by side
    return [*by_row, *conv_verdicts.memories(records), _bytes(records)]


def _kernels(records, threads):
    table = (
        (f"{BOTH}, against sparseprop", BOTH, OURS, SPARSEPROP, 4.0),
        (f"{BOTH}, against sparseprop, ours in rows too", BOTH, ROWS, SPARSEPROP, None),
        ("forward, against PyTorch CSR", FORWARD, OURS, TORCH_CSR, 2.5),
    )
    for name, what, ours, theirs, least in table:
        pairs = [pair for _, pair in _points(records, threads, what, ours, theirs)]
        complete = len(pairs) == len(SHAPES) * len(DENSITIES)
        mean = geometric_mean(pairs) if complete else None
        yield judged(f"{name}: geometric mean", threads, mean, at_least=least)


def _every_point(records, threads):
    points = list(_points(records, threads, FORWARD, OURS, TORCH_CSR))
    worst, where = None, ""
    if len(points) == len(SHAPES) * len(DENSITIES):
        (record, pair) = min(points, key=lambda point: ratio(*point[1]).value)
        worst, where = ratio(*pair), f"{shape(record)}, density {record['density']:g}"
    name = "forward, against PyTorch CSR: least of all points"
    yield judged(name, threads, worst, at_least=1.2, where=where)


def _points(records, threads, what, ours, theirs):
    """Our record and (their seconds, our seconds) at every point of the table that has both."""
    for (n_in, n_out), density in itertools.product(SHAPES, DENSITIES):
        here = {"part": "kernels", "what": what, "batch": BATCH, "threads": threads}
        here |= {"n_in": n_in, "n_out": n_out, "density": density}
        pair = seconds(records, who=theirs, **here), seconds(records, who=ours, **here)
        if None not in pair:
            yield here, pair


def _epochs(records, threads):
    here = {"part": "training", "what": "epoch", "threads": threads}
    here |= {"sizes": SIZES, "examples": EXAMPLES}
    ours = seconds(records, who=OURS, **here)
    origin = "/".join(values(select(records, **here), "data")) or "Fashion-MNIST"
    for who, least in ((TORCH_MASKED, 5.0), (SKLEARN, 8.0)):
        theirs = seconds(records, who=who, **here)
        found = ratio(theirs, ours) if theirs and ours else None
        yield judged(f"epoch of {origin}, against {who}", threads, found, at_least=least)


def _crossings(records, threads):
    for n_in, n_out in CROSSING_SHAPES:
        found = crossing_of(records, (n_in, n_out), threads)
        name = f"crossing density, {BOTH}, {n_in}x{n_out}"
        if found is None:
            yield judged(name, threads, None, at_least=0.25)
            continue
        middle, low, high = found
        measured = f"{middle.text} ({low.text} to {high.text})"
        spread = Ratio(middle.least, low.least, high.least)
        yield judged(name, threads, spread, at_least=0.25, measured=measured)


def crossing_of(
    records: Sequence[Record], layer: tuple[int, int], threads: int | None, ours: str = OURS
) -> tuple[Crossing, Crossing, Crossing] | None:
    """Where dense becomes faster: by the medians, and the least and largest of one round.

    None where there are not two densities at which both were measured.
    """
    here = {"part": "crossing", "what": BOTH, "n_in": layer[0], "n_out": layer[1]}
    here |= {"batch": BATCH, "threads": threads}
    points: list[tuple[float, list[float], list[float]]] = []
    for density in values(select(records, **here), "density"):
        mine = seconds(records, who=ours, density=density, **here)
        dense = seconds(records, who=TORCH_DENSE, density=density, **here)
        if mine and dense:
            points.append((density, mine, dense))
    if len(points) < 2:
        return None
    densities = [density for density, _, _ in points]
    middle = crossing(densities, [median(a) for _, a, _ in points], [median(b) for *_, b in points])
    each = range(len(points[0][1]))
    rounds = sorted(
        (
            crossing(densities, [a[k] for _, a, _ in points], [b[k] for *_, b in points])
            for k in each
        ),
        key=lambda found: found.least,
    )
    return middle, rounds[0], rounds[-1]


def _events(records, threads):
    here = {"part": "events", "threads": threads, "density": EVENT_DENSITY}
    here |= {"n_in": EVENT_SHAPE[0], "n_out": EVENT_SHAPE[1]}
    names = (RIGL_EVENT, DENSE_GRADIENT, SET_EVENT, STEP)
    rigl, gradient, set_, step = (seconds(records, what=name, **here) for name in names)
    found = ratio(rigl, gradient) if rigl and gradient else None
    layer = f"{EVENT_SHAPE[0]}x{EVENT_SHAPE[1]} at density {EVENT_DENSITY:g}"
    yield judged(f"RigL event, {layer}, over one dense gradient", threads, found, at_most=1.3)
    found = ratio(set_, step) if set_ and step else None
    yield judged(f"SET event, {layer}, over one training step", threads, found, at_most=2.0)


def _roofline(records, threads):
    wanted = set(itertools.product(ROOFLINE_KERNELS, SHAPES, ROOFLINE_DENSITIES))
    here = {}
    for share in shares(select(records, threads=threads)):
        r = share.record
        if r["batch"] == BATCH:
            here[r["what"], (r["n_in"], r["n_out"]), r["density"]] = share
    mean, where = None, ""
    if wanted <= set(here):
        pairs = {key: (here[key].bounded, here[key].record["seconds"]) for key in wanted}
        mean = geometric_mean(list(pairs.values()))
        worst = min(wanted, key=lambda key: ratio(*pairs[key]).value)
        what, (n_in, n_out), density = worst
        least = ratio(*pairs[worst]).value
        where = f"least {least:.2f}: {what}, {n_in}x{n_out}, density {density:g}"
    name = "share of the roofline, density 0.05-0.2: geometric mean"
    yield judged(name, threads, mean, at_least=LEAST_SHARE, where=where)


def _bytes(records):
    found = select(records, part="scaling", what="bytes per connection")
    value = found[0]["value"] if found and found[0]["connections"] >= CONNECTIONS else None
    spread = None if value is None else Ratio(value, value, value)
    name = "bytes per connection in training with momentum"
    measured = "" if value is None else f"{value:.1f}"
    return judged(name, None, spread, at_most=32.0, measured=measured)
