"""The bundled C++ kernels: built for this processor at their first use, kept, and loaded.

The library is kept in the user's cache folder, one for each processor, compiler, source and JAX, so
that a home that several kinds of machines share has one for each. Its name holds its SHA-256, which
is compared before it is loaded. A folder that cannot be written costs the time to build, some
seconds, in each process.
"""

import contextlib
import hashlib
import logging
import os
import platform
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
from hsi_jax.temporary import temporary_folder

PROCESSORS = ("x86_64", "amd64")
COMPILERS = ("c++", "g++", "clang++")
OPTIONS = ("-std=c++17", "-O3", "-march=native", "-fPIC", "-shared", "-w")
ERROR_LINES = 5

_log = logging.getLogger(__name__)


def use_xla() -> None:
    """XLA computes convolutions, in programs that are traced from now on."""
    _use(False)


def use_native() -> None:
    """The bundled C++ kernels compute convolutions on a CPU; elsewhere XLA does.

    Raises:
        InputError: if the kernels cannot be built or loaded here.
    """
    _use(jax.default_backend() == "cpu")


def use_best() -> None:
    """The bundled kernels where there is a CPU, and a compiler or a kept library; else XLA."""
    try:
        use_native()
    except InputError:
        use_xla()


def kernels_in_use() -> str:
    """Who computes convolutions in programs that are traced now: "native" or "xla"."""
    return "native" if native_winograd.is_used() else "xla"


def _use(native: bool) -> None:
    if native == native_winograd.is_used():
        return
    if native and not native_winograd.is_loaded():
        _load()
    native_winograd.use(native)
    jax.clear_caches()  # what was traced before has the other kernels


def _load() -> None:
    folder, key = kept_folder(os.environ), _key(os.environ)
    if folder and (kept := find_kept(folder, key)):
        return _load_from(kept)
    compiler = find_compiler(os.environ)
    _log.warning("Building C++ kernels for this processor, once; it takes some seconds.")
    with temporary_folder() as built:
        library = build(built / "native.so", compiler)
        return _load_from(_keep(library, folder, key) if folder else library)


def _load_from(library: Path) -> None:
    try:
        native_winograd.load(library)
    except (OSError, AttributeError) as error:
        raise InputError(
            f"`kernels`=native: {library} cannot be loaded ({error}); remove it, or take xla"
        ) from None


def kept_folder(environment: Mapping[str, str]) -> Path | None:
    """Where libraries are kept; None where somebody else could write them.

    A library of another user would run with the rights of this one.
    """
    folder = default_folder(environment, "native")
    if folder is None:
        return None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder if is_own(folder) and is_own(folder.parent) else None
    except OSError:
        return None


def find_kept(folder: Path, key: str) -> Path | None:
    """The kept library for this place, if it is this user's and as it was built.

    A damaged one could compute wrong numbers, or end the process. It is removed.
    """
    for path in sorted(folder.glob(f"{key}.*.so")):
        with contextlib.suppress(OSError):
            if path.is_symlink() or not path.is_file() or not is_own(path):
                continue
            if path.name == _kept_name(key, path):
                return path
            path.unlink()
    return None


def _key(environment: Mapping[str, str]) -> str:
    """Tells apart all that a library depends on."""
    facts = (
        native_winograd.SOURCE.read_text(encoding="utf-8"),
        *OPTIONS,
        environment.get("CXX", ""),
        version("jaxlib"),
        processor(Path("/proc/cpuinfo")),
    )
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def _kept_name(key: str, library: Path) -> str:
    return f"{key}.{hashlib.sha256(library.read_bytes()).hexdigest()}.so"


def find_compiler(environment: Mapping[str, str]) -> list[str]:
    """The command of the C++ compiler: that of `CXX`, or the first that is installed.

    Raises:
        InputError: if there is none, or the kernels are not for this processor.
    """
    if platform.machine().lower() not in PROCESSORS:
        raise InputError(
            f"`kernels`=native was written and tested for {_listed(PROCESSORS)}, and this is "
            f"{platform.machine()}; take xla"
        )
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


def _keep(library: Path, folder: Path, key: str) -> Path:
    """Puts a library where it is kept, whole, and returns where it is then."""
    kept = folder / _kept_name(key, library)
    partial = None
    with contextlib.suppress(OSError):
        file, partial = tempfile.mkstemp(dir=folder)
        os.close(file)
        shutil.copyfile(library, partial)
        os.replace(partial, kept)  # other processes may do so at the same time
        return kept
    if partial:
        Path(partial).unlink(missing_ok=True)
    return library
