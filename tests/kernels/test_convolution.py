import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from hsi_jax.kernels import convolution_2d
from hsi_jax.kernels.convolution import convolve
from tests.models.narrow import quick_jit

LAYOUTS = {1: ("NHC", "HIO", "NHC"), 2: ("NHWC", "HWIO", "NHWC"), 3: ("NDHWC", "DHWIO", "NDHWC")}

# Unlike in every dimension, so that no two can be confused.
SIZES = [(7, 6, 9), (8, 9, 5), (6, 7, 8)]
KERNELS = [(3, 2, 5), (4, 3, 1), (1, 4, 2)]
UNEVEN = ((0, 1), (2, 0), (1, 3))


def value_and_gradients(conv, lhs, rhs):
    """Output, and gradients of its weighted sum, in one compilation."""

    @quick_jit
    def run(lhs, rhs):
        out, pullback = jax.vjp(conv, lhs, rhs)
        weights = jnp.sin(jnp.arange(out.size, dtype=jnp.float32)).reshape(out.shape)
        return out, *pullback(weights)

    return run(lhs, rhs)


def assert_close(actual, expected):
    """To float32's precision relative to the whole array, whose entries may cancel."""
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    scale = np.abs(expected).max(initial=0)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * scale)


def check(size, kernel, strides, padding, dilation, *, batch=2, channels=3, features=4):
    dims = len(size)
    rng = np.random.default_rng(0)
    lhs = rng.normal(size=(batch, *size, channels)).astype(np.float32)
    rhs = rng.normal(size=(*kernel, channels, features)).astype(np.float32)

    def ours(lhs, rhs):
        return convolve(lhs, rhs, strides, padding, rhs_dilation=dilation)

    def reference(lhs, rhs):
        return lax.conv_general_dilated(
            lhs, rhs, strides, padding, None, dilation, LAYOUTS[dims], precision="highest"
        )

    expected = value_and_gradients(reference, lhs, rhs)
    assert expected[0].size > 0
    for ours_, expected_ in zip(value_and_gradients(ours, lhs, rhs), expected, strict=True):
        assert_close(ours_, expected_)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", ["SAME", "VALID", UNEVEN])
def test_value_and_gradients_are_those_of_lax(dims, stride, padding):
    size, kernel = SIZES[stride - 1][:dims], KERNELS[stride - 1][:dims]
    padding = padding if isinstance(padding, str) else padding[:dims]
    check(size, kernel, (stride,) * dims, padding, (1,) * dims)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(
    ("strides", "padding", "dilation"),
    [
        ((1, 1, 1), "SAME", (2, 2, 2)),
        ((1, 1, 1), "VALID", (2, 2, 1)),
        ((2, 1, 3), "SAME", (1, 2, 1)),
        ((3, 2, 1), UNEVEN, (2, 1, 2)),
        ((2, 3, 2), UNEVEN, (2, 2, 2)),
    ],
)
def test_dilated_kernels_and_strides_that_differ(dims, strides, padding, dilation):
    padding = padding if isinstance(padding, str) else padding[:dims]
    check((9, 8, 7)[:dims], (3, 2, 4)[:dims], strides[:dims], padding, dilation[:dims])


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(
    ("size", "kernel", "stride"),
    [
        (5, 1, 1),
        (5, 1, 3),  # a stride larger than the kernel leaves inputs unread
        (7, 2, 3),
        (8, 2, 3),
        (9, 2, 3),
        (4, 4, 1),  # a single position
        (1, 1, 2),
    ],
)
def test_edges(dims, size, kernel, stride):
    check((size,) * dims, (kernel,) * dims, (stride,) * dims, "VALID", (1,) * dims)


