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
# # When does sparse win?
#
# A layer with a tenth of the connections does a tenth of the arithmetic. Whether it takes a tenth of
# the time depends on the machine. This notebook measures yours: what it can do at most, what one
# connection costs, how time and memory grow with connections, and the density at which a dense layer
# becomes faster.
#
# It runs in about three minutes and needs no network connection. If PyTorch is installed, its dense
# layer joins. Close what else is running: everything here is a measurement.

# %%
import os

from sparse_ref.bench import peers

# Before our first kernel runs: each library then starts threads of its own.
others = peers.load(["torch"])
for name, why in others.skipped.items():
    if name == "torch":
        print(f"{name} is skipped: {why}")

import matplotlib.pyplot as plt
import numpy as np

import sparse_ref as sr
from sparse_ref import plots
from sparse_ref.bench import clock, company, contenders, crossing, machine, scaling, settings

SMOKE = bool(os.environ.get("SPARSE_REF_SMOKE"))  # the gate runs this notebook in seconds
THREADS = settings.default_threads()[-1]
ROUNDS, SECONDS = (2, 1e-3) if SMOKE else (5, 0.02)
BATCH = 128
INK, ORANGE, BLUE, GREEN, RED = (plots.COLOURS[k] for k in (0, 1, 6, 3, 5))
began = company.moment()
print(f"{THREADS} threads")

# %% [markdown]
# ## Two limits
#
# To multiply a sparse weight with a batch, the kernel takes one connection after the other. For each
# it fetches the values that one input unit has in 64 examples, 256 bytes that lie together, and
# multiplies and adds them into sums that it keeps in registers. So two things can hold it up:
#
# * **arithmetic**: how many multiply-adds the cores make when all numbers are in registers already;
# * **fetching**: how many bytes a second arrive when runs of 256 bytes are picked from all over the
#   input. That depends on how large the input is, since small ones stay in a cache near the core.
#
# Both are measured here with nothing else going on.

# %%
sizes = [1 << k for k in (14, 16, 18, 20, 22)] if SMOKE else None
limits = list(machine.measure([THREADS], print, sizes))
(peak,) = (r["flops"] for r in limits if r["what"] == "peak")
gathers = [r for r in limits if r["what"] == "gather"]
working_sets = np.array([r["bytes"] for r in gathers])
bandwidths = np.array([r["bytes_per_second"] for r in gathers])
FLOPS_PER_BYTE = 2 / 4  # one multiply-add for each number of four bytes

figure, ax = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
ax.loglog(
    working_sets / 1024, bandwidths / 1e9, "o-", color=BLUE, label="fetching rows of 256 bytes"
)
ax.axhline(
    peak / FLOPS_PER_BYTE / 1e9, color=ORANGE, ls="--", label="what arithmetic alone could take in"
)
ax.set(
    xlabel="KB to pick from, per core", ylabel=f"GB/s, {THREADS} threads together", ylim=(1, None)
)
ax.grid(alpha=0.25)
ax.legend(frameon=False)
plt.show()
print(f"arithmetic: {peak / 1e9:.0f} GFLOP/s")
for r in (gathers[0], gathers[-1]):
    print(f"fetching from {r['bytes'] / 1024:,.0f} KB: {r['bytes_per_second'] / 1e9:.0f} GB/s")

# %% [markdown]
# The dashed line is where fetching would be as fast as arithmetic. Wherever the blue line is below
# it, a sparse product waits for bytes, not for multiply-adds: each number fetched is used once. A
# dense product fetches a number once and uses it for many outputs, so it stays at the dashed line for
# a layer of any size. That is the price of sparse storage, and the reason why half of the connections
# is not half of the time.
#
# ## What a connection costs
#
# The longer of the two, fetching and arithmetic, is the least time any kernel of this kind can take.
# It is called the *roofline*. For one connection and 64 examples, in nanoseconds of the whole machine:

# %%
FLOPS, BYTES = 2 * machine.ROW, machine.ROW_BYTES
inputs = [n for n in (64, 1000, 4000, 16_000, 250_000, 1_000_000) if not SMOKE or n <= 16_000]
print(f"arithmetic alone: {FLOPS / peak * 1e9:.2f} ns")
for n in inputs:
    least = machine.roofline_seconds(limits, THREADS, FLOPS, BYTES, n * BYTES)
    print(f"a layer of {n:>9,} inputs ({n * BYTES / 2**20:>7.2f} MB): {least * 1e9:.2f} ns")

