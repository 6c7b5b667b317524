"""From the numbers of a file to the cube of a scene: its bands, and its pixels without data."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hsi_jax.data.scene.bands import check_some_left, constant_bands, dropped_bands, row_parts
from hsi_jax.data.scene.fill_values import FillValue, find_fill_values
from hsi_jax.data.scene.float32_values import check_finite, check_precision
from hsi_jax.data.scene.nodata import find_nodata, uncounted_bands
from hsi_jax.data.scene.read_options import CONSTANT, ReadOptions, bands_to_text, format_value
from hsi_jax.errors import InputError


@dataclass(frozen=True, eq=False)
class CheckedCube:
    """The bands of a cube that are used, and which of its pixels have data.

    Attributes:
        numbers: of the file's dtype, [rows, columns, bands]; finite where there are data.
        nodata: bool [rows, columns], True where a pixel has no data; None if all have.
        kept_bands: the bands of the file that are kept, increasing.
        remarks: what a user has to know about it, a sentence each.
    """

    numbers: np.ndarray
    nodata: np.ndarray | None
    kept_bands: tuple[int, ...]
    remarks: tuple[str, ...]

    @classmethod
    def of(
        cls,
        numbers: np.ndarray,
        reading: ReadOptions,
        nodata: np.ndarray | None = None,
        *,
        bad_bands: Sequence[int] = (),
        source: str,
    ) -> "CheckedCube":
        """Leaves out bands, and finds the pixels without data.

        Args:
            numbers: real, [rows, columns, bands].
            reading: what to leave out, and which values are no data.
            nodata: bool [rows, columns], pixels that are known to have no data.
            bad_bands: bands that the file declares as bad.
            source: where the cube comes from, for messages.

        Raises:
            InputError: if no band or no pixel is left, or if a value is not finite.
        """
        bands = numbers.shape[2]
        remarks = []
        dropped = dropped_bands(reading.drop_bands, bands, bad_bands, source)
        kept = np.setdiff1d(np.arange(bands), dropped)
        numbers = numbers[..., kept] if dropped else numbers
        bad = sorted(set(bad_bands) - set(dropped))
        if bad:
            remarks.append(
                f"The file declares the bands {bands_to_text(bad)} (counted from 0) as bad; "
                f"`drop_bands`={reading.dropping(['bad'])} leaves them out."
            )
        nodata, sentences = _mask(numbers, reading.nodata, nodata, source)
        has_data = np.ones(numbers.shape[:2], bool) if nodata is None else ~nodata
        constant = constant_bands(numbers, has_data)
        if constant and CONSTANT in reading.drop_bands:
            check_some_left(len(dropped) + len(constant), bands, source)
            numbers, kept = np.delete(numbers, constant, 2), np.delete(kept, constant)
        elif constant:
            sentences.append(
                f"The bands {bands_to_text(kept[constant].tolist())} (counted from 0) have one "
                f"value in all pixels; `drop_bands`={reading.dropping([CONSTANT])} leaves them out."
            )
        check_finite(numbers, has_data, source, bands=kept, reading=reading)
        sentences += check_precision(numbers, has_data, source, kept)
        return cls(numbers, nodata, tuple(kept.tolist()), (*remarks, *sentences))

    def look_for_fill_values(
        self, labelled: np.ndarray | None, reading: ReadOptions, source: str
    ) -> tuple[str, ...]:
        """Remarks on the values that look like "no data", a sentence each.

        Args:
            labelled: bool [rows, columns], or None.
            reading: which values are declared, and whether to accept others that would spoil the
                scaling.
            source: where the cube comes from, for messages.

        Raises:
            InputError: if they would spoil the scaling, or if a scene with labels has one spectrum.
        """
        has_data = np.ones(self.numbers.shape[:2], bool) if self.nodata is None else ~self.nodata
        ignored = constant_bands(self.numbers, has_data)
        if labelled is not None and len(ignored) == self.numbers.shape[2]:
            example = format_value(float(self.numbers[has_data][0, 0]))
            raise InputError(
                f"All pixels of the cube of {source} have the same spectrum, from which no "
                f"class can be learnt (the first value is {example}); check the file."
            )
        found = find_fill_values(self.numbers, has_data, labelled, ignored)
        spoiling = [fill for fill in found if fill.spoils]
        if spoiling and not reading.keep_fill_values:
            values = reading.declaring([fill.value for fill in spoiling])
            raise InputError(
                f"The cube of {source} has {', '.join(map(str, spoiling))} "
                f"({sum(fill.labelled for fill in spoiling)} of them labelled), far outside its "
                f"other values: this looks like 'no data' and would spoil the scaling. Give "
                f"`nodata`={values} to leave these pixels out, or `keep_fill_values`=True to take "
                f"them as data."
            )
        return tuple(_describe_fill(fill, reading) for fill in found)

    def to_float32(self) -> np.ndarray:
        """The cube of a scene: float32, C-contiguous, 0 where there is no data."""
        return zero_where(self.numbers, self.nodata)


def _describe_fill(fill: FillValue, reading: ReadOptions) -> str:
    labelled = f"The cube has {fill} ({fill.labelled} of them labelled), which are"
    if fill.saturated:
        return f"{labelled} saturated: this is the highest value. They are taken as data."
    return f"{labelled} taken as data; `nodata`={reading.declaring([fill.value])} leaves them out."


def zero_where(numbers: np.ndarray, nodata: np.ndarray | None) -> np.ndarray:
    """Numbers as a scene has them: float32, C-contiguous, 0 where there is no data.

    Args:
        numbers: real, [rows, columns, bands]; they are not changed, but may be what is returned.
        nodata: bool [rows, columns], or None.
    """
    if nodata is None:
        return np.ascontiguousarray(numbers, dtype=np.float32)
    with np.errstate(all="ignore"):  # where there is no data, the number may be anything
        cube = np.array(numbers, dtype=np.float32, order="C")
    cube[nodata] = 0
    return cube


def _mask(
    numbers: np.ndarray, values: Sequence[float], known: np.ndarray | None, source: str
) -> tuple[np.ndarray | None, list[str]]:
    """All pixels without data, or None, and remarks on them."""
    rows, columns, _ = numbers.shape
    mask, sentences = np.zeros((rows, columns), bool), []
    if known is not None:
        _check_mask(known, (rows, columns), source)
        mask |= known
    if values:
        ignored = uncounted_bands((numbers[part] for part in row_parts(numbers)), values)
        found = find_nodata(numbers, values, ignored)
        mask |= found.mask
        sentences = [f"No pixel has the no-data value {format_value(v)}." for v in found.absent]
        if found.in_part:
            sentences.append(
                f"{found.in_part} pixels without data have data in some bands, but not in all."
            )
    if mask.all():
        raise InputError(
            f"`nodata` of {source} leaves no pixel with data; check the values or the mask, or "
            f"leave out the bands that are empty with `drop_bands`."
        )
    return (mask if mask.any() or known is not None else None), sentences


def _check_mask(mask: np.ndarray, shape: tuple[int, int], source: str) -> None:
    mask = np.asarray(mask)
    if mask.shape != shape or mask.dtype != bool:
        raise InputError(
            f"`nodata` of {source} has shape {mask.shape} and dtype {mask.dtype}; give a mask "
            f"of {shape[0]} rows and {shape[1]} columns, dtype bool."
        )
