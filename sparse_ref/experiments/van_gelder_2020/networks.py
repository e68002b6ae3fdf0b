"""What is trained: four kinds of sparse networks, each at a sparsity of every layer."""

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from sparse_ref import pruning
from sparse_ref.experiments.chain import Chain
from sparse_ref.experiments.config import RunConfig, parse
from sparse_ref.experiments.convnet import ConvNet, photographs
from sparse_ref.experiments.evidence import Sample
from sparse_ref.experiments.recipe import Context, Images, drawn
from sparse_ref.experiments.runner import Data, beginning
from sparse_ref.experiments.snapshot import Snapshot
from sparse_ref.experiments.sweep import Job, Outcome
from sparse_ref.experiments.van_gelder_2020.settings import MASKED, Layers, Settings
from sparse_ref.network import Network
from sparse_ref.pruning.weights import slots_of

LT, DNW, RIGL, RANDOM = "LT", "DNW", "RigL", "random"
KINDS = (DNW, RIGL, LT, RANDOM)
BATCH_SIZE = 128
AUGMENTATION = "masks_2020"  # of convolutional networks: crop and flip
SUBSET_SEED = 2020  # the images of a reduced scale are the same for all trainings


class Net(NamedTuple):
    """A kind of training: what all its seeds share."""

    kind: str
    sparsity: float
    freeze: int | None = None  # DNW's freezing epoch

    @property
    def density(self) -> float:
        """Of every layer."""
        return round(1 - self.sparsity, 6)


class Trained(NamedTuple):
    """A network that was trained."""

    seed: int
    accuracy: float  # on the test images
    snapshot: Snapshot
    epochs: Mapping[int, Snapshot] = {}  # the same network after some of its epochs


@dataclass(frozen=True)
class Study:
    """Everything trained, and what to train more with.

    Attributes
    ----------
    context : Context
    settings : Settings
    images : str
        The set as it was found; `data` holds them standardised.
    data : Data
    found : Net -> list of Trained
        Those that did not diverge, in the order of seeds.
    """

    context: Context
    settings: Settings
    images: str
    data: Data
    found: dict[Net, list[Trained]] = field(default_factory=dict)

    def sample(self, net: Net) -> Sample:
        """Test accuracies of a kind."""
        return Sample(net.kind, tuple(trained.accuracy for trained in self.found[net]))

    def network(self, net: Net, trained: Trained) -> Network:
        """A network as its training left it."""
        whole = config(net._replace(kind=RANDOM), self.settings, trained.seed, self.images)
        return beginning(whole, trained.snapshot)[0]


def begun(context: Context, settings: Settings) -> Study:
    """A study of which nothing is trained yet."""
    if isinstance(settings.sizes, ConvNet):
        how = AUGMENTATION, settings.images, settings.tested, SUBSET_SEED
        data, name = photographs(context, *how)
        return Study(context, settings, name, data)
    images = context.images(settings.data)
    return Study(context, settings, images.name, parts(images, settings.images))


def parts(images: Images, n: int | None) -> Data:
    """Training and test images, every pixel less their mean and over their standard deviation.

    The two numbers are those of all pixels of all training images; MNIST's are 0.1307 and 0.3081.
    """
    train = images.train
    if n is not None:
        train = drawn(train, n, np.random.default_rng(SUBSET_SEED))
    mean, std = (np.float32(getattr(images.train[0], name)()) for name in ("mean", "std"))

    def standardised(part):
        x, y = part
        return (x.reshape(len(x), -1).astype(np.float32) - mean) / std, y

    return Data(standardised(train), None, standardised(images.test))


def counts(sizes: Layers, density: float) -> list[int]:
    """Connections of every layer, ``n - int((1 - density) n)``: DNW's rule, here everybody's.

    Examples
    --------
    >>> counts((784, 300, 100, 10), 0.095)
    [22344, 2850, 95]
    """
    if isinstance(sizes, ConvNet):
        shares = list(map(math.prod, sizes.shapes))
    else:
        shares = [after * before for before, after in itertools.pairwise(sizes)]
    return [n - int((1 - density) * n) for n in shares]


