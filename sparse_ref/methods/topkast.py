"""Top-KAST: forward on the largest weights, backward on somewhat more of them.

Every position has a parameter θ. The forward pass uses the set A of the largest ``|θ|``, zero
elsewhere; gradients go to a larger set B, and what is not in B rests. A penalty, stronger on B
without A, keeps the chosen from growing just because they were chosen. A and B are chosen anew from
time to time, so a position can leave and come back with the θ it had.

Stored are the connections of B. `backward_only` names those outside A: the layers leave them out of
the forward pass, in training and in evaluation. So the number of connections and the density of a
network are those of B.

References
----------
Jayakumar, Pascanu, Rae, Osindero, Elsen (2020), "Top-KAST: Top-K Always Sparse Training", NeurIPS.
No code of the authors was found. A-Klass/torch_topkast (2022-12) is by others.

Departures
----------
* The paper's text was not verified, nor its values of D, M, λ and N: sets and penalty follow an
  account of others, whose formula has ``|θ|`` and calls it L2; hence `penalty`.
* The paper gives D and M; here B is as large as the layer, in connections, and A a share of it.
  `sets` is the paper's form.
* Before the first event, which ends step 1, B is where the network has connections, and A the
  largest of them. θ elsewhere is drawn from the layer's own initial weights.
* The penalty acts on the weights beside the optimizer and does not enter its buffers. What enters
  B starts with empty buffers.
* Layers kept dense, in many papers the first and the last, are the model's ``dense=``.
* A-Klass/torch_topkast is no convention. Its sets are cut at a quantile, so that ties enlarge them
  and no count is kept; its penalty outside A is taken where those weights are still zero; after a
  refresh its optimizer holds the weights of before; it evaluates with all of θ.

Memory: O(positions): this method is not truly sparse. It holds θ of every layer, and a refresh some
copies of it. Steps between refreshes cost what the connections of B cost.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr
from sparse_ref.csr import Rewire
from sparse_ref.layers import LayerGrad
from sparse_ref.methods.base import Method, check_given_steps, check_name, check_steps
from sparse_ref.network import Network
from sparse_ref.schedules import Every
from sparse_ref.selection import largest, meet, smallest
from sparse_ref.shadow import spread

PENALTIES = {
    "l1": lambda values: np.sum(np.abs(values)),
    "l2_squared": lambda values: np.sum(values * values),
    "l2_norm": lambda values: _norm(values),
}


class State(NamedTuple):
    """What Top-KAST remembers; one entry of each tuple a sparse layer."""

    theta: tuple[np.ndarray, ...]  # (n_out * n_in,); in B as it was at the last refresh
    backward: tuple[np.ndarray, ...]  # slots of B outside A
    counts: tuple[tuple[int, int], ...]  # |A|, |B|


@dataclass(frozen=True)
class TopKAST(Method):
    """Top-K always sparse training.

    Parameters
    ----------
    forward_share : float
        ``|A| / |B|``, in (0, 1]. One half is M = D: forward sparsity 0.9 and backward sparsity 0.8,
        believed to be among the paper's settings, not verified.
    refresh_every : int, steps
        N, between refreshes of A and B, of which the first ends step 1. At 1, the definition, each
        step ranks every position; the paper is said to find 100 as good.
    penalty : str
        ``l1``: ``|θ|`` summed. ``l2_squared``: ``θ²`` summed. ``l2_norm``: the norms of the
        two parts, A and the rest. The rest counts ``1 / D``, D being the layer's forward density.
    penalty_weight : float
        λ; 0 for none.
    explore_until : int, steps, optional
        From the first refresh at this step or later B is A, and the network has no more connections
        than A. Weights of A may still give way to others. By default, never.
    """

    forward_share: float = 0.5
    refresh_every: int = 1
    penalty: str = "l1"
    penalty_weight: float = 1e-4
    explore_until: int | None = None

    starts = None
    dense_state = True
    drifts = True
    rests_at_end = False  # the last refresh decides with which weights the network is evaluated

    def __post_init__(self) -> None:
        for name in ("forward_share", "penalty_weight"):
            _check_kind(name, getattr(self, name))
        if not 0 < self.forward_share <= 1:
            raise ValueError(f"TopKAST: forward_share must be in (0, 1], got {self.forward_share}")
        if not 0 <= self.penalty_weight < math.inf:
            rule = "penalty_weight must be at least 0 and finite"
            raise ValueError(f"TopKAST: {rule}, got {self.penalty_weight}")
        check_name("TopKAST", "penalty", self.penalty, list(PENALTIES))
        check_steps("TopKAST", refresh_every=self.refresh_every)
        check_given_steps("TopKAST", explore_until=self.explore_until)

    @property
    def conserves(self) -> str:
        """Layers keep their counts, unless exploration ends and B shrinks to A."""
        return "layer" if self.explore_until is None else "nothing"

    def due(self, step: int) -> bool:
        """At steps 1, 1 + N, 1 + 2 N, ..."""
        return Every(self.refresh_every, start=1).due(step)

    def init(self, net: Network, rng: np.random.Generator) -> State:
        """θ of every position, and A among the connections there are."""
        weights = [layer.weight for layer in net.sparse_layers]
        streams = rng.spawn(len(weights))
        theta = tuple(
            spread(w, stream).reshape(-1) for w, stream in zip(weights, streams, strict=True)
        )
        counts = tuple((forward_count(self.forward_share, w.nnz), w.nnz) for w in weights)
        pairs = zip(weights, counts, strict=True)
        backward = tuple(smallest(np.abs(w.data), n - forward) for w, (forward, n) in pairs)
        return State(theta, backward, counts)

    def backward_only(self, state: State) -> tuple[np.ndarray, ...]:
        """B without A."""
        return state.backward

    def drift(
        self, net: Network, state: State, rate: float, rng: np.random.Generator
    ) -> list[np.ndarray]:
        """``-η λ`` times the gradient of the penalty; draws nothing."""
        drifts = []
        for layer, backward in zip(net.sparse_layers, state.backward, strict=True):
            weight = layer.weight
            density = (weight.nnz - len(backward)) / math.prod(weight.shape)
            gradient = penalty_gradient(weight.data, backward, density, self.penalty)
            drifts.append(weight.dtype.type(-rate * self.penalty_weight) * gradient)
        return drifts

    def rewire(
        self,
        net: Network,
        grads: Sequence[LayerGrad],
        state: State,
        step: int,
        rng: np.random.Generator,
    ) -> tuple[tuple[Rewire, ...], State]:
        """Each layer by itself; draws nothing."""
        explores = self.explore_until is None or step < self.explore_until
        refreshed = [
            refresh(layer.weight, theta, n_forward, n if explores else n_forward)
            for layer, theta, (n_forward, n) in zip(
                net.sparse_layers, state.theta, state.counts, strict=True
            )
        ]
        rewires, theta, backward = zip(*refreshed, strict=True) if refreshed else ((), (), ())
        return rewires, state._replace(theta=theta, backward=backward)


def sets(theta: np.ndarray, D: float, M: float) -> tuple[np.ndarray, np.ndarray]:
    """The forward set A and the backward set B of one layer.

    Parameters
    ----------
    theta : (n_out, n_in) or (N,)
    D, M : float
        ``|A| = round(D N)`` and ``|B| = round((D + M) N)``, halves to even, N at most.

    Returns
    -------
    A, B : (|A|,), (|B|,) int64
        Flat positions, ascending; A is part of B.

    Examples
    --------
    >>> A, B = sets(np.array([0.5, -0.4, 0.3, -0.2, 0.1, 0.05, -0.6, 0.01]), D=0.25, M=0.25)
    >>> A.tolist(), B.tolist()
    ([0, 6], [0, 1, 2, 6])
    """
    for name, value in (("D", D), ("M", M)):
        if not 0 <= value < math.inf:
            raise ValueError(f"TopKAST: {name} must be at least 0 and finite, got {value}")
    n = np.size(theta)
    counts = min(n, round(D * n)), min(n, round((D + M) * n))
    return _top(np.abs(np.ravel(theta)), *counts)


def _top(sizes, n_forward, n_backward):
    """A within B is A within everything: the order is the same."""
    backward = largest(sizes, n_backward)
    return backward[largest(sizes[backward], n_forward)], backward


def refresh(
    weight: csr_array, theta: np.ndarray, n_forward: int, n_backward: int
) -> tuple[Rewire, np.ndarray, np.ndarray]:
    """Choose A and B anew.

    Parameters
    ----------
    weight : (n_out, n_in) csr_array
        B as it was, trained.
    theta : (n_out * n_in,)
        The positions outside B count; not changed.
    n_forward, n_backward : int
        |A| and |B|.

    Returns
    -------
    rewire : Rewire
        From the old B to the new one; what enters brings its θ.
    theta : (n_out * n_in,)
        Brought up to date.
    backward : (|B| - |A|,) int64
        Slots of B without A in the new weight.
    """
    before, theta = csr.flat(csr.check(weight, "TopKAST")), theta.copy()
    theta[before] = weight.data
    forward, after = _top(np.abs(theta), n_forward, n_backward)
    stays, stayed = meet(before, after)
    grow = after[~stayed]
    rewire = Rewire(np.flatnonzero(~stays), grow, theta[grow])
    return rewire, theta, np.flatnonzero(~meet(after, forward)[0])


def penalty(values: np.ndarray, backward: np.ndarray, density: float, form: str = "l1") -> float:
    """The penalty of one layer, without λ: that of A, and that of the rest over D.

    Parameters
    ----------
    values : (nnz,)
        θ of B.
    backward : (n,) int64
        Slots of B without A.
    density : float
        D, above 0 unless B is empty.
    form : str
        See `TopKAST`.
    """
    check_name("TopKAST", "penalty", form, list(PENALTIES))
    inside, outside = (float(PENALTIES[form](part)) for part in _parts(values, backward))
    return inside + (outside / density if len(backward) else 0.0)


def penalty_gradient(
    values: np.ndarray, backward: np.ndarray, density: float, form: str = "l1"
) -> np.ndarray:
    """Derivative of `penalty` by `values`; 0 where it has a kink."""
    check_name("TopKAST", "penalty", form, list(PENALTIES))
    gradient = np.sign(values) if form == "l1" else 2 * values
    if form == "l2_norm":
        inside, outside = (_norm(part) or 1 for part in _parts(values, backward))
        gradient = values / inside
        gradient[backward] = values[backward] / outside
    gradient[backward] /= values.dtype.type(density or 1)
    return gradient


def _parts(values, backward):
    """Those of A, and the rest of B."""
    return np.delete(values, backward), values[backward]


def _norm(values):
    """Not BLAS's: its order of summation may depend on the number of threads."""
    return np.sqrt(np.sum(values * values))


def forward_count(share: float, n_backward: int) -> int:
    """|A|: ``share * |B|`` to the nearest, halves to even, at least one where B is not empty."""
    return min(n_backward, max(1, round(share * n_backward)))


def _check_kind(name, value):
    if not isinstance(value, Real):
        raise TypeError(f"TopKAST: {name} must be a number, got {type(value).__name__}")
