"""The distributions: from the layers' shapes and one network density to a count per layer."""

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

import numpy as np

from sparse_ref.allocation.checks import (
    Shape,
    Shapes,
    check_counts,
    check_custom,
    check_fraction,
    check_not_negative,
    check_shapes,
    refusal,
)
from sparse_ref.allocation.rounding import (
    Rounding,
    half_even,
    largest_remainder,
    rigl_erdos_renyi,
    rigl_floor,
)

Custom = Mapping[int, float] | None  # layer index -> density
Distribution = Callable[..., np.ndarray]  # of (shapes, density)


def uniform(
    shapes: Shapes,
    density: float,
    *,
    custom: Custom = None,
    rounding: Rounding = "largest_remainder",
) -> np.ndarray:
    """Every layer at the same density.

    Parameters
    ----------
    shapes : one tuple of positive integers per layer, see the package docstring
    density : fraction of connections kept over the participating layers, 0 <= density <= 1
    custom : layer index -> density of that layer. These layers take no part in the budget:
        `density` then holds for the others. `{0: 1.0}` keeps the first layer dense.
    rounding : "largest_remainder", whose counts add up to `round(density * total size)` of the
        participating layers (half to even), or "rigl_floor", `N - floor(sparsity * N)` per layer

    Returns
    -------
    (n_layers,) int64, connections per layer

    Raises
    ------
    ValueError
        For an empty list, a shape with fewer than two or with non-positive dimensions, a density
        outside [0, 1], a custom index without a layer, an unknown rounding.
    TypeError
        For a dimension or an index that is no integer and a density that is no number.

    Examples
    --------
    >>> uniform([(300, 784), (100, 300), (10, 100)], 0.1)
    array([23520,  3000,   100])
    >>> uniform([(300, 784), (100, 300), (10, 100)], 0.1, custom={0: 1.0})
    array([235200,   3000,    100])
    """
    return _distribute("uniform", shapes, density, None, custom, rounding)


def erdos_renyi(
    shapes: Shapes,
    density: float,
    *,
    custom: Custom = None,
    rounding: Rounding = "largest_remainder",
) -> np.ndarray:
    """ER: density of a layer proportional to `(n_in + n_out) / (n_in * n_out)`, at most 1.

    Layers that would exceed density 1 are made dense and the rest of the budget is shared out again
    among the others, until none exceeds. A convolution counts with its channels only, whatever its
    kernel, as in the RigL code. Parameters, result and errors as for `uniform`.

    Examples
    --------
    >>> lenet_300_100 = [(300, 784), (100, 300), (10, 100)]
    >>> erdos_renyi(lenet_300_100, 0.1)
    array([18714,  6906,  1000])
    >>> erdos_renyi(lenet_300_100, 0.1, rounding="rigl_floor")
    array([18715,  6906,  1000])
    """
    return _distribute("erdos_renyi", shapes, density, _channel_ratio, custom, rounding)


def erdos_renyi_kernel(
    shapes: Shapes,
    density: float,
    *,
    power: float = 1.0,
    custom: Custom = None,
    rounding: Rounding = "largest_remainder",
) -> np.ndarray:
    """ERK: density of a layer proportional to `(sum(shape) / prod(shape)) ** power`, at most 1.

    Layers that would exceed density 1 are treated as in `erdos_renyi`, with which ERK agrees where
    all layers are linear. Other parameters, result and errors as for `uniform`.

    Parameters
    ----------
    power : 1 is ERK, 0 is `uniform`, between them a softer ERK (`erk_power_scale` of the RigL
        code). Between 0 and 1 the ratio goes through the C library's `pow`, so a tie between two
        layers' remainders may be decided differently on another host.

    Examples
    --------
    >>> lenet_5 = [(20, 1, 5, 5), (50, 20, 5, 5), (500, 800), (10, 500)]
    >>> erdos_renyi_kernel(lenet_5, 0.1)
    array([  500,  2177, 35373,  5000])
    """
    power = check_fraction("erdos_renyi_kernel", "power", power)

    def ratio(shape: Shape) -> Fraction | float:
        full = Fraction(sum(shape), math.prod(shape))
        return full if power == 1 else float(full) ** power

    return _distribute("erdos_renyi_kernel", shapes, density, ratio, custom, rounding)


