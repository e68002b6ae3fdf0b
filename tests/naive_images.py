"""The slow, obvious twins of what acts on images. Imports nothing of ours.

Images are ``(n, channels, height, width)``, vectors ``(n, channels)``; everything is computed in
Python's floats, one number at a time. A window is a list of positions.
"""

import math

import numpy as np


def sliding(size, kernel, stride, before, after, ceil):
    """Windows of an axis, and how long each is inside of the margins."""
    windows, lengths, start = [], [], -before
    while start + kernel <= size + after or (
        ceil and start < size and (not windows or start - stride + kernel < size + after)
    ):
        positions = range(start, start + kernel)
        windows.append([k for k in positions if 0 <= k < size])
        lengths.append(len([k for k in positions if k < size + after]))
        start += stride
    return windows, lengths


def adaptive(size, n):
    """Windows that divide an axis into n."""
    return [
        [
            k
            for k in range(size)
            if k >= math.floor(i * size / n) and k < math.ceil((i + 1) * size / n)
        ]
        for i in range(n)
    ]


def max_pool(x, rows, columns):
    """Maxima of all pairs of a window of rows and one of columns, and where each is."""
    y = np.zeros((*x.shape[:2], len(rows), len(columns)))
    place = np.zeros((*y.shape, 2), int)
    for e, c, i, j in np.ndindex(*y.shape):
        best = None
        for r in rows[i]:
            for s in columns[j]:
                value = x[e, c, r, s]
                if best is None or value > best or math.isnan(value):
                    best, place[e, c, i, j] = value, (r, s)
        y[e, c, i, j] = best
    return y, place


def max_pool_pullback(x, rows, columns, delta):
    """The derivative by x: all of a window's goes to its maximum."""
    out, place = np.zeros(x.shape), max_pool(x, rows, columns)[1]
    for e, c, i, j in np.ndindex(*delta.shape):
        r, s = place[e, c, i, j]
        out[e, c, r, s] += delta[e, c, i, j]
    return out


def mean_pool(x, rows, columns, divisor):
    """Sums of all pairs of windows, divided by ``divisor[i][j]``."""
    y = np.zeros((*x.shape[:2], len(rows), len(columns)))
    for e, c, i, j in np.ndindex(*y.shape):
        numbers = [float(x[e, c, r, s]) for r in rows[i] for s in columns[j]]
        y[e, c, i, j] = math.fsum(numbers) / divisor[i][j]
    return y


def mean_pool_pullback(x, rows, columns, divisor, delta):
    """The derivative by x: a window's is dealt out evenly."""
    out = np.zeros(x.shape)
    for e, c, i, j in np.ndindex(*delta.shape):
        for r in rows[i]:
            for s in columns[j]:
                out[e, c, r, s] += delta[e, c, i, j] / divisor[i][j]
    return out


def moments(x):
    """Mean and variance, which divides by all numbers, of each channel of (n, channels, ...)."""
    means, variances = [], []
    for c in range(x.shape[1]):
        numbers = [float(v) for v in x[:, c].ravel()]
        mean = math.fsum(numbers) / len(numbers)
        means.append(mean)
        variances.append(math.fsum((v - mean) ** 2 for v in numbers) / len(numbers))
    return means, variances


def batch_norm(x, gamma, beta, mean, variance, epsilon):
    """Scaled distances to the mean, for given moments of each channel."""
    y = np.zeros(x.shape)
    for index in np.ndindex(*x.shape):
        c = index[1]
        level = (float(x[index]) - mean[c]) / math.sqrt(variance[c] + epsilon)
        y[index] = gamma[c] * level + beta[c]
    return y


def batch_norm_pullback(x, gamma, epsilon, delta):
    """The derivatives by x, gamma and beta where the moments are the batch's own.

    By the chain rule through normalised x, variance and mean, as in Ioffe and Szegedy (2015).
    """
    mean, variance = moments(x)
    out, by_gamma, by_beta = np.zeros(x.shape), [], []
    for c in range(x.shape[1]):
        numbers = [float(v) for v in x[:, c].ravel()]
        deltas = [float(d) for d in delta[:, c].ravel()]
        m, root = len(numbers), math.sqrt(variance[c] + epsilon)
        level = [(v - mean[c]) / root for v in numbers]
        by_level = [d * gamma[c] for d in deltas]
        by_variance = math.fsum(
            g * (v - mean[c]) * -0.5 * root**-3 for g, v in zip(by_level, numbers, strict=True)
        )
        by_mean = math.fsum(-g / root for g in by_level)
        by_mean += by_variance * math.fsum(-2 * (v - mean[c]) for v in numbers) / m
        by_x = [
            g / root + by_variance * 2 * (v - mean[c]) / m + by_mean / m
            for g, v in zip(by_level, numbers, strict=True)
        ]
        out[:, c] = np.reshape(by_x, out[:, c].shape)
        by_gamma.append(math.fsum(d * v for d, v in zip(deltas, level, strict=True)))
        by_beta.append(math.fsum(deltas))
    return out, by_gamma, by_beta


def response_scale(x, radius, bias, alpha):
    """What local response normalisation raises to a power: bias + alpha sum of squares."""
    scale = np.zeros(x.shape)
    for e, c, r, s in np.ndindex(*x.shape):
        near = [k for k in range(x.shape[1]) if abs(k - c) <= radius]
        scale[e, c, r, s] = bias + alpha * math.fsum(float(x[e, k, r, s]) ** 2 for k in near)
    return scale


def response_norm(x, radius, bias, alpha, beta):
    """Local response normalisation."""
    return x * response_scale(x, radius, bias, alpha) ** -beta


def response_norm_pullback(x, radius, bias, alpha, beta, delta):
    """The derivative by x: each output's by each of its inputs."""
    scale, out = response_scale(x, radius, bias, alpha), np.zeros(x.shape)
    for e, c, r, s in np.ndindex(*x.shape):
        for k in range(x.shape[1]):
            slope = 0.0
            if k == c:
                slope += scale[e, c, r, s] ** -beta
            if abs(k - c) <= radius:
                by_scale = -beta * scale[e, c, r, s] ** (-beta - 1)
                slope += x[e, c, r, s] * by_scale * alpha * 2 * x[e, k, r, s]
            out[e, k, r, s] += delta[e, c, r, s] * slope
    return out


def srelu_sums(x, delta, pieces):
    """The derivatives by the four parameters of each channel of images.

    ``pieces(x, delta, channel)`` gives the derivative by x and by the four, of one number.
    """
    out, sums = np.zeros(x.shape), np.zeros((4, x.shape[1]))
    for index in np.ndindex(*x.shape):
        out[index], by = pieces(x[index], delta[index], index[1])
        sums[:, index[1]] += by
    return out, sums
