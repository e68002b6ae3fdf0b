"""What the figures of Masks2020 share: networks, ways to prune them, chains of trainings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product

import numpy as np
from scipy.sparse import csr_array

from sparse_ref.experiments.chain import Chain, Link
from sparse_ref.experiments.config import RunConfig, parse
from sparse_ref.experiments.recipe import Context, Images, drawn
from sparse_ref.experiments.runner import Data
from sparse_ref.experiments.sweep import Job, Outcome
from sparse_ref.pruning import ByLayer, Magnitude, Pruner, Random, RandomStructured, Structured
from sparse_ref.topology.patterns import of_ones

RATE = 0.2  # of what remains, of every layer, at every iteration
DATA_SEED = 2019  # of the choice of images; the same for every training
MEAN, SCALE = 0.1307, 0.3081  # of MNIST's pixels
L1_S, L2_S, LINF_S, RANDOM_S = "L1 S", "L2 S", "L-inf S", "random S"
L1_US, RANDOM_US, HYBRID, FC_ONLY = "L1 US", "random US", "hybrid", "fc-only L1 US"
METHODS = (L2_S, L1_S, L1_US, HYBRID, RANDOM_US, RANDOM_S, LINF_S, FC_ONLY)  # as in table 2
TREATED = (L1_US, HYBRID, L1_S, L2_S)  # those the authors' programs treat in several ways
REWIND, FINETUNE, SIGMA_SIGN, SIGN = "rewind", "finetune", "sigma_sign", "sign"


@dataclass(frozen=True)
class Model:
    """A network of the paper, or what stands in for it.

    Attributes
    ----------
    sizes : tuple of int
        Of the layers of units.
    convolutions : int
        How many layers with weights, from the inputs, take the part of convolutions.
    layers : tuple of str
        What the layers with weights are called.
    looked_at : int
        The layer of figures 4, 5, 6 and 13, which are of the second convolution.
    """

    sizes: tuple[int, ...] = (784, 300, 100, 10)
    convolutions: int = 1
    layers: tuple[str, ...] = ("first layer", "second layer", "output layer")
    looked_at: int = 1

    @property
    def positions(self) -> tuple[int, ...]:
        """Of each layer."""
        return tuple(before * after for before, after in pairwise(self.sizes))


@dataclass(frozen=True)
class Settings:
    """What differs between scales and figures."""

    images: int = 60_000
    epochs: int = 30  # of every training
    levels: int = 20  # prunings
    seeds: int = 5
    model: Model = Model()
    data: str = "mnist"

    @property
    def iterations(self) -> range:
        """Prunings are counted from 1; 0 is the network before them."""
        return range(1, self.levels + 1)


PAPER = Settings()
LAPTOP = Settings(epochs=3, seeds=3)
SMOKE = Settings(500, 1, levels=3, seeds=2, model=Model((784, 24, 16, 10)), data="fashion-mnist")

Runs = Mapping[tuple[str, str], Sequence[Outcome]]  # (method, treatment) -> by seed


def asked(settings: Mapping[str, Settings], context: Context) -> Settings:
    """Of the scale, with as many seeds as were asked for."""
    usual = settings[context.scale]
    return replace(usual, seeds=context.seeds or usual.seeds)


def pruner(method: str, model: Model) -> Pruner:
    """The way to prune that table 2 calls `method`."""
    convolutions, layers = model.convolutions, len(model.layers)
    rest: list[Pruner | None] = [Magnitude(RATE)] * (layers - convolutions)
    known: dict[str, Pruner] = {
        L1_S: Structured(RATE, q=1),
        L2_S: Structured(RATE, q=2),
        LINF_S: Structured(RATE, q=-np.inf),
        RANDOM_S: RandomStructured(RATE),
        L1_US: Magnitude(RATE),
        RANDOM_US: Random(RATE),
        HYBRID: ByLayer([*[Structured(RATE, q=1)] * convolutions, *rest]),
        FC_ONLY: ByLayer([*[None] * convolutions, *rest]),
    }
    return known[method]


def parts(images: Images, n: int) -> Data:
    """`n` training images and all test images, normalised as in the authors' program."""

    def normalised(part):
        x, y = part
        return (x.reshape(len(x), -1) - MEAN) / SCALE, y

    train = drawn(images.train, n, np.random.default_rng(DATA_SEED))
    return Data(normalised(train), None, normalised(images.test))


def config(settings: Settings, seed: int, data: str) -> RunConfig:
    """One training as section 3 has it: plain SGD at a constant rate."""
    return parse(
        {
            "data": {"name": data, "validation": 0},
            "model": {
                "sizes": list(settings.model.sizes),
                "density": None,
                "initialisation": "torch",
            },
            "method": {"name": "static"},
            "optimizer": {
                "learning_rate": 0.01,
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


def jobs(
    context: Context,
    settings: Settings,
    methods: Sequence[str],
    treatments: Sequence[str],
    data: str,
) -> list[Job]:
    """A chain for every method, treatment and seed; seeds begin with 0, as in the paper."""
    seeds = context.seed_numbers(settings.seeds, first=0)
    return [
        Job(
            f"{method}, {treatment}",
            config(settings, seed, data),
            keep=tuple(range(settings.levels + 1)),
            chain=Chain(settings.levels, pruner(method, settings.model), treatment),
        )
        for method, treatment, seed in product(methods, treatments, seeds)
    ]


def trained(
    context: Context, settings: Settings, methods: Sequence[str], treatments: Sequence[str]
) -> tuple[Runs, Data, str]:
    """Every chain, the data, and the name of the data set."""
    images = context.images(settings.data)
    data = parts(images, settings.images)
    wanted = jobs(context, settings, methods, treatments, images.name)
    outcomes = iter(context.train(wanted, {"data": data}))
    per_cell = len(wanted) // (len(methods) * len(treatments))
    runs = {
        cell: tuple(next(outcomes) for _ in range(per_cell))
        for cell in product(methods, treatments)
    }
    return runs, data, images.name


def patterns(link: Link) -> tuple[csr_array, ...]:
    """Where each layer has connections; a dense one has them all."""
    return tuple(
        of_ones(weight.shape, np.arange(weight.size)) if isinstance(weight, np.ndarray) else weight
        for weight in link.weights
    )


def notes(settings: Settings, data: str) -> list[str]:
    """What was reduced, and what stands in for what."""
    sizes = "-".join(map(str, settings.model.sizes))
    said = [
        f"trained on {data}, without the random crops and flips of the authors' program, of which "
        "the paper says nothing",
        f"a network of {sizes} in place of LeNet: its first layer, which has most of its weights, "
        "takes the part of the convolutions (structured in hybrid, never pruned in fc-only), so "
        "fc-only keeps most of the weights; channels are single inputs",
    ]
    reduced = [
        f"{getattr(settings, name):,} {word} ({getattr(PAPER, name):,} in the paper)"
        for name, word in (
            ("images", "training images"),
            ("epochs", "epochs a training"),
            ("seeds", "seeds"),
            ("levels", "prunings"),
        )
        if getattr(settings, name) != getattr(PAPER, name)
    ]
    return said + ([f"reduced: {', '.join(reduced)}"] if reduced else [])
