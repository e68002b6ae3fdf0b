"""How wide a network is without its dead units, by the three rules in use.

References
----------
``local``: Parger et al. (2022), section 5.1, Params*; see `sparse_ref.topology.empty`.
``rigl``: `get_compressed_fc` of google-research/rigl, ``rigl/mnist/mnist_train_eval.py``, which
counts the architectures of Evci et al. (2020), appendix on LeNet 300-100.
``fixpoint``: what is left when dead units are removed until there are none: the units on a path
from an input to an output (`sparse_ref.topology.paths`).

`sparse_ref.downsize.downsize` makes that last network.
"""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr
from sparse_ref.topology.empty import empty_inputs, empty_neurons
from sparse_ref.topology.paths import effective_units
from sparse_ref.topology.patterns import Topology, chained
from sparse_ref.topology.units import fed, of_rows

RULES = ("fixpoint", "rigl", "local")


class Survivors(NamedTuple):
    """What a network has without its dead units.

    Attributes
    ----------
    widths : tuple of int
        Units left in each layer of units, inputs first.
    shapes : tuple of (n_out, n_in)
        Rows and columns left of each weight. By ``local`` they need not chain: a unit can be left
        in the one weight and gone from the next.
    connections : tuple of int
        Of each weight, between what is left of it.
    """

    widths: tuple[int, ...]
    shapes: tuple[tuple[int, int], ...]
    connections: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """Positions left: weights of dense layers of these shapes, without biases."""
        return sum(n_out * n_in for n_out, n_in in self.shapes)

    @property
    def sparsities(self) -> tuple[float, ...]:
        """Of each weight that is left; nan where nothing is."""
        sizes = [n_out * n_in for n_out, n_in in self.shapes]
        pairs = zip(self.connections, sizes, strict=True)
        return tuple(1 - nnz / size if size else float("nan") for nnz, size in pairs)


def survivors(
    network: Topology, rule: str = "fixpoint", *, pattern: str = "structural"
) -> Survivors:
    """What is left of a network by one of three rules.

    Parameters
    ----------
    network : topology
        See `patterns`; shapes must chain. Of convolutions, which must keep their geometry, only
        `sparse_ref.downsize.downsize` says what is left.
    rule : str
        ``fixpoint``: units on a path from an input to an output. ``rigl``: one sweep from inputs to
        outputs takes units without a connection from a unit that is left, and without a connection
        to any unit, gone later or not. ``local``: every weight by itself loses its empty rows and
        columns; a hidden unit counts in `Survivors.widths` if neither weight has lost it.
    pattern : str
        See `patterns.pattern_of`.

    Notes
    -----
    No layer is wider by ``fixpoint`` than by ``rigl``, nor by ``rigl`` than by ``local``. Outputs
    that nothing reaches go by every rule. O(connections + units).

    Examples
    --------
    A chain of four units whose last link is missing: the sweep is past the first links then.

    >>> chain = np.array([[1]]), np.array([[1]]), np.array([[0]])
    >>> survivors(chain).widths, survivors(chain, "rigl").widths
    ((0, 0, 0, 0), (1, 1, 0, 0))
    """
    if rule not in RULES:
        raise ValueError(f"survivors: rule must be one of {list(RULES)}, got {rule!r}")
    layers = chained(network, "survivors", pattern)
    rows, columns = _KEPT[rule](layers)
    between = [a & b for a, b in zip(rows[:-1], columns[1:], strict=True)]
    left = list(zip(layers, rows, columns, strict=True))
    return Survivors(
        tuple(int(units.sum()) for units in (columns[0], *between, rows[-1])),
        tuple((int(r.sum()), int(c.sum())) for _, r, c in left),
        tuple(int(np.sum(of_rows(layer, r) & c[layer.indices])) for layer, r, c in left),
    )


def cut(weight: csr_array, rows: np.ndarray, columns: np.ndarray) -> tuple[csr_array, np.ndarray]:
    """The weight between the units that are kept.

    Parameters
    ----------
    weight : (n_out, n_in) csr_array
    rows, columns : (n_out,), (n_in,) bool

    Returns
    -------
    weight : (rows kept, columns kept) csr_array
        On arrays of its own; values keep their bits.
    slots : (nnz,) int64
        Where each of its connections was.
    """
    slots = np.flatnonzero(of_rows(weight, rows) & columns[weight.indices])
    row = of_rows(weight, np.cumsum(rows) - 1)[slots]
    column = (np.cumsum(columns) - 1)[weight.indices[slots]]
    shape = int(rows.sum()), int(columns.sum())
    return csr.from_positions(shape, row * shape[1] + column, weight.data[slots]), slots


def _local(layers):
    return [~empty_neurons(la) for la in layers], [~empty_inputs(la) for la in layers]


def _rigl(layers):
    units, last = [~empty_inputs(layers[0])], len(layers) - 1
    for k, layer in enumerate(layers):
        entered = fed(layer, units[-1][layer.indices])
        units.append(entered if k == last else entered & ~empty_inputs(layers[k + 1]))
    return units[1:], units[:-1]


def _fixpoint(layers):
    units = effective_units(layers)
    return units[1:], units[:-1]


_KEPT = {"fixpoint": _fixpoint, "rigl": _rigl, "local": _local}
