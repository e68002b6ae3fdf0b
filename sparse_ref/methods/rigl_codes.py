"""What published RigL codes do that the paper does not say: rankings, starting values, averages.

Nothing here is a method. `sparse_ref.methods.rigl` has the paper's algorithm and calls these where
an option asks for them, so that it can be read beside the paper.

References
----------
google-research/rigl, commit d39fc7d: ``rigl/sparse_optimizers_base.py`` (TF1) and
``rigl/rigl_tf2/mask_updaters.py`` (TF2). nollied/rigl-torch, 34d19e4: ``rigl_torch/RigL.py``.
Shiweiliuiiiiiii/In-Time-Over-Parameterization, 1b6a89e: ``sparselearning/core.py``.

Departures
----------
* TF1 keeps the values that absent connections had when they were dropped: a phantom comes back
  with its old value and momentum, and they count in the deviation of ``random_normal`` and the mean
  of ``random_uniform``. Nothing absent has a value here: a phantom starts like any grown
  connection, and absent ones count as 0.
* TF1 shuffles the initial values of all positions, also of those that were never connected;
  ``initial_dist`` draws from those of the connections, which have the same law.
* The noise has TF1's law, not its numbers: its seed is Python's salted hash of a name.

Memory: O(connections); with noise, one number for every position of a layer while it is ranked.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr
from sparse_ref.methods.base import check_name
from sparse_ref.selection import largest, largest_absent, meet

GROW_INITS = (
    "zeros",
    "random_normal",
    "random_uniform",
    "initial_dist",
    "grad_scale",
    "grad_sign",
)


class Memory(NamedTuple):
    """What RigL remembers where an option looks back."""

    initial: tuple[np.ndarray, ...] = ()  # (nnz,) of each sparse layer
    batches: tuple[Sequence[Any], ...] = ()  # the last batches' LayerGrads

    def mean(self, grads: Sequence[Any]) -> Sequence[Any]:
        """The mean gradients of the batches remembered, or `grads` where none are."""
        return [Averaged(each) for each in zip(*self.batches, strict=True)] or grads


class Averaged(NamedTuple):
    """The mean of the dense gradients of several batches, read in blocks as one of them is."""

    grads: tuple[Any, ...]  # LayerGrad of each batch

    def block(self, first: int, last: int) -> np.ndarray:
        """Rows ``first ... last - 1`` of the mean."""
        return sum(grad.block(first, last) for grad in self.grads) / len(self.grads)

    def at(self, positions: np.ndarray) -> np.ndarray:
        """The mean at flat `positions`, ascending and unique."""
        return sum(grad.at(positions) for grad in self.grads) / len(self.grads)


class Margins(NamedTuple):
    """One layer's decisions as flat positions, and by how much the closest were decided."""

    n_drop: int
    keep: np.ndarray
    drop: np.ndarray
    grow: np.ndarray
    drop_margin: float  # |weight|: weakest kept less strongest dropped; inf if there is no such two
    grow_margin: float  # |gradient|: least grown less best left out; inf if there is no such two


def margins_of(
    weight: csr_array, grad: Any, drop: np.ndarray, grow: np.ndarray, candidates: str = "allow"
) -> Margins:
    """The margins of `rigl.choose`'s decisions."""
    stays = np.ones(weight.nnz, bool)
    stays[drop] = False
    magnitudes, freed = np.abs(weight.data), drop if candidates == "allow" else drop[:0]
    n_free = math.prod(weight.shape) - weight.nnz + len(freed)
    best = largest_absent(weight, grad, min(len(grow) + 1, n_free), freed)  # one more than grow
    scores, grown = np.abs(gradient_at(grad, best)), meet(best, grow)[0]
    return Margins(
        len(drop),
        csr.positions_without(weight, drop),
        csr.positions_of(weight, drop),
        grow,
        _gap(magnitudes[stays], magnitudes[~stays]),
        _gap(scores[grown], scores[~grown]),
    )


def _gap(above, below):
    return float(above.min() - below.max()) if len(above) and len(below) else math.inf


def gradient_at(grad: Any, positions: np.ndarray) -> np.ndarray:
    """The dense gradient at flat `positions`, from an array or from its factors."""
    return grad.at(positions) if hasattr(grad, "at") else np.asarray(grad).reshape(-1)[positions]


