"""Maps of whole scenes: one pass against patch by patch, memory, and uneven processes (Linux).

    python -m benchmarks.mapping [--cores 0] [--repeats 3] [--networks cnn2d]
    python -m benchmarks.mapping --memory --side 10000 --folder DIR
    python -m benchmarks.mapping --profile 2:1:1 --side 1500 --folder DIR

The first measures the CPU time of a pixel. Patch by patch is measured on a part of the scene, with
several numbers of patches at a time, of which the fastest counts; one pass on the whole scene. The
second makes a scene on the disk, maps it with the command in a process of its own, kills that once,
goes on, compares the map with one that was not killed, and tells the peak of resident memory. The
third maps a scene by one process on a core of its own, and by processes of these speeds in turn,
and tells the time of the latter, from the first tile to the last, over the ideal: that of as many
tiles at the rate of the former times the parts of cores that the processes have together.
"""

import argparse
import contextlib
import hashlib
import io
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np

from benchmarks.measure import parse_arguments
from hsi_jax.data.files.raster_source import Raster
from hsi_jax.data.preprocess import Preprocessing
from hsi_jax.hetero import parse_profile
from hsi_jax.launch.map_launching import MapLaunch, launch_map
from hsi_jax.launch.placement import place
from hsi_jax.launch.workers import available_cores
from hsi_jax.models import build_model, parse_options
from hsi_jax.run.tile_store import tiles_of
from hsi_jax.trained import Description, TrainedModel
from hsi_jax.trained.scene_map import predict_tiles

SHAPE, BANDS, CLASSES = (512, 217), 30, 16
MODELS = {"cnn2d": (11, (96, 64)), "hybridsn": (25, (25, 25))}  # patch, part for patch by patch
BATCHES = (4, 16, 64, 256)
SMALL = "features=(8, 8, 16); hidden=16"  # of the cnn2d of the large map


