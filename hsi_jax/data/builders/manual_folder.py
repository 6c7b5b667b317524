"""The folder into which a user has put files by hand, if there is one."""

from pathlib import Path

import tensorflow_datasets as tfds


def manual_folder(dl_manager: tfds.download.DownloadManager) -> Path | None:
    """Returns TFDS's folder of files fetched by hand; None if it is missing or empty."""
    try:
        return Path(dl_manager.manual_dir)
    except AssertionError:
        return None
