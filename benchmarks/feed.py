"""Images read for every step against images that stay on the device, in the same training step.

    python -m benchmarks.feed [--repeats 7] [--cores 0] [--image_size 64] [--data_dir DIR]

The ratio says what part of the resident path's images per second the streamed path reaches, with
resnet20 (stem=medium) on one device, without a cache, so that every image is read and decoded anew
in each epoch. The images are random JPEG files, or those of --data_dir, a folder of each class.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import optax
from PIL import Image

from benchmarks.measure import parse_arguments
from hsi_jax.cluster import emulate_devices
from hsi_jax.data import ImageSet, batch_ids, load_image_set
from hsi_jax.hetero import deal, make_plan, parse_profile
from hsi_jax.models import build_model
from hsi_jax.train import Replicas, Samples, Stream, create_state
from hsi_jax.train.augmentation import Preparation
from hsi_jax.train.feed import Feed
from hsi_jax.train.stepper import Stepper

BATCH_SIZE, MICROBATCH_SIZE = 128, 16
STEPS = 8  # of a round
RANDOM_IMAGES = 1024


def main() -> None:
    """Prints images per second of both, in every round, and their ratio."""
    arguments = parse_arguments(__doc__, add_flags)
    emulate_devices(2)
    with tempfile.TemporaryDirectory(prefix="hsi_jax-") as folder:
        if not arguments.data_dir:
            write_images(Path(folder), arguments.image_size)
        images = load_image_set("folder", arguments.data_dir or folder, arguments.image_size)
        trainings = {
            "resident": Training(images, Samples(read(images, np.arange(len(images))))),
            "streamed": Training(images, Stream(lambda ids: read(images, ids))),
        }
        rates = {name: [] for name in trainings}
        for _ in range(arguments.repeats):
            for name, training in trainings.items():
                rates[name].append(training.images_per_second())
    print(f"{len(images)} images of {images.shape}; batches of {BATCH_SIZE}")
    for name, values in rates.items():
        print(f"{name:10}{np.median(values):10.1f} images/s (median)")
    ratios = np.array(rates["streamed"]) / np.array(rates["resident"])
    print(f"streamed / resident {np.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of this benchmark alone."""
    parser.add_argument("--image_size", type=int, default=64, help="side of the images, pixels")
    parser.add_argument("--data_dir", help="a folder of each class, instead of random images")


def write_images(folder: Path, size: int) -> None:
    """Writes random JPEG files of two classes: smooth, so that they are as large as real ones."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (folder / name).mkdir()
        for number in range(RANDOM_IMAGES // 2):
            coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
            coarse.resize((size, size)).save(folder / name / f"{number}.jpg")


def read(images: ImageSet, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels, uint8 [k, rows, columns, 3], and classes, int32 [k]."""
    return images.read(ids), images.labels[ids]


class Training:
    """A training on one device that goes on from round to round."""

    def __init__(self, images: ImageSet, samples: Samples | Stream):
        """Compiles and warms up."""
        profile = parse_profile("1")
        plan = make_plan("balanced", profile, BATCH_SIZE, MICROBATCH_SIZE)
        self._replicas, self._plan = Replicas(len(profile), samples), plan
        self._ids = np.arange(len(images), dtype=np.int32)
        prepare = Preparation((127.0,) * 3, (64.0,) * 3, ("flip", "rotate"))
        module = build_model("resnet20", images.num_classes, {"stem": "medium"})
        state = create_state(module, optax.sgd(0.01), images.shape, seed=0, prepare=prepare)
        self._live = self._replicas.replicate(state)
        self._done = 0
        self._stepper = Stepper(self._replicas, self._live, self._replicas.ready(self._work(0)))
        self.images_per_second()

    def images_per_second(self) -> float:
        """Trains `STEPS` steps."""
        start, loss = time.perf_counter(), 0.0
        with Feed(self._replicas, self._work, self._done + STEPS) as feed:
            for step in range(self._done, self._done + STEPS):
                self._live, loss = self._stepper.step(self._live, feed.take(step))
        self._done += STEPS
        if not np.isfinite(loss):
            raise FloatingPointError("the loss of the benchmark is not finite")
        return STEPS * BATCH_SIZE / (time.perf_counter() - start)

    def _work(self, step):
        return deal(batch_ids(self._ids, BATCH_SIZE, 0, step), self._plan)


if __name__ == "__main__":
    main()
