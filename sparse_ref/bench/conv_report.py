"""Tables of convolutions, whole convnets and all models, from the records."""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from rich.table import Table

from sparse_ref.bench.clock import geometric_mean
from sparse_ref.bench.contenders import BACKWARD, BOTH, FORWARD
from sparse_ref.bench.peers import OURS
from sparse_ref.bench.records import Record, seconds, select, values
from sparse_ref.bench.tables import against, count_of, in_ms, new_table, number

MEAN = "geometric mean"
NOTES = (
    "convolutions: forward and backward are the two stages of one call. PyTorch's and sparseprop's "
    "are the faster of two ways each; results.json names it. sparseprop's loops over examples are "
    "right for batches that are multiples of 8 only.",
    "convnets: memory is the most that building the network and two training steps need, beyond "
    "what the process needed before, with a small network; 'process' counts the libraries too.",
)


def convolution_tables(records: Sequence[Record]) -> Iterator[Table]:
    """Every layer and density, a table per stage and number of threads."""
    here = select(records, part="convolutions")
    for what in (FORWARD, BACKWARD, BOTH):
        for threads in values(here, "threads"):
            part = select(here, what=what, threads=threads)
            if part:
                yield _convolutions(part, f"3x3 convolutions, {what}, {count_of(threads)}")


def convnet_table(records: Sequence[Record]) -> Iterator[Table]:
    """Steps and memory of whole networks."""
    here = select(records, part="convnets")
    if not here:
        return
    r = here[0]
    title = f"training steps of convnets, density {r['density']:g}, batch {r['batch']}"
    threads = values(here, "threads")
    columns = [f"step, {count_of(count)}\nms, ratio" for count in threads]
    table = new_table(title, ["network", "who"], [*columns, "memory MB", "process MB"])
    for name in dict.fromkeys(r["network"] for r in here):
        table.add_section()
        part = select(here, network=name)
        for who in dict.fromkeys(r["who"] for r in part):
            table.add_row(name, who, *_step_cells(part, who, threads), *_memory_cells(part, who))
    yield table


def model_table(records: Sequence[Record]) -> Iterator[Table]:
    """Every model: its size, what it takes to build and to train."""
    here = select(records, part="models")
    if not here:
        return
    r = here[0]
    columns = ["image", "parameters\nif dense", "connections", "build s", "network MB", "batch"]
    columns += ["training MB", "process MB", "s per step"]
    title = f"all models at density {r['density']:g}, {count_of(r['threads'])}"
    table = new_table(title, ["model"], columns)
    for r in here:
        image = "x".join(str(n) for n in r["image"])
        counts = f"{r['parameters']:,}", f"{r['connections']:,}"
        sizes = (f"{r[key] / 1e6:,.1f}" for key in ("training_bytes", "peak_bytes"))
        built = f"{r['build_seconds']:.2f}", f"{r['network_bytes'] / 1e6:,.2f}", str(r["batch"])
        table.add_row(r["model"], image, *counts, *built, *sizes, f"{median(r['seconds']):.4f}")
    yield table


def _convolutions(records, title):
    others = [who for who in dict.fromkeys(r["who"] for r in records) if who != OURS]
    columns = ["density", f"{OURS}\nms", *(f"{who}\nms, ratio" for who in others)]
    table = new_table(f"{title}, batch {records[0]['batch']}", ["channels, image"], columns)
    pairs: dict[tuple[float, str], list[Any]] = {}  # a pair of seconds for each layer
    previous = None
    for r in select(records, who=OURS):
        here = {key: r[key] for key in ("channels", "size", "density")}
        name = f"{r['channels']}, {r['size']}x{r['size']}"
        if name != previous:
            table.add_section()
        previous = name
        theirs = {who: seconds(records, who=who, **here) for who in others}
        for who, taken in theirs.items():
            pairs.setdefault((r["density"], who), []).append((taken, r["seconds"]))
        cells = [against(taken, r["seconds"]) for taken in theirs.values()]
        table.add_row(name, f"{r['density']:g}", in_ms(r["seconds"]), *cells)
    table.add_section()
    for density in values(records, "density"):
        cells = [_mean(pairs[density, who]) for who in others]
        table.add_row(MEAN, f"{density:g}", "", *cells)
    return table


def _mean(pairs):
    if any(theirs is None for theirs, _ in pairs):
        return "-"
    value, low, high = map(number, geometric_mean(pairs))
    return f"{value} ({low} to {high})"


def _step_cells(records, who, threads):
    for count in threads:
        here = {"what": "step", "threads": count}
        taken, ours = seconds(records, who=who, **here), seconds(records, who=OURS, **here)
        yield in_ms(taken) if who == OURS else against(taken, ours)


def _memory_cells(records, who):
    found = select(records, what="memory", who=who)
    for key in ("network_bytes", "peak_bytes"):
        yield f"{found[0][key] / 1e6:,.1f}" if found else "-"
