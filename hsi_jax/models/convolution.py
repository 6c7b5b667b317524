"""Convolutions that run at full speed inside a loop on CPU.

XLA:CPU brings a convolution into the layout of its fast kernel only in the entry computation of a
program (https://github.com/jax-ml/jax/issues/12868). Inside a ``fori_loop`` the gradient of the
kernel, which autodiff writes in another layout, is computed by a naive method that is many times
slower (``python -m benchmarks.convolution``). So every convolution here, forward and backward, is
written in the fast layout (NHWC x HWIO -> NHWC) by hand. A 3-D convolution becomes a 2-D one: the
taps of its kernel along the depth become channels, and positions along the depth become part of the
batch. A 1x1 kernel becomes a matrix product over the pixels.
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

LAYOUT = ("NHWC", "HWIO", "NHWC")


def convolve(
    lhs: jax.Array,
    rhs: jax.Array,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: lax.ConvDimensionNumbers | None = None,
    feature_group_count: int = 1,
    precision: lax.PrecisionLike = None,
) -> jax.Array:
    """Convolves as ``lax.conv_general_dilated`` does, channels last, in 1 to 3 dimensions.

    Pass it to Flax as ``nn.Conv(conv_general_dilated=convolve)``; the order of the arguments is
    that of lax. On other platforms than CPU it calls ``lax.conv_general_dilated``.

    Args:
        lhs: input, [batch, *spatial, channels].
        rhs: kernel, [*window, channels, features].
        window_strides: a stride for each spatial dimension.
        padding: "SAME", "VALID" or a (low, high) pair for each spatial dimension.
        lhs_dilation: must be None or all 1 (no transposed convolution).
        rhs_dilation: dilation of the kernel for each spatial dimension.
        dimension_numbers: None, or the channels-last numbers that Flax passes.
        feature_group_count: must be 1 (no grouped convolution).
        precision: as in lax.

    Returns:
        [batch, *spatial out, features].

    Raises:
        ValueError: for a transposed or grouped convolution or another layout.
    """
    dims = lhs.ndim - 2
    if feature_group_count != 1 or any(d != 1 for d in lhs_dilation or ()):
        raise ValueError(
            f"convolve has neither groups nor transposed convolution (`feature_group_count`="
            f"{feature_group_count}, `lhs_dilation`={lhs_dilation}); use lax.conv_general_dilated"
        )
    if dims not in (1, 2, 3) or not _is_channels_last(dimension_numbers, dims):
        raise ValueError(
            f"convolve takes 1 to 3 spatial dimensions, channels last, not {dims} with "
            f"{dimension_numbers}; use lax.conv_general_dilated"
        )
    dilation = tuple(rhs_dilation or (1,) * dims)
    strides = tuple(window_strides)
    if isinstance(padding, str):
        window = [(k - 1) * d + 1 for k, d in zip(rhs.shape[:dims], dilation, strict=True)]
        padding = lax.padtype_to_pads(lhs.shape[1:-1], window, strides, padding)
    padding = tuple((int(low), int(high)) for low, high in padding)
    if jax.default_backend() != "cpu":
        return lax.conv_general_dilated(
            lhs, rhs, strides, padding, None, dilation, _channels_last(dims), precision=precision
        )
    return _CONVOLVE[dims](lhs, rhs, strides, padding, dilation, precision)


def _convolve_1d(lhs, rhs, strides, padding, dilation, precision):
    out = _convolve_2d(
        lhs[:, None], rhs[None], (1, *strides), ((0, 0), *padding), (1, *dilation), precision
    )
    return out[:, 0]


def _convolve_2d(lhs, rhs, strides, padding, dilation, precision) -> jax.Array:
    if rhs.shape[:2] == (1, 1) and padding == ((0, 0), (0, 0)):
        return _multiply(lhs, rhs, strides, precision)
    return _convolve_window(lhs, rhs, strides, padding, dilation, precision)


def _multiply(lhs, rhs, strides, precision):
    """The convolution by a 1x1 kernel as a matrix product; its gradients are such products too."""
    read = lhs[:, :: strides[0], :: strides[1]]
    pixels = read.reshape(-1, read.shape[-1])
    return jnp.dot(pixels, rhs[0, 0], precision=precision).reshape(*read.shape[:-1], rhs.shape[-1])


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4, 5))
def _convolve_window(lhs, rhs, strides, padding, dilation, precision) -> jax.Array:
    return lax.conv_general_dilated(
        lhs, rhs, strides, padding, None, dilation, LAYOUT, precision=precision
    )


def _convolve_window_forward(lhs, rhs, strides, padding, dilation, precision):
    return _convolve_window(lhs, rhs, strides, padding, dilation, precision), (lhs, rhs)


def _convolve_window_backward(strides, padding, dilation, precision, residuals, grad):
    lhs, rhs = residuals
    return (
        _lhs_gradient(lhs.shape, rhs, grad, strides, padding, dilation, precision),
        _rhs_gradient(lhs, rhs.shape, grad, strides, padding, dilation, precision),
    )


def _lhs_gradient(lhs_shape, rhs, grad, strides, padding, dilation, precision):
    """The output's gradient, spread out by the stride, convolved with the flipped kernel."""
    pads = []
    for axis in (0, 1):
        reach = dilation[axis] * (rhs.shape[axis] - 1)
        spread = (grad.shape[1 + axis] - 1) * strides[axis] + 1
        low = reach - padding[axis][0]
        pads.append((low, lhs_shape[1 + axis] + reach - low - spread))
    flipped = jnp.swapaxes(jnp.flip(rhs, (0, 1)), 2, 3)
    return lax.conv_general_dilated(
        grad, flipped, (1, 1), pads, strides, dilation, LAYOUT, precision=precision
    )


