# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lottery tickets, done right
#
# Train a dense network, remove the smallest weights, put those that are left back to where they began,
# train again, and again. Frankle and Carbin (2019) found that a few per cent of the weights, trained
# from their own first values, do as well as all of them: *winning tickets*. The procedure, iterative
# magnitude pruning, is five lines long. There are more ways than lines to get it wrong, and most of
# them make the result look better.
#
# This notebook goes through it on CSR, where the commonest mistake cannot be made, and then asks what
# it is about a ticket that wins.

# %%
# %matplotlib inline
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # two pools of threads would wait for each other

import matplotlib.pyplot as plt
import numba
import numpy as np

import data_loaders
import sparse_ref as sr
from sparse_ref import plots, topology
from sparse_ref.analysis import (
    random_structure,
    reinitialised,
    sensitivity,
    weight_evolution,
)
from sparse_ref.lottery import Treatment, iterative_pruning
from sparse_ref.pruning import Magnitude, Random

SMOKE = bool(os.environ.get("SPARSE_REF_SMOKE"))  # the gate runs this notebook in seconds
EPOCHS, LEVELS, SEEDS = (1, 3, (3,)) if SMOKE else (5, 15, (3, 5, 7))
BATCH, RATE = 100, 0.2  # of what remains, at every pruning
SIZES = (784, 100, 60, 10)
numba.set_num_threads(1)  # networks as small as these gain nothing from a second thread

train, test = data_loaders.fashion_mnist_sample()
print(f"{len(train.y):,} training images, {len(test.y):,} test images")

# %% [markdown]
# ## The forgotten mask
#
# With dense weights, pruning is a matter of discipline. A pruned weight is a zero, and a mask has to be
# put over it again after *every* update: its gradient is not zero, and neither is its momentum. Here a
# dense network is pruned to a tenth, and trained on for one epoch by somebody who put the mask on once.

# %%
OPTIMIZER = sr.optim.sgd(0.05, momentum=0.9)


def dense_net(seed):
    """784-100-60-10 with every connection."""
    return sr.models.mlp(SIZES, density=None, rng=np.random.default_rng(seed))


def trained(net, epochs, seed=11):
    """The network after some epochs; the seed says in which order images come."""
    sr.fit(
        net,
        train,
        method=sr.methods.Static(),
        optimizer=OPTIMIZER,
        epochs=epochs,
        batch_size=BATCH,
        rng=np.random.default_rng(seed),
    )
    return net


def accuracy(net):
    return sr.evaluate(net, test).accuracy


prune_nine_tenths = Magnitude(0.9)
masked = trained(dense_net(3), 1)
drops = prune_nine_tenths([layer.weight for layer in masked.weighted])
for layer, drop in zip(masked.weighted, drops, strict=True):
    layer.weight.reshape(-1)[drop] = 0
before = sum(np.count_nonzero(layer.weight) for layer in masked.weighted)
trained(masked, 1)
after = sum(np.count_nonzero(layer.weight) for layer in masked.weighted)
print(f"masked once: {before:,} weights that are not 0, after an epoch {after:,}")

sparse = trained(dense_net(3), 1)
sparse.prune(prune_nine_tenths([layer.weight for layer in sparse.weighted]))
before = sum(sparse.connections)
trained(sparse, 1)
print(
    f"on CSR:      {before:,} connections,             after an epoch {sum(sparse.connections):,}"
)
print(f"accuracies: {accuracy(masked):.3f} and {accuracy(sparse):.3f}")
print()
print(sparse)

# %% [markdown]
# The first network is dense again, and nothing says so: it has the shape, the mask still lies in some
# variable, and if it is put on once more before the evaluation, even the count of weights is as
# reported. It has just been trained with ten times the weights.
#
# `net.prune` makes CSR of the survivors. What was pruned has no place in memory, so no gradient, no
# momentum, no decay can bring it back. It is not masked, it is not there.

# %%
try:
    sparse.layers[0].weight.indices[0] = 5  # nor does it change by accident
except ValueError as error:
    print("ValueError:", error)
print(f"dense: {dense_net(3).nbytes:,} bytes; pruned: {sparse.nbytes:,} bytes")

# %% [markdown]
# ## Iterative pruning by hand
#
# Survivors go back to their first values. With masks one keeps a copy of the whole first network. Here
# `prune` returns, for every weight that is left, the slot where it was before (`sources`), and the first
# values are carried along: they shrink with the network.

# %%
net = dense_net(3)
first = [layer.weight.reshape(-1).copy() for layer in net.weighted]  # dense, once
biases = [layer.bias.copy() for layer in net.weighted]
prune = Magnitude(RATE)
print("level  density  accuracy   bytes of first values")
for level in range(4):
    trained(net, 1)  # the same seed, so the same order of images at every level
    held = sum(values.nbytes for values in first)
    print(f"{level:5}{net.density:9.3f}{accuracy(net):10.3f}{held:12,}")
    sources = net.prune(prune([layer.weight for layer in net.weighted]))
    first = [sr.csr.carry(values, source) for values, source in zip(first, sources, strict=True)]
    for layer, values, bias in zip(net.weighted, first, biases, strict=True):
        layer.weight.data[:], layer.bias[:] = values, bias

