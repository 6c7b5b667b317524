"""An image set from a folder with a folder for each class."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np

from hsi_jax.data.images.image_archive import ImageArchive, is_visible
from hsi_jax.data.images.image_set import ImageSet
from hsi_jax.data.images.picture import PictureFacts, picture_facts, read_picture
from hsi_jax.errors import InputError

T = TypeVar("T", bound=Hashable)


def folder_image_set(folder: Path, size: tuple[int, int] | None = None) -> ImageSet:
    """Lists the pictures <folder>/<class>/<name>; each is read when it is needed.

    Sample ids and class indexes follow the alphabetical order of the names. Symbolic links are
    followed. All images have the bands and the dtype of the pictures; grey ones among colours get
    three bands.

    Args:
        folder: the folder of the classes.
        size: (rows, columns) to resize every image to, or None if all have one size.

    Returns:
        The set; its note says what is done to the pictures.

    Raises:
        InputError: if a picture is not in a class, if a class has none, or if sizes, bands or types
            differ.
    """
    archive = ImageArchive.open(folder)
    class_names = sorted(
        entry.name for entry in folder.iterdir() if entry.is_dir() and is_visible(entry.name)
    )
    for member in archive.members:
        if member.path.count("/") != 1:
            raise InputError(
                f"{folder / member.path} is not directly in a class folder; give the folder whose "
                f"direct subfolders are the classes."
            )
    paths = [folder / member.path for member in archive.members]
    facts = [picture_facts(path, str(path)) for path in paths]
    shape, dtype = _common(paths, facts, size)

    def read_image(i: int) -> np.ndarray:
        return read_picture(paths[i], str(paths[i]), shape[2], size)

    index = {name: k for k, name in enumerate(class_names)}
    return ImageSet(
        name=folder.resolve().name,
        labels=np.array([index[member.class_name] for member in archive.members], np.int32),
        class_names=tuple(class_names),
        shape=shape,
        read_image=read_image,
        source=str(folder),
        note=_note(paths, facts),
        dtype=dtype,
        read_names=lambda: [path.name for path in paths],
    )


def _common(
    paths: list[Path], facts: list[PictureFacts], size: tuple[int, int] | None
) -> tuple[tuple[int, int, int], np.dtype]:
    """The shape and dtype of all images."""
    bands = {fact.shape[2] for fact in facts}
    channels = max(bands)
    if not bands <= {1, 3}:
        channels = _only(
            paths,
            (fact.shape[2] for fact in facts),
            lambda count: f"{count} bands",
            "give images of the same bands, or take the others out of the folder",
        )
    dtype = _only(
        paths,
        (fact.dtype for fact in facts),
        lambda dtype: f"values of type {dtype}",
        "their values would mean different things: save all in one type",
    )
    if size is None:
        size = _only(
            paths,
            ((fact.shape[0], fact.shape[1]) for fact in facts),
            lambda size: f"{size[0]} x {size[1]} pixels",
            "give `image_size` to resize all of them",
        )
    return (*size, channels), dtype


def _only(paths: list[Path], values: Iterable[T], describe: Callable[[T], str], remedy: str) -> T:
    """The value that all pictures share; an InputError names the first that does not."""
    found = list(values)
    usual, _ = Counter(found).most_common(1)[0]
    for path, value in zip(paths, found, strict=True):
        if value != usual:
            raise InputError(
                f"{path} has {describe(value)}, most others have {describe(usual)}; {remedy}."
            )
    return usual


def _note(paths: list[Path], facts: list[PictureFacts]) -> str:
    """What is done to pictures, each remark with the number of them and one example."""
    counts = Counter(fact.remark for fact in facts if fact.remark)
    example = {fact.remark: path for path, fact in zip(paths, facts, strict=True)}
    return " ".join(
        f"{count} pictures, such as {example[remark]}: {remark}."
        for remark, count in counts.items()
    )
