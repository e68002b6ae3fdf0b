"""Convolutions of images whose weight is CSR: work in proportion to connections and positions."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from sparse_ref import csr, tiles
from sparse_ref.conv import kernels
from sparse_ref.conv.index import ByInput, Convolution, by_input, forward_offsets
from sparse_ref.csr_checks import require_matrix
from sparse_ref.layers.base import Pullback, Shape, check_bias
from sparse_ref.layers.conv_grad import ConvGrad, groups_of
from sparse_ref.layers.geometry import Padding, Pair, convolution
from sparse_ref.layers.on_csr import OnCSR


class _Convolving:
    """What a convolution does whether its weight is CSR or complete."""

    weight: Any
    _values: Any  # the weight's numbers, as training changes them
    adopt: Callable[[Any], None]
    _forward_data: Callable[[], np.ndarray]  # (nnz,) the numbers as the forward pass sees them
    _forward: tuple[np.ndarray, np.ndarray]  # row pointers, and where each connection reads
    _backward: ByInput

    def __init__(self, geometry: Convolution, bias: np.ndarray | bool | None, weight: Any):
        who, filters, dtype = type(self).__name__, geometry.filters, weight.dtype
        if weight.shape != geometry.weight_shape:
            raise ValueError(
                f"{who}: weight must have shape {geometry.weight_shape}, (filters, channels / "
                f"groups * kernel positions), got {weight.shape}"
            )
        self.geometry, self.has_bias = geometry, bias is not False
        given: Any = np.zeros(filters, dtype) if bias is None or bias is False else bias
        self.bias = check_bias(who, given, filters, dtype)
        self.adopt(weight)

    @property
    def image(self) -> tuple[int, int, int]:
        """Shape of an input, (channels, height, width)."""
        return self.geometry.image

    @property
    def image_out(self) -> tuple[int, int, int]:
        """Shape of an output, (filters, height, width)."""
        return self.geometry.image_out

    @property
    def n_in(self) -> int:
        """Numbers of an input."""
        return math.prod(self.image)

    @property
    def n_out(self) -> int:
        """Numbers of an output."""
        return math.prod(self.image_out)

    def shape_after(self, shape: Shape) -> Shape:
        """See `Layer.shape_after`."""
        if tuple(shape) != self.image:
            raise ValueError(
                f"{type(self).__name__}: images must be of shape {self.image}, got {tuple(shape)}"
            )
        return self.image_out

    def parameters(self) -> dict[str, np.ndarray]:
        """``weight``, in slot order, and ``bias`` (filters,) unless there is none."""
        weight = {"weight": self._values}
        return weight | {"bias": self.bias} if self.has_bias else weight

    def forward(
        self, x: np.ndarray, rng: np.random.Generator | None = None, n: int | None = None
    ) -> tuple[np.ndarray, Pullback]:
        """See `Layer.forward`; the pullback's `grad` is a `ConvGrad`."""
        shape, values, backward = self.geometry, self._values, self._backward
        seen = self._forward_data()
        x = self._checked("activations", x, shape.image)
        y = tiles.empty((len(x), self.n_out, x.shape[2]), x.dtype)
        kernels.product(*self._forward, seen, self.bias, x, shape.forward_way, y)

        def pullback(delta, wanted=True):
            delta = self._checked("delta", delta, shape.image_out)
            grad = ConvGrad(tiles.empty_like(values), np.empty_like(self.bias), delta, x, shape)
            kernels.channel_sums(delta, grad.bias)
            out = grad.weight.reshape(-1)
            way, n_groups = shape.backward_way, groups_of(shape, x)
            if not wanted:
                kernels.weight_gradient(backward, 0, delta, x, way, out, n_groups)
                return None, grad
            before = tiles.empty_like(x)
            kernels.gradients(backward, seen, delta, x, way, before, out, n_groups)
            return before, grad

        return y, pullback

    def _checked(self, what, x, image):
        """Contiguous tiles of the right shape; kernels read what they are told is there."""
        who, dtype = type(self).__name__, self.bias.dtype
        width = tiles.one_register(dtype)
        if x.ndim != 3 or x.shape[1:] != (math.prod(image), width):
            raise ValueError(
                f"{who}: {what} must have shape (tiles, {math.prod(image)}, {width}), "
                f"images of {image} in tiles of one register, got {x.shape}"
            )
        if x.dtype != dtype:
            raise TypeError(f"{who}: {what} must be {dtype} as the layer, got {x.dtype}")
        return np.ascontiguousarray(x)

    @property
    def settings(self) -> dict[str, Any]:
        """How the layer was made, in the words of its constructor, but for weight and bias."""
        rows, columns = self.geometry.rows, self.geometry.columns
        return {
            "image": self.image,
            "kernel": (rows.kernel, columns.kernel),
            "stride": (rows.stride, columns.stride),
            "padding": ((rows.before, rows.after), (columns.before, columns.after)),
            "dilation": (rows.dilation, columns.dilation),
            "groups": self.geometry.groups,
        }

    def _index(self, indptr, indices):
        """Where the connections of a pattern read, forwards and backwards."""
        width = tiles.one_register(self.bias.dtype)
        self._forward = indptr, forward_offsets(self.geometry, indptr, indices, width)
        self._backward = by_input(self.geometry, indptr, indices, width)

    def _other_bytes(self):
        """Bytes of what is derived from the pattern, and of the bias."""
        arrays = self._forward[1], *self._backward, self.bias
        return sum(array.nbytes for array in arrays)

    def __repr__(self) -> str:
        (c, h, w), (o, p, q) = self.image, self.image_out
        kernel = "x".join(map(str, self.settings["kernel"]))
        inside = f"{c}x{h}x{w} -> {o}x{p}x{q}, kernel {kernel}"
        return f"{type(self).__name__}({inside})"


