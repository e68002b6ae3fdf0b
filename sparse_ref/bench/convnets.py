"""Part "convnets": a training step of whole networks against the same ones dense in PyTorch.

Both begin with the same weights, and must agree before they are timed. The memory of each is that
of two steps in a process of its own, beyond what it needed with a small network before.
"""

import copy
import gc
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from sparse_ref import models, train
from sparse_ref.bench import alone, clock, torch_convnets
from sparse_ref.bench import peers as names
from sparse_ref.bench.peers import Peers
from sparse_ref.bench.settings import Settings
from sparse_ref.methods import Static
from sparse_ref.network import Network
from sparse_ref.optim import sgd

Record = dict[str, Any]
Say = Callable[[str], None]

MODELS: dict[str, Callable[..., Network]] = {"resnet18": models.resnet18, "vgg16": models.vgg_cifar}
DENSITY, RATE, MOMENTUM, CLASSES = 0.05, 0.01, 0.9, 10
IMAGE = (3, 32, 32)
SEED = 2025
TOLERANCE = 1e-3  # of the largest output, and of the first loss, between PyTorch's network and ours
FEW = 16  # examples of a step that wakes PyTorch's threads, where a whole one takes seconds
SMALL = {"width": 1 / 16, "batch": FEW}  # rehearses every kernel before memory is counted
CHANNELS_FIRST, CHANNELS_LAST = "channels first", "channels last"


class Images(NamedTuple):
    """A batch."""

    x: np.ndarray  # (batch, 3, 32, 32) float32
    y: np.ndarray  # (batch,) labels

    def first(self, n: int) -> "Images":
        """Its first `n`."""
        return Images(self.x[:n].copy(), self.y[:n].copy())


Step = Callable[[], float]  # -> loss
Trained = Callable[[Images], Step]  # a network that steps on whatever images it is given


def measure(settings: Settings, peers: Peers, say: Say) -> Iterator[Record]:
    """Time steps and count memory of every network.

    Yields
    ------
    dict
        ``{"part": "convnets", "what": "step" | "memory", "who", "way", "network", "width", "batch",
        "density", "connections", "threads"}``, and of a step ``"seconds": [one per round]``, of the
        memory ``"network_bytes"``, what two steps need beyond what was there before, and
        ``"peak_bytes"`` of the whole process.
    """
    for name in settings.convnets:
        about = {"part": "convnets", "network": name, "width": settings.convnet_width}
        about |= {"batch": settings.convnet_batch, "density": DENSITY}
        about["connections"] = sum(network(name, settings.convnet_width).connections)
        ways = {names.OURS: "tiles"}
        for record in _steps(name, settings, peers, say):
            ways[record["who"]] = record["way"]
            yield about | record
        for who, way in ways.items():
            say(f"convnets: memory of {name} of {who}")
            yield about | {"who": who, "way": way} | _memory(name, who, way, settings, say)


def network(name: str, width: float) -> Network:
    """Our network, every layer sparse, ERK."""
    return MODELS[name](
        density=DENSITY, distribution="erk", width=width, rng=np.random.default_rng(SEED)
    )


def batch_of(n: int) -> Images:
    """Random images and labels."""
    rng = np.random.default_rng(SEED + 1)
    return Images(rng.standard_normal((n, *IMAGE), np.float32), rng.integers(0, CLASSES, n))


def _steps(name: str, settings: Settings, peers: Peers, say: Say) -> Iterator[Record]:
    images = batch_of(settings.convnet_batch)
    for count in settings.threads:
        say(f"convnets: steps of {name}, threads: {count}")
        with clock.threads(count):
            net = network(name, settings.convnet_width)  # anew: the first losses are compared
            steps, warm_up, ways = {}, {}, {names.OURS: "tiles"}
            if peers.torch:
                way, theirs = _faster_layout(net, _given(name, net, peers.torch), images, peers)
                ways[names.TORCH_DENSE] = way
                steps[names.TORCH_DENSE] = theirs(images)
                warm_up[names.TORCH_DENSE] = theirs(images.first(FEW))
            steps = {names.OURS: trained(net)(images)} | steps
            rounds = settings.rounds_of_convnets
            taken = clock.interleaved(steps, rounds, 0.0, warm_up=warm_up)
        for who, seconds in taken.items():
            about = {"what": "step", "who": who, "way": ways[who], "threads": count}
            yield about | {"seconds": seconds}


