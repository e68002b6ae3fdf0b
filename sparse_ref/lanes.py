"""Vectors of examples as values inside kernels: load, store, multiply-add, sum, in a fixed order.

Numba leaves vectorisation to LLVM's guess. A kernel written with these functions states it: one
`Lanes` value holds a whole tile row (for example 64 float32 numbers, four AVX-512 registers), LLVM
splits it into registers of whatever width the host has, and since every multiply-add is fused and
every sum has one written order, the bits of the result depend neither on the host nor on a
compiler's mood (design rule: explicit lanes, no ``fastmath``).

Each function has two bodies. The plain one here, in NumPy, says what it means, and is what runs
under ``NUMBA_DISABLE_JIT=1``, so that every kernel is also its own readable twin. The other, of the
same name in `sparse_ref.lanes_llvm`, emits LLVM instructions and takes its place at the end of this
file. (The plain multiply-add of float64 rounds twice, the compiled one once.)
"""

import numpy as np
from numba import config

SUM_LANES_BYTES = 64  # a sum keeps 16 float32 or 8 float64 partial sums, on every host


def at(array, k):
    """``array[k]`` of a flat array for a `k` that is not negative, which spares a test."""
    return array[k]


def put(array, k, value):
    """``array[k] = value`` of a flat array for a `k` that is not negative."""
    array[k] = value


def load(array, offset, width):
    """The `width` numbers of the flat `array` from `offset` on."""
    return array.reshape(-1)[offset : offset + width].copy()


def load_rows(array, offset, step, width, count):
    """`count` loads, `step` apart, as one value of ``count * width`` lanes."""
    return np.concatenate([load(array, offset + k * step, width) for k in range(count)])


def store(array, offset, value):
    """Write a `Lanes` value into the flat `array` at `offset`."""
    array.reshape(-1)[offset : offset + value.size] = value


def store_rows(array, offset, step, width, value):
    """Undo `load_rows`: write each `width` lanes of `value`, `step` apart."""
    for k in range(value.size // width):
        store(array, offset + k * step, part(value, k * width, width))


def prefetch(array, offset, width):
    """Ask for the `width` numbers from `offset` on to be brought near; changes no result."""


def lane(value, k):
    """Number `k` of a `Lanes` value."""
    return value[k]


def part(value, start, width):
    """`width` lanes of `value` from `start` on."""
    return value[start : start + width]


def add(a, b):
    """``a + b``, lane by lane."""
    return a + b


def splat(scalar, width):
    """`width` copies of one number."""
    return np.full(width, scalar)


def fma(a, b, c):
    """``a * b + c`` rounded once; `a` is one number or lanes, `b` and `c` are lanes.

    In float32 the product is exact in float64; the sum is rounded there to odd, which makes the
    second rounding harmless (Boldo and Melquiond 2008).
    """
    if c.dtype != np.float32:
        return a * b + c
    product, c = np.asarray(a, np.float64) * b.astype(np.float64), c.astype(np.float64)
    value = product + c
    part = value - product
    lost = (product - (value - part)) + (c - part)
    even = value.view(np.int64) & 1 == 0
    odd = np.nextafter(value, np.where(lost > 0, np.inf, -np.inf))
    return np.where(even & (lost != 0), odd, value).astype(np.float32)


def dot(a, b):
    """Sum of products of two `Lanes`: 16 (float32) or 8 (float64) running sums, then halving."""
    return _halve(products(a, b))


def products(a, b):
    """The running sums of `dot`, before they are halved."""
    lanes = SUM_LANES_BYTES // a.dtype.itemsize
    partial = a[:lanes] * b[:lanes]
    for start in range(lanes, a.size, lanes):
        chunk = slice(start, start + lanes)
        partial = fma(a[chunk], b[chunk], partial)
    return partial


def halve(p, q, r, s):
    """The four sums of four running sums, each halved as in `dot`, in the steps of one."""
    return np.array([_halve(running) for running in (p, q, r, s)])


def dots(a, at_a, step_a, b, at_b, step_b, width, count):
    """The 16 dot products of 4 rows of `a` with 4 rows of `b`, row-major.

    A row is ``load_rows(array, offset, step, width, count)``; rows follow each other in memory.
    """
    left = [load_rows(a, at_a + k * width, step_a, width, count) for k in range(4)]
    right = [load_rows(b, at_b + k * width, step_b, width, count) for k in range(4)]
    return np.array([dot(p, q) for p in left for q in right])


def beyond(value, limit):
    """Bit k is set where not ``|value[k]| <= limit``: larger, or not a number."""
    return sum(1 << k for k in range(value.size) if not abs(value[k]) <= limit)


def at_least(value, limit):
    """Bit k is set where ``value[k] >= limit``."""
    return sum(1 << k for k in range(value.size) if value[k] >= limit)


def ones(bits):
    """How many bits are set."""
    return int(bits).bit_count()


def lowest_bit(bits):
    """The number of the lowest bit that is set."""
    return int(bits & -bits).bit_length() - 1


def total(a):
    """Sum of a `Lanes` value, in the order of `dot`."""
    lanes = SUM_LANES_BYTES // a.dtype.itemsize
    partial = a[:lanes].copy()
    for start in range(lanes, a.size, lanes):
        partial = partial + a[start : start + lanes]
    return _halve(partial)


def _halve(partial):
    while partial.size > 1:
        partial = partial[: partial.size // 2] + partial[partial.size // 2 :]
    return partial[0]


if not config.DISABLE_JIT:
    from sparse_ref import lanes_llvm

    at = lanes_llvm.at
    put = lanes_llvm.put
    load = lanes_llvm.load
    load_rows = lanes_llvm.load_rows
    store = lanes_llvm.store
    store_rows = lanes_llvm.store_rows
    prefetch = lanes_llvm.prefetch
    splat = lanes_llvm.splat
    lane = lanes_llvm.lane
    part = lanes_llvm.part
    add = lanes_llvm.add
    fma = lanes_llvm.fma
    products = lanes_llvm.products
    halve = lanes_llvm.halve
    dot = lanes_llvm.dot
    dots = lanes_llvm.dots
    total = lanes_llvm.total
    beyond = lanes_llvm.beyond
    at_least = lanes_llvm.at_least
    ones = lanes_llvm.ones
    lowest_bit = lanes_llvm.lowest_bit
