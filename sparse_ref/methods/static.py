"""Static: a sparse network whose connections never change, the control of every comparison.

Called "fixed probability" in Mocanu2018 and "Static" in Evci2020. No memory beyond the network.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sparse_ref.methods.base import Method


@dataclass(frozen=True)
class Static(Method):
    """Train the connections the network was built with.

    Parameters
    ----------
    still : sequence of (n,) int64, optional
        Slots of each sparse layer, ascending, that are used and never trained: weights frozen at
        their initial values, as Zhou et al. (2019) do with what their masks leave out.
    """

    still: Sequence[np.ndarray] | None = field(default=None, compare=False)

    def held(self, state: Any) -> Sequence[np.ndarray] | None:
        """What was given."""
        return self.still
