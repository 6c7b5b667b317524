"""Arrays of HDF5 files: of MATLAB 7.3, with its structs and cells, or written by other programs."""

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from hsi_jax.data.files.stored_array import MAX_DEPTH, MAX_PARTS, StoredArray, dense, indexed

_WORDS = {"char": "text", "string": "text", "function_handle": "function"}  # classes of MATLAB
_NUMBERS = re.compile(r"|double|single|logical|u?int(8|16|32|64)")  # "" where there is no class


def list_arrays(file: Any) -> Iterator[StoredArray]:
    """Lists what a file holds; groups, structs and cells are given by their parts.

    MATLAB (and Octave) write the axes in reverse order: these are turned back where the file bears
    their marks, an attribute or a block before the HDF5. Chunks that were never written hold the
    fill value. What lies in other files is not read. Numbers are unpacked, and no data known, by
    the attributes of the conventions of netCDF (https://cfconventions.org, 2.5.1 and 8.1).

    Args:
        file: an h5py.File.
    """
    names = [name for name in file if not name.startswith("#")]  # MATLAB's own begin with #
    marked = file.userblock_size > 0 or any(_is_marked(_own(file, name)) for name in names)
    walk = _Walk(file, marked)
    for name in names:
        yield from walk.list(_own(file, name), name, 0)


def _is_marked(item: Any) -> bool:
    return item is not None and any(
        name.startswith(("MATLAB", "OCTAVE")) for name in getattr(item, "attrs", ())
    )


