"""What treatments go back to: the values at the rewinding point, aligned with the survivors.

They shrink with the network, through the `sources` of its prunings. So after the first pruning
nothing is as large as a dense layer, unless the treatment is one of two that ask for it:
``permute_all`` and ``resample`` need the first values of pruned weights at every level, and a copy
of the layers' first tensors is kept for them.
"""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr
from sparse_ref.initialise import initial_bias, initial_weights, kernel_of
from sparse_ref.layers.base import is_weighted, state_of
from sparse_ref.lottery import treatments
from sparse_ref.lottery.treatments import Treatment
from sparse_ref.network import Network


class Origin:
    """First values of a network, and how a treatment makes starting values of them.

    Parameters
    ----------
    net : Network
        At the rewinding point; copied from, not kept.
    treatment : Treatment
    wanted : bool
        Keep first weights although the treatment does not ask for them (``finetune``).

    Attributes
    ----------
    weights : list of (n,) arrays
        First values of the connections of each of ``net.weighted``, in slot order; empty if they
        are not kept.
    """

    def __init__(self, net: Network, treatment: Treatment, wanted: bool = False):
        self.treatment, kept = treatment, wanted or treatment.kind != "finetune"
        self.weights = [_values(layer).copy() for layer in net.weighted if kept]
        self._biases = [_bias(layer).copy() for layer in net.weighted if kept]
        self._rest = [value.copy() for value in _rest(net) if kept]
        sigmas = treatment.kind == "sigma_sign"
        self._sigmas = self._all_sigmas("weights", self.weights) if sigmas else []
        treats = sigmas and treatment.biases
        self._bias_sigmas = self._all_sigmas("biases", self._biases) if treats else []
        self._every = [first for first in self.weights if treatment.needs_all]
        self._slots = [np.arange(len(first)) for first in self._every]

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        lists = (self.weights, self._biases, self._rest, self._every, self._slots)
        held = {id(array): array.nbytes for arrays in lists for array in arrays}
        return sum(held.values())

    def follow(self, sources: Sequence[np.ndarray | None]) -> None:
        """Keep what belongs to the survivors of a pruning; `sources` as `Network.prune` returns."""
        for arrays in (self.weights, self._slots):
            for k, first in enumerate(arrays):
                source = sources[k]
                if source is not None:
                    arrays[k] = csr.carry(first, source)

    def treat(self, net: Network, rng: np.random.Generator) -> None:
        """Write the starting values of the next training into `net`, the survivors.

        Parameters
        ----------
        net : Network
            Pruned, with the values that the last training left. Changed in place.
        rng : Generator
            One stream a layer is spawned from it.
        """
        if self.treatment.kind == "finetune":
            return
        streams = rng.spawn(len(net.weighted))
        for k, (layer, stream) in enumerate(zip(net.weighted, streams, strict=True)):
            draws, bias_draws = stream.spawn(2)
            _values(layer)[:] = self._weight(k, layer, draws)
            if self.treatment.biases and len(_bias(layer)):
                layer.bias[:] = self._bias(k, layer, bias_draws)
        for value, first in zip(_rest(net), self._rest, strict=True):
            value[:] = first

    def _weight(self, k, layer, rng):
        first, treatment = self.weights[k], self.treatment
        if treatment.kind == "rewind":
            return first
        if treatment.kind == "sign":
            return np.sign(first)
        if treatment.kind == "sigma_sign":
            alive = treatment.sigma_over == "alive_initial"
            sigma = self._sigma(k, "weights", first) if alive else self._sigmas[k]
            return treatments.sigma_sign(first, sigma)
        if treatment.signed and treatment.source == "resample":
            return treatments.resample_signed(self._every[k], first, rng)
        values = self._drawn(k, layer, rng)
        return treatments.with_signs(values, first) if treatment.signed else values

    def _drawn(self, k, layer, rng):
        treatment = self.treatment
        if treatment.source == "permute_all":
            return treatments.permute_all(self._every[k], self._slots[k], rng)
        if treatment.source == "permute_alive":
            return rng.permutation(self.weights[k])
        if treatment.source == "resample":
            return treatments.resample(self._every[k], len(self.weights[k]), rng)
        scheme, kernel = treatment.initialisation, kernel_of(layer)
        return initial_weights(_as_csr(layer.weight), rng, scheme, treatment.fan, kernel)

    def _bias(self, k, layer, rng):
        first, treatment = self._biases[k], self.treatment
        if treatment.kind == "sign":
            return np.sign(first)
        if treatment.kind == "sigma_sign":
            return treatments.sigma_sign(first, self._bias_sigmas[k])
        if treatment.kind == "reinitialise" and treatment.source == "fresh":
            shape = layer.weight.shape
            return initial_bias(
                shape, rng, treatment.initialisation, first.dtype, kernel=kernel_of(layer)
            )
        return first

    def _all_sigmas(self, what, arrays):
        return [self._sigma(k, what, first) for k, first in enumerate(arrays)]

    def _sigma(self, k, what, first):
        return treatments.sigma(first, self.treatment.ddof, f"sigma_sign, {what} of layer {k}")


def _values(layer):
    """A view of the values of a layer's weight, (n,) in slot order."""
    weight = layer.weight
    return weight.data if isinstance(weight, csr_array) else weight.reshape(-1)


def _bias(layer):
    """A layer's bias, (n_out,); none of a convolution without one."""
    return layer.parameters().get("bias", layer.bias[:0])


def _rest(net):
    """Parameters of layers without a weight, and running statistics."""
    others = [layer for layer in net.layers if not is_weighted(layer)]
    arrays = [layer.parameters() for layer in others] + [state_of(la) for la in net.layers]
    return [value for named in arrays for value in named.values()]


def _as_csr(weight):
    """What `initial_weights` takes: of a dense layer every position."""
    if isinstance(weight, csr_array):
        return weight
    return csr.from_positions(weight.shape, np.arange(weight.size), weight.reshape(-1))
