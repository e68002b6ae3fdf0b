"""What the figures of Masks2020 share: the network, ways to prune it, chains of trainings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy.sparse import csr_array

from sparse_ref.experiments.chain import Chain, Link
from sparse_ref.experiments.config import RunConfig, parse
from sparse_ref.experiments.recipe import Context, Images, drawn
from sparse_ref.experiments.runner import Data
from sparse_ref.experiments.sweep import Job, Outcome
from sparse_ref.pruning import ByLayer, Magnitude, Pruner, Random, RandomStructured, Structured
from sparse_ref.topology.patterns import of_ones
from sparse_ref.train import Augment

RATE = 0.2  # of what remains, of every layer, at every iteration
DATA_SEED = 2019  # of the choice of images; the same for every training
MEAN, SCALE = 0.1307, 0.3081  # of MNIST's pixels
IMAGE = (1, 28, 28)
LAYERS = ("conv 1", "conv 2", "fc 1", "fc 2", "fc 3")  # those with weights
KERNELS = (9, 9, 1, 1, 1)  # weights between an input channel, or unit, and an output
CONVOLUTIONS = 2
LOOKED_AT = 1  # the layer of figures 4, 5, 6 and 13
L1_S, L2_S, LINF_S, RANDOM_S = "L1 S", "L2 S", "L-inf S", "random S"
L1_US, RANDOM_US, HYBRID, FC_ONLY = "L1 US", "random US", "hybrid", "fc-only L1 US"
METHODS = (L2_S, L1_S, L1_US, HYBRID, RANDOM_US, RANDOM_S, LINF_S, FC_ONLY)  # as in table 2
TREATED = (L1_US, HYBRID, L1_S, L2_S)  # those the authors' programs treat in several ways
REWIND, FINETUNE, SIGMA_SIGN, SIGN = "rewind", "finetune", "sigma_sign", "sign"


@dataclass(frozen=True)
class Settings:
    """What differs between scales and figures."""

    images: int = 60_000
    epochs: int = 30  # of every training
    levels: int = 20  # prunings
    seeds: int = 5
    rate: float = 0.01  # of learning
    width: float = 1.0  # of the network's hidden layers
    data: str = "mnist"

    @property
    def iterations(self) -> range:
        """Prunings are counted from 1; 0 is the network before them."""
        return range(1, self.levels + 1)


PAPER = Settings()
# Ten times the paper's rate: a 45th of its steps go two ninths of its way.
LAPTOP = Settings(40_000, epochs=1, seeds=2, rate=0.1)
SMOKE = Settings(500, 1, levels=3, seeds=2, rate=0.1, width=0.5, data="fashion-mnist")

REDUCED = {
    "images": "{:,} training images ({:,} in the paper)",
    "epochs": "{} epochs a training ({})",
    "seeds": "{} seeds ({})",
    "levels": "{} prunings ({})",
    "rate": "a learning rate of {:g} ({:g})",
    "width": "hidden layers of {:g} times their width ({:g})",
}

Runs = Mapping[tuple[str, str], Sequence[Outcome]]  # (method, treatment) -> by seed


def asked(settings: Mapping[str, Settings], context: Context) -> Settings:
    """Of the scale, with as many seeds as were asked for."""
    usual = settings[context.scale]
    return replace(usual, seeds=context.seeds or usual.seeds)


def pruner(method: str) -> Pruner:
    """The way to prune that table 2 calls `method`."""
    rest: list[Pruner | None] = [Magnitude(RATE)] * (len(LAYERS) - CONVOLUTIONS)
    channels = _by_channels(lambda block: Structured(RATE, q=1, block=block))
    known: dict[str, Pruner] = {
        L1_S: ByLayer(channels),
        L2_S: ByLayer(_by_channels(lambda block: Structured(RATE, q=2, block=block))),
        LINF_S: ByLayer(_by_channels(lambda block: Structured(RATE, q=-np.inf, block=block))),
        RANDOM_S: ByLayer(_by_channels(lambda block: RandomStructured(RATE, block=block))),
        L1_US: Magnitude(RATE),
        RANDOM_US: Random(RATE),
        HYBRID: ByLayer([*channels[:CONVOLUTIONS], *rest]),
        FC_ONLY: ByLayer([*[None] * CONVOLUTIONS, *rest]),
    }
    return known[method]


def _by_channels(make: Callable[[int], Pruner]) -> list[Pruner]:
    """For each layer what prunes its input channels, or single inputs."""
    return [make(block) for block in KERNELS]


def parts(images: Images, n: int, augment: Augment | None = None) -> Data:
    """`n` training images and all test images, normalised as in the authors' program."""

    def normalised(part):
        x, y = part
        return (x.reshape(len(x), -1) - MEAN) / SCALE, y

    train = drawn(images.train, n, np.random.default_rng(DATA_SEED))
    return Data(normalised(train), None, normalised(images.test), augment)


