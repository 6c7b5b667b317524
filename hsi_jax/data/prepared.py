"""TFDS data sets, prepared once and found again."""

import difflib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from absl import logging

from hsi_jax.errors import InputError

FILE_FORMAT = "array_record"  # random access without TensorFlow; parquet silently loses rows


def find_builder(name: str, data_dir: Path | None):
    """Returns a TFDS builder that is prepared, or will be, below a folder.

    Args:
        name: its name in TFDS, with a config if it has several: "name" or "name/config".
        data_dir: the folder to keep it in. Where that is None, or cannot be written to and has
            not got it, TFDS's own is taken: TFDS_DATA_DIR, or else ~/tensorflow_datasets.

    Raises:
        InputError: if TFDS does not know the name.
    """
    tfds = _tfds()
    roots = [None] if data_dir is None else [os.fspath(data_dir), None]
    for root in roots:
        try:
            with _quiet():
                builder = tfds.builder(name, data_dir=root, file_format=FILE_FORMAT)
        except tfds.core.registered.DatasetNotFoundError as error:
            raise InputError(_unknown(name, tfds)) from error
        except (ValueError, AssertionError) as error:  # an unknown config or version
            raise InputError(f"TFDS cannot open '{name}': {_first_line(error)}") from error
        if root is None or builder.data_path.exists() or os.access(root, os.W_OK):
            return builder
    raise AssertionError("unreachable: the last root is None")


def prepare(builder, manual_dir: Path | None = None) -> None:
    """Downloads and prepares a data set, unless that is done.

    TFDS prepares in a folder called incomplete, and gives it its name in the end, so that what
    has the name is whole. Of several processes one prepares, the others wait.

    Args:
        builder: a TFDS builder, as from find_builder.
        manual_dir: folder of files that the user has.

    Raises:
        InputError: if it cannot be prepared.
    """
    tfds = _tfds()
    config = tfds.download.DownloadConfig(manual_dir=manual_dir, try_download_gcs=False)
    root = builder.data_dir_root
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _one_process(Path(root)), _quiet():
            if builder.data_path.exists():  # perhaps only since the builder was made
                builder.info.read_from_directory(builder.data_dir)
            else:
                builder.download_and_prepare(download_config=config, file_format=FILE_FORMAT)
    except InputError:
        raise
    except ImportError as error:
        raise InputError(
            f"TFDS cannot prepare '{builder.name}' without a package that is not installed "
            f"({_first_line(error)}). Install it (often it is tensorflow), or prepare the set "
            f'elsewhere with file_format="{FILE_FORMAT}" and give its folder with --data_dir.'
        ) from error
    except Exception as error:  # builders raise what they like
        raise InputError(
            f"TFDS cannot prepare '{builder.name}' in {root} ({type(error).__name__}: "
            f"{_first_line(error)}). If that is for want of a network, prepare it elsewhere with "
            f'file_format="{FILE_FORMAT}" and give its folder with --data_dir.'
        ) from error


def _tfds():
    """TFDS with our builders in it. It takes long to import, so it is imported when wanted."""
    import tensorflow_datasets

    import hsi_jax.data.builders  # noqa: F401 (registers them)

    if not sys.stderr.isatty():
        tensorflow_datasets.disable_progress_bar()

    return tensorflow_datasets


def _unknown(name: str, tfds) -> str:
    known = tfds.list_builders(with_community_datasets=False)
    near = difflib.get_close_matches(name.split("/")[0], known)
    hint = f"did you mean {' or '.join(near)}?" if near else "see tensorflow.org/datasets/catalog."
    return f"TFDS has no data set '{name}'; {hint}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps TFDS from logging each of its steps; progress and warnings are still shown."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(min(verbosity, logging.WARNING))
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


@contextmanager
def _one_process(root: Path) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # Windows: all prepare, and the first to end wins
        yield
        return
    with (root / ".hsi_jax.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
