"""Training from many scenes on disk against training from one scene in memory, in the same step.

    python -m benchmarks.many_scenes [--scenes 64] [--side 1024] [--bands 64] [--cores 0]
        [--labelled 0.25] [--steps 200] [--repeats 7] [--folder DIR]

Makes scenes of float32 (GeoTIFF in tiles of 256, not compressed), by default 64 of 1024 x 1024 x
64, which take 17 GB in --folder (default a temporary one; it is deleted afterwards), and trains
cnn2d:

- In processes of their own: the time from the start to the end of the first step, when nothing is
  known of the scenes and when their sums are; and the peak of memory, less that of the same
  training on one small scene, which stands for the libraries. A quarter of the scenes must take as
  much.
- In turn in one process: samples per second from all scenes, streamed, and from one scene resident.
"""

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.measure import parse_arguments
from hsi_jax.cluster import emulate_devices
from hsi_jax.cluster.devices import choose_devices
from hsi_jax.hetero import deal, make_plan, parse_profile
from hsi_jax.session.loading import load_dataset
from hsi_jax.session.options import RunOptions
from hsi_jax.session.resolve import resolve
from hsi_jax.train import Replicas, first_state
from hsi_jax.train.feed import Feed
from hsi_jax.train.stepper import Stepper

CLASSES, BLOCK, SMALL = 8, 256, 64
BATCH_SIZE, MICROBATCH_SIZE = 128, 16
CACHE_MB = 1024  # of tiles; those that are mixed take 270
CACHE = "XDG_CACHE_HOME"


def main() -> None:
    """Makes the scenes, measures and prints."""
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:4])
        return
    arguments = parse_arguments(__doc__, add_flags)
    with tempfile.TemporaryDirectory(prefix="hsi_jax-", dir=arguments.folder) as name:
        folder = Path(name)
        os.environ[CACHE] = str(folder / "known")
        shape = (arguments.side, arguments.side, arguments.bands)
        table = make_scenes(folder / "many", arguments.scenes, shape, arguments.labelled)
        fewer = part_of(table, max(3, arguments.scenes // 4))
        small = make_scenes(folder / "small", 3, (SMALL, SMALL, arguments.bands), 1.0)
        size = sum(file.stat().st_size for file in (folder / "many").iterdir())
        print(f"{arguments.scenes} scenes of {shape}, {size / 1e9:.1f} GB on disk")
        measure_start(table, fewer, small, arguments.steps)
        measure_rates(table, arguments.repeats, arguments.steps)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of this benchmark alone."""
    parser.add_argument("--scenes", type=int, default=64, help="how many, at least 3")
    parser.add_argument("--side", type=int, default=1024, help="rows and columns of a scene")
    parser.add_argument("--bands", type=int, default=64)
    parser.add_argument("--labelled", type=float, default=0.25, help="part of the pixels")
    parser.add_argument("--steps", type=int, default=200, help="of a round")
    parser.add_argument("--folder", help="where the scenes are made; default that of tempfile")


def make_scenes(folder: Path, count: int, shape: tuple[int, int, int], labelled: float) -> Path:
    """Writes scenes of smooth spectra with noise, and their labels and table.

    The last scene tests and the one before validates; the others train.
    """
    import rasterio
    from rasterio.transform import Affine

    folder.mkdir()
    rows, columns, bands = shape
    rng = np.random.default_rng(0)
    spectra = rng.normal(size=(CLASSES, bands)).cumsum(1).astype(np.float32)
    noise = rng.normal(0, 1, (rows, columns, bands)).astype(np.float32)
    facts = {"driver": "GTiff", "height": rows, "width": columns, "crs": "EPSG:32617"}
    tiles = {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "interleave": "pixel"}
    table = []
    for number in range(count):
        blocks = rng.integers(0, CLASSES, (-(-rows // 16), -(-columns // 16)))
        classes = np.kron(blocks, np.ones((16, 16), np.uint8))[:rows, :columns]
        cube = spectra[classes] + np.roll(noise, number * 7, axis=0)
        place = {"transform": Affine(10, 0, 500_000 + 10 * columns * number, 0, -10, 4_000_000)}
        image, labels = f"s{number:03}.tif", f"s{number:03}_labels.tif"
        with rasterio.open(
            folder / image, "w", count=bands, dtype="float32", **facts | place | tiles
        ) as file:
            file.write(np.moveaxis(cube, 2, 0))
        ids = np.where(rng.random((rows, columns)) < labelled, classes + 1, 0).astype(np.uint8)
        with rasterio.open(folder / labels, "w", count=1, dtype="uint8", **facts | place) as file:
            file.write(ids, 1)
        role = {count - 1: "test", count - 2: "validation"}.get(number, "train")
        table.append([image, labels, role])
    return write_table(folder / "scenes.csv", table)


def write_table(path: Path, rows: list[list[str]]) -> Path:
    """Writes a table of scenes."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["image", "labels", "role"], *rows])
    return path


def part_of(table: Path, count: int) -> Path:
    """A table of the last scenes of another one."""
    with table.open(encoding="utf-8") as file:
        rows = [*csv.reader(file)][1:]
    return write_table(table.with_name(f"last_{count}.csv"), rows[-count:])


def measure_start(table: Path, fewer: Path, small: Path, steps: int) -> None:
    """Prints the time to the first step and the peak of memory, each of a process of its own."""
    libraries = run_child(small, steps)["peak_mib"]
    first, known, of_fewer = (run_child(each, steps) for each in (table, table, fewer))
    for words, found in (("nothing known", first), ("sums known", known)):
        print(f"first step after {found['first_step_seconds']:6.1f} s ({words})")
    for words, found in (("all scenes", known), ("a quarter", of_fewer)):
        above = found["peak_mib"] - libraries
        print(f"peak of memory {above:7.0f} MiB above the {libraries:.0f} of libraries ({words})")


def run_child(table: Path, steps: int) -> dict[str, float]:
    """What a process finds that trains from a collection."""
    command = [sys.executable, "-m", "benchmarks.many_scenes", "--child", str(table), str(steps)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def child(table: str, steps: str) -> None:
    """Trains, and prints the time to the first step and the peak of memory."""
    began = time.perf_counter()
    training = Training(Path(table), "streamed")
    training.run(1)
    first = time.perf_counter() - began
    training.run(int(steps))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"first_step_seconds": first, "peak_mib": peak}))


