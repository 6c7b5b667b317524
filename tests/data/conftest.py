"""Small pictures and archives, and a web server for them."""

import contextlib
import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from PIL import Image

from hsi_jax.data.splits.split import Split


def encoded(pixels: np.ndarray, file_format: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, file_format)
    return stream.getvalue()


@pytest.fixture(scope="session")
def encode():
    """The function from pixels to the bytes of a file."""
    return encoded


@pytest.fixture(scope="session")
def check_sets():
    """The function that asserts what holds for every split."""

    def check(split: Split, labels: np.ndarray) -> None:
        """Sorted int32 ids of labelled samples, none of them in two sets."""
        sets = (split.train, split.validation, split.test)
        for ids in sets:
            assert ids.dtype == np.int32
            assert np.all(np.diff(ids) > 0)
        everything = np.concatenate(sets)
        assert len(np.unique(everything)) == len(everything)
        assert np.all(labels.ravel()[everything] >= 0)

    return check


@pytest.fixture
def write_pictures(tmp_path):
    """The function that writes {path: bytes} into a folder or a zip file below tmp_path."""

    def write(target: str, files: dict[str, bytes]) -> Path:
        path = tmp_path / target
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".zip":
            with zipfile.ZipFile(path, "w") as archive:
                for name, data in files.items():
                    archive.writestr(name, data)
            return path
        for name, data in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
        return path

    return write


class Server(ThreadingHTTPServer):
    """Serves `files`; breaks the connection after so many bytes, once for each of `cuts`."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.cuts: list[int] = []
        self.ranges = True
        self.requests: list[tuple[str, str | None]] = []

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, name, asked = cast(Server, self.server), self.path[1:], self.headers["Range"]
        server.requests.append((name, asked))
        if name not in server.files:
            self.send_error(404)
            return
        data, start = server.files[name], 0
        if asked and server.ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(data):
                self.send_error(416)
                return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        end = start + server.cuts.pop(0) if server.cuts else len(data)
        with contextlib.suppress(ConnectionError):  # the client may refuse the rest
            self.wfile.write(data[start:end])

    def do_HEAD(self):
        cast(Server, self.server).requests.append((self.path[1:], None))
        self.send_error(404)

    def log_message(self, format, *args):
        pass


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()
