"""Winograd's convolution by kernels of three rows, in a library built for this processor.

It computes what `hsi_jax.kernels.winograd` computes. XLA passes over whole maps for each sum of
rows, and its products are slow where there are few channels; the library keeps a few rows at a time
in the processor's cache. `hsi_jax.kernels.use_kernels` builds and loads it.

Its results are a function of the shapes and numbers alone, whatever the number of threads.
"""

import ctypes
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from hsi_jax.kernels.winograd import PRODUCTS, TAPS

SOURCE = Path(__file__).with_suffix(".cc")

_PREFIX = "hsi_jax_"
_FUNCTIONS = ("sum_kernel", "convolve_rows", "kernel_gradient")
_lanes = 0  # numbers of a register, as the library was built; 0 until it is loaded
_used = False


def load(library: Path) -> None:
    """Loads the library built from `SOURCE`, once in a process.

    Raises:
        OSError: if it cannot be loaded.
        AttributeError: if it is another one.
    """
    global _lanes
    loaded = ctypes.CDLL(str(library))
    lanes = loaded.lanes()
    for name in _FUNCTIONS:
        handler = jax.ffi.pycapsule(getattr(loaded, name))
        jax.ffi.register_ffi_target(_PREFIX + name, handler, platform="cpu")
    _lanes = lanes


def is_loaded() -> bool:
    """Whether the library is there."""
    return _lanes > 0


def use(used: bool) -> None:
    """Lets the convolutions of programs that are traced from now on use the library, or not."""
    global _used
    _used = used


def is_used() -> bool:
    """Whether convolutions use the library."""
    return _used


def convolve_rows(
    lhs: jax.Array, rhs: jax.Array, padding: Sequence[tuple[int, int]], *, flipped: bool = False
) -> jax.Array:
    """The convolution of stride 1.

    Args:
        lhs: float32 [batch, rows, columns, channels].
        rhs: float32 [3, k, channels, features].
        padding: (low, high) of rows and columns; a negative number cuts off.
        flipped: take the kernel of the gradient by the input: its rows and columns from the end,
            with channels and features exchanged.

    Returns:
        float32 [batch, rows out, columns out, features].
    """
    channels, features = rhs.shape[3:1:-1] if flipped else rhs.shape[2:]
    blocks = -(-features // _lanes)
    # By itself: it is the same for all microbatches, and XLA takes it out of their loop.
    kernel = _call(
        "sum_kernel", (blocks, PRODUCTS, rhs.shape[1], channels, _lanes), rhs, flipped=flipped
    )
    sides = (lhs.shape[1 + axis] + sum(padding[axis]) - rhs.shape[axis] + 1 for axis in (0, 1))
    shape = (len(lhs), *(max(side, 0) for side in sides), features)
    return _call("convolve_rows", shape, lhs, kernel, **_before(padding))


def kernel_gradient(
    lhs: jax.Array, grad: jax.Array, padding: Sequence[tuple[int, int]], window: int
) -> jax.Array:
    """The gradient of `convolve_rows` by its kernel.

    Args:
        lhs: as there.
        grad: the gradient of the output, float32 [batch, rows out, columns out, features].
        padding: as there.
        window: columns of the kernel, k.

    Returns:
        float32 [3, k, channels, features].
    """
    shape = (TAPS, window, lhs.shape[-1], grad.shape[-1])
    return _call("kernel_gradient", shape, lhs, grad, **_before(padding))


def _call(name, shape, *arrays, **attributes) -> jax.Array:
    result = jax.ShapeDtypeStruct(shape, np.float32)
    call = jax.ffi.ffi_call(_PREFIX + name, result, vmap_method="sequential")
    return call(*arrays, **attributes)


def _before(padding) -> dict[str, np.int64]:
    """The padding above and on the left; the shape of the output tells the rest."""
    return {"top": np.int64(padding[0][0]), "left": np.int64(padding[1][0])}
