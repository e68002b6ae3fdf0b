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
# # Public RigLs, one layer
#
# RigL (Evci et al. 2020) says: drop the weakest connections of a layer, grow as many where the
# gradient of the loss is largest. At least four programs that do this are public, and papers compare
# themselves with one or another of them. Do they drop and grow the same connections?
#
# Here each of them gets the same weights, the same gradient and the same fraction. Their rules are
# options of one function, and a *convention* is the bundle of options of one program.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap

import data_loaders
import sparse_ref as sr
from sparse_ref import csr, plots
from sparse_ref.methods import RigL, Run, conventions
from sparse_ref.methods.base import count
from sparse_ref.methods.rigl import choose, margins
from sparse_ref.schedules import Constant

SMOKE = bool(os.environ.get("SPARSE_REF_SMOKE"))  # the gate runs this notebook in seconds
CODES = list(RigL.conventions)
print(conventions.table(RigL))

# %% [markdown]
# An empty cell is as in the paper. `rigl-tf1` and `rigl-tf2` are two programs of RigL's authors,
# `rigl-reproducibility` is a team that set out to redo the paper, `itop` is RigL inside the code of
# another paper. What each option means is in the documentation of `RigL`; here is what they do.
#
# ## A layer small enough to read
#
# Three outputs, four inputs, six connections. A dot is a position without a connection.

# %%
WEIGHT = csr.from_dense(np.array([[0.5, 0, -0.1, 0], [0, 0.3, 0, -0.9], [-0.2, 0, 0.05, 0]]))
GRAD = np.array([[0.1, -0.7, 0.9, 0.2], [0.6, -0.3, 0.6, 0.0], [-0.4, 0.05, -0.8, 0.3]])


def show(weight, grad):
    """Weight and gradient side by side."""
    there = csr.pattern(weight)
    for w, here, g in zip(csr.to_dense(weight), there, grad, strict=True):
        left = "".join(f"{v:7.2f}" if c else "      ." for v, c in zip(w, here, strict=True))
        print(left, "    ", "".join(f"{v:7.2f}" for v in g))


def decided(code, weight, grad, fraction, seed=5, **options):
    """What a program drops and what it grows, as positions."""
    method = RigL(Constant(fraction), convention=code, **options)
    drop, grow = choose(
        weight,
        grad,
        count(fraction, weight.nnz, method.rounding),
        ties=method.ties,
        phantom_keep=method.phantom_keep,
        tf1_noise_std=method.tf1_noise_std,
        rng=np.random.default_rng(seed),
    )
    return csr.flat(weight)[drop], grow


show(WEIGHT, GRAD)
for fraction in (0.5, 0.3):
    print(f"\nfraction {fraction} of {WEIGHT.nnz} connections")
    for code in CODES:
        drop, grow = decided(code, WEIGHT, GRAD, fraction)
        print(f"{code:>21}  drops {drop.tolist()!s:10} grows {grow.tolist()}")

# %% [markdown]
# Positions count along the rows: 10 is the last row's .05, the weakest connection.
#
# With a fraction of one half, three connections go: 10, 2 and 8. All programs agree, and also on the
# three largest gradients among what is free then: 2, 10 and 1. **Two of the three come back at
# once.** A connection that was just dropped is free, so it may be chosen again, and it often has a
# large gradient. Only 8 really leaves.
#
# With a fraction of .3 the programs differ already: 0.3 · 6 = 1.8 is one connection if you cut
# (`floor`) and two if you round up, or if you round what *stays* to the nearest number, as jaxpruner
# does. Where one goes, it is 10, and it comes back at once: nothing changes at all.
#
# ## Four small layers, seven conventions
#
# Orange with a minus: dropped. Blue with a plus: grown. Green with both: dropped and chosen again.
# Grey stays. A zero in a cell is a connection whose weight is exactly zero; RigL grows such, and one
# from an input that is always dark keeps that zero for ever.

