"""Names and colours of classes from a file: a style of QGIS (.qml) or a table (.csv)."""

import csv
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from hsi_jax.data.files.file_kind import no_such_file, remedy
from hsi_jax.errors import InputError

_MAX_BYTES = 2**20
_ID, _NAME = ("id", "value", "class_id", "gridcode"), ("name", "class", "class_name", "label")
_COLOUR, _RGB = ("colour", "color"), ("red", "green", "blue")


@dataclass(frozen=True)
class ClassFile:
    """What a file says of classes.

    Attributes:
        names: of ids.
        colours: of ids, "#rrggbb"; an id may have a name alone.
    """

    names: dict[int, str]
    colours: dict[int, str]


def read_class_file(path: str | Path) -> ClassFile:
    """Reads the names and colours of classes.

    Args:
        path: a .qml that QGIS writes for a raster whose values have colours of their own ("Paletted
            / Unique values"); or a .csv whose first line names its columns: id (or value), name
            (or class, label) and, if wanted, colour (#rrggbb) or red, green and blue (0 to 255).

    Raises:
        InputError: if there is no such file, or it does not hold them.
    """
    path = Path(path)
    if not path.is_file():
        raise no_such_file(path)
    read = {".qml": _read_qml, ".csv": _read_csv}.get(path.suffix.lower())
    if read is None:
        raise InputError(f"`classes`={path}: give a style of QGIS (.qml) or a table (.csv)")
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(f"{path} has more than {_MAX_BYTES} bytes; give a file of classes")
    try:
        rows = list(read(path))
    except InputError:
        raise
    except Exception as error:  # a damaged file may make the parsers raise anything
        raise InputError(
            f"{path} cannot be read ({type(error).__name__}: {error}); {remedy(path)}."
        ) from error
    if not rows:
        raise InputError(f"{path} names no class; see `classes` for what it may hold")
    for class_id, count in Counter(class_id for class_id, _, _ in rows).items():
        if count > 1:
            raise InputError(f"{path} has the id {class_id} twice; give each class one line")
    for class_id, _, colour in rows:
        if colour and not re.fullmatch("#[0-9a-fA-F]{6}", colour):
            raise InputError(f"{path}: the colour '{colour}' of id {class_id}: write it as #rrggbb")
    return ClassFile(
        {class_id: name for class_id, name, _ in rows if name},
        {class_id: colour.lower() for class_id, _, colour in rows if colour},
    )


def _read_qml(path: Path) -> Iterable[tuple[int, str, str]]:
    entries = ElementTree.parse(path).getroot().findall(".//rasterrenderer//paletteEntry")
    if not entries:
        raise InputError(
            f"{path} has no unique values of a raster; save the style of a layer that is drawn by "
            f"'Paletted / Unique values'."
        )
    for entry in entries:
        name, colour = entry.get("label", "").strip(), entry.get("color", "")
        yield _whole(entry.get("value", ""), path), name, colour[:7]


def _read_csv(path: Path) -> Iterable[tuple[int, str, str]]:
    text = path.read_text(encoding="utf-8-sig")
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    table = csv.DictReader(text.splitlines(), delimiter=separator)
    columns = {name.strip().lower(): name for name in table.fieldnames or () if name}
    own_id, name, colour = (
        next((columns[word] for word in words if word in columns), None)
        for words in (_ID, _NAME, _COLOUR)
    )
    if own_id is None or name is None:
        raise InputError(
            f"{path} has the columns {', '.join(columns) or '(none)'}; give one called id or value "
            f"and one called name, class or label"
        )
    parts = [columns[part] for part in _RGB] if all(part in columns for part in _RGB) else []
    for row in table:
        written = row[colour].strip() if colour else ""
        if parts and not written:
            levels = [_whole(row[part], path) for part in parts]
            if not all(0 <= level <= 255 for level in levels):
                raise InputError(f"{path}: the colour {levels}: give red, green, blue in 0 to 255")
            written = f"#{bytes(levels).hex()}"
        yield _whole(row[own_id], path), row[name].strip(), written


def _whole(text: str, path: Path) -> int:
    try:
        number = float(text)
        if number == int(number):
            return int(number)
    except (ValueError, OverflowError):
        pass
    raise InputError(f"{path} has '{text}' where a whole number is wanted")
