"""The command ``sparse-ref``: compare, train, data; reproduce and bench are made elsewhere.

The only module of the library that knows `data_loaders`.
"""

from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from threadpoolctl import threadpool_limits

import data_loaders
from sparse_ref.bench import command as bench
from sparse_ref.experiments import command as reproduction
from sparse_ref.experiments import compare as comparison
from sparse_ref.experiments import output, pictures
from sparse_ref.experiments.config import ConfigError, RunConfig, merged, parse, read_file
from sparse_ref.experiments.model_config import MLP
from sparse_ref.experiments.report import comparison_table, data_table, notes
from sparse_ref.experiments.runner import Data, Result, run, warm_up
from sparse_ref.version import __version__

app = typer.Typer(
    help="Truly sparse neural-network training on the CPU.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="List, verify and download data sets.", no_args_is_help=True)
app.add_typer(data_app, name="data")
console = Console()
TABLE_WIDTH = 80

DATA = {
    "fashion-mnist-sample": data_loaders.fashion_mnist_sample,
    "fashion-mnist": data_loaders.fashion_mnist,
    "mnist": data_loaders.mnist,
    "cifar10": data_loaders.cifar10,
    "cifar100": data_loaders.cifar100,
    "tiny-imagenet": data_loaders.tiny_imagenet,
}
SPLIT_SEED = 2018  # the held-out part is the same in every run, whatever its seed

NAMES = ", ".join(comparison.NAMES)
DataOption = Annotated[str, typer.Option("--data", help=f"One of {', '.join(DATA)}.")]
OutOption = Annotated[Path | None, typer.Option("--out", help="Folder to write; new or empty.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sparse-ref {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Truly sparse neural-network training on the CPU."""


@app.command()
def compare(
    data: DataOption = "fashion-mnist-sample",
    methods: Annotated[str, typer.Option(help=f"Some of {NAMES}; commas between.")] = NAMES,
    density: Annotated[str, typer.Option(help="Comma-separated fractions.")] = "0.1,0.02",
    distribution: Annotated[str, typer.Option(help="Over layers: uniform, er or erk.")] = "erk",
    epochs: Annotated[int, typer.Option(help="Passes over the training examples.")] = 40,
    seeds: Annotated[int, typer.Option(help="Trainings per method and density.")] = 3,
    out: OutOption = None,
) -> None:
    """Train every method on the same batches, from the same networks where they start sparse."""
    with _told(), _training():
        base = merged({"epochs": epochs}, "data.name", data)
        base = merged(base, "model.distribution", distribution)
        densities = [_number("--density", text) for text in density.split(",")]
        names = [name.strip() for name in methods.split(",")]
        configs = comparison.grid(base, names, densities, range(1, seeds + 1))
        parts = _load(configs[0])
        runs = {"runs": [config.model_dump() for config in configs]}
        folder = output.new_folder(out or _default_folder("compare"), runs)
        results = _compare(configs, parts, folder)
        _finish(folder, results, parts, _title(data, parts, configs))


@app.command()
def train(
    config: Annotated[Path | None, typer.Argument(help="A .toml or .json file.")] = None,
    data: Annotated[str | None, typer.Option(help=f"One of {', '.join(DATA)}.")] = None,
    method: Annotated[str | None, typer.Option(help=f"One of {NAMES}.")] = None,
    density: Annotated[str | None, typer.Option(help="A fraction, or dense.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the examples.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Examples per step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Learning rate at the start.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of network, batches and rewiring.")] = None,
    out: OutOption = None,
) -> None:
    """Train one configuration, from a file, from flags, or from a file that flags amend."""
    with _told(), _training():
        settings = read_file(config) if config else {}
        if method == comparison.DENSE:
            method, density = None, comparison.DENSE
        flags = {
            "data.name": data,
            "method.name": method,
            "model.density": density,
            "epochs": epochs,
            "batch_size": batch_size,
            "optimizer.learning_rate": learning_rate,
            "seed": seed,
        }
        for path, value in flags.items():
            settings = settings if value is None else merged(settings, path, value)
        chosen = parse(settings, str(config) if config else "train")
        parts = _load(chosen)
        folder = output.new_folder(out or _default_folder("train"), chosen.model_dump())
        with _progress(chosen.epochs) as (advance, say):
            model, n = chosen.model, len(parts.train[1])
            warm_up(chosen.batch_size, model.dtype, n, say, model.activation, model)
            say(comparison.headline(chosen))
            result = run(chosen, parts, [advance, output.epoch_writer(folder, chosen)])
        output.append_result(folder, result)
        result.history.save(folder / "history.npz")
        _finish(folder, [result], parts, _title(chosen.data.name, parts, [chosen]))


@data_app.command("list")
def list_data() -> None:
    """Which data sets there are, and where they were found."""
    with _told():
        console.print(data_table(data_loaders.available()))


@data_app.command()
def verify(
    name: Annotated[str, typer.Argument(help="Name of a data set.")],
    folder: Annotated[Path | None, typer.Option(help="The folder that holds it.")] = None,
) -> None:
    """Compare a data set's files with the originals' SHA-256."""
    with _told():
        report = data_loaders.verify(name, folder)
        for file, status in report:
            console.print(f"{file}: {status}", highlight=False)
        if any(status != "ok" for _, status in report):
            raise typer.Exit(1)


@data_app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="Name of a data set.")],
    folder: Annotated[
        Path | None, typer.Option(help="Where to put it; the cache if omitted.")
    ] = None,
) -> None:
    """Download a data set, check it, and keep it for later."""
    with _told():
        console.print(f"{name} is in {data_loaders.fetch(name, folder)}", highlight=False)


