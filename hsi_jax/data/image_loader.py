"""Image sets by name: of the catalogue, of TFDS, or from a folder."""

import difflib
from dataclasses import replace
from pathlib import Path

from hsi_jax.data.image_archive import ImageArchive
from hsi_jax.data.image_catalogue import IMAGE_CATALOGUE, ImageSetInfo
from hsi_jax.data.image_folder import folder_image_set
from hsi_jax.data.image_set import ImageSet
from hsi_jax.data.prepared import find_builder, prepare
from hsi_jax.data.tfds_images import tfds_image_set
from hsi_jax.errors import InputError

TFDS_PREFIX = "tfds:"
FOLDER = "folder"


def load_image_set(
    name: str, data_dir: str | Path | None = None, size: int | None = None
) -> ImageSet:
    """Loads an image set; the first time, it is downloaded if need be and prepared by TFDS.

    What TFDS prepares stays in data_dir, or, where that is not given or cannot be written to, in
    TFDS_DATA_DIR, or else in ~/tensorflow_datasets.

    Args:
        name: a key of IMAGE_CATALOGUE; "tfds:NAME" or "tfds:NAME/CONFIG" for another set of TFDS;
            or "folder" for pictures in <data_dir>/<class>.
        data_dir: for the catalogue, folder of the archive (or of a set prepared before); for TFDS,
            the folder it keeps its sets in.
        size: rows and columns to resize every image to; None leaves them as they are.

    Raises:
        InputError: if the name is unknown, files are missing or damaged, sizes do not agree, or
            the disk is too small.
    """
    if size is not None and size < 1:
        raise InputError(f"An image size of {size} pixels is not possible; give 1 or more.")
    sides = None if size is None else (size, size)
    folder = None if data_dir is None else Path(data_dir)
    if folder is not None and not folder.is_dir():
        raise InputError(f"There is no data folder {folder}; create it or give another one.")
    if name == FOLDER:
        if folder is None:
            raise InputError("--dataset=folder needs --data_dir, the folder of the classes.")
        return folder_image_set(folder, sides)
    if name.startswith(TFDS_PREFIX):
        builder = find_builder(name.removeprefix(TFDS_PREFIX), folder)
        prepare(builder)
        return tfds_image_set(name.removeprefix(TFDS_PREFIX), builder, sides)
    if name not in IMAGE_CATALOGUE:
        near = difflib.get_close_matches(name, IMAGE_CATALOGUE) or [*IMAGE_CATALOGUE]
        raise InputError(
            f"There is no image set '{name}'; did you mean {' or '.join(near)}? Others are "
            f"{TFDS_PREFIX}NAME and {FOLDER}."
        )
    return _load_catalogued(IMAGE_CATALOGUE[name], folder, sides)


def _load_catalogued(
    info: ImageSetInfo, folder: Path | None, size: tuple[int, int] | None
) -> ImageSet:
    builder = find_builder(f"hsi_jax_{info.name}", folder)
    archive = info.find(folder) if folder else None
    prepare(builder, folder)
    made_from = builder.info.metadata["fingerprint"]
    if archive and ImageArchive.open(archive).fingerprint != made_from:
        raise InputError(
            f"{builder.data_path} was prepared from another archive than {archive}; delete the "
            f"one that is wrong."
        )
    images = tfds_image_set(info.name, builder, size)
    return replace(images, note=_note(info, images, builder.info.metadata["official"]))


def _note(info: ImageSetInfo, images: ImageSet, official: bool) -> str:
    remarks = []
    if not info.sha256:
        remarks.append("No checksum of the published archive is known.")
    elif not official:
        remarks.append(
            "The archive is not the published one (another checksum), so its content is unchecked."
        )
    if len(images) != info.num_images:
        remarks.append(f"It has {len(images)} images, the published set has {info.num_images}.")
    return " ".join(remarks)
