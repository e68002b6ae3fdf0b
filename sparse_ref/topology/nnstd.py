"""NNSTD, the Neural Network Sparse Topology Distance: how far apart two sparse networks are.

Hidden units have no names: a network whose hidden units are exchanged, with all they are connected
to, is the same network. So a distance has to say first which unit of one network answers to which
of the other. NNSTD goes from the inputs to the outputs, and in every layer pairs the units so that
the sets of inputs they read differ least.

References
----------
Liu et al. (2020), "Topological Insights into Sparse Neural Networks", ECML-PKDD, section 3,
algorithm 1. Authors' code: Shiweiliuiiiiiii/Sparse_Topology_Distance, sparse_topology_distance.py.

Departures
----------
* Section 3 says that the units of the output layer are labelled, but algorithm 1 and the code
  pair them like hidden ones. So does ``output="assign"``; with ``"labeled"`` each output answers to
  itself.
* Two layers of the same pattern are paired unit by unit, whatever a solver would choose among
  pairs of equal cost: a network is at distance 0 from itself, with certainty.
* The code looks at values other than zero, after it has dropped the last row of each matrix, its
  biases: ``pattern="nonzero"``, on weights without biases.
* The code keeps one value for both directions of a pair of networks. Here each is computed.

Cost
----
Two layers of n units and m inputs: n² m / 64 steps for the distances, O(n³) at worst for the
assignment, which takes most of the time, and 8 n² bytes. This is the one measure that is not
linear in the connections.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from sparse_ref.topology import input_sets
from sparse_ref.topology.patterns import Topology, alike, chained, pattern_of

OUTPUTS = ("assign", "labeled")
TIE_BREAKS = ("solver", "identity")
PREFERENCE = 1e-10  # for unit i to answer to unit i: decides ties, and what is nearly one


class Comparison(NamedTuple):
    """Two networks laid beside each other.

    Attributes
    ----------
    distance : float
        NNSTD, the mean of `layers`; 0: the same, 1: no unit shares an input with its partner.
    layers : (L,) float64
        Mean over each layer's units of the distance to the partner.
    assignments : tuple of (n_out,) int64, one a layer
        Unit i of the first network answers to unit ``assignments[k][i]`` of the second.
    duplicates : tuple of (int, int), one a layer
        Units that read the same set of inputs as an earlier unit of their layer, in the first
        network and in the second. Where there are any in a hidden layer, equally good assignments
        exist, and which of them was chosen can change the distances of the layers that follow.
    """

    distance: float
    layers: np.ndarray
    assignments: tuple[np.ndarray, ...]
    duplicates: tuple[tuple[int, int], ...]

    def __float__(self) -> float:
        return self.distance


def nnstd(
    first: Topology,
    second: Topology,
    *,
    pattern: str = "structural",
    output: str = "assign",
    tie_break: str = "solver",
) -> Comparison:
    """Algorithm 1, CompareNetworks.

    Of one layer, the distance is symmetric and does not depend on the order of its units. Of
    more, it does not depend on the order of hidden units **only as long as the assignment of every
    hidden layer is the only best one**. A network with its hidden units exchanged is at distance 0
    if no two units of a hidden layer read the same inputs; two units without any inputs suffice to
    break that, and can make ``nnstd(a, b)`` differ from ``nnstd(b, a)``. See `Comparison`.

    Parameters
    ----------
    first, second : topologies
        Of the same shapes, layer by layer: see `sparse_ref.topology.patterns`. One weight each
        compares one layer (figures 3b, 4, 5 and 6 show that of the first layer).
    pattern : str
        ``structural`` or ``nonzero``, see `patterns.pattern_of`.
    output : str
        ``assign``: the last layer's units are paired like all others. ``labeled``: each answers to
        itself.
    tie_break : str
        Among equally good assignments, ``solver``: the one that SciPy's solver finds.
        ``identity``: as many units as possible answer to the unit of their own number, which does
        not depend on the solver. A pair of its own number counts as 1e-10 nearer than it is, so in
        layers of very many inputs an assignment that is worse by less than that may be preferred.

    Raises
    ------
    ValueError
        Networks of other shapes, which it names, or an unknown option.

    Examples
    --------
    Two networks of two layers. The hidden units of the second stand in another order.

    >>> a = [np.array([[1, 1, 0], [0, 1, 1]]), np.array([[1, 0], [0, 1]])]
    >>> b = [np.array([[0, 1, 0], [1, 1, 0]]), np.array([[0, 1], [1, 1]])]
    >>> found = nnstd(a, b)
    >>> found.distance, found.layers, found.assignments[0]
    (0.25, array([0.25, 0.25]), array([1, 0]))
    """
    _require("nnstd", "output", output, OUTPUTS)
    _require("nnstd", "tie_break", tie_break, TIE_BREAKS)
    layers = alike(chained(first, "nnstd", pattern), second, "nnstd", pattern)
    order = np.arange(layers[0][0].shape[1])  # neuron_assignment = Identity
    costs, assignments, duplicates = [], [], []
    for k, (one, other) in enumerate(zip(*layers, strict=True)):
        last = k == len(layers[0]) - 1
        sets = _packed(one, np.arange(len(order))), _packed(other, np.argsort(order))  # reorder(N2)
        order, cost = _compare_layers(*sets, last and output == "labeled", tie_break)
        costs.append(cost)  # costs += normalized_cost
        assignments.append(order)
        duplicates.append((_repeated(sets[0]), _repeated(sets[1])))
    distance = float(np.mean(costs))  # costs / L
    return Comparison(distance, np.array(costs), tuple(assignments), tuple(duplicates))


def layer_distance(
    first: Any, second: Any, *, pattern: str = "structural", tie_break: str = "solver"
) -> float:
    """Algorithm 1, CompareLayers: the distance of two weights whose inputs are the same things.

    Parameters
    ----------
    first, second : (n_out, n_in) csr_array or ndarray
    pattern, tie_break : str
        As for `nnstd`.
    """
    who = "layer_distance"
    _require(who, "tie_break", tie_break, TIE_BREAKS)
    weights = (pattern_of(first, who, pattern), pattern_of(second, who, pattern))
    ((one,), (other,)) = alike(*weights, who)
    names = np.arange(one.shape[1])
    return _compare_layers(_packed(one, names), _packed(other, names), False, tie_break)[1]


def normalized_edit_distances(
    first: Any, second: Any, *, pattern: str = "structural"
) -> np.ndarray:
    """NED of every unit of one layer and every unit of another, algorithm 1: the NNSTD matrix.

    The distance of two units is the share of what only one of them reads in all that they read; two
    units that read nothing are at distance 0. It is the Jaccard distance of their input sets.

    Parameters
    ----------
    first, second : (n, n_in) and (m, n_in) csr_array or ndarray
        They read the same inputs.
    pattern : str
        As for `nnstd`.

    Returns
    -------
    (n, m) float64
    """
    who = "normalized_edit_distances"
    weights = (pattern_of(first, who, pattern), pattern_of(second, who, pattern))
    if weights[0].shape[1] != weights[1].shape[1]:
        raise ValueError(
            f"{who}: layers must read equally many inputs, "
            f"got {weights[0].shape[1]} and {weights[1].shape[1]}"
        )
    names = np.arange(weights[0].shape[1])
    return _edit_distances(*(_packed(weight, names) for weight in weights))


class _Sets(NamedTuple):
    """What the units of a layer read."""

    words: np.ndarray  # (n, words) uint64: a bit an input
    sizes: np.ndarray  # (n,) int64


def _compare_layers(first, second, labeled, tie_break):
    """Which unit of the second each unit of the first answers to, and their mean distance."""
    own = np.arange(len(first.sizes))
    if np.array_equal(first.words, second.words):
        return own, 0.0
    matrix = _edit_distances(first, second)
    order = own if labeled else _assign(matrix, tie_break)  # solve(NNSTDmatrix)
    return order, float(matrix[own, order].mean())


def _assign(matrix, tie_break):
    costs = matrix
    if tie_break == "identity":
        costs = matrix + PREFERENCE
        np.fill_diagonal(costs, matrix.diagonal())
    return linear_sum_assignment(costs)[1]


def _edit_distances(first, second):
    matrix = np.empty((len(first.sizes), len(second.sizes)))
    input_sets.edit_distances(first.words, second.words, first.sizes, second.sizes, matrix)
    return matrix


def _packed(weight, names):
    """The input sets of a layer whose input j is called ``names[j]``."""
    indptr, indices = map(np.ascontiguousarray, (weight.indptr, weight.indices))
    n_out, n_in = weight.shape
    words = np.zeros((n_out, -(-n_in // input_sets.WORD)), np.uint64)
    input_sets.pack(indptr, indices, names, words)
    return _Sets(words, np.diff(indptr).astype(np.int64))


def _repeated(sets):
    return len(sets.words) - len({row.tobytes() for row in sets.words})


def _require(who, name, value, among):
    if value not in among:
        raise ValueError(f"{who}: {name} must be one of {list(among)}, got {value!r}")
