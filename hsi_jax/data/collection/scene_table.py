"""The table of a collection: which scenes there are, their labels, roles and groups.

A table is a .csv, a layer of a GeoPackage or GeoJSON, a GeoParquet, a STAC item collection on disk,
or a pattern of file names. It only names files, which `hsi_jax.data.collection.scene_collection`
opens.
"""

import contextlib
import csv
import glob
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hsi_jax.data.collection.parquet_table import read_parquet_columns
from hsi_jax.data.files.file_kind import no_such_file, remedy
from hsi_jax.data.files.vector import read_attributes
from hsi_jax.errors import InputError

ROLES = ("train", "validation", "test")
_NAMES = ("image", "labels", "role", "name")  # columns with a meaning; others are groups
_ROLE_WORDS = {"val": "validation", "valid": "validation", "training": "train", "testing": "test"}
_MAX_ROWS, _MAX_BYTES = 100_000, 2**26
_JSON = (".json", ".geojson")
_OF_STAC = {"datetime": "date", "platform": "sensor", "collection": "group"}


@dataclass(frozen=True, kw_only=True)
class SceneRow:
    """A scene of a collection, before its files are opened.

    Attributes:
        name: no other scene of the collection has it.
        where: what messages call it, such as "scenes.csv, row 3 (north)".
        image: path of its image, or several with commas, as `open_raster` takes it.
        labels: path of its labels, or "" for a scene without.
        role: "train", "validation", "test", or "" for none.
        groups: what it has in common with others, by the name of the column: group, site, date,
            sensor, or any other; "" where its row says nothing.
    """

    name: str
    where: str
    image: str
    labels: str = ""
    role: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)

    @contextlib.contextmanager
    def named(self) -> Iterator[None]:
        """Makes errors inside name the row."""
        try:
            yield
        except InputError as error:
            raise InputError(f"{self.where}: {error}") from None


def read_scene_table(path: str | Path, labels: str = "") -> tuple[SceneRow, ...]:
    """Reads which scenes a collection has.

    Args:
        path: a .csv file with the column image and, where wanted, labels, role, name, and groups
            such as group, site, date and sensor; a .gpkg, .shp, .geojson or .parquet with such
            attributes; a STAC item collection (.json); or a pattern such as "tiles/*_image.tif".
        labels: with a pattern: that of the labels, in which the same text stands for the star.

    Raises:
        InputError: in one line that names the row, if something is missing or not understood.
    """
    text = str(path)
    if not os.path.isfile(text) and glob.has_magic(text):
        return _check(_of_pattern(text, labels))
    if labels:
        raise InputError(f"`labels`={labels} goes with a pattern of scenes; give it in {text}")
    file = Path(text)
    if not file.is_file():
        raise no_such_file(file)
    if file.stat().st_size > _MAX_BYTES and file.suffix.lower() != ".gpkg":
        raise InputError(f"{file} has more than {_MAX_BYTES} bytes; a table of scenes has not")
    return _check([_row(record, file, number) for number, record in enumerate(_records(file), 1)])


def _records(file: Path) -> list[Mapping[str, str]]:
    """The rows of a table, by the names of its columns in small letters."""
    suffix = file.suffix.lower()
    try:
        if suffix in (".csv", ".tsv", ".txt"):
            return _of_csv(file)
        if suffix in _JSON:
            content = json.loads(file.read_bytes())
            items = content.get("features") if isinstance(content, dict) else None
            if items and all("assets" in item for item in items):
                return [_of_stac(item) for item in items]
        if suffix in (*_JSON, ".gpkg", ".shp"):
            return _of_attributes(read_attributes(file))
        if suffix in (".parquet", ".geoparquet"):
            limits = {"max_rows": _MAX_ROWS, "max_bytes": _MAX_BYTES}
            return _of_attributes(read_parquet_columns(file, **limits))
    except InputError:
        raise
    except Exception as error:  # a damaged file may make the parsers raise anything
        raise InputError(
            f"{file} cannot be read ({type(error).__name__}: {error}); {remedy(file)}."
        ) from error
    raise InputError(
        f"{file} is no table of scenes that is read; give .csv, .gpkg, .geojson, .parquet, a "
        f"STAC item collection (.json), or a pattern"
    )


