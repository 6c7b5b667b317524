"""Our reader of MATLAB 5 files against scipy's, which wrote most of them."""

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.io.matlab import MatlabFunction, MatlabOpaque

from hsi_jax.data.files import matfile, matfile4
from hsi_jax.data.files.matfile import list_arrays
from hsi_jax.data.files.matstream import MatError

FOREIGN = Path(scipy.io.matlab.__file__).parent / "tests" / "data"  # written by many MATLABs
DTYPES = [np.dtype(code) for code in ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8")]


def read_all(path):
    with open(path, "rb") as file:
        return {array.path: array.read() for array in list_arrays(file) if array.read}


def read_by_scipy(path):
    """Arrays of numbers by path; logical ones, and those of any depth."""
    with warnings.catch_warnings(action="ignore"):
        loaded = scipy.io.loadmat(path)
    return {
        path: array
        for name, value in loaded.items()
        if name[:1].isalpha()
        for path, array in parts(name, value)
    }


def parts(path, value):
    """What scipy's arrays of objects and of records hold, by our paths."""
    if isinstance(value, MatlabFunction | MatlabOpaque) or not hasattr(value, "dtype"):
        return
    if scipy.sparse.issparse(value):
        yield path, value.toarray()
    elif value.dtype.kind in "biuf":
        yield path, value
    elif value.dtype.names or value.dtype == object:
        vector = sum(size != 1 for size in value.shape) <= 1
        for number, place in enumerate(np.ndindex(value.shape[::-1])):  # MATLAB's order
            place = place[::-1]
            index = f"[{number}]" if vector else str(list(place)).replace(" ", "")
            if not value.dtype.names:
                yield from parts(path + index, value[place])
                continue
            for field in value.dtype.names:
                one = path if value.size == 1 else path + index
                yield from parts(f"{one}.{field}", value[place][field])


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name])
        # scipy tells logical arrays only at the top, and there as uint8
        expected = bool if array.dtype == bool else theirs[name].dtype.newbyteorder("=")
        assert array.dtype == expected, name
        assert array.flags.c_contiguous
        assert array.flags.writeable


shapes = hnp.array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=6)
arrays = st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(dtype, shapes))


@given(st.lists(arrays, max_size=4), st.booleans())
@settings(max_examples=60)
def test_arrays_that_scipy_writes_are_read_as_scipy_reads_them(tmp_path_factory, given, deflated):
    path = tmp_path_factory.mktemp("mat") / "arrays.mat"
    names = [f"{'x' * (9 * place)}x{place}" for place in range(len(given))]
    scipy.io.savemat(path, dict(zip(names, given, strict=True)), do_compression=deflated)
    assert_same(read_all(path), read_by_scipy(path))


NUMBERS = np.arange(6.0).reshape(2, 3)
STRUCTS = np.empty((1, 2), [("Data", object), ("name", object)])
STRUCTS[0] = [(NUMBERS, "one"), (NUMBERS.astype(np.uint8), "two")]
CELLS = np.empty((2, 2), object)
CELLS[:] = [[NUMBERS, "text"], [{"deep": np.array([1.0, 2.0, "three"], object)}, NUMBERS]]
NESTED = {
    "hsi": {"Data": np.arange(24.0).reshape(2, 3, 4), "more": {"labels": NUMBERS, "note": "words"}},
    "structs": STRUCTS,
    "cells": CELLS,
    "row": np.array([NUMBERS, 1.0, "a"], object),
    "none": np.empty((0, 0), object),
    "sparse": scipy.sparse.csc_array(NUMBERS * [[0.5], [0]]),
    "flags": scipy.sparse.csc_array(NUMBERS > 2),
    "last": NUMBERS,
}


@pytest.mark.parametrize("deflated", [False, True])
def test_arrays_in_structs_and_cells_are_found(deflated, tmp_path):
    path = tmp_path / "nested.mat"
    scipy.io.savemat(path, NESTED, do_compression=deflated)
    ours = read_all(path)
    assert_same(ours, read_by_scipy(path))
    assert {"hsi.Data", "hsi.more.labels", "structs[1].Data", "row[0]", "cells[1,1]"} <= {*ours}
    assert "cells[1,0].deep[1]" in ours
    assert (ours["sparse"] == NUMBERS * [[0.5], [0]]).all()
    assert ours["flags"].dtype == bool


@pytest.mark.parametrize("deflated", [False, True])
def test_other_kinds_of_variables_are_named(deflated, tmp_path):
    path = tmp_path / "mixed.mat"
    others = {"text": "words", "complex": NUMBERS + 1j, "logical": NUMBERS > 2}
    scipy.io.savemat(path, {**others, "numbers": NUMBERS}, do_compression=deflated)
    with open(path, "rb") as file:
        kinds = {array.path: array.kind for array in list_arrays(file)}
    logical, numbers = "logical", "float64"
    assert kinds == {"text": "text", "complex": "complex", "logical": logical, "numbers": numbers}
    assert (read_all(path)["logical"] == (NUMBERS > 2)).all()


def test_more_parts_than_are_listed_are_left_in_their_cell(tmp_path, monkeypatch):
    monkeypatch.setattr("hsi_jax.data.files.matfile.MAX_PARTS", 3)
    path = tmp_path / "many.mat"
    scipy.io.savemat(path, {"few": CELLS[:1, :1], "many": CELLS, "last": NUMBERS})
    with open(path, "rb") as file:
        assert [str(array) for array in list_arrays(file)] == [
            "few[0]: float64 (2, 3)",
            "many: cell (2, 2)",
            "last: float64 (2, 3)",
        ]


