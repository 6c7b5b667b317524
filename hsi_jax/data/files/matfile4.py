"""Arrays of MATLAB files of version 4, by scipy.

A mapped file gives no more bytes than it has: scipy would ask an open one for as many as its header
claims, and Python take them (39 of 300 damaged files of `tests.field.fuzz`).
"""

import mmap
from collections.abc import Iterator
from typing import IO

import numpy as np

from hsi_jax.data.files.stored_array import StoredArray


def is_version_4(start: bytes) -> bool:
    """Returns whether a file begins like one of version 4: with the code of its first array's type.

    Args:
        start: its first bytes.
    """
    little = int.from_bytes(start[:4], "little")
    big = int.from_bytes(start[:4], "big") - 1000  # the thousands are the order of the bytes
    return len(start) >= 20 and any(
        code // 10 in range(6) and code % 10 in range(3) for code in (little, big)
    )


def list_arrays(file: IO[bytes]) -> Iterator[StoredArray]:
    """Lists what a file holds, which is read as a whole: nothing in it is compressed.

    Raises:
        Exception: of any kind, if the file does not follow the format.
    """
    import scipy.io
    import scipy.sparse

    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        contents = scipy.io.loadmat(mapped)
    for name, value in contents.items():
        if name.startswith("__"):  # scipy's own
            continue
        if words := {"U": "text", "c": "complex"}.get(value.dtype.kind):
            yield StoredArray(name, words, value.shape)
            continue
        sparse, dtype = scipy.sparse.issparse(value), value.dtype.newbyteorder("=")

        def read(value=value, sparse=sparse, dtype=dtype) -> np.ndarray:
            return (value.toarray() if sparse else value).astype(dtype, order="C", copy=False)

        kind = f"sparse {dtype.name}" if sparse else dtype.name
        yield StoredArray(name, kind, value.shape, dtype, read, stored_whole=not sparse)
