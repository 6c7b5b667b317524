"""JSON files: read without trust, written whole or not at all."""

import codecs
import json
import os
from pathlib import Path
from typing import Any

from hsi_jax.errors import InputError

MAX_BYTES = 16 * 2**20  # far more than a profile or a configuration has


def read_json(path: str | Path) -> Any:
    """Reads a file in which nothing is to be trusted.

    NaN and infinities are read, as Python writes them; check the numbers.

    Raises:
        InputError: as `read_text`; or if it is not JSON or nested too deeply.
    """
    try:
        return json.loads(read_text(path))
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not a JSON file: {error}") from None


def read_text(path: str | Path) -> str:
    """The text of a small file, which no pipe or device is taken for.

    It may begin with a byte order mark, as programs of Windows write it, of UTF-8 or UTF-16.

    Raises:
        InputError: if it is not a file, too large or not UTF-8.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():  # a pipe or a device may never end
            raise InputError(f"{path} cannot be read: it is not a file")
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            content = file.read(min(size, MAX_BYTES) + 1)  # which takes that much memory
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise InputError(f"{path} has more than {MAX_BYTES} bytes; is it the right file?")
    try:
        return decode(content)
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text in UTF-8 ({error})") from None


def decode(content: bytes) -> str:
    """Text of a file in UTF-8, or in what its byte order mark says, without that mark.

    Raises:
        UnicodeDecodeError: if it is not such text.
    """
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if utf16 else "utf-8-sig")


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file, whole or not at all. NaN is refused: use None.

    Raises:
        OSError: if it cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(partial, path)