def config(net: Net, settings: Settings, seed: int, data: str) -> RunConfig:
    """A training; of a lottery ticket that of every level."""
    sizes = settings.sizes
    density: dict[str, Any] = {
        LT: {"density": None},
        DNW: {"density": 1.0},
        RIGL: {"density": net.density, "distribution": counts(sizes, net.density)},
    }
    methods: dict[str, Any] = {
        DNW: {
            "name": "dnw",
            "options": {"density": net.density, "freeze_epoch": net.freeze},
        },
        RIGL: {"name": "rigl", "options": {"every": settings.rigl_every}},
    }
    return parse(
        {
            "data": {"name": data, "validation": 0.0},
            "model": {
                **(sizes.settings if isinstance(sizes, ConvNet) else {"sizes": list(sizes)}),
                "initialisation": "kaiming_uniform",
                "fan": "shape",
                **density.get(net.kind, density[RIGL]),
            },
            "method": methods.get(net.kind, {"name": "static"}),
            "optimizer": {
                "learning_rate": 0.1,
                "momentum": 0.9,
                "nesterov": False,
                "weight_decay": 0.0,
                "schedule": "cosine",
            },
            "epochs": settings.epochs,
            "batch_size": BATCH_SIZE,
            "seed": seed,
        },
        "van_gelder_2020",
    )


# Lottery tickets ----------------------------------------------------------------------------------


def ladder(densities: Iterable[float], rate: float = 0.2) -> list[float]:
    """Densities after each level of a chain that meets all of `densities`, which descend.

    From one to the next by equal factors, none below ``1 - rate``.

    Examples
    --------
    >>> [round(density, 3) for density in ladder([0.64, 0.5])]
    [0.8, 0.64, 0.566, 0.5]
    """
    steps, before = [], 1.0
    for density in densities:
        n = math.ceil(round(math.log(density / before) / math.log(1 - rate), 9))
        steps += [before * (density / before) ** (k / n) for k in range(1, n)] + [density]
        before = density
    return steps


@dataclass(frozen=True)
class Down:
    """Magnitude pruning of every layer by itself, a step down the ladder at every call.

    Attributes
    ----------
    rows : tuple of tuples of int
        Connections of every layer, from the largest to the smallest.
    """

    rows: tuple[tuple[int, ...], ...]

    def __call__(self, weights: Any, rng: np.random.Generator | None = None) -> pruning.Drops:
        """Slots to remove so that the next row is left."""
        present = [slots_of(weight) for weight in weights]
        row = next(row for row in self.rows if sum(row) < sum(present))
        amount = tuple(n - left for n, left in zip(present, row, strict=True))
        return pruning.Magnitude(amount)(weights)


def _ticket_jobs(nets, settings, seeds, data):
    """One chain a seed, which passes all sparsities that are wanted."""
    densities = ladder(sorted((net.density for net in nets), reverse=True), settings.rate)
    rows = tuple(tuple(counts(settings.sizes, density)) for density in densities)
    keep = tuple(k for k, d in enumerate(densities, 1) if d in {net.density for net in nets})
    chain = Chain(len(rows), Down(rows))
    return [Job(LT, config(nets[0], settings, s, data), keep=keep, chain=chain) for s in seeds]


# Training -----------------------------------------------------------------------------------------


def trained(nets: Iterable[Net], study: Study) -> dict[Net, list[Trained]]:
    """Train every kind with every seed; the long ones first, so that no worker ends with one."""
    settings, data = study.settings, study.images
    seeds = study.context.seed_numbers(settings.seeds)
    tickets = [net for net in nets if net.kind == LT]
    others = sorted((net for net in nets if net.kind != LT), key=lambda net: net.kind != DNW)
    jobs = _ticket_jobs(tickets, settings, seeds, data) if tickets else []
    n_chains = len(jobs)
    jobs += [_job(net, settings, seed, data) for net in others for seed in seeds]
    outcomes = study.context.train(jobs, {"data": study.data})
    chains, rest = outcomes[:n_chains], iter(outcomes[n_chains:])
    found = {net: [next(rest) for _ in seeds] for net in others}
    return {net: _of_chains(net, chains, settings) for net in tickets} | {
        net: [ended(outcome) for outcome in group if not outcome.failure]
        for net, group in found.items()
    }


def named(net: Net) -> str:
    """What screens and files call a training."""
    frozen = "" if net.freeze is None else f", frozen after epoch {net.freeze}"
    return f"{net.kind}{frozen}"


def ended(outcome: Outcome) -> Trained:
    """What is kept of a training that did not diverge."""
    last = outcome.config.epochs
    snapshot = outcome.snapshots[last]
    return Trained(outcome.config.seed, outcome.test.accuracy, snapshot, outcome.snapshots)


def _job(net, settings, seed, data):
    along = net.kind == DNW and net.sparsity == MASKED and net.freeze is None
    epochs = range(1, settings.epochs + 1) if along else [settings.epochs]
    return Job(named(net), config(net, settings, seed, data), keep=tuple(epochs))


def _of_chains(net, chains, settings):
    """The level at the sparsity of `net`, of the chains that came so far."""
    wanted = tuple(counts(settings.sizes, net.density))
    return [
        Trained(chain.config.seed, link.test.accuracy, link.snapshot)
        for chain in chains
        for link in chain.levels
        if link.snapshot is not None and link.connections == wanted
    ]
