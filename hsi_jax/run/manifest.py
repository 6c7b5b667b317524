"""A list of SHA-256 digests beside files, so that damage to any of them is noticed."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec

from hsi_jax.errors import InputError
from hsi_jax.json_file import read_json

NAME = "manifest.json"


class _Manifest(msgspec.Struct):
    sha256: Annotated[dict[str, str], msgspec.Meta(min_length=1)]


def write_manifest(folder: Path) -> None:
    """Lists every file below a folder, all of it on the disk before the list is; written whole.

    Raises:
        OSError: if a file cannot be read or the list cannot be written.
    """
    digests = {name: _digest(folder / name, sync=True) for name in _names(folder)}
    for below, _, _ in os.walk(folder):
        sync_folder(Path(below))
    partial = folder / f".{NAME}.partial"
    with open(partial, "w", encoding="utf-8") as file:
        json.dump({"sha256": digests}, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, folder / NAME)
    sync_folder(folder)


def find_damage(folder: Path, needed: Iterable[str] = ()) -> str:
    """What is wrong with a folder, by its manifest: one line, or "" where all is as it was written.

    A file that is missing, changed, unreadable or outside the folder is damage, and so are a pipe
    or a device, and a manifest that lists nothing. A file that the manifest does not list is none.

    Args:
        folder: that `write_manifest` has sealed.
        needed: files that the manifest must list.
    """
    if not (folder / NAME).exists():
        return f"it has no {NAME}"
    try:
        content = msgspec.convert(read_json(folder / NAME), _Manifest)
    except (InputError, msgspec.ValidationError) as error:
        return f"its {NAME} cannot be read ({error})"
    if missing := set(needed) - content.sha256.keys():
        return f"its {NAME} does not list {min(missing)}"
    wrong = [f"{path.name} is no file" for path in folder.rglob("*") if not _is_plain(path, folder)]
    wrong = wrong or [
        problem
        for name, digest in content.sha256.items()
        if (problem := _compare(folder, name, digest))
    ]
    more = f", and {len(wrong) - 1} more files" if len(wrong) > 1 else ""
    return f"{wrong[0]}{more}" if wrong else ""


def sync_folder(folder: Path) -> None:
    """Brings a folder's entries to the disk, as after a rename, where the system can do that."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _names(folder: Path) -> list[str]:
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in files if path.name != NAME)


def _is_plain(path: Path, folder: Path) -> bool:
    """Whether it is a file or a folder, and in the folder, whatever links it goes by."""
    there = path.resolve()
    return (there.is_file() or there.is_dir()) and there.is_relative_to(folder.resolve())


def _compare(folder: Path, name: str, digest: str) -> str:
    path = folder / name
    if not os.path.lexists(path):
        return f"{path.name} is missing"
    if not _is_plain(path, folder):
        return f"{path.name} is no file of this folder"
    try:
        return "" if _digest(path) == digest else f"{path.name} is not what was written"
    except OSError as error:
        return f"{path.name} cannot be read ({error.strerror})"


def _digest(path: Path, sync: bool = False) -> str:
    with open(path, "rb") as file:
        if sync:
            os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()