# %% [markdown]
# `lottery.iterative_pruning` does the same, and yields a `Level` after each training. Level 0 computes on
# BLAS, since all of it is there; the others on their connections only. Where one ends and the other
# begins changes rounding, not masks: in float64 they are the same wherever the line is drawn.


# %%
def chain(seed, treatment="rewind", pruner=None, levels=LEVELS, dtype=np.float32, **options):
    """Levels of iterative pruning, one after the other as they are trained."""
    net_rng, rng = np.random.default_rng(seed).spawn(2)
    return iterative_pruning(
        sr.models.mlp(SIZES, density=None, rng=net_rng, dtype=dtype),
        train,
        levels=levels,
        pruner=pruner or Magnitude(RATE),
        treatment=treatment,
        optimizer=sr.optim.sgd(0.05, momentum=0.9),
        epochs=EPOCHS,
        batch_size=BATCH,
        rng=rng,
        **options,
    )


last = {}
for blas_above in (0.0, 0.9):
    *_, last[blas_above] = chain(3, levels=1, dtype=np.float64, blas_above=blas_above)
one, other = (level.network for level in last.values())
apart = topology.hamming_distance(one, other)
difference = max(
    np.abs(a.weight.data - b.weight.data).max()
    for a, b in zip(one.weighted, other.weighted, strict=True)
)
print(f"connections that only one has: {apart}; weights differ by at most {difference:.1e}")

# %% [markdown]
# ## What a ticket is worth
#
# To say that a ticket wins, one needs what it wins against. Four chains prune a fifth per level,
# fifteen times:
#
# * **rewind**: the smallest go, the others return to their first values: lottery tickets;
# * **finetune**: the smallest go, the others stay where they are and train on;
# * **new values**: the smallest go, the others are drawn anew, so that the structure alone is handed down;
# * **random**: any go, the others return to their first values.

# %%
CHAINS = {
    "rewind": ("rewind", Magnitude(RATE)),
    "finetune": ("finetune", Magnitude(RATE)),
    "new values": (Treatment("reinitialise"), Magnitude(RATE)),
    "random": ("rewind", Random(RATE)),
}
results, tickets, evolving = {}, {}, []
for name, (treatment, pruner) in CHAINS.items():
    results[name] = np.empty((len(SEEDS), LEVELS + 1))
    for row, seed in zip(results[name], SEEDS, strict=True):
        densities = []
        for level in chain(seed, treatment, pruner):
            row[level.number] = accuracy(level.network)
            densities.append(level.density)
            if name == "rewind" and level.number == min(10, LEVELS):
                tickets[seed] = level.network
            if name == "rewind" and seed == SEEDS[0]:
                weight = level.network.weighted[-1].weight  # dense at level 0
                evolving.append(weight.copy())
shown = [k for k in (0, 3, 6, 9, 12, 15) if k <= LEVELS]
print(f"{'density':>12}" + "".join(f"{densities[k]:>15.3f}" for k in shown))
for name, values in results.items():
    cells = (f"{values[:, k].mean():.3f} ± {np.ptp(values[:, k]) / 2:.3f}" for k in shown)
    print(f"{name:>12}" + "".join(f"{cell:>15}" for cell in cells))

# %%
STYLES = dict(zip(CHAINS, ("o-", "s--", "^-.", "v:"), strict=True))
figure, ax = plt.subplots(figsize=(7.5, 4), layout="constrained")
for (name, values), k in zip(results.items(), (6, 1, 3, 5), strict=True):
    ax.plot(densities, values.mean(axis=0), STYLES[name], color=plots.COLOURS[k], label=name, ms=5)
    low, high = values.min(axis=0), values.max(axis=0)
    ax.fill_between(densities, low, high, color=plots.COLOURS[k], alpha=0.15, lw=0)
ax.axhline(results["rewind"][:, 0].mean(), color="black", lw=0.8, label="dense")
ax.set(xscale="log", xlabel="density", ylabel="accuracy on test images")
ax.invert_xaxis()
ax.legend(frameon=False)
ax.grid(alpha=0.25)
plt.show()

# %% [markdown]
# A few per cent of the weights do as well as all of them, *with the values that belong to them*: at a
# density of 0.035 the rewound networks reach 0.835, the dense ones 0.825 (± half the range of three
# seeds, which is as large as the difference: do not read more into it). Three things go with that.
#
# * Finetuning does no worse. It has been trained through all levels before, too; that rewinding does
#   as well without it is the point of the lottery ticket hypothesis, not that it does better.
# * With new values the same procedure finds networks that lose from the first prunings on, and 19 points
#   at the end.
# * Random pruning with rewinding goes along with new values, and collapses earlier: first values alone
#   are no ticket either.
#
# ## Structure, values, or both
#
# Take the ticket of level 10, about a tenth of the weights, and train it three ways more: the same
# structure with other first values; the first values thrown onto as many connections of every layer
# elsewhere (a *random* structure with new values); and, as a control of the control, the ticket itself
# once again.

