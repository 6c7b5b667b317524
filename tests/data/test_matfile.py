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

from hsi_jax.data.matfile import MatError, list_arrays

FOREIGN = Path(scipy.io.matlab.__file__).parent / "tests" / "data"  # written by many MATLABs
DTYPES = [np.dtype(code) for code in ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8")]


def read_all(path):
    with open(path, "rb") as file:
        return {array.name: array.read(file) for array in list_arrays(file)}


def read_by_scipy(path):
    with warnings.catch_warnings(action="ignore"):
        return {
            name: array
            for name, array in scipy.io.loadmat(path).items()
            if isinstance(array, np.ndarray) and array.dtype.kind in "biuf" and name[:1].isalpha()
        }


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name])
        assert array.dtype == theirs[name].dtype.newbyteorder("=")
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


@pytest.mark.parametrize("deflated", [False, True])
def test_other_kinds_of_variables_are_left_out(deflated, tmp_path):
    path = tmp_path / "mixed.mat"
    numbers = np.arange(6.0).reshape(2, 3)
    others = {
        "text": "words",
        "cell": np.array([1, "a", {"b": 2}], object),
        "struct": {"field": numbers},
        "complex": numbers + 1j,
        "sparse": scipy.sparse.csc_array(numbers),
        "empty": np.empty((0, 0)),
        "logical": numbers > 2,
    }
    scipy.io.savemat(path, {**others, "numbers": numbers}, do_compression=deflated)
    assert_same(read_all(path), read_by_scipy(path))
    assert list(read_all(path)) == ["empty", "logical", "numbers"]


@pytest.mark.parametrize(
    "name",
    [
        "big_endian.mat",
        "little_endian.mat",
        "miuint32_for_miint32.mat",
        "miutf8_array_name.mat",
        "parabola.mat",
        "test3dmatrix_6.5.1_GLNX86.mat",
        "testbool_8_WIN64.mat",
        "testdouble_7.4_GLNX86.mat",
        "testmulti_7.1_GLNX86.mat",
        "test_skip_variable.mat",
    ],
)
def test_files_of_many_matlabs_are_read_as_scipy_reads_them(name):
    if not (FOREIGN / name).exists():
        pytest.skip(f"this scipy comes without {name}")
    assert_same(read_all(FOREIGN / name), read_by_scipy(FOREIGN / name))


@pytest.mark.parametrize("name", ["corrupted_zlib_checksum.mat", "corrupted_zlib_data.mat"])
def test_damaged_values_are_found_by_their_checksum(name):
    if not (FOREIGN / name).exists():
        pytest.skip(f"this scipy comes without {name}")
    with pytest.raises((MatError, zlib.error)):
        read_all(FOREIGN / name)


def matrix(shape=(2, 3), kind=2, values=6, flags=9):
    """The bytes of a file with one uint8 matrix, and what is wrong with it by choice."""

    def element(kind, content):
        padding = -len(content) % 8
        return struct.pack("<II", kind, len(content)) + content + bytes(padding)

    inner = (
        element(6, struct.pack("<II", flags, 0))
        + element(5, struct.pack(f"<{len(shape)}i", *shape))
        + element(1, b"map")
        + element(kind, bytes(range(values)))
    )
    return bytes(124) + struct.pack("<H", 0x0100) + b"IM" + element(14, inner)


def test_a_file_written_by_hand(tmp_path):
    (tmp_path / "hand.mat").write_bytes(matrix())
    assert read_all(tmp_path / "hand.mat")["map"].tolist() == [[0, 2, 4], [1, 3, 5]]


@pytest.mark.parametrize(
    ("content", "names_it"),
    [
        (matrix(shape=(10**6, 10**6)), r"has 6 bytes for a shape of \(1000000, 1000000\)"),
        (matrix(shape=(-2, -3)), "claims a shape"),
        (matrix(shape=(6,)), "claims a shape"),
        (matrix(values=7), "has 7 bytes for a shape"),
        (matrix(kind=11), "unknown type 11"),  # at which scipy 1.17 ends the process
        (matrix()[:-1], "claims 64 bytes of 199"),
        (matrix() + b"\x0e\0\0\0", "ends too early"),
        (matrix() + bytes(8), "claims 0 bytes"),
        (matrix() + struct.pack("<III", 9, 4, 0), "ends too early|of type 9"),
        (bytes(200), "not a MATLAB file of version 5"),
        (b"MATLAB 5.0", "not a MATLAB file of version 5"),
        (b"", "not a MATLAB file of version 5"),
    ],
)
def test_claims_that_do_not_fit_are_refused(content, names_it, tmp_path):
    path = tmp_path / "bad.mat"
    path.write_bytes(content)
    with pytest.raises(MatError, match=names_it):
        read_all(path)
