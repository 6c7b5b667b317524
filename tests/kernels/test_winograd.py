import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from hsi_jax.kernels import winograd
from tests.models.narrow import quick_jit

LAYOUT = ("NHWC", "HWIO", "NHWC")


def plain(lhs, rhs, padding):
    return lax.conv_general_dilated(lhs, rhs, (1, 1), padding, dimension_numbers=LAYOUT)


def plain_gradient(lhs, grad, padding):
    """By the kernel, of a convolution by one row."""
    window = lhs.shape[2] + sum(padding[1]) - grad.shape[2] + 1
    rhs = jnp.zeros((1, window, lhs.shape[-1], grad.shape[-1]))
    return jax.vjp(lambda rhs: plain(lhs, rhs, padding), rhs)[1](grad)[0]


def assert_close(actual, expected):
    """To what Winograd's sums leave of float32's precision, relative to the whole array."""
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("rows", [3, 4, 5])
@pytest.mark.parametrize("padding", [((1, 1), (1, 1)), ((0, 0), (0, 0)), ((-1, 2), (3, -1))])
@pytest.mark.parametrize("features", [3, 5])
def test_values_and_gradient_are_those_of_the_plain_convolution(rows, padding, features):
    rng = np.random.default_rng(0)
    lhs = rng.normal(size=(2, rows, 6, 4)).astype(np.float32)
    rhs = rng.normal(size=(3, 2, 4, features)).astype(np.float32)

    @quick_jit
    def run(lhs, rhs):
        expected, pullback = jax.vjp(lambda rhs: plain(lhs, rhs, padding), rhs)
        grad = jnp.cos(jnp.arange(expected.size, dtype=jnp.float32)).reshape(expected.shape)
        ours = winograd.convolve_rows(lhs, rhs, padding, plain)
        gradients = [
            winograd.kernel_gradient(lhs, grad, padding, gradient)
            for gradient in (winograd.multiply_row, plain_gradient)
        ]
        (expected_gradient,) = pullback(grad)
        return (ours, *gradients), (expected, expected_gradient, expected_gradient)

    for actual, expected in zip(*run(lhs, rhs), strict=True):
        assert_close(actual, expected)


def test_the_matrices_are_exact():
    """out = OUT @ ((KERNEL @ kernel) * (IN @ input)) is a convolution, whatever the numbers."""
    kernel, values = np.array([2.0, -3.0, 5.0]), np.array([1.0, 7.0, -2.0, 4.0, 3.0, -6.0])
    sums = (np.array(winograd.KERNEL) @ kernel) * (np.array(winograd.IN) @ values)
    expected = np.correlate(values, kernel, "valid")
    np.testing.assert_allclose(np.array(winograd.OUT) @ sums, expected, atol=1e-12)