# %%
WORTH = {"the ticket": [], "its structure, new values": [], "random structure": []}
for seed, ticket in tickets.items():
    net_rng, rng = np.random.default_rng(seed).spawn(2)
    begun = sr.models.mlp(SIZES, density=None, rng=net_rng)
    kept = [sr.csr.flat(layer.weight) for layer in ticket.weighted]
    begun.prune(
        [
            np.setdiff1d(np.arange(layer.weight.size), k)
            for layer, k in zip(begun.weighted, kept, strict=True)
        ]
    )
    anew, elsewhere = np.random.default_rng([seed, 1]).spawn(2)
    structure = random_structure(ticket, elsewhere)
    nets = [
        begun,
        reinitialised(ticket, anew),
        sr.models.mlp(SIZES, structure=structure, rng=anew),
    ]
    for values, net in zip(WORTH.values(), nets, strict=True):
        values.append(accuracy(trained(net, EPOCHS, seed)))
print(f"density {ticket.density:.3f}")
for name, values in WORTH.items():
    print(f"{name:28}{np.mean(values):.3f} ± {np.ptp(values) / 2:.3f}")

# %% [markdown]
# Of the seven points that the ticket has over a random structure, its structure keeps about two; the
# other five are in the first values. Van Gelder et al. (2020) report the same of networks found by
# iterative pruning, and the opposite of those that dynamic methods find:
# `sparse-ref reproduce van_gelder_2020 fig1` compares them.
#
# ## What is left, and how firmly
#
# Which pixels does a ticket still look at? And how much more could be taken from it after training,
# without training again? (`analysis.sensitivity`: by magnitude, and at random. Nested: what is gone at
# one fraction is gone at every larger one.)

# %%
figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
ticket = tickets[SEEDS[0]]
pixels = topology.out_degrees(ticket.weighted[0].weight).reshape(28, 28)
image = axes[0].imshow(pixels, cmap="viridis")
axes[0].set_title(f"connections per pixel, density {ticket.density:.2f}")
axes[0].set_axis_off()
figure.colorbar(image, ax=axes[0], shrink=0.8)

fractions = np.linspace(0, 1, 11)
untrained = trained(sr.models.mlp(SIZES, structure=structure, rng=rng), EPOCHS)
for name, net, k in (("ticket", ticket, 6), ("random structure", untrained, 5)):
    for by, style in (("magnitude", "o-"), ("random", "s:")):
        curve = sensitivity(net, test, fractions, by=by, rng=np.random.default_rng(9))
        axes[1].plot(fractions, curve, style, color=plots.COLOURS[k], label=f"{name}, {by}", ms=4)
axes[1].set(xlabel="fraction of connections removed", ylabel="accuracy")
axes[1].legend(frameon=False, fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.18))
axes[1].grid(alpha=0.25)

evolution = weight_evolution(evolving)
order = np.argsort(np.abs(evolution.values[0]))
for rank, line in enumerate(evolution.values.T[order]):
    axes[2].plot(line, color=plt.get_cmap("magma")(0.9 * rank / len(order)), lw=0.6)
axes[2].set(xlabel="level", ylabel="weight after training", title="output layer, rewinding")
axes[2].axhline(0, color="black", lw=0.8)
plt.show()

# %% [markdown]
# In the middle: by magnitude, the random structure can give up most of its connections. They were never
# pruned, and many of them never mattered. The ticket has none of those left, since ten prunings have
# taken them; from half of the connections on it falls first. Take connections at random, and the ticket
# is the one that holds longer. On the left: it looks at the whole image, at some pixels twice as closely
# as at their neighbours. On the right: lines end where a weight is pruned, and those that are left grow,
# since fewer of them have to make up the sums.
#
# ## A list for one's own experiments
#
# Mistakes that do not raise an error, and what to do about them:
#
# | mistake | consequence | here |
# |---|---|---|
# | the mask is forgotten after an update | a dense network is reported as sparse | what is pruned is not stored |
# | momentum or weight decay act under the mask | pruned weights move, and may return | no state without a connection |
# | `weight != 0` is taken for the mask | a weight that happens to be 0 is lost | a stored 0.0 is a connection |
# | weights are ranked as the last forward pass saw them (`torch.nn.utils.prune`) | masks are one step old | ranked as they are |
# | "20 %" is of all, of what remains, or one more (`k + 1`) | other densities at the same level | counts are exact, rules have names |
# | the survivors' first values are of another network, or not of the same slots | tickets that do not win | carried through `sources` |
# | σ of "σ · sign" is taken of the survivors, or with n in place of n - 1 | another scale at every level | `Treatment("sigma_sign", ddof=, sigma_over=)` |
# | the order of images changes with the level | noise that is mistaken for an effect | every level gets a copy of the generator |
# | one seed | ditto | three, and spreads are shown |
# | a method is compared at the same level with one that prunes other layers | a comparison of densities | plot over density |
#
# The recipe `sparse-ref reproduce masks_2020 fig1` does this on MNIST with eight ways to prune.
