"""The command ``sparse-ref bench``, and ``sparse-ref bench million``."""

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from sparse_ref.bench import (
    company,
    convnets,
    convolutions,
    crossing,
    events,
    layers,
    machine,
    million,
    model_table,
    pictures,
    scaling,
    training,
)
from sparse_ref.bench.peers import Peers, load, versions
from sparse_ref.bench.records import Record
from sparse_ref.bench.report import NOTES, tables, verdict_table
from sparse_ref.bench.settings import PARTS, SCALES, Settings, checked_parts, settings_for
from sparse_ref.bench.verdicts import verdicts
from sparse_ref.experiments import output

Images = Callable[[], Any]  # -> (train, test), splits (x, y); FileNotFoundError if absent
Say = Callable[[str], None]

WIDEST = 400  # columns; tables are printed as wide as they are, since a cut number is none

OutOption = Annotated[Path | None, typer.Option("--out", help="Folder to write; new or empty.")]


def make(images: Images, told: Callable[[], AbstractContextManager]) -> typer.Typer:
    """The sub-application.

    Parameters
    ----------
    images : callable
        Loads Fashion-MNIST; only `cli` knows `data_loaders`.
    told : callable
        Context in which what a user can mend is told in a line.
    """
    app = typer.Typer(help="Measure ours and the peers; say what was reached.")

    @app.callback(invoke_without_command=True)
    def bench(
        context: typer.Context,
        scale: Annotated[str, typer.Option(help=f"One of {', '.join(SCALES)}.")] = "table",
        parts: Annotated[str, typer.Option(help="Some of these.")] = ",".join(PARTS),
        threads: Annotated[str | None, typer.Option(help="1 and all cores if omitted.")] = None,
        rounds: Annotated[int | None, typer.Option(help="Samples of every contender.")] = None,
        out: OutOption = None,
    ) -> None:
        """Measure ours and the peers, interleaved in this process; say what was reached."""
        if context.invoked_subcommand is None:
            with told():
                settings = settings_for(scale, _numbers(threads) if threads else None, rounds)
                chosen = checked_parts(tuple(part.strip() for part in parts.split(",")))
                _bench(settings, chosen, images, out, scale)

    @app.command("million")
    def one_million(
        methods: Annotated[str, typer.Option(help=f"Some of {', '.join(million.METHODS)}.")] = (
            ",".join(million.METHODS)
        ),
        batch_size: Annotated[int, typer.Option(help="Examples per step.")] = 32,
        steps: Annotated[int, typer.Option(help="Steps of every method.")] = million.STEPS,
        threads: Annotated[int | None, typer.Option(help="All cores if omitted.")] = None,
        seed: Annotated[int, typer.Option(help="Of network, data and rewiring.")] = 2018,
        out: OutOption = None,
    ) -> None:
        """Train a network of a million neurons with each method."""
        names = tuple(name.strip() for name in methods.split(","))
        how = {"methods": names, "batch_size": batch_size, "steps": steps, "seed": seed}
        with told():
            how["threads"] = settings_for("table", (threads,) if threads else None).threads[-1]
            _million(how, out)

    return app


def measure(
    settings: Settings, parts: Sequence[str], peers: Peers, images: training.Images, say: Say
) -> Iterator[Record]:
    """The records of the chosen parts as they come; the machine's limits with the kernels."""
    if "kernels" in parts:
        sizes = settings.machine_sizes or machine.SIZES
        yield from machine.measure(settings.threads, say, sizes)
        yield from layers.measure(settings, peers, say)
    if "training" in parts:
        yield from training.measure(settings, peers, images, say)
    if "events" in parts:
        yield from events.measure(settings, say)
    if "crossing" in parts:
        yield from crossing.measure(settings, peers, say)
    if "scaling" in parts:
        yield from scaling.measure(settings, say, settings.largest)
    if "convolutions" in parts:
        yield from convolutions.measure(settings, peers, say)
    if "convnets" in parts:
        yield from convnets.measure(settings, peers, say)
    if "models" in parts:
        yield from model_table.measure(settings, say)


def result(
    settings: Settings,
    parts: Sequence[str],
    peers: Peers,
    records: Sequence[Record],
    finished: bool,
) -> dict[str, Any]:
    """All of a run as one value for JSON; `verdicts` and pictures can be had again from it."""
    return {
        "settings": asdict(settings),
        "parts": list(parts),
        "environment": output.environment() | {"peers": versions()},
        "skipped": peers.skipped,
        "finished": finished,
        "records": list(records),
        "verdicts": [row._asdict() for row in verdicts(records)],
    }


def notes(peers: Peers, origin: str, busy: float | None) -> list[str]:
    """What a reader of the tables must know."""
    lines = [*NOTES, *(f"{name} is skipped: {why}" for name, why in peers.skipped.items())]
    if origin:
        lines.append(f"training on {origin}")
    if busy is not None and busy > company.NOTABLE:
        lines.append(
            f"others used {100 * busy:.0f} % of this machine meanwhile: repeat it when it is idle"
        )
    return lines


def _bench(settings, parts, load_images, out, scale):
    peers = load()  # before any kernel of ours runs, see there
    images = _images(load_images, settings) if "training" in parts else training.noise(1)
    folder = output.new_folder(out or _default_folder("bench"), asdict(settings) | {"scale": scale})
    records: list[Record] = []
    begin, finished = company.moment(), False
    try:
        with _progress() as say:
            records.extend(measure(settings, parts, peers, images, say))
        finished = True
    except KeyboardInterrupt:
        typer.echo("interrupted; what was measured is in the folder", err=True)
        raise typer.Exit(130) from None
    finally:
        busy = company.others(begin, company.moment())
        whole = result(settings, parts, peers, records, finished) | {"others": busy}
        _write(folder / "results.json", whole)
    pictures.write_all(folder, records)
    _show(records, verdicts(records))
    for line in notes(peers, images.origin if "training" in parts else "", busy):
        typer.echo(f" note: {line}")
    typer.echo(f"results.json and pictures are in {folder}")


def _million(how, out):
    folder = output.new_folder(out or _default_folder("million"), how)
    with _progress() as say:
        found = million.run(say, **how)
    _write(folder / "results.json", {"environment": output.environment()} | found)
    typer.echo(million.table(found))
    typer.echo(f"results.json is in {folder}")


def _show(records, judged):
    for table in (*tables(records), verdict_table(judged)):
        width = Console(width=WIDEST).measure(table).maximum
        Console(width=max(width, Console().width)).print(table)


def _images(load_images, settings):
    try:
        x, y = load_images()[0]
    except FileNotFoundError as error:
        why = str(error).splitlines()[0]
        typer.echo(f"training on noise of the size of Fashion-MNIST: {why}", err=True)
        return training.noise(settings.examples)
    x = np.ascontiguousarray(x.reshape(len(x), -1), np.float32)
    return training.Images(x, np.asarray(y), "Fashion-MNIST")


@contextlib.contextmanager
def _progress() -> Iterator[Say]:
    """What is being done, and for how long, on stderr."""
    columns = SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}")
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)

        def say(text):
            progress.update(task, description=text)

        yield say


def _write(path, content):
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _default_folder(kind):
    return Path("runs") / f"{kind}-{datetime.now():%Y%m%d-%H%M%S}"


def _numbers(text):
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"bench: threads must be numbers between commas, got {text!r}") from None
