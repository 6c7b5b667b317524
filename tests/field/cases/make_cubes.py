"""Cubes as people have them: how they are made."""

from pathlib import Path

import numpy as np

from tests.field.cases.scenes import npy, scene_case, small_scene

CUBE, LABELS = small_scene()
LOWEST = float(np.finfo(np.float32).min)
EDGE = np.zeros(LABELS.shape, bool)
EDGE[:, :2] = EDGE[:2] = True  # outside of the labels
LINE = np.zeros(LABELS.shape, bool)
LINE[:, :8] = True  # across the labels


def filled(where: np.ndarray, value: object, dtype: object = np.float32) -> np.ndarray:
    """The cube with a value in all bands of some pixels."""
    cube = CUBE.astype(dtype)
    cube[where] = value
    return cube


def in_bands(bands: object, value: object, dtype: object = np.float32) -> np.ndarray:
    """The cube with a value in all pixels of some bands."""
    cube = CUBE.astype(dtype)
    cube[..., bands] = value
    return cube


def spotted(value: object, dtype: object = np.float32, bands: object = 5) -> np.ndarray:
    """The cube with a value in a band of a few labelled pixels."""
    cube = CUBE.astype(dtype)
    cube[10:13, 10:13, bands] = value
    return cube


SPOT = np.zeros(LABELS.shape, bool)
SPOT[10:13, 10:13] = True


def cube_case(name: str, cube: np.ndarray, **more):
    """A case of cube.npy."""
    return scene_case(f"cube: {name}", npy(cube=cube), **more)


def write(name: str, content: bytes):
    """A cube file of these bytes."""

    def make(folder: Path, cube: np.ndarray, labels: np.ndarray) -> dict[str, str]:
        np.save(folder / "labels.npy", labels)
        (folder / name).write_bytes(content)
        return {"cube": name}

    return make


def npz(**arrays):
    """Npz."""

    def make(folder: Path, cube: np.ndarray, labels: np.ndarray) -> dict[str, str]:
        np.savez_compressed(folder / "scene.npz", **arrays)
        return {"cube": "scene.npz", "labels": "scene.npz"}

    return make


def memmap(folder: Path, cube, labels):
    """Memmap."""

    np.save(folder / "labels.npy", labels)
    m = np.lib.format.open_memmap(folder / "cube.npy", "w+", cube.dtype, cube.shape)
    m[:] = cube
    m.flush()


def cut(folder, cube, labels):
    """Cut."""

    np.save(folder / "labels.npy", labels)
    np.save(folder / "cube.npy", cube)
    content = (folder / "cube.npy").read_bytes()
    (folder / "cube.npy").write_bytes(content[:-1000])


def claims(shape):
    """Claims."""

    def make(folder, cube, labels):
        np.save(folder / "labels.npy", labels)
        with open(folder / "cube.npy", "wb") as f:
            np.lib.format.write_array_header_1_0(
                f, {"descr": "<f4", "fortran_order": False, "shape": shape}
            )

    return make


def symlink_loop(folder, cube, labels):
    """Symlink loop."""

    np.save(folder / "labels.npy", labels)
    (folder / "cube.npy").symlink_to("cube.npy")


def swapped(folder, cube, labels):
    """Swapped."""

    npy()(folder, cube, labels)
    return {"cube": "labels.npy", "labels": "cube.npy"}


def same(folder, cube, labels):
    """Same."""

    npy()(folder, cube, labels)
    return {"cube": "cube.npy", "labels": "cube.npy"}
