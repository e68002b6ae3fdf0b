"""The same seed gives the same bytes: again, with more threads, in another process, next year.

Run as a script this file prints the sums of `GOLDEN`, computed in a fresh process::

    python tests/test_determinism.py
"""

import hashlib
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from sparse_ref import History, evaluate, first_difference, fit, models, optim, schedules
from sparse_ref.methods import (
    DNW,
    DSR,
    GGR,
    ITOP,
    SET,
    SNFS,
    DeepR,
    EdgePopup,
    GradualPruning,
    RigL,
    SetRigL,
    Static,
    Supermask,
    TopKAST,
)

ROOT = Path(__file__).resolve().parent.parent
METHODS = {
    "static": (Static(), "relu"),
    "rigl": (RigL(drop_fraction=0.4, every=3), "relu"),
    "set": (SET(drop_fraction=0.4, every=3), "relu"),
    "srelu": (RigL(drop_fraction=0.4, every=3, regrow="reinit"), "srelu"),
    "deepr": (DeepR(l1=0.5, temperature=1e-6), "relu"),
    "set_rigl": (SetRigL(0.4, every=3), "relu"),
    "ggr": (GGR(0.4, every=3), "relu"),
    "dsr": (DSR(initial_threshold=0.1, every=3), "relu"),
    "snfs": (SNFS(every=3), "relu"),
    "itop": (ITOP(every=3, growth="random_unfired"), "relu"),
    "topkast": (TopKAST(refresh_every=3), "relu"),
    "dnw": (DNW(freeze_epoch=8), "relu"),
    "edge_popup": (EdgePopup(), "relu"),
    "supermask": (Supermask(), "relu"),
    "gradual": (GradualPruning(0.05, every=3, initial_density=0.3), "relu"),
    "resnet": (RigL(drop_fraction=0.4, every=3), "resnet18"),
    "lenet": (SET(drop_fraction=0.4, every=3), "lenet_5"),
}
CONVNETS = {
    "resnet18": {"image": (2, 8, 8), "width": 1 / 16},
    "lenet_5": {"variant": "D", "image": (1, 12, 12), "width": 0.2},  # pads, pools and norms
}