def main() -> None:
    """Measures what the flags say."""
    arguments = parse_arguments(__doc__, add_flags)
    if arguments.profile:
        measure_processes(arguments)
    elif arguments.memory:
        measure_memory(Path(arguments.folder), arguments.side)
    else:
        measure_speed(arguments.networks, arguments.repeats)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Defines the flags of this benchmark."""
    parser.add_argument("--networks", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--memory", action="store_true", help="measure memory instead of speed")
    parser.add_argument("--profile", help="measure processes of these speeds, such as 2:1:1")
    parser.add_argument("--side", type=int, default=4000, help="of the large scene, pixels")
    parser.add_argument("--folder", default=".", help="of the large scene and its maps")


def measure_speed(networks: list[str], repeats: int) -> None:
    """Prints a row for each network."""
    scene = random_source(SHAPE)
    print(
        f"scene {SHAPE[0]} x {SHAPE[1]} x {BANDS}; least of {repeats} interleaved repeats, us "
        f"of CPU time a pixel\n\n{'network':10}{'patch by patch, at a time':>40}{'one pass':>10}"
        f"{'ratio':>8}"
    )
    for name in networks:
        patch_size, part = MODELS[name]
        parts = random_source(part)
        calls = {
            batch: (random_model(name, patch_size, microbatch=batch), parts, "patches")
            for batch in BATCHES
        }
        calls["one pass"] = random_model(name, patch_size), scene, "one_pass"
        for call in calls.values():
            run(*call)  # compiles
        times = {key: min(run(*call) for _ in range(repeats)) for key, call in calls.items()}
        one = times.pop("one pass")
        patches = ", ".join(f"{batch}: {1e6 * seconds:.0f}" for batch, seconds in times.items())
        ratio = min(times.values()) / one
        print(f"{name:10}{patches:>40}{1e6 * one:>10.1f}{ratio:>8.1f}", flush=True)


def run(model: TrainedModel, source, method: str) -> float:
    """CPU seconds a pixel of a whole map."""
    start = time.process_time()
    for _ in predict_tiles(model, source, method=method):
        pass
    return (time.process_time() - start) / (source.shape[0] * source.shape[1])


def random_source(shape: tuple[int, int]):
    """A scene of random numbers in memory."""
    return Raster(np.random.default_rng(0).normal(size=(*shape, BANDS)).astype(np.float32)).source()


def random_model(
    name: str, patch_size: int, *, microbatch: int = 16, options: str = ""
) -> TrainedModel:
    """A network that has learnt nothing."""
    shape = (patch_size, patch_size, BANDS)
    module = build_model(name, CLASSES, parse_options(name, options))
    variables = module.init(jax.random.key(0), np.zeros((1, *shape), np.float32))
    description = Description(
        kind="patch",
        architecture=name,
        options=options,
        class_names=tuple(f"class {number}" for number in range(1, CLASSES + 1)),
        class_ids=tuple(range(1, CLASSES + 1)),
        colours=tuple(f"#{number:02x}8080" for number in range(0, 16 * CLASSES, 16)),
        unlabelled_id=0,
        input_shape=shape,
        num_bands=BANDS,
        microbatch_size=microbatch,
    )
    preprocessing = Preprocessing(np.zeros(BANDS), np.ones(BANDS))
    return TrainedModel(
        description, preprocessing, variables["params"], variables.get("batch_stats", {})
    )


def measure_memory(folder: Path, side: int) -> None:
    """Maps a scene on the disk twice, once killed in the middle, and prints the peaks."""
    cube = folder / "scene.npy"
    make_scene(cube, side)
    random_model("cnn2d", 11, options=SMALL).save(folder / "model", overwrite=True)
    print(f"scene {side} x {side} x {BANDS}, {cube.stat().st_size / 2**30:.1f} GiB on the disk")
    whole, killed = folder / "whole.npy", folder / "killed.npy"
    seconds, peak = run_command(folder, whole)
    print(f"undisturbed: {seconds:.0f} s, peak {peak / 2**20:.2f} GiB resident")
    run_command(folder, killed, kill_after=seconds / 2)
    _, peak = run_command(folder, killed)
    print(f"killed after {seconds / 2:.0f} s and gone on with: peak {peak / 2**20:.2f} GiB")
    digests = {hashlib.sha256(np.load(path, mmap_mode="r")).hexdigest() for path in (whole, killed)}
    print("the same bytes" if len(digests) == 1 else "OTHER BYTES")


class Clock:
    """Notes when the tiles of a map are made, as a launcher looks at them.

    Attributes:
        marks: seconds and tiles, from the first tile on.
    """

    def __init__(self, output: Path):
        self.marks: list[tuple[float, int]] = []
        self._output, self._tiles = output, 0

    def __call__(self) -> tuple[int, int]:
        """What `MapLaunch.tiles` gives."""
        made, tiles = tiles_of(self._output)
        self._tiles = max(self._tiles, tiles)
        ended = self.marks and not tiles  # the last tile may be made and used between two looks
        now = self._tiles if ended else made
        if now > (self.marks[-1][1] if self.marks else 0):
            self.marks.append((time.perf_counter(), now))
        return made, tiles

    @property
    def rate(self) -> float:
        """Tiles a second, from the first to the last."""
        (began, first), (ended, last) = self.marks[0], self.marks[-1]
        return (last - first) / (ended - began)


def measure_processes(arguments: argparse.Namespace) -> None:
    """Prints the ratio of each repeat, one process and several in turn, and their median."""
    folder, profile = Path(arguments.folder), parse_profile(arguments.profile)
    make_scene(folder / "scene.npy", arguments.side)
    random_model("cnn2d", 11).save(folder / "model", overwrite=True)
    cores = sum(placement.fraction for placement in place(profile.speeds, available_cores()))
    print(f"scene {arguments.side} x {arguments.side} x {BANDS}, {cores:g} cores by the profile")
    ratios = []
    for repeat in range(arguments.repeats):
        rates, digests = [], set()
        for name, speeds in (("one", parse_profile("1")), ("several", profile)):
            output = folder / f"{name}.npy"
            clock = Clock(output)
            with contextlib.redirect_stdout(io.StringIO()):
                launch_map(MapLaunch(speeds, predict_command(folder, output), clock))
            rates.append(clock.rate)
            digests.add(hashlib.sha256(output.read_bytes()).hexdigest())
        ratios.append(rates[0] * cores / rates[1])
        same = "the same bytes" if len(digests) == 1 else "OTHER BYTES"
        print(f"{repeat}: {rates[0]:.2f} and {rates[1]:.2f} tiles/s, {ratios[-1]:.3f} x, {same}")
    print(f"median: {statistics.median(ratios):.3f} x the ideal time")


def make_scene(path: Path, side: int) -> None:
    """Writes a cube of random numbers, some rows at a time."""
    rng = np.random.default_rng(0)
    with open(path, "wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (side, side, BANDS)}
        np.lib.format.write_array_header_1_0(file, header)
        for _ in range(side):
            file.write(rng.random((side, BANDS), np.float32).data)


def predict_command(folder: Path, output: Path) -> tuple[str, ...]:
    """The command that makes a map of the folder's scene."""
    return (
        sys.executable,
        "-m",
        "experiments.predict",
        f"--model_dir={folder / 'model'}",
        f"--cube={folder / 'scene.npy'}",
        f"--output={output}",
        "--overwrite",
    )


def run_command(folder: Path, output: Path, kill_after: float | None = None) -> tuple[float, int]:
    """Runs the command; gives its seconds and its peak of resident memory, KiB."""
    start = time.perf_counter()
    process = subprocess.Popen(predict_command(folder, output))
    if kill_after is not None:
        time.sleep(kill_after)
        process.kill()
    _, status, usage = os.wait4(process.pid, 0)
    if kill_after is None and status:
        raise SystemExit(f"the command failed with status {status}")
    return time.perf_counter() - start, usage.ru_maxrss


if __name__ == "__main__":
    main()
