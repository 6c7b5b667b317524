"""The files in the folder of a run, as figures and pages need them.

Missing and unreadable files are listed, not raised. A folder may come from anybody: links and
devices in it are not followed, and no array file unpacks to much more than its size.
"""

import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.palette import hex_colours, rgb_colours
from hsi_jax.json_file import read_json
from hsi_jax.run.class_sets import NAME as CLASS_SETS
from hsi_jax.run.class_sets import ClassSets, read_class_sets
from hsi_jax.run.pretraining_summary import PretrainingSummary, read_pretraining
from hsi_jax.run.records import Record, read_records
from hsi_jax.run.summary import Outcome, RunFacts, Summary, read_outcome, read_summary
from hsi_jax.run.verification import NAME as VERIFICATION
from hsi_jax.run.verification import Verification, read_verification

_MAX_COUNT = 2**53  # larger than any count, and a number of JavaScript
_MAX_UNPACKED = 2**26  # bytes that the arrays of any file may take
_MAX_RATIO = 300  # of a larger one: to the file's size; class maps reach some 100
_MAX_PICTURE = 2**26  # bytes
_PNG = b"\x89PNG\r\n\x1a\n"
_UNREADABLE = (
    *(OSError, ValueError, KeyError, EOFError, MemoryError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error),
)


@dataclass(frozen=True, kw_only=True)
class RunFiles:
    """What was found in the folder of a run.

    Attributes:
        path: the folder.
        config: its options; empty if they cannot be read.
        profile: its devices, as profile.json has them; empty if they cannot be read.
        summary: of the run; an `Outcome` where another version or program wrote it, None if there
            is none.
        records: its steps and evaluations.
        class_names: C names; none if they are not known.
        class_ids: the id of each class in prediction.npz.
        colours: of each class, "#rrggbb".
        prediction: the arrays of prediction.npz; None if there is none.
        spectra: the arrays of spectra.npz; None if there is none.
        pretraining: the summary of a run without labels, which has no other; or None.
        reconstruction: the arrays of its reconstruction.npz; None if there are none.
        gallery: the bytes of gallery.png; None if there is none.
        verification: what a replay has found; None if there was none.
        class_sets: of its classes, with a promise; None where none were asked for.
        missing: sentences, each about something that is not there.
    """

    path: Path
    config: dict
    profile: dict
    summary: Outcome | None
    records: list[Record]
    class_names: tuple[str, ...] = ()
    class_ids: tuple[int, ...] = ()
    colours: tuple[str, ...] = ()
    prediction: dict[str, np.ndarray] | None = None
    spectra: dict[str, np.ndarray] | None = None
    pretraining: PretrainingSummary | None = None
    reconstruction: dict[str, np.ndarray] | None = None
    gallery: bytes | None = None
    verification: Verification | None = None
    class_sets: ClassSets | None = None
    missing: list[str] = field(default_factory=list)

    @property
    def facts(self) -> RunFacts | None:
        """What a run of ours tells, whatever was learnt."""
        return self.summary if isinstance(self.summary, Summary) else self.pretraining


def read_run(path: str | Path) -> RunFiles:
    """Reads the folder of a run, finished or not.

    Raises:
        InputError: if it holds no run.
    """
    path = Path(path)
    names = "config.json", "summary.json"
    try:
        found = path.is_dir() and any((path / name).is_file() for name in names)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    if not found:
        raise InputError(f"{path} holds no run (no config.json); give the folder of a run")
    missing: list[str] = []
    pretraining = _read_pretraining(path)
    summary = None if pretraining else _read_summary(path, missing)
    class_names, class_ids, colours = _read_classes(path, summary, missing)
    records = _read_records(path, missing)
    prediction = _read_arrays(path / "prediction.npz", missing) if summary else None
    gallery = _read_gallery(path / "gallery.png", missing)
    is_map = prediction is not None and getattr(prediction.get("prediction"), "ndim", 0) == 2
    if prediction is not None and not is_map:
        prediction = None
        of_scenes = isinstance(summary, Summary) and bool(summary.scenes)
        if gallery is None and not of_scenes:  # `predict` maps many scenes
            missing.append("There is neither a map nor a gallery of images.")
    return RunFiles(
        path=path,
        config=_read_table(path / "config.json", missing),
        profile=_read_table(path / "profile.json", missing),
        summary=summary,
        records=records,
        class_names=class_names,
        class_ids=class_ids,
        colours=colours,
        prediction=prediction,
        spectra=_read_arrays(path / "spectra.npz", missing) if is_map else None,
        pretraining=pretraining,
        reconstruction=_read_arrays(path / "reconstruction.npz", missing) if pretraining else None,
        gallery=gallery,
        verification=_read_verification(path / VERIFICATION, missing),
        class_sets=_read_class_sets(path / CLASS_SETS, missing),
        missing=missing,
    )


