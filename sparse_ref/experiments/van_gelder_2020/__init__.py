"""Recipe: what the structure of sparse networks is worth, how robust it is, when it emerges.

References
----------
Van Gelder, Wortsman, Ehsani (2020), "Deconstructing the Structure of Sparse Neural Networks",
figures 1 to 4: lottery tickets (LT, by iterative magnitude pruning), Discovering Neural Wirings
(DNW), RigL and random graphs. No code is public; the figures are pictures without numbers.

As in the paper
---------------
* Figures 2 and 3: a fully connected network on MNIST at 90.5 % sparsity, three seeds.
* DNW chooses the largest weights layer by layer; the structure frozen after epoch k is what it
  chose last in that epoch, and k = 0 the largest of the first weights.
* Lottery tickets: train, remove the smallest weights, rewind to the first ones, until the sparsity
  is reached.

Chosen here, since the paper does not say
-----------------------------------------
* 784-300-100-10 with ReLU, all layers sparse and equally so, the output layer too, with
  ``n - int(sparsity * n)`` connections for every kind of network: so one random graph is the
  control of all three others.
* SGD at rate 0.1 with momentum 0.9, falling to 0 along a cosine, batches of 128, 10 epochs, no
  weight decay, Kaiming-uniform weights drawn as for a dense network. At a constant rate DNW's
  structure goes on changing at full speed, and the network that happens to be the last one is
  bad: of a look with two seeds at 98 % sparsity, 20,000 images and 10 epochs, accuracies of 80 and
  53 % were left, along the cosine 96 %.
* Pixels less the mean and over the standard deviation of all of them; no augmentation.
* Iterative magnitude pruning removes at most 20 % of every layer's weights at a time, by equal
  factors between the sparsities that are wanted. RigL: the paper's defaults (every 100 steps, a
  fraction 0.3 falling along a cosine, for three quarters of the training).
* Fractions of figure 2 are of the connections left, ranked over all layers together; the table also
  has them ranked within each layer.

Departures
----------
* Figures 1 and 4 are of ResNet-18 on CIFAR-10 there, and here where they are called
  ``fig1_resnet`` and ``fig4_resnet``: narrow, at scale laptop. Figure 4 has a second panel, at
  98 %: at 90.5 % there is little to gain on MNIST.
* Three structures of each kind, each trained anew once; in the paper one, three times.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

from sparse_ref.experiments.convnet import ConvNet
from sparse_ref.experiments.recipe import Context, Figure, Report, joined
from sparse_ref.experiments.van_gelder_2020 import figure_1, figure_2, figure_3, figure_4
from sparse_ref.experiments.van_gelder_2020.networks import (
    Net,
    Study,
    begun,
    trained,
)
from sparse_ref.experiments.van_gelder_2020.settings import RESNET_SETTINGS, SETTINGS, Settings

PAPER = "Van Gelder et al. 2020"


@dataclass(frozen=True)
class Exhibit:
    """A figure: what it needs trained, and what it makes of that."""

    title: str
    source: str
    wanted: Callable[[Settings], Sequence[Net]]
    report: Callable[[Study], Report]


EXHIBITS = {
    "fig1": Exhibit(
        "Structures found by four algorithms, trained with weights drawn anew",
        f"{PAPER}, figure 1",
        figure_1.wanted,
        figure_1.report,
    ),
    "fig2": Exhibit(
        "Sensitivity of trained networks to further pruning",
        f"{PAPER}, figure 2",
        figure_2.wanted,
        figure_2.report,
    ),
    "fig3": Exhibit(
        "In-degrees along DNW's training",
        f"{PAPER}, figure 3",
        figure_3.wanted,
        figure_3.report,
    ),
    "fig4": Exhibit(
        "DNW with a structure frozen after k epochs",
        f"{PAPER}, figure 4",
        figure_4.wanted,
        figure_4.report,
    ),
}


def reproduced(
    exhibits: Sequence[Exhibit], context: Context, table: Mapping[str, Settings] = SETTINGS
) -> Report:
    """Train what `exhibits` need, each kind once, and put their reports together.

    Parameters
    ----------
    exhibits : sequence of Exhibit
    context : Context
    table : scale -> Settings
    """
    settings = table[context.scale]
    study = begun(context, settings)
    wanted = list(dict.fromkeys(chain.from_iterable(e.wanted(settings) for e in exhibits)))
    study.found.update(trained(wanted, study))
    whole = joined([exhibit.report(study) for exhibit in exhibits])
    notes = _of_resnet(study) if isinstance(settings.sizes, ConvNet) else _of_perceptron(study)
    return replace(whole, notes=[*notes, *_reduced(settings, table["paper"]), *whole.notes])


def _of_perceptron(study):
    sizes = "-".join(map(str, study.settings.sizes))
    return [f"{sizes} on {study.images}; the paper's figures 1 and 4 are of ResNet-18"]


def _of_resnet(study):
    return [
        f"{study.settings.sizes.title} on {study.images}, all layers sparse and equally so; the "
        "paper does not say which layers are, nor how it trains. Channels normalised, crop and flip"
    ]


def _reduced(settings, paper):
    notes = []
    if settings != paper:
        images = f"{settings.images:,}" if settings.images else "all"
        narrow = ""
        if isinstance(settings.sizes, ConvNet):
            narrow = "width as in the network's name, the stem of ImageNet, "
        notes.append(
            f"reduced: {narrow}{settings.epochs} epochs ({paper.epochs} at scale paper), {images} "
            "training images"
        )
    return notes


FIGURES = {
    name: Figure(exhibit.title, exhibit.source, partial(reproduced, [exhibit]))
    for name, exhibit in EXHIBITS.items()
} | {
    "all": Figure(
        "All figures of this recipe, from one set of trainings",
        f"{PAPER}, figures 1 to 4",
        partial(reproduced, list(EXHIBITS.values())),
    ),
    **{
        f"{name}_resnet": Figure(
            f"{EXHIBITS[name].title}, of ResNet-18",
            EXHIBITS[name].source,
            partial(reproduced, [EXHIBITS[name]], table=RESNET_SETTINGS),
        )
        for name in ("fig1", "fig4")
    },
}
