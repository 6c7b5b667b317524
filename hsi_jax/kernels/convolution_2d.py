"""The 2-D convolution that all others become on a CPU, and its gradients.

A 1x1 kernel becomes a matrix product over the pixels. The sizes are chosen for XLA's fast kernels
(JAX 0.10.2, one core with 2 MB of second-level cache; `python -m benchmarks.throughput`). They are
slow where a kernel is larger than the cache, as in the gradient of the kernel, where the output's
gradient is the kernel: it is added up over parts of the batch. XLA has no fast kernel for few
channels: two neighbouring pixels are computed as one of twice the features. Nor where the map is
smaller than the kernel: a product of matrices does it. And a kernel of three rows needs half of the
products (`hsi_jax.kernels.winograd`), which the bundled C++ kernels compute where that is chosen
(`hsi_jax.kernels.native_winograd`).
"""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from hsi_jax.kernels import native_winograd, winograd

LAYOUT = ("NHWC", "HWIO", "NHWC")
FEW_CHANNELS = 16  # XLA:CPU has its fast kernel where input or output have more
KERNEL_BYTES = 2**18  # of a part of the output's gradient
# Where Winograd's products are faster by more than the passes over memory for its sums cost:
MAX_PRODUCTS = 0.62  # as a part of those of the plain convolution
MANY_CHANNELS = 30  # and features
MIN_KERNEL = 2**10  # channels times features of a kernel whose gradient gains by it
LARGE_KERNEL = 2**15  # and of one whose gradient is a product of matrices then
ROW_KERNEL_BYTES = 2**17  # of a part of a row's gradient otherwise
# Where the bundled kernels are faster than XLA:
MAX_NATIVE_PRODUCTS = 0.8
NATIVE_CHANNELS = 3
NATIVE_GRADIENT_CHANNELS = 8  # in the gradient by the kernel


class Window(NamedTuple):
    """How a kernel moves over its input; a number, or a pair, for each spatial dimension.

    Attributes:
        strides: of the kernel.
        padding: (low, high); a negative number cuts off.
        dilation: of the kernel.
        precision: of the products, as in lax.
    """

    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    precision: lax.PrecisionLike

    def of(self, dimensions: slice) -> "Window":
        """The window in some of the dimensions."""
        pads = self.padding[dimensions]
        return Window(self.strides[dimensions], pads, self.dilation[dimensions], self.precision)


def convolve_2d(lhs: jax.Array, rhs: jax.Array, window: Window) -> jax.Array:
    """The convolution of [n, h, w, channels] and [kh, kw, channels, features], on a CPU."""
    strides, padding, dilation, precision = window
    if rhs.shape[:2] == (1, 1) and padding == ((0, 0), (0, 0)):
        return _multiply(lhs, rhs, strides, precision)
    if rhs.shape[:2] == lhs.shape[1:3] and padding == ((0, 0), (0, 0)) and dilation == (1, 1):
        return jnp.einsum("nhwi,hwio->no", lhs, rhs, precision=precision)[:, None, None]
    if 0 < math.prod(_size_out(lhs, rhs, window)) < math.prod(rhs.shape[:2]):
        return _convolve_taps(lhs, rhs, window)
    return _convolve_window(lhs, rhs, window)


def _multiply(lhs, rhs, strides, precision):
    """The convolution by a 1x1 kernel as a matrix product; its gradients are such products too."""
    read = lhs[:, :: strides[0], :: strides[1]]
    pixels = read.reshape(-1, read.shape[-1])
    return jnp.dot(pixels, rhs[0, 0], precision=precision).reshape(*read.shape[:-1], rhs.shape[-1])


