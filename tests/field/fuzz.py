"""Reads thousands of damaged files, each trial in bounded memory and time.

    python -m tests.field.fuzz [--trials 2000] [--seed 0] [FILE ...]

Without files, small ones of every kind are made. Each trial damages one (flipped bits, cut ends,
absurd numbers in headers, ...), and reads it in a process that may use little memory. A right
result or an InputError is well. Anything else is listed with its number, which tells the damage:
a crash of the C libraries, a trial that takes more than `TRIAL_SECONDS`, an allocation beyond the
limit, another exception.
"""

import argparse
import itertools
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np
import png
import scipy.io
import tifffile

from hsi_jax.data import read_array
from hsi_jax.data.images.picture import read_picture
from hsi_jax.errors import InputError
from tests.field.fuzz_samples import TEXTS, read_raster_sample, write_rasters

TRIAL_SECONDS = 10
SPARE_BYTES = 256 * 2**20  # that a trial may allocate
EDGE = 600  # bytes from either end, where headers and directories are
PICTURES = (".tif", ".png", ".jpg")
RASTERS = (".tiff", ".hdr", ".img", ".geojson", ".gpkg", ".txt")  # the others are arrays
WELL = ("right", "other values", "refused")

_NUMBERS = [0, 1, 2, -1, 127, 255, 2**15, 2**31 - 1, -(2**31), 2**32 - 1, 2**40, 2**63 - 1]


def damage(content: bytes, rng: np.random.Generator) -> bytes:
    """Damages a file's content in one to three ways."""
    for _ in range(rng.integers(1, 4)):
        if content:
            kind = _DAMAGES[int(rng.integers(len(_DAMAGES)))]
            content = bytes(kind(bytearray(content), rng))
    return content


def _place(content: bytearray, rng: np.random.Generator) -> int:
    """Anywhere, or near an end, each half of the time."""
    if rng.random() < 0.5:
        return int(rng.integers(len(content)))
    near = int(rng.integers(min(EDGE, len(content))))
    return near if rng.random() < 0.6 else len(content) - 1 - near


def _flip_bits(content: bytearray, rng: np.random.Generator) -> bytearray:
    for _ in range(rng.integers(1, 9)):
        content[_place(content, rng)] ^= 1 << rng.integers(8)
    return content


def _cut(content: bytearray, rng: np.random.Generator) -> bytearray:
    return content[: _place(content, rng)]


def _remove(content: bytearray, rng: np.random.Generator) -> bytearray:
    start = _place(content, rng)
    del content[start : start + int(rng.integers(1, 65))]
    return content


def _insert(content: bytearray, rng: np.random.Generator) -> bytearray:
    start = _place(content, rng)
    content[start:start] = rng.bytes(int(rng.integers(1, 65)))
    return content


def _repeat(content: bytearray, rng: np.random.Generator) -> bytearray:
    start, end = sorted((_place(content, rng), _place(content, rng)))
    content[end:end] = content[start:end]
    return content


def _write_number(content: bytearray, rng: np.random.Generator) -> bytearray:
    """A number that headers do not expect, where one may be."""
    size = (1, 2, 4, 8)[rng.integers(4)]
    number = _NUMBERS[rng.integers(len(_NUMBERS))] % 256**size
    start = _place(content, rng) // size * size
    content[start : start + size] = number.to_bytes(size, "little" if rng.random() < 0.8 else "big")
    return content


def _write_digits(content: bytearray, rng: np.random.Generator) -> bytearray:
    """Another number where the text of one stands, as in the header of a .npy."""
    found = list(re.finditer(rb"\d+", bytes(content)))
    if found:
        match = found[rng.integers(len(found))]
        number = (*_NUMBERS, 10**12, 10**30)[rng.integers(len(_NUMBERS) + 2)]
        content[match.start() : match.end()] = str(number).encode()
    return content


_DAMAGES: Sequence[Callable] = (
    *(_flip_bits, _cut, _remove, _insert, _repeat),
    *(_write_number, _write_number, _write_digits),
)


