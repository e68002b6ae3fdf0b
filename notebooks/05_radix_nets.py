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
# # RadiX-Nets: sparse by arithmetic
#
# Most sparse networks are drawn at random or found by training. A RadiX-Net (Robinett and Kepner 2018)
# is *computed*: a number system says which units are joined, and arithmetic guarantees that every
# input reaches every output, over equally many paths. This notebook builds some, looks at what they
# have that random networks of the same density do not, and asks what that is worth when they learn.

# %%
# %matplotlib inline
import os
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # two pools of threads would wait for each other

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator

import data_loaders
import sparse_ref as sr
from sparse_ref import plots, topology
from sparse_ref.plots_topology import bipartite, masks
from sparse_ref.topology.graph_challenge import BIAS

SMOKE = bool(os.environ.get("SPARSE_REF_SMOKE"))  # the gate runs this notebook in seconds
rng = np.random.default_rng(1905)

# %% [markdown]
# ## Counting
#
# Write the numbers 0 to 7 with three binary digits. To come from any number to any other, it is enough
# to decide once about every digit: leave it, or add its place value, 1, 2 or 4 (modulo 8). Three
# decisions with two outcomes: eight ways, and each leads to another number.
#
# A RadiX-Net is that, drawn. Its units are the numbers, its layers the digits. From unit u a
# connection goes to each unit that one decision leads to. (Alford's program, whose matrices are the
# default here, subtracts in place of adding: the same network with the units renamed.)

# %%
binary = topology.radix_net([(2, 2, 2)])
for value, layer in zip((1, 2, 4), binary, strict=True):
    reached = layer.tocsc().indices.reshape(8, 2)  # the two units that each unit feeds
    print(f"place value {value}:", ", ".join(f"{u}→{a},{b}" for u, (a, b) in enumerate(reached)))

# %% [markdown]
# The radices need not be 2, nor equal: (2, 3) counts 0 to 5, with a digit of value 1 that is 0 or 1 and
# one of value 2 that is 0, 1 or 2. And every unit can be *multiplied*: widths (1, 2, 1) make two copies
# of each hidden unit, and join copies where the units were joined. In colour: all paths from input 0.

# %%
NETS = {
    "(2, 2, 2)": ([(2, 2, 2)], None),
    "(2, 3)": ([(2, 3)], None),
    "(2, 2), widths 1, 2, 1": ([(2, 2)], (1, 2, 1)),
}
small_nets = {title: topology.radix_net(*made) for title, made in NETS.items()}
bipartite(small_nets, highlight=0)

# %%
for title, layers in small_nets.items():
    found = topology.connectivity(layers)
    paths = topology.radix_path_count(*NETS[title])
    print(
        f"{title:23} {found.fraction:.0%} of pairs joined, by {found.paths} each ({paths} foretold)"
    )

# %% [markdown]
# From one input a binary tree grows until it holds every output once. That is why there is exactly one
# path to each, and why it takes no more layers than a number has digits. With two copies of each hidden
# unit there are two ways through the middle.
#
# ## A random twin
#
# Now a hundred units in each layer and the system (10, 10): every unit has ten connections forward and
# ten back, so 90 % of the positions are empty. Its *twin* has as many connections in every layer,
# anywhere.

# %%
radix = topology.radix_net([(10, 10)])
twin = topology.uniform([layer.shape for layer in radix], 0.1, rng)


def describe(networks):
    """What topologies are like, in numbers: a table, and the paths of every pair."""
    print(f"{'':20}{'connections':>20}{'in-degrees':>12}{'pairs joined':>14}{'by paths':>11}")
    every_count = {}
    for name, layers in networks.items():
        found, counts = topology.connectivity(layers), topology.path_counts(layers).toarray()
        degrees = np.concatenate([topology.in_degrees(layer) for layer in layers])
        print(
            f"{name:20}{' + '.join(f'{layer.nnz:,}' for layer in layers):>20}"
            f"{f'{degrees.min()} – {degrees.max()}':>12}{found.fraction:>14.1%}"
            f"{f'{counts.min():.0f} – {counts.max():.0f}':>11}"
        )
        every_count[name] = counts.astype(int)
    return every_count


path_counts = describe({"RadiX-Net (10, 10)": radix, "random twin": twin})
radix_counts, twin_counts = path_counts.values()