def config(settings: Settings, seed: int, data: str) -> RunConfig:
    """One training as section 3 has it: plain SGD at a constant rate."""
    return parse(
        {
            "data": {"name": data, "validation": 0},
            "model": {
                "name": "lenet_5",
                "options": {"variant": "A", "width": settings.width},
                "density": None,
                "initialisation": "torch",
            },
            "method": {"name": "static"},
            "optimizer": {
                "learning_rate": settings.rate,
                "schedule": "constant",
                "momentum": 0.0,
                "nesterov": False,
                "weight_decay": 0.0,
            },
            "epochs": settings.epochs,
            "batch_size": 32,
            "seed": seed,
        },
        "masks_2020",
    )


@dataclass(frozen=True)
class Trained:
    """Chains, and what they were trained on.

    Attributes
    ----------
    runs : (method, treatment) -> Outcomes by seed
    data : Data
    name : str
        Of the data set.
    """

    runs: Runs
    data: Data
    name: str


def trained(
    context: Context,
    settings: Settings,
    methods: Sequence[str],
    treatments: Sequence[str],
    augmented: bool,
) -> Trained:
    """A chain for every method, treatment and seed; seeds begin with 0, as in the paper.

    Parameters
    ----------
    context : Context
    settings : Settings
    methods, treatments : sequence of str
    augmented : bool
        Training images are cropped and flipped at random, as in the authors' program.
    """
    images = context.images(settings.data)
    black = -MEAN / SCALE
    augment = context.augmentation("masks_2020", IMAGE, fill=black) if augmented else None
    data, kind = parts(images, settings.images, augment), _kind(augmented)
    cells = list(product(methods, treatments))
    seeds = context.seed_numbers(settings.seeds, first=0)
    jobs = [_job(settings, *cell, seed, images.name, kind) for cell in cells for seed in seeds]
    outcomes = iter(context.train(jobs, {kind: data}))
    runs = {cell: tuple(next(outcomes) for _ in seeds) for cell in cells}
    return Trained(runs, data, images.name)


def _kind(augmented):
    """What the data are called where a job names them."""
    return "augmented" if augmented else "data"


def _job(settings, method, treatment, seed, name, kind):
    return Job(
        f"{method}, {treatment}",
        config(settings, seed, name),
        kind,
        keep=tuple(range(settings.levels + 1)),
        chain=Chain(settings.levels, pruner(method), treatment),
    )


def patterns(link: Link) -> tuple[csr_array, ...]:
    """Where each layer has connections; a dense one has them all."""
    return tuple(
        of_ones(weight.shape, np.arange(weight.size)) if isinstance(weight, np.ndarray) else weight
        for weight in link.weights
    )


def notes(settings: Settings, data: str, augmented: bool) -> list[str]:
    """What images were trained on, and what was reduced."""
    if augmented:
        how = (
            "with the random crops and flips of the authors' program, of which the paper says "
            "nothing: its numbers are probably of such trainings"
        )
    else:
        how = (
            "without the random crops and flips of the authors' program, of which the paper says "
            "nothing; `..._augmented` has them"
        )
    reduced = [
        words.format(getattr(settings, name), getattr(PAPER, name))
        for name, words in REDUCED.items()
        if getattr(settings, name) != getattr(PAPER, name)
    ]
    said = [f"trained on {data}, {how}"]
    said += [f"reduced: {', '.join(reduced)}"] if reduced else []
    if settings.rate != PAPER.rate:
        said.append(_way(settings))
    return said


def _way(settings):
    """How far a training gets, by the rate times the steps it takes."""
    ways = [s.rate * s.epochs * s.images for s in (settings, PAPER)]
    epochs = PAPER.epochs * ways[0] / ways[1]
    return (
        "a higher rate makes up for some of the steps: rate times steps is as of "
        f"{epochs:.1f} of the paper's {PAPER.epochs} epochs"
    )
