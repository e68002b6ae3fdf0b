"""Vectors of examples as values inside kernels: load, store, multiply-add, sum, in a fixed order.

Numba leaves vectorisation to LLVM's guess. A kernel written with these functions states it: one
`Lanes` value holds a whole tile row (for example 64 float32 numbers, four AVX-512 registers), LLVM
splits it into registers of whatever width the host has, and since every multiply-add is fused and
every sum has one written order, the bits of the result depend neither on the host nor on a
compiler's mood (design rule: explicit lanes, no ``fastmath``).

Each function has two bodies. The decorated one emits LLVM instructions; the plain one above it, in
NumPy, says what it means, and is what runs under ``NUMBA_DISABLE_JIT=1``, so that every kernel is
also its own readable twin. (The plain multiply-add of float64 rounds twice, the compiled one once.)
"""

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

SUM_LANES_BYTES = 64  # a sum keeps 16 float32 or 8 float64 partial sums, on every host


# ---------------------------------------------------------------- what the functions mean


def load(array, offset, width):
    """The `width` numbers of the flat `array` from `offset` on."""
    return array.reshape(-1)[offset : offset + width].copy()


def store(array, offset, value):
    """Write a `Lanes` value into the flat `array` at `offset`."""
    array.reshape(-1)[offset : offset + value.size] = value


def splat(scalar, width):
    """`width` copies of one number."""
    return np.full(width, scalar)


def fma(a, b, c):
    """``a * b + c`` rounded once; `a` is one number, `b` and `c` are lanes.

    In float32 the product is exact in float64; the sum is rounded there to odd, which makes the
    second rounding harmless (Boldo and Melquiond 2008).
    """
    if c.dtype != np.float32:
        return a * b + c
    product, c = np.float64(a) * b.astype(np.float64), c.astype(np.float64)
    value = product + c
    part = value - product
    lost = (product - (value - part)) + (c - part)
    even = value.view(np.int64) & 1 == 0
    odd = np.nextafter(value, np.where(lost > 0, np.inf, -np.inf))
    return np.where(even & (lost != 0), odd, value).astype(np.float32)


def dot(a, b):
    """Sum of products of two `Lanes`: 16 (float32) or 8 (float64) running sums, then halving."""
    lanes = SUM_LANES_BYTES // a.dtype.itemsize
    partial = a[:lanes] * b[:lanes]
    for start in range(lanes, a.size, lanes):
        chunk = slice(start, start + lanes)
        partial = fma(a[chunk], b[chunk], partial)
    return _halve(partial)


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


# ---------------------------------------------------------------- what the compiler makes of them


class LanesType(types.Type):
    """Numba's name for `width` floating numbers held in registers."""

    def __init__(self, scalar, width):
        self.scalar, self.width = scalar, width
        super().__init__(name=f"Lanes({scalar}, {width})")

    @property
    def vector(self):
        """The LLVM type."""
        return ir.VectorType(_element(self.scalar), self.width)


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, fe_type.vector)


def _element(scalar):
    return ir.FloatType() if scalar == types.float32 else ir.DoubleType()


def _pointer(context, builder, array_type, array, offset, vector):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [offset]), vector.as_pointer())


def _splat(builder, scalar, vector):
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, _index(0))
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), _mask([0] * vector.count))


def _fma(builder, a, b, c):
    vector = c.type
    letter = "f32" if isinstance(vector.element, ir.FloatType) else "f64"
    kind = ir.FunctionType(vector, [vector] * 3)
    name = f"llvm.fma.v{vector.count}{letter}"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [a, b, c])


def _slice(builder, value, start, count):
    empty = ir.Constant(value.type, ir.Undefined)
    return builder.shuffle_vector(value, empty, _mask(range(start, start + count)))


def _halve_ir(builder, value):
    while value.type.count > 1:
        half = value.type.count // 2
        value = builder.fadd(_slice(builder, value, 0, half), _slice(builder, value, half, half))
    return builder.extract_element(value, _index(0))


def _chunks(builder, value):
    bits = 32 if isinstance(value.type.element, ir.FloatType) else 64
    lanes = min(SUM_LANES_BYTES * 8 // bits, value.type.count)
    return [_slice(builder, value, s, lanes) for s in range(0, value.type.count, lanes)]


def _index(k):
    return ir.Constant(ir.IntType(32), k)


def _mask(indices):
    indices = list(indices)
    return ir.Constant(ir.VectorType(ir.IntType(32), len(indices)), indices)


def _load_intrinsic(typingctx, array, offset, width):
    lanes = LanesType(array.dtype, width.literal_value)

    def codegen(context, builder, signature, args):
        pointer = _pointer(context, builder, array, args[0], args[1], lanes.vector)
        return builder.load(pointer, align=array.dtype.bitwidth // 8, typ=lanes.vector)

    return lanes(array, types.intp, width), codegen


def _store_intrinsic(typingctx, array, offset, value):
    def codegen(context, builder, signature, args):
        pointer = _pointer(context, builder, array, args[0], args[1], value.vector)
        builder.store(args[2], pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


def _splat_intrinsic(typingctx, scalar, width):
    lanes = LanesType(scalar, width.literal_value)

    def codegen(context, builder, signature, args):
        return _splat(builder, args[0], lanes.vector)

    return lanes(scalar, width), codegen


def _fma_intrinsic(typingctx, a, b, c):
    def codegen(context, builder, signature, args):
        return _fma(builder, _splat(builder, args[0], c.vector), args[1], args[2])

    return c(c.scalar, b, c), codegen


def _dot_intrinsic(typingctx, a, b):
    def codegen(context, builder, signature, args):
        left, right = _chunks(builder, args[0]), _chunks(builder, args[1])
        partial = builder.fmul(left[0], right[0])
        for x, y in zip(left[1:], right[1:], strict=True):
            partial = _fma(builder, x, y, partial)
        return _halve_ir(builder, partial)

    return a.scalar(a, b), codegen


def _total_intrinsic(typingctx, a):
    def codegen(context, builder, signature, args):
        first, *rest = _chunks(builder, args[0])
        for chunk in rest:
            first = builder.fadd(first, chunk)
        return _halve_ir(builder, first)

    return a.scalar(a), codegen


if not config.DISABLE_JIT:
    load = intrinsic(prefer_literal=True)(_load_intrinsic)
    store = intrinsic(_store_intrinsic)
    splat = intrinsic(prefer_literal=True)(_splat_intrinsic)
    fma = intrinsic(_fma_intrinsic)
    dot = intrinsic(_dot_intrinsic)
    total = intrinsic(_total_intrinsic)