def _rhs_gradient(lhs, rhs_shape, grad, strides, padding, dilation, precision):
    """The input convolved with the output's gradient, with channels and batch exchanged."""
    pads = []
    for axis in (0, 1):
        reach = dilation[axis] * (rhs_shape[axis] - 1)
        spread = (grad.shape[1 + axis] - 1) * strides[axis] + 1
        low = padding[axis][0]
        pads.append((low, reach + spread - lhs.shape[1 + axis] - low))
    out = lax.conv_general_dilated(
        jnp.transpose(lhs, (3, 1, 2, 0)),
        jnp.transpose(grad, (1, 2, 0, 3)),
        dilation,
        pads,
        None,
        strides,
        LAYOUT,
        precision=precision,
    )
    return jnp.transpose(out, (1, 2, 0, 3))


_convolve_window.defvjp(_convolve_window_forward, _convolve_window_backward)


def _convolve_3d(lhs, rhs, strides, padding, dilation, precision):
    """A 2-D convolution; depth, the first spatial dimension, goes into channels and batch."""
    batch, _, height, width, channels = lhs.shape
    taps, *window, _, features = rhs.shape
    lhs = jnp.pad(lhs, ((0, 0), padding[0], (0, 0), (0, 0), (0, 0)))
    depth = (lhs.shape[1] - dilation[0] * (taps - 1) - 1) // strides[0] + 1
    reach = (depth - 1) * strides[0] + 1
    starts = [tap * dilation[0] for tap in range(taps)]
    folded = jnp.stack([lhs[:, at : at + reach : strides[0]] for at in starts], axis=4)
    folded = folded.reshape(batch * depth, height, width, taps * channels)
    kernel = jnp.moveaxis(rhs, 0, 2).reshape(*window, taps * channels, features)
    out = _convolve_2d(folded, kernel, strides[1:], padding[1:], dilation[1:], precision)
    return out.reshape(batch, depth, *out.shape[1:])


_CONVOLVE = {1: _convolve_1d, 2: _convolve_2d, 3: _convolve_3d}


def _channels_last(dims: int) -> lax.ConvDimensionNumbers:
    last = (0, dims + 1, *range(1, dims + 1))
    return lax.ConvDimensionNumbers(last, (dims + 1, dims, *range(dims)), last)


def _is_channels_last(numbers, dims: int) -> bool:
    return numbers is None or numbers == _channels_last(dims)
