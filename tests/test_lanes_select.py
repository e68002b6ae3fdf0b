"""Choosing between lanes, and whole numbers beside them, compiled and plain."""

import os
import subprocess
import sys

import numpy as np
import pytest
from numba import njit

from sparse_ref import lanes_select
from sparse_ref.lanes import load, splat, store

WIDTHS = (8, 16, 64)
INF, NAN = np.inf, np.nan
SPECIAL = [0.0, -0.0, 1.5, -1.5, INF, -INF, NAN, 3.0]
every_case = pytest.mark.parametrize(
    ("dtype", "width"), [(dtype, width) for dtype in ("float32", "float64") for width in WIDTHS]
)


def kernels(width):
    """Every function of (a, b, whole, out, wide, bytes_out); plain Python without the compiler."""

    @njit
    def all_of_them(a, b, whole, out, wide, bytes_out):
        p, q = load(a, 0, width), load(b, 0, width)
        store(out, 0, lanes_select.larger(p, q))
        store(out, width, lanes_select.where_larger(p, q, a.dtype.type(7), q))
        store(out, 2 * width, lanes_select.where_equal(p, a.dtype.type(1.5), q))
        store(out, 3 * width, lanes_select.load_whole(whole, 2, p))
        store(wide, 0, lanes_select.widen(p))
        kept = lanes_select.load_whole(whole, 2, splat(a.dtype.type(0), width))
        lanes_select.store_whole(bytes_out, 1, kept)

    return all_of_them


def results(dtype, width):
    """What the functions make of all pairs of special numbers, repeated to fill the lanes."""
    pairs = np.array([(x, y) for x in SPECIAL for y in SPECIAL], dtype)
    found = []
    for start in range(0, len(pairs), width):
        a, b = np.resize(pairs[start:], (width, 2)).T.copy()
        whole = (np.arange(width + 2) * 37 % 256).astype(np.uint8)
        out, wide, bytes_out = np.zeros(4 * width, dtype), np.zeros(width), np.zeros(66, np.uint8)
        KERNELS[width](a, b, whole, out, wide, bytes_out)
        found.append((a, b, whole, out.reshape(4, width), wide, bytes_out))
    return found


KERNELS = {width: kernels(width) for width in WIDTHS}


def same(comp, ref):
    """Equal numbers, and equal signs of zeros."""
    np.testing.assert_array_equal(comp, ref)
    np.testing.assert_array_equal(np.signbit(comp)[ref == 0], np.signbit(ref)[ref == 0])


@every_case
def test_the_larger_number_or_what_is_none(dtype, width):
    for a, b, _, out, _, _ in results(dtype, width):
        taken = [x > y or x != x for x, y in zip(a, b, strict=True)]
        pairs = list(zip(taken, a, b, strict=True))
        same(out[0], np.array([x if t else y for t, x, y in pairs], dtype))
        same(out[1], np.array([7 if t else y for t, _, y in pairs], dtype))


@every_case
def test_where_numbers_are_equal(dtype, width):
    for a, b, _, out, _, _ in results(dtype, width):
        ref = [y if x == 1.5 else 0 for x, y in zip(a, b, strict=True)]
        same(out[2], np.array(ref, dtype))


@every_case
def test_doubles_of_the_same_value(dtype, width):
    for a, _, _, _, wide, _ in results(dtype, width):
        same(wide, a.astype(float))


@every_case
def test_whole_numbers_are_read_and_written(dtype, width):
    _, _, whole, out, _, bytes_out = results(dtype, width)[0]
    assert out[3].tolist() == whole[2:].tolist()
    assert bytes_out[1 : width + 1].tolist() == whole[2:].tolist()
    assert not bytes_out[0]
    assert not bytes_out[width + 1 :].any()


@every_case
def test_plain_and_compiled_bodies_agree(dtype, width, plain_results):
    comp = b"".join(array.tobytes() for found in results(dtype, width) for array in found)
    assert plain_results[dtype, width] == comp.hex()


@pytest.fixture(scope="module")
def plain_results():
    """The bytes of all results from a process without the compiler."""
    here = os.path.dirname(os.path.abspath(__file__))
    program = (
        "import test_lanes_select as t\n"
        "for d in ('float32', 'float64'):\n"
        "    for w in t.WIDTHS:\n"
        "        found = t.results(d, w)\n"
        "        print(d, w, b''.join(a.tobytes() for f in found for a in f).hex())\n"
    )
    paths = {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join([here, *sys.path])}
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | paths,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = (line.split() for line in run.stdout.splitlines())
    return {(dtype, int(width)): hexadecimal for dtype, width, hexadecimal in lines}
