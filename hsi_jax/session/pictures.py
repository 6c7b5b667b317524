"""The pictures of a run. Apart from what else it writes, because Matplotlib takes long to load."""

from functools import partial

import numpy as np

from hsi_jax.data.collection.scene_collection import SceneCollection
from hsi_jax.data.scene.scene import Scene
from hsi_jax.evaluate.figures.collection import draw_collection
from hsi_jax.evaluate.figures.gallery import choose_examples, draw_gallery
from hsi_jax.evaluate.figures.lettering import captions
from hsi_jax.evaluate.figures.palette import hex_colours, rgb_colours
from hsi_jax.evaluate.figures.run_figures import use_figures
from hsi_jax.evaluate.maps.map import draw_map, rgb_composite
from hsi_jax.evaluate.run_files import read_run
from hsi_jax.session import console
from hsi_jax.session.setup import Setup
from hsi_jax.train import Assessment


def draw_figures(setup: Setup) -> None:
    """Draws the figures of the table from what is in the folder of the run."""
    folder, formats = setup.folder, setup.resolved.figures
    write = partial(folder.write_figure, formats=formats)
    for problem in use_figures(read_run(folder.path), write):
        console.print_lines(f"NOTE     {problem}")


def draw_scene(
    setup: Setup,
    scene: Scene,
    prediction: np.ndarray,
    *,
    test: Assessment,
    test_mask: np.ndarray,
) -> None:
    """Draws the classes of all pixels, int32 [rows, columns], beside the scene and its labels."""
    rgb = None
    if scene.rgb_bands:
        rgb = rgb_composite(np.asarray(scene.cube), scene.rgb_bands, scene.nodata)
    oa, split = test.scores.overall_accuracy, setup.dataset.split
    published = ", as published" if setup.options.split.as_published else ""
    title = f"{scene.name}: OA {oa:.2%} on test pixels, {split.kind} split{published}"
    figure = draw_map(
        scene.require_labels(),
        prediction,
        captions(scene.class_names, scene.class_ids),
        test_mask=test_mask,
        rgb=rgb,
        nodata=scene.nodata,
        title=title,
        colours=rgb_colours(hex_colours(scene.num_classes, scene.class_colours)),
        transform=scene.transform,
        crs=scene.crs,
    )
    setup.folder.write_figure("map", figure, setup.resolved.figures)


def draw_scenes(setup: Setup, collection: SceneCollection) -> None:
    """Draws where the scenes of a collection lie, and the classes in each."""
    colours = rgb_colours(hex_colours(collection.num_classes))
    figure = draw_collection(collection, colours=colours)
    setup.folder.write_figure("scenes", figure, setup.resolved.figures)


def draw_images(setup: Setup, test: Assessment) -> None:
    """Draws some of the test images with their classes, wrong ones first."""
    dataset, ids = setup.dataset, setup.dataset.split.test
    truth = dataset.labels[ids]
    shown = choose_examples(truth, test.classes)
    title = (
        f"{dataset.name}: OA {test.scores.overall_accuracy:.2%} on test images, "
        f"{dataset.split.kind} split"
    )
    figure = draw_gallery(
        dataset.require_images().read(ids[shown]),
        truth[shown],
        test.classes[shown],
        class_names=captions(dataset.class_names, dataset.class_ids),
        title=title,
    )
    setup.folder.write_figure("gallery", figure, setup.resolved.figures)
