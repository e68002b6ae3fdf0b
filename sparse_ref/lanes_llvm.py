"""What the compiler makes of `sparse_ref.lanes`: the same functions as LLVM instructions.

A `Lanes` value is one LLVM vector. An intrinsic gives Numba the type of its result and a function
that writes the instructions. Widths and counts are literals, so that loops over them are unrolled.
"""

from llvmlite import ir as llvm
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from sparse_ref import lanes_ir as ir
from sparse_ref.lanes_ir import LanesType

CACHE_LINE = 64  # bytes that one prefetch brings
READ, KEEP, DATA = 0, 3, 1  # llvm.prefetch: for reading, into every cache, not instructions


@intrinsic
def at(typingctx, array, k):
    """See `sparse_ref.lanes.at`."""

    def codegen(context, builder, signature, args):
        place = ir.element_pointer(context, builder, array, args[0], args[1])
        return context.unpack_value(builder, array.dtype, place)

    return array.dtype(array, types.intp), codegen


@intrinsic
def put(typingctx, array, k, value):
    """See `sparse_ref.lanes.put`."""

    def codegen(context, builder, signature, args):
        place = ir.element_pointer(context, builder, array, args[0], args[1])
        context.pack_value(builder, array.dtype, args[2], place)  # a bool has other bits in memory
        return context.get_dummy_value()

    return types.void(array, types.intp, array.dtype), codegen


@intrinsic(prefer_literal=True)
def load(typingctx, array, offset, width):
    """See `sparse_ref.lanes.load`."""
    lanes = LanesType(array.dtype, width.literal_value)

    def codegen(context, builder, signature, args):
        pointer = ir.element_pointer(context, builder, array, args[0], args[1])
        return ir.load(builder, pointer, array, lanes.width)

    return lanes(array, types.intp, width), codegen


@intrinsic(prefer_literal=True)
def load_rows(typingctx, array, offset, step, width, count):
    """See `sparse_ref.lanes.load_rows`."""
    lanes = LanesType(array.dtype, width.literal_value * count.literal_value)

    def codegen(context, builder, signature, args):
        pointer = ir.element_pointer(context, builder, array, args[0], args[1])
        return ir.load_rows(
            builder, pointer, array, args[2], width.literal_value, count.literal_value
        )

    return lanes(array, types.intp, types.intp, width, count), codegen


@intrinsic
def store(typingctx, array, offset, value):
    """See `sparse_ref.lanes.store`."""

    def codegen(context, builder, signature, args):
        pointer = ir.element_pointer(context, builder, array, args[0], args[1])
        ir.store(builder, pointer, array, args[2])
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


@intrinsic(prefer_literal=True)
def store_rows(typingctx, array, offset, step, width, value):
    """See `sparse_ref.lanes.store_rows`."""

    def codegen(context, builder, signature, args):
        pointer = ir.element_pointer(context, builder, array, args[0], args[1])
        for start in range(0, value.width, width.literal_value):
            ir.store(builder, pointer, array, ir.cut(builder, args[4], start, width.literal_value))
            pointer = builder.gep(pointer, [args[2]])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, width, value), codegen


