"""The map of a scene of any size: tiles are read, predicted and given back one by one."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from hsi_jax.data.scene.band_match import Bands
from hsi_jax.data.scene.scene_tiles import SIDE as TILE_SIDE
from hsi_jax.data.scene.scene_tiles import CubeSource, Tile, cut_tiles, read_tile
from hsi_jax.errors import InputError
from hsi_jax.hetero import Profile
from hsi_jax.models import find_trait
from hsi_jax.train.evaluation import SAMPLES_PER_CALL, OnProgress
from hsi_jax.train.samples import Patches
from hsi_jax.train.tables import METHODS
from hsi_jax.trained import one_pass
from hsi_jax.trained.one_pass import Blocks, OnePass
from hsi_jax.trained.prediction_devices import PredictionDevices
from hsi_jax.trained.scene_reading import bands_as_trained, reader_as_trained
from hsi_jax.trained.trained_model import TrainedModel


@dataclass(frozen=True, eq=False)
class TileLogits:
    """What a model says of the pixels of a tile.

    Attributes:
        tile: where it lies.
        logits: float32 [rows, columns, C].
        nodata: bool [rows, columns], True where a pixel has no data and the logits no meaning.
        number: of the tile.
    """

    tile: Tile
    logits: np.ndarray
    nodata: np.ndarray
    number: int


def choose_method(model: TrainedModel, method: str) -> str:
    """ "one_pass" or "patches", by what the model can.

    Args:
        model: of patches.
        method: of `METHODS`; "auto" is one pass where there is something to share.

    Raises:
        InputError: for an unknown method, or if the model has no form for one pass.
    """
    if method not in METHODS:
        raise InputError(f"`method`={method}: choose one of {', '.join(METHODS)}")
    name = model.description.architecture
    able = find_trait(model.network, "one_pass")
    if method == "one_pass" and not able:
        raise InputError(
            f"`method`=one_pass: {name} has no form for whole tiles; give `method`=patches"
        )
    return "one_pass" if able and method != "patches" else "patches"


def predict_tiles(
    model: TrainedModel,
    source: CubeSource,
    *,
    name: str = "the scene",
    method: str = "auto",
    profile: Profile | None = None,
    tile_side: int = TILE_SIDE,
    on_progress: OnProgress = lambda pixels: None,
) -> Iterator[TileLogits]:
    """Predicts a scene tile by tile, in the order of `cut_tiles`.

    Args:
        model: as of `TilePredictor`, as are the others.
        source: of the scene.
        name: what messages call the scene.
        method: "patches", "one_pass" or "auto".
        profile: of the devices, or None.
        tile_side: pixels.
        on_progress: told the number of pixels after each call of the devices.

    Raises:
        InputError: as `TilePredictor`.
    """
    predictor = TilePredictor(
        model, source, name=name, method=method, profile=profile, tile_side=tile_side
    )
    return predictor.predict(range(len(predictor.tiles)), on_progress)


class TilePredictor:
    """Predicts tiles of a scene, in any order; the next one is read meanwhile.

    Attributes:
        tiles: of the scene, as `cut_tiles` orders them.
    """

    def __init__(
        self,
        model: TrainedModel,
        source: CubeSource,
        *,
        name: str = "the scene",
        method: str = "auto",
        profile: Profile | None = None,
        tile_side: int = TILE_SIDE,
    ):
        """Sends the model to the devices; nothing is compiled yet.

        Args:
            model: of patches.
            source: of the scene, such as `hsi_jax.data.open_raster` gives.
            name: what messages call the scene.
            method: "patches" predicts patch by patch; "one_pass" runs over blocks of the tile and
                shares what neighbouring patches have in common, with the same logits but for
                rounding; "auto" is the latter where the model can.
            profile: of the devices, which share each tile by their speeds; None for all
                accelerators evenly, or for one device on a CPU.
            tile_side: pixels.

        Raises:
            InputError: if the model takes images, if the scene has other bands or is smaller than
                a patch, or as `choose_method`.

        Warns:
            InputWarning: as `hsi_jax.trained.scene_reading.reader_as_trained`.
        """
        bands = find_bands(model, source, name)
        self._reader = reader_as_trained(model.description, source, bands, name)
        self.tiles = cut_tiles(source.shape[:2], tile_side)
        self._network = _tile_network(model, choose_method(model, method), profile)
        side, sizes = self._network.side, source.shape[:2]
        # Each tile is read with the shape of the largest, in whole blocks, and so compiled for once
        rows, columns = (-(-min(tile_side, size) // side) * side for size in sizes)
        self._shape, self._bands = (rows, columns), model.description.num_bands
        assert model.preprocessing is not None  # as every model of patches has
        self._transform = model.preprocessing.transform

    def warm_up(self) -> None:
        """Compiles, by predicting next to nothing."""
        rows, columns = (size + self._network.patch_size - 1 for size in self._shape)
        cube = self._transform(np.zeros((rows, columns, self._bands), np.float32))
        self._network.logits(cube, (1, 1), lambda pixels: None)

    def predict(
        self,
        numbers: Iterable[int],
        on_progress: OnProgress = lambda pixels: None,
        *,
        is_done: Callable[[int], bool] = lambda number: False,
    ) -> Iterator[TileLogits]:
        """Predicts tiles; the next number is asked for, and its tile read, meanwhile.

        Args:
            numbers: of `tiles`.
            on_progress: told the number of pixels after each call of the devices.
            is_done: whether a tile is wanted no longer, when its turn comes.
        """
        ahead = iter(numbers)

        def read() -> tuple[int, np.ndarray, np.ndarray] | None:
            number = next(ahead, None)
            return None if number is None else (number, *self._read(self.tiles[number]))

        with ThreadPoolExecutor(1, thread_name_prefix="tiles") as reader:
            coming = reader.submit(read)
            while (ready := coming.result()) is not None:
                coming = reader.submit(read)
                number, cube, nodata = ready
                if not is_done(number):
                    tile = self.tiles[number]
                    logits = self._network.logits(cube, tile.shape, on_progress)
                    yield TileLogits(tile, logits, nodata, number)

    def _read(self, tile: Tile) -> tuple[np.ndarray, np.ndarray]:
        border = self._network.patch_size // 2
        cube, missing, nodata = read_tile(self._reader, tile, border, self._shape)
        scaled = self._transform(cube)
        scaled[missing] = 0  # as `Patches.of_scene` does
        return scaled, nodata


def find_bands(model: TrainedModel, source: CubeSource, name: str) -> np.ndarray | None:
    """The bands of a scene that a model takes; see `hsi_jax.trained.scene_reading`.

    Args:
        model: of patches.
        source: of the scene.
        name: what messages call the scene.

    Returns:
        0-based bands, or None for all as they are.

    Raises:
        InputError: if the model cannot predict the pixels of the scene.
    """
    description = model.description
    if description.kind != "patch":
        raise InputError("the model was trained on whole images; it cannot make a map of a scene")
    rows, columns, num_bands = source.shape
    size = description.input_shape[0]
    if size > min(rows, columns):
        raise InputError(
            f"the model takes patches of {size} x {size} pixels, but {name} has {rows} x "
            f"{columns}; give a larger scene"
        )
    known = Bands(num_bands, source.wavelengths, getattr(source, "band_names", None))
    return bands_as_trained(description, known, name)


@dataclass(frozen=True)
class _TileNetwork:
    """Runs a model over the pixels of tiles.

    Attributes:
        devices: that share the pixels.
        patch_size: p.
        side: of the blocks that the network runs over in one pass; 1 for patch by patch.
    """

    devices: PredictionDevices
    patch_size: int
    side: int

    def logits(self, cube: np.ndarray, shape: tuple[int, int], on_progress) -> np.ndarray:
        """The logits of a tile's pixels, float32 [rows, columns, C].

        Args:
            cube: the tile with its border, as the network takes it, [a + p - 1, b + p - 1, bands]
                with multiples a >= rows and b >= columns of the side.
            shape: rows and columns of the tile that are wanted; the rest only fills blocks.
            on_progress: told the number of pixels after each call.
        """
        side = self.side
        down, across = ((size - self.patch_size + 1) // side for size in cube.shape[:2])
        down_wanted, across_wanted = (-(-size // side) for size in shape)  # rounded up
        # Blocks are numbered row by row of the whole cube, of which fewer may be wanted.
        ids = np.arange(down_wanted)[:, None] * across + np.arange(across_wanted)
        if side > 1:
            samples, room = Blocks(cube, across, side, self.patch_size), max(1, down * across)
        else:
            labels = np.zeros(cube.shape[0] * across, np.int32)  # that nobody reads
            samples = Patches(cube, labels, across, self.patch_size)
            room = SAMPLES_PER_CALL // self.devices.microbatch_size + 1
        parts = []
        for out in self.devices.logits(samples, ids.ravel().astype(np.int32), room):
            parts.append(out)
            on_progress(len(out) if side == 1 else shape[0] * shape[1])
        # [blocks, side, side, C] -> [down, across, side, side, C] -> [rows, columns, C]
        logits = np.concatenate(parts).reshape(down_wanted, across_wanted, side, side, -1)
        logits = logits.swapaxes(1, 2).reshape(down_wanted * side, across_wanted * side, -1)
        return logits[: shape[0], : shape[1]]


def _tile_network(model: TrainedModel, method: str, profile: Profile | None) -> _TileNetwork:
    patch_size = model.description.input_shape[0]
    if method == "patches":
        size, state = model.description.microbatch_size, model.prediction_state()
        return _TileNetwork(PredictionDevices(state, size, profile), patch_size, side=1)
    state = model.prediction_state(OnePass(model.module(), patch_size))
    return _TileNetwork(PredictionDevices(state, 1, profile), patch_size, side=one_pass.SIDE)
