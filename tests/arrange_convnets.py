"""Random networks of images for tests: as the library's layers, and as `naive_units` takes them."""

import math

import numpy as np
from hypothesis import strategies as st

from sparse_ref import Dense, Dropout, Linear, Network, ReLU, SReLU, csr
from sparse_ref.layers import (
    AvgPool2d,
    BatchNorm,
    Conv2d,
    DenseConv2d,
    Flatten,
    LocalResponseNorm,
    MaxPool2d,
    ReLU6,
)
from sparse_ref.residual import Residual


class Arranged:
    """Draws layers one after the other; each method returns layers, steps and the shape after."""

    def __init__(self, draw, norm):
        self.draw, self.norm = draw, norm
        self.rng = np.random.default_rng(draw(st.integers(2, 2**32)))
        self.density = draw(st.sampled_from([0.1, 0.3, 0.6]))

    def of(self, *options):
        return self.draw(st.sampled_from(options))

    def weight(self, shape):
        """Values, and where they are connections."""
        present = self.rng.random(shape) < self.density
        return self.rng.uniform(-1, 1, shape), present

    def bias(self, n):
        """Sometimes zeros, so that constants are zeros."""
        return self.rng.uniform(-1, 1, n) * self.rng.integers(0, 2, n)

    def conv(self, shape, filters, kernel, stride, padding, groups):
        share = shape[0] // groups
        values, present = self.weight((filters, share, kernel, kernel))
        flat = values.reshape(filters, -1), present.reshape(filters, -1)
        how = {"image": shape, "kernel": kernel, "stride": stride, "padding": padding}
        bias = self.bias(filters) if self.of(True, False) else False
        if self.of(0, 1, 2, 3):
            layer = Conv2d(csr.from_dense(flat[0] * flat[1], flat[1]), bias, groups=groups, **how)
        else:
            layer, present = DenseConv2d(flat[0], bias, groups=groups, **how), present | True
        return [layer], [("conv", present, stride, padding, groups)], layer.image_out

    def any_conv(self, shape):
        kernel, padding = self.of((1, 0), (2, 0), (3, 1), (3, 0), (2, 1))
        if min(shape[1:]) + 2 * padding < kernel:
            kernel, padding = 1, 0
        kind = self.of("plain", "plain", "depthwise", "groups")
        if kind == "depthwise":
            filters, groups = shape[0] * self.of(1, 2), shape[0]
        elif kind == "groups" and shape[0] % 2 == 0:
            filters, groups = 4, 2
        else:
            filters, groups = self.draw(st.integers(1, 4)), 1
        return self.conv(shape, filters, kernel, self.of(1, 1, 2), padding, groups)

    def between(self, shape):
        """Layers without weights that keep the shape."""
        kinds = ["none", "relu", "relu6", "norm", "srelu", "dropout"] + ["lrn"] * self.norm
        kind, n = self.of(*kinds), shape[0]
        if kind == "lrn" and len(shape) == 3:
            radius = self.of(0, 1, 2)
            return [LocalResponseNorm(shape, radius, alpha=0.1)], [("norm", radius)], shape
        made = {
            "relu": lambda: [ReLU()],
            "relu6": lambda: [ReLU6()],
            "srelu": lambda: [SReLU(*self.rng.uniform(-1, 1, (4, n)))],
            "dropout": lambda: [ReLU(), Dropout(0.5)],
            "norm": lambda: [
                BatchNorm(*self.rng.uniform(-1, 1, (3, n)), self.rng.uniform(0.5, 2, n))
            ],
        }
        return made.get(kind, list)(), [], shape

    def pool(self, shape):
        size = min(2, *shape[1:])
        kind = self.of(MaxPool2d, AvgPool2d)
        return [kind(shape, size)], [("pool", size)], (shape[0], *(n // size for n in shape[1:]))

    def residual(self, shape):
        """A body that keeps the shape, and no shortcut or a projection."""
        n = shape[0]
        first = self.conv(shape, self.draw(st.integers(1, 3)), 3, 1, 1, 1)
        middle = self.between(first[2])
        body = [first, middle, self.conv(middle[2], n, self.of(1), 1, 0, 1)]
        if self.of(True, False):
            body = [self.conv(shape, n, 3, 1, 1, n), self.between(shape)]  # depthwise
        aside = [self.conv(shape, n, 1, 1, 0, 1)] if self.of(True, False) else []
        links = [[layer for part in row for layer in part[0]] for row in (body, aside)]
        steps = [[step for part in row for step in part[1]] for row in (body, aside)]
        return [Residual(*links)], [("residual", *steps)], shape

    def linear(self, shape, n_out):
        values, present = self.weight((n_out, shape[0]))
        if self.of(0, 1, 2, 3):
            layer = Linear(csr.from_dense(values * present, present), self.bias(n_out))
        else:
            layer, present = Dense(values, self.bias(n_out)), present | True
        return [layer], [("linear", present)], (n_out,)

    def flatten(self, shape):
        return [Flatten()], [("flatten",)], (math.prod(shape),)


@st.composite
def convnets(draw, norm=True):
    """A network in float64, its shape, its steps for `naive_units`, and a generator."""
    how = Arranged(draw, norm)
    start = shape = (draw(st.integers(1, 3)), draw(st.integers(2, 5)), draw(st.integers(2, 5)))
    layers, steps = [], []
    kinds = [how.any_conv, *(how.of(how.any_conv, how.residual, how.pool) for _ in range(2))]
    for kind in [*kinds, how.flatten]:
        for make in (kind, how.between):
            more, further, shape = make(shape)
            layers, steps = layers + more, steps + further
    for n_out in (draw(st.integers(1, 4)), 2):
        more, further, shape = how.linear(shape, n_out)
        layers, steps = layers + more, steps + further
        if n_out != 2:
            more, further, shape = how.between(shape)
            layers, steps = layers + more, steps + further
    return Network(layers, image=start), start, steps, how.rng
