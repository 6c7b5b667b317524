"""Image sets by name: of the catalogue, of TFDS, or from a folder."""

import difflib
from dataclasses import replace
from pathlib import Path

from hsi_jax.data.images.image_archive import ImageArchive
from hsi_jax.data.images.image_folder import folder_image_set
from hsi_jax.data.images.image_set import ImageSet
from hsi_jax.data.public.image_catalogue import FOLDER, IMAGE_CATALOGUE, TFDS_PREFIX, ImageSetInfo
from hsi_jax.data.public.tfds_images import tfds_image_set
from hsi_jax.data.public.tfds_store import find_builder, prepare
from hsi_jax.errors import InputError


def load_image_set(
    name: str, data_dir: str | Path | None = None, image_size: int | None = None
) -> ImageSet:
    """Loads an image set; the first time, it is downloaded where possible and prepared by TFDS.

    TFDS keeps what it has prepared in data_dir. If that is not given or cannot be written to, it
    uses the folder TFDS_DATA_DIR, or ~/tensorflow_datasets if that is not set.

    Args:
        name: a key of IMAGE_CATALOGUE; "tfds:NAME" or "tfds:NAME/CONFIG" for another set of TFDS;
            or "folder" for pictures in <data_dir>/<class>.
        data_dir: for the catalogue, the folder of the archive, or of a set that is prepared; for
            TFDS, the folder in which it keeps its sets.
        image_size: rows and columns to resize every image to; None leaves them as they are.

    Raises:
        InputError: if the name is unknown, if files are missing or damaged, if sizes differ, or
            if the disk is too small.
    """
    if image_size is not None and image_size < 1:
        raise InputError(f"`image_size`={image_size}: give 1 or more pixels")
    size = None if image_size is None else (image_size, image_size)
    folder = None if data_dir is None else Path(data_dir)
    if folder is not None and folder.is_file() and name == FOLDER:
        raise InputError(f"`data_dir`={folder} is a file; give the folder of the classes.")
    if folder is not None and not folder.is_dir():
        raise InputError(f"There is no data folder {folder}; create it or give another `data_dir`.")
    if name == FOLDER:
        if folder is None:
            raise InputError(f"The set {FOLDER} needs `data_dir`, the folder of the classes.")
        return folder_image_set(folder, size)
    if name.startswith(TFDS_PREFIX):
        builder = find_builder(name.removeprefix(TFDS_PREFIX), folder)
        prepare(builder)
        return tfds_image_set(name.removeprefix(TFDS_PREFIX), builder, size)
    if name not in IMAGE_CATALOGUE:
        near = difflib.get_close_matches(name, IMAGE_CATALOGUE) or [*IMAGE_CATALOGUE]
        raise InputError(
            f"There is no image set '{name}'; did you mean {' or '.join(near)}? Other choices are "
            f"{TFDS_PREFIX}NAME and {FOLDER}."
        )
    return _load_catalogued(IMAGE_CATALOGUE[name], folder, size)


def _load_catalogued(
    info: ImageSetInfo, folder: Path | None, size: tuple[int, int] | None
) -> ImageSet:
    builder = find_builder(f"hsi_jax_{info.name}", folder)
    archive = info.find(folder) if folder else None
    prepare(builder, folder)
    metadata = builder.info.metadata
    assert metadata is not None  # our builders write it
    if archive and ImageArchive.open(archive).fingerprint != metadata["fingerprint"]:
        raise InputError(
            f"{builder.data_path} was prepared from another archive than {archive}; delete the "
            f"wrong one of the two."
        )
    images = tfds_image_set(info.name, builder, size)
    return replace(images, note=_note(info, images, metadata["official"]))


def _note(info: ImageSetInfo, images: ImageSet, official: bool) -> str:
    remarks = []
    if not info.sha256:
        remarks.append("No checksum of the published archive is known.")
    elif not official:
        remarks.append(
            "The archive is not the published one (another checksum); its content is unchecked."
        )
    if len(images) != info.num_images:
        remarks.append(f"It has {len(images)} images, the published set has {info.num_images}.")
    return " ".join(remarks)