def _read_summary(path: Path, missing: list[str]) -> Outcome | None:
    file = path / "summary.json"
    if not file.exists():
        missing.append(
            "There is no summary.json: the run has not ended, or was killed. So there are no "
            "accuracies and no map yet, only its steps so far."
        )
        return None
    try:
        return read_summary(file)
    except InputError as error:
        problem = str(error)
    try:
        outcome = read_outcome(file)
    except InputError:
        missing.append(f"The accuracies are missing: {problem}")
        return None
    missing.append(f"Written by another version or program, so something is left out: {problem}")
    return outcome


def _read_pretraining(path: Path) -> PretrainingSummary | None:
    try:
        return read_pretraining(path / "summary.json")
    except InputError:  # it is of a run with labels, or none, which `_read_summary` tells
        return None


def _read_verification(file: Path, missing: list[str]) -> Verification | None:
    try:
        return read_verification(file) if file.exists() else None
    except InputError as error:
        missing.append(f"What a replay has found is missing: {error}")
        return None


def _read_class_sets(file: Path, missing: list[str]) -> ClassSets | None:
    try:
        return read_class_sets(file) if file.exists() else None
    except InputError as error:
        missing.append(f"The sets of classes are missing: {error}")
        return None


def _read_classes(
    path: Path, summary: Outcome | None, missing: list[str]
) -> tuple[tuple[str, ...], tuple[int, ...], tuple[str, ...]]:
    """Names, ids and colours of the classes that the summary counts."""
    if summary is None:
        return (), (), ()
    size = len(summary.confusion_matrix)
    rows = summary.confusion_matrix
    if not size or any(len(r) != size or min(r) < 0 or max(r) >= _MAX_COUNT for r in rows):
        missing.append("The confusion matrix of summary.json is not square, or holds no counts.")
        return (), (), ()
    names, ids = tuple(f"class {index + 1}" for index in range(size)), tuple(range(1, size + 1))
    if isinstance(summary, Summary) and len(summary.class_names) == len(summary.class_ids) == size:
        names, ids = summary.class_names, summary.class_ids
    colours = hex_colours(size)
    description = path / "model" / "model.json"
    if description.is_file():
        try:
            of_model = tuple(read_json(description)["colours"])
            rgb_colours(of_model)
        except (InputError, LookupError, TypeError):
            missing.append("The colours in model/model.json cannot be read; others are taken.")
        else:
            colours = of_model if len(of_model) == size else colours
    return names, ids, colours


def _read_records(path: Path, missing: list[str]) -> list[Record]:
    file = path / "metrics.jsonl"
    try:
        if file.exists() and not _is_plain(file):
            raise OSError(0, "it is no file of this folder")
        records = read_records(file.read_bytes().splitlines())
    except OSError as error:
        missing.append(f"The curves are missing: metrics.jsonl cannot be read: {error.strerror}.")
        return []
    if not records:
        missing.append("The curves are missing: metrics.jsonl holds no step yet.")
    return records


def _read_table(file: Path, missing: list[str]) -> dict:
    try:
        content = read_json(file)
    except InputError as error:
        missing.append(f"{error}.")
        return {}
    if not isinstance(content, dict):
        missing.append(f"{file.name} holds no options.")
        return {}
    return content


def _is_plain(file: Path) -> bool:
    """Whether it is a file of the folder itself: no link, pipe or device."""
    return file.is_file() and not file.is_symlink()


def _read_arrays(file: Path, missing: list[str]) -> dict[str, np.ndarray] | None:
    if not _is_plain(file):
        missing.append(f"There is no {file.name}: the run was made without it, or by an older one.")
        return None
    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > max(_MAX_UNPACKED, _MAX_RATIO * file.stat().st_size):
            raise ValueError(f"it would unpack to {unpacked:,} bytes, far more than its own size")
        with open(file, "rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return dict(arrays)
    except _UNREADABLE as error:
        missing.append(f"{file.name} cannot be read: {' '.join(str(error).split())[:200]}.")
        return None


def _read_gallery(file: Path, missing: list[str]) -> bytes | None:
    if not file.exists():
        return None
    try:
        if not _is_plain(file) or file.stat().st_size > _MAX_PICTURE:
            raise OSError(0, "it is no picture of this folder")
        content = file.read_bytes()
    except OSError as error:
        missing.append(f"gallery.png cannot be read: {error.strerror}.")
        return None
    if not content.startswith(_PNG):
        missing.append("gallery.png is no PNG.")
        return None
    return content
