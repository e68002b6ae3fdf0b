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
# # How far apart are two sparse networks?
#
# Train two sparse networks on the same pictures, and each ends up with connections of its own. Did they
# find the same structure, or two different ones that are equally good? To answer that, one needs a
# distance between networks, and a first idea of one does not work. Liu et al. (2020), *Topological
# Insights into Sparse Neural Networks*, gave one that does. This notebook builds it up by hand, shows
# where it can mislead, and then asks the question.

# %%
# %matplotlib inline
import os

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display

import data_loaders
import sparse_ref as sr
from sparse_ref import csr, plots, recorders, topology
from sparse_ref.methods import SET, RigL
from sparse_ref.plots_topology import bipartite, heat_maps, matching, over_epochs

SMOKE = bool(os.environ.get("SPARSE_REF_SMOKE"))  # the gate runs this notebook in seconds
rng = np.random.default_rng(2020)

# %% [markdown]
# ## The same network twice
#
# Here is a network with 6 inputs, 5 hidden units and 3 outputs. Its twin has the hidden units in another
# order: unit by unit with its bias, all connections that come in and all that go out.

# %%
net = sr.models.mlp([6, 5, 3], density=0.4, rng=rng)
hidden, outputs = net.layers[0], net.layers[2]
order = np.array([3, 0, 4, 1, 2])


def reordered(weight, rows=None, columns=None):
    """A weight with its units, or its inputs, in another order."""
    dense, there = csr.to_dense(weight), csr.pattern(weight)
    rows = np.arange(weight.shape[0]) if rows is None else rows
    columns = np.arange(weight.shape[1]) if columns is None else columns
    return csr.from_dense(dense[np.ix_(rows, columns)], there[np.ix_(rows, columns)])


twin = sr.Network(
    [
        sr.Linear(reordered(hidden.weight, rows=order), hidden.bias[order]),
        sr.ReLU(),
        sr.Linear(reordered(outputs.weight, columns=order), outputs.bias),
    ]
)
display(bipartite({"a network": net, "its twin": twin}))

# %% [markdown]
# They look different, and as lists of connections they are. But they compute the same function, number
# for number. (Only the order in which a sum is added up differs, so they agree to rounding.)

# %%
x = rng.random((4, 6), np.float32)
print("largest difference of an output:", np.abs(net.predict(x) - twin.predict(x)).max())
for measure in (topology.hamming_distance, topology.jaccard_distance, topology.nnstd):
    print(f"{measure.__name__:>17}: {float(measure(net, twin)):.2f}")

# %% [markdown]
# The **Hamming distance** counts positions that are connected in only one of the two. The **Jaccard
# distance** divides that by the positions that are connected in at least one: 0 for equal patterns, 1
# for such that share nothing. Both go by the *numbers* of hidden units, and these mean nothing. **NNSTD**
# does not: it knows the two for one.
#
# ## By hand
#
# Take one hidden unit of each network. What can be said about them without their numbers? They read
# inputs, and inputs do have names: they are pixels. If one unit reads pixels {1, 2} and the other {2, 3},
# they have one in common out of three. What only one of them reads, over all that is read, is 2/3: the
# *normalized edit distance* (NED) of the two units.

# %%
one, other = np.array([[1, 1, 0]]), np.array([[0, 1, 1]])
print(topology.normalized_edit_distances(one, other))

# %% [markdown]
# With a NED for each pair of units, which unit of the second network *is* unit 1 of the first? The pairing
# is sought for which the distances add up to least: an assignment problem, which the Hungarian method
# solves. The mean distance of the pairs is the distance of the layer.
#
# Then the next layer. Its units read hidden units, and these have names now: those of their partners. So
# the layer can be treated like the first one, and so on to the outputs. NNSTD is the mean over the layers.
# Two networks small enough for that (rows are units, columns what they read):

# %%
N1 = [np.array([[1, 1, 0], [0, 1, 1]]), np.array([[1, 0], [0, 1]])]
N2 = [np.array([[0, 1, 0], [1, 1, 0]]), np.array([[0, 1], [1, 1]])]
found = topology.nnstd(N1, N2)
print(found)
display(matching(N1, N2, found))

