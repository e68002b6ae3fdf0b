"""One linear layer in every library, on the same numbers: what the clock calls, and its check.

Every contender gets its data in the layout it likes best, made beforehand and not timed: ours in
tiles, as one layer hands them to the next; SciPy's and PyTorch's sparse products features by
examples. PyTorch's dense layer and sparseprop take rows, one example each, and return rows; beside
them stands ours with rows in and rows out, its packing and unpacking counted.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr, tiles
from sparse_ref.bench import peers as names
from sparse_ref.bench.peers import Peers
from sparse_ref.layers import Linear
from sparse_ref.selection import random_ranks

FORWARD, BACKWARD, BOTH = "forward", "backward", "forward+backward"
INPUT_GRADIENT, WEIGHT_GRADIENT = "input gradient", "weight gradient"
WHATS = (FORWARD, INPUT_GRADIENT, WEIGHT_GRADIENT, BACKWARD, BOTH)
OUTPUT = "output"

TOLERANCE = 1e-4  # of the largest number: sums of at most 4000 float32 products, in any order

Found = dict[str, np.ndarray]  # OUTPUT, INPUT_GRADIENT, WEIGHT_GRADIENT: as `reference` has them


class Problem(NamedTuple):
    """One layer and one batch, float32."""

    weight: csr_array  # (n_out, n_in)
    dense: np.ndarray  # (n_out, n_in), the same numbers
    bias: np.ndarray  # (n_out,)
    x: np.ndarray  # (batch, n_in)
    delta: np.ndarray  # (batch, n_out), the derivative by the output


class Contender(NamedTuple):
    """What is timed, and how its result reads in the layout of `reference`."""

    call: Callable[[], Any]
    found: Callable[[Any], Found]


Table = dict[str, dict[str, Contender]]  # what -> who -> contender


def problem(
    shape: tuple[int, int], density: float, batch: int, rng: np.random.Generator
) -> Problem:
    """A random layer of `shape` (n_in, n_out), and a batch.

    No weight is zero: every library must see the same connections, and some drop zeros.
    """
    n_in, n_out = shape
    nnz = round(density * n_in * n_out)
    positions = random_ranks(n_in * n_out, nnz, rng)
    size = rng.uniform(0.5, 1.5, nnz) / np.sqrt(density * n_in)
    values = (size * rng.choice([-1.0, 1.0], nnz)).astype(np.float32)
    weight = csr.from_positions((n_out, n_in), positions, values)
    x, delta, bias = (
        rng.standard_normal(size, np.float32) for size in ((batch, n_in), (batch, n_out), n_out)
    )
    return Problem(weight, csr.to_dense(weight), bias, x, delta)


def reference(given: Problem) -> Found:
    """The three results by dense NumPy, which is nobody's code under test."""
    n_out, n_in = given.dense.shape
    gradient = (given.delta.T @ given.x).reshape(n_out * n_in)
    return {
        OUTPUT: given.x @ given.dense.T + given.bias,  # (batch, n_out)
        INPUT_GRADIENT: given.delta @ given.dense,  # (batch, n_in)
        WEIGHT_GRADIENT: gradient[csr.flat(given.weight)],  # (nnz,) in slot order
    }


def require_right(table: Table, right: Found) -> None:
    """Call every contender once; refuse to time one whose result is wrong."""
    for what, by_name in table.items():
        for who, contender in by_name.items():
            for name, found in contender.found(contender.call()).items():
                wrong = float(np.abs(found - right[name]).max(initial=0.0))
                most = TOLERANCE * float(np.abs(right[name]).max(initial=0.0))
                if not (found.shape == right[name].shape and wrong <= most):
                    raise ValueError(
                        f"bench: {who}, {what}: the {name} must be right to {most:.1e}, "
                        f"it is wrong by {wrong:.1e}"
                    )


def contenders(given: Problem, peers: Peers, who: Sequence[str] | None = None) -> Table:
    """Everybody among `who` (all if omitted) who can do each of `WHATS`."""
    table: Table = {what: {} for what in WHATS}
    for name, make in _makers(peers).items():
        if who is None or name in who:
            for what, contender in make(given).items():
                table[what][name] = contender
    return table


def ours(given: Problem) -> dict[str, Contender]:
    """`layers.Linear`, tiles in and tiles out.

    It takes both gradients in one pass, so there is no input gradient alone; the weight gradient
    alone is what a network's first layer needs.
    """
    layer, n = Linear(given.weight.copy(), given.bias.copy()), len(given.x)
    x, delta = tiles.pack(given.x), tiles.pack(given.delta)
    _, pullback = layer.forward(x)

    def both():
        y, back = layer.forward(x)
        return y, *back(delta)

    def backward_found(result):
        return _gradients(tiles.unpack(result[0], n), result[1].weight)

    return {
        FORWARD: Contender(lambda: layer.forward(x)[0], lambda y: {OUTPUT: tiles.unpack(y, n)}),
        WEIGHT_GRADIENT: Contender(
            lambda: pullback(delta, wanted=False), lambda r: {WEIGHT_GRADIENT: r[1].weight}
        ),
        BACKWARD: Contender(lambda: pullback(delta), backward_found),
        BOTH: Contender(
            both, lambda r: {OUTPUT: tiles.unpack(r[0], n)} | backward_found((r[1], r[2]))
        ),
    }


