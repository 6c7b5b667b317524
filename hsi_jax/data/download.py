"""Files from the web: whole and checked, or not there at all."""

import hashlib
import http.client
import shutil
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from hsi_jax.errors import InputError

# TFDS has a downloader of its own, but it tries for minutes before it says that there is no
# network, begins again after a cut, and knows no mirrors.
_ATTEMPTS = 3  # at each address
_TIMEOUT = 30  # seconds without a byte
_BLOCK = 1 << 20


class _Cut(Exception):
    """The connection ended early."""


def download(urls: Sequence[str], target: Path, sha256: str = "") -> Path:
    """Fetches a file, unless it is there.

    It grows under the name `<target>.part` and gets its own name when it is whole and its
    checksum is right. After a cut the rest is fetched if there is a checksum, which would reveal
    a wrong seam, else all of it; so also by a later call.

    Args:
        urls: addresses of the same file, tried in order.
        target: where to put it.
        sha256: checksum in hexadecimal, "" if not known; then only its length is checked.

    Returns:
        target.

    Raises:
        InputError: if no address gives the file, if its checksum is wrong (also that of a file
            which is there already), or if the disk is too small.
    """
    if target.exists():
        if sha256 and file_sha256(target) != sha256:
            raise InputError(
                f"{target} has another checksum than {urls[0]}; delete it, and it is fetched again."
            )
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    failures = []
    for url in urls:
        try:
            _fetch(url, part, sha256)
        except (OSError, http.client.HTTPException, _Cut) as error:
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
    """Fetches one address into the file `part`, over several connections if need be."""
    if not sha256:
        part.unlink(missing_ok=True)
    resumed = False
    for attempt in range(1, _ATTEMPTS + 1):
        start = part.stat().st_size if sha256 and part.exists() else 0
        resumed = resumed or start > 0
        try:
            _receive(url, part, start)
        except (_Cut, TimeoutError, ConnectionError, http.client.IncompleteRead):
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
        resumed = False  # the seam was wrong, perhaps: once more from the beginning
    raise _Cut("what it sends has another checksum")


def _receive(url: str, part: Path, start: int) -> None:
    """Appends what an address sends from byte `start` on, or begins again if it sends all."""
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
                disable=None,  # where nobody looks
            ) as bar,
        ):
            received = 0
            while block := response.read(_BLOCK):
                stream.write(block)
                received += len(block)
                bar.update(len(block))
    if length is not None and received != length:
        raise _Cut(f"the connection ended after {received} of {length} bytes")
