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
# # Sparse convolutional networks
#
# A convolution is already sparse in one sense: a filter looks at three by three pixels and not at the
# whole image. This notebook is about the other sense, in which most of those weights are not there
# either. It computes one filter by hand, measures what a missing connection saves, lets RigL rewire the
# filters of a small network and watches which positions of a kernel survive, takes dead channels out of
# it, and ends with what a residual link is good for when almost nothing is connected.

# %%
# %matplotlib inline
import os
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # two pools of threads would wait for each other

import matplotlib.pyplot as plt
import numba
import numpy as np
from matplotlib.ticker import MaxNLocator
from scipy.signal import correlate

import data_loaders
import sparse_ref as sr
from sparse_ref import csr, plots, tiles, topology
from sparse_ref.layers import BatchNorm, Conv2d, DenseConv2d, Flatten, GlobalAvgPool2d, ReLU
from sparse_ref.layers.base import is_sparse

SMOKE = bool(os.environ.get("SPARSE_REF_SMOKE"))  # the gate runs this notebook in seconds
EPOCHS, IMAGES = (2, 320) if SMOKE else (6, 3000)

train, test = data_loaders.fashion_mnist_sample()
train = data_loaders.Split(train.x[:IMAGES, None], train.y[:IMAGES])  # (n, channels, rows, columns)
test = data_loaders.Split(test.x[:, None], test.y)
print(f"training images {train.x.shape}, test images {test.x.shape}")

# %% [markdown]
# ## One filter, by hand
#
# Frameworks keep the weights of a convolution in an array (filters, channels, rows, columns). Here a
# filter is a *row* of a CSR matrix and each of its columns is a place (channel, dy, dx): a reshape of the
# same numbers. So everything in this library that knows matrices knows convolutions, too: how to drop a
# connection, how to grow one where the gradient is large, how to count.
#
# A filter over two channels has 18 places. This one has five connections.

# %%
KERNEL = np.zeros((1, 2, 3, 3))
KERNEL[0, 0, 0, 0] = -1.0
KERNEL[0, 0, 0, 2] = 1.0
KERNEL[0, 0, 2, 2] = 0.5
KERNEL[0, 1, 1, 1] = 2.0
KERNEL[0, 1, 2, 0] = -0.5
weight = csr.from_dense(KERNEL.reshape(1, 18))
conv = Conv2d(weight, image=(2, 28, 28), kernel=3, padding=1)
print(conv)
print("indices", weight.indices, " values", weight.data)
for column, value in zip(weight.indices, weight.data, strict=True):
    channel, place = divmod(int(column), 9)
    dy, dx = divmod(place, 3)
    print(f"column {column:2}: channel {channel}, row {dy}, column {dx}, weight {value:+.1f}")

# %% [markdown]
# What does one connection do? It takes a whole plane of the image, moves it by (dy - 1, dx - 1), and adds
# it, times its weight, to the result. Nothing else: five connections are five moved planes. If the plane
# has a margin of zeros, "moved" is "read from another place in memory on": **a connection is one offset**.
# That is how the layer computes it, for sixteen images at once, which stand side by side in a register.

# %%
picture = np.stack([train.x[1, 0], train.x[3, 0]])  # two channels: a shirt and a dress
padded = np.pad(picture, ((0, 0), (1, 1), (1, 1)))
total, moved = np.zeros((28, 28)), []
for column, value in zip(weight.indices, weight.data, strict=True):
    channel, place = divmod(int(column), 9)
    dy, dx = divmod(place, 3)
    moved.append(value * padded[channel, dy : dy + 28, dx : dx + 28])
    total += moved[-1]

by_layer = sr.Network([conv, Flatten()]).predict(picture[None])[0].reshape(28, 28)
by_scipy = sum(correlate(p, k, mode="same") for p, k in zip(picture, KERNEL[0], strict=True))
print(f"layer and hand differ by at most {np.abs(by_layer - total).max():.1e}")
print(f"layer and SciPy's dense correlation by {np.abs(by_layer - by_scipy).max():.1e}")

figure, axes = plt.subplots(1, 6, figsize=(11, 2.3), layout="constrained")
scale = np.abs(total).max()
for ax, image, column in zip(axes, moved, weight.indices, strict=False):
    channel, place = divmod(int(column), 9)
    ax.imshow(image, cmap="RdBu", vmin=-scale, vmax=scale)
    ax.set_title(f"channel {channel}, {place // 3 - 1:+d}, {place % 3 - 1:+d}", fontsize=9)
