"""What can be said of a network's paths, for the tables of figures 5 and 6."""

from typing import NamedTuple

import numpy as np

from sparse_ref import topology
from sparse_ref.topology.patterns import Layers


class Paths(NamedTuple):
    """From the inputs to the units of the last layer.

    Attributes
    ----------
    pairs, joined : int
        Pairs of an input and an output; those with a path.
    least, most : int
        Paths of a pair.
    mean : float
    """

    pairs: int
    joined: int
    least: int
    most: int
    mean: float

    @property
    def joined_in_words(self) -> str:
        """Of how many."""
        return f"{self.joined:,} of {self.pairs:,}"

    @property
    def number_in_words(self) -> str:
        """Of paths of a pair, or from where to where it goes."""
        if self.least == self.most:
            return f"{self.least}"
        return f"{self.least} to {self.most}, mean {self.mean:.2f}"


def counted(layers: Layers) -> Paths:
    """Count them: only for networks of which the matrix of all pairs may be made."""
    counts = topology.path_counts(layers)
    pairs, numbers = counts.shape[0] * counts.shape[1], counts.data.astype(np.int64)
    least = int(numbers.min()) if counts.nnz == pairs else 0
    most = int(numbers.max(initial=0))
    return Paths(pairs, counts.nnz, least, most, float(numbers.sum() / pairs))


def degrees_in_words(degrees: np.ndarray) -> str:
    """One number if all are the same, else the least and the most."""
    least, most = int(degrees.min()), int(degrees.max())
    return f"{least}" if least == most else f"{least} to {most}"
