"""Which scenes of a collection get a map, and where the maps lie."""

import re
from collections.abc import Sequence
from pathlib import Path

from hsi_jax.data.collection.scene_table import SceneRow, read_scene_table
from hsi_jax.errors import InputError
from hsi_jax.session.collection_options import COLLECTION
from hsi_jax.session.map_inputs import config_of_run


def scenes_to_map(run: str, scenes: str, cube: str) -> tuple[SceneRow, ...] | None:
    """The rows whose scenes get a map; None where a single scene does.

    Args:
        run: folder of a run, or "".
        scenes: a table of scenes, or "" for that of the run.
        cube: the single scene, or "".

    Raises:
        InputError: if the table cannot be read.
    """
    if cube:
        return None
    if scenes:
        return read_scene_table(scenes)
    options = config_of_run(Path(run))
    if options.data.dataset != COLLECTION:
        return None
    return read_scene_table(options.collection.scenes, options.data.labels)


def map_paths(folder: Path, rows: Sequence[SceneRow]) -> dict[Path, SceneRow]:
    """The map of each scene: its name in a folder, without what has a meaning in paths.

    Raises:
        InputError: if two scenes would have the same map.
    """
    paths: dict[Path, SceneRow] = {}
    for row in rows:
        name = re.sub(r"[^\w.-]+", "_", row.name).strip(".") or "scene"
        path = folder / f"{name}.tif"
        if path in paths:
            raise InputError(
                f"{row.where}: its map would be {path}, as that of {paths[path].where}; give it "
                f"another name in the table"
            )
        paths[path] = row
    return paths
