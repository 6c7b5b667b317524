"""What summary.json and the terminal tell of a collection of scenes."""

import statistics
from typing import Any

import numpy as np

from hsi_jax.data.collection.labelled_pixels import LabelledPixels
from hsi_jax.data.collection.shared_places import find_shared
from hsi_jax.data.splits.split import Split
from hsi_jax.evaluate.measures.metrics import confusion_matrix, scores
from hsi_jax.run.summary import Summary
from hsi_jax.run.summary_parts import Leakage
from hsi_jax.run.summary_scenes import SceneResult, SceneSpread
from hsi_jax.train import Assessment, Dataset

MAX_SCENES = 12  # that are listed in the terminal


def summarise_scenes(dataset: Dataset, test: Assessment) -> dict[str, Any]:
    """The test in each scene, and how much it differs; nothing for other data."""
    pixels, ids = dataset.pixels, dataset.split.test
    if pixels is None:
        return {}
    number = pixels.scene_of(ids)
    results = []
    for tested in np.unique(number).tolist():
        here = number == tested
        truth = dataset.labels[ids[here]]
        own = scores(confusion_matrix(truth, test.classes[here], dataset.num_classes))
        results.append(
            SceneResult(
                name=pixels.collection[tested].name,
                test_pixels=int(np.count_nonzero(here)),
                overall_accuracy=own.overall_accuracy,
                average_accuracy=own.average_accuracy,
                kappa=own.kappa,
            )
        )
    return {"scenes": results, "scene_spread": _spread(results)}


def _spread(results: list[SceneResult]) -> SceneSpread | None:
    accuracies = [result.overall_accuracy for result in results]
    if len(accuracies) < 2:
        return None
    return SceneSpread(
        scenes=len(accuracies),
        mean=statistics.fmean(accuracies),
        deviation=statistics.stdev(accuracies),
        min=min(accuracies),
        max=max(accuracies),
    )


def measure_shared(pixels: LabelledPixels, split: Split, patch_size: int) -> Leakage:
    """What the test has in common with what was learnt from."""
    shared = find_shared(pixels, split, patch_size)
    validating = len(split.validation)
    return Leakage(
        test_pixels_with_training_pixel_in_patch=shared.in_patch,
        fraction_of_test_pixels=shared.in_patch / len(split.test),
        patch_size=patch_size,
        validation_pixels_with_training_pixel_in_patch=(
            shared.validation_in_patch if validating else None
        ),
        fraction_of_validation_pixels=(
            shared.validation_in_patch / validating if validating else None
        ),
        shared=shared.fractions,
    )


def describe_shared(leakage: Leakage | None) -> str:
    """What the test shares with the training, in words; "" where there is nothing to say."""
    if leakage is None or not leakage.shared:
        return ""
    parts = ", ".join(f"{name} {part:.1%}" for name, part in leakage.shared.items())
    return f"Test pixels that share with what is learnt from: {parts}"


def describe_scenes(summary: Summary) -> list[str]:
    """Lines on the test in each scene, the worst first, and on the spread."""
    if not summary.scenes:
        return []
    worst = sorted(summary.scenes, key=lambda result: result.overall_accuracy)
    width = max(len(result.name) for result in worst[:MAX_SCENES])
    lines = [
        f"  {result.name:<{width}}  OA {result.overall_accuracy:7.2%}  AA "
        f"{result.average_accuracy:7.2%}  kappa {result.kappa:7.4f}  {result.test_pixels} pixels"
        for result in worst[:MAX_SCENES]
    ]
    if len(worst) > MAX_SCENES:
        lines.append(f"  and {len(worst) - MAX_SCENES} better ones, see summary.json")
    if spread := summary.scene_spread:
        lines.append(
            f"OA over {spread.scenes} scenes, each counting once: mean {spread.mean:.2%}, standard "
            f"deviation {spread.deviation:.2%}, from {spread.min:.2%} to {spread.max:.2%}"
        )
    return lines
