"""MATLAB and HDF5 files as people have them: how they are made."""

from pathlib import Path

import numpy as np

from tests.field.cases.scenes import scene_case, small_scene

CUBE, LABELS = small_scene()
NAMES = np.array(["soil", "corn", "tree", "road"], object)


def mat(contents, where="labels", **keywords):
    """Both in MATLAB files, or the labels alone."""

    def make(folder: Path, cube: np.ndarray, labels: np.ndarray):
        import scipy.io

        scipy.io.savemat(folder / "scene.mat", contents, **keywords)
        np.save(folder / "cube.npy", cube)
        np.save(folder / "labels.npy", labels)
        files = {"cube": "cube.npy", "labels": "labels.npy"}
        return files | dict.fromkeys(where.split(), "scene.mat")

    return make


def hdf5(fill, where="labels", matlab=True, name="scene.mat"):
    """Hdf5."""

    def make(folder: Path, cube: np.ndarray, labels: np.ndarray):
        import h5py

        with h5py.File(folder / name, "w", userblock_size=512 if matlab else 0) as file:
            fill(file, cube, labels)
        if matlab:
            with open(folder / name, "r+b") as f:
                f.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
        np.save(folder / "cube.npy", cube)
        np.save(folder / "labels.npy", labels)
        files = {"cube": "cube.npy", "labels": "labels.npy"}
        return files | dict.fromkeys(where.split(), name)

    return make


def classed(file, name, value, kind):
    """Classed."""

    file[name] = value
    file[name].attrs["MATLAB_class"] = np.bytes_(kind)


def cell(*items):
    """Cell."""

    array = np.empty(len(items), object)
    array[:] = items
    return array


def case(name, make, **more):
    """Case."""

    return scene_case(f"matlab: {name}", make, **more)


def sparse(labels):
    """Sparse."""

    import scipy.sparse

    return scipy.sparse.csc_matrix(labels.astype(float))


def h_struct(file, cube, labels):
    """HDF5 with struct."""

    group = file.create_group("hsi")
    group.attrs["MATLAB_class"] = np.bytes_("struct")
    classed(group, "Data", cube.transpose(2, 1, 0), "int16")
    classed(group, "gt", labels.T, "uint8")


def h_cell(file, cube, labels):
    """HDF5 with cell."""

    import h5py

    refs = [
        file.create_dataset(f"#refs#/{n}", data=a).ref
        for n, a in (("a", cube.transpose(2, 1, 0)), ("b", labels.T))
    ]
    d = file.create_dataset("scenes", data=np.array([refs], h5py.ref_dtype))
    d.attrs["MATLAB_class"] = np.bytes_("cell")


def h_sparse(file, cube, labels):
    """HDF5 with sparse."""

    s = sparse(labels)
    g = file.create_group("gt")
    g.attrs["MATLAB_class"] = np.bytes_("double")
    g.attrs["MATLAB_sparse"] = np.uint64(labels.shape[0])
    g["data"], g["ir"], g["jc"] = s.data, s.indices.astype("u8"), s.indptr.astype("u8")


def h_string(file, cube, labels):
    """HDF5 with string."""

    classed(file, "gt", labels.T, "uint8")
    classed(file, "note", np.array([[0xDD000000, 2, 1, 1, 1, 1]], np.uint32).T, "string")


def h_char(file, cube, labels):
    """HDF5 with char."""

    classed(file, "gt", labels.T, "uint8")
    classed(file, "text", np.frombuffer("my scene".encode("utf-16-le"), np.uint16)[:, None], "char")


def h_empty(file, cube, labels):
    """HDF5 with empty."""

    classed(file, "gt", labels.T, "uint8")
    file["unused"] = np.array([0, 0], np.uint64)
    file["unused"].attrs["MATLAB_empty"] = np.uint8(1)


def h_logical(file, cube, labels):
    """HDF5 with logical."""

    classed(file, "gt", labels.T, "uint8")
    classed(file, "mask", (labels.T > 0).astype("u1"), "logical")
    file["mask"].attrs["MATLAB_int_decode"] = 1


def h_unwritten(file, cube, labels):
    """HDF5 with unwritten."""

    d = file.create_dataset("gt", (4000, 4000), np.uint8, chunks=(500, 500), compression="gzip")
    d[:40, :50] = labels


def h_unwritten_small(file, cube, labels):
    """HDF5 with unwritten small."""

    d = file.create_dataset("gt", (50, 40), np.uint8, chunks=(10, 40), fillvalue=0)
    d.attrs["MATLAB_class"] = np.bytes_("uint8")
    d[:] = labels.T


def h_external(file, cube, labels):
    """HDF5 with external."""

    import h5py

    file["gt"] = h5py.ExternalLink("other.mat", "/gt")


def h_soft_loop(file, cube, labels):
    """HDF5 with soft loop."""

    import h5py

    file["a"] = h5py.SoftLink("/b")
    file["b"] = h5py.SoftLink("/a")
    classed(file, "gt", labels.T, "uint8")


def h_group_loop(file, cube, labels):
    """HDF5 with group loop."""

    g = file.create_group("g")
    g["again"] = g
    g["gt"] = labels


def h_compound(file, cube, labels):
    """HDF5 with compound."""

    file["gt"] = np.zeros((40, 50), [("a", "i4"), ("b", "f4")])


def h_vlen(file, cube, labels):
    """HDF5 with vlen."""

    import h5py

    d = file.create_dataset("gt", (3,), h5py.vlen_dtype(np.int32))
    d[0] = [1, 2]


def h_enum_bool(file, cube, labels):
    """HDF5 with enum bool."""

    file["gt"] = labels > 2


def h_mcos(file, cube, labels):
    """HDF5 with mcos."""

    classed(file, "t", np.array([[0xDD000000, 2, 1, 1, 1, 1]], np.uint32).T, "table")
    g = file.create_group("#subsystem#")
    g["MCOS"] = np.zeros((1, 5))


def h_half(file, cube, labels):
    """HDF5 with half."""

    file["cube"] = (cube / 3000).astype("f2")


def h_lzf(file, cube, labels):
    """HDF5 with lzf."""

    file.create_dataset("gt", data=labels, compression="lzf", shuffle=True, fletcher32=True)


def h_scalar(file, cube, labels):
    """HDF5 with scalar."""

    file["gt"] = 3


def h_fill(file, cube, labels):
    """HDF5 with fill."""

    d = file.create_dataset("cube", (40, 50, 20), "f4", chunks=(10, 50, 20), fillvalue=-9999)
    d[10:] = cube[10:]
