"""What a run writes at its end: summary, trained model, maps and pictures."""

import dataclasses

import numpy as np
from tqdm import tqdm

from hsi_jax.cluster.exchange import by_first, is_first
from hsi_jax.data.collection.labelled_pixels import LabelledPixels
from hsi_jax.data.scene.scene import UNLABELLED, Scene
from hsi_jax.errors import InputError
from hsi_jax.evaluate.measures.spectra import class_spectra
from hsi_jax.run import RunFolder
from hsi_jax.run.summary import Summary
from hsi_jax.session import console
from hsi_jax.session.setup import Setup
from hsi_jax.session.summarise_areas import describe_areas, summarise_areas
from hsi_jax.session.summarise_devices import summarise_losses
from hsi_jax.train import Assessment, TrainState, predict
from hsi_jax.trained import TrainedModel


def write_results(
    setup: Setup, state: TrainState, *, test: Assessment, model: TrainedModel, summary: Summary
) -> Summary:
    """Writes the summary, the model, all pictures and the map; every process does its part.

    Returns:
        The summary, with the areas of the map of a scene.
    """
    folder, scene = setup.folder, setup.dataset.scene

    def write_summary(summary: Summary) -> None:  # one more may have been lost meanwhile
        folder.write_summary(dataclasses.replace(summary, losses=summarise_losses()))

    def write_found() -> None:
        write_summary(summary)
        model.save(folder.model, overwrite=True)

    by_first(write_found)
    console.print_lines(console.describe_end(summary))
    if scene is None:
        by_first(lambda: _write_test(setup, test))
        return summary
    prediction = _predict_scene(setup, scene, state)
    areas = summarise_areas(setup.dataset, summary, prediction)
    console.print_lines(describe_areas(areas))
    whole = dataclasses.replace(summary, areas=areas)

    def write_map() -> None:
        write_summary(whole)  # once more: a kill while mapping has lost no accuracy
        _write_scene(setup, scene, prediction, test=test, drawn=_draws(setup))
        end(setup)

    by_first(write_map)
    return whole


def _draws(setup: Setup) -> bool:
    return bool(setup.resolved.figures or setup.folder.trackers)


def _write_test(setup: Setup, test: Assessment) -> None:
    """What is written of a test without a map."""
    if setup.dataset.pixels is not None:
        _write_collection(setup, setup.dataset.pixels, test, _draws(setup))
    else:
        _write_images(setup, test, _draws(setup))
    end(setup)


def end(setup: Setup) -> None:
    """Draws the figures of the run, where it wants any, and says where its results are."""
    if _draws(setup):
        from hsi_jax.session.pictures import draw_figures  # here: only pictures need Matplotlib

        draw_figures(setup)
    console.print_lines(f"Results: {setup.folder.path}")


def _predict_scene(setup: Setup, scene: Scene, state: TrainState) -> np.ndarray:
    """The classes of all pixels, int32 [rows, columns]; UNLABELLED where there are no data."""
    shape = scene.cube.shape[:2]
    ids = np.arange(shape[0] * shape[1], dtype=np.int32)
    if scene.nodata is not None:
        ids = ids[~scene.nodata.ravel()]
    classes = np.full(shape, UNLABELLED, np.int32)
    quiet = None if is_first() else True  # None: a bar on a terminal only
    with tqdm(total=len(ids), unit="pixel", desc="map", disable=quiet) as bar:
        classes.flat[ids], _ = predict(
            setup.replicas,
            state,
            ids,
            profile=setup.profile,
            plan=setup.plan,
            on_progress=bar.update,
        )
    return classes


def _write_scene(
    setup: Setup, scene: Scene, prediction: np.ndarray, *, test: Assessment, drawn: bool
) -> None:
    """Saves the classes of all pixels, in the scene's own label ids, and draws them."""
    split = setup.dataset.split
    sets = ("train", "validation", "test")
    masks = {name: _mask(getattr(split, name), prediction.shape) for name in sets}
    setup.folder.write_arrays(
        "prediction.npz",
        prediction=scene.original_labels(prediction),
        truth=scene.original_labels(scene.require_labels()),
        **masks,
    )
    _write_spectra(setup.folder, scene)
    if drawn and min(prediction.shape) > 1:  # a list of pixels makes no picture
        from hsi_jax.session.pictures import draw_scene

        draw_scene(setup, scene, prediction, test=test, test_mask=masks["test"])


def _write_spectra(folder: RunFolder, scene: Scene) -> None:
    """Saves the spectra of the classes, over all labelled pixels, as they are in the file."""
    try:
        mean, deviation = class_spectra(scene.cube, scene.require_labels(), scene.num_classes)
    except InputError as error:  # its file is read once more, and may be gone after hours
        console.print_lines(f"NOTE     no spectra.npz is written: {error}")
        return
    known = {} if scene.wavelengths is None else {"wavelengths": scene.wavelengths}
    folder.write_arrays("spectra.npz", mean=mean, deviation=deviation, **known)


def _write_images(setup: Setup, test: Assessment, drawn: bool) -> None:
    """Saves the classes of the test images, and draws some of them."""
    ids = setup.dataset.split.test
    truth = setup.dataset.labels[ids]
    setup.folder.write_arrays("prediction.npz", ids=ids, prediction=test.classes, truth=truth)
    if drawn:
        from hsi_jax.session.pictures import draw_images

        draw_images(setup, test)


def _write_collection(setup: Setup, pixels: LabelledPixels, test: Assessment, drawn: bool) -> None:
    """Saves where the test pixels lie, and their classes; a map of each scene is `predict`'s."""
    ids = setup.dataset.split.test
    setup.folder.write_arrays(
        "prediction.npz",
        scene=pixels.scene_of(ids).astype(np.int32),
        pixel=pixels.pixels[ids],
        prediction=test.classes,
        truth=setup.dataset.labels[ids],
    )
    if drawn:
        from hsi_jax.session.pictures import draw_scenes

        draw_scenes(setup, pixels.collection)


def _mask(ids: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The pixels with these ids, bool [rows, columns]."""
    mask = np.zeros(shape, bool)
    mask.flat[ids] = True
    return mask
