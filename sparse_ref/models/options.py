"""What all models take, and how it is checked."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Required, TypedDict

import numpy as np

from sparse_ref.topology.patterns import Topology, layers_of

NOT_GIVEN: Any = object()  # None says "dense"
DRAWS = ("exact", "bernoulli", "with_replacement")


class Options(TypedDict, total=False):
    """Keywords of every model; `sparse_ref.models.mlp` explains them."""

    density: float | None
    distribution: str | Sequence[int]
    structure: Topology | None
    rng: Required[np.random.Generator]
    dtype: Any
    dense: Sequence[int]
    draw: str
    initialisation: str
    fan: str
    loss: str


def require_name(who: str, option: str, name: Any, known: Sequence[Any]) -> None:
    """Refuse a name that is not known."""
    if name not in known:
        raise ValueError(f"{who}: {option} must be one of {list(known)}, got {name!r}")


def require_positive(who: str, **numbers: float) -> None:
    """Refuse what is not a positive finite number."""
    for name, value in numbers.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{who}: {name} must be positive and finite, got {value}")


def require_counts(who: str, **counts: int) -> None:
    """Refuse what is not a positive whole number."""
    for name, value in counts.items():
        if int(value) != value or value < 1:
            raise ValueError(f"{who}: {name} must be a positive whole number, got {value}")


def checked_shape(who: str, shape: Any) -> tuple[int, ...]:
    """The shape of an example: a number of features, or an image's."""
    sides = tuple(shape) if isinstance(shape, Sequence) else ()
    if len(sides) not in (1, 3) or any(int(side) != side or side < 1 for side in sides):
        raise ValueError(
            f"{who}: image must be (channels, height, width), three positive whole numbers, "
            f"got {shape}"
        )
    return tuple(map(int, sides))


def streams(who: str, rng: np.random.Generator, n: int) -> list[np.random.Generator]:
    """One stream a layer, by way of one child, so that the depth moves no later draw from `rng`."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"{who}: rng must be a numpy.random.Generator, got {type(rng).__name__}")
    (own,) = rng.spawn(1)
    return own.spawn(n)


def layer_numbers(who: str, dense: Sequence[int], n: int) -> set[int]:
    """The numbers in `dense`, -1 being the last of `n` layers, as 0 ... n - 1."""
    wrong = [k for k in dense if not -n <= k < n]
    if wrong:
        raise ValueError(f"{who}: dense must name layers in [{-n}, {n}), got {wrong[0]}")
    return {k % n for k in dense}


def given_density(who: str, density: float | None) -> float | None:
    """The density, which must be said."""
    if density is NOT_GIVEN:
        raise TypeError(f"{who}: density must be given (None for a dense network), or structure")
    return density


def refuse_beside_structure(who: str, given: Mapping[str, Any]) -> None:
    """What says which connections there are must be left out where they are given."""
    for option, left_out in (("density", NOT_GIVEN), ("distribution", "erk"), ("draw", "exact")):
        value = given[option]
        if value is not left_out and not (isinstance(value, str) and value == left_out):
            raise ValueError(f"{who}: {option} must be left out beside structure, got {value!r}")


def patterns(
    who: str, shapes: Sequence[tuple[int, int]], structure: Topology, dense: set[int]
) -> list[Any]:
    """Connections per layer as they were given; None where the layer is dense."""
    sparse = [k for k in range(len(shapes)) if k not in dense]
    layers = layers_of(structure, f"{who}: structure")
    if len(layers) != len(sparse):
        raise ValueError(
            f"{who}: structure must have a pattern for each of {len(sparse)} sparse layers, "
            f"got {len(layers)}"
        )
    for k, layer in zip(sparse, layers, strict=True):
        if layer.shape != shapes[k]:
            raise ValueError(
                f"{who}: structure of layer {k} must have shape {shapes[k]}, got {layer.shape}"
            )
    given = dict(zip(sparse, layers, strict=True))
    return [given.get(k) for k in range(len(shapes))]


def numbers_of_draws(who: str, given: Sequence[int], n: int) -> list[int]:
    """How often a position of each sparse layer is drawn, with replacement."""
    numbers = [int(number) for number in given]
    if len(numbers) != n or any(number < 0 for number in numbers):
        raise ValueError(f"{who}: numbers of draws must be {n}, none negative, got {list(given)}")
    return numbers
