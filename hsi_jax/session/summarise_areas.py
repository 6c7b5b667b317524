"""The areas of the classes of a run's map, and what their intervals do not cover."""

import dataclasses

import numpy as np

from hsi_jax.data.scene.scene import Scene
from hsi_jax.data.splits.split import class_counts
from hsi_jax.errors import InputError
from hsi_jax.evaluate.maps.map_grid import Grid
from hsi_jax.evaluate.measures.areas import estimate_areas
from hsi_jax.run.area_summary import AreaSummary
from hsi_jax.run.summary import Summary
from hsi_jax.train import Dataset

SCATTERED = 0.1  # correlation of neighbouring pixels being labelled, below which labels are points
EVEN = 0.2  # by which the tested parts of the classes may differ


def summarise_areas(dataset: Dataset, summary: Summary, prediction: np.ndarray) -> AreaSummary:
    """The areas of the map of a run, from its test pixels.

    Args:
        dataset: of the run, a scene.
        summary: of the run.
        prediction: class indexes of the whole scene, int [rows, columns], -1 where it has no data.
    """
    scene = dataset.scene
    assert scene is not None
    mapped = np.bincount(prediction[prediction >= 0], minlength=dataset.num_classes)
    try:
        found = estimate_areas(summary.confusion_matrix, mapped)
    except InputError as error:
        return AreaSummary(problem=str(error))
    rows, columns = prediction.shape
    labelled = len(scene.labelled) / max(int((prediction >= 0).sum()), 1)
    drawn, caveats = _describe_draw(summary, scene, labelled)
    return dataclasses.replace(
        found,
        hectares_per_pixel=Grid(rows, columns, scene.crs, scene.transform).hectares_per_pixel,
        probability_sample=drawn,
        caveats=(*caveats, *_describe_bias(dataset, summary, labelled)),
    )


def adjust_areas(summary: Summary | None, mapped: np.ndarray) -> AreaSummary | None:
    """The areas of another map of a run's scene, by the test pixels of the run.

    Args:
        summary: of the run, or None where there is none.
        mapped: pixels of the map by class, int [C].

    Returns:
        None without a summary, or where its areas could not be estimated.
    """
    known = summary.areas if summary else None
    if summary is None or known is None:
        return None
    try:
        found = estimate_areas(summary.confusion_matrix, mapped)
    except InputError as error:
        return AreaSummary(problem=str(error))
    return dataclasses.replace(
        found,
        hectares_per_pixel=known.hectares_per_pixel,
        probability_sample=known.probability_sample,
        caveats=known.caveats,
    )


def describe_areas(areas: AreaSummary) -> str:
    """A line for the end of a run."""
    if areas.problem:
        return f"NOTE     no areas with intervals: {areas.problem}"
    beside = " and what these do not cover" if areas.caveats else ""
    return f"Areas of the classes with 95 % intervals{beside}: in summary.json and the report"


def describe_mapped_areas(areas: AreaSummary, file: str) -> str:
    """Lines for the end of a map: where its areas are, and what their intervals do not cover."""
    if areas.problem:
        return describe_areas(areas)
    lines = [f"Areas of the classes with 95 % intervals: in {file}"]
    return "\n".join([*lines, *(f"NOTE     {caveat}" for caveat in areas.caveats)])


def _describe_draw(
    summary: Summary, scene: Scene, labelled: float
) -> tuple[bool | None, tuple[str, ...]]:
    """Whether the test pixels were drawn at random from the whole map; sentences on it.

    Args:
        summary: of the run.
        scene: of the run.
        labelled: part of the map's pixels that have a label.
    """
    kind = summary.split.kind
    if kind in ("disjoint", "polygons"):
        groups = "blocks" if kind == "disjoint" else "polygons"
        return False, (
            f"The test pixels are whole {groups}, not pixels drawn one by one: pixels of one of "
            f"them are alike and count as fewer, so the true intervals are wider.",
        )
    if kind != "random":
        return None, (
            f"The split ({kind}) does not say how the test pixels were drawn. The intervals hold "
            f"if each was drawn at random from the whole map, or from each of its classes.",
        )
    if labelled >= 1:
        return True, ()
    if _is_scattered(scene):
        return None, (
            f"The test pixels are drawn at random from the {labelled:.1%} of the map that has "
            f"labels. The intervals hold for the whole map if these places were drawn at random.",
        )
    return False, (
        f"The test pixels are drawn at random from labelled areas, {labelled:.1%} of the map. The "
        f"intervals cover the chance of that draw alone, not how these areas were chosen: what "
        f"lies outside them may be classified worse.",
    )


def _describe_bias(dataset: Dataset, summary: Summary, labelled: float) -> tuple[str, ...]:
    """Sentences on what makes the test pixels better, or other, than the map."""
    sentences = []
    leakage = summary.split.leakage
    if leakage and leakage.test_pixels_with_training_pixel_in_patch and labelled < 1:
        sentences.append(
            f"{leakage.fraction_of_test_pixels:.1%} of the test pixels have a training pixel in "
            f"their patch, and fewer pixels of the map do: no interval covers that the errors "
            f"elsewhere may be more."
        )
    if summary.as_published and summary.as_published.deviations:
        sentences.append(
            "Test pixels had a say in the training (as published), so the errors are too few."
        )
    counts = class_counts(dataset.scene.labelled, dataset.labels, dataset.num_classes)  # pyright: ignore[reportOptionalMemberAccess]
    tested = class_counts(dataset.split.test, dataset.labels, dataset.num_classes)
    parts = tested[counts > 0] / counts[counts > 0]
    if np.ptp(parts) > EVEN:
        sentences.append(
            f"From {parts.min():.0%} to {parts.max():.0%} of a class's labelled pixels are tested, "
            f"so classes count by another measure than their area."
        )
    return tuple(sentences)


def _is_scattered(scene: Scene) -> bool:
    """Whether the labelled pixels lie apart, as points drawn at random do."""
    mask = np.zeros(scene.shape[:2], bool)
    mask.flat[scene.labelled] = True
    correlations = [
        np.corrcoef(one.ravel(), other.ravel())[0, 1]
        for one, other in ((mask[1:], mask[:-1]), (mask[:, 1:], mask[:, :-1]))
        if one.any() and not one.all() and other.any() and not other.all()
    ]
    return bool(correlations) and max(correlations) < SCATTERED
