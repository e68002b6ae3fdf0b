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
# # Truly sparse training
#
# Most programs that train "sparse" networks keep every weight in memory and multiply with a mask of
# zeros and ones. The result is right; the memory and the time are those of the dense network.
# Here a connection that does not exist is not stored. This notebook shows what that looks like,
# what it saves, and how SET, which moves connections while it trains, works on such storage.
#
# It runs in about a minute on two cores, without a network connection.

# %%
import os
import time

import matplotlib.pyplot as plt
import numpy as np

import data_loaders
import sparse_ref as sr
from sparse_ref import csr, plots
from sparse_ref.methods import set_

SMOKE = bool(os.environ.get("SPARSE_REF_SMOKE"))  # the gate runs this notebook in seconds
rng = np.random.default_rng(2018)

# %% [markdown]
# ## A layer is three arrays
#
# A weight matrix with 4 outputs and 6 inputs, of which 8 connections exist. `data` holds their
# weights, `indices` the input each one comes from, `indptr` where each output's connections begin.

# %%
dense = np.array(
    [
        [0.9, 0.0, 0.0, -0.4, 0.0, 0.0],
        [0.0, 0.0, 0.3, 0.0, 0.0, 0.7],
        [0.0, -0.1, 0.0, 0.0, 0.0, 0.0],
        [0.2, 0.0, 0.0, -0.6, 0.5, 0.0],
    ]
)
weight = csr.from_dense(dense)
print("data   ", weight.data)
print("indices", weight.indices)
print("indptr ", weight.indptr)

# %% [markdown]
# Row 3 of the product with an input `x` needs three multiplications, those of slots 5, 6 and 7:

# %%
x = rng.standard_normal(6)
row = slice(weight.indptr[3], weight.indptr[4])
by_hand = np.sum(weight.data[row] * x[weight.indices[row]])
print(by_hand, (dense @ x)[3])

# %% [markdown]
# A stored zero is still a connection: it has a slot, a gradient and a momentum. RigL starts new
# connections at 0, so structure must never be read off the values.

# %%
with_a_zero = csr.from_dense(np.zeros((2, 3)), pattern=np.eye(2, 3, dtype=bool))
print(with_a_zero.nnz, "connections,", np.count_nonzero(with_a_zero.data), "of them not zero")

# %% [markdown]
# ## Why no mask
#
# The same training step on a layer with 4,000 inputs and 4,000 outputs, at falling density: time and
# bytes of our layer follow the number of connections. The dense layer, which is also what a masked
# one costs at any density, stays where it is.

# %%
N = 1000 if SMOKE else 4000
batch = sr.tiles.pack(rng.random((128, N), np.float32))


def seconds(layer, repeats=7):
    """Median time of forward and backward pass."""
    times = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        y, pullback = layer.forward(batch)
        pullback(y)
        times.append(time.perf_counter() - began)
    return np.median(times[1:])  # the first call may compile


densities = [0.2, 0.1, 0.05, 0.02, 0.01]
nets = [sr.models.mlp([N, N], density=d, distribution="uniform", rng=rng) for d in densities]
sparse_seconds = [seconds(net.layers[0]) for net in nets]
dense_net = sr.models.mlp([N, N], density=None, rng=rng)
dense_seconds = seconds(dense_net.layers[0])

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
left.loglog(densities, np.array(sparse_seconds) * 1e3, "o-", color=plots.COLOURS[6], label="CSR")
left.axhline(dense_seconds * 1e3, color=plots.COLOURS[0], ls="--", label="dense (BLAS)")
left.set(xlabel="density", ylabel="ms, forward + backward, batch 128")
right.loglog(densities, [net.nbytes / 1e6 for net in nets], "o-", color=plots.COLOURS[6])
right.axhline(dense_net.nbytes / 1e6, color=plots.COLOURS[0], ls="--")
right.set(xlabel="density", ylabel="MB, weight and pattern")
left.legend(frameon=False)
plt.show()

# %% [markdown]
# ## One step of SET
#
# SET (Mocanu et al. 2018) trains for an epoch, then drops the weakest connections of each layer and
# grows as many at random places. On our little layer, with two connections to move: the change is a
# value, `Rewire`, and `csr.apply` returns the new weight and the old slot of each new slot, by which
# momentum follows its connection.

# %%
rewire = set_.rewire_layer(weight, n_drop=2, rng=rng)
after, source = csr.apply(weight, rewire)
print("dropped slots     ", rewire.drop, "with weights", weight.data[rewire.drop])
print("grown at positions", rewire.grow, "with weights", rewire.values.round(3))
print("old slot of new   ", source, "(-1: new)")
print("momentum follows  ", csr.carry(np.arange(10.0, 18.0), source))

