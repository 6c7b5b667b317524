"""Peak memory of `experiments.run` on a file, against one cube, state and microbatch (Linux).

python -m benchmarks.memory_command --side=900 --bands=200
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import memory
from benchmarks.measure import first_line
from hsi_jax.launch.measured_processes import describe_machine

OPTIONS = "features=(8, 8, 16); hidden=16"  # a small cnn2d: the map of all pixels takes long
SMALL = 60  # rows and columns of the scene that tells what the libraries take


def main() -> None:
    """Prints the peak of each format, above that of a small scene, and its ratio to the sum."""
    arguments = _parse_arguments()
    print(describe_machine(pinned=False))
    sum_bytes = _strict_sum(arguments)
    print(f"cube, state, one microbatch  {sum_bytes / memory.MIB:9.1f} MiB")
    with tempfile.TemporaryDirectory(dir=arguments.folder or None) as folder:
        for suffix in arguments.formats.split(","):
            libraries, peak = (
                _peak(_write(Path(folder), suffix, side, arguments), arguments)
                for side in (SMALL, arguments.side)
            )
            above = peak - libraries
            print(
                f"{suffix:<6}{'peak':>10}{peak / memory.MIB:9.1f} MiB, "
                f"above the libraries {above / memory.MIB:.1f} MiB, {above / sum_bytes:.2f} x",
                flush=True,
            )


def _parse_arguments() -> Namespace:
    parser = argparse.ArgumentParser(description=first_line(__doc__))
    parser.add_argument("--side", type=int, default=900, help="rows and columns of the scene")
    parser.add_argument("--bands", type=int, default=200)
    parser.add_argument("--components", type=int, default=30, help="0: all bands")
    parser.add_argument("--formats", default="npy,tif,img,mat", help=f"of {', '.join(_WRITERS)}")
    parser.add_argument("--dtype", default="float32", help="of the file: float32 or int16")
    parser.add_argument("--devices", type=int, default=1, help="emulated")
    parser.add_argument("--patch_size", type=int, default=11)
    parser.add_argument("--folder", default="", help="of the files, which are large")
    return parser.parse_args()


def _strict_sum(arguments: Namespace) -> int:
    """Bytes of the cube as float32, and of what one device needs beside its samples."""
    asked = {**vars(arguments), "devices": 1, "train_fraction": 0.5}
    parts = memory.parts_of_training(
        memory.random_scene(SMALL, arguments.bands, Namespace(**asked)), Namespace(**asked), OPTIONS
    )
    cube = 4 * arguments.side**2 * arguments.bands
    return cube + sum(size for name, size in parts.items() if name.startswith(("state", "activ")))


def _peak(files: tuple[Path, Path], arguments: Namespace) -> int:
    """Bytes of resident memory that one run takes at most."""
    cube, labels = files
    command = [
        *(sys.executable, "-m", "experiments.run", "--dataset=file", f"--cube={cube}"),
        *(f"--labels={labels}", f"--components={arguments.components}", "--train_fraction=0.5"),
        *("--steps=4", "--batch_size=64", "--microbatch_size=16", f"--model_options={OPTIONS}"),
        *(f"--patch_size={arguments.patch_size}", f"--workdir={cube.parent / 'run'}"),
        *("--overwrite", f"--profile={':'.join(['1'] * arguments.devices)}"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        # Not what `wait4` tells: that counts this process too, as it was when the other began.
        with contextlib.suppress(OSError, StopIteration):  # it is ending
            peak = max(peak, memory.status_of(process.pid, "VmHWM"))
        time.sleep(0.02)
    if process.returncode:
        raise SystemExit(f"the run of {cube} failed")
    cube.unlink()
    return peak


def _write(folder: Path, suffix: str, side: int, arguments: Namespace) -> tuple[Path, Path]:
    """A file of random numbers, and one of labels: a stripe of rows a class, 2000 pixels in all."""
    random = np.random.default_rng(0)
    shape = side, side, arguments.bands
    cube = np.empty(shape, arguments.dtype)
    for row in cube:
        row[:] = 1000 * random.random(row.shape, dtype=np.float32)
    ids = np.repeat(1 + np.arange(side) % memory.CLASSES, side)
    ids[random.permutation(ids.size)[2000:]] = 0
    path, labels = folder / f"cube.{suffix}", folder / "labels.npy"
    _WRITERS[suffix](path, cube)
    np.save(labels, ids.reshape(side, side).astype(np.int32))
    return path, labels


def _write_gdal(path: Path, cube: np.ndarray, **profile) -> None:
    import rasterio

    profile |= {"crs": "EPSG:32616", "transform": rasterio.Affine(30, 0, 5e5, 0, -30, 4e6)}
    rows, columns, bands = cube.shape
    size = {"height": rows, "width": columns, "count": bands, "dtype": cube.dtype.name}
    with rasterio.open(path, "w", **size, **profile) as file:
        for first in range(0, rows, 256):
            block = cube[first : first + 256]
            window = ((first, first + len(block)), (0, columns))
            file.write(np.moveaxis(block, 2, 0), window=window)


def _write_tiff(path: Path, cube: np.ndarray) -> None:
    _write_gdal(path, cube, driver="GTiff", tiled=True, interleave="pixel", bigtiff="yes")


def _write_envi(path: Path, cube: np.ndarray) -> None:
    _write_gdal(path, cube, driver="ENVI", interleave="bil")


def _write_mat(path: Path, cube: np.ndarray) -> None:
    from scipy.io import savemat

    savemat(path, {"cube": cube})


_WRITERS: dict[str, Callable[[Path, np.ndarray], None]] = {
    "npy": np.save,
    "tif": _write_tiff,
    "img": _write_envi,
    "mat": _write_mat,
}


if __name__ == "__main__":
    main()