# %% [markdown]
# ## The same connections at ever lower density
#
# Now a layer with a fixed number of connections, spread over more and more units. Arithmetic stays
# the same, density falls. The time does not stay the same, for two reasons. The input grows and leaves
# one cache after the other: the roofline rises. And each output unit has fewer connections, so that
# beginning and ending its sum, and writing it to memory, which the roofline does not count, is a
# larger part of the work: what is measured moves away from the roofline.

# %%
CONNECTIONS = 20_000 if SMOKE else 800_000
units = [200, 1000, 5000] if SMOKE else [1000, 2000, 4000, 8000, 16_000, 64_000, 256_000]
rng = np.random.default_rng(2021)


def forward_seconds(n):
    """Seconds of the forward pass of a layer of n by n, one per round."""
    net = sr.models.mlp([n, n], density=None, distribution=[CONNECTIONS], rng=rng)
    x = sr.tiles.pack(rng.random((BATCH, n), np.float32))
    with clock.threads(THREADS):
        return clock.interleaved({"": lambda: net.layers[0].forward(x)}, ROUNDS, SECONDS)[""]


measured = [np.median(forward_seconds(n)) for n in units]
work = CONNECTIONS * BATCH
least = [
    machine.roofline_seconds(limits, THREADS, 2 * work, 4 * work, n * machine.ROW_BYTES)
    for n in units
]

figure, ax = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
ax.loglog(units, np.array(measured) * 1e3, "o-", color=INK, label="measured")
ax.loglog(units, np.array(least) * 1e3, "s--", color=BLUE, label="roofline")
ax.axhline(2 * work / peak * 1e3, color=ORANGE, ls="--", label="arithmetic alone")
ax.set(xlabel="units of the layer, inputs and outputs", ylabel="ms, forward")
ax.set_title(f"{CONNECTIONS:,} connections, batch {BATCH}", fontsize=9)
ax.grid(alpha=0.25)
ax.legend(frameon=False)
plt.show()
for n, one, best in zip(units, measured, least, strict=True):
    density, per_unit = CONNECTIONS / n**2, CONNECTIONS / n
    print(f"{n:>8,} units, density {density:.1e}, {per_unit:7.1f} connections a unit: "
          f"{one * 1e3:7.2f} ms, roofline {best * 1e3:7.2f} ms")  # fmt: skip

# %% [markdown]
# ## Time and memory follow the connections
#
# A network n - n - n - 10 with ten connections into every unit, for growing n. Connections grow like n,
# positions like n². A training step (forward, backward, momentum) and an event of SET grow like
# connections. RigL reads the dense gradient to choose where to grow, a block at a time: its *memory*
# follows the connections, its *time* the positions, and it is left out where it would take long.

# %%
plan = settings.Settings((), (), threads=(THREADS,), rounds=ROUNDS, seconds=SECONDS)
records = list(scaling.measure(plan, print, largest=4000 if SMOKE else 3_500_000))
per_connection, *points = records

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8), layout="constrained")
looks = {"step": (INK, "o-"), "set event": (GREEN, "s--"), "rigl event": (RED, "^-.")}
for what, (colour, style) in looks.items():
    here = [r for r in points if r["what"] == what]
    connections = np.array([r["connections"] for r in here])
    left.loglog(connections, [np.median(r["seconds"]) * 1e3 for r in here], style, color=colour)
    right.loglog(
        connections, [r["peak_bytes"] / 1e6 for r in here], style, color=colour, label=what
    )
steps = [r for r in points if r["what"] == "step"]
connections = np.array([r["connections"] for r in steps])
like = connections / connections[-1]
for ax, last in (
    (left, np.median(steps[-1]["seconds"]) * 1e3),
    (right, steps[-1]["peak_bytes"] / 1e6),
):
    ax.loglog(connections, last * like, color="0.6", ls=":", label="like connections")
    ax.grid(alpha=0.25)
dense_bytes = [4 * r["positions"] / 1e6 for r in steps]
right.loglog(connections, dense_bytes, color=ORANGE, ls="--", label="dense weights alone")
left.set(xlabel="connections", ylabel="ms")
right.set(xlabel="connections", ylabel="MB at most")
right.legend(frameon=False, fontsize=8)
plt.show()
print(f"one more connection costs {per_connection['value']:.1f} bytes in training with momentum")

