"""Part "convolutions": a 3x3 convolution in every library, forward and backward.

A call runs both stages one after the other, as a training step does, and the clock is read between
them: dense calls take half a second, and one for each figure would take thrice as long.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from sparse_ref.bench import clock, conv_contenders
from sparse_ref.bench.contenders import BACKWARD, BOTH, FORWARD
from sparse_ref.bench.conv_contenders import ConvProblem, Stages, reference, require_right
from sparse_ref.bench.peers import OURS, SPARSEPROP, TORCH_DENSE, Peers
from sparse_ref.bench.settings import Settings

Record = dict[str, Any]
Way = tuple[str, str]  # a library, and which of its ways to compute the same
Split = tuple[float, float]  # seconds of the two stages

SEED = 2024
LONG = 0.1  # seconds; a call that takes longer is not made whole only to warm up
FEW = 32  # examples of the batch that stand for it then, and in trials
CLOSE = 1.5  # ways of a library whose trials differ by less are all measured


def measure(settings: Settings, peers: Peers, say: Callable[[str], None]) -> Iterator[Record]:
    """Time every convolution.

    Yields
    ------
    dict
        ``{"part": "convolutions", "what", "who", "way", "channels", "size", "density",
        "connections", "batch", "threads", "seconds": [one per round]}``; `what` is forward,
        backward or both, their sum. Of a library that knows several ways the one that is fastest,
        both stages together, is kept, and `way` names it.

    Raises
    ------
    ValueError
        A library's result is wrong: its time would be worth nothing.
    """
    for channels, size in settings.convolutions:
        layouts: dict[int, str] = {}
        for density in settings.convolution_densities:
            say(f"convolutions: {channels}x{size}x{size}, density {density:g}")
            rng, batch = np.random.default_rng(SEED), settings.convolution_batch
            given = conv_contenders.problem(channels, size, density, batch, rng)
            about = {"part": "convolutions", "channels": channels, "size": size, "batch": batch}
            about |= {"density": density, "connections": given.weight.nnz}
            for record in _measured(given, settings, peers, layouts):
                yield about | record


def _measured(
    given: ConvProblem, settings: Settings, peers: Peers, layouts: dict[int, str]
) -> Iterator[Record]:
    """Records of one layer; `layouts` keeps by threads which of PyTorch's layouts is faster.

    That does not depend on the density: it is found at the first.
    """
    makers, few = _ways(peers), given.first(FEW)
    trials = {way: make(few) for way, make in makers.items()}
    _require_right(trials, few)
    for count in settings.threads:
        with clock.threads(count):
            ways = [way for way in _promising(trials) if _wanted(way, layouts.get(count))]
            whole = {way: makers[way](given) for way in ways}
            _require_right(whole, given)
            fastest = _fastest(_timed(whole, trials, settings))
        if TORCH_DENSE in fastest:
            layouts[count] = fastest[TORCH_DENSE][0]
        for who, (way, splits) in fastest.items():
            about = {"who": who, "way": way, "threads": count}
            forward, backward = (list(stage) for stage in zip(*splits, strict=True))
            both = [sum(split) for split in splits]
            for what, taken in ((FORWARD, forward), (BACKWARD, backward), (BOTH, both)):
                yield about | {"what": what, "seconds": taken}


def _ways(peers: Peers) -> dict[Way, Callable[[ConvProblem], Stages]]:
    ways: dict[Way, Callable[[ConvProblem], Stages]] = {(OURS, "tiles"): conv_contenders.ours}
    if peers.torch:
        dense = partial(conv_contenders.torch_dense, peers=peers)
        ways[TORCH_DENSE, "channels first"] = partial(dense, channels_last=False)
        ways[TORCH_DENSE, "channels last"] = partial(dense, channels_last=True)
    if peers.sparseprop:
        sparse = partial(conv_contenders.sparseprop, peers=peers)
        ways[SPARSEPROP, "over examples"] = partial(sparse, over_rows=False)
        ways[SPARSEPROP, "over rows"] = partial(sparse, over_rows=True)
    return ways


def _require_right(ways: Mapping[Way, Stages], given: ConvProblem) -> None:
    right = reference(given)
    for way, stages in ways.items():
        require_right(", ".join(way), stages, right)


def _promising(trials: Mapping[Way, Stages]) -> list[Way]:
    """The ways that a call on few examples does not rule out."""
    taken = {way: _called(stages) for way, stages in trials.items()}
    best = {who: min(t for (w, _), t in taken.items() if w == who) for who, _ in taken}
    return [way for way, seconds in taken.items() if seconds <= CLOSE * best[way[0]]]


def _wanted(way: Way, layout: str | None) -> bool:
    return way[0] != TORCH_DENSE or layout in (None, way[1])


def _timed(
    whole: Mapping[Way, Stages], trials: Mapping[Way, Stages], settings: Settings
) -> dict[Way, list[Split]]:
    """Seconds of both stages, one pair a round."""
    noted: dict[Way, list[Split]] = {way: [] for way in whole}
    names = {" ".join(way): way for way in whole}
    calls = {name: _noting(whole[way], noted[way]) for name, way in names.items()}
    warm_up = {
        name: _noting((whole if way[0] == OURS or _called(whole[way]) <= LONG else trials)[way], [])
        for name, way in names.items()
    }
    rounds = settings.rounds_of_convolutions
    clock.interleaved(calls, rounds, settings.seconds, warm_up=warm_up)
    return {way: _by_round(splits, rounds) for way, splits in noted.items()}


def _noting(stages: Stages, noted: list[Split]) -> Callable[[], None]:
    def call():
        began = time.perf_counter()
        first = stages.forward()
        middle = time.perf_counter()
        kept = stages.backward(first)
        end = time.perf_counter()
        noted.append((middle - began, end - middle))
        del kept  # what is let go of is not part of a stage

    return call


def _called(stages: Stages) -> float:
    """Seconds of the second of two calls."""
    noted: list[Split] = []
    for _ in range(2):
        _noting(stages, noted)()
    return sum(noted[-1])


def _by_round(splits: list[Split], rounds: int) -> list[Split]:
    """The means of every round's calls; there are as many in each."""
    means = np.reshape(splits, (rounds, -1, 2)).mean(axis=1)
    return [(float(forward), float(backward)) for forward, backward in means]


def _fastest(taken: Mapping[Way, list[Split]]) -> dict[str, tuple[str, list[Split]]]:
    """Of every library the way with the least median of both stages."""
    found: dict[str, tuple[str, list[Split]]] = {}
    for who, way in sorted(taken, key=lambda way: median(map(sum, taken[way]))):
        found.setdefault(who, (way, taken[who, way]))
    return {who: found[who] for who in dict.fromkeys(who for who, _ in taken)}
