"""Pictures sorted into one folder per class, on the disk or in a zip file."""

import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hsi_jax.data.picture import is_picture
from hsi_jax.errors import InputError


@dataclass(frozen=True)
class Member:
    """One picture of an archive.

    Attributes:
        path: path inside the archive, with slashes.
        size: bytes when unpacked.
        crc: CRC-32 that a zip file has of it, or 0.
    """

    path: str
    size: int
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
        """Lists the pictures of a zip file or folder, whatever folders lie around the classes.

        Args:
            path: a .zip file or a folder.
            class_names: the classes that must be there, and no others; None takes any.

        Raises:
            InputError: if the file is damaged, or if there are no pictures, or if the folders
                that have pictures are not the classes.
        """
        listed = _list_folder(path) if path.is_dir() else _list_zip(path)
        members = tuple(sorted(listed, key=lambda member: member.path))
        if not members:
            raise InputError(f"{path} has no pictures; give one with a folder for each class.")
        found = {member.class_name for member in members}
        if class_names is not None and found != set(class_names):
            missing = ", ".join(sorted(set(class_names) - found)) or "none"
            unknown = ", ".join(sorted(found - set(class_names))) or "none"
            raise InputError(
                f"The folders of {path} are not the classes of this set: classes without "
                f"pictures: {missing}; folders that are no class: {unknown}. Give the whole "
                f"archive as it is published."
            )
        return cls(path, members)

    @property
    def size(self) -> int:
        """Bytes of all pictures, unpacked."""
        return sum(member.size for member in self.members)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all names, sizes and CRC-32: tells archives apart without reading them."""
        lines = "\n".join(f"{m.path}\t{m.size}\t{m.crc}" for m in self.members)
        return hashlib.sha256(lines.encode()).hexdigest()

    def pictures(self) -> Iterator[tuple[Member, bytes]]:
        """Yields each picture with its encoded bytes.

        Raises:
            InputError: if one cannot be read.
        """
        if self.path.is_dir():
            for member in self.members:
                yield member, (self.path / member.path).read_bytes()
            return
        with _explaining_damage(self.path), zipfile.ZipFile(self.path) as archive:
            for member in self.members:
                yield member, archive.read(member.path)


def _list_folder(path: Path) -> list[Member]:
    return [
        Member(file.relative_to(path).as_posix(), file.stat().st_size)
        for file in path.rglob("*")
        if is_picture(file.name) and _is_visible(file.relative_to(path)) and file.is_file()
    ]


def _list_zip(path: Path) -> list[Member]:
    with _explaining_damage(path), zipfile.ZipFile(path) as archive:
        return [
            Member(entry.filename, entry.file_size, entry.CRC)
            for entry in archive.infolist()
            if is_picture(entry.filename) and _is_visible(PurePosixPath(entry.filename))
        ]


def _is_visible(path: PurePosixPath) -> bool:
    return not any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


@contextmanager
def _explaining_damage(path: Path) -> Iterator[None]:
    try:
        yield
    # RuntimeError: encrypted; NotImplementedError, a kind of it: a compression Python lacks.
    except (zipfile.BadZipFile, EOFError, RuntimeError) as error:
        raise InputError(
            f"{path} is cut off, damaged or no zip file that Python can read ({error}); download "
            f"or pack it again."
        ) from error
