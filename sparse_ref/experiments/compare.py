"""The comparison behind ``sparse-ref compare``: methods by densities by seeds, and its table."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from sparse_ref import methods
from sparse_ref.experiments.config import ConfigError, RunConfig, merged, parse
from sparse_ref.experiments.runner import DENSE, Data, Result, label, run
from sparse_ref.train import Callback

# A method joins by its line in `methods.ALL`, unless it trains no weight.
NAMES = (DENSE, *(name for name, cls in methods.ALL.items() if cls.trains_weights))
# Under the falling learning rate of the comparison, weights grown at the paper's N(0, 0.1²) are too
# large to be dropped again; notebook 01 shows both.
UNTIL = {"set": 0.75}  # and late ones would not be trained at all
# Top-KAST ranks every position at a refresh; its paper finds rare ones as good.
OPTIONS: dict[str, dict[str, Any]] = {"set": {"grow_std": 0.01}, "topkast": {"refresh_every": 100}}


class Row(NamedTuple):
    """One line of the table: a method at a density over all seeds."""

    method: str
    density: float | None  # None: dense
    connections_before: int  # of the whole network, of the first seed
    connections_after: int
    accuracy_mean: float  # on the test part
    accuracy_std: float  # over seeds, with n - 1; nan for one seed
    seconds: float  # of training, mean over seeds
    nbytes: int  # weights, patterns, biases, optimizer, method


def grid(
    base: dict, names: Sequence[str], densities: Sequence[float], seeds: Sequence[int]
) -> list[RunConfig]:
    """Every run of a comparison; dense networks once per seed, whatever the densities."""
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise ConfigError(f"compare: methods must be among {list(NAMES)}, got {unknown[0]!r}")
    for what, given in (("methods", names), ("densities", densities), ("seeds", seeds)):
        if not given or len(set(given)) < len(given):
            listed = ", ".join(map(str, given)) or "none"
            raise ConfigError(f"compare: {what} must be one or more, none twice, got {listed}")
    pairs: list[tuple[str, float | None]] = [(name, None) for name in names if name == DENSE]
    pairs += [(name, d) for d in densities for name in names if name != DENSE]
    return [_configured(base, name, density, seed) for name, density in pairs for seed in seeds]


def compare(
    configs: Sequence[RunConfig],
    data: Data,
    callbacks: Callable[[RunConfig], Sequence[Callback]] = lambda config: (),
) -> Iterator[Result]:
    """The result of each run, as it ends.

    Parameters
    ----------
    configs : sequence of RunConfig
    data : Data
    callbacks : callable
        Told each run before it starts; returns its callbacks for `sparse_ref.fit`.
    """
    for config in configs:
        yield run(config, data, callbacks(config))


def headline(config: RunConfig) -> str:
    """What a run is called on the screen."""
    density = config.density
    return label(config) if density is None else f"{label(config)}, density {density:g}"


def table(results: Sequence[Result]) -> list[Row]:
    """Results by method and density, in the order they came."""
    groups: dict[tuple[str, float | None], list[Result]] = {}
    for result in results:
        groups.setdefault((result.label, result.config.density), []).append(result)
    return [_row(name, density, group) for (name, density), group in groups.items()]


def _configured(base, name, density, seed):
    settings = merged(base, "model.density", density)
    settings = merged(settings, "method.name", "static" if name == DENSE else name)
    options = OPTIONS.get(name, {})
    if name != DENSE and methods.ALL[name].starts_complete:
        settings, options = merged(settings, "model.density", 1.0), options | {"density": density}
    settings = merged(settings, "method.options", options)
    settings = merged(settings, "method.until", UNTIL.get(name))
    return parse(merged(settings, "seed", seed), "compare")


def _row(name, density, group):
    accuracies = [result.test.accuracy for result in group]
    return Row(
        method=name,
        density=density,
        connections_before=sum(group[0].connections[0]),
        connections_after=sum(group[0].connections[1]),
        accuracy_mean=float(np.mean(accuracies)),
        accuracy_std=float(np.std(accuracies, ddof=1)) if len(group) > 1 else float("nan"),
        seconds=float(np.mean([result.seconds for result in group])),
        nbytes=group[0].nbytes,
    )
