"""The folder of a run: configuration, environment, metrics as they come, results, pictures.

Lines are appended as epochs and runs end, so what is interrupted keeps what it has.
"""

import csv
import importlib.metadata
import json
import math
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numba
import numpy as np

from sparse_ref.experiments.config import RunConfig
from sparse_ref.experiments.runner import Result, label
from sparse_ref.experiments.sweep import Outcome
from sparse_ref.train import Callback


def new_folder(path: str | os.PathLike, config: Mapping[str, Any]) -> Path:
    """Make the folder of a run, with its configuration and environment.

    One that holds anything is refused, never overwritten.
    """
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(f"out: {path} must be new or an empty folder; it is neither")
    path.mkdir(parents=True, exist_ok=True)
    write_json(path / "config.json", config)
    write_json(path / "environment.json", environment())
    return path


def write_json(path: Path, content: Any) -> None:
    """Write `content`, NumPy's numbers and arrays as plain ones, what is not finite as null."""
    text = json.dumps(_plain(content), indent=2, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def environment() -> dict[str, Any]:
    """What the numbers of a run may depend on; nothing that names the machine or its user."""
    packages = ("sparse-ref", "numpy", "scipy", "numba", "llvmlite")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": platform.system(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "numba_threads": numba.get_num_threads(),
        "packages": {name: _version(name) for name in packages},
    }


def epoch_writer(folder: Path, config: RunConfig) -> Callback:
    """A callback that adds each epoch of a run to ``metrics.jsonl`` as it ends."""
    key = {"method": label(config), "density": config.density, "seed": config.seed}

    def write(net, epoch, history):
        with open(folder / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(key | _jsonable(epoch._asdict())) + "\n")

    return write


def append_result(folder: Path, result: Result) -> None:
    """Add a run's line to ``results.csv``."""
    row = {
        "data": result.config.data.name,
        "method": result.label,
        "density": result.config.density,
        "epochs": result.config.epochs,
        "seed": result.config.seed,
        "connections_before": sum(result.connections[0]),
        "connections_after": sum(result.connections[1]),
        "test_accuracy": result.test.accuracy,
        "test_loss": result.test.loss,
        "seconds": round(result.seconds, 4),
        "bytes": result.nbytes,
    }
    _append_row(folder / "results.csv", row)


def append_outcome(folder: Path, outcome: Outcome) -> None:
    """Add a training of a sweep: a line to ``results.csv``, one an epoch to ``metrics.jsonl``.

    What was not measured stays empty, or null.
    """
    config, (before, after) = outcome.config, outcome.connections
    named = "" if config.density is None else config.model.distribution
    row = {
        "name": outcome.job.name,
        "data": config.data.name,
        "part": outcome.job.data,
        "method": outcome.label,
        "density": config.density,
        "distribution": named if isinstance(named, str) else "counts",
        "epochs": config.epochs,
        "seed": config.seed,
        "connections_before": sum(before) if before else None,
        "connections_after": sum(after) if after else None,
        "test_accuracy": outcome.test.accuracy,
        "test_loss": outcome.test.loss,
        "seconds": round(outcome.seconds, 4),
        "bytes": outcome.nbytes or None,
        "failure": outcome.failure,
    }
    _append_row(folder / "results.csv", _jsonable(row))
    key = {name: row[name] for name in ("name", "part", "method", "density", "seed")}
    with open(folder / "metrics.jsonl", "a", encoding="utf-8") as file:
        for epoch in outcome.epochs:
            curve = {
                f"{part}_accuracy": float(values[epoch.epoch - 1])
                for part, values in outcome.curve.items()
            }
            file.write(json.dumps(key | _jsonable(epoch._asdict()) | curve) + "\n")


def _append_row(path, row):
    fresh = not path.exists()
    with open(path, "a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row))
        if fresh:
            writer.writeheader()
        writer.writerow(row)


def _jsonable(record):
    """JSON has no nan: a figure that was not measured is null."""
    return {k: None if isinstance(v, float) and v != v else v for k, v in record.items()}


def _plain(value):
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple | range):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [
                line.split(":", 1)[1].strip() for line in file if line.startswith("model name")
            ]
        return names[0] if names else platform.machine()
    except OSError:
        return platform.processor() or platform.machine()