def measure_rates(table: Path, repeats: int, steps: int) -> None:
    """Prints samples per second of both, in turn, and their ratio."""
    one = part_of(table, 3)
    trainings = {"resident": Training(one, "resident"), "streamed": Training(table, "streamed")}
    rates: dict[str, list[float]] = {name: [] for name in trainings}
    for training in trainings.values():
        training.run(3)
    for _ in range(repeats):
        for name, training in trainings.items():
            rates[name].append(steps * BATCH_SIZE / training.run(steps))
    for name, values in rates.items():
        print(f"{name:10}{np.median(values):10.1f} samples/s (median)")
    ratios = np.array(rates["streamed"]) / np.array(rates["resident"])
    print(f"streamed / resident {np.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


class Training:
    """A training on one device that goes on from round to round."""

    def __init__(self, table: Path, feed: str):
        """From a collection of scenes."""
        emulate_devices(1)
        options = RunOptions.of(
            dataset="scenes",
            scenes=str(table),
            split="scenes",
            model="cnn2d",
            feed=feed,
            cache_mb=CACHE_MB,
            batch_size=BATCH_SIZE,
            microbatch_size=MICROBATCH_SIZE,
            profile="1",
        )
        resolved = resolve(options, in_cluster=False)
        dataset = load_dataset(resolved, choose_devices(1))
        self._batches = dataset.batches(options.recipe)
        self._plan = make_plan("balanced", parse_profile("1"), BATCH_SIZE, MICROBATCH_SIZE)
        replicas = Replicas(1, dataset.samples)
        self._feed = Feed(replicas, self._work, 2**31)
        self._live = replicas.replicate(first_state(dataset, options.recipe, "cnn2d"))
        self._stepper = Stepper(replicas, self._live, replicas.ready(self._work(0)))
        self._step = 0

    def _work(self, step: int):
        return deal(self._batches(step), self._plan)

    def run(self, steps: int) -> float:
        """Takes some steps; their seconds."""
        began = time.perf_counter()
        for _ in range(steps):
            self._live, _ = self._stepper.step(self._live, self._feed.take(self._step))
            self._step += 1
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
