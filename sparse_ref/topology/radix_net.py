"""RadiX-Nets: sparse networks of which every input reaches every output over equally many paths.

The units of a layer are numbered by a mixed-radix system (r_1, ..., r_d), in which digit i is worth
v_i = r_1 ... r_{i-1}. Layer i of the network changes digit i: unit u is joined to the units
u + j v_i, j = 0 ... r_i - 1, modulo the number of units N'. A walk through all layers of a system
sets every digit once, so there is one path from each unit to each. Then every unit is multiplied:
where layer i joins two units, all b_{i-1} copies of the one are joined to all b_i copies of the
other (a Kronecker product with a matrix of ones).

References
----------
Robinett and Kepner 2018, "Sparse, symmetric neural network topologies for sparse training"
(N and B, the mixed-radix systems and the Kronecker widths); Alford et al. 2018, "Training behavior
of sparse neural network topologies", section II.B and figures 5 and 6; details from Alford's own
program, `x_net.py`.

Departures
----------
* Alford's program joins u to u - j v and the usual text to u + j v. ``direction=-1``, the default,
  gives the program's matrices, ``direction=1`` the text's. Renaming unit u to -u turns one into
  the other: degrees, densities and numbers of paths agree, the matrices do not.
* Weights here are (n_out, n_in); the program's are transposed.
* Alford et al. write one system as a flat N = (10, 10). Here that is ``[(10, 10)]``.
* Alford et al. cut the first 16 of 800 inputs; a program of 2023 keeps the first 784 instead
  (``cut="last"``). Their figure 5 is called a two-layer net; three radices make three layers.
"""

import math
import operator
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr
from sparse_ref.topology.patterns import Layers, of_ones

Systems = Sequence[Sequence[int]]

LENET_INPUTS = 784
LENET_WIDTHS = {"small": (8, 3, 1), "big": (8, 30, 1)}  # B of Alford et al. 2018, section II.B


def radix_net(
    systems: Systems, widths: Sequence[int] | None = None, *, direction: int = -1
) -> Layers:
    """The layers of a RadiX-Net, built in time and memory O(connections).

    Parameters
    ----------
    systems : sequence of sequences of int
        The mixed-radix systems, radices >= 1. All but the last have the same product, N', the
        number of units of a layer before they are multiplied; the product of the last divides it.
        A layer for each radix: L of them.
    widths : (L + 1,) int >= 1, optional
        The Kronecker widths B: how many copies the inputs, the hidden units and the outputs have;
        1 if omitted. Copy k of unit u has the number ``k * N' + u``.
    direction : int
        -1 or 1: what the units that u feeds are, u - j v or u + j v.

    Returns
    -------
    L patterns (n_out, n_in) = (b_i N', b_{i-1} N') of ones. In layer i every unit has in-degree
    ``r_i b_{i-1}`` and out-degree ``r_i b_i``; the density is ``r_i / N'`` whatever the widths.

    Examples
    --------
    >>> first, second = radix_net([(2, 2)])
    >>> first.toarray().astype(int)
    array([[1, 1, 0, 0],
           [0, 1, 1, 0],
           [0, 0, 1, 1],
           [1, 0, 0, 1]])
    >>> second.toarray().astype(int)
    array([[1, 0, 1, 0],
           [0, 1, 0, 1],
           [1, 0, 1, 0],
           [0, 1, 0, 1]])
    """
    checked = _systems("radix_net", systems)
    copies = _widths("radix_net", widths, checked)
    if direction not in (-1, 1):
        raise ValueError(f"radix_net: direction must be -1 or 1, got {direction!r}")
    units, digits = math.prod(checked[0]), _digits(checked)
    return tuple(
        _layer(units, radix, direction * value, copies[i], copies[i + 1])
        for i, (radix, value) in enumerate(digits)
    )


def radix_path_count(systems: Systems, widths: Sequence[int] | None = None) -> int:
    """Paths from each input to each output of `radix_net`: as many for every pair.

    The product of all radices over N', times the widths of the hidden layers. (Often quoted is
    ``N' ** (systems - 1)`` in place of the first factor, which needs a last system as large as the
    others.)

    Examples
    --------
    >>> radix_path_count([(2, 2, 2)]), radix_path_count([(2, 2)], (1, 2, 1))
    (1, 2)
    >>> radix_path_count([(4, 3), (2, 3)])
    6
    """
    checked = _systems("radix_path_count", systems)
    copies = _widths("radix_path_count", widths, checked)
    ways = math.prod(math.prod(system) for system in checked) // math.prod(checked[0])
    return ways * math.prod(copies[1:-1])


