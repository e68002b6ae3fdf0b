"""How many connections each layer gets, in integers, and how a layer's positions are drawn.

A *distribution* maps the layers' shapes and one network density to integer counts. Its ideal
counts are fractions; they become integers by a named rounding and, by default, add up to the target
exactly: no connection is lost or invented. Afterwards `exact` or `bernoulli` draws the positions.

Shapes are `(n_out, n_in)` for linear and `(C_out, C_in, kh, kw)` for convolutional weights.

Reference
---------
Uniform, ER and ERK: Evci et al. 2020, "Rigging the Lottery", section 3 (sparsity distribution);
details from the authors' code, `rigl/sparse_utils.py`, and its copy in jaxpruner.
ER and its ε: Mocanu et al. 2018, "Scalable training of artificial neural networks with adaptive
sparse connectivity", equation 1.

Departures
----------
* The RigL code rounds each layer by `floor`, so a network may exceed its target by one connection
  per layer. Here the target is met exactly; `rounding="rigl_floor"` gives the RigL numbers.
* The RigL code takes sparsities, here everything is a density. `"rigl_floor"` therefore works on
  `1 - density` rounded to 15 decimals, which gives back the sparsity as it would have been written:
  density 0.9 means sparsity 0.1, not 0.09999999999999998.
"""

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from numbers import Real
from typing import Literal

import numpy as np

from sparse_ref.selection import random_ranks

Shape = Sequence[int]
Shapes = Sequence[Shape]
Custom = Mapping[int, float] | None  # layer index -> density
Rounding = Literal["largest_remainder", "rigl_floor"]
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
    shapes : one tuple of positive integers per layer, see the module docstring
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
    power = _check_fraction("erdos_renyi_kernel", "power", power)

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
    _check_not_negative("set_epsilon", "epsilon", epsilon)
    matrices = [(n_out, math.prod(rest)) for n_out, *rest in _check_shapes("set_epsilon", shapes)]
    counts = [round(min(epsilon * (n_out + n_in), n_out * n_in)) for n_out, n_in in matrices]
    return np.array(counts, dtype=np.int64)


def apportion(
    shares: Iterable[float | Fraction], total: int, capacities: Iterable[int]
) -> np.ndarray:
    """Divide `total` connections in proportion to `shares`, no layer above its capacity.

    Layers whose proportional part exceeds their capacity are filled, and what is left is divided
    among the others. Fractions are settled by largest remainder: everybody gets the integer part,
    and the connections still missing go to the largest fractional parts, at equal parts to the
    lower layer index. The arithmetic is exact (`fractions`), hence also sum, bounds and ties.

    Parameters
    ----------
    shares : (n_layers,) finite numbers >= 0 in any unit; a layer with share 0 receives nothing
    total : connections to give away, >= 0
    capacities : (n_layers,) integers >= 0

    Returns
    -------
    (n_layers,) int64, sums to `total`

    Raises
    ------
    ValueError
        If `total` exceeds the summed capacity of the layers with a positive share, for negative or
        infinite numbers, for lists that are empty or differ in length.
    TypeError
        If `total` or a capacity is not an integer.

    Examples
    --------
    >>> apportion([1, 1, 1], 8, [10, 10, 10])
    array([3, 3, 2])
    >>> apportion([1, 1, 1], 8, [10, 1, 10])
    array([4, 1, 3])
    """
    exact_shares, total, limits = _check_apportion(shares, total, capacities)
    quotas = _quotas(exact_shares, total, limits)
    counts = [math.floor(quota) for quota in quotas]
    # Python's sort is stable: equal remainders stay in layer order. The remainders sum to `missing`
    # and each is below 1, so only layers with a remainder > 0 are raised: none passes its capacity.
    by_remainder = sorted(range(len(quotas)), key=lambda layer: counts[layer] - quotas[layer])
    missing = total - sum(counts)
    for layer in by_remainder[:missing]:
        counts[layer] += 1
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
            raise _error("allocate", f"distribution must be one of {known}", distribution)
        distribution = DISTRIBUTIONS[distribution]
    if callable(distribution):
        return _check_counts(distribution(shapes, density), shapes)
    return _check_counts(distribution, shapes)


