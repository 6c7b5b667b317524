"""TFDS builders of the image sets in the catalogue.

Unlike the builders of TFDS, they unpack and decode without TensorFlow, check every image, and also
take an archive that was packed again (which they note).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from hsi_jax.data.images.image_archive import ImageArchive
from hsi_jax.data.images.picture import as_png, picture_facts, read_picture
from hsi_jax.data.public.download import check_space, download, file_sha256, manual_folder
from hsi_jax.data.public.image_catalogue import IMAGE_CATALOGUE, ImageSetInfo
from hsi_jax.errors import InputError

_KEPT_SUFFIXES = {".jpg", ".jpeg", ".png"}  # TFDS can read these; others are encoded anew
_SPACE_FACTOR = 2  # TFDS may write all examples twice, to shuffle them


class _ImageSetBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """One archive of an image set; its only split is called train, as in TFDS."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = "The published archive, or the folder that unpacking it gives."
    INFO: ClassVar[ImageSetInfo]

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"{self.INFO.title}: {self.INFO.num_images} images.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=self.INFO.shape),
                    "label": tfds.features.ClassLabel(names=self.INFO.class_names),
                    "filename": tfds.features.Text(),
                }
            ),
            supervised_keys=("image", "label"),
            homepage=self.INFO.page,
            citation=self.INFO.citation,
            license=self.INFO.terms or "none stated, as far as we know",
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager):
        path = self._find_or_download(manual_folder(dl_manager), Path(dl_manager.download_dir))
        archive = ImageArchive.open(path, self.INFO.class_names)
        check_space(
            Path(self.data_dir), _SPACE_FACTOR * archive.num_bytes, f"To prepare {self.INFO.title}"
        )
        known = self.INFO.sha256 and path.is_file()
        official = bool(known) and file_sha256(path) == self.INFO.sha256
        assert self.info.metadata is not None  # see _info
        self.info.metadata.update(fingerprint=archive.fingerprint, official=official)
        return {"train": self._generate_examples(archive)}

    def _find_or_download(self, folder: Path | None, downloads: Path) -> Path:
        info = self.INFO
        path = info.find(folder) if folder else None
        if path:
            return path
        problem = f"{info.archives[0]} of {info.title} is not in {folder or 'any folder given'}"
        if info.urls:
            try:
                return download(info.urls, downloads / info.archives[0], info.sha256)
            except InputError as error:
                problem += f", and: {error}"
        raise InputError(
            f"{problem.rstrip('.')}. Get it from {info.page}{info.by_hand}, put it into a folder, "
            f"and give that with `data_dir`."
        )

    def _generate_examples(self, archive: ImageArchive) -> Iterator[tuple[str, dict]]:
        for member, data in archive.pictures():
            yield (
                f"{member.class_name}/{member.file_name}",
                {
                    "image": self._checked(data, f"{archive.path}: {member.path}"),
                    "label": member.class_name,
                    "filename": member.file_name,
                },
            )

    def _checked(self, data: bytes, source: str) -> bytes:
        """Returns the image in a format that TFDS reads, of the right shape."""
        rows, columns, channels = self.INFO.shape
        facts = picture_facts(data, source)
        found = facts.shape
        if facts.dtype != np.uint8:
            raise InputError(
                f"{source} holds {facts.dtype.name}, but the images of {self.INFO.title} have 8 "
                f"bits; give the images as published, or `dataset`=folder."
            )
        if found[:2] != (rows, columns) and not self.INFO.resized:
            raise InputError(
                f"{source} has {found[0]} x {found[1]} pixels, but the images of "
                f"{self.INFO.title} have {rows} x {columns}; give the images as published, or "
                f"`dataset`=folder."
            )
        pixels = read_picture(data, source, channels, (rows, columns))
        if found == self.INFO.shape and Path(source).suffix.lower() in _KEPT_SUFFIXES:
            return data
        return as_png(pixels)


class HsiJaxEurosat(_ImageSetBuilder):
    """EuroSAT, the RGB images."""

    INFO = IMAGE_CATALOGUE["eurosat"]


class HsiJaxUcMerced(_ImageSetBuilder):
    """UC Merced Land Use, all images resized to 256 x 256."""

    INFO = IMAGE_CATALOGUE["uc_merced"]


class HsiJaxResisc45(_ImageSetBuilder):
    """NWPU-RESISC45, from a folder or zip file: it cannot be downloaded without a browser."""

    INFO = IMAGE_CATALOGUE["resisc45"]
