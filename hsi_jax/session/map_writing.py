"""From a model and a scene to the files of a map, by way of a folder that survives a kill."""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import jax
import msgspec
import numpy as np
from tqdm import tqdm

from hsi_jax.data.scene.scene_tiles import SIDE, CubeSource, cut_tiles
from hsi_jax.errors import InputError
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
from hsi_jax.hetero import Profile
from hsi_jax.kernels import kernels_in_use
from hsi_jax.run.summary import Summary
from hsi_jax.run.tile_store import TileStore
from hsi_jax.session.summarise_areas import adjust_areas, describe_mapped_areas
from hsi_jax.trained import TrainedModel
from hsi_jax.trained.map_file import class_key
from hsi_jax.trained.scene_map import TileLogits, choose_method, find_bands, predict_tiles

LEVELS, NO_LEVEL = 250, 255  # of a probability as uint8
PICTURE_SIDE = 2000  # pixels


@dataclass(frozen=True, kw_only=True, eq=False)
class Request:
    """A map that is to be made.

    Attributes:
        model: of patches.
        source: of the scene.
        grid: of the scene.
        scene: name or path of the scene.
        summary: of the run whose test pixels lie in the scene, or None.
        files: of the scene, where it is read from files.
        output: file of the classes.
        probabilities: file of the probabilities, or None.
        probability_type: of `hsi_jax.commands.predict.PROBABILITY_TYPES`.
        confidence: file of the confidence, or None.
        confidence_kind: of `hsi_jax.commands.predict.CONFIDENCES`.
        method: of `hsi_jax.train.METHODS`.
        profile: of the devices, or None.
        overwrite: whether files may be replaced.
    """

    model: TrainedModel
    source: CubeSource
    grid: Grid
    scene: str
    summary: Summary | None = None
    files: tuple[Path, ...] = ()
    output: Path
    probabilities: Path | None = None
    probability_type: str = "float32"
    confidence: Path | None = None
    confidence_kind: str = "margin"
    method: str = "auto"
    profile: Profile | None = None
    overwrite: bool = False

    @property
    def legend(self) -> Path:
        """The picture with the legend."""
        return self.output.with_name(f"{self.output.stem}_legend.png")

    @property
    def areas(self) -> Path:
        """The table of areas."""
        return self.output.with_name(f"{self.output.stem}_areas.csv")

    @property
    def unfinished(self) -> Path:
        """The folder of the map while it is made."""
        return self.output.with_name(f".{self.output.name}.unfinished")

    @property
    def layouts(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape and dtype of each array."""
        shape, classes = (self.grid.rows, self.grid.columns), self.model.num_classes
        layouts: dict = {"classes": (shape, "uint8" if classes < 2**8 else "uint16")}
        if self.probabilities:
            layouts["probabilities"] = (*shape, classes), self.probability_type
        if self.confidence:
            layouts["confidence"] = shape, "float32"
        return layouts


def make_map(request: Request) -> None:
    """Predicts the scene, or the rest of it, and writes all files.

    Raises:
        InputError: on a mistake of the user's, before the prediction begins.
        StorageError: if a file cannot be written.
    """
    find_bands(request.model, request.source, request.scene)
    method = choose_method(request.model, request.method)
    _check_files(request)
    store = _open_store(request, _facts(request, method))
    _fill(request, method, store)
    _write_files(request, store)
    store.remove()


def _check_files(request: Request) -> None:
    """Checks that all files can be written before anything is predicted."""
    checks: list[tuple[str, Path, tuple[str, ...]]] = []
    checks.append(("output", request.output, CLASS_SUFFIXES))
    for name in ("probabilities", "confidence"):
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


def _facts(request: Request, method: str) -> dict:
    """What decides the bytes of the map."""
    stats = [path.stat() for path in request.files]
    return {
        "model": _digest(request.model),
        "scene": request.scene,
        "scene's files": [[stat.st_size, stat.st_mtime_ns] for stat in stats],
        "shape": list(request.source.shape),
        "method": method,
        "tile": SIDE,
        "confidence": request.confidence_kind,
        "kernels": kernels_in_use(),
    }


def _open_store(request: Request, facts: dict) -> TileStore:
    """The folder of the unfinished map; that of another map is replaced only if asked for."""
    try:
        return TileStore(request.unfinished, facts, request.layouts)
    except InputError:
        if not request.overwrite:
            raise
    shutil.rmtree(request.unfinished)
    return TileStore(request.unfinished, facts, request.layouts)


def _digest(model: TrainedModel) -> str:
    """A name for a model that no other has."""
    digest = hashlib.sha256(msgspec.json.encode(model.description))
    for leaf in jax.tree.leaves((model.params, model.batch_stats, model.arrays_beside())):
        digest.update(np.ascontiguousarray(leaf).data)
    return digest.hexdigest()


def _fill(request: Request, method: str, store: TileStore) -> None:
    """Predicts the tiles that are missing."""
    rows, columns = request.grid.rows, request.grid.columns
    done = sum(np.prod(tile.shape) for tile in cut_tiles((rows, columns), SIDE)[: store.done])
    if done:
        print(f"Continuing after {done / (rows * columns):.0%} of the map", flush=True)
    bar = tqdm(
        total=rows * columns,
        initial=int(done),
        unit="pixel",
        unit_scale=True,
        desc="map",
        disable=None,
    )
    with bar:
        tiles = predict_tiles(
            request.model,
            request.source,
            name=request.scene,
            method=method,
            profile=request.profile,
            start=store.done,
            tile_side=SIDE,
            on_progress=bar.update,
        )
        for part in tiles:
            store.write(part.tile.rows, part.tile.columns, _arrays(request, part))


def _arrays(request: Request, part: TileLogits) -> dict[str, np.ndarray]:
    """What is kept of a tile, by the names of the layouts."""
    logits, nodata = part.logits, part.nodata
    arrays = {"classes": np.where(nodata, 0, logits.argmax(-1) + 1)}
    if not (request.probabilities or request.confidence):
        return arrays
    exponents = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities = exponents / exponents.sum(-1, keepdims=True)
    if request.confidence:
        measured = _MEASURES[request.confidence_kind](probabilities)
        arrays["confidence"] = np.where(nodata, np.nan, measured)
    if request.probabilities:
        missing = np.nan
        if request.probability_type == "uint8":
            probabilities, missing = np.rint(LEVELS * probabilities), NO_LEVEL
        arrays["probabilities"] = np.where(nodata[..., None], missing, probabilities)
    return arrays


def _margin(probabilities: np.ndarray) -> np.ndarray:
    highest = np.sort(probabilities, -1)[..., -2:]
    return highest[..., 1] - highest[..., 0]


def _entropy(probabilities: np.ndarray) -> np.ndarray:
    logarithms = np.log(np.where(probabilities > 0, probabilities, 1))
    return -(probabilities * logarithms).sum(-1)


_MEASURES = {"margin": _margin, "entropy": _entropy}


def _write_files(request: Request, store: TileStore) -> None:
    grid, key = request.grid, key_of(request.output, class_key(request.model.description))
    write_classes(request.output, store.strips("classes"), grid, key)
    if request.probabilities:
        scaled = request.probability_type == "uint8"
        write_numbers(
            request.probabilities,
            store.strips("probabilities"),
            grid,
            dtype=request.probability_type,
            names=key.names,
            nodata=NO_LEVEL if scaled else float("nan"),
            scale=1 / LEVELS if scaled else 1.0,
        )
    if request.confidence:
        write_numbers(
            request.confidence,
            store.strips("confidence"),
            grid,
            dtype="float32",
            nodata=float("nan"),
        )
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


def _thinned(store: TileStore, grid: Grid) -> np.ndarray:
    """Class indexes of every n-th pixel, so that a picture can hold them; -1 is no class."""
    step = -(-max(grid.rows, grid.columns) // PICTURE_SIDE)
    kept, start = [], 0
    for strip in store.strips("classes"):
        kept.append(strip[-start % step :: step, ::step])
        start += len(strip)
    return np.concatenate(kept).astype(int) - 1