axes[5].imshow(total, cmap="RdBu", vmin=-scale, vmax=scale)
axes[5].set_title("their sum", fontsize=9)
for ax in axes:
    ax.set_axis_off()
plt.show()

# %% [markdown]
# ## What a missing connection saves
#
# The dense layer of this library runs through the same loops, so the comparison says what *connections*
# cost, and not who has the better matrix product. One layer, 64 filters over 64 channels of 16 x 16, a
# batch of 128: time of forward pass and both gradients, and bytes of the layer, over the density. (How it
# compares with other libraries is a question for `sparse-ref bench`.)

# %%
CHANNELS, SIDE, BATCH = (16, 8, 32) if SMOKE else (64, 16, 128)
DENSITIES = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5]
rng = np.random.default_rng(1967)
batch = rng.standard_normal((BATCH, CHANNELS, SIDE, SIDE)).astype(np.float32)
packed = tiles.pack(batch.reshape(BATCH, -1), width=tiles.one_register(np.float32))
SHAPE = {"image": (CHANNELS, SIDE, SIDE), "kernel": 3, "padding": 1}


def seconds(layer, repeats=3 if SMOKE else 7):
    """Of a forward pass with both gradients; the best of some."""
    best = np.inf
    for _ in range(repeats + 1):  # the first may compile
        start = time.perf_counter()
        y, pullback = layer.forward(packed)
        pullback(y)
        best = min(best, time.perf_counter() - start)
    return best


positions = CHANNELS * CHANNELS * 9
complete = DenseConv2d(rng.standard_normal((CHANNELS, CHANNELS * 9)).astype(np.float32), **SHAPE)
dense_time, dense_bytes = seconds(complete), complete.nbytes
times, sizes = [], []
for density in DENSITIES:
    chosen = np.sort(rng.permutation(positions)[: round(density * positions)])
    values = rng.standard_normal(len(chosen)).astype(np.float32)
    layer = Conv2d(csr.from_positions((CHANNELS, CHANNELS * 9), chosen, values), **SHAPE)
    times.append(seconds(layer))
    sizes.append(layer.nbytes)
print(f"{'density':>8}{'ms':>9}{'of dense':>10}{'kB':>9}{'of weights':>12}")
for density, t, size in zip(DENSITIES, times, sizes, strict=True):
    share = size / (4 * positions)
    print(f"{density:8.2f}{1e3 * t:9.2f}{t / dense_time:10.2f}{size / 1e3:9.1f}{share:12.2f}")
print(f"{'dense':>8}{1e3 * dense_time:9.2f}{1:10.2f}{dense_bytes / 1e3:9.1f}")

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
axes[0].plot(DENSITIES, 1e3 * np.array(times), "o-", color=plots.COLOURS[6], label="on CSR")
axes[0].axhline(1e3 * dense_time, color="black", lw=0.8, label="every connection")
axes[0].set(ylabel="ms, forward and gradients")
axes[1].plot(DENSITIES, np.array(sizes) / 1e3, "o-", color=plots.COLOURS[6], label="on CSR")
axes[1].axhline(4 * positions / 1e3, color="black", lw=0.8, label="dense weights alone")
axes[1].set(ylabel="kB of the layer")
for ax in axes:
    ax.set(xscale="log", yscale="log", xlabel="density")
    ax.grid(alpha=0.25)
    ax.legend(frameon=False)
plt.show()

# %% [markdown]
# Down to a few per cent time follows the connections; then what every layer has to do whatever its weight
# (copying planes with their margin, writing results) begins to show. Memory: a connection costs its
# value, its column, and where it reads, forwards and backwards. What is *not* in this picture are the
# activations. They are as large as ever, and in a convolutional network they are nearly all of a training
# step's memory.
#
# ## A small network, rewired
#
# LeNet-5 in the smallest of its five variants (6 and 16 filters of 3 x 3, then 400-120-84-10), a tenth of
# its weights, placed by ERK: small layers get more. RigL drops the weakest connections and grows those
# with the largest gradient. A gradient exists for every place of a kernel, connected or not; it is
# computed in blocks of filters and then forgotten.


# %%
def lenet(density, seed=3, **how):
    """LeNet-5, variant A."""
    return sr.models.lenet_5("A", density=density, rng=np.random.default_rng(seed), **how)


