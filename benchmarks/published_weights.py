"""Accuracy of published weights in our networks, on the split that they were published for.

Run with ``python -m benchmarks.published_weights DATA WEIGHTS``. DATA is a folder with Indian Pines
as standard .mat files and fixed_split_695.npz (class maps `train` and `test`), WEIGHTS an .npz of
the arrays of SpectralFormer's authors under their PyTorch names.

As the authors did, each band is scaled by its minimum and maximum over the whole scene, and the
border repeats the edge. So the scaling has seen the test pixels.
"""

import argparse
from pathlib import Path

import jax
import numpy as np
from scipy.io import loadmat

from hsi_jax.evaluate.measures.metrics import confusion_matrix, scores
from hsi_jax.models import build_model, published_variables

BATCH = 128


def main() -> None:
    """Prints OA, AA and kappa on the test pixels of the fixed split."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("weights", type=Path)
    arguments = parser.parse_args()
    with np.load(arguments.weights) as weights:
        variables = published_variables("spectralformer", weights)
    inputs = variables["params"]["embed"]["kernel"].shape[0]
    size = round((inputs / 3) ** 0.5)  # tokens are patches of three bands
    patches = patches_of(arguments.data, size)
    with np.load(arguments.data / "fixed_split_695.npz") as split:
        test = split["test"]
    truth = test[test > 0].astype(int) - 1
    module = build_model("spectralformer", int(truth.max()) + 1, {})
    predict = jax.jit(lambda x: module.apply(variables, x).argmax(-1))
    pixels = np.argwhere(test > 0)
    classes = np.concatenate(
        [predict(patches(part)) for part in np.array_split(pixels, len(pixels) // BATCH)]
    )
    found = scores(confusion_matrix(truth, classes, module.num_classes))
    print(
        f"{arguments.weights.name}: {len(truth)} test pixels, {size}x{size}: "
        f"OA {found.overall_accuracy:.2%}, AA {found.average_accuracy:.2%}, kappa {found.kappa:.4f}"
    )


def patches_of(folder: Path, size: int):
    """A function from pixels [n, 2] to their patches, float32 [n, size, size, bands]."""
    content = loadmat(folder / "Indian_pines_corrected.mat")
    (cube,) = (array for name, array in content.items() if name[0] != "_")
    cube = cube.astype(np.float64)
    low, high = cube.min(axis=(0, 1)), cube.max(axis=(0, 1))
    reach = size // 2
    border = ((reach, reach), (reach, reach), (0, 0))
    padded = np.pad((cube - low) / (high - low), border, mode="symmetric").astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(0, 1))

    def take(pixels):
        return np.moveaxis(windows[tuple(pixels.T)], 1, -1)

    return take


if __name__ == "__main__":
    main()
