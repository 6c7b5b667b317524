"""A JSON file that a user names."""

import json
from pathlib import Path
from typing import Any

from hsi_jax.errors import InputError

MOST_BYTES = 16 * 2**20  # far more than a profile or a configuration has


def read_json(path: str | Path) -> Any:
    """Reads a file in which nothing is to be trusted.

    NaN and infinities are read, as Python writes them; check the numbers.

    Raises:
        InputError: if it is not a file, too large, not UTF-8, not JSON or nested too deeply.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():  # a pipe or a device may never end
            raise InputError(f"{path} cannot be read: it is not a file")
        with open(path, "rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > MOST_BYTES:
        raise InputError(f"{path} has more than {MOST_BYTES} bytes; is it the right file?")
    try:
        return json.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not a JSON file: {error}") from None
