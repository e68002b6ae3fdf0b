"""Reproduces figures: finds the recipe, trains, judges, writes the folder."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sparse_ref.experiments import (
    alford_2018,
    liu_2020,
    masks_2020,
    output,
    parger_2022,
    set_tutorial,
    van_gelder_2020,
)
from sparse_ref.experiments.config import ConfigError
from sparse_ref.experiments.model_config import MLP
from sparse_ref.experiments.recipe import (
    Augmentation,
    Context,
    Figure,
    Images,
    Part,
    Report,
    check_scale,
    no_augmentation,
)
from sparse_ref.experiments.report import report_text
from sparse_ref.experiments.runner import warm_up
from sparse_ref.experiments.sweep import Job, Outcome, sweep
from sparse_ref.version import __version__

# A recipe joins by its line here.
RECIPES: dict[str, Mapping[str, Figure]] = {
    "alford_2018": alford_2018.FIGURES,
    "liu_2020": liu_2020.FIGURES,
    "masks_2020": masks_2020.FIGURES,
    "parger_2022": parger_2022.FIGURES,
    "set_tutorial": set_tutorial.FIGURES,
    "van_gelder_2020": van_gelder_2020.FIGURES,
}
DPI = 130

Loader = Callable[[], tuple[Part, Part]]  # -> (train, test); FileNotFoundError where absent


class Screen:
    """Where progress is told; this one is mute."""

    def say(self, text: str) -> None:
        """What is under way."""

    def plan(self, epochs: int) -> None:
        """So many epochs more are to come."""

    def advance(self, epochs: int) -> None:
        """So many of them have ended."""


@dataclass(frozen=True)
class Order:
    """What the user asked for, checked.

    Attributes
    ----------
    recipe, figure, scale : str
    seeds : int, optional
    workers : int
        Processes that train; 0 trains in this one.
    """

    recipe: str
    figure: str
    scale: str
    seeds: int | None = None
    workers: int = 1


def order(
    recipe: str,
    figure: str | None,
    scale: str,
    seeds: int | None = None,
    workers: int = 1,
) -> Order:
    """An `Order`; a recipe with one figure needs no `figure`.

    Raises
    ------
    ConfigError
        No such recipe, figure or scale, or numbers that are not positive.
    """
    if recipe not in RECIPES:
        raise ConfigError(f"reproduce: recipe must be one of {sorted(RECIPES)}, got {recipe!r}")
    figures = RECIPES[recipe]
    if figure is None and len(figures) == 1:
        (figure,) = figures
    if figure is None or figure not in figures:
        given = "none" if figure is None else repr(figure)
        raise ConfigError(
            f"reproduce: figure must be one of {list(figures)} of {recipe}, got {given}"
        )
    if seeds is not None and seeds < 1:
        raise ConfigError(f"reproduce: seeds must be at least 1, got {seeds}")
    if workers < 0:
        raise ConfigError(f"reproduce: workers must be at least 0, got {workers}")
    return Order(recipe, figure, check_scale(scale), seeds, workers)


def reproduce(
    order: Order,
    loaders: Mapping[str, Loader],
    folder: Path,
    screen: Screen | None = None,
    augmentation: Augmentation = no_augmentation,
) -> Report:
    """Carry out an order, leaving everything in `folder`.

    Parameters
    ----------
    order : Order
    loaders : name of a data set -> loader
        ``name-sample`` stands in for ``name`` at scale smoke, and where ``name`` is absent.
    folder : Path
        New or empty.
    screen : Screen, optional
    augmentation : callable, optional
        `data_loaders.augmentation`, for the recipes that ask for it.

    Returns
    -------
    Report
        As the recipe made it, with notes on data and failures added.
    """
    figure = RECIPES[order.recipe][order.figure]
    work = _Work(order, loaders, output.new_folder(folder, _config(order)), screen or Screen())
    say = work.screen.say
    how = order.seeds, say, order.workers, augmentation
    context = Context(order.scale, work.images, work.train, *how)
    report = figure.run(context)
    report = replace(report, notes=[*report.notes, *work.notes])
    if order.scale == "smoke":
        report = replace(report, claims=[_unjudged(claim) for claim in report.claims])
    _write(folder, order, figure, report)
    return report


class _Work:
    """What a recipe works with: hands out data, trains, keeps what was trained."""

    def __init__(self, order, loaders, folder, screen):
        self.order, self.loaders, self.folder, self.screen = order, loaders, folder, screen
        self.notes: list[str] = []
        self.planned: list[dict[str, Any]] = []

    def images(self, name):
        """See `Context.images`."""
        sample = f"{name}-sample"
        if self.order.scale == "smoke" and sample in self.loaders:
            self.notes.append(f"trained on {sample}, as always at scale smoke")
            return _loaded(self.loaders, sample)
        try:
            return _loaded(self.loaders, name)
        except FileNotFoundError as error:
            if sample not in self.loaders:
                raise
            self.notes.append(f"trained on {sample}, since {str(error).splitlines()[0]}")
            return _loaded(self.loaders, sample)

    def train(self, jobs, data):
        """See `Context.train`."""
        self.planned += [
            {"name": job.name, "data": job.data, "config": job.config.model_dump()}
            | ({"chain": repr(job.chain)} if job.chain else {})
            for job in jobs
        ]
        output.write_json(self.folder / "config.json", _config(self.order, self.planned))
        self.screen.plan(sum(job.epochs for job in jobs))
        self._compile(jobs, data)
        outcomes: list[Outcome | None] = [None] * len(jobs)
        for ended, (number, outcome) in enumerate(sweep(jobs, data, self.order.workers), start=1):
            outcomes[number] = outcome
            output.append_outcome(self.folder, outcome)
            if outcome.failure:
                self.notes.append(f"{headline(outcome.job)}: {outcome.failure}")
            self.screen.advance(outcome.job.epochs)
            self.screen.say(f"{ended} of {len(jobs)} trainings; last {headline(outcome.job)}")
        return outcomes

    def _compile(self, jobs, data):
        """Once, here, rather than in every worker at the same time."""
        kinds = {_compiled(job): job for job in jobs}
        for job in kinds.values():
            config, n = job.config, len(data[job.data].train[1])
            model = config.model
            how = model.dtype, n, self.screen.say, model.activation, model
            warm_up(config.batch_size, *how)
        self.screen.say(f"{len(jobs)} trainings")


def _compiled(job):
    """What decides which kernels a job needs."""
    model = job.config.model
    named = (model.title, model.density is None) if model.name != MLP else ()
    return job.config.batch_size, model.dtype, model.activation, *named


def headline(job: Job) -> str:
    """What a job is called on the screen."""
    density = job.config.density
    where = "" if density is None else f", density {density:g}"
    return f"{job.name}{where}, seed {job.config.seed}"


def _unjudged(claim):
    """A training of seconds neither confirms nor refutes anybody."""
    return claim._replace(agrees=None, why="scale smoke shows that the recipe runs, no more")


def _loaded(loaders, name):
    train, test = loaders[name]()
    return Images(train, test, name)


def _config(order, planned=()):
    return {"command": asdict(order), "version": __version__, "runs": list(planned)}


def _write(folder, order, figure, report):
    """Numbers first: a picture that cannot be drawn takes nothing with it."""
    whole = {
        "command": asdict(order),
        "title": figure.title,
        "source": figure.source,
        "claims": [claim._asdict() for claim in report.claims],
        "tables": [table._asdict() for table in report.tables],
        "notes": report.notes,
        "numbers": report.numbers,
    }
    output.write_json(folder / "report.json", whole)
    text = report_text(figure, report) + "\n"
    (folder / "report.txt").write_text(text, encoding="utf-8")
    for name, picture in report.pictures.items():
        picture.savefig(folder / name, dpi=DPI)
