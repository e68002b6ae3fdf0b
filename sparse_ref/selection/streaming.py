"""The largest of gradients that never exist all at once: of one layer, or of a whole network."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr
from sparse_ref.dense_gradient import scan
from sparse_ref.selection.bounded import corner
from sparse_ref.selection.checks import require_count, require_numbers
from sparse_ref.selection.ranking import largest

BLOCK_ELEMENTS = 1 << 18  # numbers of dense gradient that exist at a time (1 MB in float32), or
BLOCK_ROWS = 16  # so many rows if they are more: inputs are read anew for each block
SAMPLE = 1 << 15  # gradients looked at before the first block, to guess where the k-th largest is;
SAMPLED_ABOVE, MOST_SAMPLED = 64, 1 << 21  # more where so many would not lie above it, to a limit
SCATTER = 40503  # coprime to powers of two: spreads the sample over the columns
NOTHING = -1.0  # a threshold that every score exceeds
NONE = np.empty(0, np.int64)


class Ranked(NamedTuple):
    """What a layer has among the largest of the network."""

    positions: np.ndarray  # (c,) int64 flat positions in the layer, ascending
    scores: np.ndarray  # (c,) |gradient| there


def largest_absent(
    weight: csr_array,
    grad: Any,
    k: int,
    freed: np.ndarray | None = None,
    block_elements: int = BLOCK_ELEMENTS,
) -> np.ndarray:
    """Flat positions of the `k` absent connections with the largest ``|grad|``, ascending.

    Reads the gradient in blocks of rows. Beside one block it holds k candidates, and of the block
    those that may be among them; when they come to k and a quarter of a block, the k largest stay.

    Parameters
    ----------
    weight : (n_out, n_in) csr_array
    grad : (n_out, n_in) array, or object with ``block(first, last) -> (last - first, n_in)``
        Dense gradient, or its two factors (`LayerGrad`). What ``block`` returns is used up.
    k : int
        0 ... number of absent connections.
    freed : (n_drop,) int64, optional
        Slots to be dropped in the same event; their positions count as absent.
    block_elements : int
        Most numbers of gradient to hold at a time, but at least `BLOCK_ROWS` rows.
    """
    freed = NONE if freed is None else np.asarray(freed, np.int64)
    return _stream("largest_absent", [weight], [grad], k, [freed], block_elements)[0].positions


def largest_absent_of_all(
    weights: Sequence[csr_array],
    grads: Sequence[Any],
    k: int,
    freed: Sequence[np.ndarray] | None = None,
    block_elements: int = BLOCK_ELEMENTS,
) -> tuple[Ranked, ...]:
    """The `k` absent connections of a whole network with the largest ``|grad|``, by layer.

    Equal to sorting the gradients of all absent connections by (``|grad|`` descending, layer
    ascending, flat position ascending) and taking the first k. The layers are read one after the
    other like the blocks of one: memory is that of `largest_absent`, however many there are.

    Parameters
    ----------
    weights : sequence of csr_array
    grads : sequence
        As for `largest_absent`, one a layer.
    k : int
        0 ... number of absent connections of all layers.
    freed : sequence of (n_drop,) int64, optional
        Of each layer, as for `largest_absent`.
    block_elements : int
        As for `largest_absent`.

    Returns
    -------
    tuple of Ranked
        One a layer; their lengths add up to k.
    """
    freed = [NONE] * len(weights) if freed is None else [np.asarray(f, np.int64) for f in freed]
    if not len(weights) == len(grads) == len(freed):
        raise ValueError(
            "largest_absent_of_all: weights, grads and freed must be one a layer, "
            f"got {len(weights)}, {len(grads)} and {len(freed)}"
        )
    return _stream("largest_absent_of_all", weights, grads, k, freed, block_elements)


def _stream(who, weights, grads, k, freed, block_elements):
    sizes = [math.prod(weight.shape) for weight in weights]
    absent = sum(sizes) - sum(w.nnz - len(f) for w, f in zip(weights, freed, strict=True))
    require_count(who, k, absent)
    offsets = np.cumsum([0, *sizes])
    candidates = _Largest(k, NOTHING)
    for threshold in (_guess([w.shape for w in weights], grads, k), NOTHING) if k else ():
        candidates = _Largest(k, threshold)
        for layer in zip(offsets[:-1].tolist(), weights, grads, freed, strict=True):
            _add_layer(candidates, *layer, block_elements)
        if candidates.n >= k:  # else the guess was too high
            break
    candidates.bound(k)
    at, scores = candidates.all()
    return _by_layer(at, scores, offsets)


def _add_layer(candidates, offset, weight, grad, freed, block_elements):
    kept = csr.positions_without(weight, freed)
    sorted_factors = None
    if candidates.threshold != NOTHING and hasattr(grad, "factors"):
        delta, inputs = grad.factors()
        sorted_factors = corner(delta, inputs, candidates.threshold)
    if sorted_factors is not None:
        _add_corner(candidates, offset, sorted_factors, kept, block_elements)
        return
    for first, block in _blocks(weight.shape, grad, block_elements):
        candidates.add(offset, first * weight.shape[1], block.reshape(-1), kept)
        candidates.bound(candidates.k + block.size // 4)


def _add_corner(candidates, offset, factors, kept, block_elements):
    """Only what may exceed the threshold, in no order."""
    candidates.ordered = False
    for at, scores in factors.blocks(lambda: candidates.threshold, block_elements, BLOCK_ROWS):
        absent = ~_among(at, kept)
        candidates.take(at[absent] + offset, scores[absent])
        candidates.bound(candidates.k + block_elements // 4)


def _among(at, kept):
    """Which positions are kept ones; `kept` ascends."""
    if len(kept) == 0:
        return np.zeros(len(at), bool)
    return kept[np.minimum(np.searchsorted(kept, at), len(kept) - 1)] == at


def _by_layer(at, scores, offsets):
    ends = np.searchsorted(at, offsets)
    return tuple(
        Ranked(at[first:last] - offset, scores[first:last])
        for offset, first, last in zip(offsets[:-1], ends[:-1], ends[1:], strict=True)
    )


class _Largest:
    """The k largest of a stream of blocks.

    As long as blocks arrive in ascending order of layer and position, a score equal to the k-th
    largest so far comes too late: its position is higher. Out of order it may be in time.
    """

    def __init__(self, k, threshold):
        self.k, self.threshold, self.n, self.ordered = k, threshold, 0, True
        self.at, self.scores = [], []

    def add(self, offset, start, block, kept):
        """Take a block of a layer; its positions begin at `start`, those of the layer at offset."""
        if self.threshold == NOTHING:
            require_numbers("largest_absent", block, start)
        at, scores = scan(block, start, kept, self.threshold)
        if self.threshold != NOTHING:
            require_numbers("largest_absent", scores, at=at)
        self.take(at + offset, scores)

    def take(self, at, scores):
        """Take candidates."""
        if self.scores and scores.dtype != self.scores[0].dtype:
            raise TypeError(
                "largest_absent: gradients must be of one dtype, got "
                f"{self.scores[0].dtype} and {scores.dtype}"
            )
        self.n += len(at)
        self.at.append(at)
        self.scores.append(scores)

    def bound(self, most):
        """If there are more than `most`, keep the k largest of them, in one piece."""
        if self.n <= most:
            return
        at, scores = self.all()
        best = largest(scores, self.k)
        self.at, self.scores, self.n = [at[best]], [scores[best]], self.k
        least = self.scores[0].min()
        self.threshold = least if self.ordered else np.nextafter(least, least.dtype.type(0))

    def all(self):
        """Positions and scores of all candidates, by ascending position."""
        if not self.at:
            return NONE, NONE
        at, scores = np.concatenate(self.at), np.concatenate(self.scores)
        if self.ordered:
            return at, scores
        order = np.argsort(at)
        return at[order], scores[order]


def _guess(shapes, grads, k):
    """A number that somewhat more than k gradients are likely to exceed in magnitude.

    Spares the stream most candidates that would not stay; the result does not depend on it. Taken
    from a sample that is spread over the layers and is the same in every run.
    """
    positions = sum(map(math.prod, shapes))
    n = max(SAMPLE, min(SAMPLED_ABOVE * positions // k, 4 * k, MOST_SAMPLED))
    if positions < 8 * n or not all(hasattr(grad, "at") for grad in grads):
        return NOTHING
    stride = positions // n
    expected = k / stride
    rank = int(expected + 4 * math.sqrt(expected)) + 8  # four standard deviations on the safe side
    pairs = zip(shapes, grads, strict=True)
    scores = np.concatenate([np.abs(g.at(_spread(math.prod(s), stride))) for s, g in pairs])
    if rank >= len(scores):
        return NOTHING
    if np.isnan(scores).any():
        return NOTHING  # the stream will say where
    return np.partition(scores, len(scores) - rank)[len(scores) - rank]


def _spread(size, stride):
    """One position of each stretch of `stride` of them, scattered, so that no column is missed."""
    number = np.arange(size // stride)
    return number * stride + number * SCATTER % stride


def _blocks(shape, grad, block_elements):
    n_out, n_in = shape
    read = _block_reader(shape, grad)
    rows = max(BLOCK_ROWS, block_elements // max(1, n_in) // 4 * 4)  # its kernel takes rows by four
    for first in range(0, n_out, rows):
        block = read(first, min(first + rows, n_out))
        if block.dtype not in (np.float32, np.float64):
            raise TypeError(f"largest_absent: grad must be float32 or float64, got {block.dtype}")
        yield first, block


def _block_reader(shape, grad):
    if hasattr(grad, "block"):
        return grad.block
    grad = np.asarray(grad)
    if grad.shape != shape:
        raise ValueError(f"largest_absent: grad must have the shape {shape}, got {grad.shape}")
    return lambda first, last: np.array(grad[first:last], order="C")
