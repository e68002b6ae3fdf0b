"""The legacy generator's shuffles, against the legacy generator."""

import re

import numpy as np
import pytest

from sparse_ref.experiments.legacy_shuffle import shuffled


@pytest.mark.parametrize("seed", [0, 7, 4096, 2**32 - 1])
def test_shuffles_are_those_of_numpy(seed):
    legacy = np.random.RandomState(seed)
    sizes = [1000, 1, 2, 257, 0]
    for n, comp in zip(sizes, shuffled(seed, sizes), strict=True):
        ref = np.arange(n)
        legacy.shuffle(ref)
        np.testing.assert_array_equal(comp, ref)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_must_fit_32_bits(seed):
    rule = f"legacy_shuffle: seed must be in [0, 2^32), got {seed}"
    with pytest.raises(ValueError, match=re.escape(rule)):
        shuffled(seed, [5])
