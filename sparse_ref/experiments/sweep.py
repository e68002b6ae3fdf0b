"""Many trainings, in worker processes, each on one thread.

A network's bits do not depend on the number of threads, and small networks train faster side by
side than one after the other on all cores. A worker counts as one core: Numba and BLAS keep to one
thread in it, so dense networks have the same bits for any number of workers, too.
"""

import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numba
import numpy as np
from threadpoolctl import threadpool_limits

from sparse_ref.experiments.chain import Chain, Link, run_chain
from sparse_ref.experiments.config import RunConfig
from sparse_ref.experiments.runner import Data, label, run
from sparse_ref.experiments.snapshot import Snapshot, taken
from sparse_ref.experiments.watch import Curve
from sparse_ref.history import Epoch
from sparse_ref.train import NOT_EVALUATED, Evaluation

NOTHING: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Job:
    """One training of a sweep.

    Attributes
    ----------
    name : str
        What tables and files call it; jobs that differ in their seed only share it.
    config : RunConfig
    data : str
        Which of the sweep's data sets it trains on.
    curve : bool
        Evaluate after every epoch, before the rewiring that may end it: see `Outcome.curve`.
    start : Snapshot, optional
        What to begin from in place of what the configuration would draw.
    keep : tuple of int
        Epochs after which to return the network as the epoch leaves it; levels, of a chain.
    chain : Chain, optional
        Prune and train again, and again: see `Outcome.levels`. Has no curve.
    """

    name: str
    config: RunConfig
    data: str = "data"
    curve: bool = False
    start: Snapshot | None = field(default=None, compare=False, repr=False)
    keep: tuple[int, ...] = ()
    chain: Chain | None = None

    @property
    def epochs(self) -> int:
        """Of all levels together."""
        return self.config.epochs * (1 + (self.chain.levels if self.chain else 0))


@dataclass(frozen=True)
class Outcome:
    """What a job came to; plain enough to travel between processes.

    Attributes
    ----------
    job : Job
    failure : str
        Why it did not end, in words; empty if it did. What was measured until then is kept.
    test : Evaluation
        Of the final network; nan if it failed.
    epochs : tuple of Epoch
        With the connections of every layer; of a chain those of all levels, counted through.
    curve : dict of (epochs,) arrays
        Accuracy on ``test`` and, where there is one, ``validation``; empty unless asked for.
    connections : per layer, before and after
    positions : per layer: what a dense layer would have
    nbytes : int
        Weights, patterns, biases, states of optimizer and method.
    snapshots : dict of epoch -> Snapshot
        Of the epochs that the job names.
    levels : tuple of Link
        Of a chain; those that the job names hold a snapshot.
    """

    job: Job
    failure: str = ""
    test: Evaluation = NOT_EVALUATED
    epochs: tuple[Epoch, ...] = NOTHING
    curve: Mapping[str, np.ndarray] = field(default_factory=dict)
    connections: tuple[tuple[int, ...], tuple[int, ...]] = (NOTHING, NOTHING)
    positions: tuple[int, ...] = NOTHING
    nbytes: int = 0
    snapshots: Mapping[int, Snapshot] = field(default_factory=dict)
    levels: tuple[Link, ...] = NOTHING

    @property
    def config(self) -> RunConfig:
        """Of the job."""
        return self.job.config

    @property
    def label(self) -> str:
        """Name of the method; ``dense`` for a dense network."""
        return label(self.config)

    @property
    def seconds(self) -> float:
        """Training time, evaluation left out."""
        return sum(epoch.seconds for epoch in self.epochs)

    @property
    def densities(self) -> np.ndarray:
        """(epochs + 1, layers) density of every layer; row 0 is before training."""
        counts = [self.connections[0], *(epoch.connections for epoch in self.epochs)]
        return np.array(counts) / np.array(self.positions)


