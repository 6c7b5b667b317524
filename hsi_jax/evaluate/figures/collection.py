"""A picture of a collection of scenes: where they lie, and how many pixels of each class they have.

Scenes without a place on the Earth, or of several reference systems, lie beside each other instead.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Polygon

from hsi_jax.data.collection.collected_scene import CollectedScene
from hsi_jax.data.collection.scene_collection import SceneCollection
from hsi_jax.evaluate.figures.lettering import captions, lettered
from hsi_jax.evaluate.figures.palette import class_colours
from hsi_jax.evaluate.figures.style import BLUE, GREEN, ORANGE, PAGE, SMALL, TEXT, TINY, style_axes

MAX_BARS, MAX_NAMED, MAX_CLASSES = 40, 60, 24  # scenes as bars, names on the map, in the legend
_ROLES = {"train": BLUE, "validation": GREEN, "test": ORANGE, "": "0.6"}
_AROUND = [0, 1, 3, 2]  # corners in the order of a walk around a scene


@lettered
def draw_collection(collection: SceneCollection, *, colours: np.ndarray | None = None) -> Figure:
    """Draws the footprints by role, and beside them the labelled pixels of each class and scene.

    Args:
        collection: of scenes.
        colours: of the classes, float64 [C, 3]; by default those of maps.
    """
    bars = min(len(collection), MAX_BARS)
    figure = Figure(figsize=(PAGE, max(3.2, 1.2 + 0.16 * bars)), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_places(left, collection)
    if collection.num_classes:
        known = class_colours(collection.num_classes) if colours is None else colours
        _draw_counts(right, collection, known)
    else:
        right.set_axis_off()
        right.text(0.5, 0.5, "no labels", ha="center", fontsize=TEXT)
    return figure


def _draw_places(axes: Axes, collection: SceneCollection) -> None:
    shapes, unit = _footprints(collection.scenes)
    for scene, corners in zip(collection, shapes, strict=True):
        colour = _ROLES[scene.row.role]
        around = corners[:, _AROUND].T
        axes.add_patch(Polygon(around, facecolor=colour, edgecolor=colour, alpha=0.35))
        if len(collection) <= MAX_NAMED:
            x, y = corners.mean(1).tolist()
            axes.text(x, y, scene.name, fontsize=TINY, ha="center", va="center", clip_on=True)
    axes.autoscale_view()
    axes.set_aspect("equal", adjustable="datalim")
    style_axes(axes, f"{len(collection)} scenes", unit, unit)
    axes.ticklabel_format(useOffset=False, style="plain")
    axes.tick_params(axis="x", rotation=30)
    roles = [role for role in _ROLES if any(scene.row.role == role for scene in collection)]
    if roles != [""]:
        handles = [Patch(color=_ROLES[role], alpha=0.5, label=role or "no role") for role in roles]
        below = (0.5, -0.25)
        axes.legend(
            handles=handles,
            fontsize=SMALL,
            frameon=False,
            ncols=len(roles),
            loc="upper center",
            bbox_to_anchor=below,
        )


def _footprints(scenes: Sequence[CollectedScene]) -> tuple[list[np.ndarray], str]:
    """The corners of each scene, [2, 4], and what their coordinates are."""
    corners = [scene.corners for scene in scenes]
    systems = {scene.facts.crs for scene in scenes}
    known = [corner for corner in corners if corner is not None]
    if len(known) == len(scenes) and len(systems) == 1:
        return known, "coordinate" if systems != {None} else ""
    across = int(np.ceil(np.sqrt(len(scenes))))
    step = 1.1 * max(max(scene.size) for scene in scenes)
    shapes = []
    for number, scene in enumerate(scenes):
        down, right = divmod(number, across)
        x, y = step * right, -step * down
        rows, columns = scene.size
        shapes.append(np.array([[x, x + columns, x, x + columns], [y, y, y - rows, y - rows]]))
    return shapes, "pixels (places are not known, or of several reference systems)"


def _draw_counts(axes: Axes, collection: SceneCollection, colours: np.ndarray) -> None:
    counts = collection.class_counts[:MAX_BARS]
    names = [scene.name for scene in collection][:MAX_BARS]
    left = np.zeros(len(counts))
    labels = captions(collection.class_names, collection.class_ids)
    for number, name in enumerate(labels):
        shown = name if number < MAX_CLASSES else None
        axes.barh(names, counts[:, number], left=left, color=colours[number], label=shown)
        left += counts[:, number]
    more = f" (the first {MAX_BARS} scenes)" if len(collection) > MAX_BARS else ""
    style_axes(axes, f"Labelled pixels{more}")
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", labelsize=TINY)
    axes.set_ylim(len(names) - 0.4, -0.6)
    columns = 2 if len(labels) > 4 else 1
    axes.legend(
        fontsize=TINY, frameon=False, ncols=columns, loc="upper center", bbox_to_anchor=(0.5, -0.12)
    )