# %%
figure, axes = plt.subplots(1, 3, figsize=(9, 2.4), layout="constrained")
kept = csr.pattern(weight) & csr.pattern(after)
pictures = {
    "before": csr.pattern(weight) * 1.0,
    "dropped (dark) and grown (bright)": kept * 0.5
    + (csr.pattern(after) & ~kept) * 1.0
    + (csr.pattern(weight) & ~kept) * 0.2,
    "after": csr.pattern(after) * 1.0,
}
for ax, (title, image) in zip(axes, pictures.items(), strict=True):
    ax.imshow(image, cmap="cividis", vmin=0, vmax=1)
    ax.set(title=title, xlabel="input", ylabel="output")
plt.show()

# %% [markdown]
# ## SET on real images
#
# LeNet-300-100 with 2 % of its connections, on the sample of Fashion-MNIST that ships with the
# package, beside a network whose connections stay where they were drawn. A callback records how many
# connections each pixel has. Grown weights are random; the authors' code draws them from
# N(0, 0.1²), which in so small a network is as much as the trained weights around them, so a second
# SET starts them smaller.

# %%
train, test = data_loaders.fashion_mnist_sample()
train, held_out = data_loaders.hold_out(train, 500, rng, how="stratified")
EPOCHS = 3 if SMOKE else 80
STEPS = EPOCHS * -(-len(train.y) // 64)


def pixels(net):
    """Connections of each of the 784 inputs."""
    return np.bincount(net.layers[0].weight.indices, minlength=784).reshape(28, 28)


def trained(method, seed):
    net_rng, fit_rng = np.random.default_rng(seed).spawn(2)
    net = sr.models.lenet_300_100(density=0.02, rng=net_rng)
    frames = [pixels(net)]
    history = sr.fit(
        net,
        train,
        method=method,
        optimizer=sr.optim.sgd(
            sr.schedules.Cosine(0.05, stop=STEPS), momentum=0.9, nesterov=True, weight_decay=2e-3
        ),
        epochs=EPOCHS,
        batch_size=64,
        rng=fit_rng,
        validation=held_out,
        callbacks=[lambda net, epoch, history: frames.append(pixels(net))],
    )
    return net, history, frames


SEEDS = (11, 12, 13)
methods = {
    "static": sr.methods.Static(),
    "SET, grown at 0.1": sr.methods.SET(stop=3 * STEPS // 4),
    "SET, grown at 0.01": sr.methods.SET(stop=3 * STEPS // 4, grow_std=0.01),
}
runs = {name: [trained(method, seed) for seed in SEEDS] for name, method in methods.items()}
for name, results in runs.items():
    accuracies = [sr.evaluate(net, test).accuracy for net, _, _ in results]
    counts = {net.connections for net, _, _ in results}
    mean, spread = np.mean(accuracies), np.std(accuracies, ddof=1)
    print(f"{name:18} test accuracy {mean:.4f} ± {spread:.4f}, connections {counts}")

# %% [markdown]
# The number of connections after training is the one before, to the last connection.

# %%
plots.learning_curves(
    {
        "density 0.02": {
            name: np.array([[e.validation_accuracy for e in h.epochs] for _, h, _ in results])
            for name, results in runs.items()
        }
    },
    "accuracy on held-out images",
)

# %% [markdown]
# ## Where the connections go
#
# Every pixel starts with about the same number of connections. SET never looks at a gradient to
# place one, but a connection from a pixel that is always dark has no gradient: it keeps the weight
# it was given. If that is small beside what the others learn, it is dropped, and grows elsewhere.

# %%
shown = [0, EPOCHS // 4, EPOCHS // 2, EPOCHS]
mean_frames = np.mean([frames for _, _, frames in runs["SET, grown at 0.01"]], axis=0)
plots.input_connections(
    {"grown at 0.01": {f"epoch {epoch}": mean_frames[epoch] for epoch in shown}},
    train.x.mean(axis=0),
)

# %%
mean_image = train.x.mean(axis=0)
bright, dark = mean_image > 0.3, mean_image < 0.05
for name, results in runs.items():
    last = np.mean([frames[-1] for _, _, frames in results], axis=0)
    print(
        f"{name:18} connections per pixel: bright {last[bright].mean():.2f}, "
        f"dark {last[dark].mean():.2f}"
    )

# %% [markdown]
# What was seen: time and memory follow the number of connections, SET keeps that number exactly, and
# with nothing but magnitudes and chance it moves connections from the dark border to the pixels that
# tell clothes apart, the more so the smaller the weights it grows.
