import zipfile

import h5py
import numpy as np
import pytest
import scipy.io

from hsi_jax.data import file_scene, open_raster
from hsi_jax.data.files.reader import read_array, read_with_nodata
from hsi_jax.errors import InputError


def coded(*shape):
    """Value that tells its own indexes, so that a mistaken axis shows."""
    grid = np.indices(shape)
    return np.sum([10**k * axis for k, axis in enumerate(reversed(grid))], axis=0, dtype=np.int16)


CUBE = coded(4, 5, 3)
LABELS = coded(4, 5)


def write_mat(path, **arrays):
    scipy.io.savemat(path, arrays, do_compression=True)


def write_mat73(path, **arrays):
    """The layout of MATLAB 7.3: a 512-byte header, then HDF5 with the axes reversed."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            file[name] = array.T
        file.create_group("#refs#")
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(512))


def write_npz(path, **arrays):
    np.savez_compressed(path, **arrays)


WRITERS = {"v5.mat": write_mat, "v73.mat": write_mat73, "arrays.npz": write_npz}


@pytest.fixture(params=WRITERS)
def file_with_both(request, tmp_path):
    path = tmp_path / request.param
    WRITERS[request.param](path, cube=CUBE, labels=LABELS)
    return path


def test_takes_the_only_array_of_the_dimensions_wanted(file_with_both):
    cube = read_array(file_with_both)
    np.testing.assert_array_equal(cube, CUBE)
    assert cube.dtype == np.int16
    assert cube.flags.c_contiguous
    np.testing.assert_array_equal(read_array(file_with_both, ndim=2), LABELS)


def test_takes_the_variable_named(file_with_both):
    np.testing.assert_array_equal(read_array(file_with_both, "cube"), CUBE)
    np.testing.assert_array_equal(read_array(str(file_with_both), "labels", ndim=2), LABELS)


def test_a_missing_variable_lists_what_there_is(file_with_both):
    with pytest.raises(
        InputError, match=r"'gt'.*\n    cube: int16 \(4, 5, 3\)\n    labels: int16 \(4, 5\)"
    ):
        read_array(file_with_both, "gt")


def test_a_variable_of_other_dimensions_is_refused(file_with_both):
    with pytest.raises(InputError, match=r"'cube'.*\(4, 5, 3\)"):
        read_array(file_with_both, "cube", ndim=2)


@pytest.mark.parametrize("name", WRITERS)
def test_several_candidates_are_listed(name, tmp_path):
    WRITERS[name](tmp_path / name, train=LABELS, test=LABELS)
    with pytest.raises(InputError, match=r"`variable`.*\n    (train|test): int16 \(4, 5\)\n    t"):
        read_array(tmp_path / name, ndim=2)


def test_npy_holds_one_unnamed_array(tmp_path):
    np.save(tmp_path / "cube.npy", CUBE)
    np.testing.assert_array_equal(read_array(tmp_path / "cube.npy"), CUBE)
    with pytest.raises(InputError, match=r"'cube'.*\n    unnamed: int16 \(4, 5, 3\)"):
        read_array(tmp_path / "cube.npy", "cube")


@pytest.mark.parametrize("name", [*WRITERS, "cube.npy"])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_a_truncated_file_is_named(name, kept, tmp_path):
    path = tmp_path / name
    noise = np.random.default_rng(0).integers(0, 255, (20, 20, 20), np.uint8)
    if name == "cube.npy":
        np.save(path, noise)
    else:
        WRITERS[name](path, cube=noise)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match=name):
        read_array(path)


def test_a_file_that_is_something_else_is_named(tmp_path):
    path = tmp_path / "page.mat"
    path.write_text("<html>404 Not Found</html>" * 20)
    with pytest.raises(InputError, match=r"page\.mat"):
        read_array(path)


def test_pickled_objects_are_not_loaded(tmp_path):
    path = tmp_path / "objects.npy"
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="pickled"):
        read_array(path, ndim=1)


def test_a_missing_file_and_an_unknown_suffix_are_named(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.mat"):
        read_array(tmp_path / "nothing.mat")
    (tmp_path / "cube.tif").touch()
    with pytest.raises(InputError, match=r"cube\.tif.*\.mat, \.npy, \.npz"):
        read_array(tmp_path / "cube.tif")


@pytest.mark.parametrize("suffix", [".h5", ".hdf5", ".he5", ".hdf", ".nc", ".nc4", ".mat"])
@pytest.mark.parametrize("name", [None, "A/B/Data Cube", "/A/B/Data Cube", "A.B.Data Cube"])
def test_hdf5_of_any_suffix_by_any_path(suffix, name, tmp_path):
    path = tmp_path / f"scene{suffix}"
    with h5py.File(path, "w") as file:
        file["A/B/Data Cube"] = CUBE
    np.testing.assert_array_equal(read_array(path, name), CUBE)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"CDF\x01" + bytes(99), "nccopy"), (b"\x0e\x03\x13\x01" + bytes(99), "HDF4")],
)
def test_netcdf_and_hdf_without_hdf5_are_named(content, words, tmp_path):
    (tmp_path / "scene.nc").write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_array(tmp_path / "scene.nc")


@pytest.mark.parametrize("coding", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_archives_that_numpy_does_not_write_are_refused(coding, tmp_path):
    """Their codings inflate without bounds, or claim memory of their own."""
    np.savez(tmp_path / "plain.npz", cube=CUBE)
    with (
        zipfile.ZipFile(tmp_path / "plain.npz") as plain,
        zipfile.ZipFile(tmp_path / "coded.npz", "w", coding) as coded,
    ):
        coded.writestr("cube.npy", plain.read("cube.npy"))
    with pytest.raises(InputError, match=r"coded\.npz"):
        read_array(tmp_path / "coded.npz")


@pytest.mark.parametrize("unlimited", [False, True])
def test_numbers_of_netcdf_are_unpacked_and_no_data_is_known(tmp_path, unlimited):
    with h5py.File(tmp_path / "cube.nc", "w") as file:
        maximum = (None, 5, 3) if unlimited else None
        packed = file.create_dataset("reflectance", data=CUBE, maxshape=maximum)
        packed[1, 2, 0] = -9999
        packed.attrs["scale_factor"] = np.float32(1e-4)
        packed.attrs["add_offset"] = np.array([0.5])
        packed.attrs["_FillValue"] = np.array([-9999], np.int16)
        plain = file.create_dataset("labels", data=LABELS.astype(np.uint8))
        plain.attrs["missing_value"] = np.uint8(255)
        plain.attrs["units"] = "1"
        plain.attrs["scale_factor"] = "one"  # no number, so nothing is packed
    values, nodata = read_with_nodata(tmp_path / "cube.nc")
    expected = CUBE * np.float32(1e-4) + np.float32(0.5)
    expected[1, 2, 0] = np.nan
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_equal(nodata, (np.nan,))
    values, nodata = read_with_nodata(tmp_path / "cube.nc", ndim=2)
    assert values.dtype == np.uint8
    np.testing.assert_array_equal(values, LABELS)
    assert nodata == (255,)
    scene = file_scene(tmp_path / "cube.nc", tmp_path / "cube.nc")
    assert scene.nodata is not None
    assert np.argwhere(scene.nodata).tolist() == [[1, 2]]
    source = open_raster(tmp_path / "cube.nc")
    np.testing.assert_equal(source.nodata_values, (np.nan,))
    np.testing.assert_array_equal(source.read(), expected)
