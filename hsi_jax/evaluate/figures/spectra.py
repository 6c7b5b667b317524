"""A picture of the spectra of the classes: mean and deviation, each beside those of the others."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.lettering import captions, lettered
from hsi_jax.evaluate.figures.style import PAGE, SMALL, TEXT, TINY, style_axes

_COLUMNS = 4
_TILE = 1.15  # height of a panel with its title, inches
_MARGIN = 0.5  # inches below and beside the panels, for numbers and labels


@lettered
def draw_spectra(
    mean: np.ndarray,
    deviation: np.ndarray,
    class_names: Sequence[str],
    *,
    colours: Sequence[str],
    wavelengths: np.ndarray | None = None,
) -> Figure:
    """Draws a panel for each class: its mean spectrum, mean ± deviation, and the others' means.

    Args:
        mean: float [C, bands]; nan for a class without pixels, whose panel says so.
        deviation: float [C, bands].
        class_names: the C names.
        colours: "#rrggbb" of each class.
        wavelengths: of the bands, nm, in any order; bands are numbered from 1 where this is None
            or holds no finite numbers that differ.

    Returns:
        The figure.

    Raises:
        InputError: if the shapes do not fit, there is a single band, or no spectrum is finite.
    """
    _check(mean, deviation, len(class_names))
    x, x_label = band_axis(wavelengths, mean.shape[1])
    order = np.argsort(x, kind="stable")
    x, mean, deviation = x[order], mean[:, order], deviation[:, order]
    known = np.all(np.isfinite(mean + deviation), axis=1)
    figure, panels = _panels(len(mean), x_label)
    lines = [np.column_stack([x, m]) for m in mean[known]]
    for index, name in enumerate(captions(class_names)):
        style_axes(panels[index], name)
        panels[index].title.set_fontsize(SMALL)
        panels[index].tick_params(labelsize=TINY)
        if known[index]:
            _draw_spectrum(panels[index], x, mean[index], deviation[index], colour=colours[index])
            panels[index].add_collection(
                LineCollection(lines, colors="0.85", linewidths=0.6, zorder=1)
            )
        else:
            style = {"fontsize": SMALL, "ha": "center", "va": "center"}
            panels[index].text(0.5, 0.5, "no pixels", transform=panels[index].transAxes, **style)
    return figure


def _draw_spectrum(
    axes: Axes, x: np.ndarray, mean: np.ndarray, deviation: np.ndarray, *, colour: str
) -> None:
    low, high = mean - deviation, mean + deviation
    axes.fill_between(x, low, high, color=colour, alpha=0.5, linewidth=0, zorder=2)
    axes.plot(x, mean, color="0.1", linewidth=1, zorder=3)


def _panels(classes: int, x_label: str) -> tuple[Figure, list[Axes]]:
    """A figure and a panel for each class, all with the same axes."""
    columns = min(classes, _COLUMNS)
    rows = math.ceil(classes / columns)
    height = rows * _TILE + 2 * _MARGIN
    figure = Figure(figsize=(PAGE * max(columns, 2) / _COLUMNS, height))
    edges = {
        "left": 0.36 / columns,
        "right": 0.99,
        "bottom": _MARGIN / height,
        "top": 1 - _MARGIN / height,
    }
    panels = figure.subplots(
        rows, columns, sharex=True, sharey=True, squeeze=False, gridspec_kw=edges | {"hspace": 0.3}
    )
    for axes in panels.flat[classes:]:
        axes.remove()
    figure.supxlabel(x_label, fontsize=TEXT)
    figure.supylabel("value, in the unit of the scene", fontsize=TEXT)
    return figure, panels.ravel().tolist()[:classes]


def _check(mean: np.ndarray, deviation: np.ndarray, classes: int) -> None:
    if mean.shape != deviation.shape or mean.dtype.kind != "f" or deviation.dtype.kind != "f":
        raise InputError("`mean` and `deviation` are not floats of the same shape")
    if mean.ndim != 2 or len(mean) != classes or mean.shape[1] < 2:
        raise InputError(f"`mean` has shape {mean.shape} for {classes} classes and their bands")
    if not np.isfinite(mean + deviation).all(axis=1).any():
        raise InputError("`mean` holds no finite spectrum")


def band_axis(wavelengths: np.ndarray | None, bands: int) -> tuple[np.ndarray, str]:
    """Where the bands lie, float64 [bands], and what that is."""
    if (
        wavelengths is not None
        and wavelengths.shape == (bands,)
        and wavelengths.dtype.kind in "iuf"
    ):
        x = wavelengths.astype(np.float64)
        if np.isfinite(x).all() and np.ptp(x) > 0:
            return x, "wavelength (nm)"
    return np.arange(1.0, bands + 1), "band"
