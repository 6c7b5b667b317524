"""What a run has predicted, as arrays and as pictures."""

import numpy as np

from experiments.dataset import Dataset
from experiments.report import model_times
from experiments.setup import Setup
from hsi_jax.data.scene import Scene
from hsi_jax.data.split import Split
from hsi_jax.evaluate.confusion import draw_confusion
from hsi_jax.evaluate.curves import draw_curves
from hsi_jax.evaluate.gallery import choose_examples, draw_gallery
from hsi_jax.evaluate.map import draw_map, rgb_composite
from hsi_jax.evaluate.metrics import scores
from hsi_jax.evaluate.shares import draw_shares
from hsi_jax.train import Fit, Rebalancing, RunFolder


def draw_training(
    setup: Setup, fitted: Fit, rebalancing: Rebalancing | None, confusion: np.ndarray
) -> None:
    """Draws what every run has: curves, confusion matrix and shares."""
    folder = setup.folder
    folder.write_figure("curves.png", draw_curves(folder.read_metrics(), fitted.best_step))
    folder.write_figure("confusion.png", draw_confusion(confusion, setup.dataset.class_names))
    replicas, modelled = setup.replicas, model_times(setup.replicas)
    shares = draw_shares(
        replicas.profile.names,
        replicas.profile.speeds,
        replicas.plan.shares,
        replicas.plan.weights,
        modelled["modelled_device_times"],
        replicas.plan.scheme,
        replicas.profile.time_unit,
        modelled["modelled_device_times_even"],
        rebalancing.records if rebalancing else (),
    )
    folder.write_figure("shares.png", shares)


def write_map(
    folder: RunFolder, scene: Scene, split: Split, prediction: np.ndarray, confusion: np.ndarray
) -> None:
    """Saves the classes of all pixels: in the scene's own label ids (0 = unlabelled), and drawn.

    Args:
        folder: of the run.
        scene: that was classified.
        split: of its pixels.
        prediction: class indexes, int32 [rows, columns].
        confusion: of the test pixels, int [C, C].
    """
    sets = ("train", "validation", "test")
    masks = {name: _mask(getattr(split, name), scene.labels.shape) for name in sets}
    folder.write_arrays(
        "prediction.npz",
        prediction=scene.original_labels(prediction),
        truth=scene.original_labels(scene.labels),
        **masks,
    )
    rgb = rgb_composite(scene.cube, scene.rgb_bands) if scene.rgb_bands else None
    oa = scores(confusion).overall_accuracy
    title = f"{scene.name}: OA {oa:.2%} on test pixels, {split.kind} split"
    figure = draw_map(scene.labels, prediction, scene.class_names, masks["test"], rgb, title)
    folder.write_figure("map.png", figure)


def write_gallery(
    folder: RunFolder, dataset: Dataset, prediction: np.ndarray, confusion: np.ndarray
) -> None:
    """Saves the classes of the test images, and draws some, most of all wrong ones.

    Args:
        folder: of the run.
        dataset: images that were classified.
        prediction: class index of each test image, int32 [n].
        confusion: of the test images, int [C, C].
    """
    ids = dataset.split.test
    truth = dataset.labels[ids]
    folder.write_arrays("prediction.npz", ids=ids, prediction=prediction, truth=truth)
    shown = choose_examples(truth, prediction)
    oa = scores(confusion).overall_accuracy
    title = f"{dataset.name}: OA {oa:.2%} on test images, {dataset.split.kind} split"
    images = dataset.images.read(ids[shown])
    figure = draw_gallery(images, truth[shown], prediction[shown], dataset.class_names, title)
    folder.write_figure("gallery.png", figure)


def _mask(ids: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The pixels with these ids, bool [rows, columns]."""
    mask = np.zeros(shape, bool)
    mask.flat[ids] = True
    return mask