def _of_csv(file: Path) -> list[Mapping[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        head = stream.readline()
        delimiter = max(",;\t", key=head.count)
        stream.seek(0)
        reader = csv.DictReader(stream, delimiter=delimiter, strict=True)
        rows = []
        for number, row in enumerate(reader, 1):
            if None in row or None in row.values():
                raise InputError(
                    f"{file}, row {number}: it has another number of cells than the first line; "
                    f"put texts with a comma in quotes"
                )
            rows.append({str(key).strip().lower(): value.strip() for key, value in row.items()})
            if len(rows) > _MAX_ROWS:
                raise InputError(f"{file} has more than {_MAX_ROWS} rows; give fewer")
    return rows


def _of_attributes(columns: Mapping[str, Iterable[Any]]) -> list[Mapping[str, str]]:
    """The rows of a layer's attributes; what is missing there is None, or NaN."""
    names = [name.strip().lower() for name in columns]
    rows = zip(*columns.values(), strict=True)
    return [
        {
            name: "" if value is None or value != value else str(value).strip()
            for name, value in zip(names, row, strict=True)
        }
        for row in rows
    ]


def _of_stac(item: Mapping[str, Any]) -> Mapping[str, str]:
    """A STAC item: its assets of the role data, or called image, are the image."""
    known = {**item, **item.get("properties", {})}
    row = {"name": str(item.get("id", "")), "role": str(known.get("role", ""))}
    row |= {ours: str(known[theirs] or "") for theirs, ours in _OF_STAC.items() if theirs in known}
    row |= {name: str(known[name]) for name in ("group", "site") if name in known}
    row["date"] = row.get("date", "")[:10]  # the day of a time such as 2024-06-01T10:00:00Z
    paths: dict[str, list[str]] = {"image": [], "labels": []}
    for key, asset in item["assets"].items():
        roles = [key, *asset.get("roles", [])]
        if "labels" in roles:
            paths["labels"].append(asset["href"])
        elif "image" in roles or "data" in roles:
            paths["image"].append(asset["href"])
    return row | {name: ",".join(found) for name, found in paths.items()}


def _of_pattern(pattern: str, labels: str) -> list[SceneRow]:
    """The files that fit a pattern, in the order of their names."""
    rows = []
    for number, image in enumerate(sorted(glob.glob(pattern)), 1):
        name = Path(image).stem
        beside = _fill_star(pattern, image, labels) if labels else ""
        where = f"{pattern}, file {number} ({name})"
        if beside and not os.path.isfile(beside):
            raise InputError(f"{where}: there is no file {beside} for its labels")
        group = Path(image).absolute().parent.name
        rows.append(
            SceneRow(name=name, where=where, image=image, labels=beside, groups={"group": group})
        )
    if not rows:
        raise no_such_file(pattern, "that fits ")
    return rows


def _fill_star(pattern: str, image: str, labels: str) -> str:
    """The labels of an image: what its name has for the stars of its pattern fills theirs."""
    if re.search(r"[?\[]", pattern) or pattern.count("*") != labels.count("*"):
        raise InputError(
            f"`labels`={labels}: give a pattern with as many stars as {pattern}, and no other signs"
        )
    parts = [re.escape(part) for part in pattern.split("*")]
    found = re.fullmatch("([^/]*)".join(parts), image)
    assert found  # it was found by the pattern
    texts = iter(found.groups())
    return re.sub(r"\*", lambda _: next(texts), labels)


def _row(record: Mapping[str, str], file: Path, number: int) -> SceneRow:
    image = record.get("image", "")
    name = record.get("name", "") or Path(image.split(",")[0]).stem
    where = f"{file.name}, row {number} ({name})" if name else f"{file.name}, row {number}"
    if not image:
        names = ", ".join(record) or "none"
        raise InputError(f"{where}: it names no image; give a column image (columns: {names})")
    role = record.get("role", "").lower()
    role = _ROLE_WORDS.get(role, role)
    if role and role not in ROLES:
        raise InputError(f"{where}: role {role}: give {', '.join(ROLES)}, or nothing")
    return SceneRow(
        name=name,
        where=where,
        image=_beside(image, file, where),
        labels=_beside(record["labels"], file, where) if record.get("labels") else "",
        role=role,
        groups={key: value for key, value in record.items() if key not in _NAMES},
    )


def _beside(text: str, file: Path, where: str) -> str:
    """A path of a table, which begins at the table's folder; or several with commas."""
    if "://" in text:
        raise InputError(f"{where}: {text} is an address; fetch the file, and give its path")
    whole = file.parent / text
    if whole.is_file():
        return str(whole)
    return ",".join(str(file.parent / part.strip()) for part in text.split(","))


def _check(rows: list[SceneRow]) -> tuple[SceneRow, ...]:
    """Checks that there are rows, and that no two have the same name."""
    if not rows:
        raise InputError("the table of scenes has no rows; give one for each scene")
    seen: dict[str, str] = {}
    for row in rows:
        if row.name in seen:
            raise InputError(
                f"{row.where}: {seen[row.name]} has the same name; give a column name that tells "
                f"them apart"
            )
        seen[row.name] = row.where
    return tuple(rows)