def _own(group: Any, name: str) -> Any:
    """A part of a group; None if it lies in another file or nowhere."""
    import h5py

    link = group.get(name, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        return None
    try:
        return group.get(name)
    except RuntimeError:  # links that lead to each other in a circle
        return None


def _matlab_class(item: Any) -> str:
    found = item.attrs.get("MATLAB_class", b"")
    return found.decode() if isinstance(found, bytes) else str(found)


class _Walk:
    def __init__(self, file: Any, reverse: bool):
        self._file, self._reverse = file, reverse
        self._room = MAX_PARTS
        self._within: list[Any] = []  # groups, each in the one before

    def list(self, item: Any, path: str, depth: int) -> Iterator[StoredArray]:
        import h5py

        self._room -= 1
        if isinstance(item, h5py.Group):
            if item not in self._within:  # else it holds itself
                self._within.append(item)
                yield from self._list_group(item, path, depth)
                self._within.pop()
        elif isinstance(item, h5py.Dataset) and _holds_references(item):
            yield from self._list_cell(item, path, depth)
        elif isinstance(item, h5py.Dataset):
            yield self._dataset(item, path)

    def _list_group(self, group: Any, path: str, depth: int) -> Iterator[StoredArray]:
        kind = _matlab_class(group)
        if "MATLAB_sparse" in group.attrs:
            yield _sparse(group, path, kind)
            return
        if kind not in ("", "struct") or depth == MAX_DEPTH or len(group) > self._room:
            yield StoredArray(path, _WORDS.get(kind, kind or "group"), ())
            return
        for name in group:
            part = _own(group, name)
            if kind and isinstance(part, _h5py().Dataset) and _is_struct_array(part):
                yield from self._list_cell(part, path, depth, f".{name}")
            else:
                yield from self.list(part, f"{path}.{name}", depth + 1)

    def _list_cell(
        self, cell: Any, path: str, depth: int, field: str = ""
    ) -> Iterator[StoredArray]:
        """The elements of a cell, or one field of each struct in an array of them."""
        shape = self._shape(cell)
        if depth == MAX_DEPTH or math.prod(shape) > self._room:
            yield StoredArray(path + field, "cell", shape)
            return
        for number, reference in enumerate(cell[()].ravel()):  # reversed axes: MATLAB's order
            if reference:
                part = indexed(path, number, shape) + field
                yield from self.list(self._file[reference], part, depth + 1)

    def _shape(self, dataset: Any) -> tuple[int, ...]:
        return dataset.shape[::-1] if self._reverse else dataset.shape

    def _dataset(self, item: Any, path: str) -> StoredArray:
        kind = _matlab_class(item)
        if item.shape is None or "MATLAB_empty" in item.attrs:
            return StoredArray(path, "empty", (0, 0))
        shape, dtype = self._shape(item), item.dtype
        if item.external or item.is_virtual:
            return StoredArray(path, "in another file", shape)
        if not _NUMBERS.fullmatch(kind) or "MATLAB_object_decode" in item.attrs:
            return StoredArray(path, _WORDS.get(kind, kind or "object"), shape)
        if dtype.kind not in "biuf":
            return StoredArray(path, _kind_of(dtype), shape)
        logical = kind == "logical" or dtype.kind == "b"
        dtype = np.dtype(bool) if logical else dtype

        def read() -> np.ndarray:
            values = item[()].T if self._reverse else item[()]
            return values.astype(dtype, copy=False)

        name = "logical" if logical else dtype.newbyteorder("=").name
        array = StoredArray(path, name, shape, dtype, read, stored_whole=False)
        return array if logical else _by_conventions(array, item.attrs)


def _by_conventions(array: StoredArray, attributes: Any) -> StoredArray:
    """The array with its scale, offset and values of no data, as netCDF's attributes tell them."""
    fills = _numbers(attributes, "_FillValue") + _numbers(attributes, "missing_value")
    nodata = tuple(dict.fromkeys(fills))
    (scale, *_), (offset, *_) = (
        (*_numbers(attributes, name), default)
        for name, default in (("scale_factor", 1.0), ("add_offset", 0.0))
    )
    if (scale, offset) == (1, 0):
        return replace(array, nodata_values=nodata)
    assert array.dtype is not None  # of numbers
    assert array.read is not None
    read, dtype = array.read, np.result_type(array.dtype, np.float32)

    def unpack() -> np.ndarray:
        packed = read()
        missing = np.logical_or.reduce([packed == value for value in fills])
        return np.where(missing, np.nan, packed * dtype.type(scale) + dtype.type(offset))

    held = (float("nan"),) if nodata else ()
    return replace(array, dtype=dtype, read=unpack, nodata_values=held)


def _numbers(attributes: Any, name: str) -> tuple[float, ...]:
    """The numbers of an attribute; none where it is missing or no numbers."""
    found = np.asarray(attributes[name]) if name in attributes else np.empty(0)
    return tuple(map(float, found.ravel())) if found.dtype.kind in "biuf" else ()


def _h5py():
    import h5py  # slow to import

    return h5py


def _holds_references(dataset: Any) -> bool:
    return _h5py().check_ref_dtype(dataset.dtype) is _h5py().Reference


def _is_struct_array(dataset: Any) -> bool:
    return _holds_references(dataset) and not _matlab_class(dataset)


def _kind_of(dtype: np.dtype) -> str:
    if dtype.names == ("real", "imag") or dtype.kind == "c":
        return "complex"
    if dtype.kind == "O" and _h5py().check_string_dtype(dtype) is None:
        return "lists"
    return "text" if dtype.kind in "SUO" else "table" if dtype.names else "other"


def _sparse(group: Any, path: str, kind: str) -> StoredArray:
    """Where each column begins (jc), and the rows (ir) and values (data), column after column."""
    starts = group["jc"]
    shape = (int(group.attrs["MATLAB_sparse"]), starts.size - 1)
    if "data" not in group or not math.prod(shape):
        return StoredArray(path, "empty", shape)
    values, rows = group["data"], group["ir"]
    dtype = np.dtype(bool if kind == "logical" else values.dtype)
    if dtype.kind not in "biuf":
        return StoredArray(path, "complex", shape)

    def read() -> np.ndarray:
        if rows.shape != values.shape or rows.ndim != 1 or rows.size > math.prod(shape):
            raise ValueError(f"{path!r} has {rows.size} rows for {values.size} values")
        counts = np.diff(starts[()].astype(np.int64))
        if counts.min() < 0 or counts.sum() != rows.size:
            raise ValueError(f"the columns of {path!r} do not follow one another")
        columns = np.repeat(np.arange(shape[1]), counts)
        return dense(rows[()], columns, values[()].astype(dtype), shape)

    name = kind if kind == "logical" else f"sparse {dtype.name}"
    return StoredArray(path, name, shape, dtype, read, stored_whole=False)
