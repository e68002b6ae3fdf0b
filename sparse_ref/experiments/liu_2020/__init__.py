"""Recipe: how far apart sparse topologies are, and what evolution makes of them.

References
----------
Liu, van der Lee, Yaman, Atashgahi, Ferraro, Sokar, Pechenizkiy, Mocanu (2020), "Topological
Insights into Sparse Neural Networks", ECML-PKDD, figures 1 to 7 and table 1.

As in the paper
---------------
Figures 1 to 5 are on Fashion-MNIST, figures 2 (b), 6 and 7 on CIFAR-10 with 3072-1000-1000-10.
784-784-784-784-10 with SReLU; Nesterov SGD, rate 0.01, momentum 0.9, weight decay 1e-6, batches of
128, 200 epochs (900 on CIFAR-10, with flips, rotations and shifts of the images); a fifth of the
training images held out; the test accuracy is that of the epoch of the best validation accuracy;
SET replaces a fraction 0.2 after every epoch; Fix-MLP never does.
Heat maps are of the first layer, which the paper says of figure 3 (b); its code shows the same
layer in figures 4 to 6.

Not stated there, so chosen here
--------------------------------
* The output layer is dense, and densities are of the hidden layers: what the authors released of
  their networks at 0.6 % holds about 0.6 % of each of the three. Layers of different sizes, on
  CIFAR-10, share the connections by the paper's equation 1.
* Glorot's initialisation as if layers were dense, pixels standardised, and SET as in its Keras
  program (``set-keras`` of `sparse_ref.methods.conventions`: grown weights start at 0, momentum
  starts anew after every rewiring). The paper does not say so; its released learning curve at 0.6 %
  (0.098 on held-out images after 1 epoch, 0.784 after 10, 0.820 after 20, 0.851 after 50) decides
  it. Small first weights make a network sit still for some epochs, and let what SET grows compete
  with what is there. He's initialisation by the number of connections learns at once (above 0.8
  after 10 epochs), but then most of what SET removes is what it has just grown, and the topology
  hardly moves after ten epochs.
* A network of a hundredth other connections draws its own weights and batches. Connections that
  are removed do not come back in the same generation.
* On CIFAR-10 channels are standardised, not pixels, so that black is one colour everywhere: it is
  what a rotation brings in. Rotations are by up to 10 degrees, shifts by up to 4 pixels; both
  numbers are those of `data_loaders.augmentation`.
* SET goes on after the last epoch of a training; a topology of epoch n is that after its rewiring.
  The authors' files of epoch 0 were saved so.

Departures
----------
* Where there is no CIFAR-10, and at scale smoke, Fashion-MNIST stands in for it; where only a part
  of it is there, that part is used. Either is said in the notes. Table 1 is of Fashion-MNIST.
* In figure 2 every seed is a network of its own; the paper's eight are two random ones with
  three descendants each.
* An exact number of connections in place of a coin for each.
"""

from sparse_ref.experiments.liu_2020 import (
    figure_1,
    figure_2,
    figure_2b,
    figure_3,
    figure_4,
    figure_5,
    figure_6,
    figure_7,
)
from sparse_ref.experiments.recipe import Figure

PAPER = "Liu et al. 2020"

FIGURES = {
    "fig1": Figure("How NNSTD is computed", f"{PAPER}, figure 1", figure_1.run),
    "fig2": Figure(
        "Test accuracy over density, with and without evolution",
        f"{PAPER}, figure 2 (a)",
        figure_2.run,
    ),
    "fig2b": Figure(
        "Test accuracy over density on CIFAR-10, with and without evolution",
        f"{PAPER}, figure 2 (b)",
        figure_2b.run,
    ),
    "fig3": Figure(
        "Distances of descendants, and of networks of many densities",
        f"{PAPER}, figure 3",
        figure_3.run,
    ),
    "fig4": Figure(
        "Ten networks that begin alike drift apart under SET, and stay equally good",
        f"{PAPER}, figure 4 and table 1",
        figure_4.run,
    ),
    "fig5": Figure(
        "Distances of networks of many densities before and after evolution",
        f"{PAPER}, figure 5",
        figure_5.run,
    ),
    "fig6": Figure(
        "Distances of networks of different seeds, and of one to its own past",
        f"{PAPER}, figure 6",
        figure_6.run,
    ),
    "fig7": Figure(
        "Topologies of different age, trained anew and trained on",
        f"{PAPER}, figure 7",
        figure_7.run,
    ),
}
