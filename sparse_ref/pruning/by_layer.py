"""A pruner for each layer: hybrids, rates of their own, layers left alone.

References
----------
Paganini & Forde (2020), Masks2020, section 3.1: "hybrid" prunes convolutions by structured L1 and
the rest by unstructured L1, "fc-only" leaves convolutions alone; schemas/, commit 8dd25c1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparse_ref.pruning.weights import Drops, Pruner, Weight, check_as_many, checked, streams_of


@dataclass(frozen=True)
class ByLayer:
    """Each weight by a pruner of its own.

    Parameters
    ----------
    pruners : sequence of Pruner or None
        One a weight; None leaves it alone.

    Examples
    --------
    >>> from sparse_ref.pruning import Magnitude, Structured
    >>> hybrid = ByLayer([Structured(0.2, block=9), Magnitude(0.2)])
    >>> [drop.size for drop in hybrid([np.ones((2, 45)), np.ones((4, 5))])]
    [18, 4]
    """

    pruners: Sequence[Pruner | None]

    def __post_init__(self) -> None:
        object.__setattr__(self, "pruners", tuple(self.pruners))

    def __call__(self, weights: Sequence[Weight], rng: np.random.Generator | None = None) -> Drops:
        """Slots that go, an array for each weight; a stream a weight is spawned from `rng`."""
        weights = checked("ByLayer", weights)
        check_as_many("ByLayer", "pruners", self.pruners, weights)
        streams = streams_of("ByLayer", rng, len(weights))
        return tuple(
            np.empty(0, np.int64) if pruner is None else pruner([weight], stream)[0]
            for pruner, weight, stream in zip(self.pruners, weights, streams, strict=True)
        )
