"""What is measured of a network's final pattern."""

import math
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from sparse_ref.experiments.parger_2022.grid import Cell, Results
from sparse_ref.experiments.sweep import Outcome
from sparse_ref.topology import Emptiness, emptiness, in_degrees, out_degrees

SHOWN = 1  # the layer that figure 3 shows: the second, whole


class Unevenness(NamedTuple):
    """Standard deviation over mean of how many connections the rows, and the columns, hold."""

    rows: float
    columns: float


def patterns(outcome: Outcome) -> tuple[csr_array, ...]:
    """The final pattern of each layer."""
    return outcome.snapshots[outcome.config.epochs].weights


def empty(outcome: Outcome, cell: Cell) -> Emptiness:
    """A training's line of table 4; inputs of a convolution are channels."""
    return emptiness(patterns(outcome), cell.windows)


def unevenness(weight: csr_array) -> Unevenness:
    """Of one mask; 0 where all rows, or columns, hold the same number.

    Examples
    --------
    >>> from sparse_ref import csr
    >>> weight = csr.from_positions((2, 4), np.array([0, 1, 2, 3, 4, 5]), np.zeros(6))
    >>> unevenness(weight)
    Unevenness(rows=0.3333333333333333, columns=0.3333333333333333)
    """
    degrees = in_degrees(weight), out_degrees(weight)
    return Unevenness(*(float(counts.std() / counts.mean()) for counts in degrees))


def by_chance(shape: tuple[int, int], connections: int) -> Unevenness:
    """About what a mask drawn at random has: the law of a row's count is hypergeometric."""
    positions = math.prod(shape)
    left = (positions - connections) / (positions - 1)
    return Unevenness(*(math.sqrt((n - 1) / connections * left) for n in shape))


def structure(outcome: Outcome) -> float:
    """Mean of both kinds of `unevenness` of the layer that figure 3 shows."""
    return float(np.mean(unevenness(patterns(outcome)[SHOWN])))


def densities(results: Results, cell: Cell, epoch: int = -1) -> np.ndarray:
    """(seeds, layers) after an epoch, by default the last; 0 is before training."""
    rows = [outcome.densities[epoch] for outcome in results.outcomes[cell]]
    return np.array(rows).reshape(-1, len(cell.shapes))


def connections(results: Results, cell: Cell) -> np.ndarray:
    """(seeds, layers) at the end of training."""
    rows = [outcome.connections[1] for outcome in results.outcomes[cell]]
    return np.array(rows).reshape(-1, len(cell.shapes))