# SHA-256 of the structure and the parameters after a training of 12 epochs (`trained`). They are
# the same on every run, for every number of threads and on every processor. A sum that changes
# means that the numbers of a training changed: another order of summation, another draw, another
# choice of connections. That is never an accident to be papered over: find the commit, say in it
# what changed and why, and only then put in the sums that this file prints as a script.
GOLDEN = {
    "lenet float32": "8fe73a38618b9d8f94868ce70fe4333482f536eaaaf1cc9edd8b0b32c9eb652f",
    "lenet float64": "dd34a0c468af872e2826f7a1e05dbe33d964058af1990c164d8d573238ac10de",
    "resnet float32": "e9970aeac94f7ac7eb91de1b7e125e0369a5297567bd864758c40892903b3b55",
    "resnet float64": "40efce4fa0c7fee4f57dfb7754657c58b0497aa0795ca44ea5c72cbc81afbb8f",
    "deepr float32": "f21f48e21eab460a0c8f77e4a8549a3916010060571683d21d031ed450c7ce07",
    "deepr float64": "9745e26003d8c0d0ef1a9cd7266d6694efb7a1bace2536a09bb434a52f15a57a",
    "dsr float32": "739b4964a9ecd6df7191e54cb381501e698c51bf9a799f52d9492ef026b24f26",
    "dsr float64": "9b74b1ed22b63cc07e4d56988cf53622b52070c356e4fcdfdee3a77827a41fa8",
    "dnw float32": "9229aaa11bd287c5ee5a57902afbd44f545dd4b7bdcd078e46cdd83ec291690b",
    "dnw float64": "30a2c6526ebf6935a9e7e69fcceaf9160ff94c75533af2b0e30799152e915d5e",
    "edge_popup float32": "aa7f45b080596ec2d63aef96e95e711aa92c66555488fdf0b2edbbf1dbb2c918",
    "edge_popup float64": "0262e1e7394d04d54d78593fbec8b608dc05daa96d5571dbea70b0606850a5da",
    "supermask float32": "91d96483aac001402a11791993d2e07eb3c0267a12019f86b72b9c81c375e437",
    "supermask float64": "739704bd6d2c8d28eb59cdcbccd9852b055a156fca92e39b1d357fd1f8da1005",
    "ggr float32": "5080d84f976f57decc96541def2ee9e44d8135e829a4feaeb8210108813e70e8",
    "ggr float64": "11d4e9956db58345a3d15ffb343d11577f859cda2d39568a3818e207761acaca",
    "gradual float32": "8d603e988843f0ddb60804d3de9ca88d2daf8f6eba57245f31cc91a344e5a623",
    "gradual float64": "99737fd84c709bf28bae0994a121dec27a8148845bb57976290c55dcf70b1aab",
    "itop float32": "714e772fa91aec2314747307021a97806020eee24360e0e7d31b25b5ef019b46",
    "itop float64": "dddedb806d9c987f43d8e6211eedd1219b60982160d75336f0d7e924140a3da5",
    "rigl float32": "c9aaad84daddf478564c2f06536d41d3e91a270581bd39ee30fac72542ba8d56",
    "rigl float64": "61f5a874a3509cd01e6454544b10d5690f67228ad9b823b7d053f08b13e88fa4",
    "set float32": "b5b5e90ed8b5a66ab07282627b5965fdcc6078a7d63b70b37fd90906b0b7e032",
    "set float64": "c545e544d3ccaaf9afe80c5b1f46058b076a4bd8adf21231232f0fd772500321",
    "set_rigl float32": "a6de180641957f9baad0118d15d2591c8e054be43d89c2e2f2fcaedb1196972f",
    "set_rigl float64": "f27437aa6a5b50dc018336dc67abc7a5203dd35e99b148fe814893639d535616",
    "snfs float32": "bcb5b3a756eed6e75cff5362acf4995565d20eb5625c9d4bef48500d876d2884",
    "snfs float64": "05558c693c16433d1dec2f27b8cc611663b7abae7de92deb745953f4726cd844",
    "srelu float32": "4eb6f0d8648c8d5b02df4d4d6dd7337ac435ddc38aea35d9fda5b7ae2c71893b",
    "srelu float64": "2a6c7438756df4e464575f4ef4ffa238d8adc89ee634cd807a2f756e527a27ed",
    "topkast float32": "1d0d6b1c5854fb864eb600a56f6b48e6cf60df8a9fb12345770878e2374c5c95",
    "topkast float64": "b53dbadfadb9f57f23f24c46a61238ae4b08dea2524dd4d55bbf92b018e9b017",
}


def trained(name, dtype, seed=383, optimizer=None):
    """A small network after a short training on random numbers, and its history."""
    method, kind = METHODS[name]
    rng = np.random.default_rng(seed)
    if kind in CONVNETS:
        options = {"density": 0.3, "classes": 5, "rng": rng, "dtype": dtype} | CONVNETS[kind]
        net = models.MODELS[kind](dense=(), **options)
        x, y = rng.random((150, net.n_in)), rng.integers(0, 5, 150)
    else:
        x, y = rng.random((150, 20)), rng.integers(0, 5, 150)
        net = models.mlp([20, 40, 30, 5], density=0.3, activation=kind, rng=rng, dtype=dtype)
    optimizer = optimizer or optim.sgd(schedules.Cosine(0.1, 40), 0.9, True, 1e-3)
    history = fit(
        net, (x, y), method=method, optimizer=optimizer, epochs=12, batch_size=40, rng=rng
    )
    return net, history


