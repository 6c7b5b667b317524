"""Pictures of a masked autoencoder: what it has filled in of patches, and its errors by band."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.spectra import band_axis
from hsi_jax.evaluate.figures.style import (
    BLUE,
    COLUMN,
    ORANGE,
    PAGE,
    SMALL,
    TEXT,
    TINY,
    set_legend_below,
    style_axes,
)

_SHOWN = 4  # pixels
_HIDDEN = "0.9"
_ROW = 1.45  # height of a row of panels, inches


def draw_reconstruction(
    patches: np.ndarray,
    hidden: np.ndarray,
    made: np.ndarray,
    *,
    wavelengths: np.ndarray | None = None,
) -> Figure:
    """Draws some patches: the spectrum of a pixel, and a channel as it is, as seen and as made.

    Args:
        patches: scaled, float [n, p, p, channels].
        hidden: bool of that shape.
        made: float of that shape.
        wavelengths: of the channels, nm, or None.

    Returns:
        The figure, a row for each of the first patches: the spectrum of its centre with the hidden
        bands in grey, and beside it the band that differs most within the patch.

    Raises:
        InputError: if the arrays do not fit each other.
    """
    if patches.ndim != 4 or not patches.shape == hidden.shape == made.shape or not len(patches):
        raise InputError("reconstruction.npz holds no patches of one shape")
    rows, size = min(_SHOWN, len(patches)), patches.shape[1]
    figure = Figure(figsize=(PAGE, rows * _ROW + 0.5), layout="constrained")
    spatial = size > 1
    grid = figure.add_gridspec(
        rows, 4 if spatial else 1, width_ratios=[3, 1, 1, 1][: 3 * spatial + 1]
    )
    for row in range(rows):
        axes = figure.add_subplot(grid[row, 0])
        seen = ~hidden[row, size // 2, size // 2]
        of_bands = hidden[row].all((0, 1))  # hidden in all pixels
        _draw_spectrum(axes, patches[row], made[row], of_bands, wavelengths=wavelengths)
        axes.set_title(
            "centre: seen" if seen.any() else "centre: hidden in all bands", fontsize=SMALL
        )
        if row == rows - 1:
            axes.set_xlabel(band_axis(wavelengths, patches.shape[-1])[1], fontsize=TEXT)
        for column in range(1, 4 if spatial else 1):
            panel = figure.add_subplot(grid[row, column])
            _draw_channel(panel, (patches[row], hidden[row], made[row]), column)
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(),
        loc="outside lower left",
        ncols=3,
        fontsize=SMALL,
        frameon=False,
    )
    return figure


def _draw_spectrum(
    axes: Axes,
    patch: np.ndarray,
    made: np.ndarray,
    of_bands: np.ndarray,
    *,
    wavelengths: np.ndarray | None,
) -> None:
    x, _ = band_axis(wavelengths, patch.shape[-1])
    order, centre = np.argsort(x, kind="stable"), patch.shape[0] // 2
    x, of_bands = x[order], of_bands[order]
    half = np.diff(x, prepend=x[0], append=x[-1]) / 2
    for at in np.flatnonzero(of_bands):
        axes.axvspan(x[at] - half[at], x[at] + half[at + 1], color=_HIDDEN, linewidth=0)
    axes.axvspan(0, 0, color=_HIDDEN, label="band hidden in all pixels")
    style_axes(axes)
    axes.plot(x, patch[centre, centre][order], color="0.1", linewidth=1, label="as it is")
    axes.plot(x, made[centre, centre][order], color=BLUE, linewidth=1, label="reconstructed")
    axes.set_xlim(x.min(), x.max() if np.ptp(x) else x.min() + 1)
    axes.tick_params(labelsize=TINY)


def _draw_channel(axes: Axes, arrays: Sequence[np.ndarray], column: int) -> None:
    """One channel as it is, as it is seen, and as it is made."""
    patch, hidden, made = arrays
    # Of the bands that are seen in part: where all are hidden, any.
    partly = ~hidden.all((0, 1))
    spread = np.where(partly, patch.std((0, 1)), -1) if partly.any() else patch.std((0, 1))
    band = int(spread.argmax())
    shown = {1: patch, 2: np.where(hidden, np.nan, patch), 3: made}[column][..., band]
    low, high = patch[..., band].min(), patch[..., band].max()
    axes.set_facecolor(_HIDDEN)
    axes.imshow(shown, vmin=low, vmax=high, cmap="viridis", interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    name = {1: "as it is", 2: "seen", 3: "reconstructed"}[column]
    axes.set_title(f"band {band + 1}: {name}" if column == 1 else name, fontsize=SMALL)


def draw_band_errors(
    errors: Sequence[float | None],
    of_mean: Sequence[float | None],
    wavelengths: np.ndarray | None = None,
) -> Figure:
    """Draws the error of each band, and that of the mean.

    Args:
        errors: mean squared error of the hidden values of each channel, or None.
        of_mean: the same, if the mean were given for every one.
        wavelengths: of the channels, nm, or None.

    Returns:
        The figure.

    Raises:
        InputError: if there is no channel.
    """
    if not errors or len(errors) != len(of_mean):
        raise InputError("the summary has no errors of bands")
    x, x_label = band_axis(wavelengths, len(errors))
    order = np.argsort(x, kind="stable")
    figure = Figure(figsize=(COLUMN, 2.6), layout="constrained")
    axes = figure.subplots()
    for values, colour, name in (
        (of_mean, ORANGE, "the mean alone"),
        (errors, BLUE, "reconstructed"),
    ):
        y = np.array(values, dtype=np.float64)[order]  # None is nan
        axes.plot(
            x[order], y, color=colour, linewidth=1.2, marker="." if len(x) < 2 else "", label=name
        )
    axes.set_ylim(bottom=0)
    style_axes(axes, x_label=x_label, y_label="mean squared error, hidden values")
    set_legend_below(axes)
    return figure
