"""The Numba loops of `sparse_ref.conv.kernels`; `sparse_ref.conv.plan` says what they walk over."""

import itertools

import numba
from numba import njit, prange

from sparse_ref.conv.plan import STRIPS
from sparse_ref.conv.planes import (
    channel_of,
    clear,
    give_plane,
    inputs_plane,
    share_of,
    sizes_of,
    strips_end,
    take_planes,
    way_of,
)
from sparse_ref.lanes import add, at, dot, fma, halve, load, products, put, splat, store, total
from sparse_ref.work import SHARES, ByWidth

WIDTHS = (16, 8)  # float32, float64: one register


def _make_product(width, strip):
    wide = width * strip

    @njit(parallel=True, cache=True)
    def product_tiles(indptr, offsets, data, bias, x, out, numbers, scratch):
        tiles, size, filters = x.shape[0], scratch.shape[1], bias.size
        blocks, _ = sizes_of(way_of(numbers))
        for unit in prange(tiles * blocks):
            way, t, block = way_of(numbers), unit // blocks, unit % blocks
            here = numba.get_thread_id() * size
            take_planes(x, t * x.shape[1] * width, way, block, scratch, here, width)
            result = here + size - sizes_of(way)[1] * width
            channel = way.write_rows.size * way.write_columns.size * width
            for i in range(filters):
                for q in range(0, strips_end(way, block), strip):
                    base = here + q * width
                    acc = splat(at(bias, i), wide)
                    for k in range(at(indptr, i), at(indptr, i + 1)):
                        acc = fma(at(data, k), load(scratch, base + at(offsets, k), wide), acc)
                    store(scratch, result + q * width, acc)
                there = (t * filters + i) * channel
                give_plane(scratch, result, way, (0, 0), block, out, there, width)

    return product_tiles


# Four connections at a time share the steps in which their sums are halved, as in `kernels`.
def _make_gradients(width, strip):
    wide = width * strip

    @njit(parallel=True, cache=True)
    def gradients_tiles(indptr, offsets, data, delta, x, out, sums, groups, numbers, scratch):
        tiles, size, nnz = x.shape[0], scratch.shape[1], offsets.size
        blocks, plane = sizes_of(way_of(numbers))
        for group in prange(groups):
            way, grad = way_of(numbers), group * nnz
            here, zero = numba.get_thread_id() * size, x.dtype.type(0)
            result, inputs = here + size - plane * width, here + size - 2 * plane * width
            channel, remainders, columns = channel_of(way, width)
            clear(sums, grad, nnz)
            first, last = share_of(tiles * blocks, group, groups)
            for unit in range(first, last):
                t, block = unit // blocks, unit % blocks
                take_planes(delta, t * delta.shape[1] * width, way, block, scratch, here, width)
                for i in range(indptr.size - 1):
                    there = t * x.shape[1] * width + i // remainders * channel
                    which = i % remainders // columns, i % columns
                    inputs_plane(x, there, way, which, block, scratch, inputs, width)
                    for q in range(0, strips_end(way, block), strip):
                        k, end, base = at(indptr, i), at(indptr, i + 1), here + q * width
                        u, acc = load(scratch, inputs + q * width, wide), splat(zero, wide)
                        while k + 3 < end:
                            d = load(scratch, base + at(offsets, k), wide)
                            acc, p = fma(at(data, k), d, acc), products(d, u)
                            d = load(scratch, base + at(offsets, k + 1), wide)
                            acc, r = fma(at(data, k + 1), d, acc), products(d, u)
                            d = load(scratch, base + at(offsets, k + 2), wide)
                            acc, s = fma(at(data, k + 2), d, acc), products(d, u)
                            d = load(scratch, base + at(offsets, k + 3), wide)
                            acc, v = fma(at(data, k + 3), d, acc), products(d, u)
                            to = grad + k
                            store(sums, to, add(load(sums, to, 4), halve(p, r, s, v)))
                            k += 4
                        while k < end:
                            d = load(scratch, base + at(offsets, k), wide)
                            acc = fma(at(data, k), d, acc)
                            put(sums, grad + k, at(sums, grad + k) + dot(d, u))
                            k += 1
                        store(scratch, result + q * width, acc)
                    give_plane(scratch, result, way, which, block, out, there, width)

    return gradients_tiles


def _make_weight_gradient(width, strip):
    wide = width * strip

    @njit(parallel=True, cache=True)
    def weight_gradient_tiles(indptr, offsets, first, delta, x, sums, groups, numbers, scratch):
        tiles, size, nnz = x.shape[0], scratch.shape[1], offsets.size
        blocks, plane = sizes_of(way_of(numbers))
        for group in prange(groups):
            way, grad, here = way_of(numbers), group * nnz, numba.get_thread_id() * size
            channel, remainders, columns = channel_of(way, width)
            inputs = here + size - 2 * plane * width
            clear(sums, grad, nnz)
            begin, stop = share_of(tiles * blocks, group, groups)
            for unit in range(begin, stop):
                t, block = unit // blocks, unit % blocks
                from_filter = t * delta.shape[1] * width + first
                take_planes(delta, from_filter, way, block, scratch, here, width)
                for i in range(indptr.size - 1):
                    there = t * x.shape[1] * width + i // remainders * channel
                    which = i % remainders // columns, i % columns
                    inputs_plane(x, there, way, which, block, scratch, inputs, width)
                    for q in range(0, strips_end(way, block), strip):
                        k, end, base = at(indptr, i), at(indptr, i + 1), here + q * width
                        u = load(scratch, inputs + q * width, wide)
                        while k + 3 < end:
                            p = products(load(scratch, base + at(offsets, k), wide), u)
                            r = products(load(scratch, base + at(offsets, k + 1), wide), u)
                            s = products(load(scratch, base + at(offsets, k + 2), wide), u)
                            v = products(load(scratch, base + at(offsets, k + 3), wide), u)
                            to = grad + k
                            store(sums, to, add(load(sums, to, 4), halve(p, r, s, v)))
                            k += 4
                        while k < end:
                            d = load(scratch, base + at(offsets, k), wide)
                            put(sums, grad + k, at(sums, grad + k) + dot(d, u))
                            k += 1

    return weight_gradient_tiles


def _make_channel_sums(width):
    @njit(parallel=True, cache=True)
    def channel_sums_tiles(delta, positions, out):
        tiles, channels = delta.shape[0], out.size
        for c in prange(channels):
            value = delta.dtype.type(0)
            for t in range(tiles):
                here = (t * channels + c) * positions * width
                acc = load(delta, here, width)
                for p in range(1, positions):
                    acc = add(acc, load(delta, here + p * width, width))
                value += total(acc)
            out[c] = value

    return channel_sums_tiles


@njit(parallel=True, cache=True)
def add_groups(sums, slots, out):
    """``out[slots[k]]`` is the sum of the groups' numbers k, in order."""
    groups, nnz = sums.shape
    for unit in prange(SHARES):
        for k in range(nnz * unit // SHARES, nnz * (unit + 1) // SHARES):
            value = sums[0, k]
            for group in range(1, groups):
                value += sums[group, k]
            put(out, at(slots, k), value)


def _every(make):
    return ByWidth(((w, s), make(w, s)) for w, s in itertools.product(WIDTHS, STRIPS))


PRODUCT, GRADIENTS = _every(_make_product), _every(_make_gradients)
WEIGHT_GRADIENT = _every(_make_weight_gradient)
CHANNEL_SUMS = ByWidth((width, _make_channel_sums(width)) for width in WIDTHS)
