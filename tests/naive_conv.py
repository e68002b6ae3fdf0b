"""Convolution by its definition: one loop an axis. Imports nothing of ours."""

import numpy as np


def outputs(size, kernel, stride, before, after, dilation):
    return (size + before + after - dilation * (kernel - 1) - 1) // stride + 1


def taps(x_shape, w_shape, how):
    """Every product of a convolution: indices into its outputs, inputs and weights.

    Products with padding are left out.
    """
    n, _, height, width = x_shape
    filters, share, kh, kw = w_shape
    (sy, sx), (dy, dx), ((top, bottom), (left, right)), groups = how
    for e in range(n):
        for f in range(filters):
            first = f // (filters // groups) * share
            for y in range(outputs(height, kh, sy, top, bottom, dy)):
                for x in range(outputs(width, kw, sx, left, right, dx)):
                    for j in range(share):
                        for r in range(kh):
                            for s in range(kw):
                                row, column = y * sy + r * dy - top, x * sx + s * dx - left
                                if 0 <= row < height and 0 <= column < width:
                                    yield (e, f, y, x), (e, first + j, row, column), (f, j, r, s)


def shape_of_output(x_shape, w_shape, how):
    (sy, sx), (dy, dx), ((top, bottom), (left, right)), _ = how
    return (
        x_shape[0],
        w_shape[0],
        outputs(x_shape[2], w_shape[2], sy, top, bottom, dy),
        outputs(x_shape[3], w_shape[3], sx, left, right, dx),
    )


def convolution(x, w, bias, how):
    """x (n, channels, height, width), w (filters, channels / groups, kh, kw)."""
    out = np.zeros(shape_of_output(x.shape, w.shape, how), x.dtype)
    out += bias[None, :, None, None]
    for to, source, tap in taps(x.shape, w.shape, how):
        out[to] += w[tap] * x[source]
    return out


def gradients(x, w, delta, how):
    """Derivatives by inputs, weight and bias."""
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for to, source, tap in taps(x.shape, w.shape, how):
        dx[source] += w[tap] * delta[to]
        dw[tap] += x[source] * delta[to]
    return dx, dw, delta.sum(axis=(0, 2, 3))
