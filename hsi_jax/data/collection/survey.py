"""Looks through a collection once, before training: lost pixels, damaged files, odd values.

What is found in a scene is kept (`KeptArrays`) until its files change.
"""

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from hsi_jax.data.collection.collected_scene import CollectedScene, look_windows
from hsi_jax.data.collection.kept_arrays import KeptArrays, digest_of, key_of
from hsi_jax.data.collection.labelled_pixels import LabelledPixels
from hsi_jax.data.collection.team import Team, own_cores
from hsi_jax.data.scene.band_match import doubt_on_values, value_ranges
from hsi_jax.data.scene.cube import CheckedCube
from hsi_jax.data.scene.read_options import ReadOptions
from hsi_jax.data.scene.scene_tiles import Tile, WindowReader
from hsi_jax.errors import InputError

_LOOKS, _LOOK = 7, 2  # windows along each side in which values are looked at, and their side
SAMPLE = _LOOKS**2 * _LOOK**2  # pixels of a scene whose values are kept
Ranges = tuple[tuple[float, float], ...]


@dataclass(frozen=True, eq=False)
class Survey:
    """What was found.

    Attributes:
        lost: bool [n], labelled pixels without data.
        origin: mean of the values that were looked at, float64 [bands].
        value_ranges: of each band, the 1st and the 99th percentile of these values.
        remarks: what a user has to know, a sentence each.
    """

    lost: np.ndarray
    origin: np.ndarray
    value_ranges: Ranges
    remarks: tuple[str, ...] = ()


def survey(pixels: LabelledPixels, reading: ReadOptions, *, team: Team, kept: KeptArrays) -> Survey:
    """Reads each tile that has labels, and some windows of each scene.

    Args:
        pixels: of the collection.
        reading: whether values that look like no data are taken as data.
        team: of processes, of which each looks at other scenes.
        kept: where results of unchanged files are.

    Raises:
        InputError: that names the row of a scene, if a tile cannot be read or has values that are
            not finite, or values that look like no data.
    """
    collection = pixels.collection
    lost = np.zeros(len(pixels), np.uint8)
    samples = np.zeros((len(collection), SAMPLE, collection.num_bands), np.float32)
    counts = np.zeros(len(collection), np.int32)
    error = None
    try:
        for number in team.own(range(len(collection))):
            found = _known(pixels, number, kept)
            ids = pixels.ids_of_scene(number)
            lost[ids] = np.unpackbits(found["lost"], count=ids.stop - ids.start)
            counts[number] = len(found["sample"])
            samples[number, : counts[number]] = found["sample"]
    except InputError as problem:
        error = problem
    team.check(error)
    lost, counts = team.add(lost).astype(bool), team.add(counts)
    samples = team.add(samples.view(np.int32)).view(np.float32)  # of others they are 0
    each = [sample[:count] for sample, count in zip(samples, counts, strict=True)]
    pairs = zip(collection.scenes, each, strict=True)
    fills = [_fill_values(scene, sample, reading) for scene, sample in pairs]
    together = np.concatenate(each)
    if not len(together):
        raise InputError("no pixel that was looked at has data; check `nodata`")
    return Survey(
        lost,
        together.mean(0, dtype=np.float64),
        _ranges(together),
        (*itertools.chain.from_iterable(fills), *_doubts(collection.scenes, each)),
    )


def _known(pixels: LabelledPixels, number: int, kept: KeptArrays) -> dict[str, np.ndarray]:
    """What is kept of a scene, or found and kept now: its lost pixels, and some values."""
    scene = pixels.collection[number]
    with scene.row.named():
        ids = pixels.ids_of_scene(number)
        own = pixels.pixels[ids]
        bands = None if scene.bands is None else scene.bands.tolist()
        key = key_of("survey", scene.files, digest_of(own), scene.nodata_values, bands)
        found = kept.load(key, ("lost", "sample"))
        if found is None:
            found = _look_through(pixels, number)
            kept.save(key, found)
        return found


def _look_through(pixels: LabelledPixels, number: int) -> dict[str, np.ndarray]:
    scene = pixels.collection[number]
    reader = scene.reader()
    lost = np.zeros(len(pixels), bool)

    def look(tile_number: int) -> None:
        ids = pixels.ids_of_tile(tile_number)
        tile = pixels.tiles[tile_number][1]
        rows, columns = np.divmod(pixels.pixels[ids], scene.size[1])
        missing = _missing(reader, tile)
        lost[ids] = missing[rows - tile.rows.start, columns - tile.columns.start]

    own = [k for k, (scene_number, _) in enumerate(pixels.tiles) if scene_number == number]
    with ThreadPoolExecutor(own_cores()) as pool:
        list(pool.map(look, [k for k in own if np.diff(pixels.tile_starts[k : k + 2])[0]]))
    own_lost = np.packbits(lost[pixels.ids_of_scene(number)])
    return {"lost": own_lost, "sample": _sample(scene, reader)}


def _missing(reader: WindowReader, tile: Tile) -> np.ndarray:
    """The pixels of a tile without data, bool [rows, columns]."""
    numbers = reader.numbers(tile.rows, tile.columns)
    if numbers.dtype.kind in "iu" and not reader.source.nodata_values:
        return np.zeros(numbers.shape[:2], bool)
    _, declared, unfit = reader.convert(numbers)
    if unfit.any():
        row, column = np.argwhere(unfit)[0]
        raise InputError(
            f"the pixel in row {row + tile.rows.start}, column {column + tile.columns.start} "
            f"(counted from 0), and {np.count_nonzero(unfit) - 1} others near it, have values that "
            f"are not finite; `nodata`=nan leaves such pixels out"
        )
    return declared


def _sample(scene: CollectedScene, reader: WindowReader) -> np.ndarray:
    """Values from all over a scene where it has data, float32 [k, bands]."""
    parts = [reader.read(*window) for window in look_windows(scene.size, _LOOKS, _LOOK)]
    bands = parts[0][0].shape[-1]
    spectra = np.concatenate([cube.reshape(-1, bands) for cube, _ in parts])
    missing = np.concatenate([mask.ravel() for _, mask in parts])
    return spectra[~missing]


def _fill_values(scene: CollectedScene, sample: np.ndarray, reading: ReadOptions) -> list[str]:
    """Remarks on values of a scene that look like no data."""
    if not len(sample):
        return []
    with scene.row.named():
        column = CheckedCube(sample[:, np.newaxis], None, (), ())
        found = column.look_for_fill_values(None, reading, scene.row.image)
    return [f"{scene.row.where}: {remark}" for remark in found]


def _ranges(spectra: np.ndarray) -> Ranges:
    return value_ranges(spectra[:, np.newaxis], np.arange(len(spectra)))


def _doubts(scenes: Sequence[CollectedScene], samples: Sequence[np.ndarray]) -> tuple[str, ...]:
    """A sentence on each scene whose values are unlike those of the first one with data."""
    known = [_ranges(sample) if len(sample) else None for sample in samples]
    first = next(ranges for ranges in known if ranges)
    doubts = (
        doubt_on_values(first, ranges, scene.row.where)
        for scene, ranges in zip(scenes, known, strict=True)
        if ranges
    )
    return tuple(f"{doubt[0].upper()}{doubt[1:]}." for doubt in doubts if doubt)
