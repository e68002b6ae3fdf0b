"""What the compiler makes of `sparse_ref.lanes_select`: the same functions as LLVM instructions."""

from llvmlite import ir as llvm
from numba import types
from numba.extending import intrinsic

from sparse_ref import lanes_ir as ir
from sparse_ref.lanes_ir import LanesType


@intrinsic
def widen(typingctx, value):
    """See `sparse_ref.lanes_select.widen`."""
    wide = LanesType(types.float64, value.width)

    def codegen(context, builder, signature, args):
        if value.scalar == types.float64:
            return args[0]
        return builder.fpext(args[0], wide.vector)

    return wide(value), codegen


@intrinsic
def larger(typingctx, value, best):
    """See `sparse_ref.lanes_select.larger`."""

    def codegen(context, builder, signature, args):
        return builder.select(_is_larger(builder, *args), *args)

    return value(value, best), codegen


@intrinsic
def where_larger(typingctx, value, best, new, old):
    """See `sparse_ref.lanes_select.where_larger`."""

    def codegen(context, builder, signature, args):
        taken = ir.splat(builder, args[2], old.vector)
        return builder.select(_is_larger(builder, *args[:2]), taken, args[3])

    return old(value, best, old.scalar, old), codegen


@intrinsic
def where_equal(typingctx, value, number, chosen):
    """See `sparse_ref.lanes_select.where_equal`."""

    def codegen(context, builder, signature, args):
        equal = builder.fcmp_ordered("==", args[0], ir.splat(builder, args[1], value.vector))
        return builder.select(equal, args[2], llvm.Constant(chosen.vector, None))

    return chosen(value, value.scalar, chosen), codegen


@intrinsic
def store_whole(typingctx, array, offset, value):
    """See `sparse_ref.lanes_select.store_whole`."""

    def codegen(context, builder, signature, args):
        whole = builder.fptoui(args[2], _whole(array, value.width))
        pointer = ir.element_pointer(context, builder, array, args[0], args[1])
        ir.store(builder, pointer, array, whole)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


@intrinsic
def load_whole(typingctx, array, offset, like):
    """See `sparse_ref.lanes_select.load_whole`."""

    def codegen(context, builder, signature, args):
        vector = _whole(array, like.width)
        pointer = ir.element_pointer(context, builder, array, args[0], args[1])
        place = builder.bitcast(pointer, vector.as_pointer())
        whole = builder.load(place, align=array.dtype.bitwidth // 8, typ=vector)
        return builder.uitofp(whole, like.vector)

    return like(array, types.intp, like), codegen


def _is_larger(builder, value, best):
    """A vector of truths: larger in order, or not a number."""
    no_number = builder.fcmp_unordered("uno", value, value)
    return builder.or_(builder.fcmp_ordered(">", value, best), no_number)


def _whole(array, width):
    return llvm.VectorType(llvm.IntType(array.dtype.bitwidth), width)
