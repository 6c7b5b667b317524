"""Salinas-A with fill values, where HSI_JAX_TEST_DATA holds it."""

import os
from pathlib import Path

import numpy as np

from hsi_jax.data import load_scene
from hsi_jax.session.loading import open_scene
from hsi_jax.session.options import RunOptions
from tests.field.cases.case import Case, Mistake, NotHere
from tests.field.cases.scenes import nearest_mean_accuracy

LOWEST = np.finfo(np.float32).min  # GDAL's value for no data
COLUMNS = 12
MAX_LOSS = 0.01


def with_fill_values(**flags: str):
    """Salinas-A with 255 for unlabelled, and a value that is no data in some columns."""

    def try_it(folder: Path) -> str:
        root = os.environ.get("HSI_JAX_TEST_DATA", "")
        if not root:
            raise NotHere("HSI_JAX_TEST_DATA is not set")
        scene = load_scene("salinas_a", next(Path(root).glob("[Ss]alinas*"), Path(root)))
        ids = scene.original_labels(scene.require_labels())
        ids = np.where(ids == 0, 255, ids).astype(np.uint8)
        accuracies = []
        for is_filled in (False, True):  # the clean scene with the same labels
            cube, labels = scene.cube.copy(), ids.copy()
            if is_filled:
                cube[:, :COLUMNS] = LOWEST
            else:
                labels[:, :COLUMNS] = 255
            np.save(folder / "cube.npy", cube)
            np.save(folder / "labels.npy", labels)
            files = {name: str(folder / f"{name}.npy") for name in ("cube", "labels")}
            options = RunOptions.of(dataset="file", **files, **flags)
            accuracies.append(nearest_mean_accuracy(options, open_scene(options)))
        clean, filled = accuracies
        if filled < clean - MAX_LOSS:
            raise Mistake(f"falls from {clean:.1%} to {filled:.1%}")
        return f"accuracy {filled:.1%}, clean {clean:.1%}"

    return try_it


CASES = [
    Case("Salinas-A: nothing said", with_fill_values(), "unlabelled=255"),
    Case(
        "Salinas-A: fill values not declared",
        with_fill_values(unlabelled="255"),
        r"-3\.4028235e\+38 in all bands of 996 pixels",
    ),
    Case(
        "Salinas-A: fill values declared",
        with_fill_values(unlabelled="255", nodata="-3.4028235e+38"),
    ),
]
