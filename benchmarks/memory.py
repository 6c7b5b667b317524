"""Peak memory of a training, against the sum of what it cannot do without (Linux).

python -m benchmarks.memory --devices=4
"""

import argparse
import os
from pathlib import Path

import jax
import numpy as np

from benchmarks.measure import first_line
from hsi_jax import cluster, data, hetero, train
from hsi_jax.launch.measured_processes import describe_machine
from hsi_jax.train.dataset import first_state, scene_dataset
from hsi_jax.train.step import train_step

MIB = 2**20
CLASSES = 5
RECIPE = train.Recipe(steps=4, batch_size=64, microbatch_size=16)


def main() -> None:
    """Prints the parts, their sum and the peak."""
    arguments = _parse_arguments()
    print(describe_machine(pinned=False))
    cluster.emulate_devices(arguments.devices)
    _train(random_scene(40, 8, arguments), arguments)  # loads all libraries and compiles
    before = _reset_peak()
    scene = random_scene(arguments.side, arguments.bands, arguments)
    parts = {"cube, as given": scene.cube.nbytes}
    _train(scene, arguments)
    peak = status_of(os.getpid(), "VmHWM") - before
    parts |= parts_of_training(scene, arguments)
    total = sum(parts.values())
    for name, size in parts.items():
        print(f"{name:<34}{size / MIB:9.1f} MiB")
    print(f"{'sum':<34}{total / MIB:9.1f} MiB")
    print(f"{'peak, above that of the libraries':<34}{peak / MIB:9.1f} MiB, {peak / total:.2f} x")


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=first_line(__doc__))
    parser.add_argument("--side", type=int, default=1500, help="rows and columns of the scene")
    parser.add_argument("--bands", type=int, default=60)
    parser.add_argument("--components", type=int, default=30, help="0: all bands")
    parser.add_argument("--patch_size", type=int, default=11)
    parser.add_argument("--devices", type=int, default=4, help="emulated")
    parser.add_argument("--train_fraction", type=float, default=0.01)
    return parser.parse_args()


def random_scene(side: int, bands: int, arguments: argparse.Namespace) -> data.Scene:
    """Random numbers, a stripe of rows for each class."""
    bands = max(bands, arguments.components)
    random = np.random.default_rng(0)
    cube = random.random((side, side, bands), dtype=np.float32)
    ids = np.repeat(1 + np.arange(side) % CLASSES, side).reshape(side, side)
    return data.Scene.from_arrays("random", cube, ids)


def _split(scene: data.Scene, arguments: argparse.Namespace) -> data.Split:
    fraction = max(arguments.train_fraction, 500 / scene.labels.size)
    return data.random_split(scene.labels, seed=0, train_fraction=fraction)


def _train(scene: data.Scene, arguments: argparse.Namespace) -> None:
    train.train_scene(
        scene,
        _split(scene, arguments),
        patch_size=arguments.patch_size,
        components=arguments.components,
        profile=":".join(["1"] * arguments.devices),
        recipe=RECIPE,
    )


def parts_of_training(
    scene: data.Scene, arguments: argparse.Namespace, options: str = ""
) -> dict[str, int]:
    """Bytes of all that a training must hold besides the cube that it was given."""
    devices = arguments.devices
    dataset = scene_dataset(
        scene,
        _split(scene, arguments),
        model="cnn2d",
        patch_size=arguments.patch_size,
        components=arguments.components,
    )
    state = first_state(dataset, RECIPE, "cnn2d", options)
    replicas = train.Replicas(devices, dataset.samples)
    profile = hetero.parse_profile(":".join(["1"] * devices))
    plan = hetero.make_plan("balanced", profile, RECIPE.batch_size, RECIPE.microbatch_size)
    batch = data.batch_ids(dataset.split.train, RECIPE.batch_size, 0, 0)
    given = replicas.replicate(state), *replicas.ready(hetero.deal(batch, plan))
    compiled = replicas.parallel(train_step).lower(*given).compile()
    return {
        "scaled cube with its border": dataset.samples.cube.nbytes,
        f"labels, on {devices} devices": devices * dataset.samples.labels.nbytes,
        f"state, on {devices} devices": devices
        * sum(np.asarray(array).nbytes for array in jax.tree.leaves(state)),
        f"activations, on {devices} devices": devices
        * compiled.memory_analysis().temp_size_in_bytes,
    }


def _reset_peak() -> int:
    """Makes the kernel forget the peak so far; returns the bytes held now."""
    Path("/proc/self/clear_refs").write_text("5")
    return status_of(os.getpid(), "VmRSS")


def status_of(pid: int, name: str) -> int:
    """Bytes of a process, from /proc."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))


if __name__ == "__main__":
    main()
