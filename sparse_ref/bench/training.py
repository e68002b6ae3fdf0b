"""Part (b): steps and epochs of a multilayer perceptron, against dense ones with and without masks.

PyTorch's network starts from the same weights, biases and masks as ours. It is trained as masked
training is: dense products, a dense optimizer, and the masks multiplied in after each update.
scikit-learn's has no masks at all. All shuffle the examples and take them in the same batches.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from sparse_ref import allocation, csr, train
from sparse_ref.bench import clock
from sparse_ref.bench import peers as names
from sparse_ref.bench.peers import Peers
from sparse_ref.bench.settings import Settings
from sparse_ref.methods import Static
from sparse_ref.models import mlp
from sparse_ref.network import Network
from sparse_ref.optim import sgd

Record = dict[str, Any]

EPSILON, BATCH, RATE, MOMENTUM, CLASSES = 20, 128, 0.01, 0.9, 10
SEED = 2022
TOLERANCE = 1e-3  # of the largest output, between PyTorch's network and ours


class Images(NamedTuple):
    """What is trained on."""

    x: np.ndarray  # (n, features) float32
    y: np.ndarray  # (n,) labels
    origin: str  # its name


class Trainer(NamedTuple):
    """A network of one library, ready to train."""

    epoch: Callable[[], Any]
    step: Callable[[], Any]
    warm_up: Callable[[], Any]  # a few batches, in place of a whole epoch


def noise(examples: int, features: int = 784) -> Images:
    """Random images and labels: the time of an epoch does not depend on the pixels."""
    rng = np.random.default_rng(SEED)
    x, y = rng.random((examples, features), np.float32), rng.integers(0, CLASSES, examples)
    return Images(x, y, "noise")


def measure(
    settings: Settings, peers: Peers, images: Images, say: Callable[[str], None]
) -> Iterator[Record]:
    """Time steps and epochs.

    Parameters
    ----------
    settings : Settings
    peers : Peers
    images : Images
        The first ``settings.examples`` are used.
    say : callable
        Takes a line of progress.

    Yields
    ------
    dict
        ``{"part": "training", "what": "step" | "epoch", "who", "sizes", "connections", "batch",
        "examples", "data", "threads", "seconds": [one per round]}``.
    """
    images = Images(images.x[: settings.examples], images.y[: settings.examples], images.origin)
    net = network((images.x.shape[1], *settings.hidden, CLASSES))
    trainers = _trainers(net, images, peers)
    about = {
        "part": "training",
        "sizes": [net.n_in, *settings.hidden, CLASSES],
        "connections": sum(net.connections),
        "batch": BATCH,
        "examples": len(images.x),
        "data": images.origin,
    }
    for count in settings.threads:
        say(f"training: epochs of {len(images.x):,} examples, {_many(count)}")
        with clock.threads(count):
            for what, taken in _timed(trainers, settings):
                for who, seconds in taken.items():
                    yield about | {"what": what, "who": who, "threads": count, "seconds": seconds}


def network(sizes: tuple[int, ...]) -> Network:
    """Our network: every layer sparse, Erdős-Rényi with SET's ε."""
    shapes = [(after, before) for before, after in itertools.pairwise(sizes)]
    counts = [int(n) for n in allocation.set_epsilon(shapes, EPSILON)]
    return mlp(sizes, density=None, distribution=counts, rng=np.random.default_rng(SEED))


def _timed(trainers, settings):
    steps = {who: trainer.step for who, trainer in trainers.items()}
    rest = clock.BLAS_REST
    yield "step", clock.interleaved(steps, settings.rounds, settings.seconds, rest=rest)
    epochs = {who: trainer.epoch for who, trainer in trainers.items()}
    warm_up = {who: trainer.warm_up for who, trainer in trainers.items()}
    rounds = settings.rounds_of_epochs
    yield "epoch", clock.interleaved(epochs, rounds, 0.0, warm_up=warm_up, rest=rest)


