"""Each lane primitive, compiled and plain, against exact arithmetic."""

import os
import subprocess
import sys

import naive
import numpy as np
import pytest
from numba import njit

from sparse_ref import lanes

DTYPES = (np.float32, np.float64)
WIDTHS = (8, 16, 32, 64)

every_case = pytest.mark.parametrize(
    ("dtype", "width"), [(dtype, width) for dtype in DTYPES for width in WIDTHS]
)


def compiled(width):
    @njit
    def copy(array, offset, out, at):
        lanes.store(out, at, lanes.load(array, offset, width))

    @njit
    def splat(scalar, out):
        lanes.store(out, 0, lanes.splat(scalar, width))

    @njit
    def fma(a, b, c, out):
        lanes.store(out, 0, lanes.fma(a, lanes.load(b, 0, width), lanes.load(c, 0, width)))

    @njit
    def dot(a, b):
        return lanes.dot(lanes.load(a, 0, width), lanes.load(b, 0, width))

    @njit
    def total(a):
        return lanes.total(lanes.load(a, 0, width))

    return {"copy": copy, "splat": splat, "fma": fma, "dot": dot, "total": total}


COMPILED = {width: compiled(width) for width in WIDTHS}


def numbers(width, dtype, seed):
    """Numbers of very different size, so that another order of summation shows in the bits."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(width) * 10.0 ** rng.integers(-3, 4, width)).astype(dtype)


def plain(source):
    """What `source` prints where Numba compiles nothing; `lanes` and `np` are imported."""
    program = "import numpy as np\nfrom sparse_ref import lanes\n" + source
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.split()


@every_case
def test_load_and_store_move_the_numbers_from_their_offsets(dtype, width):
    array, comp = numbers(3 * width, dtype, 11), np.zeros(2 * width, dtype)
    ref = np.zeros(2 * width, dtype)
    ref[3 : 3 + width] = array[5 : 5 + width]
    COMPILED[width]["copy"](array, 5, comp, 3)
    np.testing.assert_array_equal(comp, ref)


def test_load_counts_offsets_in_the_flat_array():
    array, comp = np.arange(48.0).reshape(2, 3, 8), np.zeros(8)
    COMPILED[8]["copy"](array, 32, comp, 0)
    np.testing.assert_array_equal(comp, np.arange(32.0, 40.0))


@every_case
def test_splat_copies_one_number(dtype, width):
    comp = np.zeros(width, dtype)
    COMPILED[width]["splat"](dtype(2.5), comp)
    np.testing.assert_array_equal(comp, np.full(width, 2.5, dtype))


@every_case
def test_fma_rounds_once(dtype, width):
    a, b, c = dtype(1.1), numbers(width, dtype, 12), numbers(width, dtype, 13)
    ref = [naive.multiply_add(a, b[i], c[i]) for i in range(width)]
    comp = np.zeros(width, dtype)
    COMPILED[width]["fma"](a, b, c, comp)
    np.testing.assert_array_equal(comp, ref)


@pytest.mark.parametrize("dtype", DTYPES)
def test_fma_keeps_what_two_roundings_would_lose(dtype):
    # (1 + e)(1 - e) - 1 = -e^2 exactly; with a rounded product it would be 0.
    e = np.finfo(dtype).eps
    b, c, comp = np.full(16, 1 - e, dtype), np.full(16, -1, dtype), np.zeros(16, dtype)
    COMPILED[16]["fma"](dtype(1 + e), b, c, comp)
    np.testing.assert_array_equal(comp, np.full(16, -e * e, dtype))


@every_case
def test_dot_sums_in_lanes_and_then_halves(dtype, width):
    a, b = numbers(width, dtype, 14), numbers(width, dtype, 15)
    ref = naive.lane_dot(a, b)
    comp = COMPILED[width]["dot"](a, b)
    assert ref == comp


@every_case
def test_total_sums_in_lanes_and_then_halves(dtype, width):
    a = numbers(width, dtype, 21)
    ref = naive.lane_total(a)
    comp = COMPILED[width]["total"](a)
    assert ref == comp


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_order_of_summation_is_visible_in_these_numbers(dtype):
    # Guards the test above: a plain running sum must give other bits, or it shows nothing.
    a = numbers(64, dtype, 21)
    running = dtype(0)
    for value in a:
        running = running + value
    assert running != naive.lane_total(a)


def test_sums_keep_their_dtype():
    # Inside a kernel a float32 sum must be float32: squeezed through float64 it would differ.
    a = np.full(16, 0.1, np.float32)

    @njit
    def is_single(a):
        return lanes.total(lanes.load(a, 0, 16)) + np.float32(1e8) - np.float32(1e8)

    assert is_single(a) == 0  # 1e8 + 1.6 is 1e8 in float32


PLAIN_PRIMITIVES = """
def copy(a, b, c, width):
    out = np.zeros(2 * width, a.dtype)
    lanes.store(out, 3, lanes.load(np.concatenate([a, b, c]), 5, width))
    return out