class Conv2d(OnCSR, _Convolving):
    """Convolution on the stored connections only.

    Parameters
    ----------
    weight : (filters, channels / groups * kernel height * kernel width) csr_array
        Canonical, float32 or float64; columns in (channel, row, column) order, so that exchange
        with a framework's (filters, channels / groups, height, width) is a reshape. The layer takes
        over its ``data``; the pattern changes only through `restructure`.
    bias : (filters,), optional
        Zero if omitted; False for a layer without one.
    image : (channels, height, width)
        Shape of an input.
    kernel, stride, dilation : int or (vertical, horizontal)
    padding : int, (vertical, horizontal) or ((above, below), (left, right))
        Zeros around an input; the last form says what other programs call "same" for even strides.
    groups : int
        Filters of group g see the channels of group g; ``groups=channels`` is depthwise.

    Notes
    -----
    As every framework, it computes a cross-correlation: kernels are not turned round.

    *Memory.* Beside weight and pattern 12 bytes a connection: where it reads, forwards and
    backwards, and its slot. A forward pass needs, for each thread, a copy of the rows of one tile
    of 16 examples (8 in float64) that a block of outputs reads, some 1.5 MB (more where thousands
    of channels are much even for eight outputs), and nothing else beside its result. The gradients
    add up to 16 sums for each connection.

    *Results* are the same to the bit for any number of threads.
    """

    def __init__(
        self,
        weight: csr_array,
        bias: np.ndarray | bool | None = None,
        *,
        image: Sequence[int],
        kernel: Pair,
        stride: Pair = 1,
        padding: Padding = 0,
        dilation: Pair = 1,
        groups: int = 1,
    ):
        weight = csr.freeze(csr.check(weight, "Conv2d"))
        axes = kernel, stride, padding, dilation
        geometry = convolution("Conv2d", weight.shape[0], image, *axes, groups)
        super().__init__(geometry, bias, weight)

    @property
    def nbytes(self) -> int:
        """Bytes of the weight, its pattern both ways, the bias, and which slots are left out."""
        weight, left_out = self.weight, self._left_out
        own = weight.data.nbytes + weight.indices.nbytes + weight.indptr.nbytes + left_out.nbytes
        return own + self._other_bytes()

    @property
    def _values(self):
        return self.weight.data

    def _derive(self):
        self._index(self.weight.indptr, self.weight.indices)


class DenseConv2d(_Convolving):
    """Convolution with every connection: what papers keep dense. No method rewires it.

    Parameters
    ----------
    weight : (filters, channels / groups * kernel height * kernel width) float32 or float64
    bias, image, kernel, stride, padding, dilation, groups
        As `Conv2d`.

    Notes
    -----
    Computed by the loops of `Conv2d`, and so with its bits, not by a BLAS: papers keep first
    layers and depthwise ones dense, which are small.
    """

    def __init__(
        self,
        weight: np.ndarray,
        bias: np.ndarray | bool | None = None,
        *,
        image: Sequence[int],
        kernel: Pair,
        stride: Pair = 1,
        padding: Padding = 0,
        dilation: Pair = 1,
        groups: int = 1,
    ):
        weight = np.ascontiguousarray(weight)
        require_matrix("DenseConv2d", weight)
        axes = kernel, stride, padding, dilation
        geometry = convolution("DenseConv2d", len(weight), image, *axes, groups)
        super().__init__(geometry, bias, weight)

    @property
    def nbytes(self) -> int:
        """Bytes of weight, bias, and where each number of the weight reads."""
        return self.weight.nbytes + self._other_bytes()

    def with_weight(self, weight: csr_array) -> Conv2d:
        """A layer of the same geometry and bias on some of the connections."""
        return Conv2d(weight, self.bias if self.has_bias else False, **self.settings)

    @property
    def _values(self):
        return self.weight

    def _forward_data(self):
        return self.weight.reshape(-1)

    def adopt(self, weight: np.ndarray) -> None:
        """Take a weight of the same shape in place of the present one."""
        self.weight = weight
        filters, columns = weight.shape
        indptr = np.arange(filters + 1, dtype=np.int32) * np.int32(columns)
        self._index(indptr, np.tile(np.arange(columns, dtype=np.int32), filters))
