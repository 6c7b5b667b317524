"""Convolutions that run at full speed inside a loop on CPU.

XLA:CPU brings a convolution into the layout of its fast kernel only in the entry computation of a
program (https://github.com/jax-ml/jax/issues/12868). Inside a ``fori_loop`` the gradient of the
kernel, which autodiff writes in another layout, is computed by a naive method that is many times
slower (``python -m benchmarks.convolution``). So every convolution here, forward and backward, is
written in the fast layout (NHWC x HWIO -> NHWC) by hand (`hsi_jax.kernels.convolution_2d`). A 3-D
convolution becomes a 2-D one. Where its kernel looks only along the depth, all pixels of a map
become one row. Otherwise the taps along the depth become channels, and positions along the depth,
where there are several, part of the batch, several at once where the kernel has few features.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from hsi_jax.kernels.convolution_2d import Window, convolve_2d

FEATURES_AT_ONCE = 64  # of several positions along the depth, in a 3-D convolution


# It has lax's arguments in lax's order, to stand in its place: so all of them can be positional.
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
    """Convolves as ``lax.conv_general_dilated``, which it calls on other platforms than CPU.

    It takes that function's arguments in that order: ``nn.Conv(conv_general_dilated=convolve)``.

    Args:
        lhs: input, [batch, *spatial, channels].
        rhs: kernel, [*window, channels, features].
        window_strides: a stride for each spatial dimension.
        padding: "SAME", "VALID" or a (low, high) pair for each spatial dimension.
        lhs_dilation, feature_group_count: must be None or 1 (no transposed or grouped convolution).
        rhs_dilation: dilation of the kernel for each spatial dimension.
        dimension_numbers: None, or the channels-last numbers that Flax passes.
        precision: as in lax.

    Returns:
        [batch, *spatial out, features].

    Raises:
        ValueError: for a transposed or grouped convolution or another layout.
    """
    dims = lhs.ndim - 2
    _check(dims, lhs_dilation, dimension_numbers, feature_group_count)
    strides, dilation = tuple(window_strides), tuple(rhs_dilation or (1,) * dims)
    pads = _pads(lhs, rhs, padding, strides=strides, dilation=dilation)
    if jax.default_backend() == "cpu":
        return _CONVOLVE[dims](lhs, rhs, Window(strides, pads, dilation, precision))
    return lax.conv_general_dilated(
        lhs, rhs, strides, pads, None, dilation, _channels_last(dims), precision=precision
    )


def _check(dims: int, lhs_dilation, dimension_numbers, feature_group_count) -> None:
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


def _pads(lhs, rhs, padding, *, strides, dilation) -> tuple[tuple[int, int], ...]:
    """The padding in numbers, (low, high) for each spatial dimension."""
    if isinstance(padding, str):
        reach = [(k - 1) * d + 1 for k, d in zip(rhs.shape, dilation, strict=False)]
        padding = lax.padtype_to_pads(lhs.shape[1:-1], reach, strides, padding)
    return tuple((int(low), int(high)) for low, high in padding)


def _convolve_1d(lhs, rhs, window):
    strides, padding, dilation, precision = window
    row = Window((1, *strides), ((0, 0), *padding), (1, *dilation), precision)
    return convolve_2d(lhs[:, None], rhs[None], row)[:, 0]


def _convolve_3d(lhs, rhs, window):
    """A 2-D convolution; depth, the first spatial dimension, goes into channels and batch."""
    strides, padding, dilation, precision = window
    batch, _, height, width, channels = lhs.shape
    taps, *size, _, features = rhs.shape
    plain = strides[1:] == dilation[1:] == (1, 1) and padding[1:] == ((0, 0), (0, 0))
    if plain and height * width <= 3 * math.prod(size):
        return _convolve_depth(lhs, rhs, window.of(slice(1)))
    if taps == lhs.shape[1] and padding[0] == (0, 0):
        lhs = jnp.moveaxis(lhs, 1, 3).reshape(batch, height, width, -1)
        rhs = jnp.moveaxis(rhs, 0, 2).reshape(*size, -1, features)
        return convolve_2d(lhs, rhs, window.of(slice(1, None)))[:, None]
    if plain and math.prod(size) == 1:
        lhs, rhs = lhs.reshape(*lhs.shape[:2], -1, channels), rhs[:, 0]
        out = convolve_2d(lhs, rhs, window.of(slice(2)))
        return out.reshape(*out.shape[:2], height, width, features)
    if math.prod(size) > 1 and strides == dilation == (1, 1, 1) and features < FEATURES_AT_ONCE:
        return _convolve_positions(lhs, rhs, padding, precision)
    lhs = jnp.pad(lhs, ((0, 0), padding[0], (0, 0), (0, 0), (0, 0)))
    depth = (lhs.shape[1] - dilation[0] * (taps - 1) - 1) // strides[0] + 1
    reach = (depth - 1) * strides[0] + 1
    starts = [tap * dilation[0] for tap in range(taps)]
    folded = jnp.stack([lhs[:, at : at + reach : strides[0]] for at in starts], axis=4)
    folded = folded.reshape(batch * depth, height, width, taps * channels)
    kernel = jnp.moveaxis(rhs, 0, 2).reshape(*size, taps * channels, features)
    out = convolve_2d(folded, kernel, window.of(slice(1, None)))
    return out.reshape(batch, depth, *out.shape[1:])


def _convolve_depth(lhs, rhs, window):
    """A 1-D convolution along the depth; all pixels of a small map go into channels."""
    height, width = lhs.shape[2:4]
    rows, columns = height - rhs.shape[1] + 1, width - rhs.shape[2] + 1
    places = [
        jnp.pad(rhs, ((0, 0), (i, rows - 1 - i), (j, columns - 1 - j), (0, 0), (0, 0)))
        for i in range(rows)
        for j in range(columns)
    ]
    kernel = jnp.stack(places, 4).reshape(rhs.shape[0], -1, len(places) * rhs.shape[-1])
    lhs = lhs.reshape(*lhs.shape[:2], -1)
    out = _convolve_1d(lhs, kernel, window)
    return out.reshape(*out.shape[:2], rows, columns, rhs.shape[-1])


def _convolve_positions(lhs, rhs, padding, precision):
    """A 2-D convolution that gives several positions along the depth as one of more features.

    The kernel is then a band of which the rest is zero: some products are wasted, but a
    convolution to more features gains more than that, and less is copied.
    """
    taps, *window, channels, features = rhs.shape
    batch, depth = lhs.shape[0], lhs.shape[1] + sum(padding[0]) - taps + 1
    several = min(FEATURES_AT_ONCE // features, taps + 1, depth)
    span = several + taps - 1
    sides = (padding[0][0], padding[0][1] + -depth % several)
    lhs = jnp.moveaxis(jnp.pad(lhs, ((0, 0), sides, (0, 0), (0, 0), (0, 0))), 1, 3)
    parts = [lhs[..., at : at + span, :] for at in range(0, depth, several)]
    folded = jnp.concatenate(parts).reshape(-1, *lhs.shape[1:3], span * channels)
    places = [jnp.pad(rhs, ((i, several - 1 - i), *[(0, 0)] * 4)) for i in range(several)]
    kernel = jnp.moveaxis(jnp.stack(places, 4), 0, 2).reshape(*window, span * channels, -1)
    out = convolve_2d(folded, kernel, Window((1, 1), padding[1:], (1, 1), precision))
    out = out.reshape(len(parts), batch, *out.shape[1:3], several, features)
    out = out.transpose(1, 0, 4, 2, 3, 5)
    return out.reshape(batch, -1, *out.shape[3:])[:, :depth]


_CONVOLVE = {1: _convolve_1d, 2: convolve_2d, 3: _convolve_3d}


def _channels_last(dims: int) -> lax.ConvDimensionNumbers:
    last = (0, dims + 1, *range(1, dims + 1))
    return lax.ConvDimensionNumbers(last, (dims + 1, dims, *range(dims)), last)


def _is_channels_last(numbers, dims: int) -> bool:
    return numbers is None or numbers == _channels_last(dims)
