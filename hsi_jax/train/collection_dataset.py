"""The labelled pixels of many scenes, ready for the devices: resident, or streamed from files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hsi_jax.cluster.devices import JaxDevice
from hsi_jax.data.collection.labelled_pixels import LabelledPixels
from hsi_jax.data.collection.patch_reader import PatchReader
from hsi_jax.data.collection.tile_order import TileOrder
from hsi_jax.data.collection.tile_reader import TileReader
from hsi_jax.data.preprocess import Preprocessing
from hsi_jax.data.splits.split import Split
from hsi_jax.errors import InputError
from hsi_jax.models import Model, check_input, find_trait
from hsi_jax.train.augmentation import Preparation
from hsi_jax.train.dataset import Dataset
from hsi_jax.train.replicas import fits_on_devices
from hsi_jax.train.samples import Stream
from hsi_jax.train.tile_patches import TilePatches

STEPS_AHEAD = 16  # now and then a step needs several new tiles at once; most need none


@dataclass(frozen=True, kw_only=True)
class Feeding:
    """How the samples of a collection come to the devices.

    Attributes:
        feed: "resident" on the devices, "streamed" for each step, or "auto".
        cache_bytes: of tiles that are kept in memory, where they are streamed.
        on_unreadable: as of `PatchReader`, while training.
        tell: called with what has to be told while training.
    """

    feed: str = "auto"
    cache_bytes: int = 2**31
    on_unreadable: str = "stop"
    tell: Callable[[str], object] = print


def choose_patches(
    model: Model, bands: int, train: int, *, patch_size: int | None, components: int | None
) -> tuple[int, int]:
    """The side of a patch and the number of components, where a model's defaults may hold.

    Args:
        model: name of the architecture.
        bands: of the collection.
        train: number of training samples.
        patch_size: as asked for, or None.
        components: as asked for, or None; 0 keeps all bands.

    Raises:
        InputError: if the model cannot take such patches.
    """
    size = patch_size or find_trait(model, "default_patch_size")
    if components is None:
        default: int = find_trait(model, "default_components")
        components = min(default, bands, train - 1)
    check_input(model, size, components or bands)
    return size, components


def collection_dataset(
    pixels: LabelledPixels,
    split: Split,
    preprocessing: Preprocessing,
    *,
    patch_size: int,
    order: TileOrder,
    devices: Sequence[JaxDevice],
    feeding: Feeding,
    augment: tuple[str, ...] = (),
    value_ranges: tuple[tuple[float, float], ...] = (),
    note: str = "",
) -> Dataset:
    """The labelled pixels of a collection of scenes.

    Args:
        pixels: of the collection.
        split: of them.
        preprocessing: fitted on the training pixels.
        patch_size: side of a patch, odd.
        order: of the training samples.
        devices: that the samples are for.
        feeding: how they come there.
        augment: names of `hsi_jax.train.AUGMENTATIONS`.
        value_ranges: of each band, the 1st and the 99th percentile.
        note: what a reader of results has to know.

    Raises:
        InputError: if the patch is even, or larger than a scene; or that names a row, if a scene
            cannot be read.
    """
    _check_patch_size(pixels, patch_size)
    collection = pixels.collection
    reader, events = TileReader(pixels, preprocessing, patch_size), []
    channels = preprocessing.num_channels
    return Dataset(
        name=collection.name,
        note=note,
        class_names=collection.class_names,
        class_ids=collection.class_ids,
        labels=pixels.labels,
        split=split,
        samples=_samples(reader, split, devices, feeding=feeding, events=events),
        input_shape=(patch_size, patch_size, channels),
        prepare=Preparation((0.0,), (1.0,), augment) if augment else None,
        preprocessing=preprocessing,
        value_ranges=value_ranges,
        pixels=pixels,
        order=order,
        events=events,
    )


def _check_patch_size(pixels: LabelledPixels, patch_size: int) -> None:
    if patch_size < 1 or patch_size % 2 == 0:
        raise InputError(
            f"`patch_size`={patch_size}: give an odd number, so that the patch has a centre"
        )
    for scene in pixels.collection:
        if len(scene.pixels) and min(scene.size) < patch_size:
            raise InputError(
                f"{scene.row.where}: `patch_size`={patch_size} is larger than the scene of "
                f"{scene.size[0]} x {scene.size[1]} pixels; give at most {min(scene.size)}"
            )


def _samples(
    reader: TileReader,
    split: Split,
    devices: Sequence[JaxDevice],
    *,
    feeding: Feeding,
    events: list[str],
) -> TilePatches | Stream:
    """Resident samples where they fit, or as it is asked for."""
    if feeding.feed == "resident":
        return TilePatches.of(reader)
    if feeding.feed == "auto" and fits_on_devices(_resident_bytes(reader), devices):
        return TilePatches.of(reader)

    def tell(text: str) -> None:
        events.append(text)
        feeding.tell(text)

    patches = PatchReader(
        reader,
        split.train,
        cache_bytes=feeding.cache_bytes,
        on_unreadable=feeding.on_unreadable,
        tell=tell,
    )
    return Stream(patches.read, STEPS_AHEAD)


def _resident_bytes(reader: TileReader) -> int:
    """Bytes of all tiles and samples on a device."""
    sides = [max(tile.shape) for _, tile in reader.pixels.tiles]
    numbers = len(sides) * (max(sides) + 2 * reader.border) ** 2
    return 4 * numbers * reader.preprocessing.num_channels + 16 * len(reader.pixels)
