"""MATLAB and HDF5 files as people have them."""

import h5py
import numpy as np
import pytest
import scipy.io
from scipy.sparse import csc_array, csr_array

from hsi_jax.data.files.reader import read_array
from hsi_jax.errors import InputError

RNG = np.random.default_rng(0)
CUBE = RNG.integers(0, 3000, (6, 5, 4)).astype(np.int16)
LABELS = RNG.integers(0, 4, (6, 5)).astype(np.uint8)
TEXTS = np.array(["soil", "corn", "tree"])


def cell(*parts):
    found = np.empty(len(parts), object)
    found[:] = parts
    return found


def v5(**arrays):
    return lambda path: scipy.io.savemat(path, arrays)


def v4(**arrays):
    return lambda path: scipy.io.savemat(path, arrays, format="4")


def v73(write):
    """As MATLAB writes -v7.3: 512 bytes before the HDF5."""

    def make(path):
        with h5py.File(path, "w", userblock_size=512) as file:
            write(file)
        with open(path, "r+b") as stream:
            stream.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")

    return make


def put(group, name, array, matlab_class="", reverse=True):
    dataset = group.create_dataset(name, data=array.T if reverse else array)
    if matlab_class:
        dataset.attrs["MATLAB_class"] = np.bytes_(matlab_class)
    return dataset


def struct_of(file, name):
    group = file.create_group(name)
    group.attrs["MATLAB_class"] = np.bytes_("struct")
    return group


def put_cell(file, group, name, arrays, matlab_class="cell"):
    """References to parts in #refs#, a column of them in MATLAB."""
    refs = file.require_group("#refs#")
    parts = [put(refs, f"{name}{k}", array).ref for k, array in enumerate(arrays)]
    put(group, name, np.array(parts, h5py.ref_dtype)[None], matlab_class, reverse=False)


def text_beside(matlab_class, values):
    def write(file):
        put(file, "gt", LABELS, "uint8")
        put(file, "note", values, matlab_class)

    return v73(write)


def struct_73(file):
    group = struct_of(file, "hsi")
    put(group, "Data", CUBE)
    put(struct_of(group, "more"), "labels", LABELS)


def cells_73(file):
    put_cell(file, file, "scenes", [CUBE, LABELS])


def struct_array_73(file):
    put_cell(file, struct_of(file, "s"), "Data", [LABELS[:3], CUBE, LABELS], matlab_class="")


def empty_73(file):
    put(file, "gt", LABELS)
    put(file, "unused", np.zeros((2, 2), np.uint64)).attrs["MATLAB_empty"] = np.uint8(1)


def sparse_73(file):
    sparse = csc_array(LABELS.astype(float))
    group = file.create_group("gt")
    group.attrs["MATLAB_sparse"], group.attrs["MATLAB_class"] = np.uint64(6), np.bytes_("double")
    for name, part in ("data", sparse.data), ("ir", sparse.indices), ("jc", sparse.indptr):
        group.create_dataset(name, data=part)


def h5py_plain(path):
    """Written by h5py, whose axes are those of NumPy; nothing is of MATLAB."""
    with h5py.File(path, "w") as file:
        file["scene/cube"], file["gt"] = CUBE, LABELS


@pytest.mark.parametrize(
    ("make", "cube", "labels"),
    [
        (v5(cube=CUBE, gt=LABELS), "cube", "gt"),
        (v5(hsi={"Data": CUBE, "more": {"labels": LABELS}}), "hsi.Data", "hsi.more.labels"),
        (v5(scenes=cell(CUBE, LABELS)), "scenes[0]", "scenes[1]"),
        (v5(gt=LABELS, names=TEXTS, wavelengths=np.arange(4.0)), None, "gt"),
        (v5(gt=LABELS, mask=LABELS > 0, complex=LABELS * 1j), None, "gt"),
        (v5(gt=csr_array(LABELS)), None, "gt"),
        (v4(gt=LABELS.astype(float)), None, "gt"),
        (v4(gt=csc_array(LABELS.astype(float))), None, "gt"),
        (v73(struct_73), "hsi.Data", "hsi.more.labels"),
        (v73(cells_73), "scenes[0]", "scenes[1]"),
        (v73(empty_73), None, "gt"),
        (v73(sparse_73), None, "gt"),
        (text_beside("string", np.array([[0xDD000000, 2, 1, 1]], np.uint32)), None, "gt"),
        (text_beside("char", np.frombuffer(b"a scene.", np.uint16)[None]), None, "gt"),
        (h5py_plain, "scene.cube", "gt"),
    ],
)
def test_the_arrays_are_found_and_named(make, cube, labels, tmp_path):
    path = tmp_path / "it.mat"
    make(path)
    for name, ndim, expected in ((cube, 3, CUBE), (labels, 2, LABELS)):
        if name:
            np.testing.assert_array_equal(read_array(path, ndim=ndim), expected)
            np.testing.assert_array_equal(read_array(path, name, ndim=ndim), expected)


def test_a_field_of_an_array_of_structs(tmp_path):
    v73(struct_array_73)(tmp_path / "it.mat")
    np.testing.assert_array_equal(read_array(tmp_path / "it.mat", "s[1].Data"), CUBE)
    np.testing.assert_array_equal(read_array(tmp_path / "it.mat", "s[2].Data", ndim=2), LABELS)