# %%
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained")
in_radix, in_twin = (topology.in_degrees(layers[0]) for layers in (radix, twin))
panels = {
    "in-degree of a unit of layer 1": (in_radix, in_twin),
    "paths of a pair": (radix_counts.ravel(), twin_counts.ravel()),
}
LOOKS = {
    "RadiX-Net": {"fill": False, "edgecolor": plots.COLOURS[6], "linewidth": 2.5, "zorder": 3},
    "random twin": {"color": plots.COLOURS[1], "hatch": "///", "edgecolor": "white"},
}
for ax, (what, pair) in zip(axes, panels.items(), strict=True):
    for values, (name, look) in zip(pair, LOOKS.items(), strict=True):
        share = np.bincount(values) / len(values)
        seen = np.flatnonzero(share)
        ax.bar(seen, share[seen], 0.9, label=name, **look)
    ax.set(xlabel=what, ylabel="share", ylim=(0, 1.05), xlim=(-0.7, max(map(np.max, pair)) + 0.7))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
axes[0].legend(frameon=False)
plt.show()

# %% [markdown]
# By chance a unit has 2 connections or 20, and one pair in three has no path at all: with a mean of one
# path, that is about 1/e. **The RadiX-Net spends the same connections so that nobody goes without.** Every
# measure is a single bar.
#
# ## Good as a whole, bad in parts
#
# Graph theory has a name for sparse graphs that are joined as well as possible: *expanders*. What counts
# is the second singular value σ₂ of the pattern. σ₁ belongs to the spread that all inputs have in
# common; the smaller σ₂ is beside it, the fewer steps it takes to mix them. Ramanujan graphs are the best
# there are: with ten connections on either side σ₂ cannot, in large graphs, be below 2·√9 = 6.

# %%
BOUND = 2 * np.sqrt(10 - 1)
print(f"{'':24}{'σ₁':>8}{'σ₂':>8}{'parts':>8}")
for name, layers in {"RadiX-Net": radix, "random twin": twin}.items():
    for k, layer in enumerate(layers, start=1):
        s = topology.spectrum(layer)
        print(f"{name:>14}, layer {k} {s.sigma_1:8.2f}{s.sigma_2:8.2f}{s.parts:8d}")
print(f"{'Ramanujan bound':>24}{BOUND:16.2f}")
values = {
    name: np.linalg.svd(counts, compute_uv=False)
    for name, counts in {"RadiX-Net": radix_counts, "random twin": twin_counts}.items()
}
for name, sigma in values.items():
    print(f"{name:>14}, product {sigma[0]:8.2f}{sigma[1]:8.2f}")

# %%
images = {"RadiX-Net, layer 1": radix[0], "RadiX-Net, layer 2": radix[1]}
images |= {"random twin, layer 1": twin[0], "random twin, layer 2": twin[1]}
masks(images, columns=4)

# %% [markdown]
# Layer by layer the RadiX-Net is a *bad* expander. Its first layer joins units with their neighbours
# only, so that σ₂ is almost σ₁; its second falls apart into ten networks that know nothing of each
# other (σ₂ = σ₁). Random layers are near the bound. But the product of the two is a matrix of ones, in
# which there is nothing beside the common part: σ₂ = 0, which no random twin comes near.
#
# **Path-connectedness is a property of the product.** A criterion that looks at layers one by one, as
# those that choose sparse networks by their spectral gap do, would throw RadiX-Nets out.
#
# ## LeNet-300-100 with a RadiX-Net in it
#
# Alford et al. (2018) ask whether that helps learning. They give LeNet-300-100 the structure of the
# system (10, 10), each unit multiplied: widths (8, 3, 1) make 800-300-100, of which the first 16 inputs
# are cut off. Widths (8, 30, 1) make a net ten times as wide. The last layer, 100
# to 10, is dense.

# %%
STRUCTURES = {"small": topology.lenet_radix_net("small"), "big": topology.lenet_radix_net("big")}
both = {}
for size, layers in STRUCTURES.items():
    both[f"RadiX-Net, {size}"] = layers
    both[f"random twin, {size}"] = topology.uniform([la.shape for la in layers], 0.1, rng)
_ = describe(both)

