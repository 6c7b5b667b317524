"""Compiled programs are kept from one start to the next, by JAX's persistent compilation cache.

A program from the cache must be the one that would be compiled, or training would end in other
bits. JAX's own key does not tell the number of threads, by which XLA:CPU divides its kernels, nor
every feature of the processor. So there is a folder for each kind of place where programs run, and
JAX uses the one of this place.

Nothing here ends a program: what cannot be read is compiled, and what cannot be written is not
kept.
"""

import contextlib
import hashlib
import logging
import os
import platform
import stat
import warnings
import zlib
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

import jax

MAX_BYTES = 512 * 2**20  # of all folders together; a run of ours adds less than one MiB
FOLDER_VARIABLE = "JAX_COMPILATION_CACHE_DIR"

_log = logging.getLogger(__name__)

_CHECKED = "checked"  # an empty file, as old as the last look at its folder
_ZSTANDARD = b"\x28\xb5\x2f\xfd"  # with which entries begin where JAX has it instead of zlib

_SETTINGS = {
    # Even the smallest program takes ten times as long to compile as to read.
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": 0,
    # Whose files nothing would bound; a program from the cache is tuned already.
    "jax_persistent_cache_enable_xla_caches": "none",
}

# Lines of /proc/cpuinfo that tell for which processor a program is compiled.
_PROCESSOR = (
    *("vendor_id", "cpu family", "model", "model name", "stepping", "flags"),
    *("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "Features"),
)


def use_compilation_cache() -> Path | None:
    """Makes JAX keep what it compiles; call it when devices are chosen, before they compile much.

    Programs go to the folder `JAX_COMPILATION_CACHE_DIR`, by default `hsi_jax` in the user's cache
    folder. A folder in which others could write is not used, and a warning says so, because their
    programs would run with the rights of this user. With `JAX_ENABLE_COMPILATION_CACHE=false` none
    is kept. The oldest go when all take more than `MAX_BYTES`.

    Returns:
        The folder of this place, or None where nothing is kept.
    """
    if not jax.config.jax_enable_compilation_cache:  # pyright: ignore[reportAttributeAccessIssue]
        return None
    chosen = os.environ.get(FOLDER_VARIABLE)
    root = Path(chosen) if chosen else default_folder(os.environ)
    folder = _open(root) if root else None
    if root is None or folder is None:
        jax.config.update("jax_compilation_cache_dir", None)
        return None
    tidy(root)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    for name, value in _SETTINGS.items():
        if name.upper() not in os.environ:
            jax.config.update(name, value)
    # A full disk, or a damaged entry, costs the time to compile and nothing else.
    warnings.filterwarnings("ignore", "Error (read|writ)ing persistent compilation cache entry")
    return folder


def _open(root: Path) -> Path | None:
    """The folder of this place, made where it is not there; None where it cannot be used."""
    folder = root / place_name()
    try:
        for each in (root.parent, root, folder):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_own(root) and is_own(folder) and _owns_all(folder):
            folder.chmod(0o700)  # so that the modes of the files in it do not count
            return folder
    except OSError:
        return None
    _log.warning(
        "Compiled programs are not kept in %s, because other users can write there, or have; give "
        "%s a folder of your own",
        root,
        FOLDER_VARIABLE,
    )
    return None


def default_folder(environment: Mapping[str, str], name: str = "compiled") -> Path | None:
    """A folder of hsi_jax in the user's cache folder; None for a user without a home."""
    caches = Path(environment.get("XDG_CACHE_HOME", ""))
    if not caches.is_absolute():  # by the specification of these folders, it is to be ignored then
        try:
            caches = Path.home() / ".cache"
        except RuntimeError:
            return None
    return caches / "hsi_jax" / name


def place_name() -> str:
    """A name for all that decides, beside the program itself, what XLA makes of it here."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    facts = (
        version("jaxlib"),
        platform.system(),
        processor(Path("/proc/cpuinfo")),
        # XLA:CPU has as many threads as cores, or as NPROC says, or as there are devices.
        str(cores),
        os.environ.get("NPROC", ""),
        os.environ.get("XLA_FLAGS", ""),
        str(jax.config.jax_num_cpu_devices),  # pyright: ignore[reportAttributeAccessIssue]
    )
    digest = hashlib.sha256("\n".join(facts).encode()).hexdigest()
    return f"jax-{jax.__version__}-{digest[:16]}"


def processor(file: Path) -> str:
    """The first processor of Linux's list, or what Python knows of it."""
    try:
        first = file.read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    lines = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return "\n".join(
        f"{name.strip()}:{value}" for name, value in lines if name.strip() in _PROCESSOR
    )


def tidy(root: Path, max_bytes: int = MAX_BYTES) -> None:
    """Removes entries that were not written to their end, and the oldest beyond `max_bytes`.

    JAX would never replace a damaged entry. Those that came since the last call are looked at.
    Another process that uses an entry meanwhile compiles it.
    """
    with contextlib.suppress(OSError):
        entries = []
        for folder in root.iterdir():
            if folder.is_dir():
                entries += _sound_entries(folder)
        entries.sort(reverse=True)  # the newest first
        total = 0
        for _, size, path in entries:
            total += size
            if total > max_bytes:
                path.unlink(missing_ok=True)


def _sound_entries(folder: Path) -> Iterator[tuple[int, int, Path]]:
    """Time, bytes and path of the sound entries of a folder; removes the others."""
    stamp = folder / _CHECKED
    checked = stamp.stat().st_mtime_ns if stamp.exists() else 0
    with contextlib.suppress(OSError):  # a folder that is only read
        stamp.touch()
    for path in folder.glob("*-cache"):
        with contextlib.suppress(OSError):  # another process has removed it
            facts = path.stat()
            if facts.st_mtime_ns >= checked and not _is_sound(path.read_bytes()):
                path.unlink()
            else:
                yield facts.st_mtime_ns, facts.st_size, path


def _is_sound(data: bytes) -> bool:
    if data.startswith(_ZSTANDARD):
        return True  # not known here
    try:
        zlib.decompress(data)
    except zlib.error:
        return False
    return True


def is_own(path: Path) -> bool:
    """Whether nobody but this user can have written a file, or into a folder."""
    if not hasattr(os, "geteuid"):
        return True  # Windows: the folders of a user are the user's own
    facts = path.stat()
    return facts.st_uid == os.geteuid() and not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _owns_all(folder: Path) -> bool:
    """Whether all that a folder holds is this user's, whatever its mode."""
    if not hasattr(os, "geteuid"):
        return True
    return all(path.lstat().st_uid == os.geteuid() for path in folder.iterdir())