def _size_out(lhs, rhs, window) -> list[int]:
    """Rows and columns of the output, 0 where the kernel does not fit."""
    strides, padding, dilation, _ = window
    free = [
        lhs.shape[1 + axis] + sum(padding[axis]) - dilation[axis] * (rhs.shape[axis] - 1) - 1
        for axis in (0, 1)
    ]
    return [max(free[axis] // strides[axis] + 1, 0) for axis in (0, 1)]


def _convolve_taps(lhs, rhs, window):
    """The convolution as a matrix product, with what each tap of the kernel sees as channels.

    For kernels with more taps than the output has pixels: there XLA takes the input for the kernel,
    and has no fast way to do that.
    """
    strides, padding, dilation, precision = window
    rows, columns = _size_out(lhs, rhs, window)
    sides = [(0, 0, 0), *((*pad, 0) for pad in padding), (0, 0, 0)]
    lhs = lax.pad(lhs, jnp.zeros((), lhs.dtype), sides)  # a negative number cuts off
    reach = (rows - 1) * strides[0] + 1, (columns - 1) * strides[1] + 1

    def seen(i, j):
        row, column = i * dilation[0], j * dilation[1]
        rows_seen = slice(row, row + reach[0], strides[0])
        return lhs[:, rows_seen, column : column + reach[1] : strides[1]]

    taps = [seen(i, j) for i in range(rhs.shape[0]) for j in range(rhs.shape[1])]
    kernel = rhs.reshape(1, 1, -1, rhs.shape[-1])
    return _multiply(jnp.concatenate(taps, -1), kernel, (1, 1), precision)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolve_window(lhs, rhs, window) -> jax.Array:
    strides, padding, dilation, precision = window
    if strides == dilation == (1, 1):
        return _slide(lhs, rhs, padding, precision)
    return lax.conv_general_dilated(
        lhs, rhs, strides, padding, None, dilation, LAYOUT, precision=precision
    )


def _slide(lhs, rhs, padding, precision):
    """The convolution without strides and dilation."""
    _, width, channels, features = rhs.shape
    rows, columns = lhs.shape[1] + sum(padding[0]) - 2, lhs.shape[2] + sum(padding[1]) - width + 1
    if _is_native(lhs, rhs.shape, rows=rows, precision=precision, least_channels=NATIVE_CHANNELS):
        return native_winograd.convolve_rows(lhs, rhs, padding)
    if _is_winograd(lhs, rhs.shape, rows, precision):
        return winograd.convolve_rows(lhs, rhs, padding, partial(_slide, precision=precision))
    if max(channels, features) > FEW_CHANNELS and not any(map(any, padding)) and columns >= 8:
        # XLA's kernel is up to eight times faster where there is some padding.
        return _slide(lhs, rhs, ((0, 0), (0, 1)), precision)[:, :, :columns]
    if max(channels, features) > FEW_CHANNELS or columns % 2:
        return lax.conv_general_dilated(
            lhs, rhs, (1, 1), padding, None, None, LAYOUT, precision=precision
        )
    # A window that is one pixel wider gives the features of two neighbouring pixels.
    pair = [jnp.pad(rhs, ((0, 0), sides, (0, 0), (0, 0))) for sides in ((0, 1), (1, 0))]
    out = lax.conv_general_dilated(
        lhs, jnp.concatenate(pair, 3), (1, 2), padding, None, None, LAYOUT, precision=precision
    )
    return out.reshape(*out.shape[:2], columns, features)


def _is_native(lhs, rhs_shape, *, rows, precision, least_channels) -> bool:
    """Whether the bundled kernels are used, and can do it faster."""
    enough = native_winograd.is_used() and lhs.shape[-1] >= least_channels
    return enough and _saves_products(
        lhs, rhs_shape, rows=rows, precision=precision, most=MAX_NATIVE_PRODUCTS
    )


def _is_winograd(lhs, rhs_shape, rows, precision) -> bool:
    """Whether XLA is faster with Winograd's products."""
    many = min(rhs_shape[2:]) >= MANY_CHANNELS
    return many and _saves_products(
        lhs, rhs_shape, rows=rows, precision=precision, most=MAX_PRODUCTS
    )


def _saves_products(lhs, rhs_shape, *, rows, precision, most) -> bool:
    """Whether six products for four rows of the output are far fewer, and precise enough."""
    products = -(-rows // winograd.ROWS) * winograd.PRODUCTS
    few = products <= most * winograd.TAPS * rows
    precise = precision is None and lhs.dtype == jnp.float32
    return rhs_shape[0] == winograd.TAPS and few and precise


def _convolve_window_forward(lhs, rhs, window):
    return _convolve_window(lhs, rhs, window), (lhs, rhs)


def _convolve_window_backward(window, residuals, grad):
    lhs, rhs = residuals
    return _lhs_gradient(lhs.shape, rhs, grad, window), _rhs_gradient(lhs, rhs.shape, grad, window)


def _lhs_gradient(lhs_shape, rhs, grad, window):
    """The output's gradient, spread out by the stride, convolved with the flipped kernel."""
    strides, padding, dilation, precision = window
    pads = []
    for axis in (0, 1):
        reach = dilation[axis] * (rhs.shape[axis] - 1)
        spread = (grad.shape[1 + axis] - 1) * strides[axis] + 1
        low = reach - padding[axis][0]
        pads.append((low, lhs_shape[1 + axis] + reach - low - spread))
    if strides != (1, 1) or dilation != (1, 1):
        return lax.conv_general_dilated(
            grad, _flip(rhs), (1, 1), pads, strides, dilation, LAYOUT, precision=precision
        )
    if _is_native(
        grad, rhs.shape, rows=lhs_shape[1], precision=precision, least_channels=NATIVE_CHANNELS
    ):
        return native_winograd.convolve_rows(grad, rhs, pads, flipped=True)
    if _is_winograd(grad, rhs.shape, lhs_shape[1], precision):

        def slide(row, kernel, sides):
            # The kernel is transposed after the sums: with them XLA would read it by columns.
            return _slide(row, lax.optimization_barrier(_flip(kernel)), sides, precision)

        return winograd.convolve_rows(grad, rhs[::-1], pads, slide)
    return _slide(grad, _flip(rhs), pads, precision)


def _flip(rhs):
    """The kernel of the gradient by the input."""
    return jnp.swapaxes(jnp.flip(rhs, (0, 1)), 2, 3)


def _rhs_gradient(lhs, rhs_shape, grad, window):
    """The gradient by the kernel, by Winograd's products of single rows where that is faster."""
    strides, padding, dilation, precision = window
    rows, size, plain = grad.shape[1], math.prod(rhs_shape[2:]), strides == dilation == (1, 1)
    if plain and _is_native(
        lhs, rhs_shape, rows=rows, precision=precision, least_channels=NATIVE_GRADIENT_CHANNELS
    ):
        return native_winograd.kernel_gradient(lhs, grad, padding, rhs_shape[1])
    suits = plain and size > MIN_KERNEL
    if not (suits and _is_winograd(lhs, rhs_shape, rows, precision)):
        return _sum_gradient(lhs, rhs_shape, grad, window=window, most=KERNEL_BYTES)
    if size >= LARGE_KERNEL:
        return winograd.kernel_gradient(lhs, grad, padding, winograd.multiply_row)

    def gradient(row, row_grad, sides):
        # XLA would compute the whole batch together with the sums before it, slowly.
        most = min(ROW_KERNEL_BYTES, row_grad.nbytes // 2)
        shape = (1, *rhs_shape[1:])
        window = Window((1, 1), sides, (1, 1), precision)
        return _sum_gradient(row, shape, row_grad, window=window, most=most)

    return winograd.kernel_gradient(lhs, grad, padding, gradient)


def _sum_gradient(lhs, rhs_shape, grad, *, window, most):
    """The gradient by the kernel: the input convolved with the output's gradient.

    Channels and batch are exchanged for it. It is added up over parts of the batch, whose gradients
    take at most `most` bytes.
    """
    strides, _, dilation, precision = window
    pads = _gradient_pads(lhs.shape, rhs_shape, grad.shape, window)
    batch, features = grad.shape[0], grad.shape[-1]
    part = _part_size(batch, grad.nbytes // max(batch, 1), most)

    def gradient(lhs, grad):
        sides = pads
        if max(part, features) <= FEW_CHANNELS:  # XLA's kernel for them is slow to pad
            zero = jnp.zeros((), lhs.dtype)
            lhs = lax.pad(lhs, zero, [(0, 0, 0), *((*pad, 0) for pad in pads), (0, 0, 0)])
            sides = [(0, 0), (0, 0)]
        return lax.conv_general_dilated(
            jnp.transpose(lhs, (3, 1, 2, 0)),
            jnp.transpose(grad, (1, 2, 0, 3)),
            dilation,
            sides,
            None,
            strides,
            LAYOUT,
            precision=precision,
        )

    if part == batch:
        return jnp.transpose(gradient(lhs, grad), (1, 2, 0, 3))
    zeros = ((0, -batch % part), (0, 0), (0, 0), (0, 0))
    lhs, grad = jnp.pad(lhs, zeros), jnp.pad(grad, zeros)

    def add(index, total):
        parts = (lax.dynamic_slice_in_dim(x, index * part, part) for x in (lhs, grad))
        return total + gradient(*parts)

    total = jnp.zeros((lhs.shape[-1], *rhs_shape[:2], features), lhs.dtype)
    return jnp.transpose(lax.fori_loop(0, len(lhs) // part, add, total), (1, 2, 0, 3))


def _gradient_pads(lhs_shape, rhs_shape, grad_shape, window) -> list[tuple[int, int]]:
    """The padding with which the input gives the gradient by the kernel."""
    pads = []
    for axis in (0, 1):
        reach = window.dilation[axis] * (rhs_shape[axis] - 1)
        spread = (grad_shape[1 + axis] - 1) * window.strides[axis] + 1
        low = window.padding[axis][0]
        pads.append((low, reach + spread - lhs_shape[1 + axis] - low))
    return pads


def _part_size(batch: int, sample_bytes: int, most: int) -> int:
    """The whole batch, or a power of two of samples that takes at most `most` bytes, if any."""
    if batch * sample_bytes <= most:
        return batch
    samples = max(most // max(sample_bytes, 1), 1)
    return 2 ** (samples.bit_length() - 1)


_convolve_window.defvjp(_convolve_window_forward, _convolve_window_backward)