def set_epsilon(shapes: Shapes, epsilon: float) -> np.ndarray:
    """SET's own rule: density `min(ε (n_in + n_out) / (n_in n_out), 1)` in each layer by itself.

    What a layer loses by the bound 1 goes nowhere: no other layer gets it (`erdos_renyi` differs).
    A convolution counts as the matrix it is stored as: `n_out = C_out`, `n_in = C_in * kh * kw`.

    Parameters
    ----------
    shapes : one tuple of positive integers per layer
    epsilon : ε, connections per neuron of either side; finite, >= 0

    Returns
    -------
    (n_layers,) int64, connections per layer, rounded half to even

    Departures
    ----------
    The paper makes each connection with that probability, so its counts vary (see `bernoulli`).
    The authors' sparse code draws `ε (n_in + n_out)` positions with replacement and gets fewer.

    Reference
    ---------
    Mocanu et al. 2018, equation 1; Liu et al. 2020, equation 1.

    Examples
    --------
    >>> set_epsilon([(1000, 784), (10, 1000)], 20)
    array([35680, 10000])
    """
    check_not_negative("set_epsilon", "epsilon", epsilon)
    matrices = [(n_out, math.prod(rest)) for n_out, *rest in check_shapes("set_epsilon", shapes)]
    counts = [round(min(epsilon * (n_out + n_in), n_out * n_in)) for n_out, n_in in matrices]
    return np.array(counts, dtype=np.int64)


DISTRIBUTIONS: dict[str, Distribution] = {
    "uniform": uniform,
    "er": erdos_renyi,
    "erk": erdos_renyi_kernel,
}


def allocate(
    distribution: str | Distribution | Sequence[int],
    shapes: Shapes,
    density: float | None = None,
) -> np.ndarray:
    """Counts per layer from whatever a user may give as `distribution`.

    Parameters
    ----------
    distribution : a name in `DISTRIBUTIONS`; or a function of `(shapes, density)`, such as
        `partial(erdos_renyi, custom={0: 1.0})`; or the counts themselves, one integer per layer
    shapes : one tuple of positive integers per layer
    density : as for `uniform`; not looked at where the counts are given, because they settle it

    Returns
    -------
    (n_layers,) int64, connections per layer, each between 0 and the layer's size

    Raises
    ------
    ValueError
        For an unknown name and for counts that do not fit the shapes.
    TypeError
        If `distribution` is none of the three, or a count is not an integer.

    Examples
    --------
    >>> allocate("er", [(2, 4), (4, 2)], 0.5)
    array([4, 4])
    >>> allocate([3, 8], [(2, 4), (4, 2)])
    array([3, 8])
    """
    if isinstance(distribution, str):
        if distribution not in DISTRIBUTIONS:
            known = ", ".join(map(repr, DISTRIBUTIONS))
            raise refusal("allocate", f"distribution must be one of {known}", distribution)
        distribution = DISTRIBUTIONS[distribution]
    if callable(distribution):
        return check_counts(distribution(shapes, density), shapes)
    return check_counts(distribution, shapes)


def _distribute(
    who: str,
    shapes: Shapes,
    density: float,
    ratio: Callable[[Shape], Fraction | float] | None,
    custom: Custom,
    rounding: str,
) -> np.ndarray:
    """Counts with layer density proportional to `ratio(shape)`; None: the density itself."""
    shapes = check_shapes(who, shapes)
    density = check_fraction(who, "density", density)
    custom = check_custom(who, custom or {}, len(shapes))
    if rounding not in ("largest_remainder", "rigl_floor"):
        raise refusal(who, "rounding must be 'largest_remainder' or 'rigl_floor'", rounding)
    alone = rigl_floor if rounding == "rigl_floor" else half_even
    sizes = [math.prod(shape) for shape in shapes]
    counts = [alone(size, custom.get(layer, density)) for layer, size in enumerate(sizes)]
    rest = [layer for layer in range(len(sizes)) if layer not in custom]
    if rest and not (ratio is None and rounding == "rigl_floor"):
        together = rigl_erdos_renyi if rounding == "rigl_floor" else largest_remainder
        ratios = [ratio(shapes[layer]) if ratio else 1 for layer in rest]
        shared = together(ratios, [sizes[layer] for layer in rest], density)
        for layer, count in zip(rest, shared, strict=True):
            counts[layer] = count
    return np.array(counts, dtype=np.int64)


def _channel_ratio(shape: Shape) -> Fraction:
    return Fraction(shape[0] + shape[1], shape[0] * shape[1])
