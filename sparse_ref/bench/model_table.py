"""Part "models": what every network of `sparse_ref.models` costs at density 0.05.

Each is built and trained for a few steps in a process of its own, so that its memory is its own.
"""

import gc
import math
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from sparse_ref import models, train
from sparse_ref.bench import alone, clock
from sparse_ref.bench.peers import OURS
from sparse_ref.bench.settings import Settings
from sparse_ref.layers.base import is_weighted
from sparse_ref.methods import Static
from sparse_ref.network import Network
from sparse_ref.optim import sgd

Record = dict[str, Any]
Say = Callable[[str], None]

DENSITY, RATE, MOMENTUM = 0.05, 1e-4, 0.9
SEED = 2026
SMALL_BATCH = 2  # of the network that is trained first, so that no compiler is timed or counted
BATCHES = ((64 * 64, 128), (128 * 128, 32))  # positions of an image below which, examples
LEAST_BATCH = 8
LEAST_SECONDS = 0.1  # of a round: short steps are repeated


class Row(NamedTuple):
    """A network: a model of `sparse_ref.models.MODELS` and its options."""

    model: str
    options: dict[str, Any]


ROWS = {
    "LeNet-300-100": Row("lenet_300_100", {}),
    "Liu2020 Fashion-MNIST": Row("liu_2020_fashion_mnist", {}),
    "Liu2020 CIFAR-10": Row("liu_2020_cifar10", {}),
    **{f"LeNet-5 {v}": Row("lenet_5", {"variant": v}) for v in ("A", "B", "C", "D", "D'")},
    "AlexNet": Row("alexnet", {}),
    **{f"SNIP AlexNet-{v}": Row("snip_alexnet", {"variant": v}) for v in ("s", "b")},
    "VGG-11": Row("vgg11", {}),
    "VGG-16": Row("vgg16", {}),
    "VGG-16 Tiny-ImageNet": Row("vgg16_tiny_imagenet", {}),
    **{f"VGG-{depth} CIFAR": Row("vgg_cifar", {"depth": depth}) for depth in (11, 16)},
    **{f"SNIP VGG-{v}": Row("vgg_like", {"variant": v}) for v in ("like", "C", "D")},
    "ResNet-18 CIFAR": Row("resnet18", {}),
    "ResNet-18 ImageNet": Row(
        "resnet18", {"stem": "imagenet", "image": (3, 224, 224), "classes": 1000}
    ),
    "MobileNetV2": Row("mobilenet_v2", {}),
}


def measure(settings: Settings, say: Say) -> Iterator[Record]:
    """Build and train every network.

    Yields
    ------
    dict
        ``{"part": "models", "what": "step", "who", "model", "image", "density", "batch",
        "threads"}`` and what `found` returns. With the most threads.
    """
    names, count = settings.models or tuple(ROWS), settings.threads[-1]
    for name in names:
        say(f"models: {name}")
        arguments = name, settings.rounds_of_convnets, count
        about = {"part": "models", "what": "step", "who": OURS, "model": name, "density": DENSITY}
        about["threads"] = count
        yield about | alone.run("bench", name, found, arguments, say)


def found(name: str, rounds: int, threads: int, say: Say) -> dict[str, Any]:
    """What a network costs, in this process.

    Returns
    -------
    dict
        ``image``; ``batch``; ``parameters``, of the same network dense; ``connections`` of
        ``positions`` in all weights; ``build_seconds``; ``network_bytes``, held by the network;
        ``training_bytes``, the most that building it and all the steps need beyond the libraries;
        ``peak_bytes`` of the whole process; ``seconds`` of a training step, one a round.
    """
    with clock.threads(threads):
        _step(_built(name, shrunk=True), SMALL_BATCH)()
        gc.collect()
        alone.forget_peak()
        before = alone.peak_bytes()
        began = time.perf_counter()
        net = _built(name)
        build_seconds = time.perf_counter() - began
        batch = _batch(net.shape)
        seconds = _sampled(_step(net, batch), rounds)
        peak = alone.peak_bytes()
    return {
        "image": list(net.shape),
        "batch": batch,
        "parameters": _parameters(net),
        "connections": sum(net.connections),
        "positions": sum(math.prod(layer.weight.shape) for layer in net.weighted),
        "build_seconds": build_seconds,
        "network_bytes": net.nbytes,
        "training_bytes": peak - before,
        "peak_bytes": peak,
        "seconds": seconds,
    }


def _built(name, shrunk=False):
    """A row's network; shrunk, one of the same kinds of layers."""
    row = ROWS[name]
    model, options = models.MODELS[row.model], dict(row.options)
    rng = np.random.default_rng(SEED)
    if not shrunk:
        return model(density=DENSITY, rng=rng, **options)
    if row.model in MULTILAYER:
        return models.mlp((30, 20, 10), density=0.5, rng=rng, **MULTILAYER[row.model])
    return model(density=0.5, rng=rng, width=1 / 16, **options)


# Perceptrons have no width: what the one that is trained first needs beside its sizes.
MULTILAYER: dict[str, dict[str, Any]] = {
    "lenet_300_100": {},
    "liu_2020_fashion_mnist": {"activation": "srelu"},
    "liu_2020_cifar10": {"activation": "srelu"},
}


def _batch(shape):
    """As many examples as papers take of small images; fewer of large ones."""
    positions = math.prod(shape[1:])
    return next((n for most, n in BATCHES if positions < most), LEAST_BATCH)


def _parameters(net: Network) -> int:
    """Of the same network with every connection."""
    others = sum(
        value.size
        for layer in net.layers
        for key, value in layer.parameters().items()
        if not (is_weighted(layer) and key == "weight")
    )
    return others + sum(math.prod(layer.weight.shape) for layer in net.weighted)


def _step(net, batch):
    rng = np.random.default_rng(SEED + 1)
    x = rng.standard_normal((batch, net.n_in), np.float32)
    y = rng.integers(0, net.n_out, batch)
    training = train.start(net, Static(), sgd(RATE, MOMENTUM), *rng.spawn(2))
    return lambda: train.step(net, net.packed(x), y, training)


def _sampled(step, rounds):
    """Mean seconds of a step, one figure a round."""
    step()
    began = time.perf_counter()
    step()
    repeats = max(1, math.ceil(LEAST_SECONDS / (time.perf_counter() - began)))
    samples = []
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(repeats):
            step()
        samples.append((time.perf_counter() - began) / repeats)
    return samples
