"""From a model and a scene to the files of a map, by way of a folder that survives a kill."""

import hashlib
from pathlib import Path

import jax
import msgspec
import numpy as np

import hsi_jax
from hsi_jax.data.scene.scene_tiles import cut_tiles, dealt_side
from hsi_jax.errors import InputError, StorageError
from hsi_jax.evaluate.figures.lettering import captions
from hsi_jax.evaluate.figures.palette import rgb_colours
from hsi_jax.evaluate.maps.class_areas import count_classes, write_areas
from hsi_jax.evaluate.maps.map import draw_classes
from hsi_jax.evaluate.maps.map_files import (
    CLASS_SUFFIXES,
    NUMBER_SUFFIXES,
    check_file,
    files_of,
    key_of,
    write_classes,
    write_numbers,
)
from hsi_jax.evaluate.maps.map_grid import Grid, import_rasterio, written_whole
from hsi_jax.kernels import kernels_in_use
from hsi_jax.run.tile_claims import TileClaims
from hsi_jax.run.tile_store import TileStore
from hsi_jax.session.map_filling import fill
from hsi_jax.session.map_request import LEVELS, NO_LEVEL, SIZE, Request
from hsi_jax.session.summarise_areas import adjust_areas, describe_mapped_areas
from hsi_jax.trained import TrainedModel
from hsi_jax.trained.map_file import class_key
from hsi_jax.trained.scene_map import choose_method, find_bands

PICTURE_SIDE = 2000  # pixels


def make_map(request: Request) -> None:
    """Predicts the scene, or the rest of it, and writes all files.

    Several processes, on machines that see the same folder, make one map together where each of
    them is asked for the same: they need not know of each other (`hsi_jax.run.tile_claims`).

    Raises:
        InputError: on a mistake of the user's, before the prediction begins.
        StorageError: if a file cannot be written.
    """
    if request.is_made:
        print(f"Map: {request.output}, made by other processes", flush=True)
        return
    find_bands(request.model, request.source, request.scene)
    method, side = choose_method(request.model, request.method), dealt_side(request.shape)
    _check_files(request)
    store = TileStore(
        request.unfinished,
        _facts(request, method, side),
        request.layouts,
        [(tile.rows, tile.columns) for tile in cut_tiles(request.shape, side)],
        overwrite=request.overwrite,
    )
    if request.is_made:  # and the store removed, which has just been begun again
        store.remove()
        return
    claims = fill(request, method, side, store)
    with claims.joining() as joins:
        if joins:
            _write_files(request, store, claims)
            store.remove()
    if not joins and not request.is_made:
        raise StorageError(f"{store.folder} has gone; start again")


def _check_files(request: Request) -> None:
    """Checks that all files can be written before anything is predicted."""
    checks: list[tuple[str, Path, tuple[str, ...]]] = []
    checks.append(("output", request.output, CLASS_SUFFIXES))
    for name in ("probabilities", "confidence", "sets"):
        if path := getattr(request, name):
            checks.append((name, path, NUMBER_SUFFIXES))
    files = [request.legend, request.areas]
    for argument, path, suffixes in checks:
        check_file(path, suffixes, argument, request.grid)
        if not path.absolute().parent.is_dir():
            raise InputError(f"`{argument}`={path}: there is no folder {path.absolute().parent}")
        files += files_of(path)
    if len(set(files)) < len(files):
        raise InputError("two of the files to write have the same name; give each its own")
    read = {path.resolve() for path in request.files}
    for path in files:
        if path.resolve() in read:
            raise InputError(f"{path} is a file of the scene itself; give another name")
        if path.exists() and not request.overwrite:
            raise InputError(f"{path} exists already; choose another name, or give `overwrite`")
    if request.grid.crs is not None:
        import_rasterio("the area of a pixel of a scene with a reference system")


def _facts(request: Request, method: str, side: int) -> dict:
    """What decides the bytes of the map."""
    stats = [path.stat() for path in request.files]
    return {
        "model": _digest(request.model),
        "scene": request.scene,
        "scene's files": [[stat.st_size, stat.st_mtime_ns] for stat in stats],
        "shape": list(request.source.shape),
        "method": method,
        "tile": side,
        "confidence": request.confidence_kind,
        "conformal": list(request.thresholds),
        "kernels": kernels_in_use(),
    }


def _digest(model: TrainedModel) -> str:
    """A name for a model that no other has."""
    digest = hashlib.sha256(msgspec.json.encode(model.description))
    for leaf in jax.tree.leaves((model.params, model.batch_stats, model.arrays_beside())):
        digest.update(np.ascontiguousarray(leaf).data)
    return digest.hexdigest()


def _write_files(request: Request, store: TileStore, claims: TileClaims) -> None:
    grid, key = request.grid, key_of(request.output, class_key(request.model.description))
    how = {
        "software": f"hsi_jax {hsi_jax.__version__}",
        "model": request.model.description.architecture,
        "kernels": kernels_in_use(),
        "devices": ", ".join(claims.signed()),
    }
    write_classes(request.output, store.strips("classes"), grid, key, notes=how)
    _write_numbers(request, store, key.names)
    counts = count_classes(store.strips("classes"), len(key.names))
    adjusted = adjust_areas(request.summary, counts[1:])
    write_areas(request.areas, counts, key, grid, adjusted=adjusted)
    figure = draw_classes(
        _thinned(store, grid), captions(key.names, key.values), rgb_colours(key.colours)
    )
    with written_whole(request.legend) as partial:
        figure.savefig(partial, dpi=200)
    if adjusted:
        print(describe_mapped_areas(adjusted, request.areas.name), flush=True)
    by = ", by native kernels" if kernels_in_use() == "native" else ""
    print(f"Map: {request.output}, {request.legend.name}, {request.areas.name}{by}", flush=True)


def _write_numbers(request: Request, store: TileStore, names: tuple[str, ...]) -> None:
    """Writes what is asked for besides the classes of these names."""
    grid = request.grid
    if request.probabilities:
        scaled = request.probability_type == "uint8"
        write_numbers(
            request.probabilities,
            store.strips("probabilities"),
            grid,
            dtype=request.probability_type,
            names=names,
            nodata=NO_LEVEL if scaled else float("nan"),
            scale=1 / LEVELS if scaled else 1.0,
        )
    if request.sets:
        write_numbers(
            request.sets,
            store.strips("sets"),
            grid,
            dtype=request.layouts["sets"][1],
            names=(SIZE, *names),
            nodata=request.no_set,
        )
    if request.confidence:
        write_numbers(
            request.confidence,
            store.strips("confidence"),
            grid,
            dtype="float32",
            nodata=float("nan"),
        )


def _thinned(store: TileStore, grid: Grid) -> np.ndarray:
    """Class indexes of every n-th pixel, so that a picture can hold them; -1 is no class."""
    step = -(-max(grid.rows, grid.columns) // PICTURE_SIDE)
    kept, start = [], 0
    for strip in store.strips("classes"):
        kept.append(strip[-start % step :: step, ::step])
        start += len(strip)
    return np.concatenate(kept).astype(int) - 1
