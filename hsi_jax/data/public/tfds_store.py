"""Data sets that TFDS prepares once and keeps on the disk."""

import difflib
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from absl import logging

from hsi_jax.data.public.catalogue import find_scene
from hsi_jax.data.scene.read_options import ReadOptions
from hsi_jax.data.scene.scene import Scene
from hsi_jax.data.scene.scene_file import load_scene
from hsi_jax.errors import InputError

FILE_FORMAT = "array_record"  # random access without TensorFlow; parquet silently loses rows
_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)


def find_builder(name: str, data_dir: Path | None):
    """Returns the TFDS builder of a data set, which may be prepared or not.

    Args:
        name: its name in TFDS, with a config if it has several: "name" or "name/config".
        data_dir: the folder to keep it in. If that is None, or cannot be written to and does not
            hold the set, the folder of TFDS is used: TFDS_DATA_DIR, or ~/tensorflow_datasets if
            that is not set.

    Raises:
        InputError: if TFDS does not know the name.
    """
    tfds = _tfds()
    roots = [None] if data_dir is None else [os.fspath(data_dir), None]
    for root in roots:
        try:
            with _quiet():
                builder = tfds.builder(name, data_dir=root, file_format=FILE_FORMAT)
        except tfds.core.DatasetNotFoundError as error:
            raise InputError(_unknown(name, tfds)) from error
        except (ValueError, AssertionError) as error:  # an unknown config or version
            raise InputError(f"TFDS cannot open '{name}': {_first_line(error)}") from error
        if root is None or builder.data_path.exists() or os.access(root, os.W_OK):
            return builder
    raise AssertionError("unreachable: the last root is None")


def prepare(builder, manual_dir: Path | None = None) -> None:
    """Downloads and prepares a data set, unless that is done.

    TFDS prepares it in a folder whose name begins with "incomplete" and renames the folder at the
    end, so a folder with the final name is complete, and is only read. If several processes call
    this, one prepares and the others wait.

    Args:
        builder: a TFDS builder, as from find_builder.
        manual_dir: folder of files that the user has downloaded.

    Raises:
        InputError: if it cannot be prepared.
    """
    tfds = _tfds()
    config = tfds.download.DownloadConfig(manual_dir=manual_dir, try_download_gcs=False)
    root = builder.data_dir_root
    try:
        if _read_prepared(builder):
            return
        root.mkdir(parents=True, exist_ok=True)
        with _one_process(Path(root)), _quiet():
            if not _read_prepared(builder):  # perhaps by the process that was waited for
                builder.download_and_prepare(download_config=config, file_format=FILE_FORMAT)
    except InputError:
        raise
    except ImportError as error:
        raise InputError(
            f"TFDS cannot prepare '{builder.name}' without a package that is not installed "
            f"({_first_line(error)}). Install it (often it is tensorflow), or prepare the set "
            f"elsewhere with file_format={FILE_FORMAT} and give its folder with `data_dir`."
        ) from error
    except Exception as error:  # builders raise what they like
        if getattr(error, "errno", None) in _NOT_WRITABLE:
            raise InputError(
                f"TFDS cannot prepare '{builder.name}' in {root}: {error}. Give a folder that can "
                f"be written to with `data_dir`, or with the variable TFDS_DATA_DIR."
            ) from error
        raise InputError(
            f"TFDS cannot prepare '{builder.name}' in {root} ({type(error).__name__}: "
            f"{_first_line(error)}). If there is no network, prepare it elsewhere with "
            f"file_format={FILE_FORMAT} and give its folder with `data_dir`."
        ) from error


def cached_scene(
    name: str, root: str | Path | None = None, reading: ReadOptions | None = None
) -> Scene:
    """Loads a scene of the catalogue from the folder of TFDS; the first time, it is downloaded.

    Args:
        name: a key of CATALOGUE.
        root: folder in which TFDS keeps its sets; None is the folder TFDS_DATA_DIR, or
            ~/tensorflow_datasets if that is not set.
        reading: what is known of the arrays beyond that.

    Returns:
        The same scene as `load_scene` gives from the standard files.

    Raises:
        InputError: if the name is unknown, if the files are damaged or cannot be downloaded, or
            if they have to be fetched by hand.
    """
    info = find_scene(name)
    builder = find_builder(f"hsi_jax_scenes/{info.name}", None if root is None else Path(root))
    prepare(builder)
    return load_scene(name, builder.data_dir, reading)


def _read_prepared(builder) -> bool:
    """Reads what there is to know of a set that is prepared; False if it is not."""
    if not builder.data_path.exists():
        return False
    builder.info.read_from_directory(builder.data_dir)
    return True


def _tfds():
    """TFDS with our builders registered; imported here because that takes long."""
    import tensorflow_datasets

    import hsi_jax.data.public.builders  # noqa: F401 (registers them)

    if not sys.stderr.isatty():
        tensorflow_datasets.disable_progress_bar()

    return tensorflow_datasets


def _unknown(name: str, tfds) -> str:
    known = tfds.list_builders(with_community_datasets=False)
    near = difflib.get_close_matches(name.split("/")[0], known)
    hint = f"did you mean {' or '.join(near)}?" if near else "see tensorflow.org/datasets/catalog"
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
    except ImportError:  # Windows: all processes prepare, and the first to end wins
        yield
        return
    with (root / ".hsi_jax.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
