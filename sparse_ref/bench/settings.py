"""What is measured, and how long: three scales of the same benchmark."""

import os
from dataclasses import dataclass, replace

import numba

PARTS = (
    "kernels",
    "training",
    "events",
    "crossing",
    "scaling",
    "convolutions",
    "convnets",
    "models",
)


@dataclass(frozen=True)
class Settings:
    """One benchmark.

    Parameters
    ----------
    shapes : tuple of (n_in, n_out)
        Linear layers of the kernels' part.
    densities, batches : tuple
        All combinations with `shapes` are measured.
    threads : tuple of int
        Everything is measured with each of these numbers of threads.
    rounds : int
        Samples of every contender; a median and a least and largest ratio come from them.
    seconds : float
        What one sample lasts at least: a call is repeated until then, at least once.
    crossing_shapes, crossing_densities : tuple
        Where ours runs against dense, to find where dense becomes faster.
    event_shape, event_density : tuple, float
        The layer on which rewiring is measured.
    examples : int
        Examples of the epoch that is timed.
    hidden : tuple of int
        Hidden layers of the network that is trained.
    rounds_of_epochs : int
        Epochs of every contender.
    machine_sizes : tuple of int, bytes, optional
        Working sets of the machine's gathers; all that `machine` knows if omitted.
    largest : int, optional
        Most connections of the scaling part; as many as `scaling` knows if omitted.
    convolutions : tuple of (channels, size)
        3x3 convolutions with as many filters as channels, of square images.
    convolution_densities, convolution_batch : tuple, int
    rounds_of_convolutions : int
        Fewer than of linear layers: dense ones take half a second.
    convnets : tuple of str
        Whole networks that are trained.
    convnet_width, convnet_batch : float, int
        Of these; 1 is full width.
    rounds_of_convnets : int
        Training steps of every contender.
    models : tuple of str, optional
        Rows of the table of models; all that `model_table` knows if omitted.
    """

    shapes: tuple[tuple[int, int], ...]
    densities: tuple[float, ...]
    batches: tuple[int, ...] = (128,)
    threads: tuple[int, ...] = (1,)
    rounds: int = 5
    seconds: float = 0.01
    crossing_shapes: tuple[tuple[int, int], ...] = ((1000, 1000), (4000, 4000))
    crossing_densities: tuple[float, ...] = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9)
    event_shape: tuple[int, int] = (4000, 4000)
    event_density: float = 0.05
    examples: int = 60_000
    hidden: tuple[int, ...] = (1000, 1000, 1000)
    rounds_of_epochs: int = 3
    machine_sizes: tuple[int, ...] | None = None
    largest: int | None = None
    convolutions: tuple[tuple[int, int], ...] = ((64, 32), (128, 16), (256, 8), (512, 4))
    convolution_densities: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
    convolution_batch: int = 128
    rounds_of_convolutions: int = 3
    convnets: tuple[str, ...] = ("resnet18", "vgg16")
    convnet_width: float = 1.0
    convnet_batch: int = 128
    rounds_of_convnets: int = 3
    models: tuple[str, ...] | None = None


SHAPES = ((784, 1000), (1000, 1000), (3072, 1000), (4000, 4000))
DENSITIES = (0.01, 0.02, 0.05, 0.1, 0.2)  # what the geometric means of the table are over

TABLE = Settings(SHAPES, DENSITIES)
FULL = replace(
    TABLE,
    densities=(*DENSITIES, 0.3),
    batches=(32, 128, 512),
    seconds=0.02,
    rounds_of_convolutions=5,
)
SMOKE = Settings(
    shapes=((64, 48), (48, 64)),
    densities=(0.1, 0.3),
    batches=(128,),
    rounds=2,
    seconds=1e-3,
    crossing_shapes=((64, 64),),
    crossing_densities=(0.1, 0.9),
    event_shape=(96, 64),
    event_density=0.1,
    examples=384,
    hidden=(32, 32),
    rounds_of_epochs=2,
    machine_sizes=(1 << 14, 1 << 18, 1 << 22),
    largest=3000,
    convolutions=((8, 6), (16, 4)),
    convolution_densities=(0.1, 0.3),
    convolution_batch=16,
    rounds_of_convolutions=2,
    convnets=("resnet18",),
    convnet_width=1 / 16,
    convnet_batch=4,
    rounds_of_convnets=2,
    models=("LeNet-5 A",),
)
SCALES = {"smoke": SMOKE, "table": TABLE, "full": FULL}


def settings_for(
    scale: str, threads: tuple[int, ...] | None = None, rounds: int | None = None
) -> Settings:
    """The settings of a scale, with what the user asked for in place of the defaults.

    Parameters
    ----------
    scale : str
        Key of `SCALES`.
    threads : tuple of int, optional
        One and all cores if omitted.
    rounds : int, optional
        At least 2, or there would be nothing to tell a spread from.
    """
    if scale not in SCALES:
        raise ValueError(f"bench: scale must be one of {list(SCALES)}, got {scale!r}")
    chosen = replace(SCALES[scale], threads=_checked_threads(threads or default_threads()))
    if rounds is None:
        return chosen
    if rounds < 2:
        raise ValueError(f"bench: rounds must be at least 2, got {rounds}")
    return replace(
        chosen,
        rounds=rounds,
        rounds_of_epochs=rounds,
        rounds_of_convolutions=rounds,
        rounds_of_convnets=rounds,
    )


def default_threads() -> tuple[int, ...]:
    """One thread, and as many as this process may run on."""
    return tuple(dict.fromkeys((1, min(_cores(), numba.config.NUMBA_NUM_THREADS))))


def checked_parts(parts: tuple[str, ...]) -> tuple[str, ...]:
    """The names of parts, each of which must be one of `PARTS`."""
    unknown = [part for part in parts if part not in PARTS]
    if unknown or not parts:
        raise ValueError(f"bench: parts must be some of {list(PARTS)}, got {list(unknown)}")
    return parts


def _checked_threads(threads):
    most = numba.config.NUMBA_NUM_THREADS
    wrong = [count for count in threads if not 1 <= count <= most]
    if wrong:
        raise ValueError(f"bench: threads must be in [1, {most}] on this machine, got {wrong[0]}")
    return threads


def _cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