def _compare(configs, parts, folder):
    results: list[Result] = []
    with _progress(sum(config.epochs for config in configs)) as (advance, say):
        for batch_size, dtype in {(c.batch_size, c.model.dtype) for c in configs}:
            n, model = len(parts.train[1]), configs[0].model
            warm_up(batch_size, dtype, n, say, model.activation, model)
        seeds = len({config.seed for config in configs})

        def callbacks(config):
            say(f"{comparison.headline(config)}, seed {config.seed} of {seeds}")
            return [advance, output.epoch_writer(folder, config)]

        for result in comparison.compare(configs, parts, callbacks):
            output.append_result(folder, result)
            results.append(result)
    return results


@contextmanager
def _progress(epochs):
    """A bar over all epochs: a callback that advances it and a function that names the work."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
    )
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=epochs)

        def advance(net, epoch, history):
            progress.advance(task)

        def say(text):
            progress.update(task, description=text)

        yield advance, say


@contextmanager
def _told():
    """What a user can mend is told in a line, without a traceback."""
    try:
        yield
    except (ConfigError, OSError, ValueError, ImportError, FloatingPointError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error


@contextmanager
def _training():
    """Train with one BLAS thread, and say what is left of an interrupted run.

    Two pools of threads on the same cores wait for each other, which made the dense network of a
    comparison many times slower whenever something else ran beside it.
    """
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    except KeyboardInterrupt:
        typer.echo("interrupted; epochs and trainings that had ended are in the folder", err=True)
        raise typer.Exit(130) from None


def _load(config: RunConfig) -> Data:
    name = config.data.name
    if name not in DATA:
        raise ConfigError(f"data: name must be one of {list(DATA)}, got {name!r}")
    train, test = DATA[name]()
    features = int(np.prod(train.x.shape[1:]))
    if config.model.name == MLP and config.model.sizes[0] != features:
        raise ConfigError(
            f"model.sizes: the first must be the {features} features of {name}, "
            f"got {config.model.sizes[0]}"
        )
    how, image = config.data.augment, train.x.shape[1:]
    augment = None if how is None else data_loaders.augmentation(how, image)
    if not config.data.validation:
        return Data(train, None, test, augment)
    rng = np.random.default_rng(SPLIT_SEED)
    kept, held_out = data_loaders.hold_out(train, config.data.validation, rng, how="stratified")
    return Data(kept, held_out, test, augment)


def _title(name: str, parts: Data, configs: list[RunConfig]) -> str:
    seeds = len({config.seed for config in configs})
    held_out = 0 if parts.validation is None else len(parts.validation[1])
    sizes = configs[0].model.title
    return (
        f"{name}: {len(parts.train[1]):,} training, {held_out:,} held-out, "
        f"{len(parts.test[1]):,} test images\n{sizes}, {_many(configs[0].epochs, 'epoch')}, "
        f"{_many(seeds, 'seed')}, connections shared out by {configs[0].model.distribution}"
    )


def _many(n: int, thing: str) -> str:
    return f"{n} {thing}{'s' * (n != 1)}"


def _finish(folder: Path, results: list[Result], parts: Data, title: str) -> None:
    wide = Console(width=max(console.width, TABLE_WIDTH))  # numbers are never cut
    wide.print(comparison_table(comparison.table(results), title))
    for note in notes(results):
        console.print(f" note: {note}", highlight=False)
    pictures.write_all(folder, results, parts.train[0])
    console.print(f"Pictures, results.csv and metrics.jsonl are in {folder}", highlight=False)


def _default_folder(kind: str) -> Path:
    return Path("runs") / f"{kind}-{datetime.now():%Y%m%d-%H%M%S}"


def _number(flag: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{flag} must be numbers separated by commas, got {text!r}") from None


# Down here, because they take what stands above.
app.command("reproduce")(reproduction.make(DATA, _told, _training, data_loaders.augmentation))
app.add_typer(bench.make(lambda: DATA["fashion-mnist"](), _told), name="bench")
