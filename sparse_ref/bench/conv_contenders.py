"""One convolution in every library, on the same numbers, in two stages, and its check.

Every contender gets its data in the layout it likes best, made beforehand and not timed: ours in
tiles, as one layer hands them to the next; PyTorch examples first, with channels last where that is
faster; sparseprop examples last where its loops run over examples, and examples first where they
run over an image's rows, which is what its own layers hand to each other.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr, tiles
from sparse_ref.bench.contenders import INPUT_GRADIENT, OUTPUT, TOLERANCE, WEIGHT_GRADIENT, Found
from sparse_ref.bench.peers import Peers
from sparse_ref.layers import Conv2d
from sparse_ref.selection import random_ranks

KERNEL, PADDING = 3, 1
CHECKED = 4  # examples whose outputs and input gradients are checked; weight gradients sum over all


class ConvProblem(NamedTuple):
    """One convolution, as many filters as channels, and one batch, float32."""

    weight: csr_array  # (filters, channels * 9)
    dense: np.ndarray  # (filters, channels, 3, 3), the same numbers
    bias: np.ndarray  # (filters,)
    x: np.ndarray  # (batch, channels, size, size)
    delta: np.ndarray  # (batch, filters, size, size), the derivative by the output

    def first(self, n: int) -> "ConvProblem":
        """The same on the first `n` examples."""
        return self._replace(x=self.x[:n].copy(), delta=self.delta[:n].copy())


class Stages(NamedTuple):
    """What is timed, and how its results read in the layout of `reference`."""

    forward: Callable[[], Any]
    backward: Callable[[Any], Any]  # of what forward gave; both gradients and the bias's
    found: Callable[[Any, Any], Found]  # of what both gave


def problem(
    channels: int, size: int, density: float, batch: int, rng: np.random.Generator
) -> ConvProblem:
    """A random convolution of images (channels, size, size), none of its weights zero."""
    shape = channels, channels * KERNEL**2
    nnz = round(density * channels * channels * KERNEL**2)
    positions = random_ranks(channels * channels * KERNEL**2, nnz, rng)
    values = rng.uniform(0.5, 1.5, nnz) / np.sqrt(density * shape[1])
    values = (values * rng.choice([-1.0, 1.0], nnz)).astype(np.float32)
    weight = csr.from_positions(shape, positions, values)
    images = batch, channels, size, size
    x, delta, bias = (rng.standard_normal(s, np.float32) for s in (images, images, channels))
    dense = csr.to_dense(weight).reshape(channels, channels, KERNEL, KERNEL)
    return ConvProblem(weight, dense, bias, x, delta)


def reference(given: ConvProblem) -> Found:
    """The three results by dense NumPy, a product for each of the kernel's positions."""
    few = given.first(CHECKED)
    x, delta = _padded(few.x), few.delta
    size = given.x.shape[-1]
    y = np.zeros_like(delta) + given.bias[:, None, None]
    before = np.zeros_like(x)
    whole = _by_channel(given.delta)
    whole_x = _padded(given.x)
    gradient = np.empty_like(given.dense)
    for row in range(KERNEL):
        for column in range(KERNEL):
            window = ..., slice(row, row + size), slice(column, column + size)
            tap = given.dense[:, :, row, column]
            y += _mixed(tap, x[window])
            before[window] += _mixed(tap.T, delta)
            gradient[:, :, row, column] = whole @ _by_channel(whole_x[window]).T
    inside = slice(PADDING, PADDING + size)
    return {
        OUTPUT: y,  # (CHECKED, filters, size, size)
        INPUT_GRADIENT: before[..., inside, inside],  # (CHECKED, channels, size, size)
        WEIGHT_GRADIENT: gradient.reshape(-1)[csr.flat(given.weight)],  # (nnz,) in slot order
    }