# %% [markdown]
# One colour: units that answer to each other. H1 of the first network and H2 of the second read the same
# inputs, so they are a pair at distance 0, which leaves H2 and H1, at 0.5. In the second layer, what the
# second network calls H1 is then called H2: its output O1 reads the orange unit, as in the first.
#
# ## What numbers to expect
#
# The authors begin with one random layer with 0.6 % of its connections, change 1 % of them at random, of
# the result again 1 %, nine times, and report distances from the first that start "close to zero" and
# reach "around 0.2". Redone with layers of 784 units, and read with what the Jaccard distance must be: if a
# share s of m connections was exchanged, 1 - s are in both, and 1 + s in at least one.

# %%
UNITS = 200 if SMOKE else 784
(root,) = topology.uniform([(UNITS, UNITS)], 0.006, rng)
family = [layers[0] for layers in topology.generations(root, 9, 0.01, rng)]
from_root = np.array([topology.nnstd(root, child).distance for child in family])
jaccard = np.array([topology.jaccard_distance(root, child) for child in family])
print("NNSTD  ", " ".join(f"{d:.3f}" for d in from_root))
print("Jaccard", " ".join(f"{d:.3f}" for d in jaccard))
matrix = topology.pairwise(family)
names = [f"w{k}" for k in range(10)]
display(heat_maps({f"{UNITS} x {UNITS}, 0.6 %": matrix}, labels=names, values=True))

# %% [markdown]
# The ninth generation is at about 0.15. And the other end of the scale? Two networks that have nothing to
# do with each other are **not** at distance 1. First, two random patterns share connections by chance: of
# density d, they are about 1 - d/(2 - d) apart. Second, NNSTD *chooses* partners: among hundreds of
# units, for each there is one that happens to read some of the same inputs. Without knowing that level, a
# distance of 0.8 cannot be read. (From a dense network the distance is exactly 1 - d, since every
# pairing is as good as any other.)

# %%
DENSITIES = [0.003, 0.006, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.97]
SIDES = (100,) if SMOKE else (100, 200, 400)
figure, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
for k, side in enumerate(SIDES):
    pairs = [[topology.uniform([(side, side)], d, rng) for _ in range(2)] for d in DENSITIES]
    distances = [topology.nnstd(*pair).distance for pair in pairs]
    look = {"color": plots.COLOURS[(1, 3, 5)[k]], "marker": "os^"[k]}
    ax.plot(DENSITIES, distances, label=f"NNSTD, {side} units", **look)
d = np.geomspace(DENSITIES[0], 1, 200)
ax.plot(
    d, 1 - d / (2 - d), color=plots.COLOURS[6], ls="--", label="units not paired: 1 − d/(2 − d)"
)
ax.plot(d, 1 - d, color=plots.COLOURS[0], ls=":", label="from the dense network: 1 − d")
ax.set(xscale="log", xlabel="density d", ylabel="distance", ylim=(0, 1.03))
ax.set_title("two layers drawn independently", fontsize=11)
ax.grid(alpha=0.25)
ax.legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# Very sparse layers come *closer* again: where a unit has about one connection, many read the same
# single input or nothing, and one empty unit is as good as the other. So a distance can be
# compared only with that of layers of the same shape and density.
#
# ## Where it can mislead
#
# Units that read the same inputs cannot be told apart by what they read. The pairing is then chosen
# among equals, and nobody looks whether it suits the next layer. Here are two networks that are the same
# but for the order of the hidden units. All three read both inputs.

# %%
full = np.ones((3, 2))
first = [full, np.array([[1, 0, 0], [0, 1, 1]])]
second = [full, np.array([[0, 1, 0], [1, 0, 1]])]  # hidden units 1 and 2 exchanged
found = topology.nnstd(first, second)
print(f"distance {found.distance}, layers {found.layers}, duplicates {found.duplicates}")
display(matching(first, second, found))

