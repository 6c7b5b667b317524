"""A small scene whose truth is known, and cases of files that hold it."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from hsi_jax.data import Preprocessing, Scene
from hsi_jax.errors import InputError
from hsi_jax.session.loading import open_scene, split_scene
from hsi_jax.session.options import RunOptions
from tests.field.cases.case import Case, Mistake
from tests.field.cases.expected import REFUSED, REMEDIES

ROWS, COLUMNS, BANDS, CLASSES = 40, 50, 20, 4
MIN_ACCURACY = 0.97

Make = Callable[[Path, np.ndarray, np.ndarray], Mapping[str, object] | None]


def small_scene() -> tuple[np.ndarray, np.ndarray]:
    """A cube, int16 [rows, columns, bands], and labels, uint8: 1 to 4 in blocks, 0 around them."""
    rng = np.random.default_rng(7)
    labels = np.zeros((ROWS, COLUMNS), np.uint8)
    for row in range(3, ROWS - 3):
        for column in range(3, COLUMNS - 3):
            labels[row, column] = 1 + (row // 9 + column // 11) % CLASSES
    spectra = rng.uniform(400, 3000, (CLASSES + 1, BANDS))
    cube = spectra[labels] + rng.normal(0, 60, (ROWS, COLUMNS, BANDS))
    return cube.round().astype(np.int16), labels


def npy(cube: np.ndarray | None = None, labels: np.ndarray | None = None) -> Make:
    """Writes cube.npy and labels.npy; None for those of the small scene."""

    def make(folder: Path, own_cube: np.ndarray, own_labels: np.ndarray) -> None:
        np.save(folder / "cube.npy", own_cube if cube is None else cube)
        np.save(folder / "labels.npy", own_labels if labels is None else labels)

    return make


def scene_case(
    name: str,
    make: Make,
    *,
    truth: np.ndarray | None = None,
    missing: np.ndarray | None = None,
    min_accuracy: float = MIN_ACCURACY,
    says: str = "",
    **flags: object,
) -> Case:
    """A case of files of a scene.

    Args:
        name: of the case.
        make: writes the files, cube.npy and labels.npy if it returns no other flags.
        truth: the right class of each pixel, 0 for none; default that of the small scene.
        missing: bool, pixels that have no data.
        min_accuracy: that a right result has.
        says: words of the remarks, as a regular expression.
        flags: of the run, besides.
    """
    true_labels = small_scene()[1] if truth is None else truth

    def try_it(folder: Path) -> str:
        given = make(folder, *small_scene()) or {}
        files = {"cube": "cube.npy", "labels": "labels.npy"} | dict(given)
        paths = {key: str(folder / str(files.pop(key))) for key in ("cube", "labels")}
        options = {**paths, **files, **flags}
        expected = (true_labels, missing, min_accuracy, says)
        try:
            return _check(options, *expected)
        except InputError as error:
            if name in REMEDIES:
                _follow(str(error), options, REMEDIES[name], *expected)
            raise

    return Case(name, try_it, REFUSED.get(name, ""))


def _follow(message: str, options: dict, remedy: Mapping[str, str], *expected) -> None:
    """What the message advises must work."""
    for flag, value in remedy.items():
        if f"`{flag}`={value}" not in message:
            raise Mistake(f"does not advise {flag}={value}: {message}")
    try:
        _check(options | dict(remedy), *expected)
    except (InputError, Mistake) as again:
        raise Mistake(f"its advice does not help: {message}; then: {again}") from None


def _check(
    options: dict, truth: np.ndarray, missing: np.ndarray | None, min_accuracy: float, says: str
) -> str:
    """Reads the scene and compares it with the truth."""
    options = RunOptions.of(dataset="file", **options)
    scene = open_scene(options)
    if scene.shape[:2] != truth.shape:
        raise Mistake(f"has the shape {scene.shape}, not {truth.shape}")
    without = np.zeros(truth.shape, bool) if scene.nodata is None else scene.nodata
    if missing is not None and (without != missing).any():
        raise Mistake(f"has {without.sum()} pixels without data, not {missing.sum()}")
    labelled = (truth > 0) & ~without
    found = scene.require_labels() >= 0
    if (labelled != found).any():
        raise Mistake(f"has {found.sum()} labelled pixels, not {labelled.sum()}")
    pairs = {*zip(truth[labelled].tolist(), scene.labels[labelled].tolist(), strict=True)}
    if len(pairs) != len(np.unique(truth[labelled])) or len(pairs) != scene.num_classes:
        raise Mistake(f"has {scene.num_classes} classes that are not those of the truth")
    accuracy = nearest_mean_accuracy(options, scene)
    if accuracy < min_accuracy:
        raise Mistake(f"has an accuracy of {accuracy:.1%}, silently")
    said = " ".join(scene.remarks)
    if not re.search(says, said):
        raise Mistake(f"does not say {says!r}, but: {said}")
    return f"accuracy {accuracy:.1%}. {said}".strip()


def nearest_mean_accuracy(options: RunOptions, scene: Scene) -> float:
    """Accuracy on the test pixels of the class whose mean scaled training spectrum is nearest."""
    split = split_scene(options, scene)
    labels = scene.require_labels().ravel()
    scaled = Preprocessing.fit(scene.cube, split.train).transform(scene.cube)
    spectra = scaled.reshape(-1, scaled.shape[-1])
    if not np.isfinite(spectra).all():
        raise Mistake("has scaled spectra that are not finite")
    means = np.stack(
        [spectra[split.train[labels[split.train] == k]].mean(0) for k in range(scene.num_classes)]
    )
    distances = ((spectra[split.test, None] - means) ** 2).sum(-1)
    return float((distances.argmin(1) == labels[split.test]).mean())