def ours_in_rows(given: Problem) -> dict[str, Contender]:
    """The same with a batch of rows in and rows out: every change of layout is counted."""
    layer, n = Linear(given.weight.copy(), given.bias.copy()), len(given.x)

    def forward():
        return tiles.unpack(layer.forward(tiles.pack(given.x))[0], n)

    def both():
        y, back = layer.forward(tiles.pack(given.x))
        rows = tiles.unpack(y, n)
        inputs, grad = back(tiles.pack(given.delta))
        return rows, tiles.unpack(inputs, n), grad.weight

    return {
        FORWARD: Contender(forward, lambda y: {OUTPUT: y}),
        BOTH: Contender(both, lambda r: {OUTPUT: r[0]} | _gradients(*r[1:])),
    }


def scipy_csr(given: Problem) -> dict[str, Contender]:
    """SciPy's products, on one thread whatever is asked; for the weight gradient it has none.

    Without the bias, and with the transposed weight made beforehand: less work than ours.
    """
    weight, transposed = given.weight, given.weight.T.tocsr()
    x, delta = _columns(given.x), _columns(given.delta)
    return {
        FORWARD: Contender(lambda: weight @ x, lambda y: {OUTPUT: y.T + given.bias}),
        INPUT_GRADIENT: Contender(lambda: transposed @ delta, lambda r: {INPUT_GRADIENT: r.T}),
    }


def torch_csr(given: Problem, torch: Any) -> dict[str, Contender]:
    """PyTorch's sparse CSR products (MKL), called directly, without autograd.

    Without the bias, and with the transposed weight made beforehand, though its values change at
    every step of a training: less work than ours.
    """
    weight = _torch_weight(given.weight, torch)
    transposed = _torch_weight(given.weight.T.tocsr(), torch)
    x, delta = (torch.from_numpy(_columns(rows)) for rows in (given.x, given.delta))

    def weight_gradient():
        return torch.sparse.sampled_addmm(weight, delta, x.T, beta=0)

    def backward():
        return transposed @ delta, weight_gradient()

    def output(y):
        return {OUTPUT: y.numpy().T + given.bias}

    def gradients(result):
        return _gradients(result[0].numpy().T, result[1].values().numpy())

    return {
        FORWARD: Contender(lambda: weight @ x, output),
        INPUT_GRADIENT: Contender(
            lambda: transposed @ delta, lambda r: {INPUT_GRADIENT: r.numpy().T}
        ),
        WEIGHT_GRADIENT: Contender(
            weight_gradient, lambda r: {WEIGHT_GRADIENT: r.values().numpy()}
        ),
        BACKWARD: Contender(backward, gradients),
        BOTH: Contender(
            lambda: (weight @ x, *backward()), lambda r: output(r[0]) | gradients(r[1:])
        ),
    }


def torch_dense(given: Problem, torch: Any) -> dict[str, Contender]:
    """PyTorch's dense layer with autograd, the absent connections being zeros."""
    weight, bias, x = (
        torch.from_numpy(a.copy()).requires_grad_() for a in (given.dense, given.bias, given.x)
    )
    positions = csr.flat(given.weight)
    return _autograd(
        torch,
        lambda: torch.nn.functional.linear(x, weight, bias),
        (x, weight, bias),
        torch.from_numpy(given.delta),
        lambda gradient: gradient.numpy().reshape(-1)[positions],
    )


def sparseprop(given: Problem, peers: Peers) -> dict[str, Contender]:
    """The layer of the package `sparseprop` with autograd."""
    torch = peers.torch
    bias = torch.nn.Parameter(torch.from_numpy(given.bias.copy()))
    layer = peers.sparseprop.SparseLinear(torch.from_numpy(given.dense), bias=bias)
    x = torch.from_numpy(given.x.copy()).requires_grad_()
    delta = torch.from_numpy(given.delta)
    return _autograd(
        torch, lambda: layer(x), (x, layer.weight, bias), delta, lambda gradient: gradient.numpy()
    )


def _makers(peers: Peers) -> dict[str, Callable[[Problem], dict[str, Contender]]]:
    makers: dict[str, Callable[[Problem], dict[str, Contender]]] = {
        names.OURS: ours,
        names.ROWS: ours_in_rows,
        names.SCIPY: scipy_csr,
    }
    if peers.torch:
        makers[names.TORCH_CSR] = lambda given: torch_csr(given, peers.torch)
        makers[names.TORCH_DENSE] = lambda given: torch_dense(given, peers.torch)
    if peers.sparseprop:
        makers[names.SPARSEPROP] = lambda given: sparseprop(given, peers)
    return makers


def _autograd(torch, outputs, wanted, delta, in_slots):
    def forward():
        with torch.no_grad():
            return outputs()

    def both():
        y = outputs()
        return y, *torch.autograd.grad(y, wanted, delta)

    def found(result):
        y, inputs, gradient = (part.detach() for part in result[:3])
        return {OUTPUT: y.numpy()} | _gradients(inputs.numpy(), in_slots(gradient))

    return {
        FORWARD: Contender(forward, lambda y: {OUTPUT: y.numpy()}),
        BOTH: Contender(both, found),
    }


def _torch_weight(weight, torch):
    parts = [torch.from_numpy(a.copy()) for a in (weight.indptr, weight.indices, weight.data)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(*parts, size=weight.shape, check_invariants=True)


def _columns(rows):
    """Features by examples, contiguous."""
    return np.ascontiguousarray(rows.T)


def _gradients(inputs, weight):
    return {INPUT_GRADIENT: inputs, WEIGHT_GRADIENT: weight}
