"""Gradients that cannot be large are not computed.

``|delta_i . x_j| <= |delta_i| |x_j|`` (Cauchy and Schwarz). With rows and columns in descending
order of their norms, the gradients that may exceed a threshold stand in the upper left corner of
the layer, under a staircase; only that is read. The result is the same to the bit.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from sparse_ref import tiles
from sparse_ref.dense_gradient import gradient_rows, scan

WORTH = 0.8  # of the layer: where more than this may exceed the threshold, sorting does not pay
MOST = 1e100  # lengths beyond it: others may be so small that their squares are lost to underflow
LEAST = 1e-30  # thresholds below it are so small that products of float32 lose bits to underflow
NONE = np.empty(0, np.int64)


class Corner(NamedTuple):
    """A layer's gradient as two factors, the largest rows and columns first."""

    delta: np.ndarray  # (tiles, n_out, width)
    inputs: np.ndarray  # (tiles, n_in, width)
    rows: np.ndarray  # (n_out,) int64 where each row stands in the layer
    columns: np.ndarray  # (n_in,) int64
    of_rows: np.ndarray  # (n_out,) bounds, descending: no gradient exceeds their product
    of_columns: np.ndarray  # (n_in,)

    def reach(self, row: int, threshold: float) -> int:
        """How many columns of `row` may exceed the threshold; of later rows not more."""
        return int(_reaches(self.of_rows[row : row + 1], self.of_columns, threshold)[0])

    def step(self, width: int, threshold: float) -> int:
        """The first row of which less than half of `width` columns may exceed the threshold."""
        least = threshold / self.of_columns[width // 2]
        return int(np.searchsorted(-self.of_rows, -least, side="right"))

    def blocks(
        self, threshold_now: Callable[[], float], block_elements: int, least_rows: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Flat positions and ``|gradient|`` of what exceeds ``threshold_now()``, block by block.

        In no order; connections are among them.
        """
        n_out, n_in = len(self.rows), len(self.columns)
        size, first = max(block_elements, least_rows * n_in), 0
        while first < n_out and (width := self.reach(first, threshold_now())):
            fits = first + max(least_rows, size // width // 4 * 4)
            follows = max(first + least_rows, self.step(width, threshold_now()))
            last = min(n_out, fits, follows)
            buffer = tiles.empty(size, self.inputs.dtype)  # always as large: it is used again
            block, rest = np.split(buffer, [(last - first) * width])
            gradient_rows(first, self.delta, self.inputs, block.reshape(-1, width))
            rest.fill(0)
            found, scores = scan(buffer, 0, NONE, threshold_now())
            row, column = np.divmod(found, width)
            yield self.rows[first + row] * n_in + self.columns[column], scores
            first = last


def corner(delta: np.ndarray, inputs: np.ndarray, threshold: float) -> Corner | None:
    """The factors sorted; None where that would not pay, or no bound can be trusted.

    Parameters
    ----------
    delta, inputs : (tiles, n_out, width), (tiles, n_in, width)
        C-contiguous.
    threshold : float
        What is looked for exceeds it in magnitude.
    """
    of_rows, of_columns = _norms(delta), _norms(inputs)
    kind = np.finfo(inputs.dtype)
    longest = max(of_rows.max(), of_columns.max())
    if not of_rows.max() * of_columns.max() < kind.max / 2 or longest > MOST or threshold < LEAST:
        return None
    # A computed sum of n products is within n eps of what the norms allow; four times that is safe.
    of_rows = of_rows * (1 + 4 * kind.eps * inputs.shape[0] * inputs.shape[2])
    rows, columns = np.argsort(-of_rows), np.argsort(-of_columns)
    of_rows, of_columns = of_rows[rows], of_columns[columns]
    share = _reaches(of_rows, of_columns, threshold).sum() / (len(rows) * len(columns))
    if share > WORTH:
        return None
    return Corner(_taken(delta, rows), _taken(inputs, columns), rows, columns, of_rows, of_columns)


def _taken(factor, order):
    return np.take(factor, order, axis=1, out=tiles.empty_like(factor), mode="clip")


def _norms(factor):
    """The length of every row over all examples."""
    return np.sqrt(np.einsum("tfw,tfw->f", factor, factor, dtype=np.float64))


def _reaches(of_rows, of_columns, threshold):
    """For each row, how many of the columns may exceed the threshold with it."""
    with np.errstate(divide="ignore"):
        return np.searchsorted(-of_columns, -(threshold / of_rows))
