"""The maps of a run as pictures for a page, and as numbers for its script."""

import base64
import io
import math
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.palette import rgb_colours
from hsi_jax.evaluate.maps.map import CORRECT_COLOUR, WRONG_COLOUR
from hsi_jax.evaluate.report.reading import RunFiles

MAX_SIDE = 2048  # of a map in the page, pixels; a larger one is thinned
SETS = ("train", "validation", "test")


@dataclass(frozen=True)
class Layer:
    """One of the maps: its name and its picture as a data URI, transparent where it shows none."""

    name: str
    picture: str


@dataclass(frozen=True)
class ClassMaps:
    """The maps of a scene.

    Attributes:
        rows: of the maps in the page.
        columns: likewise.
        every: a pixel in so many rows and columns is shown.
        layers: truth, prediction and errors.
        packed: base64 of the zlib stream of three planes of uint16, little-endian, [rows, columns]:
            true class + 1, predicted class + 1, and set (its place in `SETS` + 1); 0 is none.
    """

    rows: int
    columns: int
    every: int
    layers: tuple[Layer, ...]
    packed: str


def make_maps(run: RunFiles) -> ClassMaps:
    """Makes the maps of a run that has a prediction.

    Raises:
        InputError: if the arrays of the prediction do not fit each other.
    """
    arrays = run.prediction or {}
    names = "truth", "prediction", *SETS
    if lacking := [name for name in names if name not in arrays]:
        raise InputError(f"prediction.npz lacks {', '.join(lacking)}")
    shape = arrays["prediction"].shape
    if len(shape) != 2 or 0 in shape or any(arrays[name].shape != shape for name in names):
        raise InputError("the maps in prediction.npz have different shapes")
    kinds = {name: arrays[name].dtype.kind for name in names}
    if any(kind not in "iu" for kind in (kinds["truth"], kinds["prediction"])) or any(
        kinds[name] != "b" for name in SETS
    ):
        raise InputError("prediction.npz holds no maps of ids and sets")
    every = math.ceil(max(shape) / MAX_SIDE)
    thinned = {name: arrays[name][::every, ::every] for name in names}
    truth, prediction = (_indexes(thinned[name], run.class_ids) for name in names[:2])
    sets = np.zeros(truth.shape, np.uint16)
    for number, name in enumerate(SETS, 1):
        sets[thinned[name].astype(bool)] = number
    planes = np.stack([truth + 1, prediction + 1, sets]).astype("<u2")
    colours = rgb_colours(run.colours)
    return ClassMaps(
        rows=truth.shape[0],
        columns=truth.shape[1],
        every=every,
        layers=(
            Layer("Truth", _picture(truth, colours)),
            Layer("Prediction", _picture(prediction, colours)),
            Layer("Errors", _picture(*_errors(truth, prediction, sets))),
        ),
        packed=base64.b64encode(zlib.compress(planes.tobytes(), 9)).decode(),
    )


def _indexes(ids: np.ndarray, class_ids: tuple[int, ...]) -> np.ndarray:
    """The class index of each pixel, int64; -1 for an id that is no class."""
    order = np.argsort(class_ids)
    places = np.searchsorted(class_ids, ids, sorter=order).clip(max=len(class_ids) - 1)
    indexes = order[places]
    return np.where(np.array(class_ids)[indexes] == ids, indexes, -1)


def _errors(
    truth: np.ndarray, prediction: np.ndarray, sets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """0 for correct and 1 for wrong test pixels, -1 elsewhere; and the colours of these."""
    tested = (sets == len(SETS)) & (truth >= 0)
    codes = np.where(tested, (truth != prediction).astype(int), -1)
    return codes, np.array([CORRECT_COLOUR, WRONG_COLOUR])


def _picture(indexes: np.ndarray, colours: np.ndarray) -> str:
    table = np.zeros((len(colours) + 1, 4), np.uint8)  # the last row is transparent, for -1
    table[:-1, :3], table[:-1, 3] = np.rint(255 * colours), 255
    file = io.BytesIO()
    Image.fromarray(table[indexes]).save(file, "PNG", optimize=True)
    return data_uri(file.getvalue())


def data_uri(png: bytes) -> str:
    """A PNG file as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
