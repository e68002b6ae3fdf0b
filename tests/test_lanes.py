"""Each lane primitive, compiled and plain, against exact arithmetic."""

import os
import subprocess
import sys

import naive
import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

from sparse_ref import lanes

DTYPES = (np.float32, np.float64)
WIDTHS = (8, 16, 32, 64)
ENDS = (8, 64)  # less than a sum's lanes in float32, and the most: what is new is tried on these
BITS = 16

every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_case = pytest.mark.parametrize(
    ("dtype", "width"), [(dtype, width) for dtype in DTYPES for width in WIDTHS]
)


def basic(width):
    """Kernels of the arguments (a, b, c, out); without the compiler they are plain Python."""

    @njit
    def copy(a, b, c, out):
        lanes.store(out, 3, lanes.load(a, 5, width))

    @njit
    def splat(a, b, c, out):
        lanes.store(out, 0, lanes.splat(a[0], width))

    @njit
    def fma(a, b, c, out):
        lanes.store(out, 0, lanes.fma(a[0], lanes.load(b, 0, width), lanes.load(c, 0, width)))

    @njit
    def dot(a, b, c, out):
        out[0] = lanes.dot(lanes.load(a, 0, width), lanes.load(b, 0, width))

    @njit
    def total(a, b, c, out):
        out[0] = lanes.total(lanes.load(a, 0, width))

    return {"copy": copy, "splat": splat, "fma": fma, "dot": dot, "total": total}


def moves(width):
    """As `basic`: what moves numbers."""
    half, last = width // 2, width - 1

    @njit
    def at(a, b, c, out):
        for k in range(width):
            lanes.put(out, 2 * width - k, lanes.at(a, k + 1))

    @njit
    def load_one_row(a, b, c, out):
        lanes.store(out, 1, lanes.load_rows(a, 3, 5, width, 1))

    @njit
    def load_rows(a, b, c, out):
        lanes.store(out, 1, lanes.load_rows(a, 3, 2 * width + 1, width, 2))

    @njit
    def store_one_row(a, b, c, out):
        lanes.store_rows(out, 2, 5, width, lanes.load(a, 1, width))

    @njit
    def store_rows(a, b, c, out):
        lanes.store_rows(out, 2, width + 3, width, lanes.load_rows(a, 1, width, width, 2))

    @njit
    def part(a, b, c, out):
        lanes.store(out, 0, lanes.part(lanes.load(a, 0, width), 2, 4))
        lanes.store(out, 7, lanes.part(lanes.load(a, 0, width), half, half))

    @njit
    def lane(a, b, c, out):
        out[0] = lanes.lane(lanes.load(a, 0, width), 0)
        out[1] = lanes.lane(lanes.load(a, 0, width), 5)
        out[2] = lanes.lane(lanes.load(a, 0, width), last)

    @njit
    def prefetch(a, b, c, out):
        lanes.prefetch(a, 1, width)
        lanes.prefetch(out, 3, 1)
        lanes.store(out, 0, lanes.load(a, 1, width))

    names = (at, load_one_row, load_rows, store_one_row, store_rows, part, lane, prefetch)
    return {function.__name__: function for function in names}


def sums(width):
    """As `basic`: what adds numbers."""

    @njit
    def add(a, b, c, out):
        lanes.store(out, 0, lanes.add(lanes.load(a, 0, width), lanes.load(b, 0, width)))

    @njit
    def fma_of_lanes(a, b, c, out):
        x, y, z = lanes.load(a, 0, width), lanes.load(b, 0, width), lanes.load(c, 0, width)
        lanes.store(out, 0, lanes.fma(x, y, z))

    @njit
    def products(a, b, c, out):
        lanes.store(out, 0, lanes.products(lanes.load(a, 0, width), lanes.load(b, 0, width)))

    @njit
    def halve(a, b, c, out):
        x, y, z = lanes.load(a, 0, width), lanes.load(b, 0, width), lanes.load(c, 0, width)
        p, q = lanes.products(x, y), lanes.products(y, z)
        r, s = lanes.products(z, x), lanes.products(x, x)
        lanes.store(out, 0, lanes.halve(p, q, r, s))

    @njit
    def dots(a, b, c, out):
        lanes.store(out, 0, lanes.dots(a, 3, 0, b, 1, 0, width, 1))

    @njit
    def dots_of_two(a, b, c, out):
        lanes.store(out, 0, lanes.dots(a, 3, 5 * width, b, 1, 4 * width + 2, width, 2))

    names = (add, fma_of_lanes, products, halve, dots, dots_of_two)
    return {function.__name__: function for function in names}


@njit
def beyond(array, limit):
    return lanes.beyond(lanes.load(array, 1, BITS), limit)


@njit
def at_least(array, limit):
    return lanes.at_least(lanes.load(array, 1, BITS), limit)