calls = (
    copy,
    lambda a, b, c, width: lanes.splat(a[0], width),
    lambda a, b, c, width: lanes.fma(a[0], b, c),
    lambda a, b, c, width: np.array([lanes.dot(a, b)]),
    lambda a, b, c, width: np.array([lanes.total(a)]),
)
for dtype in (np.float32, np.float64):
    for width in (8, 16, 32, 64):
        a, b, c = np.random.default_rng(width).standard_normal((3, width)).astype(dtype)
        for call in calls:
            try:
                value = call(a, b, c, width)
                assert value.dtype == dtype
                print(value.tobytes().hex())
            except Exception as error:
                print(type(error).__name__)  # fails the one test that looks at it
"""


@pytest.fixture(scope="module")
def plain_results():
    names = ("copy", "splat", "fma", "dot", "total")
    keys = [(dtype, width, name) for dtype in DTYPES for width in WIDTHS for name in names]
    return dict(zip(keys, plain(PLAIN_PRIMITIVES), strict=True))


@every_case
@pytest.mark.parametrize("name", ["copy", "splat", "fma", "dot", "total"])
def test_plain_bodies_equal_the_compiled_ones(dtype, width, name, plain_results):
    a, b, c = np.random.default_rng(width).standard_normal((3, width)).astype(dtype)
    out = np.zeros(2 * width if name == "copy" else width, dtype)
    arguments = {
        "copy": (np.concatenate([a, b, c]), 5, out, 3),
        "splat": (a[0], out),
        "fma": (a[0], b, c, out),
        "dot": (a, b),
        "total": (a,),
    }
    value = COMPILED[width][name](*arguments[name])
    comp = out if value is None else np.array([value])
    ref = np.frombuffer(bytes.fromhex(plain_results[dtype, width, name]), dtype)
    eps = np.finfo(dtype).eps
    if dtype == np.float64 and name == "fma":
        # One more rounding: half a unit of the product, and as much again for the sum it shifts.
        assert (np.abs(comp - ref) <= eps * (abs(a[0] * b) + abs(ref))).all()
    elif dtype == np.float64 and name == "dot":
        # Each of the products may be rounded once more, and so may the sums it shifts.
        assert abs(comp[0] - ref[0]) <= width * eps * np.abs(a * b).sum()
    else:
        np.testing.assert_array_equal(comp, ref)


def test_plain_float32_fma_rounds_once():
    # a b + c = (1 + 2^-23) + 2^-24 - 2^-70: below the midpoint of two float32, so 1 + 2^-23.
    # By way of float64 the 2^-70 is lost and the midpoint goes to the even 1 + 2^-22.
    e = np.float32(2.0**-23)
    a, b, c = np.float32(1 + e), np.float32((1 - e) * 2.0**-24), np.float32(1 + e)
    ref = naive.multiply_add(a, b, c)
    text = plain(
        "e = np.float32(2.0**-23); b = np.full(16, (1 - e) * 2.0**-24, np.float32)\n"
        "print(float(lanes.fma(1 + e, b, np.full(16, 1 + e, np.float32))[0]).hex())"
    )
    comp = np.float32(float.fromhex(text[0]))
    assert ref == np.float32(1 + 2.0**-23)
    assert ref == comp
