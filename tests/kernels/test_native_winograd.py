"""Our own kernels against XLA's plain convolution, and what they promise of their bits."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jax import lax

from hsi_jax.kernels import native_library as native
from hsi_jax.kernels import native_winograd
from hsi_jax.kernels.choice import use_kernels
from hsi_jax.kernels.convolution import convolve

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("native_kernels")]

ROOT = Path(__file__).parents[2]
LAYOUT = ("NHWC", "HWIO", "NHWC")


def plain(lhs, rhs, padding):
    # Padded by itself: where a padding is negative, JAX's gradient by the kernel can be wrong
    # (0.10.2: a kernel of one column, columns padded by (-1, 1)).
    sides = [(0, 0, 0), *((low, high, 0) for low, high in padding), (0, 0, 0)]
    lhs = lax.pad(lhs, jnp.zeros((), lhs.dtype), sides)
    return lax.conv_general_dilated(
        lhs, rhs, (1, 1), "VALID", dimension_numbers=LAYOUT, precision="highest"
    )


def random_inputs(shape, window, features):
    rng = np.random.default_rng(0)
    lhs = rng.normal(size=shape).astype(np.float32)
    return lhs, rng.normal(size=(3, window, shape[-1], features)).astype(np.float32)


def value_and_gradients(lhs, rhs, padding):
    """Of the library: the value, and the gradients by the input and by the kernel."""
    value = native_winograd.convolve_rows(lhs, rhs, padding)
    grad = gradient_of(value.shape)
    sides = [
        (rhs.shape[i] - 1 - low, rhs.shape[i] - 1 - high) for i, (low, high) in enumerate(padding)
    ]
    return (
        value,
        native_winograd.convolve_rows(grad, rhs, sides, flipped=True),
        native_winograd.kernel_gradient(lhs, grad, padding, rhs.shape[1]),
    )


def gradient_of(shape):
    return np.cos(np.arange(np.prod(shape), dtype=np.float32)).reshape(shape)


def check(shape, window, features, padding):
    lhs, rhs = random_inputs(shape, window, features)
    value, pullback = jax.vjp(lambda lhs, rhs: plain(lhs, rhs, padding), lhs, rhs)
    expected = (value, *pullback(gradient_of(value.shape)))
    for actual, wanted in zip(value_and_gradients(lhs, rhs, padding), expected, strict=True):
        assert (actual.shape, actual.dtype) == (wanted.shape, wanted.dtype)
        atol = 1e-5 * np.abs(wanted).max(initial=0)
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=atol)


SAME = ((1, 1), (1, 1))


@pytest.mark.parametrize(
    ("shape", "window", "features", "padding"),
    [
        ((2, 4, 5, 3), 3, 5, SAME),
        # One less and more than a register, and than the pixels and channels of a part.
        *[((2, 5, 15 + more, 15 + more), 3, 15 + more, SAME) for more in range(3)],
        *[((1, 4, 3, 63 + more), 3, 4, SAME) for more in range(3)],
        ((3, 33, 34, 16), 3, 16, SAME),  # several parts of the rows
        ((1, 6, 130, 4), 3, 4, SAME),  # a row has more pixels than a part
        ((9, 4, 4, 32), 3, 32, SAME),  # a part has several images
        ((2, 7, 6, 4), 1, 4, ((0, 0), (0, 0))),
        ((2, 7, 6, 4), 5, 4, ((2, 1), (0, 4))),
        ((2, 9, 9, 4), 3, 4, ((-1, 2), (3, -1))),
        ((2, 9, 9, 4), 3, 4, ((2, -3), (-2, 2))),
        ((2, 5, 1, 4), 3, 4, SAME),  # one column
        ((2, 3, 5, 4), 3, 4, ((0, 0), (0, 0))),  # one row of the output
    ],
)
def test_values_and_gradients_are_those_of_the_plain_convolution(shape, window, features, padding):
    check(shape, window, features, padding)


side = st.tuples(st.integers(-1, 2), st.integers(-1, 2))


@given(
    st.tuples(st.integers(1, 3), st.integers(5, 11), st.integers(7, 20), st.integers(1, 20)),
    st.integers(1, 5),
    st.integers(1, 20),
    st.tuples(side, side),
)
@settings(max_examples=10)
@example((1, 5, 7, 1), 5, 1, ((-1, -1), (-1, -1)))  # the least of all
@example((1, 5, 7, 1), 1, 1, ((0, 0), (-1, 1)))
def test_any_shape(shape, window, features, padding):
    check(shape, window, features, padding)


@pytest.mark.parametrize("shape", [(0, 5, 5, 4), (2, 5, 2, 4)])
def test_nothing_from_nothing(shape):
    """No images, or columns that are fewer than the kernel's."""
    check(shape, 3, 4, ((0, 0), (0, 0)))


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_what_is_not_finite_is_not_lost(odd):
    lhs, rhs = random_inputs((1, 6, 6, 4), 3, 4)
    lhs[0, 2, 3, 1] = odd
    value, _, by_kernel = value_and_gradients(lhs, rhs, SAME)
    assert not np.isfinite(np.asarray(value)[0, 1:4, 2:5]).any()
    assert np.isfinite(np.asarray(value)[0, :, 0]).all()
    assert not np.isfinite(np.asarray(by_kernel)[:, :, 1]).any()


