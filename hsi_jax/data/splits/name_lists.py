"""A split of a set of images by lists of their file names, such as TorchGeo's of EuroSAT."""

import glob
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from hsi_jax.data.files.file_kind import no_such_file
from hsi_jax.data.splits.split import NO_IDS, Split
from hsi_jax.errors import InputError

SUFFIX = ".txt"
_SETS = {"train": ("train",), "validation": ("val", "valid", "validation"), "test": ("test",)}
_MAX_BYTES = 2**28


def name_list_split(pattern: str, names: Sequence[str], labels: np.ndarray) -> Split:
    """The images that lists name train, validate and test; others are in no set.

    Args:
        pattern: of the lists, such as "eurosat-spatial-*.txt": text files with a name a line, whose
            own names end in train, test and, where there is one, val. Suffixes such as .jpg do not
            count.
        names: the file name of each image.
        labels: class index of each image, or -1, int [n].

    Raises:
        InputError: if a list is missing, names an image that is not there, twice, or in two lists,
            or if names of images are not unique.
    """
    numbers = {Path(name).stem: number for number, name in enumerate(names)}
    if len(numbers) < len(names):
        raise InputError(
            f"`split`={pattern}: several images have the same name in their folders, so a list of "
            f"names does not tell them apart"
        )
    files = {name: path for name in _SETS if (path := _find(pattern, name))}
    for name in ("train", "test"):
        if name not in files:
            raise no_such_file(pattern, f"whose name ends in {name}{SUFFIX} and fits ")
    sets = {name: _read(path, numbers, labels) for name, path in files.items()}
    for one, other in combinations(sets, 2):
        if both := np.intersect1d(sets[one], sets[other]).size:
            raise InputError(f"{both} images are in both {files[one]} and {files[other]}")
    remarks = [f"By the lists {', '.join(path.name for path in files.values())}."]
    if unused := len(names) - sum(map(len, sets.values())):
        remarks.append(f"{unused} images are in no list.")
    validation = sets.get("validation", NO_IDS)
    return Split("lists", sets["train"], validation, sets["test"], tuple(remarks))


def _find(pattern: str, name: str) -> Path | None:
    """The list of a set, by the end of its name."""
    found = [
        Path(path)
        for path in sorted(glob.glob(pattern))
        if Path(path).stem.lower().endswith(_SETS[name])
    ]
    if len(found) > 1:
        raise InputError(
            f"`split`={pattern}: {', '.join(path.name for path in found)} are several lists of "
            f"images to {name}; give a pattern that fits one of each"
        )
    return found[0] if found else None


def _read(path: Path, numbers: dict[str, int], labels: np.ndarray) -> np.ndarray:
    """The sample ids of a list, int32, increasing."""
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(f"{path} has more than {_MAX_BYTES} bytes; a list of names has not")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    stems = [Path(line.strip()).stem for line in lines if line.strip()]
    unknown = [stem for stem in stems if stem not in numbers]
    if unknown:
        raise InputError(
            f"{path} names {unknown[0]}, which the set does not have ({len(unknown)} of "
            f"{len(stems)} names are unknown); give the lists of this set"
        )
    ids = np.unique([numbers[stem] for stem in stems]).astype(np.int32)
    if len(ids) < len(stems):
        raise InputError(f"{path} names {len(stems) - len(ids)} images twice; remove one of each")
    if (labels[ids] < 0).any():
        raise InputError(f"{path} names images without a class; remove them")
    return ids