def trained(net: Network) -> Trained:
    """Ours, ready to train: packing of the batch, forward, loss, backward, update."""
    training = train.start(
        net, Static(), sgd(RATE, MOMENTUM), *np.random.default_rng(SEED).spawn(2)
    )

    def steps(images):
        rows = images.x.reshape(len(images.x), -1)
        return lambda: train.step(net, net.packed(rows), images.y, training)

    return steps


def torch_trained(model: Any, torch: Any, way: str) -> Trained:
    """PyTorch's, ready to train: forward, loss, backward, update."""
    layout = {CHANNELS_FIRST: torch.contiguous_format, CHANNELS_LAST: torch.channels_last}[way]
    model = model.to(memory_format=layout).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)

    def steps(images):
        x = torch.from_numpy(images.x).to(memory_format=layout)
        y = torch.from_numpy(images.y)

        def step():
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return float(loss.detach())

        return step

    return steps


def _given(name, net, torch):
    width = net.weighted[0].weight.shape[0] / torch_convnets.STAGES[0]
    model = torch_convnets.NETWORKS[name](torch, width)
    torch_convnets.give(net, model, torch)
    return model


def _faster_layout(net, model, images, peers):
    """The layout in which a step takes less time, and the network in it; both must agree with ours.

    One step of each, after one on few examples; their losses are those of our first step.
    """
    torch = peers.torch
    _require_same(net, model, images.first(FEW), torch)
    right = _first_loss(net, images)
    found = {}
    for way in (CHANNELS_FIRST, CHANNELS_LAST):
        theirs = torch_trained(copy.deepcopy(model), torch, way)
        step = theirs(images)
        began = time.perf_counter()
        loss = step()
        found[way] = time.perf_counter() - began, theirs
        if not abs(loss - right) <= TOLERANCE * right:
            raise ValueError(
                f"bench: {names.TORCH_DENSE}: the first loss must be ours, {right:.5f}, "
                f"it is {loss:.5f}"
            )
    fastest = min(found, key=lambda way: found[way][0])
    return fastest, found[fastest][1]


def _first_loss(net, images):
    """Of a copy: ours must begin the clock with the weights it was given."""
    return trained(copy.deepcopy(net))(images)()


def _require_same(net, model, images, torch):
    """In evaluation, where batch norm takes its running statistics."""
    ours = net.predict(images.x.reshape(len(images.x), -1))
    with torch.no_grad():
        theirs = model.eval()(torch.from_numpy(images.x)).numpy()
    wrong, most = float(np.abs(theirs - ours).max()), TOLERANCE * float(np.abs(ours).max())
    if not wrong <= most:
        raise ValueError(
            f"bench: {names.TORCH_DENSE}: the outputs must be ours to {most:.1e}, "
            f"they differ by {wrong:.1e}"
        )


def _memory(name: str, who: str, way: str, settings: Settings, say: Say) -> Record:
    """In a process of its own, with the most threads."""
    count = settings.threads[-1]
    arguments = name, who, way, settings.convnet_width, settings.convnet_batch, count
    found = alone.run("bench", f"{name} of {who}", memory, arguments, say)
    return {"what": "memory", "threads": count} | found


def memory(
    name: str, who: str, way: str, width: float, batch: int, threads: int, say: Say
) -> dict[str, int]:
    """Bytes that two training steps need, in this process: ``network_bytes, peak_bytes``.

    Counted are weights, optimizer, batch and all that the steps make; not the libraries, nor what
    compiled code took when a small network was trained before.
    """
    torch = names.load(("torch",)).torch if who == names.TORCH_DENSE else None
    with clock.threads(threads):
        _two_steps(name, way, SMALL["width"], int(SMALL["batch"]), torch)
        gc.collect()
        alone.forget_peak()
        before = alone.peak_bytes()
        _two_steps(name, way, width, batch, torch)
        peak = alone.peak_bytes()
    return {"network_bytes": peak - before, "peak_bytes": peak}


def _two_steps(name, way, width, batch, torch):
    images = batch_of(batch)
    if torch is None:
        step = trained(network(name, width))(images)
    else:
        model = torch_convnets.NETWORKS[name](torch, width)
        step = torch_trained(model, torch, way)(images)
    for _ in range(2):
        step()
