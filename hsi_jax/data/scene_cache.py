"""A scene of the catalogue that TFDS keeps, downloaded when it is first wanted."""

from pathlib import Path

from hsi_jax.data.catalogue import find_scene
from hsi_jax.data.prepared import find_builder, prepare
from hsi_jax.data.scene import Scene
from hsi_jax.data.scene_file import load_scene


def cached_scene(name: str, root: str | Path | None = None) -> Scene:
    """Loads a scene from TFDS's folder; the first time its files are downloaded.

    Args:
        name: a key of CATALOGUE.
        root: folder in which TFDS keeps its sets; None is TFDS_DATA_DIR, or else
            ~/tensorflow_datasets.

    Returns:
        The same scene as `load_scene` gives from the standard files.

    Raises:
        InputError: if the name is unknown, or if the files cannot be downloaded, are damaged, or
            have to be fetched by hand.
    """
    info = find_scene(name)
    builder = find_builder(f"hsi_jax_scenes/{info.name}", None if root is None else Path(root))
    prepare(builder)
    return load_scene(name, builder.data_dir)
