"""Static: nothing is ever rewired."""

import numpy as np
import pytest

from sparse_ref import csr, fit, models, optim
from sparse_ref.methods import Run, Static


def test_no_step_is_due():
    method = Static().bind(Run(steps_per_epoch=5, steps=50))
    assert not any(method.due(step) for step in range(101))


@pytest.mark.parametrize("density", [0.0, 0.3, 1.0])
def test_a_training_moves_weights_and_no_connection(density):
    rng = np.random.default_rng(79)
    net = models.mlp([6, 5, 3], density=density, rng=rng)
    before = [(csr.flat(la.weight), la.weight.data.copy()) for la in net.sparse_layers]
    x, y = rng.random((20, 6)), rng.integers(0, 3, 20)
    history = fit(
        net, (x, y), method=Static(), optimizer=optim.sgd(0.5), epochs=2, batch_size=5, rng=rng
    )
    assert history.events == []
    for layer, (positions, values) in zip(net.sparse_layers, before, strict=True):
        np.testing.assert_array_equal(csr.flat(layer.weight), positions)
        assert len(values) == 0 or (layer.weight.data != values).any()
