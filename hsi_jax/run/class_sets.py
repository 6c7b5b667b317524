"""Sets of classes that a run promises, as class_sets.json in its folder tells it."""

from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from hsi_jax.errors import InputError, StorageError
from hsi_jax.json_file import read_json

NAME = "class_sets.json"


@dataclass(frozen=True, kw_only=True)
class SetCoverage:
    """How often sets hold the true class, over several divisions of the test pixels in halves.

    One half gives the thresholds, the other is looked at.

    Attributes:
        coverage: part of the pixels whose set holds their class.
        lowest_class: the same of the class with the lowest.
        mean_size: classes in a set, as mean.
    """

    coverage: float
    lowest_class: float
    mean_size: float


@dataclass(frozen=True, kw_only=True)
class ClassSets:
    """Thresholds of the classes: a class is in the set where its probability reaches its own.

    Attributes:
        level: part of the pixels of each class that is to have it in the set.
        thresholds: of the classes, [C]; 0 where a class has too few pixels for the promise.
        pixels: the test pixels that they come from.
        split: kind of the split that these pixels are the test of.
        too_few: names of the classes whose threshold is 0.
        random: where the halves are drawn pixel by pixel, as the promise needs it.
        disjoint: where they are drawn as whole blocks; None where there are not enough blocks.
        block_size: pixels, of a side of these blocks.
        caveats: sentences on what the promise does not cover.
    """

    level: float
    thresholds: list[float]
    pixels: int
    split: str
    too_few: list[str]
    random: SetCoverage
    disjoint: SetCoverage | None
    block_size: int
    caveats: list[str] = field(default_factory=list)

    def write(self, folder: Path) -> Path:
        """Writes it into the folder of the run, over that of another level.

        Raises:
            StorageError: if that fails.
        """
        path = folder / NAME
        partial = path.with_name(f".{NAME}.partial")
        try:
            partial.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")
            partial.replace(path)
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error.strerror}") from None
        return path


def read_class_sets(path: Path) -> ClassSets:
    """What `ClassSets.write` has written.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        return msgspec.convert(read_json(path), ClassSets)
    except msgspec.ValidationError as error:
        raise InputError(f"{path} does not tell the class sets of a run: {error}") from None