# %% [markdown]
# Every pairing of the hidden units costs nothing in layer 1; the one that was kept, H1 with H1, costs half
# in layer 2. NNSTD says 0.25 for one and the same network. For the same reason it need not be *symmetric* over several layers:

# %%
nets = [topology.uniform([(12, 12), (12, 12)], 0.1, rng) for _ in range(30)]
there = topology.pairwise(nets, symmetric=False)
asymmetry = np.abs(there - there.T)[np.triu_indices(30, 1)]
print(
    f"pairs whose directions differ: {np.mean(asymmetry > 1e-9):.0%}, by {asymmetry.max():.2f} at most"
)
shallow = topology.pairwise([layers[0] for layers in nets], symmetric=False)
print(f"first layers only: differ by {np.abs(shallow - shallow.T).max():.0e} at most")
print("units that read what another reads:", topology.nnstd(nets[0], nets[1]).duplicates)

# %% [markdown]
# So: of **one** layer whose inputs have names, NNSTD is symmetric and blind to the order of units. Of several
# layers it is so only as long as the units of hidden layers can be told apart, which `duplicates` reports.
# The figures of the paper show first layers. So does the rest of this notebook.
#
# ## Do networks drift apart?
#
# Now the question. Networks that begin with almost the same connections (a root and descendants, 1 %
# apart) learn to recognise clothes, each with random numbers of its own: initial weights, order of the
# pictures, and what SET grows. SET drops the weakest fifth of the connections after each epoch and grows as
# many at random. Beside it, SET that grows connections with weight zero, and RigL, which grows where the
# gradient of the loss is largest.

