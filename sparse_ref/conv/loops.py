"""The Numba loops of `sparse_ref.conv.kernels`; `sparse_ref.conv.plan` says what they walk over."""

import itertools

import numba
from numba import njit, prange

from sparse_ref.conv.plan import STRIPS
from sparse_ref.conv.planes import (
    channel_of,
    clear,
    extent,
    give_plane,
    inputs_plane,
    place_of,
    share_of,
    sizes_of,
    take_planes,
    way_of,
)
from sparse_ref.lanes import (
    add,
    at,
    dot,
    fma,
    halve,
    load,
    load_rows,
    prefetch,
    products,
    put,
    splat,
    store,
    store_rows,
    total,
)
from sparse_ref.work import SHARES, ByWidth

WIDTHS = (16, 8)  # float32, float64: one register
# Connections. What waits for a load fills the processor's queues before they reach that far.
AHEAD = 4


# What follows is put into the kernels before they are compiled, where `row`, `down` and `wide` are
# numbers: a strip is `down` rows of `row` numbers, `step` apart in the planes, `line` in results.


@njit(cache=True, inline="always")
def strip_of(direct, image, there, plane, here, line, row, down):
    """A strip of an image, from itself or from its plane."""
    if direct:
        return load_rows(image, there, line, row, down)
    return load_rows(plane, here, line, row, down)


@njit(cache=True, inline="always")
def keep_strip(direct, image, there, plane, here, line, row, value):
    """Write a strip into an image, or into its plane."""
    if direct:
        store_rows(image, there, line, row, value)
    else:
        store_rows(plane, here, line, row, value)


@njit(cache=True, inline="always")
def product_strip(first, last, offsets, data, start, planes, base, step, row, down, wide):
    """``start + sum_k data[k] * planes[base + offsets[k]]``, a strip, for some connections."""
    acc = splat(start, wide)
    for k in range(first, last):
        acc = fma(at(data, k), load_rows(planes, base + at(offsets, k), step, row, down), acc)
    return acc


@njit(cache=True, inline="always")
def ask_for(planes, there, step, row, down):
    """Have a strip of one or two rows brought near."""
    prefetch(planes, there, row)
    if down > 1:
        prefetch(planes, there + step, row)


@njit(cache=True, inline="always")
def gradient_strip(first, last, offsets, data, u, planes, base, sums, to, step, row, down, wide):
    """The same product from 0; on the way each connection's ``<planes[...], u>`` is added to sums.

    Four connections at a time share the steps in which their sums are halved, as in `kernels`.
    """
    k, acc = first, splat(planes.dtype.type(0), wide)
    while k + 3 < last:
        ask_for(planes, base + at(offsets, min(k + AHEAD, last - 1)), step, row, down)
        d = load_rows(planes, base + at(offsets, k), step, row, down)
        acc, p = fma(at(data, k), d, acc), products(d, u)
        ask_for(planes, base + at(offsets, min(k + 1 + AHEAD, last - 1)), step, row, down)
        d = load_rows(planes, base + at(offsets, k + 1), step, row, down)
        acc, q = fma(at(data, k + 1), d, acc), products(d, u)
        ask_for(planes, base + at(offsets, min(k + 2 + AHEAD, last - 1)), step, row, down)
        d = load_rows(planes, base + at(offsets, k + 2), step, row, down)
        acc, r = fma(at(data, k + 2), d, acc), products(d, u)
        ask_for(planes, base + at(offsets, min(k + 3 + AHEAD, last - 1)), step, row, down)
        d = load_rows(planes, base + at(offsets, k + 3), step, row, down)
        acc, s = fma(at(data, k + 3), d, acc), products(d, u)
        store(sums, to + k, add(load(sums, to + k, 4), halve(p, q, r, s)))
        k += 4
    while k < last:
        d = load_rows(planes, base + at(offsets, k), step, row, down)
        acc = fma(at(data, k), d, acc)
        put(sums, to + k, at(sums, to + k) + dot(d, u))
        k += 1
    return acc


@njit(cache=True, inline="always")
def weight_strip(first, last, offsets, u, planes, base, sums, to, step, row, down):
    """Only what `gradient_strip` adds to the sums, to the same bits."""
    k = first
    while k + 3 < last:
        p = products(load_rows(planes, base + at(offsets, k), step, row, down), u)
        q = products(load_rows(planes, base + at(offsets, k + 1), step, row, down), u)
        r = products(load_rows(planes, base + at(offsets, k + 2), step, row, down), u)
        s = products(load_rows(planes, base + at(offsets, k + 3), step, row, down), u)
        store(sums, to + k, add(load(sums, to + k, 4), halve(p, q, r, s)))
        k += 4
    while k < last:
        d = load_rows(planes, base + at(offsets, k), step, row, down)
        put(sums, to + k, at(sums, to + k) + dot(d, u))
        k += 1