def test_convolutions_use_them_only_where_they_can():
    def library_calls(stride=1, dilation=1, rows=3, channels=8, dtype="float32", precision=None):
        def loss(lhs, rhs):
            out = convolve(
                lhs, rhs, (stride, 1), "SAME", rhs_dilation=(dilation, 1), precision=precision
            )
            return (out**2).sum()

        lhs, rhs = jnp.ones((2, 9, 9, channels), dtype), jnp.ones((rows, 3, channels, 8), dtype)
        text = jax.jit(jax.grad(loss, (0, 1))).lower(lhs, rhs).as_text()
        return [name for name in native_winograd._FUNCTIONS if f"hsi_jax_{name}" in text]

    assert library_calls() == ["sum_kernel", "convolve_rows", "kernel_gradient"]
    assert library_calls(channels=4) == ["sum_kernel", "convolve_rows"]
    for other in ({"stride": 2}, {"dilation": 2}, {"rows": 5}, {"dtype": "bfloat16"}):
        assert library_calls(**other) == []
    assert library_calls(precision="highest") == []
    use_kernels("xla")
    assert library_calls() == []
    use_kernels("native")


def test_a_batch_of_batches():
    lhs, rhs = random_inputs((3, 2, 6, 6, 4), 3, 4)
    values = jax.vmap(lambda lhs: native_winograd.convolve_rows(lhs, rhs, SAME))(lhs)
    for one, value in zip(lhs, values, strict=True):
        np.testing.assert_array_equal(value, native_winograd.convolve_rows(one, rhs, SAME))


PROGRAM = """
import hashlib, os, sys
from pathlib import Path
import numpy as np
from hsi_jax.kernels import native_library as native
from hsi_jax.kernels import native_winograd
from tests.kernels import test_native_winograd as test

library = Path(sys.argv[1])
if not library.exists():
    native.build(library, native.find_compiler(os.environ), tuple(sys.argv[2:]))
native_winograd.load(library)
digest = hashlib.sha256()
for shape, features in (((3, 9, 21, 16), 16), ((2, 33, 40, 70), 33)):
    test.check(shape, 3, features, test.SAME)
    lhs, rhs = test.random_inputs(shape, 3, features)
    for array in test.value_and_gradients(lhs, rhs, test.SAME):
        digest.update(np.asarray(array).tobytes())
print(native_winograd._lanes, digest.hexdigest())
"""


def in_another_process(library, *options, **environment):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(library), *options],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    lanes, digest = done.stdout.split()
    return int(lanes), digest


def test_any_number_of_threads_gives_the_same_bits(tmp_path):
    one, three = (in_another_process(tmp_path / "native.so", NPROC=count) for count in "13")
    assert one == three


@pytest.mark.long
@pytest.mark.skipif("avx" not in native.processor(Path("/proc/cpuinfo")), reason="needs AVX")
def test_processors_of_narrower_registers(tmp_path):
    for option, lanes in (("-mno-avx512f", 8), ("-mno-avx", 4)):
        found, _ = in_another_process(tmp_path / f"{lanes}.so", option)
        assert found == lanes
