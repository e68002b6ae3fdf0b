"""One epoch of Fashion-MNIST, truly sparse here against dense weights with masks in PyTorch.

    pip install torch pytest-benchmark
    pytest tests/benchmarks/bench_epoch.py -s

784-1000-1000-1000-10, Erdős-Rényi with epsilon 20, batch 128, float32, momentum SGD, the same
number of threads. Rounds are interleaved: PyTorch's epoch is the setup of ours. The time of an
epoch does not depend on the pixels, so where the data set is absent, noise of its size is used.
"""

import itertools
import statistics
import time

import numba
import numpy as np
import pytest

import sparse_ref as sr
from sparse_ref import allocation

torch = pytest.importorskip("torch")

SIZES = (784, 1000, 1000, 1000, 10)
SHAPES = [(after, before) for before, after in itertools.pairwise(SIZES)]
BATCH, RATE, MOMENTUM = 128, 0.01, 0.9
ROUNDS = 5


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("output_layer", ["sparse", "dense"])
def test_epoch_against_masked_torch(benchmark, threads, output_layer):
    x, y, origin = _images()
    numba.set_num_threads(threads)
    torch.set_num_threads(threads)
    ours = _ours(x, y, output_layer)
    theirs, their_seconds = _theirs(x, y), []

    def their_epoch():
        began = time.perf_counter()
        theirs()
        their_seconds.append(time.perf_counter() - began)

    benchmark.pedantic(ours, setup=their_epoch, rounds=ROUNDS, warmup_rounds=1)
    their_seconds = their_seconds[1:]
    ratios = [a / b for a, b in zip(benchmark.stats.stats.data, their_seconds, strict=True)]
    ratio = benchmark.stats.stats.median / statistics.median(their_seconds)
    benchmark.extra_info |= {
        "data": origin,
        "torch_median_seconds": statistics.median(their_seconds),
        "ratio_of_medians": ratio,
    }
    print(
        f"\n{origin}, {threads} thread(s), output layer {output_layer}: "
        f"ours {benchmark.stats.stats.median:.3f} s, "
        f"torch dense + masks {statistics.median(their_seconds):.3f} s, "
        f"ratio {ratio:.3f} (min {min(ratios):.3f}, max {max(ratios):.3f})"
    )


def _images():
    try:
        import data_loaders

        (x, y), _ = data_loaders.fashion_mnist()
        return x.reshape(len(x), -1), y, "Fashion-MNIST"
    except FileNotFoundError:
        rng = np.random.default_rng(2020)
        return rng.random((60_000, 784), np.float32), rng.integers(0, 10, 60_000), "noise"


def _ours(x, y, output_layer):
    rng = np.random.default_rng(2020)
    dense = (-1,) if output_layer == "dense" else ()
    counts = allocation.set_epsilon(SHAPES[: len(SHAPES) - len(dense)], 20)
    net = sr.models.mlp(SIZES, density=0, distribution=counts, rng=rng, dense=dense)
    optimizer = sr.optim.sgd(RATE, MOMENTUM)
    how = {"method": sr.methods.Static(), "optimizer": optimizer, "epochs": 1, "batch_size": BATCH}
    return lambda: sr.fit(net, (x, y), rng=rng, **how)


def _theirs(x, y):
    torch.manual_seed(2020)
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    counts = allocation.set_epsilon(SHAPES, 20)
    layers = [torch.nn.Linear(n_in, n_out) for n_out, n_in in SHAPES]
    masks = [_mask(layer, int(n)) for layer, n in zip(layers, counts, strict=True)]
    stacked = [part for layer in layers for part in (layer, torch.nn.ReLU())][:-1]
    net = torch.nn.Sequential(*stacked)
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE, momentum=MOMENTUM)

    def epoch():
        for batch in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
            optimizer.step()
            with torch.no_grad():
                for layer, mask in zip(layers, masks, strict=True):
                    layer.weight.mul_(mask)

    return epoch


def _mask(layer, n):
    mask = torch.zeros(layer.weight.numel())
    mask[torch.randperm(mask.numel())[:n]] = 1
    mask = mask.reshape(layer.weight.shape)
    with torch.no_grad():
        layer.weight.mul_(mask)
    return mask
