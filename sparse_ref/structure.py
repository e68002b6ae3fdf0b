"""Numba loops over patterns: merge a change, transpose, number the absent, rank scores.

Each is linear in the connections. Arguments are checked by the callers, `sparse_ref.csr` and
`sparse_ref.selection`; the loops trust them.
"""

import numpy as np
from numba import njit, prange

from sparse_ref.lanes import at, at_least, load, lowest_bit, ones, put
from sparse_ref.work import SHARES, first_at_least

TRANSPOSE_SHARES = 8  # each counts the connections of every input unit: a few bytes per unit
CHUNK = 16  # scores compared at a time


@njit(cache=True)
def first_disorder(indptr, indices, n_in):
    """First slot whose column is out of range or not above the one before it in its row; -1."""
    for i in range(indptr.size - 1):
        before = -1
        for k in range(at(indptr, i), at(indptr, i + 1)):
            column = at(indices, k)
            if not before < column < n_in:
                return k
            before = column
    return -1


@njit(parallel=True, cache=True)
def positions_of(indptr, slots, indices, n_in, out):
    """``out[m]``: flat position of the connection in slot ``slots[m]``; slots ascend."""
    for unit in prange(SHARES):
        first, last = slots.size * unit // SHARES, slots.size * (unit + 1) // SHARES
        row = 0 if first == last else first_at_least(indptr, slots[first] + 1) - 1
        for m in range(first, last):
            slot = at(slots, m)
            while at(indptr, row + 1) <= slot:
                row += 1
            put(out, m, row * n_in + at(indices, slot))


@njit(cache=True)
def positions_kept(indptr, indices, kept, n_in, out):
    """Flat positions of the slots that are `kept` (nnz,) bool; `out` has room for one more."""
    n = 0
    for i in range(indptr.size - 1):
        for k in range(at(indptr, i), at(indptr, i + 1)):
            put(out, n, i * n_in + at(indices, k))
            n += at(kept, k)


@njit(parallel=True, cache=True)
def merge(old, kept, grow, values, n_in, new, source):
    """The slots of `old` that are `kept` (nnz,) bool, and the positions `grow`, in order.

    `old` and `new` are ``(indptr, indices, data)``. Written: `new`, whose ``indptr`` is right
    already, and `source`, the old slot of each new one or -1. Returns how many of `grow` were
    connected already. What is dropped and where something grows cannot be foreseen, so nothing
    branches on it: a branch foretold wrongly costs more than the work it spares.
    """
    (indptr, indices, data), (new_indptr, new_indices, new_data) = old, new
    clashes, n_out = 0, indptr.size - 1
    for unit in prange(SHARES):
        first, last = n_out * unit // SHARES, n_out * (unit + 1) // SHARES
        most = 0
        for i in range(first, last):
            most = max(most, indptr[i + 1] - indptr[i])
        slots, columns = np.empty(most + 1, np.int64), np.empty(most + 1, np.int64)
        g = first_at_least(grow, first * n_in)
        for i in range(first, last):
            n, k, to = 0, 0, at(new_indptr, i)
            for slot in range(at(indptr, i), at(indptr, i + 1)):
                put(slots, n, slot)
                put(columns, n, at(indices, slot))
                n += at(kept, slot)
            end = g + at(new_indptr, i + 1) - to - n
            while k < n and g < end:
                column, fresh, slot = at(columns, k), at(grow, g) - i * n_in, at(slots, k)
                value, old_value = at(values, g), at(data, slot)
                grown = fresh <= column
                clashes += fresh == column
                put(new_indices, to, fresh if grown else column)
                put(new_data, to, value if grown else old_value)
                put(source, to, -1 if grown else slot)
                g, k, to = g + grown, k + (not grown), to + 1
            for rest in range(k, n):
                put(new_indices, to, at(columns, rest))
                put(new_data, to, at(data, at(slots, rest)))
                put(source, to, at(slots, rest))
                to += 1
            for rest in range(g, end):
                put(new_indices, to, at(grow, rest) - i * n_in)
                put(new_data, to, at(values, rest))
                put(source, to, -1)
                to += 1
            g = end
    return clashes