# %% [markdown]
# Cutting inputs off cost nothing but regularity on one side: units of the first layer have 70 to 80
# inputs, and still every pair has equally many paths. Of the small random twin nearly all pairs are
# joined too, of the big one all: with a mean of 3 or 30 paths, none at all has become rare. The big net
# with its last layer has 266,200 connections, to the last one as many as the dense LeNet.
#
# Each is trained beside random twins on the sample of Fashion-MNIST that ships with the package. Weights
# start with a variance of two over the number of connections of a unit, so that all of them begin
# with activations of the same size, however sparse (`fan="nnz"`); for some the usual start, which counts
# absent connections too (`fan="shape"`), is tried as well.

# %%
train, test = data_loaders.fashion_mnist_sample()
EPOCHS, SEEDS = (1, (3,)) if SMOKE else (10, (3, 5, 7))
BATCH = 100


def trained(hidden, structure, seed, fan="nnz"):
    """784-`hidden`-100-10 after some epochs; without a structure dense."""
    net_rng, fit_rng = np.random.default_rng(seed).spawn(2)
    if callable(structure):  # a twin: drawn anew for each seed
        structure = structure(np.random.default_rng([seed, 11]))
    kind = {"density": None} if structure is None else {"structure": structure, "dense": [-1]}
    net = sr.models.mlp([784, hidden, 100, 10], rng=net_rng, fan=fan, **kind)
    rate = sr.schedules.Cosine(0.05, stop=EPOCHS * len(train.y) // BATCH)
    history = sr.fit(
        net,
        train,
        method=sr.methods.Static(),
        optimizer=sr.optim.sgd(rate, momentum=0.9),
        epochs=EPOCHS,
        batch_size=BATCH,
        rng=fit_rng,
    )
    return net, history


def random_twin(hidden, density):
    """Draws two layers of a shape with an exact density."""
    shapes = [(hidden, 784), (100, hidden)]
    return lambda rng: topology.uniform(shapes, density, rng)


WIDE = 1_000 if SMOKE else 30_000
RUNS = {  # hidden units, structure, fan
    "dense": (300, None, "nnz"),
    "RadiX small": (300, STRUCTURES["small"], "nnz"),
    "random small": (300, random_twin(300, 0.1), "nnz"),
    "RadiX big": (3000, STRUCTURES["big"], "nnz"),
    "random big": (3000, random_twin(3000, 0.1), "nnz"),
    "random 100 x": (WIDE, random_twin(WIDE, 300 / WIDE), "nnz"),
    "random big, shape": (3000, random_twin(3000, 0.1), "shape"),
    "random 100 x, shape": (WIDE, random_twin(WIDE, 300 / WIDE), "shape"),
}
print(f"{'':20}{'hidden':>7}{'density':>9}{'connections':>13}{'MB':>7}{'s/epoch':>9}   accuracy")
accuracies = {}
for name, (hidden, structure, fan) in RUNS.items():
    results = [trained(hidden, structure, seed, fan) for seed in SEEDS]
    net, history = results[0]
    accuracies[name] = np.array([sr.evaluate(one, test).accuracy for one, _ in results])
    seconds = np.median([epoch.seconds for epoch in history.epochs])
    print(
        f"{name:20}{hidden:7d}{net.density:9.3f}{sum(net.connections):13,d}{net.nbytes / 1e6:7.1f}"
        f"{seconds:9.2f}   {accuracies[name].mean():.3f} ± {np.ptp(accuracies[name]) / 2:.3f}"
    )
dense_wide = 4 * (784 * WIDE + WIDE * 100 + 1000) / 1e6
print(f"\nthe weights of a dense 784-{WIDE}-100-10 alone would be {dense_wide:.0f} MB")

# %%
figure, ax = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
for k, (name, values) in enumerate(accuracies.items()):
    colour = plots.COLOURS[0 if name == "dense" else 6 if "RadiX" in name else 1]
    marker = "s" if "shape" in name else "o"
    ax.plot(values, np.full(len(values), k), marker, color=colour, alpha=0.6, ms=7, mec="white")
    ax.plot(values.mean(), k, "|", color=colour, ms=18, mew=2.5)
ax.set(
    yticks=range(len(accuracies)), yticklabels=list(accuracies), xlabel="accuracy on test images"
)
ax.invert_yaxis()
ax.grid(axis="x", alpha=0.25)
plt.show()

# %% [markdown]
# **RadiX-Nets learn about as well as random networks of the same shape and density**, as Alford et al.
# report (within half a point on MNIST); with 1,000 test images and three seeds nothing smaller than a
# point could be told apart here. Nearly all pairs of the random nets were joined anyway. What a
# RadiX-Net has beyond that is that it need not be checked.
#
# Two more things can be seen. Nine tenths less connections cost about two points. And **width is no
# substitute for them**: three networks have the 266,200 connections of the dense LeNet, spread over
# 300, 3,000 and 30,000 hidden units, and none is better than the dense one. Alford et al. find the
# same, and more of it: their wide nets fall behind by two or three points. A part of that is how
# weights start. Where absent connections are counted (squares), activations shrink with the density, and
# the widest net has hardly begun to learn when the training ends.
#
# On memory and time the widest net is the interesting one. As a masked dense network it would hold a
# hundred weights for each that it uses. Here it holds its connections, 4.6 MB in all, and an epoch costs
# what its activations cost. There is, by the way, no RadiX-Net for it: the density of a layer is a radix
# over the product of all, so one of a hundredth with 100 outputs needs the radix 1.
#
# ## Inference at a rate of edges
#
# The Graph Challenge (Kepner et al. 2019) measures machines by sending images through RadiX-Nets
# of 1,024 and more units and up to 1,920 layers, without any training: all weights are 1/16, the bias
# is the same everywhere, and what is asked is which images are not all zero at the end. The measure
# is inputs times connections per second.

# %%
NEURONS, DEPTH = 1024, 24 if SMOKE else 480
layers = topology.graph_challenge(NEURONS, DEPTH)
pixels = np.concatenate([train.x, test.x])
x = np.zeros((len(pixels), 32, 32), np.float32)
x[:, 2:-2, 2:-2] = pixels > 0.5
x = x.reshape(len(x), NEURONS)

edges = sum(layer.nnz for layer in layers)
print(f"{DEPTH} layers of {NEURONS} units, {edges:,} connections, {len(x):,} images")
topology.infer(layers[:1], x[:16], BIAS[NEURONS])  # compiles
started = time.perf_counter()
y = topology.infer(layers, x, BIAS[NEURONS])
seconds = time.perf_counter() - started
print(f"{seconds:.2f} s: {len(x) * edges / seconds / 1e9:.0f} billion edges per second")
alive = y.any(axis=1)
print(
    f"{alive.sum():,} images are not all zero at the end: their units are all {np.unique(y[alive])}"
)
print(f"bright pixels of an image, median: {np.median(x[alive].sum(axis=1)):.0f} of these,")
print(f"                                   {np.median(x[~alive].sum(axis=1)):.0f} of the others")

# %%
steps = [0, 1, 2, 3, 4, 6, 8, 12, 18, 24, *([] if SMOKE else [60, 120, 240, 480])]
lit, active, before, state = [], [], 0, x
for step in steps:
    if step > before:
        state = topology.infer(layers[before:step], state, BIAS[NEURONS])
    before = step
    lit.append(np.mean(state.any(axis=1)))
    active.append(np.mean(state > 0))
np.testing.assert_array_equal(state, y)

figure, ax = plt.subplots(figsize=(7.5, 3.4), layout="constrained")
ax.plot(steps, lit, "o-", color=plots.COLOURS[6], label="images with a unit that is not 0")
ax.plot(steps, active, "s--", color=plots.COLOURS[1], label="units that are not 0")
ax.set(xlabel="layer", ylabel="share", ylim=(0, 1.03), xlim=(0, None), xscale="symlog")
ax.set_xticks(steps[:1] + steps[1::2], [str(s) for s in steps[:1] + steps[1::2]])
ax.minorticks_off()
ax.legend(frameon=False)
ax.grid(alpha=0.25)
plt.show()

# %% [markdown]
# The six layers of a system mix every input with every other: after them an image is either all zero, for
# good, or on its way to having all units at the upper bound of 32. Bright images live and dark ones die.
# Images that are all zero need no further work, and the rate above counts their edges all the same: by
# the challenge's rules inference is finished when the answer is known. (Its own layers are permuted and
# its images are of handwritten digits, so times compare, answers do not.)
#
# **What was seen:** arithmetic alone makes sparse networks in which every input reaches every output by
# equally many paths, which random ones of the same density miss for a third of all pairs; their layers
# are poor expanders one by one; and in training neither helped nor hurt by more than could be measured.