# %%
TIES = csr.from_dense(np.array([[0.1, -0.1, 0.1, -0.1], [0, 0, 0, 0]]))
TIES_GRAD = 0.1 * np.arange(8.0).reshape(2, 4)
ZEROS = csr.from_positions((2, 3), np.array([2, 3, 4, 5]), np.array([0.4, 0.0, 0.2, 0.0]))
ZEROS_GRAD = np.array([[0.1, 0.2, 0.9], [0.3, 0.8, 0.7]])

LAYERS = {
    "half of it": (WEIGHT, GRAD, 0.5),
    "fraction .3": (WEIGHT, GRAD, 0.3),
    "equal weights": (TIES, TIES_GRAD, 0.5),
    "exact zeros": (ZEROS, ZEROS_GRAD, 0.25),
}
ABSENT, KEPT, DROPPED, GROWN, AGAIN = range(5)
PAINT = ListedColormap(["#FFFFFF", "#C8C8C8", plots.COLOURS[1], plots.COLOURS[2], plots.COLOURS[3]])


def picture(code, weight, grad, fraction, seed=5):
    """What becomes of every position."""
    drop, grow = decided(code, weight, grad, fraction, seed)
    image = np.where(csr.pattern(weight), KEPT, ABSENT).reshape(-1)
    image[drop], image[grow] = DROPPED, GROWN
    image[np.intersect1d(drop, grow)] = AGAIN
    return image.reshape(weight.shape)


def draw(ax, weight, image):
    """One layer, its weights written in."""
    signs = {DROPPED: "−", GROWN: "+", AGAIN: "±"}
    ax.imshow(image, cmap=PAINT, vmin=-0.5, vmax=4.5)
    there, values = csr.pattern(weight), csr.to_dense(weight)
    for (i, j), state in np.ndenumerate(image):
        lines = [f"{values[i, j]:.2g}"] if there[i, j] else []
        lines += [signs[state]] if state in signs else []
        ax.text(j, i, "\n".join(lines), ha="center", va="center", fontsize=7, linespacing=0.9)
    n_out, n_in = image.shape
    ax.set(xticks=np.arange(n_in + 1) - 0.5, yticks=np.arange(n_out + 1) - 0.5)
    ax.tick_params(length=0, labelbottom=False, labelleft=False)
    ax.grid(color="#808080", linewidth=0.5)


figure, axes = plt.subplots(len(LAYERS), len(CODES), figsize=(11, 6), layout="constrained")
for row, (title, (weight, grad, fraction)) in zip(axes, LAYERS.items(), strict=True):
    for ax, code in zip(row, CODES, strict=True):
        draw(ax, weight, picture(code, weight, grad, fraction))
    row[0].set_ylabel(title)
for ax, code in zip(axes[0], CODES, strict=True):
    ax.set_title(code, fontsize=8)
plt.show()

# %% [markdown]
# **Equal weights.** Two of four equal ones must go. TensorFlow and JAX sort downwards and cut off the
# end, so the *later* positions go; a PyTorch program that sorts upwards drops the *earlier* ones (if
# its sort keeps the order of equals, which PyTorch does not promise). ITOP computes a threshold and
# drops all that do not exceed it: all four, where it was asked for two. The noise of `rigl-tf1`
# decides at random.
#
# **Exact zeros.** One connection of four is to go, three stay. The authors' programs and rigl-torch
# rank *all positions* by |weight|, and a position without a connection has |weight| 0 too, as much as a
# connection that happens to be zero. Of equals the first is kept: the upper left corner, which was no
# connection at all, is "kept" and so comes to life without any gradient having asked for it. Call it a
# phantom. In its place a second connection goes. In `rigl-tf1` the noise chooses among the zeros; this
# time it chose one that was connected. ITOP drops both zeros.
#
# **The same pattern, other weights.** Where the picture is green, most programs leave the weight and
# its momentum as they were: the connection never left the mask. `rigl-reproducibility` sets the
# weight to zero. That is no detail: in the first row it is two of the three.

