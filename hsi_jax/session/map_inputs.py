"""What a map is made from: a trained model and a scene."""

import itertools
import sys
from dataclasses import replace
from pathlib import Path

from hsi_jax.data.files.raster import files_read, open_raster
from hsi_jax.data.scene.read_options import ReadOptions
from hsi_jax.data.scene.scene import Scene
from hsi_jax.data.scene.scene_tiles import CubeSource, SceneSource
from hsi_jax.errors import InputError
from hsi_jax.evaluate.maps.map_grid import Grid
from hsi_jax.json_file import read_json
from hsi_jax.options import defaults
from hsi_jax.run.summary import Summary, read_summary
from hsi_jax.session.fingerprint import digest_of_cube
from hsi_jax.session.loading import open_scene
from hsi_jax.session.options import RunOptions
from hsi_jax.trained import TrainedModel
from hsi_jax.trained.scene_reading import source_as_trained


def load_model(run: str, model_dir: str, factory: str = "") -> TrainedModel:
    """The model of a run's folder, or of its own folder where one is given.

    Nothing is imported from that folder from here on, although Python may have been started in it.

    Args:
        run: folder of a run, or "".
        model_dir: folder of a model, or "".
        factory: package.module:factory of a network that is not one of hsi_jax, or "".

    Raises:
        InputError: if there is none, or as `TrainedModel.load`.
    """
    _forbid_imports_from(Path(model_dir or run))
    if run and not Path(run).is_dir():
        raise InputError(f"`run`={run}: there is no such folder")
    load = TrainedModel.load if model_dir else TrainedModel.of_run
    model = load(model_dir or run, factory=factory or None)
    model.description.require_classes()
    return model


def _forbid_imports_from(folder: Path) -> None:
    inside = folder.resolve()
    sys.path[:] = [
        path for path in sys.path if not Path(path or ".").resolve().is_relative_to(inside)
    ]


def open_source(
    model: TrainedModel, run: str, cube: str, cube_variable: str, *, nodata: str = ""
) -> tuple[CubeSource, Grid, str, tuple[Path, ...]]:
    """The scene of a file, read as the model's was, or else of a run: it, its grid, name and files.

    Args:
        model: that is to predict it.
        run: folder of a run, or "".
        cube: file of a scene; "" for that of the run.
        cube_variable: array in that file, or "".
        nodata: values of that file's pixels without data, besides those that it declares; as of
            `ReadOptions.parse`.

    Raises:
        InputError: if there is none.
    """
    if cube:
        declared = ReadOptions.parse(nodata=nodata).nodata
        source = open_raster(cube, cube_variable or None, argument="cube_variable")
        source = replace(source, nodata_values=(*source.nodata_values, *declared))
        source = source_as_trained(model.description, source, cube)
        grid = Grid(*source.shape[:2], source.crs, source.transform)
        return source, grid, cube, tuple(files_read(cube))
    options = config_of_run(Path(run))
    scene = open_scene(options)
    check_same_scene(Path(run), scene)
    grid = Grid(*scene.shape[:2], scene.crs, scene.transform)
    files = [files_read(path) for path in (options.data.cube, options.data.labels) if path]
    return SceneSource(scene), grid, scene.name, tuple(itertools.chain.from_iterable(files))


def summary_of_scene(run: str) -> Summary | None:
    """The summary of a run whose own scene is mapped; None while it has not ended."""
    path = Path(run) / "summary.json"
    return read_summary(path) if path.is_file() else None


def check_same_scene(folder: Path, scene: Scene) -> None:
    """Checks that a scene is the one that a run was trained on.

    Raises:
        InputError: if its numbers are others.
    """
    summary = summary_of_scene(str(folder))
    known = summary.cube if summary else None
    if known and known.digest and known.digest != digest_of_cube(scene.cube):
        raise InputError(
            f"`run`={folder}: the scene that its config.json names is not the one that it was "
            f"trained on (the SHA-256 of the cube differs); give `cube`=FILE"
        )


def config_of_run(folder: Path) -> RunOptions:
    """The configuration of a run, as far as it tells the scene."""
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{folder} has no config.json, which tells its scene; give `cube`=FILE")
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(f"{path} does not describe a run; give `cube`=FILE")
    names = defaults(RunOptions).keys() - {"resume", "overwrite"}
    options = RunOptions.of(**{name: value for name, value in content.items() if name in names})
    if options.data.is_image_set:
        raise InputError(f"`run`={folder} was trained on whole images; it cannot make a map")
    return options