def trained(net, method, callbacks=(), seed=11, epochs=EPOCHS):
    """The network after some epochs."""
    steps = epochs * -(-len(train.y) // 50)
    sr.fit(
        net,
        train,
        method=method(steps),
        optimizer=sr.optim.sgd(0.05, momentum=0.9),
        epochs=epochs,
        batch_size=50,
        rng=np.random.default_rng(seed),
        callbacks=callbacks,
    )
    return net


def rigl(steps):
    """RigL through three quarters of the training."""
    return sr.methods.RigL(every=max(2, steps // 40), stop=3 * steps // 4)


def static(steps):
    return sr.methods.Static()


def masks_of(net):
    """Of the second layer: (16, 54) where there is a connection."""
    return csr.pattern(net.weighted[1].weight)


SEEDS = (3,) if SMOKE else (3, 5, 7)
numba.set_num_threads(1)  # a network as small as this gains nothing from a second thread
along = {}  # seed -> masks before training and after every epoch
accuracies = {"RigL": [], "static": [], "dense": []}
print(lenet(0.1))
start = time.perf_counter()
for seed in SEEDS:
    net = lenet(0.1, seed)
    along[seed] = [masks_of(net)]
    watch = lambda net, epoch, history, masks=along[seed]: masks.append(masks_of(net))  # noqa: E731
    accuracies["RigL"].append(sr.evaluate(trained(net, rigl, [watch]), test).accuracy)
    accuracies["static"].append(sr.evaluate(trained(lenet(0.1, seed), static), test).accuracy)
accuracies["dense"].append(sr.evaluate(trained(lenet(None), static), test).accuracy)
took = time.perf_counter() - start
for name, values in accuracies.items():
    print(f"{name:>7}: accuracy {np.mean(values):.3f} ± {np.ptp(values) / 2:.3f}")
print(f"{took:.1f} s for {2 * len(SEEDS) + 1} trainings of {EPOCHS} epochs")

# %% [markdown]
# (± half the range of the seeds.) What we are after is the second layer. The first has 54 places, and ERK
# gives it all of them; the second has 16 filters (rows), each with six kernels of 3 x 3. White is a
# connection; green ones were grown, orange ones dropped since the beginning.


# %%
def tiled(mask, channels, gap=1):
    """Kernels side by side: a row a filter, a column a channel; -1 between them."""
    kernels = mask.reshape(len(mask), channels, 3, 3)
    edge = 3 + gap
    sheet = np.full((edge * len(mask) - gap, edge * channels - gap), -1.0)
    for (filter_, channel), kernel in zip(
        np.ndindex(len(mask), channels), kernels.reshape(-1, 3, 3), strict=True
    ):
        sheet[edge * filter_ : edge * filter_ + 3, edge * channel : edge * channel + 3] = kernel
    return sheet


SHADES = np.array([[0.5] * 3, [0.08] * 3, [1.0] * 3, [0.0, 0.62, 0.45], [0.84, 0.37, 0.0]])


def painted(before, after):
    """0 gap, 1 never, 2 kept, 3 grown, 4 dropped."""
    state = np.select([before & after, after, before], [2, 3, 4], 1)
    return SHADES[(tiled(state, 6)).clip(0).astype(int)]


first, last = along[SEEDS[0]][0], along[SEEDS[0]][-1]
figure, axes = plt.subplots(1, 3, figsize=(9, 7), layout="constrained")
panels = {
    "before training": painted(first, first),
    "after": painted(last, last),
    "grown and dropped": painted(first, last),
}
for ax, (title, image) in zip(axes, panels.items(), strict=True):
    ax.imshow(image, interpolation="nearest")
    ax.set(title=title, xticks=np.arange(1, 24, 4), yticks=np.arange(1, 64, 4))
    ax.set_xticklabels(range(6))
    ax.set_yticklabels(range(16))
    ax.set_xlabel("channel")
axes[0].set_ylabel("filter")
plt.show()
print(
    f"of {first.sum()} connections of the second layer, {(first & last).sum()} were there at first"
)

# %% [markdown]
# What RigL did here is to fill whole kernels: a filter that has grown a few connections passes on more
# gradient, and so attracts more of them. The others are thinned out. (That this helps is not to be seen
# in so short a training: the networks that were not rewired are at least as good. Accuracy is what a
# longer comparison is for, `sparse-ref compare`.)
#
# ## Which positions of a kernel survive?
#
# Count the connections at each of the nine positions, over all filters, channels and seeds. At first they
# are drawn at random, so they differ by chance only. RigL grows where the gradient is large. Is that at the
# centre of the kernel, as one might expect? The band is what chance gives random masks with as many
# connections (two standard deviations, hypergeometric).


# %%
def by_position(masks):
    """(3, 3) connections at each position of a kernel."""
    return sum(mask.reshape(-1, 3, 3).sum(axis=0) for mask in masks)


def chance(masks):
    """Mean and standard deviation of one position's count in random masks."""
    mean, variance = 0.0, 0.0
    for mask in masks:
        whole, n = mask.size, mask.sum()
        mean += n / 9
        variance += n / 9 * (8 / 9) * (whole - n) / (whole - 1)
    return mean, np.sqrt(variance)


epochs = [[along[seed][k] for seed in SEEDS] for k in range(EPOCHS + 1)]
mean, spread = chance(epochs[0])
figure, axes = plt.subplots(1, 3, figsize=(10, 3), layout="constrained", width_ratios=(1, 1, 1.8))
for ax, masks, title in zip(axes, (epochs[0], epochs[-1]), ("before", "after"), strict=False):
    counts = by_position(masks)
    ax.imshow(counts, cmap="viridis", vmin=mean - 4 * spread, vmax=mean + 4 * spread)
    for (dy, dx), n in np.ndenumerate(counts):
        ax.text(dx, dy, str(n), ha="center", va="center", color="white", fontsize=12)
    ax.set_title(title)
    ax.set_axis_off()
lines = np.array([by_position(masks).reshape(-1) for masks in epochs])
axes[2].axhspan(mean - 2 * spread, mean + 2 * spread, color="0.9")
for k, line in enumerate(lines.T):
    middle = k == 4
    look = {"color": plots.COLOURS[5], "lw": 2.5, "label": "centre"} if middle else {"lw": 0.8}
    axes[2].plot(line, **({"color": plots.COLOURS[6]} | look))
axes[2].set(xlabel="epoch", ylabel="connections at a position")
axes[2].xaxis.set_major_locator(MaxNLocator(integer=True))
axes[2].legend(frameon=False)
plt.show()
counts = by_position(epochs[-1])
print(
    f"by chance {mean:.0f} ± {spread:.1f} at a position; at the end {counts.min()} to {counts.max()},"
)
print(f"and {counts[1, 1]} at the centre")

# %% [markdown]
# The lines stay where chance had put them. In a layer like this *where in the kernel* says nothing about a
# connection; *which filter and which channel* does, as the picture before this one shows. A picture of
# one network would not have told: with three seeds the counts are still uncertain by six or seven.
#
# ## Dead channels
#
# A filter without a connection emits a constant, and a filter that nobody reads might as well not be
# there. At 10 % there are few of either. At 2 %, and with the same density in every layer, there are many:
# the first layer has one connection for its six filters. `topology.emptiness` counts as Parger et al.
# (2022) do, weight by weight. `downsize` goes further and follows paths through the network: what no
# input reaches, and what reaches no output, is taken out, and the arrays become smaller.

# %%
print(
    "density, start      empty neurons  empty inputs   weights if dense   after downsizing   same?"
)
for density, distribution in ((0.1, "erk"), (0.02, "erk"), (0.02, "uniform")):
    start = lenet(density, seed=5, distribution=distribution)
    found = topology.emptiness(start)
    small = sr.downsize(start)
    same = np.allclose(start.predict(test.x[:50]), small.network.predict(test.x[:50]), atol=1e-5)
    sizes = [
        sum(layer.weight.shape[0] * layer.weight.shape[1] for layer in n.weighted)
        for n in (start, small.network)
    ]
    print(
        f"{density:7.2f}, {distribution:8}{found.neurons:16.1%}{found.inputs:14.1%}"
        f"{sizes[0]:18,}{sizes[1]:18,}{same!s:>9}"
    )

# %% [markdown]
# In the last line 90 % of the units have connections, and yet nearly nothing of the network does anything:
# one channel of the first layer sees the image, and what the others lead to are constants, which have
# become biases. Counts of empty units say how far arrays can be cut; what a network can still learn is a
# question of paths.
#
# ## What a residual link is good for
#
# He et al. (2016) added the input of two layers to their output so that deep networks train. In a sparse
# network the link does something simpler: it is a path that cannot be pruned. Here are eight blocks in a
# row with the same few connections, with and without the link. How much gradient arrives at the first
# layer?

# %%
FILTERS, BLOCKS = 8, 4 if SMOKE else 8


def conv_layer(channels, density, rng, side=14):
    """A sparse 3x3 convolution without bias, and what belongs behind it."""
    shape = (FILTERS, channels * 9)
    n = max(1, round(density * shape[0] * shape[1]))
    chosen = np.sort(rng.permutation(shape[0] * shape[1])[:n])
    scale = np.sqrt(2 * FILTERS / n)
    values = (scale * rng.standard_normal(n)).astype(np.float32)
    weight = csr.from_positions(shape, chosen, values)
    made = Conv2d(weight, False, image=(channels, side, side), kernel=3, padding=1)
    return [made, BatchNorm.initial(FILTERS)]


def deep(density, linked, seed=3):
    """`BLOCKS` blocks of two convolutions each."""
    rng = np.random.default_rng(seed)
    layers = [*conv_layer(1, 0.5, rng), ReLU()]
    for _ in range(BLOCKS):
        body = [*conv_layer(FILTERS, density, rng), ReLU(), *conv_layer(FILTERS, density, rng)]
        layers += [*([sr.Residual(body)] if linked else body), ReLU()]
    out = sr.layers.Linear(csr.from_dense(rng.standard_normal((10, FILTERS)).astype(np.float32)))
    return sr.Network([*layers, GlobalAvgPool2d((FILTERS, 14, 14)), Flatten(), out])


small_images = train.x[:128, :, ::2, ::2].reshape(128, -1)
labels = train.y[:128]


def arriving(net):
    """Root mean square of the gradient on the first layer's connections."""
    packed = net.packed(small_images)
    _, grads = net.gradients(packed, labels, [np.random.default_rng(1)] * len(net.layers))
    return float(np.sqrt(np.mean(grads[0].weight ** 2)))


GRID = [0.3, 0.1, 0.05, 0.02, 0.015, 0.01]
DRAWS = (3, 5) if SMOKE else (3, 5, 7, 9, 11)
found = {
    linked: np.array([[arriving(deep(d, linked, seed)) for seed in DRAWS] for d in GRID])
    for linked in (False, True)
}
print("density   without a link: gradient, of it dead   with one: gradient, of it dead")
for density, plain, linked in zip(GRID, found[False], found[True], strict=True):
    print(f"{density:7.3f}", end="")
    for values in (plain, linked):
        print(f"{np.median(values):25.1e}{int((values == 0).sum()):6} of {len(values)}", end="")
    print()

# %% [markdown]
# Without the link a density of one or two per cent cuts the row of layers in two: some layer passes on
# nothing, and no training brings it back, since a gradient has no way through. With it the same layers
# learn, or are passed by. It is also why `downsize` treats the channels of a residual sum as one: a channel goes only
# if nobody in the whole row of blocks needs it.
#
# ## ResNet-18, built sparse
#
# The networks of the papers are in `sparse_ref.models`; their dense weights are never made. At full width
# ResNet-18 has 11.2 million parameters. A tenth of a quarter as wide one besides:

# %%
start = time.perf_counter()
full = sr.models.resnet18(density=0.05, rng=np.random.default_rng(7))
built = time.perf_counter() - start
positions = sum(layer.weight.shape[0] * layer.weight.shape[1] for layer in full.weighted)
print(f"full width, density 0.05: {sum(full.connections):,} of {positions:,} weights,", end=" ")
print(f"{full.nbytes / 1e6:.1f} MB, built in {built:.2f} s")
narrow = sr.models.resnet18(density=0.1, width=0.25, rng=np.random.default_rng(7))
print(f"width 0.25, density 0.1:  {sum(narrow.connections):,} connections in", end=" ")
print(
    f"{sum(map(is_sparse, narrow.weighted))} sparse layers; the projections of blocks are among them"
)
shown = np.array(narrow.connections) / [
    w.weight.shape[0] * w.weight.shape[1] for w in narrow.weighted
]
figure, ax = plt.subplots(figsize=(8, 2.6), layout="constrained")
ax.bar(range(1, len(shown) + 1), shown, color=plots.COLOURS[6])
ax.set(xlabel="layer, in the order they run", ylabel="density by ERK")
ax.xaxis.set_major_locator(MaxNLocator(integer=True))
plt.show()

# %% [markdown]
# The 1 x 1 projections (layers 8, 13 and 18) are small, so ERK leaves most or all of them, as of the first
# and the last layer.
#
# On: `sparse-ref reproduce parger_2022 table4_convnets` counts empty neurons of trained and untrained
# MobileNetV2, ResNet-18 and VGG-16; `sparse-ref reproduce van_gelder_2020 fig1_resnet` asks what the
# structure of a sparse ResNet is worth without its weights.
