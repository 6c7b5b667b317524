"""Emulates four devices on the CPU, once, before any test uses JAX."""

import atexit
import gc
import os
import shutil
import signal
import tempfile
from pathlib import Path

import jax
import pytest
from hypothesis import settings

from hsi_jax.errors import InputError
from hsi_jax.kernels.choice import use_kernels
from hsi_jax.kernels.native_library import find_compiler

NUM_DEVICES = 4

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", NUM_DEVICES)

# Many tests, and the programs that they start, compile the same: each is compiled once, by
# whichever process of pytest-xdist comes first.
if "PYTEST_XDIST_WORKER" in os.environ:
    COMPILED = os.environ["JAX_COMPILATION_CACHE_DIR"]
else:
    COMPILED = tempfile.mkdtemp(prefix="hsi_jax-compiled-")
    atexit.register(shutil.rmtree, COMPILED, ignore_errors=True)
for name, value in (
    ("jax_compilation_cache_dir", COMPILED),
    ("jax_persistent_cache_min_compile_time_secs", 0.0),
):
    jax.config.update(name, value)
    os.environ[name.upper()] = str(value)

# A shell lets what it starts in the background ignore Ctrl-C, which some tests send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# XLA computes the convolutions of runs too, unless a test asks for others: no compiler is found.
os.environ["CXX"] = "none"

# A machine that is busy for a moment is no failure; CI tries the same examples each time.
settings.register_profile("hsi_jax", deadline=None, derandomize=os.environ.get("CI") == "true")
settings.load_profile("hsi_jax")


MAX_MAPS = 30_000  # of the 65,530 pieces of memory that Linux gives a process by default


@pytest.fixture(autouse=True, scope="module")
def few_programs():
    """Forgets compiled programs before there are too many: each takes several pieces of memory."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and len(maps.read_bytes().splitlines()) > MAX_MAPS:
        jax.clear_caches()
        gc.collect()


@pytest.fixture(scope="module")
def native_kernels():
    """Our own kernels compute the convolutions of a module's tests, where they can be built."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CXX")
        try:
            find_compiler(os.environ)
        except InputError as error:
            pytest.skip(str(error))
        patch.setenv("XDG_CACHE_HOME", COMPILED)  # built once in a session
        use_kernels("native")
        yield
    use_kernels("xla")


def pytest_addoption(parser):
    parser.addoption("--all", action="store_true", help="run the tests marked `long` as well")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--all"):
        long = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if not item.get_closest_marker("long")]


def pytest_sessionstart():
    if jax.device_count() != NUM_DEVICES:
        raise RuntimeError(f"{jax.device_count()} devices instead of {NUM_DEVICES} emulated ones")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real scenes; skips where there is none."""
    default = Path(__file__).parents[1] / ".." / "shared" / "data"
    folder = Path(os.environ.get("HSI_JAX_TEST_DATA", default)).resolve()
    if not folder.is_dir():
        pytest.skip(f"no real scenes in {folder}; set HSI_JAX_TEST_DATA to their folder")
    return folder
