"""What a run writes at its end: summary, trained model, maps and pictures."""

from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from experiments import console
from experiments.setup import Setup
from hsi_jax.cluster.processes import rank
from hsi_jax.data.scene import UNLABELLED, Scene
from hsi_jax.errors import InputError
from hsi_jax.evaluate.confusion import draw_confusion
from hsi_jax.evaluate.curves import draw_curves
from hsi_jax.evaluate.gallery import choose_examples, draw_gallery
from hsi_jax.evaluate.lettering import captions
from hsi_jax.evaluate.map import draw_map, rgb_composite
from hsi_jax.evaluate.reliability import draw_reliability
from hsi_jax.evaluate.shares import draw_shares
from hsi_jax.evaluate.spectra import class_spectra
from hsi_jax.run import RunFolder
from hsi_jax.run.summary import Summary
from hsi_jax.train import Assessment, Dataset, TrainedModel, TrainState, predict


def write_results(
    setup: Setup, state: TrainState, test: Assessment, model: TrainedModel, summary: Summary
) -> None:
    """Writes the summary, the model, all pictures and the map; every process does its part."""
    folder, formats = setup.folder, setup.resolved.figures
    folder.write_summary(summary)
    model.save(folder.model, overwrite=True)
    console.say(console.describe_end(summary))
    if rank() == 0:
        names = captions(summary.class_names, summary.class_ids)
        confusion = draw_confusion(test.confusion, names)
        folder.write_figure("confusion", confusion, formats)
        if summary.calibration:
            folder.write_figure("reliability", draw_reliability(summary.calibration), formats)
        if summary.steps:
            curves = draw_curves(folder.read_records(), summary.best_step)
            folder.write_figure("curves", curves, formats)
            folder.write_figure("shares", draw_shares(summary), formats)
    if setup.dataset.scene is not None:
        _map_scene(setup, setup.dataset.scene, state, test)
    elif rank() == 0:
        _write_gallery(folder, setup.dataset, test, formats)
    if rank() == 0:
        console.say(f"Results: {folder.path}")


def _map_scene(setup: Setup, scene: Scene, state: TrainState, test: Assessment) -> None:
    """Classifies and draws all pixels of the scene."""
    shape = scene.cube.shape[:2]
    ids = np.arange(shape[0] * shape[1], dtype=np.int32)
    if scene.nodata is not None:
        ids = ids[~scene.nodata.ravel()]
    classes = np.full(shape, UNLABELLED, np.int32)
    quiet = True if rank() > 0 else None  # None: a bar on a terminal only
    with tqdm(total=len(ids), unit="pixel", desc="map", disable=quiet) as bar:
        classes.flat[ids], _ = predict(
            setup.replicas,
            state,
            ids,
            profile=setup.profile,
            plan=setup.plan,
            on_progress=bar.update,
        )
    if rank() == 0:
        _write_map(setup, scene, classes, test)


def _write_map(setup: Setup, scene: Scene, prediction: np.ndarray, test: Assessment) -> None:
    """Saves the classes of all pixels: in the scene's own label ids and drawn."""
    folder, split = setup.folder, setup.dataset.split
    sets = ("train", "validation", "test")
    masks = {name: _mask(getattr(split, name), prediction.shape) for name in sets}
    folder.write_arrays(
        "prediction.npz",
        prediction=scene.original_labels(prediction),
        truth=scene.original_labels(scene.require_labels()),
        **masks,
    )
    _write_spectra(folder, scene)
    if min(prediction.shape) == 1:
        return  # a list of pixels makes no picture
    rgb = rgb_composite(scene.cube, scene.rgb_bands, scene.nodata) if scene.rgb_bands else None
    oa = test.scores.overall_accuracy
    published = ", as published" if setup.config.as_published else ""
    title = f"{scene.name}: OA {oa:.2%} on test pixels, {split.kind} split{published}"
    figure = draw_map(
        scene.require_labels(),
        prediction,
        captions(scene.class_names, scene.class_ids),
        test_mask=masks["test"],
        rgb=rgb,
        nodata=scene.nodata,
        title=title,
        transform=scene.transform,
        crs=scene.crs,
    )
    folder.write_figure("map", figure, setup.resolved.figures)


def _write_spectra(folder: RunFolder, scene: Scene) -> None:
    """Saves the spectra of the classes, over all labelled pixels, as they are in the file."""
    try:
        mean, deviation = class_spectra(scene.cube, scene.require_labels(), scene.num_classes)
    except InputError as error:  # its file is read once more, and may be gone after hours
        console.say(f"NOTE     no spectra.npz is written: {error}")
        return
    known = {} if scene.wavelengths is None else {"wavelengths": scene.wavelengths}
    folder.write_arrays("spectra.npz", mean=mean, deviation=deviation, **known)


def _write_gallery(
    folder: RunFolder, dataset: Dataset, test: Assessment, formats: Sequence[str]
) -> None:
    """Saves the classes of the test images, and draws some of them, wrong ones first."""
    ids = dataset.split.test
    truth = dataset.labels[ids]
    folder.write_arrays("prediction.npz", ids=ids, prediction=test.classes, truth=truth)
    shown = choose_examples(truth, test.classes)
    title = (
        f"{dataset.name}: OA {test.scores.overall_accuracy:.2%} on test images, "
        f"{dataset.split.kind} split"
    )
    images = dataset.images.read(ids[shown])
    figure = draw_gallery(
        images,
        truth[shown],
        test.classes[shown],
        class_names=captions(dataset.class_names, dataset.class_ids),
        title=title,
    )
    folder.write_figure("gallery", figure, formats)


def _mask(ids: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The pixels with these ids, bool [rows, columns]."""
    mask = np.zeros(shape, bool)
    mask.flat[ids] = True
    return mask