@njit
def ones(bits):
    return lanes.ones(bits)


@njit
def lowest_bit(bits):
    return lanes.lowest_bit(bits)


COMPILED = {width: basic(width) for width in WIDTHS}
for wide in ENDS:
    COMPILED[wide] |= moves(wide) | sums(wide)
CASES = [(dtype, width, name) for dtype in DTYPES for width in WIDTHS for name in COMPILED[width]]


def numbers(n, dtype, seed):
    """Numbers of very different size, so that another order of summation shows in the bits."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(n) * 10.0 ** rng.integers(-3, 4, n)).astype(dtype)


def called(dtype, width, name):
    """What a kernel makes of three fixed arrays; 7 where it writes nothing."""
    a, b, c = (numbers(12 * width, dtype, [width, seed]) for seed in (11, 12, 13))
    out = np.full(5 * width, 7, dtype)
    COMPILED[width][name](a, b, c, out)
    return out, (a, b, c)


def rows(array, offset, step, width, count):
    """Four rows that follow each other, each in `count` pieces that lie `step` apart."""
    return [
        np.concatenate([array[offset + k * width + t * step :][:width] for t in range(count)])
        for k in range(4)
    ]


def one_sum(a, b):
    """Sum of products: the first is rounded, the others are fused."""
    total = a[0] * b[0]
    for v, w in zip(a[1:], b[1:], strict=True):
        total = naive.multiply_add(v, w, total)
    return total


def running(a, b):
    """Sums of products in lanes, as `naive.lane_dot` before it halves."""
    n = min(64 // a.dtype.itemsize, len(a))
    return [one_sum(a[k::n], b[k::n]) for k in range(n)]


def expected(name, a, b, c, width):
    """Offset of what is written, and what, by naive arithmetic."""
    one = slice(0, width)
    x, y, z = a[one], b[one], c[one]
    pairs = zip(x, y, z, strict=True)
    both = [a[1 : 1 + width], a[1 + width : 1 + 2 * width]]
    gap = np.full(3, 7, a.dtype)
    left, right = rows(a, 3, 5 * width, width, 2), rows(b, 1, 4 * width + 2, width, 2)
    return {
        "copy": lambda: (3, a[5 : 5 + width]),
        "splat": lambda: (0, [a[0]] * width),
        "fma": lambda: (0, [naive.multiply_add(a[0], v, w) for _, v, w in pairs]),
        "dot": lambda: (0, [naive.lane_dot(x, y)]),
        "total": lambda: (0, [naive.lane_total(x)]),
        "at": lambda: (width + 1, a[1 : width + 1][::-1]),
        "load_one_row": lambda: (1, a[3 : 3 + width]),
        "load_rows": lambda: (1, np.concatenate([a[3:][:width], a[4 + 2 * width :][:width]])),
        "store_one_row": lambda: (2, a[1 : 1 + width]),
        "store_rows": lambda: (2, np.concatenate([both[0], gap, both[1]])),
        "part": lambda: (0, np.concatenate([a[2:6], gap, a[width // 2 : width]])),
        "lane": lambda: (0, [a[0], a[5], a[width - 1]]),
        "prefetch": lambda: (0, a[1 : 1 + width]),
        "add": lambda: (0, [v + w for v, w, _ in zip(x, y, z, strict=True)]),
        "fma_of_lanes": lambda: (0, [naive.multiply_add(*three) for three in pairs]),
        "products": lambda: (0, running(x, y)),
        "halve": lambda: (0, [naive.lane_dot(*p) for p in ((x, y), (y, z), (z, x), (x, x))]),
        "dots": lambda: (
            0,
            [naive.lane_dot(p[:width], q[:width]) for p in left for q in right],
        ),
        "dots_of_two": lambda: (0, [naive.lane_dot(p, q) for p in left for q in right]),
    }[name]()


@pytest.mark.parametrize(("dtype", "width", "name"), CASES)
def test_a_primitive_does_exactly_what_the_naive_one_does(dtype, width, name):
    comp, arrays = called(dtype, width, name)
    start, value = expected(name, *arrays, width)
    ref = np.full(comp.shape, 7, dtype)
    ref[start : start + len(value)] = value
    assert ref.tolist() == comp.tolist()


def test_load_counts_offsets_in_the_flat_array():
    array, comp = np.arange(48.0).reshape(2, 3, 8), np.zeros(16)
    COMPILED[8]["copy"](array, array, array, comp)
    np.testing.assert_array_equal(comp[3:11], np.arange(5.0, 13.0))


@every_dtype
def test_fma_keeps_what_two_roundings_would_lose(dtype):
    # (1 + e)(1 - e) - 1 = -e^2 exactly; with a rounded product it would be 0.
    e = np.finfo(dtype).eps
    b, c, comp = np.full(16, 1 - e, dtype), np.full(16, -1, dtype), np.zeros(16, dtype)
    COMPILED[16]["fma"](np.full(16, 1 + e, dtype), b, c, comp)
    np.testing.assert_array_equal(comp, np.full(16, -e * e, dtype))


@every_dtype
def test_the_order_of_summation_is_visible_in_these_numbers(dtype):
    # Guards the tests above: a plain running sum must give other bits, or they show nothing.
    a = numbers(12 * 64, dtype, [64, 11])[:64]
    total = dtype(0)
    for value in a:
        total = total + value
    assert total != naive.lane_total(a)


def test_sums_keep_their_dtype():
    # Inside a kernel a float32 sum must be float32: squeezed through float64 it would differ.
    a = np.full(16, 0.1, np.float32)

    @njit
    def is_single(a):
        return lanes.total(lanes.load(a, 0, 16)) + np.float32(1e8) - np.float32(1e8)

    assert is_single(a) == 0  # 1e8 + 1.6 is 1e8 in float32


# Integers, truths and bits ------------------------------------------------------------------------


@njit
def moved(array, out):
    for k in range(array.size):
        lanes.put(out, k, lanes.at(array, k))


@pytest.mark.parametrize("dtype", [np.bool_, np.int8, np.int32, np.int64, np.float32, np.float64])
def test_at_and_put_move_numbers_of_any_kind(dtype):
    ref = np.array([0, 1, 1, 0, 1]).astype(dtype)
    comp = (1 - ref).astype(dtype)
    moved(ref, comp)
    assert ref.tobytes() == comp.tobytes()


def test_put_converts_to_the_dtype_of_the_array():
    comp = np.zeros(2, np.int32)
    moved(np.array([2**31 - 1, -(2**31)]), comp)
    assert comp.tolist() == [2**31 - 1, -(2**31)]


def test_put_writes_a_truth_that_was_computed():
    @njit
    def positive(array, out):
        for k in range(array.size):
            lanes.put(out, k, array[k] > 0)

    comp = np.zeros(4, bool)
    positive(np.array([1.0, -1.0, 0.0, 2.0]), comp)
    assert comp.view(np.uint8).tolist() == [1, 0, 0, 1]


# 0 stands before the vector; then come all kinds of numbers around the limit 2.
SPECIAL = [0, 2, -2, 3, -3, 0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, 1.9999999]
SPECIAL = np.array([*SPECIAL, 2.0000002, 2, -3, -1, 5])
LIMITS = (2.0, 0.0, -0.0, -1.0, np.inf, np.nan, -np.inf)
every_limit = pytest.mark.parametrize("limit", LIMITS)


@every_dtype
@every_limit
def test_beyond_sets_the_bits_of_what_is_not_within(dtype, limit):
    values = SPECIAL.astype(dtype)
    ref = sum(1 << k for k, value in enumerate(values[1:]) if not abs(value) <= limit)
    assert ref == beyond(values, dtype(limit))


@every_dtype
@every_limit
def test_at_least_sets_the_bits_of_what_reaches_the_limit(dtype, limit):
    values = SPECIAL.astype(dtype)
    ref = sum(1 << k for k, value in enumerate(values[1:]) if value >= limit)
    assert ref == at_least(values, dtype(limit))


WORDS = [0, 1, 2, 3, 0b10100, 0xFFFF, 1 << 15, 1 << 40, (1 << 62) + (1 << 7)]


@pytest.mark.parametrize("bits", WORDS)
def test_ones_counts_the_bits(bits):
    assert bin(bits).count("1") == ones(bits)


@pytest.mark.parametrize("bits", WORDS[1:])
def test_lowest_bit_is_the_first_that_is_set(bits):
    assert len(bin(bits)) - 1 - bin(bits).rindex("1") == lowest_bit(bits)


# What is refused ----------------------------------------------------------------------------------


@njit
def use_at(array):
    return lanes.at(array, 1)


@njit
def use_put(array):
    lanes.put(array, 1, 5.0)


@njit
def use_load(array):
    return lanes.total(lanes.load(array, 0, 8))


@njit
def use_load_rows(array):
    return lanes.total(lanes.load_rows(array, 0, 8, 8, 2))


@njit
def use_store(array):
    lanes.store(array, 0, lanes.splat(5.0, 8))


@njit
def use_store_rows(array):
    lanes.store_rows(array, 0, 8, 4, lanes.splat(5.0, 8))


@njit
def use_prefetch(array):
    lanes.prefetch(array, 0, 8)


@njit
def use_dots(array):
    return lanes.total(lanes.dots(array, 0, 0, array, 0, 0, 8, 1))


USES = (
    use_at,
    use_put,
    use_load,
    use_load_rows,
    use_store,
    use_store_rows,
    use_prefetch,
    use_dots,
)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("kind", ["every other number", "columns first"])
def test_arrays_whose_numbers_do_not_follow_each_other_are_refused(use, kind):
    # Read as if they did, they would give wrong numbers, silently.
    strided, by_column = np.zeros(200)[::2], np.zeros((10, 20)).T
    with pytest.raises(TypingError, match="lanes: arrays must be C-contiguous"):
        use(strided if kind == "every other number" else by_column)


# Without the compiler -----------------------------------------------------------------------------

PLAIN_PRIMITIVES = """
import numpy as np
import test_lanes
from sparse_ref import lanes
assert not hasattr(lanes.load, "defn")  # not an intrinsic
def show(call):
    try:
        print(call())
    except Exception as error:
        print(type(error).__name__)  # fails the one test that looks at it
