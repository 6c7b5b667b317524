"""Damaged and hostile files: a clear error or a right result, whatever the bytes are.

HSI_JAX_FUZZ_TRIALS is the number of damaged versions of each file, here a few; thousands are read
by `python -m tests.field.fuzz`.
"""

import os
import pickle
import struct
import sys
import zipfile

import h5py
import numpy as np
import psutil
import pytest
import scipy.io

from hsi_jax.data import ReadOptions, Scene, file_split, read_array
from hsi_jax.errors import InputError
from tests.field import fuzz

pytestmark = pytest.mark.long

TRIALS = int(os.environ.get("HSI_JAX_FUZZ_TRIALS", "40"))
CUBE = np.arange(60.0).reshape(5, 4, 3)
SAMPLES = (
    *("areas.geojson", "areas.gpkg", "cells.mat", "colours.png", "deflated.npz", "deflated.tif"),
    *("envi.hdr", "envi.img", "fortran.npy", "hdf5.mat", "map.tiff", "nested.mat", "plain.npy"),
    *("plain.tif", "planes.tif", "reading.txt", "refs.mat", "scene.tiff", "stored.npz"),
    *("tiles.tif", "v4.mat", "v6.mat", "v7.mat", "v73.mat"),
)
SHAPES = {
    **dict.fromkeys(("areas.geojson", "areas.gpkg", "map.tiff", "v4.mat"), (7, 6)),
    **{"colours.png": (7, 6, 3), "reading.txt": (7, 6, 2)},
}


def assert_all_went_well(outcomes, trials):
    assert [number for number, _ in outcomes] == list(range(trials))
    assert [pair for pair in outcomes if pair[1] not in fuzz.WELL] == []


def test_there_is_a_sample_of_every_kind(tmp_path):
    assert tuple(path.name for path in fuzz.write_samples(tmp_path)) == SAMPLES
    for name in SAMPLES:
        array = fuzz.read(tmp_path / name)
        assert array.shape == SHAPES.get(name, (7, 6, 5))


@pytest.mark.parametrize("name", SAMPLES)
def test_damaged_files_are_read_or_refused(name, tmp_path):
    fuzz.write_samples(tmp_path)
    assert_all_went_well(fuzz.run_trials(tmp_path / name, 0, TRIALS, seed=1), TRIALS)


@pytest.mark.parametrize(
    "name",
    [
        "salinas_a/SalinasA_corrected.mat",
        "indian_pines_labelled_only/Indian_pines_corrected.mat",
    ],
)
def test_damaged_real_files_are_read_or_refused(name, real_data):
    trials = min(TRIALS, 10)
    assert_all_went_well(fuzz.run_trials(real_data / name, 0, trials, seed=1), trials)


MISBEHAVING = """
import os, signal, sys, time, numpy, tests.field.fuzz as fuzz
from hsi_jax.errors import InputError
sys.argv = ["fuzz", *sys.argv[3:]]
first = int(sys.argv[2].split(":")[0])
trials = iter(range(first - 1, 9))
def read_array(path, **_):
    trial = next(trials)
    if trial < first:
        return numpy.zeros(3)
    if trial == 1:
        os.kill(os.getpid(), signal.SIGSEGV)
    if trial == 2:
        raise KeyError
    if trial == 3:
        time.sleep(60)
    if trial == 4:
        try:
            numpy.zeros(10**12)
        except MemoryError as error:
            raise InputError("bad.npy") from error
    if trial == 5:
        raise InputError("something is wrong")
    return numpy.zeros(3)
fuzz.read_array = read_array
fuzz.TRIAL_SECONDS = 1
fuzz.main()
"""


def test_the_fuzz_tells_what_goes_wrong(tmp_path, monkeypatch):
    (tmp_path / "misbehaving.py").write_text(MISBEHAVING)
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\nPYTHONPATH=. exec {sys.executable} {tmp_path / "misbehaving.py"} "$@"\n'
    )
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    np.save(tmp_path / "bad.npy", CUBE)
    outcomes = dict(fuzz.run_trials(tmp_path / "bad.npy", 0, 7, seed=0))
    assert outcomes.pop(4).startswith("allocated too much")
    assert outcomes.pop(5).startswith("unnamed")
    assert outcomes == {
        **{0: "right", 1: "killed by SIGSEGV", 2: "raised KeyError"},
        **{3: "killed by SIGALRM", 6: "right"},
    }


def npy(header: str, values: bytes = bytes(480)) -> bytes:
    text = header.encode() + b" " * 20 + b"\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text + values