def write_samples(folder: Path) -> list[Path]:
    """Writes a small file of every kind, of the same numbers; returns their paths.

    They hold a cube of 7 x 6 x 5, except v4.mat, whose arrays have two axes.
    """
    rng = np.random.default_rng(0)
    cube = rng.integers(0, 4000, (7, 6, 5)).astype(np.uint16)
    labels = rng.integers(0, 4, (7, 6)).astype(np.uint8)
    other = {"names": np.array(["a", {"b": 1}], object), "s": {"x": labels, "y": "text"}}
    sparse = scipy.sparse.csc_array(labels.astype(float))
    np.save(folder / "plain.npy", cube)
    np.save(folder / "fortran.npy", np.asfortranarray(cube.astype(float)))
    np.savez(folder / "stored.npz", cube=cube, labels=labels)
    np.savez_compressed(folder / "deflated.npz", cube=cube, labels=labels)
    for name, deflated in (("v6.mat", False), ("v7.mat", True)):
        arrays = {"cube": cube.astype(float), "labels": labels, "sparse": sparse, **other}
        scipy.io.savemat(folder / name, arrays, do_compression=deflated)
    nested = {"hsi": {"Data": cube, "more": {"labels": sparse}, "names": ["soil", "corn"]}, **other}
    scipy.io.savemat(folder / "nested.mat", nested, do_compression=True)
    scipy.io.savemat(folder / "cells.mat", {"c": np.array([{"a": sparse}, cube, "text"], object)})
    scipy.io.savemat(folder / "v4.mat", {"gt": labels, "text": "words"}, format="4")
    _write_pictures(folder, cube)
    write_rasters(folder, cube, labels)
    (folder / "reading.txt").write_text(TEXTS)
    with h5py.File(folder / "hdf5.mat", "w", libver="latest") as file:
        file["cube"] = cube.astype(np.float32)
        file["texts"] = np.array(["a", "b"], object)
    with h5py.File(folder / "v73.mat", "w", userblock_size=512) as file:
        file.create_dataset("cube", data=cube.T, chunks=(2, 6, 7), compression="gzip")
        file.create_dataset("labels", data=labels.T)
        file.create_group("#refs#").create_dataset("a", data=np.frombuffer(b"text", np.uint8))
        file["cube"].attrs["MATLAB_class"] = np.bytes_("uint16")
    with h5py.File(folder / "refs.mat", "w") as file:
        part = file.create_dataset("#refs#/a", data=cube.T)
        cell = file.create_dataset(
            "c", data=np.array([[part.ref, part.ref]], h5py.ref_dtype)[:, :1]
        )
        cell.attrs["MATLAB_class"] = np.bytes_("cell")
        group = file.create_group("sparse")
        group.attrs["MATLAB_sparse"] = 7
        for name, values in ("data", sparse.data), ("ir", sparse.indices), ("jc", sparse.indptr):
            group[name] = values
    with open(folder / "v73.mat", "r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(508) + struct.pack("<HH", 0x0200, 0x4D49))
    return sorted(folder.iterdir())


def _write_pictures(folder: Path, cube: np.ndarray) -> None:
    """Images of five bands, and one of 16-bit colours."""
    for name, coding in (
        ("plain", {}),
        ("deflated", {"compression": "zlib", "predictor": True}),
        ("planes", {"planarconfig": "separate"}),
        ("tiles", {"tile": (16, 16), "bigtiff": True, "byteorder": ">"}),
    ):
        pixels = cube.transpose(2, 0, 1) if name == "planes" else cube
        coding = {"planarconfig": "contig", "photometric": "minisblack", **coding}
        tifffile.imwrite(folder / f"{name}.tif", pixels, **coding)
    with open(folder / "colours.png", "wb") as stream:
        writer = png.Writer(width=6, height=7, greyscale=False, bitdepth=16)
        writer.write(stream, cube[..., :3].reshape(7, -1).tolist())


def read(path: Path) -> np.ndarray:
    """Reads any of the samples, or a file like them."""
    if path.suffix in RASTERS:
        return read_raster_sample(path)
    if path.suffix in PICTURES:
        return read_picture(path, path.name)
    return read_array(path, ndim=(3, 2))


def run_trials(path: Path, first: int, last: int, seed: int) -> list[tuple[int, str]]:
    """Damages and reads a file many times, in processes of their own.

    Args:
        path: the sound file.
        first: number of the first trial; file, number and seed decide its damage.
        last: number after that of the last trial.
        seed: of the damage.

    Returns:
        The number and the outcome of each trial: one of `WELL`, or what went wrong.
    """
    outcomes = []
    while first < last:
        command = (sys.executable, "-m", "tests.field.fuzz", "--child", f"{first}:{last}")
        child = subprocess.run(
            (*command, f"--seed={seed}", str(path)),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
            cwd=Path(__file__).parents[2],
        )
        lines = child.stdout.splitlines()
        outcomes += [(first + place, line) for place, line in enumerate(lines)]
        first += len(lines)
        if child.returncode < 0:  # the trial after those told
            outcomes.append((first, f"killed by {signal.Signals(-child.returncode).name}"))
            first += 1
        elif child.returncode:
            raise RuntimeError(f"{command} ended with exit code {child.returncode}")
    return outcomes


def _be_child(path: Path, first: int, last: int, seed: int) -> None:
    """Does the trials in this process, a line for each."""
    warnings.simplefilter("ignore")
    sound = read(path)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + SPARE_BYTES, used + SPARE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    content = path.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        damaged = Path(folder, path.name)
        for part in path.parent.glob(f"{path.stem}.*"):  # the other files of an ENVI scene
            shutil.copy(part, folder)
        for number in range(first, last):
            damaged.write_bytes(damage(content, np.random.default_rng([seed, number])))
            signal.alarm(TRIAL_SECONDS)  # without a handler: it ends a C library as well
            outcome = _outcome(damaged, sound)
            signal.alarm(0)
            print(outcome, flush=True)


def _outcome(path: Path, sound: np.ndarray) -> str:
    try:
        array = read(path)
    except InputError as error:
        if isinstance(error.__cause__, MemoryError):
            return f"allocated too much: {error.__cause__!r}"
        return "refused" if path.stem in str(error) else f"unnamed: {error!r}"
    except BaseException as error:
        return f"raised {type(error).__name__}"
    return "right" if np.array_equal(array, sound) else "other values"


def main() -> None:
    """Prints the outcomes of each file, and every trial that did not go well."""
    parser = argparse.ArgumentParser(description="Reads thousands of damaged files.")
    parser.add_argument("files", nargs="*", type=Path, help="sound files; default: made")
    parser.add_argument("--trials", type=int, default=2000, help="for each file")
    parser.add_argument("--seed", type=int, default=0, help="of the damage")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        first, last = map(int, arguments.child.split(":"))
        _be_child(arguments.files[0], first, last, arguments.seed)
        return
    with tempfile.TemporaryDirectory() as folder:
        for path in arguments.files or write_samples(Path(folder)):
            outcomes = run_trials(path, 0, arguments.trials, arguments.seed)
            print(f"{path.name}: {dict(Counter(outcome for _, outcome in outcomes))}", flush=True)
            bad = (pair for pair in outcomes if pair[1] not in WELL)
            for number, outcome in itertools.islice(bad, 20):
                print(f"    trial {number}: {outcome}", flush=True)


if __name__ == "__main__":
    main()
