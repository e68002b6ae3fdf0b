"""A million neurons on a laptop: an MLP of 65,536 inputs and four hidden layers of 250,000.

Dense, its weights alone would take 820 GB. With twenty million connections it trains in a few
gigabytes. Data are made on the fly: ten random images of 65,536 pixels, one a class, in noise.

Each method trains in a process of its own, so that its peak of memory is its own.
"""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from sparse_ref import optim, selection, tiles, train
from sparse_ref.bench import alone, clock
from sparse_ref.bench.alone import peak_bytes
from sparse_ref.methods import GGR, SET, RigL
from sparse_ref.methods.base import Method
from sparse_ref.models import mlp

Say = Callable[[str], None]

SIZES = (65_536, 250_000, 250_000, 250_000, 250_000, 10)
CONNECTIONS = 20_000_000
STEPS = 40
RATE, MOMENTUM = 3.0, 0.9  # the rate over the inputs of an output unit is the learning rate
NOISE = 1.0  # standard deviation of the noise over that of the images
# Small, but large enough to need every kernel that the real one needs.
REHEARSAL = {"sizes": (600, 600, 10), "connections": 12_000, "steps": 4}


def run(
    say: Say,
    *,
    methods: Sequence[str] = ("set", "rigl", "ggr"),
    sizes: Sequence[int] = SIZES,
    connections: int = CONNECTIONS,
    batch_size: int = 32,
    steps: int = STEPS,
    threads: int = 2,
    seed: int = 2018,
    own_process: bool = True,
) -> dict[str, Any]:
    """Build and train the network with each method.

    Parameters
    ----------
    say : callable
        Takes a line of progress.
    methods : sequence of str
        Of `METHODS`. SET rewires three times; RigL and GGR once, since each time they look at every
        position of every layer.
    sizes : sequence of int
        Units per layer from inputs to outputs.
    connections : int
        Of all layers, shared among them as in SET: in proportion to the units they join.
    batch_size, steps : int
        Every step sees new examples.
    threads : int
    seed : int
    own_process : bool
        False trains in this process; the peak is then that of all it did before, too.

    Returns
    -------
    dict
        ``sizes, neurons, connections, positions, batch_size, steps, threads, seed``;
        ``dense_bytes``, of the weights if they were dense; ``gradient_block_bytes``, the most of a
        dense gradient that exists at a time; ``methods``, one dict each with ``build_seconds``,
        ``step_seconds`` (median of the steps without a rewiring), ``rewiring_seconds`` (one per
        step with a rewiring, its gradients included), ``peak_bytes`` (of the process),
        ``connections_before, connections_after`` (per layer), ``moved`` (connections changed in all
        rewirings), ``losses`` (one per step).
    """
    unknown = [name for name in methods if name not in METHODS]
    if unknown:
        raise ValueError(f"million: methods must be of {sorted(METHODS)}, got {unknown[0]!r}")
    positions = sum(before * after for before, after in itertools.pairwise(sizes))
    item = np.dtype(np.float32).itemsize
    task = {"sizes": tuple(sizes), "connections": connections, "batch_size": batch_size}
    task |= {"steps": steps, "threads": threads, "seed": seed}
    train_one = _in_own_process if own_process else train_method
    return task | {
        "neurons": sum(sizes),
        "positions": positions,
        "dense_bytes": positions * item,
        "gradient_block_bytes": max(_block(*pair) for pair in itertools.pairwise(sizes)) * item,
        "methods": {name: train_one(name, task, say) for name in methods},
    }


def train_method(name: str, task: dict[str, Any], say: Say) -> dict[str, Any]:
    """Build the network, train it with one method, in this process; see `run`."""
    say(f"{name}: compiling")
    _trained(name, task | REHEARSAL, lambda line: None)  # so that no compiler is timed
    return _trained(name, task, say)


def _trained(name, task, say):
    net_rng, data_rng, train_rng = np.random.default_rng(task["seed"]).spawn(3)
    with clock.threads(task["threads"]):
        began = time.perf_counter()
        net = _network(task, net_rng)
        optimizer = _optimizer(net)
        method = METHODS[name](task["steps"])
        training = train.start(net, method, optimizer, *train_rng.spawn(2))
        build_seconds = time.perf_counter() - began
        say(f"{name}: built in {build_seconds:.1f} s, {peak_bytes() / 1e9:.2f} GB at most")
        before = net.connections
        batches = _batches(task, data_rng)
        plain: list[float] = []
        rewiring: list[float] = []
        losses: list[float] = []
        for step, (x, y) in enumerate(itertools.islice(batches, task["steps"]), start=1):
            due = method.due(step)
            if due:
                say(f"{name}: step {step} rewires {sum(before):,} connections")
            began = time.perf_counter()
            losses.append(train.step(net, x, y, training))
            seconds = time.perf_counter() - began
            (rewiring if due else plain).append(seconds)
            say(f"{name}: step {step} of {task['steps']}, {seconds:.2f} s, loss {losses[-1]:.4f}")
    return {
        "build_seconds": build_seconds,
        "step_seconds": float(np.median(plain)),
        "rewiring_seconds": rewiring,
        "peak_bytes": peak_bytes(),
        "connections_before": before,
        "connections_after": net.connections,
        "moved": sum(len(event.grown) for event in training.history.events),
        "losses": losses,
    }