def _trainers(net, images, peers):
    trainers = {}
    if peers.torch:  # first, while our network still has its first weights
        trainers[names.TORCH_MASKED] = _masked_torch(net, images, peers.torch)
    if peers.sklearn:
        trainers[names.SKLEARN] = _sklearn(net, images, peers.sklearn)
    return {names.OURS: _ours(net, images)} | trainers


def _ours(net, images):
    x, y = images.x, images.y
    rng, optimizer = np.random.default_rng(SEED), sgd(RATE, MOMENTUM)
    how: dict[str, Any] = {
        "method": Static(),
        "optimizer": optimizer,
        "epochs": 1,
        "batch_size": BATCH,
        "rng": rng,
    }
    training = train.start(net, Static(), optimizer, rng, rng)
    batch = np.arange(min(BATCH, len(x)))
    few = slice(0, 2 * BATCH)
    return Trainer(
        epoch=lambda: train.fit(net, (x, y), **how),
        step=lambda: train.step(net, net.packed(x, batch), y[batch], training),
        warm_up=lambda: train.fit(net, (x[few], y[few]), **how),
    )


def _masked_torch(net, images, torch):
    x, y = torch.from_numpy(images.x), torch.from_numpy(images.y)
    dense, masks = _torch_network(net, torch)
    _require_same(net, dense, images.x[:BATCH], torch)
    torch.manual_seed(SEED)
    optimizer = torch.optim.SGD(dense.parameters(), lr=RATE, momentum=MOMENTUM)

    def step(x, y):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(dense(x), y).backward()
        optimizer.step()
        with torch.no_grad():
            for layer, mask in masks:
                layer.weight.mul_(mask)

    def epoch(x, y):
        for batch in torch.randperm(len(x)).split(BATCH):
            step(x[batch], y[batch])

    batch, few = torch.arange(min(BATCH, len(x))), slice(0, 2 * BATCH)
    return Trainer(
        epoch=lambda: epoch(x, y),
        step=lambda: step(x[batch], y[batch]),
        warm_up=lambda: epoch(x[few], y[few]),
    )


def _torch_network(net, torch):
    """The same network with dense weights, and (layer, mask) of each."""
    parts, masks = [], []
    for ours in net.weighted:
        layer = torch.nn.Linear(ours.n_in, ours.n_out)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(csr.to_dense(ours.weight)))
            layer.bias.copy_(torch.from_numpy(ours.bias))
        masks.append((layer, torch.from_numpy(csr.pattern(ours.weight).astype(np.float32))))
        parts += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*parts[:-1]), masks


def _require_same(net, dense, x, torch):
    ours = net.predict(x)
    with torch.no_grad():
        wrong = float(np.abs(dense(torch.from_numpy(x)).numpy() - ours).max())
    most = TOLERANCE * float(np.abs(ours).max())
    if not wrong <= most:
        raise ValueError(
            f"bench: {names.TORCH_MASKED}: the outputs must be ours to {most:.1e}, "
            f"they differ by {wrong:.1e}"
        )


def _sklearn(net, images, module):
    """One pass of ``partial_fit``: it makes one epoch in batches, and no validation."""
    classifier = module.MLPClassifier(
        hidden_layer_sizes=[layer.n_out for layer in net.weighted[:-1]],
        solver="sgd",
        batch_size=min(BATCH, len(images.x)),
        learning_rate_init=RATE,
        momentum=MOMENTUM,
        nesterovs_momentum=False,
        alpha=0.0,
        random_state=SEED,
    )
    x, y, classes = images.x, images.y, np.arange(CLASSES)
    few, one = slice(0, 2 * BATCH), slice(0, BATCH)
    return Trainer(
        epoch=lambda: classifier.partial_fit(x, y, classes=classes),
        step=lambda: classifier.partial_fit(x[one], y[one], classes=classes),
        warm_up=lambda: classifier.partial_fit(x[few], y[few], classes=classes),
    )


def _many(count):
    return f"{count} thread{'s' * (count > 1)}"
