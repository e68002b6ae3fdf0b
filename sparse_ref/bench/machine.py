"""What the machine can do at most: multiply-adds in registers, and rows gathered from each memory.

A product with a sparse weight does two things per connection and tile: it fetches a tile row, 256
bytes somewhere in the input tile, and multiplies and adds it into registers. The two probes here do
only one of them each, with the same instructions as the kernels (`sparse_ref.lanes`). No kernel of
that pattern can be faster than the slower of the two: that is its roofline.

A limit is a maximum, so the best of several calls counts, and of several ways to write each probe:
machines differ in how many registers they have, how many multiply-adds they keep under way, and
from where on it pays to ask for a row ahead of its use.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numba import njit, prange

from sparse_ref import tiles
from sparse_ref.bench import clock
from sparse_ref.lanes import at, fma, load, prefetch, splat, store

Record = dict[str, Any]

ROW = 64  # float32 numbers of a tile row, as in the kernels at batch 64 and more
ROW_BYTES = 4 * ROW
AHEAD = 16  # connections
RUN = 50  # rows gathered in ascending order before it starts again, as a weight row does
CHAINS = 10  # sums under way in the peak probe: two units with a latency of five cycles
KIB, MIB = 1 << 10, 1 << 20
SIZES = (
    *(n * KIB for n in (16, 32, 64, 128, 256, 512)),
    *(n * MIB for n in (1, 2, 4, 16, 64, 256)),
)
LEAST_GATHERS = 1 << 14  # rows of one call at least: its indices and weights fit beside in L2
CALL_SECONDS = 0.5e-3  # a call lasts at least this long, so that starting threads does not count
PASSES = 3
PROBE_SECONDS = 0.01  # each probe is called again and again for this long, in every pass


def measure(
    threads: Sequence[int], say: Callable[[str], None], sizes: Sequence[int] | None = None
) -> Iterator[Record]:
    """Measure both limits.

    Parameters
    ----------
    threads : sequence of int
        Numbers of threads, each measured by itself. Every thread works on memory of its own; what
        is reported is the sum over the threads.
    say : callable
        Takes a line of progress.
    sizes : sequence of int, bytes, optional
        Working sets of one thread, for the gathers; `SIZES` if omitted.

    Yields
    ------
    dict
        ``{"part": "machine", "what": "peak", "threads", "flops"}``, operations per second (a
        multiply-add is two), and ``{"part": "machine", "what": "gather", "threads", "bytes",
        "bytes_per_second"}``, one per working set.
    """
    for count in threads:
        say(f"machine limits, {count} thread{'s' if count > 1 else ''}")
        with clock.threads(count):
            yield from _limits(count, sizes or SIZES)


def _limits(count, sizes):
    """The best of several passes: what disturbs one may be over in the next."""
    fastest, rates = 0.0, dict.fromkeys(sizes, 0.0)
    for _ in range(PASSES):
        fastest = max(fastest, peak(count))
        for size in sizes:
            rates[size] = max(rates[size], gather(count, size))
    yield {"part": "machine", "what": "peak", "threads": count, "flops": fastest}
    for size, rate in rates.items():
        what = {"part": "machine", "what": "gather", "threads": count, "bytes": size}
        yield what | {"bytes_per_second": rate}


def roofline_seconds(
    records: Sequence[Mapping[str, Any]],
    threads: int,
    flops: float,
    gathered_bytes: float,
    working_set: float,
) -> float:
    """The least time the machine needs for some work: the slower of computing and gathering.

    Parameters
    ----------
    records : sequence of dict
        From `measure`; others among them are passed over.
    threads : int
        One of those measured.
    flops : float
        Floating-point operations; a multiply-add is two.
    gathered_bytes : float
        Bytes of all rows gathered.
    working_set : float
        Bytes the rows are gathered from: decides which memory serves them. Between two measured
        sizes the bandwidth is interpolated, logarithm over logarithm; beyond them the nearest
        counts.

    Returns
    -------
    float
        Seconds.

    Examples
    --------
    >>> limits = [
    ...     {"part": "machine", "what": "peak", "threads": 1, "flops": 1e11},
    ...     {"part": "machine", "what": "gather", "threads": 1, "bytes": 1 << 14,
    ...      "bytes_per_second": 1e11},
    ...     {"part": "machine", "what": "gather", "threads": 1, "bytes": 1 << 18,
    ...      "bytes_per_second": 1e9},
    ... ]
    >>> float(roofline_seconds(limits, 1, 3e11, 1e11, 1 << 14))  # registers
    3.0
    >>> round(roofline_seconds(limits, 1, 3e11, 1e11, 1 << 16), 6)  # half way: 1e10 bytes a second
    10.0
    """
    (fastest,) = [r["flops"] for r in _of(records, "peak", threads)] or [None]
    gathers = sorted((r["bytes"], r["bytes_per_second"]) for r in _of(records, "gather", threads))
    if fastest is None or not gathers:
        raise ValueError(f"roofline_seconds: records must hold limits of {threads} threads")
    size, rate = np.log(np.array(gathers)).T
    bandwidth = float(np.exp(np.interp(np.log(working_set), size, rate)))
    return max(flops / fastest, gathered_bytes / bandwidth)


def peak(threads: int) -> float:
    """Floating-point operations a second of all threads together, nothing leaving registers."""
    # The sums start from different numbers, or the compiler would make one of them.
    numbers = np.linspace(0.1, 0.9, 16 * (CHAINS + 1), dtype=np.float32)
    out = np.empty((threads, CHAINS * 16), np.float32)
    rates = []
    for width, kernel in _PEAK.items():

        def call(turns, kernel=kernel):
            kernel(numbers, 100 * turns, out)

        rates.append(_best_rate(call, threads * 100 * CHAINS * 2 * width))
    return max(rates)


def gather(threads: int, size: int, least: int = LEAST_GATHERS) -> float:
    """Bytes of tile rows a second, of all threads together.

    Parameters
    ----------
    threads : int
    size : int, bytes
        Working set of each thread, a multiple of `ROW_BYTES`.
    least : int
        Rows gathered in a call, at least; as many as the working set has if that is more.
    """
    rows = size // ROW_BYTES
    columns = _columns(rows, max(least, rows))
    weights = np.full(columns.size, 1e-3, np.float32)
    x = tiles.empty((threads, rows, ROW), np.float32)
    x.fill(0.5)  # written, or all of it would be one and the same page of zeros
    out = np.empty((threads, 2 * ROW), np.float32)
    bytes_of_a_turn = threads * columns.size * ROW_BYTES
    return max(
        _best_rate(
            lambda turns, kernel=kernel: kernel(columns, weights, x, turns, out), bytes_of_a_turn
        )
        for kernel in GATHERS
    )


def _of(records, what, threads):
    wanted = ("machine", what, threads)
    return [r for r in records if (r.get("part"), r.get("what"), r.get("threads")) == wanted]


def _columns(rows, n):
    """About `n` random row numbers, ascending in runs of `RUN`; an even number of them."""
    rng = np.random.default_rng(2024)  # any pattern does, but always the same one
    drawn = rng.integers(0, rows, size=(-(-n // RUN), RUN), dtype=np.int32)
    return np.sort(drawn, axis=1).reshape(-1)


def _best_rate(call, work):
    """Most work a second; ``call(turns)`` does `work` that often."""
    call(1)  # compiles
    turns = 1
    while _seconds(call, turns) < CALL_SECONDS:
        turns *= 2
    began, best = time.perf_counter(), np.inf
    while time.perf_counter() - began < PROBE_SECONDS:
        best = min(best, _seconds(call, turns))
    return work * turns / best


def _seconds(call, turns):
    began = time.perf_counter()
    call(turns)
    return time.perf_counter() - began


# ---------------------------------------------------------------- the probes


def _make_peak(width):
    @njit(parallel=True, cache=True)
    def peak_probe(numbers, turns, out):
        for t in prange(out.shape[0]):
            a, x = numbers[0], load(numbers, 0, width)
            c0, c1 = load(numbers, width, width), load(numbers, 2 * width, width)
            c2, c3 = load(numbers, 3 * width, width), load(numbers, 4 * width, width)
            c4, c5 = load(numbers, 5 * width, width), load(numbers, 6 * width, width)
            c6, c7 = load(numbers, 7 * width, width), load(numbers, 8 * width, width)
            c8, c9 = load(numbers, 9 * width, width), load(numbers, 10 * width, width)
            for _ in range(turns):
                c0, c1, c2 = fma(a, x, c0), fma(a, x, c1), fma(a, x, c2)
                c3, c4, c5 = fma(a, x, c3), fma(a, x, c4), fma(a, x, c5)
                c6, c7, c8, c9 = fma(a, x, c6), fma(a, x, c7), fma(a, x, c8), fma(a, x, c9)
            first = t * out.shape[1]
            store(out, first, c0)
            store(out, first + width, c1)
            store(out, first + 2 * width, c2)
            store(out, first + 3 * width, c3)
            store(out, first + 4 * width, c4)
            store(out, first + 5 * width, c5)
            store(out, first + 6 * width, c6)
            store(out, first + 7 * width, c7)
            store(out, first + 8 * width, c8)
            store(out, first + 9 * width, c9)

    return peak_probe


@njit(parallel=True, cache=True)
def _gather_one(columns, weights, x, turns, out):
    """One row at a time into one sum: what a machine with few registers can hold."""
    for t in prange(x.shape[0]):
        base, acc = t * x.shape[1], splat(np.float32(0), ROW)
        for _ in range(turns):
            for k in range(columns.size):
                acc = fma(at(weights, k), load(x, (base + at(columns, k)) * ROW, ROW), acc)
        store(out, t * out.shape[1], acc)


@njit(parallel=True, cache=True)
def _gather_two(columns, weights, x, turns, out):
    """Two rows at a time into two sums: no multiply-add waits for the one before."""
    for t in prange(x.shape[0]):
        base, one, two = t * x.shape[1], splat(np.float32(0), ROW), splat(np.float32(0), ROW)
        for _ in range(turns):
            for k in range(0, columns.size, 2):
                one = fma(at(weights, k), load(x, (base + at(columns, k)) * ROW, ROW), one)
                two = fma(at(weights, k + 1), load(x, (base + at(columns, k + 1)) * ROW, ROW), two)
        store(out, t * out.shape[1], one)
        store(out, t * out.shape[1] + ROW, two)


@njit(parallel=True, cache=True)
def _gather_ahead(columns, weights, x, turns, out):
    """One row at a time, and the row of `AHEAD` connections later is asked for."""
    for t in prange(x.shape[0]):
        base, last = t * x.shape[1], columns.size - 1
        acc = splat(np.float32(0), ROW)
        for _ in range(turns):
            for k in range(columns.size):
                prefetch(x, (base + at(columns, min(k + AHEAD, last))) * ROW, ROW)
                acc = fma(at(weights, k), load(x, (base + at(columns, k)) * ROW, ROW), acc)
        store(out, t * out.shape[1], acc)


GATHERS = (_gather_one, _gather_two, _gather_ahead)
# Wide enough for a register of AVX-512, and of AVX2 (whose sixteen would not hold the ten sums).
_PEAK = {width: _make_peak(width) for width in (16, 8)}