def test_structs_deeper_than_any_sound_one_are_not_followed(tmp_path):
    value = NUMBERS
    for _ in range(15):
        value = {"a": value}
    scipy.io.savemat(tmp_path / "deep.mat", {"v": value})
    assert list(read_all(tmp_path / "deep.mat")) == ["v" + 15 * ".a"]
    content = deep(2000)
    (tmp_path / "deeper.mat").write_bytes(content)
    assert read_all(tmp_path / "deeper.mat") == {}


def test_version_4_is_read_as_scipy_reads_it(tmp_path):
    path = tmp_path / "v4.mat"
    sparse = scipy.sparse.csc_array(NUMBERS)
    arrays = {"a": NUMBERS, "b": NUMBERS.astype(np.int16), "c": sparse, "d": "text", "e": 1j}
    scipy.io.savemat(path, arrays, format="4")
    with open(path, "rb") as file:
        listed = {array.path: array for array in matfile4.list_arrays(file)}
        assert {name: array.kind for name, array in listed.items()} == {
            **{"a": "float64", "b": "int16", "c": "sparse float64", "d": "text", "e": "complex"}
        }
        for name in "abc":
            array = listed[name].read()
            np.testing.assert_array_equal(array, arrays[name].toarray() if name == "c" else NUMBERS)
            assert array.flags.c_contiguous


# Not by us (complex), not alike (sparse arrays are float64, names of fields twice), or damaged.
OTHERWISE = (
    *("testsparse", "bad_", "corrupted_", "debigged_m4", "malformed", "nasty", "testhdf5"),
    *("japanese", "broken"),
)


@pytest.mark.parametrize(
    "name",
    [path.name for path in sorted(FOREIGN.glob("*.mat")) if not path.name.startswith(OTHERWISE)],
)
def test_files_of_many_matlabs_are_read_as_scipy_reads_them(name):
    with open(FOREIGN / name, "rb") as file:
        version = matfile4 if matfile4.is_version_4(file.read(20)) else matfile
        ours = {array.path: array.read() for array in version.list_arrays(file) if array.read}
    assert_same(ours, read_by_scipy(FOREIGN / name))


def test_sparse_arrays_of_an_old_matlab_are_read_as_scipy_reads_them():
    path = FOREIGN / "testsparse_7.4_GLNX86.mat"
    if not path.exists():
        pytest.skip(f"this scipy comes without {path.name}")
    (ours,), (theirs,) = (read(path).values() for read in (read_all, read_by_scipy))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", ["corrupted_zlib_checksum.mat", "corrupted_zlib_data.mat"])
def test_damaged_values_are_found_by_their_checksum(name):
    if not (FOREIGN / name).exists():
        pytest.skip(f"this scipy comes without {name}")
    with pytest.raises((MatError, zlib.error)):
        read_all(FOREIGN / name)


def element(kind, content):
    padding = -len(content) % 8
    return struct.pack("<II", kind, len(content)) + content + bytes(padding)


def head(flags, shape, name=b""):
    return (
        element(6, struct.pack("<II", flags, 0))
        + element(5, struct.pack(f"<{len(shape)}i", *shape))
        + element(1, name)
    )


def a_file(matrix):
    return bytes(124) + struct.pack("<H", 0x0100) + b"IM" + element(14, matrix)


def matrix(shape=(2, 3), kind=2, values=6, flags=9):
    """The bytes of a file with one uint8 matrix, and what is wrong with it by choice."""
    return a_file(head(flags, shape, b"map") + element(kind, bytes(range(values))))


def deep(depth):
    """A cell in a cell in a cell."""
    content = head(9, (1, 1)) + element(2, b"a")
    for level in range(depth):
        content = head(1, (1, 1), b"c" if level == depth - 1 else b"") + element(14, content)
    return a_file(content)


def test_a_file_written_by_hand(tmp_path):
    (tmp_path / "hand.mat").write_bytes(matrix())
    assert read_all(tmp_path / "hand.mat")["map"].tolist() == [[0, 2, 4], [1, 3, 5]]


@pytest.mark.parametrize(
    ("content", "names_it"),
    [
        (matrix(shape=(10**6, 10**6)), r"6 bytes.*\(1000000, 1000000\)"),
        (matrix(shape=(-2, -3)), "claims a shape"),
        (matrix(shape=(6,)), "claims a shape"),
        (matrix(flags=1), "not a matrix|too early|longer"),  # a cell of bytes
        (matrix(flags=2), "type"),  # a struct without fields
        (matrix(flags=40), "unknown class 40"),
        (matrix(flags=5), "type|early|values"),  # sparse, without its columns
        (matrix(values=7), "7 bytes"),
        (matrix(kind=11), "unknown type 11"),  # at which scipy 1.17 ends the process
        (matrix()[:-1], "64 bytes of 199"),
        (matrix() + b"\x0e\0\0\0", "ends too early"),
        (matrix() + bytes(8), "0 bytes"),
        (matrix() + struct.pack("<III", 9, 4, 0), "ends too early|of type 9"),
        (bytes(200), "not a MATLAB file"),
        (b"MATLAB 5.0", "not a MATLAB file"),
        (b"", "not a MATLAB file"),
    ],
)
def test_claims_that_do_not_fit_are_refused(content, names_it, tmp_path):
    path = tmp_path / "bad.mat"
    path.write_bytes(content)
    with pytest.raises(MatError, match=names_it):
        read_all(path)
