"""Our own kernels for this processor, which a C++ compiler builds at their first use.

The library is kept in the user's cache folder, one for each processor, source and JAX, so that a
home that several kinds of machines share has one for each. A folder that cannot be written costs
the time to build, some seconds, in each process.
"""

import contextlib
import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import jax

from hsi_jax.errors import InputError
from hsi_jax.kernels import native_winograd
from hsi_jax.kernels.compilation_cache import default_folder, is_own, processor

KERNELS = ("xla", "native")
COMPILERS = ("c++", "g++", "clang++")
OPTIONS = ("-std=c++17", "-O3", "-march=native", "-fPIC", "-shared", "-w")
ERROR_LINES = 5


def use_kernels(name: str) -> None:
    """Chooses who computes convolutions on a CPU, in programs that are traced from now on.

    Results of the two differ in the last bits, so processes that train together must choose alike.
    A program for another platform is the same with both.

    Args:
        name: "xla", or "native" for our own kernels, which are built where they are not yet.

    Raises:
        InputError: for another name, or if the kernels cannot be built or loaded here.
    """
    if name not in KERNELS:
        raise InputError(f"`kernels`={name}: choose one of {', '.join(KERNELS)}")
    native = name == "native" and jax.default_backend() == "cpu"
    if native == native_winograd.is_used():
        return
    if native and not native_winograd.is_loaded():
        _load()
    native_winograd.use(native)
    jax.clear_caches()  # what was traced before has the other kernels


def _load() -> None:
    kept = kept_path(os.environ)
    if kept is not None and kept.is_file():
        _load_from(kept)
        return
    with tempfile.TemporaryDirectory(prefix="hsi_jax-", ignore_cleanup_errors=True) as folder:
        library = build(Path(folder) / "native.so", find_compiler(os.environ))
        _load_from(_keep(library, kept) if kept else library)


def _load_from(library: Path) -> None:
    try:
        native_winograd.load(library)
    except (OSError, AttributeError) as error:
        raise InputError(
            f"`kernels`=native: {library} cannot be loaded ({error}); remove it, or take xla"
        ) from None


def kept_path(environment: Mapping[str, str]) -> Path | None:
    """Where the library for this processor is kept; None where nobody but the user may write."""
    root = default_folder(environment, "native")
    if root is None:
        return None
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not is_own(root):
            return None  # the library of another would run with the rights of this user
    except OSError:
        return None
    facts = (
        native_winograd.SOURCE.read_text(encoding="utf-8"),
        *OPTIONS,
        version("jaxlib"),
        processor(Path("/proc/cpuinfo")),
    )
    digest = hashlib.sha256("\n".join(facts).encode()).hexdigest()
    return root / f"{digest[:16]}.so"


def find_compiler(environment: Mapping[str, str]) -> list[str]:
    """The command of the C++ compiler: that of `CXX`, or the first that is installed.

    Raises:
        InputError: if there is none.
    """
    chosen = shlex.split(environment.get("CXX", ""))
    names = chosen[:1] or COMPILERS
    for name in names:
        if path := shutil.which(name, path=environment.get("PATH")):
            return [path, *chosen[1:]]
    raise InputError(
        f"`kernels`=native needs a C++ compiler, but {_listed(names)} cannot be found; install one "
        f"(Debian and Ubuntu: g++; conda: cxx-compiler), name it in CXX, or take xla"
    )


def build(library: Path, compiler: list[str], options: tuple[str, ...] = ()) -> Path:
    """Builds the library, and returns its path.

    Args:
        library: the file to write.
        compiler: its command.
        options: added to `OPTIONS`.

    Raises:
        InputError: with the compiler's last lines, if it fails.
    """
    headers = ("-isystem", jax.ffi.include_dir())
    source = str(native_winograd.SOURCE)
    command = [*compiler, *OPTIONS, *options, *headers, source, "-o", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        end = "\n".join(done.stderr.strip().splitlines()[-ERROR_LINES:])
        raise InputError(
            f"`kernels`=native: {compiler[0]} cannot build {source} (exit code {done.returncode}); "
            f"name another compiler in CXX, or take xla. It said:\n{end}"
        )
    return library


def _listed(names) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _keep(library: Path, kept: Path) -> Path:
    """Puts a library where it is kept, whole, and returns where it is then."""
    partial = kept.with_name(f".{kept.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        shutil.copyfile(library, partial)
        partial.replace(kept)
        return kept
    with contextlib.suppress(OSError):
        partial.unlink(missing_ok=True)
    return library