def lenet_radix_net(size: str = "small", *, direction: int = -1, cut: str = "first") -> Layers:
    """The two sparse layers of Alford et al.'s LeNet-300-100: N = (10, 10), density about 0.1.

    Parameters
    ----------
    size : str
        ``small``: B = (8, 3, 1), 784-300-100, a tenth of LeNet's connections. ``big``:
        B = (8, 30, 1), 784-3000-100, which with a dense output layer 100-10 has exactly as many
        connections as the dense LeNet-300-100, 266200.
    direction : int
        As in `radix_net`.
    cut : str
        Which 16 of the net's 800 inputs are taken away: ``first`` (the paper) or ``last``. The
        first layer keeps its out-degrees, but its in-degrees are no longer all the same. The
        numbers of paths still are.

    Returns
    -------
    Patterns (300, 784) and (100, 300), or (3000, 784) and (100, 3000)

    Examples
    --------
    >>> [(w.shape, w.nnz) for w in lenet_radix_net("small")]
    [((300, 784), 23520), ((100, 300), 3000)]
    """
    if size not in LENET_WIDTHS:
        raise ValueError(f"lenet_radix_net: size must be one of {list(LENET_WIDTHS)}, got {size!r}")
    if cut not in ("first", "last"):
        raise ValueError(f"lenet_radix_net: cut must be 'first' or 'last', got {cut!r}")
    whole, second = radix_net([(10, 10)], LENET_WIDTHS[size], direction=direction)
    return _inputs_kept(whole, whole.shape[1] - LENET_INPUTS if cut == "first" else 0), second


def _layer(units, radix, step, copies_in, copies_out):
    """Unit d is fed by d - j step, j < radix, modulo `units`; then every unit is copied."""
    fed, digit = np.arange(units)[:, None], np.arange(radix)
    core = np.sort((fed - step * digit) % units, axis=1)  # (units, radix)
    n_in, n_out = copies_in * units, copies_out * units
    inputs = core[:, None, :] + units * np.arange(copies_in)[:, None]  # (units, copies_in, radix)
    starts = n_in * np.arange(n_out).reshape(copies_out, units, 1, 1)
    return of_ones((n_out, n_in), (starts + inputs).reshape(-1))


def _digits(systems):
    """``(radix, place value)`` of each layer; the value starts again at 1 in every system."""
    return [
        (radix, math.prod(system[:place]))
        for system in systems
        for place, radix in enumerate(system)
    ]


def _inputs_kept(weight: csr_array, first: int) -> csr_array:
    """The weight between the inputs from `first` on, as many as LeNet has, and its units."""
    rows, columns = np.divmod(csr.flat(weight), weight.shape[1])
    columns -= first
    kept = (columns >= 0) & (columns < LENET_INPUTS)
    positions = rows[kept] * LENET_INPUTS + columns[kept]
    return of_ones((weight.shape[0], LENET_INPUTS), positions)


def _systems(who, systems):
    """The systems as tuples of Python integers, valid as a RadiX-Net's."""
    systems = list(systems)
    if not systems:
        raise ValueError(f"{who}: systems must hold at least one system, got none")
    if not all(isinstance(system, Sequence | np.ndarray) for system in systems):
        raise ValueError(
            f"{who}: systems must be a list of systems, so write [(10, 10)] for N = (10, 10); "
            f"got {systems}"
        )
    checked = [_positive(who, f"radices of system {k}", s) for k, s in enumerate(systems)]
    units = math.prod(checked[0])
    for k, system in enumerate(checked):
        if not system:
            raise ValueError(
                f"{who}: a system must have at least one radix, but system {k} has none"
            )
        product, last = math.prod(system), k == len(checked) - 1
        if last and units % product:
            raise ValueError(
                f"{who}: the product of the last system must divide the first one's, {units}, "
                f"got {product} of {system}"
            )
        if not last and product != units:
            raise ValueError(
                f"{who}: all systems but the last must have the product of the first, {units}, "
                f"got {product} of system {k}, {system}"
            )
    return checked


def _widths(who, widths, systems):
    """The Kronecker widths as Python integers, one more than there are radices."""
    layers = sum(map(len, systems))
    checked = (1,) * (layers + 1) if widths is None else _positive(who, "widths", widths)
    if len(checked) != layers + 1:
        raise ValueError(
            f"{who}: widths must be one more than there are radices, {layers + 1}, "
            f"got {len(checked)}: {checked}"
        )
    return checked


def _positive(who, name, numbers):
    """The numbers as Python integers, which do not overflow when multiplied; each >= 1."""
    try:
        checked = tuple(map(operator.index, numbers))
    except TypeError:
        raise TypeError(f"{who}: {name} must be integers, got {numbers!r}") from None
    if any(number < 1 for number in checked):
        raise ValueError(f"{who}: {name} must be >= 1, got {checked}")
    return checked
