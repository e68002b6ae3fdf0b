"""Times contenders against each other: interleaved, warm, with the same number of threads.

Whatever slows the machine down for a while, another process or its own heat, then meets all of them
alike, and a ratio of the same round tells more than two times taken minutes apart.
"""

import contextlib
import gc
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numba
import numpy as np
from threadpoolctl import threadpool_limits

Call = Callable[[], object]

SETTLE_SECONDS = 0.005  # how long another library's idle threads may spin before they sleep
# OpenBLAS's spin for some 2^26 cycles: NumPy and scikit-learn. Until they sleep, two threads of the
# next contender share one core, and the scheduler may leave them there.
BLAS_REST = 0.1  # seconds


class Ratio(NamedTuple):
    """How many times as long theirs takes as ours."""

    value: float  # of the medians
    low: float  # the least of one round
    high: float  # the largest of one round


def interleaved(
    contenders: Mapping[str, Call],
    rounds: int,
    seconds: float,
    *,
    warm_up: Mapping[str, Call] | None = None,
    prepare: Mapping[str, Call] | None = None,
    rest: float = 0.0,
) -> dict[str, list[float]]:
    """Seconds per call of every contender, one figure a round.

    Parameters
    ----------
    contenders : name -> function without arguments
    rounds : int
        In each round every contender has its turn; who begins changes from round to round.
    seconds : float
        A turn's calls last at least this long together; a turn has at least one.
    warm_up : name -> function, optional
        Called untimed in place of the contender itself, where its call is too long to waste one.
    prepare : name -> function, optional
        Called untimed before each of the contender's calls: sets back what the call changes.
    rest : float
        Seconds of sleep before each turn, so that everybody's threads have gone to sleep.

    Notes
    -----
    Before the first round every contender is called twice: the first call compiles and allocates,
    the second tells how many make a turn. Before each turn it is called untimed, again and again
    for a few milliseconds: its data goes into the caches, and the threads of whoever came before
    stop spinning on the core it needs. The garbage collector rests meanwhile.
    """
    names = list(contenders)
    warm = {name: (warm_up or {}).get(name, contenders[name]) for name in names}
    ready = {name: (prepare or {}).get(name) for name in names}
    with _no_garbage_collection():
        repeats = {name: _repeats(warm[name], ready[name], seconds) for name in names}
        taken: dict[str, list[float]] = {name: [] for name in names}
        for number in range(rounds):
            first = number % len(names)
            for name in names[first:] + names[:first]:
                time.sleep(rest)
                _settle(warm[name], ready[name])
                taken[name].append(_turn(contenders[name], ready[name], repeats[name]))
    return taken


def ratio(theirs: Sequence[float], ours: Sequence[float]) -> Ratio:
    """Theirs over ours, of the medians, and the least and largest of the same round.

    Examples
    --------
    >>> ratio([4.0, 6.0, 9.0], [2.0, 2.0, 4.5])
    Ratio(value=3.0, low=2.0, high=3.0)
    """
    rounds = [their / our for their, our in zip(theirs, ours, strict=True)]
    return Ratio(statistics.median(theirs) / statistics.median(ours), min(rounds), max(rounds))


def geometric_mean(pairs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> Ratio:
    """The geometric mean of many ratios; its spread is that of the mean from round to round.

    Parameters
    ----------
    pairs : sequence of (theirs, ours)
        Seconds of every round, as many of each.

    Examples
    --------
    >>> mean = geometric_mean([([2.0, 2.0], [1.0, 1.0]), ([8.0, 9.0], [1.0, 0.5])])
    >>> [round(x, 6) for x in mean]
    [4.760952, 4.0, 6.0]
    """
    middle = np.mean([np.log(ratio(theirs, ours).value) for theirs, ours in pairs])
    rounds = np.mean([np.log(np.divide(theirs, ours)) for theirs, ours in pairs], axis=0)
    return Ratio(*(float(np.exp(x)) for x in (middle, rounds.min(), rounds.max())))


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Hold every library that is loaded to `count` threads, ours and theirs.

    Numba and PyTorch have a number of their own (PyTorch's holds its MKL too); BLAS and every
    OpenMP library, sparseprop's among them, is reached through `threadpoolctl`.
    """
    torch = sys.modules.get("torch")
    ours, theirs = numba.get_num_threads(), torch.get_num_threads() if torch else 0
    numba.set_num_threads(count)
    try:
        if torch:
            torch.set_num_threads(count)
        with threadpool_limits(count):
            yield
    finally:
        numba.set_num_threads(ours)
        if torch:
            torch.set_num_threads(theirs)


def _repeats(call, prepare, seconds):
    _turn(call, prepare, 1)
    once = _turn(call, prepare, 1)
    return max(1, int(np.ceil(seconds / max(once, 1e-9))))


def _settle(call, prepare):
    began = time.perf_counter()
    while True:
        _turn(call, prepare, 1)
        if time.perf_counter() - began >= SETTLE_SECONDS:
            return


def _turn(call, prepare, repeats):
    """Mean seconds of a call."""
    if prepare is None:
        began = time.perf_counter()
        for _ in range(repeats):
            call()
        return (time.perf_counter() - began) / repeats
    total = 0.0
    for _ in range(repeats):
        prepare()
        began = time.perf_counter()
        call()
        total += time.perf_counter() - began
    return total / repeats


@contextlib.contextmanager
def _no_garbage_collection():
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
