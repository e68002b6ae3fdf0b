"""Losses: value, and derivative by the network's outputs. Both are means over the examples."""

from collections.abc import Callable

import numpy as np
from numba import njit

from sparse_ref import tiles
from sparse_ref.elementary import exp, log

Loss = Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]


def softmax_cross_entropy(outputs: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean of ``-log softmax(outputs)[label]``.

    Parameters
    ----------
    outputs : (tiles, classes, width)
        Logits.
    labels : (n,) integers in [0, classes)
        The other ``tiles * width - n`` examples are padding.

    Returns
    -------
    value : float
    delta : (tiles, classes, width)
        dvalue/doutputs; zero in padded examples.

    Notes
    -----
    Evaluated in float64 with `sparse_ref.elementary`, so the bits do not depend on the host.
    """
    labels = _checked_labels("softmax_cross_entropy", labels, outputs)
    delta = tiles.empty(outputs.shape, outputs.dtype)
    return _softmax_cross_entropy(outputs, labels, delta), delta


def squared_error(outputs: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean over examples of ``1/2 sum (outputs - targets)^2``.

    Parameters
    ----------
    outputs : (tiles, n_out, width)
    targets : (n, n_out) floats, or (n,) integers
        Integers stand for one-hot rows.

    Returns
    -------
    value, delta
        As `softmax_cross_entropy`.
    """
    targets = _checked_targets("squared_error", targets, outputs)
    n = len(targets)
    error = tiles.unpack(outputs, n) - targets
    value = 0.5 * float(np.sum(np.square(error, dtype=np.float64))) / n
    delta = np.zeros_like(outputs)
    rows = delta.transpose(0, 2, 1)
    for t in range(len(rows)):
        part = error[t * rows.shape[1] : (t + 1) * rows.shape[1]]
        rows[t, : len(part)] = part / outputs.dtype.type(n)
    return value, delta


def sigmoid_squared_error(outputs: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean over examples of ``1/2 sum (y - targets)^2`` with ``y = sigmoid(outputs)``.

    Parameters
    ----------
    outputs : (tiles, n_out, width)
        Before the sigmoid. It keeps their order, so the class is still their argmax.
    targets : (n, n_out) floats, or (n,) integers
        Integers stand for one-hot rows.

    Returns
    -------
    value : float
    delta : (tiles, n_out, width)
        dvalue/doutputs, ``(y - targets) y (1 - y) / n``; zero in padded examples.

    Notes
    -----
    Evaluated in float64 with `sparse_ref.elementary`, so the bits do not depend on the host.
    """
    return _through_sigmoid("sigmoid_squared_error", outputs, targets, 1)


def sigmoid_squared_error_mocanu_code(
    outputs: np.ndarray, targets: np.ndarray
) -> tuple[float, np.ndarray]:
    """The value of `sigmoid_squared_error` with the derivative that SET's authors' code uses.

    Their derivative of the sigmoid takes the output before the sigmoid, and is given the one after
    it: ``(y - targets) s (1 - s) / n`` with ``s = sigmoid(y)``. That factor is 0.197 to 0.25 for
    every output, where the true one goes to 0 for outputs near 0 or 1. Parameters and result
    otherwise as there.

    References
    ----------
    The code that goes with Mocanu et al. (2018), `set_mlp.py` of the ECML-PKDD 2019 tutorial.
    """
    return _through_sigmoid("sigmoid_squared_error_mocanu_code", outputs, targets, 2)


LOSSES: dict[str, Loss] = {
    "softmax_cross_entropy": softmax_cross_entropy,
    "squared_error": squared_error,
    "sigmoid_squared_error": sigmoid_squared_error,
    "sigmoid_squared_error_mocanu_code": sigmoid_squared_error_mocanu_code,
}


def _through_sigmoid(who, outputs, targets, times):
    targets = _checked_targets(who, targets, outputs)
    delta = tiles.empty(outputs.shape, outputs.dtype)
    return _sigmoid_squared_error(outputs, targets, times, delta), delta


def _checked_targets(who, targets, outputs):
    """Rows in the outputs' dtype."""
    targets = np.asarray(targets)
    if np.issubdtype(targets.dtype, np.integer):
        labels = _checked_labels(who, targets, outputs)
        return np.eye(outputs.shape[1], dtype=outputs.dtype)[labels]
    n, room = len(targets), outputs.shape[0] * outputs.shape[2]
    if targets.shape != (n, outputs.shape[1]) or not 0 < n <= room:
        raise ValueError(
            f"{who}: targets must have shape (n, {outputs.shape[1]}) with n from 1 to "
            f"{room}, got {targets.shape}"
        )
    return targets.astype(outputs.dtype)


def _checked_labels(who, labels, outputs):
    labels = np.asarray(labels)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{who}: labels must be one-dimensional integers, got shape {labels.shape} "
            f"and dtype {labels.dtype}"
        )
    if not 0 < len(labels) <= outputs.shape[0] * outputs.shape[2]:
        raise ValueError(
            f"{who}: there must be 1 to {outputs.shape[0] * outputs.shape[2]} labels, "
            f"got {len(labels)}"
        )
    if labels.min() < 0 or labels.max() >= outputs.shape[1]:
        worst = labels.min() if labels.min() < 0 else labels.max()
        raise ValueError(f"{who}: labels must be in [0, {outputs.shape[1]}), got {worst}")
    return labels.astype(np.int64)


@njit(cache=True)
def _softmax_cross_entropy(outputs, labels, delta):
    # delta = (softmax - one-hot) / n
    n_tiles, classes, width = outputs.shape
    n, value = labels.size, 0.0
    for t in range(n_tiles):
        for lane in range(width):
            example = t * width + lane
            if example >= n:
                delta[t, :, lane] = 0
                continue
            top = outputs[t, 0, lane]
            for c in range(1, classes):
                top = max(top, outputs[t, c, lane])
            norm = 0.0
            for c in range(classes):
                norm += exp(np.float64(outputs[t, c, lane]) - np.float64(top))
            label = labels[example]
            value += log(norm) + np.float64(top) - np.float64(outputs[t, label, lane])
            for c in range(classes):
                share = exp(np.float64(outputs[t, c, lane]) - np.float64(top)) / norm
                delta[t, c, lane] = (share - (1.0 if c == label else 0.0)) / n
    return value / n


@njit(cache=True)
def _sigmoid(x):
    return 1.0 / (1.0 + exp(-x))


@njit(cache=True)
def _sigmoid_squared_error(outputs, targets, times, delta):
    # y = sigmoid(outputs); delta = (y - targets) s (1 - s) / n, s the sigmoid applied `times` times
    n_tiles, n_out, width = outputs.shape
    n, value = targets.shape[0], 0.0
    for t in range(n_tiles):
        for lane in range(width):
            example = t * width + lane
            if example >= n:
                delta[t, :, lane] = 0
                continue
            for j in range(n_out):
                y = _sigmoid(np.float64(outputs[t, j, lane]))
                s = _sigmoid(y) if times == 2 else y
                error = y - np.float64(targets[example, j])
                value += 0.5 * error * error
                delta[t, j, lane] = error * s * (1.0 - s) / n
    return value / n
