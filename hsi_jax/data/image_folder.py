"""An image set from a folder with a folder for each class."""

from collections import Counter
from pathlib import Path

import numpy as np

from hsi_jax.data.image_archive import ImageArchive
from hsi_jax.data.image_set import ImageSet
from hsi_jax.data.picture import picture_shape, read_picture
from hsi_jax.errors import InputError


def folder_image_set(folder: Path, size: tuple[int, int] | None = None) -> ImageSet:
    """Lists the pictures <folder>/<class>/<name>; they are read when they are wanted.

    Sample ids and class indexes follow the names. If all pictures are grey they have one channel,
    else three.

    Args:
        folder: the folder of the classes.
        size: (rows, columns) to resize every image to, or None if they agree.

    Raises:
        InputError: if a picture is not in a class, a class has none, or sizes do not agree.
    """
    archive = ImageArchive.open(folder)
    class_names = sorted(
        entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != "."
    )
    for member in archive.members:
        if member.path.count("/") != 1:
            raise InputError(
                f"{folder / member.path} is not directly in a class folder; give the folder whose "
                f"direct subfolders are the classes."
            )
    paths = [folder / member.path for member in archive.members]
    shape = _common_shape(paths, size)

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
    )


def _common_shape(paths: list[Path], size: tuple[int, int] | None) -> tuple[int, int, int]:
    shapes = [picture_shape(path, str(path)) for path in paths]
    channels = max(shape[2] for shape in shapes)
    if size is not None:
        return (*size, channels)
    sizes = [shape[:2] for shape in shapes]
    (rows, columns), _ = Counter(sizes).most_common(1)[0]
    for path, (other_rows, other_columns) in zip(paths, sizes, strict=True):
        if (other_rows, other_columns) != (rows, columns):
            raise InputError(
                f"{path} has {other_rows} x {other_columns} pixels, most others have {rows} x "
                f"{columns}; give --image_size, to which all are resized."
            )
    return rows, columns, channels
