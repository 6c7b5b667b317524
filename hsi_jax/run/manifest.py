"""A list of SHA-256 digests beside files, so that damage to any of them is noticed."""

import hashlib
import json
import os
from pathlib import Path

NAME = "manifest.json"


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


def find_damage(folder: Path) -> str:
    """What is wrong with a folder, by its manifest: one line, or "" where all is as it was written.

    A file that is missing, changed or unreadable is damage, and so is a manifest that is. A file
    that the manifest does not list is none: nobody will read it.
    """
    try:
        digests = json.loads((folder / NAME).read_text(encoding="utf-8"))["sha256"].items()
    except FileNotFoundError:
        return f"it has no {NAME}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"its {NAME} cannot be read ({error})"
    wrong = [problem for name, digest in digests if (problem := _compare(folder / name, digest))]
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


def _compare(path: Path, digest: str) -> str:
    try:
        return "" if _digest(path) == digest else f"{path.name} is not what was written"
    except FileNotFoundError:
        return f"{path.name} is missing"
    except OSError as error:
        return f"{path.name} cannot be read ({error.strerror})"


def _digest(path: Path, sync: bool = False) -> str:
    with open(path, "rb") as file:
        if sync:
            os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()
