"""Iterative pruning: train, prune, treat the survivors, train again.

References
----------
Frankle and Carbin (2019), "The Lottery Ticket Hypothesis", strategy 1; Frankle et al. (2019) for
late rewinding, as in facebookresearch/open_lth: the network is trained for `rewind_step` steps,
and every level, the first too, goes on from there, with the batches and the learning rates from
that step on. Paganini and Forde (2020), "On Iterative Neural Network Pruning, Reinitialization, and
the Similarity of Masks" (iclr-8dafb2ab/iterative-pruning-reinit, ``dag.py``): the seed is set anew
for every level, so all levels see the same batches in the same order.

Departures
----------
* open_lth multiplies by masks and lets the optimizer write to masked entries. Trajectories of
  survivors are the same as here under SGD with or without momentum and weight decay; they would not
  be with rules that use a norm over all weights.
* Masks2020's program (and PyTorch's ``prune``) ranks, from the second pruning on, weights as they
  were before the last optimizer step. Here they are ranked as they are.

Cost
----
Dense weights, and as many first values, until the first pruning; then 8 more bytes a survivor in
float64, 4 in float32 (see `sparse_ref.lottery.origin` for the exceptions).
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from sparse_ref.history import History
from sparse_ref.layers.base import is_sparse
from sparse_ref.lottery.origin import Origin
from sparse_ref.lottery.treatments import Treatment, as_treatment
from sparse_ref.methods import Method, Static
from sparse_ref.methods.base import check_number
from sparse_ref.network import Network
from sparse_ref.optim import Optimizer
from sparse_ref.pruning import Pruner, ZhouCriterion
from sparse_ref.pruning.weights import check_generator, is_whole
from sparse_ref.train import Augment, Callback, fit

NONE = np.empty(0, np.int64)
FASTER_ON_BLAS = 0.9  # density; measured, see `iterative_pruning`


@dataclass(frozen=True)
class Level:
    """One training of a chain.

    Attributes
    ----------
    number : int
        Prunings before it.
    network : Network
        As the training left it. It is the caller's: later levels do not touch it.
    history : History
    """

    number: int
    network: Network
    history: History

    @property
    def density(self) -> float:
        """Of the network."""
        return self.network.density


def iterative_pruning(
    net: Network,
    data: tuple[np.ndarray, np.ndarray],
    *,
    levels: int,
    pruner: Pruner,
    treatment: str | Treatment = "rewind",
    rewind_step: int = 0,
    optimizer: Optimizer,
    epochs: int,
    batch_size: int,
    rng: np.random.Generator,
    method: Method | None = None,
    blas_above: float | None = None,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    callbacks: Sequence[Callback] = (),
    augment: Augment | None = None,
) -> Iterator[Level]:
    """Train `net`; then prune, treat and train what is left, `levels` times.

    Parameters
    ----------
    net : Network
        Best of dense layers (``density=None``). Trained in place as level 0; later levels are
        networks of their own.
    data, optimizer, epochs, batch_size, validation, callbacks, augment
        As for `sparse_ref.fit`, of every level; the optimizer starts anew at each.
    levels : int
        Prunings; one level more is trained.
    pruner : callable
        ``pruner(weights, rng)``, for each of ``net.weighted`` the slots to remove, or None to leave
        the layer as it is: see `sparse_ref.pruning`. `pruning.ZhouCriterion` is handed the first
        weights, too.
    treatment : str or Treatment
        What becomes of the survivors: see `sparse_ref.lottery.treatments`.
    rewind_step : int
        The step whose weights are "first", and at which every level begins. With ``finetune``
        weights stay, and schedules and batches go back to it.
    rng : Generator
        Two streams are spawned from it. Every level's training gets a copy of the first, so all
        see the same batches; each pruning and treatment has a stream of its own of the second.
    method : Method, optional
        Must not rewire, since grown connections have no first value. `Static` by default.
    blas_above : float, optional
        For `Network.on_blas_above`, of `net` from level 0 on and of all networks that come of it:
        sparse layers denser than this compute on BLAS, which makes a dense copy of the layer at
        every step. By default as `net` is set. `FASTER_ON_BLAS` pays: at a density of 0.8 CSR was
        as fast already (LeNet 300-100, batches of 32 and of 128, one thread). Masks do not depend
        on it unless rounding decides between two weights.

    Yields
    ------
    Level
        From 0 to `levels`, each as its training ends. Let go of a level's network before asking
        for the next level, and nothing of it is kept.

    Raises
    ------
    ValueError
        A level rewired, or arguments are out of range.
    TypeError
        An argument is of another kind.
    """
    _check(levels, rewind_step, pruner, rng, blas_above)
    train = partial(
        fit,
        data=data,
        optimizer=optimizer,
        epochs=epochs,
        batch_size=batch_size,
        method=Static() if method is None else method,
        validation=validation,
        callbacks=callbacks,
        augment=augment,
    )
    treatment = as_treatment(treatment)
    return _levels(net, train, levels, pruner, treatment, rewind_step, rng, blas_above)


def _levels(net, train, levels, pruner, treatment, rewind_step, rng, blas_above):
    if blas_above is not None:
        net.on_blas_above(blas_above)
    same, draws = rng.spawn(2)
    if rewind_step:
        train(net, rng=copy.deepcopy(same), span=(0, rewind_step))
    origin = Origin(net, treatment, wanted=isinstance(pruner, ZhouCriterion))
    first = rewind_step
    for number, stream in enumerate(draws.spawn(levels)):
        yield _trained(number, net, train(net, rng=copy.deepcopy(same), span=(first, None)))
        net = _next(net, pruner, origin, stream)
        anew = treatment.kind == "reinitialise" and treatment.from_step_zero
        first = 0 if anew else rewind_step
    yield _trained(levels, net, train(net, rng=copy.deepcopy(same), span=(first, None)))


def _next(net, pruner, origin, rng):
    """The network that the next level trains."""
    to_prune, to_treat = rng.spawn(2)
    child, sources = _pruned(net, _drops(pruner, net, to_prune, origin))
    origin.follow(sources)
    origin.treat(child, to_treat)
    return child


def _drops(pruner, net, rng, origin):
    """Slots to remove of each layer, None where a dense layer is to stay."""
    weights = [layer.weight for layer in net.weighted]
    initial = {"initial": origin.weights} if isinstance(pruner, ZhouCriterion) else {}
    drops = pruner(weights, rng, **initial)
    if len(drops) != len(weights):
        raise ValueError(
            f"iterative_pruning: pruner must return slots for each of {len(weights)} layers, "
            f"got {len(drops)}"
        )
    return [_spared(layer, drop) for layer, drop in zip(net.weighted, drops, strict=True)]


def _trained(number, net, history):
    if history.events:
        raise ValueError(
            f"iterative_pruning: method must not rewire, got {len(history.events)} events at "
            f"level {number}"
        )
    return Level(number, net, history)


def _pruned(net, drops):
    """A network of the survivors that shares nothing with `net`, and `sources`.

    Nothing is copied that is about to go: layers are taken over, then pruned. A dense layer that
    loses nothing stays dense.
    """
    taken: dict[int, Any] = {id(layer): copy.copy(layer) for layer in net.weighted}
    rest = {id(la): copy.deepcopy(la) for la in net.layers if id(la) not in taken}
    child = copy.copy(net)
    child.layers = tuple((taken | rest)[id(layer)] for layer in net.layers)
    sources = child.prune(drops)
    for layer, source in zip(child.weighted, sources, strict=True):
        layer.bias = layer.bias.copy()
        if source is None:
            layer.weight = layer.weight.copy()
    return child, sources


def _spared(layer, drop):
    """None for a dense layer that loses nothing; slots, perhaps none, for any other."""
    nothing = drop is None or not len(drop)
    if not is_sparse(layer):
        return None if nothing else drop
    return NONE if nothing else drop


def _check(levels, rewind_step, pruner, rng, blas_above):
    check_generator("iterative_pruning", rng)
    if not callable(pruner):
        raise TypeError(f"iterative_pruning: pruner must be callable, got {pruner!r}")
    if blas_above is not None:
        check_number("iterative_pruning", "blas_above", blas_above, "at least 0", lambda d: d >= 0)
    for name, value in (("levels", levels), ("rewind_step", rewind_step)):
        if not is_whole(value) or value < 0:
            raise ValueError(
                f"iterative_pruning: {name} must be a whole number of at least 0, got {value}"
            )