def table(result: dict[str, Any]) -> str:
    """What `run` found, as text: one column a method."""
    lines = [
        f"{result['neurons']:,} neurons ({'-'.join(str(n) for n in result['sizes'])}), "
        f"{result['connections']:,} connections of {result['positions']:,} positions",
        f"batch {result['batch_size']}, {result['threads']} threads, {result['steps']} steps; "
        f"dense weights would take {_bytes(result['dense_bytes'])}; of a dense gradient at most "
        f"{_bytes(result['gradient_block_bytes'])} exist at a time",
        "",
    ]
    columns = [["", *(what for what, _ in ROWS)]]
    columns += [[name, *(of(m) for _, of in ROWS)] for name, m in result["methods"].items()]
    widths = [max(len(cell) for cell in column) for column in columns]
    for cells in zip(*columns, strict=True):
        first, *others = (
            cell.ljust(w) if k == 0 else cell.rjust(w)
            for k, (cell, w) in enumerate(zip(cells, widths, strict=True))
        )
        lines.append("  ".join([first, *others]).rstrip())
    return "\n".join(lines)


def _in_own_process(name, task, say):
    return alone.run("million", name, train_method, (name, task), say)


def _block(n_in, n_out):
    """Most numbers of a layer's dense gradient that `selection` holds at a time."""
    whole, rows = n_in * n_out, min(n_out, selection.BLOCK_ROWS)
    return min(whole, max(selection.BLOCK_ELEMENTS, rows * n_in))


def _network(task, rng):
    """Weights start as He et al. say for the connections there are: signals keep their size."""
    positions = sum(before * after for before, after in itertools.pairwise(task["sizes"]))
    return mlp(
        task["sizes"],
        density=task["connections"] / positions,
        distribution="er",
        rng=rng,
        fan="layer",
    )


def _optimizer(net):
    """One step moves an output by the rate times its number of inputs: 240,000 of them add up."""
    readout = net.sparse_layers[-1].weight
    return optim.sgd(RATE * readout.shape[0] / readout.nnz, momentum=MOMENTUM)


def _batches(
    task: dict[str, Any], rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """New examples without end: an image of the class and noise, of variance 1 together."""
    n_in, classes = task["sizes"][0], task["sizes"][-1]
    images = rng.standard_normal((classes, n_in), np.float32)
    scale = np.float32(1 / math.hypot(1.0, NOISE))
    while True:
        y = rng.integers(0, classes, task["batch_size"])
        x = rng.standard_normal((task["batch_size"], n_in), np.float32)
        x *= np.float32(NOISE)
        x += images[y]
        x *= scale
        yield tiles.pack(x), y


def _set(steps: int) -> Method:
    """Grown weights start at zero: 0.1 is thirty times what an output unit's weights are."""
    return SET(every=max(1, steps // 4), stop=steps, grow_std=0.0)


def _rigl(steps: int) -> Method:
    return RigL(every=max(1, steps // 2), stop=steps)


def _ggr(steps: int) -> Method:
    return GGR(every=max(1, steps // 2), stop=steps)


METHODS: dict[str, Callable[[int], Method]] = {"set": _set, "rigl": _rigl, "ggr": _ggr}


# ---------------------------------------------------------------- words for the table


def _bytes(n):
    unit = next(u for u in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B")) if n >= u[0])
    return f"{n / unit[0]:.3g} {unit[1]}"


def _rewirings(of):
    seconds = of["rewiring_seconds"]
    return f"{np.median(seconds):.2f} s ({len(seconds)})" if seconds else "none"


ROWS: tuple[tuple[str, Callable[[dict[str, Any]], str]], ...] = (
    ("build", lambda m: f"{m['build_seconds']:.1f} s"),
    ("step", lambda m: f"{m['step_seconds']:.3f} s"),
    ("step that rewires (how many)", _rewirings),
    ("connections moved in all", lambda m: f"{m['moved']:,}"),
    ("peak memory of the process", lambda m: _bytes(m["peak_bytes"])),
    ("connections before", lambda m: f"{sum(m['connections_before']):,}"),
    ("connections after", lambda m: f"{sum(m['connections_after']):,}"),
    ("loss, first step", lambda m: f"{m['losses'][0]:.4f}"),
    ("loss, last step", lambda m: f"{m['losses'][-1]:.4f}"),
)