def cores() -> int:
    """How many this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def sweep(
    jobs: Sequence[Job], data: Mapping[str, Data], workers: int
) -> Iterator[tuple[int, Outcome]]:
    """Train every job; give back each as it ends, with its number among `jobs`.

    Parameters
    ----------
    jobs : sequence of Job
    data : name -> Data
        What the jobs' `data` name. Every worker gets a copy.
    workers : int
        Processes; 0 trains here, one after the other. Outcomes do not depend on it.

    Raises
    ------
    ValueError
        A job names data that are not there.
    OSError
        A worker was ended from outside.
    Exception
        Whatever a training raised, except that it diverged: that is its outcome. The others are
        ended then.
    """
    missing = sorted({job.data for job in jobs} - set(data))
    if missing:
        raise ValueError(f"sweep: data must be among {sorted(data)}, got {missing[0]!r}")
    if workers < 0:
        raise ValueError(f"sweep: workers must be at least 0, got {workers}")
    if workers == 0 or not jobs:
        return _here(jobs, data)
    return _elsewhere(jobs, data, min(workers, len(jobs)))


def train(job: Job, data: Data) -> Outcome:
    """Train one job in this process."""
    if job.chain:
        return _chained(job, data)
    seen = _Seen(job, data)
    try:
        result = run(job.config, seen.data, seen.callbacks, seen.look, job.start)
    except FloatingPointError as error:
        return replace(seen.outcome(), failure=f"diverged: {error}")
    return replace(
        seen.outcome(),
        test=result.test,
        connections=result.connections,
        positions=result.positions,
        nbytes=result.nbytes,
    )


def _chained(job, data):
    """Train the levels of a chain; where one diverges, the chain ends with those before."""
    if job.curve:
        raise ValueError("sweep: a chain has no curve, got curve=True")
    levels: list[Link] = []
    failure = ""
    try:
        levels.extend(run_chain(job.config, data, job.chain, job.keep, job.start))
    except FloatingPointError as error:
        failure = f"diverged: {error}"
    outcome = Outcome(job, failure, levels=tuple(levels))
    if not levels:
        return outcome
    every = (epoch for level in levels for epoch in level.epochs)
    return replace(
        outcome,
        test=NOT_EVALUATED if failure else levels[-1].test,
        epochs=tuple(epoch._replace(epoch=k) for k, epoch in enumerate(every, start=1)),
        connections=(levels[0].connections, levels[-1].connections),
        positions=levels[0].positions,
        nbytes=levels[-1].nbytes,
    )


class _Seen:
    """What is kept of a training as it goes on; all else of its history is let go."""

    def __init__(self, job, data):
        self.job, self.data, self.epochs, self.snapshots = job, data, [], {}
        self.curve, self.callbacks, self.look = None, [self.after_epoch], None
        if job.curve:
            parts = {"validation": data.validation, "test": data.test}
            parts = {name: part for name, part in parts.items() if part is not None}
            self.curve = Curve(parts, -(-len(data.train[1]) // job.config.batch_size))
            self.callbacks.append(self.curve.after_epoch)
            self.look = self.curve.before_event
            self.data = data._replace(validation=None)  # the curve evaluates in its place

    def after_epoch(self, net, epoch, history):
        self.epochs.append(epoch)
        # A sweep has no use for every step and every rewired connection: gigabytes in long ones.
        history.steps.clear()
        history.events.clear()
        if epoch.epoch in self.job.keep:
            self.snapshots[epoch.epoch] = taken(net)

    def outcome(self):
        curve = self.curve.accuracies() if self.curve else {}
        epochs = tuple(self.epochs)
        return Outcome(self.job, epochs=epochs, curve=curve, snapshots=self.snapshots)


def _here(jobs, data):
    for number, job in enumerate(jobs):
        with _one_thread():
            outcome = train(job, data[job.data])
        yield number, outcome


def _elsewhere(jobs, data, workers):
    others = set(multiprocessing.active_children())
    spawn = multiprocessing.get_context("spawn")  # forked threads of OpenMP do not survive
    pool = ProcessPoolExecutor(workers, spawn, _begin, (dict(data),))
    try:
        numbers = {pool.submit(_work, job): number for number, job in enumerate(jobs)}
        for future in as_completed(numbers):
            yield numbers[future], future.result()
    except BrokenProcessPool as error:
        raise OSError("sweep: a worker process was ended, perhaps for lack of memory") from error
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()  # or they would finish what nobody will read
        raise
    pool.shutdown()


@contextmanager
def _one_thread():
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        numba.set_num_threads(before)


_data: dict[str, Data] = {}  # of a worker process


def _begin(data):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted, and ends its workers
    numba.set_num_threads(1)
    threadpool_limits(1, user_api="blas")
    _data.update(data)


def _work(job):
    return train(job, _data[job.data])
