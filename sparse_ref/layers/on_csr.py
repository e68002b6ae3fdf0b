"""What layers on CSR have in common: how their structure changes, and what a forward leaves out."""

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr
from sparse_ref.csr_checks import integers, require_ascending

NONE = np.empty(0, np.int64)


class OnCSR:
    """A layer whose ``weight`` is a frozen `csr_array`.

    A layer derives what its kernels need from the pattern in `_derive`.
    """

    weight: csr_array
    _left_out: np.ndarray

    def adopt(self, weight: csr_array) -> None:
        """Take a weight that `csr` made, of the same shape, in place of the present one."""
        self.weight = weight
        self._left_out = NONE
        self._derive()

    def _derive(self) -> None:
        """Renew what follows from the pattern."""
        raise NotImplementedError

    def restructure(self, rewire: csr.Rewire) -> np.ndarray:
        """Change the structure; return `source` for everything kept per connection."""
        weight, source = csr.apply(self.weight, rewire)
        self.adopt(weight)
        return source

    @property
    def left_out(self) -> np.ndarray:
        """``(n,)`` int64 slots that the forward pass leaves out; mostly none."""
        return self._left_out

    def leave_out(self, slots: np.ndarray) -> None:
        """Let the forward pass treat these connections as zeros, and all others as they are.

        They have gradients and are trained all the same: the backward-only connections of
        Top-KAST. Holds until the next call or the next weight.

        Parameters
        ----------
        slots : sequence of int
            Ascending; copied.
        """
        who = type(self).__name__
        slots = integers(who, "slots to leave out", slots)
        require_ascending(who, "slots to leave out", slots, self.weight.nnz)
        self._left_out = slots

    def _forward_data(self):
        """The weights' values as the forward pass sees them."""
        if not len(self._left_out):
            return self.weight.data
        data = self.weight.data.copy()
        data[self._left_out] = 0
        return data