@pytest.mark.parametrize(
    ("shape", "names_it"),
    [
        ("(10000, 10000, 10000)", r"\(10000, 10000, 10000\)"),
        ("(4294967296, 4294967296, 5)", r"\(4294967296, 4294967296, 5\)"),  # of size 0 in 64 bits
        ("(5, 4, 30)", "cannot be read"),
        ("(-5, -4, 3)", "cannot be read"),
        ("(5.0, 4, 3)", "cannot be read"),
        ("(" + "1," * 100 + ")", "no array of numbers with 3 axes"),
        ("(5, 4, 3" + "," * 3000, "cannot be read"),
        ("(" * 4000, "cannot be read"),
        ("__import__('os').mkdir('pwned')", "cannot be read"),
    ],
)
def test_a_header_that_claims_too_much(shape, names_it, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "claims.npy"
    path.write_bytes(npy(f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}"))
    with pytest.raises(InputError, match=names_it) as caught:
        read_array(path)
    assert "claims.npy" in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["claims.npy"]


def test_the_header_written_here_is_read_where_it_is_true(tmp_path):
    path = tmp_path / "true.npy"
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (5, 4, 3)}"
    path.write_bytes(npy(header, CUBE.tobytes()))
    np.testing.assert_array_equal(read_array(path), CUBE)


def test_a_member_of_an_archive_that_claims_too_much(tmp_path):
    path = tmp_path / "claims.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        header = "{'descr': '<f8', 'fortran_order': False, 'shape': (10000, 10000, 10000)}"
        archive.writestr("cube.npy", npy(header))
    with pytest.raises(InputError, match=r"claims\.npz.*10000"):
        read_array(path)


@pytest.mark.parametrize("name", ["bomb.npz", "bomb.mat", "bomb73.mat"])
def test_an_array_larger_than_memory_is_not_begun(name, tmp_path, monkeypatch):
    """Zeros that were really compressed, a thousandfold."""
    path = tmp_path / name
    zeros = np.zeros((100, 200, 300), np.uint8)
    if name == "bomb.npz":
        np.savez_compressed(path, cube=zeros)
    elif name == "bomb.mat":
        scipy.io.savemat(path, {"cube": zeros}, do_compression=True)
    else:
        with h5py.File(path, "w") as file:
            file.create_dataset("cube", data=zeros, compression="gzip")
    assert read_array(path).nbytes == 6_000_000
    free = psutil.virtual_memory()._replace(available=5_999_999)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    with pytest.raises(InputError, match="memory"):
        read_array(path)


def test_other_arrays_of_a_file_are_not_read(tmp_path, monkeypatch):
    path = tmp_path / "both.npz"
    np.savez_compressed(path, bomb=np.zeros((100, 200, 300, 2), np.uint8), cube=CUBE)
    free = psutil.virtual_memory()._replace(available=10_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    np.testing.assert_array_equal(read_array(path), CUBE)


def test_chunks_that_were_never_written_are_not_filled(tmp_path):
    path = tmp_path / "claims.mat"
    with h5py.File(path, "w") as file:
        file.create_dataset("cube", (10_000, 10_000, 10_000), "f8", chunks=(10, 10, 10))
    with pytest.raises(InputError, match="10000"):
        read_array(path)


class Payload:
    """What would make a file, were it ever unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize("name", ["objects.npy", "objects.npz", "objects.mat", "pickle.npy"])
@pytest.mark.parametrize("ndim", [2, 3])
def test_pickled_code_is_not_executed(name, ndim, tmp_path):
    made = tmp_path / "made"
    objects = np.full((2,) * ndim, Payload(made), object)
    path = tmp_path / name
    if name == "objects.npy":
        np.save(path, objects, allow_pickle=True)
    elif name == "objects.npz":
        np.savez(path, cube=objects)
    elif name == "objects.mat":
        scipy.io.savemat(path, {"cube": np.full((2, 2), pickle.dumps(Payload(made)), object)})
    else:
        path.write_bytes(pickle.dumps(Payload(made)))
    with pytest.raises(InputError):
        read_array(path, ndim=ndim)
    with pytest.raises(InputError):
        read_array(path, "cube", ndim=ndim)
    assert not made.exists()
    pickle.loads(pickle.dumps(Payload(made))).close()  # the payload is a live one
    assert made.exists()


@pytest.mark.parametrize(
    "labels",
    [
        np.array([[0, 2**63], [1, 2]], np.uint64),
        np.array([[0, -(2**31) - 1], [1, 2]], np.int64),
        np.array([[0, 1e300], [1, 2]]),
        np.array([[0, np.inf], [1, 2]]),
    ],
)
def test_label_ids_beyond_32_bits_are_refused(labels):
    with pytest.raises(InputError, match="label map"):
        Scene.from_arrays("odd", np.zeros((2, 2, 3)), labels)


def test_the_largest_label_ids_are_kept():
    labels = np.array([[0, 2**31 - 1], [-(2**31), 5]], np.int64)
    reading = ReadOptions(unlabelled=(0,))
    scene = Scene.from_arrays(
        "odd", np.random.default_rng(0).random((2, 2, 3)), labels, reading=reading
    )
    np.testing.assert_array_equal(scene.original_labels(scene.require_labels()), labels)


@pytest.mark.parametrize("suffix", [".npz", ".mat"])
def test_damaged_splits_are_refused_or_name_labelled_pixels(suffix, tmp_path):
    labels = np.tile(np.array([-1, 0, 1, 2], np.int32), (6, 2))
    train = (labels == 0) | (labels == 1)
    path = tmp_path / f"split{suffix}"
    maps = {"train": train, "test": labels == 2}
    np.savez(path, **maps) if suffix == ".npz" else scipy.io.savemat(path, maps)
    content = path.read_bytes()
    assert file_split(path, labels).train.size == 24
    for number in range(5 * TRIALS):
        path.write_bytes(fuzz.damage(content, np.random.default_rng(number)))
        try:
            split = file_split(path, labels)
        except InputError:
            continue
        assert (labels.ravel()[np.concatenate([split.train, split.test])] >= 0).all()
        assert np.intersect1d(split.train, split.test).size == 0
