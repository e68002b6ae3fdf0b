"""Iterative pruning of convolutional networks: channels, kernels, links, batch normalisation."""

import numpy as np
import pytest

from sparse_ref import csr, models
from sparse_ref.layers import Conv2d, Dense, DenseConv2d, Linear
from sparse_ref.layers.base import state_of
from sparse_ref.lottery import Treatment, iterative_pruning
from sparse_ref.methods import Static
from sparse_ref.optim import sgd
from sparse_ref.pruning import ByLayer, Magnitude, Structured
from sparse_ref.pruning.weights import values_of

CLASSES, SEED = 4, 991
LENET, RESNET = (1, 12, 12), (3, 8, 8)
TREATMENTS = [
    "rewind",
    "finetune",
    "sigma_sign",
    "sign",
    Treatment("reinitialise", initialisation="torch"),
    Treatment("reinitialise", "permute_all"),
    Treatment("reinitialise", "resample", signed=True),
]
every_treatment = pytest.mark.parametrize("treatment", TREATMENTS, ids=str)


def lenet(density=None):
    rng = np.random.default_rng(992)
    options = {"image": LENET, "classes": CLASSES, "density": density, "initialisation": "torch"}
    return models.lenet_5("A", rng=rng, dtype=np.float64, **options)


def resnet():
    options = {"image": RESNET, "classes": CLASSES, "density": None, "width": 1 / 16}
    return models.resnet18(rng=np.random.default_rng(993), dtype=np.float64, **options)


def examples(image, n=48):
    rng = np.random.default_rng(994)
    return rng.standard_normal((n, *image)), rng.integers(0, CLASSES, n)


class Watching(Static):
    """A method that does nothing and keeps what every training began with."""

    def __init__(self):
        super().__init__()
        self.begun = []

    def init(self, net, rng):
        state = [a.copy() for layer in net.layers for a in state_of(layer).values()]
        loose = [p.value.copy() for p in net.parameters() if p.name in ("gamma", "beta")]
        self.begun.append((pictures(net), [la.bias.copy() for la in net.weighted], loose + state))


def pictures(net):
    return [
        csr.to_dense(la.weight) if isinstance(la, Conv2d | Linear) else la.weight.copy()
        for la in net.weighted
    ]


def masks(net):
    return [
        csr.pattern(la.weight)
        if isinstance(la, Conv2d | Linear)
        else np.ones(la.weight.shape, bool)
        for la in net.weighted
    ]


def chain(net, pruner, image=LENET, levels=2, epochs=1, **options):
    options = {"optimizer": sgd(0.05, momentum=0.9), "batch_size": 16, **options}
    return iterative_pruning(
        net,
        examples(image),
        levels=levels,
        pruner=pruner,
        epochs=epochs,
        rng=np.random.default_rng(SEED),
        **options,
    )


CHANNELS = Structured(0.4, block=9)
PRUNERS = {
    # Masks2020's names: convolutions by channels, the rest by channels, by weights, or not.
    "structured": ByLayer([None, CHANNELS, *[Structured(0.4)] * 3]),
    "hybrid": ByLayer([Structured(0, block=9), CHANNELS, *[Magnitude(0.4)] * 3]),
    "unstructured": Magnitude(0.4),
    "fc only": ByLayer([None, None, *[Magnitude(0.4)] * 3]),
}


@pytest.mark.parametrize("name", list(PRUNERS))
def test_every_level_begins_with_the_first_weights_under_its_mask(name):
    watching, first = Watching(), lenet()
    found = list(chain(lenet(), PRUNERS[name], method=watching))
    before = None
    for level, (weights, biases, _) in zip(found, watching.begun, strict=True):
        present = masks(level.network)
        for k, layer in enumerate(first.weighted):
            np.testing.assert_array_equal(weights[k], layer.weight * present[k])
            np.testing.assert_array_equal(biases[k], layer.bias)
        if before is not None:
            assert all(np.all(now <= old) for now, old in zip(present, before, strict=True))
        before = present
    assert found[-1].density < found[1].density < found[0].density == 1


