"""Tables of a benchmark for the screen, from its records."""

from collections.abc import Iterator, Sequence
from statistics import median

from rich.table import Table

from sparse_ref.bench import conv_report
from sparse_ref.bench.contenders import WHATS
from sparse_ref.bench.judging import Verdict
from sparse_ref.bench.peers import OURS
from sparse_ref.bench.records import Record, seconds, select, shape, values
from sparse_ref.bench.shares import shares
from sparse_ref.bench.tables import against, bytes_of, count_of, in_ms, new_table

NOTES = (
    "ms: median of the rounds. A ratio is theirs over ours, of the medians, and in brackets its "
    "least and largest in one round.",
    "sparse_ref takes and gives tiles, as between layers; 'rows in and out' counts the change of "
    "layout, as PyTorch's dense layer and sparseprop do.",
    "SciPy and PyTorch CSR run without bias, with a transposed weight made beforehand; SciPy on "
    "one thread always, and it has no product for the weight gradient.",
    "sparse_ref takes both gradients in one pass (backward): it has no input gradient alone.",
    *conv_report.NOTES,
)


def tables(records: Sequence[Record]) -> Iterator[Table]:
    """Everything that was measured, a table for each part that was."""
    yield from _limits(select(records, part="machine"))
    yield from _kernels(select(records, part="kernels"))
    yield from _shares(records)
    yield from _crossing(select(records, part="crossing"))
    yield from _training(select(records, part="training"))
    yield from _events(select(records, part="events"))
    yield from _scaling([r for r in select(records, part="scaling") if "seconds" in r])
    yield from conv_report.convolution_tables(records)
    yield from conv_report.convnet_table(records)
    yield from conv_report.model_table(records)


def verdict_table(rows: Sequence[Verdict]) -> Table:
    """The table of what must be reached."""
    table = new_table("what must be reached", ["what"], ["threads", "asked", "measured", "verdict"])
    previous = None
    for row in rows:
        name = row.what if row.what != previous else ""
        previous = row.what
        threads = "" if row.threads is None else str(row.threads)
        measured = "\n".join(part for part in (row.measured, row.where) if part)
        table.add_row(name, threads, row.asked, measured, row.verdict)
    return table


def _limits(limits):
    threads = values(limits, "threads")
    if not threads:
        return
    table = new_table("what this machine can do", ["what"], [count_of(count) for count in threads])
    peaks = [select(limits, what="peak", threads=count)[0]["flops"] for count in threads]
    table.add_row("multiply-adds in registers", *(f"{flops / 1e9:.0f} GFLOP/s" for flops in peaks))
    for size in values(limits, "bytes"):
        here = [select(limits, bytes=size, threads=count)[0] for count in threads]
        rates = [f"{r['bytes_per_second'] / 1e9:.1f} GB/s" for r in here]
        table.add_row(f"rows gathered from {bytes_of(size)} a thread", *rates)
    yield table


def _kernels(records):
    for what in WHATS:
        for batch in values(records, "batch"):
            for count in values(records, "threads"):
                here = select(records, what=what, batch=batch, threads=count)
                if here:
                    yield _kernel_table(here, f"{what}, batch {batch}, {count_of(count)}")


def _kernel_table(records, title):
    ours, *others = list(dict.fromkeys(r["who"] for r in records))
    table = new_table(
        title, ["layer"], ["density", f"{ours}\nms", *(f"{who}\nms, ratio" for who in others)]
    )
    previous = None
    for r in select(records, who=ours):
        if shape(r) != previous:
            table.add_section()
        previous = shape(r)
        here = {key: r[key] for key in ("n_in", "n_out", "density")}
        cells = [against(seconds(records, who=who, **here), r["seconds"]) for who in others]
        table.add_row(shape(r), f"{r['density']:g}", in_ms(r["seconds"]), *cells)
    return table


def _shares(records):
    found = shares(records)
    if not found:
        return
    columns = ["threads", "density", "roofline ms", "measured ms", "share"]
    table = new_table("share of the roofline", ["kernel", "layer"], columns)
    for share in found:
        r = share.record
        part = share.roofline / median(r["seconds"])
        cells = (str(r["threads"]), f"{r['density']:g}", f"{1e3 * share.roofline:.3f}")
        table.add_row(r["what"], shape(r), *cells, in_ms(r["seconds"]), f"{part:.2f}")
    yield table


def _crossing(records):
    for count in values(records, "threads"):
        here = select(records, threads=count)
        if here:
            yield _kernel_table(here, f"forward+backward against dense, {count_of(count)}")


def _training(records):
    for count in values(records, "threads"):
        here = select(records, threads=count)
        r = here[0]
        sizes = "-".join(str(n) for n in r["sizes"])
        title = f"training {sizes}, {r['connections']:,} connections, {count_of(count)}"
        whats = ["step", "epoch"]
        table = new_table(title, [f"{r['examples']:,} examples, {r['data']}"], whats)
        ours = {what: seconds(here, who=OURS, what=what) for what in whats}
        for who in dict.fromkeys(r["who"] for r in here):
            theirs = {what: seconds(here, who=who, what=what) for what in whats}
            cells = [
                in_ms(theirs[w]) if who == OURS else against(theirs[w], ours[w]) for w in whats
            ]
            table.add_row(who, *(f"{cell} ms" if who == OURS else cell for cell in cells))
        yield table


def _events(records):
    if not records:
        return
    r = records[0]
    title = f"rewiring {shape(r)} at density {r['density']:g}, batch {r['batch']}"
    table = new_table(title, ["what", "who"], ["threads", "ms"])
    for r in records:
        table.add_row(r["what"], r["who"], str(r["threads"]), in_ms(r["seconds"]))
    yield table


def _scaling(records):
    if not records:
        return
    columns = ["threads", "connections", "positions", "ms", "peak MB"]
    table = new_table("scaling", ["what"], columns)
    for r in records:
        counts = (str(r["threads"]), f"{r['connections']:,}", f"{r['positions']:,}")
        table.add_row(r["what"], *counts, in_ms(r["seconds"]), f"{r['peak_bytes'] / 1e6:.1f}")
    yield table
