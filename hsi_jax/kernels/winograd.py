"""Convolutions by kernels of three rows, with half of the multiplications.

Winograd's F(4, 3) along the rows (Lavin and Gray, "Fast Algorithms for Convolutional Neural
Networks", CVPR 2016, https://arxiv.org/abs/1509.09308): four rows of the output and three of the
kernel are six products instead of twelve. Only sums of whole rows come before and after, which
are long and cheap; along the columns the convolution stays as it is. In float32 an entry differs
from that of the plain convolution by up to 3e-6 of the largest one.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax

Convolve = Callable[[jax.Array, jax.Array, Sequence[tuple[int, int]]], jax.Array]

TAPS, ROWS, PRODUCTS = 3, 4, 6  # rows of the kernel, of the output, and what they need

# Lavin and Gray, section 4.3: out = OUT @ ((KERNEL @ kernel) * (IN @ input)).
IN = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
KERNEL = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
OUT = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))


def convolve_rows(
    lhs: jax.Array, rhs: jax.Array, padding: Sequence[tuple[int, int]], convolve: Convolve
) -> jax.Array:
    """The convolution of stride 1, by six convolutions with a kernel of one row.

    Args:
        lhs: float32 [batch, rows, columns, channels].
        rhs: float32 [3, k, channels, features].
        padding: (low, high) of rows and columns; a negative number cuts off.
        convolve: gives the plain convolution of stride 1 by a kernel [1, k, channels, features].

    Returns:
        float32 [batch, rows out, columns out, features].
    """
    rows = lhs.shape[1] + sum(padding[0]) - TAPS + 1
    products = [
        convolve(row, kernel[None], ((0, 0), padding[1]))
        for row, kernel in zip(
            _rows_in(lhs, rows, padding[0]), _combine(KERNEL, list(rhs)), strict=True
        )
    ]
    out = jnp.stack(_combine(OUT, products), 2)
    return out.reshape(len(lhs), -1, *out.shape[3:])[:, :rows]


def kernel_gradient(
    lhs: jax.Array, grad: jax.Array, padding: Sequence[tuple[int, int]], gradient: Convolve
) -> jax.Array:
    """The gradient of `convolve_rows` by its kernel, from six such gradients of single rows.

    Args:
        lhs: as there.
        grad: the gradient of the output, float32 [batch, rows out, columns out, features].
        padding: as there.
        gradient: gives the gradient of a plain convolution by its kernel [1, k, channels,
            features], from its input, the gradient of its output and its padding.

    Returns:
        float32 [3, k, channels, features].
    """
    gradients = [
        gradient(row, row_grad, ((0, 0), padding[1]))[0]
        for row, row_grad in zip(
            _rows_in(lhs, grad.shape[1], padding[0]),
            _combine(_transpose(OUT), _rows_out(grad)),
            strict=True,
        )
    ]
    return jnp.stack(_combine(_transpose(KERNEL), gradients))


def multiply_row(
    row: jax.Array, row_grad: jax.Array, padding: Sequence[tuple[int, int]]
) -> jax.Array:
    """A `gradient` for `kernel_gradient`: a product of matrices, for kernels of many channels.

    It is of all columns at once, with those of one side moved by each tap.
    """
    columns, (low, high) = row_grad.shape[2], padding[1]
    window = row.shape[2] + low + high - columns + 1
    channels, features = row.shape[-1], row_grad.shape[-1]
    if channels <= features:
        moved = [_columns(row, tap - low, columns) for tap in range(window)]
        product = _multiply(jnp.concatenate(moved, -1), row_grad)
        return product.reshape(1, window, channels, features)
    moved = [_columns(row_grad, low - tap, row.shape[2]) for tap in range(window)]
    product = _multiply(jnp.concatenate(moved, -1), row)
    return product.reshape(1, window, features, channels).swapaxes(2, 3)


def _rows_in(lhs, rows, padding) -> list[jax.Array]:
    """The six sums of rows of the input, each [batch, rows / 4, columns, channels]."""
    groups = -(-rows // ROWS)
    high = groups * ROWS + TAPS - 1 - lhs.shape[1] - padding[0]
    zero = jnp.zeros((), lhs.dtype)
    lhs = lax.pad(lhs, zero, [(0, 0, 0), (padding[0], high, 0), (0, 0, 0), (0, 0, 0)])
    reach = (groups - 1) * ROWS + 1
    return _combine(IN, [lhs[:, at : at + reach : ROWS] for at in range(PRODUCTS)])


def _rows_out(grad) -> list[jax.Array]:
    """Each fourth row from the first, second, third and fourth on."""
    batch, rows, columns, features = grad.shape
    grad = jnp.pad(grad, ((0, 0), (0, -rows % ROWS), (0, 0), (0, 0)))
    grad = grad.reshape(batch, -1, ROWS, columns, features)
    return [grad[:, :, row] for row in range(ROWS)]


def _columns(x, start, count):
    """So many columns from `start` on, with zeros outside."""
    sides = [(0, 0, 0), (0, 0, 0), (-start, start + count - x.shape[2], 0), (0, 0, 0)]
    return lax.pad(x, jnp.zeros((), x.dtype), sides)


def _multiply(a, b):
    """The sum over all pixels, [..., m] and [..., n] to [m, n]."""
    a, b = (x.reshape(-1, x.shape[-1]) for x in (a, b))
    return lax.dot_general(a, b, (((0,), (0,)), ((), ())))


def _combine(matrix, parts) -> list[jax.Array]:
    """The sums of the parts by the rows of a matrix, most of whose entries are 0 or 1."""
    sums = []
    for factors in matrix:
        terms = [
            part if factor == 1 else factor * part
            for factor, part in zip(factors, parts, strict=True)
            if factor
        ]
        sums.append(sum(terms[1:], start=terms[0]))
    return sums


def _transpose(matrix):
    return tuple(zip(*matrix, strict=True))
