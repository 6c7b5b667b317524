"""Scenes of the catalogue that TFDS downloads once and keeps."""

from pathlib import Path

from hsi_jax.data.public.catalogue import find_scene
from hsi_jax.data.public.tfds_store import find_builder, prepare
from hsi_jax.data.scene.read_options import ReadOptions
from hsi_jax.data.scene.scene import Scene
from hsi_jax.data.scene.scene_file import load_scene


def cached_scene(
    name: str, root: str | Path | None = None, reading: ReadOptions | None = None
) -> Scene:
    """Loads a scene from the folder of TFDS; the first time, its files are downloaded.

    Args:
        name: a key of CATALOGUE.
        root: folder in which TFDS keeps its sets; None is the folder TFDS_DATA_DIR, or
            ~/tensorflow_datasets if that is not set.
        reading: what is known of the arrays beyond that.

    Returns:
        The same scene as `load_scene` gives from the standard files.

    Raises:
        InputError: if the name is unknown, if the files are damaged or cannot be downloaded, or
            if they have to be fetched by hand.
    """
    info = find_scene(name)
    builder = find_builder(f"hsi_jax_scenes/{info.name}", None if root is None else Path(root))
    prepare(builder)
    return load_scene(name, builder.data_dir, reading)