@st.composite
def convolutions(draw):
    dims = draw(st.integers(1, 3))

    def per_dimension(strategy):
        return tuple(draw(strategy) for _ in range(dims))

    kernel, dilation = per_dimension(st.integers(1, 4)), per_dimension(st.integers(1, 2))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    size = tuple(r + draw(st.integers(0, 5)) for r in reach)
    pads = per_dimension(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    padding = draw(st.sampled_from(["SAME", "VALID", pads]))
    return size, kernel, per_dimension(st.integers(1, 4)), padding, dilation


@given(convolutions())
@settings(max_examples=10)
def test_any_convolution(convolution):
    check(*convolution)


@pytest.mark.parametrize("batch", [3, 4, 5])
@pytest.mark.parametrize("strides", [(1, 1), (2, 1)])
def test_the_kernels_gradient_in_parts_of_the_batch(batch, strides, monkeypatch):
    monkeypatch.setattr(convolution_2d, "KERNEL_BYTES", 2 * 4 * 6 * 5 * 4)  # at most two samples
    check((6, 5), (3, 2), strides, "SAME", (1, 1), batch=batch)


@pytest.mark.parametrize("channels", [15, 16, 17])
@pytest.mark.parametrize("columns", [9, 10, 11])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_few_and_many_channels(channels, columns, padding):
    check((5, columns), (3, 3), (1, 1), padding, (1, 1), channels=channels)


# From `large` on the kernel's gradient is a product of matrices.
@pytest.mark.parametrize(("rows", "large"), [(7, 0), (8, 0), (9, 0), (8, 2**15)])
def test_fewer_products_for_many_channels(rows, large, monkeypatch):
    monkeypatch.setattr(convolution_2d, "MIN_KERNEL", 30 * 33 - 1)
    monkeypatch.setattr(convolution_2d, "LARGE_KERNEL", large)
    check((rows, 6), (3, 3), (1, 1), "SAME", (1, 1), channels=30, features=33)
    check((rows, 6), (3, 2), (1, 1), UNEVEN[:2], (1, 1), channels=34, features=31)


@pytest.mark.parametrize("batch", [1, 3, 5])
def test_a_rows_gradient_in_parts_of_the_batch(batch, monkeypatch):
    monkeypatch.setattr(convolution_2d, "ROW_KERNEL_BYTES", 2 * 2 * 6 * 33 * 4)  # of two samples
    check((8, 6), (3, 3), (1, 1), "SAME", (1, 1), channels=32, features=33, batch=batch)


@pytest.mark.parametrize("depth", [8, 9, 10])
@pytest.mark.parametrize("features", [21, 64, 65])
def test_several_positions_along_the_depth(depth, features):
    check((depth, 7, 6), (3, 2, 3), (1, 1, 1), UNEVEN, (1, 1, 1), features=features)


@pytest.mark.parametrize("rows", [2, 3, 4])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
def test_maps_that_are_smaller_than_the_kernel(rows, strides):
    check((rows, 2), (3, 3), strides, "SAME", (1, 1), channels=20, features=18)
    check((rows, 3), (3, 4), strides, ((2, 2), (2, 0)), (2, 1))


@pytest.mark.parametrize("depth", [3, 4, 5])
@pytest.mark.parametrize("strides", [(1, 1, 1), (2, 1, 1), (1, 2, 1)])
def test_kernels_along_the_depth(depth, strides):
    check((depth, 5, 4), (3, 1, 1), strides, ((1, 1), (0, 0), (0, 0)), (1, 1, 1))


@pytest.mark.parametrize("window", [(1, 1), (2, 3)])
def test_kernels_as_deep_as_the_input(window):
    check((5, 6, 7), (5, *window), (1, 1, 2), "VALID", (1, 1, 1))
    check((4, 6, 7), (5, *window), (1, 1, 1), ((1, 0), (0, 1), (2, 0)), (1, 1, 1))


@pytest.mark.parametrize("rows", [3, 4, 5])
@pytest.mark.parametrize("strides", [(1, 1, 1), (2, 1, 1), (1, 2, 1)])
def test_small_maps_in_three_dimensions(rows, strides):
    check((7, rows, 3), (3, 3, 3), strides, ((1, 1), (0, 0), (0, 0)), (1, 1, 1))


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_a_flax_layer_computes_the_same_with_it(dims, padding):
    options = {"features": 4, "kernel_size": KERNELS[0][:dims], "padding": padding}
    options |= {"strides": (2, 1, 3)[:dims]}
    x = np.random.default_rng(0).normal(size=(2, *SIZES[0][:dims], 3)).astype(np.float32)
    plain = nn.Conv(**options)
    params = quick_jit(plain.init)(jax.random.key(0, impl="rbg"), x)
    ours = nn.Conv(**options, conv_general_dilated=convolve)
    assert_close(ours.apply(params, x), plain.apply(params, x))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_it_works_inside_a_loop(dims):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(3, 2, *SIZES[0][:dims], 3)).astype(np.float32)
    kernel = rng.normal(size=(*KERNELS[0][:dims], 3, 4)).astype(np.float32)
    arguments = ((2,) * dims, "SAME")

    def gradient_sum(conv, count):
        def loss(kernel, x):
            return jnp.sum(jnp.square(conv(x, kernel)))

        def add(index, total):
            return total + jax.grad(loss)(kernel, jnp.asarray(inputs)[index])

        return lax.fori_loop(0, count, add, jnp.zeros_like(kernel))

    def reference(lhs, rhs):
        return lax.conv_general_dilated(lhs, rhs, *arguments, dimension_numbers=LAYOUTS[dims])

    ours = quick_jit(lambda count: gradient_sum(lambda x, k: convolve(x, k, *arguments), count))
    assert_close(ours(3), quick_jit(lambda: gradient_sum(reference, 3))())


@pytest.mark.parametrize(
    "options",
    [
        {"feature_group_count": 3},
        {"lhs_dilation": (2, 1)},
        {"dimension_numbers": lax.conv_dimension_numbers((2, 3, 8, 8), (4, 3, 3, 3), None)},
    ],
)
def test_what_it_cannot_do_is_refused(options):
    with pytest.raises(ValueError, match=r"use lax\.conv_general_dilated"):
        convolve(jnp.zeros((2, 8, 8, 3)), jnp.zeros((3, 3, 3, 4)), (1, 1), "SAME", **options)


def test_four_spatial_dimensions_are_refused():
    with pytest.raises(ValueError, match="1 to 3 spatial dimensions"):
        convolve(jnp.zeros((2, 4, 4, 4, 4, 3)), jnp.zeros((1,) * 6), (1,) * 4, "SAME")


def test_a_grouped_flax_layer_is_refused():
    layer = nn.Conv(4, (3, 3), feature_group_count=2, conv_general_dilated=convolve)
    with pytest.raises(ValueError, match="groups"):
        layer.init(jax.random.key(0), jnp.zeros((1, 5, 5, 2)))
