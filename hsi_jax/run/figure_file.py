"""Pictures as files: pixels to look at, or vectors to print."""

import io
from typing import Any, BinaryIO

import numpy as np

from hsi_jax.errors import InputError

# The pictures in the folder of a run, without suffix; a figure that is registered adds its own.
FIGURE_NAMES = {
    *("map", "gallery", "curves", "confusion", "reliability", "spectra", "shares", "timeline"),
}
FIGURE_FORMATS = ("png", "pdf", "svg")
FIGURE_CHOICES = f"some of {','.join(FIGURE_FORMATS)}, or none"  # as `parse_figure_formats` reads
_DPI = 250  # figures are as wide as a printed page, so this is about 1,770 pixels
# Text stays text, which can be searched and edited. The salt makes equal figures equal files.
_VECTORS: Any = {"svg.fonttype": "none", "pdf.fonttype": 42, "svg.hashsalt": "hsi_jax"}
_UNDATED = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}


def parse_figure_formats(text: str) -> tuple[str, ...]:
    """The formats in a text such as "png,pdf"; there are none in "none".

    Raises:
        InputError: if the text is empty, or one is not of `FIGURE_FORMATS`.
    """
    if text.strip() == "none":
        return ()
    formats = tuple(part.strip() for part in text.split(","))
    if not set(formats) <= set(FIGURE_FORMATS):
        raise InputError(f"`figures`={text}: give {FIGURE_CHOICES}")
    return formats


def save_figure(figure, file: BinaryIO, format: str = "png") -> None:
    """Writes a Matplotlib figure; images in it get 250 pixels an inch.

    Args:
        figure: as the functions of `hsi_jax.evaluate` draw it.
        file: to write to.
        format: of `FIGURE_FORMATS`. In "pdf" and "svg" text is text and lines are vectors.
    """
    import matplotlib  # here, because a run folder is read without it as well

    with matplotlib.rc_context(_VECTORS):
        figure.savefig(file, dpi=_DPI, format=format, metadata=_UNDATED[format])


def pixels_of(figure) -> np.ndarray:
    """A Matplotlib figure as uint8 [rows, columns, 3], as `save_figure` draws it."""
    from PIL import Image

    file = io.BytesIO()
    save_figure(figure, file)
    return np.asarray(Image.open(file).convert("RGB"))
