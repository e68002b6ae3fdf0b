"""The command ``sparse-ref reproduce``."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from sparse_ref.experiments.recipe import SCALES, Augmentation
from sparse_ref.experiments.report import report_text
from sparse_ref.experiments.reproduce import RECIPES, Loader, Screen, order, reproduce
from sparse_ref.experiments.sweep import cores


def make(
    loaders: Mapping[str, Loader],
    told: Callable[[], AbstractContextManager],
    training: Callable[[], AbstractContextManager],
    augmentation: Augmentation,
) -> Callable[..., None]:
    """The command.

    Parameters
    ----------
    loaders : name of a data set -> loader
        Only `cli` knows `data_loaders`. Looked at when the command runs.
    told : callable
        Context in which what a user can mend is told in a line.
    training : callable
        Context in which networks are trained.
    augmentation : callable
        `data_loaders.augmentation`.
    """

    def command(
        recipe: Annotated[str | None, typer.Argument(help="None: list the recipes.")] = None,
        figure: Annotated[str | None, typer.Argument(help="One of the recipe's figures.")] = None,
        scale: Annotated[str, typer.Option(help=f"One of {', '.join(SCALES)}.")] = "laptop",
        out: Annotated[Path | None, typer.Option(help="Folder to write; new or empty.")] = None,
        seeds: Annotated[int | None, typer.Option(help="Trainings of every kind.")] = None,
        workers: Annotated[int | None, typer.Option(help="Processes; a core each.")] = None,
    ) -> None:
        """Train what a paper's figure shows; say whether its claims hold here."""
        if recipe is None:
            typer.echo(listing())
            return
        with told(), training():
            asked = order(recipe, figure, scale, seeds, cores() if workers is None else workers)
            folder = out or _default_folder(asked)
            with _progress() as screen:
                report = reproduce(asked, loaders, folder, screen, augmentation)
            typer.echo(report_text(RECIPES[asked.recipe][asked.figure], report))
            records = "results.csv, metrics.jsonl, report.json and report.txt"
            typer.echo(f"\nPictures, {records} are in {folder}")

    return command


def listing() -> str:
    """Every recipe with its figures, a line each."""
    lines = ["sparse-ref reproduce RECIPE FIGURE --scale smoke|laptop|paper", ""]
    for recipe, figures in RECIPES.items():
        for name, figure in figures.items():
            lines.append(f"{recipe} {name}: {figure.title} ({figure.source})")
    return "\n".join(lines)


class _Bar(Screen):
    def __init__(self, progress: Progress):
        self.progress, self.epochs = progress, 0
        self.task = progress.add_task("", total=None)

    def say(self, text: str) -> None:
        self.progress.update(self.task, description=text)

    def plan(self, epochs: int) -> None:
        self.epochs += epochs
        self.progress.update(self.task, total=self.epochs)

    def advance(self, epochs: int) -> None:
        self.progress.advance(self.task, epochs)


@contextmanager
def _progress() -> Iterator[Screen]:
    """A bar over all epochs, on stderr."""
    columns = (
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Bar(progress)


def _default_folder(asked):
    parts = ("reproduce", asked.recipe, asked.figure, asked.scale)
    return Path("runs") / f"{'-'.join(parts)}-{datetime.now():%Y%m%d-%H%M%S}"