# %%
for code in ("paper", "rigl-reproducibility"):
    method = RigL(Constant(0.5), convention=code)
    net = sr.Network([sr.Linear(WEIGHT)])
    (rewire,), _ = method.rewire(net, [GRAD], None, 1, np.random.default_rng(5))
    print(code)
    show(csr.apply(WEIGHT, rewire)[0], GRAD)

# %% [markdown]
# ## How close were the calls?
#
# A program that adds in another order, or in float32, gets slightly other gradients. Before one calls
# a different choice a fault, one should know how close the call was: `margins` tells by how much the
# weakest connection kept beat the strongest dropped, and the least gradient grown the best left out.

# %%
result = margins(WEIGHT, GRAD, 3)
print(f"kept {result.keep}, dropped {result.drop}, grown {result.grow}")
print(f"margin of the drop {result.drop_margin:.3f}, of the growth {result.grow_margin:.3f}")
print("equal weights:", margins(TIES, TIES_GRAD, 2).drop_margin)

# %% [markdown]
# ## Layers of real size
#
# Two layers of 300 x 784 with a tenth of the connections: one is random, the other is the first layer
# of a network after some epochs of RigL on pictures of clothes. What does each rule, alone, change?

# %%
train, test = data_loaders.fashion_mnist_sample()
train, held_out = data_loaders.hold_out(train, 500, np.random.default_rng(2020), how="stratified")
BATCH = 64
PER_EPOCH = -(-len(train.y) // BATCH)


def trained(method, seed, epochs, density=0.1):
    """A network after some epochs, and its history."""
    net_rng, fit_rng = np.random.default_rng(seed).spawn(2)
    net = sr.models.lenet_300_100(density=density, rng=net_rng)
    rate = sr.schedules.Cosine(0.05, stop=epochs * PER_EPOCH)
    history = sr.fit(
        net,
        train,
        method=method,
        optimizer=sr.optim.sgd(rate, momentum=0.9, nesterov=True, weight_decay=1e-4),
        epochs=epochs,
        batch_size=BATCH,
        rng=fit_rng,
        validation=held_out,
    )
    return net, history


net, history = trained(RigL(0.3, every=20), seed=3, epochs=2 if SMOKE else 10)
learnt = net.layers[0].weight
_, grads = net.gradients(
    sr.tiles.pack(train.x[:256].reshape(256, -1).astype(np.float32)), train.y[:256]
)
learnt_grad = grads[0].block(0, 300)

rng = np.random.default_rng(17)
positions = np.sort(rng.choice(300 * 784, learnt.nnz, replace=False))
drawn = csr.from_positions((300, 784), positions, rng.standard_normal(learnt.nnz, np.float32))
drawn_grad = rng.standard_normal((300, 784), np.float32)
for name, weight in {"random": drawn, "trained": learnt}.items():
    print(f"{name}: {weight.nnz} connections, of them {np.sum(weight.data == 0)} exactly zero")

# %%
CAUSES = {
    "rounding: floor in float32": {"rounding": "floor_f32"},
    "rounding: up": {"rounding": "ceil"},
    "rounding: of what stays": {"rounding": "round_half_even"},
    "ties: lower position goes": {"ties": "drop_low_index"},
    "ties: all go": {"ties": "drop_all"},
    "phantoms": {"phantom_keep": True},
    "phantoms and noise": {"phantom_keep": True, "tf1_noise_std": 1e-5},
    "chosen again: anew at 0": {"regrow": "reinit"},
}


def after(weight, grad, fraction, **options):
    """The layer after one event."""
    method = RigL(Constant(fraction), **options)
    net = sr.Network([sr.Linear(weight)])
    (rewire,), _ = method.rewire(net, [grad], None, 1, np.random.default_rng(23))
    return csr.apply(weight, rewire)[0]


def difference(one, two):
    """Positions connected in only one of two layers, and those in both with another weight."""
    both = csr.pattern(one) & csr.pattern(two)
    only = csr.pattern(one) ^ csr.pattern(two)
    return np.sum(only), np.sum(csr.to_dense(one)[both] != csr.to_dense(two)[both])


FRACTION = 0.3
print(f"{'':28}{'random':>20}{'trained':>20}")
print(f"{'':28}{'pattern  weights':>20}{'pattern  weights':>20}")
counts = {}
for cause, options in CAUSES.items():
    counts[cause] = [
        difference(after(w, g, FRACTION), after(w, g, FRACTION, **options))
        for w, g in ((drawn, drawn_grad), (learnt, learnt_grad))
    ]
    print(f"{cause:28}" + "".join(f"{p:11d}{v:9d}" for p, v in counts[cause]))

# %%
figure, ax = plt.subplots(figsize=(8, 3.8), layout="constrained")
places = np.arange(len(CAUSES))
for k, (name, colour, hatch) in enumerate(
    [("random layer", plots.COLOURS[2], ""), ("trained layer", plots.COLOURS[1], "///")]
):
    heights = [sum(pair[k]) for pair in counts.values()]
    ax.barh(places + 0.4 * k - 0.2, heights, 0.38, color=colour, hatch=hatch, label=name)
    for place, height in zip(places + 0.4 * k - 0.2, heights, strict=True):
        ax.text(max(height, 0.5) * 1.15, place, f"{height}", va="center", fontsize=8)
ax.set(yticks=places, yticklabels=list(CAUSES), xscale="symlog", xlim=(0, 1e5))
ax.set(xlabel="positions that differ from the paper's rule after one event")
ax.invert_yaxis()
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# What programs do differently with equals, zeros and halves concerns next to nothing here, because
# weights that were trained are hardly ever equal or zero: rounding moves at most one connection of
# 18,714, the noise exchanges a pair that is weaker than it, and there is no phantom at all. Phantoms
# need exact zeros, such as connections that grew and were never updated.
#
# One rule is another matter. In the trained layer nearly a third of what is dropped is chosen again at
# once, in the random one about as little as chance would have it. Who are they?

# %%
k = count(FRACTION, learnt.nnz)
slots, grow = choose(learnt, learnt_grad, k)
dropped = csr.flat(learnt)[slots]
again = np.isin(dropped, grow)
of_rigl = np.isin(dropped, np.concatenate([e.grown for e in history.events if e.layer == 0]))
print(f"by chance {k * k / (300 * 784 - learnt.nnz + k):.0f}, really {np.sum(again)} of {k}")
print(f"grown by RigL since the beginning: {np.mean(of_rigl):.0%} of those dropped")
print(
    f"chosen again: {np.mean(again[of_rigl]):.0%} of these, {np.mean(again[~of_rigl]):.0%} of others"
)

# %% [markdown]
# They are what RigL grew before. A grown connection begins at zero, so it is among the weakest for a
# while, and it stands where the gradient was large and often still is: it is dropped, and at once
# chosen again. Where that keeps its weight, as in the paper's code, nothing happened and it goes on
# learning. Where it starts at zero again, it is thrown back at every event.
#
# ## When, and how much
#
# The programs also differ in when an event comes and what fraction it replaces. A training of 1,000
# batches with an event every 50, each program with its own defaults (left). In `rigl-tf1` the fraction
# of the ImageNet and CIFAR scripts is constant unless a flag says otherwise, and its cosine begins at
# batch 0 even where the events begin later (right): from step 300 there is little left of it.

# %%
OWN = {
    "paper, rigl-torch, rigl-reproducibility": {},
    "rigl-tf1": {"convention": "rigl-tf1"},
    "rigl-tf2 at a constant learning rate": {"convention": "rigl-tf2"},
    "jaxpruner": {"convention": "jaxpruner"},
    "itop": {"convention": "itop"},
}
TF1 = {
    "rigl-tf1, anneal='constant'": {"convention": "rigl-tf1", "anneal": "constant"},
    "paper, start=300": {"start": 300},
    "rigl-tf1, start=300": {"convention": "rigl-tf1", "start": 300},
}
LOOKS = ("o", "^", "s", "D", "*"), (10, 5, 5, 5, 7)  # large and hollow where two lie on each other


def draw_schedules(ax, settings):
    """Every event of a training, at its batch and its fraction."""
    for k, (name, options) in enumerate(settings.items()):
        method = RigL(every=50, **options).bind(Run(50, 1000))
        due = [step for step in range(1, 1001) if method.due(step)]
        schedule = sr.schedules.as_schedule(method.drop_fraction)
        fractions = [schedule(step - 1 + method.first_step) for step in due]
        look = {
            "marker": LOOKS[0][k],
            "ms": LOOKS[1][k],
            "color": plots.COLOURS[(0, 1, 3, 4, 6)[k]],
        }
        ax.plot(due, fractions, ls=plots.STYLES[k % 4], lw=1, mfc="none", label=name, **look)
    ax.set(xlabel="batch", xlim=(-30, 1030), ylim=(-0.02, 0.75))
    ax.legend(frameon=False, fontsize=8, loc="upper right")


figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
draw_schedules(left, OWN)
draw_schedules(right, TF1)
left.set(ylabel="fraction replaced")
plt.show()

# %% [markdown]
# ## Does it matter?
#
# LeNet-300-100 with 2 % of its connections on the sample of Fashion-MNIST that ships with the package,
# once with each program's own schedule, once with the paper's, so that only the rules of an event
# differ. Five seeds; the number behind ± is the standard deviation between them.

# %%
EPOCHS, SEEDS = (2, (31,)) if SMOKE else (15, (31, 37, 41, 43, 47))
PAPERS_SCHEDULE = {
    "drop_fraction": 0.3,
    "start": None,
    "first_step": 1,
    "until": 0.75,
    "include_stop": False,
    "anneal": "cosine",
    "least_fraction": 0.0,
}
RUNS = {("static", ""): sr.methods.Static()}
for code in CODES:
    RUNS[code, "own schedule"] = RigL(every=20, convention=code)
    RUNS[code, "paper's"] = RigL(every=20, convention=code, **PAPERS_SCHEDULE)


def accuracy(method):
    """On the test images, for each seed."""
    nets = [trained(method, seed, EPOCHS, density=0.02)[0] for seed in SEEDS]
    return np.array([sr.evaluate(net, test).accuracy for net in nets])


done = {method: accuracy(method) for method in set(RUNS.values())}  # some are in both columns
results = {key: done[method] for key, method in RUNS.items()}
for (name, schedule), values in results.items():
    spread = np.std(values, ddof=1) if len(values) > 1 else 0.0
    print(f"{name:>21}  {schedule:13} {values.mean():.4f} ± {spread:.4f}")

# %% [markdown]
# Every RigL is better than the connections that stay where they were drawn, by two points or so, at
# least about twice the standard deviation between seeds. Among themselves the programs differ by a
# point at most, which is little beside that deviation and the uncertainty of more than a point that a
# test set of 1,000 images leaves. So **this training does not tell the programs apart**; the highest
# of so many means is not a winner. Where one would look first in longer trainings, over more seeds, is
# at what differs most: the schedules, whether an event costs an update (`rigl-tf2` and `itop` lose
# none), and what becomes of a connection that is chosen again.
#
# What it does say: whoever compares two *implementations* connection by connection has to know the
# convention, since one event already differs; whoever compares accuracies need not fear ties and
# rounding, but should state fraction, end and schedule, which programs set differently by default.
