"""Pictures in one folder per class, on the disk or in a zip file."""

import hashlib
import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hsi_jax.data.files.file_kind import check_plain
from hsi_jax.data.files.reader import free_memory
from hsi_jax.data.images.picture import is_picture
from hsi_jax.errors import InputError

_OF_SYSTEMS = {"__MACOSX", "__pycache__", "@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found"}


@dataclass(frozen=True)
class Member:
    """One picture of an archive.

    Attributes:
        path: path inside the archive, with slashes.
        num_bytes: size when unpacked.
        crc: CRC-32 as the zip file has it, or 0.
    """

    path: str
    num_bytes: int
    crc: int = 0

    @property
    def class_name(self) -> str:
        """The folder that the picture is in."""
        return PurePosixPath(self.path).parent.name

    @property
    def file_name(self) -> str:
        """The last part of its path."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True)
class ImageArchive:
    """A list of pictures, each in the folder of its class.

    Attributes:
        path: the zip file or folder.
        members: all pictures, by path; hidden files and those of other types are left out.
    """

    path: Path
    members: tuple[Member, ...]

    @classmethod
    def open(cls, path: Path, class_names: Sequence[str] | None = None) -> "ImageArchive":
        """Lists the pictures of a zip file or folder; the classes may lie at any depth.

        Args:
            path: a .zip file or a folder.
            class_names: exactly the classes that must be there; None takes any.

        Raises:
            InputError: if the file is damaged, if there are no pictures, or if the folders with
                pictures are not the classes.
        """
        listed = _list_folder(path) if path.is_dir() else _list_zip(path)
        members = tuple(sorted(listed, key=lambda member: member.path))
        if not members:
            raise InputError(
                f"{path} has no pictures; give a folder or zip file with a folder for each class."
            )
        found = {member.class_name for member in members}
        if class_names is not None and found != set(class_names):
            missing = ", ".join(sorted(set(class_names) - found)) or "none"
            unknown = ", ".join(sorted(found - set(class_names))) or "none"
            raise InputError(
                f"The folders of {path} are not the classes of this set. Classes without "
                f"pictures: {missing}; unknown folders: {unknown}. Give the whole archive as it "
                f"is published."
            )
        return cls(path, members)

    @property
    def num_bytes(self) -> int:
        """Size of all pictures, unpacked."""
        return sum(member.num_bytes for member in self.members)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all names, sizes and CRC-32: tells archives apart without reading them."""
        lines = "\n".join(f"{m.path}\t{m.num_bytes}\t{m.crc}" for m in self.members)
        return hashlib.sha256(lines.encode()).hexdigest()

    def pictures(self) -> Iterator[tuple[Member, bytes]]:
        """Yields each picture with its encoded bytes.

        Raises:
            InputError: if the archive is damaged.
        """
        if self.path.is_dir():
            for member in self.members:
                yield member, (self.path / member.path).read_bytes()
            return
        with _explaining_damage(self.path), zipfile.ZipFile(self.path) as archive:
            for member in self.members:
                if member.num_bytes > free_memory():
                    raise InputError(
                        f"{member.path} of {self.path} claims {member.num_bytes / 1e9:.1f} GB, "
                        f"more than the memory that is free; take it out of the archive."
                    )
                yield member, archive.read(member.path)


def _list_folder(path: Path) -> list[Member]:
    files = [file for file in _files(path, frozenset()) if is_picture(file.name)]
    for file in files:
        check_plain(file)
    return [Member(file.relative_to(path).as_posix(), file.stat().st_size) for file in files]


def _files(folder: Path, above: frozenset) -> Iterator[Path]:
    """The files of a folder and of those below it, also where a symbolic link leads."""
    found = folder.stat()
    own = (found.st_dev, found.st_ino)
    if own in above:  # a link that leads back
        return
    for entry in _entries(folder):
        if entry.is_dir():
            yield from _files(Path(entry.path), above | {own})
        else:
            yield Path(entry.path)


def _entries(folder: Path) -> list[os.DirEntry]:
    """The visible entries of a folder."""
    try:
        entries = [entry for entry in os.scandir(folder) if is_visible(entry.name)]
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}; check its rights.") from error
    for entry in entries:
        if entry.is_symlink() and not os.path.exists(entry.path):
            raise InputError(f"The link {entry.path} leads nowhere; mend or remove it.")
    return entries


def _list_zip(path: Path) -> list[Member]:
    if path.exists():
        check_plain(path)
    with _explaining_damage(path), zipfile.ZipFile(path) as archive:
        return [
            Member(entry.filename, entry.file_size, entry.CRC)
            for entry in archive.infolist()
            if is_picture(entry.filename)
            and all(map(is_visible, PurePosixPath(entry.filename).parts))
        ]


def is_visible(name: str) -> bool:
    """Returns whether a file or folder is the user's own, and not hidden or made by a system."""
    return not name.startswith(".") and name not in _OF_SYSTEMS


@contextmanager
def _explaining_damage(path: Path) -> Iterator[None]:
    try:
        yield
    # RuntimeError: encrypted, or (as NotImplementedError) a compression that Python lacks.
    except (zipfile.BadZipFile, EOFError, RuntimeError) as error:
        raise InputError(
            f"{path} is damaged, incomplete or not a zip file that Python can read ({error}); "
            f"download or pack it again."
        ) from error