def sha256(net):
    """One sum over structure and parameters; byte order fixed."""
    digest = hashlib.sha256()
    for layer in net.sparse_layers:
        for array in (layer.weight.indptr, layer.weight.indices):
            digest.update(array.astype("<i8").tobytes())
    for parameter in net.parameters():
        digest.update(parameter.value.astype(parameter.value.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def all_sums():
    """The sums of `GOLDEN`, computed."""
    pairs = (key.split() for key in GOLDEN)
    return {f"{name} {dtype}": sha256(trained(name, dtype)[0]) for name, dtype in pairs}


def in_a_fresh_process(**environment):
    """The same from a process of its own."""
    result = subprocess.run(
        [sys.executable, __file__],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(result.stdout)


@pytest.fixture
def threads():
    """Set the number of Numba's threads; put it back afterwards."""
    before = numba.get_num_threads()
    yield numba.set_num_threads
    numba.set_num_threads(before)


every_method = pytest.mark.parametrize("name", METHODS)
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


@pytest.mark.parametrize("key", GOLDEN)
def test_a_short_training_gives_the_bytes_it_always_gave(key):
    net, history = trained(*key.split())
    assert sum(len(event.dropped) for event in history.events) > 50
    assert sha256(net) == GOLDEN[key]


@every_method
@every_dtype
def test_the_same_seed_gives_the_same_bytes(name, dtype):
    (one, first), (two, second) = trained(name, dtype), trained(name, dtype)
    assert sha256(one) == sha256(two)
    assert first_difference(first, second) is None


@every_method
def test_another_seed_gives_other_bytes(name):
    assert sha256(trained(name, "float32")[0]) != sha256(trained(name, "float32", 389)[0])


@every_method
@every_dtype
@pytest.mark.parametrize("optimizer", [None, optim.adam(0.01)], ids=["sgd", "adam"])
@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")
def test_one_and_two_threads_give_the_same_bytes(name, dtype, optimizer, threads):
    threads(1)
    one, first = trained(name, dtype, optimizer=optimizer)
    threads(2)
    two, second = trained(name, dtype, optimizer=optimizer)
    assert sha256(one) == sha256(two)
    assert first_difference(first, second) is None


@pytest.mark.parametrize("count", ["1", "2"])
def test_a_fresh_process_with_any_number_of_threads_gives_the_same_bytes(count):
    assert in_a_fresh_process(NUMBA_NUM_THREADS=count, PYTHONHASHSEED=count) == GOLDEN


@pytest.mark.slow
def test_a_processor_with_less_gives_the_same_bytes(tmp_path):
    # No wide vectors and no fused instruction in Numba, nothing beyond the baseline in NumPy.
    numpy_cpu = np._core._multiarray_umath
    dispatched = [f for f in numpy_cpu.__cpu_dispatch__ if numpy_cpu.__cpu_features__[f]]
    sums = in_a_fresh_process(
        NUMBA_CPU_NAME="generic",
        NUMBA_CPU_FEATURES="",
        NUMBA_CACHE_DIR=str(tmp_path),
        NPY_DISABLE_CPU_FEATURES=" ".join(dispatched),
    )
    assert sums == GOLDEN


@every_dtype
def test_every_layer_draws_from_a_stream_of_its_own(dtype):
    # A layer more at the end moves no draw of the layers before it.
    nets = [
        models.mlp(
            sizes,
            density=0.3,
            distribution=[24, 24, 9, 3][: len(sizes) - 1],
            rng=np.random.default_rng(397),
            dtype=dtype,
        )
        for sizes in ([8, 10, 9], [8, 10, 9, 4], [8, 10, 9, 4, 3])
    ]
    for one, two in itertools.pairwise(nets):
        for a, b in zip(one.sparse_layers, two.sparse_layers, strict=False):
            np.testing.assert_array_equal(a.weight.indices, b.weight.indices)
            np.testing.assert_array_equal(a.weight.data, b.weight.data)


@every_dtype
def test_a_training_that_is_saved_and_loaded_has_no_difference(dtype, tmp_path):
    _, history = trained("rigl", dtype)
    history.save(tmp_path / "run")
    assert first_difference(History.load(tmp_path / "run"), trained("rigl", dtype)[1]) is None


@every_dtype
def test_evaluating_in_between_moves_no_draw(dtype):
    name, seed = "set", 401
    ref, _ = trained(name, dtype, seed)
    method, activation = METHODS[name]
    rng = np.random.default_rng(seed)
    x, y = rng.random((150, 20)), rng.integers(0, 5, 150)
    comp = models.mlp([20, 40, 30, 5], density=0.3, activation=activation, rng=rng, dtype=dtype)
    fit(
        comp,
        (x, y),
        method=method,
        optimizer=optim.sgd(schedules.Cosine(0.1, 40), 0.9, True, 1e-3),
        epochs=12,
        batch_size=40,
        rng=rng,
        validation=(x[:70], y[:70]),
        callbacks=[lambda net, *_: evaluate(net, (x, y))],
    )
    assert sha256(comp) == sha256(ref)


if __name__ == "__main__":
    print(json.dumps(all_sums(), indent=4))
