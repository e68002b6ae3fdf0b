"""The pictures of a run's folder, drawn from its results."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from sparse_ref import methods, plots
from sparse_ref.experiments.runner import DENSE, Result

DPI = 130


def write_all(folder: Path, results: Sequence[Result], train_x: np.ndarray) -> list[Path]:
    """Write every picture that `results` allow; return the paths.

    Parameters
    ----------
    folder : Path
    results : sequence of Result
    train_x : (n, ...)
        Training examples; a picture of pixels is drawn where an example is an image whose pixels
        are inputs of the first layer. A convolution's are the places of its window.
    """
    pictures = {"learning_curves.png": learning_curves(results)}
    sparse = [result for result in results if result.config.density is not None]
    if sparse:
        pictures["layer_densities.png"] = layer_densities(sparse)
        if train_x.ndim == 3 and sparse[0].input_degrees[0].size == train_x[0].size:
            pictures["input_connections.png"] = input_connections(sparse, train_x)
    for name, figure in pictures.items():
        figure.savefig(folder / name, dpi=DPI)
    return [folder / name for name in pictures]


def learning_curves(results: Sequence[Result]) -> Figure:
    """Accuracy on held-out examples (loss on training ones if none are), a panel per density."""
    held_out = not np.isnan(results[0].history.epochs[0].validation_accuracy)
    field = "validation_accuracy" if held_out else "loss"
    what = "accuracy on held-out training examples" if held_out else "training loss"
    densities = list(dict.fromkeys(r.config.density for r in results))
    panels = {}
    for density in [d for d in densities if d is not None] or densities:
        shown = [r for r in results if r.config.density in (density, None)]
        title = "dense" if density is None else f"density {density:g}"
        panels[title] = {
            name: np.array([[getattr(e, field) for e in r.history.epochs] for r in group])
            for name, group in _by_label(shown).items()
        }
    return plots.learning_curves(panels, what, order=(DENSE, *methods.ALL))


def layer_densities(results: Sequence[Result]) -> Figure:
    """Density of every layer over time, of the first seed.

    A panel per density and method that moves connections between layers; one for all the others.
    """
    panels: dict[str, np.ndarray] = {}
    for result in results:
        counts = [result.connections[0], *(e.connections for e in result.history.epochs)]
        moved = any(count != counts[0] for count in counts)
        title = f"{result.label if moved else 'each layer keeps its own'}"
        title += f", density {result.config.density:g}"
        panels.setdefault(title, np.array(counts) / np.array(result.positions))
    return plots.layer_densities(panels)


def input_connections(results: Sequence[Result], train_x: np.ndarray) -> Figure:
    """Connections per input pixel before and after training, means over seeds.

    Before training stands for `Static`, which never changes them; networks that begin with every
    connection are left out of it where there are others.
    """
    shape = train_x.shape[1:]
    rows: dict[str, dict[str, np.ndarray]] = {}
    for density in dict.fromkeys(r.config.density for r in results):
        here = [r for r in results if r.config.density == density]
        begun = [r for r in here if r.connections[0] != r.positions] or here
        images = {"before training": _mean_image([r.input_degrees[0] for r in begun], shape)}
        rewired = [r for r in here if r.label != "static"]
        for name, group in _by_label(rewired).items():
            images[f"after {name}"] = _mean_image([r.input_degrees[1] for r in group], shape)
        rows[f"density {density:g}"] = images
    return plots.input_connections(rows, train_x.mean(axis=0))


def _by_label(results):
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.label, []).append(result)
    return groups


def _mean_image(degrees, shape):
    return np.mean(degrees, axis=0).reshape(shape)
