"""TFDS builder of the hyperspectral scenes in the catalogue.

An example is a labelled pixel. The files of the scene lie beside the examples, in the builder's
`data_dir`, for users who need the cube: `load_scene(name, builder.data_dir)`.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from hsi_jax.data.public.catalogue import CATALOGUE, SceneInfo
from hsi_jax.data.public.download import check_space, download, file_sha256, manual_folder
from hsi_jax.data.scene.scene_file import load_scene
from hsi_jax.errors import InputError

VERSION = "1.0.0"
_SPACE_FACTOR = 3  # the cube, and the spectra, which TFDS may write twice


class HsiJaxScenes(tfds.core.GeneratorBasedBuilder):
    """The scenes of `hsi_jax.data.CATALOGUE`, a config for each."""

    BUILDER_CONFIGS = [  # noqa: RUF012 (as TFDS declares it)
        tfds.core.BuilderConfig(name=info.name, version=VERSION, description=info.title)
        for info in CATALOGUE.values()
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = "The two files of a scene, as its publisher distributes them."

    @property
    def _scene_info(self) -> SceneInfo:
        assert self.builder_config is not None  # TFDS takes the first if none is asked for
        return CATALOGUE[self.builder_config.name]

    def _info(self) -> tfds.core.DatasetInfo:
        info = self._scene_info
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"{info.title}, {' x '.join(map(str, info.shape))}. {info.note}",
            features=tfds.features.FeaturesDict(
                {
                    "spectrum": tfds.features.Tensor(shape=info.shape[2:], dtype=np.float32),
                    "row": np.int32,
                    "column": np.int32,
                    "label": tfds.features.ClassLabel(names=info.class_names.values()),
                }
            ),
            supervised_keys=("spectrum", "label"),
            homepage=info.page,
            citation=f"doi:{info.doi}" if info.doi else "",
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager):
        info = self._scene_info
        check_space(
            Path(self.data_dir),
            _SPACE_FACTOR * 4 * int(np.prod(info.shape)),
            f"To prepare {info.title}",
        )
        checked = []
        for name, url in (info.cube_file, info.cube_url), (info.label_file, info.label_url):
            path = self._find_or_download(name, url, dl_manager)
            checked.append(file_sha256(path) == info.sha256.get(name))
            shutil.copy(path, Path(self.data_dir) / name)
        assert self.info.metadata is not None  # see _info
        self.info.metadata.update(official=all(checked))
        return {"train": self._generate_examples()}

    def _find_or_download(self, name: str, url: str, dl_manager) -> Path:
        info = self._scene_info
        folder = manual_folder(dl_manager)
        if folder and (folder / name).is_file():
            return folder / name
        problem = f"{name} of {info.title} is not in {dl_manager.download_dir / 'manual'}"
        if url:
            try:
                return download(
                    [url], Path(dl_manager.download_dir) / name, info.sha256.get(name, "")
                )
            except InputError as error:
                problem += f", and: {error}"
        raise InputError(
            f"{problem.rstrip('.')}. Get it from {info.page} and put it there, or give its "
            f"folder with `data_dir`."
        )

    def _generate_examples(self) -> Iterator[tuple[int, dict]]:
        info = self._scene_info
        scene = load_scene(info.name, self.data_dir)  # checks the shapes
        ids = scene.original_labels(scene.require_labels().ravel()[scene.labelled])
        for pixel, class_id in zip(scene.labelled.tolist(), ids.tolist(), strict=True):
            row, column = divmod(pixel, scene.shape[1])
            yield (
                pixel,
                {
                    "spectrum": scene.cube[row, column],
                    "row": row,
                    "column": column,
                    "label": class_id - 1,
                },
            )