@intrinsic(prefer_literal=True)
def prefetch(typingctx, array, offset, width):
    """See `sparse_ref.lanes.prefetch`."""
    line = max(1, CACHE_LINE * 8 // array.dtype.bitwidth)

    def codegen(context, builder, signature, args):
        byte, word = llvm.IntType(8).as_pointer(), llvm.IntType(32)
        kind = llvm.FunctionType(llvm.VoidType(), [byte, word, word, word])
        name = "llvm.prefetch.p0i8"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        pointer = ir.element_pointer(context, builder, array, args[0], args[1])
        how = [llvm.Constant(word, number) for number in (READ, KEEP, DATA)]
        for start in range(0, width.literal_value, line):
            place = builder.gep(pointer, [ir.place(start)])
            builder.call(function, [builder.bitcast(place, byte), *how])
        return context.get_dummy_value()

    return types.void(array, types.intp, width), codegen


@intrinsic(prefer_literal=True)
def splat(typingctx, scalar, width):
    """See `sparse_ref.lanes.splat`."""
    lanes = LanesType(scalar, width.literal_value)

    def codegen(context, builder, signature, args):
        return ir.splat(builder, args[0], lanes.vector)

    return lanes(scalar, width), codegen


@intrinsic(prefer_literal=True)
def lane(typingctx, value, k):
    """See `sparse_ref.lanes.lane`."""

    def codegen(context, builder, signature, args):
        return builder.extract_element(args[0], ir.index(k.literal_value))

    return value.scalar(value, k), codegen


@intrinsic(prefer_literal=True)
def part(typingctx, value, start, width):
    """See `sparse_ref.lanes.part`."""
    lanes = LanesType(value.scalar, width.literal_value)

    def codegen(context, builder, signature, args):
        return ir.cut(builder, args[0], start.literal_value, lanes.width)

    return lanes(value, start, width), codegen


@intrinsic
def add(typingctx, a, b):
    """See `sparse_ref.lanes.add`."""

    def codegen(context, builder, signature, args):
        return builder.fadd(*args)

    return a(a, b), codegen


@intrinsic
def fma(typingctx, a, b, c):
    """See `sparse_ref.lanes.fma`."""

    def codegen(context, builder, signature, args):
        factor = args[0] if isinstance(a, LanesType) else ir.splat(builder, args[0], c.vector)
        return ir.fma(builder, factor, args[1], args[2])

    return c(a if isinstance(a, LanesType) else c.scalar, b, c), codegen


@intrinsic
def products(typingctx, a, b):
    """See `sparse_ref.lanes.products`."""

    def codegen(context, builder, signature, args):
        return ir.products(builder, *args)

    return ir.sum_lanes(a)(a, b), codegen


@intrinsic
def halve(typingctx, p, q, r, s):
    """See `sparse_ref.lanes.halve`."""

    def codegen(context, builder, signature, args):
        return ir.halve_many(builder, args)

    return LanesType(p.scalar, 4)(p, q, r, s), codegen


@intrinsic
def dot(typingctx, a, b):
    """See `sparse_ref.lanes.dot`."""

    def codegen(context, builder, signature, args):
        return ir.halve(builder, ir.products(builder, *args))

    return a.scalar(a, b), codegen


@intrinsic(prefer_literal=True)
def dots(typingctx, a, at_a, step_a, b, at_b, step_b, width, count):
    """See `sparse_ref.lanes.dots`."""
    row, rows = width.literal_value, count.literal_value

    def codegen(context, builder, signature, args):
        left = ir.row_chunks(context, builder, a, args[:3], row, rows)
        right = ir.row_chunks(context, builder, b, args[3:6], row, rows)
        running = [None] * 16
        for four, others in zip(left, right, strict=True):
            pairs = [(x, y) for x in four for y in others]
            running = [ir.running(builder, s, [p]) for s, p in zip(running, pairs, strict=True)]
        return ir.halve_many(builder, running)

    places = (types.intp, types.intp)
    return LanesType(a.dtype, 16)(a, *places, b, *places, width, count), codegen


@intrinsic
def total(typingctx, a):
    """See `sparse_ref.lanes.total`."""

    def codegen(context, builder, signature, args):
        first, *rest = ir.chunks(builder, args[0])
        for chunk in rest:
            first = builder.fadd(first, chunk)
        return ir.halve(builder, first)

    return a.scalar(a), codegen


@intrinsic
def beyond(typingctx, value, limit):
    """See `sparse_ref.lanes.beyond`."""

    def codegen(context, builder, signature, args):
        vector, letter = value.vector, "f32" if value.scalar == types.float32 else "f64"
        name, kind = f"llvm.fabs.v{value.width}{letter}", llvm.FunctionType(vector, [vector])
        fabs = cgutils.get_or_insert_function(builder.module, kind, name)
        limits = ir.splat(builder, args[1], vector)
        larger = builder.fcmp_unordered(">", builder.call(fabs, args[:1]), limits)
        return ir.bits(builder, larger)

    return types.intp(value, value.scalar), codegen


@intrinsic
def at_least(typingctx, value, limit):
    """See `sparse_ref.lanes.at_least`."""

    def codegen(context, builder, signature, args):
        limits = ir.splat(builder, args[1], value.vector)
        return ir.bits(builder, builder.fcmp_ordered(">=", args[0], limits))

    return types.intp(value, value.scalar), codegen


@intrinsic
def ones(typingctx, bits):
    """See `sparse_ref.lanes.ones`."""

    def codegen(context, builder, signature, args):
        return builder.ctpop(args[0])

    return types.intp(types.intp), codegen


@intrinsic
def lowest_bit(typingctx, bits):
    """See `sparse_ref.lanes.lowest_bit`."""

    def codegen(context, builder, signature, args):
        return builder.cttz(args[0], llvm.Constant(llvm.IntType(1), 1))

    return types.intp(types.intp), codegen