def require_right(who: str, stages: Stages, right: Found) -> None:
    """Call a contender once; refuse to time one whose result is wrong."""
    first = stages.forward()
    for name, found in stages.found(first, stages.backward(first)).items():
        wrong = float(np.abs(found - right[name]).max(initial=0.0))
        most = TOLERANCE * float(np.abs(right[name]).max(initial=0.0))
        if not (found.shape == right[name].shape and wrong <= most):
            raise ValueError(
                f"bench: {who}, convolution: the {name} must be right to {most:.1e}, "
                f"it is wrong by {wrong:.1e}"
            )


def ours(given: ConvProblem) -> Stages:
    """`layers.Conv2d`, tiles in and tiles out."""
    image, n = given.x.shape[1:], min(CHECKED, len(given.x))
    weight = given.weight.copy()
    layer = Conv2d(weight, given.bias.copy(), image=image, kernel=KERNEL, padding=PADDING)
    width = tiles.one_register(np.float32)
    x, delta = (tiles.pack(a.reshape(len(a), -1), width=width) for a in (given.x, given.delta))

    def rows(packed):
        return tiles.unpack(packed[:1], n).reshape(n, *image)

    return Stages(
        lambda: layer.forward(x),
        lambda first: first[1](delta),
        lambda first, second: _found(rows(first[0]), rows(second[0]), second[1].weight),
    )


def torch_dense(given: ConvProblem, peers: Peers, channels_last: bool) -> Stages:
    """PyTorch's dense convolution with autograd, the absent connections being zeros."""
    torch = peers.torch
    layout = torch.channels_last if channels_last else torch.contiguous_format
    weight, x, delta = (
        torch.from_numpy(a.copy()).to(memory_format=layout)
        for a in (given.dense, given.x, given.delta)
    )
    bias = torch.from_numpy(given.bias.copy()).requires_grad_()
    weight, x = weight.requires_grad_(), x.requires_grad_()
    positions = csr.flat(given.weight)
    return _autograd(
        torch,
        lambda: torch.nn.functional.conv2d(x, weight, bias, padding=PADDING),
        (x, weight, bias),
        delta,
        lambda gradient: gradient.numpy().reshape(-1)[positions],
    )


def sparseprop(given: ConvProblem, peers: Peers, over_rows: bool) -> Stages:
    """The convolution of the package `sparseprop`: its loops run over examples or image rows.

    Which of them is faster depends on the image; the package itself tries both and keeps one.
    """
    torch = peers.torch
    bias = torch.nn.Parameter(torch.from_numpy(given.bias.copy()))
    dense = torch.from_numpy(given.dense)
    layer = peers.sparseprop.SparseConv2d(
        dense, bias=bias, padding=PADDING, vectorizing_over_on=over_rows
    )
    x, delta = (torch.from_numpy(a.copy()) for a in (given.x, given.delta))
    if not over_rows:  # its loops want examples last, and copy whatever comes otherwise
        x, delta = (a.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2) for a in (x, delta))
    x = x.requires_grad_()
    wanted = x, layer.weight, bias
    return _autograd(torch, lambda: layer(x), wanted, delta, lambda gradient: gradient.numpy())


def _autograd(torch, outputs, wanted, delta, in_slots):
    def found(y, gradients):
        y, inputs, gradient = (part.detach() for part in (y, *gradients[:2]))
        return _found(y[:CHECKED].numpy(), inputs[:CHECKED].numpy(), in_slots(gradient))

    return Stages(outputs, lambda y: torch.autograd.grad(y, wanted, delta), found)


def _found(output, inputs, weight):
    return {OUTPUT: output, INPUT_GRADIENT: inputs, WEIGHT_GRADIENT: weight}


def _padded(x):
    return np.pad(x, ((0, 0), (0, 0), (PADDING, PADDING), (PADDING, PADDING)))


def _by_channel(x):
    """(channels, the rest)."""
    return np.ascontiguousarray(x.transpose(1, 0, 2, 3)).reshape(x.shape[1], -1)


def _mixed(matrix, x):
    """(examples, rows of the matrix, height, width)."""
    n, channels, *image = x.shape
    return (matrix @ np.ascontiguousarray(x).reshape(n, channels, -1)).reshape(n, -1, *image)
