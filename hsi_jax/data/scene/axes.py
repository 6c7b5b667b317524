"""Which axis of a cube holds its bands, and how the labels lie on its rows and columns."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from hsi_jax.errors import InputError

_ORDERS = (2, 0, 1)  # of the axis of the bands, the usual one first
_NAMES = ("bands, rows, columns", "rows, bands, columns", "rows, columns, bands")


@dataclass(frozen=True, eq=False)
class Oriented:
    """Arrays of a scene whose axes are in order.

    Attributes:
        cube: [rows, columns, bands]; of a list of pixels [pixels, 1, bands].
        label_ids: [rows, columns], or None.
        band_axis: axis of the bands in the cube that was given.
        remarks: what a user has to know about it, a sentence each.
        known_ids: ids that are certainly classes: those of one-hot labels.
    """

    cube: np.ndarray
    label_ids: np.ndarray | None
    band_axis: int
    remarks: tuple[str, ...] = ()
    known_ids: tuple[int, ...] = ()


def orient(
    cube: np.ndarray, label_ids: np.ndarray | None, band_axis: int | None, source: str
) -> Oriented:
    """Brings the axes of a cube and of its labels into order.

    A cube of two axes is a list of pixels, [pixels, bands], whose labels are a list as well. If a
    cube has four axes, the first or the last must have length 1 and is dropped. Labels may have an
    extra axis of length 1, or be one-hot: a layer of 0 and 1 for each class. The first layer gets
    the id 1, and a pixel without a 1 gets 0.

    Args:
        cube: real numbers, of three axes or two.
        label_ids: real numbers or bool, or None.
        band_axis: axis of the bands in the cube, or None: the first of 2, 0 and 1 that fits the
            labels; without labels the last one.
        source: where the arrays come from, for messages.

    Raises:
        InputError: if the arrays are of another kind, or do not fit each other.
    """
    _check_numbers("cube", cube, "iuf", source)
    cube = _of_three_axes(cube)
    if label_ids is not None:
        _check_numbers("label map", label_ids, "biuf", source)
        label_ids = _of_three_axes(label_ids)
    if cube.ndim == 2 and (label_ids is None or _is_list(label_ids)):
        return _orient_list(cube, label_ids, band_axis, source)
    if cube.ndim == 2 and label_ids is not None and label_ids.ndim == 3:
        raise InputError(
            f"The cube of {source} has shape {cube.shape}, and the label map has shape "
            f"{label_ids.shape}; if you have swapped them, swap them back."
        )
    if cube.ndim != 3 or 0 in cube.shape:
        raise InputError(
            f"The cube of {source} has shape {cube.shape}; give [rows, columns, bands], or a list "
            f"[pixels, bands] whose labels are a list as well."
        )
    axis = 2 if band_axis is None else band_axis
    if label_ids is None:
        return Oriented(np.moveaxis(cube, axis, 2), None, axis)
    fits = list(_fits(cube, label_ids))
    fit = next((fit for fit in fits if band_axis in (None, fit.axis)), None)
    if fit is None:
        raise InputError(
            f"The cube of {source} has shape {cube.shape}, and the label map has shape "
            f"{label_ids.shape}{_misfit(cube, label_ids, axis, fits)}"
        )
    ids = fit.read(label_ids)
    remarks = list(_tell_one_hot(fit, label_ids, ids))
    if band_axis is None:
        remarks += _tell_axis(cube, fits)
    known_ids = tuple(range(1, fit.layers + 1))
    return Oriented(np.moveaxis(cube, fit.axis, 2), ids, fit.axis, tuple(remarks), known_ids)


@dataclass(frozen=True)
class _Fit:
    """A way in which labels lie on a cube; layers is the number of classes if they are one-hot."""

    axis: int
    read: Callable[[np.ndarray], np.ndarray]
    layers: int = 0


def _fits(cube: np.ndarray, labels: np.ndarray) -> Iterator[_Fit]:
    """All ways, the best first."""
    for axis in _ORDERS:
        shape = tuple(np.delete(cube.shape, axis).tolist())
        if labels.shape == shape:
            yield _Fit(axis, lambda ids: ids)
        elif labels.shape in ((*shape, 1), (1, *shape)):
            yield _Fit(axis, lambda ids, shape=shape: ids.reshape(shape))
        elif labels.ndim == 3 and labels.shape[:2] == shape and _is_one_hot(labels, 2):
            yield _Fit(axis, lambda ids: _from_one_hot(ids, 2), labels.shape[2])
        elif labels.ndim == 3 and labels.shape[1:] == shape and _is_one_hot(labels, 0):
            yield _Fit(axis, lambda ids: _from_one_hot(ids, 0), labels.shape[0])


def _is_one_hot(labels: np.ndarray, axis: int) -> bool:
    return bool(np.isin(labels, (0, 1)).all()) and int(labels.sum(axis, dtype=int).max()) == 1


def _from_one_hot(labels: np.ndarray, axis: int) -> np.ndarray:
    layer = labels.argmax(axis)
    return np.where(labels.any(axis), layer + 1, 0)


def _of_three_axes(array: np.ndarray) -> np.ndarray:
    """An array without a fourth axis of length 1, which batches of one scene have."""
    if array.ndim == 4 and array.shape[0] == 1:
        return array[0]
    return array[..., 0] if array.ndim == 4 and array.shape[3] == 1 else array


def _is_list(labels: np.ndarray) -> bool:
    return labels.size == max(labels.shape, default=0)


def _orient_list(
    cube: np.ndarray, labels: np.ndarray | None, band_axis: int | None, source: str
) -> Oriented:
    """A list of pixels, whose bands lie along the second axis or, where that fits, the first."""
    if band_axis == 2:
        raise InputError(f"`band_axis`=2: the cube of {source} has two axes; give 0 or 1")
    orders = (1, 0) if band_axis is None else (band_axis,)
    for axis in orders:
        pixels = cube.shape[1 - axis]
        if cube.size and (labels is None or labels.size == pixels):
            remark = "The cube is a list of pixels without neighbours."
            spectra = np.moveaxis(cube, axis, 1)[:, np.newaxis]
            ids = None if labels is None else labels.reshape(pixels, 1)
            return Oriented(spectra, ids, axis, (remark,))
    raise InputError(
        f"The cube of {source} is a list of shape {cube.shape}, [pixels, bands], but there are "
        f"{0 if labels is None else labels.size} labels; give one label for each pixel."
    )


def _check_numbers(what: str, array: np.ndarray, kinds: str, source: str) -> None:
    if array.dtype.kind not in kinds:
        names = {"O": "Python objects", "U": "text", "S": "text", "c": "complex numbers"}
        names["b"] = "true and false"
        held = names.get(array.dtype.kind, "something else")
        raise InputError(
            f"The {what} of {source} holds {held} (dtype {array.dtype}); give real numbers."
        )


def _tell_one_hot(fit: _Fit, labels: np.ndarray, ids: np.ndarray) -> Iterator[str]:
    """Remarks on one-hot labels."""
    if fit.layers:
        layers = f"their layers are the classes 1 to {fit.layers}"
        yield f"The labels {labels.shape} are one-hot; {layers}."
        if ids.all():
            yield (
                "Every pixel has a class; if the first layer means that it has none, "
                "`unlabelled`=1."
            )


def _tell_axis(cube: np.ndarray, fits: list[_Fit]) -> Iterator[str]:
    """Remarks on the axis of the bands, which the labels decide."""
    axis = fits[0].axis
    if axis != 2:
        yield f"The axes of the cube {cube.shape} are {_NAMES[axis]} (`band_axis`={axis})."
    if others := [fit.axis for fit in fits if fit.axis != axis]:
        yield (
            f"The axes of the cube {cube.shape} are taken as {_NAMES[axis]}; `band_axis`="
            f"{others[0]} would fit as well."
        )


def _misfit(cube: np.ndarray, labels: np.ndarray, axis: int, fits: list[_Fit]) -> str:
    """The end of the message on arrays that do not fit, with what would."""
    if fits:
        found = fits[0].axis
        return f": they fit as {_NAMES[found]}; give `band_axis`={found} instead of {axis}."
    shapes = [tuple(np.delete(cube.shape, a).tolist()) for a in _ORDERS]
    if labels.shape[::-1] in shapes:
        return (
            ": rows and columns of one of them are swapped; transpose the label map, or the rows "
            "and columns of the cube."
        )
    rows, columns = np.delete(cube.shape, axis).tolist()
    size = f"{rows} rows and {columns} columns"
    if labels.size == rows * columns:
        return f": the labels are a list, whose order of pixels is not known; give a map of {size}."
    if labels.shape in ((rows, columns, 3), (rows, columns, 4)) and labels.dtype == np.uint8:
        return f", which looks like a picture in colours; give one class id for each pixel, {size}."
    if labels.ndim == 3 and (labels.shape[:2] in shapes or labels.shape[1:] in shapes):
        return (
            f", but is not one-hot: not every pixel has 0 in all layers but one; give one class id "
            f"for each pixel, {size}."
        )
    return (
        f": no order of the axes fits both; give a cube and a map of the same rows and columns "
        f"(the cube would have {size})."
    )
