"""What several networks say together, and how often they agree.

Everything is computed from outputs, ``net.predict(x)``: members may be networks of any kind.

References
----------
Paganini and Forde (2020), "On Iterative Neural Network Pruning, Reinitialization, and the
Similarity of Masks", appendix D: table 2 averages the predictions of networks that were pruned in
different ways; figure 14 counts the test examples on which two of them agree. The paper does not
say what is averaged; softmax probabilities are the default here. No code of it is public.
"""

from collections.abc import Callable, Sequence

import numpy as np

OF_CLASSES = -1  # axis


def ensemble(outputs: Sequence[np.ndarray], average: str = "softmax") -> np.ndarray:
    """Scores of an ensemble, whose prediction is their argmax.

    Parameters
    ----------
    outputs : sequence of (n, classes) arrays
        Logits of each member on the same examples; -inf is a probability of 0.
    average : str
        What the mean over members is taken of. ``softmax``: probabilities. ``logits``: the outputs
        as they are. ``log_probabilities``: normalised logits, whose mean is the geometric mean of
        probabilities. ``vote``: one for the class of a member's largest output, the first of
        equals.

    Returns
    -------
    (n, classes) float64

    Examples
    --------
    >>> members = np.array([[[0.6, 0.4, 0.0]], [[0.1, 0.45, 0.45]], [[0.1, 0.45, 0.45]]])
    >>> ensemble(members, "logits").round(4)
    array([[0.2667, 0.4333, 0.3   ]])
    """
    if average not in AVERAGES:
        raise ValueError(f"ensemble: average must be one of {list(AVERAGES)}, got {average!r}")
    members = _members(outputs, "ensemble")
    return np.mean([AVERAGES[average](member) for member in members], axis=0)


def ensemble_accuracy(
    outputs: Sequence[np.ndarray], y: np.ndarray, average: str = "softmax"
) -> float:
    """Fraction of examples that an ensemble gets right.

    Parameters
    ----------
    outputs, average
        As for `ensemble`.
    y : (n,)
        Labels.
    """
    scores, y = ensemble(outputs, average), np.asarray(y)
    if y.shape != scores.shape[:1]:
        raise ValueError(
            f"ensemble_accuracy: y must hold a label for each of {len(scores)} examples, "
            f"got shape {y.shape}"
        )
    return float(np.mean(scores.argmax(OF_CLASSES) == y))


def agreement(outputs: Sequence[np.ndarray]) -> np.ndarray:
    """On how many examples every two members predict the same class.

    Parameters
    ----------
    outputs : sequence of (n, classes) arrays
        As for `ensemble`.

    Returns
    -------
    (members, members) int64
        Symmetric; n on the diagonal.

    Examples
    --------
    >>> one, other = np.eye(3), np.eye(3)[[0, 1, 1]]
    >>> agreement([one, other])
    array([[3, 2],
           [2, 3]])
    """
    classes = np.array([member.argmax(OF_CLASSES) for member in _members(outputs, "agreement")])
    return (classes[:, None] == classes).sum(axis=2)


def _members(outputs, who):
    members = [np.asarray(member, np.float64) for member in outputs]
    shapes = {member.shape for member in members}
    if len(shapes) != 1 or len(*shapes) != 2 or 0 in max(shapes):
        raise ValueError(
            f"{who}: outputs must be one or more arrays of one shape (n, classes), "
            f"got shapes {[member.shape for member in members]}"
        )
    for k, member in enumerate(members):
        if np.isnan(member).any() or np.isinf(member.max(axis=OF_CLASSES)).any():
            raise ValueError(f"{who}: outputs must be numbers, got nan or inf of member {k}")
    return members


def _log_probabilities(logits):
    shifted = logits - logits.max(axis=OF_CLASSES, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=OF_CLASSES, keepdims=True))


def _votes(logits):
    return np.eye(logits.shape[OF_CLASSES])[logits.argmax(OF_CLASSES)]


AVERAGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "softmax": lambda logits: np.exp(_log_probabilities(logits)),
    "logits": lambda logits: logits,
    "log_probabilities": _log_probabilities,
    "vote": _votes,
}