# %%
train, test = data_loaders.fashion_mnist_sample()
EPOCHS, FAMILY, DENSITY, BATCH = (2, 2, 0.01, 64) if SMOKE else (12, 3, 0.01, 64)
PER_EPOCH = -(-len(train.y) // BATCH)
METHODS = {
    "SET": SET(0.2),
    "SET, grown at zero": SET(0.2, grow_init="zero"),
    "RigL": RigL(0.2, every=PER_EPOCH),
}
start = topology.uniform([(300, 784)], DENSITY, rng)
starts = topology.generations(start, FAMILY - 1, 0.01, rng)


def trained(method, structure, seed):
    """A network's first layer along a training, and its accuracy at the end."""
    net_rng, fit_rng = np.random.default_rng(seed).spawn(2)
    net = sr.models.mlp([784, 300, 10], structure=structure, dense=[-1], rng=net_rng)
    recorder = recorders.Topologies(net)
    sr.fit(
        net,
        train,
        method=method,
        optimizer=sr.optim.sgd(0.02, momentum=0.9, nesterov=True, weight_decay=1e-6),
        epochs=EPOCHS,
        batch_size=BATCH,
        rng=fit_rng,
        callbacks=[recorder],
    )
    return [layers[0] for layers in recorder.topologies.values()], sr.evaluate(net, test).accuracy


runs = {
    name: [trained(method, structure, 61 + k) for k, structure in enumerate(starts)]
    for name, method in METHODS.items()
}
for name, results in runs.items():
    print(f"{name:>20}: accuracy", " ".join(f"{accuracy:.3f}" for _, accuracy in results))

# %% [markdown]
# How far is each network from its own start, and how far are they from each other? The dotted line
# is where networks are that were drawn independently.

# %%
pairs = [(i, j) for i in range(FAMILY) for j in range(i)]
records = [[record for record, _ in results] for results in runs.values()]


def over_time(distance, record):
    """From the own start, one row a network; from each other, one row a pair."""
    own = [[float(distance(net[0], layer)) for layer in net] for net in record]
    apart = [
        [float(distance(*layers)) for layers in zip(record[i], record[j], strict=True)]
        for i, j in pairs
    ]
    return np.array(own), np.array(apart)


found = {n: over_time(topology.nnstd, r) for n, r in zip(METHODS, records, strict=True)}
anew = [topology.uniform([(300, 784)], DENSITY, rng) for _ in range(2)]
panels = {
    "from the own start": {name: own for name, (own, _) in found.items()},
    "from each other": {name: apart for name, (_, apart) in found.items()},
}
level = {"drawn independently": topology.nnstd(*anew).distance}
display(over_epochs(panels, range(EPOCHS + 1), levels=level))

# %% [markdown]
# They do, and fast. SET with its default weights for what it grows, N(0, 0.1²), forgets where it came
# from: after ten epochs the networks are nearly as far apart as if they had been drawn independently, and
# yet one is as good as the other. That is what the paper says: there are many very different sparse
# networks that do equally well, and no lucky start is needed to find one. (The paper's networks see ten
# times as many pictures an epoch, so their weights are better known when SET judges them; they go from 0
# to 0.6 in 190 epochs.) Connections that are grown at zero are weak and are dropped first, so the old ones
# stay: half of the start survives. RigL changes least.
#
# ## Beside the Jaccard distance
#
# All these networks began from one, so the numbers of their units mean something, and the Jaccard distance
# can be held against NNSTD. (Shuffle one network's hidden units, and only NNSTD still knows it.)

# %%
layer = records[0][0][-1]
shuffled = reordered(layer, rows=rng.permutation(300))
print("a network and itself, shuffled:", end=" ")
print(f"Jaccard {topology.jaccard_distance(layer, shuffled):.2f},", end=" ")
print(f"NNSTD {topology.nnstd(layer, shuffled).distance:.2f}")

jaccard = {
    n: over_time(topology.jaccard_distance, r) for n, r in zip(METHODS, records, strict=True)
}
panels = {name: {"Jaccard": jaccard[name][1], "NNSTD": found[name][1]} for name in METHODS}
display(over_epochs(panels, range(EPOCHS + 1), what="distance from each other"))

# %% [markdown]
# For SET, NNSTD ends below the Jaccard distance, because it may choose partners. For RigL it is lower from
# the first epoch on. Do RigL's networks do the same thing with other units? Look before you believe it:

# %%
print(
    f"{'':>20}  own number    NNSTD   mean NED unpaired   Jaccard    share of the 15 largest units"
)
for name, record in zip(METHODS, records, strict=True):
    one, other = record[0][-1], record[1][-1]
    comparison = topology.nnstd(one, other)
    own = np.mean(comparison.assignments[0] == np.arange(300))
    unpaired = topology.normalized_edit_distances(one, other).diagonal().mean()
    degrees = np.sort(topology.in_degrees(one))
    print(
        f"{name:>20}  {own:10.0%}  {comparison.distance:7.2f}  {unpaired:18.2f}"
        f"  {topology.jaccard_distance(one, other):8.2f}  {degrees[-15:].sum() / degrees.sum():18.0%}"
    )

# %% [markdown]
# No: nearly all of RigL's units answer to their own number, and pairing them changes next to nothing. The
# two measures *average* differently. NNSTD is a mean over **units**, the Jaccard distance one over
# **connections**. RigL piles its new connections onto a few units (5 % of them end with about a third of
# all connections, three times their share under SET) and leaves most others as they were. These many,
# little changed units decide NNSTD; the few large ones, made anew, weigh in the Jaccard distance.
#
# A last look: the networks of the three methods, two drawn independently, and the start, all against all.

# %%
last = [net[-1] for record in records for net in record] + [layers[0] for layers in anew]
last.append(start[0])
groups = {"SET": FAMILY, "SET, zero": FAMILY, "RigL": FAMILY, "drawn": 2, "start": 1}
display(heat_maps({f"after {EPOCHS} epochs": topology.pairwise(last)}, groups=groups, values=True))

# %% [markdown]
# (Networks of equal number had the same random numbers, which is why the diagonals of the blocks are dark.)
#
# Seen here: networks that began as one and learned the same pictures equally well ended far apart, with
# SET nearly as far as chance allows. Units have no names, so a distance has to pair them first; and what a
# distance means can be said only beside that of networks that have nothing to do with each other.
