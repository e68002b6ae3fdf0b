"""Numba loops element by element: packing into tiles, ReLU, and the updates of the optimizers."""

import numpy as np
from numba import njit, prange


@njit(parallel=True, cache=True)
def gather_tiles(x, order, out):
    """``out[t, f, l] = x[order[t * width + l], f]``; zero where `order` has ended."""
    tiles, features, width = out.shape
    for t in prange(tiles):
        here = min(width, max(0, order.size - t * width))
        for f in range(features):
            for lane in range(here):
                out[t, f, lane] = x[order[t * width + lane], f]
            for lane in range(here, width):
                out[t, f, lane] = 0


@njit(cache=True)
def relu(x, out):
    """``out = max(x, 0)``, elementwise; what is not a number stays so, and shows in the loss."""
    x, out = x.reshape(-1), out.reshape(-1)
    for k in range(x.size):
        out[k] = 0 if x[k] <= 0 else x[k]


@njit(cache=True)
def relu_pullback(y, delta, out):
    """``out = 0 where y <= 0, else delta``."""
    y, delta, out = y.reshape(-1), delta.reshape(-1), out.reshape(-1)
    for k in range(y.size):
        out[k] = 0 if y[k] <= 0 else delta[k]


@njit(cache=True)
def add_scaled(out, factor, x):
    """``out += factor * x``."""
    for k in range(out.size):
        out[k] += factor * x[k]


@njit(cache=True)
def momentum_update(grad, velocity, rate, mu, nesterov):
    """``v = mu v + g``; g becomes the update ``-rate v``, or Nesterov's ``-rate (g + mu v)``."""
    for k in range(grad.size):
        v = mu * velocity[k] + grad[k]
        velocity[k] = v
        grad[k] = (grad[k] + mu * v if nesterov else v) * -rate


@njit(cache=True)
def adam_update(grad, mean, square, betas, unbias2, epsilon, rate):
    """Both means move towards g and its square by ``betas``; in place of g comes the update."""
    by1, by2 = betas
    for k in range(grad.size):
        m = mean[k] + (grad[k] - mean[k]) * by1
        s = square[k] + (grad[k] * grad[k] - square[k]) * by2
        mean[k], square[k] = m, s
        grad[k] = m / (np.sqrt(s * unbias2) + epsilon) * -rate


@njit(cache=True)
def not_finite(value, update):
    """How many of ``value + update`` are not finite."""
    n, zero = 0, value.dtype.type(0)
    for k in range(value.size):
        n += (value[k] + update[k]) * zero != zero
    return n
