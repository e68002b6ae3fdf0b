"""Vectors in LLVM: the type `Lanes` and the instructions `sparse_ref.lanes_llvm` is made of."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import models, register_model

SUM_LANES_BYTES = 64  # a sum keeps 16 float32 or 8 float64 partial sums, on every host


class LanesType(types.Type):
    """Numba's name for `width` floating numbers held in registers."""

    def __init__(self, scalar, width):
        self.scalar, self.width = scalar, width
        super().__init__(name=f"Lanes({scalar}, {width})")

    @property
    def vector(self):
        """The LLVM type."""
        return ir.VectorType(element(self.scalar), self.width)


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, fe_type.vector)


def element(scalar):
    """LLVM's type of a number."""
    return ir.FloatType() if scalar == types.float32 else ir.DoubleType()


def element_pointer(context, builder, array_type, array, offset):
    """Address of a flat element; only C-contiguous arrays have them in a row."""
    if array_type.layout != "C":
        raise TypingError(f"lanes: arrays must be C-contiguous, got {array_type}")
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [offset])


def load(builder, pointer, array_type, width):
    """Load `width` numbers from an address."""
    vector = ir.VectorType(element(array_type.dtype), width)
    place = builder.bitcast(pointer, vector.as_pointer())
    return builder.load(place, align=array_type.dtype.bitwidth // 8, typ=vector)


def store(builder, pointer, array_type, value):
    """Store a vector at an address."""
    place = builder.bitcast(pointer, value.type.as_pointer())
    builder.store(value, place, align=array_type.dtype.bitwidth // 8)


def load_rows(builder, pointer, array_type, step, width, count):
    """`count` loads, `step` numbers apart, joined."""
    rows = []
    for _ in range(count):
        rows.append(load(builder, pointer, array_type, width))
        pointer = builder.gep(pointer, [step])
    return joined(builder, rows)


def splat(builder, scalar, vector):
    """A vector of one number."""
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, index(0))
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), mask([0] * vector.count))


def fma(builder, a, b, c):
    """``a * b + c``, rounded once."""
    vector = c.type
    letter = "f32" if isinstance(vector.element, ir.FloatType) else "f64"
    kind = ir.FunctionType(vector, [vector] * 3)
    name = f"llvm.fma.v{vector.count}{letter}"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [a, b, c])


def cut(builder, value, start, count):
    """`count` lanes from `start` on."""
    return picked(builder, value, range(start, start + count))


def halve(builder, value):
    """The sum of a vector's lanes by halving."""
    return builder.extract_element(halve_many(builder, [value]), index(0))


def halve_many(builder, values):
    """One lane a value; the halves of all values are added by the same instructions."""
    value, n = joined(builder, values), len(values)
    while value.type.count > n:
        width = value.type.count // n
        low = [k * width + lane for k in range(n) for lane in range(width // 2)]
        high = [lane + width // 2 for lane in low]
        value = builder.fadd(picked(builder, value, low), picked(builder, value, high))
    return value


def joined(builder, values):
    """Vectors one after the other as one; their number is a power of two."""
    while len(values) > 1:
        both = mask(range(2 * values[0].type.count))
        pairs = zip(values[::2], values[1::2], strict=True)
        values = [builder.shuffle_vector(a, b, both) for a, b in pairs]
    return values[0]


def picked(builder, value, lanes):
    """The lanes of these numbers."""
    return builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), mask(lanes))


def chunks(builder, value):
    """A vector in pieces as wide as a sum."""
    bits = 32 if isinstance(value.type.element, ir.FloatType) else 64
    lanes = min(SUM_LANES_BYTES * 8 // bits, value.type.count)
    return [cut(builder, value, s, lanes) for s in range(0, value.type.count, lanes)]


def index(k):
    """A lane's number."""
    return ir.Constant(ir.IntType(32), k)


def mask(indices):
    """Lane numbers as LLVM wants them."""
    indices = list(indices)
    return ir.Constant(ir.VectorType(ir.IntType(32), len(indices)), indices)


def products(builder, a, b):
    """Running sums of products."""
    pairs = zip(chunks(builder, a), chunks(builder, b), strict=True)
    return running(builder, None, pairs)


def running(builder, partial, pairs):
    """Add products of pairs of vectors to running sums."""
    for x, y in pairs:
        partial = builder.fmul(x, y) if partial is None else fma(builder, x, y, partial)
    return partial


def sum_lanes(lanes_type):
    """The type of the running sums of a dot product."""
    return LanesType(lanes_type.scalar, min(most_lanes(lanes_type.scalar), lanes_type.width))


def most_lanes(scalar):
    """Running sums that a dot product keeps at most."""
    return SUM_LANES_BYTES * 8 // scalar.bitwidth


def row_chunks(context, builder, array, place_of, width, count):
    """For each chunk of a sum: that of 4 rows, so that few registers are in use at a time."""
    data, offset, step = place_of
    first = element_pointer(context, builder, array, data, offset)
    rows = [builder.gep(first, [place(k * width)]) for k in range(4)]
    lanes = most_lanes(array.dtype)
    if width < lanes:
        yield [load_rows(builder, row, array, step, width, count) for row in rows]
        return
    for _ in range(count):
        for start in range(0, width, lanes):
            places = [builder.gep(row, [place(start)]) for row in rows]
            yield [load(builder, place, array, lanes) for place in places]
        rows = [builder.gep(row, [step]) for row in rows]


def place(k):
    """A distance between numbers in memory."""
    return ir.Constant(ir.IntType(64), k)


def bits(builder, truths):
    """A vector of truths as the bits of an integer."""
    packed = builder.bitcast(truths, ir.IntType(truths.type.count))
    return builder.zext(packed, ir.IntType(64))
