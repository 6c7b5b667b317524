import jax
import pytest

from hsi_jax.cluster import platforms
from hsi_jax.cluster.platforms import DECLARED, own_platform


@pytest.fixture
def asked(monkeypatch):
    """Sets JAX_PLATFORMS as the configuration has it, and what this machine seems to have."""

    def ask(jax_platforms, packages=(), files=()):
        monkeypatch.setattr(platforms, "_is_installed", lambda package: package in packages)
        monkeypatch.setattr(platforms.glob, "glob", lambda name: [name] if name in files else [])
        jax.config.update("jax_platforms", jax_platforms)

    before = jax.config.jax_platforms
    yield ask
    jax.config.update("jax_platforms", before)


NVIDIA = {"packages": ("jax_plugins.xla_cuda12",), "files": ("/dev/nvidia[0-9]*",)}


def test_the_platform_that_jax_is_told_to_use(asked):
    asked("cpu", **NVIDIA)
    assert own_platform() == "cpu"
    asked("rocm,cpu", **NVIDIA)
    assert own_platform() == "rocm"


@pytest.mark.parametrize("told", [None, "", "gpu"])
def test_the_platform_that_jax_would_find(asked, told, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    asked(told, **NVIDIA)
    assert own_platform() == "cuda"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert own_platform() == "cpu"


def test_a_device_without_its_package_does_not_count(asked):
    asked(None, files=("/dev/nvidia[0-9]*", "/dev/kfd"))
    assert own_platform() == "cpu"


def test_a_test_may_declare_any_platform(asked, monkeypatch):
    monkeypatch.setenv(DECLARED, "cuda")
    asked("cpu")
    assert own_platform() == "cuda"