def test_channels_of_kernels_go_and_layers_become_sparse_when_they_lose_something():
    found = list(chain(lenet(), PRUNERS["structured"]))
    assert isinstance(found[0].network.weighted[1], DenseConv2d)
    for level, alive in zip(found[1:], (4, 2), strict=True):  # of 6: 2 of them, then 2 of 4
        first, second, third, *_ = level.network.weighted
        assert isinstance(first, DenseConv2d)
        assert isinstance(second, Conv2d)
        assert isinstance(third, Linear)
        channels = csr.pattern(second.weight).reshape(16, 6, 9).any(axis=(0, 2))
        assert channels.sum() == alive
        assert second.weight.nnz == 16 * 9 * alive
        assert second.settings == found[0].network.weighted[1].settings
    hybrid = list(chain(lenet(), PRUNERS["hybrid"], levels=1))[1].network
    assert isinstance(hybrid.weighted[0], DenseConv2d)
    assert hybrid.weighted[2].weight.nnz == round(0.6 * 120 * 16)
    fc_only = list(chain(lenet(), PRUNERS["fc only"], levels=1))[1].network
    assert isinstance(fc_only.weighted[1], DenseConv2d)


def test_late_rewinding_takes_weights_and_running_numbers_with_it():
    watching = Watching()
    options = {"image": RESNET, "method": watching, "rewind_step": 2}
    found = list(chain(resnet(), Magnitude(0.5), **options))
    # Begun: the first two steps, then levels 0, 1 and 2 from where these ended.
    (_, _, fresh), *begun = watching.begun
    weights, _, rest = begun[0]
    assert not all(map(np.array_equal, fresh, rest))
    for level, (now, _, loose) in zip(found, begun, strict=True):
        for first, later, mask in zip(weights, now, masks(level.network), strict=True):
            np.testing.assert_array_equal(later, first * mask)
        for one, two in zip(rest, loose, strict=True):
            np.testing.assert_array_equal(one, two)


@every_treatment
def test_treatments_know_kernels_and_convolutions_without_bias(treatment):
    watching = Watching()
    options = {"image": RESNET, "method": watching, "treatment": treatment}
    found = list(chain(resnet(), Magnitude(0.6), levels=1, **options))
    weights, biases, rest = watching.begun[1]
    last = found[1].network
    for k, (layer, mask) in enumerate(zip(last.weighted, masks(last), strict=True)):
        assert np.all(weights[k][~mask] == 0)
        if isinstance(layer, Conv2d):
            assert not biases[k].any()
            assert set(layer.parameters()) == {"weight"}
            if treatment == TREATMENTS[4]:  # U(±sqrt(1 / fan_in)), of a kernel
                assert np.abs(weights[k]).max() <= 1 / np.sqrt(layer.weight.shape[1])
    assert found[1].network.predict(examples(RESNET)[0]).shape == (48, CLASSES)
    same = all(map(np.array_equal, watching.begun[0][2], rest))
    assert same == (treatment != "finetune")


def test_levels_share_nothing():
    nets = (level.network for level in chain(resnet(), Magnitude(0.3), image=RESNET))
    found = [(net, [v.copy() for v in held(net)]) for net in nets]
    for net, ref in found:
        assert all(map(np.array_equal, held(net), ref))
    arrays = [{id(a.base if a.base is not None else a) for a in held(net)} for net, _ in found]
    assert not arrays[0] & arrays[1]
    assert not arrays[1] & arrays[2]


def held(net):
    """Everything that a training changes."""
    state = [a for layer in net.layers for a in state_of(layer).values()]
    return [p.value for p in net.parameters()] + state


def test_a_chain_repeats_to_the_bit():
    one, two = ([level.network for level in chain(lenet(), PRUNERS["hybrid"])] for _ in range(2))
    for some, others in zip(one, two, strict=True):
        for a, b in zip(some.weighted, others.weighted, strict=True):
            if not isinstance(a, Dense):  # whose bits are a BLAS's
                assert np.array_equal(values_of(a.weight), values_of(b.weight))


def test_a_network_that_is_sparse_from_the_start_is_pruned_further():
    found = [sum(level.network.connections) for level in chain(lenet(density=0.5), Magnitude(0.5))]
    n = sum(lenet(density=0.5).connections)
    assert found == pytest.approx([n, n / 2, n / 4], abs=5)
