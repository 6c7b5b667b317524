"""The columns of a GeoParquet, without its geometries.

Only `pyarrow` reads the file. Its texts stay coded as a dictionary until it is known that the rows
fit into memory: a small file can repeat a long text for as many rows as it likes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hsi_jax.errors import InputError


def read_parquet_columns(file: Path, *, max_rows: int, max_bytes: int) -> Mapping[str, list[Any]]:
    """The columns of texts, numbers, dates and times, by name; others, such as geometries, are not.

    Args:
        file: a Parquet file, with or without geometries.
        max_rows: more of them are refused.
        max_bytes: more in all columns that are read is refused.

    Raises:
        InputError: if it has more, or pyarrow is missing. What pyarrow raises for a damaged file
            passes through.
    """
    try:
        from pyarrow import parquet, types
    except ImportError:
        raise InputError(
            f"{file}: reading GeoParquet needs pyarrow, which is not installed: "
            f"python -m pip install pyarrow; or convert it: ogr2ogr -f GPKG scenes.gpkg {file}"
        ) from None

    with parquet.ParquetFile(file) as opened:
        texts, others = [], []
        for column in opened.schema_arrow:
            kind = column.type
            if types.is_string(kind) or types.is_large_string(kind):
                texts.append(column.name)
            elif types.is_primitive(kind):  # numbers, truth values, dates and times
                others.append(column.name)
        about = opened.metadata
        if about.num_rows > max_rows:
            raise InputError(f"{file} has more than {max_rows} rows; give fewer")
        size = sum(about.row_group(part).total_byte_size for part in range(about.num_row_groups))
        _check_size(file, size, max_bytes)
    with parquet.ParquetFile(file, read_dictionary=texts) as opened:
        table = opened.read(texts + others)
    longest = sum(_longest(table.column(name)) for name in texts)
    _check_size(file, table.num_rows * longest, max_bytes)
    return table.to_pydict()


def _check_size(file: Path, size: int, max_bytes: int) -> None:
    """Refuses what unpacks to more than a table of scenes has."""
    if size > max_bytes:
        raise InputError(
            f"{file} unpacks to more than {max_bytes} bytes; a table of scenes has less"
        )


def _longest(column: Any) -> int:
    """Characters of the longest text of a column that is coded as a dictionary."""
    texts = (text for part in column.chunks for text in part.dictionary.to_pylist())
    return max((len(text) for text in texts if text is not None), default=0)
