"""The sets of classes that a run promises, from its test pixels."""

from pathlib import Path

import numpy as np

from hsi_jax.data.splits.disjoint import blocks_of_pixels
from hsi_jax.errors import InputError
from hsi_jax.evaluate.measures.conformal import class_thresholds, measure_coverage
from hsi_jax.evaluate.run_files import read_run
from hsi_jax.models import find_trait
from hsi_jax.run.class_sets import ClassSets
from hsi_jax.run.summary import Summary
from hsi_jax.session.collection_options import COLLECTION
from hsi_jax.session.loading import open_scene
from hsi_jax.session.map_inputs import check_same_scene, config_of_run
from hsi_jax.train import evaluation
from hsi_jax.trained import TrainedModel
from hsi_jax.trained.model_inputs import labelled_inputs
from hsi_jax.trained.prediction_devices import PredictionDevices


def promise_sets(run: str, model: TrainedModel, level: float) -> ClassSets:
    """Thresholds from all test pixels of a run, and what they hold where halves of these are apart.

    Args:
        run: folder of a run on a scene that has ended, whose model it is.
        model: that predicts.
        level: wanted part of the pixels of each class, such as 0.9.

    Raises:
        InputError: if there is no such run, its test pixels are not known, or the model's
            probabilities mean nothing.
    """
    if not find_trait(model.network, "has_probabilities"):
        name = model.description.architecture
        raise InputError(f"`conformal`: the probabilities of {name} only order the classes")
    folder = Path(run)
    options, found = config_of_run(folder), read_run(folder)
    summary = found.summary
    if options.data.dataset == COLLECTION:
        raise InputError("`conformal` goes with the run of one scene, not of a collection")
    if not isinstance(summary, Summary) or found.prediction is None:
        raise InputError(f"`conformal`: {folder} has not ended, so it has no test pixels yet")
    scene = open_scene(options)
    check_same_scene(folder, scene)
    ids = np.flatnonzero(found.prediction["test"]).astype(np.int32)
    samples, labels, ids = labelled_inputs(model.description, model.preprocessing, scene, ids)
    size = model.description.microbatch_size
    devices = PredictionDevices(model.prediction_state(), size).arguments(samples)
    probabilities, truth = evaluation.predict_probabilities(ids=ids, **devices), labels[ids]
    side = max(options.split.block_size, model.description.input_shape[0])
    blocks = blocks_of_pixels(*scene.shape[:2], side)[ids]
    thresholds = class_thresholds(probabilities, truth, level)
    several = len(np.unique(blocks)) > 1
    names = model.description.class_names
    return ClassSets(
        level=level,
        thresholds=thresholds.tolist(),
        pixels=len(ids),
        split=summary.split.kind,
        too_few=[names[k] for k in np.flatnonzero(thresholds == 0)],
        random=measure_coverage(probabilities, truth, np.arange(len(ids)), level=level),
        disjoint=measure_coverage(probabilities, truth, blocks, level=level) if several else None,
        block_size=side,
        caveats=_caveats(summary),
    )


def _caveats(summary: Summary) -> list[str]:
    """What the promise does not cover."""
    sentences = [
        "The promise holds for pixels that could change places with the test pixels: other parts "
        "of the scene, where no label comes from, and other scenes could not."
    ]
    leakage = summary.split.leakage
    if leakage and leakage.test_pixels_with_training_pixel_in_patch:
        sentences.append(
            f"{leakage.fraction_of_test_pixels:.1%} of the test pixels have a training pixel in "
            f"their patch; where fewer have, sets hold the true class less often."
        )
    if summary.as_published and summary.as_published.deviations:
        sentences.append("Test pixels had a say in the training (as published).")
    return sentences


def describe_sets(sets: ClassSets, where: str) -> str:
    """Lines for the terminal."""
    found = sets.random
    lines = [
        f"Sets of classes: thresholds for {sets.level:.0%} of each class from {sets.pixels:,} test "
        f"pixels ({sets.split} split) in {where}",
        f"Checked on halves of them: drawn pixel by pixel {found.coverage:.1%} hold the true class "
        f"({found.mean_size:.1f} classes in a set)",
    ]
    if apart := sets.disjoint:
        lines.append(
            f"  drawn as blocks of {sets.block_size} x {sets.block_size} pixels "
            f"{apart.coverage:.1%} ({apart.mean_size:.1f} classes), in the worst class "
            f"{apart.lowest_class:.1%}"
        )
    if sets.too_few:
        lines.append(f"NOTE     too few test pixels, so in every set: {', '.join(sets.too_few)}")
    return "\n".join([*lines, *(f"NOTE     {caveat}" for caveat in sets.caveats)])
