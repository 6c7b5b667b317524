"""How the arrays of a scene are to be understood where they do not tell it themselves."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hsi_jax.errors import InputError

CONSTANT, BAD = "constant", "bad"  # words that stand for bands
MAX_FLOAT32 = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class ReadOptions:
    """What a user says of a scene's arrays.

    Attributes:
        unlabelled: ids of pixels without a class, any number of them; the first is written to maps.
            Empty if every id is a class, None for the rule of `hsi_jax.data.scene.label_ids`.
        nodata: values of pixels without data; NaN stands for all that is not finite.
        drop_bands: bands to leave out, counted from 0, and the words "constant" (bands with a
            single value) and "bad" (bands that the file declares as bad).
        band_axis: axis of the cube along which the bands lie, or None: that which the shape of the
            labels decides, or else the last.
        keep_fill_values: whether values that look like "no data" are taken as data.

    Raises:
        InputError: on a value that cannot be used.
    """

    unlabelled: tuple[int, ...] | None = None
    nodata: tuple[float, ...] = ()
    drop_bands: tuple[int | str, ...] = ()
    band_axis: int | None = None
    keep_fill_values: bool = False

    def __post_init__(self):
        for band in self.drop_bands:
            if isinstance(band, str) and band not in (CONSTANT, BAD):
                raise InputError(
                    f"`drop_bands`={band}: give numbers, counted from 0, {CONSTANT} or {BAD}"
                )
        if self.band_axis not in (None, 0, 1, 2):
            raise InputError(f"`band_axis`={self.band_axis}: give 0, 1 or 2")

    def dropping(self, more: Sequence[int | str]) -> str:
        """The text of `drop_bands` that leaves out more bands than it does now."""
        together = [*self.drop_bands, *more]
        bands = sorted({band for band in together if not isinstance(band, str)})
        words = dict.fromkeys(word for word in together if isinstance(word, str))
        return ",".join([*([bands_to_text(bands)] if bands else []), *words])

    def declaring(self, more: Sequence[float]) -> str:
        """The text of `nodata` that declares more values than it does now."""
        return ",".join(dict.fromkeys(map(format_value, (*self.nodata, *more))))

    @classmethod
    def parse(
        cls,
        *,
        unlabelled: str = "",
        nodata: str = "",
        drop_bands: str = "",
        band_axis: str = "auto",
        keep_fill_values: bool = False,
    ) -> "ReadOptions":
        """Reads it from texts, as they stand on a command line.

        Args:
            unlabelled: ids between commas such as "0,255", or "none"; "" for the rule. NaN, which
                is never a class, may stand among them.
            nodata: numbers between commas such as "-9999,nan".
            drop_bands: numbers and ranges, both ends included, such as "104-108,150-163,constant".
            band_axis: "0", "1", "2" or "auto".
            keep_fill_values: see `ReadOptions`.

        Raises:
            InputError: on a text that cannot be read.
        """
        return cls(
            _parse_unlabelled(unlabelled),
            tuple(_parse_number(part, nodata) for part in _parts(nodata)),
            tuple(_parse_bands(drop_bands)),
            None if band_axis == "auto" else _parse_axis(band_axis),
            keep_fill_values,
        )


def format_value(value: float) -> str:
    """A value as a flag takes it: whole where it is whole, else with the digits of float32."""
    if abs(value) < 1e15 and value == int(value):
        return f"{int(value)}"
    return str(np.float32(value)) if abs(value) <= MAX_FLOAT32 else f"{value:.9g}"


def bands_to_text(bands: list[int]) -> str:
    """Writes increasing numbers of bands as `ReadOptions.parse` reads them, such as "3,7,9-12"."""
    runs: list[list[int]] = []
    for band in bands:
        if runs and band == runs[-1][-1] + 1:
            runs[-1].append(band)
        else:
            runs.append([band])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")] if text.strip() else []


def _parse_unlabelled(text: str) -> tuple[int, ...] | None:
    parts = _parts(text)
    if not parts:
        return None
    if parts == ["none"]:
        return ()
    try:
        return tuple(int(part) for part in parts if part.lower() != "nan")
    except ValueError:
        raise InputError(
            f"`unlabelled`={text}: give whole numbers between commas, such as 0,255, or none"
        ) from None


def _parse_number(part: str, text: str) -> float:
    try:
        number = float(part)
    except ValueError:
        raise InputError(
            f"`nodata`={text}: give numbers between commas, such as -9999, or nan"
        ) from None
    return number if math.isfinite(number) else math.nan


def _parse_bands(text: str) -> Iterator[int | str]:
    for part in _parts(text):
        found = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if found is None and part not in (CONSTANT, BAD):
            raise InputError(
                f"`drop_bands`={text}: give numbers and ranges between commas, counted from 0, "
                f"such as 103-107,219; or {CONSTANT}, or {BAD}"
            )
        if found is None:
            yield part
            continue
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise InputError(f"`drop_bands`={text}: the range {part} ends before it begins")
        yield from range(first, min(last, first + 1_000_000) + 1)


def _parse_axis(text: str) -> int:
    if text not in ("0", "1", "2"):
        raise InputError(f"`band_axis`={text}: give 0, 1, 2 or auto")
    return int(text)
