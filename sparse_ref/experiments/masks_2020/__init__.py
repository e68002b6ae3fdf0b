"""Recipe: iterative pruning in eight ways, and what becomes of weights, masks and predictions.

References
----------
Paganini and Forde (2020), "On Iterative Neural Network Pruning, Reinitialization, and the
Similarity of Masks", figures 1 to 14, tables 1 and 2. Code iclr-8dafb2ab/iterative-pruning-reinit.

As in the paper
---------------
LeNet-5 with kernels of 3x3 (`sparse_ref.models.lenet_5`, variant A). Plain SGD, rate 0.01, batches
of 32, weights and biases as PyTorch draws them; after every training 20 % of what remains goes, of
every layer by itself, biases never; then weights and biases are rewound and trained again, with the
same batches. Structured pruning is along the inputs, of a convolution whole channels. "L-inf" is
*minus* infinity, the smallest magnitude of a channel, as the authors' schemas have it. "Hybrid"
prunes convolutions by L1 S and the rest by L1 US, "fc-only" leaves convolutions alone. σ is of a
layer's first weights with n - 1.

With and without augmentation
-----------------------------
The paper says nothing of augmentation; the authors' program crops digits out of a border of 4
pixels and flips them at random, which costs accuracy. Every figure is drawn without (``fig1``, what
the paper says) and with it (``fig1_augmented``, what the program does).

Departures
----------
* At scale laptop the learning rate is ten times the paper's: a 45th of its steps then go two ninths
  of its way.
* Masks are of the weights after the last step; theirs, from the second iteration on, of those one
  step before.
* Their crops and flips come from an unseeded generator; here they are the seed's, the same for
  every training of a seed.
* The paper does not say over which iterations it averages, nor how close is "similar": each claim
  does.
* Figures that need the same trainings are drawn by one run: `FIGURES` names it by each of them.
"""

from functools import partial

from sparse_ref.experiments.masks_2020 import figure_1, figure_10, figure_13
from sparse_ref.experiments.recipe import Figure

PAPER = "Paganini and Forde 2020"

# Figures that need the same trainings have the same run.
TITLES = {
    "fig1": ("Test accuracy of networks pruned in eight ways, and rewound", figure_1.run),
    "fig2": ("Test accuracy after rewinding and after finetuning", figure_10.run),
    "fig3": ("Distance of masks from those of L2 structured pruning", figure_1.run),
    "fig4": ("Distance of masks from those of L1 unstructured pruning", figure_1.run),
    "fig5": ("Masked weights after four treatments", figure_10.run),
    "fig6": ("Evolution of weights over pruning iterations, second convolution", figure_1.run),
    "fig7": ("Evolution of weights over pruning iterations, output layer", figure_1.run),
    "fig8": ("Stability of weights", figure_1.run),
    "fig9": ("Distance between masks of rewinding and of finetuning", figure_10.run),
    "fig10": ("Test accuracy after rewinding, σ · sign and sign", figure_10.run),
    "fig11": ("Distance of masks of other treatments from those of rewinding", figure_10.run),
    "fig12": ("Test accuracy over explicit and over effective sparsity", figure_1.run),
    "fig13": ("Masks found after a single epoch of training", figure_13.run),
    "fig14": ("On how many test examples networks agree", figure_1.run),
    "table1": ("Parameters left at fractions pruned", figure_1.run),
    "table2": ("Test accuracy of networks and of ensembles, by iteration", figure_1.run),
}


def _source(name):
    """Every figure and table that a run draws."""
    own = TITLES[name][1]
    drawn = [other for other, (_, run) in TITLES.items() if run is own]
    said = [other.replace("fig", "figure ").replace("table", "table ") for other in drawn]
    return f"{PAPER}, {', '.join(said)}"


def _augmented(name):
    """The same with the augmentation that only the authors' program has."""
    title, run = TITLES[name]
    run = partial(run, augmented=True)
    return Figure(f"{title}, with random crops and flips", _source(name), run)


FIGURES = {name: Figure(title, _source(name), run) for name, (title, run) in TITLES.items()}
FIGURES |= {f"{name}_augmented": _augmented(name) for name in TITLES if name != "table1"}
