"""The platform that JAX will choose in this process, known before JAX has started."""

import glob
import os
from importlib.util import find_spec

import jax

# Each platform's package of JAX and the files by which Linux tells of its devices.
_ACCELERATORS = {
    "cuda": (
        ("jax_plugins.xla_cuda13", "jax_plugins.xla_cuda12"),
        ("/dev/nvidia[0-9]*", "/dev/dxg"),
    ),
    "rocm": (("jax_plugins.xla_rocm7", "jax_plugins.xla_rocm60"), ("/dev/kfd",)),
    "tpu": (("libtpu",), ("/dev/accel*", "/dev/vfio/[0-9]*")),
}
_HIDDEN = {"cuda": "CUDA_VISIBLE_DEVICES", "rocm": "ROCR_VISIBLE_DEVICES"}

DECLARED = "HSI_JAX_DECLARED_PLATFORM"  # for tests: what a process says it is, whatever it has


def own_platform() -> str:
    """The platform of this process: cpu, cuda, rocm, tpu or another name that JAX knows.

    JAX must not start for that: where processes have unlike platforms, it would wait for devices
    that never come.
    """
    if declared := os.environ.get(DECLARED):
        return declared
    asked: str | None = jax.config.jax_platforms  # pyright: ignore[reportAttributeAccessIssue]
    first = asked.split(",")[0] if asked else ""
    if first and first != "gpu":
        return first
    return next(filter(_is_here, _ACCELERATORS), "cpu")


def _is_here(platform: str) -> bool:
    packages, files = _ACCELERATORS[platform]
    if os.environ.get(_HIDDEN.get(platform, ""), "all") in ("", "-1"):
        return False
    return any(map(_is_installed, packages)) and any(map(glob.glob, files))


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # of the package around it
        return False