# %% [markdown]
# On the left, time is what Python and the start of threads cost; further right it runs along the
# dotted line, a little above it where the activations of a layer leave a cache. RigL's memory rises
# like positions until a layer is larger than the block of dense gradient that it holds at a time.
#
# ## Where dense becomes faster
#
# Forward and backward pass of one layer at growing density, against a dense layer of the same size.
# Dense is NumPy with its BLAS (`sparse_ref.Dense`) and, if it is there, PyTorch; the faster of them
# counts. A network with masks computes what the dense layer computes, at any density.

# %%
LAYERS = [200] if SMOKE else [1000, 4000]
DENSITIES = [0.05, 0.8] if SMOKE else [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8]
OURS, NUMPY, TORCH = peers.OURS, "NumPy dense", peers.TORCH_DENSE


def numpy_dense(given):
    """Forward and backward pass of our dense layer, on BLAS."""
    layer = sr.Dense(given.dense, given.bias)
    x, delta = sr.tiles.pack(given.x), sr.tiles.pack(given.delta)
    return lambda: layer.forward(x)[1](delta)


def times(n, density):
    """Median seconds of forward and backward pass, by name; every result is checked first."""
    given = contenders.problem((n, n), density, BATCH, rng)
    table = contenders.contenders(given, others, [OURS, TORCH])
    contenders.require_right({contenders.BOTH: table[contenders.BOTH]}, contenders.reference(given))
    calls = {who: contender.call for who, contender in table[contenders.BOTH].items()}
    with clock.threads(THREADS):
        taken = clock.interleaved(calls, ROUNDS, SECONDS)
        # Apart from the others: the threads of NumPy's BLAS keep a core busy long after a product.
        taken |= clock.interleaved({NUMPY: numpy_dense(given)}, ROUNDS, SECONDS)
    return {who: np.median(seconds) for who, seconds in taken.items()}


found = {n: [times(n, density) for density in DENSITIES] for n in LAYERS}

# %%
size = (4.7 * len(LAYERS), 3.8)
figure, axes = plt.subplots(1, len(LAYERS), figsize=size, layout="constrained", squeeze=False)
crossings = {}
for ax, (n, rows) in zip(axes[0], found.items(), strict=True):
    looks = {OURS: (INK, "o-"), NUMPY: (ORANGE, "v-."), TORCH: (BLUE, "^--")}
    for who in rows[0]:
        colour, style = looks[who]
        ax.loglog(DENSITIES, [1e3 * row[who] for row in rows], style, color=colour, label=who)
    dense = [min(seconds for who, seconds in row.items() if who != OURS) for row in rows]
    crossings[n] = crossing.crossing(DENSITIES, [row[OURS] for row in rows], dense)
    if np.isfinite(crossings[n].density):
        ax.axvline(crossings[n].density, color=RED, linewidth=1)
    ax.set_title(f"{n} x {n}: dense is faster from density {crossings[n].text}", fontsize=9)
    ax.set(xlabel="density", ylabel="ms, forward + backward")
    ax.grid(alpha=0.25)
axes[0, 0].legend(frameon=False)
plt.show()

# %%
where = ", ".join(f"{c.text} for a layer of {n} x {n}" for n, c in crossings.items())
dense_first = {n: min(v for k, v in rows[0].items() if k != OURS) for n, rows in found.items()}
leads = " and ".join(f"{dense_first[n] / rows[0][OURS]:.0f}" for n, rows in found.items())
step_ns = np.median(steps[-1]["seconds"]) / steps[-1]["connections"] * 1e9
print(
    f"What was seen on this machine with {THREADS} threads: dense becomes faster at density {where}; "
    f"at density {DENSITIES[0]:g} sparse is {leads} times as fast; a training step of "
    f"{steps[-1]['connections']:,} connections takes {step_ns:.0f} ns for each, and one more "
    f"connection {per_connection['value']:.0f} bytes."
)
busy = company.others(began, company.moment())
if busy is not None and busy > company.NOTABLE:
    print(f"Other programs used {100 * busy:.0f} % of the machine meanwhile: run it again alone.")