def choose_of_all(
    weight: csr_array,
    grad: Any,
    n_drop: int,
    noise_std: float = 0.0,
    rng: np.random.Generator | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The sets dropped and grown by a code that ranks all positions, connected or not.

    Where fewer than ``nnz - n_drop`` connections stand above the zeros (or above the noise), an
    absent position is kept in place of a connection. Such a phantom is grown here, and one
    connection more is dropped; what else grows is chosen as in the paper.

    Returns
    -------
    drop : slots, ascending
    grow : as many flat positions, ascending
    """
    kept = kept_of_all(weight, weight.nnz - n_drop, noise_std, rng)
    rest = csr.from_positions(weight.shape, kept, np.zeros(len(kept), weight.dtype))
    grown = largest_absent(rest, grad, n_drop)
    stays, was_there = meet(csr.flat(weight), kept)
    return np.flatnonzero(~stays), np.sort(np.concatenate([kept[~was_there], grown]))


def kept_of_all(
    weight: csr_array, n_keep: int, noise_std: float = 0.0, rng: np.random.Generator | None = None
) -> np.ndarray:
    """Flat positions of the `n_keep` largest ``|weight|``, absent ones counting as 0; ascending.

    On ties the lower position is in, whether it is connected or not. With `noise_std` every
    position gets normal noise first.

    Examples
    --------
    >>> w = csr.from_positions((1, 6), np.array([2, 3, 4, 5]), np.array([0.4, 0, 0.2, 0]))
    >>> kept_of_all(w, 3)
    array([0, 2, 4])
    """
    present, magnitudes = csr.flat(weight), np.abs(weight.data)
    if noise_std:
        if rng is None:
            raise ValueError("RigL: tf1_noise_std needs a generator, got None")
        noise = noise_std * rng.standard_normal(math.prod(weight.shape))
        scores = noise.astype(weight.dtype)
        scores[present] += magnitudes
        return largest(scores, n_keep)
    above = present[magnitudes > 0]
    if n_keep <= len(above):
        return present[largest(magnitudes, n_keep)]
    zeros = np.setdiff1d(np.arange(n_keep), above, assume_unique=True)  # the lowest of them
    return np.sort(np.concatenate([above, zeros[: n_keep - len(above)]]))


def starting_values(
    weight: csr_array,
    grad: Any,
    grow: np.ndarray,
    init: str = "zeros",
    scale: float = 1.0,
    rng: np.random.Generator | None = None,
    initial: np.ndarray | None = None,
) -> np.ndarray:
    """Weights of the connections grown at flat positions `grow`.

    Parameters
    ----------
    weight, grad
        Before the event.
    grow : (n,) int64
    init : str
        ==================  ======================================================================
        ``zeros``           0
        ``random_normal``   N(0, s²) / scale, s the deviation of the whole layer, absent ones as 0
        ``random_uniform``  U(±m) / scale, m the layer's mean magnitude, absent ones as 0
        ``initial_dist``    some of the weights that the training began with, / scale
        ``grad_scale``      gradient / scale
        ``grad_sign``       sign of the gradient / scale
        ==================  ======================================================================
    scale : float
        The number at the end of the code's option (``random_normal_2``).
    rng : Generator, optional
        For the three that draw.
    initial : (nnz,), optional
        For ``initial_dist``.
    """
    check_name("RigL", "grow_init", init, GROW_INITS)
    n, positions = len(grow), math.prod(weight.shape)
    if init == "zeros":
        return np.zeros(n, weight.dtype)
    if init in ("grad_scale", "grad_sign"):
        values = gradient_at(grad, grow)
        return ((np.sign(values) if init == "grad_sign" else values) / scale).astype(weight.dtype)
    if rng is None:
        raise ValueError(f"RigL: grow_init {init!r} needs a generator, got None")
    data = weight.data.astype(np.float64)
    if init == "initial_dist":
        if initial is None or len(initial) < n:
            raise ValueError(f"RigL: grow_init {init!r} needs at least {n} initial values")
        values = rng.choice(initial, n, replace=False)
    elif init == "random_normal":
        values = rng.standard_normal(n) * math.sqrt(
            max(0.0, np.sum(data**2) / positions - (np.sum(data) / positions) ** 2)
        )
    else:
        mean = np.sum(np.abs(data)) / positions
        values = rng.uniform(-mean, mean, n)
    return (values / scale).astype(weight.dtype)