@njit(parallel=True, cache=True)
def carry(old, source, grown, out):
    """``out[k] = old[source[k]]``, or `grown` where the source is -1; `old` is not empty."""
    for unit in prange(SHARES):
        for k in range(out.size * unit // SHARES, out.size * (unit + 1) // SHARES):
            slot = at(source, k)
            value = at(old, max(slot, 0))
            put(out, k, grown if slot < 0 else value)


@njit(parallel=True, cache=True)
def transpose(indptr, indices, out_indptr, rows, slots):
    """The pattern by input unit, rows ascending within each: a counting sort by column."""
    n_out, n_in = indptr.size - 1, out_indptr.size - 1
    before = np.zeros((TRANSPOSE_SHARES, n_in), indices.dtype)
    for unit in prange(TRANSPOSE_SHARES):
        first, last = n_out * unit // TRANSPOSE_SHARES, n_out * (unit + 1) // TRANSPOSE_SHARES
        for k in range(indptr[first], indptr[last]):
            before[unit, at(indices, k)] += 1
    total = 0
    for j in range(n_in):
        out_indptr[j] = total
        for unit in range(TRANSPOSE_SHARES):
            here = before[unit, j]
            before[unit, j] = total
            total += here
    out_indptr[n_in] = total
    for unit in prange(TRANSPOSE_SHARES):
        for i in range(n_out * unit // TRANSPOSE_SHARES, n_out * (unit + 1) // TRANSPOSE_SHARES):
            for k in range(indptr[i], indptr[i + 1]):
                j = at(indices, k)
                to = before[unit, j]
                put(rows, to, i)
                put(slots, to, k)
                before[unit, j] = to + 1


@njit(cache=True)
def absent(kept, ranks, out):
    """``out[m]``: flat position of absent connection number ``ranks[m]``.

    `kept` are the positions that are taken; it and `ranks` ascend and end in one number that is
    larger than all positions, so that no end has to be looked for.
    """
    k, m = 0, 0
    while m < out.size:
        position = at(ranks, m) + k
        before = position < at(kept, k)
        put(out, m, position)
        m, k = m + before, k + (not before)


@njit(cache=True)
def meet(some, others, some_met, others_met):
    """Which of `some` are among `others` and the reverse; both ascend."""
    m, n = 0, 0
    while m < some.size and n < others.size:
        a, b = at(some, m), at(others, n)
        put(some_met, m, a == b)
        put(others_met, n, a == b)
        m, n = m + (a <= b), n + (b <= a)
    for rest in range(m, some.size):
        put(some_met, rest, False)
    for rest in range(n, others.size):
        put(others_met, rest, False)


@njit(cache=True)
def between(scores, low, high, out):
    """Collect the scores in ``low <= score < high``; returns how many, and how many reach `high`.

    The last few scores, less than a chunk, are the caller's.
    """
    n, reached = 0, 0
    for start in range(0, scores.size // CHUNK * CHUNK, CHUNK):
        chunk = load(scores, start, CHUNK)
        high_bits = at_least(chunk, high)
        reached += ones(high_bits)
        bits = at_least(chunk, low) & ~high_bits
        while bits:
            put(out, n, at(scores, start + lowest_bit(bits)))
            n, bits = n + 1, bits & (bits - 1)
    return n, reached


@njit(cache=True)
def choose(scores, threshold, ties, largest, out):
    """Indices of the scores above `threshold` and of the first `ties` equal to it, ascending.

    With ``largest=False`` the indices of all the others.
    """
    n, everything = 0, (1 << CHUNK) - 1
    for start in range(0, scores.size, CHUNK):
        bits, end = 0, min(CHUNK, scores.size - start)
        if end == CHUNK:
            bits = at_least(load(scores, start, CHUNK), threshold)
        else:
            for lane in range(end):
                bits |= (at(scores, start + lane) >= threshold) << lane
        candidates = bits
        while candidates:
            lane = lowest_bit(candidates)
            candidates &= candidates - 1
            if at(scores, start + lane) == threshold:
                bits, ties = (bits if ties > 0 else bits & ~(1 << lane)), ties - 1
        if not largest:
            bits = ~bits & (everything >> (CHUNK - end))
        while bits:
            put(out, n, start + lowest_bit(bits))
            n, bits = n + 1, bits & (bits - 1)


@njit(cache=True)
def sort_spread(values, population, ends, out):
    """Sort integers spread evenly over ``0 ... population - 1``: buckets, then insertion.

    `ends` is scratch, one entry a bucket.
    """
    buckets = ends.size
    ends[:] = 0
    for k in range(values.size):
        ends[_bucket(at(values, k), buckets, population)] += 1
    total = 0
    for b in range(buckets):
        total, ends[b] = total + ends[b], total
    for k in range(values.size):
        value = at(values, k)
        b = _bucket(value, buckets, population)
        put(out, at(ends, b), value)
        ends[b] += 1
    for k in range(1, out.size):
        value, to = at(out, k), k
        while to > 0 and at(out, to - 1) > value:
            put(out, to, at(out, to - 1))
            to -= 1
        put(out, to, value)


@njit(cache=True)
def _bucket(value, buckets, population):
    return min(buckets - 1, np.int64(np.float64(value) * (buckets / population)))


@njit(cache=True)
def scatter(indptr, indices, data, out):
    """Write each connection's number to its place in the zeros of ``out`` (n_out, n_in)."""
    for i in range(indptr.size - 1):
        row = out[i]
        for k in range(indptr[i], indptr[i + 1]):
            row[indices[k]] = data[k]


@njit(cache=True)
def gather(indptr, indices, dense, out):
    """``out[k]`` is what ``dense`` (n_out, n_in) has at connection k."""
    for i in range(indptr.size - 1):
        row = dense[i]
        for k in range(indptr[i], indptr[i + 1]):
            out[k] = row[indices[k]]
