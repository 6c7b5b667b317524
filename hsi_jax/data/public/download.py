"""Downloads files: complete and checked, or not at all.

pooch fails 8 of 13 tests of this file: after a cut it does not fetch the rest
(`test_after_a_cut_the_rest_is_fetched`), it replaces a file that has another checksum
(`test_a_file_that_is_there_is_checked`), and it looks for no space on the disk. TFDS tries for
minutes before it reports a missing network, begins again after a lost connection, and knows no
mirrors.
"""

import hashlib
import http.client
import shutil
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from hsi_jax.errors import InputError

_ATTEMPTS = 3  # at each address
_TIMEOUT = 30  # seconds without a byte
_BLOCK = 1 << 20


class _IncompleteError(Exception):
    """The connection ended early, or what came is not the file."""


def download(urls: Sequence[str], target: Path, sha256: str = "") -> Path:
    """Downloads a file, unless it exists.

    While it is downloaded its name is `<target>.part`; it gets its own name when it is complete
    and its checksum is right. After a lost connection, also in an earlier call, only the rest is
    downloaded if there is a checksum to verify the result; without one, all is downloaded again.

    Args:
        urls: addresses of the same file, tried in order.
        target: where to put it.
        sha256: checksum in hexadecimal; "" if not known, and then only the length is checked.

    Returns:
        target.

    Raises:
        InputError: if no address gives the file, if the checksum of the file is wrong, even where
            it existed before, or if the disk is too small.
    """
    if target.exists():
        if sha256 and file_sha256(target) != sha256:
            raise InputError(
                f"{target} has another checksum than {urls[0]}; delete it to download it again."
            )
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    failures = []
    for url in urls:
        try:
            _fetch(url, part, sha256)
        except (OSError, http.client.HTTPException, _IncompleteError) as error:
            failures.append(f"{url}: {getattr(error, 'reason', None) or error}")
        else:
            part.replace(target)
            return target
    raise InputError(f"{target.name} could not be downloaded ({'; '.join(failures)}).")


def file_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_space(folder: Path, needed: int, what: str) -> None:
    """Raises InputError if fewer bytes than needed are free in a folder, which may not exist."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(
            f"{what} needs {needed / 1e6:,.0f} MB in {folder}, where {free / 1e6:,.0f} MB are "
            f"free; make room or choose another folder."
        )


def _fetch(url: str, part: Path, sha256: str) -> None:
    """Downloads one address into the file `part`, over several connections where necessary."""
    if not sha256:
        part.unlink(missing_ok=True)
    resumed = False
    for attempt in range(1, _ATTEMPTS + 1):
        start = part.stat().st_size if sha256 and part.exists() else 0
        resumed = resumed or start > 0
        try:
            _receive(url, part, start)
        except (_IncompleteError, TimeoutError, ConnectionError, http.client.IncompleteRead):
            if attempt == _ATTEMPTS:
                raise
            continue
        except urllib.error.HTTPError as error:
            if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise
        if not sha256 or file_sha256(part) == sha256:
            return
        part.unlink()
        if not resumed:
            break
        resumed = False  # perhaps the parts did not belong together: try once more from the start
    raise _IncompleteError("what it sends has another checksum")


def _receive(url: str, part: Path, start: int) -> None:
    """Appends what an address sends from byte `start` on; begins again if it sends everything."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
        goes_on = response.status == http.client.PARTIAL_CONTENT
        start = start if goes_on else 0
        length = response.headers["Content-Length"]
        length = None if length is None else int(length)
        check_space(part.parent, length or 0, f"To download {url}")
        with (
            part.open("ab" if goes_on else "wb") as stream,
            tqdm(
                desc=url.rpartition("/")[2],
                initial=start,
                total=length and start + length,
                unit="B",
                unit_scale=True,
                disable=None,  # shown only on a terminal
            ) as bar,
        ):
            received = 0
            while block := response.read(_BLOCK):
                stream.write(block)
                received += len(block)
                bar.update(len(block))
    if length is not None and received != length:
        raise _IncompleteError(f"the connection ended after {received} of {length} bytes")


def manual_folder(dl_manager) -> Path | None:
    """Returns the folder of files that the user has downloaded; None if it is missing or empty.

    Args:
        dl_manager: the download manager that TFDS gives to a builder.
    """
    try:
        return Path(dl_manager.manual_dir)
    except AssertionError:
        return None
