"""Numba loops over activations, element by element: packing into tiles, and ReLU."""

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