def exact(shape: Shape, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `count` distinct positions of a layer; every subset of that size is equally likely.

    Parameters
    ----------
    shape : the layer's shape
    count : number of positions, 0 <= count <= size
    rng : the only source of randomness

    Returns
    -------
    (count,) int64 flat positions in C order, ascending and unique; time and memory are O(count)

    Examples
    --------
    >>> exact((2, 3), 6, np.random.default_rng(7))
    array([0, 1, 2, 3, 4, 5])
    """
    size = math.prod(_check_shapes("exact", [shape])[0])
    return random_ranks(size, _check_integer("exact", "count", count, size), rng)


def bernoulli(shape: Shape, probability: float, rng: np.random.Generator) -> np.ndarray:
    """Draw the positions of a layer as if a coin were thrown at each, in O(count) time and memory.

    The number of heads is Binomial(size, probability) and, given the number, all subsets are
    equally likely; so the count is drawn first and the positions by `exact`. Parameters and result
    as there; `probability` in [0, 1].

    Examples
    --------
    >>> bernoulli((2, 3), 1.0, np.random.default_rng(7))
    array([0, 1, 2, 3, 4, 5])
    """
    size = math.prod(_check_shapes("bernoulli", [shape])[0])
    probability = _check_fraction("bernoulli", "probability", probability)
    return exact(shape, int(rng.binomial(size, probability)), rng)


def _distribute(
    who: str,
    shapes: Shapes,
    density: float,
    ratio: Callable[[Shape], Fraction | float] | None,
    custom: Custom,
    rounding: str,
) -> np.ndarray:
    """Counts with layer density proportional to `ratio(shape)`; None: the density itself."""
    shapes = _check_shapes(who, shapes)
    density = _check_fraction(who, "density", density)
    custom = _check_custom(who, custom or {}, len(shapes))
    if rounding not in ("largest_remainder", "rigl_floor"):
        raise _error(who, "rounding must be 'largest_remainder' or 'rigl_floor'", rounding)
    alone = _rigl_floor if rounding == "rigl_floor" else _half_even
    sizes = [math.prod(shape) for shape in shapes]
    counts = [alone(size, custom.get(layer, density)) for layer, size in enumerate(sizes)]
    rest = [layer for layer in range(len(sizes)) if layer not in custom]
    if rest and not (ratio is None and rounding == "rigl_floor"):
        together = _rigl_erdos_renyi if rounding == "rigl_floor" else _largest_remainder
        ratios = [ratio(shapes[layer]) if ratio else 1 for layer in rest]
        shared = together(ratios, [sizes[layer] for layer in rest], density)
        for layer, count in zip(rest, shared, strict=True):
            counts[layer] = count
    return np.array(counts, dtype=np.int64)


def _channel_ratio(shape: Shape) -> Fraction:
    return Fraction(shape[0] + shape[1], shape[0] * shape[1])


def _half_even(size: int, density: float) -> int:
    return round(density * size)


def _rigl_floor(size: int, density: float) -> int:
    return size - math.floor(round(1 - density, 15) * size)


def _largest_remainder(
    ratios: Sequence[Fraction | float], sizes: Sequence[int], density: float
) -> list[int]:
    shares = [Fraction(ratio) * size for ratio, size in zip(ratios, sizes, strict=True)]
    return apportion(shares, _half_even(sum(sizes), density), sizes).tolist()


def _rigl_erdos_renyi(
    ratios: Sequence[Fraction | float], sizes: Sequence[int], density: float
) -> list[int]:
    """RigL's `get_sparsities_erdos_renyi` in floats and with its order of summation.

    The floors react to the last bit: where layers are alike, the values stand at an integer.
    """
    ratios = [float(ratio) for ratio in ratios]
    target = sum(_rigl_floor(size, density) for size in sizes)
    full: set[int] = set()
    scale = 0.0
    while len(full) < len(sizes):
        rest = [layer for layer in range(len(sizes)) if layer not in full]
        divisor = 0.0
        for layer in rest:
            divisor += ratios[layer] * sizes[layer]
        scale = (target - sum(sizes[layer] for layer in full)) / divisor
        largest = max(ratios[layer] for layer in rest)
        if largest * scale <= 1 + 1e-12:  # RigL: <= 1, which one unit in the last place can break
            break
        full |= {layer for layer in rest if ratios[layer] == largest}
    densities = [1.0 if i in full else min(scale * ratio, 1.0) for i, ratio in enumerate(ratios)]
    return [n - math.floor((1 - d) * n) for n, d in zip(sizes, densities, strict=True)]


def _quotas(shares: list[Fraction], total: int, capacities: list[int]) -> list[Fraction]:
    """Exact proportional parts, capped; the scale only grows, so a full layer stays full."""
    quotas = [Fraction(0)] * len(shares)
    rest, left = [layer for layer, share in enumerate(shares) if share > 0], total
    while rest:
        scale = Fraction(left) / sum(shares[layer] for layer in rest)
        over = [layer for layer in rest if scale * shares[layer] > capacities[layer]]
        for layer in over or rest:
            quotas[layer] = min(scale * shares[layer], Fraction(capacities[layer]))
        if not over:
            break
        left -= sum(capacities[layer] for layer in over)
        rest = [layer for layer in rest if layer not in over]
    return quotas


def _error(who: str, rule: str, got: object) -> ValueError:
    return ValueError(f"allocation.{who}: {rule}, got {got!r}")


def _check_integer(who: str, name: str, value: object, largest: int | None = None) -> int:
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # this is the check
    except TypeError:
        raise TypeError(f"allocation.{who}: {name} must be an integer, got {value!r}") from None
    if largest is not None and not 0 <= number <= largest:
        raise _error(who, f"{name} must be in [0, {largest}]", number)
    return number


def _check_fraction(who: str, name: str, value: object) -> float:
    if not isinstance(value, Real):  # numbers.Real: NumPy's scalars too
        raise TypeError(f"allocation.{who}: {name} must be a number, got {value!r}")
    fraction = float(value)
    if not 0 <= fraction <= 1:
        raise _error(who, f"{name} must be in [0, 1]", fraction)
    return fraction


def _check_not_negative(who: str, name: str, value: float | Fraction) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise _error(who, f"{name} must be finite and >= 0", value)


def _check_shapes(who: str, shapes: Shapes) -> list[tuple[int, ...]]:
    # Python integers throughout: products of NumPy's would overflow silently.
    checked = [tuple(_check_integer(who, "every dimension", n) for n in shape) for shape in shapes]
    if not checked:
        raise _error(who, "shapes must name at least one layer", shapes)
    for shape in checked:
        if len(shape) < 2 or min(shape) < 1:
            raise _error(who, "a shape must have two or more dimensions, all positive", shape)
    return checked


def _check_custom(who: str, custom: Mapping[int, float], n_layers: int) -> dict[int, float]:
    return {
        _check_integer(who, "custom layer index", layer, n_layers - 1): _check_fraction(
            who, f"custom density of layer {layer}", density
        )
        for layer, density in custom.items()
    }


def _check_counts(counts: object, shapes: Shapes) -> np.ndarray:
    sizes = [math.prod(shape) for shape in _check_shapes("allocate", shapes)]
    if not isinstance(counts, Sequence | np.ndarray):
        rule = "distribution must be a name, a function or a sequence of counts"
        raise TypeError(f"allocation.allocate: {rule}, got {counts!r}")
    if len(counts) != len(sizes):
        raise _error("allocate", f"counts must be one per layer ({len(sizes)})", len(counts))
    checked = [
        _check_integer("allocate", f"count of layer {layer}", count, size)
        for layer, (count, size) in enumerate(zip(counts, sizes, strict=True))
    ]
    return np.array(checked, dtype=np.int64)


def _check_apportion(
    shares: Iterable[float | Fraction], total: int, capacities: Iterable[int]
) -> tuple[list[Fraction], int, list[int]]:
    # Python numbers: a Fraction over NumPy integers would overflow silently.
    parts = [share.item() if isinstance(share, np.generic) else share for share in shares]
    limits = [_check_integer("apportion", "every capacity", limit) for limit in capacities]
    if len(parts) != len(limits) or not limits:
        rule = "shares and capacities must be equally many and at least one"
        raise _error("apportion", rule, (len(parts), len(limits)))
    for part in parts:
        _check_not_negative("apportion", "every share", part)
    if min(limits) < 0:
        raise _error("apportion", "every capacity must be >= 0", min(limits))
    room = sum(limit for part, limit in zip(parts, limits, strict=True) if part > 0)
    total = _check_integer("apportion", "total", total)
    if not 0 <= total <= room:
        rule = f"total must be in [0, {room}], the capacity of the layers with a share > 0"
        raise _error("apportion", rule, total)
    return [Fraction(part) for part in parts], total, limits