def _make_product(width, down, across):
    row, wide = width * across, width * across * down

    @njit(parallel=True, cache=True)
    def product_tiles(indptr, offsets, data, bias, x, out, numbers, scratch):
        tiles, size, filters = x.shape[0], scratch.shape[1], bias.size
        blocks, plane = sizes_of(way_of(numbers))
        for unit in prange(tiles * blocks):
            way, t, block = way_of(numbers), unit // blocks, unit % blocks
            here = numba.get_thread_id() * size
            result, channel = here + size - plane * width, channel_of(way, width)[0]
            take_planes(x, t * x.shape[1] * width, way, block, scratch, here, width)
            rows, columns, step, line = extent(way, block, width)
            for i in range(filters):
                first, last = at(indptr, i), at(indptr, i + 1)
                there = (t * filters + i) * channel
                image = there + block * way.block_rows * line
                for r in range(0, rows, down):
                    for c in range(0, columns, across):
                        base, to = here + r * step + c * width, r * line + c * width
                        y = product_strip(
                            first, last, offsets, data, at(bias, i), scratch, base,
                            step, row, down, wide,
                        )  # fmt: skip
                        keep_strip(way.direct, out, image + to, scratch, result + to, line, row, y)
                if not way.direct:
                    give_plane(scratch, result, way, (0, 0), block, out, there, width)

    return product_tiles


def _make_gradients(width, down, across):
    row, wide = width * across, width * across * down

    @njit(parallel=True, cache=True)
    def gradients_tiles(indptr, offsets, data, delta, x, out, sums, groups, numbers, scratch):
        tiles, size, nnz = x.shape[0], scratch.shape[1], offsets.size
        blocks, plane = sizes_of(way_of(numbers))
        for group in prange(groups):
            way, here, grad = way_of(numbers), numba.get_thread_id() * size, group * nnz
            result, inputs = here + size - plane * width, here + size - 2 * plane * width
            clear(sums, grad, nnz)
            begin, stop = share_of(tiles * blocks, group, groups)
            for unit in range(begin, stop):
                t, block = unit // blocks, unit % blocks
                take_planes(delta, t * delta.shape[1] * width, way, block, scratch, here, width)
                rows, columns, step, line = extent(way, block, width)
                for i in range(indptr.size - 1):
                    first, last = at(indptr, i), at(indptr, i + 1)
                    there, which = place_of(way, i, t * x.shape[1] * width, width)
                    image = there + block * way.block_rows * line
                    if not way.direct:
                        inputs_plane(x, there, way, which, block, scratch, inputs, width)
                    for r in range(0, rows, down):
                        for c in range(0, columns, across):
                            base, to = here + r * step + c * width, r * line + c * width
                            at_x, at_copy = image + to, inputs + to
                            u = strip_of(way.direct, x, at_x, scratch, at_copy, line, row, down)
                            v = gradient_strip(
                                first, last, offsets, data, u, scratch, base, sums, grad,
                                step, row, down, wide,
                            )  # fmt: skip
                            keep_strip(way.direct, out, at_x, scratch, result + to, line, row, v)
                    if not way.direct:
                        give_plane(scratch, result, way, which, block, out, there, width)

    return gradients_tiles


def _make_weight_gradient(width, down, across):
    row = width * across

    @njit(parallel=True, cache=True)
    def weight_gradient_tiles(indptr, offsets, start, delta, x, sums, groups, numbers, scratch):
        tiles, size, nnz = x.shape[0], scratch.shape[1], offsets.size
        blocks, plane = sizes_of(way_of(numbers))
        for group in prange(groups):
            way, here, grad = way_of(numbers), numba.get_thread_id() * size, group * nnz
            inputs = here + size - 2 * plane * width
            clear(sums, grad, nnz)
            begin, stop = share_of(tiles * blocks, group, groups)
            for unit in range(begin, stop):
                t, block = unit // blocks, unit % blocks
                from_filter = t * delta.shape[1] * width + start
                take_planes(delta, from_filter, way, block, scratch, here, width)
                rows, columns, step, line = extent(way, block, width)
                for i in range(indptr.size - 1):
                    first, last = at(indptr, i), at(indptr, i + 1)
                    there, which = place_of(way, i, t * x.shape[1] * width, width)
                    image = there + block * way.block_rows * line
                    if not way.direct:
                        inputs_plane(x, there, way, which, block, scratch, inputs, width)
                    for r in range(0, rows, down):
                        for c in range(0, columns, across):
                            base, to = here + r * step + c * width, r * line + c * width
                            at_x, at_copy = image + to, inputs + to
                            u = strip_of(way.direct, x, at_x, scratch, at_copy, line, row, down)
                            weight_strip(
                                first, last, offsets, u, scratch, base, sums, grad, step, row, down
                            )

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
    kinds = itertools.product(WIDTHS, STRIPS)
    return ByWidth(((width, *strip), make(width, *strip)) for width, strip in kinds)


PRODUCT, GRADIENTS = _every(_make_product), _every(_make_gradients)
WEIGHT_GRADIENT = _every(_make_weight_gradient)
CHANNEL_SUMS = ByWidth((width, _make_channel_sums(width)) for width in WIDTHS)