for case in test_lanes.CASES:
    show(lambda: test_lanes.called(*case)[0].tobytes().hex())
for name in ("beyond", "at_least"):
    for dtype in test_lanes.DTYPES:
        for limit in test_lanes.LIMITS:
            values = test_lanes.SPECIAL.astype(dtype)
            show(lambda: getattr(test_lanes, name)(values, dtype(limit)))
for name in ("ones", "lowest_bit"):
    for bits in test_lanes.WORDS[1:]:
        show(lambda: getattr(test_lanes, name)(bits))
        show(lambda: getattr(test_lanes, name)(np.int64(bits)))
"""
BIT_CASES = [
    (name, dtype, limit) for name in ("beyond", "at_least") for dtype in DTYPES for limit in LIMITS
]
WORD_CASES = [
    (name, kind, bits)
    for name in ("ones", "lowest_bit")
    for bits in WORDS[1:]
    for kind in (int, np.int64)  # NumPy's comparisons give the one, Python's the other
]


def plain(program):
    """What `program` prints where Numba compiles nothing."""
    paths = {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | paths,
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.split()


@pytest.fixture(scope="module")
def plain_results():
    keys = CASES + [(n, d, repr(v)) for n, d, v in BIT_CASES] + WORD_CASES
    return dict(zip(keys, plain(PLAIN_PRIMITIVES), strict=True))


@pytest.mark.parametrize(("dtype", "width", "name"), CASES)
def test_plain_bodies_equal_the_compiled_ones(dtype, width, name, plain_results):
    comp, (a, b, c) = called(dtype, width, name)
    ref = np.frombuffer(bytes.fromhex(plain_results[dtype, width, name]), dtype)
    if dtype == np.float64 and name in ("fma", "fma_of_lanes", "products", "dot", "halve"):
        # One more rounding: half a unit of each product and as much again for the sums it shifts.
        size = abs(a[:width]).max(), abs(b[:width]).max(), abs(c[:width]).max()
        bound = 2 * width * np.finfo(dtype).eps * max(size) ** 2
        np.testing.assert_allclose(comp, ref, rtol=0, atol=bound)
    elif dtype == np.float64 and name.startswith("dots"):
        bound = 4 * width * np.finfo(dtype).eps * abs(a).max() * abs(b).max()
        np.testing.assert_allclose(comp, ref, rtol=0, atol=bound)
    else:
        assert ref.tobytes() == comp.tobytes()


@pytest.mark.parametrize(("name", "dtype", "limit"), BIT_CASES)
def test_plain_comparisons_set_the_same_bits(name, dtype, limit, plain_results):
    comp = {"beyond": beyond, "at_least": at_least}[name](SPECIAL.astype(dtype), dtype(limit))
    assert plain_results[name, dtype, repr(limit)] == str(comp)


@pytest.mark.parametrize(("name", "kind", "bits"), WORD_CASES)
def test_plain_bits_are_counted_alike(name, kind, bits, plain_results):
    comp = {"ones": ones, "lowest_bit": lowest_bit}[name](bits)
    assert plain_results[name, kind, bits] == str(comp)


def test_plain_float32_fma_rounds_once():
    # a b + c = (1 + 2^-23) + 2^-24 - 2^-70: below the midpoint of two float32, so 1 + 2^-23.
    # By way of float64 the 2^-70 is lost and the midpoint goes to the even 1 + 2^-22.
    e = np.float32(2.0**-23)
    a, b, c = np.float32(1 + e), np.float32((1 - e) * 2.0**-24), np.float32(1 + e)
    ref = naive.multiply_add(a, b, c)
    text = plain(
        "import numpy as np\nfrom sparse_ref import lanes\n"
        "e = np.float32(2.0**-23); b = np.full(16, (1 - e) * 2.0**-24, np.float32)\n"
        "print(float(lanes.fma(1 + e, b, np.full(16, 1 + e, np.float32))[0]).hex())"
    )
    comp = np.float32(float.fromhex(text[0]))
    assert ref == np.float32(1 + 2.0**-23)
    assert ref == comp