def test_an_array_outside_of_structs_comes_before_those_inside(tmp_path):
    v5(gt=LABELS, info={"other": LABELS[:3]})(tmp_path / "it.mat")
    np.testing.assert_array_equal(read_array(tmp_path / "it.mat", ndim=2), LABELS)


def test_of_several_in_structs_none_is_guessed(tmp_path):
    v5(a={"gt": LABELS, "names": TEXTS}, b={"c": {"gt": LABELS}})(tmp_path / "it.mat")
    with pytest.raises(InputError) as error:
        read_array(tmp_path / "it.mat", ndim=2, argument="labels_variable")
    assert "`labels_variable`" in str(error.value)
    for line in ("a.gt: uint8 (6, 5)", "b.c.gt: uint8 (6, 5)", "a.names: text (3, 4)"):
        assert f"\n    {line}" in str(error.value)


@pytest.mark.parametrize("ending", [".mat", ".npz"])
def test_logical_arrays_are_read_where_they_are_named(ending, tmp_path):
    path = tmp_path / f"it{ending}"
    arrays = {"gt": LABELS, "mask": LABELS > 1}
    v5(**arrays)(path) if ending == ".mat" else np.savez(path, **arrays)
    mask = read_array(path, "mask", ndim=2)
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, LABELS > 1)
    np.testing.assert_array_equal(read_array(path, ndim=2), LABELS)


def test_a_logical_array_alone_is_read(tmp_path):
    v73(lambda file: put(file, "mask", (LABELS > 1).astype(np.uint8), "logical"))(
        tmp_path / "it.mat"
    )
    np.testing.assert_array_equal(read_array(tmp_path / "it.mat", ndim=2), LABELS > 1)


@pytest.mark.parametrize("version", [v5, v4])
def test_what_is_no_number_is_named_as_what_it_is(version, tmp_path):
    version(gt=LABELS.astype(float), names=TEXTS)(tmp_path / "it.mat")
    with pytest.raises(InputError, match=r"'names'.*text"):
        read_array(tmp_path / "it.mat", "names", ndim=2)


def test_nothing_that_is_not_there_is_to_be_named(tmp_path):
    v5(gt=LABELS)(tmp_path / "it.mat")
    with pytest.raises(InputError, match="no array of numbers with 3") as error:
        read_array(tmp_path / "it.mat", argument="cube_variable")
    assert "cube_variable" not in str(error.value)


def test_one_of_several_numbers_of_axes(tmp_path):
    v5(gt=LABELS, cube=CUBE)(tmp_path / "it.mat")
    np.testing.assert_array_equal(read_array(tmp_path / "it.mat", ndim=(2, 3)), LABELS)
    np.testing.assert_array_equal(read_array(tmp_path / "it.mat", ndim=(1, 3)), CUBE)
    np.testing.assert_array_equal(read_array(tmp_path / "it.mat", "cube", ndim=(2, 3)), CUBE)


def test_chunks_that_were_never_written_are_what_fills_them(tmp_path):
    path = tmp_path / "it.mat"
    with h5py.File(path, "w") as file:
        gt = file.create_dataset(
            "gt", (3000, 4000), np.uint8, chunks=(500, 500), compression="gzip", fillvalue=7
        )
        gt[:6, :5] = LABELS
    assert path.stat().st_size < 3000 * 4000 / 1032
    found = read_array(path, ndim=2)
    np.testing.assert_array_equal(found[:6, :5], LABELS)
    assert (found[6:] == 7).all()


def test_a_limit_of_memory_is_respected(tmp_path, monkeypatch):
    resource = pytest.importorskip("resource")
    v5(cube=CUBE)(tmp_path / "it.mat")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1000, 1000))
    with pytest.raises(InputError, match="memory"):
        read_array(tmp_path / "it.mat")


@pytest.mark.parametrize("kind", ["external", "virtual", "contiguous"])
def test_what_lies_in_other_files_is_not_read(kind, tmp_path):
    path = tmp_path / "it.mat"
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["cube"] = CUBE
    with h5py.File(path, "w") as file:
        if kind == "external":
            file["cube"] = h5py.ExternalLink("other.h5", "cube")
        elif kind == "virtual":
            layout = h5py.VirtualLayout(CUBE.shape, CUBE.dtype)
            layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "cube", CUBE.shape)
            file.create_virtual_dataset("cube", layout)
        else:
            file.create_dataset("cube", (2, 2, 2), "i1", external=[("/etc/hostname", 0, 8)])
    with pytest.raises(InputError, match="no array of numbers with 3"):
        read_array(path)


def test_references_that_go_round_end(tmp_path):
    def write(file):
        put(file, "gt", LABELS)
        loop = file.create_dataset("loop", (1, 1), h5py.ref_dtype)
        loop.attrs["MATLAB_class"] = np.bytes_("cell")
        loop[0, 0] = loop.ref

    v73(write)(tmp_path / "it.mat")
    np.testing.assert_array_equal(read_array(tmp_path / "it.mat", ndim=2), LABELS)


def test_a_page_of_the_web_is_no_matlab_file(tmp_path):
    (tmp_path / "it.mat").write_text("<!DOCTYPE html><html>404</html>" * 10)
    with pytest.raises(InputError, match="MATLAB"):
        read_array(tmp_path / "it.mat")
