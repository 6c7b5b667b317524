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
from hsi_jax.evaluate.run_files import RunFiles

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
        columns: of the maps in the page.
        every: the maps show every n-th row and column of the scene.
        layers: truth, prediction and errors.
        packed: base64 of the zlib stream of three planes of uint16, little-endian, [rows, columns]:
            true class + 1, predicted class + 1, and set (its place in `SETS` + 1); 0 is none.
    """

    rows: int
    columns: int
    every: int
    layers: tuple[Layer, ...]
    packed: str


def read_maps(run: RunFiles) -> dict[str, np.ndarray]:
    """Truth and prediction, ids, and the masks of the sets, bool, all [rows, columns].

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
    kinds = {name: "b" if name in SETS else "iu" for name in names}
    if any(arrays[name].dtype.kind not in kind for name, kind in kinds.items()):
        raise InputError("prediction.npz holds no maps of ids and sets")
    return {name: arrays[name] for name in names}


def make_maps(run: RunFiles) -> ClassMaps:
    """Makes the maps of a run that has a prediction.

    Raises:
        InputError: as `read_maps`.
    """
    arrays = read_maps(run)
    every = math.ceil(max(arrays["truth"].shape) / MAX_SIDE)
    thinned = {name: array[::every, ::every] for name, array in arrays.items()}
    truth, prediction = (_indexes(thinned[n], run.class_ids) for n in ("truth", "prediction"))
    sets = np.zeros(truth.shape, np.uint16)
    for number, name in enumerate(SETS, 1):
        sets[thinned[name]] = number
    planes = np.stack([truth + 1, prediction + 1, sets]).astype("<u2")
    colours = rgb_colours(run.colours)
    return ClassMaps(
        rows=truth.shape[0],
        columns=truth.shape[1],
        every=every,
        layers=(
            Layer("Truth", draw_layer(truth, colours)),
            Layer("Prediction", draw_layer(prediction, colours)),
            Layer("Errors", draw_layer(*_errors(truth, prediction, sets))),
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


def draw_layer(indexes: np.ndarray, colours: np.ndarray) -> str:
    """A PNG as a data URI, from indexes of colours, -1 being transparent, and the colours."""
    table = np.zeros((len(colours) + 1, 4), np.uint8)  # the last row is transparent, for -1
    table[:-1, :3], table[:-1, 3] = np.rint(255 * colours), 255
    file = io.BytesIO()
    Image.fromarray(table[indexes]).save(file, "PNG", optimize=True)
    return data_uri(file.getvalue())


def data_uri(content: bytes, kind: str = "png") -> str:
    """A picture's file as an address that holds it; `kind` is "png" or "svg+xml"."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
