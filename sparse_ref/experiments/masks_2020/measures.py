"""What is measured of chains: accuracies, distances of masks, stability, effective sparsity."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from sparse_ref import topology
from sparse_ref.analysis import agreement, ensemble_accuracy, stability
from sparse_ref.experiments.chain import network
from sparse_ref.experiments.evidence import PERCENT, PLAIN, Sample, Unit
from sparse_ref.experiments.masks_2020.networks import KERNELS, Runs, patterns
from sparse_ref.experiments.recipe import Part
from sparse_ref.experiments.sweep import Outcome

LOST = 0.5  # accuracy below which a network counts as collapsed


def accuracies(outcomes: Sequence[Outcome], levels: int) -> np.ndarray:
    """(seeds, levels + 1) on test images; nan from where a chain diverged."""
    found = np.full((len(outcomes), levels + 1), np.nan)
    for row, outcome in zip(found, outcomes, strict=True):
        row[: len(outcome.levels)] = [link.test.accuracy for link in outcome.levels]
    return found


def pruned_fractions(outcome: Outcome) -> np.ndarray:
    """(levels,) of all weights."""
    return np.array([1 - sum(c.connections) / sum(outcome.positions) for c in outcome.levels])


def effectively_pruned(outcome: Outcome) -> np.ndarray:
    """(levels,) the same, with weights from which no output can be reached (appendix B)."""
    net = outcome.config.model.build(np.random.default_rng(outcome.config.seed))
    graph, masks = net.unit_graph, map(patterns, outcome.levels)
    return np.array([topology.effective_sparsity(m, "output", graph=graph) for m in masks])


def longest(outcomes: Sequence[Outcome]) -> Outcome:
    """The chain with the most levels; all but those that diverged have as many."""
    return max(outcomes, key=lambda outcome: len(outcome.levels))


def mean_over(
    name: str, values: np.ndarray, iterations: Iterable[int], unit: Unit = PERCENT
) -> Sample:
    """A sample of each seed's mean over iterations, of those seeds that have them all.

    Parameters
    ----------
    name : str
    values : (seeds, levels + 1)
    iterations : of int
        Those beyond the last are left out; if that leaves none, the last stands for them.
    unit : Unit
    """
    last = values.shape[1] - 1
    columns = [i for i in iterations if i <= last] or [last]
    means = values[:, columns].mean(axis=1)
    return Sample(name, tuple(float(mean) for mean in means if np.isfinite(mean)), unit)


def collapse(name: str, values: np.ndarray) -> Sample:
    """The first iteration below `LOST`, of each seed; one more than there are if there is none."""
    lost = np.hstack([values < LOST, np.ones((len(values), 1), bool)])
    return Sample(name, tuple(float(first) for first in lost.argmax(axis=1)), PLAIN)


def distances(some: Sequence[Outcome], others: Sequence[Outcome], levels: int) -> np.ndarray:
    """(seeds, levels + 1, layers) Jaccard distance of masks that began alike; nan if one ended."""
    pairs = list(zip(some, others, strict=True))
    found = np.full((len(pairs), levels + 1, len(pairs[0][0].positions)), np.nan)
    for seed, (one, other) in enumerate(pairs):
        for k, links in enumerate(zip(one.levels, other.levels, strict=False)):
            masks = map(patterns, links)
            found[seed, k] = topology.per_layer(topology.jaccard_distance, *masks)
    return found


def stabilities(outcomes: Sequence[Outcome]) -> np.ndarray:
    """(seeds, layers) mean absolute change of weights that live on (figure 8)."""
    found = []
    for outcome in outcomes:
        layers = zip(*(link.weights for link in outcome.levels), strict=True)
        found.append([stability(weights) for weights in layers])
    return np.array(found)


def empty(
    outcomes: Sequence[Outcome], layer: int, levels: int, outputs: bool = False
) -> np.ndarray:
    """(seeds, levels + 1) share of a layer's input channels, or outputs, without a connection."""
    found = np.full((len(outcomes), levels + 1), np.nan)
    for row, outcome in zip(found, outcomes, strict=True):
        masks = (patterns(link)[layer] for link in outcome.levels)
        row[: len(outcome.levels)] = [_empty(mask, layer, outputs) for mask in masks]
    return found


def _empty(mask, layer, outputs):
    block = KERNELS[layer]
    units = topology.empty_neurons(mask) if outputs else topology.empty_inputs(mask, block)
    return float(units.mean())


def expected_empty(outcome: Outcome, layer: int, outputs: bool = False) -> np.ndarray:
    """(levels,) the same if as many connections lay anywhere: each unit empty by chance."""
    shares = []
    for link in outcome.levels:
        n_out, columns = link.weights[layer].shape
        each = columns if outputs else n_out * KERNELS[layer]
        shares.append((1 - link.connections[layer] / outcome.positions[layer]) ** each)
    return np.array(shares)


def together(
    runs: Runs,
    members: Mapping[str, Sequence[str]],
    test: Part,
    levels: int,
    counted: Sequence[int],
) -> tuple[dict[str, np.ndarray], dict[int, np.ndarray]]:
    """Accuracies of ensembles after every iteration, and agreement after some.

    Parameters
    ----------
    runs : Runs
        Rewound; every method of `members`.
    members : name of an ensemble -> methods
    test : (x, y)
    levels : int
    counted : sequence of int
        Iterations of which to count on how many images every two methods agree.

    Returns
    -------
    accuracies : name -> (seeds, levels + 1)
    agreements : iteration -> (methods, methods), mean over seeds
    """
    methods = [method for method, _ in runs]
    seeds = len(next(iter(runs.values())))
    found = {name: np.full((seeds, levels + 1), np.nan) for name in members}
    counts: dict[int, list[np.ndarray]] = {iteration: [] for iteration in counted}
    for seed in range(seeds):
        chains = [outcomes[seed] for outcomes in runs.values()]
        for k in range(min(len(chain.levels) for chain in chains)):
            said = [network(chain.config, chain.levels[k]).predict(test[0]) for chain in chains]
            for name, chosen in members.items():
                outputs = [said[methods.index(method)] for method in chosen]
                found[name][seed, k] = ensemble_accuracy(outputs, test[1])
            if k in counts:
                counts[k].append(agreement(said))
    return found, {k: np.mean(matrices, axis=0) for k, matrices in counts.items() if matrices}
