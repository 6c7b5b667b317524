"""Who computes convolutions on a CPU, by name; the names are listed without waiting for JAX."""

from collections.abc import Callable

from hsi_jax.registry import Registry

# Each is called without arguments, and holds for programs that are traced from then on.
KERNELS: Registry[Callable[[], None]] = Registry(
    "kernels",
    {
        "auto": "hsi_jax.kernels.native_library:use_best",
        "xla": "hsi_jax.kernels.native_library:use_xla",
        "native": "hsi_jax.kernels.native_library:use_native",
    },
)


def use_kernels(name: str) -> None:
    """Chooses who computes convolutions on a CPU, in programs that are traced from now on.

    Their results differ in the last bits, so processes that train together must choose alike. A
    program for another platform is the same with all of them.

    Args:
        name: of `KERNELS`: "xla"; "native" for the bundled C++ kernels, which a compiler builds for
            the processor at their first use; "auto" for these where they can be had, and else XLA;
            or package.module:function.

    Raises:
        InputError: for another name, or if the kernels cannot be built or loaded here.
    """
    KERNELS.find(name)()
